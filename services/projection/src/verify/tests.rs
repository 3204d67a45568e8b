use std::sync::Mutex;

use fedsx_proto::v1::{self, VerifyRequest, projection_server::Projection as _, verify_progress::Step};
use futures::TryStreamExt as _;
use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::json;
use tonic::Request;

use super::*;
use crate::{
    shard::{ShardId, apply},
    skips::Skips,
    source::Batch,
    store::{Advance, Change, Group},
    testing::{
        ALICE, BASE, Story, board,
        log::TestLog,
        native_id,
        node::{Node, eventually, store},
        person, sample, views,
    },
};

const TERM: SignedDuration = SignedDuration::from_secs(60);

fn story() -> Story {
    let mut story = Story::default();
    story.published(BASE, json!({"type": "Create", "object": person("alice", false)}));
    for number in 0..20 {
        let id = format!("https://blog.example/objects/{number}");
        story.published(
            ALICE,
            json!({"type": "Create", "object": {"id": id, "type": "Note"}}),
        );
    }
    story
}

/// A projection that has folded all that the log holds.
async fn caught_up(log: &TestLog) -> (Node, Arc<dyn Store>) {
    let store = store().await;
    let node = Node::start(&store, log).await;
    eventually("ready", async || node.context.readiness.lacking().is_empty()).await;
    (node, store)
}

async fn verified(node: &Node, view: &str) -> Result<v1::VerifyVerdict, tonic::Status> {
    let request = Request::new(VerifyRequest {
        view: view.to_owned(),
    });
    let told = node.service.verify(request).await.unwrap().into_inner();
    let steps: Vec<v1::VerifyProgress> = told.try_collect().await?;
    match steps.into_iter().last().unwrap().step {
        Some(Step::Verdict(verdict)) => Ok(verdict),
        other => panic!("{other:?}"),
    }
}

/// Writes rows of the view `objects` behind the worker's back.
async fn meddle(store: &dyn Store, key: &str, value: Option<&[u8]>) {
    let shard = ShardId::of(&native_id("objects"), key);
    let shards = store.shards().await.unwrap();
    let stands = shards.into_iter().find(|stands| stands.id == shard).unwrap();
    let advance = Advance {
        epoch: stands.epoch,
        from: stands.position,
        position: stands.position,
        count: stands.count,
        digest: stands.digest,
        halted: None,
        changes: vec![Change {
            key: key.to_owned(),
            peer: None,
            position: 7,
            value: value.map(<[u8]>::to_vec),
        }],
        shard,
    };
    assert_eq!(store.commit(&[advance]).await.unwrap(), []);
}

#[tokio::test]
async fn a_view_that_is_what_its_log_folds_to_is_verified() {
    let log = TestLog::new(&story());
    let (node, _) = caught_up(&log).await;
    for view in views().iter() {
        let verdict = verified(&node, view.id.as_str()).await.unwrap();
        assert_eq!(
            (&verdict.kept, verdict.position),
            (&verdict.folded, 21),
            "{}",
            view.id.as_str()
        );
        assert_eq!((verdict.shards.len(), verdict.rows_differ), (0, 0));
    }
    assert_eq!(verified(&node, "objects").await.unwrap().rows, 20);
}

#[tokio::test]
async fn rows_that_differ_are_named() {
    let log = TestLog::new(&story());
    let (node, store) = caught_up(&log).await;
    let key = |number: u32| format!("https://blog.example/objects/{number}");
    meddle(&*store, &key(3), None).await;
    meddle(&*store, &key(5), Some(b"{}")).await;
    meddle(&*store, "https://blog.example/objects/x", Some(b"{}")).await;
    let verdict = verified(&node, "objects").await.unwrap();
    assert_ne!(verdict.kept, verdict.folded);
    let rows: Vec<_> = verdict
        .first_rows
        .iter()
        .map(|row| (row.key.clone(), row.kept, row.folded))
        .collect();
    let expected = [
        (key(3), 0, 5),
        (key(5), 7, 7),
        ("https://blog.example/objects/x".to_owned(), 7, 0),
    ];
    assert_eq!(rows, expected);
    assert_eq!(
        (verdict.rows_differ, verdict.shards.len(), verdict.rows),
        (3, 0, 20)
    );
    let verdict = verified(&node, "actors").await.unwrap();
    assert_eq!(verdict.kept, verdict.folded, "other views are sound");
}

#[tokio::test]
async fn only_the_first_rows_are_named() {
    let log = TestLog::new(&story());
    let (node, store) = caught_up(&log).await;
    for number in 0..25 {
        meddle(&*store, &format!("x-{number:02}"), Some(b"1")).await;
    }
    let verdict = verified(&node, "objects").await.unwrap();
    assert_eq!((verdict.rows_differ, verdict.first_rows.len()), (25, 20));
}

