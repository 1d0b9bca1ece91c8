//! What a webhook delivery means: an event's name and its bytes become events for lanes.
//!
//! Knows GitHub's events and actions. Must never know signatures (they were verified at the door), nor what a lane
//! makes of an event. Pure, and bounded by the size of the payload: sections that are not wanted are skipped unread.

mod gates;

use super::wire::{self, Account, IssueComment, NamedRepository, Unfit};
use crate::domain::event::{Event, PullAction};
use crate::domain::ids::*;
use crate::engine::ports::{Interpretation, Webhooks};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Interprets deliveries as GitHub's documentation describes them.
#[derive(Clone, Debug)]
pub struct Interpreter {
    /// Base URL of the API without a slash at its end: a callback address elsewhere is not believed.
    api: String,
    /// The App's id or client id: what another App made is not ours to answer for.
    issuer: String,
}

impl Interpreter {
    /// For the App that `issuer` (its id or client id) names, at the GitHub whose API has this base URL.
    pub fn new(api: &str, issuer: &str) -> Self {
        Self { api: api.trim_end_matches('/').to_owned(), issuer: issuer.trim().to_owned() }
    }
}

impl Webhooks for Interpreter {
    fn interpret(&self, event: &str, body: &[u8]) -> Interpretation {
        let payload: Payload<'_> = match serde_json::from_slice(body) {
            Ok(payload) => payload,
            Err(problem) => return Interpretation::Unreadable { because: describe("the payload", &problem) },
        };
        match meaning(self, event, &payload) {
            Ok(Meaning::Events(installation, events)) => Interpretation::Events { installation, events },
            Ok(Meaning::Ignored(because)) => Interpretation::Ignored { because },
            Err(Unreadable(because)) => Interpretation::Unreadable { because },
        }
    }
}

/// The sections of a payload, each still unread: which are there, and what they hold, depends on the event.
#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    action: Option<&'a RawValue>,
    #[serde(borrow)]
    installation: Option<&'a RawValue>,
    #[serde(borrow)]
    repository: Option<&'a RawValue>,
    #[serde(borrow)]
    sender: Option<&'a RawValue>,
    #[serde(borrow)]
    pull_request: Option<&'a RawValue>,
    #[serde(borrow)]
    issue: Option<&'a RawValue>,
    #[serde(borrow)]
    comment: Option<&'a RawValue>,
    #[serde(borrow)]
    check_run: Option<&'a RawValue>,
    #[serde(borrow)]
    check_suite: Option<&'a RawValue>,
    #[serde(borrow)]
    workflow_run: Option<&'a RawValue>,
    #[serde(borrow)]
    changes: Option<&'a RawValue>,
    #[serde(borrow)]
    repositories: Option<&'a RawValue>,
    #[serde(borrow)]
    repositories_added: Option<&'a RawValue>,
    #[serde(borrow)]
    repositories_removed: Option<&'a RawValue>,
    #[serde(rename = "ref", borrow)]
    git_ref: Option<&'a RawValue>,
    #[serde(borrow)]
    after: Option<&'a RawValue>,
    #[serde(borrow)]
    deleted: Option<&'a RawValue>,
    #[serde(borrow)]
    requested_action: Option<&'a RawValue>,
    #[serde(borrow)]
    merge_group: Option<&'a RawValue>,
    #[serde(borrow)]
    reason: Option<&'a RawValue>,
    #[serde(borrow)]
    environment: Option<&'a RawValue>,
    #[serde(borrow)]
    deployment: Option<&'a RawValue>,
    #[serde(borrow)]
    deployment_callback_url: Option<&'a RawValue>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
}

/// What a payload that could be read means.
enum Meaning {
    Events(InstallationId, Vec<(Subject, Event)>),
    Ignored(String),
}

/// Where a payload could not be read. Never holds any of the payload itself.
struct Unreadable(String);

type Read<T> = Result<T, Unreadable>;

fn ignored(because: impl Into<String>) -> Read<Meaning> {
    Ok(Meaning::Ignored(because.into()))
}

/// Says what is wrong with JSON without repeating any of it: serde's own words may quote a value.
fn describe(section: &str, problem: &serde_json::Error) -> String {
    use serde_json::error::Category;
    let words = problem.to_string();
    let what = match problem.classify() {
        Category::Io | Category::Eof => "ends too early".to_owned(),
        Category::Syntax => "is not JSON".to_owned(),
        Category::Data if words.starts_with("missing field") || words.starts_with("duplicate field") => {
            // The name of the field is one of ours.
            let field = words.split('`').nth(1).unwrap_or_default();
            let kind = if words.starts_with("missing") { "lacks" } else { "repeats" };
            format!("{kind} the field `{field}`")
        }
        Category::Data => "holds a value of another kind than expected".to_owned(),
    };
    format!("{section} {what} (line {}, column {})", problem.line(), problem.column())
}

