//! One HTTP exchange with something that runs, and the guard that says where it may go.
//!
//! Knows names, addresses and bounds. Must never know what a question is for.
//!
//! A name is looked up once. Every address it has is judged, and the connection goes to one of exactly these, so a
//! name that leads elsewhere a moment later changes nothing.

use super::address::closed;
use super::hosts::{self, HostRule};
use super::{Limits, clip};
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{RequestBuilder, Url, header, redirect};
use std::error::Error;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

/// Header lines of an answer; their bytes are bounded by the HTTP library (some 400 KiB).
const HEADERS_MAX: usize = 100;

/// The addresses of a name, or why they cannot be had.
pub type Looking = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Looks names up.
pub trait Resolver: Send + Sync {
    fn addresses(&self, host: &str) -> Looking;
}

/// This machine's own resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn addresses(&self, host: &str) -> Looking {
        let host = host.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Says where a question may go.
#[derive(Clone)]
pub(super) struct Guard {
    pub hosts: Arc<[HostRule]>,
    pub nets: Arc<[IpNet]>,
    pub resolver: Arc<dyn Resolver>,
}

/// A name leads to an address where no question may go.
#[derive(Clone, Debug, thiserror::Error)]
#[error("`{host}` leads to a {kind} address; the operator must list its range in PLIMSOLL_PROBE_NETS")]
struct Closed {
    host: String,
    kind: &'static str,
}

impl Guard {
    /// Refuses what must not be asked, as far as it can be seen before the name is looked up.
    pub fn admit(&self, url: &Url) -> Result<(), String> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("`{}` is neither http nor https", clip(url.scheme(), 40)));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a URL with a user name or password in it is not asked".to_owned());
        }
        let host = hosts::name(url).ok_or("the URL has no host")?;
        if self.hosts.is_empty() {
            return Err("no host may be asked: the operator must list them in PLIMSOLL_PROBE_HOSTS".to_owned());
        }
        if !self.hosts.iter().any(|rule| rule.allows(url)) {
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            let host = clip(host, 100);
            return Err(format!("`{host}{port}` is not on the operator's list (PLIMSOLL_PROBE_HOSTS)"));
        }
        // An address is connected to without being looked up.
        match hosts::address(host) {
            Some(address) => self.pass(host, &[address]).map_err(|closed| closed.to_string()),
            None => Ok(()),
        }
    }

    /// Refuses a name if one of its addresses is closed: which of them is taken is nothing to bet on.
    fn pass(&self, host: &str, addresses: &[IpAddr]) -> Result<(), Closed> {
        for address in addresses {
            if let Some(kind) = closed(*address)
                && !self.nets.iter().any(|net| net.contains(address))
            {
                tracing::warn!(host = clip(host, 100), %address, "a question to a closed address was refused");
                return Err(Closed { host: clip(host, 100), kind });
            }
        }
        Ok(())
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found = guard.resolver.addresses(name.as_str()).await?;
            if found.is_empty() {
                return Err("the name has no address".into());
            }
            guard.pass(name.as_str(), &found)?;
            // Port 0: the URL's own.
            let addresses = found.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

/// A client without memory: no proxy, cookie, credential, redirect, compression or kept connection. With a guard it
/// connects only where the guard lets it.
pub(super) fn client(guard: Option<Guard>, limits: &Limits) -> Result<reqwest::Client, String> {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("Plimsoll/", env!("CARGO_PKG_VERSION")))
        .timeout(limits.total)
        .connect_timeout(limits.connect)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        // What is unpacked may be a thousand times what was sent.
        .gzip(false)
        .http1_only()
        .http1_max_headers(HEADERS_MAX)
        .pool_max_idle_per_host(0);
    let builder = match guard {
        Some(guard) => builder.dns_resolver(Arc::new(guard)),
        None => builder,
    };
    builder.build().map_err(|problem| cause(&problem))
}

/// An answer, as far as it was read.
pub(super) struct Answer {
    pub status: u16,
    /// Where a redirect leads, as it was written.
    pub location: Option<String>,
    pub body: Vec<u8>,
    /// There was more than was read.
    pub cut: bool,
}

/// Why there is no answer.
pub(super) enum Fault {
    /// It must not be asked.
    Refused(String),
    /// It was asked and did not answer.
    Silent(String),
}

/// Sends a request and reads at most `bytes_max` of its answer.
pub(super) async fn exchange(request: RequestBuilder, bytes_max: usize, limits: &Limits) -> Result<Answer, Fault> {
    let fault = |problem| fault(problem, limits);
    let mut response = request.send().await.map_err(fault)?;
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut answer = Answer { status: response.status().as_u16(), location, body: Vec::new(), cut: false };
    while let Some(chunk) = response.chunk().await.map_err(fault)? {
        let room = bytes_max - answer.body.len();
        answer.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            answer.cut = true;
            break;
        }
    }
    Ok(answer)
}

fn fault(problem: reqwest::Error, limits: &Limits) -> Fault {
    let mut inner: Option<&(dyn Error + 'static)> = Some(&problem);
    while let Some(error) = inner {
        if let Some(closed) = error.downcast_ref::<Closed>() {
            return Fault::Refused(closed.to_string());
        }
        inner = error.source();
    }
    Fault::Silent(match (problem.is_connect(), problem.is_timeout()) {
        (true, true) => format!("no connection within {}", seconds(limits.connect)),
        (_, true) => too_late(limits),
        (true, false) => format!("no connection: {}", cause(&problem)),
        (false, false) => format!("the answer cannot be read: {}", cause(&problem)),
    })
}

/// What is said when the time for an answer ran out.
pub(super) fn too_late(limits: &Limits) -> String {
    format!("no whole answer within {}", seconds(limits.total))
}

pub(super) fn seconds(time: std::time::Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

/// The innermost cause, which says most; never an address with its query.
fn cause(problem: &reqwest::Error) -> String {
    let mut words = None;
    let mut inner = problem.source();
    while let Some(error) = inner {
        words = Some(error.to_string());
        inner = error.source();
    }
    clip(&words.unwrap_or_else(|| "it broke off".to_owned()), 200)
}
