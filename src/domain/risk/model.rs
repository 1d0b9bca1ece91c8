//! The additive model: reads its numbers from a data file, and says a probability with its reasons.
//!
//! Knows metrics and numbers. Must never know where either came from, or who wrote the change.
//!
//! # The model
//!
//! With `f` a factor's shape, linear between its knots on the transformed axis and constant beyond them,
//!
//! ```text
//! logit = intercept + sum of f(metric) over the known metrics          p = 1 / (1 + exp(-logit))
//! ```
//!
//! Shapes are centred on the training data: a metric that is unknown contributes nothing, which is what an average
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
//! quotient is its limit, the slope `base * (1 - base)`.

use super::{ChangeMetrics, Judgement, Reason, Verdict};
use crate::domain::policy::{Band, RiskPolicy};
use serde::Deserialize;
use std::sync::LazyLock;

/// A model as its file says it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    pub name: String,
    pub version: String,
    pub provenance: Provenance,
    intercept: f64,
    factors: Vec<Factor>,
}

/// Where the numbers come from.
#[derive(Clone, Debug, PartialEq, Deserialize)]
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

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Factor {
    name: Metric,
    transform: Transform,
    /// Value of the metric in its own unit, and what it adds to the logit; rising.
    knots: Vec<(f64, f64)>,
    words: Vec<Words>,
}

/// What a factor looks at. Adding one here is all that a model with more metrics needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Metric {
    LinesAdded,
    LinesDeleted,
    Files,
    Directories,
    Subsystems,
    Entropy,
    Fix,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Transform {
    Log1p,
    Identity,
}

/// What is said of a value; the first that reaches it counts.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    /// Up to and with this value; left out: without end.
    up_to: Option<f64>,
    /// `{value}` is the value, `{even}` how many equal files have this entropy, both rounded.
    text: String,
}

static SHIPPED: LazyLock<Model> = LazyLock::new(|| {
    // Cannot fail: the file is part of the program, and a test reads it.
    serde_json::from_str(include_str!("model.json")).expect("model.json is a model")
});

/// Judges a change by the model that comes with Plimsoll.
pub fn judge(metrics: &ChangeMetrics, policy: &RiskPolicy) -> Verdict {
    Model::shipped().judge(metrics, policy)
}

impl Model {
    /// The model that comes with Plimsoll.
    pub fn shipped() -> &'static Self {
        &SHIPPED
    }

    /// Name and version.
    pub fn title(&self) -> String {
        format!("{} {}", self.name, self.version)
    }

    /// Judges a change, or says in a sentence why it cannot.
    pub fn judge(&self, metrics: &ChangeMetrics, policy: &RiskPolicy) -> Verdict {
        let judgement = match self.known(metrics, policy) {
            Ok(known) => known,
            Err(because) => Judgement::Abstains { because: because.to_owned() },
        };
        Verdict { model: self.title(), metrics: metrics.clone(), judgement }
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
        let parts: Vec<(&Factor, f64, f64)> = self
            .factors
            .iter()
            .filter_map(|factor| factor.name.of(metrics).map(|value| (factor, value, factor.adds(value))))
            .collect();
        let sum: f64 = parts.iter().map(|(_, _, adds)| adds).sum();
        let (base, probability) = (logistic(self.intercept), logistic(self.intercept + sum));
        let band = Band::of(probability, policy);
        if !lines_known && band == Band::Low {
            return Err("GitHub does not say how many lines change, and without them a low risk would be a guess.");
        }
        let slope = if sum.abs() < 1e-9 { base * (1.0 - base) } else { (probability - base) / sum };
        let mut reasons: Vec<Reason> = parts
            .iter()
            .map(|(factor, value, adds)| Reason {
                factor: factor.name.name().to_owned(),
                text: factor.says(*value),
                points: 100.0 * slope * adds,
            })
            .collect();
        reasons.sort_by(|a, b| b.points.abs().total_cmp(&a.points.abs()));
        Ok(Judgement::Known { probability, band, reasons, base: 100.0 * base })
    }
}

impl Metric {
    fn name(self) -> &'static str {
        match self {
            Self::LinesAdded => "lines_added",
            Self::LinesDeleted => "lines_deleted",
            Self::Files => "files",
            Self::Directories => "directories",
            Self::Subsystems => "subsystems",
            Self::Entropy => "entropy",
            Self::Fix => "fix",
        }
    }

    fn of(self, metrics: &ChangeMetrics) -> Option<f64> {
        let number = |n: Option<u64>| n.map(|n| n as f64);
        match self {
            Self::LinesAdded => number(metrics.lines_added),
            Self::LinesDeleted => number(metrics.lines_deleted),
            Self::Files => number(metrics.files),
            Self::Directories => number(metrics.directories),
            Self::Subsystems => number(metrics.subsystems),
            Self::Entropy => metrics.entropy.filter(|bits| bits.is_finite()),
            Self::Fix => metrics.fix.map(|fix| if fix { 1.0 } else { 0.0 }),
        }
    }
}

