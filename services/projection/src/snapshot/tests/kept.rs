//! Snapshots that are kept by the log, and what begins with them.

use fedsx_kernel::snapshot::Kept as Snapshot;
use fedsx_proto::v1::{TakeSnapshotRequest, TakeSnapshotResponse, projection_server::Projection as _};
use fedsx_runtime::code::Code;
use tonic::Request;

use super::*;
use crate::{
    roster::Board,
    testing::{
        log::TestLog,
        native_id,
        node::{Node, eventually, store},
    },
};

const VIEWS: [&str; 6] = [
    "actors",
    "blocks",
    "followers",
    "following",
    "following_by",
    "objects",
];

async fn caught_up(store: &Arc<dyn Store>, log: &TestLog) -> Node {
    let node = Node::start(store, log).await;
    eventually("ready", async || node.context.readiness.lacking().is_empty()).await;
    eventually("at the head", async || {
        let shards = store.shards().await.unwrap();
        let mut views = shards.iter().filter(|shard| !shard.id.view.contains('/'));
        views.all(|shard| shard.position == log.head())
    })
    .await;
    node
}

async fn taken(node: &Node, view: &str) -> TakeSnapshotResponse {
    let request = Request::new(TakeSnapshotRequest {
        view: view.to_owned(),
    });
    node.service.take_snapshot(request).await.unwrap().into_inner()
}

/// What every view is called as it is now.
async fn names(store: &Arc<dyn Store>) -> Vec<Cid> {
    let mut names = Vec::new();
    for view in VIEWS {
        let spool = take(&**store, &origin(), &native_id(view)).await.unwrap();
        names.push(spool.manifest().cid().clone());
    }
    names
}

fn applied(node: &Node, view: &str) -> u64 {
    let line = format!("fedsx_projection_entries_applied_total{{view=\"{view}\"}} ");
    let metrics = node.metrics();
    let found = metrics.lines().find_map(|text| text.strip_prefix(&line));
    found.map_or(0, |count| count.parse().unwrap())
}

fn write_more(log: &TestLog) {
    let object = json!({"id": "https://blog.example/objects/more", "type": "Note"});
    log.append(
        &format!("outbox/{ALICE}"),
        ALICE,
        json!({"type": "Create", "object": object}),
    );
}

/// A log that has snapshots of every view, one more entry, and the names that the views come to.
async fn log_with_snapshots() -> (TestLog, Vec<Cid>) {
    let (log, first) = (TestLog::new(&story()), store().await);
    let node = caught_up(&first, &log).await;
    for view in VIEWS {
        let snapshot = taken(&node, view).await;
        assert_eq!((snapshot.position, snapshot.cid.is_empty()), (33, false));
    }
    write_more(&log);
    let reached = async || {
        first
            .shards()
            .await
            .unwrap()
            .iter()
            .all(|shard| shard.position == 34 || shard.id.view.contains('/'))
    };
    eventually("at the head", reached).await;
    node.stop().await;
    (log, names(&first).await)
}

#[tokio::test]
async fn a_database_that_was_lost_begins_with_what_is_kept() {
    let (log, expected) = log_with_snapshots().await;
    let anew = store().await;
    let node = caught_up(&anew, &log).await;
    assert_eq!(names(&anew).await, expected);
    assert_eq!(
        (applied(&node, "objects"), applied(&node, "actors")),
        (1, 0),
        "the tail alone"
    );
    // What has begun goes on, and is not begun again.
    node.stop().await;
    write_more(&log);
    let node = caught_up(&anew, &log).await;
    assert!(
        node.row("objects", "https://blog.example/objects/7", &log)
            .await
            .is_some()
    );
    node.stop().await;
}

#[tokio::test]
async fn what_cannot_be_had_is_folded_again() {
    let (log, expected) = log_with_snapshots().await;
    let is_chunk_of_objects = |bytes: &[u8]| bytes.starts_with(b"[[\"https://blog.example/objects");
    log.lose_blobs(is_chunk_of_objects);
    let anew = store().await;
    let node = caught_up(&anew, &log).await;
    assert_eq!(names(&anew).await, expected);
    assert_eq!((applied(&node, "objects"), applied(&node, "actors")), (31, 0));
    node.stop().await;
}

#[tokio::test]
async fn the_farthest_that_can_be_had_is_begun_with() {
    let (log, first) = (TestLog::new(&story()), store().await);
    let node = caught_up(&first, &log).await;
    taken(&node, "objects").await;
    write_more(&log);
    node.row("objects", "none", &log).await;
    let farthest = taken(&node, "objects").await;
    node.stop().await;
    log.lose_blobs(|bytes| Cid::of_canonical(bytes).as_str() == farthest.cid);
    let anew = store().await;
    let node = caught_up(&anew, &log).await;
    assert_eq!(
        (applied(&node, "objects"), names(&anew).await),
        (1, names(&first).await)
    );
    node.stop().await;
}

