//! Practices that went along with fewer faults in a repository than its model expects.
//!
//! Knows past changes and a model. Must never call a practice a cause, or know who wrote a change: it tells what was seen.
//!
//! # The comparison
//!
//! Changes that follow a practice and those that do not differ in much else, so each group is held to what the model
//! expects of it, by indirect standardisation (Breslow and Day, *Statistical Methods in Cancer Research* II, IARC 1987):
//!
//! ```text
//! rate of a group = bad / sum of probabilities            ratio = rate with / rate without
//! standard error of ln ratio = sqrt(1 / bad with + 1 / bad without)
//! ```
//!
//! It is told when the ratio is below 1 by more than [`Z_MIN`] standard errors, and then only as far as a normal prior
//! around "no effect" with a deviation of [`PRIOR`] allows: few outcomes say little.

use super::{ChangeMetrics, Model, TrainingRow};
use crate::domain::ids::Timestamp;
use serde::{Deserialize, Serialize};

/// Standard errors by which a ratio must be below 1.
const Z_MIN: f64 = 2.0;
/// Changes that went wrong in each group below which nothing is told.
const BAD_MIN: usize = 10;
/// Standard deviation of ln ratio that is thought likely before anything is seen.
const PRIOR: f64 = 0.5;
/// The newest outcomes that are looked at: older habits say little.
const NEWEST: usize = 5_000;
/// From which share of the earlier touches of its files on an author knows them. Below are the "minor contributors" of
/// Bird et al., *Don't Touch My Code!*, ESEC/FSE 2011.
const KNOWN_FROM: f64 = 0.05;

/// What a change may have and another may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PracticeKind {
    /// Code comes with a test.
    Tests,
    /// It was written by somebody who knew the files.
    KnownFiles,
}

/// A practice that pays in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Practice {
    pub kind: PracticeKind,
    pub with: Group,
    pub without: Group,
}

/// Changes that follow a practice, or that do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Group {
    pub changes: usize,
    /// Changes that went wrong.
    pub bad: usize,
    /// How many the model expects to: the sum of its probabilities.
    pub expected: f64,
}

impl PracticeKind {
    pub const ALL: [Self; 2] = [Self::Tests, Self::KnownFiles];

    /// Whether a change follows it; `None`: that is not known, or there is nothing to follow.
    pub fn is_followed(self, metrics: &ChangeMetrics) -> Option<bool> {
        let history = metrics.history.as_deref()?;
        match self {
            Self::Tests => (history.code_files? > 0.0).then_some(history.test_files? > 0.0),
            Self::KnownFiles => (history.touches? > 0.0).then_some(history.ownership? >= KNOWN_FROM),
        }
    }
}

impl Group {
    fn rate(&self) -> f64 {
        if self.expected > 0.0 { self.bad as f64 / self.expected } else { 1.0 }
    }
}

impl Practice {
    /// By how much a probability shrinks, from 0 to 1; `None` when chance may explain what was seen.
    pub fn ratio(&self) -> Option<f64> {
        if self.with.bad.min(self.without.bad) < BAD_MIN {
            return None;
        }
        let effect = (self.with.rate() / self.without.rate()).ln();
        let variance = 1.0 / self.with.bad as f64 + 1.0 / self.without.bad as f64;
        let pays = effect < -Z_MIN * variance.sqrt();
        pays.then(|| (effect * PRIOR * PRIOR / (PRIOR * PRIOR + variance)).exp())
    }

    /// What following it would be, and what was seen, for instance
    /// `bringing a test (here 31 of 410 changes with one went wrong; at the rate of those without it had been 52)`.
    pub fn words(&self) -> String {
        let Group { changes, bad, expected } = self.with;
        let without = expected * self.without.rate();
        match self.kind {
            PracticeKind::Tests => format!(
                "bringing a test (here {bad} of {changes} changes with one went wrong; at the rate of those without it \
                 had been {without:.0})"
            ),
            PracticeKind::KnownFiles => format!(
                "a review by somebody who knows these files, at best (here {bad} of {changes} changes by such people went \
                 wrong; at the rate of others it had been {without:.0})"
            ),
        }
    }
}

