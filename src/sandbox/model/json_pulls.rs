//! What the API and the webhooks show of pull requests, commits, comments and issues.

use serde_json::{Value, json};

use super::json::{encoded, encoded_path, extend, node, object, rfc3339, text_or_null, time_or_null};
use super::{Comment, Issue, Model, Pull, PullState, Reaction, Review};
use crate::sandbox::history::{Commit, FileChange, FileStatus, Signature};

impl Model {
    pub fn label_json(&self, name: &str) -> Value {
        let label = self.labels.get(name);
        let id = label.map_or(0, |label| label.id);
        json!({
            "id": id,
            "node_id": node("LA", id),
            "url": self.repository_url(&format!("/labels/{}", encoded(name))),
            "name": name,
            "color": label.map_or("ededed", |label| label.color.as_str()),
            "default": false,
            "description": label.map_or("", |label| label.description.as_str()),
        })
    }

    fn association(&self, login: &str) -> &'static str {
        match self.collaborators.get(login) {
            Some(permission) if *permission >= super::Permission::Write => "MEMBER",
            Some(_) => "CONTRIBUTOR",
            None => "NONE",
        }
    }

    fn branch_json(&self, owner: &str, name: &str, sha: &str, repository: &Value) -> Value {
        object([
            ("label", format!("{owner}:{name}").into()),
            ("ref", name.into()),
            ("sha", sha.into()),
            ("user", self.user_json(owner)),
            ("repo", repository.clone()),
        ])
    }

    /// A pull request as lists show it.
    pub fn pull_simple_json(&self, pull: &Pull) -> Value {
        self.pull_json_with(pull, &self.repository_json())
    }

    fn pull_json_with(&self, pull: &Pull, repository: &Value) -> Value {
        let n = pull.number;
        let url = self.repository_url(&format!("/pulls/{n}"));
        let issue = self.repository_url(&format!("/issues/{n}"));
        let html = self.page_url(&format!("/pull/{n}"));
        let statuses = self.repository_url(&format!("/statuses/{}", pull.head_sha));
        let comment = format!("{}{{/number}}", self.repository_url("/pulls/comments"));
        let (closed_at, merged_at, merge_sha) = match &pull.state {
            PullState::Open => (None, None, None),
            PullState::Closed { at } => (Some(*at), None, None),
            PullState::Merged { at, sha, .. } => (Some(*at), Some(*at), Some(sha.as_str())),
        };
        let owner = &self.repository.owner;
        let mut head =
            self.branch_json(pull.fork_of.as_deref().unwrap_or(owner), &pull.head_ref, &pull.head_sha, repository);
        if let Some(fork) = &pull.fork_of {
            head["repo"]["fork"] = json!(true);
            head["repo"]["id"] = json!(self.repository.id + 1);
            head["repo"]["full_name"] = json!(format!("{fork}/{}", self.repository.name));
            head["repo"]["owner"] = self.user_json(fork);
        }
        let mut shown = json!({
            "id": pull.id,
            "node_id": node("PR", pull.id),
            "number": n,
            "url": url,
            "html_url": html,
            "diff_url": format!("{html}.diff"),
            "patch_url": format!("{html}.patch"),
            "issue_url": issue,
            "commits_url": format!("{url}/commits"),
            "review_comments_url": format!("{url}/comments"),
            "review_comment_url": comment,
            "comments_url": format!("{issue}/comments"),
            "statuses_url": statuses,
            "state": if pull.is_open() { "open" } else { "closed" },
            "locked": false,
            "active_lock_reason": Value::Null,
            "title": pull.title,
            "user": self.user_json(&pull.author),
            "body": text_or_null(pull.body.as_deref()),
            "labels": pull.labels.iter().map(|name| self.label_json(name)).collect::<Vec<_>>(),
            "milestone": Value::Null,
            "assignee": Value::Null,
            "assignees": [],
            "requested_reviewers": [],
            "requested_teams": [],
        });
        let more = json!({
            "created_at": rfc3339(pull.created_at),
            "updated_at": rfc3339(pull.updated_at),
            "closed_at": time_or_null(closed_at),
            "merged_at": time_or_null(merged_at),
            "merge_commit_sha": text_or_null(merge_sha),
            "draft": pull.draft,
            "auto_merge": Value::Null,
            "author_association": self.association(&pull.author),
            "_links": {
                "self": { "href": url },
                "html": { "href": html },
                "issue": { "href": issue },
                "comments": { "href": format!("{issue}/comments") },
                "review_comments": { "href": format!("{url}/comments") },
                "review_comment": { "href": comment },
                "commits": { "href": format!("{url}/commits") },
                "statuses": { "href": statuses },
            },
        });
        extend(&mut shown, more);
        shown["head"] = head;
        shown["base"] = self.branch_json(owner, &pull.base_ref, &pull.base_sha, repository);
        shown
    }

    /// A pull request as itself: with its counts.
    pub fn pull_json(&self, pull: &Pull) -> Value {
        let mut shown = self.pull_simple_json(pull);
        self.add_counts(&mut shown, pull);
        shown
    }

    /// A pull request as webhooks about something else show it: without its counts.
    pub(super) fn payload_pull_simple_json(&self, pull: &Pull) -> Value {
        self.pull_json_with(pull, &self.payload_repository_json())
    }

    /// A pull request as webhooks show it.
    pub(super) fn payload_pull_json(&self, pull: &Pull) -> Value {
        let mut shown = self.payload_pull_simple_json(pull);
        self.add_counts(&mut shown, pull);
        shown
    }

    fn add_counts(&self, shown: &mut Value, pull: &Pull) {
        let comparison = self.pull_comparison(pull.number).ok();
        let files = comparison.as_ref().map(|c| c.files.as_slice()).unwrap_or_default();
        let base = self.history.branch(&pull.base_ref).unwrap_or_else(|| pull.base_sha.clone());
        let mergeable = pull.is_open().then(|| self.history.is_mergeable(&base, &pull.head_sha));
        let merged_by = match &pull.state {
            PullState::Merged { by, .. } => self.user_json(by),
            PullState::Open | PullState::Closed { .. } => Value::Null,
        };
        let more = json!({
            "merged": matches!(pull.state, PullState::Merged { .. }),
            "merged_by": merged_by,
            "mergeable": mergeable,
            "rebaseable": mergeable,
            "mergeable_state": match mergeable {
                Some(true) if pull.draft => "draft",
                Some(true) => "clean",
                Some(false) => "dirty",
                None => "unknown",
            },
            "comments": self.comments.values().filter(|comment| comment.number == pull.number).count(),
            "review_comments": 0,
            "maintainer_can_modify": false,
            "commits": comparison.as_ref().map_or(0, |c| c.commits.len()),
            "additions": files.iter().map(|file| file.additions).sum::<u64>(),
            "deletions": files.iter().map(|file| file.deletions).sum::<u64>(),
            "changed_files": files.len(),
        });
        extend(shown, more);
    }

    /// The few facts of pull requests that check runs and workflow runs name; none for forks.
    pub fn pulls_of_sha_json(&self, sha: &str) -> Vec<Value> {
        let repository =
            json!({ "id": self.repository.id, "url": self.repository_url(""), "name": self.repository.name });
        self.pulls
            .values()
            .filter(|pull| pull.is_open() && pull.head_sha == sha && pull.fork_of.is_none())
            .map(|pull| {
                json!({
                    "id": pull.id,
                    "number": pull.number,
                    "url": self.repository_url(&format!("/pulls/{}", pull.number)),
                    "head": { "ref": pull.head_ref, "sha": pull.head_sha, "repo": repository },
                    "base": { "ref": pull.base_ref, "sha": pull.base_sha, "repo": repository },
                })
            })
            .collect()
    }

    pub fn file_json(&self, file: &FileChange, sha: &str) -> Value {
        let path = encoded_path(&file.path);
        let mut shown = json!({
            "sha": file.blob,
            "filename": file.path,
            "status": file.status.word(),
            "additions": file.additions,
            "deletions": file.deletions,
            "changes": file.additions + file.deletions,
            "blob_url": self.page_url(&format!("/blob/{sha}/{path}")),
            "raw_url": self.page_url(&format!("/raw/{sha}/{path}")),
            "contents_url": self.repository_url(&format!("/contents/{path}?ref={sha}")),
        });
        if let FileStatus::Renamed { from } = &file.status {
            shown["previous_filename"] = json!(from);
        }
        if let Some(patch) = &file.patch {
            shown["patch"] = json!(patch);
        }
        shown
    }

    fn git_user_json(who: &Signature) -> Value {
        json!({ "name": who.name, "email": who.email, "date": rfc3339(who.at_ms) })
    }

    /// A commit as lists show it.
    pub fn commit_json(&self, commit: &Commit) -> Value {
        let url = self.repository_url(&format!("/commits/{}", commit.sha));
        let html = self.page_url(&format!("/commit/{}", commit.sha));
        let login =
            |who: &Signature| self.user_by_email(&who.email).map_or(Value::Null, |user| self.user_json(&user.login));
        json!({
            "sha": commit.sha,
            "node_id": format!("C_kwDO{}", commit.sha),
            "commit": {
                "author": Self::git_user_json(&commit.author),
                "committer": Self::git_user_json(&commit.committer),
                "message": commit.message,
                "tree": { "sha": commit.tree, "url": self.repository_url(&format!("/git/trees/{}", commit.tree)) },
                "url": self.repository_url(&format!("/git/commits/{}", commit.sha)),
                "comment_count": 0,
                "verification": { "verified": false, "reason": "unsigned", "signature": Value::Null, "payload": Value::Null, "verified_at": Value::Null },
            },
            "url": url,
            "html_url": html,
            "comments_url": format!("{url}/comments"),
            "author": login(&commit.author),
            "committer": login(&commit.committer),
            "parents": commit.parents.iter().map(|sha| json!({
                "sha": sha,
                "url": self.repository_url(&format!("/commits/{sha}")),
                "html_url": self.page_url(&format!("/commit/{sha}")),
            })).collect::<Vec<_>>(),
        })
    }

    /// A commit's short form in suites and workflow runs.
    pub(super) fn simple_commit_json(&self, sha: &str) -> Value {
        let Some(commit) = self.history.commit(sha) else {
            return Value::Null;
        };
        json!({
            "id": commit.sha,
            "tree_id": commit.tree,
            "message": commit.message,
            "timestamp": rfc3339(commit.committer.at_ms),
            "author": { "name": commit.author.name, "email": commit.author.email },
            "committer": { "name": commit.committer.name, "email": commit.committer.email },
        })
    }

    pub fn review_json(&self, review: &Review) -> Value {
        let html = self.page_url(&format!("/pull/{}#pullrequestreview-{}", review.number, review.id));
        let pull = self.repository_url(&format!("/pulls/{}", review.number));
        json!({
            "id": review.id,
            "node_id": node("PRR", review.id),
            "user": self.user_json(&review.author),
            "body": review.body,
            "state": review.state,
            "html_url": html,
            "pull_request_url": pull,
            "author_association": self.association(&review.author),
            "_links": { "html": { "href": html }, "pull_request": { "href": pull } },
            "submitted_at": rfc3339(review.submitted_at),
            "commit_id": review.commit,
        })
    }

    pub fn comment_json(&self, comment: &Comment) -> Value {
        let url = self.repository_url(&format!("/issues/comments/{}", comment.id));
        let by_app = comment.author == self.app.bot_login();
        let kind = if self.pulls.contains_key(&comment.number) { "pull" } else { "issues" };
        json!({
            "id": comment.id,
            "node_id": node("IC", comment.id),
            "url": url,
            "html_url": self.page_url(&format!("/{kind}/{}#issuecomment-{}", comment.number, comment.id)),
            "issue_url": self.repository_url(&format!("/issues/{}", comment.number)),
            "user": self.user_json(&comment.author),
            "created_at": rfc3339(comment.created_at),
            "updated_at": rfc3339(comment.updated_at),
            "body": comment.body,
            "author_association": self.association(&comment.author),
            "reactions": self.reactions_json(comment.id, &url),
            "performed_via_github_app": if by_app { self.app_json() } else { Value::Null },
        })
    }

    fn reactions_json(&self, comment: u64, url: &str) -> Value {
        let of: Vec<&Reaction> = self.reactions.values().filter(|reaction| reaction.comment == comment).collect();
        let mut shown = json!({ "url": format!("{url}/reactions"), "total_count": of.len() });
        for content in super::talk::REACTIONS {
            shown[content] = json!(of.iter().filter(|reaction| reaction.content == content).count());
        }
        shown
    }

    pub fn reaction_json(&self, reaction: &Reaction) -> Value {
        json!({
            "id": reaction.id,
            "node_id": node("REA", reaction.id),
            "user": self.user_json(&reaction.author),
            "content": reaction.content,
            "created_at": rfc3339(reaction.created_at),
        })
    }

    /// An issue, or a pull request seen as one.
    pub fn issue_json(&self, number: u64) -> Value {
        let pull = self.pulls.get(&number);
        let issue = self.issues.get(&number);
        let made = match (pull, issue) {
            (Some(pull), _) => Issue {
                id: pull.id,
                number,
                title: pull.title.clone(),
                body: pull.body.clone(),
                author: pull.author.clone(),
                labels: pull.labels.clone(),
                created_at: pull.created_at,
                updated_at: pull.updated_at,
                closed_at: match pull.state {
                    PullState::Open => None,
                    PullState::Closed { at } | PullState::Merged { at, .. } => Some(at),
                },
            },
            (None, Some(issue)) => issue.clone(),
            (None, None) => return Value::Null,
        };
        let url = self.repository_url(&format!("/issues/{number}"));
        let kind = if pull.is_some() { "pull" } else { "issues" };
        let html = self.page_url(&format!("/{kind}/{number}"));
        let by_app = made.author == self.app.bot_login();
        let mut shown = json!({
            "id": made.id,
            "node_id": node(if pull.is_some() { "PR" } else { "I" }, made.id),
            "number": number,
            "url": url,
            "repository_url": self.repository_url(""),
            "labels_url": format!("{url}/labels{{/name}}"),
            "comments_url": format!("{url}/comments"),
            "events_url": format!("{url}/events"),
            "html_url": html,
            "title": made.title,
            "user": self.user_json(&made.author),
            "labels": made.labels.iter().map(|name| self.label_json(name)).collect::<Vec<_>>(),
            "state": if made.closed_at.is_none() { "open" } else { "closed" },
            "state_reason": Value::Null,
            "locked": false,
            "active_lock_reason": Value::Null,
            "assignee": Value::Null,
            "assignees": [],
            "milestone": Value::Null,
            "comments": self.comments.values().filter(|comment| comment.number == number).count(),
            "created_at": rfc3339(made.created_at),
            "updated_at": rfc3339(made.updated_at),
            "closed_at": time_or_null(made.closed_at),
            "author_association": self.association(&made.author),
            "body": text_or_null(made.body.as_deref()),
            "performed_via_github_app": if by_app { self.app_json() } else { Value::Null },
            "reactions": {
                "url": format!("{url}/reactions"), "total_count": 0, "+1": 0, "-1": 0, "laugh": 0, "confused": 0,
                "heart": 0, "hooray": 0, "rocket": 0, "eyes": 0,
            },
            "timeline_url": format!("{url}/timeline"),
        });
        if let Some(pull) = pull {
            let merged_at = match pull.state {
                PullState::Merged { at, .. } => Some(at),
                PullState::Open | PullState::Closed { .. } => None,
            };
            shown["draft"] = json!(pull.draft);
            shown["pull_request"] = json!({
                "url": self.repository_url(&format!("/pulls/{number}")),
                "html_url": html,
                "diff_url": format!("{html}.diff"),
                "patch_url": format!("{html}.patch"),
                "merged_at": time_or_null(merged_at),
            });
        }
        shown
    }
}
