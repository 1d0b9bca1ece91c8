//! A pull request's own lane: its judgement, its commands, and what became of it after the merge.
//!
//! Knows one pull request. Must never touch a pipeline: it tells pipelines by signals, and hears from them.

use super::chatops::Verb;
use super::event::{Event, PullAction, ReleaseBrief, Signal};
use super::facts::{Facts, Need, PullSnapshot};
use super::ids::*;
use super::policy::PolicyInForce;
use super::policy::rules::RuleResult;
use super::problem::Problem;
use super::risk::Verdict;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

#[cfg(test)]
mod command_tests;
mod commands;
mod judge;
mod mentions;
mod queue;
#[cfg(test)]
mod queue_tests;
#[cfg(test)]
mod tests;

pub use judge::main_reasons;
pub use queue::{LeftQueue, held_services};

/// How many comments with commands are remembered.
const COMMANDS_KEPT: usize = 50;
/// A command that is read later than this is answered, but not obeyed: what it was about may have changed.
const STALE_AFTER: Span = Span::hours(1);
/// How far back comments are looked for, for instance after an outage. GitHub does not keep deliveries longer either.
const LOOKED_BACK: Span = Span::hours(72);
/// How long GitHub's lists may be behind: what changed so shortly before a look may not have been seen by it.
const LISTED_WITHIN: Span = Span::minutes(1);
/// A delivery that comes later than this tells what was: what is, GitHub is asked.
const LATE_AFTER: Span = Span::minutes(1);
/// How often a history that is being read is waited for: an hour in all.
const PAST_TRIES: u32 = 6;
/// How often the policy is asked for before the pull request gives up until something happens.
const POLICY_TRIES: u32 = 6;

fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// The state of a pull request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PullState {
    pub repo: RepoName,
    pub number: PullNumber,
    /// As GitHub last showed it; `None`: never seen, or gone.
    pub pull: Option<PullSnapshot>,
    /// When it was last read from GitHub, not from a delivery.
    pub read_at: Timestamp,
    pub judged: Option<Judged>,
    /// Comments with commands by their number, which grows.
    pub commands: BTreeMap<CommentId, Conversation>,
    /// Comments written before this moment were looked through.
    pub comments_until: Timestamp,
    /// What the pipelines said of the releases that carry it.
    pub releases: BTreeMap<ServiceName, ReleaseBrief>,
    /// Whether the pipelines were told of the merge.
    pub handed_over: bool,
    /// How often the policy was asked for and not there.
    pub policy_tries: u32,
    /// How often the history was still being read when this head was judged; 0: it is not waited for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub past_tries: u32,
    /// How often GitHub was asked to run our checks of this head again.
    pub rechecks: u64,
    /// Services whose pipelines this pull request asked to hold while it was open; they hear when it ends.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub holding: BTreeSet<ServiceName>,
    /// What it last said to a merge group, when that was not well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said_to_group: Option<String>,
    /// Why it left the merge queue, until it is merged, gets another head or is in a group again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_queue: Option<LeftQueue>,
}

/// What was found of one head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    pub head_sha: Sha,
    pub rules: Vec<RuleResult>,
    /// Of the policy in force, when its file is broken.
    pub policy_problems: Vec<Problem>,
    pub policy_broken_by: Option<Login>,
    /// Of the policy file as this pull request would make it; `None`: it does not touch it.
    pub proposed_policy: Option<Vec<Problem>>,
    pub verdict: Verdict,
    /// Services that it touches, in the order of the policy.
    pub services: Vec<ServiceName>,
    /// The list of files was cut, so every service counts as touched.
    pub files_cut: bool,
    pub policy: PolicyInForce,
    /// When; `None`: earlier than that was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// The commands of one comment and their answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    pub by: Login,
    pub at: Timestamp,
    pub lines: Vec<Line>,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its verb; `None`: it could not be understood.
    pub verb: Option<String>,
    /// The pull request's own answer, Markdown.
    pub answer: Option<String>,
    /// What the pipelines answered, Markdown.
    pub services: BTreeMap<ServiceName, String>,
}

impl PullState {
    /// A pull request of which nothing is known.
    pub fn new(repo: RepoName, number: PullNumber) -> Self {
        Self {
            repo,
            number,
            pull: None,
            read_at: Timestamp(0),
            judged: None,
            commands: BTreeMap::new(),
            comments_until: Timestamp(0),
            releases: BTreeMap::new(),
            handed_over: false,
            policy_tries: 0,
            past_tries: 0,
            rechecks: 0,
            holding: BTreeSet::new(),
            said_to_group: None,
            left_queue: None,
        }
    }

    /// The commands that ask for the risk and have no answer yet.
    pub fn asking_for_risk(&mut self) -> impl Iterator<Item = &mut Line> {
        let lines = self.commands.values_mut().flat_map(|said| &mut said.lines);
        lines.filter(|line| line.answer.is_none() && line.verb.as_deref() == Some(Verb::Risk.name()))
    }
}

