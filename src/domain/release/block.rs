//! Locks, holds and freezes: put, ended, run out.
//!
//! Knows who put one and for how long. Must never say whether a release may start: the gate reads them.

use super::gate::concerns;
use super::*;

/// How many blocks of people one pipeline keeps.
const BLOCKS_MAX: usize = 50;

/// What somebody wants to keep still.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub kind: BlockKind,
    pub environment: Option<EnvironmentName>,
    pub owner: Owner,
    pub reason: String,
    pub lasts: Option<Span>,
    pub culprit: Option<PullNumber>,
}

/// Puts a block; one of the same kind, place and owner is replaced.
///
/// # Errors
/// A sentence, when there are too many.
pub fn put(state: &mut PipelineState, wanted: Wanted, now: Timestamp) -> Result<&Block, String> {
    let Wanted { kind, environment, owner, reason, lasts, culprit } = wanted;
    state.blocks.retain(|b| !(b.kind == kind && b.environment == environment && b.owner == owner));
    let people = state.blocks.iter().filter(|block| block.owner != Owner::Automation).count();
    if owner != Owner::Automation && people >= BLOCKS_MAX {
        return Err(format!("There are {BLOCKS_MAX} locks, holds and freezes already; end some first."));
    }
    state.last_block += 1;
    let until = lasts.map(|lasts| now.plus(lasts));
    state.blocks.push(Block { number: state.last_block, kind, environment, owner, reason, since: now, until, culprit });
    state.blocks.last().ok_or_else(|| "The block was not kept.".to_owned())
}

/// Holds an environment in the name of automation, after a failure or a rollback.
pub fn hold(
    state: &mut PipelineState,
    environment: &EnvironmentName,
    reason: String,
    culprit: Option<PullNumber>,
    now: Timestamp,
) {
    let known = of_automation(state, environment);
    // The culprit of the failure stays the culprit when somebody then rolls back by hand.
    let culprit = culprit.or(known.and_then(|block| block.culprit));
    let environment = Some(environment.clone());
    let wanted = Wanted { kind: BlockKind::Hold, environment, owner: Owner::Automation, reason, lasts: None, culprit };
    // Automation has one hold an environment, and always room for it.
    let _ = put(state, wanted, now);
}

/// The holds and locks of automation and people that are about an environment.
pub fn of<'a>(state: &'a PipelineState, environment: &EnvironmentName) -> Vec<&'a Block> {
    state.blocks.iter().filter(|block| concerns(block, environment)).collect()
}

/// The automation's hold of an environment.
pub fn of_automation<'a>(state: &'a PipelineState, environment: &EnvironmentName) -> Option<&'a Block> {
    state.blocks.iter().find(|b| {
        b.kind == BlockKind::Hold && b.owner == Owner::Automation && b.environment.as_ref() == Some(environment)
    })
}

/// Whether a release takes back the culprit for whom automation holds an environment, or may: of a commit of no merge
/// nobody knows.
pub fn may_be_mended_by(state: &PipelineState, release: &Release, environment: &EnvironmentName) -> bool {
    let culprit = of_automation(state, environment).and_then(|block| block.culprit);
    let takes_back = |culprit| {
        content::delivery_of(state, release).is_none()
            || content::brings_revert_of(state, release, environment, culprit)
    };
    !release.is_rollback() && culprit.is_some_and(takes_back)
}

/// Takes the culprit of the automation's hold away where a pull request takes it back: nobody passes by that any more.
pub fn clear_culprit(state: &mut PipelineState, environment: &EnvironmentName, by: PullNumber) {
    let PipelineState { blocks, reverted, .. } = state;
    let held = |b: &&mut Block| b.owner == Owner::Automation && b.environment.as_ref() == Some(environment);
    for block in blocks.iter_mut().filter(held) {
        let undone = |pull: &PullNumber| reverted.get(pull).is_some_and(|takers| takers.contains(&by));
        block.culprit = block.culprit.filter(|culprit| !undone(culprit));
    }
}

/// Ends the automation's hold of an environment, if there is one.
pub fn release_automation(state: &mut PipelineState, environment: &EnvironmentName) {
    state.blocks.retain(|b| {
        !(b.kind == BlockKind::Hold && b.owner == Owner::Automation && b.environment.as_ref() == Some(environment))
    });
}

/// Ends what has run out.
pub fn expire(state: &mut PipelineState, now: Timestamp, said: &mut Said) {
    let (over, kept): (Vec<Block>, Vec<Block>) =
        state.blocks.drain(..).partition(|block| block.until.is_some_and(|until| until <= now));
    state.blocks = kept;
    said.notes.extend(over.iter().map(|block| format!("{} ran out: {}", noun(block.kind), block.reason)));
}

/// Ends what a pull request held, now that it is merged or closed.
pub fn pull_ended(state: &mut PipelineState, pull: PullNumber, said: &mut Said) {
    let before = state.blocks.len();
    state.blocks.retain(|block| !matches!(block.owner, Owner::Pull { pull: owner, .. } if owner == pull));
    if state.blocks.len() < before {
        said.notes.push(format!("#{pull} ended, and with it its hold"));
    }
}

/// What people call it.
pub fn noun(kind: BlockKind) -> &'static str {
    match kind {
        BlockKind::Lock => "lock",
        BlockKind::Hold => "hold",
        BlockKind::Freeze => "freeze",
    }
}

/// When the next block ends by itself.
pub fn next_expiry(state: &PipelineState) -> Option<Timestamp> {
    state.blocks.iter().filter_map(|block| block.until).min()
}
