//! GitHub's REST API over the model.
//!
//! Knows routes, tokens, pages, ETags and the shapes of bodies; turns a request into an answer
//! without any I/O, so that tests and simulation may ask the very same API in process. Knows no
//! sockets: `server` puts it on a port.

mod app;
mod bodies;
mod checks;
mod deployments;
mod graphql;
mod issues;
mod pulls;
mod repository;
mod runs;

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::keys::AppKey;
use super::model::{Model, Refusal};

/// A request to the API.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// Path as sent, percent-encoded, without `/api/v3` and query.
    pub path: String,
    pub query: Vec<(String, String)>,
    pub authorization: Option<String>,
    pub if_none_match: Option<String>,
    pub accept: Option<String>,
    pub version: Option<String>,
    pub body: Bytes,
}

/// An answer of the API.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Option<Value>,
    /// The route that answered, as GitHub's description writes it.
    pub route: Option<&'static str>,
    /// The permission that the route needs, as `name:level`.
    pub permission: Option<&'static str>,
}

impl Reply {
    fn json(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body: Some(body), route: None, permission: None }
    }

    fn ok(body: Value) -> Self {
        Self::json(200, body)
    }

    fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: None, route: None, permission: None }
    }
}

type Answer = Result<Reply, Refusal>;

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// The App with its JWT.
    App,
    /// The App with an installation token.
    Installation,
}

