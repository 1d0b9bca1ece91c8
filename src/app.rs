//! Puts the rooms together: makes something concrete out of every trait, starts it, and stops it in order.
//!
//! The only room that names every adapter and that reads the system's clock. Must never decide anything else.

use crate::config::{self, DatabaseFlags, Flags, LogFlags, LogSettings, Refusal, Settings, Whereabouts, World};
use crate::domain::ids::{RepoName, Span, Timestamp};
use crate::domain::risk::Outcome;
use crate::engine::janitor::Janitor;
use crate::engine::lanes::Lanes;
use crate::engine::ports::{Clock, Failures, GitHubError, Holder, Store, Webhooks};
use crate::engine::query;
use crate::engine::run::{Bell, Engine, Pace};
use crate::github::{Client, ClientSettings, Interpreter, Issuer, IssuerSettings, Secrets, key_signs};
use crate::history::{Histories, Informed};
use crate::probe::{HostRule, ProbeSettings, Prober, SystemResolver};
use crate::store::{SqliteOptions, SqliteStore};
use crate::telemetry;
use crate::web::api::Api;
use crate::web::{self, Door, Limits};
use anyhow::Context;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long idle workers sleep when nobody wakes them.
const IDLE: Duration = Duration::from_secs(30);

/// The clock of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the room that reads the clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Reads all settings from flags, environment and file, and judges them.
pub fn settings(flags: &Flags) -> Result<Settings, Refusal> {
    config::read(flags, &world())
}

/// Reads the settings of the log alone.
pub fn log_settings(flags: &LogFlags) -> Result<LogSettings, Refusal> {
    config::read_log(flags, &world())
}

/// Reads where the state is kept. The file need not be there, nor be writable.
pub fn whereabouts(flags: &DatabaseFlags) -> Result<Whereabouts, Refusal> {
    config::read_whereabouts(flags, &World { database: &|_| Ok(()), ..world() })
}

/// Opens the state of a service for reading, also while that service runs.
pub async fn open_to_read(database: &Path) -> anyhow::Result<impl Store> {
    Ok(SqliteStore::open_to_read(database, SqliteOptions::default()).await?)
}

/// What understands deliveries.
pub fn webhooks(known: &Whereabouts) -> impl Webhooks {
    Interpreter::new(&known.github_api_url, &known.app_id)
}

fn world() -> World<'static> {
    World {
        variable: &config::environment,
        file: &config::file_text,
        key: &key_signs,
        database: &database_is_usable,
        log_filter: &telemetry::check_filter,
        probe_host: &|text| HostRule::parse(text).map(|_| ()),
    }
}

/// Says why an SQLite database cannot be kept at a path. Leaves nothing behind.
fn database_is_usable(path: &Path) -> Result<(), String> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(format!("there is no folder {}", folder.display()));
    }
    if path.is_dir() {
        return Err("it is a folder".to_owned());
    }
    // SQLite keeps two more files beside the database, so the folder itself must be writable.
    let probe = folder.join(format!(".plimsoll-{}", std::process::id()));
    fs::write(&probe, b"").map_err(|error| format!("the folder {} cannot be written: {error}", folder.display()))?;
    let _ = fs::remove_file(&probe);
    if !path.exists() {
        return Ok(());
    }
    let mut head = [0; 16];
    let read = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .and_then(|mut file| std::io::Read::read(&mut file, &mut head))
        .map_err(|error| error.to_string())?;
    if read > 0 && head != *b"SQLite format 3\0" {
        return Err("the file is not an SQLite database".to_owned());
    }
    Ok(())
}

/// A service that runs in this process.
pub struct RunningApp {
    /// Where deliveries are taken; the real port when port 0 was asked for.
    pub address: SocketAddr,
    running: JoinHandle<anyhow::Result<()>>,
}

impl RunningApp {
    /// Waits until everything has ended in order. Fails when it ended without being asked to.
    pub async fn ended(self) -> anyhow::Result<()> {
        self.running.await.context("the service broke down")?
    }
}

/// Opens the database and starts the service; it runs until `stop` is cancelled.
///
/// Then no new work is begun, running requests and effects finish within the grace or stay marked in flight, and the
/// database is closed.
pub async fn start(settings: &Settings, stop: CancellationToken) -> anyhow::Result<RunningApp> {
    start_by(settings, Arc::new(SystemClock), stop).await
}

/// As [`start`], by a clock that is already there.
pub async fn start_by<C: Clock + 'static>(
    settings: &Settings,
    clock: Arc<C>,
    stop: CancellationToken,
) -> anyhow::Result<RunningApp> {
    let store = SqliteStore::open(&settings.database, SqliteOptions::default()).await.context("cannot start")?;
    let store = Arc::new(store);
    let RunningApp { address, running } = start_on(settings, store.clone(), clock, stop).await?;
    let running = tokio::spawn(async move {
        let ended = running.await.context("the service broke down")?;
        if let Err(error) = store.tidy().await {
            tracing::warn!(%error, "the database was not tidied; nothing is lost");
        }
        ended
    });
    Ok(RunningApp { address, running })
}

