//! Blobs: files that objects name, and that the log does not hold.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use fedsx_e2e::{Answer, Domain, Node, eventually, settle};
use fedsx_kernel::blob::BlobCid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::steps::{SOON, arrive, pair};

/// A file in a folder of its own.
pub(crate) fn file(name: &str, bytes: &[u8]) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

pub(crate) fn path_of(bytes: &[u8]) -> String {
    format!("/blobs/{}", BlobCid::of(bytes))
}

/// Bytes that fill several parts of an upload.
pub(crate) fn large() -> Vec<u8> {
    (0..5_000_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer
        .headers
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

async fn update(blog: &Domain, object: Value, to: &str) {
    let draft = json!({ "type": "Update", "object": object, "to": [to], "cc": [] });
    blog.publish_draft(Some("author"), &draft).await.assert_code(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_published_with_a_post_and_served_to_who_hears_of_it() {
    let (blog, events) = pair().await;
    let ((_one, poster), (_two, film)) = (file("poster.png", b"poster"), file("film", &large()));
    let flags = ["--actor", "author", "--name", "Gig", "--attach", &poster];
    let film = format!("{film}=video/mp4");
    blog.publish_with(&[&flags[..], &["--attach", &film]].concat())
        .await;
    arrive(&events, &blog.actor("author"), &["Gig".to_owned()], SOON).await;
    let received = events.received(&blog.actor("author")).await;
    let heard = received.iter().find(|entry| entry.name() == "Gig").unwrap();
    assert!(heard.body.len() < 8 << 10, "the log holds no more than the name");
    let attached = heard.activity["object"]["attachment"].as_array().unwrap();
    for (attachment, (kind, media_type, bytes)) in attached.iter().zip([
        ("Image", "image/png", b"poster".to_vec()),
        ("Video", "video/mp4", large()),
    ]) {
        let cid = BlobCid::of(&bytes);
        let expected = json!({
            "type": kind, "mediaType": media_type, "size": bytes.len(), "url": blog.url(&path_of(&bytes)),
            "digestMultibase": cid.digest_multibase(),
        });
        assert_eq!(*attachment, expected);
        // As the receiver does, at the URL that it was told.
        let answer = fedsx_e2e::get(attachment["url"].as_str().unwrap()).await;
        assert_eq!((answer.status.as_u16(), answer.content_type()), (200, media_type));
        assert!(answer.body == bytes && header(&answer, "etag") == format!("\"{cid}\""));
    }
    assert_eq!(attached.len(), 2);
    let context = heard.activity["@context"].to_string();
    assert!(context.contains("joinpeertube.org/ns#size"), "{context}");
}

#[tokio::test]
async fn only_what_a_public_object_names_is_served() {
    let blog = Node::blog().await;
    let (_folder, poster) = file("poster.png", b"poster");
    let path = path_of(b"poster");
    blog.json(&["blobs", "put", &poster]).await;
    blog.get(&path).await.assert_refused(404, "not_found");
    let among = [
        "--actor",
        "author",
        "--name",
        "x",
        "--attach",
        &poster,
        "--followers-only",
    ];
    blog.publish_with(&among).await;
    settle(&[&blog]).await;
    blog.get(&path).await.assert_refused(404, "not_found");
    let public = [
        "--actor", "author", "--name", "x", "--object", "gig", "--attach", &poster,
    ];
    blog.publish_with(&public).await;
    blog.get(&path).await.assert_status(200);
    // Left out, named again, for the followers alone, and deleted.
    let object = blog.get("/objects/gig").await.json();
    let id = object["id"].as_str().unwrap().to_owned();
    let (everyone, followers) = ("as:Public", format!("{}/followers", blog.actor("author")));
    let mut bare = object.clone();
    bare.as_object_mut().unwrap().remove("attachment");
    for (said, to, status) in [
        (&bare, everyone, 404),
        (&object, everyone, 200),
        (&object, &followers, 404),
        (&object, everyone, 200),
    ] {
        update(&blog, said.clone(), to).await;
        settle(&[&blog]).await;
        assert_eq!(blog.get(&path).await.status, status, "{to}");
    }
    let delete = json!({ "type": "Delete", "object": id, "to": [everyone] });
    blog.publish_draft(Some("author"), &delete).await.assert_code(0);
    settle(&[&blog]).await;
    blog.get(&path).await.assert_refused(404, "not_found");
}

#[tokio::test]
async fn a_hostile_file_is_no_page_of_the_domain() {
    let blog = Node::blog().await;
    for (name, media_type) in [("x.html", "text/html"), ("x.svg", "image/svg+xml")] {
        let script = format!("<script>alert('{name}')</script>");
        let (_folder, page) = file(name, script.as_bytes());
        blog.publish_with(&["--actor", "author", "--name", "x", "--attach", &page])
            .await;
        let answer = blog.get(&path_of(script.as_bytes())).await;
        assert_eq!((answer.status.as_u16(), answer.content_type()), (200, media_type));
        assert_eq!(header(&answer, "content-disposition"), "attachment");
        assert_eq!(
            header(&answer, "content-security-policy"),
            "default-src 'none'; sandbox"
        );
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
    }
}

#[tokio::test]
async fn what_was_changed_on_the_disk_is_served_to_nobody_until_it_is_put_again() {
    let blog = Node::blog().await;
    let (_folder, poster) = file("poster.png", b"poster");
    blog.publish_with(&["--actor", "author", "--name", "x", "--attach", &poster])
        .await;
    let cid = BlobCid::of(b"poster").to_string();
    let path = path_of(b"poster");
    blog.get(&path).await.assert_status(200);
    std::fs::write(blog.data().join("blobs").join(&cid[8..10]).join(&cid), b"pasted").unwrap();
    blog.get(&path).await.assert_refused(500, "damaged");
    blog.run(&["blobs", "get", &cid])
        .await
        .assert_code(3)
        .assert_says("do not hash to its name");
    let metrics = blog.admin("/metrics").await.to_string();
    assert!(
        metrics.contains(r#"fedsx_log_blobs_total{event="damaged"} 2"#),
        "{metrics}"
    );
    blog.run(&["blobs", "put", &poster]).await.assert_code(0);
    assert_eq!(blog.get(&path).await.body, b"poster"[..]);
}

#[tokio::test]
async fn commands_put_and_get_whole_files_and_say_what_is_wrong() {
    let blog = Node::stopped("blog")
        .with(&["--blob-max-bytes", "20000000"])
        .started()
        .await;
    let (folder, film) = file("film.mp4", &large());
    let told = blog.json(&["blobs", "put", &film, "--name", "A film"]).await;
    assert_eq!(
        (&told[0]["name"], &told[0]["size"]),
        (&json!("A film"), &json!(20_000_000))
    );
    let cid = BlobCid::of(&large()).to_string();
    let copy = folder.path().join("copy.mp4");
    let copy = copy.to_str().unwrap();
    let got = blog.json(&["blobs", "get", &cid, "--output", copy]).await;
    assert_eq!(got["size"], 20_000_000);
    assert!(std::fs::read(copy).unwrap() == large());
    let (_folder, larger) = file("larger.mp4", &[large(), vec![0]].concat());
    for (args, code, says) in [
        (&["blobs", "put", &larger][..], 3, "more than 20000000 bytes"),
        (&["blobs", "put", "missing.png"], 1, "missing.png"),
        (&["blobs", "put", "/tmp", "--media-type", "image/png"], 1, "/tmp"),
        (&["blobs", "put", "unknown"], 1, "--media-type"),
        (&["blobs", "put", "x.png", "--media-type", "png"], 2, "media type"),
        (&["blobs", "get", "bafkrei"], 2, "bafkrei"),
        (
            &["blobs", "get", BlobCid::of(b"none").as_str(), "-o", copy],
            3,
            "no such blob",
        ),
        (
            &["publish", "--content", "x", "--attach", "unknown"],
            2,
            "--attach",
        ),
    ] {
        blog.run(args).await.assert_code(code).assert_says(says);
    }
    assert!(
        std::fs::read(copy).unwrap() == large(),
        "a failure leaves the file alone"
    );
}

/// What lies in a folder, as paths.
fn files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_the_middle_of_an_upload_leaves_no_blob_and_nothing_for_ever() {
    let mut blog = Node::blog().await;
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("film.mp4");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut put = blog.client(&["blobs", "put", pipe.to_str().unwrap()]);
    let putting = tokio::task::spawn_blocking(move || put.output().unwrap());
    // The pipe is open, and so the file does not end.
    let film = large();
    let (path, half) = (pipe.clone(), film[..15_000_000].to_vec());
    let pipe = tokio::task::spawn_blocking(move || {
        let mut pipe = OpenOptions::new().write(true).open(path).unwrap();
        pipe.write_all(&half).unwrap();
        pipe
    });
    let mut pipe = pipe.await.unwrap();
    let on_the_way = blog.data().join("blobs/uploads");
    eventually("the upload is on its way", SOON, async || {
        let sizes: Vec<u64> = files(&on_the_way)
            .iter()
            .map(|path| path.metadata().unwrap().len())
            .collect();
        (sizes.len() == 1 && sizes[0] > 0)
            .then_some(())
            .ok_or(format!("{sizes:?}"))
    })
    .await;
    blog.kill9();
    let _ = pipe.write_all(&film[15_000_000..]);
    drop(pipe);
    assert!(!putting.await.unwrap().status.success());
    let left = files(&on_the_way);
    assert_eq!(left.len(), 1, "{left:?}");
    blog.start().await;
    for bytes in [&film[..], &film[..15_000_000], &film[..8 << 20]] {
        let cid = BlobCid::of(bytes).to_string();
        blog.run(&["blobs", "get", &cid]).await.assert_code(3);
    }
    let (_folder, whole) = file("film.mp4", &film);
    blog.run(&["blobs", "put", &whole]).await.assert_code(0);
    assert_eq!(files(&on_the_way), left, "somebody may still be writing there");
    let long_ago = SystemTime::now() - Duration::from_secs(2 * 3600);
    File::options()
        .write(true)
        .open(&left[0])
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    blog.restart().await;
    eventually("what was left is swept", SOON, async || {
        let left = files(&on_the_way);
        left.is_empty().then_some(()).ok_or(format!("{left:?}"))
    })
    .await;
    let cid = BlobCid::of(&film).to_string();
    let copy = folder.path().join("copy");
    blog.json(&["blobs", "get", &cid, "-o", copy.to_str().unwrap()])
        .await;
}
