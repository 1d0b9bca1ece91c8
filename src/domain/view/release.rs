//! A release in words.
//!
//! Knows states and Markdown. Must never decide anything: it tells what was decided.

use crate::domain::event::{ReleaseBrief, StageBrief, StageStanding};
use crate::domain::ids::*;
use crate::domain::markdown::{code, in_table, text};
use crate::domain::policy::Portion;
use crate::domain::release::gate;
use crate::domain::release::*;

/// Where a release stands in each of its environments.
pub fn brief(state: &PipelineState, release: &Release) -> ReleaseBrief {
    let stages = release.stages.iter().map(|stage| stage_brief(state, release, stage)).collect();
    ReleaseBrief { number: release.number, sha: release.sha.clone(), stages }
}

fn stage_brief(state: &PipelineState, release: &Release, stage: &Stage) -> StageBrief {
    let name = &stage.policy.name;
    let (standing, text) = match &stage.phase {
        StagePhase::Ahead => (StageStanding::Ahead, "comes after the environment before it".to_owned()),
        StagePhase::Waiting { .. } => waiting(stage),
        StagePhase::Rolling(rollout) => rolling_stage(state, release, stage, rollout),
        StagePhase::Succeeded { at } => succeeded(state, release, name, *at),
        StagePhase::Failed { why, .. } => {
            (StageStanding::Failed, format!("failed: {}{}", text(why), way_back(state, release, name)))
        }
        StagePhase::Superseded { by } => (StageStanding::Superseded, format!("superseded by release {by}")),
        StagePhase::Cancelled { by, .. } => (StageStanding::Cancelled, format!("cancelled by {}", code(by.as_str()))),
        StagePhase::NotReached => (StageStanding::NotReached, "not reached".to_owned()),
    };
    StageBrief { environment: name.clone(), standing, text, url: stage.url.clone() }
}

/// What was done about a failure.
fn way_back(state: &PipelineState, failed: &Release, name: &EnvironmentName) -> String {
    let back = state.releases.values().rev().find_map(|r| match &r.purpose {
        Purpose::Rollback { from: Some(from), to, .. } if *from == failed.number => Some((r, *to, r.stage(name)?)),
        Purpose::Rollback { .. } | Purpose::Delivery | Purpose::Requested { .. } => None,
    });
    let Some((release, to, stage)) = back else { return String::new() };
    let sha = code(release.sha.short());
    match &stage.phase {
        StagePhase::Succeeded { .. } => format!("; rolled back to release {to} ({sha})"),
        StagePhase::Failed { why, .. } => {
            format!("; **the rollback to release {to} ({sha}) failed too**: {}", text(why))
        }
        StagePhase::Ahead
        | StagePhase::Waiting { .. }
        | StagePhase::Rolling(_)
        | StagePhase::Cancelled { .. }
        | StagePhase::Superseded { .. }
        | StagePhase::NotReached => format!("; it is being rolled back to release {to} ({sha})"),
    }
}

/// What is in the way of a candidate, by its conditions as they were last judged.
fn waiting(stage: &Stage) -> (StageStanding, String) {
    let standing = gate::standing(&stage.conditions);
    let unmet: Vec<&str> = stage.conditions.iter().filter(|c| !c.met).map(|c| c.says.as_str()).collect();
    match unmet.first() {
        None => (standing, "starts now".to_owned()),
        Some(_) => (standing, unmet.join(" ")),
    }
}

fn rolling_stage(
    state: &PipelineState,
    release: &Release,
    stage: &Stage,
    rollout: &Rollout,
) -> (StageStanding, String) {
    let text = rolling(state, release, stage, rollout);
    match &rollout.phase {
        StepPhase::Undecided { .. } => (StageStanding::Undecided, text),
        StepPhase::Between { .. } if !stage.conditions.is_empty() => (gate::standing(&stage.conditions), text),
        StepPhase::Creating
        | StepPhase::Dispatching { .. }
        | StepPhase::Finding { .. }
        | StepPhase::Running { .. }
        | StepPhase::Baking { .. }
        | StepPhase::Between { .. } => (StageStanding::Running, text),
    }
}

