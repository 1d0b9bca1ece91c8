//! Plays the issuer of GitHub Actions' OIDC tokens: publishes keys, signs tokens for workflow runs, changes keys.
//!
//! Knows which claims GitHub writes and how they are spelled. Knows nothing of who reads them.

use std::sync::{Arc, Mutex};

use aws_lc_rs::error::Unspecified;
use serde_json::{Value, json};

use super::keys::AppKey;
use super::model::{Model, Refusal, Run};
use super::{Sandbox, locked};

/// Below the sandbox's own address.
pub(super) const ROOT: &str = "/_oidc";

/// How long a token is good, in seconds; GitHub's are for a few minutes.
const LIFE_S: i64 = 300;

/// The issuer's keys.
#[derive(Debug, Default)]
pub struct Issuer {
    /// The newest last: it signs. The others stay published until they are withdrawn.
    keys: Vec<(String, Arc<AppKey>)>,
    made: usize,
}

impl Issuer {
    /// The key that signs, made when it is first needed.
    fn signing(&mut self) -> Result<(String, Arc<AppKey>), Unspecified> {
        if self.keys.is_empty() {
            self.rotate()?;
        }
        self.keys.last().cloned().ok_or(Unspecified)
    }

    /// Makes a new key that signs from now on, and withdraws all older ones.
    fn rotate(&mut self) -> Result<(), Unspecified> {
        let key = pooled(self.made)?;
        self.made += 1;
        self.keys = vec![(format!("sandbox-{}", self.made), key)];
        Ok(())
    }

    /// What is answered at an address below [`ROOT`].
    pub(super) fn document(&mut self, path: &str, issuer: &str) -> Option<Value> {
        match path {
            "/.well-known/openid-configuration" => Some(json!({
                "issuer": issuer,
                "jwks_uri": format!("{issuer}/.well-known/jwks"),
                "subject_types_supported": ["public", "pairwise"],
                "response_types_supported": ["id_token"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "scopes_supported": ["openid"],
            })),
            "/.well-known/jwks" => {
                self.signing().ok()?;
                let keys: Vec<Value> = self.keys.iter().map(|(id, key)| key.published(id)).collect();
                Some(json!({ "keys": keys }))
            }
            _ => None,
        }
    }

    /// Signs claims as they are.
    pub fn signed(&mut self, claims: &Value) -> Result<String, Unspecified> {
        let (id, key) = self.signing()?;
        key.signed(&json!({ "typ": "JWT", "alg": "RS256", "x5t": id, "kid": id }), claims)
    }
}

/// Making a key takes a moment, so all sandboxes of a process share them in their order. None is the App's.
fn pooled(number: usize) -> Result<Arc<AppKey>, Unspecified> {
    static POOL: Mutex<Vec<Arc<AppKey>>> = Mutex::new(Vec::new());
    let mut pool = locked(&POOL);
    while pool.len() <= number {
        pool.push(Arc::new(AppKey::generate()?));
    }
    Ok(pool[number].clone())
}

/// What GitHub claims of a job of a run. A job has the environment that its workflow file names for it.
pub fn claims(model: &Model, run: &Run, issuer: &str, audience: &str, environment: Option<&str>, now: i64) -> Value {
    let (repository, seconds) = (model.repository.full_name(), now.div_euclid(1_000));
    let owner = repository.split('/').next().unwrap_or_default();
    let branch = &run.head_branch;
    let about = match environment {
        Some(environment) => format!("environment:{environment}"),
        None => format!("ref:refs/heads/{branch}"),
    };
    let workflow = format!("{repository}/{}@refs/heads/{branch}", run.workflow_path);
    let mut claims = json!({
        "jti": format!("sandbox-{}-{seconds}", run.id),
        "iss": issuer,
        "aud": audience,
        "sub": format!("repo:{repository}:{about}"),
        "iat": seconds,
        "nbf": seconds - 300,
        "exp": seconds + LIFE_S,
        "repository": repository,
        "repository_id": model.repository.id.to_string(),
        "repository_owner": owner,
        "repository_visibility": "private",
        "actor": run.actor,
        "event_name": run.event,
        "ref": format!("refs/heads/{branch}"),
        "ref_type": "branch",
        "ref_protected": "false",
        "head_ref": "",
        "base_ref": "",
        "run_id": run.id.to_string(),
        "run_number": run.number.to_string(),
        "run_attempt": "1",
        "runner_environment": "github-hosted",
        "sha": run.head_sha,
        "workflow": run.workflow_name,
        "workflow_ref": workflow,
        "workflow_sha": run.head_sha,
        "job_workflow_ref": workflow,
        "job_workflow_sha": run.head_sha,
    });
    if let (Some(environment), Some(written)) = (environment, claims.as_object_mut()) {
        written.insert("environment".to_owned(), environment.into());
    }
    claims
}

impl Sandbox {
    /// Address of the issuer, as it stands in tokens.
    pub fn oidc_issuer(&self) -> String {
        self.shared.oidc_issuer()
    }

