//! One event of a pipeline: what must be known for it, and what it changes.
//!
//! The door of this folder for `decide`. Knows nothing of how events come or where answers go.

use super::advance::{deliver, settle};
use super::command::{is_reachable, needs as command_needs, obey, reachability};
use super::rollout;
use super::*;
use crate::domain::event::{Event, Signal};
use crate::domain::facts::{Absence, Fact, Facts, Need, Standing};

/// What must be known for an event, given what is known already.
pub fn needs(state: &PipelineState, event: &Event, facts: &Facts, now: Timestamp) -> Vec<Need> {
    match event {
        Event::Signal(Signal::ReleaseWanted { sha, plan, change }) => {
            if knows_change(state, change.pull) {
                return Vec::new();
            }
            let mut needs = vec![reachability(sha, plan)];
            needs.extend(since_newest(state, sha));
            needs
        }
        Event::Signal(Signal::Commanded { command, plan }) => command_needs(state, command, plan, facts),
        Event::Look { .. } | Event::LookIfNewer { .. } => rollout::needs(state, now),
        Event::RunChanged { .. }
        | Event::EffectEnded { .. }
        | Event::PullChanged { .. }
        | Event::CommentCreated { .. }
        | Event::ReviewChanged { .. }
        | Event::RecheckRequested { .. }
        | Event::Pushed { .. }
        | Event::AccessChanged { .. }
        | Event::ActionRequested { .. }
        | Event::GroupRequested { .. }
        | Event::GroupDestroyed { .. }
        | Event::LeftQueue { .. }
        | Event::ProtectionRequested { .. }
        | Event::Reported { .. }
        | Event::IssueClosed { .. }
        | Event::Signal(
            Signal::PolicyWanted { .. }
            | Signal::GroupWanted { .. }
            | Signal::GroupJudged { .. }
            | Signal::HoldsChanged { .. }
            | Signal::PullEnded { .. }
            | Signal::ProtectionAsked { .. }
            | Signal::PolicyReady
            | Signal::CommandAnswered { .. }
            | Signal::ReleaseMoved { .. },
        ) => Vec::new(),
    }
}

/// Changes the state as the event demands, then starts whatever may start.
pub fn apply(state: &mut PipelineState, event: &Event, facts: &Facts, now: Timestamp, said: &mut Said) {
    match event {
        Event::Signal(Signal::ReleaseWanted { sha, change, plan }) => {
            wanted(state, sha, change, plan, facts, now, said)
        }
        Event::Signal(Signal::Commanded { command, plan }) => obey(state, command, plan, facts, now, said),
        Event::RunChanged { run } => rollout::run_seen(state, run, false, now, said),
        Event::EffectEnded { key, ending } => rollout::effect_ended(state, key, ending, now, said),
        Event::Look { .. } | Event::LookIfNewer { .. } => look(state, facts, now, said),
        Event::PullChanged { .. }
        | Event::CommentCreated { .. }
        | Event::ReviewChanged { .. }
        | Event::RecheckRequested { .. }
        | Event::Pushed { .. }
        | Event::AccessChanged { .. }
        | Event::ActionRequested { .. }
        | Event::GroupRequested { .. }
        | Event::GroupDestroyed { .. }
        | Event::LeftQueue { .. }
        | Event::ProtectionRequested { .. }
        | Event::Reported { .. }
        | Event::IssueClosed { .. }
        | Event::Signal(
            Signal::PolicyWanted { .. }
            | Signal::GroupWanted { .. }
            | Signal::GroupJudged { .. }
            | Signal::HoldsChanged { .. }
            | Signal::PullEnded { .. }
            | Signal::ProtectionAsked { .. }
            | Signal::PolicyReady
            | Signal::CommandAnswered { .. }
            | Signal::ReleaseMoved { .. },
        ) => {}
    }
    settle(state, now, said);
}

fn knows_change(state: &PipelineState, pull: PullNumber) -> bool {
    state.releases.values().any(|r| matches!(r.purpose, Purpose::Delivery) && r.changes.iter().any(|c| c.pull == pull))
}

/// How a merged commit stands to the newest release.
fn since_newest(state: &PipelineState, sha: &Sha) -> Option<Need> {
    let newest = state.newest_forward()?;
    Some(Need::Comparison { base: newest.sha.to_string(), head: sha.to_string() })
}

fn wanted(
    state: &mut PipelineState,
    sha: &Sha,
    change: &Change,
    plan: &Plan,
    facts: &Facts,
    now: Timestamp,
    said: &mut Said,
) {
    if knows_change(state, change.pull) {
        return;
    }
    if !is_reachable(sha, plan, facts) {
        said.notes.push(format!("{} of #{} is not on {}: not released", sha.short(), change.pull, plan.default_branch));
        return;
    }
    let contained = since_newest(state, sha).is_some_and(|need| match facts.get(&need) {
        Some(Fact::Comparison(found)) => matches!(found.standing, Standing::Behind | Standing::Identical),
        Some(_) | None => false,
    });
    let newest = state.newest_forward().map(|r| r.number);
    match newest.and_then(|number| state.releases.get_mut(&number)) {
        // A later merge was heard of first: its release brings this change too.
        Some(newest) if contained => {
            said.notes.push(format!("#{} is part of release {}", change.pull, newest.number));
            newest.changes.push(change.clone());
        }
        Some(_) | None => deliver(state, sha.clone(), change.clone(), plan.clone(), now, said),
    }
}

fn look(state: &mut PipelineState, facts: &Facts, now: Timestamp, said: &mut Said) {
    for (need, fact) in facts.iter() {
        match (need, fact) {
            (Need::Run { .. }, Fact::Run(run)) => rollout::run_seen(state, run, true, now, said),
            (Need::Run { run }, Fact::Absent(Absence::NotFound)) => rollout::run_gone(state, *run, now, said),
            (Need::RunByKey { .. }, Fact::RunByKey(Some(run))) => rollout::run_seen(state, run, false, now, said),
            // Nothing to see, or not yet; the clock calls again.
            (_, _) => {}
        }
    }
}
