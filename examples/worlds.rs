//! Plays as many simulated worlds as wanted: `cargo run --release --example worlds -- --seeds 10000 --from 1`.
//!
//! Prints each seed that broke a rule, and at last how many worlds there were, what happened in them, how long it took
//! and which seeds broke a rule; ends with 1 when any did. How far it is comes every half minute, apart, on standard
//! error. One world step by step: `--seed 7 --trace`. Without faults: `--calm`. Without large worlds: `--short`.

#[path = "../tests/it/simulation/mod.rs"]
#[allow(dead_code)]
mod simulation;

use simulation::scene::Size;
use simulation::world::Outcome;
use simulation::{Sabotage, Wish, play};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A world is mostly allocations; with this they take a quarter of the time less than with the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often it is said how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(30);
/// How many broken seeds are named at the end.
const NAMED_MAX: usize = 50;

struct Arguments {
    from: u64,
    seeds: u64,
    wish: Wish,
}

/// Every weakness that can be built in.
const SABOTAGES: [Sabotage; 15] = [
    Sabotage::NoProbe,
    Sabotage::NoSettle,
    Sabotage::NoMark,
    Sabotage::NoWake,
    Sabotage::NoSweep,
    Sabotage::AnybodyApproves,
    Sabotage::NoHold,
    Sabotage::NoShow,
    Sabotage::LaterStepsFree,
    Sabotage::NoExpiry,
    Sabotage::VerifyPasses,
    Sabotage::RevertIgnored,
    Sabotage::NeverBehind,
    Sabotage::ReportUnchecked,
    Sabotage::SelfReview,
];

fn arguments() -> Result<Arguments, String> {
    let mut found = Arguments { from: 0, seeds: 1_000, wish: Wish::default() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|text| text.parse().ok()).ok_or(format!("{word} lacks a number"));
        match word.as_str() {
            "--from" => found.from = number()?,
            "--seeds" => found.seeds = number()?,
            "--seed" => (found.from, found.seeds) = (number()?, 1),
            "--trace" => found.wish.trace = true,
            "--short" => found.wish.short = true,
            "--calm" => found.wish.calm = true,
            "--sabotage" => {
                let name = words.next().unwrap_or_default();
                let all = SABOTAGES.into_iter().find(|sabotage| format!("{sabotage:?}") == name);
                found.wish.sabotage = Some(all.ok_or(format!("one of {:?}", SABOTAGES))?);
            }
            _ => {
                let known = "--seeds N --from S, --seed N, --trace, --short, --calm, --sabotage NAME";
                return Err(format!("{word} is not known; there are {known}"));
            }
        }
    }
    Ok(found)
}

/// What happened in all worlds together.
struct Tally {
    started: Instant,
    said: Instant,
    worlds: u64,
    large: u64,
    steps: u64,
    turns: u64,
    effects: u64,
    crashes: u64,
    runs: u64,
    broken: Vec<u64>,
}

impl Tally {
    fn new(now: Instant) -> Self {
        let broken = Vec::new();
        let [worlds, large, steps, turns, effects, crashes, runs] = [0; 7];
        Self { started: now, said: now, worlds, large, steps, turns, effects, crashes, runs, broken }
    }

    fn add(&mut self, seed: u64, outcome: &Outcome) {
        self.worlds += 1;
        self.large += u64::from(outcome.size == Size::Large);
        self.steps += outcome.steps;
        self.turns += outcome.turns;
        self.effects += outcome.effects;
        self.crashes += outcome.crashes;
        self.runs += outcome.runs as u64;
        if let Some(rule) = &outcome.broken {
            self.broken.push(seed);
            println!("seed {seed}: {}\n    {}", rule.invariant, rule.story);
            println!("    again: cargo run --release --example worlds -- --seed {seed} --trace");
        }
    }

    fn is_time_to_say(&mut self, now: Instant) -> bool {
        let due = now - self.said >= PROGRESS_EVERY;
        if due {
            self.said = now;
        }
        due
    }

    fn summary(&self) -> String {
        let seconds = self.started.elapsed().as_secs_f64();
        let rate = self.worlds as f64 / seconds.max(0.001);
        format!(
            "worlds {} ({} large), steps {}, turns {}, effects {}, runs {}, crashes {}, in {seconds:.1} s ({rate:.0} worlds/s), broken {}",
            self.worlds,
            self.large,
            self.steps,
            self.turns,
            self.effects,
            self.runs,
            self.crashes,
            self.broken.len()
        )
    }
}

fn main() -> ExitCode {
    let Arguments { from, seeds, wish } = match arguments() {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(2);
        }
    };
    let next = AtomicU64::new(from);
    let tally = Mutex::new(Tally::new(Instant::now()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds {
                        return;
                    }
                    let outcome = play(Wish { seed, ..wish });
                    if wish.trace {
                        println!("{outcome:?}");
                    }
                    let mut tally = tally.lock().expect("no world panics");
                    tally.add(seed, &outcome);
                    if tally.is_time_to_say(Instant::now()) {
                        eprintln!("{}", tally.summary());
                    }
                }
            });
        }
    });
    let mut tally = tally.into_inner().expect("no world panics");
    println!("{}", tally.summary());
    if tally.broken.is_empty() {
        return ExitCode::SUCCESS;
    }
    tally.broken.sort_unstable();
    println!("broken seeds: {:?}", &tally.broken[..tally.broken.len().min(NAMED_MAX)]);
    ExitCode::FAILURE
}