/// What an event of a pull request sets in motion.
#[derive(Debug, Default)]
pub struct Heard {
    pub acts: Vec<(EffectKey, super::effect::Act)>,
    pub forwards: Vec<(Subject, Event)>,
    pub notes: Vec<String>,
}

/// What an event asks of this lane.
struct Ask<'a> {
    /// The pull request as it will be known in this turn, if it need not be read.
    pull: Option<&'a PullSnapshot>,
    /// It must be read from GitHub, and its comments looked through.
    read: bool,
    /// It must be judged even if this head was judged before.
    judge: bool,
}

fn ask<'a>(state: &'a PullState, event: &'a Event, now: Timestamp) -> Ask<'a> {
    let known = state.pull.as_ref();
    let pass = Ask { pull: known, read: false, judge: false };
    let look = Ask { pull: None, read: true, judge: true };
    match event {
        // Two deliveries of one second cannot be told apart: then GitHub is asked.
        Event::PullChanged { action, pull } => match known {
            Some(known)
                if pull.updated_at < known.updated_at || (pull.updated_at == known.updated_at && **pull != *known) =>
            {
                look
            }
            Some(known) if pull.updated_at == known.updated_at => pass,
            // What came after it may have been lost: a reopening after a closing.
            Some(_) | None if pull.updated_at.plus(LATE_AFTER) < now => look,
            Some(_) | None => {
                Ask { pull: Some(pull), read: false, judge: *action != PullAction::Closed || pull.merged }
            }
        },
        Event::LookIfNewer { updated_at } if looked_through(state) > updated_at.plus(LISTED_WITHIN) => pass,
        // Twenty clicks, or one for each of our checks, are one question.
        Event::RecheckRequested { head_sha } if just_read(state, head_sha, now) => pass,
        Event::Look { .. }
        | Event::LookIfNewer { .. }
        | Event::ReviewChanged { .. }
        | Event::RecheckRequested { .. } => look,
        Event::CommentCreated { comment } => {
            let new = !comment.by_bot && !state.commands.contains_key(&comment.id) && commands::asks(&comment.body);
            let recheck = new && commands::wants_recheck(&comment.body);
            // A command is answered from what is known; only the first sight of a pull request must be read.
            let judge = recheck || (new && state.judged.is_none());
            Ask { pull: known, read: new && (known.is_none() || recheck), judge }
        }
        Event::Signal(Signal::PolicyReady) => Ask { judge: true, read: known.is_none(), ..pass },
        Event::Signal(Signal::GroupWanted { .. }) if !queue::knows(state) => look,
        Event::Pushed { .. }
        | Event::AccessChanged { .. }
        | Event::RunChanged { .. }
        | Event::EffectEnded { .. }
        | Event::ActionRequested { .. }
        | Event::GroupRequested { .. }
        | Event::GroupDestroyed { .. }
        | Event::LeftQueue { .. }
        | Event::ProtectionRequested { .. }
        | Event::Reported { .. }
        | Event::IssueClosed { .. }
        | Event::Signal(
            Signal::PolicyWanted { .. }
            | Signal::GroupWanted { .. }
            | Signal::GroupJudged { .. }
            | Signal::HoldsChanged { .. }
            | Signal::PullEnded { .. }
            | Signal::ProtectionAsked { .. }
            | Signal::ReleaseWanted { .. }
            | Signal::Commanded { .. }
            | Signal::CommandAnswered { .. }
            | Signal::ReleaseMoved { .. },
        ) => pass,
    }
}

/// Everything that changed before this moment was seen: the pull request itself and its comments, which not every
/// read looks at.
fn looked_through(state: &PullState) -> Timestamp {
    state.read_at.min(state.comments_until)
}

/// Whether this head was read and judged moments ago.
fn just_read(state: &PullState, head_sha: &Sha, now: Timestamp) -> bool {
    let judged = state.judged.as_ref().is_some_and(|judged| judged.head_sha == *head_sha);
    judged && state.read_at.plus(Span::seconds(5)) > now
}

/// Whether there is something to judge: it is open, or merged and the pipelines do not know yet.
fn is_judged(state: &PullState, pull: &PullSnapshot) -> bool {
    pull.open || (pull.merged && !state.handed_over)
}

/// From when on comments are looked through.
fn comments_since(state: &PullState, now: Timestamp) -> Timestamp {
    let overlap = state.comments_until.minus(Span::minutes(10));
    overlap.max(now.minus(LOOKED_BACK))
}

/// What must be known for an event, given what is known already.
pub fn needs(state: &PullState, event: &Event, facts: &Facts, now: Timestamp) -> Vec<Need> {
    let mut needs = Vec::new();
    let ask = ask(state, event, now);
    if ask.read {
        needs.push(Need::Pull { number: state.number });
        // Once a turn: `now` stands still while a turn asks.
        let looks = matches!(event, Event::Look { .. } | Event::LookIfNewer { .. });
        if looks && state.comments_until < now {
            needs.push(Need::Comments { number: state.number, since: comments_since(state, now) });
        }
    }
    let read = facts.pull(state.number).and_then(Result::ok);
    let pull = if ask.read { read } else { ask.pull };
    if let Some(pull) = pull {
        if ask.judge && is_judged(state, pull) {
            needs.extend(judge::needs(state, pull, facts));
        }
        needs.extend(commands::needs(state, event, facts, now));
    }
    needs
}

