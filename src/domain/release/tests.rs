//! The pipeline as sentences: a small stage on which events are played and decisions read.

use super::advance::wake_at;
use super::gate::{conditions, is_open};
use super::turn::{apply, needs};
use super::*;
use crate::domain::chatops::Verb;
use crate::domain::effect::{Act, Ending};
use crate::domain::event::{Event, PipelineCommand, Signal};
use crate::domain::facts::*;
use crate::domain::policy::{OnFailure, Pipeline, Portion, Requirement};
use crate::domain::reading::{Question, Reading};
use crate::domain::view;

/// A pipeline with what GitHub would say about it.
pub(super) struct Stage1 {
    pub(super) state: PipelineState,
    pub(super) facts: Facts,
    pub(super) plan: Plan,
    pub(super) now: Timestamp,
    pub(super) said: Said,
    pub(super) next_id: u64,
    /// What artifacts and readings say.
    pub(super) artifacts: bool,
    pub(super) readings: fn(&Question) -> Reading,
}

pub(super) fn sha(n: u64) -> Sha {
    Sha::parse(&format!("{n:040x}")).expect("forty digits make a hash")
}

pub(super) fn environment(name: &str, approval: Option<Requirement>) -> EnvironmentPolicy {
    EnvironmentPolicy {
        name: EnvironmentName::new(name),
        approval,
        rollout: vec![Portion::Percent(100)],
        bake: Span(0),
        on_failure: OnFailure::Rollback,
        timeout: Span::minutes(30),
        ..EnvironmentPolicy::new(EnvironmentName::new(""))
    }
}

pub(super) fn managers() -> Requirement {
    Requirement { count: 1, teams: vec![TeamSlug::new("acme/release-managers")], users: Vec::new() }
}

impl Stage1 {
    pub(super) fn new() -> Self {
        let repo = RepoName::parse("acme/shop").expect("a plain name");
        let environments = vec![environment("staging", None), environment("production", Some(managers()))];
        let pipeline = Pipeline::new(WorkflowFile::new("deploy.yml"), environments);
        let mut stage = Self {
            state: PipelineState::new(repo, ServiceName::new("api")),
            facts: Facts::default(),
            plan: Plan {
                pipeline,
                risk: Default::default(),
                policy: None,
                default_branch: RefName::new("main"),
                paths: Vec::new(),
            },
            now: Timestamp(1_700_000_000_000),
            said: Said::default(),
            next_id: 100,
            artifacts: true,
            readings: |_| Reading::Unasked { because: "nobody was asked".into() },
        };
        stage.facts.insert(Need::RecentPulls { since: Timestamp(0) }, Fact::RecentPulls(Vec::new()));
        for (login, member) in [("grace", true), ("ada", true), ("linus", true), ("mallory", false)] {
            let need = Need::TeamMember { team: TeamSlug::new("acme/release-managers"), login: Login::new(login) };
            stage.facts.insert(need, Fact::TeamMember(member));
        }
        stage
    }

    /// Hands over an event with every fact it wants, made up where the story did not say.
    pub(super) fn play(&mut self, event: Event) -> &mut Self {
        for _ in 0..5 {
            for need in needs(&self.state, &event, &self.facts, self.now) {
                if self.facts.has(&need) {
                    continue;
                }
                let fact = match &need {
                    Need::Comparison { base, head } => comparison(base, head),
                    Need::Commit { name } => Sha::parse(name)
                        .map_or(Fact::Absent(Absence::NotFound), |sha| Fact::Commit(commit(&sha, "ada"))),
                    Need::RecentPulls { .. } => Fact::RecentPulls(Vec::new()),
                    Need::Run { run } => Fact::Run(run_snapshot(run.0, RunStatus::InProgress, "")),
                    Need::RunByKey { .. } => Fact::RunByKey(None),
                    Need::Checks { .. } => Fact::Checks(Vec::new()),
                    Need::Artifact { .. } => Fact::Artifact(self.artifacts),
                    Need::Permission { login } => Fact::Permission(permission(login.as_str())),
                    Need::Reading { question } => Fact::Reading((self.readings)(question)),
                    other => panic!("the pipeline asked for {other:?}"),
                };
                self.facts.insert(need, fact);
            }
        }
        apply(&mut self.state, &event, &self.facts, self.now, &mut self.said);
        // What moves is asked afresh by the next event.
        self.facts = std::mem::take(&mut self.facts)
            .iter()
            .filter(|(need, _)| !matches!(need, Need::Reading { .. } | Need::Checks { .. } | Need::Run { .. }))
            .map(|(need, fact)| (need.clone(), fact.clone()))
            .collect();
        self.now = self.now.plus(Span::seconds(10));
        self
    }

