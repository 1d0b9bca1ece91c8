//! The rules that no world may break, each with its sentence.
//!
//! What stands on GitHub is judged by the model, not by what we believe of it. Our own state is asked only for what
//! the model cannot know: what a release is for, and which plan it keeps.

use super::acts;
use super::answers::{is_member, permission, seconds};
use super::hands::at_once;
use super::scene::{Landing, Scene};
use plimsoll::domain::chatops::{self, Verb};
use plimsoll::domain::facts::Permission;
use plimsoll::domain::ids::*;
use plimsoll::domain::policy::{EnvironmentPolicy, Requirement};
use plimsoll::domain::release::{Block, Owner, PipelineState, Purpose, Release, Rollout, StagePhase};
use plimsoll::domain::release::{block, eyes, gate};
use plimsoll::domain::state::State;
use plimsoll::engine::ports::Store;
use plimsoll::engine::step::read_lane;
use plimsoll::sandbox::model::{Model, PullState, RunState};
use plimsoll::store::MemoryStore;
use std::collections::BTreeSet;

pub const KEYS_ONCE: &str = "no effect key is ever seen twice on GitHub";
pub const ONE_ACTIVE: &str = "at most one active release per service and environment";
pub const STEPS_IN_ORDER: &str = "a step starts only after the step before it succeeded and baked";
pub const FOUR_EYES: &str =
    "a protected environment never starts without enough approvals by people with no hand in it";
pub const ONLY_MERGED: &str = "only what the default branch contains is deployed by automation";
pub const NOTHING_STARTS_HELD: &str = "nothing starts in a held environment";
pub const PEOPLE_END_HOLDS: &str = "only a person ends a hold: automation does not undo a rollback";
pub const BACK_TO_GOOD: &str = "rollback goes only to a release that was verified there";
pub const COMES_TO_REST: &str = "once faults end, the world comes to rest";
pub const EVERY_RELEASE_ENDS: &str = "once faults end, every release ends or waits for a person";
pub const EVERY_MERGE_IS_RELEASED: &str = "every merged change is handed to the pipelines it touches";
pub const WHAT_IS_SHOWN: &str = "once faults end, every check run and comment shows the last decision";
pub const ONE_LIVING_COMMENT: &str = "a pull request has one living comment";
pub const ONE_REPLY: &str = "every fresh command has exactly one reply";
pub const DEPLOYMENTS_AGREE: &str = "a deployment's last status agrees with its runs";
pub const WE_KNOW_GITHUB: &str = "once faults end, we know every pull request as GitHub does";
pub const NOTHING_IS_LOST: &str = "no delivery and no arrival is lost or put aside without need";
pub const SAME_TWICE: &str = "deciding twice on the same input gives the same output";
pub const ROUND_TRIP: &str = "snapshots survive a round trip";

/// How far the instances' clocks may be off, in milliseconds.
pub const SKEW_MAX: i64 = 3_000;

// ---------------------------------------------------------------- at every commit

/// Judges a lane's new state.
pub fn committed(scene: &mut Scene, subject: &Subject, after: &[u8]) {
    let Subject::Pipeline { service, .. } = subject else { return };
    let after = match read_lane(after).map(|lane| lane.state) {
        Ok(State::Pipeline(after)) => after,
        Ok(State::Repository(_) | State::PullRequest(_)) => {
            return scene.broke(ROUND_TRIP, format!("{subject} is no pipeline any more"));
        }
        Err(because) => return scene.broke(ROUND_TRIP, because),
    };
    let before = scene.record.pipelines.remove(service);
    note_waiting(scene, &after);
    one_rollout_each(scene, &after);
    starts_are_free(scene, before.as_deref(), &after);
    holds_end_by_people(scene, before.as_deref(), &after);
    scene.record.pipelines.insert(service.clone(), after);
}

