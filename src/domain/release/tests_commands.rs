//! Commands that start, stop and undo, and what is forgotten.

use super::tests::*;
use super::tests_blocks::*;
use super::*;
use crate::domain::chatops::Verb;
use crate::domain::event::Event;
use crate::domain::facts::*;

// ---------------------------------------------------------------- commands that start and stop

#[test]
fn nothing_is_deployed_or_promoted_to_what_is_locked_for_a_while() {
    let mut stage = with(|_| {});
    stage.command("ada", lock(production(), Some(Span::hours(2))));
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    insta::assert_snapshot!(stage.command("grace", deploy(7, production())), @"⛔ `production` is locked: Moving house. (by `ada`, until Wed 2023-11-15 00:13 UTC) `/plimsoll unlock production` ends the lock. Nothing was changed.");
    insta::assert_snapshot!(stage.command("grace", promote(production())), @"⛔ `production` is locked: Moving house. (by `ada`, until Wed 2023-11-15 00:13 UTC) `/plimsoll unlock production` ends the lock. Nothing was changed.");
    stage.wait(Span::hours(2)).run(RunStatus::Succeeded);
    insta::assert_snapshot!(stage.command("grace", promote(production())), @"⛔ `production` runs `0000000` already. Nothing was changed.");
}

#[test]
fn only_what_was_merged_is_promoted_to_the_last_environment() {
    let mut stage = Stage1::new();
    stage.plan.pipeline.environments.insert(1, environment("qa", None));
    stage.merge(7, "ada").run(RunStatus::Succeeded).run(RunStatus::Succeeded);
    stage.command("grace", deploy(9, staging()));
    stage.run(RunStatus::Succeeded);
    let qa = EnvironmentName::new("qa");
    insta::assert_snapshot!(stage.command("grace", promote(qa.clone())), @"🚢 Release 3 (`0000000`) to `qa`. It starts now.");
    stage.run(RunStatus::Succeeded);
    assert_eq!(stage.live("qa"), Some(3));
    insta::assert_snapshot!(stage.command("grace", promote(production())), @"⛔ Release 3 in `qa` was not made of a merge; only what was merged goes to `production`. Nothing was changed.");
}

#[test]
fn a_speculative_pull_request_deploys_what_was_merged_and_nothing_else() {
    let mut stage = with(|_| {});
    let (standing, files) = (Standing::Diverged, ChangedFiles::default());
    let stray = Comparison { standing, commits: Vec::new(), total_commits: 0, files };
    let need = Need::Comparison { base: sha(99).to_string(), head: "main".into() };
    stage.facts.insert(need, Fact::Comparison(stray));
    insta::assert_snapshot!(elsewhere(&mut stage, true, true, deploy(99, staging())), @"⛔ A merge queue's branch holds what may never be merged; nothing of it is deployed. Nothing was changed.");
    insta::assert_snapshot!(elsewhere(&mut stage, true, true, deploy(7, staging())), @"🚢 Release 1 (`0000000`) to `staging`. It starts now.");
}

#[test]
fn what_github_would_not_say_is_told_as_such_and_deploys_nothing() {
    let mut stage = with(|_| {});
    let absent = || Fact::Absent(Absence::Unusable { message: "this diff is taking too long".into() });
    stage.facts.insert(Need::Comparison { base: sha(7).to_string(), head: "main".into() }, absent());
    insta::assert_snapshot!(stage.command("grace", deploy(7, production())), @"⛔ GitHub would not say whether `0000000` is on `main`: this diff is taking too long. Only what was merged goes to `production`. Nothing was changed.");
    stage.facts.insert(Need::Commit { name: sha(7).to_string() }, absent());
    insta::assert_snapshot!(stage.command("grace", deploy(7, staging())), @"⛔ GitHub would not say which commit `0000000000000000000000000000000000000007` is: this diff is taking too long. Nothing was changed.");
}

#[test]
fn whoever_asked_hears_how_it_ended() {
    let mut stage = with(|_| {});
    stage.command("grace", deploy(7, staging()));
    stage.said.answers.clear();
    stage.run(RunStatus::Succeeded);
    let heard: Vec<&Answer> = stage.said.answers.iter().map(|(_, answer)| answer).collect();
    assert_eq!(heard, [&Answer::Final("✅ Release 1 (`0000000`) is live in staging.".into())]);
}

/// The second release failed in production, and production is back at the first.
fn went_back() -> Stage1 {
    let mut stage = with(|_| {});
    stage.merge(7, "ada").run(RunStatus::Succeeded).run(RunStatus::Succeeded);
    stage.merge(8, "ada").run(RunStatus::Succeeded).run(RunStatus::Failed).run(RunStatus::Succeeded);
    stage
}

