//! Commands that the pull request answers itself or hands on, and what a merge tells the pipelines, as sentences.

use super::tests::{Desk, POLICY, file, policy, sha};
use super::*;
use crate::domain::decide;
use crate::domain::event::{Change, PullAction, Reverted};
use crate::domain::facts::{ChangedFiles, Comment, Fact};

fn merged(desk: &mut Desk) {
    desk.pull.open = false;
    desk.pull.merged = true;
    desk.pull.merge_commit_sha = Some(sha(9));
    desk.changed(PullAction::Closed);
}

/// What the pipelines were told of the merge, by service.
fn changes(desk: &Desk) -> Vec<(String, Change)> {
    let wanted = |(to, event): &(Subject, Event)| match event {
        Event::Signal(Signal::ReleaseWanted { change, .. }) => Some((to.to_string(), (**change).clone())),
        _ => None,
    };
    desk.forwards.iter().filter_map(wanted).collect()
}

fn told(desk: &Desk) -> Vec<String> {
    let commanded = |(to, event): &(Subject, Event)| match event {
        Event::Signal(Signal::Commanded { command, .. }) => Some(format!("{to} {}", command.verb.name())),
        _ => None,
    };
    desk.forwards.iter().filter_map(commanded).collect()
}

#[test]
fn the_risk_is_told_with_all_its_reasons_and_what_would_lower_it() {
    let mut desk = Desk::new();
    desk.opened().comment(50, "mallory", "/plimsoll risk");
    insta::assert_snapshot!(desk.replies(), @"
    **High risk: 30 %** of `0000007`

    30 % of changes like this one need a fix, a revert or a rollback.

    | Points | Why |
    |---:|---|
    | 15.8 | every change starts here |
    | +16.7 | adds 100 lines |
    | +2.0 | deletes 24 lines |
    | -1.7 | does not say that it is a fix |
    | -1.5 | touches 2 files |
    | -0.9 | has its lines mostly in one file |
    | -0.3 | touches 1 directory |
    | **30.2** | **in a hundred** |

    Model: additive-2.

    What would lower it, all else left as it is:

    - splitting it into 2 pull requests, each of about 62 lines in 1 file: 26 %
    - adding 50 lines instead of 100: 27 %
    ");
    assert_eq!(told(&desk), [""; 0], "no pipeline is asked");
}

#[test]
fn a_risk_that_cannot_be_told_says_why() {
    let mut desk = Desk::new();
    let need = Need::PullFiles { number: desk.pull.number, head_sha: desk.pull.head_sha.clone() };
    desk.facts.insert(need, Fact::PullFiles(ChangedFiles { files: Vec::new(), cut: true }));
    desk.opened().comment(50, "mallory", "/plimsoll risk");
    insta::assert_snapshot!(desk.replies(), @"
    **Risk unknown** of `0000007`

    GitHub does not say which files and how many lines change, as is the case for very large changes.

    Model: additive-2.
    ");
}

#[test]
fn who_asks_before_the_policy_was_read_is_answered_when_it_was() {
    let mut desk = Desk::new();
    desk.in_force(None).opened().comment(50, "mallory", "/plimsoll risk");
    assert_eq!(desk.replies(), "");
    desk.in_force(Some(policy(POLICY))).play(Event::Signal(Signal::PolicyReady));
    assert!(desk.replies().starts_with("**High risk: 30 %**"), "{}", desk.replies());
    desk.pull.head_sha = sha(8);
    desk.files(vec![file("web/a.ts", 1, 1)]).changed(PullAction::Synchronize);
    assert!(desk.replies().starts_with("**High risk: 30 %**"), "an answer stays what it was");
}

#[test]
fn of_a_closed_pull_request_that_was_never_judged_there_is_no_risk() {
    let mut desk = Desk::new();
    desk.pull.open = false;
    desk.comment(50, "mallory", "/plimsoll risk");
    insta::assert_snapshot!(desk.replies(), @"This pull request was never judged, and it is not open any more.");
}

/// A comment by `ada`, written so long before now.
fn late(desk: &Desk, id: u64, body: &str, age: Span) -> Comment {
    let at = desk.now.minus(age);
    Comment {
        id: CommentId(id),
        by: Login::new("ada"),
        by_bot: false,
        body: body.into(),
        created_at: at,
        updated_at: at,
    }
}

#[test]
fn a_command_read_after_an_hour_is_refused_and_a_question_is_answered() {
    let mut desk = Desk::new();
    desk.opened();
    let body = "/plimsoll lock production\n/plimsoll status";
    let event = Event::CommentCreated { comment: late(&desk, 1, body, Span::minutes(125)) };
    let wanted = decide::needs(&desk.state, &event, &Facts::default(), desk.now);
    assert!(!wanted.iter().any(|need| matches!(need, Need::Permission { .. })), "nobody acts: {wanted:?}");
    desk.play(event);
    let told = told(&desk);
    assert!(!told.is_empty() && told.iter().all(|line| line.contains("status")), "{told:?}");
    assert!(desk.replies().contains(
        "⛔ This was read only 2 h 5 min after it was written, and a command that changes something counts for 1 h: it is \
         not obeyed now. If you still want it, write it in a new comment."
    ));
    let event = Event::CommentCreated { comment: late(&desk, 2, "/plimsoll lock production", Span::minutes(59)) };
    desk.forwards.clear();
    desk.play(event);
    assert!(desk.forwards.iter().any(|(_, event)| matches!(event, Event::Signal(Signal::Commanded { .. }))));
}

#[test]
fn after_an_outage_comments_are_looked_for_from_its_beginning() {
    let mut desk = Desk::new();
    let since = |desk: &Desk| {
        let wanted =
            decide::needs(&desk.state, &Event::Look { because: "the sweep".into() }, &Facts::default(), desk.now);
        wanted.iter().find_map(|need| if let Need::Comments { since, .. } = need { Some(*since) } else { None })
    };
    assert_eq!(since(&desk), Some(desk.now.minus(Span::hours(72))));
    let looked = desk.now;
    desk.play(Event::Look { because: "the sweep".into() });
    desk.now = looked.plus(Span::hours(20));
    assert_eq!(since(&desk), Some(looked.minus(Span::minutes(10))));
    let event = Event::Look { because: "the sweep".into() };
    let comment = late(&desk, 3, "/plimsoll lock production", Span::hours(19));
    let need = Need::Comments { number: desk.pull.number, since: looked.minus(Span::minutes(10)) };
    desk.facts.insert(need, Fact::Comments(vec![comment]));
    desk.play(event);
    assert_eq!(told(&desk), [""; 0]);
    assert!(desk.replies().contains("read only 19 h after"), "{}", desk.replies());
}

#[test]
fn a_freeze_goes_to_every_service_and_a_lock_to_the_touched_ones() {
    let mut desk = Desk::new();
    desk.opened().comment(
        50,
        "grace",
        "/plimsoll freeze\n/plimsoll plan unfreeze\n/plimsoll lock production\n/plimsoll plan rollback production",
    );
    insta::assert_snapshot!(told(&desk).join("\n"), @r"
    pipeline:acme/shop/api freeze
    pipeline:acme/shop/web freeze
    pipeline:acme/shop/api plan
    pipeline:acme/shop/web plan
    pipeline:acme/shop/api lock
    pipeline:acme/shop/api plan
    ");
}

#[test]
fn the_plan_of_a_recheck_is_told_here_and_nothing_is_judged_again() {
    let mut desk = Desk::new();
    desk.opened();
    let before = desk.state.clone();
    desk.comment(50, "mallory", "/plimsoll plan recheck");
    insta::assert_snapshot!(desk.replies(), @"🧭 A recheck would read the pull request, its files, its reviews and the policy afresh, and judge `0000007` again. Nothing was changed.");
    let judged = |state: &crate::domain::state::State| match state {
        crate::domain::state::State::PullRequest(state) => state.judged.clone(),
        other => panic!("a pull request: {other:?}"),
    };
    assert_eq!(judged(&desk.state), judged(&before));
    assert_eq!(told(&desk), [""; 0]);
}

#[test]
fn a_merge_tells_what_it_closes_reverts_and_cannot_take_back() {
    let mut desk = Desk::new();
    let mut policy = policy(POLICY);
    if let Some(pipeline) = &mut policy.policy.pipeline {
        pipeline.irreversible = vec!["**/migrations/**".into()];
    }
    desk.pull.title = "revert: the search".to_owned();
    desk.pull.body = format!("Fixes #4, closes acme/shop#5.\n\nReverts #3\nThis reverts commit {}.", sha(2));
    desk.files(vec![
        file("services/api/migrations/7.sql", 30, 0),
        file("services/api/a.rs", 60, 20),
        file("web/b.ts", 10, 4),
        file("README.md", 1, 0),
    ]);
    desk.in_force(Some(policy)).opened();
    merged(&mut desk);
    let changes = changes(&desk);
    let files: Vec<(&str, u64)> = changes.iter().map(|(to, change)| (to.as_str(), change.files)).collect();
    assert_eq!(files, [("pipeline:acme/shop/api", 2), ("pipeline:acme/shop/web", 1)]);
    let (_, change) = &changes[0];
    assert_eq!(change.issues, [4, 5]);
    assert_eq!(change.reverts, [Reverted::Pull(PullNumber(3)), Reverted::Commit(sha(2))]);
    assert_eq!(change.irreversible, ["services/api/migrations/7.sql"]);
    insta::assert_snapshot!(change.drivers.join("\n"), @"
    adds 101 lines (+18 points)
    spreads its lines as if evenly over 2 files (+3 points)
    deletes 24 lines (+2 points)
    ");
}

#[test]
fn without_patterns_everything_can_be_taken_back_and_a_title_alone_reverts_nothing() {
    let mut desk = Desk::new();
    desk.pull.title = "Revert \"feat(api): charge in cents (#3)\"".into();
    desk.opened();
    merged(&mut desk);
    let changes = changes(&desk);
    assert_eq!((&changes[0].1.reverts, &changes[0].1.irreversible), (&Vec::new(), &Vec::new()));
}

#[test]
fn only_the_first_five_paths_that_cannot_be_taken_back_are_told() {
    let mut desk = Desk::new();
    let mut policy = policy(POLICY);
    if let Some(pipeline) = &mut policy.policy.pipeline {
        pipeline.irreversible = vec!["libs/db/".into()];
    }
    desk.files((0..9).map(|n| file(&format!("libs/db/{n}.sql"), 1, 0)).collect());
    desk.in_force(Some(policy)).opened();
    merged(&mut desk);
    assert_eq!(changes(&desk)[0].1.irreversible.len(), 5);
}
