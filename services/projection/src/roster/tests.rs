use std::time::Duration;

use fedsx_proto::v1::{ListRowsRequest, ViewState};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::testing::{
    BOB, Story,
    log::TestLog,
    node::{Mortal, Node, eventually, store},
    projection,
};

fn endorsements(fold: &str) -> Value {
    json!({
        "name": "endorsements",
        "on": {"verbs": ["Endorse"]},
        "key": "activity.object",
        "seed": {"count": 0},
        "fold": fold,
    })
}

const COUNT: &str = "{'count': state.count + 1}";
const TWICE: &str = "{'count': state.count + 2}";

fn endorse(log: &TestLog, number: u64) {
    let object = format!("https://blog.example/objects/{}", number % 10);
    let said = json!({"type": "Endorse", "object": object, "serial": log.head()});
    log.append(&format!("inbox/{BOB}"), BOB, said);
}

fn endorsed(times: u64) -> TestLog {
    let log = TestLog::new(&Story::default());
    (0..times).for_each(|number| endorse(&log, number));
    log
}

async fn states(node: &Node, name: &str) -> Vec<String> {
    let views = node.views().await.into_iter();
    let states = views.filter(|view| view.view == name).map(|view| view.state);
    states.collect()
}

/// The counts of all rows together, as of the log's head.
async fn total(node: &Node, log: &TestLog) -> u64 {
    let request = ListRowsRequest {
        view: "endorsements".to_owned(),
        at_least: log.head(),
        ..ListRowsRequest::default()
    };
    let rows = node.list(request).await.unwrap().rows;
    let count = |value: &[u8]| {
        serde_json::from_slice::<Value>(value).unwrap()["count"]
            .as_u64()
            .unwrap()
    };
    rows.iter().map(|row| count(&row.value)).sum()
}

#[tokio::test]
async fn what_is_defined_while_it_runs_answers_at_once() {
    let (log, store) = (endorsed(50), store().await);
    let node = Node::start(&store, &log).await;
    node.row("objects", "none", &log).await;
    let request = ListRowsRequest {
        view: "endorsements".to_owned(),
        ..ListRowsRequest::default()
    };
    let refusal = node.list(request).await.unwrap_err();
    assert_eq!(refusal.code, Code::Malformed);
    log.define(endorsements(COUNT));
    assert_eq!(total(&node, &log).await, 50);
    endorse(&log, 3);
    assert_eq!(total(&node, &log).await, 51);
    eventually("it follows with the others", async || {
        states(&node, "endorsements").await == ["live"]
    })
    .await;
    endorse(&log, 3);
    assert_eq!(total(&node, &log).await, 52);
    node.stop().await;
}

/// Readers ask all the time, while entries come all the time: the count only grows, and no answer is missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_one_takes_over_without_a_gap() {
    let (log, store) = (endorsed(300), store().await);
    let node = Node::start(&store, &log).await;
    log.define(endorsements(COUNT));
    eventually("live", async || states(&node, "endorsements").await == ["live"]).await;
    let before = node.id("endorsements").await;
    let changed = projection(endorsements(TWICE)).cid().to_string();
    let (mut last, mut switched, mut appended) = (0, 0_u64, 300);
    while switched < 20 {
        if appended == 320 {
            log.define(endorsements(TWICE));
        }
        endorse(&log, appended);
        appended += 1;
        let total = total(&node, &log).await;
        assert!(
            total == appended || total == 2 * appended,
            "{total} of {appended}"
        );
        assert!(total >= last, "it goes back from {last} to {total}");
        (last, switched) = (total, switched + u64::from(total == 2 * appended));
    }
    assert_ne!(before, changed);
    assert_eq!(node.id("endorsements").await, changed);
    eventually("the old one is gone", async || {
        let shards = store.shards().await.unwrap();
        let kept = store.settle(&[]).await.unwrap();
        shards.iter().all(|shard| shard.id.view != before) && kept.iter().all(|kept| kept.id != before)
    })
    .await;
    node.stop().await;
}

#[tokio::test]
async fn poison_halts_what_is_built_and_the_old_one_serves_on_until_it_is_repaired() {
    let (log, store) = (endorsed(20), store().await);
    let node = Node::start(&store, &log).await;
    log.define(endorsements(COUNT));
    eventually("live", async || states(&node, "endorsements").await == ["live"]).await;
    log.define(endorsements("{'count': state.counts + 1}"));
    let halted = async || {
        let views = node.views().await;
        let halts = |view: &ViewState| {
            view.state == "building" && view.shards.iter().any(|shard| !shard.halted.is_empty())
        };
        views.iter().any(halts)
    };
    eventually("it stands still", halted).await;
    endorse(&log, 1);
    assert_eq!(total(&node, &log).await, 21);
    log.define(endorsements(TWICE));
    eventually("the repaired one", async || total(&node, &log).await == 42).await;
    eventually("alone", async || states(&node, "endorsements").await == ["live"]).await;
    assert!(node.context.readiness.lacking().is_empty());
    node.stop().await;
}

