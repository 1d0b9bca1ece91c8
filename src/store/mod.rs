//! Keeps what must outlive the process: deliveries, lanes, effects, the journal.
//!
//! Knows SQL, files and how rows are spelled. Must never know GitHub, HTTP or the meaning of a lane's state; it has no
//! clock. SQL never leaves this room. [`MemoryStore`] forgets everything at its end and is otherwise the same.

mod chain;
mod memory;
mod rows;
mod sql;
mod texts;
mod writer;

pub use chain::{journal_is_whole, line_hash};
pub use memory::MemoryStore;
pub use sql::{OpenError, SqliteOptions, SqliteStore};

use crate::domain::effect::{Effect, Ending, Work};
use crate::domain::event::Event;
use crate::domain::ids::{EffectKey, Span, Subject, Timestamp};
use crate::engine::ports::{Arrival, Source};

/// How many rows of each kind one call of `prune` forgets at most: a call stays short, and the next goes on.
pub const PRUNE_ROWS_MAX: usize = 1_000;

/// How much longer than its body a delivery's GUID is remembered. GitHub redelivers for three days only; the rest is
/// for people who replay by hand.
pub const GUID_KEPT: Span = Span::hours(30 * 24);

/// What the lane hears when one of its effects has ended. The installation stays as the lane last heard it, which may
/// be newer than the effect's.
fn ended_arrival(lane: Subject, key: EffectKey, ending: Ending, at: Timestamp) -> Arrival {
    let event = Event::EffectEnded { key: key.clone(), ending };
    Arrival { subject: lane, installation: None, event, source: Source::Effect(key), at }
}

/// Which version of its target a publish is; `None` for an act.
fn generation(effect: &Effect) -> Option<u64> {
    match &effect.work {
        Work::Publish(publish) => Some(publish.generation),
        Work::Act(_) => None,
    }
}