/// As [`start`], on a store and by a clock that are already there.
pub async fn start_on<S: Store + 'static, C: Clock + 'static>(
    settings: &Settings,
    store: Arc<S>,
    clock: Arc<C>,
    stop: CancellationToken,
) -> anyhow::Result<RunningApp> {
    let github = ClientSettings::new(&settings.github_api_url, &settings.app_id, settings.private_key.clone());
    let github = Client::new(github, clock.clone()).context("cannot speak to GitHub")?;
    let callers = Issuer::new(
        IssuerSettings {
            issuer: settings.oidc_issuer.clone(),
            audience: settings.oidc_audience.clone(),
            // Two requests may be needed, and there must be time left to answer.
            timeout: settings.request_timeout / 3,
        },
        clock.clone(),
    );
    let callers = callers.map_err(anyhow::Error::msg).context("cannot know workflow runs by their tokens")?;
    let probes = prober(settings, clock.clone()).map_err(anyhow::Error::msg).context("cannot ask outside GitHub")?;
    let listener =
        TcpListener::bind(settings.listen).await.with_context(|| format!("cannot listen on {}", settings.listen))?;
    let address = listener.local_addr().context("the listener has no address")?;

    let histories = settings.history.as_ref().map(|kept| {
        let seen = Seen(store.clone());
        let (folder, web_url) = (kept.folder.clone(), &settings.github_web_url);
        Histories::new(folder, kept.bytes_max, web_url, github.clone(), seen, clock.clone())
    });
    let (client, clock_for_janitor) = (github.clone(), clock.clone());
    let bell = Bell::default();
    let engine = Engine {
        store: store.clone(),
        github: Arc::new(Informed::new(Arc::new(github), histories)),
        probes: Arc::new(probes),
        webhooks: Arc::new(Interpreter::new(&settings.github_api_url, &settings.app_id)),
        clock: clock.clone(),
        bell: bell.clone(),
        pace: Pace {
            holder: holder(&*clock),
            turns: settings.workers,
            effects: settings.workers,
            idle: IDLE,
            keep: Span(u64::try_from(settings.retention.as_millis()).unwrap_or(u64::MAX)),
        },
        lanes: Lanes::default(),
    };
    let limits = Limits {
        request_timeout: settings.request_timeout,
        shutdown_grace: settings.shutdown_grace,
        ..Limits::default()
    };
    let closed_last = store.clone();
    let secrets = Secrets::new(settings.webhook_secrets.clone());
    let api = Api {
        store: store.clone(),
        clock: clock.clone(),
        callers: Arc::new(callers),
        arrived: Box::new({
            let bell = bell.clone();
            move || bell.lanes()
        }),
        token: settings.api_token.clone(),
        request_timeout: settings.request_timeout,
    };
    let door = Door {
        store,
        clock,
        verify: Box::new(move |signature, body| secrets.verify(signature, body).is_ok()),
        admitted: Box::new(move || bell.delivered()),
        schema: Some(crate::domain::policy::SCHEMA.to_owned()),
        stop: stop.clone(),
        limits: limits.clone(),
    };
    let router = web::router(door, api);

    // The workers have a token of their own, so that one that broke down can be told from a stop that was asked for.
    let workers_stop = stop.child_token();
    tokio::spawn(look_after(client, clock_for_janitor, workers_stop.clone()));
    let grace = settings.shutdown_grace;
    let serving = tokio::spawn(web::server::serve(listener, router, limits, stop.clone()));
    let working = tokio::spawn(engine.run(workers_stop.clone()));
    let running = tokio::spawn(async move {
        workers_stop.cancelled().await;
        let asked = stop.is_cancelled();
        stop.cancel();
        end_within(grace, serving, working).await;
        // Unless the caller holds it too, this closes the database.
        drop(closed_last);
        anyhow::ensure!(asked, "a worker broke down; the log above says which");
        Ok(())
    });
    Ok(RunningApp { address, running })
}

/// What pipelines saw go wrong, for whoever learns from outcomes.
struct Seen<S>(Arc<S>);

impl<S: Store> Failures for Seen<S> {
    async fn failures(&self, repo: &RepoName) -> Vec<Outcome> {
        match query::failures(&*self.0, repo).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%repo, %error, "it is not known what went wrong with releases");
                Vec::new()
            }
        }
    }
}

