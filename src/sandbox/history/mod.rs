//! What a repository's history answers and how it grows.
//!
//! Knows commits, trees, refs, merges and differences. Knows nothing of pull requests, people's
//! rights, webhooks or HTTP; the time of a commit always comes from the caller.

pub(in crate::sandbox) mod git;
mod made;

pub use git::GitHistory;
pub use made::MadeHistory;

use std::collections::BTreeMap;

/// Name, address and time of an author or committer, as a commit carries them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub name: String,
    pub email: String,
    /// Milliseconds since 1970; git keeps whole seconds.
    pub at_ms: i64,
}

/// One commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    pub sha: String,
    pub tree: String,
    pub parents: Vec<String>,
    pub author: Signature,
    pub committer: Signature,
    pub message: String,
}

/// What happened to a path between two trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileStatus {
    Added,
    Removed,
    Modified,
    Renamed { from: String },
}

impl FileStatus {
    /// The word that GitHub's API uses.
    pub fn word(&self) -> &'static str {
        match self {
            FileStatus::Added => "added",
            FileStatus::Removed => "removed",
            FileStatus::Modified => "modified",
            FileStatus::Renamed { .. } => "renamed",
        }
    }
}

/// One changed file with its counted lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    pub path: String,
    pub status: FileStatus,
    pub additions: u64,
    pub deletions: u64,
    /// Name of the blob after the change, or before it when the file was removed.
    pub blob: String,
    /// Unified hunks; none for binary and very large files.
    pub patch: Option<String>,
}

/// How a head stands to a base, as GitHub's three-dot comparison tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    pub base: String,
    pub head: String,
    pub merge_base: String,
    pub ahead_by: u64,
    pub behind_by: u64,
    /// Commits of the head that the base lacks, oldest first.
    pub commits: Vec<Commit>,
    /// Changes between the merge base and the head.
    pub files: Vec<FileChange>,
}

impl Comparison {
    /// `identical`, `ahead`, `behind` or `diverged`.
    pub fn status(&self) -> &'static str {
        match (self.ahead_by, self.behind_by) {
            (0, 0) => "identical",
            (_, 0) => "ahead",
            (0, _) => "behind",
            (_, _) => "diverged",
        }
    }
}

/// What stands at a path of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    File { sha: String, bytes: Vec<u8> },
    Directory(Vec<DirectoryEntry>),
}

/// One line of a directory listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryEntry {
    pub name: String,
    pub sha: String,
    pub size: u64,
    pub is_directory: bool,
}

/// How a pull request is put onto its base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeMethod {
    Merge,
    Squash,
}

/// Why a history did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    #[error("there is no `{what}`")]
    NotFound { what: String },
    #[error("the changes conflict")]
    Conflict,
    #[error("`{what}` is not allowed")]
    Invalid { what: String },
    #[error("git failed: {what}")]
    Failed { what: String },
}

/// A repository's history.
pub trait History: Send {
    /// The commit that a branch, tag, full or shortened SHA, or `refs/...` names.
    fn resolve(&self, name: &str) -> Option<String>;
    /// The tip of a branch.
    fn branch(&self, name: &str) -> Option<String>;
    /// The commit of a tag.
    fn tag(&self, name: &str) -> Option<String>;
    /// All branches with their tips, by name.
    fn branches(&self) -> Vec<(String, String)>;
    fn commit(&self, sha: &str) -> Option<Commit>;
    /// Commits reachable from `sha`, newest first, at most `limit`.
    fn log(&self, sha: &str, limit: usize) -> Vec<Commit>;
    /// First-parent commits from `sha`, newest first, at most `limit`.
    fn first_parents(&self, sha: &str, limit: usize) -> Vec<Commit>;
    /// Compares two commits; fails when either is unknown or they share no ancestor.
    fn compare(&self, base: &str, head: &str) -> Result<Comparison, HistoryError>;
    /// Changes that one commit brings over its first parent.
    fn changes_of(&self, sha: &str) -> Result<Vec<FileChange>, HistoryError>;
    fn read(&self, at: &str, path: &str) -> Option<Entry>;
    fn is_ancestor(&self, ancestor: &str, of: &str) -> bool;
    /// Says whether the head can be merged without a conflict.
    fn is_mergeable(&self, base: &str, head: &str) -> bool;
    /// Puts `head` onto the branch and returns the new commit.
    fn merge(
        &mut self,
        branch: &str,
        head: &str,
        method: MergeMethod,
        message: &str,
        who: &Signature,
    ) -> Result<String, HistoryError>;
    /// Commits files onto a branch (made from `from` if it is new); `None` removes a file.
    fn push(
        &mut self,
        branch: &str,
        from: Option<&str>,
        files: &BTreeMap<String, Option<Vec<u8>>>,
        message: &str,
        who: &Signature,
    ) -> Result<String, HistoryError>;
    /// Makes or moves a branch.
    fn set_branch(&mut self, name: &str, sha: &str) -> Result<(), HistoryError>;
    fn delete_branch(&mut self, name: &str);
    fn set_tag(&mut self, name: &str, sha: &str) -> Result<(), HistoryError>;
    /// Commits the opposite of `sha` onto a new branch that starts at `onto`.
    fn revert(
        &mut self,
        sha: &str,
        onto: &str,
        branch: &str,
        message: &str,
        who: &Signature,
    ) -> Result<String, HistoryError>;
}

/// Says whether a branch or tag name is one that git takes and that cannot be mistaken for an option.
pub fn ref_name_is_fine(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && !name.starts_with(['-', '/', '.'])
        && !name.ends_with(['/', '.'])
        && !name.ends_with(".lock")
        && !name.contains("..")
        && !name.contains("//")
        && !name.contains("/.")
        && !name.contains("@{")
        && name != "@"
        && !name.chars().any(|c| c.is_control() || " ~^:?*[\\".contains(c))
}

/// Says whether a path stays inside the tree.
pub fn path_is_fine(path: &str) -> bool {
    !path.is_empty()
        && !path.contains('\0')
        && path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != ".." && !part.eq_ignore_ascii_case(".git"))
}
