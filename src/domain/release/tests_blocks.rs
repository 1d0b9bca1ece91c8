//! Locks, holds and freezes, and what risk asks for.

use super::tests::*;
use super::*;
use crate::domain::chatops::Verb;
use crate::domain::event::{Event, PipelineCommand, Signal};
use crate::domain::facts::*;
use crate::domain::policy::{Band, Raise};

pub(super) fn staging() -> EnvironmentName {
    EnvironmentName::new("staging")
}

/// A stage whose production starts everything by itself.
pub(super) fn with(change: impl FnOnce(&mut Stage1)) -> Stage1 {
    let mut stage = Stage1::new();
    stage.plan.pipeline.environments[1].approval = None;
    change(&mut stage);
    stage
}

pub(super) fn rolls(stage: &Stage1) -> Option<u64> {
    stage.state.rolling(&production()).map(|(release, _)| release.number.0)
}

pub(super) fn risky(pull: u64) -> Change {
    Change { risk: Some((0.4, Band::High)), ..change(pull, "ada") }
}

pub(super) fn lock(environment: EnvironmentName, lasts: Option<Span>) -> Verb {
    Verb::Lock { environment, service: None, lasts, reason: Some("Moving house.".into()) }
}

pub(super) fn unlock(environment: EnvironmentName) -> Verb {
    Verb::Unlock { environment, service: None }
}

pub(super) fn freeze(environment: Option<EnvironmentName>) -> Verb {
    Verb::Freeze { environment, lasts: None, reason: Some("Audit.".into()) }
}

pub(super) fn hold() -> Verb {
    Verb::Hold { environment: Some(production()), service: None, lasts: None, reason: None }
}

pub(super) fn deploy(n: u64, environment: EnvironmentName) -> Verb {
    Verb::Deploy { what: sha(n).to_string(), environment, service: None, reason: None }
}

pub(super) fn promote(environment: EnvironmentName) -> Verb {
    Verb::Promote { environment, service: None, reason: None }
}

pub(super) fn cancel(environment: EnvironmentName) -> Verb {
    Verb::Cancel { environment: Some(environment), service: None }
}

pub(super) fn retry() -> Verb {
    Verb::Retry { environment: Some(production()), service: None }
}

pub(super) fn phase<'a>(stage: &'a Stage1, release: u64, name: &EnvironmentName) -> &'a StagePhase {
    &stage.state.releases[&ReleaseNumber(release)].stage(name).expect("a stage").phase
}

/// What stands in the way, as kind, place and reason, oldest first.
pub(super) fn blocks(state: &PipelineState) -> Vec<String> {
    let place = |block: &Block| block.environment.as_ref().map_or("all".to_owned(), |name| name.to_string());
    let line = |block: &Block| format!("{} of {}: {}", block::noun(block.kind), place(block), block.reason);
    state.blocks.iter().map(line).collect()
}

/// A comment that is not on an open pull request, or on a merge queue's branch.
pub(super) fn elsewhere(stage: &mut Stage1, pull_open: bool, speculative: bool, verb: Verb) -> String {
    stage.next_id += 1;
    let command = PipelineCommand {
        origin: Origin::Comment { pull: PullNumber(1), comment: CommentId(stage.next_id), index: 0 },
        speculative,
        pull_open,
        by: Login::new("grace"),
        permission: Permission::Write,
        at: stage.now,
        verb,
    };
    stage.said.answers.clear();
    let plan = Box::new(stage.plan.clone());
    stage.play(Event::Signal(Signal::Commanded { command: Box::new(command), plan }));
    match stage.said.answers.first() {
        Some((_, Answer::ForNow(text) | Answer::Final(text))) => text.clone(),
        other => panic!("no answer in words: {other:?}"),
    }
}

// ---------------------------------------------------------------- blocks

#[test]
fn a_lock_says_who_may_end_it() {
    let mut stage = with(|_| {});
    stage.command("grace", lock(production(), None));
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    let why = stage.command("ada", Verb::Why { environment: production(), sha: None, service: None });
    insta::assert_snapshot!(why.lines().last().unwrap_or_default(), @"Next: `/plimsoll unlock production`, by `grace` or anybody with maintain permission.");
}

