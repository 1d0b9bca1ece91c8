//! Worlds in which everything goes wrong that may, played from a seed.
//!
//! A world is the real engine (`inbox::sort`, `step::turn`, `outbox::perform`) on the memory store, the real reading
//! of deliveries, and the sandbox's model as GitHub. Its clock stands still until everything that can happen has
//! happened; what happens next is drawn from the seed. Deliveries are lost, doubled, late and out of order; requests
//! fail before, after and much later than they are sent; processes end at any edge; two instances share one store;
//! people press buttons twice. Then the sky clears, the world comes to rest, and must be as if nothing had happened.
//!
//! One world again, step by step: `cargo run --example worlds -- --seed 7 --trace`.

pub mod acts;
pub mod answers;
pub mod chance;
pub mod direct;
pub mod hands;
pub mod health;
pub mod invariants;
pub mod people;
pub mod policy;
pub mod replay;
pub mod rest;
pub mod sabotage;
pub mod scene;
pub mod words;
pub mod world;

pub use scene::Sabotage;
pub use world::{Wish, play};

/// When every world begins: 2026-01-05T09:00:00Z, in milliseconds.
pub const START: i64 = 1_767_603_600_000;

#[cfg(test)]
mod tests {
    use super::scene::Broken;
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Plays seeds, two at a time, and tells of those that broke a rule.
    fn broken(seeds: std::ops::Range<u64>, wish: Wish) -> Vec<(u64, Broken)> {
        let next = AtomicU64::new(seeds.start);
        let found = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= seeds.end {
                            return;
                        }
                        if let Some(broken) = play(Wish { seed, ..wish }).broken {
                            found.lock().expect("no world panics").push((seed, broken));
                        }
                    }
                });
            }
        });
        found.into_inner().expect("no world panics")
    }

    #[test]
    fn calm_worlds_break_no_rule() {
        assert_eq!(broken(0..40, Wish { calm: true, ..Wish::default() }), []);
    }

    #[test]
    fn a_thousand_stormy_worlds_break_no_rule() {
        assert_eq!(broken(0..1_000, Wish { short: true, ..Wish::default() }), []);
    }

    #[test]
    fn the_same_seed_plays_the_same_world() {
        let play = || {
            let outcome = play(Wish { seed: 7, ..Wish::default() });
            (outcome.size, outcome.steps, outcome.turns, outcome.effects, outcome.crashes, outcome.runs)
        };
        assert_eq!(play(), play());
    }

    /// Plays worlds with a weakness until one breaks the rule that should notice it.
    fn noticed(sabotage: Sabotage, short: bool, invariant: &str) {
        let mut others = Vec::new();
        for seed in 0..1_000 {
            match play(Wish { seed, short, sabotage: Some(sabotage), ..Wish::default() }).broken {
                Some(broken) if broken.invariant == invariant => return,
                Some(broken) => others.push(broken.invariant),
                None => {}
            }
        }
        panic!("nobody noticed {sabotage:?} by `{invariant}`, but {others:?}");
    }

    #[test]
    fn without_probes_something_happens_twice() {
        noticed(Sabotage::NoProbe, true, invariants::KEYS_ONCE);
    }

    #[test]
    fn without_settling_something_happens_twice() {
        noticed(Sabotage::NoSettle, true, invariants::KEYS_ONCE);
    }

    #[test]
    fn without_the_mark_in_flight_something_happens_twice() {
        noticed(Sabotage::NoMark, true, invariants::KEYS_ONCE);
    }

    #[test]
    fn without_waking_a_release_never_ends() {
        noticed(Sabotage::NoWake, true, invariants::EVERY_RELEASE_ENDS);
    }

    #[test]
    fn without_the_sweep_lost_deliveries_stay_lost() {
        noticed(Sabotage::NoSweep, true, invariants::WE_KNOW_GITHUB);
    }

    #[test]
    fn approvals_by_anybody_are_noticed() {
        noticed(Sabotage::AnybodyApproves, false, invariants::FOUR_EYES);
    }

    #[test]
    fn forgotten_holds_are_noticed() {
        noticed(Sabotage::NoHold, false, invariants::PEOPLE_END_HOLDS);
    }

    #[test]
    fn gates_that_are_forgotten_after_the_first_step_are_noticed() {
        noticed(Sabotage::LaterStepsFree, false, invariants::NOTHING_STARTS_HELD);
    }

    #[test]
    fn blocks_whose_end_wakes_nobody_are_noticed() {
        noticed(Sabotage::NoExpiry, true, invariants::BLOCKS_END);
    }

    #[test]
    fn verification_that_always_passes_is_noticed() {
        noticed(Sabotage::VerifyPasses, true, invariants::VERIFIED);
    }

    #[test]
    fn reverts_that_are_forgotten_are_noticed() {
        noticed(Sabotage::RevertIgnored, false, invariants::REVERTED_STAYS);
    }

    #[test]
    fn commits_that_are_called_a_part_of_none_are_noticed() {
        noticed(Sabotage::NeverBehind, false, invariants::NOT_BACKWARDS);
    }

    #[test]
    fn reports_of_anybody_are_noticed() {
        noticed(Sabotage::ReportUnchecked, true, invariants::REPORTS_MATCH);
    }

    #[test]
    fn overrides_that_review_themselves_are_noticed() {
        noticed(Sabotage::SelfReview, true, invariants::OVERRIDE_REVIEWED);
    }

    #[test]
    fn publishes_that_never_happen_are_noticed() {
        noticed(Sabotage::NoShow, true, invariants::WHAT_IS_SHOWN);
    }
}
