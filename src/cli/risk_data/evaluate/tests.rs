use super::*;
use crate::cli::risk_data::read;

/// Fifty changes, of which the ten newest test. Every third old one is bad.
fn file(newest: [(u64, u8); 10]) -> DataFile {
    let old = (0..40u64).map(|i| (i % 20 + if i % 3 == 0 { 15 } else { 0 }, u8::from(i % 3 == 0)));
    let rows = old.chain(newest).enumerate();
    let text: String = rows.map(|(i, (la, bug))| format!("{i},{la},{bug}\n")).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made-up.csv");
    std::fs::write(&path, format!("ts,la,bug\n{text}")).unwrap();
    read::read(&path, &[]).unwrap()
}

#[test]
fn lines_added_rank_as_by_hand_with_ties_counting_half() {
    // Of 2 bad and 8 good: 90 beats all; 20 beats six and ties with one.
    let file = file([(90, 1), (20, 1), (20, 0), (50, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0)]);
    let report = report(Model::shipped(), &file, false);
    let wanted = (8.0 + 6.5) / 16.0;
    assert_eq!((report.scores.n, report.base_rate), (10, Some(0.2)));
    for auc in [report.scores.figures.auc, report.la.unwrap().figures.auc, report.kamei.unwrap().figures.auc] {
        assert!((auc.unwrap() - wanted).abs() < 1e-12, "{auc:?}");
    }
}

#[test]
fn an_adapted_model_says_so_and_few_changes_leave_the_ranking() {
    let file = file([(90, 1), (20, 1), (20, 0), (50, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0)]);
    let (shipped, adapted) = (report(Model::shipped(), &file, false), report(Model::shipped(), &file, true));
    assert!(adapted.adapted && adapted.model.starts_with(&format!("{}+repo-", shipped.model)));
    assert_eq!(adapted.scores.figures.auc, shipped.scores.figures.auc);
    assert_ne!(adapted.scores.figures.brier, shipped.scores.figures.brier);
}

#[test]
fn without_both_outcomes_there_is_no_area_and_the_rest_is_told() {
    let report = report(Model::shipped(), &file([(1, 0); 10]), true);
    assert_eq!((report.scores.figures.auc, report.scores.figures.pr_auc), (None, None));
    assert!(report.scores.figures.brier.is_some() && report.scores.figures.ece.is_some());
}

#[test]
fn one_object_a_file_holds_figures_intervals_and_baselines() {
    let file = file([(90, 1), (20, 1), (20, 0), (50, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0)]);
    let json = serde_json::to_value(report(Model::shipped(), &file, false)).unwrap();
    let figures = ["auc", "pr_auc", "brier", "ece", "recall_at_20_effort"];
    for of in [&json, &json["la"], &json["kamei"]] {
        for figure in figures {
            let interval = &of[format!("{figure}_interval")];
            let (low, high) = (interval[0].as_f64().unwrap(), interval[1].as_f64().unwrap());
            assert!(of[figure].is_f64() && low <= high, "{figure}: {of}");
        }
        assert_eq!(of["n"], 10);
    }
    assert_eq!((&json["file"], &json["adapted"]), (&"made-up".into(), &false.into()));
}

#[test]
fn people_get_a_table() {
    let file = file([(90, 1), (20, 1), (20, 0), (50, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0)]);
    let mut one = report(Model::shipped(), &file, false);
    // The shipped numbers may change; how they are printed does not.
    one.scores.figures =
        Figures { auc: Some(0.75), pr_auc: Some(0.5), brier: Some(0.125), ece: None, recall_at_20_effort: Some(1.0) };
    one.scores.intervals.auc_interval = Some([0.5, 1.0]);
    let none = Report { file: "other".to_owned(), la: None, kamei: None, ..one.clone() };
    insta::assert_snapshot!(table(&[one, none]), @"
    file      n    bad    AUC   95 % of draws  PR-AUC  Brier  ECE  recall@20%  LA AUC  Kamei AUC  Kamei ECE
    made-up  10  0.200  0.750  0.500 to 1.000   0.500  0.125    -       1.000   0.906      0.906      0.222
    other    10  0.200  0.750  0.500 to 1.000   0.500  0.125    -       1.000       -          -          -
    mean         0.200  0.750                   0.500  0.125    -       1.000   0.906      0.906      0.222
    ");
}