/// Reads a section that must be there.
fn section<'a, T: Deserialize<'a>>(name: &str, raw: Option<&'a RawValue>) -> Read<T> {
    let raw = raw.ok_or_else(|| Unreadable(format!("`{name}` is missing")))?;
    serde_json::from_str(raw.get()).map_err(|problem| Unreadable(describe(&format!("`{name}`"), &problem)))
}

/// Reads a section that may be missing or null.
fn optional<'a, T: Deserialize<'a>>(name: &str, raw: Option<&'a RawValue>) -> Read<Option<T>> {
    match raw {
        Some(_) => section(name, raw),
        None => Ok(None),
    }
}

fn unfit(section: &str) -> impl Fn(Unfit) -> Unreadable + '_ {
    move |Unfit(field)| Unreadable(format!("`{section}.{field}` does not hold what it should"))
}

#[derive(Deserialize)]
struct Numbered {
    id: u64,
}

#[derive(Deserialize)]
struct Repository {
    id: Option<u64>,
    full_name: String,
    default_branch: Option<String>,
}

impl Payload<'_> {
    fn action(&self) -> Read<String> {
        section("action", self.action)
    }

    /// GitHub's word for why something left the merge queue.
    fn reason(&self) -> Read<String> {
        let reason: Option<String> = optional("reason", self.reason)?;
        Ok(wire::cut_to(reason.unwrap_or_else(|| "unknown".to_owned()), 100))
    }

    /// Who did it; nobody, where GitHub does not say.
    fn sender(&self) -> Read<Option<Login>> {
        let sender: Option<Account> = optional("sender", self.sender)?;
        Ok(sender.as_ref().and_then(Account::login))
    }

    /// The repository's name, its number, and its default branch.
    fn repository(&self) -> Read<(RepoName, Repository)> {
        let repository: Repository = section("repository", self.repository)?;
        let name = RepoName::parse(&repository.full_name)
            .ok_or_else(|| Unreadable("`repository.full_name` does not hold what it should".to_owned()))?;
        Ok((name, repository))
    }
}

/// The events that mean something here; the others are known and ignored.
fn meaning(ours: &Interpreter, event: &str, payload: &Payload<'_>) -> Read<Meaning> {
    type Reader = fn(&Interpreter, InstallationId, &Payload<'_>) -> Read<Meaning>;
    let read: Reader = match event {
        "pull_request" => |_, installation, payload| pull_request(installation, payload),
        "issue_comment" => |_, installation, payload| issue_comment(installation, payload),
        "pull_request_review" => |_, installation, payload| pull_request_review(installation, payload),
        "check_run" => check_run,
        "check_suite" => |_, installation, payload| check_suite(installation, payload),
        "push" => |_, installation, payload| push(installation, payload),
        "workflow_run" => |_, installation, payload| workflow_run(installation, payload),
        "installation" => |_, id, payload| installation(id, payload),
        "installation_repositories" => |_, installation, payload| installation_repositories(installation, payload),
        "repository" => |_, installation, payload| repository(installation, payload),
        "merge_group" => |_, installation, payload| gates::merge_group(installation, payload),
        "deployment_protection_rule" => gates::protection_rule,
        "issues" => gates::issues,
        "ping" => return ignored("GitHub only tried whether the webhook works"),
        _ => return ignored(format!("nothing follows from `{}`", wire::cut_to(event.to_owned(), 100))),
    };
    match optional::<Numbered>("installation", payload.installation)? {
        Some(Numbered { id }) => read(ours, InstallationId(id), payload),
        None => ignored("not from an installation of the App"),
    }
}

fn pull_request(installation: InstallationId, payload: &Payload<'_>) -> Read<Meaning> {
    let word = payload.action()?;
    let action = match word.as_str() {
        "opened" => PullAction::Opened,
        "synchronize" => PullAction::Synchronize,
        "reopened" => PullAction::Reopened,
        "edited" => PullAction::Edited,
        "ready_for_review" => PullAction::ReadyForReview,
        "converted_to_draft" => PullAction::ConvertedToDraft,
        "labeled" | "unlabeled" => PullAction::Labelled,
        "closed" => PullAction::Closed,
        // Nothing of the pull request itself changed, but its picture is as good as any.
        "dequeued" => PullAction::Edited,
        other => return ignored(nothing_follows("pull_request", other)),
    };
    let (repo, _) = payload.repository()?;
    let pull: wire::Pull = section("pull_request", payload.pull_request)?;
    let pull = pull.snapshot().map_err(unfit("pull_request"))?;
    let subject = Subject::PullRequest { repo, number: pull.number };
    let mut events = vec![(subject.clone(), Event::PullChanged { action, pull: Box::new(pull) })];
    if word == "dequeued" {
        events.push((subject, Event::LeftQueue { reason: payload.reason()? }));
    }
    Ok(Meaning::Events(installation, events))
}

fn issue_comment(installation: InstallationId, payload: &Payload<'_>) -> Read<Meaning> {
    #[derive(Deserialize)]
    struct Issue<'a> {
        number: u64,
        #[serde(borrow)]
        pull_request: Option<&'a RawValue>,
    }
    let action = payload.action()?;
    if action != "created" {
        // An edited comment never commands: whoever approved the first text did not see the second.
        return ignored(nothing_follows("issue_comment", &action));
    }
    let issue: Issue<'_> = section("issue", payload.issue)?;
    if issue.pull_request.is_none() {
        return ignored("a comment on an issue, not on a pull request");
    }
    let (repo, _) = payload.repository()?;
    let comment: IssueComment = section("comment", payload.comment)?;
    let subject = Subject::PullRequest { repo, number: PullNumber(issue.number) };
    one(installation, subject, Event::CommentCreated { comment: comment.comment() })
}