/// One route: method, template, who, needed permission, and what answers.
struct Route {
    method: &'static str,
    template: &'static str,
    who: Who,
    permission: &'static str,
    answer: fn(&mut Call<'_>) -> Answer,
}

const fn route(
    method: &'static str,
    template: &'static str,
    permission: &'static str,
    answer: fn(&mut Call<'_>) -> Answer,
) -> Route {
    Route { method, template, who: Who::Installation, permission, answer }
}

const fn app_route(method: &'static str, template: &'static str, answer: fn(&mut Call<'_>) -> Answer) -> Route {
    Route { method, template, who: Who::App, permission: "", answer }
}

const ROUTES: &[Route] = &[
    app_route("GET", "/app", app::get),
    app_route("GET", "/app/installations", app::installations),
    app_route("GET", "/app/installations/{installation_id}", app::installation),
    app_route("POST", "/app/installations/{installation_id}/access_tokens", app::create_token),
    app_route("GET", "/app/hook/deliveries", app::deliveries),
    app_route("GET", "/app/hook/deliveries/{delivery_id}", app::delivery),
    app_route("POST", "/app/hook/deliveries/{delivery_id}/attempts", app::redeliver),
    app_route("GET", "/repos/{owner}/{repo}/installation", app::repository_installation),
    app_route("GET", "/orgs/{org}/installation", app::organization_installation),
    route("GET", "/installation/repositories", "metadata:read", app::repositories),
    route("GET", "/rate_limit", "metadata:read", app::rate_limit),
    route("GET", "/repos/{owner}/{repo}", "metadata:read", repository::get),
    route("GET", "/repos/{owner}/{repo}/contents/{path...}", "contents:read", repository::contents),
    route("GET", "/repos/{owner}/{repo}/contents", "contents:read", repository::contents),
    route("GET", "/repos/{owner}/{repo}/commits", "contents:read", repository::commits),
    route("GET", "/repos/{owner}/{repo}/commits/{ref...}/check-runs", "checks:read", checks::of_ref),
    route("GET", "/repos/{owner}/{repo}/commits/{ref...}/check-suites", "checks:read", checks::suites_of_ref),
    route("GET", "/repos/{owner}/{repo}/commits/{ref...}/status", "statuses:read", checks::combined_status),
    route("GET", "/repos/{owner}/{repo}/commits/{commit_sha}/pulls", "pull_requests:read", pulls::of_commit),
    route("GET", "/repos/{owner}/{repo}/commits/{ref...}", "contents:read", repository::commit),
    route("GET", "/repos/{owner}/{repo}/compare/{basehead...}", "contents:read", repository::compare),
    route("GET", "/repos/{owner}/{repo}/branches/{branch...}", "contents:read", repository::branch),
    route("GET", "/repos/{owner}/{repo}/git/ref/{ref...}", "contents:read", repository::git_ref),
    route("POST", "/repos/{owner}/{repo}/git/refs", "contents:write", repository::create_ref),
    route("GET", "/repos/{owner}/{repo}/pulls", "pull_requests:read", pulls::list),
    route("POST", "/repos/{owner}/{repo}/pulls", "pull_requests:write", pulls::create),
    route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}", "pull_requests:read", pulls::get),
    route("PATCH", "/repos/{owner}/{repo}/pulls/{pull_number}", "pull_requests:write", pulls::update),
    route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/files", "pull_requests:read", pulls::files),
    route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/commits", "pull_requests:read", pulls::commits),
    route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/reviews", "pull_requests:read", pulls::reviews),
    route("PUT", "/repos/{owner}/{repo}/pulls/{pull_number}/merge", "contents:write", pulls::merge),
    route("POST", "/repos/{owner}/{repo}/check-runs", "checks:write", checks::create),
    route("GET", "/repos/{owner}/{repo}/check-runs/{check_run_id}", "checks:read", checks::get),
    route("PATCH", "/repos/{owner}/{repo}/check-runs/{check_run_id}", "checks:write", checks::update),
    route("GET", "/repos/{owner}/{repo}/check-runs/{check_run_id}/annotations", "checks:read", checks::annotations),
    route("POST", "/repos/{owner}/{repo}/statuses/{sha}", "statuses:write", checks::create_status),
    route("GET", "/repos/{owner}/{repo}/issues", "issues:read", issues::list),
    route("POST", "/repos/{owner}/{repo}/issues", "issues:write", issues::create),
    route("PATCH", "/repos/{owner}/{repo}/issues/{issue_number}", "issues:write", issues::update),
    route("GET", "/repos/{owner}/{repo}/issues/{issue_number}", "issues:read", issues::get),
    route("GET", "/repos/{owner}/{repo}/issues/{issue_number}/comments", "pull_requests:read", issues::comments),
    route(
        "POST",
        "/repos/{owner}/{repo}/issues/{issue_number}/comments",
        "pull_requests:write",
        issues::create_comment,
    ),
    route("GET", "/repos/{owner}/{repo}/issues/{issue_number}/labels", "pull_requests:read", issues::labels),
    route("POST", "/repos/{owner}/{repo}/issues/{issue_number}/labels", "pull_requests:write", issues::add_labels),
    route(
        "DELETE",
        "/repos/{owner}/{repo}/issues/{issue_number}/labels/{name}",
        "pull_requests:write",
        issues::remove_label,
    ),
    route("GET", "/repos/{owner}/{repo}/issues/comments/{comment_id}", "pull_requests:read", issues::comment),
    route("PATCH", "/repos/{owner}/{repo}/issues/comments/{comment_id}", "pull_requests:write", issues::update_comment),
    route(
        "DELETE",
        "/repos/{owner}/{repo}/issues/comments/{comment_id}",
        "pull_requests:write",
        issues::delete_comment,
    ),
    route(
        "GET",
        "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions",
        "pull_requests:read",
        issues::reactions,
    ),
    route("POST", "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions", "pull_requests:write", issues::react),
    route("GET", "/repos/{owner}/{repo}/collaborators/{username}/permission", "metadata:read", repository::permission),
    route("GET", "/orgs/{org}/teams/{team_slug}/memberships/{username}", "members:read", repository::membership),
    route("GET", "/orgs/{org}/teams/{team_slug}/members", "members:read", repository::members),
    route("POST", "/repos/{owner}/{repo}/deployments", "deployments:write", deployments::create),
    route("GET", "/repos/{owner}/{repo}/deployments", "deployments:read", deployments::list),
    route("GET", "/repos/{owner}/{repo}/deployments/{deployment_id}", "deployments:read", deployments::get),
    route(
        "POST",
        "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses",
        "deployments:write",
        deployments::create_status,
    ),
    route(
        "GET",
        "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses",
        "deployments:read",
        deployments::statuses,
    ),
    route("GET", "/repos/{owner}/{repo}/environments", "actions:read", deployments::environments),
    route("GET", "/repos/{owner}/{repo}/environments/{environment_name}", "actions:read", deployments::environment),
    route("GET", "/repos/{owner}/{repo}/actions/workflows", "actions:read", runs::workflows),
    route("GET", "/repos/{owner}/{repo}/actions/workflows/{workflow_id}", "actions:read", runs::workflow),
    route("POST", "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches", "actions:write", runs::dispatch),
    route("GET", "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/runs", "actions:read", runs::of_workflow),
    route("GET", "/repos/{owner}/{repo}/actions/artifacts", "actions:read", runs::artifacts),
    route("GET", "/repos/{owner}/{repo}/actions/runs", "actions:read", runs::list),
    route("GET", "/repos/{owner}/{repo}/actions/runs/{run_id}", "actions:read", runs::get),
    route("POST", "/repos/{owner}/{repo}/actions/runs/{run_id}/cancel", "actions:write", runs::cancel),
    route(
        "POST",
        "/repos/{owner}/{repo}/actions/runs/{run_id}/deployment_protection_rule",
        "deployments:write",
        runs::protection_rule,
    ),
    route("POST", "/graphql", "pull_requests:read", graphql::answer),
];

/// One request being answered.
struct Call<'a> {
    model: &'a mut Model,
    request: &'a Request,
    params: BTreeMap<&'static str, String>,
    now: i64,
    key: &'a AppKey,
}

/// Answers a request. Time is `now`, in milliseconds since 1970.
pub fn answer(model: &mut Model, key: &AppKey, request: &Request, now: i64) -> Reply {
    let mut found = None;
    let mut other_method = false;
    for route in ROUTES {
        if let Some(params) = matched(route.template, &request.path) {
            if route.method == request.method {
                found = Some((route, params));
                break;
            }
            other_method = true;
        }
    }
    let Some((route, params)) = found else {
        let mut reply = refused(&Refusal::not_found());
        if other_method {
            reply.headers.push(("x-sandbox".to_owned(), "this route knows other methods only".to_owned()));
        }
        return finished(reply, request, now);
    };
    let mut call = Call { model, request, params, now, key };
    let result = call.allowed(route).and_then(|()| (route.answer)(&mut call));
    let mut reply = result.unwrap_or_else(|refusal| refused(&refusal));
    reply.route = Some(route.template);
    reply.permission = (!route.permission.is_empty()).then_some(route.permission);
    finished(reply, request, now)
}

/// All routes: method and template.
pub fn routes() -> impl Iterator<Item = (&'static str, &'static str)> {
    ROUTES.iter().map(|route| (route.method, route.template))
}

/// The route template that a path and method belong to.
pub fn template_of(method: &str, path: &str) -> Option<&'static str> {
    ROUTES
        .iter()
        .find(|route| route.method == method && matched(route.template, path).is_some())
        .map(|route| route.template)
}

