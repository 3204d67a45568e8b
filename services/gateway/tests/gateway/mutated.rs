//! A sound request with any one of its bits changed: refused as its sender's fault, and nothing of it logged.

use crate::{
    domain::Domain,
    letter::{Letter, without_proof},
    peer::Peer,
};

const ALICE: &str = "https://events.example/actors/alice";

async fn refused(domain: &Domain, request: http::Request<axum::body::Body>, what: &str) {
    let answer = domain.send(request).await;
    assert!(
        answer.status.is_client_error(),
        "{what}: {} {}",
        answer.status,
        answer.text()
    );
    assert_eq!(
        answer.header("content-type"),
        "application/problem+json",
        "{what}"
    );
}

#[tokio::test]
async fn in_its_body() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let letter = Letter::new(&domain, &peer, &peer.note("bob", "hello", &[ALICE])).unsigned();
    let head = domain.head().await;
    for index in 0..letter.body.len() {
        let mut body = letter.body.clone();
        body[index] ^= 1 << (index % 7);
        let what = String::from_utf8_lossy(&body).into_owned();
        // With the digest of the changed body: only the proof and the CID can tell.
        refused(&domain, letter.clone().body(body).request(), &what).await;
    }
    assert_eq!(domain.head().await, head);
    letter.send(&domain).await.assert_status(202);
}

#[tokio::test]
async fn in_its_signature() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let letter = Letter::new(
        &domain,
        &peer,
        &without_proof(&peer.note("bob", "hello", &[ALICE])),
    );
    let head = domain.head().await;
    for name in ["signature-input", "signature", "content-digest"] {
        let sound = letter.request().headers()[name].as_bytes().to_vec();
        for index in 0..sound.len() {
            let mut value = sound.clone();
            value[index] ^= 1 << (index % 7);
            let Ok(value) = http::HeaderValue::from_bytes(&value) else {
                continue;
            };
            let what = format!("{name}: {value:?}");
            let mut request = letter.request();
            request.headers_mut().insert(name, value);
            refused(&domain, request, &what).await;
        }
    }
    assert_eq!(domain.head().await, head);
    letter.send(&domain).await.assert_status(202);
}
