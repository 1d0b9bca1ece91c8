//! How a rollout goes: one at a time, step by step, back only to what was good and where that is safe.
//!
//! Judges by runs on GitHub and by its history. Must never ask the code that rolls out.

use super::super::answers::{permission, seconds};
use super::super::scene::{Landing, Scene};
use super::super::{health, policy};
use super::{
    BACK_ONLY_SAFE, BACK_TO_GOOD, GOES_BACK, MAX_CHANGES, NO_REPLACING, NOT_BACKWARDS, NOTHING_SPECULATIVE, ONE_ACTIVE,
    ONLY_MERGED, PEOPLE_END_HOLDS, REVERTED_STAYS, SKEW_MAX, STEPS_IN_ORDER, Turned, Word, brought, gates, is_same,
    may_bring, means, reverts, rollout_of, same_stage, stages, taken_back, words,
};
use plimsoll::domain::chatops::Verb;
use plimsoll::domain::event::{Change, ReportState};
use plimsoll::domain::facts::Permission;
use plimsoll::domain::ids::*;
use plimsoll::domain::policy::{EnvironmentPolicy, GateName, OnFailure, Supersede};
use plimsoll::domain::release::rollback::artifact_name;
use plimsoll::domain::release::{Live, PipelineState, Purpose, Release, Rollout, Stage, StagePhase, Stop};
use plimsoll::sandbox::model::{PullState, RunState};
use std::collections::BTreeSet;

pub fn committed(scene: &mut Scene, turned: &Turned<'_>) {
    one_rollout_each(scene, turned.after);
    nothing_reverted_starts(scene, turned);
    nothing_is_replaced(scene, turned);
    takes_over_what_fits(scene, turned);
    goes_back(scene, turned);
}

pub fn landed(scene: &mut Scene, landing: &Landing, state: &PipelineState, release: &Release, stage: &Stage) {
    if scene.record.groups.contains(&landing.sha) && !is_merged(scene, &landing.sha) {
        scene.broke(NOTHING_SPECULATIVE, format!("{landing:?}"));
    }
    is_under_way(scene, landing, &stage.phase);
    runs_alone(scene, landing, release, state);
    is_on_the_default_branch(scene, landing, release);
    goes_back_to_good(scene, landing, release);
    goes_forward(scene, landing, release, state);
    comes_in_order(scene, landing, release, &stage.policy);
    undoes_nothing(scene, landing, release, state);
}

fn rolling(state: &PipelineState) -> Vec<(&Release, &EnvironmentName)> {
    let stages = state.releases.values().flat_map(|release| release.stages.iter().map(move |stage| (release, stage)));
    stages
        .filter(|(_, stage)| matches!(stage.phase, StagePhase::Rolling(_)))
        .map(|(release, stage)| (release, &stage.policy.name))
        .collect()
}

fn one_rollout_each(scene: &mut Scene, state: &PipelineState) {
    let mut seen = BTreeSet::new();
    for (release, environment) in rolling(state) {
        if !seen.insert(environment.clone()) {
            let story = format!("release {} is one of two in {}/{environment}", release.number, state.service);
            scene.broke(ONE_ACTIVE, story);
        }
    }
}

/// Whether a person's rollback waits for what is on its way to GitHub, to stop it there.
fn is_stopping(release: &Release, environment: &EnvironmentName) -> bool {
    let phase = release.stage(environment).map(|stage| &stage.phase);
    matches!(phase, Some(StagePhase::Rolling(Rollout { stopping: Some(_), .. })))
}

fn is_under_way(scene: &mut Scene, landing: &Landing, phase: &StagePhase) {
    if landing.step.is_some() && !matches!(phase, StagePhase::Rolling(_)) {
        scene.broke(ONE_ACTIVE, format!("a run starts for a release that is over: {landing:?}, {phase:?}"));
    }
}

