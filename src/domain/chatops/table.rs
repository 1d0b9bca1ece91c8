//! The one table of commands: the parser reads by it, and help is made from it.
//!
//! Knows how each command is spelled, what it is for and who may give it. Must never know a comment.

use super::Verb;
use crate::domain::ids::*;
use crate::domain::policy::GateName;
use std::fmt::Write;

/// Who may give a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Everybody who can comment.
    Anybody,
    /// The author of the pull request, and accounts that may push to the repository.
    AuthorAndWriters,
    /// Accounts that may push to the repository.
    Writers,
    /// Those whom the environment's `approval` names, and who made none of the changes themselves.
    Approvers,
    /// Whoever put there what is taken away, and accounts with `maintain` or `admin`.
    OwnerOrMaintainers,
    /// Accounts with `maintain` or `admin`.
    Maintainers,
    /// As for the command that stands inside it.
    AsItself,
}

impl Who {
    /// In plain words, for help and refusals.
    pub fn words(self) -> &'static str {
        match self {
            Self::Anybody => "everybody who can comment",
            Self::AuthorAndWriters => "the pull request's author and everybody with write permission",
            Self::Writers => "everybody with write permission",
            Self::Approvers => {
                "those whom the environment's `approval` names, unless they asked for the release or are author, \
                 committer, co-author or merger of a change in it"
            }
            Self::OwnerOrMaintainers => "whoever put it there, and everybody with maintain or admin permission",
            Self::Maintainers => "everybody with maintain or admin permission",
            Self::AsItself => "whoever may give the command itself",
        }
    }
}

/// A place in a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A branch, tag or commit.
    Ref,
    Environment,
    /// A commit, by at least seven digits of its hash.
    Sha,
    /// A condition of the gate that can be passed by.
    Gate,
    /// A whole command, which takes all words that follow.
    Command,
    /// A word that must stand there as it is.
    Word(&'static str),
    /// All of these or none.
    Maybe(&'static [Part]),
}

/// What may stand behind `--`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag {
    For,
    Reason,
    /// A reason that must be given.
    DemandedReason,
    Service,
}

impl Flag {
    pub(super) const ALL: [Self; 4] = [Self::For, Self::Reason, Self::DemandedReason, Self::Service];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::For => "for",
            Self::Reason | Self::DemandedReason => "reason",
            Self::Service => "service",
        }
    }

    fn spelled(self) -> &'static str {
        match self {
            Self::For => "[--for 2h]",
            Self::Reason => "[--reason \"...\"]",
            Self::DemandedReason => "--reason \"...\"",
            Self::Service => "[--service <service>]",
        }
    }
}

/// The words of a command, sorted into their places.
#[derive(Default)]
pub(super) struct Words {
    pub what: Option<String>,
    pub environment: Option<EnvironmentName>,
    pub sha: Option<String>,
    pub gate: Option<GateName>,
    pub command: Option<Verb>,
    pub service: Option<ServiceName>,
    pub lasts: Option<Span>,
    pub reason: Option<String>,
}

/// A row of the table.
pub(super) struct Row {
    pub name: &'static str,
    pub parts: &'static [Part],
    pub flags: &'static [Flag],
    meaning: &'static str,
    who: Who,
    /// Whether it does something that can be told beforehand, so that `plan` may stand before it.
    pub acts: bool,
    /// `None` when a word lacks that the parts ask for.
    pub verb: fn(Words) -> Option<Verb>,
}

