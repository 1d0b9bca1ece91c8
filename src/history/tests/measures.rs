//! Counts beside git's, and metrics worked out by hand.

use super::made::{DAY, Made, START, numbered};
use crate::domain::risk::{ChangeMetrics, HistoryMetrics};
use crate::history::{History, MinedChange, Scope};

fn mined(made: &Made) -> Vec<MinedChange> {
    let mut history = History::open(made.path()).unwrap();
    history.mine("HEAD", Scope::FirstParent, &mut |_| {}).unwrap();
    history.changes()
}

fn past(metrics: &ChangeMetrics) -> HistoryMetrics {
    metrics.history.as_deref().cloned().unwrap()
}

/// Says that every commit's lines are what git counts.
pub fn counts_equal_gits(made: &Made) {
    let mut ours = String::new();
    let history = History::open(made.path()).unwrap();
    let mut take = |sha: crate::domain::ids::Sha, files: Vec<crate::history::FileLines>| {
        ours += &format!("@{sha}\n");
        for file in files {
            let lines = file.added_and_deleted.map_or("-\t-".to_owned(), |(a, d)| format!("{a}\t{d}"));
            ours += &format!("{lines}\t{}\n", String::from_utf8_lossy(&file.path));
        }
    };
    history.line_counts("HEAD", Scope::AllCommits, &mut take).unwrap();
    let log =
        ["-c", "core.quotePath=false", "log", "--no-merges", "--reverse", "--format=@%H", "--numstat", "--no-renames"];
    let gits = made.git(&log).replace("\n\n", "\n");
    let sorted = |text: &str| {
        let mut commits: Vec<_> = text.split('@').map(|part| part.trim().to_owned()).collect();
        commits.sort();
        commits
    };
    assert_eq!(sorted(&ours), sorted(&gits));
}

#[test]
fn lines_are_counted_as_git_counts_them() {
    let mut made = Made::new();
    let mut text = numbered(300);
    made.change("a.txt", &text, "Begin");
    // A generator of our own: edits all over the file, with blank lines and braces that come often.
    let mut seed = 7u64;
    let mut next = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for round in 0..40 {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for _ in 0..=next(30) {
            let at = next(lines.len());
            match next(4) {
                0 => drop(lines.remove(at)),
                1 => lines.insert(at, String::new()),
                2 => lines.insert(at, "}".to_owned()),
                _ => lines[at] = format!("line {} of {round}", next(50)),
            }
        }
        text = lines.join("\n") + if next(3) == 0 { "" } else { "\n" };
        made.change("a.txt", &text, "Go on");
    }
    counts_equal_gits(&made);
    // The same out of a pack, each built on its neighbour.
    made.git(&["gc", "--quiet"]);
    counts_equal_gits(&made);
}

#[test]
fn many_files_are_counted_out_of_a_pack_as_git_counts_them() {
    let mut made = Made::new();
    for round in 0..6 {
        for file in 0..120 {
            made.write(&format!("d{}/f{file}.txt", file % 7), &numbered(20 + (file * 7 + round * 3) % 40));
        }
        made.commit("Go on");
    }
    made.git(&["gc", "--quiet"]);
    counts_equal_gits(&made);
}

#[test]
fn a_change_is_measured_by_what_was_before_it() {
    let mut made = Made::new();
    made.change("src/a.rs", &numbered(10), "Add a");
    made.author = "grace";
    made.change("src/b.rs", &numbered(20), "Fix b");
    made.change("src/a.rs", &numbered(12), "Go on");
    made.author = "ada";
    made.write("src/a.rs", &numbered(11));
    made.write("src/b.rs", &format!("{}new\n", numbered(20)));
    made.write("docs/c.md", "text\n");
    made.commit("Refactor prices (#7)\n\nCloses SHOP-1.");
    let mined = mined(&made);
    let last = mined.last().unwrap();
    assert_eq!((last.title.as_str(), last.pull.map(|n| n.0)), ("Refactor prices (#7)", Some(7)));
    assert_eq!((last.committed_at.0, last.author_minutes_east), ((START + 3 * DAY) * 1_000, 60));
    let wanted = ChangeMetrics {
        lines_added: Some(2),
        lines_deleted: Some(1),
        files: Some(3),
        directories: Some(2),
        subsystems: Some(2),
        entropy: Some(3f64.log2()),
        fix: Some(false),
        history: Some(Box::new(HistoryMetrics {
            lines_before: Some(32.0 / 3.0),
            developers: Some(2.0),
            age_days: Some(1.5),
            unique_changes: Some(2.0),
            touches: Some(3.0),
            experience: Some(1.0),
            recent_experience: Some(1.0 / (1.0 + 3.0 / 365.0)),
            subsystem_experience: Some(1.0),
            ownership: Some(0.25),
            new_files: Some(1.0),
            test_files: Some(0.0),
            doc_files: Some(1.0),
            config_files: Some(0.0),
            code_files: Some(2.0),
            largest_file: Some(1.0),
            message_chars: Some(35.0),
            subject_chars: Some(20.0),
            names_issue: Some(1.0),
            reverts: Some(0.0),
            refactors: Some(1.0),
            brings_feature: Some(0.0),
            earlier_fixes: Some(1.0),
            earlier_fixes_most: Some(1.0),
            last_fix: Some(1.0 / (1.0 + 2.0 / 30.0)),
            fix_share: Some(1.0 / 3.0),
            touches_90_days: Some(1.0),
            hour: Some(13.0),
            weekday: Some(3.0),
        })),
    };
    assert!((last.metrics.entropy.unwrap() - 3f64.log2()).abs() < 1e-12);
    let rounded = ChangeMetrics { entropy: wanted.entropy, ..last.metrics.clone() };
    assert_eq!(rounded, wanted);
}

