//! What going back leaves as it is, for the person who goes back all the same.
//!
//! Knows what a rollback takes away and what it goes back to. Must never keep anybody from going back.

use super::*;
use crate::domain::markdown::text;
use crate::domain::release::rollback::{left_behind, safety};

/// What going back to the target does not take back of the release that runs; empty: nothing is known of.
pub(super) fn harm(state: &PipelineState, environment: &EnvironmentName, target: &Live, now: Timestamp) -> String {
    let rolling = state.rolling(environment).map(|(release, _)| release);
    let live = || state.live(environment).and_then(|live| state.releases.get(&live.release));
    let runs = rolling.or_else(|| left_behind(state, environment)).or_else(live);
    let Some((release, stage)) = runs.and_then(|release| Some((release, release.stage(environment)?))) else {
        return String::new();
    };
    let irreversible: Vec<String> = content::gone_by(state, release, target)
        .into_iter()
        .filter(|change| !change.irreversible.is_empty())
        .map(|change| {
            let paths: Vec<String> = change.irreversible.iter().map(|path| code(path)).collect();
            format!("#{} changed {}", change.pull, paths.join(", "))
        })
        .collect();
    // A target of no merge may be any commit: it may hold what is thought to go, and that does not hide the rest.
    let sure = state.releases.get(&target.release).is_none_or(|known| content::delivery_of(state, known).is_some());
    let mut found = Vec::new();
    if !irreversible.is_empty() {
        let word = if sure { "does" } else { "may" };
        found.push(format!("This {word} not take everything back: {}.", irreversible.join("; ")));
    }
    if sure && !found.is_empty() {
        return format!(" ⚠️ {}", found.join(" "));
    }
    let judged = safety(state, release, stage, now);
    // It was judged for what is live; an earlier target has an age of its own.
    let against = match judged.target {
        Some(live) if live.release == target.release => judged.against,
        Some(_) | None => too_long_ago(release, target, now).into_iter().collect(),
    };
    if !against.is_empty() {
        found.push(text(&against.join(" ")));
    }
    if found.is_empty() { String::new() } else { format!(" ⚠️ {}", found.join(" ")) }
}

fn too_long_ago(release: &Release, target: &Live, now: Timestamp) -> Option<String> {
    let within = release.plan.pipeline.rollback.within?;
    (target.at.plus(within) <= now).then(|| format!("Release {} went live more than {within} ago.", target.release))
}
