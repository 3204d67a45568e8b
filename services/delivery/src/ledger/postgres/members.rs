//! The audience: rows that hold from one position to another. Written under the cursor's lock alone.

use fedsx_kernel::{
    cid::Cid,
    delivery::audience::{Change, Opening},
    origin::Origin,
};
use sqlx::postgres::PgRow;

use super::{
    connection::Connection,
    row::{column, get, text},
};
use crate::ledger::{Audience, Members, RelationKey, Result, Whom, driver, integer, value::parsed};

pub(super) async fn change(connection: &mut Connection, changes: &[(RelationKey, Change)]) -> Result<()> {
    let opened: Vec<(&RelationKey, &Opening)> = changes
        .iter()
        .filter_map(|(key, change)| Some((key, change.open.as_ref()?)))
        .collect();
    let closed: Vec<(&RelationKey, &(Cid, u64))> = changes
        .iter()
        .filter_map(|(key, change)| Some((key, change.close.as_ref()?)))
        .collect();
    sqlx::query(
        "INSERT INTO audience (actor, follower, follow_cid, origin, inbox, from_position) \
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[]) \
         ON CONFLICT DO NOTHING",
    )
    .bind(column(&opened, |(key, _)| text(&key.actor)))
    .bind(column(&opened, |(key, _)| text(&key.follower)))
    .bind(column(&opened, |(_, open)| open.follow_cid.to_string()))
    .bind(column(&opened, |(key, _)| key.origin.as_str()))
    .bind(column(&opened, |(_, open)| open.inbox.as_deref().map(text)))
    .bind(column(&opened, |(_, open)| integer(open.from_position)))
    .execute(&mut *connection)
    .await
    .map_err(driver("change the audience"))?;
    sqlx::query(
        "UPDATE audience a SET to_position = c.to_position FROM ( \
             SELECT a.actor, a.follower, a.from_position, min(c.to_position) AS to_position \
             FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) \
                  AS c (actor, follower, follow_cid, to_position) \
             JOIN audience a ON a.actor = c.actor AND a.follower = c.follower AND a.follow_cid = c.follow_cid \
             WHERE a.to_position IS NULL AND a.from_position < c.to_position \
             GROUP BY a.actor, a.follower, a.from_position \
         ) c WHERE a.actor = c.actor AND a.follower = c.follower AND a.from_position = c.from_position",
    )
    .bind(column(&closed, |(key, _)| text(&key.actor)))
    .bind(column(&closed, |(key, _)| text(&key.follower)))
    .bind(column(&closed, |(_, (cid, _))| cid.to_string()))
    .bind(column(&closed, |(_, (_, to))| integer(*to)))
    .execute(connection)
    .await
    .map_err(driver("change the audience"))?;
    Ok(())
}

/// Rows of one actor that hold at a position.
macro_rules! holds {
    () => {
        "a.actor = $1 AND a.from_position <= $2 AND (a.to_position IS NULL OR a.to_position > $2)"
    };
}
/// One member an address: a follower without an inbox is its own.
macro_rules! grouped {
    ($origin:literal) => {
        concat!(
            "SELECT max(a.follower) AS follower, a.inbox, a.origin FROM audience a WHERE ",
            holds!(),
            $origin,
            " AND $4::text[] IS NOT NULL GROUP BY a.inbox, a.origin, CASE WHEN a.inbox IS NULL THEN a.follower END"
        )
    };
}
macro_rules! named {
    ($origin:literal) => {
        concat!(
            "SELECT a.* FROM unnest($4::text[]) AS k (follower) CROSS JOIN LATERAL ( \
                 SELECT a.follower, a.inbox, a.origin FROM audience a WHERE a.follower = k.follower AND ",
            holds!(),
            $origin,
            " OFFSET 0) a"
        )
    };
}

pub(super) const ALL: &str = grouped!(" AND $3::text IS NULL");
pub(super) const ALL_OF: &str = grouped!(" AND a.origin = $3");
pub(super) const NAMED: &str = named!(" AND $3::text IS NULL");
pub(super) const NAMED_OF: &str = named!(" AND a.origin = $3");

pub(super) async fn at(connection: &mut Connection, members: Members<'_>) -> Result<Vec<Audience>> {
    let (Whom::All(names) | Whom::Named(names)) = members.whom;
    let [all, named] = match members.origin {
        Some(_) => [ALL_OF, NAMED_OF],
        None => [ALL, NAMED],
    };
    let wanted: &[&'static str] = match members.whom {
        Whom::All([]) => &[all],
        Whom::All(_) => &[all, named],
        Whom::Named(_) => &[named],
    };
    let mut found = Vec::new();
    for sql in wanted {
        let rows = sqlx::query(*sql)
            .bind(text(members.actor))
            .bind(integer(members.position))
            .bind(members.origin.map(Origin::as_str))
            .bind(column(names, |name| text(name)))
            .fetch_all(&mut *connection)
            .await
            .map_err(driver("read the audience"))?;
        for row in &rows {
            found.push(decode(row)?);
        }
    }
    Ok(found)
}

pub(super) async fn open_follows(connection: &mut Connection, origin: &Origin) -> Result<Vec<Cid>> {
    let rows = sqlx::query_scalar(
        "SELECT follow_cid FROM audience WHERE origin = $1 AND to_position IS NULL ORDER BY follow_cid",
    )
    .bind(origin.as_str())
    .fetch_all(connection)
    .await
    .map_err(driver("read the audience"))?;
    cids(rows)
}

pub(super) fn cids(rows: Vec<String>) -> Result<Vec<Cid>> {
    rows.iter()
        .map(|cid| parsed("audience", "follow_cid", cid, cid))
        .collect()
}

fn decode(row: &PgRow) -> Result<Audience> {
    let follower: String = get(row, "follower")?;
    let origin = parsed("audience", "origin", &follower, get(row, "origin")?)?;
    Ok(Audience {
        inbox: get(row, "inbox")?,
        origin,
        follower,
    })
}
