//! Limits by client, by origin, by target, by size and by time.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use axum::{body::Body, extract::ConnectInfo};
use bytes::Bytes;
use fedsx_gateway::Rate;
use fedsx_runtime::{serve::Server, shutdown::Shutdown};
use futures::{StreamExt as _, stream};
use http::{HeaderMap, HeaderValue, Request, header};
use serde_json::json;

use crate::{
    domain::{Domain, fetcher},
    letter::Letter,
    peer::Peer,
};

const ALICE: &str = "https://events.example/actors/alice";

fn letter(domain: &Domain, peer: &Peer, name: &str, text: &str) -> Letter {
    Letter::new(domain, peer, &peer.note(name, text, &[ALICE]))
}

fn streamed(chunks: impl futures::Stream<Item = Bytes> + Send + 'static) -> Request<Body> {
    let body = Body::from_stream(chunks.map(Ok::<_, Infallible>));
    Request::post("/inbox")
        .header("content-type", "application/activity+json")
        .body(body)
        .unwrap()
}

#[tokio::test]
async fn a_client_that_asks_too_fast_is_told_when() {
    let domain = Domain::with(|settings| settings.client_rate = Some(Rate::new(1, 2))).await;
    let from = |address: [u8; 4]| {
        let mut request = Request::get("/actors/alice").body(Body::empty()).unwrap();
        request
            .extensions_mut()
            .insert(ConnectInfo(SocketAddr::from((address, 80))));
        domain.send(request)
    };
    from([192, 0, 2, 1]).await.assert_status(200);
    from([192, 0, 2, 1]).await.assert_status(200);
    let answer = from([192, 0, 2, 1]).await;
    answer.assert_refused(429, "rate_limited");
    assert_eq!(answer.header("retry-after"), "1");
    from([192, 0, 2, 2]).await.assert_status(200);
}

#[tokio::test]
async fn a_verified_origin_has_a_rate_that_a_claim_does_not_touch() {
    let domain = Domain::with(|settings| settings.origin_rate = Some(Rate::new(1, 1))).await;
    let peer = Peer::start().await;
    for text in ["1", "2"] {
        let mut forged = letter(&domain, &peer, "bob", text).forged();
        forged = forged.body(crate::letter::without_proof(&peer.note("bob", text, &[ALICE])).to_string());
        forged.send(&domain).await.assert_refused(403, "bad_signature");
    }
    // By its proof alone, and then as its sender.
    for text in ["3", "4"] {
        letter(&domain, &peer, "bob", text)
            .send(&domain)
            .await
            .assert_status(202);
    }
    let entries = domain.stream(&format!("inbox/{}", peer.actor("bob"))).await;
    let verified: Vec<_> = entries
        .iter()
        .map(|entry| entry.meta.as_ref().unwrap().verified_by.as_str())
        .collect();
    assert_eq!(verified, ["proof", "proof,rfc9421"]);
    let head = domain.head().await;
    letter(&domain, &peer, "bob", "5")
        .send(&domain)
        .await
        .assert_refused(429, "rate_limited");
    assert_eq!(domain.head().await, head);
}

#[tokio::test]
async fn who_forwards_an_activity_spends_nothing_of_its_origins_rate() {
    let domain = Domain::with(|settings| settings.origin_rate = Some(Rate::new(1, 1))).await;
    let peer = Peer::start().await;
    for _ in 0..3 {
        let forwarded = letter(&domain, &peer, "bob", "1").unsigned();
        let status = forwarded.send(&domain).await.status.as_u16();
        assert!(matches!(status, 200 | 202), "{status}");
    }
    // Nor where the forwarder pretends to be the sender.
    for text in ["2", "3", "4"] {
        let pretended = letter(&domain, &peer, "bob", text).forged();
        pretended.send(&domain).await.assert_status(202);
    }
    letter(&domain, &peer, "bob", "5")
        .send(&domain)
        .await
        .assert_status(202);
    let entries = domain.stream(&format!("inbox/{}", peer.actor("bob"))).await;
    let remarks = |entry: &fedsx_proto::v1::Entry| entry.meta.as_ref().unwrap().remarks.join(",");
    let remarks: Vec<_> = entries.iter().map(remarks).collect();
    assert_eq!(remarks, ["forwarded", "", "forwarded", "forwarded", ""]);
}

#[tokio::test]
async fn a_target_is_not_asked_for_more_than_is_decent() {
    let domain = Domain::with(|settings| settings.fetch_rate = Some(Rate::new(1, 2))).await;
    let peer = Peer::start().await;
    for (name, client) in [("a", 1), ("b", 2)] {
        let letter = letter(&domain, &peer, name, "1").from([192, 0, 2, client]);
        letter.send(&domain).await.assert_status(202);
    }
    let third = letter(&domain, &peer, "c", "1").from([192, 0, 2, 3]);
    let answer = third.send(&domain).await;
    answer.assert_refused(503, "fetch_failed");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(peer.paths().len(), 2);
    letter(&domain, &peer, "a", "2")
        .send(&domain)
        .await
        .assert_status(202);
}

#[tokio::test]
async fn a_client_that_claims_a_peers_actors_leaves_the_peer_its_fetches() {
    let domain = Domain::with(|settings| settings.fetch_rate = Some(Rate::new(1, 8))).await;
    let victim = Peer::start().await;
    let mut refused = 0;
    for n in 0..16 {
        let forged = letter(&domain, &victim, &format!("random{n}"), "1").forged();
        let forged = forged.body(
            crate::letter::without_proof(&victim.note(&format!("random{n}"), "1", &[ALICE])).to_string(),
        );
        let answer = forged.from([192, 0, 2, 1]).send(&domain).await;
        if answer.status == 429 {
            answer.assert_refused(429, "rate_limited");
            refused += 1;
        }
    }
    assert!(refused > 0);
    let genuine = letter(&domain, &victim, "bob", "1").from([192, 0, 2, 2]);
    genuine.send(&domain).await.assert_status(202);
    let other = Peer::start().await;
    let other = letter(&domain, &other, "eve", "1").from([192, 0, 2, 1]);
    other.send(&domain).await.assert_status(202);
}

