//! What must be true when nothing moves any more: all is ended, answered and shown.
//!
//! Judges GitHub against the lanes. Must never be asked before the world is at rest.

use super::super::acts;
use super::super::hands::at_once;
use super::super::scene::{Landing, Scene};
use super::rollouts::done_at;
use super::{
    BLOCKS_END, DEPLOYMENTS_AGREE, EVERY_MERGE_IS_RELEASED, EVERY_RELEASE_ENDS, KEYS_ONCE, NOTHING_IS_LOST,
    ONE_LIVING_COMMENT, ONE_REPLY, OVERRIDE_ONCE, QUEUE_GOES_ON, WE_KNOW_GITHUB, WHAT_IS_SHOWN, gates, is_same, means,
    stages,
};
use plimsoll::domain::chatops;
use plimsoll::domain::ids::*;
use plimsoll::domain::policy::GateName;
use plimsoll::domain::release::breakglass::issue_key;
use plimsoll::domain::release::{
    BlockKind, PipelineState, Purpose, Release, Rollout, Stage, StagePhase, StepPhase, content, gate,
};
use plimsoll::domain::state::State;
use plimsoll::engine::ports::Store;
use plimsoll::sandbox::model::PullState;
use plimsoll::store::MemoryStore;
use std::collections::BTreeSet;

/// A lane at rest.
type Lanes = Vec<(Subject, State)>;

/// Judges a world in which nothing moves any more.
pub fn at_rest(scene: &mut Scene, store: &MemoryStore, lanes: &Lanes) {
    nothing_is_lost(scene, store);
    keys_are_unique(scene);
    for (subject, state) in lanes {
        match state {
            State::Pipeline(state) => {
                blocks_are_over(scene, state);
                every_release_ends(scene, state);
                queues_go_on(scene, state);
                deployments_agree(scene, state);
                issues_are_open(scene, state);
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

fn blocks_are_over(scene: &mut Scene, state: &PipelineState) {
    if let Some(block) = state.blocks.iter().find(|block| gates::is_long_over(scene, block)) {
        scene.broke(BLOCKS_END, format!("{block:?} is still there at rest, in {}", state.service));
    }
}

/// By the world's own reading: what waits or pauses has something that keeps it.
fn queues_go_on(scene: &mut Scene, state: &PipelineState) {
    for (release, stage) in stages(state) {
        let waits = matches!(stage.phase, StagePhase::Waiting { .. }) || gates::is_between(stage);
        if !waits || release.is_rollback() {
            continue;
        }
        let name = &stage.policy.name;
        let kept = gates::kept_at_rest(scene, state, release, stage);
        // Approvals and turns are told by our own conditions; each that is not met must still be true.
        let unmet: Vec<GateName> = stage.conditions.iter().filter(|c| !c.met).map(|c| c.gate).collect();
        let others = unmet.iter().any(|gate| match gate {
            GateName::Approval | GateName::Order | GateName::Reverted => true,
            GateName::Hold => is_of_no_merge(state, release) && is_held(state, name),
            GateName::Lock | GateName::Freeze | GateName::Window => false,
        });
        if kept.is_empty() && !others {
            let story = format!("release {} of {} in {name} waits at {unmet:?}", release.number, state.service);
            scene.broke(QUEUE_GOES_ON, story);
        }
        // A pause that nobody can end: the release waits for one that waits for it. A delivery further back has its turn
        // after the one before it.
        let stuck = gates::is_between(stage) && unmet.contains(&GateName::Reverted);
        let waits = |theirs: &Stage| theirs.policy.name == *name && matches!(theirs.phase, StagePhase::Waiting { .. });
        let is_delivery = |other: &Release| matches!(other.purpose, Purpose::Delivery);
        let first = stages(state).find(|(other, theirs)| is_delivery(other) && waits(theirs)).map(|(r, _)| r.number);
        let waiting = stages(state).any(|(other, theirs)| {
            waits(theirs)
                && other.number > release.number
                && (!is_delivery(other) || first == Some(other.number))
                && content::comes_after(state, other, theirs) == Some(true)
                && theirs.conditions.iter().all(|c| c.met || c.gate == GateName::Order)
        });
        if stuck && waiting {
            let story = format!("release {} of {} pauses in {name} for one that waits", release.number, state.service);
            scene.broke(QUEUE_GOES_ON, story);
        }
    }
}

/// Of a commit that is no merge of this service nobody knows whether it takes the culprit of a hold back: a person must
/// say so.
fn is_of_no_merge(state: &PipelineState, release: &Release) -> bool {
    let delivery = |other: &Release| matches!(other.purpose, Purpose::Delivery) && other.sha == release.sha;
    matches!(release.purpose, Purpose::Requested { .. }) && !state.releases.values().any(delivery)
}

fn is_held(state: &PipelineState, environment: &EnvironmentName) -> bool {
    state.blocks.iter().any(|b| b.kind == BlockKind::Hold && means(b.environment.as_ref(), environment))
}

fn issues_are_open(scene: &mut Scene, state: &PipelineState) {
    for known in &state.overrides {
        let key = issue_key(&state.repo, &state.service, known.number);
        let of_it = |body: &Option<String>| body.as_deref().and_then(acts::key_in) == Some(key.as_str());
        let count = scene.model.issues.values().filter(|issue| of_it(&issue.body)).count();
        if count != 1 && !(count == 0 && scene.record.refused_acts.contains(key.as_str())) {
            scene.broke(OVERRIDE_ONCE, format!("{count} issues for {known:?}"));
        }
    }
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
                // A pause waits for its gate, and what is undecided for a person.
                StagePhase::Rolling(Rollout { phase: StepPhase::Between { .. }, .. }) => {
                    waits = true;
                    !gate::is_open(&gate::conditions(state, release, stage, Timestamp(scene.now)))
                }
                StagePhase::Rolling(Rollout { phase: StepPhase::Undecided { .. }, .. }) => {
                    waits = true;
                    true
                }
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
        let done = last.is_some_and(|run| done_at(scene, run.id).is_some());
        let wanted = match &stage.phase {
            StagePhase::Rolling(_) => "in_progress",
            StagePhase::Succeeded { .. } if done => "success",
            // Nothing but `inactive` is ever said of what gave way.
            StagePhase::Superseded { .. } => continue,
            StagePhase::Succeeded { .. }
            | StagePhase::Failed { .. }
            | StagePhase::Cancelled { .. }
            | StagePhase::Ahead
            | StagePhase::Waiting { .. }
            | StagePhase::NotReached => "failure",
        };
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
        let edited = scene.record.edited.contains(&comment.id);
        let wanted = match (asks, edited) {
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
