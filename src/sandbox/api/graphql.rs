//! GraphQL, as much of it as GitHub offers nowhere else: the node id of a pull request, and to revert it.
//!
//! Knows these two operations and no language: anything else is refused as a syntax that nobody reads here.

use serde_json::{Value, json};

use super::{Answer, Call, Reply, bodies};
use crate::sandbox::model::{Refusal, RevertWish, node};

pub(super) fn answer(call: &mut Call<'_>) -> Answer {
    let body = call.body()?;
    let query = bodies::required_text(&body, "Query", "query")?;
    let query: String = query.split_whitespace().collect::<Vec<_>>().join(" ");
    let variables = body.get("variables").cloned().unwrap_or_default();
    let (path, answered) = if query.starts_with("mutation") && query.contains("revertPullRequest(input: $input)") {
        ("revertPullRequest", revert(call, &variables["input"]))
    } else if query.starts_with("query") && query.contains("pullRequest(number: $number) { id }") {
        ("repository", pull_id(call, &variables))
    } else {
        let message = "This sandbox reads two operations only: a pull request's id, and revertPullRequest.";
        return Ok(Reply::ok(json!({ "errors": [{ "message": message }] })));
    };
    Ok(Reply::ok(match answered {
        Ok(data) => json!({ "data": data }),
        Err(refusal) => {
            let kind = match refusal.status {
                404 => "NOT_FOUND",
                403 => "FORBIDDEN",
                _ => "UNPROCESSABLE",
            };
            json!({ "data": { path: null }, "errors": [{ "type": kind, "path": [path], "message": refusal.message }] })
        }
    }))
}

fn pull_id(call: &Call<'_>, variables: &Value) -> Result<Value, Refusal> {
    let here = &call.model.repository;
    let named =
        |name: &str, wanted: &str| variables[name].as_str().is_some_and(|text| text.eq_ignore_ascii_case(wanted));
    if !named("owner", &here.owner) || !named("name", &here.name) || !call.model.installation.has_repository {
        let message = "Could not resolve to a Repository with the name that was given.";
        return Err(Refusal::new(404, message));
    }
    let number = variables["number"].as_u64().unwrap_or_default();
    let pull =
        call.model.pulls.get(&number).ok_or_else(|| {
            Refusal::new(404, format!("Could not resolve to a PullRequest with the number of {number}."))
        })?;
    Ok(json!({ "repository": { "pullRequest": { "id": node("PR", pull.id) } } }))
}

fn revert(call: &mut Call<'_>, input: &Value) -> Result<Value, Refusal> {
    if !call.holds("contents", "write") || !call.holds("pull_requests", "write") {
        return Err(Refusal::new(403, "Resource not accessible by integration"));
    }
    let id = input["pullRequestId"].as_str().unwrap_or_default();
    let number = call.model.pulls.values().find(|pull| node("PR", pull.id) == id).map(|pull| pull.number);
    let number =
        number.ok_or_else(|| Refusal::new(404, format!("Could not resolve to a node with the global id of '{id}'")))?;
    let wish = RevertWish {
        title: input["title"].as_str(),
        body: input["body"].as_str(),
        draft: input["draft"].as_bool().unwrap_or(false),
    };
    let me = call.me();
    let made = call.model.revert_pull(number, &wish, &me, call.now)?;
    let url = call.model.page_url(&format!("/pull/{made}"));
    Ok(json!({ "revertPullRequest": { "revertPullRequest": { "number": made, "url": url } } }))
}
