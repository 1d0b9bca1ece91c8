//! The sandbox GitHub answers every route, and tells every event, in the shapes that GitHub describes.
//!
//! The story is told here, in process; `tests/conformance/answers.mjs` compares what was said with GitHub's own
//! description. Whether an answer is the right one is for the tests of the sandbox.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use plimsoll::sandbox::history::MadeHistory;
use plimsoll::sandbox::keys::AppKey;
use plimsoll::sandbox::model::{CheckRunWish, DeliveryResult, Model, OutgoingEvent, PullEdit};
use plimsoll::sandbox::{api, seed};
use serde_json::{Value, json};

const NOW: i64 = 1_790_000_000_000;
const REPO: &str = "/repos/acme/shop";

#[test]
fn every_answer_and_every_event_of_the_sandbox_fits_githubs_description() {
    let mut world = World::new();
    the_app_and_its_installation(&mut world);
    the_repository(&mut world);
    let number = pull_requests(&mut world);
    talk(&mut world, number);
    let head = checks(&mut world, number);
    deployments_and_runs(&mut world, &head);
    the_life_of_pull_requests(&mut world, number);
    the_merge_queue(&mut world);
    issues_statuses_and_artifacts(&mut world);
    protected_environments(&mut world);
    deliveries(&mut world);
    the_end_of_the_installation(&mut world);
    assert_eq!(world.routes_without_a_good_answer(), Vec::<String>::new());
    assert_eq!(world.judged(), "");
}

fn the_app_and_its_installation(world: &mut World) {
    world.ask_as_app("GET", "/app", None);
    world.ask_as_app("GET", "/app/installations", None);
    world.ask_as_app("GET", "/app/installations/50001", None);
    world.ask_as_app("GET", "/app/installations/1", None);
    world.ask_as_app("GET", &format!("{REPO}/installation"), None);
    world.ask_as_app("GET", "/orgs/acme/installation", None);
    let tokens = "/app/installations/50001/access_tokens";
    let narrow = json!({ "repositories": ["shop"], "permissions": { "checks": "write", "contents": "read" } });
    world.ask_as_app("POST", tokens, Some(narrow));
    let token = world.ask_as_app("POST", tokens, None);
    world.token = token["token"].as_str().unwrap().to_owned();
    world.get("/installation/repositories");
    world.get("/rate_limit");
    world.model.suspend_installation("grace", NOW);
    world.ask_as_app("GET", "/app/installations/50001", None);
    world.get(REPO);
    world.model.unsuspend_installation("grace", NOW);
    world.model.set_repository_installed(false, "grace", NOW);
    world.model.set_repository_installed(true, "grace", NOW);
}

fn the_repository(world: &mut World) {
    world.get(REPO);
    for rest in ["", "/.github", "/.github/plimsoll.yml?ref=main", "/nothing.txt"] {
        world.get(&format!("{REPO}/contents{rest}"));
    }
    let tip = world.get(&format!("{REPO}/branches/main"))["commit"]["sha"].as_str().unwrap().to_owned();
    for rest in ["main", "cheaper-search", "nope", &tip, "main/status", "main/check-suites"] {
        world.get(&format!("{REPO}/commits/{rest}"));
    }
    world.get(&format!("{REPO}/commits?sha=main&per_page=3"));
    for basehead in ["main...cheaper-search", "main...main", "cheaper-search...main?per_page=1", "main...nope"] {
        world.get(&format!("{REPO}/compare/{basehead}"));
    }
    world.get(&format!("{REPO}/git/ref/heads/main"));
    world.send("POST", "/git/refs", json!({ "ref": "refs/heads/topic/one", "sha": tip }));
    world.get(&format!("{REPO}/branches/topic/one"));
    for login in ["ada", "grace", "mallory", "nobody"] {
        world.get(&format!("{REPO}/collaborators/{login}/permission"));
    }
    for login in ["grace", "ada"] {
        world.get(&format!("/orgs/acme/teams/release-managers/memberships/{login}"));
    }
    world.get("/orgs/acme/teams/release-managers/members");
}

