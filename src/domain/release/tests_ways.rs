//! What a release brings, what it takes the place of, and what is suspected when it fails.

use super::tests::*;
use super::*;
use crate::domain::chatops::Verb;
use crate::domain::event::{Event, Reverted};
use crate::domain::facts::{Absence, Fact, Need, PullSnapshot, RunStatus};
use crate::domain::policy::{Band, GateName, OnFailure, Portion, Supersede, Window};

fn release(stage: &Stage1, number: u64) -> &Release {
    &stage.state.releases[&ReleaseNumber(number)]
}

fn phase(stage: &Stage1, number: u64, environment: &str) -> StagePhase {
    release(stage, number).stage(&EnvironmentName::new(environment)).expect("a stage").phase.clone()
}

fn pulls(stage: &Stage1, number: u64) -> Vec<u64> {
    release(stage, number).changes.iter().map(|change| change.pull.0).collect()
}

fn deploy(stage: &mut Stage1, commit: u64, environment: &str) -> String {
    let environment = EnvironmentName::new(environment);
    let what = sha(commit).to_string();
    stage.command("linus", Verb::Deploy { what, environment, service: None, reason: None })
}

// ---------------------------------------------------------------- what a release brings

#[test]
fn the_likeliest_culprit_comes_first_and_says_why() {
    let mut stage = unasked(|_| {});
    let risky = Change { risk: Some((0.25, Band::Moderate)), ..change(5, "ada") };
    let tame = Change { risk: Some((0.02, Band::Low)), files: 9, ..change(6, "ada") };
    let migrates = Change { irreversible: vec!["migrations/7.sql".into()], files: 1, ..change(7, "ada") };
    stage.merge_as(risky).run(RunStatus::Succeeded);
    stage.command("ada", hold());
    stage.merge_as(tame).merge_as(migrates).merge(8, "ada").merge(9, "ada");
    let bringing = Release { changes: [5, 6, 7, 8, 9].map(|n| of(&stage, n)).to_vec(), ..release(&stage, 1).clone() };
    let suspects = content::suspects(&stage.state, &bringing, &production());
    let rows: Vec<String> = suspects
        .iter()
        .map(|suspect| format!("#{} {:.2}: {}", suspect.pull, suspect.weight, suspect.because))
        .collect();
    insta::assert_snapshot!(rows.join("\n"), @r"
    #7 0.36: risk unknown, changes what cannot be taken back, 1 of the 10 files that changed
    #5 0.25: moderate risk (25 %)
    #9 0.20: risk unknown
    #8 0.20: risk unknown
    #6 0.11: low risk (2 %), 9 of the 10 files that changed
    ");
    stage.state.reverted.insert(PullNumber(7), BTreeSet::from([PullNumber(10)]));
    let first = content::suspects(&stage.state, &bringing, &production()).swap_remove(0);
    assert_eq!((first.pull, first.taken_back), (PullNumber(7), Some(PullNumber(10))), "somebody said so already");
    let bringing = Release { changes: [vec![change(10, "ada")], bringing.changes].concat(), ..bringing };
    let suspects = content::suspects(&stage.state, &bringing, &production());
    assert!(!suspects.iter().any(|suspect| suspect.pull == PullNumber(7)), "it is not in there any more");
}

fn hold() -> Verb {
    Verb::Hold { environment: Some(production()), service: None, lasts: None, reason: None }
}

/// A change as some release brings it.
fn of(stage: &Stage1, pull: u64) -> Change {
    let mut changes = stage.state.releases.values().flat_map(|release| &release.changes);
    changes.find(|change| change.pull.0 == pull).expect("a change").clone()
}

fn merged_pull(number: u64, merge_commit: Option<u64>, merged: bool) -> PullSnapshot {
    PullSnapshot {
        number: PullNumber(number),
        title: String::new(),
        body: String::new(),
        author: Login::new("eve"),
        author_is_bot: false,
        head_sha: sha(number + 500),
        head_ref: RefName::new("topic"),
        head_repo: None,
        base_ref: RefName::new("main"),
        base_sha: sha(1),
        draft: false,
        open: !merged,
        merged,
        merge_commit_sha: merge_commit.map(sha),
        merged_by: None,
        labels: Vec::new(),
        updated_at: Timestamp(0),
        additions: None,
        deletions: None,
        changed_files: None,
    }
}

#[test]
fn merges_of_which_nobody_told_are_those_whose_commit_lies_in_the_candidate() {
    let mut stage = unasked(|_| {});
    through(&mut stage, 6);
    stage.command("ada", hold());
    stage.merge(8, "ada").run(RunStatus::Succeeded);
    let since = content::merged_since(&stage.state, &production());
    assert_eq!(since, release(&stage, 1).created_at.minus(Span::hours(1)));
    let recent = vec![
        merged_pull(30, Some(8), true),
        merged_pull(8, Some(8), true),
        merged_pull(31, Some(8), false),
        merged_pull(32, Some(5), true),
        merged_pull(33, None, true),
    ];
    stage.facts.insert(Need::RecentPulls { since }, Fact::RecentPulls(recent));
    let need = content::comparison(&stage.state, release(&stage, 2), &production());
    stage.facts.insert(need.clone(), compared(8, 1));
    let unknown =
        |stage: &Stage1| content::unknown_merges(&stage.state, release(stage, 2), &production(), &stage.facts);
    assert_eq!(unknown(&stage), [PullNumber(30)]);
    stage.facts.insert(need, compared(8, 300));
    let commits = content::commits(&stage.state, release(&stage, 2), &production(), &stage.facts);
    assert_eq!(
        commits.map(|_| ()),
        Err("it brings 300 commits and GitHub shows only 1 of them; deploy an earlier commit first".to_owned())
    );
}

fn compared(head: u64, total_commits: u64) -> Fact {
    use crate::domain::facts::{ChangedFiles, CommitSnapshot, Comparison, Person, Standing};
    let (author, committer) = (Person::default(), Person::default());
    let commit = CommitSnapshot {
        sha: sha(head),
        message: String::new(),
        parents: 1,
        first_parent: None,
        author,
        committer,
        committed_at: None,
    };
    let commits = vec![commit];
    Fact::Comparison(Comparison { standing: Standing::Ahead, commits, total_commits, files: ChangedFiles::default() })
}

#[test]
fn a_release_somebody_asked_for_is_the_delivery_of_its_commit() {
    let mut stage = unasked(|_| {});
    stage.merge(6, "ada").run(RunStatus::Succeeded).run(RunStatus::Succeeded);
    stage.merge(7, "ada").run(RunStatus::Succeeded).run(RunStatus::Succeeded);
    deploy(&mut stage, 6, "staging");
    deploy(&mut stage, 99, "production");
    let delivery = |number: u64| content::delivery_of(&stage.state, release(&stage, number)).map(|number| number.0);
    assert_eq!([1, 2, 3, 4].map(delivery), [Some(1), Some(2), Some(1), None]);
}

#[test]
fn the_risk_of_a_release_is_known_only_when_that_of_each_change_is() {
    let mut stage = Stage1::new();
    let risky = |pull: u64, p: f64| Change { risk: Some((p, Band::Low)), ..change(pull, "ada") };
    let risk = |stage: &Stage1, changes: Vec<Change>| {
        let bringing = Release { changes, ..release(stage, 1).clone() };
        content::risk(&stage.state, &bringing, &production()).map(|(p, _)| (p * 100.0).round())
    };
    stage.merge(7, "ada");
    assert_eq!(risk(&stage, vec![risky(7, 0.5), risky(8, 0.2)]), Some(60.0));
    assert_eq!(risk(&stage, vec![risky(7, 0.5), change(8, "ada")]), None);
    assert_eq!(risk(&stage, vec![change(8, "ada")]), None);
    assert_eq!(risk(&stage, Vec::new()), None, "nothing that was judged is no risk that is known");
}

#[test]
fn a_revert_that_was_reverted_itself_mends_nothing() {
    let mut stage = Stage1::new();
    stage.merge(5, "ada");
    stage.state.reverted =
        [(5, 6), (6, 7)].map(|(pull, by)| (PullNumber(pull), BTreeSet::from([PullNumber(by)]))).into();
    let brings = |pulls: &[u64]| {
        let changes = pulls.iter().map(|pull| change(*pull, "ada")).collect();
        let bringing = Release { changes, ..release(&stage, 1).clone() };
        content::brings_revert_of(&stage.state, &bringing, &production(), PullNumber(5))
    };
    assert_eq!([brings(&[6]), brings(&[6, 7]), brings(&[7]), brings(&[])], [true, false, false, false]);
}

// ---------------------------------------------------------------- what takes the place of what

fn reverting(pull: u64, reverted: Reverted) -> Change {
    Change { reverts: vec![reverted], ..change(pull, "ada") }
}

#[test]
fn a_change_takes_back_only_what_came_before_it_and_what_is_known() {
    for (reverted, known) in [
        (Reverted::Pull(PullNumber(7)), Some(7)),
        (Reverted::Commit(sha(7)), Some(7)),
        (Reverted::Commit(sha(3)), None),
        (Reverted::Pull(PullNumber(3)), None),
        (Reverted::Pull(PullNumber(8)), None),
        (Reverted::Pull(PullNumber(9)), None),
    ] {
        let mut stage = Stage1::new();
        stage.merge(6, "ada").merge(7, "ada").merge(9, "ada").merge_as(reverting(8, reverted.clone()));
        let taken =
            stage.state.reverted.iter().map(|(pull, by)| (pull.0, by.iter().map(|by| by.0).sum::<u64>())).next();
        assert_eq!(taken, known.map(|pull| (pull, 8)), "{reverted:?}");
    }
}

#[test]
fn a_candidate_takes_over_as_many_as_the_policy_lets_one_release_bring() {
    let mut stage = Stage1::new();
    stage.plan.pipeline.max_changes = Some(2);
    stage.merge(6, "ada").merge(7, "ada").merge(8, "ada").merge(9, "ada");
    let standing = |number| matches!(phase(&stage, number, "staging"), StagePhase::Superseded { .. });
    assert_eq!([1, 2, 3, 4].map(standing), [false, true, false, false]);
    assert_eq!((pulls(&stage, 3), pulls(&stage, 4)), (vec![7, 8], vec![9]));
}

#[test]
fn what_somebody_asks_for_takes_the_place_of_what_somebody_asked_for() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    deploy(&mut stage, 6, "production");
    deploy(&mut stage, 5, "production");
    assert_eq!(phase(&stage, 2, "production"), StagePhase::Superseded { by: ReleaseNumber(3) });
    assert!(matches!(phase(&stage, 1, "production"), StagePhase::Waiting { .. }), "a delivery goes its own way");
    assert!(matches!(phase(&stage, 3, "production"), StagePhase::Waiting { .. }));
}

