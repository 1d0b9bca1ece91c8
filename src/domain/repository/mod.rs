//! A repository's own lane: the policy in force, merge groups, and the sweep that finds what was missed.
//!
//! Knows the default branch and its policy file. Must never judge a pull request.

mod group;
#[cfg(test)]
mod group_tests;
#[cfg(test)]
mod tests;

pub use group::{Group, GroupStage, Said};

use super::event::{Event, Signal};
use super::facts::{Absence, Fact, Facts, Need, PolicyFile, PullSnapshot, RunSnapshot};
use super::ids::*;
use super::policy::{POLICY_PATH, Policy, PolicyInForce, parse};
use super::problem::Problem;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How often GitHub is asked what changed, should a delivery be lost.
const SWEEP_EVERY: Span = Span::minutes(15);
/// How far each sweep reaches back over the one before: clocks differ, and GitHub lists with a lag.
const SWEEP_OVERLAP: Span = Span::minutes(10);

/// The state of a repository.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RepositoryState {
    pub repo: RepoName,
    /// Whether the App may see it, as far as it was told.
    pub access: bool,
    pub policy: Option<PolicyInForce>,
    /// Lanes that asked for the policy before there was one.
    pub asking: Vec<Subject>,
    /// Everything that changed before this moment was looked at.
    pub swept_until: Timestamp,
    pub next_sweep_at: Timestamp,
    /// Groups of the merge queue, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
    /// What keeps each service's pipeline now, a line each; only those that something keeps.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub holds: BTreeMap<ServiceName, Vec<String>>,
}

impl RepositoryState {
    /// A repository that was first heard of at `heard_at`, from when the first sweep reaches back.
    pub fn new(repo: RepoName, heard_at: Timestamp) -> Self {
        Self {
            repo,
            access: true,
            policy: None,
            asking: Vec::new(),
            swept_until: heard_at,
            next_sweep_at: heard_at,
            groups: Vec::new(),
            holds: BTreeMap::new(),
        }
    }

    fn since(&self) -> Timestamp {
        self.swept_until.minus(SWEEP_OVERLAP)
    }

    fn shows_holds(&self) -> bool {
        let pipeline = self.policy.as_ref().and_then(|held| held.policy.pipeline.as_ref());
        pipeline.is_some_and(|pipeline| pipeline.hold_check)
    }

    fn is_kept_anew(&self, service: &ServiceName, holds: &[String]) -> bool {
        self.holds.get(service).map(Vec::as_slice).unwrap_or_default() != holds
    }

    fn sweep_is_due(&self, now: Timestamp) -> bool {
        self.access && self.next_sweep_at <= now
    }
}

/// What must be known for an event, given what is known already.
pub fn needs(state: &RepositoryState, event: &Event, now: Timestamp) -> Vec<Need> {
    let policy = [Need::Repository, Need::PolicyFile];
    match event {
        Event::AccessChanged { granted: true } | Event::Signal(Signal::PolicyWanted { .. })
            if state.policy.is_none() =>
        {
            policy.to_vec()
        }
        Event::Pushed { .. } => policy.to_vec(),
        Event::Look { .. } | Event::LookIfNewer { .. } if state.sweep_is_due(now) => {
            let mut needs = policy.to_vec();
            needs.push(Need::RecentPulls { since: state.since() });
            needs
        }
        Event::GroupRequested { group } => {
            let mut needs = vec![group::need(group)];
            if state.policy.is_none() {
                needs.extend(policy);
            }
            needs
        }
        Event::ProtectionRequested { .. } if state.policy.is_none() => policy.to_vec(),
        Event::Signal(Signal::HoldsChanged { service, holds })
            if state.shows_holds() && state.is_kept_anew(service, holds) =>
        {
            vec![Need::OpenPulls]
        }
        // A merge group's check names no pull request either, but its commit is known here.
        Event::RecheckRequested { head_sha } => match state.groups.iter().find(|g| g.of.head_sha == *head_sha) {
            Some(group) => Vec::from_iter(group.cut.then(|| group::need(&group.of))),
            // A fork's check names no pull request: the newest ones are searched for its commit.
            None => vec![Need::RecentPulls { since: Timestamp(0) }],
        },
        Event::Look { .. }
        | Event::LookIfNewer { .. }
        | Event::AccessChanged { .. }
        | Event::PullChanged { .. }
        | Event::CommentCreated { .. }
        | Event::ReviewChanged { .. }
        | Event::RunChanged { .. }
        | Event::EffectEnded { .. }
        | Event::ActionRequested { .. }
        | Event::GroupDestroyed { .. }
        | Event::LeftQueue { .. }
        | Event::ProtectionRequested { .. }
        | Event::Reported { .. }
        | Event::IssueClosed { .. }
        | Event::Signal(_) => Vec::new(),
    }
}

