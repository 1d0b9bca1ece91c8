//! The hands of one worker: its clock, its GitHub, its store, each of which may take its time, fail, or be its end.
//!
//! A future that waits here tells the scene until when; one whose instance ends here is never polled again.

use super::acts;
use super::answers::answer;
use super::health;
use super::invariants;
use super::replay::Replay;
use super::sabotage;
use super::scene::{Sabotage, Scene, Shared};
use plimsoll::domain::effect::{Effect, Work};
use plimsoll::domain::facts::{Comparison, Fact, Need, Standing};
use plimsoll::domain::ids::*;
use plimsoll::domain::reading::{Question, Reading};
use plimsoll::engine::ports::*;
use plimsoll::store::MemoryStore;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

/// One turn in so many is played again.
const REPLAY_ONE_IN: u64 = 32;

/// What one worker of one instance works with.
#[derive(Clone)]
pub struct Hands {
    pub scene: Shared,
    pub store: Arc<MemoryStore>,
    /// How far the instance's clock is ahead, in milliseconds.
    pub skew: i64,
    pub replay: Arc<Mutex<Replay>>,
}

/// Sleeps until the world's clock is there.
struct Nap {
    scene: Shared,
    until: i64,
}

impl Future for Nap {
    type Output = ();
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let mut scene = self.scene.lock();
        if scene.now >= self.until {
            return Poll::Ready(());
        }
        scene.nap = Some(self.until);
        Poll::Pending
    }
}

impl Hands {
    fn replay(&self) -> std::sync::MutexGuard<'_, Replay> {
        self.replay.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place where the process may end, or time may pass: at most `nap_ms_max`.
    async fn edge(&self, place: &'static str, nap_ms_max: i64) {
        let until = {
            let mut scene = self.scene.lock();
            let rate = scene.weather.crash;
            if scene.chance.hits(rate) {
                scene.crash = true;
                scene.record.crashes += 1;
                scene.tell(|| format!("  the process ends {place}"));
            }
            let rate = scene.weather.nap;
            if !scene.crash && scene.chance.hits(rate) {
                let long = scene.chance.one_in(20);
                let length = scene.chance.between(50, if long { 240_000 } else { 4_000 }).min(nap_ms_max);
                scene.tell(|| format!("  {place} takes {length} ms"));
                Some(scene.now + length)
            } else {
                None
            }
        };
        if self.scene.lock().crash {
            std::future::pending::<()>().await;
        }
        if let Some(until) = until {
            Nap { scene: self.scene.clone(), until }.await;
        }
    }

    /// A fault that any request may meet: nothing happened.
    fn trouble(scene: &mut Scene, what: &str) -> Option<GitHubError> {
        let what = what.to_owned();
        let weather = &scene.weather;
        let (unavailable, wait) = (weather.unavailable, weather.wait);
        if weather.is_outage(scene.now) || scene.chance.hits(unavailable) {
            return Some(GitHubError::Unavailable { what, message: "502".into() });
        }
        if scene.chance.hits(wait) {
            let wait = Span::seconds(scene.chance.between(5, 90) as u64);
            return Some(GitHubError::Wait { what, wait });
        }
        None
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp(self.scene.lock().now + self.skew)
    }
}

impl Webhooks for Hands {
    fn interpret(&self, event: &str, body: &[u8]) -> Interpretation {
        plimsoll::github::Interpreter::new("http://127.0.0.1", "4711").interpret(event, body)
    }
}

impl Probes for Hands {
    async fn ask(&self, question: &Question) -> Reading {
        self.edge("a question", 10_000).await;
        let service = self.replay().turn.service.clone();
        let reading = health::reading(&mut self.scene.lock(), service.as_ref(), question);
        self.scene.lock().tell(|| format!("  {question:?}: {reading:?}"));
        self.replay().heard(question, &reading);
        reading
    }
}

