//! Workflows and workflow runs.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Answer, Call, Reply, bodies};
use crate::sandbox::model::{Run, plain};

pub(super) fn workflows(call: &mut Call<'_>) -> Answer {
    let found = call.model.workflows();
    let all =
        found.iter().map(|workflow| call.model.workflow_json_of(workflow.id, &workflow.path, &workflow.name)).collect();
    call.counted("workflows", all)
}

pub(super) fn workflow(call: &mut Call<'_>) -> Answer {
    let id = call.text("workflow_id").to_owned();
    let workflow = call.model.workflow(&id)?;
    Ok(Reply::ok(call.model.workflow_json_of(workflow.id, &workflow.path, &workflow.name)))
}

pub(super) fn dispatch(call: &mut Call<'_>) -> Answer {
    let body = call.body()?;
    let workflow = call.text("workflow_id").to_owned();
    let git_ref = bodies::required_text(&body, "Workflow", "ref")?;
    let inputs = match body.get("inputs") {
        None | Some(Value::Null) => BTreeMap::new(),
        Some(Value::Object(inputs)) => inputs.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        Some(other) => return Err(bodies::not_a("inputs", other, "object")),
    };
    let newer = call.request.version.as_deref() == Some("2026-03-10");
    let tells = (bodies::flag(&body, "return_run_details")?.unwrap_or(false) || newer)
        && !call.model.manners.dispatch_never_tells_run;
    let id = call.model.dispatch(&workflow, &git_ref, inputs, &call.me(), call.now)?.run;
    if !tells {
        return Ok(Reply::empty(204));
    }
    Ok(Reply::ok(json!({
        "workflow_run_id": id,
        "run_url": call.model.repository_url(&format!("/actions/runs/{id}")),
        "html_url": call.model.page_url(&format!("/actions/runs/{id}")),
    })))
}

fn listed(call: &mut Call<'_>, workflow: Option<u64>) -> Answer {
    let fits = |name: &str, value: &str| call.query(name).is_none_or(|wanted| wanted == value);
    let all: Vec<&Run> = call
        .model
        .listed_runs(call.now)
        .into_iter()
        .filter(|run| workflow.is_none_or(|id| id == run.workflow_id))
        .filter(|run| {
            fits("event", &run.event)
                && fits("branch", &run.head_branch)
                && fits("head_sha", &run.head_sha)
                && fits("actor", &run.actor)
        })
        .filter(|run| {
            call.query("status").is_none_or(|wanted| wanted == run.status() || Some(wanted) == run.state.conclusion())
        })
        .filter(|run| call.query("created").is_none_or(|range| was_created_in(run.created_at, range)))
        // GitHub shows at most 1,000 runs of a search.
        .take(1_000)
        .collect();
    let total = all.len();
    let (page, headers) = call.page(all);
    let runs: Vec<Value> = page.into_iter().map(|run| call.model.run_json(run)).collect();
    let mut reply = Reply::ok(json!({ "total_count": total, "workflow_runs": runs }));
    reply.headers = headers;
    Ok(reply)
}

pub(super) fn of_workflow(call: &mut Call<'_>) -> Answer {
    let id = call.text("workflow_id").to_owned();
    let workflow = call.model.workflow(&id)?;
    listed(call, Some(workflow.id))
}

pub(super) fn list(call: &mut Call<'_>) -> Answer {
    listed(call, None)
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let run = call.model.run(call.number("run_id")?)?;
    Ok(Reply::ok(call.model.run_json(run)))
}

pub(super) fn cancel(call: &mut Call<'_>) -> Answer {
    let id = call.number("run_id")?;
    call.model.cancel_run(id, call.now)?;
    Ok(Reply::json(202, json!({})))
}

/// Takes what a deployment protection rule says of a run that waits for it.
pub(super) fn protection_rule(call: &mut Call<'_>) -> Answer {
    let id = call.number("run_id")?;
    let body = call.body()?;
    let environment = bodies::required_text(&body, "DeploymentProtectionRule", "environment_name")?;
    let state = bodies::text(&body, "state")?;
    let comment = bodies::text(&body, "comment")?.unwrap_or_default();
    call.model.answer_protection(id, &environment, state.as_deref(), &comment, call.now)?;
    Ok(Reply::empty(204))
}

pub(super) fn artifacts(call: &mut Call<'_>) -> Answer {
    let found = call.model.artifacts_of(call.query("name"), call.now);
    let all = found.into_iter().map(|artifact| call.model.artifact_json(artifact, call.now)).collect();
    call.counted("artifacts", all)
}

/// GitHub's search ranges: `2026-01-01`, `>=T`, `>T`, `<=T`, `<T`, `A..B`, `A..*`, `*..B`.
fn was_created_in(at_ms: i64, range: &str) -> bool {
    let at = at_ms.div_euclid(1000);
    // A day stands for its first second, or for its last where it ends a range.
    let start = |text: &str| seconds(text);
    let end = |text: &str| seconds(text).map(|at| if text.len() == 10 { at + 86_399 } else { at });
    if let Some((from, to)) = range.split_once("..") {
        let after = from == "*" || start(from).is_some_and(|from| at >= from);
        let before = to == "*" || end(to).is_some_and(|to| at <= to);
        return after && before;
    }
    if let Some(text) = range.strip_prefix(">=") {
        return start(text).is_some_and(|from| at >= from);
    }
    if let Some(text) = range.strip_prefix("<=") {
        return end(text).is_some_and(|to| at <= to);
    }
    if let Some(text) = range.strip_prefix('>') {
        return end(text).is_some_and(|from| at > from);
    }
    if let Some(text) = range.strip_prefix('<') {
        return start(text).is_some_and(|to| at < to);
    }
    start(range).zip(end(range)).is_some_and(|(from, to)| (from..=to).contains(&at))
}

fn seconds(text: &str) -> Option<i64> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(at.as_second());
    }
    let day: jiff::civil::Date = text.parse().ok()?;
    Some(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}
