//! Effects, done once.
//!
//! Knows which request makes which effect, and where its key goes. Must never know why, nor try again: whether
//! something happened that got no answer is for `probe`.

use super::client::{Call, Client, Reply};
use super::limits::Kind;
use super::observe::Place;
use super::path::part;
use super::text::{CHECK_TEXT_MAX, COMMENT_MAX, fit, fit_line};
use super::wire::key_marker;
use super::wire::rest::{CheckRun, Dispatched, Made, Numbered, StandingAnnotation};
use crate::domain::effect::*;
use crate::domain::ids::*;
use crate::engine::ports::{Done, GitHubError};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

/// Annotations that GitHub takes in one request.
const ANNOTATIONS_A_REQUEST: usize = 50;
/// Longest description of a deployment or its status, in characters.
const DESCRIPTION_MAX: usize = 140;
/// Longest title of a check run, an issue or a pull request that is sent, in characters.
const TITLE_MAX: usize = 255;
/// Longest comment on a deployment protection rule, in characters.
const PROTECTION_COMMENT_MAX: usize = 1_024;
/// Buttons that GitHub takes on a check run.
const ACTIONS_MAX: usize = 3;

impl Client {
    /// Does the effect.
    pub(super) async fn done(&self, effect: &Effect, remote: Option<u64>) -> Result<Done, GitHubError> {
        let at = Place { installation: effect.installation, repo: effect.subject.repo() };
        match &effect.work {
            Work::Publish(publish) => self.publish(at, publish, remote).await,
            Work::Act(act) => self.act(at, &effect.key, act).await,
        }
    }

    async fn publish(&self, at: Place<'_>, publish: &Publish, remote: Option<u64>) -> Result<Done, GitHubError> {
        match (&publish.target, &publish.content) {
            (Target::CheckRun { name, head_sha }, Content::Check(content)) => {
                let check = Check { name, head_sha, content, mark: mark(publish) };
                self.check_run(at, &check, remote).await
            }
            (Target::LivingComment { number } | Target::Reply { number, .. }, Content::Comment(markdown)) => {
                self.comment(at, *number, &comment_body(publish, markdown), remote).await
            }
            (Target::DeploymentStatus { deployment }, Content::Deployment(content)) => {
                self.deployment_status(at, *deployment, content).await
            }
            (Target::CheckRun { .. }, Content::Comment(_) | Content::Deployment(_))
            | (Target::LivingComment { .. } | Target::Reply { .. }, Content::Check(_) | Content::Deployment(_))
            | (Target::DeploymentStatus { .. }, Content::Check(_) | Content::Comment(_)) => {
                let what = format!("publish {}", publish.target.name());
                Err(GitHubError::Refused {
                    what,
                    status: 422,
                    message: "the content does not fit its place".to_owned(),
                })
            }
        }
    }

    async fn act(&self, at: Place<'_>, key: &EffectKey, act: &Act) -> Result<Done, GitHubError> {
        match act {
            Act::OpenIssue { title, body } => {
                let body = json!({"title": fit_line(title, TITLE_MAX), "body": keyed_body(body, key)});
                let call = Call::write(Method::POST, at.path("/issues"), &body);
                // Opening an issue notifies people, as a comment does.
                let call = Call { kind: Kind::Comment, ..call };
                let reply = self.send(at.by(), &call).await?;
                succeeded(&call, &reply)?;
                let issue: Numbered =
                    reply.read().map_err(|message| GitHubError::Uncertain { what: call.what(), message })?;
                Ok(Done { id: Some(issue.number), url: issue.html_url })
            }
            Act::RevertPull { pull, title, body } => {
                self.revert_pull(at, *pull, &fit_line(title, TITLE_MAX), &keyed_body(body, key)).await
            }
            Act::AnswerProtection { run, environment, state, comment } => {
                let mut body = json!({
                    "environment_name": environment.as_str(),
                    "comment": fit_line(comment, PROTECTION_COMMENT_MAX),
                });
                // Without a state it is a report, and the run goes on waiting.
                if let Some(state) = state {
                    body["state"] = Value::from(match state {
                        ProtectionState::Approved => "approved",
                        ProtectionState::Rejected => "rejected",
                    });
                }
                let path = at.path(&format!("/actions/runs/{run}/deployment_protection_rule"));
                let call = Call::write(Method::POST, path, &body);
                let reply = self.send(at.by(), &call).await?;
                succeeded(&call, &reply)?;
                Ok(Done { id: Some(run.0), url: None })
            }
            Act::React { comment } => {
                let path = at.path(&format!("/issues/comments/{comment}/reactions"));
                self.make(at, Call::write(Method::POST, path, &json!({"content": "eyes"}))).await
            }
            Act::CreateDeployment { sha, environment, task, description, production } => {
                let body = json!({
                    "ref": sha.as_str(),
                    "task": task,
                    "environment": environment.as_str(),
                    "description": fit_line(description, DESCRIPTION_MAX),
                    "payload": {"plimsoll_key": key.as_str()},
                    "production_environment": production,
                    "auto_merge": false,
                    // What may be deployed is decided before; GitHub must not ask the commit's checks again.
                    "required_contexts": [],
                });
                let done = self.make(at, Call::write(Method::POST, at.path("/deployments"), &body)).await?;
                Ok(Done { url: None, ..done })
            }
            Act::DispatchWorkflow { workflow, branch, inputs } => {
                self.dispatch(at, key, workflow, branch, inputs).await
            }
            Act::CancelRun { run } => {
                let call = Call::bare_write(Method::POST, at.path(&format!("/actions/runs/{run}/cancel")));
                let reply = self.send(at.by(), &call).await?;
                if reply.status == StatusCode::CONFLICT {
                    // It ended before; that is what was wanted.
                    return Ok(Done { id: Some(run.0), url: None });
                }
                succeeded(&call, &reply)?;
                Ok(Done { id: Some(run.0), url: None })
            }
        }
    }

