use super::oidc::{Issuer, IssuerSettings};
use super::script::{Hands, NOW, Play, Script, key};
use crate::domain::ids::*;
use crate::engine::ports::{CallerError, Callers, Claims, Clock};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// What the made-up issuer publishes, and whether it answers.
#[derive(Default)]
struct Published {
    keys: Mutex<Vec<(&'static str, &'static EncodingKey)>>,
    down: AtomicBool,
    /// What its configuration says; `None`: there is none.
    configuration: Mutex<Option<String>>,
}

struct Town {
    published: Arc<Published>,
    script: Script,
    clock: Arc<Hands>,
    issuer: Issuer,
}

async fn town() -> Town {
    let published = Arc::new(Published::default());
    published.keys.lock().unwrap().push(("one", first()));
    let told = published.clone();
    let script = Script::raw(move |seen, _| {
        if told.down.load(Ordering::SeqCst) {
            return Play::json(503, json!({}));
        }
        match seen.path.as_str() {
            "/oidc/.well-known/openid-configuration" => match told.configuration.lock().unwrap().clone() {
                Some(address) => Play::json(200, json!({ "jwks_uri": address })),
                None => Play::json(404, json!({})),
            },
            "/oidc/.well-known/jwks" | "/elsewhere/keys" => {
                let keys = told.keys.lock().unwrap();
                let written = |(id, key): &(&str, &EncodingKey)| {
                    let mut jwk = Jwk::from_encoding_key(key, Algorithm::RS256).unwrap();
                    jwk.common.key_id = Some((*id).to_owned());
                    serde_json::to_value(jwk).unwrap()
                };
                let mut keys: Vec<Value> = keys.iter().map(written).collect();
                // What it does not know is left out, not stumbled over.
                keys.push(json!({ "kid": "odd", "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" }));
                Play::json(200, json!({ "keys": keys }))
            }
            _ => Play::json(404, json!({})),
        }
    })
    .await;
    let settings = IssuerSettings {
        issuer: format!("{}/oidc", script.url),
        audience: "plimsoll".to_owned(),
        timeout: Duration::from_secs(5),
    };
    let (_, clock) = script.client();
    let issuer = Issuer::new(settings, clock.clone()).unwrap();
    Town { published, script, clock, issuer }
}

fn first() -> &'static EncodingKey {
    static KEY: OnceLock<EncodingKey> = OnceLock::new();
    KEY.get_or_init(|| EncodingKey::from_rsa_pem(key().expose_secret().as_bytes()).unwrap())
}

fn second() -> &'static EncodingKey {
    static KEY: OnceLock<EncodingKey> = OnceLock::new();
    KEY.get_or_init(|| {
        let der = KeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap();
        let text = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, der.as_ref());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
        EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap()
    })
}

impl Town {
    fn claims(&self) -> Value {
        let now = self.clock.now().0 / 1_000;
        json!({
            "iss": format!("{}/oidc", self.script.url), "aud": "plimsoll", "iat": now, "nbf": now - 10, "exp": now + 300,
            "repository": "acme/shop", "repository_id": "74", "run_id": "4711", "run_attempt": "2",
            "environment": "production", "sha": "a".repeat(40), "workflow_ref": "acme/shop/.github/workflows/deploy.yml@refs/heads/main",
        })
    }

    /// A right token but for what is changed.
    fn token(&self, id: &str, key: &EncodingKey, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims();
        change(&mut claims);
        let header = Header { kid: Some(id.to_owned()), ..Header::new(Algorithm::RS256) };
        jsonwebtoken::encode(&header, &claims, key).unwrap()
    }

    fn good(&self) -> String {
        self.token("one", first(), |_| {})
    }

    async fn refusal(&self, token: &str) -> String {
        match self.issuer.verify(token).await {
            Err(CallerError::Invalid { message }) => message,
            other => panic!("{other:?}"),
        }
    }

    async fn is_unavailable(&self, token: &str) -> bool {
        matches!(self.issuer.verify(token).await, Err(CallerError::Unavailable { .. }))
    }

    /// How often the keys themselves were read.
    fn reads(&self) -> usize {
        self.script.lines().iter().filter(|line| line.ends_with("/jwks") || line.ends_with("/keys")).count()
    }
}

const NOT_BELIEVED: &str = "The token was not signed by the issuer that this service trusts.";

