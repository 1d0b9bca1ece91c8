//! The store on SQLite.
//!
//! Each file holds the statements of one part. All use `$n`, BIGINT, TEXT and BLOB only and would serve PostgreSQL; what
//! is SQLite's own stands here and in `open`.
//!
//! One connection writes, behind a fair lock that the writer of deliveries shares; SQLite allows one writer anyway, and
//! waiting in line is cheaper than being refused. Its transactions take the write lock first (`BEGIN IMMEDIATE`), so none
//! can fail half-way for having read before it wrote. Reads have connections of their own.
//!
//! Flushed to the disk is what somebody outside relies on: a delivery (GitHub was told 202), what a person asked for, and
//! an effect before it is sent. Everything else outlives the process at once and the machine a moment later: the log is
//! one sequence, so each flush covers all commits before it, and after a power cut the last turns are simply taken again.
//! They had done nothing but read. In three rounds of one build a turn took 330 to 520 CPU µs that way, and 820 to 1,080
//! with every commit flushed.

mod deliveries;
mod effects;
mod lanes;
mod open;
mod people;
mod prune;

pub use open::{OpenError, SqliteOptions};

use super::writer::Writer;
use crate::domain::ids::*;
use crate::engine::ports::*;
use sqlx::sqlite::{SqliteConnection, SqliteTransaction};
use sqlx::{AssertSqlSafe, Connection};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Keeps everything in one SQLite file. Several instances may share a file on one machine.
#[derive(Debug)]
pub struct SqliteStore {
    /// `None`: opened for reading.
    admissions: Option<Writer>,
    writing: Arc<Mutex<SqliteConnection>>,
    /// For the engine.
    reading: Mutex<SqliteConnection>,
    /// For people: a long list must not hold up the engine.
    showing: Mutex<SqliteConnection>,
}

impl SqliteStore {
    /// Opens a database file, and makes it when it is missing.
    pub async fn open(path: &Path, options: SqliteOptions) -> Result<Self, OpenError> {
        make_private(path);
        let writing = Arc::new(Mutex::new(options.writing(path).await?));
        let reading = Mutex::new(options.reading(path).await?);
        let showing = Mutex::new(options.reading(path).await?);
        let admissions = Writer::start(path, options.pragmas(), Arc::clone(&writing)).await;
        let admissions = admissions.map_err(|error| OpenError::from_store(path, error))?;
        Ok(Self { admissions: Some(admissions), writing, reading, showing })
    }

    /// Opens a database file that is there, beside a service that may be using it. Whatever would change it fails.
    pub async fn open_to_read(path: &Path, options: SqliteOptions) -> Result<Self, OpenError> {
        let mut reading = options.reading_only(path).await?;
        open::is_of_this_version(path, &mut reading).await?;
        let writing = Arc::new(Mutex::new(options.reading_only(path).await?));
        let showing = Mutex::new(options.reading_only(path).await?);
        Ok(Self { admissions: None, writing, reading: Mutex::new(reading), showing })
    }

    /// Leaves little for the next start to read again: writes the known GUIDs in order, and copies the write-ahead log
    /// into the database. For an ordered stop; nothing is lost without it.
    pub async fn tidy(&self) -> Result<(), StoreError> {
        self.admissions()?.tidy().await?;
        let mut db = self.writing.lock().await;
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut *db).await?;
        Ok(())
    }
}

impl SqliteStore {
    fn admissions(&self) -> Result<&Writer, StoreError> {
        let message = || "it was opened for reading".to_owned();
        self.admissions.as_ref().ok_or_else(|| StoreError::Unavailable { message: message() })
    }
}

/// Makes a missing file so that only its owner may read it: it will hold payloads of private repositories. SQLite gives
/// the files beside it the same permissions. A failure is left to the opening, which says what is wrong.
fn make_private(path: &Path) {
    use std::os::unix::fs::OpenOptionsExt;
    let _ = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
}

/// Begins a transaction that may write, and that the disk may learn of later.
async fn begin(db: &mut SqliteConnection) -> Result<SqliteTransaction<'_>, StoreError> {
    Ok(db.begin_with("PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE").await?)
}

/// Begins a transaction that is on the disk, with all before it, when its commit returns.
async fn begin_flushed(db: &mut SqliteConnection) -> Result<SqliteTransaction<'_>, StoreError> {
    Ok(db.begin_with("PRAGMA synchronous = FULL; BEGIN IMMEDIATE").await?)
}

impl Store for SqliteStore {
    async fn admit(&self, delivery: NewDelivery) -> Result<Admitted, StoreError> {
        self.admissions()?.admit(delivery).await
    }

    async fn unsorted(&self, limit: usize) -> Result<Vec<NewDelivery>, StoreError> {
        let read = deliveries::unsorted(&mut *self.reading.lock().await, limit).await?;
        if !read.broken.is_empty() {
            // Put aside at once: the oldest delivery would otherwise hold up all others for ever.
            return Err(deliveries::park_broken(&mut *self.writing.lock().await, read.broken).await);
        }
        Ok(read.whole)
    }

