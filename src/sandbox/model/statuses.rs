//! Commit statuses: what others than Apps with check runs say of a commit.

use serde_json::{Value, json};

use super::json::{node, rfc3339, text_or_null};
use super::{Model, Refusal};

/// GitHub keeps at most so many statuses of one context on a commit.
const STATUSES_A_CONTEXT_MAX: usize = 1_000;

/// A commit status.
#[derive(Debug, Clone)]
pub struct CommitStatus {
    pub id: u64,
    pub sha: String,
    /// Names what says so, for instance `ci/test`; compared without case.
    pub context: String,
    /// `error`, `failure`, `pending` or `success`.
    pub state: String,
    pub description: Option<String>,
    pub target_url: Option<String>,
    pub creator: String,
    pub created_at: i64,
}

/// What somebody says of a commit.
#[derive(Debug, Clone, Copy, Default)]
pub struct CommitStatusWish<'a> {
    pub sha: &'a str,
    pub context: &'a str,
    /// `error`, `failure`, `pending` or `success`.
    pub state: &'a str,
    pub description: Option<&'a str>,
    pub target_url: Option<&'a str>,
}

impl Model {
    /// Says something of a commit; a newer status of the same context counts instead of an older one.
    pub fn set_status(&mut self, wish: &CommitStatusWish<'_>, by: &str, now: i64) -> Result<u64, Refusal> {
        let CommitStatusWish { sha, context, state, description, target_url } = *wish;
        if self.history.commit(sha).is_none() {
            return Err(Refusal::new(422, format!("No commit found for SHA: {sha}")));
        }
        if !["error", "failure", "pending", "success"].contains(&state) {
            return Err(Refusal::invalid("Status", "state", "invalid"));
        }
        if context.trim().is_empty() || context.chars().count() > 255 {
            return Err(Refusal::invalid("Status", "context", "invalid"));
        }
        if description.is_some_and(|text| text.chars().count() > 140) {
            let why = "description is too long (maximum is 140 characters)";
            return Err(Refusal::invalid_because("Status", "description", why));
        }
        let alike = |status: &&CommitStatus| status.sha == sha && status.context.eq_ignore_ascii_case(context);
        if self.statuses.values().filter(alike).count() >= STATUSES_A_CONTEXT_MAX {
            let why = "This SHA and context has reached the maximum number of statuses.";
            return Err(Refusal::invalid_because("Status", "base", why));
        }
        let id = self.next_id();
        let status = CommitStatus {
            id,
            sha: sha.to_owned(),
            context: context.to_owned(),
            state: state.to_owned(),
            description: description.map(str::to_owned),
            target_url: target_url.map(str::to_owned),
            creator: by.to_owned(),
            created_at: now,
        };
        self.statuses.insert(id, status);
        self.mind_queue(now);
        Ok(id)
    }

    /// The newest status of each context on a commit, newest first.
    pub fn newest_statuses(&self, sha: &str) -> Vec<&CommitStatus> {
        let mut newest: Vec<&CommitStatus> = Vec::new();
        for status in self.statuses.values().rev().filter(|status| status.sha == sha) {
            if !newest.iter().any(|known| known.context.eq_ignore_ascii_case(&status.context)) {
                newest.push(status);
            }
        }
        newest
    }

    /// A status as it is made.
    pub fn status_json(&self, status: &CommitStatus) -> Value {
        let mut shown = self.simple_status_json(status);
        shown["creator"] = self.user_json(&status.creator);
        shown
    }

    /// A status as the combined status lists it.
    pub fn simple_status_json(&self, status: &CommitStatus) -> Value {
        let creator = self.find_user(&status.creator).map_or(0, |user| user.id);
        json!({
            "url": self.repository_url(&format!("/statuses/{}", status.sha)),
            "avatar_url": format!("{}/avatars/{creator}", self.web_url),
            "id": status.id,
            "node_id": node("SC", status.id),
            "state": status.state,
            "description": text_or_null(status.description.as_deref()),
            "target_url": text_or_null(status.target_url.as_deref()),
            "context": status.context,
            "created_at": rfc3339(status.created_at),
            "updated_at": rfc3339(status.created_at),
        })
    }
}