/// Changes the state as the event demands.
pub fn apply(state: &mut PullState, event: &Event, facts: &Facts, now: Timestamp) -> Heard {
    let mut heard = Heard::default();
    let (pull, read, judge) = {
        let ask = ask(state, event, now);
        (ask.pull.cloned(), ask.read, ask.judge)
    };
    let pull = if !read {
        pull
    } else {
        match facts.pull(state.number) {
            Some(Ok(found)) => {
                state.read_at = now;
                Some(found.clone())
            }
            Some(Err(_)) => {
                heard.notes.push("GitHub does not show the pull request; it is left alone".into());
                state.pull = None;
                None
            }
            None => state.pull.clone(),
        }
    };
    if let Some(mut pull) = pull {
        keep_counts(&mut pull, state.pull.as_ref());
        queue::seen(state, &pull);
        state.pull = Some(pull.clone());
        if judge && is_judged(state, &pull) {
            judge::apply(state, &pull, facts, now, &mut heard);
        }
        commands::apply(state, event, facts, now, &mut heard);
    }
    release_holds(state, &mut heard);
    match event {
        Event::LeftQueue { reason } => queue::left(state, reason, now, &mut heard),
        Event::Signal(Signal::GroupWanted { head_sha }) => queue::answer(state, head_sha, facts, &mut heard),
        Event::Signal(Signal::HoldsChanged { service, holds }) => {
            if let Some(judged) = &mut state.judged {
                judged.policy.keeps(service, holds);
            }
        }
        Event::Signal(Signal::CommandAnswered { comment, index, from, answer, .. }) => {
            commands::answered(state, *comment, *index, from, answer);
        }
        Event::Signal(Signal::ReleaseMoved { service, brief }) => {
            let newer = state.releases.get(service).is_none_or(|known| known.number <= brief.number);
            if newer {
                state.releases.insert(service.clone(), (**brief).clone());
            }
        }
        Event::RecheckRequested { head_sha } => {
            if state.judged.as_ref().is_some_and(|judged| judged.head_sha == *head_sha) {
                state.rechecks += 1;
            }
        }
        Event::Look { .. }
        | Event::LookIfNewer { .. }
        | Event::PullChanged { .. }
        | Event::CommentCreated { .. }
        | Event::ReviewChanged { .. }
        | Event::Pushed { .. }
        | Event::AccessChanged { .. }
        | Event::RunChanged { .. }
        | Event::EffectEnded { .. }
        | Event::ActionRequested { .. }
        | Event::GroupRequested { .. }
        | Event::GroupDestroyed { .. }
        | Event::ProtectionRequested { .. }
        | Event::Reported { .. }
        | Event::IssueClosed { .. }
        | Event::Signal(
            Signal::PolicyWanted { .. }
            | Signal::PolicyReady
            | Signal::ReleaseWanted { .. }
            | Signal::Commanded { .. }
            | Signal::GroupJudged { .. }
            | Signal::PullEnded { .. }
            | Signal::ProtectionAsked { .. },
        ) => {}
    }
    heard
}

/// Tells the pipelines that it holds, once, that it was merged or closed.
fn release_holds(state: &mut PullState, heard: &mut Heard) {
    if state.pull.as_ref().is_none_or(|pull| pull.open) {
        return;
    }
    for service in std::mem::take(&mut state.holding) {
        let lane = Subject::Pipeline { repo: state.repo.clone(), service };
        heard.forwards.push((lane, Event::Signal(Signal::PullEnded { pull: state.number })));
    }
}

/// Lists and some deliveries leave counts out; what was known of the same head stays known.
fn keep_counts(pull: &mut PullSnapshot, known: Option<&PullSnapshot>) {
    let Some(known) = known.filter(|known| known.head_sha == pull.head_sha) else { return };
    pull.additions = pull.additions.or(known.additions);
    pull.deletions = pull.deletions.or(known.deletions);
    pull.changed_files = pull.changed_files.or(known.changed_files);
}

/// When the clock must call: only while the policy or the history is awaited; all else comes by signal or by the sweep.
pub fn wake_at(state: &PullState, now: Timestamp) -> Option<Timestamp> {
    // One that was closed meanwhile is not judged, so nobody would ever count the tries on.
    let is_judged = state.pull.as_ref().is_some_and(|pull| is_judged(state, pull));
    let tries = [(state.policy_tries, POLICY_TRIES), (state.past_tries, PAST_TRIES)];
    let waiting = tries.into_iter().filter(|(tries, most)| is_judged && (1..*most).contains(tries));
    waiting.map(|(tries, _)| now.plus(Span::minutes(1 << tries.min(6)))).min()
}