    async fn sort(&self, sorted: Vec<(DeliveryId, Sorted)>, now: Timestamp) -> Result<(), StoreError> {
        deliveries::sort(&mut *self.writing.lock().await, sorted, now).await
    }

    async fn arrive(&self, arrival: Arrival) -> Result<(), StoreError> {
        let mut db = self.writing.lock().await;
        let mut tx = begin_flushed(&mut db).await?;
        lanes::arrive(&mut tx, &[arrival]).await?;
        Ok(tx.commit().await?)
    }

    async fn claim_lane(
        &self,
        holder: &Holder,
        now: Timestamp,
        lease_until: Timestamp,
        arrivals_max: usize,
    ) -> Result<Option<ClaimedLane>, StoreError> {
        lanes::claim(&mut *self.writing.lock().await, holder, now, lease_until, arrivals_max).await
    }

    async fn commit(&self, turn: TurnCommit) -> Result<(), StoreError> {
        lanes::commit(&mut *self.writing.lock().await, turn).await
    }

    async fn defer_lane(
        &self,
        subject: &Subject,
        holder: &Holder,
        until: Timestamp,
        because: &str,
    ) -> Result<(), StoreError> {
        lanes::defer(&mut *self.writing.lock().await, subject, holder, until, because).await
    }

    async fn park_arrivals(
        &self,
        subject: &Subject,
        holder: &Holder,
        arrivals: &[ArrivalId],
        because: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        lanes::park(&mut *self.writing.lock().await, subject, holder, arrivals, because, now).await
    }

    async fn claim_effect(
        &self,
        holder: &Holder,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Option<ClaimedEffect>, StoreError> {
        effects::claim(&mut *self.writing.lock().await, holder, now, lease_until).await
    }

    async fn finish_effect(
        &self,
        key: &EffectKey,
        holder: &Holder,
        progress: EffectProgress,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        effects::finish(&mut *self.writing.lock().await, key, holder, progress, now).await
    }

    async fn peek(&self, subject: &Subject) -> Result<Option<Snapshot>, StoreError> {
        lanes::peek(&mut *self.reading.lock().await, subject).await
    }

    async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        lanes::next_due(&mut *self.reading.lock().await, now).await
    }

    async fn journal(&self, subject: &Subject, limit: usize) -> Result<Vec<JournalLine>, StoreError> {
        people::journal(&mut *self.showing.lock().await, subject, limit).await
    }

    async fn delivery(&self, id: &DeliveryId) -> Result<Vec<KnownDelivery>, StoreError> {
        people::delivery(&mut *self.showing.lock().await, id).await
    }

    async fn parked(&self, limit: usize) -> Result<Vec<Parked>, StoreError> {
        people::parked(&mut *self.showing.lock().await, limit).await
    }

    async fn counts(&self, _now: Timestamp) -> Result<Counts, StoreError> {
        people::counts(&mut *self.showing.lock().await).await
    }

    async fn prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        let hashes = prune::hashes(&mut *self.showing.lock().await, before).await?;
        prune::prune(&mut *self.writing.lock().await, before, hashes).await
    }
}

/// A statement over `rows` rows: `head` (`$1, $2, ..`), (`$3, ..`) `tail`.
fn rows_sql(head: &str, columns: usize, rows: usize, tail: &str) -> AssertSqlSafe<String> {
    let row = |n: usize| {
        let places: Vec<_> = (0..columns).map(|column| format!("${}", n * columns + column + 1)).collect();
        format!("({})", places.join(", "))
    };
    let all: Vec<_> = (0..rows).map(row).collect();
    // Safe: made of our own texts and numbers; every value is bound.
    AssertSqlSafe(format!("{head} {} {tail}", all.join(", ")))
}

/// `(col = $first OR ..)` is slow to plan; this is `$first, $first+1, ..` for `IN (...)`.
fn places(first: usize, count: usize) -> String {
    let all: Vec<_> = (first..first + count).map(|n| format!("${n}")).collect();
    all.join(", ")
}

/// Cuts a list into pieces of 64, 32, .. 1, so that few different statements serve every length.
fn pieces<T>(mut all: &[T]) -> Vec<&[T]> {
    let mut cut = Vec::new();
    let mut size = 64;
    while !all.is_empty() {
        while size > all.len() {
            size /= 2;
        }
        let (piece, rest) = all.split_at(size);
        cut.push(piece);
        all = rest;
    }
    cut
}

/// As a `LIMIT`.
fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

#[cfg(test)]
impl SqliteStore {
    /// One number, for tests in this room.
    pub(super) async fn count(&self, sql: &'static str) -> i64 {
        let mut db = self.showing.lock().await;
        sqlx::Row::get(&sqlx::query(sql).fetch_one(&mut *db).await.expect("a number"), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_few_sizes_and_keep_the_order() {
        let all: Vec<_> = (0..203).collect();
        let cut = pieces(&all);
        assert_eq!(cut.iter().map(|piece| piece.len()).collect::<Vec<_>>(), [64, 64, 64, 8, 2, 1]);
        assert_eq!(cut.concat(), all);
        assert!(pieces::<u8>(&[]).is_empty());
    }
}