/// No run of another release may be under way, but a rollback need not wait for what it replaces, nor a release for a
/// run that a person's `resume` passed over.
fn runs_alone(scene: &mut Scene, landing: &Landing, release: &Release, state: &PipelineState) {
    if landing.step.is_none() || release.is_rollback() {
        return;
    }
    let busy = scene.record.landings.iter().find(|other| {
        other.step.is_some()
            && other.service == landing.service
            && other.environment == landing.environment
            && other.release != landing.release
            && scene.model.runs.get(&other.id).is_some_and(|run| !matches!(run.state, RunState::Completed { .. }))
    });
    let Some(busy) = busy.cloned() else { return };
    let old = state.releases.get(&busy.release);
    let over = old.and_then(|release| release.stage(&landing.environment)).map(|stage| &stage.phase);
    // A person's word passes over a run that goes on after its release has ended; so does what mends it, a newer
    // release that it gave way to, what went live since, and its own report that it is done.
    let live = state.live(&landing.environment).and_then(|live| state.releases.get(&live.release));
    let since = live.is_some_and(|live| live.number > busy.release && !live.is_rollback());
    // Somebody may have cancelled it, and another have resumed, before its dispatch came to GitHub.
    let cancelled = old.filter(|_| matches!(over, Some(StagePhase::Cancelled { .. })));
    let word_since = cancelled.map_or(busy.at, |cancelled| cancelled.created_at.0.min(busy.at));
    let passed = matches!(over, None | Some(StagePhase::Failed { .. } | StagePhase::Cancelled { .. }))
        && (somebody_goes_on(scene, state, &landing.environment, word_since)
            || old.is_some_and(|old| mends(scene, landing, release, old, state))
            || since);
    let gave_way = matches!(over, Some(StagePhase::Superseded { .. }));
    if !(passed || gave_way || reported(scene, busy.id).is_some()) {
        scene.broke(ONE_ACTIVE, format!("{landing:?} starts while {busy:?} runs"));
    }
}

/// Who is to blame when a release failed: itself, and of a rollback also what it went back from, and what came here last that
/// was none.
fn blamed<'a>(scene: &Scene, landing: &Landing, failed: &'a Release, state: &'a PipelineState) -> Vec<&'a Release> {
    let Purpose::Rollback { from, .. } = &failed.purpose else { return vec![failed] };
    let came = scene.record.landings.iter().rev().filter(|other| {
        (&other.service, &other.environment) == (&landing.service, &landing.environment)
            && other.release < failed.number
    });
    let forward = came.filter_map(|other| state.releases.get(&other.release)).find(|release| !release.is_rollback());
    [Some(failed), from.and_then(|from| state.releases.get(&from)), forward].into_iter().flatten().collect()
}

/// Whether a release brings the revert of something that a failed one brought; or brought it, as far as was known when it
/// started.
fn mends(scene: &Scene, landing: &Landing, release: &Release, failed: &Release, state: &PipelineState) -> bool {
    let mut suspects = BTreeSet::new();
    for failed in blamed(scene, landing, failed, state) {
        // Somebody may have asked for the very commit of a delivery: then it is what that brought.
        let own = state.releases.values().filter(|release| release.sha == failed.sha).flat_map(|same| &same.changes);
        let all = brought(scene, state, failed, &landing.environment);
        // What it took back itself it is not suspected of: that would let the next one pass as well.
        let undone = taken_back(scene, &all, |_| true);
        let all = all.into_iter().chain(own).map(|change| change.pull.0);
        suspects.extend(all.filter(|pull| !undone.contains(pull)));
        // Of a commit that somebody named nobody knows what it brings; people were told whom it is held against.
        suspects.extend(failed.revert.as_ref().map(|revert| revert.pull.0));
    }
    // Who went back by hand suspects all that goes with it.
    if let Purpose::Rollback { from: Some(from), .. } = &failed.purpose
        && let Some(from) = state.releases.get(from)
    {
        let holds = |sha: &Sha, change: &Change| scene.model.history.is_ancestor(change.sha.as_str(), sha.as_str());
        let known = state.releases.values().flat_map(|release| &release.changes);
        let gone: Vec<&Change> =
            known.filter(|change| holds(&from.sha, change) && !holds(&failed.sha, change)).collect();
        let undone = taken_back(scene, &gone, |_| true);
        suspects.extend(gone.iter().map(|change| change.pull.0).filter(|pull| !undone.contains(pull)));
    }
    let place = (landing.service.clone(), landing.release, landing.environment.clone());
    let at_start = scene.record.taken_back.get(&place).into_iter().flatten().copied();
    let now = taken_back(scene, &brought(scene, state, release, &landing.environment), |_| true);
    now.into_iter().chain(at_start).any(|pull| suspects.contains(&pull))
}

