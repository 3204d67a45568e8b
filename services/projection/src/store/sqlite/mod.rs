//! Views in one SQLite file, or in memory.
//!
//! Commits survive a power cut: write-ahead log with `synchronous = FULL`, which syncs it at every commit. One connection
//! writes, a few read; several processes may open the same file, and SQLite's own lock orders their transactions.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use fedsx_kernel::origin::Origin;
use fedsx_runtime::clock::Clock;
use jiff::SignedDuration;
use sqlx::{
    SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{Advance, Group, Page, PageQuery, Reach, Result, Row, Shard, Store, StoreError};
use crate::shard::{ShardId, lease::Lease};

mod decode;
mod hold;
mod read;
mod write;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("src/store/sqlite/migrations");

/// How long a transaction waits for another process's.
const BUSY: Duration = Duration::from_secs(5);
/// Connections that read beside the one that writes.
const READERS: u32 = 4;
/// Rows of one statement: a handful of columns each stay far below SQLite's 32,766 parameters.
const CHUNK: usize = 1000;

/// The views in SQLite. Cheap to clone.
#[derive(Clone)]
pub struct Sqlite {
    writer: SqlitePool,
    reader: SqlitePool,
    clock: Arc<dyn Clock>,
}

/// Opens a file, creating it where there is none, and brings its schema up to date. Leases expire by the clock.
///
/// # Errors
/// [`StoreError::Driver`] where the file cannot be opened, or has a newer schema.
pub async fn open(path: impl AsRef<Path>, clock: Arc<dyn Clock>) -> Result<Sqlite> {
    let options = options().filename(path).create_if_missing(true);
    let writer = connect(SqlitePoolOptions::new().max_connections(1), options.clone()).await?;
    migrate(&writer).await?;
    let readers = SqlitePoolOptions::new().max_connections(READERS);
    let reader = connect(readers, options.pragma("query_only", "ON")).await?;
    Ok(Sqlite {
        writer,
        reader,
        clock,
    })
}

/// Views that last as long as the value and its clones.
///
/// # Errors
/// [`StoreError::Driver`]
pub async fn memory(clock: Arc<dyn Clock>) -> Result<Sqlite> {
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
        clock,
    })
}

impl Sqlite {
    /// Closes the connections; a file's write-ahead log is folded into it.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }

    async fn begin(&self) -> Result<Transaction<'static, sqlx::Sqlite>> {
        // A deferred transaction would take the lock at its first write, after it has read.
        let begun = self.writer.begin_with("BEGIN IMMEDIATE").await;
        begun.map_err(driver("begin a transaction"))
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
}

async fn connect(pool: SqlitePoolOptions, options: SqliteConnectOptions) -> Result<SqlitePool> {
    pool.connect_with(options).await.map_err(driver("open the file"))
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
    async fn declare(&self, shards: &[ShardId]) -> Result<()> {
        let mut transaction = self.begin().await?;
        write::declare(&mut transaction, shards).await?;
        transaction.commit().await.map_err(driver("declare shards"))
    }

    async fn hold(&self, group: &Group, owner: &str, term: SignedDuration) -> Result<Vec<Lease>> {
        let mut transaction = self.begin().await?;
        // Read under the lock, so that waiting for it costs nobody's term.
        let leases = hold::hold(&mut transaction, group, owner, self.clock.now(), term).await?;
        transaction.commit().await.map_err(driver("hold leases"))?;
        Ok(leases)
    }

    async fn resign(&self, group: &Group, owner: &str) -> Result<()> {
        let mut transaction = self.begin().await?;
        hold::resign(&mut transaction, group, owner).await?;
        transaction.commit().await.map_err(driver("resign"))
    }

    async fn commit(&self, advances: &[Advance]) -> Result<Vec<ShardId>> {
        let mut transaction = self.begin().await?;
        let lost = write::advance(&mut transaction, advances).await?;
        transaction.commit().await.map_err(driver("commit a batch"))?;
        Ok(lost)
    }

    async fn rows(&self, view: &str, keys: &[&str]) -> Result<Vec<Row>> {
        read::rows(&self.reader, view, keys).await
    }

    async fn rows_of_peer(&self, view: &str, peer: &Origin) -> Result<Vec<Row>> {
        read::rows_of_peer(&self.reader, view, peer).await
    }

    async fn row(&self, shard: &ShardId, key: &str) -> Result<Option<(Option<Row>, Reach)>> {
        read::row(&self.reader, shard, key).await
    }

    async fn page(&self, query: &PageQuery) -> Result<Option<Page>> {
        read::page(&self.reader, query).await
    }

    async fn shards(&self) -> Result<Vec<Shard>> {
        read::shards(&self.reader).await
    }
}

#[cfg(test)]
mod tests {
    use fedsx_runtime::clock::ManualClock;
    use jiff::Timestamp;

    use super::*;
    use crate::store::conformance::{self, Fixture};

    fn clock() -> ManualClock {
        ManualClock::new(Timestamp::from_second(1_795_000_000).unwrap())
    }

    /// Two processes over one file.
    async fn file() -> Fixture {
        let (directory, clock) = (tempfile::tempdir().unwrap(), clock());
        let path = directory.path().join("projection.db");
        Fixture {
            store: Arc::new(open(&path, Arc::new(clock.clone())).await.unwrap()),
            other: Arc::new(open(&path, Arc::new(clock.clone())).await.unwrap()),
            clock,
            _keep: Some(directory),
        }
    }

    async fn in_memory() -> Fixture {
        let clock = clock();
        let store = Arc::new(memory(Arc::new(clock.clone())).await.unwrap());
        Fixture {
            other: store.clone(),
            store,
            clock,
            _keep: None,
        }
    }

    mod on_file {
        crate::store::conformance::suite!(super::file);
    }

    mod on_memory {
        crate::store::conformance::suite!(super::in_memory);
    }

    #[tokio::test]
    async fn views_survive_the_process() {
        let (directory, clock) = (tempfile::tempdir().unwrap(), clock());
        let path = directory.path().join("projection.db");
        let store = open(&path, Arc::new(clock.clone())).await.unwrap();
        let fixture = Fixture {
            other: Arc::new(store.clone()),
            store: Arc::new(store.clone()),
            clock: clock.clone(),
            _keep: None,
        };
        let leases = conformance::held(&fixture).await;
        let step = conformance::step(conformance::lease_of(&leases, "x"), 7, &["x"]);
        fixture.store.commit(std::slice::from_ref(&step)).await.unwrap();
        store.close().await;
        let store = open(&path, Arc::new(clock)).await.unwrap();
        let (row, reach) = store.row(&step.shard, "x").await.unwrap().unwrap();
        assert_eq!((row.map(|row| row.position), reach.position), (Some(7), 7));
    }

    #[tokio::test]
    async fn a_corrupt_row_is_named() {
        let store = memory(Arc::new(clock())).await.unwrap();
        store.declare(&[ShardId::new("v", 0)]).await.unwrap();
        sqlx::query("UPDATE shard SET epoch = -1")
            .execute(&store.writer)
            .await
            .unwrap();
        let error = store.shards().await.unwrap_err().to_string();
        assert_eq!(
            error,
            r#"corrupt row in table `shard`, column `epoch`, key "v/0": is negative"#
        );
    }
}
