//! Comments into commands.
//!
//! Knows Markdown and the verbs. Must never know who may do what, or what became of it.
//!
//! [`scan`] finds the lines that are commands, [`read`] turns a line into a [`Verb`] by the one [`table`] that help
//! is made from too.

mod read;
mod scan;
mod table;
#[cfg(test)]
mod tests;

pub use table::{Who, help, usage};

use super::ids::*;
use super::policy::GateName;
use super::problem::Problem;
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
    /// `resume [<environment>] [--service s]`: ends holds, and lets an undecided rollout go on.
    Resume {
        environment: Option<EnvironmentName>,
        service: Option<ServiceName>,
    },
    /// `risk`: the pull request's risk with all its reasons.
    Risk,
    /// `why <environment> [<sha>] [--service s]`: every condition of the gate, and what comes next.
    Why {
        environment: EnvironmentName,
        sha: Option<String>,
        service: Option<ServiceName>,
    },
    /// `plan <command>`: says what the command would do, and does nothing.
    Plan(Box<Verb>),
    /// `promote <environment> [--service s] [--reason "..."]`: what is live in the environment before it.
    Promote {
        environment: EnvironmentName,
        service: Option<ServiceName>,
        reason: Option<String>,
    },
    /// `retry [<environment>] [--service s]`: the release that failed there, once more.
    Retry {
        environment: Option<EnvironmentName>,
        service: Option<ServiceName>,
    },
    /// `cancel [<environment>] [--service s]`: stops what is being rolled out, or takes back what waits.
    Cancel {
        environment: Option<EnvironmentName>,
        service: Option<ServiceName>,
    },
    /// `lock <environment> [--for 2h] [--reason "..."] [--service s]`
    Lock {
        environment: EnvironmentName,
        service: Option<ServiceName>,
        lasts: Option<Span>,
        reason: Option<String>,
    },
    /// `unlock <environment> [--service s]`
    Unlock {
        environment: EnvironmentName,
        service: Option<ServiceName>,
    },
    /// `hold [<environment>] [--for 2h] [--reason "..."] [--service s]`: in the name of the pull request.
    Hold {
        environment: Option<EnvironmentName>,
        service: Option<ServiceName>,
        lasts: Option<Span>,
        reason: Option<String>,
    },
    /// `freeze [<environment>] [--for 2h] [--reason "..."]`: of every service.
    Freeze {
        environment: Option<EnvironmentName>,
        lasts: Option<Span>,
        reason: Option<String>,
    },
    /// `unfreeze [<environment>]`
    Unfreeze {
        environment: Option<EnvironmentName>,
    },
    /// `override <gate> [<environment>] --reason "..." [--service s]`: break-glass.
    Override {
        gate: GateName,
        environment: Option<EnvironmentName>,
        service: Option<ServiceName>,
        reason: String,
    },
}

impl Verb {
    /// The word that people write, for instance `approve`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Help => "help",
            Self::Status => "status",
            Self::Recheck => "recheck",
            Self::Deploy { .. } => "deploy",
            Self::Approve { .. } => "approve",
            Self::Rollback { .. } => "rollback",
            Self::Resume { .. } => "resume",
            Self::Risk => "risk",
            Self::Why { .. } => "why",
            Self::Plan(_) => "plan",
            Self::Promote { .. } => "promote",
            Self::Retry { .. } => "retry",
            Self::Cancel { .. } => "cancel",
            Self::Lock { .. } => "lock",
            Self::Unlock { .. } => "unlock",
            Self::Hold { .. } => "hold",
            Self::Freeze { .. } => "freeze",
            Self::Unfreeze { .. } => "unfreeze",
            Self::Override { .. } => "override",
        }
    }

    /// The service that it names; `None`: none, or it is for all of them.
    pub fn service(&self) -> Option<&ServiceName> {
        match self {
            Self::Deploy { service, .. }
            | Self::Approve { service, .. }
            | Self::Rollback { service, .. }
            | Self::Resume { service, .. }
            | Self::Why { service, .. }
            | Self::Promote { service, .. }
            | Self::Retry { service, .. }
            | Self::Cancel { service, .. }
            | Self::Lock { service, .. }
            | Self::Unlock { service, .. }
            | Self::Hold { service, .. }
            | Self::Override { service, .. } => service.as_ref(),
            Self::Plan(verb) => verb.service(),
            Self::Help | Self::Status | Self::Recheck | Self::Risk | Self::Freeze { .. } | Self::Unfreeze { .. } => {
                None
            }
        }
    }

    /// Whom it is for; a plan is for whom its command is for.
    pub fn reach(&self) -> Reach {
        match self {
            Self::Help | Self::Risk | Self::Recheck => Reach::PullRequest,
            Self::Status | Self::Freeze { .. } | Self::Unfreeze { .. } => Reach::EveryService,
            Self::Why { .. } | Self::Lock { .. } | Self::Unlock { .. } | Self::Hold { .. } => Reach::Touched,
            Self::Deploy { .. }
            | Self::Promote { .. }
            | Self::Approve { .. }
            | Self::Rollback { .. }
            | Self::Retry { .. }
            | Self::Cancel { .. }
            | Self::Resume { .. }
            | Self::Override { .. } => Reach::TouchedOrNamed,
            Self::Plan(verb) => verb.reach(),
        }
    }

    /// Whether it does no harm when it is read late: it asks, or has everything looked at afresh.
    pub fn is_timeless(&self) -> bool {
        match self {
            Self::Help | Self::Status | Self::Risk | Self::Recheck | Self::Why { .. } | Self::Plan(_) => true,
            Self::Deploy { .. }
            | Self::Promote { .. }
            | Self::Approve { .. }
            | Self::Rollback { .. }
            | Self::Retry { .. }
            | Self::Cancel { .. }
            | Self::Resume { .. }
            | Self::Lock { .. }
            | Self::Unlock { .. }
            | Self::Hold { .. }
            | Self::Freeze { .. }
            | Self::Unfreeze { .. }
            | Self::Override { .. } => false,
        }
    }

    /// Who may give this command. The table's promise to people; others see that it is kept.
    pub fn who(&self) -> Who {
        match self {
            Self::Plan(verb) => verb.who(),
            verb => table::who(verb.name()),
        }
    }
}

/// Whom a command is for when it names no service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The pull request itself answers.
    PullRequest,
    EveryService,
    /// Those that the pull request touches; where it touches none, every one.
    Touched,
    /// Those that the pull request touches. It starts, stops or lets go of something: where none is touched, and there
    /// is more than one, it must be named.
    TouchedOrNamed,
}

/// What a comment asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// The first [`COMMANDS_MAX`] commands in the order written; a problem is a command that cannot be understood.
    pub commands: Vec<Result<Verb, Problem>>,
    /// How many more were written, and left out.
    pub left_out: usize,
}

/// Finds the commands of a comment.
///
/// A command is one line of a plain paragraph that starts with `/plimsoll` or `@plimsoll`. What stands in quotes,
/// lists, tables, code, links, headings, HTML or comments is no command. Never fails: a comment that asks for nothing
/// gives nothing. Hashes come back in lower case.
pub fn commands(body: &str) -> Parsed {
    let mut lines = scan::command_lines(body);
    let left_out = lines.len().saturating_sub(COMMANDS_MAX);
    lines.truncate(COMMANDS_MAX);
    Parsed { commands: lines.iter().map(read::command).collect(), left_out }
}