#[test]
fn a_lock_runs_out_though_nothing_waits_for_it() {
    let mut stage = with(|_| {});
    stage.command("grace", lock(production(), Some(Span::hours(2))));
    let until = stage.state.blocks[0].until.expect("an end");
    stage.now = Timestamp(until.0 - 1);
    stage.play(Event::Look { because: "the clock called".into() });
    assert_eq!(stage.state.blocks.len(), 1);
    stage.now = Timestamp(until.0 - 1);
    stage.wait(Span(1));
    assert!(stage.state.blocks.is_empty());
    assert!(stage.said.notes.contains(&"lock ran out: Moving house.".to_owned()), "{:?}", stage.said.notes);
}

#[test]
fn a_block_replaces_only_its_owners_own_of_the_same_kind_and_place() {
    let mut stage = with(|_| {});
    stage.command("grace", lock(production(), None));
    stage.command("grace", freeze(Some(production())));
    stage.command("ada", freeze(Some(production())));
    stage.command("grace", lock(staging(), None));
    let again = Verb::Lock { environment: production(), service: None, lasts: None, reason: Some("Again.".into()) };
    assert!(stage.command("grace", again).starts_with("🔒"));
    stage.command("grace", freeze(Some(production())));
    assert_eq!(
        blocks(&stage.state),
        [
            "freeze of production: Audit.",
            "lock of staging: Moving house.",
            "lock of production: Again.",
            "freeze of production: Audit."
        ]
    );
}

#[test]
fn there_is_an_end_to_what_people_may_block_and_room_for_automation() {
    let mut stage = with(|_| {});
    let put = |state: &mut PipelineState, owner: Owner| {
        let (kind, reason) = (BlockKind::Freeze, "Audit.".to_owned());
        let wanted = block::Wanted { kind, environment: None, owner, reason, lasts: None, culprit: None };
        block::put(state, wanted, Timestamp(0)).map(|block| block.number)
    };
    for person in 1..=50 {
        assert_eq!(put(&mut stage.state, Owner::Person(Login::new(format!("p{person}")))), Ok(person));
    }
    insta::assert_snapshot!(stage.command("grace", lock(production(), None)), @"⛔ There are 50 locks, holds and freezes already; end some first. Nothing was changed.");
    assert_eq!(put(&mut stage.state, Owner::Person(Login::new("p1"))), Ok(51), "it takes its own one's place");
    assert_eq!(put(&mut stage.state, Owner::Automation), Ok(52));
}

#[test]
fn automation_ends_its_own_hold_of_one_place_and_remembers_the_culprit() {
    let mut stage = with(|_| {});
    stage.command("ada", hold());
    let mut automation = |name: EnvironmentName, reason: &str, culprit: Option<u64>| {
        block::hold(&mut stage.state, &name, reason.into(), culprit.map(PullNumber), Timestamp(0));
    };
    automation(staging(), "It failed.", Some(3));
    automation(production(), "It failed.", Some(8));
    automation(production(), "Somebody went back.", None);
    let known = block::of_automation(&stage.state, &production()).and_then(|block| block.culprit);
    assert_eq!(known, Some(PullNumber(8)));
    block::release_automation(&mut stage.state, &production());
    assert_eq!(blocks(&stage.state), ["hold of production: ada gave no reason.", "hold of staging: It failed."]);
}

#[test]
fn a_pull_request_that_held_nothing_ends_without_a_word() {
    let mut stage = with(|_| {});
    elsewhere(&mut stage, false, false, hold());
    stage.play(Event::Signal(Signal::PullEnded { pull: PullNumber(1) }));
    assert_eq!(stage.state.blocks.len(), 1, "put in a closed pull request, it is its author's own");
    assert!(!stage.said.notes.iter().any(|note| note.contains("ended")), "{:?}", stage.said.notes);
    stage.command("ada", hold());
    stage.play(Event::Signal(Signal::PullEnded { pull: PullNumber(1) }));
    assert_eq!(stage.state.blocks.len(), 1);
    assert!(stage.said.notes.contains(&"#1 ended, and with it its hold".to_owned()), "{:?}", stage.said.notes);
}

