//! Broken rows, names as long as they may be, and the clock.

use std::{collections::HashSet, sync::Arc};

use fedsx_runtime::clock::ManualClock;
use sqlx::Row as _;

use super::{Database, execute, filled, open, outside};
use crate::{
    limits::{MAX_DRAFT_KEY, MAX_ID, MAX_KEY, MAX_SPACE},
    store::{
        By, Need, Store, StoreError,
        conformance::{
            direct::{ALICE, assert_harms_no_neighbour, need, rows},
            harness::eventually,
        },
    },
};

#[tokio::test]
async fn a_broken_row_names_its_table_column_and_key() {
    let table = [
        ("UPDATE log.entry SET meta = '{'", "entry", "meta", "1"),
        ("UPDATE log.entry SET version = -1", "entry", "version", "1"),
        ("UPDATE log.entry SET log_public = -1", "entry", "log_public", "1"),
        (
            "UPDATE log.entry SET stream_public = -1",
            "entry",
            "stream_public",
            "1",
        ),
        (
            "UPDATE log.entry SET published = 9223372036854775807",
            "entry",
            "published",
            "1",
        ),
        ("UPDATE log.entry SET cid = 'nothing'", "entry", "cid", "1"),
        ("DELETE FROM log.stream", "entry", "stream", "1"),
        ("UPDATE log.kv SET version = -1", "kv", "version", "stock k"),
        ("UPDATE log.kv_head SET version = -1", "kv_head", "version", "-1"),
        ("DELETE FROM log.kv_head", "kv_head", "version", "?"),
    ];
    for (damage, table, column, key) in table {
        let (database, store) = filled().await;
        execute(&mut outside(database.url()).await, damage).await;
        let mut batch = store.begin().await.unwrap();
        let facts = batch.facts(&need()).await.err();
        drop(batch);
        let errors = [
            facts,
            store.head().await.err(),
            store.entry(&By::Position(1)).await.err(),
            store.stream(ALICE).await.err(),
            store.kv_get("stock", "k").await.err(),
        ];
        let errors: Vec<_> = errors.into_iter().flatten().collect();
        assert!(!errors.is_empty(), "{damage}");
        for error in errors {
            let expected = format!("corrupt row in table `{table}`, column `{column}`, key {key:?}");
            assert!(error.to_string().starts_with(&expected), "{damage}: {error}");
        }
    }
}

#[tokio::test]
async fn nothing_is_numbered_where_there_is_no_head_to_lock() {
    let (database, store) = filled().await;
    execute(&mut outside(database.url()).await, "DELETE FROM log.head").await;
    let error = store.begin().await.err().unwrap();
    assert!(
        matches!(error, StoreError::Corrupt { table: "head", .. }),
        "{error}"
    );
    execute(
        &mut outside(database.url()).await,
        "INSERT INTO log.head (id) VALUES (1)",
    )
    .await;
    assert!(store.begin().await.is_ok());
}

#[tokio::test]
async fn one_requests_broken_row_harms_no_neighbour() {
    let (database, store) = filled().await;
    execute(
        &mut outside(database.url()).await,
        "UPDATE log.entry SET version = -1",
    )
    .await;
    assert_harms_no_neighbour(Arc::new(store), "table `entry`, column `version`, key \"1\"").await;
}

/// Whatever a name holds, it fits into the indexes that it is in.
#[tokio::test]
async fn the_longest_names_are_kept() {
    let database = Database::create().await;
    let store = open(database.url()).await.unwrap();
    // Does not compress.
    let text = |length: usize| -> String {
        let digests = (0_u64..).flat_map(|number| {
            crate::plan::testing::cid(&number.to_string())
                .to_string()
                .into_bytes()
        });
        String::from_utf8(digests.take(length).collect()).unwrap()
    };
    let mut longest = rows();
    let stream = text(MAX_ID);
    longest.entries[0].stream.clone_from(&stream);
    longest.entries[0].activity_id = text(MAX_ID);
    longest.streams[0].name.clone_from(&stream);
    longest.draft_keys[0].stream.clone_from(&stream);
    longest.draft_keys[0].key = text(MAX_DRAFT_KEY);
    longest.kv[0].space = text(MAX_SPACE);
    longest.kv[0].key = text(MAX_KEY);
    store.begin().await.unwrap().commit(&longest).await.unwrap();
    let found = store.entry(&By::ActivityId(text(MAX_ID))).await.unwrap();
    assert_eq!(found.as_ref(), longest.entries.first());
    assert!(
        store
            .kv_get(&text(MAX_SPACE), &text(MAX_KEY))
            .await
            .unwrap()
            .is_some()
    );
    assert!(store.stream(&stream).await.unwrap().is_some());
}

