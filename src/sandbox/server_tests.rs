//! The sandbox as a client, a webhook listener and a person with a browser meet it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::faults::{Fault, Trouble};
use super::model::{PullEdit, RunState};
use super::{Clock, Sandbox, SandboxOptions, World};

const NOW: i64 = 1_790_000_000_000;

/// A listener that keeps what it gets; it answers 202.
struct Listener {
    url: String,
    got: Arc<std::sync::Mutex<Vec<(axum::http::HeaderMap, Bytes)>>>,
}

impl Listener {
    async fn start() -> Self {
        let got = Arc::<std::sync::Mutex<Vec<(axum::http::HeaderMap, Bytes)>>>::default();
        let kept = got.clone();
        let router = axum::Router::new().fallback(move |headers: axum::http::HeaderMap, body: Bytes| {
            let kept = kept.clone();
            async move {
                kept.lock().unwrap().push((headers, body));
                axum::http::StatusCode::ACCEPTED
            }
        });
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/github/webhook", socket.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(socket, router).await });
        Self { url, got }
    }
}

fn sandbox() -> Sandbox {
    let options = SandboxOptions { clock: Clock::Manual { start_ms: NOW }, open_pulls: 1, ..SandboxOptions::default() };
    Sandbox::start(options).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn webhooks_arrive_signed_and_can_be_delivered_again() {
    let listener = Listener::start().await;
    let sandbox = sandbox();
    sandbox.hooks(|hook| hook.lose_next = 1);
    sandbox.set_hook(&listener.url, "secret");
    sandbox.comment(1, "ada", "/plimsoll status").unwrap();
    assert!(sandbox.wait_delivered(Duration::from_secs(10)));
    let (headers, body) = listener.got.lock().unwrap().last().unwrap().clone();
    assert_eq!(headers["x-github-event"], "issue_comment");
    assert_eq!(headers["x-hub-signature-256"], super::hooks::signature("secret", &body));
    let payload: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (&payload["comment"]["body"], &payload["installation"]["id"]),
        (&json!("/plimsoll status"), &json!(50_001))
    );
    let lost = sandbox.with(|model, _| model.deliveries.values().next().unwrap().clone());
    assert_eq!((lost.event.event.as_str(), lost.event.action.as_deref()), ("pull_request", Some("opened")));
    sandbox.with(|model, now| model.redeliver(lost.id, now)).unwrap();
    assert!(sandbox.wait_delivered(Duration::from_secs(10)));
    let (headers, _) = listener.got.lock().unwrap().last().unwrap().clone();
    assert_eq!(headers["x-github-delivery"], lost.event.guid.as_str());
    sandbox.stop();
}

