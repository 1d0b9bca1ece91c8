//! Moves a model towards one repository, as far as the repository's own outcomes carry.
//!
//! Knows a model and past changes with their outcomes. Must never know a clock, or who wrote a change.
//!
//! The model that comes in is a belief, the outcomes are evidence, and Bayes' rule weighs them (maximum a posteriori,
//! `fit.rs`): shrinkage, never a jump. Up to [`LEVEL_FROM`] outcomes the model stays as it is. From there its level moves
//! towards the repository's base rate, and from [`SHAPES_FROM`] on its shapes move too, and shapes of the repository's
//! own grow beside them. At each of these thresholds the belief is first so strong that nothing moves, and it lets go
//! gradually.
//!
//! Newer changes weigh more. The level is anchored in the newest of them and carried on along its trend: base rates fall
//! as repositories grow older, and a level that is only an average comes too late.

use super::ChangeMetrics;
use super::design::{Design, Sample};
use super::digest;
use super::fit::{Belief, Fitted, Gaussian, Table, fit};
use super::metric::Metric;
use super::model::Factor;
use super::model::{Model, neat};
use super::pair::Pair;
use super::row::TrainingRow;
use super::shape::Rises;
use crate::domain::ids::Timestamp;

/// Outcomes below which the model stays as it is.
pub const LEVEL_FROM: usize = 20;
/// Outcomes below which only the level moves.
pub const SHAPES_FROM: usize = 200;

/// Metrics for which a repository grows shapes of its own. Of the others the shapes that came in move, if there are any:
/// with shapes for all of them small repositories learned more of chance than of themselves.
const OWN: [Metric; 13] = [
    Metric::LinesAdded,
    Metric::LinesDeleted,
    Metric::Files,
    Metric::Directories,
    Metric::Subsystems,
    Metric::Entropy,
    Metric::Fix,
    Metric::LinesBefore,
    Metric::Developers,
    Metric::AgeDays,
    Metric::UniqueChanges,
    Metric::Touches,
    Metric::SubsystemExperience,
];
/// Pairs of which a repository learns.
const PAIRS: [(Metric, Metric); 5] = [
    (Metric::LinesAdded, Metric::Developers),
    (Metric::LinesAdded, Metric::UniqueChanges),
    (Metric::LinesAdded, Metric::Touches),
    (Metric::LinesBefore, Metric::UniqueChanges),
    (Metric::LinesBefore, Metric::Touches),
];
/// Knots of a shape of the repository's own.
const KNOTS: usize = 4;
/// Precision of the belief in a rise of the model that comes in.
const SHIPPED_PRECISION: f64 = 30.0;
/// Precision of the belief that the repository's own shapes are flat and its pairs say nothing.
const OWN_PRECISION: f64 = 20.0;
/// Precision of the belief in the level that comes in: base rates of repositories differ by about 0.6 in logits.
const LEVEL_PRECISION: f64 = 3.0;
/// Precision of the belief that the level has no trend.
const TREND_PRECISION: f64 = 1.0;
/// Changes after which a change weighs half: in shapes, and in the level.
const SHAPES_HALF_LIFE: f64 = 3_000.0;
const LEVEL_HALF_LIFE: f64 = 300.0;
/// The same for the trend, as a share of all changes.
const TREND_HALF_LIFE: f64 = 0.35;
/// Changes older than these weigh so little that they are not looked at.
const CHANGES_MAX: usize = 12_000;

/// How far a repository's outcomes carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learning {
    /// Too few: the model as it came.
    None { outcomes: usize },
    /// The level only.
    Level { outcomes: usize },
    /// Level and shapes.
    Shapes { outcomes: usize },
}

/// Adapts a model to what was known of a repository's changes at a moment; the rows may stand in any order.
///
/// `ahead`: for how many changes the adapted model will be asked before it is adapted again, with those on which it
/// waits for an outcome. The level is carried on to the middle of these.
///
/// The version becomes, for instance, `2+repo-5f3a9c`: the same outcomes always give the same. Without evidence the model
/// is returned as it came.
pub fn adapt(model: &Model, rows: &[TrainingRow], now: Timestamp, ahead: usize) -> (Model, Learning) {
    let known = known(rows, now);
    let outcomes = known.len();
    if outcomes < LEVEL_FROM {
        return (model.clone(), Learning::None { outcomes });
    }
    let (shaped, evidence) = if outcomes < SHAPES_FROM {
        (model.clone(), Learning::Level { outcomes })
    } else {
        (with_shapes(model, &known), Learning::Shapes { outcomes })
    };
    (named(at_level(shaped, &known, ahead), model), evidence)
}

/// The same, but only the level moves however many outcomes there are: what is left of a model that no longer holds.
pub fn level_only(model: &Model, rows: &[TrainingRow], now: Timestamp, ahead: usize) -> (Model, Learning) {
    let known = known(rows, now);
    let outcomes = known.len();
    if outcomes < LEVEL_FROM {
        return (model.clone(), Learning::None { outcomes });
    }
    (named(at_level(model.clone(), &known, ahead), model), Learning::Level { outcomes })
}

type Known<'a> = (&'a ChangeMetrics, bool);

/// The newest changes with an outcome, oldest first.
fn known(rows: &[TrainingRow], now: Timestamp) -> Vec<Known<'_>> {
    let mut known: Vec<(Timestamp, Known<'_>)> =
        rows.iter().filter_map(|row| Some((row.at, (&row.metrics, row.outcome_at(now)?)))).collect();
    known.sort_by_key(|(at, _)| *at);
    let too_many = known.len().saturating_sub(CHANGES_MAX);
    known.into_iter().skip(too_many).map(|(_, known)| known).collect()
}