#[test]
fn a_delivery_does_not_go_where_a_newer_one_is_live_already() {
    let mut stage = unasked(|_| {});
    stage.merge(7, "ada").obey().obey();
    let first = run_snapshot(stage.next_id, RunStatus::Succeeded, "");
    stage.merge(8, "ada");
    deploy(&mut stage, 8, "production");
    stage.run(RunStatus::Succeeded);
    assert_eq!(stage.live("production"), Some(3));
    stage.play(Event::RunChanged { run: first });
    assert_eq!(phase(&stage, 1, "production"), StagePhase::Superseded { by: ReleaseNumber(2) });
}

#[test]
fn a_good_release_ends_the_hold_of_its_own_environment_whose_culprit_it_reverts() {
    let mut stage = unasked(|production| production.on_failure = OnFailure::Hold);
    through(&mut stage, 6);
    stage.merge(7, "ada").run(RunStatus::Succeeded).run(RunStatus::Failed);
    assert_eq!(stage.state.blocks[0].culprit, Some(PullNumber(7)));
    let elsewhere = Block { number: 9, environment: Some(EnvironmentName::new("qa")), ..stage.state.blocks[0].clone() };
    let person = Block {
        number: 8,
        kind: BlockKind::Lock,
        owner: Owner::Person(Login::new("ada")),
        ..stage.state.blocks[0].clone()
    };
    stage.state.blocks.extend([elsewhere, person]);
    stage.merge_as(reverting(8, Reverted::Pull(PullNumber(7)))).run(RunStatus::Succeeded);
    let numbers = |stage: &Stage1| stage.state.blocks.iter().map(|block| block.number).collect::<Vec<_>>();
    assert_eq!(numbers(&stage), [1, 9, 8], "staging mends nothing of production");
    stage.run(RunStatus::Succeeded);
    assert_eq!((stage.live("production"), numbers(&stage)), (Some(3), vec![9, 8]));
}

