//! The API as a client sees it, asked in process.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::history::{MadeHistory, MergeMethod};
use super::keys::AppKey;
use super::model::{Model, PullState, PullWish, RunState};
use super::{api, seed};

const NOW: i64 = 1_790_000_000_000;

/// The small shop and a client with a fresh installation token.
struct Client {
    model: Model,
    key: Arc<AppKey>,
    token: String,
    now: i64,
}

impl Client {
    fn new() -> Self {
        let key = AppKey::shared().unwrap();
        let model = seed::small_shop(Box::new(MadeHistory::new()), NOW).unwrap();
        let mut client = Self { model, key, token: String::new(), now: NOW };
        let (status, body) = client.as_app("POST", "/app/installations/50001/access_tokens");
        assert_eq!(status, 201);
        client.token = body["token"].as_str().unwrap().to_owned();
        client
    }

    fn with_pull() -> (Self, u64) {
        let mut client = Self::new();
        let (branch, title, body, author) = seed::PULLS[0];
        let number = client
            .model
            .open_pull(&PullWish { head: branch, base: "main", title, body: Some(body), author, draft: false }, NOW)
            .unwrap();
        (client, number)
    }

    fn reply(
        &mut self,
        method: &str,
        path: &str,
        authorization: String,
        body: Option<Value>,
        etag: Option<String>,
    ) -> api::Reply {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let request = api::Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: super::server::pairs(query),
            authorization: Some(authorization),
            if_none_match: etag,
            accept: None,
            version: None,
            body: body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string())),
        };
        api::answer(&mut self.model, &self.key, &request, self.now)
    }

    fn as_app(&mut self, method: &str, path: &str) -> (u16, Value) {
        let jwt = self.key.jwt("4711", self.now / 1000 - 60);
        let reply = self.reply(method, path, format!("Bearer {jwt}"), None, None);
        (reply.status, reply.body.unwrap_or_default())
    }

    fn get(&mut self, path: &str) -> (u16, Value) {
        let reply = self.reply("GET", path, format!("token {}", self.token), None, None);
        (reply.status, reply.body.unwrap_or_default())
    }

    fn send(&mut self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let reply = self.reply(method, path, format!("Bearer {}", self.token), Some(body), None);
        (reply.status, reply.body.unwrap_or_default())
    }

    fn events(&mut self) -> Vec<String> {
        let name = |event: super::model::OutgoingEvent| match event.action {
            Some(action) => format!("{}.{action}", event.event),
            None => event.event,
        };
        self.model.take_events().into_iter().map(name).collect()
    }
}

const SHOP: &str = "/repos/acme/shop";

#[test]
fn an_app_jwt_opens_the_apps_routes_and_a_token_the_others() {
    let mut client = Client::new();
    assert_eq!(client.as_app("GET", "/app").1["slug"], "plimsoll");
    assert_eq!(client.as_app("GET", SHOP).0, 401);
    assert_eq!(client.get("/app").0, 401);
    assert_eq!(client.get(SHOP).1["full_name"], "acme/shop");
    let wrong = client.reply("GET", SHOP, "token ghs_wrong".to_owned(), None, None);
    assert_eq!((wrong.status, wrong.body.unwrap()["message"].clone()), (401, json!("Bad credentials")));
}

#[test]
fn a_jwt_that_is_old_early_foreign_or_forged_is_refused() {
    let mut client = Client::new();
    let mut status = |jwt: String| client.reply("GET", "/app", format!("Bearer {jwt}"), None, None).status;
    let key = AppKey::shared().unwrap();
    assert_eq!(status(key.jwt("4711", NOW / 1000 - 541)), 401);
    assert_eq!(status(key.jwt("4711", NOW / 1000 + 120)), 401);
    assert_eq!(status(key.jwt("4712", NOW / 1000)), 401);
    assert_eq!(status(AppKey::generate().unwrap().jwt("4711", NOW / 1000)), 401);
    assert_eq!(status(key.jwt("Iv23liSandbox4711", NOW / 1000)), 200);
}

#[test]
fn a_token_ends_after_an_hour_and_with_its_installation() {
    let mut client = Client::new();
    client.now = NOW + 3_599_000;
    assert_eq!(client.get(SHOP).0, 200);
    client.model.suspend_installation("grace", client.now);
    assert_eq!(client.get(SHOP).0, 403);
    client.model.unsuspend_installation("grace", client.now);
    client.now = NOW + 3_600_000;
    assert_eq!(client.get(SHOP).0, 401);
    client.model.delete_installation("grace", client.now);
    assert_eq!(client.as_app("POST", "/app/installations/50001/access_tokens").0, 404);
    assert_eq!(client.as_app("GET", "/repos/acme/shop/installation").0, 404);
}

