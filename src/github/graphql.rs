//! What GitHub offers in GraphQL only: to revert a pull request.
//!
//! Knows the two operations and how GraphQL says no. Must never know why a pull request is taken back.

use super::client::{Call, Client};
use super::limits::Kind;
use super::observe::Place;
use super::perform::succeeded;
use super::wire::cut_to;
use crate::domain::ids::*;
use crate::engine::ports::{Done, GitHubError};
use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const PULL_ID: &str = "query($owner: String!, $name: String!, $number: Int!) { \
    repository(owner: $owner, name: $name) { pullRequest(number: $number) { id } } }";

const REVERT: &str = "mutation($input: RevertPullRequestInput!) { \
    revertPullRequest(input: $input) { revertPullRequest { number url } } }";

/// How long to wait when GitHub names no time.
const LIMIT_WAIT: Span = Span::minutes(1);

#[derive(Deserialize)]
struct Answer<T> {
    data: Option<T>,
    errors: Option<Vec<Problem>>,
}

#[derive(Deserialize)]
struct Problem {
    message: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct PullId {
    repository: Option<RepositoryOfPull>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RepositoryOfPull {
    pull_request: Option<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reverted {
    revert_pull_request: Option<Payload>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    revert_pull_request: Option<NewPull>,
}

#[derive(Deserialize)]
struct NewPull {
    number: u64,
    url: Option<String>,
}

impl Client {
    /// Opens a draft pull request that reverts another, as GitHub's own button does. What does not revert cleanly is
    /// refused.
    pub(super) async fn revert_pull(
        &self,
        at: Place<'_>,
        pull: PullNumber,
        title: &str,
        body: &str,
    ) -> Result<Done, GitHubError> {
        let what = format!("revert #{pull}");
        let variables = json!({"owner": at.repo.owner(), "name": at.repo.name(), "number": pull.0});
        let found: PullId = self.graphql(at, Kind::Read, &what, PULL_ID, variables).await?;
        let id = found.repository.and_then(|repository| repository.pull_request).map(|pull| pull.id);
        let gone = || GitHubError::Gone { what: what.clone(), message: format!("there is no pull request #{pull}") };
        let id = id.ok_or_else(gone)?;
        let input = json!({"input": {"pullRequestId": id, "title": title, "body": body, "draft": true}});
        let made: Reverted = self.graphql(at, Kind::Comment, &what, REVERT, input).await?;
        let made = made.revert_pull_request.and_then(|payload| payload.revert_pull_request);
        // It was done, and nothing tells what came of it: that is looked for.
        let unsaid = || "GitHub did not say which pull request it opened".to_owned();
        let made = made.ok_or_else(|| GitHubError::Uncertain { what, message: unsaid() })?;
        Ok(Done { id: Some(made.number), url: made.url })
    }

    async fn graphql<T: DeserializeOwned>(
        &self,
        at: Place<'_>,
        kind: Kind,
        what: &str,
        query: &str,
        variables: Value,
    ) -> Result<T, GitHubError> {
        let body = json!({"query": query, "variables": variables});
        let call = Call { kind, ..Call::write(Method::POST, "/graphql".to_owned(), &body) };
        let reply = self.send(at.by(), &call).await?;
        succeeded(&call, &reply)?;
        let unclear = |message: String| match kind {
            Kind::Read => GitHubError::Unavailable { what: what.to_owned(), message },
            Kind::Write | Kind::Comment => GitHubError::Uncertain { what: what.to_owned(), message },
        };
        let answer: Answer<T> = reply.read().map_err(unclear)?;
        if let Some(problem) = answer.errors.unwrap_or_default().into_iter().next() {
            let message = problem.message.unwrap_or_else(|| "no words".to_owned());
            let message = cut_to(message.replace(char::is_control, " "), 500);
            return Err(match problem.kind.as_deref() {
                Some("RATE_LIMITED") => GitHubError::Wait { what: what.to_owned(), wait: LIMIT_WAIT },
                // So GitHub says, with a status of 200, that it took too long or broke on the way.
                None if message.starts_with("Something went wrong") => unclear(message),
                _ => GitHubError::Refused { what: what.to_owned(), status: 422, message },
            });
        }
        answer.data.ok_or_else(|| unclear("its answer holds neither data nor errors".to_owned()))
    }
}
