//! Blobs: the bytes that public objects name.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use crate::{
    answer::Answer,
    domain::{Domain, ORIGIN},
};

/// The rows of the views, as of an object that names a blob.
fn rows(cid: &str, media_type: &str, public: bool) -> [(&'static str, String, Value); 2] {
    let (url, id) = (format!("{ORIGIN}/blobs/{cid}"), format!("{ORIGIN}/objects/gig"));
    let attachment = json!([{ "type": "Link", "href": url }, { "url": url, "mediaType": media_type }]);
    let object = json!({
        "object": { "id": id, "attachment": attachment }, "activity": "x", "public": public, "deleted": false,
    });
    [
        (
            "blobs",
            format!("{url} {id}"),
            json!({ "object": id, "position": 1 }),
        ),
        ("objects", id, object),
    ]
}

fn named(domain: &Domain, cid: &str, media_type: &str, public: bool) {
    for (view, key, row) in rows(cid, media_type, public) {
        domain.views.put(view, &key, row);
    }
}

async fn ask(domain: &Domain, method: &str, cid: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(format!("/blobs/{cid}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    domain.send(request.body(Body::empty()).unwrap()).await
}

fn large() -> Vec<u8> {
    (0..200_000_u32).flat_map(u32::to_le_bytes).collect()
}

#[tokio::test]
async fn a_blob_that_a_public_object_names_is_served() {
    let domain = Domain::new().await;
    let blob = large();
    let cid = domain.put_blob(&blob).await;
    named(&domain, &cid, "image/jpeg", true);
    let tag = format!("\"{cid}\"");
    for method in ["GET", "HEAD"] {
        let answer = ask(&domain, method, &cid, &[]).await;
        answer.assert_status_only(200);
        for (name, value) in [
            ("content-type", "image/jpeg"),
            ("content-length", "800000"),
            ("etag", &tag),
            ("cache-control", "public, max-age=31536000, immutable"),
            ("accept-ranges", "bytes"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; sandbox"),
            ("content-disposition", ""),
            ("access-control-allow-origin", "*"),
        ] {
            assert_eq!(answer.header(name), value, "{method} {name}");
        }
        assert_eq!(answer.body, if method == "GET" { &blob[..] } else { &[] });
    }
    for held in [tag.as_str(), "*", &format!("\"x\", W/{tag}")] {
        let answer = ask(&domain, "GET", &cid, &[("if-none-match", held)]).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (304, 0));
        assert_eq!(answer.header("etag"), tag);
    }
}

#[tokio::test]
async fn what_no_public_object_names_is_not_there() {
    let domain = Domain::new().await;
    let cid = domain.put_blob(b"secret").await;
    let path = format!("/blobs/{cid}");
    domain.get(&path).await.assert_refused(404, "not_found");
    named(&domain, &cid, "image/jpeg", false);
    domain.get(&path).await.assert_refused(404, "not_found");
    named(&domain, &cid, "image/jpeg", true);
    domain.get(&path).await.assert_status_only(200);
    // Named, and never put here.
    let other = fedsx_kernel::blob::BlobCid::of(b"elsewhere").to_string();
    named(&domain, &other, "image/jpeg", true);
    for path in [&other, "x", "%ff", "bafkrei", &cid.to_uppercase(), "..%2flog.db"] {
        domain
            .get(&format!("/blobs/{path}"))
            .await
            .assert_refused(404, "not_found");
    }
    domain
        .send(Request::post(path).body(Body::empty()).unwrap())
        .await
        .assert_refused(405, "method_not_allowed");
}

#[tokio::test]
async fn a_blob_is_there_as_long_as_any_public_object_names_it() {
    let domain = Domain::new().await;
    let cid = domain.put_blob(b"poster").await;
    let path = format!("/blobs/{cid}");
    named(&domain, &cid, "image/png", true);
    let [_, (_, id, row)] = rows(&cid, "image/png", true);
    let changed = |key: &str, value: Value| {
        let mut row = row.clone();
        row[key] = value;
        domain.views.put("objects", &id, row);
    };
    domain.get(&path).await.assert_status(200);
    changed("deleted", true.into());
    domain.get(&path).await.assert_refused(404, "not_found");
    // An Update has left it out.
    changed(
        "object",
        json!({ "id": id, "attachment": [{ "url": "https://blog.example/" }] }),
    );
    domain.get(&path).await.assert_refused(404, "not_found");
    // Another object names it too.
    let other = format!("{ORIGIN}/objects/other");
    let key = format!("{ORIGIN}/blobs/{cid} {other}");
    domain.views.put("blobs", &key, json!({ "object": other }));
    domain.get(&path).await.assert_refused(404, "not_found");
    domain.views.put("objects", &other, row.clone());
    domain.get(&path).await.assert_status(200);
}

#[tokio::test]
async fn a_blob_is_there_for_who_has_just_heard_of_it() {
    let domain = Domain::new().await;
    let cid = domain.put_blob(b"new").await;
    for (view, key, row) in rows(&cid, "image/png", true) {
        domain.views.put_late(view, &key, row);
    }
    let answer = ask(&domain, "GET", &cid, &[]).await;
    assert_eq!(answer.assert_status(200).text(), "new");
}

#[tokio::test]
async fn no_blob_is_a_page_of_this_origin() {
    let domain = Domain::new().await;
    let cid = domain.put_blob(b"<script>alert(1)</script>").await;
    for (said, content_type, is_shown) in [
        ("text/html", "text/html", false),
        ("image/svg+xml", "image/svg+xml", false),
        ("IMAGE/SVG+XML", "image/svg+xml", false),
        ("application/pdf", "application/pdf", false),
        ("image/png", "image/png", true),
        ("video/mp4", "video/mp4", true),
        ("audio/ogg", "audio/ogg", true),
        ("image/png\r\nx: y", "application/octet-stream", false),
        ("text/html; charset=utf-8", "application/octet-stream", false),
        ("", "application/octet-stream", false),
    ] {
        named(&domain, &cid, said, true);
        let answer = ask(&domain, "GET", &cid, &[]).await;
        answer.assert_status(200);
        assert_eq!(answer.header("content-type"), content_type, "{said:?}");
        let disposition = if is_shown { "" } else { "attachment" };
        assert_eq!(answer.header("content-disposition"), disposition, "{said:?}");
        assert_eq!(
            answer.header("content-security-policy"),
            "default-src 'none'; sandbox"
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
}

#[tokio::test]
async fn a_part_is_served_to_who_asks_for_one() {
    let domain = Domain::new().await;
    let blob = large();
    let cid = domain.put_blob(&blob).await;
    named(&domain, &cid, "video/mp4", true);
    for (range, content_range, part) in [
        ("bytes=0-0", "bytes 0-0/800000", 0..1),
        (
            "bytes=300000-799999",
            "bytes 300000-799999/800000",
            300_000..800_000,
        ),
        ("bytes=799999-", "bytes 799999-799999/800000", 799_999..800_000),
        ("bytes=-5", "bytes 799995-799999/800000", 799_995..800_000),
    ] {
        let answer = ask(&domain, "GET", &cid, &[("range", range)]).await;
        answer.assert_status_only(206);
        assert_eq!(answer.header("content-range"), content_range);
        assert_eq!(answer.header("content-length"), part.len().to_string());
        assert!(answer.body == blob[part], "{range}");
    }
    let beyond = ask(&domain, "GET", &cid, &[("range", "bytes=800000-")]).await;
    beyond.assert_refused(416, "range_not_satisfiable");
    assert_eq!(beyond.header("content-range"), "bytes */800000");
    let tag = format!("\"{cid}\"");
    for (headers, status) in [
        (vec![("range", "bytes=0-1,3-4")], 200),
        (vec![("range", "bytes=0-1"), ("if-range", "\"another\"")], 200),
        (vec![("range", "bytes=0-1"), ("if-range", tag.as_str())], 206),
    ] {
        ask(&domain, "GET", &cid, &headers)
            .await
            .assert_status_only(status);
    }
}

#[tokio::test]
async fn nothing_is_a_blob_too() {
    let domain = Domain::new().await;
    let cid = domain.put_blob(b"").await;
    named(&domain, &cid, "image/png", true);
    let answer = ask(&domain, "GET", &cid, &[]).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("content-length")),
        (200, "0")
    );
    let part = ask(&domain, "GET", &cid, &[("range", "bytes=0-")]).await;
    part.assert_refused(416, "range_not_satisfiable");
}

#[tokio::test]
async fn readers_that_take_nothing_hold_their_part_of_memory_and_no_more() {
    let domain = Domain::with(|settings| settings.client_blob_budget = 512 << 10).await;
    let cid = domain.put_blob(&large()).await;
    named(&domain, &cid, "image/png", true);
    let request = || Request::get(format!("/blobs/{cid}")).body(Body::empty()).unwrap();
    let unread = [domain.answer(request()).await, domain.answer(request()).await];
    domain.send(request()).await.assert_refused(429, "rate_limited");
    // Actors are for all that.
    domain.get("/actors/alice").await.assert_status(200);
    drop(unread);
    domain.send(request()).await.assert_status_only(200);
}
