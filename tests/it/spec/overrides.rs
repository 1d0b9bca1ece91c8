//! Gates that somebody breaks, with a second person afterwards; and commands that are only tried out.

use super::*;

const OVERRIDE: &str = "plimsoll/override (api)";

/// A release that waits for approval in production; its pull request and commit.
async fn waiting(town: &mut Town) -> (u64, String) {
    let number = town.opened().await;
    let sha = town.merged(number).await;
    assert_eq!(town.succeeded("staging"), [sha.as_str()]);
    (number, sha)
}

fn override_says(town: &Town, sha: &str) -> Option<String> {
    town.check(sha, OVERRIDE).and_then(|check| check.conclusion)
}

async fn overridden(town: &mut Town) -> (u64, String, u64) {
    let (number, sha) = waiting(town).await;
    let refused = town.command(number, "ada", "/plimsoll override approval production --reason \"shop is down\"").await;
    assert!(refused.contains("only people with maintain permission"), "{refused}");
    let answer =
        town.command(number, "grace", "/plimsoll override approval production --reason \"shop is down\"").await;
    assert!(answer.contains("🚨 The gate `approval` of `production` is overridden"), "{answer}");
    town.until("it goes to production", |_| (town.succeeded("production") == [sha.clone()]).then_some(())).await;
    town.quiet().await;
    let issues = town.github.issues();
    assert_eq!(issues.len(), 1, "{issues:?}");
    assert!(issues[0].title.contains("grace overrode the approval gate"), "{}", issues[0].title);
    assert_eq!(override_says(town, &sha).as_deref(), Some("failure"));
    (number, sha, issues[0].number)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_stays_red_until_somebody_else_closes_its_issue() {
    let mut town = Town::open().await;
    let (_, sha, issue) = overridden(&mut town).await;
    town.github.close_issue(issue, "linus").unwrap();
    town.until("the check is green", |_| (override_says(&town, &sha)? == "success").then_some(())).await;
    let check = town.check(&sha, OVERRIDE).unwrap();
    let summary = check.summary.unwrap_or_default();
    assert!(summary.contains("Reviewed by `linus`"), "{summary}");
    town.quiet().await;
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_closed_by_whoever_did_it_stays_red_and_a_button_still_ends_it() {
    let mut town = Town::open().await;
    let (_, sha, issue) = overridden(&mut town).await;
    town.github.close_issue(issue, "grace").unwrap();
    town.quiet().await;
    assert_eq!(override_says(&town, &sha).as_deref(), Some("failure"));
    town.github.press(&sha, OVERRIDE, "Reviewed", "grace").unwrap();
    town.quiet().await;
    assert_eq!(override_says(&town, &sha).as_deref(), Some("failure"));
    town.github.press(&sha, OVERRIDE, "Reviewed", "linus").unwrap();
    town.until("the check is green", |_| (override_says(&town, &sha)? == "success").then_some(())).await;
    town.quiet().await;
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_command_writes_nothing_but_its_answer() {
    let mut town = Town::open().await;
    let (number, sha) = waiting(&mut town).await;
    let only_the_answer =
        [("POST /issues/{issue_number}/comments", 1), ("POST /issues/comments/{comment_id}/reactions", 1)];
    for (by, command, words) in [
        ("grace", "approve production", "a deployment of"),
        ("linus", "approve production", "would be refused: @linus merged #1"),
        ("ada", "deploy main to staging --service api", "a deployment of"),
        ("ada", "lock production --for 2h", "`lock` would answer"),
        ("mallory", "deploy main to staging --service api", "would be refused"),
    ] {
        town.github.clear_requests();
        let answer = town.command(number, by, &format!("/plimsoll plan {command}")).await;
        assert!(answer.contains(words) && answer.starts_with("📝"), "{command}: {answer}");
        town.expect_writes(&only_the_answer);
    }
    assert_eq!(town.dispatched(), []);
    assert_eq!(town.succeeded("staging"), [sha]);
    town.close().await;
}
