//! Lanes that might be claimed: read together, and granted by what their origins allow.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use fedsx_kernel::{
    delivery::{claim, peer::Peer},
    origin::Origin,
};
use jiff::Timestamp;
use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{
    peers,
    row::{get, json},
};
use crate::{
    broker::Due,
    lane::LaneId,
    ledger::{
        Result,
        claim::{Candidate, grant},
        driver,
        sweep::queued,
        value::{maybe_time, micros, parsed},
    },
};

/// The columns that a [`Candidate`] is read from, of a table named `l`.
macro_rules! candidate_columns {
    () => {
        "l.id, l.origin, l.replay, l.claim_until, l.next_due"
    };
}
pub(super) use candidate_columns;

pub(super) async fn candidates(
    connection: &mut SqliteConnection,
    lanes: &[LaneId],
) -> Result<Vec<Candidate>> {
    let ids: Vec<_> = lanes.iter().map(|lane| lane.0).collect();
    let rows = sqlx::query(concat!(
        "SELECT ",
        candidate_columns!(),
        " FROM json_each(?1) k CROSS JOIN lane l ON l.id = k.value"
    ))
    .bind(json(&ids)?)
    .fetch_all(connection)
    .await
    .map_err(driver("read lanes"))?;
    rows.iter().map(candidate).collect()
}

/// Sets those of the lanes down as queued that may be claimed now.
pub(super) async fn queue(
    connection: &mut SqliteConnection,
    rows: &[SqliteRow],
    now: Timestamp,
) -> Result<Vec<Due>> {
    let candidates = rows.iter().map(candidate).collect::<Result<Vec<_>>>()?;
    let granted = granted(connection, &candidates, now).await?.1;
    if granted.is_empty() {
        return Ok(Vec::new());
    }
    let until = |place| micros(now.saturating_add(queued(place)).unwrap_or(now));
    let places: Vec<_> = granted
        .iter()
        .zip(1..)
        .map(|(lane, place)| (lane.0, until(place)))
        .collect();
    sqlx::query(
        "UPDATE lane SET sweep_at = k.value ->> 1 FROM json_each(?1) k WHERE lane.id = k.value ->> 0",
    )
    .bind(json(&places)?)
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

/// The candidates that may be claimed now, and the standings that this was decided by.
pub(super) async fn granted(
    connection: &mut SqliteConnection,
    candidates: &[Candidate],
    now: Timestamp,
) -> Result<(BTreeMap<Origin, Peer>, Vec<LaneId>)> {
    let origins: BTreeSet<_> = candidates
        .iter()
        .map(|candidate| candidate.origin.clone())
        .collect();
    let peers = peers::read(connection, &Vec::from_iter(origins)).await?;
    let claimed = claimed(connection, &peers, now).await?;
    let lanes = grant(candidates, &peers, &claimed, now);
    Ok((peers, lanes))
}

/// Those of the failing origins of which a lane is claimed.
pub(super) async fn claimed(
    connection: &mut SqliteConnection,
    peers: &BTreeMap<Origin, Peer>,
    now: Timestamp,
) -> Result<BTreeSet<Origin>> {
    let failing: Vec<_> = peers
        .iter()
        .filter(|(_, peer)| peer.failing_since.is_some())
        .map(|(origin, _)| origin.as_str())
        .collect();
    if failing.is_empty() {
        return Ok(BTreeSet::new());
    }
    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT l.origin FROM json_each(?1) k CROSS JOIN lane l ON l.origin = k.value \
         WHERE l.claim_token IS NOT NULL AND l.claim_until > ?2",
    )
    .bind(json(&failing)?)
    .bind(micros(now))
    .fetch_all(connection)
    .await
    .map_err(driver("read claims"))?;
    rows.iter()
        .map(|origin| parsed("lane", "origin", origin, origin))
        .collect()
}

fn candidate(row: &SqliteRow) -> Result<Candidate> {
    let id: i64 = get(row, "id")?;
    Ok(Candidate {
        lane: LaneId(id),
        origin: parsed("lane", "origin", id, get(row, "origin")?)?,
        replay: get(row, "replay")?,
        claim: claim::Lane {
            claim_until: maybe_time("lane", "claim_until", id, get(row, "claim_until")?)?,
            next_due: maybe_time("lane", "next_due", id, get(row, "next_due")?)?,
        },
    })
}
