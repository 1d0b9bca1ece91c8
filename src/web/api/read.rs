//! What people and their tools read: where a service stands, why a release is or is not in an environment, and how risky a
//! pull request is.
//!
//! Says what the commands `status`, `why` and `risk` say. Must never change anything.

use super::problem::Problem;
use super::{Shared, bearer, is_reader};
use crate::domain::ids::*;
use crate::domain::release::PipelineState;
use crate::domain::risk::Verdict;
use crate::domain::state::State as LaneState;
use crate::domain::view;
use crate::domain::view::card::{Card, card};
use crate::domain::view::why::Trace;
use crate::engine::ports::Store;
use crate::engine::query;
use crate::web::reply;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Deserialize)]
pub(super) struct OfCommit {
    sha: Option<String>,
}

/// Where a service stands.
pub(super) async fn service<S: Store, C>(
    State(shared): State<Arc<Shared<S, C>>>,
    Path((owner, repo, service)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    #[derive(Serialize)]
    struct Standing<'a> {
        service: &'a ServiceName,
        text: String,
        environments: Vec<Environment<'a>>,
        /// Of each release that is next or under way somewhere.
        cards: Vec<Card<'a>>,
    }
    #[derive(Serialize)]
    struct Environment<'a> {
        name: &'a EnvironmentName,
        live: Option<Live<'a>>,
    }
    #[derive(Serialize)]
    struct Live<'a> {
        release: ReleaseNumber,
        sha: &'a Sha,
    }
    let state = match pipeline(&shared, &headers, &owner, &repo, &service).await {
        Ok(state) => state,
        Err(problem) => return problem.into_response(),
    };
    let environments = state.environments.iter().map(|environment| Environment {
        name: &environment.name,
        live: environment.live.as_ref().map(|live| Live { release: live.release, sha: &live.sha }),
    });
    let busy =
        |environment: &EnvironmentName| state.rolling(environment).into_iter().chain(state.candidate(environment));
    let cards = state.environments.iter().flat_map(|environment| busy(&environment.name));
    let standing = Standing {
        service: &state.service,
        text: view::status::pipeline(&state),
        environments: environments.collect(),
        cards: cards.map(|(release, stage)| card(&state, release, stage)).collect(),
    };
    reply::json(StatusCode::OK, "application/json", &standing)
}

/// Why a release is or is not in an environment.
pub(super) async fn why<S: Store, C>(
    State(shared): State<Arc<Shared<S, C>>>,
    Path((owner, repo, service, environment)): Path<(String, String, String, String)>,
    Query(OfCommit { sha }): Query<OfCommit>,
    headers: HeaderMap,
) -> Response {
    #[derive(Serialize)]
    struct Why<'a> {
        service: &'a ServiceName,
        environment: &'a EnvironmentName,
        #[serde(flatten)]
        trace: Trace,
        card: Option<Card<'a>>,
    }
    let state = match pipeline(&shared, &headers, &owner, &repo, &service).await {
        Ok(state) => state,
        Err(problem) => return problem.into_response(),
    };
    let asked = EnvironmentName::new(environment);
    let Some(known) = state.environments.iter().find(|known| known.name == asked) else {
        let names: Vec<&str> = state.environments.iter().map(|known| known.name.as_str()).collect();
        let mend = format!("Its environments are: {}.", names.join(", "));
        let what = "The service has no such environment.";
        return Problem::new(StatusCode::NOT_FOUND, "environment", what, mend).into_response();
    };
    let trace = view::why::trace(&state, &asked, sha.as_deref(), shared.api.clock.now());
    let release = trace.release.and_then(|number| state.releases.get(&number));
    let card = release.and_then(|release| Some(card(&state, release, release.stage(&asked)?)));
    let why = Why { service: &state.service, environment: &known.name, trace, card };
    reply::json(StatusCode::OK, "application/json", &why)
}

/// How risky a pull request is, and why.
pub(super) async fn risk<S: Store, C>(
    State(shared): State<Arc<Shared<S, C>>>,
    Path((owner, repo, number)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    #[derive(Serialize)]
    struct Risk<'a> {
        pull: PullNumber,
        head_sha: &'a Sha,
        text: String,
        verdict: &'a Verdict,
    }
    let unknown = || {
        let mend = "Write /repos/OWNER/REPO/pulls/NUMBER/risk with a pull request that was judged before.";
        Problem::new(StatusCode::NOT_FOUND, "pull", "Nothing is known of this pull request.", mend)
    };
    let subject = RepoName::parse(&format!("{owner}/{repo}"))
        .zip(number.parse().ok())
        .map(|(repo, number)| Subject::PullRequest { repo, number: PullNumber(number) });
    let state = match lane(&shared, &headers, subject).await {
        Ok(Some(LaneState::PullRequest(state))) => state,
        Ok(Some(LaneState::Repository(_) | LaneState::Pipeline(_)) | None) => return unknown().into_response(),
        Err(problem) => return problem.into_response(),
    };
    let Some(judged) = &state.judged else { return unknown().into_response() };
    let risk = Risk {
        pull: state.number,
        head_sha: &judged.head_sha,
        text: view::check::risk_answer(judged),
        verdict: &judged.verdict,
    };
    reply::json(StatusCode::OK, "application/json", &risk)
}

/// A service's pipeline, for a caller who may read.
async fn pipeline<S: Store, C>(
    shared: &Shared<S, C>,
    headers: &HeaderMap,
    owner: &str,
    repo: &str,
    service: &str,
) -> Result<Box<PipelineState>, Problem> {
    let subject = RepoName::parse(&format!("{owner}/{repo}"))
        .map(|repo| Subject::Pipeline { repo, service: ServiceName::new(service) });
    match lane(shared, headers, subject).await? {
        Some(LaneState::Pipeline(state)) => Ok(state),
        Some(LaneState::Repository(_) | LaneState::PullRequest(_)) | None => {
            let mend = "Write /repos/OWNER/REPO/services/SERVICE with a service that was released or commanded before.";
            Err(Problem::new(StatusCode::NOT_FOUND, "service", "Nothing is known of this service.", mend))
        }
    }
}

/// What a lane holds, for a caller who may read; `None`: there is no such lane.
async fn lane<S: Store, C>(
    shared: &Shared<S, C>,
    headers: &HeaderMap,
    subject: Option<Subject>,
) -> Result<Option<LaneState>, Problem> {
    let brought = bearer(headers);
    let may_read = shared.api.token.as_ref().zip(brought).is_some_and(|(token, brought)| is_reader(token, brought));
    if !may_read {
        let what = if brought.is_some() { "The token is not the API's." } else { "There is no bearer token." };
        let mend = "Send `Authorization: Bearer` with the token that the service has in PLIMSOLL_API_TOKEN.";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "Authorization", what, mend));
    }
    let Some(subject) = subject else { return Ok(None) };
    let asked = tokio::time::timeout(shared.api.request_timeout, query::lane(&*shared.api.store, &subject)).await;
    match asked {
        Ok(Ok(lane)) => Ok(lane.map(|lane| lane.state)),
        Ok(Err(error)) => {
            tracing::error!(%error, "a lane could not be read");
            Err(Problem::unavailable("The store cannot be reached."))
        }
        Err(_) => Err(Problem::unavailable("The store takes too long.")),
    }
}
