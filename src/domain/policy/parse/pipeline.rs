//! The part `pipeline` of a policy file: how releases start, roll out and go back.
//!
//! Knows the keys of a pipeline and its environments. Must never know calendars or what can be asked of a step.

use super::super::reader::{Fields, Keys, Reader, echo};
use super::super::yaml::{Node, Value};
use super::super::*;
use super::{APPROVALS_MAX, calendar, globs, requirement, verify, wanted};
use std::collections::BTreeSet;

pub(super) const PIPELINE: Keys = Keys {
    of: "`pipeline`",
    known: &["trigger", "environments", "max_changes", "irreversible", "rollback", "hold_check", "windows", "freezes"],
    later: &[],
};
pub(super) const TRIGGER: Keys =
    Keys { of: "`trigger`", known: &["workflow"], later: &["deployment", "repository_dispatch"] };
pub(super) const ROLLBACK: Keys = Keys { of: "`rollback`", known: &["artifact", "within"], later: &[] };
pub(super) const ENVIRONMENT: Keys = Keys {
    of: "an environment",
    known: &[
        "name",
        "approval",
        "rollout",
        "bake",
        "supersede",
        "when_risk",
        "windows",
        "freezes",
        "verify",
        "on_failure",
        "timeout",
    ],
    later: &[],
};
pub(super) const WAVE: Keys = Keys { of: "a wave", known: &["wave"], later: &[] };
pub(super) const WHEN_RISK: Keys = Keys { of: "`when_risk`", known: &["moderate", "high", "critical"], later: &[] };
pub(super) const RAISE: Keys = Keys { of: "a band of `when_risk`", known: &["approvals", "bake"], later: &[] };

const ENVIRONMENTS_MAX: usize = 20;
const STEPS_MAX: usize = 20;
const CHANGES_MAX: u64 = 1_000;
const BAKE_MAX: Span = Span::hours(7 * 24);
const TIMEOUT_MIN: Span = Span::seconds(10);
/// GitHub ends a workflow run after 35 days; nobody means to wait that long.
const TIMEOUT_MAX: Span = Span::hours(3 * 24);
const WITHIN_MIN: Span = Span::hours(1);
/// GitHub keeps no artifact longer.
const WITHIN_MAX: Span = Span::hours(400 * 24);
/// What GitHub allows in no artifact's name.
const ARTIFACT_BANNED: &str = "\"<>:|*?\\/";

pub(super) fn pipeline(r: &mut Reader<'_>, node: &Node) -> Option<Pipeline> {
    let fields = r.fields(node, &PIPELINE)?;
    let workflow = wanted(r, &fields, "trigger", "`pipeline`").and_then(|node| {
        let trigger = r.fields(node, &TRIGGER)?;
        let node = match trigger.get("workflow") {
            None if TRIGGER.later.iter().any(|later| trigger.get(later).is_some()) => return None,
            _ => wanted(r, &trigger, "workflow", "`trigger`")?,
        };
        workflow(r, node)
    });
    let max_changes = fields.get("max_changes").and_then(|node| r.whole(node, "max_changes", 1, CHANGES_MAX));
    let irreversible = fields.get("irreversible").map_or_else(Vec::new, |node| globs(r, node, "irreversible"));
    let rollback = fields.get("rollback").and_then(|node| rollback(r, node)).unwrap_or_default();
    let hold_check = fields.get("hold_check").and_then(|node| r.flag(node, "hold_check")).unwrap_or(false);
    let windows = fields.get("windows").map_or_else(Vec::new, |node| calendar::windows(r, node));
    let freezes = fields.get("freezes").map_or_else(Vec::new, |node| calendar::freezes(r, node));
    let mut environments =
        wanted(r, &fields, "environments", "`pipeline`").map(|node| environments(r, node, &windows))?;
    for environment in &mut environments {
        environment.freezes.splice(0..0, freezes.iter().cloned());
    }
    Some(Pipeline {
        workflow: workflow?,
        environments,
        max_changes: max_changes.and_then(|n| u32::try_from(n).ok()),
        irreversible,
        rollback,
        hold_check,
    })
}

pub(super) fn workflow(r: &mut Reader<'_>, node: &Node) -> Option<WorkflowFile> {
    let name = r.text(node, "workflow", 100)?;
    let stem = name.strip_suffix(".yml").or_else(|| name.strip_suffix(".yaml")).unwrap_or_default();
    let good = !stem.is_empty() && stem.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if !good {
        r.wrong(
            node.at,
            format!(
                "`workflow` must be the name of a file in `.github/workflows`, for instance `deploy.yml`, without the \
                 folder, not {}.",
                echo(name)
            ),
        );
    }
    good.then(|| WorkflowFile::new(name))
}

