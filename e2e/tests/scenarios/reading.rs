//! Who may read an activity.

use fedsx_e2e::{Node, Stranger, settle};

/// A blog, a stranger whose `carol` follows its author, and the ids of a public and a followers-only activity.
async fn scene() -> (Node, Stranger, String, String) {
    let (blog, stranger) = tokio::join!(Node::blog(), Stranger::new());
    let follow = stranger.follow("carol", &blog.actor("author"));
    stranger.post(&blog, &follow).await.assert_status(202);
    settle(&[&blog]).await;
    let public = blog.publish("author", "For all").await;
    let among = blog
        .publish_with(&["--actor", "author", "--name", "Among us", "--followers-only"])
        .await;
    settle(&[&blog]).await;
    (blog, stranger, public.id, among.id)
}

#[tokio::test]
async fn a_public_activity_is_served_as_it_was_sealed() {
    let (blog, _stranger, public, _among) = scene().await;
    let answer = fedsx_e2e::get(&public).await;
    answer.assert_status(200);
    let outbox = blog.outbox("author").await;
    let sealed = outbox.iter().find(|entry| entry.id == public).expect("the entry");
    assert_eq!(answer.body, sealed.body);
    blog.get("/activities/nonsense")
        .await
        .assert_refused(404, "not_found");
}

#[tokio::test]
async fn a_followers_only_activity_is_served_to_a_signed_follower() {
    let (_blog, stranger, _public, among) = scene().await;
    fedsx_e2e::get(&among).await.assert_refused(404, "not_found");
    let read = stranger.get("carol", &among).await;
    assert_eq!(read.assert_status(200).json()["object"]["name"], "Among us");
    stranger
        .get("mallory", &among)
        .await
        .assert_refused(404, "not_found");
    let other = Stranger::new().await;
    other.get("carol", &among).await.assert_refused(404, "not_found");
}

#[tokio::test]
async fn what_was_received_is_not_served_as_our_own() {
    let (blog, stranger, _public, _among) = scene().await;
    let note = stranger.note("mallory", "Private", &[&blog.base()]);
    stranger.post(&blog, &note).await.assert_status(202);
    let cid = note["id"]
        .as_str()
        .and_then(|id| id.rsplit('/').next())
        .expect("a CID")
        .to_owned();
    blog.get(&format!("/activities/{cid}"))
        .await
        .assert_refused(404, "not_found");
    let activities = blog.get("/activities").await.to_string();
    assert!(!activities.contains(&cid), "{activities}");
}