/// What asks outside GitHub, within what the operator opened.
fn prober(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Prober, String> {
    let hosts: Result<_, String> = settings.probe_hosts.iter().map(|text| HostRule::parse(text)).collect();
    let opened = ProbeSettings {
        hosts: hosts?,
        nets: settings.probe_nets.clone(),
        prometheus: settings.prometheus_url.clone(),
        redirects: settings.probe_redirects,
        ..ProbeSettings::default()
    };
    Prober::new(opened, Arc::new(SystemResolver), clock)
}

/// Says as whom the service speaks, then asks again for deliveries that did not arrive.
async fn look_after<C: Clock>(client: Client, clock: Arc<C>, stop: CancellationToken) {
    match client.app_identity().await {
        Ok(app) => tracing::info!(app = app.slug, "GitHub knows the App"),
        Err(GitHubError::Refused { message, .. }) => {
            tracing::error!(
                message,
                "GitHub does not accept the App: its id and its private key do not belong together"
            );
        }
        Err(error) => tracing::warn!(%error, "GitHub did not say who the App is"),
    }
    Janitor::default().run(&client, &*clock, stop).await;
}

/// Lets the door and the workers finish, and cuts what takes longer: its effects stay marked in flight.
async fn end_within(grace: Duration, serving: JoinHandle<usize>, mut working: JoinHandle<()>) {
    let both = async {
        let worked = tokio::time::timeout(grace, &mut working).await;
        if worked.is_err() {
            tracing::warn!("some effects did not finish in time; they stay marked in flight");
            working.abort();
            let _ = working.await;
        }
    };
    let (served, ()) = tokio::join!(serving, both);
    match served {
        Ok(0) => {}
        Ok(connections) => tracing::warn!(connections, "connections were cut"),
        Err(error) => tracing::error!(%error, "the door broke down"),
    }
}

/// A name for this process that no other process ever has.
fn holder(clock: &impl Clock) -> Holder {
    Holder(format!("{}-{}", std::process::id(), clock.now().0))
}

/// Runs the service until SIGTERM or SIGINT, then stops it in order; a second signal ends the process at once.
pub async fn serve(settings: &Settings) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let mut signals = Signals::new()?;
    let app = start(settings, stop.clone()).await?;
    tracing::info!(
        address = %app.address, github = settings.github_api_url, database = %settings.database.display(),
        version = env!("CARGO_PKG_VERSION"), "ready for deliveries",
    );
    tokio::select! {
        name = signals.next() => {
            tracing::info!(signal = name, "stopping; a second signal stops at once");
            stop.cancel();
        }
        () = stop.cancelled() => {}
    }
    tokio::select! {
        ended = app.ended() => {
            tracing::info!("stopped");
            ended
        }
        _ = signals.next() => {
            tracing::warn!("stopped at once; running effects stay marked in flight");
            std::process::exit(130)
        }
    }
}

/// The two signals that ask a process to end.
pub struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// Begins to listen; from now on the signals no longer end the process by themselves.
    pub fn new() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Waits for the next, and names it.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::SecretString;

    #[test]
    fn a_database_needs_a_folder_to_write_in_and_a_file_that_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| database_is_usable(&folder.path().join(name));
        assert_eq!(at("new.db"), Ok(()));
        assert!(!folder.path().join("new.db").exists(), "looking made a file");
        fs::write(folder.path().join("empty.db"), b"").unwrap();
        assert_eq!(at("empty.db"), Ok(()));
        fs::write(folder.path().join("old.db"), b"SQLite format 3\0and more").unwrap();
        assert_eq!(at("old.db"), Ok(()));
        fs::write(folder.path().join("notes.txt"), b"shopping list").unwrap();
        assert_eq!(at("notes.txt").unwrap_err(), "the file is not an SQLite database");
        assert!(at("missing/new.db").unwrap_err().starts_with("there is no folder"));
        fs::create_dir(folder.path().join("folder")).unwrap();
        assert_eq!(at("folder").unwrap_err(), "it is a folder");
    }

    #[test]
    fn a_text_that_only_looks_like_a_key_does_not_sign() {
        let key = "-----BEGIN RSA PRIVATE KEY-----\nbm90IGEga2V5\n-----END RSA PRIVATE KEY-----\n";
        assert!(key_signs(&SecretString::from(key)).is_err());
    }

    #[tokio::test]
    async fn a_service_in_this_process_takes_requests_until_it_is_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let secret = || SecretString::from("0123456789abcdef");
        let settings = Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            database: folder.path().join("plimsoll.db"),
            // Nobody is there, and nobody is asked: without deliveries there is nothing to do.
            github_api_url: "http://127.0.0.1:9".to_owned(),
            github_web_url: "http://127.0.0.1:9".to_owned(),
            app_id: "1".to_owned(),
            private_key: SecretString::from(include_str!("../tests/fixtures/app-key-pkcs1.pem")),
            webhook_secrets: vec![secret()],
            log: LogSettings { format: config::LogFormat::Human, filter: "info".to_owned() },
            workers: 4,
            retention: Duration::from_secs(86_400),
            request_timeout: Duration::from_secs(5),
            shutdown_grace: Duration::from_secs(5),
            probe_hosts: Vec::new(),
            probe_nets: Vec::new(),
            probe_redirects: 0,
            prometheus_url: None,
            oidc_issuer: config::OIDC_ISSUER.to_owned(),
            oidc_audience: "plimsoll".to_owned(),
            api_token: None,
            history: None,
        };
        let stop = CancellationToken::new();
        let app = start(&settings, stop.clone()).await.unwrap();
        let ask = |path: &str| reqwest::get(format!("http://{}{path}", app.address));
        assert_eq!(ask("/readyz").await.unwrap().text().await.unwrap(), "ready\n");
        assert_eq!(ask("/schema/v1.json").await.unwrap().status(), 200);
        stop.cancel();
        app.ended().await.unwrap();
        assert!(start(&settings, stop).await.unwrap().ended().await.is_ok(), "the database can be opened again");
    }
}
