//! The fold's state: who asked to follow whom. Written under the cursor's lock alone.

use std::collections::BTreeMap;

use fedsx_kernel::{follow::Relation, origin::Origin};
use sqlx::postgres::PgRow;

use super::{
    connection::Connection,
    row::{column, get, names, text},
};
use crate::ledger::{
    RelationKey, Result, driver,
    value::{corrupt, parsed},
};

pub(super) async fn of(
    connection: &mut Connection,
    keys: &[RelationKey],
) -> Result<BTreeMap<RelationKey, Relation>> {
    let rows = sqlx::query(
        "SELECT r.actor, r.follower, r.origin, r.relation FROM unnest($1::text[], $2::text[]) AS k (actor, follower) \
         JOIN relation r ON r.actor = k.actor AND r.follower = k.follower",
    )
    .bind(column(keys, |key| text(&key.actor)))
    .bind(column(keys, |key| text(&key.follower)))
    .fetch_all(connection)
    .await
    .map_err(driver("read relations"))?;
    rows.iter().map(decode).collect()
}

pub(super) async fn with(
    connection: &mut Connection,
    peers: &[Origin],
) -> Result<BTreeMap<RelationKey, Relation>> {
    let rows = sqlx::query("SELECT actor, follower, origin, relation FROM relation WHERE origin = ANY($1)")
        .bind(names(peers))
        .fetch_all(connection)
        .await
        .map_err(driver("read relations"))?;
    rows.iter().map(decode).collect()
}

pub(super) async fn put(
    connection: &mut Connection,
    relations: &[(RelationKey, Option<Relation>)],
) -> Result<()> {
    let (mut kept, mut gone) = (Vec::new(), Vec::new());
    for (key, relation) in relations {
        match relation {
            // JSON has no NUL: it is escaped there.
            Some(relation) => {
                let json = serde_json::to_string(relation).map_err(driver("write relations"))?;
                kept.push((key, json));
            }
            None => gone.push(key),
        }
    }
    sqlx::query(
        "INSERT INTO relation (actor, follower, origin, relation) \
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) \
         ON CONFLICT (actor, follower) DO UPDATE SET relation = excluded.relation",
    )
    .bind(column(&kept, |(key, _)| text(&key.actor)))
    .bind(column(&kept, |(key, _)| text(&key.follower)))
    .bind(column(&kept, |(key, _)| key.origin.as_str()))
    .bind(column(&kept, |(_, json)| json.as_str()))
    .execute(&mut *connection)
    .await
    .map_err(driver("write relations"))?;
    sqlx::query(
        "DELETE FROM relation r USING unnest($1::text[], $2::text[]) AS k (actor, follower) \
         WHERE r.actor = k.actor AND r.follower = k.follower",
    )
    .bind(column(&gone, |key| text(&key.actor)))
    .bind(column(&gone, |key| text(&key.follower)))
    .execute(connection)
    .await
    .map_err(driver("write relations"))?;
    Ok(())
}

fn decode(row: &PgRow) -> Result<(RelationKey, Relation)> {
    let actor: String = get(row, "actor")?;
    let follower: String = get(row, "follower")?;
    let key = || format!("{actor} and {follower}");
    let relation: &str = get(row, "relation")?;
    let relation =
        serde_json::from_str(relation).map_err(|error| corrupt("relation", "relation", key(), error))?;
    let origin = parsed("relation", "origin", key(), get(row, "origin")?)?;
    Ok((
        RelationKey {
            actor,
            follower,
            origin,
        },
        relation,
    ))
}
