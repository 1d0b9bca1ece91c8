//! The state of the sandbox GitHub and the rules by which it changes.
//!
//! Knows what GitHub would know: people, a repository, its pull requests, checks, deployments and
//! workflow runs, and which webhooks a change causes. Knows no HTTP, no clock and no chance: the
//! time comes in as `now` (milliseconds since 1970), ids come from counters, and everything is kept
//! in order, so the same calls always give the same answers.

mod artifacts;
mod checks;
mod deployments;
mod hooks;
mod json;
mod json_pulls;
mod json_work;
mod people;
mod protection;
mod pulls;
mod queue;
mod reverts;
mod runs;
mod statuses;
mod talk;

pub use artifacts::Artifact;
pub use checks::{Annotation, CheckAction, CheckRun, CheckRunWish, OutputWish};
pub use deployments::{Created, Deployment, DeploymentStatus, DeploymentWish, Environment, StatusWish};
pub use hooks::{Delivery, DeliveryResult, OutgoingEvent};
pub use json::{encoded, encoded_path, node, rfc3339, text_or_null};
pub use people::{Kind, Permission, Team, User};
pub use protection::ProtectionWord;
pub use pulls::{PULL_COMMITS_MAX, PULL_FILES_MAX, Pull, PullEdit, PullState, PullWish};
pub use queue::{Group, QueueEntry};
pub use reverts::RevertWish;
pub use runs::{Dispatch, Run, RunState, RunTimes, Workflow, plain};
pub use statuses::{CommitStatus, CommitStatusWish};
pub use talk::{Comment, Issue, Label, Reaction, Review};

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::history::{History, HistoryError, Signature};

/// Why GitHub refuses a request: its status and body.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    pub status: u16,
    pub message: String,
    /// GitHub's `errors` list: objects, or sentences in some answers.
    pub errors: Vec<Value>,
}

impl Refusal {
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), errors: Vec::new() }
    }

    pub fn not_found() -> Self {
        Self::new(404, "Not Found")
    }

    /// A 422 whose `errors` names a field, as GitHub's validation failures do.
    pub fn invalid(resource: &str, field: &str, code: &str) -> Self {
        Self {
            status: 422,
            message: "Validation Failed".to_owned(),
            errors: vec![json!({ "resource": resource, "field": field, "code": code })],
        }
    }

    /// A 422 whose `errors` carries a sentence.
    pub fn invalid_because(resource: &str, field: &str, message: &str) -> Self {
        Self {
            status: 422,
            message: "Validation Failed".to_owned(),
            errors: vec![json!({ "resource": resource, "field": field, "code": "custom", "message": message })],
        }
    }

    /// The answer body.
    pub fn body(&self) -> Value {
        let mut body = json!({
            "message": self.message,
            "documentation_url": "https://docs.github.com/rest",
            "status": self.status.to_string(),
        });
        if !self.errors.is_empty() {
            body["errors"] = Value::Array(self.errors.clone());
        }
        body
    }
}

impl From<HistoryError> for Refusal {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::NotFound { .. } => Refusal::not_found(),
            HistoryError::Conflict => Refusal::new(409, "Merge conflict"),
            HistoryError::Invalid { what } => Refusal::new(422, format!("{what} is not a valid ref name or path.")),
            HistoryError::Failed { what } => Refusal::new(500, what),
        }
    }
}

/// The App as GitHub knows it.
#[derive(Debug, Clone)]
pub struct App {
    pub id: u64,
    pub client_id: String,
    pub slug: String,
    pub name: String,
    pub permissions: BTreeMap<String, String>,
    pub events: Vec<String>,
    pub created_at: i64,
}

impl App {
    /// Login under which the App acts.
    pub fn bot_login(&self) -> String {
        format!("{}[bot]", self.slug)
    }
}

/// Whether the App is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstallationState {
    Active,
    Suspended { at: i64, by: String },
    Deleted,
}

/// The App's installation on the organisation.
#[derive(Debug, Clone)]
pub struct Installation {
    pub id: u64,
    pub state: InstallationState,
    /// Whether the repository is among those the App may reach.
    pub has_repository: bool,
    pub created_at: i64,
    pub updated_at: i64,
}

/// An installation token.
#[derive(Debug, Clone)]
pub struct Token {
    pub expires_at: i64,
    pub permissions: BTreeMap<String, String>,
}

/// The repository's own facts.
#[derive(Debug, Clone)]
pub struct Repository {
    pub id: u64,
    pub owner: String,
    pub name: String,
    pub default_branch: String,
    pub description: String,
    pub created_at: i64,
    pub pushed_at: i64,
}

impl Repository {
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }
}

/// A pull request that is opened once the one before it is closed.
#[derive(Debug, Clone)]
pub struct WaitingPull {
    pub branch: String,
    pub title: String,
    pub body: String,
    pub author: String,
}

