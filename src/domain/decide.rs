//! The one door of the domain: what must be known, what follows, and what people see.
//!
//! Pure and total: the same input gives the same output, and there is an output for every input.

mod upgrade;

use super::effect::{Act, Effect, Work};
use super::event::{Event, Origin, ReleaseBrief, Signal};
use super::facts::{Facts, Need};
use super::ids::*;
use super::pull_request::{self, PullState};
use super::release::{Answer, PipelineState, Said, advance, turn};
use super::repository::{self, RepositoryState};
use super::state::State;
use super::view::{self, Published};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the snapshot's shape. A lane that was written by a newer version is refused, never guessed at.
pub const FORMAT: u32 = 2;

/// A lane as it is kept at rest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    pub format: u32,
    /// Through which the lane speaks to GitHub; the newest that was heard of.
    pub installation: Option<InstallationId>,
    pub state: State,
    pub published: Published,
}

/// What one event leads to.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub next: State,
    /// At most once each, by key.
    pub acts: Vec<(EffectKey, Act)>,
    /// Other lanes hear of it.
    pub forwards: Vec<(Subject, Event)>,
    /// Look again then, whatever happens.
    pub wake_at: Option<Timestamp>,
    /// Why, for the journal.
    pub notes: Vec<String>,
}

impl Lane {
    /// A lane that nothing has happened to, first heard of at `heard_at`.
    pub fn new(subject: &Subject, heard_at: Timestamp) -> Self {
        let state = match subject {
            Subject::Repository { repo } => State::Repository(Box::new(RepositoryState::new(repo.clone(), heard_at))),
            Subject::PullRequest { repo, number } => {
                State::PullRequest(Box::new(PullState::new(repo.clone(), *number)))
            }
            Subject::Pipeline { repo, service } => {
                State::Pipeline(Box::new(PipelineState::new(repo.clone(), service.clone())))
            }
        };
        Self { format: FORMAT, installation: None, state, published: Published::default() }
    }
}

/// Says what must be known to decide about an event, given what is known already. It is asked again with the answers
/// until it wants nothing more.
pub fn needs(state: &State, event: &Event, facts: &Facts, now: Timestamp) -> Vec<Need> {
    let mut needs = match state {
        State::Repository(state) => repository::needs(state, event, now),
        State::PullRequest(state) => pull_request::needs(state, event, facts, now),
        State::Pipeline(state) => turn::needs(state, event, facts, now),
    };
    needs.sort();
    needs.dedup();
    needs.retain(|need| !facts.has(need));
    needs
}

/// Decides about an event.
pub fn decide(state: &State, event: &Event, facts: &Facts, now: Timestamp) -> Decision {
    match state {
        State::Repository(state) => {
            let mut next = state.clone();
            let heard = repository::apply(&mut next, event, facts, now);
            let wake_at = repository::wake_at(&next);
            Decision {
                next: State::Repository(next),
                acts: Vec::new(),
                forwards: heard.forwards,
                wake_at,
                notes: heard.notes,
            }
        }
        State::PullRequest(state) => {
            let mut next = state.clone();
            let heard = pull_request::apply(&mut next, event, facts, now);
            answer_risk(&mut next);
            let wake_at = pull_request::wake_at(&next, now);
            Decision {
                next: State::PullRequest(next),
                acts: heard.acts,
                forwards: heard.forwards,
                wake_at,
                notes: heard.notes,
            }
        }
        State::Pipeline(state) => {
            let mut next = state.clone();
            let mut said = Said::default();
            turn::apply(&mut next, event, facts, now, &mut said);
            let wake_at = advance::wake_at(&next, now);
            let mut forwards: Vec<(Subject, Event)> =
                said.answers.iter().filter_map(|answer| answered(&next, answer, now)).collect();
            if **state != *next {
                forwards.extend(moved(state, &next));
                forwards.extend(held(state, &next));
            }
            Decision { next: State::Pipeline(next), acts: said.acts, forwards, wake_at, notes: said.notes }
        }
    }
}

/// Answers who asked for the risk, as soon as there is something to say.
fn answer_risk(state: &mut PullState) {
    if state.asking_for_risk().next().is_none() {
        return;
    }
    let answer = match &state.judged {
        Some(judged) => view::check::risk_answer(judged),
        None if state.pull.as_ref().is_some_and(|pull| pull.open) => return,
        None => "This pull request was never judged, and it is not open any more.".to_owned(),
    };
    for line in state.asking_for_risk() {
        line.answer = Some(answer.clone());
    }
}

