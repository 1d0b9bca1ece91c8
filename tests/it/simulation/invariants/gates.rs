//! What may start when: locks, holds, freezes, windows, approvals; and that what ends, ends.
//!
//! Judges by blocks as they were put, by minutes of the day, and by comments. Must never ask the gate.

use super::super::answers::{is_member, permission, seconds};
use super::super::scene::{Landing, Place, Scene};
use super::{
    BLOCKS_END, FOUR_EYES, NOTHING_STARTS_HELD, SKEW_MAX, Turned, band, means, rollout_of, same_stage, stages,
    taken_back_in, words,
};
use plimsoll::domain::chatops::Verb;
use plimsoll::domain::facts::Permission;
use plimsoll::domain::ids::*;
use plimsoll::domain::policy::{GateName, Requirement, Window};
use plimsoll::domain::release::eyes;
use plimsoll::domain::release::{
    Block, BlockKind, PipelineState, Purpose, Release, Rollout, Stage, StagePhase, StepPhase,
};
use plimsoll::sandbox::model::{Model, PullState};
use std::collections::{BTreeMap, BTreeSet};

/// How late a turn may be that ends what has run out: instances' clocks differ, and turns take their time.
const LATE: Span = Span::minutes(10);

pub fn committed(scene: &mut Scene, turned: &Turned<'_>) {
    note_waiting(scene, turned.after);
    note_wanted(scene, turned);
    note_taken_back(scene, turned);
    starts_are_free(scene, turned);
    let over = turned.after.blocks.iter().find(|block| block.until.is_some_and(|until| until <= turned.at));
    if let Some(over) = over {
        scene.broke(BLOCKS_END, format!("{over:?} still counts at {:?}", turned.at));
    }
}

pub fn landed(scene: &mut Scene, landing: &Landing, state: &PipelineState, release: &Release, stage: &Stage) {
    if landing.step.is_none_or(|step| step == 1)
        && !release.is_rollback()
        && let Some(requirement) = &stage.policy.approval
    {
        is_approved(scene, landing, requirement, state);
    }
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

/// How many approvals are demanded by the band of what a release brings, at the moment at which it starts.
fn note_wanted(scene: &mut Scene, turned: &Turned<'_>) {
    for (release, stage) in stages(turned.after) {
        let was = same_stage(turned.before, release, stage).and_then(rollout_of);
        let (Some(requirement), None, Some(_)) = (&stage.policy.approval, was, rollout_of(stage)) else { continue };
        let name = &stage.policy.name;
        let band = band(scene, turned.after, release, name);
        let raises = stage.policy.when_risk.iter().filter(|raise| band.is_none_or(|band| raise.from <= band));
        let wanted = raises.filter_map(|raise| raise.approvals).chain([requirement.count]).max().unwrap_or(0) as usize;
        scene.record.wanted.insert((turned.after.service.clone(), release.number, name.clone()), wanted);
    }
}

/// What a release takes back as far as was known when it started: what it hears later may take that back again.
fn note_taken_back(scene: &mut Scene, turned: &Turned<'_>) {
    for (release, stage, step) in begun(turned) {
        if step > 0 {
            continue;
        }
        let name = &stage.policy.name;
        let taken = taken_back_in(scene, (turned.before, turned.after), release, name);
        scene.record.taken_back.insert((turned.after.service.clone(), release.number, name.clone()), taken);
    }
}

/// What keeps a release from beginning a step now, by the world's own reading; what was overridden is left out.
///
/// `before` is the state before the turn: what was heard in the turn itself may have come after the step had begun.
pub fn reasons(
    scene: &Scene,
    (before, state): (&PipelineState, &PipelineState),
    blocks: &[&Block],
    release: &Release,
    stage: &Stage,
    now: Timestamp,
) -> Vec<(GateName, String)> {
    let name = &stage.policy.name;
    let mut found = Vec::new();
    let overridden = |gate: GateName| {
        let mine = state.overrides.iter().filter(|one| one.gate == gate && one.release == release.number);
        mine.filter(|one| one.environment == *name).map(|one| one.at).max()
    };
    for block in blocks {
        let gate = match block.kind {
            BlockKind::Lock => GateName::Lock,
            BlockKind::Hold => GateName::Hold,
            BlockKind::Freeze => GateName::Freeze,
        };
        let over = block.until.is_some_and(|until| until <= now);
        let mends = block
            .culprit
            .is_some_and(|culprit| taken_back_in(scene, (before, state), release, name).contains(&culprit.0));
        // What came after the override was not what its author saw.
        let passed = overridden(gate).is_some_and(|at| block.since <= at);
        if means(block.environment.as_ref(), name) && !over && !mends && !passed {
            found.push((gate, format!("{block:?}")));
        }
    }
    if overridden(GateName::Window).is_none()
        && !stage.policy.windows.is_empty()
        && !stage.policy.windows.iter().any(|window| is_open(window, now))
    {
        found.push((GateName::Window, "it is outside the windows".to_owned()));
    }
    let band = band(scene, state, release, name);
    let frozen = stage.policy.freezes.iter().find(|freeze| {
        let passes = freeze.pass.zip(band).is_some_and(|(pass, band)| band <= pass);
        freeze.from <= now && now < freeze.to && !passes
    });
    if let Some(freeze) = frozen.filter(|_| overridden(GateName::Freeze).is_none()) {
        found.push((GateName::Freeze, format!("{freeze:?}, and the band is {band:?}")));
    }
    found
}

/// Whether a drawn window is open: worlds play in January, where Berlin is one hour ahead, and no window goes on past
/// midnight.
fn is_open(window: &Window, now: Timestamp) -> bool {
    let ahead = if window.zone == "Europe/Berlin" { 60 } else { 0 };
    let minutes = now.0.div_euclid(60_000) + ahead;
    // The first of January 1970 was a Thursday.
    let day = (minutes.div_euclid(24 * 60) + 3).rem_euclid(7) as usize;
    let of_day = minutes.rem_euclid(24 * 60);
    window.days[day] && (i64::from(window.from)..i64::from(window.to)).contains(&of_day)
}

/// Every step that begins in this turn: release, stage, and the step from 0.
fn begun<'a>(turned: &Turned<'a>) -> Vec<(&'a Release, &'a Stage, usize)> {
    let mut found = Vec::new();
    for (release, stage) in stages(turned.after) {
        let Some(rollout) = rollout_of(stage).filter(|rollout| rollout.stopping.is_none()) else { continue };
        let was = same_stage(turned.before, release, stage).and_then(rollout_of);
        // What is being made was decided about; only a pause decides anew.
        if was.is_none_or(|was| was.step < rollout.step) {
            found.push((release, stage, rollout.step));
        }
    }
    found
}

