//! Check runs and commit statuses.

use serde_json::{Value, json};

use super::{Answer, Call, Reply, bodies};
use crate::sandbox::model::{Annotation, CheckAction, CheckRun, CheckRunWish, CommitStatusWish, OutputWish, Refusal};

fn annotation(value: &Value) -> Result<Annotation, Refusal> {
    let number = |field: &str| -> Result<u64, Refusal> {
        bodies::whole(value, field)?
            .ok_or_else(|| Refusal::new(422, format!("Invalid request.\n\n\"{field}\" wasn't supplied.")))
    };
    Ok(Annotation {
        path: bodies::required_text(value, "CheckRun", "path")?,
        start_line: number("start_line")?,
        end_line: number("end_line")?,
        start_column: bodies::whole(value, "start_column")?,
        end_column: bodies::whole(value, "end_column")?,
        level: bodies::required_text(value, "CheckRun", "annotation_level")?,
        message: bodies::required_text(value, "CheckRun", "message")?,
        title: bodies::text(value, "title")?,
        raw_details: bodies::text(value, "raw_details")?,
    })
}

fn action(value: &Value) -> Result<CheckAction, Refusal> {
    Ok(CheckAction {
        label: bodies::required_text(value, "CheckRun", "label")?,
        description: bodies::required_text(value, "CheckRun", "description")?,
        identifier: bodies::required_text(value, "CheckRun", "identifier")?,
    })
}

fn wish(body: &Value) -> Result<CheckRunWish, Refusal> {
    let output = match body.get("output") {
        None | Some(Value::Null) => None,
        Some(output) if output.is_object() => Some(OutputWish {
            title: bodies::text(output, "title")?,
            summary: bodies::text(output, "summary")?,
            text: bodies::text(output, "text")?,
            annotations: bodies::list(output, "annotations")?
                .into_iter()
                .flatten()
                .map(annotation)
                .collect::<Result<_, _>>()?,
        }),
        Some(other) => return Err(bodies::not_a("output", other, "object")),
    };
    let actions = match bodies::list(body, "actions")? {
        Some(actions) => Some(actions.iter().map(action).collect::<Result<_, _>>()?),
        None => None,
    };
    Ok(CheckRunWish {
        name: bodies::text(body, "name")?,
        head_sha: None,
        details_url: bodies::text(body, "details_url")?,
        external_id: bodies::text(body, "external_id")?,
        status: bodies::text(body, "status")?,
        conclusion: bodies::text(body, "conclusion")?,
        started_at: bodies::time(body, "started_at")?,
        completed_at: bodies::time(body, "completed_at")?,
        output,
        actions,
    })
}

pub(super) fn create(call: &mut Call<'_>) -> Answer {
    let body = call.body()?;
    let mut wish = wish(&body)?;
    wish.name = Some(bodies::required_text(&body, "CheckRun", "name")?);
    wish.head_sha = Some(bodies::required_text(&body, "CheckRun", "head_sha")?);
    let id = call.model.create_check_run(wish, call.now)?;
    shown(call, id, 201)
}

pub(super) fn update(call: &mut Call<'_>) -> Answer {
    let id = call.number("check_run_id")?;
    if call.model.check_runs.get(&id).is_some_and(|run| run.other_app.is_some()) {
        return Err(Refusal::new(
            403,
            "Invalid app_id `15368` - check run can only be modified by the GitHub App that created it.",
        ));
    }
    let wish = wish(&call.body()?)?;
    call.model.update_check_run(id, wish, call.now)?;
    shown(call, id, 200)
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let id = call.number("check_run_id")?;
    shown(call, id, 200)
}

fn shown(call: &Call<'_>, id: u64, status: u16) -> Answer {
    let run = call.model.check_runs.get(&id).ok_or_else(Refusal::not_found)?;
    Ok(Reply::json(status, call.model.check_run_json(run)))
}

