//! The policy file `.github/plimsoll.yml`: what it may say, and what it means.
//!
//! Knows YAML text and paths. Must never know where the file came from or who asks.

mod parse;
pub mod paths;
mod reader;
pub mod rules;
mod verify;
pub mod windows;
mod yaml;

pub use parse::{Parsed, parse};
pub use verify::{Demand, NoData, Probe, Verification, Worse};
pub use windows::{Freeze, Window};

use super::ids::*;
use super::problem::Problem;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Path of the policy file in a repository.
pub const POLICY_PATH: &str = ".github/plimsoll.yml";

/// What holds in a repository now, as its own lane keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyInForce {
    pub default_branch: RefName,
    /// The last policy that was good; the defaults when there has been none.
    pub policy: Policy,
    /// Blob hash of the file that `policy` was read from; `None`: no file.
    pub blob: Option<Sha>,
    /// What is wrong with the file on the default branch now; `policy` is then an earlier one.
    pub problems: Vec<Problem>,
    /// Who pushed the broken file, when known.
    pub broken_by: Option<Login>,
    pub read_at: Timestamp,
    /// What keeps each service's pipeline now, a line each; only those that something keeps.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub holds: BTreeMap<ServiceName, Vec<String>>,
    /// Commits that a merge queue made lately: none of them is ever deployed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queued: Vec<Sha>,
}

impl PolicyInForce {
    /// Writes down what keeps a service's pipeline now.
    pub fn keeps(&mut self, service: &ServiceName, holds: &[String]) {
        match holds {
            [] => self.holds.remove(service),
            holds => self.holds.insert(service.clone(), holds.to_vec()),
        };
    }
}

/// A policy, complete: every default filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// In the order of the file; never empty after parsing a file. Without a file: empty, so nothing deploys.
    pub services: Vec<Service>,
    pub checks: Checks,
    pub risk: RiskPolicy,
    pub pipeline: Option<Pipeline>,
}

/// A part of the repository that is released on its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    pub name: ServiceName,
    /// Globs as in `.gitignore`'s `**` sense, matched against whole paths. Empty: every path.
    pub paths: Vec<String>,
}

/// What `plimsoll/policy` checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checks {
    pub title: TitleRule,
    pub description: DescriptionRule,
    pub size: Option<SizeRule>,
    pub rules: Vec<Rule>,
}

/// What a title must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TitleRule {
    Any,
    /// <https://www.conventionalcommits.org/>, as `type(scope)!: subject`.
    Conventional,
}

/// Whether a description must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DescriptionRule {
    Optional,
    Required,
}

/// Bounds on changed lines (added + deleted), generated and vendored files not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeRule {
    pub warn: Option<u64>,
    pub fail: Option<u64>,
}

/// A rule that asks for reviews when certain files change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub name: String,
    /// Globs; the rule holds when a changed path (old or new) matches one.
    pub changed_files: Vec<String>,
    pub requires: Requirement,
}

/// How many people of which teams or accounts. No team and no user named: anybody with write permission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    pub count: u32,
    pub teams: Vec<TeamSlug>,
    pub users: Vec<Login>,
}

/// How risk is banded and whether it blocks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RiskPolicy {
    /// Lower bounds of the bands, probabilities, ascending.
    pub moderate: f64,
    pub high: f64,
    pub critical: f64,
    /// From this band on `plimsoll/risk` fails; `None`: never, the check is neutral.
    pub block: Option<Band>,
}

/// A band of risk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Band {
    Low,
    Moderate,
    High,
    Critical,
}

impl Band {
    /// The band that a probability falls in; a bound belongs to the band above it.
    pub fn of(probability: f64, policy: &RiskPolicy) -> Self {
        let bands = [(policy.critical, Self::Critical), (policy.high, Self::High), (policy.moderate, Self::Moderate)];
        bands.into_iter().find(|(bound, _)| probability >= *bound).map_or(Self::Low, |(_, band)| band)
    }

    /// The word for it, in lower case.
    pub fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Moderate => "moderate",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// How a service gets to production.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pipeline {
    pub workflow: WorkflowFile,
    /// In order; never empty.
    pub environments: Vec<EnvironmentPolicy>,
    /// How many pull requests one release may bring to an environment; `None`: any number.
    #[serde(default)]
    pub max_changes: Option<u32>,
    /// Globs of paths that cannot be taken back by deploying an earlier commit (migrations, for instance).
    #[serde(default)]
    pub irreversible: Vec<String>,
    #[serde(default)]
    pub rollback: RollbackPolicy,
    /// Whether `plimsoll/hold` is shown on open pull requests, red while anything keeps the pipeline.
    #[serde(default)]
    pub hold_check: bool,
}

/// What a release must still have to be gone back to without a person's word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollbackPolicy {
    /// Name of the Actions artifact that a deployment needs, `{sha}` and `{service}` filled in; `None`: none is looked for.
    pub artifact: Option<String>,
    /// How long after it went live a release may be gone back to; `None`: for ever.
    pub within: Option<Span>,
}

