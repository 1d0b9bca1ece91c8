//! Where a change stands among others, and whether a verdict stays steady from push to push.
//!
//! Knows probabilities and bands. Must never know a model.

use super::{Judgement, Verdict};
use crate::domain::policy::{Band, RiskPolicy};
use serde::{Deserialize, Serialize};

/// Changes below which a place among them says nothing.
const CHANGES_MIN: usize = 20;
/// How far beyond a bound a probability has to be to leave a band that a pull request was in.
const STEADY: f64 = 0.04;

/// Where a change stands among a repository's changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Of a hundred of the repository's changes, so many are less risky; changes of equal risk count half.
    pub percentile: u8,
    /// Among how many changes.
    pub among: usize,
}

/// Where a probability stands among those of recent changes; `None` among fewer than [`CHANGES_MIN`].
pub fn standing(probability: f64, recent: &[f64]) -> Option<Standing> {
    if recent.len() < CHANGES_MIN {
        return None;
    }
    let below = recent.iter().filter(|other| **other < probability).count();
    let equal = recent.iter().filter(|other| **other == probability).count();
    let percentile = 100 * (2 * below + equal) / (2 * recent.len());
    Some(Standing { percentile: u8::try_from(percentile).unwrap_or(100), among: recent.len() })
}

impl Standing {
    /// For instance `riskier than 93 % of the last 250 changes here`.
    pub fn words(&self) -> String {
        let Self { percentile, among } = self;
        format!("riskier than {percentile} % of the last {among} changes here")
    }
}

/// A verdict that keeps the band of the one before it while its probability is hardly beyond the bound: one more line
/// must not move a pull request from band to band. The probability and the reasons stay those of the new verdict.
///
/// Only between verdicts of one model; a change of model or an unknown risk starts afresh.
pub fn steady(before: &Verdict, mut verdict: Verdict, policy: &RiskPolicy) -> Verdict {
    if before.model != verdict.model {
        return verdict;
    }
    if let (Judgement::Known { band: was, .. }, Judgement::Known { probability, band, .. }) =
        (&before.judgement, &mut verdict.judgement)
    {
        let leaves = |by: f64| Band::of((*probability + by).clamp(0.0, 1.0), policy);
        // Upwards it must be in a higher band even a little lower, downwards in a lower one even a little higher.
        let (from, to) = (leaves(-STEADY), leaves(STEADY));
        *band = (*was).clamp(from, to);
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::risk::{ChangeMetrics, judge};

    #[test]
    fn a_place_is_told_among_enough_changes() {
        let recent: Vec<f64> = (0..40).map(|i| f64::from(i) / 40.0).collect();
        let told = standing(0.875, &recent).unwrap();
        insta::assert_snapshot!(told.words(), @"riskier than 88 % of the last 40 changes here");
        assert_eq!(standing(1.0, &recent).unwrap().percentile, 100);
        assert_eq!(standing(0.0, &recent).unwrap().percentile, 1);
        assert_eq!(standing(0.5, &recent[..CHANGES_MIN - 1]), None);
        assert_eq!(standing(0.3, &[0.3; 30]).unwrap().percentile, 50);
    }

    fn verdict(probability: f64, policy: &RiskPolicy) -> Verdict {
        let band = Band::of(probability, policy);
        let judgement = Judgement::Known { probability, band, reasons: Vec::new(), base: 20.0 };
        let given = |judgement| Verdict {
            model: "additive-2".into(),
            metrics: ChangeMetrics::default(),
            judgement,
            standing: None,
            record: None,
            lower: Vec::new(),
            without_history: None,
        };
        given(judgement)
    }

    #[test]
    fn a_band_is_left_only_well_beyond_its_bound() {
        let policy = RiskPolicy::default();
        let then =
            |before: f64, now: f64| match steady(&verdict(before, &policy), verdict(now, &policy), &policy).judgement {
                Judgement::Known { band, .. } => band,
                Judgement::Abstains { because } => panic!("{because}"),
            };
        assert_eq!((then(0.29, 0.305), then(0.29, 0.35)), (Band::Moderate, Band::High));
        assert_eq!((then(0.31, 0.295), then(0.31, 0.25)), (Band::High, Band::Moderate));
        assert_eq!((then(0.10, 0.90), then(0.90, 0.10)), (Band::Critical, Band::Low));
    }

    #[test]
    fn another_model_or_an_unknown_risk_starts_afresh() {
        let policy = RiskPolicy::default();
        let other = Verdict { model: "additive-1".into(), ..verdict(0.29, &policy) };
        assert_eq!(steady(&other, verdict(0.305, &policy), &policy), verdict(0.305, &policy));
        let unknown = judge(&ChangeMetrics::default(), &policy);
        let unknown = Verdict { model: "additive-2".into(), ..unknown };
        assert_eq!(steady(&unknown, verdict(0.305, &policy), &policy), verdict(0.305, &policy));
        assert_eq!(steady(&verdict(0.29, &policy), unknown.clone(), &policy), unknown);
    }
}
