//! Weaknesses in what a pipeline remembers, built in between the store and the code under test.
//!
//! Knows states at rest. The invariants never ask it anything.

use super::scene::Sabotage;
use plimsoll::domain::ids::Timestamp;
use plimsoll::domain::policy::GateName;
use plimsoll::domain::release::{PipelineState, Rollout, StagePhase, StepPhase, advance, block, rollout};
use plimsoll::domain::state::State;
use plimsoll::engine::ports::{ClaimedLane, TurnCommit};
use plimsoll::engine::step::read_lane;

fn change(state: &mut Vec<u8>, change: impl FnOnce(&mut PipelineState)) {
    let Ok(mut lane) = read_lane(state) else { return };
    if let State::Pipeline(pipeline) = &mut lane.state {
        change(pipeline);
        if let Ok(changed) = serde_json::to_vec(&lane) {
            *state = changed;
        }
    }
}

/// What a turn gets to read.
pub fn claimed(sabotage: Option<Sabotage>, claimed: &mut ClaimedLane) {
    let (Some(Sabotage::LaterStepsFree), Some(snapshot)) = (sabotage, &mut claimed.snapshot) else { return };
    change(&mut snapshot.state, |pipeline| {
        for stage in pipeline.releases.values_mut().flat_map(|release| &mut release.stages) {
            if matches!(stage.phase, StagePhase::Rolling(_)) {
                stage.overrides.extend([GateName::Lock, GateName::Hold, GateName::Freeze, GateName::Window]);
            }
        }
    });
}

/// What a turn leaves behind.
pub fn committing(sabotage: Option<Sabotage>, turn: &mut TurnCommit) {
    let now = turn.at;
    match sabotage {
        Some(Sabotage::NoWake) => turn.wake_at = None,
        Some(Sabotage::NoHold) => change(&mut turn.state, |pipeline| pipeline.blocks.clear()),
        Some(Sabotage::LaterStepsFree) => change(&mut turn.state, only_real_overrides),
        Some(Sabotage::NoExpiry) => {
            let mut wake_at = turn.wake_at;
            change(&mut turn.state, |pipeline| wake_at = without_expiry(pipeline, wake_at, now));
            turn.wake_at = wake_at;
        }
        Some(Sabotage::VerifyPasses) => change(&mut turn.state, pass),
        Some(Sabotage::RevertIgnored) => change(&mut turn.state, |pipeline| pipeline.reverted.clear()),
        Some(Sabotage::SelfReview) => change(&mut turn.state, |pipeline| {
            for known in &mut pipeline.overrides {
                known.reviewed.get_or_insert((known.by.clone(), now));
            }
        }),
        Some(_) | None => {}
    }
}

fn only_real_overrides(pipeline: &mut PipelineState) {
    let known = pipeline.overrides.clone();
    for release in pipeline.releases.values_mut() {
        for stage in &mut release.stages {
            stage.overrides.retain(|gate| {
                known.iter().any(|one| {
                    one.gate == *gate && one.release == release.number && one.environment == stage.policy.name
                })
            });
        }
    }
}

/// When the pipeline would want to be woken if blocks had no end.
fn without_expiry(pipeline: &PipelineState, wake_at: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    if block::next_expiry(pipeline).is_none() || rollout::under_way(pipeline).iter().any(|(_, r)| is_busy(r)) {
        return wake_at;
    }
    let mut copy = pipeline.clone();
    copy.blocks.retain(|block| block.until.is_none());
    advance::wake_at(&copy, now)
}

fn is_busy(rollout: &Rollout) -> bool {
    !matches!(rollout.phase, StepPhase::Between { .. } | StepPhase::Undecided { .. })
}

fn pass(pipeline: &mut PipelineState) {
    for stage in pipeline.releases.values_mut().flat_map(|release| &mut release.stages) {
        if let StagePhase::Rolling(Rollout { phase: StepPhase::Baking { asked, .. }, .. }) = &mut stage.phase {
            for (policy, asked) in stage.policy.verify.iter().zip(asked) {
                (asked.successes, asked.failures) = (policy.successes, 0);
            }
        }
    }
}
