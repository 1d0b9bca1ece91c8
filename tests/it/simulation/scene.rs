//! What a world is made of: its time, its chance, its GitHub, its weather, and what is on its way.
//!
//! Knows nothing of the engine. Everything here is shared by the hands of all instances, one at a time.

use super::chance::{Chance, mixed};
use plimsoll::domain::effect::Effect;
use plimsoll::domain::event::{Event, Report};
use plimsoll::domain::facts::PullSnapshot;
use plimsoll::domain::ids::*;
use plimsoll::domain::release::PipelineState;
use plimsoll::engine::ports::NewDelivery;
use plimsoll::sandbox::model::Model;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much there is of a world. What can happen is the same in each: a small one is the same day with fewer people's
/// acts in it, and less waiting. Most worlds are small, as what is found is found more often for the same work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    Small,
    Large,
}

impl Size {
    /// Draws a size; what is not large is small.
    pub fn drawn(chance: &mut Chance, large_one_in: Option<usize>) -> Self {
        match large_one_in {
            Some(n) if chance.one_in(n) => Self::Large,
            Some(_) | None => Self::Small,
        }
    }

    /// The one for small worlds, or the one for large worlds.
    pub fn of<T>(self, small: T, large: T) -> T {
        match self {
            Self::Small => small,
            Self::Large => large,
        }
    }
}

/// How often what goes wrong, in 10,000. Each world has its own weather, with some faults left out altogether.
#[derive(Clone, Debug, Default)]
pub struct Weather {
    /// A delivery never arrives.
    pub lost: u32,
    /// It arrives twice.
    pub doubled: u32,
    /// It arrives up to twenty minutes late.
    pub delayed: u32,
    /// GitHub answers 5xx, and nothing happened.
    pub unavailable: u32,
    /// GitHub asks to wait.
    pub wait: u32,
    /// GitHub refuses an act or a publish.
    pub refused: u32,
    /// No answer, and nothing happened.
    pub lost_request: u32,
    /// No answer, and it happened, now or a little later.
    pub lost_answer: u32,
    /// The process ends at an edge.
    pub crash: u32,
    /// Something takes its time, and others go on meanwhile.
    pub nap: u32,
    /// A dispatch is answered without the run's number.
    pub no_details: u32,
    /// A run never ends by itself.
    pub hanging: u32,
    /// A run fails.
    pub failing: u32,
    /// How late GitHub's lists may be, in milliseconds.
    pub lag_ms_max: i64,
    /// Times at which GitHub answers nothing at all.
    pub outages: Vec<(i64, i64)>,
}

impl Weather {
    /// Draws a weather for the time until `clear_at`; `calm` has slow and failing runs, but no faults.
    pub fn drawn(chance: &mut Chance, size: Size, calm: bool, start: i64, clear_at: i64) -> Self {
        let mut rate = |some: u32, many: u32| *chance.pick(&[0, some, some, many]);
        let mut weather = Self {
            lost: rate(500, 4_000),
            doubled: rate(500, 3_000),
            delayed: rate(500, 3_000),
            unavailable: rate(200, 1_500),
            wait: rate(100, 600),
            refused: rate(0, 150),
            lost_request: rate(200, 1_500),
            lost_answer: rate(400, 3_000),
            crash: rate(15, 100),
            nap: rate(200, 1_000),
            no_details: rate(1_000, 10_000),
            hanging: rate(300, 800),
            failing: rate(800, 2_500),
            lag_ms_max: *chance.pick(&[0, 5_000, 30_000]),
            outages: Vec::new(),
        };
        if chance.one_in(3) {
            let from = start + chance.between(0, clear_at - start);
            weather.outages.push((from, from + chance.between(20_000, size.of(2, 8) * 60_000)));
        }
        if calm {
            let Self { hanging, failing, no_details, .. } = weather;
            weather = Self { hanging, failing, no_details, ..Self::default() };
        }
        weather
    }

    /// The sky clears: nothing goes wrong any more. Runs still end as they will.
    pub fn clear(&mut self) {
        let Self { hanging, failing, no_details, lag_ms_max, .. } = *self;
        *self = Self { hanging, failing, no_details, lag_ms_max, ..Self::default() };
    }

    pub fn is_outage(&self, now: i64) -> bool {
        self.outages.iter().any(|(from, to)| (*from..*to).contains(&now))
    }
}

/// A weakness that is built in on purpose, to see that the invariants notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Nobody looks whether an effect stands already.
    NoProbe,
    /// An uncertain try is not given time to appear in GitHub's lists.
    NoSettle,
    /// That an effect was in flight is forgotten.
    NoMark,
    /// `wake_at` is dropped.
    NoWake,
    /// The sweep finds nothing.
    NoSweep,
    /// GitHub calls everybody a member of every team.
    AnybodyApproves,
    /// Holds are forgotten.
    NoHold,
    /// Publishes are said to stand, and do not.
    NoShow,
    /// Gates are judged for the first step of a rollout only.
    LaterStepsFree,
    /// Nothing wakes a pipeline when a block ends.
    NoExpiry,
    /// Every answer to a verification counts as enough good ones.
    VerifyPasses,
    /// What was reverted is forgotten.
    RevertIgnored,
    /// GitHub calls no commit a part of another.
    NeverBehind,
    /// Whose run reports is not looked at.
    ReportUnchecked,
    /// Whoever overrides a gate reviews it as well.
    SelfReview,
}

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub invariant: &'static str,
    pub story: String,
}

