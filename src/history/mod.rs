//! What a repository's own history tells: the metrics of every change, and what became of it.
//!
//! Knows git repositories on disk. Must never know GitHub's API, the policy, or the model that is fed from here; and who
//! wrote a change does not leave this room: what leaves are counts.
//!
//! ```text
//! mirror        a bare copy of a repository, kept up to date by the system's git      (service)
//! repo          commits, trees, blobs                                  people         who, as a number
//! walk          which commits are changes                              message        what they say
//! mine          the files of each change   tree  texts  pack  lines    attributes     which files people wrote
//! index         all changes of a branch, extended by each push         record  keep   the same in a file
//! replay        changes in their order -> metrics                      outcome  szz   changes in their order -> outcomes
//! ```
//!
//! Everything here blocks, but for `mirror`: whoever waits for other things calls it from a thread for blocking work.

mod attributes;
mod cosmetic;
mod desk;
mod error;
mod index;
mod keep;
mod kinds;
mod lines;
mod message;
mod mine;
mod mirror;
mod outcome;
mod pack;
mod people;
mod record;
mod replay;
mod repo;
mod rows;
mod szz;
#[cfg(test)]
mod tests;
mod texts;
mod tree;
mod walk;

pub use desk::{Histories, Informed};
pub use error::HistoryError;
pub use index::Extended;
pub use keep::{Kept, Opened};
pub use mine::Stage;
pub use mirror::{Fetched, Mirror, MirrorLimits, Remote};
pub use rows::rows;
pub use walk::Scope;

use crate::domain::ids::{PullNumber, Sha, Timestamp};
use crate::domain::risk::{ChangeMetrics, Outcome};
use index::Index;
use repo::Repo;
use std::path::Path;

/// One change of a branch, measured as it was when it came.
#[derive(Clone, Debug, PartialEq)]
pub struct MinedChange {
    pub sha: Sha,
    /// When it came into being in this form, by the committer's clock.
    pub committed_at: Timestamp,
    /// When it was written, by the author's clock.
    pub written_at: Timestamp,
    /// Offset of the author's clock from UTC in minutes, east positive.
    pub author_minutes_east: i32,
    /// First paragraph of the message on one line; of a merge that GitHub made: the pull request's title.
    pub title: String,
    /// The pull request that brought it, if the message names it as GitHub does.
    pub pull: Option<PullNumber>,
    pub metrics: ChangeMetrics,
}

/// What a range of commits brings, measured as one change that comes next.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// The newest commit that both sides have.
    pub base: Sha,
    pub head: Sha,
    /// Its commits without merges, oldest first.
    pub commits: Vec<Sha>,
    pub title: String,
    pub metrics: ChangeMetrics,
}

/// How far long work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub stage: Stage,
    pub done: usize,
    /// `None`: nobody knows yet.
    pub all: Option<usize>,
}

/// Lines that a commit adds to and deletes from one file, as `git log --numstat --no-renames` prints them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLines {
    /// As git stores it: not always UTF-8.
    pub path: Vec<u8>,
    /// `None`: git calls it binary.
    pub added_and_deleted: Option<(u32, u32)>,
}

/// The history of a repository on disk, which is read and never written.
pub struct History {
    repo: Repo,
    index: Index,
}

impl History {
    /// Opens the repository of a path: a work tree, a folder within it, or a bare one. Nothing is mined yet.
    ///
    /// Fails when there is none, when it is shallow, and when it has no commit.
    pub fn open(path: &Path) -> Result<Self, HistoryError> {
        let repo = Repo::open(path)?;
        repo.head().map_err(|error| match error {
            HistoryError::Empty { .. } => HistoryError::Empty { path: path.to_owned() },
            other => other,
        })?;
        Ok(Self { repo, index: Index::default() })
    }

    /// The commit that a revision names, in any form that git knows: `HEAD`, `main~3`, `v1.0`, a hash.
    pub fn resolve(&self, revision: &str) -> Result<Sha, HistoryError> {
        self.repo.resolve(revision).map(|id| outcome::sha(&id))
    }

    /// Mines the history up to a revision. What was mined before is kept as far as it is part of it.
    pub fn mine(
        &mut self,
        revision: &str,
        scope: Scope,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Extended, HistoryError> {
        let tip = self.repo.resolve(revision)?;
        self.index.extend(&self.repo, tip, scope, progress)
    }

    /// The changes that were mined, with their metrics, oldest first.
    pub fn changes(&self) -> Vec<MinedChange> {
        self.index.mined()
    }

    /// What went wrong with them, as far as the history shows it.
    pub fn outcomes(&self) -> Vec<Outcome> {
        self.index.outcomes()
    }

    /// Measures what `head` brings over `base` (revisions) as one change that comes after all that were mined.
    ///
    /// `message` is the pull request's title and text; without, the oldest commit speaks. Mine the base first.
    pub fn measure(&mut self, base: &str, head: &str, message: Option<&str>) -> Result<Range, HistoryError> {
        let (base, head) = (self.repo.resolve(base)?, self.repo.resolve(head)?);
        self.index.measure_range(&self.repo, base, head, message)
    }

    /// Lines by commit and file, with nothing left out and no renames: to compare with git's own counts.
    pub fn line_counts(
        &self,
        revision: &str,
        scope: Scope,
        take: &mut dyn FnMut(Sha, Vec<FileLines>),
    ) -> Result<(), HistoryError> {
        let tip = self.repo.resolve(revision)?;
        index::line_counts(&self.repo, tip, scope, take)
    }
}
