//! Custom deployment protection rules: runs that wait at an environment for our word.

use super::*;

const POLICY: &str = r#"version: 1
services:
  api: { paths: ["services/api/**"] }
pipeline:
  trigger: { workflow: deploy.yml }
  environments:
    - name: production
      approval: { count: 1, teams: ["acme/release-managers"] }
"#;

/// The shop's workflow, with an environment at which its job may have to wait.
fn workflow() -> String {
    plimsoll::sandbox::seed::WORKFLOW.replace(
        "    runs-on: ubuntu-latest\n",
        "    runs-on: ubuntu-latest\n    environment: ${{ inputs.environment }}\n",
    )
}

async fn protected() -> Town {
    let town = Town::open().await;
    let files = [(".github/workflows/deploy.yml", workflow())];
    let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
    town.github.push_commit("main", &files, "ci: wait for the gate", "barbara").unwrap();
    town.policy(POLICY).await;
    town.github.protect_environment("production", true);
    town
}

fn run(town: &Town, id: u64) -> plimsoll::sandbox::model::Run {
    town.github.runs().into_iter().find(|run| run.id == id).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_run_passes_because_its_release_passed_the_gate() {
    let mut town = protected().await;
    let number = town.change("search", "ada").await;
    let sha = town.merged(number).await;
    town.command(number, "grace", "/plimsoll approve production").await;
    town.until("it is live", |_| (town.succeeded("production") == [sha.clone()]).then_some(())).await;
    town.quiet().await;
    let runs = town.github.runs();
    assert_eq!(runs.len(), 1);
    let words = &runs[0].protection;
    assert_eq!(words.len(), 1, "{words:?}");
    assert_eq!(words[0].state.as_deref(), Some("approved"));
    assert_eq!(words[0].comment, "Release 1 passed its gate.");
    town.looked_at_writes = true;
    town.close().await;
}

/// A run that somebody started by hand, with the delivery about it, which was lost.
async fn waiting(town: &mut Town, sha: &str) -> (u64, serde_json::Value) {
    let inputs = [("environment", "production"), ("service", "api"), ("sha", sha)];
    town.github.hooks(|hooks| hooks.lose_next = 100);
    let foreign = town.github.dispatch("deploy.yml", &inputs, "barbara").unwrap();
    town.until("it waits", |_| (run(town, foreign).status() == "waiting").then_some(())).await;
    town.github.wait_delivered(Duration::from_secs(5));
    town.github.hooks(|hooks| hooks.lose_next = 0);
    (foreign, town.delivered("deployment_protection_rule", "requested"))
}

/// The last word that a run heard, once it is of this state.
async fn heard(town: &mut Town, id: u64, state: Option<&str>) -> String {
    town.until("it hears how it stands", |_| {
        run(town, id).protection.last().filter(|word| word.state.as_deref() == state).map(|word| word.comment.clone())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_somebody_starts_by_hand_never_passes_whatever_is_live() {
    let mut town = protected().await;
    let number = town.change("search", "ada").await;
    let sha = town.merged(number).await;
    town.command(number, "grace", "/plimsoll approve production").await;
    town.until("it is live", |_| (town.succeeded("production") == [sha.clone()]).then_some(())).await;
    town.quiet().await;
    let evil = town.github.push_commit("evil", &[("services/api/evil.rs", "fn evil() {}")], "evil", "barbara").unwrap();
    // Its workflow is of the commit that is live; what it deploys is not.
    let inputs = [("environment", "production"), ("service", "api"), ("sha", evil.as_str())];
    let foreign = town.github.dispatch("deploy.yml", &inputs, "barbara").unwrap();
    assert_eq!(run(&town, foreign).head_sha, sha);
    let words = heard(&mut town, foreign, Some("rejected")).await;
    assert!(words.starts_with("This run was started by hand"), "{words}");
    town.quiet().await;
    assert_eq!(run(&town, foreign).protection.len(), 1);
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_a_push_waits_with_a_report_and_passes_when_the_gate_opens() {
    let mut town = protected().await;
    let number = town.change("search", "ada").await;
    let sha = town.merged(number).await;
    let (foreign, mut payload) = waiting(&mut town, &sha).await;
    payload["event"] = "push".into();
    assert_eq!(town.deliver("deployment_protection_rule", "pushed", &payload).await, 202);
    let words = heard(&mut town, foreign, None).await;
    assert!(words.starts_with("Release 1 waits: Waits for approval of"), "{words}");
    assert_eq!(run(&town, foreign).status(), "waiting");
    let asked = town.github.comment(number, "grace", "/plimsoll approve production").unwrap();
    town.until("the command is answered", |github| {
        github.comments(number).into_iter().find(|c| c.author.ends_with("[bot]") && c.id > asked)
    })
    .await;
    heard(&mut town, foreign, Some("approved")).await;
    town.quiet().await;
    assert_eq!(town.parked().await, []);
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_to_another_origin_is_parked_and_never_asked() {
    let mut town = protected().await;
    let number = town.change("search", "ada").await;
    let sha = town.merged(number).await;
    let (foreign, mut payload) = waiting(&mut town, &sha).await;
    let callback = payload["deployment_callback_url"].as_str().unwrap().to_owned();
    let elsewhere = callback.replace(&town.github.base_url(), "https://api.github.example");
    assert_ne!(callback, elsewhere);
    payload["deployment_callback_url"] = elsewhere.into();
    town.github.clear_requests();
    assert_eq!(town.deliver("deployment_protection_rule", "elsewhere", &payload).await, 202);
    town.until("it is sorted", |_| Some(())).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let parked = town.parked().await;
    assert_eq!(parked.len(), 1, "{parked:?}");
    assert!(parked[0].because.contains("deployment_callback_url"), "{parked:?}");
    assert_eq!(run(&town, foreign).protection.len(), 0);
    town.expect_writes(&[]);
    town.close().await;
}