impl GitHub for Hands {
    async fn observe(&self, _: InstallationId, _: &RepoName, need: &Need) -> Result<Fact, GitHubError> {
        self.edge("a read", 240_000).await;
        let fact = {
            let mut scene = self.scene.lock();
            if let Some(error) = Self::trouble(&mut scene, "a read") {
                scene.tell(|| format!("  {need:?}: {error}"));
                return Err(error);
            }
            match (scene.sabotage, need) {
                (Some(Sabotage::AnybodyApproves), Need::TeamMember { .. }) => Fact::TeamMember(true),
                (Some(Sabotage::NoSweep), Need::RecentPulls { .. }) => Fact::RecentPulls(Vec::new()),
                (Some(Sabotage::NeverBehind), Need::Comparison { .. }) => match answer(&scene, need) {
                    Fact::Comparison(found) if found.standing == Standing::Behind => {
                        Fact::Comparison(Comparison { standing: Standing::Diverged, ..found })
                    }
                    other => other,
                },
                (_, _) => answer(&scene, need),
            }
        };
        self.edge("an answer", 240_000).await;
        self.replay().learned(need, &fact);
        Ok(fact)
    }

    async fn perform(&self, effect: &Effect, remote: Option<u64>) -> Result<Done, GitHubError> {
        self.edge("a request", 15_000).await;
        let done = {
            let mut scene = self.scene.lock();
            let scene = &mut *scene;
            scene.record.effects += 1;
            if let Some(error) = Self::trouble(scene, "a write") {
                scene.tell(|| format!("  {}: {error}", effect.key));
                return Err(error);
            }
            let uncertain =
                || GitHubError::Uncertain { what: "a write".into(), message: "no answer within 10 s".into() };
            let (lost_request, lost_answer, refused) =
                (scene.weather.lost_request, scene.weather.lost_answer, scene.weather.refused);
            if scene.chance.hits(refused) {
                match &effect.work {
                    Work::Publish(publish) => {
                        scene.record.refused.insert(publish.target.name(), publish.generation);
                    }
                    Work::Act(_) => {
                        scene.record.refused_acts.insert(effect.key.to_string());
                    }
                }
                scene.tell(|| format!("  {} is refused", effect.key));
                return Err(GitHubError::Refused { what: "a write".into(), status: 422, message: "Spammed".into() });
            }
            if scene.chance.hits(lost_request) {
                scene.tell(|| format!("  {} is lost on the way", effect.key));
                return Err(uncertain());
            }
            if scene.chance.hits(lost_answer) {
                let at = scene.now + scene.chance.between(0, 3_000);
                scene.tell(|| format!("  {} will be done, and nobody hears of it", effect.key));
                scene.late.push((at, effect.clone(), remote));
                return Err(uncertain());
            }
            acts::done(scene, effect, remote)
        };
        self.edge("an answer", 20_000).await;
        done
    }

    async fn probe(&self, effect: &Effect, since: Timestamp) -> Result<Option<Done>, GitHubError> {
        self.edge("a probe", 240_000).await;
        let found = {
            let mut scene = self.scene.lock();
            if let Some(error) = Self::trouble(&mut scene, "a probe") {
                return Err(error);
            }
            let found = match scene.sabotage {
                Some(Sabotage::NoProbe) => None,
                Some(_) | None => acts::standing(&scene, effect, since),
            };
            scene.tell(|| format!("  {} is looked for: {found:?}", effect.key));
            found
        };
        self.edge("an answer", 240_000).await;
        Ok(found)
    }
}

/// Runs a write with an edge on either side.
macro_rules! write {
    ($self:ident, $place:literal, $call:expr) => {{
        $self.edge(concat!("before ", $place), 240_000).await;
        let result = $call.await;
        $self.scene.lock().changes += 1;
        $self.edge(concat!("after ", $place), 240_000).await;
        result
    }};
}

impl Store for Hands {
    async fn admit(&self, delivery: NewDelivery) -> Result<Admitted, StoreError> {
        write!(self, "admit", self.store.admit(delivery))
    }

    async fn unsorted(&self, limit: usize) -> Result<Vec<NewDelivery>, StoreError> {
        self.store.unsorted(limit).await
    }

    async fn sort(&self, sorted: Vec<(DeliveryId, Sorted)>, now: Timestamp) -> Result<(), StoreError> {
        write!(self, "sort", self.store.sort(sorted, now))
    }

    async fn arrive(&self, arrival: Arrival) -> Result<(), StoreError> {
        write!(self, "arrive", self.store.arrive(arrival))
    }

    async fn claim_lane(
        &self,
        holder: &Holder,
        now: Timestamp,
        lease_until: Timestamp,
        arrivals_max: usize,
    ) -> Result<Option<ClaimedLane>, StoreError> {
        let mut claimed = self.store.claim_lane(holder, now, lease_until, arrivals_max).await?;
        if let Some(claimed) = &mut claimed {
            sabotage::claimed(self.scene.lock().sabotage, claimed);
            {
                let mut scene = self.scene.lock();
                scene.changes += 1;
                // To play every turn twice would double what a world costs.
                self.replay().begun(claimed, scene.record.turns % REPLAY_ONE_IN == scene.seed % REPLAY_ONE_IN);
            }
            self.edge("after claim_lane", 240_000).await;
        }
        Ok(claimed)
    }

