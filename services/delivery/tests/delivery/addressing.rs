//! Who gets what.

use fedsx_kernel::follow::{block, unblock};
use serde_json::json;

use crate::domain::{Domain, remote};

#[tokio::test]
async fn a_follower_gets_what_follows_its_accept_in_order_signed_and_once() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    let (_, accept) = domain.followed_by(&peer, "bob").await;
    let mut sent = vec![accept.activity_id];
    let mut last = 0;
    for _ in 0..20 {
        let posted = domain.post().await;
        last = posted.position;
        sent.push(posted.activity_id);
    }
    process.settled(last).await;
    assert_eq!(peer.ids(), sent);
    let received = peer.received();
    assert!(received.iter().all(|received| received.path == "/inbox"));
    assert!(
        received
            .iter()
            .all(|received| received.content_type == "application/activity+json")
    );
    let entry = domain.entry(last).await;
    assert_eq!(
        received.last().unwrap().activity,
        serde_json::from_slice::<serde_json::Value>(&entry.body).unwrap()
    );
    assert_eq!(process.row(last).await.state, "delivered");
    assert_eq!(process.row(last).await.status, 202);
    assert!(process.lacking().is_empty());
    assert!(process.metrics().contains("fedsx_delivery_outcomes_total"));
    process.stop().await;
}

#[tokio::test]
async fn followers_behind_one_shared_inbox_get_one_post_and_others_their_own() {
    let domain = Domain::start().await;
    let (shared, apart) = (domain.peer().await, domain.peer().await);
    let process = domain.deliver().await;
    for name in ["ann", "bob"] {
        domain.followed_by(&shared, name).await;
        let inbox = format!("{}/inbox", apart.actor(name));
        let follow = domain.asked_from(&apart, name, &inbox, "").await;
        domain.accept(&follow).await;
    }
    let posted = domain.post().await;
    process.settled(posted.position).await;
    let paths = |peer: &crate::peer::Peer| {
        let mut paths: Vec<_> = peer
            .received()
            .into_iter()
            .filter(|received| received.id() == posted.activity_id)
            .map(|received| received.path)
            .collect();
        paths.sort();
        paths
    };
    assert_eq!(paths(&shared), ["/inbox"]);
    assert_eq!(paths(&apart), ["/actors/ann/inbox", "/actors/bob/inbox"]);
}

#[tokio::test]
async fn an_addressee_by_name_is_looked_up_and_a_peers_base_too() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    let posted = domain.note(&[&peer.actor("carol"), peer.origin.as_str()]).await;
    process.settled(posted.position).await;
    let mut paths: Vec<_> = peer
        .received()
        .into_iter()
        .map(|received| received.path)
        .collect();
    paths.sort();
    assert_eq!(paths, ["/actors/carol/inbox", "/inbox"]);
    peer.actors_say(404);
    let posted = domain.note(&[&peer.actor("nobody")]).await;
    process.settled(posted.position).await;
    let row = process.row(posted.position).await;
    assert_eq!((row.state.as_str(), row.status), ("refused", 404));
}

#[tokio::test]
async fn what_a_peer_sent_is_sent_to_nobody() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    domain.followed_by(&peer, "bob").await;
    let said =
        json!({"type": "Create", "object": {"type": "Note"}, "to": [format!("{}/followers", domain.alice)]});
    let position = domain.receive(&remote(&peer.actor("eve"), said), "", "").await;
    let posted = domain.post().await;
    process.settled(posted.position).await;
    assert!(process.rows().await.iter().all(|row| row.position != position));
    assert_eq!(peer.received().len(), 2, "the Accept and the post");
}

#[tokio::test]
async fn after_an_undo_nothing_more_arrives() {
    let domain = Domain::start().await;
    let (leaving, staying) = (domain.peer().await, domain.peer().await);
    let process = domain.deliver().await;
    let (follow, _) = domain.followed_by(&leaving, "bob").await;
    domain.followed_by(&staying, "cat").await;
    let before = domain.post().await;
    let undo = remote(follow.actor(), json!({"type": "Undo", "object": follow.id()}));
    domain.receive(&undo, "", "").await;
    let after = domain.post().await;
    process.settled(after.position).await;
    assert!(leaving.ids().contains(&before.activity_id));
    assert!(!leaving.ids().contains(&after.activity_id));
    assert!(staying.ids().contains(&after.activity_id));
}

#[tokio::test]
async fn an_accept_of_a_follow_that_was_undone_opens_nothing() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    let follow = domain.asked_by(&peer, "bob").await;
    let undo = remote(follow.actor(), json!({"type": "Undo", "object": follow.id()}));
    domain.receive(&undo, "", "").await;
    let accept = domain.accept(&follow).await;
    let posted = domain.post().await;
    process.settled(posted.position).await;
    assert_eq!(peer.ids(), [accept.activity_id]);
}

#[tokio::test]
async fn a_block_ends_what_is_owed_and_whatever_would_be() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    peer.is_away(true);
    let process = domain.deliver().await;
    domain.followed_by(&peer, "bob").await;
    let owed = domain.post().await;
    process.fanned_out(owed.position).await;
    let blocked = block(&domain.origin, &peer.origin, domain.clock.now()).unwrap();
    domain.decide(&blocked).await;
    let during = domain.note(&[&peer.actor("bob")]).await;
    process.settled(during.position).await;
    let row = process.row(owed.position).await;
    assert_eq!((row.state.as_str(), row.cause.as_str()), ("refused", "blocked"));
    assert!(
        process
            .rows()
            .await
            .iter()
            .all(|row| row.position < during.position)
    );
    peer.is_away(false);
    domain
        .decide(&unblock(&domain.origin, blocked.id(), domain.clock.now()).unwrap())
        .await;
    let named = domain.note(&[&peer.actor("bob")]).await;
    let posted = domain.post().await;
    // What was under way at the block may have failed after it, and hold the peer.
    domain.settles(&process, posted.position).await;
    assert_eq!(
        peer.ids(),
        [named.activity_id],
        "the follow does not come back by itself"
    );
}
