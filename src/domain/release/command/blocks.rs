//! Commands that lock, hold and freeze, and those that end it.
//!
//! Knows whose a block is. Must never start anything: what waited goes on by itself.

use super::*;
use crate::domain::markdown::text;
use crate::domain::release::block::{self, Wanted, noun};
use crate::domain::release::gate::block_in_words;
use crate::domain::release::rollout::{At, step_done, under_way};

/// What somebody wants to keep still: kind, where (`None`: everywhere), how long (`None`: until it is ended), why.
type Wish<'a> = (BlockKind, Option<&'a EnvironmentName>, Option<Span>, Option<&'a str>);

/// Puts a lock, hold or freeze.
pub(super) fn put(
    state: &mut PipelineState,
    command: &PipelineCommand,
    plan: &Plan,
    (kind, environment, lasts, reason): Wish<'_>,
    now: Timestamp,
    said: &mut Said,
) -> Outcome {
    may_write(command, noun(kind))?;
    let environment = match environment {
        Some(named) => match plan.pipeline.environment(named) {
            Some((_, policy)) => Some(policy.name.clone()),
            None => return Err(unknown_environment(plan, named)),
        },
        None => None,
    };
    let by = command.by.clone();
    let theirs = |block: &Block| match (&block.owner, kind) {
        (Owner::Person(owner), BlockKind::Lock) => *owner != by,
        (Owner::Person(_) | Owner::Automation | Owner::Pull { .. }, _) => false,
    };
    let locked = state.blocks.iter().find(|b| b.kind == BlockKind::Lock && b.environment == environment && theirs(b));
    if let Some(block) = locked {
        return Err(format!("It is locked already: {}.", block_in_words(block)));
    }
    let owner = match (kind, &command.origin) {
        (BlockKind::Hold, Origin::Comment { pull, .. }) if command.pull_open => {
            Owner::Pull { pull: *pull, by: by.clone() }
        }
        (BlockKind::Hold | BlockKind::Lock | BlockKind::Freeze, _) => Owner::Person(by.clone()),
    };
    let reason = reason.map_or_else(|| format!("{by} gave no reason."), |reason| reason.to_owned());
    let wanted = Wanted { kind, environment: environment.clone(), owner, reason, lasts, culprit: None };
    let service = code(state.service.as_str());
    let block = block::put(state, wanted, now)?;
    let (sign, verb) = match kind {
        BlockKind::Lock => ("🔒", "locked"),
        BlockKind::Hold => ("⏸️", "held"),
        BlockKind::Freeze => ("❄️", "frozen"),
    };
    let what = environment.map_or_else(|| format!("Every environment of {service}"), |name| code(name.as_str()));
    let says = block_in_words(block);
    said.notes.push(format!("{by} put a {}: {}", noun(kind), block.reason));
    Ok(Answer::Final(format!("{sign} {what} is {verb}: {says}. A rollback may still start.")))
}

/// Ends somebody's lock or freeze: their own, or anybody's for a maintainer.
pub(super) fn take(
    state: &mut PipelineState,
    command: &PipelineCommand,
    (kind, environment): (BlockKind, Option<&EnvironmentName>),
    said: &mut Said,
) -> Outcome {
    may_write(command, &format!("end a {}", noun(kind)))?;
    let place = environment.map_or_else(|| "Every environment".to_owned(), |name| code(name.as_str()));
    let meant = |b: &Block| b.kind == kind && b.environment.as_ref() == environment;
    let found: Vec<&Block> = state.blocks.iter().filter(|block| meant(block)).collect();
    if found.is_empty() {
        let all: Vec<String> = state.blocks.iter().filter(|b| b.kind == kind).map(place_of).collect();
        let there = if all.is_empty() { String::new() } else { format!(" There is one of {}.", all.join(", ")) };
        return Err(format!("There is no {} of {}.{there}", noun(kind), lower(&place)));
    }
    let newer = found.iter().find(|block| written_before(command, block.since));
    if let Some(block) = newer {
        return Err(format!("The {} is newer than this: {}. Look at it first.", noun(kind), block_in_words(block)));
    }
    let mine = |block: &Block| match &block.owner {
        Owner::Person(owner) | Owner::Pull { by: owner, .. } => {
            *owner == command.by || command.permission >= Permission::Maintain
        }
        Owner::Automation => true,
    };
    if let Some(theirs) = found.iter().find(|block| !mine(block)) {
        return Err(format!(
            "{}, only whoever put it or somebody with maintain permission may end it: {}.",
            mention(&command.by),
            block_in_words(theirs)
        ));
    }
    let says: Vec<String> = found.iter().map(|block| block_in_words(block)).collect();
    state.blocks.retain(|block| !(block.kind == kind && block.environment.as_ref() == environment));
    said.notes.push(format!("{} ended a {}", command.by, noun(kind)));
    Ok(Answer::Final(format!("▶️ The {} of {} is ended. It was: {}", noun(kind), lower(&place), says.join(" "))))
}