/// An act that reached GitHub, as GitHub saw it.
#[derive(Clone, Debug)]
pub struct Landing {
    pub at: i64,
    pub service: ServiceName,
    pub release: ReleaseNumber,
    pub environment: EnvironmentName,
    /// From 1; `None`: the deployment.
    pub step: Option<u64>,
    pub sha: String,
    /// Number of the run or deployment.
    pub id: u64,
}

/// A button that somebody pressed.
#[derive(Clone, Debug)]
pub struct Press {
    pub by: Login,
    pub service: ServiceName,
    pub action: String,
    /// The commit of the check run that it stood on.
    pub head_sha: Sha,
}

/// A report that was sent.
#[derive(Clone, Debug)]
pub struct SentReport {
    pub at: i64,
    pub service: ServiceName,
    pub report: Report,
    /// The run itself sent it.
    pub genuine: bool,
}

/// Which release, where.
pub type Place = (ServiceName, ReleaseNumber, EnvironmentName);

/// What a verification of a step heard, by the world's own judgement.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// When it was last asked.
    pub at: Option<Timestamp>,
    /// Good answers in a row, and bad ones in all.
    pub good: u32,
    pub bad: u32,
}

/// What happened, for the invariants.
#[derive(Debug, Default)]
pub struct Record {
    pub presses: Vec<Press>,
    pub reports: Vec<SentReport>,
    /// Commits of merge groups.
    pub groups: BTreeSet<String>,
    /// Issues that people closed: key, who, when.
    pub closed: Vec<(String, Login, i64)>,
    /// By place, step (from 0) and verification (from 0).
    pub heard: BTreeMap<(Place, usize, usize), Heard>,
    /// Releases that were verified in an environment, or that a person took as good.
    pub verified: BTreeSet<Place>,
    /// How many approvals a release needed when it started.
    pub wanted: BTreeMap<Place, usize>,
    /// Which pull requests a release took back, as far as was known when it started.
    pub taken_back: BTreeMap<Place, BTreeSet<u64>>,
    /// How long a step (from 0) had to bake when it began to.
    pub bakes: BTreeMap<(Place, usize), Span>,
    pub landings: Vec<Landing>,
    /// Publishes that GitHub refused: target and generation.
    pub refused: BTreeMap<String, u64>,
    /// Acts that GitHub refused, by key.
    pub refused_acts: BTreeSet<String>,
    /// Comments of people as they were written, and those that were edited since.
    pub written: BTreeMap<u64, String>,
    pub edited: BTreeSet<u64>,
    /// Every version of each pull request, with when it came to be.
    pub versions: BTreeMap<u64, Vec<(i64, PullSnapshot)>>,
    /// The pipelines as they were last committed.
    pub pipelines: BTreeMap<ServiceName, Box<PipelineState>>,
    /// As they were written.
    pub written_pipelines: BTreeMap<ServiceName, Vec<u8>>,
    /// When a release began to wait in an environment, by the instance's clock.
    pub waiting_since: BTreeMap<Place, Timestamp>,
    /// Deliveries that nobody can read.
    pub unreadable: u64,
    pub turns: u64,
    pub effects: u64,
    pub crashes: u64,
}

/// The world, without its engine.
pub struct Scene {
    pub now: i64,
    pub chance: Chance,
    pub seed: u64,
    pub size: Size,
    pub model: Model,
    pub weather: Weather,
    pub sabotage: Option<Sabotage>,
    /// Deliveries on their way, with when they arrive.
    pub wire: Vec<(i64, NewDelivery)>,
    /// Requests whose sender gave up on them, with when they arrive.
    pub late: Vec<(i64, Effect, Option<u64>)>,
    /// Events for lanes on their way, with when they arrive.
    pub direct: Vec<(i64, Subject, Event)>,
    /// Runs that will end, with when and how.
    pub endings: Vec<(i64, u64, &'static str)>,
    /// Until when the future that was polled last wants to sleep.
    pub nap: Option<i64>,
    /// The instance that was polled last ended.
    pub crash: bool,
    /// Counts writes to the store, so that idle workers know when to look again.
    pub changes: u64,
    /// Deliveries may wait to be sorted.
    pub unsorted: bool,
    pub broken: Option<Broken>,
    pub record: Record,
    pub trace: bool,
}

impl Scene {
    /// Writes down the first rule that was broken.
    pub fn broke(&mut self, invariant: &'static str, story: impl Into<String>) {
        let story = story.into();
        self.tell(|| format!("BROKEN {invariant}: {story}"));
        self.broken.get_or_insert(Broken { invariant, story });
    }

    pub fn tell(&self, line: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>9.3} {}", (self.now - super::START) as f64 / 1_000.0, line());
        }
    }

    /// How late this version of something is listed.
    pub fn lag(&self, id: u64, version: i64) -> i64 {
        let drawn = mixed(self.seed ^ mixed(id) ^ mixed(version as u64).rotate_left(17));
        (drawn % (self.weather.lag_ms_max + 1) as u64) as i64
    }
}

/// The world as all share it.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<Scene>>);

impl Shared {
    pub fn new(scene: Scene) -> Self {
        Self(Arc::new(Mutex::new(scene)))
    }

    pub fn lock(&self) -> MutexGuard<'_, Scene> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
