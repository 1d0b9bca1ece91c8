//! The client: one session per installation, each with its token, its limits and its share of the cache.
//!
//! Knows how a request becomes an answer or a reason to wait, and that nothing is sent twice behind anybody's back.
//! Must never know which request means what: that stands in `observe`, `perform` and `probe`.

use super::etags::{Etags, Kept};
use super::limits::{Kind, Limits};
use super::observe::Place;
use super::settings::{self, ClientProblem, ClientSettings};
use super::token::{AppTokens, Token, TokenSlot};
use super::transport::{Fault, Transport};
use super::wire::rest::{MintedToken, Refusal};
use super::{path, wire};
use crate::domain::effect::Effect;
use crate::domain::facts::{Fact, Need};
use crate::domain::ids::*;
use crate::engine::ports::{Clock, Done, GitHub, GitHubError, RemoteRepository, Remotes};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use octocrab::{AuthState, Octocrab, OctocrabBuilder};
use secrecy::ExposeSecret;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// A token this young may be refused because not every machine of GitHub's knows it yet.
const FRESH: Span = Span::seconds(5);

/// A write that could not be sent within this time is given back: by then somebody else may have taken it over.
const SEND_WITHIN: Span = Span::seconds(30);

/// Speaks with GitHub as the App and as its installations. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    settings: ClientSettings,
    /// Without a slash at its end.
    base: String,
    transport: Transport,
    app_tokens: AppTokens,
    clock: Arc<dyn Clock>,
    etags: Etags,
    app: Session,
    installations: Mutex<HashMap<InstallationId, Arc<Session>>>,
    our_login: tokio::sync::Mutex<Option<Login>>,
}

/// What belongs to one installation, or to the App itself.
struct Session {
    /// Made when it is first used: its worker needs a running executor.
    octocrab: OnceLock<Octocrab>,
    limits: Limits,
    permits: Semaphore,
    token: TokenSlot,
}

/// As whom a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum As {
    App,
    Installation(InstallationId),
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub method: Method,
    /// Below the base URL, from its slash on, with its query.
    pub path: String,
    pub body: Option<String>,
    pub kind: Kind,
}

impl Call {
    /// A read.
    pub fn get(path: String) -> Self {
        Self { method: Method::GET, path, body: None, kind: Kind::Read }
    }

    /// A write with a JSON body.
    pub fn write(method: Method, path: String, body: &serde_json::Value) -> Self {
        Self { method, path, body: Some(body.to_string()), kind: Kind::Write }
    }

    /// A write without a body: GitHub's description of these endpoints has none.
    pub fn bare_write(method: Method, path: String) -> Self {
        Self { method, path, body: None, kind: Kind::Write }
    }

    /// Names the request in errors and logs; the query would say too much.
    pub fn what(&self) -> String {
        format!("{} {}", self.method, self.path.split('?').next().unwrap_or_default())
    }
}

/// What GitHub answered: success, or a refusal that is not about limits, tokens or its own health.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub status: StatusCode,
    pub body: Bytes,
    /// Query of the next page.
    pub next: Option<String>,
}

impl Reply {
    /// GitHub's words about a refusal, with their details.
    pub fn words(&self) -> String {
        refusal(self.status, &self.body).line()
    }

    /// Whether it is no answer because GitHub gave up on computing it.
    pub fn gave_up(&self) -> bool {
        !self.status.is_success() && refusal(self.status, &self.body).gave_up()
    }

    /// The same, or because of GitHub's load.
    pub fn has_no_diff(&self) -> bool {
        !self.status.is_success() && refusal(self.status, &self.body).has_no_diff()
    }

    /// The answer read as `T`; the error never quotes it.
    pub fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_slice(&self.body).map_err(|problem| {
            format!("its answer could not be read (line {}, column {})", problem.line(), problem.column())
        })
    }
}

