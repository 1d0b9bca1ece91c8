//! Logistic regression: the numbers under which what happened was most likely, given what was believed before.
//!
//! Knows a table of numbers and outcomes. Must never know what its columns mean.
//!
//! Maximum a posteriori by Newton's method (iteratively re-weighted least squares; McCullagh and Nelder, *Generalized
//! Linear Models*, 2nd edition, 1989, section 2.5) with a Gaussian prior on each coefficient, which is ridge regression
//! around the prior's mean (le Cessie and van Houwelingen, *Applied Statistics* 41(1), 1992). The equations are solved
//! by Cholesky's decomposition. The objective is concave, so there is one answer, and nothing is drawn at random.

/// Newton steps after which the last answer is good enough; about six are needed.
const STEPS_MAX: usize = 40;
/// A step smaller than this in every coefficient ends it.
const SMALL: f64 = 1e-8;
/// Added to every diagonal, so that a column which never varies makes no equation singular.
const RIDGE: f64 = 1e-9;

/// Rows of inputs with their outcomes.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Inputs in a row.
    pub width: usize,
    /// Row after row.
    pub inputs: Vec<f64>,
    pub outcomes: Vec<bool>,
    /// What is added to the logit of each row, whatever the coefficients are.
    pub offsets: Vec<f64>,
    /// How much each row weighs; not negative.
    pub weights: Vec<f64>,
    /// Which intercept each row has; below `Belief::intercepts.len()`.
    pub groups: Vec<usize>,
}

/// What is believed of a number before anything is seen: a Gaussian. A precision of 0 believes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gaussian {
    pub mean: f64,
    /// One over the variance.
    pub precision: f64,
}

/// What is believed of all numbers before anything is seen.
#[derive(Clone, Debug, Default)]
pub struct Belief {
    /// One for each input.
    pub coefficients: Vec<Gaussian>,
    /// One for each group.
    pub intercepts: Vec<Gaussian>,
    /// The inputs whose coefficient must not be negative.
    pub never_negative: Vec<bool>,
}

/// The most likely numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    pub coefficients: Vec<f64>,
    pub intercepts: Vec<f64>,
}

impl Table {
    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let none: &[f64] = &[];
        // A table may have no inputs at all: then there is only a level to be found.
        let inputs = self.inputs.chunks_exact(self.width.max(1)).chain(std::iter::repeat(none));
        let rest = self.outcomes.iter().zip(&self.offsets).zip(&self.weights).zip(&self.groups);
        inputs.zip(rest).map(|(inputs, (((outcome, offset), weight), group))| Row {
            inputs,
            outcome: *outcome,
            offset: *offset,
            weight: *weight,
            group: *group,
        })
    }
}

struct Row<'a> {
    inputs: &'a [f64],
    outcome: bool,
    offset: f64,
    weight: f64,
    group: usize,
}

/// Fits. Coefficients that must not be negative and would be are set to 0, and the others fitted again without them.
pub fn fit(table: &Table, belief: &Belief) -> Fitted {
    let inputs = belief.coefficients.len();
    let mut at: Vec<f64> = belief.coefficients.iter().chain(&belief.intercepts).map(|belief| belief.mean).collect();
    let mut held = vec![false; at.len()];
    loop {
        climb(table, belief, &mut at, &held);
        let never = |i: usize| belief.never_negative.get(i).copied().unwrap_or(false);
        let fallen: Vec<usize> = (0..inputs).filter(|i| !held[*i] && never(*i) && at[*i] < 0.0).collect();
        if fallen.is_empty() {
            let intercepts = at.split_off(inputs);
            return Fitted { coefficients: at, intercepts };
        }
        for i in fallen {
            (held[i], at[i]) = (true, 0.0);
        }
    }
}

