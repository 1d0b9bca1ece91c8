//! Plays as many simulated worlds as wanted: `cargo run --release --example worlds -- --seeds 10000 --from 1`.
//!
//! Prints each seed that broke a rule, and at last `worlds N steps M broken B`; ends with 1 when any did. One world
//! step by step: `--seed 7 --trace`. Without faults: `--calm`.

#[path = "../tests/it/simulation/mod.rs"]
#[allow(dead_code)]
mod simulation;

use simulation::{Sabotage, Wish, play};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many worlds are played at the same time.
const THREADS: usize = 2;

struct Arguments {
    from: u64,
    seeds: u64,
    wish: Wish,
}

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
            _ => return Err(format!("{word} is not known; there are --seeds N --from S, --seed N, --trace, --calm")),
        }
    }
    Ok(found)
}

/// Every weakness that a world can be given.
const SABOTAGES: [Sabotage; 8] = [
    Sabotage::NoProbe,
    Sabotage::NoSettle,
    Sabotage::NoMark,
    Sabotage::NoWake,
    Sabotage::NoSweep,
    Sabotage::AnybodyApproves,
    Sabotage::NoHold,
    Sabotage::NoShow,
];

fn main() -> ExitCode {
    let Arguments { from, seeds, wish } = match arguments() {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(2);
        }
    };
    let (next, steps, broken) = (AtomicU64::new(from), AtomicU64::new(0), AtomicU64::new(0));
    let started = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds {
                        return;
                    }
                    let outcome = play(Wish { seed, ..wish });
                    steps.fetch_add(outcome.steps, Ordering::Relaxed);
                    if wish.trace {
                        println!("{outcome:?}");
                    }
                    if let Some(rule) = outcome.broken {
                        broken.fetch_add(1, Ordering::Relaxed);
                        println!("seed {seed}: {}\n    {}", rule.invariant, rule.story);
                        println!("    again: cargo run --release --example worlds -- --seed {seed} --trace");
                    }
                }
            });
        }
    });
    let broken = broken.into_inner();
    let each = started.elapsed().as_secs_f64() * 1_000.0 / seeds.max(1) as f64;
    println!("{each:.2} ms a world");
    println!("worlds {seeds} steps {} broken {broken}", steps.into_inner());
    if broken > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
