//! How rollouts end: runs that are lost, ways back that are closed, reports that do not count, runs that wait for ours.

use super::tests::*;
use super::tests_verify::{smoke, verification};
use super::*;
use crate::domain::chatops::Verb;
use crate::domain::effect::{Act, Ending, ProtectionState};
use crate::domain::event::{Event, Report, ReportState, Signal};
use crate::domain::facts::{Absence, CheckStanding, Fact, Need, RunStatus};
use crate::domain::policy::{OnFailure, Portion, Verification};

fn production() -> EnvironmentName {
    EnvironmentName::new("production")
}

/// A stage whose production asks nobody.
fn with(change: impl FnOnce(&mut EnvironmentPolicy)) -> Stage1 {
    let mut stage = Stage1::new();
    stage.plan.pipeline.environments[1].approval = None;
    change(&mut stage.plan.pipeline.environments[1]);
    stage
}

/// A release through both environments that nobody has to approve.
fn through(stage: &mut Stage1, pull: u64) {
    stage.merge(pull, "ada").run(RunStatus::Succeeded).run(RunStatus::Succeeded);
}

fn phase(stage: &Stage1, number: u64) -> StagePhase {
    stage.state.releases[&ReleaseNumber(number)].stage(&production()).expect("a stage").phase.clone()
}

fn look(stage: &mut Stage1) {
    stage.play(Event::Look { because: "the clock called".into() });
}

fn look_at(stage: &mut Stage1, at: Timestamp) {
    stage.now = at;
    look(stage);
}

fn why_failed(stage: &Stage1, number: u64) -> Option<String> {
    match phase(stage, number) {
        StagePhase::Failed { why, .. } => Some(why),
        _ => None,
    }
}

fn runs_since(stage: &Stage1) -> Timestamp {
    let (_, rolling) = stage.state.rolling(&production()).expect("a rollout");
    match rolling.rollout().map(|rollout| &rollout.phase) {
        Some(StepPhase::Running { since, .. } | StepPhase::Finding { since }) => *since,
        other => panic!("it does not run: {other:?}"),
    }
}

// ---------------------------------------------------------------- runs

#[test]
fn only_production_is_a_production_environment() {
    let mut stage = with(|_| {});
    through(&mut stage, 7);
    let production = stage.said.acts.iter().filter_map(|(_, act)| match act {
        Act::CreateDeployment { environment, production, .. } => Some((environment.as_str(), *production)),
        _ => None,
    });
    assert_eq!(production.collect::<Vec<_>>(), [("staging", false), ("production", true)]);
}

#[test]
fn a_run_that_was_deleted_has_failed() {
    let mut stage = with(|production| production.on_failure = OnFailure::Hold);
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey().obey();
    let (run, since) = (RunId(stage.next_id), runs_since(&stage));
    stage.facts.insert(Need::Run { run }, Fact::Absent(Absence::Refused { message: "no".into() }));
    look_at(&mut stage, since.plus(Span::seconds(20)));
    assert_eq!(why_failed(&stage, 1), None, "who may not look knows nothing");
    stage.facts.insert(Need::Run { run: RunId(1) }, Fact::Absent(Absence::NotFound));
    look(&mut stage);
    assert_eq!(why_failed(&stage, 1), None, "another run");
    stage.facts.insert(Need::Run { run }, Fact::Absent(Absence::NotFound));
    look(&mut stage);
    assert_eq!(why_failed(&stage, 1).as_deref(), Some("the workflow run was deleted"));
}

#[test]
fn a_run_is_looked_at_after_twenty_seconds_and_then_each_quarter_of_its_age() {
    let mut stage = with(|production| production.timeout = Span::hours(2));
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey().obey();
    let since = runs_since(&stage);
    assert!(rollout::needs(&stage.state, since.plus(Span(19_999))).is_empty());
    assert_eq!(rollout::needs(&stage.state, since.plus(Span(20_000))), [Need::Run { run: RunId(stage.next_id) }]);
    let mut looks = Vec::new();
    for _ in 0..9 {
        let at = advance::wake_at(&stage.state, stage.now).expect("a wake");
        looks.push(at.since(since).0 / 1_000);
        look_at(&mut stage, at);
        assert!(matches!(phase(&stage, 1), StagePhase::Rolling(_)));
    }
    assert_eq!(looks, [20, 40, 60, 80, 100, 125, 156, 195, 244]);
}

