//! What the API and the webhooks show of the model: every field that GitHub's description of its
//! API requires, and those that people read.

use serde_json::{Value, json};

use super::people::Kind;
use super::{
    CheckRun, Comment, InstallationState, Issue, Model, Pull, PullState, Reaction, Review, Run,
};
use crate::sandbox::history::{Commit, FileChange, FileStatus, Signature};

/// A time as GitHub writes it: UTC, whole seconds.
pub fn rfc3339(at_ms: i64) -> String {
    jiff::Timestamp::from_second(at_ms.div_euclid(1000))
        .unwrap_or_default()
        .to_string()
}

/// A text, or null.
pub fn text_or_null(text: Option<&str>) -> Value {
    text.map_or(Value::Null, Value::from)
}

/// A `node_id` that looks like GitHub's.
pub(super) fn node(kind: &str, id: u64) -> String {
    format!("{kind}_kwDO{id:08}")
}

fn time_or_null(at: Option<i64>) -> Value {
    at.map_or(Value::Null, |at| Value::from(rfc3339(at)))
}

impl Model {
    /// API address of something in the repository.
    pub fn repository_url(&self, rest: &str) -> String {
        format!(
            "{}/repos/{}{rest}",
            self.api_url,
            self.repository.full_name()
        )
    }

    /// Page of something in the repository.
    pub fn page_url(&self, rest: &str) -> String {
        format!("{}/{}{rest}", self.web_url, self.repository.full_name())
    }

    /// An account; one that is not known looks like GitHub's ghost.
    pub fn user_json(&self, login: &str) -> Value {
        let (id, login, kind) = match self.find_user(login) {
            Some(user) => (user.id, user.login.as_str(), user.kind),
            None => (10_137, login, Kind::User),
        };
        let escaped = login
            .replace('[', "%5B")
            .replace(']', "%5D")
            .replace(' ', "%20");
        let url = format!("{}/users/{escaped}", self.api_url);
        json!({
            "login": login,
            "id": id,
            "node_id": node("U", id),
            "avatar_url": format!("{}/avatars/{id}", self.web_url),
            "gravatar_id": "",
            "url": url,
            "html_url": format!("{}/{escaped}", self.web_url),
            "followers_url": format!("{url}/followers"),
            "following_url": format!("{url}/following{{/other_user}}"),
            "gists_url": format!("{url}/gists{{/gist_id}}"),
            "starred_url": format!("{url}/starred{{/owner}}{{/repo}}"),
            "subscriptions_url": format!("{url}/subscriptions"),
            "organizations_url": format!("{url}/orgs"),
            "repos_url": format!("{url}/repos"),
            "events_url": format!("{url}/events{{/privacy}}"),
            "received_events_url": format!("{url}/received_events"),
            "type": kind.word(),
            "site_admin": false,
        })
    }

    /// The organisation as webhooks show it.
    pub fn organization_json(&self) -> Value {
        let login = &self.repository.owner;
        let id = self.find_user(login).map_or(1, |user| user.id);
        let url = format!("{}/orgs/{login}", self.api_url);
        json!({
            "login": login,
            "id": id,
            "node_id": node("O", id),
            "url": url,
            "repos_url": format!("{url}/repos"),
            "events_url": format!("{url}/events"),
            "hooks_url": format!("{url}/hooks"),
            "issues_url": format!("{url}/issues"),
            "members_url": format!("{url}/members{{/member}}"),
            "public_members_url": format!("{url}/public_members{{/member}}"),
            "avatar_url": format!("{}/avatars/{id}", self.web_url),
            "description": "",
        })
    }

    /// The few facts of the repository that installation events carry.
    pub fn repository_short_json(&self) -> Value {
        json!({
            "id": self.repository.id,
            "node_id": node("R", self.repository.id),
            "name": self.repository.name,
            "full_name": self.repository.full_name(),
            "private": false,
        })
    }