/// When a run itself reported that it succeeded.
fn reported(scene: &Scene, run: u64) -> Option<i64> {
    let genuine = scene.record.reports.iter().filter(|sent| sent.genuine && sent.report.run == RunId(run));
    genuine.filter(|sent| sent.report.state == ReportState::Success).map(|sent| sent.at).next()
}

/// Whether a person resumed or retried in an environment since.
fn somebody_goes_on(scene: &Scene, state: &PipelineState, environment: &EnvironmentName, since: i64) -> bool {
    words(scene, state, since).into_iter().any(|Word { by, verb, .. }| {
        let goes_on = match &verb {
            Verb::Resume { environment: named, .. }
            | Verb::Retry { environment: named, .. }
            | Verb::Override { gate: GateName::Hold, environment: named, .. } => means(named.as_ref(), environment),
            _ => false,
        };
        goes_on && permission(scene.model.permission_of(&by)) >= Permission::Write
    })
}

fn is_merged(scene: &Scene, sha: &str) -> bool {
    let tip = scene.model.history.branch(&scene.model.repository.default_branch).unwrap_or_default();
    scene.model.history.is_ancestor(sha, &tip)
}

fn is_on_the_default_branch(scene: &mut Scene, landing: &Landing, release: &Release) {
    let model = &scene.model;
    let tip = model.history.branch(&model.repository.default_branch).unwrap_or_default();
    let merged = model.history.is_ancestor(&landing.sha, &tip);
    let last = release.plan.pipeline.environments.last().map(|environment| &environment.name);
    let by_automation = matches!(release.purpose, Purpose::Delivery);
    if !merged && (by_automation || last == Some(&landing.environment)) {
        scene.broke(ONLY_MERGED, format!("{landing:?}"));
    }
    if landing.sha != release.sha.as_str() {
        scene.broke(ONLY_MERGED, format!("{landing:?} is not of release {}", release.sha));
    }
}

/// When a run succeeded, by GitHub's books or its own word.
fn succeeded_at(scene: &Scene, run: u64) -> Option<i64> {
    match &scene.model.runs.get(&run)?.state {
        RunState::Completed { at, conclusion } if conclusion == "success" => {
            Some(reported(scene, run).map_or(*at, |said| said.min(*at)))
        }
        RunState::Completed { .. } | RunState::Queued | RunState::InProgress { .. } => reported(scene, run),
    }
}

pub fn done_at(scene: &Scene, run: u64) -> Option<i64> {
    succeeded_at(scene, run)
}

fn goes_back_to_good(scene: &mut Scene, landing: &Landing, release: &Release) {
    let Purpose::Rollback { to, .. } = &release.purpose else { return };
    let place = (landing.service.clone(), *to, landing.environment.clone());
    let good = scene.record.verified.contains(&place);
    let same = scene
        .record
        .landings
        .iter()
        .any(|other| other.release == *to && other.service == landing.service && other.sha == landing.sha);
    if !good || !same {
        scene.broke(BACK_TO_GOOD, format!("{landing:?} goes back to release {to}"));
    }
}

