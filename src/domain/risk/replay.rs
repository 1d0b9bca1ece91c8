//! Plays a history again: what a model would have said of each change, knowing only what was known then.
//!
//! Knows past changes in the order in which they came. Must never let a later outcome into an earlier answer.

use super::{Baseline, Learning, Model, TrainingRow, adapt};

/// What was said of one change before its outcome was known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Foretold {
    /// Its place among the rows.
    pub row: usize,
    /// By the model as the repository's outcomes had it by then.
    pub ours: f64,
    /// Whether that model had learned anything here by then.
    pub learned: bool,
    /// By the model as it is shipped.
    pub shipped: f64,
    /// By lines added alone, and by lines added and deleted; `None` as long as all outcomes were alike.
    pub lines_added: Option<f64>,
    pub churn: Option<f64>,
}

/// How a history is played again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Changes at the beginning of which nothing is said: they only teach.
    pub begin_after: usize,
    /// Changes after which the models learn again.
    pub every: usize,
}

impl Pace {
    /// A fifth only teaches, and there are at most forty lessons.
    pub fn of(rows: usize) -> Self {
        Self { begin_after: rows / 5, every: (rows / 40).max(25) }
    }
}

/// Foretells each row but the first ones, in their order. `rows` stand in the order in which the changes came; `tell`
/// hears how many are done.
pub fn replay(model: &Model, rows: &[TrainingRow], pace: Pace, tell: &mut dyn FnMut(usize)) -> Vec<Foretold> {
    let every = pace.every.max(1);
    let mut told = Vec::with_capacity(rows.len().saturating_sub(pace.begin_after));
    let mut at = pace.begin_after;
    while let Some(first) = rows.get(at) {
        let now = first.at;
        let past = &rows[..at];
        let waiting = past.iter().rev().take_while(|row| row.outcome_at(now).is_none()).count();
        let (adapted, evidence) = adapt(model, past, now, waiting + every);
        let learned = !matches!(evidence, Learning::None { .. });
        // The baselines look at every outcome they are given.
        let known: Vec<TrainingRow> = past.iter().filter(|row| row.outcome_at(now).is_some()).cloned().collect();
        let (lines_added, churn) = (Baseline::lines_added(&known), Baseline::churn(&known));
        let end = (at + every).min(rows.len());
        for (row, change) in rows.iter().enumerate().take(end).skip(at) {
            told.push(Foretold {
                row,
                ours: adapted.probability(&change.metrics),
                learned,
                shipped: model.probability(&change.metrics),
                lines_added: lines_added.as_ref().map(|baseline| baseline.probability(&change.metrics)),
                churn: churn.as_ref().map(|baseline| baseline.probability(&change.metrics)),
            });
        }
        at = end;
        tell(at);
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Timestamp;
    use crate::domain::risk::ChangeMetrics;

    /// Every second change goes wrong, which is known ten changes later.
    fn rows(count: u64) -> Vec<TrainingRow> {
        let row = |n: u64| TrainingRow {
            at: Timestamp(n as i64),
            metrics: ChangeMetrics { lines_added: Some(n % 2 * 300 + 1), files: Some(1), ..ChangeMetrics::default() },
            lines: n % 2 * 300 + 1,
            outcome: Some(n % 2 == 1),
            known_at: Some(Timestamp(n as i64 + 10)),
        };
        (0..count).map(row).collect()
    }

    #[test]
    fn what_is_learned_shows_in_later_answers_only() {
        let rows = rows(600);
        let told = replay(Model::shipped(), &rows, Pace { begin_after: 0, every: 50 }, &mut |_| {});
        assert_eq!(told.len(), 600);
        assert!(told[..50].iter().all(|told| told.ours == told.shipped && told.lines_added.is_none() && !told.learned));
        assert!(told[50..].iter().all(|told| told.learned));
        let (good, bad) = (told[598], told[599]);
        assert!(bad.ours > 0.7 && good.ours < 0.3, "{bad:?} {good:?}");
        assert!(bad.lines_added > good.lines_added && bad.churn > good.churn);
    }

    #[test]
    fn an_outcome_that_comes_later_changes_no_earlier_answer() {
        let pace = Pace { begin_after: 100, every: 20 };
        let before = replay(Model::shipped(), &rows(300), pace, &mut |_| {});
        let mut turned = rows(300);
        for row in turned.iter_mut().skip(200) {
            row.outcome = row.outcome.map(|bad| !bad);
        }
        let after = replay(Model::shipped(), &turned, pace, &mut |_| {});
        let until = before.iter().position(|told| told.row == 200).unwrap();
        assert_eq!(before[..until], after[..until]);
    }

    #[test]
    fn an_empty_history_says_nothing() {
        assert_eq!(replay(Model::shipped(), &[], Pace::of(0), &mut |_| {}), []);
    }
}
