//! A service's way through its environments.
//!
//! Knows releases, environments, approvals, rollouts and rollbacks. Must never know how a workflow is started.

use super::event::{Change, Origin, Plan};
use super::facts::{CheckState, RunSnapshot};
use super::ids::*;
use super::policy::{EnvironmentPolicy, GateName};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

pub mod advance;
pub mod block;
pub mod breakglass;
pub mod command;
pub mod content;
pub mod eyes;
mod failures;
pub mod gate;
pub mod protection;
pub mod report;
pub mod rollback;
pub mod rollout;
pub mod turn;
pub mod verify;

pub use failures::failures;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_blocks;
#[cfg(test)]
mod tests_commands;
#[cfg(test)]
mod tests_ends;
#[cfg(test)]
mod tests_found;
#[cfg(test)]
mod tests_gates;
#[cfg(test)]
mod tests_overrides;
#[cfg(test)]
mod tests_people;
#[cfg(test)]
mod tests_protection;
#[cfg(test)]
mod tests_rollouts;
#[cfg(test)]
mod tests_suspects;
#[cfg(test)]
mod tests_trials;
#[cfg(test)]
mod tests_turns;
#[cfg(test)]
mod tests_verify;
#[cfg(test)]
mod tests_waits;
#[cfg(test)]
mod tests_ways;

/// How many ended releases a pipeline remembers besides those that are live, good, waiting or rolling out.
const ENDED_KEPT: usize = 20;
/// How many reverted pull requests a pipeline remembers.
const REVERTED_KEPT: usize = 100;
/// How many releases are kept at most because they came after what is live.
const BETWEEN_KEPT: usize = 200;
/// How many verified releases of an environment are remembered as targets of a rollback.
const GOOD_KEPT: usize = 10;
/// How many runs of a release in an environment are remembered: those of which a job may still ask something.
const RUNS_KEPT: usize = 30;

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
    /// What keeps releases from starting, oldest first. All of them count.
    pub blocks: Vec<Block>,
    /// Number of the newest block.
    pub last_block: u64,
    /// Pull requests that later ones took back, with each that did.
    pub reverted: BTreeMap<PullNumber, BTreeSet<PullNumber>>,
    /// Gates that somebody broke, oldest first.
    pub overrides: Vec<Override>,
    /// Workflow runs that wait at our deployment protection rule.
    pub protections: Vec<Protection>,
    /// Merges of which GitHub did not say where they stand; it is asked again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unplaced: Vec<Unplaced>,
}

/// A merge of which GitHub did not say how it stands to the default branch or to the newest release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unplaced {
    pub sha: Sha,
    pub change: Change,
    pub plan: Plan,
    pub tries: u32,
    pub ask_at: Timestamp,
}

/// What an environment runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    pub name: EnvironmentName,
    pub live: Option<Live>,
    /// Releases that succeeded here, oldest first; the last one may be what is live.
    pub good: Vec<Live>,
    /// Whether what runs is what was deployed; `None`: nobody asks for it.
    pub drift: Option<Drift>,
}

/// A release that an environment runs or ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    pub release: ReleaseNumber,
    pub sha: Sha,
    pub at: Timestamp,
}

/// What the environment itself says that it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    pub asked_at: Timestamp,
    /// What it says in place of what is live; `None`: all is well, or nobody could tell.
    pub runs: Option<String>,
}

/// Keeps releases from starting, or from going on to their next step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Counts the blocks of the pipeline, from 1.
    pub number: u64,
    pub kind: BlockKind,
    /// `None`: every environment.
    pub environment: Option<EnvironmentName>,
    pub owner: Owner,
    /// A whole sentence.
    pub reason: String,
    pub since: Timestamp,
    /// When it ends by itself; `None`: it does not.
    pub until: Option<Timestamp>,
    /// The pull request that is thought to have broken what this protects: a release that reverts it may pass.
    pub culprit: Option<PullNumber>,
}

/// What people call a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockKind {
    /// Somebody keeps an environment to themselves.
    Lock,
    /// Something is wrong or unfinished.
    Hold,
    /// Nothing moves, in any service.
    Freeze,
}