#[test]
fn a_run_that_was_dispatched_without_a_name_is_looked_for_five_minutes_long() {
    let mut stage = with(|_| {});
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey();
    let (key, _) = stage.said.acts.last().cloned().expect("a dispatch");
    stage.play(Event::EffectEnded { key, ending: Ending::Done { id: None, url: None } });
    let since = runs_since(&stage);
    look_at(&mut stage, since.plus(Span::minutes(5)).minus(Span(1)));
    assert_eq!(why_failed(&stage, 1), None);
    look_at(&mut stage, since.plus(Span::minutes(5)));
    assert!(why_failed(&stage, 1).is_some_and(|why| why.starts_with("GitHub named no run")));
    assert!(stage.state.releases.values().all(|release| !release.is_rollback()), "a person must look first");
}

#[test]
fn a_run_may_take_all_of_its_timeout() {
    let mut stage = with(|_| {});
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey().obey();
    let since = runs_since(&stage);
    look_at(&mut stage, since.plus(Span::minutes(30)).minus(Span(1)));
    assert_eq!(why_failed(&stage, 1), None);
    look_at(&mut stage, since.plus(Span::minutes(30)));
    assert_eq!(why_failed(&stage, 1).as_deref(), Some("the workflow run did not end within 30 min"));
}

#[test]
fn a_first_step_that_was_refused_leaves_nothing_to_take_back_and_a_later_one_does() {
    let mut stage = with(|production| production.rollout = vec![Portion::Percent(25), Portion::ALL]);
    stage.plan.pipeline.environments[1].rollout = vec![Portion::ALL];
    through(&mut stage, 6);
    stage.plan.pipeline.environments[1].rollout = vec![Portion::Percent(25), Portion::ALL];
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey();
    let refuse = |stage: &mut Stage1| {
        let (key, _) = stage.said.acts.last().cloned().expect("a dispatch");
        let ending = Ending::Refused { message: "no such workflow".into() };
        stage.play(Event::EffectEnded { key, ending });
        stage.state.releases.values().filter(|release| release.is_rollback()).count()
    };
    assert_eq!(refuse(&mut stage), 0);
    stage.resume("ada");
    stage.merge(8, "ada").run(RunStatus::Succeeded).run(RunStatus::Succeeded);
    assert_eq!(refuse(&mut stage), 1);
}

#[test]
fn what_ends_of_another_release_moves_nothing() {
    let mut stage = with(|_| {});
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    let before = phase(&stage, 1);
    let ending = Ending::Done { id: Some(900), url: None };
    for key in ["acme/shop/api/release-2/production/deployment", "acme/shop/api/release-1/staging/deployment"] {
        stage.play(Event::EffectEnded { key: EffectKey::new(key), ending: ending.clone() });
        assert_eq!(phase(&stage, 1), before, "{key}");
    }
    stage.obey();
    let before = phase(&stage, 1);
    let key = EffectKey::new("acme/shop/api/release-1/production/step-2/attempt-1");
    stage.play(Event::EffectEnded { key, ending });
    assert_eq!(phase(&stage, 1), before);
}

// ---------------------------------------------------------------- the way back

#[test]
fn a_release_that_was_live_too_long_ago_is_not_gone_back_to_by_itself() {
    let mut stage = with(|_| {});
    stage.plan.pipeline.rollback.within = Some(Span::hours(1));
    through(&mut stage, 6);
    let live_at = stage.state.live(&production()).expect("it is live").at;
    stage.command("ada", Verb::Hold { environment: Some(production()), service: None, lasts: None, reason: None });
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    let release = stage.state.releases[&ReleaseNumber(2)].clone();
    let safety = |now| rollback::safety(&stage.state, &release, &release.stages[1], now);
    assert!(safety(live_at.plus(Span::hours(1)).minus(Span(1))).is_safe());
    assert_eq!(safety(live_at.plus(Span::hours(1))).against, ["Release 1 went live more than 1 h ago."]);
}

