//! The simple models that ours is measured against.
//!
//! Knows rows. Must never be what a person is told: these models look at who wrote a change, and give no reasons.
//!
//! `la` is logistic regression on `ln(1 + lines added)`, the model LApredict of Zeng et al., ISSTA 2021. `kamei` is
//! logistic regression on the logarithms of the fourteen metrics of Kamei et al., IEEE TSE 39(6), 2013, each centred and
//! divided by its standard deviation; one that is not known counts as average.

use super::fit::{Belief, Fitted, Gaussian, Table, fit, logistic};
use super::row::TrainingRow;
use super::{ChangeMetrics, HistoryMetrics};

/// Hardly a belief: it only keeps what separates perfectly within bounds.
const PRECISION: f64 = 1.0;

/// Logistic regression on a list of numbers.
#[derive(Clone, Debug)]
pub struct Baseline {
    inputs: fn(&ChangeMetrics) -> Vec<Option<f64>>,
    /// Mean and standard deviation of each.
    scales: Vec<(f64, f64)>,
    fitted: Fitted,
}

impl Baseline {
    /// Lines added alone; `None` when all outcomes are alike.
    pub fn lines_added(rows: &[TrainingRow]) -> Option<Self> {
        Self::of(rows, |metrics| vec![log(metrics.lines_added.map(|n| n as f64))])
    }

    /// Lines added and deleted together; `None` when all outcomes are alike.
    pub fn churn(rows: &[TrainingRow]) -> Option<Self> {
        Self::of(rows, |metrics| {
            let known = [metrics.lines_added, metrics.lines_deleted];
            let lines = known.into_iter().flatten().fold(0u64, u64::saturating_add);
            vec![log(known.iter().any(Option::is_some).then_some(lines as f64))]
        })
    }

    /// The fourteen metrics; `None` when all outcomes are alike.
    pub fn kamei(rows: &[TrainingRow]) -> Option<Self> {
        Self::of(rows, fourteen)
    }

    /// The probability that a change goes wrong.
    pub fn probability(&self, metrics: &ChangeMetrics) -> f64 {
        let inputs = (self.inputs)(metrics);
        let weighed = scaled(&inputs, &self.scales).zip(&self.fitted.coefficients);
        let sum: f64 = weighed.map(|(x, weight)| x * weight).sum();
        logistic(sum + self.fitted.intercepts.first().copied().unwrap_or(0.0))
    }

    fn of(rows: &[TrainingRow], inputs: fn(&ChangeMetrics) -> Vec<Option<f64>>) -> Option<Self> {
        let known: Vec<(Vec<Option<f64>>, bool)> =
            rows.iter().filter_map(|row| Some((inputs(&row.metrics), row.outcome?))).collect();
        if known.iter().all(|(_, bad)| *bad) || known.iter().all(|(_, bad)| !bad) {
            return None;
        }
        let width = inputs(&ChangeMetrics::default()).len();
        let scales: Vec<(f64, f64)> = (0..width)
            .map(|i| scale(known.iter().filter_map(|(inputs, _)| inputs.get(i).copied().flatten())))
            .collect();
        let table = Table {
            width,
            inputs: known.iter().flat_map(|(inputs, _)| scaled(inputs, &scales)).collect(),
            outcomes: known.iter().map(|(_, bad)| *bad).collect(),
            offsets: vec![0.0; known.len()],
            weights: vec![1.0; known.len()],
            groups: vec![0; known.len()],
        };
        let belief = Belief {
            coefficients: vec![Gaussian { mean: 0.0, precision: PRECISION }; width],
            intercepts: vec![Gaussian::default()],
            never_negative: vec![false; width],
        };
        Some(Self { inputs, scales, fitted: fit(&table, &belief) })
    }
}

fn fourteen(metrics: &ChangeMetrics) -> Vec<Option<f64>> {
    let count = |n: Option<u64>| n.map(|n| n as f64);
    let nothing = HistoryMetrics::default();
    let history = metrics.history.as_deref().unwrap_or(&nothing);
    [
        count(metrics.lines_added),
        count(metrics.lines_deleted),
        count(metrics.files),
        count(metrics.directories),
        count(metrics.subsystems),
        metrics.entropy,
        metrics.fix.map(|fix| if fix { 1.0 } else { 0.0 }),
        history.lines_before,
        history.developers,
        history.age_days,
        // Some data counts touches, some the commits that changed the files last, under this one name.
        history.touches.or(history.unique_changes),
        history.experience,
        history.recent_experience,
        history.subsystem_experience,
    ]
    .map(log)
    .into()
}

fn log(value: Option<f64>) -> Option<f64> {
    value.filter(|x| x.is_finite() && *x >= 0.0).map(f64::ln_1p)
}

fn scale(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let n = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / n;
    let spread = (values.map(|x| (x - mean) * (x - mean)).sum::<f64>() / n).sqrt();
    (mean, if spread > 1e-9 { spread } else { 1.0 })
}

fn scaled<'a>(inputs: &'a [Option<f64>], scales: &'a [(f64, f64)]) -> impl Iterator<Item = f64> + 'a {
    inputs.iter().zip(scales).map(|(x, (mean, spread))| x.map_or(0.0, |x| (x - mean) / spread))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Timestamp;

    fn rows() -> Vec<TrainingRow> {
        (0..200u64)
            .map(|i| TrainingRow {
                at: Timestamp(0),
                metrics: ChangeMetrics { lines_added: Some(i), ..ChangeMetrics::default() },
                lines: i,
                outcome: Some(i % 7 == 0 || i > 150),
                known_at: None,
            })
            .collect()
    }

    #[test]
    fn more_lines_are_more_probable_and_the_mean_is_the_base_rate() {
        let rows = rows();
        for model in [Baseline::lines_added(&rows).unwrap(), Baseline::kamei(&rows).unwrap()] {
            let p: Vec<f64> = rows.iter().map(|row| model.probability(&row.metrics)).collect();
            assert!(p.windows(2).all(|pair| pair[0] < pair[1]));
            let bad = rows.iter().filter(|row| row.outcome == Some(true)).count() as f64;
            assert!((p.iter().sum::<f64>() - bad).abs() < 1e-3);
        }
    }

    #[test]
    fn of_outcomes_that_are_all_alike_nothing_is_learned() {
        let mut rows = rows();
        rows.iter_mut().for_each(|row| row.outcome = Some(true));
        assert!(Baseline::lines_added(&rows).is_none() && Baseline::kamei(&[]).is_none());
    }
}