/// Who put a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// Plimsoll itself, after a failure or a rollback.
    Automation,
    Person(Login),
    /// A pull request, in whose conversation it was put; it ends with the pull request.
    Pull {
        pull: PullNumber,
        by: Login,
    },
}

/// A gate that somebody broke for one release; a second person looks at it afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// Counts the overrides of the pipeline, from 1.
    pub number: u64,
    pub gate: GateName,
    pub environment: EnvironmentName,
    pub release: ReleaseNumber,
    pub sha: Sha,
    pub by: Login,
    pub reason: String,
    pub at: Timestamp,
    /// Page of the issue that asks for the review, once it is there.
    pub issue: Option<String>,
    /// Who reviewed it, and when.
    pub reviewed: Option<(Login, Timestamp)>,
}

/// A workflow run that waits at our custom deployment protection rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    pub run: RunId,
    pub environment: EnvironmentName,
    /// The commit that the run itself is of; it may deploy another one.
    pub sha: Sha,
    /// Whether it was started by what leaves nobody a choice of inputs: a push, a schedule, a release. Who starts a run by
    /// hand or by the API chooses them, and with them what it deploys. What was kept before this was known counts as such.
    #[serde(default = "super::event::yes", skip_serializing_if = "super::event::is_yes")]
    pub inputless: bool,
    /// Whether the repository has no other service that could have started it.
    pub alone: bool,
    pub asked_at: Timestamp,
    /// Reports sent; GitHub takes ten.
    pub reports: u32,
    /// What the last report said.
    pub said: String,
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
    /// Who had it tried once more.
    pub retried_by: Option<Login>,
    /// What the last button on its check run came to.
    pub last_word: Option<String>,
    /// The draft pull request that takes the likeliest culprit back.
    pub revert: Option<Revert>,
}

/// A draft pull request that takes a change back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revert {
    pub pull: PullNumber,
    pub standing: RevertStanding,
}

/// What became of a revert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevertStanding {
    Asked,
    Opened {
        number: PullNumber,
    },
    /// GitHub's words.
    Refused {
        because: String,
    },
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
    /// The newest workflow runs that were dispatched for it, of steps and of verifications.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<RunId>,
    pub phase: StagePhase,
    /// It failed before any of it was started.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub untouched: bool,
    /// Each person once; which of them count is for the gate to say.
    pub approvals: Vec<Approval>,
    /// Gates that somebody broke for it.
    pub overrides: Vec<GateName>,
    /// The conditions of its gate as they were last judged; empty when it neither waits nor pauses.
    pub conditions: Vec<gate::Condition>,
    /// What was looked up for the person who decides.
    pub known: Option<Known>,
    /// What verifications that decide nothing said of its newest rollout.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dry_runs: Vec<verify::DryRun>,
}

/// What is shown beside a decision and had to be looked up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    pub at: Timestamp,
    /// Of the release's commit; `None`: GitHub did not say.
    pub checks: Option<Vec<CheckState>>,
    /// Whether the artifact of the rollback's target is there; `None`: none is needed, or GitHub did not say.
    pub artifact: Option<bool>,
    /// The first few paths between that target and the release that the policy says cannot be taken back; `None`: the
    /// policy names none, or GitHub did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub irreversible: Option<Vec<String>>,
    /// The commit of that target, as it was live then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Sha>,
    /// Whether that commit contains the release's own; `None`: nobody needed to know, or GitHub did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contained: Option<bool>,
}

/// Where a release stands in one environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StagePhase {
    /// An earlier environment comes first.
    Ahead,
    /// It is a candidate of the environment: it starts when nothing is in the way.
    Waiting {
        since: Timestamp,
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
    /// Somebody took it back.
    Cancelled {
        at: Timestamp,
        by: Login,
    },
    /// A newer candidate took its place.
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
    /// Index into the policy's steps.
    pub step: usize,
    pub started_at: Timestamp,
    pub phase: StepPhase,
    /// Why it must stop, while something of it is being made on GitHub: it stops as soon as that is there to stop.
    pub stopping: Option<Stop>,
}

