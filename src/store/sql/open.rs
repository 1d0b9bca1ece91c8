//! Opens a database file: settings, schema, and what to tell an operator when it cannot be.
//!
//! Knows SQLite's settings and the list of migrations. Must never know what is in the tables.
//!
//! The runner is our own, a dozen lines over `meta`: the library's wants a folder at run time or its macros at compile
//! time, and cannot tell a newer schema from a missing file.

use crate::domain::ids::Span;
use crate::engine::ports::StoreError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Every schema there has been, oldest first; never edit one that was released.
const MIGRATIONS: &[&str] = &[include_str!("../../../migrations/0001_begin.sql")];

/// How a database file is used.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// How long to wait for another program (a backup, the command line) to let go of the database. GitHub gives up on
    /// a delivery after ten seconds, so stay well below.
    pub busy_wait: Span,
    /// How large the file may grow; what no longer fits is refused as if the disk were full. `None`: as the disk allows.
    pub size_bytes_max: Option<u64>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { busy_wait: Span::seconds(4), size_bytes_max: None }
    }
}

/// Why a database could not be opened, in words for who starts the service.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the folder `{folder}` for the database does not exist; create it, or name another file")]
    NoFolder { folder: PathBuf },
    #[error("there is no database `{path}`; name the file that `plimsoll serve` keeps its state in")]
    Missing { path: PathBuf },
    #[error(
        "`{path}` was written by an older Plimsoll (schema {found}; this one reads {known}): start the service of this \
         version once, or use the older program"
    )]
    Older { path: PathBuf, found: u64, known: u64 },
    #[error("`{path}` cannot be opened for writing: {message}")]
    Unwritable { path: PathBuf, message: String },
    #[error("`{path}` is not a database of Plimsoll: {message}")]
    NotOurs { path: PathBuf, message: String },
    #[error(
        "`{path}` was written by a newer Plimsoll (schema {found}; this one knows up to {known}): run that version, or \
         restore a copy from before the upgrade"
    )]
    Newer { path: PathBuf, found: u64, known: u64 },
    #[error("`{path}` is locked by another program: {message}")]
    Busy { path: PathBuf, message: String },
    #[error("`{path}` could not be opened: {message}")]
    Failed { path: PathBuf, message: String },
}

pub(super) const PAGE_BYTES: u64 = 8_192;

impl SqliteOptions {
    /// Settings of a connection that writes, as SQL, for the connection that does not come from the asynchronous driver.
    pub(super) fn pragmas(&self) -> String {
        let pages = match self.size_bytes_max {
            Some(bytes) => format!("PRAGMA max_page_count = {};", (bytes / PAGE_BYTES).max(1)),
            None => String::new(),
        };
        // The order matters: first how long to wait, for the next lines may have to.
        format!(
            "PRAGMA busy_timeout = {}; PRAGMA synchronous = FULL; PRAGMA cache_size = -8000;
             PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}; PRAGMA foreign_keys = OFF; {pages}",
            self.busy_wait.0
        )
    }

    fn of_file(&self, path: &Path) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(Duration::from_millis(self.busy_wait.0))
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(false)
            .pragma("cache_size", "-8000")
            .statement_cache_capacity(200)
            .disable_statement_logging()
    }

    /// Opens the connection that writes; makes the file and its tables when they are missing.
    pub(super) async fn writing(&self, path: &Path) -> Result<SqliteConnection, OpenError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
            return Err(OpenError::NoFolder { folder: folder.to_owned() });
        }
        let mut options = self
            .of_file(path)
            .create_if_missing(true)
            // Measured best for bodies of a few KB; only a new file takes it.
            .page_size(PAGE_BYTES as u32)
            .journal_mode(SqliteJournalMode::Wal)
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string());
        if let Some(bytes) = self.size_bytes_max {
            options = options.pragma("max_page_count", (bytes / PAGE_BYTES).max(1).to_string());
        }
        let mut db = options.connect().await.map_err(|error| explain(path, &error))?;
        migrate(path, &mut db).await?;
        Ok(db)
    }

    /// Opens a connection to a file that is there, which only reads.
    pub(super) async fn reading_only(&self, path: &Path) -> Result<SqliteConnection, OpenError> {
        if !path.is_file() {
            return Err(OpenError::Missing { path: path.to_owned() });
        }
        self.reading(path).await
    }

    /// Opens a connection that only reads.
    pub(super) async fn reading(&self, path: &Path) -> Result<SqliteConnection, OpenError> {
        let options = self.of_file(path).pragma("query_only", "ON");
        options.connect().await.map_err(|error| explain(path, &error))
    }
}