#[test]
fn what_proved_bad_is_no_place_to_go_back_to() {
    let mut stage = unasked(|_| {});
    for pull in [5, 6, 7, 8] {
        through(&mut stage, pull);
    }
    let good = |stage: &Stage1| {
        let environment = stage.state.environment(&production()).expect("production");
        environment.good.iter().map(|good| good.release.0).collect::<Vec<_>>()
    };
    assert_eq!(good(&stage), [1, 2, 3, 4]);
    stage.rollback("ada");
    stage.run(RunStatus::Succeeded);
    assert_eq!((good(&stage), stage.live("production")), (vec![1, 2, 3], Some(3)));
}

#[test]
fn a_request_of_a_delivery_brings_what_the_delivery_brings_also_what_was_reverted() {
    let mut stage = unasked(|_| {});
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    deploy(&mut stage, 7, "production");
    let asked = release(&stage, 2);
    let brought = content::changes(&stage.state, asked, &production());
    assert_eq!(brought.iter().map(|change| change.pull.0).collect::<Vec<_>>(), [7]);
    stage.state.reverted.insert(PullNumber(7), BTreeSet::from([PullNumber(9)]));
    assert_eq!(content::taken_back(&stage.state, release(&stage, 2), &production()), None, "somebody wants it so");
    let delivery = content::taken_back(&stage.state, release(&stage, 1), &production());
    assert_eq!(delivery, Some((PullNumber(7), PullNumber(9))));
}

