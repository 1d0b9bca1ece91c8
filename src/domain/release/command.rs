//! Commands to a pipeline: who may, what is refused and why, and what they set in motion.
//!
//! Knows facts about people that were looked up. Must never look anybody up itself.

use super::advance::{Wish, request};
use super::gate::{Gate, approvers, gate, hand_in, who_may};
use super::rollback::{Going, abort, begin, default_target, hold};
use super::*;
use crate::domain::chatops::Verb;
use crate::domain::event::{Origin, PipelineCommand};
use crate::domain::facts::{Absence, Facts, Need, Permission, Standing};
use crate::domain::markdown::{code, mention, text};
use crate::domain::policy::Requirement;

/// How many commands are remembered as obeyed.
const COMMANDS_KEPT: usize = 200;

/// A commit named by a person: a full hash, or a beginning of at least seven digits.
fn names_sha(named: &str, sha: &Sha) -> bool {
    named.len() >= 7 && sha.as_str().starts_with(&named.to_ascii_lowercase())
}

/// Whether the command was obeyed or refused before.
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
    match &command.verb {
        Verb::Deploy { what, .. } => {
            let mut needs = vec![Need::Commit { name: what.clone() }];
            // What the default branch's own name stands for is reachable from it.
            if let (Some(Ok(commit)), false) = (facts.commit(what), what == plan.default_branch.as_str()) {
                needs.push(reachability(&commit.sha, plan));
            }
            needs
        }
        Verb::Approve { environment, .. } => {
            let Some((release, stage)) = state.candidate(environment) else { return Vec::new() };
            let Some(requirement) = &stage.policy.approval else { return Vec::new() };
            let mut needs: Vec<Need> = requirement
                .teams
                .iter()
                .map(|team| Need::TeamMember { team: team.clone(), login: command.by.clone() })
                .collect();
            needs.push(content(state, release, environment));
            needs.push(Need::RecentPulls { since: merged_since(state, environment) });
            needs.extend(
                unknown_merges(state, release, environment, facts).into_iter().map(|number| Need::Pull { number }),
            );
            needs
        }
        Verb::Help
        | Verb::Status
        | Verb::Recheck
        | Verb::Rollback { .. }
        | Verb::Resume { .. }
        | Verb::Risk
        | Verb::Why { .. }
        | Verb::Plan(_)
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

/// The comparison that says whether automation may deploy a commit: the default branch seen from it.
pub fn reachability(sha: &Sha, plan: &Plan) -> Need {
    Need::Comparison { base: sha.to_string(), head: plan.default_branch.to_string() }
}

/// What a candidate brings over what is live; with nothing live, the commit itself.
fn content(state: &PipelineState, release: &Release, environment: &EnvironmentName) -> Need {
    match state.live(environment) {
        Some(live) => Need::Comparison { base: live.sha.to_string(), head: release.sha.to_string() },
        None => Need::Commit { name: release.sha.to_string() },
    }
}

/// From when on merges may be part of a candidate: an hour before what is live was made, for clocks that differ.
fn merged_since(state: &PipelineState, environment: &EnvironmentName) -> Timestamp {
    let made = state.live(environment).and_then(|live| state.releases.get(&live.release)).map(|r| r.created_at);
    made.map_or(Timestamp(0), |at| at.minus(Span::hours(1)))
}

fn contained(
    state: &PipelineState,
    release: &Release,
    environment: &EnvironmentName,
    facts: &Facts,
) -> Result<Vec<CommitOf>, String> {
    let unreadable = |why: &Absence| match why {
        Absence::NotFound => "GitHub does not know its commits any more".to_owned(),
        Absence::Refused { message } | Absence::Unusable { message } => format!("GitHub would not say: {message}"),
    };
    match content(state, release, environment) {
        Need::Comparison { base, head } => match facts.comparison(&base, &head) {
            Some(Ok(found)) if found.total_commits as usize > found.commits.len() => Err(format!(
                "it brings {} commits and GitHub shows only {} of them; deploy an earlier commit first",
                found.total_commits,
                found.commits.len()
            )),
            Some(Ok(found)) => Ok(found.commits.clone()),
            Some(Err(why)) => Err(unreadable(why)),
            None => Err("it was not asked".to_owned()),
        },
        _ => match facts.commit(release.sha.as_str()) {
            Some(Ok(commit)) => Ok(vec![commit.clone()]),
            Some(Err(why)) => Err(unreadable(why)),
            None => Err("it was not asked".to_owned()),
        },
    }
}

type CommitOf = crate::domain::facts::CommitSnapshot;

/// Every change that the pipeline knows to lie between what is live and a candidate.
fn known_changes<'a>(state: &'a PipelineState, release: &'a Release, environment: &EnvironmentName) -> Vec<&'a Change> {
    let live = state.live(environment).map_or(ReleaseNumber(0), |live| live.release);
    let between = state.releases.values().filter(|r| r.number > live && r.number < release.number);
    between.chain(std::iter::once(release)).flat_map(|r| &r.changes).collect()
}

/// Merged pull requests that lie in a candidate and that nobody has told us about (their delivery may be lost).
fn unknown_merges(
    state: &PipelineState,
    release: &Release,
    environment: &EnvironmentName,
    facts: &Facts,
) -> Vec<PullNumber> {
    let Some(Ok(recent)) = facts.recent_pulls(merged_since(state, environment)) else { return Vec::new() };
    let Ok(commits) = contained(state, release, environment, facts) else { return Vec::new() };
    let known: Vec<PullNumber> = known_changes(state, release, environment).iter().map(|c| c.pull).collect();
    recent
        .iter()
        .filter(|pull| pull.merged && !known.contains(&pull.number))
        .filter(|pull| pull.merge_commit_sha.as_ref().is_some_and(|sha| commits.iter().any(|c| c.sha == *sha)))
        .map(|pull| pull.number)
        .collect()
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
    let asked = command.origin.clone();
    let answer = match &command.verb {
        Verb::Status => Ok(Answer::Status),
        Verb::Deploy { what, environment, reason, .. } => {
            deploy(state, command, plan, facts, (what, environment, reason), now, said)
        }
        Verb::Approve { environment, sha, .. } => approve(state, command, facts, environment, sha.as_deref(), now),
        Verb::Rollback { environment, to, reason, .. } => {
            roll_back(state, command, plan, (environment, to.as_deref(), reason.as_deref()), now, said)
        }
        Verb::Resume { environment: Some(environment), .. } => resume(state, command, environment, said),
        Verb::Resume { environment: None, .. }
        | Verb::Why { .. }
        | Verb::Plan(_)
        | Verb::Promote { .. }
        | Verb::Retry { .. }
        | Verb::Cancel { .. }
        | Verb::Lock { .. }
        | Verb::Unlock { .. }
        | Verb::Hold { .. }
        | Verb::Freeze { .. }
        | Verb::Unfreeze { .. }
        | Verb::Override { .. } => Err("This is not built yet.".into()),
        // These two are answered by the pull request itself.
        Verb::Help | Verb::Recheck | Verb::Risk => return,
    };
    match answer {
        Ok(answer) => said.answers.push((asked, answer)),
        Err(refusal) => {
            said.notes.push(format!("{} was refused: {refusal}", command.by));
            said.answers.push((asked, Answer::Final(format!("⛔ {refusal} Nothing was changed."))));
        }
    }
}

type Outcome = Result<Answer, String>;

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

fn deploy(
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
    if let Some(hold) = state.environment(environment).and_then(|e| e.hold.as_ref()) {
        let next = super::gate::resume_command(environment);
        return Err(format!("{} is held: {} {next} ends the hold.", code(environment.as_str()), hold.reason));
    }
    let commit = match facts.commit(what) {
        Some(Ok(commit)) => commit,
        Some(Err(_)) | None => return Err(format!("No commit is named {}.", code(what))),
    };
    let is_default = what == plan.default_branch.as_str();
    let last = at + 1 == plan.pipeline.environments.len();
    if last && !is_default && !is_reachable(&commit.sha, plan, facts) {
        return Err(format!(
            "{} is not on {}; only what was merged goes to {}.",
            code(commit.sha.short()),
            code(plan.default_branch.as_str()),
            code(environment.as_str())
        ));
    }
    let wish = Wish {
        sha: commit.sha.clone(),
        environment: environment.clone(),
        by: command.by.clone(),
        reason: reason.clone(),
        plan: plan.clone(),
        asked: command.origin.clone(),
    };
    let short = code(commit.sha.short());
    let Some(number) = request(state, wish, now, said) else { return Err(unknown_environment(plan, environment)) };
    let waits =
        state.candidate(environment).filter(|(r, _)| r.number == number).and_then(|(release, stage)| {
            match gate(release, stage, state.environment(environment)?) {
                Gate::Open => None,
                Gate::Closed { because, .. } => Some(because),
            }
        });
    let busy = state.rolling(environment).map(|(r, _)| format!("It starts when release {} has ended.", r.number));
    let then = waits.or(busy).unwrap_or_else(|| "It starts now.".to_owned());
    Ok(Answer::ForNow(format!("🚢 Release {number} ({short}) to {}. {then}", code(environment.as_str()))))
}

/// Whether the default branch contains a commit, by the comparison that was looked up.
pub fn is_reachable(sha: &Sha, plan: &Plan, facts: &Facts) -> bool {
    match facts.comparison(sha.as_str(), plan.default_branch.as_str()) {
        Some(Ok(found)) => matches!(found.standing, Standing::Ahead | Standing::Identical),
        Some(Err(_)) | None => false,
    }
}

/// Whether a command was written before something happened, so that its author could not know. GitHub writes whole
/// seconds.
fn written_before(command: &PipelineCommand, happened: Timestamp) -> bool {
    command.at.0 < happened.0 - happened.0.rem_euclid(1_000)
}

fn approve(
    state: &mut PipelineState,
    command: &PipelineCommand,
    facts: &Facts,
    environment: &EnvironmentName,
    sha: Option<&str>,
    now: Timestamp,
) -> Outcome {
    let Some((release, stage)) = state.candidate(environment) else {
        return Err(format!("No release waits for {}.", code(environment.as_str())));
    };
    let environment = stage.policy.name.clone();
    let shown = code(environment.as_str());
    let (number, short) = (release.number, code(release.sha.short()));
    let Some(requirement) = stage.policy.approval.clone() else {
        return Err(format!("{shown} needs no approval."));
    };
    if sha.is_some_and(|named| !names_sha(named, &release.sha)) {
        return Err(format!(
            "The candidate for {shown} is release {number} ({short}), not {}.",
            code(sha.unwrap_or_default())
        ));
    }
    if let StagePhase::Waiting { since, .. } = &stage.phase
        && written_before(command, *since)
    {
        return Err(format!(
            "The candidate for {shown} changed after this was written: it is now release {number} ({short}). Look at it and approve again."
        ));
    }
    may_approve(command, &requirement, facts, &environment)?;
    four_eyes(state, command, release, &environment, facts)?;
    let approval = Approval {
        by: command.by.clone(),
        at: now,
        sha: release.sha.clone(),
        live: state.live(&environment).map(|live| live.sha.clone()),
    };
    if let Some(Stage { phase: StagePhase::Waiting { approvals, .. }, .. }) = state.stage_mut(number, &environment) {
        approvals.retain(|a| a.by != approval.by);
        approvals.push(approval);
    }
    let given = match (state.candidate(&environment), state.environment(&environment)) {
        (Some((release, stage)), Some(environment)) => approvers(release, stage, environment).len(),
        (Some(_), None) | (None, Some(_)) | (None, None) => 0,
    };
    let wanted = requirement.count as usize;
    let held = state.environment(&environment).and_then(|e| e.hold.as_ref());
    let then = match held {
        Some(hold) => {
            format!("It waits on: {} {} ends the hold.", hold.reason, super::gate::resume_command(&environment))
        }
        None if given >= wanted => "It starts now.".to_owned(),
        None => format!("{} more must approve.", wanted - given),
    };
    let by = text(command.by.as_str());
    Ok(Answer::Final(format!("✅ {by} approved release {number} ({short}) for {shown}, {given} of {wanted}. {then}")))
}

fn may_approve(
    command: &PipelineCommand,
    requirement: &Requirement,
    facts: &Facts,
    environment: &EnvironmentName,
) -> Result<(), String> {
    let named = requirement.users.contains(&command.by);
    let in_team = requirement.teams.iter().any(|team| matches!(facts.team_member(team, &command.by), Some(Ok(true))));
    let anybody =
        requirement.teams.is_empty() && requirement.users.is_empty() && command.permission >= Permission::Write;
    if named || in_team || anybody {
        return Ok(());
    }
    let refused = requirement.teams.iter().find_map(|team| match facts.team_member(team, &command.by) {
        Some(Err(Absence::Refused { message })) => {
            Some(format!(" (GitHub did not let Plimsoll read {}: {})", code(team.as_str()), text(message)))
        }
        Some(Ok(_)) | Some(Err(_)) | None => None,
    });
    Err(format!(
        "{}, only {} may approve {}{}.",
        mention(&command.by),
        who_may(requirement),
        code(environment.as_str()),
        refused.unwrap_or_default()
    ))
}

fn four_eyes(
    state: &PipelineState,
    command: &PipelineCommand,
    release: &Release,
    environment: &EnvironmentName,
    facts: &Facts,
) -> Result<(), String> {
    let shown = code(environment.as_str());
    let commits = contained(state, release, environment, facts)
        .map_err(|why| format!("It cannot be told who is behind release {}: {why}.", release.number))?;
    let by = mention(&command.by);
    let rule = format!("{shown} needs somebody with no hand in the release");
    if let Purpose::Requested { by: requester, .. } = &release.purpose
        && *requester == command.by
    {
        return Err(format!("{by} asked for release {}; {rule}.", release.number));
    }
    if let Some(how) = hand_in(&command.by, &known_changes(state, release, environment), &commits) {
        return Err(format!("{by} {how}; {rule}."));
    }
    for number in unknown_merges(state, release, environment, facts) {
        match facts.pull(number) {
            Some(Ok(pull)) if pull.author == command.by => {
                return Err(format!("{by} is the author of #{number}; {rule}."));
            }
            Some(Ok(pull)) if pull.merged_by.as_ref() == Some(&command.by) => {
                return Err(format!("{by} merged #{number}; {rule}."));
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => {
                return Err(format!("It cannot be told who merged #{number}, which is part of the release."));
            }
        }
    }
    match facts.recent_pulls(merged_since(state, environment)) {
        Some(Ok(_)) => Ok(()),
        Some(Err(_)) | None => Err("GitHub did not say which pull requests were merged.".to_owned()),
    }
}

fn roll_back(
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
    let from =
        abort(state, &environment, &command.by, now, said).or_else(|| state.live(&environment).map(|l| l.release));
    let reason = reason
        .map_or_else(|| format!("{} rolled it back.", command.by), |r| format!("{} rolled it back: {r}.", command.by));
    hold(state, &environment, HoldOwner::Automation, reason.clone(), now);
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
    let resume = super::gate::resume_command(&environment);
    let starts = match state.rolling(&environment) {
        Some((stopping, _)) => format!("It starts when release {} has stopped", stopping.number),
        None => "It starts now".to_owned(),
    };
    Ok(Answer::ForNow(format!(
        "⏪ Release {number} takes {shown} back to {} (release {}). {starts}; {shown} is held until {resume}.",
        code(target.sha.short()),
        target.release
    )))
}

fn resume(
    state: &mut PipelineState,
    command: &PipelineCommand,
    environment: &EnvironmentName,
    said: &mut Said,
) -> Outcome {
    may_write(command, "end a hold")?;
    let shown = code(environment.as_str());
    let Some(known) = state.environments.iter_mut().find(|e| e.name == *environment) else {
        return Err(format!("{shown} has no releases yet."));
    };
    if let Some(hold) = known.hold.as_ref().filter(|hold| written_before(command, hold.since)) {
        return Err(format!(
            "The hold of {shown} is newer than this: {} Look at it and resume again.",
            text(&hold.reason)
        ));
    }
    match known.hold.take() {
        Some(hold) => {
            said.notes.push(format!("{} ended the hold of {environment}", command.by));
            Ok(Answer::Final(format!("▶️ The hold of {shown} is ended. It was: {}", text(&hold.reason))))
        }
        None => Err(format!("{shown} is not held.")),
    }
}
