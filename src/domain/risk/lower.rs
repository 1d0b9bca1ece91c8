//! What would make a change less risky, by the model's own numbers and by what paid in the repository.
//!
//! Knows the model. Must never promise: it says what the model would say of a smaller change, and what was seen of others.

use super::reasons::counted;
use super::{ChangeMetrics, HistoryMetrics, Judgement, Model, Practice, Verdict, judge_with};
use crate::domain::policy::{Band, RiskPolicy};
use serde::{Deserialize, Serialize};

/// How many smaller changes are told.
const TOLD_MAX: usize = 3;
/// Points below which it is not worth telling.
const POINTS_MIN: f64 = 1.0;
/// Parts above which nobody splits a change.
const PARTS_MAX: u64 = 8;

/// A smaller change and its probability, all else left as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lowering {
    /// In plain words, for instance `adding 50 lines instead of 100`.
    pub text: String,
    /// Between 0 and 1; of a split, that of each part.
    pub probability: f64,
}

/// The same by the model that comes with Plimsoll.
pub fn lower(verdict: &Verdict, policy: &RiskPolicy) -> Vec<Lowering> {
    lower_with(Model::shipped(), &[], verdict, policy)
}

/// What would lower the risk: first the smallest even split that drops a band, then half of one thing, the most helpful
/// first, then what paid in the repository and this change lacks. Empty when nothing is known to help, or when the verdict
/// comes from another model than this.
pub fn lower_with(model: &Model, paid: &[Practice], verdict: &Verdict, policy: &RiskPolicy) -> Vec<Lowering> {
    let Judgement::Known { probability: now, band, .. } = &verdict.judgement else { return Vec::new() };
    if verdict.model != model.title() {
        return Vec::new();
    }
    let mut halves: Vec<Lowering> = smaller(&verdict.metrics)
        .into_iter()
        .filter_map(|(text, metrics)| {
            let (probability, _) = known(model, &metrics, policy)?;
            Some(Lowering { text, probability })
        })
        .filter(|lowering| 100.0 * (now - lowering.probability) >= POINTS_MIN)
        .collect();
    halves.sort_by(|a, b| a.probability.total_cmp(&b.probability));
    let mut told: Vec<Lowering> = split(model, &verdict.metrics, *band, policy).into_iter().chain(halves).collect();
    told.truncate(TOLD_MAX);
    let lacks = |practice: &&Practice| practice.kind.is_followed(&verdict.metrics) == Some(false);
    let would = paid
        .iter()
        .filter(lacks)
        .filter_map(|practice| Some(Lowering { text: practice.words(), probability: now * practice.ratio()? }));
    told.extend(would.filter(|lowering| 100.0 * (now - lowering.probability) >= POINTS_MIN));
    told
}

fn known(model: &Model, metrics: &ChangeMetrics, policy: &RiskPolicy) -> Option<(f64, Band)> {
    match judge_with(model, metrics, policy).judgement {
        Judgement::Known { probability, band, .. } => Some((probability, band)),
        Judgement::Abstains { .. } => None,
    }
}

/// The fewest even parts each of which is in a lower band; never more parts than files.
fn split(model: &Model, metrics: &ChangeMetrics, band: Band, policy: &RiskPolicy) -> Option<Lowering> {
    let most = metrics.files?.min(PARTS_MAX);
    (2..=most).find_map(|parts| {
        let part = part(metrics, parts);
        let (probability, lower) = known(model, &part, policy)?;
        let lines = part.lines_added.unwrap_or(0).saturating_add(part.lines_deleted.unwrap_or(0));
        let (lines, files) = (counted(lines as f64, "line", "lines"), counted(part.files? as f64, "file", "files"));
        let text = format!("splitting it into {parts} pull requests, each of about {lines} in {files}");
        (lower < band).then_some(Lowering { text, probability })
    })
}

/// One of so many even parts of a change. What is a sum over its files is shared out, rounded up; what is a mean over
/// them, or is said by the message, stays.
fn part(metrics: &ChangeMetrics, parts: u64) -> ChangeMetrics {
    let share = |n: Option<u64>| n.map(|n| n.div_ceil(parts));
    let shared = |x: Option<f64>| x.map(|x| x / parts as f64);
    ChangeMetrics {
        lines_added: share(metrics.lines_added),
        lines_deleted: share(metrics.lines_deleted),
        files: share(metrics.files),
        directories: share(metrics.directories),
        subsystems: share(metrics.subsystems),
        // Of lines that are spread evenly, as many times fewer files take as many times log2 off.
        entropy: metrics.entropy.map(|bits| (bits - (parts as f64).log2()).max(0.0)),
        fix: metrics.fix,
        history: metrics.history.as_ref().map(|history| {
            Box::new(HistoryMetrics {
                unique_changes: shared(history.unique_changes),
                touches: shared(history.touches),
                new_files: shared(history.new_files),
                test_files: shared(history.test_files),
                doc_files: shared(history.doc_files),
                config_files: shared(history.config_files),
                code_files: shared(history.code_files),
                earlier_fixes: shared(history.earlier_fixes),
                ..(**history).clone()
            })
        }),
    }
}

