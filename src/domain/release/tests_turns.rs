//! Merges that are placed, buttons that are pressed, and what runs compared with what was deployed.

use super::tests::*;
use super::tests_verify::verification;
use super::*;
use crate::domain::event::{Event, Reverted};
use crate::domain::facts::{Absence, ChangedFiles, Comparison, Fact, RunStatus, Standing};
use crate::domain::policy::{OnFailure, Probe, Verification};
use crate::domain::reading::Reading;

fn pulls(stage: &Stage1, release: u64) -> Vec<u64> {
    stage.state.releases[&ReleaseNumber(release)].changes.iter().map(|change| change.pull.0).collect()
}

fn look(stage: &mut Stage1) {
    stage.play(called());
}

fn called() -> Event {
    Event::Look { because: "the clock called".into() }
}

fn says(text: &str) -> Reading {
    Reading::Response { status: 200, took: Span(20), value: Some(text.to_owned()) }
}

// ---------------------------------------------------------------- drift

/// Release 1 is live in production, which says what it runs.
fn telling() -> Stage1 {
    let probe = Probe::Live { url: "https://shop.example/version".into(), pointer: None };
    let mut stage =
        unasked(|production| production.verify = vec![Verification { successes: 1, ..verification(probe) }]);
    stage.readings = |_| says("0000000000000000000000000000000000000007");
    through(&mut stage, 7);
    stage.wait(Span::minutes(1));
    assert_eq!(stage.live("production"), Some(1));
    stage
}

fn drift(stage: &Stage1) -> Option<Drift> {
    stage.state.environment(&production()).and_then(|environment| environment.drift.clone())
}

fn drift_notes(stage: &Stage1) -> usize {
    stage.said.notes.iter().filter(|note| note.contains("says that it runs")).count()
}

#[test]
fn every_ten_minutes_what_runs_is_compared_with_what_was_deployed() {
    let mut stage = telling();
    let live_at = stage.state.live(&production()).expect("it is live").at;
    assert_eq!(turn::next_drift_look(&stage.state), Some(live_at.plus(Span::minutes(10))));
    stage.now = live_at.plus(Span::minutes(10)).minus(Span(1));
    look(&mut stage);
    assert_eq!(drift(&stage), None, "not yet");
    stage.now = live_at.plus(Span::minutes(10));
    look(&mut stage);
    let asked_at = live_at.plus(Span::minutes(10));
    assert_eq!(drift(&stage), Some(Drift { asked_at, runs: None }));
    assert_eq!(turn::next_drift_look(&stage.state), Some(asked_at.plus(Span::minutes(10))));
    stage.readings = |_| says("1234567");
    stage.wait(Span::hours(1));
    assert_eq!(drift(&stage).and_then(|drift| drift.runs), Some("1234567".into()));
    assert_eq!(drift_notes(&stage), 1, "the same is said once");
    let said = stage.said.notes.iter().find(|note| note.contains("says that it runs")).expect("a note");
    assert_eq!(said, "production says that it runs 1234567, not 0000000");
    stage.readings = |_| says("7654321");
    stage.wait(Span::minutes(20));
    assert_eq!(drift_notes(&stage), 2, "another is said again");
    stage.readings = |_| Reading::Response { status: 503, took: Span(20), value: Some("7654321".into()) };
    stage.wait(Span::minutes(20));
    assert_eq!(drift(&stage).map(|drift| drift.runs), Some(None), "an error page names no commit");
}

#[test]
fn what_is_being_rolled_out_is_no_drift() {
    let mut stage = telling();
    stage.merge(8, "ada").run(RunStatus::Succeeded).obey().obey();
    stage.readings = |_| says("1234567");
    assert_eq!(turn::next_drift_look(&stage.state), None);
    stage.now = stage.now.plus(Span::minutes(20));
    look(&mut stage);
    assert_eq!(drift(&stage), None);
}

#[test]
fn nobody_asks_what_runs_where_no_policy_says_how() {
    let mut stage = unasked(|_| {});
    through(&mut stage, 7);
    assert_eq!(turn::next_drift_look(&stage.state), None);
    stage.wait(Span::hours(1));
    assert_eq!(drift(&stage), None);
}

