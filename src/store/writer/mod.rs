//! Keeps deliveries: many callers, one transaction, one flush.
//!
//! A thread of its own with a connection of its own; what waits while a flush is under way goes into the next one.
//! Knows deliveries as bytes and parses nothing. Must never know lanes.
//!
//! It speaks to SQLite directly. In a prototype with the same tables, inserts of 64 rows through the asynchronous driver
//! took 44 to 45 CPU µs a delivery and this 30: there every value is copied for another thread and every statement is a
//! message to it.

mod known;

use super::rows::{pack, unavailable, unpack};
use super::texts;
use crate::engine::ports::{Admitted, NewDelivery, StoreError};
use known::{Key, Known, key_of};
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};

/// Deliveries in one transaction at most.
const BATCH_MAX: usize = 512;
/// Packed bytes in one transaction, at which no more deliveries join it.
const BATCH_BYTES: usize = 8 << 20;
/// Packed bytes that may wait; callers beyond them wait for room first. In units of [`UNIT`].
const QUEUE_UNITS: u32 = 32 << 10;
const UNIT: usize = 1 << 10;

/// After a batch of this many deliveries there is a crowd at the door, and the next batch waits a moment for more: each
/// commit costs about as much CPU as three deliveries, whatever is in it. Who comes alone never waits.
const CROWD: usize = 8;
const PATIENCE: Duration = Duration::from_millis(1);

/// A handle on the thread that writes; it ends when the last handle is dropped.
#[derive(Debug)]
pub(super) struct Writer {
    queue: mpsc::Sender<Work>,
    room: Arc<Semaphore>,
}

/// What the thread is given to do.
enum Work {
    Keep(Waiting),
    Tidy(oneshot::Sender<Result<(), StoreError>>),
}

/// A delivery on its way to the disk.
struct Waiting {
    key: Key,
    delivery: NewDelivery,
    packed: Vec<u8>,
    answer: oneshot::Sender<Result<Admitted, StoreError>>,
    _room: tokio::sync::OwnedSemaphorePermit,
}

