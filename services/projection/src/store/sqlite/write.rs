//! Writes under a lease.

use std::collections::HashSet;

use fedsx_runtime::database::{driver, integer};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::CHUNK;
use crate::{
    shard::{Digest, ShardId},
    store::{Advance, Change, Result, decode},
};

pub(super) async fn declare(connection: &mut SqliteConnection, shards: &[ShardId]) -> Result<()> {
    for chunk in shards.chunks(CHUNK) {
        let mut query = QueryBuilder::new(
            "INSERT INTO shard (view, shard, owner, lease_until, epoch, position, count, digest) ",
        );
        query.push_values(chunk, |mut row, shard| {
            row.push_bind(shard.view.as_str())
                .push_bind(shard.shard)
                .push("'', 0, 0, 0, 0")
                .push_bind(Digest::default().0.to_vec());
        });
        query.push(" ON CONFLICT (view, shard) DO NOTHING");
        execute(connection, query, "declare shards").await?;
    }
    Ok(())
}

/// Moves the shards first: whatever that does not find under its epoch writes no row.
pub(super) async fn advance(connection: &mut SqliteConnection, advances: &[Advance]) -> Result<Vec<ShardId>> {
    let mut moved = HashSet::new();
    for chunk in advances.chunks(CHUNK) {
        moved.extend(move_shards(connection, chunk).await?);
    }
    let (kept, lost): (Vec<_>, Vec<_>) = advances
        .iter()
        .partition(|advance| moved.contains(&advance.shard));
    let changes: Vec<(&str, &Change)> = kept
        .iter()
        .flat_map(|advance| {
            advance
                .changes
                .iter()
                .map(|change| (advance.shard.view.as_str(), change))
        })
        .collect();
    let (puts, deletes): (Vec<_>, Vec<_>) = changes
        .into_iter()
        .partition(|(_, change)| change.value.is_some());
    for chunk in puts.chunks(CHUNK) {
        put(connection, chunk).await?;
    }
    for chunk in deletes.chunks(CHUNK) {
        delete(connection, chunk).await?;
    }
    Ok(lost.into_iter().map(|advance| advance.shard.clone()).collect())
}

async fn move_shards(connection: &mut SqliteConnection, advances: &[Advance]) -> Result<Vec<ShardId>> {
    let mut query =
        QueryBuilder::new("WITH moved (view, shard, epoch, origin, position, count, digest, halted) AS (");
    query.push_values(advances, |mut row, advance| {
        row.push_bind(advance.shard.view.as_str())
            .push_bind(advance.shard.shard)
            .push_bind(integer(advance.epoch))
            .push_bind(integer(advance.from))
            .push_bind(integer(advance.position))
            .push_bind(integer(advance.count))
            .push_bind(advance.digest.0.to_vec())
            .push_bind(advance.halted.as_deref());
    });
    query.push(
        ") UPDATE shard SET position = moved.position, count = moved.count, digest = moved.digest, halted = moved.halted
           FROM moved
           WHERE shard.view = moved.view AND shard.shard = moved.shard
             AND shard.epoch = moved.epoch AND shard.position = moved.origin
           RETURNING shard.view AS view, shard.shard AS shard",
    );
    let rows = query
        .build()
        .fetch_all(connection)
        .await
        .map_err(driver("move shards"))?;
    rows.iter().map(decode::shard_id).collect()
}

async fn put(connection: &mut SqliteConnection, changes: &[(&str, &Change)]) -> Result<()> {
    let mut query = insertion(changes);
    query.push(
        " ON CONFLICT (view, key) DO UPDATE
          SET peer = excluded.peer, position = excluded.position, value = excluded.value",
    );
    execute(connection, query, "write rows").await
}

/// Writes rows that there are not yet.
pub(super) async fn insert(connection: &mut SqliteConnection, changes: &[(&str, &Change)]) -> Result<()> {
    execute(connection, insertion(changes), "write rows").await
}

fn insertion(changes: &[(&str, &Change)]) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("INSERT INTO view_row (view, key, peer, position, value) ");
    query.push_values(changes, |mut row, (view, change)| {
        row.push_bind(*view)
            .push_bind(change.key.as_str())
            .push_bind(change.peer.as_ref().map(|peer| peer.as_str()))
            .push_bind(integer(change.position))
            .push_bind(change.value.as_deref().unwrap_or_default());
    });
    query
}

async fn delete(connection: &mut SqliteConnection, changes: &[(&str, &Change)]) -> Result<()> {
    let mut query = QueryBuilder::new("DELETE FROM view_row WHERE (view, key) IN (");
    query.push_values(changes, |mut row, (view, change)| {
        row.push_bind(*view).push_bind(change.key.as_str());
    });
    query.push(")");
    execute(connection, query, "delete rows").await
}

pub(super) async fn execute(
    connection: &mut SqliteConnection,
    mut query: QueryBuilder<Sqlite>,
    action: &'static str,
) -> Result<()> {
    // Batches differ in size, so that keeping their statements prepared would only push others out.
    let done = query.build().persistent(false).execute(connection).await;
    done.map_err(driver(action)).map(drop)
}
