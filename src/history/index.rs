//! The index: every change of a branch with its files, and what follows from them, extended and never rebuilt for a push.
//!
//! Knows changes in their order. Must never keep what a person wrote beyond a change's title, nor who a person is.
//!
//! What is kept are the facts of each change; all metrics and outcomes follow from them by replaying, so a better
//! definition needs no new mining.

use super::attributes::Attributes;
use super::error::HistoryError;
use super::mine::{FileChange, Manner, Stage, mine};
use super::outcome::{outcomes, sha};
use super::record::{self, Names};
use super::replay::{Past, Seen};
use super::repo::{Commit, Repo};
use super::tree::Paths;
use super::walk::{self, Scope, Step, short};
use super::{MinedChange, Progress, Range};
use crate::domain::ids::{PullNumber, Sha, Timestamp};
use crate::domain::risk::{ChangeMetrics, Outcome};
use gix_hash::ObjectId;
use std::collections::{HashMap, HashSet};

/// One change with its files.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    pub step: Step,
    pub files: Vec<FileChange>,
}

impl Change {
    fn seen(&self) -> Seen<'_> {
        let Step { committed, written, authors, message, .. } = &self.step;
        Seen { committed: *committed, written: *written, authors, message, files: &self.files }
    }
}

/// The changes of one branch up to one commit.
///
/// They are held as they are written: small, and read when something is measured.
#[derive(Default)]
pub(super) struct Index {
    log: Vec<u8>,
    /// Where each record ends in the log.
    ends: Vec<usize>,
    paths: Paths,
    names: Names,
    /// Places of the changes by the first eight bytes of their hashes.
    places: HashMap<u64, usize>,
    /// Commits that the changes are or bring, by the same.
    known: HashSet<u64>,
    tip: Option<ObjectId>,
    /// All that happened so far; made when it is first needed.
    past: Option<Past>,
    /// The rules and the tree that they are of.
    attributes: Option<(ObjectId, Attributes)>,
}

/// What an extension did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extended {
    /// Changes that came.
    pub added: usize,
    /// Changes that are no longer part of the branch: its history was rewritten, or force-pushed.
    pub dropped: usize,
}

impl Index {
    /// Takes a change as it was written; `false` when it cannot be read.
    pub fn remember(&mut self, record: &[u8]) -> bool {
        let Some((id, brings)) = record::read_head(record, &mut self.paths, &mut self.names) else { return false };
        self.log.extend_from_slice(record);
        self.ends.push(self.log.len());
        self.places.insert(short(&id), self.ends.len() - 1);
        self.known.insert(short(&id));
        self.known.extend(brings);
        self.tip = Some(id);
        true
    }

    /// How many changes there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The last change.
    pub fn tip(&self) -> Option<ObjectId> {
        self.tip
    }

    /// The changes from a place on, as they are written.
    pub fn records(&self, first: usize) -> impl Iterator<Item = &[u8]> {
        (first..self.ends.len())
            .map(|at| &self.log[at.checked_sub(1).map_or(0, |before| self.ends[before])..self.ends[at]])
    }

    /// The changes, read one after the other.
    fn changes(&self) -> impl Iterator<Item = Change> {
        self.records(0).map_while(|record| record::read(record, &self.names))
    }

