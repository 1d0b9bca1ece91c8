//! Lines as numbers, and how two versions of a file differ: counted exactly as `git log --numstat` counts.
//!
//! Knows bytes. Must never know which file they are of.
//!
//! Git's diff is Myers' O(ND) algorithm after lines without a counterpart, and in some places very frequent lines, were
//! put aside ("An O(ND) Difference Algorithm and Its Variations", Algorithmica 1, 1986). `gix-imara-diff` does the same
//! on whole files. Most versions differ in few lines, though, and where neither frequent lines nor git's bounds on
//! effort come into play every shortest edit script has the same counts. So the equal ends are put aside first, and only
//! the middle is compared; what is left over goes the long way.

use gix_imara_diff::{Algorithm, Diff, Token};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A line with its end: 52 bits of hash, and its length up to 4,095 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Line(u64);

impl Line {
    fn new(bytes: &[u8]) -> Self {
        let length = bytes.len().min(0xfff) as u64;
        Self((hash(bytes) << 12) | length)
    }

    /// Bytes of the line, never more than 4,095.
    pub fn bytes(self) -> u64 {
        self.0 & 0xfff
    }
}

/// Lines that differ in one place: what stood at `old` was replaced by what stands at `new`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Hunk {
    pub old_start: u32,
    pub old_lines: u32,
    pub new_start: u32,
    pub new_lines: u32,
}

/// Git takes a file for binary when one of its first 8,000 bytes is zero.
pub(super) fn is_binary(bytes: &[u8]) -> bool {
    bytes[..bytes.len().min(8_000)].contains(&0)
}

/// The lines of a text; the last one may lack its end, which makes it another line.
pub(super) fn lines(bytes: &[u8]) -> Vec<Line> {
    let mut found = Vec::with_capacity(bytes.len() / 32 + 1);
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', bytes) {
        found.push(Line::new(&bytes[start..=end]));
        start = end + 1;
    }
    if start < bytes.len() {
        found.push(Line::new(&bytes[start..]));
    }
    found
}

/// How many lines a text has.
pub(super) fn count_lines(bytes: &[u8]) -> u32 {
    let ends = memchr::memchr_iter(b'\n', bytes).count() + usize::from(bytes.last().is_some_and(|b| *b != b'\n'));
    u32::try_from(ends).unwrap_or(u32::MAX)
}

/// Multiplies eight bytes at a time into 64 bits, as wyhash does. It need not withstand an attack: who makes two lines
/// collide only blurs the counts of an own change.
fn hash(bytes: &[u8]) -> u64 {
    const KEYS: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93];
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        (product as u64) ^ ((product >> 64) as u64)
    };
    let mut state = KEYS[0] ^ bytes.len() as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = fold(state ^ u64::from_le_bytes(*word), KEYS[1]);
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    fold(state ^ u64::from_le_bytes(last), KEYS[0] ^ KEYS[1].rotate_left(17))
}

/// Passes a number on that is a hash already.
#[derive(Default)]
struct Same(u64);

impl Hasher for Same {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash(bytes);
    }
    fn write_u64(&mut self, number: u64) {
        // The low bits are a length; a table takes its place from them.
        self.0 = number.rotate_right(12);
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

type Numbers = HashMap<Line, u32, BuildHasherDefault<Same>>;

/// Compares versions, and keeps its buffers from one comparison to the next.
#[derive(Default)]
pub(super) struct Compare {
    diff: Diff,
    numbers: Numbers,
    old: Vec<Token>,
    new: Vec<Token>,
}

/// Lines of both middles together up to which git's bounds on effort, 256 steps from either end, cannot be met.
const SHORT: usize = 500;

/// Lines without a counterpart that must stand around a frequent line for git to put it aside: more than three times
/// the frequent ones, of which the line itself counts twice.
const LONE_MIN: usize = 7;

impl Compare {
    /// The places in which two versions differ, in order.
    pub fn hunks(&mut self, old: &[Line], new: &[Line]) -> Vec<Hunk> {
        let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
        let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(a, b)| a == b).count();
        let (a, b) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
        if a.is_empty() && b.is_empty() {
            return Vec::new();
        }
        let whole = Hunk {
            old_start: short(head),
            old_lines: short(a.len()),
            new_start: short(head),
            new_lines: short(b.len()),
        };
        if a.is_empty() || b.is_empty() {
            return vec![whole];
        }
        match self.shared(a, b, old, new) {
            Shared::Nothing => vec![whole],
            Shared::Plain if a.len() + b.len() <= SHORT => self.run(a, b, head, Algorithm::MyersMinimal),
            Shared::Plain | Shared::Frequent => self.run(old, new, 0, Algorithm::Myers),
        }
    }

    /// What the middles have in common, and whether git would treat a line of it as frequent: one that the other file
    /// has at least about as often as the square root of this file's lines, or 1,024 times.
    fn shared(&mut self, a: &[Line], b: &[Line], old: &[Line], new: &[Line]) -> Shared {
        if a.len() + b.len() > SHORT {
            return Shared::Plain;
        }
        self.numbers.clear();
        self.numbers.extend(a.iter().map(|line| (*line, 0)));
        let mut shared_in_b = 0;
        for line in b {
            if let Some(seen) = self.numbers.get_mut(line) {
                *seen = 1;
                shared_in_b += 1;
            }
        }
        if shared_in_b == 0 {
            return Shared::Nothing;
        }
        self.numbers.retain(|_, seen| *seen == 1);
        let shared_in_a = a.iter().filter(|line| self.numbers.contains_key(line)).count();
        let lone = [a.len() - shared_in_a, b.len() - shared_in_b];
        for (here, there, lone) in [(old.len(), new, lone[0]), (new.len(), old, lone[1])] {
            let many = root(here).min(1_024);
            self.numbers.values_mut().for_each(|count| *count = 0);
            // A short file cannot have a line that often, and git puts none aside without lone lines around it.
            if there.len() < many as usize || lone < LONE_MIN {
                continue;
            }
            for line in there {
                if let Some(count) = self.numbers.get_mut(line) {
                    *count += 1;
                    if *count >= many {
                        return Shared::Frequent;
                    }
                }
            }
        }
        Shared::Plain
    }

    fn run(&mut self, old: &[Line], new: &[Line], offset: usize, algorithm: Algorithm) -> Vec<Hunk> {
        let Self { diff, numbers, old: olds, new: news } = self;
        numbers.clear();
        let mut number = |line: &Line| {
            let next = short(numbers.len());
            Token(*numbers.entry(*line).or_insert(next))
        };
        olds.clear();
        olds.extend(old.iter().map(&mut number));
        news.clear();
        news.extend(new.iter().map(&mut number));
        diff.compute_with(algorithm, olds, news, short(numbers.len()));
        let offset = short(offset);
        let hunks = diff.hunks().map(|hunk| Hunk {
            old_start: hunk.before.start + offset,
            old_lines: hunk.before.end - hunk.before.start,
            new_start: hunk.after.start + offset,
            new_lines: hunk.after.end - hunk.after.start,
        });
        hunks.collect()
    }
}