    /// Lets time pass; the clock calls whenever the pipeline asked for it.
    pub(super) fn wait(&mut self, span: Span) -> &mut Self {
        let end = self.now.plus(span);
        while let Some(at) = wake_at(&self.state, self.now).filter(|at| *at <= end) {
            self.now = at;
            self.play(Event::Look { because: "the clock called".into() });
        }
        self.now = self.now.max(end);
        self
    }

    pub(super) fn merge(&mut self, pull: u64, author: &str) -> &mut Self {
        self.merge_as(change(pull, author))
    }

    pub(super) fn merge_as(&mut self, change: Change) -> &mut Self {
        let (sha, plan) = (change.sha.clone(), Box::new(self.plan.clone()));
        self.play(Event::Signal(Signal::ReleaseWanted { sha, change: Box::new(change), plan }))
    }

    /// Ends the newest act as GitHub would.
    pub(super) fn obey(&mut self) -> &mut Self {
        let (key, act) = self.said.acts.last().cloned().expect("an act was decided");
        self.next_id += 1;
        let id = match act {
            Act::CreateDeployment { .. }
            | Act::DispatchWorkflow { .. }
            | Act::OpenIssue { .. }
            | Act::RevertPull { .. } => Some(self.next_id),
            Act::React { .. } | Act::CancelRun { .. } | Act::AnswerProtection { .. } => None,
        };
        let ending = Ending::Done { id, url: None };
        self.play(Event::EffectEnded { key, ending })
    }

    /// Makes the deployment, dispatches, and lets the run end.
    pub(super) fn run(&mut self, status: RunStatus) -> &mut Self {
        self.obey().obey();
        self.end(status)
    }

    /// Ends the newest run.
    pub(super) fn end(&mut self, status: RunStatus) -> &mut Self {
        let run = run_snapshot(self.next_id, status, "");
        self.play(Event::RunChanged { run })
    }

    pub(super) fn command(&mut self, by: &str, verb: Verb) -> String {
        self.next_id += 1;
        let command = PipelineCommand {
            origin: Origin::Comment { pull: PullNumber(1), comment: CommentId(self.next_id), index: 0 },
            speculative: false,
            pull_open: true,
            by: Login::new(by),
            permission: permission(by),
            at: self.now,
            verb,
        };
        let plan = Box::new(self.plan.clone());
        self.said.answers.clear();
        self.play(Event::Signal(Signal::Commanded { command: Box::new(command), plan }));
        match self.said.answers.first() {
            Some((_, Answer::ForNow(text) | Answer::Final(text))) => text.clone(),
            Some((_, Answer::Status)) => self.status(),
            Some((_, Answer::Why { environment, sha })) => {
                view::why::text(&self.state, environment, sha.as_deref(), self.now)
            }
            None => String::new(),
        }
    }

    pub(super) fn approve(&mut self, by: &str) -> String {
        self.command(by, Verb::Approve { environment: EnvironmentName::new("production"), sha: None, service: None })
    }

    pub(super) fn rollback(&mut self, by: &str) -> String {
        let environment = EnvironmentName::new("production");
        self.command(by, Verb::Rollback { environment, to: None, service: None, reason: None })
    }

