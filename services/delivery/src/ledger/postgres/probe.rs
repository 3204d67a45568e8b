//! Claiming the lane of a probe.

use std::collections::BTreeMap;

use fedsx_kernel::{
    delivery::{claim::is_free, peer},
    origin::Origin,
};
use sqlx::postgres::PgRow;

use super::{
    Durability, Postgres,
    candidates::claimed,
    connection::Connection,
    owed::{Granted, take},
    peers,
    row::{self, clock, get, lane_columns},
};
use crate::{
    lane::{Lane, LaneId},
    ledger::{
        Claim, ClaimToken, Probe, Result, driver,
        value::{maybe_time, time, unsigned},
    },
};

/// Under the lock of the origin's row, which nobody who claims a failing origin's lane goes past.
pub(super) async fn claim(
    ledger: &Postgres,
    origin: &Origin,
    why: Probe,
    token: &ClaimToken,
) -> Result<Option<Claim>> {
    let mut transaction = ledger.begin(Durability::Durable).await?;
    let peers = peers::lock(&mut transaction, [origin]).await?;
    let Some(peer) = peers.get(origin).copied() else {
        return Ok(None);
    };
    let now = now(&mut transaction, ledger.set()).await?;
    if why == Probe::Due && !peer.probes(now) || !claimed(&mut transaction, &peers, now).await?.is_empty() {
        return Ok(None);
    }
    let Some(lane) = lane(&mut transaction, origin).await? else {
        return Ok(None);
    };
    let Some((lane, claim_until)) = lock(&mut transaction, lane).await? else {
        return Ok(None);
    };
    if !is_free(claim_until, now) {
        return Ok(None);
    }
    let granted = Granted {
        lane,
        peer,
        due_only: false,
    };
    let claims = take(&mut transaction, vec![granted], token, now, 1).await?;
    if !claims.is_empty() {
        let probing = BTreeMap::from([(origin.clone(), peer.probing(now))]);
        peers::put(&mut transaction, &probing).await?;
    }
    transaction
        .commit()
        .await
        .map_err(driver("claim a probe's lane"))?;
    Ok(claims.into_iter().next().map(Claim::as_probe))
}

async fn now(connection: &mut Connection, set: Option<i64>) -> Result<jiff::Timestamp> {
    let now: i64 = sqlx::query_scalar(concat!("SELECT ", clock!("$1")))
        .bind(set)
        .fetch_one(connection)
        .await
        .map_err(driver("read the clock"))?;
    time("origin", "now", "", now)
}

/// The first pending row of each lane of an origin, and since when it is due; a lane that rests is due later.
pub(super) const FIRST: &str = "SELECT d.lane, d.position, greatest(d.next_at, s.next_due, 0) AS due \
     FROM lane l JOIN lane_state s ON s.lane = l.id CROSS JOIN LATERAL ( \
         SELECT d.lane, d.position, d.next_at FROM delivery d WHERE d.lane = l.id AND d.state = 'pending' \
         ORDER BY d.position LIMIT 1 \
     ) d WHERE l.origin = $1";

/// The lane of an origin's probe.
async fn lane(connection: &mut Connection, origin: &Origin) -> Result<Option<LaneId>> {
    let rows = sqlx::query(FIRST)
        .bind(origin.as_str())
        .fetch_all(connection)
        .await
        .map_err(driver("find a probe's lane"))?;
    let first = |row: &PgRow| {
        let lane: i64 = get(row, "lane")?;
        let position: u64 = unsigned("delivery", "position", lane, get(row, "position")?)?;
        let due = time("delivery", "next_at", lane, get(row, "due")?)?;
        Ok((LaneId(lane), position, due))
    };
    let pending = rows.iter().map(first).collect::<Result<Vec<_>>>()?;
    Ok(peer::probe(pending).map(|(lane, _)| lane))
}

/// The lane, and until when it is claimed; none where somebody holds it.
async fn lock(connection: &mut Connection, lane: LaneId) -> Result<Option<(Lane, Option<jiff::Timestamp>)>> {
    let row = sqlx::query(concat!(
        "SELECT ",
        lane_columns!(),
        ", s.claim_until FROM lane l JOIN lane_state s ON s.lane = l.id WHERE l.id = $1 \
         FOR NO KEY UPDATE OF s SKIP LOCKED"
    ))
    .bind(lane.0)
    .fetch_optional(connection)
    .await
    .map_err(driver("lock lanes"))?;
    let read = |row: PgRow| {
        let until = maybe_time("lane_state", "claim_until", lane, get(&row, "claim_until")?)?;
        Ok((row::lane(&row)?, until))
    };
    row.map(read).transpose()
}
