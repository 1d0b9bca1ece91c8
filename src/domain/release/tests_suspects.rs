//! Who is suspected of a failure, whom that holds up, and what stays known for it however long it takes.

use super::tests::*;
use super::tests_blocks::{deploy, lock, unlock};
use super::tests_people::{override_gate, written};
use super::*;
use crate::domain::chatops::Verb;
use crate::domain::effect::{Act, Ending};
use crate::domain::event::{Event, Reverted};
use crate::domain::facts::{Absence, Fact, Need, RunStatus};
use crate::domain::policy::{Band, OnFailure, Portion, Requirement};

fn staging() -> EnvironmentName {
    EnvironmentName::new("staging")
}

fn risky(pull: u64, probability: f64) -> Change {
    Change { risk: Some((probability, Band::Moderate)), ..change(pull, "ada") }
}

fn reverting(pull: u64, reverted: u64) -> Change {
    Change { reverts: vec![Reverted::Pull(PullNumber(reverted))], ..change(pull, "ada") }
}

fn culprit(stage: &Stage1) -> Option<u64> {
    let hold = stage.state.blocks.iter().find(|block| block.kind == BlockKind::Hold);
    hold.expect("a hold").culprit.map(|pull| pull.0)
}

fn drafts(stage: &Stage1) -> Vec<u64> {
    let pull = |act: &Act| match act {
        Act::RevertPull { pull, .. } => Some(pull.0),
        _ => None,
    };
    stage.said.acts.iter().filter_map(|(_, act)| pull(act)).collect()
}

fn rolls(stage: &Stage1) -> Option<u64> {
    stage.state.rolling(&production()).map(|(release, _)| release.number.0)
}

/// How the newest act ended.
fn ends(stage: &mut Stage1, ending: Ending) {
    let key = stage.said.acts.last().expect("an act").0.clone();
    stage.play(Event::EffectEnded { key, ending });
}

fn refused() -> Ending {
    Ending::Refused { message: "Unexpected inputs provided".into() }
}

#[test]
fn what_somebody_promoted_keeps_its_place_however_many_merges_follow() {
    let mut stage = unasked(|_| {});
    let migrates = Change { irreversible: vec!["migrations/7.sql".into()], ..risky(7, 0.6) };
    stage.merge_as(migrates).run(RunStatus::Succeeded).run(RunStatus::Succeeded);
    // It goes to production before automation brings it there, which then has nothing left to do.
    stage.merge(8, "ada").obey().obey();
    let staged = run_snapshot(stage.next_id, RunStatus::Succeeded, "");
    stage.command("linus", deploy(8, production()));
    stage.obey().obey().end(RunStatus::Succeeded);
    stage.play(Event::RunChanged { run: staged });
    assert_eq!(stage.live("production"), Some(3));
    stage.command("ada", lock(production(), None));
    for pull in 10..60 {
        stage.merge(pull, "ada").run(RunStatus::Succeeded);
    }
    stage.command("ada", unlock(production()));
    stage.obey().obey().end(RunStatus::Failed);
    let back = stage.state.releases.values().next_back().expect("a way back");
    assert!(back.is_rollback(), "nothing of what fails is irreversible: {}", stage.status());
    assert!(!drafts(&stage).contains(&7), "it ran there all the time");
}

#[test]
fn a_revert_that_was_merged_first_passes_the_hold_of_a_rollback_by_hand() {
    let mut stage = unasked(|_| {});
    through(&mut stage, 6);
    through(&mut stage, 7);
    // Its run in staging goes on while somebody goes back.
    stage.merge_as(reverting(8, 7)).obey().obey();
    let staged = run_snapshot(stage.next_id, RunStatus::Succeeded, "");
    stage.rollback("ada");
    assert_eq!(culprit(&stage), Some(7));
    stage.obey().obey().end(RunStatus::Succeeded);
    stage.play(Event::RunChanged { run: staged });
    assert_eq!(rolls(&stage), Some(3), "{}", stage.status());
}

