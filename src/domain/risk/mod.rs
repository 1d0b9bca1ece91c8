//! How likely a change is to need a fix, a revert or a rollback, and why.
//!
//! Knows lines, files and a model read from a data file. Must never know who wrote the change: no author is a factor.

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
pub fn measure(_f: &super::facts::ChangedFiles, _t: &str) -> ChangeMetrics {
    ChangeMetrics::default()
}
pub fn judge(m: &ChangeMetrics, _p: &super::policy::RiskPolicy) -> Verdict {
    Verdict { model: "x".into(), metrics: m.clone(), judgement: Judgement::Abstains { because: "x".into() } }
}
