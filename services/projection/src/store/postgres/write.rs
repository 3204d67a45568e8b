//! Writes under a lease.

use std::collections::HashSet;

use fedsx_runtime::database::{driver, integer};
use sqlx::PgConnection;

use super::{numbers, views};
use crate::{
    shard::{Digest, ShardId},
    store::{Advance, Change, Result, decode},
};

pub(super) async fn declare(connection: &mut PgConnection, shards: &[ShardId]) -> Result<()> {
    // In order, so that replicas that start together wait for each other and not in a circle.
    sqlx::query(
        "INSERT INTO shard (view, shard, owner, lease_until, epoch, position, count, digest)
         SELECT DISTINCT view, shard, '', 0, 0, 0, 0, $3::bytea FROM unnest($1::text[], $2::bigint[]) AS new (view, shard)
         ORDER BY view, shard
         ON CONFLICT (view, shard) DO NOTHING",
    )
    .bind(views(shards))
    .bind(numbers(shards))
    .bind(Digest::default().0)
    .execute(connection)
    .await
    .map_err(driver("declare shards"))?;
    Ok(())
}

/// Locks the shards in order and keeps those whose epoch and position are still the step's; a lock that had to be waited
/// for shows what its holder wrote. Rows are written for these shards alone. What a concurrent commit put into a shard is
/// invisible to the deletion here, but then that commit moved the shard, and this step is none of its steps any more.
pub(super) const COMMIT: &str = "
    WITH step AS (
        SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                             $7::bytea[], $8::text[])
                   AS step (view, shard, epoch, origin, position, count, digest, halted)
    ), mine AS (
        SELECT step.* FROM shard JOIN step ON shard.view = step.view AND shard.shard = step.shard
        WHERE shard.epoch = step.epoch AND shard.position = step.origin
        ORDER BY shard.view, shard.shard FOR UPDATE OF shard
    ), moved AS (
        UPDATE shard
        SET position = mine.position, count = mine.count, digest = mine.digest, halted = mine.halted
        FROM mine WHERE shard.view = mine.view AND shard.shard = mine.shard
        RETURNING shard.view, shard.shard
    ), change AS (
        SELECT change.* FROM unnest($9::text[], $10::bigint[], $11::text[], $12::text[], $13::bigint[], $14::bytea[])
                               AS change (view, shard, key, peer, position, value)
        JOIN moved ON moved.view = change.view AND moved.shard = change.shard
    ), put AS (
        INSERT INTO view_row (view, key, peer, position, value)
        SELECT view, key, peer, position, value FROM change WHERE value IS NOT NULL
        ON CONFLICT (view, key) DO UPDATE
        SET peer = excluded.peer, position = excluded.position, value = excluded.value
    ), deleted AS (
        DELETE FROM view_row USING change
        WHERE view_row.view = change.view AND view_row.key = change.key AND change.value IS NULL
    )
    SELECT view, shard FROM moved";

pub(super) async fn commit(connection: &mut PgConnection, advances: &[Advance]) -> Result<Vec<ShardId>> {
    let steps = || advances.iter().map(|advance| &advance.shard);
    let reasons: Vec<Option<String>> = advances.iter().map(reason).collect();
    let changes: Vec<(&ShardId, &Change)> = advances
        .iter()
        .flat_map(|advance| advance.changes.iter().map(|change| (&advance.shard, change)))
        .collect();
    let changed = || changes.iter().map(|(shard, _)| *shard);
    let peer = |change: &Change| change.peer.as_ref().map(|peer| peer.as_str().to_owned());
    let rows = sqlx::query(COMMIT)
        .bind(views(steps()))
        .bind(numbers(steps()))
        .bind(integers(advances, |advance| advance.epoch))
        .bind(integers(advances, |advance| advance.from))
        .bind(integers(advances, |advance| advance.position))
        .bind(integers(advances, |advance| advance.count))
        .bind(column(advances, |advance| advance.digest.0.to_vec()))
        .bind(reasons)
        .bind(views(changed()))
        .bind(numbers(changed()))
        .bind(column(&changes, |(_, change)| change.key.as_str()))
        .bind(column(&changes, |(_, change)| peer(change)))
        .bind(integers(&changes, |(_, change)| change.position))
        .bind(column(&changes, |(_, change)| change.value.as_deref()))
        .fetch_all(connection)
        .await
        .map_err(driver("commit a batch"))?;
    let moved = rows
        .iter()
        .map(decode::shard_id)
        .collect::<Result<HashSet<_>>>()?;
    Ok(steps().filter(|shard| !moved.contains(shard)).cloned().collect())
}

/// Rows that a view does not have yet.
pub(super) async fn put(connection: &mut PgConnection, view: &str, rows: &[Change]) -> Result<()> {
    let peer = |change: &Change| change.peer.as_ref().map(|peer| peer.as_str().to_owned());
    sqlx::query(
        "INSERT INTO view_row (view, key, peer, position, value)
         SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bytea[])",
    )
    .bind(view)
    .bind(column(rows, |change| change.key.as_str()))
    .bind(column(rows, peer))
    .bind(integers(rows, |change| change.position))
    .bind(column(rows, |change| change.value.as_deref().unwrap_or_default()))
    .execute(connection)
    .await
    .map_err(driver("write rows"))?;
    Ok(())
}

/// PostgreSQL takes no NUL in a text, and the reason may quote a stranger.
fn reason(advance: &Advance) -> Option<String> {
    Some(advance.halted.as_ref()?.replace('\0', "\u{fffd}"))
}

pub(super) fn column<'a, T, C>(rows: &'a [T], value: impl Fn(&'a T) -> C) -> Vec<C> {
    rows.iter().map(value).collect()
}

pub(super) fn integers<T>(rows: &[T], value: impl Fn(&T) -> u64) -> Vec<i64> {
    rows.iter().map(|row| integer(value(row))).collect()
}
