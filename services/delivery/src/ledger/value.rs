//! Between stored values and ours, whichever the database.

use std::{fmt::Display, str::FromStr};

use fedsx_kernel::delivery::{peer::Standing, row::DeliveryState};
use jiff::Timestamp;

use super::{Result, StoreError};
use crate::lane::AddressKind;

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
