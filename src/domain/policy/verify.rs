//! What a policy demands of a deployed step: the types of `verify`.
//!
//! Knows what may be demanded. Must never know how something is asked, or what it answered.

use crate::domain::ids::*;
use serde::{Deserialize, Serialize};

/// One thing that must hold after a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// For people; unique within its environment.
    pub name: String,
    pub probe: Probe,
    /// From one question to the next.
    pub every: Span,
    /// How many answers in a row must be good.
    pub successes: u32,
    /// How many bad answers of a step are forgiven.
    pub failures_allowed: u32,
    pub no_data: NoData,
    /// It is asked, decides nothing, and what it would have said is shown.
    pub dry_run: bool,
}

/// What is asked and what must be answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    Http {
        url: String,
        /// The status that is good.
        expect: u16,
        /// A value of the JSON answer by its pointer (RFC 6901), and what it must be.
        json: Option<(String, String)>,
        /// The answer must take less.
        latency_below: Option<Span>,
    },
    Prometheus {
        /// `None`: the operator's own.
        server: Option<String>,
        query: String,
        /// Every sample of that long counts; `None`: the newest alone.
        over: Option<Span>,
        demand: Demand,
    },
    /// A workflow that is dispatched like the deployment, and must succeed.
    Workflow { workflow: WorkflowFile },
    /// A check run or commit status of this name on the release's commit.
    Check { name: String },
    /// What runs says its commit: `{sha}` of the release or its beginning must stand there.
    Live {
        url: String,
        /// `None`: the whole text of the answer.
        pointer: Option<String>,
    },
}

/// What the samples of a query must be, each of every series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Demand {
    Below(f64),
    Above(f64),
    /// Compared with the same query just before the rollout began, mean against mean: not worse than by both bounds.
    NotWorse {
        worse: Worse,
        /// Part of the value before that still counts as the same, for instance 0.1.
        by: f64,
        /// Difference that still counts as the same, whatever the part: the minimum effect size.
        at_least: f64,
    },
}

/// Which way is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Worse {
    Higher,
    Lower,
}

/// What it means when there is no answer to judge in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoData {
    /// Nobody knows: the rollout stops where it is, for a person to decide.
    Inconclusive,
    Success,
    Failure,
}
