//! A workflow run says how its own deployment goes, and only its own.

use super::*;
use plimsoll::sandbox::faults::{Fault, Trouble};
use plimsoll::sandbox::model::Run;
use serde_json::{Value, json};

const AUDIENCE: &str = "plimsoll";

/// A town whose runs end only when somebody ends them.
async fn town_of_long_runs() -> Town {
    let run_times = RunTimes { finished_by_hand: true, ..Default::default() };
    Town::open_with(SandboxOptions { run_times, ..Default::default() }).await
}

/// Merges the shop's first pull request and waits until its deployment to staging runs.
async fn deploying(town: &mut Town) -> (u64, Run) {
    let number = town.opened().await;
    let sha = town.github.merge(number, "linus").unwrap();
    let run = town.until("staging is being deployed", |github| running(github, &sha, "staging")).await;
    (number, run)
}

fn running(github: &Sandbox, sha: &str, environment: &str) -> Option<Run> {
    let here = |run: &Run| run.inputs["sha"] == sha && run.inputs["environment"] == environment;
    github.runs().into_iter().find(|run| here(run) && run.state.status() == "in_progress")
}

fn ended(town: &Town, run: &Run, conclusion: &str) {
    town.github.with(|model, now| model.finish_run(run.id, conclusion, "", now));
}

fn address(town: &Town, path: &str) -> String {
    format!("{}{path}", town.door.trim_end_matches("/github/webhook"))
}

/// Posts a report; gives the status, and what a problem is about.
async fn posted(town: &Town, key: &str, token: &str, body: &Value) -> (u16, String) {
    let request = reqwest::Client::new().post(address(town, &format!("/api/v1/deployments/{key}")));
    let answer = request.bearer_auth(token).body(body.to_string()).send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    let told: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status} {text}"));
    (status, told["where"].as_str().unwrap_or_default().to_owned())
}

/// The report that a run itself would send.
async fn reported(town: &Town, run: &Run, state: &str) -> (u16, String) {
    let token = token(town, run);
    posted(town, &run.inputs["plimsoll_key"], &token, &body(run, state)).await
}

fn body(run: &Run, state: &str) -> Value {
    json!({ "state": state, "sha": run.inputs["sha"], "description": "3 of 5 pods\nare ready" })
}

fn token(town: &Town, run: &Run) -> String {
    town.github.oidc_token(run.id, AUDIENCE, Some(&run.inputs["environment"])).unwrap()
}

const TAKEN: (u16, String) = (202, String::new());

