//! Commands that start, stop or undo a rollout.
//!
//! Knows releases and the plan in force. Must never pass by the gate: what they make waits like any other release.

use super::harm::harm;
use super::*;
use crate::domain::facts::{Absence, Facts};
use crate::domain::markdown::text;
use crate::domain::release::advance::{Wish, become_candidate, request};
use crate::domain::release::block::hold;
use crate::domain::release::content::is_reachable;
use crate::domain::release::gate::{block_in_words, conditions, ending_command, resume_command};
use crate::domain::release::rollback::{Going, abort, begin, default_target, left_behind};

pub(super) fn deploy(
    state: &mut PipelineState,
    command: &PipelineCommand,
    plan: &Plan,
    facts: &Facts,
    (what, environment, reason): (&str, &EnvironmentName, &Option<String>),
    now: Timestamp,
    said: &mut Said,
) -> Outcome {
    may_write(command, "deploy")?;
    let Some((at, policy)) = plan.pipeline.environment(environment) else {
        return Err(unknown_environment(plan, environment));
    };
    let environment = &policy.name;
    if let Some(refusal) = kept_still(state, environment, now) {
        return Err(refusal);
    }
    let commit = match facts.commit(what) {
        Some(Ok(commit)) => commit,
        Some(Err(Absence::Refused { message } | Absence::Unusable { message })) => {
            return Err(format!("GitHub would not say which commit {} is: {}.", code(what), text(message)));
        }
        Some(Err(Absence::NotFound)) | None => return Err(format!("No commit is named {}.", code(what))),
    };
    let is_default = what == plan.default_branch.as_str();
    let last = at + 1 == plan.pipeline.environments.len();
    let merged_only = last && !is_default;
    if (merged_only || command.speculative)
        && let Some(Err(Absence::Refused { message } | Absence::Unusable { message })) =
            facts.comparison(commit.sha.as_str(), plan.default_branch.as_str())
    {
        let (ours, branch) = (code(commit.sha.short()), code(plan.default_branch.as_str()));
        let place = if merged_only {
            format!("goes to {}", code(environment.as_str()))
        } else {
            "is deployed from here".to_owned()
        };
        let why = text(message);
        return Err(format!(
            "GitHub would not say whether {ours} is on {branch}: {why}. Only what was merged {place}."
        ));
    }
    if merged_only && !is_reachable(&commit.sha, plan, facts) {
        return Err(format!(
            "{} is not on {}; only what was merged goes to {}.",
            code(commit.sha.short()),
            code(plan.default_branch.as_str()),
            code(environment.as_str())
        ));
    }
    if is_queued(what) || (command.speculative && !is_reachable(&commit.sha, plan, facts)) {
        return Err("A merge queue's branch holds what may never be merged; nothing of it is deployed.".to_owned());
    }
    let wish = Wish {
        sha: commit.sha.clone(),
        environment: environment.clone(),
        by: command.by.clone(),
        reason: reason.clone(),
        plan: plan.clone(),
        asked: command.origin.clone(),
    };
    wished(state, wish, now, said)
}

/// Whether a ref is a merge queue's branch, in any of the ways in which GitHub takes the name of a branch.
fn is_queued(what: &str) -> bool {
    let what = what.strip_prefix("refs/").unwrap_or(what);
    what.strip_prefix("heads/").unwrap_or(what).starts_with("gh-readonly-queue/")
}

/// Makes the release that somebody wants, and says what it waits for.
fn wished(state: &mut PipelineState, wish: Wish, now: Timestamp, said: &mut Said) -> Outcome {
    let (short, environment, plan) = (code(wish.sha.short()), wish.environment.clone(), wish.plan.clone());
    let Some(number) = request(state, wish, now, said) else { return Err(unknown_environment(&plan, &environment)) };
    Ok(Answer::ForNow(format!(
        "🚢 Release {number} ({short}) to {}. {}",
        code(environment.as_str()),
        what_then(state, number, &environment, now)
    )))
}

/// When a release starts, as a sentence.
fn what_then(state: &PipelineState, number: ReleaseNumber, environment: &EnvironmentName, now: Timestamp) -> String {
    let stage = state.releases.get(&number).and_then(|release| Some((release, release.stage(environment)?)));
    let Some((release, stage)) = stage else { return "It does not start.".to_owned() };
    let unmet = conditions(state, release, stage, now).into_iter().find(|condition| !condition.met);
    unmet.map_or_else(|| "It starts now.".to_owned(), |condition| condition.says)
}

