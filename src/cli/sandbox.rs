//! `plimsoll sandbox`: everything on this machine, without an account.

use super::story;
use crate::app::{self, Signals};
use crate::config::{self, HistorySettings, LogFlags, LogSettings, Settings};
use crate::sandbox::model::RunTimes;
use crate::sandbox::{Clock, Sandbox as GitHub, SandboxOptions, World};
use crate::telemetry;
use anyhow::{Context, bail};
use clap::ValueEnum;
use secrecy::SecretString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How large the mirror of the sandbox's repository may be: its owner has the repository here anyway.
const HISTORY_BYTES_MAX: u64 = 8 << 30;

/// A GitHub on localhost, the real service against it, and a repository to try it on.
#[derive(clap::Args)]
#[command(
    after_help = "Open the address that it prints, comment `/plimsoll status` on the pull request, press Merge, and \
                        watch. Nothing leaves this machine. Ctrl-C ends it."
)]
pub(super) struct Sandbox {
    /// Git repository to play with; it is cloned and never changed. Without it: a small shop made for the purpose
    #[arg(long, value_name = "PATH")]
    repo: Option<PathBuf>,

    /// Turns the last N first-parent commits of the repository into pull requests, one after the other
    #[arg(long, value_name = "N", requires = "repo", value_parser = clap::value_parser!(u16).range(1..=1000))]
    replay: Option<u16>,

    /// Plays a story by itself on the small shop, tells it, and ends: with 0 only if every step of it happened
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "street", conflicts_with = "repo")]
    script: Option<StoryName>,

    /// Port of the sandbox's GitHub; 0 takes a free one [default: 4000, with --script 0]
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,

    /// Port on which the service takes deliveries; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    hook_port: u16,

    /// Folder for the repository and the service's database; kept. Without it: a temporary one, removed at the end
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,

    /// Command that every workflow run executes, with the workflow's inputs in INPUT_SERVICE, INPUT_ENVIRONMENT and so
    /// on; its exit code decides whether the run succeeds
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,

    /// Lets workflow runs take a fraction of a second in place of some seconds
    #[arg(long)]
    fast: bool,

    /// Address that the service takes for GitHub's API in place of the sandbox's own: a proxy that looks at both
    #[arg(long, value_name = "URL", requires = "port")]
    api_url: Option<String>,

    /// Writes every delivery to a file at the end, a line of JSON with `event` and `payload` each
    #[arg(long, value_name = "FILE")]
    record_webhooks: Option<PathBuf>,

    #[command(flatten)]
    log: LogFlags,
}

/// Stories that can be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StoryName {
    /// One pull request from opened to running in production
    Street,
}

impl Sandbox {
    pub(super) fn run(&self) -> u8 {
        let mut log = match app::log_settings(&self.log) {
            Ok(log) => log,
            Err(refusal) => return super::refused(&refusal),
        };
        // A story is to be read; the log would stand between its lines.
        if self.script.is_some() && self.log.log_level.is_none() {
            log.filter = "error".to_owned();
        }
        telemetry::start(&log);
        super::wait_for(self.play(log))
    }

    async fn play(&self, log: LogSettings) -> anyhow::Result<()> {
        let folder = Folder::make(self.data.as_deref())?;
        let options = self.options(&folder.path);
        // Making the repository calls git, and ending the sandbox waits for its thread: neither may block a worker.
        let github = tokio::task::spawn_blocking(move || GitHub::start(options)).await??;
        let told = self.with_service(&github, &folder.path, log).await;
        if let Some(file) = &self.record_webhooks {
            record_webhooks(&github, file)?;
        }
        tokio::task::spawn_blocking(move || github.stop()).await?;
        told
    }

    fn options(&self, folder: &Path) -> SandboxOptions {
        let world = match &self.repo {
            None => World::Git { folder: folder.to_owned() },
            Some(repository) => World::Own {
                repository: repository.clone(),
                folder: folder.to_owned(),
                replay: self.replay.map(usize::from),
            },
        };
        let run_times = if self.fast {
            RunTimes { queued_ms: 100, running_ms: 200, ..RunTimes::default() }
        } else {
            RunTimes::default()
        };
        SandboxOptions {
            port: self.port.unwrap_or(if self.script.is_some() { 0 } else { 4000 }),
            world,
            clock: Clock::Wall,
            // A story opens its pull request itself.
            open_pulls: usize::from(self.script.is_none()),
            run_times,
            exec: self.exec.clone(),
            ..SandboxOptions::default()
        }
    }

