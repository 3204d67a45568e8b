//! Looking for work.

use std::collections::BTreeMap;

use async_trait::async_trait;
use fedsx_kernel::{delivery::peer::Peer, origin::Origin};
use jiff::SignedDuration;
use sqlx::SqliteConnection;

use super::{
    Sqlite,
    candidates::{candidate_columns, queue},
    peers, prune,
    row::{self, get, json, peer_columns},
};
use crate::{
    broker::Due,
    lane::LaneId,
    ledger::{
        Hurried, Result, Sweeps, driver,
        value::{micros, unsigned},
    },
};

/// Lanes of an origin `o` that may be claimed and are not queued.
macro_rules! sweepable {
    () => {
        "l.origin = o.origin AND l.next_due IS NOT NULL AND l.sweep_at <= ?1 AND l.next_due <= ?1 \
         AND coalesce(l.claim_until, 0) <= ?1"
    };
}
/// Origins `o` whose lanes may be claimed.
macro_rules! open {
    () => {
        "o.state <> 'parked' AND coalesce(o.hold_until, 0) <= ?1"
    };
}

/// The lanes of origins that are well.
pub(super) const WELL: &str = concat!(
    "SELECT ",
    candidate_columns!(),
    " FROM origin o CROSS JOIN lane l ON ",
    sweepable!(),
    " WHERE ",
    open!(),
    " AND o.failing_since IS NULL LIMIT ?2"
);

/// One lane of each origin that is failing, where none is claimed.
pub(super) const FAILING: &str = concat!(
    "SELECT ",
    candidate_columns!(),
    " FROM origin o CROSS JOIN lane l ON l.id = (SELECT l.id FROM lane l WHERE ",
    sweepable!(),
    " LIMIT 1) WHERE o.failing_since IS NOT NULL AND ",
    open!(),
    " AND NOT EXISTS (SELECT 1 FROM lane c WHERE c.origin = o.origin AND c.claim_token IS NOT NULL \
     AND c.claim_until > ?1) LIMIT ?2"
);

#[async_trait]
impl Sweeps for Sqlite {
    async fn sweep(&self, limit: u32) -> Result<Vec<Due>> {
        if !self.any_due().await? {
            return Ok(Vec::new());
        }
        let mut transaction = self.begin().await?;
        let now = self.now();
        let mut rows = Vec::new();
        for sql in [FAILING, WELL] {
            let found = sqlx::query(sql)
                .bind(micros(now))
                .bind(i64::from(limit) - i64::try_from(rows.len()).unwrap_or_default())
                .fetch_all(&mut *transaction)
                .await;
            rows.extend(found.map_err(driver("look for due lanes"))?);
        }
        let due = queue(&mut transaction, &rows, now).await?;
        transaction.commit().await.map_err(driver("look for due lanes"))?;
        Ok(due)
    }

    async fn unqueue(&self, lanes: &[LaneId]) -> Result<()> {
        let lanes: Vec<_> = lanes.iter().map(|lane| lane.0).collect();
        sqlx::query(
            "UPDATE lane SET sweep_at = next_due WHERE id IN (SELECT value FROM json_each(?1)) \
             AND next_due IS NOT NULL AND claim_token IS NULL",
        )
        .bind(json(&lanes)?)
        .execute(&self.pools.writer)
        .await
        .map_err(driver("set lanes down as not queued"))?;
        Ok(())
    }

    async fn waits(&self) -> Result<bool> {
        let connection = self.pools.reader.acquire().await;
        let mut connection = connection.map_err(driver("read the parked peers"))?;
        let parked = peers::parked(&mut connection).await?;
        Ok(parked.iter().any(|(_, peer, pending)| peer.waits(*pending)))
    }

