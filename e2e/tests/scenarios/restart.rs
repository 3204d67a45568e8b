//! A domain's data survives its process.

use fedsx_e2e::{Node, eventually, settle};
use futures::StreamExt as _;

use crate::steps::{SOON, arrive, cids, pair};

#[tokio::test]
async fn actors_keep_their_keys_and_seeding_changes_nothing() {
    let mut blog = Node::blog().await;
    blog.publish("author", "Kept").await;
    let head = settle(&[&blog]).await;
    let (base, author) = (
        blog.get("/").await.json(),
        blog.get("/actors/author").await.json(),
    );
    assert!(
        base["assertionMethod"][0]["publicKeyMultibase"].is_string(),
        "{base}"
    );
    assert_ne!(base["assertionMethod"], author["assertionMethod"]);
    for _ in 0..2 {
        blog.restart().await;
        assert_eq!(settle(&[&blog]).await, head);
        assert_eq!(blog.get("/").await.json(), base);
        assert_eq!(blog.get("/actors/author").await.json(), author);
    }
    blog.kill9();
    blog.start().await;
    assert_eq!(settle(&[&blog]).await, head);
    assert_eq!(blog.get("/actors/author").await.json(), author);
}

#[tokio::test]
async fn a_follow_outlives_both_processes() {
    let (mut blog, mut events) = pair().await;
    blog.restart().await;
    events.restart().await;
    blog.publish("author", "After the restart").await;
    arrive(
        &events,
        &blog.actor("author"),
        &["After the restart".to_owned()],
        SOON,
    )
    .await;
}

#[tokio::test]
async fn what_was_delivered_is_not_sent_again_after_a_restart() {
    let (mut blog, events) = pair().await;
    for name in ["one", "two", "three"] {
        blog.publish("author", name).await;
    }
    let heads = settle(&[&blog, &events]).await;
    let attempts = |rows: Vec<fedsx_e2e::Delivery>| rows.iter().map(|row| row.attempts).sum::<u32>();
    let before = attempts(blog.deliveries().await);
    blog.restart().await;
    assert_eq!(settle(&[&blog, &events]).await, heads);
    assert_eq!(attempts(blog.deliveries().await), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_that_is_told_to_end_ends_well_under_load() {
    let (mut blog, events) = pair().await;
    let publisher = blog.publisher("author");
    let load = tokio::spawn(async move {
        let publish = |number| {
            let mut publisher = publisher.clone();
            async move { publisher.publish(&format!("post {number}")).await }
        };
        let answers: Vec<_> = futures::stream::iter((0..).map(publish))
            .buffered(4)
            .take_while(|answer| std::future::ready(answer.is_ok()))
            .collect()
            .await;
        answers
            .into_iter()
            .flatten()
            .map(|published| published.cid)
            .collect::<Vec<_>>()
    });
    let author = blog.actor("author");
    eventually("something arrives", SOON, async || {
        let received = cids(&events.received(&author).await).len();
        (received > 0).then_some(()).ok_or("nothing yet")
    })
    .await;
    assert!(blog.terminate().await.success());
    let acknowledged = load.await.expect("the load");
    blog.start().await;
    let kept = cids(&blog.outbox("author").await);
    assert!(acknowledged.iter().all(|cid| kept.contains(cid)));
    settle(&[&blog, &events]).await;
    assert_eq!(cids(&events.received(&author).await), kept);
}
