//! The answer to `/plimsoll status`: what each environment of a service runs and what waits.

use super::release::{brief, sign};
use crate::domain::markdown::code;
use crate::domain::release::gate::block_in_words;
use crate::domain::release::{Block, BlockKind, PipelineState};

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
        if let Some(runs) = environment.drift.as_ref().and_then(|drift| drift.runs.as_ref()) {
            lines.push(format!("  - ⚠️ it says that it runs {}", code(runs)));
        }
        for (release, stage) in state.rolling(&environment.name).into_iter().chain(state.waiting(&environment.name)) {
            let all = brief(state, release);
            if let Some(shown) = all.stages.iter().find(|s| s.environment == stage.policy.name) {
                let sha = code(release.sha.short());
                lines.push(format!("  - {} release {} ({sha}): {}", sign(shown.standing), release.number, shown.text));
            }
        }
    }
    lines.extend(state.unplaced.iter().map(|unplaced| {
        let (pull, sha) = (unplaced.change.pull, code(unplaced.sha.short()));
        format!("- ⏳ #{pull} ({sha}) is not released yet: GitHub does not say what it contains. It is asked again by itself.")
    }));
    lines.extend(state.blocks.iter().map(|one| format!("- {}", block(one))));
    for known in state.overrides.iter().filter(|known| known.reviewed.is_none()) {
        lines.push(format!(
            "- 🚨 {} overrode {} of {} for release {}; nobody has reviewed it",
            code(known.by.as_str()),
            code(known.gate.word()),
            code(known.environment.as_str()),
            known.release
        ));
    }
    if lines.is_empty() {
        return "Nothing was released yet.".to_owned();
    }
    lines.join("\n")
}

/// A lock, hold or freeze as a line.
pub fn block(block: &Block) -> String {
    let place = block.environment.as_ref().map_or_else(|| "every environment".to_owned(), |name| code(name.as_str()));
    let (sign, word) = match block.kind {
        BlockKind::Lock => ("🔒", "locked"),
        BlockKind::Hold => ("⏸️", "held"),
        BlockKind::Freeze => ("❄️", "frozen"),
    };
    format!("{sign} {place} is {word}: {}", block_in_words(block))
}
