//! Reads outside of a batch.

use fedsx_proto::v1::{Entry, KvItem};
use fedsx_runtime::database::{driver, integer, successor};
use sqlx::{QueryBuilder, Sqlite, SqlitePool};

use super::{CHUNK, row};
use crate::store::{By, DefinitionRow, Head, KvQuery, PageQuery, Result, StreamRow};

pub(super) async fn head(pool: &SqlitePool) -> Result<Head> {
    let found = sqlx::query(row::HEAD)
        .fetch_one(pool)
        .await
        .map_err(driver("read the head"))?;
    row::head(&found)
}

pub(super) async fn definitions(
    executor: impl sqlx::Executor<'_, Database = Sqlite>,
    after: u64,
) -> Result<Vec<DefinitionRow>> {
    let found = sqlx::query("SELECT * FROM definition WHERE position > ? ORDER BY position")
        .bind(integer(after))
        .fetch_all(executor)
        .await
        .map_err(driver("read definitions"))?;
    found.iter().map(row::definition).collect()
}

pub(super) async fn entry(pool: &SqlitePool, by: &By) -> Result<Option<Entry>> {
    let query = match by {
        By::Position(position) => {
            sqlx::query("SELECT * FROM entry WHERE position = ?").bind(integer(*position))
        }
        By::Cid(cid) => {
            sqlx::query("SELECT * FROM entry WHERE cid = ? ORDER BY position LIMIT 1").bind(cid.as_str())
        }
        By::ActivityId(id) => {
            sqlx::query("SELECT * FROM entry WHERE activity_id = ? ORDER BY position LIMIT 1")
                .bind(id.as_str())
        }
    };
    let found = query
        .fetch_optional(pool)
        .await
        .map_err(driver("read an entry"))?;
    found.as_ref().map(row::entry).transpose()
}

pub(super) async fn page(pool: &SqlitePool, page: &PageQuery) -> Result<Vec<Entry>> {
    let order = if page.descending { "DESC" } else { "ASC" };
    let mut query = QueryBuilder::new(CHOSEN);
    query
        .push(if page.descending { " < " } else { " > " })
        .push_bind(integer(page.from));
    if let Some(stream) = &page.stream {
        query.push(" AND stream = ").push_bind(stream.as_str());
    }
    if page.public_only {
        query.push(" AND public = 1");
    }
    query
        .push(format_args!(" ORDER BY position {order} LIMIT "))
        .push_bind(page.limit);
    entries(pool, query, order, page.max_bytes).await
}

pub(super) async fn at(pool: &SqlitePool, positions: &[u64], max_bytes: u64) -> Result<Vec<Entry>> {
    let mut query = QueryBuilder::new(CHOSEN);
    query.push(" IN (");
    let mut list = query.separated(", ");
    for position in positions.iter().take(CHUNK) {
        list.push_bind(integer(*position));
    }
    query.push(")");
    entries(pool, query, "ASC", max_bytes).await
}

const CHOSEN: &str = "WITH chosen AS (SELECT position, length(body) AS size FROM entry WHERE position";

/// The chosen entries, cut where their bodies exceed the bytes: sizes are read without the bodies, so that nothing is
/// loaded to be thrown away.
async fn entries(
    pool: &SqlitePool,
    mut query: QueryBuilder<Sqlite>,
    order: &str,
    max_bytes: u64,
) -> Result<Vec<Entry>> {
    query.push(format_args!(
        "), cut AS (SELECT position, sum(size) OVER (ORDER BY position {order} ROWS UNBOUNDED PRECEDING) - size
                    AS before FROM chosen)
        SELECT entry.* FROM cut CROSS JOIN entry USING (position) WHERE before < "
    ));
    query
        .push_bind(integer(max_bytes))
        .push(format_args!(" ORDER BY position {order}"));
    let rows = query
        .build()
        .fetch_all(pool)
        .await
        .map_err(driver("read a page"))?;
    rows.iter().map(row::entry).collect()
}

pub(super) async fn stream(pool: &SqlitePool, name: &str) -> Result<Option<StreamRow>> {
    let found = sqlx::query("SELECT * FROM stream WHERE name = ?")
        .bind(name)
        .fetch_optional(pool)
        .await
        .map_err(driver("read a stream"))?;
    found.as_ref().map(row::stream).transpose()
}

pub(super) async fn kv_get(pool: &SqlitePool, space: &str, key: &str) -> Result<Option<KvItem>> {
    let found = sqlx::query("SELECT space, key, version, value FROM kv WHERE space = ? AND key = ?")
        .bind(space)
        .bind(key)
        .fetch_optional(pool)
        .await
        .map_err(driver("read from kv"))?;
    found.as_ref().map(row::kv).transpose()
}

pub(super) async fn kv_list(pool: &SqlitePool, list: &KvQuery) -> Result<Vec<KvItem>> {
    let mut query =
        QueryBuilder::new("WITH chosen AS (SELECT key, length(value) AS size FROM kv WHERE space = ");
    query
        .push_bind(list.space.as_str())
        .push(" AND key > ")
        .push_bind(list.after.as_str());
    query.push(" AND key >= ").push_bind(list.prefix.as_str());
    if let Some(end) = successor(&list.prefix) {
        query.push(" AND key < ").push_bind(end);
    }
    query.push(" ORDER BY key LIMIT ").push_bind(list.limit);
    query.push(
        "), cut AS (SELECT key, sum(size) OVER (ORDER BY key ROWS UNBOUNDED PRECEDING) - size AS before FROM chosen)
        SELECT kv.* FROM cut CROSS JOIN kv USING (key) WHERE before < ",
    );
    query.push_bind(integer(list.max_bytes));
    query
        .push(" AND space = ")
        .push_bind(list.space.as_str())
        .push(" ORDER BY key");
    let rows = query.build().fetch_all(pool).await.map_err(driver("list kv"))?;
    rows.iter().map(row::kv).collect()
}
