//! The outbox in memory.

use super::super::{ended_arrival, generation};
use super::{EffectState, Rank, Row, Tables};
use crate::domain::effect::{Effect, Ending};
use crate::domain::ids::*;
use crate::engine::ports::*;
use std::collections::{BTreeMap, BTreeSet};

impl Row {
    /// Whether it is a planned publish, and of which generation.
    pub(super) fn planned_publish(&self) -> Option<Rank> {
        match self.state {
            EffectState::Planned { .. } => self.generation.map(|generation| (generation, self.number)),
            EffectState::InFlight { .. } | EffectState::Ended { .. } => None,
        }
    }

    /// For a publish that stands: its rank among those of its target, and what GitHub calls it.
    pub(super) fn done_publish(&self) -> Option<(Rank, Option<u64>)> {
        match &self.state {
            EffectState::Ended { ending: Ending::Done { id, .. }, .. } => Some(((self.generation?, self.number), *id)),
            EffectState::Planned { .. } | EffectState::InFlight { .. } | EffectState::Ended { .. } => None,
        }
    }
}

impl Tables {
    pub(super) fn plan(&mut self, effect: Effect, due_at: Timestamp) {
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
        self.open.insert(row.effect.key.clone());
        self.effects.insert(row.effect.key.clone(), row);
    }

    /// Effects that are planned or in flight, by key.
    pub(super) fn open_effects(&self) -> impl Iterator<Item = &Row> {
        self.open.iter().filter_map(|key| self.effects.get(key))
    }

    pub(super) fn claim_effect(
        &mut self,
        holder: &Holder,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Option<ClaimedEffect> {
        let mut busy = BTreeSet::new();
        let mut newest: BTreeMap<&str, Rank> = BTreeMap::new();
        for row in self.open_effects() {
            if matches!(row.state, EffectState::InFlight { .. }) {
                busy.insert(row.lock_name.as_str());
            }
            if let Some(rank) = row.planned_publish() {
                let best = newest.entry(&row.lock_name).or_insert(rank);
                *best = rank.max(*best);
            }
        }
        let claimable = self.open_effects().filter_map(|row| {
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
    pub(super) fn supersede(&mut self, lock_name: &str, rank: Rank, now: Timestamp) {
        let older = self.open_effects().filter(|row| row.lock_name == lock_name);
        let older = older.filter(|row| row.planned_publish().is_some_and(|other| other < rank));
        let mut older: Vec<_> = older.map(|row| (row.number, row.effect.key.clone())).collect();
        older.sort();
        older.into_iter().for_each(|(_, key)| self.end(&key, Ending::Superseded, now));
    }

    /// Ends an effect, and lets its lane hear of it.
    fn end(&mut self, key: &EffectKey, ending: Ending, now: Timestamp) {
        let Some(row) = self.effects.get_mut(key) else { return };
        self.open.remove(key);
        row.state = EffectState::Ended { ending: ending.clone(), at: now };
        let arrival = ended_arrival(row.effect.subject.clone(), key.clone(), ending, now);
        self.arrive(arrival);
    }

    pub(super) fn finish_effect(
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
            EffectProgress::Ended(ending) => self.end(key, ending, now),
        }
        Ok(())
    }
}