/// What an event of a repository sets in motion.
#[derive(Debug, Default)]
pub struct Heard {
    pub forwards: Vec<(Subject, Event)>,
    pub notes: Vec<String>,
}

/// Changes the state as the event demands.
pub fn apply(state: &mut RepositoryState, event: &Event, facts: &Facts, now: Timestamp) -> Heard {
    let mut heard = Heard::default();
    match event {
        Event::AccessChanged { granted } => {
            state.access = *granted;
            heard.notes.push(if *granted { "access granted".into() } else { "access lost".into() });
            if *granted {
                read_policy(state, facts, None, now, &mut heard);
            }
        }
        Event::Signal(Signal::PolicyWanted { by }) => {
            state.asking.push(by.clone());
            state.asking.sort();
            state.asking.dedup();
            read_policy(state, facts, None, now, &mut heard);
        }
        Event::Pushed { by, .. } => read_policy(state, facts, by.as_ref(), now, &mut heard),
        Event::RecheckRequested { head_sha } => {
            group::again(state, head_sha, facts, now, &mut heard);
            recheck(state, head_sha, facts, &mut heard);
        }
        Event::GroupRequested { group } => {
            if state.policy.is_none() {
                read_policy(state, facts, None, now, &mut heard);
            }
            group::wanted(state, group, facts, now, &mut heard);
        }
        Event::GroupDestroyed { head_sha, reason } => group::destroyed(state, head_sha, reason, &mut heard),
        Event::Signal(Signal::GroupJudged { head_sha, pull, policy, risk, hold }) => {
            let said = Said { policy: policy.clone(), risk: risk.clone(), hold: hold.clone() };
            group::judged(state, head_sha, *pull, said, &mut heard);
        }
        Event::Signal(Signal::HoldsChanged { service, holds }) => keep(state, service, holds, facts, &mut heard),
        Event::ProtectionRequested { run, environment, sha, inputless } => {
            if state.policy.is_none() {
                read_policy(state, facts, None, now, &mut heard);
            }
            ask_for_protection(state, *run, environment, (sha, *inputless), &mut heard);
        }
        Event::RunChanged { run } => pass_on(state, run, &mut heard),
        Event::Look { .. } | Event::LookIfNewer { .. } => {
            if state.sweep_is_due(now) {
                read_policy(state, facts, None, now, &mut heard);
                sweep(state, facts, now, &mut heard);
            }
            group::tick(state, now, &mut heard);
        }
        Event::PullChanged { .. }
        | Event::CommentCreated { .. }
        | Event::ReviewChanged { .. }
        | Event::EffectEnded { .. }
        | Event::ActionRequested { .. }
        | Event::LeftQueue { .. }
        | Event::Reported { .. }
        | Event::IssueClosed { .. }
        | Event::Signal(
            Signal::PolicyReady
            | Signal::GroupWanted { .. }
            | Signal::PullEnded { .. }
            | Signal::ProtectionAsked { .. }
            | Signal::ReleaseWanted { .. }
            | Signal::Commanded { .. }
            | Signal::CommandAnswered { .. }
            | Signal::ReleaseMoved { .. },
        ) => {}
    }
    if state.policy.is_some() {
        for lane in std::mem::take(&mut state.asking) {
            heard.forwards.push((lane, Event::Signal(Signal::PolicyReady)));
        }
    }
    heard
}

/// When the clock must call, whatever else happens.
pub fn wake_at(state: &RepositoryState) -> Option<Timestamp> {
    let sweep = state.access.then_some(state.next_sweep_at);
    sweep.into_iter().chain(group::wake_at(state)).min()
}

fn read_policy(state: &mut RepositoryState, facts: &Facts, by: Option<&Login>, now: Timestamp, heard: &mut Heard) {
    let (Some(repository), Some(file)) = (facts.repository(), facts.policy_file()) else { return };
    let Ok(repository) = repository else {
        state.access = false;
        heard.notes.push("the repository cannot be seen; it is left alone until access is granted again".into());
        return;
    };
    state.access = true;
    let default_branch = repository.default_branch.clone();
    let (read, blob) = match file {
        Ok(PolicyFile::Missing) | Err(Absence::NotFound) => (Ok(Policy::without_file()), None),
        Ok(PolicyFile::Found { text, blob }) => {
            let same = |p: &PolicyInForce| p.blob.as_ref() == Some(blob) && p.default_branch == default_branch;
            if state.policy.as_ref().is_some_and(|p| same(p) && p.problems.is_empty()) {
                return;
            }
            let parsed = parse(text, POLICY_PATH, &state.repo);
            match parsed.policy {
                Some(policy) => (Ok(policy), Some(blob.clone())),
                None => (Err(parsed.problems), Some(blob.clone())),
            }
        }
        Err(Absence::Refused { message } | Absence::Unusable { message }) => {
            (Err(vec![Problem::error(format!("The policy file cannot be read: {message}."))]), None)
        }
    };
    let before = state.policy.take();
    let next = match read {
        Ok(policy) => {
            let changed = before.as_ref().is_none_or(|b| b.policy != policy || !b.problems.is_empty());
            if changed {
                heard.notes.push(match &blob {
                    Some(blob) => format!("policy {} is in force", blob.short()),
                    None => "there is no policy file; nothing is deployed".into(),
                });
            }
            PolicyInForce {
                default_branch,
                policy,
                blob,
                problems: Vec::new(),
                broken_by: None,
                read_at: now,
                holds: BTreeMap::new(),
                queued: Vec::new(),
            }
        }
        // The last good one stays in force: a broken file never disables safety.
        Err(problems) => {
            heard.notes.push("the policy file is broken; the last good one stays in force".into());
            let (policy, good, known) = match before {
                Some(before) => (before.policy, before.blob, before.broken_by),
                None => (Policy::without_file(), None, None),
            };
            PolicyInForce {
                default_branch,
                policy,
                blob: good,
                problems,
                broken_by: by.cloned().or(known),
                read_at: now,
                holds: BTreeMap::new(),
                queued: Vec::new(),
            }
        }
    };
    state.policy = Some(next);
}