/// Judged where deliveries end: before that, one goes over what somebody brought there by hand, on its way.
fn goes_forward(scene: &mut Scene, landing: &Landing, release: &Release, state: &PipelineState) {
    let ends_here = release.stages.last().is_some_and(|stage| stage.policy.name == landing.environment);
    let starts = landing.step == Some(1) && matches!(release.purpose, Purpose::Delivery);
    let Some(live) = state.live(&landing.environment).filter(|_| ends_here && starts) else { return };
    if live.sha != release.sha && scene.model.history.is_ancestor(&landing.sha, live.sha.as_str()) {
        scene.broke(NOT_BACKWARDS, format!("{landing:?} over {live:?}"));
    }
}

fn comes_in_order(scene: &mut Scene, landing: &Landing, release: &Release, policy: &EnvironmentPolicy) {
    let before = match landing.step {
        None => None,
        Some(1) => {
            let made =
                scene.record.landings.iter().any(|other| is_same(other, &Landing { step: None, ..landing.clone() }));
            if !made {
                scene.broke(STEPS_IN_ORDER, format!("there is no deployment for {landing:?}"));
            }
            None
        }
        Some(step) => {
            let place = (landing.service.clone(), landing.release, landing.environment.clone());
            let bake = scene.record.bakes.get(&(place, step as usize - 2)).copied().unwrap_or(policy.bake);
            Some((landing.environment.clone(), Some(step - 1), bake))
        }
    };
    // The first of an environment comes after the last of the environment before it.
    let place = release.stages.iter().position(|stage| stage.policy.name == landing.environment).unwrap_or(0);
    let before = before.or_else(|| {
        let stage = place.checked_sub(1).and_then(|at| release.stages.get(at))?;
        Some((stage.policy.name.clone(), Some(stage.policy.rollout.len() as u64), stage.policy.bake))
    });
    let Some((environment, step, bake)) = before else { return };
    let wanted = Landing { environment, step, ..landing.clone() };
    // Somebody may have asked for its very commit there: then it was through with that one.
    let asked = |other: &&Landing| {
        other.step.is_some()
            && other.sha == wanted.sha
            && (&other.service, &other.environment) == (&wanted.service, &wanted.environment)
    };
    let landings = || scene.record.landings.iter();
    let own = landings().find(|other| is_same(other, &wanted));
    let through = own.map_or_else(|| landings().filter(asked).collect(), |own| vec![own]);
    let ended: Vec<i64> = through.into_iter().filter_map(|other| succeeded_at(scene, other.id)).collect();
    let baked = ended.iter().any(|at| at + bake.0 as i64 <= landing.at + 2 * SKEW_MAX + 1_000);
    if !baked {
        scene.broke(STEPS_IN_ORDER, format!("{landing:?} before {wanted:?} was done (it ended at {ended:?})"));
    }
}

