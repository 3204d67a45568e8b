//! Dead letters, sent again or dropped.

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::{
    Sqlite,
    row::{get, json},
};
use crate::ledger::{
    DeadLetters, DeliveryKey, Replayed, Result, driver, integer,
    value::{micros, unsigned},
};

/// The named deliveries that are dead letters, with their lanes.
macro_rules! letters {
    () => {
        "FROM json_each(?1) k CROSS JOIN delivery d ON d.lane = k.value ->> 0 AND d.position = k.value ->> 1 \
         AND d.state IN ('refused', 'dead') CROSS JOIN lane l ON l.id = d.lane "
    };
}
/// Whether a letter's peer is blocked now.
macro_rules! blocked {
    () => {
        "EXISTS (SELECT 1 FROM block b WHERE b.origin = l.origin AND b.to_position IS NULL)"
    };
}

#[async_trait]
impl DeadLetters for Sqlite {
    async fn replay(&self, deliveries: &[DeliveryKey]) -> Result<Replayed> {
        let mut transaction = self.begin().await?;
        let keys = keys(deliveries)?;
        let replayed = replay(&mut transaction, &keys, micros(self.now())).await?;
        transaction.commit().await.map_err(driver("send again"))?;
        Ok(replayed)
    }

    async fn forget(&self, deliveries: &[DeliveryKey]) -> Result<u64> {
        let forgotten = sqlx::query(
            "DELETE FROM delivery WHERE (lane, position) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?1)) \
             AND state IN ('refused', 'dead') AND told IS NOT 0",
        )
        .bind(keys(deliveries)?)
        .execute(&self.pools.writer)
        .await
        .map_err(driver("drop dead letters"))?;
        Ok(forgotten.rows_affected())
    }
}

fn keys(deliveries: &[DeliveryKey]) -> Result<String> {
    let keys: Vec<_> = deliveries
        .iter()
        .map(|key| (key.lane.0, integer(key.position)))
        .collect();
    json(&keys)
}

async fn replay(connection: &mut SqliteConnection, keys: &str, now: i64) -> Result<Replayed> {
    let counts = sqlx::query(concat!(
        "SELECT coalesce(sum(blocked), 0) AS blocked, count(*) AS letters FROM (SELECT ",
        blocked!(),
        " AS blocked ",
        letters!(),
        ")"
    ))
    .bind(keys)
    .fetch_one(&mut *connection)
    .await
    .map_err(driver("count dead letters"))?;
    let blocked: u64 = unsigned("block", "count", "", get(&counts, "blocked")?)?;
    let letters: u64 = unsigned("delivery", "count", "", get(&counts, "letters")?)?;
    for sql in [LANES, DUE, MOVE] {
        sqlx::query(sql)
            .bind(keys)
            .bind(now)
            .execute(&mut *connection)
            .await
            .map_err(driver("send again"))?;
    }
    Ok(Replayed {
        replayed: letters - blocked,
        blocked,
    })
}

/// The replay lanes that are missing.
const LANES: &str = concat!(
    "INSERT INTO lane (actor, kind, address, origin, replay) \
     SELECT DISTINCT l.actor, l.kind, l.address, l.origin, 1 ",
    letters!(),
    "WHERE ?2 IS NOT NULL AND NOT ",
    blocked!(),
    " ON CONFLICT DO NOTHING"
);

/// They are due.
const DUE: &str = concat!(
    "UPDATE lane SET next_due = min(coalesce(next_due, ?2), ?2), sweep_at = 0 \
     WHERE replay AND (actor, address) IN (SELECT l.actor, l.address ",
    letters!(),
    "WHERE NOT ",
    blocked!(),
    ")"
);

/// And take the letters over.
const MOVE: &str = concat!(
    "UPDATE delivery SET lane = m.replay, state = 'pending', attempts = 0, next_at = ?2, settled_at = NULL, \
     told = CASE WHEN told IS NOT NULL THEN 0 END \
     FROM (SELECT d.lane, d.position, r.id AS replay ",
    letters!(),
    "CROSS JOIN lane r ON r.actor = l.actor AND r.address = l.address AND r.replay WHERE NOT ",
    blocked!(),
    ") m WHERE delivery.lane = m.lane AND delivery.position = m.position"
);
