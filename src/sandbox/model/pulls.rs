//! Branches and pull requests: opening, pushing, editing, merging, closing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::json::object;
use super::{Model, Refusal};
use crate::sandbox::history::{Comparison, FileStatus, MergeMethod};

/// Where a pull request is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullState {
    Open,
    Closed { at: i64 },
    Merged { at: i64, by: String, sha: String },
}

/// A pull request.
#[derive(Debug, Clone)]
pub struct Pull {
    pub id: u64,
    pub number: u64,
    pub title: String,
    pub body: Option<String>,
    pub author: String,
    pub head_ref: String,
    pub head_sha: String,
    pub base_ref: String,
    /// Tip of the base when the pull request was opened or last synchronised.
    pub base_sha: String,
    /// Owner of the fork that the head is in, if it is not this repository.
    pub fork_of: Option<String>,
    pub draft: bool,
    pub labels: BTreeSet<String>,
    pub state: PullState,
    pub created_at: i64,
    pub updated_at: i64,
}

impl Pull {
    pub fn is_open(&self) -> bool {
        self.state == PullState::Open
    }
}

/// What a request wants of a new pull request.
#[derive(Debug, Clone, Copy)]
pub struct PullWish<'a> {
    /// Branch of this repository, as `name` or `owner:name`.
    pub head: &'a str,
    pub base: &'a str,
    pub title: &'a str,
    pub body: Option<&'a str>,
    pub author: &'a str,
    pub draft: bool,
}

/// What to change of a pull request; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct PullEdit {
    pub title: Option<String>,
    pub body: Option<String>,
    pub base: Option<String>,
}

/// GitHub names at most this many files of a pull request.
pub const PULL_FILES_MAX: usize = 3_000;
/// GitHub names at most this many commits of a pull request.
pub const PULL_COMMITS_MAX: usize = 250;

impl Model {
    /// Opens a pull request for a branch.
    pub fn open_pull(&mut self, wish: &PullWish<'_>, now: i64) -> Result<u64, Refusal> {
        let PullWish { head, base, title, body, author, draft } = *wish;
        let base_sha = self.history.branch(base).ok_or_else(|| Refusal::invalid("PullRequest", "base", "invalid"))?;
        let branch = head.strip_prefix(&format!("{}:", self.repository.owner)).unwrap_or(head);
        let head_sha = self.history.branch(branch).ok_or_else(|| Refusal::invalid("PullRequest", "head", "invalid"))?;
        if title.trim().is_empty() {
            return Err(Refusal::invalid("PullRequest", "title", "missing_field"));
        }
        if self.pulls.values().any(|pull| pull.is_open() && pull.head_ref == branch && pull.base_ref == base) {
            let message = format!("A pull request already exists for {}:{branch}.", self.repository.owner);
            return Err(Refusal::invalid_because("PullRequest", "head", &message));
        }
        if self.history.is_ancestor(&head_sha, &base_sha) {
            return Err(Refusal::invalid_because(
                "PullRequest",
                "head",
                &format!("No commits between {base} and {branch}"),
            ));
        }
        let (id, number) = (self.next_id(), self.next_number());
        self.pulls.insert(
            number,
            Pull {
                id,
                number,
                title: title.to_owned(),
                body: body.map(str::to_owned),
                author: author.to_owned(),
                head_ref: branch.to_owned(),
                head_sha: head_sha.clone(),
                base_ref: base.to_owned(),
                base_sha,
                fork_of: None,
                draft,
                labels: BTreeSet::new(),
                state: PullState::Open,
                created_at: now,
                updated_at: now,
            },
        );
        self.pull_event(number, "opened", json!({}), author, now);
        self.request_suite(&head_sha, author, now);
        Ok(number)
    }

    /// Says that a pull request's head lives in a fork, so that events of its checks do not name it.
    pub fn make_fork(&mut self, number: u64, fork_owner: &str) -> Result<(), Refusal> {
        self.pull_mut(number)?.fork_of = Some(fork_owner.to_owned());
        Ok(())
    }

    /// Commits files onto a branch and tells the pull requests that have it as their head.
    pub fn push_commit(
        &mut self,
        branch: &str,
        files: &BTreeMap<String, Option<Vec<u8>>>,
        message: &str,
        author: &str,
        now: i64,
    ) -> Result<String, Refusal> {
        let before = self.history.branch(branch);
        let who = self.signature(author, now);
        let default = self.repository.default_branch.clone();
        let after = self.history.push(branch, Some(&default), files, message, &who)?;
        self.pushed(branch, before, &after, author, now);
        Ok(after)
    }

