//! Compares many pairs of blobs, with every blob decoded once wherever possible.
//!
//! Knows blobs by number. Must never know commits or paths.
//!
//! Pairs are not taken in the order of history but in the order of the packs: versions of one file lie together there,
//! each a delta of another, so that each blob is decoded once out of its neighbour and its pair is soon complete. What is
//! not packed, or waited too long for its other half, is read by itself at the end.

use super::cosmetic::{Comments, Sayer};
use super::error::HistoryError;
use super::lines::{Compare, Hunk, Line, count_lines, is_binary, lines, similarity, totals};
use super::pack::Pack;
use super::repo::{BLOB_BYTES_MAX, Repo};
use gix_hash::ObjectId;
use std::collections::HashMap;
use std::rc::Rc;

/// Lines that wait for their other half, in bytes.
const WAITING_BYTES_MAX: usize = 32 << 20;
/// Blobs that are read one by one after which what the repository has cached and mapped is let go of.
const LET_GO_EVERY: usize = 256;
/// Blobs up to which they are read one by one: as a push brings them.
const FEW: usize = 400;
/// Lines that a fix takes out of one file beyond which it blames nobody for it.
const BLAMED_LINES_MAX: u32 = 400;
/// Similarity from which a deletion and an addition are a rename, as git takes it.
const RENAME_SIMILARITY: f64 = 0.5;

/// What a blob turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Text {
        lines: u32,
    },
    Binary,
    /// Not there, as in a partial clone, or too large.
    Unknown,
}

/// What is wanted of two blobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Hunks,
    /// The same, and which of the old lines that are gone said something.
    Blame,
    /// The same as hunks if they are similar enough to be one file under two names, else nothing.
    Rename,
}

/// Two versions. Two that are the same, or of which one is binary, have no hunks.
pub(super) struct Pair {
    pub old: u32,
    pub new: u32,
    pub wanted: Wanted,
    pub result: Option<Compared>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Compared {
    pub hunks: Vec<Hunk>,
    /// For renames.
    pub similarity: f64,
    /// Ranges of old lines (first, how many) that are gone and said something, for [`Wanted::Blame`].
    pub blamed: Vec<(u32, u32)>,
}

/// Blobs and pairs of them.
#[derive(Default)]
pub(super) struct Texts {
    numbers: HashMap<ObjectId, u32>,
    ids: Vec<ObjectId>,
    contents: Vec<Content>,
    comments: Vec<Comments>,
    /// Whether what the lines say is needed too.
    saying: Vec<bool>,
    pairs: Vec<Pair>,
    /// What the submodules stand for: no blob, but a line of text.
    made: HashMap<u32, String>,
}

struct Waiting {
    lines: Rc<Vec<Line>>,
    /// Its bytes too, when somebody asks what the lines say.
    bytes: Option<Rc<Vec<u8>>>,
}

impl Waiting {
    fn size(&self) -> usize {
        self.lines.len() * 8 + self.bytes.as_ref().map_or(0, |bytes| bytes.len()) + 64
    }
}

impl Texts {
    /// Number of a blob; `path` tells how its comments look.
    pub fn blob(&mut self, id: ObjectId, path: &[u8]) -> u32 {
        if let Some(number) = self.numbers.get(&id) {
            return *number;
        }
        // Cannot overflow: four billion blobs would not fit into memory.
        let number = u32::try_from(self.ids.len()).expect("fewer than 2^32 blobs");
        self.numbers.insert(id, number);
        self.ids.push(id);
        self.contents.push(Content::Unknown);
        self.comments.push(Comments::of(path));
        self.saying.push(false);
        number
    }

    /// Number of a submodule's commit, which git shows as one line of text.
    pub fn submodule(&mut self, id: ObjectId) -> u32 {
        let number = self.blob(id, b"");
        self.made.entry(number).or_insert_with(|| format!("Subproject commit {id}\n"));
        number
    }

    /// Asks for two blobs to be compared; tells the number of the pair.
    pub fn pair(&mut self, old: u32, new: u32, wanted: Wanted) -> usize {
        if wanted == Wanted::Blame {
            self.saying[old as usize] = true;
            self.saying[new as usize] = true;
        }
        self.pairs.push(Pair { old, new, wanted, result: None });
        self.pairs.len() - 1
    }

    pub fn content(&self, blob: u32) -> Content {
        self.contents[blob as usize]
    }