/// The change with half of one thing, for each thing of which there is more than one.
fn smaller(metrics: &ChangeMetrics) -> Vec<(String, ChangeMetrics)> {
    let half = |n: Option<u64>| n.filter(|n| *n > 1).map(|n| (n, n / 2));
    let words = |what: &str, half: u64, one: &str, many: &str, all: u64| {
        format!("{what} {} instead of {all}", counted(half as f64, one, many))
    };
    let mut all = Vec::new();
    if let Some((whole, half)) = half(metrics.lines_added) {
        let text = words("adding", half, "line", "lines", whole);
        all.push((text, ChangeMetrics { lines_added: Some(half), ..metrics.clone() }));
    }
    if let Some((whole, half)) = half(metrics.lines_deleted) {
        let text = words("deleting", half, "line", "lines", whole);
        all.push((text, ChangeMetrics { lines_deleted: Some(half), ..metrics.clone() }));
    }
    if let Some((whole, half)) = half(metrics.files) {
        let text = words("touching", half, "file", "files", whole);
        all.push((text, ChangeMetrics { files: Some(half), ..metrics.clone() }));
    }
    if let Some((whole, half)) = half(metrics.directories) {
        let text = words("touching", half, "directory", "directories", whole);
        all.push((text, ChangeMetrics { directories: Some(half), ..metrics.clone() }));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::risk::{Group, PracticeKind, judge};

    fn metrics(lines_added: u64, files: u64) -> ChangeMetrics {
        ChangeMetrics {
            lines_added: Some(lines_added),
            lines_deleted: Some(10),
            files: Some(files),
            directories: Some(1),
            subsystems: Some(1),
            entropy: Some((files as f64).log2()),
            fix: Some(false),
            history: None,
        }
    }

    fn told(lines_added: u64, files: u64) -> String {
        let policy = RiskPolicy::default();
        let verdict = judge(&metrics(lines_added, files), &policy);
        let lines =
            lower(&verdict, &policy).into_iter().map(|l| format!("{}: {:.1} %\n", l.text, 100.0 * l.probability));
        let now = known(Model::shipped(), &verdict.metrics, &policy).map_or(0.0, |(probability, _)| probability);
        format!("{:.1} %\n{}", 100.0 * now, lines.collect::<String>())
    }

    #[test]
    fn the_smallest_split_that_drops_a_band_is_told_first_then_half_of_one_thing() {
        insta::assert_snapshot!(told(600, 14), @"
        60.9 %
        splitting it into 2 pull requests, each of about 305 lines in 7 files: 48.3 %
        touching 7 files instead of 14: 54.5 %
        adding 300 lines instead of 600: 56.5 %
        ");
        insta::assert_snapshot!(told(60, 2), @"
        30.6 %
        splitting it into 2 pull requests, each of about 35 lines in 1 file: 18.8 %
        adding 30 lines instead of 60: 23.6 %
        deleting 5 lines instead of 10: 29.2 %
        ");
    }

    #[test]
    fn what_is_told_is_truly_lower_and_a_split_drops_a_band() {
        let policy = RiskPolicy::default();
        for (lines, files) in [(20, 1), (60, 2), (90, 9), (400, 14), (3_000, 80)] {
            let verdict = judge(&metrics(lines, files), &policy);
            let (now, band) = known(Model::shipped(), &verdict.metrics, &policy).unwrap();
            for lowering in lower(&verdict, &policy) {
                assert!(lowering.probability < now - 0.009 || lowering.text.starts_with("splitting"), "{lowering:?}");
                let drops = Band::of(lowering.probability, &policy) < band;
                assert!(drops || !lowering.text.starts_with("splitting"), "{lowering:?}");
            }
        }
    }

    #[test]
    fn what_paid_in_the_repository_and_this_change_lacks_is_told_last() {
        let group = |bad: usize| Group { changes: 400, bad, expected: 80.0 };
        let paid = Practice { kind: PracticeKind::Tests, with: group(40), without: group(80) };
        let policy = RiskPolicy::default();
        let told = |test_files: f64| {
            let history =
                HistoryMetrics { code_files: Some(1.0), test_files: Some(test_files), ..HistoryMetrics::default() };
            let change = ChangeMetrics { history: Some(Box::new(history)), ..metrics(60, 2) };
            lower_with(Model::shipped(), &[paid], &judge(&change, &policy), &policy)
        };
        let (lacks, has) = (told(0.0), told(1.0));
        let last = lacks.last().unwrap();
        insta::assert_snapshot!(last.text, @"bringing a test (here 40 of 400 changes with one went wrong; at the rate of those without it had been 80)");
        let (now, _) = known(Model::shipped(), &metrics(60, 2), &policy).unwrap();
        assert!(last.probability < 0.7 * now, "{last:?} {now}");
        assert_eq!(has, lacks[..lacks.len() - 1]);
    }

    #[test]
    fn parts_share_sums_and_keep_means() {
        let history = HistoryMetrics { touches: Some(90.0), age_days: Some(12.0), ..HistoryMetrics::default() };
        let whole = ChangeMetrics { history: Some(Box::new(history)), ..metrics(100, 8) };
        let third = part(&whole, 3);
        assert_eq!((third.lines_added, third.files, third.directories), (Some(34), Some(3), Some(1)));
        let history = third.history.unwrap();
        assert_eq!((history.touches, history.age_days), (Some(30.0), Some(12.0)));
        assert!((third.entropy.unwrap() - (8f64 / 3.0).log2()).abs() < 1e-12);
    }

    #[test]
    fn of_the_least_change_and_of_another_model_nothing_is_told() {
        let policy = RiskPolicy::default();
        let least = ChangeMetrics { lines_deleted: Some(0), ..metrics(1, 1) };
        assert_eq!(lower(&judge(&least, &policy), &policy), []);
        let other = Verdict { model: "other 2".into(), ..judge(&metrics(400, 14), &policy) };
        assert_eq!(lower(&other, &policy), []);
    }
}
