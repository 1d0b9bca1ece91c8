//! Why a history cannot be read, in sentences for people.
//!
//! Knows what can be wrong with a repository on disk. Must never show a token or a remote's address.

use std::path::PathBuf;

/// Why a history cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("there is no git repository at `{}`", path.display())]
    NoRepository { path: PathBuf },
    #[error("the repository at `{}` has no commit yet, so it has no history", path.display())]
    Empty { path: PathBuf },
    #[error(
        "the repository at `{}` is a shallow clone: its history ends early, and what is measured would be wrong; \
         complete it with `git fetch --unshallow`",
        path.display()
    )]
    Shallow { path: PathBuf },
    #[error("the repository at `{}` names its objects by {format}, and only SHA-1 is read", path.display())]
    ObjectFormat { path: PathBuf, format: String },
    #[error("`{revision}` names no commit of this repository")]
    NoCommit { revision: String },
    #[error("`{base}` and `{head}` have no commit in common, so there is no change between them to measure")]
    Unrelated { base: String, head: String },
    #[error("the repository is damaged: {what}; `git fsck` tells more")]
    Damaged { what: String },
    #[error("{0}")]
    TooLarge(String),
    #[error("{0}")]
    TooSlow(String),
    #[error("another process works on `{}`", path.display())]
    Busy { path: PathBuf },
    #[error("the program `git` cannot be run")]
    NoGit(#[source] std::io::Error),
    #[error("git could not {what}: {said}")]
    Git { what: &'static str, said: String },
    #[error("`{}` cannot be read or written", path.display())]
    File { path: PathBuf, source: std::io::Error },
}

impl HistoryError {
    /// An object that is missing or that cannot be read.
    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }

    pub(super) fn file(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::File { path: path.into(), source }
    }
}
