//! A rollout: deployment, then step after step of dispatch, watch and bake.
//!
//! Knows runs and percentages. Must never know who allowed it: the gate was judged before it started.

use super::advance::{become_candidate, succeed};
use super::rollback::{Damage, fail, stop};
use super::*;
use crate::domain::effect::{Act, Ending};
use crate::domain::facts::{Need, RunStatus};
use crate::domain::policy::Portion;

/// How long a run that GitHub did not name is looked for.
const FIND_FOR: Span = Span::minutes(5);
/// How often it is looked for.
const FIND_EVERY: Span = Span::seconds(15);

/// A rollout's place: which release, where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    pub release: ReleaseNumber,
    pub environment: EnvironmentName,
}

/// Every rollout under way.
pub fn under_way(state: &PipelineState) -> Vec<(At, Rollout)> {
    let mut found = Vec::new();
    for release in state.releases.values() {
        for stage in &release.stages {
            if let StagePhase::Rolling(rollout) = &stage.phase {
                found.push((At { release: release.number, environment: stage.policy.name.clone() }, rollout.clone()));
            }
        }
    }
    found
}

/// Starts a rollout by asking for the GitHub Deployment.
pub fn start(state: &mut PipelineState, at: &At, now: Timestamp, said: &mut Said) {
    let (repo, service) = (state.repo.clone(), state.service.clone());
    let Some(release) = state.releases.get_mut(&at.release) else { return };
    let production = release.plan.pipeline.environments.last().is_some_and(|e| e.name == at.environment);
    let task = if release.is_rollback() { "rollback" } else { "deploy" };
    let act = Act::CreateDeployment {
        sha: release.sha.clone(),
        environment: at.environment.clone(),
        task: format!("{task}:{service}"),
        description: format!("Release {} of {service}", release.number),
        production,
    };
    let Some(stage) = release.stages.iter_mut().find(|s| s.policy.name == at.environment) else { return };
    stage.phase =
        StagePhase::Rolling(Rollout { step: 0, started_at: now, phase: StepPhase::Creating, stopped_by: None });
    said.acts.push((deployment_key(&repo, &service, at.release, &at.environment), act));
    said.notes.push(format!("release {} starts in {}", at.release, at.environment));
}

/// What must be looked at now. `pushed` is whether somebody other than the clock called.
pub fn needs(state: &PipelineState, now: Timestamp) -> Vec<Need> {
    under_way(state)
        .into_iter()
        .filter_map(|(at, rollout)| match rollout.phase {
            StepPhase::Running { run, since, seen_at } if next_look(since, seen_at) <= now => Some(Need::Run { run }),
            StepPhase::Finding { since } => {
                let workflow = state.releases.get(&at.release)?.plan.pipeline.workflow.clone();
                let key = dispatch_key(&state.repo, &state.service, at.release, &at.environment, rollout.step);
                Some(Need::RunByKey { workflow, key, since })
            }
            StepPhase::Running { .. }
            | StepPhase::Creating
            | StepPhase::Dispatching { .. }
            | StepPhase::Baking { .. } => None,
        })
        .collect()
}

/// When a running workflow is looked at next: soon at first, then a quarter of its age, between 20 s and 2 min.
fn next_look(since: Timestamp, seen_at: Option<Timestamp>) -> Timestamp {
    let last = seen_at.unwrap_or(since);
    let wait = Span((last.since(since).0 / 4).clamp(Span::seconds(20).0, Span::minutes(2).0));
    last.plus(wait)
}

/// When the clock must call for a rollout, whatever else happens.
pub fn wake_at(policy: &EnvironmentPolicy, rollout: &Rollout, now: Timestamp) -> Option<Timestamp> {
    match &rollout.phase {
        // The outbox owns these two: it reports however long it takes.
        StepPhase::Creating | StepPhase::Dispatching { .. } => None,
        StepPhase::Finding { .. } => Some(now.plus(FIND_EVERY)),
        StepPhase::Running { since, seen_at, .. } => {
            Some(next_look(*since, *seen_at).min(since.plus(policy.timeout)).max(now.plus(Span::seconds(1))))
        }
        StepPhase::Baking { until } => Some(*until),
    }
}

/// Goes on after an effect of the rollout ended; effects of others are left alone.
pub fn effect_ended(state: &mut PipelineState, key: &EffectKey, ending: &Ending, now: Timestamp, said: &mut Said) {
    for (at, rollout) in under_way(state) {
        let (repo, service) = (&state.repo, &state.service);
        match &rollout.phase {
            StepPhase::Creating if *key == deployment_key(repo, service, at.release, &at.environment) => {
                deployment_made(state, &at, ending, now, said);
            }
            StepPhase::Dispatching { .. }
                if *key == dispatch_key(repo, service, at.release, &at.environment, rollout.step) =>
            {
                dispatched(state, &at, &rollout, ending, now, said);
            }
            StepPhase::Creating
            | StepPhase::Dispatching { .. }
            | StepPhase::Finding { .. }
            | StepPhase::Running { .. }
            | StepPhase::Baking { .. } => {}
        }
    }
}

