//! What was posted: bodies that are no activity, or not the one that they claim to be.

use fedsx_e2e::Letter;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::Scene;

#[tokio::test]
async fn a_body_that_is_no_activity_is_refused() {
    let scene = Scene::new().await;
    let body = scene.activity.to_string();
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let with = |member: &str| format!("{{{member},{}", &body[1..]);
    let mut wrong_digest = scene.letter();
    wrong_digest
        .digest
        .clone_from(&scene.letter().with_body("{}").digest);
    let mut wrong_type = scene.letter();
    wrong_type.content_type = "text/plain".to_owned();
    let mut disagrees = scene.activity.clone();
    disagrees["object"]["name"] = "Another".into();
    let mut elsewhere = scene.activity.clone();
    elsewhere["id"] = scene.node.url("/activities/1").into();
    let refused = vec![
        (
            "truncated",
            scene.letter().with_body(&body.as_bytes()[..body.len() / 2]),
            400,
            "malformed",
        ),
        ("empty", scene.letter().with_body(""), 400, "malformed"),
        ("no object", scene.letter().with_body("[]"), 400, "malformed"),
        (
            "deep",
            scene.letter().with_body(with(&format!("\"deep\":{deep}"))),
            400,
            "malformed",
        ),
        (
            "a key twice",
            scene.letter().with_body(with("\"type\":\"Create\"")),
            400,
            "malformed",
        ),
        (
            "an integer too large",
            scene.letter().with_body(with("\"n\":9007199254740993")),
            400,
            "malformed",
        ),
        (
            "a lone surrogate",
            scene.letter().with_body(with(r#""n":"\ud800""#)),
            400,
            "malformed",
        ),
        (
            "no UTF-8",
            scene.letter().with_body(b"{\"type\":\"\xff\"}".as_slice()),
            400,
            "malformed",
        ),
        (
            "an id that disagrees with its CID",
            letter(&scene, &disagrees),
            400,
            "cid_mismatch",
        ),
        (
            "an id at another origin",
            letter(&scene, &elsewhere),
            400,
            "malformed",
        ),
        ("the digest of another body", wrong_digest, 400, "digest_mismatch"),
        ("another media type", wrong_type, 415, "unsupported_media_type"),
        (
            "too large",
            scene.letter().with_body(with(&large())),
            413,
            "too_large",
        ),
        (
            "to nobody here",
            scene.letter().to(scene.node.url("/actors/nobody/inbox")),
            404,
            "not_found",
        ),
    ];
    scene.refuses(refused).await;
}

fn letter(scene: &Scene, activity: &Value) -> Letter {
    scene.stranger.letter(&scene.node, activity)
}

/// A member of a little more than a mebibyte.
fn large() -> String {
    format!("\"padding\":\"{}\"", "a".repeat(1 << 20))
}

#[tokio::test]
async fn a_body_that_breaks_off_is_answered_and_not_logged() {
    let scene = Scene::new().await;
    let head = scene.node.head().await;
    let body = scene.activity.to_string();
    let (length, half) = (body.len(), &body[..body.len() / 2]);
    let request = format!(
        "POST /inbox HTTP/1.1\r\nhost: x\r\ncontent-type: application/activity+json\r\n\
         content-length: {length}\r\n\r\n{half}"
    );
    let mut connection = TcpStream::connect(("127.0.0.1", scene.node.port()))
        .await
        .expect("a connection");
    connection.write_all(request.as_bytes()).await.expect("a request");
    connection.shutdown().await.expect("the end of the request");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.expect("an answer");
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("\"malformed\""),
        "{answer}"
    );
    assert_eq!(scene.node.head().await, head);
    scene.letter().post().await.assert_status(202);
}
