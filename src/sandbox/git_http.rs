//! Lets the repository be fetched by the git protocol over HTTP, as GitHub does: `/{owner}/{repo}.git/...`.
//!
//! Knows git's own CGI program, and that a token must be allowed to read contents. Must never take a push.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use base64::Engine as _;
use bytes::Bytes;

use super::history::git::bare_command;
use super::server::plain;
use super::{Shared, api};

/// The part of a path behind the repository, when it is one that git asks for.
pub(super) fn below<'a>(shared: &Shared, path: &'a str) -> Option<&'a str> {
    let repository = format!("/{}.git", shared.model().repository.full_name());
    path.strip_prefix(repository.as_str()).filter(|rest| rest.starts_with('/'))
}

/// Answers git.
pub(super) fn answer(shared: &Shared, parts: &Parts, below: &str, body: &Bytes) -> Response<Body> {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let Some(folder) = &shared.git_folder else {
        return plain(StatusCode::NOT_FOUND, "kept in memory: not to be fetched");
    };
    if !may_read(shared, header("authorization")) {
        let mut refused = plain(StatusCode::UNAUTHORIZED, "Bad credentials");
        if let Ok(value) = "Basic realm=\"GitHub\"".parse() {
            refused.headers_mut().insert("www-authenticate", value);
        }
        return refused;
    }
    let query = parts.uri.query().unwrap_or_default();
    match (parts.method.as_str(), below, query) {
        ("GET", "/info/refs", "service=git-upload-pack") => show_pulls(shared, folder),
        ("POST", "/git-upload-pack", _) => {}
        (_, _, _) => return plain(StatusCode::FORBIDDEN, "only fetches are answered"),
    }
    let mut command = bare_command();
    command.arg("http-backend").env("GIT_PROJECT_ROOT", folder).env("PATH_INFO", below);
    command.env("GIT_HTTP_EXPORT_ALL", "1").env("REQUEST_METHOD", parts.method.as_str()).env("QUERY_STRING", query);
    command.env("CONTENT_LENGTH", body.len().to_string());
    for (variable, name) in [
        ("CONTENT_TYPE", "content-type"),
        ("HTTP_CONTENT_ENCODING", "content-encoding"),
        ("GIT_PROTOCOL", "git-protocol"),
    ] {
        command.env(variable, header(name).unwrap_or_default());
    }
    run(command, body).unwrap_or_else(|| plain(StatusCode::INTERNAL_SERVER_ERROR, "git http-backend did not answer"))
}

/// Whether the password is a token that may read contents.
fn may_read(shared: &Shared, authorization: Option<&str>) -> bool {
    let token = || {
        let pair = authorization?.strip_prefix("Basic ")?;
        let pair = base64::engine::general_purpose::STANDARD.decode(pair).ok()?;
        let pair = String::from_utf8(pair).ok()?;
        pair.strip_prefix("x-access-token:").map(str::to_owned)
    };
    let Some(token) = token() else { return false };
    let request = api::Request {
        method: "GET".to_owned(),
        path: format!("/repos/{}/contents", shared.model().repository.full_name()),
        query: Vec::new(),
        authorization: Some(format!("Bearer {token}")),
        if_none_match: None,
        accept: None,
        version: None,
        body: Bytes::new(),
    };
    let now = shared.now();
    api::answer(&mut shared.model(), &shared.key, &request, now).status == 200
}

/// GitHub keeps the head of each pull request under a name of its own.
fn show_pulls(shared: &Shared, folder: &Path) {
    let heads: Vec<(u64, String)> =
        shared.model().pulls.values().map(|pull| (pull.number, pull.head_sha.clone())).collect();
    for (number, sha) in heads {
        let mut command = bare_command();
        command.arg("-C").arg(folder).args(["update-ref", &format!("refs/pull/{number}/head"), &sha]);
        let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// Runs a CGI program and makes an answer of what it prints; `None`: it printed none.
fn run(mut command: Command, body: &Bytes) -> Option<Response<Body>> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let mut stdin = child.stdin.take()?;
    let sent = body.clone();
    // Both pipes may fill up.
    let writer = std::thread::spawn(move || stdin.write_all(&sent));
    let mut printed = Vec::new();
    child.stdout.take()?.read_to_end(&mut printed).ok()?;
    let _ = writer.join();
    let _ = child.wait();
    let end = printed.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&printed[..end]).ok()?;
    let mut response = Response::builder();
    for line in head.lines() {
        let (name, value) = line.split_once(':')?;
        response = match name.eq_ignore_ascii_case("status") {
            true => response.status(value.trim().split(' ').next()?.parse::<u16>().ok()?),
            false => response.header(name, value.trim()),
        };
    }
    response.body(Body::from(printed.split_off(end + 4))).ok()
}
