//! What is written of flows.

use std::collections::{HashMap, HashSet};

use fedsx_runtime::database::{driver, integer};
use jiff::Timestamp;
use sqlx::{PgConnection, Row as _};

use super::{clock, micros};
use crate::store::{
    Result, decode,
    flows::{
        FlowRow, KeptBehaviour,
        written::{Handover, Written, digest_of},
    },
    postgres::write::{column, integers},
};

pub(super) async fn keep(connection: &mut PgConnection, behaviours: &[KeptBehaviour]) -> Result<()> {
    // In order, so that replicas that keep the same wait for each other and not in a circle.
    sqlx::query(
        "INSERT INTO behaviour (position, cid, name, record)
         SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bytea[]) AS new (position, cid, name, record)
         ORDER BY position
         ON CONFLICT (position) DO NOTHING",
    )
    .bind(integers(behaviours, |behaviour| behaviour.position))
    .bind(column(behaviours, |behaviour| behaviour.cid.as_str()))
    .bind(column(behaviours, |behaviour| behaviour.name.as_str()))
    .bind(column(behaviours, |behaviour| behaviour.record.as_slice()))
    .execute(connection)
    .await
    .map_err(driver("keep behaviours"))?;
    Ok(())
}

/// Locks all of the rows, also those whose version is no higher, and answers those that counted, with their owners. What
/// becomes of the claims of the others, is another statement's.
pub(in crate::store::postgres) const PUT: &str = concat!(
    "WITH ",
    clock!("$1"),
    "
    INSERT INTO flow (owner, claim_until, id, name, behaviour, activity, activity_id, activity_id_hash, position, verb, actor,
                      object, object_hash, public, started_at, version, last_position, moved_at, status, cause, needs, due,
                      waits, state)
    SELECT $3::text, coalesce(clock.now + $4::bigint, 0), new.*
    FROM clock, unnest($5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bytea[], $11::bigint[], $12::text[],
                       $13::text[], $14::text[], $15::bytea[], $16::boolean[], $17::bigint[], $18::bigint[], $19::bigint[],
                       $20::bigint[], $21::text[], $22::text[], $23::text[], $24::bigint[], $25::bytea[], $26::bytea[])
                AS new (id, name, behaviour, activity, activity_id, activity_id_hash, position, verb, actor, object,
                        object_hash, public, started_at, version, last_position, moved_at, status, cause, needs, due, waits,
                        state)
    ORDER BY new.id
    ON CONFLICT (id) DO UPDATE SET
        (owner, claim_until) = (
            SELECT CASE WHEN changes THEN excluded.owner ELSE flow.owner END,
                   CASE WHEN changes THEN excluded.claim_until ELSE flow.claim_until END
            FROM (SELECT flow.owner = $2::text OR ($4::bigint IS NOT NULL AND flow.claim_until <= clock.now) AS changes
                  FROM clock) AS claim
        ),
        name = excluded.name, behaviour = excluded.behaviour, activity = excluded.activity,
        activity_id = excluded.activity_id, activity_id_hash = excluded.activity_id_hash, position = excluded.position,
        verb = excluded.verb, actor = excluded.actor, object = excluded.object, object_hash = excluded.object_hash,
        public = excluded.public, started_at = excluded.started_at, version = excluded.version,
        last_position = excluded.last_position, moved_at = excluded.moved_at, status = excluded.status,
        cause = excluded.cause, needs = excluded.needs, due = excluded.due, waits = excluded.waits, state = excluded.state
    WHERE flow.version < excluded.version
    RETURNING id, owner"
);

/// Hands over the claims of flows, whose rows are locked.
pub(in crate::store::postgres) const HAND_OVER: &str = concat!(
    "WITH ",
    clock!("$1"),
    "
    UPDATE flow SET owner = $3::text, claim_until = coalesce((SELECT now FROM clock) + $4::bigint, 0)
    WHERE id = ANY($5)
      AND (owner = $2::text OR ($4::bigint IS NOT NULL AND claim_until <= (SELECT now FROM clock)))
    RETURNING id, owner"
);

pub(in crate::store::postgres) const FORGET_WAITS: &str = "DELETE FROM flow_wait WHERE flow = ANY($1)";

const WAIT: &str = "
    INSERT INTO flow_wait (behaviour, step, key_hash, flow)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[])
    ON CONFLICT DO NOTHING";

