//! Whether an effect stands already, found by the key that it carries.
//!
//! Knows where each effect hides its key. Must never change anything. `None` means that it surely does not stand, as
//! far as GitHub's lists are up to date: whoever asks has waited for them.

use super::client::Client;
use super::observe::{CLOCKS_DIFFER, Place};
use super::path::part;
use super::perform::{deployment_description, mark, markers, state_word};
use super::read::Found;
use super::wire::rest::{CheckRuns, Deployment, DeploymentStatus, Numbered};
use super::wire::{Run, iso};
use crate::domain::effect::*;
use crate::domain::facts::Absence;
use crate::domain::ids::*;
use crate::engine::ports::{Done, GitHubError};

/// Pages that are searched.
const PAGES_MAX: usize = 10;

type Standing = Result<Option<Done>, GitHubError>;

impl Client {
    /// Looks for the effect.
    pub(super) async fn standing(&self, effect: &Effect, since: Timestamp) -> Standing {
        let at = Place { installation: effect.installation, repo: effect.subject.repo() };
        match &effect.work {
            Work::Publish(publish) => match (&publish.target, &publish.content) {
                (Target::CheckRun { name, head_sha }, _) => self.standing_check_run(at, publish, name, head_sha).await,
                (Target::LivingComment { number } | Target::Reply { number, .. }, _) => {
                    self.standing_comment(at, publish, *number, since).await
                }
                (Target::DeploymentStatus { deployment }, Content::Deployment(content)) => {
                    self.standing_status(at, *deployment, content).await
                }
                // Such a thing is refused before anything is sent.
                (Target::DeploymentStatus { .. }, Content::Check(_) | Content::Comment(_)) => Ok(None),
            },
            // To do these once more does no harm: GitHub keeps one reaction of a kind, and cancels a run once.
            Work::Act(Act::React { .. } | Act::CancelRun { .. }) => Ok(None),
            // A report may be made once more.
            Work::Act(Act::AnswerProtection { state: None, .. }) => Ok(None),
            Work::Act(Act::AnswerProtection { run, state: Some(_), .. }) => self.standing_answer(at, *run).await,
            Work::Act(Act::OpenIssue { .. }) => self.standing_issue(at, &effect.key, since).await,
            Work::Act(Act::RevertPull { .. }) => self.standing_revert(at, &effect.key).await,
            Work::Act(Act::CreateDeployment { sha, environment, .. }) => {
                self.standing_deployment(at, &effect.key, sha, environment).await
            }
            Work::Act(Act::DispatchWorkflow { workflow, .. }) => {
                let run = self.run_by_key(at, workflow, &effect.key, since).await?;
                let run = certain("look for the dispatched run", run)?.flatten();
                Ok(run.map(|run| Done { id: Some(run.id.0), url: Some(run.url) }))
            }
        }
    }

    async fn standing_check_run(&self, at: Place<'_>, publish: &Publish, name: &str, head_sha: &Sha) -> Standing {
        let Some(encoded) = part(name) else { return Ok(None) };
        let path = at.path(&format!("/commits/{head_sha}/check-runs?check_name={encoded}&filter=all"));
        let mark = mark(publish);
        let runs = self.list::<CheckRuns>(at.by(), &path, PAGES_MAX, |_| false).await?;
        let runs = certain("look for the check run", runs)?.map(|listed| listed.items).unwrap_or_default();
        let ours = runs.into_iter().find(|run| {
            run.external_id.as_deref() == Some(&mark)
                && run.name.as_deref().is_none_or(|found| found == name)
                && run.app.as_ref().is_none_or(|app| app.is(self.issuer()))
        });
        Ok(ours.map(|run| Done { id: Some(run.id), url: run.html_url }))
    }

    async fn standing_comment(
        &self,
        at: Place<'_>,
        publish: &Publish,
        number: PullNumber,
        since: Timestamp,
    ) -> Standing {
        let (target, generation) = markers(publish);
        let comments = self.comments(at, number, since.minus(CLOCKS_DIFFER)).await?;
        let comments = certain("look for the comment", comments)?.unwrap_or_default();
        let ours = comments.into_iter().find(|comment| {
            let body = comment.body.as_deref().unwrap_or_default();
            // Anybody can copy a marker into a comment; only Apps are bots.
            comment.is_by_bot() && body.contains(&target) && body.contains(&generation)
        });
        Ok(ours.map(|comment| Done { id: Some(comment.id), url: comment.html_url }))
    }

