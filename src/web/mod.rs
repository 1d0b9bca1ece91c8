//! The HTTP door: deliveries come in here, and a few plain pages go out.
//!
//! Knows HTTP and the store's port. Must never know how a signature is made (it is given a closure), what a delivery
//! means, or SQL.

pub mod api;
pub mod hook;
pub mod pages;
mod reply;
pub mod server;

use crate::engine::ports::{Callers, Clock, Store};
use axum::Router;
use axum::handler::Handler;
use axum::middleware::map_response;
use axum::routing::{get, post};
use http::StatusCode;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

/// Says whether a signature header belongs to these bytes. `None`: the header was missing.
pub type Verify = Box<dyn Fn(Option<&str>, &[u8]) -> bool + Send + Sync>;

/// Rings for whoever sorts deliveries.
pub type Admitted = Box<dyn Fn() + Send + Sync>;

/// Everything the door works with.
pub struct Door<S> {
    pub store: Arc<S>,
    pub clock: Arc<dyn Clock>,
    pub verify: Verify,
    /// Called after each delivery that was kept, so that it is sorted at once; must not block.
    pub admitted: Admitted,
    /// Text of the policy file's JSON schema; `None`: there is no such page.
    pub schema: Option<String>,
    /// Cancelled when the service begins to stop.
    pub stop: CancellationToken,
    pub limits: Limits,
}

/// Bounds on what a stranger can make us hold or wait for.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest body of a delivery; GitHub sends at most 25 MB.
    pub body_bytes_max: usize,
    /// Bodies above [`hook::LARGE_BODY_BYTES`] that are held at the same time.
    pub large_bodies_max: usize,
    /// Connections at the same time; further ones wait in the listener's queue.
    pub connections_max: usize,
    /// How long a connection may take to send a request's head, and how long it may idle between requests.
    pub head_timeout: Duration,
    /// How long a body may take to arrive, and then how long an answer may take.
    pub request_timeout: Duration,
    /// How long running requests may take to finish when the service stops.
    pub shutdown_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 25 * 1024 * 1024,
            large_bodies_max: 8,
            connections_max: 512,
            head_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(9),
            shutdown_grace: Duration::from_secs(20),
        }
    }
}

/// Builds all routes.
pub fn router<S: Store + 'static, C: Callers + 'static>(door: Door<S>, api: api::Api<S, C>) -> Router {
    let request_timeout = door.limits.request_timeout;
    let door = Arc::new(Shared::new(door));
    // The door for deliveries stands outside the layers of the pages: it has its own, cheaper bounds.
    let hook = Router::new().route("/github/webhook", post(hook::receive::<S>));
    let pages = Router::new()
        .route("/", get(pages::home::<S>))
        .route("/healthz", get(pages::health))
        .route("/readyz", get(pages::readiness::<S>))
        .route("/metrics", get(pages::metrics::<S>))
        .route("/schema/v1.json", get(pages::schema::<S>))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, request_timeout))
        .layer(map_response(reply::secured));
    let api = api::routes(api).layer(map_response(reply::secured));
    hook.merge(pages)
        .merge(api)
        .method_not_allowed_fallback(pages::method_not_allowed.layer(map_response(reply::secured)))
        .fallback(pages::not_found.layer(map_response(reply::secured)))
        .layer(CatchPanicLayer::custom(reply::panicked))
        .with_state(door)
}

/// The door with what its routes share.
pub(crate) struct Shared<S> {
    door: Door<S>,
    counts: hook::HookCounts,
    large_bodies: tokio::sync::Semaphore,
    readiness: pages::ReadinessCache,
}

impl<S> Shared<S> {
    fn new(door: Door<S>) -> Self {
        let large_bodies = tokio::sync::Semaphore::new(door.limits.large_bodies_max);
        Self { door, counts: hook::HookCounts::default(), large_bodies, readiness: pages::ReadinessCache::default() }
    }
}

#[cfg(test)]
mod tests;