fn refused(refusal: &Refusal) -> Reply {
    Reply::json(refusal.status, refusal.body())
}

fn finished(mut reply: Reply, request: &Request, now: i64) -> Reply {
    let reset = (now / 1000 / 3600 + 1) * 3600;
    let version = request.version.clone().unwrap_or_else(|| "2022-11-28".to_owned());
    if !["2022-11-28", "2026-03-10"].contains(&version.as_str()) {
        reply.status = 400;
        reply.body = Some(json!({
            "message": format!("{version} is not a supported version of the GitHub REST API"),
            "documentation_url": "https://docs.github.com/rest/about-the-rest-api/api-versions",
            "status": "400",
        }));
    }
    if request.method == "GET" && reply.status == 200 {
        let text = reply.body.as_ref().map(Value::to_string).unwrap_or_default();
        let etag = format!("W/\"{}\"", hex::encode(Sha256::digest(text.as_bytes())));
        let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        if request.if_none_match.as_deref().is_some_and(|tags| tags.split(',').any(|tag| bare(tag) == bare(&etag))) {
            reply.status = 304;
            reply.body = None;
        }
        reply.headers.push(("etag".to_owned(), etag));
        reply.headers.push(("cache-control".to_owned(), "private, max-age=60, s-maxage=60".to_owned()));
    }
    for (name, value) in [
        ("x-github-api-version-selected", version),
        ("x-github-media-type", "github.v3; format=json".to_owned()),
        ("x-ratelimit-limit", "5000".to_owned()),
        ("x-ratelimit-resource", "core".to_owned()),
        ("x-ratelimit-reset", reset.to_string()),
    ] {
        reply.headers.push((name.to_owned(), value));
    }
    reply
}

