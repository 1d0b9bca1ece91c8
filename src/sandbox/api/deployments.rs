//! Deployments, their statuses, environments.

use serde_json::{Value, json};

use super::{Answer, Call, Reply, bodies};
use crate::sandbox::model::{Created, DeploymentWish, Refusal, StatusWish};

pub(super) fn create(call: &mut Call<'_>) -> Answer {
    let body = call.body()?;
    let required_contexts = match bodies::list(&body, "required_contexts")? {
        None => None,
        Some(names) => Some(
            names
                .iter()
                .map(|name| {
                    name.as_str().map(str::to_owned).ok_or_else(|| bodies::not_a("required_contexts", name, "string"))
                })
                .collect::<Result<Vec<_>, _>>()?,
        ),
    };
    let payload = match body.get("payload") {
        None | Some(Value::Null) => json!({}),
        Some(payload @ (Value::Object(_) | Value::String(_))) => payload.clone(),
        Some(other) => return Err(bodies::not_a("payload", other, "object or string")),
    };
    let wish = DeploymentWish {
        git_ref: bodies::required_text(&body, "Deployment", "ref")?,
        task: bodies::text(&body, "task")?,
        auto_merge: bodies::flag(&body, "auto_merge")?.unwrap_or(true),
        required_contexts,
        payload,
        environment: bodies::text(&body, "environment")?,
        description: bodies::text(&body, "description")?,
        transient: bodies::flag(&body, "transient_environment")?.unwrap_or(false),
        production: bodies::flag(&body, "production_environment")?,
    };
    match call.model.create_deployment(wish, &call.me(), call.now)? {
        Created::Deployment(id) => Ok(Reply::json(201, call.model.deployment_json(id))),
        Created::Merged(message) => Ok(Reply::json(202, json!({ "message": message }))),
    }
}

pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let wanted = |name: &str, value: &str| {
        call.query(name).is_none_or(|wanted| wanted == "none" || wanted.eq_ignore_ascii_case(value))
    };
    let all: Vec<u64> = call
        .model
        .deployments
        .values()
        .rev()
        .filter(|one| one.created_at + call.model.manners.list_lag_ms <= call.now)
        .filter(|one| {
            wanted("sha", &one.sha)
                && wanted("ref", &one.git_ref)
                && wanted("task", &one.task)
                && wanted("environment", &one.environment)
        })
        .map(|one| one.id)
        .collect();
    let (page, headers) = call.page(all);
    let mut reply = Reply::ok(page.into_iter().map(|id| call.model.deployment_json(id)).collect());
    reply.headers = headers;
    Ok(reply)
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let id = known(call)?;
    Ok(Reply::ok(call.model.deployment_json(id)))
}

fn known(call: &Call<'_>) -> Result<u64, Refusal> {
    let id = call.number("deployment_id")?;
    if call.model.deployments.contains_key(&id) { Ok(id) } else { Err(Refusal::not_found()) }
}

pub(super) fn create_status(call: &mut Call<'_>) -> Answer {
    let id = known(call)?;
    let body = call.body()?;
    let wish = StatusWish {
        state: bodies::required_text(&body, "DeploymentStatus", "state")?,
        description: bodies::text(&body, "description")?,
        log_url: bodies::text(&body, "log_url")?.or(bodies::text(&body, "target_url")?),
        environment_url: bodies::text(&body, "environment_url")?,
        environment: bodies::text(&body, "environment")?,
        auto_inactive: bodies::flag(&body, "auto_inactive")?,
    };
    let status = call.model.create_deployment_status(id, wish, &call.me(), call.now)?;
    Ok(Reply::json(201, call.model.deployment_status_json(status)))
}

pub(super) fn statuses(call: &mut Call<'_>) -> Answer {
    let id = known(call)?;
    let all =
        call.model.statuses_of(id).into_iter().map(|status| call.model.deployment_status_json(status.id)).collect();
    call.listed(all)
}

pub(super) fn environments(call: &mut Call<'_>) -> Answer {
    let all = call.model.environments.keys().map(|key| call.model.environment_json(key)).collect();
    call.counted("environments", all)
}

pub(super) fn environment(call: &mut Call<'_>) -> Answer {
    let key = call.text("environment_name").to_lowercase();
    if !call.model.environments.contains_key(&key) {
        return Err(Refusal::not_found());
    }
    Ok(Reply::ok(call.model.environment_json(&key)))
}
