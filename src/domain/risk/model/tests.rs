use super::*;
use crate::domain::risk::HistoryMetrics;
use crate::domain::risk::metric::Transform;
use proptest::prelude::*;

fn metrics(la: u64, ld: u64, nf: u64, nd: u64, ns: u64, ent: f64, fix: bool) -> ChangeMetrics {
    ChangeMetrics {
        lines_added: Some(la),
        lines_deleted: Some(ld),
        files: Some(nf),
        directories: Some(nd),
        subsystems: Some(ns),
        entropy: Some(ent),
        fix: Some(fix),
        history: None,
    }
}

fn with_history(metrics: ChangeMetrics, history: HistoryMetrics) -> ChangeMetrics {
    ChangeMetrics { history: Some(Box::new(history)), ..metrics }
}

fn shown(metrics: &ChangeMetrics) -> String {
    match judge(metrics, &RiskPolicy::default()).judgement {
        Judgement::Known { probability, band, reasons, base } => {
            let reasons = reasons.iter().map(|r| format!("\n  {:+.1} {}", r.points, r.text)).collect::<String>();
            format!("{:.1} % {}, from {base:.1}{reasons}", 100.0 * probability, band.word())
        }
        Judgement::Abstains { because } => because,
    }
}

#[test]
fn a_judgement_reads_as_reasons_with_their_size() {
    insta::assert_snapshot!(shown(&metrics(412, 120, 14, 9, 3, 3.2, false)), @"
    55.1 % critical, from 15.8
      +28.0 adds 412 lines
      +11.4 touches 14 files
      +3.0 spreads its lines as if evenly over 9 files
      -2.1 does not say that it is a fix
      -1.2 deletes 120 lines
      +0.4 touches 9 directories
    ");
    insta::assert_snapshot!(shown(&metrics(1, 1, 1, 1, 1, 0.0, false)), @"
    3.6 % low, from 15.8
      -9.8 adds 1 line
      -0.8 has its lines mostly in one file
      -0.8 does not say that it is a fix
      -0.6 touches 1 file
      -0.1 touches 1 directory
      -0.0 deletes 1 line
    ");
    insta::assert_snapshot!(shown(&metrics(0, 60, 1, 1, 1, 0.0, true)), @"
    2.7 % low, from 15.8
      -13.7 adds no lines
      +1.9 says that it is a fix
      -0.8 has its lines mostly in one file
      -0.6 touches 1 file
      +0.1 deletes 60 lines
      -0.1 touches 1 directory
    ");
    insta::assert_snapshot!(shown(&ChangeMetrics { entropy: None, lines_added: None, ..metrics(0, 900, 40, 20, 5, 0.0, false) }), @"
    21.5 % moderate, from 15.8
      +10.0 touches 40 files
      -3.1 deletes 900 lines
      -1.5 does not say that it is a fix
      +0.3 touches 20 directories
    ");
}

#[test]
fn with_the_history_there_are_more_reasons() {
    let history = HistoryMetrics {
        lines_before: Some(800.0),
        age_days: Some(3.0),
        code_files: Some(4.0),
        doc_files: Some(0.0),
        config_files: Some(1.0),
        largest_file: Some(90.0),
        subject_chars: Some(44.0),
        fix_share: Some(0.4),
        touches_90_days: Some(11.0),
        ..HistoryMetrics::default()
    };
    insta::assert_snapshot!(shown(&with_history(metrics(120, 30, 5, 2, 1, 1.4, false), history)), @"
    63.6 % critical, from 15.8
      +21.7 adds 120 lines
      +7.2 touches files of whose changes 40 % were fixes
      -5.4 touches 1 file of settings
      +4.4 touches 4 files of code
      +4.2 touches files of 800 lines on average
      +3.9 touches files that changed 11 times in 90 days on average
      +3.6 touches 5 files
      +3.3 changes 90 lines in the file that changes most
      +3.0 spreads its lines as if evenly over 3 files
      -2.2 does not say that it is a fix
      +2.0 deletes 30 lines
      +1.2 touches files that last changed 3 days ago
      +0.9 touches no files of documentation
      -0.4 has a first line of 44 characters
      +0.4 touches 2 directories
    ");
}

#[test]
fn typical_changes_fall_in_sensible_bands() {
    let changes = [
        ("one line", metrics(1, 1, 1, 1, 1, 0.0, false)),
        ("a small fix", metrics(8, 3, 2, 1, 1, 0.8, true)),
        ("a small feature", metrics(60, 10, 4, 2, 1, 1.6, false)),
        ("a feature", metrics(250, 60, 8, 4, 2, 2.4, false)),
        ("a large feature", metrics(1_200, 300, 30, 12, 4, 4.0, false)),
        ("a removal", metrics(0, 400, 10, 3, 1, 2.5, false)),
    ];
    let told: Vec<String> = changes
        .iter()
        .map(|(name, metrics)| format!("{name}: {}", shown(metrics).lines().next().unwrap_or_default()))
        .collect();
    insta::assert_snapshot!(told.join("\n"), @"
    one line: 3.6 % low, from 15.8
    a small fix: 16.1 % moderate, from 15.8
    a small feature: 35.9 % high, from 15.8
    a feature: 48.5 % high, from 15.8
    a large feature: 59.6 % critical, from 15.8
    a removal: 3.2 % low, from 15.8
    ");
}

#[test]
fn the_model_abstains_when_it_knows_too_little() {
    let nothing = ChangeMetrics { fix: Some(true), ..ChangeMetrics::default() };
    let no_lines = ChangeMetrics { files: Some(1), directories: Some(1), ..ChangeMetrics::default() };
    let told = [nothing, no_lines, metrics(0, 0, 0, 0, 0, 0.0, false)].map(|metrics| shown(&metrics));
    insta::assert_snapshot!(told.join("\n"), @"
    GitHub does not say which files and how many lines change, as is the case for very large changes.
    GitHub does not say how many lines change, and without them a low risk would be a guess.
    Nothing changes but generated or vendored files, of which the model knows nothing.
    ");
}

#[test]
fn the_shipped_model_is_well_formed_and_says_where_it_comes_from() {
    let model = Model::shipped();
    assert_eq!(Model::read(include_str!("../model.json")), Ok(model.clone()));
    assert_eq!(model.title(), "additive-2");
    let provenance = &model.provenance;
    assert!(!provenance.data.is_empty() && provenance.scores.len() >= 10 && provenance.date.len() == 10);
    let judges = provenance.limits.iter().any(|limit| limit.contains("Never to be used to judge people"));
    assert!(judges && !provenance.protocol.is_empty());
}

#[test]
fn no_author_is_a_factor_of_the_shipped_model() {
    let names: Vec<_> = Model::shipped().factors.iter().map(|factor| factor.name).collect();
    let pairs = Model::shipped().pairs.iter().flat_map(|pair| [pair.of.0, pair.of.1]);
    assert!(names.into_iter().chain(pairs).all(|metric| metric != Metric::SubsystemExperience));
}

#[test]
fn more_lines_or_files_never_mean_less_risk() {
    for factor in Model::shipped().factors.iter().filter(|factor| factor.name.never_falls()) {
        assert!(factor.shape.knots.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{:?}", factor.name);
    }
}

#[test]
fn one_more_line_moves_no_probability_by_much() {
    for lines in [8u64, 14, 30, 47, 48, 100, 500, 776, 777, 5_000] {
        let of = |lines| Model::shipped().probability(&metrics(lines, lines / 4, 3, 2, 1, 1.2, false));
        assert!((of(lines + 1) - of(lines)).abs() < 0.02, "{lines}");
    }
}

#[test]
fn what_is_wrong_with_a_model_is_said() {
    let said = |change: fn(&mut Model)| {
        let mut model = Model::shipped().clone();
        change(&mut model);
        Model::read(&serde_json::to_string(&model).unwrap()).unwrap_err()
    };
    let told = [
        said(|model| model.factors[0].shape.knots.truncate(1)),
        said(|model| model.factors[1].shape.knots.reverse()),
        said(|model| model.factors[1] = model.factors[0].clone()),
        Model::read("[]").unwrap_err(),
    ];
    insta::assert_snapshot!(told.join("\n"), @"
    `lines_added` needs two knots or more, with rising values
    `lines_deleted` needs two knots or more, with rising values
    `lines_added` is there twice
    this is no model: invalid length 0, expected struct Model with 6 elements at line 1 column 2
    ");
}

fn flat(name: Metric, adds: f64) -> Factor {
    Factor { name, shape: Shape { transform: Transform::Log1p, knots: vec![(0.0, adds), (1.0, adds)] } }
}

#[test]
fn reasons_add_up_also_when_they_cancel_out() {
    let factors = vec![flat(Metric::LinesAdded, 0.7), flat(Metric::LinesDeleted, -0.7)];
    let model = Model { factors, pairs: Vec::new(), ..Model::shipped().clone() };
    match judge_with(&model, &metrics(1, 1, 1, 1, 1, 0.0, false), &RiskPolicy::default()).judgement {
        Judgement::Known { reasons, .. } => assert!(reasons.iter().all(|reason| reason.points.abs() > 1.0)),
        Judgement::Abstains { because } => panic!("{because}"),
    }
}

#[test]
fn a_reason_has_the_sign_of_its_own_effect() {
    let factors = vec![flat(Metric::LinesAdded, -2.0), flat(Metric::LinesDeleted, 0.4)];
    let model = Model { factors, pairs: Vec::new(), ..Model::shipped().clone() };
    match judge_with(&model, &metrics(1, 1, 1, 1, 1, 0.0, false), &RiskPolicy::default()).judgement {
        Judgement::Known { reasons, .. } => {
            assert!(reasons[0].points < 0.0 && reasons[1].points > 0.0, "{reasons:?}");
            assert_eq!((reasons[0].factor.as_str(), reasons[1].factor.as_str()), ("lines_added", "lines_deleted"));
        }
        Judgement::Abstains { because } => panic!("{because}"),
    }
}

#[test]
fn what_is_unknown_contributes_nothing_and_is_never_taken_for_zero() {
    let model = Model::shipped();
    let whole = metrics(40, 12, 3, 2, 1, 1.1, true);
    let factor = model.factors.iter().find(|factor| factor.name == Metric::LinesAdded).unwrap();
    let without = ChangeMetrics { lines_added: None, ..whole.clone() };
    assert!((model.adds(&whole) - model.adds(&without) - factor.shape.adds(40.0)).abs() < 1e-12);
    let zero = ChangeMetrics { lines_added: Some(0), ..whole };
    assert!((model.adds(&zero) - model.adds(&without)).abs() > 0.5);
    assert_eq!(model.adds(&ChangeMetrics::default()), 0.0);
}

#[test]
fn a_verdict_of_an_earlier_version_can_still_be_read() {
    let text = r#"{"model":"additive-api 1","metrics":{"lines_added":3,"lines_deleted":null,"files":1,"directories":1,
        "subsystems":1,"entropy":0.0,"fix":false},"judgement":{"known":{"probability":0.08,"band":"low",
        "reasons":[{"factor":"lines_added","text":"adds 3 lines","points":-8.0}],"base":16.0}}}"#;
    let verdict: Verdict = serde_json::from_str(text).unwrap();
    assert_eq!((verdict.model.as_str(), verdict.metrics.lines_added), ("additive-api 1", Some(3)));
}

fn history() -> impl Strategy<Value = Option<HistoryMetrics>> {
    let count = || proptest::option::of(0f64..1e6);
    let share = || proptest::option::of(0f64..=1.0);
    let told = (count(), count(), count(), count(), count(), share(), count(), count()).prop_map(
        |(lines_before, age_days, code_files, doc_files, largest_file, fix_share, touches_90_days, developers)| {
            HistoryMetrics {
                lines_before,
                age_days,
                code_files,
                doc_files,
                largest_file,
                fix_share,
                touches_90_days,
                developers,
                ..HistoryMetrics::default()
            }
        },
    );
    proptest::option::of(told)
}

proptest! {
    #[test]
    fn base_and_points_add_up_to_the_probability(
        la in proptest::option::of(0u64..1_000_000), ld in proptest::option::of(0u64..1_000_000), nf in 1u64..5_000,
        nd in proptest::option::of(0u64..3_000), ns in 0u64..300, ent in proptest::option::of(0f64..14.0), fix: bool,
        history in history()) {
        let known = metrics(0, 0, nf, 0, ns, 0.0, fix);
        let history = history.map(Box::new);
        let metrics = ChangeMetrics { lines_added: la, lines_deleted: ld, directories: nd, entropy: ent, history, ..known };
        if let Judgement::Known { probability, band, reasons, base } = judge(&metrics, &RiskPolicy::default()).judgement {
            let sum = base + reasons.iter().map(|reason| reason.points).sum::<f64>();
            prop_assert!((sum - 100.0 * probability).abs() < 1e-9);
            prop_assert!(probability > 0.0 && probability < 1.0);
            prop_assert_eq!(band, Band::of(probability, &RiskPolicy::default()));
            prop_assert!(reasons.windows(2).all(|pair| pair[0].points.abs() >= pair[1].points.abs()));
            prop_assert!(reasons.iter().all(|reason| !reason.text.is_empty()));
        }
    }
}
