//! What keeping a delivery costs: CPU µs each, in an empty database and beside a million others; and a lane's turn.
//!
//! `cargo bench --bench admit [-- KEPT]`, where KEPT (default 1,000,000) is how many deliveries lie there in the second
//! round. Only ratios within one run mean anything. CPU is that of the whole process, all threads.

use bytes::Bytes;
use plimsoll::domain::event::Event;
use plimsoll::domain::ids::*;
use plimsoll::engine::ports::*;
use plimsoll::store::{SqliteOptions, SqliteStore};
use std::sync::Arc;
use std::time::{Duration, Instant};

const CALLERS: u64 = 64;
const ROUND: u64 = 40_000;

fn main() {
    let kept = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(1_000_000_u64);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("plimsoll.db");
        let store = Arc::new(SqliteStore::open(&path, SqliteOptions::default()).await.expect("opens"));
        let body = body();
        admit(&store, 0, 5_000, &body).await;
        let empty: Vec<f64> = vec![admit(&store, 5_000, ROUND, &body).await, admit(&store, 45_000, ROUND, &body).await];
        println!("empty database: {:.1} and {:.1} CPU µs per delivery of {} bytes", empty[0], empty[1], body.len());

        let small = Bytes::from_static(b"{}");
        let mut next = 100_000;
        if kept > next {
            admit(&store, next, kept - next, &small).await;
            next = kept;
        }
        let mut full = Vec::new();
        for _ in 0..3 {
            full.push(admit(&store, next, ROUND, &body).await);
            next += ROUND;
        }
        let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
        println!("{kept} kept: {full:.1?} CPU µs per delivery, {:.2} times the empty one", mean(&full) / mean(&empty));

        let began = Instant::now();
        drop(SqliteStore::open(&path, SqliteOptions::default()).await.expect("opens"));
        println!("opening it: {:.1?}", began.elapsed());

        sorting(&store).await;
        turns(&store).await;
    });
}

/// Admits deliveries from many callers at once; returns CPU µs for each.
async fn admit(store: &Arc<SqliteStore>, first: u64, count: u64, body: &Bytes) -> f64 {
    let before = cpu();
    let callers = if body.len() < 100 { 512 } else { CALLERS };
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let (store, body) = (Arc::clone(store), body.clone());
            tokio::spawn(async move {
                for n in (first + caller..first + count).step_by(callers as usize) {
                    let new = NewDelivery {
                        id: guid(n),
                        event: "pull_request".into(),
                        body: body.clone(),
                        received_at: Timestamp(n as i64),
                    };
                    assert_eq!(store.admit(new).await, Ok(Admitted::Stored));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    (cpu() - before).as_secs_f64() * 1e6 / count as f64
}

async fn sorting(store: &SqliteStore) {
    let (before, mut count) = (cpu(), 0);
    for _ in 0..50 {
        let mut sorted = Vec::new();
        for delivery in store.unsorted(64).await.expect("reads") {
            count += 1;
            sorted.push((delivery.id, Sorted::Events(vec![look(count)])));
        }
        store.sort(sorted, Timestamp(0)).await.expect("sorts");
    }
    println!("sorting: {:.1} CPU µs per delivery", (cpu() - before).as_secs_f64() * 1e6 / f64::from(count));
}

async fn turns(store: &SqliteStore) {
    let holder = Holder("bench".into());
    let (before, mut count) = (cpu(), 0);
    while let Some(lane) = store.claim_lane(&holder, Timestamp(1), Timestamp(1_000), 100).await.expect("claims") {
        let turn = TurnCommit {
            subject: lane.subject,
            holder: holder.clone(),
            expected_version: lane.snapshot.map(|snapshot| snapshot.version),
            state: vec![b'x'; 2_000],
            wake_at: Some(Timestamp(1_000_000)),
            taken: lane.arrivals.iter().map(|(id, _)| *id).collect(),
            effects: Vec::new(),
            forwards: Vec::new(),
            journal: vec!["looked".into()],
            at: Timestamp(1),
        };
        store.commit(turn).await.expect("commits");
        count += 1;
    }
    println!("{count} turns: {:.1} CPU µs each", (cpu() - before).as_secs_f64() * 1e6 / f64::from(count));
}

fn look(n: u32) -> Arrival {
    let repo = RepoName::parse("acme/shop").expect("a plain name");
    Arrival {
        subject: Subject::PullRequest { repo, number: PullNumber(u64::from(n % 1_500)) },
        installation: Some(InstallationId(7)),
        event: Event::Look { because: "bench".into() },
        source: Source::Operator,
        at: Timestamp(0),
    }
}

/// GUIDs in no order.
fn guid(n: u64) -> DeliveryId {
    let spread = |n: u64| {
        let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
    };
    let (a, b) = (spread(n + 1), spread(!n));
    DeliveryId::new(format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        b & 0xfff,
        b >> 16
    ))
}

/// A body that packs about as well as a real one, to a seventh.
fn body() -> Bytes {
    let mut text = String::from("{\"action\":\"opened\"");
    let mut n = 1_u64;
    while text.len() < 24_000 {
        n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let sha = format!("{n:016x}{:04x}", n >> 48);
        for part in ["issues", "pulls", "commits", "statuses", "labels", "comments"] {
            text.push_str(&format!(
                ",\"{part}_url\":\"https://api.github.com/repos/acme/shop/{sha}/{part}{{/number}}\""
            ));
        }
    }
    text.push('}');
    text.into()
}

/// CPU time of this process so far.
fn cpu() -> Duration {
    // Fields 14 and 15, in ticks of 10 ms, after the name in parentheses.
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let rest = stat.rsplit(')').next().expect("a name");
    let ticks: u64 = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
