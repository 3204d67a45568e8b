//! Several processes over one PostgreSQL database, beside a real log.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "a test says so where it fails"
)]
#![allow(dead_code, reason = "not every test uses all of the harness")]

mod domain;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use domain::{
    ALICE, BOB, Domain,
    replica::{Replica, eventually},
    said,
};
use fedsx_projection::{
    shard::{Digest, ShardId},
    store::{PageQuery, Store, postgres, sqlite},
};
use fedsx_runtime::clock::SystemClock;
use fedsx_testing::postgres::{Database, Server};
use serde_json::{Value, json};

/// Shards of views.
const SHARDS: usize = 48;

fn bob(number: u32) -> String {
    format!("{BOB}-{number}")
}

/// What a stranger and alice do in turn `number`: bobs follow, some take it back, and alice writes.
async fn deeds(domain: &Domain, number: u32) {
    let follow = said(&bob(number), "Follow", number, json!(ALICE));
    domain.receive(&follow).await;
    if number.is_multiple_of(3) {
        let undo = said(&bob(number), "Undo", number, follow["id"].clone());
        domain.receive(&undo).await;
    }
    if number.is_multiple_of(5) {
        let id = format!("https://blog.example/objects/{number}");
        let note = json!({"type": "Create", "object": {"id": id, "type": "Note"}});
        domain.publish(ALICE, note).await;
    }
    let create = said(
        &bob(number),
        "Create",
        number,
        json!({"type": "Note", "content": "…"}),
    );
    domain.receive(&create).await;
}

/// Everything that a store can tell about the views: each shard's position, count and digest, and the rows with the entries
/// that changed them.
#[derive(Debug, PartialEq)]
struct Everything {
    shards: BTreeMap<ShardId, (u64, u64, Digest)>,
    rows: BTreeMap<(String, String), (u64, String)>,
}

impl Everything {
    async fn of(store: &dyn Store) -> Self {
        let shards = store.shards().await.unwrap().into_iter();
        let views = shards.filter(|shard| !shard.id.view.contains('/'));
        let shards: BTreeMap<_, _> = views
            .map(|shard| (shard.id, (shard.position, shard.count, shard.digest)))
            .collect();
        let mut rows = BTreeMap::new();
        for id in shards.keys().filter(|id| id.shard == 0) {
            let query = PageQuery {
                view: id.view.clone(),
                prefix: String::new(),
                after: String::new(),
                limit: 10_000,
                max_bytes: u64::MAX,
                count: false,
            };
            for row in store.page(&query).await.unwrap().unwrap().rows {
                let value = String::from_utf8(row.value).unwrap();
                rows.insert((id.view.clone(), row.key), (row.position, value));
            }
        }
        Self { shards, rows }
    }

    /// Says where they differ, and not all that they are.
    fn assert_is(&self, expected: &Self) {
        for (shard, stands) in &self.shards {
            assert_eq!(Some(stands), expected.shards.get(shard), "{shard}");
        }
        for (key, row) in &self.rows {
            assert_eq!(Some(row), expected.rows.get(key), "{key:?}");
        }
        assert_eq!(self.shards.len(), expected.shards.len());
        assert_eq!(self.rows.len(), expected.rows.len());
    }
}

/// Whether the views have seen the log up to its head, and the reaction too: then nothing comes any more.
async fn is_done(store: &dyn Store, domain: &Domain) -> bool {
    let head = domain.head().await;
    let shards = store.shards().await.unwrap();
    shards.iter().all(|shard| shard.position == head)
}

