//! The log in the schema `log` of a domain's PostgreSQL database, shared by as many replicas as there are.
//!
//! A batch takes four round trips, and one more where it changes kv: begin with the lock of the one row of `head`, one
//! statement for all facts, one for all entries, commit. Each statement has its own snapshot, so what the lock's holder
//! before has written is seen by the first one after the lock. Positions are numbered under the lock: they are gapless,
//! they become visible in their order, and a reader needs nothing but `position > cursor`, whatever other transactions are
//! open. A replica that goes silent while it holds the lock is ended by the database after three seconds.
//!
//! After each commit the others are notified. That is a hint, which [`listen`] takes: it may be lost, and says nothing that
//! polling would not find.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use fedsx_proto::v1::{Entry, KvItem};
use fedsx_runtime::{
    clock::Clock,
    database::{driver, postgres},
};
use jiff::Timestamp;
use sqlx::{Connection as _, PgPool, postgres::PgConnectOptions};
use tokio::sync::watch;

use super::{
    Batch, By, DefinitionRow, Head, KvQuery, PageQuery, PeerTypeRow, Result, Store, StreamRow, TypeBounds,
};

mod batch;
mod facts;
mod found;
mod listen;
mod peer_type;
mod read;
mod row;
#[cfg(test)]
mod tests;
mod write;
mod writer;

use writer::Writer;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("src/store/postgres/migrations");

/// Connections that read. Each replica has two more: one that writes, one that listens.
const READERS: u32 = 8;

/// The log in PostgreSQL. Cheap to clone.
#[derive(Clone)]
pub struct Postgres {
    reader: PgPool,
    writer: Writer,
    hints: watch::Receiver<u64>,
    clock: Option<Arc<dyn Clock>>,
}

/// Opens the log's schema in a database, creating it where there is none, and brings it up to date.
///
/// # Errors
/// [`StoreError::Driver`](super::StoreError) where the database refuses, or has not answered within 60 seconds.
pub async fn open(url: &str) -> Result<Postgres> {
    let reader = postgres::open(url, "log", &MIGRATIONS, READERS).await?;
    let options = by_index((*reader.connect_options()).clone());
    reader.set_connect_options(options.clone());
    // The connection that the pool began with does not have them.
    let first = reader.acquire().await.map_err(driver("reach the database"))?;
    first
        .detach()
        .close()
        .await
        .map_err(driver("close a connection"))?;
    let writer = Writer::new(options.clone());
    Ok(Postgres {
        reader,
        hints: listen::listen(options, writer.process()),
        writer,
        clock: None,
    })
}

/// Each statement finds what it wants by an index, a few rows at a time, and is planned once: what the planner guesses from
/// the statistics of a young table would make it scan the old one.
fn by_index(options: PgConnectOptions) -> PgConnectOptions {
    options.options([
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
        ("enable_bitmapscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("enable_material", "off"),
        ("jit", "off"),
    ])
}

impl Postgres {
    /// The same store by another clock than the database's.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self {
            clock: Some(clock),
            ..self
        }
    }

    /// Closes the connections, but for the one that listens: it ends with the last clone.
    pub async fn close(&self) {
        self.writer.close().await;
        self.reader.close().await;
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").finish_non_exhaustive()
    }
}

/// Whether the database can keep the text: it knows no U+0000, and what it cannot keep it does not have.
fn storable(text: &str) -> bool {
    !text.contains('\0')
}

#[async_trait]
impl Store for Postgres {
    async fn begin(&self) -> Result<Box<dyn Batch>> {
        let held = self.writer.begin().await?;
        Ok(Box::new(batch::PostgresBatch::new(held, self.clock.clone())))
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

    async fn peer_types_of(&self, cids: &[&str]) -> Result<Vec<PeerTypeRow>> {
        peer_type::get(&self.reader, cids).await
    }

    async fn peer_types(&self, after: &str, limit: u32) -> Result<Vec<PeerTypeRow>> {
        peer_type::list(&self.reader, after, limit).await
    }

    async fn keep_peer_type(&self, row: &PeerTypeRow) -> Result<bool> {
        peer_type::keep(&self.reader, row).await
    }

    async fn use_peer_type(&self, cid: &str, at: Timestamp) -> Result<()> {
        peer_type::used(&self.reader, cid, at).await
    }

    async fn drop_peer_type(&self, cid: &str) -> Result<bool> {
        peer_type::discard(&self.reader, cid).await
    }

    async fn trim_peer_types(&self, to: &TypeBounds) -> Result<u64> {
        peer_type::trim(&self.reader, to).await
    }

    async fn definitions(&self, after: u64) -> Result<Vec<DefinitionRow>> {
        read::definitions(&self.reader, after).await
    }

    fn hints(&self) -> Option<watch::Receiver<u64>> {
        Some(self.hints.clone())
    }
}
