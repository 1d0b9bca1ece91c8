//! Effects and probes on the wire, as sentences.

use super::*;
use crate::domain::facts::{Fact, Need};
use crate::engine::ports::GitHub;
use crate::github::script::{NOW, Play, Script, Seen};

#[tokio::test]
async fn a_check_run_is_made_in_one_request_and_changed_in_place() {
    let github = Script::start(|_, _| Play::json(201, json!({"id": 5, "html_url": "https://x.example/5"}))).await;
    let (client, _) = github.client();
    let done = client.perform(&check(CheckConclusion::Success, 0), None).await.unwrap();
    assert_eq!(done, Done { id: Some(5), url: Some("https://x.example/5".to_owned()) });
    client.perform(&check(CheckConclusion::InProgress, 0), Some(5)).await.unwrap();
    assert_eq!(github.lines(), ["POST /repos/acme/shop/check-runs", "PATCH /repos/acme/shop/check-runs/5"]);
    insta::assert_snapshot!(github.seen()[0].body, @r#"{"actions":[],"conclusion":"success","external_id":"check/plimsoll/risk/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@1","head_sha":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","name":"plimsoll/risk","output":{"summary":"Few lines.","title":"Low"},"status":"completed"}"#);
    assert_eq!(github.seen()[1].json()["status"], "in_progress");
}

#[tokio::test]
async fn annotations_go_fifty_at_a_time() {
    let github = Script::start(|_, _| Play::json(201, json!({"id": 5}))).await;
    let (client, _) = github.client();
    client.perform(&check(CheckConclusion::Failure, 120), None).await.unwrap();
    let counts: Vec<_> = github.seen().iter().map(annotations).collect();
    assert_eq!((github.lines()[1].as_str(), counts), ("PATCH /repos/acme/shop/check-runs/5", vec![50, 50, 20]));
}

#[tokio::test]
async fn annotations_that_stand_are_not_doubled_and_stale_ones_are_left_behind() {
    let standing = |messages: &'static [&'static str]| {
        let annotation = |message: &&str| json!({"path": "a.yml", "start_line": 1, "annotation_level": "failure", "message": message});
        Script::start(move |seen, _| match seen.path.contains("/annotations") {
            true => Play::json(200, messages.iter().map(annotation).collect()),
            false => Play::json(200, json!({"id": 6, "output": {"annotations_count": messages.len()}})),
        })
    };
    let github = standing(&["wrong 0"]).await;
    github.client().0.perform(&check(CheckConclusion::Failure, 2), Some(5)).await.unwrap();
    assert_eq!(github.lines()[1], "PATCH /repos/acme/shop/check-runs/5");
    assert_eq!(annotations(&github.seen()[1]), 1, "only the one that is missing");

    for (effect, lines) in [
        (check(CheckConclusion::Failure, 1), ["GET annotations", "POST /repos/acme/shop/check-runs"]),
        (
            check(CheckConclusion::Success, 0),
            ["PATCH /repos/acme/shop/check-runs/5", "POST /repos/acme/shop/check-runs"],
        ),
    ] {
        let github = standing(&["mended long ago"]).await;
        github.client().0.perform(&effect, Some(5)).await.unwrap();
        let seen: Vec<_> = github
            .lines()
            .iter()
            .map(|line| if line.contains("/annotations") { "GET annotations".to_owned() } else { line.clone() })
            .collect();
        assert_eq!(seen, lines);
    }
}

#[tokio::test]
async fn a_comment_that_somebody_deleted_is_written_anew() {
    let github = Script::start(|seen, _| match seen.method.as_str() {
        "PATCH" => Play::json(404, json!({"message": "Not Found"})),
        _ => Play::json(201, json!({"id": 10})),
    })
    .await;
    let (client, _) = github.client();
    assert_eq!(client.perform(&comment(2), Some(9)).await.unwrap().id, Some(10));
    assert_eq!(
        github.lines(),
        ["PATCH /repos/acme/shop/issues/comments/9", "POST /repos/acme/shop/issues/42/comments"]
    );
}

