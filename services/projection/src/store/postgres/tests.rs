use std::{sync::Arc, time::Duration};

use fedsx_runtime::clock::ManualClock;
use fedsx_testing::postgres::Database;
use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use tokio::time::{Instant, timeout};

use super::*;
use crate::store::conformance::{self, Fixture, TERM, group, lease_of, page, step};

mod flows;
mod restoring;
mod upgrade;
mod vanished;

/// Far longer than anything takes that happens at all.
const PATIENCE: Duration = Duration::from_secs(120);

fn clock() -> ManualClock {
    ManualClock::new(Timestamp::from_second(1_795_000_000).unwrap())
}

/// Two processes over one database, by a clock that the test moves.
async fn fixture() -> Fixture {
    let (database, clock) = (Database::create().await, clock());
    let open = async || {
        let store = open(database.url()).await.unwrap();
        Arc::new(store.with_clock(Arc::new(clock.clone())))
    };
    Fixture {
        store: open().await,
        other: open().await,
        clock: clock.clone(),
        _keep: Some(Box::new(database)),
    }
}

mod conforms {
    crate::store::conformance::suite!(super::fixture);
}

/// A database, a store on it, and a connection beside the store.
async fn beside() -> (Database, Postgres, PgConnection) {
    let database = Database::create().await;
    let store = open(database.url()).await.unwrap();
    let mut beside = PgConnection::connect(database.url()).await.unwrap();
    beside.execute("SET search_path = projection").await.unwrap();
    (database, store, beside)
}

/// All shards, held by `a`.
async fn leases(store: &Postgres) -> Vec<Lease> {
    store.declare(&group().shards).await.unwrap();
    store.hold(&group(), "a", TERM).await.unwrap()
}

