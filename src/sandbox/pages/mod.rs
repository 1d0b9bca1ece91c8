//! The sandbox's own pages: what a person sees and presses.
//!
//! Knows HTML, forms and who may post them. What a press does is the model's matter; every text is
//! escaped by the templates or by `markdown`.

mod markdown;
mod views;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode};

use super::history::MergeMethod;
use super::model::{CommitStatusWish, Model, PullWish, Refusal, RevertWish, encoded};
use super::{Shared, api, server};

const STYLE: &str = include_str!("../../../templates/sandbox/style.css");
const SCRIPT: &str = include_str!("../../../templates/sandbox/page.js");

/// Nothing is fetched from elsewhere, nothing is framed, forms go here only.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

pub(super) fn answer(
    shared: &Arc<Shared>,
    method: &str,
    path: &str,
    query: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Response<Body> {
    let model = shared.model();
    let base = format!("/{}", model.repository.full_name());
    match (method, path) {
        ("GET", "/") => return seen_elsewhere(&base),
        ("GET", "/-/style.css") => return text("text/css; charset=utf-8", STYLE.to_owned()),
        ("GET", "/-/page.js") => return text("text/javascript; charset=utf-8", SCRIPT.to_owned()),
        _ => {}
    }
    let Some(rest) = path.strip_prefix(&base).filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
        return refused(&Refusal::new(404, "There is no such page."));
    };
    let rest = rest.trim_matches('/').to_owned();
    let parts: Vec<String> = rest.split('/').map(api::decoded).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match method {
        "GET" => {
            let chosen = server::pairs(query).into_iter().find(|(name, _)| name == "as").map(|(_, login)| login);
            let hook = shared.hook().url;
            match shown(&model, &parts, chosen.as_deref(), hook, shared.now()) {
                Ok(Shown::Page(html)) => text("text/html; charset=utf-8", html),
                Ok(Shown::Plain(plain)) => text("text/plain; charset=utf-8", plain),
                Ok(Shown::Elsewhere(at)) => seen_elsewhere(&at),
                Err(refusal) => refused(&refusal),
            }
        }
        "POST" if !is_from_here(headers) => refused(&Refusal::new(403, "This form was sent from another site.")),
        "POST" => {
            drop(model);
            let Ok(form) = std::str::from_utf8(body) else {
                return refused(&Refusal::new(400, "This form is no text."));
            };
            let form = Form(server::pairs(form));
            let now = shared.now();
            let result = pressed(&mut shared.model(), &parts, &form, now);
            shared.wake_runs.notify_one();
            match result {
                Ok(at) => seen_elsewhere(&at),
                Err(refusal) => refused(&refusal),
            }
        }
        _ => refused(&Refusal::new(405, "Pages are read or their forms are sent.")),
    }
}

enum Shown {
    Page(String),
    Plain(String),
    Elsewhere(String),
}

fn shown(
    model: &Model,
    parts: &[&str],
    chosen: Option<&str>,
    hook: Option<String>,
    now: i64,
) -> Result<Shown, Refusal> {
    let site = views::Site::of(model, chosen);
    let number = |text: &str| text.parse::<u64>().map_err(|_| Refusal::not_found());
    let html = match parts {
        [""] | ["pulls"] => views::home(model, site, now),
        ["issues", n] if model.issues.contains_key(&number(n)?) => views::issue(model, site, number(n)?, now)?,
        ["pull" | "issues", n] => views::pull(model, site, number(n)?, now)?,
        ["actions"] => views::actions(model, site, now),
        ["actions", "runs", id] => views::run(model, site, number(id)?, now)?,
        ["deployments"] => views::environments(model, site, now),
        ["deliveries"] => views::deliveries(model, site, hook, now),
        ["commit", sha] => views::commit(model, site, sha, now)?,
        ["runs", id] => return Ok(Shown::Elsewhere(check_page(model, number(id)?, None)?)),
        ["blob" | "raw", rest @ ..] => return Ok(Shown::Plain(file_text(model, rest)?)),
        _ => return Err(Refusal::new(404, "There is no such page.")),
    };
    html.map(Shown::Page).map_err(|error| Refusal::new(500, error.to_string()))
}