#[tokio::test]
async fn a_stranger_has_a_quota_and_who_is_followed_has_none() {
    let domain = Domain::with(|settings| settings.stranger_quota = 6_000).await;
    let (stranger, friend) = (Peer::start().await, Peer::start().await);
    domain
        .views
        .relate("following", ALICE, &friend.actor("bob"), "accepted");
    let text = "x".repeat(3_000);
    letter(&domain, &stranger, "bob", &text)
        .send(&domain)
        .await
        .assert_status(202);
    let head = domain.head().await;
    let second = letter(&domain, &stranger, "eve", &text);
    let answer = second.send(&domain).await;
    answer.assert_refused(403, "quota_exceeded");
    assert_eq!(domain.head().await, head);
    // Neither a refusal nor a replay uses it up.
    letter(&domain, &stranger, "bob", &text)
        .send(&domain)
        .await
        .assert_status(200);
    letter(&domain, &stranger, "eve", "short")
        .send(&domain)
        .await
        .assert_status(202);
    // The count outlives the gateway.
    second
        .send_to(&domain.second_gateway().await.router)
        .await
        .assert_refused(403, "quota_exceeded");
    for name in ["bob", "eve"] {
        for n in ["1", "2"] {
            letter(&domain, &friend, name, &format!("{n}{text}"))
                .send(&domain)
                .await
                .assert_status(202);
        }
    }
    // Followed since: no stranger any more.
    domain
        .views
        .relate("following", ALICE, &stranger.actor("eve"), "requested");
    second.send(&domain).await.assert_status(202);
}

#[tokio::test]
async fn a_body_that_does_not_end_is_cut_off() {
    let domain = Domain::with(|settings| settings.body_timeout = Duration::from_millis(50)).await;
    let chunk = Bytes::from_static(b"{");
    let slow = streamed(stream::iter([chunk]).chain(stream::pending()));
    domain.send(slow).await.assert_refused(408, "request_timeout");
    let domain = Domain::new().await;
    let endless = streamed(stream::repeat(Bytes::from(vec![b' '; 64 << 10])));
    domain.send(endless).await.assert_refused(413, "too_large");
}

#[tokio::test]
async fn a_client_that_sends_slowly_takes_its_share_until_it_is_cut_off_and_nobody_elses() {
    let domain = Domain::with(|settings| {
        settings.client_requests = 2;
        settings.body_timeout = Duration::from_secs(4);
    })
    .await;
    let peer = Peer::start().await;
    let slow = || {
        let chunk = Bytes::from_static(b"{");
        let mut request = streamed(stream::iter([chunk]).chain(stream::pending()));
        let client = ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 80)));
        request.extensions_mut().insert(client);
        domain.send(request)
    };
    let third = async {
        let letter = letter(&domain, &peer, "bob", "1").from([192, 0, 2, 1]);
        letter.send(&domain).await.assert_refused(429, "rate_limited");
        let letter = letter.from([192, 0, 2, 2]);
        letter.send(&domain).await.assert_status(202);
    };
    let (one, two, ()) = futures::join!(slow(), slow(), third);
    one.assert_refused(408, "request_timeout");
    two.assert_refused(408, "request_timeout");
    let again = letter(&domain, &peer, "bob", "2").from([192, 0, 2, 1]);
    again.send(&domain).await.assert_status(202);
}

#[tokio::test]
async fn who_is_refused_while_sending_sees_why() {
    let domain = Domain::new().await;
    let stop = Shutdown::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let inbox = format!("http://{}/inbox", listener.local_addr().unwrap());
    let server = tokio::spawn(Server::new(domain.router.clone()).run(listener, stop.clone()));
    for (content_type, size, status) in [
        ("application/activity+json", 4 << 20, 413),
        ("text/plain", 4 << 20, 415),
        ("text/plain", 1 << 20, 415),
    ] {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        let answer = fetcher()
            .post(&inbox, headers, Bytes::from(vec![b' '; size]))
            .await
            .unwrap();
        assert_eq!(answer.status, status, "{content_type} of {size} bytes");
    }
    stop.begin();
    server.await.unwrap();
}

#[tokio::test]
async fn a_body_that_breaks_off_is_malformed() {
    let domain = Domain::new().await;
    let broken = stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("reset"))]);
    let request = Request::post("/inbox").header("content-type", "application/activity+json");
    let request = request.body(Body::from_stream(broken)).unwrap();
    domain.send(request).await.assert_refused(400, "malformed");
}

#[tokio::test]
async fn bodies_under_way_share_a_budget_of_what_they_take_once_they_are_parsed() {
    let domain = Domain::with(|settings| settings.body_budget = 64_000).await;
    let peer = Peer::start().await;
    let large = letter(&domain, &peer, "bob", &"x".repeat(30_000));
    large.send(&domain).await.assert_refused(503, "unavailable");
    let object = json!({ "type": "Note", "content": "1", "tag": vec![json!({ "a": 1 }); 100] });
    let note = peer.seal(
        "bob",
        &json!({ "type": "Create", "object": object, "to": [ALICE] }),
    );
    let branched = Letter::new(&domain, &peer, &note);
    assert!(branched.body.len() < 4_000);
    branched.send(&domain).await.assert_refused(503, "unavailable");
    for n in 0..5 {
        letter(&domain, &peer, "bob", &n.to_string())
            .send(&domain)
            .await
            .assert_status(202);
    }
}
