//! Several replicas over one database.

use std::{sync::Arc, time::Duration};

use fedsx_kernel::activity::Activity;
use fedsx_proto::v1::{Entry, SubscribeResponse, append_response::Outcome, publish_response};
use futures::future::join_all;
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::Status;

use super::{super::listen::MISSED, Database, execute, open, outside};
use crate::{
    Tuning,
    store::{
        KvRow, Store,
        conformance::{
            direct::rows,
            harness::{ALICE, BOB, Log, assert_gapless, at_version, inbox, note, received},
            sealing::assert_chain,
        },
    },
};

type Batches = ReceiverStream<Result<SubscribeResponse, Status>>;

const REPLICAS: usize = 3;
const WRITERS: usize = 12;
const TURNS: usize = 8;

async fn replica(database: &Database) -> Log {
    Log::start(Arc::new(open(database.url()).await.unwrap())).await
}

/// A replica that polls too seldom to be of use.
async fn replica_without_poll(database: &Database) -> Log {
    let store = open(database.url()).await.unwrap();
    let mut hints = store.hints().unwrap();
    let listening = tokio::time::timeout(Duration::from_secs(120), hints.wait_for(|hint| *hint == MISSED));
    assert!(listening.await.unwrap().is_ok());
    let tuning = Tuning {
        poll: Duration::from_secs(3600),
        ..Tuning::default()
    };
    Log::try_start(Arc::new(store), tuning).await.unwrap()
}

/// The first entries of a subscription.
async fn first(batches: &mut Batches, count: usize) -> Vec<Entry> {
    let mut entries = Vec::new();
    while entries.len() < count {
        let batch = tokio::time::timeout(Duration::from_secs(120), batches.next()).await;
        entries.extend(batch.expect("nothing came").expect("it ended").unwrap().entries);
    }
    entries
}

async fn append(log: &Log, id: &str) {
    let answer = log
        .append(inbox(BOB, &[received(BOB, id, "hello")]))
        .await
        .unwrap();
    assert!(matches!(answer, Outcome::Appended(_)), "{answer:?}");
}

