//! Views in one SQLite file, or in memory.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use fedsx_kernel::origin::Origin;
use fedsx_runtime::{
    clock::Clock,
    database::{
        driver,
        sqlite::{self, Pools},
    },
};
use futures::stream::BoxStream;
use jiff::SignedDuration;
use tokio::{sync::mpsc, time::timeout};

use super::{
    Advance, Change, Changed, Group, LONGEST, Page, PageQuery, Place, Reach, Result, Row, Shard, Store,
};
use crate::{
    roster::settle::{InEffect, Kept},
    shard::{ShardId, lease::Lease},
    store::settlement::Settlement,
};

mod dump;
mod flows;
mod hold;
mod projections;
mod read;
mod restore;
mod write;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("src/store/sqlite/migrations");

/// Rows of one statement: a handful of columns each stay far below SQLite's 32,766 parameters.
const CHUNK: usize = 1000;

/// The views in SQLite. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sqlite {
    pools: Pools,
    clock: Arc<dyn Clock>,
}

/// Opens a file, creating it where there is none, and brings its schema up to date. Leases expire by the clock.
///
/// # Errors
/// [`StoreError::Driver`](super::StoreError) where the file cannot be opened, or has a newer schema.
pub async fn open(path: impl AsRef<Path>, clock: Arc<dyn Clock>) -> Result<Sqlite> {
    let pools = sqlite::open(path, &MIGRATIONS).await?;
    Ok(Sqlite { pools, clock })
}

/// Views that last as long as the value and its clones.
///
/// # Errors
/// [`StoreError::Driver`](super::StoreError)
pub async fn memory(clock: Arc<dyn Clock>) -> Result<Sqlite> {
    let pools = sqlite::memory(&MIGRATIONS).await?;
    Ok(Sqlite { pools, clock })
}

impl Sqlite {
    /// Closes the connections; a file's write-ahead log is folded into it.
    pub async fn close(&self) {
        self.pools.close().await;
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn declare(&self, shards: &[ShardId]) -> Result<()> {
        let mut transaction = self.pools.begin().await?;
        write::declare(&mut transaction, shards).await?;
        transaction.commit().await.map_err(driver("declare shards"))
    }

    async fn hold(&self, group: &Group, owner: &str, term: SignedDuration) -> Result<Vec<Lease>> {
        let mut transaction = self.pools.begin().await?;
        // Read under the lock, so that waiting for it costs nobody's term.
        let leases = hold::hold(&mut transaction, group, owner, self.clock.now(), term).await?;
        transaction.commit().await.map_err(driver("hold leases"))?;
        Ok(leases)
    }

    async fn resign(&self, group: &Group, owner: &str) -> Result<()> {
        let mut transaction = self.pools.begin().await?;
        hold::resign(&mut transaction, group, owner).await?;
        transaction.commit().await.map_err(driver("resign"))
    }

    async fn commit(&self, advances: &[Advance]) -> Result<Vec<ShardId>> {
        let mut transaction = self.pools.begin().await?;
        let lost = write::advance(&mut transaction, advances).await?;
        transaction.commit().await.map_err(driver("commit a batch"))?;
        Ok(lost)
    }

    async fn rows(&self, view: &str, keys: &[&str]) -> Result<Vec<Row>> {
        read::rows(&self.pools.reader, view, keys).await
    }

    async fn rows_of_peer(
        &self,
        view: &str,
        peer: &Origin,
        shards: &[u32],
        limit: usize,
    ) -> Result<Vec<Row>> {
        read::rows_of_peer(&self.pools.reader, view, peer, shards, limit).await
    }

    async fn row(&self, shard: &ShardId, key: &str) -> Result<Option<(Option<Row>, Reach)>> {
        read::row(&self.pools.reader, shard, key).await
    }

    async fn page(&self, query: &PageQuery) -> Result<Option<Page>> {
        read::page(&self.pools.reader, query).await
    }

    async fn changed(&self, view: &str, after: &Place, limit: u32) -> Result<Option<Changed>> {
        read::changed(&self.pools.reader, view, after, limit).await
    }

    async fn settle(&self, in_effect: &[InEffect]) -> Result<Vec<Kept>> {
        let settlement = Settlement::of(&projections::standings(&self.pools.reader).await?, in_effect);
        if settlement.is_empty() {
            return Ok(settlement.kept);
        }
        let mut transaction = self.pools.begin().await?;
        let kept = projections::settle(&mut transaction, in_effect).await?;
        transaction.commit().await.map_err(driver("settle"))?;
        Ok(kept)
    }

    async fn sweep(&self, limit: u32) -> Result<bool> {
        let mut transaction = self.pools.begin().await?;
        let swept = projections::sweep(&mut transaction, limit).await?;
        transaction.commit().await.map_err(driver("sweep"))?;
        Ok(swept)
    }

    async fn shards(&self) -> Result<Vec<Shard>> {
        read::shards(&self.pools.reader).await
    }

    async fn dump(&self, view: &str, pages: mpsc::Sender<Vec<Row>>) -> Result<Vec<Shard>> {
        let dumping = dump::dump(&self.pools.reader, view, pages);
        timeout(LONGEST, dumping)
            .await
            .map_err(driver("read a view in time"))?
    }

    async fn restore(
        &self,
        view: &str,
        pages: BoxStream<'_, Result<Vec<Change>>>,
        advances: &[Advance],
    ) -> Result<Vec<ShardId>> {
        let restoring = restore::restore(&self.pools, view, pages, advances);
        timeout(LONGEST, restoring)
            .await
            .map_err(driver("restore a view in time"))?
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
            _keep: Some(Box::new(directory)),
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
            .execute(&store.pools.writer)
            .await
            .unwrap();
        let error = store.shards().await.unwrap_err().to_string();
        assert_eq!(
            error,
            r#"corrupt row in table `shard`, column `epoch`, key "v/0": is negative"#
        );
    }
}
