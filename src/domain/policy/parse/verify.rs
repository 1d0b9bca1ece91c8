//! The list `verify` of an environment: what must hold after a step.
//!
//! Knows how it is written. Must never know how it is asked, or by whom.

use super::super::reader::{Fields, Keys, Reader, echo};
use super::super::yaml::{Node, Value};
use super::super::{Demand, NoData, Probe, Verification, Worse};
use super::{pipeline::workflow, wanted};
use crate::domain::ids::Span;
use crate::domain::markdown::clip;
use std::collections::BTreeSet;

pub(super) const VERIFICATION: Keys = Keys {
    of: "a verification",
    known: &[
        "http",
        "prometheus",
        "workflow",
        "check",
        "live",
        "name",
        "every",
        "successes",
        "failures_allowed",
        "no_data",
        "dry_run",
    ],
    later: &[],
};
pub(super) const HTTP: Keys = Keys { of: "`http`", known: &["url", "expect", "json", "latency_below"], later: &[] };
pub(super) const JSON: Keys = Keys { of: "`json`", known: &["pointer", "equals"], later: &[] };
pub(super) const PROMETHEUS: Keys = Keys {
    of: "`prometheus`",
    known: &["query", "server", "over", "below", "above", "worse", "by", "at_least"],
    later: &[],
};
pub(super) const LIVE: Keys = Keys { of: "`live`", known: &["url", "pointer"], later: &[] };

const VERIFICATIONS_MAX: usize = 20;
const NAME_CHARS_MAX: usize = 100;
const URL_CHARS_MAX: usize = 2_000;
const QUERY_CHARS_MAX: usize = 4_000;
const POINTER_CHARS_MAX: usize = 500;
/// As long as GitHub lets the context of a commit status be.
const CHECK_CHARS_MAX: usize = 255;
const LATENCY_MAX: Span = Span::seconds(60);
const OVER_MIN: Span = Span::seconds(10);
const OVER_MAX: Span = Span::hours(24);
const EVERY_MIN: Span = Span::seconds(1);
const EVERY_MAX: Span = Span::hours(1);

/// The verifications of a list, each with a name that no other has.
pub(super) fn verifications(r: &mut Reader<'_>, node: &Node) -> Vec<Verification> {
    let items = r.list(node, "verify", 0, VERIFICATIONS_MAX).unwrap_or_default();
    let mut names = BTreeSet::new();
    let mut found = Vec::new();
    for item in items {
        let Some(fields) = r.fields(item, &VERIFICATION) else { continue };
        let name = fields.get("name").and_then(|node| {
            let name = r.text(node, "name", NAME_CHARS_MAX)?;
            if !names.insert(name.to_owned()) {
                r.wrong(node.at, format!("Another verification here is called {} too.", echo(name)));
            }
            Some(name.to_owned())
        });
        found.extend(verification(r, &fields, name));
    }
    // Made only when all given names are known, so that they stay free.
    for verification in found.iter_mut().filter(|verification| verification.name.is_empty()) {
        let made = made_name(&verification.probe);
        let candidates = std::iter::once(made.clone()).chain((2..).map(|n| format!("{made} {n}")));
        let Some(name) = candidates.into_iter().find(|name| !names.contains(name)) else { continue };
        names.insert(name.clone());
        verification.name = name;
    }
    found
}

/// Without a `name` the verification's is empty.
fn verification(r: &mut Reader<'_>, fields: &Fields<'_>, name: Option<String>) -> Option<Verification> {
    let kinds = VERIFICATION.known.iter().take(5).filter_map(|kind| Some((*kind, fields.get(kind)?)));
    let kinds: Vec<(&str, &Node)> = kinds.collect();
    let every = fields.get("every").and_then(|node| r.span(node, "every", EVERY_MIN, EVERY_MAX));
    let count = |r: &mut Reader<'_>, key, least| {
        fields.get(key).and_then(|node| r.whole(node, key, least, 100)).and_then(|n| u32::try_from(n).ok())
    };
    let (successes, failures_allowed) = (count(r, "successes", 1), count(r, "failures_allowed", 0));
    let choices = [("inconclusive", NoData::Inconclusive), ("success", NoData::Success), ("failure", NoData::Failure)];
    let no_data = fields.get("no_data").and_then(|node| r.choice(node, "no_data", &choices));
    let dry_run = fields.get("dry_run").and_then(|node| r.flag(node, "dry_run"));
    let probe = match kinds[..] {
        [(kind, node)] => probe(r, kind, node),
        [] => {
            r.wrong(fields.at, "A verification must have `http`, `prometheus`, `workflow`, `check` or `live`.");
            None
        }
        [(first, _), (second, node), ..] => {
            let said =
                format!("A verification asks one thing: `{first}` and `{second}` must be two items of the list.");
            r.wrong(node.at, said);
            None
        }
    };
    Some(Verification {
        name: name.unwrap_or_default(),
        probe: probe?,
        every: every.unwrap_or(Span::seconds(30)),
        successes: successes.unwrap_or(1),
        failures_allowed: failures_allowed.unwrap_or(0),
        no_data: no_data.unwrap_or(NoData::Inconclusive),
        dry_run: dry_run.unwrap_or(false),
    })
}

