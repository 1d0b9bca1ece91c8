//! One repository on disk: where it is, and its commits, trees and blobs.
//!
//! Knows git's object database. Must never write into it, and never run what a repository configures (no hook, no
//! filter, no helper).

use super::error::HistoryError;
use super::people::Person;
use gix_hash::{Kind, ObjectId};
use gix_object::{CommitRef, Find};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A blob beyond this many bytes counts as binary: it is data, and would only cost memory.
pub(super) const BLOB_BYTES_MAX: usize = 32 << 20;
/// Recently read trees and commits.
const OBJECT_CACHE_BYTES: usize = 12 << 20;
/// Recently decoded bases of deltas.
const DELTA_CACHE_BYTES: usize = 16 << 20;

/// A repository that is read, never written.
pub(super) struct Repo {
    git_dir: PathBuf,
    objects: PathBuf,
    store: RefCell<gix_odb::HandleArc>,
}

/// One commit, without its message's whole text being kept longer than needed.
pub(super) struct Commit {
    pub id: ObjectId,
    pub tree: ObjectId,
    pub parents: Vec<ObjectId>,
    pub author: Person,
    /// When the author says to have written it: Unix seconds, and the author's offset from UTC in minutes.
    pub written: (i64, i32),
    /// When it came into being in this form, Unix seconds.
    pub committed: i64,
    /// What is not UTF-8 is replaced.
    pub message: String,
}

impl Repo {
    /// Asks git where the repository of a path is; a folder inside it, a worktree and a bare one will do.
    pub fn open(path: &Path) -> Result<Self, HistoryError> {
        // A path that git would take for a flag, or that is not there.
        if !path.is_dir() {
            return Err(HistoryError::NoRepository { path: path.to_owned() });
        }
        let question = [
            "rev-parse",
            "--path-format=absolute",
            "--git-common-dir",
            "--is-shallow-repository",
            "--show-object-format",
        ];
        let said = git(path, &question)?.ok_or_else(|| HistoryError::NoRepository { path: path.to_owned() })?;
        let mut lines = said.lines();
        let (dir, shallow, format) = (lines.next(), lines.next(), lines.next());
        let git_dir = dir.map(PathBuf::from).ok_or_else(|| HistoryError::NoRepository { path: path.to_owned() })?;
        if shallow == Some("true") {
            return Err(HistoryError::Shallow { path: path.to_owned() });
        }
        if let Some(format) = format.filter(|format| *format != "sha1") {
            return Err(HistoryError::ObjectFormat { path: path.to_owned(), format: format.to_uppercase() });
        }
        Self::at(&git_dir)
    }

    /// A bare repository of our own, without asking git.
    pub fn at(git_dir: &Path) -> Result<Self, HistoryError> {
        let objects = git_dir.join("objects");
        if !objects.is_dir() {
            return Err(HistoryError::NoRepository { path: git_dir.to_owned() });
        }
        let store = RefCell::new(open_store(&objects)?);
        Ok(Self { git_dir: git_dir.to_owned(), objects, store })
    }

    /// Lets go of what was cached and mapped: pages of a pack that were looked at once count as memory of the process.
    pub fn let_go(&self) -> Result<(), HistoryError> {
        *self.store.borrow_mut() = open_store(&self.objects)?;
        Ok(())
    }

    /// Folder of the objects, with the packs in `pack`.
    pub fn objects(&self) -> &Path {
        &self.objects
    }

    /// The commit that a revision names, in any form that git knows.
    pub fn resolve(&self, revision: &str) -> Result<ObjectId, HistoryError> {
        if let Ok(id) = ObjectId::from_hex(revision.as_bytes())
            && self.find(id, &mut Vec::new())?.is_some_and(|kind| kind == gix_object::Kind::Commit)
        {
            return Ok(id);
        }
        let unknown = || HistoryError::NoCommit { revision: revision.to_owned() };
        let peeled = format!("{revision}^{{commit}}");
        let said = git(&self.git_dir, &["rev-parse", "--verify", "--quiet", "--end-of-options", &peeled])?;
        ObjectId::from_hex(said.ok_or_else(unknown)?.trim().as_bytes()).map_err(|_| unknown())
    }

    /// The newest commit of the branch that is checked out or, in a bare repository, of the default branch.
    pub fn head(&self) -> Result<ObjectId, HistoryError> {
        self.resolve("HEAD").map_err(|error| match error {
            HistoryError::NoCommit { .. } => HistoryError::Empty { path: self.git_dir.clone() },
            other => other,
        })
    }

    /// A commit; its absence is a damage, since somebody named it.
    pub fn commit(&self, id: ObjectId) -> Result<Commit, HistoryError> {
        let mut bytes = Vec::new();
        match self.find(id, &mut bytes)? {
            Some(gix_object::Kind::Commit) => read_commit(id, &bytes),
            _ => Err(HistoryError::damaged(format!("commit {id} is missing"))),
        }
    }

