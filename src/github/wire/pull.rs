//! Pull requests and their reviews.
//!
//! Knows GitHub's fields. Must never know what follows from them.

use super::*;
use crate::domain::facts::{PullSnapshot, Review as ReviewFact, ReviewState};

/// A pull request; lists leave out the figures and `merged`.
#[derive(Clone, Debug, Deserialize)]
pub struct Pull {
    number: u64,
    title: Option<String>,
    body: Option<String>,
    user: Option<Account>,
    head: End,
    base: End,
    draft: Option<bool>,
    state: Option<String>,
    merged: Option<bool>,
    merged_at: Option<When>,
    merge_commit_sha: Option<String>,
    merged_by: Option<Account>,
    labels: Option<Vec<Label>>,
    updated_at: When,
    additions: Option<u64>,
    deletions: Option<u64>,
    changed_files: Option<u64>,
}

/// The head or the base of a pull request.
#[derive(Clone, Debug, Deserialize)]
struct End {
    #[serde(rename = "ref")]
    name: String,
    sha: String,
    repo: Option<NamedRepository>,
}

#[derive(Clone, Debug, Deserialize)]
struct Label {
    name: Option<String>,
}

impl Pull {
    /// The pull request in the domain's words; fails on a head or base that is no commit.
    pub fn snapshot(self) -> Result<PullSnapshot, Unfit> {
        let merged = self.merged.unwrap_or(self.merged_at.is_some());
        Ok(PullSnapshot {
            number: PullNumber(self.number),
            title: self.title.unwrap_or_default(),
            body: cut_to(self.body.unwrap_or_default(), PULL_BODY_BYTES_MAX),
            author: login_or_ghost(self.user.as_ref()),
            author_is_bot: self.user.as_ref().is_some_and(Account::is_bot),
            head_sha: Sha::parse(&self.head.sha).ok_or(Unfit("head.sha"))?,
            head_ref: RefName::new(self.head.name),
            head_repo: self.head.repo.and_then(|repo| repo.name().ok()),
            base_ref: RefName::new(self.base.name),
            base_sha: Sha::parse(&self.base.sha).ok_or(Unfit("base.sha"))?,
            draft: self.draft.unwrap_or(false),
            open: !merged && self.state.as_deref() != Some("closed"),
            merged,
            // Until the merge this is a commit of GitHub's that only tries whether a merge would work.
            merge_commit_sha: self.merge_commit_sha.filter(|_| merged).as_deref().and_then(Sha::parse),
            merged_by: self.merged_by.as_ref().and_then(Account::login),
            labels: self.labels.unwrap_or_default().into_iter().filter_map(|label| label.name).collect(),
            updated_at: self.updated_at.0,
            additions: self.additions,
            deletions: self.deletions,
            changed_files: self.changed_files,
        })
    }
}

/// A review of a pull request.
#[derive(Clone, Debug, Deserialize)]
pub struct Review {
    user: Option<Account>,
    state: Option<String>,
    commit_id: Option<String>,
    submitted_at: Option<When>,
}

impl Review {
    /// The review in the domain's words; `None` while it is only a draft of its author.
    pub fn review(self) -> Option<ReviewFact> {
        let state = match self.state.as_deref()?.to_ascii_lowercase().as_str() {
            "approved" => ReviewState::Approved,
            "changes_requested" => ReviewState::ChangesRequested,
            "dismissed" => ReviewState::Dismissed,
            "pending" => ReviewState::Pending,
            _ => ReviewState::Commented,
        };
        Some(ReviewFact {
            by: login_or_ghost(self.user.as_ref()),
            state,
            commit: self.commit_id.as_deref().and_then(Sha::parse),
            submitted_at: self.submitted_at?.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_request_of_a_deleted_fork_and_account_can_be_read() {
        let json = serde_json::json!({
            "number": 7, "title": "Fix", "body": null, "user": null, "state": "closed", "merged_at": null,
            "merge_commit_sha": "a".repeat(40), "updated_at": "2026-01-01T00:00:00Z", "labels": null,
            "head": {"ref": "fix", "sha": "B".repeat(40), "repo": null},
            "base": {"ref": "main", "sha": "c".repeat(40), "repo": {"full_name": "acme/shop"}},
        });
        let pull = serde_json::from_value::<Pull>(json).unwrap().snapshot().unwrap();
        assert_eq!(pull.author, Login::new("ghost"));
        assert_eq!((pull.open, pull.merged, pull.head_repo), (false, false, None));
        assert_eq!(pull.head_sha.as_str(), "b".repeat(40));
        assert_eq!(pull.merge_commit_sha, None, "GitHub's trial merge is not the merge");
        assert_eq!(pull.additions, None);
    }

    #[test]
    fn a_list_says_that_a_pull_request_was_merged_by_when_it_was() {
        let json = serde_json::json!({
            "number": 7, "state": "closed", "merged_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
            "merge_commit_sha": "a".repeat(40), "user": {"login": "renovate[bot]"},
            "head": {"ref": "fix", "sha": "b".repeat(40)}, "base": {"ref": "main", "sha": "c".repeat(40)},
        });
        let pull = serde_json::from_value::<Pull>(json).unwrap().snapshot().unwrap();
        assert!(pull.merged && !pull.open && pull.author_is_bot);
        assert_eq!(pull.merge_commit_sha, Sha::parse(&"a".repeat(40)));
    }
}
