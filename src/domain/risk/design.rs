//! The table that a model is fitted to: which numbers stand in it for a change, and how a model is read off again.
//!
//! Knows metrics, shapes and pairs. Must never know whose changes they are.

use super::ChangeMetrics;
use super::fit::Table;
use super::metric::Metric;
use super::model::Factor;
use super::pair::Pair;
use super::shape::Rises;

/// What of a change stands in the table, in the order of its columns.
#[derive(Clone, Debug, Default)]
pub struct Design {
    shapes: Vec<Shaped>,
    pairs: Vec<Pair>,
    width: usize,
}

#[derive(Clone, Debug)]
struct Shaped {
    metric: Metric,
    rises: Rises,
    /// How much of each rise a change has taken on average, of those of which the metric is known.
    means: Vec<f64>,
}

/// A change in the table.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    pub metrics: &'a ChangeMetrics,
    pub outcome: bool,
    pub weight: f64,
    pub group: usize,
}

impl Design {
    /// Columns for the rises of a metric's shape; returns how many.
    pub fn shape(&mut self, metric: Metric, rises: Rises) -> usize {
        let columns = rises.len();
        self.shapes.push(Shaped { metric, means: vec![0.0; columns], rises });
        self.width += columns;
        columns
    }

    /// One column for a pair of metrics.
    pub fn pair(&mut self, pair: Pair) {
        self.pairs.push(pair);
        self.width += 1;
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Which columns belong to shapes that must not fall.
    pub fn never_negative(&self) -> Vec<bool> {
        let shapes = self.shapes.iter().flat_map(|shaped| vec![shaped.metric.never_falls(); shaped.rises.len()]);
        shapes.chain(self.pairs.iter().map(|_| false)).collect()
    }

    /// Makes the table. What is not known is 0 in it, and so is the average of what is: an unknown metric says nothing.
    pub fn table(&mut self, samples: &[Sample<'_>]) -> Table {
        let mut inputs = Vec::with_capacity(self.width * samples.len());
        for sample in samples {
            for shaped in &self.shapes {
                match shaped.metric.of(sample.metrics) {
                    Some(value) => shaped.rises.push(value, &mut inputs),
                    None => inputs.extend(std::iter::repeat_n(f64::NAN, shaped.rises.len())),
                }
            }
            inputs.extend(self.pairs.iter().map(|pair| pair.product(sample.metrics).unwrap_or(f64::NAN)));
        }
        let means = self.take_means_out(&mut inputs, samples);
        let mut rest = means.into_iter();
        for shaped in &mut self.shapes {
            shaped.means = rest.by_ref().take(shaped.rises.len()).collect();
        }
        self.pairs.iter_mut().zip(rest).for_each(|(pair, mean)| pair.centre = mean);
        Table {
            width: self.width,
            inputs,
            outcomes: samples.iter().map(|sample| sample.outcome).collect(),
            offsets: vec![0.0; samples.len()],
            weights: samples.iter().map(|sample| sample.weight).collect(),
            groups: samples.iter().map(|sample| sample.group).collect(),
        }
    }

    fn take_means_out(&self, inputs: &mut [f64], samples: &[Sample<'_>]) -> Vec<f64> {
        let (mut sums, mut weights) = (vec![0.0; self.width], vec![0.0; self.width]);
        for (row, sample) in inputs.chunks_exact(self.width.max(1)).zip(samples) {
            for (i, x) in row.iter().enumerate().filter(|(_, x)| !x.is_nan()) {
                sums[i] += sample.weight * x;
                weights[i] += sample.weight;
            }
        }
        let means: Vec<f64> =
            sums.iter().zip(&weights).map(|(sum, weight)| if *weight > 0.0 { sum / weight } else { 0.0 }).collect();
        for row in inputs.chunks_exact_mut(self.width.max(1)) {
            for (x, mean) in row.iter_mut().zip(&means) {
                *x = if x.is_nan() { 0.0 } else { *x - mean };
            }
        }
        means
    }

    /// The factors and pairs with these coefficients, one for each column. Two shapes of one metric become their sum.
    pub fn read_off(&self, coefficients: &[f64]) -> (Vec<Factor>, Vec<Pair>) {
        let mut rest = coefficients.iter().copied();
        let mut factors: Vec<Factor> = Vec::new();
        for shaped in &self.shapes {
            let rises: Vec<f64> = rest.by_ref().take(shaped.rises.len()).collect();
            let shape = shaped.rises.shape(&rises, &shaped.means);
            match factors.iter_mut().find(|factor| factor.name == shaped.metric) {
                Some(factor) => factor.shape = factor.shape.plus(&shape),
                None => factors.push(Factor { name: shaped.metric, shape }),
            }
        }
        factors.sort_by_key(|factor| factor.name);
        let pairs = self.pairs.iter().zip(rest).map(|(pair, weight)| Pair { weight, ..*pair }).collect();
        (factors, pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::risk::metric::Transform;

    fn change(lines_added: Option<u64>, files: u64) -> ChangeMetrics {
        ChangeMetrics { lines_added, files: Some(files), ..ChangeMetrics::default() }
    }

    fn design() -> Design {
        let mut design = Design::default();
        design.shape(Metric::LinesAdded, Rises::new(Transform::Log1p, vec![0.0, 10.0, 100.0]).unwrap());
        design.shape(Metric::Files, Rises::new(Transform::Log1p, vec![1.0, 9.0]).unwrap());
        design
    }

    #[test]
    fn what_is_unknown_stands_where_the_average_stands() {
        let changes = [change(Some(0), 1), change(Some(100), 9), change(None, 9)];
        let samples = changes.each_ref().map(|metrics| Sample { metrics, outcome: false, weight: 1.0, group: 0 });
        let table = design().table(&samples);
        assert_eq!(table.inputs[..2], [-0.5, -0.5]);
        assert_eq!(table.inputs[3..5], [0.5, 0.5]);
        assert_eq!(table.inputs[6..8], [0.0, 0.0]);
        assert!(table.inputs.iter().skip(2).step_by(3).sum::<f64>().abs() < 1e-12);
    }

    #[test]
    fn a_model_read_off_adds_what_the_table_adds() {
        let changes = [change(Some(0), 1), change(Some(37), 3), change(Some(400), 30)];
        let samples = changes.each_ref().map(|metrics| Sample { metrics, outcome: false, weight: 1.0, group: 0 });
        let mut design = design();
        design.shape(Metric::LinesAdded, Rises::new(Transform::Log1p, vec![3.0, 60.0]).unwrap());
        let table = design.table(&samples);
        let coefficients = [0.3, 0.5, -0.2, 0.7];
        let (factors, _) = design.read_off(&coefficients);
        assert_eq!(factors.iter().map(|factor| factor.name).collect::<Vec<_>>(), [Metric::LinesAdded, Metric::Files]);
        for (row, metrics) in table.inputs.chunks(4).zip(&changes) {
            let wanted: f64 = row.iter().zip(&coefficients).map(|(x, c)| x * c).sum();
            let added: f64 = factors.iter().map(|f| f.shape.adds(f.name.of(metrics).unwrap())).sum();
            assert!((wanted - added).abs() < 1e-12);
        }
    }
}
