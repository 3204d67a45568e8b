//! What is counted: by route, by code and by outcome, and never by what a stranger can choose.

use crate::{
    domain::Domain,
    letter::{Letter, without_proof},
    peer::Peer,
};

const ALICE: &str = "https://events.example/actors/alice";

fn assert_counts(domain: &Domain, lines: &[&str]) -> String {
    let metrics = domain.metrics();
    for line in lines {
        assert!(
            metrics.lines().any(|counted| counted == *line),
            "{line} is not in\n{metrics}"
        );
    }
    metrics
}

#[tokio::test]
async fn requests_are_counted_by_route_and_not_by_path() {
    let domain = Domain::new().await;
    domain.get("/actors/alice").await.assert_status(200);
    domain.get("/actors/nobody").await.assert_status(404);
    domain.get("/no/such/path").await.assert_status(404);
    let metrics = assert_counts(
        &domain,
        &[
            r#"fedsx_gateway_requests_total{method="GET",route="/actors/{name}",status="200"} 1"#,
            r#"fedsx_gateway_requests_total{method="GET",route="/actors/{name}",status="404"} 1"#,
            r#"fedsx_gateway_requests_total{method="GET",route="none",status="404"} 1"#,
            r#"fedsx_gateway_refusals_total{code="not_found"} 2"#,
        ],
    );
    assert!(!metrics.contains("nobody") && !metrics.contains("such/path"));
}

#[tokio::test]
async fn posted_activities_are_counted_by_what_became_of_them() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let letter = |text: &str| Letter::new(&domain, &peer, &peer.note("bob", text, &[ALICE]));
    let plain = Letter::new(&domain, &peer, &without_proof(&peer.note("bob", "4", &[ALICE])));
    letter("1").send(&domain).await.assert_status(202);
    letter("1").send(&domain).await.assert_status(200);
    plain.clone().unsigned().send(&domain).await.assert_status(401);
    plain.clone().forged().send(&domain).await.assert_status(403);
    plain.clone().forged().send(&domain).await.assert_status(403);
    plain
        .clone()
        .signed_later(-3600)
        .send(&domain)
        .await
        .assert_status(401);
    letter("5")
        .digest(Some("sha-256=:AAAA:".to_owned()))
        .send(&domain)
        .await
        .assert_status(400);
    letter("6").body("[]").send(&domain).await.assert_status(400);
    let metrics = assert_counts(
        &domain,
        &[
            r#"fedsx_gateway_inbox_total{outcome="accepted"} 1"#,
            r#"fedsx_gateway_inbox_total{outcome="duplicate"} 1"#,
            r#"fedsx_gateway_inbox_total{outcome="missing_signature"} 1"#,
            r#"fedsx_gateway_inbox_total{outcome="bad_signature"} 2"#,
            r#"fedsx_gateway_inbox_total{outcome="malformed"} 1"#,
            "fedsx_gateway_inbox_seconds_count 8",
            "fedsx_gateway_append_seconds_count 2",
            r#"fedsx_gateway_verification_failures_total{code="missing_signature"} 1"#,
            r#"fedsx_gateway_verification_failures_total{code="bad_signature"} 2"#,
            r#"fedsx_gateway_verification_failures_total{code="stale_date"} 1"#,
            r#"fedsx_gateway_verification_failures_total{code="digest_mismatch"} 1"#,
        ],
    );
    assert!(!metrics.contains(r#"verification_failures_total{code="malformed"}"#));
    assert!(
        !metrics.contains("bob") && !metrics.contains(peer.origin.authority()),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_reader_whose_signature_does_not_hold_is_counted_though_it_is_not_told() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let bob = peer.actor("bob");
    let draft = serde_json::json!({ "type": "Create", "object": { "type": "Note" }, "to": [bob] });
    let entry = domain.publish("alice", &draft).await;
    let letter = Letter::get(&domain, &peer, &bob, &entry.activity_id).forged();
    letter.send(&domain).await.assert_status(404);
    assert_counts(
        &domain,
        &[r#"fedsx_gateway_verification_failures_total{code="bad_signature"} 1"#],
    );
}
