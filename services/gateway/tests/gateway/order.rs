//! What is checked before what: nothing is asked of anybody for a request that could not be let in.

use serde_json::json;

use crate::{
    domain::Domain,
    letter::{Letter, without_proof},
    peer::Peer,
};

const ALICE: &str = "https://events.example/actors/alice";

#[tokio::test]
async fn a_request_that_nothing_could_vouch_for_asks_neither_the_views_nor_its_sender() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let note = peer.note("bob", "hello", &[ALICE]);
    let letter = || Letter::new(&domain, &peer, &note);
    let plain = || Letter::new(&domain, &peer, &without_proof(&note));
    let spoiled = |spoil: fn(&mut serde_json::Value)| {
        let mut note = note.clone();
        spoil(&mut note);
        Letter::new(&domain, &peer, &note)
    };
    let cases = [
        ("no signature", plain().unsigned(), "missing_signature"),
        ("a stale date", plain().signed_later(-3600), "stale_date"),
        (
            "another body",
            letter().digest(Some("sha-256=:AAAA:".to_owned())),
            "digest_mismatch",
        ),
        ("no digest", plain().digest(None), "unusable_signature"),
        (
            "a key elsewhere",
            plain().by_key("https://blog.example/#key".to_owned()),
            "not_the_actor",
        ),
        (
            "a proof by a key elsewhere",
            spoiled(|note| note["proof"]["verificationMethod"] = "https://blog.example/#key".into()),
            "not_the_actor",
        ),
        (
            "half a proof",
            spoiled(|note| note["proof"] = json!({ "type": "DataIntegrityProof" })),
            "unusable_signature",
        ),
    ];
    // A question would be answered 503.
    domain.views.go_away();
    let asked = domain.views.asked();
    for (what, letter, code) in cases {
        let answer = letter.send(&domain).await;
        assert_eq!(answer.json()["code"], code, "{what}: {}", answer.text());
    }
    assert!(peer.paths().is_empty());
    letter().send(&domain).await.assert_refused(503, "unavailable");
    assert!(
        domain.views.asked() > asked && peer.paths().is_empty(),
        "the views are asked before the sender"
    );
}

#[tokio::test]
async fn a_broken_proof_is_refused_whatever_the_http_signature_says() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let others = peer.note("bob", "other", &[ALICE]);
    let mut note = peer.note("bob", "hello", &[ALICE]);
    note["proof"] = others["proof"].clone();
    let letter = Letter::new(&domain, &peer, &note);
    letter.send(&domain).await.assert_refused(403, "bad_signature");
    let plain = Letter::new(&domain, &peer, &without_proof(&note));
    plain.send(&domain).await.assert_status(202);
}