    pub(super) fn resume(&mut self, by: &str) -> String {
        self.command(by, Verb::Resume { environment: Some(EnvironmentName::new("production")), service: None })
    }

    pub(super) fn live(&self, name: &str) -> Option<u64> {
        self.state.live(&EnvironmentName::new(name)).map(|live| live.release.0)
    }

    pub(super) fn status(&self) -> String {
        view::status::pipeline(&self.state)
    }

    /// A release through both environments.
    pub(super) fn ship(&mut self, pull: u64) -> &mut Self {
        self.merge(pull, "ada").run(RunStatus::Succeeded);
        self.approve("grace");
        self.run(RunStatus::Succeeded)
    }
}

pub(super) fn change(pull: u64, author: &str) -> Change {
    Change {
        pull: PullNumber(pull),
        title: format!("Change {pull}"),
        author: Login::new(author),
        merged_by: Some(Login::new("linus")),
        people: Vec::new(),
        risk: None,
        sha: sha(pull),
        drivers: Vec::new(),
        issues: Vec::new(),
        irreversible: Vec::new(),
        files: 0,
        reverts: Vec::new(),
    }
}

fn permission(login: &str) -> Permission {
    match login {
        "mallory" => Permission::Read,
        "marge" => Permission::Maintain,
        _ => Permission::Write,
    }
}

fn commit(sha: &Sha, author: &str) -> CommitSnapshot {
    let person = Person { login: Some(Login::new(author)), name: author.into(), email: String::new() };
    let (author, committer) = (person.clone(), person);
    CommitSnapshot {
        sha: sha.clone(),
        message: "Change".into(),
        parents: 1,
        first_parent: None,
        author,
        committer,
        committed_at: None,
    }
}

pub(super) fn production() -> EnvironmentName {
    EnvironmentName::new("production")
}

/// A stage whose production asks nobody.
pub(super) fn unasked(change: impl FnOnce(&mut EnvironmentPolicy)) -> Stage1 {
    let mut stage = Stage1::new();
    stage.plan.pipeline.environments[1].approval = None;
    change(&mut stage.plan.pipeline.environments[1]);
    stage
}

/// A release through both environments that nobody has to approve.
pub(super) fn through(stage: &mut Stage1, pull: u64) {
    stage.merge(pull, "ada").run(RunStatus::Succeeded).run(RunStatus::Succeeded);
}

/// Commits are numbered; a higher number is later on the one branch.
fn comparison(base: &str, head: &str) -> Fact {
    let standing = if head == "main" || head > base {
        Standing::Ahead
    } else if head == base {
        Standing::Identical
    } else {
        Standing::Behind
    };
    let commits = Sha::parse(head).filter(|_| standing == Standing::Ahead).map(|sha| commit(&sha, "ada"));
    let commits: Vec<CommitSnapshot> = commits.into_iter().collect();
    Fact::Comparison(Comparison {
        standing,
        total_commits: commits.len() as u64,
        commits,
        files: ChangedFiles::default(),
    })
}

pub(super) fn run_snapshot(id: u64, status: RunStatus, title: &str) -> RunSnapshot {
    RunSnapshot {
        id: RunId(id),
        attempt: 1,
        event: "workflow_dispatch".into(),
        display_title: title.into(),
        status,
        head_sha: None,
        url: format!("https://github.com/acme/shop/actions/runs/{id}"),
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    }
}

#[test]
fn a_merge_goes_to_staging_at_once_and_waits_for_approval_before_production() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    assert_eq!((stage.live("staging"), stage.live("production")), (Some(1), None));
    insta::assert_snapshot!(stage.status(), @r"
    - `staging`: release 1 (`0000000`) is live
    - `production`: nothing is live yet
      - 🟡 release 1 (`0000000`): Waits for approval of `0000000` by members of `acme/release-managers` (0 of 1 given): `/plimsoll approve production`.
    ");
}

