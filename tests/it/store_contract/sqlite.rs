//! What only a store with a file can do: be opened again, be refused, be damaged, be full.

use super::*;
use plimsoll::domain::effect::Ending;
use plimsoll::store::{OpenError, SqliteOptions, SqliteStore, journal_is_whole};
use std::path::{Path, PathBuf};

struct File {
    folder: tempfile::TempDir,
}

impl File {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("plimsoll.db")
    }

    async fn open(&self) -> SqliteStore {
        let options = SqliteOptions { busy_wait: Span(50), ..SqliteOptions::default() };
        SqliteStore::open(&self.path(), options).await.expect("opens")
    }

    /// The file as another program sees it.
    fn outside(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).expect("opens")
    }

    fn change(&self, sql: &str) {
        assert_eq!(self.outside().execute(sql, []).expect("valid SQL"), 1, "{sql}");
    }
}

/// Why a file is not opened, with the folder's changing name cut out.
async fn refusal(path: &Path) -> String {
    let error = SqliteStore::open(path, SqliteOptions::default()).await.expect_err("is refused");
    let folder = path.parent().expect("a folder").display().to_string();
    error.to_string().replace(&folder, "FOLDER")
}

#[tokio::test]
async fn everything_is_there_after_the_file_is_opened_again() {
    let file = File::new();
    let store = file.open().await;
    store.admit(delivery("a", "first", 1)).await.expect("admits");
    store.admit(delivery("a", "other", 2)).await.expect("admits");
    store.arrive(look(pull(1), "look", 3)).await.expect("arrives");
    let lane = claim(&store, &ada(), 4).await;
    let commit = TurnCommit {
        state: b"{\"kept\":true}".to_vec(),
        wake_at: Some(at(9_000)),
        effects: vec![comment(1), dispatch("x")],
        forwards: vec![look(pull(2), "forwarded", 5)],
        journal: vec!["one".into(), "two".into()],
        ..turn(&lane, &ada(), 5)
    };
    store.commit(commit).await.expect("commits");
    let flying = claim_effect(&store, &ada(), 6).await;
    let claimed = claim(&store, &ada(), 7).await;
    let before = (store.counts(at(8)).await, store.parked(9).await, store.journal(&pull(1), 9).await);
    let due = store.next_due(at(8)).await;
    store.tidy().await.expect("tidies");
    drop(store);

    let store = file.open().await;
    assert_eq!((store.counts(at(8)).await, store.parked(9).await, store.journal(&pull(1), 9).await), before);
    assert_eq!(store.next_due(at(8)).await, due);
    assert!(journal_is_whole(&before.2.expect("reads")));
    assert_eq!(store.unsorted(9).await, Ok(vec![delivery("a", "first", 1)]));
    assert_eq!(store.admit(delivery("a", "first", 9)).await, Ok(Admitted::Duplicate));
    assert_eq!(store.peek(&pull(1)).await, Ok(Some(Snapshot { version: 1, state: b"{\"kept\":true}".to_vec() })));
    // What the process held when it died is still held, until its lease runs out.
    assert_eq!(claim_or_none(&store, &grace(), 8).await, None);
    assert_eq!(claim(&store, &grace(), 1_007).await.arrivals, claimed.arrivals);
    assert_eq!(claim_effect(&store, &grace(), 8).await.effect.key, EffectKey::new("x"));
    let again = claim_effect(&store, &grace(), 1_006).await;
    assert_eq!((again.effect, again.was_in_flight), (flying.effect, true));
}

#[tokio::test]
async fn who_starts_the_service_reads_what_is_wrong_with_the_file() {
    let file = File::new();
    let folder = file.folder.path();
    insta::assert_snapshot!(refusal(&folder.join("no/such/plimsoll.db")).await.replace("/no/such", ""),
        @"the folder `FOLDER` for the database does not exist; create it, or name another file");

    std::fs::create_dir(folder.join("dir.db")).expect("a folder");
    insta::assert_snapshot!(refusal(&folder.join("dir.db")).await,
        @"`FOLDER/dir.db` cannot be opened for writing: unable to open database file");

    std::fs::write(folder.join("text.db"), "service: api\n".repeat(1_000)).expect("a file");
    insta::assert_snapshot!(refusal(&folder.join("text.db")).await,
        @"`FOLDER/text.db` is not a database of Plimsoll: file is not a database");

    let other = rusqlite::Connection::open(folder.join("other.db")).expect("opens");
    other.execute_batch("CREATE TABLE songs (name TEXT)").expect("valid SQL");
    insta::assert_snapshot!(refusal(&folder.join("other.db")).await,
        @"`FOLDER/other.db` is not a database of Plimsoll: it holds the tables of another program");

    drop(file.open().await);
    file.change("UPDATE meta SET value = '99' WHERE name = 'schema'");
    insta::assert_snapshot!(refusal(&file.path()).await,
        @"`FOLDER/plimsoll.db` was written by a newer Plimsoll (schema 99; this one knows up to 1): run that version, or restore a copy from before the upgrade");

    file.change("UPDATE meta SET value = 'new' WHERE name = 'schema'");
    insta::assert_snapshot!(refusal(&file.path()).await,
        @"`FOLDER/plimsoll.db` is not a database of Plimsoll: its table `meta` does not say which schema it has");
}