#[test]
fn a_revert_is_asked_for_once_under_its_own_title_and_kept_with_what_became_of_it() {
    let endings = [
        (Ending::Done { id: Some(40), url: None }, RevertStanding::Opened { number: PullNumber(40) }),
        (Ending::Done { id: None, url: None }, RevertStanding::Refused { because: "GitHub did not name it".into() }),
        (Ending::Superseded, RevertStanding::Refused { because: "GitHub did not name it".into() }),
        (Ending::Refused { message: "conflicts".into() }, RevertStanding::Refused { because: "conflicts".into() }),
        (Ending::Unknown { message: "no answer".into() }, RevertStanding::Refused { because: "no answer".into() }),
    ];
    for (ending, standing) in endings {
        let mut stage = with(|production| production.on_failure = OnFailure::Hold);
        stage.merge(7, "ada").run(RunStatus::Succeeded).run(RunStatus::Failed);
        let (key, act) = stage.said.acts.last().cloned().expect("a revert");
        assert!(matches!(&act, Act::RevertPull { title, .. } if title == "Revert \"Change 7\""), "{act:?}");
        let became = |stage: &Stage1| stage.state.releases[&ReleaseNumber(1)].revert.clone().map(|it| it.standing);
        stage.play(Event::EffectEnded { key: EffectKey::new("acme/shop/api/revert-8"), ending: ending.clone() });
        assert_eq!(became(&stage), Some(RevertStanding::Asked), "another one's");
        stage.play(Event::EffectEnded { key, ending });
        assert_eq!(became(&stage), Some(standing));
    }
}

#[test]
fn what_failed_before_something_went_live_is_left_behind_no_more() {
    let mut stage = with(|production| production.on_failure = OnFailure::Hold);
    through(&mut stage, 6);
    stage.merge(7, "ada").run(RunStatus::Succeeded).run(RunStatus::Failed);
    let left = |stage: &Stage1| rollback::left_behind(&stage.state, &production()).map(|release| release.number.0);
    assert_eq!(left(&stage), Some(2));
    stage.resume("ada");
    stage.merge(8, "ada").run(RunStatus::Succeeded).run(RunStatus::Succeeded);
    assert_eq!((stage.live("production"), left(&stage)), (Some(3), None));
}

// ---------------------------------------------------------------- reports

fn report(stage: &Stage1, state: ReportState) -> Report {
    let (release, rolling) = stage.state.rolling(&production()).expect("a rollout");
    let step = rolling.rollout().map_or(0, |rollout| rollout.step);
    Report {
        key: dispatch_key(&stage.state.repo, &stage.state.service, release.number, &production(), step),
        run: RunId(stage.next_id),
        environment: Some(production()),
        workflow_sha: sha(1),
        sha: release.sha.clone(),
        state,
        description: None,
        at: stage.now,
    }
}

#[test]
fn a_report_counts_only_for_a_run_of_its_own_workflow_that_carries_its_key() {
    let mut stage = with(|_| {});
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey().obey();
    let report = report(&stage, ReportState::Success);
    assert_eq!(report::needs(&stage.state, &report), [Need::Run { run: report.run }]);
    let key = report.key.as_str().to_owned();
    for (head, title, counts) in
        [(Some(2), key.clone(), false), (Some(1), "Deploy".into(), false), (Some(1), key.clone(), true)]
    {
        let mut shown = run_snapshot(report.run.0, RunStatus::InProgress, &title);
        shown.head_sha = head.map(sha);
        stage.facts.insert(Need::Run { run: report.run }, Fact::Run(shown));
        stage.play(Event::Reported { report: Box::new(report.clone()) });
        let noted = stage.said.notes.iter().any(|note| note.ends_with("reports success"));
        assert_eq!(noted, counts, "{head:?} {title}");
    }
}

