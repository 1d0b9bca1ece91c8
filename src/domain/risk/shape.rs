//! A factor's shape: how much each value of a metric adds to the logit.
//!
//! Knows numbers. Must never know which metric they belong to.

use super::metric::Transform;
use serde::{Deserialize, Serialize};

/// Linear between its knots on the transformed axis, constant beyond them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    pub transform: Transform,
    /// A value of the metric in its own unit, and what it adds to the logit; values rise.
    pub knots: Vec<(f64, f64)>,
}

impl Shape {
    /// What a value adds to the logit; 0 of a shape without knots.
    pub fn adds(&self, value: f64) -> f64 {
        let axis = |x: f64| self.transform.axis(x);
        let after = self.knots.partition_point(|(x, _)| *x <= value);
        match (after.checked_sub(1).and_then(|i| self.knots.get(i)), self.knots.get(after)) {
            (Some((x0, y0)), Some((x1, y1))) => y0 + (y1 - y0) * (axis(value) - axis(*x0)) / (axis(*x1) - axis(*x0)),
            (Some((_, end)), None) | (None, Some((_, end))) => *end,
            (None, None) => 0.0,
        }
    }

    /// The same, everywhere higher by `logit`.
    pub fn lifted(&self, logit: f64) -> Self {
        let knots = self.knots.iter().map(|(x, y)| (*x, y + logit)).collect();
        Self { transform: self.transform, knots }
    }

    /// The shape that adds what both add. Exact: the sum is linear between the knots of both.
    ///
    /// Both must have the same transform.
    pub fn plus(&self, other: &Self) -> Self {
        let mut values: Vec<f64> = self.knots.iter().chain(&other.knots).map(|(x, _)| *x).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        let knots = values.into_iter().map(|x| (x, self.adds(x) + other.adds(x))).collect();
        Self { transform: self.transform, knots }
    }
}

/// The rises between knots, which is what is learned: each goes from 0 to 1 between two neighbours.
#[derive(Clone, Debug, PartialEq)]
pub struct Rises {
    transform: Transform,
    /// Values of the metric in its own unit, rising; two or more.
    knots: Vec<f64>,
    /// The same on the axis.
    axis: Vec<f64>,
}

impl Rises {
    /// `None` with fewer than two knots: nothing can be learned of a metric that is always the same.
    pub fn new(transform: Transform, knots: Vec<f64>) -> Option<Self> {
        let axis: Vec<f64> = knots.iter().map(|x| transform.axis(*x)).collect();
        (axis.len() >= 2 && axis.windows(2).all(|pair| pair[0] < pair[1])).then_some(Self { transform, knots, axis })
    }

    /// Knots at quantiles of the values, at most `wanted`; the values are of one metric in its own unit.
    ///
    /// The outermost two hundredths on both sides make no knot of their own: beyond the last knot a shape is constant,
    /// and a few giant changes must not bend it. Where quantiles fall together there are fewer knots.
    pub fn at_quantiles(transform: Transform, mut values: Vec<f64>, wanted: usize) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        let at = |share: f64| values.get((share * last as f64).round() as usize).copied();
        let two_values = values.first().is_some_and(|first| *first == 0.0)
            && values.last().is_some_and(|top| *top == 1.0)
            && values.iter().all(|x| *x == 0.0 || *x == 1.0);
        let mut knots: Vec<f64> = if two_values {
            vec![0.0, 1.0]
        } else {
            let steps = wanted.saturating_sub(1).max(1) as f64;
            (0..wanted).filter_map(|i| at(0.02 + 0.96 * i as f64 / steps)).map(neat).collect()
        };
        knots.dedup();
        Self::new(transform, knots)
    }

    /// How many rises there are.
    pub fn len(&self) -> usize {
        self.knots.len() - 1
    }

    /// Appends how much of each rise a value has taken, from 0 to 1.
    pub fn push(&self, value: f64, into: &mut Vec<f64>) {
        let at = self.transform.axis(value);
        into.extend(self.axis.windows(2).map(|pair| ((at - pair[0]) / (pair[1] - pair[0])).clamp(0.0, 1.0)));
    }

    /// The shape with these rises, in logits, which adds nothing where each rise is at its mean.
    pub fn shape(&self, rises: &[f64], means: &[f64]) -> Shape {
        let mut adds = -rises.iter().zip(means).map(|(rise, mean)| rise * mean).sum::<f64>();
        let mut knots = Vec::with_capacity(self.knots.len());
        for (i, x) in self.knots.iter().enumerate() {
            knots.push((*x, adds));
            adds += rises.get(i).copied().unwrap_or(0.0);
        }
        Shape { transform: self.transform, knots }
    }

    /// What a shape rises by from each of its knots to the next, and the rises themselves.
    pub fn of(shape: &Shape) -> Option<(Self, Vec<f64>)> {
        let rises = Self::new(shape.transform, shape.knots.iter().map(|(x, _)| *x).collect())?;
        Some((rises, shape.knots.windows(2).map(|pair| pair[1].1 - pair[0].1).collect()))
    }
}

