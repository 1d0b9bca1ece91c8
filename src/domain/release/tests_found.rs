//! Stories that simulated worlds told first.

use super::tests::*;
use super::tests_blocks::{deploy, freeze};
use super::tests_people::{lock, override_gate, written};
use super::*;
use crate::domain::chatops::Verb;
use crate::domain::event::{Event, PipelineCommand, Reverted, Signal};
use crate::domain::facts::{Permission, RunStatus};
use crate::domain::policy::{Portion, Requirement, Supersede};

fn with(change: impl FnOnce(&mut Stage1)) -> Stage1 {
    let mut stage = Stage1::new();
    stage.plan.pipeline.environments[1].approval = None;
    change(&mut stage);
    stage
}

fn reverting(pull: u64, reverted: u64) -> Change {
    Change { reverts: vec![Reverted::Pull(PullNumber(reverted))], ..change(pull, "ada") }
}

fn phase(stage: &Stage1, release: u64, environment: &str) -> StagePhase {
    let release = &stage.state.releases[&ReleaseNumber(release)];
    release.stage(&EnvironmentName::new(environment)).expect("a stage").phase.clone()
}

#[test]
fn a_retry_that_was_written_before_the_failure_ends_no_hold() {
    let mut stage = with(|_| {});
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    let written = stage.now;
    stage.run(RunStatus::Failed);
    let command = PipelineCommand {
        speculative: false,
        origin: Origin::Comment { pull: PullNumber(1), comment: CommentId(900), index: 0 },
        pull_open: true,
        by: Login::new("grace"),
        permission: Permission::Write,
        at: written,
        verb: Verb::Retry { environment: Some(production()), service: None },
    };
    let plan = Box::new(stage.plan.clone());
    stage.play(Event::Signal(Signal::Commanded { command: Box::new(command), plan }));
    assert!(block::of_automation(&stage.state, &production()).is_some());
    assert_eq!(stage.state.last_number, 1);
    let again = stage.command("grace", Verb::Retry { environment: Some(production()), service: None });
    assert!(again.starts_with("🔁"), "{again}");
}

#[test]
fn whoever_had_a_requested_release_tried_again_does_not_approve_it() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    let what = sha(7).to_string();
    stage.command("ada", Verb::Deploy { what, environment: production(), service: None, reason: None });
    let approve = || Verb::Approve { environment: production(), sha: None, service: None };
    stage.command("grace", approve());
    stage.run(RunStatus::Failed);
    stage.command("grace", Verb::Retry { environment: Some(production()), service: None });
    let refused = stage.command("grace", approve());
    assert!(refused.contains("asked for release"), "{refused}");
}

#[test]
fn what_pauses_because_it_was_reverted_gives_way_to_the_revert() {
    let mut stage = with(|stage| {
        stage.plan.pipeline.environments[1].rollout = vec![Portion::Percent(50), Portion::Percent(100)];
    });
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey().obey();
    let run = run_snapshot(stage.next_id, RunStatus::Succeeded, "");
    stage.command("ada", Verb::Lock { environment: production(), service: None, lasts: None, reason: None });
    stage.play(Event::RunChanged { run });
    stage.merge_as(reverting(9, 7)).run(RunStatus::Succeeded);
    assert!(matches!(phase(&stage, 1, "production"), StagePhase::Rolling(_)));
    stage.command("ada", Verb::Unlock { environment: production(), service: None });
    assert_eq!(phase(&stage, 1, "production"), StagePhase::Superseded { by: ReleaseNumber(2) });
    assert!(matches!(phase(&stage, 2, "production"), StagePhase::Rolling(_)));
}

/// #7 is brought to half of production; the event ends that step well.
fn half_way(change: impl FnOnce(&mut Stage1)) -> (Stage1, Event) {
    let mut stage = with(|stage| {
        stage.plan.pipeline.environments[1].rollout = vec![Portion::Percent(50), Portion::Percent(100)];
        change(stage);
    });
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey().obey();
    let run = run_snapshot(stage.next_id, RunStatus::Succeeded, "");
    (stage, Event::RunChanged { run })
}

/// From now on releases for production need an approval, or none.
fn approved_by(stage: &mut Stage1, approval: Option<Requirement>) {
    stage.plan.pipeline.environments[1].approval = approval;
}

