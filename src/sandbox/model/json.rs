//! What the API and the webhooks show of the model: every field that GitHub's description of its
//! API requires, and those that people read.

use serde_json::{Value, json};

use super::people::Kind;
use super::{InstallationState, Model};

/// A time as GitHub writes it: UTC, whole seconds.
pub fn rfc3339(at_ms: i64) -> String {
    jiff::Timestamp::from_second(at_ms.div_euclid(1000)).unwrap_or_default().to_string()
}

/// A text, or null.
pub fn text_or_null(text: Option<&str>) -> Value {
    text.map_or(Value::Null, Value::from)
}

/// A `node_id` that looks like GitHub's.
pub fn node(kind: &str, id: u64) -> String {
    format!("{kind}_kwDO{id:08}")
}

pub(super) fn time_or_null(at: Option<i64>) -> Value {
    at.map_or(Value::Null, |at| Value::from(rfc3339(at)))
}

impl Model {
    /// API address of something in the repository.
    pub fn repository_url(&self, rest: &str) -> String {
        format!("{}/repos/{}{rest}", self.api_url, self.repository.full_name())
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
        if self.manners.slim_payloads {
            return json!({ "login": login, "id": id, "type": kind.word() });
        }
        let escaped = login.replace('[', "%5B").replace(']', "%5D").replace(' ', "%20");
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
        if self.manners.slim_payloads {
            return json!({ "login": login, "id": id });
        }
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

    /// The repository as workflow runs, suites and statuses name it.
    pub fn repository_brief_json(&self) -> Value {
        let repository = &self.repository;
        let url = self.repository_url("");
        let mut shown = self.repository_short_json();
        let more = json!({
            "owner": self.user_json(&repository.owner),
            "html_url": self.page_url(""),
            "description": repository.description,
            "fork": false,
            "url": url,
        });
        extend(&mut shown, more);
        for (name, rest) in REPOSITORY_URLS {
            shown[name] = Value::from(format!("{url}{rest}"));
        }
        shown
    }

    /// The repository as lists, pull requests and webhooks show it.
    pub fn repository_json(&self) -> Value {
        let repository = &self.repository;
        let html = self.page_url("");
        let open = self.pulls.values().filter(|pull| pull.is_open()).count()
            + self.issues.values().filter(|issue| issue.closed_at.is_none()).count();
        let mut shown = self.repository_brief_json();
        let more = json!({
            "homepage": Value::Null,
            "language": "Rust",
            "license": Value::Null,
            "mirror_url": Value::Null,
            "default_branch": repository.default_branch,
            "visibility": "public",
            "created_at": rfc3339(repository.created_at),
            "updated_at": rfc3339(repository.pushed_at),
            "pushed_at": rfc3339(repository.pushed_at),
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
            "open_issues": open,
            "open_issues_count": open,
        });
        extend(&mut shown, more);
        let more = json!({
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
        shown
    }

    /// The repository as itself: only here does GitHub tell who watches it.
    pub fn repository_whole_json(&self) -> Value {
        let mut shown = self.repository_json();
        extend(&mut shown, json!({ "network_count": 0, "subscribers_count": 0 }));
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
        if self.manners.slim_payloads {
            return json!({ "id": self.app.id, "slug": self.app.slug, "name": self.app.name });
        }
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
        })
    }

    /// The App, or another one by its slug.
    pub(super) fn app_json_of(&self, other: Option<&str>) -> Value {
        let mut shown = self.app_json();
        if let Some(slug) = other {
            // GitHub Actions, as what else makes check runs here.
            let more = json!({ "id": 15_368, "slug": slug, "client_id": "Iv1.0000000000015368", "name": slug });
            extend(&mut shown, more);
        }
        shown
    }

    /// The App as itself: only here does GitHub count its installations.
    pub fn app_whole_json(&self) -> Value {
        let mut shown = self.app_json();
        shown["installations_count"] = Value::from(1);
        shown
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
}

/// An object out of what is given away: `json!` would copy it, and these are large.
pub(super) fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
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
    ("notifications_url", "/notifications{?since,all,participating}"),
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
