//! Asks what runs, outside GitHub: an HTTP address, or a Prometheus server.
//!
//! Knows where a question may go and how much of an answer is read. Must never judge an answer. Questions come from a
//! repository's policy: whoever writes it must not be able to reach what the operator did not open, to read what is not
//! theirs, or to keep the service busy.

mod address;
mod hosts;
mod http;
mod prometheus;
mod queue;
mod wire;

pub use hosts::HostRule;
pub use wire::{Looking, Resolver, SystemResolver};

use crate::domain::ids::Span;
use crate::domain::reading::{Question, Reading};
use crate::engine::ports::{Clock, Probes};
use ipnet::IpNet;
use queue::{Place, Queue};
use reqwest::Url;
use std::sync::Arc;
use std::time::Duration;
use wire::{Fault, Guard};

/// Redirects that are followed at most, whatever the operator wishes.
pub const REDIRECTS_MAX: u8 = 3;
/// A URL in a question is no longer than this, in bytes.
const URL_MAX: usize = 2_048;

/// What the operator opened.
#[derive(Clone, Debug, Default)]
pub struct ProbeSettings {
    /// Hosts that policies may name. Empty: none.
    pub hosts: Vec<HostRule>,
    /// Ranges of addresses that may be asked although they are not of the open internet.
    pub nets: Vec<IpNet>,
    /// Base URL of the operator's own Prometheus server. It may be anywhere.
    pub prometheus: Option<String>,
    /// How many redirects of an HTTP address are followed, at most [`REDIRECTS_MAX`]. 0: a redirect is the answer.
    pub redirects: u8,
    pub limits: Limits,
}

/// How long a question may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// To look up a name and connect.
    pub connect: Duration,
    /// For everything, redirects included.
    pub total: Duration,
    /// To wait until others have asked.
    pub queue: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(3), total: Duration::from_secs(10), queue: Duration::from_secs(10) }
    }
}

/// Asks questions, within what the operator opened.
pub struct Prober {
    guard: Guard,
    /// Goes where the guard lets it.
    guarded: reqwest::Client,
    /// Goes to the operator's own Prometheus, and nowhere else.
    trusted: reqwest::Client,
    prometheus: Option<Url>,
    redirects: u8,
    limits: Limits,
    queue: Queue,
    clock: Arc<dyn Clock>,
}

impl Prober {
    /// Prepares to ask; nothing is asked yet. Fails when the Prometheus URL is none, or there is no TLS.
    pub fn new(settings: ProbeSettings, resolver: Arc<dyn Resolver>, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let ProbeSettings { hosts, nets, prometheus, redirects, limits } = settings;
        let guard = Guard { hosts: hosts.into(), nets: nets.into(), resolver };
        Ok(Self {
            guarded: wire::client(Some(guard.clone()), &limits)?,
            trusted: wire::client(None, &limits)?,
            prometheus: prometheus.map(|url| prometheus::base(&url)).transpose()?,
            redirects: redirects.min(REDIRECTS_MAX),
            queue: Queue::default(),
            guard,
            limits,
            clock,
        })
    }

    /// Waits until `url` may be asked.
    async fn place(&self, url: &Url) -> Result<Place, Fault> {
        let host = hosts::name(url).unwrap_or_default();
        match tokio::time::timeout(self.limits.queue, self.queue.place(host)).await {
            Ok(Some(place)) => Ok(place),
            Ok(None) | Err(_) => {
                let (host, time) = (clip(host, 100), wire::seconds(self.limits.queue));
                Err(Fault::Refused(format!("too much is asked at once: no turn to ask `{host}` came within {time}")))
            }
        }
    }
}

impl Probes for Prober {
    async fn ask(&self, question: &Question) -> Reading {
        let began = self.clock.now();
        let (reading, place) = match question {
            Question::Http { url, pointer } => (self.http(url, pointer.as_deref()).await, bare(url)),
            Question::Prometheus { server, query, at, over } => {
                let place = server.as_deref().map_or_else(|| "the operator's Prometheus".to_owned(), bare);
                (self.prometheus(server.as_deref(), query, *at, *over).await, place)
            }
        };
        let Span(duration_ms) = self.clock.now().since(began);
        match &reading {
            Reading::Response { status, .. } => tracing::debug!(place, status, duration_ms, "answered"),
            Reading::Samples(series) => tracing::debug!(place, series = series.len(), duration_ms, "answered"),
            Reading::Unanswered { because } => tracing::info!(place, because, duration_ms, "did not answer"),
            Reading::Unasked { because } => tracing::info!(place, because, duration_ms, "was not asked"),
        }
        reading
    }
}

/// A URL for the log: without what may be a secret (user, query, fragment).
fn bare(url: &str) -> String {
    match Url::parse(url) {
        Ok(url) => {
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            clip(&format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path()), 200)
        }
        Err(_) => "no URL".to_owned(),
    }
}

/// A URL that may be one of a question; says what is wrong otherwise.
fn parsed(url: &str) -> Result<Url, String> {
    if url.len() > URL_MAX {
        return Err(format!("the URL is longer than {URL_MAX} bytes"));
    }
    Url::parse(url).map_err(|why| format!("it is no URL: {why}"))
}

/// A text on one line, of at most `max` characters.
fn clip(text: &str, max: usize) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(max).collect();
    if text.chars().nth(max).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_does_not_see_what_may_be_secret() {
        assert_eq!(bare("https://me:pw@shop.example:81/health?token=s3cret#x"), "https://shop.example:81/health");
        assert_eq!(bare("s3cret"), "no URL");
    }

    #[test]
    fn a_long_text_is_cut_by_characters() {
        assert_eq!(clip("äöü\nß", 4), "äöü …");
        assert_eq!(clip("äöü", 3), "äöü");
    }
}
