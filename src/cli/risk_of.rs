//! `plimsoll risk [RANGE]`: the risk of a change in a repository on this machine, with no account.
//!
//! Knows revisions and how a verdict is printed. Must never compute a risk: that is the domain's.

use super::learn::{Learned, learn, open};
use crate::app::SystemClock;
use crate::config;
use crate::domain::ids::{PullNumber, Span, Timestamp};
use crate::domain::policy::{Band, RiskPolicy};
use crate::domain::risk::{
    ChangeMetrics, Judgement, Learning, Lowering, Model, Standing, TrainingRow, Verdict, adapt, judge_with, lower_with,
    practices, standing,
};
use crate::domain::view::check::{band_name, percent};
use crate::engine::ports::Clock;
use crate::history::{History, HistoryError};
use anyhow::{Context, bail};
use serde::Serialize;
use std::io::IsTerminal;
use std::path::PathBuf;

/// Recent changes among which a change is placed.
const RECENT_MAX: usize = 500;
/// Days after which a change that nothing speaks against counts as good.
const DELAY_DAYS: u64 = 90;
/// Branches that a change is usually measured against, the first that is there.
const BASES: [&str; 4] = ["origin/HEAD", "upstream/HEAD", "main", "master"];

/// Which change, and how it is shown.
#[derive(clap::Args)]
pub struct Of {
    /// The change: BASE..HEAD, one commit, or #PULL of which the history tells; without it, what the branch that is checked
    /// out brings over the default branch, or its last commit
    #[arg(value_name = "RANGE|PULL")]
    range: Option<String>,

    /// Folder of the repository
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    repo: PathBuf,

    /// Print one JSON object
    #[arg(long, conflicts_with = "markdown")]
    json: bool,

    /// Print Markdown
    #[arg(long)]
    markdown: bool,
}

/// What is printed.
#[derive(Serialize)]
struct Told {
    /// Hash of the newest commit, and how many there are.
    head: String,
    commits: usize,
    title: String,
    verdict: Verdict,
    lower: Vec<Lower>,
    /// Outcomes of this repository that the model learned from.
    outcomes: usize,
    learned: &'static str,
}

#[derive(Serialize)]
struct Lower {
    text: String,
    probability: f64,
}

/// One change, before it is judged.
struct Measured {
    head: String,
    commits: usize,
    title: String,
    metrics: ChangeMetrics,
    learned: Learned,
}

impl Of {
    pub(super) fn run(&self) -> u8 {
        match self.told(SystemClock.now()) {
            Ok(told) => {
                let colour = std::io::stdout().is_terminal() && config::environment("NO_COLOR").is_none();
                println!("{}", self.shown(&told, colour));
                0
            }
            Err(error) => super::failed(&error),
        }
    }

    fn shown(&self, told: &Told, colour: bool) -> String {
        match (self.json, self.markdown) {
            // Never fails: there is no map with other keys than text in it.
            (true, _) => serde_json::to_string_pretty(told).unwrap_or_default(),
            (false, true) => markdown(told),
            (false, false) => plain(told, colour),
        }
    }

    fn told(&self, now: Timestamp) -> anyhow::Result<Told> {
        let measured = self.measured()?;
        let Learned { rows, .. } = &measured.learned;
        let policy = RiskPolicy::default();
        let (model, evidence) = adapt(Model::shipped(), rows, now, 1);
        let mut verdict = judge_with(&model, &measured.metrics, &policy);
        if let Judgement::Known { probability, .. } = &verdict.judgement {
            verdict.standing = standing(*probability, &recent(&model, rows));
        }
        let lower = lower_with(&model, &practices(&model, rows, now), &verdict, &policy);
        let lower = lower.into_iter().map(|Lowering { text, probability }| Lower { text, probability }).collect();
        let (outcomes, learned) = match evidence {
            Learning::None { outcomes } => (outcomes, "nothing"),
            Learning::Level { outcomes } => (outcomes, "level"),
            Learning::Shapes { outcomes } => (outcomes, "level and shapes"),
        };
        let Measured { head, commits, title, .. } = measured;
        Ok(Told { head, commits, title, verdict, lower, outcomes, learned })
    }

    fn measured(&self) -> anyhow::Result<Measured> {
        let history = open(&self.repo)?;
        let text = self.range.as_deref().map(str::trim);
        if let Some(number) = text.and_then(|text| text.strip_prefix('#')).and_then(|number| number.parse().ok()) {
            return pull(history, PullNumber(number));
        }
        let (base, head) = match text {
            Some(range) => match range.split_once("..") {
                Some((base, head)) => {
                    let named = |side: &str| if side.is_empty() { "HEAD".to_owned() } else { side.to_owned() };
                    (named(base), named(head.trim_start_matches('.')))
                }
                None => (format!("{range}~1"), range.to_owned()),
            },
            None => (usual_base(&history)?, "HEAD".to_owned()),
        };
        // Named as it was written, before anything is made of it.
        history.resolve(&head)?;
        let resolved = history.resolve(&base);
        if let (Err(HistoryError::NoCommit { .. }), true) = (&resolved, base.ends_with("~1")) {
            bail!("`{head}` has no commit before it, so there is nothing to compare it with");
        }
        resolved?;
        let mut learned = learn(history, &base, Span::hours(24 * DELAY_DAYS))?;
        let range = learned.history.measure(&base, &head, None).context("cannot measure the change")?;
        if range.commits.is_empty() {
            bail!(
                "`{head}` brings nothing over `{base}`; name a commit or a range, as in `plimsoll risk HEAD~3..HEAD`"
            );
        }
        let (head, commits, title) = (range.head.to_string(), range.commits.len(), range.title);
        Ok(Measured { head, commits, title, metrics: range.metrics, learned })
    }
}

