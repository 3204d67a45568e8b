//! Which projections are kept.

use fedsx_runtime::database::{driver, integer};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::{CHUNK, write};
use crate::{
    roster::settle::{InEffect, Kept, State},
    shard::ShardId,
    store::{
        Result,
        decode::{self, Columns as _},
        settlement::{STANDINGS, Settlement, Standings},
    },
};

pub(super) async fn standings(connection: impl sqlx::Executor<'_, Database = Sqlite>) -> Result<Standings> {
    let rows = sqlx::query(STANDINGS)
        .fetch_all(connection)
        .await
        .map_err(driver("read projections"))?;
    rows.iter().map(decode::kept).collect()
}

/// In a transaction that holds the write lock.
pub(super) async fn settle(connection: &mut SqliteConnection, in_effect: &[InEffect]) -> Result<Vec<Kept>> {
    let settlement = Settlement::of(&standings(&mut *connection).await?, in_effect);
    for kept in &settlement.changed {
        put(connection, kept).await?;
    }
    let adopted: Vec<ShardId> = settlement
        .adopted
        .iter()
        .flat_map(|id| ShardId::all(id))
        .collect();
    write::declare(connection, &adopted).await?;
    for id in &settlement.handed {
        let sql = "UPDATE shard SET owner = '', lease_until = 0, epoch = epoch + 1 WHERE view = ?";
        of(connection, sql, id, "end leases").await?;
    }
    for id in &settlement.retired {
        of(
            connection,
            "DELETE FROM shard WHERE view = ?",
            id,
            "retire shards",
        )
        .await?;
    }
    Ok(settlement.kept)
}

async fn put(connection: &mut SqliteConnection, kept: &Kept) -> Result<()> {
    sqlx::query(
        "INSERT INTO projection (id, name, record, since, state, cohort) VALUES (?, ?, ?, ?, ?, ?)
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

async fn of(
    connection: &mut SqliteConnection,
    sql: &'static str,
    id: &str,
    action: &'static str,
) -> Result<()> {
    let done = sqlx::query(sql).bind(id).execute(connection).await;
    done.map_err(driver(action)).map(drop)
}

pub(super) async fn sweep(connection: &mut SqliteConnection, limit: u32) -> Result<bool> {
    let found = sqlx::query("SELECT id FROM projection WHERE state = ? AND record <> x'' LIMIT 1")
        .bind(decode::word(State::Retired))
        .fetch_optional(&mut *connection)
        .await
        .map_err(driver("find what is retired"))?;
    let Some(found) = found else { return Ok(false) };
    let id = found.text("id")?;
    let mut query = QueryBuilder::new("SELECT key FROM view_row WHERE view = ");
    query.push_bind(id.as_str()).push(" LIMIT ").push_bind(limit);
    let rows = query.build().fetch_all(&mut *connection).await;
    let rows = rows.map_err(driver("find retired rows"))?;
    let keys = rows
        .iter()
        .map(|row| row.text("key"))
        .collect::<Result<Vec<_>>>()?;
    for chunk in keys.chunks(CHUNK) {
        let mut query = QueryBuilder::new("DELETE FROM view_row WHERE view = ");
        query.push_bind(id.as_str()).push(" AND key IN (");
        let mut list = query.separated(", ");
        for key in chunk {
            list.push_bind(key.as_str());
        }
        query.push(")");
        let done = query.build().persistent(false).execute(&mut *connection).await;
        done.map_err(driver("delete retired rows"))?;
    }
    if keys.is_empty() {
        of(
            connection,
            "DELETE FROM projection WHERE id = ?",
            &id,
            "forget a projection",
        )
        .await?;
    }
    Ok(true)
}