/// A rollout under way, for instance `step 2 of 3 (25 %) is running`.
pub fn rolling(state: &PipelineState, release: &Release, stage: &Stage, rollout: &Rollout) -> String {
    let steps = stage.policy.rollout.len();
    let portion = stage.policy.rollout.get(rollout.step).unwrap_or(&Portion::ALL);
    let step = if steps > 1 { format!("step {} of {steps} ({portion}) ", rollout.step + 1) } else { String::new() };
    if rollout.stopping.is_some() {
        return "is being stopped".to_owned();
    }
    match &rollout.phase {
        // One text from start to end of a run: each change of the text is a write on GitHub.
        StepPhase::Creating | StepPhase::Dispatching { .. } | StepPhase::Finding { .. } | StepPhase::Running { .. } => {
            format!("{step}is running")
        }
        StepPhase::Baking { .. } => {
            let bake = gate::bake(state, release, stage);
            match (bake.0 > 0, stage.policy.verify.is_empty()) {
                (true, true) => format!("{step}is baking for {bake}"),
                (true, false) => format!("{step}is baking for {bake} and is verified"),
                (false, _) => format!("{step}is verified"),
            }
        }
        StepPhase::Between { .. } => {
            let unmet: Vec<&str> = stage.conditions.iter().filter(|c| !c.met).map(|c| c.says.as_str()).collect();
            format!("{step}is done; the next step waits. {}", unmet.join(" ")).trim_end().to_owned()
        }
        StepPhase::Undecided { why, .. } => format!(
            "{step}is undecided, and somebody must say: {}. {} takes it as good, {} goes back.",
            text(why),
            gate::resume_command(&stage.policy.name),
            code(&format!("/plimsoll rollback {}", stage.policy.name)),
        ),
    }
}

fn succeeded(
    state: &PipelineState,
    release: &Release,
    name: &EnvironmentName,
    at: Timestamp,
) -> (StageStanding, String) {
    let Some(live) = state.live(name) else { return (StageStanding::Live, "is live".to_owned()) };
    let brought = match &release.purpose {
        Purpose::Rollback { to, .. } => *to,
        Purpose::Delivery | Purpose::Requested { .. } => release.number,
    };
    if live.release == brought {
        return (StageStanding::Live, "is live".to_owned());
    }
    // The numbers tell only of releases of merges which of two contains the other.
    let place = |number: ReleaseNumber| {
        state.releases.get(&number).map_or(Some(number), |known| content::delivery_of(state, known))
    };
    if let (Some(runs), Some(ours)) = (place(live.release), place(brought))
        && runs >= ours
    {
        return (StageStanding::Live, format!("is live as part of release {}", live.release));
    }
    // What was gone back from is no good place any more; what is too long ago is forgotten.
    let good = state.environment(name).map(|environment| environment.good.as_slice()).unwrap_or_default();
    let is_known = good.first().is_some_and(|oldest| oldest.at <= at);
    if is_known && !good.iter().any(|good| good.release == brought) {
        return (StageStanding::Failed, format!("was live, rolled back to release {}", live.release));
    }
    (StageStanding::Superseded, format!("was live, until release {}", live.release))
}

/// The sign of a standing.
pub fn sign(standing: StageStanding) -> &'static str {
    match standing {
        StageStanding::Ahead | StageStanding::NotReached => "⚪",
        StageStanding::Waiting => "🕓",
        StageStanding::AwaitingApproval => "🟡",
        StageStanding::Held => "⏸️",
        StageStanding::Running => "🔵",
        StageStanding::Live => "🟢",
        StageStanding::Failed => "🔴",
        StageStanding::Superseded => "⏭️",
        StageStanding::Undecided => "🟠",
        StageStanding::Cancelled => "⚫",
    }
}

/// One stage as a table row: environment, standing, link.
pub fn row(stage: &StageBrief) -> String {
    let link = stage
        .url
        .as_deref()
        .and_then(crate::domain::view::link)
        .map_or(String::new(), |url| format!(" ([run]({url}))"));
    let words = in_table(&stage.text);
    format!("| {} {} | {words}{link} |", sign(stage.standing), code(stage.environment.as_str()))
}
