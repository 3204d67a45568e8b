//! Reads, each of one moment.

use fedsx_kernel::origin::Origin;
use fedsx_runtime::database::{driver, integer, successor};
use futures::TryStreamExt as _;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection, SqliteExecutor, SqlitePool};

use super::CHUNK;
use crate::{
    shard::{ShardId, shard_of},
    store::{
        Changed, Page, PageQuery, Place, Reach, Result, Row, Shard,
        decode::{self, Columns as _},
    },
};

/// Where there is no key, every row of the position has been seen.
const CHANGED: &str = "
    SELECT key, position, value FROM view_row
    WHERE view = ?1 AND position >= ?2 AND (position > ?2 OR key > ?3)
    ORDER BY position, key LIMIT ?4";

pub(super) async fn rows(pool: &SqlitePool, view: &str, keys: &[&str]) -> Result<Vec<Row>> {
    let mut found = Vec::new();
    for chunk in keys.chunks(CHUNK) {
        let mut query = QueryBuilder::new("SELECT key, position, value FROM view_row WHERE view = ");
        query.push_bind(view).push(" AND key IN (");
        let mut list = query.separated(", ");
        for key in chunk {
            list.push_bind(*key);
        }
        query.push(")");
        let rows = query.build().persistent(false).fetch_all(pool).await;
        for row in rows.map_err(driver("read rows"))? {
            found.push(decode::view_row(&row)?);
        }
    }
    Ok(found)
}

/// Most rows may be of other shards: they are passed over as they come, so that only what is asked for is ever kept.
pub(super) async fn rows_of_peer(
    pool: &SqlitePool,
    view: &str,
    peer: &Origin,
    shards: &[u32],
    limit: usize,
) -> Result<Vec<Row>> {
    let query = sqlx::query("SELECT key, position, value FROM view_row WHERE view = ? AND peer = ?");
    let mut rows = query.bind(view).bind(peer.as_str()).fetch(pool);
    let mut found = Vec::new();
    while found.len() < limit
        && let Some(row) = rows.try_next().await.map_err(driver("read the rows of a peer"))?
    {
        let row = decode::view_row(&row)?;
        if shards.contains(&shard_of(&row.key)) {
            found.push(row);
        }
    }
    Ok(found)
}

/// One statement, so that the row and how far its shard is are of one moment.
pub(super) async fn row(
    pool: &SqlitePool,
    shard: &ShardId,
    key: &str,
) -> Result<Option<(Option<Row>, Reach)>> {
    let found = sqlx::query(
        "SELECT shard.position AS reached, shard.halted, view_row.key, view_row.position, view_row.value
         FROM shard LEFT JOIN view_row ON view_row.view = shard.view AND view_row.key = ?
         WHERE shard.view = ? AND shard.shard = ?",
    )
    .bind(key)
    .bind(shard.view.as_str())
    .bind(shard.shard)
    .fetch_optional(pool)
    .await
    .map_err(driver("read a row"))?;
    let Some(found) = found else { return Ok(None) };
    let reach = decode::reach(&found, key)?;
    let exists = found.optional_text("key")?.is_some();
    let row = exists.then(|| decode::view_row(&found)).transpose()?;
    Ok(Some((row, reach)))
}

pub(super) async fn page(pool: &SqlitePool, page: &PageQuery) -> Result<Option<Page>> {
    // A transaction, so that rows, count and position are of one moment.
    let mut transaction = pool.begin().await.map_err(driver("begin a read"))?;
    let Some(reach) = reach(&mut transaction, &page.view).await? else {
        return Ok(None);
    };
    let rows = page_rows(&mut transaction, page).await?;
    let total = if page.count {
        count(&mut transaction, page).await?
    } else {
        0
    };
    transaction.commit().await.map_err(driver("end a read"))?;
    Ok(Some(Page { rows, reach, total }))
}

/// Where the last of the view's shards stands; of several, one that stands still.
async fn reach(connection: &mut SqliteConnection, view: &str) -> Result<Option<Reach>> {
    let found = sqlx::query(
        "SELECT position AS reached, halted FROM shard WHERE view = ? ORDER BY position, halted IS NULL LIMIT 1",
    )
    .bind(view)
    .fetch_optional(connection)
    .await
    .map_err(driver("read how far a view is"))?;
    found.map(|row| decode::reach(&row, view)).transpose()
}