/// Three digits that count are enough for the place of a knot, and can be read.
fn neat(x: f64) -> f64 {
    if x == 0.0 || !x.is_finite() {
        return x;
    }
    let unit = 10f64.powi(2 - x.abs().log10().floor() as i32);
    (x * unit).round() / unit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(knots: &[(f64, f64)]) -> Shape {
        Shape { transform: Transform::Log1p, knots: knots.to_vec() }
    }

    #[test]
    fn beyond_its_knots_a_shape_stays_where_it_ends() {
        let shape = shape(&[(1.0, -1.0), (3.0, 1.0)]);
        assert_eq!((shape.adds(0.0), shape.adds(1.0), shape.adds(3.0), shape.adds(1e12)), (-1.0, -1.0, 1.0, 1.0));
        assert!((shape.adds(8f64.sqrt() - 1.0)).abs() < 1e-12, "halfway on the axis of logarithms");
    }

    #[test]
    fn the_sum_of_two_shapes_adds_what_both_add() {
        let (a, b) = (shape(&[(0.0, -1.0), (10.0, 2.0)]), shape(&[(4.0, 0.5), (10.0, 0.0), (90.0, 3.0)]));
        let sum = a.plus(&b);
        for x in [0.0, 1.0, 4.0, 7.0, 10.0, 30.0, 90.0, 1e6] {
            assert!((sum.adds(x) - a.adds(x) - b.adds(x)).abs() < 1e-12, "{x}");
        }
        assert!((sum.lifted(0.25).adds(7.0) - sum.adds(7.0) - 0.25).abs() < 1e-12);
    }

    #[test]
    fn a_shape_is_its_rises_again() {
        let told = shape(&[(0.0, -0.5), (5.0, 0.25), (60.0, 1.0)]);
        let (rises, heights) = Rises::of(&told).unwrap();
        let again = rises.shape(&heights, &[0.0, 0.0]).lifted(-0.5);
        let mut taken = Vec::new();
        rises.push(20.0, &mut taken);
        let sum: f64 = taken.iter().zip(&heights).map(|(t, h)| t * h).sum();
        assert!((again.adds(20.0) - told.adds(20.0)).abs() < 1e-12 && (sum - 0.5 - told.adds(20.0)).abs() < 1e-12);
    }

    #[test]
    fn knots_stand_at_quantiles_and_of_one_value_there_are_none() {
        let values: Vec<f64> = (0..=1000).map(f64::from).collect();
        let rises = Rises::at_quantiles(Transform::Identity, values, 3).unwrap();
        assert_eq!(rises.knots, [20.0, 500.0, 980.0]);
        assert_eq!(Rises::at_quantiles(Transform::Identity, vec![4.0; 50], 5), None);
        assert_eq!(Rises::at_quantiles(Transform::Identity, vec![], 5), None);
        let rare: Vec<f64> = (0..1000).map(|i| f64::from(u8::from(i == 7))).collect();
        assert_eq!(Rises::at_quantiles(Transform::Identity, rare, 5).unwrap().knots, [0.0, 1.0]);
    }

    #[test]
    fn the_place_of_a_knot_has_three_digits() {
        assert_eq!([0.0, 0.12345, 1.0, 98.76, 123_456.0].map(neat), [0.0, 0.123, 1.0, 98.8, 123_000.0]);
    }
}
