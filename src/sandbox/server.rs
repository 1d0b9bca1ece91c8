//! Puts the API and the pages on a port of this machine.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request as HttpRequest, Response, StatusCode};
use serde_json::{Value, json};

use super::faults::Trouble;
use super::log::Recorded;
use super::model::Refusal;
use super::{Shared, api, git_http, locked, oidc, pages};

const BODY_BYTES_MAX: usize = 25 * 1024 * 1024;

/// First segments of paths that belong to the API; all other paths are pages.
const API_ROOTS: [&str; 9] = ["repos", "app", "orgs", "installation", "rate_limit", "user", "users", "meta", "graphql"];

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(any).with_state(shared)
}

async fn any(State(shared): State<Arc<Shared>>, request: HttpRequest<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "too large");
    };
    let path = parts.uri.path();
    // A GitHub Enterprise Server has GraphQL beside its REST API.
    let graphql = path.strip_prefix("/api").filter(|rest| *rest == "/graphql");
    let enterprise = path.strip_prefix("/api/v3").filter(|rest| rest.is_empty() || rest.starts_with('/')).or(graphql);
    let path = enterprise.unwrap_or(path);
    let root = path.split('/').nth(1).unwrap_or_default();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    if let Some(below) = path.strip_prefix(oidc::ROOT).filter(|_| enterprise.is_none()) {
        return answer_issuer(&shared, &parts, path, below);
    }
    if let Some(below) = git_http::below(&shared, path).map(str::to_owned) {
        let inner = shared.clone();
        let answer = tokio::task::spawn_blocking(move || git_http::answer(&inner, &parts, &below, &body)).await;
        return answer.unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR, "git broke"));
    }
    if enterprise.is_none() && !API_ROOTS.contains(&root) {
        let (path, method, headers) = (path.to_owned(), parts.method.clone(), parts.headers.clone());
        let inner = shared.clone();
        let answer =
            tokio::task::spawn_blocking(move || pages::answer(&inner, method.as_str(), &path, &query, &headers, &body))
                .await;
        shared.wake_hooks.notify_one();
        return answer.unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR, "the page broke"));
    }
    let request = api::Request {
        method: parts.method.as_str().to_owned(),
        path: if path.len() > 1 { path.trim_end_matches('/').to_owned() } else { path.to_owned() },
        query: pairs(&query),
        authorization: header(&parts.headers, "authorization"),
        if_none_match: header(&parts.headers, "if-none-match"),
        accept: header(&parts.headers, "accept"),
        version: header(&parts.headers, "x-github-api-version"),
        body,
    };
    answer_api(shared, request, query).await
}

/// What the issuer of tokens publishes, and a token for a run that asks as a job does: with the secret of its run.
fn answer_issuer(shared: &Shared, parts: &Parts, path: &str, below: &str) -> Response<Body> {
    match shared.faults().meet(parts.method.as_str(), path) {
        Some(Trouble::Answer { status, headers, body } | Trouble::AnswerAfter { status, headers, body }) => {
            return made_up(status, &headers, &body);
        }
        Some(Trouble::DropBefore | Trouble::DropAfter) => hang_up(),
        Some(Trouble::Delay { .. }) | None => {}
    }
    let answer = match below {
        "/token" => issued(shared, parts),
        _ => locked(&shared.issuer).document(below, &shared.oidc_issuer()).ok_or_else(Refusal::not_found),
    };
    match answer {
        Ok(document) => made_up(200, &[], &document.to_string()),
        Err(refusal) => made_up(refusal.status, &[], &json!({ "message": refusal.message }).to_string()),
    }
}