/// Opens one pull request and returns its number.
fn pull_requests(world: &mut World) -> u64 {
    let wish = json!({ "head": "cheaper-search", "base": "main", "title": "feat(api): search", "body": "It finds." });
    let number = world.send("POST", "/pulls", wish)["number"].as_u64().unwrap();
    world.send("POST", "/pulls", json!({ "head": "nope", "base": "main", "title": "?" }));
    world.model.review(number, "grace", "APPROVED", "fine", NOW).unwrap();
    world.get(&format!("{REPO}/pulls?state=all&sort=updated&direction=desc&per_page=100"));
    for rest in ["", "/files?per_page=100", "/commits", "/reviews"] {
        world.get(&format!("{REPO}/pulls/{number}{rest}"));
        world.get(&format!("{REPO}/pulls/99{rest}"));
    }
    world.send("PATCH", &format!("/pulls/{number}"), json!({ "title": "feat(api): a search" }));
    let head = world.model.pull(number).unwrap().head_sha.clone();
    world.get(&format!("{REPO}/commits/{head}/pulls"));
    number
}

fn talk(world: &mut World, number: u64) {
    let theirs = world.model.comment(number, "grace", "/plimsoll status", NOW).unwrap();
    world.model.comment(number, "mallory", "nice", NOW).unwrap();
    world.model.edit_comment(theirs, "/plimsoll help", "grace", NOW).unwrap();
    let reactions = format!("/issues/comments/{theirs}/reactions");
    world.send("POST", &reactions, json!({ "content": "eyes" }));
    world.send("POST", &reactions, json!({ "content": "eyes" }));
    world.get(&format!("{REPO}{reactions}"));
    let comments = format!("/issues/{number}/comments");
    world.get(&format!("{REPO}{comments}?since=2020-01-01T00:00:00Z&per_page=100"));
    let ours = world.send("POST", &comments, json!({ "body": "hello" }))["id"].as_u64().unwrap();
    world.send("POST", "/issues/99/comments", json!({ "body": "nobody is here" }));
    world.send("POST", &comments, json!({ "body": "" }));
    world.get(&format!("{REPO}/issues/comments/{ours}"));
    world.send("PATCH", &format!("/issues/comments/{ours}"), json!({ "body": "hello again" }));
    world.delete(&format!("/issues/comments/{ours}"));
    world.send("POST", &format!("/issues/{number}/labels"), json!({ "labels": ["risky"] }));
    world.get(&format!("{REPO}/issues/{number}/labels"));
    world.get(&format!("{REPO}/issues/{number}"));
    world.delete(&format!("/issues/{number}/labels/risky"));
    let issue = world.send("POST", "/issues", json!({ "title": "It is slow", "body": "Very.", "labels": ["bug"] }));
    world.get(&format!("{REPO}/issues/{}", issue["number"]));
}

/// Fills the head with check runs and returns it.
fn checks(world: &mut World, number: u64) -> String {
    let head = world.model.pull(number).unwrap().head_sha.clone();
    let note = json!({ "path": ".github/plimsoll.yml", "start_line": 1, "end_line": 1, "annotation_level": "failure",
        "message": "no" });
    let policy = json!({ "name": "plimsoll/policy", "head_sha": head, "status": "completed", "conclusion": "failure",
        "completed_at": "2026-11-22T10:00:00Z", "external_id": "k",
        "output": { "title": "t", "summary": "s", "text": "x", "annotations": [note] },
        "actions": [{ "label": "Fix", "description": "d", "identifier": "fix" }] });
    let policy = world.send("POST", "/check-runs", policy)["id"].as_u64().unwrap();
    let risk = json!({ "name": "plimsoll/risk", "head_sha": head, "status": "in_progress" });
    let risk = world.send("POST", "/check-runs", risk)["id"].as_u64().unwrap();
    let done = json!({ "status": "completed", "conclusion": "neutral", "output": { "title": "t", "summary": "s" } });
    world.send("PATCH", &format!("/check-runs/{risk}"), done);
    world.get(&format!("{REPO}/check-runs/{policy}"));
    world.get(&format!("{REPO}/check-runs/{policy}/annotations"));
    world.get(&format!("{REPO}/commits/{head}/check-runs?check_name=plimsoll/policy&filter=latest"));
    world.get(&format!("{REPO}/commits/{head}/check-suites"));
    world.model.request_action(policy, "fix", "ada", NOW).unwrap();
    world.model.rerequest_check(policy, "ada", NOW).unwrap();
    world.model.rerequest_suite(&head, "ada", NOW).unwrap();
    head
}

