//! Who may approve, and who may not.

use super::tests::*;
use super::*;
use crate::domain::chatops::Verb;
use crate::domain::effect::Act;
use crate::domain::event::{Event, PipelineCommand, Signal};
use crate::domain::facts::*;
use crate::domain::policy::{Band, Portion, Raise, Requirement};

pub(super) fn rolls(stage: &Stage1, name: &str) -> Option<u64> {
    stage.state.rolling(&EnvironmentName::new(name)).map(|(release, _)| release.number.0)
}

/// A stage whose production asks for these approvals, with the first release at its gate.
pub(super) fn at_the_gate(requirement: Requirement) -> Stage1 {
    let mut stage = Stage1::new();
    stage.plan.pipeline.environments[1].approval = Some(requirement);
    for login in ["edsger", "barbara", "marge"] {
        member(&mut stage, login);
    }
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    stage
}

pub(super) fn member(stage: &mut Stage1, login: &str) {
    let need = Need::TeamMember { team: TeamSlug::new("acme/release-managers"), login: Login::new(login) };
    stage.facts.insert(need, Fact::TeamMember(true));
}

pub(super) fn two() -> Requirement {
    Requirement { count: 2, ..managers() }
}

pub(super) fn users(logins: &[&str]) -> Requirement {
    Requirement { count: 1, teams: Vec::new(), users: logins.iter().map(|login| Login::new(*login)).collect() }
}

pub(super) fn person(login: &str) -> Person {
    Person { login: Some(Login::new(login)), name: login.into(), email: String::new() }
}

pub(super) fn commit(n: u64, author: &str, committer: &str, message: &str) -> CommitSnapshot {
    let (author, committer) = (person(author), person(committer));
    CommitSnapshot {
        sha: sha(n),
        message: message.into(),
        parents: 1,
        first_parent: None,
        author,
        committer,
        committed_at: None,
    }
}