/// After a failure or a rollback in an environment a person must have resumed before anything but a rollback starts
/// there. Judged by runs and comments alone, whatever holds we believe in.
fn undoes_nothing(scene: &mut Scene, landing: &Landing, release: &Release, state: &PipelineState) {
    if release.is_rollback() || landing.step != Some(1) || is_stopping(release, &landing.environment) {
        return;
    }
    let here = |other: &&Landing| {
        other.step.is_some()
            && other.service == landing.service
            && other.environment == landing.environment
            && other.release != landing.release
    };
    let earlier: Vec<&Landing> = scene.record.landings.iter().filter(here).collect();
    let is_rollback = |other: &Landing| state.releases.get(&other.release).is_some_and(Release::is_rollback);
    let forward = earlier.iter().rev().find(|other| !is_rollback(other));
    let (Some(last), Some(forward)) = (earlier.last(), forward) else { return };
    let failed = match scene.model.runs.get(&last.id).map(|run| &run.state) {
        Some(RunState::Completed { conclusion, .. }) => conclusion != "success",
        Some(RunState::Queued | RunState::InProgress { .. }) | None => false,
    };
    if !failed && !is_rollback(last) {
        return;
    }
    let old = state.releases.get(&last.release);
    let phase = old.and_then(|release| release.stage(&landing.environment)).map(|stage| &stage.phase);
    let gave_way = matches!(phase, Some(StagePhase::Superseded { .. }));
    // A rollback takes over the blame of what it went back from, which may have been stopped before it ran.
    let failed = old.filter(|old| old.is_rollback()).or(state.releases.get(&forward.release));
    if gave_way || failed.is_some_and(|failed| mends(scene, landing, release, failed, state)) {
        return;
    }
    // A cancelled one was held when somebody cancelled it, which can be before its dispatch came to GitHub.
    let blamed = failed.map(|failed| blamed(scene, landing, failed, state)).unwrap_or_default();
    let cancelled = blamed.into_iter().filter(|blamed| {
        let phase = blamed.stage(&landing.environment).map(|stage| &stage.phase);
        matches!(phase, Some(StagePhase::Cancelled { .. }))
    });
    // What is rolled back is held from then on, which also can be before its dispatch came to GitHub.
    let back = old.filter(|old| old.is_rollback()).map(|old| old.created_at.0);
    let held = cancelled.map(|cancelled| cancelled.created_at.0).chain(back);
    let since = held.chain([forward.at]).min().unwrap_or(forward.at);
    if !somebody_goes_on(scene, state, &landing.environment, seconds(since).0) {
        let story = format!("{landing:?} starts after {last:?}, and nobody resumed");
        scene.broke(PEOPLE_END_HOLDS, story);
    }
}

// ---------------------------------------------------------------- judged turn by turn

/// The merge commit of a pull request.
fn merge_of(scene: &Scene, pull: u64) -> Option<&str> {
    match &scene.model.pulls.get(&pull)?.state {
        PullState::Merged { sha, .. } => Some(sha),
        PullState::Open | PullState::Closed { .. } => None,
    }
}

fn contains(scene: &Scene, sha: &str, pull: u64) -> bool {
    merge_of(scene, pull).is_some_and(|merge| scene.model.history.is_ancestor(merge, sha))
}

/// Whether a commit contains another revert of a pull request, and nothing that takes that one back again.
fn is_undone(scene: &Scene, takers: &BTreeSet<u64>, sha: &str, pull: u64) -> bool {
    let takes = |taker: &&u64| **taker > pull && reverts(&scene.model, **taker).contains(&pull);
    let mut takers_in = takers.iter().filter(takes).filter(|taker| contains(scene, sha, **taker));
    takers_in.any(|taker| !is_undone(scene, takers, sha, *taker))
}

/// What is known to be reverted does not come back by itself: by descriptions and history on GitHub.
fn nothing_reverted_starts(scene: &mut Scene, turned: &Turned<'_>) {
    let mut stories = Vec::new();
    let takers: BTreeSet<u64> = turned.before.releases.values().flat_map(|r| &r.changes).map(|c| c.pull.0).collect();
    let contains = |sha: &str, pull: u64| contains(scene, sha, pull);
    for (release, stage) in stages(turned.after) {
        let Some(rollout) = rollout_of(stage).filter(|rollout| rollout.stopping.is_none()) else { continue };
        let was = same_stage(turned.before, release, stage).and_then(rollout_of);
        let begins = was.is_none_or(|was| was.step < rollout.step);
        if !begins || !matches!(release.purpose, Purpose::Delivery) {
            continue;
        }
        let live = turned.after.live(&stage.policy.name).map(|live| live.sha.to_string());
        for taker in &takers {
            for reverted in reverts(&scene.model, *taker) {
                let sha = release.sha.as_str();
                let again =
                    contains(sha, reverted) && !contains(sha, *taker) && !is_undone(scene, &takers, sha, reverted);
                let there = live.as_ref().is_some_and(|live| contains(live, reverted));
                let of_service = turned.before.releases.values().flat_map(|r| &r.changes).any(|c| c.pull.0 == reverted);
                if again && !there && of_service {
                    let (number, name) = (release.number, &stage.policy.name);
                    stories.push(format!("release {number} brings #{reverted} to {name}, which #{taker} reverted"));
                }
            }
        }
    }
    for story in stories {
        scene.broke(REVERTED_STAYS, story);
    }
}

