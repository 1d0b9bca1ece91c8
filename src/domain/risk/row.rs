//! Past changes and how they ended: what a model learns from.
//!
//! Knows metrics, times and outcomes. Must never know who wrote a change.

use super::ChangeMetrics;
use crate::domain::ids::Timestamp;

/// A past change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainingRow {
    /// When it was made.
    pub at: Timestamp,
    pub metrics: ChangeMetrics,
    /// Lines added and deleted: the effort to look through it.
    pub lines: u64,
    /// Whether it needed a fix, a revert or a rollback. `None`: too early to say, or nobody knows.
    pub outcome: Option<bool>,
    /// When the outcome became known; `None`: it counts as known from the start.
    pub known_at: Option<Timestamp>,
}

impl TrainingRow {
    /// The outcome, as far as it was known at a moment.
    pub fn outcome_at(&self, now: Timestamp) -> Option<bool> {
        self.outcome.filter(|_| self.known_at.is_none_or(|known_at| known_at <= now))
    }
}

/// How many rows are in the oldest four fifths, which train where the newest fifth tests.
pub fn oldest_four_fifths(rows: usize) -> usize {
    // Without the product, which could pass the end of numbers.
    rows - rows / 5 - usize::from(!rows.is_multiple_of(5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_counts_from_when_it_was_known() {
        let row = TrainingRow { outcome: Some(true), known_at: Some(Timestamp(50)), ..TrainingRow::default() };
        assert_eq!((row.outcome_at(Timestamp(49)), row.outcome_at(Timestamp(50))), (None, Some(true)));
        let always = TrainingRow { known_at: None, ..row };
        assert_eq!(always.outcome_at(Timestamp(i64::MIN)), Some(true));
    }

    #[test]
    fn the_newest_fifth_is_rounded_up() {
        assert_eq!([0, 1, 4, 5, 10, 11_914].map(oldest_four_fifths), [0, 0, 3, 4, 8, 9_531]);
    }
}
