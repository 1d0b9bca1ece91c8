//! GitHub's custom deployment protection rules, answered by the gate of the pipeline.
//!
//! Knows runs that wait and the releases they belong to. Must never let a run pass that no gate has let pass.

use super::gate::{conditions, is_open};
use super::*;
use crate::domain::effect::{Act, ProtectionState};

/// GitHub takes ten reports a deployment; the answer itself carries one more.
const REPORTS_MAX: u32 = 10;
/// GitHub's limit for a comment, in characters.
const COMMENT_CHARS_MAX: usize = 1_024;
/// How long a run may wait for the release that it belongs to.
const UNCLAIMED_FOR: Span = Span::minutes(30);
/// GitHub gives up after 30 days.
const FORGOTTEN_AFTER: Span = Span::hours(30 * 24);
const PROTECTIONS_KEPT: usize = 50;

/// What to say to a run that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    Pass(String),
    Refuse(String),
    /// Not yet; why.
    Wait(String),
    /// It is not this pipeline's run, as far as it can be told.
    Silent,
}

/// Remembers a run that waits at our rule.
pub fn asked(state: &mut PipelineState, wanted: Protection) {
    let known = |p: &Protection| p.run == wanted.run && p.environment == wanted.environment;
    if !state.protections.iter().any(known) {
        state.protections.push(wanted);
    }
    let over = state.protections.len().saturating_sub(PROTECTIONS_KEPT);
    state.protections.drain(..over);
}

/// Answers every run that can be answered, and tells the others what they wait for.
pub fn answer(state: &mut PipelineState, now: Timestamp, said: &mut Said) {
    let protections = std::mem::take(&mut state.protections);
    let mut kept = Vec::new();
    for mut protection in protections {
        let (run, environment) = (protection.run, protection.environment.clone());
        let key = |what: &str| {
            // One run asks once for each of its jobs and attempts.
            let asked = protection.asked_at.0;
            EffectKey::new(format!("{}/{}/protection-{run}/{environment}/{asked}/{what}", state.repo, state.service))
        };
        let act = |state, comment: &str| Act::AnswerProtection {
            run,
            environment: environment.clone(),
            state,
            comment: comment.chars().take(COMMENT_CHARS_MAX).collect(),
        };
        match word(state, &protection, now) {
            Word::Pass(comment) => {
                said.acts.push((key("answer"), act(Some(ProtectionState::Approved), &comment)));
                said.notes.push(format!("run {run} may deploy to {environment}"));
            }
            Word::Refuse(comment) => {
                said.acts.push((key("answer"), act(Some(ProtectionState::Rejected), &comment)));
                said.notes.push(format!("run {run} may not deploy to {environment}"));
            }
            Word::Wait(comment) => {
                if comment != protection.said && protection.reports < REPORTS_MAX {
                    protection.reports += 1;
                    said.acts.push((key(&format!("report-{}", protection.reports)), act(None, &comment)));
                    protection.said = comment;
                }
                if protection.asked_at.plus(FORGOTTEN_AFTER) > now {
                    kept.push(protection);
                }
            }
            Word::Silent => {
                if protection.asked_at.plus(UNCLAIMED_FOR) > now {
                    kept.push(protection);
                }
            }
        }
    }
    state.protections = kept;
}

