//! The answer to `/plimsoll status`: what each environment of a service runs and what waits.

use super::release::{brief, sign};
use crate::domain::markdown::code;
use crate::domain::release::{HoldOwner, PipelineState};

/// A pipeline's environments, one line each.
pub fn pipeline(state: &PipelineState) -> String {
    let mut lines = Vec::new();
    for environment in &state.environments {
        let name = code(environment.name.as_str());
        let live = match &environment.live {
            Some(live) => format!("release {} ({}) is live", live.release, code(live.sha.short())),
            None => "nothing is live yet".to_owned(),
        };
        lines.push(format!("- {name}: {live}"));
        for (release, stage) in state.rolling(&environment.name).into_iter().chain(state.candidate(&environment.name)) {
            let all = brief(state, release);
            if let Some(shown) = all.stages.iter().find(|s| s.environment == stage.policy.name) {
                let sha = code(release.sha.short());
                lines.push(format!("  - {} release {} ({sha}): {}", sign(shown.standing), release.number, shown.text));
            }
        }
        if let Some(hold) = &environment.hold {
            let owner = match &hold.owner {
                HoldOwner::Automation => "Plimsoll".to_owned(),
                HoldOwner::Person(login) => code(login.as_str()),
            };
            lines.push(format!("  - ⏸️ held by {owner}: {}", crate::domain::markdown::text(&hold.reason)));
        }
    }
    if lines.is_empty() {
        return "Nothing was released yet.".to_owned();
    }
    lines.join("\n")
}
