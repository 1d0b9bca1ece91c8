//! Effects on the model, with their keys inside, and how they are found again.
//!
//! Marks are where the real client puts them: a check run's `external_id`, hidden lines of a comment, a deployment's
//! payload, a workflow's input.

use super::answers::{probed_comments, run_by_key};
use super::direct;
use super::health;
use super::invariants;
use super::scene::{Landing, Sabotage, Scene};
use plimsoll::domain::effect::*;
use plimsoll::domain::ids::*;
use plimsoll::engine::ports::{Done, GitHubError};
use plimsoll::sandbox::model::*;
use serde_json::json;

type Outcome = Result<Done, GitHubError>;

/// Does an effect now.
pub fn done(scene: &mut Scene, effect: &Effect, remote: Option<u64>) -> Outcome {
    scene.tell(|| format!("  GitHub does {}", effect.key));
    let outcome = match &effect.work {
        Work::Publish(publish) => {
            if scene.sabotage == Some(Sabotage::NoShow) {
                return Ok(Done { id: Some(1), url: None });
            }
            published(scene, publish, remote)
        }
        Work::Act(act) => acted(scene, &effect.key, act),
    };
    outcome.map_err(|refusal| match refusal.status {
        404 | 410 => GitHubError::Gone { what: effect.key.to_string(), message: refusal.message },
        status => GitHubError::Refused { what: effect.key.to_string(), status, message: refusal.message },
    })
}

fn made(id: u64) -> Done {
    Done { id: Some(id), url: None }
}

fn published(scene: &mut Scene, publish: &Publish, remote: Option<u64>) -> Result<Done, Refusal> {
    let now = scene.now;
    let bot = scene.model.app.bot_login();
    match (&publish.target, &publish.content) {
        (Target::CheckRun { name, head_sha }, Content::Check(content)) => {
            let mut wish = check_run(content, mark(publish));
            if let Some(id) = remote
                && scene.model.check_runs.contains_key(&id)
            {
                scene.model.update_check_run(id, wish, now)?;
                return Ok(made(id));
            }
            wish.name = Some(name.clone());
            wish.head_sha = Some(head_sha.to_string());
            scene.model.create_check_run(wish, now).map(made)
        }
        (Target::LivingComment { number } | Target::Reply { number, .. }, Content::Comment(text)) => {
            let (target, generation) = markers(publish);
            let body = format!("{}\n\n{target}\n{generation}", text.trim_end());
            let id = match remote {
                Some(id) if scene.model.comments.contains_key(&id) => {
                    scene.model.edit_comment(id, &body, &bot, now)?;
                    id
                }
                Some(_) | None => scene.model.comment(number.0, &bot, &body, now)?,
            };
            touch(&mut scene.model, number.0, now);
            Ok(made(id))
        }
        (Target::DeploymentStatus { deployment }, Content::Deployment(content)) => {
            let wish = StatusWish {
                state: state_word(content.state).to_owned(),
                description: Some(content.description.clone()),
                log_url: content.log_url.clone(),
                ..StatusWish::default()
            };
            scene.model.create_deployment_status(deployment.0, wish, &bot, now).map(made)
        }
        (_, _) => Err(Refusal::new(422, "the content does not fit its place")),
    }
}

/// A comment or a review makes its pull request newer, as on GitHub.
pub fn touch(model: &mut Model, number: u64, now: i64) {
    if let Some(pull) = model.pulls.get_mut(&number) {
        pull.updated_at = now;
    }
}

fn check_run(content: &CheckContent, mark: String) -> CheckRunWish {
    let conclusion = conclusion_word(content.conclusion);
    CheckRunWish {
        external_id: Some(mark),
        status: Some(if conclusion.is_some() { "completed" } else { "in_progress" }.to_owned()),
        conclusion: conclusion.map(str::to_owned),
        output: Some(OutputWish {
            title: Some(content.title.clone()),
            summary: Some(content.summary.clone()),
            text: content.text.clone(),
            annotations: Vec::new(),
        }),
        actions: Some(content.actions.iter().map(button).collect()),
        ..CheckRunWish::default()
    }
}

fn button(action: &plimsoll::domain::effect::CheckAction) -> plimsoll::sandbox::model::CheckAction {
    plimsoll::sandbox::model::CheckAction {
        label: action.label.clone(),
        description: action.description.clone(),
        identifier: action.identifier.clone(),
    }
}

pub fn conclusion_word(conclusion: CheckConclusion) -> Option<&'static str> {
    match conclusion {
        CheckConclusion::InProgress => None,
        CheckConclusion::Success => Some("success"),
        CheckConclusion::Failure => Some("failure"),
        CheckConclusion::Neutral => Some("neutral"),
        CheckConclusion::ActionRequired => Some("action_required"),
    }
}

