//! What lanes owe, handed out with their claims.

use std::collections::{BTreeMap, HashSet};

use fedsx_kernel::delivery::{claim::CLAIM, peer::Peer};
use jiff::Timestamp;
use sqlx::postgres::PgRow;

use super::{
    connection::Connection,
    row::{column, get, next_due, small},
};
use crate::{
    lane::{Lane, LaneId},
    ledger::{
        Claim, ClaimToken, Owed, Result, driver,
        value::{micros, time, unsigned},
    },
};

/// A lane that is locked and may be claimed.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) lane: Lane,
    pub(super) peer: Peer,
    /// What is not due stays out: no delivery of the lane waits for another.
    pub(super) due_only: bool,
}

/// What lanes owe, a page each, in log order; those that owe something are claimed.
pub(super) const TAKE: &str = "WITH owed AS MATERIALIZED ( \
         SELECT d.* FROM unnest($1::bigint[], $2::boolean[]) AS k (lane, due_only) CROSS JOIN LATERAL ( \
             SELECT d.lane, d.position, d.cid, d.attempts, d.tries, d.next_at, d.trace FROM delivery d \
             WHERE d.lane = k.lane AND d.state = 'pending' AND (NOT k.due_only OR d.next_at <= $3) \
             ORDER BY d.position LIMIT $4 \
         ) d \
     ), taken AS ( \
         UPDATE lane_state s SET claim_token = $5, claim_until = $6, sweep_at = $6 \
         FROM (SELECT DISTINCT lane FROM owed) o WHERE s.lane = o.lane \
     ) SELECT * FROM owed ORDER BY lane, position";

/// Claims lanes with what they owe. One that turns out to owe nothing now is not claimed, and due when its rows say.
pub(super) async fn take(
    connection: &mut Connection,
    granted: Vec<Granted>,
    token: &ClaimToken,
    now: Timestamp,
    page: u32,
) -> Result<Vec<Claim>> {
    if granted.is_empty() {
        return Ok(Vec::new());
    }
    let until = now.saturating_add(CLAIM).unwrap_or(now);
    let rows = sqlx::query(TAKE)
        .bind(column(&granted, |lane| lane.lane.id.0))
        .bind(column(&granted, |lane| lane.due_only))
        .bind(micros(now))
        .bind(i64::from(page))
        .bind(&token.0)
        .bind(micros(until))
        .fetch_all(&mut *connection)
        .await
        .map_err(driver("claim lanes"))?;
    let mut owed = BTreeMap::<_, Vec<_>>::new();
    for row in &rows {
        let (lane, delivery) = decode(row)?;
        owed.entry(lane).or_default().push(delivery);
    }
    let drained = granted.iter().map(|lane| &lane.lane);
    let drained: Vec<_> = drained.filter(|lane| !owed.contains_key(&lane.id)).collect();
    if !drained.is_empty() {
        set_down(connection, &drained).await?;
    }
    let claim = |granted: Granted| {
        let owed = owed.remove(&granted.lane.id)?;
        Some(Claim {
            lane: granted.lane,
            token: token.clone(),
            at: now,
            until,
            peer: granted.peer,
            owed,
        })
    };
    Ok(granted.into_iter().filter_map(claim).collect())
}

/// Lanes that owe nothing now are due when their rows say.
async fn set_down(connection: &mut Connection, lanes: &[&Lane]) -> Result<()> {
    let unique: HashSet<_> = lanes.iter().map(|lane| (lane.id, lane.replay)).collect();
    sqlx::query(concat!(
        "UPDATE lane_state s SET sweep_at = coalesce(k.next_due, 0), next_due = k.next_due FROM ( \
             SELECT k.lane, n.next_due FROM unnest($1::bigint[], $2::boolean[]) AS k (lane, replay) CROSS JOIN ",
        next_due!("k"),
        ") k WHERE s.lane = k.lane"
    ))
    .bind(column(&unique, |(lane, _)| lane.0))
    .bind(column(&unique, |(_, replay)| *replay))
    .execute(connection)
    .await
    .map_err(driver("set drained lanes down"))?;
    Ok(())
}

fn decode(row: &PgRow) -> Result<(LaneId, Owed)> {
    let lane: i64 = get(row, "lane")?;
    let next_at: Option<i64> = get(row, "next_at")?;
    let owed = Owed {
        position: unsigned("delivery", "position", lane, get(row, "position")?)?,
        cid: get(row, "cid")?,
        attempts: unsigned("delivery", "attempts", lane, small(row, "attempts")?)?,
        tries: unsigned("delivery", "tries", lane, small(row, "tries")?)?,
        next_at: time("delivery", "next_at", lane, next_at.unwrap_or_default())?,
        trace: get(row, "trace")?,
    };
    Ok((LaneId(lane), owed))
}