#[tokio::test]
async fn a_shard_that_has_missed_an_entry_is_named() {
    let log = TestLog::new(&story());
    let (node, store) = caught_up(&log).await;
    let shards = store.shards().await.unwrap();
    let stands = shards
        .into_iter()
        .find(|shard| shard.id == ShardId::new(&native_id("blocks"), 2))
        .unwrap();
    let advance = Advance {
        epoch: stands.epoch,
        from: stands.position,
        position: stands.position,
        count: 9,
        digest: stands.digest,
        halted: None,
        changes: Vec::new(),
        shard: stands.id,
    };
    store.commit(&[advance]).await.unwrap();
    let verdict = verified(&node, "blocks").await.unwrap();
    let [shard] = verdict.shards.as_slice() else {
        panic!("{verdict:?}")
    };
    let counts = (
        shard.kept.as_ref().unwrap().count,
        shard.folded.as_ref().unwrap().count,
    );
    assert_eq!((shard.shard, counts, verdict.rows_differ), (2, (9, 0), 0));
}

/// What stands before poison is verified up to there; what goes on without it by a decision, beyond.
#[tokio::test]
async fn poison_and_what_was_decided_about_it_are_verified() {
    let log = TestLog::new(&story());
    let poison = log.poison();
    let store = store().await;
    let node = Node::start(&store, &log).await;
    eventually("halted", async || node.halted("objects").await == 8).await;
    let skip = json!({"type": "Skip", "view": native_id("objects"), "shards": [0, 1, 2], "position": poison, "summary": "damaged"});
    log.append("domain", BASE, skip);
    eventually("three go on", async || node.halted("objects").await == 5).await;
    let there = async || {
        let shards = node.shards("objects").await;
        shards.iter().filter(|shard| shard.position == poison + 1).count() == 3
    };
    eventually("three are at the head", there).await;
    for view in ["objects", "actors"] {
        let verdict = verified(&node, view).await.unwrap();
        assert_eq!((&verdict.kept, verdict.position), (&verdict.folded, poison - 1));
    }
}

/// A shard that says it is beyond an entry which it cannot have folded.
#[tokio::test]
async fn a_shard_beyond_what_can_be_folded_is_named_and_says_why() {
    let mut log = TestLog::new(&story());
    let (node, store) = caught_up(&log).await;
    let board = node.service.serving.board.clone();
    node.stop().await;
    log = TestLog::new(&{
        let mut story = story();
        story.entries[10].stream = "attic".to_owned();
        story
    });
    let stop = CancellationToken::new();
    let verifier = Verifier::new(store, log.source(), board, stop);
    let verdict = verifier.verify("objects", |_| ()).await.unwrap();
    assert_eq!(verdict.shards.len(), 8);
    let shard = &verdict.shards[0];
    assert_eq!((shard.kept.position, shard.folded.position), (21, 10));
    assert!(shard.halted.contains("attic"), "{}", shard.halted);
}

#[tokio::test]
async fn one_view_is_verified_at_a_time_and_a_call_that_is_dropped_ends() {
    let log = TestLog::new(&story());
    let (node, _) = caught_up(&log).await;
    log.be_away(true);
    let request = || {
        Request::new(VerifyRequest {
            view: "objects".to_owned(),
        })
    };
    let first = node.service.verify(request()).await.unwrap().into_inner();
    let busy = async || {
        let refused = verified(&node, "objects").await.unwrap_err();
        refused.message().contains("another view")
    };
    eventually("busy", busy).await;
    drop(first);
    log.be_away(false);
    eventually("verified", async || verified(&node, "objects").await.is_ok()).await;
    let refused = verified(&node, "object").await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    assert!(refused.message().contains("actors, blocks"), "{refused}");
}

#[tokio::test]
async fn who_verifies_is_told_how_far_it_is() {
    let log = TestLog::new(&story());
    let (node, store) = caught_up(&log).await;
    let board = node.service.serving.board.clone();
    let verifier = Verifier::new(store, log.source(), board, CancellationToken::new());
    let told = Mutex::new(Vec::new());
    verifier
        .verify("objects", |folded| told.lock().unwrap().push(folded))
        .await
        .unwrap();
    let last = told.into_inner().unwrap().pop().unwrap();
    assert_eq!(
        last,
        Folded {
            position: 21,
            target: 21
        }
    );
    drop(node);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Shards stand where they like.
    #[test]
    fn whatever_was_folded_is_verified(story in sample::story(50), ends in prop::collection::vec(0..60_usize, 3)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (log, store) = (TestLog::new(&story), store().await);
            let all = views();
            let group = Group {
                name: "views".to_owned(),
                shards: all.iter().flat_map(|view| ShardId::all(view.id.as_str())).collect(),
            };
            store.declare(&group.shards).await.unwrap();
            let leases = store.hold(&group, "a", TERM).await.unwrap();
            let items: Vec<crate::entry::Item> = story.entries().into_iter().map(|entry| crate::entry::Item {
                position: entry.position,
                content: Ok(entry),
            }).collect();
            for (which, end) in ends.iter().enumerate() {
                let own: Vec<_> = leases.iter().filter(|lease| lease.shard.shard as usize % 3 == which).cloned().collect();
                let part = &items[..items.len().min(*end)];
                if !part.is_empty() {
                    apply::apply(&*store, &all, &own, &Skips::default(), &Batch::of(part)).await.unwrap();
                }
            }
            let verifier = Verifier::new(store, log.source(), board(), CancellationToken::new());
            for view in all.iter() {
                let verdict = verifier.verify(view.id.as_str(), |_| ()).await.unwrap();
                assert_eq!(verdict.kept, verdict.folded, "{}: {verdict:?}", view.id.as_str());
            }
        });
    }
}
