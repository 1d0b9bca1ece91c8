//! Which commits are changes, and what each of them brings.
//!
//! Knows commits and their parents. Must never look at files.
//!
//! A change is a commit of the first-parent history: what was pushed, squashed or merged at once. Of a merge that brings
//! a pull request, the difference from its first parent is the change, and the authors of the commits that it brings are
//! its authors.

use super::error::HistoryError;
use super::message::Message;
use super::people::Person;
use super::repo::{Commit, Repo};
use gix_hash::ObjectId;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

/// Which commits are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The first-parent history: what entered the branch, in the order in which it entered.
    FirstParent,
    /// Every commit but merges, as `git log --no-merges` lists them; to compare with git and with published data.
    AllCommits,
}

/// A change before its files are known.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub id: ObjectId,
    pub tree: ObjectId,
    /// Tree of the first parent; `None`: it is the first commit.
    pub tree_before: Option<ObjectId>,
    pub parent: Option<ObjectId>,
    pub committed: i64,
    /// Unix seconds and minutes east of UTC of the author's own clock.
    pub written: (i64, i32),
    /// The one with most of the commits first.
    pub authors: Vec<Person>,
    pub message: Message,
    /// The commits that a merge brings, by the first eight bytes of their hashes.
    pub brings: Vec<u64>,
}

/// Commits that one merge may bring; what lies beyond is not looked at.
const BROUGHT_MAX: usize = 2_000;

/// First eight bytes of a hash: enough to tell the commits of one repository apart.
pub(super) fn short(id: &ObjectId) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&id.as_slice()[..8]);
    u64::from_be_bytes(bytes)
}

/// The commits of the first-parent history that lie after `stop`, newest first.
///
/// Ends at the first commit when `stop` is not an ancestor on that line, which the caller sees by the last one's parent.
pub(super) fn first_parents(
    repo: &Repo,
    tip: ObjectId,
    stop: &dyn Fn(&ObjectId) -> bool,
    tell: &mut dyn FnMut(usize),
) -> Result<Vec<Commit>, HistoryError> {
    let mut found = Vec::new();
    let mut next = Some(tip).filter(|tip| !stop(tip));
    while let Some(id) = next {
        let commit = repo.commit(id)?;
        next = commit.parents.first().copied().filter(|parent| !stop(parent));
        found.push(commit);
        tell(found.len());
    }
    Ok(found)
}

/// Turns the commits of a first-parent history, newest first, into steps, oldest first.
///
/// `known` are the commits that earlier steps are or bring; those of these steps are added.
pub(super) fn steps(
    repo: &Repo,
    commits: Vec<Commit>,
    before: Option<ObjectId>,
    known: &mut HashSet<u64>,
) -> Result<Vec<Step>, HistoryError> {
    let mut tree_before = before;
    let mut steps = Vec::with_capacity(commits.len());
    for commit in commits.into_iter().rev() {
        known.insert(short(&commit.id));
        let brought = brought(repo, &commit, known)?;
        let mut authors = most_first(brought.iter().map(|commit| commit.author));
        if authors.is_empty() {
            authors.push(commit.author);
        }
        let titles: Vec<String> =
            brought.iter().map(|commit| commit.message.lines().next().unwrap_or_default().to_owned()).collect();
        steps.push(Step {
            id: commit.id,
            tree: commit.tree,
            tree_before,
            parent: commit.parents.first().copied(),
            committed: commit.committed,
            written: commit.written,
            authors,
            message: Message::read(&commit.message, &titles),
            brings: brought.iter().map(|commit| short(&commit.id)).collect(),
        });
        tree_before = Some(commit.tree);
    }
    Ok(steps)
}

/// The commits, not merges, that reach the branch by this merge.
fn brought(repo: &Repo, merge: &Commit, known: &mut HashSet<u64>) -> Result<Vec<Commit>, HistoryError> {
    let mut todo: Vec<ObjectId> = merge.parents.iter().skip(1).copied().collect();
    let mut found = Vec::new();
    let mut looked = 0;
    while let Some(id) = todo.pop() {
        if looked >= BROUGHT_MAX || !known.insert(short(&id)) {
            continue;
        }
        looked += 1;
        let commit = repo.commit(id)?;
        todo.extend(&commit.parents);
        if commit.parents.len() < 2 {
            found.push(commit);
        }
    }
    Ok(found)
}