#[test]
fn a_repository_that_is_not_installed_is_not_found() {
    let mut client = Client::new();
    assert_eq!(client.get("/repos/acme/other").0, 404);
    client.model.set_repository_installed(false, "grace", NOW);
    assert_eq!(client.get(SHOP).0, 404);
    assert_eq!(client.events(), ["installation_repositories.removed"]);
}

#[test]
fn a_pull_request_lives_from_opened_to_merged() {
    let (mut client, number) = Client::with_pull();
    assert_eq!(client.events(), ["pull_request.opened", "check_suite.requested"]);
    let (_, pull) = client.get(&format!("{SHOP}/pulls/{number}"));
    assert_eq!((&pull["commits"], &pull["changed_files"], &pull["mergeable"]), (&json!(2), &json!(3), &json!(true)));
    let files = [("services/api/src/search.rs".to_owned(), Some(b"// better\n".to_vec()))].into();
    client.model.push_commit("cheaper-search", &files, "fix: better", "ada", NOW).unwrap();
    assert_eq!(client.events(), ["push", "pull_request.synchronize", "check_suite.requested"]);
    let (status, merged) =
        client.send("PUT", &format!("{SHOP}/pulls/{number}/merge"), json!({ "sha": pull["head"]["sha"] }));
    assert_eq!(
        (status, merged["message"].as_str().unwrap()),
        (409, "Head branch was modified. Review and try the merge again.")
    );
    let sha = client.model.merge_pull(number, MergeMethod::Merge, None, None, "grace", NOW).unwrap();
    assert_eq!(client.events(), ["pull_request.closed", "push", "check_suite.requested"]);
    let (_, pull) = client.get(&format!("{SHOP}/pulls/{number}"));
    assert_eq!(
        (&pull["merged"], &pull["merged_by"]["login"], &pull["merge_commit_sha"]),
        (&json!(true), &json!("grace"), &json!(sha))
    );
    assert_eq!((&pull["commits"], &pull["changed_files"]), (&json!(3), &json!(3)));
    let (_, pulls) = client.get(&format!("{SHOP}/commits/{sha}/pulls"));
    assert_eq!(pulls[0]["number"], number);
    let (_, compared) = client.get(&format!("{SHOP}/compare/main~...{sha}"));
    assert_eq!(compared["message"], "Not Found");
    let (_, compared) = client.get(&format!("{SHOP}/compare/{}...main", pull["base"]["sha"].as_str().unwrap()));
    assert_eq!((&compared["status"], &compared["ahead_by"]), (&json!("ahead"), &json!(4)));
}

#[test]
fn a_check_run_keeps_githubs_limits_and_adds_annotations() {
    let (mut client, number) = Client::with_pull();
    client.events();
    let sha = client.model.pull(number).unwrap().head_sha.clone();
    let annotation =
        json!({ "path": "a", "start_line": 1, "end_line": 1, "annotation_level": "notice", "message": "m" });
    let output = |count: usize| json!({ "title": "t", "summary": "s", "annotations": vec![annotation.clone(); count] });
    let path = format!("{SHOP}/check-runs");
    let (status, made) = client.send(
        "POST",
        &path,
        json!({ "name": "plimsoll/risk", "head_sha": sha, "external_id": "k", "status": "in_progress" }),
    );
    assert_eq!((status, &made["status"], &made["external_id"]), (201, &json!("in_progress"), &json!("k")));
    let one = format!("{path}/{}", made["id"]);
    assert_eq!(client.send("PATCH", &one, json!({ "output": output(51) })).0, 422);
    assert_eq!(client.send("PATCH", &one, json!({ "output": output(50) })).0, 200);
    let (_, done) =
        client.send("PATCH", &one, json!({ "output": output(10), "conclusion": "neutral", "status": "completed" }));
    assert_eq!((&done["output"]["annotations_count"], &done["status"]), (&json!(60), &json!("completed")));
    assert_eq!(done["pull_requests"][0]["number"], number);
    assert_eq!(client.events(), ["check_run.created", "check_run.completed", "check_suite.completed"]);
    let long = json!({ "title": "t", "summary": "x".repeat(65_536) });
    assert_eq!(client.send("PATCH", &one, json!({ "output": long })).0, 422);
    let action = |label: &str| json!({ "label": label, "description": "d", "identifier": "i" });
    assert_eq!(client.send("PATCH", &one, json!({ "actions": [action("a label of 21 letters")] })).0, 422);
    assert_eq!(
        client.send("PATCH", &one, json!({ "actions": [action("a"), action("b"), action("c"), action("d")] })).0,
        422
    );
    assert_eq!(client.send("PATCH", &one, json!({ "status": "completed" })).0, 422);
    assert_eq!(client.send("POST", &path, json!({ "head_sha": sha })).0, 422);
    assert_eq!(client.send("POST", &path, json!({ "name": "x", "head_sha": "0".repeat(40) })).0, 422);
    client.model.make_fork(number, "fork").unwrap();
    assert_eq!(client.get(&one).1["pull_requests"], json!([]));
    let (_, list) = client.get(&format!("{SHOP}/commits/{sha}/check-runs?check_name=plimsoll%2Frisk&app_id=4711"));
    assert_eq!(list["total_count"], 1);
}

