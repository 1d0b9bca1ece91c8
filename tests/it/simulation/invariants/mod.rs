//! The rules that no world may break, each with its sentence.
//!
//! What stands on GitHub is judged by the model, not by what we believe of it. Our own state is asked only for what
//! the model cannot know: what a release is for, and which plan it keeps. Each room judges one kind of thing: gates,
//! rollouts, people, and what is shown when all is at rest.

use super::answers::seconds;
use super::replay::Heard;
use super::scene::{Landing, Scene};
use plimsoll::domain::chatops::{self, Verb};
use plimsoll::domain::event::Change;
use plimsoll::domain::ids::*;
use plimsoll::domain::policy::Band;
use plimsoll::domain::release::{PipelineState, Purpose, Release, Rollout, Stage, StagePhase};
use plimsoll::domain::state::State;
use plimsoll::engine::step::read_lane;
use plimsoll::sandbox::model::{Model, PullState};
use std::collections::{BTreeMap, BTreeSet};

mod gates;
mod people;
mod rollouts;
mod shown;
mod verified;

pub use shown::at_rest;
pub use verified::tried;

pub const KEYS_ONCE: &str = "no effect key is ever seen twice on GitHub";
pub const ONE_ACTIVE: &str = "at most one active release per service and environment";
pub const STEPS_IN_ORDER: &str = "a step starts only after the step before it succeeded and baked";
pub const VERIFIED: &str = "a step begins only after the one before was verified, or a person took it as good";
pub const FAILED_STOPS: &str = "a verification that failed more often than allowed stops the rollout";
pub const GOES_BACK: &str = "what failed goes back by itself where the policy says so and that is safe";
pub const UNDECIDED_WAITS: &str = "an undecided verification never goes on without a person's word";
pub const DRY_RUNS_ASKED: &str = "a verification that decides nothing is asked before its step ends";
pub const FOUR_EYES: &str =
    "a protected environment never starts without enough approvals by people with no hand in it";
pub const ONLY_MERGED: &str = "only what the default branch contains is deployed by automation";
pub const NOTHING_STARTS_HELD: &str = "nothing starts in a locked, held or frozen environment or outside its windows, but rollbacks and what was overridden";
pub const BLOCKS_END: &str = "a block that had an end keeps nothing after its end";
pub const QUEUE_GOES_ON: &str = "what waits goes on by itself when nothing keeps it any more";
pub const PEOPLE_END_HOLDS: &str = "only a person ends a hold: automation does not undo a rollback";
pub const PEOPLE_DID_IT: &str = "what is said of a person, that person did, and was allowed to";
pub const BACK_TO_GOOD: &str = "rollback goes only to a release that was verified there";
pub const BACK_ONLY_SAFE: &str =
    "automation never goes back past what cannot be taken back, to what is gone, or to what is too old";
pub const REVERTED_STAYS: &str = "what was reverted is never deployed again by automation";
pub const NOT_BACKWARDS: &str = "a delivery never goes over what contains it: going back is for rollbacks only";
pub const MAX_CHANGES: &str = "a release takes over no more pull requests than the policy lets it bring";
pub const NO_REPLACING: &str =
    "a newer release replaces one mid-rollout only where the policy says so, when it could start";
pub const OVERRIDE_ONCE: &str = "an override counts for one gate of one release, and opens exactly one issue";
pub const OVERRIDE_REVIEWED: &str = "an override is reviewed by somebody else with write permission, or not at all";
pub const PLAN_CHANGES_NOTHING: &str = "`plan` changes nothing";
pub const REPORTS_MATCH: &str = "a report counts only when key, run, environment and commit match";
pub const NOTHING_SPECULATIVE: &str = "nothing of a merge group's speculative commit is ever deployed";
pub const BUTTONS_BOUND: &str = "a button counts only for the commit it stands on";
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

/// What a turn of a pipeline made of what was before.
pub struct Turned<'a> {
    pub before: &'a PipelineState,
    pub after: &'a PipelineState,
    pub heard: &'a Heard,
    pub at: Timestamp,
}

