//! How well probabilities did, once the outcomes are known.
//!
//! Knows probabilities, outcomes and lines. Must never know which model or which changes they are of.
//!
//! | figure | definition |
//! | --- | --- |
//! | `auc` | Area under the receiver operating characteristic: how often a bad change has the higher probability of a bad and a good one, a tie counting half (Hanley and McNeil, *Radiology* 143(1), 1982) |
//! | `pr_auc` | Average precision: the sum over the distinct probabilities, falling, of precision times the gain in recall (Davis and Goadrich, ICML 2006; without interpolation) |
//! | `brier` | Mean of `(p - outcome)^2` (Brier, *Monthly Weather Review* 78(1), 1950) |
//! | `ece` | Expected calibration error: over 15 bins of as many changes each, by rising probability, the mean of the distances between mean probability and share of bad changes (Naeini et al., AAAI 2015; Nguyen and O'Connor, EMNLP 2015) |
//! | `recall_at_20_effort` | Share of the bad changes found by looking at a fifth of all changed lines, the most probable for each line first (Kamei et al., IEEE TSE 39(6), 2013) |
//!
//! Intervals are percentiles of a bootstrap (Efron, *Annals of Statistics* 7(1), 1979): changes are drawn with
//! replacement from a stated seed.

use super::draw::Draw;
use serde::Serialize;

/// Seed of the bootstrap.
pub const SEED: u64 = 20_261_128;
/// Times that changes are drawn.
pub const DRAWS: usize = 400;
/// Bins of the calibration error.
const BINS: usize = 15;
/// Share of the changed lines that one looks at.
const EFFORT: f64 = 0.2;

/// A probability and what came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    pub probability: f64,
    pub bad: bool,
    /// Lines added and deleted; one that changes none still costs a look, as one line does.
    pub lines: u64,
}

/// The five figures; `None` where one cannot be had: without any change, or without a bad and a good one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figures<T> {
    pub auc: T,
    pub pr_auc: T,
    pub brier: T,
    pub ece: T,
    pub recall_at_20_effort: T,
}

/// Figures, each with where 95 of a hundred bootstrap draws lie.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    pub n: usize,
    pub figures: Figures<Option<f64>>,
    pub intervals: Figures<Option<[f64; 2]>>,
}

/// Scores probabilities. The same ones always have the same scores.
pub fn score(changes: &[Scored]) -> Scores {
    let orders = Orders::of(changes);
    let once = vec![1; changes.len()];
    let figures = orders.figures(changes, &once);
    let mut drawn: Figures<Vec<f64>> = Figures::default();
    let mut draw = Draw::seeded(SEED);
    for _ in 0..DRAWS {
        let mut times = vec![0; changes.len()];
        for _ in 0..changes.len() {
            let i = usize::try_from(draw.below(changes.len() as u64)).unwrap_or(0);
            times[i] += 1;
        }
        let one = orders.figures(changes, &times);
        drawn.auc.extend(one.auc);
        drawn.pr_auc.extend(one.pr_auc);
        drawn.brier.extend(one.brier);
        drawn.ece.extend(one.ece);
        drawn.recall_at_20_effort.extend(one.recall_at_20_effort);
    }
    let intervals = Figures {
        auc: middle(drawn.auc),
        pr_auc: middle(drawn.pr_auc),
        brier: middle(drawn.brier),
        ece: middle(drawn.ece),
        recall_at_20_effort: middle(drawn.recall_at_20_effort),
    };
    Scores { n: changes.len(), figures, intervals }
}

/// Where the middle 95 of a hundred lie.
fn middle(mut values: Vec<f64>) -> Option<[f64; 2]> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let at = |share: f64| values.get((share * last as f64).round() as usize).copied();
    Some([at(0.025)?, at(0.975)?])
}

/// The changes in the orders that the figures need, made once for all draws.
struct Orders {
    /// By rising probability; equal ones in their own order.
    rising: Vec<usize>,
    /// By falling probability for each line.
    densest: Vec<usize>,
}

impl Orders {
    fn of(changes: &[Scored]) -> Self {
        let mut rising: Vec<usize> = (0..changes.len()).collect();
        rising.sort_by(|a, b| changes[*a].probability.total_cmp(&changes[*b].probability));
        let density = |i: usize| changes[i].probability / effort(&changes[i]);
        let mut densest: Vec<usize> = (0..changes.len()).collect();
        densest.sort_by(|a, b| density(*b).total_cmp(&density(*a)));
        Self { rising, densest }
    }

