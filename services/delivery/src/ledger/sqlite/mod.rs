//! The ledger in one SQLite file, or in memory.
//!
//! Every writing transaction begins with SQLite's own write lock (`BEGIN IMMEDIATE`), which is more than the lock of the
//! cursor's row that [`Turn`](super::Turn) asks for. Its clock is the process's.

mod candidates;
mod claim;
mod dead_letters;
mod endings;
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

use std::{fmt, path::Path, sync::Arc};

use fedsx_runtime::{
    clock::Clock,
    database::sqlite::{self, Pools},
};
use jiff::Timestamp;
use sqlx::{Sqlite as Db, Transaction};

use super::Result;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("src/ledger/sqlite/migrations");

/// The ledger in SQLite. Cheap to clone.
#[derive(Clone)]
pub struct Sqlite {
    pools: Pools,
    clock: Arc<dyn Clock>,
}

/// Opens a file, creating it where there is none, and brings its schema up to date.
///
/// # Errors
/// [`StoreError`](super::StoreError) where the file cannot be opened, or has a newer schema.
pub async fn open(path: impl AsRef<Path>, clock: Arc<dyn Clock>) -> Result<Sqlite> {
    Sqlite::over(sqlite::open(path, &MIGRATIONS).await?, clock).await
}

/// A ledger that lasts as long as the value and its clones.
///
/// # Errors
/// [`StoreError`](super::StoreError)
pub async fn memory(clock: Arc<dyn Clock>) -> Result<Sqlite> {
    Sqlite::over(sqlite::memory(&MIGRATIONS).await?, clock).await
}

impl Sqlite {
    async fn over(pools: Pools, clock: Arc<dyn Clock>) -> Result<Self> {
        lease::found(&pools.writer).await?;
        Ok(Self { pools, clock })
    }

    /// Closes the connections; a file's write-ahead log is folded into it.
    pub async fn close(&self) {
        self.pools.close().await;
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn begin(&self) -> Result<Transaction<'static, Db>> {
        self.pools.begin().await
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
