//! An S3-compatible server.

use fedsx_testing::s3::Server;
use jiff::{SignedDuration, Timestamp};
use object_store::aws::AmazonS3Builder;

use super::*;
use crate::blob::open::bucket_at;

/// A part of a server's bucket.
fn below(server: &Server, endpoint: &str, prefix: &str) -> BlobStore {
    let builder = AmazonS3Builder::new()
        .with_endpoint(endpoint)
        .with_region(Server::REGION)
        .with_access_key_id(Server::ACCESS_KEY_ID)
        .with_secret_access_key(Server::SECRET_ACCESS_KEY);
    let _ = server;
    fedsx_runtime::fetch::choose_tls_provider();
    BlobStore::new(
        bucket_at(builder, Server::BUCKET, prefix, true).unwrap(),
        None,
        MAX * 10,
    )
}

#[tokio::test]
async fn a_bucket_keeps_its_promises() {
    let server = Server::start().await;
    let (store, beside) = (
        below(&server, server.endpoint(), "one/domain"),
        below(&server, server.endpoint(), "another"),
    );
    keeps_its_promises(&store).await;
    assert_eq!(listed(&beside.0.objects).await, [""; 0], "below its prefix alone");
}

#[tokio::test]
async fn what_was_never_moved_to_its_place_is_swept_an_hour_later() {
    let server = Server::start().await;
    let store = below(&server, server.endpoint(), "");
    let kept = put(&store, &bytes(10)).await.unwrap().cid;
    let left = object_store::path::Path::from("uploads/0123");
    let payload = PutPayload::from_static(b"complete, and its process was killed");
    store
        .0
        .objects
        .put_opts(&left, payload, object_store::PutOptions::default())
        .await
        .unwrap();
    let now = Timestamp::now();
    assert_eq!(store.sweep_once(now).await.unwrap(), 0);
    let later = now + SignedDuration::from_mins(61);
    assert_eq!(store.sweep_once(later).await.unwrap(), 1);
    assert_eq!(
        listed(&store.0.objects).await,
        [super::super::path(&kept).to_string()]
    );
}

#[tokio::test]
async fn a_server_that_is_away_is_told_from_a_blob_that_is_missing() {
    let server = Server::start().await;
    let (here, away) = (
        below(&server, server.endpoint(), ""),
        below(&server, "http://127.0.0.1:1", ""),
    );
    let cid = BlobCid::of(b"x");
    assert_eq!(code(here.size(&cid).await), Code::NotFound);
    assert_eq!(code(away.size(&cid).await), Code::Unavailable);
    assert_eq!(code(put(&away, &bytes(10)).await), Code::Unavailable);
}
