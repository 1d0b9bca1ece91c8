//! After the merge: staging, approval, production, failure and the way back; and the commands that steer it.

use super::*;
use plimsoll::sandbox::faults::{Fault, Trouble};

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_goes_to_staging_and_after_approval_to_production() {
    let mut town = Town::open().await;
    let number = town.opened().await;
    town.github.clear_requests();
    let sha = town.github.merge(number, "linus").unwrap();
    town.quiet().await;
    assert_eq!(town.succeeded("staging"), [sha.as_str()]);
    assert_eq!(town.succeeded("production"), [""; 0]);
    let comment = town.comments(number).remove(0).body;
    assert!(comment.contains("Waits for approval") && comment.contains("/plimsoll approve production"), "{comment}");

    let refused = town.command(number, "ada", "/plimsoll approve production").await;
    assert!(refused.contains("is the author of #1") || refused.contains("only"), "{refused}");
    let refused = town.command(number, "linus", "/plimsoll approve production").await;
    assert!(refused.contains("merged #1; `production` needs somebody with no hand in the release"), "{refused}");
    let refused = town.command(number, "mallory", "/plimsoll approve production").await;
    assert!(refused.contains("only members of `acme/release-managers` may approve"), "{refused}");
    assert_eq!(town.succeeded("production"), [""; 0]);

    let answer = town.command(number, "grace", "/plimsoll approve production").await;
    assert!(answer.contains("✅ grace approved release 1"), "{answer}");
    town.quiet().await;
    assert_eq!(town.succeeded("production"), [sha.as_str()]);
    let comment = town.comments(number).remove(0).body;
    assert_eq!(comment.matches("is live").count(), 2, "{comment}");
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_production_run_leads_back_to_the_last_good_commit_with_a_hold() {
    let mut town = Town::open().await;
    let first = town.opened().await;
    let good = town.github.merge(first, "linus").unwrap();
    town.quiet().await;
    town.command(first, "grace", "/plimsoll approve production").await;
    assert_eq!(town.succeeded("production"), [good.as_str()]);

    let second = town.github.open_pull("stock-count", "feat(api): count the stock", "Adds a column.", "ada").unwrap();
    town.quiet().await;
    let bad = town.github.merge(second, "linus").unwrap();
    town.quiet().await;
    town.github.fail_next_run(Some("production"));
    town.command(second, "grace", "/plimsoll approve production").await;
    town.until("production is brought back", |_| (town.succeeded("production").len() == 2).then_some(())).await;
    town.quiet().await;
    assert_eq!(town.succeeded("production"), [good.clone(), good]);
    assert!(town.github.runs().iter().any(|run| run.inputs["sha"] == bad && run.inputs["environment"] == "production"));
    let comment = town.comments(second).remove(0).body;
    assert!(comment.contains("failed: the workflow run failed; rolled back to release 1"), "{comment}");
    let status = town.command(second, "grace", "/plimsoll status").await;
    assert!(status.contains("`production` is held"), "{status}");
    let answer = town.command(second, "grace", "/plimsoll resume production").await;
    assert!(answer.contains("is ended"), "{answer}");
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_by_command_dispatches_the_release_before() {
    let mut town = Town::open().await;
    let first = town.opened().await;
    let good = town.github.merge(first, "linus").unwrap();
    town.quiet().await;
    let second = town.github.open_pull("stock-count", "feat(api): count the stock", "Adds a column.", "ada").unwrap();
    town.quiet().await;
    let newer = town.github.merge(second, "linus").unwrap();
    town.quiet().await;
    assert_eq!(town.succeeded("staging"), [good.clone(), newer.clone()]);
    let answer = town.command(second, "ada", "/plimsoll rollback staging --service api").await;
    assert!(answer.contains("is live in staging"), "{answer}");
    assert_eq!(town.succeeded("staging"), [good.clone(), newer, good]);
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fix_that_somebody_took_to_production_is_not_taken_back_by_a_merge_that_waited() {
    let mut town = Town::open().await;
    let number = town.opened().await;
    let waiting = town.merged(number).await;
    let files = [("services/api/src/fix.rs", "// at once\n")];
    let fix = town.github.push_commit("main", &files, "fix(api): at once", "barbara").unwrap();
    town.quiet().await;
    let answer = town.command(number, "barbara", "/plimsoll deploy main to production --service api").await;
    assert!(answer.contains("Waits for approval"), "{answer}");
    // Nobody approves a commit of which GitHub may not show yet who merged it.
    town.later(Duration::from_secs(150)).await;
    let answer = town.command(number, "grace", "/plimsoll approve production").await;
    assert!(answer.contains("approved release 2"), "{answer}");
    town.quiet().await;
    assert_eq!(town.succeeded("production"), [fix.as_str()]);
    town.card_says(&waiting, "Superseded by release 2").await;
    let answer = town.command(number, "grace", "/plimsoll approve production").await;
    assert!(answer.contains("No release waits for `production`"), "{answer}");
    town.quiet().await;
    assert_eq!(town.succeeded("production"), [fix]);

    let next = town.change("after", "ada").await;
    let sha = town.merged(next).await;
    let answer = town.command(next, "grace", "/plimsoll approve production").await;
    assert!(answer.contains("approved release 3"), "{answer}");
    town.until("what comes after it goes over it", |_| {
        (town.succeeded("production").last() == Some(&sha)).then_some(())
    })
    .await;
    town.quiet().await;
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_that_github_does_not_compute_stops_nobody_from_going_back() {
    let mut town = Town::open().await;
    for change in ["one", "two"] {
        let number = town.change(change, "ada").await;
        town.merged(number).await;
        town.command(number, "grace", "/plimsoll approve production").await;
        town.quiet().await;
    }
    let both = town.succeeded("production");
    assert_eq!(both.len(), 2);
    let number = town.change("three", "ada").await;
    town.merged(number).await;
    // The same answer for good, as GitHub gives it for very large differences.
    let gave_up = Trouble::status(500, "Server Error: Sorry, this diff is taking too long to generate.");
    town.github.add_fault(Fault::always("GET", "/repos/*/compare/*", gave_up));
    let answer = town.command(number, "grace", "/plimsoll approve production").await;
    insta::assert_snapshot!(answer, @"⛔ It cannot be told who is behind release 3: GitHub would not say: Server Error: Sorry, this diff is taking too long to generate. Nothing was changed.");
    let answer = town.command(number, "grace", "/plimsoll rollback production").await;
    assert!(answer.contains("Release 4"), "{answer}");
    town.until("production is back", |_| (town.succeeded("production").last() == both.first()).then_some(())).await;
    town.quiet().await;
    assert_eq!(town.parked().await.len(), 0);
    town.github.clear_faults();
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispatch_that_names_no_run_is_found_by_its_key() {
    let manners = plimsoll::sandbox::model::Manners { dispatch_never_tells_run: true, ..Default::default() };
    let mut town = Town::open_with(SandboxOptions { manners, ..Default::default() }).await;
    let number = town.opened().await;
    let sha = town.github.merge(number, "linus").unwrap();
    town.until("staging is deployed", |_| (town.succeeded("staging") == [sha.clone()]).then_some(())).await;
    town.quiet().await;
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn help_and_status_answer_anybody_and_nonsense_is_explained() {
    let mut town = Town::open().await;
    let number = town.opened().await;
    let help = town.command(number, "mallory", "/plimsoll help").await;
    assert!(help.contains("approve <environment>"), "{help}");
    let nonsense = town.command(number, "mallory", "/plimsoll depoly main to staging").await;
    assert!(nonsense.contains("Did you mean `deploy`?"), "{nonsense}");
    let refused = town.command(number, "mallory", "/plimsoll deploy main to staging").await;
    assert!(refused.contains("only people with write permission may deploy"), "{refused}");
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_comment_and_a_comment_full_of_markdown_command_nothing() {
    let mut town = Town::open().await;
    let number = town.opened().await;
    town.github.clear_requests();
    let id = town.github.comment(number, "grace", "> /plimsoll deploy main to staging\n\n`/plimsoll help`").unwrap();
    town.quiet().await;
    town.github.edit_comment(id, "/plimsoll deploy main to staging", "grace").unwrap();
    town.quiet().await;
    assert_eq!(town.github.runs().len(), 0);
    town.expect_writes(&[]);
    town.close().await;
}