fn issued(shared: &Shared, parts: &Parts) -> Result<Value, Refusal> {
    let query = pairs(parts.uri.query().unwrap_or_default());
    let value = |name: &str| query.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let run = value("run").and_then(|run| run.parse().ok()).ok_or_else(Refusal::not_found)?;
    let brought = header(&parts.headers, "authorization").unwrap_or_default();
    if brought.strip_prefix("Bearer ") != Some(shared.run_secret(run).as_str()) {
        return Err(Refusal::new(401, "Bad credentials"));
    }
    // The sandbox reads no `environment:` of a job: a run is taken to deploy to where it was dispatched for.
    let environment = shared.model().run(run)?.inputs.get("environment").filter(|name| !name.is_empty()).cloned();
    let audience = value("audience").unwrap_or_else(|| shared.base_url.clone());
    let claims = shared.oidc_claims(run, &audience, environment.as_deref())?;
    Ok(json!({ "count": 1, "value": shared.oidc_signed(&claims)? }))
}

async fn answer_api(shared: Arc<Shared>, request: api::Request, query: String) -> Response<Body> {
    let trouble = shared.faults().meet(&request.method, &request.path);
    let mut recorded = Recorded {
        at: shared.now(),
        method: request.method.clone(),
        path: request.path.clone(),
        query,
        route: api::template_of(&request.method, &request.path),
        permission: None,
        status: 0,
        body: serde_json::from_slice(&request.body).ok(),
    };
    match &trouble {
        Some(Trouble::Answer { status, headers, body }) => {
            recorded.status = *status;
            shared.record(recorded);
            return made_up(*status, headers, body);
        }
        Some(Trouble::DropBefore) => {
            shared.record(recorded);
            hang_up();
        }
        Some(Trouble::Delay { ms }) => tokio::time::sleep(Duration::from_millis(*ms)).await,
        Some(Trouble::DropAfter | Trouble::AnswerAfter { .. }) | None => {}
    }
    let inner = shared.clone();
    let asked = request.clone();
    let answered = tokio::task::spawn_blocking(move || {
        let now = inner.now();
        api::answer(&mut inner.model(), &inner.key, &asked, now)
    })
    .await;
    shared.wake_hooks.notify_one();
    shared.wake_runs.notify_one();
    let Ok(reply) = answered else {
        shared.record(recorded);
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "the sandbox broke");
    };
    recorded.permission = reply.permission;
    recorded.route = reply.route.or(recorded.route);
    match trouble {
        Some(Trouble::DropAfter) => {
            shared.record(recorded);
            hang_up();
        }
        Some(Trouble::AnswerAfter { status, headers, body }) => {
            recorded.status = status;
            shared.record(recorded);
            return made_up(status, &headers, &body);
        }
        Some(Trouble::Answer { .. } | Trouble::DropBefore | Trouble::Delay { .. }) | None => {}
    }
    recorded.status = reply.status;
    shared.record(recorded);
    // A 304 costs nothing, as on GitHub.
    let used = if reply.status == 304 {
        shared.used.load(Ordering::Relaxed)
    } else {
        shared.used.fetch_add(1, Ordering::Relaxed) + 1
    };
    let mut response = Response::builder()
        .status(reply.status)
        .header("server", "github.com")
        .header("x-ratelimit-used", used.to_string())
        .header("x-ratelimit-remaining", 5_000_u64.saturating_sub(used).to_string())
        .header("x-github-request-id", format!("{used:04X}:SANDBOX"));
    for (name, value) in &reply.headers {
        response = response.header(name, value);
    }
    let body = match &reply.body {
        Some(body) => {
            response = response.header("content-type", "application/json; charset=utf-8");
            Body::from(body.to_string())
        }
        None => Body::empty(),
    };
    response.body(body).unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR, "the answer broke"))
}

/// Ends the connection's task without an answer and without a word on the terminal: the caller
/// sees the connection close, as when GitHub's load balancer gives up.
fn hang_up() -> ! {
    std::panic::resume_unwind(Box::new("hung up on purpose"))
}

fn made_up(status: u16, headers: &[(String, String)], body: &str) -> Response<Body> {
    let mut response = Response::builder().status(status).header("content-type", "application/json; charset=utf-8");
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response
        .body(Body::from(body.to_owned()))
        .unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR, "a fault with bad headers"))
}

pub(super) fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// Names and values of a query or a form.
pub(super) fn pairs(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let plain = |text: &str| api::decoded(&text.replace('+', " "));
            (plain(name), plain(value))
        })
        .collect()
}