#[test]
fn a_revert_for_which_a_rollout_pauses_goes_before_what_somebody_asked_for() {
    let (mut stage, ends) = half_way(|_| {});
    stage.merge_as(reverting(9, 7)).obey().obey();
    let staged = run_snapshot(stage.next_id, RunStatus::Succeeded, "");
    approved_by(&mut stage, Some(managers()));
    stage.command("linus", deploy(5, production()));
    stage.play(Event::RunChanged { run: staged });
    assert!(matches!(phase(&stage, 1, "production"), StagePhase::Rolling(_)), "{}", stage.status());
    let first = |stage: &Stage1| stage.state.candidate(&production()).map(|(release, _)| release.number.0);
    assert_eq!(first(&stage), Some(3), "its step may still fail, or be the last");
    stage.play(ends);
    assert_eq!(phase(&stage, 1, "production"), StagePhase::Superseded { by: ReleaseNumber(2) });
    assert!(matches!(phase(&stage, 2, "production"), StagePhase::Rolling(_)), "{}", stage.status());
    assert_eq!(first(&stage), Some(3));
    assert!(stage.status().contains("starts when release 2 has ended"), "{}", stage.status());
}

#[test]
fn an_approval_says_whether_it_is_for_the_revert_or_for_what_somebody_asked_for() {
    for (pull, taker) in [(9, 2), (5, 3)] {
        let mut stage = both_wait(5, |stage| {
            // Its own next step waits for one as well, and for nothing.
            let first = stage.state.stage_mut(ReleaseNumber(1), &production()).expect("a stage");
            first.policy.approval = Some(managers());
        });
        let approve = |sha| Verb::Approve { environment: production(), sha, service: None };
        insta::allow_duplicates! {
            insta::assert_snapshot!(stage.command("grace", approve(None)), @"⛔ Two releases wait for `production`: `/plimsoll approve production 0000000000000000000000000000000000000009` is for release 2, the revert for which a rollout pauses, and `/plimsoll approve production 0000000000000000000000000000000000000005` for release 3, which somebody asked for. Nothing was changed.");
        }
        stage.command("grace", approve(Some(sha(pull).to_string())));
        assert_eq!(phase(&stage, 1, "production"), StagePhase::Superseded { by: ReleaseNumber(taker) });
        assert!(matches!(phase(&stage, taker, "production"), StagePhase::Rolling(_)), "{}", stage.status());
    }
}

#[test]
fn a_rollout_that_was_reverted_gives_way_to_what_somebody_asked_for_while_the_revert_waits() {
    let (mut stage, ends) = half_way(|_| {});
    approved_by(&mut stage, Some(managers()));
    stage.merge_as(reverting(9, 7)).run(RunStatus::Succeeded);
    approved_by(&mut stage, None);
    stage.command("linus", deploy(5, production()));
    stage.play(ends);
    assert_eq!(phase(&stage, 1, "production"), StagePhase::Superseded { by: ReleaseNumber(3) });
    assert!(matches!(phase(&stage, 3, "production"), StagePhase::Rolling(_)), "{}", stage.status());
    assert!(matches!(phase(&stage, 2, "production"), StagePhase::Waiting { .. }), "{}", stage.status());
}

#[test]
fn what_somebody_asked_for_and_nothing_keeps_goes_before_the_revert_which_follows() {
    let (mut stage, ends) = half_way(|_| {});
    stage.merge_as(reverting(9, 7)).run(RunStatus::Succeeded);
    stage.command("linus", deploy(7, production()));
    stage.play(ends);
    assert_eq!(phase(&stage, 1, "production"), StagePhase::Superseded { by: ReleaseNumber(3) });
    assert!(stage.state.releases[&ReleaseNumber(3)].changes.is_empty(), "it may not hold what was begun");
    stage.run(RunStatus::Succeeded).obey().end(RunStatus::Succeeded);
    assert_eq!(stage.live("production"), Some(3));
    assert!(matches!(phase(&stage, 2, "production"), StagePhase::Rolling(_)), "{}", stage.status());
}

/// A rollout pauses for the revert, release 2, and what somebody asked for, release 3, waits: both for an approval.
fn both_wait(asked: u64, meanwhile: impl FnOnce(&mut Stage1)) -> Stage1 {
    let (mut stage, ends) = half_way(|_| {});
    approved_by(&mut stage, Some(managers()));
    stage.merge_as(reverting(9, 7)).run(RunStatus::Succeeded);
    stage.command("linus", deploy(asked, production()));
    meanwhile(&mut stage);
    stage.play(ends);
    assert!(matches!(phase(&stage, 1, "production"), StagePhase::Rolling(_)), "{}", stage.status());
    stage
}