/// In a transaction: each statement sees what was written by whom it waited for.
pub(super) async fn put(
    connection: &mut PgConnection,
    rows: &[Written<'_>],
    handover: Handover<'_>,
    clock: Option<i64>,
) -> Result<HashSet<String>> {
    let owners = put_rows(connection, rows, handover, clock).await?;
    let (counted, others): (Vec<&Written<'_>>, Vec<&Written<'_>>) = rows
        .iter()
        .partition(|written| owners.contains_key(&written.row.id));
    let mut taken = handover.taken(owners);
    if handover.holder.is_some() && !others.is_empty() {
        let owners = hand_over(connection, &others, handover, clock).await?;
        taken.extend(handover.taken(owners));
    }
    if !counted.is_empty() {
        replace_waits(connection, &counted).await?;
    }
    Ok(taken)
}

async fn put_rows(
    connection: &mut PgConnection,
    rows: &[Written<'_>],
    handover: Handover<'_>,
    clock: Option<i64>,
) -> Result<HashMap<String, String>> {
    let text = |value: fn(&FlowRow) -> &String| column(rows, move |written| value(written.row).as_str());
    let time =
        |value: fn(&FlowRow) -> Timestamp| column(rows, move |written| value(written.row).as_microsecond());
    let number = |value: fn(&FlowRow) -> u64| column(rows, move |written| integer(value(written.row)));
    let due = |written: &Written<'_>| written.row.due.map(Timestamp::as_microsecond);
    let counted = sqlx::query(PUT)
        .bind(clock)
        .bind(handover.holder)
        .bind(handover.owner)
        .bind(handover.term.map(micros))
        .bind(text(|row| &row.id))
        .bind(text(|row| &row.name))
        .bind(text(|row| &row.behaviour))
        .bind(text(|row| &row.activity))
        .bind(column(rows, |written| written.activity_id))
        .bind(column(rows, |written| digest_of(written.activity_id)))
        .bind(number(|row| row.position))
        .bind(column(rows, |written| written.verb))
        .bind(column(rows, |written| written.actor))
        .bind(column(rows, |written| written.object))
        .bind(column(rows, |written| digest_of(written.object)))
        .bind(column(rows, |written| written.row.public))
        .bind(time(|row| row.started_at))
        .bind(number(|row| row.version))
        .bind(number(|row| row.last_position))
        .bind(time(|row| row.moved_at))
        .bind(column(rows, |written| written.row.status.as_str()))
        .bind(column(rows, |written| written.cause.as_str()))
        .bind(text(|row| &row.needs))
        .bind(column(rows, due))
        .bind(column(rows, |written| written.waits.as_slice()))
        .bind(column(rows, |written| written.row.state.as_slice()))
        .fetch_all(connection)
        .await
        .map_err(driver("write flows"))?;
    counted.iter().map(decode::flows::owner).collect()
}

async fn hand_over(
    connection: &mut PgConnection,
    rows: &[&Written<'_>],
    handover: Handover<'_>,
    clock: Option<i64>,
) -> Result<HashMap<String, String>> {
    let handed = sqlx::query(HAND_OVER)
        .bind(clock)
        .bind(handover.holder)
        .bind(handover.owner)
        .bind(handover.term.map(micros))
        .bind(column(rows, |written| written.row.id.as_str()))
        .fetch_all(connection)
        .await
        .map_err(driver("hand claims over"))?;
    handed.iter().map(decode::flows::owner).collect()
}

async fn replace_waits(connection: &mut PgConnection, rows: &[&Written<'_>]) -> Result<()> {
    sqlx::query(FORGET_WAITS)
        .bind(column(rows, |written| written.row.id.as_str()))
        .execute(&mut *connection)
        .await
        .map_err(driver("forget what flows waited for"))?;
    let waits = |written: &&Written<'_>| {
        let row = written.row;
        let waits = written.awaits().into_iter();
        waits
            .map(|(step, key)| (row.behaviour.clone(), step.to_owned(), key, row.id.clone()))
            .collect::<Vec<_>>()
    };
    let waits: Vec<(String, String, Vec<u8>, String)> = rows.iter().flat_map(waits).collect();
    if waits.is_empty() {
        return Ok(());
    }
    sqlx::query(WAIT)
        .bind(column(&waits, |(behaviour, ..)| behaviour.as_str()))
        .bind(column(&waits, |(_, step, ..)| step.as_str()))
        .bind(column(&waits, |(_, _, key, _)| key.as_slice()))
        .bind(column(&waits, |(.., flow)| flow.as_str()))
        .execute(connection)
        .await
        .map_err(driver("write what flows wait for"))?;
    Ok(())
}

/// Passes over what somebody writes, and so waits for nobody.
pub(in crate::store::postgres) const PRUNE: &str = "
    WITH old AS (
        SELECT id FROM flow WHERE status IN ('completed', 'cancelled') AND moved_at < $1
        ORDER BY moved_at LIMIT $2 FOR UPDATE SKIP LOCKED
    ), waits AS (
        DELETE FROM flow_wait WHERE flow = ANY(ARRAY(SELECT id FROM old))
    ), pruned AS (
        DELETE FROM flow WHERE id = ANY(ARRAY(SELECT id FROM old))
    )
    SELECT count(*) AS pruned FROM old";

pub(super) async fn prune(connection: &mut PgConnection, before: Timestamp, limit: u32) -> Result<bool> {
    let pruned = sqlx::query(PRUNE)
        .bind(before.as_microsecond())
        .bind(i64::from(limit))
        .fetch_one(connection)
        .await
        .map_err(driver("prune flows"))?;
    let pruned: i64 = pruned.try_get("pruned").map_err(driver("prune flows"))?;
    Ok(pruned > 0)
}
