//! Moves a pipeline on: new releases, candidates, starts, ends.
//!
//! Knows the order of environments. Must never wait: what cannot go on now is woken for.

use super::gate::{conditions, is_open};
use super::rollback::abort;
use super::rollout::{self, At};
use super::*;
use crate::domain::event::Reverted;
use crate::domain::policy::Supersede;

/// Makes a release of a merged change and lets it begin with the first environment.
pub fn deliver(state: &mut PipelineState, sha: Sha, change: Change, plan: Plan, now: Timestamp, said: &mut Said) {
    state.adopt_order(&plan);
    state.last_number += 1;
    let number = ReleaseNumber(state.last_number);
    let stages: Vec<Stage> =
        plan.pipeline.environments.iter().map(|policy| Stage::new(policy.clone(), StagePhase::Ahead)).collect();
    let first = stages.first().map(|s| s.policy.name.clone());
    said.notes.push(format!("release {number} of {} is {}", state.service, sha.short()));
    take_back(state, &change, said);
    let mut release = Release::new(number, sha, Purpose::Delivery, plan, now);
    release.changes = vec![change];
    release.stages = stages;
    state.releases.insert(number, release);
    if let Some(first) = first {
        become_candidate(state, number, &first, now, said);
    }
}

/// Remembers what a merged change took back.
pub fn take_back(state: &mut PipelineState, change: &Change, said: &mut Said) {
    for reverted in &change.reverts {
        let pull = match reverted {
            Reverted::Pull(pull) => Some(*pull),
            Reverted::Commit(sha) => {
                let known = state.releases.values().flat_map(|release| &release.changes);
                known.into_iter().find(|known| known.sha == *sha).map(|known| known.pull)
            }
        };
        // Only what came before, and what this pipeline knows, can have been taken back.
        let brought = |pull: &PullNumber| state.releases.values().any(|r| r.changes.iter().any(|c| c.pull == *pull));
        let Some(pull) = pull.filter(|pull| *pull < change.pull && brought(pull)) else { continue };
        remember_reverted(state, pull, change.pull, said);
    }
    // What takes it back may have been heard of first, when nobody here knew it.
    let takes = |known: &&Change| {
        let names = [Reverted::Commit(change.sha.clone()), Reverted::Pull(change.pull)];
        known.pull > change.pull && known.reverts.iter().any(|reverted| names.contains(reverted))
    };
    let known = state.releases.values().flat_map(|release| &release.changes);
    let takers: BTreeSet<PullNumber> = known.filter(takes).map(|known| known.pull).collect();
    for by in takers {
        remember_reverted(state, change.pull, by, said);
    }
}

fn remember_reverted(state: &mut PipelineState, pull: PullNumber, by: PullNumber, said: &mut Said) {
    said.notes.push(format!("#{by} takes #{pull} back"));
    state.reverted.entry(pull).or_default().insert(by);
    // The lowest numbers are the oldest.
    while state.reverted.len() > REVERTED_KEPT {
        state.reverted.pop_first();
    }
}

/// What somebody asked for.
#[derive(Clone, Debug)]
pub struct Wish {
    pub sha: Sha,
    pub environment: EnvironmentName,
    pub by: Login,
    pub reason: Option<String>,
    pub plan: Plan,
    pub asked: Origin,
}

/// Makes a release that somebody asked for, for one environment; `None` when the plan does not know it.
pub fn request(state: &mut PipelineState, wish: Wish, now: Timestamp, said: &mut Said) -> Option<ReleaseNumber> {
    let Wish { sha, environment, by, reason, plan, asked } = wish;
    state.adopt_order(&plan);
    let policy = plan.pipeline.environment(&environment).map(|(_, policy)| policy.clone())?;
    state.last_number += 1;
    let number = ReleaseNumber(state.last_number);
    let mut release = Release::new(number, sha, Purpose::Requested { by, reason }, plan, now);
    release.asked = Some(asked);
    release.stages = vec![Stage::new(policy, StagePhase::Ahead)];
    state.releases.insert(number, release);
    become_candidate(state, number, &environment, now, said);
    Some(number)
}

