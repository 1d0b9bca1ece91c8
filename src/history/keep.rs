//! The index in a file of its own: one record a change, each sealed by a checksum over itself and all before it.
//!
//! Knows bytes. Must never believe them: what does not fit its checksum is as if it were not there, and mined again.
//!
//! A push appends its records, so that it costs what it brings. A record that was torn by a crash is found by its
//! checksum and cut off with the next write.

use super::error::HistoryError;
use super::index::{Change, Extended, Index};
use super::lines::Hunk;
use super::message::Message;
use super::mine::{Fate, FileChange, Lines};
use super::people::Person;
use super::repo::Repo;
use super::tree::Paths;
use super::walk::{Scope, Step};
use super::{MinedChange, Progress, Range, index};
use crate::domain::ids::Sha;
use crate::domain::risk::Outcome;
use gix_hash::ObjectId;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Name and version. A change of what is kept, or of how it is mined, needs another version.
const HEAD: &[u8] = b"plimsoll history 1\n";

/// A branch's index that is kept in a file, and the repository that it is of.
pub struct Kept {
    repo: Repo,
    file: PathBuf,
    index: Index,
    /// Changes that the file has, where they end there, and the checksum there.
    written: Written,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Written {
    changes: usize,
    bytes: u64,
    seal: u32,
}

/// What was found in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// There was none.
    New,
    /// It was whole.
    Whole { changes: usize },
    /// It was broken, or of another version; what lies behind the changes that could be read is mined again.
    Broken { changes: usize },
}

impl Kept {
    /// Opens a bare repository (a mirror) and the index that is kept of it.
    pub fn open(git_dir: &Path, file: &Path) -> Result<(Self, Opened), HistoryError> {
        let repo = Repo::at(git_dir)?;
        let bytes = match std::fs::read(file) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(source) => return Err(HistoryError::file(file, source)),
        };
        let (index, written, whole) = bytes.as_deref().map_or_else(|| (Index::default(), Written::default(), true), read);
        let mut index = index;
        index.know_attributes(&repo)?;
        let opened = match (&bytes, whole) {
            (None, _) => Opened::New,
            (Some(_), true) => Opened::Whole { changes: written.changes },
            (Some(_), false) => Opened::Broken { changes: written.changes },
        };
        Ok((Self { repo, file: file.to_owned(), index, written }, opened))
    }

    /// Brings the index to a commit and keeps it.
    pub fn extend(&mut self, tip: &Sha, progress: &mut dyn FnMut(Progress)) -> Result<Extended, HistoryError> {
        let tip = self.id(tip)?;
        let extended = self.index.extend(&self.repo, tip, Scope::FirstParent, progress)?;
        if extended.dropped > 0 {
            // What is written names paths by numbers that only fit what was written before.
            self.written = Written::default();
        }
        self.write()?;
        Ok(extended)
    }

    /// The last change of the index.
    pub fn tip(&self) -> Option<Sha> {
        self.index.tip().map(|id| super::outcome::sha(&id))
    }

    /// See [`super::History::changes`].
    pub fn changes(&self) -> Vec<MinedChange> {
        self.index.mined()
    }

    /// One change of the branch; `None`: it is none of its changes.
    pub fn change(&self, sha: &Sha) -> Option<MinedChange> {
        index::object(sha).and_then(|id| self.index.mined_one(id))
    }

    /// See [`super::History::outcomes`].
    pub fn outcomes(&self) -> Vec<Outcome> {
        self.index.outcomes()
    }

    /// See [`super::History::measure`].
    pub fn measure_range(&mut self, base: &Sha, head: &Sha, message: Option<&str>) -> Result<Range, HistoryError> {
        let (base, head) = (self.id(base)?, self.id(head)?);
        self.index.measure_range(&self.repo, base, head, message)
    }

    fn id(&self, sha: &Sha) -> Result<ObjectId, HistoryError> {
        index::object(sha).ok_or_else(|| HistoryError::NoCommit { revision: sha.to_string() })
    }

    fn write(&mut self) -> Result<(), HistoryError> {
        let failed = |source| HistoryError::file(&self.file, source);
        if self.written.bytes == 0 {
            let (bytes, written) = Writer::all(&self.index);
            let temporary = self.file.with_extension("new");
            let put = || -> std::io::Result<()> {
                let mut file = File::create(&temporary)?;
                file.write_all(&bytes)?;
                file.sync_all()?;
                std::fs::rename(&temporary, &self.file)
            };
            put().map_err(failed)?;
            self.written = written;
        } else if self.written.changes < self.index.changes.len() {
            let numbers = Numbers::after(&self.index, self.written.changes);
            let mut writer = Writer { written: self.written, numbers, out: Vec::new() };
            self.index.changes[self.written.changes..].iter().for_each(|change| writer.change(change, &self.index.paths));
            let append = || -> std::io::Result<()> {
                let mut file = OpenOptions::new().write(true).open(&self.file)?;
                file.set_len(self.written.bytes)?;
                file.seek(SeekFrom::Start(self.written.bytes))?;
                file.write_all(&writer.out)?;
                file.sync_data()
            };
            append().map_err(failed)?;
            self.written = writer.written;
        }
        Ok(())
    }
}

