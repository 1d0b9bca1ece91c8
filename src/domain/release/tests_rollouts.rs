//! Steps, verification, rollback and what gives way.

use super::tests::*;
use super::tests_gates::check;
use super::*;
use crate::domain::chatops::Verb;
use crate::domain::effect::Act;
use crate::domain::event::{Event, Report, ReportState};
use crate::domain::facts::RunStatus;
use crate::domain::facts::{Fact, Need};
use crate::domain::policy::Portion;
use crate::domain::policy::{Demand, NoData, OnFailure, Probe, Supersede, Verification, Worse};
use crate::domain::reading::{Reading, Series};

fn healthz() -> Verification {
    Verification {
        name: "healthz".into(),
        probe: Probe::Http { url: "https://shop.example/healthz".into(), expect: 200, json: None, latency_below: None },
        every: Span::seconds(30),
        successes: 2,
        failures_allowed: 1,
        no_data: NoData::Inconclusive,
        dry_run: false,
    }
}

fn answers(status: u16) -> Reading {
    Reading::Response { status, took: Span(20), value: None }
}

fn dispatched(stage: &Stage1) -> Vec<String> {
    let inputs = stage.said.acts.iter().filter_map(|(_, act)| match act {
        Act::DispatchWorkflow { inputs, .. } if inputs["environment"] == "production" => {
            Some(inputs.get("wave").unwrap_or(&inputs["percent"]).clone())
        }
        _ => None,
    });
    inputs.collect()
}

/// Ends the newest dispatch well: the outbox names a run, and the run succeeds.
fn step(stage: &mut Stage1) {
    stage.obey();
    stage.end(RunStatus::Succeeded);
}

