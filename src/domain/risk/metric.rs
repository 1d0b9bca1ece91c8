//! What a factor of the model may look at, and on which axis.
//!
//! Knows the metrics of a change. Must never know a model's numbers, or who wrote the change.

use super::{ChangeMetrics, HistoryMetrics};
use serde::{Deserialize, Serialize};

/// Earlier changes of a subsystem above which the author simply knows it: more of them say who it is, not how well the
/// files are known.
const FAMILIAR_AT: f64 = 30.0;

/// Metrics of which more never means less risk, everything else left as it is.
const NEVER_FALL: [Metric; 5] =
    [Metric::LinesAdded, Metric::Files, Metric::Directories, Metric::Subsystems, Metric::Entropy];

/// One metric, by the name that it has in a model file. Adding one here is all that a model with more metrics needs.
///
/// An author's experience in the whole repository, the share of the files' changes that were the author's, hour and
/// weekday are not here: they tell who somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    LinesAdded,
    LinesDeleted,
    Files,
    Directories,
    Subsystems,
    Entropy,
    Fix,
    LinesBefore,
    Developers,
    AgeDays,
    UniqueChanges,
    Touches,
    SubsystemExperience,
    NewFiles,
    TestFiles,
    DocFiles,
    ConfigFiles,
    CodeFiles,
    LargestFile,
    MessageChars,
    SubjectChars,
    NamesIssue,
    Reverts,
    Refactors,
    BringsFeature,
    EarlierFixes,
    LastFix,
    FixShare,
    #[serde(rename = "touches_90_days")]
    Touches90Days,
}

/// The scale on which a shape is linear between its knots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transform {
    /// `ln(1 + value)`.
    Log1p,
    /// The value as it is.
    Identity,
}

impl Transform {
    /// Where a value stands on the axis.
    pub fn axis(self, value: f64) -> f64 {
        match self {
            Self::Log1p => value.ln_1p(),
            Self::Identity => value,
        }
    }

    /// The value that stands there.
    pub fn value(self, axis: f64) -> f64 {
        match self {
            Self::Log1p => axis.exp_m1(),
            Self::Identity => axis,
        }
    }
}

impl Metric {
    /// All of them, in the order in which a model file lists them.
    pub const ALL: [Self; 29] = [
        Self::LinesAdded,
        Self::LinesDeleted,
        Self::Files,
        Self::Directories,
        Self::Subsystems,
        Self::Entropy,
        Self::Fix,
        Self::LinesBefore,
        Self::Developers,
        Self::AgeDays,
        Self::UniqueChanges,
        Self::Touches,
        Self::SubsystemExperience,
        Self::NewFiles,
        Self::TestFiles,
        Self::DocFiles,
        Self::ConfigFiles,
        Self::CodeFiles,
        Self::LargestFile,
        Self::MessageChars,
        Self::SubjectChars,
        Self::NamesIssue,
        Self::Reverts,
        Self::Refactors,
        Self::BringsFeature,
        Self::EarlierFixes,
        Self::LastFix,
        Self::FixShare,
        Self::Touches90Days,
    ];

