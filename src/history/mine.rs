//! The files of each change: lines added and deleted, what stood there before, and where.
//!
//! Knows trees and blobs through its neighbours. Must never know who wrote a change, nor what earlier changes did: that is
//! put together in `replay`.

use super::error::HistoryError;
use super::lines::{Hunk, totals};
use super::repo::Repo;
use super::texts::{Content, Texts, Wanted};
use super::tree::{Differ, Difference, Paths, Side};
use super::walk::Step;
use gix_object::bstr::ByteSlice;
use std::collections::{HashMap, HashSet};

/// One file of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileChange {
    pub path: u32,
    /// The path before, when the file was renamed.
    pub was: Option<u32>,
    pub fate: Fate,
    /// `None`: binary, too large, or not there.
    pub lines: Option<Lines>,
    /// In order; never more than [`HUNKS_MAX`].
    pub hunks: Vec<Hunk>,
    /// Of a fix: ranges of old lines (first, how many) that it took away and that said something.
    pub blamed: Vec<(u32, u32)>,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Added,
    Deleted,
    Modified,
    Renamed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lines {
    pub added: u32,
    pub deleted: u32,
    /// Lines of the file before the change.
    pub before: u32,
}

/// Places in one file beyond which it counts as replaced as a whole: nobody can tell then where a line came from.
const HUNKS_MAX: usize = 2_000;
/// Pairs of a deleted and an added file of one change up to which all are looked at for renames; beyond, only those of
/// the same name.
const RENAME_PAIRS_MAX: usize = 2_500;

/// Changes after which what the repository has cached and mapped is let go of.
const LET_GO_EVERY: usize = 2_000;

/// Which files are taken.
pub(super) trait Taken {
    fn takes(&mut self, path: &[u8]) -> bool;
}

/// How files are compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// Whether a file that goes and one that comes may be one file under two names.
    pub renames: bool,
}

/// Measures the files of the steps, in their order. `tell` hears (stage, done, of how many).
pub(super) fn mine(
    repo: &Repo,
    steps: &[Step],
    manner: Manner,
    paths: &mut Paths,
    taken: &mut dyn Taken,
    tell: &mut dyn FnMut(Stage, usize, usize),
) -> Result<Vec<Vec<FileChange>>, HistoryError> {
    let mut texts = Texts::default();
    let mut differ = Differ::new(repo);
    let mut verdicts: HashMap<u32, bool> = HashMap::new();
    let mut found = Vec::new();
    let mut drafts = Vec::with_capacity(steps.len());
    // From new to old: in a pack the newest version is whole and older ones are built on it.
    for (done, step) in steps.iter().rev().enumerate() {
        if done % LET_GO_EVERY == LET_GO_EVERY - 1 {
            repo.let_go()?;
        }
        found.clear();
        differ.compare(step.tree_before, Some(step.tree), paths, &mut found)?;
        found.retain(|file| *verdicts.entry(file.path).or_insert_with(|| taken.takes(paths.bytes(file.path))));
        drafts.push(draft(&found, step.message.fix, manner, paths, &mut texts));
        tell(Stage::Trees, done + 1, steps.len());
    }
    drafts.reverse();
    if steps.len() >= LET_GO_EVERY {
        repo.let_go()?;
    }
    texts.run(repo, &mut |done, all| tell(Stage::Files, done, all))?;
    Ok(drafts.into_iter().map(|draft| draft.finish(&mut texts)).collect())
}

/// What is done at the moment, for whoever shows progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Commits are listed; how many there are is not known before the end.
    Commits,
    /// Trees are compared.
    Trees,
    /// Versions of files are compared.
    Files,
}

/// The files of one change while their contents are not known.
struct Draft {
    files: Vec<DraftFile>,
    /// A file that goes and one that comes (places in `files`), and the number of their pair.
    maybe_renamed: Vec<(usize, usize, usize)>,
}

struct DraftFile {
    path: u32,
    was: Option<u32>,
    fate: Fate,
    old: Option<u32>,
    new: Option<u32>,
    pair: Option<usize>,
}

fn draft(found: &[Difference], fix: bool, manner: Manner, paths: &Paths, texts: &mut Texts) -> Draft {
    let exact = if manner.renames { same_content(found, paths) } else { HashMap::new() };
    let gone: HashSet<usize> = exact.values().copied().collect();
    let mut files = Vec::with_capacity(found.len());
    let mut places = HashMap::new();
    for (at, file) in found.iter().enumerate().filter(|(at, _)| !gone.contains(at)) {
        let from = exact.get(&at).map(|from| &found[*from]);
        let (old_side, was) = from.map_or((file.old, None), |from| (from.old, Some(from.path)));
        let path = paths.bytes(file.path);
        let mut blob =
            |side: Side| if side.is_submodule() { texts.submodule(side.id) } else { texts.blob(side.id, path) };
        let (old, new) = (old_side.map(&mut blob), file.new.map(&mut blob));
        let wanted = if fix { Wanted::Blame } else { Wanted::Hunks };
        let pair = match (old, new) {
            (Some(old), Some(new)) if old != new => Some(texts.pair(old, new, wanted)),
            _ => None,
        };
        let fate = match (was, old, new) {
            (Some(_), _, _) => Fate::Renamed,
            (None, None, _) => Fate::Added,
            (None, _, None) => Fate::Deleted,
            (None, Some(_), Some(_)) => Fate::Modified,
        };
        places.insert(at, files.len());
        files.push(DraftFile { path: file.path, was, fate, old, new, pair });
    }
    let maybe_renamed = if manner.renames { similar_content(found, &places, &files, paths, texts) } else { Vec::new() };
    Draft { files, maybe_renamed }
}