/// Every command, in the order of help.
pub(super) const VERBS: [Row; 19] = [
    Row {
        name: "help",
        parts: &[],
        flags: &[],
        meaning: "Shows this list.",
        who: Who::Anybody,
        acts: false,
        verb: |_| Some(Verb::Help),
    },
    Row {
        name: "status",
        parts: &[],
        flags: &[],
        meaning: "Says where this pull request and its releases stand.",
        who: Who::Anybody,
        acts: false,
        verb: |_| Some(Verb::Status),
    },
    Row {
        name: "risk",
        parts: &[],
        flags: &[],
        meaning: "Says how risky this pull request is, with every reason and its points.",
        who: Who::Anybody,
        acts: false,
        verb: |_| Some(Verb::Risk),
    },
    Row {
        name: "why",
        parts: &[Part::Environment, Part::Maybe(&[Part::Sha])],
        flags: &[Flag::Service],
        meaning: "Says of each condition before an environment whether it is met, and what comes next.",
        who: Who::Anybody,
        acts: false,
        verb: |w| Some(Verb::Why { environment: w.environment?, sha: w.sha, service: w.service }),
    },
    Row {
        name: "plan",
        parts: &[Part::Command],
        flags: &[],
        meaning: "Says what a command would do, and does nothing: `/plimsoll plan rollback production`.",
        who: Who::AsItself,
        acts: false,
        verb: |w| Some(Verb::Plan(Box::new(w.command?))),
    },
    Row {
        name: "recheck",
        parts: &[],
        flags: &[],
        meaning: "Looks at everything afresh: files, reviews, policy, deployments.",
        who: Who::AuthorAndWriters,
        acts: true,
        verb: |_| Some(Verb::Recheck),
    },
    Row {
        name: "deploy",
        parts: &[Part::Ref, Part::Word("to"), Part::Environment],
        flags: &[Flag::Service, Flag::Reason],
        meaning: "Releases a branch, tag or commit to an environment, by the rules of that environment.",
        who: Who::Writers,
        acts: true,
        verb: |w| {
            Some(Verb::Deploy { what: w.what?, environment: w.environment?, service: w.service, reason: w.reason })
        },
    },
    Row {
        name: "promote",
        parts: &[Part::Environment],
        flags: &[Flag::Service, Flag::Reason],
        meaning: "Releases what is live in the environment before it, by the rules of that environment.",
        who: Who::Writers,
        acts: true,
        verb: |w| Some(Verb::Promote { environment: w.environment?, service: w.service, reason: w.reason }),
    },
    Row {
        name: "approve",
        parts: &[Part::Environment, Part::Maybe(&[Part::Sha])],
        flags: &[Flag::Service],
        meaning: "Lets the release that waits for this environment begin. With a commit: only if it is that one.",
        who: Who::Approvers,
        acts: true,
        verb: |w| Some(Verb::Approve { environment: w.environment?, sha: w.sha, service: w.service }),
    },
    Row {
        name: "retry",
        parts: &[Part::Maybe(&[Part::Environment])],
        flags: &[Flag::Service],
        meaning: "Rolls out once more what failed.",
        who: Who::Writers,
        acts: true,
        verb: |w| Some(Verb::Retry { environment: w.environment, service: w.service }),
    },
    Row {
        name: "cancel",
        parts: &[Part::Maybe(&[Part::Environment])],
        flags: &[Flag::Service],
        meaning: "Stops what is being rolled out, or takes back what waits.",
        who: Who::Writers,
        acts: true,
        verb: |w| Some(Verb::Cancel { environment: w.environment, service: w.service }),
    },
    Row {
        name: "rollback",
        parts: &[Part::Environment, Part::Maybe(&[Part::Word("to"), Part::Sha])],
        flags: &[Flag::Service, Flag::Reason],
        meaning: "Brings back the last release that was good there, or the given one, and holds the environment.",
        who: Who::Writers,
        acts: true,
        verb: |w| Some(Verb::Rollback { environment: w.environment?, to: w.sha, service: w.service, reason: w.reason }),
    },
    Row {
        name: "hold",
        parts: &[Part::Maybe(&[Part::Environment])],
        flags: &[Flag::For, Flag::Reason, Flag::Service],
        meaning: "Keeps releases from going on, in the name of this pull request: until the time is over, somebody resumes, or the pull request is merged or closed.",
        who: Who::Writers,
        acts: true,
        verb: |w| Some(Verb::Hold { environment: w.environment, service: w.service, lasts: w.lasts, reason: w.reason }),
    },
    Row {
        name: "resume",
        parts: &[Part::Maybe(&[Part::Environment])],
        flags: &[Flag::Service],
        meaning: "Ends a hold, so that releases go on; lets an undecided rollout go on.",
        who: Who::Writers,
        acts: true,
        verb: |w| Some(Verb::Resume { environment: w.environment, service: w.service }),
    },
    Row {
        name: "lock",
        parts: &[Part::Environment],
        flags: &[Flag::For, Flag::Reason, Flag::Service],
        meaning: "Reserves an environment: nothing is released there until the time is over or it is unlocked.",
        who: Who::Writers,
        acts: true,
        verb: |w| {
            Some(Verb::Lock { environment: w.environment?, service: w.service, lasts: w.lasts, reason: w.reason })
        },
    },
    Row {
        name: "unlock",
        parts: &[Part::Environment],
        flags: &[Flag::Service],
        meaning: "Takes a lock away.",
        who: Who::OwnerOrMaintainers,
        acts: true,
        verb: |w| Some(Verb::Unlock { environment: w.environment?, service: w.service }),
    },
    Row {
        name: "freeze",
        parts: &[Part::Maybe(&[Part::Environment])],
        flags: &[Flag::For, Flag::Reason],
        meaning: "Stops releases of every service, to one environment or to all, until the time is over or it is unfrozen.",
        who: Who::Writers,
        acts: true,
        verb: |w| Some(Verb::Freeze { environment: w.environment, lasts: w.lasts, reason: w.reason }),
    },
    Row {
        name: "unfreeze",
        parts: &[Part::Maybe(&[Part::Environment])],
        flags: &[],
        meaning: "Takes a freeze away.",
        who: Who::OwnerOrMaintainers,
        acts: true,
        verb: |w| Some(Verb::Unfreeze { environment: w.environment }),
    },
    Row {
        name: "override",
        parts: &[Part::Gate, Part::Maybe(&[Part::Environment])],
        flags: &[Flag::DemandedReason, Flag::Service],
        meaning: "Lets the release that waits pass one condition in that environment, with all its steps, and says so wherever the release is shown. A gate is `approval`, `window`, `freeze`, `lock` or `hold`.",
        who: Who::Maintainers,
        acts: true,
        verb: |w| {
            Some(Verb::Override { gate: w.gate?, environment: w.environment, service: w.service, reason: w.reason? })
        },
    },
];