#[test]
fn a_hundred_reverts_are_remembered_the_newest() {
    let mut stage = Stage1::new();
    stage.merge(700, "ada");
    stage.state.reverted = (1..=99).map(|n| (PullNumber(n), BTreeSet::from([PullNumber(n + 500)]))).collect();
    stage.merge_as(reverting(701, Reverted::Pull(PullNumber(700))));
    assert_eq!((stage.state.reverted.len(), stage.state.reverted.keys().next()), (100, Some(&PullNumber(1))));
    stage.merge_as(reverting(702, Reverted::Pull(PullNumber(701))));
    assert_eq!((stage.state.reverted.len(), stage.state.reverted.keys().next()), (100, Some(&PullNumber(2))));
}

/// Release 1 on its way through staging, while somebody takes a commit to production before it.
fn overtaken(commit: u64, by_then: Option<RunStatus>) -> (Stage1, RunSnapshot) {
    let mut stage = unasked(|_| {});
    stage.merge(7, "ada").obey().obey();
    let run = run_snapshot(stage.next_id, RunStatus::Succeeded, "");
    stage.merge(8, "ada");
    deploy(&mut stage, commit, "production");
    stage.obey().obey();
    if let Some(status) = by_then {
        stage.end(status);
    }
    (stage, run)
}

#[test]
fn a_delivery_gives_way_only_to_what_is_newer_than_itself() {
    for by_then in [None, Some(RunStatus::Succeeded)] {
        let (mut stage, run) = overtaken(8, by_then);
        stage.play(Event::RunChanged { run });
        assert_eq!(phase(&stage, 1, "production"), StagePhase::Superseded { by: ReleaseNumber(2) }, "{by_then:?}");
        let (mut stage, run) = overtaken(7, by_then);
        stage.play(Event::RunChanged { run });
        let standing = phase(&stage, 1, "production");
        // Its own commit may be there already; then nothing is left to do.
        let goes_on = match by_then {
            None => matches!(standing, StagePhase::Waiting { .. }),
            Some(_) => matches!(standing, StagePhase::Succeeded { .. }),
        };
        assert!(goes_on, "{by_then:?}: {standing:?}");
    }
}

/// The condition of release 1 in production that is about its turn.
fn turn_of_first(stage: &Stage1) -> String {
    let known = release(stage, 1).stage(&production()).expect("a stage");
    known.conditions.iter().find(|c| c.gate == GateName::Order).map(|c| c.says.clone()).unwrap_or_default()
}

