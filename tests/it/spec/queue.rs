//! The merge queue: groups are judged on their own head, who is ejected hears why, and nothing of it is deployed.

use super::*;

fn group_of(town: &Town, number: u64) -> Option<(String, String)> {
    town.github.with(|model, _| {
        let entry = model.queue.iter().find(|entry| entry.pull == number)?;
        Some((entry.group.head_sha.clone(), entry.group.head_ref.clone()))
    })
}

fn is_merged(town: &Town, number: u64) -> bool {
    town.github
        .with(|model, _| matches!(model.pulls[&number].state, plimsoll::sandbox::model::PullState::Merged { .. }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_judged_on_its_head_and_merged_without_a_word_of_failure() {
    let mut town = Town::open().await;
    let number = town.opened().await;
    town.github.require_checks(&["plimsoll/policy", "ci"]);
    town.github.enqueue(number, "linus").unwrap();
    town.quiet().await;
    let (head, _) = group_of(&town, number).expect("it is in the queue");
    let check = town.check(&head, "plimsoll/policy").expect("a check on the group's head");
    assert_eq!(check.conclusion.as_deref(), Some("success"), "{check:?}");
    assert_eq!(town.github.runs().len(), 0, "nothing speculative is deployed");
    town.github.check_of("github-actions", &head, "ci", "success").unwrap();
    town.until("it is merged", |_| is_merged(&town, number).then_some(())).await;
    town.quiet().await;
    assert_eq!(town.succeeded("staging"), [head]);
    let comment = town.comments(number).remove(0).body;
    assert!(!comment.to_lowercase().contains("merge queue"), "it was merged, and did not fail: {comment}");
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fails_the_policy_is_ejected_and_its_comment_says_why() {
    let mut town = Town::open().await;
    town.github.require_checks(&["plimsoll/policy", "ci"]);
    let good = town.opened().await;
    let bad = town.github.open_pull("dark-web", "dark look", "Follows the visitor's system.", "linus").unwrap();
    town.quiet().await;
    town.github.enqueue(good, "linus").unwrap();
    town.github.enqueue(bad, "linus").unwrap();
    town.until("the bad one is ejected", |_| group_of(&town, bad).is_none().then_some(())).await;
    town.quiet().await;
    assert!(!is_merged(&town, bad));
    assert!(group_of(&town, good).is_some(), "the other one stays");
    let comment = town.comments(bad).remove(0).body;
    assert!(comment.contains("merge queue") && comment.contains("not met: title"), "{comment}");
    // Somebody mends it, and it goes through.
    let (head, _) = group_of(&town, good).unwrap();
    town.github.check_of("github-actions", &head, "ci", "success").unwrap();
    town.until("the good one is merged", |_| is_merged(&town, good).then_some(())).await;
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pull_requests_in_one_group_are_judged_together() {
    let mut town = Town::open().await;
    town.github.require_checks(&["plimsoll/policy", "ci"]);
    let good = town.opened().await;
    let bad = town.github.open_pull("dark-web", "dark look", "Follows the visitor's system.", "linus").unwrap();
    town.quiet().await;
    town.github.enqueue(good, "linus").unwrap();
    town.quiet().await;
    // GitHub may also try several at once: the group then begins at the base branch itself.
    let base = town.github.with(|model, _| model.history.branch("main")).unwrap();
    town.github.hooks(|hooks| hooks.lose_next = 100);
    town.github.enqueue(bad, "linus").unwrap();
    town.quiet().await;
    town.github.hooks(|hooks| hooks.lose_next = 0);
    let mut group = town.delivered("merge_group", "checks_requested");
    group["merge_group"]["base_sha"] = base.into();
    let (head, _) = group_of(&town, bad).expect("it is in the queue");
    assert_eq!(group["merge_group"]["head_sha"], head.as_str());
    assert_eq!(town.deliver("merge_group", "group-of-two", &group).await, 202);
    let check = town
        .until("the group is judged", |_| {
            town.check(&head, "plimsoll/policy").filter(|check| check.conclusion.is_some())
        })
        .await;
    assert_eq!(check.conclusion.as_deref(), Some("failure"));
    assert_eq!(check.title.as_deref(), Some("1 of 2 pull requests with rules not met"));
    let summary = check.summary.unwrap_or_default();
    assert!(summary.contains(&format!("#{good}")) && summary.contains(&format!("#{bad}")), "{summary}");
    town.quiet().await;
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_only_the_queue_has_is_not_deployed() {
    let mut town = Town::open().await;
    town.github.require_checks(&["ci"]);
    let number = town.opened().await;
    town.github.enqueue(number, "linus").unwrap();
    town.quiet().await;
    let (head, branch) = group_of(&town, number).expect("it is in the queue");
    for (what, to) in [
        (branch.clone(), "staging"),
        (format!("heads/{branch}"), "staging"),
        (format!("refs/heads/{branch}"), "staging"),
        (head, "production"),
    ] {
        let refused = town.command(number, "grace", &format!("/plimsoll deploy {what} to {to} --service api")).await;
        assert!(refused.contains("⛔") && refused.contains("Nothing was changed."), "{refused}");
    }
    assert_eq!(town.github.runs().len(), 0);
    // Taken out by a person: that is no failure of ours, and said as what it is.
    town.github.dequeue(number, "linus").unwrap();
    town.quiet().await;
    let comment = town.comments(number).remove(0).body;
    assert!(!comment.contains("not met"), "{comment}");
    town.looked_at_writes = true;
    town.close().await;
}
