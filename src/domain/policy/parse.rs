//! The text of a policy file into a [`Policy`], or into all that is wrong with it.
//!
//! Knows every key, its type, range and default; those of `pipeline` stand in rooms of their own. Must never know where
//! the text came from.

mod calendar;
mod pipeline;
mod verify;

use super::reader::{Fields, Keys, Reader, echo};
use super::yaml::{self, Node, Value};
use super::*;
use std::collections::BTreeSet;

const FILE: Keys = Keys { of: "the file", known: &["version", "services", "checks", "risk", "pipeline"], later: &[] };
const SERVICE: Keys = Keys { of: "a service", known: &["paths"], later: &["pipeline"] };
const CHECKS: Keys = Keys { of: "`checks`", known: &["title", "description", "size", "rules"], later: &[] };
const SIZE: Keys = Keys { of: "`size`", known: &["warn", "fail"], later: &[] };
const RULE: Keys = Keys { of: "a rule", known: &["name", "if", "requires"], later: &[] };
const IF: Keys = Keys { of: "`if`", known: &["changed_files"], later: &["labels", "author", "base"] };
const REQUIREMENT: Keys = Keys { of: "a requirement", known: &["count", "teams", "users"], later: &[] };
const RISK: Keys = Keys { of: "`risk`", known: &["bands", "block"], later: &[] };
const BANDS: Keys = Keys { of: "`bands`", known: &["moderate", "high", "critical"], later: &[] };
const SERVICES_MAX: usize = 100;
const RULES_MAX: usize = 50;
const GLOBS_MAX: usize = 100;
const GLOB_CHARS_MAX: usize = 256;
const PEOPLE_MAX: usize = 50;
/// GitHub itself lets at most six people be asked.
const APPROVALS_MAX: u64 = 6;

/// What became of a policy file.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// `None` when anything is wrong: a policy that is half understood is not followed.
    pub policy: Option<Policy>,
    /// In the order of the file, each with its line and column; at most about 50.
    pub problems: Vec<Problem>,
}

/// Reads a policy file.
///
/// `path` is only repeated in the problems. `repo` names the one service of a file that names none. Never fails: what
/// is wrong comes back as problems, all at once, except that text which is not YAML has only its first fault told.
/// Work and memory are bounded for any text.
pub fn parse(text: &str, path: &str, repo: &RepoName) -> Parsed {
    let mut r = Reader::new(path);
    let policy = match yaml::read(text) {
        Ok(root) => file(&mut r, &root, repo),
        Err((at, said)) => {
            r.wrong(at, said);
            None
        }
    };
    let policy = policy.filter(|_| r.good());
    Parsed { policy, problems: r.finish() }
}

fn file(r: &mut Reader<'_>, root: &Node, repo: &RepoName) -> Option<Policy> {
    if root.value == Value::Null {
        r.wrong(root.at, "The file says nothing. It must at least say `version: 1`.");
        return None;
    }
    let fields = r.fields(root, &FILE)?;
    match fields.get("version") {
        None => r.wrong(root.at, "The file must say `version: 1`."),
        Some(node) if node.value == Value::Whole(1) => {}
        Some(node) => r.wrong(node.at, "`version` must be 1: this version of Plimsoll knows no other."),
    }
    let services = match fields.get("services") {
        Some(node) => services(r, node),
        None => vec![Service { name: ServiceName::new(repo.name()), paths: Vec::new() }],
    };
    let checks = fields.get("checks").and_then(|node| checks(r, node)).unwrap_or_default();
    let risk = fields.get("risk").and_then(|node| risk(r, node)).unwrap_or_default();
    let pipeline = fields.get("pipeline").and_then(|node| pipeline::pipeline(r, node));
    Some(Policy { services, checks, risk, pipeline })
}