    /// A token for a job of a run, as GitHub gives it to a job that may ask for one. None when there is no such run.
    pub fn oidc_token(&self, run: u64, audience: &str, environment: Option<&str>) -> Result<String, Refusal> {
        self.oidc_token_with(run, audience, environment, |_| {})
    }

    /// The same with other claims, which GitHub would not sign.
    pub fn oidc_token_with(
        &self,
        run: u64,
        audience: &str,
        environment: Option<&str>,
        change: impl FnOnce(&mut Value),
    ) -> Result<String, Refusal> {
        let mut claims = self.shared.oidc_claims(run, audience, environment)?;
        change(&mut claims);
        self.shared.oidc_signed(&claims)
    }

    /// The issuer's keys are changed: from now on tokens are signed with a new one, and older ones are withdrawn.
    pub fn rotate_oidc_key(&self) -> Result<(), Refusal> {
        locked(&self.shared.issuer).rotate().map_err(|_| no_key())
    }
}

impl super::Shared {
    pub(super) fn oidc_issuer(&self) -> String {
        format!("{}{ROOT}", self.base_url)
    }

    /// What a job of this run shows to be given a token; made anew by each sandbox.
    pub(super) fn run_secret(&self, run: u64) -> String {
        super::hooks::signature(self.key.private_pem(), format!("run {run}").as_bytes()).replace("sha256=", "")
    }

    pub(super) fn oidc_claims(&self, run: u64, audience: &str, environment: Option<&str>) -> Result<Value, Refusal> {
        let model = self.model();
        let run = model.run(run)?;
        Ok(claims(&model, run, &self.oidc_issuer(), audience, environment, self.now()))
    }

    pub(super) fn oidc_signed(&self, claims: &Value) -> Result<String, Refusal> {
        locked(&self.issuer).signed(claims).map_err(|_| no_key())
    }
}

fn no_key() -> Refusal {
    Refusal::new(500, "no key could be made")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotated_key_signs_and_the_old_one_is_withdrawn() {
        let mut issuer = Issuer::default();
        let ids = |issuer: &mut Issuer| {
            let document = issuer.document("/.well-known/jwks", "http://here/_oidc").unwrap();
            document["keys"]
                .as_array()
                .unwrap()
                .iter()
                .map(|key| key["kid"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(&mut issuer), ["sandbox-1"]);
        let claims = json!({ "iss": "here", "iat": 1, "exp": 2 });
        let (_, first) = issuer.signing().unwrap();
        assert!(first.claims(&issuer.signed(&claims).unwrap()).is_some());
        issuer.rotate().unwrap();
        assert_eq!(ids(&mut issuer), ["sandbox-2"]);
        assert!(first.claims(&issuer.signed(&claims).unwrap()).is_none());
    }
}
