//! Between stored values and ours, whichever the database.

use std::{fmt::Display, str::FromStr};

use fedsx_kernel::delivery::{peer::Standing, row::DeliveryState};
use jiff::Timestamp;

use super::{DeliveryKey, Ended, Result, StoreError};
use crate::lane::{AddressKind, LaneId};

/// A time as it is stored: microseconds since the Unix epoch.
pub(crate) fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// A time that may be none.
pub(crate) fn maybe_micros(time: Option<Timestamp>) -> Option<i64> {
    time.map(micros)
}

/// A condition in SQL on the state of a delivery `d`.
pub(crate) fn any_of(states: &[DeliveryState]) -> String {
    let names: Vec<_> = states
        .iter()
        .map(|state| format!("'{}'", state.as_str()))
        .collect();
    format!(" AND d.state IN ({})", names.join(", "))
}

/// Names what is corrupt.
pub(crate) fn corrupt(
    table: &'static str,
    column: &'static str,
    key: impl Display,
    problem: impl Display,
) -> StoreError {
    StoreError::Corrupt {
        table,
        column,
        key: key.to_string(),
        problem: problem.to_string(),
    }
}

/// A stored position or count.
pub(crate) fn unsigned<T: TryFrom<i64>>(
    table: &'static str,
    column: &'static str,
    key: impl Display,
    number: i64,
) -> Result<T> {
    T::try_from(number).map_err(|_| corrupt(table, column, key, number))
}

/// A stored time.
pub(crate) fn time(
    table: &'static str,
    column: &'static str,
    key: impl Display,
    micros: i64,
) -> Result<Timestamp> {
    Timestamp::from_microsecond(micros).map_err(|error| corrupt(table, column, key, error))
}

/// A stored time that may be null.
pub(crate) fn maybe_time(
    table: &'static str,
    column: &'static str,
    key: impl Display,
    micros: Option<i64>,
) -> Result<Option<Timestamp>> {
    micros.map(|micros| time(table, column, key, micros)).transpose()
}

/// A stored text that means something.
pub(crate) fn parsed<T: FromStr<Err: Display>>(
    table: &'static str,
    column: &'static str,
    key: impl Display,
    text: &str,
) -> Result<T> {
    text.parse()
        .map_err(|error: T::Err| corrupt(table, column, key, error))
}

/// What is stored of a delivery that has ended.
#[derive(Debug)]
pub(crate) struct StoredEnd {
    pub(crate) lane: i64,
    pub(crate) position: i64,
    pub(crate) state: String,
    pub(crate) status: i64,
    pub(crate) cause: String,
    pub(crate) settled_at: Option<i64>,
    pub(crate) trace: String,
}

/// A delivery that has ended.
pub(crate) fn ended(row: StoredEnd) -> Result<Ended> {
    let name = format!("lane {}, position {}", row.lane, row.position);
    let at = maybe_time("delivery", "settled_at", &name, row.settled_at)?;
    Ok(Ended {
        key: DeliveryKey {
            lane: LaneId(row.lane),
            position: unsigned("delivery", "position", &name, row.position)?,
        },
        state: parsed("delivery", "state", &name, &row.state)?,
        status: unsigned("delivery", "status", &name, row.status)?,
        cause: row.cause,
        at: at.ok_or_else(|| corrupt("delivery", "settled_at", &name, "null"))?,
        trace: row.trace,
    })
}

/// A lane's stored kind.
pub(crate) fn kind(lane: i64, name: &str) -> Result<AddressKind> {
    AddressKind::parse(name).ok_or_else(|| corrupt("lane", "kind", lane, name))
}

/// An origin's stored standing. Positions and times are null where its name gives them no meaning.
pub(crate) fn standing(
    origin: &str,
    name: &str,
    position: Option<i64>,
    parked_since: Option<i64>,
    next_probe: Option<i64>,
) -> Result<Standing> {
    let missing = |column: &'static str| corrupt("origin", column, origin, "null");
    let at = || {
        unsigned(
            "origin",
            "position",
            origin,
            position.ok_or_else(|| missing("position"))?,
        )
    };
    let moment =
        |column, micros: Option<i64>| time("origin", column, origin, micros.ok_or_else(|| missing(column))?);
    Ok(match name {
        "live" => Standing::Live,
        "catching_up" => Standing::CatchingUp { at: at()? },
        "parked" => Standing::Parked {
            at: at()?,
            since: moment("parked_since", parked_since)?,
            next_probe: moment("next_probe", next_probe)?,
        },
        other => return Err(corrupt("origin", "state", origin, other)),
    })
}