    /// Its name in a model file.
    pub fn name(self) -> &'static str {
        match self {
            Self::LinesAdded => "lines_added",
            Self::LinesDeleted => "lines_deleted",
            Self::Files => "files",
            Self::Directories => "directories",
            Self::Subsystems => "subsystems",
            Self::Entropy => "entropy",
            Self::Fix => "fix",
            Self::LinesBefore => "lines_before",
            Self::Developers => "developers",
            Self::AgeDays => "age_days",
            Self::UniqueChanges => "unique_changes",
            Self::Touches => "touches",
            Self::SubsystemExperience => "subsystem_experience",
            Self::NewFiles => "new_files",
            Self::TestFiles => "test_files",
            Self::DocFiles => "doc_files",
            Self::ConfigFiles => "config_files",
            Self::CodeFiles => "code_files",
            Self::LargestFile => "largest_file",
            Self::MessageChars => "message_chars",
            Self::SubjectChars => "subject_chars",
            Self::NamesIssue => "names_issue",
            Self::Reverts => "reverts",
            Self::Refactors => "refactors",
            Self::BringsFeature => "brings_feature",
            Self::EarlierFixes => "earlier_fixes",
            Self::LastFix => "last_fix",
            Self::FixShare => "fix_share",
            Self::Touches90Days => "touches_90_days",
        }
    }

    /// The value for a change; `None`: not known, or nothing that a count or a share can be.
    pub fn of(self, metrics: &ChangeMetrics) -> Option<f64> {
        let count = |n: Option<u64>| n.map(|n| n as f64);
        let told = |f: fn(&HistoryMetrics) -> Option<f64>| metrics.history.as_deref().and_then(f);
        let value = match self {
            Self::LinesAdded => count(metrics.lines_added),
            Self::LinesDeleted => count(metrics.lines_deleted),
            Self::Files => count(metrics.files),
            Self::Directories => count(metrics.directories),
            Self::Subsystems => count(metrics.subsystems),
            Self::Entropy => metrics.entropy,
            Self::Fix => metrics.fix.map(|fix| if fix { 1.0 } else { 0.0 }),
            Self::LinesBefore => told(|h| h.lines_before),
            Self::Developers => told(|h| h.developers),
            Self::AgeDays => told(|h| h.age_days),
            Self::UniqueChanges => told(|h| h.unique_changes),
            Self::Touches => told(|h| h.touches),
            Self::SubsystemExperience => told(|h| h.subsystem_experience).map(|n| n.min(FAMILIAR_AT)),
            Self::NewFiles => told(|h| h.new_files),
            Self::TestFiles => told(|h| h.test_files),
            Self::DocFiles => told(|h| h.doc_files),
            Self::ConfigFiles => told(|h| h.config_files),
            Self::CodeFiles => told(|h| h.code_files),
            Self::LargestFile => told(|h| h.largest_file),
            Self::MessageChars => told(|h| h.message_chars),
            Self::SubjectChars => told(|h| h.subject_chars),
            Self::NamesIssue => told(|h| h.names_issue),
            Self::Reverts => told(|h| h.reverts),
            Self::Refactors => told(|h| h.refactors),
            Self::BringsFeature => told(|h| h.brings_feature),
            Self::EarlierFixes => told(|h| h.earlier_fixes),
            Self::LastFix => told(|h| h.last_fix),
            Self::FixShare => told(|h| h.fix_share),
            Self::Touches90Days => told(|h| h.touches_90_days),
        };
        value.filter(|value| value.is_finite() && *value >= 0.0)
    }

    /// The axis on which its shapes are linear.
    pub fn transform(self) -> Transform {
        match self {
            Self::Entropy
            | Self::Fix
            | Self::NamesIssue
            | Self::Reverts
            | Self::Refactors
            | Self::BringsFeature
            | Self::LastFix
            | Self::FixShare => Transform::Identity,
            Self::LinesAdded
            | Self::LinesDeleted
            | Self::Files
            | Self::Directories
            | Self::Subsystems
            | Self::LinesBefore
            | Self::Developers
            | Self::AgeDays
            | Self::UniqueChanges
            | Self::Touches
            | Self::SubsystemExperience
            | Self::NewFiles
            | Self::TestFiles
            | Self::DocFiles
            | Self::ConfigFiles
            | Self::CodeFiles
            | Self::LargestFile
            | Self::MessageChars
            | Self::SubjectChars
            | Self::EarlierFixes
            | Self::Touches90Days => Transform::Log1p,
        }
    }

    /// Whether more of it never means less risk: what people would not follow is not learned.
    pub fn never_falls(self) -> bool {
        NEVER_FALL.contains(&self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_in_a_model_file_is_the_name_of_the_metric() {
        for metric in Metric::ALL {
            assert_eq!(serde_json::to_value(metric).unwrap(), metric.name());
            assert_eq!(Metric::ALL.iter().filter(|other| other.name() == metric.name()).count(), 1);
        }
    }

    #[test]
    fn what_is_not_known_or_cannot_be_has_no_value() {
        let nothing = ChangeMetrics::default();
        assert!(Metric::ALL.iter().all(|metric| metric.of(&nothing).is_none()));
        let odd = HistoryMetrics { age_days: Some(-1.0), touches: Some(f64::NAN), ..HistoryMetrics::default() };
        let odd = ChangeMetrics { entropy: Some(f64::INFINITY), history: Some(Box::new(odd)), ..nothing };
        assert!(Metric::ALL.iter().all(|metric| metric.of(&odd).is_none()));
    }

    #[test]
    fn knowing_the_files_counts_only_until_one_knows_them() {
        let knows = |n| {
            let history = HistoryMetrics { subsystem_experience: Some(n), ..HistoryMetrics::default() };
            Metric::SubsystemExperience.of(&ChangeMetrics { history: Some(Box::new(history)), ..Default::default() })
        };
        assert_eq!((knows(7.0), knows(30.0), knows(9_000.0)), (Some(7.0), Some(30.0), Some(30.0)));
    }

    #[test]
    fn an_axis_can_be_walked_both_ways() {
        for transform in [Transform::Log1p, Transform::Identity] {
            assert!((transform.value(transform.axis(41.5)) - 41.5).abs() < 1e-9);
        }
    }
}