pub fn state_word(state: DeploymentState) -> &'static str {
    match state {
        DeploymentState::Queued => "queued",
        DeploymentState::InProgress => "in_progress",
        DeploymentState::Success => "success",
        DeploymentState::Failure => "failure",
        DeploymentState::Error => "error",
        DeploymentState::Inactive => "inactive",
    }
}

fn mark(publish: &Publish) -> String {
    format!("{}@{}", publish.target.name(), publish.generation)
}

/// The hidden line that names a comment's target.
pub fn target_marker(target: &Target) -> String {
    format!("<!-- plimsoll:{} -->", target.name())
}

fn markers(publish: &Publish) -> (String, String) {
    (target_marker(&publish.target), format!("<!-- plimsoll-generation:{} -->", publish.generation))
}

fn acted(scene: &mut Scene, key: &EffectKey, act: &Act) -> Result<Done, Refusal> {
    let now = scene.now;
    let bot = scene.model.app.bot_login();
    match act {
        Act::OpenIssue { title, body } => {
            let body = format!("{body}\n\n{}", key_marker(key.as_str()));
            scene.model.open_issue(title, Some(&body), &[], &bot, now).map(made)
        }
        Act::RevertPull { pull, title, body } => {
            let sha = match scene.model.pulls.get(&pull.0).map(|pull| &pull.state) {
                Some(PullState::Merged { sha, .. }) => sha.clone(),
                Some(PullState::Open | PullState::Closed { .. }) | None => return Err(Refusal::not_found()),
            };
            let branch = format!("revert-{pull}-{}", scene.model.pulls.len());
            scene.model.revert(&sha, &branch, &bot, now)?;
            let body = format!("{body}\n\n{}", key_marker(key.as_str()));
            let wish = PullWish { head: &branch, base: "main", title, body: Some(&body), author: &bot, draft: true };
            scene.model.open_pull(&wish, now).map(made)
        }
        // No world has a protection rule yet.
        Act::AnswerProtection { run, .. } => Ok(made(run.0)),
        Act::React { comment } => scene.model.react(comment.0, &bot, "eyes", now).map(|(id, _)| made(id)),
        Act::CreateDeployment { sha, environment, task, description, production } => {
            let wish = DeploymentWish {
                task: Some(task.clone()),
                payload: json!({ "plimsoll_key": key.as_str() }),
                description: Some(description.clone()),
                production: Some(*production),
                ..DeploymentWish::of(sha.as_str(), environment.as_str())
            };
            match scene.model.create_deployment(wish, &bot, now)? {
                Created::Deployment(id) => {
                    landed(scene, key, sha.as_str(), id);
                    Ok(made(id))
                }
                Created::Merged(message) => Err(Refusal::new(422, message)),
            }
        }
        Act::DispatchWorkflow { workflow, branch, inputs } => {
            let run = scene.model.dispatch(workflow.as_str(), branch.as_str(), inputs.clone(), &bot, now)?.run;
            let sha = inputs.get("sha").map_or("", String::as_str);
            if key.as_str().contains("/verify-") {
                tried(scene, sha, run);
                invariants::tried(scene, key.as_str());
            } else {
                landed(scene, key, sha, run);
                fate(scene, run);
            }
            let rate = scene.weather.no_details;
            if scene.chance.hits(rate) {
                return Ok(Done { id: None, url: None });
            }
            let url = scene.model.page_url(&format!("/actions/runs/{run}"));
            Ok(Done { id: Some(run), url: Some(url) })
        }
        Act::CancelRun { run } => {
            match scene.model.cancel_run(run.0, now) {
                Ok(()) => {
                    let at = now + scene.chance.between(1_000, 30_000);
                    scene.endings.push((at, run.0, "cancelled"));
                }
                // It ended before; that is what was wanted.
                Err(refusal) if refusal.status == 409 => {}
                Err(refusal) => return Err(refusal),
            }
            Ok(made(run.0))
        }
    }
}

/// Draws how a run will end.
fn fate(scene: &mut Scene, run: u64) {
    let (hanging, failing) = (scene.weather.hanging, scene.weather.failing);
    if scene.chance.hits(hanging) {
        return;
    }
    let conclusion = if scene.chance.hits(failing) {
        *scene.chance.pick(&["failure", "failure", "cancelled", "timed_out", "skipped"])
    } else {
        "success"
    };
    let long = scene.chance.one_in(6);
    let length_max = if long { scene.size.of(2, 9) * 60_000 } else { scene.size.of(12_000, 60_000) };
    let length = scene.chance.between(1_000, length_max);
    let at = scene.now + length;
    scene.endings.push((at, run, conclusion));
    // Some workflows report by themselves.
    if scene.seed.is_multiple_of(4) && scene.chance.one_in(2) {
        direct::report_of(scene, run, conclusion, at);
    }
}

