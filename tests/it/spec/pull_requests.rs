//! Pull requests, from opened to closed.

use super::*;

const CHECK: &str = "POST /check-runs";
const CHECK_CHANGED: &str = "PATCH /check-runs/{check_run_id}";
const COMMENT: &str = "POST /issues/{issue_number}/comments";
const COMMENT_CHANGED: &str = "PATCH /issues/comments/{comment_id}";

#[tokio::test(flavor = "multi_thread")]
async fn an_opened_pull_request_gets_two_checks_and_one_comment() {
    let mut town = Town::open().await;
    let number = town.opened().await;
    let checks = town.checks(number);
    assert_eq!(checks["plimsoll/policy"].0, "success", "{checks:?}");
    assert_eq!(checks["plimsoll/risk"].0, "neutral", "{checks:?}");
    let comments = town.comments(number);
    assert_eq!(comments.len(), 1);
    assert!(comments[0].body.contains("After the merge"), "{}", comments[0].body);
    town.expect_writes(&[(CHECK, 2), (COMMENT, 1)]);
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pushed_commit_is_judged_anew_and_the_comment_stays_one() {
    let mut town = Town::open().await;
    let number = town.opened().await;
    town.expect_writes(&[(CHECK, 2), (COMMENT, 1)]);
    let long = "one more line\n".repeat(700);
    town.github.push_commit("cheaper-search", &[("services/api/src/more.py", long.as_str())], "more", "ada").unwrap();
    town.quiet().await;
    assert_eq!(town.checks(number).len(), 2, "both checks stand on the new head");
    assert_eq!(town.comments(number).len(), 1);
    town.expect_writes(&[(CHECK, 2), (COMMENT_CHANGED, 1)]);
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_title_is_judged_and_only_what_changed_is_published() {
    let mut town = Town::open().await;
    let number = town.opened().await;
    town.expect_writes(&[(CHECK, 2), (COMMENT, 1)]);
    let edit = plimsoll::sandbox::model::PullEdit { title: Some("stuff".to_owned()), ..Default::default() };
    town.github.edit_pull(number, edit, "ada").unwrap();
    town.quiet().await;
    assert_eq!(town.checks(number)["plimsoll/policy"].0, "failure");
    town.expect_writes(&[(CHECK_CHANGED, 1), (COMMENT_CHANGED, 1)]);
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_changes_nothing_that_people_see() {
    let mut town = Town::open().await;
    let number = town.opened().await;
    town.expect_writes(&[(CHECK, 2), (COMMENT, 1)]);
    town.github.label(number, "good first issue", "ada").unwrap();
    town.quiet().await;
    town.expect_writes(&[]);
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_does_not_slip_through_in_the_moment_when_it_becomes_ready() {
    let mut town = Town::open().await;
    let number = town.opened().await;
    let edit = plimsoll::sandbox::model::PullEdit { title: Some("stuff".to_owned()), ..Default::default() };
    town.github.edit_pull(number, edit, "ada").unwrap();
    town.github.set_draft(number, true, "ada").unwrap();
    town.quiet().await;
    assert_eq!(town.checks(number)["plimsoll/policy"].0, "action_required");
    town.github.set_draft(number, false, "ada").unwrap();
    town.quiet().await;
    assert_eq!(town.checks(number)["plimsoll/policy"].0, "failure");
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recheck_of_the_check_run_is_honoured() {
    let mut town = Town::open().await;
    let number = town.opened().await;
    let head = town.github.head_sha(number).unwrap();
    let check = town.github.check_runs(&head).remove(0);
    town.advance(Duration::from_secs(60));
    town.github.clear_requests();
    town.github.rerequest_check(check.id, "ada").unwrap();
    town.quiet().await;
    let asked = town.github.requests().iter().any(|r| r.path.ends_with(&format!("/pulls/{number}")));
    assert!(asked, "the pull request was not read again\n{}", town.told());
    assert_eq!(town.checks(number)["plimsoll/policy"].0, "success");
    // GitHub waits for an answer, also when nothing changed.
    town.expect_writes(&[(CHECK_CHANGED, 2)]);
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_pull_request_says_that_nothing_is_released() {
    let mut town = Town::open().await;
    let number = town.opened().await;
    town.expect_writes(&[(CHECK, 2), (COMMENT, 1)]);
    town.github.close(number, "ada").unwrap();
    town.quiet().await;
    assert!(town.comments(number)[0].body.contains("Closed without merging"));
    town.github.reopen(number, "ada").unwrap();
    town.quiet().await;
    assert!(town.comments(number)[0].body.contains("After the merge"));
    town.expect_writes(&[(COMMENT_CHANGED, 2)]);
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_that_edits_the_policy_is_annotated_line_by_line() {
    let mut town = Town::open().await;
    let number = town.opened().await;
    let broken = "version: 1\nservcies:\n  api: { paths: [\"**\"] }\n";
    town.github.push_commit("cheaper-search", &[(".github/plimsoll.yml", broken)], "policy", "ada").unwrap();
    town.quiet().await;
    let head = town.github.head_sha(number).unwrap();
    let check = town.github.check_runs(&head).into_iter().find(|c| c.name == "plimsoll/policy").unwrap();
    assert_eq!(check.conclusion.as_deref(), Some("failure"));
    let annotation = &check.annotations[0];
    assert_eq!((annotation.path.as_str(), annotation.start_line), (".github/plimsoll.yml", 2));
    assert!(annotation.message.contains("Did you mean `services`?"), "{}", annotation.message);
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_delivery_of_a_pull_request_is_found_by_the_sweep() {
    let mut town = Town::open().await;
    let number = town.opened().await;
    town.github.hooks(|hooks| hooks.lose_next = 1);
    let edit = plimsoll::sandbox::model::PullEdit { title: Some("stuff".to_owned()), ..Default::default() };
    town.github.edit_pull(number, edit, "ada").unwrap();
    town.quiet().await;
    assert_eq!(town.checks(number)["plimsoll/policy"].0, "success", "nobody has told us yet");
    // What the sweep forwards, without waiting a quarter of an hour for it.
    let subject = Subject::parse(&format!("pull_request:acme/shop#{number}")).unwrap();
    let arrival = plimsoll::engine::ports::Arrival {
        subject,
        installation: None,
        event: plimsoll::domain::event::Event::LookIfNewer { updated_at: Timestamp(town.github.now()) },
        source: plimsoll::engine::ports::Source::Operator,
        at: Timestamp(town.github.now()),
    };
    town.store.arrive(arrival).await.unwrap();
    town.until("the edited title is judged", |_| (town.checks(number)["plimsoll/policy"].0 == "failure").then_some(()))
        .await;
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_that_came_while_nobody_listened_are_asked_for_again() {
    let github = tokio::task::spawn_blocking(|| Sandbox::start(SandboxOptions::default())).await.unwrap().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    github.set_hook(&format!("http://127.0.0.1:{port}/github/webhook"), &github.webhook_secret());
    let number = github.open_pull("cheaper-search", "feat(api): find goods", "By first letters.", "ada").unwrap();
    assert!(github.wait_delivered(Duration::from_secs(10)));
    let mut town = Town::beside(github, port).await;
    town.until("the pull request is judged", |github| {
        (github.check_runs(&github.head_sha(number)?).len() == 2).then_some(())
    })
    .await;
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_is_judged_and_its_recheck_is_found_by_the_commit() {
    let mut town = Town::open().await;
    let number = town.opened().await;
    town.github.with(|model, _| model.make_fork(number, "mallory")).unwrap();
    town.github.push_commit("cheaper-search", &[("services/api/src/fork.py", "x = 1\n")], "more", "mallory").unwrap();
    town.quiet().await;
    assert_eq!(town.checks(number).len(), 2);
    let head = town.github.head_sha(number).unwrap();
    let check = town.github.check_runs(&head).remove(0);
    town.advance(Duration::from_secs(60));
    town.github.clear_requests();
    // The event names no pull request, as always with forks.
    town.github.rerequest_check(check.id, "ada").unwrap();
    town.until("the pull request is read again", |github| {
        github.requests().iter().any(|r| r.path.ends_with(&format!("/pulls/{number}"))).then_some(())
    })
    .await;
    town.quiet().await;
    town.looked_at_writes = true;
    town.close().await;
}
