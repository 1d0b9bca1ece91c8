//! Repositories as nobody wants them: each has a clear answer.

use super::made::{Made, START, numbered};
use super::measures::counts_equal_gits;
use crate::history::{History, HistoryError, MinedChange, Scope};
use std::path::Path;

fn error(path: &Path) -> String {
    let error = History::open(path).err().expect("no history");
    error.to_string().replace(&path.display().to_string(), "PATH")
}

fn mined(made: &Made) -> Vec<MinedChange> {
    let mut history = History::open(made.path()).unwrap();
    history.mine("HEAD", Scope::FirstParent, &mut |_| {}).unwrap();
    history.changes()
}

#[test]
fn no_repository_is_said_so() {
    let nothing = Made::without_git();
    insta::assert_snapshot!(error(nothing.path()), @"there is no git repository at `PATH`");
    insta::assert_snapshot!(error(&nothing.path().join("-x")), @"there is no git repository at `PATH`");
}

#[test]
fn a_repository_without_a_commit_has_no_history() {
    insta::assert_snapshot!(error(Made::new().path()), @"the repository at `PATH` has no commit yet, so it has no history");
}

#[test]
fn a_shallow_clone_is_refused() {
    let mut made = Made::new();
    made.change("a", "1\n", "Begin");
    made.change("a", "2\n", "Go on");
    let clone = Made::without_git();
    let from = format!("file://{}", made.path().display());
    clone.git(&["clone", "--quiet", "--depth", "1", &from, "."]);
    insta::assert_snapshot!(
        error(clone.path()),
        @"the repository at `PATH` is a shallow clone: its history ends early, and what is measured would be wrong; complete it with `git fetch --unshallow`"
    );
}

#[test]
fn other_names_of_objects_are_refused() {
    let made = Made::without_git();
    made.git(&["init", "--quiet", "--object-format=sha256", "."]);
    insta::assert_snapshot!(error(made.path()), @"the repository at `PATH` names its objects by SHA256, and only SHA-1 is read");
}

#[test]
fn a_revision_that_is_none_is_said_so() {
    let mut made = Made::new();
    made.change("a", "1\n", "Begin");
    let mut history = History::open(made.path()).unwrap();
    let error = history.mine("--all", Scope::FirstParent, &mut |_| {}).unwrap_err();
    insta::assert_snapshot!(error, @"`--all` names no commit of this repository");
    let error = history.measure("HEAD", &"0".repeat(40), None).unwrap_err();
    insta::assert_snapshot!(error, @"`0000000000000000000000000000000000000000` names no commit of this repository");
    made.git(&["checkout", "--quiet", "--orphan", "other"]);
    made.change("b", "1\n", "Begin");
    let error = history.measure("main", "other", None).unwrap_err();
    assert!(matches!(error, HistoryError::Unrelated { .. }), "{error}");
}

#[test]
fn a_damaged_repository_is_said_so() {
    let mut made = Made::new();
    made.change("a", &numbered(50), "Begin");
    made.change("a", &numbered(60), "Go on");
    let tree = made.git(&["rev-parse", "HEAD~1^{tree}"]);
    let object = made.git_dir().join("objects").join(&tree[..2]).join(&tree[2..]);
    std::fs::remove_file(&object).unwrap();
    let mine = || History::open(made.path()).unwrap().mine("HEAD", Scope::FirstParent, &mut |_| {}).unwrap_err();
    let said = mine().to_string().replace(&tree, "TREE");
    insta::assert_snapshot!(said, @"the repository is damaged: tree TREE is missing; `git fsck` tells more");
    std::fs::write(&object, "nonsense").unwrap();
    assert!(matches!(mine(), HistoryError::Damaged { .. }));
}

#[test]
fn a_damaged_pack_is_said_so_and_stops_nothing_else() {
    let mut made = Made::new();
    for round in 0..5 {
        for file in 0..100 {
            made.write(&format!("f{file}"), &numbered(30 + round + file));
        }
        made.commit("Go on");
    }
    made.git(&["gc", "--quiet"]);
    let folder = made.git_dir().join("objects/pack");
    let pack = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let pack = pack.into_iter().find(|path| path.extension().is_some_and(|e| e == "pack")).unwrap();
    let whole = std::fs::read(&pack).unwrap();
    for at in (12..whole.len()).step_by(whole.len() / 60) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        std::fs::remove_file(&pack).unwrap();
        std::fs::write(&pack, &bytes).unwrap();
        // A turned bit may lie where nobody looks; whatever it does, it is an answer.
        if let Err(error) = History::open(made.path()).and_then(|mut h| h.mine("HEAD", Scope::FirstParent, &mut |_| {}))
        {
            assert!(
                matches!(
                    error,
                    HistoryError::Damaged { .. } | HistoryError::NoCommit { .. } | HistoryError::Empty { .. }
                ),
                "{error}"
            );
        }
    }
}

