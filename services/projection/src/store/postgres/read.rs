//! Reads, each one statement, and so of one moment.

use fedsx_kernel::origin::Origin;
use fedsx_runtime::database::{driver, integer, successor};
use futures::TryStreamExt as _;
use sqlx::{PgConnection, Postgres, QueryBuilder, postgres::PgRow};

use crate::{
    shard::{ShardId, shard_of},
    store::{
        Changed, Page, PageQuery, Place, Reach, Result, Row, Shard,
        decode::{self, Columns as _},
        is_key,
    },
};

pub(super) const ROWS: &str = "SELECT key, position, value FROM view_row WHERE view = $1 AND key = ANY($2)";
pub(super) const ROWS_OF_PEER: &str =
    "SELECT key, position, value FROM view_row WHERE view = $1 AND peer = $2";
pub(super) const ROW: &str = "
    SELECT shard.position AS reached, shard.halted, view_row.key, view_row.position, view_row.value
    FROM shard LEFT JOIN view_row ON view_row.view = shard.view AND view_row.key = $3
    WHERE shard.view = $1 AND shard.shard = $2";

const REACH: &str = "
    SELECT position AS reached, halted FROM shard WHERE view = $1 ORDER BY position, halted IS NULL LIMIT 1";
/// Where there is no key, every row of the position has been seen.
pub(super) const CHANGED: &str = "
    SELECT key, position, value FROM view_row
    WHERE view = $1 AND position >= $2 AND (position > $2 OR key > $3)
    ORDER BY position, key LIMIT $4";

pub(super) async fn rows(connection: &mut PgConnection, view: &str, keys: &[&str]) -> Result<Vec<Row>> {
    let keys: Vec<&str> = keys.iter().copied().filter(|key| is_key(key)).collect();
    let rows = sqlx::query(ROWS)
        .bind(view)
        .bind(keys)
        .fetch_all(connection)
        .await;
    let rows = rows.map_err(driver("read rows"))?;
    rows.iter().map(decode::view_row).collect()
}

/// Most rows may be of other shards: they are passed over as they come, so that only what is asked for is ever kept.
pub(super) async fn rows_of_peer(
    connection: &mut PgConnection,
    view: &str,
    peer: &Origin,
    shards: &[u32],
    limit: usize,
) -> Result<Vec<Row>> {
    let query = sqlx::query(ROWS_OF_PEER);
    let mut rows = query.bind(view).bind(peer.as_str()).fetch(connection);
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

pub(super) async fn row(
    connection: &mut PgConnection,
    shard: &ShardId,
    key: &str,
) -> Result<Option<(Option<Row>, Reach)>> {
    let found = sqlx::query(ROW)
        .bind(shard.view.as_str())
        .bind(i64::from(shard.shard))
        // NULL is no row's key.
        .bind(is_key(key).then_some(key))
        .fetch_optional(connection)
        .await
        .map_err(driver("read a row"))?;
    let Some(found) = found else { return Ok(None) };
    Ok(Some((joined(&found)?, decode::reach(&found, key)?)))
}

pub(super) async fn page(connection: &mut PgConnection, page: &PageQuery) -> Result<Option<Page>> {
    let found = page_query(page).build().fetch_all(connection).await;
    let found = found.map_err(driver("read a page"))?;
    let Some(first) = found.first() else {
        return Ok(None);
    };
    let rows = found.iter().filter_map(|row| joined(row).transpose());
    Ok(Some(Page {
        reach: decode::reach(first, &page.view)?,
        total: decode::unsigned(first, "view_row", "total", &page.prefix)?,
        rows: rows.collect::<Result<_>>()?,
    }))
}

/// One row for each row of the page, or one without; each with the view's position and the count. The bytes of the page
/// are bounded here, so that nothing is sent that is not answered.
pub(super) fn page_query(page: &PageQuery) -> QueryBuilder<Postgres> {
    let sound = is_key(&page.prefix);
    let mut query = QueryBuilder::new("WITH reach AS (SELECT position, halted FROM shard WHERE view = ");
    query.push_bind(page.view.clone());
    query.push(
        " ORDER BY position, halted IS NULL LIMIT 1), page AS (SELECT key, position, value FROM view_row",
    );
    prefixed(&mut query, page);
    query.push(" AND key > ").push_bind(text(&page.after).to_owned());
    let limit = if sound { i64::from(page.limit) } else { 0 };
    query.push(" ORDER BY key LIMIT ").push_bind(limit);
    query.push(
        "), summed AS (SELECT *, octet_length(value) AS own, sum(octet_length(value)) OVER (ORDER BY key) AS bytes FROM page)
         SELECT reach.position AS reached, reach.halted, summed.key, summed.position, summed.value, ",
    );
    if page.count && sound {
        query.push("(SELECT count(*) FROM view_row");
        prefixed(&mut query, page);
        query.push(")");
    } else {
        query.push("0::bigint");
    }
    query.push(" AS total FROM reach LEFT JOIN summed ON summed.bytes = summed.own OR summed.bytes <= ");
    query
        .push_bind(integer(page.max_bytes))
        .push(" ORDER BY summed.key");
    query
}

fn prefixed(query: &mut QueryBuilder<Postgres>, page: &PageQuery) {
    query.push(" WHERE view = ").push_bind(page.view.clone());
    query
        .push(" AND key >= ")
        .push_bind(text(&page.prefix).to_owned());
    if let Some(end) = successor(text(&page.prefix)) {
        query.push(" AND key < ").push_bind(end);
    }
}

/// As far as PostgreSQL takes a text. No key has NUL, so the keys after this part are those after the whole.
fn text(text: &str) -> &str {
    text.split('\0').next().unwrap_or_default()
}

/// The row of a view beside which its position was read; none: there was only the position.
fn joined(found: &PgRow) -> Result<Option<Row>> {
    let exists = found.optional_text("key")?.is_some();
    exists.then(|| decode::view_row(found)).transpose()
}

pub(super) async fn changed(
    connection: &mut PgConnection,
    view: &str,
    after: &Place,
    limit: u32,
) -> Result<Option<Changed>> {
    // First how far the view is: the rows may be further, never less far.
    let reached = sqlx::query(REACH)
        .bind(view)
        .fetch_optional(&mut *connection)
        .await;
    let Some(reached) = reached.map_err(driver("read how far a view is"))? else {
        return Ok(None);
    };
    let rows = sqlx::query(CHANGED)
        .bind(view)
        .bind(integer(after.position))
        .bind(after.key.as_deref())
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await
        .map_err(driver("read changed rows"))?;
    Ok(Some(Changed {
        rows: rows.iter().map(decode::view_row).collect::<Result<_>>()?,
        reach: decode::reach(&reached, view)?,
    }))
}

pub(super) async fn shards(connection: &mut PgConnection) -> Result<Vec<Shard>> {
    let rows = sqlx::query("SELECT * FROM shard ORDER BY view, shard")
        .fetch_all(connection)
        .await
        .map_err(driver("read shards"))?;
    rows.iter().map(decode::shard).collect()
}
