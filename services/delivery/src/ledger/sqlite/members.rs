//! The audience: rows that hold from one position to another.

use fedsx_kernel::{cid::Cid, delivery::audience::Change, origin::Origin};
use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::row::{get, json};
use crate::ledger::{Audience, Members, RelationKey, Result, Whom, driver, integer, value::parsed};

pub(super) async fn change(
    connection: &mut SqliteConnection,
    changes: &[(RelationKey, Change)],
) -> Result<()> {
    let opened: Vec<_> = changes
        .iter()
        .filter_map(|(key, change)| {
            let open = change.open.as_ref()?;
            let from = integer(open.from_position);
            Some((
                &key.actor,
                &key.follower,
                &open.follow_cid,
                key.origin.as_str(),
                &open.inbox,
                from,
            ))
        })
        .collect();
    let closed: Vec<_> = changes
        .iter()
        .filter_map(|(key, change)| {
            let (cid, to) = change.close.as_ref()?;
            Some((&key.actor, &key.follower, cid, integer(*to)))
        })
        .collect();
    sqlx::query(
        "INSERT INTO audience (actor, follower, follow_cid, origin, inbox, from_position) \
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 \
         FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING",
    )
    .bind(json(&opened)?)
    .execute(&mut *connection)
    .await
    .map_err(driver("change the audience"))?;
    sqlx::query(
        "UPDATE audience SET to_position = c.to_position FROM ( \
             SELECT a.actor, a.follower, a.from_position, min(c.value ->> 3) AS to_position \
             FROM json_each(?1) c CROSS JOIN audience a ON a.actor = c.value ->> 0 AND a.follower = c.value ->> 1 \
             WHERE a.follow_cid = c.value ->> 2 AND a.to_position IS NULL AND a.from_position < c.value ->> 3 \
             GROUP BY a.actor, a.follower, a.from_position \
         ) c WHERE audience.actor = c.actor AND audience.follower = c.follower \
         AND audience.from_position = c.from_position",
    )
    .bind(json(&closed)?)
    .execute(connection)
    .await
    .map_err(driver("change the audience"))?;
    Ok(())
}

/// Rows of one actor that hold at a position.
macro_rules! holds {
    () => {
        "a.actor = ?1 AND a.from_position <= ?2 AND (a.to_position IS NULL OR a.to_position > ?2)"
    };
}
/// One member an address: a follower without an inbox is its own. `max` picks one whole row of each group.
macro_rules! grouped {
    ($origin:literal) => {
        concat!(
            "SELECT max(a.follower) AS follower, a.inbox, a.origin FROM audience a WHERE ",
            holds!(),
            $origin,
            " GROUP BY coalesce(a.inbox, a.follower)"
        )
    };
}
macro_rules! named {
    ($origin:literal) => {
        concat!(
            "SELECT a.follower, a.inbox, a.origin FROM json_each(?4) n CROSS JOIN audience a \
             ON a.follower = n.value WHERE ",
            holds!(),
            $origin
        )
    };
}

pub(super) async fn at(connection: &mut SqliteConnection, members: Members<'_>) -> Result<Vec<Audience>> {
    let (Whom::All(names) | Whom::Named(names)) = members.whom;
    let names = json(&names)?;
    let [all, named] = match members.origin {
        Some(_) => [grouped!(" AND a.origin = ?3"), named!(" AND a.origin = ?3")],
        None => [grouped!(" AND ?3 IS NULL"), named!(" AND ?3 IS NULL")],
    };
    let wanted: &[&'static str] = match members.whom {
        Whom::All([]) => &[all],
        Whom::All(_) => &[all, named],
        Whom::Named(_) => &[named],
    };
    let mut found = Vec::new();
    for sql in wanted {
        let rows = sqlx::query(*sql)
            .bind(members.actor)
            .bind(integer(members.position))
            .bind(members.origin.map(Origin::as_str))
            .bind(&names)
            .fetch_all(&mut *connection)
            .await
            .map_err(driver("read the audience"))?;
        for row in &rows {
            found.push(decode(row)?);
        }
    }
    Ok(found)
}

pub(super) async fn open_follows(connection: &mut SqliteConnection, origin: &Origin) -> Result<Vec<Cid>> {
    let rows = sqlx::query_scalar(
        "SELECT follow_cid FROM audience WHERE origin = ?1 AND to_position IS NULL ORDER BY follow_cid",
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

fn decode(row: &SqliteRow) -> Result<Audience> {
    let follower: String = get(row, "follower")?;
    let origin = parsed("audience", "origin", &follower, get(row, "origin")?)?;
    Ok(Audience {
        inbox: get(row, "inbox")?,
        origin,
        follower,
    })
}
