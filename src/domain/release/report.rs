//! What a workflow run reports of its own step.
//!
//! Knows what a report must match. Must never know how its sender proved who it is.

use super::rollback::{Damage, fail};
use super::rollout::{self, At, Seen, step_succeeded};
use super::*;
use crate::domain::effect::Act;
use crate::domain::event::{Report, ReportState};
use crate::domain::facts::{Fact, Facts, Need};

/// Why a report does not count, as a sentence without names of anything inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// No step with this key is under way.
    NotUnderWay,
    /// It is another run, environment or commit.
    Another(&'static str),
}

/// The step that a report is about.
///
/// # Errors
/// What does not match: key, run, environment or commit.
pub fn place(state: &PipelineState, report: &Report) -> Result<At, Mismatch> {
    let found = rollout::under_way(state).into_iter().find(|(at, rollout)| {
        report.key == dispatch_key(&state.repo, &state.service, at.release, &at.environment, rollout.step)
    });
    let Some((at, rollout)) = found else { return Err(Mismatch::NotUnderWay) };
    match &rollout.phase {
        StepPhase::Running { run, .. } if *run != report.run => return Err(Mismatch::Another("run")),
        StepPhase::Running { .. } | StepPhase::Finding { .. } | StepPhase::Dispatching { .. } => {}
        StepPhase::Creating | StepPhase::Baking { .. } | StepPhase::Between { .. } | StepPhase::Undecided { .. } => {
            return Err(Mismatch::NotUnderWay);
        }
    }
    // A job without an environment has no such claim, and then it is not known which one it deploys to.
    if report.environment.as_ref() != Some(&at.environment) {
        return Err(Mismatch::Another("environment"));
    }
    if state.releases.get(&at.release).is_none_or(|release| release.sha != report.sha) {
        return Err(Mismatch::Another("commit"));
    }
    Ok(at)
}

/// What must be known to believe a report: the run itself, as GitHub shows it, and before GitHub has named the run of
/// the step, which one we dispatched.
pub fn needs(state: &PipelineState, report: &Report) -> Vec<Need> {
    let Ok(at) = place(state, report) else { return Vec::new() };
    [Need::Run { run: report.run }].into_iter().chain(rollout::search(state, &at)).collect()
}

/// Goes on as a report says, when it is about the step that is under way.
pub fn heard(state: &mut PipelineState, report: &Report, facts: &Facts, now: Timestamp, said: &mut Said) {
    let at = match place(state, report) {
        Ok(at) => at,
        Err(mismatch) => {
            said.notes.push(format!("a report of run {} does not count: {mismatch:?}", report.run));
            return;
        }
    };
    let Some(Fact::Run(run)) = facts.get(&Need::Run { run: report.run }) else { return };
    let same_workflow = run.head_sha.as_ref().is_none_or(|sha| *sha == report.workflow_sha);
    if !same_workflow || !title_carries(run, &report.key) {
        said.notes.push(format!("a report of run {} does not count: it was not dispatched with this key", report.run));
        return;
    }
    if let Some(search) = rollout::search(state, &at) {
        match facts.get(&search) {
            Some(Fact::RunByKey(Some(found))) if found.id == report.run => {
                rollout::run_seen(state, found, Seen::Found, now, said);
            }
            Some(_) | None => {
                said.notes.push(format!("a report of run {} does not count: we did not dispatch it", report.run));
                return;
            }
        }
    }
    // What GitHub shows of the run comes first: a run that ended needs no report.
    rollout::run_seen(state, run, Seen::LookedAt, now, said);
    if place(state, report).is_err() {
        return;
    }
    match report.state {
        ReportState::InProgress => {
            if let Some(words) = &report.description {
                said.notes.push(format!("release {} in {}: {words}", at.release, at.environment));
            }
        }
        ReportState::Success => {
            said.notes.push(format!("run {} reports success", report.run));
            step_succeeded(state, &at, report.at.max(now), Some(report.run), now, said);
        }
        ReportState::Failure => {
            let words = report.description.as_ref().map_or(String::new(), |words| format!(": {words}"));
            // It still runs, and must not go on with what has failed.
            let cancel = EffectKey::new(format!("{}/cancel", report.key));
            said.acts.push((cancel, Act::CancelRun { run: report.run }));
            fail(state, &at, format!("the workflow run reported a failure{words}"), Damage::Possible, now, said);
        }
    }
}