fn pull_request_review(installation: InstallationId, payload: &Payload<'_>) -> Read<Meaning> {
    #[derive(Deserialize)]
    struct Pull {
        number: u64,
    }
    let action = payload.action()?;
    if !matches!(action.as_str(), "submitted" | "dismissed" | "edited") {
        return ignored(nothing_follows("pull_request_review", &action));
    }
    let (repo, _) = payload.repository()?;
    let pull: Pull = section("pull_request", payload.pull_request)?;
    let number = PullNumber(pull.number);
    one(installation, Subject::PullRequest { repo, number }, Event::ReviewChanged { number })
}

/// What check runs and check suites share.
#[derive(Deserialize)]
struct Check {
    head_sha: String,
    pull_requests: Option<Vec<CheckedPull>>,
}

#[derive(Deserialize)]
struct CheckedPull {
    number: u64,
    base: Option<CheckedBase>,
}

#[derive(Deserialize)]
struct CheckedBase {
    repo: Option<Numbered>,
}

fn check_run(ours: &Interpreter, installation: InstallationId, payload: &Payload<'_>) -> Read<Meaning> {
    if payload.action()? == "requested_action" {
        return gates::button(ours, installation, payload);
    }
    recheck(installation, payload, "check_run", payload.check_run)
}

fn check_suite(installation: InstallationId, payload: &Payload<'_>) -> Read<Meaning> {
    recheck(installation, payload, "check_suite", payload.check_suite)
}

fn recheck(installation: InstallationId, payload: &Payload<'_>, name: &str, raw: Option<&RawValue>) -> Read<Meaning> {
    let action = payload.action()?;
    if action != "rerequested" {
        return ignored(nothing_follows(name, &action));
    }
    let (repo, repository) = payload.repository()?;
    let check: Check = section(name, raw)?;
    let head_sha = Sha::parse(&check.head_sha).ok_or_else(|| unfit(name)(Unfit("head_sha")))?;
    // A branch of this repository may also be proposed to another one; that pull request is not ours to number.
    let elsewhere = |pull: &CheckedPull| {
        let base = pull.base.as_ref().and_then(|base| base.repo.as_ref()).map(|repo| repo.id);
        matches!((base, repository.id), (Some(base), Some(ours)) if base != ours)
    };
    let mut events: Vec<_> = check
        .pull_requests
        .unwrap_or_default()
        .iter()
        .filter(|pull| !elsewhere(pull))
        .map(|pull| Subject::PullRequest { repo: repo.clone(), number: PullNumber(pull.number) })
        .map(|subject| (subject, Event::RecheckRequested { head_sha: head_sha.clone() }))
        .collect();
    if events.is_empty() {
        // GitHub does not name the pull requests of forks here; the repository's lane finds them by the hash.
        events.push((Subject::Repository { repo }, Event::RecheckRequested { head_sha }));
    }
    Ok(Meaning::Events(installation, events))
}

