//! Which workflow run a caller is: GitHub Actions' OIDC tokens, verified.
//!
//! Knows RS256, the issuer's published keys and how long they may be used. Must never know what a run may do, and never
//! tells a caller more of its own token than that it does not count, before the signature was found right.

use crate::domain::ids::*;
use crate::engine::ports::{CallerError, Callers, Claims, Clock};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use reqwest::{Url, redirect};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// GitHub's tokens have about 2 KiB.
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// An issuer's documents are a few KiB.
const DOCUMENT_BYTES_MAX: usize = 256 * 1024;
/// More keys than this are not an issuer's; GitHub publishes four or so.
const KEYS_MAX: usize = 64;
/// Clocks differ.
const LEEWAY: Span = Span::seconds(60);
/// How long keys are used without looking again.
const FRESH_FOR: Span = Span::minutes(10);
/// How long they are used while the issuer cannot be asked.
const STALE_FOR: Span = Span::hours(24);
/// Anybody can name a key that does not exist; the issuer is asked for it once in this time.
const UNKNOWN_PAUSE: Span = Span::minutes(1);
/// How long the issuer is left alone after it did not answer.
const FAILED_PAUSE: Span = Span::seconds(5);

/// What all tokens are told that cannot be believed, whatever is wrong with them.
const NOT_BELIEVED: &str = "The token was not signed by the issuer that this service trusts.";

/// Whose tokens are believed, and meant for whom.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// For instance `https://token.actions.githubusercontent.com`, without a slash at the end.
    pub issuer: String,
    /// What a token must have been asked for.
    pub audience: String,
    /// For one request to the issuer.
    pub timeout: Duration,
}

/// Verifies tokens of one issuer.
pub struct Issuer {
    settings: IssuerSettings,
    base: Url,
    http: reqwest::Client,
    clock: Arc<dyn Clock>,
    keys: RwLock<Option<Arc<Keys>>>,
    /// Held while the issuer is asked, so that many callers ask once.
    asking: tokio::sync::Mutex<Option<Asked>>,
}

/// The keys that the issuer published at a moment.
struct Keys {
    read_at: Timestamp,
    by_id: BTreeMap<String, DecodingKey>,
}

/// When the issuer was last asked, and whether it answered.
#[derive(Clone, Copy)]
struct Asked {
    at: Timestamp,
    answered: bool,
}

impl Issuer {
    /// Asks nobody yet. Fails, in words for the operator, on an address that tokens cannot be trusted by.
    pub fn new(settings: IssuerSettings, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let base = super::settings::base_url(&settings.issuer).map_err(|problem| problem.to_string())?;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("plimsoll/", env!("CARGO_PKG_VERSION")))
            .timeout(settings.timeout)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false);
        if super::transport::is_loopback(&base) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|problem| problem.to_string())?;
        let asking = tokio::sync::Mutex::new(None);
        Ok(Self { settings, base, http, clock, keys: RwLock::new(None), asking })
    }

    fn known(&self) -> Option<Arc<Keys>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The key of this name, asked for when it is not known or the known ones are old.
    async fn key(&self, id: &str) -> Result<DecodingKey, CallerError> {
        if let Some(key) = self.fresh(id) {
            return Ok(key);
        }
        let mut asked = self.asking.lock().await;
        // Somebody may have asked while this one waited.
        if let Some(key) = self.fresh(id) {
            return Ok(key);
        }
        let now = self.clock.now();
        let pause = |last: Asked| if last.answered { UNKNOWN_PAUSE } else { FAILED_PAUSE };
        // A clock that was set back must not keep the issuer from being asked.
        let may_ask = asked.is_none_or(|last| now < last.at || now.since(last.at) >= pause(last));
        if may_ask {
            let read = self.read_keys(now).await;
            // After the wait, or those who waited for this one would ask a silent issuer once more each.
            *asked = Some(Asked { at: self.clock.now(), answered: read.is_ok() });
            match read {
                Ok(keys) => *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(keys)),
                Err(message) => {
                    tracing::warn!(issuer = self.settings.issuer, message, "the issuer's keys were not read")
                }
            }
        }
        let answered = asked.is_some_and(|last| last.answered);
        // Keys are never older than the last answer, so they are only old while the issuer does not answer.
        let known = self.known().filter(|keys| now.since(keys.read_at) < STALE_FOR);
        match known.as_ref().and_then(|keys| keys.by_id.get(id)) {
            Some(key) => Ok(key.clone()),
            None if answered => Err(not_believed()),
            None => Err(CallerError::Unavailable { message: "the issuer's keys could not be read".to_owned() }),
        }
    }

    /// The key of this name, if the known ones are young.
    fn fresh(&self, id: &str) -> Option<DecodingKey> {
        let keys = self.known()?;
        let young = self.clock.now().since(keys.read_at) < FRESH_FOR;
        keys.by_id.get(id).filter(|_| young).cloned()
    }

    async fn read_keys(&self, now: Timestamp) -> Result<Keys, String> {
        let address = self.keys_address().await;
        let document = self.document(address).await?;
        let set: KeySet = serde_json::from_slice(&document).map_err(|_| "they are no set of keys".to_owned())?;
        let keys = set.keys.into_iter().take(KEYS_MAX).filter_map(readable);
        let by_id: BTreeMap<String, DecodingKey> = keys.collect();
        if by_id.is_empty() {
            return Err("there is no key for RS256 among them".to_owned());
        }
        Ok(Keys { read_at: now, by_id })
    }

    /// Where the keys are: as the issuer says, if that is at its own origin; else at GitHub's usual place.
    async fn keys_address(&self) -> Result<Url, String> {
        #[derive(Deserialize)]
        struct Configuration {
            jwks_uri: String,
        }
        let configuration = self.document(self.below(".well-known/openid-configuration")).await.ok();
        let named = configuration.and_then(|text| serde_json::from_slice::<Configuration>(&text).ok());
        let named = named.and_then(|configuration| Url::parse(&configuration.jwks_uri).ok());
        let plain = |url: &Url| url.username().is_empty() && url.password().is_none();
        match named.filter(|url| url.origin() == self.base.origin() && plain(url)) {
            Some(url) => Ok(url),
            None => self.below(".well-known/jwks"),
        }
    }

    fn below(&self, path: &str) -> Result<Url, String> {
        let root = self.settings.issuer.trim_end_matches('/');
        Url::parse(&format!("{root}/{path}")).map_err(|problem| problem.to_string())
    }

    async fn document(&self, address: Result<Url, String>) -> Result<Vec<u8>, String> {
        let failed = |problem: reqwest::Error| problem.without_url().to_string();
        let mut answer = self.http.get(address?).send().await.map_err(failed)?;
        if !answer.status().is_success() {
            return Err(format!("the issuer answers {}", answer.status().as_u16()));
        }
        let mut read = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(failed)? {
            if read.len() + piece.len() > DOCUMENT_BYTES_MAX {
                return Err(format!("the answer is larger than {DOCUMENT_BYTES_MAX} bytes"));
            }
            read.extend_from_slice(&piece);
        }
        Ok(read)
    }
}