#[test]
fn a_revert_that_was_merged_first_says_who_failed_and_is_not_prepared_again() {
    let mut stage = unasked(|_| {});
    through(&mut stage, 5);
    stage.command("ada", Verb::Hold { environment: Some(production()), service: None, lasts: None, reason: None });
    stage.merge_as(risky(6, 0.4)).run(RunStatus::Succeeded);
    stage.merge_as(risky(7, 0.1)).run(RunStatus::Succeeded);
    stage.command("ada", Verb::Resume { environment: Some(production()), service: None });
    stage.obey().obey();
    let run = run_snapshot(stage.next_id, RunStatus::Failed, "");
    stage.merge_as(reverting(8, 7));
    stage.play(Event::RunChanged { run });
    assert_eq!((culprit(&stage), drafts(&stage)), (Some(7), vec![]));
    let failed = stage.state.releases.get(&ReleaseNumber(3)).expect("a release");
    let says: Vec<String> = content::suspects(&stage.state, failed, &production())
        .into_iter()
        .map(|suspect| format!("#{}: {}", suspect.pull, suspect.because))
        .collect();
    assert_eq!(says, ["#7: taken back by #8, moderate risk (10 %)", "#6: moderate risk (40 %)"]);
}

/// A revert that passed the hold of its culprit and runs, and what comes after it.
fn mending() -> Stage1 {
    let mut stage = unasked(|_| {});
    through(&mut stage, 6);
    stage.merge(7, "ada").run(RunStatus::Succeeded).run(RunStatus::Failed).run(RunStatus::Succeeded);
    assert_eq!(culprit(&stage), Some(7));
    stage.merge_as(reverting(8, 7)).run(RunStatus::Succeeded);
    assert_eq!(rolls(&stage), Some(4));
    stage
}

#[test]
fn nothing_passes_the_hold_of_a_revert_that_somebody_cancelled() {
    let mut stage = mending();
    stage.obey().obey();
    stage.merge(9, "ada").run(RunStatus::Succeeded);
    stage.command("ada", Verb::Cancel { environment: Some(production()), service: None });
    assert_eq!((rolls(&stage), culprit(&stage)), (None, None), "{}", stage.status());
}

#[test]
fn nothing_passes_the_hold_of_a_revert_of_which_nobody_knows_whether_it_runs() {
    let mut stage = mending();
    stage.obey();
    let dispatched = stage.said.acts.last().expect("a dispatch").0.clone();
    stage.merge(9, "ada").run(RunStatus::Succeeded);
    let ending = Ending::Unknown { message: "the connection broke".into() };
    stage.play(Event::EffectEnded { key: dispatched, ending });
    assert_eq!((rolls(&stage), culprit(&stage)), (None, None), "{}", stage.status());
}

#[test]
fn over_a_commit_of_no_merge_what_ran_there_before_is_not_suspected() {
    let mut stage = unasked(|_| {});
    stage.merge_as(risky(6, 0.4)).run(RunStatus::Succeeded).run(RunStatus::Succeeded);
    stage.command("linus", deploy(7, production()));
    stage.obey().obey().end(RunStatus::Succeeded);
    stage.merge_as(risky(8, 0.05)).run(RunStatus::Succeeded).wait(Span::seconds(5));
    stage.obey().obey().end(RunStatus::Failed);
    assert_eq!((culprit(&stage), drafts(&stage)), (Some(8), vec![8]));
}

#[test]
fn what_was_never_started_is_not_what_somebody_goes_back_from() {
    let mut stage = unasked(|_| {});
    through(&mut stage, 6);
    through(&mut stage, 7);
    stage.merge(9, "ada").run(RunStatus::Succeeded).obey();
    ends(&mut stage, refused());
    let answer = stage.rollback("ada");
    assert!(answer.contains("(release 1)"), "what is live is what is bad: {answer}");
    assert_eq!(culprit(&stage), Some(7));
}

