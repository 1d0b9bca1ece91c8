//! A clock and a GitHub that do as a test says, for this room's tests. The store is the real one.
//!
//! Knows the ports only. A GitHub with a memory of its own is the sandbox's; here is what it never says at will.

use super::ports::*;
use crate::domain::effect::Effect;
use crate::domain::event::Event;
use crate::domain::facts::{Absence, Fact, Need};
use crate::domain::ids::*;
use crate::domain::reading::{Question, Reading};
use crate::store::MemoryStore;
use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// Answers a read.
pub type Answers = Box<dyn Fn(&Need) -> Result<Fact, GitHubError> + Send + Sync>;

/// What happens in one test. It begins at 0; reads find nothing unless the test says otherwise.
pub struct Script {
    pub store: Arc<MemoryStore>,
    pub reads: Answers,
    now: Mutex<i64>,
    /// How far the clock goes on after each time it is looked at.
    pub passing: Mutex<VecDeque<i64>>,
    pub performs: Mutex<VecDeque<Perform>>,
    pub probes: Mutex<VecDeque<Result<Option<Done>, GitHubError>>>,
    seen: Mutex<Vec<String>>,
}

/// How a write goes.
pub enum Perform {
    Answer(Result<Done, GitHubError>),
    /// It takes two minutes, and meanwhile another holder takes the effect over.
    TakenOver,
    /// The process does not live to see the answer.
    Never,
}

impl Script {
    pub fn new() -> Self {
        Self {
            store: Arc::default(),
            reads: Box::new(|_| Ok(Fact::Absent(Absence::NotFound))),
            now: Mutex::new(0),
            passing: Mutex::default(),
            performs: Mutex::default(),
            probes: Mutex::default(),
            seen: Mutex::default(),
        }
    }

    pub fn go_to(&self, at: Timestamp) {
        *self.now.lock().unwrap() = at.0;
    }

    /// What GitHub was asked to write and to look for since the last time.
    pub fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// When something is due next; the clock is moved there.
    pub async fn next(&self) -> Option<Timestamp> {
        let next = self.store.next_due(Clock::now(self)).await.unwrap();
        next.inspect(|at| self.go_to(*at))
    }

    /// Lets something happen to a lane.
    pub async fn arrive(&self, subject: Subject, installation: Option<InstallationId>, event: Event, at: Timestamp) {
        self.store.arrive(Arrival { subject, installation, event, source: Source::Operator, at }).await.unwrap();
    }

    /// Takes what waits in the inbox that is oldest.
    pub async fn inbox(&self) -> Vec<Arrival> {
        let now = Clock::now(self);
        let by = Holder("reader".into());
        let Some(lane) = self.store.claim_lane(&by, now, now, 100).await.unwrap() else { return Vec::new() };
        let taken: Vec<ArrivalId> = lane.arrivals.iter().map(|(id, _)| *id).collect();
        self.store.park_arrivals(&lane.subject, &by, &taken, "read", now).await.unwrap();
        lane.arrivals.into_iter().map(|(_, arrival)| arrival).collect()
    }
}

impl Clock for Script {
    fn now(&self) -> Timestamp {
        let mut now = self.now.lock().unwrap();
        let seen = *now;
        *now += self.passing.lock().unwrap().pop_front().unwrap_or(0);
        Timestamp(seen)
    }
}

impl GitHub for Script {
    async fn observe(&self, _: InstallationId, _: &RepoName, need: &Need) -> Result<Fact, GitHubError> {
        (self.reads)(need)
    }

    async fn perform(&self, effect: &Effect, remote: Option<u64>) -> Result<Done, GitHubError> {
        self.seen.lock().unwrap().push(match remote {
            Some(remote) => format!("{} in place of {remote}", effect.key),
            None => effect.key.to_string(),
        });
        let how = self.performs.lock().unwrap().pop_front();
        match how.expect("nobody expected a write") {
            Perform::Answer(answer) => answer,
            Perform::TakenOver => {
                let now = Clock::now(self).plus(Span::minutes(2));
                self.go_to(now);
                let other = self.store.claim_effect(&Holder("other".into()), now, now.plus(Span::minutes(2))).await;
                assert!(other.unwrap().is_some_and(|claimed| claimed.was_in_flight));
                Ok(Done { id: None, url: None })
            }
            Perform::Never => std::future::pending().await,
        }
    }

    async fn probe(&self, effect: &Effect, since: Timestamp) -> Result<Option<Done>, GitHubError> {
        self.seen.lock().unwrap().push(format!("{} since {}?", effect.key, since.0));
        self.probes.lock().unwrap().pop_front().expect("nobody expected a look")
    }
}

impl Probes for Script {
    async fn ask(&self, _: &Question) -> Reading {
        unreachable!("no lane of these tests asks outside GitHub")
    }
}

/// Waits for a call of the store, which is ready at once.
pub fn at_once<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the memory store never waits"),
    }
}

/// Lets a process begin something and ends it while it waits.
pub fn cut_short(future: impl Future) {
    let mut future = std::pin::pin!(future);
    assert!(matches!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
}

pub fn holder() -> Holder {
    Holder("this".into())
}

pub fn pull(number: u64) -> Subject {
    Subject::PullRequest { repo: RepoName::parse("acme/shop").unwrap(), number: PullNumber(number) }
}

pub fn repository() -> Subject {
    Subject::Repository { repo: RepoName::parse("acme/shop").unwrap() }
}

pub fn at_seconds(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1_000)
}

pub fn wait(seconds: u64) -> GitHubError {
    GitHubError::Wait { what: "it".into(), wait: Span::seconds(seconds) }
}

pub fn unavailable() -> GitHubError {
    GitHubError::Unavailable { what: "it".into(), message: "502".into() }
}

pub fn uncertain() -> GitHubError {
    GitHubError::Uncertain { what: "it".into(), message: "no answer".into() }
}

pub fn refused() -> GitHubError {
    GitHubError::Refused { what: "it".into(), status: 422, message: "Spammed".into() }
}

pub fn gone() -> GitHubError {
    GitHubError::Gone { what: "it".into(), message: "Not Found".into() }
}