#[test]
fn a_retry_means_what_failed_and_not_the_way_back_nor_what_went_elsewhere() {
    let mut stage = went_back();
    stage.command("grace", deploy(9, staging()));
    stage.run(RunStatus::Succeeded);
    insta::assert_snapshot!(stage.command("grace", retry()), @"🔁 Release 5 tries `0000000` (release 2) in `production` once more. It starts now.");
}

#[test]
fn a_retry_button_counts_for_the_release_that_failed_last() {
    let mut stage = went_back();
    let press = |stage: &mut Stage1, release: u64, pull: u64| {
        let (action, by) = (format!("retry.{release}.1"), Login::new("grace"));
        stage.play(Event::ActionRequested { action, head_sha: sha(pull), by });
        stage.state.releases[&ReleaseNumber(release)].last_word.clone().unwrap_or_default()
    };
    insta::assert_snapshot!(press(&mut stage, 1, 7), @"⛔ A newer release came to `production` meanwhile. Nothing was changed.");
    insta::assert_snapshot!(press(&mut stage, 2, 8), @"🔁 Release 4 tries `0000000` (release 2) in `production` once more. It starts now.");
}

#[test]
fn what_waits_is_taken_back_and_goes_no_further() {
    let mut stage = with(|_| {});
    stage.command("ada", freeze(None));
    stage.merge(7, "ada");
    insta::assert_snapshot!(stage.command("grace", cancel(staging())), @"⏹️ Release 1 does not go to `staging`.");
    assert!(matches!(phase(&stage, 1, &staging()), StagePhase::Cancelled { .. }));
    assert_eq!(*phase(&stage, 1, &production()), StagePhase::NotReached);
}

#[test]
fn a_way_back_in_the_middle_of_a_rollout_says_what_speaks_against_it() {
    let mut stage = with(|stage| stage.plan.pipeline.rollback.within = Some(Span::hours(1)));
    stage.merge(7, "ada").run(RunStatus::Succeeded).run(RunStatus::Succeeded).wait(Span::hours(2));
    stage.merge(8, "ada").run(RunStatus::Succeeded).obey().obey();
    insta::assert_snapshot!(stage.rollback("grace"), @"⏪ Release 3 takes `production` back to `0000000` (release 1). It starts now; `production` is held until `/plimsoll resume production`. ⚠️ Release 1 went live more than 1 h ago.");
}

#[test]
fn a_way_back_over_several_releases_warns_of_each_and_of_the_targets_own_age() {
    let mut stage = with(|stage| stage.plan.pipeline.rollback.within = Some(Span::hours(1)));
    let mut ship = |change: Change| {
        stage.merge_as(change).run(RunStatus::Succeeded).run(RunStatus::Succeeded);
    };
    ship(Change { irreversible: vec!["migrations/6.sql".into()], ..change(6, "ada") });
    ship(change(7, "ada"));
    ship(Change { irreversible: vec!["migrations/8.sql".into()], ..change(8, "ada") });
    stage.wait(Span::hours(2)).merge(9, "ada").run(RunStatus::Succeeded).run(RunStatus::Succeeded);
    let back = |stage: &Stage1, n: u64| {
        let (environment, to) = (production(), Some(sha(n).to_string()));
        let verb = Verb::Rollback { environment, to, service: None, reason: None };
        let mut copy = Stage1 { state: stage.state.clone(), plan: stage.plan.clone(), now: stage.now, ..Stage1::new() };
        copy.next_id = stage.next_id;
        let said = copy.command("grace", verb);
        said.split_once("`/plimsoll resume production`.").map_or(said.clone(), |(_, rest)| rest.to_owned())
    };
    insta::assert_snapshot!(back(&stage, 7), @" ⚠️ This does not take everything back: #8 changed `migrations/8.sql`.");
    insta::assert_snapshot!(back(&stage, 8), @" ⚠️ Release 3 went live more than 1 h ago.");
    stage.merge(10, "ada").run(RunStatus::Succeeded).run(RunStatus::Succeeded);
    insta::assert_snapshot!(back(&stage, 9), @"");
}

#[test]
fn a_way_back_to_a_commit_of_no_release_warns_of_all_that_may_stay() {
    let mut stage = with(|stage| stage.plan.pipeline.rollback.within = Some(Span::hours(1)));
    let migrates = |pull: u64| Change { irreversible: vec![format!("migrations/{pull}.sql")], ..change(pull, "ada") };
    stage.merge_as(migrates(6)).run(RunStatus::Succeeded).run(RunStatus::Succeeded);
    stage.command("grace", deploy(7, production()));
    stage.run(RunStatus::Succeeded).wait(Span::hours(2));
    stage.merge_as(migrates(8)).run(RunStatus::Succeeded).wait(Span::seconds(2)).run(RunStatus::Succeeded);
    assert_eq!(stage.live("production"), Some(3));
    insta::assert_snapshot!(stage.rollback("grace"), @"⏪ Release 4 takes `production` back to `0000000` (release 2). It starts now; `production` is held until `/plimsoll resume production`. ⚠️ This may not take everything back: #6 changed `migrations/6.sql`; #8 changed `migrations/8.sql`. Release 2 went live more than 1 h ago.");
}

