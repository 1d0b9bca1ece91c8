use super::*;
use crate::domain::policy::RiskPolicy;
use crate::domain::risk::draw::Draw;
use crate::domain::risk::fit::logistic;
use crate::domain::risk::{HistoryMetrics, Judgement, judge_with};

/// A repository in which the shipped model's logit is off by `level`, and files that changed often are risky.
fn repository(seed: u64, n: usize, level: f64, by_touches: f64) -> Vec<TrainingRow> {
    let mut draw = Draw::seeded(seed);
    (0..n)
        .map(|i| {
            let touches = (draw.share() * 5.0).exp();
            let lines = (draw.share() * 6.0).exp() as u64;
            let history = HistoryMetrics { touches: Some(touches), ..HistoryMetrics::default() };
            let metrics = ChangeMetrics {
                lines_added: Some(lines),
                lines_deleted: Some(lines / 3),
                files: Some(1 + draw.below(6)),
                history: Some(Box::new(history)),
                ..ChangeMetrics::default()
            };
            let logit = Model::shipped().intercept + Model::shipped().adds(&metrics) + level;
            let bad = draw.share() < logistic(logit + by_touches * (touches.ln_1p() - 2.7));
            TrainingRow { at: Timestamp(i as i64), metrics, lines, outcome: Some(bad), known_at: None }
        })
        .collect()
}

fn adapted(rows: &[TrainingRow]) -> (Model, Learning) {
    adapt(Model::shipped(), rows, Timestamp(i64::MAX), 0)
}

fn mean(model: &Model, rows: &[TrainingRow]) -> f64 {
    rows.iter().map(|row| model.probability(&row.metrics)).sum::<f64>() / rows.len() as f64
}

#[test]
fn without_outcomes_the_model_stays_as_it_is() {
    assert_eq!(adapted(&[]), (Model::shipped().clone(), Learning::None { outcomes: 0 }));
    let mut rows = repository(1, 500, 1.0, 0.0);
    rows.iter_mut().for_each(|row| row.outcome = None);
    assert_eq!(adapted(&rows), (Model::shipped().clone(), Learning::None { outcomes: 0 }));
    let few = repository(1, LEVEL_FROM - 1, 1.0, 0.0);
    assert_eq!(adapted(&few), (Model::shipped().clone(), Learning::None { outcomes: LEVEL_FROM - 1 }));
}

#[test]
fn an_outcome_of_the_future_is_not_known() {
    let mut rows = repository(2, 300, 1.0, 0.0);
    rows.iter_mut().for_each(|row| row.known_at = Some(Timestamp(row.at.0 + 100)));
    let (_, evidence) = adapt(Model::shipped(), &rows, Timestamp(150), 0);
    assert_eq!(evidence, Learning::Level { outcomes: 51 });
}

#[test]
fn few_outcomes_move_only_the_level() {
    let rows = repository(3, SHAPES_FROM - 1, 1.5, 0.0);
    let (model, evidence) = adapted(&rows);
    assert_eq!(evidence, Learning::Level { outcomes: SHAPES_FROM - 1 });
    assert_eq!((&model.factors, &model.pairs), (&Model::shipped().factors, &Model::shipped().pairs));
    assert!(model.intercept > Model::shipped().intercept + 0.7, "{} is the base rate", model.intercept);
}

#[test]
fn evidence_moves_the_model_gradually_and_never_in_a_jump() {
    let rows = repository(4, 320, 1.2, 0.4);
    for from in [LEVEL_FROM, SHAPES_FROM] {
        let (before, _) = adapted(&rows[..from - 1]);
        let (after, _) = adapted(&rows[..from]);
        for row in &rows[..40] {
            let moved = after.probability(&row.metrics) - before.probability(&row.metrics);
            assert!(moved.abs() < 0.03, "{moved} at the outcome {from}");
        }
    }
}

