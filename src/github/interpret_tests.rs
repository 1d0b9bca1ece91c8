//! What deliveries mean, as sentences.

use super::*;
use crate::domain::facts::RunStatus;
use serde_json::{Value, json};

#[test]
fn a_pull_request_reaches_its_own_lane_in_every_action_that_matters() {
    let actions = [
        ("opened", PullAction::Opened),
        ("synchronize", PullAction::Synchronize),
        ("reopened", PullAction::Reopened),
        ("edited", PullAction::Edited),
        ("ready_for_review", PullAction::ReadyForReview),
        ("converted_to_draft", PullAction::ConvertedToDraft),
        ("labeled", PullAction::Labelled),
        ("unlabeled", PullAction::Labelled),
        ("closed", PullAction::Closed),
    ];
    for (word, expected) in actions {
        let events = events("pull_request", with(json!({"action": word, "pull_request": pull()})));
        let [(subject, Event::PullChanged { action, pull })] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(subject.to_string(), "pull_request:acme/shop#42");
        assert_eq!((*action, pull.author.as_str()), (expected, "ada"));
    }
    assert_eq!(
        ignored_because("pull_request", with(json!({"action": "locked", "pull_request": {}}))),
        "nothing follows from `pull_request.locked`"
    );
}

#[test]
fn only_a_new_comment_on_a_pull_request_counts() {
    let comment = json!({"id": 9, "body": "/plimsoll status", "user": {"login": "grace", "type": "User"},
        "created_at": "2026-01-01T00:00:00Z"});
    let on_pull = json!({"action": "created", "issue": {"number": 42, "pull_request": {}}, "comment": comment});
    let events = events("issue_comment", with(on_pull.clone()));
    let [(subject, Event::CommentCreated { comment })] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(subject.to_string(), "pull_request:acme/shop#42");
    assert_eq!((comment.by.as_str(), comment.by_bot), ("grace", false));

    let mut edited = on_pull.clone();
    edited["action"] = json!("edited");
    assert_eq!(ignored_because("issue_comment", with(edited)), "nothing follows from `issue_comment.edited`");
    let mut on_issue = on_pull;
    on_issue["issue"] = json!({"number": 42});
    assert_eq!(ignored_because("issue_comment", with(on_issue)), "a comment on an issue, not on a pull request");
}

#[test]
fn a_recheck_goes_to_the_pull_requests_or_for_a_fork_to_the_repository() {
    for name in ["check_run", "check_suite"] {
        let check = |pulls: Value| json!({"head_sha": "a".repeat(40), "pull_requests": pulls});
        let ours = check(json!([
            {"number": 42, "base": {"repo": {"id": 1}}},
            {"number": 3, "base": {"repo": {"id": 2}}},
        ]));
        let subjects = |payload| events(name, payload).iter().map(|(to, _)| to.to_string()).collect::<Vec<_>>();
        assert_eq!(subjects(with(json!({"action": "rerequested", name: ours}))), ["pull_request:acme/shop#42"]);
        let fork = check(json!([]));
        assert_eq!(subjects(with(json!({"action": "rerequested", name: fork}))), ["repository:acme/shop"]);
    }
}

#[test]
fn a_push_counts_only_on_the_default_branch() {
    let push = |git_ref: &str, deleted: bool| {
        with(json!({"ref": git_ref, "after": "a".repeat(40), "deleted": deleted, "sender": {"login": "ada"}}))
    };
    let pushed = events("push", push("refs/heads/main", false));
    let [(subject, Event::Pushed { branch, by, .. })] = pushed.as_slice() else { panic!("{pushed:?}") };
    assert_eq!((subject.to_string().as_str(), branch.as_str()), ("repository:acme/shop", "main"));
    assert_eq!(by.as_ref().map(Login::as_str), Some("ada"));
    assert_eq!(
        ignored_because("push", push("refs/heads/topic", false)),
        "a push to another branch than the default branch"
    );
    assert_eq!(ignored_because("push", push("refs/heads/main", true)), "a branch was deleted");
    assert_eq!(ignored_because("push", push("refs/tags/v1", false)), "a push to a tag, not to a branch");
}

#[test]
fn a_dispatched_run_finds_its_pipeline_by_the_key_in_its_title() {
    let run = |event: &str, title: &str| {
        with(json!({"action": "completed", "workflow_run": {
            "id": 5, "event": event, "display_title": title, "status": "completed", "conclusion": "success",
            "created_at": "2026-01-01T00:00:00Z"}}))
    };
    let told = |payload| {
        let events = events("workflow_run", payload);
        let [(subject, Event::RunChanged { run })] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(run.status, RunStatus::Succeeded);
        subject.to_string()
    };
    let key = "acme/shop/api/release-7/production/step-1/attempt-1";
    assert_eq!(told(run("workflow_dispatch", key)), "pipeline:acme/shop/api");
    assert_eq!(told(run("workflow_dispatch", "Deploy by hand")), "repository:acme/shop");
    assert_eq!(ignored_because("workflow_run", run("push", key)), "a workflow run that nobody dispatched");
}

