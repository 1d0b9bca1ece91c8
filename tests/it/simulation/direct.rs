//! What reaches lanes besides webhooks' bytes: buttons, reports of runs, closed issues.
//!
//! Each is an event of the domain, put into the lane's inbox the way the door puts it there; it may come twice, late, or
//! be forged. The record keeps what was genuine.

use super::hands::at_once;
use super::scene::Sabotage;
use super::scene::{Press, Scene, SentReport};
use plimsoll::domain::event::{Event, Report, ReportState};
use plimsoll::domain::ids::*;
use plimsoll::domain::release::{dispatch_key, rollout};
use plimsoll::engine::ports::{Arrival, Source, Store};
use plimsoll::store::MemoryStore;

/// Puts what is due into the inboxes.
pub fn arrives(scene: &mut Scene, store: &MemoryStore, at: usize) {
    let (_, subject, event) = scene.direct.remove(at);
    scene.tell(|| format!("  {subject} hears {event:?}"));
    let arrival = Arrival { subject, installation: None, event, source: Source::Operator, at: Timestamp(scene.now) };
    let _ = at_once(store.arrive(arrival));
    scene.changes += 1;
}

fn send(scene: &mut Scene, service: &ServiceName, event: Event) {
    let Some(repo) = RepoName::parse(&scene.model.repository.full_name()) else { return };
    let copies = if scene.chance.one_in(4) { 2 } else { 1 };
    for _ in 0..copies {
        let late = if scene.chance.one_in(5) { 120_000 } else { 1_500 };
        let at = scene.now + scene.chance.between(50, late);
        let subject = Subject::Pipeline { repo: repo.clone(), service: service.clone() };
        scene.direct.push((at, subject, event.clone()));
    }
}

fn some_service(scene: &mut Scene) -> Option<ServiceName> {
    let services: Vec<ServiceName> = scene.record.pipelines.keys().cloned().collect();
    if services.is_empty() { None } else { Some(scene.chance.pick(&services).clone()) }
}

/// Somebody presses a button on the check run of a release, or of an override.
pub fn press(scene: &mut Scene, by: &str) {
    if hears(scene, "check_run") && scene.chance.one_in(2) {
        return press_shown(scene, by);
    }
    let Some(service) = some_service(scene) else { return };
    let Some(state) = scene.record.pipelines.get(&service).cloned() else { return };
    let mut buttons: Vec<(String, Sha)> = Vec::new();
    for release in state.releases.values().rev().take(4) {
        for place in 0..release.stages.len() {
            for word in ["approve", "approve", "rollback", "retry", "hold"] {
                buttons.push((format!("{word}.{}.{place}", release.number), release.sha.clone()));
            }
        }
    }
    let reviews = state.overrides.iter().filter(|one| one.reviewed.is_none());
    let reviews: Vec<(String, Sha)> =
        reviews.map(|one| (format!("reviewed.{}", one.number), one.sha.clone())).collect();
    if !reviews.is_empty() && scene.chance.one_in(2) {
        buttons = reviews;
    }
    if buttons.is_empty() {
        return;
    }
    let (action, mut head_sha) = scene.chance.pick(&buttons).clone();
    // The button of another commit's check run.
    if scene.chance.one_in(6)
        && let Some(other) = state.releases.values().next()
    {
        head_sha = other.sha.clone();
    }
    scene.tell(|| format!("{by} presses {action} on {head_sha} of {service}"));
    let by = Login::new(by);
    scene.record.presses.push(Press {
        by: by.clone(),
        service: service.clone(),
        action: action.clone(),
        head_sha: head_sha.clone(),
    });
    send(scene, &service, Event::ActionRequested { action, head_sha, by });
}

fn hears(scene: &Scene, event: &str) -> bool {
    scene.model.app.events.iter().any(|heard| heard == event)
}

/// Somebody presses a button as GitHub shows it; GitHub tells of it by webhook.
fn press_shown(scene: &mut Scene, by: &str) {
    let mut shown: Vec<(u64, String, String, String)> = Vec::new();
    for run in scene.model.check_runs.values().filter(|run| run.status == "completed") {
        let service = run.name.split(['(', ')']).nth(1).unwrap_or_default();
        let button = |action: &str| (run.id, service.to_owned(), action.to_owned(), run.head_sha.clone());
        shown.extend(run.actions.iter().map(|action| button(&action.identifier)));
    }
    if shown.is_empty() {
        return;
    }
    let (id, service, action, head_sha) = scene.chance.pick(&shown).clone();
    let (Some(head_sha), now) = (Sha::parse(&head_sha), scene.now) else { return };
    if scene.model.request_action(id, &action, by, now).is_err() {
        return;
    }
    scene.tell(|| format!("{by} presses {action} as it is shown on {head_sha} of {service}"));
    let (by, service) = (Login::new(by), ServiceName::new(service));
    scene.record.presses.push(Press { by, service, action, head_sha });
}