#[test]
fn a_commit_of_no_delivery_is_compared_before_a_delivery_goes_over_it() {
    for (commit, contains) in [(9, true), (6, false)] {
        let (mut stage, run) = overtaken(commit, Some(RunStatus::Succeeded));
        assert_eq!(stage.live("production"), Some(3));
        stage.play(Event::RunChanged { run });
        assert!(matches!(phase(&stage, 1, "production"), StagePhase::Waiting { .. }), "not before it was compared");
        insta::allow_duplicates! {
            insta::assert_snapshot!(turn_of_first(&stage), @"GitHub is asked whether `0000000`, which release 3 brought to `production`, contains `0000000`.");
        }
        stage.wait(Span::seconds(2));
        let standing = phase(&stage, 1, "production");
        match contains {
            true => assert_eq!(standing, StagePhase::Superseded { by: ReleaseNumber(3) }),
            false => assert!(matches!(standing, StagePhase::Rolling(_)), "{standing:?}"),
        }
    }
}

#[test]
fn what_waits_is_compared_when_a_commit_of_no_delivery_went_live() {
    for (commit, contains) in [(9, true), (6, false)] {
        let mut stage = unasked(|production| production.supersede = Supersede::Abort);
        deploy(&mut stage, commit, "production");
        stage.obey().obey();
        let mended = run_snapshot(stage.next_id, RunStatus::Succeeded, "");
        stage.merge(7, "ada").run(RunStatus::Succeeded);
        let rolling = stage.state.rolling(&production()).map(|(release, _)| release.number.0);
        assert_eq!(rolling, Some(1), "it may be the newer one: nothing stops it");
        assert!(matches!(phase(&stage, 2, "production"), StagePhase::Waiting { .. }));
        stage.play(Event::RunChanged { run: mended }).wait(Span::seconds(2));
        match (contains, phase(&stage, 2, "production")) {
            (true, standing) => assert_eq!(standing, StagePhase::Superseded { by: ReleaseNumber(1) }),
            (false, standing) => assert!(matches!(standing, StagePhase::Rolling(_)), "{standing:?}"),
        }
    }
}

#[test]
fn where_github_does_not_compare_a_delivery_waits_and_says_how_to_go_on() {
    let between = Need::Comparison { base: sha(9).to_string(), head: sha(7).to_string() };
    let (mut stage, run) = overtaken(9, Some(RunStatus::Succeeded));
    let refused = Absence::Refused { message: "Resource not accessible by integration".into() };
    stage.facts.insert(between.clone(), Fact::Absent(refused));
    stage.play(Event::RunChanged { run }).wait(Span::minutes(9));
    assert!(matches!(phase(&stage, 1, "production"), StagePhase::Waiting { .. }));
    insta::assert_snapshot!(turn_of_first(&stage), @"GitHub does not say whether `0000000`, which release 3 brought to `production`, contains `0000000`. It is asked every 10 minutes; `/plimsoll deploy 0000000000000000000000000000000000000007 to production` does not wait for that.");
    let between = stage.facts.iter().filter(|(need, _)| **need != between).map(|(n, f)| (n.clone(), f.clone()));
    stage.facts = between.collect();
    stage.wait(Span::minutes(2));
    assert_eq!(phase(&stage, 1, "production"), StagePhase::Superseded { by: ReleaseNumber(3) });
}

#[test]
fn what_was_compared_once_stays_known_when_github_does_not_say_it_again() {
    let (mut stage, run) = overtaken(6, Some(RunStatus::Succeeded));
    for release in stage.state.releases.values_mut() {
        release.plan.pipeline.rollback.artifact = Some("web-{sha}".into());
    }
    stage.command("ada", hold());
    stage.play(Event::RunChanged { run }).wait(Span::seconds(2));
    assert_eq!(turn_of_first(&stage), "It is this release's turn.");
    let between = Need::Comparison { base: sha(6).to_string(), head: sha(7).to_string() };
    stage.facts.insert(between, Fact::Absent(Absence::Refused { message: "not now".into() }));
    let looked = release(&stage, 1).stages[1].known.as_ref().expect("a look").at;
    stage.wait(Span::minutes(15));
    assert!(release(&stage, 1).stages[1].known.as_ref().expect("a look").at > looked);
    assert_eq!(turn_of_first(&stage), "It is this release's turn.");
}

