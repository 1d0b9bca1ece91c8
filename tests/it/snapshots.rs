//! Lanes as earlier versions wrote them: each can still be read, whole.
//!
//! A folder for each format, with a lane of every kind from a played story. When the shape of a state changes, either
//! these can still be read, or `decide::FORMAT` grows, a reader for the old shape is written, and a folder is added.

use plimsoll::domain::decide::FORMAT;
use plimsoll::domain::view;
use plimsoll::engine::step::read_lane;
use std::path::{Path, PathBuf};

fn folder(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/snapshots/format-{format}"))
}

#[test]
fn lanes_of_every_format_can_be_read() {
    for format in 1..=FORMAT {
        for kind in ["repository", "pull_request", "pipeline"] {
            let file = folder(format).join(format!("{kind}.json"));
            let text = std::fs::read(&file).unwrap_or_else(|problem| panic!("{}: {problem}", file.display()));
            let lane = read_lane(&text).unwrap_or_else(|problem| panic!("{}: {problem}", file.display()));
            assert!(kind == "repository" || !view::of(&lane.state).is_empty(), "{kind} shows nothing");
        }
    }
}

#[test]
fn a_lane_of_today_is_written_as_it_was_read() {
    for kind in ["repository", "pull_request", "pipeline"] {
        let text = std::fs::read(folder(FORMAT).join(format!("{kind}.json"))).unwrap();
        let written: serde_json::Value = serde_json::to_value(read_lane(&text).unwrap()).unwrap();
        let golden: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert!(
            written == golden,
            "the shape of {kind} changed: grow `decide::FORMAT` and keep a reader for the old one"
        );
    }
}

#[test]
fn a_lane_of_a_newer_version_is_refused_and_never_guessed_at() {
    let newer = format!("{{\"format\":{},\"anything\":true}}", FORMAT + 1);
    let refused = read_lane(newer.as_bytes()).unwrap_err();
    assert_eq!(refused, format!("the state has format {}, this version knows {FORMAT}", FORMAT + 1));
}
