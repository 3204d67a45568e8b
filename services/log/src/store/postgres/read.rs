//! Reads outside of a batch.

use fedsx_proto::v1::{Entry, KvItem};
use fedsx_runtime::database::{
    driver, integer,
    postgres::{PATIENCE, call},
    successor,
};
use sqlx::{Execute, Executor as _, PgConnection, PgPool, Postgres, QueryBuilder, postgres::PgRow};

use super::{facts::Asked, found::Found, row, storable, write};
use crate::store::{By, DefinitionRow, Head, KvQuery, Need, PageQuery, Result, StreamRow};

/// The rows of a query. A connection that does not answer is closed.
pub(super) async fn rows<'q, E>(pool: &PgPool, query: E, action: &'static str) -> Result<Vec<PgRow>>
where
    E: Execute<'q, Postgres> + 'q,
{
    let fetch =
        async |connection: &mut PgConnection| connection.fetch_all(query).await.map_err(driver(action));
    call(pool, PATIENCE, fetch).await
}

pub(super) const HEAD: &str = "
SELECT position, log_public, (SELECT position FROM definition ORDER BY position DESC LIMIT 1) AS version,
       (SELECT version FROM kv_head ORDER BY version DESC LIMIT 1) AS kv_version
FROM head LEFT JOIN LATERAL (SELECT position, log_public FROM entry ORDER BY position DESC LIMIT 1) AS entry ON true";

/// What took effect after a position.
pub(super) const DEFINITIONS: &str = "SELECT * FROM definition WHERE position > $1 ORDER BY position";

pub(super) async fn definitions(pool: &PgPool, after: u64) -> Result<Vec<DefinitionRow>> {
    let query = sqlx::query(DEFINITIONS).bind(integer(after));
    let found = rows(pool, query, "read definitions").await?;
    found.iter().map(row::definition).collect()
}

pub(super) async fn head(pool: &PgPool) -> Result<Head> {
    let action = "read the head";
    let found = rows(pool, sqlx::query(HEAD), action).await?;
    let found = found
        .first()
        .ok_or(sqlx::Error::RowNotFound)
        .map_err(driver(action))?;
    row::head(found)
}

/// What [`row::entry`] reads. The stream is looked up for each entry: a join would be planned as one, and an entry without its
/// stream would be passed over.
const ENTRY: &str = "SELECT position, (SELECT name FROM stream WHERE id = entry.stream) AS stream, version, appended_at, public,
    cid, id_prefix, foreign_id, meta, body FROM ";
/// A named entry is looked for by its name before the first of them is chosen, lest they be walked through by position.
const FIRST: &str = "entry WHERE position = (SELECT min(position) FROM named)";

pub(super) async fn entry(pool: &PgPool, by: &By) -> Result<Option<Entry>> {
    let Some(mut query) = one(by) else {
        return Ok(None);
    };
    let found = rows(pool, query.build(), "read an entry").await?;
    found.first().map(row::entry).transpose()
}

/// The query of one entry; none where the database cannot have it.
pub(super) fn one(by: &By) -> Option<QueryBuilder<Postgres>> {
    let mut query = QueryBuilder::new("WITH named AS MATERIALIZED (SELECT position FROM entry WHERE ");
    match by {
        By::Position(position) => drop(query.push("position = ").push_bind(integer(*position))),
        By::Cid(text) | By::ActivityId(text) if !storable(text) => return None,
        By::Cid(cid) => drop(query.push("cid = ").push_bind(cid.as_str())),
        By::ActivityId(id) => {
            let (prefix, cid) = write::split(id);
            query.push("foreign_id = ").push_bind(id.as_str());
            query
                .push(" UNION ALL SELECT position FROM entry WHERE cid = ")
                .push_bind(cid);
            query.push(" AND id_prefix = ").push_bind(prefix);
        }
    }
    query.push(") ").push(ENTRY).push(FIRST);
    Some(query)
}

pub(super) async fn page(pool: &PgPool, page: &PageQuery) -> Result<Vec<Entry>> {
    if page.stream.as_deref().is_some_and(|stream| !storable(stream)) {
        return Ok(Vec::new());
    }
    entries(pool, several(page)).await
}

/// The query of a page.
pub(super) fn several(page: &PageQuery) -> QueryBuilder<Postgres> {
    let mut query = cut(page.descending);
    if page.stream.is_some() && !page.public_only {
        // Its index has those that address the public apart.
        query.push("SELECT * FROM ((");
        range(&mut query, page, Some("public"));
        query.push(") UNION ALL (");
        range(&mut query, page, Some("NOT public"));
        query.push(")) AS entry");
        in_order(&mut query, page);
    } else {
        range(&mut query, page, page.public_only.then_some("public"));
    }
    until(&mut query, page.descending, page.max_bytes);
    query
}