#[test]
fn githubs_own_signature_vector_holds() {
    assert_eq!(
        super::hooks::signature("It's a Secret to Everybody", b"Hello, World!"),
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn faults_answer_hang_up_and_hang_up_after_the_deed() {
    let sandbox = sandbox();
    let token = sandbox.with(|model, now| {
        let permissions = model.app.permissions.clone();
        model.add_token("ghs_test".to_owned(), permissions, now);
        "ghs_test"
    });
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = |url: String| http.post(url).bearer_auth(token).body(r#"{"body":"hello"}"#).send();
    let path = format!("{}/repos/acme/shop/issues/1/comments", sandbox.base_url());
    sandbox.add_fault(Fault::once("POST", "/repos/*/comments", Trouble::secondary_limit(7)));
    sandbox.add_fault(Fault::once("POST", "/repos/*/comments", Trouble::DropBefore));
    sandbox.add_fault(Fault::once("POST", "/repos/*/comments", Trouble::DropAfter));
    let limited = post(path.clone()).await.unwrap();
    assert_eq!(
        (limited.status().as_u16(), &limited.headers()["retry-after"].to_str().unwrap().to_owned()),
        (403, &"7".to_owned())
    );
    assert!(post(path.clone()).await.is_err());
    assert!(sandbox.comments(1).is_empty());
    assert!(post(path.clone()).await.is_err());
    assert_eq!(sandbox.comments(1).len(), 1);
    let enterprise = path.replace("/repos", "/api/v3/repos");
    assert_eq!(post(enterprise).await.unwrap().status(), 201);
    let requests = sandbox.requests();
    assert_eq!(requests.iter().map(|request| request.status).collect::<Vec<_>>(), [403, 0, 0, 201]);
    assert!(requests.iter().all(
        |request| request.writes() && request.route == Some("/repos/{owner}/{repo}/issues/{issue_number}/comments")
    ));
    assert_eq!(requests[3].permission, Some("pull_requests:write"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_run_executes_a_local_command_with_its_inputs() {
    let options = SandboxOptions {
        exec: Some("echo to $PLIMSOLL_INPUT_ENVIRONMENT; test $INPUT_SERVICE = api".to_owned()),
        ..SandboxOptions::default()
    };
    let sandbox = Sandbox::start(options).unwrap();
    sandbox.with(|model, now| {
        model.run_times.queued_ms = 0;
        for service in ["api", "web"] {
            let inputs = [("environment", "staging"), ("service", service), ("sha", "abc")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()));
            model.dispatch("deploy.yml", "main", inputs.into(), "ada", now).unwrap();
        }
    });
    let runs = loop {
        let runs = sandbox.runs();
        if runs.iter().all(|run| matches!(run.state, RunState::Completed { .. })) {
            break runs;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(runs.iter().map(|run| run.state.conclusion().unwrap()).collect::<Vec<_>>(), ["failure", "success"]);
    assert_eq!(runs[0].output, "to staging\n");
}

#[test]
fn a_real_repository_serves_the_same_world() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::Git { folder: folder.path().to_owned() };
    let sandbox = Sandbox::start(SandboxOptions { world, open_pulls: 3, ..SandboxOptions::default() }).unwrap();
    let summary = |sandbox: &Sandbox, number: u64| {
        sandbox.with(|model, _| {
            let files = model.pull_comparison(number).unwrap().files;
            files
                .into_iter()
                .map(|file| format!("{} {} +{} -{}", file.status.word(), file.path, file.additions, file.deletions))
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(
        summary(&sandbox, 1),
        [
            "modified services/api/src/main.rs +1 -0",
            "added services/api/src/search.rs +7 -0",
            "added services/api/tests/search.rs +4 -0",
        ]
    );
    let sha = sandbox.merge(1, "grace").unwrap();
    sandbox.push_commit("dark-web", &[("web/moved.css", "a {}\n")], "feat(web): more", "linus").unwrap();
    assert_eq!(summary(&sandbox, 2).len(), 2);
    sandbox.with(|model, now| {
        let back = model.revert(&sha, "revert-1", "grace", now).unwrap();
        let merged = model.history.branch("main").unwrap();
        assert_eq!(merged, sha);
        let files = model.history.compare(&merged, &back).unwrap().files;
        assert_eq!(files.len(), 3);
        assert!(model.history.is_ancestor(&merged, &back));
        assert!(model.history.commit("--help").is_none() && model.history.branch("--help").is_none());
        assert!(model.history.read(&merged, "../etc").is_none());
    });
    // The clone of it is replayed commit by commit.
    let copy = tempfile::tempdir().unwrap();
    let world =
        World::Own { repository: folder.path().join("shop.git"), folder: copy.path().to_owned(), replay: Some(2) };
    let replay = Sandbox::start(SandboxOptions { world, open_pulls: 1, ..SandboxOptions::default() }).unwrap();
    let titles = |sandbox: &Sandbox| {
        sandbox.with(|model, _| model.pulls.values().map(|pull| pull.title.clone()).collect::<Vec<_>>())
    };
    assert_eq!(titles(&replay), ["chore(api): name the version in the log"]);
    assert_eq!(summary(&replay, 1), ["modified services/api/src/main.rs +1 -1"]);
    replay.merge(1, "linus").unwrap();
    assert_eq!(titles(&replay).len(), 2);
    assert_eq!(summary(&replay, 2), summary(&sandbox, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn pages_show_and_obey_people_and_escape_what_is_hostile() {
    let sandbox = sandbox();
    let hostile = "<script>alert(1)</script> \"'><img src=x onerror=alert(1)>";
    sandbox.comment(1, "mallory", hostile).unwrap();
    sandbox.edit_pull(1, PullEdit { title: Some(hostile.to_owned()), ..Default::default() }, "mallory").unwrap();
    let sha = sandbox.head_sha(1).unwrap();
    let id = sandbox.with(|model, now| {
        let output = super::model::OutputWish {
            title: Some(hostile.to_owned()),
            summary: Some(format!("**low** {hostile}")),
            text: Some("| a |\n|---|\n| b |".to_owned()),
            annotations: Vec::new(),
        };
        let wish = super::model::CheckRunWish {
            name: Some("plimsoll/risk".to_owned()),
            head_sha: Some(sha),
            conclusion: Some("neutral".to_owned()),
            output: Some(output),
            actions: Some(vec![super::model::CheckAction {
                label: "<b>Approve</b>".to_owned(),
                description: hostile.chars().take(40).collect(),
                identifier: "approve".to_owned(),
            }]),
            ..Default::default()
        };
        model.open_issue(hostile, Some(hostile), &[], "plimsoll[bot]", now).unwrap();
        let tip = model.history.branch("main").unwrap();
        let status = super::model::CommitStatusWish {
            sha: &tip,
            context: "<img src=x>",
            state: "success",
            ..Default::default()
        };
        model.set_status(&status, "ada", now).unwrap();
        let inputs = [("environment", hostile), ("service", "api"), ("sha", "abc")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        model.dispatch("deploy.yml", "main", inputs.into(), "ada", now).unwrap();
        model.create_deployment(super::model::DeploymentWish::of("main", "staging"), "ada", now).unwrap();
        model.create_check_run(wish, now).unwrap()
    });
    let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let base = sandbox.web_url();
    let run = sandbox.runs()[0].id;
    for page in [
        "",
        "/pull/1",
        "/issues/2",
        "/actions",
        &format!("/actions/runs/{run}"),
        "/deployments",
        "/deliveries",
        "/commit/main",
    ] {
        let answer = http.get(format!("{base}{page}")).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{page}");
        assert!(answer.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
        let html = answer.text().await.unwrap();
        assert!(
            !html.contains("<script>alert") && !html.contains("<img") && !html.contains("http://x"),
            "{page}: {html}"
        );
    }
    let html = http.get(format!("{base}/pull/1")).send().await.unwrap().text().await.unwrap();
    assert!(html.contains("<strong>low</strong>") && html.contains("<td>b</td>"), "{html}");
    let press = |path: &str, form: &str, site: &'static str| {
        let request = http.post(format!("{base}{path}")).header("sec-fetch-site", site).body(form.to_owned());
        async move { request.send().await.unwrap().status().as_u16() }
    };
    let comment = "login=grace&body=%2Fplimsoll+status%0D%0Aplease";
    assert_eq!(press("/pull/1/comment", comment, "cross-site").await, 403);
    assert_eq!(press("/pull/1/comment", comment, "same-origin").await, 303);
    assert_eq!(sandbox.comments(1).last().unwrap().body, "/plimsoll status\nplease");
    assert_eq!(press("/pull/1/comment", "login=nobody&body=x", "same-origin").await, 422);
    assert_eq!(press(&format!("/checks/{id}/rerun"), "login=ada", "same-origin").await, 303);
    assert_eq!(press(&format!("/actions/runs/{run}/fails"), "", "same-origin").await, 303);
    assert!(sandbox.runs()[0].fails);
    assert_eq!(press("/actions/failing", "environment=staging&what=all", "same-origin").await, 303);
    sandbox.with(|model, _| model.take_events());
    sandbox.hooks(|settings| settings.paused = true);
    assert_eq!(press(&format!("/checks/{id}/action"), "login=ada&identifier=other", "same-origin").await, 404);
    assert_eq!(press(&format!("/checks/{id}/action"), "login=grace&identifier=approve", "same-origin").await, 303);
    let pressed = sandbox.with(|model, _| model.take_events()).pop().unwrap();
    assert_eq!(pressed.action.as_deref(), Some("requested_action"));
    assert_eq!(pressed.payload["requested_action"]["identifier"], "approve");
    assert_eq!(pressed.payload["sender"]["login"], "grace");
    assert_eq!(press("/issues/2/close", "login=grace", "same-origin").await, 303);
    assert!(sandbox.issues()[0].closed_at.is_some());
    sandbox.require_checks(&["ci/test"]);
    assert_eq!(press("/pull/1/enqueue", "login=mallory", "same-origin").await, 403);
    assert_eq!(press("/pull/1/enqueue", "login=grace", "same-origin").await, 303);
    assert_eq!(press("/pull/1/dequeue", "login=grace", "same-origin").await, 303);
    assert_eq!(press("/deployments/protect", "environment=production", "same-origin").await, 303);
    assert!(sandbox.with(|model, _| model.protected.contains("production")));
    let tip = sandbox.with(|model, _| model.history.branch("main")).unwrap();
    let status = "login=ada&context=ci%2Ftest&state=failure";
    assert_eq!(press(&format!("/commit/{tip}/status"), status, "same-origin").await, 303);
    assert_eq!(press("/pull/1/merge", "login=mallory", "same-origin").await, 403);
    assert_eq!(press("/pull/1/merge", "login=grace&method=merge", "same-origin").await, 303);
    assert_eq!(press("/pull/1/merge", "login=grace&method=merge", "same-origin").await, 405);
    assert_eq!(press("/pull/1/revert", "login=grace", "same-origin").await, 303);
    assert_eq!(sandbox.with(|model, _| model.pull(3).unwrap().head_ref.clone()), "revert-1-cheaper-search");
    let rebound =
        http.post(format!("{base}/pull/1/comment")).header("host", "evil.example").body(comment).send().await.unwrap();
    assert_eq!(rebound.status(), 403);
}