#[test]
fn a_way_back_from_a_merge_that_somebody_asked_for_warns_of_what_the_merge_changed() {
    let mut stage = Stage1::new();
    stage.ship(7);
    let change = Change { irreversible: vec!["migrations/8.sql".into()], ..change(8, "ada") };
    stage.merge_as(change).run(RunStatus::Succeeded);
    stage.command("edsger", promote(production()));
    stage.approve("grace");
    stage.obey().obey();
    stage.rollback("grace");
    let Some((_, Answer::ForNow(said))) = stage.said.answers.last() else { panic!("an answer in words") };
    assert!(said.ends_with("This does not take everything back: #8 changed `migrations/8.sql`."), "{said}");
}

#[test]
fn a_way_back_to_what_has_no_artifact_any_more_says_so() {
    let mut stage = with(|stage| stage.plan.pipeline.rollback.artifact = Some("api-{sha}".to_owned()));
    stage.merge(7, "ada").run(RunStatus::Succeeded).run(RunStatus::Succeeded);
    stage.artifacts = false;
    stage.command("ada", lock(production(), Some(Span::minutes(5))));
    stage.merge(8, "ada").run(RunStatus::Succeeded).wait(Span::minutes(5)).obey().obey();
    assert_eq!(rolls(&stage), Some(2));
    insta::assert_snapshot!(stage.rollback("grace"), @"⏪ Release 3 takes `production` back to `0000000` (release 1). It starts now; `production` is held until `/plimsoll resume production`. ⚠️ The artifact api-0000000000000000000000000000000000000007 of release 1 is gone.");
}

#[test]
fn a_merged_commit_goes_on_though_somebody_asked_for_it_before_its_turn() {
    let mut stage = Stage1::new();
    stage.plan.pipeline.environments.insert(1, environment("qa", Some(managers())));
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    let qa = EnvironmentName::new("qa");
    stage.command("linus", promote(qa.clone()));
    stage.command("grace", Verb::Approve { environment: qa, sha: None, service: None });
    stage.run(RunStatus::Succeeded);
    assert_eq!(stage.live("qa"), Some(2));
    insta::assert_snapshot!(stage.command("linus", promote(production())), @"🚢 Release 3 (`0000000`) to `production`. Waits for approval of `0000000` by members of `acme/release-managers` (0 of 1 given): `/plimsoll approve production`.");
}

// ---------------------------------------------------------------- what is forgotten

fn kept(stage: &Stage1) -> Vec<u64> {
    stage.state.releases.keys().map(|number| number.0).collect()
}

#[test]
fn the_oldest_ended_releases_are_forgotten() {
    let mut stage = with(|stage| stage.plan.pipeline.environments.truncate(1));
    for pull in 1..=25 {
        stage.merge(pull, "ada").run(RunStatus::Succeeded);
    }
    assert_eq!(kept(&stage), (6..=25).collect::<Vec<_>>());
}

#[test]
fn what_came_after_the_oldest_live_release_is_not_forgotten() {
    let mut stage = Stage1::new();
    stage.ship(1);
    for pull in 2..=30 {
        stage.merge(pull, "ada").run(RunStatus::Succeeded);
    }
    assert_eq!((stage.live("production"), kept(&stage)), (Some(1), (1..=30).collect::<Vec<_>>()));
}

#[test]
fn two_hundred_releases_are_kept_for_an_environment_that_stands_still_and_no_more() {
    let mut stage = Stage1::new();
    stage.ship(1);
    stage.merge(2, "ada").run(RunStatus::Succeeded);
    stage.merge(3, "ada").run(RunStatus::Succeeded);
    let superseded = stage.state.releases[&ReleaseNumber(2)].clone();
    assert!(superseded.ended());
    for number in (4..=200).map(ReleaseNumber) {
        stage.state.releases.insert(number, Release { number, ..superseded.clone() });
    }
    stage.state.last_number = 200;
    stage.play(Event::Look { because: "the clock called".into() });
    assert_eq!(kept(&stage).len(), 200);
    stage.merge(4, "ada").run(RunStatus::Succeeded);
    assert!(kept(&stage).len() < 30 && kept(&stage).starts_with(&[1]), "{:?}", kept(&stage));
}