fn deployments_and_runs(world: &mut World, sha: &str) {
    let key = "acme/shop/api/release-1/staging/step-1/attempt-1";
    let wish = json!({ "ref": sha, "environment": "staging", "task": "deploy", "auto_merge": false,
        "required_contexts": [], "payload": { "plimsoll_key": key }, "description": "d" });
    let deployment = world.send("POST", "/deployments", wish)["id"].as_u64().unwrap();
    let statuses = format!("/deployments/{deployment}/statuses");
    world.send("POST", &statuses, json!({ "state": "queued" }));
    let addresses = json!({ "state": "success", "description": "x", "log_url": "https://example.com/log",
        "environment_url": "https://example.com" });
    world.send("POST", &statuses, addresses);
    world.get(&format!("{REPO}{statuses}"));
    world.get(&format!("{REPO}/deployments/{deployment}"));
    world.get(&format!("{REPO}/deployments?sha={sha}&environment=staging&task=deploy"));
    world.get(&format!("{REPO}/deployments/12345/statuses"));
    world.get(&format!("{REPO}/environments"));
    world.get(&format!("{REPO}/environments/staging"));

    world.get(&format!("{REPO}/actions/workflows"));
    world.get(&format!("{REPO}/actions/workflows/deploy.yml"));
    let dispatches = "/actions/workflows/deploy.yml/dispatches";
    let inputs = json!({ "environment": "staging", "service": "api", "sha": sha, "plimsoll_key": key });
    let told = json!({ "ref": "main", "inputs": inputs, "return_run_details": true });
    let good = world.send("POST", dispatches, told.clone())["workflow_run_id"].as_u64().unwrap();
    world.send("POST", dispatches, json!({ "ref": "main", "inputs": inputs }));
    world.send("POST", dispatches, json!({ "ref": "nope", "inputs": inputs }));
    world.send("POST", "/actions/workflows/nope.yml/dispatches", json!({ "ref": "main" }));
    world.get(&format!("{REPO}/actions/runs/{good}"));
    world.send(
        "POST",
        &format!("/actions/runs/{good}/deployment_protection_rule"),
        json!({ "environment_name": "staging", "state": "approved", "comment": "fine" }),
    );
    world.later(600);
    world.model.to_fail.push(None);
    let bad = world.send("POST", dispatches, told.clone())["workflow_run_id"].as_u64().unwrap();
    let ended = world.send("POST", dispatches, told)["workflow_run_id"].as_u64().unwrap();
    world.send("POST", &format!("/actions/runs/{ended}/cancel"), json!({}));
    world.send("POST", &format!("/actions/runs/{good}/cancel"), json!({}));
    world.later(600);
    for id in [good, bad, ended, 1] {
        world.get(&format!("{REPO}/actions/runs/{id}"));
    }
    world.get(&format!("{REPO}/actions/runs"));
    world.get(&format!("{REPO}/actions/workflows/deploy.yml/runs?event=workflow_dispatch&per_page=100"));
}

fn the_life_of_pull_requests(world: &mut World, number: u64) {
    let model = &mut world.model;
    model.set_draft(number, true, "ada", NOW).unwrap();
    model.set_draft(number, false, "ada", NOW).unwrap();
    let other = PullEdit { body: Some("It finds more.".to_owned()), ..PullEdit::default() };
    model.edit_pull(number, other, "ada", NOW).unwrap();
    let files = BTreeMap::from([("services/api/a.rs".to_owned(), Some(b"// a\n".to_vec()))]);
    model.push_commit("cheaper-search", &files, "fix(api): a", "ada", NOW).unwrap();
    model.close_pull(number, "ada", NOW).unwrap();
    model.reopen_pull(number, "ada", NOW).unwrap();
    world.send("PUT", &format!("/pulls/{number}/merge"), json!({ "merge_method": "squash" }));
    world.send("PUT", &format!("/pulls/{number}/merge"), json!({}));
    world.get(&format!("{REPO}/pulls/{number}"));
    world.get(&format!("{REPO}/pulls?state=closed"));
    let merged = world.get(&format!("{REPO}/commits/main"))["sha"].as_str().unwrap().to_owned();
    world.get(&format!("{REPO}/commits/{merged}/pulls"));
    let dark = json!({ "head": "dark-web", "base": "main", "title": "feat(web): dark", "draft": true });
    let from_fork = world.send("POST", "/pulls", dark)["number"].as_u64().unwrap();
    world.model.make_fork(from_fork, "mallory").unwrap();
    world.get(&format!("{REPO}/pulls/{from_fork}"));
    world.model.label(from_fork, "risky", "ada", NOW).unwrap();
}