enum Shared {
    Nothing,
    Plain,
    Frequent,
}

/// A power of two near the square root, as git takes it.
fn root(lines: usize) -> u32 {
    let mut rest = lines;
    let mut root = 1u32;
    while rest > 0 {
        root <<= 1;
        rest >>= 2;
    }
    root
}

fn short(lines: usize) -> u32 {
    u32::try_from(lines).unwrap_or(u32::MAX)
}

/// Lines added and deleted.
pub(super) fn totals(hunks: &[Hunk]) -> (u32, u32) {
    hunks.iter().fold((0, 0), |(added, deleted), hunk| (added + hunk.new_lines, deleted + hunk.old_lines))
}

/// How much of the larger version both share, from 0 to 1, in bytes of whole lines wherever they stand. Git's measure of
/// a rename, but for lines longer than 64 bytes, which git cuts.
pub(super) fn similarity(old: &[Line], new: &[Line]) -> f64 {
    let bytes = |lines: &[Line]| lines.iter().map(|line| line.bytes()).sum::<u64>();
    let (old_bytes, new_bytes) = (bytes(old), bytes(new));
    let larger = old_bytes.max(new_bytes);
    if larger == 0 || 2 * old_bytes.min(new_bytes) < larger {
        return 0.0;
    }
    let mut counts: Numbers = HashMap::with_capacity_and_hasher(old.len(), BuildHasherDefault::default());
    for line in old {
        *counts.entry(*line).or_insert(0) += 1;
    }
    let mut shared = 0;
    for line in new {
        if let Some(count) = counts.get_mut(line).filter(|count| **count > 0) {
            *count -= 1;
            shared += line.bytes();
        }
    }
    shared as f64 / larger as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hunks(old: &str, new: &str) -> Vec<(u32, u32, u32, u32)> {
        let (old, new) = (lines(old.as_bytes()), lines(new.as_bytes()));
        let hunks = Compare::default().hunks(&old, &new);
        hunks.iter().map(|h| (h.old_start, h.old_lines, h.new_start, h.new_lines)).collect()
    }

    #[test]
    fn places_that_differ_are_found() {
        assert_eq!(hunks("a\nb\nc\n", "a\nx\nc\n"), [(1, 1, 1, 1)]);
        assert_eq!(hunks("a\n", "a\nb\n"), [(1, 0, 1, 1)]);
        assert_eq!(hunks("a\nb\nc\nd\ne\n", "x\nb\nc\nd\ny\n"), [(0, 1, 0, 1), (4, 1, 4, 1)]);
        assert_eq!(hunks("same\n", "same\n"), []);
        assert_eq!(hunks("", "a\nb"), [(0, 0, 0, 2)]);
    }

    #[test]
    fn a_missing_last_line_end_makes_another_line() {
        assert_eq!(hunks("a\nb", "a\nb\n"), [(1, 1, 1, 1)]);
        assert_eq!(count_lines(b"a\nb"), 2);
        assert_eq!(count_lines(b""), 0);
    }

    #[test]
    fn a_zero_byte_early_makes_it_binary() {
        assert!(is_binary(b"a\0b"));
        let mut late = vec![b'a'; 8_000];
        late.push(0);
        assert!(!is_binary(&late));
    }

    #[test]
    fn similarity_is_the_share_of_bytes_in_common() {
        let of = |old: &str, new: &str| similarity(&lines(old.as_bytes()), &lines(new.as_bytes()));
        assert_eq!(of("aaaa\nbbbb\n", "bbbb\naaaa\n"), 1.0);
        assert_eq!(of("aaaa\nbbbb\n", "aaaa\ncccc\n"), 0.5);
        assert_eq!(of("", ""), 0.0);
        assert_eq!(of("a\n", &"a\n".repeat(9)), 0.0);
    }
}
