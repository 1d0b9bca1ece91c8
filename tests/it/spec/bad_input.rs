//! Hostile and broken input: each gets a clear answer, and nothing is lost.

use super::*;
use plimsoll::sandbox::faults::{Fault, Trouble};
use plimsoll::sandbox::hooks::signature;

async fn post(town: &Town, headers: &[(&str, &str)], body: &[u8]) -> (u16, String) {
    let mut request = reqwest::Client::new().post(&town.door).body(body.to_vec());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn signed(town: &Town, event: &str, guid: &str, body: &[u8]) -> (u16, String) {
    let signature = signature(&town.github.webhook_secret(), body);
    let headers = [
        ("content-type", "application/json"),
        ("x-github-event", event),
        ("x-github-delivery", guid),
        ("x-hub-signature-256", signature.as_str()),
    ];
    post(town, &headers, body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn unsigned_and_wrongly_signed_deliveries_are_refused() {
    let mut town = Town::open().await;
    let plain = [("content-type", "application/json"), ("x-github-event", "ping"), ("x-github-delivery", "1")];
    assert_eq!(post(&town, &plain, b"{}").await.0, 401);
    let wrong = format!("sha256={}", "0".repeat(64));
    let headers = [plain[0], plain[1], plain[2], ("x-hub-signature-256", wrong.as_str())];
    assert_eq!(post(&town, &headers, b"{}").await.0, 401);
    let truncated = signature(&town.github.webhook_secret(), b"{\"whole\":true}");
    let headers = [plain[0], plain[1], plain[2], ("x-hub-signature-256", truncated.as_str())];
    assert_eq!(post(&town, &headers, b"{\"whole\":").await.0, 401);
    town.expect_writes(&[]);
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_headers_wrong_types_and_giants_are_refused_with_a_reason() {
    let mut town = Town::open().await;
    let signature = signature(&town.github.webhook_secret(), b"{}");
    let signed = ("x-hub-signature-256", signature.as_str());
    let (status, text) = post(&town, &[signed, ("content-type", "application/json")], b"{}").await;
    assert_eq!(status, 400, "{text}");
    let form = [
        signed,
        ("content-type", "application/x-www-form-urlencoded"),
        ("x-github-event", "ping"),
        ("x-github-delivery", "2"),
    ];
    let (status, text) = post(&town, &form, b"{}").await;
    assert_eq!(status, 415, "{text}");
    assert!(text.contains("application/json"), "{text}");
    let giant = vec![b' '; 25 * 1024 * 1024 + 1];
    let (status, _) = post(&town, &[("content-type", "application/json")], &giant).await;
    assert_eq!(status, 413);
    town.expect_writes(&[]);
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_is_parked_and_an_unknown_event_is_dropped() {
    let mut town = Town::open().await;
    assert_eq!(signed(&town, "pull_request", "guid-1", b"this is no json").await.0, 202);
    assert_eq!(
        signed(&town, "sponsorship", "guid-2", b"{\"action\":\"created\",\"installation\":{\"id\":1}}").await.0,
        202
    );
    assert_eq!(signed(&town, "no_such_event", "guid-3", b"{}").await.0, 202);
    assert_eq!(signed(&town, "pull_request", "guid-4", b"{\"action\":\"opened\"}").await.0, 202);
    town.quiet().await;
    let parked = town.parked().await;
    assert_eq!(parked.len(), 1, "{parked:?}");
    assert!(parked[0].what.contains("guid-1"), "{parked:?}");
    town.expect_writes(&[]);
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_delivery_twice_is_taken_once_and_with_other_bytes_it_is_parked() {
    let mut town = Town::open().await;
    let body = b"{\"zen\":\"Keep it logically awesome.\"}";
    assert_eq!(signed(&town, "ping", "same", body).await.0, 202);
    assert_eq!(signed(&town, "ping", "same", body).await.0, 202);
    assert_eq!(town.parked().await.len(), 0);
    assert_eq!(signed(&town, "ping", "same", b"{\"zen\":\"other\"}").await.0, 202);
    town.quiet().await;
    assert_eq!(town.parked().await.len(), 1);
    town.expect_writes(&[]);
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_in_the_middle_is_a_fact_and_not_the_end() {
    let mut town = Town::open().await;
    town.github.add_fault(Fault::always(
        "GET",
        "/repos/*/pulls/*/files*",
        Trouble::status(403, "Resource not accessible by integration"),
    ));
    let number = town.opened().await;
    assert_eq!(town.parked().await.len(), 0);
    let comment = town.comments(number).remove(0).body;
    assert!(comment.contains("Risk unknown"), "{comment}");
    town.github.clear_faults();
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_the_moment_is_waited_out() {
    let mut town = Town::open().await;
    town.github.add_fault(Fault::once("GET", "/repos/*/pulls/*/files*", Trouble::status(502, "Bad Gateway")));
    let number = town.github.open_pull("cheaper-search", "feat(api): find goods", "By first letters.", "ada").unwrap();
    town.until("the checks appear", |github| {
        let head = github.head_sha(number)?;
        (github.check_runs(&head).len() == 2).then_some(())
    })
    .await;
    town.quiet().await;
    town.expect_writes(&[("POST /check-runs", 2), ("POST /issues/{issue_number}/comments", 1)]);
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_installation_is_left_alone() {
    let mut town = Town::open().await;
    let number = town.opened().await;
    town.github.delete_installation("ada");
    town.quiet().await;
    town.github.clear_requests();
    town.github.with(|model, now| model.comment(number, "/plimsoll status", "ada", now)).unwrap();
    town.quiet().await;
    assert_eq!(town.parked().await.len(), 0);
    let journal = town.journal("repository:acme/shop").await;
    assert!(journal.iter().any(|line| line == "access lost"), "{journal:?}");
    town.expect_writes(&[]);
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_policy_on_the_default_branch_leaves_the_last_good_one_in_force() {
    let mut town = Town::open().await;
    let number = town.opened().await;
    town.github.push_commit("main", &[(".github/plimsoll.yml", "version: 1\nchekcs: {}\n")], "oops", "linus").unwrap();
    town.quiet().await;
    town.command(number, "ada", "/plimsoll recheck").await;
    let head = town.github.head_sha(number).unwrap();
    let check = town.github.check_runs(&head).into_iter().find(|c| c.name == "plimsoll/policy").unwrap();
    let summary = check.summary.unwrap_or_default();
    assert!(summary.contains("since linus pushed it") && summary.contains("Did you mean `checks`?"), "{summary}");
    assert!(summary.contains("| ✅ | title |"), "the last good rules still judge: {summary}");
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_published_payload_is_taken_at_the_door_and_none_is_parked() {
    let mut town = Town::open().await;
    for (n, (event, payload)) in crate::payloads::examples().into_iter().enumerate() {
        let body = payload.to_string();
        let (status, text) = signed(&town, &event, &format!("example-{n}"), body.as_bytes()).await;
        assert_eq!(status, 202, "{event}: {text}");
    }
    town.quiet().await;
    assert_eq!(town.parked().await, []);
    // None of them is about a repository of this GitHub.
    town.expect_writes(&[]);
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_is_taken_away_in_the_middle_is_left_alone_until_it_is_given_back() {
    let mut town = Town::open().await;
    let number = town.opened().await;
    town.github.with(|model, now| model.set_repository_installed(false, "grace", now));
    town.quiet().await;
    town.github.clear_requests();
    // A delivery that was under way when access ended: everything it asks for is 404 now.
    let payload = town.github.with(|model, _| {
        let deliveries = model.deliveries.values();
        deliveries.filter(|d| d.event.event == "pull_request").map(|d| d.event.payload.clone()).next_back().unwrap()
    });
    let mut payload = (*payload).clone();
    payload["action"] = "edited".into();
    payload["pull_request"]["title"] = "stuff".into();
    payload["pull_request"]["updated_at"] = "2099-01-01T00:00:00Z".into();
    let (status, _) = signed(&town, "pull_request", "late", payload.to_string().as_bytes()).await;
    assert_eq!(status, 202);
    town.quiet().await;
    assert_eq!(town.parked().await, []);
    assert_eq!(town.comments(number).len(), 1);
    town.github.with(|model, now| model.set_repository_installed(true, "grace", now));
    town.quiet().await;
    let journal = town.journal("repository:acme/shop").await;
    assert_eq!(journal.first().map(String::as_str), Some("access granted"), "{journal:?}");
    town.looked_at_writes = true;
    town.close().await;
}