    async fn dispatch(
        &self,
        at: Place<'_>,
        key: &EffectKey,
        workflow: &WorkflowFile,
        branch: &RefName,
        inputs: &std::collections::BTreeMap<String, String>,
    ) -> Result<Done, GitHubError> {
        let file = part(workflow.as_str()).ok_or_else(|| GitHubError::Refused {
            what: "dispatch a workflow".to_owned(),
            status: 422,
            message: format!("`{workflow}` is not the name of a workflow file"),
        })?;
        let mut all: Map<String, Value> =
            inputs.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        all.insert("plimsoll_key".to_owned(), Value::from(key.as_str()));
        let body = json!({"ref": branch.as_str(), "inputs": all, "return_run_details": true});
        let call = Call::write(Method::POST, at.path(&format!("/actions/workflows/{file}/dispatches")), &body);
        let reply = self.send(at.by(), &call).await?;
        succeeded(&call, &reply)?;
        // An older server answers without a body; the run is then found by its key.
        let run: Option<Dispatched> = if reply.body.is_empty() { None } else { reply.read().ok() };
        Ok(Done { id: run.as_ref().and_then(|run| run.workflow_run_id), url: run.and_then(|run| run.html_url) })
    }

    async fn comment(
        &self,
        at: Place<'_>,
        number: PullNumber,
        body: &str,
        remote: Option<u64>,
    ) -> Result<Done, GitHubError> {
        let body = json!({"body": body});
        if let Some(id) = remote {
            let call = Call::write(Method::PATCH, at.path(&format!("/issues/comments/{id}")), &body);
            let reply = self.send(at.by(), &call).await?;
            if !is_gone(&reply) {
                return made(&call, &reply);
            }
            // Somebody deleted our comment: it is written anew.
        }
        let call = Call::write(Method::POST, at.path(&format!("/issues/{number}/comments")), &body);
        self.make(at, Call { kind: Kind::Comment, ..call }).await
    }

    async fn deployment_status(
        &self,
        at: Place<'_>,
        deployment: DeploymentId,
        content: &DeploymentContent,
    ) -> Result<Done, GitHubError> {
        let mut body = json!({
            "state": state_word(content.state),
            "description": deployment_description(content),
            "auto_inactive": true,
        });
        if let Some(url) = &content.log_url {
            body["log_url"] = Value::from(url.as_str());
        }
        let path = at.path(&format!("/deployments/{deployment}/statuses"));
        let done = self.make(at, Call::write(Method::POST, path, &body)).await?;
        Ok(Done { url: None, ..done })
    }

    /// Sends a write whose answer is what it made.
    async fn make(&self, at: Place<'_>, call: Call) -> Result<Done, GitHubError> {
        let reply = self.send(at.by(), &call).await?;
        made(&call, &reply)
    }

    async fn check_run(&self, at: Place<'_>, check: &Check<'_>, remote: Option<u64>) -> Result<Done, GitHubError> {
        if let Some(id) = remote
            && let Some(done) = self.update_check_run(at, check, id).await?
        {
            return Ok(done);
        }
        let (first, rest) =
            check.content.annotations.split_at(check.content.annotations.len().min(ANNOTATIONS_A_REQUEST));
        let mut body = check.body(first);
        body["name"] = Value::from(check.name);
        body["head_sha"] = Value::from(check.head_sha.as_str());
        let done = self.make(at, Call::write(Method::POST, at.path("/check-runs"), &body)).await?;
        if let Some(id) = done.id {
            self.annotate(at, check, id, rest).await;
        }
        Ok(done)
    }