/// Draws how the run of a workflow verification ends.
fn tried(scene: &mut Scene, sha: &str, run: u64) {
    let bad = health::is_bad(scene, sha);
    let conclusion = match scene.chance.below(12) {
        0 => return,
        1 => *scene.chance.pick(&["cancelled", "timed_out", "skipped", "failure"]),
        _ if bad => "failure",
        _ => "success",
    };
    let at = scene.now + scene.chance.between(1_000, 15_000);
    scene.endings.push((at, run, conclusion));
}

fn key_marker(key: &str) -> String {
    format!("<!-- plimsoll-key:{key} -->")
}

/// The key that a body carries.
pub fn key_in(body: &str) -> Option<&str> {
    body.split("<!-- plimsoll-key:").nth(1)?.split(" -->").next()
}

fn landed(scene: &mut Scene, key: &EffectKey, sha: &str, id: u64) {
    let Some(landing) = landing(scene.now, key.as_str(), sha, id) else {
        scene.broke(invariants::KEYS_ONCE, format!("`{key}` is no key of a release"));
        return;
    };
    invariants::landed(scene, &landing);
    scene.record.landings.push(landing);
}

/// Reads `acme/shop/api/release-7/production/step-1/attempt-1` and `.../deployment`.
pub fn landing(at: i64, key: &str, sha: &str, id: u64) -> Option<Landing> {
    let parts: Vec<&str> = key.split('/').collect();
    let [_, _, service, release, environment, rest @ ..] = parts.as_slice() else { return None };
    Some(Landing {
        at,
        service: ServiceName::new(*service),
        release: ReleaseNumber(release.strip_prefix("release-")?.parse().ok()?),
        environment: EnvironmentName::new(*environment),
        step: match rest {
            ["deployment"] => None,
            [step, "attempt-1"] => Some(step.strip_prefix("step-")?.parse().ok()?),
            _ => return None,
        },
        sha: sha.to_owned(),
        id,
    })
}

/// Looks for an effect by its key.
pub fn standing(scene: &Scene, effect: &Effect, since: Timestamp) -> Option<Done> {
    let model = &scene.model;
    match &effect.work {
        Work::Publish(publish) => match (&publish.target, &publish.content) {
            (Target::CheckRun { name, head_sha }, _) => {
                let mark = mark(publish);
                let mut runs = model.check_runs.values();
                let ours = runs.find(|run| {
                    run.name == *name
                        && run.head_sha == head_sha.as_str()
                        && run.external_id.as_deref() == Some(&mark)
                        && run.created_at + scene.lag(run.id, run.created_at) <= scene.now
                });
                ours.map(|run| made(run.id))
            }
            (Target::LivingComment { number } | Target::Reply { number, .. }, _) => {
                let (target, generation) = markers(publish);
                let mut comments = probed_comments(scene, effect, number.0, since);
                let ours = comments.find(|c| c.body.contains(&target) && c.body.contains(&generation));
                ours.map(|comment| made(comment.id))
            }
            (Target::DeploymentStatus { deployment }, Content::Deployment(content)) => {
                let newest = model.deployment_statuses.values().rev().find(|status| {
                    status.deployment == deployment.0
                        && status.created_at + scene.lag(status.id, status.created_at) <= scene.now
                })?;
                let same = newest.state == state_word(content.state) && newest.description == content.description;
                same.then(|| made(newest.id))
            }
            (Target::DeploymentStatus { .. }, _) => None,
        },
        Work::Act(Act::OpenIssue { .. }) => {
            let carries = |body: &Option<String>| body.as_deref().and_then(key_in) == Some(effect.key.as_str());
            let ours = model.issues.values().find(|issue| {
                carries(&issue.body) && issue.created_at + scene.lag(issue.id, issue.created_at) <= scene.now
            });
            ours.map(|issue| made(issue.number))
        }
        Work::Act(Act::RevertPull { .. }) => {
            let carries = |body: &Option<String>| body.as_deref().and_then(key_in) == Some(effect.key.as_str());
            let ours = model.pulls.values().find(|pull| {
                carries(&pull.body) && pull.created_at + scene.lag(pull.number, pull.created_at) <= scene.now
            });
            ours.map(|pull| made(pull.number))
        }
        Work::Act(Act::AnswerProtection { .. }) => None,
        Work::Act(Act::React { .. } | Act::CancelRun { .. }) => None,
        Work::Act(Act::CreateDeployment { .. }) => {
            let mut deployments = model.deployments.values();
            let ours = deployments.find(|deployment| {
                deployment.payload["plimsoll_key"] == effect.key.as_str()
                    && deployment.created_at + scene.lag(deployment.id, deployment.created_at) <= scene.now
            });
            ours.map(|deployment| made(deployment.id))
        }
        Work::Act(Act::DispatchWorkflow { .. }) => {
            let run = run_by_key(scene, &effect.key, since)?;
            Some(Done { id: Some(run.id.0), url: Some(run.url) })
        }
    }
}
