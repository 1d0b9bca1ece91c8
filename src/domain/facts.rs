//! What a turn may ask to know ([`Need`]) and what it learned ([`Fact`]).
//!
//! Knows the shape of the answers. Must never know who is asked or over which wire: no HTTP, no status codes.
//!
//! A fact is read afresh for each turn. *Absent* is a fact too: a branch that is gone or a team that we may not read
//! is something to decide about, not an error.

use super::ids::*;
use super::policy::PolicyInForce;
use super::reading::{Question, Reading};
use super::risk::Past;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One question that a turn has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// The repository itself: its default branch and whether it is archived.
    Repository,
    /// The policy file on the default branch, as text.
    PolicyFile,
    /// The policy in force, from the repository's own lane (our own store, not GitHub).
    PolicyInForce,
    /// Text of a file at a commit.
    FileAt { path: String, sha: Sha },
    /// A pull request as it is now.
    Pull { number: PullNumber },
    /// Files that a pull request changes; `head_sha` makes the answer cacheable and names what it was for.
    PullFiles { number: PullNumber, head_sha: Sha },
    /// Commits of a pull request.
    PullCommits { number: PullNumber, head_sha: Sha },
    /// Reviews of a pull request.
    PullReviews { number: PullNumber },
    /// Pull requests of any state that changed at or after a moment, newest change first, at most 100.
    RecentPulls { since: Timestamp },
    /// Comments of a pull request created or edited at or after a moment, oldest first.
    Comments { number: PullNumber, since: Timestamp },
    /// What an account may do in this repository.
    Permission { login: Login },
    /// Whether an account is an active member of a team.
    TeamMember { team: TeamSlug, login: Login },
    /// The commit that a branch, tag or hash names.
    Commit { name: String },
    /// How `head` stands to `base`, with the commits and files between.
    Comparison { base: String, head: String },
    /// A workflow run.
    Run { run: RunId },
    /// Check runs and commit statuses of a commit, the newest of each name.
    Checks { sha: Sha },
    /// Whether an Actions artifact of this name is there and has not expired.
    Artifact { name: String },
    /// The numbers of all open pull requests, at most 1,000.
    OpenPulls,
    /// What the repository's history says of a pull request, by its own mirror.
    Past { number: PullNumber, head_sha: Sha, base_ref: RefName },
    /// What runs is asked, outside GitHub.
    Reading { question: Question },
    /// The workflow run that was dispatched with this key, not before `since`.
    RunByKey { workflow: WorkflowFile, key: EffectKey, since: Timestamp },
}

/// The answer to a [`Need`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    Repository(RepositorySnapshot),
    PolicyFile(PolicyFile),
    PolicyInForce(Option<Box<PolicyInForce>>),
    FileAt(String),
    Pull(PullSnapshot),
    PullFiles(ChangedFiles),
    PullCommits(Vec<CommitSnapshot>),
    PullReviews(Vec<Review>),
    RecentPulls(Vec<PullSnapshot>),
    Comments(Vec<Comment>),
    Permission(Permission),
    TeamMember(bool),
    Commit(CommitSnapshot),
    Comparison(Comparison),
    Run(RunSnapshot),
    Checks(Vec<CheckState>),
    Artifact(bool),
    OpenPulls(Vec<PullNumber>),
    Past(Past),
    Reading(Reading),
    /// `None`: no such run was listed.
    RunByKey(Option<RunSnapshot>),
    /// There is no answer to have, and asking again at once would not help.
    Absent(Absence),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Absence {
    /// It does not exist, or the App may not see that it does.
    NotFound,
    /// The App lacks the permission; GitHub's words.
    Refused { message: String },
    /// It was answered, but cannot be used (too large, not text, not what was asked for).
    Unusable { message: String },
}

/// Everything that a turn has learned so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts(Vec<(Need, Fact)>);

