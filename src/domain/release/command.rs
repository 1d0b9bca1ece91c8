//! Commands to a pipeline: who may, what is refused and why, and what they set in motion.
//!
//! Knows facts about people that were looked up. Must never look anybody up itself.

use super::*;
use crate::domain::chatops::Verb;
use crate::domain::event::PipelineCommand;
use crate::domain::facts::{Facts, Need, Permission};
use crate::domain::markdown::{code, mention};

mod approve;
mod blocks;
mod deploy;
mod harm;
mod plan;

/// How many commands are remembered as obeyed.
const COMMANDS_KEPT: usize = 200;

/// What a command came to: an answer, or a refusal in whole sentences.
pub type Outcome = Result<Answer, String>;

/// A commit named by a person: a full hash, or a beginning of at least seven digits.
pub fn names_sha(named: &str, sha: &Sha) -> bool {
    named.len() >= 7 && sha.as_str().starts_with(&named.to_ascii_lowercase())
}

/// Whether the command was obeyed or refused before. A button is pressed as often as it is.
pub fn is_known(state: &PipelineState, command: &PipelineCommand) -> bool {
    match command.origin {
        Origin::Comment { comment, index, .. } => state.commands.contains(&(comment, index)),
        Origin::Button { .. } => false,
    }
}

/// What must be known to obey a command, given what is known already.
pub fn needs(state: &PipelineState, command: &PipelineCommand, plan: &Plan, facts: &Facts) -> Vec<Need> {
    if is_known(state, command) {
        return Vec::new();
    }
    verb_needs(state, command, &command.verb, plan, facts)
}

fn verb_needs(state: &PipelineState, command: &PipelineCommand, verb: &Verb, plan: &Plan, facts: &Facts) -> Vec<Need> {
    match verb {
        Verb::Deploy { what, .. } => {
            let mut needs = vec![Need::Commit { name: what.clone() }];
            // What the default branch's own name stands for is reachable from it.
            if let (Some(Ok(commit)), false) = (facts.commit(what), what == plan.default_branch.as_str()) {
                needs.push(content::reachability(&commit.sha, plan));
            }
            needs
        }
        Verb::Approve { environment, sha, .. } => approve::needs(state, command, (environment, sha.as_deref()), facts),
        Verb::Plan(inner) => verb_needs(state, command, inner, plan, facts),
        Verb::Help
        | Verb::Status
        | Verb::Recheck
        | Verb::Rollback { .. }
        | Verb::Resume { .. }
        | Verb::Risk
        | Verb::Why { .. }
        | Verb::Promote { .. }
        | Verb::Retry { .. }
        | Verb::Cancel { .. }
        | Verb::Lock { .. }
        | Verb::Unlock { .. }
        | Verb::Hold { .. }
        | Verb::Freeze { .. }
        | Verb::Unfreeze { .. }
        | Verb::Override { .. } => Vec::new(),
    }
}

/// Obeys a command or refuses it; answers either way.
pub fn obey(
    state: &mut PipelineState,
    command: &PipelineCommand,
    plan: &Plan,
    facts: &Facts,
    now: Timestamp,
    said: &mut Said,
) {
    if is_known(state, command) {
        return;
    }
    if let Origin::Comment { comment, index, .. } = command.origin {
        state.commands.push((comment, index));
    }
    let over = state.commands.len().saturating_sub(COMMANDS_KEPT);
    state.commands.drain(..over);
    let answer = match outcome(state, command, &command.verb, plan, facts, now, said) {
        None => return,
        Some(Ok(answer)) => answer,
        Some(Err(refusal)) => {
            said.notes.push(format!("{} was refused: {refusal}", command.by));
            Answer::Final(format!("⛔ {refusal} Nothing was changed."))
        }
    };
    if let (Origin::Button { release }, Answer::ForNow(text) | Answer::Final(text)) = (&command.origin, &answer)
        && let Some(release) = state.releases.get_mut(release)
    {
        release.last_word = Some(text.clone());
    }
    said.answers.push((command.origin.clone(), answer));
}

