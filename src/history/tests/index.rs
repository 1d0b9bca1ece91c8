//! The index that is kept: extended, rewritten, broken.

use super::made::{Made, numbered};
use crate::domain::ids::Sha;
use crate::history::{Extended, History, Kept, MinedChange, Opened, Scope};
use std::path::PathBuf;

fn file(made: &Made) -> PathBuf {
    made.path().join(".git/plimsoll.history")
}

fn open(made: &Made) -> (Kept, Opened) {
    Kept::open(&made.git_dir(), &file(made)).unwrap()
}

fn head(made: &Made) -> Sha {
    Sha::parse(&made.git(&["rev-parse", "HEAD"])).unwrap()
}

fn extend(kept: &mut Kept, made: &Made) -> (usize, usize) {
    let Extended { added, dropped } = kept.extend(&head(made), &mut |_| {}).unwrap();
    (added, dropped)
}

/// What a fresh look at the repository finds.
fn anew(made: &Made) -> Vec<MinedChange> {
    let mut history = History::open(made.path()).unwrap();
    history.mine("HEAD", Scope::FirstParent, &mut |_| {}).unwrap();
    history.changes()
}

fn some_changes(made: &mut Made, changes: usize) {
    for at in 0..changes {
        made.change(&format!("d{}/a.rs", at % 3), &numbered(10 + at % 7 + at), ["Go on", "Fix it", "Add"][at % 3]);
    }
}

#[test]
fn a_push_extends_what_is_kept_and_nothing_is_mined_twice() {
    let mut made = Made::new();
    some_changes(&mut made, 5);
    let (mut kept, opened) = open(&made);
    assert_eq!(opened, Opened::New);
    assert_eq!(extend(&mut kept, &made), (5, 0));
    some_changes(&mut made, 3);
    drop(kept);
    let (mut kept, opened) = open(&made);
    assert_eq!(opened, Opened::Whole { changes: 5 });
    assert_eq!(extend(&mut kept, &made), (3, 0));
    assert_eq!(extend(&mut kept, &made), (0, 0));
    made.git(&["mv", "d0/a.rs", "d0/b.rs"]);
    made.change("d1/new.rs", "1\n", "Revert \"Go on\"\n\nThis reverts commit 0123456789.\n\nReverts acme/shop#3");
    assert_eq!(extend(&mut kept, &made), (1, 0));
    assert_eq!(kept.changes(), anew(&made));
    drop(kept);
    let (kept, opened) = open(&made);
    assert_eq!(opened, Opened::Whole { changes: 9 });
    assert_eq!(kept.changes(), anew(&made));
    assert_eq!(kept.tip(), Some(head(&made)));
    assert_eq!(kept.change(&head(&made)), anew(&made).pop());
    assert_eq!(kept.change(&Sha::parse(&"0".repeat(40)).unwrap()), None);
}

#[test]
fn a_rewritten_history_is_mined_again_from_where_it_parts() {
    let mut made = Made::new();
    some_changes(&mut made, 6);
    let (mut kept, _) = open(&made);
    extend(&mut kept, &made);
    made.git(&["reset", "--quiet", "--hard", "HEAD~2"]);
    made.change("other.rs", "1\n", "Another way");
    assert_eq!(extend(&mut kept, &made), (1, 2));
    assert_eq!(kept.changes(), anew(&made));
    some_changes(&mut made, 1);
    assert_eq!(extend(&mut kept, &made), (1, 0));
    drop(kept);
    let (mut kept, opened) = open(&made);
    assert_eq!(opened, Opened::Whole { changes: 6 });
    assert_eq!(kept.changes(), anew(&made));
    // Back to an older commit, as a force push may do.
    made.git(&["reset", "--quiet", "--hard", "HEAD~3"]);
    assert_eq!(extend(&mut kept, &made), (0, 3));
    assert_eq!(kept.changes(), anew(&made));
    assert_eq!(open(&made).1, Opened::Whole { changes: 3 });
}

#[test]
fn a_history_with_nothing_in_common_is_mined_anew() {
    let mut made = Made::new();
    some_changes(&mut made, 3);
    let (mut kept, _) = open(&made);
    extend(&mut kept, &made);
    made.git(&["checkout", "--quiet", "--orphan", "fresh"]);
    made.change("fresh.rs", "1\n", "Begin again");
    assert_eq!(extend(&mut kept, &made), (1, 3));
    assert_eq!(kept.changes(), anew(&made));
}

#[test]
fn what_is_broken_in_the_file_is_not_believed_and_mined_again() {
    let mut made = Made::new();
    some_changes(&mut made, 8);
    let (mut kept, _) = open(&made);
    extend(&mut kept, &made);
    drop(kept);
    let whole = std::fs::read(file(&made)).unwrap();
    let expected = anew(&made);
    let mut broken = Vec::new();
    // Torn off at every place, and one bit turned at every place.
    for at in (0..whole.len()).step_by(37) {
        broken.push(whole[..at].to_vec());
        let mut turned = whole.clone();
        turned[at] ^= 4;
        broken.push(turned);
    }
    broken.push([&whole[..], b"more"].concat());
    broken.push(b"plimsoll history 0\n".to_vec());
    for bytes in broken {
        std::fs::write(file(&made), &bytes).unwrap();
        let (mut kept, opened) = open(&made);
        let (added, _) = extend(&mut kept, &made);
        match opened {
            Opened::Broken { changes } | Opened::Whole { changes } => assert_eq!(changes + added, 8),
            Opened::New => panic!("there is a file"),
        }
        assert_eq!(kept.changes(), expected);
    }
    assert_eq!(open(&made).1, Opened::Whole { changes: 8 });
}

#[test]
fn merges_know_what_they_bring_after_a_reload_too() {
    let mut made = Made::new();
    some_changes(&mut made, 2);
    made.git(&["checkout", "--quiet", "-b", "long"]);
    made.author = "grace";
    some_changes(&mut made, 2);
    let (mut kept, _) = open(&made);
    for round in 0..3 {
        made.git(&["checkout", "--quiet", "main"]);
        made.author = "ada";
        made.change("own.rs", &numbered(round + 1), "Own");
        made.git(&["merge", "--quiet", "--no-ff", "-m", "Merge branch 'long'", "long"]);
        extend(&mut kept, &made);
        made.git(&["checkout", "--quiet", "long"]);
        made.author = "grace";
        made.change("far.rs", &numbered(round + 1), "Fix far");
        drop(kept);
        kept = open(&made).0;
    }
    made.git(&["checkout", "--quiet", "main"]);
    assert_eq!(kept.changes(), anew(&made));
}