fn nothing_is_replaced(scene: &mut Scene, turned: &Turned<'_>) {
    for (release, stage) in stages(turned.before) {
        let Some(was) = rollout_of(stage).filter(|was| was.stopping.is_none()) else { continue };
        let Some(now) = same_stage(turned.after, release, stage) else { continue };
        let by = match &now.phase {
            StagePhase::Superseded { by } => *by,
            StagePhase::Rolling(Rollout { stopping: Some(Stop::Superseded { by }), .. }) => *by,
            _ => continue,
        };
        let newer = turned.after.releases.get(&by).and_then(|newer| Some((newer, newer.stage(&stage.policy.name)?)));
        let Some((newer, theirs)) = newer else { continue };
        let allowed = theirs.policy.supersede == Supersede::Abort;
        // All that it holds, also what is live already: a newer one without it is wanted all the same.
        let holds = |change: &&Change| scene.model.history.is_ancestor(change.sha.as_str(), release.sha.as_str());
        let known = || turned.after.releases.values().flat_map(|release| &release.changes);
        // What was heard of late counts, and that it was reverted, in one turn.
        let told = turned.before.releases.values().flat_map(|other| &other.changes).chain(known());
        let carried: BTreeSet<u64> = told.filter(holds).map(|change| change.pull.0).collect();
        // What was reverted meanwhile could never go on.
        let mends = known().flat_map(|change| reverts(&scene.model, change.pull.0)).any(|pull| carried.contains(&pull));
        let blocks: Vec<_> = turned.before.blocks.iter().filter(|b| turned.after.blocks.contains(b)).collect();
        let kept = gates::reasons(scene, (turned.before, turned.after), &blocks, newer, theirs, turned.at);
        if !(allowed || mends) || !kept.is_empty() {
            let story = format!("release {} gave way to {by} at {was:?}; the newer one: {kept:?}", release.number);
            scene.broke(NO_REPLACING, story);
        }
    }
}

fn takes_over_what_fits(scene: &mut Scene, turned: &Turned<'_>) {
    for (release, stage) in stages(turned.after) {
        let Some(max) = release.plan.pipeline.max_changes.filter(|_| matches!(release.purpose, Purpose::Delivery))
        else {
            continue;
        };
        let name = &stage.policy.name;
        let mut taken = Vec::new();
        for (old, earlier) in stages(turned.before) {
            let waited = earlier.policy.name == *name && matches!(earlier.phase, StagePhase::Waiting { .. });
            let gone = same_stage(turned.after, old, earlier).map(|stage| &stage.phase);
            let here = matches!(gone, Some(StagePhase::Superseded { by }) if *by == release.number);
            // One that was reverted can never start, also when the revert is reverted again: what brings all goes on.
            let mut taken_back = release.changes.iter().flat_map(|change| reverts(&scene.model, change.pull.0));
            let unwanted = taken_back.any(|pull| contains(scene, old.sha.as_str(), pull));
            if waited && here && !unwanted {
                taken.extend(old.changes.iter().map(|change| change.pull));
            }
        }
        if taken.is_empty() {
            continue;
        }
        let own = match turned.before.releases.get(&release.number) {
            Some(before) => before.changes.iter().map(|change| change.pull).collect(),
            None => release.changes.iter().filter(|c| c.sha == release.sha).map(|c| c.pull).collect::<Vec<_>>(),
        };
        let all: BTreeSet<PullNumber> = taken.into_iter().chain(own).collect();
        if all.len() > max as usize {
            let story = format!("release {} in {name} brings {all:?}, and {max} is the most", release.number);
            scene.broke(MAX_CHANGES, story);
        }
    }
}

