//! One seed, one world: the order in which everything happens, drawn and played by hand.
//!
//! Nothing here waits: futures are polled when the world's clock is where they want it, and never otherwise.

use super::chance::Chance;
use super::hands::{Hands, at_once};
use super::scene::{Broken, Record, Sabotage, Scene, Shared, Size, Weather};
use super::{START, acts, answers, direct, invariants, people};
use bytes::Bytes;
use plimsoll::domain::ids::*;
use plimsoll::domain::policy::POLICY_PATH;
use plimsoll::engine::lanes::Lanes;
use plimsoll::engine::ports::*;
use plimsoll::engine::step::{Turn, turn};
use plimsoll::engine::{inbox, outbox};
use plimsoll::store::MemoryStore;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// Steps after which a world is said to go round in circles.
const STEPS_MAX: u64 = 60_000;
/// One world in so many is large.
const LARGE_ONE_IN: usize = 10;
/// Longer than any `rollback.within` that is drawn, in milliseconds.
const LONG_BREAK: i64 = 62 * 60_000;
/// How long a world may take to come to rest after the faults ended.
const REST_WITHIN: i64 = 12 * 3_600_000;

/// What is played.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    pub seed: u64,
    /// No large worlds.
    pub short: bool,
    /// No faults, one instance.
    pub calm: bool,
    pub sabotage: Option<Sabotage>,
    /// Prints every step.
    pub trace: bool,
}

/// How a world ended.
#[derive(Debug)]
pub struct Outcome {
    pub broken: Option<Broken>,
    pub size: Size,
    pub steps: u64,
    pub turns: u64,
    pub effects: u64,
    pub crashes: u64,
    pub runs: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    Sort,
    Turn,
    Effect,
}

struct Doing {
    future: Pin<Box<dyn Future<Output = Result<bool, StoreError>> + Send>>,
    wake_at: i64,
}

pub(super) struct Worker {
    job: Job,
    doing: Option<Doing>,
    /// At which number of changes and at what time it found nothing to do.
    idle: Option<(u64, i64)>,
}

pub(super) struct Instance {
    name: usize,
    life: u32,
    pub(super) skew: i64,
    up_at: i64,
    pub(super) workers: Vec<Worker>,
    /// What this life of it remembers.
    lanes: Arc<Lanes>,
}

impl Worker {
    pub(super) fn is_busy(&self) -> bool {
        self.doing.is_some()
    }
}

/// Something that can happen now.
#[derive(Clone, Copy, Debug)]
enum Next {
    Worker(usize, usize),
    Wire(usize),
    Late(usize),
    Direct(usize),
    Ending(usize),
    Person,
    Tick,
}

pub(super) struct World {
    pub(super) scene: Shared,
    pub(super) store: Arc<MemoryStore>,
    pub(super) instances: Vec<Instance>,
    /// When people do something next; `None`: they went home.
    people_at: Option<i64>,
    /// How much more they do, and how long they wait at most before they go on.
    acts_left: i64,
    pause_ms_max: i64,
    /// When so many acts are left, nobody does anything for long.
    long_break_at: Option<i64>,
    clear_at: i64,
    steps: u64,
}

/// Plays a world to its end.
pub fn play(wish: Wish) -> Outcome {
    let mut world = World::new(wish);
    while world.scene.lock().broken.is_none() && world.step() {}
    let scene = world.scene.lock();
    Outcome {
        broken: scene.broken.clone(),
        size: scene.size,
        steps: world.steps,
        turns: scene.record.turns,
        effects: scene.record.effects,
        crashes: scene.record.crashes,
        runs: scene.model.runs.len(),
    }
}

