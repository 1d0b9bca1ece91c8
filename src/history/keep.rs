//! The index in a file of its own: one record a change, each sealed by a checksum over itself and all before it.
//!
//! Knows bytes. Must never believe them: what does not fit its checksum is as if it were not there, and mined again.
//!
//! A push appends its records, so that it costs what it brings. A record that was torn by a crash is found by its
//! checksum and cut off with the next write.

use super::error::HistoryError;
use super::index::{Extended, Index};
use super::repo::Repo;
use super::walk::Scope;
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
        let (index, written, whole) =
            bytes.as_deref().map_or_else(|| (Index::default(), Written::default(), true), read);
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
            let (bytes, written) = sealed(Written::HEAD, self.index.records(0));
            let temporary = self.file.with_extension("new");
            let put = || -> std::io::Result<()> {
                let mut file = File::create(&temporary)?;
                file.write_all(HEAD)?;
                file.write_all(&bytes)?;
                file.sync_all()?;
                std::fs::rename(&temporary, &self.file)
            };
            put().map_err(failed)?;
            self.written = written;
        } else if self.written.changes < self.index.len() {
            let (bytes, written) = sealed(self.written, self.index.records(self.written.changes));
            let append = || -> std::io::Result<()> {
                let mut file = OpenOptions::new().write(true).open(&self.file)?;
                // What was torn behind the last whole record goes.
                file.set_len(self.written.bytes)?;
                file.seek(SeekFrom::Start(self.written.bytes))?;
                file.write_all(&bytes)?;
                file.sync_data()
            };
            append().map_err(failed)?;
            self.written = written;
        }
        Ok(())
    }
}

impl Written {
    /// A file without a record. Its name and version are sealed with the first one.
    const HEAD: Self = Self { changes: 0, bytes: HEAD.len() as u64, seal: 0x706c_696d };

    fn after(self, record: &[u8], seal: u32) -> Self {
        Self { changes: self.changes + 1, bytes: self.bytes + 8 + record.len() as u64, seal }
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
    let mut written = Written::HEAD;
    let Some(mut rest) = bytes.strip_prefix(HEAD) else { return (Index::default(), Written::default(), false) };
    let mut index = Index::default();
    while let Some((record, sealed, after)) = split(rest) {
        if seal(written.seal, record) != sealed || !index.remember(record) {
            break;
        }
        written = written.after(record, sealed);
        rest = after;
    }
    (index, written, rest.is_empty())
}

/// Seals records behind what is written.
fn sealed<'r>(mut written: Written, records: impl Iterator<Item = &'r [u8]>) -> (Vec<u8>, Written) {
    let mut out = Vec::new();
    for record in records {
        let seal = seal(written.seal, record);
        out.extend_from_slice(&u32::try_from(record.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(&seal.to_le_bytes());
        out.extend_from_slice(record);
        written = written.after(record, seal);
    }
    (out, written)
}

fn split(rest: &[u8]) -> Option<(&[u8], u32, &[u8])> {
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (sealed, rest) = rest.split_first_chunk::<4>()?;
    let (record, after) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    Some((record, u32::from_le_bytes(*sealed), after))
}