fn deployment_made(state: &mut PipelineState, at: &At, ending: &Ending, now: Timestamp, said: &mut Said) {
    match ending {
        Ending::Done { id, .. } => {
            if let Some(stage) = state.stage_mut(at.release, &at.environment) {
                stage.deployment = id.map(DeploymentId);
            }
            match stopped_by(state, at) {
                Some(by) => stop(state, at, &by, now, said),
                None => dispatch(state, at, 0, now, said),
            }
        }
        Ending::Refused { message } => {
            fail(state, at, format!("GitHub refused the deployment: {message}"), Damage::None, now, said);
        }
        Ending::Superseded => fail(state, at, "the deployment was never made".into(), Damage::None, now, said),
        Ending::Unknown { message } => {
            fail(
                state,
                at,
                format!("it is not known whether the deployment was made: {message}"),
                Damage::None,
                now,
                said,
            );
        }
    }
}

/// Dispatches a step's workflow run.
fn dispatch(state: &mut PipelineState, at: &At, step: usize, now: Timestamp, said: &mut Said) {
    let key = dispatch_key(&state.repo, &state.service, at.release, &at.environment, step);
    let service = state.service.clone();
    let Some(release) = state.releases.get_mut(&at.release) else { return };
    let (sha, workflow, branch) =
        (release.sha.clone(), release.plan.pipeline.workflow.clone(), release.plan.default_branch.clone());
    let Some(stage) = release.stages.iter_mut().find(|s| s.policy.name == at.environment) else { return };
    let StagePhase::Rolling(rollout) = &mut stage.phase else { return };
    rollout.step = step;
    rollout.phase = StepPhase::Dispatching { since: now };
    let portion = stage.policy.rollout.get(step).cloned().unwrap_or(Portion::ALL);
    let (percent, wave) = match &portion {
        Portion::Percent(percent) => (percent.to_string(), None),
        Portion::Wave(wave) => ("100".to_owned(), Some(wave.to_string())),
    };
    let inputs = [
        ("environment", at.environment.to_string()),
        ("service", service.to_string()),
        ("sha", sha.to_string()),
        ("percent", percent),
        ("release", at.release.to_string()),
        ("plimsoll_key", key.to_string()),
    ];
    let wave = wave.map(|wave| ("wave", wave));
    let inputs = inputs.into_iter().chain(wave).map(|(name, value)| (name.to_owned(), value)).collect();
    said.acts.push((key, Act::DispatchWorkflow { workflow, branch, inputs }));
    said.notes.push(format!("release {}: {portion} of {} is dispatched", at.release, at.environment));
}

fn dispatched(state: &mut PipelineState, at: &At, rollout: &Rollout, ending: &Ending, now: Timestamp, said: &mut Said) {
    let damage = if rollout.step == 0 { Damage::None } else { Damage::Possible };
    match ending {
        Ending::Done { id, url } => {
            let since = now;
            let phase = match id {
                Some(id) => StepPhase::Running { run: RunId(*id), since, seen_at: None },
                None => {
                    let dispatched_at = match rollout.phase {
                        StepPhase::Dispatching { since } => since,
                        StepPhase::Creating
                        | StepPhase::Finding { .. }
                        | StepPhase::Running { .. }
                        | StepPhase::Baking { .. } => now,
                    };
                    StepPhase::Finding { since: dispatched_at }
                }
            };
            let found = matches!(phase, StepPhase::Running { .. });
            enter(state, at, phase, url.clone());
            if let (true, Some(by)) = (found, stopped_by(state, at)) {
                stop(state, at, &by, now, said);
            }
        }
        Ending::Refused { message } => {
            fail(state, at, format!("GitHub refused to start the workflow: {message}"), damage, now, said);
        }
        Ending::Superseded => fail(state, at, "the workflow was never started".into(), damage, now, said),
        Ending::Unknown { message } => {
            let why = format!("it is not known whether the workflow was started: {message}");
            fail(state, at, why, Damage::Unknown, now, said);
        }
    }
}

/// Who rolled a rollout back that could not be stopped at once.
fn stopped_by(state: &PipelineState, at: &At) -> Option<Login> {
    match &state.releases.get(&at.release)?.stage(&at.environment)?.phase {
        StagePhase::Rolling(rollout) => rollout.stopped_by.clone(),
        StagePhase::Ahead
        | StagePhase::Waiting { .. }
        | StagePhase::Succeeded { .. }
        | StagePhase::Failed { .. }
        | StagePhase::Superseded { .. }
        | StagePhase::NotReached => None,
    }
}

fn enter(state: &mut PipelineState, at: &At, phase: StepPhase, url: Option<String>) {
    let Some(stage) = state.stage_mut(at.release, &at.environment) else { return };
    if url.is_some() {
        stage.url = url;
    }
    if let StagePhase::Rolling(rollout) = &mut stage.phase {
        rollout.phase = phase;
    }
}