#[tokio::test]
async fn a_file_that_is_locked_is_refused_at_the_start_as_locked() {
    let file = File::new();
    drop(file.open().await);
    let outside = file.outside();
    outside.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").expect("valid SQL");
    let options = SqliteOptions { busy_wait: Span(20), ..SqliteOptions::default() };
    let error = SqliteStore::open(&file.path(), options).await.expect_err("is refused");
    assert!(matches!(error, OpenError::Busy { .. }), "{error}");
}

#[tokio::test]
async fn while_another_program_holds_the_file_nothing_is_accepted_and_nothing_lost() {
    let file = File::new();
    let store = file.open().await;
    store.arrive(look(pull(1), "a", 1)).await.expect("arrives");
    let lane = claim(&store, &ada(), 1).await;
    let outside = file.outside();
    outside.execute_batch("BEGIN IMMEDIATE").expect("valid SQL");
    let told = "another program holds the database locked (database is locked)".to_owned();
    let locked = StoreError::Unavailable { message: told };
    assert_eq!(store.admit(delivery("a", "{}", 1)).await, Err(locked.clone()));
    assert_eq!(store.arrive(look(pull(2), "b", 1)).await, Err(locked.clone()));
    assert_eq!(store.commit(turn(&lane, &ada(), 2)).await, Err(locked.clone()));
    assert_eq!(store.claim_effect(&ada(), at(3), at(9)).await, Err(locked));
    assert_eq!(store.peek(&pull(1)).await, Ok(None), "reading goes on");
    outside.execute_batch("COMMIT").expect("valid SQL");
    assert_eq!(store.admit(delivery("a", "{}", 1)).await, Ok(Admitted::Stored));
    assert_eq!(store.commit(turn(&lane, &ada(), 2)).await, Ok(()));
    assert_eq!(store.counts(at(3)).await.expect("counts").arrivals_waiting, 0);
}

#[tokio::test]
async fn when_the_disk_is_full_deliveries_are_refused_until_there_is_room() {
    let file = File::new();
    let options = SqliteOptions { size_bytes_max: Some(2 << 20), ..SqliteOptions::default() };
    let store = SqliteStore::open(&file.path(), options).await.expect("opens");
    // Bytes that do not pack.
    let mut seed = 1_u64;
    let mut noise = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 56) as u8
    };
    let body: Bytes = (0..300_000).map(|_| noise()).collect::<Vec<_>>().into();
    let large = |n: i64| NewDelivery { body: body.clone(), ..delivery(&n.to_string(), "", n) };
    let mut kept = 0;
    let error = loop {
        match store.admit(large(kept)).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!((3..7).contains(&kept), "{kept}");
    let told = "the store cannot be used: the disk is full (database or disk is full)";
    assert_eq!(error.to_string(), told);
    assert_eq!(store.unsorted(99).await.expect("reads").len() as i64, kept);

    let sorted = (0..kept).map(|n| (large(n).id, Sorted::Events(vec![]))).collect();
    store.sort(sorted, at(kept)).await.expect("sorts");
    assert_eq!(store.prune(at(kept)).await, Ok(kept as u64));
    assert_eq!(store.admit(large(kept)).await, Ok(Admitted::Stored), "the one that was refused");
    assert_eq!(store.admit(large(0)).await, Ok(Admitted::Duplicate));
}

#[tokio::test]
async fn a_delivery_that_cannot_be_read_is_parked_and_holds_up_nobody() {
    let file = File::new();
    let store = file.open().await;
    for id in ["a", "b", "c"] {
        store.admit(delivery(id, "{}", 1)).await.expect("admits");
    }
    file.change("UPDATE bodies SET body = x'ffffffff00' WHERE id = 1");
    file.change("DELETE FROM bodies WHERE id = 2");
    let message = "deliveries whose bodies cannot be read, now parked: a, b".to_owned();
    assert_eq!(store.unsorted(9).await, Err(StoreError::Corrupt { message }));
    assert_eq!(store.unsorted(9).await, Ok(vec![delivery("c", "{}", 1)]));
    let parked = store.parked(9).await.expect("reads");
    assert_eq!(parked[0].because, "its body cannot be read: its body is missing");
    assert_eq!(parked[1].because, "its body cannot be read: it claims to hold 4294967295 bytes");
    // Sent again, it is kept beside the damaged one.
    assert_eq!(store.admit(delivery("a", "{}", 2)).await, Ok(Admitted::Parked));
}

