//! Deployments, their statuses, environments.

use serde_json::{Value, json};

use super::{Model, Refusal};
use crate::sandbox::history::{HistoryError, MergeMethod};

/// A deployment.
#[derive(Debug, Clone)]
pub struct Deployment {
    pub id: u64,
    pub sha: String,
    pub git_ref: String,
    pub task: String,
    pub environment: String,
    pub description: Option<String>,
    pub payload: Value,
    pub creator: String,
    pub transient: bool,
    pub production: bool,
    pub created_at: i64,
    pub updated_at: i64,
}

/// A status of a deployment.
#[derive(Debug, Clone)]
pub struct DeploymentStatus {
    pub id: u64,
    pub deployment: u64,
    pub state: String,
    pub description: String,
    pub log_url: String,
    pub environment_url: String,
    pub environment: String,
    pub creator: String,
    pub created_at: i64,
}

/// An environment of the repository.
#[derive(Debug, Clone)]
pub struct Environment {
    pub id: u64,
    pub name: String,
    pub created_at: i64,
}

/// What a request wants of a new deployment.
#[derive(Debug, Clone)]
pub struct DeploymentWish {
    pub git_ref: String,
    pub task: Option<String>,
    pub auto_merge: bool,
    pub required_contexts: Option<Vec<String>>,
    pub payload: Value,
    pub environment: Option<String>,
    pub description: Option<String>,
    pub transient: bool,
    pub production: Option<bool>,
}

impl DeploymentWish {
    /// A deployment of a ref to an environment without merging or waiting for contexts.
    pub fn of(git_ref: &str, environment: &str) -> Self {
        Self {
            git_ref: git_ref.to_owned(),
            task: None,
            auto_merge: false,
            required_contexts: Some(Vec::new()),
            payload: json!({}),
            environment: Some(environment.to_owned()),
            description: None,
            transient: false,
            production: None,
        }
    }
}

/// What a request wants of a new deployment status.
#[derive(Debug, Clone, Default)]
pub struct StatusWish {
    pub state: String,
    pub description: Option<String>,
    pub log_url: Option<String>,
    pub environment_url: Option<String>,
    pub environment: Option<String>,
    /// Absent means yes.
    pub auto_inactive: Option<bool>,
}

/// How a wish for a deployment was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    Deployment(u64),
    /// The default branch was merged into the ref; nothing was created.
    Merged(String),
}

/// States that a deployment status can have.
pub const STATES: [&str; 7] = ["error", "failure", "inactive", "in_progress", "queued", "pending", "success"];

impl Model {
    /// Makes an environment unless there is one of this name; names are compared without case.
    pub fn ensure_environment(&mut self, name: &str, now: i64) {
        if !self.environments.contains_key(&name.to_lowercase()) {
            let id = self.next_id();
            self.environments.insert(name.to_lowercase(), Environment { id, name: name.to_owned(), created_at: now });
        }
    }

    /// Creates a deployment, or merges the default branch into its ref first, as GitHub does.
    pub fn create_deployment(&mut self, wish: DeploymentWish, by: &str, now: i64) -> Result<Created, Refusal> {
        let sha = self
            .history
            .resolve(&wish.git_ref)
            .ok_or_else(|| Refusal::new(422, format!("No ref found for: {}", wish.git_ref)))?;
        let default = self.repository.default_branch.clone();
        if wish.auto_merge
            && wish.git_ref != default
            && self.history.branch(&wish.git_ref).is_some()
            && let Some(tip) = self.history.branch(&default)
            && !self.history.is_ancestor(&tip, &sha)
        {
            let who = self.signature(by, now);
            let message = format!("Merge {default} into {}", wish.git_ref);
            return match self.history.merge(&wish.git_ref, &tip, MergeMethod::Merge, &message, &who) {
                Ok(after) => {
                    self.pushed(&wish.git_ref, Some(sha), &after, by, now);
                    Ok(Created::Merged(format!("Auto-merged {default} into {} on deployment.", wish.git_ref)))
                }
                Err(HistoryError::Conflict) => {
                    Err(Refusal::new(409, format!("Conflict merging {default} into {}.", wish.git_ref)))
                }
                Err(other) => Err(other.into()),
            };
        }
        self.contexts_are_green(&wish, &sha)?;
        let environment = wish.environment.unwrap_or_else(|| "production".to_owned());
        if environment.chars().count() > 255 || environment.trim().is_empty() {
            return Err(Refusal::invalid("Deployment", "environment", "invalid"));
        }
        if wish.description.as_ref().is_some_and(|text| text.chars().count() > 140) {
            return Err(Refusal::invalid_because(
                "Deployment",
                "description",
                "description is too long (maximum is 140 characters)",
            ));
        }
        self.ensure_environment(&environment, now);
        let id = self.next_id();
        let production = wish.production.unwrap_or(environment.eq_ignore_ascii_case("production"));
        self.deployments.insert(
            id,
            Deployment {
                id,
                sha,
                git_ref: wish.git_ref,
                task: wish.task.unwrap_or_else(|| "deploy".to_owned()),
                environment,
                description: wish.description,
                payload: wish.payload,
                creator: by.to_owned(),
                transient: wish.transient,
                production,
                created_at: now,
                updated_at: now,
            },
        );
        if self.hears("deployment") {
            let payload =
                json!({ "deployment": self.deployment_json(id), "workflow": Value::Null, "workflow_run": Value::Null });
            self.send("deployment", Some("created"), payload, by, now);
        }
        Ok(Created::Deployment(id))
    }

