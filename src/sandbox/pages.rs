//! The sandbox's own pages.
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode};

use super::Shared;

pub(super) fn answer(
    _shared: &Arc<Shared>,
    _method: &str,
    _path: &str,
    _query: &str,
    _headers: &HeaderMap,
    _body: &[u8],
) -> Response<Body> {
    super::server::plain(StatusCode::NOT_FOUND, "no such page")
}
