//! What a lane's turn costs: CPU µs of claiming, deciding and committing, with a GitHub that answers at once.
//!
//! `cargo bench --bench turn [-- PULLS]`, where PULLS (default 2,000) is how many pull requests of one repository there
//! are. Each is opened, its effects are performed, and then its author pushes. Only ratios within one run mean anything.
//! CPU is that of the whole process, all threads, with the store's own.

use plimsoll::domain::effect::Effect;
use plimsoll::domain::event::{Event, PullAction};
use plimsoll::domain::facts::*;
use plimsoll::domain::ids::*;
use plimsoll::domain::reading::{Question, Reading};
use plimsoll::engine::lanes::Lanes;
use plimsoll::engine::outbox::{Sent, perform};
use plimsoll::engine::ports::*;
use plimsoll::engine::step::{Turn, turn};
use plimsoll::store::{MemoryStore, SqliteOptions, SqliteStore};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

fn main() {
    let pulls = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(2_000_u64);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("plimsoll.db");
        let sqlite = SqliteStore::open(&path, SqliteOptions::default()).await.expect("opens");
        for round in 1..=2 {
            println!("round {round}, {pulls} pull requests, 6 files each");
            let repo = RepoName::parse(&format!("acme/shop{round}")).expect("a plain name");
            measure("memory", &MemoryStore::new(), &repo, pulls).await;
            measure("SQLite", &sqlite, &repo, pulls).await;
        }
    });
}

async fn measure<S: Store>(name: &str, store: &S, repo: &RepoName, pulls: u64) {
    let lanes = Lanes::default();
    let world = World { now: AtomicI64::new(1_000_000), made: AtomicU64::new(0) };
    // The repository's own lane reads the policy once; that is not what is measured.
    arrive(store, &world, repo, 0, PullAction::Opened).await;
    all_turns(store, &lanes, &world).await;
    all_effects(store, &world).await;

    for action in [PullAction::Opened, PullAction::Synchronize] {
        let word = if action == PullAction::Opened { "opened" } else { "pushed to" };
        for number in 1..=pulls {
            arrive(store, &world, repo, number, action).await;
        }
        let (turns, cost) = measured(all_turns(store, &lanes, &world)).await;
        println!(
            "{name}: {:6.1} CPU µs for each of {turns} turns of pull requests that were {word}",
            each(cost, turns)
        );
        let (effects, cost) = measured(all_effects(store, &world)).await;
        println!("{name}: {:6.1} CPU µs for each of {effects} effects of them", each(cost, effects));
        // What the lanes hear of their effects.
        let (turns, cost) = measured(all_turns(store, &lanes, &world)).await;
        println!("{name}: {:6.1} CPU µs for each of {turns} turns that hear of their effects", each(cost, turns));
    }
}

async fn arrive<S: Store>(store: &S, world: &World, repo: &RepoName, number: u64, action: PullAction) {
    let at = Timestamp(world.now.fetch_add(1, Ordering::Relaxed));
    let number = PullNumber(number);
    let arrival = Arrival {
        subject: Subject::PullRequest { repo: repo.clone(), number },
        installation: Some(InstallationId(7)),
        event: Event::PullChanged { action, pull: Box::new(pull(repo, number, at)) },
        source: Source::Operator,
        at,
    };
    store.arrive(arrival).await.expect("arrives");
}

async fn all_turns<S: Store>(store: &S, lanes: &Lanes, world: &World) -> u64 {
    let mut turns = 0;
    loop {
        match turn((store, lanes), world, world, world, &holder()).await.expect("the store works") {
            Turn::Idle => return turns,
            Turn::Done => turns += 1,
            Turn::Deferred => panic!("nothing here can fail"),
        }
    }
}

async fn all_effects<S: Store>(store: &S, world: &World) -> u64 {
    let mut effects = 0;
    loop {
        match perform(store, world, world, &holder()).await.expect("the store works") {
            Sent::Idle => return effects,
            Sent::Ended => effects += 1,
            Sent::Later => panic!("nothing here can fail"),
        }
    }
}

fn holder() -> Holder {
    Holder("bench".into())
}

/// A GitHub that answers at once, and a clock that only moves when something arrives.
struct World {
    now: AtomicI64,
    made: AtomicU64,
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::Relaxed))
    }
}

