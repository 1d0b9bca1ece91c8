//! What the client must be told, and what can be wrong with it.
//!
//! Knows good values for what is left open. Must never know where a setting came from.

use crate::domain::ids::Span;
use reqwest::Url;
use secrecy::SecretString;

/// Settings of the client. [`ClientSettings::new`] fills in all but the first three.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// `https://api.github.com`, `https://HOST/api/v3` of a GitHub Enterprise Server, or one on this machine.
    pub base_url: String,
    /// The App's id or its client id.
    pub issuer: String,
    /// The App's private key, PEM.
    pub private_key: SecretString,
    /// GitHub refuses requests without one.
    pub user_agent: String,
    /// For a whole exchange, connecting included.
    pub timeout: Span,
    /// Larger answers are given up.
    pub answer_bytes_max: usize,
    /// For answers that are asked for again with their ETag, all installations together.
    pub cache_bytes_max: usize,
    /// Requests of one installation at the same time.
    pub concurrent_max: usize,
    /// Writes of one installation; GitHub allows 80 that create content.
    pub writes_per_minute: usize,
    /// Comments of one installation; GitHub allows 500.
    pub comments_per_hour: usize,
    /// How long to wait before the one retry of a request that GitHub refused to a token it has only just made, or
    /// that it gave up on.
    pub pause: Span,
}

impl ClientSettings {
    /// Settings as GitHub's documentation suggests them.
    pub fn new(base_url: impl Into<String>, issuer: impl Into<String>, private_key: SecretString) -> Self {
        Self {
            base_url: base_url.into(),
            issuer: issuer.into(),
            private_key,
            user_agent: concat!("plimsoll/", env!("CARGO_PKG_VERSION")).to_owned(),
            timeout: Span::seconds(10),
            answer_bytes_max: 32 * 1024 * 1024,
            cache_bytes_max: 16 * 1024 * 1024,
            concurrent_max: 20,
            writes_per_minute: 80,
            comments_per_hour: 500,
            pause: Span::seconds(1),
        }
    }
}

/// Why there can be no client. For the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientProblem {
    #[error("the GitHub URL `{url}` cannot be used: {message}")]
    BaseUrl { url: String, message: String },
    #[error("the App's id is empty; it is the number or the client id on the App's settings page")]
    Issuer,
    #[error("the App's private key cannot be used: {message}; download a new one from the App's settings page")]
    PrivateKey { message: String },
    #[error("no HTTP client could be made: {message}")]
    Http { message: String },
}

/// Reads the base URL: without a slash at its end, and nothing in it that does not belong there.
pub(super) fn base_url(text: &str) -> Result<Url, ClientProblem> {
    let problem = |message: &str| ClientProblem::BaseUrl {
        // Never the text itself: it might hold a password.
        url: Url::parse(text).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default(),
        message: message.to_owned(),
    };
    let url = Url::parse(text).map_err(|_| problem("it is not a URL like `https://api.github.com`"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(problem("it holds a user name or a password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(problem("it holds a query or a fragment"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if super::transport::is_loopback(&url) => Ok(url),
        "http" => Err(problem("tokens are only sent over https, except on this machine")),
        _ => Err(problem("it does not begin with `https://`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_that_would_leak_tokens_or_lead_nowhere_is_refused() {
        for good in ["https://api.github.com", "https://ghe.example/api/v3/", "http://127.0.0.1:8080", "http://[::1]:1"]
        {
            assert!(base_url(good).is_ok(), "{good}");
        }
        let said = |text: &str| base_url(text).unwrap_err().to_string();
        insta::assert_snapshot!(said("http://ghe.example/api/v3"), @"the GitHub URL `ghe.example` cannot be used: tokens are only sent over https, except on this machine");
        insta::assert_snapshot!(said("https://me:hush@ghe.example"), @"the GitHub URL `ghe.example` cannot be used: it holds a user name or a password");
        insta::assert_snapshot!(said("api.github.com"), @"the GitHub URL `` cannot be used: it is not a URL like `https://api.github.com`");
        insta::assert_snapshot!(said("ftp://github.com"), @"the GitHub URL `github.com` cannot be used: it does not begin with `https://`");
        assert!(base_url("https://github.com?x").is_err());
    }
}
