//! One HTTP exchange with GitHub, and what can go wrong on the wire.
//!
//! Knows the one origin that it may speak to, how long to wait and how much to read. Must never know what a request
//! is for. Sends each request once: whoever wants it sent again says so.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use octocrab::OctoBody;
use reqwest::{Url, redirect};
use std::error::Error as _;
use std::time::Duration;

/// Redirects that a read follows; GitHub needs one for a renamed repository, two after a second rename.
const REDIRECTS_MAX: usize = 3;

/// Sends requests to one origin.
#[derive(Clone, Debug)]
pub struct Transport {
    http: reqwest::Client,
    base: Url,
    answer_bytes_max: usize,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing was sent.
    #[error("{0}")]
    NotSent(String),
    /// It was sent, wholly or in part, and no whole answer came.
    #[error("{0}")]
    Lost(String),
}

impl Transport {
    /// Prepares connections to `base`; `timeout` is for a whole exchange, connecting included.
    pub fn new(base: Url, user_agent: &str, timeout: Duration, answer_bytes_max: usize) -> Result<Self, String> {
        let mut builder = reqwest::Client::builder()
            .user_agent(user_agent)
            .timeout(timeout)
            .connect_timeout(timeout / 2)
            // GitHub closes idle connections after a minute; a write must not go out on one that is just closing.
            .pool_idle_timeout(Duration::from_secs(30))
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false);
        if is_loopback(&base) {
            // A proxy cannot reach this machine's own loopback.
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|problem| chain(&problem))?;
        Ok(Self { http, base, answer_bytes_max })
    }

    /// Sends the request and reads the whole answer. A read follows redirects within the origin.
    pub async fn exchange(self, request: Request<OctoBody>) -> Result<Response<Full<Bytes>>, Fault> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|problem| Fault::NotSent(problem.to_string()))?.to_bytes();
        let mut url = self.here(&parts.uri.to_string()).ok_or_else(elsewhere)?;
        for _ in 0..=REDIRECTS_MAX {
            let (status, headers, body) = self.once(&parts.method, url, &parts.headers, body.clone()).await?;
            match self.next_hop(&parts.method, status, &headers) {
                Some(next) => url = next?,
                None => return Ok(answer(status, headers, body)),
            }
        }
        Err(Fault::Lost("GitHub redirects in a circle".to_owned()))
    }

    async fn once(
        &self,
        method: &Method,
        url: Url,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<(StatusCode, HeaderMap, Bytes), Fault> {
        let mut request = self.http.request(method.clone(), url).headers(headers.clone());
        if !body.is_empty() {
            request = request.body(body);
        }
        let mut response = request.send().await.map_err(fault)?;
        let mut read = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(fault)? {
            if read.len() + chunk.len() > self.answer_bytes_max {
                return Err(Fault::Lost(format!("the answer is larger than {} bytes", self.answer_bytes_max)));
            }
            read.extend_from_slice(&chunk);
        }
        Ok((response.status(), std::mem::take(response.headers_mut()), Bytes::from(read)))
    }

    /// Where a redirect of a read leads: `None` when there is none to follow.
    fn next_hop(&self, method: &Method, status: StatusCode, headers: &HeaderMap) -> Option<Result<Url, Fault>> {
        let moved = matches!(
            status,
            StatusCode::MOVED_PERMANENTLY | StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
        );
        if method != Method::GET || !moved {
            return None;
        }
        let location = headers.get(header::LOCATION)?.to_str().ok()?;
        let next = self.base.join(location).ok().and_then(|url| self.here(url.as_str()));
        Some(next.ok_or_else(|| Fault::Lost("GitHub redirects to another host".to_owned())))
    }

    /// The address, if it lies at the one origin and below the one path that may see a token, or is the GraphQL beside it.
    fn here(&self, address: &str) -> Option<Url> {
        let url = Url::parse(address).ok()?;
        let root = self.base.path().trim_end_matches('/');
        let below = url.path().strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
        let graphql = root.strip_suffix("v3").is_some_and(|api| {
            api.ends_with('/') && url.path().strip_prefix(api) == Some("graphql") && url.query().is_none()
        });
        let plain = url.username().is_empty() && url.password().is_none();
        ((below || graphql) && plain && url.origin() == self.base.origin()).then_some(url)
    }
}

/// Whether a URL stays on this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        None => false,
    }
}

fn elsewhere() -> Fault {
    Fault::NotSent("the address does not lie below the base URL".to_owned())
}

fn answer(status: StatusCode, headers: HeaderMap, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Only a connection that never stood is sure to have carried nothing.
fn fault(problem: reqwest::Error) -> Fault {
    let (unsent, late) = (problem.is_connect() || problem.is_builder(), problem.is_timeout());
    // Addresses may carry names of private repositories; whoever asked knows what was asked for.
    let problem = problem.without_url();
    match (unsent, late) {
        (true, _) => Fault::NotSent(chain(&problem)),
        (false, true) => Fault::Lost("the time for an answer ran out".to_owned()),
        (false, false) => Fault::Lost(chain(&problem)),
    }
}

/// An error with its causes, in one line of bounded length.
fn chain(problem: &reqwest::Error) -> String {
    let mut line = problem.to_string();
    let mut cause = problem.source();
    while let Some(inner) = cause {
        line.push_str(": ");
        line.push_str(&inner.to_string());
        cause = inner.source();
    }
    super::wire::cut_to(line, 300)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_below_the_base_url_are_spoken_to() {
        let base = Url::parse("https://ghe.example/api/v3").unwrap();
        let transport = Transport::new(base, "test", Duration::from_secs(1), 10).unwrap();
        assert!(transport.here("https://ghe.example/api/v3/repos/acme/shop").is_some());
        for other in [
            "https://ghe.example.evil/api/v3/app",
            "http://ghe.example/api/v3/app",
            "https://ghe.example:8443/api/v3/app",
            "https://ghe.example/api/v3x/app",
            "https://ghe.example/api/v3/../admin",
            "https://token@ghe.example/api/v3/app",
            "https://ghe.example/login",
        ] {
            assert!(transport.here(other).is_none(), "{other}");
        }
    }
}