    /// Moves a branch, as a forced push would.
    pub fn force_push(&mut self, branch: &str, sha: &str, by: &str, now: i64) -> Result<(), Refusal> {
        let before = self.history.branch(branch);
        self.history.set_branch(branch, sha)?;
        self.pushed(branch, before, sha, by, now);
        Ok(())
    }

    /// Commits the opposite of a commit onto a new branch.
    pub fn revert(&mut self, sha: &str, branch: &str, by: &str, now: i64) -> Result<String, Refusal> {
        let commit = self.history.commit(sha).ok_or_else(Refusal::not_found)?;
        let tip = self.history.branch(&self.repository.default_branch).ok_or_else(Refusal::not_found)?;
        let title = commit.message.lines().next().unwrap_or_default();
        let message = format!("Revert \"{title}\"\n\nThis reverts commit {sha}.\n");
        let who = self.signature(by, now);
        let made = self.history.revert(sha, &tip, branch, &message, &who)?;
        self.pushed(branch, None, &made, by, now);
        Ok(made)
    }

    pub(super) fn pushed(&mut self, branch: &str, before: Option<String>, after: &str, by: &str, now: i64) {
        if before.as_deref() == Some(after) {
            return;
        }
        self.repository.pushed_at = now;
        self.push_event(branch, before.as_deref(), after, by, now);
        let base_tips: Vec<u64> = self
            .pulls
            .values()
            .filter(|pull| pull.is_open() && pull.head_ref == branch && pull.fork_of.is_none())
            .map(|pull| pull.number)
            .collect();
        for number in base_tips {
            let Some(pull) = self.pulls.get_mut(&number) else {
                continue;
            };
            pull.head_sha = after.to_owned();
            pull.updated_at = now;
            if let Some(base) = self.history.branch(&pull.base_ref) {
                pull.base_sha = base;
            }
            let before = before.clone().unwrap_or_else(|| "0".repeat(40));
            self.pull_event(number, "synchronize", json!({ "before": before, "after": after }), by, now);
        }
        self.request_suite(after, by, now);
        self.queue_hears_push(branch, after, by, now);
    }

    fn push_event(&mut self, branch: &str, before: Option<&str>, after: &str, by: &str, now: i64) {
        if !self.hears("push") {
            return;
        }
        let zero = "0".repeat(40);
        let default_tip = self.history.branch(&self.repository.default_branch);
        let since = before.map(str::to_owned).or(default_tip);
        let comparison = since.as_deref().and_then(|since| self.history.compare(since, after).ok());
        let forced = before.is_some() && comparison.as_ref().is_none_or(|c| c.behind_by > 0);
        let commits: Vec<Value> = comparison
            .map(|comparison| comparison.commits)
            .unwrap_or_default()
            .iter()
            .take(2_048)
            .map(|commit| self.push_commit_json(&commit.sha))
            .collect();
        let compare_url = format!(
            "{}/{}/compare/{}...{}",
            self.web_url,
            self.repository.full_name(),
            short(before.unwrap_or(&zero)),
            short(after)
        );
        let pusher = self.find_user(by).map(|user| json!({ "name": user.login, "email": user.email }));
        let payload = json!({
            "ref": format!("refs/heads/{branch}"),
            "before": before.unwrap_or(&zero),
            "after": after,
            "created": before.is_none(),
            "deleted": false,
            "forced": forced,
            "base_ref": Value::Null,
            "compare": compare_url,
            "commits": commits,
            "head_commit": self.push_commit_json(after),
            "pusher": pusher.unwrap_or_else(|| json!({ "name": by })),
        });
        self.send("push", None, payload, by, now);
    }

