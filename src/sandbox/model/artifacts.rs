//! What workflow runs leave behind.

use serde_json::{Value, json};

use super::json::{node, rfc3339};
use super::{Model, Refusal};

/// GitHub keeps artifacts so long unless a repository says otherwise.
const KEPT_MS: i64 = 90 * 86_400_000;

/// An artifact of a workflow run.
#[derive(Debug, Clone)]
pub struct Artifact {
    pub id: u64,
    pub name: String,
    /// The run that left it; none for one whose run this sandbox did not play.
    pub run: Option<u64>,
    pub created_at: i64,
    pub expires_at: i64,
}

impl Model {
    /// A run leaves an artifact; several may have the same name.
    pub fn leave_artifact(&mut self, name: &str, run: Option<u64>, now: i64) -> Result<u64, Refusal> {
        if name.trim().is_empty() || name.contains(['/', '\\', ':', '"', '<', '>', '|', '*', '?', '\r', '\n']) {
            return Err(Refusal::invalid("Artifact", "name", "invalid"));
        }
        if let Some(run) = run {
            self.run(run)?;
        }
        let id = self.next_id();
        let artifact = Artifact { id, name: name.to_owned(), run, created_at: now, expires_at: now + KEPT_MS };
        self.artifacts.insert(id, artifact);
        Ok(id)
    }

    /// Ends an artifact before its time.
    pub fn expire_artifact(&mut self, id: u64, now: i64) -> Result<(), Refusal> {
        let artifact = self.artifacts.get_mut(&id).ok_or_else(Refusal::not_found)?;
        artifact.expires_at = artifact.expires_at.min(now);
        Ok(())
    }

    /// Artifacts as a list shows them at `now`, newest first, all or those of a name.
    pub fn artifacts_of(&self, name: Option<&str>, now: i64) -> Vec<&Artifact> {
        let listed = self.artifacts.values().rev().filter(|one| one.created_at + self.manners.list_lag_ms <= now);
        listed.filter(|one| name.is_none_or(|name| name == one.name)).collect()
    }

    pub fn artifact_json(&self, artifact: &Artifact, now: i64) -> Value {
        let url = self.repository_url(&format!("/actions/artifacts/{}", artifact.id));
        let mut shown = json!({
            "id": artifact.id,
            "node_id": node("MDg6QXJ0aWZhY3Q", artifact.id),
            "name": artifact.name,
            "size_in_bytes": 1_024,
            "url": url,
            "archive_download_url": format!("{url}/zip"),
            "expired": artifact.expires_at <= now,
            "created_at": rfc3339(artifact.created_at),
            "expires_at": rfc3339(artifact.expires_at),
            "updated_at": rfc3339(artifact.created_at),
        });
        if let Some(run) = artifact.run.and_then(|run| self.runs.get(&run)) {
            shown["workflow_run"] = json!({
                "id": run.id,
                "repository_id": self.repository.id,
                "head_repository_id": self.repository.id,
                "head_branch": run.head_branch,
                "head_sha": run.head_sha,
            });
        }
        shown
    }
}
