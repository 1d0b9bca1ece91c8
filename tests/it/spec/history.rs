//! What is learned from a repository's history, which is fetched from the sandbox by git as it is from GitHub.

use super::*;
use plimsoll::config::HistorySettings;
use plimsoll::domain::ids::{PullNumber, RepoName};
use plimsoll::domain::risk::Verdict;
use plimsoll::domain::state::State;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A GitHub with a real git repository, and a service that keeps histories of at most so many bytes.
async fn town_with_histories(bytes_max: u64) -> (Town, tempfile::TempDir) {
    let kept = tempfile::tempdir().unwrap();
    let world = World::Git { folder: kept.path().to_owned() };
    (town_of(world, &kept, bytes_max).await, kept)
}

async fn town_of(world: World, kept: &tempfile::TempDir, bytes_max: u64) -> Town {
    let run_times = RunTimes { queued_ms: 30, running_ms: 60, ..RunTimes::default() };
    let options = SandboxOptions { world, run_times, ..SandboxOptions::default() };
    let github = tokio::task::spawn_blocking(move || Sandbox::start(options)).await.unwrap().unwrap();
    let folder = kept.path().join("histories");
    Town::beside_with(github, |settings| settings.history = Some(HistorySettings { folder, bytes_max })).await
}

/// How many changes the made history has, mends not counted, and over how many days before today.
const CHANGES: i64 = 640;
const FIRST_DAY: i64 = 1_100;
const LAST_DAY: i64 = 120;

/// Makes a repository of some years, in which one change in five or so was mended by a later one of the very lines: of those
/// without a test one in three, of those with one in eight.
fn years_of_history(folder: &Path) -> PathBuf {
    let repository = folder.join("works.git");
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(folder).args(args).env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", folder);
        command
    };
    assert!(git(&["init", "--quiet", "--bare", "--initial-branch=main", "works.git"]).status().unwrap().success());
    let now = app::SystemClock.now().0 / 1_000;
    let mut stream = String::new();
    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut commit = |n: i64, late: i64, title: &str, written: &[(String, Vec<String>)]| {
        let at = now - 86_400 * FIRST_DAY + 86_400 * (FIRST_DAY - LAST_DAY) * n / CHANGES + late;
        let who = format!("Dev {0} <dev{0}@example.com> {at} +0000", n % 5);
        stream.push_str(&format!("commit refs/heads/main\ncommitter {who}\ndata {}\n{title}\n", title.len()));
        for (path, lines) in written {
            let text = lines.concat();
            stream.push_str(&format!("M 100644 inline {path}\ndata {}\n{text}\n", text.len()));
        }
    };
    for n in 0..CHANGES {
        let path = format!("src/m{}.rs", n % 23);
        let code = files.entry(path.clone()).or_default();
        code.extend((0..4 + n * 37 % 50).map(|line| format!("let v{n}_{line} = {line};\n")));
        let mut written = vec![(path, code.clone())];
        if n % 2 == 0 {
            let path = format!("tests/t{}.rs", n % 23);
            let tests = files.entry(path.clone()).or_default();
            tests.push(format!("assert!(holds({n}));\n"));
            written.push((path, tests.clone()));
        }
        commit(n, 0, &format!("feat: change {n}"), &written);
        let mended = n - 3;
        let was_wrong = if mended % 2 == 0 { mended % 16 == 0 } else { mended % 3 == 0 };
        if mended >= 0 && was_wrong {
            let path = format!("src/m{}.rs", mended % 23);
            let code = files.entry(path.clone()).or_default();
            let wrong = format!("let v{mended}_1 = 1;\n");
            code.iter_mut().filter(|line| **line == wrong).for_each(|line| *line = format!("let v{mended}_1 = 10;\n"));
            let written = [(path, code.clone())];
            commit(n, 3_600, &format!("fix: mend what change {mended} broke"), &written);
        }
    }
    let mut import = git(&["--git-dir=works.git", "fast-import", "--quiet"]).stdin(Stdio::piped()).spawn().unwrap();
    import.stdin.take().unwrap().write_all(stream.as_bytes()).unwrap();
    assert!(import.wait().unwrap().success());
    repository
}

