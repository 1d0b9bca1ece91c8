//! A backtest of a repository that the test makes.

use super::*;
use crate::domain::risk::ChangeMetrics;

fn scored(probability: f64, bad: bool) -> Scored {
    Scored { probability, bad, lines: 1 }
}

#[test]
fn a_curve_goes_from_nothing_to_everything_and_ties_are_one_corner() {
    let changes = [scored(0.9, true), scored(0.5, true), scored(0.5, false), scored(0.1, false)];
    assert_eq!(plot::curve(&changes), [(0.0, 0.0), (0.0, 0.5), (0.5, 1.0), (1.0, 1.0)]);
}

#[test]
fn bins_have_as_many_changes_each_and_say_what_came() {
    let changes: Vec<Scored> = (0..10).map(|n| scored(f64::from(n) / 10.0, n >= 5)).collect();
    let bins = table::calibration(&changes, 2);
    assert_eq!(bins.iter().map(|bin| (bin.n, bin.came)).collect::<Vec<_>>(), [(5, 0.0), (5, 1.0)]);
    assert!((bins[0].said - 0.2).abs() < 1e-12 && (bins[1].said - 0.7).abs() < 1e-12);
}

#[test]
fn a_clock_that_was_set_back_makes_no_outcome_known_too_soon() {
    let row = |at, outcome, known_at| TrainingRow {
        at: Timestamp(at),
        outcome: Some(outcome),
        known_at: Some(Timestamp(known_at)),
        ..TrainingRow::default()
    };
    let rows = in_order(vec![row(100, false, 150), row(40, false, 90), row(120, true, 130)]);
    let times: Vec<_> = rows.iter().map(|row| (row.at.0, row.known_at.unwrap().0)).collect();
    assert_eq!(times, [(100, 150), (100, 150), (120, 130)]);
}

#[test]
fn the_newest_changes_and_those_before_the_first_lesson_are_left_out() {
    let rows: Vec<TrainingRow> = (0..100_i64)
        .map(|n| TrainingRow {
            at: Timestamp(n),
            metrics: ChangeMetrics {
                lines_added: Some(n as u64 % 2 * 50 + 1),
                files: Some(1),
                ..ChangeMetrics::default()
            },
            lines: 1,
            outcome: Some(n % 2 == 1),
            known_at: Some(Timestamp(n + 10)),
        })
        .collect();
    let told = replay(Model::shipped(), &rows, Pace { begin_after: 20, every: 10 }, &mut |_| {});
    let judged = judged(&rows, &told);
    assert_eq!(judged.iter().map(|one| one.scored.len()).collect::<Vec<_>>(), [70; 4]);
    assert_eq!(judged[2].name, "lines added");
    assert_eq!(Caught::of(&judged, 0.1).bad[2], 7);
}