fn the_merge_queue(world: &mut World) {
    world.model.require_checks(&["ci/test"], NOW);
    let files = [("QUEUE.md".to_owned(), Some(b"Queue\n".to_vec()))].into();
    world.model.push_commit("queued", &files, "docs: queue", "ada", NOW).unwrap();
    let wish = json!({ "head": "queued", "base": "main", "title": "docs: queue" });
    let number = world.send("POST", "/pulls", wish)["number"].as_u64().unwrap();
    world.model.enqueue(number, "linus", NOW).unwrap();
    let group = world.model.queue[0].group.head_sha.clone();
    world.send("POST", &format!("/statuses/{group}"), json!({ "state": "failure", "context": "ci/test" }));
    world.model.enqueue(number, "linus", NOW).unwrap();
    let files = [("NEWS.md".to_owned(), Some(b"News\n".to_vec()))].into();
    world.model.push_commit("main", &files, "docs: news", "ada", NOW).unwrap();
    let group = world.model.queue[0].group.head_sha.clone();
    world.send(
        "POST",
        &format!("/statuses/{group}"),
        json!({ "state": "success", "context": "ci/test", "description": "well", "target_url": "https://ci.example/1" }),
    );
    assert!(world.model.queue.is_empty());
    world.send("POST", &format!("/statuses/{group}"), json!({ "state": "odd" }));
    world.get(&format!("{REPO}/commits/{group}/status?per_page=100"));
    let id = json!({ "query": "query { repository { pullRequest(number: $number) { id } } }",
        "variables": { "owner": "acme", "name": "shop", "number": number } });
    let graphql = |world: &mut World, body: Value| {
        let bearer = world.bearer();
        world.ask("POST", "/graphql", bearer, Some(body))
    };
    let id = graphql(world, id)["data"]["repository"]["pullRequest"]["id"].clone();
    let revert = json!({ "query": "mutation { revertPullRequest(input: $input) { revertPullRequest { number url } } }",
        "variables": { "input": { "pullRequestId": id, "draft": true } } });
    let made = graphql(world, revert.clone());
    assert!(made["data"]["revertPullRequest"]["revertPullRequest"]["number"].is_u64(), "{made}");
    let missing = graphql(world, json!({ "query": "mutation { other }" }));
    assert!(missing["errors"][0]["message"].is_string(), "{missing}");
}

fn issues_statuses_and_artifacts(world: &mut World) {
    let wish = json!({ "title": "Look back", "body": "Why?", "labels": ["override"] });
    let number = world.send("POST", "/issues", wish)["number"].as_u64().unwrap();
    world.get(&format!("{REPO}/issues?state=all&sort=created&direction=desc&since=2020-01-01T00:00:00Z"));
    world.model.close_issue(number, "grace", NOW).unwrap();
    world.model.reopen_issue(number, "grace", NOW).unwrap();
    world.send("PATCH", &format!("/issues/{number}"), json!({ "state": "closed" }));
    let tip = world.model.history.branch("main").unwrap();
    let text = |text: &str| Some(text.to_owned());
    let wish = CheckRunWish {
        name: text("build"),
        head_sha: text(&tip),
        conclusion: text("success"),
        ..CheckRunWish::default()
    };
    let build = world.model.create_check_run_of(Some("github-actions"), wish, NOW).unwrap();
    world.get(&format!("{REPO}/commits/{tip}/check-runs?filter=latest&per_page=100"));
    world.send("PATCH", &format!("/check-runs/{build}"), json!({ "conclusion": "failure" }));
    let run = world.model.runs.keys().next().copied();
    world.model.leave_artifact("image", run, NOW).unwrap();
    world.model.leave_artifact("image", None, NOW).unwrap();
    world.get(&format!("{REPO}/actions/artifacts?name=image&per_page=100"));
}

fn protected_environments(world: &mut World) {
    let text = "on: workflow_dispatch\njobs:\n  ship:\n    environment: guarded\n    runs-on: ubuntu-latest\n";
    let files = [(".github/workflows/guarded.yml".to_owned(), Some(text.as_bytes().to_vec()))].into();
    world.model.push_commit("main", &files, "ci: guard", "ada", NOW).unwrap();
    world.model.protect_environment("guarded", true, NOW);
    let run = world.model.dispatch("guarded.yml", "main", BTreeMap::new(), "ada", world.now).unwrap().run;
    world.later(2);
    let path = format!("/actions/runs/{run}/deployment_protection_rule");
    world.get(&format!("{REPO}/actions/runs/{run}"));
    world.get(&format!("{REPO}/environments/guarded"));
    world.send("POST", &path, json!({ "environment_name": "guarded", "comment": "Looking." }));
    world.send("POST", &path, json!({ "environment_name": "guarded", "state": "approved", "comment": "Well." }));
    world.send("POST", &path, json!({ "environment_name": "guarded", "state": "approved", "comment": "Well." }));
}

