//! GitHub Deployments of a pipeline as GitHub shows them.

use crate::domain::effect::{Content, DeploymentContent, DeploymentState, Target};
use crate::domain::policy::Portion;
use crate::domain::release::{PipelineState, Stage, StagePhase, StepPhase};

/// GitHub's limit for the description of a deployment status, in characters.
const DESCRIPTION_MAX: usize = 140;

/// The status of every deployment that the pipeline remembers.
pub fn views(state: &PipelineState) -> Vec<(Target, Content)> {
    let mut views = Vec::new();
    for release in state.releases.values() {
        for stage in &release.stages {
            let (Some(deployment), Some((status, words))) = (stage.deployment, status(stage)) else { continue };
            let description = format!("Release {} {words}", release.number);
            let content = DeploymentContent {
                state: status,
                description: description.chars().take(DESCRIPTION_MAX).collect(),
                log_url: stage.url.clone().filter(|url| super::link(url).is_some()),
            };
            views.push((Target::DeploymentStatus { deployment }, Content::Deployment(content)));
        }
    }
    views
}

fn status(stage: &Stage) -> Option<(DeploymentState, String)> {
    match &stage.phase {
        StagePhase::Rolling(rollout) => {
            let seen = match rollout.phase {
                StepPhase::Running { seen_at, .. } => seen_at.is_some(),
                StepPhase::Baking { .. } | StepPhase::Between { .. } | StepPhase::Undecided { .. } => true,
                // A later step: the deployment was seen running in the one before.
                StepPhase::Creating | StepPhase::Dispatching { .. } | StepPhase::Finding { .. } => false,
            };
            // One status a step, whatever the step is doing: each costs a write.
            let steps = stage.policy.rollout.len();
            let portion = stage.policy.rollout.get(rollout.step).unwrap_or(&Portion::ALL);
            let step =
                if steps > 1 { format!(": step {} of {steps} ({portion})", rollout.step + 1) } else { String::new() };
            (seen || rollout.step > 0).then(|| (DeploymentState::InProgress, format!("is being rolled out{step}")))
        }
        StagePhase::Succeeded { .. } => Some((DeploymentState::Success, "is live".to_owned())),
        StagePhase::Failed { why, .. } => Some((DeploymentState::Failure, format!("failed: {why}"))),
        StagePhase::Cancelled { by, .. } => Some((DeploymentState::Failure, format!("was cancelled by {by}"))),
        // Only one that had begun has a deployment.
        StagePhase::Superseded { by } => Some((DeploymentState::Inactive, format!("gave way to release {by}"))),
        // A deployment that was made belongs to a rollout that started; these never did.
        StagePhase::Ahead | StagePhase::Waiting { .. } | StagePhase::NotReached => None,
    }
}