fn rollback(r: &mut Reader<'_>, node: &Node) -> Option<RollbackPolicy> {
    let fields = r.fields(node, &ROLLBACK)?;
    let artifact = fields.get("artifact").and_then(|node| {
        let name = r.text(node, "artifact", 200)?;
        let rest = name.replace("{sha}", "").replace("{service}", "");
        if rest.contains(['{', '}']) {
            r.wrong(
                node.at,
                format!("`artifact` may hold `{{sha}}` and `{{service}}`, no other braces: {}.", echo(name)),
            );
        } else if rest.chars().any(|c| ARTIFACT_BANNED.contains(c)) {
            r.wrong(
                node.at,
                format!("No artifact can be called {}: GitHub allows none of `{ARTIFACT_BANNED}`.", echo(name)),
            );
        }
        Some(name.to_owned())
    });
    let within = fields.get("within").and_then(|node| r.span(node, "within", WITHIN_MIN, WITHIN_MAX));
    Some(RollbackPolicy { artifact, within })
}

fn environments(r: &mut Reader<'_>, node: &Node, windows: &[Window]) -> Vec<EnvironmentPolicy> {
    let items = r.list(node, "environments", 1, ENVIRONMENTS_MAX).unwrap_or_default();
    let mut seen = BTreeSet::new();
    let mut environments = Vec::new();
    for item in items {
        let Some(fields) = r.fields(item, &ENVIRONMENT) else { continue };
        let name = wanted(r, &fields, "name", "an environment").and_then(|node| {
            let name =
                EnvironmentName::new(r.text(node, "name", 255).and_then(|n| r.name(node.at, n, "an environment"))?);
            if !seen.insert(name.clone()) {
                r.wrong(node.at, format!("Another environment is called {} too.", echo(name.as_str())));
            }
            Some(name)
        });
        // A lacking name is a problem, and a policy with a problem is dropped: nobody ever sees the stand-in.
        let name = name.unwrap_or_else(|| EnvironmentName::new("?"));
        environments.push(environment(r, &fields, name, windows));
    }
    environments
}

fn environment(
    r: &mut Reader<'_>,
    fields: &Fields<'_>,
    name: EnvironmentName,
    windows: &[Window],
) -> EnvironmentPolicy {
    let unsaid = EnvironmentPolicy::new(name);
    let approval = fields.get("approval").and_then(|node| requirement(r, node));
    let bake = fields.get("bake").and_then(|node| r.span(node, "bake", Span(0), BAKE_MAX)).unwrap_or(unsaid.bake);
    let supersede = [("wait", Supersede::Wait), ("abort", Supersede::Abort)];
    let on_failure = [("rollback", OnFailure::Rollback), ("hold", OnFailure::Hold)];
    EnvironmentPolicy {
        rollout: fields.get("rollout").and_then(|node| rollout(r, node)).unwrap_or(unsaid.rollout),
        verify: fields.get("verify").map_or_else(Vec::new, |node| verify::verifications(r, node)),
        windows: fields.get("windows").map_or_else(|| windows.to_vec(), |node| calendar::windows(r, node)),
        freezes: fields.get("freezes").map_or_else(Vec::new, |node| calendar::freezes(r, node)),
        supersede: fields
            .get("supersede")
            .and_then(|node| r.choice(node, "supersede", &supersede))
            .unwrap_or(unsaid.supersede),
        when_risk: fields.get("when_risk").map_or_else(Vec::new, |node| {
            when_risk(r, node, fields.get("approval").is_some(), approval.as_ref(), bake)
        }),
        on_failure: fields
            .get("on_failure")
            .and_then(|node| r.choice(node, "on_failure", &on_failure))
            .unwrap_or(unsaid.on_failure),
        timeout: fields
            .get("timeout")
            .and_then(|node| r.span(node, "timeout", TIMEOUT_MIN, TIMEOUT_MAX))
            .unwrap_or(unsaid.timeout),
        name: unsaid.name,
        approval,
        bake,
    }
}