impl Probes for World {
    async fn ask(&self, _: &Question) -> Reading {
        Reading::Unasked { because: "nothing runs here".to_owned() }
    }
}

impl GitHub for World {
    async fn observe(&self, _: InstallationId, repo: &RepoName, need: &Need) -> Result<Fact, GitHubError> {
        Ok(match need {
            Need::Repository => {
                Fact::Repository(RepositorySnapshot { default_branch: RefName::new("main"), archived: false })
            }
            Need::PolicyFile => Fact::PolicyFile(PolicyFile::Found {
                text: include_str!("../plimsoll.example.yml").to_owned(),
                blob: sha(1),
            }),
            Need::Pull { number } => Fact::Pull(pull(repo, *number, self.now())),
            Need::PullFiles { .. } => Fact::PullFiles(files()),
            Need::PullReviews { .. } => Fact::PullReviews(Vec::new()),
            Need::PullCommits { .. } => Fact::PullCommits(Vec::new()),
            Need::RecentPulls { .. } => Fact::RecentPulls(Vec::new()),
            Need::Comments { .. } => Fact::Comments(Vec::new()),
            Need::PolicyInForce
            | Need::FileAt { .. }
            | Need::Permission { .. }
            | Need::TeamMember { .. }
            | Need::Commit { .. }
            | Need::Comparison { .. }
            | Need::Run { .. }
            | Need::RunByKey { .. }
            | Need::Checks { .. }
            | Need::Artifact { .. }
            | Need::OpenPulls
            | Need::Past { .. }
            | Need::Reading { .. } => Fact::Absent(Absence::NotFound),
        })
    }

    async fn perform(&self, _: &Effect, remote: Option<u64>) -> Result<Done, GitHubError> {
        let id = remote.unwrap_or_else(|| self.made.fetch_add(1, Ordering::Relaxed));
        Ok(Done { id: Some(id), url: Some(format!("https://github.com/acme/shop/runs/{id}")) })
    }

    async fn probe(&self, _: &Effect, _: Timestamp) -> Result<Option<Done>, GitHubError> {
        Ok(None)
    }
}

/// A pull request whose head is another at every `at`.
fn pull(repo: &RepoName, number: PullNumber, at: Timestamp) -> PullSnapshot {
    PullSnapshot {
        number,
        title: "feat(api): charge in cents".into(),
        body: "Amounts are whole cents from now on; the page shows them as before.".into(),
        author: Login::new("ada"),
        author_is_bot: false,
        head_sha: sha(at.0.unsigned_abs()),
        head_ref: RefName::new("cents"),
        head_repo: Some(repo.clone()),
        base_ref: RefName::new("main"),
        base_sha: sha(2),
        draft: false,
        open: true,
        merged: false,
        merge_commit_sha: None,
        merged_by: None,
        labels: Vec::new(),
        updated_at: at,
        additions: Some(182),
        deletions: Some(48),
        changed_files: Some(6),
    }
}

fn files() -> ChangedFiles {
    let file = |path: &str, additions, deletions| ChangedFile {
        path: path.into(),
        previous_path: None,
        status: FileStatus::Modified,
        additions,
        deletions,
    };
    let files = vec![
        file("services/api/src/charge.py", 90, 31),
        file("services/api/src/money.py", 44, 6),
        file("services/api/tests/charge.py", 30, 9),
        file("libs/currency.py", 8, 2),
        file("migrations/0042_cents.sql", 9, 0),
        file("docs/changes.md", 1, 0),
    ];
    ChangedFiles { files, cut: false }
}

fn sha(n: u64) -> Sha {
    Sha::parse(&format!("{n:07x}{n:033x}")).expect("forty digits make a hash")
}

async fn measured<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let before = cpu();
    let made = work.await;
    (made, cpu() - before)
}

fn each(cost: Duration, count: u64) -> f64 {
    cost.as_secs_f64() * 1e6 / count.max(1) as f64
}

/// CPU time of this process so far.
fn cpu() -> Duration {
    // Fields 14 and 15, in ticks of 10 ms, after the name in parentheses.
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let rest = stat.rsplit(')').next().expect("a name");
    let ticks: u64 = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