/// Judges a lane's new state.
pub fn committed(scene: &mut Scene, subject: &Subject, after: &[u8], heard: &Heard, at: Timestamp) {
    let Subject::Pipeline { repo, service } = subject else { return };
    let before = scene.record.pipelines.remove(service);
    // Many a turn leaves all as it was.
    let same = before.is_some() && scene.record.written_pipelines.get(service).is_some_and(|written| written == after);
    let before = before.unwrap_or_else(|| Box::new(PipelineState::new(repo.clone(), service.clone())));
    let read = match same {
        true => None,
        false => match read_lane(after).map(|lane| lane.state) {
            Ok(State::Pipeline(read)) => Some(read),
            Ok(State::Repository(_) | State::PullRequest(_)) => {
                return scene.broke(ROUND_TRIP, format!("{subject} is no pipeline any more"));
            }
            Err(because) => return scene.broke(ROUND_TRIP, because),
        },
    };
    if !same {
        scene.record.written_pipelines.insert(service.clone(), after.to_vec());
    }
    let after = read.as_ref().unwrap_or(&before);
    let turned = Turned { before: &before, after, heard, at };
    gates::committed(scene, &turned);
    verified::committed(scene, &turned);
    rollouts::committed(scene, &turned);
    people::committed(scene, &turned);
    scene.record.pipelines.insert(service.clone(), read.unwrap_or(before));
}

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
    rollouts::landed(scene, landing, &state, release, stage);
    gates::landed(scene, landing, &state, release, stage);
}

fn is_same(a: &Landing, b: &Landing) -> bool {
    (&a.service, a.release, &a.environment, a.step) == (&b.service, b.release, &b.environment, b.step)
}

// ---------------------------------------------------------------- what rooms share

/// Every stage of a state with its release.
fn stages(state: &PipelineState) -> impl Iterator<Item = (&Release, &Stage)> {
    state.releases.values().flat_map(|release| release.stages.iter().map(move |stage| (release, stage)))
}

fn rollout_of(stage: &Stage) -> Option<&Rollout> {
    match &stage.phase {
        StagePhase::Rolling(rollout) => Some(rollout),
        StagePhase::Ahead
        | StagePhase::Waiting { .. }
        | StagePhase::Succeeded { .. }
        | StagePhase::Failed { .. }
        | StagePhase::Cancelled { .. }
        | StagePhase::Superseded { .. }
        | StagePhase::NotReached => None,
    }
}

/// The same stage in another state.
fn same_stage<'a>(state: &'a PipelineState, release: &Release, stage: &Stage) -> Option<&'a Stage> {
    state.releases.get(&release.number)?.stage(&stage.policy.name)
}

/// What a person said or pressed.
#[derive(Clone, Debug)]
pub struct Word {
    pub by: String,
    pub verb: Verb,
    /// The commit that a button stands on.
    pub bound: Option<Sha>,
}

/// What people said since to a service, and every button that they pressed there: those are bound by what they stand on.
fn words(scene: &Scene, state: &PipelineState, since: i64) -> Vec<Word> {
    let said = commands(scene, seconds(since).0).into_iter();
    let said = said.filter(|(_, verb)| verb.service().is_none_or(|named| *named == state.service));
    let mut found: Vec<Word> = said.map(|(by, verb)| Word { by, verb, bound: None }).collect();
    for press in scene.record.presses.iter().filter(|press| press.service == state.service) {
        let mut parts = press.action.split('.');
        let (Some(word), Some(number)) = (parts.next(), parts.next().and_then(|n| n.parse::<u64>().ok())) else {
            continue;
        };
        let release = state.releases.get(&ReleaseNumber(number)).filter(|release| release.sha == press.head_sha);
        let place = parts.next().and_then(|n| n.parse::<usize>().ok());
        let Some(stage) = release.zip(place).and_then(|(release, place)| release.stages.get(place)) else { continue };
        let environment = stage.policy.name.clone();
        let verb = match word {
            "approve" => Verb::Approve { environment, sha: None, service: None },
            "rollback" => Verb::Rollback { environment, to: None, service: None, reason: None },
            "retry" => Verb::Retry { environment: Some(environment), service: None },
            "hold" => Verb::Hold { environment: Some(environment), service: None, lasts: None, reason: None },
            _ => continue,
        };
        found.push(Word { by: press.by.to_string(), verb, bound: Some(press.head_sha.clone()) });
    }
    found
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

/// Whether a name that may be missing means this environment.
fn means(named: Option<&EnvironmentName>, environment: &EnvironmentName) -> bool {
    named.is_none_or(|named| named == environment)
}

/// Every change that a release would bring over what is live, by the history on GitHub; of those that the pipeline was
/// told of.
fn brought<'a>(
    scene: &Scene,
    state: &'a PipelineState,
    release: &'a Release,
    environment: &EnvironmentName,
) -> Vec<&'a Change> {
    let history = &scene.model.history;
    let live = state.live(environment).map(|live| live.sha.as_str());
    let mut known: Vec<&Change> = state.releases.values().flat_map(|release| &release.changes).collect();
    known.sort_by_key(|change| change.pull);
    known.dedup_by_key(|change| change.pull);
    known.retain(|change| {
        let sha = change.sha.as_str();
        history.is_ancestor(sha, release.sha.as_str()) && !live.is_some_and(|live| history.is_ancestor(sha, live))
    });
    known
}

