//! Learns a model from the past changes of many repositories.
//!
//! Knows rows and their outcomes. Must never know a file's format, or who wrote a change.
//!
//! Every repository weighs the same, so that a large one does not speak for all, and each has an intercept of its own, so
//! that differences of base rate are not taken for effects of a metric. The coefficients are ridge regression's
//! (`fit.rs`) on the rises of piecewise-linear shapes.

use super::design::{Design, Sample};
use super::fit::{Belief, Gaussian, fit, logistic};
use super::metric::Metric;
use super::model::{Factor, Model, Provenance, neat};
use super::pair::Pair;
use super::row::TrainingRow;
use super::shape::Rises;
use super::{ChangeMetrics, digest};

/// What the shipped model looks at. Earlier developers, touches and the author's experience are left to what each
/// repository tells itself: what they mean differs from repository to repository, and with them a model travelled worse.
const FACTORS: [Metric; 16] = [
    Metric::LinesAdded,
    Metric::LinesDeleted,
    Metric::Files,
    Metric::Directories,
    Metric::Subsystems,
    Metric::Entropy,
    Metric::Fix,
    Metric::LinesBefore,
    Metric::AgeDays,
    Metric::DocFiles,
    Metric::ConfigFiles,
    Metric::CodeFiles,
    Metric::LargestFile,
    Metric::SubjectChars,
    Metric::FixShare,
    Metric::Touches90Days,
];
/// The pairs that the shipped model looks at.
const PAIRS: [(Metric, Metric); 1] = [(Metric::LinesAdded, Metric::Developers)];
/// Knots of a shape.
const KNOTS: usize = 5;
/// Precision of the belief that a rise is 0, against repositories that weigh [`WEIGHT`] changes each.
const PRECISION: f64 = 10.0;
/// What every repository weighs, in changes.
const WEIGHT: f64 = 1_000.0;
/// Values of one repository that have a say in where knots stand.
const VALUES: usize = 400;
/// The newest twentieth is not learned from: fixes of these changes may not have come yet.
const COMPLETE: f64 = 0.95;
/// The level is that of the fifth before it, because base rates fall as repositories grow older.
const LEVEL_FROM: f64 = 0.75;

/// A repository's past changes, oldest first.
#[derive(Clone, Copy, Debug)]
pub struct Project<'a> {
    pub name: &'a str,
    pub rows: &'a [TrainingRow],
}

/// Learns a model. Its version is made from its content when `version` is `None`.
///
/// Repositories without both outcomes are left out; `None` when that leaves none.
pub fn train(projects: &[Project<'_>], version: Option<&str>, provenance: Provenance) -> Option<Model> {
    let known: Vec<Vec<Known<'_>>> = projects.iter().filter_map(|project| known(project.rows)).collect();
    if known.is_empty() {
        return None;
    }
    let mut design = design(&known);
    let samples: Vec<Sample<'_>> = known
        .iter()
        .enumerate()
        .flat_map(|(group, rows)| {
            let weight = WEIGHT / rows.len() as f64;
            rows.iter().map(move |(metrics, outcome)| Sample { metrics, outcome: *outcome, weight, group })
        })
        .collect();
    let table = design.table(&samples);
    let belief = Belief {
        coefficients: vec![Gaussian { mean: 0.0, precision: PRECISION }; design.width()],
        intercepts: vec![Gaussian::default(); known.len()],
        never_negative: design.never_negative(),
    };
    let fitted = fit(&table, &belief);
    let (factors, pairs) = design.read_off(&fitted.coefficients);
    let mut model = Model {
        name: "additive".to_owned(),
        version: String::new(),
        provenance,
        intercept: 0.0,
        factors: factors.into_iter().map(Factor::rounded).filter(Factor::says_something).collect(),
        pairs: pairs.into_iter().map(Pair::rounded).collect(),
    };
    let levels: Vec<f64> = known.iter().map(|rows| recent_level(&model, rows)).collect();
    model.intercept = neat(levels.iter().sum::<f64>() / levels.len() as f64);
    model.version = version.map_or_else(|| digest::of(&model), str::to_owned);
    Some(model)
}

type Known<'a> = (&'a ChangeMetrics, bool);

/// The changes whose outcome is known, without the newest; `None` when they all ended alike.
fn known(rows: &[TrainingRow]) -> Option<Vec<Known<'_>>> {
    let rows: Vec<Known<'_>> = rows.iter().filter_map(|row| Some((&row.metrics, row.outcome?))).collect();
    let complete = share_of(rows.len(), COMPLETE);
    let rows = rows.into_iter().take(complete).collect::<Vec<_>>();
    (rows.iter().any(|(_, bad)| *bad) && rows.iter().any(|(_, bad)| !bad)).then_some(rows)
}

fn share_of(n: usize, share: f64) -> usize {
    (n as f64 * share).round() as usize
}