#[test]
fn blobs_that_are_not_there_are_unknown() {
    let mut made = Made::new();
    made.write("b", &numbered(7));
    made.change("a", &numbered(50), "Begin");
    let blob = made.git(&["rev-parse", "HEAD:a"]);
    std::fs::remove_file(made.git_dir().join("objects").join(&blob[..2]).join(&blob[2..])).unwrap();
    let mined = mined(&made);
    assert_eq!((mined[0].metrics.lines_added, mined[0].metrics.files), (Some(7), Some(2)));
}

#[test]
fn odd_files_are_counted_as_git_counts_them() {
    let mut made = Made::new();
    made.write("text", "a\nb\n");
    made.write("run", "a\n");
    made.write("kind", "a\nb\nc\n");
    made.write("empty", "");
    std::fs::write(made.path().join("data"), b"a\0b\n").unwrap();
    std::os::unix::fs::symlink("text", made.path().join("link")).unwrap();
    made.commit("Begin");
    std::fs::write(made.path().join("data"), b"a\0c\n").unwrap();
    std::fs::write(made.path().join("text"), b"a\0\n").unwrap();
    std::fs::remove_file(made.path().join("link")).unwrap();
    std::os::unix::fs::symlink("kind", made.path().join("link")).unwrap();
    made.git(&["update-index", "--add", "--cacheinfo", "160000,0123456789012345678901234567890123456789,sub"]);
    made.git(&["update-index", "--chmod=+x", "run"]);
    made.git(&["add", "data", "text", "link"]);
    made.git(&["commit", "--quiet", "-m", "Change"]);
    made.git(&["update-index", "--cacheinfo", "160000,1123456789012345678901234567890123456789,sub"]);
    made.git(&["commit", "--quiet", "-m", "Move the submodule"]);
    // A file becomes a folder, a folder a file, a file a link.
    made.git(&["rm", "--quiet", "--cached", "-r", "kind", "text", "sub"]);
    std::fs::remove_file(made.path().join("kind")).unwrap();
    std::fs::remove_file(made.path().join("text")).unwrap();
    made.write("kind/a", "a\nb\nc\n");
    std::os::unix::fs::symlink("run", made.path().join("text")).unwrap();
    made.git(&["add", "kind/a", "text"]);
    made.git(&["commit", "--quiet", "-m", "Turn"]);
    made.git(&["commit", "--quiet", "--allow-empty", "-m", "Empty"]);
    counts_equal_gits(&made);
    let files: Vec<_> = mined(&made).iter().map(|change| change.metrics.files).collect();
    assert_eq!(files, [Some(6), Some(5), Some(1), Some(3), Some(0)]);
}

#[test]
fn names_and_authors_need_not_be_utf_8() {
    let made = Made::new();
    let mut stream = Vec::new();
    for name in [b"caf\xe9/\xff.rs", b"caf\xe9/\xfe.rs"] {
        stream.extend_from_slice(
            b"commit refs/heads/main\ncommitter J\xfcrgen <j\xfc@example.org> 1700000000 +0100\ndata 5\nfix\xe9\n",
        );
        stream.extend_from_slice(b"\nM 100644 inline ");
        stream.extend_from_slice(name);
        stream.extend_from_slice(b"\ndata 4\na\nb\n\n");
    }
    made.import(&stream);
    let mined = mined(&made);
    assert_eq!(mined.iter().map(|c| c.metrics.lines_added).collect::<Vec<_>>(), [Some(2), Some(2)]);
    assert_eq!(mined[1].title, "fix\u{fffd}");
    assert_eq!(mined[1].metrics.history.as_ref().unwrap().experience, Some(1.0));
}

