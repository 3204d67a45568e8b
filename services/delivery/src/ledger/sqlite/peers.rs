//! Peers: their standings, their blocks, and what they are owed in all.

use std::collections::BTreeMap;

use fedsx_kernel::{
    delivery::peer::{Peer, Standing},
    origin::Origin,
};
use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::row::{self, get, json, origins, peer_columns};
use crate::ledger::{
    Result, driver, integer,
    value::{maybe_micros, micros, parsed, unsigned},
};

pub(super) async fn read(
    connection: &mut SqliteConnection,
    peers: &[Origin],
) -> Result<BTreeMap<Origin, Peer>> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        peer_columns!(),
        " FROM json_each(?1) k CROSS JOIN origin o ON o.origin = k.value"
    ))
    .bind(origins(peers)?)
    .fetch_all(connection)
    .await
    .map_err(driver("read the peers"))?;
    rows.iter().map(row::peer).collect()
}

pub(super) async fn put(connection: &mut SqliteConnection, peers: &BTreeMap<Origin, Peer>) -> Result<()> {
    let rows: Vec<_> = peers
        .iter()
        .map(|(origin, peer)| {
            let (since, next_probe) = match peer.standing {
                Standing::Parked {
                    since, next_probe, ..
                } => (Some(micros(since)), Some(micros(next_probe))),
                _ => (None, None),
            };
            (
                origin.as_str(),
                peer.standing.as_str(),
                peer.standing.at().map(integer),
                maybe_micros(peer.failing_since),
                since,
                maybe_micros(peer.alive_at),
                maybe_micros(peer.hold_until),
                next_probe,
            )
        })
        .collect();
    sqlx::query(
        "INSERT INTO origin (origin, state, position, failing_since, parked_since, alive_at, hold_until, \
         next_probe) \
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, \
         value ->> 7 FROM json_each(?1) WHERE true \
         ON CONFLICT DO UPDATE SET state = excluded.state, position = excluded.position, \
         failing_since = excluded.failing_since, parked_since = excluded.parked_since, \
         alive_at = excluded.alive_at, hold_until = excluded.hold_until, next_probe = excluded.next_probe",
    )
    .bind(json(&rows)?)
    .execute(connection)
    .await
    .map_err(driver("write the peers"))?;
    Ok(())
}

pub(super) async fn parked(connection: &mut SqliteConnection) -> Result<Vec<(Origin, Peer, bool)>> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        peer_columns!(),
        ", EXISTS (SELECT 1 FROM lane l JOIN delivery d ON d.lane = l.id \
         WHERE l.origin = o.origin AND d.state = 'pending') AS pending \
         FROM origin o WHERE o.state <> 'live' AND o.state = 'parked'"
    ))
    .fetch_all(connection)
    .await
    .map_err(driver("read the parked peers"))?;
    rows.iter()
        .map(|row| {
            let (origin, peer) = row::peer(row)?;
            Ok((origin, peer, get(row, "pending")?))
        })
        .collect()
}

pub(super) async fn backlog(
    connection: &mut SqliteConnection,
    origin: &Origin,
    limit: u32,
    now: Timestamp,
) -> Result<u32> {
    let count: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT 1 FROM lane l JOIN delivery d ON d.lane = l.id \
         WHERE l.origin = ?1 AND NOT l.replay AND l.next_due <= ?3 AND d.state = 'pending' LIMIT ?2)",
    )
    .bind(origin.as_str())
    .bind(limit)
    .bind(micros(now))
    .fetch_one(connection)
    .await
    .map_err(driver("count a backlog"))?;
    unsigned("delivery", "count", origin, count)
}

pub(super) async fn block(connection: &mut SqliteConnection, origin: &Origin, position: u64) -> Result<()> {
    sqlx::query(
        "INSERT INTO block (origin, from_position) SELECT ?1, ?2 \
         WHERE NOT EXISTS (SELECT 1 FROM block WHERE origin = ?1 AND to_position IS NULL) \
         ON CONFLICT DO NOTHING",
    )
    .bind(origin.as_str())
    .bind(integer(position))
    .execute(connection)
    .await
    .map_err(driver("block a peer"))?;
    Ok(())
}

pub(super) async fn unblock(connection: &mut SqliteConnection, origin: &Origin, position: u64) -> Result<()> {
    sqlx::query("UPDATE block SET to_position = ?2 WHERE origin = ?1 AND to_position IS NULL")
        .bind(origin.as_str())
        .bind(integer(position))
        .execute(connection)
        .await
        .map_err(driver("unblock a peer"))?;
    Ok(())
}

pub(super) async fn blocks(
    connection: &mut SqliteConnection,
    peers: &[Origin],
) -> Result<BTreeMap<Origin, Vec<(u64, Option<u64>)>>> {
    let rows = sqlx::query(
        "SELECT b.origin, b.from_position, b.to_position FROM json_each(?1) k CROSS JOIN block b \
         ON b.origin = k.value ORDER BY b.from_position",
    )
    .bind(origins(peers)?)
    .fetch_all(connection)
    .await
    .map_err(driver("read the blocks"))?;
    let mut blocks = BTreeMap::<_, Vec<_>>::new();
    for row in &rows {
        let key: &str = get(row, "origin")?;
        let from = unsigned("block", "from_position", key, get(row, "from_position")?)?;
        let to: Option<i64> = get(row, "to_position")?;
        let to = to
            .map(|to| unsigned("block", "to_position", key, to))
            .transpose()?;
        blocks
            .entry(parsed("block", "origin", key, key)?)
            .or_default()
            .push((from, to));
    }
    Ok(blocks)
}
