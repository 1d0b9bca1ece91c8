//! What the history of a repository says of a change that is to be judged.
//!
//! Knows metrics, a model and probabilities as they were found. Must never know how a history is read.

use super::{ChangeMetrics, Model, PastVerdict, Practice, accuracy};
use crate::domain::policy::RiskPolicy;
use serde::{Deserialize, Serialize};

/// What the history says of one change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Past {
    /// The history is being read for the first time, or once more; later there is more to say.
    Reading,
    /// It was read.
    Known(Box<Known>),
}

/// A history that was read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// The change as git counts it, with what was before it.
    pub metrics: ChangeMetrics,
    /// The model as this repository's own outcomes have it; `None`: the one that is shipped.
    pub model: Option<Box<Model>>,
    /// Probabilities of the repository's last changes by the same model, in any order.
    pub recent: Vec<f64>,
    /// Earlier verdicts whose outcome is known.
    pub said: Vec<PastVerdict>,
    /// That the model does not hold here, in whole sentences; `None`: it does, or too little is known.
    pub drift: Option<String>,
    /// What goes along with fewer faults here.
    pub paid: Vec<Practice>,
}

/// Verdicts of a band below which nothing is told of them.
const TOLD_FROM: usize = 5;

/// What became of earlier verdicts, in whole sentences: that the model does not hold, or how those of the highest band
/// that was said often enough turned out.
pub fn record(known: &Known, policy: &RiskPolicy) -> Option<String> {
    let bands = accuracy(&known.said, policy);
    let highest = bands.iter().find(|band| band.changes >= TOLD_FROM);
    known.drift.clone().or_else(|| highest.map(|band| band.sentence()))
}

/// What GitHub's list says of a change, completed by the history.
///
/// What the service looked at itself is kept: the list knows the rules for generated files as the policy has them. A
/// cut or uncounted list is filled from the history, which git counts whole.
pub fn completed(listed: ChangeMetrics, known: &Known) -> ChangeMetrics {
    let found = &known.metrics;
    ChangeMetrics {
        lines_added: listed.lines_added.or(found.lines_added),
        lines_deleted: listed.lines_deleted.or(found.lines_deleted),
        files: listed.files.or(found.files),
        directories: listed.directories.or(found.directories),
        subsystems: listed.subsystems.or(found.subsystems),
        entropy: listed.entropy.or(found.entropy),
        fix: listed.fix.or(found.fix),
        history: found.history.clone().or(listed.history),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::risk::HistoryMetrics;

    #[test]
    fn what_github_cut_is_filled_from_the_history_and_the_rest_is_kept() {
        let history = Some(Box::new(HistoryMetrics { developers: Some(3.0), ..HistoryMetrics::default() }));
        let found = ChangeMetrics { lines_added: Some(9), files: Some(4_000), history, ..ChangeMetrics::default() };
        let known = Known { metrics: found, ..Known::default() };
        let cut = ChangeMetrics { fix: Some(true), ..ChangeMetrics::default() };
        let whole = completed(cut, &known);
        assert_eq!((whole.lines_added, whole.files, whole.fix), (Some(9), Some(4_000), Some(true)));
        assert_eq!(whole.history, known.metrics.history);
        let listed = ChangeMetrics { lines_added: Some(7), ..ChangeMetrics::default() };
        assert_eq!(completed(listed, &known).lines_added, Some(7));
    }

    #[test]
    fn the_record_is_that_of_the_highest_band_that_was_said_often_enough_by_the_bands_of_the_policy() {
        let said =
            |n: usize, probability: f64, bad: usize| (0..n).map(move |i| PastVerdict { probability, bad: i < bad });
        let said: Vec<PastVerdict> = said(4, 0.8, 4).chain(said(20, 0.4, 7)).chain(said(50, 0.05, 2)).collect();
        let mut known = Known { said, ..Known::default() };
        let policy = RiskPolicy::default();
        assert_eq!(record(&known, &policy).unwrap(), "Of 20 changes called high, 7 needed a fix.");
        let mild = RiskPolicy { moderate: 0.3, high: 0.5, critical: 0.9, ..policy.clone() };
        assert_eq!(record(&known, &mild).unwrap(), "Of 20 changes called moderate, 7 needed a fix.");
        known.drift = Some("It does not hold.".to_owned());
        assert_eq!(record(&known, &policy).unwrap(), "It does not hold.");
        assert_eq!(record(&Known::default(), &policy), None);
    }
}
