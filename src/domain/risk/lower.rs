//! What would make a change less risky, by the model's own numbers.
//!
//! Knows the model. Must never promise: it says what the model would say of a smaller change.

use super::{ChangeMetrics, Judgement, Model, Verdict};
use crate::domain::policy::RiskPolicy;

/// How many are told.
const TOLD_MAX: usize = 2;
/// Points below which it is not worth telling.
const POINTS_MIN: f64 = 1.0;

/// A smaller change and its probability, all else left as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Lowering {
    /// In plain words, for instance `adding 50 lines instead of 100`.
    pub text: String,
    /// Between 0 and 1.
    pub probability: f64,
}

/// What half of it would do to the risk, the most helpful first; empty when nothing is known to help.
///
/// Also empty when the verdict comes from another model than the one that is shipped.
pub fn lower(verdict: &Verdict, policy: &RiskPolicy) -> Vec<Lowering> {
    let model = Model::shipped();
    let Judgement::Known { probability: now, .. } = &verdict.judgement else { return Vec::new() };
    if verdict.model != model.title() {
        return Vec::new();
    }
    let mut found: Vec<Lowering> = smaller(&verdict.metrics)
        .into_iter()
        .filter_map(|(text, metrics)| match model.judge(&metrics, policy).judgement {
            Judgement::Known { probability, .. } => Some(Lowering { text, probability }),
            Judgement::Abstains { .. } => None,
        })
        .filter(|lowering| 100.0 * (now - lowering.probability) >= POINTS_MIN)
        .collect();
    found.sort_by(|a, b| a.probability.total_cmp(&b.probability));
    found.truncate(TOLD_MAX);
    found
}

/// The change with half of one thing, for each thing of which there is more than one.
fn smaller(metrics: &ChangeMetrics) -> Vec<(String, ChangeMetrics)> {
    let half = |n: Option<u64>| n.filter(|n| *n > 1).map(|n| (n, n / 2));
    let mut all = Vec::new();
    if let Some((all_of, half)) = half(metrics.lines_added) {
        let words = format!("adding {} instead of {all_of}", counted(half, "line", "lines"));
        all.push((words, ChangeMetrics { lines_added: Some(half), ..metrics.clone() }));
    }
    if let Some((all_of, half)) = half(metrics.lines_deleted) {
        let words = format!("deleting {} instead of {all_of}", counted(half, "line", "lines"));
        all.push((words, ChangeMetrics { lines_deleted: Some(half), ..metrics.clone() }));
    }
    if let Some((all_of, half)) = half(metrics.files) {
        let words = format!("touching {} instead of {all_of}", counted(half, "file", "files"));
        all.push((words, ChangeMetrics { files: Some(half), ..metrics.clone() }));
    }
    if let Some((all_of, half)) = half(metrics.directories) {
        let words = format!("touching {} instead of {all_of}", counted(half, "directory", "directories"));
        all.push((words, ChangeMetrics { directories: Some(half), ..metrics.clone() }));
    }
    all
}

fn counted(n: u64, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::risk::judge;

    fn verdict(lines_added: u64, files: u64) -> Verdict {
        let metrics = ChangeMetrics {
            lines_added: Some(lines_added),
            lines_deleted: Some(10),
            files: Some(files),
            directories: Some(1),
            subsystems: Some(1),
            entropy: Some(1.0),
            fix: Some(false),
            history: None,
        };
        judge(&metrics, &RiskPolicy::default())
    }

    #[test]
    fn half_of_what_weighs_most_is_told_first_and_is_truly_lower() {
        let verdict = verdict(60, 2);
        let Judgement::Known { probability: now, .. } = verdict.judgement else { panic!("known") };
        let told = lower(&verdict, &RiskPolicy::default());
        assert!((1..=TOLD_MAX).contains(&told.len()), "{told:?}");
        assert!(told.iter().all(|l| l.probability < now - 0.009), "{told:?}");
        assert!(told.iter().any(|l| l.text == "adding 30 lines instead of 60"), "{told:?}");
    }

    #[test]
    fn of_the_least_change_and_of_another_model_nothing_is_told() {
        let least = ChangeMetrics { lines_deleted: Some(0), ..verdict(1, 1).metrics };
        assert_eq!(lower(&judge(&least, &RiskPolicy::default()), &RiskPolicy::default()), []);
        let other = Verdict { model: "other 2".into(), ..verdict(400, 14) };
        assert_eq!(lower(&other, &RiskPolicy::default()), []);
    }
}
