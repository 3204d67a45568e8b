//! Leases.

use std::collections::HashSet;

use fedsx_runtime::database::{driver, integer};
use jiff::{SignedDuration, Timestamp};
use sqlx::{Row as _, SqliteConnection};

use crate::{
    shard::{ShardId, lease::Lease},
    store::{Group, Result, Shard, decode, seats::seated},
};

pub(super) async fn hold(
    connection: &mut SqliteConnection,
    group: &Group,
    owner: &str,
    now: Timestamp,
    term: SignedDuration,
) -> Result<Vec<Lease>> {
    let until = now.saturating_add(term).unwrap_or(Timestamp::MAX);
    let workers = live(connection, &group.name, owner, now, until).await?;
    let shards = shards(connection, group).await?;
    let seated = seated(shards, owner, workers, now);
    for shard in &seated {
        seat(connection, &shard.id, &shard.owner, shard.epoch, until).await?;
    }
    let mine = seated.into_iter().filter(|shard| shard.owner == owner);
    Ok(mine.map(Lease::from).collect())
}

/// Tells that this worker is alive, and counts those that are.
async fn live(
    connection: &mut SqliteConnection,
    group: &str,
    owner: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<usize> {
    sqlx::query("DELETE FROM member WHERE crew = ? AND alive_until <= ?")
        .bind(group)
        .bind(now.as_microsecond())
        .execute(&mut *connection)
        .await
        .map_err(driver("forget workers"))?;
    sqlx::query(
        "INSERT INTO member (crew, owner, alive_until) VALUES (?, ?, ?)
         ON CONFLICT (crew, owner) DO UPDATE SET alive_until = excluded.alive_until",
    )
    .bind(group)
    .bind(owner)
    .bind(until.as_microsecond())
    .execute(&mut *connection)
    .await
    .map_err(driver("tell that a worker is alive"))?;
    let counted = sqlx::query("SELECT count(*) AS workers FROM member WHERE crew = ?")
        .bind(group)
        .fetch_one(connection)
        .await
        .map_err(driver("count workers"))?;
    let workers: i64 = counted.try_get("workers").map_err(driver("count workers"))?;
    Ok(usize::try_from(workers).unwrap_or(1))
}

async fn shards(connection: &mut SqliteConnection, group: &Group) -> Result<Vec<(Shard, Timestamp)>> {
    let wanted: HashSet<&ShardId> = group.shards.iter().collect();
    let rows = sqlx::query("SELECT * FROM shard ORDER BY view, shard")
        .fetch_all(connection)
        .await
        .map_err(driver("read leases"))?;
    let mut shards = Vec::with_capacity(wanted.len());
    for row in &rows {
        let (shard, until) = decode::seat(row)?;
        if wanted.contains(&shard.id) {
            shards.push((shard, until));
        }
    }
    Ok(shards)
}

async fn seat(
    connection: &mut SqliteConnection,
    shard: &ShardId,
    owner: &str,
    epoch: u64,
    until: Timestamp,
) -> Result<()> {
    sqlx::query("UPDATE shard SET owner = ?, epoch = ?, lease_until = ? WHERE view = ? AND shard = ?")
        .bind(owner)
        .bind(integer(epoch))
        .bind(until.as_microsecond())
        .bind(shard.view.as_str())
        .bind(shard.shard)
        .execute(connection)
        .await
        .map_err(driver("write a lease"))?;
    Ok(())
}

pub(super) async fn resign(connection: &mut SqliteConnection, group: &Group, owner: &str) -> Result<()> {
    sqlx::query("DELETE FROM member WHERE crew = ? AND owner = ?")
        .bind(group.name.as_str())
        .bind(owner)
        .execute(&mut *connection)
        .await
        .map_err(driver("leave the group"))?;
    for (shard, _) in shards(connection, group).await? {
        if shard.owner == owner {
            seat(connection, &shard.id, "", shard.epoch + 1, Timestamp::UNIX_EPOCH).await?;
        }
    }
    Ok(())
}
