//! Runs of others that wait at our rule, and checks that are waited for beside a decision.

use super::tests::*;
use super::tests_verify::{smoke, verification};
use super::*;
use crate::domain::chatops::Verb;
use crate::domain::effect::{Act, Ending, ProtectionState};
use crate::domain::event::{Event, Signal};
use crate::domain::facts::{CheckStanding, Fact, Need, RunStatus};
use crate::domain::policy::Verification;

fn look(stage: &mut Stage1) {
    stage.play(Event::Look { because: "the clock called".into() });
}

fn look_at(stage: &mut Stage1, at: Timestamp) {
    stage.now = at;
    look(stage);
}

fn asks(stage: &mut Stage1, run: u64, commit: u64, environment: &str) {
    let environment = EnvironmentName::new(environment);
    let asked =
        Signal::ProtectionAsked { run: RunId(run), environment, sha: sha(commit), inputless: true, alone: true };
    stage.play(Event::Signal(asked));
}

/// What each run heard, oldest first.
fn words(stage: &Stage1) -> Vec<(u64, Option<ProtectionState>, String)> {
    let words = stage.said.acts.iter().filter_map(|(_, act)| match act {
        Act::AnswerProtection { run, state, comment, .. } => Some((run.0, *state, comment.clone())),
        _ => None,
    });
    words.collect()
}

#[test]
fn a_run_is_remembered_once_for_each_environment() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada");
    for (run, environment) in [(5, "production"), (5, "production"), (6, "production"), (5, "qa")] {
        asks(&mut stage, run, 7, environment);
    }
    let known: Vec<(u64, &str)> = stage.state.protections.iter().map(|p| (p.run.0, p.environment.as_str())).collect();
    assert_eq!(known, [(5, "production"), (6, "production"), (5, "qa")]);
}

#[test]
fn a_run_hears_ten_reports_at_most_and_is_forgotten_after_thirty_days() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    asks(&mut stage, 5, 7, "production");
    let asked_at = stage.state.protections[0].asked_at;
    for _ in 0..12 {
        stage.state.protections[0].said = String::new();
        look(&mut stage);
    }
    assert_eq!(words(&stage).len(), 10);
    let thirty_days = asked_at.plus(Span::hours(30 * 24));
    assert_eq!(protection::wake_at(&stage.state, asked_at), Some(asked_at.plus(Span::minutes(30))));
    assert_eq!(protection::wake_at(&stage.state, asked_at.plus(Span::minutes(30))), Some(thirty_days));
    look_at(&mut stage, thirty_days.minus(Span(1)));
    assert_eq!(stage.state.protections.len(), 1);
    look_at(&mut stage, thirty_days);
    assert!(stage.state.protections.is_empty());
}

#[test]
fn a_run_of_no_release_is_refused_after_half_an_hour_and_not_before() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    asks(&mut stage, 5, 8, "production");
    let asked_at = stage.state.protections[0].asked_at;
    look_at(&mut stage, asked_at.plus(Span::minutes(30)).minus(Span(1)));
    assert_eq!(words(&stage).last().and_then(|(_, state, _)| *state), None);
    look_at(&mut stage, asked_at.plus(Span::minutes(30)));
    assert_eq!(words(&stage).last().and_then(|(_, state, _)| *state), Some(ProtectionState::Rejected));
}

#[test]
fn a_run_of_what_is_live_passes_unless_something_keeps_it_still() {
    let mut stage = unasked(|_| {});
    through(&mut stage, 7);
    asks(&mut stage, 5, 7, "production");
    let lock = || Verb::Lock { environment: production(), service: None, lasts: None, reason: None };
    stage.command("ada", lock());
    asks(&mut stage, 6, 7, "production");
    stage.command("ada", Verb::Unlock { environment: production(), service: None });
    through(&mut stage, 8);
    asks(&mut stage, 7, 7, "production");
    let rows: Vec<String> = words(&stage).iter().map(|(run, state, says)| format!("{run} {state:?}: {says}")).collect();
    insta::assert_snapshot!(rows.join("\n"), @r"
    5 Some(Approved): Release 1 is live and passed its gate before.
    6 None: Release 1 is live, and nothing may begin now: `production` is locked: ada gave no reason. (by `ada`) `/plimsoll unlock production` ends the lock.
    6 Some(Approved): Release 1 is live and passed its gate before.
    7 Some(Rejected): Release 1 is not live in production any more.
    ");
}

#[test]
fn the_run_of_a_verification_passes_where_its_release_bakes() {
    let once = Verification { successes: 1, ..verification(smoke()) };
    let mut stage = unasked(|production| production.verify = vec![once]);
    stage.merge(7, "ada").run(RunStatus::Succeeded).run(RunStatus::Succeeded);
    stage.wait(Span::seconds(5));
    stage.obey();
    let run = stage.next_id;
    asks(&mut stage, 900, 7, "production");
    asks(&mut stage, run, 99, "production");
    let passed: Vec<(u64, bool)> = words(&stage).iter().map(|(run, state, _)| (*run, state.is_some())).collect();
    assert_eq!(passed, [(900, false), (run, true)]);
}

#[test]
fn checks_beside_a_decision_are_looked_up_again_while_one_is_pending() {
    for (standing, again) in [(CheckStanding::Pending, true), (CheckStanding::Success, false)] {
        let mut stage = Stage1::new();
        stage.merge(7, "ada").run(RunStatus::Succeeded);
        let check = CheckState { name: "tests".into(), app: None, standing, url: None };
        stage.facts.insert(Need::Checks { sha: sha(7) }, Fact::Checks(vec![check]));
        let at = stage.now;
        look(&mut stage);
        let due = turn::next_card_look(&stage.state);
        assert_eq!(due, again.then(|| at.plus(Span::minutes(10))));
        assert_eq!(turn::unknown(&stage.state, at.plus(Span::minutes(10)).minus(Span(1))).count(), 0);
        assert_eq!(turn::unknown(&stage.state, at.plus(Span::minutes(10))).count(), usize::from(again));
    }
}

#[test]
fn a_run_that_asks_before_its_dispatch_is_answered_passes_once_it_is_known() {
    let mut stage = unasked(|_| {});
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey();
    let dispatch = stage.said.acts.last().cloned().expect("a dispatch");
    asks(&mut stage, 900, 99, "production");
    assert_eq!(words(&stage), []);
    stage.play(Event::EffectEnded { key: dispatch.0, ending: Ending::Done { id: Some(900), url: None } });
    assert_eq!(
        words(&stage).first().map(|(run, state, _)| (*run, *state)),
        Some((900, Some(ProtectionState::Approved)))
    );
}
