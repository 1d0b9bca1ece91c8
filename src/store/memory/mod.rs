//! The store without a disk: for tests, the simulation and `sandbox`.
//!
//! Knows the same rules as the SQL store and nothing of SQL. Deterministic: ordered maps, one lock, no chance, no
//! clock; every future is ready at once.

mod effects;
mod prune;

use super::chain::lines_after;
use super::texts;
use crate::domain::effect::{Effect, Ending};
use crate::domain::ids::*;
use crate::engine::ports::*;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Keeps everything in memory. Instances that share one (`Arc<MemoryStore>`) share it as they would a database.
#[derive(Debug, Default)]
pub struct MemoryStore {
    tables: Mutex<Arc<Tables>>,
}

impl Clone for MemoryStore {
    /// A store of its own with the same content. Cheap: what is equal is shared until one of them writes.
    fn clone(&self) -> Self {
        Self { tables: Mutex::new(Arc::clone(&self.lock())) }
    }
}

#[derive(Clone, Debug, Default)]
struct Tables {
    /// By order of admission.
    deliveries: BTreeMap<i64, Delivery>,
    /// The first delivery under each GUID.
    guids: BTreeMap<DeliveryId, i64>,
    /// Those of `deliveries` that wait to be sorted.
    unsorted: BTreeSet<i64>,
    lanes: BTreeMap<Subject, Lane>,
    effects: BTreeMap<EffectKey, Row>,
    /// Those of `effects` that have not ended.
    open: BTreeSet<EffectKey>,
    parked: Vec<(ArrivalId, Parked)>,
    deliveries_last: i64,
    arrivals_last: i64,
    effects_last: i64,
    journal_last: i64,
}

#[derive(Clone, Debug)]
struct Delivery {
    id: DeliveryId,
    event: String,
    body: Body,
    received_at: Timestamp,
    state: DeliveryState,
}

#[derive(Clone, Debug)]
enum Body {
    Kept(bytes::Bytes),
    Forgotten { sha256: [u8; 32] },
}

#[derive(Clone, Debug)]
enum DeliveryState {
    Unsorted,
    /// Its arrivals went into inboxes, or it was ignored for a reason.
    Sorted {
        because: Option<String>,
    },
    Parked {
        because: String,
        at: Timestamp,
    },
}

#[derive(Clone, Debug, Default)]
struct Lane {
    snapshot: Option<Snapshot>,
    inbox: BTreeMap<ArrivalId, Arrival>,
    wake_at: Option<Timestamp>,
    lease: Option<(Holder, Timestamp)>,
    defer_until: Timestamp,
    failures: u32,
    /// Oldest first, numbered over all lanes.
    journal: Vec<(i64, JournalLine)>,
    /// Hash of the newest line, which may have been forgotten itself.
    journal_head: String,
}

/// Which of two publishes of one target is newer: by generation, and of equal ones the later planned.
type Rank = (u64, i64);

/// A row of the outbox.
#[derive(Clone, Debug)]
struct Row {
    /// Order of planning.
    number: i64,
    effect: Effect,
    lock_name: String,
    generation: Option<u64>,
    state: EffectState,
    first_tried_at: Option<Timestamp>,
    last_tried_at: Option<Timestamp>,
    attempts: u32,
}

#[derive(Clone, Debug)]
enum EffectState {
    Planned {
        due_at: Timestamp,
    },
    /// Held until `due_at`, or by nobody and to be looked at then.
    InFlight {
        holder: Option<Holder>,
        due_at: Timestamp,
    },
    Ended {
        ending: Ending,
        at: Timestamp,
    },
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    // A panic while the lock is held cannot leave half a change worth fearing more than a stopped simulation.
    fn lock(&self) -> MutexGuard<'_, Arc<Tables>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, f: impl FnOnce(&Tables) -> T) -> T {
        f(&self.lock())
    }

    fn write<T>(&self, f: impl FnOnce(&mut Tables) -> T) -> T {
        f(Arc::make_mut(&mut self.lock()))
    }
}

impl Store for MemoryStore {
    async fn admit(&self, delivery: NewDelivery) -> Result<Admitted, StoreError> {
        Ok(self.write(|tables| tables.admit(delivery)))
    }

