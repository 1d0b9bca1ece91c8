//! Reads the history of a repository on this machine, with a bar on the terminal while that takes long.
//!
//! Knows where the repository is. Must never write into it.

use crate::domain::ids::Span;
use crate::domain::risk::TrainingRow;
use crate::history::{History, MinedChange, Progress, Scope, Stage, rows};
use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::Path;
use std::time::Duration;

/// A history that was read.
pub(super) struct Learned {
    pub history: History,
    /// Oldest first.
    pub changes: Vec<MinedChange>,
    /// One for each change.
    pub rows: Vec<TrainingRow>,
}

/// Reads the history up to a revision. A change counts as good when it is `delay` old and nothing spoke against it.
pub(super) fn learn(mut history: History, revision: &str, delay: Span) -> anyhow::Result<Learned> {
    let bar = bar();
    history
        .mine(revision, Scope::FirstParent, &mut |progress| show(&bar, progress))
        .with_context(|| format!("cannot read the history of `{revision}`"))?;
    bar.set_message("looking for what went wrong");
    let changes = history.changes();
    let rows = rows(&changes, &history.outcomes(), delay);
    bar.finish_and_clear();
    Ok(Learned { history, changes, rows })
}

/// Opens the repository of a folder.
pub(super) fn open(repo: &Path) -> anyhow::Result<History> {
    Ok(History::open(repo)?)
}

/// A bar that shows itself on a terminal, and only when there is something to wait for.
pub(super) fn bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template("{spinner} {msg} {wide_bar} {pos}/{len}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

fn show(bar: &ProgressBar, progress: Progress) {
    bar.set_message(match progress.stage {
        Stage::Commits => "listing commits",
        Stage::Trees => "comparing trees",
        Stage::Files => "comparing files",
    });
    bar.set_length(progress.all.unwrap_or(progress.done) as u64);
    bar.set_position(progress.done as u64);
}
