//! Mined changes and what became of them, as rows to learn from.
//!
//! Knows changes and outcomes. Must never call a change good before its time is over.

use super::MinedChange;
use crate::domain::ids::{Sha, Span, Timestamp};
use crate::domain::risk::{Outcome, TrainingRow};
use std::collections::HashMap;

/// Rows in the order of the changes.
///
/// A change that nothing speaks against counts as good when it is `delay` old; what comes to light after that still
/// makes it a bad one, known from then on. A change of which no file counts (generated files alone) has no outcome:
/// nothing could be learned from it.
pub fn rows(changes: &[MinedChange], outcomes: &[Outcome], delay: Span) -> Vec<TrainingRow> {
    let known: HashMap<&Sha, Timestamp> =
        outcomes.iter().filter_map(|outcome| Some((&outcome.change, outcome.known_at()?))).collect();
    let row = |change: &MinedChange| {
        let metrics = change.metrics.clone();
        let lines = metrics.lines_added.unwrap_or(0).saturating_add(metrics.lines_deleted.unwrap_or(0));
        let counted = metrics.files.is_some_and(|files| files > 0);
        let bad_since = known.get(&change.sha).copied();
        TrainingRow {
            at: change.committed_at,
            metrics,
            lines,
            outcome: counted.then_some(bad_since.is_some()),
            known_at: Some(bad_since.unwrap_or_else(|| change.committed_at.plus(delay))),
        }
    };
    changes.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::risk::{ChangeMetrics, Evidence, EvidenceKind};

    fn change(digit: &str, files: u64, at: i64) -> MinedChange {
        MinedChange {
            sha: Sha::parse(&digit.repeat(40)).unwrap(),
            committed_at: Timestamp(at),
            written_at: Timestamp(at),
            author_minutes_east: 0,
            title: "Sell shoes".to_owned(),
            pull: None,
            metrics: ChangeMetrics { lines_added: Some(3), files: Some(files), ..ChangeMetrics::default() },
        }
    }

    #[test]
    fn a_change_is_good_after_its_time_and_bad_from_when_that_is_known() {
        let evidence = vec![Evidence { kind: EvidenceKind::RevertSaid, by: None, known_at: Timestamp(7) }];
        let outcomes = [Outcome { change: Sha::parse(&"a".repeat(40)).unwrap(), evidence }];
        let rows = rows(&[change("a", 1, 5), change("b", 1, 6), change("c", 0, 7)], &outcomes, Span(100));
        let known: Vec<_> = rows.iter().map(|row| (row.outcome, row.known_at, row.lines)).collect();
        let at = |ms| Some(Timestamp(ms));
        assert_eq!(known, [(Some(true), at(7), 3), (Some(false), at(106), 3), (None, at(107), 3)]);
    }
}
