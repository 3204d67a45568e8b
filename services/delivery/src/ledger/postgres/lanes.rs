//! Lanes: found or made, locked, and set down as parked.

use std::collections::HashMap;

use fedsx_kernel::origin::Origin;
use jiff::Timestamp;
use sqlx::postgres::PgRow;

use super::{
    connection::Connection,
    row::{column, get, names, text},
};
use crate::ledger::{NewDelivery, Result, driver, value::maybe_time};

/// The lanes of rows to be written, one a row; those that there are not yet are made. Under the cursor's lock, so that
/// nobody else makes them.
pub(super) async fn of(connection: &mut Connection, rows: &[NewDelivery]) -> Result<Vec<i64>> {
    let mut ways = Vec::new();
    let mut numbers = HashMap::new();
    let mut wanted = Vec::with_capacity(rows.len());
    for row in rows {
        let number = *numbers
            .entry((row.address.as_str(), row.actor.as_str()))
            .or_insert_with(|| {
                ways.push(row);
                ways.len() - 1
            });
        wanted.push(number);
    }
    let mut found = find(connection, &ways).await?;
    let missing: Vec<_> = (0..ways.len())
        .filter(|number| !found.contains_key(number))
        .collect();
    if !missing.is_empty() {
        let new: Vec<_> = missing
            .iter()
            .filter_map(|number| ways.get(*number).copied())
            .collect();
        let made = make(connection, &new).await?;
        found.extend(missing.into_iter().zip(made));
    }
    let lanes = wanted.iter().filter_map(|number| found.get(number).copied());
    Ok(lanes.collect())
}

/// Ids by number.
async fn find(connection: &mut Connection, ways: &[&NewDelivery]) -> Result<HashMap<usize, i64>> {
    let rows = sqlx::query(FIND)
        .bind(column(ways, |way| text(&way.address)))
        .bind(column(ways, |way| text(&way.actor)))
        .fetch_all(connection)
        .await
        .map_err(driver("find lanes"))?;
    rows.iter()
        .map(|row| {
            let number: i64 = get(row, "number")?;
            Ok((usize::try_from(number - 1).unwrap_or(usize::MAX), get(row, "id")?))
        })
        .collect()
}

pub(super) const FIND: &str = "SELECT k.number, l.id \
     FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS k (address, actor, number) \
     JOIN lane l ON l.address = k.address AND l.actor = k.actor AND l.replay = false";

/// Makes lanes, answering their ids in order, and origins that are new.
async fn make(connection: &mut Connection, ways: &[&NewDelivery]) -> Result<Vec<i64>> {
    let mut origins: Vec<_> = ways.iter().map(|way| way.origin.as_str()).collect();
    origins.sort_unstable();
    origins.dedup();
    sqlx::query("INSERT INTO origin (origin) SELECT * FROM unnest($1::text[]) ON CONFLICT DO NOTHING")
        .bind(origins)
        .execute(&mut *connection)
        .await
        .map_err(driver("make origins"))?;
    let rows = sqlx::query(
        "WITH new AS ( \
             SELECT nextval(pg_get_serial_sequence('lane', 'id')) AS id, k.* \
             FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY \
                  AS k (actor, kind, address, origin, number) \
         ), made AS ( \
             INSERT INTO lane (id, actor, kind, address, origin) OVERRIDING SYSTEM VALUE \
             SELECT id, actor, kind, address, origin FROM new \
         ), state AS (INSERT INTO lane_state (lane) SELECT id FROM new) \
         SELECT id FROM new ORDER BY number",
    )
    .bind(column(ways, |way| text(&way.actor)))
    .bind(column(ways, |way| way.kind.as_str()))
    .bind(column(ways, |way| text(&way.address)))
    .bind(column(ways, |way| way.origin.as_str()))
    .fetch_all(connection)
    .await
    .map_err(driver("make lanes"))?;
    rows.iter().map(|row| get(row, "id")).collect()
}

/// A lane that is locked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Locked {
    pub(super) id: i64,
    pub(super) claim_until: Option<Timestamp>,
    pub(super) next_due: Option<Timestamp>,
    pub(super) sweep_at: i64,
}

/// Locks lanes, in the order of their ids.
pub(super) async fn lock(connection: &mut Connection, lanes: &[i64]) -> Result<Vec<Locked>> {
    let rows = sqlx::query(
        "SELECT s.lane, s.claim_until, s.next_due, s.sweep_at FROM lane_state s WHERE s.lane = ANY($1) \
         ORDER BY s.lane FOR NO KEY UPDATE",
    )
    .bind(lanes)
    .fetch_all(connection)
    .await
    .map_err(driver("lock lanes"))?;
    rows.iter().map(locked).collect()
}

fn locked(row: &PgRow) -> Result<Locked> {
    let id: i64 = get(row, "lane")?;
    Ok(Locked {
        id,
        claim_until: maybe_time("lane_state", "claim_until", id, get(row, "claim_until")?)?,
        next_due: maybe_time("lane_state", "next_due", id, get(row, "next_due")?)?,
        sweep_at: get(row, "sweep_at")?,
    })
}

/// Sets the lanes of these origins down as parked, if they owe something, or as not parked. Under the cursor's lock, and
/// those of the origins.
pub(super) async fn park(connection: &mut Connection, origins: &[(Origin, bool)]) -> Result<()> {
    if origins.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "WITH turned AS ( \
             SELECT s.lane, k.parked FROM unnest($1::text[], $2::boolean[]) AS k (origin, parked) \
             JOIN lane l ON l.origin = k.origin JOIN lane_state s ON s.lane = l.id \
             WHERE s.parked <> k.parked AND (s.next_due IS NOT NULL OR NOT k.parked) \
             ORDER BY s.lane FOR NO KEY UPDATE OF s \
         ) UPDATE lane_state s SET parked = t.parked FROM turned t WHERE s.lane = t.lane",
    )
    .bind(names(origins.iter().map(|(origin, _)| origin)))
    .bind(column(origins, |(_, parked)| *parked))
    .execute(connection)
    .await
    .map_err(driver("set lanes down as parked"))?;
    Ok(())
}
