//! What is measured of a change.
//!
//! Knows the list of files and the title. Must never know who wrote the change.
//!
//! The metrics are those of Kamei et al., "A Large-Scale Empirical Study of Just-in-Time Quality Assurance", IEEE
//! Transactions on Software Engineering 39(6), 2013, as far as the list of files gives them:
//!
//! | here | there | definition |
//! | --- | --- | --- |
//! | `lines_added` | LA | lines added |
//! | `lines_deleted` | LD | lines deleted |
//! | `files` | NF | files touched; a rename is one file |
//! | `directories` | ND | directories that hold a touched file |
//! | `subsystems` | NS | first directories of the paths; files at the top are one of their own |
//! | `entropy` | Entropy | `-sum(s log2 s)`, `s` being each file's share of the changed lines; in bits, not normalised |
//! | `fix` | FIX | whether the title says that something is mended |
//!
//! LA and LD are not divided by the size of the files, which the list does not give.

use super::ChangeMetrics;
use crate::domain::facts::{ChangedFile, ChangedFiles};
use crate::domain::policy::paths::{counted_files, counted_lines};
use std::collections::BTreeSet;

/// Words of a title that say that something is mended.
const FIX_WORDS: [&str; 13] = [
    "fix",
    "fixes",
    "fixed",
    "fixing",
    "fixup",
    "bug",
    "bugs",
    "bugfix",
    "bugfixes",
    "hotfix",
    "defect",
    "defects",
    "regression",
];

/// Measures a change. Generated and vendored files are left out.
///
/// When the list of files was cut nothing of them is known. When GitHub counted no lines though text changed, which it
/// does for very large changes, the lines and what is made of them are unknown, never zero.
pub fn measure(changed: &ChangedFiles, title: &str) -> ChangeMetrics {
    let fix = Some(says_fix(title));
    if changed.cut {
        return ChangeMetrics { fix, ..ChangeMetrics::default() };
    }
    let files: Vec<&ChangedFile> = counted_files(changed).collect();
    let counted = counted_lines(changed).is_some();
    let sum = |lines: fn(&ChangedFile) -> u64| {
        counted.then(|| files.iter().fold(0u64, |sum, file| sum.saturating_add(lines(file))))
    };
    let distinct =
        |part: fn(&str) -> &str| Some(count(files.iter().map(|file| part(&file.path)).collect::<BTreeSet<_>>().len()));
    ChangeMetrics {
        lines_added: sum(|file| file.additions),
        lines_deleted: sum(|file| file.deletions),
        files: Some(count(files.len())),
        directories: distinct(|path| path.rsplit_once('/').map_or("", |(folder, _)| folder)),
        subsystems: distinct(|path| path.split_once('/').map_or("", |(top, _)| top)),
        entropy: counted.then(|| entropy(&files)),
        fix,
        history: None,
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// Zero when no line or one file changes.
fn entropy(files: &[&ChangedFile]) -> f64 {
    let lines: Vec<f64> = files.iter().map(|file| file.additions as f64 + file.deletions as f64).collect();
    let all: f64 = lines.iter().sum();
    let shares = lines.iter().filter(|lines| **lines > 0.0).map(|lines| lines / all);
    // Adding zero makes a plain 0 of the -0 that one share alone gives.
    shares.map(|share| -share * share.log2()).sum::<f64>() + 0.0
}

/// A conventional title says by its type what it is; of any other the words tell.
fn says_fix(title: &str) -> bool {
    let kind = title.split_once(':').map(|(head, _)| head.split(['(', '!']).next().unwrap_or(head));
    match kind.filter(|kind| !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_lowercase())) {
        Some(kind) => FIX_WORDS.contains(&kind),
        None => title
            .split(|c: char| !c.is_alphanumeric())
            .any(|word| FIX_WORDS.iter().any(|fix| fix.eq_ignore_ascii_case(word))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::facts::FileStatus;

    fn file(path: &str, additions: u64, deletions: u64) -> ChangedFile {
        ChangedFile { path: path.to_owned(), previous_path: None, status: FileStatus::Modified, additions, deletions }
    }

    fn of(files: Vec<ChangedFile>) -> ChangeMetrics {
        measure(&ChangedFiles { files, cut: false }, "Sell shoes")
    }

    #[test]
    fn a_change_is_measured_without_what_tools_write() {
        let metrics = of(vec![
            file("README.md", 2, 0),
            file("src/a/x.rs", 1, 1),
            file("src/a/y.rs", 2, 2),
            file("src/b/z.rs", 8, 0),
            file("Cargo.lock", 900, 900),
        ]);
        let wanted = ChangeMetrics {
            lines_added: Some(13),
            lines_deleted: Some(3),
            files: Some(4),
            directories: Some(3),
            subsystems: Some(2),
            entropy: Some(1.75),
            fix: Some(false),
            history: None,
        };
        assert_eq!(metrics, wanted);
        assert_eq!(metrics.unknown(), [""; 0]);
    }

    #[test]
    fn one_file_has_no_entropy_and_even_files_have_the_most() {
        assert_eq!(of(vec![file("a", 7, 0)]).entropy, Some(0.0));
        assert_eq!(of((0..8).map(|i| file(&format!("f{i}"), 3, 1)).collect()).entropy, Some(3.0));
    }

    #[test]
    fn a_cut_list_is_unknown() {
        let metrics = measure(&ChangedFiles { files: vec![file("a", 1, 1)], cut: true }, "fix: x");
        assert_eq!(metrics, ChangeMetrics { fix: Some(true), ..ChangeMetrics::default() });
    }

    #[test]
    fn no_lines_in_a_change_of_text_are_unknown() {
        let metrics = of(vec![file("src/a.rs", 0, 0), file("src/b.rs", 0, 0)]);
        assert_eq!((metrics.lines_added, metrics.entropy, metrics.files), (None, None, Some(2)));
        assert_eq!(metrics.unknown(), ["lines added", "lines deleted", "spread over the files"]);
    }

    #[test]
    fn a_title_says_whether_it_is_a_fix() {
        for fix in ["fix: x", "fix(api)!: x", "hotfix: x", "Fix the shop", "Fixes #12", "A bug in prices", "Bug-fix"] {
            assert!(says_fix(fix), "{fix}");
        }
        for other in ["feat: fix prices", "docs: fix a typo", "Prefix the names", "Debug", "x", "", ": fix"] {
            assert_eq!(says_fix(other), other == ": fix", "{other}");
        }
    }
}
