//! The lifecycle of a follow.

use std::sync::atomic::{AtomicBool, Ordering};

use fedsx_e2e::{Node, Stranger, eventually, settle};
use serde_json::{Value, json};

use crate::steps::{BACK, SOON, cids, names, pair};

/// A blog with an actor whose followers a person answers, and an events site.
async fn manual() -> (Node, Node, String) {
    let (blog, events) = tokio::join!(Node::blog(), Node::events());
    let made = blog.json(&["actor", "create", "alice", "--manual"]).await;
    let alice = made["id"].as_str().expect("an id").to_owned();
    assert_eq!(alice, blog.actor("alice"));
    (blog, events, alice)
}

async fn has_follower(node: &Node, actor: &str, follower: &str, state: &str) {
    let expected = [(follower.to_owned(), state.to_owned())];
    eventually(&format!("{follower} is {state}"), BACK, async || {
        let followers = node.followers(actor).await;
        (followers == expected)
            .then_some(())
            .ok_or(format!("{followers:?}"))
    })
    .await;
}

#[tokio::test]
async fn a_person_accepts_a_follower() {
    let (blog, events, alice) = manual().await;
    let asked = events.json(&["follow", &alice, "--actor", "main"]).await;
    assert_eq!(asked["state"], "requested");
    let main = events.actor("main");
    has_follower(&blog, "alice", &main, "requested").await;
    settle(&[&blog, &events]).await;
    assert_eq!(
        blog.outbox("alice").await.len(),
        0,
        "nobody answered for the person"
    );
    blog.publish("alice", "Before").await;
    blog.json(&["followers", "accept", &main, "--actor", "alice"])
        .await;
    has_follower(&blog, "alice", &main, "accepted").await;
    blog.publish("alice", "After").await;
    settle(&[&blog, &events]).await;
    assert_eq!(names(&events.received(&alice).await), ["After"]);
    events.follow("main", &alice).await;
}

#[tokio::test]
async fn a_person_rejects_a_follower() {
    let (blog, events, alice) = manual().await;
    let main = events.actor("main");
    let command = ["follow", &alice, "--actor", "main", "--wait", "30"];
    let (asked, ()) = tokio::join!(events.run(&command), async {
        has_follower(&blog, "alice", &main, "requested").await;
        blog.json(&["followers", "reject", &main, "--actor", "alice"])
            .await;
    });
    asked.assert_code(1).assert_says("rejected the follow");
    blog.publish("alice", "Not for main").await;
    settle(&[&blog, &events]).await;
    assert!(names(&events.received(&alice).await).is_empty());
}

#[tokio::test]
async fn an_accepted_follower_can_be_rejected_later() {
    let (blog, events) = pair().await;
    let main = events.actor("main");
    blog.json(&["followers", "reject", &main, "--actor", "author"])
        .await;
    blog.publish("author", "Not for main").await;
    settle(&[&blog, &events]).await;
    assert!(names(&events.received(&blog.actor("author")).await).is_empty());
}

#[tokio::test]
async fn a_repeated_follow_is_answered_each_time() {
    let (blog, stranger) = tokio::join!(Node::blog(), Stranger::new());
    let mut follows = Vec::new();
    for _ in 0..3 {
        let follow = stranger.follow("carol", &blog.actor("author"));
        stranger.post(&blog, &follow).await.assert_status(202);
        follows.push(follow["id"].clone());
        settle(&[&blog]).await;
    }
    let accepts = stranger.received_verbs("Accept");
    let answered: Vec<Value> = accepts.into_iter().map(|accept| about(&accept)).collect();
    assert_eq!(answered, follows);
    assert_eq!(
        blog.followers("author").await,
        [(stranger.actor("carol"), "accepted".to_owned())]
    );
    // One follower, one delivery.
    blog.publish("author", "Once").await;
    settle(&[&blog]).await;
    assert_eq!(stranger.received_verbs("Create").len(), 1);
}