async fn page_rows(connection: &mut SqliteConnection, page: &PageQuery) -> Result<Vec<Row>> {
    let mut query = QueryBuilder::new("SELECT key, position, value FROM view_row");
    prefixed(&mut query, page);
    query.push(" AND key > ").push_bind(page.after.as_str());
    query.push(" ORDER BY key LIMIT ").push_bind(page.limit);
    let mut found = query.build().fetch(connection);
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while let Some(row) = found.try_next().await.map_err(driver("read a page"))? {
        let row = decode::view_row(&row)?;
        bytes += u64::try_from(row.value.len()).unwrap_or(u64::MAX);
        if bytes > page.max_bytes && !rows.is_empty() {
            break;
        }
        rows.push(row);
    }
    Ok(rows)
}

async fn count(connection: &mut SqliteConnection, page: &PageQuery) -> Result<u64> {
    let mut query = QueryBuilder::new("SELECT count(*) AS total FROM view_row");
    prefixed(&mut query, page);
    let counted = query.build().fetch_one(connection).await;
    decode::unsigned(
        &counted.map_err(driver("count rows"))?,
        "view_row",
        "total",
        &page.prefix,
    )
}

fn prefixed(query: &mut QueryBuilder<Sqlite>, page: &PageQuery) {
    query.push(" WHERE view = ").push_bind(page.view.as_str());
    query.push(" AND key >= ").push_bind(page.prefix.as_str());
    if let Some(end) = successor(&page.prefix) {
        query.push(" AND key < ").push_bind(end);
    }
}

pub(super) async fn changed(
    pool: &SqlitePool,
    view: &str,
    after: &Place,
    limit: u32,
) -> Result<Option<Changed>> {
    // First how far the view is: the rows may be further, never less far.
    let mut connection = pool.acquire().await.map_err(driver("begin a read"))?;
    let Some(reach) = reach(&mut connection, view).await? else {
        return Ok(None);
    };
    let rows = sqlx::query(CHANGED)
        .bind(view)
        .bind(integer(after.position))
        .bind(after.key.as_deref())
        .bind(limit)
        .fetch_all(&mut *connection)
        .await
        .map_err(driver("read changed rows"))?;
    let rows = rows.iter().map(decode::view_row).collect::<Result<_>>()?;
    Ok(Some(Changed { rows, reach }))
}

pub(super) async fn shards(executor: impl SqliteExecutor<'_>) -> Result<Vec<Shard>> {
    let rows = sqlx::query("SELECT * FROM shard ORDER BY view, shard")
        .fetch_all(executor)
        .await
        .map_err(driver("read shards"))?;
    rows.iter().map(decode::shard).collect()
}

#[cfg(test)]
mod tests {
    use sqlx::Row as _;

    /// Each of these would be slow in a large view if it were answered by a scan.
    #[tokio::test]
    async fn every_read_of_rows_goes_by_an_index() {
        let clock = std::sync::Arc::new(fedsx_runtime::clock::SystemClock);
        let store = super::super::memory(clock).await.unwrap();
        for sql in [
            "SELECT value FROM view_row WHERE view = 'v' AND key IN ('a', 'b')",
            "SELECT value FROM view_row WHERE view = 'v' AND peer = 'p'",
            "SELECT value FROM view_row WHERE view = 'v' AND key >= 'a' AND key < 'b' AND key > 'a1' ORDER BY key LIMIT 5",
            "SELECT count(*) FROM view_row WHERE view = 'v' AND key >= 'a' AND key < 'b'",
            super::CHANGED,
            "SELECT key, position, value FROM view_row WHERE view = 'v' ORDER BY key",
            "DELETE FROM view_row WHERE (view, key) IN (VALUES ('v', 'a'), ('v', 'b'))",
        ] {
            let plan = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")))
                .fetch_all(&store.pools.reader)
                .await
                .unwrap();
            let steps: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
            assert!(
                steps.iter().any(|step| step.contains("SEARCH view_row USING")),
                "{sql}: {steps:?}"
            );
            assert!(
                !steps.iter().any(|step| step.contains("SCAN view_row")),
                "{sql}: {steps:?}"
            );
            let counts = sql.contains("count(*)");
            assert!(
                !counts || steps.iter().any(|step| step.contains("COVERING INDEX")),
                "{sql}: {steps:?}"
            );
            assert!(
                !steps
                    .iter()
                    .any(|step| step.ends_with("TEMP B-TREE FOR ORDER BY")),
                "{sql}: {steps:?}"
            );
        }
    }
}
