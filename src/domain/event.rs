//! What can happen to a lane.
//!
//! An event only says *where to look*. Knows nothing of webhooks' own shapes, signatures or delivery.

use super::chatops::Verb;
use super::effect::Ending;
use super::facts::{Comment, PullSnapshot, RunSnapshot};
use super::ids::*;
use super::release::{Change, ReleaseBrief};
use serde::{Deserialize, Serialize};

/// Something that arrived in a lane's inbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Look at the subject; the reason is for the journal.
    Look { because: String },
    /// GitHub sent a pull request's new shape.
    PullChanged { action: PullAction, pull: Box<PullSnapshot> },
    /// Somebody wrote a comment on a pull request.
    CommentCreated { comment: Comment },
    /// A review was submitted or dismissed.
    ReviewChanged { number: PullNumber },
    /// Somebody asked GitHub to run our check again.
    RecheckRequested { head_sha: Sha },
    /// The default branch may have moved.
    Pushed { branch: RefName, after: Sha, by: Option<Login> },
    /// The App was given the repository, or lost it.
    AccessChanged { granted: bool },
    /// A workflow run changed.
    RunChanged { run: RunSnapshot },
    /// One of the lane's own effects came to its end.
    EffectEnded { key: EffectKey, ending: Ending },
    /// Another lane says something.
    Signal(Signal),
}

/// What was done to a pull request, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PullAction {
    Opened,
    Synchronize,
    Reopened,
    Edited,
    ReadyForReview,
    ConvertedToDraft,
    Labelled,
    Closed,
}

/// What one lane tells another, in the commit that decided it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// To a repository: somebody needs the policy and it was never read. It answers with [`Signal::PolicyReady`].
    PolicyWanted { by: Subject },
    /// From a repository: the policy has been read; look again.
    PolicyReady,
    /// To a pipeline: a pull request that touches the service was merged.
    ReleaseWanted { sha: Sha, change: Box<Change> },
    /// To a pipeline: somebody commands. The permission to write was checked; who may approve is for the pipeline.
    Commanded { command: Box<PipelineCommand> },
    /// To a pull request: what became of a command.
    CommandAnswered { comment: CommentId, index: u32, from: ServiceName, answer: String, settled: bool },
    /// To a pull request: where the release that carries it stands.
    ReleaseMoved { service: ServiceName, brief: Box<ReleaseBrief> },
}

/// A command on its way to a pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PipelineCommand {
    /// The comment that holds it; with `index` it makes the command obeyed once.
    pub comment: CommentId,
    /// Which command of the comment, from 0.
    pub index: u32,
    /// Where it was written, and where the answer goes.
    pub pull: PullNumber,
    pub by: Login,
    /// When it was written: what the author could see then is what the command is bound to.
    pub at: Timestamp,
    pub verb: Verb,
}