fn note_waiting(scene: &mut Scene, state: &PipelineState) {
    for release in state.releases.values() {
        for stage in &release.stages {
            let since = match &stage.phase {
                StagePhase::Waiting { since, .. } => *since,
                // It waited, was approved and started in one turn, all at the same time.
                StagePhase::Rolling(rollout) => rollout.started_at,
                StagePhase::Ahead
                | StagePhase::Succeeded { .. }
                | StagePhase::Failed { .. }
                | StagePhase::Cancelled { .. }
                | StagePhase::Superseded { .. }
                | StagePhase::NotReached => continue,
            };
            let place = (state.service.clone(), release.number, stage.policy.name.clone());
            scene.record.waiting_since.entry(place).or_insert(since);
        }
    }
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

fn starts_are_free(scene: &mut Scene, before: Option<&PipelineState>, after: &PipelineState) {
    let earlier: Vec<(ReleaseNumber, EnvironmentName)> = before
        .map(|state| rolling(state).into_iter().map(|(r, e)| (r.number, e.clone())).collect())
        .unwrap_or_default();
    for (release, environment) in rolling(after) {
        let is_new = !earlier.contains(&(release.number, environment.clone()));
        let held = block::of(after, environment).pop();
        let excused = release.is_rollback() || is_stopping(release, environment);
        if let (true, false, Some(hold)) = (is_new, excused, held) {
            let story =
                format!("release {} starts in {}/{environment}: {}", release.number, after.service, hold.reason);
            scene.broke(NOTHING_STARTS_HELD, story);
        }
    }
}

fn holds_end_by_people(scene: &mut Scene, before: Option<&PipelineState>, after: &PipelineState) {
    let Some(before) = before else { return };
    for environment in &before.environments {
        let Some(hold) = automations_hold(before, &environment.name) else { continue };
        if automations_hold(after, &environment.name).is_some() {
            continue;
        }
        let since = hold.since.0 - SKEW_MAX - 1_000;
        let resumed = commands(scene, since).into_iter().any(|(by, verb)| match verb {
            Verb::Resume { environment: named, .. } => {
                named.is_none_or(|named| named == environment.name)
                    && permission(scene.model.permission_of(&by)) >= Permission::Write
            }
            _ => false,
        });
        if !resumed {
            let story = format!("{}/{}: {}", before.service, environment.name, hold.reason);
            scene.broke(PEOPLE_END_HOLDS, story);
        }
    }
}

/// The hold that automation put on an environment.
fn automations_hold<'a>(state: &'a PipelineState, environment: &EnvironmentName) -> Option<&'a Block> {
    block::of(state, environment).into_iter().find(|block| block.owner == Owner::Automation)
}

/// Commands that people wrote since, as they wrote them.
fn commands(scene: &Scene, since: i64) -> Vec<(String, Verb)> {
    let bot = scene.model.app.bot_login();
    let comments = scene.model.comments.values().filter(|c| c.author != bot && c.created_at >= since);
    let mut found = Vec::new();
    for comment in comments {
        let written = scene.record.written.get(&comment.id).unwrap_or(&comment.body);
        // An edit within the second of writing cannot be told from what was written.
        let same_second = seconds(comment.created_at) == seconds(comment.updated_at);
        for body in [Some(written), same_second.then_some(&comment.body)].into_iter().flatten() {
            let verbs = chatops::commands(body).commands.into_iter().flatten();
            found.extend(verbs.map(|verb| (comment.author.clone(), verb)));
        }
    }
    found
}

// ---------------------------------------------------------------- at every act that reaches GitHub

/// Judges a deployment or dispatch at the moment at which GitHub takes it.
pub fn landed(scene: &mut Scene, landing: &Landing) {
    let earlier = scene.record.landings.iter().find(|other| is_same(other, landing));
    if let Some(earlier) = earlier {
        let story = format!("{} and {} for {landing:?}", earlier.id, landing.id);
        scene.broke(KEYS_ONCE, story);
    }
    let Some(state) = scene.record.pipelines.get(&landing.service).cloned() else {
        return scene.broke(ONE_ACTIVE, format!("nobody knows of {landing:?}"));
    };
    let Some(release) = state.releases.get(&landing.release) else {
        return scene.broke(ONE_ACTIVE, format!("there is no such release: {landing:?}"));
    };
    let Some(stage) = release.stage(&landing.environment) else {
        return scene.broke(ONE_ACTIVE, format!("the release is not for this environment: {landing:?}"));
    };
    is_under_way(scene, landing, &stage.phase);
    runs_alone(scene, landing, release, &state);
    is_on_the_default_branch(scene, landing, release);
    goes_back_to_good(scene, landing, release);
    comes_in_order(scene, landing, release, &stage.policy);
    is_not_held(scene, landing, release, &state);
    undoes_nothing(scene, landing, release, &state);
    if landing.step.is_none_or(|step| step == 1)
        && !release.is_rollback()
        && let Some(requirement) = &stage.policy.approval
    {
        is_approved(scene, landing, requirement, &state);
    }
}