/// Makes a release the candidate of an environment; the one that waited there is superseded, and its changes go along.
pub fn become_candidate(
    state: &mut PipelineState,
    number: ReleaseNumber,
    name: &EnvironmentName,
    now: Timestamp,
    said: &mut Said,
) {
    // Somebody may have brought a newer release here meanwhile; going back is for rollbacks only. A commit of no delivery
    // has no place among them: it is compared before this one starts.
    let place = |release: &Release| content::delivery_of(state, release);
    let live = state.live(name).and_then(|live| state.releases.get(&live.release).map_or(Some(live.release), place));
    let newer = live.filter(|live| *live > number);
    let rolling = state.rolling(name).filter(|(r, _)| !r.is_rollback()).and_then(|(r, _)| place(r));
    let newer = newer.or(rolling.filter(|r| *r > number));
    let delivery = state.releases.get(&number).is_some_and(|r| matches!(r.purpose, Purpose::Delivery));
    if let (Some(by), true) = (newer, delivery) {
        supersede(state, number, name, by, now, said);
        return;
    }
    // Somebody asked for this very commit and brought it here already.
    let here = live.and_then(|place| (place == number).then(|| state.live(name)).flatten());
    let here = here.map(|live| live.release).filter(|by| *by != number);
    let replaced = replaced_by(state, number, name);
    take_places(state, number, name, replaced, now, said);
    if let (Some(by), true) = (here, delivery) {
        is_here(state, number, name, by, now, said);
        return;
    }
    if let Some(stage) = state.stage_mut(number, name) {
        stage.phase = StagePhase::Waiting { since: now };
    }
    // A newer one waits here already where a newer policy sent it straight.
    if let (Some(newer), true) = (newer_waiting(state, number, name).into_iter().min(), delivery) {
        take_places(state, newer, name, replaced_by(state, newer, name), now, said);
    }
}

/// The deliveries that wait in an environment and are newer than a release, oldest first.
fn newer_waiting(state: &PipelineState, number: ReleaseNumber, name: &EnvironmentName) -> Vec<ReleaseNumber> {
    let waiting = state.waiting(name).into_iter().map(|(r, _)| r);
    waiting.filter(|r| matches!(r.purpose, Purpose::Delivery) && r.number > number).map(|r| r.number).collect()
}

/// A release turned out to bring one change more: what that takes back may wait before it, and could never start.
pub fn brings_more(state: &mut PipelineState, number: ReleaseNumber, change: Change, now: Timestamp, said: &mut Said) {
    let Some(release) = state.releases.get_mut(&number) else { return };
    said.notes.push(format!("#{} is part of release {number}", change.pull));
    release.changes.push(change);
    let names: Vec<EnvironmentName> = state.environments.iter().map(|environment| environment.name.clone()).collect();
    for name in names {
        if matches!(phase(state, number, &name), Some(StagePhase::Waiting { .. })) {
            take_places(state, number, &name, older_replaced(state, number, &name), now, said);
        }
        // And what it brings more may be what one that waits behind it takes back.
        for newer in newer_waiting(state, number, &name).into_iter().rev() {
            take_places(state, newer, &name, older_replaced(state, newer, &name), now, said);
        }
    }
}

fn phase<'a>(state: &'a PipelineState, number: ReleaseNumber, name: &EnvironmentName) -> Option<&'a StagePhase> {
    state.releases.get(&number)?.stage(name).map(|stage| &stage.phase)
}

/// What a candidate that waits already takes the place of: not of what somebody asked for since, unless its delivery goes.
fn older_replaced(state: &PipelineState, number: ReleaseNumber, name: &EnvironmentName) -> Vec<ReleaseNumber> {
    let all = replaced_by(state, number, name);
    let place = |old: &ReleaseNumber| content::delivery_of(state, state.releases.get(old)?);
    let along = |old: &ReleaseNumber| place(old).is_some_and(|place| place != *old && all.contains(&place));
    all.iter().copied().filter(|old| *old < number || along(old)).collect()
}

