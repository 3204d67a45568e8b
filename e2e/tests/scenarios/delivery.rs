//! Peers that are away, slow or unwilling.

use fedsx_e2e::{Delivery, Node, Scripted, Stranger, eventually, settle};
use serde_json::Value;

use crate::steps::{BACK, SOON, arrive, names, pair};

#[tokio::test]
async fn a_backlog_arrives_in_order_once_the_peer_is_back() {
    let (blog, mut events) = pair().await;
    events.kill9();
    let mut publisher = blog.publisher("author");
    let posts: Vec<String> = (0..20).map(|n| format!("post {n}")).collect();
    for post in &posts {
        publisher
            .publish(post)
            .await
            .expect("a publish waits for no peer");
    }
    eventually("the peer is known to be away", SOON, async || {
        let ledger = blog.deliveries().await;
        let failed = ledger
            .iter()
            .any(|row| row.state == "pending" && !row.cause.is_empty());
        failed.then_some(()).ok_or("untried")
    })
    .await;
    events.start().await;
    arrive(&events, &blog.actor("author"), &posts, BACK).await;
    settle(&[&blog, &events]).await;
    assert_eq!(
        names(&events.received(&blog.actor("author")).await),
        posts,
        "nothing arrives twice"
    );
    let ledger = blog.deliveries().await;
    assert!(ledger.iter().all(|row| row.state == "delivered"), "{ledger:?}");
    let peers = blog.json(&["peers"]).await;
    assert_eq!(
        (&peers[0]["state"], &peers[0]["pending"]),
        (&"live".into(), &0.into()),
        "{peers}"
    );
}

/// A blog, and a stranger whose `carol` follows its author.
async fn followed_by_carol() -> (Node, Stranger) {
    let (blog, stranger) = tokio::join!(Node::blog(), Stranger::new());
    let follow = stranger.follow("carol", &blog.actor("author"));
    stranger.post(&blog, &follow).await.assert_status(202);
    eventually("carol is accepted", SOON, async || {
        let accepts = stranger.received_verbs("Accept").len();
        (accepts == 1).then_some(()).ok_or(accepts)
    })
    .await;
    (blog, stranger)
}

/// The one delivery of an activity, once it has been tried so often.
async fn tried(blog: &Node, cid: &str, attempts: u32) -> Delivery {
    eventually(&format!("attempt {attempts}"), SOON, async || {
        let row = blog.deliveries().await.into_iter().find(|row| row.cid == cid);
        row.filter(|row| row.attempts >= attempts)
            .ok_or("not tried so often yet")
    })
    .await
}

fn names_received(stranger: &Stranger) -> Vec<Value> {
    let created = stranger.received_verbs("Create").into_iter();
    created
        .map(|activity| activity["object"]["name"].clone())
        .collect()
}

#[tokio::test]
async fn the_impatient_need_not_wait_for_the_ladder() {
    let (blog, stranger) = followed_by_carol().await;
    stranger.answers(Scripted::Status(500));
    let post = blog.publish("author", "Patience").await;
    for attempt in 1..=2 {
        tried(&blog, &post.cid, attempt).await;
        blog.json(&["deliveries", "retry-now"]).await;
    }
    let row = tried(&blog, &post.cid, 3).await;
    assert_eq!((row.state.as_str(), row.status), ("pending", 500));
    // The ladder's third step is two minutes, longer than this waits.
    stranger.answers(Scripted::Accept);
    let told = blog
        .json(&["deliveries", "retry-now", "--peer", stranger.origin().as_str()])
        .await;
    assert_eq!(told["deliveries"], 1, "{told}");
    eventually("the post arrives", SOON, async || {
        let received = names_received(&stranger);
        (received == ["Patience"])
            .then_some(())
            .ok_or(format!("{received:?}"))
    })
    .await;
}

#[tokio::test]
async fn a_refused_activity_does_not_hold_up_the_next() {
    let (blog, stranger) = followed_by_carol().await;
    stranger.answers(Scripted::Status(422));
    let refused = blog.publish("author", "Refused").await;
    let row = tried(&blog, &refused.cid, 1).await;
    assert_eq!((row.state.as_str(), row.status), ("refused", 422));
    stranger.answers(Scripted::Accept);
    blog.publish("author", "Next").await;
    settle(&[&blog]).await;
    assert_eq!(names_received(&stranger), ["Next"]);
    let ledger = blog.json(&["deliveries", "--state", "refused"]).await;
    assert_eq!(ledger["deliveries"][0]["cid"], refused.cid.as_str(), "{ledger}");
}

#[tokio::test]
async fn gone_ends_the_follow() {
    let (blog, stranger) = followed_by_carol().await;
    stranger.answers(Scripted::Status(410));
    blog.publish("author", "Too late").await;
    settle(&[&blog]).await;
    assert_eq!(blog.followers("author").await, []);
    stranger.answers(Scripted::Accept);
    blog.publish("author", "Later still").await;
    settle(&[&blog]).await;
    assert_eq!(names_received(&stranger), [Value::Null; 0]);
}

#[tokio::test]
async fn one_peer_that_hangs_holds_up_no_other() {
    let (blog, mut stranger) = followed_by_carol().await;
    let events = Node::events().await;
    events.follow("main", &blog.actor("author")).await;
    stranger.answers(Scripted::Hang);
    let posts: Vec<String> = (0..10).map(|n| format!("post {n}")).collect();
    for post in &posts {
        blog.publish("author", post).await;
    }
    arrive(&events, &blog.actor("author"), &posts, SOON).await;
    assert_eq!(names_received(&stranger), [Value::Null; 0]);
    stranger.down().await;
    stranger.answers(Scripted::Accept);
    stranger.up().await;
    eventually("the peer that hung catches up", BACK, async || {
        let received = names_received(&stranger);
        (received == posts).then_some(()).ok_or(format!("{received:?}"))
    })
    .await;
}