// ---------------------------------------------------------------- runs that wait for ours

fn asks(stage: &mut Stage1, run: u64, commit: u64, environment: &str) {
    let environment = EnvironmentName::new(environment);
    let asked = Signal::ProtectionAsked { run: RunId(run), environment, sha: sha(commit), alone: true };
    stage.play(Event::Signal(asked));
}

/// What each run heard, oldest first.
fn words(stage: &Stage1) -> Vec<(u64, Option<ProtectionState>, String)> {
    let words = stage.said.acts.iter().filter_map(|(_, act)| match act {
        Act::AnswerProtection { run, state, comment, .. } => Some((run.0, *state, comment.clone())),
        _ => None,
    });
    words.collect()
}

#[test]
fn a_run_is_remembered_once_for_each_environment() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada");
    for (run, environment) in [(5, "production"), (5, "production"), (6, "production"), (5, "qa")] {
        asks(&mut stage, run, 7, environment);
    }
    let known: Vec<(u64, &str)> = stage.state.protections.iter().map(|p| (p.run.0, p.environment.as_str())).collect();
    assert_eq!(known, [(5, "production"), (6, "production"), (5, "qa")]);
}

#[test]
fn a_run_hears_ten_reports_at_most_and_is_forgotten_after_thirty_days() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    asks(&mut stage, 5, 7, "production");
    let asked_at = stage.state.protections[0].asked_at;
    for _ in 0..12 {
        stage.state.protections[0].said = String::new();
        look(&mut stage);
    }
    assert_eq!(words(&stage).len(), 10);
    let thirty_days = asked_at.plus(Span::hours(30 * 24));
    assert_eq!(protection::wake_at(&stage.state, asked_at), Some(asked_at.plus(Span::minutes(30))));
    assert_eq!(protection::wake_at(&stage.state, asked_at.plus(Span::minutes(30))), Some(thirty_days));
    look_at(&mut stage, thirty_days.minus(Span(1)));
    assert_eq!(stage.state.protections.len(), 1);
    look_at(&mut stage, thirty_days);
    assert!(stage.state.protections.is_empty());
}

#[test]
fn a_run_of_no_release_is_refused_after_half_an_hour_and_not_before() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    asks(&mut stage, 5, 8, "production");
    let asked_at = stage.state.protections[0].asked_at;
    look_at(&mut stage, asked_at.plus(Span::minutes(30)).minus(Span(1)));
    assert_eq!(words(&stage).last().and_then(|(_, state, _)| *state), None);
    look_at(&mut stage, asked_at.plus(Span::minutes(30)));
    assert_eq!(words(&stage).last().and_then(|(_, state, _)| *state), Some(ProtectionState::Rejected));
}