/// What one process that was never disturbed makes of the log.
async fn undisturbed(domain: &Domain) -> Everything {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("projection.db");
    let store: Arc<dyn Store> = Arc::new(sqlite::open(&path, Arc::new(SystemClock)).await.unwrap());
    let (head, ours) = (domain.head().await, store.clone());
    let replica = Replica::start_on("undisturbed", async { ours }, domain).await;
    eventually("folded once", async || is_done(&*store, domain).await).await;
    assert_eq!(domain.head().await, head, "a replay says nothing again");
    replica.stop().await;
    Everything::of(&*store).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_come_freeze_die_and_go_and_every_entry_is_applied_once() {
    let (database, domain) = (Database::create().await, Domain::start().await);
    let (stop, number) = (AtomicBool::new(false), AtomicU32::new(0));
    let feed = async {
        while !stop.load(Ordering::SeqCst) {
            deeds(&domain, number.fetch_add(1, Ordering::SeqCst)).await;
        }
    };
    let more = async || {
        let begun = number.load(Ordering::SeqCst);
        eventually("the log goes on", async || {
            number.load(Ordering::SeqCst) > begun + 5
        })
        .await;
    };
    let lives = async {
        let one = Replica::start("one", database.url(), &domain).await;
        eventually("one has all", async || one.held_by("one").await == SHARDS).await;
        let two = Replica::start("two", database.url(), &domain).await;
        let three = Replica::start("three", database.url(), &domain).await;
        for name in ["one", "two", "three"] {
            eventually("even shares", async || one.held_by(name).await == SHARDS / 3).await;
        }
        more().await;
        one.die();
        eventually("taken over from the dead", async || {
            two.held_by("two").await == SHARDS / 2 && two.held_by("three").await == SHARDS / 2
        })
        .await;
        let frozen = three.freeze().await;
        eventually("taken over from the frozen", async || {
            two.held_by("two").await == SHARDS
        })
        .await;
        more().await;
        drop(frozen);
        eventually("shared with the thawed", async || {
            two.held_by("three").await == SHARDS / 2
        })
        .await;
        more().await;
        two.stop().await;
        eventually("given back", async || three.held_by("three").await == SHARDS).await;
        stop.store(true, Ordering::SeqCst);
        three
    };
    let (last, ()) = tokio::join!(lives, feed);

    let store = postgres::open(database.url()).await.unwrap();
    eventually("everything is folded", async || is_done(&store, &domain).await).await;
    last.stop().await;
    Everything::of(&store)
        .await
        .assert_is(&undisturbed(&domain).await);
}

/// A Follow that its sender does not take back is answered once, whoever died in the middle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_follow_is_answered_once() {
    const FOLLOWS: u32 = 60;
    let (database, domain) = (Database::create().await, Domain::start().await);
    let mut replicas = Vec::new();
    for name in ["one", "two", "three"] {
        replicas.push(Replica::start(name, database.url(), &domain).await);
    }
    let accepted = async || {
        let outbox = domain.outbox().await.into_iter();
        let accepts = outbox.filter(|said| said["type"] == "Accept");
        accepts
            .map(|accept| accept["to"][0].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    for number in 0..FOLLOWS {
        domain
            .receive(&said(&bob(number), "Follow", number, json!(ALICE)))
            .await;
        if number == FOLLOWS / 2 {
            eventually("some are answered", async || accepted().await.len() > 5).await;
            let reacts = replicas[0].reacts().await;
            let place = replicas
                .iter()
                .position(|replica| replica.name == reacts)
                .unwrap();
            replicas.remove(place).die();
        }
    }
    eventually("all are answered", async || {
        accepted().await.len() >= FOLLOWS as usize
    })
    .await;
    let head = domain.head().await;
    for replica in &replicas {
        for number in 0..FOLLOWS {
            let key = format!("{ALICE} {}", bob(number));
            assert_eq!(
                replica.row("followers", &key, head).await.unwrap().unwrap()["state"],
                "accepted"
            );
        }
    }
    let mut answered = accepted().await;
    answered.sort();
    let mut expected: Vec<String> = (0..FOLLOWS).map(bob).collect();
    expected.sort();
    assert_eq!(answered, expected);
    for replica in replicas {
        replica.stop().await;
    }
}

/// What was just logged is answered by whomever one asks, also for shards that another process folds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_replica_answers_for_any_key() {
    let (database, domain) = (Database::create().await, Domain::start().await);
    let one = Replica::start("one", database.url(), &domain).await;
    let two = Replica::start("two", database.url(), &domain).await;
    eventually("even shares", async || one.held_by("two").await == SHARDS / 2).await;
    for number in 0..40_u32 {
        let id = format!("https://blog.example/objects/{number}");
        let note = json!({"type": "Create", "object": {"id": id, "type": "Note"}});
        domain.publish(ALICE, note).await;
        let head = domain.head().await;
        let rows = tokio::join!(one.row("objects", &id, head), two.row("objects", &id, head));
        assert!(rows.0.unwrap().is_some() && rows.1.unwrap().is_some(), "{id}");
    }
}

/// What a stranger writes into ids halts nothing, on a database that takes no NUL and no long keys.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_texts_halt_nothing() {
    let (database, domain) = (Database::create().await, Domain::start().await);
    let replica = Replica::start("one", database.url(), &domain).await;
    let long = format!("https://blog.example/actors/{}", "x".repeat(3000));
    let longish = format!("https://blog.example/actors/{}", "y".repeat(2000));
    let texts = [
        "https://blog.example/actors/al\0ice",
        "\0",
        &long,
        &longish,
        "https://blog.example/actors/\u{10ffff}",
    ];
    for (number, text) in texts.iter().enumerate() {
        for verb in ["Follow", "Undo", "Accept", "Like"] {
            domain
                .receive(&said(BOB, verb, format_args!("bare/{number}"), json!(text)))
                .await;
            let follow = json!({"type": "Follow", "id": text, "actor": BOB, "object": text});
            domain
                .receive(&said(BOB, verb, format_args!("embedded/{number}"), follow))
                .await;
        }
    }
    domain.receive(&said(BOB, "Follow", "sound", json!(ALICE))).await;
    let key = format!("{ALICE} {BOB}");
    eventually("accepted", async || {
        let head = domain.head().await;
        replica
            .row("followers", &key, head)
            .await
            .unwrap()
            .is_some_and(|row| row["state"] == "accepted")
    })
    .await;
    assert_eq!(replica.lacks(), None);
    for text in texts {
        let head = domain.head().await;
        assert_eq!(replica.row("objects", text, head).await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_and_comes_back_is_told_and_survived() {
    let (mut server, domain) = (Server::start().await, Domain::start().await);
    let database = server.database().await;
    let replica = Replica::start("one", database.url(), &domain).await;
    eventually("ready", async || replica.lacks().is_none()).await;

    server.kill9();
    eventually("told", async || replica.lacks().is_some()).await;
    deeds(&domain, 1).await;
    eventually("told why", async || {
        replica.lacks().unwrap().contains("onnection")
    })
    .await;
    let refused = replica.row("actors", ALICE, 0).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused}");

    server.start_again().await;
    eventually("ready again", async || replica.lacks().is_none()).await;
    let followed = async || -> Option<Value> {
        let head = domain.head().await;
        replica
            .row("followers", &format!("{ALICE} {}", bob(1)), head)
            .await
            .ok()
            .flatten()
    };
    eventually("folded on", async || {
        followed().await.is_some_and(|row| row["state"] == "accepted")
    })
    .await;
    replica.stop().await;
}
