//! A bare copy of a repository, brought up to date by the system's `git`.
//!
//! Knows how to fetch. Must never have a work tree, run a hook, a filter or a helper, follow a submodule, and never put
//! the authorization anywhere but into the environment of the one process that needs it.

use super::error::HistoryError;
use crate::domain::ids::{PullNumber, RefName, Sha};
use secrecy::{ExposeSecret, SecretString};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

/// Where a mirror lies and how large and slow it may become.
pub struct Mirror {
    folder: PathBuf,
    limits: MirrorLimits,
}

/// Bounds of one mirror.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MirrorLimits {
    pub bytes_max: u64,
    /// For one fetch.
    pub time_max: Duration,
}

impl Default for MirrorLimits {
    fn default() -> Self {
        Self { bytes_max: 2_000_000_000, time_max: Duration::from_secs(15 * 60) }
    }
}

/// Where a mirror is fetched from.
pub struct Remote {
    /// `https://github.com/acme/shop.git`, without any secret.
    pub url: String,
    /// Value of the `Authorization` header, for instance `Basic ...`; `None` for a public repository.
    pub authorization: Option<SecretString>,
}

/// What a fetch brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Newest commit of the default branch.
    pub tip: Sha,
    /// Heads of the pull requests that were asked for and are there.
    pub pulls: Vec<(PullNumber, Sha)>,
    /// Size of the mirror.
    pub bytes: u64,
}

/// How often the size is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often, and after which pauses, the mirror's lock is tried.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// Of what git says, for an error.
const SAID_BYTES_MAX: u64 = 4_096;
/// Packs beyond which small ones are put together.
const PACKS_MAX: usize = 40;

/// Whether an address is one of this machine's own.
fn is_of_this_machine(url: &str) -> bool {
    let host = url.strip_prefix("http://").map(|rest| rest.split(['/', ':']).next().unwrap_or_default());
    // An `@` before the host would make another one of it.
    host.is_some_and(|host| matches!(host, "127.0.0.1" | "localhost")) && !url.contains('@')
}

impl Mirror {
    /// A mirror in a folder of its own, which need not be there yet.
    pub fn new(folder: PathBuf, limits: MirrorLimits) -> Self {
        Self { folder, limits }
    }

    /// The bare repository.
    pub fn git_dir(&self) -> &Path {
        &self.folder
    }

    /// Fetches the default branch, and the heads of some pull requests.
    ///
    /// Fails with `Busy` while another process does the same, with `TooLarge` and `TooSlow` at a limit, and with what git
    /// said otherwise. A fetch that fails leaves the mirror as it was.
    pub async fn fetch(
        &self,
        remote: &Remote,
        branch: &RefName,
        pulls: &[PullNumber],
    ) -> Result<Fetched, HistoryError> {
        if !is_plain(branch.as_str()) {
            return Err(HistoryError::Git { what: "fetch", said: format!("`{branch}` is no name of a branch") });
        }
        let _lock = self.lock().await?;
        self.make().await?;
        let branch = format!("refs/heads/{branch}");
        let mut wanted = vec![format!("+{branch}:{branch}")];
        self.fetch_refs(remote, &wanted).await?;
        self.point_head_at(&branch)?;
        // A pull request may be gone; it must not keep the branch from being fetched, so it is asked for by itself.
        wanted.clear();
        wanted.extend(pulls.iter().map(|number| format!("+refs/pull/{number}/head:refs/pull/{number}/head")));
        if !wanted.is_empty() && self.fetch_refs(remote, &wanted).await.is_err() {
            for one in &wanted {
                match self.fetch_refs(remote, std::slice::from_ref(one)).await {
                    Ok(()) | Err(HistoryError::Git { .. }) => {}
                    Err(other) => return Err(other),
                }
            }
        }
        self.tidy().await?;
        let tip = self.tip_of(&branch).await?;
        let tip = tip.ok_or_else(|| HistoryError::Empty { path: self.folder.clone() })?;
        let mut heads = Vec::new();
        for number in pulls {
            if let Some(sha) = self.tip_of(&format!("refs/pull/{number}/head")).await? {
                heads.push((*number, sha));
            }
        }
        Ok(Fetched { tip, pulls: heads, bytes: size(&self.folder) })
    }