/// What makes this GitHub look like another of its versions.
#[derive(Debug, Clone)]
pub struct Manners {
    /// Answers a dispatch with 204 even when run details are asked for, as older GHES does.
    pub dispatch_never_tells_run: bool,
    /// Shows accounts, Apps and repositories with little more than ids and names: much cheaper, for
    /// simulation.
    pub slim_payloads: bool,
    /// Sends `check_suite.requested` for pushed commits, as GitHub does to Apps that write checks.
    pub requests_suites: bool,
    /// New workflow runs, comments and deployments are not listed until this much later, in milliseconds.
    pub list_lag_ms: i64,
}

impl Default for Manners {
    fn default() -> Self {
        Self { dispatch_never_tells_run: false, slim_payloads: false, requests_suites: true, list_lag_ms: 0 }
    }
}

/// All that the sandbox GitHub knows.
pub struct Model {
    /// Where the API is, without a slash at the end.
    pub api_url: String,
    /// Where the pages are, without a slash at the end.
    pub web_url: String,
    pub history: Box<dyn History + Send>,
    pub repository: Repository,
    pub app: App,
    pub installation: Installation,
    pub manners: Manners,
    pub users: BTreeMap<String, User>,
    pub teams: BTreeMap<String, Team>,
    pub collaborators: BTreeMap<String, Permission>,
    pub pulls: BTreeMap<u64, Pull>,
    pub issues: BTreeMap<u64, Issue>,
    pub comments: BTreeMap<u64, Comment>,
    pub reviews: BTreeMap<u64, Review>,
    pub reactions: BTreeMap<u64, Reaction>,
    pub labels: BTreeMap<String, Label>,
    pub check_runs: BTreeMap<u64, CheckRun>,
    /// Suite id and creation time by head SHA.
    pub suites: BTreeMap<String, (u64, i64)>,
    pub deployments: BTreeMap<u64, Deployment>,
    pub deployment_statuses: BTreeMap<u64, DeploymentStatus>,
    pub environments: BTreeMap<String, Environment>,
    pub workflow_ids: BTreeMap<String, u64>,
    /// Workflow files as parsed, by path and blob.
    workflows_read: BTreeMap<(String, String), Workflow>,
    pub runs: BTreeMap<u64, Run>,
    pub run_times: RunTimes,
    /// Runs to fail: of this environment, or of any.
    pub to_fail: Vec<Option<String>>,
    /// Environments whose every run fails until the switch is turned off.
    pub failing: BTreeSet<String>,
    pub tokens: BTreeMap<String, Token>,
    pub deliveries: BTreeMap<u64, Delivery>,
    pub waiting_pulls: Vec<WaitingPull>,
    pub statuses: BTreeMap<u64, CommitStatus>,
    pub artifacts: BTreeMap<u64, Artifact>,
    /// In the order in which they will be merged.
    pub queue: Vec<QueueEntry>,
    /// Check runs or statuses that must pass on a group of the merge queue.
    pub required_checks: BTreeSet<String>,
    /// Environments with a custom protection rule, in lower case.
    pub protected: BTreeSet<String>,
    outgoing: Vec<OutgoingEvent>,
    last_id: u64,
    last_number: u64,
    guids: u64,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("repository", &self.repository).finish_non_exhaustive()
    }
}

impl Model {
    /// A GitHub with one organisation that owns one repository, and one installed App.
    pub fn new(history: Box<dyn History + Send>, owner: &str, name: &str, default_branch: &str, now: i64) -> Self {
        let mut model = Self {
            api_url: "http://127.0.0.1".to_owned(),
            web_url: "http://127.0.0.1".to_owned(),
            history,
            repository: Repository {
                id: 640_001,
                owner: owner.to_owned(),
                name: name.to_owned(),
                default_branch: default_branch.to_owned(),
                description: "A shop in two services".to_owned(),
                created_at: now,
                pushed_at: now,
            },
            app: App {
                id: 4711,
                client_id: "Iv23liSandbox4711".to_owned(),
                slug: "plimsoll".to_owned(),
                name: "Plimsoll".to_owned(),
                permissions: BTreeMap::new(),
                events: Vec::new(),
                created_at: now,
            },
            installation: Installation {
                id: 50_001,
                state: InstallationState::Active,
                has_repository: true,
                created_at: now,
                updated_at: now,
            },
            manners: Manners::default(),
            users: BTreeMap::new(),
            teams: BTreeMap::new(),
            collaborators: BTreeMap::new(),
            pulls: BTreeMap::new(),
            issues: BTreeMap::new(),
            comments: BTreeMap::new(),
            reviews: BTreeMap::new(),
            reactions: BTreeMap::new(),
            labels: BTreeMap::new(),
            check_runs: BTreeMap::new(),
            suites: BTreeMap::new(),
            deployments: BTreeMap::new(),
            deployment_statuses: BTreeMap::new(),
            environments: BTreeMap::new(),
            workflow_ids: BTreeMap::new(),
            workflows_read: BTreeMap::new(),
            runs: BTreeMap::new(),
            run_times: RunTimes::default(),
            to_fail: Vec::new(),
            failing: BTreeSet::new(),
            tokens: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            waiting_pulls: Vec::new(),
            statuses: BTreeMap::new(),
            artifacts: BTreeMap::new(),
            queue: Vec::new(),
            required_checks: BTreeSet::new(),
            protected: BTreeSet::new(),
            outgoing: Vec::new(),
            last_id: 1_000,
            last_number: 0,
            guids: 0,
        };
        model.grant_default_permissions();
        model.add_user(owner, owner, people::Kind::Organization);
        let bot = model.app.bot_login();
        model.add_user(&bot, &bot, people::Kind::Bot);
        model
    }