fn push(installation: InstallationId, payload: &Payload<'_>) -> Read<Meaning> {
    let git_ref: String = section("ref", payload.git_ref)?;
    let Some(branch) = git_ref.strip_prefix("refs/heads/") else {
        return ignored("a push to a tag, not to a branch");
    };
    if optional("deleted", payload.deleted)? == Some(true) {
        return ignored("a branch was deleted");
    }
    let (repo, repository) = payload.repository()?;
    // Without a default branch in the payload, look: the lane compares the branch itself.
    if repository.default_branch.is_some_and(|default| default != branch) {
        return ignored("a push to another branch than the default branch");
    }
    let after: String = section("after", payload.after)?;
    let after = Sha::parse(&after).ok_or_else(|| Unreadable("`after` does not hold what it should".to_owned()))?;
    let by = payload.sender()?;
    one(installation, Subject::Repository { repo }, Event::Pushed { branch: RefName::new(branch), after, by })
}

fn workflow_run(installation: InstallationId, payload: &Payload<'_>) -> Read<Meaning> {
    let run: wire::Run = section("workflow_run", payload.workflow_run)?;
    if run.event.as_deref() != Some("workflow_dispatch") {
        return ignored("a workflow run that nobody dispatched");
    }
    let (repo, _) = payload.repository()?;
    let service = run.display_title.as_deref().and_then(|title| wire::service_in_title(title, &repo));
    let subject = match service {
        Some(service) => Subject::Pipeline { repo, service },
        None => Subject::Repository { repo },
    };
    one(installation, subject, Event::RunChanged { run: run.snapshot() })
}

fn installation(installation: InstallationId, payload: &Payload<'_>) -> Read<Meaning> {
    let action = payload.action()?;
    let granted = match action.as_str() {
        "created" | "new_permissions_accepted" | "unsuspend" => true,
        "deleted" | "suspend" => false,
        other => return ignored(nothing_follows("installation", other)),
    };
    let named = repositories("repositories", payload.repositories)?;
    access(installation, named.into_iter().map(|repo| (repo, granted)).collect())
}

fn installation_repositories(installation: InstallationId, payload: &Payload<'_>) -> Read<Meaning> {
    let removed = repositories("repositories_removed", payload.repositories_removed)?;
    let added = repositories("repositories_added", payload.repositories_added)?;
    let removed = removed.into_iter().map(|repo| (repo, false));
    access(installation, removed.chain(added.into_iter().map(|repo| (repo, true))).collect())
}

fn repositories(name: &str, raw: Option<&RawValue>) -> Read<Vec<RepoName>> {
    let listed: Vec<NamedRepository> = optional(name, raw)?.unwrap_or_default();
    listed.iter().map(|repository| repository.name().map_err(unfit(name))).collect()
}

fn access(installation: InstallationId, repositories: Vec<(RepoName, bool)>) -> Read<Meaning> {
    if repositories.is_empty() {
        return ignored("it names no repositories");
    }
    let told = |(repo, granted)| (Subject::Repository { repo }, Event::AccessChanged { granted });
    Ok(Meaning::Events(installation, repositories.into_iter().map(told).collect()))
}

fn repository(installation: InstallationId, payload: &Payload<'_>) -> Read<Meaning> {
    #[derive(Default, Deserialize)]
    struct Changes<'a> {
        #[serde(borrow)]
        default_branch: Option<&'a RawValue>,
    }
    let action = payload.action()?;
    let because = match action.as_str() {
        "renamed" | "transferred" | "archived" | "unarchived" | "privatized" | "publicized" => {
            format!("the repository was {action}")
        }
        "edited" => {
            let changes: Changes<'_> = optional("changes", payload.changes)?.unwrap_or_default();
            if changes.default_branch.is_none() {
                return ignored("the default branch stayed as it was");
            }
            "the default branch is another one".to_owned()
        }
        "deleted" => {
            let (repo, _) = payload.repository()?;
            return access(installation, vec![(repo, false)]);
        }
        other => return ignored(nothing_follows("repository", other)),
    };
    let (repo, _) = payload.repository()?;
    one(installation, Subject::Repository { repo }, Event::Look { because })
}

fn one(installation: InstallationId, subject: Subject, event: Event) -> Read<Meaning> {
    Ok(Meaning::Events(installation, vec![(subject, event)]))
}

fn nothing_follows(event: &str, action: &str) -> String {
    format!("nothing follows from `{event}.{}`", wire::cut_to(action.to_owned(), 100))
}

#[cfg(test)]
#[path = "interpret_tests.rs"]
mod tests;