pub(super) fn annotations(call: &mut Call<'_>) -> Answer {
    let id = call.number("check_run_id")?;
    let run = call.model.check_runs.get(&id).ok_or_else(Refusal::not_found)?;
    let all = run
        .annotations
        .iter()
        .map(|annotation| {
            json!({
                "path": annotation.path,
                "start_line": annotation.start_line,
                "end_line": annotation.end_line,
                "start_column": annotation.start_column,
                "end_column": annotation.end_column,
                "annotation_level": annotation.level,
                "title": annotation.title,
                "message": annotation.message,
                "raw_details": annotation.raw_details,
                "blob_href": call.model.page_url(&format!("/blob/{}/{}", run.head_sha, crate::sandbox::model::encoded_path(&annotation.path))),
            })
        })
        .collect();
    call.listed(all)
}

fn sha_of(call: &Call<'_>) -> Result<String, Refusal> {
    let name = call.text("ref");
    call.model.history.resolve(name).ok_or_else(|| Refusal::new(422, format!("No commit found for SHA: {name}")))
}

pub(super) fn of_ref(call: &mut Call<'_>) -> Answer {
    let sha = sha_of(call)?;
    let latest = call.query("filter") != Some("all");
    let of_app = |run: &&CheckRun| {
        let id = if run.other_app.is_some() { 15_368 } else { call.model.app.id };
        call.query("app_id").is_none_or(|wanted| wanted == id.to_string())
    };
    let all = call
        .model
        .check_runs_of(&sha, latest)
        .into_iter()
        .filter(of_app)
        .filter(|run| call.query("check_name").is_none_or(|name| name == run.name))
        .filter(|run| call.query("status").is_none_or(|status| status == run.status))
        .map(|run| call.model.check_run_json(run))
        .collect();
    call.counted("check_runs", all)
}

pub(super) fn suites_of_ref(call: &mut Call<'_>) -> Answer {
    let sha = sha_of(call)?;
    let all = if call.model.suites.contains_key(&sha) {
        let mut suite = call.model.suite_json(&sha);
        suite["repository"] = call.model.repository_brief_json();
        vec![suite]
    } else {
        Vec::new()
    };
    call.counted("check_suites", all)
}

pub(super) fn create_status(call: &mut Call<'_>) -> Answer {
    let sha = call.text("sha").to_owned();
    let body = call.body()?;
    let state = bodies::required_text(&body, "Status", "state")?;
    let context = bodies::text(&body, "context")?.unwrap_or_else(|| "default".to_owned());
    let (description, url) = (bodies::text(&body, "description")?, bodies::text(&body, "target_url")?);
    let me = call.me();
    let (description, target_url) = (description.as_deref(), url.as_deref());
    let wish = CommitStatusWish { sha: &sha, context: &context, state: &state, description, target_url };
    let id = call.model.set_status(&wish, &me, call.now)?;
    let status = call.model.statuses.get(&id).ok_or_else(Refusal::not_found)?;
    Ok(Reply::json(201, call.model.status_json(status)))
}

/// The newest status of each context, and what they come to: without any, the state is pending.
pub(super) fn combined_status(call: &mut Call<'_>) -> Answer {
    let sha = sha_of(call)?;
    let commit_url = call.model.repository_url(&format!("/commits/{sha}"));
    let newest = call.model.newest_statuses(&sha);
    let any = |states: &[&str]| newest.iter().any(|status| states.contains(&status.state.as_str()));
    let state = if any(&["error", "failure"]) {
        "failure"
    } else if newest.is_empty() || any(&["pending"]) {
        "pending"
    } else {
        "success"
    };
    let total = newest.len();
    let (page, headers) = call.page(newest);
    let statuses: Vec<Value> = page.into_iter().map(|status| call.model.simple_status_json(status)).collect();
    let mut reply = Reply::ok(json!({
        "state": state,
        "statuses": statuses,
        "sha": sha,
        "total_count": total,
        "repository": call.model.repository_brief_json(),
        "commit_url": commit_url,
        "url": format!("{commit_url}/status"),
    }));
    reply.headers = headers;
    Ok(reply)
}