#[test]
fn a_way_back_that_was_never_started_says_where_it_was_to_go() {
    let mut stage = unasked(|_| {});
    through(&mut stage, 6);
    through(&mut stage, 7);
    through(&mut stage, 8);
    let to = Some(sha(6).to_string());
    let verb = Verb::Rollback { environment: production(), to, service: None, reason: None };
    stage.command("ada", verb);
    stage.obey();
    ends(&mut stage, refused());
    let answer = stage.rollback("ada");
    assert!(answer.contains("(release 1)"), "{answer}");
}

#[test]
fn whoever_goes_back_suspects_all_that_goes_with_it() {
    let mut stage = unasked(|_| {});
    through(&mut stage, 6);
    stage.merge_as(risky(7, 0.5)).run(RunStatus::Succeeded).run(RunStatus::Failed).run(RunStatus::Succeeded);
    stage.resume("ada");
    stage.merge_as(risky(8, 0.1)).run(RunStatus::Succeeded).run(RunStatus::Succeeded);
    assert_eq!(stage.live("production"), Some(4));
    stage.rollback("ada");
    assert_eq!(culprit(&stage), Some(7), "the fourth brought it as well");
}

#[test]
fn nothing_is_tried_again_where_a_newer_policy_does_not_go() {
    let mut stage = unasked(|_| {});
    stage.merge(7, "ada").run(RunStatus::Failed);
    stage.plan.pipeline.environments.remove(0);
    stage.merge(8, "ada").run(RunStatus::Succeeded);
    assert_eq!(stage.live("production"), Some(2));
    let answer = stage.command("ada", Verb::Retry { environment: Some(staging()), service: None });
    insta::assert_snapshot!(answer, @"⛔ The newest release has not failed in `staging`. Nothing was changed.");
    assert_eq!(stage.state.last_number, 2);
}

#[test]
fn an_approval_from_before_a_rollout_began_says_nothing_of_its_next_step() {
    let mut stage = Stage1::new();
    let approval = Some(Requirement { count: 1, ..managers() });
    let production = &mut stage.plan.pipeline.environments[1];
    (production.rollout, production.approval) = (vec![Portion::Percent(25), Portion::ALL], approval);
    stage.merge(7, "mallory").run(RunStatus::Succeeded);
    let before = stage.now;
    stage.merge(8, "mallory").run(RunStatus::Succeeded);
    stage.approve("grace");
    stage.obey().obey();
    let run = run_snapshot(stage.next_id, RunStatus::Succeeded, "");
    let asks = &mut stage.state.stage_mut(ReleaseNumber(2), &super::tests::production()).expect("a stage").policy;
    asks.approval = Some(Requirement { count: 2, ..managers() });
    stage.play(Event::RunChanged { run });
    let verb = Verb::Approve { environment: super::tests::production(), sha: None, service: None };
    insta::assert_snapshot!(written(&mut stage, "ada", before, verb), @"⛔ The candidate for `production` changed after this was written: it is now release 2 (`0000000`). Look at it and approve again. Nothing was changed.");
}

#[test]
fn a_merge_heard_of_late_that_is_taken_back_behind_it_keeps_nobody_waiting() {
    let mut stage = unasked(|production| production.rollout = vec![Portion::Percent(25), Portion::ALL]);
    stage.plan.pipeline.max_changes = Some(1);
    stage.merge(8, "ada").run(RunStatus::Succeeded).obey().obey();
    let run = run_snapshot(stage.next_id, RunStatus::Succeeded, "");
    stage.merge(9, "ada").run(RunStatus::Succeeded);
    stage.merge_as(reverting(10, 7)).run(RunStatus::Succeeded);
    stage.merge(7, "ada");
    stage.play(Event::RunChanged { run });
    assert_eq!(rolls(&stage), Some(3), "{}", stage.status());
}

