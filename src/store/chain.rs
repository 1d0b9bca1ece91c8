//! The hash chain of a lane's journal.
//!
//! Knows how a line is hashed. Must never know where lines are kept.

use crate::domain::ids::Timestamp;
use crate::engine::ports::JournalLine;
use sha2::{Digest, Sha256};

/// Hash of a journal line, in hexadecimal: over the hash of the line before it (empty for the first of a lane), the
/// time, the version and the text. Each part is led by its length, so that no two lines read the same.
pub fn line_hash(before: &str, at: Timestamp, version: u64, text: &str) -> String {
    let mut hash = Sha256::new();
    for part in [before.as_bytes(), &at.0.to_be_bytes(), &version.to_be_bytes(), text.as_bytes()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

/// Whether lines of one lane, newest first as the store returns them, follow from each other.
///
/// The oldest of them is taken on trust: the line before it may have been forgotten.
pub fn journal_is_whole(newest_first: &[JournalLine]) -> bool {
    newest_first.windows(2).all(|pair| match pair {
        [line, before] => line.hash == line_hash(&before.hash, line.at, line.version, &line.text),
        _ => true,
    })
}

/// Lines that follow `head`, the hash of the lane's newest line (empty when there never was one), which moves on.
pub(super) fn lines_after(head: &mut String, at: Timestamp, version: u64, texts: Vec<String>) -> Vec<JournalLine> {
    let line = |text: String| {
        *head = line_hash(head, at, version, &text);
        JournalLine { at, version, text, hash: head.clone() }
    };
    texts.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_line_breaks_the_chain() {
        let texts = vec!["merged".to_owned(), "released".to_owned(), "verified".to_owned()];
        let mut lines = lines_after(&mut String::new(), Timestamp(5), 1, texts);
        lines.reverse();
        assert!(journal_is_whole(&lines));
        for at in 0..2 {
            let mut forged = lines.clone();
            forged[at].text.push('!');
            assert!(!journal_is_whole(&forged), "line {at}");
        }
    }

    #[test]
    fn the_end_of_one_part_cannot_pass_for_the_beginning_of_the_next() {
        assert_ne!(line_hash("ab", Timestamp(0), 0, "c"), line_hash("a", Timestamp(0), 0, "bc"));
    }
}
