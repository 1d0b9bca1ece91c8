//! What a verification asks of the world outside GitHub, and what it hears.
//!
//! Knows questions and readings. Must never judge one: thresholds belong to the release; nor how it is asked: no HTTP.

use super::ids::*;
use serde::{Deserialize, Serialize};

/// A question to something that runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// GET of a URL; `pointer` (RFC 6901) names the value of the JSON answer that is wanted, `""` the whole text.
    Http { url: String, pointer: Option<String> },
    /// A PromQL query as it stood at a moment; with `over`, every sample of that long before it.
    Prometheus {
        /// Base URL of the server; `None`: the operator's own.
        server: Option<String>,
        query: String,
        at: Timestamp,
        over: Option<Span>,
    },
}

/// What was heard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// An HTTP answer.
    Response {
        status: u16,
        /// From the first byte sent to the last byte read.
        took: Span,
        /// The wanted value: a JSON string without its quotes, anything else as JSON writes it. `None`: not there.
        value: Option<String>,
    },
    /// Samples by series, oldest first; what is not finite is left out. Empty: the query matches nothing.
    Samples(Vec<Series>),
    /// It was asked and did not answer (refused, timed out, broke off, spoke no HTTP); in plain words.
    Unanswered { because: String },
    /// It could not or must not be asked (not on the operator's list, no server, a query that is wrong); in plain words.
    Unasked { because: String },
}

/// One series of a Prometheus answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// As Prometheus writes it, for instance `{instance="a"}`.
    pub labels: String,
    pub samples: Vec<f64>,
}