#[test]
fn a_check_run_that_is_asked_for_again_stays_until_the_app_answers() {
    let (mut client, number) = Client::with_pull();
    let sha = client.model.pull(number).unwrap().head_sha.clone();
    let done =
        |conclusion: &str| json!({ "name": "x", "head_sha": sha, "status": "completed", "conclusion": conclusion });
    let (_, made) = client.send("POST", &format!("{SHOP}/check-runs"), done("failure"));
    client.events();
    client.model.rerequest_check(made["id"].as_u64().unwrap(), "ada", NOW).unwrap();
    let one = format!("{SHOP}/check-runs/{}", made["id"]);
    assert_eq!(client.get(&one).1["conclusion"], "failure");
    let (_, suites) = client.get(&format!("{SHOP}/commits/{sha}/check-suites"));
    assert_eq!(suites["check_suites"][0]["status"], "queued");
    client.send("PATCH", &one, json!({ "status": "completed", "conclusion": "success" }));
    assert_eq!(client.events(), ["check_run.rerequested", "check_run.completed", "check_suite.completed"]);
}

#[test]
fn a_run_under_way_fails_by_its_switch_whatever_its_command_says() {
    let mut model = Client::new().model;
    let inputs = [("environment", "staging"), ("service", "api"), ("sha", "abc")];
    let inputs: BTreeMap<_, _> = inputs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    for command in [false, true] {
        model.run_times.finished_by_hand = command;
        let run = model.dispatch("deploy.yml", "main", inputs.clone(), "ada", NOW).unwrap().run;
        model.tick(NOW + 1_000);
        assert_eq!(model.run(run).unwrap().state, RunState::InProgress { since: NOW + 1_000 });
        model.set_run_fails(run, true).unwrap();
        if command {
            model.finish_run(run, "success", "all is well\n", NOW + 9_000);
        }
        model.tick(NOW + 9_000);
        let run = model.run(run).unwrap();
        assert_eq!((run.state.conclusion(), run.output.is_empty()), (Some("failure"), !command));
    }
}

#[test]
fn a_dispatch_needs_a_branch_and_known_inputs_and_tells_its_run_when_asked() {
    let mut client = Client::new();
    let path = format!("{SHOP}/actions/workflows/deploy.yml/dispatches");
    let inputs = json!({ "environment": "staging", "service": "api", "sha": "abc", "plimsoll_key": "k/1" });
    let sha = client.model.history.branch("main").unwrap();
    let message = |answer: (u16, Value)| (answer.0, answer.1["message"].as_str().unwrap_or_default().to_owned());
    assert_eq!(
        message(client.send("POST", &path, json!({ "ref": sha, "inputs": inputs }))),
        (422, format!("No ref found for: {sha}"))
    );
    let unknown = json!({ "environment": "staging", "service": "api", "sha": "abc", "colour": "red" });
    assert_eq!(
        message(client.send("POST", &path, json!({ "ref": "main", "inputs": unknown }))),
        (422, "Unexpected inputs provided: [\"colour\"]".to_owned())
    );
    assert_eq!(
        message(client.send("POST", &path, json!({ "ref": "main" }))),
        (422, "Required input 'environment' not provided".to_owned())
    );
    assert_eq!(client.send("POST", &path, json!({ "ref": "main", "inputs": inputs })).0, 204);
    client.model.to_fail.push(Some("staging".to_owned()));
    let (status, told) =
        client.send("POST", &path, json!({ "ref": "main", "inputs": inputs, "return_run_details": true }));
    assert_eq!(status, 200);
    let (_, run) = client.get(&format!("{SHOP}/actions/runs/{}", told["workflow_run_id"]));
    assert_eq!(
        (run["display_title"].as_str().unwrap(), &run["status"]),
        ("Deploy api to staging [k/1]", &json!("queued"))
    );
    client.model.tick(NOW + 60_000);
    assert_eq!(
        client.events(),
        [
            "workflow_run.requested",
            "workflow_run.requested",
            "workflow_run.in_progress",
            "workflow_run.in_progress",
            "workflow_run.completed",
            "workflow_run.completed",
        ]
    );
    let (_, runs) =
        client.get(&format!("{SHOP}/actions/runs?event=workflow_dispatch&branch=main&created=>=2026-01-01&per_page=1"));
    assert_eq!((&runs["total_count"], &runs["workflow_runs"][0]["conclusion"]), (&json!(2), &json!("failure")));
    client.model.manners.dispatch_never_tells_run = true;
    assert_eq!(
        client.send("POST", &path, json!({ "ref": "main", "inputs": inputs, "return_run_details": true })).0,
        204
    );
    let newest = client.model.listed_runs(NOW)[0].id;
    assert_eq!(client.send("POST", &format!("{SHOP}/actions/runs/{newest}/cancel"), json!({})).0, 202);
    client.model.tick(NOW);
    assert!(
        matches!(&client.model.run(newest).unwrap().state, RunState::Completed { conclusion, .. } if conclusion == "cancelled")
    );
    assert_eq!(client.send("POST", &format!("{SHOP}/actions/runs/{newest}/cancel"), json!({})).0, 409);
}

