//! Peers that operators want nothing to do with.

use fedsx_e2e::{eventually, settle};

use crate::steps::{SOON, arrive, names, pair};

#[tokio::test]
async fn a_blocked_peer_gets_nothing_and_is_refused_until_it_is_unblocked() {
    let (blog, events) = pair().await;
    let (author, peer) = (blog.actor("author"), events.origin().to_string());
    blog.json(&["peers", "block", &peer]).await;
    eventually("the block shows", SOON, async || {
        let peers = blog.json(&["peers"]).await;
        let state = peers
            .as_array()
            .and_then(|peers| peers.iter().find(|row| row["origin"] == *peer));
        let blocked = state.is_some_and(|row| row["state"] == "blocked");
        blocked.then_some(()).ok_or_else(|| peers.to_string())
    })
    .await;
    assert_eq!(blog.followers("author").await, []);
    blog.publish("author", "Not for you").await;
    let base = blog.base();
    events
        .publish_with(&["--actor", "main", "--name", "An offer", "--direct", "--to", &base])
        .await;
    eventually("events is refused", SOON, async || {
        let deliveries = events.deliveries().await;
        let refused = deliveries
            .iter()
            .any(|row| row.state == "refused" && row.cause.contains("blocked"));
        refused.then_some(()).ok_or_else(|| format!("{deliveries:?}"))
    })
    .await;
    settle(&[&blog, &events]).await;
    assert_eq!(names(&events.received(&author).await), Vec::<String>::new());

    blog.json(&["peers", "unblock", &peer]).await;
    events
        .json(&["follow", &author, "--actor", "main", "--again"])
        .await;
    settle(&[&blog, &events]).await;
    blog.publish("author", "Welcome back").await;
    arrive(&events, &author, &["Welcome back".to_owned()], SOON).await;
}
