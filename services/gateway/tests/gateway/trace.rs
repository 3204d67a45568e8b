//! Whose trace an activity belongs to.

use fedsx_proto::v1::Meta;
use fedsx_runtime::telemetry;

use crate::{domain::Domain, letter::Letter, peer::Peer};

const ALICE: &str = "https://events.example/actors/alice";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

async fn received(domain: &Domain, peer: &Peer, traceparent: &str) -> Meta {
    let note = peer.note("bob", "hello", &[ALICE]);
    let letter = Letter::new(domain, peer, &note).header("traceparent", traceparent);
    letter.send(domain).await.assert_status(202);
    domain
        .stream(&format!("inbox/{}", peer.actor("bob")))
        .await
        .remove(0)
        .meta
        .unwrap()
}

#[tokio::test]
async fn a_trusted_peers_trace_goes_on_and_a_strangers_does_not() {
    // The only test of this process that starts telemetry.
    let _telemetry = telemetry::start(&telemetry::Settings::default()).unwrap();
    let traceparent = format!("00-{TRACE}-b7ad6b7169203331-01");
    let (trusted, stranger) = (Peer::start().await, Peer::start().await);
    let origin = trusted.origin.clone();
    let domain = Domain::with(|settings| settings.trusted_origins.extend([origin])).await;

    let meta = received(&domain, &trusted, &traceparent).await;
    assert_eq!(telemetry::trace_id(&meta.traceparent), TRACE);
    assert_ne!(meta.traceparent, traceparent, "the entry names our own span");

    let meta = received(&domain, &stranger, &traceparent).await;
    let own = telemetry::trace_id(&meta.traceparent);
    assert_eq!(own.len(), 32);
    assert_ne!(own, TRACE);

    let other = Peer::start().await;
    let meta = received(&domain, &other, &"x".repeat(4000)).await;
    assert_eq!(telemetry::trace_id(&meta.traceparent).len(), 32);
}
