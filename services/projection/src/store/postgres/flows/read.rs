//! What is read of flows, each by one statement.

use std::collections::HashMap;

use fedsx_runtime::database::driver;
use sqlx::{PgConnection, QueryBuilder};

use super::sound;
use crate::store::{
    Result,
    decode::{self, Columns as _},
    flows::{
        AwaitedKey, FlowQuery, FlowRow, KeptBehaviour,
        listing::listing,
        written::{digest, waits_for},
    },
    postgres::write::column,
};

pub(super) async fn behaviours(connection: &mut PgConnection) -> Result<Vec<KeptBehaviour>> {
    let rows = sqlx::query("SELECT * FROM behaviour ORDER BY position")
        .fetch_all(connection)
        .await
        .map_err(driver("read behaviours"))?;
    rows.iter().map(decode::flows::behaviour).collect()
}

pub(in crate::store::postgres) const FLOWS: &str = "SELECT * FROM flow WHERE id = ANY($1)";

pub(super) async fn flows(connection: &mut PgConnection, ids: &[&str]) -> Result<Vec<FlowRow>> {
    let rows = sqlx::query(FLOWS).bind(sound(ids)).fetch_all(connection).await;
    let rows = rows.map_err(driver("read flows"))?;
    rows.iter().map(decode::flows::flow).collect()
}

pub(in crate::store::postgres) const VERSIONS: &str = "SELECT id, version FROM flow WHERE id = ANY($1)";

pub(super) async fn versions(connection: &mut PgConnection, ids: &[&str]) -> Result<HashMap<String, u64>> {
    let rows = sqlx::query(VERSIONS).bind(sound(ids)).fetch_all(connection).await;
    let rows = rows.map_err(driver("read versions of flows"))?;
    rows.iter().map(decode::flows::version).collect()
}

pub(in crate::store::postgres) const WAITING: &str = "
    SELECT wanted.place, flow.*
    FROM unnest($1::text[], $2::text[], $3::bytea[]) WITH ORDINALITY AS wanted (behaviour, step, key_hash, place)
    CROSS JOIN LATERAL (
        SELECT flow FROM flow_wait
        WHERE behaviour = wanted.behaviour AND step = wanted.step AND key_hash = wanted.key_hash
        OFFSET 0
    ) AS wait
    CROSS JOIN LATERAL (SELECT * FROM flow WHERE id = wait.flow OFFSET 0) AS flow
    ORDER BY wanted.place, flow.id";

pub(super) async fn waiting(
    connection: &mut PgConnection,
    keys: &[AwaitedKey],
) -> Result<Vec<(AwaitedKey, FlowRow)>> {
    let rows = sqlx::query(WAITING)
        .bind(column(keys, |key| key.step.behaviour.as_str()))
        .bind(column(keys, |key| key.step.step.as_str()))
        .bind(column(keys, |key| digest(&key.key)))
        .fetch_all(connection)
        .await
        .map_err(driver("find who waits"))?;
    let mut waiting = Vec::with_capacity(rows.len());
    for row in &rows {
        let place = usize::try_from(row.integer("place")? - 1).ok();
        let flow = decode::flows::flow(row)?;
        let key = place.and_then(|place| keys.get(place));
        waiting.extend(
            key.filter(|key| waits_for(&flow, key))
                .map(|key| (key.clone(), flow)),
        );
    }
    Ok(waiting)
}

pub(super) async fn list(connection: &mut PgConnection, query: &FlowQuery) -> Result<Vec<FlowRow>> {
    let mut builder: QueryBuilder<sqlx::Postgres> = listing(query);
    // Planned for what is asked for: which index serves best depends on how rare that is.
    let rows = builder.build().persistent(false).fetch_all(connection).await;
    let rows = rows.map_err(driver("list flows"))?;
    rows.iter().map(decode::flows::flow).collect()
}