/// What a verb comes to; `None`: it is not a pipeline's to answer.
fn outcome(
    state: &mut PipelineState,
    command: &PipelineCommand,
    verb: &Verb,
    plan: &Plan,
    facts: &Facts,
    now: Timestamp,
    said: &mut Said,
) -> Option<Outcome> {
    Some(match verb {
        Verb::Status => Ok(Answer::Status),
        Verb::Why { environment, sha, .. } => Ok(Answer::Why { environment: environment.clone(), sha: sha.clone() }),
        Verb::Plan(inner) => plan::foresee(state, command, inner, plan, facts, now)?,
        Verb::Deploy { what, environment, reason, .. } => {
            deploy::deploy(state, command, plan, facts, (what, environment, reason), now, said)
        }
        Verb::Promote { environment, reason, .. } => {
            deploy::promote(state, command, plan, (environment, reason), now, said)
        }
        Verb::Approve { environment, sha, .. } => {
            approve::approve(state, command, facts, environment, sha.as_deref(), now)
        }
        Verb::Rollback { environment, to, reason, .. } => {
            deploy::roll_back(state, command, plan, (environment, to.as_deref(), reason.as_deref()), now, said)
        }
        Verb::Retry { environment, .. } => deploy::retry(state, command, environment.as_ref(), now, said),
        Verb::Cancel { environment, .. } => deploy::cancel(state, command, environment.as_ref(), now, said),
        Verb::Resume { environment, .. } => blocks::resume(state, command, environment.as_ref(), now, said),
        Verb::Lock { environment, lasts, reason, .. } => {
            let wish = (BlockKind::Lock, Some(environment), *lasts, reason.as_deref());
            blocks::put(state, command, plan, wish, now, said)
        }
        Verb::Hold { environment, lasts, reason, .. } => {
            let wish = (BlockKind::Hold, environment.as_ref(), *lasts, reason.as_deref());
            blocks::put(state, command, plan, wish, now, said)
        }
        Verb::Freeze { environment, lasts, reason } => {
            let wish = (BlockKind::Freeze, environment.as_ref(), *lasts, reason.as_deref());
            blocks::put(state, command, plan, wish, now, said)
        }
        Verb::Unlock { environment, .. } => blocks::take(state, command, (BlockKind::Lock, Some(environment)), said),
        Verb::Unfreeze { environment } => blocks::take(state, command, (BlockKind::Freeze, environment.as_ref()), said),
        Verb::Override { gate, environment, reason, .. } => {
            breakglass::break_gate(state, command, (*gate, environment.as_ref(), reason), now, said)
        }
        // These are answered by the pull request itself.
        Verb::Help | Verb::Recheck | Verb::Risk => return None,
    })
}

/// # Errors
/// A refusal, when the command's author may not push to the repository.
fn may_write(command: &PipelineCommand, what: &str) -> Result<(), String> {
    if command.permission >= Permission::Write {
        return Ok(());
    }
    Err(format!("{}, only people with write permission may {what}.", mention(&command.by)))
}

fn unknown_environment(plan: &Plan, environment: &EnvironmentName) -> String {
    let names: Vec<String> = plan.pipeline.environments.iter().map(|e| code(e.name.as_str())).collect();
    format!("There is no environment {} in this pipeline; there is {}.", code(environment.as_str()), names.join(", "))
}

/// Whether a command was written before something happened, so that its author could not know. GitHub writes whole
/// seconds.
pub(super) fn written_before(command: &PipelineCommand, happened: Timestamp) -> bool {
    command.at.0 < happened.0 - happened.0.rem_euclid(1_000)
}

/// The one environment that is meant: the named one, else the only one for which something holds. `nothing` says that
/// it holds for none, as the beginning of a sentence.
///
/// # Errors
/// A sentence that says what to name.
fn meant(
    state: &PipelineState,
    named: Option<&EnvironmentName>,
    holds: impl Fn(&EnvironmentName) -> bool,
    nothing: &str,
) -> Result<EnvironmentName, String> {
    let all: Vec<&EnvironmentName> = state.environments.iter().map(|e| &e.name).filter(|name| holds(name)).collect();
    if let Some(named) = named {
        let found = all.iter().find(|name| **name == named);
        return found.map(|name| (*name).clone()).ok_or_else(|| format!("{nothing} in {}.", code(named.as_str())));
    }
    match all.as_slice() {
        [] => Err(format!("{nothing} in any environment of {}.", code(state.service.as_str()))),
        [one] => Ok((*one).clone()),
        many => {
            let names: Vec<String> = many.iter().map(|name| code(name.as_str())).collect();
            Err(format!("More than one environment can be meant: {}. Name it.", names.join(", ")))
        }
    }
}