    /// The repository with all that any of GitHub's repository schemas requires.
    pub fn repository_json(&self) -> Value {
        let repository = &self.repository;
        let url = self.repository_url("");
        let html = self.page_url("");
        let open = self.pulls.values().filter(|pull| pull.is_open()).count() + self.issues.len();
        let mut shown = self.repository_short_json();
        let more = json!({
            "owner": self.user_json(&repository.owner),
            "html_url": html,
            "description": repository.description,
            "fork": false,
            "url": url,
            "homepage": Value::Null,
            "language": "Rust",
            "license": Value::Null,
            "mirror_url": Value::Null,
            "default_branch": repository.default_branch,
            "visibility": "public",
            "created_at": rfc3339(repository.created_at),
            "updated_at": rfc3339(repository.pushed_at),
            "pushed_at": rfc3339(repository.pushed_at),
        });
        extend(&mut shown, more);
        let more = json!({
            "clone_url": format!("{html}.git"),
            "git_url": format!("{html}.git"),
            "ssh_url": format!("git@localhost:{}.git", repository.full_name()),
            "svn_url": html,
            "size": 120,
            "forks": 0,
            "forks_count": 0,
            "stargazers_count": 0,
            "watchers": 0,
            "watchers_count": 0,
            "network_count": 0,
            "subscribers_count": 0,
            "open_issues": open,
            "open_issues_count": open,
            "has_issues": true,
            "has_projects": false,
            "has_downloads": true,
            "has_wiki": false,
            "has_pages": false,
            "has_discussions": false,
            "archived": false,
            "disabled": false,
            "allow_forking": true,
            "is_template": false,
            "web_commit_signoff_required": false,
            "topics": [],
            "allow_squash_merge": true,
            "allow_merge_commit": true,
            "allow_rebase_merge": false,
            "allow_auto_merge": false,
            "delete_branch_on_merge": false,
            "permissions": { "admin": false, "maintain": false, "push": true, "triage": true, "pull": true },
        });
        extend(&mut shown, more);
        for (name, rest) in REPOSITORY_URLS {
            shown[name] = Value::from(format!("{url}{rest}"));
        }
        shown
    }

    /// The repository as webhooks show it.
    pub(super) fn payload_repository_json(&self) -> Value {
        if !self.manners.slim_payloads {
            return self.repository_json();
        }
        let mut shown = self.repository_short_json();
        shown["owner"] = json!({ "login": self.repository.owner, "id": 1, "type": "Organization" });
        shown["default_branch"] = json!(self.repository.default_branch);
        shown
    }

    /// The App (`integration` in GitHub's description).
    pub fn app_json(&self) -> Value {
        json!({
            "id": self.app.id,
            "slug": self.app.slug,
            "client_id": self.app.client_id,
            "node_id": node("A", self.app.id),
            "owner": self.user_json(&self.repository.owner),
            "name": self.app.name,
            "description": "Says how much risk a release carries",
            "external_url": format!("{}/apps/{}/home", self.web_url, self.app.slug),
            "html_url": format!("{}/apps/{}", self.web_url, self.app.slug),
            "created_at": rfc3339(self.app.created_at),
            "updated_at": rfc3339(self.app.created_at),
            "permissions": self.app.permissions,
            "events": self.app.events,
            "installations_count": 1,
        })
    }

