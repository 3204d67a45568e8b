//! What a batch of outcomes is decided by, locked and read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fedsx_kernel::{
    delivery::{outcome::Outcome, row::Row},
    origin::Origin,
};
use jiff::Timestamp;
use sqlx::postgres::PgRow;

use super::{
    connection::Connection,
    row::{self, clock, get, ids, names, peer_columns, small},
};
use crate::{
    lane::LaneId,
    ledger::{
        ClaimToken, Report, Result, driver, integer,
        record::Before,
        value::{parsed, time, unsigned},
    },
};

pub(super) fn is_delivered(report: &Report) -> bool {
    let mut attempts = report.attempts.iter();
    attempts.all(|attempt| attempt.outcome == Outcome::Delivered)
}

/// Origins, and those of lanes, locked by name.
pub(super) const ORIGINS: &str = "SELECT o.origin FROM origin o WHERE o.origin IN ( \
         SELECT unnest($1::text[]) UNION SELECT l.origin FROM lane l WHERE l.id = ANY($2) \
     ) ORDER BY o.origin FOR NO KEY UPDATE";

/// Locks the origins that are known to change, and those of the lanes in which something was not delivered: whose failure
/// that is depends on what others have recorded.
pub(super) async fn lock_origins(
    connection: &mut Connection,
    reports: &[Report],
    changing: &BTreeSet<Origin>,
) -> Result<BTreeSet<Origin>> {
    let failing = reports.iter().filter(|report| !is_delivered(report));
    let failing: BTreeSet<_> = failing.map(|report| report.lane).collect();
    if failing.is_empty() && changing.is_empty() {
        return Ok(BTreeSet::new());
    }
    let locked: Vec<String> = sqlx::query_scalar(ORIGINS)
        .bind(names(changing))
        .bind(ids(&failing))
        .fetch_all(connection)
        .await
        .map_err(driver("lock peers"))?;
    let locked = locked
        .iter()
        .map(|origin| parsed("origin", "origin", origin, origin));
    locked.collect()
}

/// Lanes, locked in order, and their origins as they stand: nobody changes those that are locked.
pub(super) const LANES: &str = concat!(
    "SELECT l.id, l.replay, s.claim_token, ",
    peer_columns!(),
    " FROM lane_state s JOIN lane l ON l.id = s.lane JOIN origin o ON o.origin = l.origin \
     WHERE s.lane = ANY($1) ORDER BY s.lane FOR NO KEY UPDATE OF s"
);

/// Locks the lanes and reads what the batch is decided by, but for the rows: those of a lane are read when it is locked.
/// Tells the replay lanes apart.
pub(super) async fn lock_lanes(
    connection: &mut Connection,
    reports: &[Report],
) -> Result<(Before, HashMap<LaneId, bool>)> {
    let lanes: BTreeSet<_> = reports.iter().map(|report| report.lane).collect();
    let found = sqlx::query(LANES)
        .bind(ids(&lanes))
        .fetch_all(connection)
        .await
        .map_err(driver("lock lanes"))?;
    let (mut before, mut replays) = (Before::default(), HashMap::new());
    for row in &found {
        let lane = LaneId(get(row, "id")?);
        let token: Option<String> = get(row, "claim_token")?;
        let (origin, peer) = row::peer(row)?;
        before.lanes.insert(lane, (token.map(ClaimToken), origin.clone()));
        before.peers.insert(origin, peer);
        replays.insert(lane, get(row, "replay")?);
    }
    Ok((before, replays))
}

/// The rows of attempts, and the time.
pub(super) const ROWS: &str = concat!(
    "SELECT t.now, d.lane, d.position, d.state, d.attempts FROM (SELECT ",
    clock!("$3"),
    " AS now) t LEFT JOIN ( \
         SELECT d.lane, d.position, d.state, d.attempts FROM unnest($1::bigint[], $2::bigint[]) AS k (lane, position) \
         JOIN delivery d ON d.lane = k.lane AND d.position = k.position \
     ) d ON true"
);

pub(super) async fn rows(
    connection: &mut Connection,
    reports: &[Report],
    set: Option<i64>,
) -> Result<(BTreeMap<(LaneId, u64), Row>, Timestamp)> {
    let keys = reports.iter().flat_map(|report| {
        let attempts = report.attempts.iter();
        attempts.map(|attempt| (report.lane.0, integer(attempt.position)))
    });
    let (lanes, positions): (Vec<i64>, Vec<i64>) = keys.unzip();
    let found = sqlx::query(ROWS)
        .bind(lanes)
        .bind(positions)
        .bind(set)
        .fetch_all(connection)
        .await
        .map_err(driver("read deliveries"))?;
    let now = found.first().map(|row| get(row, "now")).transpose()?;
    let now = time("delivery", "now", "", now.unwrap_or_default())?;
    let mut rows = BTreeMap::new();
    for row in &found {
        if let Some(lane) = get::<Option<i64>>(row, "lane")? {
            let (key, row) = decode(row, lane)?;
            rows.insert(key, row);
        }
    }
    Ok((rows, now))
}

fn decode(row: &PgRow, lane: i64) -> Result<((LaneId, u64), Row)> {
    let position: u64 = unsigned("delivery", "position", lane, get(row, "position")?)?;
    let key = format!("lane {lane}, position {position}");
    let state = parsed("delivery", "state", &key, get(row, "state")?)?;
    let attempts = unsigned("delivery", "attempts", &key, small(row, "attempts")?)?;
    Ok(((LaneId(lane), position), Row { state, attempts }))
}