/// What keeps automation and people from starting anything in an environment, as a refusal.
fn kept_still(state: &PipelineState, environment: &EnvironmentName, now: Timestamp) -> Option<String> {
    let blocks: Vec<&Block> =
        block::of(state, environment).into_iter().filter(|b| b.until.is_none_or(|until| until > now)).collect();
    let first = blocks.first()?;
    let state_word = match first.kind {
        BlockKind::Lock => "locked",
        BlockKind::Hold => "held",
        BlockKind::Freeze => "frozen",
    };
    let next = ending_command(first);
    let says: Vec<String> = blocks.iter().map(|block| block_in_words(block)).collect();
    Some(format!(
        "{} is {state_word}: {} {} ends the {}.",
        code(environment.as_str()),
        says.join(" "),
        next,
        block::noun(first.kind)
    ))
}

/// Takes what is live in the environment before this one.
pub(super) fn promote(
    state: &mut PipelineState,
    command: &PipelineCommand,
    plan: &Plan,
    (environment, reason): (&EnvironmentName, &Option<String>),
    now: Timestamp,
    said: &mut Said,
) -> Outcome {
    may_write(command, "promote")?;
    let Some((at, policy)) = plan.pipeline.environment(environment) else {
        return Err(unknown_environment(plan, environment));
    };
    let environment = policy.name.clone();
    let Some(before) = at.checked_sub(1).and_then(|before| plan.pipeline.environments.get(before)) else {
        return Err(format!(
            "{} is the first environment: there is nothing to promote from.",
            code(environment.as_str())
        ));
    };
    let Some(live) = state.live(&before.name).cloned() else {
        return Err(format!("Nothing is live in {} yet.", code(before.name.as_str())));
    };
    if state.live(&environment).is_some_and(|there| there.sha == live.sha) {
        return Err(format!("{} runs {} already.", code(environment.as_str()), code(live.sha.short())));
    }
    if let Some(refusal) = kept_still(state, &environment, now) {
        return Err(refusal);
    }
    if written_before(command, live.at) {
        return Err(changed_since(&before.name));
    }
    // Somebody may have asked for a merged commit where automation would have brought it later.
    let merged = |release: &Release| content::delivery_of(state, release).is_some();
    let branch_only = !state.releases.get(&live.release).is_some_and(merged);
    if branch_only && at + 1 == plan.pipeline.environments.len() {
        return Err(format!(
            "Release {} in {} was not made of a merge; only what was merged goes to {}.",
            live.release,
            code(before.name.as_str()),
            code(environment.as_str())
        ));
    }
    let wish = Wish {
        sha: live.sha,
        environment,
        by: command.by.clone(),
        reason: reason.clone(),
        plan: plan.clone(),
        asked: command.origin.clone(),
    };
    wished(state, wish, now, said)
}