/// The same, but when what is live is a commit that somebody named and that no delivery is made of, nobody knows what it
/// holds: then all of it may be new.
fn may_bring<'a>(
    scene: &Scene,
    state: &'a PipelineState,
    release: &'a Release,
    environment: &EnvironmentName,
) -> Vec<&'a Change> {
    let live = state.live(environment).and_then(|live| state.releases.get(&live.release));
    let delivers = |sha: &Sha| state.releases.values().any(|r| matches!(r.purpose, Purpose::Delivery) && r.sha == *sha);
    if live.is_none_or(|live| !matches!(live.purpose, Purpose::Requested { .. }) || delivers(&live.sha)) {
        return brought(scene, state, release, environment);
    }
    let known = state.releases.values().flat_map(|release| &release.changes);
    known.filter(|change| scene.model.history.is_ancestor(change.sha.as_str(), release.sha.as_str())).collect()
}

/// The band of all of that together; `None`: of a part nobody knows.
fn band(scene: &Scene, state: &PipelineState, release: &Release, environment: &EnvironmentName) -> Option<Band> {
    // What it was made for counts also where it is live already.
    let mut changes = brought(scene, state, release, environment);
    changes.extend(&release.changes);
    changes.sort_by_key(|change| change.pull);
    changes.dedup_by_key(|change| change.pull);
    if changes.is_empty() {
        // Somebody asks for the commit of a delivery that lies in what somebody brought: that is of a known risk.
        let same = |other: &&Release| matches!(other.purpose, Purpose::Delivery) && other.sha == release.sha;
        changes =
            state.releases.values().rev().find(same).map(|same| same.changes.iter().collect()).unwrap_or_default();
    }
    let mut well = 1.0;
    for change in &changes {
        well *= 1.0 - change.risk?.0;
    }
    (!changes.is_empty()).then(|| Band::of(1.0 - well, &release.plan.risk))
}

/// Which pull requests a pull request takes back, by its description on GitHub.
fn reverts(model: &Model, pull: u64) -> Vec<u64> {
    let Some(pull) = model.pulls.get(&pull) else { return Vec::new() };
    // Under another title such a line is only talk.
    if !pull.title.to_ascii_lowercase().starts_with("revert") {
        return Vec::new();
    }
    let body = pull.body.clone().unwrap_or_default();
    let commit_of = |sha: &str| {
        let mut pulls = model.pulls.values();
        pulls.find(|pull| matches!(&pull.state, PullState::Merged { sha: made, .. } if made == sha)).map(|p| p.number)
    };
    let read = |line: &str| {
        let line = line.trim();
        let numbered = line.strip_prefix("Reverts acme/shop#").and_then(|number| number.parse::<u64>().ok());
        numbered.or_else(|| commit_of(line.strip_prefix("This reverts commit ")?.trim_end_matches('.')))
    };
    body.lines().filter_map(read).collect()
}

/// Which pull requests a release takes back: those that something it brings reverts, unless it brings what takes that back
/// again, and nothing that takes that back in turn. Of those that could take back again only what `counts`.
fn taken_back(scene: &Scene, changes: &[&Change], counts: impl Fn(u64) -> bool) -> BTreeSet<u64> {
    fn stands(of: &BTreeMap<u64, Vec<u64>>, pull: u64, counts: &impl Fn(u64) -> bool) -> bool {
        // What takes back has the higher number, so this comes to its end.
        let takers = of.iter().filter(|(taker, taken)| **taker > pull && counts(**taker) && taken.contains(&pull));
        !takers.into_iter().any(|(taker, _)| stands(of, *taker, counts))
    }
    let of: BTreeMap<u64, Vec<u64>> =
        changes.iter().map(|change| (change.pull.0, reverts(&scene.model, change.pull.0))).collect();
    of.iter().filter(|(pull, _)| stands(&of, **pull, &counts)).flat_map(|(_, taken)| taken).copied().collect()
}

/// The same as a turn may have seen it: without what it heard itself, which may have come after it decided, and with that.
fn taken_back_in(
    scene: &Scene,
    (before, after): (&PipelineState, &PipelineState),
    release: &Release,
    environment: &EnvironmentName,
) -> BTreeSet<u64> {
    let mut taken = BTreeSet::new();
    // What a commit that somebody named holds may be known to history alone.
    for brought in [brought(scene, after, release, environment), may_bring(scene, after, release, environment)] {
        taken.extend(taken_back(scene, &brought, |taker| knows(before, taker)));
        taken.extend(taken_back(scene, &brought, |_| true));
    }
    taken
}

/// Whether a pipeline was told of a pull request.
fn knows(state: &PipelineState, pull: u64) -> bool {
    state.releases.values().flat_map(|release| &release.changes).any(|change| change.pull.0 == pull)
}