#[test]
fn a_renamed_file_keeps_its_past() {
    let mut made = Made::new();
    made.change("a.rs", &numbered(10), "Begin");
    made.change("a.rs", &numbered(11), "Go on");
    made.git(&["mv", "a.rs", "b.rs"]);
    made.commit("Move");
    made.git(&["mv", "b.rs", "c.rs"]);
    made.change("c.rs", &format!("{}more\n", numbered(11)), "Move and go on");
    let mined = mined(&made);
    let lines = |at: usize| (mined[at].metrics.lines_added, mined[at].metrics.lines_deleted, mined[at].metrics.files);
    assert_eq!(lines(2), (Some(0), Some(0), Some(1)));
    assert_eq!(lines(3), (Some(1), Some(0), Some(1)));
    let last = past(&mined[3].metrics);
    assert_eq!((last.touches, last.new_files, last.lines_before), (Some(3.0), Some(0.0), Some(11.0)));
}

#[test]
fn a_merge_is_one_change_by_those_whose_commits_it_brings() {
    let mut made = Made::new();
    made.change("a.rs", &numbered(5), "Begin");
    made.git(&["checkout", "--quiet", "-b", "shoes"]);
    made.author = "grace";
    made.change("shoes.rs", "1\n", "Add shoes");
    made.change("shoes.rs", "1\n2\n", "Add laces");
    made.author = "ada";
    made.git(&["checkout", "--quiet", "main"]);
    made.change("a.rs", &numbered(6), "Go on");
    made.git(&["merge", "--quiet", "--no-ff", "-m", "Merge pull request #3 from grace/shoes\n\nAdd shoes", "shoes"]);
    made.change("shoes.rs", "1\n2\n3\n", "More shoes");
    let mined = mined(&made);
    assert_eq!(
        mined.iter().map(|c| c.title.as_str()).collect::<Vec<_>>(),
        ["Begin", "Go on", "Add shoes", "More shoes"]
    );
    assert_eq!((mined[2].metrics.lines_added, mined[2].pull.map(|n| n.0)), (Some(2), Some(3)));
    assert_eq!(past(&mined[2].metrics).experience, Some(0.0));
    let last = past(&mined[3].metrics);
    assert_eq!((last.developers, last.ownership, last.experience), (Some(1.0), Some(0.0), Some(2.0)));
}

#[test]
fn generated_and_vendored_files_are_left_out() {
    let mut made = Made::new();
    made.write(".gitattributes", "*.gen linguist-generated\n");
    made.write("guide/.gitattributes", "*.rs linguist-documentation\n");
    made.write("guide/a.rs", "1\n");
    made.write("x.gen", &numbered(50));
    made.write("Cargo.lock", &numbered(50));
    made.write("vendor/y.c", &numbered(50));
    made.change("src/a.rs", &numbered(3), "Begin");
    let mined = mined(&made);
    assert_eq!((mined[0].metrics.lines_added, mined[0].metrics.files), (Some(6), Some(4)));
    assert_eq!((past(&mined[0].metrics).doc_files, past(&mined[0].metrics).code_files), (Some(1.0), Some(1.0)));
}

#[test]
fn a_range_is_measured_as_a_change_that_comes_next() {
    let mut made = Made::new();
    made.change("a.rs", &numbered(5), "Begin");
    made.git(&["checkout", "--quiet", "-b", "shoes"]);
    made.author = "grace";
    made.change("a.rs", &numbered(6), "Fix shoes\n\nAll of them.");
    made.change("b.rs", "1\n", "Sell laces");
    made.author = "ada";
    made.git(&["checkout", "--quiet", "main"]);
    made.change("c.rs", "1\n", "Go on");
    let mut history = History::open(made.path()).unwrap();
    history.mine("main", Scope::FirstParent, &mut |_| {}).unwrap();
    let range = history.measure("main", "shoes", None).unwrap();
    assert_eq!((range.title.as_str(), range.commits.len()), ("Fix shoes", 2));
    assert_eq!(range.base.as_str(), made.git(&["rev-parse", "main~1"]));
    assert_eq!((range.metrics.lines_added, range.metrics.files, range.metrics.fix), (Some(2), Some(2), Some(true)));
    let own = past(&range.metrics);
    assert_eq!((own.experience, own.developers, own.new_files), (Some(0.0), Some(1.0), Some(1.0)));
    let said = history.measure("main", "shoes", Some("Sell shoes")).unwrap();
    assert_eq!((said.title.as_str(), said.metrics.fix), ("Sell shoes", Some(false)));
    assert_eq!(history.changes().len(), 2, "what is measured did not happen");
}
