//! WebFinger, NodeInfo, and what is answered where there is nothing.

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
async fn where_there_is_nothing_a_problem_says_so() {
    let domain = Domain::new().await;
    // What those who run the domain ask is answered elsewhere.
    for path in ["/nothing/here", "/metrics", "/readyz", "/livez", "/healthz"] {
        domain.get(path).await.assert_refused(404, "not_found");
    }
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
