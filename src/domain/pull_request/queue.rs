//! A pull request in a merge queue: what it says to a group that carries it, and why it left.
//!
//! Knows its own judgement. Must never judge a group: that is the repository's.

use super::*;
use crate::domain::facts::Absence;
use crate::domain::markdown::text;
use crate::domain::policy::rules::Outcome;
use crate::domain::problem::Severity;
use crate::domain::risk::Judgement;

/// How many rules are named to a group.
const RULES_NAMED: usize = 5;

/// Why a pull request is no longer in the merge queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftQueue {
    /// GitHub's word, for instance `CI_FAILURE`.
    pub reason: String,
    pub at: Timestamp,
    /// What our own check said against it, Markdown; `None`: it was not our check.
    pub ours: Option<String>,
}

/// Whether the judgement is of the head that is known, so that nothing need be read to answer.
pub(super) fn knows(state: &PullState) -> bool {
    match (&state.pull, &state.judged) {
        (Some(pull), Some(judged)) => pull.open && pull.head_sha == judged.head_sha,
        (Some(_), None) | (None, Some(_)) | (None, None) => false,
    }
}

/// Tells the repository's lane what the rules and the risk say. It always answers, so that no group waits for ever.
pub(super) fn answer(state: &mut PullState, head_sha: &Sha, facts: &Facts, heard: &mut Heard) {
    state.left_queue = None;
    let said = said(state, facts);
    let lines = [&said.policy, &said.risk, &said.hold];
    state.said_to_group = lines.into_iter().flatten().next().cloned();
    let lane = Subject::Repository { repo: state.repo.clone() };
    let signal = Signal::GroupJudged {
        head_sha: head_sha.clone(),
        pull: state.number,
        policy: said.policy,
        risk: said.risk,
        hold: said.hold,
    };
    heard.notes.push(format!("answered the merge group {}", head_sha.short()));
    heard.forwards.push((lane, Event::Signal(signal)));
}

/// A line of what is wrong for each check; none is good.
#[derive(Default)]
struct SaidToGroup {
    policy: Option<String>,
    risk: Option<String>,
    hold: Option<String>,
}

fn said(state: &PullState, facts: &Facts) -> SaidToGroup {
    let cannot = |why: &str| SaidToGroup { policy: Some(format!("could not be judged: {why}")), ..Default::default() };
    let Some(pull) = &state.pull else {
        return match facts.pull(state.number) {
            // Commit messages name issues too; what is no pull request has no say.
            Some(Err(Absence::NotFound)) => SaidToGroup::default(),
            Some(Ok(_) | Err(_)) | None => cannot("GitHub does not show it"),
        };
    };
    // Named in a commit message, and not in the queue: it was merged or closed before.
    if !pull.open {
        return SaidToGroup::default();
    }
    match &state.judged {
        Some(judged) if judged.head_sha == pull.head_sha => {
            SaidToGroup { policy: unmet(judged), risk: blocked(judged), hold: held(pull, judged) }
        }
        Some(_) | None => cannot("the policy was not read yet"),
    }
}

/// The rules that stand in the way, by name.
fn unmet(judged: &Judged) -> Option<String> {
    let mut parts = Vec::new();
    let proposed = judged.proposed_policy.as_deref().unwrap_or_default();
    if proposed.iter().any(|problem| problem.severity == Severity::Error) {
        parts.push("the proposed policy file is broken".to_owned());
    }
    for (outcome, words) in [(Outcome::Fail, "not met"), (Outcome::Pending, "waiting for a review")] {
        let names: Vec<String> =
            judged.rules.iter().filter(|rule| rule.outcome == outcome).map(|rule| text(&rule.name)).collect();
        let more = names.len().saturating_sub(RULES_NAMED);
        let shown = names[..names.len() - more].join(", ");
        match (names.is_empty(), more) {
            (true, _) => {}
            (false, 0) => parts.push(format!("{words}: {shown}")),
            (false, more) => parts.push(format!("{words}: {shown} and {more} more")),
        }
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// The risk, when the policy blocks it.
fn blocked(judged: &Judged) -> Option<String> {
    let from = judged.policy.policy.risk.block?;
    match &judged.verdict.judgement {
        Judgement::Known { probability, band, .. } if *band >= from => Some(format!(
            "{} risk ({:.0} %); the policy blocks from {} on",
            band.word(),
            probability * 100.0,
            from.word()
        )),
        Judgement::Known { .. } | Judgement::Abstains { .. } => None,
    }
}

fn held(pull: &PullSnapshot, judged: &Judged) -> Option<String> {
    let held = held_services(pull, judged);
    let lines: Vec<String> = held.into_iter().flat_map(|(_, lines)| lines).cloned().collect();
    (!lines.is_empty()).then(|| lines.join("; "))
}

/// What keeps the pipelines that this pull request would go through, by service.
pub fn held_services<'j>(pull: &PullSnapshot, judged: &'j Judged) -> Vec<(&'j ServiceName, &'j Vec<String>)> {
    // What goes into another branch is not released, so nothing keeps it.
    if pull.base_ref != judged.policy.default_branch {
        return Vec::new();
    }
    let held = judged.services.iter().filter_map(|name| Some((name, judged.policy.holds.get(name)?)));
    held.filter(|(_, lines)| !lines.is_empty()).collect()
}

/// Remembers why it left the queue, and whether our own check was the reason.
pub(super) fn left(state: &mut PullState, reason: &str, now: Timestamp, heard: &mut Heard) {
    heard.notes.push(format!("left the merge queue: {reason}"));
    if state.pull.as_ref().is_some_and(|pull| pull.merged) {
        return;
    }
    let ours = (reason == "CI_FAILURE").then(|| state.said_to_group.take()).flatten();
    state.left_queue = Some(LeftQueue { reason: reason.to_owned(), at: now, ours });
}

/// Forgets what is over: it was merged, or somebody pushed.
pub(super) fn seen(state: &mut PullState, pull: &PullSnapshot) {
    let pushed = state.pull.as_ref().is_some_and(|known| known.head_sha != pull.head_sha);
    if pull.merged || pushed {
        state.left_queue = None;
        state.said_to_group = None;
    }
}