/// Matches a path with a template: `{x}` is one segment, `{x...}` one or more.
fn matched(template: &'static str, path: &str) -> Option<BTreeMap<&'static str, String>> {
    let wanted: Vec<&'static str> = template.split('/').skip(1).collect();
    let given: Vec<&str> = path.split('/').skip(1).collect();
    let mut params = BTreeMap::new();
    matches_rest(&wanted, &given, &mut params).then_some(params)
}

fn matches_rest(wanted: &[&'static str], given: &[&str], params: &mut BTreeMap<&'static str, String>) -> bool {
    let Some((first, wanted_rest)) = wanted.split_first() else {
        return given.is_empty();
    };
    let Some((segment, given_rest)) = given.split_first() else {
        return false;
    };
    let Some(name) = first.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        return first == segment && matches_rest(wanted_rest, given_rest, params);
    };
    if let Some(name) = name.strip_suffix("...") {
        return (1..=given.len()).any(|taken| {
            let (segments, rest) = given.split_at(taken);
            if !matches_rest(wanted_rest, rest, params) {
                return false;
            }
            params.insert(name, decoded(&segments.join("/")));
            true
        });
    }
    if segment.is_empty() || !matches_rest(wanted_rest, given_rest, params) {
        return false;
    }
    params.insert(name, decoded(segment));
    true
}

/// Undoes percent-encoding; what is no UTF-8 becomes a replacement character.
pub fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl Call<'_> {
    fn allowed(&mut self, route: &Route) -> Result<(), Refusal> {
        let header = self.request.authorization.as_deref().unwrap_or_default();
        let (scheme, token) = header.split_once(' ').unwrap_or(("", ""));
        let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token");
        if !known || token.is_empty() {
            let message = match route.who {
                Who::App => "A JSON web token could not be decoded",
                Who::Installation => "Requires authentication",
            };
            return Err(Refusal::new(401, message));
        }
        match route.who {
            Who::App => app::check_jwt(self.model, self.key, token, self.now),
            Who::Installation => self.check_token(route, token),
        }?;
        if let (Some(owner), Some(repo)) = (self.params.get("owner"), self.params.get("repo")) {
            let here = &self.model.repository;
            let right = owner.eq_ignore_ascii_case(&here.owner) && repo.eq_ignore_ascii_case(&here.name);
            if !right || !self.model.installation.has_repository {
                return Err(Refusal::not_found());
            }
        }
        if let Some(org) = self.params.get("org")
            && !org.eq_ignore_ascii_case(&self.model.repository.owner)
        {
            return Err(Refusal::not_found());
        }
        Ok(())
    }

    fn check_token(&self, route: &Route, token: &str) -> Result<(), Refusal> {
        let known = self.model.tokens.get(token).filter(|known| known.expires_at > self.now);
        let known = known.ok_or_else(|| Refusal::new(401, "Bad credentials"))?;
        match self.model.installation.state {
            super::model::InstallationState::Active => {}
            super::model::InstallationState::Suspended { .. } => {
                return Err(Refusal::new(403, "This installation has been suspended"));
            }
            super::model::InstallationState::Deleted => {
                return Err(Refusal::new(401, "Bad credentials"));
            }
        }
        let (name, level) = route.permission.split_once(':').unwrap_or(("metadata", "read"));
        let rank = |level: &str| match level {
            "read" => 1,
            "write" => 2,
            "admin" => 3,
            _ => 0,
        };
        let holds = |name: &str| known.permissions.get(name).is_some_and(|held| rank(held) >= rank(level));
        // Comments and labels of pull requests are open to `issues` as well as to `pull_requests`.
        let other = (name == "pull_requests" && route.template.contains("/issues/")) && holds("issues");
        if name == "metadata" || holds(name) || other {
            Ok(())
        } else {
            Err(Refusal::new(403, "Resource not accessible by integration"))
        }
    }

    /// Whether the token that asks may do this.
    fn holds(&self, name: &str, level: &str) -> bool {
        let header = self.request.authorization.as_deref().unwrap_or_default();
        let token = header.split_once(' ').and_then(|(_, token)| self.model.tokens.get(token));
        let held = token.and_then(|token| token.permissions.get(name)).map(String::as_str);
        held == Some(level) || (level == "read" && held == Some("write"))
    }

    fn text(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }

    /// A number in the path; what is none is not found.
    fn number(&self, name: &str) -> Result<u64, Refusal> {
        self.text(name).parse().map_err(|_| Refusal::not_found())
    }

    fn query(&self, name: &str) -> Option<&str> {
        self.request
            .query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    fn query_number(&self, name: &str, default: usize) -> usize {
        self.query(name).and_then(|text| text.parse().ok()).unwrap_or(default)
    }

    /// The body as an object; an empty body is an empty object.
    fn body(&self) -> Result<Value, Refusal> {
        if self.request.body.is_empty() {
            return Ok(json!({}));
        }
        let body: Value =
            serde_json::from_slice(&self.request.body).map_err(|_| Refusal::new(400, "Problems parsing JSON"))?;
        if body.is_object() { Ok(body) } else { Err(Refusal::new(400, "Body should be a JSON object")) }
    }

    /// The App's own login.
    fn me(&self) -> String {
        self.model.app.bot_login()
    }

    /// Cuts a page out of a list and says where the others are.
    fn page<T>(&self, all: Vec<T>) -> (Vec<T>, Vec<(String, String)>) {
        let per_page = self.query_number("per_page", 30).clamp(1, 100);
        let page = self.query_number("page", 1).max(1);
        let last = all.len().div_ceil(per_page).max(1);
        let items = all.into_iter().skip((page - 1).saturating_mul(per_page)).take(per_page).collect();
        let mut links = Vec::new();
        if page > 1 {
            links.push(("prev", (page - 1).min(last)));
        }
        if page < last {
            links.push(("next", page + 1));
            links.push(("last", last));
        }
        if page > 1 {
            links.push(("first", 1));
        }
        let links: Vec<String> = links
            .into_iter()
            .map(|(rel, page)| format!("<{}>; rel=\"{rel}\"", self.address_with("page", &page.to_string())))
            .collect();
        let headers = if links.is_empty() { Vec::new() } else { vec![("link".to_owned(), links.join(", "))] };
        (items, headers)
    }

    fn address_with(&self, name: &str, value: &str) -> String {
        let mut query: Vec<String> = self
            .request
            .query
            .iter()
            .filter(|(key, _)| key != name)
            .map(|(key, value)| format!("{}={}", super::model::encoded(key), super::model::encoded(value)))
            .collect();
        query.push(format!("{name}={}", super::model::encoded(value)));
        format!("{}{}?{}", self.model.api_url, self.request.path, query.join("&"))
    }

    /// Answers with a page of a list.
    fn listed(&self, all: Vec<Value>) -> Answer {
        let (items, headers) = self.page(all);
        let mut reply = Reply::ok(Value::Array(items));
        reply.headers = headers;
        Ok(reply)
    }

    /// Answers with a page of a list inside an object that tells the total.
    fn counted(&self, name: &str, all: Vec<Value>) -> Answer {
        let total = all.len();
        let (items, headers) = self.page(all);
        let mut body = json!({ "total_count": total });
        body[name] = Value::Array(items);
        let mut reply = Reply::ok(body);
        reply.headers = headers;
        Ok(reply)
    }
}
