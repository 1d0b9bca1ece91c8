//! Scores a model on the newest fifth of each data file.
//!
//! Knows files, and how figures are printed. Must never know how a figure is made.

use super::read::{DataFile, read};
use super::{Mask, model_file};
use crate::cli::failed;
use crate::domain::ids::Timestamp;
use crate::domain::risk::{
    Baseline, ChangeMetrics, Figures, Model, Scored, Scores, TrainingRow, adapt, oldest_four_fifths, score,
};
use clap::Args;
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// `plimsoll risk evaluate`.
#[derive(Args)]
pub struct Evaluate {
    /// CSV files of labelled changes, one row a commit; their columns are in docs/risk.md
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    data: Vec<PathBuf>,
    /// Model to score; without it the one that comes with Plimsoll
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Scores the model after it was adapted on the oldest four fifths of each file
    #[arg(long)]
    adapt: bool,
    /// Column that counts as unknown in files whose name contains TEXT; may be given more than once
    #[arg(long, value_name = "COLUMN=TEXT")]
    mask: Vec<Mask>,
    /// Prints one JSON object for each file, a line each
    #[arg(long)]
    json: bool,
}

/// What one file gave.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub file: String,
    /// The model's title; of an adapted one with what it was adapted to.
    pub model: String,
    pub adapted: bool,
    /// Share of bad changes among those that test.
    pub base_rate: Option<f64>,
    #[serde(flatten)]
    pub scores: Told,
    /// The baselines; nothing when their training changes all ended alike.
    pub la: Option<Told>,
    pub kamei: Option<Told>,
}

/// Scores as they are printed.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Told {
    pub n: usize,
    #[serde(flatten)]
    pub figures: Figures<Option<f64>>,
    #[serde(flatten)]
    pub intervals: Intervals,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Intervals {
    pub auc_interval: Option<[f64; 2]>,
    pub pr_auc_interval: Option<[f64; 2]>,
    pub brier_interval: Option<[f64; 2]>,
    pub ece_interval: Option<[f64; 2]>,
    pub recall_at_20_effort_interval: Option<[f64; 2]>,
}

impl Evaluate {
    /// Prints the scores of the files that can be used; ends with the code of a failure when one cannot, and says which
    /// and why.
    pub fn run(&self) -> u8 {
        let model = match self.model.as_deref().map(model_file::read).transpose() {
            Ok(model) => model,
            Err(error) => return failed(&error),
        };
        let model = model.as_ref().unwrap_or_else(|| Model::shipped());
        let (mut reports, mut code) = (Vec::new(), 0);
        for path in &self.data {
            match self.scored(model, path) {
                Ok(report) => reports.push(report),
                Err(error) => code = failed(&error),
            }
        }
        match self.print(&reports) {
            Ok(()) => code,
            Err(error) => failed(&error),
        }
    }

    fn scored(&self, model: &Model, path: &Path) -> anyhow::Result<Report> {
        let file = read(path, &self.mask)?;
        file.warn(path);
        Ok(Report { file: path.display().to_string(), ..report(model, &file, self.adapt) })
    }

    fn print(&self, reports: &[Report]) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        if self.json {
            for report in reports {
                writeln!(out, "{}", serde_json::to_string(report)?)?;
            }
        } else if !reports.is_empty() {
            write!(out, "{}", table(reports))?;
        }
        Ok(())
    }
}

/// Scores a model and the baselines on the newest fifth of a file.
pub(super) fn report(model: &Model, file: &DataFile, adapted: bool) -> Report {
    let (old, new) = file.rows.split_at(oldest_four_fifths(file.rows.len()));
    let adapted_model;
    let model = if adapted {
        (adapted_model, _) = adapt(model, old, Timestamp(i64::MAX), new.len());
        &adapted_model
    } else {
        model
    };
    let baseline = |baseline: Option<Baseline>| baseline.map(|b| told(&score(&scored(new, |m| b.probability(m)))));
    let outcomes: Vec<bool> = new.iter().filter_map(|row| row.outcome).collect();
    let bad = outcomes.iter().filter(|bad| **bad).count();
    Report {
        file: file.name.clone(),
        model: model.title(),
        adapted,
        base_rate: (!outcomes.is_empty()).then(|| bad as f64 / outcomes.len() as f64),
        scores: told(&score(&scored(new, |metrics| model.probability(metrics)))),
        la: baseline(Baseline::lines_added(old)),
        kamei: baseline(Baseline::kamei(old)),
    }
}

fn scored(rows: &[TrainingRow], probability: impl Fn(&ChangeMetrics) -> f64) -> Vec<Scored> {
    let known = rows.iter().filter_map(|row| Some((row, row.outcome?)));
    known.map(|(row, bad)| Scored { probability: probability(&row.metrics), bad, lines: row.lines }).collect()
}

fn told(scores: &Scores) -> Told {
    let Figures { auc, pr_auc, brier, ece, recall_at_20_effort } = scores.intervals;
    Told {
        n: scores.n,
        figures: scores.figures,
        intervals: Intervals {
            auc_interval: auc,
            pr_auc_interval: pr_auc,
            brier_interval: brier,
            ece_interval: ece,
            recall_at_20_effort_interval: recall_at_20_effort,
        },
    }
}

/// A table for people: each file with its figures, the baselines' areas beside them, and the means below.
pub(super) fn table(reports: &[Report]) -> String {
    let figure = |x: Option<f64>| x.map_or("-".to_owned(), |x| format!("{x:.3}"));
    let mut lines = vec![
        [
            "file",
            "n",
            "bad",
            "AUC",
            "95 % of draws",
            "PR-AUC",
            "Brier",
            "ECE",
            "recall@20%",
            "LA AUC",
            "Kamei AUC",
            "Kamei ECE",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for report in reports {
        let Figures { auc, pr_auc, brier, ece, recall_at_20_effort } = report.scores.figures;
        let interval = report.scores.intervals.auc_interval;
        let of = |baseline: &Option<Told>| baseline.map(|told| told.figures).unwrap_or_default();
        lines.push(vec![
            report.file.clone(),
            report.scores.n.to_string(),
            figure(report.base_rate),
            figure(auc),
            interval.map_or("-".to_owned(), |[low, high]| format!("{low:.3} to {high:.3}")),
            figure(pr_auc),
            figure(brier),
            figure(ece),
            figure(recall_at_20_effort),
            figure(of(&report.la).auc),
            figure(of(&report.kamei).auc),
            figure(of(&report.kamei).ece),
        ]);
    }
    if reports.len() > 1 {
        let mean = |of: fn(&Report) -> Option<f64>| {
            let known: Vec<f64> = reports.iter().filter_map(of).collect();
            figure((!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64))
        };
        lines.push(vec![
            "mean".to_owned(),
            String::new(),
            mean(|r| r.base_rate),
            mean(|r| r.scores.figures.auc),
            String::new(),
            mean(|r| r.scores.figures.pr_auc),
            mean(|r| r.scores.figures.brier),
            mean(|r| r.scores.figures.ece),
            mean(|r| r.scores.figures.recall_at_20_effort),
            mean(|r| r.la?.figures.auc),
            mean(|r| r.kamei?.figures.auc),
            mean(|r| r.kamei?.figures.ece),
        ]);
    }
    aligned(&lines)
}

/// The first column to the left, all others to the right.
fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |i: usize| lines.iter().map(|line| line[i].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for line in lines {
        let cells = line
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(i, (cell, width))| if i == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") });
        out.push_str(cells.collect::<String>().trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests;