#[test]
fn a_merge_heard_of_late_belongs_to_what_somebody_promoted_where_that_has_it() {
    let mut stage = Stage1::new();
    stage.merge(8, "mallory").run(RunStatus::Succeeded);
    stage.command("linus", deploy(8, production()));
    stage.approve("grace");
    stage.obey().obey().end(RunStatus::Succeeded);
    stage.merge(9, "mallory").run(RunStatus::Succeeded);
    assert_eq!((stage.live("staging"), stage.live("production")), (Some(3), Some(2)));
    stage.merge(7, "mallory");
    let brings = |number: u64| {
        let changes = &stage.state.releases[&ReleaseNumber(number)].changes;
        changes.iter().map(|change| change.pull.0).collect::<Vec<_>>()
    };
    assert_eq!((brings(1), brings(3)), (vec![8, 7], vec![9]));
}

#[test]
fn a_revert_that_is_heard_of_late_and_was_in_what_failed_lets_nothing_pass() {
    let mut stage = unasked(|_| {});
    through(&mut stage, 6);
    stage.command("ada", lock(production(), None));
    stage.merge_as(risky(7, 0.5)).run(RunStatus::Succeeded);
    // The delivery of #8, which takes #7 back, is lost; the commit of #9 has both.
    stage.merge_as(risky(9, 0.1)).run(RunStatus::Succeeded);
    stage.command("ada", unlock(production()));
    stage.obey().obey().end(RunStatus::Failed);
    stage.wait(Span::seconds(1));
    assert_eq!(culprit(&stage), Some(7));
    stage.merge_as(reverting(8, 7));
    assert_eq!(culprit(&stage), None, "what failed had taken it back");
    let back = ReleaseNumber(stage.state.last_number);
    let key = EffectKey::new(format!("acme/shop/api/release-{back}/production/deployment"));
    assert!(stage.said.acts.iter().any(|(known, _)| *known == key), "{:?}", stage.said.acts);
}

#[test]
fn nor_does_it_when_a_newer_release_waits_behind_what_failed() {
    let mut stage = unasked(|_| {});
    through(&mut stage, 6);
    stage.command("ada", lock(production(), None));
    stage.merge_as(risky(7, 0.5)).run(RunStatus::Succeeded);
    stage.merge_as(risky(9, 0.1)).run(RunStatus::Succeeded);
    stage.command("ada", unlock(production()));
    stage.obey().obey().end(RunStatus::Failed);
    stage.obey().obey().end(RunStatus::Succeeded);
    stage.merge(10, "ada").run(RunStatus::Succeeded);
    assert_eq!((stage.live("staging"), stage.live("production"), culprit(&stage)), (Some(5), Some(1), Some(7)));
    stage.merge_as(reverting(8, 7));
    assert_eq!((rolls(&stage), culprit(&stage)), (None, None), "what failed had #8 as well: {}", stage.status());
}

#[test]
fn a_commit_of_no_merge_that_fails_blames_nobody_and_lets_nothing_pass() {
    let mut stage = unasked(|production| production.on_failure = OnFailure::Hold);
    through(&mut stage, 6);
    stage.merge(7, "ada").obey().obey();
    let staged = run_snapshot(stage.next_id, RunStatus::Succeeded, "");
    stage.command("linus", deploy(5, production()));
    stage.obey().obey().end(RunStatus::Failed);
    assert_eq!((culprit(&stage), drafts(&stage)), (None, vec![]), "an old commit does not hold what came after it");
    stage.play(Event::RunChanged { run: staged });
    stage.merge_as(reverting(8, 7)).run(RunStatus::Succeeded);
    assert_eq!((stage.live("staging"), rolls(&stage)), (Some(4), None), "{}", stage.status());
}

/// A commit of no merge waits in production; what ran there failed, and the revert of its culprit is on its way.
fn a_commit_of_no_merge_waits_behind_a_hold() -> Stage1 {
    let mut stage = unasked(|production| production.on_failure = OnFailure::Hold);
    through(&mut stage, 6);
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey().obey();
    let rolled = run_snapshot(stage.next_id, RunStatus::Failed, "");
    stage.merge_as(reverting(8, 7));
    stage.command("linus", deploy(5, production()));
    stage.play(Event::RunChanged { run: rolled });
    stage
}

