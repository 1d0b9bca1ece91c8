//! Learns a model from data files and writes its file, with where it comes from.
//!
//! Knows files, names and dates. Must never know how a model is learned.

use super::evaluate::{Report, report, table};
use super::read::{DataFile, read};
use super::{Mask, model_file};
use crate::cli::failed;
use crate::domain::risk::{Model, Project, Provenance, train};
use anyhow::{Context, bail};
use clap::Args;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// What the numbers are made by; `docs/risk.md` says it at length.
const PROTOCOL: &str = "Additive logistic regression with piecewise-linear shapes, one intercept per project, every \
    project weighing as 1,000 changes, Gaussian prior of precision 10 on the rises; shapes of lines added, files, \
    directories, subsystems and entropy do not fall. The newest 5 % of each project are not learned from, because their \
    labels are not complete. The level is the mean over the projects of the level of their changes from 75 % to 95 %. \
    Scored leave-project-out: learned without any data of the project, also not from another source, and tested on its \
    newest 20 %; adapted: after adaptation on its oldest 80 %. `LA` and `Kamei` are fitted to that oldest 80 %. \
    Intervals: 95 % of 400 bootstrap draws, seed 20261128.";

/// What the numbers cannot do.
const LIMITS: [&str; 5] = [
    "Never to be used to judge people: it says nothing about who is good at their work, and was not made to.",
    "The label says that a later fix was traced to the change (SZZ), which is not quite a revert or a rollback; labels of \
     the newest changes are not complete.",
    "Base rates differ several times between projects: the ranking travels, the level does not, until the model is adapted \
     to the repository's own outcomes.",
    "The training rows are commits and the changes judged are pull requests, which are larger.",
    "Training counts generated and vendored files too, the service leaves them out.",
];

/// `plimsoll risk train`.
#[derive(Args)]
pub struct Train {
    /// CSV files of labelled changes, one row a commit; their columns are in docs/risk.md
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    data: Vec<PathBuf>,
    /// Where the model's file goes
    #[arg(long, value_name = "MODEL")]
    out: PathBuf,
    /// Column that counts as unknown in files whose name contains TEXT; may be given more than once
    #[arg(long, value_name = "COLUMN=TEXT")]
    mask: Vec<Mask>,
    /// Version of the model; without it one made from its numbers
    #[arg(long, value_name = "TEXT")]
    model_version: Option<String>,
    /// A sentence on where data comes from, for the model's file; may be given more than once
    #[arg(long, value_name = "TEXT")]
    source: Vec<String>,
    /// Day of the training for the model's file; without it the day of the newest change
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Option<jiff::civil::Date>,
    /// Scores each file by a model learned without its project, and writes the scores into the model's file; files
    /// whose names are alike after the first hyphen are of one project
    #[arg(long)]
    scores: bool,
}

impl Train {
    /// Writes the model; ends with the code of a failure when a file cannot be used, and says which and why.
    pub fn run(&self) -> u8 {
        match self.learn() {
            Ok(()) => 0,
            Err(error) => failed(&error),
        }
    }

    fn learn(&self) -> anyhow::Result<()> {
        let mut files = Vec::new();
        for path in &self.data {
            let file = read(path, &self.mask)?;
            file.warn(path);
            if files.iter().any(|other: &DataFile| other.name == file.name) {
                bail!("there are two files named `{}`", file.name);
            }
            files.push(file);
        }
        let newest = files.iter().flat_map(|file| file.rows.last()).map(|row| row.at.0).max();
        let date = self.date.map_or_else(|| day(newest.unwrap_or(0)), |date| date.to_string());
        let provenance = Provenance {
            data: self.source.iter().cloned().chain(files.iter().map(told)).collect(),
            protocol: PROTOCOL.to_owned(),
            scores: Vec::new(),
            limits: LIMITS.map(str::to_owned).into(),
            date,
        };
        let all: Vec<&DataFile> = files.iter().collect();
        let mut model = learned(&all, self.model_version.as_deref(), provenance)
            .context("all changes of every file ended alike, so there is nothing to learn")?;
        if self.scores {
            model.provenance.scores = scores(&files)?;
        }
        model_file::write(&self.out, &model)?;
        println!("{} learned from {} files, written to {}", model.title(), files.len(), self.out.display());
        Ok(())
    }
}

