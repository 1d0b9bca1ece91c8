//! Runs that wait at GitHub's deployment protection rule.

use super::tests::*;
use super::*;
use crate::domain::effect::{Act, ProtectionState};
use crate::domain::event::{Event, Signal};
use crate::domain::facts::RunStatus;

fn asks(stage: &mut Stage1, run: u64, commit: u64, alone: bool) {
    let inputless = true;
    let asked =
        Signal::ProtectionAsked { run: RunId(run), environment: production(), sha: sha(commit), inputless, alone };
    stage.play(Event::Signal(asked));
}

/// A run that somebody started by hand, of a workflow of this commit.
fn by_hand(stage: &mut Stage1, run: u64, commit: u64) {
    let (run, environment, sha) = (RunId(run), production(), sha(commit));
    stage.play(Event::Signal(Signal::ProtectionAsked { run, environment, sha, inputless: false, alone: true }));
}

/// Everything said to runs that wait, in order.
fn words(stage: &Stage1) -> String {
    let words = stage.said.acts.iter().filter_map(|(key, act)| match act {
        Act::AnswerProtection { run, state, comment, .. } => {
            let state = match state {
                Some(ProtectionState::Approved) => "approved",
                Some(ProtectionState::Rejected) => "rejected",
                None => "report",
            };
            Some(format!("{run} {state} ({key}): {comment}"))
        }
        _ => None,
    });
    words.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_run_that_we_dispatched_passes() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    stage.approve("grace");
    stage.obey().obey();
    let run = stage.next_id;
    // The workflow's own commit is what GitHub names, not the one that is deployed.
    asks(&mut stage, run, 99, false);
    insta::assert_snapshot!(words(&stage), @"105 approved (acme/shop/api/protection-105/production/1700000070000/answer): Release 1 passed its gate.");
}

#[test]
fn somebody_elses_run_waits_for_the_gate_and_hears_why() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    asks(&mut stage, 5, 7, true);
    insta::assert_snapshot!(words(&stage), @"5 report (acme/shop/api/protection-5/production/1700000040000/report-1): Release 1 waits: Waits for approval of `0000000` by members of `acme/release-managers` (0 of 1 given): `/plimsoll approve production`.");
    stage.wait(Span::hours(1));
    assert_eq!(words(&stage).lines().count(), 1, "the same report is not sent twice");
    stage.approve("grace");
    assert_eq!(words(&stage).lines().count(), 2);
}

#[test]
fn a_run_of_a_rollout_that_an_older_version_began_passes() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    stage.approve("grace");
    stage.obey().obey();
    let run = stage.next_id;
    stage.state.stage_mut(ReleaseNumber(1), &production()).expect("a stage").runs.clear();
    by_hand(&mut stage, run, 99);
    assert!(words(&stage).contains("approved"), "{}", words(&stage));
}

#[test]
fn every_job_of_a_run_that_we_dispatched_passes_while_its_release_goes_on_or_is_live() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    stage.approve("grace");
    stage.obey().obey();
    let run = stage.next_id;
    for end in [RunStatus::InProgress, RunStatus::Succeeded] {
        stage.end(end);
        by_hand(&mut stage, run, 99);
    }
    assert_eq!(stage.live("production"), Some(1));
    stage.merge(8, "ada").run(RunStatus::Succeeded);
    stage.approve("grace");
    stage.run(RunStatus::Succeeded);
    assert_eq!(stage.live("production"), Some(2));
    by_hand(&mut stage, run, 99);
    let words: Vec<String> = words(&stage)
        .lines()
        .map(|line| line.split_once(' ').expect("a run").1.replace(char::is_numeric, ""))
        .collect();
    let ends: Vec<&str> = words.iter().map(|words| words.split_once(": ").expect("words").1).collect();
    assert_eq!(
        ends,
        ["Release  passed its gate.", "Release  passed its gate.", "Release  does not go on in production."]
    );
}

#[test]
fn a_run_started_by_hand_never_passes_though_its_own_commit_is_live_or_may_begin() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    by_hand(&mut stage, 5, 7);
    stage.approve("grace");
    stage.obey();
    // Until GitHub has answered the dispatch it may be the one that we dispatched.
    by_hand(&mut stage, 6, 7);
    assert_eq!(words(&stage).lines().count(), 1);
    stage.obey();
    by_hand(&mut stage, 7, 7);
    stage.end(RunStatus::Succeeded);
    by_hand(&mut stage, 8, 7);
    assert_eq!(stage.live("production"), Some(1));
    let words = words(&stage);
    let said: Vec<(&str, &str)> =
        words.lines().filter_map(|line| Some((&line[..10], line.split_once(": ")?.1))).collect();
    assert_eq!(
        said.iter().map(|(run, _)| *run).collect::<Vec<_>>(),
        ["5 rejected", "6 rejected", "7 rejected", "8 rejected"]
    );
    assert!(said.iter().all(|(_, words)| words.starts_with("This run was started by hand or by the API")), "{said:?}");
    assert!(stage.state.protections.is_empty());
}

#[test]
fn a_run_of_a_commit_that_never_passed_is_refused_in_the_end() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    asks(&mut stage, 5, 8, true);
    stage.wait(Span::hours(1));
    insta::assert_snapshot!(words(&stage), @r"
    5 report (acme/shop/api/protection-5/production/1700000040000/report-1): No release of api is made of 0000000.
    5 rejected (acme/shop/api/protection-5/production/1700000040000/answer): No release of api is made of 0000000.
    ");
    assert!(stage.state.protections.is_empty());
}

#[test]
fn a_run_of_a_failed_release_is_refused() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Failed);
    asks(&mut stage, 5, 7, true);
    insta::assert_snapshot!(words(&stage), @"5 rejected (acme/shop/api/protection-5/production/1700000040000/answer): Release 1 has ended without production.");
}

#[test]
fn with_several_services_nobody_answers_for_a_stranger() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    asks(&mut stage, 5, 7, false);
    stage.wait(Span::hours(1));
    assert_eq!(words(&stage), "");
    assert!(stage.state.protections.is_empty(), "it is forgotten, so that it wakes nobody");
}
