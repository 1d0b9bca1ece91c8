//! Mirrors of repositories on the same disk.

use super::made::{Made, numbered};
use crate::domain::ids::{PullNumber, RefName};
use crate::history::{History, HistoryError, Kept, Mirror, MirrorLimits, Remote, Scope};
use std::path::PathBuf;
use std::time::Duration;

struct Place {
    origin: Made,
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let mut origin = Made::new();
        origin.change("a.rs", &numbered(5), "Begin");
        origin.change("a.rs", &numbered(7), "Fix it");
        Self { origin, folder: tempfile::tempdir().unwrap() }
    }

    fn git_dir(&self) -> PathBuf {
        self.folder.path().join("acme/shop.git")
    }

    fn mirror(&self) -> Mirror {
        Mirror::new(self.git_dir(), MirrorLimits::default())
    }

    fn remote(&self) -> Remote {
        let authorization = Some("Basic c2VjcmV0".to_owned().into());
        Remote { url: format!("file://{}", self.origin.path().display()), authorization }
    }

    fn all_text(&self) -> String {
        let mut text = String::new();
        let mut todo = vec![self.folder.path().to_owned()];
        while let Some(folder) = todo.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                match entry.metadata().unwrap().is_dir() {
                    true => todo.push(entry.path()),
                    false => text += &String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()),
                }
            }
        }
        text
    }
}

fn main_branch() -> RefName {
    RefName::new("main")
}

#[tokio::test]
async fn a_mirror_is_made_once_and_then_brought_up_to_date() {
    let mut place = Place::new();
    let first = place.mirror().fetch(&place.remote(), &main_branch(), &[]).await.unwrap();
    assert_eq!(first.tip.as_str(), place.origin.git(&["rev-parse", "HEAD"]));
    let file = place.folder.path().join("shop.history");
    let (mut kept, _) = Kept::open(&place.git_dir(), &file).unwrap();
    assert_eq!(kept.extend(&first.tip, &mut |_| {}).unwrap().added, 2);
    place.origin.change("b.rs", "1\n", "Go on");
    let second = place.mirror().fetch(&place.remote(), &main_branch(), &[]).await.unwrap();
    // What was opened before sees what came since.
    assert_eq!(kept.extend(&second.tip, &mut |_| {}).unwrap().added, 1);
    let mut history = History::open(&place.git_dir()).unwrap();
    history.mine("main", Scope::FirstParent, &mut |_| {}).unwrap();
    assert_eq!(history.changes(), kept.changes());
}

#[tokio::test]
async fn the_heads_of_pull_requests_are_fetched_as_far_as_they_are_there() {
    let mut place = Place::new();
    place.origin.git(&["checkout", "--quiet", "-b", "shoes"]);
    let head = place.origin.change("b.rs", "1\n2\n", "Sell shoes");
    place.origin.git(&["update-ref", "refs/pull/4/head", &head]);
    place.origin.git(&["checkout", "--quiet", "main"]);
    let pulls = [PullNumber(3), PullNumber(4)];
    let fetched = place.mirror().fetch(&place.remote(), &main_branch(), &pulls).await.unwrap();
    assert_eq!(
        fetched.pulls.iter().map(|(number, sha)| (number.0, sha.as_str())).collect::<Vec<_>>(),
        [(4, head.as_str())]
    );
    let (mut kept, _) = Kept::open(&place.git_dir(), &place.folder.path().join("x")).unwrap();
    kept.extend(&fetched.tip, &mut |_| {}).unwrap();
    let range = kept.measure_range(&fetched.tip, &fetched.pulls[0].1, Some("Sell shoes")).unwrap();
    assert_eq!(range.metrics.lines_added, Some(2));
}

#[tokio::test]
async fn a_force_push_is_followed() {
    let mut place = Place::new();
    place.mirror().fetch(&place.remote(), &main_branch(), &[]).await.unwrap();
    place.origin.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    let tip = place.origin.change("c.rs", "1\n", "Another way");
    let fetched = place.mirror().fetch(&place.remote(), &main_branch(), &[]).await.unwrap();
    assert_eq!(fetched.tip.as_str(), tip);
}

