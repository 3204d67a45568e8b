//! The fold's state: who asked to follow whom.

use std::collections::BTreeMap;

use fedsx_kernel::{follow::Relation, origin::Origin};
use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::row::{get, json, origins};
use crate::ledger::{
    RelationKey, Result, driver,
    value::{corrupt, parsed},
};

pub(super) async fn of(
    connection: &mut SqliteConnection,
    keys: &[RelationKey],
) -> Result<BTreeMap<RelationKey, Relation>> {
    let pairs: Vec<_> = keys.iter().map(|key| (&key.actor, &key.follower)).collect();
    let rows = sqlx::query(
        "SELECT r.actor, r.follower, r.origin, r.relation FROM json_each(?1) k CROSS JOIN relation r \
         ON r.actor = k.value ->> 0 AND r.follower = k.value ->> 1",
    )
    .bind(json(&pairs)?)
    .fetch_all(connection)
    .await
    .map_err(driver("read who follows"))?;
    rows.iter().map(decode).collect()
}

pub(super) async fn with(
    connection: &mut SqliteConnection,
    peers: &[Origin],
) -> Result<BTreeMap<RelationKey, Relation>> {
    let rows = sqlx::query(
        "SELECT actor, follower, origin, relation FROM relation \
         WHERE origin IN (SELECT value FROM json_each(?1))",
    )
    .bind(origins(peers)?)
    .fetch_all(connection)
    .await
    .map_err(driver("read who follows"))?;
    rows.iter().map(decode).collect()
}

pub(super) async fn put(
    connection: &mut SqliteConnection,
    relations: &[(RelationKey, Option<Relation>)],
) -> Result<()> {
    let mut kept = Vec::new();
    let mut gone = Vec::new();
    for (key, relation) in relations {
        match relation {
            Some(relation) => kept.push((&key.actor, &key.follower, key.origin.as_str(), json(relation)?)),
            None => gone.push((&key.actor, &key.follower)),
        }
    }
    sqlx::query(
        "INSERT INTO relation (actor, follower, origin, relation) \
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?1) WHERE true \
         ON CONFLICT DO UPDATE SET relation = excluded.relation",
    )
    .bind(json(&kept)?)
    .execute(&mut *connection)
    .await
    .map_err(driver("write who follows"))?;
    sqlx::query(
        "DELETE FROM relation WHERE (actor, follower) IN \
         (SELECT value ->> 0, value ->> 1 FROM json_each(?1))",
    )
    .bind(json(&gone)?)
    .execute(connection)
    .await
    .map_err(driver("write who follows"))?;
    Ok(())
}

fn decode(row: &SqliteRow) -> Result<(RelationKey, Relation)> {
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