    async fn with_service(&self, github: &GitHub, folder: &Path, log: LogSettings) -> anyhow::Result<()> {
        if let Some(url) = &self.api_url {
            // What GitHub says of its own addresses must be what the service asks.
            github.with(|model, _| model.api_url = url.trim_end_matches('/').to_owned());
        }
        let settings = Settings {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, self.hook_port)),
            database: folder.join("plimsoll.db"),
            github_api_url: self.api_url.clone().unwrap_or_else(|| github.base_url()),
            github_web_url: github.base_url(),
            app_id: github.client_id(),
            private_key: SecretString::from(github.private_key_pem()),
            webhook_secrets: vec![SecretString::from(github.webhook_secret())],
            log,
            workers: 4,
            retention: Duration::from_secs(30 * 24 * 60 * 60),
            request_timeout: Duration::from_secs(9),
            shutdown_grace: Duration::from_secs(5),
            probe_hosts: Vec::new(),
            probe_nets: Vec::new(),
            probe_redirects: 0,
            prometheus_url: None,
            oidc_issuer: github.oidc_issuer(),
            oidc_audience: "plimsoll".to_owned(),
            api_token: None,
            // A story is the same each time; what is learned would come in whenever it is ready.
            history: self
                .script
                .is_none()
                .then(|| HistorySettings { folder: folder.join("histories"), bytes_max: HISTORY_BYTES_MAX }),
        };
        let mut signals = Signals::new()?;
        let stop = CancellationToken::new();
        let clock = Arc::new(story::Clock::default());
        let service = app::start_by(&settings, clock.clone(), stop.clone()).await?;
        github.set_hook(&format!("http://{}/github/webhook", service.address), &github.webhook_secret());
        let ended = match self.script {
            Some(StoryName::Street) => {
                tokio::select! {
                    told = story::street(github, &clock) => told,
                    name = signals.next() => Err(anyhow::anyhow!("ended by {name} before the story did")),
                }
            }
            None => {
                self.welcome(github, service.address, folder);
                tokio::select! {
                    _ = signals.next() => {}
                    () = stop.cancelled() => {}
                }
                Ok(())
            }
        };
        stop.cancel();
        tokio::select! {
            stopped = service.ended() => ended.and(stopped),
            _ = signals.next() => bail!("stopped at once"),
        }
    }

    fn welcome(&self, github: &GitHub, service: SocketAddr, folder: &Path) {
        println!("A GitHub of your own:   {}", github.web_url());
        println!("Plimsoll itself:        http://{service}/");
        println!("Everything is kept in:  {}", folder.display());
        println!();
        println!("Open the first address, look at the pull request, comment `/plimsoll status`, press Merge,");
        println!("and approve production as somebody else. Ctrl-C ends it.");
    }
}

/// Writes down every delivery that the sandbox made, in their order.
fn record_webhooks(github: &GitHub, file: &Path) -> anyhow::Result<()> {
    let lines: String = github.with(|model, _| {
        let line = |d: &crate::sandbox::model::Delivery| serde_json::json!({ "event": d.event.event, "payload": *d.event.payload });
        model.deliveries.values().map(|d| format!("{}\n", line(d))).collect()
    });
    fs::write(file, lines).with_context(|| format!("cannot write {}", file.display()))
}

/// Where a sandbox keeps its files; a temporary one is removed at the end.
struct Folder {
    path: PathBuf,
    temporary: bool,
}

impl Folder {
    fn make(given: Option<&Path>) -> anyhow::Result<Self> {
        let (path, temporary) = match given {
            Some(path) => (path.to_owned(), false),
            None => (config::temporary_folder().join(format!("plimsoll-sandbox-{}", std::process::id())), true),
        };
        fs::create_dir_all(&path).with_context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(Self { path, temporary })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
