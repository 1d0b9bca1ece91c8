//! Answers that several routes share: plain text, security headers, the answer after a panic.
//!
//! Must never put anything internal into an answer.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use std::any::Any;

const SECURITY_HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// A sentence for a person or a log, as plain text.
pub(super) fn text(status: StatusCode, sentence: &str) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{sentence}\n")).into_response()
}

/// A value for a program, as JSON of this media type.
pub(super) fn json(status: StatusCode, media_type: &'static str, value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(body) => (status, [(header::CONTENT_TYPE, media_type)], format!("{body}\n")).into_response(),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            text(StatusCode::INTERNAL_SERVER_ERROR, "Something broke on our side.")
        }
    }
}

/// Adds the headers that keep a browser from doing anything with the answer but showing it.
pub(super) async fn secured(mut response: Response) -> Response {
    secure(response.headers_mut());
    response
}

fn secure(headers: &mut HeaderMap) {
    for (name, value) in SECURITY_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// What is answered when a route panicked. The panic itself is already in the log.
pub(super) fn panicked(_: Box<dyn Any + Send>) -> http::Response<Body> {
    tracing::error!("a request ended in a panic");
    let mut response = text(StatusCode::INTERNAL_SERVER_ERROR, "Something broke on our side.");
    secure(response.headers_mut());
    response
}