#[test]
fn a_button_on_the_check_run_of_a_release_reaches_its_pipeline() {
    let pressed = |name: &str, app: u64, identifier: &str| {
        with(json!({"action": "requested_action", "sender": {"login": "grace", "type": "User"},
            "check_run": {"name": name, "head_sha": "a".repeat(40), "app": {"id": app}},
            "requested_action": {"identifier": identifier}}))
    };
    for name in ["plimsoll/release (api)", "plimsoll/override (api)"] {
        let events = events("check_run", pressed(name, 12345, "approve:production"));
        let [(subject, Event::ActionRequested { action, head_sha, by })] = events.as_slice() else {
            panic!("{events:?}")
        };
        assert_eq!(subject.to_string(), "pipeline:acme/shop/api");
        assert_eq!((action.as_str(), head_sha.short(), by.as_str()), ("approve:production", "aaaaaaa", "grace"));
    }
    let why = |name, app, identifier| ignored_because("check_run", pressed(name, app, identifier));
    assert_eq!(why("plimsoll/release (api)", 999, "x"), "a button on another App's check run");
    for name in ["plimsoll/policy", "plimsoll/release (api", "plimsoll/release ()", "plimsoll/release (a/b)"] {
        assert_eq!(why(name, 12345, "x"), "a button on a check run that is not of a release");
    }
    for identifier in ["", "123456789012345678901", "a\nb"] {
        assert_eq!(why("plimsoll/release (api)", 12345, identifier), "a button whose `identifier` is none of ours");
    }
    let mut nobody = pressed("plimsoll/release (api)", 12345, "x");
    nobody["sender"] = Value::Null;
    assert_eq!(ignored_because("check_run", nobody), "a button that nobody pressed");
}

#[test]
fn a_merge_group_is_for_the_repository_from_its_request_to_its_end() {
    let payload = |action: &str| {
        with(json!({"action": action, "reason": "invalidated", "merge_group": {
            "head_sha": "a".repeat(40), "head_ref": "refs/heads/gh-readonly-queue/main/pr-42-bbb",
            "base_sha": "b".repeat(40), "base_ref": "refs/heads/main"}}))
    };
    let asked = events("merge_group", payload("checks_requested"));
    let [(subject, Event::GroupRequested { group })] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(subject.to_string(), "repository:acme/shop");
    assert_eq!((group.head_ref.as_str(), group.base_ref.as_str()), ("gh-readonly-queue/main/pr-42-bbb", "main"));
    assert_eq!((group.head_sha.short(), group.base_sha.short()), ("aaaaaaa", "bbbbbbb"));
    let ended = events("merge_group", payload("destroyed"));
    let [(_, Event::GroupDestroyed { head_sha, reason })] = ended.as_slice() else { panic!("{ended:?}") };
    assert_eq!((head_sha.short(), reason.as_str()), ("aaaaaaa", "invalidated"));
    assert_eq!(ignored_because("merge_group", payload("seen")), "nothing follows from `merge_group.seen`");
}

#[test]
fn a_pull_request_that_left_the_queue_says_why() {
    let left = with(json!({"action": "dequeued", "reason": "CI_FAILURE", "pull_request": pull()}));
    let events = events("pull_request", left);
    let [(_, Event::PullChanged { .. }), (subject, Event::LeftQueue { reason })] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!((subject.to_string().as_str(), reason.as_str()), ("pull_request:acme/shop#42", "CI_FAILURE"));
}