#[test]
fn an_approval_starts_production_and_says_so() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    insta::assert_snapshot!(stage.approve("grace"), @"✅ grace approved release 1 (`0000000`) for `production`, 1 of 1. It starts now.");
    stage.run(RunStatus::Succeeded);
    assert_eq!(stage.live("production"), Some(1));
}

#[test]
fn authors_mergers_and_strangers_cannot_approve() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    insta::assert_snapshot!(stage.approve("ada"), @"⛔ @ada is the author of #7; `production` needs somebody with no hand in the release. Nothing was changed.");
    insta::assert_snapshot!(stage.approve("linus"), @"⛔ @linus merged #7; `production` needs somebody with no hand in the release. Nothing was changed.");
    insta::assert_snapshot!(stage.approve("mallory"), @"⛔ @mallory, only members of `acme/release-managers` may approve `production`. Nothing was changed.");
    assert!(stage.state.rolling(&EnvironmentName::new("production")).is_none());
}

#[test]
fn an_approval_written_before_the_candidate_changed_is_refused() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    let written = stage.now;
    stage.merge(8, "ada").run(RunStatus::Succeeded);
    let later = stage.now;
    stage.now = written;
    insta::assert_snapshot!(stage.approve("grace"), @"⛔ The candidate for `production` changed after this was written: it is now release 2 (`0000000`). Look at it and approve again. Nothing was changed.");
    stage.now = later;
    assert!(stage.approve("grace").contains("It starts now"));
}

#[test]
fn a_newer_release_supersedes_a_waiting_one_and_takes_its_changes_along() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    stage.merge(8, "ada").run(RunStatus::Succeeded);
    let first = &stage.state.releases[&ReleaseNumber(1)];
    assert!(matches!(first.stages[1].phase, StagePhase::Superseded { by: ReleaseNumber(2) }));
    let pulls: Vec<u64> = stage.state.releases[&ReleaseNumber(2)].changes.iter().map(|c| c.pull.0).collect();
    assert_eq!(pulls, [7, 8]);
}

#[test]
fn a_failed_release_is_rolled_back_to_the_last_good_one_and_held() {
    let mut stage = Stage1::new();
    stage.ship(7);
    stage.merge(8, "ada").run(RunStatus::Succeeded);
    stage.approve("grace");
    stage.run(RunStatus::Failed);
    let back = stage.state.releases.values().next_back().expect("a rollback");
    assert!(back.is_rollback());
    assert_eq!(back.sha, sha(7));
    stage.run(RunStatus::Succeeded);
    insta::assert_snapshot!(stage.status(), @r"
    - `staging`: release 2 (`0000000`) is live
    - `production`: release 1 (`0000000`) is live
    - ⏸️ `production` is held: release 2 failed: the workflow run failed. (by Plimsoll)
    ");
}

#[test]
fn automation_waits_for_resume_after_a_rollback() {
    let mut stage = Stage1::new();
    stage.ship(7);
    stage.merge(8, "ada").run(RunStatus::Succeeded);
    stage.approve("grace");
    stage.run(RunStatus::Failed).run(RunStatus::Succeeded);
    stage.merge(9, "ada").run(RunStatus::Succeeded);
    assert!(stage.approve("grace").contains("ends the hold"));
    assert!(stage.state.rolling(&EnvironmentName::new("production")).is_none());
    insta::assert_snapshot!(stage.resume("grace"), @"▶️ The hold of `production` is ended. It was: release 2 failed: the workflow run failed. (by Plimsoll)");
    assert!(stage.state.rolling(&EnvironmentName::new("production")).is_some());
}

#[test]
fn a_rollback_by_command_goes_to_the_release_before_the_live_one() {
    let mut stage = Stage1::new();
    stage.ship(7);
    stage.ship(8);
    insta::assert_snapshot!(stage.rollback("ada"), @"⏪ Release 3 takes `production` back to `0000000` (release 1). It starts now; `production` is held until `/plimsoll resume production`.");
    stage.run(RunStatus::Succeeded);
    assert_eq!(stage.live("production"), Some(1));
    insta::assert_snapshot!(stage.rollback("mallory"), @"⛔ @mallory, only people with write permission may roll back. Nothing was changed.");
}

#[test]
fn a_command_is_obeyed_once() {
    let mut stage = Stage1::new();
    stage.ship(7);
    stage.ship(8);
    stage.rollback("ada");
    let releases = stage.state.releases.len();
    stage.next_id -= 1;
    assert_eq!(stage.rollback("ada"), "", "the same comment again");
    assert_eq!(stage.state.releases.len(), releases);
}

#[test]
fn a_merge_heard_of_late_joins_the_release_that_already_contains_it() {
    let mut stage = Stage1::new();
    stage.merge(9, "ada").merge(8, "ada");
    assert_eq!(stage.state.releases.len(), 1);
    assert_eq!(stage.state.releases[&ReleaseNumber(1)].changes.len(), 2);
}

#[test]
fn a_run_that_outlasts_its_timeout_is_cancelled_and_fails() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").obey().obey();
    assert!(wake_at(&stage.state, stage.now).is_some());
    stage.now = stage.now.plus(Span::hours(1));
    stage.play(Event::Look { because: "the clock called".into() });
    assert!(stage.said.acts.iter().any(|(_, act)| matches!(act, Act::CancelRun { .. })));
    let held = stage
        .state
        .environment(&EnvironmentName::new("staging"))
        .and_then(|e| super::block::of(&stage.state, &e.name).pop().cloned());
    assert_eq!(held.expect("a hold").reason, "release 1 failed: the workflow run did not end within 30 min.");
}

