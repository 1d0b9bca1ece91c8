//! A history in a bare git repository, asked through the system `git`.
//!
//! Runs no hooks, reads no configuration of the machine or the person, never asks for a password,
//! and never writes outside its own folder.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{
    Commit, Comparison, DirectoryEntry, Entry, FileChange, FileStatus, History, HistoryError, MergeMethod, Signature,
    path_is_fine, ref_name_is_fine,
};

const PATCH_BYTES_MAX: usize = 60_000;
const DIFF_BYTES_MAX: usize = 4_000_000;

/// A bare repository on disk.
#[derive(Debug)]
pub struct GitHistory {
    folder: PathBuf,
    commits: RefCell<BTreeMap<String, Commit>>,
    comparisons: RefCell<BTreeMap<(String, String), Comparison>>,
    mergeable: RefCell<BTreeMap<(String, String), bool>>,
    ancestry: RefCell<BTreeMap<(String, String), bool>>,
    /// Commits by full ref name; read once, since nothing else writes to this repository.
    refs: RefCell<Option<BTreeMap<String, String>>>,
}

struct Output {
    code: i32,
    stdout: Vec<u8>,
    stderr: String,
}

impl GitHistory {
    /// Makes an empty bare repository in `folder`.
    pub fn init(folder: &Path, default_branch: &str) -> Result<Self, HistoryError> {
        let made = Self::at(folder);
        std::fs::create_dir_all(folder).map_err(|error| HistoryError::Failed { what: error.to_string() })?;
        made.done(&["init", "--quiet", "--bare", "--template=", &format!("--initial-branch={default_branch}")])?;
        Ok(made)
    }

