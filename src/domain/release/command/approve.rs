//! Approving a candidate: who may, and that they had no hand in it.
//!
//! Knows memberships that were looked up. Must never count approvals: the gate does.

use super::*;
use crate::domain::facts::{Absence, CommitSnapshot, Facts, Need};
use crate::domain::markdown::text;
use crate::domain::policy::Requirement;
use crate::domain::release::content::{changes, commits, comparison, merged_since, unknown_merges};
use crate::domain::release::eyes::hand_in;
use crate::domain::release::gate::{approvals_wanted, approvers, conditions, who_may};

/// How far GitHub's lists of pull requests may lag behind a merge.
const LISTS_LAG: Span = Span::minutes(2);

/// What must be known to let somebody approve, given what is known already.
pub(super) fn needs(
    state: &PipelineState,
    command: &PipelineCommand,
    (environment, sha): (&EnvironmentName, Option<&str>),
    facts: &Facts,
) -> Vec<Need> {
    let Some((release, stage)) = awaiting(state, environment, sha) else { return Vec::new() };
    let Some(requirement) = &stage.policy.approval else { return Vec::new() };
    let teams = requirement.teams.iter();
    let mut needs: Vec<Need> =
        teams.map(|team| Need::TeamMember { team: team.clone(), login: command.by.clone() }).collect();
    needs.push(comparison(state, release, environment));
    needs.push(Need::RecentPulls { since: merged_since(state, environment) });
    let unknown = unknown_merges(state, release, environment, facts);
    needs.extend(unknown.into_iter().map(|number| Need::Pull { number }));
    needs
}

/// The release that an approval is for: the rollout that pauses for one before its next step, else the candidate. The
/// revert for which a rollout pauses is meant where its commit is named.
fn awaiting<'a>(
    state: &'a PipelineState,
    environment: &EnvironmentName,
    sha: Option<&str>,
) -> Option<(&'a Release, &'a Stage)> {
    let pauses =
        |(_, stage): &(&Release, &Stage)| stage.conditions.iter().any(|c| c.gate == GateName::Approval && !c.met);
    let paused = state.paused(environment).filter(|(release, _)| !release.is_rollback()).filter(pauses);
    let named = |(mends, _): &(&Release, &Stage)| sha.is_some_and(|named| names_sha(named, &mends.sha));
    let mends = state.overtaking(environment).map(|(mends, _)| mends).filter(named);
    let first = || state.candidate(environment).filter(|(release, _)| !release.is_rollback());
    mends.or(paused).or_else(first)
}

/// # Errors
///
/// Which two can be meant, and how to say so.
fn only_one(
    state: &PipelineState,
    environment: &EnvironmentName,
    asked: &Release,
    sha: Option<&str>,
) -> Result<(), String> {
    let Some(((mends, _), _)) = state.overtaking(environment).filter(|_| sha.is_none()) else { return Ok(()) };
    let command = |release: &Release| code(&format!("/plimsoll approve {environment} {}", release.sha));
    Err(format!(
        "Two releases wait for {}: {} is for release {}, the revert for which a rollout pauses, and {} for release {}, which somebody asked for.",
        code(environment.as_str()),
        command(mends),
        mends.number,
        command(asked),
        asked.number,
    ))
}

