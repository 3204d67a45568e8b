use std::sync::atomic::{AtomicU32, Ordering};

use fedsx_runtime::clock::ManualClock;
use sqlx::sqlite::SqliteConnectOptions;

use super::*;
use crate::ledger::{Filter, Ledger, Queries as _, Sweeps as _, conformance};

#[tokio::test]
async fn in_memory_it_conforms() {
    conformance::run(|clock: ManualClock| async move {
        Arc::new(memory(Arc::new(clock)).await.unwrap()) as Arc<dyn Ledger>
    })
    .await;
}

#[tokio::test]
async fn in_a_file_it_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let count = AtomicU32::new(0);
    conformance::run(|clock: ManualClock| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let path = folder.path().join(format!("{number}.db"));
        async move { Arc::new(open(path, Arc::new(clock)).await.unwrap()) as Arc<dyn Ledger> }
    })
    .await;
}

#[tokio::test]
async fn a_ledger_from_before_there_were_replay_lanes_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("delivery.db");
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true)
        .foreign_keys(true);
    let old = sqlx::SqlitePool::connect_with(options).await.unwrap();
    MIGRATIONS.run_to(1, &old).await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO origin (origin) VALUES ('https://peer.example');
         INSERT INTO lane (id, actor, kind, address, origin, next_due)
         VALUES (7, 'alice', 'inbox', 'https://peer.example/inbox', 'https://peer.example', 5);
         INSERT INTO delivery (lane, position, cid, state, attempts, tries, next_at, trace)
         VALUES (7, 1, 'one', 'dead', 8, 9, NULL, ''), (7, 2, 'two', 'pending', 0, 0, 5, '')",
    )
    .execute(&old)
    .await
    .unwrap();
    old.close().await;
    let clock = ManualClock::new("2026-11-21T00:00:00Z".parse().unwrap());
    let ledger = open(&path, Arc::new(clock)).await.unwrap();
    let rows = ledger.list(&Filter::default(), None, 10).await.unwrap();
    assert!(rows.iter().all(|row| row.replica.is_none()));
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row.lane.id.0,
                row.lane.replay,
                row.position,
                row.state.as_str(),
                row.attempts,
            )
        })
        .collect();
    assert_eq!(rows, [(7, false, 2, "pending", 0), (7, false, 1, "dead", 9)]);
    let due = ledger.sweep(10).await.unwrap();
    assert_eq!(due.len(), 1);
}

/// The plans of the statements that every delivery pays for, or that grow with the ledger.
#[tokio::test]
async fn what_is_asked_often_is_found_by_an_index() {
    let ledger = memory(Arc::new(fedsx_runtime::clock::SystemClock)).await.unwrap();
    for (sql, index) in [
        (sweep::WELL, "lane_owing"),
        (sweep::FAILING, "origin_failing"),
        (claim::OWED, "delivery_pending"),
        (claim::OWED_AGAIN, "delivery_pending"),
        (query::PEERS, "delivery_dead_lane"),
    ] {
        let rows: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")))
                .fetch_all(&ledger.pools.reader)
                .await
                .unwrap();
        let plan: Vec<_> = rows.into_iter().map(|row| row.3).collect();
        assert!(plan.iter().any(|step| step.contains(index)), "{sql}\n{plan:#?}");
        assert!(
            !plan
                .iter()
                .any(|step| step.starts_with("SCAN l") || step.starts_with("SCAN d")),
            "{sql}\n{plan:#?}"
        );
    }
}
