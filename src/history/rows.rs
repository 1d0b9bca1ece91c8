//! Mined changes and what became of them, as rows to learn from.
//!
//! Knows changes and outcomes. Must never call a change good before its time is over.

use super::MinedChange;
use crate::domain::ids::{Sha, Span, Timestamp};
use crate::domain::risk::{Outcome, TrainingRow};
use std::collections::HashMap;

/// Rows in the order of the changes.
///
/// No outcome counts before its change is `delay` old: bad ones come to light day by day, and good ones only by then, so
/// among younger changes all whose outcome is known would be bad. A change that nothing speaks against counts as good from
/// then on; what comes to light later still makes it a bad one, known from then on. A change of which no file counts
/// (generated files alone) has no outcome: nothing could be learned from it.
pub fn rows(changes: &[MinedChange], outcomes: &[Outcome], delay: Span) -> Vec<TrainingRow> {
    let known: HashMap<&Sha, Timestamp> =
        outcomes.iter().filter_map(|outcome| Some((&outcome.change, outcome.known_at()?))).collect();
    let row = |change: &MinedChange| {
        let metrics = change.metrics.clone();
        let lines = metrics.lines_added.unwrap_or(0).saturating_add(metrics.lines_deleted.unwrap_or(0));
        let counted = metrics.files.is_some_and(|files| files > 0);
        let bad_since = known.get(&change.sha).copied();
        let ripe = change.committed_at.plus(delay);
        TrainingRow {
            at: change.committed_at,
            metrics,
            lines,
            outcome: counted.then_some(bad_since.is_some()),
            known_at: Some(bad_since.map_or(ripe, |since| since.max(ripe))),
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
    fn no_outcome_counts_before_its_time_and_a_late_one_from_when_it_is_known() {
        let bad = |digit: &str, known_at: i64| {
            let evidence = vec![Evidence { kind: EvidenceKind::RevertSaid, by: None, known_at: Timestamp(known_at) }];
            Outcome { change: Sha::parse(&digit.repeat(40)).unwrap(), evidence }
        };
        let changes = [change("a", 1, 5), change("b", 1, 6), change("c", 0, 7), change("d", 1, 8)];
        let rows = rows(&changes, &[bad("a", 7), bad("d", 300)], Span(100));
        let known: Vec<_> = rows.iter().map(|row| (row.outcome, row.known_at, row.lines)).collect();
        let at = |ms| Some(Timestamp(ms));
        let late = (Some(true), at(300), 3);
        assert_eq!(known, [(Some(true), at(105), 3), (Some(false), at(106), 3), (None, at(107), 3), late]);
    }
}