/// Pages in the write-ahead log at which it is copied into the database.
const CHECKPOINT_PAGES: u32 = 2_000;

/// Brings the tables up to this version.
async fn migrate(path: &Path, db: &mut SqliteConnection) -> Result<(), OpenError> {
    let explained = |error: sqlx::Error| explain(path, &error);
    let tables = "SELECT count(*), count(CASE WHEN name = 'meta' THEN 1 END) FROM sqlite_master WHERE type = 'table'";
    let tables = sqlx::query(tables).fetch_one(&mut *db).await.map_err(explained)?;
    let (all, meta): (i64, i64) = (tables.get(0), tables.get(1));
    if all > 0 && meta == 0 {
        let message = "it holds the tables of another program".to_owned();
        return Err(OpenError::NotOurs { path: path.to_owned(), message });
    }
    let found = if meta == 1 { schema(path, db).await? } else { 0 };
    let known = MIGRATIONS.len() as u64;
    if found > known {
        return Err(OpenError::Newer { path: path.to_owned(), found, known });
    }
    if found == known {
        return Ok(());
    }
    // Another process may begin at the same moment: whoever comes second finds the work done.
    let mut tx = db.begin_with("BEGIN IMMEDIATE").await.map_err(explained)?;
    let meta = "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)";
    sqlx::query(meta).execute(&mut *tx).await.map_err(explained)?;
    let begin = "INSERT INTO meta (name, value) VALUES ('schema', '0') ON CONFLICT (name) DO NOTHING";
    sqlx::query(begin).execute(&mut *tx).await.map_err(explained)?;
    let found = schema(path, &mut tx).await?;
    for migration in MIGRATIONS.iter().skip(found as usize) {
        sqlx::raw_sql(AssertSqlSafe(*migration)).execute(&mut *tx).await.map_err(explained)?;
    }
    let done = sqlx::query("UPDATE meta SET value = $1 WHERE name = 'schema'").bind(known.to_string());
    done.execute(&mut *tx).await.map_err(explained)?;
    tx.commit().await.map_err(explained)
}

/// Whether a file can be read as it is.
pub(super) async fn is_of_this_version(path: &Path, db: &mut SqliteConnection) -> Result<(), OpenError> {
    let explained = |error: sqlx::Error| explain(path, &error);
    let meta = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'meta'";
    let meta: i64 = sqlx::query(meta).fetch_one(&mut *db).await.map_err(explained)?.get(0);
    if meta == 0 {
        let message = "it has no table `meta`".to_owned();
        return Err(OpenError::NotOurs { path: path.to_owned(), message });
    }
    let (found, known) = (schema(path, db).await?, MIGRATIONS.len() as u64);
    match found.cmp(&known) {
        std::cmp::Ordering::Less => Err(OpenError::Older { path: path.to_owned(), found, known }),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(OpenError::Newer { path: path.to_owned(), found, known }),
    }
}

/// Number of the newest migration that the file has seen.
async fn schema(path: &Path, db: &mut SqliteConnection) -> Result<u64, OpenError> {
    let row = sqlx::query("SELECT value FROM meta WHERE name = 'schema'").fetch_optional(db).await;
    let row = row.map_err(|error| explain(path, &error))?;
    let value: Option<String> = row.and_then(|row| row.try_get(0).ok());
    value.and_then(|value| value.parse().ok()).ok_or_else(|| OpenError::NotOurs {
        path: path.to_owned(),
        message: "its table `meta` does not say which schema it has".to_owned(),
    })
}

fn explain(path: &Path, error: &sqlx::Error) -> OpenError {
    let path = path.to_owned();
    let sqlx::Error::Database(inner) = error else {
        return OpenError::Failed { path, message: error.to_string() };
    };
    let message = inner.message().to_owned();
    match inner.code().and_then(|code| code.parse::<i32>().ok()).map(|code| code & 0xff) {
        Some(5 | 6) => OpenError::Busy { path, message },
        Some(3 | 8 | 13 | 14) => OpenError::Unwritable { path, message },
        Some(26) => OpenError::NotOurs { path, message },
        _ => OpenError::Failed { path, message },
    }
}

impl OpenError {
    /// For what fails after the file has been opened.
    pub(super) fn from_store(path: &Path, error: StoreError) -> Self {
        Self::Failed { path: path.to_owned(), message: error.to_string() }
    }
}
