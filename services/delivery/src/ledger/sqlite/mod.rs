//! The ledger in one SQLite file, or in memory.
//!
//! Every writing transaction begins with SQLite's own write lock (`BEGIN IMMEDIATE`), which is more than the lock of the
//! cursor's row that [`Turn`](super::Turn) asks for. Its clock is the process's.

mod claim;
mod lease;
mod members;
mod peers;
mod prune;
mod query;
mod record;
mod relations;
mod row;
mod rows;
mod sweep;
mod turn;

use std::{fmt, path::Path, sync::Arc, time::Duration};

use fedsx_runtime::clock::Clock;
use jiff::Timestamp;
use sqlx::{
    Sqlite as Db, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::Result;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("src/ledger/sqlite/migrations");

/// How long a transaction waits for another process's.
const BUSY: Duration = Duration::from_secs(5);
/// Connections that read beside the one that writes.
const READERS: u32 = 4;

/// The ledger in SQLite. Cheap to clone.
#[derive(Clone)]
pub struct Sqlite {
    writer: SqlitePool,
    reader: SqlitePool,
    clock: Arc<dyn Clock>,
}

/// Opens a file, creating it where there is none, and brings its schema up to date.
///
/// # Errors
/// [`LedgerError`](super::LedgerError) where the file cannot be opened, or has a newer schema.
pub async fn open(path: impl AsRef<Path>, clock: Arc<dyn Clock>) -> Result<Sqlite> {
    let options = options().filename(path).create_if_missing(true);
    let writer = pool(1).connect_with(options.clone()).await?;
    let ledger = Sqlite::over(writer.clone(), writer, clock).await?;
    let reader = pool(READERS)
        .connect_with(options.pragma("query_only", "ON"))
        .await?;
    Ok(Sqlite { reader, ..ledger })
}

/// A ledger that lasts as long as the value and its clones.
///
/// # Errors
/// [`LedgerError`](super::LedgerError)
pub async fn memory(clock: Arc<dyn Clock>) -> Result<Sqlite> {
    // Each connection has its own memory, so there is one, and it is never given up.
    let pool = pool(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options().in_memory(true))
        .await?;
    Sqlite::over(pool.clone(), pool, clock).await
}

impl Sqlite {
    async fn over(writer: SqlitePool, reader: SqlitePool, clock: Arc<dyn Clock>) -> Result<Self> {
        MIGRATIONS.run(&writer).await?;
        lease::found(&writer).await?;
        Ok(Self {
            writer,
            reader,
            clock,
        })
    }

    /// Closes the connections; a file's write-ahead log is folded into it.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn begin(&self) -> Result<Transaction<'static, Db>> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .test_before_acquire(false)
}

fn options() -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        .foreign_keys(true)
        // KiB, negative by SQLite's convention: the indexes' inner pages stay in memory.
        .pragma("cache_size", "-32768")
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use fedsx_runtime::clock::ManualClock;

    use super::*;
    use crate::ledger::{Ledger, conformance};

    #[tokio::test]
    async fn in_memory_it_conforms() {
        conformance::run(|clock: ManualClock| async move {
            Arc::new(memory(Arc::new(clock)).await.unwrap()) as Arc<dyn Ledger>
        })
        .await;
    }

    #[tokio::test]
    async fn in_a_file_it_conforms() {
        let folder = tempfile::tempdir().unwrap();
        let count = std::sync::atomic::AtomicU32::new(0);
        conformance::run(|clock: ManualClock| {
            let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let path = folder.path().join(format!("{number}.db"));
            async move { Arc::new(open(path, Arc::new(clock)).await.unwrap()) as Arc<dyn Ledger> }
        })
        .await;
    }
}