fn services(r: &mut Reader<'_>, node: &Node) -> Vec<Service> {
    let Some(entries) = r.map(node, "`services`") else { return Vec::new() };
    if entries.is_empty() || entries.len() > SERVICES_MAX {
        r.wrong(node.at, format!("`services` must name 1 to {SERVICES_MAX} services, not {}.", entries.len()));
        return Vec::new();
    }
    let mut seen = BTreeSet::new();
    let mut services = Vec::new();
    for (key, value) in entries {
        if !seen.insert(key.name.to_ascii_lowercase()) {
            r.wrong(key.at, format!("There is another service {} that differs only in case.", echo(&key.name)));
        }
        let name = r.name(key.at, &key.name, "a service");
        let paths = match &value.value {
            Value::Null => Vec::new(),
            _ => r
                .fields(value, &SERVICE)
                .and_then(|fields| fields.get("paths"))
                .map_or_else(Vec::new, |paths| globs(r, paths, "paths")),
        };
        services.extend(name.map(|name| Service { name: ServiceName::new(name), paths }));
    }
    services
}

fn globs(r: &mut Reader<'_>, node: &Node, name: &str) -> Vec<String> {
    let items = r.list(node, name, 1, GLOBS_MAX).unwrap_or_default();
    let mut globs = Vec::new();
    for item in items {
        let Some(glob) = r.text(item, name, GLOB_CHARS_MAX) else { continue };
        match paths::glob_problem(glob) {
            Some(why) => r.wrong(item.at, format!("{} is not a path pattern: {why}.", echo(glob))),
            None => globs.push(glob.to_owned()),
        }
    }
    globs
}

fn checks(r: &mut Reader<'_>, node: &Node) -> Option<Checks> {
    let fields = r.fields(node, &CHECKS)?;
    let mut checks = Checks::default();
    if let Some(node) = fields.get("title") {
        let choices = [("any", TitleRule::Any), ("conventional", TitleRule::Conventional)];
        checks.title = r.choice(node, "title", &choices).unwrap_or(checks.title);
    }
    if let Some(node) = fields.get("description") {
        let choices = [("optional", DescriptionRule::Optional), ("required", DescriptionRule::Required)];
        checks.description = r.choice(node, "description", &choices).unwrap_or(checks.description);
    }
    checks.size = fields.get("size").and_then(|node| size(r, node));
    checks.rules = fields.get("rules").map_or_else(Vec::new, |node| rules(r, node));
    Some(checks)
}

fn size(r: &mut Reader<'_>, node: &Node) -> Option<SizeRule> {
    let fields = r.fields(node, &SIZE)?;
    let mut bound = |key| fields.get(key).and_then(|node| r.whole(node, key, 1, 1_000_000));
    let (warn, fail) = (bound("warn"), bound("fail"));
    match (warn, fail) {
        (None, None) if fields.get("warn").or(fields.get("fail")).is_none() => {
            r.wrong(node.at, "`size` must say `warn`, `fail` or both.");
        }
        (Some(warn), Some(fail)) if warn > fail => {
            let at = fields.get("warn").map_or(node.at, |node| node.at);
            r.wrong(at, format!("`warn` ({warn}) must not be above `fail` ({fail})."));
        }
        _ => {}
    }
    Some(SizeRule { warn, fail })
}

fn rules(r: &mut Reader<'_>, node: &Node) -> Vec<Rule> {
    let items = r.list(node, "rules", 0, RULES_MAX).unwrap_or_default();
    let mut seen = BTreeSet::new();
    let mut rules = Vec::new();
    for item in items {
        let Some(fields) = r.fields(item, &RULE) else { continue };
        let name = wanted(r, &fields, "name", "a rule").and_then(|node| {
            let name = r.text(node, "name", 100)?;
            if !seen.insert(name) {
                r.wrong(node.at, format!("Another rule is called {} too.", echo(name)));
            }
            Some(name.to_owned())
        });
        let changed_files = wanted(r, &fields, "if", "a rule")
            .and_then(|node| r.fields(node, &IF))
            .and_then(|fields| wanted(r, &fields, "changed_files", "`if`"))
            .map(|node| globs(r, node, "changed_files"));
        let requires = wanted(r, &fields, "requires", "a rule").and_then(|node| requirement(r, node));
        if let (Some(name), Some(changed_files), Some(requires)) = (name, changed_files, requires) {
            rules.push(Rule { name, changed_files, requires });
        }
    }
    rules
}