#[test]
fn steps_by_wave_follow_one_another_and_pause_while_they_are_held() {
    let mut stage = unasked(|production| {
        let wave = |name: &str| Portion::Wave(WaveName::new(name));
        production.rollout = vec![wave("eu-west"), wave("us-east")];
    });
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey();
    let hold = Verb::Hold { environment: Some(production()), service: None, lasts: None, reason: None };
    stage.obey();
    let run = run_snapshot(stage.next_id, RunStatus::Succeeded, "");
    stage.command("ada", hold);
    stage.play(Event::RunChanged { run });
    assert_eq!(dispatched(&stage), ["eu-west"]);
    insta::assert_snapshot!(stage.status(), @r"
    - `staging`: release 1 (`0000000`) is live
    - `production`: nothing is live yet
      - ⏸️ release 1 (`0000000`): step 1 of 2 (wave eu-west) is done; the next step waits. `production` is held: ada gave no reason. (by `ada` in #1, until that is merged or closed) `/plimsoll resume production` ends the hold.
    - ⏸️ `production` is held: ada gave no reason. (by `ada` in #1, until that is merged or closed)
    ");
    stage.resume("ada");
    assert_eq!(dispatched(&stage), ["eu-west", "us-east"]);
}

#[test]
fn a_step_goes_on_only_after_enough_good_answers_in_a_row() {
    let mut stage = unasked(|production| {
        production.rollout = vec![Portion::Percent(25), Portion::ALL];
        production.verify = vec![healthz()];
    });
    stage.readings = |_| answers(200);
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey();
    step(&mut stage);
    stage.wait(Span::seconds(20));
    assert_eq!(dispatched(&stage), ["25"], "one good answer is not two");
    stage.wait(Span::seconds(60));
    assert_eq!(dispatched(&stage), ["25", "100"]);
}

#[test]
fn a_verification_that_fails_at_25_percent_takes_everything_back() {
    let mut stage = unasked(|production| {
        production.rollout = vec![Portion::Percent(25), Portion::ALL];
        production.verify = vec![healthz()];
    });
    stage.readings = |_| answers(200);
    stage.merge(6, "ada").run(RunStatus::Succeeded).obey();
    step(&mut stage);
    stage.wait(Span::minutes(2));
    step(&mut stage);
    stage.wait(Span::minutes(2));
    assert_eq!(stage.live("production"), Some(1));
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey();
    stage.readings = |_| answers(503);
    step(&mut stage);
    stage.wait(Span::minutes(2));
    insta::assert_snapshot!(stage.status(), @r"
    - `staging`: release 2 (`0000000`) is live
    - `production`: release 1 (`0000000`) is live
      - 🔵 release 3 (`0000000`): is running
    - ⏸️ `production` is held: release 2 failed: verification healthz failed: answered 503, not 200. (by Plimsoll)
    ");
    stage.readings = |_| answers(200);
    stage.obey();
    step(&mut stage);
    stage.wait(Span::minutes(2));
    insta::assert_snapshot!(stage.status(), @r"
    - `staging`: release 2 (`0000000`) is live
    - `production`: release 1 (`0000000`) is live
    - ⏸️ `production` is held: release 2 failed: verification healthz failed: answered 503, not 200. (by Plimsoll)
    ");
}

#[test]
fn nobody_knowing_stops_the_rollout_until_a_person_says() {
    let mut stage = unasked(|production| {
        production.rollout = vec![Portion::Percent(25), Portion::ALL];
        production.verify = vec![healthz()];
    });
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey();
    step(&mut stage);
    stage.wait(Span::hours(5));
    assert_eq!(dispatched(&stage), ["25"]);
    insta::assert_snapshot!(stage.status(), @r"
    - `staging`: release 1 (`0000000`) is live
    - `production`: nothing is live yet
      - 🟠 release 1 (`0000000`): step 1 of 2 (25 %) is undecided, and somebody must say: healthz: nobody was asked. `/plimsoll resume production` takes it as good, `/plimsoll rollback production` goes back.
    ");
    insta::assert_snapshot!(stage.resume("ada"), @"▶️ Release 1 goes on in `production`: ada takes the step as good.");
    assert_eq!(dispatched(&stage), ["25", "100"]);
}

#[test]
fn a_dry_run_is_asked_and_decides_nothing() {
    let mut stage = unasked(|production| production.verify = vec![Verification { dry_run: true, ..healthz() }]);
    stage.readings = |_| answers(500);
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey();
    step(&mut stage);
    assert_eq!(stage.live("production"), None, "there is no bake, and nobody was asked yet");
    stage.wait(Span::seconds(5));
    assert_eq!(stage.live("production"), Some(1));
    insta::assert_snapshot!(dry_runs(&stage), @"- 🕓 `healthz` would be undecided: answered 500, not 200");
}

#[test]
fn what_a_dry_run_would_have_said_stands_on_the_card() {
    let errors = Verification { name: "errors".into(), dry_run: true, failures_allowed: 0, ..healthz() };
    let mut stage = unasked(|production| {
        production.rollout = vec![Portion::Percent(25), Portion::ALL];
        production.bake = Span::minutes(5);
        production.verify = vec![Verification { dry_run: true, ..healthz() }, errors];
    });
    stage.readings = |_| answers(500);
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey();
    step(&mut stage);
    stage.wait(Span::seconds(5));
    insta::assert_snapshot!(dry_runs(&stage), @r"
    - 🕓 `healthz` would be undecided at 25 %: answered 500, not 200
    - ❌ `errors` would have failed at 25 %: answered 500, not 200
    ");
    stage.wait(Span::minutes(10));
    insta::assert_snapshot!(dry_runs(&stage), @r"
    - ❌ `healthz` would have failed at 25 %: answered 500, not 200
    - ❌ `errors` would have failed at 25 %: answered 500, not 200
    ");
    stage.readings = |_| answers(200);
    step(&mut stage);
    stage.wait(Span::minutes(10));
    assert_eq!(stage.live("production"), Some(1));
    insta::assert_snapshot!(dry_runs(&stage), @r"
    - ❌ `healthz` would have failed at 25 %: answered 500, not 200
    - ❌ `errors` would have failed at 25 %: answered 500, not 200
    ");
    let told: Vec<&String> = stage.said.notes.iter().filter(|note| note.contains("dry run")).collect();
    insta::assert_snapshot!(format!("{told:#?}"), @r#"
    [
        "release 1 in production, dry run of errors: would have failed, answered 500, not 200",
        "release 1 in production, dry run of healthz: would have failed, answered 500, not 200",
    ]
    "#);
}

#[test]
fn a_dry_run_that_has_failed_wakes_nobody_any_more() {
    let smoke = Probe::Workflow { workflow: WorkflowFile::new("smoke.yml") };
    let smoke = Verification { probe: smoke, failures_allowed: 0, dry_run: true, ..healthz() };
    let mut stage = unasked(|production| {
        production.bake = Span::hours(1);
        production.verify = vec![smoke, Verification { failures_allowed: 0, dry_run: true, ..healthz() }];
    });
    stage.readings = |_| answers(500);
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey();
    step(&mut stage);
    stage.wait(Span::seconds(5)).obey().end(RunStatus::Failed).wait(Span::seconds(5));
    let next = super::advance::wake_at(&stage.state, stage.now).expect("the end of the bake");
    assert!(next.since(stage.now) > Span::minutes(50), "it bakes in peace, not until {next:?}");
    stage.wait(Span::hours(1));
    assert_eq!(stage.live("production"), Some(1));
}

#[test]
fn what_was_due_when_the_bake_ended_is_asked_however_late_and_whatever_calls() {
    let mut stage = unasked(|production| {
        production.bake = Span::minutes(30);
        production.verify = vec![Verification { successes: 1, failures_allowed: 0, ..healthz() }];
    });
    stage.readings = |_| answers(200);
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey();
    step(&mut stage);
    stage.wait(Span::seconds(5));
    // Nobody looked for an hour, and the service broke.
    stage.readings = |_| answers(500);
    stage.now = stage.now.plus(Span::hours(1));
    stage.play(Event::RunChanged { run: run_snapshot(1, RunStatus::Succeeded, "of somebody else") });
    assert_eq!((stage.live("production"), rolling(&stage)), (None, Some(1)), "{}", stage.status());
    stage.wait(Span::seconds(2));
    assert_eq!((stage.live("production"), rolling(&stage)), (None, None), "{}", stage.status());
}

#[test]
fn while_a_step_waits_for_a_dry_run_nothing_else_is_asked() {
    let smoke = Probe::Workflow { workflow: WorkflowFile::new("smoke.yml") };
    let mut stage = unasked(|production| {
        let smoke = Verification { name: "smoke".into(), probe: smoke, dry_run: true, ..healthz() };
        production.verify = vec![healthz(), smoke];
    });
    stage.readings = |_| answers(200);
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey();
    step(&mut stage);
    stage.wait(Span::minutes(2));
    stage.readings = |_| answers(500);
    let next = super::advance::wake_at(&stage.state, stage.now).expect("the end of its patience");
    assert!(next.since(stage.now) > Span::minutes(20), "nothing is asked, so nobody wakes before {next:?}");
    stage.wait(Span::minutes(10));
    assert_eq!((stage.live("production"), rolling(&stage)), (None, Some(1)), "{}", stage.status());
    stage.obey();
    assert_eq!(stage.live("production"), Some(1));
}

#[test]
fn a_dry_run_that_nobody_can_ask_holds_nothing_up_for_good() {
    let smoke = Probe::Workflow { workflow: WorkflowFile::new("smoke.yml") };
    let mut stage =
        unasked(|production| production.verify = vec![Verification { probe: smoke, dry_run: true, ..healthz() }]);
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey();
    step(&mut stage);
    // GitHub never says what became of the dispatch.
    stage.wait(Span::minutes(29));
    assert_eq!(stage.live("production"), None);
    stage.wait(Span::minutes(2));
    assert_eq!(stage.live("production"), Some(1));
}

fn rolling(stage: &Stage1) -> Option<u64> {
    stage.state.rolling(&production()).map(|(release, _)| release.number.0)
}

/// That part of the card.
fn dry_runs(stage: &Stage1) -> String {
    let card = check(stage, "plimsoll/release (api)");
    let part = card.split_once("### Dry runs, which decide nothing\n").map_or("", |(_, after)| after);
    part.split("###").next().unwrap_or_default().trim().to_owned()
}

#[test]
fn a_workflow_verifies_as_a_run_of_its_own() {
    let smoke = Probe::Workflow { workflow: WorkflowFile::new("smoke.yml") };
    let mut stage =
        unasked(|production| production.verify = vec![Verification { probe: smoke, successes: 1, ..healthz() }]);
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey();
    step(&mut stage);
    stage.wait(Span::seconds(5));
    let (key, _) = stage.said.acts.last().expect("a dispatch");
    assert_eq!(key.as_str(), "acme/shop/api/release-1/production/step-1/attempt-1/verify-1/attempt-1");
    assert_eq!(stage.live("production"), None);
    step(&mut stage);
    assert_eq!(stage.live("production"), Some(1));
}

#[test]
fn worse_than_before_counts_only_beyond_part_and_minimum() {
    let demand = Demand::NotWorse { worse: Worse::Higher, by: 0.1, at_least: 0.5 };
    let probe = Probe::Prometheus { server: None, query: "errors".into(), over: None, demand };
    let samples = |value: f64| Reading::Samples(vec![Series { labels: "{}".into(), samples: vec![value] }]);
    let says = |now: f64, before: f64| {
        let heard = verify::judged(&probe, &sha(7), &[&samples(now), &samples(before)]);
        format!("{:?}: {}", heard.outcome, heard.says)
    };
    insta::assert_snapshot!(says(1.2, 1.0), @"Success: 1.2 now, 1 before the release");
    insta::assert_snapshot!(says(10.4, 10.0), @"Success: 10.4 now, 10 before the release");
    insta::assert_snapshot!(says(12.0, 10.0), @"Failure: 12 now, 10 before the release: worse by more than 10 % and 0.5");
}

#[test]
fn a_rollback_is_not_made_by_itself_where_it_would_do_harm() {
    let mut stage = unasked(|_| {});
    stage.merge(6, "ada").run(RunStatus::Succeeded).run(RunStatus::Succeeded);
    let migrates = Change { irreversible: vec!["migrations/7.sql".into()], ..change(7, "ada") };
    stage.merge_as(migrates).run(RunStatus::Succeeded).run(RunStatus::Failed);
    assert!(stage.state.releases.values().all(|release| !release.is_rollback()));
    insta::assert_snapshot!(stage.status(), @r"
    - `staging`: release 2 (`0000000`) is live
    - `production`: release 1 (`0000000`) is live
    - ⏸️ `production` is held: release 2 failed: the workflow run failed. It is not rolled back by itself: Pull request 7 changes migrations/7.sql: an earlier commit does not take that back. (by Plimsoll)
    ");
    insta::assert_snapshot!(stage.rollback("ada"), @"⏪ Release 3 takes `production` back to `0000000` (release 1). It starts now; `production` is held until `/plimsoll resume production`. ⚠️ This does not take everything back: #7 changed `migrations/7.sql`.");
}

#[test]
fn what_no_pull_request_told_of_keeps_a_rollback_from_being_made_by_itself_too() {
    use crate::domain::facts::{ChangedFile, ChangedFiles, Comparison, FileStatus, Standing};
    let fails = |paths: &[&str], cut: bool| {
        let mut stage = unasked(|_| {});
        stage.plan.pipeline.irreversible = vec!["**/migrations/*".into(), "migrations/".into()];
        stage.plan.paths = vec!["src/".into(), "migrations/".into()];
        stage.merge(6, "ada").run(RunStatus::Succeeded).run(RunStatus::Succeeded);
        let file = |path: &&str| ChangedFile {
            path: path.to_string(),
            previous_path: None,
            status: FileStatus::Added,
            additions: 1,
            deletions: 0,
        };
        let files = ChangedFiles { files: paths.iter().map(file).collect(), cut };
        let between = Comparison { standing: Standing::Ahead, commits: Vec::new(), total_commits: 2, files };
        let need = Need::Comparison { base: sha(6).to_string(), head: sha(7).to_string() };
        stage.facts.insert(need, Fact::Comparison(between));
        stage.merge(7, "ada").run(RunStatus::Succeeded).obey();
        stage.wait(Span::seconds(5)).obey().end(RunStatus::Failed);
        stage
    };
    let stage = fails(&["src/a.rs", "migrations/6.sql"], false);
    assert!(stage.state.releases.values().all(|release| !release.is_rollback()));
    insta::assert_snapshot!(stage.status(), @r"
    - `staging`: release 2 (`0000000`) is live
    - `production`: release 1 (`0000000`) is live
    - ⏸️ `production` is held: release 2 failed: the workflow run failed. It is not rolled back by itself: What it brings changes migrations/6.sql: an earlier commit does not take that back. (by Plimsoll)
    ");
    for (paths, cut, goes_back) in [
        (&["src/a.rs"][..], false, true),
        (&["src/a.rs"], true, true),
        (&["migrations/6.sql"], true, false),
        (&["other/migrations/6.sql"], false, true),
    ] {
        let stage = fails(paths, cut);
        assert_eq!(stage.state.releases.values().any(Release::is_rollback), goes_back, "{paths:?}, {cut}");
    }
}

#[test]
fn a_rollback_needs_the_artifact_of_its_target() {
    let mut stage = unasked(|_| {});
    stage.plan.pipeline.rollback.artifact = Some("build-{sha}".into());
    stage.merge(6, "ada").run(RunStatus::Succeeded).run(RunStatus::Succeeded);
    stage.artifacts = false;
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey();
    stage.wait(Span::seconds(5));
    stage.obey();
    stage.end(RunStatus::Failed);
    insta::assert_snapshot!(stage.status(), @r"
    - `staging`: release 2 (`0000000`) is live
    - `production`: release 1 (`0000000`) is live
    - ⏸️ `production` is held: release 2 failed: the workflow run failed. It is not rolled back by itself: The artifact build-0000000000000000000000000000000000000006 of release 1 is gone. (by Plimsoll)
    ");
}

#[test]
fn a_newer_release_takes_the_place_of_one_mid_rollout_only_where_the_policy_says_abort() {
    for (supersede, live) in [(Supersede::Wait, 1), (Supersede::Abort, 2)] {
        let mut stage = unasked(|production| production.supersede = supersede);
        stage.merge(7, "ada").run(RunStatus::Succeeded).obey().obey();
        let first = stage.next_id;
        stage.merge(8, "ada").run(RunStatus::Succeeded);
        assert_eq!(stage.state.rolling(&production()).map(|(release, _)| release.number.0), Some(live));
        let cancelled = stage.said.acts.iter().any(|(_, act)| matches!(act, Act::CancelRun { run } if run.0 == first));
        assert_eq!(cancelled, supersede == Supersede::Abort);
    }
}

#[test]
fn a_cancelled_rollout_leaves_a_hold_and_a_retry_ends_it() {
    let mut stage = unasked(|production| production.on_failure = OnFailure::Hold);
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey().obey();
    let cancel = Verb::Cancel { environment: None, service: None };
    insta::assert_snapshot!(stage.command("ada", cancel.clone()), @"⏹️ Release 1 is stopped in `production`. `production` is held, since something of it may run: `/plimsoll rollback production` brings back what was good, `/plimsoll retry production` tries again.");
    insta::assert_snapshot!(stage.command("ada", cancel), @"⛔ Nothing waits and nothing is being rolled out in any environment of `api`. Nothing was changed.");
    let retry = Verb::Retry { environment: None, service: None };
    insta::assert_snapshot!(stage.command("ada", retry), @"🔁 Release 2 tries `0000000` (release 1) in `production` once more. It starts now.");
    stage.run(RunStatus::Succeeded);
    assert_eq!(stage.live("production"), Some(2));
}

#[test]
fn a_promotion_takes_what_is_live_in_the_environment_before() {
    let mut stage = Stage1::new();
    let promote = Verb::Promote { environment: production(), service: None, reason: None };
    insta::assert_snapshot!(stage.command("ada", promote.clone()), @"⛔ Nothing is live in `staging` yet. Nothing was changed.");
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    insta::assert_snapshot!(stage.command("ada", promote), @"🚢 Release 2 (`0000000`) to `production`. Waits for approval of `0000000` by members of `acme/release-managers` (0 of 1 given): `/plimsoll approve production`.");
}

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
        description: Some("smoke tests".into()),
        at: stage.now,
    }
}

/// Plays a report of a run that GitHub shows as being in progress.
fn tell(stage: &mut Stage1, report: Report) {
    let shown = run_snapshot(report.run.0, RunStatus::InProgress, report.key.as_str());
    stage.facts.insert(Need::Run { run: report.run }, Fact::Run(shown));
    stage.play(Event::Reported { report: Box::new(report) });
}

#[test]
fn a_report_counts_only_when_run_environment_and_commit_match() {
    let mut stage = unasked(|_| {});
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey().obey();
    let good = report(&stage, ReportState::Success);
    for forged in [
        Report { run: RunId(1), ..good.clone() },
        Report { environment: Some(EnvironmentName::new("staging")), ..good.clone() },
        Report { environment: None, ..good.clone() },
        Report { sha: sha(8), ..good.clone() },
        Report { key: EffectKey::new("acme/shop/api/release-2/production/step-1/attempt-1"), ..good.clone() },
    ] {
        tell(&mut stage, forged.clone());
        assert_eq!(stage.live("production"), None, "{forged:?}");
    }
    tell(&mut stage, good);
    stage.wait(Span::seconds(1));
    assert_eq!(stage.live("production"), Some(1));
}

#[test]
fn a_reported_failure_is_a_failure_at_once() {
    let mut stage = unasked(|_| {});
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey().obey();
    let bad = report(&stage, ReportState::Failure);
    tell(&mut stage, bad);
    insta::assert_snapshot!(stage.status(), @r"
    - `staging`: release 1 (`0000000`) is live
    - `production`: nothing is live yet
    - ⏸️ `production` is held: release 1 failed: the workflow run reported a failure: smoke tests. (by Plimsoll)
    ");
}

/// Two releases through production, the second of which is live.
fn shipped(stage: &mut Stage1) {
    stage.merge(5, "ada").run(RunStatus::Succeeded).run(RunStatus::Succeeded);
    stage.merge(6, "ada").run(RunStatus::Succeeded).run(RunStatus::Succeeded);
}

#[test]
fn a_rollback_goes_to_what_is_live_while_a_release_older_than_the_last_rollback_rolls() {
    let mut stage = unasked(|_| {});
    shipped(&mut stage);
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey().obey();
    let failing = run_snapshot(stage.next_id, RunStatus::Failed, "");
    stage.merge(8, "ada").run(RunStatus::Succeeded);
    stage.play(Event::RunChanged { run: failing }).run(RunStatus::Succeeded);
    assert_eq!(stage.live("production"), Some(2), "release 5 brought release 2 back");
    stage.resume("ada");
    assert_eq!(stage.state.rolling(&production()).map(|(release, _)| release.number.0), Some(4));
    let answer = stage.rollback("ada");
    assert!(answer.contains("(release 2)"), "{answer}");
}

#[test]
fn after_a_rollback_that_failed_the_next_one_goes_where_it_was_to_go() {
    let mut stage = unasked(|_| {});
    shipped(&mut stage);
    assert!(stage.rollback("ada").contains("(release 1)"));
    stage.run(RunStatus::Failed);
    let answer = stage.rollback("ada");
    assert!(answer.contains("(release 1)"), "{answer}");
}

#[test]
fn what_somebody_stopped_is_not_rolled_back_by_itself_on_top() {
    let mut stage = unasked(|production| production.rollout = vec![Portion::Percent(25), Portion::ALL]);
    stage.merge(5, "ada").run(RunStatus::Succeeded).obey();
    step(&mut stage);
    step(&mut stage);
    stage.merge(6, "ada").run(RunStatus::Succeeded).obey();
    step(&mut stage);
    let (key, _) = stage.said.acts.last().cloned().expect("the second step's dispatch");
    stage.rollback("ada");
    let refused = crate::domain::effect::Ending::Refused { message: "no such workflow".into() };
    stage.play(Event::EffectEnded { key, ending: refused });
    let backs = stage.state.releases.values().filter(|release| release.is_rollback()).count();
    assert_eq!(backs, 1);
}

#[test]
fn a_command_of_somebody_who_could_not_know_is_refused() {
    let mut stage = unasked(|_| {});
    shipped(&mut stage);
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    let written = stage.now;
    stage.run(RunStatus::Succeeded);
    let later = stage.now.plus(Span::minutes(1));
    stage.now = written;
    insta::assert_snapshot!(stage.rollback("ada"), @"⛔ `production` changed after this was written. Look at it and say it again. Nothing was changed.");
    stage.now = later;
    assert!(stage.rollback("ada").starts_with("⏪"));
}

#[test]
fn an_undecided_rollback_that_somebody_takes_as_good_keeps_its_hold() {
    let mut stage = unasked(|_| {});
    shipped(&mut stage);
    stage.plan.pipeline.environments[1].verify = vec![healthz()];
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey().obey();
    stage.end(RunStatus::Failed).obey();
    step(&mut stage);
    stage.wait(Span::hours(1));
    assert!(stage.status().contains("is undecided"), "{}", stage.status());
    stage.resume("ada");
    assert_eq!(stage.live("production"), Some(2));
    assert!(stage.status().contains("is held"), "{}", stage.status());
    stage.resume("ada");
    assert!(!stage.status().contains("is held"));
}

#[test]
fn a_revert_takes_the_place_of_what_it_reverts_even_between_two_steps() {
    let mut stage = unasked(|production| production.rollout = vec![Portion::Percent(25), Portion::ALL]);
    stage.merge(7, "ada").run(RunStatus::Succeeded).obey().obey();
    let run = run_snapshot(stage.next_id, RunStatus::Succeeded, "");
    let revert = Change { reverts: vec![crate::domain::event::Reverted::Pull(PullNumber(7))], ..change(8, "ada") };
    stage.merge_as(revert).run(RunStatus::Succeeded);
    stage.play(Event::RunChanged { run });
    assert_eq!(stage.state.rolling(&production()).map(|(release, _)| release.number.0), Some(2));
    assert_eq!(dispatched(&stage), ["25"]);
}

#[test]
fn what_somebody_asks_for_goes_first_and_deliveries_follow() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    let deploy = Verb::Deploy { what: sha(6).to_string(), environment: production(), service: None, reason: None };
    let answer = stage.command("linus", deploy);
    assert!(answer.contains("Release 2"), "{answer}");
    assert!(stage.approve("grace").contains("release 2"));
    stage.run(RunStatus::Succeeded);
    assert_eq!(stage.live("production"), Some(2));
    assert!(stage.approve("grace").contains("release 1"), "{}", stage.status());
}

#[test]
fn a_delivery_whose_commit_somebody_brought_there_is_through_and_goes_on() {
    let mut stage = unasked(|_| {});
    stage.plan.pipeline.environments[0].approval = Some(managers());
    stage.merge(7, "ada");
    let staging = EnvironmentName::new("staging");
    let deploy = Verb::Deploy { what: sha(7).to_string(), environment: staging.clone(), service: None, reason: None };
    stage.command("linus", deploy);
    let approve = Verb::Approve { environment: staging, sha: None, service: None };
    assert!(stage.command("grace", approve).contains("release 2"));
    stage.run(RunStatus::Succeeded).run(RunStatus::Succeeded);
    assert_eq!((stage.live("staging"), stage.live("production")), (Some(2), Some(1)), "{}", stage.status());
}

#[test]
fn a_delivery_whose_commit_somebody_brought_to_the_next_environment_is_not_deployed_there_again() {
    let mut stage = unasked(|_| {});
    stage.plan.pipeline.environments[0].approval = Some(managers());
    stage.merge(7, "ada");
    let deploy = Verb::Deploy { what: sha(7).to_string(), environment: production(), service: None, reason: None };
    stage.command("linus", deploy);
    stage.run(RunStatus::Succeeded);
    assert_eq!((stage.live("staging"), stage.live("production")), (None, Some(2)), "{}", stage.status());
    let approve = Verb::Approve { environment: EnvironmentName::new("staging"), sha: None, service: None };
    assert!(stage.command("grace", approve).contains("release 1"));
    stage.run(RunStatus::Succeeded);
    assert_eq!((stage.live("staging"), stage.live("production")), (Some(1), Some(2)), "{}", stage.status());
    let again = stage.said.acts.iter().find(|(key, _)| key.as_str().contains("release-1/production"));
    assert_eq!(again, None);
    assert!(stage.said.notes.contains(&"release 1 is in production already, by release 2".to_owned()));
}