    async fn standing_status(&self, at: Place<'_>, deployment: DeploymentId, content: &DeploymentContent) -> Standing {
        let path = at.path(&format!("/deployments/{deployment}/statuses"));
        let statuses = self.list::<Vec<DeploymentStatus>>(at.by(), &path, PAGES_MAX, |_| false).await?;
        let statuses = certain("look for the deployment status", statuses)?.map(|listed| listed.items);
        let description = deployment_description(content);
        // Newest first. Only the newest counts: an older one of the same words was replaced since.
        let newest = statuses.unwrap_or_default().into_iter().max_by_key(|status| status.id).filter(|status| {
            status.state.as_deref() == Some(state_word(content.state))
                && status.description.as_deref().unwrap_or_default() == description
        });
        Ok(newest.map(|status| Done { id: Some(status.id), url: None }))
    }

    /// Whether a run that waited does not wait any more: then it was answered, or there is nothing left to answer.
    async fn standing_answer(&self, at: Place<'_>, run: RunId) -> Standing {
        let found = self.get::<Run>(at.by(), at.path(&format!("/actions/runs/{run}"))).await?;
        let went_on = certain("look whether the run waits", found)?.is_some_and(|run| !run.waits());
        Ok(went_on.then_some(Done { id: Some(run.0), url: None }))
    }

    async fn standing_issue(&self, at: Place<'_>, key: &EffectKey, since: Timestamp) -> Standing {
        let since = iso(since.minus(CLOCKS_DIFFER)).replace(':', "%3A");
        let path = at.path(&format!("/issues?state=all&sort=created&direction=desc&since={since}"));
        let found = |issues: &[Numbered]| issues.iter().any(|issue| issue.carries(key.as_str(), self.issuer()));
        let issues = self.list::<Vec<Numbered>>(at.by(), &path, PAGES_MAX, found).await?;
        let issues = certain("look for the issue", issues)?.map(|listed| listed.items);
        Ok(self.numbered(issues, key))
    }

    async fn standing_revert(&self, at: Place<'_>, key: &EffectKey) -> Standing {
        // Newest first, and it would be among the newest: whoever asks has just tried to open it.
        let path = at.path("/pulls?state=all&sort=created&direction=desc");
        let pulls = self.list::<Vec<Numbered>>(at.by(), &path, 1, |_| false).await?;
        let pulls = certain("look for the revert", pulls)?.map(|listed| listed.items);
        Ok(self.numbered(pulls, key))
    }

    /// The one that carries the key.
    fn numbered(&self, listed: Option<Vec<Numbered>>, key: &EffectKey) -> Option<Done> {
        let ours = listed.unwrap_or_default().into_iter().find(|one| one.carries(key.as_str(), self.issuer()))?;
        Some(Done { id: Some(ours.number), url: ours.html_url })
    }

    async fn standing_deployment(
        &self,
        at: Place<'_>,
        key: &EffectKey,
        sha: &Sha,
        environment: &EnvironmentName,
    ) -> Standing {
        let Some(environment) = part(environment.as_str()) else { return Ok(None) };
        let path = at.path(&format!("/deployments?sha={sha}&environment={environment}"));
        let carries = |deployment: &Deployment| deployment.key().as_deref() == Some(key.as_str());
        let found = |deployments: &[Deployment]| deployments.iter().any(carries);
        let deployments = self.list::<Vec<Deployment>>(at.by(), &path, PAGES_MAX, found).await?;
        let deployments = certain("look for the deployment", deployments)?.map(|listed| listed.items);
        let ours = deployments.unwrap_or_default().into_iter().find(carries);
        Ok(ours.map(|deployment| Done { id: Some(deployment.id), url: None }))
    }
}

/// What is surely not there is `None`; what we may not see or cannot read is no proof of anything.
fn certain<T>(what: &str, found: Found<T>) -> Result<Option<T>, GitHubError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Absence::NotFound) => Ok(None),
        Err(Absence::Refused { message }) => Err(GitHubError::Refused { what: what.to_owned(), status: 403, message }),
        Err(Absence::Unusable { message }) => Err(GitHubError::Unavailable { what: what.to_owned(), message }),
    }
}