fn deliveries(world: &mut World) {
    let results = [
        DeliveryResult::Answered { status: 202, body: "taken".to_owned() },
        DeliveryResult::Answered { status: 500, body: "broke".to_owned() },
        DeliveryResult::Failed { why: "timed out".to_owned() },
    ];
    let events = world.heard();
    let ids: Vec<u64> =
        events.into_iter().zip(results).map(|(event, how)| world.model.record_delivery(event, NOW, 12, how)).collect();
    world.ask_as_app("GET", "/app/hook/deliveries?per_page=2", None);
    for id in ids {
        world.ask_as_app("GET", &format!("/app/hook/deliveries/{id}"), None);
        world.ask_as_app("POST", &format!("/app/hook/deliveries/{id}/attempts"), None);
    }
}

fn the_end_of_the_installation(world: &mut World) {
    world.model.delete_installation("grace", NOW);
    world.ask_as_app("GET", "/app/installations", None);
    world.ask_as_app("POST", "/app/installations/50001/access_tokens", None);
    world.get(REPO);
    world.model.create_installation("grace", NOW);
}

/// A sandbox, asked in process, and all that it said.
struct World {
    model: Model,
    key: Arc<AppKey>,
    token: String,
    now: i64,
    answers: Vec<Value>,
    events: Vec<Value>,
}

impl World {
    fn new() -> Self {
        let model = seed::small_shop(Box::new(MadeHistory::new()), NOW).unwrap();
        let key = AppKey::shared().unwrap();
        Self { model, key, token: String::new(), now: NOW, answers: Vec::new(), events: Vec::new() }
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    fn get(&mut self, path: &str) -> Value {
        self.ask("GET", path, format!("Bearer {}", self.token), None)
    }

    fn delete(&mut self, rest: &str) -> Value {
        self.ask("DELETE", &format!("{REPO}{rest}"), format!("Bearer {}", self.token), None)
    }

    fn send(&mut self, method: &str, rest: &str, body: Value) -> Value {
        self.ask(method, &format!("{REPO}{rest}"), format!("Bearer {}", self.token), Some(body))
    }

    fn ask_as_app(&mut self, method: &str, path: &str, body: Option<Value>) -> Value {
        let at = self.now / 1000;
        let claims = json!({ "iss": self.model.app.id.to_string(), "iat": at - 60, "exp": at + 500 });
        let key = EncodingKey::from_rsa_pem(self.key.private_pem().as_bytes()).unwrap();
        let jwt = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).unwrap();
        self.ask(method, path, format!("Bearer {jwt}"), body)
    }

    fn ask(&mut self, method: &str, path: &str, authorization: String, body: Option<Value>) -> Value {
        let (place, query) = path.split_once('?').unwrap_or((path, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let request = api::Request {
            method: method.to_owned(),
            path: place.to_owned(),
            query: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            authorization: Some(authorization),
            if_none_match: None,
            accept: None,
            version: None,
            body: body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string())),
        };
        let reply = api::answer(&mut self.model, &self.key, &request, self.now);
        self.answers.push(json!({
            "method": method, "route": reply.route, "asked": path, "status": reply.status, "body": reply.body,
        }));
        reply.body.unwrap_or_default()
    }

    /// Lets time pass, so that runs move on.
    fn later(&mut self, seconds: i64) {
        self.now += seconds * 1000;
        self.model.tick(self.now);
    }

    fn routes_without_a_good_answer(&self) -> Vec<String> {
        let good = |method: &str, template: &str| {
            let same = |answer: &&Value| answer["method"] == method && answer["route"] == template;
            self.answers.iter().filter(same).any(|answer| (200..300).contains(&answer["status"].as_u64().unwrap()))
        };
        api::routes().filter(|(m, t)| !good(m, t)).map(|(m, t)| format!("{m} {t}")).collect()
    }

    /// The events since the last call; they are kept for the judge.
    fn heard(&mut self) -> Vec<OutgoingEvent> {
        let events = self.model.take_events();
        self.events.extend(events.iter().map(|one| json!({ "event": one.event, "payload": *one.payload })));
        events
    }

    /// What GitHub's description says against all that was said, a line a fault.
    fn judged(&mut self) -> String {
        self.heard();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("said.json");
        std::fs::write(&file, json!({ "answers": self.answers, "events": self.events }).to_string()).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/answers.mjs");
        let judge = Command::new("node").arg(script).arg(&file).output().expect("node, which tests/run installs");
        format!("{}{}", String::from_utf8_lossy(&judge.stdout), String::from_utf8_lossy(&judge.stderr))
    }
}
