//! A commit graph in memory: cheap, and the same for the same calls.
//!
//! Knows no process and no disk. Its SHAs are made from a counter, so they are no content hashes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{
    Commit, Comparison, DirectoryEntry, Entry, FileChange, FileStatus, History, HistoryError, MergeMethod, Signature,
    path_is_fine, ref_name_is_fine,
};

type Tree = Arc<BTreeMap<String, Arc<[u8]>>>;

/// The in-memory history.
#[derive(Debug, Clone, Default)]
pub struct MadeHistory {
    commits: BTreeMap<String, Node>,
    branches: BTreeMap<String, String>,
    tags: BTreeMap<String, String>,
    made: u64,
}

#[derive(Debug, Clone)]
struct Node {
    commit: Commit,
    tree: Tree,
    /// One more than the largest generation of its parents: an ancestor always has a smaller one.
    generation: u64,
}

impl MadeHistory {
    /// An empty history without any commit.
    pub fn new() -> Self {
        Self::default()
    }

    fn tree_of(&self, sha: &str) -> Option<&Tree> {
        self.commits.get(sha).map(|node| &node.tree)
    }

    fn add(&mut self, parents: Vec<String>, tree: Tree, message: &str, who: &Signature) -> String {
        self.made += 1;
        let sha = made_sha(self.made, 1);
        let generation = 1 + parents
            .iter()
            .filter_map(|parent| self.commits.get(parent))
            .map(|node| node.generation)
            .max()
            .unwrap_or(0);
        let commit = Commit {
            sha: sha.clone(),
            tree: made_sha(self.made, 2),
            parents,
            author: who.clone(),
            committer: who.clone(),
            message: message.to_owned(),
        };
        self.commits.insert(sha.clone(), Node { commit, tree, generation });
        sha
    }

    fn ancestors(&self, sha: &str) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut open = vec![sha.to_owned()];
        while let Some(next) = open.pop() {
            if let Some(node) = self.commits.get(&next)
                && seen.insert(next)
            {
                open.extend(node.commit.parents.iter().cloned());
            }
        }
        seen
    }

    fn merge_base(&self, a: &str, b: &str) -> Option<String> {
        let of_a = self.ancestors(a);
        self.ancestors(b)
            .into_iter()
            .filter(|sha| of_a.contains(sha))
            .max_by_key(|sha| self.commits.get(sha).map(|node| node.generation))
    }

    fn newest_first(&self, shas: BTreeSet<String>) -> Vec<Commit> {
        let mut nodes: Vec<&Node> = shas.iter().filter_map(|sha| self.commits.get(sha)).collect();
        nodes.sort_by_key(|node| std::cmp::Reverse((node.generation, node.commit.author.at_ms)));
        nodes.into_iter().map(|node| node.commit.clone()).collect()
    }

    fn three_way(&self, base: &str, ours: &str, theirs: &str) -> Result<Tree, HistoryError> {
        let empty = Tree::default();
        let base = self.tree_of(base).unwrap_or(&empty);
        let ours = self.tree_of(ours).unwrap_or(&empty);
        let theirs = self.tree_of(theirs).unwrap_or(&empty);
        let mut merged = BTreeMap::new();
        let paths: BTreeSet<&String> = base.keys().chain(ours.keys()).chain(theirs.keys()).collect();
        for path in paths {
            let (b, o, t) = (base.get(path), ours.get(path), theirs.get(path));
            let kept = if o == t || t == b {
                o
            } else if o == b {
                t
            } else {
                return Err(HistoryError::Conflict);
            };
            if let Some(bytes) = kept {
                merged.insert(path.clone(), bytes.clone());
            }
        }
        Ok(Arc::new(merged))
    }

    fn changes(&self, from: Option<&str>, to: &str) -> Vec<FileChange> {
        let empty = Tree::default();
        let from = from.and_then(|sha| self.tree_of(sha)).unwrap_or(&empty);
        let to = self.tree_of(to).unwrap_or(&empty);
        let mut removed: BTreeMap<&String, &Arc<[u8]>> =
            from.iter().filter(|(path, _)| !to.contains_key(*path)).collect();
        let mut changes = Vec::new();
        for (path, bytes) in to.iter() {
            let (status, before) = match from.get(path) {
                Some(before) if before == bytes => continue,
                Some(before) => (FileStatus::Modified, Some(before.clone())),
                None => {
                    let moved = removed.iter().find(|(_, old)| *old == &bytes).map(|(path, _)| (*path).clone());
                    match moved {
                        Some(from) => {
                            removed.remove(&from);
                            (FileStatus::Renamed { from }, Some(bytes.clone()))
                        }
                        None => (FileStatus::Added, None),
                    }
                }
            };
            let (additions, deletions) = counted(before.as_deref(), Some(bytes));
            changes.push(FileChange {
                path: path.clone(),
                status,
                additions,
                deletions,
                blob: blob_name(bytes),
                patch: None,
            });
        }
        for (path, bytes) in removed {
            let (additions, deletions) = counted(Some(bytes), None);
            changes.push(FileChange {
                path: path.clone(),
                status: FileStatus::Removed,
                additions,
                deletions,
                blob: blob_name(bytes),
                patch: None,
            });
        }
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        changes
    }
}