impl Writer {
    /// Starts the thread. `turn` is held while it writes, so that writers of this process queue up in order instead of
    /// waking each other from SQLite's own waiting.
    pub async fn start<T: Send + 'static>(
        path: &Path,
        pragmas: String,
        turn: Arc<Mutex<T>>,
    ) -> Result<Self, StoreError> {
        let (queue, waiting) = mpsc::channel(BATCH_MAX * 2);
        let (started, start) = oneshot::channel();
        let path = path.to_owned();
        let thread = std::thread::Builder::new().name("store-writer".into());
        let run = move || match Thread::open(&path, &pragmas) {
            Ok(thread) => {
                let _ = started.send(Ok(()));
                thread.run(waiting, &turn);
            }
            Err(error) => drop(started.send(Err(error))),
        };
        thread.spawn(run).map_err(|error| unavailable(format!("no thread for the writer: {error}")))?;
        start.await.map_err(|_| gone())??;
        Ok(Self { queue, room: Arc::new(Semaphore::new(QUEUE_UNITS as usize)) })
    }

    /// Keeps a delivery; see [`Store::admit`](crate::engine::ports::Store::admit).
    pub async fn admit(&self, delivery: NewDelivery) -> Result<Admitted, StoreError> {
        // Packing and hashing happen here, on the callers' threads; the writer is the narrow place.
        let units = u32::try_from(delivery.body.len() / UNIT + 1).unwrap_or(QUEUE_UNITS).min(QUEUE_UNITS);
        let room = Arc::clone(&self.room).acquire_many_owned(units).await.map_err(|_| gone())?;
        let packed = pack(&delivery.body);
        let key = key_of(delivery.id.as_str());
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { key, delivery, packed, answer, _room: room };
        self.queue.send(Work::Keep(waiting)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// Writes the GUIDs that stand in memory as a run when they are many, so that the next start reads few.
    pub async fn tidy(&self) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        self.queue.send(Work::Tidy(answer)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

fn gone() -> StoreError {
    unavailable("the writer has stopped")
}

struct Thread {
    db: Connection,
    known: Known,
}

/// What a batch adds to the known GUIDs once it is durable.
#[derive(Default)]
struct Added {
    keys: HashMap<Key, i64>,
    last_id: i64,
}

impl Thread {
    fn open(path: &Path, pragmas: &str) -> Result<Self, StoreError> {
        let db = Connection::open(path)?;
        db.execute_batch(pragmas)?;
        db.set_prepared_statement_cache_capacity(32);
        let mut known = Known::default();
        known.catch_up(&db)?;
        Ok(Self { db, known })
    }

    fn run<T>(mut self, mut waiting: mpsc::Receiver<Work>, turn: &Mutex<T>) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let mut crowded = false;
        while let Some(first) = waiting.blocking_recv() {
            if crowded && waiting.len() + 1 < BATCH_MAX {
                std::thread::sleep(PATIENCE);
            }
            let turn = turn.blocking_lock();
            let first = match first {
                Work::Keep(first) => first,
                Work::Tidy(answer) => {
                    let _ = answer.send(self.tidy());
                    continue;
                }
            };
            let mut tidied = None;
            let mut bytes = first.packed.len();
            batch.push(first);
            // Only after the turn has come: whoever arrived meanwhile shares this flush.
            while batch.len() < BATCH_MAX && bytes < BATCH_BYTES {
                match waiting.try_recv() {
                    Ok(Work::Keep(next)) => {
                        bytes += next.packed.len();
                        batch.push(next);
                    }
                    Ok(Work::Tidy(answer)) => {
                        tidied = Some(answer);
                        break;
                    }
                    Err(_) => break,
                }
            }
            crowded = batch.len() >= CROWD;
            match self.write(&batch) {
                Ok(answers) => {
                    for (one, admitted) in batch.drain(..).zip(answers) {
                        // A caller who gave up has no use for the answer.
                        let _ = one.answer.send(Ok(admitted));
                    }
                }
                Err(error) => {
                    let error = StoreError::from(error);
                    tracing::error!(%error, deliveries = batch.len(), "deliveries could not be kept");
                    batch.drain(..).for_each(|one| drop(one.answer.send(Err(error.clone()))));
                }
            }
            if self.known.is_long()
                && let Err(error) = self.known.write_run(&mut self.db)
            {
                // The keys stay in memory, and the next batch tries again.
                tracing::warn!(error = %StoreError::from(error), "GUIDs could not be put in order");
            }
            if let Some(answer) = tidied {
                let _ = answer.send(self.tidy());
            }
            drop(turn);
        }
    }

    fn tidy(&mut self) -> Result<(), StoreError> {
        if self.known.is_worth_a_run() { Ok(self.known.write_run(&mut self.db)?) } else { Ok(()) }
    }

    /// Writes a batch in one transaction; after an error nothing of it is there.
    fn write(&mut self, batch: &[Waiting]) -> rusqlite::Result<Vec<Admitted>> {
        let tx = self.db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        self.known.catch_up(&tx)?;
        let mut added = Added { last_id: self.known.last_id, ..Added::default() };
        let mut answers = Vec::with_capacity(batch.len());
        for one in batch {
            answers.push(write_one(&tx, &self.known, &mut added, one)?);
        }
        tx.commit()?;
        self.known.add(added.keys, added.last_id);
        Ok(answers)
    }
}

fn write_one(db: &Connection, known: &Known, added: &mut Added, one: &Waiting) -> rusqlite::Result<Admitted> {
    let guid = one.delivery.id.as_str();
    let mut candidates = known.find(db, &one.key)?;
    candidates.extend(added.keys.get(&one.key));
    let mut there = false;
    for id in candidates {
        match same(db, id, &one.delivery)? {
            None => {}
            Some(true) => return Ok(Admitted::Duplicate),
            Some(false) => there = true,
        }
    }
    if !there {
        insert(db, added, one, "unsorted", None)?;
        added.keys.insert(one.key, added.last_id);
        return Ok(Admitted::Stored);
    }
    let beside = "SELECT id FROM deliveries WHERE guid = ?1 AND state IN ('parked', 'beside')";
    let beside: Vec<i64> = db.prepare_cached(beside)?.query_map([guid], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for id in beside {
        if same(db, id, &one.delivery)? == Some(true) {
            return Ok(Admitted::Duplicate);
        }
    }
    insert(db, added, one, "beside", Some(texts::OTHER_BYTES))?;
    Ok(Admitted::Parked)
}

/// Whether the delivery in a row has the same event and bytes; `None` when there is no such row under the same GUID.
fn same(db: &Connection, id: i64, delivery: &NewDelivery) -> rusqlite::Result<Option<bool>> {
    let row = "SELECT d.event = ?2, d.sha256, b.body FROM deliveries d LEFT JOIN bodies b ON b.id = d.id
         WHERE d.id = ?1 AND d.guid = ?3";
    let mut row = db.prepare_cached(row)?;
    row.query_row(params![id, delivery.event, delivery.id.as_str()], |row| {
        let same_event: bool = row.get(0)?;
        let sha256: Option<Vec<u8>> = row.get(1)?;
        let body: Option<Vec<u8>> = row.get(2)?;
        let same_body = match (body, sha256) {
            // A body that cannot be read is not the same: the new one is kept beside it.
            (Some(body), _) => unpack(&body).is_ok_and(|body| body == delivery.body),
            (None, Some(sha256)) => sha256 == Sha256::digest(&delivery.body)[..],
            (None, None) => false,
        };
        Ok(same_event && same_body)
    })
    .optional()
}

fn insert(
    db: &Connection,
    added: &mut Added,
    one: &Waiting,
    state: &str,
    because: Option<&str>,
) -> rusqlite::Result<()> {
    let id = added.last_id + 1;
    let delivery = &one.delivery;
    // What is parked at the door was put aside when it came.
    let sorted_at = because.map(|_| delivery.received_at.0);
    let row = "INSERT INTO deliveries (id, guid, event, received_at, state, because, sorted_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    db.prepare_cached(row)?.execute(params![
        id,
        delivery.id.as_str(),
        delivery.event,
        delivery.received_at.0,
        state,
        because,
        sorted_at
    ])?;
    db.prepare_cached("INSERT INTO bodies (id, body) VALUES (?1, ?2)")?.execute(params![id, one.packed])?;
    added.last_id = id;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{DeliveryId, Timestamp};
    use crate::engine::ports::{Sorted, Store};
    use crate::store::{SqliteOptions, SqliteStore};

    fn delivery(n: u32, body: &'static str) -> NewDelivery {
        NewDelivery {
            id: DeliveryId::new(format!("{:08x}-0000-4000-8000-{n:012x}", n.wrapping_mul(2_654_435_761))),
            event: "push".into(),
            body: bytes::Bytes::from_static(body.as_bytes()),
            received_at: Timestamp(i64::from(n)),
        }
    }

    async fn runs(store: &SqliteStore) -> i64 {
        store.count("SELECT count(*) FROM runs").await
    }

    #[tokio::test]
    async fn a_guid_is_known_from_memory_from_a_run_and_after_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("plimsoll.db");
        let store = SqliteStore::open(&path, SqliteOptions::default()).await.expect("opens");
        for n in 0..200 {
            assert_eq!(store.admit(delivery(n, "{}")).await, Ok(Admitted::Stored), "{n}");
        }
        assert_eq!(runs(&store).await, 3);
        let again = SqliteStore::open(&path, SqliteOptions::default()).await.expect("opens beside the first");
        for store in [&store, &again] {
            for n in 0..200 {
                assert_eq!(store.admit(delivery(n, "{}")).await, Ok(Admitted::Duplicate), "{n}");
            }
        }
        assert_eq!(again.admit(delivery(7, "[]")).await, Ok(Admitted::Parked));
    }

    #[tokio::test]
    async fn an_ordered_stop_leaves_few_guids_to_be_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("plimsoll.db");
        let store = SqliteStore::open(&path, SqliteOptions::default()).await.expect("opens");
        for n in 0..3 {
            store.admit(delivery(n, "{}")).await.expect("admits");
            store.tidy().await.expect("tidies");
        }
        assert_eq!(runs(&store).await, 0, "too few for a run");
        for n in 3..20 {
            store.admit(delivery(n, "{}")).await.expect("admits");
        }
        store.tidy().await.expect("tidies");
        assert_eq!(runs(&store).await, 1);
        drop(store);
        let again = SqliteStore::open(&path, SqliteOptions::default()).await.expect("opens");
        for n in 0..20 {
            assert_eq!(again.admit(delivery(n, "{}")).await, Ok(Admitted::Duplicate), "{n}");
        }
    }

    #[tokio::test]
    async fn two_processes_on_one_file_know_each_others_guids() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("plimsoll.db");
        let one = SqliteStore::open(&path, SqliteOptions::default()).await.expect("opens");
        let two = SqliteStore::open(&path, SqliteOptions::default()).await.expect("opens");
        for n in 0..150 {
            let (first, second) = if n % 3 == 0 { (&one, &two) } else { (&two, &one) };
            assert_eq!(first.admit(delivery(n, "{}")).await, Ok(Admitted::Stored), "{n}");
            assert_eq!(second.admit(delivery(n, "{}")).await, Ok(Admitted::Duplicate), "{n}");
        }
        assert_eq!(one.unsorted(999).await.expect("reads").len(), 150);
    }

    #[tokio::test]
    async fn a_run_goes_when_none_of_its_deliveries_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("plimsoll.db");
        let store = SqliteStore::open(&path, SqliteOptions::default()).await.expect("opens");
        for n in 0..64 {
            store.admit(delivery(n, "{}")).await.expect("admits");
            store.sort(vec![(delivery(n, "{}").id, Sorted::Events(vec![]))], Timestamp(0)).await.expect("sorts");
        }
        assert_eq!(runs(&store).await, 1);
        store.prune(Timestamp(i64::MAX)).await.expect("prunes");
        assert_eq!(store.count("SELECT count(*) FROM deliveries").await, 0);
        for n in 0..64 {
            assert_eq!(store.admit(delivery(n, "[]")).await, Ok(Admitted::Stored), "forgotten: {n}");
        }
        assert_eq!((runs(&store).await, store.count("SELECT count(*) FROM run_keys").await), (1, 64));
        assert_eq!(store.admit(delivery(5, "[]")).await, Ok(Admitted::Duplicate));
    }

    #[tokio::test]
    async fn a_body_of_the_largest_size_passes() {
        let folder = tempfile::tempdir().expect("a folder");
        let store =
            SqliteStore::open(&folder.path().join("plimsoll.db"), SqliteOptions::default()).await.expect("opens");
        let body = bytes::Bytes::from(vec![b'x'; 26 << 20]);
        let large = |n| NewDelivery { body: body.clone(), ..delivery(n, "") };
        let (a, b, c) = tokio::join!(store.admit(large(1)), store.admit(large(2)), store.admit(large(3)));
        assert_eq!((a, b, c), (Ok(Admitted::Stored), Ok(Admitted::Stored), Ok(Admitted::Stored)));
        // Two of them already fill what is read at once.
        assert_eq!(store.unsorted(9).await.expect("reads").len(), 3);
    }
}