impl Callers for Issuer {
    async fn verify(&self, token: &str) -> Result<Claims, CallerError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(not_believed());
        }
        // Read before it is believed, only to choose the key. What follows is decided by the key's algorithm.
        let header = jsonwebtoken::decode_header(token).map_err(|_| not_believed())?;
        let id = header.kid.filter(|_| header.alg == Algorithm::RS256 && header.crit.is_none());
        let key = self.key(&id.ok_or_else(not_believed)?).await?;
        // The library would look at the system's clock: it proves the signature and nothing else.
        let mut signature_only = Validation::new(Algorithm::RS256);
        signature_only.required_spec_claims.clear();
        signature_only.validate_exp = false;
        signature_only.validate_nbf = false;
        signature_only.validate_aud = false;
        let read = jsonwebtoken::decode::<Written>(token, &key, &signature_only).map_err(|problem| {
            use jsonwebtoken::errors::ErrorKind;
            match problem.kind() {
                // These come after the signature was found right, so whoever sent it may know.
                ErrorKind::Json(_) => {
                    invalid("The token lacks a claim of GitHub Actions, or one of them makes no sense.")
                }
                _ => not_believed(),
            }
        })?;
        judged(read.claims, &self.settings, self.clock.now())
    }
}

/// Claims as GitHub Actions writes them.
#[derive(Deserialize)]
struct Written {
    iss: String,
    aud: Audience,
    /// Seconds.
    exp: i64,
    nbf: Option<i64>,
    repository: String,
    run_id: String,
    run_attempt: String,
    environment: Option<String>,
    sha: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Some(Vec<String>),
}

/// Looks at everything but the signature, which was found right.
fn judged(written: Written, settings: &IssuerSettings, now: Timestamp) -> Result<Claims, CallerError> {
    if written.iss != settings.issuer {
        return Err(not_believed());
    }
    let meant = match &written.aud {
        Audience::One(one) => *one == settings.audience,
        Audience::Some(all) => all.contains(&settings.audience),
    };
    if !meant {
        let audience = &settings.audience;
        return Err(invalid(format!(
            "The token is for another audience; ask GitHub for one with the audience `{audience}`."
        )));
    }
    let at = |seconds: i64| Timestamp(seconds.saturating_mul(1_000));
    if at(written.exp).plus(LEEWAY) <= now {
        return Err(invalid("The token has expired; ask GitHub for a new one just before you call."));
    }
    if written.nbf.is_some_and(|nbf| at(nbf) > now.plus(LEEWAY)) {
        return Err(invalid("The token is not valid yet; a clock is wrong."));
    }
    let read = || {
        Some(Claims {
            repository: RepoName::parse(&written.repository)?,
            run: RunId(written.run_id.parse().ok()?),
            attempt: written.run_attempt.parse().ok()?,
            environment: written.environment.filter(|name| !name.is_empty()).map(EnvironmentName::new),
            sha: Sha::parse(&written.sha)?,
        })
    };
    read().ok_or_else(|| invalid("The token lacks a claim of GitHub Actions, or one of them makes no sense."))
}

fn invalid(message: impl Into<String>) -> CallerError {
    CallerError::Invalid { message: message.into() }
}

fn not_believed() -> CallerError {
    invalid(NOT_BELIEVED)
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

/// A published key that RS256 can use; others are left out.
fn readable(key: serde_json::Value) -> Option<(String, DecodingKey)> {
    #[derive(Deserialize)]
    struct Published {
        kid: String,
        kty: String,
        alg: Option<String>,
        #[serde(rename = "use")]
        used_for: Option<String>,
        n: String,
        e: String,
    }
    let key: Published = serde_json::from_value(key).ok()?;
    let good = key.kty == "RSA"
        && key.alg.is_none_or(|alg| alg == "RS256")
        && key.used_for.is_none_or(|used_for| used_for == "sig");
    let read = DecodingKey::from_rsa_components(&key.n, &key.e).ok().filter(|_| good)?;
    Some((key.kid, read))
}
