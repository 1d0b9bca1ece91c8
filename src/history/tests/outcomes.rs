//! What went wrong, as the history shows it.

use super::made::{Made, numbered};
use crate::history::{History, Scope};

/// `change <- by: kind` by titles.
fn told(made: &Made) -> String {
    let mut history = History::open(made.path()).unwrap();
    history.mine("HEAD", Scope::FirstParent, &mut |_| {}).unwrap();
    let changes = history.changes();
    let title = |sha: &crate::domain::ids::Sha| changes.iter().find(|c| c.sha == *sha).unwrap().title.clone();
    let mut lines = Vec::new();
    for outcome in history.outcomes() {
        for evidence in &outcome.evidence {
            let by = evidence.by.as_ref().unwrap();
            let known = changes.iter().find(|c| c.sha == *by).unwrap().committed_at;
            assert_eq!(evidence.known_at, known);
            lines.push(format!("{} <- {}: {:?}", title(&outcome.change), title(by), evidence.kind));
        }
    }
    lines.join("\n")
}

#[test]
fn a_fix_blames_whoever_brought_the_lines_that_it_takes_away() {
    let mut made = Made::new();
    made.change("a.rs", &numbered(6), "Begin");
    made.change("a.rs", &numbered(6).replace("line 2\n", "line 2\nwrong 1\nwrong 2\n"), "Sell shoes");
    made.change("a.rs", &numbered(8).replace("line 2\n", "line 2\nwrong 1\nwrong 2\n"), "Sell laces");
    // Lines move, and their origin with them.
    made.git(&["mv", "a.rs", "b.rs"]);
    made.change("b.rs", &format!("top\n{}", numbered(8).replace("line 2\n", "line 2\nwrong 1\nwrong 2\n")), "Move");
    made.change("b.rs", &format!("top\n{}", numbered(7).replace("line 2\n", "line 2\nright\nwrong 2\n")), "Fix shoes");
    insta::assert_snapshot!(told(&made), @"
    Sell shoes <- Fix shoes: Fixed { lines: 1 }
    Sell laces <- Fix shoes: Fixed { lines: 1 }
    ");
}

#[test]
fn cosmetic_changes_blame_nobody() {
    let mut made = Made::new();
    made.change("a.rs", &numbered(3), "Begin");
    made.change(
        "a.rs",
        &format!("{}// a comment\n\n  if a {{ b }}\n/* long\n comment */\n", numbered(3)),
        "Sell shoes",
    );
    made.change("a.rs", &format!("{}    if a {{ b }}\n", numbered(3)), "Fix the looks");
    insta::assert_snapshot!(told(&made), @"");
    made.change("a.rs", &numbered(4), "Fix shoes");
    insta::assert_snapshot!(told(&made), @"Fix the looks <- Fix shoes: Fixed { lines: 1 }");
}

#[test]
fn a_huge_fix_and_the_first_commit_are_not_part_of_it() {
    let mut made = Made::new();
    made.change("a.rs", &numbered(3), "Begin");
    made.change("a.rs", &numbered(2), "Fix what was there");
    for file in 0..60 {
        made.write(&format!("f{file}.rs"), "1\n");
    }
    made.commit("Sell shoes");
    for file in 0..60 {
        made.write(&format!("f{file}.rs"), "2\n");
    }
    made.commit("Fix everything");
    insta::assert_snapshot!(told(&made), @"");
}

#[test]
fn reverts_are_known_by_their_words() {
    let mut made = Made::new();
    made.change("a.rs", "1\n", "Begin");
    let shoes = made.change("a.rs", "1\n2\n", "Sell shoes (#4)");
    made.change("b.rs", "1\n", "Sell laces (#5)");
    made.change("c.rs", "1\n", "Sell hats");
    made.change("d.rs", "1\n", "Sell gloves");
    made.change("a.rs", "1\nx\n", &format!("Undo\n\nThis reverts commit {shoes}."));
    made.change("b.rs", "x\n", "Revert \"Sell laces\" (#6)\n\nReverts acme/shop#5");
    made.change("c.rs", "x\n", "Revert \"Sell hats\"");
    insta::assert_snapshot!(told(&made), @r#"
    Sell shoes (#4) <- Undo: RevertSaid
    Sell laces (#5) <- Revert "Sell laces" (#6): RevertSaid
    Sell hats <- Revert "Sell hats": RevertSaid
    "#);
}

#[test]
fn a_revert_that_says_nothing_is_seen_by_the_files() {
    let mut made = Made::new();
    made.change("a.rs", "1\n", "Begin");
    made.change("a.rs", "1\n2\n", "Sell shoes");
    made.change("b.rs", "1\n", "Sell laces");
    made.git(&["rm", "--quiet", "b.rs"]);
    made.change("a.rs", "1\n", "Go back");
    made.commit("Empty");
    insta::assert_snapshot!(told(&made), @"
    Sell shoes <- Go back: RevertSeen
    Sell laces <- Go back: RevertSeen
    ");
}

#[test]
fn a_revert_of_a_merged_commit_reaches_the_change_that_brought_it() {
    let mut made = Made::new();
    made.change("a.rs", "1\n", "Begin");
    made.git(&["checkout", "--quiet", "-b", "shoes"]);
    let shoes = made.change("b.rs", "1\n", "Sell shoes");
    made.git(&["checkout", "--quiet", "main"]);
    made.change("c.rs", "1\n", "Go on");
    made.git(&["merge", "--quiet", "--no-ff", "-m", "Merge pull request #9 from ada/shoes\n\nShoes", "shoes"]);
    made.change("d.rs", "1\n", &format!("Undo\n\nThis reverts commit {}.", &shoes[..9]));
    insta::assert_snapshot!(told(&made), @"Shoes <- Undo: RevertSaid");
}

#[test]
fn a_hotfix_soon_after_tells_of_what_it_touches() {
    let mut made = Made::new();
    made.change("a.rs", "1\n", "Begin");
    made.change("b.rs", "1\n", "Sell shoes");
    made.change("c.rs", "1\n", "Sell laces");
    made.write("a.rs", "1\n2\n");
    made.change("b.rs", "1\n2\n", "Hotfix: shoes");
    insta::assert_snapshot!(told(&made), @"Sell shoes <- Hotfix: shoes: Hotfix");
}
