//! What people say: comments, reactions, reviews, labels, issues.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::json::object;
use super::{Model, Refusal};

/// Characters of a comment at most.
pub const COMMENT_CHARS_MAX: usize = 65_536;

/// A comment on an issue or pull request.
#[derive(Debug, Clone)]
pub struct Comment {
    pub id: u64,
    /// Number of the issue or pull request.
    pub number: u64,
    pub author: String,
    pub body: String,
    pub created_at: i64,
    pub updated_at: i64,
}

/// A reaction to a comment.
#[derive(Debug, Clone)]
pub struct Reaction {
    pub id: u64,
    pub comment: u64,
    pub author: String,
    pub content: String,
    pub created_at: i64,
}

/// A review of a pull request.
#[derive(Debug, Clone)]
pub struct Review {
    pub id: u64,
    pub number: u64,
    pub author: String,
    /// `APPROVED`, `CHANGES_REQUESTED` or `COMMENTED`.
    pub state: String,
    pub body: String,
    pub commit: String,
    pub submitted_at: i64,
}

/// A label of the repository.
#[derive(Debug, Clone)]
pub struct Label {
    pub id: u64,
    pub name: String,
    pub color: String,
    pub description: String,
}

/// An issue that is no pull request.
#[derive(Debug, Clone)]
pub struct Issue {
    pub id: u64,
    pub number: u64,
    pub title: String,
    pub body: Option<String>,
    pub author: String,
    pub labels: BTreeSet<String>,
    pub created_at: i64,
    pub updated_at: i64,
    pub closed_at: Option<i64>,
}

/// The reactions that GitHub knows.
pub const REACTIONS: [&str; 8] = ["+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"];

impl Model {
    /// Says whether a number is an issue or a pull request here.
    pub fn has_number(&self, number: u64) -> bool {
        self.pulls.contains_key(&number) || self.issues.contains_key(&number)
    }

    fn fine_comment(body: &str) -> Result<(), Refusal> {
        if body.trim().is_empty() {
            return Err(Refusal::invalid("IssueComment", "body", "missing_field"));
        }
        if body.chars().count() > COMMENT_CHARS_MAX {
            return Err(Refusal::invalid_because(
                "IssueComment",
                "body",
                "body is too long (maximum is 65536 characters)",
            ));
        }
        Ok(())
    }

    /// Writes a comment and returns its id.
    pub fn comment(&mut self, number: u64, author: &str, body: &str, now: i64) -> Result<u64, Refusal> {
        if !self.has_number(number) {
            return Err(Refusal::not_found());
        }
        Self::fine_comment(body)?;
        let id = self.next_id();
        let comment =
            Comment { id, number, author: author.to_owned(), body: body.to_owned(), created_at: now, updated_at: now };
        self.comments.insert(id, comment);
        self.touch(number, now);
        self.comment_event(id, "created", json!({}), author, now);
        Ok(id)
    }

    /// Replaces the text of a comment.
    pub fn edit_comment(&mut self, id: u64, body: &str, by: &str, now: i64) -> Result<(), Refusal> {
        Self::fine_comment(body)?;
        let comment = self.comments.get_mut(&id).ok_or_else(Refusal::not_found)?;
        if comment.body == body {
            return Ok(());
        }
        let from = std::mem::replace(&mut comment.body, body.to_owned());
        comment.updated_at = now;
        let number = comment.number;
        self.touch(number, now);
        self.comment_event(id, "edited", json!({ "changes": { "body": { "from": from } } }), by, now);
        Ok(())
    }

    /// Removes a comment.
    pub fn delete_comment(&mut self, id: u64, by: &str, now: i64) -> Result<(), Refusal> {
        if !self.comments.contains_key(&id) {
            return Err(Refusal::not_found());
        }
        self.comment_event(id, "deleted", json!({}), by, now);
        self.comments.remove(&id);
        Ok(())
    }

    fn comment_event(&mut self, id: u64, action: &str, extra: Value, by: &str, now: i64) {
        let Some(comment) = self.comments.get(&id).filter(|_| self.hears("issue_comment")) else {
            return;
        };
        let mut payload = object([("issue", self.issue_json(comment.number)), ("comment", self.comment_json(comment))]);
        if let (Some(payload), Value::Object(extra)) = (payload.as_object_mut(), extra) {
            payload.extend(extra);
        }
        self.send("issue_comment", Some(action), payload, by, now);
    }

    /// Comments of an issue or pull request as a list shows them at `now`, oldest first.
    pub fn comments_of(&self, number: u64, now: i64) -> Vec<&Comment> {
        self.comments
            .values()
            .filter(|comment| comment.number == number && comment.created_at + self.manners.list_lag_ms <= now)
            .collect()
    }

    /// Reacts to a comment; the same reaction twice is one. Says whether it is new.
    pub fn react(&mut self, comment: u64, author: &str, content: &str, now: i64) -> Result<(u64, bool), Refusal> {
        if !self.comments.contains_key(&comment) {
            return Err(Refusal::not_found());
        }
        if !REACTIONS.contains(&content) {
            return Err(Refusal::invalid("Reaction", "content", "invalid"));
        }
        if let Some(known) =
            self.reactions.values().find(|r| r.comment == comment && r.author == author && r.content == content)
        {
            return Ok((known.id, false));
        }
        let id = self.next_id();
        let reaction =
            Reaction { id, comment, author: author.to_owned(), content: content.to_owned(), created_at: now };
        self.reactions.insert(id, reaction);
        Ok((id, true))
    }