#[tokio::test]
async fn acts_carry_their_key_and_say_what_they_made() {
    let github = Script::start(|seen, _| match seen.path.rsplit('/').next().unwrap_or_default() {
        "dispatches" => Play::json(200, json!({"workflow_run_id": 77, "html_url": "https://x.example/77"})),
        "cancel" => Play::json(409, json!({"message": "Cannot cancel a workflow run that is completed."})),
        _ => Play::json(201, json!({"id": 3})),
    })
    .await;
    let (client, _) = github.client();
    let dispatched = client.perform(&act(dispatch()), None).await.unwrap();
    assert_eq!(dispatched, Done { id: Some(77), url: Some("https://x.example/77".to_owned()) });
    assert_eq!(client.perform(&act(deploy()), None).await.unwrap().id, Some(3));
    assert_eq!(client.perform(&act(Act::React { comment: CommentId(9) }), None).await.unwrap().id, Some(3));
    assert!(client.perform(&act(Act::CancelRun { run: RunId(77) }), None).await.is_ok(), "it ended already");
    let status =
        publish(Target::DeploymentStatus { deployment: DeploymentId(3) }, Content::Deployment(status("Live.")));
    assert_eq!(client.perform(&status, None).await.unwrap().id, Some(3));
    let told: Vec<_> = github.seen().iter().map(|seen| format!("{} {}", seen.line(), seen.body)).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    POST /repos/acme/shop/actions/workflows/deploy.yml/dispatches {"inputs":{"plimsoll_key":"acme/shop/api/release-1/production/step-1/attempt-1","sha":"abc"},"ref":"main","return_run_details":true}
    POST /repos/acme/shop/deployments {"auto_merge":false,"description":"Release 1","environment":"production","payload":{"plimsoll_key":"acme/shop/api/release-1/production/step-1/attempt-1"},"production_environment":true,"ref":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","required_contexts":[],"task":"deploy"}
    POST /repos/acme/shop/issues/comments/9/reactions {"content":"eyes"}
    POST /repos/acme/shop/actions/runs/77/cancel 
    POST /repos/acme/shop/deployments/3/statuses {"auto_inactive":true,"description":"Live.","log_url":"https://x.example/77","state":"success"}
    "#);
}

#[tokio::test]
async fn buttons_are_sent_with_a_completed_check_run_and_cut_to_what_fits() {
    let github = Script::start(|_, _| Play::json(201, json!({"id": 5}))).await;
    let (client, _) = github.client();
    let with_button = |conclusion| {
        let mut effect = check(conclusion, 0);
        let Work::Publish(Publish { content: Content::Check(content), .. }) = &mut effect.work else { panic!() };
        content.actions = vec![CheckAction {
            label: "Approve production now".to_owned(),
            description: "Says that this release may go to production at once".to_owned(),
            identifier: "approve:production-eu".to_owned(),
        }];
        effect
    };
    client.perform(&with_button(CheckConclusion::ActionRequired), None).await.unwrap();
    client.perform(&with_button(CheckConclusion::InProgress), None).await.unwrap();
    insta::assert_snapshot!(github.seen()[0].json()["actions"], @r#"[{"description":"Says that this release may go to produc…","identifier":"approve:production-e","label":"Approve production …"}]"#);
    assert_eq!(github.seen()[1].json().get("actions"), None);
}

#[tokio::test]
async fn an_issue_carries_its_key_and_a_protection_rule_its_answer() {
    let github = Script::start(|seen, _| match seen.path.ends_with("/issues") {
        true => Play::json(201, json!({"id": 900, "number": 12, "html_url": "https://x.example/issues/12"})),
        false => Play::Answer { status: 204, headers: Vec::new(), body: String::new() },
    })
    .await;
    let (client, _) = github.client();
    let opened = client.perform(&act(issue()), None).await.unwrap();
    assert_eq!(opened, Done { id: Some(12), url: Some("https://x.example/issues/12".to_owned()) });
    let answer = |state| {
        let (run, environment) = (RunId(77), EnvironmentName::new("production"));
        act(Act::AnswerProtection { run, environment, state, comment: "Release 1 holds.".to_owned() })
    };
    for state in [None, Some(ProtectionState::Approved), Some(ProtectionState::Rejected)] {
        assert_eq!(client.perform(&answer(state), None).await.unwrap().id, Some(77));
    }
    let told: Vec<_> = github.seen().iter().map(|seen| format!("{} {}", seen.line(), seen.body)).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    POST /repos/acme/shop/issues {"body":"Barbara overrode `risk`.\n\n<!-- plimsoll-key:acme/shop/api/release-1/production/step-1/attempt-1 -->","title":"Look back at an override"}
    POST /repos/acme/shop/actions/runs/77/deployment_protection_rule {"comment":"Release 1 holds.","environment_name":"production"}
    POST /repos/acme/shop/actions/runs/77/deployment_protection_rule {"comment":"Release 1 holds.","environment_name":"production","state":"approved"}
    POST /repos/acme/shop/actions/runs/77/deployment_protection_rule {"comment":"Release 1 holds.","environment_name":"production","state":"rejected"}
    "#);
}

#[tokio::test]
async fn a_pull_request_is_reverted_by_its_node_id() {
    let github = Script::start(|seen, _| {
        let made = json!({"data": {"revertPullRequest": {"revertPullRequest":
            {"number": 43, "url": "https://x.example/pull/43"}}}});
        let found = json!({"data": {"repository": {"pullRequest": {"id": "PR_7"}}}});
        Play::json(200, if seen.body.contains("mutation") { made } else { found })
    })
    .await;
    // A GitHub Enterprise Server has GraphQL beside its REST API.
    for (base, path) in [("", "/graphql"), ("/api/v3", "/api/graphql")] {
        let (client, _) = github.client_with(|settings| settings.base_url.push_str(base));
        let done = client.perform(&act(revert()), None).await.unwrap();
        assert_eq!(done, Done { id: Some(43), url: Some("https://x.example/pull/43".to_owned()) });
        assert_eq!(github.lines()[github.lines().len() - 2..], [format!("POST {path}"), format!("POST {path}")]);
    }
    let said = github.seen()[..2].iter().map(|seen| seen.body.clone()).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(said, @r#"
    {"query":"query($owner: String!, $name: String!, $number: Int!) { repository(owner: $owner, name: $name) { pullRequest(number: $number) { id } } }","variables":{"name":"shop","number":42,"owner":"acme"}}
    {"query":"mutation($input: RevertPullRequestInput!) { revertPullRequest(input: $input) { revertPullRequest { number url } } }","variables":{"input":{"body":"Reverts acme/shop#42\n\n<!-- plimsoll-key:acme/shop/api/release-1/production/step-1/attempt-1 -->","draft":true,"pullRequestId":"PR_7","title":"Revert \"Add a till\""}}}
    "#);
}

#[tokio::test]
async fn what_graphql_says_no_to_is_refused_and_what_it_broke_on_is_uncertain() {
    let told = |errors: serde_json::Value, on_mutation: bool| async move {
        let github = Script::start(move |seen, _| {
            let found = json!({"data": {"repository": {"pullRequest": {"id": "PR_7"}}}});
            let fails = seen.body.contains("mutation") == on_mutation;
            Play::json(200, if fails { json!({"data": null, "errors": errors}) } else { found })
        })
        .await;
        github.client().0.perform(&act(revert()), None).await.unwrap_err()
    };
    let conflict = json!([{"type": "UNPROCESSABLE", "message": "Pull request could not be reverted: merge conflict"}]);
    insta::assert_snapshot!(told(conflict, true).await, @"GitHub refused `revert #42` with 422: Pull request could not be reverted: merge conflict");
    let missing =
        json!([{"type": "NOT_FOUND", "message": "Could not resolve to a PullRequest with the number of 42."}]);
    insta::assert_snapshot!(told(missing, false).await, @"GitHub refused `revert #42` with 422: Could not resolve to a PullRequest with the number of 42.");
    let broke = json!([{"message": "Something went wrong while executing your query."}]);
    assert!(matches!(told(broke.clone(), true).await, GitHubError::Uncertain { .. }));
    assert!(matches!(told(broke, false).await, GitHubError::Unavailable { .. }), "nothing was changed yet");
    let limited = json!([{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]);
    assert!(matches!(told(limited, true).await, GitHubError::Wait { .. }));
}

#[tokio::test]
async fn a_dispatch_without_details_is_done_without_a_number() {
    let github = Script::start(|_, _| Play::Answer { status: 204, headers: Vec::new(), body: String::new() }).await;
    let (client, _) = github.client();
    assert_eq!(client.perform(&act(dispatch()), None).await, Ok(Done { id: None, url: None }));
}

#[tokio::test]
async fn a_view_in_the_wrong_place_is_refused_before_anything_is_sent() {
    let github = Script::start(|_, _| Play::json(201, json!({"id": 3}))).await;
    let (client, _) = github.client();
    let wrong = publish(Target::DeploymentStatus { deployment: DeploymentId(3) }, Content::Comment(String::new()));
    assert!(matches!(client.perform(&wrong, None).await, Err(GitHubError::Refused { status: 422, .. })));
    assert!(github.lines().is_empty());
}

#[tokio::test]
async fn what_stands_is_found_by_its_key_and_nothing_else_is_taken_for_it() {
    let key = "acme/shop/api/release-1/production/step-1/attempt-1";
    let by = |id: u32, title: &str, actor: &str| {
        json!({"id": id, "event": "workflow_dispatch", "display_title": title, "actor": {"login": actor, "type": "Bot"},
        "status": "queued", "html_url": "https://x.example", "created_at": "2023-11-14T22:13:20Z"})
    };
    let run = |id: u32, title: &str| by(id, title, "plimsoll[bot]");
    let ours = format!("check/plimsoll/risk/{}@1", "a".repeat(40));
    let check_run = |id: u32, external_id: &str, app: u32| json!({"id": id, "name": "plimsoll/risk", "external_id": external_id, "app": {"id": app}});
    let body = comment_body(&living(2), "Low risk.");
    let said = |id: u32, kind: &str, body: &str| json!({"id": id, "body": body, "user": {"login": "x", "type": kind}, "created_at": "2023-11-14T22:13:20Z"});
    let listed = |number: u32, kind: &str, key: &str| {
        json!({"id": 1, "number": number, "user": {"login": "x", "type": kind},
        "body": format!("Why\n\n<!-- plimsoll-key:{key} -->")})
    };
    let other = body.replace("generation:2", "generation:1");
    let answers = [
        (
            "/runs?",
            json!({"workflow_runs": [run(1, &format!("{key}0")), run(2, key), run(3, "Deploy"),
            by(4, key, "mallory"), by(5, key, "github-actions[bot]")]}),
        ),
        ("/app", json!({"id": 12345, "slug": "plimsoll"})),
        (
            "/check-runs?",
            json!({"check_runs":
            [check_run(1, "other", 12345), check_run(2, &ours, 999), check_run(3, &ours, 12345)]}),
        ),
        ("/issues?", json!([listed(7, "Bot", &format!("{key}0")), listed(8, "User", key), listed(9, "Bot", key)])),
        ("/pulls?", json!([listed(5, "Bot", "other"), listed(4, "Bot", key)])),
        ("/comments?", json!([said(1, "User", &body), said(2, "Bot", &other), said(3, "Bot", &body)])),
        ("/deployments?", json!([{"id": 1, "payload": {}}, {"id": 2, "payload": {"plimsoll_key": key}}])),
        (
            "/statuses?",
            json!([
                {"id": 8, "state": "success", "description": "Live."},
                {"id": 7, "state": "in_progress", "description": "On its way."},
            ]),
        ),
    ];
    let github = Script::start(move |seen: &Seen, _| {
        let found = answers.iter().find(|(part, _)| seen.path.contains(part));
        Play::json(200, found.unwrap().1.clone())
    })
    .await;
    let (client, _) = github.client();
    let deployment = DeploymentId(3);
    let shown = |words: &str| publish(Target::DeploymentStatus { deployment }, Content::Deployment(status(words)));
    let on_its_way = DeploymentContent { state: DeploymentState::InProgress, ..status("On its way.") };
    for (effect, expected) in [
        (act(dispatch()), Some(2)),
        (check(CheckConclusion::Success, 0), Some(3)),
        (comment(2), Some(3)),
        (comment(3), None),
        (act(deploy()), Some(2)),
        (shown("Live."), Some(8)),
        (shown("Live!"), None),
        (publish(Target::DeploymentStatus { deployment }, Content::Deployment(on_its_way)), None),
        (act(Act::React { comment: CommentId(9) }), None),
        (act(Act::CancelRun { run: RunId(77) }), None),
        (act(issue()), Some(9)),
        (act(revert()), Some(4)),
    ] {
        let found = client.probe(&effect, NOW).await.unwrap();
        assert_eq!(found.and_then(|done| done.id), expected, "{effect:?}");
    }
    let lines = github.lines();
    insta::assert_snapshot!(lines[..3].join("\n"), @r"
    GET /repos/acme/shop/actions/workflows/deploy.yml/runs?event=workflow_dispatch&created=%3E%3D2023-11-14T22%3A12%3A20Z&per_page=100
    GET /app
    GET /repos/acme/shop/commits/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/check-runs?check_name=plimsoll%2Frisk&filter=all&per_page=100
    ");
}

#[tokio::test]
async fn no_permission_to_look_is_no_proof_that_nothing_stands() {
    let github = Script::start(|_, _| Play::json(403, json!({"message": "No"}))).await;
    let (client, _) = github.client();
    assert!(matches!(client.probe(&act(dispatch()), NOW).await, Err(GitHubError::Refused { status: 403, .. })));
    let github = Script::start(|_, _| Play::json(404, json!({"message": "Not Found"}))).await;
    let (client, _) = github.client();
    assert_eq!(client.probe(&act(dispatch()), NOW).await, Ok(None), "without the workflow there is no run of it");
    let need = Need::RunByKey { workflow: WorkflowFile::new(".."), key: EffectKey::new("k"), since: NOW };
    let told = client.observe(InstallationId(8), &shop(), &need).await.unwrap();
    assert!(matches!(told, Fact::Absent(_)));
}

fn shop() -> RepoName {
    RepoName::parse("acme/shop").unwrap()
}

fn sha() -> Sha {
    Sha::parse(&"a".repeat(40)).unwrap()
}

fn effect(work: Work) -> Effect {
    Effect {
        key: EffectKey::new("acme/shop/api/release-1/production/step-1/attempt-1"),
        subject: Subject::Repository { repo: shop() },
        installation: InstallationId(8),
        work,
    }
}

fn act(act: Act) -> Effect {
    effect(Work::Act(act))
}

fn publish(target: Target, content: Content) -> Effect {
    effect(Work::Publish(Publish { target, generation: 1, content }))
}

fn dispatch() -> Act {
    Act::DispatchWorkflow {
        workflow: WorkflowFile::new("deploy.yml"),
        branch: RefName::new("main"),
        inputs: [("sha".to_owned(), "abc".to_owned())].into(),
    }
}

fn issue() -> Act {
    Act::OpenIssue { title: "Look back at an override".to_owned(), body: "Barbara overrode `risk`.\n".to_owned() }
}

fn revert() -> Act {
    let (title, body) = ("Revert \"Add a till\"".to_owned(), "Reverts acme/shop#42".to_owned());
    Act::RevertPull { pull: PullNumber(42), title, body }
}

fn deploy() -> Act {
    Act::CreateDeployment {
        sha: sha(),
        environment: EnvironmentName::new("production"),
        task: "deploy".to_owned(),
        description: "Release 1".to_owned(),
        production: true,
    }
}

fn status(description: &str) -> DeploymentContent {
    DeploymentContent {
        state: DeploymentState::Success,
        description: description.to_owned(),
        log_url: Some("https://x.example/77".to_owned()),
    }
}

fn living(generation: u64) -> Publish {
    let target = Target::LivingComment { number: PullNumber(42) };
    Publish { target, generation, content: Content::Comment("Low risk.".to_owned()) }
}

fn comment(generation: u64) -> Effect {
    effect(Work::Publish(living(generation)))
}

fn check(conclusion: CheckConclusion, annotations: usize) -> Effect {
    let annotation = |number| Annotation {
        path: "a.yml".to_owned(),
        line: 1,
        column: None,
        level: AnnotationLevel::Failure,
        message: format!("wrong {number}"),
    };
    let content = CheckContent {
        conclusion,
        title: "Low".to_owned(),
        summary: "Few lines.".to_owned(),
        text: None,
        actions: Vec::new(),
        annotations: (0..annotations).map(annotation).collect(),
        asked: 0,
    };
    publish(Target::CheckRun { name: "plimsoll/risk".to_owned(), head_sha: sha() }, Content::Check(content))
}

fn annotations(seen: &Seen) -> usize {
    seen.json()["output"]["annotations"].as_array().map_or(0, Vec::len)
}
