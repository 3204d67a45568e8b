//! How flows are seen from outside, and moved by who may.

use axum::body::Body;
use fedsx_runtime::token::Role;
use http::Request;
use serde_json::json;

use crate::{answer::Answer, domain::Domain};

async fn domain() -> Domain {
    let domain = Domain::new().await;
    domain.flows.put("public", true);
    domain.flows.put("private", false);
    domain
}

async fn with(domain: &Domain, method: &str, path: &str, token: Option<&str>, body: &str) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", token);
    }
    domain
        .send(request.body(Body::from(body.to_owned())).unwrap())
        .await
}

#[tokio::test]
async fn a_stranger_sees_the_flows_of_public_activities_in_outline() {
    let domain = domain().await;
    let outline = json!({
        "id": "public", "behaviour": "link", "status": "waiting", "object": "https://blog.example/objects/gig-night",
        "position": 0, "startedAt": "2025-11-21T10:40:00Z",
        "steps": [{"id": "release", "kind": "suspend", "stand": "waiting"}],
    });
    let page = domain
        .get("/flows?behaviour=link&status=waiting,failed&limit=1000")
        .await;
    page.assert_status(200);
    assert_eq!(page.json(), json!({ "flows": [outline], "next": "7.abc" }));
    assert_eq!(
        (page.header("vary"), page.header("cache-control")),
        ("Authorization", "no-cache")
    );
    let (role, asked) = domain.flows.asked().pop().unwrap();
    assert_eq!(role, Role::Gateway);
    for word in ["public_only: true", "limit: 100", r#"["waiting", "failed"]"#] {
        assert!(asked.contains(word), "{asked}");
    }
    let one = domain.get("/flows/public").await;
    assert_eq!(one.assert_status(200).json(), outline);
    // What is not the reader's to see is not there.
    let private = domain.get("/flows/private").await;
    let missing = domain.get("/flows/missing").await;
    private.assert_refused(404, "not_found");
    assert_eq!(private.text(), missing.text());
    domain
        .get("/flows?limits=1")
        .await
        .assert_refused(400, "malformed");
    domain
        .get("/behaviours")
        .await
        .assert_refused(401, "unauthenticated");
}

#[tokio::test]
async fn who_shows_a_token_that_is_good_for_it_sees_everything() {
    let domain = domain().await;
    let token = domain.token(Role::Operator);
    let get = async |path: &str| with(&domain, "GET", path, Some(&token), "").await;
    let page = get("/flows").await;
    assert_eq!(page.header("cache-control"), "private, no-store");
    let flows = page.assert_status(200).json()["flows"].clone();
    assert_eq!(
        (&flows[1]["id"], &flows[1]["cause"]),
        (&json!("private"), &json!("of a secret"))
    );
    assert_eq!(flows[0]["steps"][0]["person"], "Read the secret");
    let one = get("/flows/private").await.assert_status(200).json();
    assert_eq!(one["transitions"][0]["version"], 1);
    get("/flows/missing").await.assert_refused(404, "not_found");
    get("/behaviours").await.assert_status(200);
    assert!(
        domain
            .flows
            .asked()
            .iter()
            .all(|(role, _)| *role == Role::Operator)
    );
}

#[tokio::test]
async fn flows_are_moved_with_a_token_alone() {
    let domain = domain().await;
    let moves = [
        ("/flows", r#"{"behaviour": "link", "activity": "baga"}"#),
        (
            "/flows/public/resume",
            r#"{"step": "release", "value": {"ok": true}}"#,
        ),
        ("/flows/public/retry", ""),
        ("/flows/public/cancel", r#"{"reason": "no more"}"#),
    ];
    let nobodys = ["Bearer nobodys", "Bearer", "Basic b3BlcmF0b3I6", ""];
    for (path, body) in moves {
        let stranger = with(&domain, "POST", path, None, body).await;
        stranger.assert_refused(401, "unauthenticated");
        for token in nobodys {
            let refused = with(&domain, "POST", path, Some(token), body).await;
            refused.assert_refused(401, "unauthenticated");
        }
    }
    assert!(domain.flows.asked().is_empty(), "{:?}", domain.flows.asked());
    for role in [Role::Gateway, Role::Delivery] {
        let refused = with(&domain, "POST", moves[0].0, Some(&domain.token(role)), moves[0].1).await;
        refused.assert_refused(403, "forbidden");
    }
    let token = domain.token(Role::Operator);
    let post = async |path: &str, body: &str| with(&domain, "POST", path, Some(&token), body).await;
    let existed = post(moves[0].0, moves[0].1).await;
    assert_eq!(existed.assert_status(200).json()["existed"], true);
    let started = post("/flows", r#"{"behaviour": "other", "activity": "baga"}"#).await;
    started.assert_status(201);
    let resumed = post(moves[1].0, moves[1].1).await;
    assert_eq!(resumed.assert_status(200).json()["status"], "running");
    let (_, asked) = domain.flows.asked().pop().unwrap();
    assert!(asked.contains(r#"{\"ok\":true}"#), "{asked}");
    post(moves[2].0, moves[2].1)
        .await
        .assert_refused(409, "flow_state");
    let cancelled = post(moves[3].0, moves[3].1).await;
    assert_eq!(cancelled.assert_status(200).json()["status"], "cancelled");
    for (path, body) in [
        ("/flows", ""),
        ("/flows/public/resume", "{"),
        ("/flows/public/resume", "[]"),
        ("/flows/public/resume", r#"{"step": "a", "step": "b"}"#),
        ("/flows/public/resume", r#"{"steps": "a"}"#),
    ] {
        post(path, body).await.assert_refused(400, "malformed");
    }
    let large = format!(r#"{{"value": "{}"}}"#, "x".repeat(200 << 10));
    post("/flows/public/resume", &large)
        .await
        .assert_refused(413, "too_large");
}
