//! Views in the schema `projection` of the domain's PostgreSQL database.
//!
//! Any number of processes share it. Whoever writes locks rows of `shard` first, always in the order of view and number;
//! rows of `member` and `view_row` are written only under these locks; flows have an order of their own. So no two writers deadlock, and should one lose to
//! somebody else's transaction, nothing of it was written and it is run again. Readers take no lock and see one moment.
//!
//! A commit is one statement: a process that freezes or loses its connection leaves no transaction open. A restoration, which is
//! many, locks the shards by its last one.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use fedsx_kernel::origin::Origin;
use fedsx_runtime::{
    clock::Clock,
    database::{self, driver, postgres::retried},
};
use futures::stream::BoxStream;
use jiff::SignedDuration;
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::sync::mpsc;

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
#[cfg(test)]
mod tests;
mod write;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("src/store/postgres/migrations");

/// Connections of one process: the two that work, and queries.
const CONNECTIONS: u32 = 8;

/// The views in PostgreSQL. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Postgres {
    pool: PgPool,
    /// How long a call may take.
    patience: Duration,
    clock: Option<Arc<dyn Clock>>,
}

/// Opens the schema, creating it where there is none, and brings it up to date. Leases expire by the database's clock.
///
/// # Errors
/// [`StoreError::Driver`](super::StoreError) where the database refuses, or has not answered within a minute.
pub async fn open(url: &str) -> Result<Postgres> {
    let pool = database::postgres::open(url, "projection", &MIGRATIONS, CONNECTIONS).await?;
    Ok(Postgres {
        pool,
        patience: database::postgres::PATIENCE,
        clock: None,
    })
}

impl Postgres {
    /// Leases expire by this clock instead, which a test moves.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self {
            clock: Some(clock),
            ..self
        }
    }

    /// Closes the connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Every call goes through here, so that each of them ends.
    async fn call<T>(&self, work: impl AsyncFnOnce(&mut PgConnection) -> Result<T>) -> Result<T> {
        database::postgres::call(&self.pool, self.patience, work).await
    }

    async fn hold_once(&self, group: &Group, owner: &str, term: SignedDuration) -> Result<Vec<Lease>> {
        self.call(async |connection| {
            let begun = connection.begin().await;
            let mut transaction = begun.map_err(driver("begin a turn"))?;
            let leases = hold::hold(&mut transaction, group, owner, self.clock.as_deref(), term).await?;
            transaction.commit().await.map_err(driver("hold leases"))?;
            Ok(leases)
        })
        .await
    }

    async fn settle_once(&self, in_effect: &[InEffect]) -> Result<Vec<Kept>> {
        self.call(async |connection| {
            let settlement = Settlement::of(&projections::standings(connection).await?, in_effect);
            if settlement.is_empty() {
                return Ok(settlement.kept);
            }
            let begun = connection.begin().await;
            let mut transaction = begun.map_err(driver("begin to settle"))?;
            let kept = projections::settle(&mut transaction, in_effect).await?;
            transaction.commit().await.map_err(driver("settle"))?;
            Ok(kept)
        })
        .await
    }

    async fn resign_once(&self, group: &Group, owner: &str) -> Result<()> {
        self.call(async |connection| {
            let begun = connection.begin().await;
            let mut transaction = begun.map_err(driver("begin to resign"))?;
            hold::resign(&mut transaction, group, owner).await?;
            transaction.commit().await.map_err(driver("resign"))
        })
        .await
    }
}

#[async_trait]
impl Store for Postgres {
    async fn declare(&self, shards: &[ShardId]) -> Result<()> {
        retried(|| self.call(async |connection| write::declare(connection, shards).await)).await
    }

    async fn hold(&self, group: &Group, owner: &str, term: SignedDuration) -> Result<Vec<Lease>> {
        retried(|| self.hold_once(group, owner, term)).await
    }

    async fn resign(&self, group: &Group, owner: &str) -> Result<()> {
        retried(|| self.resign_once(group, owner)).await
    }

    async fn commit(&self, advances: &[Advance]) -> Result<Vec<ShardId>> {
        retried(|| self.call(async |connection| write::commit(connection, advances).await)).await
    }

    async fn rows(&self, view: &str, keys: &[&str]) -> Result<Vec<Row>> {
        self.call(async |connection| read::rows(connection, view, keys).await)
            .await
    }

    async fn rows_of_peer(
        &self,
        view: &str,
        peer: &Origin,
        shards: &[u32],
        limit: usize,
    ) -> Result<Vec<Row>> {
        self.call(async |connection| read::rows_of_peer(connection, view, peer, shards, limit).await)
            .await
    }

    async fn row(&self, shard: &ShardId, key: &str) -> Result<Option<(Option<Row>, Reach)>> {
        self.call(async |connection| read::row(connection, shard, key).await)
            .await
    }

    async fn page(&self, query: &PageQuery) -> Result<Option<Page>> {
        self.call(async |connection| read::page(connection, query).await)
            .await
    }

    async fn changed(&self, view: &str, after: &Place, limit: u32) -> Result<Option<Changed>> {
        self.call(async |connection| read::changed(connection, view, after, limit).await)
            .await
    }

    async fn settle(&self, in_effect: &[InEffect]) -> Result<Vec<Kept>> {
        retried(|| self.settle_once(in_effect)).await
    }

    async fn sweep(&self, limit: u32) -> Result<bool> {
        retried(|| self.call(async |connection| projections::sweep(connection, limit).await)).await
    }

    async fn shards(&self) -> Result<Vec<Shard>> {
        self.call(read::shards).await
    }

    async fn dump(&self, view: &str, pages: mpsc::Sender<Vec<Row>>) -> Result<Vec<Shard>> {
        let dumping = async |connection: &mut PgConnection| dump::dump(connection, view, pages).await;
        database::postgres::call(&self.pool, LONGEST, dumping).await
    }

    async fn restore(
        &self,
        view: &str,
        pages: BoxStream<'_, Result<Vec<Change>>>,
        advances: &[Advance],
    ) -> Result<Vec<ShardId>> {
        let restoring =
            async |connection: &mut PgConnection| restore::restore(connection, view, pages, advances).await;
        database::postgres::call(&self.pool, LONGEST, restoring).await
    }
}

/// Texts in the order of the column that they are sent in.
fn views<'a>(shards: impl IntoIterator<Item = &'a ShardId>) -> Vec<&'a str> {
    shards.into_iter().map(|shard| shard.view.as_str()).collect()
}

fn numbers<'a>(shards: impl IntoIterator<Item = &'a ShardId>) -> Vec<i64> {
    shards.into_iter().map(|shard| i64::from(shard.shard)).collect()
}
