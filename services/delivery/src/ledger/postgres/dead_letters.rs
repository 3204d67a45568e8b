//! Dead letters, sent again or dropped.

use async_trait::async_trait;

use super::{
    Durability, Postgres,
    connection::Connection,
    lease,
    row::{column, get},
};
use crate::ledger::{DeadLetters, DeliveryKey, Replayed, Result, driver, integer, value::unsigned};
use fedsx_runtime::database::postgres::retried;

#[async_trait]
impl DeadLetters for Postgres {
    async fn replay(&self, deliveries: &[DeliveryKey]) -> Result<Replayed> {
        retried(|| self.replay_once(deliveries)).await
    }

    async fn forget(&self, deliveries: &[DeliveryKey]) -> Result<u64> {
        let forget = async || {
            let (lanes, positions) = keys(deliveries);
            let done = sqlx::query(FORGET)
                .bind(lanes)
                .bind(positions)
                .execute(&self.pool)
                .await;
            Ok(done.map_err(driver("drop dead letters"))?.rows_affected())
        };
        retried(forget).await
    }
}

/// The named deliveries that are dead letters, locked in order.
macro_rules! letters {
    () => {
        "SELECT d.lane, d.position FROM unnest($1::bigint[], $2::bigint[]) AS k (lane, position) \
         JOIN delivery d ON d.lane = k.lane AND d.position = k.position AND d.state IN ('refused', 'dead') \
         ORDER BY d.lane, d.position FOR UPDATE OF d"
    };
}

const FORGET: &str = concat!(
    "WITH letters AS (",
    letters!(),
    ") DELETE FROM delivery d USING letters k WHERE d.lane = k.lane AND d.position = k.position \
     AND d.told IS NOT FALSE"
);

fn keys(deliveries: &[DeliveryKey]) -> (Vec<i64>, Vec<i64>) {
    deliveries
        .iter()
        .map(|key| (key.lane.0, integer(key.position)))
        .unzip()
}

/// Letters that move: where they are, and whereto.
struct Moves {
    from: Vec<i64>,
    positions: Vec<i64>,
    to: Vec<i64>,
    blocked: u64,
}

impl Postgres {
    async fn replay_once(&self, deliveries: &[DeliveryKey]) -> Result<Replayed> {
        let mut transaction = self.begin(Durability::Durable).await?;
        let (_, now) = lease::lock(&mut transaction, self.set()).await?;
        let moves = find(&mut transaction, deliveries).await?;
        let replayed = owe(&mut transaction, &moves, now).await?;
        transaction.commit().await.map_err(driver("send again"))?;
        Ok(Replayed {
            replayed,
            blocked: moves.blocked,
        })
    }
}

/// The replay lane of each letter, made where there is none; none where the peer is blocked.
const LANES: &str = "WITH letters AS MATERIALIZED ( \
         SELECT k.lane, k.position, l.actor, l.kind, l.address, l.origin, \
                EXISTS (SELECT 1 FROM block b WHERE b.origin = l.origin AND b.to_position IS NULL) AS blocked \
         FROM unnest($1::bigint[], $2::bigint[]) AS k (lane, position) JOIN lane l ON l.id = k.lane \
     ), made AS ( \
         INSERT INTO lane (actor, kind, address, origin, replay) \
         SELECT DISTINCT actor, kind, address, origin, true FROM letters WHERE NOT blocked \
         ON CONFLICT DO NOTHING RETURNING id, actor, address \
     ), state AS (INSERT INTO lane_state (lane) SELECT id FROM made) \
     SELECT k.lane, k.position, k.blocked, r.id AS replay FROM letters k LEFT JOIN ( \
         SELECT id, actor, address FROM made \
         UNION ALL \
         SELECT r.id, r.actor, r.address FROM (SELECT DISTINCT actor, address FROM letters) w \
         JOIN lane r ON r.address = w.address AND r.actor = w.actor AND r.replay = true \
     ) r ON r.actor = k.actor AND r.address = k.address AND NOT k.blocked";

async fn find(connection: &mut Connection, deliveries: &[DeliveryKey]) -> Result<Moves> {
    let (lanes, positions) = keys(deliveries);
    let rows = sqlx::query(letters!())
        .bind(lanes)
        .bind(positions)
        .fetch_all(&mut *connection)
        .await
        .map_err(driver("lock dead letters"))?;
    let letters = |name| {
        rows.iter()
            .map(move |row| get(row, name))
            .collect::<Result<Vec<i64>>>()
    };
    let rows = sqlx::query(LANES)
        .bind(letters("lane")?)
        .bind(letters("position")?)
        .fetch_all(connection)
        .await
        .map_err(driver("find replay lanes"))?;
    let mut moves = Moves {
        from: Vec::new(),
        positions: Vec::new(),
        to: Vec::new(),
        blocked: 0,
    };
    for row in &rows {
        if get(row, "blocked")? {
            moves.blocked += 1;
        } else if let Some(replay) = get(row, "replay")? {
            moves.from.push(get(row, "lane")?);
            moves.positions.push(get(row, "position")?);
            moves.to.push(replay);
        }
    }
    Ok(moves)
}

/// Moves letters to their replay lanes, which are locked for it and due now. One that is in its replay lane already stays
/// there, and one that would meet another there stays a dead letter.
async fn owe(connection: &mut Connection, moves: &Moves, now: i64) -> Result<u64> {
    sqlx::query("SELECT s.lane FROM lane_state s WHERE s.lane = ANY($1) ORDER BY s.lane FOR NO KEY UPDATE")
        .bind(&moves.to)
        .execute(&mut *connection)
        .await
        .map_err(driver("lock lanes"))?;
    let rows = sqlx::query(
        "UPDATE delivery d SET lane = k.replay, state = 'pending', attempts = 0, next_at = $4, settled_at = NULL, \
         told = CASE WHEN d.told IS NOT NULL THEN false END \
         FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS k (lane, position, replay) \
         WHERE d.lane = k.lane AND d.position = k.position AND (k.lane = k.replay OR NOT EXISTS ( \
             SELECT 1 FROM delivery o WHERE o.lane = k.replay AND o.position = k.position)) \
         RETURNING d.lane",
    )
    .bind(&moves.from)
    .bind(&moves.positions)
    .bind(&moves.to)
    .bind(now)
    .fetch_all(&mut *connection)
    .await
    .map_err(driver("send again"))?;
    let owing = rows
        .iter()
        .map(|row| get(row, "lane"))
        .collect::<Result<Vec<i64>>>()?;
    sqlx::query(
        "UPDATE lane_state s SET next_due = least(s.next_due, $2), sweep_at = 0, parked = o.state = 'parked' \
         FROM lane l, origin o WHERE s.lane = ANY($1) AND l.id = s.lane AND o.origin = l.origin",
    )
    .bind(column(&owing, |lane| *lane))
    .bind(now)
    .execute(connection)
    .await
    .map_err(driver("set lanes down as due"))?;
    unsigned(
        "delivery",
        "count",
        "replayed",
        i64::try_from(owing.len()).unwrap_or(i64::MAX),
    )
}
