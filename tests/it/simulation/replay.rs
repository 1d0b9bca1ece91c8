//! Plays a turn again: the same state, events, facts and time must lead to the same state.

use super::invariants::{ROUND_TRIP, SAME_TWICE};
use super::scene::Scene;
use plimsoll::domain::decide;
use plimsoll::domain::event::Event;
use plimsoll::domain::facts::{Absence, CheckState, Fact, Facts, Need};
use plimsoll::domain::ids::*;
use plimsoll::domain::reading::{Question, Reading};
use plimsoll::domain::repository;
use plimsoll::domain::state::State;
use plimsoll::engine::ports::{ArrivalId, ClaimedLane, Snapshot, TurnCommit};
use plimsoll::engine::step::{new_lane, read_lane};

/// What a turn had to go on.
#[derive(Debug, Default)]
pub struct Replay {
    claimed: Option<ClaimedLane>,
    learned: Vec<(Need, Fact)>,
    /// Of every turn: whose it is, what it took, and what it heard of what runs.
    pub turn: Heard,
}

/// What a turn goes on, for the invariants.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    pub service: Option<ServiceName>,
    pub events: Vec<(ArrivalId, Event)>,
    pub readings: Vec<(Question, Reading)>,
    pub checks: Vec<(Sha, Vec<CheckState>)>,
}

impl Replay {
    /// Begins a turn; one that is not `wanted` is not played again.
    pub fn begun(&mut self, claimed: &ClaimedLane, wanted: bool) {
        self.claimed = wanted.then(|| claimed.clone());
        self.learned.clear();
        self.turn = Heard::default();
        if let Subject::Pipeline { service, .. } = &claimed.subject {
            self.turn.service = Some(service.clone());
            self.turn.events = claimed.arrivals.iter().map(|(id, arrival)| (*id, arrival.event.clone())).collect();
        }
    }

    /// What was heard of what runs.
    pub fn heard(&mut self, question: &Question, reading: &Reading) {
        self.turn.readings.push((question.clone(), reading.clone()));
        self.learned(&Need::Reading { question: question.clone() }, &Fact::Reading(reading.clone()));
    }

    pub fn learned(&mut self, need: &Need, fact: &Fact) {
        if let (Need::Checks { sha }, Fact::Checks(checks), Some(_)) = (need, fact, &self.turn.service) {
            self.turn.checks.push((sha.clone(), checks.clone()));
        }
        if self.claimed.is_some() {
            self.learned.push((need.clone(), fact.clone()));
        }
    }

    /// The policy in force comes out of the repository's lane.
    pub fn peeked(&mut self, subject: &Subject, found: Option<&Snapshot>) {
        let (Subject::Repository { .. }, Some(_)) = (subject, &self.claimed) else { return };
        let state = found.and_then(|snapshot| read_lane(&snapshot.state).ok()).map(|lane| lane.state);
        let fact = match state {
            Some(State::Repository(state)) => repository::as_fact(&state),
            Some(State::PullRequest(_) | State::Pipeline(_)) | None => Fact::PolicyInForce(None),
        };
        self.learned(&Need::PolicyInForce, &fact);
    }

    /// Decides once more, and twice each event.
    pub fn check(&mut self, scene: &mut Scene, turn: &TurnCommit) {
        let Some(claimed) = self.claimed.take() else { return };
        let taken: Vec<_> = turn.taken.clone();
        let mut lane = match &claimed.snapshot {
            Some(snapshot) => match read_lane(&snapshot.state) {
                Ok(lane) => lane,
                Err(because) => return scene.broke(ROUND_TRIP, because),
            },
            None => new_lane(&turn.subject, &claimed.arrivals, turn.at),
        };
        let woken = Event::Look { because: "the clock called".to_owned() };
        let arrivals = claimed.arrivals.iter().filter(|(id, _)| taken.contains(id));
        let mut events: Vec<_> = arrivals.map(|(_, arrival)| (&arrival.event, arrival.installation)).collect();
        if events.is_empty() {
            events.push((&woken, None));
        }
        let mut facts = Facts::default();
        for (event, installation) in events {
            lane.installation = installation.or(lane.installation);
            loop {
                let needs = decide::needs(&lane.state, event, &facts, turn.at);
                if needs.is_empty() {
                    break;
                }
                for need in needs {
                    let known = self.learned.iter().find(|(asked, _)| *asked == need).map(|(_, fact)| fact.clone());
                    let unknown = Absence::Refused { message: "the installation is not known".to_owned() };
                    facts.insert(need, known.unwrap_or(Fact::Absent(unknown)));
                }
            }
            let first = decide::decide(&lane.state, event, &facts, turn.at);
            let second = decide::decide(&lane.state, event, &facts, turn.at);
            if first != second {
                scene.broke(SAME_TWICE, format!("{} on {event:?}", turn.subject));
            }
            lane.state = first.next;
        }
        if let Some(installation) = lane.installation {
            decide::publishes(&mut lane, &turn.subject, installation);
        }
        match read_lane(&turn.state) {
            Ok(read) if serde_json::to_vec(&read).ok().as_ref() == Some(&turn.state) => {}
            Ok(_) => scene.broke(ROUND_TRIP, format!("{} is written otherwise than it was read", turn.subject)),
            Err(because) => scene.broke(ROUND_TRIP, because),
        }
        if serde_json::to_vec(&lane).ok().as_ref() != Some(&turn.state) {
            scene.broke(SAME_TWICE, format!("{}: a second turn on the same facts ends in another state", turn.subject));
        }
    }
}
