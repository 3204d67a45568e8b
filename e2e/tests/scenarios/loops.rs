//! What was received is never sent on, so that domains that follow each other fall silent again.

use fedsx_e2e::{Node, Stranger, assert_gapless, settle};

use crate::steps::{names, pair};

#[tokio::test]
async fn mutual_followers_fall_silent() {
    let (blog, events) = pair().await;
    let (author, main) = (blog.actor("author"), events.actor("main"));
    blog.follow("author", &main).await;
    let before = settle(&[&blog, &events]).await;
    blog.publish("author", "From the blog").await;
    events.publish("main", "From the events").await;
    let after = settle(&[&blog, &events]).await;
    assert_eq!(
        after,
        [before[0] + 2, before[1] + 2],
        "each has its own activity and the other's, and no more"
    );
    assert_eq!(names(&events.received(&author).await), ["From the blog"]);
    assert_eq!(names(&blog.received(&main).await), ["From the events"]);
    for node in [&blog, &events] {
        assert_gapless(&node.log().await);
    }
}

#[tokio::test]
async fn a_receivers_followers_get_only_what_it_says_itself() {
    let (blog, events) = pair().await;
    let stranger = Stranger::new().await;
    for followed in [events.actor("main"), events.base()] {
        stranger
            .post(&events, &stranger.follow("carol", &followed))
            .await
            .assert_status(202);
    }
    settle(&[&events]).await;
    assert_eq!(stranger.received_verbs("Accept").len(), 2);
    blog.publish("author", "For events").await;
    settle(&[&blog, &events]).await;
    assert_eq!(
        names(&events.received(&blog.actor("author")).await),
        ["For events"]
    );
    assert_eq!(
        stranger.received().len(),
        2,
        "the Accepts alone: {:?}",
        stranger.received()
    );
    // The follows are sound: what events says itself arrives.
    let own = events.publish("main", "By events").await;
    settle(&[&events]).await;
    let created = stranger.received_verbs("Create");
    assert_eq!((created.len(), &created[0]["id"]), (1, &own.id.into()));
}

#[tokio::test]
async fn a_followers_only_activity_stays_among_them() {
    let (blog, events) = pair().await;
    let third = Node::events().await;
    let secret = blog
        .publish_with(&["--actor", "author", "--name", "Among us", "--followers-only"])
        .await;
    settle(&[&blog, &events, &third]).await;
    assert_eq!(names(&events.received(&blog.actor("author")).await), ["Among us"]);
    assert!(third.received(&blog.actor("author")).await.is_empty());
    let outbox = blog.get("/actors/author/outbox").await;
    assert!(!outbox.to_string().contains(&secret.cid), "{outbox}");
}