// ---------------------------------------------------------------- buttons

/// Presses a button on the check run of a commit; what was noted of it.
fn press(stage: &mut Stage1, action: &str, commit: u64, by: &str) -> String {
    let before = stage.said.notes.len();
    let (head_sha, by) = (sha(commit), Login::new(by));
    stage.play(Event::ActionRequested { action: action.into(), head_sha, by });
    stage.said.notes.get(before).cloned().unwrap_or_default()
}

fn rolling(stage: &Stage1) -> Option<u64> {
    stage.state.rolling(&production()).map(|(release, _)| release.number.0)
}

#[test]
fn a_button_counts_only_for_its_release_on_its_commit() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    for (action, commit) in [
        ("approve.1.1", 8),
        ("approve.2.1", 7),
        ("approve.1.2", 7),
        ("approve.1", 7),
        ("approve", 7),
        ("approve.x.1", 7),
        ("deploy.1.1", 7),
        ("reviewed.1", 7),
    ] {
        let noted = press(&mut stage, action, commit, "grace");
        assert_eq!(noted, "grace pressed a button of something that is gone", "{action}");
    }
    press(&mut stage, "approve.1.1", 7, "mallory");
    assert_eq!(rolling(&stage), None);
    assert_eq!(press(&mut stage, "approve.1.1", 7, "grace"), "grace pressed approve.1.1");
    assert_eq!(rolling(&stage), Some(1));
}

#[test]
fn the_buttons_of_a_release_hold_it_try_it_again_and_take_it_back() {
    let mut stage = unasked(|_| {});
    through(&mut stage, 6);
    through(&mut stage, 7);
    press(&mut stage, "hold.2.1", 7, "ada");
    assert!(stage.status().contains("`production` is held: ada gave no reason."), "{}", stage.status());
    stage.resume("ada");
    press(&mut stage, "rollback.1.1", 6, "ada");
    assert_eq!(stage.state.last_number, 2);
    let word = stage.state.releases[&ReleaseNumber(1)].last_word.as_deref();
    assert_eq!(word, Some("⛔ Release 1 is neither live in production nor on its way there."));
    press(&mut stage, "rollback.2.1", 7, "ada");
    assert_eq!(rolling(&stage), Some(3));
    press(&mut stage, "rollback.2.1", 7, "ada");
    assert_eq!(stage.state.last_number, 3, "what is live is being taken back already");
}

#[test]
fn the_button_of_what_rolls_takes_it_back_and_that_of_what_is_live_does_not() {
    let mut stage = unasked(|_| {});
    through(&mut stage, 6);
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey().obey();
    press(&mut stage, "rollback.1.1", 6, "ada");
    assert_eq!(stage.state.last_number, 2);
    press(&mut stage, "rollback.2.1", 7, "ada");
    assert_eq!((stage.state.last_number, rolling(&stage)), (3, Some(3)));
}

#[test]
fn the_button_of_what_is_live_does_nothing_while_a_failure_left_something_behind() {
    let mut stage = unasked(|production| production.on_failure = OnFailure::Hold);
    through(&mut stage, 6);
    through(&mut stage, 7);
    stage.merge(8, "ada").run(RunStatus::Succeeded).run(RunStatus::Failed);
    press(&mut stage, "rollback.2.1", 7, "ada");
    assert_eq!(stage.state.last_number, 3);
    press(&mut stage, "retry.3.1", 8, "ada");
    assert_eq!((stage.state.last_number, rolling(&stage)), (4, Some(4)));
}

// ---------------------------------------------------------------- merges

fn unplaceable(stage: &mut Stage1, pull: u64) {
    let need = content::reachability(&sha(pull), &stage.plan);
    stage.facts.insert(need, Fact::Absent(Absence::NotFound));
}

