//! What is learned from a repository's history, which is fetched from the sandbox by git as it is from GitHub.

use super::*;
use plimsoll::config::HistorySettings;
use plimsoll::domain::ids::{PullNumber, RepoName};
use plimsoll::domain::risk::Verdict;
use plimsoll::domain::state::State;

/// A GitHub with a real git repository, and a service that keeps histories of at most so many bytes.
async fn town_with_histories(bytes_max: u64) -> (Town, tempfile::TempDir) {
    let kept = tempfile::tempdir().unwrap();
    let run_times = RunTimes { queued_ms: 30, running_ms: 60, ..RunTimes::default() };
    let world = World::Git { folder: kept.path().to_owned() };
    let options = SandboxOptions { world, run_times, ..SandboxOptions::default() };
    let github = tokio::task::spawn_blocking(move || Sandbox::start(options)).await.unwrap().unwrap();
    let folder = kept.path().join("histories");
    let town =
        Town::beside_with(github, |settings| settings.history = Some(HistorySettings { folder, bytes_max })).await;
    (town, kept)
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
