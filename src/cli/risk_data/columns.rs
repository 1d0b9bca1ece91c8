//! The columns of a data file, and which metric each is.
//!
//! Knows names of columns and single cells. Must never know a file, or use a column that judges a person: an author's
//! tenure, whether the author is new, and the author's share of fixes are not read.

use crate::domain::risk::{ChangeMetrics, HistoryMetrics};

/// Puts one cell where it belongs.
pub type Put = fn(&mut ChangeMetrics, f64);

/// Column, and where its number goes.
const METRICS: [(&str, Put); 33] = [
    ("la", |m, x| m.lines_added = Some(whole(x))),
    ("ld", |m, x| m.lines_deleted = Some(whole(x))),
    ("nf", |m, x| m.files = Some(whole(x))),
    ("nd", |m, x| m.directories = Some(whole(x))),
    ("ns", |m, x| m.subsystems = Some(whole(x))),
    ("ent", |m, x| m.entropy = Some(x)),
    ("fix", |m, x| m.fix = Some(x >= 0.5)),
    ("lt", |m, x| history(m).lines_before = Some(x)),
    ("ndev", |m, x| history(m).developers = Some(x)),
    ("age", |m, x| history(m).age_days = Some(x)),
    // Which of the two it is, the whole file tells: see `read.rs`.
    ("nuc", |m, x| history(m).touches = Some(x)),
    ("nuc_u", |m, x| history(m).unique_changes = Some(x)),
    ("exp", |m, x| history(m).experience = Some(x)),
    ("rexp", |m, x| history(m).recent_experience = Some(x)),
    ("sexp", |m, x| history(m).subsystem_experience = Some(x)),
    ("own", |m, x| history(m).ownership = Some(x)),
    ("newf", |m, x| history(m).new_files = Some(x)),
    ("tst", |m, x| history(m).test_files = Some(x)),
    ("doc", |m, x| history(m).doc_files = Some(x)),
    ("conf", |m, x| history(m).config_files = Some(x)),
    ("code", |m, x| history(m).code_files = Some(x)),
    ("maxf", |m, x| history(m).largest_file = Some(x)),
    ("msglen", |m, x| history(m).message_chars = Some(x)),
    ("sublen", |m, x| history(m).subject_chars = Some(x)),
    ("issue", |m, x| history(m).names_issue = Some(x)),
    ("revert", |m, x| history(m).reverts = Some(x)),
    ("refactor", |m, x| history(m).refactors = Some(x)),
    ("feat", |m, x| history(m).brings_feature = Some(x)),
    ("fixs", |m, x| history(m).earlier_fixes = Some(x)),
    ("fixmax", |m, x| history(m).earlier_fixes_most = Some(x)),
    ("lastfix", |m, x| history(m).last_fix = Some(x)),
    ("fixratio", |m, x| history(m).fix_share = Some(x)),
    ("churn90", |m, x| history(m).touches_90_days = Some(x)),
];
/// The column of the outcome.
pub const OUTCOME: &str = "bug";
/// The columns of the time, in Unix seconds; the first that is there counts.
pub const TIMES: [&str; 2] = ["ts", "cts"];
/// The columns without which nothing can be learned, besides a time.
pub const NEEDED: [&str; 2] = ["la", OUTCOME];

/// Whether a column is a metric.
pub fn is_metric(column: &str) -> bool {
    METRICS.iter().any(|(name, _)| *name == column)
}

/// Where the number of a column goes; `None`: it is no metric.
pub fn put(column: &str) -> Option<Put> {
    METRICS.iter().find(|(name, _)| *name == column).map(|(_, put)| *put)
}

fn history(metrics: &mut ChangeMetrics) -> &mut HistoryMetrics {
    metrics.history.get_or_insert_default()
}

/// A count as a whole number; the largest there is when it is larger.
fn whole(x: f64) -> u64 {
    x.round() as u64
}

/// What a cell holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell {
    /// Nothing, or a word for nothing.
    Hole,
    Number(f64),
    /// No number at all.
    Wrong,
}

/// Reads a cell. `true` and `false` are 1 and 0, in any case; `NA`, `NaN`, `null` and `None` are holes.
pub fn cell(text: &str) -> Cell {
    let text = text.trim();
    let is = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if is(&["", "na", "nan", "null", "none"]) {
        Cell::Hole
    } else if is(&["true"]) {
        Cell::Number(1.0)
    } else if is(&["false"]) {
        Cell::Number(0.0)
    } else {
        text.parse().ok().filter(|x: &f64| x.is_finite()).map_or(Cell::Wrong, Cell::Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_goes_where_no_other_goes() {
        let mut seen: Vec<ChangeMetrics> = Vec::new();
        for (name, put) in METRICS {
            let mut metrics = ChangeMetrics::default();
            put(&mut metrics, 1.0);
            assert!(metrics != ChangeMetrics::default() && !seen.contains(&metrics), "{name}");
            seen.push(metrics);
        }
    }

    #[test]
    fn what_judges_a_person_is_no_metric() {
        assert!(["afix", "newauthor", "tenure", "since"].iter().all(|column| !is_metric(column)));
    }

    #[test]
    fn cells_are_numbers_holes_or_wrong() {
        assert_eq!(["", " ", "NA", "nan", "None"].map(cell), [Cell::Hole; 5]);
        assert_eq!(["1", "-2.50", "1e3", "True", "false"].map(cell), [1.0, -2.5, 1e3, 1.0, 0.0].map(Cell::Number));
        assert_eq!(["x", "1,5", "inf", "0x10", "12 lines"].map(cell), [Cell::Wrong; 5]);
    }
}
