//! Stations 2 to 4: gather facts, decide, commit. One turn of one lane.
//!
//! Knows the order of a turn. Must never act on GitHub: it only reads, and what it decides goes to the outbox.

use super::lanes::Lanes;
use super::ports::{
    Arrival, ArrivalId, ClaimedLane, Clock, GitHub, GitHubError, Holder, Probes, Source, Store, StoreError, TurnCommit,
};
use crate::domain::decide::{self, Lane};
use crate::domain::effect::{Effect, Work};
use crate::domain::event::Event;
use crate::domain::facts::{Absence, Fact, Facts, Need};
use crate::domain::ids::*;
use crate::domain::repository;
use crate::domain::state::State;
use std::sync::Arc;

/// How long a lane is held for one turn.
const LEASE: Span = Span::minutes(2);
/// How many arrivals one turn takes; after a failure one at a time, to find the one that fails.
const ARRIVALS_MAX: usize = 32;
/// How often a turn may fail before its arrivals are put aside.
const FAILURES_MAX: u32 = 12;
/// And how old they must be by then: a lane that GitHub asked to wait has failures that are none of its own.
const PARK_AFTER: Span = Span::hours(3);
/// How long a lane rests at most before GitHub is asked again: what people wrote meanwhile must not grow stale.
const PAUSE_MAX: Span = Span::minutes(5);
/// How often one event may ask for more facts. Each round can only ask what the round before made known.
const ROUNDS_MAX: usize = 8;

/// What became of one try at a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// No lane has work.
    Idle,
    /// A lane moved on.
    Done,
    /// It could not be done now and will be tried again, or was put aside.
    Deferred,
}

/// Why a turn was not finished.
enum Failure {
    Store(StoreError),
    /// Ask GitHub again at this distance.
    Wait {
        wait: Span,
        because: String,
    },
    /// A fault of the moment.
    Again {
        because: String,
    },
    /// It will never work.
    Park {
        because: String,
    },
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt { message } => Self::Park { because: message },
            StoreError::Conflict { .. } | StoreError::Unavailable { .. } => Self::Store(error),
        }
    }
}

/// Takes one lane with work and makes its turn. `lanes` keeps what earlier turns of this process left.
pub async fn turn<S: Store, G: GitHub, P: Probes, C: Clock>(
    (store, lanes): (&S, &Lanes),
    github: &G,
    probes: &P,
    clock: &C,
    holder: &Holder,
) -> Result<Turn, StoreError> {
    let now = clock.now();
    let Some(mut claimed) = store.claim_lane(holder, now, now.plus(LEASE), ARRIVALS_MAX).await? else {
        return Ok(Turn::Idle);
    };
    if claimed.failures > 0 {
        claimed.arrivals.truncate(1);
    }
    let subject = claimed.subject.clone();
    let failures = claimed.failures;
    let taken: Vec<ArrivalId> = claimed.arrivals.iter().map(|(id, _)| *id).collect();
    let oldest = claimed.arrivals.iter().map(|(_, arrival)| arrival.at).min();
    let is_young = |at: Timestamp| clock.now().since(at) < PARK_AFTER;
    match make((store, lanes), github, probes, clock, holder, claimed).await {
        Ok(()) => Ok(Turn::Done),
        Err(Failure::Store(error @ StoreError::Conflict { .. })) => {
            tracing::info!(%subject, %error, "turn dropped");
            Ok(Turn::Deferred)
        }
        Err(Failure::Store(error)) => Err(error),
        Err(Failure::Wait { wait, because }) => {
            tracing::info!(%subject, because, "turn waits");
            // Waiting as GitHub asked is no failure of the lane; the store counts it, so it must not lead to parking.
            store.defer_lane(&subject, holder, clock.now().plus(wait), &because).await?;
            Ok(Turn::Deferred)
        }
        Err(Failure::Again { because }) if failures < FAILURES_MAX || oldest.is_none_or(is_young) => {
            tracing::warn!(%subject, because, failures, "turn failed, tried again later");
            store.defer_lane(&subject, holder, clock.now().plus(backoff(failures).min(PAUSE_MAX)), &because).await?;
            Ok(Turn::Deferred)
        }
        // The clock called, so there is nothing to put aside: the lane rests, or it would be taken again at once for ever.
        Err(Failure::Park { because }) if taken.is_empty() => {
            tracing::error!(%subject, because, failures, "turn cannot be made, tried again later");
            store.defer_lane(&subject, holder, clock.now().plus(backoff(failures).min(PAUSE_MAX)), &because).await?;
            Ok(Turn::Deferred)
        }
        Err(Failure::Again { because } | Failure::Park { because }) => {
            tracing::error!(%subject, because, "turn parked");
            store.park_arrivals(&subject, holder, &taken, &because, clock.now()).await?;
            Ok(Turn::Deferred)
        }
    }
}

