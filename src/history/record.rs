//! One change as bytes.
//!
//! Knows how a change is written and read. Must never know of files or checksums: what is read here is believed, but it
//! may still end early.
//!
//! A record begins with what an extension needs to know of it: the commit, what it brings, and the paths that no record
//! before has named. The rest is only read when something is measured.

use super::index::Change;
use super::lines::Hunk;
use super::message::Message;
use super::mine::{Fate, FileChange, Lines};
use super::people::Person;
use super::tree::Paths;
use super::walk::Step;
use gix_hash::ObjectId;

/// Numbers of paths in records: in the order in which these name them first.
#[derive(Default)]
pub(super) struct Names {
    /// Number in records by own number.
    written: Vec<Option<u32>>,
    /// The other way round.
    own: Vec<u32>,
}

impl Names {
    fn of(&self, own: u32) -> Option<u32> {
        self.written.get(own as usize).copied().flatten()
    }

    fn add(&mut self, own: u32) {
        let at = own as usize;
        if at >= self.written.len() {
            self.written.resize(at + 1, None);
        }
        self.written[at] = u32::try_from(self.own.len()).ok();
        self.own.push(own);
    }
}

/// Writes a change, and remembers the paths that it names first.
pub(super) fn write(change: &Change, paths: &Paths, names: &mut Names) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(change.step.id.as_slice());
    put(&mut out, change.step.brings.len() as u64);
    change.step.brings.iter().for_each(|brought| out.extend_from_slice(&brought.to_le_bytes()));
    let named = change.files.iter().flat_map(|file| std::iter::once(file.path).chain(file.was));
    let first = names.own.len();
    named.for_each(|path| {
        if names.of(path).is_none() {
            names.add(path);
        }
    });
    put(&mut out, (names.own.len() - first) as u64);
    names.own[first..].iter().for_each(|path| put_bytes(&mut out, paths.bytes(*path)));
    put_change(&mut out, change, names);
    out
}

/// What stands at the beginning of a record: the commit, and what it brings. Learns the paths that it names first.
pub(super) fn read_head(record: &[u8], paths: &mut Paths, names: &mut Names) -> Option<(ObjectId, Vec<u64>)> {
    let mut reader = Reader { rest: record };
    let id = reader.id()?;
    let brings = reader.brings()?;
    let new = reader.list(|reader| Some(paths.number(reader.bytes()?)))?;
    new.into_iter().for_each(|path| names.add(path));
    Some((id, brings))
}

/// Reads a whole record.
pub(super) fn read(record: &[u8], names: &Names) -> Option<Change> {
    let mut reader = Reader { rest: record };
    let id = reader.id()?;
    let brings = reader.brings()?;
    reader.list(|reader| reader.bytes().map(drop))?;
    let change = reader.change(id, brings, names)?;
    reader.rest.is_empty().then_some(change)
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

fn put_change(out: &mut Vec<u8>, change: &Change, names: &Names) {
    let Step { tree, tree_before, parent, committed, written, authors, message, .. } = &change.step;
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
    put_message(out, message);
    put(out, change.files.len() as u64);
    for file in &change.files {
        put_file(out, file, names);
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

fn put_file(out: &mut Vec<u8>, file: &FileChange, names: &Names) {
    let FileChange { path, was, fate, lines, hunks, blamed } = file;
    let fate = match fate {
        Fate::Added => 0,
        Fate::Deleted => 1,
        Fate::Modified => 2,
        Fate::Renamed => 3,
    };
    out.push(fate | u8::from(was.is_some()) << 2 | u8::from(lines.is_some()) << 3);
    for path in std::iter::once(path).chain(was) {
        // All of them were named at the beginning.
        put(out, names.of(*path).map_or(u64::MAX, u64::from));
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

struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
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

    fn bytes(&mut self) -> Option<&'b [u8]> {
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

    fn brings(&mut self) -> Option<Vec<u64>> {
        self.list(|reader| reader.fixed().map(u64::from_le_bytes))
    }

    fn change(&mut self, id: ObjectId, brings: Vec<u64>, names: &Names) -> Option<Change> {
        let tree = self.id()?;
        let there = self.byte()?;
        let tree_before = if there & 1 != 0 { Some(self.id()?) } else { None };
        let parent = if there & 2 != 0 { Some(self.id()?) } else { None };
        let committed = self.signed()?;
        let written = (self.signed()?, i32::try_from(self.signed()?).ok()?);
        let authors = self.list(|reader| reader.fixed().map(u64::from_le_bytes).map(Person))?;
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

    fn path(&mut self, names: &Names) -> Option<u32> {
        names.own.get(usize::try_from(self.number()?).ok()?).copied()
    }

    fn file(&mut self, names: &Names) -> Option<FileChange> {
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
