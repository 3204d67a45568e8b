//! Activities that are not public: for their addressees, by a signed GET.

use fedsx_proto::v1::Entry;
use serde_json::json;

use crate::{
    answer::Answer,
    domain::{Domain, ORIGIN},
    letter::Letter,
    peer::Peer,
};

const ALICE: &str = "https://events.example/actors/alice";

async fn publish(domain: &Domain, to: &[&str]) -> Entry {
    let object = json!({ "type": "Note", "content": "for few" });
    domain
        .publish("alice", &json!({ "type": "Create", "object": object, "to": to }))
        .await
}

fn url(entry: &Entry) -> String {
    format!("{ORIGIN}/activities/{}", entry.cid)
}

async fn get(domain: &Domain, peer: &Peer, reader: &str, entry: &Entry) -> Answer {
    Letter::get(domain, peer, reader, &url(entry)).send(domain).await
}

#[tokio::test]
async fn an_addressee_and_its_base_may_read() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let (bob, eve, base) = (peer.actor("bob"), peer.actor("eve"), peer.origin.base());
    let entry = publish(&domain, &[&bob]).await;
    for reader in [&bob, &base] {
        let answer = get(&domain, &peer, reader, &entry).await;
        assert_eq!(answer.assert_status(200).body, entry.body);
        assert_eq!(answer.header("cache-control"), "private, no-store");
    }
    get(&domain, &peer, &eve, &entry)
        .await
        .assert_refused(404, "not_found");
    assert_eq!(
        peer.gets("/actors/eve"),
        0,
        "who is no addressee makes us fetch nothing"
    );

    let entry = publish(&domain, &[&base]).await;
    get(&domain, &peer, &base, &entry).await.assert_status(200);
    get(&domain, &peer, &bob, &entry)
        .await
        .assert_refused(404, "not_found");
}

#[tokio::test]
async fn followers_may_read_where_they_are_addressed() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let (bob, eve, base) = (peer.actor("bob"), peer.actor("eve"), peer.origin.base());
    domain.views.relate("followers", ALICE, &bob, "accepted");
    domain.views.relate("followers", ALICE, &eve, "requested");
    let entry = publish(&domain, &[&format!("{ALICE}/followers")]).await;
    get(&domain, &peer, &bob, &entry).await.assert_status(200);
    get(&domain, &peer, &base, &entry).await.assert_status(200);
    get(&domain, &peer, &eve, &entry)
        .await
        .assert_refused(404, "not_found");
    let stranger = Peer::start().await;
    get(&domain, &stranger, &stranger.origin.base(), &entry)
        .await
        .assert_refused(404, "not_found");
    let others = publish(&domain, &["https://blog.example/actors/x"]).await;
    get(&domain, &peer, &bob, &others)
        .await
        .assert_refused(404, "not_found");
}

#[tokio::test]
async fn what_is_wrong_with_a_signature_is_not_told() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let bob = peer.actor("bob");
    let entry = publish(&domain, &[&bob]).await;
    let letter = || Letter::get(&domain, &peer, &bob, &url(&entry));
    let mut elsewhere = letter();
    elsewhere.target = format!("{ORIGIN}/activities/other");
    let missing = domain
        .get("/activities/bagaaierasords4njcts6vs7qvdjfcvgnume4hqohf65zsfguprqphs3icwea")
        .await;
    missing.assert_refused(404, "not_found");
    for letter in [
        letter().unsigned(),
        letter().forged(),
        letter().signed_later(-3600),
        letter().by_key(format!("{bob}#other")),
        letter().by_key("nonsense".to_owned()),
        elsewhere,
    ] {
        let answer = letter.send(&domain).await;
        answer.assert_refused(404, "not_found");
        assert_eq!(answer.body, missing.body, "the same as for what there is not");
    }
    letter().send(&domain).await.assert_status(200);
}

#[tokio::test]
async fn what_others_told_us_alone_is_not_passed_on() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let bob = peer.actor("bob");
    let note = peer.note("eve", "for two", &[ALICE, &bob]);
    Letter::new(&domain, &peer, &note)
        .send(&domain)
        .await
        .assert_status(202);
    let entry = domain
        .stream(&format!("inbox/{}", peer.actor("eve")))
        .await
        .remove(0);
    get(&domain, &peer, &bob, &entry)
        .await
        .assert_refused(404, "not_found");
}
