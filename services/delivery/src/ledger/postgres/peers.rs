//! Peers: their standings, their blocks, and what they are owed in all.

use std::collections::BTreeMap;

use fedsx_kernel::{
    delivery::peer::{Peer, Standing},
    origin::Origin,
};
use jiff::Timestamp;
use sqlx::{PgExecutor, Postgres as Db, postgres::PgArguments, query::Query};

use super::{
    connection::Connection,
    row::{self, column, get, names, peer_columns, troubled},
};
use crate::ledger::{
    Result, driver, integer,
    value::{maybe_micros, micros, parsed, unsigned},
};

pub(super) async fn read(connection: &mut Connection, peers: &[Origin]) -> Result<BTreeMap<Origin, Peer>> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        peer_columns!(),
        " FROM origin o WHERE o.origin = ANY($1)"
    ))
    .bind(names(peers))
    .fetch_all(connection)
    .await
    .map_err(driver("read the peers"))?;
    rows.iter().map(row::peer).collect()
}

/// Locks the rows that there are, by name, and reads them.
pub(super) async fn lock<'a>(
    connection: &mut Connection,
    peers: impl IntoIterator<Item = &'a Origin>,
) -> Result<BTreeMap<Origin, Peer>> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        peer_columns!(),
        " FROM origin o WHERE o.origin = ANY($1) ORDER BY o.origin FOR NO KEY UPDATE"
    ))
    .bind(names(peers))
    .fetch_all(connection)
    .await
    .map_err(driver("lock peers"))?;
    rows.iter().map(row::peer).collect()
}

/// Locks those of the rows that nobody else holds, and reads them.
pub(super) async fn try_lock<'a>(
    connection: &mut Connection,
    peers: impl IntoIterator<Item = &'a Origin>,
) -> Result<BTreeMap<Origin, Peer>> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        peer_columns!(),
        " FROM origin o WHERE o.origin = ANY($1) FOR NO KEY UPDATE SKIP LOCKED"
    ))
    .bind(names(peers))
    .fetch_all(connection)
    .await
    .map_err(driver("lock peers"))?;
    rows.iter().map(row::peer).collect()
}

/// Locks those of the peers that are not live, by name: their standings a turn may yet have to write when it has taken the
/// locks of lanes.
pub(super) async fn lock_unwell<'a>(
    connection: &mut Connection,
    peers: impl IntoIterator<Item = &'a Origin>,
) -> Result<()> {
    sqlx::query(concat!(
        "SELECT o.origin FROM origin o WHERE o.origin = ANY($1) AND o.state <> 'live' AND ",
        troubled!(),
        " ORDER BY o.origin FOR NO KEY UPDATE"
    ))
    .bind(names(peers))
    .execute(connection)
    .await
    .map_err(driver("lock peers"))?;
    Ok(())
}

/// The peers that are not simply live.
pub(super) async fn troubled(connection: &mut Connection) -> Result<BTreeMap<Origin, Peer>> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        peer_columns!(),
        " FROM origin o WHERE ",
        troubled!()
    ))
    .fetch_all(connection)
    .await
    .map_err(driver("read the peers"))?;
    rows.iter().map(row::peer).collect()
}

pub(super) fn is_parked(peer: &Peer) -> bool {
    matches!(peer.standing, Standing::Parked { .. })
}

/// Writes standings; its parameters are what [`bind`] binds.
macro_rules! put_peers {
    () => {
        "INSERT INTO origin (origin, state, position, failing_since, parked_since, alive_at, hold_until, \
         next_probe) \
         SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], \
         $7::bigint[], $8::bigint[]) \
         ON CONFLICT (origin) DO UPDATE SET state = excluded.state, position = excluded.position, \
         failing_since = excluded.failing_since, parked_since = excluded.parked_since, \
         alive_at = excluded.alive_at, hold_until = excluded.hold_until, next_probe = excluded.next_probe"
    };
}
pub(super) use put_peers;