fn answered(state: &PipelineState, (origin, answer): &(Origin, Answer), now: Timestamp) -> Option<(Subject, Event)> {
    let Origin::Comment { pull, comment, index } = origin else { return None };
    let (answer, settled) = match answer {
        Answer::ForNow(text) => (text.clone(), false),
        Answer::Final(text) => (text.clone(), true),
        Answer::Status => (view::status::pipeline(state), true),
        Answer::Why { environment, sha } => (view::why::comment(state, environment, sha.as_deref(), now), true),
    };
    let lane = Subject::PullRequest { repo: state.repo.clone(), number: *pull };
    let signal =
        Signal::CommandAnswered { comment: *comment, index: *index, from: state.service.clone(), answer, settled };
    Some((lane, Event::Signal(signal)))
}

/// Tells the pull requests whose release moved.
fn moved(before: &PipelineState, after: &PipelineState) -> Vec<(Subject, Event)> {
    let earlier = briefs(before);
    let mut forwards = Vec::new();
    for (pull, brief) in briefs(after) {
        if earlier.get(&pull) == Some(&brief) {
            continue;
        }
        let lane = Subject::PullRequest { repo: after.repo.clone(), number: pull };
        let signal = Signal::ReleaseMoved { service: after.service.clone(), brief: Box::new(brief) };
        forwards.push((lane, Event::Signal(signal)));
    }
    forwards
}

/// Tells the repository what keeps the pipeline, when that changed.
fn held(before: &PipelineState, after: &PipelineState) -> Option<(Subject, Event)> {
    let lines = |state: &PipelineState| -> Vec<String> { state.blocks.iter().map(view::status::block).collect() };
    let holds = lines(after);
    if lines(before) == holds {
        return None;
    }
    let lane = Subject::Repository { repo: after.repo.clone() };
    Some((lane, Event::Signal(Signal::HoldsChanged { service: after.service.clone(), holds })))
}

/// Reads a lane as any format up to today's wrote it.
///
/// # Errors
/// Why it cannot be read: it is no JSON, of a newer format, or not as its format has it.
pub fn read(snapshot: &[u8]) -> Result<Lane, String> {
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    let wrong = |e: serde_json::Error| format!("the state cannot be read: {e}");
    // The head alone is read only when the whole cannot be: another format need not have our shape.
    let lane = serde_json::from_slice::<Lane>(snapshot);
    let format = match &lane {
        Ok(lane) => lane.format,
        Err(_) => serde_json::from_slice::<Head>(snapshot).map_or(FORMAT, |head| head.format),
    };
    match format {
        FORMAT => lane.map_err(wrong),
        newer if newer > FORMAT => Err(format!("the state has format {newer}, this version knows {FORMAT}")),
        _ => {
            let mut lane: serde_json::Value = serde_json::from_slice(snapshot).map_err(wrong)?;
            lane["format"] = FORMAT.into();
            if let Some(pipeline) = lane.pointer_mut("/state/pipeline").and_then(|state| state.as_object_mut()) {
                upgrade::from_1(pipeline);
            }
            serde_json::from_value(lane).map_err(wrong)
        }
    }
}

/// The newest release that carries each pull request.
fn briefs(state: &PipelineState) -> BTreeMap<PullNumber, ReleaseBrief> {
    let mut briefs = BTreeMap::new();
    for release in state.releases.values() {
        for change in &release.changes {
            briefs.insert(change.pull, view::release::brief(state, release));
        }
    }
    briefs
}

/// What must be done on GitHub so that it shows the lane's state; writes down that it was asked for.
pub fn publishes(lane: &mut Lane, subject: &Subject, installation: InstallationId) -> Vec<Effect> {
    let views = view::of(&lane.state);
    view::difference(&mut lane.published, views)
        .into_iter()
        .map(|publish| Effect {
            key: EffectKey::new(format!(
                "{}/{}/generation-{}",
                subject.repo(),
                publish.target.name(),
                publish.generation
            )),
            subject: subject.clone(),
            installation,
            work: Work::Publish(publish),
        })
        .collect()
}