#[test]
fn a_commit_whose_merge_is_heard_of_late_is_newer_than_what_waited() {
    let between = Need::Comparison { base: sha(9).to_string(), head: sha(7).to_string() };
    let (mut stage, run) = overtaken(9, Some(RunStatus::Succeeded));
    stage.facts.insert(between, Fact::Absent(Absence::Refused { message: "not now".into() }));
    stage.play(Event::RunChanged { run }).wait(Span::minutes(1));
    assert!(matches!(phase(&stage, 1, "production"), StagePhase::Waiting { .. }));
    stage.merge(9, "ada");
    assert_eq!(phase(&stage, 1, "production"), StagePhase::Superseded { by: ReleaseNumber(3) });
}

#[test]
fn what_is_being_taken_back_takes_nobodys_place() {
    let mut stage = unasked(|_| {});
    through(&mut stage, 6);
    stage.merge(7, "ada").obey().obey();
    let staged = run_snapshot(stage.next_id, RunStatus::Succeeded, "");
    deploy(&mut stage, 9, "production");
    stage.obey().obey().end(RunStatus::Succeeded);
    assert_eq!(stage.live("production"), Some(3));
    stage.rollback("ada");
    stage.play(Event::RunChanged { run: staged }).wait(Span::seconds(5));
    assert!(matches!(phase(&stage, 2, "production"), StagePhase::Waiting { .. }), "nobody else would bring it");
}

#[test]
fn whoever_tries_a_release_again_does_not_approve_it_after_something_else_went_live() {
    let mut stage = Stage1::new();
    stage.merge(7, "mallory").obey().obey().end(RunStatus::Failed);
    stage.command("grace", Verb::Retry { environment: Some(EnvironmentName::new("staging")), service: None });
    stage.obey().obey();
    let staged = run_snapshot(stage.next_id, RunStatus::Succeeded, "");
    deploy(&mut stage, 6, "production");
    stage.state.stage_mut(ReleaseNumber(3), &production()).expect("a stage").overrides.extend([GateName::Approval]);
    stage.play(Event::Look { because: "it was overridden".into() });
    stage.obey().obey().end(RunStatus::Succeeded);
    assert_eq!(stage.live("production"), Some(3));
    stage.play(Event::RunChanged { run: staged }).wait(Span::seconds(5));
    let refused = stage.approve("grace");
    assert!(refused.contains("asked for release 2"), "{refused}");
}

#[test]
fn whoever_tried_what_a_release_carries_does_not_approve_it_either() {
    let mut stage = Stage1::new();
    let staging = || Some(EnvironmentName::new("staging"));
    stage.merge(7, "mallory").obey().obey().end(RunStatus::Failed);
    stage.command("ada", Verb::Hold { environment: staging(), service: None, lasts: None, reason: None });
    stage.command("grace", Verb::Retry { environment: staging(), service: None });
    stage.merge(8, "mallory");
    stage.command("ada", Verb::Resume { environment: staging(), service: None });
    stage.obey().obey().end(RunStatus::Succeeded);
    let carries = stage.state.releases.values().find(|r| r.changes.len() == 2).expect("a release of both").number;
    deploy(&mut stage, 6, "production");
    let asked = ReleaseNumber(stage.state.last_number);
    stage.state.stage_mut(asked, &production()).expect("a stage").overrides.extend([GateName::Approval]);
    stage.play(Event::Look { because: "it was overridden".into() });
    stage.obey().obey().end(RunStatus::Succeeded);
    assert!(asked > carries && stage.live("production") == Some(asked.0));
    stage.wait(Span::seconds(5));
    let refused = stage.approve("grace");
    assert!(refused.contains("asked for release 2"), "{refused}");
}