#[test]
fn with_many_outcomes_shapes_of_the_repository_grow() {
    let rows = repository(5, 1_500, 0.5, 0.8);
    let (model, evidence) = adapted(&rows);
    assert_eq!(evidence, Learning::Shapes { outcomes: 1_500 });
    let touches = model.factors.iter().find(|factor| factor.name == Metric::Touches).unwrap();
    assert!(touches.shape.adds(120.0) - touches.shape.adds(2.0) > 1.0, "{touches:?}");
    let rate = rows.iter().filter(|row| row.outcome == Some(true)).count() as f64 / 1_500.0;
    assert!((mean(&model, &rows) - rate).abs() < 0.04);
}

#[test]
fn the_level_follows_the_newest_changes_and_is_carried_on_along_its_trend() {
    let mut rows = repository(6, 1_200, 0.0, 0.0);
    let newer = repository(7, 400, -1.5, 0.0);
    rows.extend(newer.iter().cloned().map(|row| TrainingRow { at: Timestamp(row.at.0 + 5_000), ..row }));
    let (model, _) = adapted(&rows);
    let rate = newer.iter().filter(|row| row.outcome == Some(true)).count() as f64 / 400.0;
    assert!((mean(&model, &newer) - rate).abs() < 0.05, "{} of {rate}", mean(&model, &newer));
    let (ahead, _) = adapt(Model::shipped(), &rows, Timestamp(i64::MAX), 400);
    assert!(ahead.intercept < model.intercept, "what falls is expected to fall on");
}

#[test]
fn the_version_tells_the_content_and_rows_may_stand_in_any_order() {
    let mut rows = repository(8, 260, 0.3, 0.2);
    let (model, _) = adapted(&rows);
    rows.reverse();
    assert_eq!(adapted(&rows).0, model);
    let title = model.title();
    let digits = title.strip_prefix(&format!("{}+repo-", Model::shipped().title())).unwrap();
    assert!(digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()), "{title}");
    rows[0].outcome = rows[0].outcome.map(|bad| !bad);
    assert_ne!(adapted(&rows).0.version, model.version);
}

#[test]
fn level_only_keeps_the_shapes_whatever_the_evidence() {
    let rows = repository(9, 600, 1.0, 0.8);
    let (model, evidence) = level_only(Model::shipped(), &rows, Timestamp(i64::MAX), 0);
    assert_eq!(evidence, Learning::Level { outcomes: 600 });
    assert_eq!(model.factors, Model::shipped().factors);
    assert_ne!(model.intercept, Model::shipped().intercept);
}

#[test]
fn an_adapted_models_reasons_add_up_and_what_it_never_saw_keeps_its_shape() {
    let (model, _) = adapted(&repository(10, 400, 0.5, 0.5));
    let of = |model: &Model| model.factors.iter().find(|factor| factor.name == Metric::CodeFiles).cloned();
    assert_eq!(of(&model), of(Model::shipped()));
    for row in repository(11, 50, 0.0, 0.0) {
        let verdict = judge_with(&model, &row.metrics, &RiskPolicy::default());
        let Judgement::Known { probability, reasons, base, .. } = verdict.judgement else { panic!("known") };
        let sum = base + reasons.iter().map(|reason| reason.points).sum::<f64>();
        assert!((sum - 100.0 * probability).abs() < 1e-9);
        assert!((model.probability(&row.metrics) - probability).abs() < 1e-12);
    }
}

#[test]
fn outcomes_that_are_all_alike_stay_within_bounds() {
    for bad in [true, false] {
        let mut rows = repository(12, 400, 0.0, 0.0);
        rows.iter_mut().for_each(|row| row.outcome = Some(bad));
        let (model, _) = adapted(&rows);
        let p = mean(&model, &rows);
        assert!(model.intercept.is_finite() && if bad { p > 0.8 && p < 1.0 } else { p > 0.0 && p < 0.1 }, "{p}");
    }
}
