//! When releases may go: weekly windows in a time zone, and freezes.
//!
//! Knows calendars. Must never know what time it is: it is told.

use super::Band;
use crate::domain::ids::*;
use serde::{Deserialize, Serialize};

/// A weekly time in which steps may begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// From Monday.
    pub days: [bool; 7],
    /// Minutes of the day, local time; `to` is where it closes, 1440 at most. `from` > `to`: it ends on the next day.
    pub from: u16,
    pub to: u16,
    /// IANA name, for instance `Europe/Berlin`.
    pub zone: String,
    /// As the policy writes it.
    pub text: String,
}

/// A time in which steps may not begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    pub from: Timestamp,
    /// The first moment after it.
    pub to: Timestamp,
    pub reason: String,
    /// Releases of this band or a lower one pass; `None`: none does.
    pub pass: Option<Band>,
    /// IANA name, to show its ends in.
    pub zone: String,
}