fn word(state: &PipelineState, protection: &Protection, now: Timestamp) -> Word {
    let Protection { run, environment, sha, inputless, alone, .. } = protection;
    // A run that we dispatched passed the gate before: its step has begun. It may have gone on to its next job meanwhile.
    // A rollout that an older version began remembers only the run of its step.
    let of_step = |rollout: &Rollout| match &rollout.phase {
        StepPhase::Running { run: known, .. } | StepPhase::Baking { run: Some(known), .. } => known == run,
        _ => false,
    };
    let dispatched = state.releases.values().rev().find_map(|release| {
        let ours = |stage: &&Stage| stage.runs.contains(run) || stage.rollout().is_some_and(of_step);
        let stage = release.stage(environment).filter(ours)?;
        Some((release, stage))
    });
    if let Some((release, stage)) = dispatched {
        let live = state.live(environment).is_some_and(|live| live.release == release.number);
        return match &stage.phase {
            StagePhase::Rolling(rollout) if rollout.stopping.is_none() => {
                Word::Pass(format!("Release {} passed its gate.", release.number))
            }
            StagePhase::Succeeded { .. } if live => Word::Pass(format!("Release {} passed its gate.", release.number)),
            _ => Word::Refuse(format!("Release {} does not go on in {environment}.", release.number)),
        };
    }
    let trying = |asked: &verify::Asked| {
        let standing = asked.run.as_ref().map(|trial| trial.standing);
        matches!(standing, Some(verify::TrialStanding::Dispatching | verify::TrialStanding::Finding))
    };
    // GitHub has not said yet which run it is that we dispatched.
    let starting = |rollout: &Rollout| match &rollout.phase {
        StepPhase::Dispatching { .. } | StepPhase::Finding { .. } => true,
        StepPhase::Baking { asked, .. } => asked.iter().any(trying),
        StepPhase::Creating | StepPhase::Running { .. } | StepPhase::Between { .. } | StepPhase::Undecided { .. } => {
            false
        }
    };
    if state.rolling(environment).is_some_and(|(_, stage)| stage.rollout().is_some_and(starting)) {
        return Word::Silent;
    }
    // Somebody else started it: with more than one service it cannot be told whose it is.
    if !alone {
        return Word::Silent;
    }
    if !inputless {
        return Word::Refuse(
            "This run was started by hand or by the API, or by an event that lets somebody choose what it deploys, and no \
             gate let that pass. `/plimsoll deploy`, `retry` and `rollback` start runs that pass."
                .to_owned(),
        );
    }
    let newest = state.releases.values().rev().find(|r| r.sha == *sha && r.stage(environment).is_some());
    let Some((release, stage)) = newest.and_then(|release| Some((release, release.stage(environment)?))) else {
        let waited = protection.asked_at.plus(UNCLAIMED_FOR) <= now;
        let words = format!("No release of {} is made of {}.", state.service, sha.short());
        return if waited { Word::Refuse(words) } else { Word::Wait(words) };
    };
    let number = release.number;
    match &stage.phase {
        StagePhase::Waiting { .. } => {
            let judged = conditions(state, release, stage, now);
            if is_open(&judged) {
                return Word::Pass(format!("Release {number} passes its gate."));
            }
            let unmet: Vec<&str> = judged.iter().filter(|c| !c.met).map(|c| c.says.as_str()).collect();
            Word::Wait(format!("Release {number} waits: {}", unmet.join(" ")))
        }
        StagePhase::Succeeded { .. } if state.live(environment).is_none_or(|live| live.sha != *sha) => {
            Word::Refuse(format!("Release {number} is not live in {environment} any more."))
        }
        StagePhase::Succeeded { .. } => {
            let still = [GateName::Lock, GateName::Hold, GateName::Freeze, GateName::Window];
            let judged = conditions(state, release, stage, now);
            let unmet: Vec<&str> =
                judged.iter().filter(|c| !c.met && still.contains(&c.gate)).map(|c| c.says.as_str()).collect();
            match unmet.as_slice() {
                [] => Word::Pass(format!("Release {number} is live and passed its gate before.")),
                _ => Word::Wait(format!("Release {number} is live, and nothing may begin now: {}", unmet.join(" "))),
            }
        }
        StagePhase::Ahead => Word::Wait(format!("Release {number} comes to the environment before this one first.")),
        StagePhase::Rolling(_) => Word::Wait(format!("Release {number} is being rolled out by another run.")),
        StagePhase::Failed { .. }
        | StagePhase::Cancelled { .. }
        | StagePhase::Superseded { .. }
        | StagePhase::NotReached => Word::Refuse(format!("Release {number} has ended without {environment}.")),
    }
}

/// When a run that waits must be looked at again, whatever else happens.
pub fn wake_at(state: &PipelineState, now: Timestamp) -> Option<Timestamp> {
    let waits = |p: &Protection| {
        let unclaimed = p.asked_at.plus(UNCLAIMED_FOR);
        if unclaimed > now { unclaimed } else { p.asked_at.plus(FORGOTTEN_AFTER) }
    };
    state.protections.iter().map(waits).min()
}
