//! Frozen replicas, lost connections, lost answers, a server that is away.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use fedsx_proto::v1::{Entry, KvItem, append_response::Outcome};
use fedsx_runtime::{code::Code, health::Readiness};
use fedsx_testing::postgres::Server;
use jiff::Timestamp;
use sqlx::PgConnection;

use super::{super::listen::MISSED, DISCONNECT, Database, execute, fill, open, outside, proxy::Proxy};
use crate::store::{
    Batch, By, DefinitionRow, Facts, Head, KvQuery, Need, PageQuery, PeerTypeRow, Result, Rows, Store,
    StreamRow, TypeBounds,
    conformance::{
        direct::rows,
        harness::{BOB, Log, assert_gapless, eventually, inbox, received},
    },
};

async fn append(log: &Log, id: &str) -> std::result::Result<Outcome, Code> {
    let answer = log.append(inbox(BOB, &[received(BOB, id, "hello")])).await;
    answer.map_err(|refusal| refusal.code)
}

fn is_ready(readiness: &Readiness) -> bool {
    readiness.lacking().is_empty()
}

/// Two of them: one holds the head, and the next in line is frozen when it gets it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen_replicas_free_the_others_within_seconds() {
    let database = Database::create().await;
    let stores = [
        open(database.url()).await.unwrap(),
        open(database.url()).await.unwrap(),
    ];
    let first = stores[0].begin().await.unwrap();
    let next = stores[1].clone();
    let second = tokio::spawn(async move { next.begin().await.unwrap() });
    let mut outside = outside(database.url()).await;
    eventually("a second batch that waits", async || {
        waiting(&mut outside).await.is_some()
    })
    .await;
    let log = Log::start(Arc::new(open(database.url()).await.unwrap())).await;
    let started = Instant::now();
    let answer = append(&log, "1").await.unwrap();
    assert!(matches!(answer, Outcome::Appended(placed) if placed.position == 1));
    let waited = started.elapsed();
    assert!(waited < Duration::from_secs(60), "{waited:?}");
    assert!(is_ready(log.readiness()));
    // They wake up, and have lost what they had begun, but no more than that.
    let mut second = second.await.unwrap();
    assert!(second.facts(&Need::default()).await.is_err());
    assert!(first.commit(&rows()).await.is_err());
    drop(second);
    for store in &stores {
        let facts = store
            .begin()
            .await
            .unwrap()
            .facts(&Need::default())
            .await
            .unwrap();
        assert_eq!(facts.head.position, 1);
    }
}

/// Whoever holds the head may be slow, as where its database's disk is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_is_held_for_longer_than_a_lock_is_waited_for_is_waited_for_again() {
    let database = Database::create().await;
    let log = Arc::new(Log::start(Arc::new(open(database.url()).await.unwrap())).await);
    let mut holder = outside(database.url()).await;
    execute(&mut holder, "BEGIN; SELECT id FROM log.head FOR UPDATE").await;
    let appending = Arc::clone(&log);
    let answer = tokio::spawn(async move { append(&appending, "1").await });
    let mut outside = outside(database.url()).await;
    let mut first = None;
    eventually("a second attempt", async || {
        let waiting = waiting(&mut outside).await;
        first = first.or(waiting);
        first.is_some() && waiting.is_some() && waiting != first
    })
    .await;
    execute(&mut holder, "COMMIT").await;
    assert!(matches!(answer.await.unwrap(), Ok(Outcome::Appended(_))));
}

