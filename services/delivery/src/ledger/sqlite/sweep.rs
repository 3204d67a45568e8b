//! Looking for work.

use std::collections::BTreeMap;

use async_trait::async_trait;
use fedsx_kernel::{delivery::peer::Peer, origin::Origin};
use jiff::{SignedDuration, Timestamp};
use sqlx::{Row as _, SqliteConnection};

use super::{
    Sqlite, claim, peers, prune,
    row::{self, micros, peer_columns},
};
use crate::{
    broker::Due,
    ledger::{Hurried, Result, Sweeps},
};

#[async_trait]
impl Sweeps for Sqlite {
    async fn sweep(&self, limit: u32) -> Result<Vec<Due>> {
        if !self.any_due().await? {
            return Ok(Vec::new());
        }
        let mut transaction = self.begin().await?;
        let now = self.now();
        let rows = sqlx::query(
            "SELECT l.id, l.origin, l.claim_until, l.next_due FROM origin o \
             CROSS JOIN lane l ON l.origin = o.origin AND l.next_due <= ?1 \
             WHERE o.state <> 'parked' AND coalesce(o.hold_until, 0) <= ?1 \
             AND l.queued_until <= ?1 AND coalesce(l.claim_until, 0) <= ?1 LIMIT ?2",
        )
        .bind(micros(now))
        .bind(limit)
        .fetch_all(&mut *transaction)
        .await?;
        let due = claim::queue(&mut transaction, &rows, now).await?;
        transaction.commit().await?;
        Ok(due)
    }

    async fn waits(&self) -> Result<bool> {
        let mut connection = self.reader.acquire().await?;
        let parked = peers::parked(&mut connection).await?;
        Ok(parked.iter().any(|(_, peer, pending)| peer.waits(*pending)))
    }

    async fn unwell(&self) -> Result<Vec<(Origin, Peer)>> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            peer_columns!(),
            " FROM origin o WHERE o.state <> 'live'"
        ))
        .fetch_all(&self.reader)
        .await?;
        rows.iter().map(row::peer).collect()
    }

    async fn to_park(&self) -> Result<Vec<Origin>> {
        let now = self.now();
        let rows = sqlx::query(concat!(
            "SELECT ",
            peer_columns!(),
            " FROM origin o WHERE o.failing_since IS NOT NULL"
        ))
        .fetch_all(&self.reader)
        .await?;
        let peers = rows.iter().map(row::peer).collect::<Result<Vec<_>>>()?;
        Ok(peers
            .into_iter()
            .filter(|(_, peer)| peer.parks(now))
            .map(|(origin, _)| origin)
            .collect())
    }

    async fn hurry(&self, origin: Option<&Origin>) -> Result<Hurried> {
        let mut transaction = self.begin().await?;
        let hurried = hurry(&mut transaction, origin, self.now()).await?;
        transaction.commit().await?;
        Ok(hurried)
    }

    async fn prune(&self, retention: SignedDuration, limit: u32) -> Result<u64> {
        prune::prune(self, retention, limit).await
    }
}

impl Sqlite {
    /// One look at one index, without a lock.
    async fn any_due(&self) -> Result<bool> {
        let first: Option<i64> =
            sqlx::query_scalar("SELECT min(next_due) FROM lane WHERE next_due IS NOT NULL")
                .fetch_one(&self.reader)
                .await?;
        Ok(first.is_some_and(|due| due <= micros(self.now())))
    }
}

/// The lanes of an origin, or all.
macro_rules! lanes {
    () => {
        "(SELECT id FROM lane WHERE next_due IS NOT NULL AND (?1 IS NULL OR origin = ?1))"
    };
}

async fn hurry(
    connection: &mut SqliteConnection,
    origin: Option<&Origin>,
    now: Timestamp,
) -> Result<Hurried> {
    let key = origin.map(Origin::as_str);
    let row = sqlx::query(concat!(
        "SELECT count(*) AS deliveries, count(DISTINCT l.origin) AS origins \
         FROM lane l JOIN delivery d ON d.lane = l.id AND d.state = 'pending' WHERE l.id IN ",
        lanes!()
    ))
    .bind(key)
    .fetch_one(&mut *connection)
    .await?;
    let deliveries: i64 = row.try_get("deliveries")?;
    let origins: i64 = row.try_get("origins")?;
    sqlx::query(concat!(
        "UPDATE delivery SET next_at = ?2 WHERE state = 'pending' AND next_at > ?2 AND lane IN ",
        lanes!()
    ))
    .bind(key)
    .bind(micros(now))
    .execute(&mut *connection)
    .await?;
    sqlx::query(concat!(
        "UPDATE lane SET next_due = min(next_due, ?2), queued_until = 0 WHERE id IN ",
        lanes!()
    ))
    .bind(key)
    .bind(micros(now))
    .execute(&mut *connection)
    .await?;
    let held = sqlx::query(concat!(
        "SELECT ",
        peer_columns!(),
        " FROM origin o WHERE (?1 IS NULL OR o.origin = ?1) \
         AND (o.hold_until IS NOT NULL OR o.state = 'parked')"
    ))
    .bind(key)
    .fetch_all(&mut *connection)
    .await?;
    let mut lifted = BTreeMap::new();
    for row in &held {
        let (origin, peer) = row::peer(row)?;
        lifted.insert(origin, peer.hurried(now));
    }
    if !lifted.is_empty() {
        peers::put(connection, &lifted).await?;
    }
    Ok(Hurried {
        deliveries: u64::try_from(deliveries).unwrap_or_default(),
        origins: u64::try_from(origins).unwrap_or_default(),
    })
}