#[test]
fn a_run_that_github_did_not_name_is_found_by_its_key_among_our_own() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").obey();
    let (key, _) = stage.said.acts.last().cloned().expect("a dispatch");
    stage.play(Event::EffectEnded { key: key.clone(), ending: Ending::Done { id: None, url: None } });
    let titled = |run, title: String| run_snapshot(run, RunStatus::Succeeded, &title);
    stage.play(Event::RunChanged { run: titled(1, format!("Deploy ({key})")) });
    assert_eq!(stage.live("staging"), None, "anybody can start a run with this title");
    let search = rollout::needs(&stage.state, stage.now).pop().expect("a search");
    for (run, title, live) in [(2, format!("Deploy ({key}0)"), None), (3, format!("Deploy ({key})"), Some(1))] {
        stage.facts.insert(search.clone(), Fact::RunByKey(Some(titled(run, title))));
        stage.play(Event::Look { because: "the clock".into() });
        assert_eq!(stage.live("staging"), live);
    }
}

#[test]
fn a_run_that_is_never_found_fails_the_step_only_after_it_was_looked_for() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").obey();
    let (key, _) = stage.said.acts.last().cloned().expect("a dispatch");
    // The dispatch itself had to wait.
    stage.now = stage.now.plus(Span::hours(1));
    stage.play(Event::EffectEnded { key, ending: Ending::Done { id: None, url: None } });
    assert!(stage.state.rolling(&EnvironmentName::new("staging")).is_some(), "nobody has looked yet");
    stage.play(Event::Look { because: "the clock".into() });
    assert!(stage.state.rolling(&EnvironmentName::new("staging")).is_none());
}

#[test]
fn steps_and_bakes_follow_one_another() {
    let mut stage = Stage1::new();
    stage.plan.pipeline.environments[0].rollout = vec![Portion::Percent(25), Portion::Percent(100)];
    stage.plan.pipeline.environments[0].bake = Span::minutes(10);
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    assert!(stage.status().contains("step 1 of 2 (25 %) is baking for 10 min"));
    stage.now = stage.now.plus(Span::minutes(10));
    stage.play(Event::Look { because: "the clock called".into() });
    stage.obey().end(RunStatus::Succeeded);
    assert!(stage.status().contains("step 2 of 2 (100 %) is baking"));
    stage.now = stage.now.plus(Span::minutes(10));
    stage.play(Event::Look { because: "the clock called".into() });
    assert_eq!(stage.live("staging"), Some(1));
}

