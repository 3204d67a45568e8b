//! What is accepted, and what is kept of it.

use fedsx_proto::v1::get_request::By;
use serde_json::json;

use crate::{
    domain::{Domain, PUBLIC, body},
    letter::{Letter, without_proof},
    peer::Peer,
    views::relation,
};

const ALICE: &str = "https://events.example/actors/alice";

#[tokio::test]
async fn a_signed_activity_is_appended_with_what_is_known_of_it() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let note = peer.note("bob", "hello", &[ALICE]);
    let letter = Letter::new(&domain, &peer, &note);
    let answer = letter.send(&domain).await;
    answer.assert_status(202);
    assert!(answer.body.is_empty());

    let bob = peer.actor("bob");
    let entries = domain.stream(&format!("inbox/{bob}")).await;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].body, letter.body, "the bytes are those that were sent");
    let meta = entries[0].meta.clone().unwrap();
    assert_eq!(meta.key_id, format!("{bob}#ed25519-key"));
    assert_eq!(meta.key_multibase, peer.key().verifying_key().to_multibase());
    assert_eq!(meta.verified_by, "proof", "the proof says it all");
    assert_eq!(
        (meta.inbox, meta.shared_inbox),
        (format!("{bob}/inbox"), peer.origin.shared_inbox())
    );
    assert!(meta.remarks.is_empty());
}

#[tokio::test]
async fn a_replay_is_answered_and_logged_once() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let letter = Letter::new(&domain, &peer, &peer.note("bob", "hello", &[ALICE]));
    letter.send(&domain).await.assert_status(202);
    let head = domain.head().await;
    letter.send(&domain).await.assert_status(200);
    letter.clone().unsigned().send(&domain).await.assert_status(200);
    letter
        .to("/actors/alice/inbox")
        .send(&domain)
        .await
        .assert_status(200);
    assert_eq!(domain.head().await, head);
}

#[tokio::test]
async fn either_signature_is_enough() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let by_http = Letter::new(&domain, &peer, &without_proof(&peer.note("bob", "1", &[ALICE])));
    by_http.send(&domain).await.assert_status(202);
    let by_proof = Letter::new(&domain, &peer, &peer.note("bob", "2", &[ALICE])).unsigned();
    by_proof.send(&domain).await.assert_status(202);
    let entries = domain.stream(&format!("inbox/{}", peer.actor("bob"))).await;
    let metas: Vec<_> = entries.into_iter().map(|entry| entry.meta.unwrap()).collect();
    assert_eq!(
        (metas[0].verified_by.as_str(), metas[0].remarks.len()),
        ("rfc9421", 0)
    );
    assert_eq!(
        (metas[1].verified_by.as_str(), metas[1].remarks[0].as_str()),
        ("proof", "forwarded")
    );
}

#[tokio::test]
async fn a_forwarded_activity_is_accepted_by_its_proof() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let forwarder = Peer::start().await;
    let letters = |text: &str| Letter::new(&domain, &peer, &peer.note("bob", text, &[ALICE]));
    let spoiled = [
        letters("by another server").by_key(format!("{}#ed25519-key", forwarder.actor("eve"))),
        letters("by another actor").by_key(format!("{}#ed25519-key", peer.actor("eve"))),
        letters("stale").signed_later(-3600),
        letters("no digest").digest(None),
    ];
    for letter in spoiled {
        letter.send(&domain).await.assert_status(202);
    }
    let entries = domain.stream(&format!("inbox/{}", peer.actor("bob"))).await;
    assert_eq!(entries.len(), 4);
    for entry in entries {
        let meta = entry.meta.unwrap();
        assert_eq!(
            (meta.verified_by.as_str(), meta.remarks[0].as_str()),
            ("proof", "forwarded")
        );
    }
    assert!(
        forwarder.paths().is_empty(),
        "a claimed key of a forwarder costs it nothing"
    );
}

#[tokio::test]
async fn every_way_to_be_addressed_counts() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    for to in [
        ALICE,
        "https://events.example/actors/alice/followers",
        "https://events.example/",
        "https://events.example",
    ] {
        let letter = Letter::new(&domain, &peer, &peer.note("bob", to, &[to]));
        letter.send(&domain).await.assert_status(202);
    }
    let base = Letter::new(
        &domain,
        &peer,
        &peer.note("", "of a base", &["https://events.example/"]),
    );
    base.to("/actors/alice/inbox")
        .send(&domain)
        .await
        .assert_status(202);
}

