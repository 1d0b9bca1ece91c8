//! The result of a backtest, as a table for people and as JSON.
//!
//! Knows figures. Must never compute a score: that is the domain's.

use super::Judged;
use crate::domain::risk::{Scored, Scores};
use serde::Serialize;
use std::fmt;

/// Everything that is printed.
#[derive(Serialize)]
pub(super) struct Report {
    /// Changes of the history, and those that were judged and whose outcome is known.
    pub changes: usize,
    pub judged: usize,
    /// Of the judged ones.
    pub bad: usize,
    pub model: String,
    pub label_delay_days: u64,
    pub models: Vec<Row>,
    pub calibration: Vec<Bin>,
    pub caught: Vec<Caught>,
}

/// The figures of one model.
#[derive(Serialize)]
pub(super) struct Row {
    pub name: &'static str,
    pub auc: Option<f64>,
    pub auc_interval: Option<[f64; 2]>,
    pub pr_auc: Option<f64>,
    pub pr_auc_interval: Option<[f64; 2]>,
    pub brier: Option<f64>,
    pub brier_interval: Option<[f64; 2]>,
    pub ece: Option<f64>,
    pub ece_interval: Option<[f64; 2]>,
    pub recall_at_20_effort: Option<f64>,
    pub recall_at_20_effort_interval: Option<[f64; 2]>,
}

/// Changes of like probability: what was said of them on average, and what came of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Bin {
    pub n: usize,
    pub said: f64,
    pub came: f64,
}

/// How many of those that went wrong are among the most probable.
#[derive(Serialize)]
pub(super) struct Caught {
    /// Share of changes that are looked at, from 0 to 1.
    pub gated: f64,
    pub changes: usize,
    /// By model, in the order of the rows.
    pub bad: Vec<usize>,
}

impl Row {
    pub fn new(name: &'static str, scores: &Scores) -> Self {
        let (figures, intervals) = (&scores.figures, &scores.intervals);
        Self {
            name,
            auc: figures.auc,
            auc_interval: intervals.auc,
            pr_auc: figures.pr_auc,
            pr_auc_interval: intervals.pr_auc,
            brier: figures.brier,
            brier_interval: intervals.brier,
            ece: figures.ece,
            ece_interval: intervals.ece,
            recall_at_20_effort: figures.recall_at_20_effort,
            recall_at_20_effort_interval: intervals.recall_at_20_effort,
        }
    }
}

impl Caught {
    pub fn of(judged: &[Judged], gated: f64) -> Self {
        let all = judged.first().map_or(0, |first| first.scored.len());
        let changes = (gated * all as f64).round() as usize;
        let bad = judged.iter().map(|one| caught(&one.scored, changes)).collect();
        Self { gated, changes, bad }
    }
}

/// Bad ones among the most probable; of equal ones those that came first.
fn caught(scored: &[Scored], changes: usize) -> usize {
    let mut by_risk: Vec<&Scored> = scored.iter().collect();
    by_risk.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    by_risk.into_iter().take(changes).filter(|change| change.bad).count()
}

/// Bins of as many changes each, by rising probability.
pub(super) fn calibration(scored: &[Scored], bins: usize) -> Vec<Bin> {
    let mut rising: Vec<&Scored> = scored.iter().collect();
    rising.sort_by(|a, b| a.probability.total_cmp(&b.probability));
    let n = rising.len();
    let part = |bin: usize| &rising[bin * n / bins..(bin + 1) * n / bins];
    let bin = |changes: &[&Scored]| Bin {
        n: changes.len(),
        said: changes.iter().map(|change| change.probability).sum::<f64>() / changes.len() as f64,
        came: changes.iter().filter(|change| change.bad).count() as f64 / changes.len() as f64,
    };
    (0..bins).map(part).filter(|changes| !changes.is_empty()).map(bin).collect()
}

fn figure(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.3}"))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { changes, judged, bad, label_delay_days: days, model, .. } = self;
        let share = 100.0 * *bad as f64 / *judged as f64;
        writeln!(
            f,
            "{changes} changes; {judged} judged whose outcome is known, {bad} of them went wrong ({share:.0} %)."
        )?;
        writeln!(f, "Began with model {model}; a change counts as gone well after {days} days.\n")?;
        writeln!(
            f,
            "{:20} {:>6} {:>15} {:>7} {:>6} {:>6} {:>10}",
            "", "AUC", "95 % interval", "PR-AUC", "Brier", "ECE", "recall@20%"
        )?;
        for row in &self.models {
            let interval = row.auc_interval.map_or("-".to_owned(), |[from, to]| format!("{from:.3} to {to:.3}"));
            writeln!(
                f,
                "{:20} {:>6} {:>15} {:>7} {:>6} {:>6} {:>10}",
                row.name,
                figure(row.auc),
                interval,
                figure(row.pr_auc),
                figure(row.brier),
                figure(row.ece),
                figure(row.recall_at_20_effort)
            )?;
        }
        writeln!(f, "\nCalibration, in bins of as many changes each:\n\n{:>7} {:>8} {:>8}", "changes", "said", "came")?;
        for bin in &self.calibration {
            writeln!(f, "{:>7} {:>6.1} % {:>6.1} %", bin.n, 100.0 * bin.said, 100.0 * bin.came)?;
        }
        writeln!(
            f,
            "\nIf only the riskiest changes were looked at, of those that went wrong one would have caught:\n"
        )?;
        write!(f, "{:>14}", "looked at")?;
        for row in &self.models {
            write!(f, " {:>20}", row.name)?;
        }
        for caught in &self.caught {
            write!(f, "\n{:>7} ({:>2.0} %)", caught.changes, 100.0 * caught.gated)?;
            for n in &caught.bad {
                let of_bad = 100.0 * *n as f64 / *bad as f64;
                write!(f, " {:>20}", format!("{n} ({of_bad:.0} %)"))?;
            }
        }
        Ok(())
    }
}
