//! What the API and the webhooks show of work on a commit: suites, check runs, deployments, runs.

use serde_json::{Value, json};

use super::json::{encoded, extend, node, rfc3339, text_or_null, time_or_null};
use super::{CheckRun, Model, Run};

impl Model {
    /// A check suite of the App as lists and its own webhooks show it.
    pub fn suite_json(&self, sha: &str) -> Value {
        let mut shown = self.suite_brief_json(sha);
        let more = json!({
            "rerequestable": true,
            "runs_rerequestable": true,
            "latest_check_runs_count": self.check_runs_of(sha, true).len(),
            "check_runs_url": format!("{}/check-runs", shown["url"].as_str().unwrap_or_default()),
            "head_commit": self.simple_commit_json(sha),
        });
        extend(&mut shown, more);
        shown
    }

    /// A check suite as webhooks of its check runs show it.
    pub(super) fn suite_brief_json(&self, sha: &str) -> Value {
        let (id, created_at) = self.suites.get(sha).copied().unwrap_or((0, 0));
        let runs = self.check_runs_of(sha, true);
        let runs: Vec<&CheckRun> = runs.into_iter().filter(|run| run.other_app.is_none()).collect();
        let done = !runs.is_empty() && runs.iter().all(|run| run.status == "completed" && !run.asked_again);
        let failed = runs
            .iter()
            .find_map(|run| run.conclusion.as_deref().filter(|c| !matches!(*c, "success" | "neutral" | "skipped")));
        let branch = self.pulls.values().find(|pull| pull.head_sha == sha).map(|pull| pull.head_ref.clone());
        let branch =
            branch.or_else(|| self.history.branches().into_iter().find(|(_, tip)| tip == sha).map(|(name, _)| name));
        json!({
            "id": id,
            "node_id": node("CS", id),
            "head_branch": text_or_null(branch.as_deref()),
            "head_sha": sha,
            "status": if done { "completed" } else { "queued" },
            "conclusion": if done { json!(failed.unwrap_or("success")) } else { Value::Null },
            "url": self.repository_url(&format!("/check-suites/{id}")),
            "before": Value::Null,
            "after": sha,
            "pull_requests": self.pulls_of_sha_json(sha),
            "app": self.app_json(),
            "created_at": rfc3339(created_at),
            "updated_at": rfc3339(created_at),
        })
    }

    /// A check run. Its buttons are not shown: GitHub takes them and never tells them again.
    pub fn check_run_json(&self, run: &CheckRun) -> Value {
        let url = self.repository_url(&format!("/check-runs/{}", run.id));
        let html = self.page_url(&format!("/runs/{}", run.id));
        json!({
            "id": run.id,
            "node_id": node("CR", run.id),
            "name": run.name,
            "head_sha": run.head_sha,
            "external_id": run.external_id.clone().unwrap_or_default(),
            "url": url,
            "html_url": html,
            "details_url": run.details_url.clone().unwrap_or_else(|| format!("{}/apps/{}/home", self.web_url, self.app.slug)),
            "status": run.status,
            "conclusion": text_or_null(run.conclusion.as_deref()),
            "started_at": rfc3339(run.started_at),
            "completed_at": time_or_null(run.completed_at),
            "output": {
                "title": text_or_null(run.title.as_deref()),
                "summary": text_or_null(run.summary.as_deref()),
                "text": text_or_null(run.text.as_deref()),
                "annotations_count": run.annotations.len(),
                "annotations_url": format!("{url}/annotations"),
            },
            "check_suite": { "id": run.suite },
            "app": self.app_json_of(run.other_app.as_deref()),
            "pull_requests": self.pulls_of_sha_json(&run.head_sha),
        })
    }

    pub fn deployment_json(&self, id: u64) -> Value {
        let Some(deployment) = self.deployments.get(&id) else {
            return Value::Null;
        };
        let url = self.repository_url(&format!("/deployments/{id}"));
        json!({
            "id": id,
            "node_id": node("DE", id),
            "url": url,
            "sha": deployment.sha,
            "ref": deployment.git_ref,
            "task": deployment.task,
            "payload": deployment.payload,
            "original_environment": deployment.environment,
            "environment": deployment.environment,
            "description": text_or_null(deployment.description.as_deref()),
            "creator": self.user_json(&deployment.creator),
            "created_at": rfc3339(deployment.created_at),
            "updated_at": rfc3339(deployment.updated_at),
            "statuses_url": format!("{url}/statuses"),
            "repository_url": self.repository_url(""),
            "transient_environment": deployment.transient,
            "production_environment": deployment.production,
            "performed_via_github_app": Value::Null,
        })
    }

