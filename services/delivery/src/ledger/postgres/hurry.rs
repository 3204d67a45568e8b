//! Everything now: what waits is due, holds are lifted.

use fedsx_kernel::origin::Origin;
use jiff::Timestamp;

use super::{
    Durability, Postgres,
    connection::Connection,
    peers,
    row::{self, clock, get, peer_columns, troubled},
};
use crate::ledger::{
    Hurried, Result, driver,
    value::{micros, time, unsigned},
};

/// The origins that are held or parked, locked by name.
const PEERS: [&str; 2] = [
    concat!(
        "SELECT ",
        peer_columns!(),
        " FROM origin o WHERE $1::text IS NULL AND ",
        troubled!(),
        " ORDER BY o.origin FOR NO KEY UPDATE"
    ),
    concat!(
        "SELECT ",
        peer_columns!(),
        " FROM origin o WHERE o.origin = $1 AND ",
        troubled!(),
        " FOR NO KEY UPDATE"
    ),
];
/// The lanes that owe something, locked in order.
const LANES: [&str; 2] = [
    "SELECT s.lane FROM lane_state s WHERE $1::text IS NULL AND s.next_due IS NOT NULL \
     ORDER BY s.lane FOR NO KEY UPDATE",
    "SELECT s.lane FROM lane l JOIN lane_state s ON s.lane = l.id WHERE l.origin = $1 AND s.next_due IS NOT NULL \
     ORDER BY s.lane FOR NO KEY UPDATE OF s",
];

pub(super) async fn hurry(ledger: &Postgres, origin: Option<&Origin>) -> Result<Hurried> {
    let mut transaction = ledger.begin(Durability::Durable).await?;
    let (of, name) = (usize::from(origin.is_some()), origin.map(Origin::as_str));
    let [peers_of, lanes_of] = [PEERS, LANES].map(|sql| sql.get(of).copied().unwrap_or_default());
    let rows = sqlx::query(peers_of)
        .bind(name)
        .fetch_all(&mut *transaction)
        .await
        .map_err(driver("lock peers"))?;
    let lanes: Vec<i64> = sqlx::query_scalar(lanes_of)
        .bind(name)
        .fetch_all(&mut *transaction)
        .await
        .map_err(driver("lock lanes"))?;
    let (hurried, now) = count(&mut transaction, &lanes, ledger.set()).await?;
    let held = rows.iter().map(row::peer);
    let lifted = held.map(|held| held.map(|(origin, peer)| (origin, peer.hurried(now))));
    peers::put(&mut transaction, &lifted.collect::<Result<_>>()?).await?;
    lift(&mut transaction, &lanes, now).await?;
    transaction.commit().await.map_err(driver("hurry"))?;
    Ok(hurried)
}

async fn count(connection: &mut Connection, lanes: &[i64], set: Option<i64>) -> Result<(Hurried, Timestamp)> {
    let row = sqlx::query(concat!(
        "SELECT count(*) AS deliveries, count(DISTINCT l.origin) AS origins, ",
        clock!("$2"),
        " AS now FROM unnest($1::bigint[]) AS k (lane) JOIN lane l ON l.id = k.lane \
         JOIN delivery d ON d.lane = l.id AND d.state = 'pending'"
    ))
    .bind(lanes)
    .bind(set)
    .fetch_one(connection)
    .await
    .map_err(driver("count what is hurried"))?;
    let hurried = Hurried {
        deliveries: unsigned("delivery", "count", "pending", get(&row, "deliveries")?)?,
        origins: unsigned("lane", "count", "origins", get(&row, "origins")?)?,
    };
    Ok((hurried, time("delivery", "now", "", get(&row, "now")?)?))
}

async fn lift(connection: &mut Connection, lanes: &[i64], now: Timestamp) -> Result<()> {
    for sql in [
        "UPDATE delivery SET next_at = $2 WHERE lane = ANY($1) AND state = 'pending' AND next_at > $2",
        "UPDATE lane_state SET next_due = least(next_due, $2), sweep_at = 0 WHERE lane = ANY($1) \
         AND (next_due > $2 OR sweep_at > $2)",
    ] {
        sqlx::query(sql)
            .bind(lanes)
            .bind(micros(now))
            .execute(&mut *connection)
            .await
            .map_err(driver("hurry"))?;
    }
    Ok(())
}
