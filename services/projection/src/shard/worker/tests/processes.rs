//! Several processes over one store.

use super::*;
use crate::testing::node::Mortal;

#[tokio::test]
async fn two_processes_share_and_one_takes_over_when_the_other_dies() {
    let (log, directory) = (TestLog::new(&notes(20)), tempfile::tempdir().unwrap());
    let path = directory.path().join("projection.db");
    let term = SignedDuration::from_millis(900);
    let one = Mortal::start("one", term, &path, &log).await;
    let two = Mortal::start("two", term, &path, &log).await;
    let held = async |by: &str| {
        let shards = two.node.service.serving.store.shards().await.unwrap();
        shards
            .iter()
            .filter(|shard| !shard.id.view.starts_with("reaction/") && shard.owner == by)
            .count()
    };
    eventually("an even share", async || {
        held("one").await == 24 && held("two").await == 24
    })
    .await;
    let publish = async |number: u32, readers: &[&Node]| {
        let id = format!("https://blog.example/objects/{number}");
        let create = json!({"type": "Create", "object": {"id": id, "type": "Note"}});
        log.append(&format!("outbox/{ALICE}"), ALICE, create);
        for reader in readers {
            assert!(reader.row("objects", &id, &log).await.is_some());
        }
    };
    for number in 20..30 {
        // Either answers for all rows, whoever folds them.
        publish(number, &[&one.node, &two.node]).await;
    }
    one.die();
    eventually("taken over", async || held("two").await == 48).await;
    publish(30, &[&two.node]).await;
    let shards = two.node.service.serving.store.shards().await.unwrap();
    let objects_id = two.node.id("objects").await;
    let objects = shards.iter().filter(|shard| shard.id.view == objects_id);
    assert_eq!(
        objects.map(|shard| shard.count).sum::<u64>(),
        31,
        "every note was applied once"
    );
    two.die();
}

/// One process lost its way to the log, or never had one; its way to the store is well.
#[tokio::test]
async fn who_cannot_read_the_log_leaves_the_shards_to_who_can() {
    let (story, directory) = (notes(5), tempfile::tempdir().unwrap());
    let path = directory.path().join("projection.db");
    let (severed, log) = (TestLog::new(&story), TestLog::new(&story));
    let term = SignedDuration::from_millis(900);
    let one = Mortal::start("one", term, &path, &severed).await;
    let owners = async || {
        let shards = one.node.service.serving.store.shards().await.unwrap();
        shards
            .into_iter()
            .map(|shard| shard.owner)
            .collect::<HashSet<_>>()
    };
    eventually("all held", async || owners().await == ["one".to_owned()].into()).await;

    severed.be_away(true);
    severed.end_subscriptions();
    eventually("all given back", async || {
        owners().await == [String::new()].into()
    })
    .await;
    let two = Mortal::start("two", term, &path, &log).await;
    eventually("all held by the other", async || {
        owners().await == ["two".to_owned()].into()
    })
    .await;
    let three = Mortal::start("three", term, &path, &severed).await;
    eventually("three says why", async || {
        let lacking = three.node.context.readiness.lacking();
        lacking.get("views").is_some_and(|why| why.contains("is away"))
    })
    .await;
    for number in 5..10 {
        let id = format!("https://blog.example/objects/{number}");
        let create = json!({"type": "Create", "object": {"id": id, "type": "Note"}});
        log.append(&format!("outbox/{ALICE}"), ALICE, create);
        assert!(two.node.row("objects", &id, &log).await.is_some());
        assert_eq!(owners().await, ["two".to_owned()].into());
    }
    for process in [one, two, three] {
        process.die();
    }
}
