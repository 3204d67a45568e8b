//! The transaction under the cursor's lock.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use fedsx_kernel::{
    cid::Cid,
    delivery::{audience::Change, peer::Peer, row::DeliveryState},
    follow::Relation,
    origin::Origin,
};
use jiff::Timestamp;

use super::{Durability, Postgres, connection::Transaction, lanes, lease, members, peers, relations, rows};
use crate::{
    broker::Due,
    ledger::{
        Audience, Cursor, Members, NewDelivery, RelationKey, Result, Turn, Turns, driver, integer,
        value::time,
    },
};

#[async_trait]
impl Turns for Postgres {
    async fn turn(&self) -> Result<Box<dyn Turn>> {
        let mut transaction = self.begin(Durability::Forgiven).await?;
        let (cursor, now) = lease::lock(&mut transaction, self.set()).await?;
        Ok(Box::new(PostgresTurn {
            transaction,
            cursor,
            now: time("cursor", "now", 1, now)?,
            seen: BTreeMap::new(),
        }))
    }
}

struct PostgresTurn {
    transaction: Transaction,
    cursor: Cursor,
    now: Timestamp,
    /// The standings that this turn has read: what it decides by.
    seen: BTreeMap<Origin, Peer>,
}

impl PostgresTurn {
    /// The rows to be written, locked, as they are to be: whatever recording wrote meanwhile stays, unless this turn means
    /// to change it.
    async fn merged(&mut self, peers: &BTreeMap<Origin, Peer>) -> Result<BTreeMap<Origin, (Peer, Peer)>> {
        let mut locked = peers::lock(&mut self.transaction, peers.keys()).await?;
        let merged = peers.iter().map(|(origin, peer)| {
            let was = locked.remove(origin).unwrap_or(Peer::LIVE);
            let keeps = self
                .seen
                .get(origin)
                .is_some_and(|seen| answers(seen) == answers(peer));
            let standing = peer.standing;
            let becomes = if keeps { Peer { standing, ..was } } else { *peer };
            (origin.clone(), (was, becomes))
        });
        Ok(merged.collect())
    }
}

/// What recording writes.
fn answers(peer: &Peer) -> [Option<Timestamp>; 3] {
    [peer.failing_since, peer.alive_at, peer.hold_until]
}

#[async_trait]
impl Turn for PostgresTurn {
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
        let peers = peers::read(&mut self.transaction, origins).await?;
        self.seen.extend(peers.clone());
        Ok(peers)
    }

    async fn lock_peer(&mut self, origin: &Origin) -> Result<Peer> {
        let locked = peers::lock(&mut self.transaction, [origin]).await?;
        let peer = locked.get(origin).copied().unwrap_or(Peer::LIVE);
        self.seen.insert(origin.clone(), peer);
        Ok(peer)
    }

    async fn put_peers(&mut self, peers: &BTreeMap<Origin, Peer>) -> Result<()> {
        if peers.is_empty() {
            return Ok(());
        }
        let merged = self.merged(peers).await?;
        let turned: Vec<_> = merged
            .iter()
            .filter(|(_, (was, becomes))| peers::is_parked(was) != peers::is_parked(becomes))
            .map(|(origin, (_, becomes))| (origin.clone(), peers::is_parked(becomes)))
            .collect();
        let rows: BTreeMap<_, _> = merged
            .into_iter()
            .map(|(origin, (_, becomes))| (origin, becomes))
            .collect();
        peers::put(&mut self.transaction, &rows).await?;
        lanes::park(&mut self.transaction, &turned).await?;
        self.seen.extend(rows);
        Ok(())
    }

    /// Those that wait are locked, since they are to be written when the turn has locked lanes. It waits for none: who records
    /// something of one might wait for those lanes.
    async fn parked(&mut self) -> Result<Vec<(Origin, Peer, bool)>> {
        let mut parked = peers::parked(&mut *self.transaction).await?;
        let waiting = parked.iter().filter(|(_, peer, pending)| peer.waits(*pending));
        let waiting: BTreeSet<_> = waiting.map(|(origin, ..)| origin.clone()).collect();
        let locked = peers::try_lock(&mut self.transaction, &waiting).await?;
        parked.retain(|(origin, ..)| !waiting.contains(origin) || locked.contains_key(origin));
        for (origin, peer, _) in &mut parked {
            *peer = locked.get(origin).copied().unwrap_or(*peer);
            self.seen.insert(origin.clone(), *peer);
        }
        Ok(parked)
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
        sqlx::query("UPDATE cursor SET position = $1")
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
