//! The API: what runs report of themselves, and what people and their tools read.
//!
//! Knows bearers of tokens, JSON and problems. Must never say what is inside before it is known who asks, and must
//! never judge a release itself: the domain does, in the words of its own commands.

mod problem;
mod read;
mod report;

use crate::engine::ports::{Callers, Clock, Store};
use axum::Router;
use axum::routing::{get, post};
use http::{HeaderMap, header};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use std::time::Duration;

/// Everything the API works with.
pub struct Api<S, C> {
    pub store: Arc<S>,
    pub clock: Arc<dyn Clock>,
    /// Tells who a workflow run is that calls.
    pub callers: Arc<C>,
    /// Called after each report that was kept, so that its lane looks at once; must not block.
    pub arrived: super::Admitted,
    /// What readers must bring; `None`: nothing can be read, and there are no such addresses.
    pub token: Option<SecretString>,
    /// How long a body may take to arrive, and then how long an answer may take.
    pub request_timeout: Duration,
}

/// The API's routes, with their state inside.
pub(super) fn routes<S, C, Outer>(api: Api<S, C>) -> Router<Outer>
where
    S: Store + 'static,
    C: Callers + 'static,
{
    let readable = api.token.is_some();
    let shared = Arc::new(Shared { api, pace: report::Pace::default() });
    let mut routes = Router::new().route("/api/v1/deployments/{*key}", post(report::take::<S, C>));
    if readable {
        let service = "/api/v1/repos/{owner}/{repo}/services/{service}";
        routes = routes
            .route(service, get(read::service::<S, C>))
            .route("/api/v1/repos/{owner}/{repo}/pulls/{number}/risk", get(read::risk::<S, C>))
            .route(&format!("{service}/environments/{{environment}}/why"), get(read::why::<S, C>));
    }
    routes.with_state(shared)
}

/// The API with what its routes share.
struct Shared<S, C> {
    api: Api<S, C>,
    pace: report::Pace,
}

/// What stands after `Authorization: Bearer`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Whether a reader brings the token. Takes the same time wherever the first wrong byte stands.
fn is_reader(expected: &SecretString, brought: &str) -> bool {
    let (expected, brought) = (expected.expose_secret().as_bytes(), brought.as_bytes());
    let differing = expected.iter().zip(brought).fold(0, |seen, (a, b)| std::hint::black_box(seen | (a ^ b)));
    expected.len() == brought.len() && differing == 0
}
