//! A store in one SQLite file, or in memory.
//!
//! Commits survive a power cut: write-ahead log with `synchronous = FULL`, which syncs it at every commit. One connection
//! writes, a few read; several processes may open the same file, and SQLite's own lock orders their transactions.

use std::{path::Path, time::Duration};

use sqlx::{
    Sqlite, SqlitePool, Transaction,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{Result, driver};

/// How long a transaction waits for another process's.
const BUSY: Duration = Duration::from_secs(5);
/// How long a call waits for a connection.
const WAIT: Duration = Duration::from_secs(10);
/// Connections that read beside the one that writes.
const READERS: u32 = 4;

/// The connections to one database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pools {
    /// One connection.
    pub writer: SqlitePool,
    /// A few that cannot write; in memory, the writer.
    pub reader: SqlitePool,
}

/// Opens a file, creating it where there is none, and brings its schema up to date.
///
/// # Errors
/// [`StoreError::Driver`](super::StoreError) where the file cannot be opened, or has a newer schema.
pub async fn open(path: impl AsRef<Path>, migrations: &Migrator) -> Result<Pools> {
    let options = options().filename(path).create_if_missing(true);
    let writer = connect(SqlitePoolOptions::new().max_connections(1), options.clone()).await?;
    migrate(&writer, migrations).await?;
    let readers = SqlitePoolOptions::new().max_connections(READERS);
    let reader = connect(readers, options.pragma("query_only", "ON")).await?;
    Ok(Pools { writer, reader })
}

/// A database that lasts as long as the value and its clones.
///
/// # Errors
/// [`StoreError::Driver`](super::StoreError)
pub async fn memory(migrations: &Migrator) -> Result<Pools> {
    // Each connection has its own memory, so there is one, and it is never given up.
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None);
    let writer = connect(pool, options().in_memory(true)).await?;
    migrate(&writer, migrations).await?;
    let reader = writer.clone();
    Ok(Pools { writer, reader })
}

impl Pools {
    /// Begins a transaction that holds the database's write lock from the start: a deferred one would take it at its
    /// first write, after it has read.
    ///
    /// # Errors
    /// [`StoreError::Driver`](super::StoreError)
    pub async fn begin(&self) -> Result<Transaction<'static, Sqlite>> {
        let begun = self.writer.begin_with("BEGIN IMMEDIATE").await;
        begun.map_err(driver("begin a transaction"))
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
        // index is written by many transactions.
        .pragma("wal_autocheckpoint", "4000")
}

async fn connect(pool: SqlitePoolOptions, options: SqliteConnectOptions) -> Result<SqlitePool> {
    pool.acquire_timeout(WAIT)
        .test_before_acquire(false)
        .connect_with(options)
        .await
        .map_err(driver("open the file"))
}

async fn migrate(pool: &SqlitePool, migrations: &Migrator) -> Result<()> {
    let run = migrations.run(pool).await;
    run.map_err(driver("bring the schema up to date"))
}
