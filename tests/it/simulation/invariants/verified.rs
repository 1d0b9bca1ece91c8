//! Verification of steps, counted anew from what the world answered and from the runs on GitHub.
//!
//! Must never look at what the pipeline counted; only, when a bake begins, at whether it asked in that very turn.

use super::super::health::{self, Said};
use super::super::replay::Heard;
use super::super::scene::{Place, Scene};
use super::{DRY_RUNS_ASKED, FAILED_STOPS, Turned, UNDECIDED_WAITS, VERIFIED, band, rollout_of, same_stage, stages};
use plimsoll::domain::chatops::Verb;
use plimsoll::domain::event::{Event, Signal};
use plimsoll::domain::ids::*;
use plimsoll::domain::policy::{NoData, Probe, Verification};
use plimsoll::domain::release::{Release, Rollout, Stage, StagePhase, StepPhase};
use plimsoll::sandbox::model::RunState;

pub fn committed(scene: &mut Scene, turned: &Turned<'_>) {
    for (release, stage) in stages(turned.after) {
        let was = same_stage(turned.before, release, stage).and_then(rollout_of);
        let now = rollout_of(stage);
        let place: Place = (turned.after.service.clone(), release.number, stage.policy.name.clone());
        for rollout in [was, now].into_iter().flatten().take(1) {
            listen(scene, turned, release, stage, rollout, &place);
        }
        if let (Some(now), Some(was)) = (now, was)
            && now.step == was.step
            && is_baking(now)
            && !is_baking(was)
        {
            note_bake(scene, turned, release, stage, now.step, &place);
        }
        if let Some(was) = was {
            goes_on_verified(scene, turned, stage, was, &place);
        }
        stops_when_failed(scene, stage, &place);
    }
}

fn is_baking(rollout: &Rollout) -> bool {
    matches!(rollout.phase, StepPhase::Baking { .. })
}

/// Counts what this turn heard.
fn listen(scene: &mut Scene, turned: &Turned<'_>, release: &Release, stage: &Stage, rollout: &Rollout, place: &Place) {
    let Heard { readings, checks, .. } = turned.heard;
    for (index, verification) in stage.policy.verify.iter().enumerate() {
        let said = match &verification.probe {
            Probe::Workflow { .. } => None,
            Probe::Check { name } => {
                let found = checks.iter().find(|(sha, _)| *sha == release.sha);
                found.map(|(_, checks)| health::check_judged(name, checks))
            }
            Probe::Http { .. } | Probe::Live { .. } | Probe::Prometheus { .. } => {
                health::judged(verification, &release.sha, rollout.started_at, turned.at, readings)
            }
        };
        let Some(said) = said else { continue };
        let baking = is_baking(rollout) || rollout_of(stage).is_some_and(is_baking);
        let heard = scene.record.heard.entry((place.clone(), rollout.step, index)).or_default();
        // What was asked for another's sake in between counts for nothing here.
        if !baking || heard.at.is_some_and(|last| last.plus(verification.every) > turned.at) {
            continue;
        }
        // What was asked for another's sake while its bake began is not its answer.
        let asked = rollout_of(stage).and_then(|now| match &now.phase {
            StepPhase::Baking { asked, .. } => asked.get(index).map(|asked| asked.at),
            _ => None,
        });
        if !is_baking(rollout) && asked == Some(None) {
            continue;
        }
        heard.at = Some(turned.at);
        count(verification, said, &mut heard.good, &mut heard.bad);
    }
}

fn count(verification: &Verification, said: Said, good: &mut u32, bad: &mut u32) {
    let said = match (said, verification.no_data) {
        (Said::Nothing, NoData::Success) => Said::Good,
        (Said::Nothing, NoData::Failure) => Said::Bad,
        (said, _) => said,
    };
    match said {
        Said::Good => *good += 1,
        Said::Bad => (*good, *bad) = (0, *bad + 1),
        Said::Nothing | Said::Waits => {}
    }
}

/// Good answers in a row and bad ones in all; of a workflow by its runs before an attempt, as GitHub shows them.
fn heard(
    scene: &Scene,
    verification: &Verification,
    place: &Place,
    step: usize,
    index: usize,
    before: u64,
) -> (u32, u32) {
    if !matches!(verification.probe, Probe::Workflow { .. }) {
        let heard = scene.record.heard.get(&(place.clone(), step, index)).cloned().unwrap_or_default();
        return (heard.good, heard.bad);
    }
    let (service, release, environment) = place;
    let of =
        format!("/{service}/release-{release}/{environment}/step-{}/attempt-1/verify-{}/attempt-", step + 1, index + 1);
    let mut runs: Vec<(u64, &RunState)> = Vec::new();
    for run in scene.model.runs.values() {
        let Some(key) = run.inputs.get("plimsoll_key") else { continue };
        let attempt = key.split_once(of.as_str()).and_then(|(_, attempt)| attempt.parse::<u64>().ok());
        runs.extend(attempt.filter(|attempt| *attempt < before).map(|attempt| (attempt, &run.state)));
    }
    runs.sort_by_key(|(attempt, _)| *attempt);
    let (mut good, mut bad) = (0, 0);
    for (_, state) in runs {
        match state {
            RunState::Completed { conclusion, .. } => {
                let said = match conclusion.as_str() {
                    "success" => Said::Good,
                    "failure" => Said::Bad,
                    _ => Said::Nothing,
                };
                count(verification, said, &mut good, &mut bad);
            }
            RunState::Queued | RunState::InProgress { .. } => {}
        }
    }
    (good, bad)
}