impl History for MadeHistory {
    fn resolve(&self, name: &str) -> Option<String> {
        let short = name.strip_prefix("refs/").unwrap_or(name);
        if let Some(branch) = short.strip_prefix("heads/")
            && let Some(sha) = self.branches.get(branch)
        {
            return Some(sha.clone());
        }
        if let Some(tag) = short.strip_prefix("tags/")
            && let Some(sha) = self.tags.get(tag)
        {
            return Some(sha.clone());
        }
        if let Some(sha) = self.branches.get(name).or_else(|| self.tags.get(name)) {
            return Some(sha.clone());
        }
        if self.commits.contains_key(name) {
            return Some(name.to_owned());
        }
        if name.len() < 7 || !name.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let mut found = self.commits.keys().filter(|sha| sha.starts_with(name));
        found.next().filter(|_| found.next().is_none()).cloned()
    }

    fn branch(&self, name: &str) -> Option<String> {
        self.branches.get(name).cloned()
    }

    fn tag(&self, name: &str) -> Option<String> {
        self.tags.get(name).cloned()
    }

    fn branches(&self) -> Vec<(String, String)> {
        self.branches.iter().map(|(name, sha)| (name.clone(), sha.clone())).collect()
    }

    fn commit(&self, sha: &str) -> Option<Commit> {
        self.commits.get(sha).map(|node| node.commit.clone())
    }

    fn log(&self, sha: &str, limit: usize) -> Vec<Commit> {
        let mut commits = self.newest_first(self.ancestors(sha));
        commits.truncate(limit);
        commits
    }

    fn first_parents(&self, sha: &str, limit: usize) -> Vec<Commit> {
        std::iter::successors(self.commit(sha), |commit| commit.parents.first().and_then(|sha| self.commit(sha)))
            .take(limit)
            .collect()
    }

    fn compare(&self, base: &str, head: &str) -> Result<Comparison, HistoryError> {
        let merge_base =
            self.merge_base(base, head).ok_or_else(|| HistoryError::NotFound { what: format!("{base}...{head}") })?;
        let of_base = self.ancestors(base);
        let of_head = self.ancestors(head);
        let mut commits = self.newest_first(of_head.difference(&of_base).cloned().collect());
        commits.reverse();
        Ok(Comparison {
            base: base.to_owned(),
            head: head.to_owned(),
            ahead_by: commits.len() as u64,
            behind_by: of_base.difference(&of_head).count() as u64,
            commits,
            files: self.changes(Some(&merge_base), head),
            merge_base,
        })
    }

    fn changes_of(&self, sha: &str) -> Result<Vec<FileChange>, HistoryError> {
        let commit = self.commits.get(sha).ok_or_else(|| HistoryError::NotFound { what: sha.to_owned() })?;
        Ok(self.changes(commit.commit.parents.first().map(String::as_str), sha))
    }

    fn read(&self, at: &str, path: &str) -> Option<Entry> {
        let tree = self.tree_of(at)?;
        if let Some(bytes) = tree.get(path) {
            return Some(Entry::File { sha: blob_name(bytes), bytes: bytes.to_vec() });
        }
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        let mut listed: BTreeMap<String, DirectoryEntry> = BTreeMap::new();
        for (file, bytes) in tree.iter() {
            let Some(rest) = file.strip_prefix(&prefix) else {
                continue;
            };
            let (name, is_directory) = rest.split_once('/').map_or((rest, false), |(name, _)| (name, true));
            listed.entry(name.to_owned()).or_insert_with(|| DirectoryEntry {
                name: name.to_owned(),
                sha: blob_name(name.as_bytes()),
                size: if is_directory { 0 } else { bytes.len() as u64 },
                is_directory,
            });
        }
        (!listed.is_empty()).then(|| Entry::Directory(listed.into_values().collect()))
    }

    fn is_ancestor(&self, ancestor: &str, of: &str) -> bool {
        self.commits.contains_key(ancestor) && self.ancestors(of).contains(ancestor)
    }