/// The database's clock, read by whoever holds the head, never shows an earlier time than the holder before has read.
#[tokio::test]
async fn a_batch_is_dated_by_the_database_once_it_holds_the_head() {
    let (database, store) = filled().await;
    let other = open(database.url()).await.unwrap();
    let holding = store.begin().await.unwrap();
    let waiting = tokio::spawn(async move {
        let mut batch = other.begin().await.unwrap();
        batch.facts(&Need::default()).await.unwrap().now
    });
    let mut outside = outside(database.url()).await;
    let blocked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("a second batch that waits", async || {
        let count: i64 = sqlx::query_scalar(blocked).fetch_one(&mut outside).await.unwrap();
        count == 1
    })
    .await;
    let now = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now";
    let before: i64 = sqlx::query(now).fetch_one(&mut outside).await.unwrap().get("now");
    drop(holding);
    let dated = waiting.await.unwrap().as_microsecond();
    let after: i64 = sqlx::query(now).fetch_one(&mut outside).await.unwrap().get("now");
    assert!((before..=after).contains(&dated), "{before} {dated} {after}");
}

#[tokio::test]
async fn another_clock_takes_the_databases_place() {
    let now = jiff::Timestamp::from_microsecond(42).unwrap();
    let (_database, store) = filled().await;
    let store = store.with_clock(Arc::new(ManualClock::new(now)));
    let facts = store
        .begin()
        .await
        .unwrap()
        .facts(&Need::default())
        .await
        .unwrap();
    assert_eq!(facts.now, now);
}

/// Nothing that every batch writes is updated: a row's versions cannot be removed while a transaction is open elsewhere.
#[tokio::test]
async fn a_batch_without_changes_of_kv_leaves_no_dead_rows() {
    let (database, store) = filled().await;
    for version in 2..20 {
        let mut next = rows();
        next.kv.clear();
        next.draft_keys.clear();
        next.definitions.clear();
        next.head.position = version;
        next.streams[0].version = version;
        next.entries[0].position = version;
        next.entries[0].version = version;
        next.entries[0].activity_id = version.to_string();
        next.entries[0].cid = crate::plan::testing::cid(&version.to_string()).to_string();
        let mut batch = store.begin().await.unwrap();
        batch.facts(&need()).await.unwrap();
        batch.commit(&next).await.unwrap();
    }
    drop(store);
    let mut outside = outside(database.url()).await;
    let updated =
        "SELECT relname, n_tup_upd + n_tup_del AS changed FROM pg_stat_user_tables WHERE schemaname = 'log'";
    let inserted =
        "SELECT n_tup_ins = 19 FROM pg_stat_user_tables WHERE schemaname = 'log' AND relname = 'entry'";
    eventually("the statistics", async || {
        sqlx::query_scalar(inserted)
            .fetch_one(&mut outside)
            .await
            .unwrap()
    })
    .await;
    let rows = sqlx::query(updated).fetch_all(&mut outside).await.unwrap();
    let changed: HashSet<String> = rows
        .iter()
        .filter(|row| row.get::<i64, _>("changed") > 0)
        .map(|row| row.get("relname"))
        .collect();
    // Of the one batch that changed kv, and of the migrations.
    assert!(
        changed.is_subset(&["kv_head", "_sqlx_migrations"].map(str::to_owned).into()),
        "{changed:?}"
    );
}
