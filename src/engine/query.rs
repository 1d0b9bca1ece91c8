//! Questions about what is, for pages and commands; changes nothing.
//!
//! Knows the store's port. Must never claim a lane.

use super::ports::{Counts, JournalLine, KnownDelivery, Parked, Store, StoreError};
use super::step::read_lane;
use crate::domain::decide::Lane;
use crate::domain::ids::*;
use crate::domain::release;
use crate::domain::repository;
use crate::domain::risk::Outcome;
use crate::domain::state::State;

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

/// What went wrong with a repository's changes where Plimsoll saw it itself: releases of a single change that failed, or
/// that were rolled back. Of a release with several changes nobody knows which one it was.
pub async fn failures<S: Store>(store: &S, repo: &RepoName) -> Result<Vec<Outcome>, StoreError> {
    let services = match lane(store, &Subject::Repository { repo: repo.clone() }).await?.map(|lane| lane.state) {
        Some(State::Repository(state)) => repository::services(&state).into_iter().cloned().collect(),
        Some(State::PullRequest(_) | State::Pipeline(_)) | None => Vec::new(),
    };
    let mut found = Vec::new();
    for service in services {
        let subject = Subject::Pipeline { repo: repo.clone(), service };
        if let Some(State::Pipeline(state)) = lane(store, &subject).await?.map(|lane| lane.state) {
            found.extend(release::failures(&state));
        }
    }
    Ok(found)
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
