//! What a candidate would bring over what is live: its pull requests, its commits, its risk.
//!
//! Knows releases and facts about commits. Must never judge whether that may start.

use super::*;
use crate::domain::facts::{Absence, CommitSnapshot, Facts, Need, Standing};
use crate::domain::policy::Band;
use crate::domain::risk::{ReleaseRisk, compose};
use std::collections::BTreeSet;

/// The comparison that says whether automation may deploy a commit: the default branch seen from it.
pub fn reachability(sha: &Sha, plan: &Plan) -> Need {
    Need::Comparison { base: sha.to_string(), head: plan.default_branch.to_string() }
}

/// Whether the default branch contains a commit, by the comparison that was looked up.
pub fn is_reachable(sha: &Sha, plan: &Plan, facts: &Facts) -> bool {
    match facts.comparison(sha.as_str(), plan.default_branch.as_str()) {
        Some(Ok(found)) => matches!(found.standing, Standing::Ahead | Standing::Identical),
        Some(Err(_)) | None => false,
    }
}

/// Every change that the pipeline knows to lie between what is live and a release, oldest release first, each once: a
/// candidate takes over the changes of those whose place it took.
pub fn changes<'a>(state: &'a PipelineState, release: &'a Release, environment: &EnvironmentName) -> Vec<&'a Change> {
    let from = live_delivery(state, environment);
    let to = delivery_of(state, release).unwrap_or(release.number);
    let between = state.releases.values().filter(|r| r.number > from && r.number <= to && r.number != release.number);
    // One of them may have taken over, for an environment further on, what is live in this one.
    let between = between.flat_map(|r| &r.changes).filter(|change| !is_in(state, from, change));
    let mut seen = BTreeSet::new();
    // What a release is made for counts also where that is live already.
    between.chain(&release.changes).filter(|change| seen.insert(change.pull)).collect()
}

/// The same without what is live already: a release may be made of that once more, or have taken it over.
pub fn new_changes<'a>(
    state: &'a PipelineState,
    release: &'a Release,
    environment: &EnvironmentName,
) -> Vec<&'a Change> {
    let from = live_delivery(state, environment);
    let mut changes = changes(state, release, environment);
    changes.retain(|change| !is_in(state, from, change));
    changes
}

/// The changes between the target of a rollback and the release that runs, each once: all of them go.
pub fn gone_by<'a>(state: &'a PipelineState, release: &'a Release, target: &Live) -> Vec<&'a Change> {
    let place = |release: &Release| delivery_of(state, release).unwrap_or(release.number);
    // What is of no delivery may be any commit: then everything may go.
    let from = state.releases.get(&target.release).map_or(Some(target.release), |r| delivery_of(state, r));
    let from = from.unwrap_or(ReleaseNumber(0));
    let between = state.releases.values().filter(|r| r.number > from && r.number <= place(release));
    let mut seen = BTreeSet::new();
    let all = between.chain([release]).flat_map(|r| &r.changes);
    all.filter(|change| !is_in(state, from, change) && seen.insert(change.pull)).collect()
}

/// The delivery that is live in an environment, which brought all that earlier ones brought; 0: none, or what is live is
/// of no delivery and may be any commit, and then everything may be new.
fn live_delivery(state: &PipelineState, environment: &EnvironmentName) -> ReleaseNumber {
    let live = state.live(environment).and_then(|live| state.releases.get(&live.release));
    live.and_then(|live| delivery_of(state, live)).unwrap_or(ReleaseNumber(0))
}

/// Whether the commit of a delivery has a change: that or an earlier delivery was made for it.
pub fn is_in(state: &PipelineState, delivery: ReleaseNumber, change: &Change) -> bool {
    let up_to = state.releases.range(..=delivery).map(|(_, r)| r);
    let mut up_to = up_to.filter(|r| matches!(r.purpose, Purpose::Delivery)).flat_map(|r| &r.changes);
    up_to.any(|other| other.pull == change.pull)
}