    /// The figures when each change is there so many times.
    fn figures(&self, changes: &[Scored], times: &[u32]) -> Figures<Option<f64>> {
        let count = |bad: bool| -> f64 {
            changes.iter().zip(times).filter(|(change, _)| change.bad == bad).map(|(_, n)| f64::from(*n)).sum()
        };
        let (bad, good) = (count(true), count(false));
        let (some, both) = (bad + good > 0.0, bad > 0.0 && good > 0.0);
        Figures {
            auc: both.then(|| self.auc(changes, times) / (bad * good)),
            pr_auc: both.then(|| self.average_precision(changes, times) / bad),
            brier: some.then(|| brier(changes, times) / (bad + good)),
            ece: some.then(|| self.ece(changes, times) / (bad + good)),
            recall_at_20_effort: both.then(|| self.found(changes, times) / bad),
        }
    }

    /// Runs of equal probability, rising: how many bad and good ones each has.
    fn ties<'a>(&'a self, changes: &'a [Scored], times: &'a [u32]) -> Vec<(f64, f64)> {
        let runs = self.rising.chunk_by(|a, b| changes[*a].probability == changes[*b].probability);
        runs.map(|run| {
            run.iter().fold((0.0, 0.0), |(bad, good), i| {
                let n = f64::from(times[*i]);
                if changes[*i].bad { (bad + n, good) } else { (bad, good + n) }
            })
        })
        .collect()
    }

    /// Pairs of a bad and a good change in which the bad one is ahead; ties half.
    fn auc(&self, changes: &[Scored], times: &[u32]) -> f64 {
        let mut below = 0.0;
        let mut ahead = 0.0;
        for (bad, good) in self.ties(changes, times) {
            ahead += bad * (below + good / 2.0);
            below += good;
        }
        ahead
    }

    /// The sum over the thresholds of precision times newly found.
    fn average_precision(&self, changes: &[Scored], times: &[u32]) -> f64 {
        let (mut found, mut seen, mut sum) = (0.0, 0.0, 0.0);
        for (bad, good) in self.ties(changes, times).into_iter().rev().filter(|(bad, good)| bad + good > 0.0) {
            found += bad;
            seen += bad + good;
            sum += bad * found / seen;
        }
        sum
    }

    /// The distances of all bins, each times its size. Bins differ by at most one change; the larger ones come first.
    fn ece(&self, changes: &[Scored], times: &[u32]) -> f64 {
        let all: usize = times.iter().map(|n| *n as usize).sum();
        let (size, larger) = (all / BINS, all % BINS);
        let end = |bin: usize| (bin + 1) * size + (bin + 1).min(larger);
        let (mut bin, mut at, mut gap, mut sum) = (0, 0, 0.0, 0.0);
        for i in &self.rising {
            let off = if changes[*i].bad { 1.0 } else { 0.0 } - changes[*i].probability;
            let mut left = times[*i] as usize;
            while left > 0 {
                let now = left.min(end(bin).saturating_sub(at));
                gap += off * now as f64;
                (at, left) = (at + now, left - now);
                if at == end(bin) {
                    sum += f64::abs(gap);
                    (bin, gap) = (bin + 1, 0.0);
                }
            }
        }
        sum
    }

    /// Bad changes found within the effort. The change at which it runs out is not looked at any more.
    fn found(&self, changes: &[Scored], times: &[u32]) -> f64 {
        let all: f64 = changes.iter().zip(times).map(|(change, n)| effort(change) * f64::from(*n)).sum();
        let (mut spent, mut found) = (0.0, 0.0);
        for i in &self.densest {
            for _ in 0..times[*i] {
                spent += effort(&changes[*i]);
                if spent > EFFORT * all {
                    return found;
                }
                found += if changes[*i].bad { 1.0 } else { 0.0 };
            }
        }
        found
    }
}

fn effort(change: &Scored) -> f64 {
    change.lines.max(1) as f64
}

