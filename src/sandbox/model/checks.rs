//! Check suites and check runs, with GitHub's limits.

use serde_json::json;

use super::json::object;
use super::{Model, Refusal};

const OUTPUT_CHARS_MAX: usize = 65_535;
const ANNOTATIONS_A_REQUEST_MAX: usize = 50;

/// A mark at lines of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    pub path: String,
    pub start_line: u64,
    pub end_line: u64,
    pub start_column: Option<u64>,
    pub end_column: Option<u64>,
    /// `notice`, `warning` or `failure`.
    pub level: String,
    pub message: String,
    pub title: Option<String>,
    pub raw_details: Option<String>,
}

/// A button on a completed check run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckAction {
    pub label: String,
    pub description: String,
    pub identifier: String,
}

/// A check run.
#[derive(Debug, Clone)]
pub struct CheckRun {
    pub id: u64,
    pub suite: u64,
    pub head_sha: String,
    /// Slug of another App that made it, for instance `github-actions`.
    pub other_app: Option<String>,
    pub name: String,
    pub external_id: Option<String>,
    pub details_url: Option<String>,
    pub status: String,
    pub conclusion: Option<String>,
    pub started_at: i64,
    pub completed_at: Option<i64>,
    pub title: Option<String>,
    pub summary: Option<String>,
    pub text: Option<String>,
    pub annotations: Vec<Annotation>,
    pub actions: Vec<CheckAction>,
    /// Somebody wants it again and the App has not answered yet.
    pub asked_again: bool,
    pub created_at: i64,
}

/// Output that a request brings.
#[derive(Debug, Clone, Default)]
pub struct OutputWish {
    pub title: Option<String>,
    pub summary: Option<String>,
    pub text: Option<String>,
    pub annotations: Vec<Annotation>,
}

/// What a request wants of a check run; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct CheckRunWish {
    pub name: Option<String>,
    pub head_sha: Option<String>,
    pub details_url: Option<String>,
    pub external_id: Option<String>,
    pub status: Option<String>,
    pub conclusion: Option<String>,
    pub started_at: Option<i64>,
    pub completed_at: Option<i64>,
    pub output: Option<OutputWish>,
    pub actions: Option<Vec<CheckAction>>,
}

impl CheckRunWish {
    fn check(&self) -> Result<(), Refusal> {
        let invalid = |field: &str, why: &str| Refusal::invalid_because("CheckRun", field, why);
        if let Some(status) = &self.status
            && !["queued", "in_progress", "completed"].contains(&status.as_str())
        {
            return Err(invalid("status", "status is not included in the list"));
        }
        if let Some(conclusion) = &self.conclusion
            && !["success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required"]
                .contains(&conclusion.as_str())
        {
            return Err(invalid("conclusion", "conclusion is not included in the list"));
        }
        if self.status.as_deref() == Some("completed") && self.conclusion.is_none() {
            return Err(Refusal::new(422, "Invalid request.\n\nMissing conclusion for a completed check run."));
        }
        if let Some(output) = &self.output {
            if output.title.is_none() || output.summary.is_none() {
                return Err(Refusal::new(422, "Invalid request.\n\n\"title\", \"summary\" weren't supplied."));
            }
            for (field, text) in [("summary", &output.summary), ("text", &output.text)] {
                if text.as_ref().is_some_and(|text| text.chars().count() > OUTPUT_CHARS_MAX) {
                    return Err(invalid(field, &format!("{field} exceeds a maximum of {OUTPUT_CHARS_MAX} characters")));
                }
            }
            if output.annotations.len() > ANNOTATIONS_A_REQUEST_MAX {
                return Err(Refusal::new(
                    422,
                    "Invalid request.\n\nNo more than 50 items are allowed; annotations had too many.",
                ));
            }
            for annotation in &output.annotations {
                let same_line = annotation.start_line == annotation.end_line;
                if !["notice", "warning", "failure"].contains(&annotation.level.as_str())
                    || annotation.start_line == 0
                    || annotation.end_line < annotation.start_line
                    || (!same_line && (annotation.start_column.is_some() || annotation.end_column.is_some()))
                    || annotation.message.is_empty()
                    || annotation.message.len() > 65_536
                    || annotation.path.is_empty()
                {
                    return Err(invalid("annotations", "annotation is invalid"));
                }
            }
        }
        if let Some(actions) = &self.actions {
            if actions.len() > 3 {
                return Err(Refusal::new(
                    422,
                    "Invalid request.\n\nNo more than 3 items are allowed; actions had too many.",
                ));
            }
            for action in actions {
                for (text, limit) in [(&action.label, 20), (&action.description, 40), (&action.identifier, 20)] {
                    if text.is_empty() || text.chars().count() > limit {
                        return Err(Refusal::new(
                            422,
                            format!("Invalid request.\n\nOnly {limit} characters are allowed; {text:?} was supplied."),
                        ));
                    }
                }
            }
        }
        Ok(())
    }
}

