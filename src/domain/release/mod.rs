//! A service's way through its environments.
//!
//! Knows releases, environments, approvals, rollouts and rollbacks. Must never know how a workflow is started.

use super::event::{Change, Origin, Plan};
use super::facts::RunSnapshot;
use super::ids::*;
use super::policy::EnvironmentPolicy;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub mod advance;
pub mod command;
pub mod gate;
pub mod rollback;
pub mod rollout;
pub mod turn;

#[cfg(test)]
mod tests;

/// How many ended releases a pipeline remembers besides those that are live, good, waiting or rolling out.
const ENDED_KEPT: usize = 20;
/// How many verified releases of an environment are remembered as targets of a rollback.
const GOOD_KEPT: usize = 10;

/// The state of one service's pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PipelineState {
    pub repo: RepoName,
    pub service: ServiceName,
    /// Releases made so far; the next one has this number plus one.
    pub last_number: u64,
    pub releases: BTreeMap<ReleaseNumber, Release>,
    /// In the order of the newest plan.
    pub environments: Vec<Environment>,
    /// Commands that have been obeyed or refused, newest last.
    pub commands: Vec<(CommentId, u32)>,
}

/// What an environment runs, and whether automation may touch it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    pub name: EnvironmentName,
    pub live: Option<Live>,
    /// Releases that succeeded here, oldest first; the last one may be what is live.
    pub good: Vec<Live>,
    pub hold: Option<Hold>,
}

/// A release that an environment runs or ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    pub release: ReleaseNumber,
    pub sha: Sha,
    pub at: Timestamp,
}

/// Keeps automation out of an environment until somebody resumes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub owner: HoldOwner,
    /// A whole sentence.
    pub reason: String,
    pub since: Timestamp,
}

/// Who put a hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldOwner {
    /// Plimsoll itself, after a failure or a rollback.
    Automation,
    Person(Login),
}

/// One commit of one service on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Release {
    pub number: ReleaseNumber,
    pub sha: Sha,
    pub purpose: Purpose,
    /// What it brings over the release before it, with what it took over from waiting ones that it replaced.
    pub changes: Vec<Change>,
    pub plan: Plan,
    pub created_at: Timestamp,
    /// The command that asked for it and waits to hear how it ends.
    pub asked: Option<Origin>,
    /// In the order of the plan; only those that this release is for.
    pub stages: Vec<Stage>,
}

/// Why there is a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The default branch moved; automation takes it through all environments.
    Delivery,
    /// Somebody asked for this commit in one environment.
    Requested { by: Login, reason: Option<String> },
    /// An environment goes back to what was good. `by` is `None` when a failure asked for it.
    Rollback { from: Option<ReleaseNumber>, to: ReleaseNumber, by: Option<Login>, reason: String },
}

/// A release in one environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    pub policy: EnvironmentPolicy,
    /// The GitHub Deployment, once there is one.
    pub deployment: Option<DeploymentId>,
    /// Page of its newest workflow run.
    pub url: Option<String>,
    pub phase: StagePhase,
}

/// Where a release stands in one environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StagePhase {
    /// An earlier environment comes first.
    Ahead,
    /// It is the environment's candidate: next to start, when nothing is in the way.
    Waiting {
        since: Timestamp,
        approvals: Vec<Approval>,
    },
    Rolling(Rollout),
    /// It succeeded here.
    Succeeded {
        at: Timestamp,
    },
    Failed {
        at: Timestamp,
        why: String,
    },
    /// A newer candidate took its place before it started.
    Superseded {
        by: ReleaseNumber,
    },
    /// A failure before this environment ended its way.
    NotReached,
}

/// Somebody's word that exactly this commit may replace exactly what is live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub by: Login,
    pub at: Timestamp,
    pub sha: Sha,
    /// What was live when it was given; when that changes, the approval no longer counts.
    pub live: Option<Sha>,
}

/// A rollout under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// Index into the policy's percentages.
    pub step: usize,
    pub started_at: Timestamp,
    pub phase: StepPhase,
    /// Who rolled it back while something of it was being made on GitHub: it stops as soon as that is there to stop.
    #[serde(default)]
    pub stopped_by: Option<Login>,
}

/// Where a step of a rollout stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepPhase {
    /// The GitHub Deployment is being made.
    Creating,
    /// The workflow is being dispatched.
    Dispatching { since: Timestamp },
    /// It was dispatched, GitHub named no run: it is looked for.
    Finding { since: Timestamp },
    /// `seen_at` is when the run was last looked at; `None`: not yet.
    Running { run: RunId, since: Timestamp, seen_at: Option<Timestamp> },
    /// The run succeeded; the step must stay well until then.
    Baking { until: Timestamp },
}

impl PipelineState {
    /// A pipeline that has released nothing yet.
    pub fn new(repo: RepoName, service: ServiceName) -> Self {
        Self {
            repo,
            service,
            last_number: 0,
            releases: BTreeMap::new(),
            environments: Vec::new(),
            commands: Vec::new(),
        }
    }

    /// The environment, made when it is new.
    fn environment_mut(&mut self, name: &EnvironmentName) -> &mut Environment {
        let at = match self.environments.iter().position(|e| e.name == *name) {
            Some(at) => at,
            None => {
                self.environments.push(Environment { name: name.clone(), live: None, good: Vec::new(), hold: None });
                self.environments.len() - 1
            }
        };
        &mut self.environments[at]
    }

