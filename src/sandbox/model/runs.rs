//! Workflow files and workflow runs.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::json::object;
use super::{Model, Refusal};
use crate::sandbox::history::Entry;

/// Inputs of a dispatch at most.
pub const INPUTS_MAX: usize = 25;

/// A workflow file on a branch.
#[derive(Debug, Clone)]
pub struct Workflow {
    pub id: u64,
    pub path: String,
    pub name: String,
    pub run_name: Option<String>,
    /// Whether it can be dispatched, and with which inputs.
    pub dispatch: Option<BTreeMap<String, WorkflowInput>>,
    /// Environments of its jobs, as they are written.
    pub environments: Vec<String>,
}

/// An input that a workflow declares.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct WorkflowInput {
    #[serde(default)]
    pub required: bool,
    #[serde(default)]
    pub default: Option<Value>,
}

/// Where a workflow run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunState {
    Queued,
    InProgress { since: i64 },
    Completed { at: i64, conclusion: String },
}

impl RunState {
    /// GitHub's `status`.
    pub fn status(&self) -> &'static str {
        match self {
            RunState::Queued => "queued",
            RunState::InProgress { .. } => "in_progress",
            RunState::Completed { .. } => "completed",
        }
    }

    /// GitHub's `conclusion`.
    pub fn conclusion(&self) -> Option<&str> {
        match self {
            RunState::Queued | RunState::InProgress { .. } => None,
            RunState::Completed { conclusion, .. } => Some(conclusion),
        }
    }
}

/// A workflow run.
#[derive(Debug, Clone)]
pub struct Run {
    pub id: u64,
    pub number: u64,
    pub workflow_id: u64,
    pub workflow_path: String,
    pub workflow_name: String,
    pub display_title: String,
    pub event: String,
    pub head_branch: String,
    pub head_sha: String,
    pub actor: String,
    pub inputs: BTreeMap<String, String>,
    pub state: RunState,
    /// Environments of its jobs.
    pub environments: Vec<String>,
    /// The environment at whose protection rule it waits.
    pub waits_for: Option<String>,
    /// What the App said where it waited.
    pub protection: Vec<super::ProtectionWord>,
    /// It will fail when it ends.
    pub fails: bool,
    pub cancel_wanted: bool,
    /// What a local command wrote, cut to a bounded size.
    pub output: String,
    pub created_at: i64,
    pub updated_at: i64,
}

impl Run {
    /// GitHub's `status`.
    pub fn status(&self) -> &'static str {
        if self.waits_for.is_some() { "waiting" } else { self.state.status() }
    }
}

/// How long runs take.
#[derive(Debug, Clone)]
pub struct RunTimes {
    pub queued_ms: i64,
    pub running_ms: i64,
    /// A started run waits for somebody to finish it (a local command, or a test).
    pub finished_by_hand: bool,
    /// Runs stay queued until this is off again.
    pub held: bool,
}

impl Default for RunTimes {
    fn default() -> Self {
        Self { queued_ms: 1_000, running_ms: 3_000, finished_by_hand: false, held: false }
    }
}

/// A dispatched run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatch {
    pub run: u64,
}

#[derive(Deserialize)]
struct WorkflowFile {
    name: Option<String>,
    #[serde(rename = "run-name")]
    run_name: Option<String>,
    on: Option<Value>,
    jobs: Option<Value>,
}

impl Model {
    /// Workflows of the default branch.
    pub fn workflows(&mut self) -> Vec<Workflow> {
        let branch = self.repository.default_branch.clone();
        let Some(tip) = self.history.branch(&branch) else {
            return Vec::new();
        };
        let Some(Entry::Directory(entries)) = self.history.read(&tip, ".github/workflows") else {
            return Vec::new();
        };
        let names: Vec<String> = entries
            .into_iter()
            .filter(|entry| !entry.is_directory && (entry.name.ends_with(".yml") || entry.name.ends_with(".yaml")))
            .map(|entry| entry.name)
            .collect();
        names.into_iter().filter_map(|name| self.workflow_at(&tip, &format!(".github/workflows/{name}"))).collect()
    }

    fn workflow_at(&mut self, sha: &str, path: &str) -> Option<Workflow> {
        let Some(Entry::File { sha: blob, bytes }) = self.history.read(sha, path) else {
            return None;
        };
        let key = (path.to_owned(), blob);
        if let Some(known) = self.workflows_read.get(&key) {
            return Some(known.clone());
        }
        let text = String::from_utf8_lossy(&bytes);
        let file: WorkflowFile = serde_saphyr::from_str(&text).ok()?;
        let id = match self.workflow_ids.get(path) {
            Some(id) => *id,
            None => {
                let id = self.next_id();
                self.workflow_ids.insert(path.to_owned(), id);
                id
            }
        };
        let workflow = Workflow {
            id,
            name: file.name.unwrap_or_else(|| path.to_owned()),
            path: path.to_owned(),
            run_name: file.run_name,
            dispatch: file.on.as_ref().and_then(dispatch_inputs),
            environments: file.jobs.as_ref().map(environments).unwrap_or_default(),
        };
        self.workflows_read.insert(key, workflow.clone());
        Some(workflow)
    }

