//! Claims of flows.

use fedsx_runtime::database::driver;
use jiff::Timestamp;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection, SqlitePool};

use super::{read, write::listed};
use crate::store::{
    Result,
    decode::Columns as _,
    flows::{Claim, FlowRow},
    sqlite::{CHUNK, write::execute},
};

/// Of one kind those that have been due for longest, in the order of an index.
pub(super) const DUE: &str =
    "SELECT due, id FROM flow WHERE needs = ? AND due <= ? AND claim_until <= ? ORDER BY due LIMIT ?";

/// Those that can be claimed, with the time since when; the first of all kinds.
pub(super) async fn due(pool: &SqlitePool, claim: &Claim<'_>, now: Timestamp) -> Result<Vec<(i64, String)>> {
    let mut connection = pool.acquire().await.map_err(driver("begin a read"))?;
    first(&mut connection, claim, now).await
}

async fn first(
    connection: &mut SqliteConnection,
    claim: &Claim<'_>,
    now: Timestamp,
) -> Result<Vec<(i64, String)>> {
    let mut kinds = claim.kinds.to_vec();
    kinds.push("");
    kinds.sort_unstable();
    kinds.dedup();
    let mut due = Vec::new();
    for kind in kinds {
        let rows = sqlx::query(DUE)
            .bind(kind)
            .bind(now.as_microsecond())
            .bind(now.as_microsecond())
            .bind(claim.limit)
            .fetch_all(&mut *connection)
            .await
            .map_err(driver("find flows that are due"))?;
        for row in &rows {
            due.push((row.integer("due")?, row.text("id")?));
        }
    }
    due.sort_unstable();
    due.truncate(usize::try_from(claim.limit).unwrap_or(usize::MAX));
    Ok(due)
}

/// In a transaction that holds the write lock.
pub(super) async fn claim(
    connection: &mut SqliteConnection,
    claim: &Claim<'_>,
    now: Timestamp,
) -> Result<Vec<FlowRow>> {
    let first = first(connection, claim, now).await?;
    let ids: Vec<&str> = first.iter().map(|(_, id)| id.as_str()).collect();
    let until = now.saturating_add(claim.term).unwrap_or(Timestamp::MAX);
    let mut claimed = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(CHUNK) {
        let mut query = hand(claim.owner, until);
        query.push(" WHERE ");
        listed(&mut query, "id", chunk.iter().copied());
        execute(connection, query, "claim flows").await?;
        claimed.extend(read::with_ids(&mut *connection, chunk).await?);
    }
    claimed.sort_by(|a, b| (a.due, &a.id).cmp(&(b.due, &b.id)));
    Ok(claimed)
}

fn hand(owner: &str, until: Timestamp) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("UPDATE flow SET owner = ");
    query.push_bind(owner).push(", claim_until = ");
    query.push_bind(until.as_microsecond());
    query
}

pub(super) async fn renew(
    connection: &mut SqliteConnection,
    owner: &str,
    ids: &[&str],
    until: Timestamp,
) -> Result<Vec<String>> {
    let mut renewed = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(CHUNK) {
        let mut query = hand(owner, until);
        query.push(" WHERE owner = ").push_bind(owner).push(" AND ");
        listed(&mut query, "id", chunk.iter().copied());
        query.push(" RETURNING id");
        let rows = query.build().persistent(false).fetch_all(&mut *connection).await;
        for row in rows.map_err(driver("renew claims"))? {
            renewed.push(row.text("id")?);
        }
    }
    Ok(renewed)
}

pub(super) const RELEASE_ALL: &str =
    "UPDATE flow SET owner = '', claim_until = 0 WHERE owner = ? AND owner <> ''";

pub(super) async fn release(
    connection: &mut SqliteConnection,
    owner: &str,
    ids: Option<&[&str]>,
) -> Result<()> {
    let Some(ids) = ids else {
        let done = sqlx::query(RELEASE_ALL).bind(owner).execute(connection).await;
        return done.map_err(driver("release claims")).map(drop);
    };
    for chunk in ids.chunks(CHUNK) {
        let mut query = QueryBuilder::new("UPDATE flow SET owner = '', claim_until = 0 WHERE owner = ");
        query.push_bind(owner).push(" AND ");
        listed(&mut query, "id", chunk.iter().copied());
        execute(connection, query, "release claims").await?;
    }
    Ok(())
}
