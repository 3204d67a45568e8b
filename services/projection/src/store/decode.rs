//! From a driver's rows to values; what cannot be one is corrupt, and is named.

use fedsx_runtime::database::driver;
use jiff::Timestamp;
use sqlx::{ColumnIndex, Decode, Type};

use super::{Reach, Result, Row, Shard, StoreError};
use crate::{
    roster::settle::{Kept, Standing, State},
    shard::{Digest, ShardId},
};

pub(super) mod flows;

/// The columns of a backend's row.
pub(super) trait Columns {
    fn integer(&self, column: &'static str) -> Result<i64>;
    fn optional_integer(&self, column: &'static str) -> Result<Option<i64>>;
    fn boolean(&self, column: &'static str) -> Result<bool>;
    fn text(&self, column: &'static str) -> Result<String>;
    fn optional_text(&self, column: &'static str) -> Result<Option<String>>;
    fn bytes(&self, column: &'static str) -> Result<Vec<u8>>;
}

impl<R: sqlx::Row> Columns for R
where
    for<'r> i64: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> bool: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> String: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
    &'static str: ColumnIndex<R>,
{
    fn integer(&self, column: &'static str) -> Result<i64> {
        self.try_get(column).map_err(driver("read a row"))
    }

    fn optional_integer(&self, column: &'static str) -> Result<Option<i64>> {
        self.try_get(column).map_err(driver("read a row"))
    }

    fn boolean(&self, column: &'static str) -> Result<bool> {
        self.try_get(column).map_err(driver("read a row"))
    }

    fn text(&self, column: &'static str) -> Result<String> {
        self.try_get(column).map_err(driver("read a row"))
    }

    fn optional_text(&self, column: &'static str) -> Result<Option<String>> {
        self.try_get(column).map_err(driver("read a row"))
    }

    fn bytes(&self, column: &'static str) -> Result<Vec<u8>> {
        self.try_get(column).map_err(driver("read a row"))
    }
}

/// A row of `view_row`.
pub(super) fn view_row(row: &impl Columns) -> Result<Row> {
    let key = row.text("key")?;
    Ok(Row {
        value: row.bytes("value")?,
        position: unsigned(row, "view_row", "position", &key)?,
        key,
    })
}

/// A row of `shard`.
pub(super) fn shard(row: &impl Columns) -> Result<Shard> {
    let id = shard_id(row)?;
    let key = id.to_string();
    let digest = row.bytes("digest")?.try_into();
    Ok(Shard {
        id,
        owner: row.text("owner")?,
        epoch: unsigned(row, "shard", "epoch", &key)?,
        position: unsigned(row, "shard", "position", &key)?,
        count: unsigned(row, "shard", "count", &key)?,
        digest: Digest(digest.map_err(|_| corrupt("shard", "digest", &key, "has not 32 bytes"))?),
        halted: row.optional_text("halted")?,
    })
}

pub(super) fn shard_id(row: &impl Columns) -> Result<ShardId> {
    let (view, number) = (row.text("view")?, row.integer("shard")?);
    let key = format!("{view}/{number}");
    Ok(ShardId {
        shard: u32::try_from(number).map_err(|_| corrupt("shard", "shard", &key, "is no u32"))?,
        view,
    })
}

/// How far a row of `shard` is.
pub(super) fn reach(row: &impl Columns, key: &str) -> Result<Reach> {
    Ok(Reach {
        position: unsigned(row, "shard", "reached", key)?,
        halted: row.optional_text("halted")?,
    })
}

/// A row of `shard`, and until when it is its owner's.
pub(super) fn seat(row: &impl Columns) -> Result<(Shard, Timestamp)> {
    let shard = shard(row)?;
    let until = Timestamp::from_microsecond(row.integer("lease_until")?)
        .map_err(|_| corrupt("shard", "lease_until", &shard.id.to_string(), "is no time"))?;
    Ok((shard, until))
}

const STATES: [(&str, State); 3] = [
    ("building", State::Building),
    ("live", State::Live),
    ("retired", State::Retired),
];

/// The word that a state is kept as.
pub(super) fn word(state: State) -> &'static str {
    STATES
        .iter()
        .find(|(_, known)| *known == state)
        .map_or("", |(word, _)| word)
}

/// A row of `projection`, and how far its shards are, where it has any.
pub(super) fn kept(row: &impl Columns) -> Result<(Kept, Option<Standing>)> {
    let id = row.text("id")?;
    let word = row.text("state")?;
    let state = STATES.iter().find(|(known, _)| *known == word);
    let state = state.ok_or_else(|| corrupt("projection", "state", &id, "is none of ours"))?;
    let standing = match row.integer("shards")? {
        0 => None,
        _ => Some(Standing {
            lowest: unsigned(row, "shard", "lowest", &id)?,
            halted: row.integer("halted")? > 0,
        }),
    };
    let kept = Kept {
        name: row.text("name")?,
        record: row.bytes("record")?,
        since: unsigned(row, "projection", "since", &id)?,
        state: state.1,
        cohort: unsigned(row, "projection", "cohort", &id)?,
        id,
    };
    Ok((kept, standing))
}

pub(super) fn unsigned(
    row: &impl Columns,
    table: &'static str,
    column: &'static str,
    key: &str,
) -> Result<u64> {
    u64::try_from(row.integer(column)?).map_err(|_| corrupt(table, column, key, "is negative"))
}

fn corrupt(table: &'static str, column: &'static str, key: &str, problem: &str) -> StoreError {
    StoreError::Corrupt {
        table,
        column,
        key: key.to_owned(),
        problem: problem.to_owned(),
    }
}
