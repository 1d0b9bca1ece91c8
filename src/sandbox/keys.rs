//! The App's key pair: made at the start, handed out as PEM, and used to verify the App's JWTs.
//!
//! Knows RSA and JWT's three parts. Knows nothing of routes.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rsa::{KeyPair, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;

/// An App's key pair.
pub struct AppKey {
    pem: String,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl std::fmt::Debug for AppKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AppKey")
    }
}

/// What a JWT claims, once its signature is verified.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Claims {
    /// App id or client id; GitHub takes a number as well as a text.
    pub iss: serde_json::Value,
    pub iat: i64,
    pub exp: i64,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

impl AppKey {
    /// The key of this process. Making one takes a moment, so all sandboxes in a process share it.
    pub fn shared() -> Result<Arc<Self>, Unspecified> {
        static SHARED: OnceLock<Arc<AppKey>> = OnceLock::new();
        if let Some(key) = SHARED.get() {
            return Ok(key.clone());
        }
        let made = Arc::new(Self::generate()?);
        Ok(SHARED.get_or_init(|| made).clone())
    }

    /// Makes a new key of 2048 bits.
    pub fn generate() -> Result<Self, Unspecified> {
        let pair = KeyPair::generate(KeySize::Rsa2048)?;
        let der = pair.as_der()?;
        let text = BASE64_STANDARD.encode(der.as_ref());
        let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
        for line in text.as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        let public = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        Ok(Self { pem, modulus: public.n, exponent: public.e })
    }

    /// The private key as PEM (PKCS#8).
    pub fn private_pem(&self) -> &str {
        &self.pem
    }

    /// A JWT of this App, valid for nine minutes, as the service would sign it.
    #[cfg(test)]
    pub fn jwt(&self, issuer: &str, issued_at_s: i64) -> String {
        let claims = serde_json::json!({ "iss": issuer, "iat": issued_at_s, "exp": issued_at_s + 540 });
        self.signed(&serde_json::json!({ "alg": "RS256", "typ": "JWT" }), &claims).unwrap()
    }

    /// Signs a JWT with RS256, whatever its header says.
    pub fn signed(&self, header: &serde_json::Value, claims: &serde_json::Value) -> Result<String, Unspecified> {
        let text: String = self.pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = BASE64_STANDARD.decode(text).map_err(|_| Unspecified)?;
        let pair = RsaKeyPair::from_pkcs8(&der).map_err(|_| Unspecified)?;
        let part = |value: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &aws_lc_rs::rand::SystemRandom::new(), signed.as_bytes(), &mut signature)?;
        Ok(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The public half as a JSON Web Key of this name.
    pub fn published(&self, id: &str) -> serde_json::Value {
        let part = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        serde_json::json!({
            "kty": "RSA", "alg": "RS256", "use": "sig", "kid": id, "n": part(&self.modulus), "e": part(&self.exponent),
        })
    }

    /// Verifies an RS256 JWT and returns what it claims; none when anything is wrong with it.
    pub fn claims(&self, token: &str) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let part = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        let header: Header = serde_json::from_slice(&part(header)?).ok()?;
        if header.alg != "RS256" {
            return None;
        }
        let public = PublicKeyComponents { n: self.modulus.as_slice(), e: self.exponent.as_slice() };
        public.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &part(signature)?).ok()?;
        serde_json::from_slice(&part(claims)?).ok()
    }
}