#[test]
fn a_lock_is_one_persons_and_nothing_else_keeps_others_from_locking() {
    let mut stage = with(|_| {});
    stage.command("ada", freeze(Some(production())));
    stage.command("ada", lock(staging(), None));
    assert!(stage.command("grace", lock(production(), None)).starts_with("🔒"));
    assert!(stage.command("grace", lock(production(), None)).starts_with("🔒"), "her own");
    insta::assert_snapshot!(stage.command("ada", lock(production(), None)), @"⛔ It is locked already: Moving house. (by `grace`). Nothing was changed.");
}

#[test]
fn an_unlock_ends_the_lock_of_its_place_and_nothing_else() {
    let mut stage = with(|_| {});
    stage.command("ada", lock(staging(), None));
    insta::assert_snapshot!(stage.command("grace", unlock(production())), @"⛔ There is no lock of `production`. There is one of `staging`. Nothing was changed.");
    stage.command("ada", hold());
    stage.command("grace", lock(production(), None));
    insta::assert_snapshot!(stage.command("grace", unlock(production())), @"▶️ The lock of `production` is ended. It was: Moving house. (by `grace`)");
    assert_eq!(blocks(&stage.state), ["lock of staging: Moving house.", "hold of production: ada gave no reason."]);
    assert!(stage.command("marge", unlock(staging())).starts_with("▶️"), "a maintainer ends anybody's");
    insta::assert_snapshot!(stage.command("grace", unlock(production())), @"⛔ There is no lock of `production`. Nothing was changed.");
}

#[test]
fn a_resume_takes_only_the_step_as_good_that_it_names_and_that_its_author_saw() {
    let mut stage = with(|_| {});
    stage.merge(7, "ada").obey().obey();
    let (now, why) = (stage.now, "nobody could tell".to_owned());
    let at = stage.state.stage_mut(ReleaseNumber(1), &staging()).expect("a stage");
    let StagePhase::Rolling(rollout) = &mut at.phase else { panic!("it rolls") };
    rollout.phase = StepPhase::Undecided { since: now, why };
    insta::assert_snapshot!(stage.resume("grace"), @"⛔ `production` is not held. Nothing was changed.");
    let all = || Verb::Resume { environment: None, service: None };
    stage.now = now.minus(Span::minutes(1));
    insta::assert_snapshot!(stage.command("grace", all()), @"⛔ `api` is not held. Nothing was changed.");
    stage.now = now;
    insta::assert_snapshot!(stage.command("grace", all()), @"▶️ Release 1 goes on in `staging`: grace takes the step as good.");
    assert_eq!(stage.live("staging"), Some(1));
}

// ---------------------------------------------------------------- what risk asks for

#[test]
fn a_riskier_release_stays_longer_under_watch_and_says_why_more_must_approve() {
    let bake = Some(Span::minutes(10));
    let raise = Raise { from: Band::High, approvals: Some(2), bake };
    let mut stage = with(|stage| stage.plan.pipeline.environments[0].when_risk = vec![raise.clone()]);
    stage.plan.pipeline.environments[1].approval = Some(managers());
    stage.plan.pipeline.environments[1].when_risk = vec![raise];
    stage.merge_as(Change { risk: Some((0.05, Band::Low)), ..change(7, "ada") }).run(RunStatus::Succeeded);
    assert_eq!(stage.live("staging"), Some(1), "a low risk needs no bake");
    let band = stage.plan.risk.high;
    stage.merge_as(Change { risk: Some((band, Band::High)), ..change(8, "ada") }).run(RunStatus::Succeeded);
    assert_eq!(stage.live("staging"), Some(1));
    stage.wait(Span::minutes(11));
    assert_eq!(stage.live("staging"), Some(2));
    let status = stage.status();
    assert!(status.contains("(0 of 2 given; 2 because its risk is high)"), "{status}");
}

#[test]
fn a_way_back_is_not_kept_waiting_by_a_risk() {
    let raise = Raise { from: Band::Low, approvals: None, bake: Some(Span::minutes(10)) };
    let mut stage = with(|_| {});
    stage.merge(7, "ada").run(RunStatus::Succeeded).run(RunStatus::Succeeded);
    stage.plan.pipeline.environments[1].when_risk = vec![raise];
    stage.merge_as(risky(8)).run(RunStatus::Succeeded).run(RunStatus::Failed).run(RunStatus::Succeeded);
    assert_eq!((stage.live("production"), rolls(&stage)), (Some(1), None));
}
