//! What the history of a repository says of a change that is to be judged.
//!
//! Knows metrics, a model and probabilities as they were found. Must never know how a history is read.

use super::{ChangeMetrics, Model};
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
    /// What became of earlier verdicts, a whole sentence.
    pub record: Option<String>,
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
}
