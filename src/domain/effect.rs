//! What the App does to GitHub, as values.
//!
//! Two kinds. A *publish* puts a view of the state where people see it; a newer one of the same target replaces it.
//! An *act* makes something happen, at most once, and carries its key inside what it makes. Knows no HTTP.

use super::ids::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One thing to do on GitHub.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    pub key: EffectKey,
    /// The lane that hears how it ended.
    pub subject: Subject,
    pub installation: InstallationId,
    pub work: Work,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    Publish(Publish),
    Act(Act),
}

/// A view to put in its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Publish {
    pub target: Target,
    /// Counts the versions of this target from 1; only the newest matters.
    pub generation: u64,
    pub content: Content,
}

/// Where a view stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A check run of the App on a commit.
    CheckRun { name: String, head_sha: Sha },
    /// The one living comment of a pull request.
    LivingComment { number: PullNumber },
    /// The result comment of the commands in one comment.
    Reply { number: PullNumber, comment: CommentId },
    /// The status of a deployment.
    DeploymentStatus { deployment: DeploymentId },
}

impl Target {
    /// Names the target within its repository, for the marker that finds it again and for logs.
    pub fn name(&self) -> String {
        match self {
            Self::CheckRun { name, head_sha } => format!("check/{name}/{head_sha}"),
            Self::LivingComment { number } => format!("comment/{number}"),
            Self::Reply { number, comment } => format!("reply/{number}/{comment}"),
            Self::DeploymentStatus { deployment } => format!("deployment/{deployment}/status"),
        }
    }
}

/// What a view shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    Check(CheckContent),
    /// Markdown, at most 65,536 characters, without the hidden marker.
    Comment(String),
    Deployment(DeploymentContent),
}

/// A check run's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckContent {
    pub conclusion: CheckConclusion,
    pub title: String,
    /// Markdown, at most 65,535 characters.
    pub summary: String,
    /// Markdown, at most 65,535 characters.
    pub text: Option<String>,
    pub annotations: Vec<Annotation>,
    /// Buttons, at most three; GitHub shows them on completed check runs only.
    #[serde(default)]
    pub actions: Vec<CheckAction>,
    /// How often somebody asked for it anew. GitHub then waits for an answer also when nothing else changed.
    pub asked: u64,
}

/// A button on a check run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckAction {
    /// At most 20 characters.
    pub label: String,
    /// At most 40 characters.
    pub description: String,
    /// What comes back with a click; at most 20 characters.
    pub identifier: String,
}

/// How a check run stands. `InProgress` is not a conclusion on GitHub; here it is the state before there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckConclusion {
    InProgress,
    Success,
    Failure,
    Neutral,
    ActionRequired,
}

/// A remark on a line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotation {
    pub path: String,
    /// From 1.
    pub line: u32,
    /// From 1; `None`: the whole line.
    pub column: Option<u32>,
    pub level: AnnotationLevel,
    pub message: String,
}

/// GitHub's `annotation_level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnnotationLevel {
    Notice,
    Warning,
    Failure,
}

/// A deployment's status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentContent {
    pub state: DeploymentState,
    /// At most 140 characters.
    pub description: String,
    /// Page of the workflow run.
    pub log_url: Option<String>,
}

/// GitHub's `state` of a deployment status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentState {
    Queued,
    InProgress,
    Success,
    Failure,
    Error,
    Inactive,
}

/// Something that happens at most once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Puts 👀 on a comment, to say that it was seen.
    React { comment: CommentId },
    /// Makes a GitHub Deployment; its payload carries the key.
    CreateDeployment { sha: Sha, environment: EnvironmentName, task: String, description: String, production: bool },
    /// Dispatches a workflow; the input `plimsoll_key` carries the key.
    DispatchWorkflow { workflow: WorkflowFile, branch: RefName, inputs: BTreeMap<String, String> },
    /// Opens an issue; its body carries the key in the hidden marker.
    OpenIssue { title: String, body: String },
    /// Opens a draft pull request that reverts another, as GitHub's own button does; its body carries the key in the
    /// hidden marker. Refused when it does not revert cleanly.
    RevertPull { pull: PullNumber, title: String, body: String },
    /// Answers a custom deployment protection rule of a run, or with no `state` reports on it.
    AnswerProtection { run: RunId, environment: EnvironmentName, state: Option<ProtectionState>, comment: String },
    /// Cancels a workflow run.
    CancelRun { run: RunId },
}

/// GitHub's `state` of an answer to a deployment protection rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProtectionState {
    Approved,
    Rejected,
}

/// How an effect ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It stands on GitHub. `id` is what GitHub calls it; `None` where GitHub gave no number (a dispatch without details).
    Done { id: Option<u64>, url: Option<String> },
    /// GitHub refused, and will again.
    Refused { message: String },
    /// A newer publish of the same target took its place; nothing was sent.
    Superseded,
    /// It may or may not have happened and cannot be told; a person must look. It is not tried again.
    Unknown { message: String },
}

impl Effect {
    /// Names what must be done one at a time: the target of a publish within its repository, the key of an act.
    pub fn lock_name(&self) -> String {
        match &self.work {
            Work::Publish(publish) => format!("{}/{}", self.subject.repo(), publish.target.name()),
            Work::Act(_) => self.key.to_string(),
        }
    }
}
