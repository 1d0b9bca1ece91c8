//! Questions about what is, for pages and commands; changes nothing.
//!
//! Knows the store's port. Must never claim a lane.

use super::ports::{Counts, JournalLine, KnownDelivery, Parked, Store, StoreError};
use super::step::read_lane;
use crate::domain::decide::Lane;
use crate::domain::ids::*;

/// How many lines are shown.
const LINES: usize = 200;

/// Whether the store answers, and how much waits.
pub async fn health<S: Store>(store: &S, now: Timestamp) -> Result<Counts, StoreError> {
    store.counts(now).await
}

/// A lane as it is now; `None`: nothing ever happened to it.
pub async fn lane<S: Store>(store: &S, subject: &Subject) -> Result<Option<Lane>, StoreError> {
    match store.peek(subject).await? {
        Some(snapshot) => read_lane(&snapshot.state).map(Some).map_err(|message| StoreError::Corrupt { message }),
        None => Ok(None),
    }
}

/// What happened to a lane and why, newest first.
pub async fn journal<S: Store>(store: &S, subject: &Subject) -> Result<Vec<JournalLine>, StoreError> {
    store.journal(subject, LINES).await
}

/// What is known of a delivery, oldest first.
pub async fn delivery<S: Store>(store: &S, id: &DeliveryId) -> Result<Vec<KnownDelivery>, StoreError> {
    store.delivery(id).await
}

/// What was put aside for a person to look at, newest first.
pub async fn parked<S: Store>(store: &S) -> Result<Vec<Parked>, StoreError> {
    store.parked(LINES).await
}