impl Factor {
    /// What a value adds to the logit.
    fn adds(&self, value: f64) -> f64 {
        let axis = |x: f64| match self.transform {
            Transform::Log1p => x.ln_1p(),
            Transform::Identity => x,
        };
        let after = self.knots.partition_point(|(x, _)| *x <= value);
        match (after.checked_sub(1).and_then(|i| self.knots.get(i)), self.knots.get(after)) {
            (Some((x0, y0)), Some((x1, y1))) => y0 + (y1 - y0) * (axis(value) - axis(*x0)) / (axis(*x1) - axis(*x0)),
            (Some((_, end)), None) | (None, Some((_, end))) => *end,
            (None, None) => 0.0,
        }
    }

    fn says(&self, value: f64) -> String {
        let words = self.words.iter().find(|words| words.up_to.is_none_or(|bound| value <= bound));
        let text = words.map_or("", |words| words.text.as_str());
        text.replace("{value}", &format!("{value:.0}")).replace("{even}", &format!("{:.0}", value.exp2()))
    }
}

fn logistic(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn metrics(la: u64, ld: u64, nf: u64, nd: u64, ns: u64, ent: f64, fix: bool) -> ChangeMetrics {
        ChangeMetrics {
            lines_added: Some(la),
            lines_deleted: Some(ld),
            files: Some(nf),
            directories: Some(nd),
            subsystems: Some(ns),
            entropy: Some(ent),
            fix: Some(fix),
            history: None,
        }
    }

    fn shown(metrics: &ChangeMetrics) -> String {
        match judge(metrics, &RiskPolicy::default()).judgement {
            Judgement::Known { probability, band, reasons, base } => {
                let reasons = reasons.iter().map(|r| format!("\n  {:+.1} {}", r.points, r.text)).collect::<String>();
                format!("{:.1} % {}, from {base:.1}{reasons}", 100.0 * probability, band.word())
            }
            Judgement::Abstains { because } => because,
        }
    }

    /// A place holder that nothing was put into.
    fn unfilled(text: &str) -> bool {
        text.contains(['{', '}'])
    }

    #[test]
    fn a_judgement_reads_as_reasons_with_their_size() {
        insta::assert_snapshot!(shown(&metrics(412, 120, 14, 9, 3, 3.2, false)), @"
        57.8 % critical, from 16.7
          +26.3 adds 412 lines
          +10.3 touches 14 files
          -2.8 does not say that it is a fix
          +2.5 deletes 120 lines
          +2.4 spreads its lines as if evenly over 9 files
          +1.6 touches 9 directories
          +0.9 touches 3 top-level directories
        ");
        insta::assert_snapshot!(shown(&metrics(1, 1, 1, 1, 1, 0.0, false)), @"
        3.4 % low, from 16.7
          -9.4 adds 1 line
          -1.0 does not say that it is a fix
          -0.9 deletes 1 line
          -0.8 has its lines mostly in one file
          -0.6 touches 1 file
          -0.5 touches 1 directory
          -0.1 stays in 1 top-level directory
        ");
        insta::assert_snapshot!(shown(&metrics(0, 60, 1, 1, 1, 0.0, true)), @"
        4.0 % low, from 16.7
          -14.3 adds no lines
          +2.8 says that it is a fix
          +0.9 deletes 60 lines
          -0.8 has its lines mostly in one file
          -0.7 touches 1 file
          -0.5 touches 1 directory
          -0.1 stays in 1 top-level directory
        ");
        insta::assert_snapshot!(shown(&ChangeMetrics { entropy: None, lines_added: None, ..metrics(0, 900, 40, 20, 5, 0.0, false) }), @"
        29.8 % moderate, from 16.7
          +11.3 touches 40 files
          -2.3 does not say that it is a fix
          +2.0 deletes 900 lines
          +1.3 touches 20 directories
          +0.7 touches 5 top-level directories
        ");
    }

    #[test]
    fn typical_changes_fall_in_sensible_bands() {
        let changes = [
            ("one line", metrics(1, 1, 1, 1, 1, 0.0, false)),
            ("a small fix", metrics(8, 3, 2, 1, 1, 0.8, true)),
            ("a small feature", metrics(60, 10, 4, 2, 1, 1.6, false)),
            ("a feature", metrics(250, 60, 8, 4, 2, 2.4, false)),
            ("a large feature", metrics(1_200, 300, 30, 12, 4, 4.0, false)),
            ("a removal", metrics(0, 400, 10, 3, 1, 2.5, false)),
        ];
        let told: Vec<String> = changes
            .iter()
            .map(|(name, metrics)| format!("{name}: {}", shown(metrics).lines().next().unwrap_or_default()))
            .collect();
        insta::assert_snapshot!(told.join("\n"), @"
        one line: 3.4 % low, from 16.7
        a small fix: 18.0 % moderate, from 16.7
        a small feature: 37.2 % high, from 16.7
        a feature: 54.1 % high, from 16.7
        a large feature: 61.8 % critical, from 16.7
        a removal: 5.7 % low, from 16.7
        ");
    }

    #[test]
    fn the_model_abstains_when_it_knows_too_little() {
        let nothing = ChangeMetrics { fix: Some(true), ..ChangeMetrics::default() };
        let no_lines = ChangeMetrics { files: Some(1), directories: Some(1), ..ChangeMetrics::default() };
        let told = [nothing, no_lines, metrics(0, 0, 0, 0, 0, 0.0, false)].map(|metrics| shown(&metrics));
        insta::assert_snapshot!(told.join("\n"), @"
        GitHub does not say which files and how many lines change, as is the case for very large changes.
        GitHub does not say how many lines change, and without them a low risk would be a guess.
        Nothing changes but generated or vendored files, of which the model knows nothing.
        ");
    }

    #[test]
    fn the_shipped_model_is_well_formed_and_says_where_it_comes_from() {
        let model = Model::shipped();
        assert!(model.intercept.is_finite());
        for factor in &model.factors {
            assert!(factor.knots.windows(2).all(|pair| pair[0].0 < pair[1].0), "{:?}", factor.name);
            assert!(factor.knots.len() >= 2 && factor.knots.iter().all(|(x, y)| *x >= 0.0 && y.is_finite()));
            assert!(factor.words.last().is_some_and(|words| words.up_to.is_none()), "{:?}", factor.name);
        }
        let names: Vec<_> = model.factors.iter().map(|factor| factor.name.name()).collect();
        assert_eq!(names, ["lines_added", "lines_deleted", "files", "directories", "subsystems", "entropy", "fix"]);
        let provenance = &model.provenance;
        assert!(!provenance.data.is_empty() && !provenance.scores.is_empty() && provenance.date.len() == 10);
    }

    #[test]
    fn more_lines_or_files_never_mean_less_risk() {
        for factor in &Model::shipped().factors {
            match factor.name {
                Metric::Fix => {}
                Metric::LinesAdded
                | Metric::LinesDeleted
                | Metric::Files
                | Metric::Directories
                | Metric::Subsystems
                | Metric::Entropy => {
                    assert!(factor.knots.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{:?}", factor.name);
                }
            }
        }
    }

    #[test]
    fn beyond_its_knots_a_shape_stays_where_it_ends() {
        let factor = Factor {
            name: Metric::Files,
            transform: Transform::Log1p,
            knots: vec![(1.0, -1.0), (3.0, 1.0)],
            words: vec![],
        };
        assert_eq!((factor.adds(0.0), factor.adds(1.0), factor.adds(3.0), factor.adds(1e12)), (-1.0, -1.0, 1.0, 1.0));
        assert!((factor.adds(8f64.sqrt() - 1.0)).abs() < 1e-12, "halfway on the axis of logarithms");
    }

    #[test]
    fn reasons_add_up_also_when_they_cancel_out() {
        let mut model = Model::shipped().clone();
        let flat = |y| vec![(0.0, y), (1.0, y)];
        model.factors.truncate(2);
        model.factors[0].knots = flat(0.7);
        model.factors[1].knots = flat(-0.7);
        match model.judge(&metrics(1, 1, 1, 1, 1, 0.0, false), &RiskPolicy::default()).judgement {
            Judgement::Known { reasons, .. } => assert!(reasons.iter().all(|reason| reason.points.abs() > 1.0)),
            Judgement::Abstains { because } => panic!("{because}"),
        }
    }

    proptest! {
        #[test]
        fn base_and_points_add_up_to_the_probability(
            la in proptest::option::of(0u64..1_000_000), ld in proptest::option::of(0u64..1_000_000), nf in 1u64..5_000,
            nd in proptest::option::of(0u64..3_000), ns in 0u64..300, ent in proptest::option::of(0f64..14.0), fix: bool) {
            let metrics = ChangeMetrics { lines_added: la, lines_deleted: ld, directories: nd, entropy: ent, ..metrics(0, 0, nf, 0, ns, 0.0, fix) };
            if let Judgement::Known { probability, band, reasons, base } = judge(&metrics, &RiskPolicy::default()).judgement {
                let sum = base + reasons.iter().map(|reason| reason.points).sum::<f64>();
                prop_assert!((sum - 100.0 * probability).abs() < 1e-9);
                prop_assert!(probability > 0.0 && probability < 1.0);
                prop_assert_eq!(band, Band::of(probability, &RiskPolicy::default()));
                prop_assert!(reasons.windows(2).all(|pair| pair[0].points.abs() >= pair[1].points.abs()));
                prop_assert!(reasons.iter().all(|reason| !reason.text.is_empty() && !unfilled(&reason.text)));
            }
        }
    }
}