#[test]
fn a_commit_of_no_merge_passes_no_hold() {
    let stage = a_commit_of_no_merge_waits_behind_a_hold();
    assert_eq!((culprit(&stage), rolls(&stage)), (Some(7), None), "nobody knows whether it has #8: {}", stage.status());
}

#[test]
fn a_commit_of_no_merge_ends_no_hold() {
    let mut stage = a_commit_of_no_merge_waits_behind_a_hold();
    stage.command("marge", override_gate(GateName::Hold, Some("production")));
    stage.obey().obey().end(RunStatus::Succeeded);
    assert_eq!((stage.live("production"), culprit(&stage)), (Some(4), Some(7)), "{}", stage.status());
}

#[test]
fn when_a_commit_of_no_merge_fails_nothing_passes_the_hold_that_was_there() {
    let mut stage = a_commit_of_no_merge_waits_behind_a_hold();
    stage.command("marge", override_gate(GateName::Hold, Some("production")));
    stage.obey().obey().end(RunStatus::Failed);
    assert_eq!(culprit(&stage), None, "it may have had #8: {}", stage.status());
}

#[test]
fn who_stops_or_takes_back_a_commit_of_no_merge_lets_nothing_pass_the_hold_that_was_there() {
    for (live, cancels) in [(false, true), (false, false), (true, false)] {
        let mut stage = a_commit_of_no_merge_waits_behind_a_hold();
        stage.command("marge", override_gate(GateName::Hold, Some("production")));
        stage.obey().obey();
        if live {
            stage.end(RunStatus::Succeeded);
        }
        if cancels {
            stage.command("ada", Verb::Cancel { environment: Some(production()), service: None });
        } else {
            stage.rollback("ada");
        }
        assert_eq!(culprit(&stage), None, "live {live}, cancels {cancels}: {}", stage.status());
    }
}

#[test]
fn a_merge_of_which_github_does_not_say_whether_it_failed_lets_nothing_pass_either() {
    let mut stage = unasked(|production| production.on_failure = OnFailure::Hold);
    through(&mut stage, 6);
    stage.merge(7, "ada").run(RunStatus::Succeeded).run(RunStatus::Failed);
    stage.merge(9, "ada").run(RunStatus::Succeeded);
    let need = Need::Comparison { base: sha(8).to_string(), head: sha(7).to_string() };
    stage.facts.insert(need, Fact::Absent(Absence::Refused { message: "not now".into() }));
    stage.merge_as(reverting(8, 7));
    assert_eq!((rolls(&stage), culprit(&stage)), (None, None), "{}", stage.status());
}

/// What waits behind the hold of what failed was let go on by somebody, and a revert that it has is heard of afterwards.
fn a_late_revert_after(ending: impl FnOnce(&mut Stage1)) -> Stage1 {
    let mut stage = unasked(|production| production.on_failure = OnFailure::Hold);
    through(&mut stage, 6);
    stage.merge(7, "ada").run(RunStatus::Succeeded).run(RunStatus::Failed);
    stage.merge(9, "ada").run(RunStatus::Succeeded);
    stage.command("marge", override_gate(GateName::Hold, Some("production")));
    ending(&mut stage);
    assert_eq!((culprit(&stage), rolls(&stage)), (Some(7), None), "{}", stage.status());
    stage.merge_as(reverting(8, 7));
    stage
}

#[test]
fn a_revert_that_is_heard_of_late_and_was_in_what_somebody_cancelled_lets_nothing_pass() {
    let stage = a_late_revert_after(|stage| {
        stage.obey().obey();
        stage.command("ada", Verb::Cancel { environment: Some(production()), service: None });
    });
    assert_eq!(culprit(&stage), None, "{}", stage.status());
}