/// The delivery whose commit a release is made of: somebody may have asked for it once more, or elsewhere. `None`: it
/// is a commit of its own.
pub fn delivery_of(state: &PipelineState, release: &Release) -> Option<ReleaseNumber> {
    if !matches!(release.purpose, Purpose::Requested { .. }) {
        return Some(release.number);
    }
    let same = |r: &&Release| matches!(r.purpose, Purpose::Delivery) && r.sha == release.sha;
    state.releases.values().rev().find(same).map(|delivery| delivery.number)
}

/// What runs where a delivery ends: over that it never goes back.
fn under<'a>(state: &'a PipelineState, release: &Release, environment: &EnvironmentName) -> Option<&'a Live> {
    let ends_here = release.stages.last().is_some_and(|stage| stage.policy.name == *environment);
    state.live(environment).filter(|_| ends_here && matches!(release.purpose, Purpose::Delivery))
}

/// The same when it is a commit of no delivery: somebody brought it there, and the numbers of releases do not tell which
/// of the two came first.
pub fn stray<'a>(state: &'a PipelineState, release: &Release, environment: &EnvironmentName) -> Option<&'a Live> {
    let live = under(state, release, environment)?;
    let known = state.releases.get(&live.release)?;
    delivery_of(state, known).is_none().then_some(live)
}

/// Whether a release would bring anything over what runs; `None`: GitHub was not asked yet, or did not say.
pub fn comes_after(state: &PipelineState, release: &Release, stage: &Stage) -> Option<bool> {
    let Some(live) = under(state, release, &stage.policy.name) else { return Some(true) };
    let place = state.releases.get(&live.release).map_or(Some(live.release), |known| delivery_of(state, known));
    if let Some(place) = place {
        return Some(place <= release.number);
    }
    let known = stage.known.as_ref().filter(|known| known.target.as_ref() == Some(&live.sha))?;
    known.contained.map(|contained| !contained)
}

/// The risk of everything that a release would bring, with its band; `None`: of a part of it nobody knows.
pub fn risk(state: &PipelineState, release: &Release, environment: &EnvironmentName) -> Option<(f64, Band)> {
    // A commit that somebody named brings what no pull request tells of.
    delivery_of(state, release)?;
    let together = together(&changes(state, release, environment));
    let known = together.unknown == 0 && together.judged > 0;
    known.then(|| (together.probability, Band::of(together.probability, &release.plan.risk)))
}

/// The risk of changes that are released together, as far as it is known.
pub fn together(changes: &[&Change]) -> ReleaseRisk {
    compose(changes.iter().map(|change| change.risk.map(|(probability, _)| probability)))
}

/// Whether a release would bring the pull request that takes another back. Of a commit of no merge nobody knows what it
/// holds.
pub fn brings_revert_of(
    state: &PipelineState,
    release: &Release,
    environment: &EnvironmentName,
    culprit: PullNumber,
) -> bool {
    let brought: BTreeSet<PullNumber> = changes(state, release, environment).iter().map(|change| change.pull).collect();
    delivery_of(state, release).is_some() && is_undone(state, &brought, culprit)
}

/// Whether one of what is brought together takes a pull request back, and nothing brought takes that back again.
fn is_undone(state: &PipelineState, brought: &BTreeSet<PullNumber>, pull: PullNumber) -> bool {
    // What takes back has the higher number, so this comes to its end.
    let takers = state.reverted.get(&pull).into_iter().flatten().filter(|by| **by > pull && brought.contains(by));
    takers.into_iter().any(|by| !is_undone(state, brought, *by))
}

/// A change that automation would bring although a later one, which it would not bring, took it back.
pub fn taken_back(
    state: &PipelineState,
    release: &Release,
    environment: &EnvironmentName,
) -> Option<(PullNumber, PullNumber)> {
    if state.reverted.is_empty() || !matches!(release.purpose, Purpose::Delivery) {
        return None;
    }
    let brought: BTreeSet<PullNumber> = changes(state, release, environment).iter().map(|change| change.pull).collect();
    brought.iter().find_map(|pull| {
        let by = state.reverted.get(pull)?.iter().find(|by| !brought.contains(by))?;
        (!is_undone(state, &brought, *pull)).then_some((*pull, *by))
    })
}