    /// The environment, if any release ever was for it.
    pub fn environment(&self, name: &EnvironmentName) -> Option<&Environment> {
        self.environments.iter().find(|e| e.name == *name)
    }

    /// What runs in an environment, as far as Plimsoll brought it there.
    pub fn live(&self, name: &EnvironmentName) -> Option<&Live> {
        self.environment(name)?.live.as_ref()
    }

    /// The release that is next to start in an environment.
    pub fn candidate(&self, name: &EnvironmentName) -> Option<(&Release, &Stage)> {
        self.in_phase(name, |phase| matches!(phase, StagePhase::Waiting { .. }))
    }

    /// The release that is being rolled out in an environment.
    pub fn rolling(&self, name: &EnvironmentName) -> Option<(&Release, &Stage)> {
        self.in_phase(name, |phase| matches!(phase, StagePhase::Rolling(_)))
    }

    fn in_phase(&self, name: &EnvironmentName, wanted: impl Fn(&StagePhase) -> bool) -> Option<(&Release, &Stage)> {
        self.releases.values().find_map(|release| {
            let stage = release.stage(name)?;
            wanted(&stage.phase).then_some((release, stage))
        })
    }

    /// The newest release that automation or a person brought, rollbacks left out.
    pub fn newest_forward(&self) -> Option<&Release> {
        self.releases.values().rev().find(|r| matches!(r.purpose, Purpose::Delivery))
    }

    fn stage_mut(&mut self, number: ReleaseNumber, name: &EnvironmentName) -> Option<&mut Stage> {
        self.releases.get_mut(&number)?.stages.iter_mut().find(|s| s.policy.name == *name)
    }

    /// Puts the environments into the order of a plan; those that it does not name come last.
    fn adopt_order(&mut self, plan: &Plan) {
        for environment in &plan.pipeline.environments {
            self.environment_mut(&environment.name);
        }
        let place = |e: &Environment| plan.pipeline.environment(&e.name).map_or(usize::MAX, |(at, _)| at);
        self.environments.sort_by_key(place);
    }

    /// Forgets the oldest ended releases that nothing refers to.
    fn forget_old(&mut self) {
        let kept: Vec<ReleaseNumber> = self
            .environments
            .iter()
            .flat_map(|e| e.live.iter().chain(&e.good))
            .map(|live| live.release)
            .chain(self.newest_forward().map(|r| r.number))
            .collect();
        let mut over = self.releases.values().filter(|r| r.ended()).count().saturating_sub(ENDED_KEPT);
        self.releases.retain(|number, release| {
            let goes = over > 0 && release.ended() && !kept.contains(number);
            over -= usize::from(goes);
            !goes
        });
    }
}

impl Release {
    /// The stage for an environment, if the release is for it.
    pub fn stage(&self, name: &EnvironmentName) -> Option<&Stage> {
        self.stages.iter().find(|s| s.policy.name == *name)
    }

    /// Whether nothing of it waits or runs any more.
    pub fn ended(&self) -> bool {
        self.stages.iter().all(|stage| match stage.phase {
            StagePhase::Ahead | StagePhase::Waiting { .. } | StagePhase::Rolling(_) => false,
            StagePhase::Succeeded { .. }
            | StagePhase::Failed { .. }
            | StagePhase::Superseded { .. }
            | StagePhase::NotReached => true,
        })
    }

    /// Whether it brings an environment back to an earlier commit.
    pub fn is_rollback(&self) -> bool {
        matches!(self.purpose, Purpose::Rollback { .. })
    }
}

/// What a turn of a pipeline says to the world; collected while the state advances.
#[derive(Debug, Default)]
pub struct Said {
    pub acts: Vec<(EffectKey, super::effect::Act)>,
    pub answers: Vec<(Origin, Answer)>,
    pub notes: Vec<String>,
}

/// What a command hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Markdown, and more will follow.
    ForNow(String),
    /// Markdown, and the last word.
    Final(String),
    /// The view of the whole pipeline as it is after this turn.
    Status,
}

/// Keys of what a release makes on GitHub.
pub fn deployment_key(
    repo: &RepoName,
    service: &ServiceName,
    release: ReleaseNumber,
    environment: &EnvironmentName,
) -> EffectKey {
    EffectKey::new(format!("{repo}/{service}/release-{release}/{environment}/deployment"))
}

/// Key of the dispatch of one step; `step` from 0. One step of one release is dispatched once.
pub fn dispatch_key(
    repo: &RepoName,
    service: &ServiceName,
    release: ReleaseNumber,
    environment: &EnvironmentName,
    step: usize,
) -> EffectKey {
    EffectKey::new(format!("{repo}/{service}/release-{release}/{environment}/step-{}/attempt-1", step + 1))
}

/// Whether a run's page title carries this key as a whole: `release-1` is not `release-10`.
pub fn title_carries(run: &RunSnapshot, key: &EffectKey) -> bool {
    run.display_title.match_indices(key.as_str()).any(|(at, found)| {
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        let before = run.display_title[..at].chars().next_back();
        let after = run.display_title[at + found.len()..].chars().next();
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}