impl Model {
    pub(super) fn suite_of(&mut self, sha: &str, now: i64) -> u64 {
        if let Some((id, _)) = self.suites.get(sha) {
            return *id;
        }
        let id = self.next_id();
        self.suites.insert(sha.to_owned(), (id, now));
        id
    }

    /// Makes the suite of a pushed commit and asks the App to fill it, once per commit.
    pub(super) fn request_suite(&mut self, sha: &str, by: &str, now: i64) {
        let writes = self.app.permissions.get("checks").is_some_and(|level| level == "write");
        if !writes || !self.manners.requests_suites || self.suites.contains_key(sha) {
            return;
        }
        self.suite_of(sha, now);
        self.suite_event(sha, "requested", by, now);
    }

    fn suite_event(&mut self, sha: &str, action: &str, by: &str, now: i64) {
        if !self.hears("check_suite") {
            return;
        }
        let payload = object([("check_suite", self.suite_json(sha))]);
        self.send("check_suite", Some(action), payload, by, now);
    }

    /// Creates a check run.
    pub fn create_check_run(&mut self, wish: CheckRunWish, now: i64) -> Result<u64, Refusal> {
        self.create_check_run_of(None, wish, now)
    }

    /// Another App creates a check run; `slug` is for instance `github-actions`.
    pub fn create_check_run_of(&mut self, slug: Option<&str>, wish: CheckRunWish, now: i64) -> Result<u64, Refusal> {
        wish.check()?;
        let (Some(name), Some(sha)) = (wish.name.clone(), wish.head_sha.clone()) else {
            return Err(Refusal::new(422, "Invalid request.\n\n\"name\", \"head_sha\" weren't supplied."));
        };
        if self.history.commit(&sha).is_none() {
            return Err(Refusal::new(422, format!("No commit found for SHA: {sha}")));
        }
        let suite = self.suite_of(&sha, now);
        let id = self.next_id();
        let run = CheckRun {
            id,
            suite,
            head_sha: sha,
            other_app: slug.map(str::to_owned),
            name,
            external_id: None,
            details_url: None,
            status: "queued".to_owned(),
            conclusion: None,
            started_at: now,
            completed_at: None,
            title: None,
            summary: None,
            text: None,
            annotations: Vec::new(),
            actions: Vec::new(),
            asked_again: false,
            created_at: now,
        };
        self.check_runs.insert(id, run);
        self.apply(id, wish, now);
        let completed = self.check_runs.get(&id).is_some_and(|run| run.status == "completed");
        self.check_event(id, "created", None, None, now);
        if completed {
            self.check_event(id, "completed", None, None, now);
        }
        self.mind_queue(now);
        Ok(id)
    }

    /// Changes a check run; annotations are added to those it has.
    pub fn update_check_run(&mut self, id: u64, wish: CheckRunWish, now: i64) -> Result<(), Refusal> {
        wish.check()?;
        let before = self.check_runs.get(&id).ok_or_else(Refusal::not_found)?;
        let was_done = before.status == "completed" && !before.asked_again;
        self.apply(id, wish, now);
        let is_done = self.check_runs.get(&id).is_some_and(|run| run.status == "completed");
        if !was_done && is_done {
            self.check_event(id, "completed", None, None, now);
        }
        self.mind_queue(now);
        Ok(())
    }

