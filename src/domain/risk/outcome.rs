//! What became of a change: what went wrong, by which evidence, and since when it is known.
//!
//! Knows commits and times. Must never know who wrote a change.
//!
//! A change without evidence is not known to be good: what went wrong with the newest ones may not have come to light.
//! Whoever learns from outcomes leaves out what was not known yet at the time that is learned for.

use crate::domain::ids::{Sha, Timestamp};
use serde::{Deserialize, Serialize};

/// All that is known to have gone wrong with one change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The change, as the commit by which it entered the branch.
    pub change: Sha,
    /// Never empty; what was known first stands first.
    pub evidence: Vec<Evidence>,
}

/// One reason to say that a change went wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    pub kind: EvidenceKind,
    /// The commit that mended or took back the change; `None` when something else showed it.
    pub by: Option<Sha>,
    /// When it became known.
    pub known_at: Timestamp,
}

/// How it is known that a change went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceKind {
    /// A later commit says that it reverts the change: by hash, pull request or title.
    RevertSaid,
    /// A later commit brought the files back to what they were before the change.
    RevertSeen,
    /// A later fix took away lines that the change had brought (SZZ).
    Fixed {
        /// How many lines, blank ones and comments not counted.
        lines: u32,
    },
    /// A hotfix touched the same files soon after.
    Hotfix,
    /// Plimsoll rolled a release back that brought the change.
    RolledBack { environment: String },
    /// A release that brought the change did not pass its verification.
    VerificationFailed { environment: String },
}

impl Outcome {
    /// When the first evidence became known.
    pub fn known_at(&self) -> Option<Timestamp> {
        self.evidence.iter().map(|evidence| evidence.known_at).min()
    }
}

/// Puts outcomes together: one for each change, in the order in which changes come first in the lists; evidence sorted
/// by when it became known, the same evidence once.
pub fn merge(outcomes: impl IntoIterator<Item = Outcome>) -> Vec<Outcome> {
    let mut merged: Vec<Outcome> = Vec::new();
    let mut places = std::collections::BTreeMap::new();
    for outcome in outcomes {
        let place = *places.entry(outcome.change.clone()).or_insert(merged.len());
        match merged.get_mut(place) {
            Some(known) => known.evidence.extend(outcome.evidence),
            None => merged.push(outcome),
        }
    }
    for outcome in &mut merged {
        outcome.evidence.sort_by_key(|evidence| evidence.known_at);
        outcome.evidence.dedup();
    }
    merged.retain(|outcome| !outcome.evidence.is_empty());
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha(digit: &str) -> Sha {
        Sha::parse(&digit.repeat(40)).unwrap()
    }

    fn evidence(kind: EvidenceKind, known_at: i64) -> Evidence {
        Evidence { kind, by: None, known_at: Timestamp(known_at) }
    }

    #[test]
    fn evidence_of_one_change_is_put_together_by_time() {
        let rolled_back = || EvidenceKind::RolledBack { environment: "production".to_owned() };
        let merged = merge([
            Outcome { change: sha("a"), evidence: vec![evidence(EvidenceKind::Fixed { lines: 3 }, 20)] },
            Outcome { change: sha("b"), evidence: vec![evidence(EvidenceKind::RevertSaid, 5)] },
            Outcome { change: sha("a"), evidence: vec![evidence(rolled_back(), 10), evidence(rolled_back(), 10)] },
            Outcome { change: sha("c"), evidence: vec![] },
        ]);
        assert_eq!(merged.len(), 2);
        assert_eq!(merged[0].change, sha("a"));
        assert_eq!(merged[0].evidence.iter().map(|e| e.known_at.0).collect::<Vec<_>>(), [10, 20]);
        assert_eq!(merged[0].known_at(), Some(Timestamp(10)));
    }

    #[test]
    fn an_outcome_is_written_and_read() {
        let outcome = Outcome { change: sha("a"), evidence: vec![evidence(EvidenceKind::Fixed { lines: 3 }, 20)] };
        let json = serde_json::to_string(&outcome).unwrap();
        assert_eq!(serde_json::from_str::<Outcome>(&json).unwrap(), outcome);
    }
}
