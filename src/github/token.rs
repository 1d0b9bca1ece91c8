//! Tokens: the App's own, signed here, and those of its installations, minted by GitHub.
//!
//! Knows keys and how long a token is good. Must never know what a token is used for; shows none of them.

use crate::domain::ids::{Span, Timestamp};
use crate::engine::ports::GitHubError;
use base64::Engine as _;
use http::HeaderValue;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// A token is not used in its last minutes, so that it cannot run out on the way.
const REST: Span = Span::minutes(5);
/// Clocks differ: the App's own token is dated back by this much.
const BACKDATED: Span = Span::minutes(1);
/// How long the App's own token is good from now; with [`BACKDATED`] nine minutes in all, GitHub allows ten.
const APP_TOKEN_LIFE: Span = Span::minutes(8);

/// A token that may be sent.
#[derive(Clone, Debug)]
pub struct Token {
    /// The whole `Authorization` header, marked as not to be shown.
    pub header: HeaderValue,
    pub minted_at: Timestamp,
    /// Until when it may be sent.
    pub good_until: Timestamp,
}

impl Token {
    /// Wraps a token; `None` when it cannot stand in a header.
    fn new(text: &str, minted_at: Timestamp, good_until: Timestamp) -> Option<Self> {
        let mut header = HeaderValue::from_str(&format!("Bearer {text}")).ok()?;
        header.set_sensitive(true);
        Some(Self { header, minted_at, good_until })
    }

    /// An installation's token. A clock of ours that runs ahead must not make each request mint a token of its own,
    /// so a new token is used for a minute at least.
    pub fn of_installation(text: &str, minted_at: Timestamp, expires_at: Timestamp) -> Option<Self> {
        let good_until = expires_at.minus(REST).max(minted_at.plus(Span::minutes(1)));
        Self::new(text, minted_at, good_until)
    }
}

impl Token {
    /// As git sends it: a user name that GitHub gives to tokens, and the token as password.
    pub fn basic(&self) -> Option<SecretString> {
        let token = self.header.to_str().ok()?.strip_prefix("Bearer ")?;
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("x-access-token:{token}"));
        Some(SecretString::from(format!("Basic {pair}")))
    }
}

/// Signs the App's own tokens.
pub struct AppTokens {
    issuer: String,
    key: EncodingKey,
    newest: Mutex<Option<Token>>,
}

impl AppTokens {
    /// Takes the App's id or client id and its private key as PEM, PKCS#1 or PKCS#8. Fails, in words for the
    /// operator, on a key that does not sign.
    pub fn new(issuer: String, private_key: &SecretString) -> Result<Self, String> {
        let mut pem = private_key.expose_secret().trim().to_owned();
        if !pem.contains('\n') {
            // Environment variables often carry line breaks as two characters.
            pem = pem.replace("\\n", "\n");
        }
        if !pem.starts_with("-----BEGIN") {
            return Err("it does not begin with `-----BEGIN`".to_owned());
        }
        // What the library says about a key may quote it; what is wrong is plain enough without.
        let key = EncodingKey::from_rsa_pem(pem.as_bytes()).map_err(|_| "it is not an RSA key in PEM".to_owned())?;
        let tokens = Self { issuer, key, newest: Mutex::new(None) };
        tokens.signed(Timestamp(1_000_000_000)).ok_or("it is an RSA key, but cannot sign".to_owned())?;
        Ok(tokens)
    }

    /// A token of the App itself, the last one while it is good. `None`: the key does not sign.
    pub fn token(&self, now: Timestamp) -> Option<Token> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back makes the last token one of the future, which GitHub refuses.
        let good = newest.as_ref().filter(|token| (token.minted_at..token.good_until).contains(&now));
        if let Some(token) = good {
            return Some(token.clone());
        }
        *newest = self.signed(now);
        newest.clone()
    }

    /// Forgets the last token: GitHub did not take it.
    pub fn forget(&self) {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn signed(&self, now: Timestamp) -> Option<Token> {
        #[derive(Serialize)]
        struct Claims<'a> {
            iat: i64,
            exp: i64,
            iss: &'a str,
        }
        let seconds = |at: Timestamp| at.0.div_euclid(1_000);
        let expires_at = now.plus(APP_TOKEN_LIFE);
        let claims = Claims { iat: seconds(now.minus(BACKDATED)), exp: seconds(expires_at), iss: &self.issuer };
        let text = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &self.key).ok()?;
        Token::new(&text, now, expires_at.minus(BACKDATED))
    }
}

/// Says, in words for the operator, why a key cannot sign for an App.
pub fn key_signs(private_key: &SecretString) -> Result<(), String> {
    AppTokens::new("1".to_owned(), private_key).map(drop)
}

/// The token of one installation: minted by one of those who need it, while the others wait.
#[derive(Debug, Default)]
pub struct TokenSlot {
    inner: tokio::sync::Mutex<Slot>,
    /// How many mintings have ended.
    ended: AtomicU64,
}

#[derive(Debug, Default)]
struct Slot {
    token: Option<Token>,
    /// Why the last minting failed, until one succeeds.
    failure: Option<GitHubError>,
}

impl TokenSlot {
    /// The token, or a new one when there is none that is good. Whoever began to wait before a minting failed shares
    /// its failure instead of trying again.
    pub async fn token<F>(&self, now: Timestamp, mint: impl FnOnce() -> F) -> Result<Token, GitHubError>
    where
        F: Future<Output = Result<Token, GitHubError>>,
    {
        let seen = self.ended.load(Ordering::Acquire);
        let mut slot = self.inner.lock().await;
        if let Some(token) = slot.token.as_ref().filter(|token| now < token.good_until) {
            return Ok(token.clone());
        }
        let ended_meanwhile = self.ended.load(Ordering::Acquire) != seen;
        if let Some(failure) = slot.failure.as_ref().filter(|_| ended_meanwhile) {
            return Err(failure.clone());
        }
        let minted = mint().await;
        match &minted {
            Ok(token) => *slot = Slot { token: Some(token.clone()), failure: None },
            Err(failure) => *slot = Slot { token: None, failure: Some(failure.clone()) },
        }
        self.ended.fetch_add(1, Ordering::Release);
        minted
    }

    /// Forgets this token if it is still the one in use: GitHub did not take it.
    pub async fn forget(&self, token: &Token) {
        let mut slot = self.inner.lock().await;
        if slot.token.as_ref().is_some_and(|known| known.header == token.header) {
            slot.token = None;
        }
    }
}