#[test]
fn an_override_from_before_the_pause_is_not_for_the_revert() {
    let mut before = Timestamp(0);
    let mut stage = both_wait(5, |stage| {
        before = stage.now;
        stage.now = stage.now.plus(Span::seconds(60));
    });
    let refused = written(&mut stage, "marge", before, override_gate(GateName::Approval, None));
    assert!(refused.contains("Release 2 came after this was written"), "{refused}");
    let answer = stage.command("marge", override_gate(GateName::Approval, None));
    assert!(answer.contains("overridden for release 2"), "{answer}");
    assert_eq!(phase(&stage, 1, "production"), StagePhase::Superseded { by: ReleaseNumber(2) });
}

#[test]
fn an_override_is_for_what_somebody_asked_for_where_nothing_of_that_keeps_the_revert() {
    let (mut stage, ends) = half_way(|_| {});
    stage.merge_as(reverting(9, 7)).run(RunStatus::Succeeded);
    approved_by(&mut stage, Some(managers()));
    stage.command("linus", deploy(5, production()));
    stage.command("ada", freeze(Some(production())));
    stage.play(ends);
    let answer = stage.command("marge", override_gate(GateName::Approval, None));
    assert!(answer.contains("overridden for release 3"), "{answer}");
    assert!(matches!(phase(&stage, 1, "production"), StagePhase::Rolling(_)), "{}", stage.status());
}

#[test]
fn what_somebody_asked_for_of_the_revert_itself_is_no_other_commit() {
    let mut stage = both_wait(9, |_| {});
    stage.approve("grace");
    assert_eq!(phase(&stage, 1, "production"), StagePhase::Superseded { by: ReleaseNumber(3) });
    stage.run(RunStatus::Succeeded).obey().end(RunStatus::Succeeded);
    assert_eq!(stage.live("production"), Some(3));
    assert!(matches!(phase(&stage, 2, "production"), StagePhase::Succeeded { .. }), "{}", stage.status());
}

#[test]
fn a_rollout_that_was_reverted_gives_way_to_no_delivery_out_of_its_turn() {
    let (mut stage, ends) = half_way(|stage| stage.plan.pipeline.max_changes = Some(1));
    approved_by(&mut stage, Some(managers()));
    stage.merge_as(reverting(9, 7)).run(RunStatus::Succeeded);
    approved_by(&mut stage, None);
    stage.merge(10, "ada").run(RunStatus::Succeeded);
    stage.play(ends);
    assert!(matches!(phase(&stage, 1, "production"), StagePhase::Rolling(_)), "{}", stage.status());
    for waits in [2, 3] {
        assert!(matches!(phase(&stage, waits, "production"), StagePhase::Waiting { .. }), "{}", stage.status());
    }
    stage.approve("grace");
    assert_eq!(phase(&stage, 1, "production"), StagePhase::Superseded { by: ReleaseNumber(2) });
}

#[test]
fn what_a_rollout_gives_way_to_starts_once_that_can_be_stopped() {
    let mut stage = with(|stage| stage.plan.pipeline.environments[0].supersede = Supersede::Abort);
    stage.merge(7, "ada").merge(8, "ada");
    // Its deployment is being made on GitHub just now.
    assert!(
        stage.state.rolling(&EnvironmentName::new("staging")).is_some_and(|(release, _)| release.number.0 == 1),
        "{}",
        stage.status()
    );
    assert!(matches!(phase(&stage, 2, "staging"), StagePhase::Waiting { .. }), "{}", stage.status());
    stage.obey();
    assert_eq!(phase(&stage, 1, "staging"), StagePhase::Superseded { by: ReleaseNumber(2) });
    assert!(matches!(phase(&stage, 2, "staging"), StagePhase::Rolling(_)), "{}", stage.status());
}

#[test]
fn a_rollout_gives_way_to_a_newer_release_only_once_that_could_start() {
    let (mut stage, _) = half_way(|stage| stage.plan.pipeline.environments[1].supersede = Supersede::Abort);
    approved_by(&mut stage, Some(managers()));
    stage.merge(8, "ada").run(RunStatus::Succeeded);
    assert!(matches!(phase(&stage, 1, "production"), StagePhase::Rolling(_)), "{}", stage.status());
    stage.approve("grace");
    assert_eq!(phase(&stage, 1, "production"), StagePhase::Superseded { by: ReleaseNumber(2) });
    assert!(matches!(phase(&stage, 2, "production"), StagePhase::Rolling(_)), "{}", stage.status());
}