    fn push_commit_json(&self, sha: &str) -> Value {
        let Some(commit) = self.history.commit(sha) else {
            return Value::Null;
        };
        let changes = self.history.changes_of(sha).unwrap_or_default();
        let mut added = Vec::new();
        let mut removed = Vec::new();
        let mut modified = Vec::new();
        for change in changes.iter().take(PULL_FILES_MAX) {
            match &change.status {
                FileStatus::Added => added.push(change.path.clone()),
                FileStatus::Removed => removed.push(change.path.clone()),
                FileStatus::Modified => modified.push(change.path.clone()),
                FileStatus::Renamed { from } => {
                    removed.push(from.clone());
                    added.push(change.path.clone());
                }
            }
        }
        json!({
            "id": commit.sha,
            "tree_id": commit.tree,
            "distinct": true,
            "message": commit.message,
            "timestamp": super::rfc3339(commit.committer.at_ms),
            "url": format!("{}/{}/commit/{}", self.web_url, self.repository.full_name(), commit.sha),
            "author": self.push_person_json(&commit.author),
            "committer": self.push_person_json(&commit.committer),
            "added": added,
            "removed": removed,
            "modified": modified,
        })
    }

    fn push_person_json(&self, who: &crate::sandbox::history::Signature) -> Value {
        let mut person = json!({ "name": who.name, "email": who.email, "date": super::rfc3339(who.at_ms) });
        if let Some(user) = self.user_by_email(&who.email) {
            person["username"] = json!(user.login);
        }
        person
    }

    /// A pull request by its number.
    pub fn pull(&self, number: u64) -> Result<&Pull, Refusal> {
        self.pulls.get(&number).ok_or_else(Refusal::not_found)
    }

    pub(super) fn pull_mut(&mut self, number: u64) -> Result<&mut Pull, Refusal> {
        self.pulls.get_mut(&number).ok_or_else(Refusal::not_found)
    }

    /// What a pull request would bring: its base's present tip against its head.
    pub fn pull_comparison(&self, number: u64) -> Result<Comparison, Refusal> {
        let pull = self.pull(number)?;
        let base = match pull.state {
            PullState::Open => self.history.branch(&pull.base_ref).unwrap_or_else(|| pull.base_sha.clone()),
            PullState::Closed { .. } | PullState::Merged { .. } => pull.base_sha.clone(),
        };
        Ok(self.history.compare(&base, &pull.head_sha)?)
    }

    /// Changes title, text or base.
    pub fn edit_pull(&mut self, number: u64, edit: PullEdit, by: &str, now: i64) -> Result<(), Refusal> {
        if let Some(base) = &edit.base
            && self.history.branch(base).is_none()
        {
            return Err(Refusal::invalid("PullRequest", "base", "invalid"));
        }
        if edit.title.as_ref().is_some_and(|title| title.trim().is_empty()) {
            return Err(Refusal::invalid("PullRequest", "title", "missing_field"));
        }
        let pull = self.pull_mut(number)?;
        let mut changes = json!({});
        if let Some(title) = edit.title
            && title != pull.title
        {
            changes["title"] = json!({ "from": pull.title });
            pull.title = title;
        }
        if let Some(body) = edit.body
            && Some(&body) != pull.body.as_ref()
        {
            changes["body"] = json!({ "from": pull.body.clone().unwrap_or_default() });
            pull.body = Some(body);
        }
        if let Some(base) = edit.base
            && base != pull.base_ref
        {
            changes["base"] = json!({ "ref": { "from": pull.base_ref }, "sha": { "from": pull.base_sha } });
            pull.base_ref = base;
        }
        if changes.as_object().is_some_and(|changes| changes.is_empty()) {
            return Ok(());
        }
        pull.updated_at = now;
        self.pull_event(number, "edited", json!({ "changes": changes }), by, now);
        Ok(())
    }

    /// Makes a pull request a draft, or ready for review.
    pub fn set_draft(&mut self, number: u64, draft: bool, by: &str, now: i64) -> Result<(), Refusal> {
        let pull = self.pull_mut(number)?;
        if pull.draft != draft {
            pull.draft = draft;
            pull.updated_at = now;
            self.pull_event(number, if draft { "converted_to_draft" } else { "ready_for_review" }, json!({}), by, now);
        }
        Ok(())
    }

    pub fn close_pull(&mut self, number: u64, by: &str, now: i64) -> Result<(), Refusal> {
        let pull = self.pull_mut(number)?;
        if pull.is_open() {
            pull.state = PullState::Closed { at: now };
            pull.updated_at = now;
            self.leave_queue(number, "MANUAL", by, now);
            self.pull_event(number, "closed", json!({}), by, now);
            self.open_next_waiting(now);
        }
        Ok(())
    }

