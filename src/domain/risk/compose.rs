//! The risk of several changes that are released together.
//!
//! Knows probabilities. Must never know which changes they are of.

use serde::{Deserialize, Serialize};

/// The risk of several changes that are released together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReleaseRisk {
    /// Probability that at least one of the judged changes needs a fix, a revert or a rollback; 0 when there is none.
    pub probability: f64,
    /// Changes that were judged.
    pub judged: usize,
    /// Changes of which too little is known: the probability is then a lower bound.
    pub unknown: usize,
}

/// Composes the risk of a release from its changes: `1 - (1 - p1)(1 - p2)...`.
///
/// That is the probability that at least one of them goes wrong if they go wrong independently. Changes of one release
/// often share a cause, so it rather says too much than too little.
pub fn compose(probabilities: impl IntoIterator<Item = Option<f64>>) -> ReleaseRisk {
    let mut risk = ReleaseRisk::default();
    let mut all_well = 1.0;
    for probability in probabilities {
        match probability {
            Some(probability) => {
                all_well *= 1.0 - probability;
                risk.judged += 1;
            }
            None => risk.unknown += 1,
        }
    }
    risk.probability = 1.0 - all_well;
    risk
}

impl ReleaseRisk {
    /// What the probability means and how it comes about, in a sentence or two.
    pub fn sentence(&self) -> String {
        let Self { probability, judged, unknown } = self;
        let percent = format!("{:.0} %", 100.0 * probability);
        match (judged, unknown) {
            (0, 0) => "It brings no change that could be judged.".to_owned(),
            (0, 1) => "Too little is known of its one change.".to_owned(),
            (0, all) => format!("Too little is known of all {all} changes."),
            (1, 0) => "That its one change needs a fix, a revert or a rollback.".to_owned(),
            (all, 0) => format!(
                "That at least one of {all} changes needs a fix, a revert or a rollback: 100 % less the chance that each \
                 goes well, each taken as independent of the others."
            ),
            (judged, unknown) => format!(
                "Too little is known of {unknown} of {} changes. That one of the others needs a fix, a revert or a \
                 rollback: {percent}, so it is at least that.",
                judged + unknown
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_riskier_than_its_riskiest_change() {
        let risk = compose([Some(0.5), Some(0.2), None]);
        assert!((risk.probability - 0.6).abs() < 1e-12);
        assert_eq!((risk.judged, risk.unknown), (2, 1));
        assert_eq!(compose([]), ReleaseRisk { probability: 0.0, judged: 0, unknown: 0 });
    }

    #[test]
    fn it_says_how_it_comes_about() {
        let told = [
            compose([Some(0.5), Some(0.2), None]),
            compose([Some(0.1), Some(0.1), Some(0.3)]),
            compose([Some(0.25)]),
            compose([None]),
            compose([None, None]),
            compose([]),
        ];
        insta::assert_snapshot!(told.map(|risk| risk.sentence()).join("\n"), @"
        Too little is known of 1 of 3 changes. That one of the others needs a fix, a revert or a rollback: 60 %, so it is at least that.
        That at least one of 3 changes needs a fix, a revert or a rollback: 100 % less the chance that each goes well, each taken as independent of the others.
        That its one change needs a fix, a revert or a rollback.
        Too little is known of its one change.
        Too little is known of all 2 changes.
        It brings no change that could be judged.
        ");
    }
}