/// Why a rollout is stopped before its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    RolledBack { by: Login },
    Cancelled { by: Login },
    Superseded { by: ReleaseNumber },
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
    /// The run succeeded; the step must stay well until then, and each verification must have passed.
    Baking { run: Option<RunId>, until: Timestamp, asked: Vec<verify::Asked> },
    /// The step is done; the next one begins when its gate is open.
    Between { since: Timestamp },
    /// Nobody can tell whether the step is well: a person must say.
    Undecided { since: Timestamp, why: String },
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
            blocks: Vec::new(),
            last_block: 0,
            reverted: BTreeMap::new(),
            overrides: Vec::new(),
            protections: Vec::new(),
            unplaced: Vec::new(),
        }
    }

    /// The environment, made when it is new.
    fn environment_mut(&mut self, name: &EnvironmentName) -> &mut Environment {
        let at = match self.environments.iter().position(|e| e.name == *name) {
            Some(at) => at,
            None => {
                self.environments.push(Environment { name: name.clone(), live: None, good: Vec::new(), drift: None });
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

    /// The release that is next to start in an environment: a rollback before all, then what somebody asked for, then the
    /// oldest delivery.
    pub fn candidate(&self, name: &EnvironmentName) -> Option<(&Release, &Stage)> {
        self.line(name).into_iter().next()
    }

    /// What waits for an environment, each in its turn.
    fn line(&self, name: &EnvironmentName) -> Vec<(&Release, &Stage)> {
        let mut waiting = self.waiting(name);
        waiting.sort_by_key(|(release, _)| match release.purpose {
            Purpose::Rollback { .. } => 0,
            Purpose::Requested { .. } => 1,
            Purpose::Delivery => 2,
        });
        waiting
    }

    /// The delivery for which a rollout pauses that was reverted, and since when it does, where another commit that somebody
    /// asked for waits before it: whichever of the two can start goes.
    pub fn overtaking(&self, name: &EnvironmentName) -> Option<((&Release, &Stage), Timestamp)> {
        let StepPhase::Between { since } = self.rolling(name)?.1.rollout()?.phase else { return None };
        let line = self.line(name);
        let (asked, _) = line.first().filter(|(first, _)| matches!(first.purpose, Purpose::Requested { .. }))?;
        let (release, stage) = *line.iter().find(|(release, _)| matches!(release.purpose, Purpose::Delivery))?;
        let mends = asked.sha != release.sha && content::mends(self, release, name);
        mends.then_some(((release, stage), since))
    }

    /// Every release that waits for an environment, oldest first.
    pub fn waiting(&self, name: &EnvironmentName) -> Vec<(&Release, &Stage)> {
        let waits = |stage: &Stage| matches!(stage.phase, StagePhase::Waiting { .. });
        let stages = self.releases.values().filter_map(|release| Some((release, release.stage(name)?)));
        stages.filter(|(_, stage)| waits(stage)).collect()
    }

    /// The release that is being rolled out in an environment.
    pub fn rolling(&self, name: &EnvironmentName) -> Option<(&Release, &Stage)> {
        self.in_phase(name, |phase| matches!(phase, StagePhase::Rolling(_)))
    }

    /// The rollout that pauses in an environment and that people can let go on: not one that was reverted while something
    /// waits to end it.
    pub fn paused(&self, name: &EnvironmentName) -> Option<(&Release, &Stage)> {
        let ends = |(release, _): &(&Release, &Stage)| content::mends(self, release, name);
        self.rolling(name).filter(|(_, stage)| stage.is_paused() && !self.waiting(name).iter().any(ends))
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
        // What somebody asked for has its place among the deliveries by that of its commit.
        let place = |live: &Live| self.releases.get(&live.release).and_then(|known| content::delivery_of(self, known));
        let good = self.environments.iter().flat_map(|e| e.live.iter().chain(&e.good));
        let kept: BTreeSet<ReleaseNumber> = good
            .flat_map(|live| [Some(live.release), place(live)])
            .chain([self.newest_forward().map(|release| release.number)])
            .flatten()
            .collect();
        // What came after the oldest that is live may still be part of a candidate.
        let live = self.environments.iter().filter_map(|e| e.live.as_ref());
        let live = live.map(|live| place(live).unwrap_or(live.release)).min();
        let all = self.releases.len() > BETWEEN_KEPT;
        let between = |number: ReleaseNumber| !all && live.is_some_and(|live| number > live);
        let mut over = self.releases.values().filter(|r| r.ended()).count().saturating_sub(ENDED_KEPT);
        self.releases.retain(|number, release| {
            let goes = over > 0 && release.ended() && !kept.contains(number) && !between(*number);
            over -= usize::from(goes);
            !goes
        });
    }
}

impl Release {
    /// A release without stages.
    fn new(number: ReleaseNumber, sha: Sha, purpose: Purpose, plan: Plan, now: Timestamp) -> Self {
        Self {
            number,
            sha,
            purpose,
            changes: Vec::new(),
            plan,
            created_at: now,
            asked: None,
            stages: Vec::new(),
            retried_by: None,
            last_word: None,
            revert: None,
        }
    }

    /// Whether somebody asked for it, first or once more: they cannot approve it.
    pub fn is_asked_by(&self, login: &Login) -> bool {
        let first = match &self.purpose {
            Purpose::Requested { by, .. } => Some(by),
            Purpose::Rollback { by, .. } => by.as_ref(),
            Purpose::Delivery => None,
        };
        [first, self.retried_by.as_ref()].contains(&Some(login))
    }

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
            | StagePhase::Cancelled { .. }
            | StagePhase::Superseded { .. }
            | StagePhase::NotReached => true,
        })
    }

    /// Whether it brings an environment back to an earlier commit.
    pub fn is_rollback(&self) -> bool {
        matches!(self.purpose, Purpose::Rollback { .. })
    }
}