/// The id of the Follow that an answer is about.
fn about(answer: &Value) -> Value {
    let object = &answer["object"];
    object.get("id").unwrap_or(object).clone()
}

#[tokio::test]
async fn who_undoes_and_follows_again_is_a_follower_again() {
    let (blog, stranger) = tokio::join!(Node::blog(), Stranger::new());
    let author = blog.actor("author");
    let first = stranger.follow("carol", &author);
    let undo = json!({ "type": "Undo", "object": first["id"], "to": [author] });
    let (undo, second) = (stranger.seal("carol", &undo), stranger.follow("carol", &author));
    for activity in [&first, &undo] {
        stranger.post(&blog, activity).await.assert_status(202);
    }
    settle(&[&blog]).await;
    assert_eq!(blog.followers("author").await, []);
    stranger.post(&blog, &second).await.assert_status(202);
    settle(&[&blog]).await;
    assert_eq!(
        blog.followers("author").await,
        [(stranger.actor("carol"), "accepted".to_owned())]
    );
}

#[tokio::test]
async fn an_undo_by_somebody_else_ends_nothing() {
    let (blog, stranger) = tokio::join!(Node::blog(), Stranger::new());
    let author = blog.actor("author");
    let follow = stranger.follow("carol", &author);
    stranger.post(&blog, &follow).await.assert_status(202);
    let undo = json!({ "type": "Undo", "object": follow, "to": [author] });
    stranger
        .post(&blog, &stranger.seal("mallory", &undo))
        .await
        .assert_status(202);
    settle(&[&blog]).await;
    assert_eq!(
        blog.followers("author").await,
        [(stranger.actor("carol"), "accepted".to_owned())]
    );
}

#[tokio::test]
async fn who_follows_amid_publishing_gets_everything_from_the_accept_on() {
    let (blog, events) = tokio::join!(Node::blog(), Node::events());
    let (author, done) = (blog.actor("author"), AtomicBool::new(false));
    let mut publisher = blog.publisher("author");
    tokio::join!(
        async {
            for number in 0.. {
                publisher
                    .publish(&format!("post {number}"))
                    .await
                    .expect("a publish");
                // Some more after the follow is known to be accepted.
                if done.load(Ordering::Relaxed) && number % 50 == 49 {
                    break;
                }
            }
        },
        async {
            events.follow("main", &author).await;
            done.store(true, Ordering::Relaxed);
        }
    );
    settle(&[&blog, &events]).await;
    let outbox = blog.outbox("author").await;
    let accept = outbox
        .iter()
        .position(|entry| entry.verb() == "Accept")
        .expect("an Accept");
    let (before, after) = (cids(&outbox[..accept]), cids(&outbox[accept..]));
    assert!(!before.is_empty() && !after.is_empty());
    assert_eq!(cids(&events.received(&author).await), after);
}

#[tokio::test]
async fn a_follow_configured_at_boot_waits_for_a_target_that_is_down() {
    let mut blog = Node::stopped("blog");
    let origin = blog.origin().to_string();
    let mut events = Node::stopped("events")
        .with(&["--follow", &origin])
        .started()
        .await;
    let base = blog.base();
    eventually("events has asked", SOON, async || {
        let ledger = events.deliveries().await;
        let failed = ledger.iter().any(|row| !row.cause.is_empty());
        failed.then_some(()).ok_or_else(|| format!("{ledger:?}"))
    })
    .await;
    blog.start().await;
    has_follower(&blog, &base, &events.base(), "accepted").await;
    settle(&[&blog, &events]).await;
    let heads = settle(&[&blog, &events]).await;
    assert_eq!(follows_of(&events).await, 1);
    events.restart().await;
    events.follow(&events.base(), &base).await;
    assert_eq!(
        settle(&[&blog, &events]).await,
        heads,
        "a restart asks nothing again"
    );
    assert_eq!(follows_of(&events).await, 1);
}

async fn follows_of(node: &Node) -> usize {
    node.log()
        .await
        .iter()
        .filter(|entry| entry.verb() == "Follow")
        .count()
}