fn starts_are_free(scene: &mut Scene, turned: &Turned<'_>) {
    // What was put in this very turn may have come after the start.
    let known = |block: &&Block| turned.before.blocks.iter().any(|other| other.number == block.number);
    let blocks: Vec<&Block> = turned.after.blocks.iter().filter(known).collect();
    for (release, stage, step) in begun(turned) {
        if release.is_rollback() {
            continue;
        }
        let reasons = reasons(scene, (turned.before, turned.after), &blocks, release, stage, turned.at);
        if let Some((_, reason)) = reasons.first() {
            let (number, name, service) = (release.number, &stage.policy.name, &turned.after.service);
            let story = format!("release {number} begins step {step} in {service}/{name} at {:?}: {reason}", turned.at);
            scene.broke(NOTHING_STARTS_HELD, story);
        }
    }
}

/// Counts approvals anew, from the comments, the teams and the history alone.
fn is_approved(scene: &mut Scene, landing: &Landing, requirement: &Requirement, state: &PipelineState) {
    let live = state.live(&landing.environment).map(|live| live.sha.to_string());
    let mut involved = people_behind(&scene.model, live.as_deref(), &landing.sha);
    involved.extend(askers(state, landing));
    let place: Place = (landing.service.clone(), landing.release, landing.environment.clone());
    let overridden = state.overrides.iter().any(|one| {
        one.gate == GateName::Approval && one.release == landing.release && one.environment == landing.environment
    });
    if overridden {
        return;
    }
    let wanted = scene.record.wanted.get(&place).copied().unwrap_or(requirement.count as usize);
    let since = scene.record.waiting_since.get(&place).map_or(landing.at, |since| seconds(since.0).0 - SKEW_MAX);
    let mut approvers = BTreeSet::new();
    let mut others = Vec::new();
    for word in words(scene, state, since) {
        let Verb::Approve { environment, sha, service } = word.verb else { continue };
        let by = word.by;
        if word.bound.is_some_and(|bound| bound.as_str() != landing.sha) {
            continue;
        }
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
        let writes = permission(scene.model.permission_of(&by)) >= Permission::Write;
        let anybody = requirement.teams.is_empty() && requirement.users.is_empty();
        let named = requirement.users.contains(&Login::new(by.as_str()));
        let permitted = in_team || (writes && (anybody || named));
        match (permitted, involved.contains(&by)) {
            (true, false) => drop(approvers.insert(by)),
            (true, true) => others.push(format!("{by} has a hand in it")),
            (false, _) => others.push(format!("{by} may not")),
        }
    }
    if approvers.len() < wanted {
        let story = format!("{landing:?}: {wanted} wanted, {approvers:?} count; {others:?}");
        scene.broke(FOUR_EYES, story);
    }
}

/// Who asked for anything that a release brings, or had it tried again.
fn askers(state: &PipelineState, landing: &Landing) -> Vec<String> {
    let merges = state.releases.values().filter(|release| matches!(release.purpose, Purpose::Delivery));
    let numbers: BTreeMap<&Sha, ReleaseNumber> = merges.map(|release| (&release.sha, release.number)).collect();
    // What somebody brought there since may have any number: what counts is the last merge that ran there.
    let good = state.environment(&landing.environment).map(|e| e.good.as_slice()).unwrap_or_default();
    let merged = good.iter().rev().find_map(|good| numbers.get(&good.sha)).copied().unwrap_or(ReleaseNumber(0));
    let between = state.releases.values().filter(|release| {
        let ran = good.iter().any(|good| good.release == release.number);
        release.number == landing.release || (release.number > merged && release.number < landing.release && !ran)
    });
    let mut found = Vec::new();
    for release in between {
        if let Purpose::Requested { by, .. } = &release.purpose {
            found.push(by.to_string());
        }
        found.extend(release.retried_by.as_ref().map(Login::to_string));
    }
    found
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

/// What keeps a paused or waiting stage when all is at rest, but its turn and its approvals.
pub fn kept_at_rest(scene: &Scene, state: &PipelineState, release: &Release, stage: &Stage) -> Vec<(GateName, String)> {
    let blocks: Vec<&Block> = state.blocks.iter().collect();
    reasons(scene, (state, state), &blocks, release, stage, Timestamp(scene.now))
}

/// Whether a block should be gone for long.
pub fn is_long_over(scene: &Scene, block: &Block) -> bool {
    block.until.is_some_and(|until| until.plus(LATE) <= Timestamp(scene.now))
}

/// Whether a stage pauses before its next step.
pub fn is_between(stage: &Stage) -> bool {
    matches!(&stage.phase, StagePhase::Rolling(Rollout { phase: StepPhase::Between { .. }, .. }))
}
