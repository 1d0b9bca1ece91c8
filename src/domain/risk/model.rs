//! The additive model: reads its numbers from a data file, and says a probability with its reasons.
//!
//! Knows metrics and numbers. Must never know where either came from, or who wrote the change.
//!
//! # The model
//!
//! With `f` a factor's shape, linear between its knots on the transformed axis and constant beyond them, and `g` what a
//! pair of metrics adds,
//!
//! ```text
//! logit = intercept + sum of f(metric) + sum of g(metric, metric)          p = 1 / (1 + exp(-logit))
//! ```
//!
//! over the metrics that are known: a generalised additive model (Hastie and Tibshirani, *Statistical Science* 1(3),
//! 1986). Shapes are centred on the training data: a metric that is unknown contributes nothing, which is what an average
//! one would.
//!
//! # The reasons
//!
//! `base` is the probability of the intercept alone. The way from there to `p` is shared out in proportion to what each
//! factor adds to the logit, with `S` the sum of these:
//!
//! ```text
//! points = 100 * f * (p - base) / S              base + sum of points = 100 * p
//! ```
//!
//! so that a factor has the sign of its own effect, and nothing is left unexplained. Where `S` is next to nothing the
//! share is the slope `base * (1 - base)`.

use super::fit::logistic;
use super::metric::Metric;
use super::pair::Pair;
use super::shape::Shape;
use super::{ChangeMetrics, Judgement, Reason, Verdict, reasons};
use crate::domain::policy::{Band, RiskPolicy};
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// A model as its file says it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    pub name: String,
    pub version: String,
    pub provenance: Provenance,
    /// The logit that every change starts from.
    pub intercept: f64,
    pub factors: Vec<Factor>,
    #[serde(default)]
    pub pairs: Vec<Pair>,
}

/// Where the numbers come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    pub data: Vec<String>,
    pub protocol: String,
    /// What came out, each as one line.
    pub scores: Vec<String>,
    /// What the numbers cannot do.
    pub limits: Vec<String>,
    /// Day of the training, as `2026-11-22`.
    pub date: String,
}

/// What one metric adds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Factor {
    pub name: Metric,
    #[serde(flatten)]
    pub shape: Shape,
}

impl Factor {
    /// The same with numbers that can be read.
    pub(super) fn rounded(mut self) -> Self {
        self.shape.knots.iter_mut().for_each(|(_, adds)| *adds = neat(*adds));
        self
    }

    /// Whether any value adds anything; a reason of no points would be noise.
    pub(super) fn says_something(&self) -> bool {
        self.shape.knots.iter().any(|(_, adds)| *adds != 0.0)
    }
}

/// Four digits behind the point can be read, and move no probability by a hundredth of a point.
pub(super) fn neat(x: f64) -> f64 {
    // Adding zero makes a plain 0 of the -0 that rounding leaves.
    (x * 1e4).round() / 1e4 + 0.0
}

static SHIPPED: LazyLock<Model> = LazyLock::new(|| {
    // Cannot fail: the file is part of the program, and a test reads it.
    Model::read(include_str!("model.json")).expect("model.json is a model")
});

/// Judges a change by the model that comes with Plimsoll.
pub fn judge(metrics: &ChangeMetrics, policy: &RiskPolicy) -> Verdict {
    judge_with(Model::shipped(), metrics, policy)
}

/// Judges a change by a model, or says in a sentence why it cannot.
pub fn judge_with(model: &Model, metrics: &ChangeMetrics, policy: &RiskPolicy) -> Verdict {
    let judgement = match model.known(metrics, policy) {
        Ok(known) => known,
        Err(because) => Judgement::Abstains { because: because.to_owned() },
    };
    Verdict {
        model: model.title(),
        metrics: metrics.clone(),
        judgement,
        standing: None,
        record: None,
        lower: Vec::new(),
        without_history: None,
    }
}

