//! Writing and ending the ledger's rows.

use std::collections::{BTreeMap, HashMap, HashSet};

use fedsx_kernel::{
    delivery::{claim, row::DeliveryState},
    origin::Origin,
};
use jiff::Timestamp;
use sqlx::PgConnection;

use super::{
    candidates::claimed,
    lanes::{self, Locked},
    peers,
    row::{column, next_due, text},
};
use crate::{
    broker::Due,
    lane::LaneId,
    ledger::{
        NewDelivery, Result,
        claim::{Candidate, grant},
        driver, integer,
        sweep::queued,
        value::micros,
    },
};

/// Rows of one statement: some seconds of work for a busy server.
const CHUNK: usize = 20_000;

/// Writes rows that are due at once, then locks their lanes and sets them down as due. The locks come last, since workers
/// need them: what was pending and released meanwhile is seen under them, and what is released later sees these rows.
pub(super) async fn insert(
    connection: &mut PgConnection,
    rows: &[NewDelivery],
    now: Timestamp,
) -> Result<Vec<Due>> {
    let mut owing = BTreeMap::new();
    for chunk in rows.chunks(CHUNK) {
        let lanes = lanes::of(connection, chunk).await?;
        let written = write(connection, chunk, &lanes, now).await?;
        let origins = lanes.into_iter().zip(chunk.iter().map(|row| &row.origin));
        owing.extend(origins.filter(|(lane, _)| written.contains(lane)));
    }
    if owing.is_empty() {
        return Ok(Vec::new());
    }
    arm(connection, &owing, now).await
}

/// What several rows of one entry have in common is sent once.
const WRITE: &str = "INSERT INTO delivery (lane, position, cid, state, next_at, trace) \
     SELECT n.lane, e.position, e.cid, 'pending', $6, e.trace \
     FROM unnest($1::bigint[], $2::bigint[]) AS n (lane, entry) \
     JOIN unnest($3::bigint[], $4::text[], $5::text[]) WITH ORDINALITY AS e (position, cid, trace, number) \
       ON e.number = n.entry \
     ON CONFLICT DO NOTHING RETURNING lane";

/// Answers the lanes that a row was added to.
async fn write(
    connection: &mut PgConnection,
    rows: &[NewDelivery],
    lanes: &[i64],
    now: Timestamp,
) -> Result<HashSet<i64>> {
    let (mut entries, mut numbers) = (Vec::new(), HashMap::new());
    let mut keys: Vec<(i64, i64)> = Vec::with_capacity(rows.len());
    for (row, lane) in rows.iter().zip(lanes) {
        let number = *numbers
            .entry((row.position, row.cid.as_str(), row.trace.as_str()))
            .or_insert_with(|| {
                entries.push(row);
                i64::try_from(entries.len()).unwrap_or(i64::MAX)
            });
        keys.push((*lane, number));
    }
    keys.sort_unstable();
    let written: Vec<i64> = sqlx::query_scalar(WRITE)
        .bind(column(&keys, |(lane, _)| *lane))
        .bind(column(&keys, |(_, entry)| *entry))
        .bind(column(&entries, |row| integer(row.position)))
        .bind(column(&entries, |row| text(&row.cid)))
        .bind(column(&entries, |row| text(&row.trace)))
        .bind(micros(now))
        .fetch_all(connection)
        .await
        .map_err(driver("write deliveries"))?;
    Ok(written.into_iter().collect())
}

/// Sets lanes down as due, and as queued where a worker may claim them now, which it answers.
async fn arm(
    connection: &mut PgConnection,
    owing: &BTreeMap<i64, &Origin>,
    now: Timestamp,
) -> Result<Vec<Due>> {
    peers::lock_unwell(connection).await?;
    let locked = lanes::lock(connection, &Vec::from_iter(owing.keys().copied())).await?;
    let peers = peers::troubled(connection).await?;
    let claimed = claimed(connection, &peers, now).await?;
    let candidates: Vec<_> = locked
        .iter()
        .filter(|lane| lane.sweep_at <= micros(now))
        .filter_map(|lane| candidate(lane, owing, now))
        .collect();
    let granted: HashSet<_> = grant(&candidates, &peers, &claimed, now).into_iter().collect();
    let sweep_at = micros(now.saturating_add(queued(granted.len())).unwrap_or(now));
    let changed: Vec<_> = locked
        .iter()
        .filter(|lane| lane.next_due.is_none() || granted.contains(&LaneId(lane.id)))
        .collect();
    let is_parked = |lane: &Locked| {
        let peer = owing.get(&lane.id).and_then(|origin| peers.get(*origin));
        peer.is_some_and(peers::is_parked)
    };
    sqlx::query(
        "UPDATE lane_state s SET next_due = coalesce(s.next_due, $5), \
         sweep_at = CASE WHEN k.queued THEN $4 ELSE s.sweep_at END, parked = k.parked \
         FROM unnest($1::bigint[], $2::boolean[], $3::boolean[]) AS k (lane, queued, parked) WHERE s.lane = k.lane",
    )
    .bind(column(&changed, |lane| lane.id))
    .bind(column(&changed, |lane| granted.contains(&LaneId(lane.id))))
    .bind(column(&changed, |lane| is_parked(lane)))
    .bind(sweep_at)
    .bind(micros(now))
    .execute(connection)
    .await
    .map_err(driver("set lanes down as due"))?;
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

fn candidate(lane: &Locked, owing: &BTreeMap<i64, &Origin>, now: Timestamp) -> Option<Candidate> {
    let origin = owing.get(&lane.id).copied()?;
    Some(Candidate {
        lane: LaneId(lane.id),
        origin: origin.clone(),
        replay: false,
        claim: claim::Lane {
            claim_until: lane.claim_until,
            next_due: lane.next_due.or(Some(now)),
        },
    })
}

pub(super) async fn end_pending(
    connection: &mut PgConnection,
    origin: &Origin,
    through: u64,
    state: DeliveryState,
    cause: &str,
    now: Timestamp,
) -> Result<()> {
    peers::lock(connection, [origin]).await?;
    let lanes: Vec<i64> = sqlx::query_scalar(
        "SELECT s.lane FROM lane l JOIN lane_state s ON s.lane = l.id \
         WHERE l.origin = $1 AND s.next_due IS NOT NULL ORDER BY s.lane FOR NO KEY UPDATE OF s",
    )
    .bind(origin.as_str())
    .fetch_all(&mut *connection)
    .await
    .map_err(driver("lock lanes"))?;
    sqlx::query(
        "UPDATE delivery SET state = $3, cause = $4, next_at = NULL, settled_at = $5 \
         WHERE lane = ANY($1) AND position <= $2 AND state = 'pending'",
    )
    .bind(&lanes)
    .bind(integer(through))
    .bind(state.as_str())
    .bind(text(cause))
    .bind(micros(now))
    .execute(&mut *connection)
    .await
    .map_err(driver("end deliveries"))?;
    sqlx::query(concat!(
        "UPDATE lane_state s SET sweep_at = 0, next_due = k.next_due FROM ( \
             SELECT k.lane, n.next_due FROM (SELECT l.id AS lane, l.replay FROM lane l WHERE l.id = ANY($1)) k CROSS JOIN ",
        next_due!("k"),
        ") k WHERE s.lane = k.lane"
    ))
    .bind(&lanes)
    .execute(connection)
    .await
    .map_err(driver("end deliveries"))?;
    Ok(())
}