#[tokio::test]
async fn the_authorization_is_written_nowhere() {
    let place = Place::new();
    place.mirror().fetch(&place.remote(), &main_branch(), &[]).await.unwrap();
    assert!(!place.all_text().contains("c2VjcmV0"));
    let gone = Remote { url: "file:///nowhere".to_owned(), authorization: Some("Basic c2VjcmV0".to_owned().into()) };
    let error = place.mirror().fetch(&gone, &main_branch(), &[]).await.unwrap_err();
    assert!(!error.to_string().contains("c2VjcmV0"), "{error}");
}

#[tokio::test]
async fn a_mirror_has_no_work_tree_no_hook_and_none_of_the_repositorys_settings() {
    let place = Place::new();
    place.mirror().fetch(&place.remote(), &main_branch(), &[]).await.unwrap();
    let mut names: Vec<_> = std::fs::read_dir(place.git_dir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["HEAD", "config", "objects", "refs"]);
    let config = std::fs::read_to_string(place.git_dir().join("config")).unwrap();
    assert_eq!(
        config.split_whitespace().collect::<Vec<_>>().join(" "),
        "[core] repositoryformatversion = 0 filemode = true bare = true"
    );
}

#[tokio::test]
async fn a_repository_that_is_too_large_says_so() {
    let place = Place::new();
    let data: Vec<u8> = (0..2_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    std::fs::write(place.origin.path().join("data"), data).unwrap();
    let mut place = place;
    place.origin.commit("Large");
    let mirror = Mirror::new(place.git_dir(), MirrorLimits { bytes_max: 1_000, ..MirrorLimits::default() });
    let error = mirror.fetch(&place.remote(), &main_branch(), &[]).await.unwrap_err();
    insta::assert_snapshot!(error, @"the repository is larger than 1 MB, so its history is not read");
    let large = MirrorLimits::default();
    assert_eq!(large.bytes_max, 2_000_000_000);
}

#[tokio::test]
async fn a_fetch_that_takes_too_long_is_ended() {
    let place = Place::new();
    let mirror = Mirror::new(place.git_dir(), MirrorLimits { time_max: Duration::ZERO, ..MirrorLimits::default() });
    let error = mirror.fetch(&place.remote(), &main_branch(), &[]).await.unwrap_err();
    insta::assert_snapshot!(error, @"fetching the repository takes longer than 0 seconds, so its history is not read");
}

#[tokio::test]
async fn two_do_not_change_one_mirror_at_a_time() {
    let place = Place::new();
    std::fs::create_dir_all(place.git_dir().parent().unwrap()).unwrap();
    let lock = std::fs::File::create(place.git_dir().with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let error = place.mirror().fetch(&place.remote(), &main_branch(), &[]).await.unwrap_err();
    assert!(matches!(error, HistoryError::Busy { .. }), "{error}");
    drop(lock);
    place.mirror().fetch(&place.remote(), &main_branch(), &[]).await.unwrap();
}

#[tokio::test]
async fn a_name_that_is_no_branch_is_refused() {
    let place = Place::new();
    for name in ["a b", "x:refs/heads/y", "a..b", "*", "-x", ""] {
        let error = place.mirror().fetch(&place.remote(), &RefName::new(name), &[]).await.unwrap_err();
        assert!(matches!(error, HistoryError::Git { .. }), "{name}: {error}");
    }
}

#[tokio::test]
async fn other_ways_than_https_are_closed() {
    let place = Place::new();
    for url in [
        "ext::sh -c true",
        "http://192.0.2.1/x",
        "http://127.0.0.1@192.0.2.1/x",
        "ssh://127.0.0.1/x",
        "git://127.0.0.1/x",
    ] {
        let remote = Remote { url: url.to_owned(), authorization: None };
        let error = place.mirror().fetch(&remote, &main_branch(), &[]).await.unwrap_err().to_string();
        assert!(error.contains("not allowed"), "{url}: {error}");
    }
}
