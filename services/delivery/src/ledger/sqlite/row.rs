//! Between SQLite's values and ours.

use std::{fmt::Display, str::FromStr};

use fedsx_kernel::{
    delivery::peer::{Peer, Standing},
    origin::Origin,
};
use jiff::Timestamp;
use sqlx::{Row as _, sqlite::SqliteRow};

use crate::{
    lane::{AddressKind, Lane, LaneId},
    ledger::{LedgerError, Result},
};

/// The columns that [`lane`] reads, of a table named `l`.
macro_rules! lane_columns {
    () => {
        "l.id, l.actor, l.kind, l.address, l.origin"
    };
}
/// The columns that [`peer`] reads, of a table named `o`.
macro_rules! peer_columns {
    () => {
        "o.origin, o.state AS standing, o.position AS at, o.failing_since, o.parked_since, o.alive_at, \
         o.hold_until, o.next_probe"
    };
}
pub(super) use {lane_columns, peer_columns};

/// A number of ours as SQLite keeps it. Bounds that callers give may lie beyond; nothing stored does.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A time as SQLite keeps it.
pub(super) fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// A time that may be none.
pub(super) fn maybe_micros(time: Option<Timestamp>) -> Option<i64> {
    time.map(micros)
}

/// Names what is corrupt.
pub(super) fn corrupt(
    table: &'static str,
    column: &'static str,
    key: impl Display,
    problem: impl Display,
) -> LedgerError {
    LedgerError::Corrupt {
        table,
        column,
        key: key.to_string(),
        problem: problem.to_string(),
    }
}

/// A stored position or count.
pub(super) fn unsigned<T: TryFrom<i64>>(
    table: &'static str,
    column: &'static str,
    key: impl Display,
    number: i64,
) -> Result<T> {
    T::try_from(number).map_err(|_| corrupt(table, column, key, number))
}

/// A stored time.
pub(super) fn time(
    table: &'static str,
    column: &'static str,
    key: impl Display,
    micros: i64,
) -> Result<Timestamp> {
    Timestamp::from_microsecond(micros).map_err(|error| corrupt(table, column, key, error))
}

/// A stored time that may be null.
pub(super) fn maybe_time(
    table: &'static str,
    column: &'static str,
    key: impl Display,
    micros: Option<i64>,
) -> Result<Option<Timestamp>> {
    micros.map(|micros| time(table, column, key, micros)).transpose()
}

/// A stored text that means something.
pub(super) fn parsed<T: FromStr<Err: Display>>(
    table: &'static str,
    column: &'static str,
    key: impl Display,
    text: &str,
) -> Result<T> {
    text.parse()
        .map_err(|error: T::Err| corrupt(table, column, key, error))
}

/// A lane, from [`lane_columns`] or the columns of that name.
pub(super) fn lane(row: &SqliteRow) -> Result<Lane> {
    let id: i64 = row.try_get("id")?;
    let kind: &str = row.try_get("kind")?;
    Ok(Lane {
        id: LaneId(id),
        actor: row.try_get("actor")?,
        kind: AddressKind::parse(kind).ok_or_else(|| corrupt("lane", "kind", id, kind))?,
        address: row.try_get("address")?,
        origin: parsed("lane", "origin", id, row.try_get("origin")?)?,
    })
}

/// An origin and its standing, from [`peer_columns`].
pub(super) fn peer(row: &SqliteRow) -> Result<(Origin, Peer)> {
    let key: &str = row.try_get("origin")?;
    let at = |column: &'static str| -> Result<Option<Timestamp>> {
        maybe_time("origin", column, key, row.try_get(column)?)
    };
    let missing = |column: &'static str| corrupt("origin", column, key, "null");
    let position = || -> Result<u64> {
        let position: Option<i64> = row.try_get("at")?;
        unsigned(
            "origin",
            "position",
            key,
            position.ok_or_else(|| missing("position"))?,
        )
    };
    let standing = match row.try_get("standing")? {
        "live" => Standing::Live,
        "catching_up" => Standing::CatchingUp { at: position()? },
        "parked" => Standing::Parked {
            at: position()?,
            since: at("parked_since")?.ok_or_else(|| missing("parked_since"))?,
            next_probe: at("next_probe")?.ok_or_else(|| missing("next_probe"))?,
        },
        other => return Err(corrupt("origin", "state", key, other)),
    };
    let peer = Peer {
        standing,
        failing_since: at("failing_since")?,
        alive_at: at("alive_at")?,
        hold_until: at("hold_until")?,
    };
    Ok((parsed("origin", "origin", key, key)?, peer))
}

/// Values as a JSON array, to be spread with `json_each`: one parameter whatever their number.
pub(super) fn json<T: serde::Serialize>(values: &T) -> Result<String> {
    serde_json::to_string(values).map_err(|error| LedgerError::Database(sqlx::Error::Encode(error.into())))
}

/// Origins' names as a JSON array.
pub(super) fn origins<'a>(origins: impl IntoIterator<Item = &'a Origin>) -> Result<String> {
    json(&origins.into_iter().map(Origin::as_str).collect::<Vec<_>>())
}