    /// A workflow by its number or file name.
    pub fn workflow(&mut self, id_or_file: &str) -> Result<Workflow, Refusal> {
        self.workflows()
            .into_iter()
            .find(|workflow| {
                workflow.id.to_string() == id_or_file
                    || workflow.path.rsplit('/').next() == Some(id_or_file)
                    || workflow.path == id_or_file
            })
            .ok_or_else(Refusal::not_found)
    }

    /// Starts a run by `workflow_dispatch`. `git_ref` is a branch or a tag, never a SHA.
    pub fn dispatch(
        &mut self,
        workflow: &str,
        git_ref: &str,
        inputs: BTreeMap<String, String>,
        by: &str,
        now: i64,
    ) -> Result<Dispatch, Refusal> {
        let on_default = self.workflow(workflow)?;
        let short =
            git_ref.strip_prefix("refs/heads/").or_else(|| git_ref.strip_prefix("refs/tags/")).unwrap_or(git_ref);
        let sha = self
            .history
            .branch(short)
            .or_else(|| self.history.tag(short))
            .ok_or_else(|| Refusal::new(422, format!("No ref found for: {git_ref}")))?;
        if inputs.len() > INPUTS_MAX {
            return Err(Refusal::new(
                422,
                format!(
                    "Invalid request.\n\nNo more than {INPUTS_MAX} properties are allowed; {} were supplied.",
                    inputs.len()
                ),
            ));
        }
        let workflow = self.workflow_at(&sha, &on_default.path).ok_or_else(Refusal::not_found)?;
        let Some(declared) = &workflow.dispatch else {
            return Err(Refusal::new(422, "Workflow does not have 'workflow_dispatch' trigger"));
        };
        let unexpected: Vec<&String> = inputs.keys().filter(|name| !declared.contains_key(*name)).collect();
        if !unexpected.is_empty() {
            return Err(Refusal::new(422, format!("Unexpected inputs provided: {unexpected:?}")));
        }
        let mut all = BTreeMap::new();
        for (name, input) in declared {
            let given = inputs
                .get(name)
                .cloned()
                .filter(|value| !value.is_empty())
                .or_else(|| input.default.as_ref().map(plain));
            match given {
                Some(value) => all.insert(name.clone(), value),
                None if input.required => {
                    return Err(Refusal::new(422, format!("Required input '{name}' not provided")));
                }
                None => all.insert(name.clone(), String::new()),
            };
        }
        let environment = all.get("environment").cloned();
        let mut fails = environment.as_ref().is_some_and(|name| self.failing.contains(name));
        if let Some(at) = self.to_fail.iter().position(|wanted| wanted.is_none() || *wanted == environment) {
            self.to_fail.remove(at);
            fails = true;
        }
        let id = self.next_id();
        let number = 1 + self.runs.values().filter(|run| run.workflow_id == workflow.id).count() as u64;
        let display_title =
            workflow.run_name.as_deref().map_or_else(|| workflow.name.clone(), |text| filled_in(text, &all, short));
        let run = Run {
            id,
            number,
            workflow_id: workflow.id,
            workflow_path: workflow.path,
            workflow_name: workflow.name,
            display_title,
            environments: workflow.environments.iter().map(|name| filled_in(name, &all, short)).collect(),
            waits_for: None,
            protection: Vec::new(),
            event: "workflow_dispatch".to_owned(),
            head_branch: short.to_owned(),
            head_sha: sha,
            actor: by.to_owned(),
            inputs: all,
            state: RunState::Queued,
            fails,
            cancel_wanted: false,
            output: String::new(),
            created_at: now,
            updated_at: now,
        };
        self.runs.insert(id, run);
        self.run_event(id, "requested", now);
        Ok(Dispatch { run: id })
    }

    /// A workflow run by its id.
    pub fn run(&self, id: u64) -> Result<&Run, Refusal> {
        self.runs.get(&id).ok_or_else(Refusal::not_found)
    }

    /// Workflow runs as a list shows them at `now`, newest first.
    pub fn listed_runs(&self, now: i64) -> Vec<&Run> {
        self.runs.values().rev().filter(|run| run.created_at + self.manners.list_lag_ms <= now).collect()
    }

    /// Moves runs on whose time has come.
    pub fn tick(&mut self, now: i64) {
        loop {
            let due = self
                .runs
                .values()
                .filter_map(|run| self.next_step(run).map(|at| (at, run.id)))
                .min()
                .filter(|(at, _)| *at <= now);
            let Some((at, id)) = due else { return };
            self.step(id, at.max(self.runs.get(&id).map_or(at, |run| run.updated_at)));
        }
    }

    /// When the next run moves on by itself, if any will.
    pub fn next_tick_at(&self) -> Option<i64> {
        self.runs.values().filter_map(|run| self.next_step(run)).min()
    }

