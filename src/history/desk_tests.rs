//! What a service learns of a repository, and how it is held to what it said.

use super::*;
use crate::domain::policy::RiskPolicy;
use crate::domain::risk::{HistoryMetrics, record};

const DAY: i64 = 86_400_000;

/// A repository with a change a day, each known for good or bad the day after; `goes_wrong` says which.
fn repository(count: u64, goes_wrong: impl Fn(u64) -> bool) -> Vec<TrainingRow> {
    let row = |n: u64| {
        let lines = 1 + n * 37 % 90;
        let history = HistoryMetrics {
            code_files: Some(1.0),
            test_files: Some((n % 2) as f64),
            touches: Some(9.0),
            ownership: Some(0.5),
            ..HistoryMetrics::default()
        };
        let metrics = ChangeMetrics {
            lines_added: Some(lines),
            lines_deleted: Some(2),
            files: Some(1 + n % 3),
            history: Some(Box::new(history)),
            ..ChangeMetrics::default()
        };
        let at = Timestamp(n as i64 * DAY);
        TrainingRow { at, metrics, lines, outcome: Some(goes_wrong(n)), known_at: Some(at.plus(Span::hours(24))) }
    };
    (0..count).map(row).collect()
}

fn learned(rows: &[TrainingRow]) -> (Learned, Known) {
    let learned = lesson(rows, Timestamp(rows.len() as i64 * DAY + DAY));
    let known = known(ChangeMetrics::default(), Some(&learned));
    (learned, known)
}

#[test]
fn of_few_changes_nothing_is_learned_and_the_shipped_model_judges() {
    let (learned, known) = learned(&repository(12, |n| n % 4 == 0));
    assert_eq!(*learned.model, *Model::shipped());
    assert_eq!((learned.changes, learned.recent.len(), learned.said.len()), (12, 12, 0));
    assert_eq!(record(&known, &RiskPolicy::default()), None);
    assert_eq!((known.drift, known.paid), (None, Vec::new()));
}

#[test]
fn a_model_that_holds_is_adapted_and_its_record_is_told() {
    // One in five goes wrong, the larger ones more often.
    let (learned, known) = learned(&repository(700, |n| n * 37 % 90 > 70 && n % 4 > 0 || n % 25 == 0));
    assert!(learned.model.title().starts_with("additive-2+repo-"), "{}", learned.model.title());
    assert_eq!(learned.recent.len(), RECENT_MAX);
    assert!(learned.said.len() > 400);
    assert_eq!(known.drift, None);
    insta::assert_snapshot!(record(&known, &RiskPolicy::default()).unwrap(), @"Of 62 changes called high, 48 needed a fix.");
}

#[test]
fn a_repository_that_never_was_like_the_shipped_model_has_not_drifted() {
    // Where one in fifty goes wrong the shipped model expects far too much, until it has learned.
    let (learned, known) = learned(&repository(500, |n| n % 50 == 0));
    assert_eq!(known.drift, None);
    assert!(learned.recent.iter().all(|probability| *probability < 0.1), "{:?}", learned.recent);
}

#[test]
fn a_model_that_no_longer_holds_says_so_and_keeps_to_the_level() {
    // First one in fifty goes wrong, then two in five, whatever they are: closer to what the shipped model says.
    let (learned, known) = learned(&repository(900, |n| if n < 420 { n % 50 == 0 } else { n * 7_919 % 101 < 40 }));
    insta::assert_snapshot!(record(&known, &RiskPolicy::default()).unwrap(), @"Of 675 changes 193 needed a fix, where the model expected 143. That is further off than chance explains. The model does not hold here: until it does, only its level is learned.");
    let shapes = |model: &Model| model.factors.clone();
    assert_eq!(shapes(&learned.model), shapes(Model::shipped()), "only the level moves");
}

#[test]
fn what_paid_here_is_found() {
    let goes_wrong = |n: u64| if n % 2 == 1 { n % 20 == 1 } else { n.is_multiple_of(6) };
    let (_, known) = learned(&repository(900, goes_wrong));
    let told: Vec<String> = known.paid.iter().map(Practice::words).collect();
    insta::assert_snapshot!(told.join("\n"), @"bringing a test (here 45 of 450 changes with one went wrong; at the rate of those without it had been 152)");
}
