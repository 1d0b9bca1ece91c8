//! A pull request in a merge queue and before a hold, as sentences.

use super::tests::{Desk, POLICY, file, policy};
use super::*;
use crate::domain::decide::needs;
use crate::domain::event::PullAction;
use crate::domain::facts::{Absence, Fact};
use crate::domain::policy::{Band, PolicyInForce};
use crate::domain::state::State;

fn group() -> Sha {
    super::tests::sha(90)
}

fn wanted() -> Event {
    Event::Signal(Signal::GroupWanted { head_sha: group() })
}

/// What the lane last said to the group: policy, risk, hold.
fn said(desk: &Desk) -> [Option<String>; 3] {
    match desk.forwards.last() {
        Some((
            Subject::Repository { .. },
            Event::Signal(Signal::GroupJudged { head_sha, pull, policy, risk, hold }),
        )) if *head_sha == group() && *pull == PullNumber(7) => [policy.clone(), risk.clone(), hold.clone()],
        other => panic!("no answer to the group: {other:?}"),
    }
}

fn with_hold_check() -> PolicyInForce {
    let mut policy = policy(POLICY);
    if let Some(pipeline) = &mut policy.policy.pipeline {
        pipeline.hold_check = true;
    }
    policy
}

fn holds(service: &str, lines: &[&str]) -> Event {
    let holds = lines.iter().map(|line| (*line).to_owned()).collect();
    Event::Signal(Signal::HoldsChanged { service: ServiceName::new(service), holds })
}

fn state(desk: &Desk) -> &PullState {
    match &desk.state {
        State::PullRequest(state) => state,
        other => panic!("a pull request: {other:?}"),
    }
}

#[test]
fn a_judged_pull_request_answers_a_group_without_reading_anything() {
    let mut desk = Desk::new();
    desk.opened();
    assert_eq!(needs(&desk.state, &wanted(), &Facts::default(), desk.now), []);
    desk.play(wanted());
    assert_eq!(said(&desk), [None, None, None]);
}

#[test]
fn one_that_was_never_judged_is_read_and_judged_first() {
    let mut desk = Desk::new();
    desk.pull.title = "stuff".into();
    desk.play(wanted());
    assert_eq!(said(&desk), [Some("not met: title".into()), None, None]);
}

#[test]
fn what_is_not_met_is_named_and_a_blocked_risk_only_when_the_policy_blocks() {
    let mut desk = Desk::new();
    desk.pull.title = "stuff".into();
    desk.pull.body = String::new();
    desk.files(vec![file("migrations/7.sql", 1_600, 0)]);
    desk.opened().play(wanted());
    let [rules, risk, _] = said(&desk);
    insta::assert_snapshot!(rules.expect("rules"), @"not met: title, description, size; waiting for a review: migrations are read by a database owner");
    assert_eq!(risk, None, "26 % are moderate and nothing blocks");
    let mut strict = policy(POLICY);
    strict.policy.risk.block = Some(Band::Moderate);
    desk.in_force(Some(strict)).play(Event::Look { because: "the policy".into() }).play(wanted());
    let [_, risk, _] = said(&desk);
    insta::assert_snapshot!(risk.expect("risk"), @"high risk (33 %); the policy blocks from moderate on");
}

#[test]
fn a_group_hears_also_from_one_that_cannot_be_judged() {
    let mut desk = Desk::new();
    desk.in_force(None).play(wanted());
    assert_eq!(said(&desk), [Some("could not be judged: the policy was not read yet".into()), None, None]);
    let mut desk = Desk::new();
    let refused = Fact::Absent(Absence::Refused { message: "no".into() });
    desk.facts.insert(Need::Pull { number: PullNumber(7) }, refused);
    desk.play(wanted());
    assert_eq!(said(&desk), [Some("could not be judged: GitHub does not show it".into()), None, None]);
}