/// One environment of the pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnvironmentPolicy {
    pub name: EnvironmentName,
    /// `None`: continuous deployment, nobody is asked.
    pub approval: Option<Requirement>,
    /// Never empty; percentages ascend and end with 100; `[100 %]` when not given.
    pub rollout: Vec<Portion>,
    /// How long a step must stay well after its run succeeded.
    pub bake: Span,
    /// Asked while a step bakes, and until each has an answer.
    #[serde(default)]
    pub verify: Vec<Verification>,
    /// When steps may begin; empty: always.
    #[serde(default)]
    pub windows: Vec<Window>,
    /// When they may not.
    #[serde(default)]
    pub freezes: Vec<Freeze>,
    #[serde(default)]
    pub supersede: Supersede,
    /// What a riskier release needs besides, lowest band first.
    #[serde(default)]
    pub when_risk: Vec<Raise>,
    pub on_failure: OnFailure,
    /// How long a step's workflow run may take, and how long after its bake verification may still be undecided.
    pub timeout: Span,
}

/// How much of an environment a step reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Portion {
    /// Of traffic, users or instances: what it means is the workflow's. From 1 to 100.
    Percent(u8),
    /// A region, a tenant, a ring, by name.
    Wave(WaveName),
}

impl EnvironmentPolicy {
    /// An environment of which the file says nothing but its name.
    pub fn new(name: EnvironmentName) -> Self {
        Self {
            name,
            approval: None,
            rollout: vec![Portion::ALL],
            bake: Span(0),
            verify: Vec::new(),
            windows: Vec::new(),
            freezes: Vec::new(),
            supersede: Supersede::Wait,
            when_risk: Vec::new(),
            on_failure: OnFailure::Rollback,
            timeout: Span::minutes(30),
        }
    }
}

impl Portion {
    /// The whole environment.
    pub const ALL: Self = Self::Percent(100);
}

impl std::fmt::Display for Portion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent} %"),
            Self::Wave(wave) => write!(f, "wave {wave}"),
        }
    }
}

/// What a newer release does to one that is being rolled out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Supersede {
    /// It waits until the other has ended.
    #[default]
    Wait,
    /// It takes its place as soon as it may start itself.
    Abort,
}

/// What releases from a band of risk on need besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raise {
    pub from: Band,
    /// Approvals in all; only where the environment asks for approval.
    pub approvals: Option<u32>,
    pub bake: Option<Span>,
}

/// What happens when a step fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    Rollback,
    Hold,
}

/// A condition of the gate, as people call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateName {
    /// It is this release's turn: nothing else is being rolled out there, nothing older waits before it.
    Order,
    /// Nothing that it brings was reverted since.
    Reverted,
    Lock,
    Hold,
    Freeze,
    Window,
    Approval,
}

impl GateName {
    /// Those that `override` can pass by.
    pub const OVERRIDABLE: [Self; 5] = [Self::Approval, Self::Window, Self::Freeze, Self::Lock, Self::Hold];

    /// The word that people write.
    pub fn word(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Reverted => "reverted",
            Self::Lock => "lock",
            Self::Hold => "hold",
            Self::Freeze => "freeze",
            Self::Window => "window",
            Self::Approval => "approval",
        }
    }
}

/// JSON Schema of the policy file, for editors. Looser than [`parse`], which has the last word.
pub const SCHEMA: &str = include_str!("../../../docs/schema/v1.json");

impl Policy {
    /// What holds in a repository without a policy file: nothing fails and nothing deploys.
    pub fn without_file() -> Self {
        Self { services: Vec::new(), checks: Checks::default(), risk: RiskPolicy::default(), pipeline: None }
    }

    /// The service with this name.
    pub fn service(&self, name: &ServiceName) -> Option<&Service> {
        self.services.iter().find(|service| service.name == *name)
    }
}

impl Default for Checks {
    fn default() -> Self {
        Self { title: TitleRule::Any, description: DescriptionRule::Optional, size: None, rules: Vec::new() }
    }
}

impl Default for RiskPolicy {
    fn default() -> Self {
        Self { moderate: 0.15, high: 0.30, critical: 0.55, block: None }
    }
}

impl Pipeline {
    /// A pipeline of which the file says nothing but these.
    pub fn new(workflow: WorkflowFile, environments: Vec<EnvironmentPolicy>) -> Self {
        Self {
            workflow,
            environments,
            max_changes: None,
            irreversible: Vec::new(),
            rollback: RollbackPolicy::default(),
            hold_check: false,
        }
    }

    /// The environment with this name, with its place in the order.
    pub fn environment(&self, name: &EnvironmentName) -> Option<(usize, &EnvironmentPolicy)> {
        self.environments.iter().enumerate().find(|(_, e)| e.name == *name)
    }
}
