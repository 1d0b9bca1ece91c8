//! A merge queue's groups: who is in one, what its pull requests say, and how long they may take.
//!
//! Knows answers of pull requests. Must never judge one itself: it asks their lanes.

use super::{Heard, RepositoryState};
use crate::domain::event::{Event, MergeGroup, Signal};
use crate::domain::facts::{Facts, Need};
use crate::domain::ids::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many groups are remembered.
const GROUPS_KEPT: usize = 20;
/// How many pull requests of a group are asked.
const PULLS_MAX: usize = 100;
/// Who has not answered is asked again.
const ASK_EVERY: Span = Span::minutes(2);
/// After this nobody is waited for any more.
const GIVE_UP_AFTER: Span = Span::minutes(10);

/// A merge queue's group and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub of: MergeGroup,
    pub wanted_at: Timestamp,
    /// When its pull requests were last asked.
    pub asked_at: Timestamp,
    /// What each said; `None`: not yet.
    pub pulls: BTreeMap<PullNumber, Option<Said>>,
    /// Not all of its commits could be read, so it may carry more pull requests than these.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    #[serde(default)]
    pub stage: GroupStage,
    /// How often somebody asked GitHub to run our checks again.
    #[serde(default)]
    pub asked_again: u64,
    /// Whether the policy had our checks of risk and holds block when the group was heard of.
    #[serde(default)]
    pub risk_blocks: bool,
    #[serde(default)]
    pub hold_check: bool,
}

/// How far a group has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupStage {
    /// Somebody has not answered yet.
    #[default]
    Open,
    /// Everybody has answered.
    Judged,
    /// Somebody did not answer in time.
    GivenUp,
    /// GitHub is done with it; its word is `merged`, `invalidated` or `dequeued`.
    Gone { reason: String },
}

/// What a pull request says of itself to a group; each is `None` when all is well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    pub policy: Option<String>,
    pub risk: Option<String>,
    pub hold: Option<String>,
}

impl Group {
    /// Whether somebody is still waited for.
    pub fn is_open(&self) -> bool {
        self.stage == GroupStage::Open
    }

    /// When the clock must call for it.
    fn wake_at(&self) -> Option<Timestamp> {
        self.is_open().then(|| self.asked_at.plus(ASK_EVERY).min(self.wanted_at.plus(GIVE_UP_AFTER)))
    }
}

/// What must be known of a group: the commits that it brings.
pub(super) fn need(group: &MergeGroup) -> Need {
    Need::Comparison { base: group.base_sha.to_string(), head: group.head_sha.to_string() }
}

/// The pull requests of a group, and whether there may be more of them than are named.
fn named(of: &MergeGroup, facts: &Facts) -> (BTreeMap<PullNumber, Option<Said>>, bool) {
    let mut numbers: Vec<PullNumber> = number_in_ref(&of.head_ref).into_iter().collect();
    let mut cut = match facts.comparison(of.base_sha.as_str(), of.head_sha.as_str()) {
        Some(Ok(found)) => {
            numbers.extend(found.commits.iter().filter_map(|commit| number_in_message(&commit.message)));
            found.total_commits > found.commits.len() as u64
        }
        Some(Err(_)) | None => true,
    };
    let mut pulls = BTreeMap::new();
    for number in numbers {
        if pulls.len() < PULLS_MAX || pulls.contains_key(&number) {
            pulls.insert(number, None);
        } else {
            cut = true;
        }
    }
    (pulls, cut)
}

/// Starts to judge a group, once.
pub(super) fn wanted(state: &mut RepositoryState, of: &MergeGroup, facts: &Facts, now: Timestamp, heard: &mut Heard) {
    if state.groups.iter().any(|group| group.of.head_sha == of.head_sha) {
        return;
    }
    let (pulls, cut) = named(of, facts);
    let policy = state.policy.as_ref().map(|held| &held.policy);
    let mut group = Group {
        of: of.clone(),
        wanted_at: now,
        asked_at: now,
        pulls,
        cut,
        stage: GroupStage::Open,
        asked_again: 0,
        risk_blocks: policy.is_some_and(|policy| policy.risk.block.is_some()),
        hold_check: policy.and_then(|policy| policy.pipeline.as_ref()).is_some_and(|pipeline| pipeline.hold_check),
    };
    let asked = group.pulls.len();
    heard.notes.push(format!("merge group {}: {asked} pull requests are asked", of.head_sha.short()));
    ask(&state.repo, &mut group, now, heard);
    state.groups.push(group);
    forget(state);
}

/// Asks everybody who has not answered.
fn ask(repo: &RepoName, group: &mut Group, now: Timestamp, heard: &mut Heard) {
    group.asked_at = now;
    for (number, _) in group.pulls.iter().filter(|(_, said)| said.is_none()) {
        let lane = Subject::PullRequest { repo: repo.clone(), number: *number };
        let signal = Signal::GroupWanted { head_sha: group.of.head_sha.clone() };
        heard.forwards.push((lane, Event::Signal(signal)));
    }
    if group.pulls.is_empty() {
        group.stage = GroupStage::GivenUp;
    }
}