#[tokio::test]
async fn an_arrival_that_cannot_be_read_is_parked_and_its_lane_goes_on() {
    let file = File::new();
    let store = file.open().await;
    for word in ["a", "b"] {
        store.arrive(look(pull(1), word, 1)).await.expect("arrives");
    }
    file.change("UPDATE inbox SET arrival = '{' WHERE id = 1");
    let error = store.claim_lane(&ada(), at(5), at(99), 9).await.expect_err("is damaged");
    assert!(matches!(error, StoreError::Corrupt { .. }));
    assert!(error.to_string().contains("arrival 1 in pull_request:acme/shop#1"), "{error}");
    assert_eq!(said(&claim(&store, &ada(), 5).await), ["b"]);
    let parked = store.parked(9).await.expect("reads");
    assert_eq!(parked[0].what, "arrival 1 in pull_request:acme/shop#1, from what cannot be read");
}

#[tokio::test]
async fn an_effect_that_cannot_be_read_ends_as_unknown_and_its_lane_hears() {
    let file = File::new();
    let store = file.open().await;
    plan(&store, vec![dispatch("a"), dispatch("b")], 1).await;
    file.change("UPDATE effects SET effect = '{}' WHERE key = 'a'");
    let error = store.claim_effect(&ada(), at(5), at(99)).await.expect_err("is damaged");
    assert!(error.to_string().contains("effect a"), "{error}");
    assert_eq!(claim_effect(&store, &ada(), 5).await.effect.key, EffectKey::new("b"));
    let lane = claim(&store, &ada(), 6).await;
    let Event::EffectEnded { key, ending: Ending::Unknown { message } } = &lane.arrivals[0].1.event else {
        panic!("{lane:?}");
    };
    assert_eq!((key.as_str(), message), ("a", &error.to_string()));
}

#[tokio::test]
async fn other_damage_is_an_error_and_never_a_panic() {
    let file = File::new();
    let store = file.open().await;
    store.arrive(look(pull(1), "a", 1)).await.expect("arrives");
    let lane = claim(&store, &ada(), 1).await;
    store.commit(TurnCommit { journal: vec!["x".into()], ..turn(&lane, &ada(), 2) }).await.expect("commits");
    let is_corrupt = |error: StoreError| matches!(error, StoreError::Corrupt { .. });
    file.change("UPDATE subjects SET version = -1");
    assert!(is_corrupt(store.peek(&pull(1)).await.expect_err("version")));
    file.change("UPDATE subjects SET version = 1, state = NULL");
    assert!(is_corrupt(store.peek(&pull(1)).await.expect_err("state")));
    file.change("UPDATE journal SET version = 'one'");
    assert!(is_corrupt(store.journal(&pull(1), 9).await.expect_err("text in a number")));
    file.change("UPDATE subjects SET subject = 'nonsense', ready_at = 0, due_at = 0");
    assert!(is_corrupt(store.claim_lane(&ada(), at(9), at(19), 9).await.expect_err("name")));
}

#[tokio::test]
async fn a_caller_who_gives_up_leaves_the_store_usable() {
    let file = File::new();
    let store = file.open().await;
    for n in 0..30 {
        store.arrive(look(pull(1), "a", n)).await.expect("arrives");
        // Dropped at its first, second, .. wait: whatever it had begun is undone or done as a whole.
        let holder = ada();
        let claim = store.claim_lane(&holder, at(n * 10_000), at(n * 10_000 + 1), 99);
        let mut claim = std::pin::pin!(claim);
        for _ in 0..n {
            if is_ready_now(claim.as_mut()).await {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    let lane = store.claim_lane(&grace(), at(9_999_999), at(10_999_999), 99).await.expect("claims").expect("a lane");
    store.commit(turn(&lane, &grace(), 10_000_000)).await.expect("commits");
    assert_eq!(store.counts(at(0)).await.expect("counts").arrivals_waiting, 0);
}

/// Polls a future once; whether it was ready.
async fn is_ready_now<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
    std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_ready())).await
}

#[tokio::test]
async fn opened_for_reading_it_shows_all_and_changes_nothing() {
    let file = File::new();
    let only_look = async || SqliteStore::open_to_read(&file.path(), SqliteOptions::default()).await;
    assert!(matches!(only_look().await, Err(OpenError::Missing { .. })));
    assert!(!file.path().exists(), "looking makes nothing");
    let serving = file.open().await;
    serving.admit(delivery("a", "{}", 1)).await.expect("admits");
    let reader = only_look().await.expect("opens beside the service");
    assert_eq!(reader.delivery(&DeliveryId::new("a")).await.expect("reads").len(), 1);
    serving.admit(delivery("b", "{}", 1)).await.expect("admits");
    assert_eq!(reader.delivery(&DeliveryId::new("b")).await.expect("reads").len(), 1, "it sees what comes after");
    assert!(reader.admit(delivery("c", "{}", 1)).await.is_err());
    assert!(reader.arrive(look(pull(1), "x", 1)).await.is_err());
    assert_eq!(serving.counts(at(1)).await.expect("counts").arrivals_waiting, 0);
    file.change("UPDATE meta SET value = '0' WHERE name = 'schema'");
    assert!(matches!(only_look().await, Err(OpenError::Older { found: 0, .. })));
    file.change("UPDATE meta SET value = '999' WHERE name = 'schema'");
    assert!(matches!(only_look().await, Err(OpenError::Newer { found: 999, .. })));
}
