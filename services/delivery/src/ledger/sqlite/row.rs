//! Between SQLite's rows and ours.

use fedsx_kernel::{delivery::peer::Peer, origin::Origin};
use sqlx::{ColumnIndex, Decode, Row as _, Sqlite as Db, Type, sqlite::SqliteRow};

use crate::{
    lane::{Lane, LaneId},
    ledger::{
        Result, driver,
        value::{kind, maybe_time, parsed, standing},
    },
};

/// The columns that [`lane`] reads, of a table named `l`.
macro_rules! lane_columns {
    () => {
        "l.id, l.actor, l.kind, l.address, l.origin, l.replay"
    };
}
/// The columns that [`peer`] reads, of a table named `o`.
macro_rules! peer_columns {
    () => {
        "o.origin, o.state AS standing, o.position AS at, o.failing_since, o.parked_since, o.alive_at, \
         o.hold_until, o.next_probe"
    };
}
/// When the lane of the row that is updated is due, by its pending deliveries: where order holds, when the first is.
macro_rules! next_due {
    () => {
        "CASE WHEN lane.replay THEN (SELECT min(d.next_at) FROM delivery d WHERE d.lane = lane.id \
         AND d.state = 'pending') ELSE (SELECT d.next_at FROM delivery d WHERE d.lane = lane.id \
         AND d.state = 'pending' ORDER BY d.position LIMIT 1) END"
    };
}
pub(super) use {lane_columns, next_due, peer_columns};

/// A column's value.
pub(super) fn get<'r, T>(row: &'r SqliteRow, column: &'static str) -> Result<T>
where
    T: Decode<'r, Db> + Type<Db>,
    &'static str: ColumnIndex<SqliteRow>,
{
    row.try_get(column).map_err(driver("read a row"))
}

/// A lane, from [`lane_columns`] or the columns of that name.
pub(super) fn lane(row: &SqliteRow) -> Result<Lane> {
    let id: i64 = get(row, "id")?;
    Ok(Lane {
        id: LaneId(id),
        actor: get(row, "actor")?,
        kind: kind(id, get(row, "kind")?)?,
        address: get(row, "address")?,
        origin: parsed("lane", "origin", id, get(row, "origin")?)?,
        replay: get(row, "replay")?,
    })
}

/// An origin and its standing, from [`peer_columns`].
pub(super) fn peer(row: &SqliteRow) -> Result<(Origin, Peer)> {
    let key: &str = get(row, "origin")?;
    let at = |column: &'static str| maybe_time("origin", column, key, get(row, column)?);
    let peer = Peer {
        standing: standing(
            key,
            get(row, "standing")?,
            get(row, "at")?,
            get(row, "parked_since")?,
            get(row, "next_probe")?,
        )?,
        failing_since: at("failing_since")?,
        alive_at: at("alive_at")?,
        hold_until: at("hold_until")?,
    };
    Ok((parsed("origin", "origin", key, key)?, peer))
}

/// Values as a JSON array, to be spread with `json_each`: one parameter whatever their number.
pub(super) fn json<T: serde::Serialize>(values: &T) -> Result<String> {
    serde_json::to_string(values).map_err(driver("write parameters"))
}

/// Origins' names as a JSON array.
pub(super) fn origins<'a>(origins: impl IntoIterator<Item = &'a Origin>) -> Result<String> {
    json(&origins.into_iter().map(Origin::as_str).collect::<Vec<_>>())
}
