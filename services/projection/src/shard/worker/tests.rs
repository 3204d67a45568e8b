use fedsx_proto::v1::{GetRowRequest, projection_server::Projection as _};
use fedsx_runtime::metrics::Metrics;
use serde_json::json;

use super::*;
use crate::{
    roster::settle::InEffect,
    snapshot::Vault,
    source::relay,
    store::{Advance, Change, Shard},
    testing::{
        ALICE, BASE, BOB, Story, complete,
        log::TestLog,
        native_id,
        node::{Node, eventually, store},
        origin, person, projection,
        warnings::Warnings,
    },
};

mod processes;

const TERM: SignedDuration = SignedDuration::from_secs(15);

/// Alice has made so many notes.
fn notes(count: u32) -> Story {
    let mut story = Story::default();
    for number in 0..count {
        let id = format!("https://blog.example/objects/{number}");
        story.published(
            ALICE,
            json!({"type": "Create", "object": {"id": id, "type": "Note"}}),
        );
    }
    story
}

#[tokio::test]
async fn catches_up_becomes_ready_and_goes_on() {
    let (log, store) = (TestLog::new(&notes(50)), store().await);
    let node = Node::start(&store, &log).await;
    assert!(node.context.readiness.lacking().contains_key("views"));
    eventually("ready", async || node.context.readiness.lacking().is_empty()).await;
    assert!(
        node.row("objects", "https://blog.example/objects/49", &log)
            .await
            .is_some()
    );

    log.append(
        "domain",
        BASE,
        json!({"type": "Block", "object": "https://events.example/"}),
    );
    assert!(node.row("blocks", "https://events.example", &log).await.is_some());
    let metrics = node.metrics();
    for line in [
        r#"fedsx_projection_lag_entries{view="objects"} 0"#,
        r#"fedsx_projection_entries_applied_total{view="objects"} 50"#,
        r#"fedsx_projection_halted_shards{view="objects"} 0"#,
        r#"fedsx_projection_position{view="objects"} 51"#,
        "fedsx_projection_batch_entries_sum 51",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    node.stop().await;
}

#[test]
fn a_lease_ends_a_turn_before_its_term() {
    for term in [15_000, 2000, 900] {
        let term = SignedDuration::from_millis(term);
        let turn = SignedDuration::try_from(period(term)).unwrap();
        assert_eq!(lasts(term) + turn, term);
    }
}

#[tokio::test]
async fn a_log_that_stops_too_is_no_news() {
    let (log, store, warnings) = (TestLog::new(&notes(5)), store().await, Warnings::listen());
    let node = Node::start(&store, &log).await;
    node.row("objects", "none", &log).await;
    log.end_subscriptions();
    log.be_away(true);
    node.stop().await;
    assert_eq!(warnings.count(), 0);
}

#[tokio::test]
async fn continues_where_it_ended() {
    let (log, store) = (TestLog::new(&notes(10)), store().await);
    let node = Node::start(&store, &log).await;
    node.row("objects", "none", &log).await;
    eventually("all shards at the head", async || {
        node.shards("objects")
            .await
            .iter()
            .all(|shard| shard.position == 10)
    })
    .await;
    node.stop().await;
    let before = store.shards().await.unwrap();
    assert!(
        before.iter().all(|shard| shard.owner.is_empty()),
        "leases were given back"
    );

    log.append(
        "domain",
        BASE,
        json!({"type": "Block", "object": "https://events.example/"}),
    );
    let node = Node::start(&store, &log).await;
    assert!(node.row("blocks", "https://events.example", &log).await.is_some());
    let after = store.shards().await.unwrap();
    let count = |shards: &[Shard]| shards.iter().map(|shard| shard.count).sum::<u64>();
    // A block counts for its own shard, and for all of the three views of follows.
    assert_eq!(count(&after), count(&before) + 1 + 3 * 8);
}

#[tokio::test]
async fn poison_halts_every_view_and_says_so() {
    let log = TestLog::new(&notes(3));
    log.poison();
    let node = Node::start(&store().await, &log).await;
    eventually("halted", async || {
        node.shards("actors")
            .await
            .iter()
            .all(|shard| shard.position == 3 && !shard.halted.is_empty())
    })
    .await;
    let lacking = node.context.readiness.lacking();
    assert!(
        lacking["views"].contains("the entry at 4 cannot be folded"),
        "{lacking:?}"
    );
    assert!(
        node.metrics()
            .contains(r#"fedsx_projection_halted_shards{view="actors"} 8"#)
    );
    let request = GetRowRequest {
        view: "actors".to_owned(),
        key: ALICE.to_owned(),
        at_least: 4,
    };
    let status = node
        .service
        .get_row(tonic::Request::new(request))
        .await
        .unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    assert!(status.message().contains("attic"), "{status}");
}

#[tokio::test]
async fn poison_is_passed_over_where_an_operator_has_decided_so() {
    let log = TestLog::new(&notes(3));
    let poison = log.poison();
    let store = store().await;
    let node = Node::start(&store, &log).await;
    eventually("halted", async || node.halted("actors").await == 8).await;
    let skip = async |view: &str, shards: std::ops::Range<u32>| {
        let (reason, id) = ("damaged", node.id(view).await);
        json!({"type": "Skip", "view": id, "shards": shards.collect::<Vec<_>>(), "position": poison, "summary": reason})
    };
    log.append("domain", BASE, skip("actors", 0..5).await);
    eventually("five go on", async || node.halted("actors").await == 3).await;
    assert_eq!(node.halted("objects").await, 8);
    for view in [
        "actors",
        "blocks",
        "followers",
        "following",
        "following_by",
        "objects",
    ] {
        log.append("domain", BASE, skip(view, 0..8).await);
    }
    eventually("all go on", async || node.halted("objects").await == 0).await;
    eventually("ready", async || node.context.readiness.lacking().is_empty()).await;
    node.stop().await;
    // A rebuild comes to the same.
    let anew = self::store().await;
    let node = Node::start(&anew, &log).await;
    for view in ["actors", "objects", "followers"] {
        assert!(node.row(view, "none", &log).await.is_none());
    }
    let told = async |store: &Arc<dyn Store>| {
        let shards = store.shards().await.unwrap().into_iter();
        let mut told: Vec<_> = shards
            .map(|shard| (shard.id, shard.count, shard.digest))
            .collect();
        told.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        told
    };
    eventually("both agree", async || told(&store).await == told(&anew).await).await;
}

/// Writes a row behind the workers' backs.
async fn write(store: &dyn Store, shard: &ShardId, key: &str, value: Option<&[u8]>) {
    store.declare(std::slice::from_ref(shard)).await.unwrap();
    let group = Group {
        name: "repair".to_owned(),
        shards: vec![shard.clone()],
    };
    let lease = store.hold(&group, "repair", TERM).await.unwrap().pop().unwrap();
    let change = Change {
        key: key.to_owned(),
        peer: None,
        position: lease.position,
        value: value.map(<[u8]>::to_vec),
    };
    let advance = Advance {
        shard: shard.clone(),
        epoch: lease.epoch,
        from: lease.position,
        position: lease.position,
        count: lease.count,
        digest: lease.digest,
        halted: lease.halted,
        changes: vec![change],
    };
    assert_eq!(store.commit(&[advance]).await.unwrap(), []);
    store.resign(&group, "repair").await.unwrap();
}

#[tokio::test]
async fn a_halted_shard_is_tried_again_by_who_takes_it() {
    let (log, store) = (TestLog::new(&notes(1)), store().await);
    let key = format!("{ALICE} {BOB}");
    let followers = native_id("followers");
    let damaged = ShardId::of(&followers, &key);
    // What a faulty version would have written, and what repairs it.
    write(&*store, &damaged, &key, Some(b"[]")).await;
    log.append(
        &format!("inbox/{BOB}"),
        BOB,
        json!({"type": "Follow", "object": ALICE}),
    );
    let node = Node::start(&store, &log).await;
    let halted = async || {
        let shards = node.shards("followers").await;
        shards
            .into_iter()
            .filter(|shard| !shard.halted.is_empty())
            .map(|shard| shard.shard)
            .collect::<Vec<_>>()
    };
    eventually("halted", async || halted().await == [damaged.shard]).await;
    assert!(
        node.row("objects", "none", &log).await.is_none(),
        "other views go on"
    );
    eventually("the others of the view go on", async || {
        node.shards("followers")
            .await
            .iter()
            .all(|shard| shard.position == 2 || shard.shard == damaged.shard)
    })
    .await;
    node.stop().await;

    write(&*store, &damaged, &key, None).await;
    let node = Node::start(&store, &log).await;
    eventually("well again", async || node.context.readiness.lacking().is_empty()).await;
    assert_eq!(
        node.row("followers", &key, &log).await.unwrap()["state"],
        "requested"
    );
    assert!(
        node.shards("followers")
            .await
            .iter()
            .all(|shard| shard.halted.is_empty())
    );
}

#[tokio::test]
async fn what_an_answer_refers_to_is_looked_up() {
    let mut story = Story::default();
    let follow = json!({"type": "Follow", "id": "https://events.example/follows/1", "object": ALICE});
    let undo = json!({"type": "Undo", "object": "https://events.example/follows/1"});
    story.received(BOB, undo.clone());
    story.received(BOB, follow);
    let (log, store) = (TestLog::new(&story), store().await);
    let node = Node::start(&store, &log).await;
    let key = format!("{ALICE} {BOB}");
    assert_eq!(
        node.row("followers", &key, &log).await.unwrap()["state"],
        "requested"
    );
    let mut again = undo;
    again["again"] = true.into();
    log.append(&format!("inbox/{BOB}"), BOB, again);
    assert_eq!(node.row("followers", &key, &log).await, None);
}

/// Folded again from the first entry, the log holds all of it at once; the same must come out.
#[tokio::test]
async fn what_comes_later_is_not_referred_to() {
    let block = |serial: u32| json!({"type": "Block", "object": "https://events.example/", "serial": serial});
    let second = complete(BASE, block(2))["id"].clone();
    let mut story = Story::default();
    let first = story.decided(block(1));
    story.decided(json!({"type": "Undo", "object": second}));
    story.decided(block(2));
    let log = TestLog::new(&story);
    let node = Node::start(&store().await, &log).await;
    let row = node.row("blocks", "https://events.example", &log).await.unwrap();
    assert_eq!(row["since"], story.time(first.id()).to_string());
}

#[tokio::test]
async fn another_log_is_not_folded_on() {
    let store = store().await;
    let log = TestLog::new(&notes(5));
    let node = Node::start(&store, &log).await;
    node.row("objects", "none", &log).await;
    eventually("caught up", async || {
        store
            .shards()
            .await
            .unwrap()
            .iter()
            .any(|shard| shard.position == 5)
    })
    .await;
    node.stop().await;
    let log = TestLog::new(&notes(2));
    log.append(
        &format!("outbox/{BASE}"),
        BASE,
        json!({"type": "Create", "object": person("alice", false)}),
    );
    let node = Node::start(&store, &log).await;
    eventually("said", async || {
        let lacking = node.context.readiness.lacking();
        lacking
            .get("views")
            .is_some_and(|why| why.contains("another log, or one that was set back"))
    })
    .await;
}

/// The reaction goes by what the worker has read, whichever views the worker folds just then.
#[tokio::test]
async fn what_is_relayed_has_every_follow_though_no_view_listens_to_it() {
    let mut story = notes(3);
    story.received(BOB, json!({"type": "Follow", "object": ALICE}));
    let (log, store) = (TestLog::new(&story), store().await);
    let deaf = projection(json!({"name": "deaf", "on": {"verbs": ["Shout"]}, "key": "'a'", "fold": "state"}));
    let in_effect = InEffect {
        id: deaf.cid().to_string(),
        name: deaf.name().to_owned(),
        record: deaf.canonical().to_vec(),
        since: 1,
    };
    let kept = store.settle(&[in_effect]).await.unwrap();
    let board = Board::default();
    board.tell(Roster::of(
        kept,
        &[Arc::new(Projection::of(&deaf, &origin()).unwrap())],
    ));
    let (relay, mut relayed) = relay();
    let source = log.source();
    let worker = Worker {
        store: store.clone(),
        part: Part::Live,
        board,
        relay: Some(relay),
        owner: "test".to_owned(),
        term: TERM,
        progress: Progress::new(store),
        measures: Measures::register(&Metrics::default()).unwrap(),
        standing: None,
        decisions: Decisions::default(),
        beginning: Beginning::new(Vault::new(source.client.clone())),
        source,
    };
    let stop = CancellationToken::new();
    let working = tokio::spawn(worker.run(stop.clone()));
    let mut heard = Vec::new();
    while heard.is_empty() {
        let batch = relayed.next().await;
        let entries = batch.items.iter().map(|item| item.content.as_ref().unwrap());
        heard.extend(entries.map(|entry| (entry.position, entry.activity.verb().to_owned())));
        assert!(batch.last < 4 || !heard.is_empty(), "the Follow is passed over");
    }
    assert_eq!(heard, [(4, "Follow".to_owned())]);
    stop.cancel();
    working.await.unwrap();
}
