//! Comments into commands.
//!
//! Knows Markdown and the verbs. Must never know who may do what, or what became of it.

use super::ids::*;
use serde::{Deserialize, Serialize};

/// How many commands of one comment are obeyed.
pub const COMMANDS_MAX: usize = 5;

/// What a command asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    Help,
    Status,
    Recheck,
    /// `deploy <ref|sha> to <environment> [--service s] [--reason "..."]`
    Deploy {
        what: String,
        environment: EnvironmentName,
        service: Option<ServiceName>,
        reason: Option<String>,
    },
    /// `approve <environment> [<sha>] [--service s]`
    Approve {
        environment: EnvironmentName,
        sha: Option<String>,
        service: Option<ServiceName>,
    },
    /// `rollback <environment> [to <sha>] [--service s] [--reason "..."]`
    Rollback {
        environment: EnvironmentName,
        to: Option<String>,
        service: Option<ServiceName>,
        reason: Option<String>,
    },
    /// `resume <environment> [--service s]`: ends a hold.
    Resume {
        environment: EnvironmentName,
        service: Option<ServiceName>,
    },
}
