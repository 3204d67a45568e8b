//! Which projections are kept.

use fedsx_runtime::database::{driver, integer};
use sqlx::{PgConnection, Row as _};

use super::write;
use crate::{
    roster::settle::{InEffect, Kept, State},
    shard::ShardId,
    store::{
        Result, decode,
        settlement::{STANDINGS, Settlement, Standings},
    },
};

pub(super) async fn standings(connection: &mut PgConnection) -> Result<Standings> {
    let rows = sqlx::query(STANDINGS)
        .fetch_all(connection)
        .await
        .map_err(driver("read projections"))?;
    rows.iter().map(decode::kept).collect()
}

/// In a transaction. One replica settles at a time; readers do not wait for it.
pub(super) async fn settle(connection: &mut PgConnection, in_effect: &[InEffect]) -> Result<Vec<Kept>> {
    sqlx::query("LOCK TABLE projection IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut *connection)
        .await
        .map_err(driver("lock the projections"))?;
    let settlement = Settlement::of(&standings(connection).await?, in_effect);
    for kept in &settlement.changed {
        put(connection, kept).await?;
    }
    let adopted: Vec<ShardId> = settlement
        .adopted
        .iter()
        .flat_map(|id| ShardId::all(id))
        .collect();
    if !adopted.is_empty() {
        write::declare(connection, &adopted).await?;
    }
    let ended: Vec<&str> = settlement
        .handed
        .iter()
        .chain(&settlement.retired)
        .map(String::as_str)
        .collect();
    if ended.is_empty() {
        return Ok(settlement.kept);
    }
    // In the order in which everybody locks them.
    sqlx::query("SELECT FROM shard WHERE view = ANY ($1) ORDER BY view, shard FOR UPDATE")
        .bind(&ended)
        .execute(&mut *connection)
        .await
        .map_err(driver("lock shards"))?;
    sqlx::query("UPDATE shard SET owner = '', lease_until = 0, epoch = epoch + 1 WHERE view = ANY ($1)")
        .bind(&settlement.handed)
        .execute(&mut *connection)
        .await
        .map_err(driver("end leases"))?;
    sqlx::query("DELETE FROM shard WHERE view = ANY ($1)")
        .bind(&settlement.retired)
        .execute(connection)
        .await
        .map_err(driver("retire shards"))?;
    Ok(settlement.kept)
}

async fn put(connection: &mut PgConnection, kept: &Kept) -> Result<()> {
    sqlx::query(
        "INSERT INTO projection (id, name, record, since, state, cohort) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (id) DO UPDATE SET since = excluded.since, state = excluded.state, cohort = excluded.cohort",
    )
    .bind(kept.id.as_str())
    .bind(kept.name.as_str())
    .bind(kept.record.as_slice())
    .bind(integer(kept.since))
    .bind(decode::word(kept.state))
    .bind(integer(kept.cohort))
    .execute(connection)
    .await
    .map_err(driver("write a projection"))?;
    Ok(())
}

/// The rows first: while one is left, the projection is known to be retired, and is not built again.
pub(super) async fn sweep(connection: &mut PgConnection, limit: u32) -> Result<bool> {
    let retired = decode::word(State::Retired);
    let swept = sqlx::query(
        "WITH retired AS (SELECT id FROM projection WHERE state = $1 AND record <> ''::bytea LIMIT 1),
              doomed AS (SELECT view, key FROM view_row WHERE view = (SELECT id FROM retired) LIMIT $2),
              deleted AS (DELETE FROM view_row USING doomed
                          WHERE view_row.view = doomed.view AND view_row.key = doomed.key),
              forgotten AS (DELETE FROM projection
                            WHERE id = (SELECT id FROM retired) AND NOT EXISTS (SELECT FROM doomed))
         SELECT count(*) AS retired FROM retired",
    )
    .bind(retired)
    .bind(i64::from(limit))
    .fetch_one(connection)
    .await
    .map_err(driver("delete retired rows"))?;
    let retired: i64 = swept.try_get("retired").map_err(driver("delete retired rows"))?;
    Ok(retired > 0)
}