/// Tries a failed or cancelled release once more, from the environment where it ended.
pub(super) fn retry(
    state: &mut PipelineState,
    command: &PipelineCommand,
    environment: Option<&EnvironmentName>,
    now: Timestamp,
    said: &mut Said,
) -> Outcome {
    may_write(command, "retry")?;
    let pressed = match command.origin {
        Origin::Button { release } => Some(release),
        Origin::Comment { .. } => None,
    };
    let newest = |name: &EnvironmentName| {
        let ended = |stage: &Stage| matches!(stage.phase, StagePhase::Failed { .. } | StagePhase::Cancelled { .. });
        let of = |r: &&Release| !r.is_rollback() && r.stage(name).is_some();
        let last = state.releases.values().rev().find(of)?;
        // A newer policy may have dropped the environment: newer deliveries then pass it by, and stay newer.
        let newest = state.newest_forward().is_none_or(|newest| newest.number <= last.number);
        let is_newest = newest || !matches!(last.purpose, Purpose::Delivery);
        last.stage(name).filter(|stage| ended(stage) && is_newest).map(|_| last)
    };
    let environment = meant(state, environment, |name| newest(name).is_some(), "The newest release has not failed")?;
    let Some(failed) = newest(&environment).filter(|r| pressed.is_none_or(|number| number == r.number)) else {
        return Err(format!("A newer release came to {} meanwhile.", code(environment.as_str())));
    };
    if let Some((busy, _)) = state.rolling(&environment) {
        return Err(format!("Release {} is being rolled out in {}.", busy.number, code(environment.as_str())));
    }
    let ended = failed.stage(&environment).map(|stage| match &stage.phase {
        StagePhase::Failed { at, .. } | StagePhase::Cancelled { at, .. } => *at,
        StagePhase::Ahead
        | StagePhase::Waiting { .. }
        | StagePhase::Rolling(_)
        | StagePhase::Succeeded { .. }
        | StagePhase::Superseded { .. }
        | StagePhase::NotReached => failed.created_at,
    });
    if ended.is_some_and(|at| written_before(command, at)) {
        return Err(changed_since(&environment));
    }
    let old = failed.clone();
    let ended_at = old.stage(&environment).and_then(|stage| match &stage.phase {
        StagePhase::Failed { at, .. } | StagePhase::Cancelled { at, .. } => Some(*at),
        StagePhase::Ahead
        | StagePhase::Waiting { .. }
        | StagePhase::Rolling(_)
        | StagePhase::Succeeded { .. }
        | StagePhase::Superseded { .. }
        | StagePhase::NotReached => None,
    });
    // Trying again ends the automation's hold, so that its author must have known what is held and why.
    let held_at = block::of_automation(state, &environment).map(|block| block.since);
    if [ended_at, held_at].into_iter().flatten().any(|at| written_before(command, at)) {
        let (shown, number) = (code(environment.as_str()), old.number);
        return Err(format!("Release {number} ended in {shown} after this was written. Look at it and retry again."));
    }
    block::release_automation(state, &environment);
    state.last_number += 1;
    let number = ReleaseNumber(state.last_number);
    let mut release = Release::new(number, old.sha.clone(), old.purpose.clone(), old.plan.clone(), now);
    release.changes = old.changes.clone();
    release.asked = Some(command.origin.clone());
    release.retried_by = Some(command.by.clone());
    let rest = old.stages.iter().skip_while(|stage| stage.policy.name != environment);
    release.stages = rest.map(|stage| Stage::new(stage.policy.clone(), StagePhase::Ahead)).collect();
    state.releases.insert(number, release);
    become_candidate(state, number, &environment, now, said);
    Ok(Answer::ForNow(format!(
        "🔁 Release {number} tries {} (release {}) in {} once more. {}",
        code(old.sha.short()),
        old.number,
        code(environment.as_str()),
        what_then(state, number, &environment, now)
    )))
}

/// Stops what is being rolled out, or takes back what waits.
pub(super) fn cancel(
    state: &mut PipelineState,
    command: &PipelineCommand,
    environment: Option<&EnvironmentName>,
    now: Timestamp,
    said: &mut Said,
) -> Outcome {
    may_write(command, "cancel")?;
    let busy = |name: &EnvironmentName| state.rolling(name).is_some() || state.candidate(name).is_some();
    let environment = meant(state, environment, busy, "Nothing waits and nothing is being rolled out")?;
    let shown = code(environment.as_str());
    let started = state.rolling(&environment).map(|(release, stage)| {
        (release.number, release.is_rollback(), stage.rollout().map_or(now, |rollout| rollout.started_at))
    });
    if let Some((number, is_rollback, started_at)) = started {
        if is_rollback {
            return Err(format!("Release {number} takes {shown} back; that is not cancelled."));
        }
        if written_before(command, started_at) {
            return Err(format!(
                "Release {number} started in {shown} after this was written. Look at it and cancel again."
            ));
        }
        let by = command.by.clone();
        let reason = format!("{by} cancelled release {number}, and something of it may run.");
        // It takes the culprit back, or may: that lets nothing pass any more.
        if state.releases.get(&number).is_some_and(|release| block::may_be_mended_by(state, release, &environment)) {
            block::release_automation(state, &environment);
        }
        abort(state, &environment, &Stop::Cancelled { by }, now, said);
        hold(state, &environment, reason, None, now);
        return Ok(Answer::Final(format!(
            "⏹️ Release {number} is stopped in {shown}. {shown} is held, since something of it may run: {} brings back what was good, {} tries again.",
            code(&format!("/plimsoll rollback {environment}")),
            code(&format!("/plimsoll retry {environment}")),
        )));
    }
    let Some((release, stage)) = state.candidate(&environment).filter(|(release, _)| !release.is_rollback()) else {
        return Err(format!("What waits for {shown} takes it back; that is not cancelled."));
    };
    if let StagePhase::Waiting { since } = &stage.phase
        && written_before(command, *since)
    {
        return Err(changed_since(&environment));
    }
    let (number, asked) = (release.number, release.asked.clone());
    let by = command.by.clone();
    if let Some(release) = state.releases.get_mut(&number) {
        for stage in &mut release.stages {
            if stage.policy.name == environment {
                stage.phase = StagePhase::Cancelled { at: now, by: by.clone() };
                stage.conditions.clear();
            } else if matches!(stage.phase, StagePhase::Ahead) {
                stage.phase = StagePhase::NotReached;
            }
        }
    }
    said.tell(asked.as_ref(), || format!("Release {number} was cancelled by {by} before it started in {environment}."));
    said.notes.push(format!("{by} cancelled release {number} before it started in {environment}"));
    Ok(Answer::Final(format!("⏹️ Release {number} does not go to {shown}.")))
}