    /// Submits a review of the present head.
    pub fn review(&mut self, number: u64, author: &str, state: &str, body: &str, now: i64) -> Result<u64, Refusal> {
        let commit = self.pull(number)?.head_sha.clone();
        if !["APPROVED", "CHANGES_REQUESTED", "COMMENTED"].contains(&state) {
            return Err(Refusal::invalid("PullRequestReview", "event", "invalid"));
        }
        let pull_author = self.pull(number)?.author.clone();
        if state != "COMMENTED" && pull_author == author {
            return Err(Refusal::new(422, "Unprocessable Entity: Can not approve your own pull request"));
        }
        let id = self.next_id();
        let review = Review {
            id,
            number,
            author: author.to_owned(),
            state: state.to_owned(),
            body: body.to_owned(),
            commit,
            submitted_at: now,
        };
        let mut shown = self.review_json(&review);
        // Webhooks spell the state in lower case, the API in upper case.
        shown["state"] = json!(state.to_lowercase());
        shown["updated_at"] = json!(super::rfc3339(now));
        self.reviews.insert(id, review);
        self.touch(number, now);
        let pull = self.pull(number)?;
        let payload = object([("review", shown), ("pull_request", self.payload_pull_simple_json(pull))]);
        self.send("pull_request_review", Some("submitted"), payload, author, now);
        Ok(id)
    }

    /// Makes a label unless there is one.
    pub fn ensure_label(&mut self, name: &str) {
        if !self.labels.contains_key(name) {
            let id = self.next_id();
            let label = Label { id, name: name.to_owned(), color: "ededed".to_owned(), description: String::new() };
            self.labels.insert(name.to_owned(), label);
        }
    }

    /// Labels an issue or pull request.
    pub fn label(&mut self, number: u64, name: &str, by: &str, now: i64) -> Result<(), Refusal> {
        if name.is_empty() || name.chars().count() > 50 {
            return Err(Refusal::invalid("Label", "name", "invalid"));
        }
        self.ensure_label(name);
        let added = match (self.pulls.get_mut(&number), self.issues.get_mut(&number)) {
            (Some(pull), _) => {
                pull.updated_at = now;
                pull.labels.insert(name.to_owned())
            }
            (None, Some(issue)) => {
                issue.labels.insert(name.to_owned());
                false
            }
            (None, None) => return Err(Refusal::not_found()),
        };
        if added {
            let label = self.label_json(name);
            self.pull_event(number, "labeled", json!({ "label": label }), by, now);
        }
        Ok(())
    }

    /// Takes a label off an issue or pull request.
    pub fn unlabel(&mut self, number: u64, name: &str, by: &str, now: i64) -> Result<(), Refusal> {
        let label = self.label_json(name);
        let removed = match (self.pulls.get_mut(&number), self.issues.get_mut(&number)) {
            (Some(pull), _) => pull.labels.remove(name),
            (None, Some(issue)) => issue.labels.remove(name),
            (None, None) => return Err(Refusal::not_found()),
        };
        if !removed {
            return Err(Refusal::new(404, "Label does not exist"));
        }
        self.pull_event(number, "unlabeled", json!({ "label": label }), by, now);
        Ok(())
    }

    /// Opens an issue and returns its number.
    pub fn open_issue(
        &mut self,
        title: &str,
        body: Option<&str>,
        labels: &[String],
        author: &str,
        now: i64,
    ) -> Result<u64, Refusal> {
        if title.trim().is_empty() {
            return Err(Refusal::invalid("Issue", "title", "missing_field"));
        }
        let (id, number) = (self.next_id(), self.next_number());
        let issue = Issue {
            id,
            number,
            title: title.to_owned(),
            body: body.map(str::to_owned),
            author: author.to_owned(),
            labels: BTreeSet::new(),
            created_at: now,
            updated_at: now,
            closed_at: None,
        };
        self.issues.insert(number, issue);
        for label in labels {
            self.label(number, label, author, now)?;
        }
        self.issue_event(number, "opened", author, now);
        Ok(number)
    }

    /// Closes an issue.
    pub fn close_issue(&mut self, number: u64, by: &str, now: i64) -> Result<(), Refusal> {
        self.set_issue_open(number, false, by, now)
    }

    /// Opens an issue again.
    pub fn reopen_issue(&mut self, number: u64, by: &str, now: i64) -> Result<(), Refusal> {
        self.set_issue_open(number, true, by, now)
    }

    fn set_issue_open(&mut self, number: u64, open: bool, by: &str, now: i64) -> Result<(), Refusal> {
        let issue = self.issues.get_mut(&number).ok_or_else(Refusal::not_found)?;
        if issue.closed_at.is_none() == open {
            return Ok(());
        }
        issue.closed_at = (!open).then_some(now);
        issue.updated_at = now;
        self.issue_event(number, if open { "reopened" } else { "closed" }, by, now);
        Ok(())
    }

    /// Issues as a list shows them at `now`, newest first.
    pub fn listed_issues(&self, now: i64) -> Vec<&Issue> {
        self.issues.values().rev().filter(|issue| issue.created_at + self.manners.list_lag_ms <= now).collect()
    }

    fn issue_event(&mut self, number: u64, action: &str, by: &str, now: i64) {
        if self.hears("issues") {
            let payload = object([("issue", self.issue_json(number))]);
            self.send("issues", Some(action), payload, by, now);
        }
    }

    /// Whatever people say on an issue or pull request changes it.
    fn touch(&mut self, number: u64, now: i64) {
        if let Some(pull) = self.pulls.get_mut(&number) {
            pull.updated_at = now;
        }
        if let Some(issue) = self.issues.get_mut(&number) {
            issue.updated_at = now;
        }
    }
}