#[test]
fn a_run_of_what_is_live_passes_unless_something_keeps_it_still() {
    let mut stage = with(|_| {});
    through(&mut stage, 7);
    asks(&mut stage, 5, 7, "production");
    let lock = || Verb::Lock { environment: production(), service: None, lasts: None, reason: None };
    stage.command("ada", lock());
    asks(&mut stage, 6, 7, "production");
    stage.command("ada", Verb::Unlock { environment: production(), service: None });
    through(&mut stage, 8);
    asks(&mut stage, 7, 7, "production");
    let rows: Vec<String> = words(&stage).iter().map(|(run, state, says)| format!("{run} {state:?}: {says}")).collect();
    insta::assert_snapshot!(rows.join("\n"), @r"
    5 Some(Approved): Release 1 is live and passed its gate before.
    6 None: Release 1 is live, and nothing may begin now: `production` is locked: ada gave no reason. (by `ada`) `/plimsoll unlock production` ends the lock.
    6 Some(Approved): Release 1 is live and passed its gate before.
    7 Some(Rejected): Release 1 is not live in production any more.
    ");
}

#[test]
fn the_run_of_a_verification_passes_where_its_release_bakes() {
    let once = Verification { successes: 1, ..verification(smoke()) };
    let mut stage = with(|production| production.verify = vec![once]);
    stage.merge(7, "ada").run(RunStatus::Succeeded).run(RunStatus::Succeeded);
    stage.wait(Span::seconds(5));
    stage.obey();
    let run = stage.next_id;
    asks(&mut stage, 900, 7, "production");
    asks(&mut stage, run, 99, "production");
    let passed: Vec<(u64, bool)> = words(&stage).iter().map(|(run, state, _)| (*run, state.is_some())).collect();
    assert_eq!(passed, [(900, false), (run, true)]);
}

// ---------------------------------------------------------------- what is shown beside a decision

#[test]
fn checks_beside_a_decision_are_looked_up_again_while_one_is_pending() {
    for (standing, again) in [(CheckStanding::Pending, true), (CheckStanding::Success, false)] {
        let mut stage = Stage1::new();
        stage.merge(7, "ada").run(RunStatus::Succeeded);
        let check = CheckState { name: "tests".into(), app: None, standing, url: None };
        stage.facts.insert(Need::Checks { sha: sha(7) }, Fact::Checks(vec![check]));
        let at = stage.now;
        look(&mut stage);
        let due = turn::next_card_look(&stage.state);
        assert_eq!(due, again.then(|| at.plus(Span::minutes(10))));
        assert_eq!(turn::unknown(&stage.state, at.plus(Span::minutes(10)).minus(Span(1))).count(), 0);
        assert_eq!(turn::unknown(&stage.state, at.plus(Span::minutes(10))).count(), usize::from(again));
    }
}

#[test]
fn a_run_that_asks_before_its_dispatch_is_answered_passes_once_it_is_known() {
    let mut stage = with(|_| {});
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey();
    let dispatch = stage.said.acts.last().cloned().expect("a dispatch");
    asks(&mut stage, 900, 99, "production");
    assert_eq!(words(&stage), []);
    stage.play(Event::EffectEnded { key: dispatch.0, ending: Ending::Done { id: Some(900), url: None } });
    assert_eq!(
        words(&stage).first().map(|(run, state, _)| (*run, *state)),
        Some((900, Some(ProtectionState::Approved)))
    );
}

#[test]
fn a_run_that_reported_success_and_then_fails_has_failed() {
    let mut stage = with(|production| production.bake = Span::minutes(10));
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey().obey();
    let report = report(&stage, ReportState::Success);
    let run = report.run.0;
    let shown = run_snapshot(run, RunStatus::InProgress, report.key.as_str());
    stage.facts.insert(Need::Run { run: report.run }, Fact::Run(shown));
    stage.play(Event::Reported { report: Box::new(report) });
    stage.play(Event::RunChanged { run: run_snapshot(run + 1, RunStatus::Failed, "") });
    assert!(stage.status().contains("is baking"), "another run: {}", stage.status());
    stage.play(Event::RunChanged { run: run_snapshot(run, RunStatus::Failed, "") });
    assert_eq!(why_failed(&stage, 1).as_deref(), Some("the workflow run failed"));
}

#[test]
fn a_bake_ends_at_its_time_and_without_one_nothing_bakes() {
    let mut stage = with(|production| production.bake = Span::minutes(10));
    through(&mut stage, 7);
    let until = advance::wake_at(&stage.state, stage.now).expect("a wake");
    look_at(&mut stage, until.minus(Span(1)));
    assert_eq!(stage.live("production"), None);
    look_at(&mut stage, until);
    assert_eq!(stage.live("production"), Some(1));
    let baked = stage.said.notes.iter().filter(|note| note.contains("bakes"));
    assert_eq!(baked.collect::<Vec<_>>(), ["release 1 bakes in production for 10 min"]);
}

#[test]
fn a_revert_of_one_of_several_changes_is_named_after_it() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    stage.merge(8, "ada").run(RunStatus::Succeeded);
    stage.approve("grace");
    stage.run(RunStatus::Failed);
    let (_, act) = stage.said.acts.last().expect("a revert");
    assert!(matches!(act, Act::RevertPull { title, .. } if title == "Revert \"Change 8\""), "{act:?}");
}
