//! A rollout: deployment, then step after step of dispatch, watch, bake and verification.
//!
//! Knows runs and portions. Must never know who allowed it: the gate is judged before each step.

use super::advance::{become_candidate, succeed};
use super::rollback::{Damage, fail, stop};
use super::verify::{Asked, Place, Verdict};
use super::*;
use crate::domain::effect::{Act, Ending};
use crate::domain::facts::{Facts, Need, RunStatus};
use crate::domain::policy::{Portion, Probe};

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
    stage.phase = StagePhase::Rolling(Rollout { step: 0, started_at: now, phase: StepPhase::Creating, stopping: None });
    stage.conditions.clear();
    stage.dry_runs.clear();
    said.acts.push((deployment_key(&repo, &service, at.release, &at.environment), act));
    said.notes.push(format!("release {} starts in {}", at.release, at.environment));
}

/// What must be looked at now.
pub fn needs(state: &PipelineState, now: Timestamp) -> Vec<Need> {
    let mut needs = Vec::new();
    for (at, rollout) in under_way(state) {
        let Some(release) = state.releases.get(&at.release) else { continue };
        let Some(stage) = release.stage(&at.environment) else { continue };
        let key = dispatch_key(&state.repo, &state.service, at.release, &at.environment, rollout.step);
        match &rollout.phase {
            StepPhase::Running { run, since, seen_at } if next_look(*since, *seen_at) <= now => {
                needs.push(Need::Run { run: *run });
            }
            StepPhase::Finding { .. } => needs.extend(search(state, &at)),
            StepPhase::Baking { until, asked, .. } => {
                let place = Place { sha: &release.sha, key: &key, started_at: rollout.started_at, until: *until };
                needs.extend(verify::needs(&stage.policy.verify, asked, &place, now));
            }
            StepPhase::Running { .. }
            | StepPhase::Creating
            | StepPhase::Dispatching { .. }
            | StepPhase::Between { .. }
            | StepPhase::Undecided { .. } => {}
        }
    }
    needs
}

/// How the run of a step that was dispatched is looked for; `None`: it is known, or there is none.
pub fn search(state: &PipelineState, at: &At) -> Option<Need> {
    let release = state.releases.get(&at.release)?;
    let rollout = release.stage(&at.environment)?.rollout()?;
    let (StepPhase::Dispatching { since } | StepPhase::Finding { since }) = rollout.phase else { return None };
    let key = dispatch_key(&state.repo, &state.service, at.release, &at.environment, rollout.step);
    Some(Need::RunByKey { workflow: release.plan.pipeline.workflow.clone(), key, since })
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
        StepPhase::Baking { until, asked, .. } => {
            let soon = now.plus(Span::seconds(1));
            let ends = if *until > now { *until } else { until.plus(policy.timeout).max(soon) };
            let next = verify::wake_at(&policy.verify, asked, *until, now);
            Some(next.map_or(ends, |next| next.min(ends)))
        }
        // Its gate says when time may open it, and a person is asked.
        StepPhase::Between { .. } | StepPhase::Undecided { .. } => None,
    }
}

/// Goes on after an effect of the rollout ended; effects of others are left alone.
pub fn effect_ended(state: &mut PipelineState, key: &EffectKey, ending: &Ending, now: Timestamp, said: &mut Said) {
    for (at, rollout) in under_way(state) {
        let (repo, service) = (&state.repo, &state.service);
        let step = dispatch_key(repo, service, at.release, &at.environment, rollout.step);
        match &rollout.phase {
            StepPhase::Creating if *key == deployment_key(repo, service, at.release, &at.environment) => {
                deployment_made(state, &at, ending, now, said);
            }
            StepPhase::Dispatching { since } if *key == step => {
                dispatched(state, &at, *since, ending, now, said);
            }
            StepPhase::Baking { .. } => with_asked(state, &at, said, |policies, asked| {
                for (index, (policy, asked)) in policies.iter().zip(asked).enumerate() {
                    if asked.run.as_ref().is_some_and(|t| *key == verify::trial_key(&step, index, t.attempt)) {
                        verify::dispatched(policy, asked, ending, now);
                    }
                }
            }),
            StepPhase::Creating
            | StepPhase::Dispatching { .. }
            | StepPhase::Finding { .. }
            | StepPhase::Running { .. }
            | StepPhase::Between { .. }
            | StepPhase::Undecided { .. } => {}
        }
    }
}

