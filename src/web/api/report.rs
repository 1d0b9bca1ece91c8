//! `POST /api/v1/deployments/{key}`: a workflow run says how its own step goes.
//!
//! Knows who calls from its verified token, and asks the domain whether that fits the step. Must never move a release:
//! it puts the report into the lane's inbox, and the lane looks for itself.

use super::problem::Problem;
use super::{Shared, bearer};
use crate::domain::event::{Event, Report, ReportState};
use crate::domain::ids::*;
use crate::domain::release::report::{Mismatch, place};
use crate::domain::state::State as LaneState;
use crate::engine::ports::{Arrival, CallerError, Callers, Claims, Source, Store};
use crate::engine::query;
use crate::web::reply;
use axum::body::to_bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::timeout;

const BODY_BYTES_MAX: usize = 4 * 1024;
/// Longer keys are none of ours: a repository, a service and an environment have at most a few hundred characters.
const KEY_BYTES_MAX: usize = 700;
/// Characters of a run's own words that are kept.
const DESCRIPTION_CHARS_MAX: usize = 200;
/// Reports of one repository in a minute.
const PER_MINUTE_MAX: u32 = 300;

/// What a run sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    state: ReportState,
    sha: Sha,
    description: Option<String>,
}

/// Takes a report in.
pub(super) async fn take<S: Store + 'static, C: Callers + 'static>(
    State(shared): State<Arc<Shared<S, C>>>,
    key: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let bound = shared.api.request_timeout;
    let (head, body) = request.into_parts();
    let Ok(body) = timeout(bound, to_bytes(body, BODY_BYTES_MAX)).await else {
        return Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "body",
            "The body took too long to arrive.",
            "Send it again.",
        )
        .into_response();
    };
    let token = bearer(&head.headers);
    match timeout(bound, kept(&shared, key.ok().map(|Path(key)| key), token, body.ok())).await {
        Ok(Ok(key)) => {
            #[derive(serde::Serialize)]
            struct Accepted<'a> {
                key: &'a str,
                outcome: &'a str,
            }
            let accepted = Accepted { key: key.as_str(), outcome: "accepted" };
            reply::json(StatusCode::ACCEPTED, "application/json", &accepted)
        }
        Ok(Err(problem)) => {
            // Anybody can cause these, and the caller is told.
            tracing::debug!(status = problem.status.as_u16(), place = problem.place, "a report was not taken");
            problem.into_response()
        }
        Err(_) => Problem::unavailable("This takes too long.").into_response(),
    }
}

async fn kept<S: Store, C: Callers>(
    shared: &Shared<S, C>,
    key: Option<String>,
    token: Option<&str>,
    body: Option<bytes::Bytes>,
) -> Result<EffectKey, Problem> {
    let api = &shared.api;
    let claims = claims_of(&*api.callers, token).await?;
    let now = api.clock.now();
    if !shared.pace.allows(&claims.repository, now) {
        let what = format!("The workflows of {} report more than {PER_MINUTE_MAX} times a minute.", claims.repository);
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "token", what, "Report less often."));
    }
    let key = key.filter(|key| key.len() <= KEY_BYTES_MAX).ok_or_else(not_under_way)?;
    let (repo, service) = read_key(&key).ok_or_else(not_under_way)?;
    if !repo.as_str().eq_ignore_ascii_case(claims.repository.as_str()) {
        return Err(another("repository", "the key is of another repository than the workflow run"));
    }
    let sent = read_body(body)?;
    let report = Report {
        key: EffectKey::new(key),
        run: claims.run,
        environment: claims.environment,
        workflow_sha: claims.sha,
        sha: sent.sha,
        state: sent.state,
        description: sent.description.as_deref().and_then(one_line),
        at: now,
    };
    let subject = Subject::Pipeline { repo, service };
    let lane = query::lane(&*api.store, &subject).await.map_err(|error| store_fails(&error))?;
    let Some(LaneState::Pipeline(state)) = lane.map(|lane| lane.state) else { return Err(not_under_way()) };
    place(&state, &report).map_err(|mismatch| match mismatch {
        Mismatch::NotUnderWay => not_under_way(),
        Mismatch::Another(what) => another(what, wrong(what)),
    })?;
    let key = report.key.clone();
    let source = Source::Run(report.run);
    let event = Event::Reported { report: Box::new(report) };
    let arrival = Arrival { subject, installation: None, event, source, at: now };
    api.store.arrive(arrival).await.map_err(|error| store_fails(&error))?;
    (api.arrived)();
    Ok(key)
}

async fn claims_of<C: Callers>(callers: &C, token: Option<&str>) -> Result<Claims, Problem> {
    let mend = "Send `Authorization: Bearer` with the run's own OIDC token from GitHub; docs/callbacks.md shows how.";
    let refused = |what: &str| Problem::new(StatusCode::UNAUTHORIZED, "Authorization", what, mend);
    let token = token.ok_or_else(|| refused("There is no bearer token."))?;
    callers.verify(token).await.map_err(|error| match error {
        CallerError::Invalid { message } => refused(&message),
        CallerError::Unavailable { message } => {
            tracing::warn!(message, "a token could not be verified");
            Problem::unavailable("The token cannot be verified now: its issuer does not answer.")
        }
    })
}