#[tokio::test]
async fn a_right_token_tells_which_run_it_is() {
    let town = town().await;
    let claims = Claims {
        repository: RepoName::parse("acme/shop").unwrap(),
        run: RunId(4711),
        attempt: 2,
        environment: Some(EnvironmentName::new("production")),
        sha: Sha::parse(&"a".repeat(40)).unwrap(),
    };
    assert_eq!(town.issuer.verify(&town.good()).await, Ok(claims.clone()));
    let bare = town.token("one", first(), |claims| {
        claims.as_object_mut().unwrap().remove("environment");
        claims["aud"] = json!(["other", "plimsoll"]);
    });
    assert_eq!(town.issuer.verify(&bare).await, Ok(Claims { environment: None, ..claims }));
    assert_eq!(town.reads(), 1, "the keys are kept");
}

#[tokio::test]
async fn whatever_is_wrong_with_a_signature_the_same_is_told() {
    let town = town().await;
    let good = town.good();
    let parts: Vec<&str> = good.split('.').collect();
    let coded = |value: Value| base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, value.to_string());
    let header = |alg: &str| coded(json!({ "alg": alg, "typ": "JWT", "kid": "one" }));
    let other_claims = coded({
        let mut claims = town.claims();
        claims["repository"] = "acme/vault".into();
        claims
    });
    // The oldest trick: the public key, which everybody has, as the secret of an HMAC.
    let public = Jwk::from_encoding_key(first(), Algorithm::RS256).unwrap();
    let public = serde_json::to_value(public).unwrap();
    let modulus = public["n"].as_str().unwrap();
    let hs256 = jsonwebtoken::encode(
        &Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::HS256) },
        &town.claims(),
        &EncodingKey::from_secret(modulus.as_bytes()),
    )
    .unwrap();
    let with_crit = {
        let header =
            Header { kid: Some("one".to_owned()), crit: Some(vec!["b64".into()]), ..Header::new(Algorithm::RS256) };
        jsonwebtoken::encode(&header, &town.claims(), first()).unwrap()
    };
    let without_kid = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &town.claims(), first()).unwrap();
    for (what, token) in [
        ("another key under a known name", town.token("one", second(), |_| {})),
        ("an unknown key", town.token("two", second(), |_| {})),
        ("other claims under a right signature", format!("{}.{other_claims}.{}", parts[0], parts[2])),
        ("no algorithm", format!("{}.{}.", header("none"), parts[1])),
        ("no algorithm, with a signature", format!("{}.{}.{}", header("none"), parts[1], parts[2])),
        ("another algorithm", format!("{}.{}.{}", header("RS512"), parts[1], parts[2])),
        ("an HMAC under the public key", hs256),
        ("a header that must be understood", with_crit),
        ("no key's name", without_kid),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("no token", "hello".to_owned()),
        ("nothing", String::new()),
        ("too much", format!("{good}{}", "A".repeat(16 * 1024))),
        ("another issuer", town.token("one", first(), |claims| claims["iss"] = "https://evil.example".into())),
    ] {
        assert_eq!(town.refusal(&token).await, NOT_BELIEVED, "{what}");
    }
}

#[tokio::test]
async fn a_token_counts_for_its_audience_and_its_time_only() {
    let town = town().await;
    let now = NOW.0 / 1_000;
    let said = async |change: fn(&mut Value, i64)| {
        let token = town.token("one", first(), |claims| change(claims, now));
        town.issuer.verify(&token).await.err().map(|error| error.to_string())
    };
    insta::assert_snapshot!(said(|c, _| c["aud"] = "https://github.com/acme".into()).await.unwrap(), @"The token is for another audience; ask GitHub for one with the audience `plimsoll`.");
    insta::assert_snapshot!(said(|c, now| c["exp"] = (now - 60).into()).await.unwrap(), @"The token has expired; ask GitHub for a new one just before you call.");
    assert_eq!(said(|c, now| c["exp"] = (now - 59).into()).await, None, "clocks differ a little");
    insta::assert_snapshot!(said(|c, now| c["nbf"] = (now + 61).into()).await.unwrap(), @"The token is not valid yet; a clock is wrong.");
    assert_eq!(said(|c, now| c["nbf"] = (now + 60).into()).await, None);
    let lacks = "The token lacks a claim of GitHub Actions, or one of them makes no sense.";
    assert_eq!(said(|c, _| drop(c.as_object_mut().unwrap().remove("exp"))).await.unwrap(), lacks);
    assert_eq!(said(|c, _| drop(c.as_object_mut().unwrap().remove("run_id"))).await.unwrap(), lacks);
    assert_eq!(said(|c, _| c["run_id"] = "../1".into()).await.unwrap(), lacks);
    assert_eq!(said(|c, _| c["repository"] = "acme/shop/../vault".into()).await.unwrap(), lacks);
    assert_eq!(said(|c, _| c["exp"] = i64::MAX.into()).await, None);
}