/// Works on the verifications of a step that bakes, with the policies that they follow.
fn with_asked(
    state: &mut PipelineState,
    at: &At,
    said: &mut Said,
    work: impl FnOnce(&[crate::domain::policy::Verification], &mut [Asked]),
) {
    let Some(stage) = state.stage_mut(at.release, &at.environment) else { return };
    let Stage { policy, phase: StagePhase::Rolling(Rollout { step, phase, .. }), dry_runs, .. } = stage else { return };
    let StepPhase::Baking { asked, .. } = phase else { return };
    work(&policy.verify, asked);
    let new = verify::note_dry_runs(&policy.verify, asked, (*step, false), dry_runs);
    for new in new.iter().filter(|new| new.outcome != verify::Outcome::Inconclusive) {
        said.notes.push(format!("release {} in {}, {new}", at.release, at.environment));
    }
    let running = |asked: &Asked| match asked.run.as_ref()?.standing {
        verify::TrialStanding::Running { run } => Some(run),
        verify::TrialStanding::Dispatching | verify::TrialStanding::Finding | verify::TrialStanding::Ended => None,
    };
    let runs: Vec<RunId> = asked.iter().filter_map(running).collect();
    runs.into_iter().for_each(|run| stage.keep_run(run));
}

fn deployment_made(state: &mut PipelineState, at: &At, ending: &Ending, now: Timestamp, said: &mut Said) {
    if let (Ending::Refused { .. } | Ending::Superseded, Some(why)) = (ending, stopping(state, at)) {
        return stop(state, at, &why, now, said);
    }
    match ending {
        Ending::Done { id, .. } => {
            if let Some(stage) = state.stage_mut(at.release, &at.environment) {
                stage.deployment = id.map(DeploymentId);
            }
            match stopping(state, at) {
                Some(why) => stop(state, at, &why, now, said),
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
pub fn dispatch(state: &mut PipelineState, at: &At, step: usize, now: Timestamp, said: &mut Said) {
    let key = dispatch_key(&state.repo, &state.service, at.release, &at.environment, step);
    let service = state.service.clone();
    let Some(release) = state.releases.get_mut(&at.release) else { return };
    let (sha, workflow, branch) =
        (release.sha.clone(), release.plan.pipeline.workflow.clone(), release.plan.default_branch.clone());
    let Some(stage) = release.stages.iter_mut().find(|s| s.policy.name == at.environment) else { return };
    let StagePhase::Rolling(rollout) = &mut stage.phase else { return };
    rollout.step = step;
    rollout.phase = StepPhase::Dispatching { since: now };
    stage.conditions.clear();
    let portion = stage.policy.rollout.get(step).cloned().unwrap_or(Portion::ALL);
    let inputs = inputs(&service, at, &sha, &portion, &key);
    said.acts.push((key, Act::DispatchWorkflow { workflow, branch, inputs }));
    said.notes.push(format!("release {}: {portion} of {} is dispatched", at.release, at.environment));
}

/// What a workflow is told. A wave is named and reached whole; without waves `wave` is not sent, so that a workflow
/// that does not know it need not.
fn inputs(service: &ServiceName, at: &At, sha: &Sha, portion: &Portion, key: &EffectKey) -> BTreeMap<String, String> {
    let (percent, wave) = match portion {
        Portion::Percent(percent) => (percent.to_string(), None),
        Portion::Wave(wave) => ("100".to_owned(), Some(("wave", wave.to_string()))),
    };
    let inputs = [
        ("environment", at.environment.to_string()),
        ("service", service.to_string()),
        ("sha", sha.to_string()),
        ("percent", percent),
        ("release", at.release.to_string()),
        ("plimsoll_key", key.to_string()),
    ];
    inputs.into_iter().chain(wave).map(|(name, value)| (name.to_owned(), value)).collect()
}

fn dispatched(
    state: &mut PipelineState,
    at: &At,
    dispatched_at: Timestamp,
    ending: &Ending,
    now: Timestamp,
    said: &mut Said,
) {
    // What somebody stopped meanwhile is not rolled back by itself on top of that.
    if let (Ending::Refused { .. } | Ending::Superseded, Some(why)) = (ending, stopping(state, at)) {
        return stop(state, at, &why, now, said);
    }
    let first = rollout_at(state, at).is_none_or(|rollout| rollout.step == 0);
    let damage = if first { Damage::None } else { Damage::Possible };
    match ending {
        Ending::Done { id: Some(id), url } => {
            enter(state, at, StepPhase::Running { run: RunId(*id), since: now, seen_at: None }, url.clone());
            if let Some(why) = stopping(state, at) {
                stop(state, at, &why, now, said);
            }
        }
        Ending::Done { id: None, url } => {
            enter(state, at, StepPhase::Finding { since: dispatched_at }, url.clone());
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

fn rollout_at<'a>(state: &'a PipelineState, at: &At) -> Option<&'a Rollout> {
    state.releases.get(&at.release)?.stage(&at.environment)?.rollout()
}

/// Why a rollout must stop that could not be stopped at once.
fn stopping(state: &PipelineState, at: &At) -> Option<Stop> {
    rollout_at(state, at)?.stopping.clone()
}

fn enter(state: &mut PipelineState, at: &At, phase: StepPhase, url: Option<String>) {
    let Some(stage) = state.stage_mut(at.release, &at.environment) else { return };
    if url.is_some() {
        stage.url = url;
    }
    if let StepPhase::Running { run, .. } = phase {
        stage.keep_run(run);
    }
    if let StagePhase::Rolling(rollout) = &mut stage.phase {
        rollout.phase = phase;
    }
}

/// How a run came to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A delivery told of it. Anybody who may write can start a run with any title, so it counts only for a run that is
    /// known by its number.
    Told,
    /// It was looked at by its number.
    LookedAt,
    /// It was found by its key among the runs that we dispatched ourselves.
    Found,
}

/// Goes on after a run was seen. A run of nobody's is left alone.
pub fn run_seen(state: &mut PipelineState, run: &RunSnapshot, seen: Seen, now: Timestamp, said: &mut Said) {
    for (at, rollout) in under_way(state) {
        let key = dispatch_key(&state.repo, &state.service, at.release, &at.environment, rollout.step);
        let (since, seen_before) = match &rollout.phase {
            StepPhase::Running { run: known, since, seen_at } if *known == run.id => (*since, *seen_at),
            StepPhase::Dispatching { since } | StepPhase::Finding { since }
                if seen == Seen::Found && title_carries(run, &key) =>
            {
                (*since, None)
            }
            // It said by itself that it had succeeded, and then did not end well.
            StepPhase::Baking { run: Some(known), .. } if *known == run.id => {
                if let Some(why) = misfortune(run.status) {
                    fail(state, &at, why.to_owned(), Damage::Possible, now, said);
                }
                continue;
            }
            StepPhase::Baking { .. } => {
                with_asked(state, &at, said, |policies, asked| {
                    trial_seen(policies, asked, &key, run, seen, now);
                });
                continue;
            }
            StepPhase::Creating
            | StepPhase::Dispatching { .. }
            | StepPhase::Finding { .. }
            | StepPhase::Running { .. }
            | StepPhase::Between { .. }
            | StepPhase::Undecided { .. } => continue,
        };
        // Only a look of our own counts as seen: short runs then end before a status in between is worth its request.
        let seen_at = if seen == Seen::LookedAt { Some(now) } else { seen_before };
        enter(state, &at, StepPhase::Running { run: run.id, since, seen_at }, Some(run.url.clone()));
        if let Some(why) = &rollout.stopping {
            stop(state, &at, why, now, said);
            continue;
        }
        match misfortune(run.status) {
            Some(why) => fail(state, &at, why.to_owned(), Damage::Possible, now, said),
            None if run.status == RunStatus::Succeeded => {
                // The run may have ended after this turn began: then the turn's time is too early to count from.
                step_succeeded(state, &at, run.updated_at.max(now), None, now, said);
            }
            None => {}
        }
    }
}

/// How a run went wrong, as the end of a sentence; `None`: it did not.
fn misfortune(status: RunStatus) -> Option<&'static str> {
    match status {
        RunStatus::Queued | RunStatus::InProgress | RunStatus::Succeeded => None,
        RunStatus::Failed => Some("the workflow run failed"),
        RunStatus::Cancelled => Some("the workflow run was cancelled"),
        RunStatus::TimedOut => Some("the workflow run timed out"),
        RunStatus::Other => Some("the workflow run ended without success"),
    }
}

/// Shows a run to the workflow verifications of a step.
fn trial_seen(
    policies: &[crate::domain::policy::Verification],
    asked: &mut [Asked],
    step: &EffectKey,
    run: &RunSnapshot,
    seen: Seen,
    now: Timestamp,
) {
    for (index, (policy, asked)) in policies.iter().zip(asked).enumerate() {
        let Some(trial) = &asked.run else { continue };
        let ours = match trial.standing {
            verify::TrialStanding::Running { run: known } => known == run.id,
            verify::TrialStanding::Dispatching | verify::TrialStanding::Finding => {
                seen == Seen::Found && title_carries(run, &verify::trial_key(step, index, trial.attempt))
            }
            verify::TrialStanding::Ended => false,
        };
        if ours {
            verify::run_seen(policy, asked, run, now);
        }
    }
}

/// Goes on after no run was found by a key: gives up when that has lasted.
pub fn not_found(state: &mut PipelineState, key: &EffectKey, now: Timestamp, said: &mut Said) {
    for (at, rollout) in under_way(state) {
        let step = dispatch_key(&state.repo, &state.service, at.release, &at.environment, rollout.step);
        let lasted = matches!(rollout.phase, StepPhase::Finding { since } if since.plus(FIND_FOR) <= now);
        if lasted && step == *key {
            let why = "GitHub named no run for the dispatch and none was found by its key; the workflow's \
                       `run-name` should hold `${{ inputs.plimsoll_key }}`";
            fail(state, &at, why.to_owned(), Damage::Unknown, now, said);
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

/// The step's run succeeded, or says that it did (`run` is then still going on): it bakes and is verified.
pub fn step_succeeded(
    state: &mut PipelineState,
    at: &At,
    finished_at: Timestamp,
    run: Option<RunId>,
    now: Timestamp,
    said: &mut Said,
) {
    let Some((release, stage)) = state.releases.get(&at.release).and_then(|r| Some((r, r.stage(&at.environment)?)))
    else {
        return;
    };
    let bake = gate::bake(state, release, stage);
    let verified = !stage.policy.verify.is_empty();
    if bake.0 > 0 || verified || run.is_some() {
        let asked = stage.policy.verify.iter().map(|_| Asked::nothing()).collect();
        let note = match verified {
            true => format!("release {} bakes in {} for {bake} and is verified", at.release, at.environment),
            false => format!("release {} bakes in {} for {bake}", at.release, at.environment),
        };
        enter(state, at, StepPhase::Baking { run, until: finished_at.plus(bake), asked }, None);
        said.notes.push(note);
    } else {
        step_done(state, at, now, said);
    }
}

/// The step is well: on to the next one, or the rollout is through.
pub fn step_done(state: &mut PipelineState, at: &At, now: Timestamp, said: &mut Said) {
    if let Some(Stage { policy, phase: StagePhase::Rolling(rollout), dry_runs, .. }) =
        state.stage_mut(at.release, &at.environment)
        && let StepPhase::Baking { asked, .. } = &rollout.phase
    {
        verify::note_dry_runs(&policy.verify, asked, (rollout.step, true), dry_runs);
    }
    let Some(rollout) = rollout_at(state, at) else { return };
    let steps =
        state.releases.get(&at.release).and_then(|r| r.stage(&at.environment)).map_or(0, |s| s.policy.rollout.len());
    if rollout.step + 1 < steps {
        enter(state, at, StepPhase::Between { since: now }, None);
        return;
    }
    succeed(state, at, now, said);
    let Some(release) = state.releases.get(&at.release) else { return };
    let following = release.stages.iter().skip_while(|s| s.policy.name != at.environment).nth(1);
    if let Some(name) = following.map(|s| s.policy.name.clone()) {
        become_candidate(state, at.release, &name, now, said);
    }
}

/// Judges what was looked up for the verifications of steps that bake, and dispatches workflows that are due.
pub fn verified(state: &mut PipelineState, facts: &Facts, now: Timestamp, said: &mut Said) {
    for (at, rollout) in under_way(state) {
        let StepPhase::Baking { until, .. } = rollout.phase else { continue };
        let key = dispatch_key(&state.repo, &state.service, at.release, &at.environment, rollout.step);
        let Some(release) = state.releases.get(&at.release) else { continue };
        let (sha, branch) = (release.sha.clone(), release.plan.default_branch.clone());
        let place = Place { sha: &sha, key: &key, started_at: rollout.started_at, until };
        let mut trials = Vec::new();
        with_asked(state, &at, said, |policies, asked| {
            for (index, attempt) in verify::look(policies, asked, &place, facts, now) {
                if let Some(Probe::Workflow { workflow }) = policies.get(index).map(|policy| &policy.probe) {
                    trials.push((workflow.clone(), verify::trial_key(&key, index, attempt)));
                }
            }
        });
        for (workflow, key) in trials {
            let inputs = inputs(&state.service, &at, &sha, &Portion::ALL, &key);
            said.notes.push(format!("release {}: {workflow} verifies {}", at.release, at.environment));
            said.acts.push((key, Act::DispatchWorkflow { workflow, branch: branch.clone(), inputs }));
        }
    }
}

/// Goes on where only time had to pass: bakes that are over, runs that take too long, runs that were never found.
pub fn time_passed(state: &mut PipelineState, now: Timestamp, said: &mut Said) {
    for (at, rollout) in under_way(state) {
        let Some(stage) = state.stage_mut(at.release, &at.environment) else { continue };
        let timeout = stage.policy.timeout;
        match &rollout.phase {
            StepPhase::Baking { until, asked, .. } => match verify::verdict(&stage.policy.verify, asked) {
                Verdict::Failed(why) => fail(state, &at, why, Damage::Possible, now, said),
                // Whatever called was no look: that comes next, and asks.
                Verdict::Passed if verify::is_overdue(&stage.policy.verify, asked, *until, now) => {}
                Verdict::Passed if until.plus(timeout) <= now => step_done(state, &at, now, said),
                Verdict::Passed if *until <= now && verify::dry_runs_asked(&stage.policy.verify, asked) => {
                    step_done(state, &at, now, said);
                }
                Verdict::Open if until.plus(timeout) <= now => {
                    let why = verify::undecided(&stage.policy.verify, asked);
                    said.notes.push(format!("release {} is undecided in {}: {why}", at.release, at.environment));
                    enter(state, &at, StepPhase::Undecided { since: now, why }, None);
                }
                Verdict::Passed | Verdict::Open => {}
            },
            StepPhase::Running { run, since, .. } if since.plus(timeout) <= now => {
                let key = dispatch_key(&state.repo, &state.service, at.release, &at.environment, rollout.step);
                said.acts.push((EffectKey::new(format!("{key}/cancel")), Act::CancelRun { run: *run }));
                let why = format!("the workflow run did not end within {timeout}");
                fail(state, &at, why, Damage::Possible, now, said);
            }
            StepPhase::Creating
            | StepPhase::Dispatching { .. }
            | StepPhase::Finding { .. }
            | StepPhase::Running { .. }
            | StepPhase::Between { .. }
            | StepPhase::Undecided { .. } => {}
        }
    }
}
