//! How a repository's own verdicts turned out, and whether the model still holds there.
//!
//! Knows past probabilities and outcomes. Must never know a clock, or who wrote a change: it judges the model.

use super::adapt::{Learning, adapt, level_only};
use super::model::Model;
use super::row::TrainingRow;
use crate::domain::ids::Timestamp;
use crate::domain::policy::{Band, RiskPolicy};
use serde::{Deserialize, Serialize};

/// Outcomes below which nothing is said of calibration.
const OUTCOMES_MIN: usize = 50;
/// A distance that chance reaches in 1 of 370 looks; a smaller one would cry wolf, because there is a look each day.
const Z_MAX: f64 = 3.0;

/// A verdict of the past and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastVerdict {
    /// What was said, between 0 and 1.
    pub probability: f64,
    pub bad: bool,
}

/// Verdicts of one band and how many went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BandAccuracy {
    pub band: Band,
    pub changes: usize,
    pub bad: usize,
}

/// How far what was said and what happened lie apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    pub changes: usize,
    /// Changes that went wrong.
    pub bad: usize,
    /// How many were expected to: the sum of the probabilities.
    pub expected: f64,
    /// Standard deviations between both: the level is wrong when it is far from 0. Normal approximation of the sum of
    /// independent trials, which for one probability is the binomial test.
    pub level_z: f64,
    /// Spiegelhalter's z (*Statistics in Medicine* 5(5), 1986): also far from 0 when probabilities are too bold or too
    /// timid though their sum is right.
    pub spiegelhalter_z: f64,
}

/// Each band's verdicts, the highest band first; bands without any are left out.
pub fn accuracy(past: &[PastVerdict], policy: &RiskPolicy) -> Vec<BandAccuracy> {
    let bands = [Band::Critical, Band::High, Band::Moderate, Band::Low];
    bands
        .into_iter()
        .map(|band| {
            let of = || past.iter().filter(move |past| Band::of(past.probability, policy) == band);
            BandAccuracy { band, changes: of().count(), bad: of().filter(|past| past.bad).count() }
        })
        .filter(|accuracy| accuracy.changes > 0)
        .collect()
}

impl BandAccuracy {
    /// For instance `Of 40 changes called high, 12 needed a fix.`
    pub fn sentence(&self) -> String {
        let changes = if self.changes == 1 { "change" } else { "changes" };
        let bad = if self.bad == 0 { "none".to_owned() } else { self.bad.to_string() };
        format!("Of {} {changes} called {}, {bad} needed a fix.", self.changes, self.band.word())
    }
}

/// Compares what was said with what happened; `None` below [`OUTCOMES_MIN`] outcomes.
pub fn calibration(past: &[PastVerdict]) -> Option<Calibration> {
    if past.len() < OUTCOMES_MIN {
        return None;
    }
    let outcome = |past: &PastVerdict| if past.bad { 1.0 } else { 0.0 };
    let sum = |of: &dyn Fn(&PastVerdict) -> f64| past.iter().map(of).sum::<f64>();
    let variance = |past: &PastVerdict| past.probability * (1.0 - past.probability);
    let lean = |past: &PastVerdict| 1.0 - 2.0 * past.probability;
    let off = |past: &PastVerdict| outcome(past) - past.probability;
    let expected = sum(&|past| past.probability);
    Some(Calibration {
        changes: past.len(),
        bad: past.iter().filter(|past| past.bad).count(),
        expected,
        level_z: ratio(sum(&off), sum(&variance)),
        spiegelhalter_z: ratio(
            sum(&|past| off(past) * lean(past)),
            sum(&|past| lean(past) * lean(past) * variance(past)),
        ),
    })
}

/// A sum over its standard deviation. Without any spread it is 0 when the sum is, and as far off as can be otherwise.
fn ratio(sum: f64, variance: f64) -> f64 {
    if variance > 0.0 {
        sum / variance.sqrt()
    } else if sum.abs() < 1e-12 {
        0.0
    } else {
        f64::INFINITY.copysign(sum)
    }
}

impl Calibration {
    /// Whether the distance is more than chance explains.
    pub fn has_drifted(&self) -> bool {
        self.level_z.abs() > Z_MAX || self.spiegelhalter_z.abs() > Z_MAX
    }

    /// What people are told, two sentences.
    pub fn sentence(&self) -> String {
        let Self { changes, bad, expected, .. } = self;
        let fact = format!("Of {changes} changes {bad} needed a fix, where the model expected {expected:.0}.");
        let how = if self.has_drifted() { "That is further off than chance explains." } else { "Chance explains it." };
        format!("{fact} {how}")
    }
}

/// The model to use in a repository from now on, and how its last verdicts did.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    pub model: Model,
    pub evidence: Learning,
    /// Of the verdicts that were given; `None`: too few outcomes.
    pub calibration: Option<Calibration>,
    /// Whether only the level was learned because the verdicts had drifted.
    pub fell_back: bool,
}

impl Checked {
    /// That the verdicts have drifted and what follows, for people; `None`: they hold, or too little is known.
    pub fn drift(&self) -> Option<String> {
        let drifted = self.calibration.filter(Calibration::has_drifted)?;
        let follows = match self.fell_back {
            true => "The model does not hold here: until it does, only its level is learned.",
            false => "It is still closer than the model that Plimsoll ships, so it stays.",
        };
        Some(format!("{} {follows}", drifted.sentence()))
    }
}

/// A past verdict beside what the model as it is shipped would have said of the same change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeldTo {
    pub said: PastVerdict,
    pub shipped: f64,
}

