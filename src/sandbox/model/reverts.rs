//! Pull requests that take back others, as GitHub's own button makes them.

use super::{Model, PullState, PullWish, Refusal};
use crate::sandbox::history::{Entry, FileStatus, HistoryError};

/// How a revert is wanted; what is `None` is as GitHub words it.
#[derive(Debug, Clone, Copy, Default)]
pub struct RevertWish<'a> {
    pub title: Option<&'a str>,
    pub body: Option<&'a str>,
    pub draft: bool,
}

impl Model {
    /// Opens a pull request that takes back a merged one, and returns its number. Fails when one of its files is not
    /// any more what the merge made of it.
    pub fn revert_pull(&mut self, number: u64, wish: &RevertWish<'_>, by: &str, now: i64) -> Result<u64, Refusal> {
        let pull = self.pull(number)?;
        let PullState::Merged { sha, .. } = pull.state.clone() else {
            return Err(Refusal::new(422, format!("Pull request #{number} is not merged")));
        };
        let (base, was, title) = (pull.base_ref.clone(), pull.head_ref.clone(), pull.title.clone());
        let conflict = || Refusal::new(422, format!("Pull request #{number} could not be reverted: merge conflict"));
        let tip = self.history.branch(&base).ok_or_else(Refusal::not_found)?;
        if !self.stands_as_merged(&sha, &tip)? {
            return Err(conflict());
        }
        let stem = format!("revert-{number}-{was}");
        let branch = (0..)
            .map(|n| if n == 0 { stem.clone() } else { format!("{stem}-{n}") })
            .find(|name| self.history.branch(name).is_none())
            .unwrap_or(stem);
        let who = self.signature(by, now);
        let parents = self.history.commit(&sha).map(|commit| commit.parents).unwrap_or_default();
        let what = match parents.as_slice() {
            [first, _, ..] => format!("This reverts commit {sha}, reversing\nchanges made to {first}."),
            _ => format!("This reverts commit {sha}."),
        };
        let message = format!("Revert \"{title}\"\n\n{what}\n");
        let made = self.history.revert(&sha, &tip, &branch, &message, &who).map_err(|error| match error {
            HistoryError::Conflict => conflict(),
            other => other.into(),
        })?;
        self.pushed(&branch, None, &made, by, now);
        let (title, body) =
            (format!("Revert \"{title}\""), format!("Reverts {}#{number}", self.repository.full_name()));
        let wish = PullWish {
            head: &branch,
            base: &base,
            title: wish.title.unwrap_or(&title),
            body: Some(wish.body.unwrap_or(&body)),
            author: by,
            draft: wish.draft,
        };
        self.open_pull(&wish, now)
    }

    /// Whether every file that a commit changed is at `tip` what it made of it.
    fn stands_as_merged(&self, sha: &str, tip: &str) -> Result<bool, Refusal> {
        let blob = |at: &str, path: &str| match self.history.read(at, path) {
            Some(Entry::File { sha, .. }) => Some(sha),
            Some(Entry::Directory(_)) | None => None,
        };
        let changes = self.history.changes_of(sha)?;
        Ok(changes.iter().all(|change| {
            let from = match &change.status {
                FileStatus::Renamed { from } => Some(from),
                FileStatus::Added | FileStatus::Removed | FileStatus::Modified => None,
            };
            from.into_iter().chain([&change.path]).all(|path| blob(sha, path) == blob(tip, path))
        }))
    }
}
