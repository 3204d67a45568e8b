//! What is SQLite's own: durability settings, broken rows.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Row as _, SqlitePool};

use super::{Sqlite, memory, open};
use crate::store::{
    By, Need, Store, StoreError,
    conformance::direct::{assert_harms_no_neighbour, fill, need},
};

async fn filled() -> Sqlite {
    let store = memory().await.unwrap();
    fill(&store).await;
    store
}

#[tokio::test]
async fn every_connection_syncs_each_commit_to_a_write_ahead_log() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path().join("log.db")).await.unwrap();
    for (pool, query_only) in [(&store.pools.writer, 0), (&store.pools.reader, 1)] {
        assert_eq!(pragma::<String>(pool, "journal_mode").await, "wal");
        assert_eq!(pragma::<i64>(pool, "synchronous").await, 2);
        assert_eq!(pragma::<i64>(pool, "query_only").await, query_only);
    }
    store.close().await;
}

async fn pragma<T>(pool: &SqlitePool, name: &str) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    let row = sqlx::query(AssertSqlSafe(format!("PRAGMA {name}")))
        .fetch_one(pool)
        .await
        .unwrap();
    row.get(0)
}

#[tokio::test]
async fn a_broken_row_names_its_table_column_and_key() {
    let table = [
        ("UPDATE entry SET meta = '{'", "entry", "meta", "1"),
        ("UPDATE entry SET version = -1", "entry", "version", "1"),
        (
            "UPDATE stream SET public_cid = 'nothing'",
            "stream",
            "public_cid",
            "outbox/alice",
        ),
        (
            "UPDATE stream SET version = -1",
            "stream",
            "version",
            "outbox/alice",
        ),
        (
            "UPDATE stream SET published = 9223372036854775807",
            "stream",
            "published",
            "outbox/alice",
        ),
        ("UPDATE kv SET version = -1", "kv", "version", "stock k"),
        ("UPDATE head SET position = -1", "head", "position", "1"),
    ];
    for (damage, table, column, key) in table {
        let store = filled().await;
        sqlx::query(damage).execute(&store.pools.writer).await.unwrap();
        let mut batch = store.begin().await.unwrap();
        let facts = batch.facts(&need()).await.err();
        drop(batch);
        let errors = [
            facts,
            store.head().await.err(),
            store.entry(&By::Position(1)).await.err(),
            store.stream("outbox/alice").await.err(),
            store.kv_get("stock", "k").await.err(),
        ];
        let error = errors.into_iter().flatten().next().unwrap();
        let StoreError::Corrupt {
            table: in_table,
            column: in_column,
            key: of_key,
            ..
        } = &error
        else {
            panic!("{damage}: {error}");
        };
        assert_eq!(
            (*in_table, *in_column, of_key.as_str()),
            (table, column, key),
            "{damage}"
        );
    }
}

#[tokio::test]
async fn one_requests_broken_row_harms_no_neighbour() {
    let store = filled().await;
    sqlx::query("UPDATE stream SET version = -1")
        .execute(&store.pools.writer)
        .await
        .unwrap();
    let broken = "table `stream`, column `version`, key \"outbox/alice\"";
    assert_harms_no_neighbour(Arc::new(store), broken).await;
}

#[tokio::test]
async fn the_facts_are_dated_by_the_given_clock() {
    let now = jiff::Timestamp::from_microsecond(42).unwrap();
    let clock = Arc::new(fedsx_runtime::clock::ManualClock::new(now));
    let store = memory().await.unwrap().with_clock(clock);
    assert_eq!(
        store
            .begin()
            .await
            .unwrap()
            .facts(&Need::default())
            .await
            .unwrap()
            .now,
        now
    );
}
