//! What senders are to us is remembered for a moment, and only to their advantage.

use serde_json::json;

use crate::{
    domain::{Domain, PUBLIC},
    letter::Letter,
    peer::Peer,
    wait::eventually,
};

const ALICE: &str = "https://events.example/actors/alice";

#[tokio::test]
async fn a_sender_of_many_activities_costs_few_questions() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    domain
        .views
        .relate("following", ALICE, &peer.actor("bob"), "accepted");
    let letters: Vec<_> = (0..64)
        .map(|n| Letter::new(&domain, &peer, &peer.note("bob", &n.to_string(), &[ALICE])))
        .collect();
    let asked = domain.views.asked();
    let answers = futures::future::join_all(letters.iter().map(|letter| letter.send(&domain))).await;
    assert!(answers.iter().all(|answer| answer.status == 202));
    let asked = domain.views.asked() - asked;
    assert!(asked < 64, "{asked} questions for 64 activities");
}

#[tokio::test]
async fn a_block_holds_within_a_moment_and_its_end_at_once() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let number = std::sync::atomic::AtomicUsize::new(0);
    let send = async || {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let note = peer.note("bob", &number.to_string(), &[ALICE]);
        Letter::new(&domain, &peer, &note).send(&domain).await
    };
    send().await.assert_status(202);
    domain.views.put("blocks", peer.origin.as_str(), json!({}));
    eventually(async || match send().await {
        answer if answer.status == 403 => Ok(()),
        answer => Err(format!("{}", answer.status)),
    })
    .await;
    send().await.assert_refused(403, "blocked");
    domain.views.remove("blocks", peer.origin.as_str());
    send().await.assert_status(202);
}

#[tokio::test]
async fn who_was_a_stranger_a_moment_ago_and_is_followed_now_is_let_in() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let letter = Letter::new(&domain, &peer, &peer.note("bob", "news", &[PUBLIC]));
    letter.send(&domain).await.assert_refused(403, "not_addressed");
    domain
        .views
        .relate("following", ALICE, &peer.actor("bob"), "requested");
    letter.send(&domain).await.assert_status(202);
}
