//! Workflows that verify a step, each as a run of its own: when they are tried, and what their runs mean.

use super::tests::{run_snapshot, sha};
use super::tests_verify::{NOW, http, smoke, verification};
use super::verify::*;
use super::*;
use crate::domain::effect::Ending;
use crate::domain::facts::{Absence, Fact, Facts, Need, RunStatus};
use crate::domain::policy::{Probe, Verification};

fn trying(standing: TrialStanding) -> Asked {
    Asked { run: Some(Trial { attempt: 1, since: NOW, standing }), ..Asked::nothing() }
}

/// What a workflow verification is after a look, and which try it dispatches.
fn looked(policy: &Verification, asked: Asked, fact: Option<Fact>, now: Timestamp) -> (Asked, Vec<(usize, u32)>) {
    let (commit, key) = (sha(7), EffectKey::new("step-1"));
    let place = Place { sha: &commit, key: &key, started_at: NOW, until: NOW };
    let policies = [policy.clone()];
    let wanted = needs(&policies, std::slice::from_ref(&asked), &place, now);
    let facts: Facts = wanted.into_iter().zip(fact).collect();
    let mut asked = [asked];
    let dispatches = look(&policies, &mut asked, &place, &facts, now);
    let [asked] = asked;
    (asked, dispatches)
}

#[test]
fn a_run_of_a_verification_is_judged_by_how_it_ended() {
    let policy = verification(smoke());
    for (status, outcome, words) in [
        (RunStatus::Succeeded, Outcome::Success, "its run succeeded"),
        (RunStatus::Failed, Outcome::Failure, "its run failed"),
        (RunStatus::TimedOut, Outcome::Failure, "its run timed out"),
        (RunStatus::Cancelled, Outcome::Inconclusive, "its run was cancelled"),
        (RunStatus::Other, Outcome::Inconclusive, "its run ended without a result"),
    ] {
        let fact = Fact::Run(run_snapshot(5, status, ""));
        let (asked, _) = looked(&policy, trying(TrialStanding::Running { run: RunId(5) }), Some(fact), NOW);
        assert_eq!(asked.heard, Some(Heard { outcome, says: words.into() }));
        assert_eq!(asked.run.map(|trial| trial.standing), Some(TrialStanding::Ended));
        assert_eq!(asked.at, Some(NOW));
    }
    for status in [RunStatus::Queued, RunStatus::InProgress] {
        let fact = Fact::Run(run_snapshot(5, status, ""));
        let (asked, _) = looked(&policy, trying(TrialStanding::Running { run: RunId(5) }), Some(fact), NOW);
        assert_eq!((asked.heard.clone(), asked.at), (None, Some(NOW)), "it was seen and goes on");
        assert_eq!(asked.run.map(|trial| trial.standing), Some(TrialStanding::Running { run: RunId(5) }));
    }
    let gone = Some(Fact::Absent(Absence::NotFound));
    let (asked, _) = looked(&policy, trying(TrialStanding::Running { run: RunId(5) }), gone, NOW);
    assert_eq!(asked.heard.expect("an answer").says, "its run was deleted");
    let unreadable = Some(Fact::Absent(Absence::Refused { message: "no".into() }));
    let (asked, _) = looked(&policy, trying(TrialStanding::Running { run: RunId(5) }), unreadable, NOW);
    assert_eq!(asked.heard, None, "who may not look knows nothing");
}

#[test]
fn a_run_of_a_verification_that_has_ended_is_not_judged_twice() {
    let policy = verification(smoke());
    let (mut asked, _) = looked(
        &policy,
        trying(TrialStanding::Running { run: RunId(5) }),
        Some(Fact::Run(run_snapshot(5, RunStatus::Succeeded, ""))),
        NOW,
    );
    run_seen(&policy, &mut asked, &run_snapshot(5, RunStatus::Failed, ""), NOW);
    dispatched(&policy, &mut asked, &Ending::Superseded, NOW);
    assert_eq!((asked.successes, asked.failures), (1, 0));
}

#[test]
fn a_run_that_github_did_not_name_is_looked_for_five_minutes_long() {
    let policy = verification(smoke());
    let found = Some(Fact::RunByKey(Some(run_snapshot(5, RunStatus::InProgress, ""))));
    let (asked, _) = looked(&policy, trying(TrialStanding::Finding), found, NOW);
    assert_eq!(asked.run.map(|trial| trial.standing), Some(TrialStanding::Running { run: RunId(5) }));
    for (waited, given_up) in [(Span::minutes(5).0 - 1, false), (Span::minutes(5).0, true)] {
        let missing = Some(Fact::RunByKey(None));
        let (asked, _) = looked(&policy, trying(TrialStanding::Finding), missing, NOW.plus(Span(waited)));
        assert_eq!(asked.heard.is_some_and(|heard| heard.says == "no run was found for it"), given_up);
    }
}