impl Client {
    /// Prepares a client; sends nothing yet. Fails on settings that can never work.
    pub fn new(settings: ClientSettings, clock: Arc<dyn Clock>) -> Result<Self, ClientProblem> {
        let base = settings::base_url(&settings.base_url)?;
        if settings.issuer.trim().is_empty() {
            return Err(ClientProblem::Issuer);
        }
        let app_tokens = AppTokens::new(settings.issuer.trim().to_owned(), &settings.private_key)
            .map_err(|message| ClientProblem::PrivateKey { message })?;
        let timeout = Duration::from_millis(settings.timeout.0.max(1));
        let transport = Transport::new(base.clone(), &settings.user_agent, timeout, settings.answer_bytes_max)
            .map_err(|message| ClientProblem::Http { message })?;
        let shared = Shared {
            base: base.as_str().trim_end_matches('/').to_owned(),
            transport,
            app_tokens,
            clock,
            etags: Etags::new(settings.cache_bytes_max),
            app: Session::new(&settings),
            installations: Mutex::default(),
            our_login: tokio::sync::Mutex::default(),
            settings,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The App's id or client id, as it was set.
    pub(super) fn issuer(&self) -> &str {
        self.shared.settings.issuer.trim()
    }

    /// The login under which the App acts in repositories: as it is known, or as GitHub says now.
    pub(super) async fn our_login(&self, afresh: bool) -> Result<Login, GitHubError> {
        let mut known = self.shared.our_login.lock().await;
        if let Some(login) = known.as_ref().filter(|_| !afresh) {
            return Ok(login.clone());
        }
        let slug = self.app_identity().await?.slug;
        if slug.is_empty() {
            // Nothing of ours would ever be found, and all would be done twice.
            let (what, message) = ("GET /app".to_owned(), "it does not name the App".to_owned());
            return Err(GitHubError::Unavailable { what, message });
        }
        Ok(known.insert(Login::new(format!("{slug}[bot]"))).clone())
    }

    /// Sends a request and returns what GitHub says to it, unless it says to wait, or cannot be asked.
    ///
    /// Sent again at most once, after GitHub surely did nothing: with a new token when it did not take the old one,
    /// or after a moment when it does not know the new one yet, or, as an installation, when it gave up on a read that
    /// may be ready by then.
    pub(super) async fn send(&self, by: As, call: &Call) -> Result<Reply, GitHubError> {
        let As::Installation(id) = by else { return self.send_as_app(call).await };
        let session = self.session(id);
        let began = self.now();
        let mut sent_again = false;
        loop {
            let token = session.token.token(self.now(), || self.mint(id)).await?;
            let reply = self.exchange(by, &session, call, &token, began).await?;
            let fresh = self.now().since(token.minted_at) < FRESH;
            match reply.status {
                StatusCode::UNAUTHORIZED if !sent_again => session.token.forget(&token).await,
                StatusCode::FORBIDDEN if fresh && !sent_again => self.pause().await,
                _ if call.method == Method::GET && !sent_again && reply.gave_up() => self.pause().await,
                _ => return Ok(reply),
            }
            sent_again = true;
        }
    }

    async fn pause(&self) {
        tokio::time::sleep(Duration::from_millis(self.shared.settings.pause.0)).await;
    }

    async fn send_as_app(&self, call: &Call) -> Result<Reply, GitHubError> {
        let began = self.now();
        let mut sent_again = false;
        loop {
            let token = self.shared.app_tokens.token(self.now()).ok_or_else(|| GitHubError::Refused {
                what: call.what(),
                status: 401,
                message: "the App's private key does not sign".to_owned(),
            })?;
            let reply = self.exchange(As::App, &self.shared.app, call, &token, began).await?;
            if reply.status != StatusCode::UNAUTHORIZED || sent_again {
                return Ok(reply);
            }
            self.shared.app_tokens.forget();
            sent_again = true;
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// One exchange under the limits, answered from the cache where GitHub says that it still holds.
    async fn exchange(
        &self,
        by: As,
        session: &Session,
        call: &Call,
        token: &Token,
        began: Timestamp,
    ) -> Result<Reply, GitHubError> {
        let later = || GitHubError::Wait { what: call.what(), wait: Span::seconds(1) };
        let in_time = Duration::from_millis(self.shared.settings.timeout.0);
        let _permit = tokio::time::timeout(in_time, session.permits.acquire()).await.map_err(|_| later())?;
        if call.kind != Kind::Read && self.now().since(began) > SEND_WITHIN {
            return Err(later());
        }
        session.limits.admit(self.now(), call.kind).map_err(|wait| GitHubError::Wait { what: call.what(), wait })?;
        let kept = if call.method == Method::GET { self.shared.etags.get(by.number(), &call.path) } else { None };
        let request = self.request(call, token, kept.as_ref())?;
        let (status, headers, body) = match self.answer(session, request).await {
            Ok(answer) => answer,
            Err(fault) => return Err(call.fault(&fault)),
        };
        if let (StatusCode::NOT_MODIFIED, Some(kept)) = (status, kept) {
            session.limits.learn(self.now(), status, &headers, "");
            return Ok(Reply { status: StatusCode::OK, body: kept.body, next: kept.next });
        }
        self.judged(by, session, call, status, &headers, body)
    }

    /// Takes out of an answer what is about limits, access or GitHub's health; keeps what may be asked for again.
    fn judged(
        &self,
        by: As,
        session: &Session,
        call: &Call,
        status: StatusCode,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Reply, GitHubError> {
        let message = if status.is_client_error() { refusal(status, &body).line() } else { String::new() };
        if let Some(wait) = session.limits.learn(self.now(), status, headers, &message) {
            return Err(GitHubError::Wait { what: call.what(), wait });
        }
        let gave_up = || call.method == Method::GET && refusal(status, &body).gave_up();
        if status.is_server_error() && !gave_up() {
            return Err(call.fault(&Fault::Lost(format!("GitHub answered {status}"))));
        }
        if status == StatusCode::FORBIDDEN && message.to_ascii_lowercase().contains("suspended") {
            let message = "the installation of the App was suspended on GitHub".to_owned();
            return Err(GitHubError::Gone { what: call.what(), message });
        }
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let next = text(header::LINK).and_then(path::next_query);
        let cacheable = call.method == Method::GET && status == StatusCode::OK;
        if let Some(etag) = text(header::ETAG).filter(|_| cacheable) {
            let kept = Kept { etag: etag.to_owned(), body: body.clone(), next: next.clone() };
            self.shared.etags.put(by.number(), &call.path, kept);
        }
        Ok(Reply { status, body, next })
    }

    fn request(&self, call: &Call, token: &Token, kept: Option<&Kept>) -> Result<Request<String>, GitHubError> {
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(address(&self.shared.base, &call.path))
            .header(header::AUTHORIZATION, &token.header)
            .header(header::ACCEPT, "application/vnd.github+json")
            .header("x-github-api-version", "2022-11-28");
        if let Some(kept) = kept {
            request = request.header(header::IF_NONE_MATCH, &kept.etag);
        }
        if call.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let refused = |problem: http::Error| GitHubError::Refused {
            what: call.what(),
            status: 400,
            message: format!("it cannot be asked: {problem}"),
        };
        request.body(call.body.clone().unwrap_or_default()).map_err(refused)
    }

    async fn answer(
        &self,
        session: &Session,
        request: Request<String>,
    ) -> Result<(StatusCode, HeaderMap, Bytes), Fault> {
        let octocrab = session.octocrab.get_or_init(|| octocrab_over(&self.shared.transport));
        let response = octocrab.send(request.map(Into::into)).await.map_err(|problem| fault_in(&problem))?;
        let (parts, body) = response.into_parts();
        // The transport has read the whole body already.
        let body = body.collect().await.map_err(|problem| fault_in(&problem))?.to_bytes();
        Ok((parts.status, parts.headers, body))
    }

    fn session(&self, id: InstallationId) -> Arc<Session> {
        let mut all = self.shared.installations.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(id).or_insert_with(|| Arc::new(Session::new(&self.shared.settings))))
    }

    /// Asks GitHub for a token of an installation, as the App.
    async fn mint(&self, installation: InstallationId) -> Result<Token, GitHubError> {
        let path = format!("/app/installations/{installation}/access_tokens");
        let call = Call { method: Method::POST, path, body: None, kind: Kind::Read };
        let reply = self.send_as_app(&call).await?;
        let refused =
            |message: String| GitHubError::Refused { what: call.what(), status: reply.status.as_u16(), message };
        match reply.status {
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                let message = "the App is not installed there any more, or the installation is of another App";
                Err(GitHubError::Gone { what: call.what(), message: message.to_owned() })
            }
            StatusCode::UNAUTHORIZED => {
                Err(refused(format!("{} (do the App's id and its private key belong together?)", reply.words())))
            }
            status if status.is_success() => {
                let minted: MintedToken = reply.read().map_err(&refused)?;
                Token::of_installation(minted.token.expose_secret(), self.now(), minted.expires_at.0)
                    .ok_or_else(|| refused("the token holds what no header can".to_owned()))
            }
            _ => Err(refused(reply.words())),
        }
    }
}

impl GitHub for Client {
    async fn observe(&self, installation: InstallationId, repo: &RepoName, need: &Need) -> Result<Fact, GitHubError> {
        self.fact(Place { installation, repo }, need).await
    }

    async fn perform(&self, effect: &Effect, remote: Option<u64>) -> Result<Done, GitHubError> {
        self.done(effect, remote).await
    }

    async fn probe(&self, effect: &Effect, since: Timestamp) -> Result<Option<Done>, GitHubError> {
        self.standing(effect, since).await
    }
}

impl Remotes for Client {
    async fn remote(&self, installation: InstallationId, repo: &RepoName) -> Result<RemoteRepository, GitHubError> {
        let what = || format!("the remote of {repo}");
        let default_branch = match self.fact(Place { installation, repo }, &Need::Repository).await? {
            Fact::Repository(found) => found.default_branch,
            _ => return Err(GitHubError::Gone { what: what(), message: "GitHub does not show it".to_owned() }),
        };
        let token = self.session(installation).token.token(self.now(), || self.mint(installation)).await?;
        let authorization = token.basic().ok_or_else(|| GitHubError::Refused {
            what: what(),
            status: 0,
            message: "the token cannot be sent to git".to_owned(),
        })?;
        Ok(RemoteRepository { authorization, default_branch })
    }
}

impl Session {
    fn new(settings: &ClientSettings) -> Self {
        Self {
            octocrab: OnceLock::new(),
            limits: Limits::new(settings.writes_per_minute, settings.comments_per_hour),
            permits: Semaphore::new(settings.concurrent_max.clamp(1, Semaphore::MAX_PERMITS)),
            token: TokenSlot::default(),
        }
    }
}

impl As {
    /// A number for the cache; GitHub numbers installations from 1.
    fn number(self) -> u64 {
        match self {
            Self::App => 0,
            Self::Installation(id) => id.0,
        }
    }
}

impl Call {
    /// What a fault means: a read can be asked again, a write may have happened unless nothing was sent.
    fn fault(&self, fault: &Fault) -> GitHubError {
        let (what, message) = (self.what(), fault.to_string());
        match (self.kind, fault) {
            (Kind::Read, _) | (_, Fault::NotSent(_)) => GitHubError::Unavailable { what, message },
            (Kind::Write | Kind::Comment, Fault::Lost(_)) => GitHubError::Uncertain { what, message },
        }
    }
}

/// Where a request goes. GraphQL has a place of its own beside the REST API of a GitHub Enterprise Server.
fn address(base: &str, path: &str) -> String {
    match (base.strip_suffix("api/v3"), path.strip_prefix('/')) {
        (Some(root), Some("graphql")) => format!("{root}api/graphql"),
        _ => format!("{base}{path}"),
    }
}

/// octocrab over our own transport alone: its layers for tokens, retries, redirects and caching are left out.
fn octocrab_over(transport: &Transport) -> Octocrab {
    let transport = transport.clone();
    let service = tower::service_fn(move |request| transport.clone().exchange(request));
    match OctocrabBuilder::new_empty().with_service(service).with_auth(AuthState::None).build() {
        Ok(octocrab) => octocrab,
        Err(impossible) => match impossible {},
    }
}

/// Finds our own fault below octocrab's words for it.
fn fault_in(problem: &octocrab::Error) -> Fault {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(problem);
    while let Some(inner) = cause {
        if let Some(fault) = inner.downcast_ref::<Fault>() {
            return fault.clone();
        }
        cause = inner.source();
    }
    Fault::Lost("the connection's worker ended".to_owned())
}

/// GitHub's words about a refusal; a page that is no JSON (a proxy's) is told by its status alone.
fn refusal(status: StatusCode, body: &[u8]) -> Refusal {
    let mut refusal: Refusal =
        if body.len() <= 65_536 { serde_json::from_slice(body).unwrap_or_default() } else { Refusal::default() };
    if refusal.message.as_deref().is_none_or(str::is_empty) {
        refusal.message = Some(status.canonical_reason().unwrap_or("no words").to_owned());
    }
    refusal.message = refusal.message.map(|message| wire::cut_to(message, 500));
    refusal
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