    fn grant_default_permissions(&mut self) {
        for (name, level) in [
            ("actions", "write"),
            ("administration", "read"),
            ("checks", "write"),
            ("contents", "write"),
            ("deployments", "write"),
            ("environments", "read"),
            ("issues", "write"),
            ("members", "read"),
            ("merge_queues", "read"),
            ("metadata", "read"),
            ("pull_requests", "write"),
            ("statuses", "write"),
        ] {
            self.app.permissions.insert(name.to_owned(), level.to_owned());
        }
        self.app.events = [
            "check_run",
            "check_suite",
            "deployment",
            "deployment_protection_rule",
            "deployment_status",
            "issue_comment",
            "issues",
            "merge_group",
            "pull_request",
            "pull_request_review",
            "push",
            "workflow_run",
        ]
        .map(str::to_owned)
        .to_vec();
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Says whether the App can act in the repository now.
    pub fn is_installed(&self) -> bool {
        self.installation.state == InstallationState::Active && self.installation.has_repository
    }

    /// A person as git would sign a commit.
    pub fn signature(&self, login: &str, now: i64) -> Signature {
        let user = self.users.get(login);
        Signature {
            name: user.map_or(login, |user| user.name.as_str()).to_owned(),
            email: user.map_or_else(|| format!("{login}@users.noreply.github.com"), |user| user.email.clone()),
            at_ms: now,
        }
    }

    /// Takes a new installation token into the books; `text` is what the caller hands out.
    pub fn add_token(&mut self, text: String, permissions: BTreeMap<String, String>, now: i64) -> i64 {
        let expires_at = now + 3_600_000;
        self.tokens.retain(|_, token| token.expires_at > now);
        self.tokens.insert(text, Token { expires_at, permissions });
        expires_at
    }

    /// Suspends the installation; its tokens stop working.
    pub fn suspend_installation(&mut self, by: &str, now: i64) {
        self.installation.state = InstallationState::Suspended { at: now, by: by.to_owned() };
        self.installation.updated_at = now;
        self.installation_event("suspend", by, now);
    }

    /// Lets a suspended installation work again.
    pub fn unsuspend_installation(&mut self, by: &str, now: i64) {
        self.installation.state = InstallationState::Active;
        self.installation.updated_at = now;
        self.installation_event("unsuspend", by, now);
    }

    /// Removes the installation; its tokens are gone.
    pub fn delete_installation(&mut self, by: &str, now: i64) {
        self.installation_event("deleted", by, now);
        self.installation.state = InstallationState::Deleted;
        self.tokens.clear();
    }

    /// Installs the App and tells it so.
    pub fn create_installation(&mut self, by: &str, now: i64) {
        self.installation.state = InstallationState::Active;
        self.installation.has_repository = true;
        self.installation.created_at = now;
        self.installation.updated_at = now;
        self.installation_event("created", by, now);
    }

    /// Takes the repository out of the installation, or puts it back.
    pub fn set_repository_installed(&mut self, installed: bool, by: &str, now: i64) {
        self.installation.has_repository = installed;
        let action = if installed { "added" } else { "removed" };
        let short = vec![self.repository_short_json()];
        let (added, removed) = if installed { (short, Vec::new()) } else { (Vec::new(), short) };
        let mut payload = json!({
            "action": action,
            "installation": self.installation_json(),
            "repository_selection": "selected",
            "repositories_added": added,
            "repositories_removed": removed,
            "requester": Value::Null,
            "sender": self.user_json(by),
        });
        payload["installation"]["repository_selection"] = json!("selected");
        self.send_raw("installation_repositories", Some(action), payload, now);
    }

    fn installation_event(&mut self, action: &str, by: &str, now: i64) {
        let payload = json!({
            "action": action,
            "installation": self.installation_json(),
            "repositories": [self.repository_short_json()],
            "requester": Value::Null,
            "sender": self.user_json(by),
        });
        self.send_raw("installation", Some(action), payload, now);
    }
}