    /// Clones `from` bare into `folder`; the original is only read.
    pub fn clone_of(from: &Path, folder: &Path) -> Result<Self, HistoryError> {
        let made = Self::at(folder);
        let parent = folder.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).map_err(|error| HistoryError::Failed { what: error.to_string() })?;
        let mut command = bare_command();
        command.args(["-c", "safe.directory=*", "clone", "--quiet", "--bare", "--no-hardlinks", "--template=", "--"]);
        command.arg(from).arg(folder);
        let output = finish(command, None)?;
        if output.code != 0 {
            return Err(HistoryError::Failed { what: output.stderr });
        }
        Ok(made)
    }

    fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            commits: RefCell::default(),
            comparisons: RefCell::default(),
            mergeable: RefCell::default(),
            ancestry: RefCell::default(),
            refs: RefCell::default(),
        }
    }

    /// Where the bare repository lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The branch that `HEAD` names.
    pub fn head_branch(&self) -> Option<String> {
        let text = self.text(&["symbolic-ref", "--short", "HEAD"]).ok()?;
        Some(text.trim().to_owned()).filter(|name| !name.is_empty())
    }

    fn command(&self) -> Command {
        let mut command = bare_command();
        command.env("GIT_DIR", &self.folder).args([
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "gc.auto=0",
            "-c",
            "core.quotePath=false",
        ]);
        command
    }

    fn run(&self, args: &[&str], input: Option<&[u8]>, who: Option<&Signature>) -> Result<Output, HistoryError> {
        let mut command = self.command();
        command.args(args);
        if let Some(who) = who {
            let date = format!("{} +0000", who.at_ms.div_euclid(1000));
            for role in ["AUTHOR", "COMMITTER"] {
                command
                    .env(format!("GIT_{role}_NAME"), &who.name)
                    .env(format!("GIT_{role}_EMAIL"), &who.email)
                    .env(format!("GIT_{role}_DATE"), &date);
            }
        }
        finish(command, input)
    }

    fn done(&self, args: &[&str]) -> Result<Vec<u8>, HistoryError> {
        let output = self.run(args, None, None)?;
        if output.code == 0 { Ok(output.stdout) } else { Err(HistoryError::Failed { what: output.stderr }) }
    }

    fn text(&self, args: &[&str]) -> Result<String, HistoryError> {
        Ok(String::from_utf8_lossy(&self.done(args)?).into_owned())
    }

    fn known(&self, spec: &str) -> Option<String> {
        let spec = format!("{spec}^{{commit}}");
        let output = self.run(&["rev-parse", "--verify", "--quiet", "--end-of-options", &spec], None, None).ok()?;
        (output.code == 0).then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn listed(&self, args: &[&str]) -> Vec<Commit> {
        let format = "--format=%H%x00%T%x00%P%x00%an%x00%ae%x00%at%x00%cn%x00%ce%x00%ct%x00%B";
        let mut all = vec!["log", "-z", "--no-show-signature", "--no-color", format];
        all.extend_from_slice(args);
        let Ok(bytes) = self.done(&all) else {
            return Vec::new();
        };
        let fields: Vec<String> =
            bytes.split(|b| *b == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect();
        let commits: Vec<Commit> = fields.chunks_exact(10).map(commit_from).collect();
        let mut cache = self.commits.borrow_mut();
        for commit in &commits {
            cache.insert(commit.sha.clone(), commit.clone());
        }
        commits
    }

    fn changes(&self, from: &str, to: &str) -> Result<Vec<FileChange>, HistoryError> {
        let raw = self.done(&["diff-tree", "-r", "-z", "-M", "--raw", "--no-abbrev", "--end-of-options", from, to])?;
        let counts = self.done(&["diff-tree", "-r", "-z", "-M", "--numstat", "--end-of-options", from, to])?;
        let mut files = files_from(&raw);
        for (path, additions, deletions) in counts_from(&counts) {
            if let Some(file) = files.iter_mut().find(|file| file.path == path) {
                (file.additions, file.deletions) = (additions, deletions);
            }
        }
        let lines: u64 = files.iter().map(|file| file.additions + file.deletions).sum();
        if lines < 20_000 && files.len() < 300 {
            let diff = self.done(&[
                "diff-tree",
                "-r",
                "-p",
                "-M",
                "--no-color",
                "--no-ext-diff",
                "--no-textconv",
                "--end-of-options",
                from,
                to,
            ])?;
            add_patches(&mut files, &diff);
        }
        Ok(files)
    }

    fn tree_merge(&self, base: Option<&str>, ours: &str, theirs: &str) -> Result<String, HistoryError> {
        let base = base.map(|sha| format!("--merge-base={sha}"));
        let mut args = vec!["merge-tree", "--write-tree", "--no-messages", "--name-only"];
        if let Some(base) = &base {
            args.push(base);
        }
        args.extend([ours, theirs]);
        let output = self.run(&args, None, None)?;
        match output.code {
            0 => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            1 => Err(HistoryError::Conflict),
            _ => Err(HistoryError::Failed { what: output.stderr }),
        }
    }

    fn commit_tree(
        &self,
        tree: &str,
        parents: &[&str],
        message: &str,
        who: &Signature,
    ) -> Result<String, HistoryError> {
        let mut args = vec!["commit-tree", tree];
        for parent in parents {
            args.extend(["-p", parent]);
        }
        let output = self.run(&args, Some(message.as_bytes()), Some(who))?;
        if output.code == 0 {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(HistoryError::Failed { what: output.stderr })
        }
    }

    fn set_ref(&self, name: &str, sha: &str) -> Result<(), HistoryError> {
        self.done(&["update-ref", "--end-of-options", name, sha])?;
        if let Some(refs) = self.refs.borrow_mut().as_mut() {
            refs.insert(name.to_owned(), sha.to_owned());
        }
        Ok(())
    }

    fn with_refs<T>(&self, look: impl FnOnce(&BTreeMap<String, String>) -> T) -> T {
        let mut refs = self.refs.borrow_mut();
        look(refs.get_or_insert_with(|| {
            // The third field is the commit that an annotated tag stands for.
            let format = "--format=%(refname) %(objectname) %(*objectname)";
            let text = self.text(&["for-each-ref", format, "refs/heads/", "refs/tags/"]);
            let text = text.unwrap_or_default();
            text.lines()
                .filter_map(|line| {
                    let mut fields = line.split(' ');
                    let (name, sha) = (fields.next()?, fields.next()?);
                    let peeled = fields.next().filter(|sha| !sha.is_empty());
                    Some((name.to_owned(), peeled.unwrap_or(sha).to_owned()))
                })
                .collect()
        }))
    }
}

impl History for GitHistory {
    fn resolve(&self, name: &str) -> Option<String> {
        let short = name.strip_prefix("refs/").unwrap_or(name);
        if let Some(branch) = short.strip_prefix("heads/")
            && let Some(sha) = self.branch(branch)
        {
            return Some(sha);
        }
        if let Some(tag) = short.strip_prefix("tags/")
            && let Some(sha) = self.tag(tag)
        {
            return Some(sha);
        }
        if (7..=40).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_hexdigit()) {
            if self.commits.borrow().contains_key(name) {
                return Some(name.to_owned());
            }
            if let Some(sha) = self.known(name) {
                return Some(sha);
            }
        }
        self.branch(name).or_else(|| self.tag(name))
    }

    fn branch(&self, name: &str) -> Option<String> {
        if !ref_name_is_fine(name) {
            return None;
        }
        self.with_refs(|refs| refs.get(&format!("refs/heads/{name}")).cloned())
    }

    fn tag(&self, name: &str) -> Option<String> {
        if !ref_name_is_fine(name) {
            return None;
        }
        self.with_refs(|refs| refs.get(&format!("refs/tags/{name}")).cloned())
    }

    fn branches(&self) -> Vec<(String, String)> {
        self.with_refs(|refs| {
            refs.iter()
                .filter_map(|(name, sha)| Some((name.strip_prefix("refs/heads/")?, sha)))
                .map(|(name, sha)| (name.to_owned(), sha.clone()))
                .collect()
        })
    }

    fn commit(&self, sha: &str) -> Option<Commit> {
        if let Some(commit) = self.commits.borrow().get(sha) {
            return Some(commit.clone());
        }
        if !is_hex(sha) {
            return None;
        }
        self.listed(&["--max-count=1", "--end-of-options", sha, "--"]).into_iter().next()
    }

    fn log(&self, sha: &str, limit: usize) -> Vec<Commit> {
        if !is_hex(sha) {
            return Vec::new();
        }
        self.listed(&[&format!("--max-count={limit}"), "--end-of-options", sha, "--"])
    }

    fn first_parents(&self, sha: &str, limit: usize) -> Vec<Commit> {
        if !is_hex(sha) {
            return Vec::new();
        }
        self.listed(&["--first-parent", &format!("--max-count={limit}"), "--end-of-options", sha, "--"])
    }

    fn compare(&self, base: &str, head: &str) -> Result<Comparison, HistoryError> {
        let key = (base.to_owned(), head.to_owned());
        if let Some(known) = self.comparisons.borrow().get(&key) {
            return Ok(known.clone());
        }
        if !is_hex(base) || !is_hex(head) {
            return Err(HistoryError::NotFound { what: format!("{base}...{head}") });
        }
        let merge_base = self
            .text(&["merge-base", base, head])
            .map_err(|_| HistoryError::NotFound { what: format!("{base}...{head}") })?
            .trim()
            .to_owned();
        let counts =
            self.text(&["rev-list", "--left-right", "--count", "--end-of-options", &format!("{base}...{head}"), "--"])?;
        let mut counts = counts.split_whitespace().map(|word| word.parse::<u64>().unwrap_or(0));
        let (behind_by, ahead_by) = (counts.next().unwrap_or(0), counts.next().unwrap_or(0));
        let comparison = Comparison {
            base: base.to_owned(),
            head: head.to_owned(),
            ahead_by,
            behind_by,
            commits: self.listed(&["--reverse", "--topo-order", "--end-of-options", &format!("{base}..{head}"), "--"]),
            files: self.changes(&merge_base, head)?,
            merge_base,
        };
        self.comparisons.borrow_mut().insert(key, comparison.clone());
        Ok(comparison)
    }

    fn changes_of(&self, sha: &str) -> Result<Vec<FileChange>, HistoryError> {
        // The empty tree has this name in every SHA-1 repository.
        const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
        let commit = self.commit(sha).ok_or_else(|| HistoryError::NotFound { what: sha.to_owned() })?;
        self.changes(commit.parents.first().map_or(EMPTY_TREE, String::as_str), sha)
    }

    fn read(&self, at: &str, path: &str) -> Option<Entry> {
        if !is_hex(at) || !(path.is_empty() || path_is_fine(path)) {
            return None;
        }
        if !path.is_empty() {
            let listing = self.done(&["ls-tree", "-z", "-l", "--full-tree", "--end-of-options", at, path]).ok()?;
            let (kind, entry) = tree_lines(&listing).into_iter().next()?;
            if kind == "blob" {
                let bytes = self.done(&["cat-file", "blob", &entry.sha]).ok()?;
                return Some(Entry::File { sha: entry.sha, bytes });
            }
            if kind != "tree" {
                return None;
            }
        }
        let folder = format!("{path}/");
        let mut args = vec!["ls-tree", "-z", "-l", "--full-tree", "--end-of-options", at];
        if !path.is_empty() {
            args.push(&folder);
        }
        let listing = self.done(&args).ok()?;
        Some(Entry::Directory(tree_lines(&listing).into_iter().map(|(_, entry)| entry).collect()))
    }

    fn is_ancestor(&self, ancestor: &str, of: &str) -> bool {
        let key = (ancestor.to_owned(), of.to_owned());
        if let Some(known) = self.ancestry.borrow().get(&key) {
            return *known;
        }
        let is_one = is_hex(ancestor)
            && is_hex(of)
            && self
                .run(&["merge-base", "--is-ancestor", ancestor, of], None, None)
                .is_ok_and(|output| output.code == 0);
        self.ancestry.borrow_mut().insert(key, is_one);
        is_one
    }

    fn is_mergeable(&self, base: &str, head: &str) -> bool {
        let key = (base.to_owned(), head.to_owned());
        if let Some(known) = self.mergeable.borrow().get(&key) {
            return *known;
        }
        let mergeable = is_hex(base) && is_hex(head) && self.tree_merge(None, base, head).is_ok();
        self.mergeable.borrow_mut().insert(key, mergeable);
        mergeable
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
        let head = self.resolve(head).ok_or_else(|| HistoryError::NotFound { what: head.to_owned() })?;
        let tree = self.tree_merge(None, &tip, &head)?;
        let parents: Vec<&str> = match method {
            MergeMethod::Merge => vec![&tip, &head],
            MergeMethod::Squash => vec![&tip],
        };
        let sha = self.commit_tree(&tree, &parents, message, who)?;
        self.set_ref(&format!("refs/heads/{branch}"), &sha)?;
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
        let parent = self.branch(branch).or_else(|| from.and_then(|name| self.resolve(name)));
        let index = self.folder.join("sandbox-index");
        let _ = std::fs::remove_file(&index);
        let indexed = |args: &[&str], input: Option<&[u8]>| -> Result<Output, HistoryError> {
            let mut command = self.command();
            command.env("GIT_INDEX_FILE", &index).args(args);
            let output = finish(command, input)?;
            if output.code == 0 { Ok(output) } else { Err(HistoryError::Failed { what: output.stderr }) }
        };
        if let Some(parent) = &parent {
            indexed(&["read-tree", parent], None)?;
        }
        let mut lines = Vec::new();
        for (path, bytes) in files {
            if !path_is_fine(path) {
                return Err(HistoryError::Invalid { what: path.clone() });
            }
            match bytes {
                Some(bytes) => {
                    let output = indexed(&["hash-object", "-w", "--stdin", "--no-filters"], Some(bytes))?;
                    let blob = String::from_utf8_lossy(&output.stdout).trim().to_owned();
                    lines.extend(format!("100644 {blob}\t{path}\0").into_bytes());
                }
                None => lines.extend(format!("0 {}\t{path}\0", "0".repeat(40)).into_bytes()),
            }
        }
        indexed(&["update-index", "-z", "--index-info"], Some(&lines))?;
        let tree = indexed(&["write-tree"], None)?;
        let tree = String::from_utf8_lossy(&tree.stdout).trim().to_owned();
        let parents: Vec<&str> = parent.as_deref().into_iter().collect();
        let sha = self.commit_tree(&tree, &parents, message, who)?;
        self.set_ref(&format!("refs/heads/{branch}"), &sha)?;
        Ok(sha)
    }

    fn set_branch(&mut self, name: &str, sha: &str) -> Result<(), HistoryError> {
        if !ref_name_is_fine(name) || !is_hex(sha) {
            return Err(HistoryError::Invalid { what: name.to_owned() });
        }
        self.known(sha).ok_or_else(|| HistoryError::NotFound { what: sha.to_owned() })?;
        self.set_ref(&format!("refs/heads/{name}"), sha)
    }

    fn delete_branch(&mut self, name: &str) {
        if ref_name_is_fine(name) {
            let _ = self.done(&["update-ref", "-d", "--end-of-options", &format!("refs/heads/{name}")]);
            *self.refs.borrow_mut() = None;
        }
    }

    fn set_tag(&mut self, name: &str, sha: &str) -> Result<(), HistoryError> {
        if !ref_name_is_fine(name) || !is_hex(sha) {
            return Err(HistoryError::Invalid { what: name.to_owned() });
        }
        self.known(sha).ok_or_else(|| HistoryError::NotFound { what: sha.to_owned() })?;
        self.set_ref(&format!("refs/tags/{name}"), sha)
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
        let parent = commit.parents.first().ok_or_else(|| HistoryError::Invalid { what: sha.to_owned() })?;
        let tree = self.tree_merge(Some(sha), onto, parent)?;
        let made = self.commit_tree(&tree, &[onto], message, who)?;
        self.set_branch(branch, &made)?;
        Ok(made)
    }
}