#[tokio::test]
async fn who_is_followed_need_not_address_us() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let letter = |name: &str| Letter::new(&domain, &peer, &peer.note(name, "news", &[PUBLIC]));
    for (name, state) in [
        ("accepted", "accepted"),
        ("requested", "requested"),
        ("rejected", "rejected"),
    ] {
        domain.views.relate("following", ALICE, &peer.actor(name), state);
    }
    letter("accepted").send(&domain).await.assert_status(202);
    letter("requested").send(&domain).await.assert_status(202);
    letter("rejected")
        .send(&domain)
        .await
        .assert_refused(403, "not_addressed");
    letter("accept")
        .send(&domain)
        .await
        .assert_refused(403, "not_addressed");
}

#[tokio::test]
async fn a_view_that_lags_loses_nothing() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let bob = peer.actor("bob");
    domain
        .views
        .put_late("following_by", &format!("{bob} {ALICE}"), relation("requested"));
    let letter = Letter::new(&domain, &peer, &peer.note("bob", "an answer", &[PUBLIC]));
    letter.send(&domain).await.assert_status(202);

    let new = "https://events.example/actors/new";
    domain
        .views
        .put_late("actors", new, json!({ "document": {}, "kind": "Person" }));
    let letter = Letter::new(&domain, &peer, &peer.note("bob", "welcome", &[new]));
    letter.clone().send(&domain).await.assert_status(202);
    letter
        .to("/actors/new/inbox")
        .send(&domain)
        .await
        .assert_status(200);
}

#[tokio::test]
async fn a_verified_actor_is_remembered_across_gateways() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let bob = peer.actor("bob");
    assert_eq!(domain.kv("peer-actor", &bob).await, None);
    Letter::new(&domain, &peer, &peer.note("bob", "1", &[ALICE]))
        .send(&domain)
        .await
        .assert_status(202);
    let record = domain.kv("peer-actor", &bob).await.unwrap();
    assert_eq!(record["inbox"], format!("{bob}/inbox"));
    let second = domain.second_gateway().await;
    let letter = Letter::new(&domain, &peer, &peer.note("bob", "2", &[ALICE]));
    letter.send_to(&second.router).await.assert_status(202);
    assert_eq!(peer.gets("/actors/bob"), 1);
}

#[tokio::test]
async fn an_actor_that_says_it_changed_is_fetched_anew() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let bob = peer.actor("bob");
    let update = peer.seal("bob", &json!({ "type": "Update", "object": bob, "to": [ALICE] }));
    Letter::new(&domain, &peer, &update)
        .send(&domain)
        .await
        .assert_status(202);
    let mark = domain.kv("peer-actor", &bob).await.unwrap();
    assert!(mark.get("inbox").is_none(), "{mark}");
    peer.rotate();
    Letter::new(&domain, &peer, &peer.note("bob", "new key", &[ALICE]))
        .send(&domain)
        .await
        .assert_status(202);
    assert_eq!(peer.gets("/actors/bob"), 2);
}

#[tokio::test]
async fn a_large_activity_is_accepted_whole() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let note = peer.note("bob", &"x".repeat(1_000_000), &[ALICE]);
    Letter::new(&domain, &peer, &note)
        .send(&domain)
        .await
        .assert_status(202);
    let id = note["id"].as_str().unwrap().to_owned();
    assert_eq!(body(&domain.entry(By::ActivityId(id)).await), note);
}

#[tokio::test]
async fn foreign_ids_are_kept_and_deduplicated() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let mut note = without_proof(&peer.note("bob", "mine", &[ALICE]));
    note["id"] = format!("{}/notes/7", peer.origin).into();
    let letter = Letter::new(&domain, &peer, &note);
    letter.send(&domain).await.assert_status(202);
    letter.send(&domain).await.assert_status(200);
    assert_eq!(
        domain.stream(&format!("inbox/{}", peer.actor("bob"))).await.len(),
        1
    );
}