#[test]
fn a_verification_that_ended_is_tried_again_until_it_has_passed_or_failed() {
    let policy = verification(smoke());
    let ended = |successes, failures| Asked { at: Some(NOW), successes, failures, ..trying(TrialStanding::Ended) };
    let after_wait = |asked: Asked, wait: Span| looked(&policy, asked, None, NOW.plus(wait)).1;
    assert_eq!(after_wait(Asked::nothing(), Span(0)), [(0, 1)]);
    assert_eq!(after_wait(ended(1, 0), Span::seconds(29)), []);
    assert_eq!(after_wait(ended(1, 0), Span::seconds(30)), [(0, 2)]);
    assert_eq!(after_wait(ended(0, 1), Span::seconds(30)), [(0, 2)]);
    assert_eq!(after_wait(ended(2, 0), Span::seconds(30)), []);
    assert_eq!(after_wait(ended(0, 2), Span::seconds(30)), []);
    assert_eq!(after_wait(trying(TrialStanding::Dispatching), Span::hours(1)), [], "the outbox owns it");
    let (again, _) = looked(&policy, ended(1, 0), None, NOW.plus(Span::seconds(30)));
    let since = NOW.plus(Span::seconds(30));
    assert_eq!(again.run, Some(Trial { attempt: 2, since, standing: TrialStanding::Dispatching }));
}

#[test]
fn a_dispatch_of_a_verification_that_ends_badly_is_no_failure() {
    let policy = verification(smoke());
    let message = || "no such workflow".to_owned();
    for (ending, standing, words) in [
        (Ending::Done { id: Some(5), url: None }, TrialStanding::Running { run: RunId(5) }, None),
        (Ending::Done { id: None, url: None }, TrialStanding::Finding, None),
        (
            Ending::Refused { message: message() },
            TrialStanding::Ended,
            Some("its workflow was not started: no such workflow"),
        ),
        (
            Ending::Unknown { message: message() },
            TrialStanding::Ended,
            Some("its workflow was not started: no such workflow"),
        ),
        (Ending::Superseded, TrialStanding::Ended, Some("its workflow was not started")),
    ] {
        let mut asked = trying(TrialStanding::Dispatching);
        dispatched(&policy, &mut asked, &ending, NOW);
        assert_eq!(asked.run.map(|trial| trial.standing), Some(standing));
        assert_eq!(asked.heard.map(|heard| heard.says), words.map(str::to_owned));
        assert_eq!((asked.successes, asked.failures), (0, 0));
    }
}

#[test]
fn the_clock_calls_when_the_next_question_is_due() {
    let after = |probe: Probe, asked: Asked| {
        let at = wake_at(&[verification(probe)], &[asked], NOW.plus(Span::hours(1)), NOW)?;
        Some(at.since(NOW).0 / 1_000)
    };
    let seen = |ago: u64, asked: Asked| Asked { at: Some(NOW.minus(Span::seconds(ago))), ..asked };
    assert_eq!(after(http(None, None), Asked::nothing()), Some(1));
    assert_eq!(after(http(None, None), seen(10, Asked::nothing())), Some(20));
    assert_eq!(after(http(None, None), seen(60, Asked::nothing())), Some(1));
    assert_eq!(after(http(None, None), Asked { successes: 2, ..seen(10, Asked::nothing()) }), Some(20));
    assert_eq!(after(smoke(), trying(TrialStanding::Dispatching)), None);
    assert_eq!(after(smoke(), trying(TrialStanding::Finding)), Some(15));
    assert_eq!(after(smoke(), seen(10, trying(TrialStanding::Running { run: RunId(5) }))), Some(20));
    assert_eq!(after(smoke(), seen(10, trying(TrialStanding::Ended))), Some(20));
    assert_eq!(after(smoke(), Asked { successes: 2, ..seen(10, trying(TrialStanding::Ended)) }), None);
}

#[test]
fn a_run_of_a_verification_is_asked_about_no_more_often_than_the_policy_says() {
    let (commit, key) = (sha(7), EffectKey::new("step-1"));
    let place = Place { sha: &commit, key: &key, started_at: NOW, until: NOW };
    let asked = [Asked { at: Some(NOW), ..trying(TrialStanding::Running { run: RunId(5) }) }];
    let wanted = |wait| needs(&[verification(smoke())], &asked, &place, NOW.plus(wait));
    assert_eq!(wanted(Span(29_999)), []);
    assert_eq!(wanted(Span(30_000)), [Need::Run { run: RunId(5) }]);
}