/// Keeps how long a step must bake, by the band of what the release brings.
fn note_bake(scene: &mut Scene, turned: &Turned<'_>, release: &Release, stage: &Stage, step: usize, place: &Place) {
    let mut bake = stage.policy.bake;
    if !release.is_rollback() {
        let band = band(scene, turned.after, release, &stage.policy.name);
        let raises = stage.policy.when_risk.iter().filter(|raise| band.is_none_or(|band| raise.from <= band));
        bake = raises.filter_map(|raise| raise.bake).chain([bake]).max().unwrap_or(bake);
    }
    scene.record.bakes.insert((place.clone(), step), bake);
}

fn goes_on_verified(scene: &mut Scene, turned: &Turned<'_>, stage: &Stage, was: &Rollout, place: &Place) {
    let paused = |rollout: &Rollout| matches!(rollout.phase, StepPhase::Between { .. });
    let done = match &stage.phase {
        StagePhase::Succeeded { .. } => true,
        StagePhase::Rolling(now) => now.step > was.step || paused(now),
        _ => false,
    };
    if !done || paused(was) {
        return;
    }
    let resumed = turned.heard.events.iter().any(|(_, event)| match event {
        Event::Signal(Signal::Commanded { command, .. }) => matches!(command.verb, Verb::Resume { .. }),
        _ => false,
    });
    if matches!(was.phase, StepPhase::Undecided { .. }) && !resumed {
        scene.broke(UNDECIDED_WAITS, format!("{place:?} goes on from {was:?}"));
    }
    let baked = match &was.phase {
        StepPhase::Baking { until, .. } => Some(until.plus(stage.policy.timeout)),
        _ => None,
    };
    for (index, verification) in stage.policy.verify.iter().enumerate().filter(|(_, one)| one.dry_run) {
        // Of a workflow its runs tell, as far as GitHub takes them; and nothing waits for one for good.
        let tells = matches!(verification.probe, Probe::Workflow { .. }) || resumed;
        if tells || baked.is_none_or(|last| last <= turned.at) {
            continue;
        }
        if scene.record.heard.get(&(place.clone(), was.step, index)).is_none_or(|heard| heard.at.is_none()) {
            scene.broke(DRY_RUNS_ASKED, format!("{place:?} goes on after step {}: {verification:?}", was.step));
        }
    }
    for (index, verification) in stage.policy.verify.iter().enumerate().filter(|(_, one)| !one.dry_run) {
        // A try that GitHub refused leaves nothing behind to count.
        if resumed || matches!((&verification.probe, verification.no_data), (Probe::Workflow { .. }, NoData::Success)) {
            continue;
        }
        let (good, bad) = heard(scene, verification, place, was.step, index, u64::MAX);
        if good < verification.successes {
            let story =
                format!("{place:?} goes on after step {}: {verification:?} heard {good} good, {bad} bad", was.step);
            scene.broke(VERIFIED, story);
        }
    }
    if matches!(stage.phase, StagePhase::Succeeded { .. }) {
        scene.record.verified.insert(place.clone());
    }
}

fn stops_when_failed(scene: &mut Scene, stage: &Stage, place: &Place) {
    let Some(rollout) = rollout_of(stage) else { return };
    for (index, verification) in stage.policy.verify.iter().enumerate().filter(|(_, one)| !one.dry_run) {
        if matches!(verification.probe, Probe::Workflow { .. }) {
            continue;
        }
        let (_, bad) = heard(scene, verification, place, rollout.step, index, u64::MAX);
        if bad > verification.failures_allowed {
            scene.broke(FAILED_STOPS, format!("{place:?} is {rollout:?}: {verification:?} heard {bad} bad"));
        }
    }
}

/// Judges a workflow verification's try at the moment at which GitHub takes it.
pub fn tried(scene: &mut Scene, key: &str) {
    let parts: Vec<&str> = key.split('/').collect();
    let [_, _, service, release, environment, step, _, index, attempt] = parts.as_slice() else { return };
    let number = |text: &str| text.rsplit('-').next().and_then(|n| n.parse::<u64>().ok());
    let (Some(release), Some(step), Some(index), Some(attempt)) =
        (number(release), number(step), number(index), number(attempt))
    else {
        return;
    };
    let place: Place = (ServiceName::new(*service), ReleaseNumber(release), EnvironmentName::new(*environment));
    let Some(state) = scene.record.pipelines.get(&place.0) else { return };
    let stage = state.releases.get(&place.1).and_then(|release| release.stage(&place.2));
    let Some(verification) = stage.and_then(|stage| stage.policy.verify.get(index as usize - 1)).cloned() else {
        return;
    };
    let (_, bad) = heard(scene, &verification, &place, step as usize - 1, index as usize - 1, attempt);
    if bad > verification.failures_allowed {
        scene.broke(FAILED_STOPS, format!("{key} is tried after {bad} failed"));
    }
}