    pub fn take(&mut self, pair: usize) -> Compared {
        self.pairs[pair].result.take().unwrap_or_default()
    }

    /// Reads all blobs and compares all pairs. `tell` hears how many blobs of how many are read.
    pub fn run(&mut self, repo: &Repo, tell: &mut dyn FnMut(usize, usize)) -> Result<(), HistoryError> {
        let mut work = Work::new(self);
        let made: Vec<(u32, String)> = work.texts.made.iter().map(|(blob, text)| (*blob, text.clone())).collect();
        for (blob, text) in made {
            work.read(blob, &Rc::new(text.into_bytes()));
        }
        if work.texts.ids.len() > FEW {
            work.packs(repo, tell)?;
        }
        work.rest(repo, tell)
    }
}

/// The texts while they are read.
struct Work<'t> {
    texts: &'t mut Texts,
    /// Pairs by blob.
    uses: Vec<Vec<u32>>,
    waiting: HashMap<u32, Waiting>,
    waiting_bytes: usize,
    known: Vec<bool>,
    done: usize,
    /// Whether a pair's halves follow each other.
    one_by_one: bool,
    compare: Compare,
}

impl<'t> Work<'t> {
    fn new(texts: &'t mut Texts) -> Self {
        let mut uses = vec![Vec::new(); texts.ids.len()];
        for (at, pair) in (0u32..).zip(&texts.pairs) {
            uses[pair.old as usize].push(at);
            if pair.old != pair.new {
                uses[pair.new as usize].push(at);
            }
        }
        let known = vec![false; texts.ids.len()];
        let (waiting, compare) = (HashMap::new(), Compare::default());
        Self { texts, uses, waiting, waiting_bytes: 0, known, done: 0, one_by_one: false, compare }
    }