fn read_body(body: Option<bytes::Bytes>) -> Result<Sent, Problem> {
    let place = "body";
    let Some(body) = body else {
        let what = format!("A report has at most {BODY_BYTES_MAX} bytes.");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, place, what, "Shorten the description."));
    };
    serde_json::from_slice(&body).map_err(|error| {
        let mend = "Send JSON with `state` (in_progress, success or failure), `sha` (the commit in full) and, if you \
                    like, `description`.";
        Problem::new(StatusCode::BAD_REQUEST, place, format!("The report cannot be read: {error}."), mend)
    })
}

/// Repository and service that a key is of: `owner/name/service/release-…`.
fn read_key(key: &str) -> Option<(RepoName, ServiceName)> {
    let mut parts = key.splitn(4, '/');
    let repo = RepoName::parse(&format!("{}/{}", parts.next()?, parts.next()?))?;
    let service = parts.next().filter(|name| !name.is_empty() && !name.contains(char::is_control))?;
    parts.next().filter(|rest| rest.starts_with("release-"))?;
    Some((repo, ServiceName::new(service)))
}

fn not_under_way() -> Problem {
    let mend = "Use the input `plimsoll_key` as it was given, and report while the run goes on: a step that has ended \
                hears no more reports.";
    Problem::new(StatusCode::NOT_FOUND, "key", "No step with this key is under way.", mend)
}

fn another(what: &'static str, sentence: &str) -> Problem {
    let mend = match what {
        "repository" | "run" => "Report from the run that Plimsoll dispatched, with the key that this run was given.",
        "environment" => {
            "Give the job `environment: ${{ inputs.environment }}`: only then GitHub says in the token where it deploys to."
        }
        "commit" => "Send the input `sha` as it was given.",
        _ => "Report what the run was dispatched for.",
    };
    Problem::new(StatusCode::FORBIDDEN, what, format!("This report does not fit the step: {sentence}."), mend)
}

fn wrong(what: &str) -> &'static str {
    match what {
        "run" => "another workflow run works on it",
        "environment" => "the token names another environment, or none",
        "commit" => "the release is made of another commit",
        _ => "it is about something else",
    }
}

fn store_fails(error: &crate::engine::ports::StoreError) -> Problem {
    tracing::error!(%error, "a report could not be kept");
    Problem::unavailable("The report could not be kept.")
}

/// A run's own words as one line without control characters; `None`: nothing is left.
fn one_line(text: &str) -> Option<String> {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut chars = words.chars();
    let mut line: String = chars.by_ref().take(DESCRIPTION_CHARS_MAX).collect();
    if chars.next().is_some() {
        line.push('…');
    }
    (!line.is_empty()).then_some(line)
}

/// How many reports each repository sent in the present minute.
#[derive(Default)]
pub(super) struct Pace(Mutex<(i64, BTreeMap<RepoName, u32>)>);

impl Pace {
    fn allows(&self, repo: &RepoName, now: Timestamp) -> bool {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now.0.div_euclid(60_000);
        if counted.0 != minute {
            *counted = (minute, BTreeMap::new());
        }
        let count = counted.1.entry(repo.clone()).or_default();
        *count += 1;
        *count <= PER_MINUTE_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_repository_and_service() {
        let read = |key: &str| read_key(key).map(|(repo, service)| format!("{repo} {service}"));
        assert_eq!(read("acme/shop/api/release-7/production/step-1/attempt-1").as_deref(), Some("acme/shop api"));
        assert_eq!(
            read("acme/shop/release-notes/release-7/eu/west/step-1").as_deref(),
            Some("acme/shop release-notes")
        );
        for bad in ["", "acme/shop", "acme/shop/api", "acme/shop//release-7", "acme/../api/release-7", "a/b/c/d"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_description_becomes_one_line_of_bounded_length() {
        assert_eq!(one_line(" 3 of 5\r\n\u{1b}[31mpods\u{0} ").as_deref(), Some("3 of 5 [31mpods"));
        assert_eq!(one_line("\n\t "), None);
        assert_eq!(one_line(&"é".repeat(300)).map(|line| line.chars().count()), Some(201));
    }

    #[test]
    fn a_repository_reports_three_hundred_times_a_minute() {
        let (pace, shop) = (Pace::default(), RepoName::parse("acme/shop").unwrap());
        assert!((0..300).all(|_| pace.allows(&shop, Timestamp(60_000))));
        assert!(!pace.allows(&shop, Timestamp(119_999)));
        assert!(pace.allows(&RepoName::parse("acme/web").unwrap(), Timestamp(119_999)));
        assert!(pace.allows(&shop, Timestamp(120_000)));
    }
}
