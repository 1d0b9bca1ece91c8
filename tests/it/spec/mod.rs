//! Behaviours as sentences, through the HTTP door: a signed webhook goes in, the real client speaks to the sandbox
//! GitHub on localhost, SQLite keeps the state. A test fails if GitHub saw a write that the test did not expect.

mod bad_input;
mod budget;
mod callbacks;
mod delivery;
mod gates;
mod history;
mod overrides;
mod protection;
mod pull_requests;
mod queue;
mod rollouts;

use plimsoll::app::{self, RunningApp};
use plimsoll::config::{LogFormat, LogSettings, Settings};
use plimsoll::domain::ids::{Subject, Timestamp};
use plimsoll::engine::ports::{Clock, Parked, Store};
use plimsoll::engine::query;
use plimsoll::sandbox::model::{CheckRun, Comment, RunTimes};
use plimsoll::sandbox::{Sandbox, SandboxOptions, World};
use plimsoll::store::{SqliteOptions, SqliteStore};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How long a behaviour may take until it counts as not happening.
const PATIENCE: Duration = Duration::from_secs(30);

/// What readers of the API bring.
const API_TOKEN: &str = "spec-0123456789abcdef0123456789abcdef";

/// The machine's clock, moved on by hand.
#[derive(Default)]
struct MovedClock(AtomicI64);

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        Timestamp(app::SystemClock.now().0 + self.0.load(Ordering::Relaxed))
    }
}

/// A GitHub with the shop, and the service beside it.
struct Town {
    github: Sandbox,
    app: Option<RunningApp>,
    store: Arc<SqliteStore>,
    clock: Arc<MovedClock>,
    stop: CancellationToken,
    door: String,
    looked_at_writes: bool,
    folder: tempfile::TempDir,
}

impl Town {
    /// Both running, nothing has happened yet.
    async fn open() -> Self {
        Self::open_with(SandboxOptions::default()).await
    }

    async fn open_with(options: SandboxOptions) -> Self {
        Self::open_changed(options, |_| {}).await
    }

    /// Both running, the service with settings of its operator's choice.
    async fn open_changed(options: SandboxOptions, change: impl FnOnce(&mut Settings)) -> Self {
        let run_times = RunTimes { queued_ms: 30, running_ms: 60, ..options.run_times };
        let options = SandboxOptions { world: World::Made, run_times, ..options };
        let github = tokio::task::spawn_blocking(move || Sandbox::start(options)).await.unwrap().unwrap();
        Self::beside_with(github, change).await
    }

    /// Both running, and workflow runs go on until the test ends them.
    async fn open_with_long_runs() -> Self {
        let run_times = RunTimes { finished_by_hand: true, ..RunTimes::default() };
        Self::open_with(SandboxOptions { run_times, ..SandboxOptions::default() }).await
    }

