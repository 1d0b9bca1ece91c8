//! Merge queue, reverts, protection rules, issues, statuses and artifacts, on the model itself.

use std::collections::BTreeMap;

use super::history::{Entry, GitHistory, History, MadeHistory, MergeMethod};
use super::model::{CheckRunWish, CommitStatusWish, Model, PullState, PullWish, RevertWish, RunState};
use super::seed;

const NOW: i64 = 1_790_000_000_000;

fn shop() -> Model {
    seed::small_shop(Box::new(MadeHistory::new()), NOW).unwrap()
}

/// Opens the shop's pull request of this index.
fn open(model: &mut Model, index: usize) -> u64 {
    let (head, title, body, author) = seed::PULLS[index];
    let wish = PullWish { head, base: "main", title, body: Some(body), author, draft: false };
    model.open_pull(&wish, NOW).unwrap()
}

fn check(model: &mut Model, sha: &str, name: &str, conclusion: &str) {
    let text = |text: &str| Some(text.to_owned());
    let status = text("completed");
    let wish = CheckRunWish {
        name: text(name),
        head_sha: text(sha),
        status,
        conclusion: text(conclusion),
        ..CheckRunWish::default()
    };
    model.create_check_run(wish, NOW).unwrap();
}

/// What the App heard since the last call, but for pushes and checks.
fn heard(model: &mut Model) -> Vec<String> {
    let events = model.take_events().into_iter();
    let told = events.map(|event| {
        let reason = event.payload["reason"].as_str().map(|reason| format!(" {reason}")).unwrap_or_default();
        let number = event.payload["number"].as_u64().map(|number| format!(" #{number}")).unwrap_or_default();
        format!("{}.{}{number}{reason}", event.event, event.action.unwrap_or_default())
    });
    told.filter(|told| !told.starts_with("push") && !told.starts_with("check_")).collect()
}

fn merged_as(model: &Model, number: u64) -> Option<String> {
    match &model.pull(number).unwrap().state {
        PullState::Merged { sha, .. } => Some(sha.clone()),
        PullState::Open | PullState::Closed { .. } => None,
    }
}

#[test]
fn a_group_is_merged_as_it_was_checked() {
    let mut model = shop();
    model.require_checks(&["plimsoll/policy", "ci/test"], NOW);
    let number = open(&mut model, 0);
    model.take_events();
    model.enqueue(number, "linus", NOW).unwrap();
    assert!(model.enqueue(number, "linus", NOW).is_err(), "it is in the queue");
    let group = model.queue[0].group.clone();
    let tip = model.history.branch("main").unwrap();
    assert_eq!(group.head_ref, format!("gh-readonly-queue/main/pr-{number}-{tip}"));
    assert_eq!(model.history.branch(&group.head_ref).as_deref(), Some(group.head_sha.as_str()));
    assert_eq!(heard(&mut model), [&format!("pull_request.enqueued #{number}"), "merge_group.checks_requested"]);

    check(&mut model, &group.head_sha, "plimsoll/policy", "success");
    assert_eq!(merged_as(&model, number), None, "a status is missing");
    for (context, state) in [("CI/test", "pending"), ("ci/test", "success")] {
        let wish = CommitStatusWish { sha: &group.head_sha, context, state, ..CommitStatusWish::default() };
        model.set_status(&wish, "ada", NOW).unwrap();
    }
    assert_eq!(merged_as(&model, number), Some(group.head_sha.clone()));
    assert_eq!(model.history.branch("main"), Some(group.head_sha));
    assert_eq!(model.history.branch(&group.head_ref), None);
    assert_eq!(
        heard(&mut model),
        [
            "merge_group.destroyed merged".to_owned(),
            format!("pull_request.dequeued #{number} MERGE"),
            format!("pull_request.closed #{number}"),
        ]
    );
}

#[test]
fn what_fails_in_the_queue_leaves_it_and_those_behind_are_tried_anew() {
    let mut model = shop();
    model.require_checks(&["plimsoll/policy"], NOW);
    let (first, second) = (open(&mut model, 0), open(&mut model, 1));
    model.enqueue(first, "linus", NOW).unwrap();
    model.enqueue(second, "grace", NOW).unwrap();
    let (one, two) = (model.queue[0].group.clone(), model.queue[1].group.clone());
    assert_eq!(two.base_sha, one.head_sha, "the second stands on the first");
    check(&mut model, &two.head_sha, "plimsoll/policy", "success");
    assert_eq!(merged_as(&model, second), None, "the first comes first");
    model.take_events();
    check(&mut model, &one.head_sha, "plimsoll/policy", "failure");
    assert_eq!(
        heard(&mut model),
        [
            "merge_group.destroyed dequeued".to_owned(),
            format!("pull_request.dequeued #{first} CI_FAILURE"),
            "merge_group.destroyed invalidated".to_owned(),
            "merge_group.checks_requested".to_owned(),
        ]
    );
    let anew = model.queue[0].group.clone();
    assert_eq!((model.queue.len(), &anew.base_sha), (1, &one.base_sha));
    check(&mut model, &anew.head_sha, "plimsoll/policy", "success");
    assert_eq!((merged_as(&model, second), merged_as(&model, first)), (Some(anew.head_sha), None));
}