#[test]
fn what_was_live_is_told_by_what_came_over_it() {
    let text = |stage: &Stage1, number: u64| {
        let brief = crate::domain::view::release::brief(&stage.state, release(stage, number));
        brief.stages.into_iter().find(|stage| stage.environment == production()).expect("a stage").text
    };
    let mut stage = unasked(|_| {});
    stage.merge(7, "ada").obey().obey();
    let staged = run_snapshot(stage.next_id, RunStatus::Succeeded, "");
    deploy(&mut stage, 6, "production");
    stage.obey().obey().end(RunStatus::Succeeded);
    stage.play(Event::RunChanged { run: staged }).wait(Span::seconds(2));
    stage.obey().obey().end(RunStatus::Succeeded);
    assert_eq!((text(&stage, 1).as_str(), text(&stage, 2).as_str()), ("is live", "was live, until release 1"));
    stage.rollback("ada");
    stage.obey().obey().end(RunStatus::Succeeded);
    assert_eq!((text(&stage, 1).as_str(), text(&stage, 2).as_str()), ("was live, rolled back to release 2", "is live"));
    // A merge after both contains the first; of the other nobody can tell.
    stage.resume("ada");
    stage.merge(9, "ada").run(RunStatus::Succeeded).wait(Span::seconds(2));
    stage.obey().obey().end(RunStatus::Succeeded);
    assert_eq!((text(&stage, 1).as_str(), text(&stage, 4).as_str()), ("is live as part of release 4", "is live"));
    assert_eq!(text(&stage, 2), "was live, until release 4");
}

#[test]
fn on_its_way_a_delivery_goes_over_what_somebody_brought_there() {
    let mut stage = unasked(|_| {});
    stage.plan.pipeline.environments.insert(0, environment("test", None));
    stage.merge(7, "ada").obey().obey();
    let tested = run_snapshot(stage.next_id, RunStatus::Succeeded, "");
    deploy(&mut stage, 9, "staging");
    stage.obey().obey().end(RunStatus::Succeeded);
    assert_eq!(stage.live("staging"), Some(2));
    stage.play(Event::RunChanged { run: tested });
    assert!(matches!(phase(&stage, 1, "staging"), StagePhase::Rolling(_)), "or nobody would bring it to production");
}

#[test]
fn a_delivery_takes_no_rollbacks_place() {
    let mut stage = unasked(|_| {});
    through(&mut stage, 6);
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey();
    stage.rollback("ada");
    assert!(matches!(phase(&stage, 3, "production"), StagePhase::Waiting { .. }));
    stage.merge(8, "ada").run(RunStatus::Succeeded);
    assert!(matches!(phase(&stage, 3, "production"), StagePhase::Waiting { .. }));
    assert!(matches!(phase(&stage, 4, "production"), StagePhase::Waiting { .. }));
}

#[test]
fn where_newer_releases_abort_older_ones_they_bring_their_changes_and_spare_rollbacks() {
    let mut stage = unasked(|production| production.supersede = Supersede::Abort);
    through(&mut stage, 6);
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey().obey();
    stage.merge(8, "ada").run(RunStatus::Succeeded);
    assert_eq!(pulls(&stage, 3), [7, 8]);
    assert_eq!(phase(&stage, 2, "production"), StagePhase::Superseded { by: ReleaseNumber(3) });
    stage.obey().obey();
    stage.rollback("ada");
    stage.obey().obey();
    stage.resume("ada");
    stage.merge(9, "ada").run(RunStatus::Succeeded);
    assert_eq!(stage.state.rolling(&production()).map(|(release, _)| release.number.0), Some(4));
}

#[test]
fn what_is_live_already_keeps_nobody_from_going_back_though_it_was_taken_over_further_on() {
    let mut stage = unasked(|production| production.supersede = Supersede::Abort);
    let staging = || EnvironmentName::new("staging");
    let migrates = Change { irreversible: vec!["migrations/7.sql".into()], ..change(7, "ada") };
    stage.merge_as(migrates).run(RunStatus::Succeeded).obey().obey();
    stage.merge(8, "ada").run(RunStatus::Succeeded);
    assert_eq!(pulls(&stage, 2), [7, 8], "it took the place of the first in production");
    stage.command("ada", Verb::Rollback { environment: staging(), to: None, service: None, reason: None });
    stage.obey().obey().end(RunStatus::Succeeded);
    assert_eq!(stage.live("staging"), Some(1));
    stage.command("ada", Verb::Resume { environment: Some(staging()), service: None });
    stage.merge(9, "ada").obey().obey().end(RunStatus::Failed);
    let back = stage.state.releases.values().find(|r| r.number == ReleaseNumber(5)).expect("a way back");
    assert!(matches!(back.purpose, Purpose::Rollback { from: Some(ReleaseNumber(4)), by: None, .. }));
}

