//! Writing and ending the ledger's rows.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use fedsx_kernel::{
    delivery::{claim, row::DeliveryState},
    origin::Origin,
};
use jiff::Timestamp;

use super::{
    candidates::claimed,
    connection::{Connection, Pool},
    lanes::{self, Locked},
    peers,
    row::{column, ids, next_due, text},
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

/// Rows of one statement, or lanes: some seconds of work for a busy server. How many there are is outsiders' to decide.
const CHUNK: usize = 5_000;

/// Writes rows that are due at once, then locks their lanes and sets them down as due. The locks come last, since workers
/// need them: what was pending and released meanwhile is seen under them, and what is released later sees these rows.
pub(super) async fn insert(
    connection: &mut Connection,
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
const WRITE: &str = "INSERT INTO delivery (lane, position, cid, state, next_at, trace, told) \
     SELECT n.lane, e.position, e.cid, 'pending', $6, e.trace, CASE WHEN e.awaited THEN false END \
     FROM unnest($1::bigint[], $2::bigint[]) AS n (lane, entry) \
     JOIN unnest($3::bigint[], $4::text[], $5::text[], $7::boolean[]) WITH ORDINALITY \
          AS e (position, cid, trace, awaited, number) \
       ON e.number = n.entry \
     ON CONFLICT DO NOTHING RETURNING lane";

/// Answers the lanes that a row was added to.
async fn write(
    connection: &mut Connection,
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
        .bind(column(&entries, |row| row.awaited))
        .fetch_all(connection)
        .await
        .map_err(driver("write deliveries"))?;
    Ok(written.into_iter().collect())
}

/// Sets lanes down as due, and as queued where a worker may claim them now, which it answers.
async fn arm(
    connection: &mut Connection,
    owing: &BTreeMap<i64, &Origin>,
    now: Timestamp,
) -> Result<Vec<Due>> {
    peers::lock_unwell(connection, BTreeSet::from_iter(owing.values().copied())).await?;
    let ids = Vec::from_iter(owing.keys().copied());
    let mut locked = Vec::with_capacity(ids.len());
    // One after another they are locked in order, too.
    for chunk in ids.chunks(CHUNK) {
        locked.extend(lanes::lock(connection, chunk).await?);
    }
    let peers = peers::troubled(connection).await?;
    let claimed = claimed(connection, &peers, now).await?;
    let candidates: Vec<_> = locked
        .iter()
        .filter(|lane| lane.sweep_at <= micros(now))
        .filter_map(|lane| candidate(lane, owing, now))
        .collect();
    // They are published in this order.
    let granted: HashMap<_, _> = grant(&candidates, &peers, &claimed, now)
        .into_iter()
        .zip(1..)
        .map(|(lane, place)| (lane, micros(now.saturating_add(queued(place)).unwrap_or(now))))
        .collect();
    let is_parked = |lane: &Locked| {
        let peer = owing.get(&lane.id).and_then(|origin| peers.get(*origin));
        peer.is_some_and(peers::is_parked)
    };
    let changed: Vec<_> = locked
        .iter()
        .map(|lane| (lane, granted.get(&LaneId(lane.id)).copied()))
        .filter(|(lane, sweep_at)| lane.next_due.is_none() || sweep_at.is_some())
        .map(|(lane, sweep_at)| (lane.id, sweep_at, is_parked(lane)))
        .collect();
    for chunk in changed.chunks(CHUNK) {
        set_due(connection, chunk, now).await?;
    }
    let due = candidates
        .into_iter()
        .filter(|candidate| granted.contains_key(&candidate.lane));
    Ok(due
        .map(|candidate| Due {
            lane: candidate.lane,
            origin: candidate.origin,
        })
        .collect())
}

/// Lanes, until when each is queued, if it is, and whether it is parked.
async fn set_due(
    connection: &mut Connection,
    lanes: &[(i64, Option<i64>, bool)],
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "UPDATE lane_state s SET next_due = coalesce(s.next_due, $4), sweep_at = coalesce(k.sweep_at, s.sweep_at), \
         parked = k.parked \
         FROM unnest($1::bigint[], $2::bigint[], $3::boolean[]) AS k (lane, sweep_at, parked) WHERE s.lane = k.lane",
    )
    .bind(column(lanes, |(lane, ..)| *lane))
    .bind(column(lanes, |(_, sweep_at, _)| *sweep_at))
    .bind(column(lanes, |(.., parked)| *parked))
    .bind(micros(now))
    .execute(connection)
    .await
    .map_err(driver("set lanes down as due"))?;
    Ok(())
}

/// Lanes that are not claimed, as due as their rows are. Who holds one changes that itself.
const UNQUEUE: &str = "WITH lost AS ( \
         SELECT lane FROM lane_state WHERE lane = ANY($1) AND next_due IS NOT NULL AND claim_token IS NULL \
         ORDER BY lane FOR NO KEY UPDATE SKIP LOCKED \
     ) UPDATE lane_state s SET sweep_at = s.next_due FROM lost WHERE s.lane = lost.lane";

pub(super) async fn unqueue(pool: &Pool, lanes: &[LaneId]) -> Result<()> {
    for chunk in lanes.chunks(CHUNK) {
        sqlx::query(UNQUEUE)
            .bind(ids(chunk))
            .execute(pool)
            .await
            .map_err(driver("set lanes down as not queued"))?;
    }
    Ok(())
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
    connection: &mut Connection,
    origin: &Origin,
    through: u64,
    state: DeliveryState,
    cause: &str,
    now: Timestamp,
) -> Result<()> {
    peers::lock(connection, [origin]).await?;
    let lanes = lock_pending(connection, origin).await?;
    for chunk in lanes.chunks(CHUNK) {
        loop {
            let ended = sqlx::query(END)
                .bind(chunk)
                .bind(integer(through))
                .bind(state.as_str())
                .bind(text(cause))
                .bind(micros(now))
                .bind(integer(CHUNK as u64))
                .execute(&mut *connection)
                .await
                .map_err(driver("end deliveries"))?;
            if ended.rows_affected() < CHUNK as u64 {
                break;
            }
        }
        sqlx::query(SET_DOWN)
            .bind(chunk)
            .execute(&mut *connection)
            .await
            .map_err(driver("end deliveries"))?;
    }
    Ok(())
}

/// Pending deliveries of lanes that end, at most so many.
const END: &str = "UPDATE delivery d SET state = $3, cause = $4, next_at = NULL, settled_at = $5 FROM ( \
         SELECT d.lane, d.position FROM unnest($1::bigint[]) AS k (lane) CROSS JOIN LATERAL ( \
             SELECT d.lane, d.position FROM delivery d \
             WHERE d.lane = k.lane AND d.position <= $2 AND d.state = 'pending' ORDER BY d.position LIMIT $6 \
         ) d LIMIT $6 \
     ) k WHERE d.lane = k.lane AND d.position = k.position";

/// When lanes of which deliveries were ended are due.
const SET_DOWN: &str = concat!(
    "UPDATE lane_state s SET sweep_at = 0, next_due = k.next_due FROM ( \
         SELECT k.lane, n.next_due FROM (SELECT l.id AS lane, l.replay FROM lane l WHERE l.id = ANY($1)) k CROSS JOIN ",
    next_due!("k"),
    ") k WHERE s.lane = k.lane"
);

/// Locks the lanes of an origin that owe something, in the order of their ids. Under the cursor's lock, so that there come
/// no more.
async fn lock_pending(connection: &mut Connection, origin: &Origin) -> Result<Vec<i64>> {
    let mut lanes: Vec<i64> = sqlx::query_scalar("SELECT id FROM lane WHERE origin = $1")
        .bind(origin.as_str())
        .fetch_all(&mut *connection)
        .await
        .map_err(driver("find lanes"))?;
    lanes.sort_unstable();
    let mut owing = Vec::new();
    for chunk in lanes.chunks(CHUNK) {
        let locked: Vec<i64> = sqlx::query_scalar(
            "SELECT lane FROM lane_state WHERE lane = ANY($1) AND next_due IS NOT NULL \
             ORDER BY lane FOR NO KEY UPDATE",
        )
        .bind(chunk)
        .fetch_all(&mut *connection)
        .await
        .map_err(driver("lock lanes"))?;
        owing.extend(locked);
    }
    Ok(owing)
}