    /// Puts a tree's bytes into the buffer.
    pub fn tree(&self, id: ObjectId, bytes: &mut Vec<u8>) -> Result<(), HistoryError> {
        // Git knows the empty tree without keeping it.
        if id == ObjectId::empty_tree(Kind::Sha1) {
            bytes.clear();
            return Ok(());
        }
        match self.find(id, bytes)? {
            Some(gix_object::Kind::Tree) => Ok(()),
            _ => Err(HistoryError::damaged(format!("tree {id} is missing"))),
        }
    }

    /// Puts a blob's bytes into the buffer; `false` when it is not there, as in a partial clone, or too large.
    pub fn blob(&self, id: ObjectId, bytes: &mut Vec<u8>) -> Result<bool, HistoryError> {
        let size =
            gix_object::FindHeader::try_header(&*self.store.borrow(), &id).map_err(|error| unreadable(id, &error))?;
        if size.is_none_or(|header| header.size > BLOB_BYTES_MAX as u64) {
            return Ok(false);
        }
        Ok(self.find(id, bytes)? == Some(gix_object::Kind::Blob))
    }

    /// What stands at a path below a tree; `None`: nothing.
    pub fn find_in(&self, tree: ObjectId, path: &[u8]) -> Result<Option<ObjectId>, HistoryError> {
        let mut at = tree;
        let mut bytes = Vec::new();
        let mut parts = path.split(|byte| *byte == b'/').peekable();
        while let Some(part) = parts.next() {
            self.tree(at, &mut bytes)?;
            let mut entries = gix_object::TreeRefIter::from_bytes(&bytes, Kind::Sha1).filter_map(Result::ok);
            let Some(entry) = entries.find(|entry| entry.filename == part) else { return Ok(None) };
            if entry.mode.is_tree() != parts.peek().is_some() {
                return Ok(None);
            }
            at = entry.oid.to_owned();
        }
        Ok(Some(at))
    }

    fn find(&self, id: ObjectId, bytes: &mut Vec<u8>) -> Result<Option<gix_object::Kind>, HistoryError> {
        match self.store.borrow().try_find(&id, bytes) {
            Ok(found) => Ok(found.map(|data| data.kind)),
            Err(error) => Err(unreadable(id, &error)),
        }
    }
}

fn open_store(objects: &Path) -> Result<gix_odb::HandleArc, HistoryError> {
    let options = gix_odb::store::init::Options {
        // A header may promise any size; what lies beyond this is never wanted.
        alloc_limit_bytes: Some(8 * BLOB_BYTES_MAX),
        ..Default::default()
    };
    let mut store = gix_odb::at_opts(objects, Kind::Sha1, None, options)
        .and_then(gix_odb::Handle::into_arc)
        .map_err(|source| HistoryError::file(objects, source))?;
    store.set_pack_cache(|| Box::new(gix_pack::cache::lru::MemoryCappedHashmap::new(DELTA_CACHE_BYTES)));
    store.set_object_cache(|| Box::new(gix_pack::cache::object::MemoryCappedHashmap::new(OBJECT_CACHE_BYTES)));
    Ok(store)
}

fn unreadable(id: ObjectId, error: &dyn std::fmt::Display) -> HistoryError {
    HistoryError::damaged(format!("object {id} cannot be read ({error})"))
}

fn read_commit(id: ObjectId, bytes: &[u8]) -> Result<Commit, HistoryError> {
    let damaged = || HistoryError::damaged(format!("commit {id} cannot be read"));
    let commit = CommitRef::from_bytes(bytes, Kind::Sha1).map_err(|_| damaged())?;
    let (author, written) = Person::read(commit.author);
    let (_, committed) = Person::read(commit.committer);
    Ok(Commit {
        id,
        tree: commit.tree(),
        parents: commit.parents().collect(),
        author,
        written,
        committed: committed.0,
        message: String::from_utf8_lossy(commit.message).into_owned(),
    })
}

/// Runs a plumbing command that only reads; `None` when git says no.
///
/// Variables that git sets for its hooks are dropped, so that they do not lead elsewhere. The owner of the folder is not
/// asked for: nothing that the repository configures is run by these commands.
pub(super) fn git(folder: &Path, arguments: &[&str]) -> Result<Option<String>, HistoryError> {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(["-c", "safe.directory=*", "-c", "core.fsmonitor=false"]).args(arguments);
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"] {
        command.env_remove(variable);
    }
    let output = command.stdin(Stdio::null()).output().map_err(HistoryError::NoGit)?;
    Ok(output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned()))
}