/// Waits 2 s after the first failure, twice as long after each next, an hour at most.
pub fn backoff(failures: u32) -> Span {
    Span::seconds(2 << failures.min(11)).min(Span::hours(1))
}

async fn make<S: Store, G: GitHub, P: Probes, C: Clock>(
    (store, lanes): (&S, &Lanes),
    github: &G,
    probes: &P,
    clock: &C,
    holder: &Holder,
    claimed: ClaimedLane,
) -> Result<(), Failure> {
    let ClaimedLane { subject, snapshot, arrivals, .. } = claimed;
    let now = clock.now();
    let kept = snapshot.as_ref().and_then(|snapshot| lanes.take(&subject, snapshot.version));
    // What is kept was shown and written by the turn that left it; what is read another version may have written.
    let mut changed = kept.is_none();
    let mut lane = match (kept, &snapshot) {
        (Some(lane), _) => lane,
        (None, Some(snapshot)) => read(&snapshot.state)?,
        (None, None) => new_lane(&subject, &arrivals, now),
    };
    let mut turn = Gathered::default();
    // A lane that was woken looks first: what it waits for may be over before the news arrive.
    let woken = Event::Look { because: "the clock called".to_owned() };
    let none = arrivals.is_empty();
    let events = arrivals
        .iter()
        .map(|(_, arrival)| (&arrival.event, arrival.installation))
        .chain(none.then_some((&woken, None)));
    let mut facts = Facts::default();
    for (event, installation) in events {
        changed |= installation.is_some_and(|installation| lane.installation != Some(installation));
        lane.installation = installation.or(lane.installation);
        gather((store, lanes, github, probes), &lane, &subject, event, &mut facts, now).await?;
        let decision = decide::decide(&lane.state, event, &facts, now);
        changed |= lane.state != decision.next;
        lane.state = decision.next;
        turn.wake_at = decision.wake_at;
        turn.acts.extend(decision.acts);
        turn.forwards.extend(decision.forwards);
        turn.notes.extend(decision.notes);
    }
    let mut effects = Vec::new();
    if let Some(installation) = lane.installation {
        let acts = turn.acts.into_iter();
        effects.extend(acts.map(|(key, act)| Effect {
            key,
            subject: subject.clone(),
            installation,
            work: Work::Act(act),
        }));
        if changed {
            effects.extend(decide::publishes(&mut lane, &subject, installation));
        }
    }
    let forwards = turn.forwards.into_iter().map(|(to, event)| Arrival {
        subject: to,
        installation: lane.installation,
        event,
        source: Source::Lane(subject.clone()),
        at: now,
    });
    let forwards: Vec<Arrival> = forwards.collect();
    let (events, acts) = (arrivals.len(), effects.len());
    let version = snapshot.as_ref().map(|snapshot| snapshot.version);
    let state = match snapshot {
        Some(snapshot) if !changed => snapshot.state,
        Some(_) | None => serde_json::to_vec(&lane)
            .map_err(|e| Failure::Park { because: format!("the state cannot be written: {e}") })?,
    };
    let notes = turn.notes.join("; ");
    store
        .commit(TurnCommit {
            subject: subject.clone(),
            holder: holder.clone(),
            expected_version: version,
            state,
            wake_at: turn.wake_at,
            taken: arrivals.into_iter().map(|(id, _)| id).collect(),
            effects,
            forwards,
            journal: turn.notes,
            at: now,
        })
        .await?;
    lanes.keep(subject.clone(), version.unwrap_or(0) + 1, Arc::new(lane));
    let duration_ms = clock.now().since(now).0;
    if notes.is_empty() {
        tracing::debug!(%subject, events, effects = acts, duration_ms, "turn done");
    } else {
        tracing::info!(%subject, events, effects = acts, duration_ms, "{notes}");
    }
    Ok(())
}

