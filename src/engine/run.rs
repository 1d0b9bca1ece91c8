//! Keeps the ring turning: workers for sorting, turns, effects and forgetting, and their orderly end.
//!
//! Knows when to look for work. Must never know what the work is.

use super::lanes::Lanes;
use super::outbox::{Sent, perform};
use super::ports::{Clock, GitHub, Holder, Probes, Store, StoreError, Webhooks};
use super::step::{Turn, turn};
use super::{inbox, ports};
use crate::domain::ids::*;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How the ring is run.
#[derive(Clone, Debug)]
pub struct Pace {
    pub holder: Holder,
    /// Lanes that may make their turns at the same time. 0: deliveries are not even sorted.
    pub turns: usize,
    /// Effects that may be under way at the same time.
    pub effects: usize,
    /// How long idle workers sleep when nobody wakes them.
    pub idle: Duration,
    /// How long sorted deliveries, ended effects and journal lines are kept.
    pub keep: Span,
}

/// Wakes idle workers. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Bell(Arc<Rung>);

#[derive(Debug, Default)]
struct Rung {
    deliveries: Notify,
    lanes: Notify,
    effects: Notify,
}

impl Bell {
    /// A delivery was admitted.
    pub fn delivered(&self) {
        self.0.deliveries.notify_one();
    }
    /// A lane has something to do.
    pub fn lanes(&self) {
        self.0.lanes.notify_one();
    }
}

/// What the ring is made of.
pub struct Engine<S, G, P, W, C> {
    pub store: Arc<S>,
    pub github: Arc<G>,
    pub probes: Arc<P>,
    pub webhooks: Arc<W>,
    pub clock: Arc<C>,
    pub bell: Bell,
    pub pace: Pace,
    /// Empty at the start.
    pub lanes: Lanes,
}

impl<S, G, P, W, C> Engine<S, G, P, W, C>
where
    S: Store + 'static,
    G: GitHub + 'static,
    P: Probes + 'static,
    W: Webhooks + 'static,
    C: Clock + 'static,
{
    /// Runs until `stop` is cancelled: then no new work is begun, and what runs ends or stays marked in flight.
    /// Returns when the last worker has ended.
    pub async fn run(self, stop: CancellationToken) {
        let engine = Arc::new(self);
        let mut workers = JoinSet::new();
        if engine.pace.turns > 0 {
            workers.spawn(engine.clone().sorter(stop.clone()));
        }
        for _ in 0..engine.pace.turns {
            workers.spawn(engine.clone().turner(stop.clone()));
        }
        for _ in 0..engine.pace.effects {
            workers.spawn(engine.clone().performer(stop.clone()));
        }
        workers.spawn(engine.clone().forgetter(stop.clone()));
        while let Some(ended) = workers.join_next().await {
            if let Err(error) = ended {
                // One worker less is worse than a restart: the supervisor starts afresh from the store.
                tracing::error!(%error, "a worker broke down; stopping");
                stop.cancel();
            }
        }
    }

    async fn sorter(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match inbox::sort(&*self.store, &*self.webhooks, &*self.clock).await {
                Ok(0) => self.rest(&self.bell.0.deliveries, &stop).await,
                Ok(_) => self.bell.0.lanes.notify_one(),
                Err(error) => self.trouble("sorting", &error, &stop).await,
            }
        }
    }

    async fn turner(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match turn((&*self.store, &self.lanes), &*self.github, &*self.probes, &*self.clock, &self.pace.holder).await
            {
                Ok(Turn::Idle) => self.rest(&self.bell.0.lanes, &stop).await,
                Ok(Turn::Done) => {
                    // The turn may have given work to other lanes and to the outbox.
                    self.bell.0.lanes.notify_one();
                    self.bell.0.effects.notify_one();
                }
                Ok(Turn::Deferred) => {}
                Err(error) => self.trouble("a turn", &error, &stop).await,
            }
        }
    }

    async fn performer(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match perform(&*self.store, &*self.github, &*self.clock, &self.pace.holder).await {
                Ok(Sent::Idle) => self.rest(&self.bell.0.effects, &stop).await,
                Ok(Sent::Ended) => {
                    self.bell.0.lanes.notify_one();
                    self.bell.0.effects.notify_one();
                }
                Ok(Sent::Later) => {}
                Err(error) => self.trouble("an effect", &error, &stop).await,
            }
        }
    }

    async fn forgetter(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let before = self.clock.now().minus(self.pace.keep);
            match self.store.prune(before).await {
                Ok(0) => pause(Duration::from_secs(600), &stop).await,
                Ok(rows) => {
                    tracing::info!(rows, "old rows forgotten");
                    pause(Duration::from_millis(200), &stop).await;
                }
                Err(error) => self.trouble("forgetting", &error, &stop).await,
            }
            if stop.is_cancelled() {
                return;
            }
        }
    }

    /// Sleeps until somebody rings, something becomes due, or the idle time is over.
    async fn rest(&self, bell: &Notify, stop: &CancellationToken) {
        let rung = bell.notified();
        tokio::pin!(rung);
        // Rung while we were looking: look again at once.
        if rung.as_mut().enable() {
            return;
        }
        let now = self.clock.now();
        let due = self.store.next_due(now).await.ok().flatten();
        let until_due = due.map_or(self.pace.idle, |at| Duration::from_millis(at.since(now).0.max(1)));
        tokio::select! {
            () = rung => {}
            () = pause(until_due.min(self.pace.idle), stop) => {}
        }
    }

    async fn trouble(&self, what: &str, error: &StoreError, stop: &CancellationToken) {
        match error {
            ports::StoreError::Conflict { .. } => tracing::info!(what, %error, "dropped"),
            ports::StoreError::Unavailable { .. } | ports::StoreError::Corrupt { .. } => {
                tracing::error!(what, %error, "the store fails; trying again");
            }
        }
        pause(Duration::from_secs(1), stop).await;
    }
}

fn pause(length: Duration, stop: &CancellationToken) -> impl Future<Output = ()> {
    let stop = stop.clone();
    async move {
        tokio::select! {
            () = tokio::time::sleep(length) => {}
            () = stop.cancelled() => {}
        }
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