fn design(known: &[Vec<Known<'_>>]) -> Design {
    let mut design = Design::default();
    for metric in FACTORS {
        let values = known.iter().flat_map(|rows| quantiles(rows, metric)).collect();
        if let Some(rises) = Rises::at_quantiles(metric.transform(), values, KNOTS) {
            design.shape(metric, rises);
        }
    }
    for of in PAIRS {
        // Every repository has the same say in the scale, by as many changes of each.
        let changes = known.iter().flat_map(|rows| spread(rows.len()).map(|i| rows[i].0)).collect::<Vec<_>>();
        if let Some(pair) = Pair::of(of, changes.into_iter()) {
            design.pair(pair);
        }
    }
    design
}

/// As many values of one repository as of any other, over its whole range.
fn quantiles(rows: &[Known<'_>], metric: Metric) -> Vec<f64> {
    let mut values: Vec<f64> = rows.iter().filter_map(|(metrics, _)| metric.of(metrics)).collect();
    values.sort_by(f64::total_cmp);
    spread(values.len()).map(|i| values[i]).collect()
}

/// [`VALUES`] places, evenly spread over `n`; none when `n` is 0.
fn spread(n: usize) -> impl Iterator<Item = usize> + Clone {
    let wanted = if n == 0 { 0 } else { VALUES };
    (0..wanted).map(move |i| i * (n - 1) / (VALUES - 1))
}

/// The intercept under which the model expects as many bad changes as there were of late.
fn recent_level(model: &Model, rows: &[Known<'_>]) -> f64 {
    let from = share_of(rows.len(), LEVEL_FROM / COMPLETE).min(rows.len().saturating_sub(1));
    let recent = &rows[from..];
    let rate = recent.iter().filter(|(_, bad)| *bad).count() as f64 / recent.len() as f64;
    let adds: Vec<f64> = recent.iter().map(|(metrics, _)| model.adds(metrics)).collect();
    let expects = |level: f64| adds.iter().map(|adds| logistic(level + adds)).sum::<f64>() / adds.len() as f64;
    // Expectation rises with the level, so halving finds it; a rate of 0 or 1 ends at the bounds.
    let (mut low, mut high) = (-6.0, 6.0);
    for _ in 0..40 {
        let middle = (low + high) / 2.0;
        if expects(middle) < rate { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Timestamp;
    use crate::domain::risk::HistoryMetrics;
    use crate::domain::risk::draw::Draw;

    /// Changes whose true logit is `level + by * ln(1 + lines)`, and nothing else.
    fn made_up(seed: u64, n: u32, level: f64, by: f64) -> Vec<TrainingRow> {
        let mut draw = Draw::seeded(seed);
        (0..n)
            .map(|i| {
                let lines = (draw.share() * 6.0).exp() as u64 - 1;
                let bad = draw.share() < logistic(level + by * (lines as f64).ln_1p());
                let metrics = ChangeMetrics {
                    lines_added: Some(lines),
                    files: Some(1 + draw.below(4)),
                    ..ChangeMetrics::default()
                };
                TrainingRow { at: Timestamp(i64::from(i)), metrics, lines, outcome: Some(bad), known_at: None }
            })
            .collect()
    }

    fn adds(model: &Model, metric: Metric, value: f64) -> f64 {
        model.factors.iter().find(|factor| factor.name == metric).map_or(0.0, |factor| factor.shape.adds(value))
    }

    #[test]
    fn a_known_model_is_found_again() {
        let (a, b) = (made_up(1, 3_000, -3.0, 0.7), made_up(2, 1_500, -2.0, 0.7));
        let projects = [Project { name: "a", rows: &a }, Project { name: "b", rows: &b }];
        let model = train(&projects, Some("9"), Provenance::default()).unwrap();
        assert_eq!(model.title(), "additive-9");
        let rise = adds(&model, Metric::LinesAdded, 300.0) - adds(&model, Metric::LinesAdded, 3.0);
        let wanted = 0.7 * (301f64.ln() - 4f64.ln());
        assert!((rise / wanted - 1.0).abs() < 0.12, "{rise} of {wanted}");
        let files = adds(&model, Metric::Files, 4.0) - adds(&model, Metric::Files, 1.0);
        assert!(files.abs() < 0.3, "{files}");
    }

    #[test]
    fn training_is_the_same_every_time_and_the_version_tells_the_content() {
        let rows = made_up(3, 400, -2.0, 0.5);
        let other = made_up(4, 400, -2.0, 0.5);
        let of = |rows| train(&[Project { name: "a", rows }], None, Provenance::default()).unwrap();
        assert_eq!(of(&rows), of(&rows));
        assert_ne!(of(&rows).version, of(&other).version);
    }

    #[test]
    fn repositories_that_ended_all_alike_teach_nothing() {
        let mut rows = made_up(5, 100, 0.0, 0.0);
        rows.iter_mut().for_each(|row| row.outcome = Some(false));
        assert_eq!(train(&[Project { name: "a", rows: &rows }], None, Provenance::default()), None);
        assert_eq!(train(&[], None, Provenance::default()), None);
    }

    #[test]
    fn a_metric_that_only_some_repositories_know_moves_only_these() {
        let plain = made_up(6, 800, -1.0, 0.0);
        let mut told = made_up(7, 800, -1.0, 0.0);
        for (i, row) in told.iter_mut().enumerate() {
            let code = if i % 2 == 0 { 5.0 } else { 0.0 };
            let history = HistoryMetrics { code_files: Some(code), ..HistoryMetrics::default() };
            row.metrics.history = Some(Box::new(history));
            row.outcome = Some(i % 2 == 0 && i % 3 > 0 || i % 11 == 0);
        }
        let projects = [Project { name: "a", rows: &plain }, Project { name: "b", rows: &told }];
        let model = train(&projects, None, Provenance::default()).unwrap();
        assert!(adds(&model, Metric::CodeFiles, 5.0) - adds(&model, Metric::CodeFiles, 0.0) > 1.5);
        let unknown = plain.iter().map(|row| model.probability(&row.metrics)).sum::<f64>() / 800.0;
        assert!(unknown > 0.1 && unknown < 0.6, "{unknown}");
    }
}
