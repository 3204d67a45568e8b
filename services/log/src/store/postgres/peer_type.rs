//! Peers' types. They are written outside of any batch: none of them changes what the log says.

use fedsx_runtime::database::{
    driver, integer,
    postgres::{PATIENCE, call},
};
use jiff::Timestamp;
use sqlx::{Executor as _, PgConnection, PgPool, Postgres, postgres::PgArguments, query::Query};

use super::{read::rows, row, storable};
use crate::store::{PeerTypeRow, Result, TypeBounds};

pub(super) const GET: &str = "SELECT * FROM peer_type WHERE cid = ANY($1)";
pub(super) const LIST: &str = "
SELECT cid, name, origin, bytes, fetched_at, used_at, ''::bytea AS body FROM peer_type
WHERE cid > $1 ORDER BY cid LIMIT $2";
const KEEP: &str = "
INSERT INTO peer_type (cid, name, origin, bytes, fetched_at, used_at, body) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (cid) DO NOTHING";
pub(super) const USED: &str = "UPDATE peer_type SET used_at = $1 WHERE cid = $2 AND used_at < $1";
pub(super) const DISCARD: &str = "DELETE FROM peer_type WHERE cid = $1";
/// One after the other, by an index that holds all that is asked of those that stay.
pub(super) const TRIM: &str = "
DELETE FROM peer_type WHERE cid = ANY(ARRAY(
    SELECT cid FROM (SELECT cid, row_number() OVER newest AS number, sum(bytes) OVER newest AS total FROM peer_type
                     WHERE $4::text IS NULL OR origin = $4
                     WINDOW newest AS (ORDER BY used_at DESC, cid DESC ROWS UNBOUNDED PRECEDING)) AS ranked
    WHERE (number > $1 OR total > $2) AND cid <> ALL($3)))";

pub(super) async fn get(pool: &PgPool, cids: &[&str]) -> Result<Vec<PeerTypeRow>> {
    let cids: Vec<_> = cids.iter().copied().filter(|cid| storable(cid)).collect();
    let found = rows(pool, sqlx::query(GET).bind(cids), "read peers' types").await?;
    found.iter().map(row::peer_type).collect()
}

pub(super) async fn list(pool: &PgPool, after: &str, limit: u32) -> Result<Vec<PeerTypeRow>> {
    let after = after.split('\0').next().unwrap_or_default();
    let query = sqlx::query(LIST).bind(after).bind(i64::from(limit));
    let found = rows(pool, query, "list peers' types").await?;
    found.iter().map(row::peer_type).collect()
}

pub(super) async fn keep(pool: &PgPool, row: &PeerTypeRow) -> Result<bool> {
    let query = sqlx::query(KEEP)
        .bind(row.cid.as_str())
        .bind(row.name.as_str())
        .bind(row.origin.as_str())
        .bind(integer(row.bytes))
        .bind(row.fetched_at.as_microsecond())
        .bind(row.used_at.as_microsecond())
        .bind(row.body.as_ref());
    Ok(write(pool, query, "keep a peer's type").await? == 1)
}

pub(super) async fn used(pool: &PgPool, cid: &str, at: Timestamp) -> Result<()> {
    let query = sqlx::query(USED).bind(at.as_microsecond()).bind(cid);
    write(pool, query, "note that a peer's type is used")
        .await
        .map(drop)
}

pub(super) async fn discard(pool: &PgPool, cid: &str) -> Result<bool> {
    Ok(write(pool, sqlx::query(DISCARD).bind(cid), "drop a peer's type").await? == 1)
}

pub(super) async fn trim(pool: &PgPool, to: &TypeBounds) -> Result<u64> {
    let query = sqlx::query(TRIM)
        .bind(integer(to.number))
        .bind(integer(to.bytes))
        .bind(&to.spared)
        .bind(to.origin.as_deref());
    write(pool, query, "drop peers' types").await
}

/// How many rows a statement has written.
async fn write(pool: &PgPool, query: Query<'_, Postgres, PgArguments>, action: &'static str) -> Result<u64> {
    let run = async |connection: &mut PgConnection| {
        let done = connection.execute(query).await.map_err(driver(action))?;
        Ok(done.rows_affected())
    };
    call(pool, PATIENCE, run).await
}
