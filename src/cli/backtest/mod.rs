//! `plimsoll backtest`: what Plimsoll would have said of a repository's own changes, and how right that would have been.
//!
//! Knows the order of the work and how its result is printed. Must never learn from what was not known yet.

mod plot;
mod table;

use super::learn::{bar, learn, open};
use crate::domain::ids::{Span, Timestamp};
use crate::domain::risk::{Foretold, Model, Pace, Scored, TrainingRow, replay, score};
use anyhow::{Context, bail};
use std::path::PathBuf;
use table::{Caught, Report, Row};

/// Changes below which a backtest says nothing.
const JUDGED_MIN: usize = 50;
/// Shares of changes that would be looked at, the most probable first.
const GATED: [f64; 3] = [0.05, 0.10, 0.20];
/// Bins of the calibration table.
const BINS: usize = 10;

/// Plays a repository's history again in time order.
#[derive(clap::Args)]
#[command(
    after_help = "Every change is judged by a model that learned only from what was known when it came. A change counts as \
                        gone wrong when it was reverted, when a later fix was traced to it, or when a hotfix followed \
                        soon; as gone well when nothing of that happened within --label-delay. The newest changes, for \
                        which that time is not over, are left out.\n\nExamples:\n  plimsoll backtest\n  plimsoll backtest \
                        --repo ../shop --plot plots/\n  plimsoll backtest --json"
)]
pub(super) struct Backtest {
    /// Folder of the repository
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    repo: PathBuf,

    /// Branch or commit up to which the history is played
    #[arg(long, value_name = "REVISION", default_value = "HEAD")]
    revision: String,

    /// Days after which a change that nothing speaks against counts as gone well
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=3650))]
    label_delay: u64,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    /// Write calibration.svg and roc.svg into this folder
    #[arg(long, value_name = "FOLDER")]
    plot: Option<PathBuf>,
}

/// How one model did.
struct Judged {
    name: &'static str,
    scored: Vec<Scored>,
}

impl Backtest {
    pub(super) fn run(&self) -> u8 {
        match self.report() {
            Ok(shown) => {
                println!("{shown}");
                0
            }
            Err(error) => super::failed(&error),
        }
    }

    fn report(&self) -> anyhow::Result<String> {
        let learned = learn(open(&self.repo)?, &self.revision, Span::hours(24 * self.label_delay))?;
        // Time does not always rise along a branch: what was known is judged by the order in which changes came.
        let rows = in_order(learned.rows);
        let progress = bar();
        progress.set_message("judging every change by what was known before it");
        progress.set_length(rows.len() as u64);
        let told =
            replay(Model::shipped(), &rows, Pace::of(rows.len()), &mut |done| progress.set_position(done as u64));
        progress.finish_and_clear();
        let judged = judged(&rows, &told);
        let first = &judged.first().context("there is nothing to judge")?.scored;
        let bad = first.iter().filter(|change| change.bad).count();
        if first.len() < JUDGED_MIN || bad == 0 || bad == first.len() {
            bail!(
                "of {} changes {} could be judged and {bad} of those went wrong: too few to say how good the model is here",
                rows.len(),
                first.len()
            );
        }
        if let Some(folder) = &self.plot {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
            plot::calibration(&folder.join("calibration.svg"), first, BINS)?;
            plot::roc(&folder.join("roc.svg"), &judged)?;
        }
        let report = Report {
            changes: rows.len(),
            judged: first.len(),
            bad,
            model: Model::shipped().title(),
            label_delay_days: self.label_delay,
            models: judged.iter().map(|one| Row::new(one.name, &score(&one.scored))).collect(),
            calibration: table::calibration(first, BINS),
            caught: GATED.iter().map(|share| Caught::of(&judged, *share)).collect(),
        };
        Ok(if self.json { serde_json::to_string_pretty(&report)? } else { report.to_string() })
    }
}

/// The rows with times that never fall.
fn in_order(mut rows: Vec<TrainingRow>) -> Vec<TrainingRow> {
    let mut newest = Timestamp(i64::MIN);
    for row in &mut rows {
        newest = newest.max(row.at);
        let later = newest.0.saturating_sub(row.at.0);
        row.at = newest;
        // Counted from a time that was wrong, a delay would be over too soon.
        row.known_at =
            row.known_at.map(|at| if row.outcome == Some(false) { Timestamp(at.0.saturating_add(later)) } else { at });
    }
    rows
}

/// What each model said of the changes whose outcome is known by now.
fn judged(rows: &[TrainingRow], told: &[Foretold]) -> Vec<Judged> {
    let end = rows.last().map_or(Timestamp(0), |row| row.at);
    let decided: Vec<(&Foretold, &TrainingRow, bool)> = told
        .iter()
        .filter(|told| told.lines_added.is_some() && told.churn.is_some())
        .filter_map(|told| {
            let row = rows.get(told.row)?;
            Some((told, row, row.outcome_at(end)?))
        })
        .collect();
    let of = |name: &'static str, probability: fn(&Foretold) -> Option<f64>| Judged {
        name,
        scored: decided
            .iter()
            .filter_map(|(told, row, bad)| {
                Some(Scored { probability: probability(told)?, bad: *bad, lines: row.lines })
            })
            .collect(),
    };
    vec![
        of("plimsoll", |told| Some(told.ours)),
        of("shipped model alone", |told| Some(told.shipped)),
        of("lines added", |told| told.lines_added),
        of("churn", |told| told.churn),
    ]
}

#[cfg(test)]
mod tests;