/// The oldest that are over go first; of those that are not, the oldest.
fn forget(state: &mut RepositoryState) {
    while state.groups.len() > GROUPS_KEPT {
        let oldest = state.groups.iter().position(|group| !group.is_open()).unwrap_or(0);
        state.groups.remove(oldest);
    }
}

/// Writes down what a pull request said.
pub(super) fn judged(state: &mut RepositoryState, head_sha: &Sha, pull: PullNumber, said: Said, heard: &mut Heard) {
    let found = state.groups.iter_mut().find(|group| group.of.head_sha == *head_sha);
    let Some(group) = found else { return };
    let Some(slot) = group.pulls.get_mut(&pull) else { return };
    *slot = Some(said);
    let all = group.pulls.values().all(Option::is_some);
    if all && matches!(group.stage, GroupStage::Open | GroupStage::GivenUp) {
        group.stage = GroupStage::Judged;
        heard.notes.push(format!("merge group {} is judged", head_sha.short()));
    }
}

/// GitHub is done with a group.
pub(super) fn destroyed(state: &mut RepositoryState, head_sha: &Sha, reason: &str, heard: &mut Heard) {
    let found = state.groups.iter_mut().find(|group| group.of.head_sha == *head_sha && group.is_open());
    if let Some(group) = found {
        group.stage = GroupStage::Gone { reason: reason.to_owned() };
        heard.notes.push(format!("merge group {} is gone: {reason}", head_sha.short()));
    }
}

/// Somebody asked GitHub to run our checks of a group's head again.
pub(super) fn again(state: &mut RepositoryState, head_sha: &Sha, facts: &Facts, now: Timestamp, heard: &mut Heard) {
    let RepositoryState { repo, groups, .. } = state;
    let Some(group) = groups.iter_mut().find(|group| group.of.head_sha == *head_sha) else { return };
    group.asked_again += 1;
    if matches!(group.stage, GroupStage::Gone { .. }) {
        return;
    }
    group.stage = GroupStage::Open;
    group.wanted_at = now;
    group.pulls.values_mut().for_each(|said| *said = None);
    if group.cut {
        (group.pulls, group.cut) = named(&group.of, facts);
    }
    ask(repo, group, now, heard);
}

/// The clock called: asks again, or gives up.
pub(super) fn tick(state: &mut RepositoryState, now: Timestamp, heard: &mut Heard) {
    let RepositoryState { repo, groups, .. } = state;
    for group in groups.iter_mut().filter(|group| group.is_open()) {
        if group.wanted_at.plus(GIVE_UP_AFTER) <= now {
            group.stage = GroupStage::GivenUp;
            heard.notes.push(format!("merge group {}: not everybody answered", group.of.head_sha.short()));
        } else if group.asked_at.plus(ASK_EVERY) <= now {
            ask(repo, group, now, heard);
        }
    }
}

/// When the clock must call.
pub(super) fn wake_at(state: &RepositoryState) -> Option<Timestamp> {
    state.groups.iter().filter_map(Group::wake_at).min()
}

/// The pull request that a queue's branch is for: `gh-readonly-queue/main/pr-12-<sha>`.
fn number_in_ref(head_ref: &RefName) -> Option<PullNumber> {
    let name = head_ref.as_str().rsplit('/').next()?;
    let (number, _) = name.strip_prefix("pr-")?.split_once('-')?;
    number.parse().ok().filter(|number| *number > 0).map(PullNumber)
}

/// The pull request that GitHub names in the first line of a commit that it made: `title (#12)` or
/// `Merge pull request #12 from ...`. An earlier `(#11)` of the title is somebody else.
fn number_in_message(message: &str) -> Option<PullNumber> {
    let line = message.lines().next()?.trim();
    let number = match line.strip_prefix("Merge pull request #") {
        Some(rest) => rest.split(' ').next()?,
        None => line.strip_suffix(')')?.rsplit_once("(#")?.1,
    };
    number.parse().ok().filter(|number| *number > 0).map(PullNumber)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_named_by_its_branch_and_by_the_commits_that_github_made() {
        let of = |name: &str| number_in_ref(&RefName::new(name)).map(|n| n.0);
        assert_eq!(of("gh-readonly-queue/main/pr-12-0123456"), Some(12));
        assert_eq!(of("gh-readonly-queue/release/1.x/pr-7-0123456"), Some(7));
        assert_eq!(of("refs/heads/gh-readonly-queue/main/pr-12-0123456"), Some(12));
        assert_eq!([of("main"), of("pr-12"), of("pr-x-1"), of("pr-0-1")], [None; 4]);
        let said = |message: &str| number_in_message(message).map(|n| n.0);
        assert_eq!(said("feat: cents (#12)\n\nfixes (#3)"), Some(12));
        assert_eq!(said("Revert \"feat: cents (#12)\" (#13)"), Some(13));
        assert_eq!(said("Merge pull request #14 from acme/cents\n\nCents"), Some(14));
        assert_eq!(said("feat: cents, see (#12) and more"), None);
        assert_eq!([said(""), said("fix (#)"), said("fix (#x)"), said("Merge branch 'main'")], [None; 4]);
    }
}
