//! Whether a delivery was really sent by GitHub.
//!
//! Knows the shared secrets and `X-Hub-Signature-256`. Must never know what a payload means: it sees raw bytes only,
//! before anything has parsed them.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use std::fmt;

/// The secrets under which a delivery may be signed: one, or two while one is being replaced by another.
#[derive(Clone)]
pub struct Secrets {
    /// Each already keyed, so that a delivery pays for its own bytes only.
    keyed: Vec<Hmac<Sha256>>,
}

/// Why a delivery is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureProblem {
    /// There is no `X-Hub-Signature-256`: the sender has no secret configured, or is not GitHub.
    #[error("the header X-Hub-Signature-256 is missing")]
    Missing,
    /// The header is not `sha256=` with 64 lower-case hexadecimal digits.
    #[error("the header X-Hub-Signature-256 is not `sha256=` and 64 lower-case hexadecimal digits")]
    Malformed,
    /// No secret makes this signature over these bytes.
    #[error("the signature does not fit the body under any webhook secret")]
    Mismatch,
}

impl Secrets {
    /// Prepares the secrets; the first is tried first.
    ///
    /// Anybody can sign under an empty secret, so empty ones are left out. With none left, nothing is believed.
    pub fn new(secrets: Vec<SecretString>) -> Self {
        let keyed = secrets
            .iter()
            .map(|secret| secret.expose_secret().as_bytes())
            .filter(|secret| !secret.is_empty())
            // A key of any length is a good key for HMAC: the error of this call cannot happen.
            .filter_map(|secret| Hmac::<Sha256>::new_from_slice(secret).ok())
            .collect();
        Self { keyed }
    }

    /// Says whether `header`, the value of `X-Hub-Signature-256`, signs exactly these bytes under one of the secrets.
    ///
    /// The comparison takes the same time wherever the first wrong digit stands.
    pub fn verify(&self, header: Option<&str>, body: &[u8]) -> Result<(), SignatureProblem> {
        let signature = signature_of(header.ok_or(SignatureProblem::Missing)?)?;
        let fits = |keyed: &Hmac<Sha256>| {
            let mut mac = keyed.clone();
            mac.update(body);
            mac.verify_slice(&signature).is_ok()
        };
        if self.keyed.iter().any(fits) { Ok(()) } else { Err(SignatureProblem::Mismatch) }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} kept to themselves)", self.keyed.len())
    }
}

/// Reads the header by the letter: what GitHub never writes is not from GitHub.
fn signature_of(header: &str) -> Result<[u8; 32], SignatureProblem> {
    let digits = header.strip_prefix("sha256=").ok_or(SignatureProblem::Malformed)?.as_bytes();
    if digits.iter().any(|digit| !matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(SignatureProblem::Malformed);
    }
    let mut signature = [0; 32];
    hex::decode_to_slice(digits, &mut signature).map_err(|_| SignatureProblem::Malformed)?;
    Ok(signature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Vectors {
        vectors: Vec<Vector>,
        malformed_headers_to_reject: Vec<MalformedHeader>,
    }

    #[derive(Deserialize)]
    struct Vector {
        source: String,
        secret: String,
        body: String,
        signature: String,
        valid: bool,
    }

    #[derive(Deserialize)]
    struct MalformedHeader {
        name: String,
        header: Option<String>,
    }

    fn vectors() -> Vectors {
        serde_json::from_str(include_str!("../../tests/fixtures/signature-vectors.json")).unwrap()
    }

    fn secrets(texts: &[&str]) -> Secrets {
        Secrets::new(texts.iter().map(|text| SecretString::from(text.to_owned())).collect())
    }

    #[test]
    fn public_signature_vectors_are_believed_or_refused_as_their_sources_say() {
        let vectors = vectors().vectors;
        assert_eq!(vectors.len(), 12);
        for vector in vectors {
            let verdict = secrets(&[&vector.secret]).verify(Some(&vector.signature), vector.body.as_bytes());
            // The vectors also hold signatures of kinds that GitHub sends in another header (SHA-1) or not at all
            // (SHA-512). They are right in themselves, and refused here: only X-Hub-Signature-256 counts.
            let expected = match vector.signature.split_once('=') {
                Some(("sha256", _)) if vector.valid => Ok(()),
                Some(("sha256", _)) => Err(SignatureProblem::Mismatch),
                _ => Err(SignatureProblem::Malformed),
            };
            assert_eq!(verdict, expected, "{}", vector.source);
        }
    }

    #[test]
    fn malformed_headers_are_refused_before_the_body_is_looked_at() {
        for case in vectors().malformed_headers_to_reject {
            let verdict = secrets(&["mysecret"]).verify(case.header.as_deref(), br#"{"foo":"bar"}"#);
            let expected = if case.header.is_none() { SignatureProblem::Missing } else { SignatureProblem::Malformed };
            assert_eq!(verdict, Err(expected), "{}", case.name);
        }
    }

    #[test]
    fn while_secrets_are_rotated_both_are_good() {
        let both = secrets(&["new one", "mysecret"]);
        let header = "sha256=4864d2759938a15468b5df9ade20bf161da9b4f737ea61794142f3484236bda3";
        assert_eq!(both.verify(Some(header), br#"{"foo":"bar"}"#), Ok(()));
        assert_eq!(both.verify(Some(header), br#"{"foo":"baz"}"#), Err(SignatureProblem::Mismatch));
        assert_eq!(secrets(&["new one"]).verify(Some(header), br#"{"foo":"bar"}"#), Err(SignatureProblem::Mismatch));
    }

    #[test]
    fn an_empty_secret_signs_nothing() {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"").unwrap();
        mac.update(b"body");
        let header = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        assert_eq!(secrets(&[""]).verify(Some(&header), b"body"), Err(SignatureProblem::Mismatch));
    }

    #[test]
    fn secrets_do_not_show_themselves() {
        assert_eq!(format!("{:?}", secrets(&["hush", "hush too"])), "Secrets(2 kept to themselves)");
    }
}
