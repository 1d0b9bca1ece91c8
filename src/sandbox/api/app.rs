//! The App's own routes: installations, tokens, deliveries.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Answer, Call, Reply, bodies};
use crate::sandbox::keys::AppKey;
use crate::sandbox::model::{Delivery, DeliveryResult, InstallationState, Model, Refusal, rfc3339, text_or_null};

/// Clocks may differ by this many seconds.
const LEEWAY_S: i64 = 60;

pub(super) fn check_jwt(model: &Model, key: &AppKey, token: &str, now: i64) -> Result<(), Refusal> {
    let refused = |message: &str| Err(Refusal::new(401, message));
    let Some(claims) = key.claims(token) else {
        return refused("A JSON web token could not be decoded");
    };
    let issuer = match &claims.iss {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if issuer != model.app.id.to_string() && issuer != model.app.client_id {
        return refused("Integration not found");
    }
    let now = now.div_euclid(1000);
    if claims.iat > now + LEEWAY_S {
        return refused(
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
        );
    }
    if claims.exp <= now {
        return refused(
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
        );
    }
    if claims.exp > now + 600 || claims.exp - claims.iat > 600 + LEEWAY_S {
        return refused("'Expiration time' claim ('exp') is too far in the future");
    }
    Ok(())
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    Ok(Reply::ok(call.model.app_whole_json()))
}

pub(super) fn installations(call: &mut Call<'_>) -> Answer {
    let all = match call.model.installation.state {
        InstallationState::Deleted => Vec::new(),
        InstallationState::Active | InstallationState::Suspended { .. } => {
            let mut listed = call.model.installation_json();
            // Only an installation by itself tells the App's client id.
            if let Some(listed) = listed.as_object_mut() {
                listed.remove("client_id");
            }
            vec![listed]
        }
    };
    call.listed(all)
}

fn known_installation(call: &Call<'_>) -> Result<(), Refusal> {
    let here = call.number("installation_id")? == call.model.installation.id;
    if here && call.model.installation.state != InstallationState::Deleted { Ok(()) } else { Err(Refusal::not_found()) }
}

pub(super) fn installation(call: &mut Call<'_>) -> Answer {
    known_installation(call)?;
    Ok(Reply::ok(call.model.installation_json()))
}

pub(super) fn repository_installation(call: &mut Call<'_>) -> Answer {
    if call.model.installation.state == InstallationState::Deleted {
        return Err(Refusal::not_found());
    }
    Ok(Reply::ok(call.model.installation_json()))
}

pub(super) fn organization_installation(call: &mut Call<'_>) -> Answer {
    repository_installation(call)
}

pub(super) fn create_token(call: &mut Call<'_>) -> Answer {
    known_installation(call)?;
    if matches!(call.model.installation.state, InstallationState::Suspended { .. }) {
        return Err(Refusal::new(403, "This installation has been suspended"));
    }
    let body = call.body()?;
    let held = &call.model.app.permissions;
    let mut permissions = held.clone();
    if let Some(wanted) = body.get("permissions").and_then(Value::as_object) {
        permissions = BTreeMap::new();
        for (name, level) in wanted {
            let level = level.as_str().ok_or_else(|| bodies::not_a(name, level, "string"))?;
            let granted = held.get(name).is_some_and(|held| held == level || held == "write");
            if !granted {
                return Err(Refusal::new(422, "The permissions requested are not granted to this installation."));
            }
            permissions.insert(name.clone(), level.to_owned());
        }
        permissions.insert("metadata".to_owned(), "read".to_owned());
    }
    let narrowed = wanted_repositories(call, &body)?;
    let seed = format!("{}/{}/{}", call.key.private_pem(), call.model.tokens.len(), call.now);
    let mut counter = 0_u64;
    let token = loop {
        let text = format!("ghs_{}", &hex::encode(Sha256::digest(format!("{seed}/{counter}")))[..36]);
        if !call.model.tokens.contains_key(&text) {
            break text;
        }
        counter += 1;
    };
    let expires_at = call.model.add_token(token.clone(), permissions.clone(), call.now);
    let mut shown = json!({
        "token": token,
        "expires_at": rfc3339(expires_at),
        "permissions": permissions,
        "repository_selection": if narrowed { "selected" } else { "all" },
    });
    if narrowed {
        shown["repositories"] = json!([call.model.repository_json()]);
    }
    Ok(Reply::json(201, shown))
}

/// Says whether the token is narrowed; fails when a repository is wanted that is not here.
fn wanted_repositories(call: &Call<'_>, body: &Value) -> Result<bool, Refusal> {
    let names = bodies::list(body, "repositories")?;
    let ids = bodies::list(body, "repository_ids")?;
    let here = &call.model.repository;
    let known = names.into_iter().flatten().all(|name| name.as_str() == Some(&here.name))
        && ids.into_iter().flatten().all(|id| id.as_u64() == Some(here.id))
        && (call.model.installation.has_repository || (names.is_none() && ids.is_none()));
    if known {
        Ok(names.is_some() || ids.is_some())
    } else {
        Err(Refusal::new(
            422,
            "There is at least one repository that does not exist or is not accessible to the parent installation.",
        ))
    }
}

pub(super) fn repositories(call: &mut Call<'_>) -> Answer {
    let all = if call.model.installation.has_repository { vec![call.model.repository_json()] } else { Vec::new() };
    let mut reply = call.counted("repositories", all)?;
    if let Some(body) = &mut reply.body {
        body["repository_selection"] = json!("all");
    }
    Ok(reply)
}

pub(super) fn rate_limit(call: &mut Call<'_>) -> Answer {
    let reset = (call.now / 1000 / 3600 + 1) * 3600;
    let rate = json!({ "limit": 5000, "used": 0, "remaining": 5000, "reset": reset });
    Ok(Reply::ok(json!({ "resources": { "core": rate, "search": rate }, "rate": rate })))
}

fn delivery_item(call: &Call<'_>, delivery: &Delivery) -> Value {
    let (status, code) = match &delivery.result {
        DeliveryResult::Answered { status, .. } if (200..300).contains(status) => ("OK".to_owned(), *status),
        DeliveryResult::Answered { status, .. } => (format!("Invalid HTTP Response: {status}"), *status),
        DeliveryResult::Failed { why } => (why.clone(), 0),
    };
    let of_repository = delivery.event.payload.get("repository").is_some();
    json!({
        "id": delivery.id,
        "guid": delivery.event.guid,
        "delivered_at": rfc3339(delivery.delivered_at),
        "redelivery": delivery.event.redelivery,
        "duration": delivery.duration_ms as f64 / 1000.0,
        "status": status,
        "status_code": code,
        "event": delivery.event.event,
        "action": text_or_null(delivery.event.action.as_deref()),
        "installation_id": call.model.installation.id,
        "repository_id": if of_repository { json!(call.model.repository.id) } else { Value::Null },
        "throttled_at": Value::Null,
    })
}

pub(super) fn deliveries(call: &mut Call<'_>) -> Answer {
    call.model.forget_old_deliveries(call.now);
    let per_page = call.query_number("per_page", 30).clamp(1, 100);
    let before = match call.query("cursor") {
        None => u64::MAX,
        Some(cursor) => cursor
            .strip_prefix("v1_")
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| Refusal::new(400, "Bad Request - malformed pagination cursor"))?,
    };
    let failed_only = call.query("status") == Some("failure");
    let succeeded_only = call.query("status") == Some("success");
    let fine = |delivery: &Delivery| matches!(delivery.result, DeliveryResult::Answered { status, .. } if (200..300).contains(&status));
    let mut found: Vec<&Delivery> = call
        .model
        .deliveries
        .range(..before)
        .rev()
        .map(|(_, delivery)| delivery)
        .filter(|delivery| (!failed_only || !fine(delivery)) && (!succeeded_only || fine(delivery)))
        .take(per_page + 1)
        .collect();
    let more = found.len() > per_page;
    found.truncate(per_page);
    let mut reply = Reply::ok(found.iter().map(|delivery| delivery_item(call, delivery)).collect());
    if let (true, Some(last)) = (more, found.last()) {
        let address = call.address_with("cursor", &format!("v1_{}", last.id));
        reply.headers.push(("link".to_owned(), format!("<{address}>; rel=\"next\"")));
    }
    Ok(reply)
}

pub(super) fn delivery(call: &mut Call<'_>) -> Answer {
    let id = call.number("delivery_id")?;
    let delivery = call.model.deliveries.get(&id).ok_or_else(Refusal::not_found)?;
    let mut shown = delivery_item(call, delivery);
    let body = match &delivery.result {
        DeliveryResult::Answered { body, .. } => Some(body.as_str()),
        DeliveryResult::Failed { .. } => None,
    };
    shown["url"] = json!("");
    shown["request"] = json!({
        "headers": {
            "X-GitHub-Delivery": delivery.event.guid,
            "X-GitHub-Event": delivery.event.event,
            "Content-Type": "application/json",
        },
        "payload": *delivery.event.payload,
    });
    shown["response"] = json!({ "headers": {}, "payload": text_or_null(body) });
    Ok(Reply::ok(shown))
}

pub(super) fn redeliver(call: &mut Call<'_>) -> Answer {
    let id = call.number("delivery_id")?;
    call.model.redeliver(id, call.now)?;
    Ok(Reply::json(202, json!({})))
}