#[test]
fn a_dispatch_that_may_have_happened_is_never_repeated() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").obey();
    let (key, _) = stage.said.acts.last().cloned().expect("a dispatch");
    let acts = stage.said.acts.len();
    stage.play(Event::EffectEnded { key, ending: Ending::Unknown { message: "no answer".into() } });
    assert_eq!(stage.said.acts.len(), acts);
    assert!(stage.status().contains("it is not known whether the workflow was started"));
}

#[test]
fn an_approval_no_longer_counts_when_what_is_live_changed() {
    let mut stage = Stage1::new();
    stage.ship(7);
    stage.merge(8, "ada").run(RunStatus::Succeeded);
    let production = EnvironmentName::new("production");
    let (number, _) = stage.state.candidate(&production).map(|(r, s)| (r.number, s.clone())).expect("a candidate");
    let approval = Approval { by: Login::new("grace"), at: stage.now, sha: sha(8), live: Some(sha(1)) };
    stage.state.stage_mut(number, &production).expect("a stage").approvals.push(approval);
    let (release, candidate) = stage.state.candidate(&production).expect("a candidate");
    assert!(!is_open(&conditions(&stage.state, release, candidate, stage.now)));
}

#[test]
fn deploying_an_unmerged_commit_to_the_last_environment_is_refused() {
    let mut stage = Stage1::new();
    let stray = sha(99);
    let facts = Fact::Comparison(Comparison {
        standing: Standing::Diverged,
        commits: Vec::new(),
        total_commits: 0,
        files: ChangedFiles::default(),
    });
    stage.facts.insert(Need::Comparison { base: stray.to_string(), head: "main".into() }, facts);
    let deploy = |environment: &str| Verb::Deploy {
        what: stray.to_string(),
        environment: EnvironmentName::new(environment),
        service: None,
        reason: None,
    };
    insta::assert_snapshot!(stage.command("grace", deploy("production")), @"⛔ `0000000` is not on `main`; only what was merged goes to `production`. Nothing was changed.");
    insta::assert_snapshot!(stage.command("grace", deploy("staging")), @"🚢 Release 1 (`0000000`) to `staging`. It starts now.");
    insta::assert_snapshot!(stage.command("grace", deploy("qa")), @"⛔ There is no environment `qa` in this pipeline; there is `staging`, `production`. Nothing was changed.");
}

#[test]
fn a_merge_queues_branch_is_not_deployed_by_any_of_its_names() {
    let mut stage = Stage1::new();
    let branch = "gh-readonly-queue/main/pr-7-0123456";
    for what in [branch.to_owned(), format!("heads/{branch}"), format!("refs/heads/{branch}")] {
        stage.facts.insert(Need::Commit { name: what.clone() }, Fact::Commit(commit(&sha(99), "ada")));
        let environment = EnvironmentName::new("staging");
        let answer = stage.command("grace", Verb::Deploy { what, environment, service: None, reason: None });
        assert_eq!(
            answer,
            "⛔ A merge queue's branch holds what may never be merged; nothing of it is deployed. Nothing was changed."
        );
    }
}

#[test]
fn a_resume_written_before_the_hold_does_not_end_it() {
    let mut stage = Stage1::new();
    stage.ship(7);
    stage.merge(8, "ada").run(RunStatus::Succeeded);
    stage.approve("grace");
    let written = stage.now;
    stage.now = stage.now.plus(Span::minutes(1));
    stage.run(RunStatus::Failed).run(RunStatus::Succeeded);
    let later = std::mem::replace(&mut stage.now, written);
    insta::assert_snapshot!(stage.resume("grace"), @"⛔ A hold is newer than this: release 2 failed: the workflow run failed. (by Plimsoll). Look at it and resume again. Nothing was changed.");
    stage.now = later;
    assert!(stage.resume("grace").contains("is ended"));
}

