//! The answer to `why`: every condition for one commit in one environment, what comes next and who can do it.
//!
//! Knows the gate's own conditions. Must never judge anything again in its own way.

use super::release::{brief, sign};
use crate::domain::ids::*;
use crate::domain::markdown::code;
use crate::domain::policy::windows;
use crate::domain::release::gate::{Condition, conditions};
use crate::domain::release::*;

/// Tells why a release is or is not in an environment. `sha` names one by at least seven digits; without it the
/// candidate is meant, else what is being rolled out, else the newest.
pub fn text(state: &PipelineState, environment: &EnvironmentName, sha: Option<&str>, now: Timestamp) -> String {
    let shown = code(environment.as_str());
    let of = |release: &&Release| release.stage(environment).is_some();
    let found = match sha {
        Some(named) => state.releases.values().rev().filter(of).find(|r| command::names_sha(named, &r.sha)),
        None => state
            .candidate(environment)
            .or_else(|| state.rolling(environment))
            .map(|(release, _)| release)
            .or_else(|| state.releases.values().rev().find(of)),
    };
    let Some(release) = found else {
        return match sha {
            Some(named) => format!(
                "No release of {} for {shown} is made of {}. It may be part of a later one: `/plimsoll status` shows what \
                 is live.",
                code(state.service.as_str()),
                code(named)
            ),
            None => format!("Nothing of {} was released to {shown} yet.", code(state.service.as_str())),
        };
    };
    let mut lines = Vec::new();
    let standing = brief(state, release).stages.into_iter().find(|stage| stage.environment == *environment);
    if let Some(standing) = &standing {
        lines.push(format!(
            "{} Release {} ({}) in {shown}: {}",
            sign(standing.standing),
            release.number,
            code(release.sha.short()),
            standing.text
        ));
    }
    let Some(stage) = release.stage(environment) else { return lines.join("\n\n") };
    if !is_at_a_gate(stage) {
        return lines.join("\n\n");
    }
    let conditions = conditions(state, release, stage, now);
    lines.push(conditions.iter().map(|condition| line(condition, now)).collect::<Vec<_>>().join("\n"));
    lines.push(next(&conditions, now));
    lines.join("\n\n")
}

fn is_at_a_gate(stage: &Stage) -> bool {
    match &stage.phase {
        StagePhase::Ahead | StagePhase::Waiting { .. } => true,
        StagePhase::Rolling(rollout) => matches!(rollout.phase, StepPhase::Between { .. }),
        StagePhase::Succeeded { .. }
        | StagePhase::Failed { .. }
        | StagePhase::Cancelled { .. }
        | StagePhase::Superseded { .. }
        | StagePhase::NotReached => false,
    }
}

fn line(condition: &Condition, now: Timestamp) -> String {
    let sign = if condition.met { "✅" } else { "❌" };
    let when = condition
        .at
        .as_ref()
        .filter(|_| !condition.met)
        .map_or(String::new(), |(at, zone)| format!(" Changes {}.", windows::preview(*at, now, zone)));
    format!("- {sign} **{}**: {}{when}", condition.gate.word(), condition.says)
}

/// What comes next: what only a person can bring, else what time brings and when the last of it does.
fn next(conditions: &[Condition], now: Timestamp) -> String {
    let unmet: Vec<&Condition> = conditions.iter().filter(|condition| !condition.met).collect();
    let person = unmet.iter().find(|condition| condition.at.is_none() && condition.next.is_some());
    let Some(first) = person.or(unmet.first()) else {
        return "Next: it starts by itself, now.".to_owned();
    };
    let timed = unmet.iter().map(|condition| condition.at.as_ref()).collect::<Option<Vec<_>>>();
    let last = timed.and_then(|ends| ends.into_iter().max_by_key(|(at, _)| at.0));
    let when = last.map(|(at, zone)| format!("by itself {}", windows::preview(*at, now, zone)));
    let how = match (&first.next, &first.who) {
        (Some(next), Some(who)) => Some(format!("{next}, by {who}")),
        (Some(next), None) => Some(next.clone()),
        (None, _) => None,
    };
    match (when, how) {
        (Some(when), Some(how)) => format!("Next: {when}; or {how}."),
        (Some(one), None) | (None, Some(one)) => format!("Next: {one}."),
        (None, None) => "Next: it goes on by itself.".to_owned(),
    }
}
