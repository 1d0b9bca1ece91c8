//! Custom deployment protection rules: environments at which a workflow run waits for the App's word.

use serde_json::{Value, json};

use super::runs::{Run, RunState};
use super::{Created, DeploymentWish, Model, Refusal};

/// Reports without an answer that GitHub takes for one run and environment.
const REPORTS_MAX: usize = 10;

/// What the App said of a run that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectionWord {
    pub environment: String,
    /// `approved`, `rejected`, or nothing yet.
    pub state: Option<String>,
    pub comment: String,
    pub at: i64,
}

impl Model {
    /// Turns an environment's custom protection rule on or off; it is the App's.
    pub fn protect_environment(&mut self, name: &str, protected: bool, now: i64) {
        self.ensure_environment(name, now);
        if protected {
            self.protected.insert(name.to_lowercase());
        } else {
            self.protected.remove(&name.to_lowercase());
        }
    }

    /// The App answers a run that waits, or with no state only reports.
    pub fn answer_protection(
        &mut self,
        run: u64,
        environment: &str,
        state: Option<&str>,
        comment: &str,
        now: i64,
    ) -> Result<(), Refusal> {
        let invalid = |field: &str| Refusal::invalid("DeploymentProtectionRule", field, "invalid");
        if state.is_some_and(|state| !["approved", "rejected"].contains(&state)) {
            return Err(invalid("state"));
        }
        if comment.chars().count() > 1_024 || (state.is_none() && comment.is_empty()) {
            return Err(invalid("comment"));
        }
        let waiting = self.runs.get_mut(&run).ok_or_else(Refusal::not_found)?;
        let here = |name: &str| name.eq_ignore_ascii_case(environment);
        if !waiting.waits_for.as_deref().is_some_and(here) {
            let why = format!("There is no pending deployment to {environment} that waits for this rule.");
            return Err(Refusal::new(422, why));
        }
        let reports = waiting.protection.iter().filter(|word| word.state.is_none() && here(&word.environment));
        if state.is_none() && reports.count() >= REPORTS_MAX {
            return Err(Refusal::new(422, "The maximum number of status reports for this deployment is reached."));
        }
        waiting.protection.push(ProtectionWord {
            environment: environment.to_owned(),
            state: state.map(str::to_owned),
            comment: comment.to_owned(),
            at: now,
        });
        waiting.updated_at = now;
        match state {
            Some("approved") => {
                waiting.waits_for = None;
                self.start_run(run, now);
            }
            Some(_) => {
                waiting.waits_for = None;
                self.finish_run(run, "failure", "", now);
            }
            None => {}
        }
        Ok(())
    }

    /// The next protected environment of a run for which there is no answer yet.
    fn next_rule(&self, run: &Run) -> Option<String> {
        let answered = |name: &str| {
            run.protection.iter().any(|word| word.state.is_some() && word.environment.eq_ignore_ascii_case(name))
        };
        run.environments.iter().find(|name| self.protected.contains(&name.to_lowercase()) && !answered(name)).cloned()
    }

    /// Starts a run, or lets it wait where a rule has not answered yet.
    pub(super) fn start_run(&mut self, id: u64, now: i64) {
        let Some(run) = self.runs.get(&id) else { return };
        let rule = self.next_rule(run);
        let Some(run) = self.runs.get_mut(&id) else { return };
        run.updated_at = now;
        match rule {
            Some(environment) => {
                run.waits_for = Some(environment.clone());
                self.ask_rule(id, &environment, now);
            }
            None => {
                run.state = RunState::InProgress { since: now };
                self.run_event(id, "in_progress", now);
            }
        }
    }

    fn ask_rule(&mut self, id: u64, environment: &str, now: i64) {
        let Some(run) = self.runs.get(&id).cloned() else { return };
        // A job with an environment makes GitHub create a deployment of its own.
        let wish = DeploymentWish::of(&run.head_sha, environment);
        let deployment = match self.create_deployment(wish, &run.actor, now) {
            Ok(Created::Deployment(deployment)) => self.deployment_json(deployment),
            Ok(Created::Merged(_)) | Err(_) => Value::Null,
        };
        if !self.hears("deployment_protection_rule") {
            return;
        }
        let payload = json!({
            "environment": environment,
            "event": run.event,
            "deployment_callback_url":
                self.repository_url(&format!("/actions/runs/{id}/deployment_protection_rule")),
            "deployment": deployment,
            "pull_requests": [],
        });
        self.send("deployment_protection_rule", Some("requested"), payload, &run.actor, now);
    }
}
