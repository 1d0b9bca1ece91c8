//! Reads: one answer, or all pages of a list, as a value or as its absence.
//!
//! Knows which refusals of a read are answers in themselves. Must never know what is read.

use super::client::{As, Call, Client, Reply};
use super::wire::rest::Page;
use crate::domain::facts::Absence;
use crate::engine::ports::GitHubError;
use http::StatusCode;
use serde::de::DeserializeOwned;

/// A read's answer: what was asked for, or why there is none.
pub(super) type Found<T> = Result<T, Absence>;

/// All pages of a list that were asked for.
#[derive(Debug)]
pub(super) struct Listed<T> {
    pub items: Vec<T>,
    /// There are more pages than were asked for.
    pub more: bool,
}

impl Client {
    /// Reads one answer.
    pub(super) async fn get<T: DeserializeOwned>(&self, by: As, path: String) -> Result<Found<T>, GitHubError> {
        let call = Call::get(path);
        let reply = self.send(by, &call).await?;
        found(&call, &reply, false)
    }

    /// Reads one answer on which GitHub may give up; then there is none to have.
    pub(super) async fn get_large<T: DeserializeOwned>(&self, by: As, path: String) -> Result<Found<T>, GitHubError> {
        let call = Call::get(path);
        let reply = self.send(by, &call).await?;
        found(&call, &reply, true)
    }

    /// Reads a list page by page, at most `pages_max`, until `enough` is content with what there is.
    ///
    /// `path` may have a query; the pages are of 100.
    pub(super) async fn list<P: Page>(
        &self,
        by: As,
        path: &str,
        pages_max: usize,
        enough: impl Fn(&[P::Item]) -> bool + Send,
    ) -> Result<Found<Listed<P::Item>>, GitHubError> {
        let (bare, query) = path.split_once('?').unwrap_or((path, ""));
        let mut query = if query.is_empty() { "per_page=100".to_owned() } else { format!("{query}&per_page=100") };
        let mut items = Vec::new();
        for _ in 0..pages_max {
            let call = Call::get(format!("{bare}?{query}"));
            let reply = self.send(by, &call).await?;
            match found::<P>(&call, &reply, P::MAY_GIVE_UP)? {
                Ok(page) => items.extend(page.items()),
                Err(absence) => return Ok(Err(absence)),
            }
            match reply.next {
                Some(next) if !enough(&items) => query = next,
                next => return Ok(Ok(Listed { items, more: next.is_some() })),
            }
        }
        Ok(Ok(Listed { items, more: true }))
    }
}

/// Judges the answer to a read.
fn found<T: DeserializeOwned>(call: &Call, reply: &Reply, may_give_up: bool) -> Result<Found<T>, GitHubError> {
    let status = reply.status;
    Ok(match status {
        _ if status.is_success() => reply.read().map_err(|message| Absence::Unusable { message }),
        _ if may_give_up && reply.gave_up() => {
            Err(Absence::Unusable { message: reply.words().trim_end_matches('.').to_owned() })
        }
        _ if status.is_server_error() || reply.has_no_diff() => {
            return Err(GitHubError::Unavailable { what: call.what(), message: format!("GitHub answered {status}") });
        }
        // 409: the repository is empty; 422: no commit of that name.
        StatusCode::NOT_FOUND
        | StatusCode::GONE
        | StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS
        | StatusCode::CONFLICT
        | StatusCode::UNPROCESSABLE_ENTITY => Err(Absence::NotFound),
        StatusCode::FORBIDDEN => Err(Absence::Refused { message: reply.words() }),
        _ => {
            let (what, message) = (call.what(), reply.words());
            return Err(GitHubError::Refused { what, status: status.as_u16(), message });
        }
    })
}