#[test]
fn a_deployments_success_makes_earlier_ones_inactive_outside_production_only() {
    let mut client = Client::new();
    let path = format!("{SHOP}/deployments");
    let mut deployed = |environment: &str| {
        let body = json!({ "ref": "main", "environment": environment, "auto_merge": false, "required_contexts": [], "payload": { "key": "k" } });
        let (status, made) = client.send("POST", &path, body);
        assert_eq!(status, 201);
        let statuses = format!("{path}/{}/statuses", made["id"]);
        assert_eq!(client.send("POST", &statuses, json!({ "state": "success" })).0, 201);
        statuses
    };
    let paths = [deployed("staging"), deployed("staging"), deployed("production"), deployed("production")];
    let states: Vec<Value> = paths.iter().map(|path| client.get(path).1[0]["state"].clone()).collect();
    assert_eq!(states, ["inactive", "success", "success", "success"]);
    // An `inactive` is told to nobody.
    assert_eq!(client.events().iter().filter(|name| *name == "deployment_status.created").count(), 4);
    let (status, refused) = client.send("POST", &path, json!({ "ref": "main", "required_contexts": ["ci"] }));
    assert_eq!(
        (status, refused["message"].as_str().unwrap()),
        (409, "Conflict: Commit status checks failed for main.")
    );
    let (status, merged) = client.send("POST", &path, json!({ "ref": "dark-web", "required_contexts": [] }));
    assert_eq!(status, 201, "{merged}");
    let files = [("README.md".to_owned(), Some(b"changed\n".to_vec()))].into();
    client.model.push_commit("main", &files, "docs: change", "grace", NOW).unwrap();
    let (status, merged) = client.send("POST", &path, json!({ "ref": "dark-web", "required_contexts": [] }));
    assert_eq!((status, merged["message"].as_str().unwrap()), (202, "Auto-merged main into dark-web on deployment."));
}

#[test]
fn comments_are_bounded_listed_in_pages_and_found_since_a_time() {
    let (mut client, number) = Client::with_pull();
    client.events();
    let path = format!("{SHOP}/issues/{number}/comments");
    assert_eq!(client.send("POST", &path, json!({ "body": "x".repeat(65_537) })).0, 422);
    assert_eq!(client.send("POST", &path, json!({})).0, 422);
    assert_eq!(client.send("POST", &format!("{SHOP}/issues/99/comments"), json!({ "body": "x" })).0, 404);
    for n in 0..5 {
        client.now = NOW + n * 1_000;
        assert_eq!(client.send("POST", &path, json!({ "body": format!("comment {n}") })).0, 201);
    }
    let token = format!("token {}", client.token);
    let reply = client.reply("GET", &format!("{path}?per_page=2&page=2"), token, None, None);
    assert_eq!(reply.body.unwrap()[0]["body"], "comment 2");
    let link = &reply.headers.iter().find(|(name, _)| name == "link").unwrap().1;
    assert!(link.contains("per_page=2&page=3>; rel=\"next\"") && link.contains("page=1>; rel=\"prev\""), "{link}");
    let since = super::model::rfc3339(NOW + 3_000);
    assert_eq!(client.get(&format!("{path}?since={since}")).1.as_array().unwrap().len(), 2);
    let (_, first) = client.get(&path);
    let one = format!("{SHOP}/issues/comments/{}", first[0]["id"]);
    assert_eq!(client.send("POST", &format!("{one}/reactions"), json!({ "content": "eyes" })).0, 201);
    assert_eq!(client.send("POST", &format!("{one}/reactions"), json!({ "content": "eyes" })).0, 200);
    assert_eq!(client.send("POST", &format!("{one}/reactions"), json!({ "content": "shrug" })).0, 422);
    assert_eq!(client.send("PATCH", &one, json!({ "body": "edited" })).1["body"], "edited");
    assert_eq!(client.events().last().unwrap(), "issue_comment.edited");
}