fn sweep(state: &mut RepositoryState, facts: &Facts, now: Timestamp, heard: &mut Heard) {
    let since = state.since();
    state.next_sweep_at = now.plus(SWEEP_EVERY);
    let Some(Ok(pulls)) = facts.recent_pulls(since) else { return };
    state.swept_until = now;
    for pull in pulls {
        let look = Event::LookIfNewer { updated_at: pull.updated_at };
        heard.forwards.push((lane_of(state, pull), look));
    }
}

fn recheck(state: &RepositoryState, head_sha: &Sha, facts: &Facts, heard: &mut Heard) {
    let Some(Ok(pulls)) = facts.recent_pulls(Timestamp(0)) else { return };
    for pull in pulls.iter().filter(|p| p.open && p.head_sha == *head_sha) {
        heard.forwards.push((lane_of(state, pull), Event::RecheckRequested { head_sha: head_sha.clone() }));
    }
}

fn lane_of(state: &RepositoryState, pull: &PullSnapshot) -> Subject {
    Subject::PullRequest { repo: state.repo.clone(), number: pull.number }
}

/// Writes down what keeps a service's pipeline, and tells the open pull requests if they show it.
///
/// The signal itself goes on to them: it holds all that they need, so that none of them reads GitHub for it.
fn keep(state: &mut RepositoryState, service: &ServiceName, holds: &[String], facts: &Facts, heard: &mut Heard) {
    if !state.is_kept_anew(service, holds) {
        return;
    }
    match holds {
        [] => state.holds.remove(service),
        holds => state.holds.insert(service.clone(), holds.to_vec()),
    };
    if !state.shows_holds() {
        return;
    }
    let Some(Ok(open)) = facts.open_pulls() else { return };
    for number in open {
        let lane = Subject::PullRequest { repo: state.repo.clone(), number: *number };
        let signal = Signal::HoldsChanged { service: service.clone(), holds: holds.to_vec() };
        heard.forwards.push((lane, Event::Signal(signal)));
    }
}

/// A waiting run names an environment, not a service: every pipeline is asked whether it is its own.
fn ask_for_protection(
    state: &RepositoryState,
    run: RunId,
    environment: &EnvironmentName,
    (sha, inputless): (&Sha, bool),
    heard: &mut Heard,
) {
    let services = services(state);
    let alone = services.len() == 1;
    if services.is_empty() {
        heard.notes.push(format!("run {run} waits for {environment}, but no service is deployed from here"));
    }
    for service in services {
        let lane = Subject::Pipeline { repo: state.repo.clone(), service: service.clone() };
        let (environment, sha) = (environment.clone(), sha.clone());
        let signal = Signal::ProtectionAsked { run, environment, sha, inputless, alone };
        heard.forwards.push((lane, Event::Signal(signal)));
    }
}

/// A run whose title names no service may be any service's.
fn pass_on(state: &RepositoryState, run: &RunSnapshot, heard: &mut Heard) {
    for service in services(state) {
        let lane = Subject::Pipeline { repo: state.repo.clone(), service: service.clone() };
        heard.forwards.push((lane, Event::RunChanged { run: run.clone() }));
    }
}

/// The services that the policy in force names.
pub fn services(state: &RepositoryState) -> BTreeSet<&ServiceName> {
    state.policy.iter().flat_map(|p| &p.policy.services).map(|service| &service.name).collect()
}

/// The policy in force as a fact for other lanes.
pub fn as_fact(state: &RepositoryState) -> Fact {
    let queued: Vec<Sha> = state.groups.iter().map(|group| group.of.head_sha.clone()).collect();
    let holds = state.holds.clone();
    Fact::PolicyInForce(state.policy.clone().map(|held| Box::new(PolicyInForce { holds, queued, ..held })))
}