async fn verdict(town: &Town, number: u64) -> Option<Verdict> {
    let repo = RepoName::parse(&town.github.repository()).unwrap();
    let subject = Subject::PullRequest { repo, number: PullNumber(number) };
    let lane = query::lane(&*town.store, &subject).await.unwrap()?;
    match lane.state {
        State::PullRequest(state) => state.judged.map(|judged| judged.verdict),
        State::Repository(_) | State::Pipeline(_) => None,
    }
}

/// Waits for a verdict that is not "it is being read"; the pull request looks again by itself, by its clock.
async fn settled(town: &Town, number: u64) -> Verdict {
    let began = Instant::now();
    loop {
        let found = verdict(town, number).await;
        let reading =
            |verdict: &Verdict| verdict.without_history.as_deref().is_some_and(|why| why.contains("being read"));
        if let Some(found) = found.filter(|verdict| !reading(verdict)) {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "the history was never read\n{}", town.told());
        town.later(Duration::from_secs(120)).await;
        town.quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_is_judged_by_the_history_of_its_repository() {
    let (mut town, kept) = town_with_histories(1 << 30).await;
    let number = town.opened().await;
    let verdict = settled(&town, number).await;
    let history = verdict.metrics.history.expect("the mirror was read");
    assert_eq!(verdict.without_history, None);
    assert!(history.subject_chars.is_some_and(|chars| chars > 0.0), "{history:?}");
    assert!(history.developers.is_some(), "{history:?}");
    assert!(kept.path().join("histories/acme+shop.git/HEAD").is_file());
    assert!(!town.comments(number)[0].body.contains("without this repository's history"));
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_learned_from_years_of_history_judges_and_tells_its_record() {
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path().to_owned();
    let repository = tokio::task::spawn_blocking(move || years_of_history(&folder)).await.unwrap();
    let world = World::Own { repository, folder: kept.path().join("github"), replay: None };
    let mut town = town_of(world, &kept, 1 << 30).await;
    let lines: String = (0..90).map(|line| format!("let new_{line} = {line};\n")).collect();
    town.github.push_commit("more", &[("src/m3.rs", &lines)], "feat: sell more", "ada").unwrap();
    let number = town.github.open_pull("more", "feat: sell more", "", "ada").unwrap();
    town.quiet().await;
    let verdict = settled(&town, number).await;
    assert!(verdict.model.starts_with("additive-2+repo-"), "{}", verdict.model);
    let standing = verdict.standing.expect("hundreds of changes are known");
    assert!(standing.among == 500 && standing.percentile > 50, "{standing:?}");
    town.quiet().await;
    let comment = town.comments(number)[0].body.clone();
    assert!(comment.contains(&standing.words()), "{comment}");
    let record = verdict.record.expect("what became of hundreds of verdicts is known");
    assert!(record.starts_with("Of ") && record.ends_with(" needed a fix."), "{record}");
    assert!(comment.contains(&record), "{comment}");
    let answer = town.command(number, "ada", "/plimsoll risk").await;
    assert!(answer.contains(&record) && answer.contains("What would lower it"), "{answer}");
    let data = town.read(&format!("pulls/{number}/risk")).await;
    assert_eq!(data["verdict"]["model"], verdict.model.as_str(), "{data}");
    assert_eq!(data["text"], answer.as_str(), "{data}");
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_is_too_large_is_judged_without_its_history_and_the_comment_says_so() {
    let (mut town, _kept) = town_with_histories(1).await;
    let number = town.opened().await;
    let verdict = settled(&town, number).await;
    assert_eq!(verdict.metrics.history, None);
    town.quiet().await;
    let body = town.comments(number)[0].body.clone();
    assert!(body.contains("Judged without this repository's history: The repository is larger than"), "{body}");
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_fetches_from_the_sandbox_without_a_token() {
    let (mut town, _kept) = town_with_histories(1 << 30).await;
    let url = format!("{}/{}.git/info/refs?service=git-upload-pack", town.github.base_url(), town.github.repository());
    let answer = reqwest::get(&url).await.unwrap();
    assert_eq!(answer.status(), 401);
    town.looked_at_writes = true;
    town.close().await;
}
