//! A merge queue's group as people see it: check runs on its head, and why a pull request left the queue.
//!
//! Knows what the pull requests answered. Must never judge one.

use super::check::{POLICY_CHECK, RISK_CHECK};
use super::hold::HOLD_CHECK;
use crate::domain::effect::{CheckConclusion, CheckContent, Content, Target};
use crate::domain::markdown::{code, in_table};
use crate::domain::pull_request::LeftQueue;
use crate::domain::repository::{Group, GroupStage, RepositoryState, Said};

/// The check runs of every group that is remembered.
pub fn views(state: &RepositoryState) -> Vec<(Target, Content)> {
    state.groups.iter().flat_map(group).collect()
}

fn group(group: &Group) -> Vec<(Target, Content)> {
    let mut kinds = vec![Kind::Policy, Kind::Risk];
    if group.hold_check {
        kinds.push(Kind::Hold);
    }
    let target = |kind: Kind| Target::CheckRun { name: kind.name().to_owned(), head_sha: group.of.head_sha.clone() };
    kinds.into_iter().map(|kind| (target(kind), Content::Check(check(group, kind)))).collect()
}

#[derive(Clone, Copy)]
enum Kind {
    Policy,
    Risk,
    Hold,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Policy => POLICY_CHECK,
            Self::Risk => RISK_CHECK,
            Self::Hold => HOLD_CHECK,
        }
    }

    fn of(self, said: &Said) -> Option<&str> {
        match self {
            Self::Policy => said.policy.as_deref(),
            Self::Risk => said.risk.as_deref(),
            Self::Hold => said.hold.as_deref(),
        }
    }

    /// What one pull request says when all is well.
    fn good(self) -> &'static str {
        match self {
            Self::Policy => "meets all rules",
            Self::Risk => "is not blocked for its risk",
            Self::Hold => "goes through nothing that is held",
        }
    }

    fn all_good(self) -> (CheckConclusion, &'static str) {
        match self {
            Self::Policy => (CheckConclusion::Success, "All rules are met"),
            Self::Risk => (CheckConclusion::Neutral, "Nothing is blocked for its risk"),
            Self::Hold => (CheckConclusion::Success, "Nothing is held"),
        }
    }

    fn bad(self) -> &'static str {
        match self {
            Self::Policy => "with rules not met",
            Self::Risk => "blocked for risk",
            Self::Hold => "held",
        }
    }

    /// Whether not knowing stands in the way.
    fn blocks_unknown(self, group: &Group) -> bool {
        match self {
            Self::Policy | Self::Hold => true,
            Self::Risk => group.risk_blocks,
        }
    }
}

fn check(group: &Group, kind: Kind) -> CheckContent {
    let (conclusion, title) = outcome(group, kind);
    CheckContent {
        conclusion,
        title,
        summary: summary(group, kind),
        text: None,
        annotations: Vec::new(),
        actions: Vec::new(),
        asked: group.asked_again,
    }
}

fn outcome(group: &Group, kind: Kind) -> (CheckConclusion, String) {
    let all = group.pulls.len();
    let silent = group.pulls.values().filter(|said| said.is_none()).count();
    let bad = group.pulls.values().flatten().filter(|said| kind.of(said).is_some()).count();
    let pulls = if all == 1 { "pull request" } else { "pull requests" };
    match &group.stage {
        GroupStage::Open => (CheckConclusion::InProgress, format!("Waiting for {silent} of {all} {pulls}")),
        GroupStage::Gone { .. } => (CheckConclusion::Neutral, "The group is gone".to_owned()),
        GroupStage::Judged | GroupStage::GivenUp if bad > 0 => {
            (CheckConclusion::Failure, format!("{bad} of {all} {pulls} {}", kind.bad()))
        }
        GroupStage::GivenUp => {
            let unknown = if all == 0 {
                "No pull request was found in the group".to_owned()
            } else {
                format!("{silent} of {all} {pulls} could not be judged in time")
            };
            match kind.blocks_unknown(group) {
                true => (CheckConclusion::Failure, unknown),
                false => (CheckConclusion::Neutral, unknown),
            }
        }
        GroupStage::Judged if group.cut => {
            match kind.blocks_unknown(group) {
                // Neutral would let it pass where the check is required.
                true => (CheckConclusion::Failure, "Not all commits of the group could be read".to_owned()),
                false => (CheckConclusion::Neutral, format!("{}, as far as can be told", kind.all_good().1)),
            }
        }
        GroupStage::Judged => {
            let (conclusion, words) = kind.all_good();
            (conclusion, words.to_owned())
        }
    }
}

fn summary(group: &Group, kind: Kind) -> String {
    let mut out = match &group.stage {
        GroupStage::Open | GroupStage::Judged => String::new(),
        GroupStage::GivenUp if group.pulls.is_empty() => {
            "Neither the name of the group's branch nor its commits name a pull request.\n\n".to_owned()
        }
        GroupStage::GivenUp => {
            "Not everything could be judged within 10 minutes. Ask GitHub to run this check again, or take the pull \
             request out of the queue and add it again.\n\n"
                .to_owned()
        }
        GroupStage::Gone { reason } => {
            format!("GitHub is done with this group before it was judged; its word is {}.\n\n", code(reason))
        }
    };
    if group.cut {
        out.push_str(
            "GitHub did not list all commits of the group, so it may carry more pull requests than these.\n\n",
        );
    }
    if group.pulls.is_empty() {
        return out;
    }
    out.push_str("| | Pull request | What was found |\n|---|---|---|\n");
    for (number, said) in &group.pulls {
        let (sign, words) = match said.as_ref().map(|said| kind.of(said)) {
            None => ("🕓", "has not answered yet".to_owned()),
            Some(None) => ("✅", kind.good().to_owned()),
            Some(Some(line)) => ("❌", in_table(&line.replace('\n', " "))),
        };
        out.push_str(&format!("| {sign} | #{number} | {words} |\n"));
    }
    out
}

/// Why a pull request is no longer in the merge queue, for its living comment.
pub fn left_queue(left: &LeftQueue) -> String {
    if let Some(ours) = &left.ours {
        return format!(
            "**It left the merge queue** because Plimsoll's own check of its group failed ({ours}). Mend that, then add \
             it to the queue again."
        );
    }
    let why = match left.reason.as_str() {
        "CI_FAILURE" => {
            "a required check failed for its group. The group's checks say which; it may be this pull request or one \
             before it in the queue."
        }
        "CI_TIMEOUT" => "a required check of its group did not end in time. Add it again when that check works.",
        "MERGE_CONFLICT" => {
            "it conflicts with its base branch, or with a pull request before it in the queue. Bring it up to date, \
             then add it again."
        }
        "BRANCH_PROTECTIONS" => {
            "it does not meet the rules of its base branch any more. GitHub's merge box says which."
        }
        "ROLL_BACK" => "the queue was rolled back. Add it again.",
        "GIT_TREE_INVALID" => "GitHub could not put its files together with those of the group. Bring it up to date.",
        "INVALID_MERGE_COMMIT" => "GitHub could not make a good merge commit of it. Bring it up to date.",
        "MANUAL" => "somebody took it out.",
        "QUEUE_CLEARED" => "somebody cleared the queue. Add it again.",
        "MERGE" => "it is being merged.",
        "ALREADY_MERGED" => "it had been merged already.",
        "UNKNOWN_REMOVAL_REASON" => "GitHub does not say why.",
        other => return format!("**It left the merge queue.** GitHub's word for it is {}.", code(other)),
    };
    format!("**It left the merge queue**: {why}")
}