/// A comment that was written at another time than it is heard.
pub(super) fn written(stage: &mut Stage1, by: &str, at: Timestamp, verb: Verb) -> String {
    stage.next_id += 1;
    let command = PipelineCommand {
        origin: Origin::Comment { pull: PullNumber(1), comment: CommentId(stage.next_id), index: 0 },
        speculative: false,
        pull_open: true,
        by: Login::new(by),
        permission: if by == "marge" { Permission::Maintain } else { Permission::Write },
        at,
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

pub(super) fn press(stage: &mut Stage1, action: &str, at: u64, by: &str) {
    stage.play(Event::ActionRequested { action: action.into(), head_sha: sha(at), by: Login::new(by) });
}

pub(super) fn approve(named: &str) -> Verb {
    Verb::Approve { environment: production(), sha: Some(named.into()), service: None }
}

pub(super) fn deploy(n: u64, environment: &str) -> Verb {
    let environment = EnvironmentName::new(environment);
    Verb::Deploy { what: sha(n).to_string(), environment, service: None, reason: None }
}

pub(super) fn lock(environment: &str) -> Verb {
    Verb::Lock { environment: EnvironmentName::new(environment), service: None, lasts: None, reason: None }
}

pub(super) fn override_gate(gate: GateName, environment: Option<&str>) -> Verb {
    let environment = environment.map(EnvironmentName::new);
    Verb::Override { gate, environment, service: None, reason: "fire".into() }
}

pub(super) fn met(stage: &Stage1, release: u64, gate: GateName) -> bool {
    let release = &stage.state.releases[&ReleaseNumber(release)];
    let stage_of = release.stage(&production()).expect("it is for production");
    let judged = gate::conditions(&stage.state, release, stage_of, stage.now);
    judged.iter().find(|condition| condition.gate == gate).expect("every gate is judged").met
}

// ---------------------------------------------------------------- four eyes

#[test]
fn whoever_wrote_any_of_it_does_not_approve_it() {
    let mut stage = Stage1::new();
    for login in ["edsger", "barbara", "alan", "alonzo"] {
        member(&mut stage, login);
    }
    let message = "Search\n\nCo-authored-by: Alonzo C <alonzo@acme.example>";
    stage.facts.insert(Need::Commit { name: sha(7).to_string() }, Fact::Commit(commit(7, "barbara", "alan", message)));
    stage.merge_as(Change { people: vec![person("edsger")], ..change(7, "ada") }).run(RunStatus::Succeeded);
    insta::assert_snapshot!(stage.approve("edsger"), @"⛔ @edsger wrote commits of #7; `production` needs somebody with no hand in the release. Nothing was changed.");
    insta::assert_snapshot!(stage.approve("barbara"), @"⛔ @barbara is the author of `0000000`; `production` needs somebody with no hand in the release. Nothing was changed.");
    insta::assert_snapshot!(stage.approve("alan"), @"⛔ @alan is the committer of `0000000`; `production` needs somebody with no hand in the release. Nothing was changed.");
    insta::assert_snapshot!(stage.approve("alonzo"), @"⛔ @alonzo is a co-author of `0000000`; `production` needs somebody with no hand in the release. Nothing was changed.");
    assert!(stage.approve("grace").starts_with("✅"));
}

#[test]
fn whoever_asked_for_a_release_does_not_approve_it() {
    let mut stage = at_the_gate(managers());
    stage.command("edsger", deploy(7, "production"));
    insta::assert_snapshot!(stage.approve("edsger"), @"⛔ @edsger asked for release 2; `production` needs somebody with no hand in the release. Nothing was changed.");
    assert!(stage.approve("barbara").contains("It starts now"));
}

#[test]
fn whoever_asked_for_what_is_live_already_may_approve_what_comes_next() {
    let mut stage = at_the_gate(managers());
    stage.command("edsger", deploy(7, "production"));
    stage.approve("barbara");
    stage.run(RunStatus::Succeeded);
    assert_eq!(stage.live("production"), Some(2));
    stage.merge(8, "ada").run(RunStatus::Succeeded);
    assert!(stage.approve("edsger").contains("It starts now"));
}

#[test]
fn whoever_asked_for_a_later_release_may_approve_an_earlier_one() {
    let mut stage = at_the_gate(managers());
    stage.command("edsger", deploy(9, "staging"));
    assert!(stage.approve("edsger").contains("approved release 1"));
}

#[test]
fn whoever_took_production_back_may_approve_what_comes_next() {
    let mut stage = Stage1::new();
    member(&mut stage, "edsger");
    stage.ship(7).ship(8);
    stage.rollback("edsger");
    stage.run(RunStatus::Succeeded);
    stage.resume("edsger");
    stage.merge(9, "ada").run(RunStatus::Succeeded);
    assert!(stage.approve("edsger").contains("It starts now"));
}

fn pull_snapshot(n: u64, author: &str, merged_by: &str) -> PullSnapshot {
    PullSnapshot {
        number: PullNumber(n),
        title: format!("Change {n}"),
        body: String::new(),
        author: Login::new(author),
        author_is_bot: false,
        head_sha: sha(n),
        head_ref: RefName::new("topic"),
        head_repo: None,
        base_ref: RefName::new("main"),
        base_sha: sha(1),
        draft: false,
        open: false,
        merged: true,
        merge_commit_sha: Some(sha(n)),
        merged_by: Some(Login::new(merged_by)),
        labels: Vec::new(),
        updated_at: Timestamp(0),
        additions: None,
        deletions: None,
        changed_files: None,
    }
}

#[test]
fn a_merge_that_nobody_told_of_counts_for_four_eyes_too() {
    let mut stage = Stage1::new();
    for login in ["edsger", "barbara"] {
        member(&mut stage, login);
    }
    stage.ship(6);
    stage.merge(8, "ada").run(RunStatus::Succeeded);
    let commits = vec![commit(7, "ada", "ada", "Lost"), commit(8, "ada", "ada", "Told")];
    let files = ChangedFiles::default();
    let between = Comparison { standing: Standing::Ahead, total_commits: 2, commits, files };
    let need = Need::Comparison { base: sha(6).to_string(), head: sha(8).to_string() };
    stage.facts.insert(need, Fact::Comparison(between));
    let lost = pull_snapshot(7, "edsger", "barbara");
    let since = content::merged_since(&stage.state, &production());
    stage.facts.insert(Need::RecentPulls { since }, Fact::RecentPulls(vec![lost.clone()]));
    let need = Need::Pull { number: PullNumber(7) };
    stage.facts.insert(need.clone(), Fact::Absent(Absence::NotFound));
    insta::assert_snapshot!(stage.approve("grace"), @"⛔ It cannot be told who merged #7, which is part of the release. Nothing was changed.");
    stage.facts.insert(need, Fact::Pull(lost));
    insta::assert_snapshot!(stage.approve("edsger"), @"⛔ @edsger is the author of #7; `production` needs somebody with no hand in the release. Nothing was changed.");
    insta::assert_snapshot!(stage.approve("barbara"), @"⛔ @barbara merged #7; `production` needs somebody with no hand in the release. Nothing was changed.");
    assert!(stage.approve("grace").contains("It starts now"));
}

/// A candidate that waits for approval and that stands on a commit which was made at a time; no list shows who merged that.
fn upon_a_commit(n: u64, at: impl Fn(Timestamp) -> Timestamp, stands_on: u64) -> Stage1 {
    let mut stage = Stage1::new();
    member(&mut stage, "barbara");
    stage.ship(6);
    stage.merge(8, "ada").run(RunStatus::Succeeded);
    let since = content::merged_since(&stage.state, &production());
    stage.facts.insert(Need::RecentPulls { since }, Fact::RecentPulls(Vec::new()));
    let at = Some(at(stage.now));
    let young = CommitSnapshot { committed_at: at, ..commit(n, "ada", "ada", "Squashed by somebody") };
    let told = commit(8, "ada", "ada", "Merge pull request #8");
    let told = CommitSnapshot { first_parent: Some(sha(stands_on)), committed_at: at, ..told };
    let (standing, files) = (Standing::Ahead, ChangedFiles::default());
    let between = Comparison { standing, total_commits: 2, commits: vec![young, told], files };
    let need = Need::Comparison { base: sha(6).to_string(), head: sha(8).to_string() };
    stage.facts.insert(need, Fact::Comparison(between));
    stage
}

#[test]
fn a_commit_so_young_that_the_list_of_merges_may_not_show_it_is_approved_later() {
    let mut stage = upon_a_commit(7, |now| now.minus(Span::seconds(119)), 7);
    insta::assert_snapshot!(stage.approve("barbara"), @"⛔ GitHub does not show yet who merged `0000000`, which is younger than 2 min. Approve again after that. Nothing was changed.");
    let mut stage = upon_a_commit(7, |now| now.minus(Span::seconds(120)), 7);
    assert!(stage.approve("barbara").contains("It starts now"));
    // A clock that is far ahead tells nothing, and must not keep a release for ever.
    let mut stage = upon_a_commit(7, |now| now.plus(Span::hours(9)), 7);
    assert!(stage.approve("barbara").contains("It starts now"));
}

#[test]
fn a_young_merge_that_was_told_is_approved_at_once_with_what_it_merged() {
    let mut stage = upon_a_commit(7, |now| now.minus(Span::seconds(1)), 6);
    assert!(stage.approve("barbara").contains("It starts now"));
}

// ---------------------------------------------------------------- who may approve

#[test]
fn only_those_whom_the_policy_names_approve() {
    let mut stage = at_the_gate(users(&["edsger", "barbara"]));
    insta::assert_snapshot!(stage.approve("grace"), @"⛔ @grace, only `edsger` or `barbara` (with write permission) may approve `production`. Nothing was changed.");
    assert!(stage.approve("edsger").contains("It starts now"));
    let mut stage = at_the_gate(managers());
    let need = Need::TeamMember { team: TeamSlug::new("acme/release-managers"), login: Login::new("tony") };
    stage.facts.insert(need.clone(), Fact::TeamMember(false));
    insta::assert_snapshot!(stage.approve("tony"), @"⛔ @tony, only members of `acme/release-managers` may approve `production`. Nothing was changed.");
    stage.facts.insert(need, Fact::Absent(Absence::Refused { message: "Must have admin rights".into() }));
    insta::assert_snapshot!(stage.approve("tony"), @"⛔ @tony, only members of `acme/release-managers` may approve `production` (GitHub did not let Plimsoll read `acme/release-managers`: Must have admin rights). Nothing was changed.");
}

#[test]
fn where_the_policy_names_nobody_whoever_may_push_approves() {
    let mut stage = at_the_gate(users(&[]));
    insta::assert_snapshot!(stage.approve("mallory"), @"⛔ @mallory, only people with write permission may approve `production`. Nothing was changed.");
    assert!(stage.approve("grace").contains("It starts now"));
}

#[test]
fn each_person_counts_once_however_often_they_approve() {
    let mut stage = at_the_gate(two());
    stage.approve("grace");
    insta::assert_snapshot!(stage.approve("grace"), @"✅ grace approved release 1 (`0000000`) for `production`, 1 of 2. 1 more must approve.");
    let approvals = |stage: &Stage1| stage.state.releases[&ReleaseNumber(1)].stages[1].approvals.len();
    assert_eq!(approvals(&stage), 1);
    insta::assert_snapshot!(stage.approve("edsger"), @"✅ edsger approved release 1 (`0000000`) for `production`, 2 of 2. It starts now.");
    assert_eq!((approvals(&stage), rolls(&stage, "production")), (2, Some(1)));
}

#[test]
fn an_approval_that_names_a_commit_is_for_that_commit() {
    let mut stage = at_the_gate(managers());
    insta::assert_snapshot!(stage.command("grace", approve(sha(8).as_str())), @"⛔ The candidate for `production` is release 1 (`0000000`), not `0000000000000000000000000000000000000008`. Nothing was changed.");
    insta::assert_snapshot!(stage.command("grace", approve("000000")), @"⛔ The candidate for `production` is release 1 (`0000000`), not `000000`. Nothing was changed.");
    assert!(stage.command("grace", approve("0000000")).contains("It starts now"), "seven digits name it");
}

#[test]
fn a_commit_is_named_by_seven_digits_or_more_in_either_case() {
    let sha = Sha::parse("0123456789abcdef0123456789abcdef01234567").expect("a hash");
    let named = ["0123456789AB", "0123456", "012345", "1234567", "", "0123456789abcdef0123456789abcdef012345678"];
    assert_eq!(named.map(|named| command::names_sha(named, &sha)), [true, true, false, false, false, false]);
}

#[test]
fn a_button_on_a_release_that_was_replaced_approves_nothing() {
    let mut stage = at_the_gate(managers());
    stage.command("edsger", deploy(7, "production"));
    press(&mut stage, "approve.1.1", 7, "grace");
    let word = stage.state.releases[&ReleaseNumber(1)].last_word.clone().unwrap_or_default();
    assert!(word.contains("it is now release 2"), "{word}");
    assert_eq!(rolls(&stage, "production"), None);
    press(&mut stage, "approve.2.0", 7, "grace");
    assert_eq!(rolls(&stage, "production"), Some(2));
}

#[test]
fn an_approval_of_the_second_in_which_the_candidate_came_counts() {
    let mut stage = Stage1::new();
    stage.now = stage.now.plus(Span(400));
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    let (_, waits) = stage.state.candidate(&production()).expect("a candidate");
    let StagePhase::Waiting { since } = waits.phase else { panic!("it waits") };
    let second = Timestamp(since.0 - 400);
    let refused = written(&mut stage, "grace", Timestamp(second.0 - 1_000), approve(sha(7).as_str()));
    assert!(refused.contains("changed after this was written"), "{refused}");
    let taken = written(&mut stage, "grace", second, approve(sha(7).as_str()));
    assert!(taken.contains("It starts now"), "{taken}");
}

/// The first release pauses after its first step in production, and the second one waits behind it.
pub(super) fn pauses(requirement: Option<Requirement>, meanwhile: impl FnOnce(&mut Stage1)) -> Stage1 {
    let mut stage = Stage1::new();
    let policy = &mut stage.plan.pipeline.environments[1];
    policy.approval = requirement;
    policy.rollout = vec![Portion::Percent(50), Portion::Percent(100)];
    policy.when_risk = vec![Raise { from: Band::High, approvals: Some(2), bake: None }];
    member(&mut stage, "edsger");
    let low = |pull: u64| Change { risk: Some((0.01, Band::Low)), ..change(pull, "ada") };
    stage.merge_as(low(7)).run(RunStatus::Succeeded);
    stage.approve("grace");
    stage.obey().obey();
    let run = run_snapshot(stage.next_id, RunStatus::Succeeded, "");
    meanwhile(&mut stage);
    stage.play(Event::RunChanged { run });
    stage.merge_as(low(8)).run(RunStatus::Succeeded);
    stage
}

#[test]
fn a_rollout_that_pauses_for_one_more_approval_gets_it_before_what_waits_behind() {
    let mut stage = pauses(Some(managers()), |stage| {
        // A merge that was heard of late makes it riskier.
        stage.merge_as(Change { risk: Some((0.4, Band::High)), ..change(6, "ada") });
    });
    assert!(!met(&stage, 1, GateName::Approval));
    insta::assert_snapshot!(stage.approve("edsger"), @"✅ edsger approved release 1 (`0000000`) for `production`, 2 of 2. It starts now.");
    assert!(matches!(stage.said.acts.last(), Some((_, Act::DispatchWorkflow { .. }))));
}

#[test]
fn a_rollout_that_pauses_at_a_lock_leaves_the_approval_to_what_waits_behind() {
    let mut stage = pauses(Some(managers()), |stage| {
        stage.command("ada", lock("production"));
    });
    assert_eq!(rolls(&stage, "production"), Some(1));
    insta::assert_snapshot!(stage.approve("edsger"), @"✅ edsger approved release 2 (`0000000`) for `production`, 1 of 1. It still waits: It starts when release 1 has ended in `production`. `production` is locked: ada gave no reason. (by `ada`) `/plimsoll unlock production` ends the lock.");
}