fn wanted<'n>(r: &mut Reader<'_>, fields: &Fields<'n>, key: &str, of: &str) -> Option<&'n Node> {
    let found = fields.get(key);
    if found.is_none() {
        r.wrong(fields.at, format!("`{key}` is missing: {of} needs it."));
    }
    found
}

fn requirement(r: &mut Reader<'_>, node: &Node) -> Option<Requirement> {
    let fields = r.fields(node, &REQUIREMENT)?;
    let count = fields.get("count").map_or(Some(1), |node| r.whole(node, "count", 1, APPROVALS_MAX));
    let teams = people(r, &fields, "teams", "`organisation/team`", is_team);
    let users = people(r, &fields, "users", "an account's name, without `@`", is_login);
    let named = Requirement {
        count: u32::try_from(count?).ok()?,
        teams: teams.into_iter().map(TeamSlug::new).collect(),
        users: users.into_iter().map(Login::new).collect(),
    };
    if named.teams.is_empty() && !named.users.is_empty() && (named.users.len() as u64) < u64::from(named.count) {
        r.wrong(node.at, format!("{} people are asked for, but only {} named.", named.count, named.users.len()));
    }
    Some(named)
}

fn people(r: &mut Reader<'_>, fields: &Fields<'_>, key: &str, form: &str, good: fn(&str) -> bool) -> Vec<String> {
    let Some(node) = fields.get(key) else { return Vec::new() };
    let mut names: Vec<String> = Vec::new();
    // An empty list would mean anybody: more than its author can have meant.
    for item in r.list(node, key, 1, PEOPLE_MAX).unwrap_or_default() {
        let Some(name) = r.text(item, key, 160) else { continue };
        if !good(name) {
            r.wrong(item.at, format!("`{key}` must hold {form}, not {}.", echo(name)));
        } else if names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            r.wrong(item.at, format!("{} is named twice.", echo(name)));
        } else {
            names.push(name.to_owned());
        }
    }
    names
}

fn is_login(name: &str) -> bool {
    let plain = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    name.len() <= 100 && plain(name.strip_suffix("[bot]").unwrap_or(name)) && !name.starts_with('-')
}

fn is_team(name: &str) -> bool {
    name.split_once('/').is_some_and(|(org, slug)| {
        is_login(org)
            && !slug.is_empty()
            && slug.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
            && slug != "."
            && slug != ".."
    })
}

fn risk(r: &mut Reader<'_>, node: &Node) -> Option<RiskPolicy> {
    let fields = r.fields(node, &RISK)?;
    let mut risk = RiskPolicy::default();
    if let Some(node) = fields.get("bands") {
        bands(r, node, &mut risk);
    }
    if let Some(node) = fields.get("block") {
        let choices = [
            ("never", None),
            ("moderate", Some(Band::Moderate)),
            ("high", Some(Band::High)),
            ("critical", Some(Band::Critical)),
        ];
        risk.block = r.choice(node, "block", &choices).unwrap_or(risk.block);
    }
    Some(risk)
}

fn bands(r: &mut Reader<'_>, node: &Node, risk: &mut RiskPolicy) {
    let Some(fields) = r.fields(node, &BANDS) else { return };
    for (key, bound) in [("moderate", &mut risk.moderate), ("high", &mut risk.high), ("critical", &mut risk.critical)] {
        if let Some(found) = fields.get(key).and_then(|node| r.probability(node, key)) {
            *bound = found;
        }
    }
    for (key, below, bound) in [("high", risk.moderate, risk.high), ("critical", risk.high, risk.critical)] {
        if below >= bound {
            let at = fields.get(key).map_or(node.at, |node| node.at);
            r.wrong(at, format!("`{key}` ({bound}) must be above the band before it ({below})."));
        }
    }
}

#[cfg(test)]
mod calendar_tests;
#[cfg(test)]
mod pipeline_tests;
#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
#[cfg(test)]
mod verify_tests;