fn is_same(a: &Landing, b: &Landing) -> bool {
    (&a.service, a.release, &a.environment, a.step) == (&b.service, b.release, &b.environment, b.step)
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
    let resumed = commands(scene, busy.at).iter().any(|(_, verb)| matches!(verb, Verb::Resume { .. }));
    let over = state.releases.get(&busy.release).and_then(|release| release.stage(&landing.environment));
    let failed = over.is_some_and(|stage| matches!(stage.phase, StagePhase::Failed { .. }));
    if !(resumed && failed) {
        scene.broke(ONE_ACTIVE, format!("{landing:?} starts while {busy:?} runs"));
    }
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

/// Whether a release's last run in an environment succeeded, by GitHub's books; when it ended.
fn verified_at(scene: &Scene, landing: &Landing, release: ReleaseNumber, environment: &EnvironmentName) -> Option<i64> {
    let runs = scene.record.landings.iter().filter(|other| {
        other.service == landing.service && other.release == release && other.environment == *environment
    });
    let last = runs.filter(|other| other.step.is_some()).max_by_key(|other| other.step)?;
    succeeded_at(scene, last.id)
}

fn succeeded_at(scene: &Scene, run: u64) -> Option<i64> {
    match &scene.model.runs.get(&run)?.state {
        RunState::Completed { at, conclusion } if conclusion == "success" => Some(*at),
        RunState::Completed { .. } | RunState::Queued | RunState::InProgress { .. } => None,
    }
}

fn goes_back_to_good(scene: &mut Scene, landing: &Landing, release: &Release) {
    let Purpose::Rollback { to, .. } = &release.purpose else { return };
    let shas: Vec<&str> = scene
        .record
        .landings
        .iter()
        .filter(|other| other.release == *to && other.service == landing.service)
        .map(|other| other.sha.as_str())
        .collect();
    let good = verified_at(scene, landing, *to, &landing.environment).is_some();
    if !good || !shas.contains(&landing.sha.as_str()) {
        scene.broke(BACK_TO_GOOD, format!("{landing:?} goes back to release {to}"));
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
        Some(step) => Some((landing.environment.clone(), Some(step - 1), policy.bake)),
    };
    // The first of an environment comes after the last of the environment before it.
    let place = release.stages.iter().position(|stage| stage.policy.name == landing.environment).unwrap_or(0);
    let before = before.or_else(|| {
        let stage = place.checked_sub(1).and_then(|at| release.stages.get(at))?;
        Some((stage.policy.name.clone(), Some(stage.policy.rollout.len() as u64), stage.policy.bake))
    });
    let Some((environment, step, bake)) = before else { return };
    let wanted = Landing { environment, step, ..landing.clone() };
    let run = scene.record.landings.iter().find(|other| is_same(other, &wanted)).map(|other| other.id);
    let ended = run.and_then(|run| succeeded_at(scene, run));
    let baked = ended.is_some_and(|at| at + bake.0 as i64 <= landing.at + 2 * SKEW_MAX + 1_000);
    if !baked {
        scene.broke(STEPS_IN_ORDER, format!("{landing:?} before {wanted:?} was done (it ended at {ended:?})"));
    }
}

fn is_not_held(scene: &mut Scene, landing: &Landing, release: &Release, state: &PipelineState) {
    let hold = block::of(state, &landing.environment).pop();
    let excused = release.is_rollback() || is_stopping(release, &landing.environment);
    if let (Some(hold), false, Some(_)) = (hold, excused, landing.step) {
        scene.broke(NOTHING_STARTS_HELD, format!("{landing:?}: {}", hold.reason));
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
    let resumed = commands(scene, seconds(forward.at).0).into_iter().any(|(by, verb)| {
        matches!(verb, Verb::Resume { .. }) && permission(scene.model.permission_of(&by)) >= Permission::Write
    });
    if !resumed {
        let story = format!("{landing:?} starts after {last:?}, and nobody resumed");
        scene.broke(PEOPLE_END_HOLDS, story);
    }
}

/// Counts approvals anew, from the comments, the teams and the history alone.
fn is_approved(scene: &mut Scene, landing: &Landing, requirement: &Requirement, state: &PipelineState) {
    let live = state.live(&landing.environment).map(|live| live.sha.to_string());
    let involved = people_behind(&scene.model, live.as_deref(), &landing.sha);
    let place = (landing.service.clone(), landing.release, landing.environment.clone());
    let since = scene.record.waiting_since.get(&place).map_or(landing.at, |since| seconds(since.0).0 - SKEW_MAX);
    let mut approvers = BTreeSet::new();
    let mut others = Vec::new();
    for (by, verb) in commands(scene, since) {
        let Verb::Approve { environment, sha, service } = verb else { continue };
        let meant = environment == landing.environment
            && service.is_none_or(|service| service == landing.service)
            && sha.is_none_or(|sha| landing.sha.starts_with(&sha));
        if !meant {
            continue;
        }
        let in_team = requirement
            .teams
            .iter()
            .any(|team| is_member(&scene.model, team.as_str().split_once('/').map_or("", |(_, slug)| slug), &by));
        let anybody = requirement.teams.is_empty()
            && requirement.users.is_empty()
            && permission(scene.model.permission_of(&by)) >= Permission::Write;
        let permitted = in_team || anybody || requirement.users.contains(&Login::new(by.as_str()));
        match (permitted, involved.contains(&by)) {
            (true, false) => drop(approvers.insert(by)),
            (true, true) => others.push(format!("{by} has a hand in it")),
            (false, _) => others.push(format!("{by} may not")),
        }
    }
    if approvers.len() < requirement.count as usize {
        let story = format!("{landing:?}: {} wanted, {approvers:?} count; {others:?}", requirement.count);
        scene.broke(FOUR_EYES, story);
    }
}

/// Authors, committers, co-authors and mergers of everything between live and candidate, by the model's books.
fn people_behind(model: &Model, live: Option<&str>, candidate: &str) -> BTreeSet<String> {
    let commits = match live.map(|live| model.history.compare(live, candidate)) {
        Some(Ok(found)) => found.commits,
        Some(Err(_)) | None => model.history.commit(candidate).into_iter().collect(),
    };
    let mut people = BTreeSet::new();
    for commit in &commits {
        let trailers = eyes::co_authors(&commit.message).into_iter().map(|person| person.email);
        let emails = [commit.author.email.clone(), commit.committer.email.clone()].into_iter().chain(trailers);
        people.extend(emails.filter_map(|email| model.user_by_email(&email)).map(|user| user.login.clone()));
    }
    for pull in model.pulls.values() {
        if let PullState::Merged { by, sha, .. } = &pull.state
            && commits.iter().any(|commit| commit.sha == *sha)
        {
            people.extend([by.clone(), pull.author.clone()]);
        }
    }
    people
}

// ---------------------------------------------------------------- at rest

/// A lane at rest.
type Lanes = Vec<(Subject, State)>;

/// Judges a world in which nothing moves any more.
pub fn at_rest(scene: &mut Scene, store: &MemoryStore, lanes: &Lanes) {
    nothing_is_lost(scene, store);
    keys_are_unique(scene);
    for (subject, state) in lanes {
        match state {
            State::Pipeline(state) => {
                every_release_ends(scene, state);
                deployments_agree(scene, state);
            }
            State::PullRequest(state) => {
                we_know_github(scene, state);
            }
            State::Repository(_) => {}
        }
        is_shown(scene, subject, state);
    }
    every_pull_is_known(scene, lanes);
    every_command_is_answered(scene);
}

fn nothing_is_lost(scene: &mut Scene, store: &MemoryStore) {
    let Ok(counts) = at_once(store.counts(Timestamp(scene.now))) else { return };
    let waiting =
        counts.deliveries_unsorted + counts.arrivals_waiting + counts.effects_planned + counts.effects_in_flight;
    let aside = counts.arrivals_parked + counts.deliveries_parked;
    if waiting > 0 || aside != scene.record.unreadable {
        let parked = at_once(store.parked(5)).unwrap_or_default();
        let story = format!("{counts:?}, {} were unreadable; {parked:?}", scene.record.unreadable);
        scene.broke(NOTHING_IS_LOST, story);
    }
}

fn keys_are_unique(scene: &mut Scene) {
    let model = &scene.model;
    let runs = model.runs.values().filter_map(|run| run.inputs.get("plimsoll_key").cloned());
    let deployments = model.deployments.values().filter_map(|d| d.payload["plimsoll_key"].as_str().map(str::to_owned));
    let checks = model.check_runs.values().map(|run| format!("{} {}", run.name, run.head_sha));
    let mut seen = BTreeSet::new();
    let again = runs.chain(deployments).chain(checks).find(|key| !seen.insert(key.clone()));
    if let Some(key) = again {
        scene.broke(KEYS_ONCE, key);
    }
}

fn every_release_ends(scene: &mut Scene, state: &PipelineState) {
    for release in state.releases.values() {
        let mut waits = false;
        for stage in &release.stages {
            let fine = match &stage.phase {
                StagePhase::Succeeded { .. }
                | StagePhase::Failed { .. }
                | StagePhase::Cancelled { .. }
                | StagePhase::Superseded { .. }
                | StagePhase::NotReached => true,
                StagePhase::Waiting { .. } => {
                    waits = true;
                    !gate::is_open(&gate::conditions(state, release, stage, Timestamp(scene.now)))
                }
                StagePhase::Ahead => waits,
                StagePhase::Rolling(_) => false,
            };
            if !fine {
                let story = format!(
                    "release {} of {} in {}: {:?}",
                    release.number, state.service, stage.policy.name, stage.phase
                );
                scene.broke(EVERY_RELEASE_ENDS, story);
            }
        }
    }
}

fn deployments_agree(scene: &mut Scene, state: &PipelineState) {
    let landings: Vec<Landing> =
        scene.record.landings.iter().filter(|l| l.service == state.service && l.step.is_none()).cloned().collect();
    for deployment in landings {
        let stage = state.releases.get(&deployment.release).and_then(|release| release.stage(&deployment.environment));
        // A release that was forgotten ended long ago.
        let Some(stage) = stage else { continue };
        let shown = scene.model.statuses_of(deployment.id).into_iter().find(|status| status.state != "inactive");
        let shown = shown.map(|status| status.state.clone());
        let target = format!("deployment/{}/status", deployment.id);
        if scene.record.refused.contains_key(&target) {
            continue;
        }
        let steps = stage.policy.rollout.len() as u64;
        let last = scene
            .record
            .landings
            .iter()
            .find(|other| is_same(other, &Landing { step: Some(steps), ..deployment.clone() }));
        let done = last.is_some_and(|run| succeeded_at(scene, run.id).is_some());
        let stopped = matches!(stage.phase, StagePhase::Failed { .. });
        let wanted = if done && !stopped { "success" } else { "failure" };
        if shown.as_deref() != Some(wanted) {
            let story = format!("{deployment:?} shows {shown:?} and should show {wanted}; {:?}", stage.phase);
            scene.broke(DEPLOYMENTS_AGREE, story);
        }
    }
}

fn we_know_github(scene: &mut Scene, state: &plimsoll::domain::pull_request::PullState) {
    let Some(pull) = scene.model.pulls.get(&state.number.0) else {
        return scene.broke(WE_KNOW_GITHUB, format!("there is no #{}", state.number));
    };
    let known = state.pull.as_ref().map(|known| {
        (known.title.clone(), known.body.clone(), known.head_sha.to_string(), known.draft, known.open, known.merged)
    });
    let merged = matches!(pull.state, PullState::Merged { .. });
    let body = pull.body.clone().unwrap_or_default();
    let truth = (pull.title.clone(), body, pull.head_sha.clone(), pull.draft, pull.is_open(), merged);
    if known.as_ref() != Some(&truth) {
        scene.broke(WE_KNOW_GITHUB, format!("#{} is {truth:?}, known is {known:?}", state.number));
        return;
    }
    let pull = scene.model.pulls.get(&state.number.0).cloned();
    let judged = state.judged.as_ref().map(|judged| judged.head_sha.to_string());
    if let Some(pull) = pull
        && (pull.is_open() || merged)
        && judged.as_ref() != Some(&pull.head_sha)
    {
        scene.broke(WHAT_IS_SHOWN, format!("#{} is at {} and was judged at {judged:?}", state.number, pull.head_sha));
    }
    if merged && !state.handed_over {
        scene.broke(EVERY_MERGE_IS_RELEASED, format!("#{}", state.number));
    }
}

fn every_pull_is_known(scene: &mut Scene, lanes: &Lanes) {
    let known: BTreeSet<u64> = lanes
        .iter()
        .filter_map(|(subject, _)| match subject {
            Subject::PullRequest { number, .. } => Some(number.0),
            Subject::Repository { .. } | Subject::Pipeline { .. } => None,
        })
        .collect();
    let missing: Vec<u64> = scene.model.pulls.keys().filter(|number| !known.contains(number)).copied().collect();
    if !missing.is_empty() {
        scene.broke(WE_KNOW_GITHUB, format!("{missing:?} are not known at all"));
    }
}

fn is_shown(scene: &mut Scene, subject: &Subject, state: &State) {
    use plimsoll::domain::effect::{Content, Target};
    for (target, content) in plimsoll::domain::view::of(state) {
        if scene.record.refused.contains_key(&target.name()) {
            continue;
        }
        let (shown, wanted) = match (&target, &content) {
            (Target::CheckRun { name, head_sha }, Content::Check(check)) => {
                let runs = scene.model.check_runs.values().rev();
                let found =
                    runs.filter(|run| run.name == *name && run.head_sha == head_sha.as_str()).max_by_key(|r| r.id);
                let shown = found.map(|run| {
                    let words = [run.conclusion.as_deref(), run.title.as_deref(), run.summary.as_deref()];
                    words.map(Option::unwrap_or_default).join("\n")
                });
                let conclusion = acts::conclusion_word(check.conclusion).unwrap_or_default();
                (shown, [conclusion, check.title.as_str(), check.summary.as_str()].join("\n"))
            }
            (Target::LivingComment { number } | Target::Reply { number, .. }, Content::Comment(text)) => {
                let marker = acts::target_marker(&target);
                let bot = scene.model.app.bot_login();
                let comments: Vec<_> = scene
                    .model
                    .comments
                    .values()
                    .filter(|c| c.number == number.0 && c.author == bot && c.body.contains(&marker))
                    .collect();
                let invariant =
                    if matches!(target, Target::LivingComment { .. }) { ONE_LIVING_COMMENT } else { ONE_REPLY };
                let count = comments.len();
                let shown =
                    comments.last().map(|c| c.body.split("\n\n<!-- plimsoll:").next().unwrap_or_default().to_owned());
                if count != 1 {
                    scene.broke(invariant, format!("{count} of {}", target.name()));
                }
                (shown, text.trim_end().to_owned())
            }
            (Target::DeploymentStatus { deployment }, Content::Deployment(content)) => {
                let statuses = scene.model.statuses_of(deployment.0).into_iter();
                let newest = statuses.map(|s| format!("{} {}", s.state, s.description)).find(|s| s != "inactive ");
                (newest, format!("{} {}", acts::state_word(content.state), content.description))
            }
            (_, _) => (None, "a content that fits its place".to_owned()),
        };
        if shown.as_ref() != Some(&wanted) {
            scene.broke(WHAT_IS_SHOWN, format!("{subject} {}: shown {shown:?}, wanted {wanted:?}", target.name()));
        }
    }
}

fn every_command_is_answered(scene: &mut Scene) {
    let bot = scene.model.app.bot_login();
    let mut wrong = Vec::new();
    for comment in scene.model.comments.values().filter(|comment| comment.author != bot) {
        let marker = format!("<!-- plimsoll:reply/{}/{} -->", comment.number, comment.id);
        let replies = scene.model.comments.values().filter(|c| c.author == bot && c.body.contains(&marker)).count();
        let written = scene.record.written.get(&comment.id).unwrap_or(&comment.body);
        let asks = !chatops::commands(written).commands.is_empty();
        let refused = scene.record.refused.contains_key(&format!("reply/{}/{}", comment.number, comment.id));
        let wanted = match (asks, scene.record.edited.contains(&comment.id)) {
            (true, false) => 1..=1,
            // Whether the first text was read before the edit is a matter of luck.
            (_, true) => 0..=1,
            (false, false) => 0..=0,
        };
        if !refused && !wanted.contains(&replies) {
            wrong.push(format!("{replies} replies to {} of {}: {written:?}", comment.id, comment.author));
        }
    }
    for story in wrong {
        scene.broke(ONE_REPLY, story);
    }
}