fn brier(changes: &[Scored], times: &[u32]) -> f64 {
    let off = |change: &Scored| change.probability - if change.bad { 1.0 } else { 0.0 };
    changes.iter().zip(times).map(|(change, n)| f64::from(*n) * off(change) * off(change)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scored(changes: &[(f64, u8, u64)]) -> Vec<Scored> {
        changes
            .iter()
            .map(|(probability, bad, lines)| Scored { probability: *probability, bad: *bad == 1, lines: *lines })
            .collect()
    }

    fn near(got: Option<f64>, wanted: f64) {
        assert!(got.is_some_and(|got| (got - wanted).abs() < 1e-12), "{got:?} instead of {wanted}");
    }

    #[test]
    fn a_small_example_is_scored_as_by_hand() {
        // Of 2 bad and 3 good: 0.8 beats all three; 0.4 beats one and ties with one.
        let changes = scored(&[(0.8, 1, 10), (0.6, 0, 10), (0.4, 1, 50), (0.4, 0, 20), (0.1, 0, 10)]);
        let figures = score(&changes).figures;
        near(figures.auc, (3.0 + 1.5) / 6.0);
        // Thresholds 0.8 (1 of 1) and 0.4 (2 of 4), each finding half.
        near(figures.pr_auc, 0.5 * 1.0 + 0.5 * 0.5);
        near(figures.brier, (0.04 + 0.36 + 0.36 + 0.16 + 0.01) / 5.0);
        // One change a bin.
        near(figures.ece, (0.2 + 0.6 + 0.6 + 0.4 + 0.1) / 5.0);
        // A fifth of 100 lines: 0.8 and 0.6 for 10 lines each come first, and only one of them is bad.
        near(figures.recall_at_20_effort, 0.5);
    }

    #[test]
    fn all_alike_is_a_coin() {
        let changes = scored(&[(0.3, 1, 1), (0.3, 0, 1), (0.3, 0, 1), (0.3, 1, 1)]);
        let scores = score(&changes);
        near(scores.figures.auc, 0.5);
        near(scores.figures.pr_auc, 0.5);
    }

    #[test]
    fn bins_have_as_many_changes_each_and_the_larger_ones_come_first() {
        // 16 changes: the first bin has two. Their gaps cancel out, so only the others count.
        let mut changes: Vec<_> = (0..16).map(|i| (0.5 + f64::from(i) / 100.0, 0, 1)).collect();
        (changes[0], changes[1]) = ((0.5, 1, 1), (0.5, 0, 1));
        let wanted: f64 = (2..16).map(|i| 0.5 + f64::from(i) / 100.0).sum::<f64>() / 16.0;
        near(score(&scored(&changes)).figures.ece, wanted);
    }

    #[test]
    fn what_cannot_be_had_is_not_said() {
        assert_eq!(score(&[]), Scores::default());
        let good = score(&scored(&[(0.2, 0, 1), (0.4, 0, 1)]));
        assert_eq!((good.figures.auc, good.figures.recall_at_20_effort, good.intervals.auc), (None, None, None));
        near(good.figures.brier, 0.1);
    }

    #[test]
    fn the_interval_holds_the_figure_and_is_narrower_with_more_changes() {
        let made = |n: usize| -> Vec<Scored> {
            let mut draw = Draw::seeded(5);
            (0..n)
                .map(|_| {
                    let probability = draw.share();
                    Scored { probability, bad: draw.share() < probability, lines: 1 + draw.below(50) }
                })
                .collect()
        };
        let width = |n: usize| {
            let scores = score(&made(n));
            let ([low, high], auc) = (scores.intervals.auc.unwrap(), scores.figures.auc.unwrap());
            assert!(low < auc && auc < high, "{low} {auc} {high}");
            high - low
        };
        assert!(width(60) > 2.0 * width(600));
        assert_eq!(score(&made(60)), score(&made(60)));
    }

    proptest! {
        #[test]
        fn figures_are_between_zero_and_one(changes in proptest::collection::vec((0f64..=1.0, 0u8..2, 0u64..9), 1..40)) {
            let scores = score(&scored(&changes));
            let of = |f: &Figures<Option<f64>>| [f.auc, f.pr_auc, f.brier, f.ece, f.recall_at_20_effort];
            prop_assert!(of(&scores.figures).into_iter().flatten().all(|x| (0.0..=1.0 + 1e-12).contains(&x)));
        }

        #[test]
        fn the_area_is_the_share_of_pairs_that_are_told_apart(changes in proptest::collection::vec((0u8..6, 0u8..2), 2..30)) {
            let changes: Vec<_> = changes.iter().map(|(p, bad)| (f64::from(*p) / 5.0, *bad, 1)).collect();
            let scored = scored(&changes);
            let of = |bad| scored.iter().filter(move |change| change.bad == bad);
            let pairs: Vec<f64> = of(true)
                .flat_map(|bad| of(false).map(move |good| match bad.probability.total_cmp(&good.probability) {
                    std::cmp::Ordering::Greater => 1.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Less => 0.0,
                }))
                .collect();
            match score(&scored).figures.auc {
                Some(auc) => prop_assert!((auc - pairs.iter().sum::<f64>() / pairs.len() as f64).abs() < 1e-12),
                None => prop_assert!(pairs.is_empty()),
            }
        }
    }
}