impl World {
    fn new(wish: Wish) -> Self {
        let mut chance = Chance::new(wish.seed);
        let size = Size::drawn(&mut chance, (!wish.short).then_some(LARGE_ONE_IN));
        let mut model = people::github(&mut chance, size, START);
        let mut clear_at = START + size.of(chance.between(60, 240), chance.between(300, 1_800)) * 1_000;
        let weather = Weather::drawn(&mut chance, size, wish.calm, START, clear_at);
        let acts = size.of(chance.between(5, 14), chance.between(15, 45));
        let pause_ms_max = 3 * (clear_at - START) / acts;
        // Some days are long: what was good in the morning is old in the afternoon.
        let long_break_at = chance.one_in(25).then(|| chance.between(2, acts - 1));
        clear_at += if long_break_at.is_some() { LONG_BREAK } else { 0 };
        let count = if wish.calm || chance.one_in(2) { 1 } else { 2 };
        let skewed = !wish.calm && chance.one_in(4);
        let instances = (0..count).map(|name| Instance {
            name,
            life: 0,
            skew: if skewed { chance.between(-invariants::SKEW_MAX, invariants::SKEW_MAX) } else { 0 },
            up_at: START,
            workers: Vec::new(),
            lanes: Arc::default(),
        });
        let instances: Vec<Instance> = instances.collect();
        model.create_installation("grace", START);
        let scene = Scene {
            now: START,
            chance,
            seed: wish.seed,
            size,
            model,
            weather,
            sabotage: wish.sabotage,
            wire: Vec::new(),
            late: Vec::new(),
            direct: Vec::new(),
            endings: Vec::new(),
            nap: None,
            crash: false,
            changes: 0,
            unsorted: true,
            broken: None,
            record: Record::default(),
            trace: wish.trace,
        };
        scene.tell(|| format!("{:?}", scene.weather));
        scene.tell(|| {
            format!("{size:?}, {acts} acts, {} instances; the sky clears at {}", count, (clear_at - START) / 1_000)
        });
        if let Some(plimsoll::sandbox::history::Entry::File { bytes, .. }) =
            scene.model.history.branch("main").and_then(|tip| scene.model.history.read(&tip, POLICY_PATH))
        {
            scene.tell(|| String::from_utf8_lossy(&bytes).into_owned());
        }
        let mut world = Self {
            scene: Shared::new(scene),
            store: Arc::new(MemoryStore::new()),
            instances,
            people_at: Some(START + 2_000),
            acts_left: acts,
            pause_ms_max,
            long_break_at,
            clear_at,
            steps: 0,
        };
        // The App's installation is the one delivery that nothing else could make up for.
        let events = world.scene.lock().model.take_events();
        for event in events {
            let delivery = delivery(&event, START);
            let _ = at_once(world.store.admit(delivery));
        }
        for at in 0..world.instances.len() {
            world.restart(at);
        }
        world
    }

    fn restart(&mut self, at: usize) {
        let instance = &mut self.instances[at];
        instance.life += 1;
        instance.lanes = Arc::default();
        let worker = |job| Worker { job, doing: None, idle: None };
        instance.workers = [Job::Sort, Job::Turn, Job::Turn, Job::Effect, Job::Effect].map(worker).into();
    }

