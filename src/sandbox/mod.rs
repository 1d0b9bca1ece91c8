//! A stateful GitHub on localhost: for `plimsoll sandbox`, for stories and for the tests.
//!
//! [`model`] is the truth and does no I/O; [`api`] answers REST requests over it, also in process;
//! [`Sandbox`] puts both on a port of this machine, delivers webhooks, lets workflow runs progress
//! and shows pages. It plays GitHub, so it must know nothing of what the service does or thinks: no
//! room but `cli`, `app` and the tests may import it, and it imports none.

pub mod api;
pub mod faults;
mod git_http;
pub mod history;
pub mod hooks;
pub mod keys;
pub mod log;
pub mod model;
pub mod oidc;
mod pages;
mod people;
mod runs;
pub mod seed;
mod server;
#[cfg(test)]
mod server_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod work_tests;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::faults::{Fault, Faults};
use self::history::{GitHistory, HistoryError, MadeHistory};
use self::hooks::HookSettings;
use self::keys::AppKey;
use self::log::Recorded;
use self::model::{Manners, Model, PullWish, Refusal, RunTimes};

/// What repository the sandbox starts with.
#[derive(Debug, Clone)]
pub enum World {
    /// The small shop, kept in memory: the quickest.
    Made,
    /// The small shop as a real git repository in this folder (made if needed).
    Git { folder: PathBuf },
    /// A bare clone of somebody's repository in this folder; `replay` turns its last first-parent
    /// commits into pull requests.
    Own { repository: PathBuf, folder: PathBuf, replay: Option<usize> },
}

/// Which clock the sandbox lives by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The machine's, moved on by [`Sandbox::advance`].
    Wall,
    /// Stands still at this time (milliseconds since 1970) until [`Sandbox::advance`].
    Manual { start_ms: i64 },
}

/// How a sandbox is started.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// Port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    pub world: World,
    pub clock: Clock,
    /// Opens the world's pull requests at the start: the first of an own repository, or of the shop.
    pub open_pulls: usize,
    pub manners: Manners,
    pub run_times: RunTimes,
    /// A command that every workflow run executes; its exit code is the conclusion.
    pub exec: Option<String>,
    pub hook_url: Option<String>,
    pub hook_secret: String,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            port: 0,
            world: World::Made,
            clock: Clock::Wall,
            open_pulls: 0,
            manners: Manners::default(),
            run_times: RunTimes::default(),
            exec: None,
            hook_url: None,
            hook_secret: "sandbox-webhook-secret".to_owned(),
        }
    }
}

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("cannot listen on 127.0.0.1 port {port}")]
    Port { port: u16, source: std::io::Error },
    #[error("cannot make the repository")]
    Repository(#[from] HistoryError),
    #[error("cannot make the App's key")]
    Key,
    #[error("cannot start the sandbox's thread")]
    Thread(#[from] std::io::Error),
    #[error("GitHub would refuse with {status}: {message}", status = .0.status, message = .0.message)]
    Refused(Refusal),
}

impl From<Refusal> for SandboxError {
    fn from(refusal: Refusal) -> Self {
        SandboxError::Refused(refusal)
    }
}

pub(crate) struct Shared {
    model: Mutex<Model>,
    key: Arc<AppKey>,
    issuer: Mutex<oidc::Issuer>,
    /// Without a slash at the end.
    base_url: String,
    clock: Clock,
    /// Added to the wall clock, or the manual clock's whole time.
    shift_ms: AtomicI64,
    requests: Mutex<Vec<Recorded>>,
    faults: Mutex<Faults>,
    hook: Mutex<HookSettings>,
    in_flight: AtomicUsize,
    used: AtomicU64,
    wake_hooks: Notify,
    wake_runs: Notify,
    exec: Option<String>,
    /// The bare repository; `None`: it is kept in memory.
    git_folder: Option<PathBuf>,
}

/// A lock whose holder panicked still guards whole values here: each change is made in one call.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn model(&self) -> MutexGuard<'_, Model> {
        locked(&self.model)
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        locked(&self.faults)
    }

    fn hook(&self) -> HookSettings {
        locked(&self.hook).clone()
    }

    fn fate_of_next(&self) -> (bool, bool) {
        let mut hook = locked(&self.hook);
        if hook.lose_next > 0 {
            hook.lose_next -= 1;
            return (true, false);
        }
        let doubled = hook.double_next > 0;
        hook.double_next = hook.double_next.saturating_sub(1);
        (false, doubled)
    }

    fn record(&self, recorded: Recorded) {
        locked(&self.requests).push(recorded);
    }

    fn clock_is_manual(&self) -> bool {
        matches!(self.clock, Clock::Manual { .. })
    }

    fn now(&self) -> i64 {
        let shift = self.shift_ms.load(Ordering::SeqCst);
        match self.clock {
            Clock::Manual { .. } => shift,
            Clock::Wall => wall_ms() + shift,
        }
    }
}

