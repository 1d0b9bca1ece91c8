//! Workflow runs, and the key in their title.
//!
//! Knows GitHub's fields and where a key may stand. Must never know what a run is for.

use super::*;
use crate::domain::facts::{RunSnapshot, RunStatus};

/// A workflow run.
#[derive(Clone, Debug, Deserialize)]
pub struct Run {
    pub id: u64,
    run_attempt: Option<u64>,
    pub event: Option<String>,
    pub display_title: Option<String>,
    status: Option<String>,
    conclusion: Option<String>,
    head_sha: Option<String>,
    html_url: Option<String>,
    created_at: When,
    updated_at: Option<When>,
    /// Who started it; who runs it again later is another field.
    actor: Option<Account>,
}

impl Run {
    /// Whether this account started it.
    pub fn is_by(&self, login: &Login) -> bool {
        self.actor.as_ref().and_then(Account::login).is_some_and(|actor| actor == *login)
    }
    /// Whether it waits at a deployment protection rule.
    pub fn waits(&self) -> bool {
        self.status.as_deref() == Some("waiting")
    }
    /// The run in the domain's words.
    pub fn snapshot(self) -> RunSnapshot {
        RunSnapshot {
            id: RunId(self.id),
            attempt: self.run_attempt.unwrap_or(1),
            status: status(self.status.as_deref(), self.conclusion.as_deref()),
            event: self.event.unwrap_or_default(),
            display_title: self.display_title.unwrap_or_default(),
            head_sha: self.head_sha.as_deref().and_then(Sha::parse),
            url: self.html_url.unwrap_or_default(),
            created_at: self.created_at.0,
            updated_at: self.updated_at.unwrap_or(self.created_at).0,
        }
    }
}

fn status(status: Option<&str>, conclusion: Option<&str>) -> RunStatus {
    match (status, conclusion) {
        (Some("in_progress"), _) => RunStatus::InProgress,
        (Some("queued" | "requested" | "waiting" | "pending"), _) | (_, None) if status != Some("completed") => {
            RunStatus::Queued
        }
        // Completed, and the conclusion is not there yet: look again.
        (_, None) => RunStatus::InProgress,
        (_, Some("success")) => RunStatus::Succeeded,
        (_, Some("failure" | "startup_failure")) => RunStatus::Failed,
        (_, Some("cancelled")) => RunStatus::Cancelled,
        (_, Some("timed_out")) => RunStatus::TimedOut,
        (_, Some(_)) => RunStatus::Other,
    }
}

/// Whether a title carries exactly this key: `.../release-1` is not found in `.../release-10`.
pub fn carries_key(title: &str, key: &str) -> bool {
    !key.is_empty()
        && title.match_indices(key).any(|(at, _)| begins_word(&title[..at]) && ends_word(&title[at + key.len()..]))
}

/// The service whose pipeline made the key in a title; `None` when the title carries no key of this repository.
///
/// A key begins with `owner/repo/service/release-N`.
pub fn service_in_title(title: &str, repo: &RepoName) -> Option<ServiceName> {
    let prefix = format!("{repo}/");
    title.match_indices(&prefix).filter(|(at, _)| begins_word(&title[..*at])).find_map(|(at, _)| {
        let rest = &title[at + prefix.len()..];
        rest.match_indices("/release-").find_map(|(end, mark)| {
            let number = rest[end + mark.len()..].split(|c: char| !c.is_ascii_digit()).next()?;
            let after = &rest[end + mark.len() + number.len()..];
            let service = &rest[..end];
            let good = !number.is_empty() && (after.starts_with('/') || ends_word(after)) && is_service_name(service);
            good.then(|| ServiceName::new(service))
        })
    })
}

/// Whether a key may begin after this text.
fn begins_word(before: &str) -> bool {
    !before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '/' | '.'))
}

/// Whether a key may end before this text; a full stop ends it unless a word goes on behind it.
fn ends_word(after: &str) -> bool {
    let after = after.strip_prefix('.').unwrap_or(after);
    !after.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '/' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_whole_or_not_at_all() {
        let key = "acme/shop/api/release-1/production/step-1/attempt-1";
        for title in [
            key.to_owned(),
            format!("Deploy {key}"),
            format!("api to production ({key})"),
            format!("Deploy [{key}]."),
            format!("{key}0, no: {key}"),
        ] {
            assert!(carries_key(&title, key), "{title}");
        }
        for title in [
            format!("{key}0"),
            format!("{key}/more"),
            format!("{key}.1"),
            format!("x{key}"),
            format!("other/{key}"),
            "acme/shop/api/release-10/production/step-1/attempt-1".to_owned(),
        ] {
            assert!(!carries_key(&title, key), "{title}");
        }
        assert!(!carries_key("anything", ""));
    }

    #[test]
    fn the_service_is_read_from_the_key_in_a_title() {
        let repo = RepoName::parse("acme/shop").unwrap();
        let service = |title: &str| service_in_title(title, &repo).map(|service| service.to_string());
        assert_eq!(service("Deploy acme/shop/api/release-7/production/step-1").as_deref(), Some("api"));
        assert_eq!(service("acme/shop/web.v2/release-12").as_deref(), Some("web.v2"));
        assert_eq!(service("acme/shop/release-notes/release-3/staging").as_deref(), Some("release-notes"));
        assert_eq!(service("see acme/shop/pulls, then acme/shop/api/release-7/x").as_deref(), Some("api"));
        assert_eq!(service("acme/shop/api/release-x"), None);
        assert_eq!(service("acme/shopping/api/release-7"), None);
        assert_eq!(service("not-acme/shop/api/release-7"), None);
        assert_eq!(service("Deploy to production"), None);
    }

    #[test]
    fn a_run_ends_only_with_a_conclusion() {
        assert_eq!(status(Some("waiting"), None), RunStatus::Queued);
        assert_eq!(status(Some("something new"), None), RunStatus::Queued);
        assert_eq!(status(Some("in_progress"), None), RunStatus::InProgress);
        assert_eq!(status(Some("completed"), None), RunStatus::InProgress);
        assert_eq!(status(Some("completed"), Some("startup_failure")), RunStatus::Failed);
        assert_eq!(status(Some("completed"), Some("skipped")), RunStatus::Other);
        assert_eq!(status(Some("queued"), Some("success")), RunStatus::Queued, "it is being run again");
    }
}