    fn is_mergeable(&self, base: &str, head: &str) -> bool {
        self.merge_base(base, head).is_some_and(|merge_base| self.three_way(&merge_base, base, head).is_ok())
    }

    fn merge(
        &mut self,
        branch: &str,
        head: &str,
        method: MergeMethod,
        message: &str,
        who: &Signature,
    ) -> Result<String, HistoryError> {
        let tip = self.branch(branch).ok_or_else(|| HistoryError::NotFound { what: branch.to_owned() })?;
        let merge_base = self.merge_base(&tip, head).ok_or(HistoryError::Conflict)?;
        let tree = self.three_way(&merge_base, &tip, head)?;
        let parents = match method {
            MergeMethod::Merge => vec![tip, head.to_owned()],
            MergeMethod::Squash => vec![tip],
        };
        let sha = self.add(parents, tree, message, who);
        self.branches.insert(branch.to_owned(), sha.clone());
        Ok(sha)
    }

    fn push(
        &mut self,
        branch: &str,
        from: Option<&str>,
        files: &BTreeMap<String, Option<Vec<u8>>>,
        message: &str,
        who: &Signature,
    ) -> Result<String, HistoryError> {
        if !ref_name_is_fine(branch) {
            return Err(HistoryError::Invalid { what: branch.to_owned() });
        }
        if let Some(path) = files.keys().find(|path| !path_is_fine(path)) {
            return Err(HistoryError::Invalid { what: path.clone() });
        }
        let parent = self.branch(branch).or_else(|| from.and_then(|name| self.resolve(name)));
        let mut tree =
            parent.as_deref().and_then(|sha| self.tree_of(sha)).map(|tree| (**tree).clone()).unwrap_or_default();
        for (path, bytes) in files {
            match bytes {
                Some(bytes) => tree.insert(path.clone(), Arc::from(bytes.as_slice())),
                None => tree.remove(path),
            };
        }
        let sha = self.add(parent.into_iter().collect(), Arc::new(tree), message, who);
        self.branches.insert(branch.to_owned(), sha.clone());
        Ok(sha)
    }

    fn set_branch(&mut self, name: &str, sha: &str) -> Result<(), HistoryError> {
        if !ref_name_is_fine(name) {
            return Err(HistoryError::Invalid { what: name.to_owned() });
        }
        if !self.commits.contains_key(sha) {
            return Err(HistoryError::NotFound { what: sha.to_owned() });
        }
        self.branches.insert(name.to_owned(), sha.to_owned());
        Ok(())
    }

    fn delete_branch(&mut self, name: &str) {
        self.branches.remove(name);
    }

    fn set_tag(&mut self, name: &str, sha: &str) -> Result<(), HistoryError> {
        if !ref_name_is_fine(name) {
            return Err(HistoryError::Invalid { what: name.to_owned() });
        }
        if !self.commits.contains_key(sha) {
            return Err(HistoryError::NotFound { what: sha.to_owned() });
        }
        self.tags.insert(name.to_owned(), sha.to_owned());
        Ok(())
    }

    fn revert(
        &mut self,
        sha: &str,
        onto: &str,
        branch: &str,
        message: &str,
        who: &Signature,
    ) -> Result<String, HistoryError> {
        let commit = self.commit(sha).ok_or_else(|| HistoryError::NotFound { what: sha.to_owned() })?;
        let parent = commit.parents.first().cloned().unwrap_or_default();
        let tree = self.three_way(sha, onto, &parent)?;
        let made = self.add(vec![onto.to_owned()], tree, message, who);
        self.set_branch(branch, &made)?;
        Ok(made)
    }
}

fn made_sha(counter: u64, kind: u64) -> String {
    let mut state = counter.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ kind.wrapping_mul(0xD1B5_4A32_D192_ED03);
    let mut text = String::with_capacity(48);
    for _ in 0..3 {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        text.push_str(&format!("{:016x}", z ^ (z >> 31)));
    }
    text.truncate(40);
    text
}

fn blob_name(bytes: &[u8]) -> String {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    made_sha(hash, 3)
}

/// Counts added and deleted lines: what stays in common at both ends is left out, so a change in
/// the middle counts as git would, and scattered changes count at most as the whole span.
fn counted(before: Option<&[u8]>, after: Option<&[u8]>) -> (u64, u64) {
    let lines = |bytes: Option<&[u8]>| -> Vec<Vec<u8>> {
        bytes.map(|b| b.split_inclusive(|c| *c == b'\n').map(<[u8]>::to_vec).collect()).unwrap_or_default()
    };
    let (old, new) = (lines(before), lines(after));
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    ((new.len() - head - tail) as u64, (old.len() - head - tail) as u64)
}
