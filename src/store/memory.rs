//! The store without a disk: for tests, the simulation and `sandbox`.
//!
//! Knows the same rules as the SQL store and nothing of SQL. Deterministic: ordered maps, one lock, no chance, no
//! clock; every future is ready at once.

use super::chain::lines_after;
use super::{GUID_KEPT, PRUNE_ROWS_MAX, ended_arrival, generation, texts};
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
    lanes: BTreeMap<Subject, Lane>,
    effects: BTreeMap<EffectKey, Row>,
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
    /// Its arrivals went into inboxes, or it was ignored.
    Sorted,
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
            let effects = tables.effects.values().filter_map(|row| match row.state {
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

    async fn parked(&self, limit: usize) -> Result<Vec<Parked>, StoreError> {
        Ok(self.read(|tables| {
            let deliveries = tables.deliveries.values().rev().filter_map(|row| match &row.state {
                DeliveryState::Parked { because, at } => {
                    Some(Parked { what: texts::delivery(&row.id, &row.event), because: because.clone(), at: *at })
                }
                DeliveryState::Unsorted | DeliveryState::Sorted => None,
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

impl Row {
    /// Whether it is a planned publish, and of which generation. Of equal generations the later planned is newer.
    fn planned_publish(&self) -> Option<(u64, i64)> {
        match self.state {
            EffectState::Planned { .. } => self.generation.map(|generation| (generation, self.number)),
            EffectState::InFlight { .. } | EffectState::Ended { .. } => None,
        }
    }

    /// For a publish that stands: its rank among those of its target, and what GitHub calls it.
    fn done_publish(&self) -> Option<((u64, i64), Option<u64>)> {
        match &self.state {
            EffectState::Ended { ending: Ending::Done { id, .. }, .. } => Some(((self.generation?, self.number), *id)),
            EffectState::Planned { .. } | EffectState::InFlight { .. } | EffectState::Ended { .. } => None,
        }
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
            DeliveryState::Unsorted | DeliveryState::Sorted => {
                self.guids.insert(new.id.clone(), self.deliveries_last);
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
        self.deliveries.values().filter_map(|row| match (&row.state, &row.body) {
            (DeliveryState::Unsorted, Body::Kept(body)) => Some(NewDelivery {
                id: row.id.clone(),
                event: row.event.clone(),
                body: body.clone(),
                received_at: row.received_at,
            }),
            (DeliveryState::Unsorted | DeliveryState::Sorted | DeliveryState::Parked { .. }, _) => None,
        })
    }

    fn sort(&mut self, id: &DeliveryId, made: Sorted, now: Timestamp) {
        let Some(row) = self.guids.get(id).and_then(|number| self.deliveries.get_mut(number)) else { return };
        match row.state {
            DeliveryState::Unsorted => {}
            DeliveryState::Sorted | DeliveryState::Parked { .. } => return,
        }
        match made {
            Sorted::Events(arrivals) => {
                row.state = DeliveryState::Sorted;
                arrivals.into_iter().for_each(|arrival| self.arrive(arrival));
            }
            Sorted::Ignored { because: _ } => row.state = DeliveryState::Sorted,
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

    fn plan(&mut self, effect: Effect, due_at: Timestamp) {
        if self.effects.contains_key(&effect.key) {
            return;
        }
        self.effects_last += 1;
        let row = Row {
            number: self.effects_last,
            lock_name: effect.lock_name(),
            generation: generation(&effect),
            state: EffectState::Planned { due_at },
            first_tried_at: None,
            last_tried_at: None,
            attempts: 0,
            effect,
        };
        self.effects.insert(row.effect.key.clone(), row);
    }

    fn claim_effect(&mut self, holder: &Holder, now: Timestamp, lease_until: Timestamp) -> Option<ClaimedEffect> {
        let mut busy = BTreeSet::new();
        let mut newest: BTreeMap<&str, (u64, i64)> = BTreeMap::new();
        for row in self.effects.values() {
            if matches!(row.state, EffectState::InFlight { .. }) {
                busy.insert(row.lock_name.as_str());
            }
            if let Some(rank) = row.planned_publish() {
                let best = newest.entry(&row.lock_name).or_insert(rank);
                *best = rank.max(*best);
            }
        }
        let claimable = self.effects.values().filter_map(|row| {
            let due_at = match row.state {
                EffectState::InFlight { due_at, .. } => due_at,
                EffectState::Planned { due_at } => {
                    let replaced = row.planned_publish() != newest.get(row.lock_name.as_str()).copied();
                    let is_publish = row.generation.is_some();
                    if busy.contains(row.lock_name.as_str()) || (is_publish && replaced) {
                        return None;
                    }
                    due_at
                }
                EffectState::Ended { .. } => return None,
            };
            (due_at <= now).then_some((due_at, row.number, &row.effect.key))
        });
        let key = claimable.min()?.2.clone();

        let row = self.effects.get_mut(&key)?;
        let was_in_flight = matches!(row.state, EffectState::InFlight { .. });
        let claimed_as = (row.lock_name.clone(), row.planned_publish(), row.generation.is_some());
        let (lock_name, rank, is_publish) = claimed_as;
        let mut claimed = ClaimedEffect {
            effect: row.effect.clone(),
            remote: None,
            first_tried_at: *row.first_tried_at.get_or_insert(now),
            last_tried_at: row.last_tried_at.replace(now),
            was_in_flight,
            attempts: row.attempts,
        };
        row.attempts = row.attempts.saturating_add(1);
        row.state = EffectState::InFlight { holder: Some(holder.clone()), due_at: lease_until };

        if is_publish {
            let done = self.effects.values().filter(|row| row.lock_name == lock_name);
            claimed.remote = done
                .filter_map(|row| row.done_publish())
                .filter_map(|(rank, id)| Some((rank, id?)))
                .max()
                .map(|(_, id)| id);
        }
        if let Some(rank) = rank {
            self.supersede(&lock_name, rank, now);
        }
        Some(claimed)
    }

    /// Ends the planned publishes of a target that are older than `rank`.
    fn supersede(&mut self, lock_name: &str, rank: (u64, i64), now: Timestamp) {
        let mut ended: Vec<_> = Vec::new();
        for row in self.effects.values_mut().filter(|row| row.lock_name == lock_name) {
            if row.planned_publish().is_some_and(|other| other < rank) {
                row.state = EffectState::Ended { ending: Ending::Superseded, at: now };
                ended.push((
                    row.number,
                    ended_arrival(row.effect.subject.clone(), row.effect.key.clone(), Ending::Superseded, now),
                ));
            }
        }
        ended.sort_by_key(|(number, _)| *number);
        ended.into_iter().for_each(|(_, arrival)| self.arrive(arrival));
    }

    fn finish_effect(
        &mut self,
        key: &EffectKey,
        holder: &Holder,
        progress: EffectProgress,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(row) = self.effects.get_mut(key) else {
            return Err(StoreError::Conflict { subject: key.to_string() });
        };
        match &row.state {
            EffectState::InFlight { holder: Some(by), .. } if by == holder => {}
            EffectState::Planned { .. } | EffectState::InFlight { .. } | EffectState::Ended { .. } => {
                return Err(StoreError::Conflict { subject: key.to_string() });
            }
        }
        match progress {
            EffectProgress::Later { until, because: _ } => row.state = EffectState::Planned { due_at: until },
            EffectProgress::Settle { until, because: _ } => {
                row.state = EffectState::InFlight { holder: None, due_at: until };
            }
            EffectProgress::Ended(ending) => {
                row.state = EffectState::Ended { ending: ending.clone(), at: now };
                let arrival = ended_arrival(row.effect.subject.clone(), row.effect.key.clone(), ending, now);
                self.arrive(arrival);
            }
        }
        Ok(())
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts { lanes: self.lanes.len() as u64, ..Counts::default() };
        for row in self.deliveries.values() {
            match row.state {
                DeliveryState::Unsorted => counts.deliveries_unsorted += 1,
                DeliveryState::Sorted => {}
                DeliveryState::Parked { .. } => counts.deliveries_parked += 1,
            }
        }
        for row in self.effects.values() {
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

    fn prune_deliveries(&mut self, before: Timestamp) -> usize {
        let oldest = |rows: &BTreeMap<i64, Delivery>, before: Timestamp, kept: bool| {
            let mut old: Vec<_> = rows
                .iter()
                .filter(|(_, row)| matches!(row.state, DeliveryState::Sorted) && row.received_at < before)
                .filter(|(_, row)| matches!(row.body, Body::Kept(_)) == kept)
                .map(|(number, row)| (row.received_at, *number))
                .collect();
            old.sort();
            old.truncate(PRUNE_ROWS_MAX);
            old
        };
        let bodies = oldest(&self.deliveries, before, true);
        for (_, number) in &bodies {
            if let Some(row) = self.deliveries.get_mut(number)
                && let Body::Kept(body) = &row.body
            {
                row.body = Body::Forgotten { sha256: Sha256::digest(body).into() };
            }
        }
        let rows = oldest(&self.deliveries, before.minus(GUID_KEPT), false);
        for (_, number) in &rows {
            if let Some(row) = self.deliveries.remove(number) {
                self.guids.remove(&row.id);
            }
        }
        bodies.len() + rows.len()
    }

    fn prune_effects(&mut self, before: Timestamp) -> usize {
        // For each target: the newest publish that stands, and the newest of which GitHub's number is known.
        let mut newest: BTreeMap<String, ((u64, i64), Option<(u64, i64)>)> = BTreeMap::new();
        for row in self.effects.values() {
            if let Some((rank, id)) = row.done_publish() {
                let best = newest.entry(row.lock_name.clone()).or_insert((rank, None));
                best.0 = best.0.max(rank);
                best.1 = best.1.max(id.map(|_| rank));
            }
        }
        let is_needed = |row: &Row| {
            row.done_publish().is_some_and(|(rank, _)| {
                newest.get(&row.lock_name).is_some_and(|best| best.0 == rank || best.1 == Some(rank))
            })
        };
        let mut old: Vec<_> = self
            .effects
            .values()
            .filter_map(|row| match row.state {
                EffectState::Ended { at, .. } if at < before && !is_needed(row) => Some((at, row.number, row)),
                EffectState::Planned { .. } | EffectState::InFlight { .. } | EffectState::Ended { .. } => None,
            })
            .map(|(at, number, row)| (at, number, row.effect.key.clone()))
            .collect();
        old.sort();
        old.truncate(PRUNE_ROWS_MAX);
        old.iter().for_each(|(_, _, key)| drop(self.effects.remove(key)));
        old.len()
    }

    /// Takes lines from the oldest on and stops at the first that is young enough, so that no chain gets a gap.
    fn prune_journal(&mut self, before: Timestamp) -> usize {
        let lines = self.lanes.values().flat_map(|lane| &lane.journal);
        let all: BTreeMap<_, _> = lines.map(|(number, line)| (*number, line.at)).collect();
        let old = all.into_iter().take(PRUNE_ROWS_MAX).take_while(|(_, at)| *at < before);
        let old: BTreeSet<_> = old.map(|(number, _)| number).collect();
        self.lanes.values_mut().for_each(|lane| lane.journal.retain(|(number, _)| !old.contains(number)));
        old.len()
    }
}