/// What failed last, or was gone back from, where automation holds an environment for a culprit.
pub fn blamed(state: &PipelineState) -> impl Iterator<Item = (&EnvironmentName, &Release)> {
    let held = state.environments.iter().map(|environment| &environment.name);
    let held = held.filter(|name| block::of_automation(state, name).is_some_and(|block| block.culprit.is_some()));
    held.filter_map(|name| {
        let ended = state.releases.values().filter_map(|release| {
            let stage = release.stage(name)?;
            match (&release.purpose, &stage.phase) {
                (Purpose::Rollback { from, .. }, _) => Some((release.created_at, state.releases.get(&(*from)?)?)),
                (_, StagePhase::Failed { at, .. }) if !stage.untouched => Some((*at, release)),
                (_, StagePhase::Cancelled { at, .. }) if stage.deployment.is_some() => Some((*at, release)),
                (_, _) => None,
            }
        });
        let (_, failed) = ended.max_by_key(|(at, release)| (*at, release.number))?;
        Some((name, failed))
    })
}

/// Takes the place of releases that wait, and brings what they would have brought where it is a delivery.
fn take_places(
    state: &mut PipelineState,
    number: ReleaseNumber,
    name: &EnvironmentName,
    waiting: Vec<ReleaseNumber>,
    now: Timestamp,
    said: &mut Said,
) {
    let delivery = state.releases.get(&number).is_some_and(|r| matches!(r.purpose, Purpose::Delivery));
    for old in waiting {
        supersede(state, old, name, number, now, said);
        if !delivery {
            continue;
        }
        let carried = state.releases.get(&old).map(|r| r.changes.clone()).unwrap_or_default();
        bring_along(state, number, carried);
    }
}

/// A release brings the changes of one that went before its own, each once.
fn bring_along(state: &mut PipelineState, number: ReleaseNumber, carried: Vec<Change>) {
    let Some(release) = state.releases.get_mut(&number) else { return };
    let known: Vec<PullNumber> = release.changes.iter().map(|c| c.pull).collect();
    let fresh: Vec<Change> = carried.into_iter().filter(|c| !known.contains(&c.pull)).collect();
    release.changes.splice(0..0, fresh);
}

/// Lets a delivery go on whose commit another release brought to an environment.
fn is_here(
    state: &mut PipelineState,
    number: ReleaseNumber,
    name: &EnvironmentName,
    by: ReleaseNumber,
    now: Timestamp,
    said: &mut Said,
) {
    if let Some(stage) = state.stage_mut(number, name) {
        stage.phase = StagePhase::Succeeded { at: now };
        stage.conditions.clear();
    }
    said.notes.push(format!("release {number} is in {name} already, by release {by}"));
    let next = state
        .releases
        .get(&number)
        .and_then(|release| release.stages.iter().skip_while(|stage| stage.policy.name != *name).nth(1));
    if let Some(name) = next.map(|stage| stage.policy.name.clone()) {
        become_candidate(state, number, &name, now, said);
    }
}

/// Which waiting releases a candidate takes the place of, newest first.
///
/// All of them, but where the policy bounds what one release may bring: then only as many of the newest as fit, and
/// the candidate waits behind the rest. What was reverted goes whatever the bound: nobody wants it any more.
fn replaced_by(state: &PipelineState, number: ReleaseNumber, name: &EnvironmentName) -> Vec<ReleaseNumber> {
    let Some(release) = state.releases.get(&number) else { return Vec::new() };
    let delivery = matches!(release.purpose, Purpose::Delivery);
    if !delivery {
        // Deliveries go their own way afterwards: nobody else would bring what they bring.
        let asked = |r: &Release| matches!(r.purpose, Purpose::Requested { .. }) && r.number != number;
        return state.waiting(name).into_iter().map(|(r, _)| r).filter(|r| asked(r)).map(|r| r.number).collect();
    }
    let max = release.plan.pipeline.max_changes.filter(|_| delivery).map_or(usize::MAX, |max| max as usize);
    let mut brought = release.changes.len();
    let mut fits = true;
    let mut replaced = Vec::new();
    // An older delivery never takes the place of a newer one, nor of what somebody asked for of that: its commit does not
    // hold what those bring.
    let may_go = |r: &Release| match r.purpose {
        Purpose::Delivery => r.number < number,
        // Of its own commit it is the same, and somebody may have approved it.
        Purpose::Requested { .. } => content::delivery_of(state, r).unwrap_or(r.number) < number,
        Purpose::Rollback { .. } => false,
    };
    // What somebody asked for of a delivery that waits here goes when that goes: it brings the same.
    let waiting: Vec<&Release> = state.waiting(name).into_iter().map(|(r, _)| r).filter(|r| may_go(r)).collect();
    let same = |r: &Release| {
        let delivery = content::delivery_of(state, r).filter(|delivery| *delivery != r.number)?;
        waiting.iter().any(|other| other.number == delivery).then_some(delivery)
    };
    for old in waiting.iter().rev().filter(|r| same(r).is_none()) {
        let brings = |by: &PullNumber| release.changes.iter().any(|new| new.pull == *by);
        let reverted =
            old.changes.iter().any(|change| state.reverted.get(&change.pull).is_some_and(|all| all.iter().any(brings)));
        // One that would bring back what an earlier release brought can never start, and all would wait behind it.
        let unwanted = reverted || content::taken_back(state, old, name).is_some_and(|(_, by)| brings(&by));
        fits = fits && brought + old.changes.len() <= max;
        if fits || unwanted {
            brought += old.changes.len();
            replaced.push(old.number);
        }
    }
    let along = waiting.iter().filter(|r| same(r).is_some_and(|delivery| replaced.contains(&delivery)));
    let along: Vec<ReleaseNumber> = along.map(|r| r.number).collect();
    replaced.extend(along);
    replaced
}

