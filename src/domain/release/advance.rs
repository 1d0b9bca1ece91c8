//! Moves a pipeline on: new releases, candidates, starts, ends.
//!
//! Knows the order of environments. Must never wait: what cannot go on now is woken for.

use super::gate::{Gate, gate};
use super::rollout::{self, At};
use super::*;

/// Makes a release of a merged change and lets it begin with the first environment.
pub fn deliver(state: &mut PipelineState, sha: Sha, change: Change, plan: Plan, now: Timestamp, said: &mut Said) {
    state.adopt_order(&plan);
    state.last_number += 1;
    let number = ReleaseNumber(state.last_number);
    let stages = plan.pipeline.environments.iter().map(|policy| Stage {
        policy: policy.clone(),
        deployment: None,
        url: None,
        phase: StagePhase::Ahead,
    });
    let release = Release {
        number,
        sha,
        purpose: Purpose::Delivery,
        changes: vec![change],
        stages: stages.collect(),
        plan,
        created_at: now,
        asked: None,
    };
    let first = release.stages.first().map(|s| s.policy.name.clone());
    said.notes.push(format!("release {number} of {} is {}", state.service, release.sha.short()));
    state.releases.insert(number, release);
    if let Some(first) = first {
        become_candidate(state, number, &first, now, said);
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
    let release = Release {
        number,
        sha,
        purpose: Purpose::Requested { by, reason },
        changes: Vec::new(),
        plan,
        created_at: now,
        asked: Some(asked),
        stages: vec![Stage { policy, deployment: None, url: None, phase: StagePhase::Ahead }],
    };
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
    // Somebody may have brought a newer release here meanwhile; going back is for rollbacks only.
    let newer = state.live(name).map(|live| live.release).filter(|live| *live > number);
    let rolling = state.rolling(name).filter(|(r, _)| !r.is_rollback()).map(|(r, _)| r.number);
    let newer = newer.or(rolling.filter(|r| *r > number));
    let delivery = state.releases.get(&number).is_some_and(|r| matches!(r.purpose, Purpose::Delivery));
    if let (Some(by), true) = (newer, delivery) {
        supersede(state, number, name, by, said);
        return;
    }
    let replaced: Vec<ReleaseNumber> = state
        .releases
        .values()
        .filter(|r| r.number != number && !r.is_rollback())
        .filter(|r| r.stage(name).is_some_and(|s| matches!(s.phase, StagePhase::Waiting { .. })))
        .map(|r| r.number)
        .collect();
    for old in replaced {
        supersede(state, old, name, number, said);
        if !delivery {
            continue;
        }
        let carried = state.releases.get(&old).map(|r| r.changes.clone()).unwrap_or_default();
        if let Some(release) = state.releases.get_mut(&number) {
            let known: Vec<PullNumber> = release.changes.iter().map(|c| c.pull).collect();
            let fresh: Vec<Change> = carried.into_iter().filter(|c| !known.contains(&c.pull)).collect();
            release.changes.splice(0..0, fresh);
        }
    }
    if let Some(stage) = state.stage_mut(number, name) {
        stage.phase = StagePhase::Waiting { since: now, approvals: Vec::new() };
    }
}

fn supersede(
    state: &mut PipelineState,
    number: ReleaseNumber,
    name: &EnvironmentName,
    by: ReleaseNumber,
    said: &mut Said,
) {
    let Some(release) = state.releases.get_mut(&number) else { return };
    for stage in &mut release.stages {
        if stage.policy.name == *name || matches!(stage.phase, StagePhase::Ahead) {
            stage.phase = StagePhase::Superseded { by };
        }
    }
    said.notes.push(format!("release {number} is superseded by {by} in {name}"));
    if let Some(asked) = release.asked.clone() {
        said.answers.push((
            asked,
            Answer::Final(format!("Release {number} was superseded by release {by} before it started in {name}.")),
        ));
    }
}

/// Writes that a rollout succeeded: it is live, and good to come back to.
pub fn succeed(state: &mut PipelineState, at: &At, now: Timestamp, said: &mut Said) {
    let Some(release) = state.releases.get(&at.release) else { return };
    let (sha, purpose, asked) = (release.sha.clone(), release.purpose.clone(), release.asked.clone());
    if let Some(stage) = state.stage_mut(at.release, &at.environment) {
        stage.phase = StagePhase::Succeeded { at: now };
    }
    let environment = state.environment_mut(&at.environment);
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
    said.notes.push(format!("release {} is live in {}", at.release, at.environment));
    if let Some(asked) = asked {
        said.answers.push((
            asked,
            Answer::Final(format!("✅ Release {} (`{}`) is live in {}.", at.release, sha.short(), at.environment)),
        ));
    }
}

/// Starts whatever may start now, environment by environment.
pub fn settle(state: &mut PipelineState, now: Timestamp, said: &mut Said) {
    rollout::time_passed(state, now, said);
    let names: Vec<EnvironmentName> = state.environments.iter().map(|e| e.name.clone()).collect();
    for name in names {
        if state.rolling(&name).is_some() {
            continue;
        }
        let Some(environment) = state.environment(&name) else { continue };
        let mut waiting: Vec<&Release> = state
            .releases
            .values()
            .filter(|r| r.stage(&name).is_some_and(|s| matches!(s.phase, StagePhase::Waiting { .. })))
            .collect();
        waiting.sort_by_key(|r| !r.is_rollback());
        let next = waiting
            .into_iter()
            .find(|release| release.stage(&name).is_some_and(|stage| gate(release, stage, environment) == Gate::Open));
        if let Some(release) = next.map(|r| r.number) {
            rollout::start(state, &At { release, environment: name.clone() }, now, said);
        }
    }
    state.forget_old();
}

/// When the clock must call, whatever else happens. Waiting for a person needs no clock.
pub fn wake_at(state: &PipelineState, now: Timestamp) -> Option<Timestamp> {
    rollout::under_way(state)
        .iter()
        .filter_map(|(at, rolling)| {
            let policy = &state.releases.get(&at.release)?.stage(&at.environment)?.policy;
            rollout::wake_at(policy, rolling, now)
        })
        .min()
}
