//! Writing and ending the ledger's rows.

use fedsx_kernel::{delivery::row::DeliveryState, origin::Origin};
use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{
    candidates::{candidate_columns, queue},
    row::{json, next_due},
};
use crate::{
    broker::Due,
    ledger::{NewDelivery, Result, driver, integer, value::micros},
};

/// Rows of one statement: some 500 bytes of JSON each.
const CHUNK: usize = 5_000;

/// The rows of a chunk, spread.
macro_rules! spread {
    () => {
        "WITH new AS MATERIALIZED (SELECT value ->> 0 AS actor, value ->> 1 AS kind, value ->> 2 AS address, \
         value ->> 3 AS origin, value ->> 4 AS position, value ->> 5 AS cid, value ->> 6 AS trace, value ->> 7 AS told \
         FROM json_each(?1)) "
    };
}

pub(super) async fn insert(
    connection: &mut SqliteConnection,
    rows: &[NewDelivery],
    now: Timestamp,
) -> Result<Vec<Due>> {
    let mut due = Vec::new();
    for chunk in rows.chunks(CHUNK) {
        due.extend(insert_chunk(connection, chunk, now).await?);
    }
    Ok(due)
}

async fn insert_chunk(
    connection: &mut SqliteConnection,
    rows: &[NewDelivery],
    now: Timestamp,
) -> Result<Vec<Due>> {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                &row.actor,
                row.kind.as_str(),
                &row.address,
                row.origin.as_str(),
                integer(row.position),
                &row.cid,
                &row.trace,
                row.awaited.then_some(0),
            )
        })
        .collect();
    let rows = json(&rows)?;
    sqlx::query(concat!(
        spread!(),
        "INSERT INTO origin (origin) SELECT DISTINCT origin FROM new WHERE true ON CONFLICT DO NOTHING"
    ))
    .bind(&rows)
    .execute(&mut *connection)
    .await
    .map_err(driver("write deliveries"))?;
    sqlx::query(concat!(
        spread!(),
        "INSERT INTO lane (actor, kind, address, origin) SELECT DISTINCT actor, kind, address, origin \
         FROM new WHERE true ON CONFLICT DO NOTHING"
    ))
    .bind(&rows)
    .execute(&mut *connection)
    .await
    .map_err(driver("write deliveries"))?;
    sqlx::query(concat!(
        spread!(),
        "INSERT INTO delivery (lane, position, cid, state, next_at, trace, told) \
         SELECT l.id, n.position, n.cid, 'pending', ?2, n.trace, n.told \
         FROM new n CROSS JOIN lane l ON l.actor = n.actor AND l.address = n.address AND NOT l.replay \
         WHERE true ON CONFLICT DO NOTHING"
    ))
    .bind(&rows)
    .bind(micros(now))
    .execute(&mut *connection)
    .await
    .map_err(driver("write deliveries"))?;
    sqlx::query(concat!(
        spread!(),
        "UPDATE lane SET next_due = ?2 FROM new n WHERE lane.actor = n.actor AND lane.address = n.address \
         AND NOT lane.replay AND lane.next_due IS NULL AND EXISTS (SELECT 1 FROM delivery d WHERE d.lane = lane.id \
         AND d.state = 'pending')"
    ))
    .bind(&rows)
    .bind(micros(now))
    .execute(&mut *connection)
    .await.map_err(driver("write deliveries"))?;
    let lanes = sqlx::query(concat!(
        spread!(),
        "SELECT DISTINCT ",
        candidate_columns!(),
        " FROM new n CROSS JOIN lane l ON l.actor = n.actor AND l.address = n.address AND NOT l.replay \
         WHERE l.sweep_at <= ?2"
    ))
    .bind(&rows)
    .bind(micros(now))
    .fetch_all(&mut *connection)
    .await
    .map_err(driver("write deliveries"))?;
    queue(connection, &lanes, now).await
}

pub(super) async fn end_pending(
    connection: &mut SqliteConnection,
    origin: &Origin,
    through: u64,
    state: DeliveryState,
    cause: &str,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "UPDATE delivery SET state = ?3, cause = ?4, next_at = NULL, settled_at = ?5 \
         WHERE lane IN (SELECT id FROM lane WHERE origin = ?1) AND position <= ?2 AND state = 'pending'",
    )
    .bind(origin.as_str())
    .bind(integer(through))
    .bind(state.as_str())
    .bind(cause)
    .bind(micros(now))
    .execute(&mut *connection)
    .await
    .map_err(driver("write deliveries"))?;
    sqlx::query(concat!(
        "UPDATE lane SET sweep_at = 0, next_due = ",
        next_due!(),
        " WHERE origin = ?1 AND next_due IS NOT NULL"
    ))
    .bind(origin.as_str())
    .execute(connection)
    .await
    .map_err(driver("write deliveries"))?;
    Ok(())
}