/// What the branch that is checked out is measured against: the default branch, or else its last commit but one.
fn usual_base(history: &History) -> anyhow::Result<String> {
    let head = history.resolve("HEAD")?;
    for base in BASES {
        if let Ok(tip) = history.resolve(base)
            && tip != head
        {
            return Ok(base.to_owned());
        }
    }
    Ok("HEAD~1".to_owned())
}

/// A pull request that the history tells of, as it was when it came.
fn pull(history: History, number: PullNumber) -> anyhow::Result<Measured> {
    let mut learned = learn(history, "HEAD", Span::hours(24 * DELAY_DAYS))?;
    let Some(at) = learned.changes.iter().rposition(|change| change.pull == Some(number)) else {
        bail!("no change of this history names pull request #{number}; give its range, as in `main..BRANCH`");
    };
    let change = learned.changes[at].clone();
    // It is judged by what came before it.
    learned.changes.truncate(at);
    learned.rows.truncate(at);
    Ok(Measured { head: change.sha.to_string(), commits: 1, title: change.title, metrics: change.metrics, learned })
}

fn recent(model: &Model, rows: &[TrainingRow]) -> Vec<f64> {
    let counted = rows.iter().rev().filter(|row| row.metrics.files.is_some_and(|files| files > 0));
    counted.take(RECENT_MAX).map(|row| model.probability(&row.metrics)).collect()
}

fn stands(standing: Standing) -> String {
    format!("That is {}.", standing.words())
}

fn learned(told: &Told) -> String {
    match told.learned {
        "nothing" => format!(
            "Model {}. This repository has {} known outcomes, too few to learn from.",
            told.verdict.model, told.outcomes
        ),
        what => {
            format!("Model {}: {what} learned from {} outcomes of this repository.", told.verdict.model, told.outcomes)
        }
    }
}

fn what(told: &Told) -> String {
    let short: String = told.head.chars().take(7).collect();
    let commits = if told.commits == 1 { "1 commit".to_owned() } else { format!("{} commits", told.commits) };
    let title: String = told.title.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    format!("{short}, {commits}: {title}")
}

fn plain(told: &Told, colour: bool) -> String {
    let paint = |code: &str, text: String| if colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text };
    let mut out = String::new();
    match &told.verdict.judgement {
        Judgement::Known { probability, band, reasons, base } => {
            let code = match band {
                Band::Low => "1;32",
                Band::Moderate => "1;33",
                Band::High => "1;35",
                Band::Critical => "1;31",
            };
            out.push_str(&paint(code, format!("{} risk: {}", band_name(*band), percent(*probability))));
            out.push_str(&format!("   {}\n", what(told)));
            out.push_str("That many of changes like this one need a fix, a revert or a rollback.\n\n");
            out.push_str(&format!("{base:>7.1}  every change here starts at\n"));
            for reason in reasons.iter().filter(|reason| reason.points.abs() >= 0.05) {
                out.push_str(&format!("{:>+7.1}  {}\n", reason.points, reason.text));
            }
            let rest: f64 = reasons.iter().map(|reason| reason.points).filter(|points| points.abs() < 0.05).sum();
            if rest.abs() >= 0.05 {
                out.push_str(&format!("{rest:>+7.1}  all that weighs less\n"));
            }
            out.push_str(&format!("{:>7.1}  in a hundred\n", probability * 100.0));
        }
        Judgement::Abstains { because } => {
            out.push_str(&paint("1", "Risk unknown".to_owned()));
            out.push_str(&format!("   {}\n{because}\n", what(told)));
        }
    }
    if let Some(standing) = told.verdict.standing {
        out.push_str(&format!("\n{}\n", stands(standing)));
    }
    if !told.lower.is_empty() {
        out.push_str("\nWhat would lower it, all else left as it is:\n");
        for lower in &told.lower {
            out.push_str(&format!("  {}: {}\n", lower.text, percent(lower.probability)));
        }
    }
    out.push_str(&format!("\n{}", learned(told)));
    out
}

fn markdown(told: &Told) -> String {
    use crate::domain::markdown::text;
    let mut out = String::new();
    match &told.verdict.judgement {
        Judgement::Known { probability, band, reasons, base } => {
            out.push_str(&format!(
                "### {} risk: {}\n\n{}\n\n",
                band_name(*band),
                percent(*probability),
                text(&what(told))
            ));
            out.push_str(&format!("| Points | Why |\n|---:|---|\n| {base:.1} | every change here starts at |\n"));
            for reason in reasons {
                out.push_str(&format!("| {:+.1} | {} |\n", reason.points, text(&reason.text)));
            }
            out.push_str(&format!("| **{:.1}** | **in a hundred** |\n", probability * 100.0));
        }
        Judgement::Abstains { because } => {
            out.push_str(&format!("### Risk unknown\n\n{}\n\n{because}\n", text(&what(told))));
        }
    }
    if let Some(standing) = told.verdict.standing {
        out.push_str(&format!("\n{}\n", stands(standing)));
    }
    for (n, lower) in told.lower.iter().enumerate() {
        let head = if n == 0 { "\nWhat would lower it, all else left as it is:\n\n" } else { "" };
        out.push_str(&format!("{head}- {}: {}\n", text(&lower.text), percent(lower.probability)));
    }
    out.push_str(&format!("\n{}", text(&learned(told))));
    out
}

#[cfg(test)]
#[path = "risk_of_tests.rs"]
mod tests;
