//! The main job: two domains federate.

use fedsx_e2e::{Node, settle};
use serde_json::json;

use crate::steps::{SOON, arrive, cids, pair};

#[tokio::test]
async fn a_follower_receives_what_is_published_once_and_verified() {
    let (blog, events) = pair().await;
    let author = blog.actor("author");
    let gig = blog.publish("author", "Gig Night").await;
    arrive(&events, &author, &["Gig Night".to_owned()], SOON).await;
    settle(&[&blog, &events]).await;
    let received = events.received(&author).await;
    let received: Vec<_> = received.iter().filter(|entry| entry.cid == gig.cid).collect();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].verified_by, "proof");
    assert_eq!(received[0].id, gig.id);
    let sent = blog.outbox("author").await;
    let sent = sent
        .iter()
        .find(|entry| entry.cid == gig.cid)
        .expect("the entry in the sender's log");
    assert_eq!(
        received[0].body, sent.body,
        "the bytes are the ones that were sealed"
    );
}

#[tokio::test]
async fn after_an_undo_nothing_more_arrives() {
    let (blog, events) = pair().await;
    let author = blog.actor("author");
    let first = blog.publish("author", "First").await;
    arrive(&events, &author, &["First".to_owned()], SOON).await;
    events.json(&["unfollow", &author, "--actor", "main"]).await;
    settle(&[&blog, &events]).await;
    assert_eq!(blog.followers("author").await, []);
    blog.publish("author", "Second").await;
    settle(&[&blog, &events]).await;
    assert_eq!(cids(&events.received(&author).await), [first.cid]);
}

#[tokio::test]
async fn what_is_directed_to_a_base_arrives_without_a_follow() {
    let (blog, events) = tokio::join!(Node::blog(), Node::events());
    let flags = [
        "--actor",
        "author",
        "--name",
        "An offer",
        "--direct",
        "--to",
        &events.base(),
    ];
    blog.publish_with(&flags).await;
    arrive(&events, &blog.actor("author"), &["An offer".to_owned()], SOON).await;
}

#[tokio::test]
async fn the_largest_activity_arrives_and_a_larger_one_is_refused() {
    let (blog, events) = pair().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("draft.json");
    let followers = format!("{}/followers", blog.actor("author"));
    let draft = |bytes: usize| {
        let object = json!({ "type": "Note", "name": "Large", "content": "x".repeat(bytes) });
        json!({ "type": "Create", "object": object, "to": [followers] }).to_string()
    };
    let publish = ["publish", "--actor", "author", "--file", &file.to_string_lossy()];
    std::fs::write(&file, draft((1 << 20) - 2000)).expect("a draft");
    blog.json(&publish).await;
    arrive(&events, &blog.actor("author"), &["Large".to_owned()], SOON).await;
    std::fs::write(&file, draft((1 << 20) - 200)).expect("a draft");
    blog.run(&publish)
        .await
        .assert_code(3)
        .assert_says("at most 1048576");
}

#[tokio::test]
async fn an_idempotency_key_publishes_once() {
    let blog = Node::blog().await;
    let flags = ["--actor", "author", "--name", "Once", "--key", "form-1"];
    let first = blog.publish_with(&flags).await;
    let second = blog.publish_with(&flags).await;
    assert!(!first.duplicate && second.duplicate);
    assert_eq!((first.cid, first.position), (second.cid, second.position));
    assert_eq!(blog.head().await, first.position);
}
