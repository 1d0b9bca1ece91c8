//! The answer to `why`: every condition for one commit in one environment, what comes next and who can do it.
//!
//! Knows the gate's own conditions. Must never judge anything again in its own way.

use super::card::{self, Card};
use super::release::{brief, sign};
use crate::domain::event::StageStanding;
use crate::domain::ids::*;
use crate::domain::markdown::code;
use crate::domain::policy::windows;
use crate::domain::release::gate::{Condition, conditions};
use crate::domain::release::*;
use serde::Serialize;

/// Of a card in a comment, in characters: a comment may hold five commands.
const CARD_CHARS_MAX: usize = 10_000;

/// Why a release is or is not in an environment, in parts and as a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// All of it, Markdown.
    pub text: String,
    /// The release that is meant; `None`: there is none.
    pub release: Option<ReleaseNumber>,
    pub sha: Option<Sha>,
    pub standing: Option<StageStanding>,
    /// Where it stands, in words.
    pub says: Option<String>,
    /// What must be met before its next step begins; empty: it is not at a gate.
    pub conditions: Vec<TraceCondition>,
    /// What comes next and who can do it, Markdown; `None`: it is not at a gate.
    pub next: Option<String>,
}

/// One condition of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TraceCondition {
    pub gate: &'static str,
    pub met: bool,
    /// A sentence, Markdown.
    pub says: String,
    /// When time alone may change it; milliseconds since 1970.
    pub changes_at: Option<Timestamp>,
    /// The command that changes it, and who may give it, Markdown.
    pub command: Option<String>,
    pub who: Option<String>,
}

/// [`trace`] as its text alone.
pub fn text(state: &PipelineState, environment: &EnvironmentName, sha: Option<&str>, now: Timestamp) -> String {
    trace(state, environment, sha, now).text
}

/// [`text`] as a comment shows it: with the release's card folded below, where there is a release.
pub fn comment(state: &PipelineState, environment: &EnvironmentName, sha: Option<&str>, now: Timestamp) -> String {
    let trace = trace(state, environment, sha, now);
    let release = trace.release.and_then(|number| state.releases.get(&number));
    let Some((release, stage)) = release.and_then(|release| Some((release, release.stage(environment)?))) else {
        return trace.text;
    };
    // The conditions stand above it already.
    let card = Card { conditions: &[], ..card::card(state, release, stage) };
    let card = card::cut(&card::markdown(state, &card), CARD_CHARS_MAX);
    format!("{}\n\n<details><summary>The release card</summary>\n\n{card}\n\n</details>", trace.text)
}

/// Tells why a release is or is not in an environment. `sha` names one by at least seven digits; without it the
/// candidate is meant, else what is being rolled out, else the newest.
pub fn trace(state: &PipelineState, environment: &EnvironmentName, sha: Option<&str>, now: Timestamp) -> Trace {
    let of = |release: &&Release| release.stage(environment).is_some();
    let found = match sha {
        Some(named) => state.releases.values().rev().filter(of).find(|r| command::names_sha(named, &r.sha)),
        None => state
            .candidate(environment)
            .or_else(|| state.rolling(environment))
            .map(|(release, _)| release)
            .or_else(|| state.releases.values().rev().find(of)),
    };
    let mut trace = Trace {
        text: String::new(),
        release: found.map(|release| release.number),
        sha: found.map(|release| release.sha.clone()),
        standing: None,
        says: None,
        conditions: Vec::new(),
        next: None,
    };
    let Some(release) = found else {
        trace.text = nothing(state, environment, sha);
        return trace;
    };
    let mut lines = Vec::new();
    let standing = brief(state, release).stages.into_iter().find(|stage| stage.environment == *environment);
    if let Some(standing) = standing {
        lines.push(format!(
            "{} Release {} ({}) in {}: {}",
            sign(standing.standing),
            release.number,
            code(release.sha.short()),
            code(environment.as_str()),
            standing.text
        ));
        trace.standing = Some(standing.standing);
        trace.says = Some(standing.text);
    }
    if let Some(stage) = release.stage(environment).filter(|stage| is_at_a_gate(stage)) {
        let conditions = conditions(state, release, stage, now);
        lines.push(conditions.iter().map(|condition| line(condition, now)).collect::<Vec<_>>().join("\n"));
        let next = next(&conditions, now);
        lines.push(next.clone());
        trace.next = Some(next);
        trace.conditions = conditions.iter().map(TraceCondition::from).collect();
    }
    trace.text = lines.join("\n\n");
    trace
}

impl From<&Condition> for TraceCondition {
    fn from(condition: &Condition) -> Self {
        Self {
            gate: condition.gate.word(),
            met: condition.met,
            says: condition.says.clone(),
            changes_at: condition.at.as_ref().map(|(at, _)| *at),
            command: condition.next.clone(),
            who: condition.who.clone(),
        }
    }
}

/// What is said when there is no such release.
fn nothing(state: &PipelineState, environment: &EnvironmentName, sha: Option<&str>) -> String {
    let (service, shown) = (code(state.service.as_str()), code(environment.as_str()));
    match sha {
        Some(named) => format!(
            "No release of {service} for {shown} is made of {}. It may be part of a later one: `/plimsoll status` shows \
             what is live.",
            code(named)
        ),
        None => format!("Nothing of {service} was released to {shown} yet."),
    }
}

fn is_at_a_gate(stage: &Stage) -> bool {
    match &stage.phase {
        StagePhase::Ahead | StagePhase::Waiting { .. } => true,
        StagePhase::Rolling(_) => stage.is_paused(),
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