#[test]
fn a_protection_rule_tells_its_run_only_by_an_address_of_this_repository_here() {
    let asked = |url: &str| {
        with(json!({"action": "requested", "environment": "Production", "deployment_callback_url": url,
            "deployment": {"sha": "a".repeat(40)}}))
    };
    let good = "https://api.github.com/repos/acme/shop/actions/runs/77/deployment_protection_rule";
    let events = events("deployment_protection_rule", asked(good));
    let [(subject, Event::ProtectionRequested { run, environment, sha, inputless: false })] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(subject.to_string(), "repository:acme/shop");
    assert_eq!((run.0, environment, sha.short()), (77, &EnvironmentName::new("production"), "aaaaaaa"));
    for (event, inputless) in [("push", true), ("release", true), ("workflow_dispatch", false), ("workflow_run", false)]
    {
        let mut asked = asked(good);
        asked["event"] = event.into();
        let events = self::events("deployment_protection_rule", asked);
        let told = matches!(events.as_slice(), [(_, Event::ProtectionRequested { inputless: found, .. })] if *found == inputless);
        assert!(told, "{event}: {events:?}");
    }
    for bad in [
        "https://evil.example/repos/acme/shop/actions/runs/77/deployment_protection_rule",
        "https://api.github.com.evil.example/repos/acme/shop/actions/runs/77/deployment_protection_rule",
        "https://api.github.com/repos/acme/other/actions/runs/77/deployment_protection_rule",
        "https://api.github.com/repos/acme/shop/actions/runs/77/deployment_protection_rule?x",
        "https://api.github.com/repos/acme/shop/actions/runs/77/deployment_protection_rule/",
        "https://api.github.com/repos/acme/shop/actions/runs/+77/deployment_protection_rule",
        "https://api.github.com/repos/acme/shop/actions/runs//deployment_protection_rule",
        "https://api.github.com/repos/acme/shop/actions/runs/7/7/deployment_protection_rule",
    ] {
        match interpreter().interpret("deployment_protection_rule", asked(bad).to_string().as_bytes()) {
            Interpretation::Unreadable { because } => {
                let said = "`deployment_callback_url` is not of this repository at the GitHub that is set";
                assert_eq!(because, said);
            }
            other => panic!("{bad}: {other:?}"),
        }
    }
}

#[test]
fn an_issue_counts_when_it_is_ours_and_carries_the_key_of_an_override() {
    let closed = |app: u64, kind: &str, key: &str| {
        with(json!({"action": "closed", "sender": {"login": "grace", "type": "User"}, "issue": {
            "number": 7, "body": format!("Why?\n\n<!-- plimsoll-key:{key} -->"),
            "user": {"login": "x", "type": kind}, "performed_via_github_app": {"id": app}}}))
    };
    let key = "acme/shop/api/override-3/issue";
    let events = events("issues", closed(12345, "Bot", key));
    let [(subject, Event::IssueClosed { key: found, by })] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(subject.to_string(), "pipeline:acme/shop/api");
    assert_eq!((found.to_string().as_str(), by.as_str()), (key, "grace"));
    let why = |app, kind, key| ignored_because("issues", closed(app, kind, key));
    assert_eq!(why(999, "Bot", key), "an issue that somebody else opened");
    assert_eq!(why(12345, "User", key), "an issue that somebody else opened");
    assert_eq!(why(12345, "Bot", ""), "an issue that carries no key");
    for other in [
        "acme/other/api/override-3/issue",
        "acme/shop/api/override-x/issue",
        "acme/shop/api/release-3/issue",
        "acme/shop/override-3/issue",
        "acme/shop/api/override-3/issue/more",
    ] {
        assert_eq!(why(12345, "Bot", other), "an issue whose key is not of an override of this repository");
    }
    let opened = with(json!({"action": "opened", "issue": {}}));
    assert_eq!(ignored_because("issues", opened), "nothing follows from `issues.opened`");
}

#[test]
fn access_is_told_to_the_lane_of_each_repository() {
    let told = |event, payload| {
        let told = |(subject, event): &(Subject, Event)| match event {
            Event::AccessChanged { granted } => format!("{subject} {granted}"),
            other => panic!("{other:?}"),
        };
        events(event, payload).iter().map(told).collect::<Vec<_>>()
    };
    let two = json!([{"id": 1, "full_name": "acme/shop"}, {"id": 2, "full_name": "acme/web"}]);
    for (action, granted) in [
        ("created", true),
        ("unsuspend", true),
        ("new_permissions_accepted", true),
        ("deleted", false),
        ("suspend", false),
    ] {
        let told = told("installation", json!({"action": action, "installation": {"id": 8}, "repositories": two}));
        assert_eq!(told, [format!("repository:acme/shop {granted}"), format!("repository:acme/web {granted}")]);
    }
    let both = json!({"action": "added", "installation": {"id": 8},
        "repositories_added": [{"full_name": "acme/new"}], "repositories_removed": [{"full_name": "acme/old"}]});
    assert_eq!(told("installation_repositories", both), ["repository:acme/old false", "repository:acme/new true"]);
    let none = json!({"action": "suspend", "installation": {"id": 8}});
    assert_eq!(ignored_because("installation", none), "it names no repositories");
    assert_eq!(told("repository", with(json!({"action": "deleted"}))), ["repository:acme/shop false"]);
}