#[test]
fn a_push_makes_groups_anew_and_a_pull_request_that_changes_or_closes_leaves() {
    let mut model = shop();
    model.require_checks(&["plimsoll/policy"], NOW);
    let (first, second) = (open(&mut model, 0), open(&mut model, 1));
    model.enqueue(first, "linus", NOW).unwrap();
    model.enqueue(second, "linus", NOW).unwrap();
    let files = |path: &str| [(path.to_owned(), Some(b"text\n".to_vec()))].into();
    let tip = model.push_commit("main", &files("NEWS.md"), "docs: news", "ada", NOW).unwrap();
    assert_eq!(model.queue[0].group.base_sha, tip);
    assert_eq!(model.queue[1].group.base_sha, model.queue[0].group.head_sha);
    model.push_commit(seed::PULLS[0].0, &files("more.txt"), "feat: more", "ada", NOW).unwrap();
    assert!(!model.is_queued(first) && model.queue[0].group.base_sha == tip);
    model.close_pull(second, "linus", NOW).unwrap();
    assert!(model.queue.is_empty());
    assert!(model.history.branches().iter().all(|(name, _)| !name.starts_with("gh-readonly-queue/")));
    assert!(model.dequeue(first, "linus", NOW).is_err());
}

#[test]
fn a_revert_takes_back_what_stands_and_refuses_what_changed_since() {
    let folder = tempfile::tempdir().unwrap();
    let git = GitHistory::init(&folder.path().join("shop.git"), "main").unwrap();
    let histories: [Box<dyn History + Send>; 2] = [Box::new(MadeHistory::new()), Box::new(git)];
    for history in histories {
        let mut model = seed::small_shop(history, NOW).unwrap();
        let number = open(&mut model, 0);
        assert!(model.revert_pull(number, &RevertWish::default(), "ada", NOW).is_err(), "it is not merged");
        let before = model.history.branch("main").unwrap();
        let merged = model.merge_pull(number, MergeMethod::Merge, None, None, "linus", NOW).unwrap();
        let wish = RevertWish { body: Some("Why"), draft: true, ..RevertWish::default() };
        let made = model.revert_pull(number, &wish, "plimsoll[bot]", NOW).unwrap();
        let revert = model.pull(made).unwrap().clone();
        assert_eq!(revert.title, "Revert \"feat(api): find goods by the start of their name\"");
        assert_eq!((revert.head_ref.as_str(), revert.draft), ("revert-1-cheaper-search", true));
        assert_eq!(revert.body.as_deref(), Some("Why"));
        for change in model.history.changes_of(&merged).unwrap() {
            let file = |at: &str| match model.history.read(at, &change.path) {
                Some(Entry::File { bytes, .. }) => Some(bytes),
                _ => None,
            };
            assert_eq!(file(&revert.head_sha), file(&before), "{}", change.path);
        }
        let again = model.revert_pull(number, &RevertWish::default(), "ada", NOW).unwrap();
        assert_eq!(model.pull(again).unwrap().head_ref, "revert-1-cheaper-search-1");

        let path = model.history.changes_of(&merged).unwrap()[0].path.clone();
        let files: BTreeMap<_, _> = [(path, Some(b"something else\n".to_vec()))].into();
        model.push_commit("main", &files, "feat: something else", "ada", NOW).unwrap();
        let refused = model.revert_pull(number, &RevertWish::default(), "ada", NOW).unwrap_err();
        assert_eq!(refused.message, "Pull request #1 could not be reverted: merge conflict");
    }
}

const GUARDED: &str = "name: Ship by hand\non:\n  workflow_dispatch:\n    inputs:\n      to: { required: true }\n\
    jobs:\n  ship:\n    runs-on: ubuntu-latest\n    environment: { name: '${{ inputs.to }}' }\n";