/// What speaks against going back from a release to what was live, by history, artifacts and the clock.
fn against(scene: &Scene, turned: &Turned<'_>, release: &Release, target: &Live) -> Vec<String> {
    let mut found = Vec::new();
    if turned.after.service.as_str() == "api"
        && !release.plan.pipeline.irreversible.is_empty()
        && let Ok(changed) = scene.model.history.compare(target.sha.as_str(), release.sha.as_str())
        && let Some(file) = changed.files.iter().find(|file| file.path.starts_with(policy::MIGRATIONS))
    {
        found.push(format!("{} cannot be taken back", file.path));
    }
    if let Some(name) = artifact_name(&release.plan, &turned.after.service, &target.sha)
        && !health::has_artifact(scene, &name)
    {
        found.push(format!("{name} is gone"));
    }
    if let Some(within) = release.plan.pipeline.rollback.within
        && target.at.plus(within) <= turned.at
    {
        found.push(format!("it went live at {:?}", target.at));
    }
    found
}

/// Automation goes back where that is wanted and safe, and nowhere else.
fn goes_back(scene: &mut Scene, turned: &Turned<'_>) {
    for (release, stage) in stages(turned.before) {
        let Some(was) = rollout_of(stage) else { continue };
        let Some(now) = same_stage(turned.after, release, stage) else { continue };
        let StagePhase::Failed { why, .. } = &now.phase else { continue };
        let back = turned.after.releases.values().find(
            |other| matches!(&other.purpose, Purpose::Rollback { from, by: None, .. } if *from == Some(release.number)),
        );
        let Some(target) = turned.before.live(&stage.policy.name) else { continue };
        let against = against(scene, turned, release, target);
        // What speaks against it is asked while the release waits or runs; a fast one may be over before.
        let known = now.known.as_ref();
        let unasked = |reason: &String| match reason.ends_with("is gone") {
            true => known.is_none_or(|known| known.artifact.is_none()),
            false => reason.ends_with("be taken back") && known.is_none_or(|known| known.irreversible.is_none()),
        };
        let unasked = against.iter().all(unasked);
        let story = format!(
            "release {} of {} failed in {} at {:?} ({why}); back to {}; against: {against:?}",
            release.number, turned.after.service, stage.policy.name, was.phase, target.release
        );
        if back.is_some() && !against.is_empty() && !unasked {
            scene.broke(BACK_ONLY_SAFE, story);
            continue;
        }
        let ran = scene.record.landings.iter().any(|landing| {
            landing.step.is_some()
                && (&landing.service, landing.release, &landing.environment)
                    == (&turned.after.service, release.number, &stage.policy.name)
        });
        let failed = why.contains("verification") || why.contains("run failed") || why.contains("reported a failure");
        // By the order of the file, an empty wish of the policy is a rollback.
        let wanted = stage.policy.on_failure == OnFailure::Rollback && !release.is_rollback() && ran && failed;
        if wanted && against.is_empty() && back.is_none() {
            // A pull request's own list of paths may be longer than what is left between the two commits.
            let may_bring = may_bring(scene, turned.before, release, &stage.policy.name);
            // Of a commit that somebody named nobody knows what it holds.
            let known = turned.before.releases.values();
            let named = matches!(release.purpose, Purpose::Requested { .. })
                && !known.clone().any(|r| matches!(r.purpose, Purpose::Delivery) && r.sha == release.sha);
            let all = known.filter(|_| named).flat_map(|release| &release.changes);
            let undone = may_bring.into_iter().chain(all).any(|change| !change.irreversible.is_empty());
            if !undone {
                scene.broke(GOES_BACK, story);
            }
        }
    }
}