#[tokio::test]
async fn leases_expire_by_the_databases_clock() {
    let (_database, store, _) = beside().await;
    store.declare(&group().shards).await.unwrap();
    let term = SignedDuration::from_millis(400);
    let begun = Instant::now();
    assert_eq!(store.hold(&group(), "a", term).await.unwrap().len(), 8);
    let taken = loop {
        let taken = store.hold(&group(), "b", TERM).await.unwrap();
        if !taken.is_empty() {
            break taken;
        }
    };
    assert!(
        begun.elapsed() >= Duration::from_millis(400),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!((taken.len(), taken[0].epoch), (8, 2));
}

#[tokio::test]
async fn replicas_that_start_together_do_not_disturb_each_other() {
    let database = Database::create().await;
    let start = async |number: u64| {
        let store = open(database.url()).await.unwrap();
        let mut shards: Vec<ShardId> = ["v", "w"].iter().flat_map(|view| ShardId::all(view)).collect();
        shards.rotate_left(usize::try_from(number).unwrap() * 3);
        store.declare(&shards).await.unwrap();
        store
    };
    let stores = futures::future::join_all((0..4).map(start)).await;
    assert_eq!(stores[0].shards().await.unwrap().len(), 16);
}

#[tokio::test]
async fn a_reader_is_not_stalled_by_an_open_transaction() {
    let (_database, store, mut beside) = beside().await;
    let leases = leases(&store).await;
    let first = step(lease_of(&leases, "x"), 1, &["x"]);
    store.commit(std::slice::from_ref(&first)).await.unwrap();
    let mut open = beside.begin().await.unwrap();
    for sql in [
        "SELECT * FROM shard FOR UPDATE",
        "UPDATE shard SET position = 9",
        "UPDATE view_row SET position = 9",
        "INSERT INTO view_row VALUES ('v', 'y', NULL, 9, '')",
    ] {
        open.execute(sql).await.unwrap();
    }
    let read = async {
        let (row, reach) = store.row(&first.shard, "x").await.unwrap().unwrap();
        assert_eq!((row.unwrap().position, reach.position), (1, 1));
        assert_eq!(store.page(&page("")).await.unwrap().unwrap().total, 1);
        assert_eq!(store.rows("v", &["x", "y"]).await.unwrap().len(), 1);
        assert!(
            store
                .shards()
                .await
                .unwrap()
                .iter()
                .all(|shard| shard.position <= 1)
        );
    };
    // Were they to wait, they would fail by `lock_timeout`.
    read.await;
    open.rollback().await.unwrap();
}

/// A process that freezes between two statements of a turn holds locks; the database takes them from it.
#[tokio::test]
async fn a_frozen_turn_frees_the_others_within_seconds() {
    let (database, store, _) = beside().await;
    let leases = leases(&store).await;
    let frozen = open(database.url()).await.unwrap();
    let mut turn = frozen.pool.begin().await.unwrap();
    hold::hold(&mut turn, &group(), "b", None, TERM).await.unwrap();
    let advance = step(lease_of(&leases, "x"), 1, &["x"]);
    assert_eq!(store.commit(std::slice::from_ref(&advance)).await.unwrap(), []);
    assert!(turn.commit().await.is_err(), "its transaction is gone");
    assert_eq!(frozen.hold(&group(), "b", TERM).await.unwrap(), []);
}

/// As another program might lock, in an order that is not ours.
#[tokio::test]
async fn who_loses_a_deadlock_tries_again() {
    let (_database, store, mut beside) = beside().await;
    let leases = leases(&store).await;
    // The other waits for long, so that the deadlock is found by the store's own transaction, which it ends.
    beside.execute("SET deadlock_timeout = '60s'").await.unwrap();
    let mut open = beside.begin().await.unwrap();
    open.execute("SELECT 1 FROM shard WHERE shard = 7 FOR UPDATE")
        .await
        .unwrap();
    let advances: Vec<Advance> = leases
        .iter()
        .map(|lease| step(lease, 1, &[&lease.shard.to_string()]))
        .collect();
    let other = async {
        until_waiting(&store, 1).await;
        open.execute("SELECT 1 FROM shard WHERE shard = 0 FOR UPDATE")
            .await
            .unwrap();
        open.rollback().await.unwrap();
    };
    let (lost, ()) = tokio::join!(store.commit(&advances), other);
    assert_eq!(lost.unwrap(), []);
    assert_eq!(store.page(&page("")).await.unwrap().unwrap().total, 8);
}

/// Until so many connections to the database wait for a lock.
async fn until_waiting(store: &Postgres, waiting: i64) {
    let waits = async {
        loop {
            let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
            let count: i64 = sqlx::query_scalar(sql).fetch_one(&store.pool).await.unwrap();
            if count >= waiting {
                break;
            }
        }
    };
    timeout(PATIENCE, waits).await.expect("nobody waits");
}

/// What a commit waits for may fence it off: it must see that.
#[tokio::test]
async fn a_commit_that_waited_for_a_takeover_writes_nothing() {
    let (_database, store, mut beside) = beside().await;
    let leases = leases(&store).await;
    let mut open = beside.begin().await.unwrap();
    open.execute("UPDATE shard SET epoch = epoch + 1, owner = 'b' WHERE shard < 4")
        .await
        .unwrap();
    open.execute("UPDATE shard SET lease_until = lease_until + 1 WHERE shard >= 4")
        .await
        .unwrap();
    let advances: Vec<Advance> = leases
        .iter()
        .map(|lease| step(lease, 1, &[&lease.shard.to_string()]))
        .collect();
    let other = async {
        until_waiting(&store, 1).await;
        open.commit().await.unwrap();
    };
    let (lost, ()) = tokio::join!(store.commit(&advances), other);
    let taken: Vec<ShardId> = (0..4).map(|shard| ShardId::new("v", shard)).collect();
    assert_eq!(lost.unwrap(), taken);
    assert_eq!(
        conformance::keys(&store, &page("")).await,
        ["v/4", "v/5", "v/6", "v/7"]
    );
}

#[tokio::test]
async fn a_reason_that_quotes_a_stranger_is_written() {
    let (_database, store, _) = beside().await;
    let leases = leases(&store).await;
    let mut advance = step(lease_of(&leases, "x"), 0, &[]);
    advance.halted = Some("not JSON: \0".to_owned());
    assert_eq!(store.commit(std::slice::from_ref(&advance)).await.unwrap(), []);
    let (_, reach) = store.row(&advance.shard, "x").await.unwrap().unwrap();
    assert_eq!(reach.halted.as_deref(), Some("not JSON: \u{fffd}"));
}

#[tokio::test]
async fn a_corrupt_row_is_named() {
    let (_database, store, mut beside) = beside().await;
    store.declare(&[ShardId::new("v", 0)]).await.unwrap();
    beside.execute("UPDATE shard SET digest = ''").await.unwrap();
    let error = store.shards().await.unwrap_err().to_string();
    assert_eq!(
        error,
        r#"corrupt row in table `shard`, column `digest`, key "v/0": has not 32 bytes"#
    );
}

/// The plan of a statement as the store runs it, with these arguments.
async fn plan(connection: &mut PgConnection, sql: &str, arguments: &str) -> String {
    let prepare = format!("PREPARE statement AS {sql}");
    connection.execute(AssertSqlSafe(prepare)).await.unwrap();
    let arguments = if arguments.is_empty() {
        String::new()
    } else {
        format!("({arguments})")
    };
    let explain = format!("EXPLAIN EXECUTE statement{arguments}");
    let rows = connection.fetch_all(AssertSqlSafe(explain)).await.unwrap();
    connection.execute("DEALLOCATE statement").await.unwrap();
    rows.iter().map(|row| row.get::<String, _>(0) + "\n").collect()
}

/// In a view of many rows, each of these would be slow if it were answered by a scan, whether PostgreSQL plans it for its
/// arguments or for any.
#[tokio::test]
async fn every_statement_goes_by_an_index() {
    let (_database, store, mut beside) = beside().await;
    leases(&store).await;
    let rows = "INSERT INTO view_row SELECT 'v', 'https://events.example/' || n, 'https://' || n % 1000, n, decode(repeat('7b', 400), 'hex')
                FROM generate_series(1, 30000) AS n";
    beside.execute(rows).await.unwrap();
    beside.execute("VACUUM ANALYZE view_row").await.unwrap();
    let (pages, to_the_end) = (
        read::page_query(&page("https://events.example/1")).sql(),
        read::page_query(&page("")).sql(),
    );
    let within = "'v', 'v', 'p/1', 'p/2', 'p/11', 9, 'v', 'p/1', 'p/2', 1000";
    let statements = [
        (read::ROWS, "'v', ARRAY['a', 'b']"),
        (read::ROWS_OF_PEER, "'v', 'https://7'"),
        (read::ROW, "'v', 1, 'a'"),
        (read::CHANGED, "'v', 29000, 'a', 100"),
        (read::CHANGED, "'v', 0, NULL, 100"),
        (pages.as_str(), within),
        (to_the_end.as_str(), "'v', 'v', '', 'p/11', 9, 'v', '', 1000"),
        (
            write::COMMIT,
            "ARRAY['v'], ARRAY[0], ARRAY[1], ARRAY[0], ARRAY[1], ARRAY[1], ARRAY[''::bytea], ARRAY[NULL],
             ARRAY['v', 'v'], ARRAY[0, 0], ARRAY['a', 'b'], ARRAY[NULL, NULL], ARRAY[1, 1], ARRAY[NULL, ''::bytea]",
        ),
    ];
    for mode in ["force_custom_plan", "force_generic_plan"] {
        beside
            .execute(AssertSqlSafe(format!("SET plan_cache_mode = {mode}")))
            .await
            .unwrap();
        for (sql, arguments) in &statements {
            let plan = plan(&mut beside, sql, arguments).await;
            assert!(!plan.contains("Seq Scan on view_row"), "{mode}: {sql}\n{plan}");
            assert!(plan.contains("view_row_"), "{mode}: {sql}\n{plan}");
            let counts = sql.contains("count(*)");
            assert!(
                !counts || plan.contains("Index Only Scan using view_row_pkey"),
                "{mode}: {sql}\n{plan}"
            );
        }
    }
}
