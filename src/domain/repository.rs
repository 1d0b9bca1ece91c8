//! A repository's own lane: the policy in force, and the sweep that finds what was missed.
//!
//! Knows the default branch and its policy file. Must never judge a pull request.

use super::event::{Event, Signal};
use super::facts::{Absence, Fact, Facts, Need, PolicyFile, PullSnapshot, RunSnapshot};
use super::ids::*;
use super::policy::{POLICY_PATH, Policy, PolicyInForce, parse};
use super::problem::Problem;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

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
}

impl RepositoryState {
    /// A repository of which nothing is known; the first sweep reaches back from `now`.
    pub fn new(repo: RepoName, now: Timestamp) -> Self {
        Self { repo, access: true, policy: None, asking: Vec::new(), swept_until: now, next_sweep_at: now }
    }

    fn since(&self) -> Timestamp {
        self.swept_until.minus(SWEEP_OVERLAP)
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
        // A fork's check names no pull request: the newest ones are searched for its commit.
        Event::RecheckRequested { .. } => vec![Need::RecentPulls { since: Timestamp(0) }],
        Event::Look { .. }
        | Event::LookIfNewer { .. }
        | Event::AccessChanged { .. }
        | Event::PullChanged { .. }
        | Event::CommentCreated { .. }
        | Event::ReviewChanged { .. }
        | Event::RunChanged { .. }
        | Event::EffectEnded { .. }
        | Event::ActionRequested { .. }
        | Event::GroupRequested { .. }
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
        Event::RecheckRequested { head_sha } => recheck(state, head_sha, facts, &mut heard),
        Event::RunChanged { run } => pass_on(state, run, &mut heard),
        Event::Look { .. } | Event::LookIfNewer { .. } => {
            if state.sweep_is_due(now) {
                read_policy(state, facts, None, now, &mut heard);
                sweep(state, facts, now, &mut heard);
            }
        }
        Event::PullChanged { .. }
        | Event::CommentCreated { .. }
        | Event::ReviewChanged { .. }
        | Event::EffectEnded { .. }
        | Event::ActionRequested { .. }
        | Event::GroupRequested { .. }
        | Event::GroupDestroyed { .. }
        | Event::LeftQueue { .. }
        | Event::ProtectionRequested { .. }
        | Event::Reported { .. }
        | Event::IssueClosed { .. }
        | Event::Signal(
            Signal::PolicyReady
            | Signal::GroupWanted { .. }
            | Signal::GroupJudged { .. }
            | Signal::HoldsChanged { .. }
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
    state.access.then_some(state.next_sweep_at)
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
            PolicyInForce { default_branch, policy, blob, problems: Vec::new(), broken_by: None, read_at: now }
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

/// A run whose title names no service may be any service's.
fn pass_on(state: &RepositoryState, run: &RunSnapshot, heard: &mut Heard) {
    let services: BTreeSet<&ServiceName> =
        state.policy.iter().flat_map(|p| &p.policy.services).map(|service| &service.name).collect();
    for service in services {
        let lane = Subject::Pipeline { repo: state.repo.clone(), service: service.clone() };
        heard.forwards.push((lane, Event::RunChanged { run: run.clone() }));
    }
}

/// The policy in force as a fact for other lanes.
pub fn as_fact(state: &RepositoryState) -> Fact {
    Fact::PolicyInForce(state.policy.clone().map(Box::new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::facts::RepositorySnapshot;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn lane() -> RepositoryState {
        RepositoryState::new(RepoName::parse("acme/shop").expect("a plain name"), NOW)
    }

    fn sha(n: u64) -> Sha {
        Sha::parse(&format!("{n:040x}")).expect("forty digits make a hash")
    }

    /// What GitHub says when the policy file has this text.
    fn file(text: &str, blob: u64) -> Facts {
        let mut facts = Facts::default();
        let repository = RepositorySnapshot { default_branch: RefName::new("main"), archived: false };
        facts.insert(Need::Repository, Fact::Repository(repository));
        let found = PolicyFile::Found { text: text.to_owned(), blob: sha(blob) };
        facts.insert(Need::PolicyFile, Fact::PolicyFile(found));
        facts
    }

    fn pushed(by: &str) -> Event {
        Event::Pushed { branch: RefName::new("main"), after: sha(99), by: Some(Login::new(by)) }
    }

    #[test]
    fn a_broken_file_leaves_the_last_good_policy_in_force_and_names_who_broke_it() {
        let mut state = lane();
        apply(&mut state, &pushed("ada"), &file("version: 1\nchecks: { title: conventional }\n", 1), NOW);
        apply(&mut state, &pushed("linus"), &file("version: 1\nchekcs: {}\n", 2), NOW);
        // A sweep that reads the same broken file does not forget who it was.
        apply(
            &mut state,
            &Event::Look { because: "the clock called".into() },
            &file("version: 1\nchekcs: {}\n", 2),
            NOW,
        );
        let held = state.policy.as_ref().expect("a policy");
        assert_eq!((held.blob.clone(), held.broken_by.clone()), (Some(sha(1)), Some(Login::new("linus"))));
        assert_eq!(held.policy.checks.title, crate::domain::policy::TitleRule::Conventional);
        assert_eq!(held.problems.len(), 1);
        // Put back to the good text, nothing of it stays.
        apply(&mut state, &pushed("ada"), &file("version: 1\nchecks: { title: conventional }\n", 1), NOW);
        assert_eq!(state.policy.expect("a policy").problems, []);
    }

    #[test]
    fn who_asked_for_the_policy_hears_when_it_was_read() {
        let mut state = lane();
        let by = Subject::PullRequest { repo: state.repo.clone(), number: PullNumber(7) };
        let asks = Event::Signal(Signal::PolicyWanted { by: by.clone() });
        assert!(apply(&mut state, &asks, &Facts::default(), NOW).forwards.is_empty());
        let heard = apply(&mut state, &pushed("ada"), &file("version: 1\n", 1), NOW);
        assert_eq!(heard.forwards, [(by, Event::Signal(Signal::PolicyReady))]);
    }

    #[test]
    fn a_repository_that_cannot_be_seen_is_left_alone() {
        let mut state = lane();
        let mut facts = Facts::default();
        facts.insert(Need::Repository, Fact::Absent(Absence::NotFound));
        facts.insert(Need::PolicyFile, Fact::Absent(Absence::NotFound));
        apply(&mut state, &Event::Look { because: "the clock called".into() }, &facts, NOW);
        assert_eq!(wake_at(&state), None);
        apply(&mut state, &Event::AccessChanged { granted: true }, &file("version: 1\n", 1), NOW);
        assert!(wake_at(&state).is_some());
    }
}
