use super::*;
use clap::Parser;
use std::path::Path;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    train: Train,
}

/// A file of changes in which more lines are worse, from another day for each seed.
fn write(folder: &Path, name: &str, seed: u64) -> String {
    let mut text = "ts,la,ld,nf,fix,bug\n".to_owned();
    for i in 0..200u64 {
        let lines = (i * 37 + seed * 11) % 120;
        let bad = u8::from((i * 53 + seed) % 120 < lines);
        text.push_str(&format!("{},{lines},{},{},0,{bad}\n", (seed * 1_000 + i) * 86_400, lines / 2, 1 + i % 3));
    }
    let path = folder.join(format!("{name}.csv"));
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn learn(folder: &Path, more: &[&str]) -> anyhow::Result<Model> {
    let data = [write(folder, "a-shop", 1), write(folder, "b-shop", 2), write(folder, "b-bank", 3)];
    let out = folder.join("model.json").display().to_string();
    let line = ["train", "--data"].into_iter().chain(data.iter().map(String::as_str));
    Line::parse_from(line.chain(["--out", &out]).chain(more.iter().copied())).train.learn()?;
    model_file::read(Path::new(&out))
}

#[test]
fn a_model_is_written_with_where_it_comes_from_and_the_same_every_time() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["--model-version", "7", "--source", "made up", "--mask", "fix=bank"];
    let model = learn(folder.path(), &more).unwrap();
    assert_eq!(model.title(), "additive-7");
    insta::assert_snapshot!(model.provenance.data.join("\n"), @"
    made up
    a-shop: 200 changes from 1972-09-27 to 1973-04-14, 51.5 % bad
    b-shop: 200 changes from 1975-06-24 to 1976-01-09, 50.0 % bad
    b-bank: 200 changes from 1978-03-20 to 1978-10-05, 48.0 % bad; `fix` not used
    ");
    assert_eq!(model.provenance.date, "1978-10-05");
    assert_eq!(learn(folder.path(), &more).unwrap(), model);
}

#[test]
fn scores_are_of_models_that_did_not_see_the_project() {
    let folder = tempfile::tempdir().unwrap();
    let model = learn(folder.path(), &["--scores", "--date", "2026-11-28"]).unwrap();
    let names: Vec<_> = model.provenance.scores.iter().filter_map(|line| line.split(':').next()).collect();
    assert_eq!((names, model.provenance.date.as_str()), (vec!["b-bank", "a-shop", "b-shop"], "2026-11-28"));
    assert!(model.provenance.scores.iter().all(|line| line.contains("adapted AUC") && line.contains("40 changes")));
}

#[test]
fn a_project_alone_cannot_be_scored_and_one_name_stands_for_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let (a, out) = (write(folder.path(), "a-shop", 1), folder.path().join("m.json").display().to_string());
    let said = |line: &[&str]| Line::parse_from(line).train.learn().unwrap_err().to_string();
    insta::assert_snapshot!(said(&["train", "--data", &a, "--out", &out, "--scores"]), @"without `shop` there is nothing left to learn from, so it cannot be scored");
    insta::assert_snapshot!(said(&["train", "--data", &a, &a, "--out", &out]), @"there are two files named `a-shop`");
}

#[test]
fn a_mask_that_masks_nothing_is_refused() {
    let said = |text: &str| text.parse::<Mask>().unwrap_err().to_string();
    insta::assert_snapshot!([said("fix"), said("fix="), said("bug=x"), said("stars=x")].join("\n"), @"
    write it as COLUMN=TEXT, as in fix=issta
    write it as COLUMN=TEXT, as in fix=issta
    `bug` is no column of a metric
    `stars` is no column of a metric
    ");
}