pub(super) fn approve(
    state: &mut PipelineState,
    command: &PipelineCommand,
    facts: &Facts,
    environment: &EnvironmentName,
    sha: Option<&str>,
    now: Timestamp,
) -> Outcome {
    let Some((release, stage)) = awaiting(state, environment, sha) else {
        return Err(format!("No release waits for {}.", code(environment.as_str())));
    };
    let environment = stage.policy.name.clone();
    only_one(state, &environment, release, sha)?;
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
    let since = match &stage.phase {
        StagePhase::Waiting { since } => *since,
        StagePhase::Rolling(rollout) => rollout.started_at,
        StagePhase::Ahead
        | StagePhase::Succeeded { .. }
        | StagePhase::Failed { .. }
        | StagePhase::Cancelled { .. }
        | StagePhase::Superseded { .. }
        | StagePhase::NotReached => Timestamp(0),
    };
    let live_since = state.live(&environment).map_or(Timestamp(0), |live| live.at);
    let pressed = match command.origin {
        Origin::Button { release } => Some(release),
        Origin::Comment { .. } => None,
    };
    if pressed.is_some_and(|pressed| pressed != number) || written_before(command, since.max(live_since)) {
        return Err(format!(
            "The candidate for {shown} changed after this was written: it is now release {number} ({short}). Look at it and approve again."
        ));
    }
    may_approve(command, &requirement, facts, &environment)?;
    four_eyes(state, command, release, &environment, facts, now)?;
    let approval = Approval {
        by: command.by.clone(),
        at: now,
        sha: release.sha.clone(),
        live: state.live(&environment).map(|live| live.sha.clone()),
    };
    if let Some(stage) = state.stage_mut(number, &environment) {
        stage.approvals.retain(|a| a.by != approval.by);
        stage.approvals.push(approval);
    }
    let Some((release, stage)) = awaiting(state, &environment, sha) else {
        return Err(format!("No release waits for {shown}."));
    };
    let (given, wanted) = (approvers(state, release, stage).len(), approvals_wanted(state, release, stage));
    let rest: Vec<String> =
        conditions(state, release, stage, now).into_iter().filter(|c| !c.met).map(|c| c.says).collect();
    let then = match rest.as_slice() {
        [] => "It starts now.".to_owned(),
        _ if given < wanted => format!("{} more must approve.", wanted - given),
        _ => format!("It still waits: {}", rest.join(" ")),
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
    let writes = command.permission >= Permission::Write;
    // A login that somebody gave up can be taken by anybody, so a name alone is not enough.
    let named = requirement.users.contains(&command.by) && writes;
    let in_team = requirement.teams.iter().any(|team| matches!(facts.team_member(team, &command.by), Some(Ok(true))));
    let nobody_named = requirement.teams.is_empty() && requirement.users.is_empty();
    let anybody = nobody_named && writes;
    if named || in_team || anybody {
        return Ok(());
    }
    let refused = requirement.teams.iter().find_map(|team| match facts.team_member(team, &command.by) {
        Some(Err(Absence::Refused { message })) => {
            Some(format!(" (GitHub did not let Plimsoll read {}: {})", code(team.as_str()), text(message)))
        }
        Some(Ok(_)) | Some(Err(_)) | None => None,
    });
    if requirement.users.contains(&command.by) {
        return Err(format!(
            "{}, you are named to approve {}, but have no write permission in this repository{}.",
            mention(&command.by),
            code(environment.as_str()),
            refused.unwrap_or_default()
        ));
    }
    let who = if nobody_named { "people with write permission".to_owned() } else { who_may(requirement) };
    Err(format!(
        "{}, only {who} may approve {}{}.",
        mention(&command.by),
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
    now: Timestamp,
) -> Result<(), String> {
    let shown = code(environment.as_str());
    let commits = commits(state, release, environment, facts)
        .map_err(|why| format!("It cannot be told who is behind release {}: {why}.", release.number))?;
    let by = mention(&command.by);
    let rule = format!("{shown} needs somebody with no hand in the release");
    // What somebody brought there since may have any number: what counts is the last merge that ran there.
    let good = state.environment(environment).map(|e| e.good.as_slice()).unwrap_or_default();
    let place = |good: &Live| content::delivery_of(state, state.releases.get(&good.release)?);
    let merged = good.iter().rev().find_map(place).unwrap_or(ReleaseNumber(0)).min(release.number);
    let ran = |number: ReleaseNumber| good.iter().any(|good| good.release == number);
    let between = state.releases.values().filter(|r| r.number > merged && r.number <= release.number && !ran(r.number));
    let asked = between.chain([release]).find(|r| r.is_asked_by(&command.by) && !r.is_rollback());
    if let Some(asked) = asked {
        return Err(format!("{by} asked for release {}; {rule}.", asked.number));
    }
    if let Some(how) = hand_in(&command.by, &changes(state, release, environment), &commits) {
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
    let Some(Ok(merged)) = facts.recent_pulls(merged_since(state, environment)) else {
        return Err("GitHub did not say which pull requests were merged.".to_owned());
    };
    // A squashed commit does not name who merged it, and the list of merges may not show it yet.
    let is_told = |sha: &Sha| {
        changes(state, release, environment).iter().any(|change| change.sha == *sha)
            || merged.iter().any(|pull| pull.merge_commit_sha.as_ref() == Some(sha))
    };
    let is_young = |at: Timestamp| at <= now.plus(LISTS_LAG) && now.since(at) < LISTS_LAG;
    let young = own_line(&commits, &release.sha)
        .into_iter()
        .find(|commit| commit.committed_at.is_some_and(is_young) && !is_told(&commit.sha));
    match young {
        Some(commit) => Err(format!(
            "GitHub does not show yet who merged {}, which is younger than {LISTS_LAG}. Approve again after that.",
            code(commit.sha.short())
        )),
        None => Ok(()),
    }
}

/// The commits that were made on the branch itself, newest first: what a merge brought is told by the merge.
fn own_line<'a>(commits: &'a [CommitSnapshot], head: &Sha) -> Vec<&'a CommitSnapshot> {
    let find = |sha: &Sha| commits.iter().find(|commit| commit.sha == *sha);
    let line = std::iter::successors(find(head), |commit| find(commit.first_parent.as_ref()?));
    // No more than there are, should GitHub ever tell of a circle.
    line.take(commits.len()).collect()
}