impl Stage {
    /// Remembers a run that was dispatched for it.
    fn keep_run(&mut self, run: RunId) {
        if !self.runs.contains(&run) {
            self.runs.push(run);
            let over = self.runs.len().saturating_sub(RUNS_KEPT);
            self.runs.drain(..over);
        }
    }

    /// A stage that nothing has happened to.
    fn new(policy: EnvironmentPolicy, phase: StagePhase) -> Self {
        Self {
            policy,
            deployment: None,
            url: None,
            runs: Vec::new(),
            phase,
            untouched: false,
            approvals: Vec::new(),
            overrides: Vec::new(),
            conditions: Vec::new(),
            known: None,
            dry_runs: Vec::new(),
        }
    }

    /// The rollout under way here.
    pub fn rollout(&self) -> Option<&Rollout> {
        match &self.phase {
            StagePhase::Rolling(rollout) => Some(rollout),
            StagePhase::Ahead
            | StagePhase::Waiting { .. }
            | StagePhase::Succeeded { .. }
            | StagePhase::Failed { .. }
            | StagePhase::Cancelled { .. }
            | StagePhase::Superseded { .. }
            | StagePhase::NotReached => None,
        }
    }

    /// Whether its rollout pauses before its next step.
    pub fn is_paused(&self) -> bool {
        self.rollout().is_some_and(|rollout| matches!(rollout.phase, StepPhase::Between { .. }))
    }
}

/// What a turn of a pipeline says to the world; collected while the state advances.
#[derive(Debug, Default)]
pub struct Said {
    pub acts: Vec<(EffectKey, super::effect::Act)>,
    pub answers: Vec<(Origin, Answer)>,
    pub notes: Vec<String>,
}

impl Said {
    /// Answers the command that asked for a release, if one did.
    fn tell(&mut self, origin: Option<&Origin>, answer: impl FnOnce() -> String) {
        if let Some(origin) = origin {
            self.answers.push((origin.clone(), Answer::Final(answer())));
        }
    }
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
    /// The trace of every condition for one commit in one environment, as it is after this turn.
    Why { environment: EnvironmentName, sha: Option<String> },
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