macro_rules! getter {
    ($(#[$doc:meta])* $name:ident($($arg:ident: $ty:ty),*) -> $out:ty, $need:expr, $variant:ident) => {
        $(#[$doc])*
        pub fn $name(&self, $($arg: $ty),*) -> Option<Result<&$out, &Absence>> {
            match self.get(&$need)? {
                Fact::$variant(found) => Some(Ok(found)),
                Fact::Absent(why) => Some(Err(why)),
                _ => None,
            }
        }
    };
}

impl Facts {
    /// Remembers an answer, in place of an earlier one to the same need.
    pub fn insert(&mut self, need: Need, fact: Fact) {
        match self.0.iter_mut().find(|(known, _)| *known == need) {
            Some(slot) => slot.1 = fact,
            None => self.0.push((need, fact)),
        }
    }
    /// The answer to `need`, if it has been asked.
    pub fn get(&self, need: &Need) -> Option<&Fact> {
        self.0.iter().find(|(known, _)| known == need).map(|(_, fact)| fact)
    }
    /// Whether `need` has been asked.
    pub fn has(&self, need: &Need) -> bool {
        self.get(need).is_some()
    }
    /// All answers, in the order asked.
    pub fn iter(&self) -> impl Iterator<Item = (&Need, &Fact)> {
        self.0.iter().map(|(need, fact)| (need, fact))
    }

    getter!(/// See [`Need::Repository`]. `None` here and below: not asked.
        repository() -> RepositorySnapshot, Need::Repository, Repository);
    getter!(/// See [`Need::PolicyFile`].
        policy_file() -> PolicyFile, Need::PolicyFile, PolicyFile);
    getter!(/// See [`Need::PolicyInForce`].
        policy_in_force() -> Option<Box<PolicyInForce>>, Need::PolicyInForce, PolicyInForce);
    getter!(/// See [`Need::FileAt`].
        file_at(path: &str, sha: &Sha) -> String, Need::FileAt { path: path.to_owned(), sha: sha.clone() }, FileAt);
    getter!(/// See [`Need::Pull`].
        pull(number: PullNumber) -> PullSnapshot, Need::Pull { number }, Pull);
    getter!(/// See [`Need::PullFiles`].
        pull_files(number: PullNumber, head_sha: &Sha) -> ChangedFiles,
        Need::PullFiles { number, head_sha: head_sha.clone() }, PullFiles);
    getter!(/// See [`Need::PullCommits`].
        pull_commits(number: PullNumber, head_sha: &Sha) -> Vec<CommitSnapshot>,
        Need::PullCommits { number, head_sha: head_sha.clone() }, PullCommits);
    getter!(/// See [`Need::PullReviews`].
        pull_reviews(number: PullNumber) -> Vec<Review>, Need::PullReviews { number }, PullReviews);
    getter!(/// See [`Need::RecentPulls`].
        recent_pulls(since: Timestamp) -> Vec<PullSnapshot>, Need::RecentPulls { since }, RecentPulls);
    getter!(/// See [`Need::Comments`].
        comments(number: PullNumber, since: Timestamp) -> Vec<Comment>, Need::Comments { number, since }, Comments);
    getter!(/// See [`Need::Permission`].
        permission(login: &Login) -> Permission, Need::Permission { login: login.clone() }, Permission);
    getter!(/// See [`Need::TeamMember`].
        team_member(team: &TeamSlug, login: &Login) -> bool,
        Need::TeamMember { team: team.clone(), login: login.clone() }, TeamMember);
    getter!(/// See [`Need::Commit`].
        commit(name: &str) -> CommitSnapshot, Need::Commit { name: name.to_owned() }, Commit);
    getter!(/// See [`Need::Comparison`].
        comparison(base: &str, head: &str) -> Comparison,
        Need::Comparison { base: base.to_owned(), head: head.to_owned() }, Comparison);
    getter!(/// See [`Need::Run`].
        run(run: RunId) -> RunSnapshot, Need::Run { run }, Run);
    getter!(/// See [`Need::Checks`].
        checks(sha: &Sha) -> Vec<CheckState>, Need::Checks { sha: sha.clone() }, Checks);
    getter!(/// See [`Need::Artifact`].
        artifact(name: &str) -> bool, Need::Artifact { name: name.to_owned() }, Artifact);
    getter!(/// See [`Need::OpenPulls`].
        open_pulls() -> Vec<PullNumber>, Need::OpenPulls, OpenPulls);
    getter!(/// See [`Need::Past`].
        past(number: PullNumber, head_sha: &Sha, base_ref: &RefName) -> Past,
        Need::Past { number, head_sha: head_sha.clone(), base_ref: base_ref.clone() }, Past);
    getter!(/// See [`Need::Reading`].
        reading(question: &Question) -> Reading, Need::Reading { question: question.clone() }, Reading);
    getter!(/// See [`Need::RunByKey`].
        run_by_key(workflow: &WorkflowFile, key: &EffectKey, since: Timestamp) -> Option<RunSnapshot>,
        Need::RunByKey { workflow: workflow.clone(), key: key.clone(), since }, RunByKey);
}

/// A repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositorySnapshot {
    pub default_branch: RefName,
    pub archived: bool,
}

/// The policy file on the default branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyFile {
    /// There is none.
    Missing,
    /// The text and the hash of its blob.
    Found { text: String, blob: Sha },
}