fn rollout(r: &mut Reader<'_>, node: &Node) -> Option<Vec<Portion>> {
    let items = r.list(node, "rollout", 1, STEPS_MAX)?;
    let is_wave = |item: &Node| matches!(item.value, Value::Map(_));
    let waves = items.first().is_some_and(is_wave);
    if let Some(other) = items.iter().find(|item| is_wave(item) != waves) {
        r.wrong(other.at, "`rollout` must be all percentages or all waves (`wave: name`), not both.");
        return None;
    }
    if waves { rollout_by_wave(r, items) } else { rollout_by_percent(r, items) }
}

fn rollout_by_percent(r: &mut Reader<'_>, items: &[Node]) -> Option<Vec<Portion>> {
    let mut steps: Vec<u8> = Vec::new();
    for item in items {
        let step = r.percent(item, "rollout")?;
        if let Some(before) = steps.last().filter(|before| **before >= step) {
            r.wrong(item.at, format!("`rollout` must rise: {step}% stands behind {before}%."));
        }
        steps.push(step);
    }
    if let Some((last, item)) = steps.last().zip(items.last()).filter(|(last, _)| **last != 100) {
        r.wrong(item.at, format!("`rollout` must end with `100%`, not {last}%."));
    }
    Some(steps.into_iter().map(Portion::Percent).collect())
}

fn rollout_by_wave(r: &mut Reader<'_>, items: &[Node]) -> Option<Vec<Portion>> {
    let mut seen = BTreeSet::new();
    let mut steps = Vec::new();
    for item in items {
        let node = r.fields(item, &WAVE).and_then(|fields| wanted(r, &fields, "wave", "a wave"))?;
        let name = r.text(node, "wave", 255).and_then(|name| r.name(node.at, name, "a wave"))?;
        if !seen.insert(name.to_ascii_lowercase()) {
            r.wrong(node.at, format!("Another wave is called {} too.", echo(&name)));
        }
        steps.push(Portion::Wave(WaveName::new(name)));
    }
    Some(steps)
}

/// `asked`: whether the environment has an `approval`, however broken.
fn when_risk(r: &mut Reader<'_>, node: &Node, asked: bool, approval: Option<&Requirement>, bake: Span) -> Vec<Raise> {
    let Some(bands) = r.fields(node, &WHEN_RISK) else { return Vec::new() };
    let mut raises: Vec<Raise> = Vec::new();
    // What holds below the band that is looked at.
    let (mut people, mut bake) = (approval.map_or(0, |approval| u64::from(approval.count)), bake);
    for from in [Band::Moderate, Band::High, Band::Critical] {
        let Some(node) = bands.get(from.word()) else { continue };
        let Some(fields) = r.fields(node, &RAISE) else { continue };
        let (approvals, longer) = (fields.get("approvals"), fields.get("bake"));
        let mut raised = Raise { from, approvals: None, bake: None };
        if let Some(node) = approvals.filter(|_| !asked) {
            r.wrong(node.at, "`approvals` needs an `approval` in the environment: it says who is asked.");
        } else if let Some((node, n)) = approvals.and_then(|n| Some((n, r.whole(n, "approvals", 1, APPROVALS_MAX)?))) {
            let named = approval.filter(|a| a.teams.is_empty() && !a.users.is_empty()).map(|a| a.users.len() as u64);
            if n < people {
                r.wrong(node.at, format!("`approvals` ({n}) must not be below what lower risk needs ({people})."));
            } else if let Some(named) = named.filter(|named| *named < n) {
                r.wrong(node.at, format!("{n} people are asked for, but `approval` names only {named}."));
            }
            raised.approvals = u32::try_from(n).ok();
        }
        if let Some((node, span)) = longer.and_then(|n| Some((n, r.span(n, "bake", Span(0), BAKE_MAX)?))) {
            if span < bake {
                r.wrong(node.at, format!("`bake` ({span}) must not be below what lower risk needs ({bake})."));
            }
            raised.bake = Some(span);
        }
        let more = raised.approvals.is_some_and(|n| u64::from(n) > people) || raised.bake.is_some_and(|b| b > bake);
        let equal = raised.approvals.is_none_or(|n| u64::from(n) == people) && raised.bake.is_none_or(|b| b == bake);
        let nothing = approvals.or(longer).is_none();
        if nothing || !more && equal && (raised.approvals.is_some() || raised.bake.is_some()) {
            r.wrong(
                node.at,
                format!(
                    "`{}` raises nothing: write more `approvals` or a longer `bake` than lower risk needs.",
                    from.word()
                ),
            );
        }
        people = people.max(raised.approvals.map_or(0, u64::from));
        bake = bake.max(raised.bake.unwrap_or_default());
        raises.push(raised);
    }
    raises
}
