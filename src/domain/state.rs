//! The state of a lane, whichever kind it is.
//!
//! Knows the kinds. Must never know what happens to them.

use super::pull_request::PullState;
use super::release::PipelineState;
use super::repository::RepositoryState;
use serde::{Deserialize, Serialize};

/// The state of a lane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Repository(Box<RepositoryState>),
    PullRequest(Box<PullState>),
    Pipeline(Box<PipelineState>),
}