/// The machine's clock: the sandbox's server lives by it, its model is only told.
#[expect(clippy::disallowed_methods, reason = "GitHub has a clock of its own")]
fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A running sandbox. It ends when it is dropped.
pub struct Sandbox {
    shared: Arc<Shared>,
    address: SocketAddr,
    cancel: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Starts a sandbox in a thread of its own, so its methods may be called from anywhere.
    pub fn start(options: SandboxOptions) -> Result<Self, SandboxError> {
        let now = match options.clock {
            Clock::Wall => wall_ms(),
            Clock::Manual { start_ms } => start_ms,
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))
            .map_err(|source| SandboxError::Port { port: options.port, source })?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let key = AppKey::shared().map_err(|_| SandboxError::Key)?;
        let git_folder = match &options.world {
            World::Made => None,
            World::Git { folder } => Some(folder.join("shop.git")),
            World::Own { folder, .. } => Some(folder.join("repository.git")),
        };
        let mut model = match &options.world {
            World::Made => seed::small_shop(Box::new(MadeHistory::new()), now)?,
            World::Git { folder } => {
                seed::small_shop(Box::new(GitHistory::init(&folder.join("shop.git"), "main")?), now)?
            }
            World::Own { repository, folder, replay } => {
                seed::own_repository(repository, &folder.join("repository.git"), *replay, now)?
            }
        };
        model.api_url = format!("http://{address}");
        model.web_url = model.api_url.clone();
        model.manners = options.manners;
        model.run_times = options.run_times;
        model.run_times.finished_by_hand |= options.exec.is_some();
        open_first(&mut model, &options.world, options.open_pulls, now)?;
        let shared = Arc::new(Shared {
            model: Mutex::new(model),
            key,
            issuer: Mutex::default(),
            base_url: format!("http://{address}"),
            clock: options.clock,
            shift_ms: AtomicI64::new(match options.clock {
                Clock::Wall => 0,
                Clock::Manual { start_ms } => start_ms,
            }),
            requests: Mutex::default(),
            faults: Mutex::default(),
            hook: Mutex::new(HookSettings {
                url: options.hook_url,
                secret: options.hook_secret,
                ..HookSettings::default()
            }),
            in_flight: AtomicUsize::new(0),
            used: AtomicU64::new(0),
            wake_hooks: Notify::new(),
            wake_runs: Notify::new(),
            exec: options.exec,
            git_folder,
        });
        let cancel = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("sandbox")
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new().name("sandbox".to_owned()).spawn({
            let (shared, cancel) = (shared.clone(), cancel.clone());
            move || {
                runtime.block_on(async {
                    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                    tokio::spawn(hooks::deliver_all(shared.clone()));
                    tokio::spawn(runs::progress(shared.clone()));
                    tokio::select! {
                        () = cancel.cancelled() => {}
                        _ = axum::serve(listener, server::router(shared)).into_future() => {}
                    }
                });
                runtime.shutdown_timeout(Duration::from_secs(1));
            }
        })?;
        Ok(Self { shared, address, cancel, thread: Some(thread) })
    }

    /// Ends the sandbox and waits for its thread.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.cancel.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    // --- what the service must know

    pub fn app_id(&self) -> u64 {
        self.shared.model().app.id
    }

    pub fn client_id(&self) -> String {
        self.shared.model().app.client_id.clone()
    }

    pub fn installation_id(&self) -> u64 {
        self.shared.model().installation.id
    }

    /// The App's private key as PEM (PKCS#8).
    pub fn private_key_pem(&self) -> String {
        self.shared.key.private_pem().to_owned()
    }

    /// Base address of the API, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Base address of the API as GHES has it.
    pub fn enterprise_url(&self) -> String {
        format!("http://{}/api/v3", self.address)
    }

    /// Address of the repository's page.
    pub fn web_url(&self) -> String {
        self.shared.model().page_url("")
    }

    /// Owner and name, as `acme/shop`.
    pub fn repository(&self) -> String {
        self.shared.model().repository.full_name()
    }

    pub fn webhook_secret(&self) -> String {
        self.shared.hook().secret
    }

    // --- webhooks

    /// Sets where webhooks go; what waited until now is delivered.
    pub fn set_hook(&self, url: &str, secret: &str) {
        {
            let mut hook = locked(&self.shared.hook);
            hook.url = Some(url.to_owned());
            hook.secret = secret.to_owned();
        }
        self.shared.wake_hooks.notify_one();
    }

    /// Changes what happens to webhooks on their way.
    pub fn hooks(&self, change: impl FnOnce(&mut HookSettings)) {
        change(&mut locked(&self.shared.hook));
        self.shared.wake_hooks.notify_one();
    }

    /// Waits on the real clock until no webhook waits or is under way; false when that takes longer.
    pub fn wait_delivered(&self, at_most: Duration) -> bool {
        let until = Instant::now() + at_most;
        while Instant::now() < until {
            let idle = {
                let model = self.shared.model();
                !model.has_events() && self.shared.in_flight.load(Ordering::SeqCst) == 0
            };
            if idle {
                return true;
            }
            self.shared.wake_hooks.notify_one();
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    // --- time, trouble, requests

    /// The sandbox's time in milliseconds since 1970.
    pub fn now(&self) -> i64 {
        self.shared.now()
    }

    /// Moves the clock on; workflow runs move with it.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.shared.shift_ms.fetch_add(by, Ordering::SeqCst);
        let now = self.shared.now();
        self.shared.model().tick(now);
        self.shared.wake_hooks.notify_one();
        self.shared.wake_runs.notify_one();
    }

    pub fn add_fault(&self, fault: Fault) {
        self.shared.faults().add(fault);
    }

    pub fn clear_faults(&self) {
        self.shared.faults().clear();
    }

    /// Requests to the API since the start or the last clearing, in order.
    pub fn requests(&self) -> Vec<Recorded> {
        locked(&self.shared.requests).clone()
    }

    pub fn clear_requests(&self) {
        locked(&self.shared.requests).clear();
    }

    /// Looks at or changes the model, with the present time; webhooks that this causes are delivered.
    pub fn with<T>(&self, act: impl FnOnce(&mut Model, i64) -> T) -> T {
        let now = self.shared.now();
        let result = act(&mut self.shared.model(), now);
        self.shared.wake_hooks.notify_one();
        self.shared.wake_runs.notify_one();
        result
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.end();
    }
}

fn open_first(model: &mut Model, world: &World, count: usize, now: i64) -> Result<(), Refusal> {
    match world {
        World::Made | World::Git { .. } => {
            for (branch, title, body, author) in seed::PULLS.into_iter().take(count) {
                model.open_pull(
                    &PullWish { head: branch, base: "main", title, body: Some(body), author, draft: false },
                    now,
                )?;
            }
        }
        World::Own { replay, .. } => {
            // Replayed commits stand on each other, so the next opens when the one before is closed.
            let count = if replay.is_some() { count.min(1) } else { count };
            for _ in 0..count {
                model.open_next_waiting(now);
            }
        }
    }
    Ok(())
}
