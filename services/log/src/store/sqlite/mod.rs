//! The log in one SQLite file, or in memory.
//!
//! Commits survive a power cut: write-ahead log with `synchronous = FULL`, which syncs it at every commit. One connection
//! writes, a few read; several processes may open the same file, and SQLite's own lock orders their batches.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use fedsx_proto::v1::{Entry, KvItem};
use fedsx_runtime::clock::{Clock, SystemClock};
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{Batch, By, Head, KvQuery, PageQuery, Result, Store, StoreError, StreamRow};

mod batch;
mod facts;
mod read;
mod row;
#[cfg(test)]
mod tests;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("src/store/sqlite/migrations");

/// How long a batch waits for another process's.
const BUSY: Duration = Duration::from_secs(5);
/// How long a call waits for a connection.
const WAIT: Duration = Duration::from_secs(10);
/// Connections that read beside the one that writes.
const READERS: u32 = 4;
/// Rows of one statement: 9 columns each stay far below SQLite's 32,766 parameters.
const CHUNK: usize = 1000;

/// The log in SQLite. Cheap to clone.
#[derive(Clone)]
pub struct Sqlite {
    writer: SqlitePool,
    reader: SqlitePool,
    clock: Arc<dyn Clock>,
}

/// Opens a file, creating it where there is none, and brings its schema up to date.
///
/// # Errors
/// [`StoreError::Driver`] where the file cannot be opened, or has a newer schema.
pub async fn open(path: impl AsRef<Path>) -> Result<Sqlite> {
    let options = options().filename(path).create_if_missing(true);
    let writer = connect(SqlitePoolOptions::new().max_connections(1), options.clone()).await?;
    migrate(&writer).await?;
    let readers = SqlitePoolOptions::new().max_connections(READERS);
    let reader = connect(readers, options.pragma("query_only", "ON")).await?;
    Ok(Sqlite {
        writer,
        reader,
        clock: Arc::new(SystemClock),
    })
}

/// A log that lasts as long as the value and its clones.
///
/// # Errors
/// [`StoreError::Driver`]
pub async fn memory() -> Result<Sqlite> {
    // Each connection has its own memory, so there is one, and it is never given up.
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None);
    let writer = connect(pool, options().in_memory(true)).await?;
    migrate(&writer).await?;
    Ok(Sqlite {
        reader: writer.clone(),
        writer,
        clock: Arc::new(SystemClock),
    })
}

impl Sqlite {
    /// The same store by another clock.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Closes the connections; a file's write-ahead log is folded into it.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

fn options() -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        .foreign_keys(true)
        // KiB, negative by SQLite's convention: the indexes' inner pages stay in memory.
        .pragma("cache_size", "-32768")
        // Pages of the write-ahead log that are folded into the file at once: 16 MiB, since under load each page of an
        // index is written by many batches.
        .pragma("wal_autocheckpoint", "4000")
}

async fn connect(pool: SqlitePoolOptions, options: SqliteConnectOptions) -> Result<SqlitePool> {
    pool.acquire_timeout(WAIT)
        .connect_with(options)
        .await
        .map_err(driver("open the file"))
}

async fn migrate(pool: &SqlitePool) -> Result<()> {
    MIGRATIONS.run(pool).await.map_err(|error| StoreError::Driver {
        action: "bring the schema up to date",
        source: error.into(),
    })
}

/// The driver's error while the store did this.
fn driver(action: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |error| StoreError::Driver {
        action,
        source: error.into(),
    }
}

/// A number of the contract as SQLite keeps it. Bounds that callers give may lie beyond; nothing stored does.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn begin(&self) -> Result<Box<dyn Batch>> {
        Ok(Box::new(batch::SqliteBatch::begin(self).await?))
    }

    async fn head(&self) -> Result<Head> {
        read::head(&self.reader).await
    }

    async fn entry(&self, by: &By) -> Result<Option<Entry>> {
        read::entry(&self.reader, by).await
    }

    async fn page(&self, query: &PageQuery) -> Result<Vec<Entry>> {
        read::page(&self.reader, query).await
    }

    async fn at(&self, positions: &[u64], max_bytes: u64) -> Result<Vec<Entry>> {
        read::at(&self.reader, positions, max_bytes).await
    }

    async fn stream(&self, name: &str) -> Result<Option<StreamRow>> {
        read::stream(&self.reader, name).await
    }

    async fn kv_get(&self, space: &str, key: &str) -> Result<Option<KvItem>> {
        read::kv_get(&self.reader, space, key).await
    }

    async fn kv_list(&self, query: &KvQuery) -> Result<Vec<KvItem>> {
        read::kv_list(&self.reader, query).await
    }
}