    /// The service beside a GitHub that is there already, at a port of this machine; 0 takes a free one.
    async fn beside(github: Sandbox, port: u16) -> Self {
        Self::beside_with(github, |settings| settings.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await
    }

    async fn beside_with(github: Sandbox, change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(&github, folder.path());
        change(&mut settings);
        let store = Arc::new(SqliteStore::open(&settings.database, SqliteOptions::default()).await.unwrap());
        let clock = Arc::new(MovedClock::default());
        let stop = CancellationToken::new();
        let app = app::start_on(&settings, store.clone(), clock.clone(), stop.clone()).await.unwrap();
        let door = format!("http://{}/github/webhook", app.address);
        github.set_hook(&door, &github.webhook_secret());
        Self { github, app: Some(app), store, clock, stop, door, looked_at_writes: false, folder }
    }

    /// Moves the clocks of GitHub and of the service on.
    fn advance(&self, by: Duration) {
        self.github.advance(by);
        let by = i64::try_from(by.as_millis()).unwrap();
        self.clock.0.fetch_add(by, Ordering::Relaxed);
    }

    /// The same, and wakes workers that sleep by the machine's clock, which did not jump. Nobody tells them anything.
    async fn later(&self, by: Duration) {
        self.advance(by);
        let guid = format!("wake-{}", self.github.now());
        assert_eq!(self.deliver("ping", &guid, &serde_json::json!({ "zen": "Design for failure." })).await, 202);
    }

    /// Waits until something can be seen.
    async fn until<T>(&self, what: &str, mut seen: impl FnMut(&Sandbox) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = seen(&self.github) {
                return found;
            }
            assert!(began.elapsed() < PATIENCE, "it did not happen that {what}\n{}", self.told());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until every delivery was taken and nothing is left to do at once.
    async fn quiet(&self) {
        let began = Instant::now();
        let mut quiet_since = None;
        loop {
            let github = self.github.now();
            let delivered = self.github.wait_delivered(Duration::from_millis(1));
            let counts = self.store.counts(Timestamp(github)).await.unwrap();
            let waiting = counts.deliveries_unsorted + counts.arrivals_waiting + counts.effects_planned;
            let running = self.github.runs().iter().any(|run| run.state.conclusion().is_none());
            if delivered && waiting == 0 && counts.effects_in_flight == 0 && !running {
                let since = *quiet_since.get_or_insert_with(Instant::now);
                if since.elapsed() > Duration::from_millis(150) {
                    return;
                }
            } else {
                quiet_since = None;
            }
            assert!(began.elapsed() < PATIENCE, "it did not become quiet: {counts:?}\n{}", self.told());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The requests so far, for a failing test's message.
    fn told(&self) -> String {
        let lines: Vec<String> = self.github.requests().iter().map(|r| format!("{} {}", r.status, r.line())).collect();
        lines.join("\n")
    }

    /// Compares the writes that GitHub saw since the last look, counted by route, with those expected.
    fn expect_writes(&mut self, expected: &[(&str, usize)]) {
        self.looked_at_writes = true;
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for request in self.github.requests().iter().filter(|r| r.writes()) {
            let route = request.route.unwrap_or("no such route").trim_start_matches("/repos/{owner}/{repo}");
            *seen.entry(format!("{} {route}", request.method)).or_default() += 1;
        }
        let expected: BTreeMap<String, usize> = expected.iter().map(|(line, n)| ((*line).to_owned(), *n)).collect();
        assert_eq!(seen, expected, "the writes that GitHub saw\n{}", self.told());
        self.github.clear_requests();
    }

    /// How many requests GitHub has answered since the last look, tokens left out.
    fn requests(&self) -> usize {
        self.github.requests().iter().filter(|r| !r.path.ends_with("/access_tokens")).count()
    }

    /// Opens the shop's first pull request as Ada and waits for its checks.
    async fn opened(&mut self) -> u64 {
        let number = self
            .github
            .open_pull("cheaper-search", "feat(api): find goods by name", "People look by first letters.", "ada")
            .unwrap();
        self.quiet().await;
        number
    }

    /// Puts a policy in force.
    async fn policy(&self, text: &str) {
        let files = [(".github/plimsoll.yml", text)];
        self.github.push_commit("main", &files, "chore: who may ship what", "barbara").unwrap();
        self.quiet().await;
    }

    /// Opens a pull request that changes the service `api`, and waits for its checks.
    async fn change(&self, name: &str, author: &str) -> u64 {
        let file = format!("services/api/src/{name}.rs");
        let title = format!("feat(api): {name}");
        self.github.push_commit(name, &[(&file, "// new\n")], &title, author).unwrap();
        let number = self.github.open_pull(name, &title, "As people asked for it.", author).unwrap();
        self.quiet().await;
        number
    }

    /// Merges as Linus and gives the commit.
    async fn merged(&self, number: u64) -> String {
        let sha = self.github.merge(number, "linus").unwrap();
        self.quiet().await;
        sha
    }

    /// The newest check run of a name on a commit.
    fn check(&self, sha: &str, name: &str) -> Option<CheckRun> {
        self.github.check_runs(sha).into_iter().find(|check| check.name == name)
    }

    /// The card of a release of `api`: title, then summary.
    fn card(&self, sha: &str) -> String {
        let check = self.check(sha, "plimsoll/release (api)");
        check
            .map_or_else(String::new, |c| format!("{}\n{}", c.title.unwrap_or_default(), c.summary.unwrap_or_default()))
    }

    /// Waits until the card of a release says something.
    async fn card_says(&self, sha: &str, words: &str) {
        let began = Instant::now();
        while !self.card(sha).contains(words) {
            assert!(began.elapsed() < PATIENCE, "the card never says `{words}`:\n{}\n{}", self.card(sha), self.told());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What was dispatched for production, oldest first: commit and percent.
    fn dispatched(&self) -> Vec<(String, String)> {
        let mut runs = self.github.runs();
        runs.reverse();
        runs.retain(|run| run.inputs.get("environment").is_some_and(|name| name == "production"));
        runs.into_iter().map(|run| (run.inputs["sha"].clone(), run.inputs["percent"].clone())).collect()
    }

    /// Sends a delivery of the test's own making through the door, signed.
    async fn deliver(&self, event: &str, guid: &str, payload: &serde_json::Value) -> u16 {
        let body = payload.to_string();
        let signature = plimsoll::sandbox::hooks::signature(&self.github.webhook_secret(), body.as_bytes());
        let request = reqwest::Client::new()
            .post(&self.door)
            .header("content-type", "application/json")
            .header("x-github-event", event)
            .header("x-github-delivery", guid)
            .header("x-hub-signature-256", signature);
        request.body(body).send().await.unwrap().status().as_u16()
    }

    /// The payload of the newest delivery of an event and action.
    fn delivered(&self, event: &str, action: &str) -> serde_json::Value {
        self.github.with(|model, _| {
            let of = |payload: &serde_json::Value| payload["action"] == action;
            let mut deliveries = model.deliveries.values().map(|d| &d.event);
            let found = deliveries.rfind(|one| one.event == event && of(&one.payload));
            (*found.expect("such a delivery").payload).clone()
        })
    }

    fn checks(&self, number: u64) -> BTreeMap<String, (String, String)> {
        let head = self.github.head_sha(number).unwrap();
        let runs = self.github.check_runs(&head);
        let shown = |c: plimsoll::sandbox::model::CheckRun| {
            (c.name, (c.conclusion.unwrap_or(c.status), c.title.unwrap_or_default()))
        };
        runs.into_iter().map(shown).collect()
    }

    /// Plimsoll's comments on a pull request, oldest first.
    fn comments(&self, number: u64) -> Vec<Comment> {
        let mut comments = self.github.comments(number);
        comments.retain(|comment| comment.author.ends_with("[bot]"));
        comments
    }

    /// Comments, waits for quiet, and gives the answer's text.
    async fn command(&mut self, number: u64, login: &str, body: &str) -> String {
        let asked = self.github.comment(number, login, body).unwrap();
        self.until(&format!("`{body}` of {login} is answered"), |github| {
            github.comments(number).into_iter().find(|c| c.author.ends_with("[bot]") && c.id > asked).map(|_| ())
        })
        .await;
        self.quiet().await;
        let answer = self.comments(number).into_iter().find(|c| c.id > asked).unwrap();
        answer.body.split("<!--").next().unwrap_or_default().trim().to_owned()
    }

    /// Commits that an environment's deployments succeeded with, oldest first.
    fn succeeded(&self, environment: &str) -> Vec<String> {
        let mut found: Vec<(u64, String)> = Vec::new();
        for (deployment, statuses) in self.github.deployments() {
            if deployment.environment == environment && statuses.iter().any(|s| s.state == "success") {
                found.push((deployment.id, deployment.sha));
            }
        }
        found.sort();
        found.into_iter().map(|(_, sha)| sha).collect()
    }

    /// What the API tells readers of the repository.
    async fn read(&self, path: &str) -> serde_json::Value {
        let address = self.app.as_ref().unwrap().address;
        let url = format!("http://{address}/api/v1/repos/{}/{path}", self.github.repository());
        let answer = reqwest::Client::new().get(url).bearer_auth(API_TOKEN).send().await.unwrap();
        assert_eq!(answer.headers()["cache-control"], "no-store");
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    async fn parked(&self) -> Vec<Parked> {
        query::parked(&*self.store).await.unwrap()
    }

    async fn journal(&self, subject: &str) -> Vec<String> {
        let subject = Subject::parse(subject).unwrap();
        query::journal(&*self.store, &subject).await.unwrap().into_iter().map(|line| line.text).collect()
    }

    async fn close(mut self) {
        assert!(std::mem::replace(&mut self.looked_at_writes, true), "the test never said which writes it expects");
        self.stop.cancel();
        if let Some(app) = self.app.take() {
            app.ended().await.unwrap();
        }
        let github = self.github;
        tokio::task::spawn_blocking(move || github.stop()).await.unwrap();
    }
}

fn settings(github: &Sandbox, folder: &std::path::Path) -> Settings {
    Settings {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        database: folder.join("plimsoll.db"),
        github_api_url: github.base_url(),
        github_web_url: github.base_url(),
        app_id: github.client_id(),
        private_key: github.private_key_pem().into(),
        webhook_secrets: vec![github.webhook_secret().into()],
        log: LogSettings { format: LogFormat::Human, filter: "error".to_owned() },
        workers: 4,
        retention: Duration::from_secs(3_600),
        request_timeout: Duration::from_secs(9),
        shutdown_grace: Duration::from_secs(5),
        probe_hosts: Vec::new(),
        probe_nets: Vec::new(),
        probe_redirects: 0,
        prometheus_url: None,
        oidc_issuer: github.oidc_issuer(),
        oidc_audience: "plimsoll".to_owned(),
        api_token: Some(API_TOKEN.into()),
        history: None,
    }
}
