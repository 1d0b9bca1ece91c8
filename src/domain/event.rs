//! What can happen to a lane.
//!
//! An event only says *where to look*. Knows nothing of webhooks' own shapes, signatures or delivery.

use super::chatops::Verb;
use super::effect::Ending;
use super::facts::{Comment, Permission, Person, PullSnapshot, RunSnapshot};
use super::ids::*;
use super::policy::{Band, Pipeline, RiskPolicy};
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
    /// Somebody pressed a button on one of our check runs.
    ActionRequested { action: String, head_sha: Sha, by: Login },
    /// A merge queue wants its group checked.
    GroupRequested { group: MergeGroup },
    /// A merge queue is done with a group. `reason` is GitHub's: `merged`, `invalidated` or `dequeued`.
    GroupDestroyed { head_sha: Sha, reason: String },
    /// The pull request left the merge queue. `reason` is GitHub's word, for instance `CI_FAILURE`.
    LeftQueue { reason: String },
    /// A workflow run waits at a custom deployment protection rule of ours.
    ProtectionRequested {
        run: RunId,
        environment: EnvironmentName,
        sha: Sha,
        /// See [`crate::domain::release::Protection::inputless`].
        #[serde(default = "yes", skip_serializing_if = "is_yes")]
        inputless: bool,
    },
    /// A workflow run tells how it goes; who it is was verified.
    Reported { report: Box<Report> },
    /// Somebody closed an issue that an effect of this lane opened.
    IssueClosed { key: EffectKey, by: Login },
    /// One of the lane's own effects came to its end.
    EffectEnded { key: EffectKey, ending: Ending },
    /// Another lane says something.
    Signal(Signal),
}

/// A merge queue's group: what the default branch would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeGroup {
    pub head_sha: Sha,
    pub base_sha: Sha,
    pub base_ref: RefName,
    /// For instance `gh-readonly-queue/main/pr-12-<base sha>`.
    pub head_ref: RefName,
}

/// What a workflow run says of its own step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Key of the dispatch, as the workflow got it in `plimsoll_key`.
    pub key: EffectKey,
    /// From GitHub's OIDC token, verified.
    pub run: RunId,
    pub environment: Option<EnvironmentName>,
    /// Commit of the workflow file itself.
    pub workflow_sha: Sha,
    /// What was deployed, as the run says.
    pub sha: Sha,
    pub state: ReportState,
    /// One line of the run's own words.
    pub description: Option<String>,
    pub at: Timestamp,
}

/// How a run says it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportState {
    InProgress,
    Success,
    Failure,
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
    /// To a pull request: judge it for a merge group; it answers with [`Signal::GroupJudged`].
    GroupWanted { head_sha: Sha },
    /// To a repository: what a pull request's rules, its risk and the holds of its services say. Each is `None` when all
    /// is well, else one line of what is wrong.
    GroupJudged {
        head_sha: Sha,
        pull: PullNumber,
        policy: Option<String>,
        risk: Option<String>,
        #[serde(default)]
        hold: Option<String>,
    },
    /// To a repository, and from there to its open pull requests: what keeps a service's pipeline now, a line each.
    HoldsChanged { service: ServiceName, holds: Vec<String> },
    /// To a pipeline: a pull request that holds it was merged or closed.
    PullEnded { pull: PullNumber },
    /// To a pipeline: a run waits at our protection rule; `plan` is for a service that never released.
    ProtectionAsked {
        run: RunId,
        environment: EnvironmentName,
        sha: Sha,
        #[serde(default = "yes", skip_serializing_if = "is_yes")]
        inputless: bool,
        alone: bool,
    },
    /// To a pull request: what became of a command.
    CommandAnswered { comment: CommentId, index: u32, from: ServiceName, answer: String, settled: bool },
    /// To a pull request: where the release that carries it stands.
    ReleaseMoved { service: ServiceName, brief: Box<ReleaseBrief> },
}

/// A command on its way to a pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PipelineCommand {
    pub origin: Origin,
    /// Whether it names a commit that a merge queue made.
    #[serde(default)]
    pub speculative: bool,
    /// Whether the pull request in whose conversation it was given is open; `false` for a button.
    #[serde(default)]
    pub pull_open: bool,
    pub by: Login,
    pub permission: Permission,
    /// When it was written: what the author could see then is what the command is bound to.
    pub at: Timestamp,
    pub verb: Verb,
}

/// Where a command was given, and where its answer goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// `index` counts the commands of the comment from 0; both together make the command obeyed once.
    Comment { pull: PullNumber, comment: CommentId, index: u32 },
    /// A button on the check run of a release; the answer is shown there.
    Button { release: ReleaseNumber },
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
    /// Why the risk is what it is: the reasons that weigh most, Markdown.
    #[serde(default)]
    pub drivers: Vec<String>,
    /// Issues that it closes, by GitHub's keywords in its description.
    #[serde(default)]
    pub issues: Vec<u64>,
    /// Paths that cannot be taken back, by the policy's patterns; the first few.
    #[serde(default)]
    pub irreversible: Vec<String>,
    /// Files, and of these such as belong to the service that hears of it.
    #[serde(default)]
    pub files: u64,
    /// What it takes back.
    #[serde(default)]
    pub reverts: Vec<Reverted>,
}

/// What a pull request says it reverts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reverted {
    /// `Reverts owner/name#12`, as GitHub's button writes.
    Pull(PullNumber),
    /// `This reverts commit <sha>`, as git writes.
    Commit(Sha),
}

/// The policy that a release keeps from its start to its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub pipeline: Pipeline,
    #[serde(default)]
    pub risk: RiskPolicy,
    /// Blob hash of the policy file.
    pub policy: Option<Sha>,
    pub default_branch: RefName,
    /// The service's patterns of paths; empty: all paths are its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
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
    /// A hold, a lock, a freeze or a closed window.
    Held,
    Running,
    /// Its verification is undecided: a person must say.
    Undecided,
    Cancelled,
    Live,
    Failed,
    Superseded,
    NotReached,
}

/// For a field that newer versions added and older ones took for true.
pub(super) fn yes() -> bool {
    true
}

/// See [`yes`].
pub(super) fn is_yes(flag: &bool) -> bool {
    *flag
}
