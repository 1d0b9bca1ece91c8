//! The risk of several changes that are released together.
//!
//! Knows probabilities. Must never know which changes they are of.

use super::reasons::counted;
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
    /// How the number comes about, in one sentence or two.
    pub fn sentence(&self) -> String {
        let Self { probability, judged, unknown } = self;
        let changes = counted(*judged as f64, "change", "changes");
        let mut said = match judged {
            0 => "No change of this release could be judged.".to_owned(),
            1 => format!("The risk of the one change that was judged: {:.0} %.", 100.0 * probability),
            _ => format!(
                "That at least one of {changes} goes wrong: {:.0} %, which is what is left of 100 % after each of them \
                 goes well, as if they went wrong independently.",
                100.0 * probability
            ),
        };
        if *unknown > 0 && *judged > 0 {
            let unknown = counted(*unknown as f64, "more change", "more changes");
            said.push_str(&format!(" Too little is known of {unknown}, so it is at least that."));
        }
        said
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
        ];
        insta::assert_snapshot!(told.map(|risk| risk.sentence()).join("\n"), @"
        That at least one of 2 changes goes wrong: 60 %, which is what is left of 100 % after each of them goes well, as if they went wrong independently. Too little is known of 1 more change, so it is at least that.
        That at least one of 3 changes goes wrong: 43 %, which is what is left of 100 % after each of them goes well, as if they went wrong independently.
        The risk of the one change that was judged: 25 %.
        No change of this release could be judged.
        ");
    }
}
