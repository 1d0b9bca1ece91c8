//! Answers of the REST API.
//!
//! Knows GitHub's fields. Must never know which request an answer belongs to.

use super::*;
use crate::domain::facts::*;
use serde::de::IgnoredAny;

/// One page of a list: some lists are wrapped in an object.
pub trait Page: serde::de::DeserializeOwned + Send {
    type Item: Send;
    /// Whether there is no answer to have where GitHub gives up on it, and not a fault that passes.
    const MAY_GIVE_UP: bool = false;
    /// What the page lists.
    fn items(self) -> Vec<Self::Item>;
}

impl<T: serde::de::DeserializeOwned + Send> Page for Vec<T> {
    type Item = T;
    fn items(self) -> Vec<T> {
        self
    }
}

macro_rules! page {
    ($(#[$doc:meta])* $name:ident, $field:ident: $item:ty) => {
        $(#[$doc])*
        #[derive(Debug, Deserialize)]
        pub struct $name {
            $field: Vec<$item>,
        }
        impl Page for $name {
            type Item = $item;
            fn items(self) -> Vec<$item> {
                self.$field
            }
        }
    };
}

page!(/// Workflow runs.
    Runs, workflow_runs: Run);
page!(/// Check runs of a commit.
    CheckRuns, check_runs: CheckRun);
page!(/// The combined status of a commit: the newest status of each context.
    Statuses, statuses: CommitStatus);
page!(/// Artifacts of workflow runs.
    Artifacts, artifacts: Artifact);
page!(/// Repositories of an installation.
    Repositories, repositories: NamedRepository);

/// What GitHub says about a refusal.
#[derive(Debug, Default, Deserialize)]
pub struct Refusal {
    pub message: Option<String>,
    errors: Option<serde_json::Value>,
}

impl Refusal {
    /// Whether GitHub has no difference to show: it is too large, was not ready in time, or the load is heavy. Said with
    /// 422, 500 or 503.
    pub fn has_no_diff(&self) -> bool {
        let message = self.message.as_deref().unwrap_or_default();
        let is = |error: &serde_json::Value, name: &str, value: &str| error.get(name).is_some_and(|v| v == value);
        let coded = |error: &serde_json::Value| is(error, "code", "not_available") && is(error, "field", "diff");
        let errors = self.errors.as_ref().and_then(serde_json::Value::as_array);
        ["taking too long to generate", "diff is temporarily unavailable"].iter().any(|words| message.contains(words))
            || errors.is_some_and(|errors| errors.iter().any(coded))
    }

    /// The same where it is often said for good; heavy load passes.
    pub fn gave_up(&self) -> bool {
        self.has_no_diff()
            && !self.message.as_deref().is_some_and(|message| message.contains("temporarily unavailable"))
    }

    /// The message with its details, in one line.
    pub fn line(&self) -> String {
        let mut line = self.message.clone().unwrap_or_default();
        let details: Vec<String> = match &self.errors {
            Some(serde_json::Value::Array(errors)) => errors.iter().take(10).map(detail).collect(),
            Some(serde_json::Value::String(error)) => vec![error.clone()],
            _ => Vec::new(),
        };
        if !details.is_empty() {
            line = format!("{line}: {}", details.join("; "));
        }
        cut_to(line.replace(char::is_control, " "), 500)
    }
}

/// One of `errors`: a text, or an object with a message, or one with a field and a code.
fn detail(error: &serde_json::Value) -> String {
    let text = |name: &str| error.get(name).and_then(serde_json::Value::as_str);
    match (error.as_str(), text("message"), text("field"), text("code")) {
        (Some(words), ..) | (None, Some(words), ..) => words.to_owned(),
        (None, None, Some(field), Some(code)) => format!("{field} is {}", code.replace('_', " ")),
        (None, None, field, code) => field.or(code).unwrap_or("no details").to_owned(),
    }
}

/// A new token of an installation.
#[derive(Deserialize)]
pub struct MintedToken {
    pub token: secrecy::SecretString,
    pub expires_at: When,
}

/// A repository.
#[derive(Debug, Deserialize)]
pub struct Repository {
    default_branch: String,
    archived: Option<bool>,
}

impl Repository {
    /// The repository in the domain's words.
    pub fn snapshot(self) -> RepositorySnapshot {
        RepositorySnapshot {
            default_branch: RefName::new(self.default_branch),
            archived: self.archived.unwrap_or(false),
        }
    }
}

/// A file; anything else at the path reads as one without content.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Contents {
    One(FileContents),
    /// A directory.
    Many(#[allow(dead_code, reason = "that it is a list says it all")] Vec<IgnoredAny>),
}

/// A file with its content.
#[derive(Debug, Deserialize)]
pub struct FileContents {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub size: Option<u64>,
    pub encoding: Option<String>,
    pub content: Option<String>,
    pub sha: Option<String>,
}

/// A file of a pull request or comparison.
#[derive(Debug, Deserialize)]
pub struct FileOfChange {
    filename: String,
    previous_filename: Option<String>,
    status: Option<String>,
    additions: Option<u64>,
    deletions: Option<u64>,
}

impl FileOfChange {
    /// The file in the domain's words.
    pub fn file(self) -> ChangedFile {
        let status = match self.status.as_deref() {
            Some("added") => FileStatus::Added,
            Some("removed") => FileStatus::Removed,
            Some("modified") => FileStatus::Modified,
            Some("renamed") => FileStatus::Renamed,
            Some("copied") => FileStatus::Copied,
            Some("unchanged") => FileStatus::Unchanged,
            _ => FileStatus::Changed,
        };
        ChangedFile {
            path: self.filename,
            previous_path: self.previous_filename,
            status,
            additions: self.additions.unwrap_or(0),
            deletions: self.deletions.unwrap_or(0),
        }
    }
}

/// A commit.
#[derive(Debug, Deserialize)]
pub struct Commit {
    sha: String,
    commit: GitCommit,
    author: Option<Account>,
    committer: Option<Account>,
    parents: Option<Vec<Parent>>,
}

#[derive(Debug, Deserialize)]
struct Parent {
    sha: Option<String>,
}

#[derive(Debug, Deserialize)]
struct GitCommit {
    message: Option<String>,
    author: Option<GitPerson>,
    committer: Option<GitPerson>,
}

impl Commit {
    /// The commit in the domain's words; fails without a hash.
    pub fn snapshot(self) -> Result<CommitSnapshot, Unfit> {
        let first_parent = self.parents.as_ref().and_then(|parents| Sha::parse(parents.first()?.sha.as_ref()?));
        Ok(CommitSnapshot {
            first_parent,
            sha: Sha::parse(&self.sha).ok_or(Unfit("sha"))?,
            // Never cut: co-authors stand at the very end.
            message: self.commit.message.unwrap_or_default(),
            parents: self.parents.map_or(0, |parents| u32::try_from(parents.len()).unwrap_or(u32::MAX)),
            author: person(self.commit.author, self.author.as_ref()),
            committed_at: self.commit.committer.as_ref().and_then(GitPerson::at),
            committer: person(self.commit.committer, self.committer.as_ref()),
        })
    }
}

/// A comparison of two commits, or one page of it.
#[derive(Debug, Deserialize)]
pub struct ComparisonPage {
    pub status: String,
    pub total_commits: Option<u64>,
    pub commits: Vec<Commit>,
    /// On the first page only.
    pub files: Option<Vec<FileOfChange>>,
}

impl Page for ComparisonPage {
    type Item = Self;
    const MAY_GIVE_UP: bool = true;
    fn items(self) -> Vec<Self> {
        vec![self]
    }
}

impl ComparisonPage {
    /// GitHub's `status`; fails on a word that is not one of the four.
    pub fn standing(&self) -> Result<Standing, Unfit> {
        match self.status.as_str() {
            "identical" => Ok(Standing::Identical),
            "ahead" => Ok(Standing::Ahead),
            "behind" => Ok(Standing::Behind),
            "diverged" => Ok(Standing::Diverged),
            _ => Err(Unfit("status")),
        }
    }
}

/// What an account may do.
#[derive(Debug, Deserialize)]
pub struct Collaborator {
    permission: Option<String>,
    role_name: Option<String>,
}

impl Collaborator {
    /// The role, or for a role that the organisation made up, the permission it was made from.
    pub fn permission(&self) -> Permission {
        let named = |name: &Option<String>| {
            Some(match name.as_deref()? {
                "admin" => Permission::Admin,
                "maintain" => Permission::Maintain,
                "write" | "push" => Permission::Write,
                "triage" => Permission::Triage,
                "read" | "pull" => Permission::Read,
                "none" => Permission::None,
                _ => return None,
            })
        };
        named(&self.role_name).or_else(|| named(&self.permission)).unwrap_or(Permission::None)
    }
}

/// Membership of a team.
#[derive(Debug, Deserialize)]
pub struct Membership {
    pub state: Option<String>,
}

/// A check run, as far as it is needed to find ours and to add to it.
#[derive(Debug, Deserialize)]
pub struct CheckRun {
    pub id: u64,
    pub name: Option<String>,
    pub external_id: Option<String>,
    pub html_url: Option<String>,
    pub app: Option<AppName>,
    pub output: Option<CheckOutput>,
    status: Option<String>,
    conclusion: Option<String>,
}

impl CheckRun {
    /// Where it stands, in the domain's words; `None` without a name.
    pub fn state(self) -> Option<CheckState> {
        let standing = match (self.status.as_deref(), self.conclusion.as_deref()) {
            (Some("completed"), Some("success")) => CheckStanding::Success,
            (Some("completed"), Some("neutral" | "skipped" | "stale")) => CheckStanding::Neutral,
            // A word that is not known yet must not pass for a good one.
            (Some("completed"), Some(_)) => CheckStanding::Failure,
            (_, _) => CheckStanding::Pending,
        };
        // Without a slug it is still no commit status.
        let app = Some(self.app.and_then(|app| app.slug).unwrap_or_default());
        Some(CheckState { name: self.name?, app, standing, url: self.html_url })
    }
}

/// A commit status.
#[derive(Debug, Deserialize)]
pub struct CommitStatus {
    context: String,
    state: Option<String>,
    target_url: Option<String>,
}

impl CommitStatus {
    /// Where it stands, in the domain's words.
    pub fn state(self) -> CheckState {
        let standing = match self.state.as_deref() {
            Some("success") => CheckStanding::Success,
            Some("pending") | None => CheckStanding::Pending,
            Some(_) => CheckStanding::Failure,
        };
        let url = self.target_url.filter(|url| !url.is_empty());
        CheckState { name: self.context, app: None, standing, url }
    }
}

/// An artifact of a workflow run.
#[derive(Debug, Deserialize)]
pub struct Artifact {
    pub name: String,
    pub expired: Option<bool>,
}

/// An issue or pull request, as far as it is needed to find ours again.
#[derive(Debug, Deserialize)]
pub struct Numbered {
    pub number: u64,
    pub html_url: Option<String>,
    body: Option<String>,
    user: Option<Account>,
    /// Lists of pull requests leave it out.
    performed_via_github_app: Option<AppName>,
}

impl Numbered {
    /// Whether our App made it for this key, as far as the answer tells.
    pub fn carries(&self, key: &str, issuer: &str) -> bool {
        // Anybody can copy a marker; only Apps are bots.
        let by_bot = self.user.as_ref().is_some_and(Account::is_bot);
        by_bot
            && self.performed_via_github_app.as_ref().is_none_or(|app| app.is(issuer))
            && self.body.as_deref().and_then(key_in_body) == Some(key)
    }
}

/// An App, as a check run names it.
#[derive(Debug, Deserialize)]
pub struct AppName {
    pub id: Option<u64>,
    pub client_id: Option<String>,
    pub slug: Option<String>,
}

impl AppName {
    /// Whether it is the App of this id or client id, as far as the answer tells.
    pub fn is(&self, issuer: &str) -> bool {
        match (self.id, &self.client_id) {
            (Some(id), _) if issuer.bytes().all(|byte| byte.is_ascii_digit()) => id.to_string() == issuer,
            (_, Some(client_id)) => client_id == issuer,
            (_, None) => true,
        }
    }
}

/// The output of a check run.
#[derive(Debug, Deserialize)]
pub struct CheckOutput {
    pub annotations_count: Option<u64>,
}

/// An annotation that stands.
#[derive(Debug, Deserialize)]
pub struct StandingAnnotation {
    pub path: String,
    pub start_line: u64,
    pub annotation_level: Option<String>,
    pub message: Option<String>,
}

/// Something that was made.
#[derive(Debug, Deserialize)]
pub struct Made {
    pub id: u64,
    pub html_url: Option<String>,
}

/// A deployment.
#[derive(Debug, Deserialize)]
pub struct Deployment {
    pub id: u64,
    payload: Option<serde_json::Value>,
}

impl Deployment {
    /// The key in its payload, which GitHub hands back as it was given or as text.
    pub fn key(&self) -> Option<String> {
        let key = |payload: &serde_json::Value| Some(payload.get("plimsoll_key")?.as_str()?.to_owned());
        match self.payload.as_ref()? {
            serde_json::Value::String(text) => key(&serde_json::from_str(text).ok()?),
            payload => key(payload),
        }
    }
}

/// A status of a deployment.
#[derive(Debug, Deserialize)]
pub struct DeploymentStatus {
    pub id: u64,
    pub state: Option<String>,
    pub description: Option<String>,
}

/// What a dispatch answers when it was asked for details.
#[derive(Debug, Deserialize)]
pub struct Dispatched {
    pub workflow_run_id: Option<u64>,
    pub html_url: Option<String>,
}

/// The App itself.
#[derive(Debug, Deserialize)]
pub struct App {
    pub id: u64,
    pub slug: Option<String>,
    pub name: Option<String>,
    pub html_url: Option<String>,
    pub permissions: Option<std::collections::BTreeMap<String, String>>,
    pub events: Option<Vec<String>>,
}

/// An installation of the App.
#[derive(Debug, Deserialize)]
pub struct Installation {
    pub id: u64,
    pub account: Option<Account>,
    pub suspended_at: Option<When>,
}

/// An attempt to deliver a webhook.
#[derive(Debug, Deserialize)]
pub struct Delivery {
    pub id: u64,
    pub guid: String,
    pub event: Option<String>,
    pub delivered_at: When,
    pub status: Option<String>,
    pub status_code: Option<u16>,
}

impl Delivery {
    /// Whether we acknowledged it.
    pub fn succeeded(&self) -> bool {
        match self.status_code {
            Some(code) => (200..300).contains(&code),
            None => self.status.as_deref() == Some("OK"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_refusal_is_told_with_its_details() {
        let line = |json| serde_json::from_value::<Refusal>(json).unwrap().line();
        insta::assert_snapshot!(line(json!({
            "message": "Validation Failed",
            "errors": [
                {"resource": "CheckRun", "code": "missing_field", "field": "head_sha"},
                {"resource": "CheckRun", "code": "custom", "message": "summary is too long"},
                "inputs are unknown", 7,
            ],
            "documentation_url": "https://docs.github.com",
        })), @"Validation Failed: head_sha is missing field; summary is too long; inputs are unknown; no details");
        assert_eq!(line(json!({"message": "Not Found"})), "Not Found");
        assert_eq!(line(json!({"message": "a\nb", "errors": "one"})), "a b: one");
    }

    #[test]
    fn a_role_that_the_organisation_made_up_counts_as_what_it_was_made_from() {
        let permission = |json| serde_json::from_value::<Collaborator>(json).unwrap().permission();
        assert_eq!(permission(json!({"permission": "write", "role_name": "maintain"})), Permission::Maintain);
        assert_eq!(permission(json!({"permission": "read", "role_name": "triage"})), Permission::Triage);
        assert_eq!(permission(json!({"permission": "write", "role_name": "Release captain"})), Permission::Write);
        assert_eq!(permission(json!({"permission": "admin"})), Permission::Admin);
        assert_eq!(permission(json!({})), Permission::None);
    }

    #[test]
    fn the_key_of_a_deployment_is_read_from_either_kind_of_payload() {
        let key = |json| serde_json::from_value::<Deployment>(json).unwrap().key();
        assert_eq!(key(json!({"id": 1, "payload": {"plimsoll_key": "k"}})).as_deref(), Some("k"));
        assert_eq!(key(json!({"id": 1, "payload": "{\"plimsoll_key\": \"k\"}"})).as_deref(), Some("k"));
        assert_eq!(key(json!({"id": 1, "payload": ""})), None);
        assert_eq!(key(json!({"id": 1, "payload": null})), None);
    }
}
