//! Peers' keys: where they come from, how long they are believed, and what asking for them costs whom.

use serde_json::{Value, json};

use crate::{
    domain::Domain,
    letter::{Letter, without_proof},
    peer::{Page, Peer, document},
};

const ALICE: &str = "https://events.example/actors/alice";
const BOB: &str = "/actors/bob";

fn letter(domain: &Domain, peer: &Peer, text: &str) -> Letter {
    Letter::new(domain, peer, &peer.note("bob", text, &[ALICE]))
}

fn activity_json(body: &Value) -> Page {
    Page::Document {
        content_type: "application/activity+json",
        body: body.to_string(),
    }
}

#[tokio::test]
async fn an_actor_that_is_not_there_has_no_key_and_is_not_asked_for_again_at_once() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    for status in [404, 410] {
        peer.answers(BOB, Page::Status(status));
        let gets = peer.gets(BOB);
        letter(&domain, &peer, "1")
            .send(&domain)
            .await
            .assert_refused(401, "unknown_key");
        letter(&domain, &peer, "2")
            .send(&domain)
            .await
            .assert_refused(401, "unknown_key");
        assert_eq!(peer.gets(BOB), gets + 1);
        domain.later(30);
    }
    peer.answers_well(BOB);
    letter(&domain, &peer, "3").send(&domain).await.assert_status(202);
}

#[tokio::test]
async fn a_key_that_cannot_be_fetched_is_asked_for_later() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    for page in [Page::Status(500), Page::Status(429)] {
        peer.answers(BOB, page);
        let gets = peer.gets(BOB);
        let answer = letter(&domain, &peer, "1").send(&domain).await;
        answer.assert_refused(503, "fetch_failed");
        assert_eq!(answer.header("retry-after"), "5");
        letter(&domain, &peer, "1")
            .send(&domain)
            .await
            .assert_refused(503, "fetch_failed");
        assert_eq!(peer.gets(BOB), gets + 1);
        domain.later(5);
    }
    peer.answers_well(BOB);
    letter(&domain, &peer, "1").send(&domain).await.assert_status(202);
}

#[tokio::test]
async fn a_peer_that_is_down_is_tried_again_when_it_is_back() {
    let (domain, mut peer) = (Domain::new().await, Peer::start().await);
    peer.stop().await;
    letter(&domain, &peer, "1")
        .send(&domain)
        .await
        .assert_refused(503, "fetch_failed");
    assert_eq!(domain.head().await, 2, "nothing but the domain's own actors");
}

#[tokio::test]
async fn a_document_that_is_not_the_actors_gives_no_key() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let other = Peer::start().await;
    let sound = document(&peer.origin, "bob", 1);
    let with = |member: &str, value: Value| {
        let mut document = sound.clone();
        document[member] = value;
        activity_json(&document)
    };
    let pages = [
        Page::Document {
            content_type: "application/json",
            body: sound.to_string(),
        },
        Page::Document {
            content_type: "text/html",
            body: sound.to_string(),
        },
        Page::Document {
            content_type: "application/activity+json",
            body: "x".repeat((1 << 20) + 1),
        },
        Page::Document {
            content_type: "application/activity+json",
            body: "{\"id\":1,\"id\":2}".to_owned(),
        },
        activity_json(&json!([])),
        activity_json(&document(&peer.origin, "eve", 1)),
        activity_json(&document(&other.origin, "bob", 1)),
        with("inbox", "http://127.0.0.1:1/inbox".into()),
        with("assertionMethod", json!([])),
        Page::Redirect(other.actor("bob")),
        Page::Redirect(BOB.to_owned()),
    ];
    let head = domain.head().await;
    for page in pages {
        peer.answers(BOB, page.clone());
        let answer = letter(&domain, &peer, "1").send(&domain).await;
        assert_eq!(
            answer.json()["code"],
            "unknown_key",
            "{page:?}: {}",
            answer.text()
        );
        answer.assert_refused(401, "unknown_key");
        assert_eq!(domain.head().await, head);
        domain.later(60);
    }
    peer.answers_well(BOB);
    letter(&domain, &peer, "1").send(&domain).await.assert_status(202);
}

