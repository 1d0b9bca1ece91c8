//! How likely a change is to need a fix, a revert or a rollback, and why.
//!
//! Knows lines, files and a model read from a data file. Must never know who wrote the change: no author is a factor.

mod lower;
mod measure;
mod model;
mod outcome;

pub use lower::{Lowering, lower};
pub use measure::measure;
pub use model::{Model, judge};
pub use outcome::{Evidence, EvidenceKind, Outcome, merge};

use super::policy::Band;
use serde::{Deserialize, Serialize};

/// What is measured of a change. `None`: unknown, which is never the same as zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChangeMetrics {
    /// Lines added; generated and vendored files left out, as in all that follow.
    pub lines_added: Option<u64>,
    /// Lines deleted.
    pub lines_deleted: Option<u64>,
    /// Files touched.
    pub files: Option<u64>,
    /// Directories touched.
    pub directories: Option<u64>,
    /// Top-level directories touched.
    pub subsystems: Option<u64>,
    /// Shannon entropy of the changed lines over the files, in bits.
    pub entropy: Option<f64>,
    /// Whether the change says it is a fix.
    pub fix: Option<bool>,
    /// What only the repository's history tells; `None`: no history was at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Box<HistoryMetrics>>,
}

/// What the history of a repository tells of a change. `None`: unknown, which is never the same as zero.
///
/// Everything is of the time before the change and of the change itself, never of later. The first eight are those of
/// Kamei et al., IEEE Transactions on Software Engineering 39(6), 2013, and of McIntosh and Kamei, same journal
/// 44(5), 2018. Experience is never shown of a person: it says how well the author knew these files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HistoryMetrics {
    /// Mean lines of the touched files before the change; a new file has none (LT).
    pub lines_before: Option<f64>,
    /// Distinct authors of earlier changes of the touched files (NDEV).
    pub developers: Option<f64>,
    /// Mean days since the last change of the touched files (AGE).
    pub age_days: Option<f64>,
    /// Distinct commits that changed the touched files last (NUC).
    pub unique_changes: Option<f64>,
    /// Touches of the files by earlier changes, summed over the files.
    pub touches: Option<f64>,
    /// The author's earlier changes in the repository (EXP).
    pub experience: Option<f64>,
    /// The same, each weighing 1/(1 + its age in years) (REXP).
    pub recent_experience: Option<f64>,
    /// The author's earlier changes of the touched subsystems, i.e. top-level directories (SEXP).
    pub subsystem_experience: Option<f64>,
    /// The author's share of the earlier touches of these files, from 0 to 1.
    pub ownership: Option<f64>,
    /// Files that the change makes.
    pub new_files: Option<f64>,
    /// Touched files that hold tests, prose, settings, and other code.
    pub test_files: Option<f64>,
    pub doc_files: Option<f64>,
    pub config_files: Option<f64>,
    pub code_files: Option<f64>,
    /// Changed lines of the file that changes most.
    pub largest_file: Option<f64>,
    /// Characters of the message, and of its first line.
    pub message_chars: Option<f64>,
    pub subject_chars: Option<f64>,
    /// 1 when the message names an issue, says that it reverts, refactors, or brings something new; else 0.
    pub names_issue: Option<f64>,
    pub reverts: Option<f64>,
    pub refactors: Option<f64>,
    pub brings_feature: Option<f64>,
    /// Earlier fixes among the touches of the files: all, and of the file with most.
    pub earlier_fixes: Option<f64>,
    pub earlier_fixes_most: Option<f64>,
    /// 1/(1 + months since the last fix of one of the files); 0 when there was none.
    pub last_fix: Option<f64>,
    /// Fixes among the earlier touches, from 0 to 1.
    pub fix_share: Option<f64>,
    /// Touches of the files within the last 90 days.
    pub touches_90_days: Option<f64>,
    /// Hour (0 to 23) and weekday (0: Monday) of the author's own clock.
    pub hour: Option<f64>,
    pub weekday: Option<f64>,
}

/// What the model says of a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Name and version of the model.
    pub model: String,
    pub metrics: ChangeMetrics,
    pub judgement: Judgement,
}

/// A probability with its reasons, or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    Known {
        /// Between 0 and 1.
        probability: f64,
        band: Band,
        /// Those that weigh most first. The points of all of them and of `base` sum to `100 * probability`.
        reasons: Vec<Reason>,
        /// Percentage points that every change starts from.
        base: f64,
    },
    Abstains {
        /// A whole sentence.
        because: String,
    },
}

/// One factor's part in a probability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// The metric's name in the model file.
    pub factor: String,
    /// In plain words, for instance `touches 9 directories`.
    pub text: String,
    /// Percentage points, signed.
    pub points: f64,
}

impl ChangeMetrics {
    /// The metrics that are not known, in plain words, in a fixed order.
    pub fn unknown(&self) -> Vec<&'static str> {
        let known = [
            ("lines added", self.lines_added.is_some()),
            ("lines deleted", self.lines_deleted.is_some()),
            ("files", self.files.is_some()),
            ("directories", self.directories.is_some()),
            ("top-level directories", self.subsystems.is_some()),
            ("spread over the files", self.entropy.is_some()),
            ("whether it is a fix", self.fix.is_some()),
        ];
        known.into_iter().filter(|(_, known)| !known).map(|(name, _)| name).collect()
    }
}

/// The risk of several changes that are released together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReleaseRisk {
    /// Probability that at least one of the judged changes needs a fix, a revert or a rollback; 0 when there is none.
    pub probability: f64,
    /// Changes that were judged.
    pub judged: usize,
    /// Changes of which too little is known: the probability is then a lower bound.
    pub unknown: usize,
}

/// Composes the risk of a release from its changes: `1 - (1 - p1)(1 - p2)...`.
///
/// That is the probability that at least one of them goes wrong if they go wrong independently. Changes of one release
/// often share a cause, so it rather says too much than too little.
pub fn compose(probabilities: impl IntoIterator<Item = Option<f64>>) -> ReleaseRisk {
    let mut risk = ReleaseRisk::default();
    let mut all_well = 1.0;
    for probability in probabilities {
        match probability {
            Some(probability) => {
                all_well *= 1.0 - probability;
                risk.judged += 1;
            }
            None => risk.unknown += 1,
        }
    }
    risk.probability = 1.0 - all_well;
    risk
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::RiskPolicy;

    #[test]
    fn a_release_is_riskier_than_its_riskiest_change() {
        let risk = compose([Some(0.5), Some(0.2), None]);
        assert!((risk.probability - 0.6).abs() < 1e-12);
        assert_eq!((risk.judged, risk.unknown), (2, 1));
        assert_eq!(compose([]), ReleaseRisk { probability: 0.0, judged: 0, unknown: 0 });
    }

    #[test]
    fn a_bound_belongs_to_the_band_above_it() {
        let bands = [0.0, 0.1499, 0.15, 0.30, 0.55, 1.0].map(|p| Band::of(p, &RiskPolicy::default()));
        use Band::*;
        assert_eq!(bands, [Low, Low, Moderate, High, Critical, Critical]);
    }
}