fn lower(place: &str) -> String {
    place.replace("Every environment", "every environment")
}

fn place_of(block: &Block) -> String {
    block.environment.as_ref().map_or_else(|| "every environment".to_owned(), |name| code(name.as_str()))
}

/// Ends holds, and takes an undecided step as good.
pub(super) fn resume(
    state: &mut PipelineState,
    command: &PipelineCommand,
    environment: Option<&EnvironmentName>,
    now: Timestamp,
    said: &mut Said,
) -> Outcome {
    may_write(command, "end a hold")?;
    let undecided: Vec<At> = under_way(state)
        .into_iter()
        .filter(|(at, rollout)| {
            let since = match rollout.phase {
                StepPhase::Undecided { since, .. } => since,
                StepPhase::Creating
                | StepPhase::Dispatching { .. }
                | StepPhase::Finding { .. }
                | StepPhase::Running { .. }
                | StepPhase::Baking { .. }
                | StepPhase::Between { .. } => return false,
            };
            environment.is_none_or(|name| *name == at.environment) && !written_before(command, since)
        })
        .map(|(at, _)| at)
        .collect();
    if !undecided.is_empty() {
        return Ok(take_as_good(state, command, &undecided, now, said));
    }
    // A hold of everything is ended by a word that means everything.
    let meant = |block: &Block| {
        block.kind == BlockKind::Hold && environment.is_none_or(|name| block.environment.as_ref() == Some(name))
    };
    let newer = state.blocks.iter().find(|block| meant(block) && written_before(command, block.since));
    if let Some(block) = newer {
        return Err(format!("A hold is newer than this: {}. Look at it and resume again.", block_in_words(block)));
    }
    let (ended, kept): (Vec<Block>, Vec<Block>) = state.blocks.drain(..).partition(meant);
    state.blocks = kept;
    let mut told = Vec::new();
    for block in &ended {
        told.push(format!("▶️ The hold of {} is ended. It was: {}", place_of(block), block_in_words(block)));
        said.notes.push(format!("{} ended the hold: {}", command.by, block.reason));
    }
    let wider = state.blocks.iter().find(|block| block.kind == BlockKind::Hold && block.environment.is_none());
    let wider = wider.map(|block| {
        format!("Every environment is held: {}. {} ends that.", block_in_words(block), code("/plimsoll resume"))
    });
    if told.is_empty() {
        let place = environment.map_or_else(|| code(state.service.as_str()), |name| code(name.as_str()));
        return Err(wider.unwrap_or_else(|| format!("{place} is not held.")));
    }
    told.extend(wider);
    Ok(Answer::Final(told.join("\n")))
}

/// Takes undecided steps as good. Holds stay: whoever wants more to begin says it once more.
fn take_as_good(
    state: &mut PipelineState,
    command: &PipelineCommand,
    undecided: &[At],
    now: Timestamp,
    said: &mut Said,
) -> Answer {
    let mut told = Vec::new();
    for at in undecided {
        told.push(format!(
            "▶️ Release {} goes on in {}: {} takes the step as good.",
            at.release,
            code(at.environment.as_str()),
            text(command.by.as_str())
        ));
        said.notes.push(format!("{} takes release {} in {} as good", command.by, at.release, at.environment));
        step_done(state, at, now, said);
    }
    Answer::Final(told.join("\n"))
}
