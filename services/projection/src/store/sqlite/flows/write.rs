//! What is written of flows, in a transaction that holds the write lock.

use std::collections::{HashMap, HashSet};

use fedsx_runtime::database::{driver, integer};
use jiff::Timestamp;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection, SqliteExecutor};

use crate::store::{
    Result,
    decode::{self, Columns as _},
    flows::{
        KeptBehaviour,
        written::{Handover, Written, digest_of},
    },
    sqlite::{CHUNK, write::execute},
};

pub(super) async fn keep(connection: &mut SqliteConnection, behaviours: &[KeptBehaviour]) -> Result<()> {
    for chunk in behaviours.chunks(CHUNK) {
        let mut query = QueryBuilder::new("INSERT INTO behaviour (position, cid, name, record) ");
        query.push_values(chunk, |mut row, behaviour| {
            row.push_bind(integer(behaviour.position))
                .push_bind(behaviour.cid.as_str())
                .push_bind(behaviour.name.as_str())
                .push_bind(behaviour.record.as_slice());
        });
        query.push(" ON CONFLICT (position) DO NOTHING");
        execute(connection, query, "keep behaviours").await?;
    }
    Ok(())
}

/// As many rows as [`statements`](crate::store::flows::written::statements) makes together.
pub(super) async fn put(
    connection: &mut SqliteConnection,
    rows: &[Written<'_>],
    handover: Handover<'_>,
    now: Timestamp,
) -> Result<HashSet<String>> {
    let owners = put_rows(connection, rows, handover, now).await?;
    let (counted, others): (Vec<&Written<'_>>, Vec<&Written<'_>>) = rows
        .iter()
        .partition(|written| owners.contains_key(&written.row.id));
    let mut taken = handover.taken(owners);
    if handover.holder.is_some() && !others.is_empty() {
        let owners = hand_over(connection, &others, handover, now).await?;
        taken.extend(handover.taken(owners));
    }
    replace_waits(connection, &counted).await?;
    Ok(taken)
}

/// Answers those that counted, with their owners. What becomes of the claims of the others, is another statement's.
async fn put_rows(
    connection: &mut SqliteConnection,
    rows: &[Written<'_>],
    handover: Handover<'_>,
    now: Timestamp,
) -> Result<HashMap<String, String>> {
    let mut query = insertion(rows, handover, now);
    query.push(" ON CONFLICT (id) DO UPDATE SET owner = CASE WHEN ");
    free(&mut query, handover, now);
    query.push(" THEN excluded.owner ELSE flow.owner END, claim_until = CASE WHEN ");
    free(&mut query, handover, now);
    query.push(
        " THEN excluded.claim_until ELSE flow.claim_until END,
          name = excluded.name, behaviour = excluded.behaviour, activity = excluded.activity,
          activity_id = excluded.activity_id, activity_id_hash = excluded.activity_id_hash, position = excluded.position,
          verb = excluded.verb, actor = excluded.actor, object = excluded.object, object_hash = excluded.object_hash,
          public = excluded.public, started_at = excluded.started_at, version = excluded.version,
          last_position = excluded.last_position, moved_at = excluded.moved_at, status = excluded.status,
          cause = excluded.cause, needs = excluded.needs, due = excluded.due, waits = excluded.waits, state = excluded.state
          WHERE flow.version < excluded.version
          RETURNING id, owner",
    );
    let counted = query.build().persistent(false).fetch_all(connection).await;
    let counted = counted.map_err(driver("write flows"))?;
    counted.iter().map(decode::flows::owner).collect()
}

fn insertion(rows: &[Written<'_>], handover: Handover<'_>, now: Timestamp) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(
        "INSERT INTO flow (id, name, behaviour, activity, activity_id_hash, position, verb, object_hash, public, started_at,
                           version, last_position, moved_at, status, needs, due, owner, claim_until, activity_id, actor,
                           object, cause, waits, state) ",
    );
    query.push_values(rows, |mut values, written| {
        let row = written.row;
        values
            .push_bind(row.id.as_str())
            .push_bind(row.name.as_str())
            .push_bind(row.behaviour.as_str())
            .push_bind(row.activity.as_str())
            .push_bind(digest_of(written.activity_id))
            .push_bind(integer(row.position))
            .push_bind(written.verb)
            .push_bind(digest_of(written.object))
            .push_bind(row.public)
            .push_bind(row.started_at.as_microsecond())
            .push_bind(integer(row.version))
            .push_bind(integer(row.last_position))
            .push_bind(row.moved_at.as_microsecond())
            .push_bind(row.status.as_str())
            .push_bind(row.needs.as_str())
            .push_bind(row.due.map(Timestamp::as_microsecond))
            .push_bind(handover.owner)
            .push_bind(until(handover, now))
            .push_bind(written.activity_id)
            .push_bind(written.actor)
            .push_bind(written.object)
            .push_bind(written.cause.as_str())
            .push_bind(written.waits.as_slice())
            .push_bind(row.state.as_slice());
    });
    query
}

fn until(handover: Handover<'_>, now: Timestamp) -> i64 {
    let until = |term| now.saturating_add(term).unwrap_or(Timestamp::MAX);
    handover.term.map_or(0, |term| until(term).as_microsecond())
}

/// Whether the claim of a flow is handed over. Neither is true of NULL.
fn free(query: &mut QueryBuilder<Sqlite>, handover: Handover<'_>, now: Timestamp) {
    query.push("(flow.owner = ").push_bind(handover.holder);
    query.push(" OR flow.claim_until <= ");
    query.push_bind(handover.term.map(|_| now.as_microsecond()));
    query.push(")");
}

async fn hand_over(
    connection: &mut SqliteConnection,
    rows: &[&Written<'_>],
    handover: Handover<'_>,
    now: Timestamp,
) -> Result<HashMap<String, String>> {
    let mut query = QueryBuilder::new("UPDATE flow SET owner = ");
    query.push_bind(handover.owner).push(", claim_until = ");
    query.push_bind(until(handover, now)).push(" WHERE ");
    free(&mut query, handover, now);
    query.push(" AND ");
    listed(
        &mut query,
        "id",
        rows.iter().map(|written| written.row.id.as_str()),
    );
    query.push(" RETURNING id, owner");
    let handed = query.build().persistent(false).fetch_all(connection).await;
    let handed = handed.map_err(driver("hand claims over"))?;
    handed.iter().map(decode::flows::owner).collect()
}

/// Where a column has one of these values.
pub(super) fn listed<'v>(
    query: &mut QueryBuilder<Sqlite>,
    column: &str,
    values: impl IntoIterator<Item = &'v str>,
) {
    query.push(column).push(" IN (");
    let mut list = query.separated(", ");
    for value in values {
        list.push_bind(value);
    }
    query.push(")");
}

async fn replace_waits(connection: &mut SqliteConnection, rows: &[&Written<'_>]) -> Result<()> {
    let ids: Vec<&str> = rows.iter().map(|written| written.row.id.as_str()).collect();
    forget(connection, "flow_wait", "flow", &ids).await?;
    let waits = |written: &&Written<'_>| {
        let row = written.row;
        let awaits = written.awaits().into_iter();
        awaits
            .map(|(step, key)| (row.behaviour.clone(), step.to_owned(), key, row.id.clone()))
            .collect::<Vec<_>>()
    };
    let waits: Vec<(String, String, Vec<u8>, String)> = rows.iter().flat_map(waits).collect();
    for chunk in waits.chunks(CHUNK) {
        let mut query = QueryBuilder::new("INSERT INTO flow_wait (behaviour, step, key_hash, flow) ");
        query.push_values(chunk, |mut row, (behaviour, step, key, flow)| {
            row.push_bind(behaviour.as_str())
                .push_bind(step.as_str())
                .push_bind(key.as_slice())
                .push_bind(flow.as_str());
        });
        execute(connection, query, "write what flows wait for").await?;
    }
    Ok(())
}

/// Deletes the rows with these ids.
async fn forget(connection: &mut SqliteConnection, table: &str, column: &str, ids: &[&str]) -> Result<()> {
    for chunk in ids.chunks(CHUNK) {
        let mut query = QueryBuilder::new("DELETE FROM ");
        query.push(table).push(" WHERE ");
        listed(&mut query, column, chunk.iter().copied());
        execute(connection, query, "forget flows").await?;
    }
    Ok(())
}

/// The flows to prune, those that are over for longest first. SQLite does not know how many are of each status.
pub(super) const PRUNABLE: &str = "
    SELECT id FROM flow INDEXED BY flow_over WHERE status IN ('completed', 'cancelled') AND moved_at < ?
    ORDER BY moved_at LIMIT ?";

pub(super) async fn prunable(
    executor: impl SqliteExecutor<'_>,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<String>> {
    let rows = sqlx::query(PRUNABLE)
        .bind(before.as_microsecond())
        .bind(limit)
        .fetch_all(executor)
        .await
        .map_err(driver("find flows to prune"))?;
    rows.iter().map(|row| row.text("id")).collect()
}

pub(super) async fn prune(connection: &mut SqliteConnection, before: Timestamp, limit: u32) -> Result<bool> {
    let old = prunable(&mut *connection, before, limit).await?;
    let ids: Vec<&str> = old.iter().map(String::as_str).collect();
    forget(connection, "flow_wait", "flow", &ids).await?;
    forget(connection, "flow", "id", &ids).await?;
    Ok(!ids.is_empty())
}