    /// Brings the index to a commit: what lies between is mined, and what is no longer below it is dropped.
    pub fn extend(
        &mut self,
        repo: &Repo,
        tip: ObjectId,
        scope: Scope,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Extended, HistoryError> {
        let mut listed = |done| progress(Progress { stage: Stage::Commits, done, all: None });
        let (kept, steps) = match scope {
            Scope::FirstParent => {
                let places = &self.places;
                let commits = walk::first_parents(repo, tip, &|id| places.contains_key(&short(id)), &mut listed)?;
                let base = commits.last().map_or(Some(tip), |oldest| oldest.parents.first().copied());
                let kept = base.and_then(|base| self.places.get(&short(&base))).map_or(0, |place| place + 1);
                (kept, Listed::Commits(commits))
            }
            Scope::AllCommits => (0, Listed::Steps(walk::all_commits(repo, tip, &mut listed)?)),
        };
        let dropped = self.len() - kept;
        if dropped > 0 {
            self.cut(kept);
        }
        let steps = match steps {
            Listed::Steps(steps) => steps,
            Listed::Commits(commits) => {
                let before = self.tip.map(|tip| repo.commit(tip)).transpose()?.map(|commit| commit.tree);
                walk::steps(repo, commits, before, &mut self.known)?
            }
        };
        let added = steps.len();
        if added > 0 {
            let tree = repo.commit(tip)?.tree;
            let files = self.files(repo, tree, &steps, progress)?;
            self.append(steps.into_iter().zip(files).map(|(step, files)| Change { step, files }).collect());
        }
        Ok(Extended { added, dropped })
    }

    /// Mines the files of steps, by the attributes of a tree.
    fn files(
        &mut self,
        repo: &Repo,
        tree: ObjectId,
        steps: &[Step],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Vec<FileChange>>, HistoryError> {
        self.read_attributes(repo, tree)?;
        let Self { attributes, paths, .. } = self;
        let attributes = &mut attributes.get_or_insert_with(|| (tree, Attributes::default())).1;
        let mut tell = |stage, done, all| progress(Progress { stage, done, all: Some(all) });
        mine(repo, steps, Manner { renames: true }, paths, attributes, &mut tell)
    }

    /// Reads the attributes of the last change, so that they are known before the first extension.
    pub fn know_attributes(&mut self, repo: &Repo) -> Result<(), HistoryError> {
        match self.tip {
            Some(tip) => self.read_attributes(repo, repo.commit(tip)?.tree),
            None => Ok(()),
        }
    }

    /// Reads the attributes of a tree.
    fn read_attributes(&mut self, repo: &Repo, tree: ObjectId) -> Result<(), HistoryError> {
        if self.attributes.as_ref().is_some_and(|(of, _)| *of == tree) {
            return Ok(());
        }
        let read = match self.ends.is_empty() {
            true => Attributes::read(repo, tree)?,
            // All folders that ever had any are known by now.
            false => Attributes::read_known(repo, tree, self.paths.named(Attributes::NAME))?,
        };
        let before = self.attributes.replace((tree, read));
        if before.is_some_and(|(_, before)| before.say_documentation()) || self.attributes_say_documentation() {
            // What paths are called may differ.
            self.past = None;
        }
        Ok(())
    }

    fn attributes_say_documentation(&self) -> bool {
        self.attributes.as_ref().is_some_and(|(_, said)| said.say_documentation())
    }

    fn append(&mut self, changes: Vec<Change>) {
        if let Some(past) = &mut self.past {
            let attributes = self.attributes.as_ref();
            past.learn_paths(&self.paths, &|path| attributes.is_some_and(|(_, said)| said.is_documentation(path)));
        }
        for change in changes {
            let record = record::write(&change, &self.paths, &mut self.names);
            self.log.extend_from_slice(&record);
            self.ends.push(self.log.len());
            self.places.insert(short(&change.step.id), self.ends.len() - 1);
            self.known.insert(short(&change.step.id));
            self.known.extend(&change.step.brings);
            self.tip = Some(change.step.id);
            if let Some(past) = &mut self.past {
                past.happen(&change.seen());
            }
        }
    }

    /// Forgets all changes but the first ones.
    fn cut(&mut self, kept: usize) {
        let before = std::mem::take(self);
        for record in before.records(0).take(kept) {
            self.remember(record);
        }
    }

    /// Nothing happened yet, but the paths are known by name.
    fn no_past(&self) -> Past {
        let mut past = Past::default();
        let attributes = self.attributes.as_ref();
        past.learn_paths(&self.paths, &|path| attributes.is_some_and(|(_, said)| said.is_documentation(path)));
        past
    }

    /// Every change with its metrics, oldest first.
    pub fn mined(&self) -> Vec<MinedChange> {
        let mut past = self.no_past();
        let mut mined = Vec::with_capacity(self.len());
        for change in self.changes() {
            let metrics = past.measure(&change.seen());
            past.happen(&change.seen());
            mined.push(mined_change(&change.step, metrics));
        }
        mined
    }

    /// Metrics of one change of the branch, as they were when it came; `None`: it is none of its changes.
    pub fn mined_one(&self, id: ObjectId) -> Option<MinedChange> {
        let place = *self.places.get(&short(&id))?;
        let mut past = self.no_past();
        for change in self.changes().take(place) {
            past.happen(&change.seen());
        }
        let change = record::read(self.records(place).next()?, &self.names).filter(|change| change.step.id == id)?;
        Some(mined_change(&change.step, past.measure(&change.seen())))
    }

    /// What went wrong, as far as the changes tell.
    pub fn outcomes(&self) -> Vec<Outcome> {
        outcomes(self.changes(), self.paths.len())
    }

    /// Measures what `head` brings over `base` as one change that comes next.
    ///
    /// The change is the difference between the two and their newest common commit, as a pull request shows it. Its author
    /// is who wrote most of its commits. `message` is what the pull request says; without, its commits speak.
    pub fn measure_range(
        &mut self,
        repo: &Repo,
        base: ObjectId,
        head: ObjectId,
        message: Option<&str>,
    ) -> Result<Range, HistoryError> {
        let (commits, common) = walk::between(repo, base, head)?;
        let unrelated = || HistoryError::Unrelated { base: base.to_string(), head: head.to_string() };
        let common = repo.commit(common.ok_or_else(unrelated)?)?;
        let head = repo.commit(head)?;
        let step = range_step(&common, &head, &commits, message);
        let files = self.files(repo, head.tree, std::slice::from_ref(&step), &mut |_| {})?;
        let change = Change { files: files.into_iter().next().unwrap_or_default(), step };
        let mut past = match self.past.take() {
            Some(past) => past,
            None => {
                let mut past = self.no_past();
                self.changes().for_each(|change| past.happen(&change.seen()));
                past
            }
        };
        let attributes = self.attributes.as_ref();
        past.learn_paths(&self.paths, &|path| attributes.is_some_and(|(_, said)| said.is_documentation(path)));
        let metrics = past.measure(&change.seen());
        self.past = Some(past);
        Ok(Range {
            base: sha(&common.id),
            head: sha(&head.id),
            commits: commits.iter().map(|commit| sha(&commit.id)).collect(),
            title: change.step.message.title.clone(),
            metrics,
        })
    }
}

enum Listed {
    Commits(Vec<Commit>),
    Steps(Vec<Step>),
}

fn range_step(common: &Commit, head: &Commit, commits: &[Commit], message: Option<&str>) -> Step {
    let mut authors = walk::most_first(commits.iter().map(|commit| commit.author));
    if authors.is_empty() {
        authors.push(head.author);
    }
    // The oldest commit usually says what the whole is for.
    let spoken = message.or(commits.first().map(|commit| commit.message.as_str())).unwrap_or(&head.message);
    Step {
        id: head.id,
        tree: head.tree,
        tree_before: Some(common.tree),
        parent: Some(common.id),
        committed: commits.iter().map(|commit| commit.committed).max().unwrap_or(head.committed),
        written: head.written,
        authors,
        message: super::message::Message::read(spoken, &[]),
        brings: Vec::new(),
    }
}

fn mined_change(step: &Step, metrics: ChangeMetrics) -> MinedChange {
    MinedChange {
        sha: sha(&step.id),
        committed_at: Timestamp(step.committed.saturating_mul(1_000)),
        written_at: Timestamp(step.written.0.saturating_mul(1_000)),
        author_minutes_east: step.written.1,
        title: step.message.title.clone(),
        pull: step.message.pull.map(PullNumber),
        metrics,
    }
}

/// The place of a commit by its hash.
pub(super) fn object(sha: &Sha) -> Option<ObjectId> {
    ObjectId::from_hex(sha.as_str().as_bytes()).ok()
}

/// Takes every file.
struct Every;

impl super::mine::Taken for Every {
    fn takes(&mut self, _: &[u8]) -> bool {
        true
    }
}

/// Lines by commit and file, with nothing left out and no renames.
pub(super) fn line_counts(
    repo: &Repo,
    tip: ObjectId,
    scope: Scope,
    take: &mut dyn FnMut(Sha, Vec<super::FileLines>),
) -> Result<(), HistoryError> {
    let steps = match scope {
        Scope::AllCommits => walk::all_commits(repo, tip, &mut |_| {})?,
        Scope::FirstParent => {
            let commits = walk::first_parents(repo, tip, &|_| false, &mut |_| {})?;
            walk::steps(repo, commits, None, &mut HashSet::new())?
        }
    };
    let mut paths = Paths::default();
    let files = mine(repo, &steps, Manner { renames: false }, &mut paths, &mut Every, &mut |_, _, _| {})?;
    for (step, files) in steps.iter().zip(files) {
        let lines = files.into_iter().map(|file| super::FileLines {
            path: paths.bytes(file.path).to_vec(),
            added_and_deleted: file.lines.map(|lines| (lines.added, lines.deleted)),
        });
        take(sha(&step.id), lines.collect());
    }
    Ok(())
}
