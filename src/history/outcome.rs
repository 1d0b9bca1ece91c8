//! What the repository itself says went wrong: reverts and hotfixes. Fixes are traced in `szz`.
//!
//! Knows changes in their order. Must never look into the repository.

use super::index::Change;
use super::szz::Fixes;
use super::walk::{Step, short};
use crate::domain::ids::{Sha, Timestamp};
use crate::domain::risk::{Evidence, EvidenceKind, Outcome, merge};
use gix_hash::ObjectId;
use std::collections::{BTreeSet, HashMap};

/// Changes that one revert may take back as far as only the files show it.
const SEEN_BACK_MAX: usize = 20;
/// Changes before a revert among which its title is looked for.
const TITLE_BACK_MAX: usize = 2_000;
/// How soon a hotfix comes after what it mends, in seconds.
const HOTFIX_SECONDS: i64 = 2 * 86_400;

/// All outcomes, in the order of the changes.
pub(super) fn outcomes(changes: impl Iterator<Item = Change>, paths: usize) -> Vec<Outcome> {
    let mut steps: Vec<Step> = Vec::new();
    let mut fixes = Fixes::new(paths);
    let mut hotfixes = Hotfixes::default();
    let mut labels = Vec::new();
    // One change at a time: together their files would take a lot of room.
    for (at, change) in changes.enumerate() {
        fixes.take(at, &change, &mut labels);
        hotfixes.take(at, &change, &steps, &mut labels);
        steps.push(change.step);
    }
    labels.extend(said(&steps).into_iter().chain(seen(&steps)));
    // What the first commit brought was there before anybody could judge a change.
    labels.retain(|label| label.change < label.by && steps[label.change].parent.is_some());
    labels.sort_by_key(|label| (label.change, label.by));
    let outcome = |label: Label| Outcome {
        change: sha(&steps[label.change].id),
        evidence: vec![Evidence {
            by: Some(sha(&steps[label.by].id)),
            known_at: Timestamp(steps[label.by].committed.saturating_mul(1_000)),
            kind: label.kind,
        }],
    };
    merge(labels.into_iter().map(outcome))
}

/// A change that went wrong and the one that shows it, by their places.
pub(super) struct Label {
    pub change: usize,
    pub by: usize,
    pub kind: EvidenceKind,
}

pub(super) fn sha(id: &ObjectId) -> Sha {
    let text = id.to_string();
    // Never fails: an object's name is 40 hexadecimal digits.
    Sha::parse(&text).expect("a full hash")
}

/// Reverts that say so, in git's or GitHub's words.
fn said(changes: &[Step]) -> Vec<Label> {
    let mut by_hash: HashMap<u64, usize> = HashMap::new();
    let mut by_pull: HashMap<u64, usize> = HashMap::new();
    let mut labels = Vec::new();
    for (at, change) in changes.iter().enumerate() {
        let message = &change.message;
        let mut found: Vec<usize> =
            message.reverts.iter().filter_map(|hash| with_hash(changes, at, hash, &by_hash)).collect();
        if found.is_empty() {
            found.extend(message.reverted_pull.and_then(|number| by_pull.get(&number)));
        }
        if found.is_empty()
            && let Some(title) = &message.reverted_title
        {
            let before = changes[at.saturating_sub(TITLE_BACK_MAX)..at].iter().enumerate().rev();
            // GitHub's squashed pull requests have their number behind the title.
            let is = |other: &Step| {
                let own = &other.message.title;
                own == title || own.strip_prefix(title.as_str()).is_some_and(|rest| rest.starts_with(" (#"))
            };
            let place = before.into_iter().find(|(_, other)| is(other)).map(|(place, _)| place);
            found.extend(place.map(|place| at.saturating_sub(TITLE_BACK_MAX) + place));
        }
        labels.extend(found.into_iter().map(|change| Label { change, by: at, kind: EvidenceKind::RevertSaid }));
        by_hash.insert(short(&change.id), at);
        by_hash.extend(change.brings.iter().map(|brought| (*brought, at)));
        if let Some(number) = message.pull {
            by_pull.insert(number, at);
        }
    }
    labels
}

/// The change that is, or brought, the commit of a hash of 7 digits or more.
fn with_hash(changes: &[Step], before: usize, hash: &str, by_hash: &HashMap<u64, usize>) -> Option<usize> {
    if let Some(start) = hash.get(..16) {
        return by_hash.get(&u64::from_str_radix(start, 16).ok()?).copied();
    }
    let bits = 4 * u32::try_from(hash.len()).ok()?;
    let start = u64::from_str_radix(hash, 16).ok()?;
    let fits = |number: u64| number >> (64 - bits) == start;
    let has = |change: &Step| fits(short(&change.id)) || change.brings.iter().any(|brought| fits(*brought));
    changes[..before].iter().rposition(has)
}

/// Changes after which the files are what they were before an earlier change.
fn seen(changes: &[Step]) -> Vec<Label> {
    let mut labels = Vec::new();
    for (at, change) in changes.iter().enumerate() {
        if Some(change.tree) == change.tree_before {
            continue;
        }
        let back = at.saturating_sub(SEEN_BACK_MAX)..at;
        if let Some(first) = back.rev().find(|before| changes[*before].tree_before == Some(change.tree)) {
            let undone = (first..at).filter(|before| {
                let step = &changes[*before];
                Some(step.tree) != step.tree_before
            });
            labels.extend(undone.map(|change| Label { change, by: at, kind: EvidenceKind::RevertSeen }));
        }
    }
    labels
}

/// Finds the last change of each file that a hotfix touches, if it was soon before.
#[derive(Default)]
struct Hotfixes {
    last: HashMap<u32, usize>,
}

impl Hotfixes {
    fn take(&mut self, at: usize, change: &Change, before: &[Step], labels: &mut Vec<Label>) {
        if change.step.message.hotfix {
            let soon = |earlier: &usize| {
                let since = change.step.committed.saturating_sub(before[*earlier].committed);
                (0..=HOTFIX_SECONDS).contains(&since)
            };
            let touched = change.files.iter().filter_map(|file| self.last.get(&file.was.unwrap_or(file.path)));
            let found: BTreeSet<usize> = touched.copied().filter(soon).collect();
            labels.extend(found.into_iter().map(|change| Label { change, by: at, kind: EvidenceKind::Hotfix }));
        }
        self.last.extend(change.files.iter().map(|file| (file.path, at)));
    }
}