    async fn unwell(&self) -> Result<Vec<(Origin, Peer)>> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            peer_columns!(),
            " FROM origin o WHERE o.state <> 'live'"
        ))
        .fetch_all(&self.pools.reader)
        .await
        .map_err(driver("read the peers that are unwell"))?;
        rows.iter().map(row::peer).collect()
    }

    async fn to_park(&self) -> Result<Vec<Origin>> {
        let now = self.now();
        let rows = sqlx::query(concat!(
            "SELECT ",
            peer_columns!(),
            " FROM origin o WHERE o.failing_since IS NOT NULL"
        ))
        .fetch_all(&self.pools.reader)
        .await
        .map_err(driver("read the peers that fail"))?;
        let peers = rows.iter().map(row::peer).collect::<Result<Vec<_>>>()?;
        Ok(peers
            .into_iter()
            .filter(|(_, peer)| peer.parks(now))
            .map(|(origin, _)| origin)
            .collect())
    }

    async fn hurry(&self, origin: Option<&Origin>) -> Result<Hurried> {
        let mut transaction = self.begin().await?;
        let now = self.now();
        let hurried = hurry(&mut transaction, origin, micros(now)).await?;
        let held = held(&mut transaction, origin).await?;
        if !held.is_empty() {
            let lifted = held.into_iter().map(|(origin, peer)| (origin, peer.hurried(now)));
            peers::put(&mut transaction, &lifted.collect()).await?;
        }
        transaction.commit().await.map_err(driver("hurry"))?;
        Ok(hurried)
    }

    async fn prune(&self, retention: SignedDuration, limit: u32) -> Result<u64> {
        prune::prune(self, retention, limit).await
    }
}

impl Sqlite {
    /// One look at one index, without a lock.
    async fn any_due(&self) -> Result<bool> {
        let first: Option<i64> = sqlx::query_scalar(
            "SELECT sweep_at FROM lane WHERE next_due IS NOT NULL ORDER BY sweep_at LIMIT 1",
        )
        .fetch_optional(&self.pools.reader)
        .await
        .map_err(driver("look for due lanes"))?;
        Ok(first.is_some_and(|due| due <= micros(self.now())))
    }
}

/// The lanes of an origin, or all.
macro_rules! lanes {
    () => {
        "(SELECT id FROM lane WHERE next_due IS NOT NULL AND (?1 IS NULL OR origin = ?1))"
    };
}

async fn hurry(connection: &mut SqliteConnection, origin: Option<&Origin>, now: i64) -> Result<Hurried> {
    let key = origin.map(Origin::as_str);
    let row = sqlx::query(concat!(
        "SELECT count(*) AS deliveries, count(DISTINCT l.origin) AS origins \
         FROM lane l JOIN delivery d ON d.lane = l.id AND d.state = 'pending' WHERE l.id IN ",
        lanes!()
    ))
    .bind(key)
    .fetch_one(&mut *connection)
    .await
    .map_err(driver("count what is hurried"))?;
    for sql in [
        concat!(
            "UPDATE delivery SET next_at = ?2 WHERE state = 'pending' AND next_at > ?2 AND lane IN ",
            lanes!()
        ),
        concat!(
            "UPDATE lane SET next_due = min(next_due, ?2), sweep_at = 0 WHERE id IN ",
            lanes!()
        ),
    ] {
        sqlx::query(sql)
            .bind(key)
            .bind(now)
            .execute(&mut *connection)
            .await
            .map_err(driver("hurry"))?;
    }
    Ok(Hurried {
        deliveries: unsigned("delivery", "count", "pending", get(&row, "deliveries")?)?,
        origins: unsigned("lane", "count", "origins", get(&row, "origins")?)?,
    })
}

/// The origins that are held or parked: this one, or all.
async fn held(connection: &mut SqliteConnection, origin: Option<&Origin>) -> Result<BTreeMap<Origin, Peer>> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        peer_columns!(),
        " FROM origin o WHERE (?1 IS NULL OR o.origin = ?1) \
         AND (o.hold_until IS NOT NULL OR o.state = 'parked')"
    ))
    .bind(origin.map(Origin::as_str))
    .fetch_all(connection)
    .await
    .map_err(driver("read the peers that are held"))?;
    rows.iter().map(row::peer).collect()
}
