//! Opening a database: empty, by several at once, newer.

use fedsx_runtime::database::postgres;
use futures::future::join_all;
use sqlx::{
    PgConnection, Row as _, SqlStr,
    migrate::{Migration, MigrationType, Migrator},
};

use super::{Database, execute, filled, open, outside};
use crate::store::{PageQuery, Store, conformance::direct::rows};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_replicas_open_an_empty_database_at_once() {
    let database = Database::create().await;
    let opening = (0..6).map(|_| {
        let url = database.url().to_owned();
        tokio::spawn(async move { open(&url).await.unwrap().head().await.unwrap() })
    });
    for head in join_all(opening).await {
        assert_eq!(head.unwrap(), crate::store::Head::default());
    }
}

#[tokio::test]
async fn a_database_that_a_newer_version_has_migrated_opens() {
    let (database, store) = filled().await;
    store.close().await;
    let newer = "INSERT INTO log._sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'of a newer version', true, '\\x00', 1);
                 ALTER TABLE log.entry ADD COLUMN newer text";
    execute(&mut outside(database.url()).await, newer).await;
    let store = open(database.url()).await.unwrap();
    assert_eq!(store.head().await.unwrap(), rows().head);
    let mut next = rows();
    next.kv.clear();
    next.draft_keys.clear();
    next.definitions.clear();
    next.head.position = 2;
    next.streams[0].version = 2;
    next.entries[0].position = 2;
    next.entries[0].version = 2;
    next.entries[0].activity_id = "2".to_owned();
    next.entries[0].cid = crate::plan::testing::cid("2").to_string();
    store.begin().await.unwrap().commit(&next).await.unwrap();
    let page = PageQuery {
        stream: Some(next.entries[0].stream.clone()),
        ..EVERYTHING
    };
    assert_eq!(store.page(&page).await.unwrap().len(), 2);
}

/// `pg_dump` holds every table until it ends.
#[tokio::test]
async fn a_migration_that_waits_for_a_backup_keeps_the_version_before_at_work() {
    let (database, store) = filled().await;
    let mut backup = outside(database.url()).await;
    execute(&mut backup, "BEGIN; LOCK TABLE log.entry IN ACCESS SHARE MODE").await;
    let url = database.url().to_owned();
    let opening = tokio::spawn(async move { postgres::open(&url, "log", &next_version(), 1).await });
    let mut watch = outside(database.url()).await;
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'";
    while sqlx::query_scalar::<_, i64>(waits)
        .fetch_one(&mut watch)
        .await
        .unwrap()
        == 0
    {
        tokio::task::yield_now().await;
    }
    // Behind it, and for no longer than a statement waits for a lock.
    assert_eq!(store.page(&EVERYTHING).await.unwrap().len(), 1);
    assert!(!opening.is_finished());
    execute(&mut backup, "COMMIT").await;
    opening.await.unwrap().unwrap();
    execute(&mut watch, "SELECT next FROM log.entry").await;
}

fn next_version() -> Migrator {
    let statement = SqlStr::from_static("ALTER TABLE log.entry ADD COLUMN next text");
    let description = "of the next version".into();
    let next = Migration::new(9999, description, MigrationType::Simple, statement, false);
    Migrator {
        migrations: vec![next].into(),
        ..Migrator::DEFAULT
    }
}

const EVERYTHING: PageQuery = PageQuery {
    stream: None,
    public_only: false,
    descending: false,
    from: 0,
    limit: 9,
    max_bytes: 99,
};

#[tokio::test]
async fn every_connection_bears_no_frozen_holder_and_syncs_its_commits() {
    let (_database, store) = filled().await;
    assert_settings(&mut store.reader.acquire().await.unwrap()).await;
    let mut held = store.writer.begin().await.unwrap();
    let settings = held.run(sqlx::query(SETTINGS), "read settings").await.unwrap();
    assert_eq!(expected(&settings), EXPECTED);
    // Each of the pool's, the first included.
    let mut connections = Vec::new();
    for _ in 0..super::super::READERS {
        connections.push(store.reader.acquire().await.unwrap());
    }
    for mut connection in connections {
        assert_settings(&mut connection).await;
    }
}

const SETTINGS: &str = "SELECT name, setting FROM pg_settings WHERE name = ANY(ARRAY['synchronous_commit', 'lock_timeout',
    'statement_timeout', 'idle_in_transaction_session_timeout', 'search_path', 'plan_cache_mode']) ORDER BY name";
const EXPECTED: [(&str, &str); 6] = [
    ("idle_in_transaction_session_timeout", "3000"),
    ("lock_timeout", "5000"),
    ("plan_cache_mode", "force_generic_plan"),
    ("search_path", "log"),
    ("statement_timeout", "15000"),
    ("synchronous_commit", "on"),
];

async fn assert_settings(connection: &mut PgConnection) {
    let settings = sqlx::query(SETTINGS).fetch_all(connection).await.unwrap();
    assert_eq!(expected(&settings), EXPECTED);
}

fn expected(settings: &[sqlx::postgres::PgRow]) -> Vec<(&str, &str)> {
    settings
        .iter()
        .map(|row| (row.get("name"), row.get("setting")))
        .collect()
}
