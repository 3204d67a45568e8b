//! A process killed in the middle of its work: nothing acknowledged is lost, nothing happens twice.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use fedsx_e2e::{Node, Published, Publisher, assert_gapless, eventually, settle};
use futures::StreamExt as _;

use crate::steps::{cids, names, pair};

const POSTS: usize = 500;
/// Publishes under way at once.
const WIDTH: usize = 8;
/// Both sides work off what is left in this time; a delivery under way at the kill waits for its claim to expire.
const CONVERGE: Duration = Duration::from_secs(120);

fn post(number: usize) -> String {
    format!("post {number}")
}

/// Publishes every post and tells each acknowledgement, by the post's name.
async fn publish(publisher: &Publisher, mut acknowledged: impl FnMut(String, Published)) {
    let mut answers = futures::stream::iter((0..POSTS).map(|number| {
        let mut publisher = publisher.clone();
        async move { (post(number), publisher.publish(&post(number)).await) }
    }))
    .buffer_unordered(WIDTH);
    while let Some((post, answer)) = answers.next().await {
        if let Ok(published) = answer {
            acknowledged(post, published);
        }
    }
}

/// Both logs have the same posts in the same order, each once, and no gaps.
async fn converge(blog: &Node, events: &Node) {
    let author = blog.actor("author");
    let sent = cids(&blog.outbox("author").await);
    assert_eq!(sent.len(), POSTS);
    eventually("both logs converge", CONVERGE, async || {
        let received = cids(&events.received(&author).await);
        (received == sent).then_some(()).ok_or_else(|| {
            let apart = sent
                .iter()
                .zip(&received)
                .position(|(sent, received)| sent != received);
            format!(
                "{} of {} received; the first difference is at {apart:?}",
                received.len(),
                sent.len()
            )
        })
    })
    .await;
    settle(&[blog, events]).await;
    assert_eq!(
        cids(&events.received(&author).await),
        sent,
        "nothing arrives twice"
    );
    for node in [blog, events] {
        assert_gapless(&node.log().await);
    }
    let ledger = blog.deliveries().await;
    assert!(ledger.iter().all(|row| row.state == "delivered"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_sender_keeps_every_acknowledged_publish() {
    let (mut blog, events) = pair().await;
    let mut acknowledged: HashMap<String, Published> = HashMap::new();
    for kill_at in [POSTS / 3, 2 * POSTS / 3, usize::MAX] {
        // Each round publishes all posts under the same keys: once, whether or not they got through before.
        let mut answered = 0;
        publish(&blog.publisher("author"), |post, published| {
            if let Some(before) = acknowledged.get(&post) {
                assert!(
                    published.duplicate && published.cid == before.cid,
                    "{post} was published twice"
                );
            }
            acknowledged.insert(post, published);
            answered += 1;
            if answered == kill_at {
                blog.kill9();
            }
        })
        .await;
        if kill_at == usize::MAX {
            assert_eq!(answered, POSTS);
            break;
        }
        assert!(answered < POSTS, "the kill came too late");
        blog.start().await;
        let kept = cids(&blog.outbox("author").await);
        for (post, published) in &acknowledged {
            assert!(
                kept.contains(&published.cid),
                "{post} was acknowledged and is lost"
            );
        }
    }
    let mut all = names(&blog.outbox("author").await);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), POSTS);
    converge(&blog, &events).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_receiver_misses_nothing() {
    let (blog, mut events) = pair().await;
    let mut acknowledged = 0;
    publish(&blog.publisher("author"), |_, _| {
        acknowledged += 1;
        if acknowledged == POSTS / 3 {
            events.kill9();
        }
    })
    .await;
    assert_eq!(acknowledged, POSTS, "publishing waits for no peer");
    let ledger = blog.deliveries().await;
    let delivered = ledger.iter().filter(|row| row.state == "delivered").count();
    assert!(
        (1..POSTS).contains(&delivered),
        "{delivered} were delivered before the kill"
    );
    events.start().await;
    converge(&blog, &events).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_killed_at_once_converge() {
    let (mut blog, mut events) = pair().await;
    let mut acknowledged = 0;
    publish(&blog.publisher("author"), |_, _| {
        acknowledged += 1;
        if acknowledged == POSTS / 2 {
            blog.kill9();
            events.kill9();
        }
    })
    .await;
    tokio::join!(blog.start(), events.start());
    publish(&blog.publisher("author"), |_, _| {}).await;
    converge(&blog, &events).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_during_the_first_start_leaves_a_domain_that_starts() {
    let mut blog = Node::stopped("blog");
    // In the order in which the start makes them.
    for file in ["log.db", "delivery.db", "connect.json"] {
        blog.start_and_kill_at(file).await;
    }
    blog.start().await;
    let log = blog.log().await;
    assert_gapless(&log);
    let seeded: BTreeSet<String> = log
        .iter()
        .map(|entry| format!("{} {}", entry.activity["type"], entry.activity["object"]))
        .collect();
    assert_eq!(seeded.len(), log.len(), "each once: {seeded:?}");
    let made = log.iter().filter(|entry| entry.activity["type"] == "Create");
    assert_eq!(
        made.count(),
        3,
        "the base, the author and the welcome: {seeded:?}"
    );
}
