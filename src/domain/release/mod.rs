//! A service's way through its environments.
//!
//! Knows releases, environments, approvals, rollouts and rollbacks. Must never know how a workflow is started.

use super::facts::Person;
use super::ids::*;
use super::policy::Band;
use serde::{Deserialize, Serialize};

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
    Running,
    Live,
    Failed,
    RolledBack,
    Superseded,
    Held,
}