pub(super) fn bind<'q>(
    query: Query<'q, Db, PgArguments>,
    peers: &'q BTreeMap<Origin, Peer>,
) -> Query<'q, Db, PgArguments> {
    let parked = |peer: &Peer| match peer.standing {
        Standing::Parked {
            since, next_probe, ..
        } => Some((micros(since), micros(next_probe))),
        _ => None,
    };
    let peer = || peers.values();
    query
        .bind(names(peers.keys()))
        .bind(column(peer(), |peer| peer.standing.as_str()))
        .bind(column(peer(), |peer| peer.standing.at().map(integer)))
        .bind(column(peer(), |peer| maybe_micros(peer.failing_since)))
        .bind(column(peer(), |peer| parked(peer).map(|(since, _)| since)))
        .bind(column(peer(), |peer| maybe_micros(peer.alive_at)))
        .bind(column(peer(), |peer| maybe_micros(peer.hold_until)))
        .bind(column(peer(), |peer| {
            parked(peer).map(|(_, next_probe)| next_probe)
        }))
}

/// Writes rows that are locked, or that are new.
pub(super) async fn put(connection: &mut Connection, peers: &BTreeMap<Origin, Peer>) -> Result<()> {
    let written = bind(sqlx::query(put_peers!()), peers).execute(connection).await;
    written.map(drop).map_err(driver("write the peers"))
}

/// The parked origins, and whether each has a pending row.
pub(super) const PARKED: &str = concat!(
    "SELECT ",
    peer_columns!(),
    ", EXISTS (SELECT 1 FROM lane l CROSS JOIN LATERAL ( \
                   SELECT 1 FROM delivery d WHERE d.lane = l.id AND d.state = 'pending' LIMIT 1) d \
               WHERE l.origin = o.origin) AS pending FROM origin o WHERE o.state = 'parked' AND ",
    troubled!()
);

pub(super) async fn parked(executor: impl PgExecutor<'_>) -> Result<Vec<(Origin, Peer, bool)>> {
    let rows = sqlx::query(PARKED)
        .fetch_all(executor)
        .await
        .map_err(driver("read the parked peers"))?;
    rows.iter()
        .map(|row| {
            let (origin, peer) = row::peer(row)?;
            Ok((origin, peer, get(row, "pending")?))
        })
        .collect()
}

/// Pending rows of an origin's lanes that are due.
pub(super) const BACKLOG: &str = "SELECT count(*) FROM ( \
         SELECT 1 FROM lane l JOIN lane_state s ON s.lane = l.id \
         JOIN delivery d ON d.lane = l.id AND d.state = 'pending' \
         WHERE l.origin = $1 AND NOT l.replay AND s.next_due <= $3 LIMIT $2) backlog";

pub(super) async fn backlog(
    connection: &mut Connection,
    origin: &Origin,
    limit: u32,
    now: Timestamp,
) -> Result<u32> {
    let count: i64 = sqlx::query_scalar(BACKLOG)
        .bind(origin.as_str())
        .bind(i64::from(limit))
        .bind(micros(now))
        .fetch_one(connection)
        .await
        .map_err(driver("count a backlog"))?;
    unsigned("delivery", "count", origin, count)
}

pub(super) async fn block(connection: &mut Connection, origin: &Origin, position: u64) -> Result<()> {
    sqlx::query(
        "INSERT INTO block (origin, from_position) SELECT $1, $2 \
         WHERE NOT EXISTS (SELECT 1 FROM block WHERE origin = $1 AND to_position IS NULL) \
         ON CONFLICT DO NOTHING",
    )
    .bind(origin.as_str())
    .bind(integer(position))
    .execute(connection)
    .await
    .map_err(driver("block a peer"))?;
    Ok(())
}

pub(super) async fn unblock(connection: &mut Connection, origin: &Origin, position: u64) -> Result<()> {
    sqlx::query("UPDATE block SET to_position = $2 WHERE origin = $1 AND to_position IS NULL")
        .bind(origin.as_str())
        .bind(integer(position))
        .execute(connection)
        .await
        .map_err(driver("unblock a peer"))?;
    Ok(())
}

pub(super) async fn blocks(
    connection: &mut Connection,
    peers: &[Origin],
) -> Result<BTreeMap<Origin, Vec<(u64, Option<u64>)>>> {
    let rows = sqlx::query(
        "SELECT origin, from_position, to_position FROM block WHERE origin = ANY($1) \
         ORDER BY origin, from_position",
    )
    .bind(names(peers))
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