    /// Held by whoever changes the mirror; the system lets go of it when its process ends, however it ends.
    ///
    /// Another program that is just being started holds a copy of every open file for a moment, so it is tried for a while.
    async fn lock(&self) -> Result<File, HistoryError> {
        let path = self.folder.with_extension("lock");
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|source| HistoryError::file(parent, source))?;
        }
        let file = File::create(&path).map_err(|source| HistoryError::file(&path, source))?;
        for _ in 0..LOCK_TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(std::fs::TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
                Err(std::fs::TryLockError::Error(source)) => return Err(HistoryError::file(&path, source)),
            }
        }
        Err(HistoryError::Busy { path: self.folder.clone() })
    }

    async fn make(&self) -> Result<(), HistoryError> {
        if self.folder.join("HEAD").is_file() && self.folder.join("objects").is_dir() {
            return Ok(());
        }
        std::fs::create_dir_all(&self.folder).map_err(|source| HistoryError::file(&self.folder, source))?;
        let arguments = ["init", "--bare", "--quiet", "--template=", "--object-format=sha1", "."];
        self.run("make a mirror", self.git(None).args(arguments)).await.map(drop)
    }

    async fn fetch_refs(&self, remote: &Remote, refs: &[String]) -> Result<(), HistoryError> {
        let mut command = self.git(Some(remote));
        command.args(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"]);
        command.args(["--no-recurse-submodules", "--no-show-forced-updates", "--end-of-options"]);
        command.arg(&remote.url).args(refs);
        self.run("fetch", &mut command).await.map(drop)
    }

    /// Says which branch is meant by `HEAD`.
    fn point_head_at(&self, branch: &str) -> Result<(), HistoryError> {
        let (path, wanted) = (self.folder.join("HEAD"), format!("ref: {branch}\n"));
        if std::fs::read_to_string(&path).is_ok_and(|now| now == wanted) {
            return Ok(());
        }
        let temporary = self.folder.join("HEAD.new");
        let put = std::fs::write(&temporary, wanted).and_then(|()| std::fs::rename(&temporary, &path));
        put.map_err(|source| HistoryError::file(path, source))
    }

    /// Many small packs make every look slower.
    async fn tidy(&self) -> Result<(), HistoryError> {
        let packs = std::fs::read_dir(self.folder.join("objects/pack")).map_or(0, Iterator::count) / 2;
        if packs < PACKS_MAX {
            return Ok(());
        }
        self.run("put packs together", self.git(None).args(["repack", "-d", "-l", "-q", "--geometric=2"]))
            .await
            .map(drop)
    }

    async fn tip_of(&self, name: &str) -> Result<Option<Sha>, HistoryError> {
        let mut command = self.git(None);
        match self
            .run("read a branch", command.args(["rev-parse", "--verify", "--quiet", "--end-of-options", name]))
            .await
        {
            Ok(said) => Ok(Sha::parse(said.trim())),
            Err(HistoryError::Git { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Git with nothing of the machine's settings, and nothing that a repository could make it run.
    fn git(&self, remote: Option<&Remote>) -> Command {
        let mut settings = vec![
            ("core.hooksPath".to_owned(), "/dev/null".to_owned()),
            ("core.fsmonitor".to_owned(), "false".to_owned()),
            ("credential.helper".to_owned(), String::new()),
            ("fetch.fsckObjects".to_owned(), "true".to_owned()),
            ("transfer.fsckObjects".to_owned(), "true".to_owned()),
            // Old histories have such faults, and they do no harm to whoever only reads.
            ("fetch.fsck.badTimezone".to_owned(), "ignore".to_owned()),
            ("fetch.fsck.missingSpaceBeforeDate".to_owned(), "ignore".to_owned()),
            ("fetch.fsck.missingEmail".to_owned(), "ignore".to_owned()),
            ("fetch.fsck.zeroPaddedFilemode".to_owned(), "ignore".to_owned()),
            ("fetch.fsck.badEmail".to_owned(), "ignore".to_owned()),
            ("fetch.fsck.missingNameBeforeEmail".to_owned(), "ignore".to_owned()),
            ("fetch.fsck.gitmodulesUrl".to_owned(), "ignore".to_owned()),
            ("fetch.fsck.gitmodulesParse".to_owned(), "ignore".to_owned()),
            ("fetch.unpackLimit".to_owned(), "1".to_owned()),
            ("gc.auto".to_owned(), "0".to_owned()),
            ("submodule.recurse".to_owned(), "false".to_owned()),
            ("protocol.allow".to_owned(), "never".to_owned()),
            ("protocol.https.allow".to_owned(), "always".to_owned()),
            // A redirect would carry the authorization to wherever it leads.
            ("http.followRedirects".to_owned(), "false".to_owned()),
            ("http.lowSpeedLimit".to_owned(), "1000".to_owned()),
            ("http.lowSpeedTime".to_owned(), "60".to_owned()),
        ];
        if let Some(Remote { url, authorization: Some(value) }) = remote {
            let header = format!("Authorization: {}", value.expose_secret());
            settings.push((format!("http.{url}.extraHeader"), header));
        }
        let mut allowed = "https";
        // The sandbox's GitHub is on this machine and speaks without TLS; nothing else is spoken to so.
        if remote.is_some_and(|remote| is_of_this_machine(&remote.url)) {
            settings.push(("protocol.http.allow".to_owned(), "always".to_owned()));
            allowed = "https:http";
        }
        if cfg!(test) {
            settings.push(("protocol.file.allow".to_owned(), "always".to_owned()));
            allowed = "https:file";
        }
        let mut command = Command::new("git");
        command.current_dir(&self.folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for gone in [
            "GIT_DIR",
            "GIT_WORK_TREE",
            "GIT_INDEX_FILE",
            "GIT_OBJECT_DIRECTORY",
            "GIT_ALTERNATE_OBJECT_DIRECTORIES",
            "GIT_ASKPASS",
            "SSH_ASKPASS",
            "GIT_SSH",
            "GIT_SSH_COMMAND",
            "GIT_PROXY_COMMAND",
            "GIT_EXTERNAL_DIFF",
            "GIT_CONFIG",
            "GIT_CONFIG_PARAMETERS",
            "GIT_TRACE",
            "GIT_TRACE2",
            "GIT_TRACE2_EVENT",
            "GIT_TRACE_CURL",
            "GIT_TRACE_PACKET",
            "GIT_CURL_VERBOSE",
        ] {
            command.env_remove(gone);
        }
        command
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_ALLOW_PROTOCOL", allowed).env("GIT_LFS_SKIP_SMUDGE", "1");
        command.env("LC_ALL", "C").env("GIT_CEILING_DIRECTORIES", self.folder.parent().unwrap_or(&self.folder));
        command.env("GIT_CONFIG_COUNT", settings.len().to_string());
        for (at, (key, value)) in settings.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{at}"), key).env(format!("GIT_CONFIG_VALUE_{at}"), value);
        }
        // Its helpers are its children: they end with it when the whole group is ended.
        command.process_group(0).kill_on_drop(true);
        command
    }

    /// Runs git to its end or to a limit; what it printed.
    async fn run(&self, what: &'static str, command: &mut Command) -> Result<String, HistoryError> {
        let mut child = Group(command.spawn().map_err(HistoryError::NoGit)?);
        let (out, err) = (child.0.stdout.take(), child.0.stderr.take());
        let mut said = (Vec::new(), Vec::new());
        let ended = {
            let talk = async {
                tokio::join!(read(out, &mut said.0), read(err, &mut said.1));
                child.0.wait().await
            };
            tokio::select! {
                ended = tokio::time::timeout(self.limits.time_max, talk) => Some(ended),
                () = self.grows_too_large() => None,
            }
        };
        let status = match ended {
            Some(Ok(status)) => status.map_err(HistoryError::NoGit)?,
            Some(Err(_)) => {
                self.give_up(child).await;
                return Err(HistoryError::TooSlow(format!(
                    "fetching the repository takes longer than {}, so its history is not read",
                    in_words(self.limits.time_max)
                )));
            }
            None => {
                self.give_up(child).await;
                return Err(HistoryError::TooLarge(format!(
                    "the repository is larger than {}, so its history is not read",
                    gigabytes(self.limits.bytes_max)
                )));
            }
        };
        if status.success() {
            return Ok(String::from_utf8_lossy(&said.0).into_owned());
        }
        let said = String::from_utf8_lossy(&said.1);
        Err(HistoryError::Git { what, said: said.trim().lines().last().unwrap_or("nothing").to_owned() })
    }

    /// Waits until the mirror is larger than it may be.
    async fn grows_too_large(&self) {
        while size(&self.folder) <= self.limits.bytes_max {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Ends git with all its children, and removes what they left half done.
    async fn give_up(&self, mut child: Group) {
        child.end();
        _ = child.0.wait().await;
        let entries = std::fs::read_dir(self.folder.join("objects/pack")).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("tmp_")) {
            _ = std::fs::remove_file(entry.path());
        }
    }
}

/// A process with its children. Ended as a whole, also when nobody waits for it any more.
struct Group(Child);

impl Group {
    fn end(&mut self) {
        let leader = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(leader) = leader {
            _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The number is gone once the process was waited for.
        self.end();
    }
}

async fn read(from: Option<impl tokio::io::AsyncRead + Unpin>, into: &mut Vec<u8>) {
    if let Some(mut from) = from {
        _ = (&mut from).take(SAID_BYTES_MAX).read_to_end(into).await;
        _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    }
}

/// Whether a name can stand in a refspec and mean only itself.
fn is_plain(name: &str) -> bool {
    let bad = |c: char| c.is_ascii_control() || " :*?[\\^~".contains(c);
    !name.is_empty() && !name.contains(bad) && !name.contains("..") && !name.contains("@{") && !name.starts_with('-')
}

/// Bytes of all files below a folder; one that vanishes meanwhile does not count.
fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(data) if data.is_dir() => size(&entry.path()),
        Ok(data) => data.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

fn gigabytes(bytes: u64) -> String {
    match bytes {
        0..1_000_000_000 => format!("{} MB", bytes.div_ceil(1_000_000)),
        _ => format!("{} GB", bytes / 1_000_000_000),
    }
}

fn in_words(time: Duration) -> String {
    match time.as_secs() {
        0..120 => format!("{} seconds", time.as_secs()),
        seconds => format!("{} minutes", seconds / 60),
    }
}