#[test]
fn a_rollout_that_nobody_reverted_does_not_give_way_to_what_somebody_asks_for() {
    let (mut stage, ends) = half_way(|stage| stage.plan.pipeline.environments[1].supersede = Supersede::Abort);
    stage.command("linus", deploy(5, production()));
    assert!(matches!(phase(&stage, 1, "production"), StagePhase::Rolling(_)), "{}", stage.status());
    stage.command("ada", freeze(Some(production())));
    stage.play(ends);
    assert!(matches!(phase(&stage, 1, "production"), StagePhase::Rolling(_)), "{}", stage.status());
}

#[test]
fn a_rollout_that_was_reverted_gives_way_once_the_revert_was_compared_with_what_somebody_brought() {
    let mut stage = with(|stage| {
        stage.plan.pipeline.environments[1].rollout = vec![Portion::Percent(50), Portion::Percent(100)];
    });
    stage.command("linus", deploy(5, production()));
    stage.run(RunStatus::Succeeded).obey().end(RunStatus::Succeeded);
    stage.merge(7, "ada").run(RunStatus::Succeeded).wait(Span::seconds(2)).obey().obey();
    let ends = run_snapshot(stage.next_id, RunStatus::Succeeded, "");
    stage.merge_as(reverting(9, 7)).obey().obey();
    let staged = run_snapshot(stage.next_id, RunStatus::Succeeded, "");
    stage.play(Event::RunChanged { run: ends }).play(Event::RunChanged { run: staged });
    assert!(matches!(phase(&stage, 3, "production"), StagePhase::Waiting { .. }), "{}", stage.status());
    assert!(matches!(phase(&stage, 2, "production"), StagePhase::Rolling(_)), "{}", stage.status());
    stage.wait(Span::seconds(2));
    assert_eq!(phase(&stage, 2, "production"), StagePhase::Superseded { by: ReleaseNumber(3) });
    assert!(matches!(phase(&stage, 3, "production"), StagePhase::Rolling(_)), "{}", stage.status());
}

#[test]
fn what_a_rollout_gives_way_to_does_not_take_over_what_is_live() {
    let mut stage = with(|stage| stage.plan.pipeline.environments[1].supersede = Supersede::Abort);
    stage.merge(7, "ada").merge(8, "ada").merge(9, "ada");
    let changes = |stage: &Stage1, release| -> Vec<u64> {
        stage.state.releases[&ReleaseNumber(release)].changes.iter().map(|change| change.pull.0).collect()
    };
    assert_eq!(changes(&stage, 3), [8, 9], "it took the place of the second in staging");
    stage.run(RunStatus::Failed);
    stage.command("linus", deploy(8, production()));
    stage.run(RunStatus::Succeeded);
    stage.command("ada", Verb::Resume { environment: Some(EnvironmentName::new("staging")), service: None });
    stage.run(RunStatus::Succeeded).obey().obey();
    stage.merge(10, "ada").run(RunStatus::Succeeded);
    assert_eq!(phase(&stage, 3, "production"), StagePhase::Superseded { by: ReleaseNumber(5) });
    assert_eq!(changes(&stage, 5), [9, 10]);
}

#[test]
fn an_approval_names_no_commit_where_a_rollout_pauses_for_no_revert() {
    for reverted in [false, true] {
        let (mut stage, ends) = half_way(|_| {});
        approved_by(&mut stage, Some(managers()));
        stage.merge(8, "ada").run(RunStatus::Succeeded);
        if reverted {
            // It is in staging, and what waits for production brings the culprit as well.
            stage.merge_as(reverting(9, 7)).obey().obey();
        } else {
            stage.command("ada", lock("production"));
        }
        stage.command("linus", deploy(5, production()));
        stage.play(ends);
        assert!(matches!(phase(&stage, 1, "production"), StagePhase::Rolling(_)), "{}", stage.status());
        let verb = Verb::Approve { environment: production(), sha: None, service: None };
        let answer = stage.command("grace", verb);
        assert!(answer.contains("approved release"), "{answer}");
    }
}

#[test]
fn an_override_is_for_what_waits_while_a_rollout_does_not_pause() {
    let (mut stage, _) = half_way(|_| {});
    stage.merge(8, "ada").run(RunStatus::Succeeded);
    stage.command("ada", freeze(Some(production())));
    let answer = stage.command("marge", override_gate(GateName::Freeze, None));
    assert!(answer.contains("overridden for release 2"), "{answer}");
}