#[test]
fn an_issue_or_an_ended_pull_request_that_a_commit_names_stops_no_group() {
    let mut desk = Desk::new();
    desk.facts.insert(Need::Pull { number: PullNumber(7) }, Fact::Absent(Absence::NotFound));
    desk.play(wanted());
    assert_eq!(said(&desk), [None, None, None]);
    let mut desk = Desk::new();
    desk.pull.title = "stuff".into();
    desk.pull.open = false;
    desk.play(wanted());
    assert_eq!(said(&desk), [None, None, None]);
}

#[test]
fn githubs_reasons_for_leaving_the_queue_are_told_in_plain_words() {
    let reasons = [
        "UNKNOWN_REMOVAL_REASON",
        "MANUAL",
        "MERGE",
        "MERGE_CONFLICT",
        "CI_FAILURE",
        "CI_TIMEOUT",
        "ALREADY_MERGED",
        "QUEUE_CLEARED",
        "ROLL_BACK",
        "BRANCH_PROTECTIONS",
        "GIT_TREE_INVALID",
        "INVALID_MERGE_COMMIT",
        "SOME`THING_NEW",
    ];
    let told = reasons.map(|reason| {
        let mut desk = Desk::new();
        desk.opened().play(Event::LeftQueue { reason: reason.into() });
        let comment = desk.living_comment();
        let line = comment.lines().find(|line| line.contains("merge queue")).expect("a line").to_owned();
        format!("{reason}\n  {line}")
    });
    insta::assert_snapshot!(told.join("\n"), @r"
    UNKNOWN_REMOVAL_REASON
      **It left the merge queue**: GitHub does not say why.
    MANUAL
      **It left the merge queue**: somebody took it out.
    MERGE
      **It left the merge queue**: it is being merged.
    MERGE_CONFLICT
      **It left the merge queue**: it conflicts with its base branch, or with a pull request before it in the queue. Bring it up to date, then add it again.
    CI_FAILURE
      **It left the merge queue**: a required check failed for its group. The group's checks say which; it may be this pull request or one before it in the queue.
    CI_TIMEOUT
      **It left the merge queue**: a required check of its group did not end in time. Add it again when that check works.
    ALREADY_MERGED
      **It left the merge queue**: it had been merged already.
    QUEUE_CLEARED
      **It left the merge queue**: somebody cleared the queue. Add it again.
    ROLL_BACK
      **It left the merge queue**: the queue was rolled back. Add it again.
    BRANCH_PROTECTIONS
      **It left the merge queue**: it does not meet the rules of its base branch any more. GitHub's merge box says which.
    GIT_TREE_INVALID
      **It left the merge queue**: GitHub could not put its files together with those of the group. Bring it up to date.
    INVALID_MERGE_COMMIT
      **It left the merge queue**: GitHub could not make a good merge commit of it. Bring it up to date.
    SOME`THING_NEW
      **It left the merge queue.** GitHub's word for it is ``SOME`THING_NEW``.
    ");
}

#[test]
fn our_own_check_is_named_when_it_was_the_reason_and_a_push_ends_the_note() {
    let mut desk = Desk::new();
    desk.pull.title = "stuff".into();
    desk.opened().play(wanted()).play(Event::LeftQueue { reason: "CI_FAILURE".into() });
    let comment = desk.living_comment();
    insta::assert_snapshot!(comment.lines().find(|line| line.contains("queue")).expect("a line"), @"**It left the merge queue** because Plimsoll's own check of its group failed (not met: title). Mend that, then add it to the queue again.");
    desk.pull.title = "fix: stuff".into();
    desk.changed(PullAction::Edited);
    assert!(desk.living_comment().contains("merge queue"), "a new title alone puts nothing back");
    desk.pull.head_sha = super::tests::sha(8);
    desk.files(vec![file("web/a.ts", 1, 1)]);
    desk.changed(PullAction::Synchronize);
    assert!(!desk.living_comment().contains("merge queue"));
}

#[test]
fn a_note_of_the_queue_goes_when_it_is_in_a_group_again_or_merged() {
    let mut desk = Desk::new();
    desk.opened().play(Event::LeftQueue { reason: "MANUAL".into() }).play(wanted());
    assert_eq!(state(&desk).left_queue, None);
    desk.play(Event::LeftQueue { reason: "MANUAL".into() });
    desk.pull.open = false;
    desk.pull.merged = true;
    desk.changed(PullAction::Closed);
    assert_eq!(state(&desk).left_queue, None);
    desk.play(Event::LeftQueue { reason: "MERGE".into() });
    assert_eq!(state(&desk).left_queue, None, "that it was merged is no news");
}

#[test]
fn without_hold_check_nothing_is_said_of_holds() {
    let mut desk = Desk::new();
    desk.opened().play(holds("api", &["`production` is held by `grace`: the fair is on."]));
    assert_eq!(desk.check("plimsoll/hold"), "");
}

#[test]
fn the_hold_check_is_red_while_a_touched_service_is_held() {
    let mut desk = Desk::new();
    desk.in_force(Some(with_hold_check())).opened();
    insta::assert_snapshot!(desk.check("plimsoll/hold"), @r"
    Success: Nothing is held

    Nothing keeps the services that this pull request touches.
    ");
    let held = holds("api", &["`production` is held by `grace`: the fair is on."]);
    assert_eq!(needs(&desk.state, &held, &Facts::default(), desk.now), [], "nobody reads GitHub for it");
    desk.play(held);
    insta::assert_snapshot!(desk.check("plimsoll/hold"), @r"
    Failure: Held: api

    What is merged now would wait, or stand in the way of a repair.

    `api`:

    - `production` is held by `grace`: the fair is on.
    ");
    desk.play(wanted());
    assert_eq!(said(&desk)[2].as_deref(), Some("`production` is held by `grace`: the fair is on."));
    desk.play(holds("api", &[])).play(holds("web", &["`production` is locked."]));
    assert!(desk.check("plimsoll/hold").starts_with("Success: Nothing is held"), "the web is not touched");
}

#[test]
fn holds_that_were_there_before_come_with_the_policy_and_other_branches_do_not_care() {
    let mut policy = with_hold_check();
    policy.keeps(&ServiceName::new("api"), &["`production` is frozen.".to_owned()]);
    let mut desk = Desk::new();
    desk.in_force(Some(policy.clone())).opened();
    assert!(desk.check("plimsoll/hold").starts_with("Failure: Held: api"));
    let mut desk = Desk::new();
    desk.pull.base_ref = RefName::new("next");
    desk.in_force(Some(policy)).opened();
    assert!(desk.check("plimsoll/hold").starts_with("Success: Nothing is held"));
}

#[test]
fn a_hold_ends_once_with_the_pull_request_that_owns_it() {
    let mut desk = Desk::new();
    desk.files(vec![file("services/api/a.rs", 1, 1), file("web/b.ts", 1, 1)]);
    desk.opened().comment(60, "grace", "/plimsoll hold --for 2h\n/plimsoll plan hold --service web");
    assert_eq!(state(&desk).holding.len(), 2);
    desk.forwards.clear();
    desk.pull.open = false;
    desk.changed(PullAction::Closed).changed(PullAction::Edited);
    let told: Vec<String> = desk.forwards.iter().map(|(to, event)| format!("{to} {event:?}")).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    pipeline:acme/shop/api Signal(PullEnded { pull: PullNumber(7) })
    pipeline:acme/shop/web Signal(PullEnded { pull: PullNumber(7) })
    ");
    let text = serde_json::to_string(state(&desk)).expect("plain data");
    assert!(!text.contains("holding") && !text.contains("left_queue"), "what is empty is not kept: {text}");
}

#[test]
fn a_hold_asked_for_after_the_end_is_not_ended_by_it() {
    let mut desk = Desk::new();
    desk.opened();
    desk.pull.open = false;
    desk.changed(PullAction::Closed).comment(61, "grace", "/plimsoll hold production");
    desk.changed(PullAction::Edited);
    let ended = |e: &(Subject, Event)| matches!(e.1, Event::Signal(Signal::PullEnded { .. }));
    assert!(!desk.forwards.iter().any(ended), "{:?}", desk.forwards);
}