#[test]
fn a_revert_that_is_heard_of_late_and_was_in_what_never_started_is_still_wanted() {
    let stage = a_late_revert_after(|stage| {
        stage.obey();
        ends(stage, refused());
    });
    assert_eq!(culprit(&stage), Some(7), "{}", stage.status());
}

#[test]
fn what_ran_well_and_fails_over_a_commit_of_no_merge_is_suspected_where_nothing_else_is_new() {
    let mut stage = unasked(|production| production.on_failure = OnFailure::Hold);
    through(&mut stage, 6);
    for (commit, status) in [(5, RunStatus::Succeeded), (6, RunStatus::Failed)] {
        stage.command("linus", deploy(commit, production()));
        stage.run(status);
    }
    assert_eq!(culprit(&stage), Some(6), "{}", stage.status());
}

#[test]
fn a_revert_that_is_heard_of_late_and_came_after_what_failed_passes() {
    let mut stage = unasked(|_| {});
    through(&mut stage, 6);
    stage.merge(7, "ada").run(RunStatus::Succeeded).run(RunStatus::Failed).run(RunStatus::Succeeded);
    stage.merge(9, "ada").run(RunStatus::Succeeded);
    assert_eq!((rolls(&stage), culprit(&stage)), (None, Some(7)));
    stage.merge_as(reverting(8, 7));
    assert_eq!(rolls(&stage), Some(4), "{}", stage.status());
}

#[test]
fn what_was_reverted_and_brought_again_is_not_the_first_suspect() {
    let mut stage = unasked(|_| {});
    through(&mut stage, 5);
    stage.command("ada", lock(production(), None));
    stage.merge_as(risky(6, 0.9)).run(RunStatus::Succeeded);
    stage.merge_as(risky(7, 0.05)).run(RunStatus::Succeeded);
    stage.command("ada", unlock(production()));
    stage.obey().obey();
    let run = run_snapshot(stage.next_id, RunStatus::Failed, "");
    stage.merge_as(reverting(8, 7)).merge_as(reverting(9, 8));
    stage.play(Event::RunChanged { run });
    assert_eq!((culprit(&stage), drafts(&stage)), (Some(6), vec![6]));
    // Until it is reverted once more.
    stage.merge_as(reverting(10, 7));
    let failed = stage.state.releases.get(&ReleaseNumber(3)).expect("a release");
    let first = content::suspects(&stage.state, failed, &production()).swap_remove(0);
    assert_eq!((first.pull, first.taken_back), (PullNumber(7), Some(PullNumber(10))));
}

#[test]
fn what_somebody_asked_for_goes_with_its_own_delivery_where_the_policy_bounds_what_one_brings() {
    let mut stage = Stage1::new();
    stage.plan.pipeline.max_changes = Some(1);
    stage.merge(7, "mallory").run(RunStatus::Succeeded);
    stage.command("linus", deploy(7, production()));
    stage.merge(8, "mallory").run(RunStatus::Succeeded);
    stage.approve("grace");
    assert_eq!(rolls(&stage), Some(2), "{}", stage.status());
}

#[test]
fn what_somebody_asked_for_of_a_deliverys_own_commit_keeps_its_place_and_its_approvals() {
    let mut stage = Stage1::new();
    stage.merge(7, "mallory").obey().obey();
    let run = run_snapshot(stage.next_id, RunStatus::Succeeded, "");
    stage.command("linus", deploy(7, production()));
    let hold = Verb::Hold { environment: Some(production()), service: None, lasts: None, reason: None };
    stage.command("ada", hold);
    stage.approve("grace");
    stage.play(Event::RunChanged { run });
    stage.resume("ada");
    assert_eq!(rolls(&stage), Some(2), "{}", stage.status());
    stage.obey().obey().end(RunStatus::Succeeded);
    let delivery = stage.state.releases[&ReleaseNumber(1)].stage(&production()).expect("a stage");
    assert!(matches!(delivery.phase, StagePhase::Succeeded { .. }), "it is through with it: {:?}", delivery.phase);
}
