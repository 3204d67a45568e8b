//! What is read of flows.

use std::collections::HashMap;

use fedsx_runtime::database::driver;
use sqlx::{QueryBuilder, Sqlite, SqliteExecutor, SqlitePool};

use super::write::listed;
use crate::store::{
    Result,
    decode::{self, Columns as _},
    flows::{
        AwaitedKey, FlowQuery, FlowRow, KeptBehaviour,
        listing::listing,
        written::{digest, waits_for},
    },
    sqlite::CHUNK,
};

pub(super) async fn behaviours(pool: &SqlitePool) -> Result<Vec<KeptBehaviour>> {
    let rows = sqlx::query("SELECT * FROM behaviour ORDER BY position")
        .fetch_all(pool)
        .await
        .map_err(driver("read behaviours"))?;
    rows.iter().map(decode::flows::behaviour).collect()
}

pub(super) async fn flows(pool: &SqlitePool, ids: &[&str]) -> Result<Vec<FlowRow>> {
    let mut found = Vec::new();
    for chunk in ids.chunks(CHUNK) {
        found.extend(with_ids(pool, chunk).await?);
    }
    Ok(found)
}

/// At most [`CHUNK`].
pub(super) async fn with_ids(executor: impl SqliteExecutor<'_>, ids: &[&str]) -> Result<Vec<FlowRow>> {
    let mut query = QueryBuilder::new("SELECT * FROM flow WHERE ");
    listed(&mut query, "id", ids.iter().copied());
    let rows = query.build().persistent(false).fetch_all(executor).await;
    let rows = rows.map_err(driver("read flows"))?;
    rows.iter().map(decode::flows::flow).collect()
}

pub(super) async fn versions(pool: &SqlitePool, ids: &[&str]) -> Result<HashMap<String, u64>> {
    let mut versions = HashMap::with_capacity(ids.len());
    for chunk in ids.chunks(CHUNK) {
        let mut query = QueryBuilder::new("SELECT id, version FROM flow WHERE ");
        listed(&mut query, "id", chunk.iter().copied());
        let rows = query.build().persistent(false).fetch_all(pool).await;
        for row in rows.map_err(driver("read versions of flows"))? {
            versions.extend([decode::flows::version(&row)?]);
        }
    }
    Ok(versions)
}

pub(super) async fn waiting(pool: &SqlitePool, keys: &[AwaitedKey]) -> Result<Vec<(AwaitedKey, FlowRow)>> {
    let mut waiting = Vec::new();
    for chunk in keys.chunks(CHUNK) {
        let rows = waiting_query(chunk)
            .build()
            .persistent(false)
            .fetch_all(pool)
            .await;
        for row in &rows.map_err(driver("find who waits"))? {
            let key = usize::try_from(row.integer("place")?).ok();
            let key = key.and_then(|place| chunk.get(place));
            let flow = decode::flows::flow(row)?;
            waiting.extend(
                key.filter(|key| waits_for(&flow, key))
                    .map(|key| (key.clone(), flow)),
            );
        }
    }
    Ok(waiting)
}

/// In SQLite, the order of a `CROSS JOIN` is the one in which it is done.
pub(super) fn waiting_query(keys: &[AwaitedKey]) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("WITH wanted (place, behaviour, step, key_hash) AS (");
    query.push_values((0_i64..).zip(keys), |mut row, (place, key)| {
        row.push_bind(place)
            .push_bind(key.step.behaviour.as_str())
            .push_bind(key.step.step.as_str())
            .push_bind(digest(&key.key));
    });
    query.push(
        ") SELECT wanted.place AS place, flow.*
           FROM wanted CROSS JOIN flow_wait CROSS JOIN flow
           WHERE flow_wait.behaviour = wanted.behaviour AND flow_wait.step = wanted.step
             AND flow_wait.key_hash = wanted.key_hash AND flow.id = flow_wait.flow
           ORDER BY wanted.place, flow.id",
    );
    query
}

pub(super) async fn list(pool: &SqlitePool, query: &FlowQuery) -> Result<Vec<FlowRow>> {
    let mut builder: QueryBuilder<Sqlite> = listing(query);
    let rows = builder.build().persistent(false).fetch_all(pool).await;
    let rows = rows.map_err(driver("list flows"))?;
    rows.iter().map(decode::flows::flow).collect()
}