#[test]
fn an_override_is_for_the_revert_and_not_for_the_rollout_that_pauses_for_it() {
    let (mut stage, ends) = half_way(|_| {});
    stage.merge_as(reverting(9, 7)).run(RunStatus::Succeeded);
    stage.command("ada", freeze(Some(production())));
    stage.play(ends);
    assert!(matches!(phase(&stage, 1, "production"), StagePhase::Rolling(_)), "{}", stage.status());
    let answer = stage.command("marge", override_gate(GateName::Freeze, None));
    assert!(answer.contains("overridden for release 2"), "{answer}");
    assert_eq!(phase(&stage, 1, "production"), StagePhase::Superseded { by: ReleaseNumber(2) });
    assert!(matches!(phase(&stage, 2, "production"), StagePhase::Rolling(_)), "{}", stage.status());
}

#[test]
fn a_revert_takes_the_place_of_all_that_would_bring_back_what_it_reverts() {
    let mut stage = with(|stage| stage.plan.pipeline.max_changes = Some(1));
    stage.merge(7, "ada").merge(8, "ada").merge_as(reverting(9, 7));
    assert_eq!(phase(&stage, 2, "staging"), StagePhase::Superseded { by: ReleaseNumber(3) });
}

#[test]
fn a_revert_that_is_heard_of_late_takes_the_place_of_what_it_reverts_too() {
    let mut stage = with(|stage| stage.plan.pipeline.max_changes = Some(1));
    stage.merge(6, "ada").merge(7, "ada").merge(9, "ada");
    assert!(matches!(phase(&stage, 2, "staging"), StagePhase::Waiting { .. }));
    stage.merge_as(reverting(8, 7));
    assert_eq!(phase(&stage, 2, "staging"), StagePhase::Superseded { by: ReleaseNumber(3) });
    assert!(matches!(phase(&stage, 3, "staging"), StagePhase::Waiting { .. }));
}

#[test]
fn what_somebody_asked_for_of_a_delivery_goes_when_that_gives_its_place() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    stage.command("linus", deploy(7, production()));
    stage.merge(8, "ada").run(RunStatus::Succeeded);
    for release in [1, 2] {
        assert_eq!(phase(&stage, release, "production"), StagePhase::Superseded { by: ReleaseNumber(3) });
    }
}

#[test]
fn a_revert_that_is_heard_of_late_takes_the_place_of_what_somebody_asked_for_as_well() {
    let mut stage = with(|stage| stage.plan.pipeline.max_changes = Some(1));
    stage.merge(6, "ada").merge(7, "ada").merge(9, "ada");
    stage.command("linus", deploy(7, EnvironmentName::new("staging")));
    assert!(matches!(phase(&stage, 4, "staging"), StagePhase::Waiting { .. }));
    stage.merge_as(reverting(8, 7));
    for release in [2, 4] {
        assert_eq!(phase(&stage, release, "staging"), StagePhase::Superseded { by: ReleaseNumber(3) });
    }
}

#[test]
fn a_merge_that_is_heard_of_late_belongs_to_the_first_release_that_brings_it() {
    let mut stage = with(|_| {});
    stage.merge(8, "ada").merge_as(reverting(9, 7)).merge(7, "ada");
    let brings = |release: u64| {
        let changes = &stage.state.releases[&ReleaseNumber(release)].changes;
        changes.iter().map(|change| change.pull.0).collect::<Vec<_>>()
    };
    assert_eq!((brings(1), brings(2)), (vec![8, 7], vec![9]));
}

#[test]
fn the_artifact_of_another_target_is_looked_for_anew() {
    let mut stage = Stage1::new();
    stage.plan.pipeline.rollback.artifact = Some("api-{sha}".to_owned());
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    stage.play(Event::Look { because: "the clock called".into() });
    assert_eq!(turn::unknown(&stage.state, stage.now).count(), 0);
    let at = stage.now;
    stage.state.environment_mut(&production()).live = Some(Live { release: ReleaseNumber(1), sha: sha(3), at });
    assert_eq!(turn::unknown(&stage.state, stage.now).count(), 1);
}

#[test]
fn a_revert_by_commit_counts_also_when_it_is_heard_of_before_what_it_reverts() {
    let mut stage = with(|_| {});
    let back = Change { reverts: vec![Reverted::Commit(sha(7))], ..change(9, "ada") };
    stage.merge(8, "ada").merge_as(back).merge(7, "ada");
    assert_eq!(stage.state.reverted.get(&PullNumber(7)), Some(&BTreeSet::from([PullNumber(9)])));
}