/// The practices that pay in a repository, by its newest outcomes. `rows` stand in the order in which the changes came.
pub fn practices(model: &Model, rows: &[TrainingRow], now: Timestamp) -> Vec<Practice> {
    let known = rows.iter().rev().filter_map(|row| Some((row, row.outcome_at(now)?)));
    let newest: Vec<(&TrainingRow, bool, f64)> =
        known.take(NEWEST).map(|(row, bad)| (row, bad, model.probability(&row.metrics))).collect();
    let practice = |kind: PracticeKind| {
        let [mut with, mut without] = [Group::default(); 2];
        for (row, bad, probability) in &newest {
            let group = match kind.is_followed(&row.metrics) {
                Some(true) => &mut with,
                Some(false) => &mut without,
                None => continue,
            };
            group.changes += 1;
            group.bad += usize::from(*bad);
            group.expected += probability;
        }
        Practice { kind, with, without }
    };
    PracticeKind::ALL.into_iter().map(practice).filter(|practice| practice.ratio().is_some()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::risk::HistoryMetrics;

    fn practice(with: (usize, usize, f64), without: (usize, usize, f64)) -> Practice {
        let group = |(changes, bad, expected)| Group { changes, bad, expected };
        Practice { kind: PracticeKind::Tests, with: group(with), without: group(without) }
    }

    #[test]
    fn what_was_seen_often_enough_is_told_and_shrunk_the_more_the_less_was_seen() {
        let much = practice((1_000, 100, 200.0), (1_000, 200, 200.0)).ratio().unwrap();
        let little = practice((100, 10, 20.0), (1_000, 200, 200.0)).ratio().unwrap();
        assert!(0.51 < much && much < 0.53, "{much}");
        assert!(0.6 < little && little < 0.62, "{little}");
    }

    #[test]
    fn what_chance_may_explain_or_does_harm_is_not_told() {
        assert_eq!(practice((100, 9, 20.0), (1_000, 200, 200.0)).ratio(), None, "fewer than ten");
        assert_eq!(practice((100, 17, 20.0), (1_000, 200, 200.0)).ratio(), None, "too close");
        assert_eq!(practice((1_000, 300, 200.0), (1_000, 200, 200.0)).ratio(), None, "worse");
        assert_eq!(practice((1_000, 100, 100.0), (1_000, 200, 200.0)).ratio(), None, "the model knows it already");
    }

    fn row(n: u64, tests: f64, ownership: f64, bad: bool) -> TrainingRow {
        let history = HistoryMetrics {
            code_files: Some(1.0),
            test_files: Some(tests),
            touches: Some(3.0),
            ownership: Some(ownership),
            ..HistoryMetrics::default()
        };
        let metrics = ChangeMetrics {
            lines_added: Some(40),
            files: Some(2),
            history: Some(Box::new(history)),
            ..ChangeMetrics::default()
        };
        TrainingRow { at: Timestamp(n as i64), metrics, lines: 40, outcome: Some(bad), known_at: Some(Timestamp(0)) }
    }

    #[test]
    fn they_are_found_among_outcomes_and_told_in_words() {
        // Of changes with a test 1 in 20 goes wrong, of others 1 in 4; who knew the files makes no difference.
        let rows: Vec<TrainingRow> = (0..800)
            .map(|n| {
                let tests = n % 2;
                let bad = n / 2 % if tests == 1 { 20 } else { 4 } == 0;
                row(n, tests as f64, (n / 2 % 3) as f64 / 10.0, bad)
            })
            .collect();
        let found = practices(Model::shipped(), &rows, Timestamp(1));
        let told: Vec<String> = found.iter().map(Practice::words).collect();
        insta::assert_snapshot!(told.join("\n"), @"bringing a test (here 20 of 400 changes with one went wrong; at the rate of those without it had been 100)");
        assert_eq!(practices(Model::shipped(), &rows, Timestamp(-1)), [], "nothing is known yet");
    }

    #[test]
    fn what_is_not_known_follows_nothing() {
        let unknown = ChangeMetrics::default();
        assert_eq!(PracticeKind::ALL.map(|kind| kind.is_followed(&unknown)), [None, None]);
        assert_eq!(PracticeKind::ALL.map(|kind| kind.is_followed(&row(0, 0.0, 0.0, false).metrics)), [Some(false); 2]);
        assert_eq!(PracticeKind::ALL.map(|kind| kind.is_followed(&row(0, 2.0, 0.3, false).metrics)), [Some(true); 2]);
        let mut prose = row(0, 0.0, 0.0, false).metrics;
        prose.history.as_mut().unwrap().code_files = Some(0.0);
        assert_eq!(PracticeKind::Tests.is_followed(&prose), None);
    }
}
