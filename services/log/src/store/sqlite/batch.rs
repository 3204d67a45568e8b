//! The one transaction that may number entries.

use std::sync::Arc;

use async_trait::async_trait;
use fedsx_proto::v1::Entry;
use fedsx_runtime::{
    clock::Clock,
    database::{driver, integer},
};
use sqlx::{QueryBuilder, SqliteConnection, Transaction};

use super::{CHUNK, Sqlite, facts, read};
use crate::store::{Batch, DefinitionRow, DraftKeyRow, Facts, Head, KvRow, Need, Result, Rows, StreamRow};

pub(super) struct SqliteBatch {
    transaction: Transaction<'static, sqlx::Sqlite>,
    clock: Arc<dyn Clock>,
}

impl SqliteBatch {
    pub(super) async fn begin(store: &Sqlite) -> Result<Self> {
        Ok(Self {
            transaction: store.pools.begin().await?,
            clock: store.clock.clone(),
        })
    }
}

#[async_trait]
impl Batch for SqliteBatch {
    async fn facts(&mut self, need: &Need) -> Result<Facts> {
        let facts = facts::read(&mut self.transaction, need).await?;
        Ok(Facts {
            now: self.clock.now(),
            ..facts
        })
    }

    async fn definitions(&mut self, after: u64) -> Result<Vec<DefinitionRow>> {
        read::definitions(&mut *self.transaction, after).await
    }

    async fn commit(mut self: Box<Self>, rows: &Rows) -> Result<()> {
        let connection = &mut *self.transaction;
        entries(connection, &rows.entries).await?;
        streams(connection, &rows.streams).await?;
        draft_keys(connection, &rows.draft_keys).await?;
        definitions(connection, &rows.definitions).await?;
        kv(connection, &rows.kv).await?;
        head(connection, rows.head).await?;
        self.transaction.commit().await.map_err(driver("commit a batch"))
    }
}

async fn entries(connection: &mut SqliteConnection, rows: &[Entry]) -> Result<()> {
    for chunk in rows.chunks(CHUNK) {
        let metas = chunk.iter().map(meta).collect::<Result<Vec<_>>>()?;
        let mut query = QueryBuilder::new(
            "INSERT INTO entry (position, stream, version, cid, activity_id, public, appended_at, meta, body) ",
        );
        query.push_values(chunk.iter().zip(metas), |mut row, (entry, meta)| {
            row.push_bind(integer(entry.position))
                .push_bind(entry.stream.as_str())
                .push_bind(integer(entry.version))
                .push_bind(entry.cid.as_str())
                .push_bind(Some(entry.activity_id.as_str()).filter(|id| !id.is_empty()))
                .push_bind(entry.public)
                .push_bind(entry.appended_at_us)
                .push_bind(meta)
                .push_bind(entry.body.as_ref());
        });
        write(connection, query, "insert entries").await?;
    }
    Ok(())
}

fn meta(entry: &Entry) -> Result<String> {
    let meta = entry.meta.clone().unwrap_or_default();
    serde_json::to_string(&meta).map_err(driver("write an entry's meta"))
}

async fn streams(connection: &mut SqliteConnection, rows: &[StreamRow]) -> Result<()> {
    for chunk in rows.chunks(CHUNK) {
        let mut query =
            QueryBuilder::new("INSERT INTO stream (name, version, public, published, public_cid) ");
        query.push_values(chunk, |mut row, stream| {
            row.push_bind(stream.name.as_str())
                .push_bind(integer(stream.version))
                .push_bind(integer(stream.public))
                .push_bind(stream.published.map(jiff::Timestamp::as_microsecond))
                .push_bind(stream.public_cid.as_ref().map(fedsx_kernel::cid::Cid::as_str));
        });
        query.push(
            " ON CONFLICT (name) DO UPDATE SET version = excluded.version, public = excluded.public, \
             published = excluded.published, public_cid = excluded.public_cid",
        );
        write(connection, query, "write streams").await?;
    }
    Ok(())
}

async fn draft_keys(connection: &mut SqliteConnection, rows: &[DraftKeyRow]) -> Result<()> {
    for chunk in rows.chunks(CHUNK) {
        let mut query = QueryBuilder::new("INSERT INTO draft_key (stream, key, cid) ");
        query.push_values(chunk, |mut row, key| {
            row.push_bind(key.stream.as_str())
                .push_bind(key.key.as_str())
                .push_bind(key.cid.as_str());
        });
        write(connection, query, "insert draft keys").await?;
    }
    Ok(())
}

async fn definitions(connection: &mut SqliteConnection, rows: &[DefinitionRow]) -> Result<()> {
    for chunk in rows.chunks(CHUNK) {
        let mut query = QueryBuilder::new("INSERT INTO definition (position, kind, name, cid, body) ");
        query.push_values(chunk, |mut row, definition| {
            row.push_bind(integer(definition.position))
                .push_bind(definition.kind.as_str())
                .push_bind(definition.name.as_str())
                .push_bind(definition.cid.as_str())
                .push_bind(definition.body.as_ref());
        });
        write(connection, query, "insert definitions").await?;
    }
    Ok(())
}

async fn kv(connection: &mut SqliteConnection, rows: &[KvRow]) -> Result<()> {
    let (put, deleted): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.value.is_some());
    for chunk in deleted.chunks(CHUNK) {
        let mut query = QueryBuilder::new("DELETE FROM kv WHERE (space, key) IN (");
        query.push_values(chunk, |mut tuple, row| {
            tuple.push_bind(row.space.as_str()).push_bind(row.key.as_str());
        });
        query.push(")");
        write(connection, query, "delete from kv").await?;
    }
    for chunk in put.chunks(CHUNK) {
        let mut query = QueryBuilder::new("INSERT INTO kv (space, key, version, value) ");
        query.push_values(chunk, |mut tuple, row| {
            tuple
                .push_bind(row.space.as_str())
                .push_bind(row.key.as_str())
                .push_bind(integer(row.version))
                .push_bind(row.value.as_deref());
        });
        query.push(
            " ON CONFLICT (space, key) DO UPDATE SET version = excluded.version, value = excluded.value",
        );
        write(connection, query, "write kv").await?;
    }
    Ok(())
}

async fn head(connection: &mut SqliteConnection, head: Head) -> Result<()> {
    sqlx::query("UPDATE head SET position = ?, public = ?, kv_version = ?")
        .bind(integer(head.position))
        .bind(integer(head.public))
        .bind(integer(head.kv_version))
        .execute(connection)
        .await
        .map(drop)
        .map_err(driver("move the head"))
}

async fn write(
    connection: &mut SqliteConnection,
    mut query: QueryBuilder<sqlx::Sqlite>,
    action: &'static str,
) -> Result<()> {
    query
        .build()
        .persistent(false)
        .execute(connection)
        .await
        .map(drop)
        .map_err(driver(action))
}