#[test]
fn clocks_that_nobody_can_have_had_do_no_harm() {
    let made = Made::new();
    let clocks = [START, 0, 4_102_444_800, -86_400 * 400, START + 86_400, 99_999_999_999, i64::MAX];
    // Git itself refuses some of them, so the commits are written as they are.
    let mut parent: Option<String> = None;
    for (at, clock) in clocks.iter().enumerate() {
        made.write("a.rs", &"1\n".repeat(at + 1));
        made.git(&["add", "a.rs"]);
        let tree = made.git(&["write-tree"]);
        let mut text = format!("tree {tree}\n");
        if let Some(parent) = &parent {
            text += &format!("parent {parent}\n");
        }
        text +=
            &format!("author Ada <a@example.org> {clock} +0000\ncommitter Ada <a@example.org> {clock} +0000\n\nx\n");
        let file = made.path().join(".git/made");
        std::fs::write(&file, text).unwrap();
        parent = Some(made.git(&["hash-object", "-t", "commit", "--literally", "-w", ".git/made"]));
    }
    made.git(&["update-ref", "refs/heads/main", &parent.unwrap()]);
    let mined = mined(&made);
    let past: Vec<_> = mined.iter().map(|change| change.metrics.history.clone().unwrap()).collect();
    let ages: Vec<_> = past.iter().map(|past| past.age_days.unwrap()).collect();
    assert_eq!(ages, [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
    assert_eq!(
        past.iter().map(|past| past.touches_90_days.unwrap()).collect::<Vec<_>>(),
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    );
    assert_eq!(
        past.iter().map(|past| past.hour.is_some()).collect::<Vec<_>>(),
        [true, false, false, false, true, false, false]
    );
}

#[test]
fn a_change_of_three_thousand_files_is_measured() {
    let mut made = Made::new();
    for file in 0..3_000 {
        made.write(&format!("d{}/f{file}.rs", file % 50), "1\n2\n");
    }
    made.commit("Begin");
    for file in 0..3_000 {
        made.write(&format!("d{}/f{file}.rs", file % 50), "1\n3\n");
    }
    made.commit("Change all");
    made.git(&["mv", "d0", "moved"]);
    made.commit("Move one");
    let mined = mined(&made);
    let counts: Vec<_> = mined.iter().map(|c| (c.metrics.files.unwrap(), c.metrics.lines_deleted.unwrap())).collect();
    assert_eq!(counts, [(3_000, 0), (3_000, 3_000), (60, 0)]);
    assert_eq!(mined[1].metrics.directories, Some(50));
}

#[test]
fn an_octopus_merge_is_one_change() {
    let mut made = Made::new();
    made.change("a.rs", "1\n", "Begin");
    for (branch, author) in [("b", "grace"), ("c", "grace"), ("d", "linus")] {
        made.git(&["checkout", "--quiet", "-b", branch, "main"]);
        made.author = author;
        made.change(&format!("{branch}.rs"), "1\n", "Add");
    }
    made.git(&["checkout", "--quiet", "main"]);
    made.author = "ada";
    made.git(&["merge", "--quiet", "--no-ff", "-m", "Merge all", "b", "c", "d"]);
    made.change("b.rs", "2\n", "Go on");
    let mined = mined(&made);
    assert_eq!(mined.len(), 3);
    assert_eq!((mined[1].metrics.files, mined[1].metrics.lines_added), (Some(3), Some(3)));
    assert_eq!(mined[2].metrics.history.as_ref().unwrap().developers, Some(2.0));
    counts_equal_gits(&made);
}

#[test]
fn a_bare_repository_a_folder_within_and_a_worktree_will_do() {
    let mut made = Made::new();
    made.change("deep/a.rs", "1\n", "Begin");
    let bare = Made::without_git();
    bare.git(&["clone", "--quiet", "--bare", &made.path().display().to_string(), "."]);
    let tree = Made::without_git();
    made.git(&["worktree", "add", "--quiet", "-b", "other", &tree.path().join("w").display().to_string()]);
    for path in [bare.path().to_owned(), made.path().join("deep"), tree.path().join("w")] {
        let mut history = History::open(&path).unwrap();
        history.mine("HEAD", Scope::FirstParent, &mut |_| {}).unwrap();
        assert_eq!(history.changes().len(), 1);
    }
}

#[test]
fn nothing_is_written_into_the_repository() {
    let mut made = Made::new();
    made.change("a.rs", "1\n", "Begin");
    let all = |made: &Made| {
        let mut files: Vec<_> = walk(made.path());
        files.sort();
        files
    };
    let before = all(&made);
    let mut history = History::open(made.path()).unwrap();
    history.mine("HEAD", Scope::FirstParent, &mut |_| {}).unwrap();
    history.outcomes();
    assert_eq!(all(&made), before);
}

fn walk(folder: &Path) -> Vec<(String, std::time::SystemTime)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let data = entry.metadata().unwrap();
        found.push((entry.path().display().to_string(), data.modified().unwrap()));
        if data.is_dir() {
            found.extend(walk(&entry.path()));
        }
    }
    found
}
