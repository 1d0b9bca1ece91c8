//! What can happen to a lane.
//!
//! An event only says *where to look*. Knows nothing of webhooks' own shapes, signatures or delivery.

use super::chatops::Verb;
use super::effect::Ending;
use super::facts::{Comment, Permission, Person, PullSnapshot, RunSnapshot};
use super::ids::*;
use super::policy::{Band, Pipeline};
use serde::{Deserialize, Serialize};

/// Something that arrived in a lane's inbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Look at the subject; the reason is for the journal.
    Look { because: String },
    /// Look if the subject was not read since it changed at `updated_at`; the repository's sweep says so.
    LookIfNewer { updated_at: Timestamp },
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
    ReleaseWanted { sha: Sha, change: Box<Change>, plan: Box<Plan> },
    /// To a pipeline: somebody commands. Who may write was checked; who may approve is for the pipeline.
    Commanded { command: Box<PipelineCommand>, plan: Box<Plan> },
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
    pub permission: Permission,
    /// When it was written: what the author could see then is what the command is bound to.
    pub at: Timestamp,
    pub verb: Verb,
}

/// A merged pull request as a release carries it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub pull: PullNumber,
    pub title: String,
    pub author: Login,
    pub merged_by: Option<Login>,
    /// Authors, committers and co-authors of its commits.
    pub people: Vec<Person>,
    /// Probability and band, when the model could tell.
    pub risk: Option<(f64, Band)>,
    /// The commit that the merge made.
    pub sha: Sha,
}

/// The policy that a release keeps from its start to its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub pipeline: Pipeline,
    /// Blob hash of the policy file.
    pub policy: Option<Sha>,
    pub default_branch: RefName,
}

/// Where a release stands, short, for the pull requests that it carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReleaseBrief {
    pub number: ReleaseNumber,
    pub sha: Sha,
    /// In the order of the pipeline.
    pub stages: Vec<StageBrief>,
}

/// Where a release stands in one environment, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageBrief {
    pub environment: EnvironmentName,
    pub standing: StageStanding,
    /// For instance `step 2 of 3 (25 %) is running`.
    pub text: String,
    /// Page of the workflow run, when there is one.
    pub url: Option<String>,
}

/// Kind of a stage's standing, for its sign and for what may be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageStanding {
    Ahead,
    Waiting,
    AwaitingApproval,
    Held,
    Running,
    Live,
    Failed,
    Superseded,
    NotReached,
}
