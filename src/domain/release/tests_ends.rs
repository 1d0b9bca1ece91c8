//! How rollouts end: runs that are lost, ways back that are closed, reports that do not count.

use super::tests::*;
use super::tests_verify::verification;
use super::*;
use crate::domain::chatops::Verb;
use crate::domain::effect::{Act, Ending};
use crate::domain::event::{Event, Report, ReportState};
use crate::domain::facts::{Absence, Fact, Need, RunStatus};
use crate::domain::policy::{OnFailure, Portion, Probe};

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
    let mut stage = unasked(|_| {});
    through(&mut stage, 7);
    let production = stage.said.acts.iter().filter_map(|(_, act)| match act {
        Act::CreateDeployment { environment, production, .. } => Some((environment.as_str(), *production)),
        _ => None,
    });
    assert_eq!(production.collect::<Vec<_>>(), [("staging", false), ("production", true)]);
}

#[test]
fn a_run_that_was_deleted_has_failed() {
    let mut stage = unasked(|production| production.on_failure = OnFailure::Hold);
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
    let mut stage = unasked(|production| production.timeout = Span::hours(2));
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
    let mut stage = unasked(|_| {});
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
    let mut stage = unasked(|_| {});
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey().obey();
    let since = runs_since(&stage);
    look_at(&mut stage, since.plus(Span::minutes(30)).minus(Span(1)));
    assert_eq!(why_failed(&stage, 1), None);
    look_at(&mut stage, since.plus(Span::minutes(30)));
    assert_eq!(why_failed(&stage, 1).as_deref(), Some("the workflow run did not end within 30 min"));
}

#[test]
fn a_first_step_that_was_refused_leaves_nothing_to_take_back_and_a_later_one_does() {
    let mut stage = unasked(|production| production.rollout = vec![Portion::Percent(25), Portion::ALL]);
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
    let mut stage = unasked(|_| {});
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
    let mut stage = unasked(|_| {});
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
        let mut stage = unasked(|production| production.on_failure = OnFailure::Hold);
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
fn one_revert_is_prepared_for_each_pull_request_however_often_it_fails() {
    let mut stage = unasked(|production| production.on_failure = OnFailure::Hold);
    let reverts = |stage: &Stage1| {
        let reverts = stage.said.acts.iter().filter_map(|(_, act)| match act {
            Act::RevertPull { pull, .. } => Some(pull.0),
            _ => None,
        });
        reverts.collect::<Vec<_>>()
    };
    stage.merge(7, "ada").run(RunStatus::Succeeded).run(RunStatus::Failed);
    stage.command("ada", Verb::Retry { environment: Some(production()), service: None });
    stage.run(RunStatus::Failed);
    assert_eq!((stage.state.last_number, reverts(&stage)), (2, vec![7]));
    stage.resume("ada");
    stage.merge(8, "ada").run(RunStatus::Succeeded).run(RunStatus::Failed);
    assert_eq!(reverts(&stage), [7, 8]);
}

#[test]
fn what_failed_before_something_went_live_is_left_behind_no_more() {
    let mut stage = unasked(|production| production.on_failure = OnFailure::Hold);
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
    let mut stage = unasked(|_| {});
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

#[test]
fn a_report_before_github_has_named_the_run_counts_only_for_one_that_we_dispatched() {
    for (found, counts) in [(Some(5), true), (Some(6), false), (None, false)] {
        let mut stage = unasked(|_| {});
        stage.merge(7, "ada").run(RunStatus::Succeeded).obey();
        let report = Report { run: RunId(5), ..report(&stage, ReportState::Success) };
        let needs = report::needs(&stage.state, &report);
        let [looked @ Need::Run { .. }, search @ Need::RunByKey { .. }] = needs.as_slice() else { panic!("{needs:?}") };
        let shown = |run| RunSnapshot {
            head_sha: Some(report.workflow_sha.clone()),
            ..run_snapshot(run, RunStatus::InProgress, report.key.as_str())
        };
        stage.facts.insert(looked.clone(), Fact::Run(shown(5)));
        stage.facts.insert(search.clone(), Fact::RunByKey(found.map(shown)));
        stage.play(Event::Reported { report: Box::new(report.clone()) });
        let noted = stage.said.notes.iter().any(|note| note.ends_with("reports success"));
        assert_eq!(noted, counts, "{found:?}");
    }
}

#[test]
fn a_run_that_reported_success_and_then_fails_has_failed() {
    let mut stage = unasked(|production| production.bake = Span::minutes(10));
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
fn a_step_of_which_nobody_knows_is_undecided_when_its_time_is_over() {
    let probe = Probe::Check { name: "smoke".into() };
    let mut stage = unasked(|production| production.verify = vec![verification(probe)]);
    through(&mut stage, 7);
    let (_, rolling) = stage.state.rolling(&production()).expect("a rollout");
    let Some(StepPhase::Baking { until, .. }) = rolling.rollout().map(|rollout| rollout.phase.clone()) else {
        panic!("it bakes")
    };
    look_at(&mut stage, until.plus(Span::minutes(30)).minus(Span(1)));
    assert!(stage.status().contains("is verified"), "{}", stage.status());
    look_at(&mut stage, until.plus(Span::minutes(30)));
    assert!(stage.status().contains("is undecided"), "{}", stage.status());
}

#[test]
fn a_bake_ends_at_its_time_and_without_one_nothing_bakes() {
    let mut stage = unasked(|production| production.bake = Span::minutes(10));
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