    pub fn deployment_status_json(&self, id: u64) -> Value {
        let Some(status) = self.deployment_statuses.get(&id) else {
            return Value::Null;
        };
        let deployment = self.repository_url(&format!("/deployments/{}", status.deployment));
        let mut shown = json!({
            "id": id,
            "node_id": node("DES", id),
            "url": format!("{deployment}/statuses/{id}"),
            "state": status.state,
            "creator": self.user_json(&status.creator),
            "description": status.description,
            "environment": status.environment,
            // GitHub says "" where there is none, though its own description wants an address here.
            "target_url": self.page_url("/deployments"),
            "created_at": rfc3339(status.created_at),
            "updated_at": rfc3339(status.created_at),
            "deployment_url": deployment,
            "repository_url": self.repository_url(""),
            "performed_via_github_app": Value::Null,
        });
        if !status.log_url.is_empty() {
            shown["target_url"] = json!(status.log_url);
            shown["log_url"] = json!(status.log_url);
        }
        if !status.environment_url.is_empty() {
            shown["environment_url"] = json!(status.environment_url);
        }
        shown
    }

    pub fn environment_json(&self, key: &str) -> Value {
        let Some(environment) = self.environments.get(key) else {
            return Value::Null;
        };
        let name = encoded(&environment.name);
        json!({
            "id": environment.id,
            "node_id": node("EN", environment.id),
            "name": environment.name,
            "url": self.repository_url(&format!("/environments/{name}")),
            "html_url": self.page_url("/deployments"),
            "created_at": rfc3339(environment.created_at),
            "updated_at": rfc3339(environment.created_at),
            "protection_rules": [],
            "deployment_branch_policy": Value::Null,
        })
    }

    pub fn workflow_json_of(&self, id: u64, path: &str, name: &str) -> Value {
        let file = path.rsplit('/').next().unwrap_or(path);
        json!({
            "id": id,
            "node_id": node("W", id),
            "name": name,
            "path": path,
            "state": "active",
            "created_at": rfc3339(self.repository.created_at),
            "updated_at": rfc3339(self.repository.created_at),
            "url": self.repository_url(&format!("/actions/workflows/{id}")),
            "html_url": self.page_url(&format!("/blob/{}/{path}", self.repository.default_branch)),
            "badge_url": self.page_url(&format!("/workflows/{}/badge.svg", encoded(file))),
        })
    }

    pub fn run_json(&self, run: &Run) -> Value {
        let url = self.repository_url(&format!("/actions/runs/{}", run.id));
        let repository =
            if self.manners.slim_payloads { self.payload_repository_json() } else { self.repository_brief_json() };
        let mut shown = json!({
            "id": run.id,
            "node_id": node("WFR", run.id),
            "name": run.workflow_name,
            "head_branch": run.head_branch,
            "head_sha": run.head_sha,
            "path": run.workflow_path,
            "run_number": run.number,
            "run_attempt": 1,
            "display_title": run.display_title,
            "event": run.event,
            "status": run.status(),
            "conclusion": text_or_null(run.state.conclusion()),
            "workflow_id": run.workflow_id,
            "check_suite_id": run.id + 900_000,
            "check_suite_node_id": node("CS", run.id + 900_000),
            "url": url,
            "html_url": self.page_url(&format!("/actions/runs/{}", run.id)),
            "pull_requests": [],
            "created_at": rfc3339(run.created_at),
            "updated_at": rfc3339(run.updated_at),
            "run_started_at": rfc3339(run.created_at),
            "actor": self.user_json(&run.actor),
            "triggering_actor": self.user_json(&run.actor),
            "referenced_workflows": [],
            "previous_attempt_url": Value::Null,
        });
        let more = json!({
            "jobs_url": format!("{url}/jobs"),
            "logs_url": format!("{url}/logs"),
            "check_suite_url": self.repository_url(&format!("/check-suites/{}", run.id + 900_000)),
            "artifacts_url": format!("{url}/artifacts"),
            "cancel_url": format!("{url}/cancel"),
            "rerun_url": format!("{url}/rerun"),
            "workflow_url": self.repository_url(&format!("/actions/workflows/{}", run.workflow_id)),
            "head_commit": self.simple_commit_json(&run.head_sha),
        });
        extend(&mut shown, more);
        shown["head_repository"] = repository.clone();
        shown["repository"] = repository;
        shown
    }
}
