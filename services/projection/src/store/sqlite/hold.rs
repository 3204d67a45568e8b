//! Leases.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use sqlx::{Row as _, SqliteConnection};

use super::{decode, driver, integer};
use crate::{
    shard::{
        ShardId,
        lease::{self, Lease, Seat, Turn},
    },
    store::{Group, Result, Shard},
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
    let seats: Vec<Seat> = shards.iter().map(|(_, seat)| seat.clone()).collect();
    let turns = lease::turns(&seats, owner, workers, now);
    let mut held = Vec::new();
    for ((mut shard, _), turn) in shards.into_iter().zip(turns) {
        match turn {
            Turn::Leave => continue,
            Turn::Renew => {}
            Turn::Take | Turn::Yield => shard.epoch += 1,
        }
        let yields = turn == Turn::Yield;
        seat(
            connection,
            &shard.id,
            if yields { "" } else { owner },
            shard.epoch,
            until,
        )
        .await?;
        if !yields {
            held.push(decode::lease(shard));
        }
    }
    Ok(held)
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

async fn shards(connection: &mut SqliteConnection, group: &Group) -> Result<Vec<(Shard, Seat)>> {
    let wanted: HashSet<&ShardId> = group.shards.iter().collect();
    let rows = sqlx::query("SELECT * FROM shard ORDER BY view, shard")
        .fetch_all(connection)
        .await
        .map_err(driver("read leases"))?;
    let mut shards = Vec::with_capacity(wanted.len());
    for row in &rows {
        let shard = decode::shard(row)?;
        if wanted.contains(&shard.id) {
            let seat = Seat {
                shard: shard.id.clone(),
                owner: shard.owner.clone(),
                until: decode::lease_until(row, &shard.id)?,
            };
            shards.push((shard, seat));
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
    for (shard, held) in shards(connection, group).await? {
        if held.owner == owner {
            seat(connection, &shard.id, "", shard.epoch + 1, Timestamp::UNIX_EPOCH).await?;
        }
    }
    Ok(())
}