fn made_name(probe: &Probe) -> String {
    let place = |url: &str| {
        let behind = url.split_once("://").map_or(url, |(_, behind)| behind);
        behind.split(['?', '#']).next().unwrap_or(behind).trim_end_matches('/').to_owned()
    };
    let name = match probe {
        Probe::Http { url, .. } => format!("http {}", place(url)),
        Probe::Prometheus { .. } => "prometheus".to_owned(),
        Probe::Workflow { workflow } => format!("workflow {workflow}"),
        Probe::Check { name } => format!("check {name}"),
        Probe::Live { url, .. } => format!("live {}", place(url)),
    };
    clip(&name, NAME_CHARS_MAX)
}

fn probe(r: &mut Reader<'_>, kind: &str, node: &Node) -> Option<Probe> {
    match kind {
        "http" => http(r, node),
        "prometheus" => prometheus(r, node),
        "workflow" => Some(Probe::Workflow { workflow: workflow(r, node)? }),
        "check" => Some(Probe::Check { name: r.text(node, "check", CHECK_CHARS_MAX)?.to_owned() }),
        _ => live(r, node),
    }
}

fn http(r: &mut Reader<'_>, node: &Node) -> Option<Probe> {
    let fields = r.fields(node, &HTTP)?;
    let url = wanted(r, &fields, "url", "`http`").and_then(|node| url(r, node, "url"));
    let expect = fields.get("expect").map_or(Some(200), |node| r.whole(node, "expect", 100, 599));
    let json = fields.get("json").and_then(|node| {
        let fields = r.fields(node, &JSON)?;
        let at = wanted(r, &fields, "pointer", "`json`").and_then(|node| pointer(r, node));
        let equals = wanted(r, &fields, "equals", "`json`").and_then(|node| equals(r, node));
        at.zip(equals)
    });
    let latency_below =
        fields.get("latency_below").and_then(|node| r.span(node, "latency_below", Span(1), LATENCY_MAX));
    Some(Probe::Http { url: url?, expect: u16::try_from(expect?).ok()?, json, latency_below })
}

fn live(r: &mut Reader<'_>, node: &Node) -> Option<Probe> {
    let fields = r.fields(node, &LIVE)?;
    let url = wanted(r, &fields, "url", "`live`").and_then(|node| url(r, node, "url"));
    let pointer = fields.get("pointer").and_then(|node| pointer(r, node));
    Some(Probe::Live { url: url?, pointer })
}

fn prometheus(r: &mut Reader<'_>, node: &Node) -> Option<Probe> {
    let fields = r.fields(node, &PROMETHEUS)?;
    let query = wanted(r, &fields, "query", "`prometheus`").and_then(|node| r.lines(node, "query", QUERY_CHARS_MAX));
    let server = fields.get("server").and_then(|node| {
        let server = url(r, node, "server")?;
        if server.contains(['?', '#']) {
            r.wrong(node.at, "`server` must be where Prometheus is, without `?` and `#`.");
        }
        Some(server)
    });
    let over = fields.get("over").and_then(|node| r.span(node, "over", OVER_MIN, OVER_MAX));
    let demand = demand(r, &fields);
    Some(Probe::Prometheus { server, query: query?.to_owned(), over, demand: demand? })
}

