//! What every store must do, said once and run on each of them.
//!
//! A test is a story about one store; `contract!` runs it in memory and on SQLite.

mod deliveries;
mod effects;
mod lanes;
mod pruning;
mod sqlite;
mod twins;

use bytes::Bytes;
use plimsoll::domain::effect::{Act, Content, Effect, Publish, Target, Work};
use plimsoll::domain::event::Event;
use plimsoll::domain::ids::*;
use plimsoll::engine::ports::*;
use std::collections::BTreeMap;

/// Runs stories on every store. Each story gets an empty one.
macro_rules! contract {
    ($($story:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $story() {
                super::$story(plimsoll::store::MemoryStore::new()).await;
            })*
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $story() {
                let folder = tempfile::tempdir().expect("a folder");
                let file = folder.path().join("plimsoll.db");
                let store = plimsoll::store::SqliteStore::open(&file, Default::default()).await.expect("opens");
                super::$story(store).await;
            })*
        }
    };
}
pub(crate) use contract;

// ---------------------------------------------------------------- words of the stories

pub fn at(ms: i64) -> Timestamp {
    Timestamp(ms)
}

pub fn ada() -> Holder {
    Holder("ada".into())
}

pub fn grace() -> Holder {
    Holder("grace".into())
}

pub fn repo() -> RepoName {
    RepoName::parse("acme/shop").expect("a plain name")
}

pub fn pull(number: u64) -> Subject {
    Subject::PullRequest { repo: repo(), number: PullNumber(number) }
}

pub fn pipeline(service: &str) -> Subject {
    Subject::Pipeline { repo: repo(), service: ServiceName::new(service) }
}

pub fn delivery(id: &str, body: &str, received_at: i64) -> NewDelivery {
    NewDelivery {
        id: DeliveryId::new(id),
        event: "pull_request".into(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        received_at: at(received_at),
    }
}

/// An arrival that tells the lane to look; `because` tells arrivals apart.
pub fn look(subject: Subject, because: &str, ms: i64) -> Arrival {
    Arrival {
        subject,
        installation: Some(InstallationId(7)),
        event: Event::Look { because: because.into() },
        source: Source::Operator,
        at: at(ms),
    }
}

/// What the arrivals of a claimed lane say, in their order.
pub fn said(lane: &ClaimedLane) -> Vec<String> {
    let words = lane.arrivals.iter().map(|(_, arrival)| match &arrival.event {
        Event::Look { because } => because.clone(),
        Event::EffectEnded { key, ending } => format!("{key}: {ending:?}"),
        other => format!("{other:?}"),
    });
    words.collect()
}

/// The turn of a claimed lane that takes everything and decides nothing.
pub fn turn(lane: &ClaimedLane, holder: &Holder, ms: i64) -> TurnCommit {
    TurnCommit {
        subject: lane.subject.clone(),
        holder: holder.clone(),
        expected_version: lane.snapshot.as_ref().map(|snapshot| snapshot.version),
        state: b"{}".to_vec(),
        wake_at: None,
        taken: lane.arrivals.iter().map(|(id, _)| *id).collect(),
        effects: Vec::new(),
        forwards: Vec::new(),
        journal: Vec::new(),
        at: at(ms),
    }
}

/// Claims a lane for one second and expects that there is one.
pub async fn claim(store: &impl Store, holder: &Holder, now: i64) -> ClaimedLane {
    claim_or_none(store, holder, now).await.expect("a lane with work")
}

pub async fn claim_or_none(store: &impl Store, holder: &Holder, now: i64) -> Option<ClaimedLane> {
    store.claim_lane(holder, at(now), at(now + 1_000), 10).await.expect("claims")
}

pub async fn claim_effect(store: &impl Store, holder: &Holder, now: i64) -> ClaimedEffect {
    claim_effect_or_none(store, holder, now).await.expect("an effect that is due")
}

pub async fn claim_effect_or_none(store: &impl Store, holder: &Holder, now: i64) -> Option<ClaimedEffect> {
    store.claim_effect(holder, at(now), at(now + 1_000)).await.expect("claims")
}

/// Plans effects through a turn of pull request 1, at `ms`.
pub async fn plan(store: &impl Store, effects: Vec<Effect>, ms: i64) {
    store.arrive(look(pull(1), "plan", ms)).await.expect("arrives");
    let lane = claim(store, &ada(), ms).await;
    store.commit(TurnCommit { effects, ..turn(&lane, &ada(), ms) }).await.expect("commits");
}

/// Everything that waits in the inbox of pull request 1, taken out of it.
pub async fn heard(store: &impl Store, now: i64) -> Vec<String> {
    let Some(lane) = claim_or_none(store, &ada(), now).await else { return Vec::new() };
    assert_eq!(lane.subject, pull(1));
    store.commit(turn(&lane, &ada(), now)).await.expect("commits");
    said(&lane)
}

/// The living comment of pull request 1, of a generation.
pub fn comment(generation: u64) -> Effect {
    Effect {
        key: EffectKey::new(format!("comment-{generation}")),
        subject: pull(1),
        installation: InstallationId(7),
        work: Work::Publish(Publish {
            target: Target::LivingComment { number: PullNumber(1) },
            generation,
            content: Content::Comment(format!("text {generation}")),
        }),
    }
}

/// A workflow dispatch under a key.
pub fn dispatch(key: &str) -> Effect {
    let act = Act::DispatchWorkflow {
        workflow: WorkflowFile::new("deploy.yml"),
        branch: RefName::new("main"),
        inputs: BTreeMap::new(),
    };
    Effect { key: EffectKey::new(key), subject: pull(1), installation: InstallationId(7), work: Work::Act(act) }
}

pub fn is_conflict<T: std::fmt::Debug>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Conflict { .. }))
}
