//! From the driver's rows to values; what cannot be one is corrupt, and is named.

use jiff::Timestamp;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::driver;
use crate::{
    shard::{Digest, ShardId, lease::Lease},
    store::{Reach, Result, Row, Shard, StoreError},
};

/// A row of `view_row`.
pub(super) fn view_row(row: &SqliteRow) -> Result<Row> {
    let key: String = get(row, "key")?;
    Ok(Row {
        value: get(row, "value")?,
        position: unsigned(row, "view_row", "position", &key)?,
        key,
    })
}

/// A row of `shard`.
pub(super) fn shard(row: &SqliteRow) -> Result<Shard> {
    let view: String = get(row, "view")?;
    let number: i64 = get(row, "shard")?;
    let key = format!("{view}/{number}");
    let digest: Vec<u8> = get(row, "digest")?;
    Ok(Shard {
        id: ShardId {
            shard: u32::try_from(number).map_err(|_| corrupt("shard", "shard", &key, "is no u32"))?,
            view,
        },
        owner: get(row, "owner")?,
        epoch: unsigned(row, "shard", "epoch", &key)?,
        position: unsigned(row, "shard", "position", &key)?,
        count: unsigned(row, "shard", "count", &key)?,
        digest: Digest(
            digest
                .try_into()
                .map_err(|_| corrupt("shard", "digest", &key, "has not 32 bytes"))?,
        ),
        halted: get(row, "halted")?,
    })
}

/// How far a row of `shard` is.
pub(super) fn reach(row: &SqliteRow, key: &str) -> Result<Reach> {
    Ok(Reach {
        position: unsigned(row, "shard", "reached", key)?,
        halted: get(row, "halted")?,
    })
}

pub(super) fn lease_until(row: &SqliteRow, key: &ShardId) -> Result<Timestamp> {
    let until = get(row, "lease_until")?;
    Timestamp::from_microsecond(until)
        .map_err(|_| corrupt("shard", "lease_until", &key.to_string(), "is no time"))
}

pub(super) fn lease(shard: Shard) -> Lease {
    Lease {
        shard: shard.id,
        epoch: shard.epoch,
        position: shard.position,
        count: shard.count,
        digest: shard.digest,
        halted: shard.halted,
    }
}

pub(super) fn unsigned(row: &SqliteRow, table: &'static str, column: &'static str, key: &str) -> Result<u64> {
    let number: i64 = get(row, column)?;
    u64::try_from(number).map_err(|_| corrupt(table, column, key, "is negative"))
}

pub(super) fn get<'r, T>(row: &'r SqliteRow, column: &'static str) -> Result<T>
where
    T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    row.try_get(column).map_err(driver("read a row"))
}

fn corrupt(table: &'static str, column: &'static str, key: &str, problem: &str) -> StoreError {
    StoreError::Corrupt {
        table,
        column,
        key: key.to_owned(),
        problem: problem.to_owned(),
    }
}