fn supersede(
    state: &mut PipelineState,
    number: ReleaseNumber,
    name: &EnvironmentName,
    by: ReleaseNumber,
    now: Timestamp,
    said: &mut Said,
) {
    let Some(release) = state.releases.get_mut(&number) else { return };
    for stage in &mut release.stages {
        if stage.policy.name == *name || matches!(stage.phase, StagePhase::Ahead) {
            // What waited has a card by now, and that must tell the end: its buttons are still there.
            if matches!(stage.phase, StagePhase::Waiting { .. }) {
                stage.known.get_or_insert(Known {
                    at: now,
                    checks: None,
                    irreversible: None,
                    target: None,
                    contained: None,
                    artifact: None,
                });
            }
            stage.phase = StagePhase::Superseded { by };
            stage.conditions.clear();
        }
    }
    said.notes.push(format!("release {number} is superseded by {by} in {name}"));
    let asked = release.asked.clone();
    said.tell(asked.as_ref(), || {
        format!("Release {number} was superseded by release {by} before it started in {name}.")
    });
}

/// Writes that a rollout succeeded: it is live, and good to come back to.
pub fn succeed(state: &mut PipelineState, at: &At, now: Timestamp, said: &mut Said) {
    let Some(release) = state.releases.get(&at.release) else { return };
    let (sha, purpose, asked) = (release.sha.clone(), release.purpose.clone(), release.asked.clone());
    // Judged before it counts as live: what it brings is measured against what was live until now.
    let mended: Vec<u64> = state
        .blocks
        .iter()
        .filter(|block| block.owner == Owner::Automation && block.environment.as_ref() == Some(&at.environment))
        .filter(|block| block.culprit.is_some_and(|c| content::brings_revert_of(state, release, &at.environment, c)))
        .map(|block| block.number)
        .collect();
    if !mended.is_empty() && !release.is_rollback() {
        state.blocks.retain(|block| !mended.contains(&block.number));
        said.notes.push(format!("the hold of {} ended: its culprit was reverted", at.environment));
    }
    if let Some(stage) = state.stage_mut(at.release, &at.environment) {
        stage.phase = StagePhase::Succeeded { at: now };
    }
    let environment = state.environment_mut(&at.environment);
    environment.drift = None;
    match purpose {
        Purpose::Delivery | Purpose::Requested { .. } => {
            let live = Live { release: at.release, sha: sha.clone(), at: now };
            environment.good.push(live.clone());
            let over = environment.good.len().saturating_sub(GOOD_KEPT);
            environment.good.drain(..over);
            environment.live = Some(live);
        }
        Purpose::Rollback { to, .. } => {
            // What came after the target proved bad: it is no place to go back to.
            if let Some(place) = environment.good.iter().position(|good| good.release == to) {
                environment.good.truncate(place + 1);
            }
            environment.live = Some(Live { release: to, sha: sha.clone(), at: now });
        }
    }
    pass_over(state, at, now, said);
    // What others would go back to is another one now.
    for release in state.releases.values_mut() {
        for stage in release.stages.iter_mut().filter(|stage| stage.policy.name == at.environment) {
            if matches!(stage.phase, StagePhase::Waiting { .. }) {
                stage.known = None;
            }
        }
    }
    said.notes.push(format!("release {} is live in {}", at.release, at.environment));
    said.tell(asked.as_ref(), || {
        format!("✅ Release {} (`{}`) is live in {}.", at.release, sha.short(), at.environment)
    });
}