    async fn unsorted(&self, limit: usize) -> Result<Vec<NewDelivery>, StoreError> {
        Ok(self.read(|tables| tables.unsorted().take(limit).collect()))
    }

    async fn sort(&self, sorted: Vec<(DeliveryId, Sorted)>, now: Timestamp) -> Result<(), StoreError> {
        self.write(|tables| sorted.into_iter().for_each(|(id, made)| tables.sort(&id, made, now)));
        Ok(())
    }

    async fn arrive(&self, arrival: Arrival) -> Result<(), StoreError> {
        self.write(|tables| tables.arrive(arrival));
        Ok(())
    }

    async fn claim_lane(
        &self,
        holder: &Holder,
        now: Timestamp,
        lease_until: Timestamp,
        arrivals_max: usize,
    ) -> Result<Option<ClaimedLane>, StoreError> {
        Ok(self.write(|tables| tables.claim_lane(holder, now, lease_until, arrivals_max)))
    }

    async fn commit(&self, turn: TurnCommit) -> Result<(), StoreError> {
        self.write(|tables| tables.commit(turn))
    }

    async fn defer_lane(
        &self,
        subject: &Subject,
        holder: &Holder,
        until: Timestamp,
        _because: &str,
    ) -> Result<(), StoreError> {
        self.write(|tables| {
            let lane = tables.held(subject, holder)?;
            lane.lease = None;
            lane.defer_until = until;
            lane.failures = lane.failures.saturating_add(1);
            Ok(())
        })
    }

    async fn park_arrivals(
        &self,
        subject: &Subject,
        holder: &Holder,
        arrivals: &[ArrivalId],
        because: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|tables| {
            let lane = tables.held(subject, holder)?;
            lane.free();
            let wanted: BTreeSet<_> = arrivals.iter().copied().collect();
            let out: Vec<_> = wanted.into_iter().filter_map(|id| Some((id, lane.inbox.remove(&id)?))).collect();
            tables.parked.extend(out.into_iter().map(|(id, arrival)| {
                let what = texts::arrival(id, &subject.to_string(), Some(&arrival.source));
                (id, Parked { what, because: because.to_owned(), at: now })
            }));
            Ok(())
        })
    }

    async fn claim_effect(
        &self,
        holder: &Holder,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Option<ClaimedEffect>, StoreError> {
        Ok(self.write(|tables| tables.claim_effect(holder, now, lease_until)))
    }

    async fn finish_effect(
        &self,
        key: &EffectKey,
        holder: &Holder,
        progress: EffectProgress,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|tables| tables.finish_effect(key, holder, progress, now))
    }

    async fn peek(&self, subject: &Subject) -> Result<Option<Snapshot>, StoreError> {
        Ok(self.read(|tables| tables.lanes.get(subject)?.snapshot.clone()))
    }

    async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.read(|tables| {
            let lanes = tables.lanes.values().filter_map(Lane::due_at);
            let effects = tables.open_effects().filter_map(|row| match row.state {
                EffectState::Planned { due_at } | EffectState::InFlight { due_at, .. } => Some(due_at),
                EffectState::Ended { .. } => None,
            });
            lanes.chain(effects).filter(|at| *at > now).min()
        }))
    }

    async fn journal(&self, subject: &Subject, limit: usize) -> Result<Vec<JournalLine>, StoreError> {
        Ok(self.read(|tables| {
            let lines = tables.lanes.get(subject).map_or(&[][..], |lane| &lane.journal);
            lines.iter().rev().take(limit).map(|(_, line)| line.clone()).collect()
        }))
    }

    async fn delivery(&self, id: &DeliveryId) -> Result<Vec<KnownDelivery>, StoreError> {
        let known = |row: &Delivery| KnownDelivery {
            event: row.event.clone(),
            received_at: row.received_at,
            fate: match &row.state {
                DeliveryState::Unsorted => Fate::Unsorted,
                DeliveryState::Sorted { because: None } => Fate::Sorted,
                DeliveryState::Sorted { because: Some(because) } => Fate::Ignored { because: because.clone() },
                DeliveryState::Parked { because, .. } => Fate::Parked { because: because.clone() },
            },
            body: match &row.body {
                Body::Kept(body) => Some(body.clone()),
                Body::Forgotten { .. } => None,
            },
        };
        Ok(self.read(|tables| tables.deliveries.values().filter(|row| row.id == *id).map(known).collect()))
    }

    async fn parked(&self, limit: usize) -> Result<Vec<Parked>, StoreError> {
        Ok(self.read(|tables| {
            let deliveries = tables.deliveries.values().rev().filter_map(|row| match &row.state {
                DeliveryState::Parked { because, at } => {
                    Some(Parked { what: texts::delivery(&row.id, &row.event), because: because.clone(), at: *at })
                }
                DeliveryState::Unsorted | DeliveryState::Sorted { .. } => None,
            });
            let mut arrivals = tables.parked.clone();
            arrivals.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
            let mut all: Vec<_> = deliveries.chain(arrivals.into_iter().map(|(_, parked)| parked)).collect();
            all.sort_by_key(|parked| std::cmp::Reverse(parked.at));
            all.truncate(limit);
            all
        }))
    }

    async fn counts(&self, _now: Timestamp) -> Result<Counts, StoreError> {
        Ok(self.read(Tables::counts))
    }

    async fn prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        Ok(self.write(|tables| {
            let gone = tables.prune_deliveries(before) + tables.prune_effects(before) + tables.prune_journal(before);
            gone as u64
        }))
    }
}

