//! Between PostgreSQL's rows and ours.

use std::borrow::Cow;

use fedsx_kernel::{delivery::peer::Peer, origin::Origin};
use sqlx::{Decode, Postgres as Db, Row as _, Type, postgres::PgRow};

use crate::{
    lane::{Lane, LaneId},
    ledger::{
        Result, driver,
        value::{kind, maybe_time, parsed, standing},
    },
};

/// The ledger's time: what the parameter says, which tests set, or the database's. Later than any lock that the statement
/// did not take itself.
macro_rules! clock {
    ($parameter:literal) => {
        concat!(
            "coalesce(",
            $parameter,
            "::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)"
        )
    };
}
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
/// Origins `o` that are not simply live; in the words of the index.
macro_rules! troubled {
    () => {
        "(o.state <> 'live' OR o.failing_since IS NOT NULL OR o.hold_until IS NOT NULL)"
    };
}
/// When a lane, of a table with the columns `lane` and `replay`, is due by its pending deliveries: where order holds, when
/// the first is. A table `n` of one row, asked for once.
macro_rules! next_due {
    ($table:literal) => {
        concat!(
            "LATERAL (SELECT CASE WHEN ",
            $table,
            ".replay THEN (SELECT min(d.next_at) FROM delivery d WHERE d.lane = ",
            $table,
            ".lane AND d.state = 'pending') ELSE (SELECT d.next_at FROM delivery d WHERE d.lane = ",
            $table,
            ".lane AND d.state = 'pending' ORDER BY d.position LIMIT 1) END AS next_due OFFSET 0) n"
        )
    };
}
pub(super) use {clock, lane_columns, next_due, peer_columns, troubled};

/// A column's value.
pub(super) fn get<'r, T>(row: &'r PgRow, column: &'static str) -> Result<T>
where
    T: Decode<'r, Db> + Type<Db>,
{
    row.try_get(column).map_err(driver("read a row"))
}

/// A small number's value.
pub(super) fn small(row: &PgRow, column: &'static str) -> Result<i64> {
    get::<i32>(row, column).map(i64::from)
}

/// Text as PostgreSQL can keep it, which takes no NUL: some of it quotes strangers.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}").into()
    } else {
        text.into()
    }
}

/// A column of a statement's rows.
pub(super) fn column<R, C>(rows: impl IntoIterator<Item = R>, value: impl Fn(R) -> C) -> Vec<C> {
    rows.into_iter().map(value).collect()
}

/// Origins' names.
pub(super) fn names<'a>(origins: impl IntoIterator<Item = &'a Origin>) -> Vec<&'a str> {
    origins.into_iter().map(Origin::as_str).collect()
}

/// Lanes' ids.
pub(super) fn ids<'a>(lanes: impl IntoIterator<Item = &'a LaneId>) -> Vec<i64> {
    lanes.into_iter().map(|lane| lane.0).collect()
}

/// A lane, from [`lane_columns`].
pub(super) fn lane(row: &PgRow) -> Result<Lane> {
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
pub(super) fn peer(row: &PgRow) -> Result<(Origin, Peer)> {
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