#[test]
fn a_merge_that_is_not_placed_is_asked_about_after_twice_as_long_each_time() {
    let mut stage = Stage1::new();
    unplaceable(&mut stage, 7);
    unplaceable(&mut stage, 8);
    stage.merge(7, "ada").merge(8, "ada");
    assert_eq!(stage.state.unplaced.iter().map(|unplaced| unplaced.change.pull.0).collect::<Vec<_>>(), [7, 8]);
    stage.state.unplaced.remove(1);
    let mut waited = Vec::new();
    let mut asked_at = stage.state.unplaced[0].ask_at.minus(Span::minutes(1));
    while let Some(unplaced) = stage.state.unplaced.first() {
        let at = unplaced.ask_at;
        waited.push(at.since(asked_at).0 / 60_000);
        let place = content::reachability(&sha(7), &stage.plan);
        let wants = |now| turn::needs(&stage.state, &called(), &stage.facts, now).contains(&place);
        assert_eq!((wants(at.minus(Span(1))), wants(at)), (false, true));
        stage.now = at.minus(Span(1));
        look(&mut stage);
        assert_eq!(stage.state.unplaced.first().map(|unplaced| unplaced.ask_at), Some(at), "not before its time");
        stage.now = at;
        look(&mut stage);
        asked_at = at;
    }
    assert_eq!(waited, [1, 2, 4, 8, 16, 32, 64, 128]);
    assert!(stage.state.releases.is_empty());
}

#[test]
fn a_merge_that_is_placed_later_belongs_to_the_first_release_that_brings_it_too() {
    let mut stage = Stage1::new();
    unplaceable(&mut stage, 7);
    stage.merge(7, "ada").merge(8, "ada").merge(9, "ada");
    assert_eq!(stage.state.releases.len(), 2);
    let standing = Standing::Ahead;
    let compared = Comparison { standing, commits: Vec::new(), total_commits: 0, files: ChangedFiles::default() };
    stage.facts.insert(content::reachability(&sha(7), &stage.plan), Fact::Comparison(compared));
    stage.now = stage.state.unplaced[0].ask_at;
    look(&mut stage);
    let first: Vec<u64> = stage.state.releases[&ReleaseNumber(1)].changes.iter().map(|c| c.pull.0).collect();
    assert_eq!((first.contains(&7), stage.state.unplaced.len()), (true, 0));
}

#[test]
fn what_waits_first_gives_way_when_it_turns_out_to_bring_what_the_next_takes_back() {
    let mut stage = Stage1::new();
    stage.plan.pipeline.max_changes = Some(1);
    stage.plan.pipeline.environments.remove(0);
    unplaceable(&mut stage, 7);
    stage.merge(7, "ada").merge(8, "ada");
    stage.merge_as(Change { reverts: vec![Reverted::Pull(PullNumber(7))], ..change(9, "ada") });
    assert_eq!(stage.state.waiting(&production()).len(), 2, "one change a release");
    let standing = Standing::Ahead;
    let compared = Comparison { standing, commits: Vec::new(), total_commits: 0, files: ChangedFiles::default() };
    stage.facts.insert(content::reachability(&sha(7), &stage.plan), Fact::Comparison(compared));
    stage.now = stage.state.unplaced[0].ask_at;
    look(&mut stage);
    let waiting: Vec<u64> = stage.state.waiting(&production()).iter().map(|(release, _)| release.number.0).collect();
    assert_eq!(waiting, [2]);
}

#[test]
fn merges_that_are_placed_together_do_not_wait_for_each_other() {
    let mut stage = Stage1::new();
    let reachable = |stage: &Stage1, pull| content::reachability(&sha(pull), &stage.plan);
    for pull in [7, 8, 9] {
        unplaceable(&mut stage, pull);
        stage.merge(pull, "ada");
    }
    let standing = Standing::Ahead;
    let compared = Comparison { standing, commits: Vec::new(), total_commits: 0, files: ChangedFiles::default() };
    for pull in [7, 8, 9] {
        stage.facts.insert(reachable(&stage, pull), Fact::Comparison(compared.clone()));
    }
    stage.now = stage.state.unplaced[2].ask_at;
    for left in [2, 1, 0] {
        look(&mut stage);
        assert_eq!(stage.state.unplaced.len(), left);
    }
    assert_eq!(stage.state.releases.len(), 3);
}

