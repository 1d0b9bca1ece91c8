//! How the API says no: what is wrong, where, and how to mend it, as `application/problem+json`.
//!
//! Must never hold anything that the caller may not know: texts come from the routes, each for its own caller.

use crate::web::reply;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// Longest text that is sent back of what the caller sent.
const CHARS_MAX: usize = 300;

/// Why a request was not done.
#[derive(Debug)]
pub(super) struct Problem {
    pub status: StatusCode,
    /// What is wrong, a sentence.
    pub what: String,
    /// The part of the request that it is about.
    pub place: &'static str,
    /// How to mend it, a sentence.
    pub mend: String,
}

impl Problem {
    pub fn new(status: StatusCode, place: &'static str, what: impl Into<String>, mend: impl Into<String>) -> Self {
        let what: String = what.into();
        let what = if what.chars().count() > CHARS_MAX {
            format!("{}…", what.chars().take(CHARS_MAX).collect::<String>())
        } else {
            what
        };
        Self { status, what, place, mend: mend.into() }
    }

    /// Our side is to blame for a moment.
    pub fn unavailable(what: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "service", what, "Try again in a few seconds.")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Written<'a> {
            title: &'a str,
            status: u16,
            detail: &'a str,
            #[serde(rename = "where")]
            place: &'a str,
            mend: &'a str,
        }
        let title = self.status.canonical_reason().unwrap_or("Problem");
        let (status, place) = (self.status.as_u16(), self.place);
        let written = Written { title, status, detail: &self.what, place, mend: &self.mend };
        let mut response = reply::json(self.status, "application/problem+json", &written);
        match self.status {
            StatusCode::UNAUTHORIZED => {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            StatusCode::TOO_MANY_REQUESTS => {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
            }
            _ => {}
        }
        response
    }
}