    pub fn reopen_pull(&mut self, number: u64, by: &str, now: i64) -> Result<(), Refusal> {
        let pull = self.pull_mut(number)?;
        match pull.state {
            PullState::Open => Ok(()),
            PullState::Merged { .. } => Err(Refusal::invalid_because(
                "PullRequest",
                "state",
                "state cannot be changed. The pull request was merged.",
            )),
            PullState::Closed { .. } => {
                pull.state = PullState::Open;
                pull.updated_at = now;
                self.pull_event(number, "reopened", json!({}), by, now);
                Ok(())
            }
        }
    }

    /// Merges a pull request; `expected_head` must then be its head.
    pub fn merge_pull(
        &mut self,
        number: u64,
        method: MergeMethod,
        message: Option<&str>,
        expected_head: Option<&str>,
        by: &str,
        now: i64,
    ) -> Result<String, Refusal> {
        let pull = self.pull(number)?.clone();
        if !pull.is_open() || pull.draft {
            return Err(Refusal::new(405, "Pull Request is not mergeable"));
        }
        if expected_head.is_some_and(|sha| sha != pull.head_sha) {
            return Err(Refusal::new(409, "Head branch was modified. Review and try the merge again."));
        }
        let default_message = match method {
            MergeMethod::Merge => format!(
                "Merge pull request #{number} from {}/{}\n\n{}",
                self.repository.owner, pull.head_ref, pull.title
            ),
            MergeMethod::Squash => format!("{} (#{number})\n\n{}", pull.title, pull.body.clone().unwrap_or_default()),
        };
        let mut who = self.signature(by, now);
        if method == MergeMethod::Squash {
            who = self.signature(&pull.author, now);
        }
        let before = self.history.branch(&pull.base_ref);
        let sha = self
            .history
            .merge(&pull.base_ref, &pull.head_sha, method, message.unwrap_or(&default_message), &who)
            .map_err(|error| match error {
                crate::sandbox::history::HistoryError::Conflict => Refusal::new(405, "Pull Request is not mergeable"),
                other => Refusal::from(other),
            })?;
        let pull = self.pull_mut(number)?;
        if let Some(before) = &before {
            pull.base_sha = before.clone();
        }
        let base_ref = pull.base_ref.clone();
        pull.state = PullState::Merged { at: now, by: by.to_owned(), sha: sha.clone() };
        pull.updated_at = now;
        self.leave_queue(number, "ALREADY_MERGED", by, now);
        self.pull_event(number, "closed", json!({}), by, now);
        self.pushed(&base_ref, before, &sha, by, now);
        self.open_next_waiting(now);
        Ok(sha)
    }

    /// Opens the next pull request that waits for the one before it.
    pub fn open_next_waiting(&mut self, now: i64) {
        while !self.waiting_pulls.is_empty() {
            let next = self.waiting_pulls.remove(0);
            let base = self.repository.default_branch.clone();
            if self
                .open_pull(
                    &PullWish {
                        head: &next.branch,
                        base: &base,
                        title: &next.title,
                        body: Some(&next.body),
                        author: &next.author,
                        draft: false,
                    },
                    now,
                )
                .is_ok()
            {
                break;
            }
        }
    }

    /// Pull requests that hold a commit: as their head's history, or as what the merge made.
    pub fn pulls_with_commit(&self, sha: &str) -> Vec<u64> {
        self.pulls
            .values()
            .filter(|pull| {
                let merged_as = matches!(&pull.state, PullState::Merged { sha: merged, .. } if merged == sha);
                merged_as
                    || pull.head_sha == sha
                    || self.pull_comparison(pull.number).is_ok_and(|c| c.commits.iter().any(|commit| commit.sha == sha))
            })
            .map(|pull| pull.number)
            .collect()
    }

    pub(super) fn pull_event(&mut self, number: u64, action: &str, extra: Value, by: &str, now: i64) {
        let Some(pull) = self.pulls.get(&number).filter(|_| self.hears("pull_request")) else {
            return;
        };
        let mut payload = object([("number", number.into()), ("pull_request", self.payload_pull_json(pull))]);
        if let (Some(payload), Value::Object(extra)) = (payload.as_object_mut(), extra) {
            payload.extend(extra);
        }
        self.send("pull_request", Some(action), payload, by, now);
    }
}

fn short(sha: &str) -> &str {
    sha.get(..12).unwrap_or(sha)
}