#[test]
fn a_merge_that_github_knows_and_does_not_place_is_never_given_up_and_shown() {
    let mut stage = Stage1::new();
    let need = content::reachability(&sha(7), &stage.plan);
    stage.facts.insert(need.clone(), Fact::Absent(Absence::Unusable { message: "too long".into() }));
    stage.merge(7, "ada");
    for _ in 0..12 {
        let asked_at = stage.state.unplaced[0].ask_at;
        stage.now = asked_at;
        look(&mut stage);
        assert!(stage.state.unplaced[0].ask_at.since(asked_at) <= Span::minutes(128));
    }
    insta::assert_snapshot!(stage.status(), @"- ⏳ #7 (`0000000`) is not released yet: GitHub does not say what it contains. It is asked again by itself.");
    let standing = Standing::Identical;
    let compared = Comparison { standing, commits: Vec::new(), total_commits: 0, files: ChangedFiles::default() };
    stage.facts.insert(need, Fact::Comparison(compared));
    stage.now = stage.state.unplaced[0].ask_at;
    look(&mut stage);
    assert_eq!((stage.state.releases.len(), stage.state.unplaced.len()), (1, 0));
}

#[test]
fn a_merge_that_is_not_on_the_branch_is_not_released() {
    let compared = |standing| {
        Fact::Comparison(Comparison { standing, commits: Vec::new(), total_commits: 0, files: ChangedFiles::default() })
    };
    for (standing, releases) in
        [(Standing::Ahead, 1), (Standing::Identical, 1), (Standing::Behind, 0), (Standing::Diverged, 0)]
    {
        let mut stage = Stage1::new();
        stage.facts.insert(content::reachability(&sha(7), &stage.plan), compared(standing));
        stage.merge(7, "ada");
        assert_eq!((stage.state.releases.len(), stage.state.unplaced.len()), (releases, 0), "{standing:?}");
    }
}

#[test]
fn a_merge_is_released_once_however_often_it_is_told() {
    let mut stage = unasked(|_| {});
    stage.merge(7, "ada").merge(8, "ada").merge(7, "ada").merge(8, "ada");
    assert_eq!((stage.state.last_number, pulls(&stage, 1), pulls(&stage, 2)), (2, vec![7], vec![8]));
}

#[test]
fn a_merge_heard_of_late_belongs_to_no_release_that_failed() {
    let mut stage = unasked(|_| {});
    stage.merge(8, "ada").run(RunStatus::Failed).merge(9, "ada").merge(7, "ada");
    assert_eq!((pulls(&stage, 1), pulls(&stage, 2)), (vec![8], vec![9, 7]));
    let mut stage = unasked(|_| {});
    through(&mut stage, 8);
    stage.merge(9, "ada").merge(7, "ada");
    assert_eq!((pulls(&stage, 1), pulls(&stage, 2)), (vec![8, 7], vec![9]), "what is live brought it");
}

// ---------------------------------------------------------------- reviews

#[test]
fn an_override_is_reviewed_by_its_own_button_and_its_own_issue() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    let of = |number: u64, commit: u64| Override {
        number,
        gate: crate::domain::policy::GateName::Window,
        environment: production(),
        release: ReleaseNumber(1),
        sha: sha(commit),
        by: Login::new("linus"),
        reason: "The shop is down.".into(),
        at: Timestamp(0),
        issue: None,
        reviewed: None,
    };
    stage.state.overrides = vec![of(1, 7), of(2, 6), of(3, 6)];
    let reviewed = |stage: &Stage1| stage.state.overrides.iter().map(|o| o.reviewed.is_some()).collect::<Vec<_>>();
    press(&mut stage, "reviewed.1", 6, "grace");
    assert_eq!(reviewed(&stage), [false, false, false], "another commit's check run");
    press(&mut stage, "reviewed.2", 6, "grace");
    assert_eq!(reviewed(&stage), [false, true, false]);
    let closed = |number| {
        let key = breakglass::issue_key(&stage.state.repo, &stage.state.service, number);
        Event::IssueClosed { key, by: Login::new("tove") }
    };
    let (ours, other) = (closed(3), closed(4));
    assert_eq!(turn::needs(&stage.state, &other, &stage.facts, stage.now), []);
    stage.play(other);
    assert_eq!(reviewed(&stage), [false, true, false]);
    stage.play(ours);
    assert_eq!(reviewed(&stage), [false, true, true]);
}