/// A snapshot of a log that went on after this one was saved.
#[tokio::test]
async fn a_snapshot_beyond_the_log_is_not_begun_with() {
    let (log, _) = log_with_snapshots().await;
    log.cut(20);
    let anew = store().await;
    let node = caught_up(&anew, &log).await;
    assert_eq!(applied(&node, "objects"), 18);
    node.stop().await;
}

/// A projection's snapshots as a policy takes them, where it holds everything.
async fn policed(store: &Arc<dyn Store>, log: &TestLog, board: Board, every: u64) -> Snapshots {
    Snapshots {
        store: store.clone(),
        vault: Vault::new(log.serve()),
        origin: origin(),
        board,
        owner: "test".to_owned(),
        policy: Policy { every, kept: 2 },
        clock: Arc::new(SystemClock),
        turn: Arc::default(),
    }
}

fn positions(snapshots: &[Snapshot]) -> Vec<u64> {
    snapshots.iter().map(|kept| kept.position).collect()
}

#[tokio::test]
async fn snapshots_are_taken_as_often_as_the_policy_says_and_so_many_kept() {
    let (log, store) = (TestLog::new(&story()), store().await);
    let node = caught_up(&store, &log).await;
    let board = node.service.serving.board.clone();
    let snapshots = policed(&store, &log, board.clone(), 10).await;
    let objects = native_id("objects");
    let known = async || positions(&snapshots.vault.known(&objects).await.unwrap().snapshots);
    let mut last = std::collections::HashMap::new();
    snapshots.look(&mut last).await.unwrap();
    assert_eq!(known().await, [33]);
    let puts = log.puts();
    for expected in [[33].as_slice(), &[43, 33], &[53, 43]] {
        let reached = log.head();
        let steps = if expected.len() == 1 {
            9
        } else {
            expected[0] - reached
        };
        (0..steps).for_each(|_| write_more(&log));
        node.row("objects", "none", &log).await;
        let there = async || {
            snapshots
                .mine()
                .await
                .unwrap()
                .iter()
                .all(|(_, position)| *position == log.head())
        };
        eventually("all are there", there).await;
        snapshots.look(&mut last).await.unwrap();
        assert_eq!(known().await, expected);
    }
    // The snapshots of views whose rows did not change share their chunks.
    assert!(log.puts() - puts < 20, "{}", log.puts() - puts);
    let others = policed(&store, &log, board, 10).await;
    let elsewhere = Snapshots {
        owner: "b".to_owned(),
        ..others
    };
    assert_eq!(elsewhere.mine().await.unwrap(), [], "others do");

    // What is kept no longer is gone, and what is kept is whole.
    for kept in snapshots.vault.known(&objects).await.unwrap().snapshots {
        Spool::fetch(&snapshots.vault, &kept.cid).await.unwrap();
    }
    for kept in snapshots.vault.known(&objects).await.unwrap().snapshots {
        assert!(snapshots.vault.drop(&objects, &kept.cid).await.unwrap());
        assert!(!snapshots.vault.drop(&objects, &kept.cid).await.unwrap());
        let gone = Spool::fetch(&snapshots.vault, &kept.cid).await.unwrap_err();
        assert!(gone.to_string().contains("no such blob"), "{gone}");
    }
    assert_eq!(known().await, [0; 0]);
    node.stop().await;
}

#[tokio::test]
async fn snapshots_of_views_that_are_no_more_are_dropped() {
    let (log, store) = (TestLog::new(&story()), store().await);
    let node = caught_up(&store, &log).await;
    let snapshots = policed(&store, &log, node.service.serving.board.clone(), 1).await;
    let mut last = std::collections::HashMap::new();
    snapshots.look(&mut last).await.unwrap();
    let all = snapshots.vault.list().await.unwrap().len();
    assert_eq!(all, VIEWS.len());
    let there = snapshots.vault.known(&native_id("objects")).await.unwrap();
    snapshots
        .vault
        .keep("of another version", &there.snapshots[0], 2)
        .await
        .unwrap();
    snapshots.forget().await.unwrap();
    assert_eq!(snapshots.vault.list().await.unwrap().len(), all);
    // It shared its blobs with one that is kept.
    Spool::fetch(&snapshots.vault, &there.snapshots[0].cid)
        .await
        .unwrap();
    node.stop().await;
}

#[tokio::test]
async fn of_what_is_no_view_no_snapshot_is_taken() {
    let (log, store) = (TestLog::new(&story()), store().await);
    let node = caught_up(&store, &log).await;
    let refusal = node
        .service
        .take_snapshot(Request::new(TakeSnapshotRequest { view: "x".to_owned() }))
        .await;
    let refusal = fedsx_runtime::code::Refusal::from(refusal.unwrap_err());
    assert_eq!(refusal.code, Code::Malformed);
    assert!(refusal.detail.contains("actors, blocks"), "{refusal}");
    node.stop().await;
}