impl Model {
    /// The model that comes with Plimsoll.
    pub fn shipped() -> &'static Self {
        &SHIPPED
    }

    /// Reads a model, or says what is wrong with it: no JSON of a model, or numbers that make none.
    pub fn read(text: &str) -> Result<Self, String> {
        let model: Self = serde_json::from_str(text).map_err(|error| format!("this is no model: {error}"))?;
        if !model.intercept.is_finite() {
            return Err("the intercept is not a number".to_owned());
        }
        for factor in &model.factors {
            let (name, knots) = (factor.name.name(), &factor.shape.knots);
            if knots.len() < 2 || !knots.windows(2).all(|pair| pair[0].0 < pair[1].0) {
                return Err(format!("`{name}` needs two knots or more, with rising values"));
            }
            if knots.iter().any(|(x, adds)| *x < 0.0 || !x.is_finite() || !adds.is_finite()) {
                return Err(format!("a knot of `{name}` is not a number, or its value is below zero"));
            }
            if model.factors.iter().filter(|other| other.name == factor.name).count() > 1 {
                return Err(format!("`{name}` is there twice"));
            }
        }
        let spread = |pair: &Pair| pair.spread.0 > 0.0 && pair.spread.1 > 0.0;
        match model.pairs.iter().find(|pair| !spread(pair)) {
            Some(pair) => Err(format!("the pair of `{}` has no spread", pair.of.0.name())),
            None => Ok(model),
        }
    }

    /// Name and version, as a verdict names its model: `additive-2`, or `additive-2+repo-5f3a9c` when it is adapted.
    pub fn title(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }

    /// The probability that a change goes wrong, between 0 and 1. What is not known contributes nothing; nothing known
    /// at all gives the base rate, so ask [`judge_with`] where people read the answer.
    pub fn probability(&self, metrics: &ChangeMetrics) -> f64 {
        logistic(self.intercept + self.adds(metrics))
    }

    /// What all that is known of a change adds to the intercept.
    pub(super) fn adds(&self, metrics: &ChangeMetrics) -> f64 {
        let alone = self.factors.iter().filter_map(|factor| Some(factor.shape.adds(factor.name.of(metrics)?)));
        alone.chain(self.pairs.iter().filter_map(|pair| pair.adds(metrics))).sum()
    }

    fn known(&self, metrics: &ChangeMetrics, policy: &RiskPolicy) -> Result<Judgement, &'static str> {
        let lines_known = metrics.lines_added.is_some() || metrics.lines_deleted.is_some();
        if !lines_known && metrics.files.is_none() {
            return Err(
                "GitHub does not say which files and how many lines change, as is the case for very large changes.",
            );
        }
        if metrics.files == Some(0) {
            return Err("Nothing changes but generated or vendored files, of which the model knows nothing.");
        }
        let parts = self.parts(metrics);
        let sum: f64 = parts.iter().map(|part| part.adds).sum();
        let (base, probability) = (logistic(self.intercept), logistic(self.intercept + sum));
        let band = Band::of(probability, policy);
        if !lines_known && band == Band::Low {
            return Err("GitHub does not say how many lines change, and without them a low risk would be a guess.");
        }
        let slope = if sum.abs() < 1e-9 { base * (1.0 - base) } else { (probability - base) / sum };
        let mut reasons: Vec<Reason> = parts
            .into_iter()
            .map(|part| Reason { factor: part.factor, text: part.text, points: 100.0 * slope * part.adds })
            .collect();
        reasons.sort_by(|a, b| b.points.abs().total_cmp(&a.points.abs()));
        Ok(Judgement::Known { probability, band, reasons, base: 100.0 * base })
    }

    /// What each known metric and pair adds to the logit.
    fn parts(&self, metrics: &ChangeMetrics) -> Vec<Part> {
        let alone = self.factors.iter().filter_map(|factor| {
            let value = factor.name.of(metrics)?;
            let (name, adds) = (factor.name.name().to_owned(), factor.shape.adds(value));
            Some(Part { factor: name, text: reasons::says(factor.name, value), adds })
        });
        let together = self.pairs.iter().filter_map(|pair| {
            let name = format!("{} and {}", pair.of.0.name(), pair.of.1.name());
            Some(Part { factor: name, text: reasons::says_both(pair.of, metrics)?, adds: pair.adds(metrics)? })
        });
        alone.chain(together).collect()
    }
}

struct Part {
    factor: String,
    text: String,
    adds: f64,
}

#[cfg(test)]
mod tests;
