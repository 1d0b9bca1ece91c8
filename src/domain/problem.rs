//! What is wrong, said to a person: what, where, and how to mend it.
//!
//! A problem is shown word for word on GitHub. Must never hold anything internal.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One thing that somebody should mend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Whole sentences, ending in a full stop.
    pub message: String,
    /// Where it stands, when it stands in a file.
    pub place: Option<FilePlace>,
    pub severity: Severity,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePlace {
    pub path: String,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Warning,
    Error,
}

impl Problem {
    /// An error that stands in no file.
    pub fn error(message: impl Into<String>) -> Self {
        Self { message: message.into(), place: None, severity: Severity::Error }
    }
    /// A warning that stands in no file.
    pub fn warning(message: impl Into<String>) -> Self {
        Self { message: message.into(), place: None, severity: Severity::Warning }
    }
    /// The same problem, at a place.
    pub fn at(mut self, path: impl Into<String>, line: u32, column: u32) -> Self {
        self.place = Some(FilePlace { path: path.into(), line, column });
        self
    }
}

impl fmt::Display for Problem {
    /// As in `plimsoll.yml line 14, column 7: environment ...`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => {
                let file = place.path.rsplit('/').next().unwrap_or(&place.path);
                write!(f, "{file} line {}, column {}: {}", place.line, place.column, self.message)
            }
            None => f.write_str(&self.message),
        }
    }
}