/// Strangers must not be able to stop a domain by what its author has not thought of.
#[tokio::test]
async fn what_stands_still_by_what_a_stranger_sent_stops_nothing_else() {
    let (log, store) = (endorsed(3), store().await);
    let node = Node::start(&store, &log).await;
    log.define(endorsements(
        "{'count': state.count + (has(activity.weight) ? activity.weight : 1)}",
    ));
    eventually("live", async || states(&node, "endorsements").await == ["live"]).await;
    let heavy = json!({"type": "Endorse", "object": "https://blog.example/objects/1", "weight": "heavy"});
    log.append(&format!("inbox/{BOB}"), BOB, heavy);
    eventually("one shard stands still", async || {
        let shards = node.shards("endorsements").await;
        shards.iter().filter(|shard| !shard.halted.is_empty()).count() == 1
    })
    .await;
    node.row("followers", "none", &log).await;
    assert!(node.context.readiness.lacking().is_empty());
    node.stop().await;
    let again = Node::start(&store, &log).await;
    eventually("ready again", async || {
        again.context.readiness.lacking().is_empty()
    })
    .await;
    again.stop().await;
}

#[tokio::test]
async fn what_was_built_is_there_after_a_restart_whether_or_not_the_log_is() {
    let (log, store) = (endorsed(20), store().await);
    let node = Node::start(&store, &log).await;
    log.define(endorsements(COUNT));
    eventually("live", async || states(&node, "endorsements").await == ["live"]).await;
    assert_eq!(total(&node, &log).await, 20);
    node.stop().await;
    log.be_away(true);
    let node = Node::start(&store, &log).await;
    assert_eq!(total(&node, &log).await, 20);
    let request = ListRowsRequest {
        view: "endorsement".to_owned(),
        ..ListRowsRequest::default()
    };
    let mut node = node;
    node.service.patience = Duration::from_millis(50);
    assert_eq!(node.list(request).await.unwrap_err().code, Code::Unavailable);
    node.stop().await;
}

/// Processes that build the same views die without a word, one after the other: nothing is applied twice, nothing is missed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_builds_may_die() {
    let (log, directory) = (endorsed(400), tempfile::tempdir().unwrap());
    let path = directory.path().join("projection.db");
    let term = jiff::SignedDuration::from_millis(900);
    log.define(endorsements(COUNT));
    let mut process = Mortal::start("0", term, &path, &log).await;
    for (version, owner) in (1..).zip(["1", "2", "3", "4"]) {
        log.define(endorsements(&format!(
            "{{'count': state.count + 1, 'version': {version}}}"
        )));
        (0..50).for_each(|number| endorse(&log, number));
        let next = Mortal::start(owner, term, &path, &log).await;
        std::mem::replace(&mut process, next).die();
    }
    let node = &process.node;
    let id = projection(endorsements("{'count': state.count + 1, 'version': 4}"))
        .cid()
        .to_string();
    eventually("the last one serves", async || {
        states(node, "endorsements").await == ["live"] && node.id("endorsements").await == id
    })
    .await;
    assert_eq!(total(node, &log).await, 600);
    let shards = node.shards("endorsements").await;
    let counted: u64 = shards.iter().map(|shard| shard.count).sum();
    assert_eq!(counted, 600);
    // One that folds it all by itself comes to the same.
    let anew = store().await;
    let alone = Node::start(&anew, &log).await;
    assert_eq!(total(&alone, &log).await, 600);
    let told = |shards: Vec<fedsx_proto::v1::ShardState>| {
        let told = shards
            .into_iter()
            .map(|shard| (shard.shard, shard.count, shard.digest));
        told.collect::<Vec<_>>()
    };
    eventually("all of it", async || {
        let shards = alone.shards("endorsements").await;
        shards.iter().all(|shard| shard.position == log.head())
    })
    .await;
    assert_eq!(
        told(alone.shards("endorsements").await),
        told(node.shards("endorsements").await)
    );
    alone.stop().await;
    process.die();
}

/// The keeper tells a new roster while others read the one before: none of them may wait for the other.
#[test]
fn who_asks_while_the_roster_changes_gets_an_answer() {
    let (board, stop) = (Board::default(), CancellationToken::new());
    let telling = std::thread::spawn({
        let (board, stop) = (board.clone(), stop.clone());
        move || {
            while !stop.is_cancelled() {
                board.tell(Roster {
                    seen: Some(0),
                    ..Roster::default()
                });
            }
        }
    });
    let (sender, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        let runtime = runtime.unwrap();
        for _ in 0..100_000 {
            let answer = runtime.block_on(board.serving("none", 0, Duration::from_secs(60)));
            assert_eq!(answer.unwrap_err().code, Code::Malformed);
        }
        sender.send(()).unwrap();
    });
    // For ever, where they wait for each other.
    asked.recv_timeout(Duration::from_secs(60)).unwrap();
    stop.cancel();
    telling.join().unwrap();
}
