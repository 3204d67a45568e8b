//! Looking for work.

use std::collections::HashSet;

use async_trait::async_trait;
use fedsx_kernel::{delivery::peer::Peer, origin::Origin};
use fedsx_runtime::database::postgres::retried;
use jiff::{SignedDuration, Timestamp};

use super::{
    Durability, Postgres,
    candidates::{candidate, candidate_columns, claimed},
    connection::Connection,
    hurry, peers, prune,
    row::{self, clock, get, ids, peer_columns, troubled},
    rows,
};
use crate::{
    broker::Due,
    lane::LaneId,
    ledger::{
        Hurried, Result, Sweeps,
        claim::grant,
        driver,
        sweep::queued,
        value::{micros, time},
    },
};

/// Lanes that may be claimed and are not queued.
macro_rules! sweepable {
    () => {
        "s.next_due IS NOT NULL AND NOT s.parked AND s.sweep_at <= $1 AND s.next_due <= $1 \
         AND coalesce(s.claim_until, 0) <= $1"
    };
}
/// Origins `o` whose lanes may be claimed.
macro_rules! open {
    () => {
        "o.state <> 'parked' AND coalesce(o.hold_until, 0) <= $1"
    };
}

/// The lanes of origins that are well, those first that have waited longest.
pub(super) const WELL: &str = concat!(
    "SELECT l.*, s.claim_until, s.next_due FROM lane_state s CROSS JOIN LATERAL ( \
         SELECT l.id, l.origin, l.replay FROM lane l JOIN origin o ON o.origin = l.origin \
         WHERE l.id = s.lane AND o.failing_since IS NULL AND ",
    open!(),
    " OFFSET 0) l WHERE ",
    sweepable!(),
    " ORDER BY s.sweep_at LIMIT $2 FOR NO KEY UPDATE OF s SKIP LOCKED"
);

/// One lane of each origin that is failing, where none is claimed.
pub(super) const FAILING: &str = concat!(
    "SELECT t.* FROM origin o CROSS JOIN LATERAL (SELECT ",
    candidate_columns!(),
    " FROM lane l JOIN lane_state s ON s.lane = l.id WHERE l.origin = o.origin AND ",
    sweepable!(),
    " ORDER BY s.sweep_at LIMIT 1 FOR NO KEY UPDATE OF s SKIP LOCKED) t \
     WHERE o.failing_since IS NOT NULL AND ",
    troubled!(),
    " AND ",
    open!(),
    " AND NOT EXISTS (SELECT 1 FROM lane c JOIN lane_state s ON s.lane = c.id \
     WHERE c.origin = o.origin AND s.claim_token IS NOT NULL AND s.claim_until > $1) LIMIT $2"
);

#[async_trait]
impl Sweeps for Postgres {
    async fn sweep(&self, limit: u32) -> Result<Vec<Due>> {
        retried(|| self.sweep_once(limit)).await
    }

    async fn unqueue(&self, lanes: &[LaneId]) -> Result<()> {
        retried(|| rows::unqueue(&self.pool, lanes)).await
    }

    async fn waits(&self) -> Result<bool> {
        let parked = peers::parked(&self.pool).await?;
        Ok(parked.iter().any(|(_, peer, pending)| peer.waits(*pending)))
    }

    async fn unwell(&self) -> Result<Vec<(Origin, Peer)>> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            peer_columns!(),
            " FROM origin o WHERE o.state <> 'live' AND ",
            troubled!()
        ))
        .fetch_all(&self.pool)
        .await
        .map_err(driver("read the peers that are unwell"))?;
        rows.iter().map(row::peer).collect()
    }

    async fn to_park(&self) -> Result<Vec<Origin>> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            clock!("$1"),
            " AS now, ",
            peer_columns!(),
            " FROM origin o WHERE o.failing_since IS NOT NULL AND ",
            troubled!()
        ))
        .bind(self.set())
        .fetch_all(&self.pool)
        .await
        .map_err(driver("read the peers that fail"))?;
        let mut to_park = Vec::new();
        for row in &rows {
            let (origin, peer) = row::peer(row)?;
            if peer.parks(time("origin", "now", &origin, get(row, "now")?)?) {
                to_park.push(origin);
            }
        }
        Ok(to_park)
    }

    async fn hurry(&self, origin: Option<&Origin>) -> Result<Hurried> {
        retried(|| hurry::hurry(self, origin)).await
    }

    async fn prune(&self, retention: SignedDuration, limit: u32) -> Result<u64> {
        retried(|| prune::prune(self, retention, limit)).await
    }
}

/// When a sweep has to look at a lane next, and the time.
pub(super) const NEXT: &str = concat!(
    "SELECT ",
    clock!("$1"),
    " AS now, (SELECT s.sweep_at FROM lane_state s WHERE s.next_due IS NOT NULL AND NOT s.parked \
     ORDER BY s.sweep_at LIMIT 1) AS next"
);

impl Postgres {
    async fn sweep_once(&self, limit: u32) -> Result<Vec<Due>> {
        let row = sqlx::query(NEXT)
            .bind(self.set())
            .fetch_one(&self.pool)
            .await
            .map_err(driver("look for due lanes"))?;
        let (now, next): (i64, Option<i64>) = (get(&row, "now")?, get(&row, "next")?);
        if next.is_none_or(|next| next > now) {
            return Ok(Vec::new());
        }
        let mut transaction = self.begin(Durability::Forgiven).await?;
        let due = look(&mut transaction, time("lane_state", "now", "", now)?, limit).await?;
        transaction.commit().await.map_err(driver("look for due lanes"))?;
        Ok(due)
    }
}

/// Locks lanes that may be claimed, and sets them down as queued.
async fn look(connection: &mut Connection, now: Timestamp, limit: u32) -> Result<Vec<Due>> {
    let mut candidates = Vec::new();
    for sql in [FAILING, WELL] {
        let rows = sqlx::query(sql)
            .bind(micros(now))
            .bind(i64::from(limit) - i64::try_from(candidates.len()).unwrap_or(i64::MAX))
            .fetch_all(&mut *connection)
            .await
            .map_err(driver("look for due lanes"))?;
        for row in &rows {
            candidates.push(candidate(row)?);
        }
    }
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let peers = peers::troubled(connection).await?;
    let claimed = claimed(connection, &peers, now).await?;
    let granted = grant(&candidates, &peers, &claimed, now);
    let until = now.saturating_add(queued(granted.len())).unwrap_or(now);
    sqlx::query("UPDATE lane_state SET sweep_at = $2 WHERE lane = ANY($1)")
        .bind(ids(&granted))
        .bind(micros(until))
        .execute(connection)
        .await
        .map_err(driver("set lanes down as queued"))?;
    let granted: HashSet<_> = granted.into_iter().collect();
    let due = candidates
        .into_iter()
        .filter(|candidate| granted.contains(&candidate.lane));
    Ok(due
        .map(|candidate| Due {
            lane: candidate.lane,
            origin: candidate.origin,
        })
        .collect())
}