pub(in crate::sandbox) fn bare_command() -> Command {
    let mut command = Command::new("git");
    // Variables that would point git at another repository or another configuration.
    for name in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_CONFIG_PARAMETERS",
        "GIT_CONFIG_COUNT",
        "GIT_CONFIG",
        "GIT_EXTERNAL_DIFF",
        "GIT_NAMESPACE",
        "GIT_COMMON_DIR",
    ] {
        command.env_remove(name);
    }
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_LITERAL_PATHSPECS", "1")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("LC_ALL", "C");
    command
}

fn finish(mut command: Command, input: Option<&[u8]>) -> Result<Output, HistoryError> {
    let failed = |error: std::io::Error| HistoryError::Failed { what: format!("cannot run git: {error}") };
    command
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        // A git that gives up early closes its end; its exit code tells the rest.
        let _ = stdin.write_all(input);
    }
    let output = child.wait_with_output().map_err(failed)?;
    Ok(Output {
        code: output.status.code().unwrap_or(-1),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

fn is_hex(sha: &str) -> bool {
    sha.len() == 40 && sha.bytes().all(|b| b.is_ascii_hexdigit())
}

fn commit_from(fields: &[String]) -> Commit {
    let signature = |at: usize| Signature {
        name: fields[at].clone(),
        email: fields[at + 1].clone(),
        at_ms: fields[at + 2].parse::<i64>().unwrap_or(0) * 1000,
    };
    Commit {
        sha: fields[0].clone(),
        tree: fields[1].clone(),
        parents: fields[2].split_whitespace().map(str::to_owned).collect(),
        author: signature(3),
        committer: signature(6),
        message: fields[9].trim_end_matches('\n').to_owned(),
    }
}

fn words(bytes: &[u8]) -> impl Iterator<Item = String> + '_ {
    bytes.split(|b| *b == 0).map(|part| String::from_utf8_lossy(part).into_owned())
}

fn files_from(raw: &[u8]) -> Vec<FileChange> {
    let mut files = Vec::new();
    let mut parts = words(raw);
    while let Some(head) = parts.next() {
        // `:100644 100644 <old> <new> M`, then the path, and for a rename the new path as well.
        let fields: Vec<&str> = head.split(' ').collect();
        if fields.len() < 5 {
            break;
        }
        let Some(path) = parts.next() else { break };
        let (old, new, letter) = (fields[2], fields[3], fields[4].chars().next().unwrap_or('M'));
        let (path, status, blob) = match letter {
            'A' => (path, FileStatus::Added, new),
            'D' => (path, FileStatus::Removed, old),
            'R' | 'C' => {
                let Some(to) = parts.next() else { break };
                (to, FileStatus::Renamed { from: path }, new)
            }
            _ => (path, FileStatus::Modified, new),
        };
        files.push(FileChange { path, status, additions: 0, deletions: 0, blob: blob.to_owned(), patch: None });
    }
    files
}

fn counts_from(numstat: &[u8]) -> Vec<(String, u64, u64)> {
    let mut counts = Vec::new();
    let mut parts = words(numstat);
    while let Some(head) = parts.next() {
        let mut fields = head.splitn(3, '\t');
        let (Some(additions), Some(deletions), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            break;
        };
        // A rename leaves the path empty here and names both paths after it.
        let path = if path.is_empty() {
            let _from = parts.next();
            parts.next().unwrap_or_default()
        } else {
            path.to_owned()
        };
        counts.push((path, additions.parse().unwrap_or(0), deletions.parse().unwrap_or(0)));
    }
    counts
}

fn add_patches(files: &mut [FileChange], diff: &[u8]) {
    if diff.len() > DIFF_BYTES_MAX {
        return;
    }
    let diff = String::from_utf8_lossy(diff);
    let whole = format!("\n{diff}");
    // The parts come in the order of the raw listing. Lines of a hunk begin with ` `, `+`, `-` or
    // `\`, so no file's content can look like a header.
    for (file, part) in files.iter_mut().zip(whole.split("\ndiff --git ").skip(1)) {
        if let Some(at) = part.find("\n@@ ")
            && part.len() - at <= PATCH_BYTES_MAX
        {
            file.patch = Some(part[at + 1..].trim_end_matches('\n').to_owned());
        }
    }
}

fn tree_lines(listing: &[u8]) -> Vec<(String, DirectoryEntry)> {
    words(listing)
        .filter_map(|line| {
            let (head, path) = line.split_once('\t')?;
            let mut fields = head.split_whitespace();
            let (_mode, kind, sha, size) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
            let entry = DirectoryEntry {
                name: path.rsplit('/').next().unwrap_or(path).to_owned(),
                sha: sha.to_owned(),
                size: size.parse().unwrap_or(0),
                is_directory: kind == "tree",
            };
            Some((kind.to_owned(), entry))
        })
        .collect()
}