/// Ships two releases and begins a third in production; what it does first on GitHub has not ended.
fn third_begins() -> Stage1 {
    let mut stage = Stage1::new();
    stage.ship(7).ship(8);
    stage.merge(9, "ada").run(RunStatus::Succeeded);
    stage.approve("grace");
    stage
}

#[test]
fn a_rollback_waits_for_a_dispatch_that_is_on_its_way_and_stops_its_run() {
    let mut stage = third_begins();
    stage.obey();
    let (key, _) = stage.said.acts.last().cloned().expect("a dispatch");
    insta::assert_snapshot!(stage.rollback("linus"), @"⏪ Release 4 takes `production` back to `0000000` (release 2). It starts when release 3 has stopped; `production` is held until `/plimsoll resume production`.");
    assert_eq!(stage.said.acts.last().map(|(last, _)| last), Some(&key), "nothing else is started meanwhile");
    insta::assert_snapshot!(stage.rollback("linus"), @"⛔ `production` is being rolled back already, by release 4, which is next to start. Nothing was changed.");
    stage.play(Event::EffectEnded { key, ending: Ending::Done { id: Some(900), url: None } });
    let acts: Vec<&Act> = stage.said.acts.iter().rev().take(2).map(|(_, act)| act).collect();
    assert!(matches!(acts[..], [Act::CreateDeployment { .. }, Act::CancelRun { run: RunId(900) }]), "{acts:?}");
    stage.run(RunStatus::Succeeded);
    assert_eq!(stage.live("production"), Some(2));
}

#[test]
fn a_rollback_while_the_deployment_is_made_dispatches_nothing_and_shows_that_it_failed() {
    let mut stage = third_begins();
    stage.rollback("linus");
    stage.obey();
    assert!(
        matches!(stage.said.acts.last(), Some((_, Act::CreateDeployment { task, .. })) if task.starts_with("rollback"))
    );
    let stopped = stage.state.releases[&ReleaseNumber(3)].stages[1].clone();
    assert!(stopped.deployment.is_some() && matches!(stopped.phase, StagePhase::Failed { .. }));
}

#[test]
fn a_bake_begins_when_the_run_ended_though_the_turn_began_before() {
    let mut stage = Stage1::new();
    stage.plan.pipeline.environments[0].bake = Span::minutes(10);
    stage.merge(7, "ada").obey().obey();
    let ended = stage.now.plus(Span::minutes(1));
    let run = RunSnapshot { updated_at: ended, ..run_snapshot(stage.next_id, RunStatus::Succeeded, "") };
    stage.play(Event::RunChanged { run });
    assert_eq!(wake_at(&stage.state, stage.now), Some(ended.plus(Span::minutes(10))));
}

#[test]
fn a_merge_that_github_does_not_place_is_asked_about_again_and_never_released_blindly() {
    let mut stage = Stage1::new();
    let refused = Fact::Absent(Absence::Refused { message: "Resource not accessible by integration".into() });
    let need = super::content::reachability(&sha(7), &stage.plan);
    stage.facts.insert(need.clone(), refused.clone());
    stage.merge(7, "ada");
    assert!(stage.state.releases.is_empty());
    stage.wait(Span::minutes(5));
    assert!(stage.state.releases.is_empty());
    stage.facts.insert(need, comparison(sha(7).as_str(), "main"));
    stage.wait(Span::hours(1));
    assert_eq!(stage.state.releases.len(), 1);
    assert!(stage.state.unplaced.is_empty());
}

#[test]
fn a_merge_that_github_never_places_is_given_up_and_said_so() {
    let mut stage = Stage1::new();
    stage.facts.insert(super::content::reachability(&sha(7), &stage.plan), Fact::Absent(Absence::NotFound));
    stage.merge(7, "ada").wait(Span::hours(9));
    assert!(stage.state.unplaced.is_empty() && stage.state.releases.is_empty());
    assert!(stage.said.notes.iter().any(|note| note.starts_with("#7 is not released")), "{:?}", stage.said.notes);
}