/// Numbers that the file gives to paths: in the order in which its records name them first.
#[derive(Default)]
struct Numbers {
    of: Vec<Option<u32>>,
    next: u32,
}

impl Numbers {
    /// Those of the first changes.
    fn after(index: &Index, changes: usize) -> Self {
        let mut numbers = Self::default();
        for file in index.changes[..changes].iter().flat_map(|change| &change.files) {
            numbers.number(file.path);
            if let Some(was) = file.was {
                numbers.number(was);
            }
        }
        numbers
    }

    /// The number, and whether it is named for the first time.
    fn number(&mut self, path: u32) -> (u32, bool) {
        let at = path as usize;
        if at >= self.of.len() {
            self.of.resize(at + 1, None);
        }
        match self.of[at] {
            Some(number) => (number, false),
            None => {
                self.of[at] = Some(self.next);
                self.next += 1;
                (self.next - 1, true)
            }
        }
    }
}

struct Writer {
    written: Written,
    numbers: Numbers,
    out: Vec<u8>,
}

impl Writer {
    fn all(index: &Index) -> (Vec<u8>, Written) {
        let start = Written { changes: 0, bytes: HEAD.len() as u64, seal: crc32fast::hash(HEAD) };
        let mut writer = Self { written: start, numbers: Numbers::default(), out: HEAD.to_vec() };
        index.changes.iter().for_each(|change| writer.change(change, &index.paths));
        (writer.out, writer.written)
    }

    /// Record: length, checksum, and what is sealed by it.
    fn change(&mut self, change: &Change, paths: &Paths) {
        let mut record = Vec::with_capacity(256);
        put_change(&mut record, change, &mut |record, path| {
            let (number, first) = self.numbers.number(path);
            put(record, u64::from(number));
            // The first time a path is named its name follows.
            if first {
                put_bytes(record, paths.bytes(path));
            }
        });
        let seal = seal(self.written.seal, &record);
        let length = u32::try_from(record.len()).unwrap_or(u32::MAX);
        self.out.extend_from_slice(&length.to_le_bytes());
        self.out.extend_from_slice(&seal.to_le_bytes());
        self.out.extend_from_slice(&record);
        self.written.seal = seal;
        self.written.changes += 1;
        self.written.bytes += 8 + record.len() as u64;
    }
}

/// Checksum over a record and the checksum before it.
fn seal(before: u32, record: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(before);
    hasher.update(record);
    hasher.finalize()
}