/// A pull request at one moment. `updated_at` orders two of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullSnapshot {
    pub number: PullNumber,
    pub title: String,
    pub body: String,
    pub author: Login,
    pub author_is_bot: bool,
    pub head_sha: Sha,
    pub head_ref: RefName,
    /// `owner/name` of the head; `None` when that fork was deleted.
    pub head_repo: Option<RepoName>,
    pub base_ref: RefName,
    pub base_sha: Sha,
    pub draft: bool,
    pub open: bool,
    pub merged: bool,
    /// The commit that the merge made; only meaningful when `merged`.
    pub merge_commit_sha: Option<Sha>,
    pub merged_by: Option<Login>,
    pub labels: Vec<String>,
    pub updated_at: Timestamp,
    /// Lines; `None` where the answer did not carry it (lists do not).
    pub additions: Option<u64>,
    pub deletions: Option<u64>,
    pub changed_files: Option<u64>,
}

/// Files that a change touches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedFiles {
    pub files: Vec<ChangedFile>,
    /// GitHub cut the list (3,000 files of a pull request, 300 of a comparison).
    pub cut: bool,
}

/// One file of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedFile {
    pub path: String,
    /// The path before a rename.
    pub previous_path: Option<String>,
    pub status: FileStatus,
    /// Lines.
    pub additions: u64,
    /// Lines.
    pub deletions: u64,
}

/// What happened to a file, in GitHub's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileStatus {
    Added,
    Removed,
    Modified,
    Renamed,
    Copied,
    Changed,
    Unchanged,
}

/// A commit with the people behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitSnapshot {
    pub sha: Sha,
    pub message: String,
    pub parents: u32,
    /// The commit that it stands on: of a merge, the branch that was merged into. `None`: it is the first, or GitHub did not
    /// say.
    pub first_parent: Option<Sha>,
    pub author: Person,
    pub committer: Person,
    /// By the committer's clock; `None`: GitHub did not say.
    pub committed_at: Option<Timestamp>,
}

/// Somebody as a commit names them: by account where GitHub knows it, and by mail address.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Person {
    pub login: Option<Login>,
    pub name: String,
    pub email: String,
}

/// How one commit stands to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    pub standing: Standing,
    /// Commits of `head` that `base` lacks, oldest first; GitHub gives at most 250.
    pub commits: Vec<CommitSnapshot>,
    /// How many there are, also when the list was cut.
    pub total_commits: u64,
    pub files: ChangedFiles,
}

/// GitHub's `status` of a comparison, seen from `head`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Identical,
    Ahead,
    Behind,
    Diverged,
}

/// A review of a pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    pub by: Login,
    pub state: ReviewState,
    /// The head that was reviewed.
    pub commit: Option<Sha>,
    pub submitted_at: Timestamp,
}

/// What a review says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewState {
    Approved,
    ChangesRequested,
    Commented,
    Dismissed,
    Pending,
}

/// A comment on a pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    pub id: CommentId,
    pub by: Login,
    pub by_bot: bool,
    pub body: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What an account may do in a repository, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    None,
    Read,
    Triage,
    Write,
    Maintain,
    Admin,
}

/// The newest check run or commit status of one name on a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckState {
    /// Name of the check run, or context of the status.
    pub name: String,
    /// Slug of the App that made the check run; `None`: a commit status, which any writer can set.
    pub app: Option<String>,
    pub standing: CheckStanding,
    pub url: Option<String>,
}

/// Where a check run or status stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStanding {
    Pending,
    Success,
    /// Failed, timed out, was cancelled or asks for action.
    Failure,
    /// Skipped, neutral or stale: neither good nor bad.
    Neutral,
}

/// A workflow run at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSnapshot {
    pub id: RunId,
    pub attempt: u64,
    pub event: String,
    /// What `run-name:` made of the inputs.
    pub display_title: String,
    pub status: RunStatus,
    pub head_sha: Option<Sha>,
    pub url: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Where a workflow run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Queued, requested, waiting or pending.
    Queued,
    InProgress,
    Succeeded,
    Failed,
    Cancelled,
    TimedOut,
    /// Ended in a way that neither succeeds nor fails (skipped, neutral, stale, action required).
    Other,
}

impl RunStatus {
    /// Whether the run will not go on by itself.
    pub fn ended(self) -> bool {
        !matches!(self, Self::Queued | Self::InProgress)
    }
}

/// Facts as a map is what a reader expects; kept as a list because turns ask few questions.
impl FromIterator<(Need, Fact)> for Facts {
    fn from_iter<I: IntoIterator<Item = (Need, Fact)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect::<BTreeMap<_, _>>().into_iter().collect())
    }
}