/// The commits that are in `head` and not in `base`, merges left out, and the newest commit that both have.
///
/// Walks both sides from new to old, as `git merge-base` does; a clock that goes backwards may cost steps, never an answer.
pub(super) fn between(
    repo: &Repo,
    base: ObjectId,
    head: ObjectId,
) -> Result<(Vec<Commit>, Option<ObjectId>), HistoryError> {
    const BASE: u8 = 1;
    const HEAD: u8 = 2;
    let mut flags: HashMap<ObjectId, u8> = HashMap::new();
    let mut commits: HashMap<ObjectId, Commit> = HashMap::new();
    let mut heap = BinaryHeap::new();
    let mut common = None;
    for (id, flag) in [(base, BASE), (head, HEAD)] {
        *flags.entry(id).or_insert(0) |= flag;
        heap.push((repo.commit(id)?.committed, id, flag));
    }
    // Entries of one side only that are still to be walked: when there are none, all that is left is common.
    let mut open = heap.len();
    while let Some((_, id, walked)) = heap.pop() {
        let now = flags[&id];
        if walked != BASE | HEAD {
            open -= 1;
        }
        if now == BASE | HEAD && common.is_none() {
            common = Some(id);
        }
        if open == 0 && now == BASE | HEAD && heap.iter().all(|(_, id, _)| flags[id] == BASE | HEAD) {
            break;
        }
        let commit = match commits.remove(&id) {
            Some(commit) => commit,
            None => repo.commit(id)?,
        };
        for parent in &commit.parents {
            let flag = flags.entry(*parent).or_insert(0);
            if *flag | now != *flag {
                *flag |= now;
                heap.push((repo.commit(*parent)?.committed, *parent, *flag));
                if *flag != BASE | HEAD {
                    open += 1;
                }
            }
        }
        commits.insert(id, commit);
    }
    commits.retain(|id, _| flags[id] == HEAD);
    let mut own = parents_first(commits);
    own.retain(|commit| commit.parents.len() < 2);
    Ok((own, common))
}

/// Commits oldest first, but never one before its parents: several are often made within one second.
fn parents_first(mut commits: HashMap<ObjectId, Commit>) -> Vec<Commit> {
    let mut waits: HashMap<ObjectId, usize> = HashMap::new();
    let mut children: HashMap<ObjectId, Vec<ObjectId>> = HashMap::new();
    for commit in commits.values() {
        let parents: HashSet<&ObjectId> =
            commit.parents.iter().filter(|parent| commits.contains_key(*parent)).collect();
        waits.insert(commit.id, parents.len());
        for parent in parents {
            children.entry(*parent).or_default().push(commit.id);
        }
    }
    let free = commits.values().filter(|commit| waits.get(&commit.id) == Some(&0));
    let mut ready: BinaryHeap<Reverse<(i64, ObjectId)>> =
        free.map(|commit| Reverse((commit.committed, commit.id))).collect();
    let mut ordered = Vec::with_capacity(commits.len());
    while let Some(Reverse((_, id))) = ready.pop() {
        ordered.extend(commits.remove(&id));
        for child in children.remove(&id).into_iter().flatten() {
            let Some(left) = waits.get_mut(&child) else { continue };
            *left -= 1;
            if let (0, Some(commit)) = (*left, commits.get(&child)) {
                ready.push(Reverse((commit.committed, child)));
            }
        }
    }
    ordered
}

/// Every commit but merges, oldest first in the order of `git log`.
pub(super) fn all_commits(repo: &Repo, tip: ObjectId, tell: &mut dyn FnMut(usize)) -> Result<Vec<Step>, HistoryError> {
    let mut seen: HashSet<ObjectId> = HashSet::from([tip]);
    let mut trees: HashMap<ObjectId, ObjectId> = HashMap::new();
    let first = repo.commit(tip)?;
    let mut heap = BinaryHeap::from([(first.committed, tip)]);
    let mut waiting: HashMap<ObjectId, Commit> = HashMap::from([(tip, first)]);
    let mut steps = Vec::new();
    while let Some((_, id)) = heap.pop() {
        let Some(commit) = waiting.remove(&id) else { continue };
        for parent in &commit.parents {
            if seen.insert(*parent) {
                let parent = repo.commit(*parent)?;
                heap.push((parent.committed, parent.id));
                waiting.insert(parent.id, parent);
            }
        }
        trees.insert(id, commit.tree);
        tell(trees.len());
        if commit.parents.len() < 2 {
            steps.push(Step {
                id,
                tree: commit.tree,
                tree_before: None,
                parent: commit.parents.first().copied(),
                committed: commit.committed,
                written: commit.written,
                authors: vec![commit.author],
                message: Message::read(&commit.message, &[]),
                brings: Vec::new(),
            });
        }
    }
    for step in &mut steps {
        step.tree_before = step.parent.and_then(|parent| trees.get(&parent).copied());
    }
    steps.reverse();
    Ok(steps)
}

/// Everybody once, who comes most often first; of two that come as often the first one.
pub(super) fn most_first(people: impl Iterator<Item = Person>) -> Vec<Person> {
    let mut counts: Vec<(Person, usize)> = Vec::new();
    for person in people {
        match counts.iter_mut().find(|(known, _)| *known == person) {
            Some((_, count)) => *count += 1,
            None => counts.push((person, 1)),
        }
    }
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.into_iter().map(|(person, _)| person).collect()
}