/// Up to the page's limit of entries of its stream, beyond where it begins.
fn range(query: &mut QueryBuilder<Postgres>, page: &PageQuery, which: Option<&str>) {
    query
        .push("SELECT * FROM entry WHERE position ")
        .push(if page.descending { "< " } else { "> " })
        .push_bind(integer(page.from));
    if let Some(stream) = &page.stream {
        query.push(" AND stream = (SELECT id FROM stream WHERE name = ");
        query.push_bind(stream.as_str()).push(")");
    }
    if let Some(which) = which {
        query.push(" AND ").push(which);
    }
    in_order(query, page);
}

fn in_order(query: &mut QueryBuilder<Postgres>, page: &PageQuery) {
    query
        .push(" ORDER BY position ")
        .push(order(page.descending))
        .push(" LIMIT ")
        .push_bind(i64::from(page.limit));
}

fn order(descending: bool) -> &'static str {
    if descending { "DESC" } else { "ASC" }
}

pub(super) async fn at(pool: &PgPool, positions: &[u64], max_bytes: u64) -> Result<Vec<Entry>> {
    entries(pool, several_at(positions, max_bytes)).await
}

/// The query of entries at positions.
pub(super) fn several_at(positions: &[u64], max_bytes: u64) -> QueryBuilder<Postgres> {
    let positions: Vec<_> = positions.iter().copied().map(integer).collect();
    let mut query = cut(false);
    query
        .push("SELECT * FROM entry WHERE position = ANY(")
        .push_bind(positions)
        .push(")");
    until(&mut query, false, max_bytes);
    query
}

/// The beginning of a query of entries that is cut where their bodies exceed the bytes; what chooses them follows. A size is
/// known without the body, so that nothing is loaded to be thrown away.
fn cut(descending: bool) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(ENTRY);
    query.push(format_args!(
        "(SELECT entry.*, sum(octet_length(body)) OVER (ORDER BY position {} ROWS UNBOUNDED PRECEDING)
                 - octet_length(body) AS before FROM (",
        order(descending)
    ));
    query
}

/// The end of what [`cut`] begins.
fn until(query: &mut QueryBuilder<Postgres>, descending: bool, max_bytes: u64) {
    query
        .push(") AS entry) AS entry WHERE before < ")
        .push_bind(integer(max_bytes))
        .push(" ORDER BY position ")
        .push(order(descending));
}

async fn entries(pool: &PgPool, mut query: QueryBuilder<Postgres>) -> Result<Vec<Entry>> {
    let found = rows(pool, query.build(), "read a page").await?;
    found.iter().map(row::entry).collect()
}

pub(super) async fn stream(pool: &PgPool, name: &str) -> Result<Option<StreamRow>> {
    let need = Need {
        streams: [name.to_owned()].into(),
        ..Need::default()
    };
    let asked = Asked::new(&need);
    let rows = rows(pool, asked.query(), "read a stream").await?;
    let (mut facts, _) = Found::new(&need, &asked).read(&rows)?;
    Ok(facts.streams.remove(name))
}

const KV: &str = "SELECT space, key, version, value FROM ";

pub(super) async fn kv_get(pool: &PgPool, space: &str, key: &str) -> Result<Option<KvItem>> {
    if !storable(space) || !storable(key) {
        return Ok(None);
    }
    let mut query = QueryBuilder::new(KV);
    query.push("kv WHERE space = ").push_bind(space);
    query.push(" AND key = ").push_bind(key);
    let found = rows(pool, query.build(), "read from kv").await?;
    found.first().map(row::kv).transpose()
}

pub(super) async fn kv_list(pool: &PgPool, list: &KvQuery) -> Result<Vec<KvItem>> {
    if !storable(&list.space) || !storable(&list.prefix) {
        return Ok(Vec::new());
    }
    // No key holds U+0000: those after a text that does are those after what stands before it.
    let after = list.after.split('\0').next().unwrap_or_default();
    let mut query = kv_range(&list.space, &list.prefix, after, list.limit, list.max_bytes);
    let found = rows(pool, query.build(), "list kv").await?;
    found.iter().map(row::kv).collect()
}

/// The query of a page of kv.
pub(super) fn kv_range(
    space: &str,
    prefix: &str,
    after: &str,
    limit: u32,
    max_bytes: u64,
) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(KV);
    query.push(
        "(SELECT kv.*, sum(octet_length(value)) OVER (ORDER BY key ROWS UNBOUNDED PRECEDING) - octet_length(value) AS before
          FROM (SELECT * FROM kv WHERE space = ",
    );
    query.push_bind(space);
    query.push(" AND key > ").push_bind(after);
    query.push(" AND key >= ").push_bind(prefix);
    if let Some(end) = successor(prefix) {
        query.push(" AND key < ").push_bind(end);
    }
    query.push(" ORDER BY key LIMIT ").push_bind(i64::from(limit));
    query.push(") AS kv) AS kv WHERE before < ");
    query.push_bind(integer(max_bytes)).push(" ORDER BY key");
    query
}