    /// Changes a check run that stands. `None`: it must be made anew, because it is gone, or because annotations
    /// stand there that nobody can take away again (GitHub only ever adds them; the newest run of a name counts).
    async fn update_check_run(&self, at: Place<'_>, check: &Check<'_>, id: u64) -> Result<Option<Done>, GitHubError> {
        let path = at.path(&format!("/check-runs/{id}"));
        let wanted = &check.content.annotations;
        let mut missing = wanted.clone();
        if !wanted.is_empty() {
            let standing =
                self.list::<Vec<StandingAnnotation>>(at.by(), &format!("{path}/annotations"), 10, |_| false).await?;
            let Ok(standing) = standing else { return Ok(None) };
            for annotation in &standing.items {
                match missing.iter().position(|wanted| stands(annotation, wanted)) {
                    Some(index) => drop(missing.remove(index)),
                    None => return Ok(None),
                }
            }
        }
        let (first, rest) = missing.split_at(missing.len().min(ANNOTATIONS_A_REQUEST));
        let call = Call::write(Method::PATCH, path, &check.body(first));
        let reply = self.send(at.by(), &call).await?;
        if is_gone(&reply) {
            return Ok(None);
        }
        let done = made(&call, &reply)?;
        let left_over = |run: CheckRun| run.output.and_then(|output| output.annotations_count).unwrap_or(0) > 0;
        if wanted.is_empty() && reply.read().is_ok_and(left_over) {
            return Ok(None);
        }
        self.annotate(at, check, id, rest).await;
        Ok(Some(done))
    }

    /// Adds the annotations that did not fit into the first request. They only point at what the summary says, so a
    /// failure here is logged and does not undo the check run.
    async fn annotate(&self, at: Place<'_>, check: &Check<'_>, id: u64, rest: &[Annotation]) {
        for chunk in rest.chunks(ANNOTATIONS_A_REQUEST) {
            let call = Call::write(Method::PATCH, at.path(&format!("/check-runs/{id}")), &check.body(chunk));
            let answer = self.send(at.by(), &call).await.and_then(|reply| succeeded(&call, &reply));
            if let Err(problem) = answer {
                tracing::warn!(check_run.id = id, error = %problem, "annotations of a check run are missing");
                return;
            }
        }
    }
}

/// A check run to publish.
struct Check<'a> {
    name: &'a str,
    head_sha: &'a Sha,
    content: &'a CheckContent,
    mark: String,
}

impl Check<'_> {
    fn body(&self, annotations: &[Annotation]) -> Value {
        let mut output = json!({
            "title": fit_line(&self.content.title, TITLE_MAX),
            "summary": fit(&self.content.summary, CHECK_TEXT_MAX),
        });
        if let Some(text) = &self.content.text {
            output["text"] = Value::from(fit(text, CHECK_TEXT_MAX).into_owned());
        }
        if !annotations.is_empty() {
            output["annotations"] = annotations.iter().map(annotation).collect();
        }
        let mut body = json!({"external_id": self.mark, "output": output});
        let conclusion = match self.content.conclusion {
            CheckConclusion::InProgress => {
                body["status"] = Value::from("in_progress");
                return body;
            }
            CheckConclusion::Success => "success",
            CheckConclusion::Failure => "failure",
            CheckConclusion::Neutral => "neutral",
            CheckConclusion::ActionRequired => "action_required",
        };
        body["status"] = Value::from("completed");
        body["conclusion"] = Value::from(conclusion);
        // GitHub shows buttons on completed check runs only. An empty list takes away those of a version before.
        body["actions"] = self.content.actions.iter().take(ACTIONS_MAX).map(action).collect();
        body
    }
}

fn action(action: &CheckAction) -> Value {
    json!({
        "label": fit_line(&action.label, 20),
        "description": fit_line(&action.description, 40),
        // What comes back must be what was sent, so it is cut without a sign.
        "identifier": action.identifier.chars().take(20).collect::<String>(),
    })
}

fn annotation(annotation: &Annotation) -> Value {
    let mut body = json!({
        "path": annotation.path,
        "start_line": annotation.line,
        "end_line": annotation.line,
        "annotation_level": level_word(annotation.level),
        "message": fit_line(&annotation.message, 4_000),
    });
    if let Some(column) = annotation.column {
        body["start_column"] = Value::from(column);
        body["end_column"] = Value::from(column);
    }
    body
}

fn stands(standing: &StandingAnnotation, wanted: &Annotation) -> bool {
    standing.path == wanted.path
        && standing.start_line == u64::from(wanted.line)
        && standing.annotation_level.as_deref() == Some(level_word(wanted.level))
        && standing.message.as_deref() == Some(&*fit_line(&wanted.message, 4_000))
}

