//! Two metrics that say more together than each alone.
//!
//! Knows numbers of two metrics. Must never know who wrote the change.

use super::ChangeMetrics;
use super::metric::Metric;
use super::model::neat;
use serde::{Deserialize, Serialize};

/// Adds `weight * (a * b - centre)` to the logit, `a` and `b` being how far each metric lies from its mean, in standard
/// deviations on its axis, kept within `low` and `high` there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    pub of: (Metric, Metric),
    pub low: (f64, f64),
    pub high: (f64, f64),
    pub mean: (f64, f64),
    pub spread: (f64, f64),
    pub centre: f64,
    pub weight: f64,
}

impl Pair {
    /// A pair of which nothing is learned yet. `None` when one of the metrics hardly varies or is never known.
    pub fn of<'a>(of: (Metric, Metric), changes: impl Iterator<Item = &'a ChangeMetrics> + Clone) -> Option<Self> {
        let (a, b) = (Scale::of(of.0, changes.clone())?, Scale::of(of.1, changes)?);
        Some(Self {
            of,
            low: (a.low, b.low),
            high: (a.high, b.high),
            mean: (a.mean, b.mean),
            spread: (a.spread, b.spread),
            centre: 0.0,
            weight: 0.0,
        })
    }

    /// The same with numbers that can be read.
    pub(super) fn rounded(mut self) -> Self {
        for pair in [&mut self.low, &mut self.high, &mut self.mean, &mut self.spread] {
            *pair = (neat(pair.0), neat(pair.1));
        }
        (self.centre, self.weight) = (neat(self.centre), neat(self.weight));
        self
    }

    /// What it adds to the logit; `None` when one of the two is not known.
    pub fn adds(&self, metrics: &ChangeMetrics) -> Option<f64> {
        self.product(metrics).map(|product| self.weight * (product - self.centre))
    }

    /// How far both lie from their means, multiplied; `None` when one of the two is not known.
    pub fn product(&self, metrics: &ChangeMetrics) -> Option<f64> {
        let away = |metric: Metric, low: f64, high: f64, mean: f64, spread: f64| {
            metric.of(metrics).map(|value| (metric.transform().axis(value).max(low).min(high) - mean) / spread)
        };
        let a = away(self.of.0, self.low.0, self.high.0, self.mean.0, self.spread.0)?;
        let b = away(self.of.1, self.low.1, self.high.1, self.mean.1, self.spread.1)?;
        Some(a * b)
    }
}

/// Where the values of a metric lie on its axis.
struct Scale {
    low: f64,
    high: f64,
    mean: f64,
    spread: f64,
}

impl Scale {
    /// Between the second and the ninety-eighth hundredth, so that giants do not set the scale.
    fn of<'a>(metric: Metric, changes: impl Iterator<Item = &'a ChangeMetrics>) -> Option<Self> {
        let mut values: Vec<f64> =
            changes.filter_map(|change| metric.of(change)).map(|value| metric.transform().axis(value)).collect();
        values.sort_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        let at = |share: f64| values.get((share * last as f64).round() as usize).copied();
        let (low, high) = (at(0.02)?, at(0.98)?);
        let n = values.len() as f64;
        let inside = || values.iter().map(|x| x.max(low).min(high));
        let mean = inside().sum::<f64>() / n;
        let spread = (inside().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n).sqrt();
        (spread > 1e-6).then_some(Self { low, high, mean, spread })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::risk::HistoryMetrics;

    fn change(lines: u64, developers: f64) -> ChangeMetrics {
        let history = HistoryMetrics { developers: Some(developers), ..HistoryMetrics::default() };
        ChangeMetrics { lines_added: Some(lines), history: Some(Box::new(history)), ..ChangeMetrics::default() }
    }

    #[test]
    fn a_pair_weighs_what_is_high_or_low_in_both() {
        let changes: Vec<_> = (0..100).map(|i| change(i, (99 - i) as f64)).collect();
        let pair = Pair::of((Metric::LinesAdded, Metric::Developers), changes.iter()).unwrap();
        let pair = Pair { weight: 0.5, ..pair };
        assert!(pair.adds(&change(90, 90.0)).unwrap() > 0.3 && pair.adds(&change(0, 0.0)).unwrap() > 0.3);
        assert!(pair.adds(&change(90, 0.0)).unwrap() < -0.3);
        assert_eq!(
            pair.adds(&change(1 << 40, 1e9)),
            pair.adds(&change(99, 99.0)),
            "giants say no more than large ones"
        );
        assert_eq!(pair.adds(&ChangeMetrics { history: None, ..change(9, 0.0) }), None);
    }

    #[test]
    fn what_never_varies_or_is_never_known_makes_no_pair() {
        let same = [change(3, 1.0), change(3, 2.0)];
        assert_eq!(Pair::of((Metric::LinesAdded, Metric::Developers), same.iter()), None);
        assert_eq!(Pair::of((Metric::Touches, Metric::Developers), same.iter()), None);
    }
}
