//! The merge queue: pull requests one after another, each tried on what those before it would make.
//!
//! Every pull request is a group of its own. A group is a commit on a branch that only GitHub writes; it is merged, as
//! it is, when all before it are and the required checks have passed on it.

use serde_json::{Value, json};

use super::json::object;
use super::{Model, PullState, Refusal};
use crate::sandbox::history::{HistoryError, MergeMethod};

/// A pull request in the merge queue.
#[derive(Debug, Clone)]
pub struct QueueEntry {
    pub pull: u64,
    pub by: String,
    pub group: Group,
}

/// What the base branch would be with a pull request and all before it in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub head_sha: String,
    /// Without `refs/heads/`.
    pub head_ref: String,
    pub base_sha: String,
    pub base_ref: String,
}

impl Model {
    /// Puts a pull request at the end of the queue.
    pub fn enqueue(&mut self, number: u64, by: &str, now: i64) -> Result<(), Refusal> {
        let pull = self.pull(number)?;
        if !pull.is_open() || pull.draft {
            return Err(Refusal::new(422, "Pull request is not mergeable"));
        }
        if self.is_queued(number) {
            return Err(Refusal::new(422, "Pull request is already in the queue"));
        }
        let base_ref = pull.base_ref.clone();
        let last = self.queue.iter().rfind(|entry| entry.group.base_ref == base_ref);
        let base = last.map(|entry| entry.group.head_sha.clone()).or_else(|| self.history.branch(&base_ref));
        let base = base.ok_or_else(Refusal::not_found)?;
        let group = self.group_on(number, &base, by, now)?;
        self.queue.push(QueueEntry { pull: number, by: by.to_owned(), group: group.clone() });
        if let Some(pull) = self.pulls.get_mut(&number) {
            pull.updated_at = now;
        }
        self.pull_event(number, "enqueued", json!({}), by, now);
        self.group_event(&group, "checks_requested", None, by, now);
        self.mind_queue(now);
        Ok(())
    }

    /// A person takes a pull request out of the queue.
    pub fn dequeue(&mut self, number: u64, by: &str, now: i64) -> Result<(), Refusal> {
        if !self.is_queued(number) {
            return Err(Refusal::new(422, "Pull request is not in the queue"));
        }
        self.leave_queue(number, "MANUAL", by, now);
        self.mind_queue(now);
        Ok(())
    }

    /// Whether a pull request waits in the queue.
    pub fn is_queued(&self, number: u64) -> bool {
        self.queue.iter().any(|entry| entry.pull == number)
    }

    /// Sets which check runs or statuses must pass on a group. With none, a group is merged at once.
    pub fn require_checks(&mut self, names: &[&str], now: i64) {
        self.required_checks = names.iter().map(|name| (*name).to_owned()).collect();
        self.mind_queue(now);
    }

    /// Merges what has passed and takes out what has failed.
    pub(super) fn mind_queue(&mut self, now: i64) {
        loop {
            let failed = self.queue.iter().find(|entry| self.passes(&entry.group.head_sha) == Some(false));
            if let Some(failed) = failed.cloned() {
                self.leave_queue(failed.pull, "CI_FAILURE", &failed.by, now);
                continue;
            }
            let next = self.queue.iter().enumerate().find(|(at, entry)| {
                let first = !self.queue[..*at].iter().any(|before| before.group.base_ref == entry.group.base_ref);
                first && self.passes(&entry.group.head_sha) == Some(true)
            });
            let Some((at, _)) = next else { return };
            self.merge_group(at, now);
        }
    }

    /// Whether the required checks have passed on a commit; `None` while that is open.
    fn passes(&self, sha: &str) -> Option<bool> {
        let runs = self.check_runs_of(sha, true);
        let statuses = self.newest_statuses(sha);
        let verdict = |name: &String| {
            if let Some(run) = runs.iter().find(|run| run.name == *name) {
                let conclusion = run.conclusion.as_deref().filter(|_| run.status == "completed" && !run.asked_again)?;
                return Some(matches!(conclusion, "success" | "neutral" | "skipped"));
            }
            let status = statuses.iter().find(|status| status.context.eq_ignore_ascii_case(name))?;
            (status.state != "pending").then(|| status.state == "success")
        };
        let verdicts: Vec<Option<bool>> = self.required_checks.iter().map(verdict).collect();
        if verdicts.contains(&Some(false)) {
            return Some(false);
        }
        (!verdicts.contains(&None)).then_some(true)
    }

    /// Takes a pull request out; those behind it are tried anew without it.
    pub(super) fn leave_queue(&mut self, number: u64, reason: &str, by: &str, now: i64) {
        let Some(at) = self.queue.iter().position(|entry| entry.pull == number) else { return };
        let entry = self.queue.remove(at);
        self.end_group(&entry.group, "dequeued", by, now);
        self.left(number, reason, by, now);
        self.try_anew(&entry.group.base_ref, at, &entry.group.base_sha, now);
    }

