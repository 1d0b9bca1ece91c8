//! What keeps a release from starting, and what lets it go: approvals, buttons, freezes, locks, holds.

use super::*;

const APPROVED: &str = r#"version: 1
services:
  api: { paths: ["services/api/**"] }
pipeline:
  trigger: { workflow: deploy.yml }
  environments:
    - name: production
      approval: { count: 1, teams: ["acme/release-managers"] }
"#;

const OPEN: &str = r#"version: 1
services:
  api: { paths: ["services/api/**"] }
pipeline:
  trigger: { workflow: deploy.yml }
  environments:
    - name: production
"#;

const CARD: &str = "plimsoll/release (api)";

#[tokio::test(flavor = "multi_thread")]
async fn who_had_a_hand_in_it_cannot_approve_neither_by_comment_nor_by_button() {
    let mut town = Town::open().await;
    town.policy(APPROVED).await;
    let number = town.change("search", "grace").await;
    let sha = town.merged(number).await;
    for (login, words) in [("grace", "is the author of #1"), ("linus", "merged #1")] {
        let refused = town.command(number, login, "/plimsoll approve production").await;
        assert!(refused.contains(words) && refused.contains("Nothing was changed."), "{refused}");
        town.github.press(&sha, CARD, "Approve", login).unwrap();
        town.card_says(&sha, &format!("> ⛔ @{login} {words}")).await;
    }
    town.github.press(&sha, CARD, "Approve", "mallory").unwrap();
    town.card_says(&sha, "> ⛔ @mallory, only members of").await;
    town.quiet().await;
    assert_eq!(town.dispatched(), []);
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_approve_button_starts_exactly_its_commit_and_a_late_one_starts_nothing() {
    let mut town = Town::open().await;
    town.policy(APPROVED).await;
    let (first, second) = (town.change("search", "ada").await, town.change("stock", "ada").await);
    let older = town.merged(first).await;
    town.github.press(&older, CARD, "Approve", "mallory").unwrap();
    town.card_says(&older, "> ⛔ @mallory").await;
    let newer = town.merged(second).await;
    town.card_says(&older, "superseded").await;
    // Grace still has the page of the older commit open, and presses the button that was there.
    let mut late = town.delivered("check_run", "requested_action");
    late["sender"]["login"] = "grace".into();
    assert_eq!(town.deliver("check_run", "late-button", &late).await, 202);
    town.quiet().await;
    assert_eq!(town.dispatched(), []);
    let says = town.card(&older);
    assert!(says.contains("The candidate for `production` is release 2"), "{says}");

    town.github.press(&newer, CARD, "Approve", "grace").unwrap();
    town.card_says(&newer, "Release 2 is live in production").await;
    town.quiet().await;
    assert_eq!(town.dispatched(), [(newer, "100".to_owned())]);
    town.looked_at_writes = true;
    town.close().await;
}

/// A day before or after today, as policies write it.
fn day(town: &Town, from_now: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(town.github.now() + from_now * 86_400_000).unwrap();
    at.to_zoned(jiff::tz::TimeZone::UTC).date().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_of_the_policy_is_foretold_and_ends_by_the_clock() {
    let mut town = Town::open().await;
    let freeze = format!("{{ from: {}, to: {}, reason: \"Black Friday\" }}", day(&town, -1), day(&town, 1));
    town.policy(&format!("{OPEN}      freezes: [{freeze}]\n")).await;
    let number = town.change("search", "ada").await;
    let sha = town.merged(number).await;
    assert_eq!(town.dispatched(), []);
    let why = town.command(number, "mallory", "/plimsoll why production").await;
    assert!(why.contains("❌ **freeze**: `production` is frozen until"), "{why}");
    assert!(why.contains("Black Friday") && why.contains("UTC, in "), "{why}");
    assert!(why.contains("/plimsoll override freeze production"), "{why}");
    town.later(Duration::from_secs(2 * 86_400 + 60)).await;
    town.until("it goes by itself", |_| (town.succeeded("production") == [sha.clone()]).then_some(())).await;
    town.quiet().await;
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_with_an_end_ends_by_the_clock_with_nobody_calling() {
    let mut town = Town::open().await;
    town.policy(OPEN).await;
    let number = town.change("search", "ada").await;
    let locked =
        town.command(number, "grace", "/plimsoll lock production --for 2h --reason \"the database moves\"").await;
    assert!(locked.contains("🔒 `production` is locked: the database moves (by `grace`, until"), "{locked}");
    let sha = town.merged(number).await;
    assert_eq!(town.dispatched(), []);
    let refused = town.command(number, "ada", "/plimsoll unlock production").await;
    assert!(refused.contains("only whoever put it"), "{refused}");
    // From here on GitHub tells nothing until the run is there.
    town.github.hooks(|hooks| hooks.paused = true);
    town.later(Duration::from_secs(3_600)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(town.dispatched(), []);
    town.later(Duration::from_secs(3_660)).await;
    town.until("it goes on by itself", |_| (town.dispatched().len() == 1).then_some(())).await;
    town.github.hooks(|hooks| hooks.paused = false);
    town.quiet().await;
    assert_eq!(town.succeeded("production"), [sha.as_str()]);
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_put_on_a_pull_request_ends_when_that_is_merged() {
    let mut town = Town::open().await;
    town.policy(OPEN).await;
    let docs = [("docs/notes.md", "Notes.\n")];
    town.github.push_commit("notes", &docs, "docs: notes", "ada").unwrap();
    let holder = town.github.open_pull("notes", "docs: notes", "What was learnt.", "ada").unwrap();
    town.quiet().await;
    let number = town.change("search", "ada").await;
    let held = town.command(holder, "ada", "/plimsoll hold production --reason \"the notes come first\"").await;
    assert!(held.contains("⏸️ `production` is held: the notes come first"), "{held}");
    let sha = town.merged(number).await;
    assert_eq!(town.dispatched(), []);
    let living = town.comments(number).remove(0).body;
    assert!(living.contains(&format!("(by `ada` in #{holder}, until that is merged or closed)")), "{living}");
    town.merged(holder).await;
    town.until("it goes on by itself", |_| (town.succeeded("production") == [sha.clone()]).then_some(())).await;
    town.quiet().await;
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_shows_on_open_pull_requests_where_the_policy_wants_it() {
    let mut town = Town::open().await;
    town.policy(&OPEN.replace("  environments:", "  hold_check: true\n  environments:")).await;
    let number = town.change("search", "ada").await;
    let other = town.change("stock", "ada").await;
    assert_eq!(town.checks(number)["plimsoll/hold"].0, "success");
    town.command(other, "ada", "/plimsoll hold production --reason \"wait for the audit\"").await;
    town.until("the check is red", |_| (town.checks(number)["plimsoll/hold"].0 == "failure").then_some(())).await;
    let head = town.github.head_sha(number).unwrap();
    let summary = town.check(&head, "plimsoll/hold").and_then(|check| check.summary).unwrap_or_default();
    assert!(summary.contains("wait for the audit"), "{summary}");
    town.command(other, "ada", "/plimsoll resume production").await;
    town.until("the check is green", |_| (town.checks(number)["plimsoll/hold"].0 == "success").then_some(())).await;
    town.quiet().await;
    town.looked_at_writes = true;
    town.close().await;
}
