//! The few plain pages: what this is, whether it lives, whether it is ready, how much it has done.
//!
//! Must never show what is inside a delivery or a lane.

use super::{Shared, reply};
use crate::domain::ids::{Span, Timestamp};
use crate::engine::ports::{Counts, Store};
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use http::{StatusCode, header};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::sync::Mutex;

/// How long counts from the store are shown before they are asked for again: anybody may ask, so asking must be cheap.
const COUNTS_KEPT: Span = Span::seconds(1);

/// The store's last answer, and when it came.
#[derive(Default)]
pub(crate) struct ReadinessCache(Mutex<Option<(Timestamp, Result<Counts, ()>)>>);

pub(super) async fn home<S: Store + 'static>(State(shared): State<Arc<Shared<S>>>) -> Html<String> {
    let schema = match shared.door.schema {
        Some(_) => "<li><a href=\"/schema/v1.json\">Schema of the policy file</a></li>\n",
        None => "",
    };
    Html(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Plimsoll</title>\
         <meta name=\"viewport\" content=\"width=device-width\"></head>\n<body>\n<h1>Plimsoll {version}</h1>\n\
         <p>A GitHub App that says how much risk a release carries, and brings it safely into production.</p>\n\
         <ul>\n<li>Deliveries go to <code>/github/webhook</code></li>\n\
         <li><a href=\"/healthz\">Does it live?</a></li>\n<li><a href=\"/readyz\">Is it ready?</a></li>\n\
         <li><a href=\"/metrics\">Counts</a></li>\n{schema}</ul>\n</body>\n</html>\n",
        version = env!("CARGO_PKG_VERSION"),
    ))
}

/// The process lives and can answer; says nothing of the store.
pub(super) async fn health() -> Response {
    reply::text(StatusCode::OK, "ok")
}

/// Whether deliveries can be taken now.
pub(super) async fn readiness<S: Store + 'static>(State(shared): State<Arc<Shared<S>>>) -> Response {
    let mut reasons = Vec::new();
    if shared.door.stop.is_cancelled() {
        reasons.push("The service is stopping.");
    }
    if counts(&shared).await.is_err() {
        reasons.push("The store cannot be reached.");
    }
    if reasons.is_empty() {
        reply::text(StatusCode::OK, "ready")
    } else {
        reply::text(StatusCode::SERVICE_UNAVAILABLE, &reasons.join("\n"))
    }
}

/// Counts in the text format that Prometheus reads. Without the store only those of the door.
pub(super) async fn metrics<S: Store + 'static>(State(shared): State<Arc<Shared<S>>>) -> Response {
    let door = &shared.counts;
    let mut text = String::from("# TYPE plimsoll_deliveries_received_total counter\n");
    for (outcome, count) in [
        ("stored", &door.stored),
        ("duplicate", &door.duplicate),
        ("parked", &door.parked),
        ("refused", &door.refused),
        ("unavailable", &door.unavailable),
    ] {
        let count = count.load(Relaxed);
        let _ = writeln!(text, "plimsoll_deliveries_received_total{{outcome=\"{outcome}\"}} {count}");
    }
    let store = counts(&shared).await;
    let _ = writeln!(text, "# TYPE plimsoll_store_up gauge\nplimsoll_store_up {}", u8::from(store.is_ok()));
    if let Ok(store) = store {
        for (name, count) in [
            ("deliveries_unsorted", store.deliveries_unsorted),
            ("deliveries_parked", store.deliveries_parked),
            ("arrivals_waiting", store.arrivals_waiting),
            ("arrivals_parked", store.arrivals_parked),
            ("effects_planned", store.effects_planned),
            ("effects_in_flight", store.effects_in_flight),
            ("lanes", store.lanes),
        ] {
            let _ = writeln!(text, "# TYPE plimsoll_{name} gauge\nplimsoll_{name} {count}");
        }
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// The JSON schema that editors use for `plimsoll.yml`.
pub(super) async fn schema<S: Store + 'static>(State(shared): State<Arc<Shared<S>>>) -> Response {
    match &shared.door.schema {
        Some(schema) => (
            [(header::CONTENT_TYPE, "application/schema+json"), (header::CACHE_CONTROL, "public, max-age=300")],
            schema.clone(),
        )
            .into_response(),
        None => not_found().await,
    }
}

pub(super) async fn not_found() -> Response {
    reply::text(StatusCode::NOT_FOUND, "There is nothing here.")
}

pub(super) async fn method_not_allowed() -> Response {
    reply::text(StatusCode::METHOD_NOT_ALLOWED, "This address is not used that way.")
}

async fn counts<S: Store>(shared: &Shared<S>) -> Result<Counts, ()> {
    // The lock is held while the store is asked, so that many callers at once cost one question.
    let mut kept = shared.readiness.0.lock().await;
    let now = shared.door.clock.now();
    if let Some((at, answer)) = *kept
        && now < at.plus(COUNTS_KEPT)
    {
        return answer;
    }
    let asked = shared.door.store.counts(now);
    let answer = match tokio::time::timeout(shared.door.limits.request_timeout / 2, asked).await {
        Ok(Ok(counts)) => Ok(counts),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the store could not be counted");
            Err(())
        }
        Err(_) => {
            tracing::warn!("the store took too long to be counted");
            Err(())
        }
    };
    *kept = Some((now, answer));
    answer
}
