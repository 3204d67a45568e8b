//! Claims of flows.

use fedsx_runtime::database::driver;
use jiff::SignedDuration;
use sqlx::PgConnection;

use super::{clock, micros, sound};
use crate::store::{
    Result,
    decode::{self, Columns as _},
    flows::{Claim, FlowRow},
};

/// Of each kind those that have been due for longest, in the order of an index; of these the first. What is locked for a
/// kind and is not among the first is free again when the statement ends.
pub(in crate::store::postgres) const CLAIM: &str = concat!(
    "WITH ",
    clock!("$1"),
    ", candidate AS (
        SELECT ready.id, ready.due
        FROM (SELECT DISTINCT kind FROM unnest($4::text[]) AS kinds (kind)) AS kinds
        CROSS JOIN LATERAL (
            SELECT id, due FROM flow
            WHERE needs = kinds.kind AND due <= (SELECT now FROM clock) AND claim_until <= (SELECT now FROM clock)
            ORDER BY due LIMIT $5 FOR UPDATE SKIP LOCKED
        ) AS ready
    ), first AS (SELECT id FROM candidate ORDER BY due, id LIMIT $5)
    UPDATE flow SET owner = $2, claim_until = (SELECT now FROM clock) + $3
    WHERE id = ANY(ARRAY(SELECT id FROM first))
    RETURNING flow.*"
);

pub(super) async fn claim(
    connection: &mut PgConnection,
    claim: &Claim<'_>,
    clock: Option<i64>,
) -> Result<Vec<FlowRow>> {
    let mut kinds = claim.kinds.to_vec();
    kinds.push("");
    let rows = sqlx::query(CLAIM)
        .bind(clock)
        .bind(claim.owner)
        .bind(micros(claim.term))
        .bind(kinds)
        .bind(i64::from(claim.limit))
        .fetch_all(connection)
        .await
        .map_err(driver("claim flows"))?;
    let mut flows = rows.iter().map(decode::flows::flow).collect::<Result<Vec<_>>>()?;
    flows.sort_by(|a, b| (a.due, &a.id).cmp(&(b.due, &b.id)));
    Ok(flows)
}

pub(in crate::store::postgres) const RENEW: &str = concat!(
    "WITH ",
    clock!("$1"),
    ", mine AS (SELECT id FROM flow WHERE id = ANY($4) AND owner = $2 ORDER BY id FOR UPDATE)
    UPDATE flow SET claim_until = (SELECT now FROM clock) + $3
    WHERE id = ANY(ARRAY(SELECT id FROM mine))
    RETURNING id"
);

pub(super) async fn renew(
    connection: &mut PgConnection,
    owner: &str,
    ids: &[&str],
    term: SignedDuration,
    clock: Option<i64>,
) -> Result<Vec<String>> {
    let rows = sqlx::query(RENEW)
        .bind(clock)
        .bind(owner)
        .bind(micros(term))
        .bind(sound(ids))
        .fetch_all(connection)
        .await
        .map_err(driver("renew claims"))?;
    rows.iter().map(|row| row.text("id")).collect()
}

pub(in crate::store::postgres) const RELEASE: &str = "
    WITH mine AS (SELECT id FROM flow WHERE id = ANY($2) AND owner = $1 ORDER BY id FOR UPDATE)
    UPDATE flow SET owner = '', claim_until = 0 WHERE id = ANY(ARRAY(SELECT id FROM mine))";
pub(in crate::store::postgres) const RELEASE_ALL: &str = "
    WITH mine AS (SELECT id FROM flow WHERE owner = $1 AND owner <> '' ORDER BY id FOR UPDATE)
    UPDATE flow SET owner = '', claim_until = 0 WHERE id = ANY(ARRAY(SELECT id FROM mine))";

pub(super) async fn release(connection: &mut PgConnection, owner: &str, ids: Option<&[&str]>) -> Result<()> {
    let query = match ids {
        Some(ids) => sqlx::query(RELEASE).bind(owner).bind(sound(ids)),
        None => sqlx::query(RELEASE_ALL).bind(owner),
    };
    let done = query.execute(connection).await;
    done.map_err(driver("release claims")).map(drop)
}