/// Goes on after a run was seen, whoever showed it. A run of nobody's is left alone.
pub fn run_seen(state: &mut PipelineState, run: &RunSnapshot, polled: bool, now: Timestamp, said: &mut Said) {
    for (at, rollout) in under_way(state) {
        let key = dispatch_key(&state.repo, &state.service, at.release, &at.environment, rollout.step);
        let since = match &rollout.phase {
            StepPhase::Running { run: known, since, .. } if *known == run.id => *since,
            // GitHub may tell of the run before it answers the dispatch.
            StepPhase::Dispatching { since } | StepPhase::Finding { since } if title_carries(run, &key) => *since,
            StepPhase::Creating
            | StepPhase::Dispatching { .. }
            | StepPhase::Finding { .. }
            | StepPhase::Running { .. }
            | StepPhase::Baking { .. } => continue,
        };
        let seen_before = match &rollout.phase {
            StepPhase::Running { seen_at, .. } => *seen_at,
            StepPhase::Creating
            | StepPhase::Dispatching { .. }
            | StepPhase::Finding { .. }
            | StepPhase::Baking { .. } => None,
        };
        // Only a look of our own counts as seen: short runs then end before a status in between is worth its request.
        let seen_at = if polled { Some(now) } else { seen_before };
        enter(state, &at, StepPhase::Running { run: run.id, since, seen_at }, Some(run.url.clone()));
        if let Some(by) = &rollout.stopped_by {
            stop(state, &at, by, now, said);
            continue;
        }
        match run.status {
            RunStatus::Queued | RunStatus::InProgress => {}
            RunStatus::Succeeded => step_succeeded(state, &at, run, now, said),
            RunStatus::Failed => fail(state, &at, "the workflow run failed".into(), Damage::Possible, now, said),
            RunStatus::Cancelled => {
                fail(state, &at, "the workflow run was cancelled".into(), Damage::Possible, now, said)
            }
            RunStatus::TimedOut => fail(state, &at, "the workflow run timed out".into(), Damage::Possible, now, said),
            RunStatus::Other => {
                fail(state, &at, "the workflow run ended without success".into(), Damage::Possible, now, said);
            }
        }
    }
}

/// Goes on after a run that was looked for by number is not there.
pub fn run_gone(state: &mut PipelineState, run: RunId, now: Timestamp, said: &mut Said) {
    for (at, rollout) in under_way(state) {
        if matches!(rollout.phase, StepPhase::Running { run: known, .. } if known == run) {
            fail(state, &at, "the workflow run was deleted".into(), Damage::Possible, now, said);
        }
    }
}

fn step_succeeded(state: &mut PipelineState, at: &At, run: &RunSnapshot, now: Timestamp, said: &mut Said) {
    let Some(stage) = state.stage_mut(at.release, &at.environment) else { return };
    let bake = stage.policy.bake;
    if bake.0 > 0 {
        // The run may have ended after this turn began: then the turn's time is too early to count from.
        let finished_at = run.updated_at.max(now);
        enter(state, at, StepPhase::Baking { until: finished_at.plus(bake) }, None);
        said.notes.push(format!("release {} bakes in {} for {bake}", at.release, at.environment));
        return;
    }
    next_step(state, at, now, said);
}

fn next_step(state: &mut PipelineState, at: &At, now: Timestamp, said: &mut Said) {
    let Some(stage) = state.stage_mut(at.release, &at.environment) else { return };
    let StagePhase::Rolling(rollout) = &stage.phase else { return };
    let next = rollout.step + 1;
    if next < stage.policy.rollout.len() {
        dispatch(state, at, next, now, said);
        return;
    }
    succeed(state, at, now, said);
    let Some(release) = state.releases.get(&at.release) else { return };
    let following = release.stages.iter().skip_while(|s| s.policy.name != at.environment).nth(1);
    if let Some(name) = following.map(|s| s.policy.name.clone()) {
        become_candidate(state, at.release, &name, now, said);
    }
}

/// Goes on where only time had to pass: bakes that are over, runs that take too long, runs that were never found.
pub fn time_passed(state: &mut PipelineState, now: Timestamp, said: &mut Said) {
    for (at, rollout) in under_way(state) {
        let Some(stage) = state.stage_mut(at.release, &at.environment) else { continue };
        let timeout = stage.policy.timeout;
        match rollout.phase {
            StepPhase::Baking { until } if until <= now => next_step(state, &at, now, said),
            StepPhase::Running { run, since, .. } if since.plus(timeout) <= now => {
                let key = dispatch_key(&state.repo, &state.service, at.release, &at.environment, rollout.step);
                said.acts.push((EffectKey::new(format!("{key}/cancel")), Act::CancelRun { run }));
                let why = format!("the workflow run did not end within {timeout}");
                fail(state, &at, why, Damage::Possible, now, said);
            }
            StepPhase::Finding { since } if since.plus(FIND_FOR) <= now => {
                let why = "GitHub named no run for the dispatch and none was found by its key; the workflow's \
                           `run-name` should hold `${{ inputs.plimsoll_key }}`";
                fail(state, &at, why.to_owned(), Damage::Unknown, now, said);
            }
            StepPhase::Creating
            | StepPhase::Dispatching { .. }
            | StepPhase::Finding { .. }
            | StepPhase::Running { .. }
            | StepPhase::Baking { .. } => {}
        }
    }
}
