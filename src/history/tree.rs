//! Which files differ between two trees.
//!
//! Knows trees. Must never read what is in a file. A rename is a deletion and an addition here.

use super::error::HistoryError;
use super::repo::Repo;
use gix_hash::{Kind, ObjectId};
use gix_object::tree::{EntryKind, EntryMode};
use gix_object::{TreeRefIter, bstr::ByteSlice};
use std::cmp::Ordering;

/// What stands on one side of a changed path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Side {
    pub id: ObjectId,
    pub mode: EntryMode,
}

impl Side {
    /// Whether it is a commit of another repository.
    pub fn is_submodule(self) -> bool {
        self.mode.kind() == EntryKind::Commit
    }
    /// Whether it is a file, with or without the right to be run.
    pub fn is_file(self) -> bool {
        matches!(self.mode.kind(), EntryKind::Blob | EntryKind::BlobExecutable)
    }
}

/// A path that differs. At least one side is there.
pub(super) struct Difference {
    pub path: u32,
    pub old: Option<Side>,
    pub new: Option<Side>,
}

/// Paths as bytes, each known by a number.
#[derive(Default)]
pub(super) struct Paths {
    numbers: std::collections::HashMap<Box<[u8]>, u32>,
    list: Vec<Box<[u8]>>,
}

impl Paths {
    pub fn number(&mut self, path: &[u8]) -> u32 {
        if let Some(number) = self.numbers.get(path) {
            return *number;
        }
        // Cannot overflow: four billion paths would not fit into memory.
        let number = u32::try_from(self.list.len()).expect("fewer than 2^32 paths");
        self.numbers.insert(path.into(), number);
        self.list.push(path.into());
        number
    }

    pub fn bytes(&self, number: u32) -> &[u8] {
        &self.list[number as usize]
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// The paths whose last part is this name.
    pub fn named<'p>(&'p self, name: &'p str) -> impl Iterator<Item = &'p [u8]> {
        let fits = move |path: &&[u8]| {
            path.strip_suffix(name.as_bytes()).is_some_and(|rest| rest.is_empty() || rest.ends_with(b"/"))
        };
        self.list.iter().map(|path| &**path).filter(fits)
    }
}

/// Folders within folders, beyond which a tree is taken for damaged.
const DEPTH_MAX: usize = 400;

/// Compares trees, and keeps its buffers from one comparison to the next.
pub(super) struct Differ<'r> {
    repo: &'r Repo,
    path: Vec<u8>,
    spare: Vec<Vec<u8>>,
}

impl<'r> Differ<'r> {
    pub fn new(repo: &'r Repo) -> Self {
        Self { repo, path: Vec::new(), spare: Vec::new() }
    }

    /// Puts every path that differs into `found`, in the order of git.
    pub fn compare(
        &mut self,
        old: Option<ObjectId>,
        new: Option<ObjectId>,
        paths: &mut Paths,
        found: &mut Vec<Difference>,
    ) -> Result<(), HistoryError> {
        self.path.clear();
        if old == new { Ok(()) } else { self.folder(old, new, paths, found, 0) }
    }

    fn folder(
        &mut self,
        old: Option<ObjectId>,
        new: Option<ObjectId>,
        paths: &mut Paths,
        found: &mut Vec<Difference>,
        depth: usize,
    ) -> Result<(), HistoryError> {
        if depth > DEPTH_MAX {
            return Err(HistoryError::damaged(format!("folders lie more than {DEPTH_MAX} deep")));
        }
        let mut old_bytes = self.load(old)?;
        let mut new_bytes = self.load(new)?;
        let mut olds = Entries::new(&old_bytes, old);
        let mut news = Entries::new(&new_bytes, new);
        let (mut a, mut b) = (olds.next()?, news.next()?);
        loop {
            let order = match (&a, &b) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => a.compare(b),
            };
            let (left, right) = match order {
                Ordering::Less => (a.take(), None),
                Ordering::Greater => (None, b.take()),
                Ordering::Equal => (a.take(), b.take()),
            };
            if order != Ordering::Greater {
                a = olds.next()?;
            }
            if order != Ordering::Less {
                b = news.next()?;
            }
            if let (Some(left), Some(right)) = (&left, &right)
                && left.side == right.side
            {
                continue;
            }
            let Some(entry) = left.as_ref().or(right.as_ref()) else { continue };
            let length = self.path.len();
            self.path.extend_from_slice(entry.name);
            if entry.is_folder() {
                self.path.push(b'/');
                let id = |entry: Option<&Entry<'_>>| entry.map(|entry| entry.side.id);
                let (old, new) = (id(left.as_ref()), id(right.as_ref()));
                // The mode alone cannot differ between folders that git wrote.
                if old != new {
                    self.folder(old, new, paths, found, depth + 1)?;
                }
            } else {
                let path = paths.number(&self.path);
                found.push(Difference { path, old: left.map(|e| e.side), new: right.map(|e| e.side) });
            }
            self.path.truncate(length);
        }
        old_bytes.clear();
        new_bytes.clear();
        self.spare.extend([old_bytes, new_bytes]);
        Ok(())
    }

    fn load(&mut self, id: Option<ObjectId>) -> Result<Vec<u8>, HistoryError> {
        let mut bytes = self.spare.pop().unwrap_or_default();
        if let Some(id) = id {
            self.repo.tree(id, &mut bytes)?;
        }
        Ok(bytes)
    }
}

struct Entry<'b> {
    name: &'b [u8],
    side: Side,
}

impl Entry<'_> {
    fn is_folder(&self) -> bool {
        self.side.mode.is_tree()
    }

    /// Git sorts a folder as if its name ended in `/`, so a file and a folder of one name are two entries.
    fn compare(&self, other: &Self) -> Ordering {
        let shorter = self.name.len().min(other.name.len());
        let ending =
            |entry: &Self| entry.name.get(shorter).copied().unwrap_or(if entry.is_folder() { b'/' } else { 0 });
        let names = self.name[..shorter].cmp(&other.name[..shorter]);
        names.then_with(|| ending(self).cmp(&ending(other))).then_with(|| self.name.len().cmp(&other.name.len()))
    }
}

struct Entries<'b> {
    inner: TreeRefIter<'b>,
    id: Option<ObjectId>,
}

impl<'b> Entries<'b> {
    fn new(bytes: &'b [u8], id: Option<ObjectId>) -> Self {
        Self { inner: TreeRefIter::from_bytes(bytes, Kind::Sha1), id }
    }

    fn next(&mut self) -> Result<Option<Entry<'b>>, HistoryError> {
        match self.inner.next() {
            None => Ok(None),
            Some(Ok(entry)) => Ok(Some(Entry {
                name: entry.filename.as_bytes(),
                side: Side { id: entry.oid.to_owned(), mode: entry.mode },
            })),
            Some(Err(_)) => {
                let id = self.id.map_or_else(String::new, |id| id.to_string());
                Err(HistoryError::damaged(format!("tree {id} cannot be read")))
            }
        }
    }
}