/// Adapts a model to a repository. When the verdicts given there have drifted away from what happens, and the model as it is
/// shipped would have been closer (by the Brier score), its shapes are kept and only the level moves, until that is over.
///
/// `past`: the newest verdicts with an outcome. `rows`, `now` and `ahead` as for [`adapt`].
pub fn checked(model: &Model, past: &[HeldTo], rows: &[TrainingRow], now: Timestamp, ahead: usize) -> Checked {
    let said: Vec<PastVerdict> = past.iter().map(|held| held.said).collect();
    let calibration = calibration(&said);
    let off = |probability: f64, bad: bool| (probability - if bad { 1.0 } else { 0.0 }).powi(2);
    let ours: f64 = said.iter().map(|said| off(said.probability, said.bad)).sum();
    let shipped: f64 = past.iter().map(|held| off(held.shipped, held.said.bad)).sum();
    let fell_back = calibration.is_some_and(|calibration| calibration.has_drifted()) && ours > shipped;
    let (model, evidence) =
        if fell_back { level_only(model, rows, now, ahead) } else { adapt(model, rows, now, ahead) };
    Checked { model, evidence, calibration, fell_back }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::risk::draw::Draw;

    /// So many verdicts of one probability, of which so many went wrong.
    fn verdicts(probability: f64, n: usize, bad: usize) -> Vec<PastVerdict> {
        (0..n).map(|i| PastVerdict { probability, bad: i < bad }).collect()
    }

    #[test]
    fn the_accuracy_is_told_band_by_band() {
        let past = [verdicts(0.4, 40, 12), verdicts(0.05, 90, 0), verdicts(0.2, 1, 1)].concat();
        let told: Vec<String> = accuracy(&past, &RiskPolicy::default()).iter().map(BandAccuracy::sentence).collect();
        insta::assert_snapshot!(told.join("\n"), @"
        Of 40 changes called high, 12 needed a fix.
        Of 1 change called moderate, 1 needed a fix.
        Of 90 changes called low, none needed a fix.
        ");
        assert_eq!(accuracy(&[], &RiskPolicy::default()), []);
    }

    #[test]
    fn of_one_probability_the_level_test_is_the_binomial_one() {
        let told = calibration(&verdicts(0.25, 100, 35)).unwrap();
        assert!((told.level_z - 10.0 / (100.0f64 * 0.25 * 0.75).sqrt()).abs() < 1e-12);
        assert!((told.spiegelhalter_z - told.level_z).abs() < 1e-12, "with one probability both are the same");
        assert!(!told.has_drifted() && calibration(&verdicts(0.25, 100, 45)).unwrap().has_drifted());
    }

    #[test]
    fn too_bold_verdicts_are_found_though_their_sum_is_right() {
        let past = [verdicts(0.02, 200, 40), verdicts(0.98, 200, 160)].concat();
        let told = calibration(&past).unwrap();
        assert!(told.level_z.abs() < 0.1 && told.spiegelhalter_z.abs() > 10.0, "{told:?}");
        assert!(told.has_drifted());
    }

    #[test]
    fn a_model_that_holds_is_seldom_called_adrift() {
        let mut draw = Draw::seeded(11);
        let drifted = (0..400).filter(|_| {
            let past: Vec<PastVerdict> = (0..150)
                .map(|_| {
                    let probability = draw.share() * 0.6;
                    PastVerdict { probability, bad: draw.share() < probability }
                })
                .collect();
            calibration(&past).unwrap().has_drifted()
        });
        assert!(drifted.count() <= 6, "two looks of a chance of 1 in 370 each");
    }

    #[test]
    fn the_calibration_is_told_in_sentences() {
        let told =
            [verdicts(0.25, 100, 30), verdicts(0.25, 100, 60)].map(|past| calibration(&past).unwrap().sentence());
        insta::assert_snapshot!(told.join("\n"), @"
        Of 100 changes 30 needed a fix, where the model expected 25. Chance explains it.
        Of 100 changes 60 needed a fix, where the model expected 25. That is further off than chance explains.
        ");
        assert_eq!(calibration(&verdicts(0.5, OUTCOMES_MIN - 1, 0)), None);
    }

    #[test]
    fn it_falls_back_only_when_what_it_falls_back_to_was_closer() {
        let told = |bad: usize, shipped: f64| {
            let held: Vec<HeldTo> = verdicts(0.25, 100, bad).into_iter().map(|said| HeldTo { said, shipped }).collect();
            let found = checked(Model::shipped(), &held, &[], Timestamp(0), 0);
            (found.fell_back, found.drift())
        };
        assert_eq!(told(30, 0.3), (false, None), "chance explains it");
        let (fell_back, drift) = told(60, 0.5);
        assert!(fell_back);
        insta::assert_snapshot!(drift.unwrap(), @"Of 100 changes 60 needed a fix, where the model expected 25. That is further off than chance explains. The model does not hold here: until it does, only its level is learned.");
        let (fell_back, drift) = told(60, 0.1);
        assert!(!fell_back);
        insta::assert_snapshot!(drift.unwrap(), @"Of 100 changes 60 needed a fix, where the model expected 25. That is further off than chance explains. It is still closer than the model that Plimsoll ships, so it stays.");
    }

    #[test]
    fn what_is_certain_and_wrong_has_drifted() {
        assert!(calibration(&verdicts(0.0, 60, 1)).unwrap().has_drifted());
        assert!(!calibration(&verdicts(0.0, 60, 0)).unwrap().has_drifted());
    }
}
