//! WebFinger, NodeInfo, health, and what is answered where there is nothing.

use axum::body::Body;
use http::Request;
use serde_json::json;

use crate::domain::{Domain, ORIGIN};

const ALICE: &str = "https://events.example/actors/alice";

#[tokio::test]
async fn webfinger_finds_actors_and_the_domain() {
    let domain = Domain::new().await;
    let answer = domain
        .get("/.well-known/webfinger?resource=acct:alice@events.example")
        .await;
    assert_eq!(answer.header("content-type"), "application/jrd+json");
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let alice = json!({
        "subject": "acct:alice@events.example",
        "aliases": [ALICE],
        "links": [{ "rel": "self", "type": "application/activity+json", "href": ALICE }],
    });
    assert_eq!(answer.assert_status(200).json(), alice);
    let by_url = domain
        .get(&format!("/.well-known/webfinger?resource={ALICE}"))
        .await;
    assert_eq!(by_url.assert_status(200).json(), alice);
    for resource in ["acct:events.example@events.example", ORIGIN] {
        let base = domain
            .get(&format!("/.well-known/webfinger?resource={resource}"))
            .await;
        assert_eq!(
            base.assert_status(200).json(),
            json!({
                "subject": "acct:events.example@events.example",
                "aliases": ["https://events.example/", "https://events.example"],
                "links": [{
                    "rel": "self",
                    "type": "application/activity+json",
                    "href": "https://events.example/",
                }],
            })
        );
    }
    for (query, status, code) in [
        ("", 400, "malformed"),
        ("?resource=alice", 400, "malformed"),
        ("?resource=acct:nobody@events.example", 404, "not_found"),
        ("?resource=acct:alice@blog.example", 404, "not_found"),
    ] {
        domain
            .get(&format!("/.well-known/webfinger{query}"))
            .await
            .assert_refused(status, code);
    }
}

#[tokio::test]
async fn nodeinfo_counts_what_there_is() {
    let domain = Domain::new().await;
    domain.create(Some("carol"), "Person").await;
    domain.create(Some("calendar"), "Group").await;
    for (id, public) in [
        ("https://events.example/objects/1", true),
        ("https://blog.example/objects/1", true),
    ] {
        let row = json!({ "object": {}, "activity": "x", "public": public, "deleted": false });
        domain.views.put("objects", id, row);
    }
    let links = domain.get("/.well-known/nodeinfo").await.json();
    assert_eq!(
        links,
        json!({ "links": [{
            "rel": "http://nodeinfo.diaspora.software/ns/schema/2.1",
            "href": "https://events.example/nodeinfo/2.1",
        }] })
    );
    let answer = domain.get("/nodeinfo/2.1").await;
    assert!(
        answer
            .header("content-type")
            .starts_with("application/json; profile=")
    );
    assert_eq!(
        answer.json(),
        json!({
            "version": "2.1",
            "software": { "name": "fed-sx", "version": env!("CARGO_PKG_VERSION") },
            "protocols": ["activitypub"],
            "services": { "inbound": [], "outbound": [] },
            "openRegistrations": false,
            "usage": { "users": { "total": 2 }, "localPosts": 1 },
            "metadata": {},
        })
    );
}

#[tokio::test]
async fn readiness_says_what_is_lacking() {
    let domain = Domain::new().await;
    assert_eq!(
        domain.get("/healthz").await.assert_status(200).json(),
        json!({ "live": true })
    );
    assert_eq!(
        domain.get("/readyz").await.assert_status(200).json(),
        json!({ "ready": true, "lacking": {} })
    );
    domain.views.go_away();
    assert_eq!(
        domain.get("/readyz").await.assert_status(503).json(),
        json!({ "ready": false, "lacking": { "projection": "the projection service is away just now" } })
    );
    let router = domain.without_log().await;
    let request = Request::get("/readyz").body(Body::empty()).unwrap();
    let answer = crate::answer::Answer::of(&router, request).await;
    let lacking = answer.assert_status(503).json()["lacking"].clone();
    assert_eq!(lacking.as_object().unwrap().len(), 2, "{lacking}");
    domain.get("/healthz").await.assert_status(200);
}

#[tokio::test]
async fn requests_are_counted_by_route_and_not_by_path() {
    let domain = Domain::new().await;
    domain.get("/actors/alice").await.assert_status(200);
    domain.get("/actors/nobody").await.assert_status(404);
    domain.get("/no/such/path").await.assert_status(404);
    let metrics = domain.get("/metrics").await;
    assert_eq!(
        metrics.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let metrics = metrics.text();
    for line in [
        r#"fedsx_gateway_requests_total{method="GET",route="/actors/{name}",status="200"} 1"#,
        r#"fedsx_gateway_requests_total{method="GET",route="/actors/{name}",status="404"} 1"#,
        r#"fedsx_gateway_requests_total{method="GET",route="none",status="404"} 1"#,
        r#"fedsx_gateway_refusals_total{code="not_found"} 2"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert!(!metrics.contains("nobody") && !metrics.contains("such/path"));
}

#[tokio::test]
async fn where_there_is_nothing_a_problem_says_so() {
    let domain = Domain::new().await;
    domain.get("/nothing/here").await.assert_refused(404, "not_found");
    let send = |method: &str, path: &str| {
        domain.send(
            Request::builder()
                .method(method)
                .uri(path)
                .body(Body::empty())
                .unwrap(),
        )
    };
    for (method, path, allow) in [
        ("GET", "/inbox", "POST"),
        ("PUT", "/actors/alice", "GET,HEAD"),
        ("POST", "/actors/alice/outbox", "GET,HEAD"),
        ("BREW", "/", "GET,HEAD"),
    ] {
        let answer = send(method, path).await;
        answer.assert_refused(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
}