#[test]
fn a_run_waits_at_a_protection_rule_until_it_is_answered() {
    let mut model = shop();
    let files = [(".github/workflows/ship.yml".to_owned(), Some(GUARDED.as_bytes().to_vec()))].into();
    model.push_commit("main", &files, "ci: ship by hand", "ada", NOW).unwrap();
    model.protect_environment("Production", true, NOW);
    let start = |model: &mut Model, to: &str| {
        let run = model.dispatch("ship.yml", "main", [("to".to_owned(), to.to_owned())].into(), "ada", NOW);
        let run = run.unwrap().run;
        model.take_events();
        model.tick(NOW + 1_500);
        run
    };
    let free = start(&mut model, "staging");
    assert!(matches!(model.run(free).unwrap().state, RunState::InProgress { .. }));

    let run = start(&mut model, "production");
    assert_eq!(model.run(run).unwrap().status(), "waiting");
    let asked = model.take_events().into_iter().find(|event| event.event == "deployment_protection_rule").unwrap();
    assert_eq!(
        asked.payload["deployment_callback_url"],
        format!("http://127.0.0.1/repos/acme/shop/actions/runs/{run}/deployment_protection_rule")
    );
    assert_eq!(asked.payload["deployment"]["sha"], model.run(run).unwrap().head_sha.as_str());
    model.tick(NOW + 3_600_000);
    assert_eq!(model.run(run).unwrap().status(), "waiting", "time alone does not let it go on");
    let at = NOW + 3_600_000;
    assert!(model.answer_protection(run, "staging", Some("approved"), "", at).is_err());
    for _ in 0..10 {
        model.answer_protection(run, "production", None, "Still looking.", at).unwrap();
    }
    assert!(model.answer_protection(run, "production", None, "Still looking.", at).is_err(), "ten are enough");
    model.answer_protection(run, "production", Some("approved"), "It is live.", at).unwrap();
    assert_eq!(model.run(run).unwrap().status(), "in_progress");
    assert!(model.answer_protection(run, "production", Some("approved"), "", at).is_err(), "it waits no more");

    let run = start(&mut model, "production");
    model.answer_protection(run, "production", Some("rejected"), "Held.", at).unwrap();
    assert_eq!(model.run(run).unwrap().state.conclusion(), Some("failure"));
    let run = start(&mut model, "production");
    model.cancel_run(run, at).unwrap();
    model.tick(at);
    assert_eq!(
        (model.run(run).unwrap().status(), model.run(run).unwrap().state.conclusion()),
        ("completed", Some("cancelled"))
    );
}

#[test]
fn an_issue_is_closed_once_and_says_by_whom() {
    let mut model = shop();
    let number = model.open_issue("Look back", Some("Why?"), &[], "plimsoll[bot]", NOW).unwrap();
    model.close_issue(number, "grace", NOW + 5_000).unwrap();
    model.close_issue(number, "grace", NOW + 6_000).unwrap();
    let events = model.take_events();
    let told: Vec<_> = events.iter().map(|event| (event.event.as_str(), event.action.as_deref())).collect();
    assert_eq!(told, [("issues", Some("opened")), ("issues", Some("closed"))]);
    let payload = &events[1].payload;
    assert_eq!((&payload["sender"]["login"], &payload["issue"]["state"]), (&"grace".into(), &"closed".into()));
    assert_eq!(payload["issue"]["performed_via_github_app"]["slug"], "plimsoll");
    model.reopen_issue(number, "ada", NOW + 7_000).unwrap();
    assert!(model.issues[&number].closed_at.is_none() && model.issues[&number].updated_at == NOW + 7_000);
}

#[test]
fn comments_and_reviews_change_the_pull_request() {
    let mut model = shop();
    let number = open(&mut model, 0);
    let comment = model.comment(number, "grace", "nice", NOW + 1_000).unwrap();
    assert_eq!(model.pull(number).unwrap().updated_at, NOW + 1_000);
    model.edit_comment(comment, "very nice", "grace", NOW + 2_000).unwrap();
    assert_eq!(model.pull(number).unwrap().updated_at, NOW + 2_000);
    model.review(number, "grace", "APPROVED", "", NOW + 3_000).unwrap();
    assert_eq!(model.pull(number).unwrap().updated_at, NOW + 3_000);
}

#[test]
fn an_artifact_is_listed_by_its_name_and_expires() {
    let mut model = shop();
    let id = model.leave_artifact("image-api", None, NOW).unwrap();
    assert!(model.leave_artifact("a/b", None, NOW).is_err());
    assert!(model.leave_artifact("image", Some(1), NOW).is_err(), "there is no such run");
    assert_eq!(model.artifacts_of(Some("image-api"), NOW).len(), 1);
    assert!(model.artifacts_of(Some("image"), NOW).is_empty());
    model.expire_artifact(id, NOW + 1).unwrap();
    let artifact = &model.artifacts[&id];
    assert_eq!(model.artifact_json(artifact, NOW + 1)["expired"], true);
}