/// Somebody closes an issue that asks for a review.
pub fn close_issue(scene: &mut Scene, by: &str) {
    let open = scene.model.issues.values().filter(|issue| issue.closed_at.is_none());
    let open: Vec<(u64, String)> = open
        .filter_map(|issue| Some((issue.number, super::acts::key_in(issue.body.as_deref()?)?.to_owned())))
        .collect();
    if open.is_empty() {
        return;
    }
    let (number, key) = scene.chance.pick(&open).clone();
    let now = scene.now;
    if scene.model.close_issue(number, by, now).is_err() {
        return;
    }
    let Some(service) = key.split('/').nth(2).map(ServiceName::new) else { return };
    scene.tell(|| format!("{by} closes issue {number}"));
    scene.record.closed.push((key.clone(), Login::new(by), now));
    if !hears(scene, "issues") {
        send(scene, &service, Event::IssueClosed { key: EffectKey::new(key), by: Login::new(by) });
    }
}

/// A run says how it ends, just before it does; only those that tell the truth know how.
pub fn report_of(scene: &mut Scene, run: u64, conclusion: &str, ends_at: i64) {
    let Some(landing) = scene.record.landings.iter().find(|landing| landing.id == run && landing.step.is_some()) else {
        return;
    };
    let landing = landing.clone();
    let (Some(repo), Some(workflow_sha), Some(sha)) = (
        RepoName::parse(&scene.model.repository.full_name()),
        scene.model.runs.get(&run).and_then(|run| Sha::parse(&run.head_sha)),
        Sha::parse(&landing.sha),
    ) else {
        return;
    };
    let step = landing.step.unwrap_or(1) as usize - 1;
    let report = Report {
        key: dispatch_key(&repo, &landing.service, landing.release, &landing.environment, step),
        run: RunId(run),
        environment: Some(landing.environment.clone()),
        workflow_sha,
        sha,
        state: if conclusion == "success" { ReportState::Success } else { ReportState::Failure },
        description: Some("so it ends".to_owned()),
        at: Timestamp(ends_at),
    };
    say(scene, &landing.service, report, true);
}

fn say(scene: &mut Scene, service: &ServiceName, report: Report, genuine: bool) {
    scene.tell(|| format!("  a {} report: {report:?}", if genuine { "true" } else { "forged" }));
    let at = scene.now;
    scene.record.reports.push(SentReport { at, service: service.clone(), report: report.clone(), genuine });
    send(scene, service, Event::Reported { report: Box::new(report) });
}

/// Somebody reports a step that is not theirs: another run, commit, environment or key, or an old report again.
pub fn forge(scene: &mut Scene) {
    let Some(service) = some_service(scene) else { return };
    let Some(state) = scene.record.pipelines.get(&service).cloned() else { return };
    let rolling = rollout::under_way(&state);
    let old = scene.record.reports.iter().filter(|sent| sent.service == service).map(|sent| sent.report.clone());
    let old: Vec<Report> = old.collect();
    if !old.is_empty() && scene.chance.one_in(3) {
        let report = scene.chance.pick(&old).clone();
        return say(scene, &service, report, false);
    }
    let Some((at, rollout)) = rolling.first() else { return };
    let Some(release) = state.releases.get(&at.release) else { return };
    let ours = scene.record.landings.iter().rev().find(|landing| {
        landing.step == Some(rollout.step as u64 + 1)
            && (&landing.service, landing.release, &landing.environment) == (&service, at.release, &at.environment)
    });
    let Some(run) = ours.map(|landing| landing.id) else { return };
    let Some(workflow_sha) = scene.model.runs.get(&run).and_then(|run| Sha::parse(&run.head_sha)) else { return };
    let mut report = Report {
        key: dispatch_key(&state.repo, &service, at.release, &at.environment, rollout.step),
        run: RunId(run),
        environment: Some(at.environment.clone()),
        workflow_sha,
        sha: release.sha.clone(),
        state: *scene.chance.pick(&[ReportState::Success, ReportState::Success, ReportState::Failure]),
        description: None,
        at: Timestamp(scene.now),
    };
    if scene.sabotage != Some(Sabotage::ReportUnchecked) {
        match scene.chance.below(5) {
            0 => report.run = RunId(run + 1),
            1 => report.environment = None,
            2 => report.environment = Some(EnvironmentName::new("elsewhere")),
            3 => report.sha = Sha::parse(&"ab".repeat(20)).unwrap_or(report.sha),
            _ => report.key = EffectKey::new(report.key.as_str().replace("release-", "release-1")),
        }
    }
    say(scene, &service, report, false);
}
