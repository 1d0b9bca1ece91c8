//! When a world is at rest, and that it is judged then.
//!
//! Knows what keeps lanes moving. Must never move one.

use super::hands::at_once;
use super::invariants;
use super::scene::Sabotage;
use super::world::{Worker, World};
use plimsoll::domain::ids::*;
use plimsoll::domain::pull_request;
use plimsoll::domain::release::{PipelineState, StepPhase, block, gate, rollout, turn};
use plimsoll::domain::state::State;
use plimsoll::engine::ports::Store;
use plimsoll::engine::query;
use plimsoll::sandbox::model::RunState;

/// What is further away than this is not waited for.
const SOON: Span = Span::minutes(60);

impl World {
    /// Pipelines first: they tell soonest whether something moves.
    fn lanes(&self) -> impl Iterator<Item = (Subject, State)> {
        let scene = self.scene.lock();
        let repo = RepoName::parse(&scene.model.repository.full_name()).expect("a name");
        let pulls =
            scene.model.pulls.keys().map(|n| Subject::PullRequest { repo: repo.clone(), number: PullNumber(*n) });
        let services =
            ["api", "web"].map(|name| Subject::Pipeline { repo: repo.clone(), service: ServiceName::new(name) });
        let all: Vec<Subject> =
            services.into_iter().chain(pulls).chain([Subject::Repository { repo: repo.clone() }]).collect();
        all.into_iter().filter_map(|subject| {
            let lane = at_once(query::lane(&*self.store, &subject)).ok().flatten()?;
            Some((subject, lane.state))
        })
    }

    /// Whether nothing but the next sweep will happen; judges the world when it is so.
    pub(super) fn is_at_rest(&mut self, now: i64) -> bool {
        {
            let scene = self.scene.lock();
            let moving = !scene.wire.is_empty()
                || !scene.late.is_empty()
                || !scene.direct.is_empty()
                || scene.model.runs.values().any(|run| matches!(run.state, RunState::Queued))
                || self.instances.iter().flat_map(|i| &i.workers).any(Worker::is_busy);
            let counts = at_once(self.store.counts(Timestamp(now))).unwrap_or_default();
            let waiting = counts.deliveries_unsorted
                + counts.arrivals_waiting
                + counts.effects_planned
                + counts.effects_in_flight;
            if moving || waiting > 0 || !scene.endings.is_empty() {
                return false;
            }
        }
        let waits = self.lanes().any(|(_, state)| match &state {
            State::Repository(_) => false,
            State::PullRequest(state) => pull_request::wake_at(state, Timestamp(now)).is_some(),
            State::Pipeline(state) => moves_soon(state, Timestamp(now)),
        });
        // A lane that nothing wakes is stuck, and to be judged as it is. What is due by the sun may not be by a clock.
        let behind = self.instances.iter().map(|instance| instance.skew).min().unwrap_or(0).min(0);
        let sweep = at_once(self.store.next_due(Timestamp(now + behind))).ok().flatten();
        if waits && sweep.is_some() && self.scene.lock().sabotage != Some(Sabotage::NoWake) {
            return false;
        }
        self.judge();
        true
    }

    pub(super) fn judge(&mut self) {
        let lanes: Vec<(Subject, State)> = self.lanes().collect();
        let mut scene = self.scene.lock();
        scene.tell(|| "at rest".to_owned());
        invariants::at_rest(&mut scene, &self.store, &lanes);
    }
}

/// Whether time alone moves a pipeline on before long. That what runs is asked now and then is no movement.
fn moves_soon(state: &PipelineState, now: Timestamp) -> bool {
    let busy = rollout::under_way(state)
        .iter()
        .any(|(_, rollout)| !matches!(rollout.phase, StepPhase::Between { .. } | StepPhase::Undecided { .. }));
    let gates = state.releases.values().flat_map(|release| &release.stages);
    let gates = gates.filter(|stage| !stage.conditions.is_empty());
    let next = gates.filter_map(|stage| gate::next_change(state, stage, now)).chain(block::next_expiry(state)).min();
    // What is long over and still there will never move: it is judged as it is.
    let soon = next.is_some_and(|at| at <= now.plus(SOON) && at.plus(Span::minutes(5)) > now);
    busy || soon || turn::unknown(state, now).next().is_some()
}