    fn next_step(&self, run: &Run) -> Option<i64> {
        match run.state {
            RunState::Queued if run.cancel_wanted => Some(run.updated_at),
            RunState::Queued if self.run_times.held || run.waits_for.is_some() => None,
            RunState::Queued => Some(run.created_at + self.run_times.queued_ms),
            RunState::InProgress { .. } if self.run_times.finished_by_hand => None,
            RunState::InProgress { .. } if run.cancel_wanted => Some(run.updated_at),
            RunState::InProgress { since } => Some(since + self.run_times.running_ms),
            RunState::Completed { .. } => None,
        }
    }

    fn step(&mut self, id: u64, now: i64) {
        let Some(run) = self.runs.get_mut(&id) else {
            return;
        };
        match run.state {
            RunState::Queued if !run.cancel_wanted => self.start_run(id, now),
            RunState::Queued | RunState::InProgress { .. } => {
                let conclusion = if run.cancel_wanted {
                    "cancelled"
                } else if run.fails {
                    "failure"
                } else {
                    "success"
                };
                self.finish_run(id, conclusion, "", now);
            }
            RunState::Completed { .. } => {}
        }
    }

    /// Ends a run with a conclusion; what is over stays as it was.
    pub fn finish_run(&mut self, id: u64, conclusion: &str, output: &str, now: i64) {
        let Some(run) = self.runs.get_mut(&id) else {
            return;
        };
        if matches!(run.state, RunState::Completed { .. }) {
            return;
        }
        let conclusion = if run.cancel_wanted {
            "cancelled"
        } else if run.fails && conclusion == "success" {
            "failure"
        } else {
            conclusion
        };
        run.state = RunState::Completed { at: now, conclusion: conclusion.to_owned() };
        run.waits_for = None;
        if !output.is_empty() {
            run.output = output.to_owned();
        }
        run.updated_at = now;
        self.run_event(id, "completed", now);
    }

    /// Asks a run to stop; it ends as cancelled at the next tick.
    pub fn cancel_run(&mut self, id: u64, now: i64) -> Result<(), Refusal> {
        let run = self.runs.get_mut(&id).ok_or_else(Refusal::not_found)?;
        if matches!(run.state, RunState::Completed { .. }) {
            return Err(Refusal::new(409, "Cannot cancel a workflow run that is completed."));
        }
        run.cancel_wanted = true;
        run.updated_at = now;
        Ok(())
    }

    /// Turns a run's own switch: whether it will fail.
    pub fn set_run_fails(&mut self, id: u64, fails: bool) -> Result<(), Refusal> {
        self.runs.get_mut(&id).ok_or_else(Refusal::not_found)?.fails = fails;
        Ok(())
    }

    pub(super) fn run_event(&mut self, id: u64, action: &str, now: i64) {
        let Some(run) = self.runs.get(&id).filter(|_| self.hears("workflow_run")) else {
            return;
        };
        let workflow = self.workflow_json_of(run.workflow_id, &run.workflow_path, &run.workflow_name);
        let payload = object([("workflow_run", self.run_json(run)), ("workflow", workflow)]);
        let by = run.actor.clone();
        self.send("workflow_run", Some(action), payload, &by, now);
    }
}

fn dispatch_inputs(on: &Value) -> Option<BTreeMap<String, WorkflowInput>> {
    match on {
        Value::String(name) => (name == "workflow_dispatch").then(BTreeMap::new),
        Value::Array(names) => names.iter().any(|name| name == "workflow_dispatch").then(BTreeMap::new),
        Value::Object(events) => {
            let dispatch = events.get("workflow_dispatch")?;
            let inputs = dispatch.get("inputs").and_then(Value::as_object);
            Some(
                inputs
                    .into_iter()
                    .flatten()
                    .map(|(name, input)| (name.clone(), serde_json::from_value(input.clone()).unwrap_or_default()))
                    .collect(),
            )
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// The environments that jobs name, in the order of the jobs.
fn environments(jobs: &Value) -> Vec<String> {
    let jobs = jobs.as_object().into_iter().flatten();
    let named = jobs.filter_map(|(_, job)| {
        let environment = job.get("environment")?;
        environment.as_str().or_else(|| environment.get("name")?.as_str()).map(str::to_owned)
    });
    named.collect()
}

/// A YAML scalar as an input's text.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Replaces `${{ inputs.x }}` (and the ref's name) in a `run-name`.
fn filled_in(text: &str, inputs: &BTreeMap<String, String>, git_ref: &str) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${{") {
        filled.push_str(&rest[..at]);
        let Some(end) = rest[at..].find("}}") else {
            break;
        };
        let expression = rest[at + 3..at + end].trim();
        let name = ["inputs.", "github.event.inputs."].iter().find_map(|prefix| expression.strip_prefix(prefix));
        match name {
            Some(name) => filled.push_str(inputs.get(name).map_or("", String::as_str)),
            None if expression == "github.ref_name" => filled.push_str(git_ref),
            None => {}
        }
        rest = &rest[at + end + 2..];
    }
    filled.push_str(rest);
    filled
}