#[test]
fn a_changed_repository_is_looked_at() {
    let because = |payload| match events("repository", payload).as_slice() {
        [(Subject::Repository { .. }, Event::Look { because })] => because.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(because(with(json!({"action": "renamed"}))), "the repository was renamed");
    let default_branch = json!({"action": "edited", "changes": {"default_branch": {"from": "master"}}});
    assert_eq!(because(with(default_branch)), "the default branch is another one");
    let described = with(json!({"action": "edited", "changes": {"description": {"from": null}}}));
    assert_eq!(ignored_because("repository", described), "the default branch stayed as it was");
}

#[test]
fn what_is_not_for_an_installation_or_not_known_is_ignored_with_the_reason() {
    let stray = json!({"action": "opened", "repository": {"full_name": "acme/shop"}, "pull_request": pull()});
    assert_eq!(ignored_because("pull_request", stray), "not from an installation of the App");
    assert_eq!(ignored_because("star", with(json!({"action": 7}))), "nothing follows from `star`");
    assert_eq!(ignored_because("ping", json!({"zen": "."})), "GitHub only tried whether the webhook works");
}

#[test]
fn what_cannot_be_read_is_told_by_its_place_and_never_by_its_content() {
    let because = |event: &str, body: &[u8]| match interpreter().interpret(event, body) {
        Interpretation::Unreadable { because } => because,
        other => panic!("{other:?}"),
    };
    assert_eq!(because("push", b"payload=%7B%7D"), "the payload is not JSON (line 1, column 1)");
    assert_eq!(because("star", b"{\"action\": \"hus"), "the payload ends too early (line 1, column 15)");
    assert_eq!(because("push", b"[]"), "the payload holds a value of another kind than expected (line 1, column 2)");
    assert_eq!(because("push", &[b'{', 0xff]), "the payload is not JSON (line 1, column 2)");

    let mut lacking = with(json!({"action": "opened", "pull_request": pull()}));
    lacking["pull_request"]["head"].as_object_mut().unwrap().remove("sha");
    let told = because("pull_request", lacking.to_string().as_bytes());
    assert!(told.starts_with("`pull_request` lacks the field `sha` (line 1, column "), "{told}");

    let mut wrong = with(json!({"action": "opened", "pull_request": pull()}));
    wrong["pull_request"]["number"] = json!("hush, a secret");
    let told = because("pull_request", wrong.to_string().as_bytes());
    assert!(told.starts_with("`pull_request` holds a value of another kind than expected"), "{told}");
    wrong["pull_request"] = pull();
    wrong["pull_request"]["head"]["sha"] = json!("hush, a secret");
    let told = because("pull_request", wrong.to_string().as_bytes());
    assert_eq!(told, "`pull_request.head.sha` does not hold what it should");
    wrong["repository"]["full_name"] = json!("acme/../hush");
    let told = because("pull_request", wrong.to_string().as_bytes());
    assert_eq!(told, "`repository.full_name` does not hold what it should");
}

#[test]
fn deep_nesting_does_not_exhaust_the_stack() {
    let deep =
        format!("{{\"installation\": {{\"id\": 1}}, \"action\": {}{}}}", "[".repeat(200_000), "]".repeat(200_000));
    let told = interpreter().interpret("pull_request", deep.as_bytes());
    assert!(matches!(told, Interpretation::Unreadable { .. }), "{told:?}");
    assert!(matches!(interpreter().interpret("star", deep.as_bytes()), Interpretation::Ignored { .. }));
}

#[test]
fn a_very_long_description_is_kept_in_part() {
    let mut long = pull();
    long["body"] = json!("é".repeat(60_000));
    let events = events("pull_request", with(json!({"action": "edited", "pull_request": long})));
    let [(_, Event::PullChanged { pull, .. })] = events.as_slice() else { panic!() };
    assert_eq!(pull.body.len(), wire::PULL_BODY_BYTES_MAX);
}

fn pull() -> Value {
    json!({"number": 42, "title": "Add a till", "body": "So that we can sell.", "state": "open", "draft": false,
        "user": {"login": "ada", "type": "User"}, "updated_at": "2026-01-01T00:00:00Z", "labels": [{"name": "shop"}],
        "head": {"ref": "till", "sha": "a".repeat(40), "repo": {"full_name": "acme/shop"}},
        "base": {"ref": "main", "sha": "b".repeat(40), "repo": {"full_name": "acme/shop"}}})
}

/// The payload with an installation and a repository added.
fn with(mut payload: Value) -> Value {
    payload["installation"] = json!({"id": 8});
    payload["repository"] = json!({"id": 1, "full_name": "acme/shop", "default_branch": "main"});
    payload
}

fn events(event: &str, payload: Value) -> Vec<(Subject, Event)> {
    match interpreter().interpret(event, payload.to_string().as_bytes()) {
        Interpretation::Events { installation, events } => {
            assert_eq!(installation, InstallationId(8));
            events
        }
        other => panic!("{other:?}"),
    }
}

fn ignored_because(event: &str, payload: Value) -> String {
    match interpreter().interpret(event, payload.to_string().as_bytes()) {
        Interpretation::Ignored { because } => because,
        other => panic!("{other:?}"),
    }
}

fn interpreter() -> Interpreter {
    Interpreter::new("https://api.github.com/", "12345")
}
