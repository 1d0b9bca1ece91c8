//! Forgetting what is old.

use super::super::{GUID_KEPT, PRUNE_ROWS_MAX};
use super::{Body, Delivery, DeliveryState, EffectState, Rank, Row, Tables};
use crate::domain::ids::*;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

impl Tables {
    pub(super) fn prune_deliveries(&mut self, before: Timestamp) -> usize {
        let oldest = |rows: &BTreeMap<i64, Delivery>, before: Timestamp, kept: bool| {
            let mut old: Vec<_> = rows
                .iter()
                .filter(|(_, row)| matches!(row.state, DeliveryState::Sorted { .. }) && row.received_at < before)
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

    pub(super) fn prune_effects(&mut self, before: Timestamp) -> usize {
        // For each target: the newest publish that stands, and the newest of which GitHub's number is known.
        let mut newest: BTreeMap<String, (Rank, Option<Rank>)> = BTreeMap::new();
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
    pub(super) fn prune_journal(&mut self, before: Timestamp) -> usize {
        let lines = self.lanes.values().flat_map(|lane| &lane.journal);
        let all: BTreeMap<_, _> = lines.map(|(number, line)| (*number, line.at)).collect();
        let old = all.into_iter().take(PRUNE_ROWS_MAX).take_while(|(_, at)| *at < before);
        let old: BTreeSet<_> = old.map(|(number, _)| number).collect();
        self.lanes.values_mut().for_each(|lane| lane.journal.retain(|(number, _)| !old.contains(number)));
        old.len()
    }
}