/// Newton's steps to the top, each halved until it leads upwards. What is held stays where it is.
fn climb(table: &Table, belief: &Belief, at: &mut Vec<f64>, held: &[bool]) {
    let mut height = objective(table, belief, at);
    for _ in 0..STEPS_MAX {
        let (mut slope, mut curve) = slope_and_curve(table, belief, at);
        let size = at.len();
        for i in (0..size).filter(|i| held[*i]) {
            slope[i] = 0.0;
            for j in 0..size {
                (curve[i * size + j], curve[j * size + i]) = (0.0, 0.0);
            }
            curve[i * size + i] = 1.0;
        }
        let step = solve(&mut curve, slope);
        if step.iter().any(|by| !by.is_finite()) {
            return;
        }
        let mut share = 1.0;
        loop {
            let next: Vec<f64> = at.iter().zip(&step).map(|(x, by)| x + share * by).collect();
            let higher = objective(table, belief, &next);
            if higher >= height - 1e-10 * height.abs() {
                (*at, height) = (next, higher);
                break;
            }
            share /= 2.0;
            if share < 1e-6 {
                return;
            }
        }
        if step.iter().all(|by| (share * by).abs() < SMALL) {
            return;
        }
    }
}

/// Logarithm of the posterior, up to a constant.
fn objective(table: &Table, belief: &Belief, at: &[f64]) -> f64 {
    let inputs = belief.coefficients.len();
    let likelihood: f64 = table
        .rows()
        .map(|row| {
            let logit = row.offset + at[inputs + row.group] + dot(row.inputs, at);
            // ln(1 + exp(logit)) without overflow.
            let soft = logit.max(0.0) + (-logit.abs()).exp().ln_1p();
            row.weight * (if row.outcome { logit } else { 0.0 } - soft)
        })
        .sum();
    let believed = belief.coefficients.iter().chain(&belief.intercepts).zip(at);
    likelihood - believed.map(|(b, x)| 0.5 * b.precision * (x - b.mean) * (x - b.mean)).sum::<f64>()
}

/// First derivatives, and the second with the sign turned, of the objective.
fn slope_and_curve(table: &Table, belief: &Belief, at: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let (size, inputs) = (at.len(), belief.coefficients.len());
    let (mut slope, mut curve) = (vec![0.0; size], vec![0.0; size * size]);
    for row in table.rows() {
        let own = inputs + row.group;
        let p = logistic(row.offset + at[own] + dot(row.inputs, at));
        let residual = row.weight * (if row.outcome { 1.0 } else { 0.0 } - p);
        let bend = row.weight * p * (1.0 - p);
        slope[own] += residual;
        curve[own * size + own] += bend;
        for (i, x) in row.inputs.iter().enumerate().filter(|(_, x)| **x != 0.0) {
            slope[i] += residual * x;
            let by = bend * x;
            curve[own * size + i] += by;
            // Only the lower half is filled: the decomposition reads no other.
            let line = &mut curve[i * size..i * size + i + 1];
            line.iter_mut().zip(row.inputs).for_each(|(cell, y)| *cell += by * y);
        }
    }
    for (i, believed) in belief.coefficients.iter().chain(&belief.intercepts).enumerate() {
        slope[i] -= believed.precision * (at[i] - believed.mean);
        curve[i * size + i] += believed.precision + RIDGE;
    }
    (slope, curve)
}

/// Solves `matrix * x = right` for a symmetric positive definite matrix, of which the lower half is read, by Cholesky's
/// decomposition in place. Not finite where the matrix is not positive definite.
fn solve(matrix: &mut [f64], mut right: Vec<f64>) -> Vec<f64> {
    let size = right.len();
    for j in 0..size {
        for i in j..size {
            let (row_i, row_j) = (&matrix[i * size..i * size + j], &matrix[j * size..j * size + j]);
            let rest = matrix[i * size + j] - dot(row_i, row_j);
            matrix[i * size + j] = if i == j { rest.sqrt() } else { rest / matrix[j * size + j] };
        }
        right[j] = (right[j] - dot(&matrix[j * size..j * size + j], &right)) / matrix[j * size + j];
    }
    for j in (0..size).rev() {
        let below: f64 = (j + 1..size).map(|i| matrix[i * size + j] * right[i]).sum();
        right[j] = (right[j] - below) / matrix[j * size + j];
    }
    right
}

