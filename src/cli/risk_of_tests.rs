//! The risk of changes in repositories that the tests make.

use super::*;
use std::path::Path;
use std::process::Command;

fn git(repo: &Path, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]);
    let done = command.arg("-C").arg(repo).args(arguments).env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn commit(repo: &Path, path: &str, text: &str, message: &str) {
    let file = repo.join(path);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
    git(repo, &["add", "."]);
    git(repo, &["commit", "--quiet", "-m", message]);
}

fn shop() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), &["init", "--quiet", "--initial-branch=main", "."]);
    commit(folder.path(), "src/price.rs", "fn price() {}\n", "Begin the shop");
    commit(folder.path(), "src/price.rs", "fn price() -> u64 { 1 }\n", "Sell shoes (#7)");
    folder
}

fn of(repo: &Path, range: Option<&str>) -> Of {
    Of { range: range.map(str::to_owned), repo: repo.to_owned(), json: false, markdown: false }
}

fn told(repo: &Path, range: Option<&str>) -> Result<Told, String> {
    of(repo, range).told(Timestamp(1_800_000_000_000)).map_err(|error| format!("{error:#}"))
}

#[test]
fn a_branch_is_measured_against_the_default_branch() {
    let shop = shop();
    git(shop.path(), &["switch", "--quiet", "-c", "sale"]);
    commit(shop.path(), "src/sale.rs", "fn sale() {}\nfn end() {}\n", "feat: a sale");
    commit(shop.path(), "src/price.rs", "fn price() -> u64 { 2 }\n", "More");
    let told = told(shop.path(), None).unwrap();
    assert_eq!((told.commits, told.title.as_str(), told.learned), (2, "feat: a sale", "nothing"));
    assert_eq!((told.verdict.metrics.lines_added, told.verdict.metrics.files), (Some(3), Some(2)));
    assert!(told.verdict.metrics.history.is_some());
    let shown = plain(&told, false);
    assert!(shown.contains("2 commits: feat: a sale") && shown.contains("in a hundred"), "{shown}");
    assert!(!shown.contains('\u{1b}') && plain(&told, true).contains('\u{1b}'));
    let json: serde_json::Value =
        serde_json::from_str(&Of { json: true, ..of(shop.path(), None) }.shown(&told, false)).unwrap();
    assert_eq!(json["commits"], 2);
    assert!(markdown(&told).starts_with("### "));
}

#[test]
fn one_commit_a_range_and_a_pull_request_that_the_history_names_can_be_asked_for() {
    let shop = shop();
    for range in ["HEAD", "HEAD~1..HEAD", "HEAD~1..", "#7"] {
        let told = told(shop.path(), Some(range)).unwrap();
        assert_eq!((told.commits, told.verdict.metrics.lines_added), (1, Some(1)), "{range}");
    }
}

#[test]
fn what_cannot_be_measured_is_said_in_a_sentence() {
    let shop = shop();
    let refused = |range: &str| told(shop.path(), Some(range)).err().unwrap_or_default();
    assert_eq!(refused("HEAD~1"), "`HEAD~1` has no commit before it, so there is nothing to compare it with");
    assert_eq!(refused("nowhere"), "`nowhere` names no commit of this repository");
    assert_eq!(
        refused("HEAD..HEAD"),
        "`HEAD` brings nothing over `HEAD`; name a commit or a range, as in `plimsoll risk HEAD~3..HEAD`"
    );
    assert_eq!(
        refused("#99"),
        "no change of this history names pull request #99; give its range, as in `main..BRANCH`"
    );
    let empty = tempfile::tempdir().unwrap();
    assert!(told(empty.path(), None).err().unwrap().starts_with("there is no git repository at"));
}