/// The page that a check run is on, for somebody who acts as `login`.
fn check_page(model: &Model, id: u64, login: Option<&str>) -> Result<String, Refusal> {
    let run = model.check_runs.get(&id).ok_or_else(Refusal::not_found)?;
    let pull = model.pulls.values().rev().find(|pull| pull.head_sha == run.head_sha);
    let base = model.repository.full_name();
    let chosen = login.map(|login| format!("?as={}", encoded(login))).unwrap_or_default();
    Ok(match pull {
        Some(pull) => format!("/{base}/pull/{}{chosen}#check-{id}", pull.number),
        None => format!("/{base}/commit/{}{chosen}#check-{id}", run.head_sha),
    })
}

/// A branch's name may have slashes, so the longest name that is one is taken.
fn file_text(model: &Model, rest: &[&str]) -> Result<String, Refusal> {
    for taken in (1..rest.len()).rev() {
        let (name, path) = rest.split_at(taken);
        if let Some(sha) = model.history.resolve(&name.join("/"))
            && let Some(super::history::Entry::File { bytes, .. }) = model.history.read(&sha, &path.join("/"))
        {
            return Ok(String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    Err(Refusal::not_found())
}

/// A sent form.
struct Form(Vec<(String, String)>);

impl Form {
    fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    }
}

/// Does what a button says and returns the page to look at next.
fn pressed(model: &mut Model, parts: &[&str], form: &Form, now: i64) -> Result<String, Refusal> {
    let base = format!("/{}", model.repository.full_name());
    let number = |text: &str| text.parse::<u64>().map_err(|_| Refusal::not_found());
    let person = |model: &Model| -> Result<String, Refusal> {
        let login = form.text("login");
        model.people().into_iter().find(|known| known == login).ok_or_else(|| Refusal::new(422, "Choose who you are."))
    };
    match parts {
        ["pulls"] => {
            let login = person(model)?;
            let branch = form.text("branch").to_owned();
            let title = views::title_for(model, &branch);
            let default = model.repository.default_branch.clone();
            let wish = PullWish {
                head: &branch,
                base: &default,
                title: &title.0,
                body: Some(&title.1),
                author: &login,
                draft: false,
            };
            let number = model.open_pull(&wish, now)?;
            Ok(format!("{base}/pull/{number}?as={}", encoded(&login)))
        }
        ["pull", n, what] => {
            let n = number(n)?;
            let login = person(model)?;
            let page = format!("{base}/pull/{n}?as={}", encoded(&login));
            match *what {
                "comment" => {
                    let body = form.text("body").replace("\r\n", "\n");
                    let id = model.comment(n, &login, &body, now)?;
                    return Ok(format!("{page}#issuecomment-{id}"));
                }
                "merge" => {
                    needs_write(model, &login)?;
                    let method = if form.text("method") == "squash" { MergeMethod::Squash } else { MergeMethod::Merge };
                    model.merge_pull(n, method, None, None, &login, now)?;
                }
                "enqueue" => {
                    needs_write(model, &login)?;
                    model.enqueue(n, &login, now)?;
                }
                "dequeue" => {
                    needs_write(model, &login)?;
                    model.dequeue(n, &login, now)?;
                }
                "revert" => {
                    needs_write(model, &login)?;
                    let made = model.revert_pull(n, &RevertWish::default(), &login, now)?;
                    return Ok(format!("{base}/pull/{made}?as={}", encoded(&login)));
                }
                "close" => model.close_pull(n, &login, now)?,
                "reopen" => model.reopen_pull(n, &login, now)?,
                "draft" => {
                    let draft = model.pull(n)?.draft;
                    model.set_draft(n, !draft, &login, now)?;
                }
                "approve" => {
                    model.review(n, &login, "APPROVED", "", now)?;
                }
                "rerun" => {
                    let sha = model.pull(n)?.head_sha.clone();
                    model.rerequest_suite(&sha, &login, now)?;
                }
                _ => return Err(Refusal::not_found()),
            }
            Ok(page)
        }
        ["checks", id, what] => {
            let id = number(id)?;
            let login = person(model)?;
            match *what {
                "rerun" => model.rerequest_check(id, &login, now)?,
                "action" => model.request_action(id, form.text("identifier"), &login, now)?,
                _ => return Err(Refusal::not_found()),
            }
            check_page(model, id, Some(&login))
        }
        ["issues", n, what] => {
            let n = number(n)?;
            let login = person(model)?;
            match *what {
                "close" => model.close_issue(n, &login, now)?,
                "reopen" => model.reopen_issue(n, &login, now)?,
                "comment" => {
                    model.comment(n, &login, &form.text("body").replace("\r\n", "\n"), now)?;
                }
                _ => return Err(Refusal::not_found()),
            }
            Ok(format!("{base}/issues/{n}?as={}", encoded(&login)))
        }
        ["commit", sha, "status"] => {
            let login = person(model)?;
            needs_write(model, &login)?;
            let (context, state) = (form.text("context"), form.text("state"));
            let wish = CommitStatusWish { sha, context, state, ..CommitStatusWish::default() };
            model.set_status(&wish, &login, now)?;
            Ok(format!("{base}/commit/{sha}?as={}", encoded(&login)))
        }
        ["deployments", "protect"] => {
            let name = form.text("environment");
            if !model.environments.contains_key(&name.to_lowercase()) {
                return Err(Refusal::not_found());
            }
            let protected = model.protected.contains(&name.to_lowercase());
            model.protect_environment(name, !protected, now);
            Ok(format!("{base}/deployments"))
        }
        ["actions", "failing"] => {
            let name = form.text("environment").to_owned();
            if form.text("what") == "next" {
                match model.to_fail.iter().position(|wanted| wanted.as_ref() == Some(&name)) {
                    Some(at) => {
                        model.to_fail.remove(at);
                    }
                    None => model.to_fail.push(Some(name)),
                }
            } else if !model.failing.remove(&name) {
                model.failing.insert(name);
            }
            Ok(format!("{base}/actions"))
        }
        ["actions", "runs", id, what] => {
            let id = number(id)?;
            match *what {
                "fails" => {
                    let fails = model.run(id)?.fails;
                    model.set_run_fails(id, !fails)?;
                }
                "cancel" => model.cancel_run(id, now)?,
                _ => return Err(Refusal::not_found()),
            }
            Ok(format!("{base}/actions/runs/{id}"))
        }
        ["deliveries", id, "redeliver"] => {
            model.redeliver(number(id)?, now)?;
            Ok(format!("{base}/deliveries"))
        }
        _ => Err(Refusal::not_found()),
    }
}

fn needs_write(model: &Model, login: &str) -> Result<(), Refusal> {
    if model.permission_of(login) >= super::model::Permission::Write {
        Ok(())
    } else {
        Err(Refusal::new(403, format!("{login} has no right to merge here.")))
    }
}

/// Says whether a form was sent from a page of this sandbox: browsers tell by `Sec-Fetch-Site`, older
/// ones by `Origin`; a name other than this machine's own could be rebound to it.
fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text("host").unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if name != "127.0.0.1" && name != "localhost" {
        return false;
    }
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    text("origin").is_none_or(|origin| origin == format!("http://{host}"))
}

fn text(kind: &'static str, body: String) -> Response<Body> {
    built(Response::builder().status(200).header("content-type", kind), Body::from(body))
}

fn seen_elsewhere(at: &str) -> Response<Body> {
    built(Response::builder().status(303).header("location", at), Body::empty())
}

fn refused(refusal: &Refusal) -> Response<Body> {
    let mut why = refusal.message.clone();
    for error in &refusal.errors {
        why.push_str(&format!(" {}", error["message"].as_str().unwrap_or_default()));
    }
    let html = format!(
        "<!doctype html><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{0}</title><link rel=\"stylesheet\" href=\"/-/style.css\"><main><h1>{0}</h1><p>{1}</p><p class=\"mute\">Status {2}. Nothing was changed.</p><p><a href=\"/\">To the pull requests</a></p></main>",
        if refusal.status == 404 { "There is nothing here" } else { "That does not work" },
        markdown::escaped(why.trim()),
        refusal.status
    );
    built(
        Response::builder().status(refusal.status).header("content-type", "text/html; charset=utf-8"),
        Body::from(html),
    )
}

fn built(builder: axum::http::response::Builder, body: Body) -> Response<Body> {
    builder
        .header("content-security-policy", POLICY)
        .header("x-content-type-options", "nosniff")
        .header("referrer-policy", "same-origin")
        .header("cache-control", "no-store")
        .body(body)
        .unwrap_or_else(|_| server::plain(StatusCode::INTERNAL_SERVER_ERROR, "the page broke"))
}