    /// The tip of a branch moved: groups on another tip are of no use any more, and neither is the group of a pull
    /// request whose head moved.
    pub(super) fn queue_hears_push(&mut self, branch: &str, after: &str, by: &str, now: i64) {
        let moved = self.queue.iter().map(|entry| entry.pull);
        let moved = moved.filter(|number| self.pulls.get(number).is_some_and(|pull| pull.head_ref == branch));
        for number in moved.collect::<Vec<_>>() {
            self.leave_queue(number, "UNKNOWN_REMOVAL_REASON", by, now);
        }
        let first = self.queue.iter().position(|entry| entry.group.base_ref == branch);
        if let Some(at) = first.filter(|at| self.queue[*at].group.base_sha != after) {
            self.try_anew(branch, at, after, now);
        }
    }

    /// Makes the groups of a base branch anew, from a place in the queue on.
    fn try_anew(&mut self, base_ref: &str, from: usize, base: &str, now: i64) {
        let (mut at, mut base) = (from, base.to_owned());
        while let Some(entry) = self.queue.get(at).cloned() {
            if entry.group.base_ref != base_ref {
                at += 1;
                continue;
            }
            self.end_group(&entry.group, "invalidated", &entry.by, now);
            match self.group_on(entry.pull, &base, &entry.by, now) {
                Ok(group) => {
                    base.clone_from(&group.head_sha);
                    self.queue[at].group = group.clone();
                    self.group_event(&group, "checks_requested", None, &entry.by, now);
                    at += 1;
                }
                Err(_) => {
                    self.queue.remove(at);
                    self.left(entry.pull, "MERGE_CONFLICT", &entry.by, now);
                }
            }
        }
    }

    fn group_on(&mut self, number: u64, base: &str, by: &str, now: i64) -> Result<Group, Refusal> {
        let pull = self.pull(number)?;
        let (base_ref, head) = (pull.base_ref.clone(), pull.head_sha.clone());
        let message =
            format!("Merge pull request #{number} from {}/{}\n\n{}", self.repository.owner, pull.head_ref, pull.title);
        let head_ref = format!("gh-readonly-queue/{base_ref}/pr-{number}-{base}");
        let who = self.signature(by, now);
        self.history.set_branch(&head_ref, base)?;
        match self.history.merge(&head_ref, &head, MergeMethod::Merge, &message, &who) {
            Ok(head_sha) => {
                self.pushed(&head_ref, None, &head_sha, by, now);
                Ok(Group { head_sha, head_ref, base_sha: base.to_owned(), base_ref })
            }
            Err(error) => {
                self.history.delete_branch(&head_ref);
                Err(match error {
                    HistoryError::Conflict => Refusal::new(422, "Pull request has merge conflicts"),
                    other => other.into(),
                })
            }
        }
    }

    fn merge_group(&mut self, at: usize, now: i64) {
        let QueueEntry { pull: number, by, group } = self.queue.remove(at);
        if self.history.set_branch(&group.base_ref, &group.head_sha).is_err() {
            return;
        }
        if let Some(pull) = self.pulls.get_mut(&number) {
            pull.base_sha.clone_from(&group.base_sha);
            pull.state = PullState::Merged { at: now, by: by.clone(), sha: group.head_sha.clone() };
            pull.updated_at = now;
        }
        self.end_group(&group, "merged", &by, now);
        self.pull_event(number, "dequeued", json!({ "reason": "MERGE" }), &by, now);
        self.pull_event(number, "closed", json!({}), &by, now);
        self.pushed(&group.base_ref, Some(group.base_sha.clone()), &group.head_sha, &by, now);
        self.open_next_waiting(now);
    }

    fn left(&mut self, number: u64, reason: &str, by: &str, now: i64) {
        if let Some(pull) = self.pulls.get_mut(&number) {
            pull.updated_at = now;
        }
        self.pull_event(number, "dequeued", json!({ "reason": reason }), by, now);
    }

    fn end_group(&mut self, group: &Group, reason: &str, by: &str, now: i64) {
        self.group_event(group, "destroyed", Some(reason), by, now);
        self.history.delete_branch(&group.head_ref);
    }

    fn group_event(&mut self, group: &Group, action: &str, reason: Option<&str>, by: &str, now: i64) {
        if !self.hears("merge_group") {
            return;
        }
        let shown = json!({
            "head_sha": group.head_sha,
            "head_ref": format!("refs/heads/{}", group.head_ref),
            "base_sha": group.base_sha,
            "base_ref": format!("refs/heads/{}", group.base_ref),
            "head_commit": self.simple_commit_json(&group.head_sha),
        });
        let mut payload = object([("merge_group", shown)]);
        if let Some(reason) = reason {
            payload["reason"] = Value::from(reason);
        }
        self.send("merge_group", Some(action), payload, by, now);
    }
}