    pub fn installation_json(&self) -> Value {
        let installation = &self.installation;
        let (suspended_at, suspended_by) = match &installation.state {
            InstallationState::Suspended { at, by } => (Some(*at), self.user_json(by)),
            InstallationState::Active | InstallationState::Deleted => (None, Value::Null),
        };
        let mut owner = self.user_json(&self.repository.owner);
        // Where installations are listed, GitHub's description asks of every account what only an
        // enterprise has.
        let at = rfc3339(installation.created_at);
        extend(
            &mut owner,
            json!({ "name": self.repository.owner, "slug": self.repository.owner, "created_at": at, "updated_at": at }),
        );
        json!({
            "id": installation.id,
            "node_id": node("I", installation.id),
            "client_id": self.app.client_id,
            "account": owner,
            "repository_selection": "all",
            "access_tokens_url": format!("{}/app/installations/{}/access_tokens", self.api_url, installation.id),
            "repositories_url": format!("{}/installation/repositories", self.api_url),
            "html_url": format!("{}/organizations/{}/settings/installations/{}", self.web_url, self.repository.owner, installation.id),
            "app_id": self.app.id,
            "app_slug": self.app.slug,
            "target_id": owner["id"],
            "target_type": "Organization",
            "permissions": self.app.permissions,
            "events": self.app.events,
            "created_at": rfc3339(installation.created_at),
            "updated_at": rfc3339(installation.updated_at),
            "single_file_name": Value::Null,
            "has_multiple_single_files": false,
            "single_file_paths": [],
            "suspended_by": suspended_by,
            "suspended_at": time_or_null(suspended_at),
        })
    }

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
        json!({
            "label": format!("{owner}:{name}"),
            "ref": name,
            "sha": sha,
            "user": self.user_json(owner),
            "repo": repository,
        })
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
        let mut head = self.branch_json(
            pull.fork_of.as_deref().unwrap_or(owner),
            &pull.head_ref,
            &pull.head_sha,
            repository,
        );
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
            "head": head,
            "base": self.branch_json(owner, &pull.base_ref, &pull.base_sha, repository),
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
        shown
    }

    /// A pull request as itself: with its counts.
    pub fn pull_json(&self, pull: &Pull) -> Value {
        let mut shown = self.pull_simple_json(pull);
        self.add_counts(&mut shown, pull);
        shown
    }

    /// A pull request as webhooks show it.
    pub(super) fn payload_pull_json(&self, pull: &Pull) -> Value {
        let mut shown = self.pull_json_with(pull, &self.payload_repository_json());
        self.add_counts(&mut shown, pull);
        shown
    }

    fn add_counts(&self, shown: &mut Value, pull: &Pull) {
        let comparison = self.pull_comparison(pull.number).ok();
        let files = comparison
            .as_ref()
            .map(|c| c.files.as_slice())
            .unwrap_or_default();
        let base = self
            .history
            .branch(&pull.base_ref)
            .unwrap_or_else(|| pull.base_sha.clone());
        let mergeable = pull
            .is_open()
            .then(|| self.history.is_mergeable(&base, &pull.head_sha));
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
        let repository = json!({ "id": self.repository.id, "url": self.repository_url(""), "name": self.repository.name });
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
        let login = |who: &Signature| {
            self.user_by_email(&who.email)
                .map_or(Value::Null, |user| self.user_json(&user.login))
        };
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
    fn simple_commit_json(&self, sha: &str) -> Value {
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
        let html = self.page_url(&format!(
            "/pull/{}#pullrequestreview-{}",
            review.number, review.id
        ));
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
        let kind = if self.pulls.contains_key(&comment.number) {
            "pull"
        } else {
            "issues"
        };
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
        let of: Vec<&Reaction> = self
            .reactions
            .values()
            .filter(|reaction| reaction.comment == comment)
            .collect();
        let mut shown = json!({ "url": format!("{url}/reactions"), "total_count": of.len() });
        for content in super::talk::REACTIONS {
            shown[content] = json!(
                of.iter()
                    .filter(|reaction| reaction.content == content)
                    .count()
            );
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
            "updated_at": rfc3339(made.closed_at.unwrap_or(made.created_at)),
            "closed_at": time_or_null(made.closed_at),
            "author_association": self.association(&made.author),
            "body": text_or_null(made.body.as_deref()),
            "performed_via_github_app": Value::Null,
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

    /// A check suite of the App.
    pub fn suite_json(&self, sha: &str) -> Value {
        let (id, created_at) = self.suites.get(sha).copied().unwrap_or((0, 0));
        let runs = self.check_runs_of(sha, true);
        let url = self.repository_url(&format!("/check-suites/{id}"));
        let done = !runs.is_empty() && runs.iter().all(|run| run.status == "completed");
        let failed = runs.iter().find_map(|run| {
            run.conclusion
                .as_deref()
                .filter(|c| !matches!(*c, "success" | "neutral" | "skipped"))
        });
        let branch = self
            .pulls
            .values()
            .find(|pull| pull.head_sha == sha)
            .map(|pull| pull.head_ref.clone());
        let branch = branch.or_else(|| {
            self.history
                .branches()
                .into_iter()
                .find(|(_, tip)| tip == sha)
                .map(|(name, _)| name)
        });
        json!({
            "id": id,
            "node_id": node("CS", id),
            "head_branch": text_or_null(branch.as_deref()),
            "head_sha": sha,
            "status": if done { "completed" } else { "queued" },
            "conclusion": if done { json!(failed.unwrap_or("success")) } else { Value::Null },
            "url": url,
            "before": Value::Null,
            "after": sha,
            "pull_requests": self.pulls_of_sha_json(sha),
            "app": self.app_json(),
            "created_at": rfc3339(created_at),
            "updated_at": rfc3339(created_at),
            "rerequestable": true,
            "runs_rerequestable": true,
            "latest_check_runs_count": runs.len(),
            "check_runs_url": format!("{url}/check-runs"),
            "head_commit": self.simple_commit_json(sha),
        })
    }

    pub fn check_run_json(&self, run: &CheckRun) -> Value {
        let url = self.repository_url(&format!("/check-runs/{}", run.id));
        let html = self.page_url(&format!("/runs/{}", run.id));
        json!({
            "id": run.id,
            "node_id": node("CR", run.id),
            "name": run.name,
            "head_sha": run.head_sha,
            "external_id": run.external_id.clone().unwrap_or_default(),
            "url": url,
            "html_url": html,
            "details_url": run.details_url.clone().unwrap_or_else(|| format!("{}/apps/{}/home", self.web_url, self.app.slug)),
            "status": run.status,
            "conclusion": text_or_null(run.conclusion.as_deref()),
            "started_at": rfc3339(run.started_at),
            "completed_at": time_or_null(run.completed_at),
            "output": {
                "title": text_or_null(run.title.as_deref()),
                "summary": text_or_null(run.summary.as_deref()),
                "text": text_or_null(run.text.as_deref()),
                "annotations_count": run.annotations.len(),
                "annotations_url": format!("{url}/annotations"),
            },
            "check_suite": { "id": run.suite },
            "app": self.app_json(),
            "pull_requests": self.pulls_of_sha_json(&run.head_sha),
            "actions": run.actions.iter().map(|action| json!({
                "label": action.label, "description": action.description, "identifier": action.identifier,
            })).collect::<Vec<_>>(),
        })
    }

    pub fn deployment_json(&self, id: u64) -> Value {
        let Some(deployment) = self.deployments.get(&id) else {
            return Value::Null;
        };
        let url = self.repository_url(&format!("/deployments/{id}"));
        json!({
            "id": id,
            "node_id": node("DE", id),
            "url": url,
            "sha": deployment.sha,
            "ref": deployment.git_ref,
            "task": deployment.task,
            "payload": deployment.payload,
            "original_environment": deployment.environment,
            "environment": deployment.environment,
            "description": text_or_null(deployment.description.as_deref()),
            "creator": self.user_json(&deployment.creator),
            "created_at": rfc3339(deployment.created_at),
            "updated_at": rfc3339(deployment.updated_at),
            "statuses_url": format!("{url}/statuses"),
            "repository_url": self.repository_url(""),
            "transient_environment": deployment.transient,
            "production_environment": deployment.production,
            "performed_via_github_app": Value::Null,
        })
    }

    pub fn deployment_status_json(&self, id: u64) -> Value {
        let Some(status) = self.deployment_statuses.get(&id) else {
            return Value::Null;
        };
        let deployment = self.repository_url(&format!("/deployments/{}", status.deployment));
        let mut shown = json!({
            "id": id,
            "node_id": node("DES", id),
            "url": format!("{deployment}/statuses/{id}"),
            "state": status.state,
            "creator": self.user_json(&status.creator),
            "description": status.description,
            "environment": status.environment,
            // GitHub says "" where there is none, though its own description wants an address here.
            "target_url": self.page_url("/deployments"),
            "created_at": rfc3339(status.created_at),
            "updated_at": rfc3339(status.created_at),
            "deployment_url": deployment,
            "repository_url": self.repository_url(""),
            "performed_via_github_app": Value::Null,
        });
        if !status.log_url.is_empty() {
            shown["target_url"] = json!(status.log_url);
            shown["log_url"] = json!(status.log_url);
        }
        if !status.environment_url.is_empty() {
            shown["environment_url"] = json!(status.environment_url);
        }
        shown
    }

    pub fn environment_json(&self, key: &str) -> Value {
        let Some(environment) = self.environments.get(key) else {
            return Value::Null;
        };
        let name = encoded(&environment.name);
        json!({
            "id": environment.id,
            "node_id": node("EN", environment.id),
            "name": environment.name,
            "url": self.repository_url(&format!("/environments/{name}")),
            "html_url": self.page_url("/deployments"),
            "created_at": rfc3339(environment.created_at),
            "updated_at": rfc3339(environment.created_at),
            "protection_rules": [],
            "deployment_branch_policy": Value::Null,
        })
    }

    pub fn workflow_json_of(&self, id: u64, path: &str, name: &str) -> Value {
        let file = path.rsplit('/').next().unwrap_or(path);
        json!({
            "id": id,
            "node_id": node("W", id),
            "name": name,
            "path": path,
            "state": "active",
            "created_at": rfc3339(self.repository.created_at),
            "updated_at": rfc3339(self.repository.created_at),
            "url": self.repository_url(&format!("/actions/workflows/{id}")),
            "html_url": self.page_url(&format!("/blob/{}/{path}", self.repository.default_branch)),
            "badge_url": self.page_url(&format!("/workflows/{}/badge.svg", encoded(file))),
        })
    }

    pub fn run_json(&self, run: &Run) -> Value {
        let url = self.repository_url(&format!("/actions/runs/{}", run.id));
        let repository = self.payload_repository_json();
        let mut shown = json!({
            "id": run.id,
            "node_id": node("WFR", run.id),
            "name": run.workflow_name,
            "head_branch": run.head_branch,
            "head_sha": run.head_sha,
            "path": run.workflow_path,
            "run_number": run.number,
            "run_attempt": 1,
            "display_title": run.display_title,
            "event": run.event,
            "status": run.state.status(),
            "conclusion": text_or_null(run.state.conclusion()),
            "workflow_id": run.workflow_id,
            "check_suite_id": run.id + 900_000,
            "check_suite_node_id": node("CS", run.id + 900_000),
            "url": url,
            "html_url": self.page_url(&format!("/actions/runs/{}", run.id)),
            "pull_requests": [],
            "created_at": rfc3339(run.created_at),
            "updated_at": rfc3339(run.updated_at),
            "run_started_at": rfc3339(run.created_at),
            "actor": self.user_json(&run.actor),
            "triggering_actor": self.user_json(&run.actor),
            "referenced_workflows": [],
            "previous_attempt_url": Value::Null,
        });
        let more = json!({
            "jobs_url": format!("{url}/jobs"),
            "logs_url": format!("{url}/logs"),
            "check_suite_url": self.repository_url(&format!("/check-suites/{}", run.id + 900_000)),
            "artifacts_url": format!("{url}/artifacts"),
            "cancel_url": format!("{url}/cancel"),
            "rerun_url": format!("{url}/rerun"),
            "workflow_url": self.repository_url(&format!("/actions/workflows/{}", run.workflow_id)),
            "head_commit": self.simple_commit_json(&run.head_sha),
            "repository": repository,
            "head_repository": repository,
        });
        extend(&mut shown, more);
        shown
    }
}

/// Adds the members of one object to another.
pub(super) fn extend(shown: &mut Value, more: Value) {
    if let (Some(shown), Value::Object(more)) = (shown.as_object_mut(), more) {
        shown.extend(more);
    }
}

/// A name as one segment of an address.
pub fn encoded(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// A path in an address: its slashes stay.
pub fn encoded_path(path: &str) -> String {
    path.split('/').map(encoded).collect::<Vec<_>>().join("/")
}

const REPOSITORY_URLS: [(&str, &str); 36] = [
    ("archive_url", "/{archive_format}{/ref}"),
    ("assignees_url", "/assignees{/user}"),
    ("blobs_url", "/git/blobs{/sha}"),
    ("branches_url", "/branches{/branch}"),
    ("collaborators_url", "/collaborators{/collaborator}"),
    ("comments_url", "/comments{/number}"),
    ("commits_url", "/commits{/sha}"),
    ("compare_url", "/compare/{base}...{head}"),
    ("contents_url", "/contents/{+path}"),
    ("contributors_url", "/contributors"),
    ("deployments_url", "/deployments"),
    ("downloads_url", "/downloads"),
    ("events_url", "/events"),
    ("forks_url", "/forks"),
    ("git_commits_url", "/git/commits{/sha}"),
    ("git_refs_url", "/git/refs{/sha}"),
    ("git_tags_url", "/git/tags{/sha}"),
    ("hooks_url", "/hooks"),
    ("issue_comment_url", "/issues/comments{/number}"),
    ("issue_events_url", "/issues/events{/number}"),
    ("issues_url", "/issues{/number}"),
    ("keys_url", "/keys{/key_id}"),
    ("labels_url", "/labels{/name}"),
    ("languages_url", "/languages"),
    ("merges_url", "/merges"),
    ("milestones_url", "/milestones{/number}"),
    (
        "notifications_url",
        "/notifications{?since,all,participating}",
    ),
    ("pulls_url", "/pulls{/number}"),
    ("releases_url", "/releases{/id}"),
    ("stargazers_url", "/stargazers"),
    ("statuses_url", "/statuses/{sha}"),
    ("subscribers_url", "/subscribers"),
    ("subscription_url", "/subscription"),
    ("tags_url", "/tags"),
    ("teams_url", "/teams"),
    ("trees_url", "/git/trees{/sha}"),
];
