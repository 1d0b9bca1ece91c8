//! How likely a change is to need a fix, a revert or a rollback, and why.
//!
//! Knows lines, files and a model read from a data file. Must never know who wrote the change: no author is a factor.

mod accuracy;
mod adapt;
mod baseline;
mod compose;
mod design;
mod digest;
mod draw;
mod fit;
mod lower;
mod measure;
mod metric;
mod model;
mod outcome;
mod pair;
mod past;
mod practice;
mod reasons;
mod replay;
mod row;
mod score;
mod shape;
mod standing;
mod train;

pub use accuracy::{BandAccuracy, Calibration, Checked, HeldTo, PastVerdict, accuracy, calibration, checked};
pub use adapt::{Learning, adapt, level_only};
pub use baseline::Baseline;
pub use compose::{ReleaseRisk, compose};
pub use lower::{Lowering, lower, lower_with};
pub use measure::measure;
pub use model::{Model, Provenance, judge, judge_with};
pub use outcome::{Evidence, EvidenceKind, Outcome, merge};
pub use past::{Known, Past, completed, record};
pub use practice::{Group, Practice, PracticeKind, practices};
pub use replay::{Foretold, Pace, replay};
pub use row::{TrainingRow, oldest_four_fifths};
pub use score::{Figures, Scored, Scores, score};
pub use standing::{Standing, standing, steady};
pub use train::{Project, train};

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
    /// Touches within the last 90 days, mean over the files.
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
    /// Where it stands among the repository's recent changes; `None`: too few are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// What became of earlier verdicts here, a whole sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// What would lower it, by the model that gave it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lower: Vec<Lowering>,
    /// Why it was judged without the repository's history, a whole sentence; `None`: it was not, or nobody keeps one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_history: Option<String>,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::RiskPolicy;

    #[test]
    fn a_bound_belongs_to_the_band_above_it() {
        let bands = [0.0, 0.1499, 0.15, 0.30, 0.55, 1.0].map(|p| Band::of(p, &RiskPolicy::default()));
        use Band::*;
        assert_eq!(bands, [Low, Low, Moderate, High, Critical, Critical]);
    }
}
