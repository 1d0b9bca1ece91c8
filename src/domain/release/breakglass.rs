//! Break-glass: a gate passed by with a reason, and the second person who looks at it afterwards.
//!
//! Knows who broke what and who reviewed it. Must never pass by a gate for longer than one release.

use super::command::{Outcome, written_before};
use super::gate::{block_in_words, concerns, conditions, kind_of};
use super::*;
use crate::domain::effect::{Act, Ending};
use crate::domain::event::PipelineCommand;
use crate::domain::facts::Permission;
use crate::domain::markdown::{code, mention, text};

/// How many reviewed overrides are remembered.
const REVIEWED_KEPT: usize = 20;

/// Passes by one gate for what waits at it.
pub fn break_gate(
    state: &mut PipelineState,
    command: &PipelineCommand,
    (gate, environment, reason): (GateName, Option<&EnvironmentName>, &str),
    now: Timestamp,
    said: &mut Said,
) -> Outcome {
    if command.permission < Permission::Maintain {
        return Err(format!("{}, only people with maintain permission may override a gate.", mention(&command.by)));
    }
    if !GateName::OVERRIDABLE.contains(&gate) {
        return Err(format!("The gate {} cannot be overridden.", code(gate.word())));
    }
    let waiting: Vec<(ReleaseNumber, EnvironmentName, Sha, Timestamp)> = state
        .environments
        .iter()
        .filter(|known| environment.is_none_or(|named| *named == known.name))
        .filter_map(|known| {
            let is_closed = |(release, stage): &(&Release, &Stage)| {
                conditions(state, release, stage, now).iter().any(|c| c.gate == gate && !c.met)
            };
            let overtaking = state.overtaking(&known.name).filter(|(mends, _)| is_closed(mends));
            // Before the pause what somebody asked for was meant.
            let (overtaking, pause) = overtaking.map_or((None, Timestamp(0)), |(mends, since)| (Some(mends), since));
            let found = overtaking.or_else(|| state.paused(&known.name)).or_else(|| state.candidate(&known.name));
            let (release, stage) = found.filter(is_closed)?;
            let since = if let StagePhase::Waiting { since } = &stage.phase { *since } else { release.created_at };
            Some((release.number, known.name.clone(), release.sha.clone(), since.max(pause)))
        })
        .collect();
    let (number, environment, sha) = match waiting.as_slice() {
        [] => return Err(format!("Nothing waits at the gate {}.", code(gate.word()))),
        [(number, _, _, since)] if written_before(command, *since) => {
            return Err(format!("Release {number} came after this was written. Look at it and override again."));
        }
        [(number, environment, sha, _)] => (*number, environment.clone(), sha.clone()),
        many => {
            let names: Vec<String> = many.iter().map(|(_, name, _, _)| code(name.as_str())).collect();
            return Err(format!("More than one environment can be meant: {}. Name it.", names.join(", ")));
        }
    };
    let closes = |block: &&Block| Some(block.kind) == kind_of(gate) && concerns(block, &environment);
    if let Some(block) = state.blocks.iter().filter(closes).find(|block| written_before(command, block.since)) {
        let says = block_in_words(block);
        return Err(format!(
            "A {} is newer than this: {says}. Look at it and override again.",
            block::noun(block.kind)
        ));
    }
    if let Some(stage) = state.stage_mut(number, &environment) {
        stage.overrides.push(gate);
    }
    let next = state.overrides.last().map_or(1, |newest| newest.number + 1);
    let by = command.by.clone();
    let (shown, short) = (code(environment.as_str()), code(sha.short()));
    let title = format!("Review: {by} overrode the {} gate of {environment}", gate.word());
    let body = format!(
        "{} overrode the gate {} of {shown} for release {number} ({short}) of {}.\n\nReason: {}\n\nSomebody else looks \
         at it now: close this issue, or press *Reviewed* on the check run `plimsoll/override ({})`. Until then that \
         check is red. Whoever overrode the gate cannot review it.",
        mention(&by),
        code(gate.word()),
        code(state.service.as_str()),
        text(reason),
        state.service,
    );
    said.acts.push((issue_key(&state.repo, &state.service, next), Act::OpenIssue { title, body }));
    said.notes.push(format!("{by} overrode {} in {environment} for release {number}: {reason}", gate.word()));
    state.overrides.push(Override {
        number: next,
        gate,
        environment,
        release: number,
        sha,
        by,
        reason: reason.to_owned(),
        at: now,
        issue: None,
        reviewed: None,
    });
    forget(state);
    Ok(Answer::Final(format!(
        "🚨 The gate {} of {shown} is overridden for release {number} ({short}). An issue asks somebody else to review it; \
         until then a check on that commit is red.",
        code(gate.word())
    )))
}

/// The oldest reviewed ones go; what nobody has reviewed stays.
fn forget(state: &mut PipelineState) {
    let mut over = state.overrides.iter().filter(|o| o.reviewed.is_some()).count().saturating_sub(REVIEWED_KEPT);
    state.overrides.retain(|known| {
        let goes = over > 0 && known.reviewed.is_some();
        over -= usize::from(goes);
        !goes
    });
}

/// Key of the issue that asks for a review.
pub fn issue_key(repo: &RepoName, service: &ServiceName, number: u64) -> EffectKey {
    EffectKey::new(format!("{repo}/{service}/override-{number}/issue"))
}

/// Goes on after the issue was opened or refused.
pub fn issue_ended(state: &mut PipelineState, key: &EffectKey, ending: &Ending) {
    let (repo, service) = (state.repo.clone(), state.service.clone());
    let known = state.overrides.iter_mut().find(|o| *key == issue_key(&repo, &service, o.number));
    if let (Some(known), Ending::Done { url, .. }) = (known, ending) {
        known.issue = url.clone();
    }
}

/// The override that a closed issue is about.
pub fn of_issue<'a>(state: &'a PipelineState, key: &EffectKey) -> Option<&'a Override> {
    state.overrides.iter().find(|o| *key == issue_key(&state.repo, &state.service, o.number))
}

/// Takes somebody's word that they looked at an override. Their own does not count, nor does that of somebody who may
/// not push.
pub fn review(
    state: &mut PipelineState,
    number: u64,
    by: &Login,
    permission: Permission,
    now: Timestamp,
    said: &mut Said,
) {
    let Some(known) = state.overrides.iter_mut().find(|o| o.number == number && o.reviewed.is_none()) else { return };
    if known.by == *by || permission < Permission::Write {
        said.notes.push(format!("override {number} is not reviewed: {by} may not"));
        return;
    }
    known.reviewed = Some((by.clone(), now));
    said.notes.push(format!("override {number} was reviewed by {by}"));
    forget(state);
}