/// Whether a rollout pauses for good, since what it brings was reverted, and a release would not bring that.
pub fn mends(state: &PipelineState, release: &Release, environment: &EnvironmentName) -> bool {
    let paused = state.rolling(environment).filter(|(_, stage)| stage.is_paused());
    paused.is_some_and(|(rolling, _)| taken_back(state, rolling, environment).is_some())
        && taken_back(state, release, environment).is_none()
}

/// What must be compared to know a candidate's commits; with nothing live, the commit itself.
pub fn comparison(state: &PipelineState, release: &Release, environment: &EnvironmentName) -> Need {
    match state.live(environment) {
        Some(live) => Need::Comparison { base: live.sha.to_string(), head: release.sha.to_string() },
        None => Need::Commit { name: release.sha.to_string() },
    }
}

/// From when on merges may be part of a candidate: an hour before what is live was made, for clocks that differ.
pub fn merged_since(state: &PipelineState, environment: &EnvironmentName) -> Timestamp {
    let live = state.live(environment).and_then(|live| state.releases.get(&live.release));
    let made = live.filter(|live| delivery_of(state, live).is_some()).map(|live| live.created_at);
    made.map_or(Timestamp(0), |at| at.minus(Span::hours(1)))
}

/// The commits of a candidate.
///
/// # Errors
/// Why they cannot be told, as the end of a sentence.
pub fn commits(
    state: &PipelineState,
    release: &Release,
    environment: &EnvironmentName,
    facts: &Facts,
) -> Result<Vec<CommitSnapshot>, String> {
    let unreadable = |why: &Absence| match why {
        Absence::NotFound => "GitHub does not know its commits any more".to_owned(),
        Absence::Refused { message } | Absence::Unusable { message } => format!("GitHub would not say: {message}"),
    };
    match comparison(state, release, environment) {
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

/// Merged pull requests that lie in a candidate and that nobody has told us about (their delivery may be lost).
pub fn unknown_merges(
    state: &PipelineState,
    release: &Release,
    environment: &EnvironmentName,
    facts: &Facts,
) -> Vec<PullNumber> {
    let Some(Ok(recent)) = facts.recent_pulls(merged_since(state, environment)) else { return Vec::new() };
    let Ok(commits) = commits(state, release, environment, facts) else { return Vec::new() };
    let known: Vec<PullNumber> = changes(state, release, environment).iter().map(|c| c.pull).collect();
    recent
        .iter()
        .filter(|pull| pull.merged && !known.contains(&pull.number))
        .filter(|pull| pull.merge_commit_sha.as_ref().is_some_and(|sha| commits.iter().any(|c| c.sha == *sha)))
        .map(|pull| pull.number)
        .collect()
}

/// A change under suspicion.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspect {
    pub pull: PullNumber,
    /// Only its order means something.
    pub weight: f64,
    /// Why, in a few words.
    pub because: String,
    /// Who takes it back in what is still to come.
    pub taken_back: Option<PullNumber>,
}

/// The changes of a failed release, likeliest culprit first: what somebody takes back already, then by risk, by paths
/// that cannot be taken back, by how much of the service each touches. What the release itself took back is left out.
pub fn suspects(state: &PipelineState, release: &Release, environment: &EnvironmentName) -> Vec<Suspect> {
    let over = delivery_of(state, release).is_none_or(|place| place > live_delivery(state, environment));
    let is_live = state.live(environment).is_some_and(|live| live.release == release.number);
    let changes = match (is_live, over) {
        // What is live, and what was, is suspected of what it was made for; what somebody asked for, of its delivery's.
        (true, _) => {
            let delivery = delivery_of(state, release).and_then(|number| state.releases.get(&number));
            delivery.unwrap_or(release).changes.iter().collect()
        }
        (false, true) => unproven(state, release, environment),
        (false, false) => changes(state, release, environment),
    };
    ranked(state, &changes)
}

/// Whom a hold is put for: the first suspect. Of a commit of no merge nobody knows what it holds, so nobody is blamed, and
/// no revert passes by that.
pub fn culprit(state: &PipelineState, release: &Release, suspects: Vec<Suspect>) -> Option<Suspect> {
    delivery_of(state, release)?;
    suspects.into_iter().next()
}

/// The suspects of a release that somebody takes back: all that goes with it.
pub fn suspects_over(
    state: &PipelineState,
    release: &Release,
    environment: &EnvironmentName,
    target: &Live,
) -> Vec<Suspect> {
    let known = state.releases.get(&target.release).and_then(|known| delivery_of(state, known));
    match known {
        Some(_) if delivery_of(state, release).is_some() => ranked(state, &gone_by(state, release, target)),
        // One of the two may be any commit, and hold whatever is thought to go, or nothing of it.
        Some(_) | None => suspects(state, release, environment),
    }
}

/// What a release brings over what is live. Where that is of no delivery everything may be new: then what ran well
/// there before is left out, if anything remains.
fn unproven<'a>(state: &'a PipelineState, release: &'a Release, environment: &EnvironmentName) -> Vec<&'a Change> {
    let all = new_changes(state, release, environment);
    let good = state.environment(environment).map(|e| e.good.as_slice()).unwrap_or_default();
    let ran = good.iter().rev().find_map(|good| delivery_of(state, state.releases.get(&good.release)?));
    let Some(ran) = ran.filter(|ran| *ran > live_delivery(state, environment)) else { return all };
    let fresh: Vec<&Change> = all.iter().copied().filter(|change| !is_in(state, ran, change)).collect();
    if fresh.is_empty() { all } else { fresh }
}

fn ranked(state: &PipelineState, changes: &[&Change]) -> Vec<Suspect> {
    /// A change of unknown risk ranks with those that are thought to go wrong one time in five.
    const UNKNOWN: f64 = 0.2;
    const IRREVERSIBLE: f64 = 0.15;
    const ALL_FILES: f64 = 0.1;
    /// More than all of those together: somebody said already that it was wrong.
    const TAKEN_BACK: f64 = 2.0;
    let brought: BTreeSet<PullNumber> = changes.iter().map(|change| change.pull).collect();
    let merged: BTreeSet<PullNumber> = state.reverted.values().flatten().copied().collect();
    let files: u64 = changes.iter().map(|change| change.files).sum();
    let mut suspects: Vec<Suspect> = changes
        .iter()
        .filter(|change| !is_undone(state, &brought, change.pull))
        .map(|change| {
            let mut because = Vec::new();
            let mut weight = UNKNOWN;
            let takers = state.reverted.get(&change.pull).into_iter().flatten();
            let taken_back = takers.copied().find(|by| !brought.contains(by) && !is_undone(state, &merged, *by));
            if let Some(by) = taken_back {
                because.push(format!("taken back by #{by}"));
            }
            match change.risk {
                Some((p, band)) => {
                    weight = p;
                    because.push(format!("{} risk ({:.0} %)", band.word(), p * 100.0));
                }
                None => because.push("risk unknown".to_owned()),
            }
            if !change.irreversible.is_empty() {
                weight += IRREVERSIBLE;
                because.push("changes what cannot be taken back".to_owned());
            }
            if files > 0 && change.files > 0 {
                weight += ALL_FILES * change.files as f64 / files as f64;
                because.push(format!("{} of the {files} files that changed", change.files));
            }
            if taken_back.is_some() {
                weight += TAKEN_BACK;
            }
            Suspect { pull: change.pull, weight, because: because.join(", "), taken_back }
        })
        .collect();
    // The newest first among equals: what came last is likelier than what ran on another environment for longer.
    suspects.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(b.pull.cmp(&a.pull)));
    suspects.dedup_by_key(|suspect| suspect.pull);
    suspects
}
