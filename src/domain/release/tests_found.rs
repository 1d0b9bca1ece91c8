//! Stories that simulated worlds told first.

use super::tests::*;
use super::tests_blocks::deploy;
use super::*;
use crate::domain::chatops::Verb;
use crate::domain::event::{Event, PipelineCommand, Reverted, Signal};
use crate::domain::facts::{Permission, RunStatus};
use crate::domain::policy::Portion;

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