/// Commands of the product that this version does not have: named, so that nobody hunts for a typing error.
pub(super) const LATER: [&str; 2] = ["queue", "diff"];

/// The row of a verb; its name may be in any case.
pub(super) fn row(name: &str) -> Option<&'static Row> {
    const { &VERBS }.iter().find(|row| row.name.eq_ignore_ascii_case(name))
}

/// Who may give the command of this name; the strictest for a name that is in no row, which no verb has.
pub(super) fn who(name: &str) -> Who {
    row(name).map_or(Who::Maintainers, |row| row.who)
}

/// How a command is written, for instance `/plimsoll approve <environment> [<sha>] [--service <service>]`.
/// `None`: there is no such command.
pub fn usage(name: &str) -> Option<String> {
    row(name).map(Row::usage)
}

impl Row {
    pub(super) fn usage(&self) -> String {
        let mut line = format!("/plimsoll {}", self.name);
        for part in self.parts {
            let _ = write!(line, " {}", spelled(*part));
        }
        for flag in self.flags {
            let _ = write!(line, " {}", flag.spelled());
        }
        line
    }
}

fn spelled(part: Part) -> String {
    match part {
        Part::Ref => "<ref|sha>".to_owned(),
        Part::Environment => "<environment>".to_owned(),
        Part::Sha => "<sha>".to_owned(),
        Part::Gate => "<gate>".to_owned(),
        Part::Command => "<command>".to_owned(),
        Part::Word(word) => word.to_owned(),
        Part::Maybe(parts) => format!("[{}]", parts.iter().map(|p| spelled(*p)).collect::<Vec<_>>().join(" ")),
    }
}

/// All commands with what they do and who may give them, in Markdown.
pub fn help() -> String {
    let mut text = String::from("### Commands\n\n");
    for row in &VERBS {
        let _ = writeln!(text, "- `{}`\n  {} May: {}.", row.usage(), row.meaning, row.who.words());
    }
    text.push_str(
        "\nOne command a line, up to five in a comment, at the start of a line of ordinary text; `@plimsoll` works like \
         `/plimsoll`. What stands in quotes, lists, tables, code, links, headings or HTML is not a command, and editing \
         a comment never runs one. Without `--service` a command is for every \
         service that the pull request touches.\n",
    );
    text
}