    fn contexts_are_green(&self, wish: &DeploymentWish, sha: &str) -> Result<(), Refusal> {
        let runs = self.check_runs_of(sha, true);
        let green =
            |conclusion: &Option<String>| matches!(conclusion.as_deref(), Some("success" | "neutral" | "skipped"));
        let wanted: Vec<String> = match &wish.required_contexts {
            Some(contexts) => contexts.clone(),
            None => runs.iter().map(|run| run.name.clone()).collect(),
        };
        let missing: Vec<Value> = wanted
            .iter()
            .filter(|name| !runs.iter().any(|run| run.name == **name && green(&run.conclusion)))
            .map(|name| json!({ "context": name, "state": "pending" }))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut refusal = Refusal::new(409, format!("Conflict: Commit status checks failed for {}.", wish.git_ref));
        refusal.errors = vec![
            json!({ "contexts": missing, "resource": "Deployment", "field": "required_contexts", "code": "invalid" }),
        ];
        Err(refusal)
    }

    /// Adds a status to a deployment.
    pub fn create_deployment_status(
        &mut self,
        deployment: u64,
        wish: StatusWish,
        by: &str,
        now: i64,
    ) -> Result<u64, Refusal> {
        let of = self.deployments.get_mut(&deployment).ok_or_else(Refusal::not_found)?;
        if !STATES.contains(&wish.state.as_str()) {
            return Err(Refusal::invalid("DeploymentStatus", "state", "invalid"));
        }
        if wish.description.as_ref().is_some_and(|text| text.chars().count() > 140) {
            return Err(Refusal::invalid_because(
                "DeploymentStatus",
                "description",
                "description is too long (maximum is 140 characters)",
            ));
        }
        for url in [&wish.log_url, &wish.environment_url].into_iter().flatten() {
            if !url.is_empty() && !url.starts_with("http://") && !url.starts_with("https://") {
                return Err(Refusal::invalid_because("DeploymentStatus", "log_url", "must use http(s) scheme"));
            }
        }
        of.updated_at = now;
        let environment = wish.environment.clone().unwrap_or_else(|| of.environment.clone());
        let id = self.next_id();
        let status = DeploymentStatus {
            id,
            deployment,
            state: wish.state.clone(),
            description: wish.description.unwrap_or_default(),
            log_url: wish.log_url.unwrap_or_default(),
            environment_url: wish.environment_url.unwrap_or_default(),
            environment: environment.clone(),
            creator: by.to_owned(),
            created_at: now,
        };
        self.deployment_statuses.insert(id, status);
        if wish.state == "success" && wish.auto_inactive != Some(false) {
            self.make_others_inactive(deployment, &environment, by, now);
        }
        // GitHub sends no event for `inactive`.
        if wish.state != "inactive" && self.hears("deployment_status") {
            let payload = json!({
                "deployment": self.deployment_json(deployment),
                "deployment_status": self.deployment_status_json(id),
                "check_run": Value::Null,
                "workflow": Value::Null,
                "workflow_run": Value::Null,
            });
            self.send("deployment_status", Some("created"), payload, by, now);
        }
        Ok(id)
    }

    fn make_others_inactive(&mut self, deployment: u64, environment: &str, by: &str, now: i64) {
        let others: Vec<u64> = self
            .deployments
            .values()
            .filter(|other| {
                other.id < deployment
                    && !other.transient
                    && !other.production
                    && other.environment.eq_ignore_ascii_case(environment)
            })
            .map(|other| other.id)
            .filter(|id| self.state_of(*id).is_some_and(|state| state != "inactive"))
            .collect();
        for other in others {
            let id = self.next_id();
            let status = DeploymentStatus {
                id,
                deployment: other,
                state: "inactive".to_owned(),
                description: String::new(),
                log_url: String::new(),
                environment_url: String::new(),
                environment: environment.to_owned(),
                creator: by.to_owned(),
                created_at: now,
            };
            self.deployment_statuses.insert(id, status);
        }
    }

    /// Statuses of a deployment, newest first.
    pub fn statuses_of(&self, deployment: u64) -> Vec<&DeploymentStatus> {
        self.deployment_statuses.values().rev().filter(|status| status.deployment == deployment).collect()
    }

    /// The latest state of a deployment, if it has one.
    pub fn state_of(&self, deployment: u64) -> Option<&str> {
        self.deployment_statuses
            .values()
            .rev()
            .find(|status| status.deployment == deployment)
            .map(|status| status.state.as_str())
    }
}