/// One writer's turn: a note of alice's, something received, or a version that all replicas want at once.
async fn write(log: &Log, writer: usize, turn: usize) {
    let id = format!("{writer}-{turn}");
    match writer % 3 {
        0 => {
            let answer = log
                .publish("alice", &note(&id, turn.is_multiple_of(2)), &id)
                .await
                .unwrap();
            assert!(
                matches!(answer, publish_response::Outcome::Appended(_)),
                "{answer:?}"
            );
        }
        1 => append(log, &id).await,
        _ => {
            let eve = format!("{BOB}-eve");
            let mut version = 0;
            loop {
                let mut request = inbox(&eve, &[received(&eve, &id, "hello")]);
                request.expected = at_version(version);
                match log.append(request).await.unwrap() {
                    Outcome::Appended(placed) => {
                        assert_eq!(placed.version, version + 1);
                        return;
                    }
                    Outcome::Conflict(conflict) => {
                        assert_ne!(conflict.version, version);
                        version = conflict.version;
                    }
                    outcome => panic!("{outcome:?}"),
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_replicas_append_at_once_and_every_subscriber_sees_the_same() {
    let database = Database::create().await;
    let first_replica = replica(&database).await;
    first_replica.create_actors().await;
    let mut replicas = vec![Arc::new(first_replica)];
    while replicas.len() < REPLICAS {
        replicas.push(Arc::new(replica(&database).await));
    }
    let expected = 2 + WRITERS * TURNS;
    let mut subscribers = Vec::new();
    for log in replicas.iter().chain(&replicas) {
        let mut batches = log.subscribe(0).await.unwrap();
        subscribers.push(tokio::spawn(async move { first(&mut batches, expected).await }));
    }
    let writers = (0..WRITERS).map(|writer| {
        let log = Arc::clone(&replicas[writer % REPLICAS]);
        tokio::spawn(async move {
            for turn in 0..TURNS {
                write(&log, writer, turn).await;
            }
        })
    });
    join_all(writers).await.into_iter().for_each(Result::unwrap);

    let entries = replicas[0].all().await;
    assert_eq!(entries.len(), expected);
    assert_gapless(&entries);
    let outbox = format!("outbox/{ALICE}");
    let chain: Vec<_> = entries
        .iter()
        .filter(|entry| entry.stream == outbox)
        .map(|entry| Activity::parse(&entry.body).unwrap())
        .collect();
    assert_eq!(chain.len(), WRITERS / 3 * TURNS);
    assert_chain(&chain);
    for seen in join_all(subscribers).await {
        assert!(seen.unwrap() == entries, "a subscriber saw something else");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_appended_by_several_replicas_at_once_is_there_once() {
    let database = Database::create().await;
    let replicas = join_all((0..REPLICAS).map(|_| replica(&database))).await;
    for turn in 0..5 {
        let request = || inbox(BOB, &[received(BOB, &turn.to_string(), "hello")]);
        let answers = join_all(replicas.iter().map(|log| log.append(request()))).await;
        let (mut appended, mut duplicates) = (Vec::new(), Vec::new());
        for answer in answers {
            match answer.unwrap() {
                Outcome::Appended(placed) => appended.push(placed.position),
                Outcome::Duplicate(placed) => duplicates.push(placed.position),
                outcome => panic!("{outcome:?}"),
            }
        }
        assert_eq!((appended.len(), duplicates.len()), (1, REPLICAS - 1));
        assert!(duplicates.iter().all(|position| *position == appended[0]));
    }
}

#[tokio::test]
async fn what_one_replica_appends_another_one_tells_at_once() {
    let database = Database::create().await;
    let (writer, reader) = (replica(&database).await, replica_without_poll(&database).await);
    let mut batches = reader.subscribe(0).await.unwrap();
    for id in 1..=3 {
        append(&writer, &id.to_string()).await;
        assert_eq!(first(&mut batches, 1).await[0].position, id);
    }
    // And its own are told beside them, in their order.
    append(&reader, "4").await;
    append(&writer, "5").await;
    append(&reader, "6").await;
    let positions: Vec<_> = first(&mut batches, 3)
        .await
        .iter()
        .map(|entry| entry.position)
        .collect();
    assert_eq!(positions, [4, 5, 6]);
}

#[tokio::test]
async fn a_replica_is_told_of_others_appends_and_not_of_its_own() {
    let database = Database::create().await;
    let (store, other) = (
        open(database.url()).await.unwrap(),
        open(database.url()).await.unwrap(),
    );
    let mut hints = store.hints().unwrap();
    hints.wait_for(|hint| *hint == MISSED).await.unwrap();
    store.begin().await.unwrap().commit(&rows()).await.unwrap();
    let mut next = rows();
    next.kv.clear();
    next.draft_keys.clear();
    next.definitions.clear();
    next.head.position = 2;
    next.entries[0].position = 2;
    next.entries[0].stream = "outbox/bob".to_owned();
    next.streams[0].name = "outbox/bob".to_owned();
    other.begin().await.unwrap().commit(&next).await.unwrap();
    // Notifications come in the order of the commits: the own one would have come before.
    hints.changed().await.unwrap();
    assert_eq!(*hints.borrow(), 2);
}

/// A reader that waited for all earlier transactions, so as to miss nothing, would wait for this one, too.
#[tokio::test]
async fn an_open_transaction_elsewhere_stalls_nobody() {
    let database = Database::create().await;
    let (writer, reader) = (replica(&database).await, replica_without_poll(&database).await);
    append(&writer, "1").await;
    let mut elsewhere = outside(database.url()).await;
    execute(&mut elsewhere, "CREATE TABLE elsewhere (number integer)").await;
    execute(&mut elsewhere, "BEGIN ISOLATION LEVEL REPEATABLE READ").await;
    let open = "INSERT INTO elsewhere VALUES (1);
                SELECT count(*) FROM log.entry, log.head, log.stream";
    execute(&mut elsewhere, open).await;
    let mut batches = [
        writer.subscribe(0).await.unwrap(),
        reader.subscribe(0).await.unwrap(),
    ];
    for id in 2..=20 {
        append(&writer, &id.to_string()).await;
    }
    for batches in &mut batches {
        let entries = first(batches, 20).await;
        assert_gapless(&entries);
        assert_eq!(entries.len(), 20);
    }
    let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM log.entry")
        .fetch_one(&mut elsewhere)
        .await
        .unwrap();
    assert_eq!(seen, 1, "the transaction elsewhere was not open");
    execute(&mut elsewhere, "COMMIT").await;
    append(&reader, "21").await;
    assert_eq!(first(&mut batches[0], 1).await[0].position, 21);
}

#[tokio::test]
async fn a_batch_that_is_rolled_back_leaves_no_gap() {
    let database = Database::create().await;
    let store = Arc::new(open(database.url()).await.unwrap());
    let log = Log::start(Arc::clone(&store) as Arc<dyn Store>).await;
    append(&log, "1").await;
    // Its entry is inserted, then one of its changes of kv fails.
    let mut broken = rows();
    broken.entries[0].position = 2;
    broken.head.position = 2;
    let same: KvRow = broken.kv[0].clone();
    broken.kv.push(same);
    let error = store.begin().await.unwrap().commit(&broken).await.unwrap_err();
    assert!(!error.is_corrupt(), "{error}");
    append(&log, "2").await;
    append(&replica(&database).await, "3").await;
    let entries = log.all().await;
    assert_gapless(&entries);
    assert_eq!(entries.len(), 3);
}