fn learned(files: &[&DataFile], version: Option<&str>, provenance: Provenance) -> Option<Model> {
    let projects: Vec<Project<'_>> = files.iter().map(|file| Project { name: &file.name, rows: &file.rows }).collect();
    train(&projects, version, provenance)
}

/// Each file by a model that knows nothing of its project, as shipped and adapted. Also prints them.
fn scores(files: &[DataFile]) -> anyhow::Result<Vec<String>> {
    let (mut shipped, mut adapted) = (Vec::new(), Vec::new());
    let projects: BTreeSet<&str> = files.iter().map(DataFile::project).collect();
    for project in projects {
        let others: Vec<&DataFile> = files.iter().filter(|file| file.project() != project).collect();
        let Some(model) = learned(&others, None, Provenance::default()) else {
            bail!("without `{project}` there is nothing left to learn from, so it cannot be scored");
        };
        for file in files.iter().filter(|file| file.project() == project) {
            shipped.push(report(&model, file, false));
            adapted.push(report(&model, file, true));
        }
    }
    println!("Learned without the project\n\n{}", table(&shipped));
    println!("Learned without the project, adapted on its oldest four fifths\n\n{}", table(&adapted));
    Ok(shipped.iter().zip(&adapted).map(|(shipped, adapted)| line(shipped, adapted)).collect())
}

/// One file's scores in one line.
fn line(shipped: &Report, adapted: &Report) -> String {
    let figure = |x: Option<f64>| x.map_or("unknown".to_owned(), |x| format!("{x:.3}"));
    let model = |report: &Report| {
        let interval = report.scores.intervals.auc_interval;
        let interval = interval.map_or(String::new(), |[low, high]| format!(" ({low:.3} to {high:.3})"));
        let figures = report.scores.figures;
        format!("AUC {}{interval}, ECE {}", figure(figures.auc), figure(figures.ece))
    };
    let baseline = |of: &Option<super::evaluate::Told>| figure(of.and_then(|told| told.figures.auc));
    format!(
        "{}: shipped {}; adapted {}; LA AUC {}, Kamei AUC {}; {} of {} changes bad",
        shipped.file,
        model(shipped),
        model(adapted),
        baseline(&shipped.la),
        baseline(&shipped.kamei),
        figure(shipped.base_rate),
        shipped.scores.n,
    )
}

/// What a file holds, in one line.
fn told(file: &DataFile) -> String {
    let outcomes: Vec<bool> = file.rows.iter().filter_map(|row| row.outcome).collect();
    let bad = outcomes.iter().filter(|bad| **bad).count() as f64 / outcomes.len().max(1) as f64;
    let at = |row: Option<&crate::domain::risk::TrainingRow>| row.map_or_else(String::new, |row| day(row.at.0));
    let masked = file.masked.iter().map(|column| format!("; `{column}` not used")).collect::<String>();
    let (first, last) = (at(file.rows.first()), at(file.rows.last()));
    format!("{}: {} changes from {first} to {last}, {:.1} % bad{masked}", file.name, file.rows.len(), 100.0 * bad)
}

/// The day of a moment in UTC; empty for one that no calendar has.
fn day(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| String::new(), |at| at.strftime("%Y-%m-%d").to_string())
}

impl DataFile {
    /// The name of the project: what follows the first hyphen of the file's name, or all of it.
    fn project(&self) -> &str {
        self.name.split_once('-').map_or(&self.name, |(_, project)| project)
    }
}

#[cfg(test)]
mod tests;
