//! Which changes brought the lines that later fixes took away (SZZ).
//!
//! Knows where lines came from. Must never look into the repository: all places are known from mining.
//!
//! Śliwerski, Zimmermann and Zeller, "When Do Changes Induce Fixes?", MSR 2005, with what Kim et al., ASE 2006, leave out:
//! blank lines, comments and white space. A line's origin is not looked up by a blame of each fix: every change moves
//! the origins along as it happens, so that a blame is one look.

use super::index::Change;
use super::mine::{Fate, FileChange};
use super::outcome::Label;
use crate::domain::risk::EvidenceKind;
use std::collections::BTreeMap;

/// A fix that touches more files, or takes away more lines, blames nobody: it does more than to mend.
const FILES_MAX: usize = 50;
const LINES_MAX: u32 = 500;
/// A line of which it is not known where it came from.
const UNKNOWN: u32 = u32::MAX;

/// Follows where lines came from, and labels the changes that fixes blame.
pub(super) struct Fixes {
    /// By path, the change that brought each line.
    origins: Vec<Option<Vec<u32>>>,
}

impl Fixes {
    pub fn new(paths: usize) -> Self {
        Self { origins: vec![None; paths] }
    }

    /// Takes the change at a place, after all those before it.
    pub fn take(&mut self, at: usize, change: &Change, labels: &mut Vec<Label>) {
        let number = u32::try_from(at).unwrap_or(UNKNOWN);
        let mut blamed: BTreeMap<u32, u32> = BTreeMap::new();
        let asks = blames(change);
        for file in &change.files {
            let before = self.origins[file.was.unwrap_or(file.path) as usize].take().unwrap_or_default();
            if asks {
                for (first, count) in &file.blamed {
                    let lines = before.iter().skip(*first as usize).take(*count as usize);
                    lines
                        .filter(|origin| **origin != UNKNOWN)
                        .for_each(|origin| *blamed.entry(*origin).or_insert(0) += 1);
                }
            }
            self.origins[file.path as usize] = after(file, before, number);
        }
        labels.extend(blamed.into_iter().map(|(origin, lines)| Label {
            change: origin as usize,
            by: at,
            kind: EvidenceKind::Fixed { lines },
        }));
    }
}

/// Whether a change is a fix whose lost lines tell what it mends. A revert takes all lines back, good and bad.
fn blames(change: &Change) -> bool {
    let message = &change.step.message;
    let lines: u32 = change.files.iter().flat_map(|file| &file.blamed).map(|(_, count)| *count).sum();
    message.fix && !message.revert && change.files.len() <= FILES_MAX && lines <= LINES_MAX
}

/// Where the lines of a file come from after a change; `None`: it is gone, or has no lines.
fn after(file: &FileChange, mut before: Vec<u32>, number: u32) -> Option<Vec<u32>> {
    let lines = file.lines?;
    match file.fate {
        Fate::Deleted => None,
        Fate::Added => Some(vec![number; lines.added as usize]),
        Fate::Modified | Fate::Renamed => {
            before.resize(lines.before as usize, UNKNOWN);
            // From the end, so that the places before stay where they are.
            for hunk in file.hunks.iter().rev() {
                let old =
                    hunk.old_start as usize..(hunk.old_start as usize + hunk.old_lines as usize).min(before.len());
                if old.start <= old.end {
                    before.splice(old, std::iter::repeat_n(number, hunk.new_lines as usize));
                }
            }
            Some(before)
        }
    }
}
