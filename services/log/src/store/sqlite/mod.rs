//! The log in one SQLite file, or in memory. One connection writes, a few read; several processes may open the same file,
//! and SQLite's own lock orders their batches.

use std::{fmt, path::Path, sync::Arc};

use async_trait::async_trait;
use fedsx_proto::v1::{Entry, KvItem};
use fedsx_runtime::{
    clock::{Clock, SystemClock},
    database::sqlite::{self, Pools},
};
use jiff::Timestamp;

use super::{
    Batch, By, DefinitionRow, Head, KvQuery, PageQuery, PeerTypeRow, Result, Store, StreamRow, TypeBounds,
};

mod batch;
mod facts;
mod peer_type;
mod read;
mod row;
#[cfg(test)]
mod tests;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("src/store/sqlite/migrations");

/// Rows of one statement: 9 columns each stay far below SQLite's 32,766 parameters.
const CHUNK: usize = 1000;

/// The log in SQLite. Cheap to clone.
#[derive(Clone)]
pub struct Sqlite {
    pools: Pools,
    clock: Arc<dyn Clock>,
}

/// Opens a file, creating it where there is none, and brings its schema up to date.
///
/// # Errors
/// [`StoreError::Driver`](super::StoreError) where the file cannot be opened, or has a newer schema.
pub async fn open(path: impl AsRef<Path>) -> Result<Sqlite> {
    sqlite::open(path, &MIGRATIONS).await.map(Sqlite::new)
}

/// A log that lasts as long as the value and its clones.
///
/// # Errors
/// [`StoreError::Driver`](super::StoreError)
pub async fn memory() -> Result<Sqlite> {
    sqlite::memory(&MIGRATIONS).await.map(Sqlite::new)
}

impl Sqlite {
    fn new(pools: Pools) -> Self {
        Self {
            pools,
            clock: Arc::new(SystemClock),
        }
    }

    /// The same store by another clock.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Closes the connections; a file's write-ahead log is folded into it.
    pub async fn close(&self) {
        self.pools.close().await;
    }
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
        read::head(&self.pools.reader).await
    }

    async fn entry(&self, by: &By) -> Result<Option<Entry>> {
        read::entry(&self.pools.reader, by).await
    }

    async fn page(&self, query: &PageQuery) -> Result<Vec<Entry>> {
        read::page(&self.pools.reader, query).await
    }

    async fn at(&self, positions: &[u64], max_bytes: u64) -> Result<Vec<Entry>> {
        read::at(&self.pools.reader, positions, max_bytes).await
    }

    async fn stream(&self, name: &str) -> Result<Option<StreamRow>> {
        read::stream(&self.pools.reader, name).await
    }

    async fn peer_types_of(&self, cids: &[&str]) -> Result<Vec<PeerTypeRow>> {
        peer_type::get(&self.pools.reader, cids).await
    }

    async fn peer_types(&self, after: &str, limit: u32) -> Result<Vec<PeerTypeRow>> {
        peer_type::list(&self.pools.reader, after, limit).await
    }

    async fn keep_peer_type(&self, row: &PeerTypeRow) -> Result<bool> {
        peer_type::keep(&self.pools.writer, row).await
    }

    async fn use_peer_type(&self, cid: &str, at: Timestamp) -> Result<()> {
        peer_type::used(&self.pools.writer, cid, at).await
    }

    async fn drop_peer_type(&self, cid: &str) -> Result<bool> {
        peer_type::discard(&self.pools.writer, cid).await
    }

    async fn trim_peer_types(&self, to: &TypeBounds) -> Result<u64> {
        peer_type::trim(&self.pools.writer, to).await
    }

    async fn definitions(&self, after: u64) -> Result<Vec<DefinitionRow>> {
        read::definitions(&self.pools.reader, after).await
    }

    async fn kv_get(&self, space: &str, key: &str) -> Result<Option<KvItem>> {
        read::kv_get(&self.pools.reader, space, key).await
    }

    async fn kv_list(&self, query: &KvQuery) -> Result<Vec<KvItem>> {
        read::kv_list(&self.pools.reader, query).await
    }
}