impl Delivery {
    fn is(&self, event: &str, body: &[u8]) -> bool {
        let same_body = match &self.body {
            Body::Kept(kept) => kept == body,
            Body::Forgotten { sha256 } => *sha256 == <[u8; 32]>::from(Sha256::digest(body)),
        };
        self.event == event && same_body
    }
}

impl Lane {
    /// Since when the lane has had something to do, or when it will: what claims are ordered by.
    fn ready_at(&self) -> Option<Timestamp> {
        self.inbox.values().map(|arrival| arrival.at).chain(self.wake_at).min()
    }

    /// When the lane may be claimed; `None` when it has nothing to do.
    fn due_at(&self) -> Option<Timestamp> {
        let ready = if self.inbox.is_empty() { self.wake_at? } else { Timestamp(0) };
        let lease_until = self.lease.as_ref().map_or(Timestamp(0), |(_, until)| *until);
        Some(ready.max(lease_until).max(self.defer_until))
    }

    fn free(&mut self) {
        self.lease = None;
        self.defer_until = Timestamp(0);
        self.failures = 0;
    }
}

impl Tables {
    fn admit(&mut self, new: NewDelivery) -> Admitted {
        let state = match self.guids.get(&new.id) {
            None => DeliveryState::Unsorted,
            Some(_) => {
                let again = self.deliveries.values().any(|row| row.id == new.id && row.is(&new.event, &new.body));
                if again {
                    return Admitted::Duplicate;
                }
                DeliveryState::Parked { because: texts::OTHER_BYTES.to_owned(), at: new.received_at }
            }
        };
        self.deliveries_last += 1;
        let admitted = match &state {
            DeliveryState::Unsorted | DeliveryState::Sorted { .. } => {
                self.guids.insert(new.id.clone(), self.deliveries_last);
                self.unsorted.insert(self.deliveries_last);
                Admitted::Stored
            }
            DeliveryState::Parked { .. } => Admitted::Parked,
        };
        let NewDelivery { id, event, body, received_at } = new;
        self.deliveries
            .insert(self.deliveries_last, Delivery { id, event, body: Body::Kept(body), received_at, state });
        admitted
    }

    fn unsorted(&self) -> impl Iterator<Item = NewDelivery> {
        self.unsorted.iter().filter_map(|number| self.deliveries.get(number)).filter_map(|row| {
            match (&row.state, &row.body) {
                (DeliveryState::Unsorted, Body::Kept(body)) => Some(NewDelivery {
                    id: row.id.clone(),
                    event: row.event.clone(),
                    body: body.clone(),
                    received_at: row.received_at,
                }),
                (DeliveryState::Unsorted | DeliveryState::Sorted { .. } | DeliveryState::Parked { .. }, _) => None,
            }
        })
    }