/// Files that come with the very content of one that goes: place of the one that comes to place of the one that goes. Of
/// several that would do, one of the same name is taken.
fn same_content(found: &[Difference], paths: &Paths) -> HashMap<usize, usize> {
    let mut going: HashMap<gix_hash::ObjectId, Vec<usize>> = HashMap::new();
    for (at, file) in found.iter().enumerate() {
        if let (Some(old), None) = (file.old, file.new)
            && old.is_file()
        {
            going.entry(old.id).or_default().push(at);
        }
    }
    let mut renamed = HashMap::new();
    if going.is_empty() {
        return renamed;
    }
    for same_name in [true, false] {
        for (at, file) in found.iter().enumerate() {
            let (None, Some(new)) = (file.old, file.new) else { continue };
            if renamed.contains_key(&at) || !new.is_file() {
                continue;
            }
            let Some(candidates) = going.get_mut(&new.id) else { continue };
            let fits =
                |from: &usize| !same_name || name(paths.bytes(found[*from].path)) == name(paths.bytes(file.path));
            if let Some(place) = candidates.iter().position(fits) {
                renamed.insert(at, candidates.remove(place));
            }
        }
    }
    renamed
}

/// Asks for files that come to be compared with files that go.
fn similar_content(
    found: &[Difference],
    places: &HashMap<usize, usize>,
    files: &[DraftFile],
    paths: &Paths,
    texts: &mut Texts,
) -> Vec<(usize, usize, usize)> {
    let plain = |side: Option<Side>| side.is_some_and(Side::is_file);
    let with_fate = |fate: Fate| {
        let fits = move |(at, file): (usize, &Difference)| {
            let place = *places.get(&at)?;
            let side = if fate == Fate::Added { file.new } else { file.old };
            (files[place].fate == fate && plain(side)).then_some(place)
        };
        found.iter().enumerate().filter_map(fits).collect::<Vec<_>>()
    };
    let (going, coming) = (with_fate(Fate::Deleted), with_fate(Fate::Added));
    let every = going.len() * coming.len() <= RENAME_PAIRS_MAX;
    let mut pairs = Vec::new();
    let mut by_name: HashMap<&[u8], Vec<usize>> = HashMap::new();
    if !every {
        for from in &going {
            by_name.entry(name(paths.bytes(files[*from].path))).or_default().push(*from);
        }
    }
    for to in &coming {
        let candidates = if every { Some(&going) } else { by_name.get(name(paths.bytes(files[*to].path))) };
        for from in candidates.into_iter().flatten().take(RENAME_PAIRS_MAX) {
            if let (Some(old), Some(new)) = (files[*from].old, files[*to].new) {
                pairs.push((*from, *to, texts.pair(old, new, Wanted::Rename)));
            }
        }
    }
    pairs
}

fn name(path: &[u8]) -> &[u8] {
    path.rfind_byte(b'/').map_or(path, |slash| &path[slash + 1..])
}

impl Draft {
    fn finish(self, texts: &mut Texts) -> Vec<FileChange> {
        let Self { mut files, maybe_renamed } = self;
        let mut compared: Vec<_> =
            maybe_renamed.into_iter().map(|(from, to, pair)| (from, to, texts.take(pair))).collect();
        compared.retain(|(_, _, compared)| compared.similarity >= 0.5);
        compared.sort_by(|a, b| b.2.similarity.total_cmp(&a.2.similarity).then((a.0, a.1).cmp(&(b.0, b.1))));
        let mut gone = HashSet::new();
        let mut renamed = HashMap::new();
        for (from, to, compared) in compared {
            if !gone.contains(&from) && !renamed.contains_key(&to) {
                gone.insert(from);
                renamed.insert(to, compared);
                files[to].was = Some(files[from].path);
                files[to].old = files[from].old;
                files[to].fate = Fate::Renamed;
            }
        }
        let files = files.iter().enumerate().filter(|(at, _)| !gone.contains(at));
        let change = |(at, file): (usize, &DraftFile)| {
            let compared = match renamed.remove(&at) {
                Some(compared) => compared,
                None => file.pair.map(|pair| texts.take(pair)).unwrap_or_default(),
            };
            let size = |blob: Option<u32>| match blob.map(|blob| texts.content(blob)) {
                None => Some(0),
                Some(Content::Text { lines }) => Some(lines),
                Some(Content::Binary | Content::Unknown) => None,
            };
            let sizes = size(file.old).zip(size(file.new));
            let mut hunks = compared.hunks;
            let lines = sizes.map(|(before, after)| match file.fate {
                Fate::Added => Lines { added: after, deleted: 0, before: 0 },
                Fate::Deleted => Lines { added: 0, deleted: before, before },
                Fate::Modified | Fate::Renamed => {
                    let (added, deleted) = totals(&hunks);
                    Lines { added, deleted, before }
                }
            });
            if let Some((before, after)) = sizes.filter(|_| hunks.len() > HUNKS_MAX) {
                hunks = vec![Hunk { old_start: 0, old_lines: before, new_start: 0, new_lines: after }];
            }
            let blamed = compared.blamed;
            FileChange { path: file.path, was: file.was, fate: file.fate, lines, hunks, blamed }
        };
        files.map(change).collect()
    }
}