#[test]
fn an_older_delivery_takes_no_newer_ones_place_where_a_newer_policy_sent_that_straight() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").obey().obey();
    let run = run_snapshot(stage.next_id, RunStatus::Succeeded, "");
    stage.plan.pipeline.environments.remove(0);
    stage.merge(8, "ada");
    assert!(matches!(phase(&stage, 2, "production"), StagePhase::Waiting { .. }));
    stage.play(Event::RunChanged { run });
    assert_eq!(phase(&stage, 1, "production"), StagePhase::Superseded { by: ReleaseNumber(2) });
    assert_eq!(pulls(&stage, 2), [7, 8]);
}

#[test]
fn what_is_live_and_rolled_back_by_hand_has_its_culprit() {
    let mut stage = unasked(|_| {});
    through(&mut stage, 6);
    through(&mut stage, 7);
    stage.rollback("ada");
    let hold = stage.state.blocks.iter().find(|block| block.kind == BlockKind::Hold).expect("a hold");
    assert_eq!(hold.culprit, Some(PullNumber(7)));
}

#[test]
fn a_rollback_by_hand_after_a_failure_is_from_what_failed() {
    let mut stage = unasked(|production| production.on_failure = OnFailure::Hold);
    through(&mut stage, 6);
    stage.merge(7, "ada").run(RunStatus::Succeeded).run(RunStatus::Failed);
    stage.rollback("ada");
    let hold = stage.state.blocks.iter().find(|block| block.kind == BlockKind::Hold).expect("a hold");
    assert_eq!(hold.culprit, Some(PullNumber(7)), "not what it goes back to");
    assert!(matches!(release(&stage, 3).purpose, Purpose::Rollback { from: Some(ReleaseNumber(2)), .. }));
}

#[test]
fn what_somebody_asked_for_of_a_newer_commit_keeps_its_place_before_an_older_delivery() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").obey().obey();
    let run = run_snapshot(stage.next_id, RunStatus::Succeeded, "");
    stage.merge(8, "ada");
    deploy(&mut stage, 8, "production");
    assert!(matches!(phase(&stage, 3, "production"), StagePhase::Waiting { .. }));
    stage.play(Event::RunChanged { run });
    assert!(matches!(phase(&stage, 3, "production"), StagePhase::Waiting { .. }), "its approvals count on");
}

#[test]
fn what_pauses_and_was_not_reverted_does_not_give_way() {
    let mut stage = unasked(|production| production.rollout = vec![Portion::Percent(25), Portion::ALL]);
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey().obey();
    let run = run_snapshot(stage.next_id, RunStatus::Succeeded, "");
    let closed = Window { days: [false; 7], from: 0, to: 1, zone: "UTC".into(), text: "never".into() };
    stage.state.stage_mut(ReleaseNumber(1), &production()).expect("a stage").policy.windows = vec![closed];
    stage.play(Event::RunChanged { run });
    stage.merge(8, "ada").run(RunStatus::Succeeded);
    assert_eq!(stage.state.rolling(&production()).map(|(release, _)| release.number.0), Some(1));
    assert!(matches!(phase(&stage, 2, "production"), StagePhase::Waiting { .. }));
}

#[test]
fn what_was_known_of_a_way_back_is_forgotten_when_something_else_is_live() {
    let mut stage = unasked(|_| {});
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey().obey();
    let run = run_snapshot(stage.next_id, RunStatus::Succeeded, "");
    stage.merge(8, "ada").run(RunStatus::Succeeded);
    let known =
        Known { at: stage.now, checks: None, artifact: Some(true), irreversible: None, target: None, contained: None };
    stage.state.stage_mut(ReleaseNumber(2), &production()).expect("a stage").known = Some(known);
    stage.play(Event::RunChanged { run });
    assert_eq!(stage.live("production"), Some(1));
    assert_eq!(release(&stage, 2).stages[1].known, None);
    assert!(!stage.said.notes.iter().any(|note| note.contains("its culprit was reverted")));
}
