//! Leases.

use fedsx_runtime::{
    clock::Clock,
    database::{driver, integer},
};
use jiff::{SignedDuration, Timestamp};
use sqlx::PgConnection;

use super::{numbers, views};
use crate::{
    shard::lease::Lease,
    store::{
        Group, Result, Shard,
        decode::{self, Columns as _},
        seats::seated,
    },
};

/// A turn. The shards' locks come first: what follows sees what the turn before it wrote, and the time at which it is
/// really this worker's turn.
pub(super) async fn hold(
    connection: &mut PgConnection,
    group: &Group,
    owner: &str,
    clock: Option<&dyn Clock>,
    term: SignedDuration,
) -> Result<Vec<Lease>> {
    let shards = lock(connection, group).await?;
    let (now, workers) = live(connection, &group.name, owner, clock, term).await?;
    let seated = seated(shards, owner, workers, now);
    let until = now.saturating_add(term).unwrap_or(Timestamp::MAX);
    write(connection, &seated, until).await?;
    let mine = seated.into_iter().filter(|shard| shard.owner == owner);
    Ok(mine.map(Lease::from).collect())
}

/// The shards of a group, locked.
async fn lock(connection: &mut PgConnection, group: &Group) -> Result<Vec<(Shard, Timestamp)>> {
    let rows = sqlx::query(
        "SELECT shard.* FROM shard JOIN unnest($1::text[], $2::bigint[]) AS wanted (view, shard)
           ON shard.view = wanted.view AND shard.shard = wanted.shard
         ORDER BY shard.view, shard.shard FOR UPDATE OF shard",
    )
    .bind(views(&group.shards))
    .bind(numbers(&group.shards))
    .fetch_all(connection)
    .await
    .map_err(driver("lock leases"))?;
    rows.iter().map(decode::seat).collect()
}

/// Tells that this worker is alive, and counts those that are. Under the locks of the group's shards.
async fn live(
    connection: &mut PgConnection,
    group: &str,
    owner: &str,
    clock: Option<&dyn Clock>,
    term: SignedDuration,
) -> Result<(Timestamp, usize)> {
    let row = sqlx::query(
        "WITH clock AS (
           SELECT coalesce($3, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) AS now
         ), dead AS (
           DELETE FROM member USING clock
           WHERE member.crew = $1 AND member.owner <> $2 AND member.alive_until <= clock.now
         ), alive AS (
           INSERT INTO member (crew, owner, alive_until) SELECT $1, $2, clock.now + $4 FROM clock
           ON CONFLICT (crew, owner) DO UPDATE SET alive_until = excluded.alive_until
         )
         SELECT clock.now, (SELECT count(*) FROM member
                            WHERE crew = $1 AND owner <> $2 AND alive_until > clock.now) AS others
         FROM clock",
    )
    .bind(group)
    .bind(owner)
    .bind(clock.map(|clock| clock.now().as_microsecond()))
    .bind(i64::try_from(term.as_micros()).unwrap_or(i64::MAX))
    .fetch_one(connection)
    .await
    .map_err(driver("tell that a worker is alive"))?;
    let now = Timestamp::from_microsecond(row.integer("now")?).map_err(driver("read the clock"))?;
    let others = decode::unsigned(&row, "member", "others", group)?;
    Ok((now, usize::try_from(others).unwrap_or(usize::MAX - 1) + 1))
}

async fn write(connection: &mut PgConnection, shards: &[Shard], until: Timestamp) -> Result<()> {
    let owners: Vec<&str> = shards.iter().map(|shard| shard.owner.as_str()).collect();
    let epochs: Vec<i64> = shards.iter().map(|shard| integer(shard.epoch)).collect();
    sqlx::query(
        "UPDATE shard SET owner = seat.owner, epoch = seat.epoch, lease_until = $5
         FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[]) AS seat (view, shard, owner, epoch)
         WHERE shard.view = seat.view AND shard.shard = seat.shard",
    )
    .bind(views(shards.iter().map(|shard| &shard.id)))
    .bind(numbers(shards.iter().map(|shard| &shard.id)))
    .bind(owners)
    .bind(epochs)
    .bind(until.as_microsecond())
    .execute(connection)
    .await
    .map_err(driver("write leases"))?;
    Ok(())
}

pub(super) async fn resign(connection: &mut PgConnection, group: &Group, owner: &str) -> Result<()> {
    let shards = lock(connection, group).await?;
    sqlx::query("DELETE FROM member WHERE crew = $1 AND owner = $2")
        .bind(group.name.as_str())
        .bind(owner)
        .execute(&mut *connection)
        .await
        .map_err(driver("leave the group"))?;
    let mine = shards.into_iter().map(|(shard, _)| shard);
    let mine = mine.filter(|shard| shard.owner == owner);
    let given = mine.map(|shard| Shard {
        owner: String::new(),
        epoch: shard.epoch + 1,
        ..shard
    });
    let given: Vec<Shard> = given.collect();
    write(connection, &given, Timestamp::UNIX_EPOCH).await
}
