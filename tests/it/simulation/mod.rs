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
pub mod hands;
pub mod invariants;
pub mod people;
pub mod replay;
pub mod scene;
pub mod world;

pub use scene::Sabotage;
pub use world::{Wish, play};

/// When every world begins: 2026-01-05T09:00:00Z, in milliseconds.
pub const START: i64 = 1_767_603_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays seeds and tells of those that broke a rule.
    fn broken(seeds: std::ops::Range<u64>, calm: bool) -> Vec<String> {
        let play = |seed| (seed, play(Wish { seed, calm, ..Wish::default() }).broken);
        let tell = |(seed, broken): (u64, Option<scene::Broken>)| {
            broken.map(|broken| format!("seed {seed}: {}: {}", broken.invariant, broken.story))
        };
        seeds.map(play).filter_map(tell).collect()
    }

    #[test]
    fn calm_worlds_break_no_rule() {
        assert_eq!(broken(0..50, true), Vec::<String>::new());
    }

    #[test]
    fn stormy_worlds_break_no_rule() {
        assert_eq!(broken(0..20, false), Vec::<String>::new());
    }
}