    /// Lets one thing happen, or the clock go on; false at the end.
    fn step(&mut self) -> bool {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            self.scene.lock().broke(invariants::COMES_TO_REST, format!("{STEPS_MAX} steps and no end"));
            return false;
        }
        self.post();
        let next = self.possible();
        if next.is_empty() {
            return self.clock_goes_on();
        }
        let chosen = {
            let mut scene = self.scene.lock();
            *scene.chance.pick(&next)
        };
        match chosen {
            Next::Worker(instance, worker) => self.work(instance, worker),
            Next::Wire(at) => self.arrives(at),
            Next::Late(at) => {
                let mut scene = self.scene.lock();
                let (_, effect, remote) = scene.late.remove(at);
                let done = acts::done(&mut scene, &effect, remote);
                scene.tell(|| format!("  late: {}: {done:?}", effect.key));
            }
            Next::Direct(at) => direct::arrives(&mut self.scene.lock(), &self.store, at),
            Next::Ending(at) => {
                let mut scene = self.scene.lock();
                let (_, run, conclusion) = scene.endings.remove(at);
                let now = scene.now;
                scene.model.tick(now);
                scene.model.finish_run(run, conclusion, "", now);
                let title = scene.model.runs.get(&run).map(|run| (run.display_title.clone(), run.state.clone()));
                scene.tell(|| format!("run {run} ends: {title:?}"));
            }
            Next::Person => {
                let mut scene = self.scene.lock();
                people::act(&mut scene);
                self.acts_left -= 1;
                let length = if scene.chance.one_in(3) { 5_000 } else { self.pause_ms_max };
                let mut at = scene.now + scene.chance.between(100, length);
                if self.long_break_at == Some(self.acts_left) {
                    at += LONG_BREAK;
                }
                self.people_at = Some(at).filter(|at| self.acts_left > 0 && *at < self.clear_at);
            }
            Next::Tick => {
                let mut scene = self.scene.lock();
                let now = scene.now;
                scene.model.tick(now);
            }
        }
        true
    }

    fn possible(&self) -> Vec<Next> {
        let scene = self.scene.lock();
        let now = scene.now;
        let mut next = Vec::new();
        let due = |at: i64| at <= now;
        next.extend(scene.wire.iter().enumerate().filter(|(_, (at, _))| due(*at)).map(|(i, _)| Next::Wire(i)));
        next.extend(scene.late.iter().enumerate().filter(|(_, (at, ..))| due(*at)).map(|(i, _)| Next::Late(i)));
        next.extend(scene.direct.iter().enumerate().filter(|(_, (at, ..))| due(*at)).map(|(i, _)| Next::Direct(i)));
        next.extend(scene.endings.iter().enumerate().filter(|(_, (at, ..))| due(*at)).map(|(i, _)| Next::Ending(i)));
        if self.people_at.is_some_and(due) {
            next.push(Next::Person);
        }
        if scene.model.next_tick_at().is_some_and(due) {
            next.push(Next::Tick);
        }
        // Polling those that will find nothing costs most of a world's time.
        let first_due = at_once(self.store.next_due(Timestamp(i64::MIN))).ok().flatten();
        for (i, instance) in self.instances.iter().enumerate().filter(|(_, instance)| instance.up_at <= now) {
            let is_due = first_due.is_some_and(|at| at.0 <= now + instance.skew);
            for (w, worker) in instance.workers.iter().enumerate() {
                let ready = match (&worker.doing, worker.job) {
                    (Some(doing), _) => doing.wake_at <= now,
                    (None, Job::Sort) => scene.unsorted,
                    (None, Job::Turn | Job::Effect) => is_due && worker.idle != Some((scene.changes, now)),
                };
                if ready {
                    next.push(Next::Worker(i, w));
                }
            }
        }
        next
    }

    /// Polls a worker, or gives it something to do.
    fn work(&mut self, at: usize, which: usize) {
        let (changes, now) = {
            let mut scene = self.scene.lock();
            scene.nap = None;
            scene.crash = false;
            (scene.changes, scene.now)
        };
        let instance = &mut self.instances[at];
        let worker = &mut instance.workers[which];
        let hands = || Hands {
            scene: self.scene.clone(),
            store: self.store.clone(),
            skew: instance.skew,
            replay: Arc::new(Mutex::default()),
        };
        let holder = || Holder(format!("instance-{}/{}/{which}", instance.name, instance.life));
        let mut doing = worker.doing.take().unwrap_or_else(|| Doing {
            future: begun(worker.job, hands(), instance.lanes.clone(), holder()),
            wake_at: 0,
        });
        match doing.future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(true)) => worker.idle = None,
            Poll::Ready(Ok(false)) => {
                worker.idle = Some((changes, now));
                if worker.job == Job::Sort {
                    self.scene.lock().unsorted = false;
                }
            }
            // The lane was lost to somebody else; the engine claims again.
            Poll::Ready(Err(StoreError::Conflict { .. })) => worker.idle = None,
            Poll::Ready(Err(error @ (StoreError::Unavailable { .. } | StoreError::Corrupt { .. }))) => {
                worker.idle = Some((changes, now));
                self.scene.lock().broke(invariants::NOTHING_IS_LOST, format!("{:?} failed: {error}", worker.job));
            }
            Poll::Pending => {
                let mut scene = self.scene.lock();
                if scene.crash {
                    let long_one_in = scene.size.of(3, 1);
                    let long = scene.chance.one_in(long_one_in);
                    instance.up_at = scene.now + scene.chance.between(100, if long { 90_000 } else { 10_000 });
                    drop(scene);
                    drop(doing);
                    self.restart(at);
                } else if let Some(until) = scene.nap {
                    doing.wake_at = until;
                    worker.doing = Some(doing);
                } else {
                    scene.broke(invariants::COMES_TO_REST, "a future waits for nobody");
                }
            }
        }
    }

    /// What GitHub has to tell goes on its way, or is lost.
    fn post(&mut self) {
        let mut scene = self.scene.lock();
        let scene = &mut *scene;
        answers::keep_versions(scene);
        let groups = scene.model.queue.iter().map(|entry| entry.group.head_sha.clone());
        scene.record.groups.extend(groups);
        if !scene.model.has_events() {
            return;
        }
        for event in scene.model.take_events() {
            let (lost, doubled, delayed) = (scene.weather.lost, scene.weather.doubled, scene.weather.delayed);
            if scene.chance.hits(lost) {
                scene.tell(|| format!("  lost: {} {:?}", event.event, event.action));
                continue;
            }
            let copies = if scene.chance.hits(doubled) { 2 } else { 1 };
            for _ in 0..copies {
                let some = if scene.chance.one_in(scene.size.of(2, 1)) { 20 * 60_000 } else { 60_000 };
                let late = if scene.chance.hits(delayed) { some } else { 1_500 };
                let at = scene.now + scene.chance.between(50, late);
                scene.wire.push((at, delivery(&event, at)));
            }
        }
    }

    /// A delivery is at the door; with nobody there it is lost, as GitHub does not come again.
    fn arrives(&mut self, at: usize) {
        let mut scene = self.scene.lock();
        let (_, mut delivery) = scene.wire.remove(at);
        let now = scene.now;
        let up = self.instances.iter().any(|instance| instance.up_at <= now);
        if !up {
            scene.tell(|| format!("  nobody is there for {} {}", delivery.event, delivery.id));
            return;
        }
        delivery.received_at = Timestamp(now);
        if scene.weather.doubled > 0 && scene.chance.hits(30) {
            // A test tool's: the same GUID over other bytes.
            let other = NewDelivery { body: Bytes::from_static(b"{}"), ..delivery.clone() };
            let _ = at_once(self.store.admit(delivery));
            if at_once(self.store.admit(other)) == Ok(Admitted::Parked) {
                scene.record.unreadable += 1;
            }
        } else if scene.weather.doubled > 0 && scene.chance.hits(30) {
            let broken = DeliveryId::new(format!("{}-cut", delivery.id));
            let cut = NewDelivery { id: broken, body: delivery.body.slice(..20.min(delivery.body.len())), ..delivery };
            // Its other copy may have been cut too.
            if at_once(self.store.admit(cut)) == Ok(Admitted::Stored) {
                scene.record.unreadable += 1;
            }
        } else {
            let _ = at_once(self.store.admit(delivery));
        }
        scene.changes += 1;
        scene.unsorted = true;
    }

    /// Moves the clock to what comes next; false when the world is at rest, or will never be.
    fn clock_goes_on(&mut self) -> bool {
        let now = self.scene.lock().now;
        if now > self.clear_at + 35 * 60_000 && self.is_at_rest(now) {
            return false;
        }
        let mut scene = self.scene.lock();
        let mut times: Vec<i64> = Vec::new();
        times.extend(scene.wire.iter().map(|(at, _)| *at));
        times.extend(scene.late.iter().map(|(at, ..)| *at));
        times.extend(scene.direct.iter().map(|(at, ..)| *at));
        times.extend(scene.endings.iter().map(|(at, ..)| *at));
        times.extend(self.people_at);
        times.extend(scene.model.next_tick_at());
        if now < self.clear_at {
            times.push(self.clear_at);
        }
        for instance in &self.instances {
            times.push(instance.up_at);
            let asked_at = Timestamp(now.max(instance.up_at) + instance.skew);
            let due = at_once(self.store.next_due(asked_at)).ok().flatten();
            times.extend(due.map(|at| at.0 - instance.skew));
            times.extend(instance.workers.iter().filter_map(|w| w.doing.as_ref()).map(|doing| doing.wake_at));
        }
        let Some(next) = times.into_iter().filter(|at| *at > now).min() else {
            drop(scene);
            self.judge();
            self.scene.lock().broke(invariants::COMES_TO_REST, "nothing will ever happen again, not even a sweep");
            return false;
        };
        if next > self.clear_at + REST_WITHIN {
            let counts = at_once(self.store.counts(Timestamp(now)));
            scene.broke(invariants::COMES_TO_REST, format!("not at rest within twelve hours: {counts:?}"));
            return false;
        }
        scene.now = next;
        if next >= self.clear_at && now < self.clear_at {
            scene.weather.clear();
            scene.tell(|| "the sky clears".to_owned());
        }
        true
    }
}

fn delivery(event: &plimsoll::sandbox::model::OutgoingEvent, at: i64) -> NewDelivery {
    NewDelivery {
        id: DeliveryId::new(event.guid.as_str()),
        event: event.event.clone(),
        body: Bytes::from(serde_json::to_vec(&*event.payload).unwrap_or_default()),
        received_at: Timestamp(at),
    }
}

/// Begins a piece of work; it says whether there was any.
fn begun(
    job: Job,
    hands: Hands,
    lanes: Arc<Lanes>,
    holder: Holder,
) -> Pin<Box<dyn Future<Output = Result<bool, StoreError>> + Send>> {
    match job {
        Job::Sort => Box::pin(async move { Ok(inbox::sort(&hands, &hands, &hands).await? > 0) }),
        Job::Turn => {
            Box::pin(async move { Ok(turn((&hands, &lanes), &hands, &hands, &hands, &holder).await? != Turn::Idle) })
        }
        Job::Effect => {
            Box::pin(async move { Ok(outbox::perform(&hands, &hands, &hands, &holder).await? != outbox::Sent::Idle) })
        }
    }
}