/// Deliveries that wait behind what somebody asked for and brought here: of the same commit, they are through here; older
/// ones are part of it.
fn pass_over(state: &mut PipelineState, at: &At, now: Timestamp, said: &mut Said) {
    let requested = |release: &&Release| matches!(release.purpose, Purpose::Requested { .. });
    let Some(release) = state.releases.get(&at.release).filter(requested) else { return };
    let Some(place) = content::delivery_of(state, release) else { return };
    let waiting = state.waiting(&at.environment).into_iter().filter(|(r, _)| matches!(r.purpose, Purpose::Delivery));
    let waiting: Vec<ReleaseNumber> = waiting.map(|(r, _)| r.number).filter(|number| *number <= place).collect();
    for number in waiting {
        if number < place {
            supersede(state, number, &at.environment, at.release, now, said);
            continue;
        }
        is_here(state, number, &at.environment, at.release, now, said);
    }
}

/// Starts whatever may start now, environment by environment, and writes down what is in the way of the rest.
pub fn settle(state: &mut PipelineState, now: Timestamp, said: &mut Said) {
    block::expire(state, now, said);
    rollout::time_passed(state, now, said);
    let names: Vec<EnvironmentName> = state.environments.iter().map(|e| e.name.clone()).collect();
    for name in names {
        go_on(state, &name, now, said);
        give_way(state, &name, now, said);
        start_next(state, &name, now, said);
    }
    protection::answer(state, now, said);
    state.forget_old();
}

/// Enters the next step of a rollout whose gate is open.
fn go_on(state: &mut PipelineState, name: &EnvironmentName, now: Timestamp, said: &mut Said) {
    let Some((release, stage)) = state.rolling(name) else { return };
    let Some(Rollout { step, phase: StepPhase::Between { .. }, .. }) = stage.rollout() else { return };
    let (next, number) = (step + 1, release.number);
    let judged = conditions(state, release, stage, now);
    if is_open(&judged) {
        rollout::dispatch(state, &At { release: number, environment: name.clone() }, next, now, said);
    } else if let Some(stage) = state.stage_mut(number, name) {
        stage.conditions = judged;
    }
}

/// Stops a rollout for a release that could start, where the policy says so or it could never go on.
fn give_way(state: &mut PipelineState, name: &EnvironmentName, now: Timestamp, said: &mut Said) {
    let gives_way = |(rolling, stage): &(&Release, &Stage)| {
        !rolling.is_rollback() && stage.rollout().is_some_and(|rollout| rollout.stopping.is_none())
    };
    let Some((rolling, _)) = state.rolling(name).filter(gives_way) else { return };
    let Some(newer) = taker(state, rolling, name, now) else { return };
    let (by, old) = (newer.number, rolling.number);
    // What is live already was not judged as part of it; what somebody asked for may not hold what was begun.
    let new: Vec<PullNumber> = content::new_changes(state, rolling, name).iter().map(|change| change.pull).collect();
    let goes_along = |change: &&Change| is_delivery(newer) && new.contains(&change.pull);
    let carried: Vec<Change> = rolling.changes.iter().filter(goes_along).cloned().collect();
    abort(state, name, &Stop::Superseded { by }, now, said);
    bring_along(state, by, carried);
    said.notes.push(format!("release {old} gives way to {by} in {name}"));
    // At once: what somebody asked for may stand before it in the line, and wait.
    if state.rolling(name).is_none() {
        rollout::start(state, &At { release: by, environment: name.clone() }, now, said);
    }
}

fn is_delivery(release: &Release) -> bool {
    matches!(release.purpose, Purpose::Delivery)
}

