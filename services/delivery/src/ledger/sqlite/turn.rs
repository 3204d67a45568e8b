//! The transaction under the cursor's lock.

use std::collections::BTreeMap;

use async_trait::async_trait;
use fedsx_kernel::{
    cid::Cid,
    delivery::{audience::Change, peer::Peer, row::DeliveryState},
    follow::Relation,
    origin::Origin,
};
use jiff::Timestamp;
use sqlx::{Sqlite as Db, Transaction};

use super::{Sqlite, lease, members, peers, relations, rows};
use crate::{
    broker::Due,
    ledger::{Audience, Cursor, Members, NewDelivery, RelationKey, Result, Turn, Turns, driver, integer},
};

#[async_trait]
impl Turns for Sqlite {
    async fn turn(&self) -> Result<Box<dyn Turn>> {
        let mut transaction = self.begin().await?;
        let cursor = lease::read(&mut *transaction).await?;
        Ok(Box::new(SqliteTurn {
            transaction,
            cursor,
            now: self.now(),
        }))
    }
}

struct SqliteTurn {
    transaction: Transaction<'static, Db>,
    cursor: Cursor,
    now: Timestamp,
}

#[async_trait]
impl Turn for SqliteTurn {
    fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    async fn relations(&mut self, keys: &[RelationKey]) -> Result<BTreeMap<RelationKey, Relation>> {
        relations::of(&mut self.transaction, keys).await
    }

    async fn relations_with(&mut self, origins: &[Origin]) -> Result<BTreeMap<RelationKey, Relation>> {
        relations::with(&mut self.transaction, origins).await
    }

    async fn put_relations(&mut self, relations: &[(RelationKey, Option<Relation>)]) -> Result<()> {
        relations::put(&mut self.transaction, relations).await
    }

    async fn change_audience(&mut self, changes: &[(RelationKey, Change)]) -> Result<()> {
        members::change(&mut self.transaction, changes).await
    }

    async fn members(&mut self, members: Members<'_>) -> Result<Vec<Audience>> {
        members::at(&mut self.transaction, members).await
    }

    async fn open_follows(&mut self, origin: &Origin) -> Result<Vec<Cid>> {
        members::open_follows(&mut self.transaction, origin).await
    }

    async fn block(&mut self, origin: &Origin, position: u64) -> Result<()> {
        peers::block(&mut self.transaction, origin, position).await
    }

    async fn unblock(&mut self, origin: &Origin, position: u64) -> Result<()> {
        peers::unblock(&mut self.transaction, origin, position).await
    }

    async fn blocks(&mut self, origins: &[Origin]) -> Result<BTreeMap<Origin, Vec<(u64, Option<u64>)>>> {
        peers::blocks(&mut self.transaction, origins).await
    }

    async fn peers(&mut self, origins: &[Origin]) -> Result<BTreeMap<Origin, Peer>> {
        peers::read(&mut self.transaction, origins).await
    }

    async fn lock_peer(&mut self, origin: &Origin) -> Result<Peer> {
        let mut peers = peers::read(&mut self.transaction, std::slice::from_ref(origin)).await?;
        Ok(peers.remove(origin).unwrap_or(Peer::LIVE))
    }

    async fn put_peers(&mut self, peers: &BTreeMap<Origin, Peer>) -> Result<()> {
        peers::put(&mut self.transaction, peers).await
    }

    async fn parked(&mut self) -> Result<Vec<(Origin, Peer, bool)>> {
        peers::parked(&mut self.transaction).await
    }

    async fn backlog(&mut self, origin: &Origin, limit: u32) -> Result<u32> {
        peers::backlog(&mut self.transaction, origin, limit, self.now).await
    }

    async fn insert(&mut self, rows: &[NewDelivery]) -> Result<Vec<Due>> {
        rows::insert(&mut self.transaction, rows, self.now).await
    }

    async fn end_pending(
        &mut self,
        origin: &Origin,
        through: u64,
        state: DeliveryState,
        cause: &str,
    ) -> Result<()> {
        rows::end_pending(&mut self.transaction, origin, through, state, cause, self.now).await
    }

    async fn advance(&mut self, position: u64) -> Result<()> {
        sqlx::query("UPDATE cursor SET position = ?1")
            .bind(integer(position))
            .execute(&mut *self.transaction)
            .await
            .map_err(driver("move the cursor"))?;
        self.cursor.position = position;
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        self.transaction.commit().await.map_err(driver("commit a turn"))
    }
}