    async fn commit(&self, mut turn: TurnCommit) -> Result<(), StoreError> {
        self.edge("before commit", 240_000).await;
        let subject = turn.subject.clone();
        {
            let mut scene = self.scene.lock();
            self.replay().check(&mut scene, &turn);
            sabotage::committing(scene.sabotage, &mut turn);
        }
        let (at, taken) = (turn.at, turn.taken.clone());
        let state = turn.state.clone();
        let told = (turn.taken.len(), turn.effects.len(), turn.forwards.len(), turn.journal.join("; "));
        let result = self.store.commit(turn).await;
        {
            let mut scene = self.scene.lock();
            scene.changes += 1;
            if result.is_ok() {
                scene.record.turns += 1;
                let (events, effects, forwards, notes) = told;
                scene.tell(|| format!("{subject}: {events} events, {effects} effects, {forwards} forwards: {notes}"));
                let mut heard = std::mem::take(&mut self.replay().turn);
                heard.events.retain(|(id, _)| taken.contains(id));
                invariants::committed(&mut scene, &subject, &state, &heard, at);
            }
        }
        self.edge("after commit", 240_000).await;
        result
    }

    async fn defer_lane(
        &self,
        subject: &Subject,
        holder: &Holder,
        until: Timestamp,
        because: &str,
    ) -> Result<(), StoreError> {
        self.scene.lock().tell(|| format!("{subject} is deferred: {because}"));
        write!(self, "defer_lane", self.store.defer_lane(subject, holder, until, because))
    }

    async fn park_arrivals(
        &self,
        subject: &Subject,
        holder: &Holder,
        arrivals: &[ArrivalId],
        because: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.scene.lock().tell(|| format!("{subject} is parked: {because}"));
        write!(self, "park_arrivals", self.store.park_arrivals(subject, holder, arrivals, because, now))
    }

    async fn claim_effect(
        &self,
        holder: &Holder,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Option<ClaimedEffect>, StoreError> {
        let mut claimed = self.store.claim_effect(holder, now, lease_until).await?;
        if let Some(claimed) = &mut claimed {
            {
                let mut scene = self.scene.lock();
                scene.changes += 1;
                match scene.sabotage {
                    Some(Sabotage::NoMark) => claimed.was_in_flight = false,
                    Some(Sabotage::NoSettle) => {
                        claimed.last_tried_at = claimed.last_tried_at.map(|_| Timestamp(0));
                    }
                    Some(_) | None => {}
                }
            }
            self.edge("after claim_effect", 240_000).await;
        }
        Ok(claimed)
    }

    async fn finish_effect(
        &self,
        key: &EffectKey,
        holder: &Holder,
        mut progress: EffectProgress,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        {
            let scene = self.scene.lock();
            if let (Some(Sabotage::NoSettle), EffectProgress::Settle { until, .. }) = (scene.sabotage, &mut progress) {
                *until = now;
            }
            scene.tell(|| format!("{key}: {progress:?}"));
        }
        write!(self, "finish_effect", self.store.finish_effect(key, holder, progress, now))
    }

    async fn peek(&self, subject: &Subject) -> Result<Option<Snapshot>, StoreError> {
        let found = self.store.peek(subject).await?;
        self.replay().peeked(subject, found.as_ref());
        Ok(found)
    }

    async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        self.store.next_due(now).await
    }

    async fn journal(&self, subject: &Subject, limit: usize) -> Result<Vec<JournalLine>, StoreError> {
        self.store.journal(subject, limit).await
    }

    async fn delivery(&self, id: &DeliveryId) -> Result<Vec<KnownDelivery>, StoreError> {
        self.store.delivery(id).await
    }

    async fn parked(&self, limit: usize) -> Result<Vec<Parked>, StoreError> {
        self.store.parked(limit).await
    }

    async fn counts(&self, now: Timestamp) -> Result<Counts, StoreError> {
        self.store.counts(now).await
    }

    async fn prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.store.prune(before).await
    }
}

/// Waits for a future that is ready at once, as those of the memory store are.
pub fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the memory store never waits"),
    }
}