#[tokio::test]
async fn what_may_not_be_fetched_is_not() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    for actor in [
        "https://127.0.0.2:1/actors/bob",
        "http://10.0.0.1/actors/bob",
        "https://[::1]:9/actors/bob",
    ] {
        let activity = json!({
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": format!("{}/notes/1", actor.trim_end_matches("/actors/bob")),
            "type": "Create",
            "actor": actor,
            "object": {"type": "Note"},
            "to": [ALICE],
        });
        Letter::new(&domain, &peer, &activity)
            .send(&domain)
            .await
            .assert_refused(401, "unknown_key");
    }
}

#[tokio::test]
async fn a_changed_key_is_fetched_at_most_once_a_minute() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    letter(&domain, &peer, "1").send(&domain).await.assert_status(202);
    peer.rotate();
    letter(&domain, &peer, "2")
        .send(&domain)
        .await
        .assert_refused(403, "bad_signature");
    assert_eq!(peer.gets(BOB), 1, "what is known is not a minute old");
    domain.later(60);
    letter(&domain, &peer, "2").send(&domain).await.assert_status(202);
    assert_eq!(peer.gets(BOB), 2);
    letter(&domain, &peer, "3")
        .forged()
        .body(without_proof(&peer.note("bob", "3", &[ALICE])).to_string())
        .send(&domain)
        .await
        .assert_refused(403, "bad_signature");
    assert_eq!(peer.gets(BOB), 2);
}

#[tokio::test]
async fn an_unknown_key_of_a_known_actor_is_looked_for_at_most_once_a_minute() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    letter(&domain, &peer, "1").send(&domain).await.assert_status(202);
    domain.later(60);
    let other = |text: &str| {
        let note = without_proof(&peer.note("bob", text, &[ALICE]));
        Letter::new(&domain, &peer, &note).by_key(format!("{}#other", peer.actor("bob")))
    };
    for _ in 0..3 {
        other("2").send(&domain).await.assert_refused(401, "unknown_key");
    }
    assert_eq!(peer.gets(BOB), 2);
    // In vain counts too.
    domain.later(60);
    peer.answers(BOB, Page::Status(500));
    for _ in 0..3 {
        other("3").send(&domain).await.assert_refused(401, "unknown_key");
    }
    assert_eq!(peer.gets(BOB), 3);
    letter(&domain, &peer, "4").send(&domain).await.assert_status(202);
}

#[tokio::test]
async fn a_document_of_yesterday_is_fetched_again_and_serves_where_that_fails() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    letter(&domain, &peer, "1").send(&domain).await.assert_status(202);
    domain.later(24 * 3600);
    peer.answers(BOB, Page::Status(503));
    letter(&domain, &peer, "2").send(&domain).await.assert_status(202);
    assert_eq!(peer.gets(BOB), 2);
    letter(&domain, &peer, "3").send(&domain).await.assert_status(202);
    assert_eq!(peer.gets(BOB), 2);
}

#[tokio::test]
async fn many_at_once_fetch_an_actor_once() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let letters: Vec<_> = (0..32).map(|n| letter(&domain, &peer, &n.to_string())).collect();
    let answers = futures::future::join_all(letters.iter().map(|letter| letter.send(&domain))).await;
    assert!(answers.iter().all(|answer| answer.status == 202));
    assert_eq!(peer.gets(BOB), 1);
}

#[tokio::test]
async fn many_at_once_find_out_once_that_an_actor_is_not_there() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    peer.answers(BOB, Page::Status(404));
    let letters: Vec<_> = (0..32).map(|n| letter(&domain, &peer, &n.to_string())).collect();
    let answers = futures::future::join_all(letters.iter().map(|letter| letter.send(&domain))).await;
    assert!(answers.iter().all(|answer| answer.status == 401));
    assert_eq!(peer.gets(BOB), 1);
}

#[tokio::test]
async fn a_refused_stranger_leaves_nothing_in_the_log() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let forged = Letter::new(&domain, &peer, &without_proof(&peer.note("bob", "1", &[ALICE]))).forged();
    forged.send(&domain).await.assert_refused(403, "bad_signature");
    assert_eq!(peer.gets(BOB), 1);
    assert_eq!(domain.kv("peer-actor", &peer.actor("bob")).await, None);
}