fn refused(status: u16, place: &str) -> (u16, String) {
    (status, place.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_reports_progress_and_success_and_the_rollout_goes_on_before_the_run_ends() {
    let mut town = town_of_long_runs().await;
    let (number, run) = deploying(&mut town).await;
    let sha = run.inputs["sha"].clone();
    assert_eq!(reported(&town, &run, "in_progress").await, TAKEN);
    let said = "release 1 in staging: 3 of 5 pods are ready";
    let mut journal = Vec::new();
    let began = Instant::now();
    while !journal.iter().any(|line: &String| line == said) {
        assert!(began.elapsed() < PATIENCE, "{journal:?}");
        journal = town.journal("pipeline:acme/shop/api").await;
    }
    assert_eq!(town.succeeded("staging"), [""; 0]);

    assert_eq!(reported(&town, &run, "success").await, TAKEN);
    town.until("staging is deployed", |_| (town.succeeded("staging") == [sha.clone()]).then_some(())).await;
    assert!(running(&town.github, &sha, "staging").is_some(), "the run still goes on");
    // What it said once it cannot say again, nor take back.
    for state in ["success", "failure", "in_progress"] {
        assert_eq!(reported(&town, &run, state).await, refused(404, "key"), "{state}");
    }
    ended(&town, &run, "success");
    town.quiet().await;
    assert_eq!(town.succeeded("staging"), [sha]);
    let comment = town.comments(number).remove(0).body;
    assert!(comment.contains("Waits for approval"), "{comment}");
    assert_eq!(town.parked().await, []);
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reported_failure_fails_the_step_in_the_words_of_the_run() {
    let mut town = town_of_long_runs().await;
    let (number, run) = deploying(&mut town).await;
    assert_eq!(reported(&town, &run, "failure").await, TAKEN);
    town.until("the comment tells of it", |_| {
        let comment = town.comments(number).remove(0).body;
        comment.contains("the workflow run reported a failure: 3 of 5 pods are ready").then_some(())
    })
    .await;
    ended(&town, &run, "success");
    town.quiet().await;
    assert_eq!(town.succeeded("staging"), [""; 0], "a success afterwards changes nothing");
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_and_foreign_reports_change_nothing() {
    let mut town = town_of_long_runs().await;
    let (_, run) = deploying(&mut town).await;
    let (key, good) = (run.inputs["plimsoll_key"].clone(), body(&run, "success"));
    let github = &town.github;
    let signed = |change: &dyn Fn(&mut Value)| {
        github.oidc_token_with(run.id, AUDIENCE, Some("staging"), |claims| change(claims)).unwrap()
    };

    // Forged.
    let right = token(&town, &run);
    let parts: Vec<&str> = right.split('.').collect();
    let coded = |value: &Value| base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, value.to_string());
    let head = |alg: &str| coded(&json!({ "alg": alg, "typ": "JWT", "kid": "sandbox-1" }));
    let stranger = plimsoll::sandbox::keys::AppKey::generate().unwrap();
    let claims = |token: &str| -> Value {
        let middle = token.split('.').nth(1).unwrap();
        let bytes = base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, middle).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    let by_stranger = stranger.signed(&json!({ "alg": "RS256", "kid": "sandbox-1" }), &claims(&right)).unwrap();
    let keys = reqwest::get(format!("{}/.well-known/jwks", github.oidc_issuer())).await.unwrap();
    let keys: Value = serde_json::from_str(&keys.text().await.unwrap()).unwrap();
    let public = keys["keys"][0]["n"].as_str().unwrap();
    let hmac = plimsoll::sandbox::hooks::signature(public, format!("{}.{}", head("HS256"), parts[1]).as_bytes());
    let hmac = hex::decode(hmac.trim_start_matches("sha256=")).unwrap();
    let hmac = base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, hmac);
    let now = github.now() / 1_000;
    for (what, token) in [
        ("nothing", String::new()),
        ("signed by a stranger", by_stranger),
        ("alg none", format!("{}.{}.", head("none"), parts[1])),
        ("HS256 under the public key", format!("{}.{}.{hmac}", head("HS256"), parts[1])),
        ("another audience", github.oidc_token(run.id, "https://github.com/acme", Some("staging")).unwrap()),
        ("expired", signed(&|claims| claims["exp"] = (now - 120).into())),
        ("not yet valid", signed(&|claims| claims["nbf"] = (now + 120).into())),
        ("another issuer", signed(&|claims| claims["iss"] = "https://token.actions.githubusercontent.com".into())),
    ] {
        assert_eq!(posted(&town, &key, &token, &good).await, refused(401, "Authorization"), "{what}");
    }

    // Rightly signed, but of somebody else.
    let other_repository = signed(&|claims| claims["repository"] = "acme/vault".into());
    assert_eq!(posted(&town, &key, &other_repository, &good).await, refused(403, "repository"));
    let other_run = signed(&|claims| claims["run_id"] = (run.id + 1).to_string().into());
    assert_eq!(posted(&town, &key, &other_run, &good).await, refused(403, "run"));
    let production = github.oidc_token(run.id, AUDIENCE, Some("production")).unwrap();
    assert_eq!(posted(&town, &key, &production, &good).await, refused(403, "environment"));
    let nowhere = github.oidc_token(run.id, AUDIENCE, None).unwrap();
    assert_eq!(posted(&town, &key, &nowhere, &good).await, refused(403, "environment"));
    let other_commit = json!({ "state": "success", "sha": "b".repeat(40) });
    assert_eq!(posted(&town, &key, &right, &other_commit).await, refused(403, "commit"));
    for other in [key.replace("release-1", "release-2"), key.replace("/api/", "/web/"), format!("{key}0")] {
        assert_eq!(posted(&town, &other, &right, &good).await, refused(404, "key"), "{other}");
    }
    // The door lets it in, but the run that GitHub shows was started on another commit.
    let other_workflow = signed(&|claims| claims["sha"] = "c".repeat(40).into());
    assert_eq!(posted(&town, &key, &other_workflow, &good).await, TAKEN);
    let began = Instant::now();
    while !town.journal("pipeline:acme/shop/api").await.iter().any(|line| line.contains("does not count")) {
        assert!(began.elapsed() < PATIENCE, "the journal does not tell of it");
    }

    assert_eq!(town.succeeded("staging"), [""; 0]);
    ended(&town, &run, "success");
    town.quiet().await;
    assert_eq!(town.succeeded("staging"), [run.inputs["sha"].as_str()]);
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_issuer_may_change_its_keys_and_may_be_away_for_a_while() {
    let mut town = town_of_long_runs().await;
    let (_, run) = deploying(&mut town).await;
    town.github.add_fault(Fault::always("GET", "/_oidc/*", Trouble::status(503, "Service unavailable")));
    assert_eq!(reported(&town, &run, "in_progress").await, refused(503, "service"));
    town.github.clear_faults();
    town.advance(Duration::from_secs(5));
    assert_eq!(reported(&town, &run, "in_progress").await, TAKEN);

    let old = token(&town, &run);
    town.github.rotate_oidc_key().unwrap();
    town.advance(Duration::from_secs(60));
    assert_eq!(reported(&town, &run, "in_progress").await, TAKEN);
    let by_old_key = posted(&town, &run.inputs["plimsoll_key"], &old, &body(&run, "success")).await;
    assert_eq!(by_old_key, refused(401, "Authorization"));
    // Away again: what is known goes on serving.
    town.github.add_fault(Fault::always("GET", "/_oidc/*", Trouble::DropBefore));
    town.advance(Duration::from_secs(11 * 60));
    assert_eq!(reported(&town, &run, "success").await, TAKEN);
    let sha = run.inputs["sha"].clone();
    town.until("staging is deployed", |_| (town.succeeded("staging") == [sha.clone()]).then_some(())).await;
    ended(&town, &run, "success");
    town.quiet().await;
    town.looked_at_writes = true;
    town.close().await;
}

/// The script of the action that the documentation gives away.
fn script_of_the_action() -> String {
    let text = std::fs::read_to_string("docs/report-deployment/action.yml").unwrap();
    let script = text.split_once("      run: |\n").unwrap().1;
    script.lines().map(|line| format!("{}\n", line.strip_prefix("        ").unwrap_or(line))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_action_of_the_documentation_reports_from_within_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("report.sh"), script_of_the_action()).unwrap();
    let report = |state: &str, words: &str| {
        format!(
            "NO_PROXY=127.0.0.1 PLIMSOLL_URL=$(cat {url}) KEY=$INPUT_PLIMSOLL_KEY SHA=$INPUT_SHA AUDIENCE=plimsoll STATE={state} \
             DESCRIPTION='{words}' bash {script}",
            url = path("url"),
            script = path("report.sh"),
        )
    };
    let exec = format!(
        "{} && {} && until [ -e {} ]; do sleep 0.05; done",
        report("in_progress", "a \"quoted\" \\ line"),
        report("success", ""),
        path("go")
    );
    let options = SandboxOptions { exec: Some(exec), ..Default::default() };
    let mut town = Town::open_with(options).await;
    std::fs::write(path("url"), address(&town, "")).unwrap();
    let number = town.opened().await;
    let sha = town.github.merge(number, "linus").unwrap();
    let began = Instant::now();
    while town.succeeded("staging") != [sha.clone()] {
        let output: Vec<String> = town.github.runs().into_iter().map(|run| run.output).collect();
        assert!(began.elapsed() < PATIENCE, "{output:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(running(&town.github, &sha, "staging").is_some(), "the run still goes on");
    let journal = town.journal("pipeline:acme/shop/api").await;
    assert!(journal.iter().any(|line| line == "release 1 in staging: a \"quoted\" \\ line"), "{journal:?}");
    std::fs::write(path("go"), "").unwrap();
    town.quiet().await;
    let output = town.github.runs().remove(0).output;
    assert!(output.contains("Plimsoll heard it: success"), "{output}");
    assert!(!output.contains("not take"), "{output}");
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_are_told_what_the_commands_say() {
    let mut town = Town::open().await;
    let number = town.opened().await;
    let sha = town.github.merge(number, "linus").unwrap();
    town.quiet().await;
    let read = async |path: &str| town.read(&format!("services/api{path}")).await;
    let service = read("").await;
    assert_eq!(service["environments"][0]["live"]["sha"], sha.as_str());
    assert_eq!(service["environments"][1]["live"], Value::Null);
    assert!(service["text"].as_str().unwrap().contains("Waits for approval"), "{service}");
    assert_eq!(service["cards"][0]["changes"][0]["pull"], number);
    let why = read(&format!("/environments/production/why?sha={}", &sha[..7])).await;
    assert_eq!((&why["release"], &why["standing"]), (&json!(1), &json!("awaiting_approval")));
    assert_eq!(why["card"], service["cards"][0]);
    let unmet: Vec<&Value> = why["conditions"].as_array().unwrap().iter().filter(|c| c["met"] == false).collect();
    assert_eq!(unmet.len(), 1);
    assert_eq!(
        (&unmet[0]["gate"], &unmet[0]["command"]),
        (&json!("approval"), &json!("`/plimsoll approve production`"))
    );
    assert_eq!(read("/environments/moon/why").await["mend"], "Its environments are: staging, production.");
    assert_eq!(read("/environments/staging/why").await["conditions"], json!([]));
    let text = why["text"].as_str().unwrap().to_owned();
    let said = town.command(number, "ada", "/plimsoll why production --service api").await;
    assert!(said.contains(&text), "{said}\n\n{text}");
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_says_on_the_machine_what_the_commands_say() {
    let mut town = Town::open().await;
    let number = town.opened().await;
    let sha = town.github.merge(number, "linus").unwrap();
    town.quiet().await;
    let database = town.folder.path().join("plimsoll.db");
    let explain = |arguments: &[&str]| {
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_plimsoll"));
        let done = program.arg("explain").args(arguments).arg("--database").arg(&database).output().unwrap();
        let said = if done.status.success() { done.stdout } else { done.stderr };
        (done.status.code(), String::from_utf8(said).unwrap().trim_end().to_owned())
    };
    let (code, why) = explain(&["acme/shop", "production", &sha[..7]]);
    assert_eq!(code, Some(0), "{why}");
    let said = town.command(number, "ada", &format!("/plimsoll why production {} --service api", &sha[..7])).await;
    assert!(said.contains(&why), "{said}\n\n{why}");
    assert!(!why.contains('\u{1b}'), "no colour into a pipe");
    assert_eq!(explain(&["acme/shop", "production", "--service", "api"]), (Some(0), why));
    let (code, status) = explain(&["acme/shop"]);
    assert!(code == Some(0) && status.contains("release 1"), "{status}");
    let (code, pull) = explain(&["acme/shop#1"]);
    assert!(
        code == Some(0) && pull.starts_with("acme/shop#1: feat(api): find goods by name\nmerged, by ada"),
        "{pull}"
    );
    assert!(pull.contains("Journal:\n- "), "{pull}");

    let guid = town.github.with(|model, _| {
        let mut merged = model.deliveries.values().filter(|d| d.event.event == "pull_request");
        merged.next_back().unwrap().event.guid.clone()
    });
    let (code, delivery) = explain(&["--delivery", &guid]);
    assert!(
        code == Some(0) && delivery.contains("sorted into the inboxes of:\n- pull_request:acme/shop#1"),
        "{delivery}"
    );

    for unknown in
        [&["acme/shop", "production", "ffffffff"][..], &["acme/vault"], &["acme/shop#99"], &["--delivery", "x"]]
    {
        let (code, said) = explain(unknown);
        assert!(code == Some(1) && said.contains("nothing is known of"), "{said}");
    }
    let (code, said) = explain(&["acme"]);
    assert!(code == Some(1) && said.contains("neither OWNER/REPO nor"), "{said}");
    town.looked_at_writes = true;
    town.close().await;
}