    fn packs(&mut self, repo: &Repo, tell: &mut dyn FnMut(usize, usize)) -> Result<(), HistoryError> {
        let folder = repo.objects().join("pack");
        let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(()) };
        let mut indexes: Vec<_> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
        indexes.retain(|path| path.extension().is_some_and(|ending| ending == "idx"));
        indexes.sort();
        for index in indexes {
            let mut pack = Pack::open(&index)?;
            let missing = (0u32..).zip(&self.texts.ids).filter(|(blob, _)| !self.known[*blob as usize]);
            let wanted: Vec<(u64, u32)> = missing.filter_map(|(blob, id)| Some((pack.start_of(id)?, blob))).collect();
            let all = self.texts.ids.len();
            pack.each(&wanted, BLOB_BYTES_MAX, |blob, bytes| {
                self.read(blob, bytes);
                tell(self.done, all);
            })?;
        }
        Ok(())
    }

    /// Takes a blob's bytes, and completes the pairs whose other half is there.
    fn read(&mut self, blob: u32, bytes: &Rc<Vec<u8>>) {
        let at = blob as usize;
        self.known[at] = true;
        self.done += 1;
        if is_binary(bytes) {
            self.texts.contents[at] = Content::Binary;
            for pair in std::mem::take(&mut self.uses[at]) {
                self.finish(pair, Compared::default());
            }
            return;
        }
        if self.uses[at].is_empty() {
            self.texts.contents[at] = Content::Text { lines: count_lines(bytes) };
            return;
        }
        let own = Waiting { lines: Rc::new(lines(bytes)), bytes: self.texts.saying[at].then(|| Rc::clone(bytes)) };
        self.texts.contents[at] = Content::Text { lines: u32::try_from(own.lines.len()).unwrap_or(u32::MAX) };
        let mut left = Vec::new();
        for pair in std::mem::take(&mut self.uses[at]) {
            let Pair { old, new, wanted, ref result } = self.texts.pairs[pair as usize];
            if result.is_some() {
                continue;
            }
            let other = if old == blob { new } else { old };
            if other == blob {
                self.finish(pair, Compared::default());
            } else if let Some(there) = self.waiting.get(&other) {
                let (before, after) = if old == blob { (&own, there) } else { (there, &own) };
                let compared = compare(&mut self.compare, before, after, wanted, self.texts.comments[old as usize]);
                self.finish(pair, compared);
            } else {
                left.push(pair);
            }
        }
        self.uses[at] = left;
        if !self.uses[at].is_empty() {
            self.waiting_bytes += own.size();
            self.waiting.insert(blob, own);
            // Their pairs are read again at the end.
            if self.waiting_bytes > WAITING_BYTES_MAX && !self.one_by_one {
                self.let_go();
            }
        }
    }

    fn let_go(&mut self) {
        self.waiting.clear();
        self.waiting_bytes = 0;
    }

    /// Keeps a result, and lets go of lines that nobody waits for any more.
    fn finish(&mut self, pair: u32, compared: Compared) {
        let Pair { old, new, .. } = self.texts.pairs[pair as usize];
        self.texts.pairs[pair as usize].result = Some(compared);
        for side in [old, new] {
            let uses = &mut self.uses[side as usize];
            uses.retain(|other| *other != pair);
            if uses.is_empty()
                && let Some(gone) = self.waiting.remove(&side)
            {
                self.waiting_bytes -= gone.size();
            }
        }
    }

    /// Reads what no pack had, and the halves that were let go of.
    fn rest(&mut self, repo: &Repo, tell: &mut dyn FnMut(usize, usize)) -> Result<(), HistoryError> {
        let all = self.texts.ids.len();
        // Both halves of a pair one after the other, so that no more than these wait.
        self.one_by_one = true;
        let mut read = 0usize;
        for at in 0..self.texts.pairs.len() {
            if self.waiting_bytes > WAITING_BYTES_MAX {
                self.let_go();
            }
            if self.texts.pairs[at].result.is_some() {
                continue;
            }
            let (old, new) = (self.texts.pairs[at].old, self.texts.pairs[at].new);
            for side in [old, new] {
                if self.waiting.contains_key(&side) || self.texts.pairs[at].result.is_some() {
                    continue;
                }
                read += 1;
                if read.is_multiple_of(LET_GO_EVERY) {
                    repo.let_go()?;
                }
                let mut bytes = Vec::new();
                if repo.blob(self.texts.ids[side as usize], &mut bytes)? {
                    self.read(side, &Rc::new(bytes));
                } else {
                    self.known[side as usize] = true;
                    let pair = u32::try_from(at).unwrap_or(u32::MAX);
                    self.finish(pair, Compared::default());
                }
            }
            tell(self.done.min(all), all);
        }
        let mut bytes = Vec::new();
        for blob in 0..all {
            if !self.known[blob] {
                self.known[blob] = true;
                if repo.blob(self.texts.ids[blob], &mut bytes)? {
                    self.texts.contents[blob] = match is_binary(&bytes) {
                        true => Content::Binary,
                        false => Content::Text { lines: count_lines(&bytes) },
                    };
                }
            }
        }
        tell(all, all);
        Ok(())
    }
}

fn compare(with: &mut Compare, old: &Waiting, new: &Waiting, wanted: Wanted, comments: Comments) -> Compared {
    let similarity = match wanted {
        Wanted::Rename => similarity(&old.lines, &new.lines),
        Wanted::Hunks | Wanted::Blame => 1.0,
    };
    if similarity < RENAME_SIMILARITY {
        return Compared { similarity, ..Compared::default() };
    }
    let hunks = with.hunks(&old.lines, &new.lines);
    let blamed = match (wanted, &old.bytes, &new.bytes) {
        (Wanted::Blame, Some(old), Some(new)) => blamed(&hunks, old, new, comments),
        _ => Vec::new(),
    };
    Compared { hunks, similarity, blamed }
}

/// Old lines that are gone, said something, and are not said again in their place with other white space.
fn blamed(hunks: &[Hunk], old: &[u8], new: &[u8], comments: Comments) -> Vec<(u32, u32)> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    // A fix that goes further blames nobody, so that nobody needs to know.
    if totals(hunks).1 > BLAMED_LINES_MAX {
        return ranges;
    }
    let (mut old, mut new) = (Sayer::new(old, comments), Sayer::new(new, comments));
    for hunk in hunks.iter().filter(|hunk| hunk.old_lines > 0) {
        let again = new.saying(hunk.new_start, hunk.new_lines);
        for (line, says) in (hunk.old_start..).zip(old.saying(hunk.old_start, hunk.old_lines)) {
            if says == 0 || again.contains(&says) {
                continue;
            }
            match ranges.last_mut() {
                Some((start, count)) if *start + *count == line => *count += 1,
                _ => ranges.push((line, 1)),
            }
        }
    }
    ranges
}