/// The server's process that waits for a lock.
async fn waiting(connection: &mut PgConnection) -> Option<i32> {
    let waiting =
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    sqlx::query_scalar(waiting)
        .fetch_optional(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn connections_lost_between_batches_are_replaced_without_a_word() {
    let database = Database::create().await;
    let log = Log::start(Arc::new(open(database.url()).await.unwrap())).await;
    let mut outside = outside(database.url()).await;
    for id in 1..=3 {
        append(&log, &id.to_string()).await.unwrap();
        execute(&mut outside, DISCONNECT).await;
    }
    append(&log, "4").await.unwrap();
    let entries = log.all().await;
    assert_eq!(entries.len(), 4);
    assert_gapless(&entries);
}

/// A store whose connections are lost before each commit, while it is told so.
#[derive(Debug)]
struct Disconnected {
    store: Arc<dyn Store>,
    url: String,
    fails: Arc<AtomicBool>,
}

struct DisconnectedBatch {
    batch: Box<dyn Batch>,
    url: Option<String>,
}

#[async_trait]
impl Store for Disconnected {
    async fn begin(&self) -> Result<Box<dyn Batch>> {
        let fails = self.fails.load(Ordering::SeqCst);
        Ok(Box::new(DisconnectedBatch {
            batch: self.store.begin().await?,
            url: fails.then(|| self.url.clone()),
        }))
    }
    async fn head(&self) -> Result<Head> {
        self.store.head().await
    }
    async fn entry(&self, by: &By) -> Result<Option<Entry>> {
        self.store.entry(by).await
    }
    async fn page(&self, query: &PageQuery) -> Result<Vec<Entry>> {
        self.store.page(query).await
    }
    async fn at(&self, positions: &[u64], max_bytes: u64) -> Result<Vec<Entry>> {
        self.store.at(positions, max_bytes).await
    }
    async fn stream(&self, name: &str) -> Result<Option<StreamRow>> {
        self.store.stream(name).await
    }
    async fn kv_get(&self, space: &str, key: &str) -> Result<Option<KvItem>> {
        self.store.kv_get(space, key).await
    }
    async fn kv_list(&self, query: &KvQuery) -> Result<Vec<KvItem>> {
        self.store.kv_list(query).await
    }
    async fn definitions(&self, after: u64) -> Result<Vec<DefinitionRow>> {
        self.store.definitions(after).await
    }
    async fn peer_types_of(&self, cids: &[&str]) -> Result<Vec<PeerTypeRow>> {
        self.store.peer_types_of(cids).await
    }
    async fn peer_types(&self, after: &str, limit: u32) -> Result<Vec<PeerTypeRow>> {
        self.store.peer_types(after, limit).await
    }
    async fn keep_peer_type(&self, row: &PeerTypeRow) -> Result<bool> {
        self.store.keep_peer_type(row).await
    }
    async fn use_peer_type(&self, cid: &str, at: Timestamp) -> Result<()> {
        self.store.use_peer_type(cid, at).await
    }
    async fn drop_peer_type(&self, cid: &str) -> Result<bool> {
        self.store.drop_peer_type(cid).await
    }
    async fn trim_peer_types(&self, to: &TypeBounds) -> Result<u64> {
        self.store.trim_peer_types(to).await
    }
}

#[async_trait]
impl Batch for DisconnectedBatch {
    async fn facts(&mut self, need: &Need) -> Result<Facts> {
        self.batch.facts(need).await
    }
    async fn definitions(&mut self, after: u64) -> Result<Vec<DefinitionRow>> {
        self.batch.definitions(after).await
    }
    async fn commit(self: Box<Self>, rows: &Rows) -> Result<()> {
        if let Some(url) = &self.url {
            execute(&mut outside(url).await, DISCONNECT).await;
        }
        self.batch.commit(rows).await
    }
}

#[tokio::test]
async fn a_connection_lost_within_a_batch_fails_that_batch_alone() {
    let database = Database::create().await;
    let fails = Arc::new(AtomicBool::new(true));
    let store = Disconnected {
        store: Arc::new(open(database.url()).await.unwrap()),
        url: database.url().to_owned(),
        fails: Arc::clone(&fails),
    };
    let log = Log::start(Arc::new(store)).await;
    assert_eq!(append(&log, "1").await.unwrap_err(), Code::Unavailable);
    assert!(log.readiness().lacking().contains_key("store"));
    fails.store(false, Ordering::SeqCst);
    let answer = append(&log, "1").await.unwrap();
    assert!(matches!(answer, Outcome::Appended(placed) if placed.position == 1));
    assert!(is_ready(log.readiness()));
}

#[tokio::test]
async fn whoever_asks_again_after_the_answer_of_a_commit_was_lost_is_told_that_it_counted() {
    let database = Database::create().await;
    let (proxy, url) = Proxy::start(database.url()).await;
    let log = Log::start(Arc::new(open(&url).await.unwrap())).await;
    append(&log, "1").await.unwrap();
    proxy.lose_an_answer();
    assert_eq!(append(&log, "2").await.unwrap_err(), Code::Unavailable);
    let answer = append(&log, "2").await.unwrap();
    assert!(matches!(answer, Outcome::Duplicate(placed) if placed.position == 2));
    append(&log, "3").await.unwrap();
    assert_gapless(&log.all().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_goes_on_by_itself_after_its_server_was_away() {
    let mut server = Server::start().await;
    let database = server.database().await;
    let log = Log::start(Arc::new(open(database.url()).await.unwrap())).await;
    append(&log, "1").await.unwrap();
    server.kill9();
    assert_eq!(append(&log, "2").await.unwrap_err(), Code::Unavailable);
    assert!(log.readiness().lacking().contains_key("store"));
    server.start_again().await;
    eventually("readiness, though nobody writes", async || {
        is_ready(log.readiness())
    })
    .await;
    append(&log, "2").await.unwrap();
    let entries = log.all().await;
    assert_eq!(entries.len(), 2);
    assert_gapless(&entries);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_listens_finds_back_after_the_connection_was_lost() {
    let database = Database::create().await;
    let (store, other) = (
        open(database.url()).await.unwrap(),
        open(database.url()).await.unwrap(),
    );
    let mut hints = store.hints().unwrap();
    hints.wait_for(|hint| *hint == MISSED).await.unwrap();
    hints.mark_unchanged();
    execute(&mut outside(database.url()).await, DISCONNECT).await;
    let again = tokio::time::timeout(Duration::from_secs(120), hints.changed()).await;
    assert!(again.is_ok_and(|changed| changed.is_ok()));
    assert_eq!(
        *hints.borrow_and_update(),
        MISSED,
        "something may have been missed meanwhile"
    );
    fill(&other).await;
    hints.wait_for(|hint| *hint == 1).await.unwrap();
}