    fn apply(&mut self, id: u64, wish: CheckRunWish, now: i64) {
        let Some(run) = self.check_runs.get_mut(&id) else {
            return;
        };
        run.asked_again = false;
        if let Some(name) = wish.name {
            run.name = name;
        }
        run.external_id = wish.external_id.or(run.external_id.take());
        run.details_url = wish.details_url.or(run.details_url.take());
        run.started_at = wish.started_at.unwrap_or(run.started_at);
        if let Some(status) = wish.status {
            run.status = status;
            if run.status != "completed" {
                run.conclusion = None;
                run.completed_at = None;
            }
        }
        if let Some(conclusion) = wish.conclusion {
            // GitHub sets the status to completed when only a conclusion is sent.
            run.conclusion = Some(conclusion);
            run.status = "completed".to_owned();
            run.completed_at = Some(wish.completed_at.unwrap_or(now));
        }
        if let Some(output) = wish.output {
            run.title = output.title;
            run.summary = output.summary;
            run.text = output.text;
            run.annotations.extend(output.annotations);
        }
        if let Some(actions) = wish.actions {
            run.actions = actions;
        }
    }

    /// A person asks for a check run again. Its suite is open again; the run itself stays as it is
    /// until the App changes it or makes another.
    pub fn rerequest_check(&mut self, id: u64, by: &str, now: i64) -> Result<(), Refusal> {
        let run = self.check_runs.get_mut(&id).ok_or_else(Refusal::not_found)?;
        run.asked_again = true;
        self.check_event(id, "rerequested", Some(by), None, now);
        Ok(())
    }

    /// A person asks for all checks of a commit again.
    pub fn rerequest_suite(&mut self, sha: &str, by: &str, now: i64) -> Result<(), Refusal> {
        if !self.suites.contains_key(sha) {
            return Err(Refusal::not_found());
        }
        for run in self.check_runs.values_mut().filter(|run| run.head_sha == sha) {
            run.asked_again = true;
        }
        self.suite_event(sha, "rerequested", by, now);
        Ok(())
    }

    /// A person presses a check run's button.
    pub fn request_action(&mut self, id: u64, identifier: &str, by: &str, now: i64) -> Result<(), Refusal> {
        let run = self.check_runs.get(&id).ok_or_else(Refusal::not_found)?;
        if run.status != "completed" || !run.actions.iter().any(|action| action.identifier == identifier) {
            return Err(Refusal::not_found());
        }
        self.check_event(id, "requested_action", Some(by), Some(identifier), now);
        Ok(())
    }

    fn check_event(&mut self, id: u64, action: &str, by: Option<&str>, identifier: Option<&str>, now: i64) {
        let Some(run) = self.check_runs.get(&id) else {
            return;
        };
        let (sha, ours) = (run.head_sha.clone(), run.other_app.is_none());
        let bot = run.other_app.as_ref().map_or_else(|| self.app.bot_login(), |slug| format!("{slug}[bot]"));
        if self.hears("check_run") {
            let mut shown = self.check_run_json(run);
            shown["check_suite"] = self.suite_brief_json(&run.head_sha);
            let mut payload = object([("check_run", shown)]);
            if let Some(identifier) = identifier {
                payload["requested_action"] = json!({ "identifier": identifier });
            }
            self.send("check_run", Some(action), payload, by.unwrap_or(&bot), now);
        }
        let suite_is_done = action == "completed"
            && ours
            && self.manners.requests_suites
            && self
                .check_runs_of(&sha, true)
                .iter()
                .filter(|run| run.other_app.is_none())
                .all(|run| run.status == "completed" && !run.asked_again);
        if suite_is_done {
            self.suite_event(&sha, "completed", &bot, now);
        }
    }

    /// Check runs of a commit, newest first; only the latest of each name of an App when `latest`.
    pub fn check_runs_of(&self, sha: &str, latest: bool) -> Vec<&CheckRun> {
        let mut runs: Vec<&CheckRun> = Vec::new();
        for run in self.check_runs.values().rev().filter(|run| run.head_sha == sha) {
            let alike = |other: &&CheckRun| other.name == run.name && other.other_app == run.other_app;
            if !latest || !runs.iter().any(alike) {
                runs.push(run);
            }
        }
        runs
    }
}