fn level_word(level: AnnotationLevel) -> &'static str {
    match level {
        AnnotationLevel::Notice => "notice",
        AnnotationLevel::Warning => "warning",
        AnnotationLevel::Failure => "failure",
    }
}

/// GitHub's word for a deployment's state.
pub(super) fn state_word(state: DeploymentState) -> &'static str {
    match state {
        DeploymentState::Queued => "queued",
        DeploymentState::InProgress => "in_progress",
        DeploymentState::Success => "success",
        DeploymentState::Failure => "failure",
        DeploymentState::Error => "error",
        DeploymentState::Inactive => "inactive",
    }
}

/// The description as it is sent.
pub(super) fn deployment_description(content: &DeploymentContent) -> String {
    fit_line(&content.description, DESCRIPTION_MAX).into_owned()
}

/// Names one version of a target: stands in a check run's `external_id`, so that this version can be found again and
/// is not taken for an older one.
pub(super) fn mark(publish: &Publish) -> String {
    format!("{}@{}", publish.target.name(), publish.generation)
}

/// The hidden lines at the end of a comment: which target it is, and which version of it.
pub(super) fn markers(publish: &Publish) -> (String, String) {
    let name = publish.target.name();
    (format!("<!-- plimsoll:{name} -->"), format!("<!-- plimsoll-generation:{} -->", publish.generation))
}

fn comment_body(publish: &Publish, markdown: &str) -> String {
    let (target, generation) = markers(publish);
    let tail = format!("\n\n{target}\n{generation}");
    format!("{}{tail}", fit(markdown.trim_end(), COMMENT_MAX - tail.chars().count()))
}

/// The body of an issue or a pull request, with the key of what made it.
fn keyed_body(markdown: &str, key: &EffectKey) -> String {
    let tail = format!("\n\n{}", key_marker(key.as_str()));
    format!("{}{tail}", fit(markdown.trim_end(), COMMENT_MAX - tail.chars().count().min(COMMENT_MAX)))
}

fn is_gone(reply: &Reply) -> bool {
    matches!(reply.status, StatusCode::NOT_FOUND | StatusCode::GONE)
}

/// Judges the answer to a write.
pub(super) fn succeeded(call: &Call, reply: &Reply) -> Result<(), GitHubError> {
    let what = call.what();
    match reply.status {
        status if status.is_success() => Ok(()),
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(GitHubError::Gone { what, message: reply.words() }),
        status if status.is_redirection() => {
            let message = "it moved to another address; was the repository renamed?".to_owned();
            Err(GitHubError::Refused { what, status: status.as_u16(), message })
        }
        status => Err(GitHubError::Refused { what, status: status.as_u16(), message: reply.words() }),
    }
}

fn made(call: &Call, reply: &Reply) -> Result<Done, GitHubError> {
    succeeded(call, reply)?;
    let made: Made = reply.read().map_err(|message| GitHubError::Uncertain { what: call.what(), message })?;
    Ok(Done { id: Some(made.id), url: made.html_url })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn living(generation: u64) -> Publish {
        let target = Target::LivingComment { number: PullNumber(42) };
        Publish { target, generation, content: Content::Comment(String::new()) }
    }

    #[test]
    fn a_comment_carries_its_hidden_marker_also_when_it_is_cut() {
        insta::assert_snapshot!(comment_body(&living(3), "Low risk.\n"), @r"
        Low risk.

        <!-- plimsoll:comment/42 -->
        <!-- plimsoll-generation:3 -->
        ");
        let long = comment_body(&living(3), &"é".repeat(70_000));
        assert_eq!(long.chars().count() <= COMMENT_MAX, long.ends_with("generation:3 -->"));
        assert!(long.contains("left out._\n\n<!-- plimsoll:comment/42 -->"));
    }

    #[test]
    fn a_check_run_says_its_status_with_its_conclusion() {
        let head_sha = Sha::parse(&"a".repeat(40)).unwrap();
        let mut content = CheckContent {
            conclusion: CheckConclusion::Failure,
            title: "No".to_owned(),
            summary: "x".repeat(70_000),
            text: None,
            actions: Vec::new(),
            annotations: Vec::new(),
            asked: 0,
        };
        let body = |content: &CheckContent| {
            Check { name: "plimsoll/policy", head_sha: &head_sha, content, mark: "check/x@1".to_owned() }.body(&[])
        };
        let failed = body(&content);
        assert_eq!((&failed["status"], &failed["conclusion"]), (&json!("completed"), &json!("failure")));
        assert!(failed["output"]["summary"].as_str().unwrap().len() <= CHECK_TEXT_MAX);
        content.conclusion = CheckConclusion::InProgress;
        let running = body(&content);
        assert_eq!((&running["status"], running.get("conclusion")), (&json!("in_progress"), None));
    }
}

#[cfg(test)]
#[path = "perform_tests.rs"]
mod wire_tests;