/// The release for which a rollout stops: it could itself start at this moment.
fn taker<'a>(
    state: &'a PipelineState,
    rolling: &Release,
    name: &EnvironmentName,
    now: Timestamp,
) -> Option<&'a Release> {
    let could_start = |newer: &Release, stage: &Stage| {
        let judged = conditions(state, newer, stage, now);
        content::comes_after(state, newer, stage) == Some(true)
            && judged.iter().all(|condition| condition.met || condition.gate == GateName::Order)
    };
    let line = state.line(name);
    let first = line.first().filter(|(newer, stage)| {
        // Where deliveries end, a commit of no delivery may be the newer of the two: that is compared once it is live.
        let ends_here = newer.stages.last().is_some_and(|last| last.policy.name == *name);
        let place = content::delivery_of(state, rolling).or((!ends_here).then_some(rolling.number));
        is_delivery(newer)
            && place.is_some_and(|place| newer.number > place)
            && stage.policy.supersede == Supersede::Abort
            && could_start(newer, stage)
    });
    // What pauses because it was reverted could never go on: it goes for the first that can start. Before the revert that
    // is what somebody asked for, since the revert follows; deliveries keep their order.
    let delivery = line.iter().find(|(newer, _)| is_delivery(newer)).map(|(newer, _)| newer.number);
    let in_turn = |newer: &Release| !is_delivery(newer) || delivery == Some(newer.number);
    let mends = |(newer, stage): &&(&Release, &Stage)| {
        in_turn(newer) && content::mends(state, newer, name) && could_start(newer, stage)
    };
    first.or_else(|| line.iter().find(mends)).map(|(newer, _)| *newer)
}

/// Starts the first waiting release whose gate is open; only the first in its turn can be.
fn start_next(state: &mut PipelineState, name: &EnvironmentName, now: Timestamp, said: &mut Said) {
    let waiting: Vec<ReleaseNumber> = state.waiting(name).iter().map(|(release, _)| release.number).collect();
    for number in waiting {
        let Some((release, stage)) = state.releases.get(&number).and_then(|r| Some((r, r.stage(name)?))) else {
            continue;
        };
        if !matches!(stage.phase, StagePhase::Waiting { .. }) {
            continue;
        }
        // What is being taken back is no reason: whoever takes its place would have to bring this one as well.
        let stays = ![state.rolling(name), state.candidate(name)].iter().flatten().any(|(r, _)| r.is_rollback());
        if let (Some(false), Some(by), true) =
            (content::comes_after(state, release, stage), state.live(name).map(|live| live.release), stays)
        {
            supersede(state, number, name, by, now, said);
            continue;
        }
        let judged = conditions(state, release, stage, now);
        if is_open(&judged) {
            rollout::start(state, &At { release: number, environment: name.clone() }, now, said);
        } else if let Some(stage) = state.stage_mut(number, name) {
            stage.conditions = judged;
        }
    }
    // What started may have changed what the others wait for.
    let waiting: Vec<ReleaseNumber> = state.waiting(name).iter().map(|(release, _)| release.number).collect();
    for number in waiting {
        let Some((release, stage)) = state.releases.get(&number).and_then(|r| Some((r, r.stage(name)?))) else {
            continue;
        };
        let judged = conditions(state, release, stage, now);
        if let Some(stage) = state.stage_mut(number, name) {
            stage.conditions = judged;
        }
    }
}

/// When the clock must call, whatever else happens. Waiting for a person needs no clock.
pub fn wake_at(state: &PipelineState, now: Timestamp) -> Option<Timestamp> {
    let steps = rollout::under_way(state).into_iter().filter_map(|(at, rolling)| {
        let policy = &state.releases.get(&at.release)?.stage(&at.environment)?.policy;
        rollout::wake_at(policy, &rolling, now)
    });
    let gates = state.releases.values().flat_map(|r| &r.stages).filter(|stage| !stage.conditions.is_empty());
    let gates = gates.filter_map(|stage| gate::next_change(state, stage, now));
    let card = turn::next_card_look(state).map(|at| at.max(now.plus(Span::seconds(1))));
    steps
        .chain(gates)
        .chain(block::next_expiry(state))
        .chain(card)
        .chain(turn::next_drift_look(state))
        .chain(protection::wake_at(state, now))
        .chain(state.unplaced.iter().map(|unplaced| unplaced.ask_at))
        .map(|at| at.max(now.plus(Span(1))))
        .min()
}