/// Over the shorter of both.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// The probability of a logit.
pub fn logistic(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[(&[f64], bool)]) -> Table {
        Table {
            width: rows.first().map_or(0, |(row, _)| row.len()),
            inputs: rows.iter().flat_map(|(row, _)| row.iter().copied()).collect(),
            outcomes: rows.iter().map(|(_, outcome)| *outcome).collect(),
            offsets: vec![0.0; rows.len()],
            weights: vec![1.0; rows.len()],
            groups: vec![0; rows.len()],
        }
    }

    fn belief(coefficients: &[(f64, f64)]) -> Belief {
        let coefficients = coefficients.iter().map(|(mean, precision)| Gaussian { mean: *mean, precision: *precision });
        let coefficients: Vec<_> = coefficients.collect();
        let never_negative = vec![false; coefficients.len()];
        Belief { coefficients, intercepts: vec![Gaussian::default()], never_negative }
    }

    /// Of 4 without the input 1 is bad, of 4 with it 3 are: odds of 1/3 and 3.
    fn known() -> Table {
        let rows = [(0.0, 1), (0.0, 0), (0.0, 0), (0.0, 0), (1.0, 1), (1.0, 1), (1.0, 1), (1.0, 0)];
        let rows: Vec<([f64; 1], bool)> = rows.iter().map(|(x, bad)| ([*x], *bad == 1)).collect();
        table(&rows.iter().map(|(row, bad)| (row.as_slice(), *bad)).collect::<Vec<_>>())
    }

    #[test]
    fn without_belief_the_odds_are_those_that_were_seen() {
        let fitted = fit(&known(), &belief(&[(0.0, 0.0)]));
        assert!((fitted.intercepts[0] + 3f64.ln()).abs() < 1e-6, "{fitted:?}");
        assert!((fitted.coefficients[0] - 9f64.ln()).abs() < 1e-6, "{fitted:?}");
    }

    #[test]
    fn a_strong_belief_stays_and_a_weak_one_gives_way() {
        assert!((fit(&known(), &belief(&[(0.3, 1e9)])).coefficients[0] - 0.3).abs() < 1e-6);
        let between = fit(&known(), &belief(&[(0.0, 1.0)])).coefficients[0];
        assert!(between > 0.3 && between < 9f64.ln() - 0.3, "{between}");
    }

    #[test]
    fn without_rows_everything_is_as_believed() {
        let mut belief = belief(&[(0.7, 2.0), (-0.2, 1.0)]);
        belief.intercepts[0] = Gaussian { mean: -1.5, precision: 3.0 };
        let fitted = fit(&Table { width: 2, ..Table::default() }, &belief);
        assert_eq!(fitted, Fitted { coefficients: vec![0.7, -0.2], intercepts: vec![-1.5] });
    }

    #[test]
    fn a_coefficient_that_must_not_be_negative_is_zero_and_the_rest_fits() {
        let mut turned = known();
        turned.outcomes.iter_mut().for_each(|bad| *bad = !*bad);
        let mut belief = belief(&[(0.0, 0.01)]);
        assert!(fit(&turned, &belief).coefficients[0] < -1.0);
        belief.never_negative = vec![true];
        let fitted = fit(&turned, &belief);
        assert_eq!(fitted.coefficients, [0.0]);
        assert!(fitted.intercepts[0].abs() < 1e-6, "half of all are bad: {fitted:?}");
    }

    #[test]
    fn what_separates_perfectly_is_bounded_by_the_belief() {
        let rows: Vec<([f64; 1], bool)> = (0..40).map(|i| ([f64::from(i)], i >= 20)).collect();
        let rows: Vec<(&[f64], bool)> = rows.iter().map(|(row, bad)| (row.as_slice(), *bad)).collect();
        let fitted = fit(&table(&rows), &belief(&[(0.0, 0.1)]));
        assert!(fitted.coefficients[0].is_finite() && fitted.coefficients[0] > 0.2, "{fitted:?}");
    }

    #[test]
    fn each_group_has_its_own_intercept() {
        let mut two = known();
        two.groups = vec![0, 0, 0, 0, 1, 1, 1, 1];
        let mut belief = belief(&[(0.0, 1e9)]);
        belief.intercepts = vec![Gaussian::default(); 2];
        let fitted = fit(&two, &belief);
        assert!((fitted.intercepts[0] + 3f64.ln()).abs() < 1e-4 && (fitted.intercepts[1] - 3f64.ln()).abs() < 1e-4);
    }
}