/// How much stronger a belief is while there is hardly any evidence beyond what makes it count at all.
fn firmness(outcomes: usize, from: usize) -> f64 {
    1.0 + from as f64 / (outcomes + 1).saturating_sub(from).max(1) as f64
}

/// What a change weighs that has `newer` changes after it.
fn weight(newer: usize, half_life: f64) -> f64 {
    (-(newer as f64) / half_life).exp2()
}

fn named(adapted: Model, from: &Model) -> Model {
    let version = format!("{}+repo-{}", from.version, digest::of(&adapted));
    Model { version, ..adapted }
}

fn with_shapes(model: &Model, known: &[Known<'_>]) -> Model {
    let last = known.len() - 1;
    let samples: Vec<Sample<'_>> = known
        .iter()
        .enumerate()
        .map(|(i, (metrics, outcome))| Sample {
            metrics,
            outcome: *outcome,
            weight: weight(last - i, SHAPES_HALF_LIFE),
            group: 0,
        })
        .collect();
    let firm = firmness(known.len(), SHAPES_FROM);
    let mut design = Design::default();
    let mut coefficients = Vec::new();
    let mut untouched = Vec::new();
    for factor in &model.factors {
        // A metric that this repository never knows keeps its shape for the day when it does.
        let ever = known.iter().any(|(metrics, _)| factor.name.of(metrics).is_some());
        match Rises::of(&factor.shape).filter(|_| ever) {
            Some((rises, heights)) => {
                design.shape(factor.name, rises);
                let believed = |mean| Gaussian { mean, precision: SHIPPED_PRECISION * firm };
                coefficients.extend(heights.into_iter().map(believed));
            }
            None => untouched.push(factor.clone()),
        }
    }
    let flat = Gaussian { mean: 0.0, precision: OWN_PRECISION * firm };
    for metric in OWN {
        let values = known.iter().filter_map(|(metrics, _)| metric.of(metrics)).collect();
        if let Some(rises) = Rises::at_quantiles(metric.transform(), values, KNOTS) {
            coefficients.extend(vec![flat; design.shape(metric, rises)]);
        }
    }
    for pair in &model.pairs {
        design.pair(*pair);
        coefficients.push(Gaussian { mean: pair.weight, precision: SHIPPED_PRECISION * firm });
    }
    for of in PAIRS.into_iter().filter(|of| model.pairs.iter().all(|pair| pair.of != *of)) {
        if let Some(pair) = Pair::of(of, known.iter().map(|(metrics, _)| *metrics)) {
            design.pair(pair);
            coefficients.push(flat);
        }
    }
    let table = design.table(&samples);
    // Centring on this repository moves what the shapes add on average into the level.
    let weights: f64 = samples.iter().map(|sample| sample.weight).sum();
    let adds = samples.iter().map(|sample| sample.weight * model.adds(sample.metrics)).sum::<f64>() / weights;
    let level = Gaussian { mean: model.intercept + adds, precision: LEVEL_PRECISION };
    let belief = Belief { coefficients, intercepts: vec![level], never_negative: design.never_negative() };
    let Fitted { coefficients, intercepts } = fit(&table, &belief);
    let (factors, pairs) = design.read_off(&coefficients);
    let mut factors: Vec<Factor> = factors.into_iter().map(Factor::rounded).chain(untouched).collect();
    factors.sort_by_key(|factor| factor.name);
    let intercept = intercepts.first().copied().unwrap_or(model.intercept);
    Model { intercept, factors, pairs: pairs.into_iter().map(Pair::rounded).collect(), ..model.clone() }
}

/// Moves the level of a model to that of the newest changes, and along its trend to the middle of those to come.
fn at_level(model: Model, known: &[Known<'_>], ahead: usize) -> Model {
    let adds: Vec<f64> = known.iter().map(|(metrics, _)| model.adds(metrics)).collect();
    let all = known.len() as f64;
    let trend = if known.len() < SHAPES_FROM { 0.0 } else { trend(&model, known, &adds) };
    let last = known.len() - 1;
    let table = Table {
        offsets: adds.iter().enumerate().map(|(i, adds)| adds - trend * (last - i) as f64 / all).collect(),
        outcomes: known.iter().map(|(_, outcome)| *outcome).collect(),
        weights: (0..known.len()).map(|i| weight(last - i, LEVEL_HALF_LIFE)).collect(),
        groups: vec![0; known.len()],
        ..Table::default()
    };
    let precision = LEVEL_PRECISION * firmness(known.len(), LEVEL_FROM);
    let belief = Belief { intercepts: vec![Gaussian { mean: model.intercept, precision }], ..Belief::default() };
    let level = fit(&table, &belief).intercepts.first().copied().unwrap_or(model.intercept);
    Model { intercept: neat(level + trend * ahead as f64 / 2.0 / all), ..model }
}

/// How much the logit rises over as many changes as there are, everything that the model knows left aside.
fn trend(model: &Model, known: &[Known<'_>], adds: &[f64]) -> f64 {
    let last = known.len() - 1;
    let all = known.len() as f64;
    let table = Table {
        width: 1,
        inputs: (0..known.len()).map(|i| -((last - i) as f64) / all).collect(),
        outcomes: known.iter().map(|(_, outcome)| *outcome).collect(),
        offsets: adds.to_vec(),
        weights: (0..known.len()).map(|i| weight(last - i, TREND_HALF_LIFE * all)).collect(),
        groups: vec![0; known.len()],
    };
    let precision = TREND_PRECISION * firmness(known.len(), SHAPES_FROM);
    let belief = Belief {
        coefficients: vec![Gaussian { mean: 0.0, precision }],
        intercepts: vec![Gaussian { mean: model.intercept, precision: 0.0 }],
        never_negative: vec![false],
    };
    fit(&table, &belief).coefficients.first().copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests;
