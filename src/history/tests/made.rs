//! Makes repositories. Nothing of the machine's settings counts.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A repository in a temporary folder, with a clock of its own.
pub struct Made {
    folder: tempfile::TempDir,
    /// Seconds since 1970 of the next commit.
    pub now: i64,
    pub author: &'static str,
}

/// 2026-01-05, a Monday, at noon.
pub const START: i64 = 1_767_614_400;
pub const DAY: i64 = 86_400;

impl Made {
    pub fn new() -> Self {
        let made = Self::without_git();
        made.git(&["init", "--quiet", "--initial-branch=main", "."]);
        made
    }

    pub fn without_git() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), now: START, author: "ada" }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn git_dir(&self) -> PathBuf {
        self.path().join(".git")
    }

    /// Runs git, and gives what it prints.
    pub fn git(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.current_dir(self.path()).args(arguments);
        let mail = format!("{}@example.org", self.author);
        let date = format!("@{} +0100", self.now);
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), self.author).env(format!("GIT_{who}_EMAIL"), &mail);
            command.env(format!("GIT_{who}_DATE"), &date);
        }
        command
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Commits all there is, a day after the last one; tells the hash.
    pub fn commit(&mut self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.now += DAY;
        self.git(&["rev-parse", "HEAD"])
    }

    /// Writes a file and commits it.
    pub fn change(&mut self, path: &str, text: &str, message: &str) -> String {
        self.write(path, text);
        self.commit(message)
    }

    /// Feeds git's `fast-import`.
    pub fn import(&self, stream: &[u8]) {
        use std::io::Write;
        let mut child = self
            .command(&["fast-import", "--quiet", "--date-format=raw-permissive"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(stream).unwrap();
        assert!(child.wait().unwrap().success());
    }
}

/// Lines `1` to `n`, each with its end.
pub fn numbered(n: usize) -> String {
    (1..=n).map(|line| format!("line {line}\n")).collect()
}
