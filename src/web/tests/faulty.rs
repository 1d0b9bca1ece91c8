//! A store for the tests of the door: keeps deliveries in memory, or fails in a chosen way.

use crate::domain::ids::*;
use crate::engine::ports::*;
use crate::store::MemoryStore;
use std::sync::Mutex;

#[derive(Clone, Copy, PartialEq)]
pub enum Mood {
    Well,
    Failing,
    Stuck,
    Panicking,
}

pub struct FaultyStore {
    pub kept: MemoryStore,
    pub mood: Mutex<Mood>,
}

impl FaultyStore {
    pub fn new(mood: Mood) -> Self {
        Self { kept: MemoryStore::new(), mood: Mutex::new(mood) }
    }

    async fn suffer(&self) -> Result<(), StoreError> {
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Well => Ok(()),
            Mood::Failing => Err(StoreError::Unavailable { message: "disk full at /var/lib/secret-path".to_owned() }),
            Mood::Stuck => std::future::pending().await,
            Mood::Panicking => panic!("a fault of ours"),
        }
    }
}

impl Store for FaultyStore {
    async fn admit(&self, delivery: NewDelivery) -> Result<Admitted, StoreError> {
        self.suffer().await?;
        self.kept.admit(delivery).await
    }
    async fn counts(&self, now: Timestamp) -> Result<Counts, StoreError> {
        self.suffer().await?;
        self.kept.counts(now).await
    }
    async fn arrive(&self, arrival: Arrival) -> Result<(), StoreError> {
        self.suffer().await?;
        self.kept.arrive(arrival).await
    }
    async fn peek(&self, subject: &Subject) -> Result<Option<Snapshot>, StoreError> {
        self.suffer().await?;
        self.kept.peek(subject).await
    }
    // The door uses nothing else.
    async fn unsorted(&self, _: usize) -> Result<Vec<NewDelivery>, StoreError> {
        unreachable!()
    }
    async fn sort(&self, _: Vec<(DeliveryId, Sorted)>, _: Timestamp) -> Result<(), StoreError> {
        unreachable!()
    }
    async fn claim_lane(
        &self,
        _: &Holder,
        _: Timestamp,
        _: Timestamp,
        _: usize,
    ) -> Result<Option<ClaimedLane>, StoreError> {
        unreachable!()
    }
    async fn commit(&self, _: TurnCommit) -> Result<(), StoreError> {
        unreachable!()
    }
    async fn defer_lane(&self, _: &Subject, _: &Holder, _: Timestamp, _: &str) -> Result<(), StoreError> {
        unreachable!()
    }
    async fn park_arrivals(
        &self,
        _: &Subject,
        _: &Holder,
        _: &[ArrivalId],
        _: &str,
        _: Timestamp,
    ) -> Result<(), StoreError> {
        unreachable!()
    }
    async fn claim_effect(&self, _: &Holder, _: Timestamp, _: Timestamp) -> Result<Option<ClaimedEffect>, StoreError> {
        unreachable!()
    }
    async fn finish_effect(
        &self,
        _: &EffectKey,
        _: &Holder,
        _: EffectProgress,
        _: Timestamp,
    ) -> Result<(), StoreError> {
        unreachable!()
    }
    async fn next_due(&self, _: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        unreachable!()
    }
    async fn journal(&self, _: &Subject, _: usize) -> Result<Vec<JournalLine>, StoreError> {
        unreachable!()
    }
    async fn delivery(&self, _: &DeliveryId) -> Result<Vec<KnownDelivery>, StoreError> {
        unreachable!()
    }
    async fn parked(&self, _: usize) -> Result<Vec<Parked>, StoreError> {
        unreachable!()
    }
    async fn prune(&self, _: Timestamp) -> Result<u64, StoreError> {
        unreachable!()
    }
}
