//! Peers' types.

use fedsx_runtime::database::{driver, integer};
use jiff::Timestamp;
use sqlx::{QueryBuilder, SqlitePool};

use super::row;
use crate::store::{PeerTypeRow, Result, TypeBounds};

pub(super) async fn get(pool: &SqlitePool, cids: &[&str]) -> Result<Vec<PeerTypeRow>> {
    let mut query = QueryBuilder::new("SELECT * FROM peer_type WHERE cid IN (");
    let mut list = query.separated(", ");
    for cid in cids {
        list.push_bind(*cid);
    }
    query.push(")");
    let found = query.build().fetch_all(pool).await;
    let found = found.map_err(driver("read peers' types"))?;
    found.iter().map(row::peer_type).collect()
}

pub(super) async fn list(pool: &SqlitePool, after: &str, limit: u32) -> Result<Vec<PeerTypeRow>> {
    let select = "SELECT cid, name, origin, bytes, fetched_at, used_at, x'' AS body FROM peer_type \
                  WHERE cid > ? ORDER BY cid LIMIT ?";
    let found = sqlx::query(select)
        .bind(after)
        .bind(limit)
        .fetch_all(pool)
        .await
        .map_err(driver("list peers' types"))?;
    found.iter().map(row::peer_type).collect()
}

pub(super) async fn keep(pool: &SqlitePool, row: &PeerTypeRow) -> Result<bool> {
    let insert = "INSERT INTO peer_type (cid, name, origin, bytes, fetched_at, used_at, body) \
                  VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (cid) DO NOTHING";
    let done = sqlx::query(insert)
        .bind(row.cid.as_str())
        .bind(row.name.as_str())
        .bind(row.origin.as_str())
        .bind(integer(row.bytes))
        .bind(row.fetched_at.as_microsecond())
        .bind(row.used_at.as_microsecond())
        .bind(row.body.as_ref())
        .execute(pool)
        .await
        .map_err(driver("keep a peer's type"))?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn used(pool: &SqlitePool, cid: &str, at: Timestamp) -> Result<()> {
    sqlx::query("UPDATE peer_type SET used_at = ?1 WHERE cid = ?2 AND used_at < ?1")
        .bind(at.as_microsecond())
        .bind(cid)
        .execute(pool)
        .await
        .map(drop)
        .map_err(driver("note that a peer's type is used"))
}

pub(super) async fn discard(pool: &SqlitePool, cid: &str) -> Result<bool> {
    let done = sqlx::query("DELETE FROM peer_type WHERE cid = ?")
        .bind(cid)
        .execute(pool)
        .await
        .map_err(driver("drop a peer's type"))?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn trim(pool: &SqlitePool, to: &TypeBounds) -> Result<u64> {
    let mut query = QueryBuilder::new(
        "DELETE FROM peer_type WHERE cid IN (SELECT cid FROM (SELECT cid, row_number() OVER newest AS number, \
         sum(bytes) OVER newest AS total FROM peer_type",
    );
    if let Some(origin) = &to.origin {
        query.push(" WHERE origin = ").push_bind(origin.as_str());
    }
    query
        .push(" WINDOW newest AS (ORDER BY used_at DESC, cid DESC ROWS UNBOUNDED PRECEDING)) WHERE number > ")
        .push_bind(integer(to.number))
        .push(" OR total > ")
        .push_bind(integer(to.bytes))
        .push(") AND cid NOT IN (");
    let mut list = query.separated(", ");
    for cid in &to.spared {
        list.push_bind(cid.as_str());
    }
    query.push(")");
    let done = query.build().persistent(false).execute(pool).await;
    done.map(|done| done.rows_affected())
        .map_err(driver("drop peers' types"))
}
