//! How many requests an event may cost. A budget, not a time.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_synchronize_costs_at_most_four_requests() {
    let mut town = Town::open().await;
    town.opened().await;
    // Two changes of one second cannot be told apart and cost a look; people are slower.
    town.advance(Duration::from_secs(5));
    town.github.clear_requests();
    town.github.push_commit("cheaper-search", &[("services/api/src/more.py", "x = 1\n")], "more", "ada").unwrap();
    town.quiet().await;
    let requests = town.requests();
    assert!(requests <= 4, "{requests} requests\n{}", town.told());
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_command_costs_at_most_eight_requests_to_its_final_status() {
    let mut town = Town::open().await;
    let number = town.opened().await;
    town.github.clear_requests();
    let answer = town.command(number, "grace", "/plimsoll deploy main to staging --service api").await;
    town.quiet().await;
    assert!(answer.contains("is live in staging"), "{answer}");
    let requests = town.requests();
    assert!(requests <= 8, "{requests} requests\n{}", town.told());
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_check_events_on_one_commit_are_evaluated_once() {
    let mut town = Town::open().await;
    let number = town.opened().await;
    let head = town.github.head_sha(number).unwrap();
    let check = town.github.check_runs(&head).remove(0);
    // Longer ago than clicks that count as one.
    town.advance(Duration::from_secs(60));
    town.github.hooks(|hooks| hooks.paused = true);
    for _ in 0..20 {
        town.github.rerequest_check(check.id, "ada").unwrap();
    }
    town.github.clear_requests();
    town.github.hooks(|hooks| hooks.paused = false);
    town.quiet().await;
    let reads = town.github.requests().iter().filter(|r| r.path.ends_with(&format!("/pulls/{number}"))).count();
    assert!(reads == 1, "{reads} evaluations\n{}", town.told());
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_of_two_steps_with_an_approval_stays_within_its_budget() {
    let mut town = Town::open().await;
    let policy = r#"version: 1
services:
  api: { paths: ["services/api/**"] }
pipeline:
  trigger: { workflow: deploy.yml }
  environments:
    - name: production
      approval: { count: 1, teams: ["acme/release-managers"] }
      rollout: [25%, 100%]
"#;
    town.policy(policy).await;
    let number = town.change("search", "ada").await;
    // From the merge to the last word: release, card, approval, two runs, the living comment.
    town.github.clear_requests();
    let sha = town.merged(number).await;
    town.command(number, "grace", "/plimsoll approve production").await;
    town.card_says(&sha, "is live in production").await;
    town.quiet().await;
    let requests = town.requests();
    assert!(requests <= 30, "{requests} requests\n{}", town.told());
    town.looked_at_writes = true;
    town.close().await;
}