pub(super) fn roll_back(
    state: &mut PipelineState,
    command: &PipelineCommand,
    plan: &Plan,
    (environment, to, reason): (&EnvironmentName, Option<&str>, Option<&str>),
    now: Timestamp,
    said: &mut Said,
) -> Outcome {
    may_write(command, "roll back")?;
    let Some((_, policy)) = plan.pipeline.environment(environment) else {
        return Err(unknown_environment(plan, environment));
    };
    let environment = policy.name.clone();
    let shown = code(environment.as_str());
    if let Some((release, _)) = state.rolling(&environment).filter(|(r, _)| r.is_rollback()) {
        return Err(format!("{shown} is being rolled back already, by release {}.", release.number));
    }
    let waiting = state.releases.values().find(|release| {
        let waits = |stage: &Stage| matches!(stage.phase, StagePhase::Waiting { .. });
        release.is_rollback() && release.stage(&environment).is_some_and(waits)
    });
    if let Some(release) = waiting {
        let number = release.number;
        return Err(format!("{shown} is being rolled back already, by release {number}, which is next to start."));
    }
    let started = state.rolling(&environment).and_then(|(_, stage)| stage.rollout()).map(|rollout| rollout.started_at);
    let changed = started.into_iter().chain(state.live(&environment).map(|live| live.at)).max();
    if changed.is_some_and(|at| written_before(command, at)) {
        return Err(changed_since(&environment));
    }
    let good = state.environment(&environment).map(|e| e.good.as_slice()).unwrap_or_default();
    let target = match to {
        Some(named) => good.iter().rev().find(|good| names_sha(named, &good.sha)).cloned(),
        None => default_target(state, &environment).cloned(),
    };
    let Some(target) = target else {
        let known: Vec<String> = good.iter().rev().take(5).map(|g| code(g.sha.short())).collect();
        let known = if known.is_empty() {
            "nothing has succeeded there yet".to_owned()
        } else {
            format!("known as good: {}", known.join(", "))
        };
        return Err(format!("There is no verified release of {shown} to go back to; {known}."));
    };
    let warning = harm(state, &environment, &target, now);
    let stop = Stop::RolledBack { by: command.by.clone() };
    // What failed and may still run is left, before what was live: going back is from that.
    let left = left_behind(state, &environment).and_then(|release| match &release.purpose {
        Purpose::Rollback { from, .. } => *from,
        Purpose::Delivery | Purpose::Requested { .. } => Some(release.number),
    });
    let live = state.live(&environment).map(|live| live.release);
    let from = abort(state, &environment, &stop, now, said).or(left).or(live);
    let reason = reason
        .map_or_else(|| format!("{} rolled it back.", command.by), |r| format!("{} rolled it back: {r}.", command.by));
    let gone = from.and_then(|number| state.releases.get(&number));
    let suspect = gone.and_then(|release| {
        content::culprit(state, release, content::suspects_over(state, release, &environment, &target))
    });
    let culprit = suspect.map(|suspect| suspect.pull);
    if gone.is_some_and(|release| block::may_be_mended_by(state, release, &environment)) {
        block::release_automation(state, &environment);
    }
    hold(state, &environment, reason.clone(), culprit, now);
    let asked = command.origin.clone();
    let going = Going {
        to: target.clone(),
        from,
        by: Some(command.by.clone()),
        reason,
        plan: plan.clone(),
        asked: Some(asked),
    };
    let Some(number) = begin(state, &environment, going, now, said) else {
        return Err(unknown_environment(plan, &environment));
    };
    let resume = resume_command(&environment);
    let starts = match state.rolling(&environment) {
        Some((stopping, _)) => format!("It starts when release {} has stopped", stopping.number),
        None => "It starts now".to_owned(),
    };
    Ok(Answer::ForNow(format!(
        "⏪ Release {number} takes {shown} back to {} (release {}). {starts}; {shown} is held until {resume}.{warning}",
        code(target.sha.short()),
        target.release
    )))
}

/// The refusal of a command whose author could not know how an environment stands now.
fn changed_since(environment: &EnvironmentName) -> String {
    format!("{} changed after this was written. Look at it and say it again.", code(environment.as_str()))
}