/// Reads as many changes as fit their checksums, and whether that is all of the file.
fn read(bytes: &[u8]) -> (Index, Written, bool) {
    let mut written = Written { changes: 0, bytes: HEAD.len() as u64, seal: crc32fast::hash(HEAD) };
    let Some(mut rest) = bytes.strip_prefix(HEAD) else { return (Index::default(), Written::default(), false) };
    let mut names = Names::default();
    let mut changes = Vec::new();
    while let Some((record, sealed, after)) = split(rest) {
        if seal(written.seal, record) != sealed {
            break;
        }
        let mut reader = Reader { rest: record };
        let Some(change) = reader.change(&mut names).filter(|_| reader.rest.is_empty()) else { break };
        changes.push(change);
        written = Written { changes: written.changes + 1, bytes: written.bytes + 8 + record.len() as u64, seal: sealed };
        rest = after;
    }
    (Index::of(changes, names.paths), written, rest.is_empty())
}

fn split(rest: &[u8]) -> Option<(&[u8], u32, &[u8])> {
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (sealed, rest) = rest.split_first_chunk::<4>()?;
    let (record, after) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    Some((record, u32::from_le_bytes(*sealed), after))
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number as u8) | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_signed(out: &mut Vec<u8>, number: i64) {
    put(out, ((number << 1) ^ (number >> 63)) as u64);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_change(out: &mut Vec<u8>, change: &Change, put_path: &mut dyn FnMut(&mut Vec<u8>, u32)) {
    let Step { id, tree, tree_before, parent, committed, written, authors, message, brings } = &change.step;
    out.extend_from_slice(id.as_slice());
    out.extend_from_slice(tree.as_slice());
    out.push(u8::from(tree_before.is_some()) | u8::from(parent.is_some()) << 1);
    for id in [tree_before, parent].into_iter().flatten() {
        out.extend_from_slice(id.as_slice());
    }
    put_signed(out, *committed);
    put_signed(out, written.0);
    put_signed(out, i64::from(written.1));
    put(out, authors.len() as u64);
    authors.iter().for_each(|author| out.extend_from_slice(&author.0.to_le_bytes()));
    put(out, brings.len() as u64);
    brings.iter().for_each(|brought| out.extend_from_slice(&brought.to_le_bytes()));
    put_message(out, message);
    put(out, change.files.len() as u64);
    for file in &change.files {
        put_file(out, file, put_path);
    }
}

fn put_message(out: &mut Vec<u8>, message: &Message) {
    let Message { title, chars, title_chars, fix, issue, revert, refactor, feature, hotfix, pull, .. } = message;
    put_bytes(out, title.as_bytes());
    put(out, u64::from(*chars));
    put(out, u64::from(*title_chars));
    let flags = [*fix, *issue, *revert, *refactor, *feature, *hotfix];
    out.push(flags.iter().rev().fold(0, |bits, flag| bits << 1 | u8::from(*flag)));
    put(out, pull.map_or(0, |number| number.saturating_add(1)));
    put(out, message.reverted_pull.map_or(0, |number| number.saturating_add(1)));
    put(out, message.reverts.len() as u64);
    message.reverts.iter().for_each(|hash| put_bytes(out, hash.as_bytes()));
}

fn put_file(out: &mut Vec<u8>, file: &FileChange, put_path: &mut dyn FnMut(&mut Vec<u8>, u32)) {
    let FileChange { path, was, fate, lines, hunks, blamed } = file;
    let fate = match fate {
        Fate::Added => 0,
        Fate::Deleted => 1,
        Fate::Modified => 2,
        Fate::Renamed => 3,
    };
    out.push(fate | u8::from(was.is_some()) << 2 | u8::from(lines.is_some()) << 3);
    put_path(out, *path);
    if let Some(was) = was {
        put_path(out, *was);
    }
    if let Some(Lines { added, deleted, before }) = lines {
        [added, deleted, before].into_iter().for_each(|number| put(out, u64::from(*number)));
    }
    put(out, hunks.len() as u64);
    let mut last = 0;
    for Hunk { old_start, old_lines, new_start, new_lines } in hunks {
        put(out, u64::from(old_start.saturating_sub(last)));
        [old_lines, new_start, new_lines].into_iter().for_each(|number| put(out, u64::from(*number)));
        last = *old_start;
    }
    put(out, blamed.len() as u64);
    blamed.iter().for_each(|(first, count)| {
        put(out, u64::from(*first));
        put(out, u64::from(*count));
    });
}

/// Paths by the numbers that the file gives them.
#[derive(Default)]
struct Names {
    paths: Paths,
    numbers: Vec<u32>,
}

struct Reader<'b> {
    rest: &'b [u8],
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn short(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    fn bytes(&mut self) -> Option<&[u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*bytes)
    }

    fn id(&mut self) -> Option<ObjectId> {
        Some(ObjectId::Sha1(self.fixed()?))
    }

    /// As many as a number says; no more are made room for than bytes are left.
    fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = usize::try_from(self.number()?).ok().filter(|count| *count <= self.rest.len())?;
        (0..count).map(|_| one(self)).collect()
    }

    fn change(&mut self, names: &mut Names) -> Option<Change> {
        let (id, tree) = (self.id()?, self.id()?);
        let there = self.byte()?;
        let tree_before = if there & 1 != 0 { Some(self.id()?) } else { None };
        let parent = if there & 2 != 0 { Some(self.id()?) } else { None };
        let committed = self.signed()?;
        let written = (self.signed()?, i32::try_from(self.signed()?).ok()?);
        let authors = self.list(|reader| reader.fixed().map(u64::from_le_bytes).map(Person))?;
        let brings = self.list(|reader| reader.fixed().map(u64::from_le_bytes))?;
        let message = self.message()?;
        let step = Step { id, tree, tree_before, parent, committed, written, authors, message, brings };
        let files = self.list(|reader| reader.file(names))?;
        Some(Change { step, files })
    }

    fn message(&mut self) -> Option<Message> {
        let title = self.text()?;
        let (chars, title_chars, flags) = (self.short()?, self.short()?, self.byte()?);
        let flag = |bit: u8| flags & (1 << bit) != 0;
        let (pull, reverted_pull) = (self.number()?.checked_sub(1), self.number()?.checked_sub(1));
        let reverts = self.list(Self::text)?;
        Some(Message {
            reverted_title: Message::reverted_title(&title),
            title,
            chars,
            title_chars,
            fix: flag(0),
            issue: flag(1),
            revert: flag(2),
            refactor: flag(3),
            feature: flag(4),
            hotfix: flag(5),
            pull,
            reverts,
            reverted_pull,
        })
    }

    fn path(&mut self, names: &mut Names) -> Option<u32> {
        let number = usize::try_from(self.number()?).ok()?;
        if number == names.numbers.len() {
            names.numbers.push(names.paths.number(self.bytes()?));
        }
        names.numbers.get(number).copied()
    }

    fn file(&mut self, names: &mut Names) -> Option<FileChange> {
        let bits = self.byte()?;
        let fate = match bits & 3 {
            0 => Fate::Added,
            1 => Fate::Deleted,
            2 => Fate::Modified,
            _ => Fate::Renamed,
        };
        let path = self.path(names)?;
        let was = if bits & 4 != 0 { Some(self.path(names)?) } else { None };
        let lines = match bits & 8 != 0 {
            true => Some(Lines { added: self.short()?, deleted: self.short()?, before: self.short()? }),
            false => None,
        };
        let mut last = 0u32;
        let hunks = self.list(|reader| {
            let old_start = last.checked_add(reader.short()?)?;
            last = old_start;
            Some(Hunk { old_start, old_lines: reader.short()?, new_start: reader.short()?, new_lines: reader.short()? })
        })?;
        let blamed = self.list(|reader| Some((reader.short()?, reader.short()?)))?;
        Some(FileChange { path, was, fate, lines, hunks, blamed })
    }
}