fn demand(r: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Demand> {
    let (below, above, worse) = (fields.get("below"), fields.get("above"), fields.get("worse"));
    for key in ["by", "at_least"] {
        if let Some(node) = fields.get(key).filter(|_| worse.is_none()) {
            r.wrong(node.at, format!("`{key}` belongs to `worse: higher` or `worse: lower`, which is not here."));
        }
    }
    match (below, above, worse) {
        (Some(node), None, None) => r.number(node, "below").map(Demand::Below),
        (None, Some(node), None) => r.number(node, "above").map(Demand::Above),
        (None, None, Some(node)) => {
            let worse = r.choice(node, "worse", &[("higher", Worse::Higher), ("lower", Worse::Lower)]);
            let (by, at_least) = (fields.get("by"), fields.get("at_least"));
            if by.or(at_least).is_none() {
                r.wrong(node.at, "`worse` needs `by` (such as `10%`), `at_least` or both: how much worse is too much.");
            }
            let by = by.map_or(Some(0.0), |node| r.share(node, "by"));
            let at_least = at_least.map_or(Some(0.0), |node| {
                let found = r.number(node, "at_least")?;
                if found < 0.0 {
                    r.wrong(node.at, format!("`at_least` must not be below 0: {found}."));
                }
                Some(found)
            });
            Some(Demand::NotWorse { worse: worse?, by: by?, at_least: at_least? })
        }
        (None, None, None) => {
            r.wrong(fields.at, "`prometheus` must say what is good: `below`, `above` or `worse`.");
            None
        }
        _ => {
            r.wrong(fields.at, "`prometheus` may say one of `below`, `above` and `worse`, not several.");
            None
        }
    }
}

/// A pointer into a JSON document (RFC 6901) that is not the whole of it.
fn pointer(r: &mut Reader<'_>, node: &Node) -> Option<String> {
    let text = r.text(node, "pointer", POINTER_CHARS_MAX)?;
    let good = text.starts_with('/') && text.split('~').skip(1).all(|behind| behind.starts_with(['0', '1']));
    if !good {
        r.wrong(
            node.at,
            format!(
                "`pointer` must be a JSON pointer such as `/status` (`~` is `~0`, `/` in a name `~1`), not {}.",
                echo(text)
            ),
        );
    }
    good.then(|| text.to_owned())
}

/// Text, a number or a truth value, as text.
fn equals(r: &mut Reader<'_>, node: &Node) -> Option<String> {
    match &node.value {
        Value::Bool(value) => Some(value.to_string()),
        Value::Whole(value) => Some(value.to_string()),
        Value::Fraction(value) => Some(value.to_string()),
        Value::Null | Value::Text(_) | Value::List(_) | Value::Map(_) => r.text(node, "equals", 500).map(str::to_owned),
    }
}

fn url(r: &mut Reader<'_>, node: &Node, name: &str) -> Option<String> {
    let text = r.text(node, name, URL_CHARS_MAX)?;
    let problem = url_problem(text);
    if let Some(why) = problem {
        // What may be a password is not repeated on GitHub's pages.
        let which = if text.contains('@') { "this address".to_owned() } else { echo(text) };
        r.wrong(node.at, format!("`{name}` cannot be {which}: {why}."));
    }
    problem.is_none().then(|| text.to_owned())
}

/// Why an address cannot be asked, without a full stop; `None` when it can.
fn url_problem(url: &str) -> Option<&'static str> {
    let Some(behind) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else {
        return Some("it must begin with `https://` or `http://`");
    };
    // A backslash is a slash to some who read addresses and none to others.
    if !url.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
        return Some(
            "it must be letters, digits and signs of ASCII without blanks; write others as `%20`, and hosts as `xn--`",
        );
    }
    let place = behind.split(['/', '?', '#']).next().unwrap_or_default();
    if place.contains('@') {
        return Some("a user name or password does not belong in a file that so many can read");
    }
    let (host, port) = match place.rfind(':').filter(|at| !place[*at..].contains(']')) {
        Some(at) => (&place[..at], Some(&place[at + 1..])),
        None => (place, None),
    };
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let good_host = match inner {
        Some(address) => address.contains(':') && address.bytes().all(|b| b.is_ascii_hexdigit() || b":.".contains(&b)),
        None => {
            host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) && host.bytes().any(|b| b != b'.')
        }
    };
    if host.is_empty() || !good_host {
        return Some("it names no host");
    }
    let good_port = port
        .is_none_or(|port| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0));
    (!good_port).then_some("its port is not between 1 and 65535")
}