    fn sort(&mut self, id: &DeliveryId, made: Sorted, now: Timestamp) {
        let Some(number) = self.guids.get(id) else { return };
        let Some(row) = self.deliveries.get_mut(number) else { return };
        match row.state {
            DeliveryState::Unsorted => drop(self.unsorted.remove(number)),
            DeliveryState::Sorted { .. } | DeliveryState::Parked { .. } => return,
        }
        match made {
            Sorted::Events(arrivals) => {
                row.state = DeliveryState::Sorted { because: None };
                arrivals.into_iter().for_each(|arrival| self.arrive(arrival));
            }
            Sorted::Ignored { because } => row.state = DeliveryState::Sorted { because: Some(because) },
            Sorted::Parked { because } => row.state = DeliveryState::Parked { because, at: now },
        }
    }

    fn arrive(&mut self, arrival: Arrival) {
        self.arrivals_last += 1;
        let lane = self.lanes.entry(arrival.subject.clone()).or_default();
        lane.inbox.insert(ArrivalId(self.arrivals_last), arrival);
    }

    /// The lane, if `holder` holds it; a lease that ran out still counts until somebody else takes the lane.
    fn held(&mut self, subject: &Subject, holder: &Holder) -> Result<&mut Lane, StoreError> {
        let held = |lane: &&mut Lane| lane.lease.as_ref().is_some_and(|(by, _)| by == holder);
        let lane = self.lanes.get_mut(subject).filter(held);
        lane.ok_or_else(|| StoreError::Conflict { subject: subject.to_string() })
    }

    fn claim_lane(
        &mut self,
        holder: &Holder,
        now: Timestamp,
        lease_until: Timestamp,
        arrivals_max: usize,
    ) -> Option<ClaimedLane> {
        let due = self.lanes.iter().filter(|(_, lane)| lane.due_at().is_some_and(|due_at| due_at <= now));
        let (_, _, subject) = due.map(|(subject, lane)| (lane.ready_at(), subject.to_string(), subject)).min()?;
        let subject = subject.clone();
        let lane = self.lanes.get_mut(&subject)?;
        lane.lease = Some((holder.clone(), lease_until));
        Some(ClaimedLane {
            snapshot: lane.snapshot.clone(),
            arrivals: lane.inbox.iter().take(arrivals_max).map(|(id, arrival)| (*id, arrival.clone())).collect(),
            woken: lane.wake_at.is_some_and(|wake_at| wake_at <= now),
            failures: lane.failures,
            subject,
        })
    }

    fn commit(&mut self, turn: TurnCommit) -> Result<(), StoreError> {
        let number = self.journal_last;
        let lane = self.held(&turn.subject, &turn.holder)?;
        let taken: BTreeSet<_> = turn.taken.into_iter().collect();
        let there = taken.iter().all(|id| lane.inbox.contains_key(id));
        if !there || lane.snapshot.as_ref().map(|snapshot| snapshot.version) != turn.expected_version {
            return Err(StoreError::Conflict { subject: turn.subject.to_string() });
        }
        let version = turn.expected_version.unwrap_or(0) + 1;
        lane.free();
        lane.inbox.retain(|id, _| !taken.contains(id));
        lane.snapshot = Some(Snapshot { version, state: turn.state });
        lane.wake_at = turn.wake_at;
        let lines = lines_after(&mut lane.journal_head, turn.at, version, turn.journal);
        let count = lines.len() as i64;
        lane.journal.extend((number + 1..).zip(lines));
        self.journal_last += count;
        turn.effects.into_iter().for_each(|effect| self.plan(effect, turn.at));
        turn.forwards.into_iter().for_each(|arrival| self.arrive(arrival));
        Ok(())
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts { lanes: self.lanes.len() as u64, ..Counts::default() };
        for row in self.deliveries.values() {
            match row.state {
                DeliveryState::Unsorted => counts.deliveries_unsorted += 1,
                DeliveryState::Sorted { .. } => {}
                DeliveryState::Parked { .. } => counts.deliveries_parked += 1,
            }
        }
        for row in self.open_effects() {
            match row.state {
                EffectState::Planned { .. } => counts.effects_planned += 1,
                EffectState::InFlight { .. } => counts.effects_in_flight += 1,
                EffectState::Ended { .. } => {}
            }
        }
        counts.arrivals_waiting = self.lanes.values().map(|lane| lane.inbox.len() as u64).sum();
        counts.arrivals_parked = self.parked.len() as u64;
        counts
    }
}