#[test]
fn what_did_not_change_is_answered_with_304() {
    let (mut client, _) = Client::with_pull();
    let ask = |client: &mut Client, etag: Option<String>| {
        let token = format!("token {}", client.token);
        client.reply("GET", &format!("{SHOP}/pulls/1/files"), token, None, etag)
    };
    let first = ask(&mut client, None);
    let etag = first.headers.iter().find(|(name, _)| name == "etag").unwrap().1.clone();
    let again = ask(&mut client, Some(etag.clone()));
    assert_eq!((again.status, again.body), (304, None));
    let files = [("web/new.js".to_owned(), Some(b"1\n".to_vec()))].into();
    client.model.push_commit("cheaper-search", &files, "more", "ada", NOW).unwrap();
    assert_eq!(ask(&mut client, Some(etag)).status, 200);
}

#[test]
fn rights_and_teams_are_told_as_github_tells_them() {
    let mut client = Client::new();
    let mut role = |login: &str| client.get(&format!("{SHOP}/collaborators/{login}/permission")).1["role_name"].clone();
    assert_eq!([role("ada"), role("Grace"), role("mallory")], [json!("write"), json!("maintain"), json!("read")]);
    assert_eq!(client.get(&format!("{SHOP}/collaborators/nobody/permission")).0, 404);
    assert_eq!(client.get("/orgs/acme/teams/release-managers/memberships/grace").1["state"], "active");
    assert_eq!(client.get("/orgs/acme/teams/release-managers/memberships/ada").0, 404);
    assert_eq!(client.get("/orgs/acme/teams/dba/members").1[0]["login"], "barbara");
}

#[test]
fn files_and_folders_are_read_at_a_ref() {
    let mut client = Client::new();
    let (_, file) = client.get(&format!("{SHOP}/contents/.github/plimsoll.yml?ref=main"));
    use base64::Engine as _;
    let text = file["content"].as_str().unwrap().replace('\n', "");
    assert_eq!(base64::prelude::BASE64_STANDARD.decode(text).unwrap(), seed::POLICY.as_bytes());
    let (_, folder) = client.get(&format!("{SHOP}/contents/services"));
    assert_eq!((&folder[0]["path"], &folder[0]["type"]), (&json!("services/api"), &json!("dir")));
    assert_eq!(client.get(&format!("{SHOP}/contents/nothing")).0, 404);
    assert_eq!(client.get(&format!("{SHOP}/contents/README.md?ref=nowhere")).0, 404);
}

#[test]
fn the_same_calls_give_the_same_world() {
    let story = || {
        let (mut client, number) = Client::with_pull();
        client.model.comment(number, "ada", "hello", NOW).unwrap();
        client.model.merge_pull(number, MergeMethod::Squash, None, None, "grace", NOW).unwrap();
        client
            .model
            .take_events()
            .into_iter()
            .map(|event| format!("{} {}", event.guid, event.payload))
            .collect::<Vec<_>>()
    };
    assert_eq!(story(), story());
}

#[test]
fn a_conflict_is_no_merge() {
    let (mut client, number) = Client::with_pull();
    let files = [("services/api/src/main.rs".to_owned(), Some(b"fn main() {}\n".to_vec()))].into();
    client.model.push_commit("main", &files, "chore: empty it", "grace", NOW).unwrap();
    let (status, refused) = client.send("PUT", &format!("{SHOP}/pulls/{number}/merge"), json!({}));
    assert_eq!((status, refused["message"].as_str().unwrap()), (405, "Pull Request is not mergeable"));
    assert_eq!(client.model.pull(number).unwrap().state, PullState::Open);
    assert_eq!(client.get(&format!("{SHOP}/pulls/{number}")).1["mergeable"], false);
}