#[tokio::test]
async fn a_new_key_is_found_and_an_unknown_one_is_asked_for_once_a_minute() {
    let town = town().await;
    town.issuer.verify(&town.good()).await.unwrap();
    let unknown = town.token("two", second(), |_| {});
    for _ in 0..5 {
        assert_eq!(town.refusal(&unknown).await, NOT_BELIEVED);
    }
    assert_eq!(town.reads(), 1, "they were read a moment ago");
    *town.published.keys.lock().unwrap() = vec![("two", second())];
    town.clock.forward(Span::minutes(1));
    let rotated = town.token("two", second(), |_| {});
    assert!(town.issuer.verify(&rotated).await.is_ok());
    assert_eq!(town.reads(), 2);
    assert_eq!(town.refusal(&town.good()).await, NOT_BELIEVED, "what is no longer published no longer counts");
    assert_eq!(town.reads(), 2);
    town.clock.forward(Span::minutes(10));
    assert!(town.issuer.verify(&town.token("two", second(), |_| {})).await.is_ok());
    assert_eq!(town.reads(), 3, "after ten minutes they are read again");
}

#[tokio::test]
async fn while_the_issuer_is_down_old_keys_serve_for_a_day() {
    let town = town().await;
    town.published.down.store(true, Ordering::SeqCst);
    assert!(town.is_unavailable(&town.good()).await, "nothing is known yet");
    let asked = town.script.lines().len();
    assert!(town.is_unavailable(&town.good()).await);
    assert_eq!(town.script.lines().len(), asked, "it is left alone for some seconds");
    town.published.down.store(false, Ordering::SeqCst);
    town.clock.forward(Span::seconds(5));
    assert!(town.issuer.verify(&town.good()).await.is_ok());
    town.published.down.store(true, Ordering::SeqCst);
    town.clock.forward(Span::hours(23));
    assert!(town.issuer.verify(&town.good()).await.is_ok());
    assert!(town.is_unavailable(&town.token("two", second(), |_| {})).await, "it may be a new key");
    town.clock.forward(Span::hours(1));
    assert!(town.is_unavailable(&town.good()).await);
}

#[tokio::test]
async fn keys_are_read_where_the_issuer_says_only_at_its_own_origin() {
    let here = town().await;
    *here.published.configuration.lock().unwrap() = Some(format!("{}/elsewhere/keys", here.script.url));
    here.issuer.verify(&here.good()).await.unwrap();
    assert_eq!(here.script.lines(), ["GET /oidc/.well-known/openid-configuration", "GET /elsewhere/keys"]);

    let (there, stranger) = (town().await, town().await);
    *there.published.configuration.lock().unwrap() = Some(format!("{}/elsewhere/keys", stranger.script.url));
    there.issuer.verify(&there.good()).await.unwrap();
    assert_eq!(there.script.lines(), ["GET /oidc/.well-known/openid-configuration", "GET /oidc/.well-known/jwks"]);
    assert_eq!(stranger.script.lines(), [""; 0]);
}

#[tokio::test]
async fn many_callers_at_once_ask_the_issuer_once() {
    let town = Arc::new(town().await);
    let all: Vec<_> = (0..20)
        .map(|_| {
            let town = town.clone();
            tokio::spawn(async move { town.issuer.verify(&town.good()).await.is_ok() })
        })
        .collect();
    for one in all {
        assert!(one.await.unwrap());
    }
    assert_eq!(town.reads(), 1);
}

#[test]
fn an_issuer_over_plain_http_is_refused() {
    let settings = |issuer: &str| IssuerSettings {
        issuer: issuer.to_owned(),
        audience: "plimsoll".to_owned(),
        timeout: Duration::from_secs(1),
    };
    let clock: Arc<Hands> = Arc::default();
    assert!(Issuer::new(settings("http://tokens.example"), clock.clone()).is_err());
    assert!(Issuer::new(settings("https://me:hush@tokens.example"), clock.clone()).is_err());
    assert!(Issuer::new(settings("https://tokens.example/_services/token"), clock).is_ok());
}