#[derive(Default)]
struct Gathered {
    acts: Vec<(EffectKey, crate::domain::effect::Act)>,
    forwards: Vec<(Subject, Event)>,
    notes: Vec<String>,
    wake_at: Option<Timestamp>,
}

/// A lane that has no state yet. GitHub may not have answered since the first word of it came: what changed meanwhile is
/// looked for too.
pub fn new_lane(subject: &Subject, arrivals: &[(ArrivalId, Arrival)], now: Timestamp) -> Lane {
    Lane::new(subject, arrivals.first().map_or(now, |(_, arrival)| arrival.at.min(now)))
}

/// Reads a snapshot; one that a newer version of the program wrote is refused.
pub fn read_lane(state: &[u8]) -> Result<Lane, String> {
    decide::read(state)
}

fn read(state: &[u8]) -> Result<Lane, Failure> {
    read_lane(state).map_err(|because| Failure::Park { because })
}

/// Asks until the domain wants to know nothing more.
async fn gather<S: Store, G: GitHub, P: Probes>(
    (store, lanes, github, probes): (&S, &Lanes, &G, &P),
    lane: &Lane,
    subject: &Subject,
    event: &Event,
    facts: &mut Facts,
    now: Timestamp,
) -> Result<(), Failure> {
    for _ in 0..ROUNDS_MAX {
        let needs = decide::needs(&lane.state, event, facts, now);
        if needs.is_empty() {
            return Ok(());
        }
        for need in needs {
            let fact = match &need {
                Need::PolicyInForce => policy_in_force(store, lanes, subject.repo()).await?,
                Need::Reading { question } => Fact::Reading(probes.ask(question).await),
                _ => match lane.installation {
                    Some(installation) => ask(github, installation, subject.repo(), &need).await?,
                    None => Fact::Absent(Absence::Refused { message: "the installation is not known".to_owned() }),
                },
            };
            facts.insert(need, fact);
        }
    }
    Err(Failure::Park { because: "one event asked for more and more facts".to_owned() })
}

async fn policy_in_force<S: Store>(store: &S, lanes: &Lanes, repo: &RepoName) -> Result<Fact, Failure> {
    let subject = Subject::Repository { repo: repo.clone() };
    let Some(snapshot) = store.peek(&subject).await? else { return Ok(Fact::PolicyInForce(None)) };
    let lane = match lanes.at(&subject, snapshot.version) {
        Some(lane) => lane,
        None => {
            let lane = Arc::new(read(&snapshot.state)?);
            lanes.keep(subject, snapshot.version, Arc::clone(&lane));
            lane
        }
    };
    match &lane.state {
        State::Repository(state) => Ok(repository::as_fact(state)),
        State::PullRequest(_) | State::Pipeline(_) => Ok(Fact::PolicyInForce(None)),
    }
}

async fn ask<G: GitHub>(
    github: &G,
    installation: InstallationId,
    repo: &RepoName,
    need: &Need,
) -> Result<Fact, Failure> {
    match github.observe(installation, repo, need).await {
        Ok(fact) => Ok(fact),
        // Lost access is a fact to decide about: the lane then stops by itself.
        Err(GitHubError::Gone { message, .. } | GitHubError::Refused { message, .. }) => {
            Ok(Fact::Absent(Absence::Refused { message }))
        }
        Err(error @ GitHubError::Wait { wait, .. }) => Err(Failure::Wait { wait, because: error.to_string() }),
        Err(error @ (GitHubError::Unavailable { .. } | GitHubError::Uncertain { .. })) => {
            Err(Failure::Again { because: error.to_string() })
        }
    }
}

#[cfg(test)]
#[path = "step_tests.rs"]
mod tests;
