//! What happens when a release fails: a hold, and the way back to what was good.
//!
//! Knows what was verified in an environment. Must never choose a commit that was not.

use super::rollout::At;
use super::*;
use crate::domain::effect::Act;
use crate::domain::policy::{OnFailure, Portion};

/// Whether something of a failed rollout may run in the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Nothing was started.
    None,
    /// Something was.
    Possible,
    /// It cannot be told; a person must look before anything else is started.
    Unknown,
}

/// Ends a rollout as failed: the environment is held, and brought back where the policy says so and something ran.
pub fn fail(state: &mut PipelineState, at: &At, why: String, damage: Damage, now: Timestamp, said: &mut Said) {
    let Some(release) = state.releases.get_mut(&at.release) else { return };
    let (is_rollback, plan) = (release.is_rollback(), release.plan.clone());
    let mut on_failure = OnFailure::Hold;
    for stage in &mut release.stages {
        if stage.policy.name == at.environment {
            stage.phase = StagePhase::Failed { at: now, why: why.clone() };
            on_failure = stage.policy.on_failure;
        } else if matches!(stage.phase, StagePhase::Ahead) {
            stage.phase = StagePhase::NotReached;
        }
    }
    said.notes.push(format!("release {} failed in {}: {why}", at.release, at.environment));
    let what = if is_rollback { "the rollback" } else { "release" };
    let reason = if is_rollback {
        format!("{what} (release {}) failed: {why}.", at.release)
    } else {
        format!("{what} {} failed: {why}.", at.release)
    };
    if let Some(asked) = release.asked.clone() {
        said.answers
            .push((asked, Answer::Final(format!("❌ Release {} failed in {}: {why}.", at.release, at.environment))));
    }
    hold(state, &at.environment, HoldOwner::Automation, reason.clone(), now);
    let target = state.live(&at.environment).cloned();
    match target {
        Some(to) if !is_rollback && damage == Damage::Possible && on_failure == OnFailure::Rollback => {
            begin(
                state,
                &at.environment,
                Going { to, from: Some(at.release), by: None, reason, plan, asked: None },
                now,
                said,
            );
        }
        Some(_) | None => {}
    }
}

/// Holds an environment; a person's hold is not replaced by one of automation.
pub fn hold(state: &mut PipelineState, name: &EnvironmentName, owner: HoldOwner, reason: String, now: Timestamp) {
    let environment = state.environment_mut(name);
    let persons = matches!(&environment.hold, Some(Hold { owner: HoldOwner::Person(_), .. }));
    if !persons || matches!(owner, HoldOwner::Person(_)) {
        environment.hold = Some(Hold { owner, reason, since: now });
    }
}

/// A way back.
#[derive(Clone, Debug)]
pub struct Going {
    pub to: Live,
    pub from: Option<ReleaseNumber>,
    pub by: Option<Login>,
    pub reason: String,
    pub plan: Plan,
    pub asked: Option<Origin>,
}

/// Makes the release that brings an environment back, all at once and without asking anybody: it is mitigation.
pub fn begin(
    state: &mut PipelineState,
    name: &EnvironmentName,
    going: Going,
    now: Timestamp,
    said: &mut Said,
) -> Option<ReleaseNumber> {
    let policy = going.plan.pipeline.environment(name).map(|(_, policy)| policy.clone())?;
    state.last_number += 1;
    let number = ReleaseNumber(state.last_number);
    let stage = Stage {
        policy: EnvironmentPolicy { approval: None, rollout: vec![Portion::Percent(100)], bake: Span(0), ..policy },
        deployment: None,
        url: None,
        phase: StagePhase::Waiting { since: now, approvals: Vec::new() },
    };
    said.notes.push(format!(
        "release {number} takes {name} back to release {} ({})",
        going.to.release,
        going.to.sha.short()
    ));
    state.releases.insert(
        number,
        Release {
            number,
            sha: going.to.sha.clone(),
            purpose: Purpose::Rollback { from: going.from, to: going.to.release, by: going.by, reason: going.reason },
            changes: Vec::new(),
            plan: going.plan,
            created_at: now,
            asked: going.asked,
            stages: vec![stage],
        },
    );
    Some(number)
}

/// Which verified release a rollback goes to when nobody names one: what is live while a newer one is being rolled
/// out, else the one before it.
pub fn default_target<'a>(state: &'a PipelineState, name: &EnvironmentName) -> Option<&'a Live> {
    let environment = state.environment(name)?;
    let live = environment.live.as_ref()?;
    let unsettled = state.rolling(name).is_some_and(|(release, _)| !release.is_rollback());
    if unsettled {
        return Some(live);
    }
    environment.good.iter().rev().find(|good| good.sha != live.sha)
}

/// Stops the rollout under way, for a person's rollback to take its place. What is being made on GitHub just now
/// cannot be taken back: the rollout then keeps its environment until it stands, so that nothing of it starts later.
pub fn abort(
    state: &mut PipelineState,
    name: &EnvironmentName,
    by: &Login,
    now: Timestamp,
    said: &mut Said,
) -> Option<ReleaseNumber> {
    let (release, stage) = state.rolling(name)?;
    let at = At { release: release.number, environment: name.clone() };
    let StagePhase::Rolling(rollout) = &stage.phase else { return None };
    match rollout.phase {
        StepPhase::Creating | StepPhase::Dispatching { .. } | StepPhase::Finding { .. } => {
            said.notes.push(format!("release {} will be stopped in {name} by {by}", at.release));
            if let Some(Stage { phase: StagePhase::Rolling(rollout), .. }) = state.stage_mut(at.release, name) {
                rollout.stopped_by.get_or_insert_with(|| by.clone());
            }
        }
        StepPhase::Running { .. } | StepPhase::Baking { .. } => stop(state, &at, by, now, said),
    }
    Some(at.release)
}

/// Ends a rollout that somebody rolled back, and cancels its run.
pub fn stop(state: &mut PipelineState, at: &At, by: &Login, now: Timestamp, said: &mut Said) {
    let (repo, service) = (state.repo.clone(), state.service.clone());
    let Some(release) = state.releases.get_mut(&at.release) else { return };
    let why = format!("{by} rolled it back");
    for stage in &mut release.stages {
        if stage.policy.name == at.environment {
            if let StagePhase::Rolling(Rollout { step, phase: StepPhase::Running { run, .. }, .. }) = &stage.phase {
                let key = dispatch_key(&repo, &service, at.release, &at.environment, *step);
                said.acts.push((EffectKey::new(format!("{key}/cancel")), Act::CancelRun { run: *run }));
            }
            stage.phase = StagePhase::Failed { at: now, why: why.clone() };
        } else if matches!(stage.phase, StagePhase::Ahead) {
            stage.phase = StagePhase::NotReached;
        }
    }
    if let Some(asked) = release.asked.clone() {
        let answer = format!("Release {} was stopped in {}: {why}.", at.release, at.environment);
        said.answers.push((asked, Answer::Final(answer)));
    }
    said.notes.push(format!("release {} was stopped in {} by {by}", at.release, at.environment));
}
