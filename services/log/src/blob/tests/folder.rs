//! A folder.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::SystemTime};

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::blob::OpenError;

fn in_folder() -> (BlobStore, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().join("blobs").display());
    (BlobStore::open(&url, MAX * 10).unwrap(), folder)
}

#[tokio::test]
async fn a_folder_keeps_its_promises() {
    let (store, _folder) = in_folder();
    keeps_its_promises(&store).await;
    let on_the_way = store.0.folder.as_deref().unwrap().join("uploads");
    assert_eq!(fs::read_dir(on_the_way).unwrap().count(), 0);
}

#[tokio::test]
async fn a_blob_is_a_file_of_its_name_that_its_owner_alone_reaches() {
    let (store, folder) = in_folder();
    let cid = put(&store, &bytes(10)).await.unwrap().cid;
    let place = folder.path().join("blobs");
    let file = place.join(&cid.as_str()[8..10]).join(cid.as_str());
    assert_eq!(fs::read(file).unwrap(), bytes(10));
    assert_eq!(fs::metadata(place).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn what_a_killed_process_left_is_swept_an_hour_later() {
    let (store, folder) = in_folder();
    let kept = put(&store, &bytes(10)).await.unwrap().cid;
    let left = folder.path().join("blobs/uploads/0123#1");
    fs::write(&left, b"half").unwrap();
    let now = Timestamp::try_from(SystemTime::now()).unwrap();
    assert_eq!(store.sweep_once(now).await.unwrap(), 0);
    assert!(left.exists());
    let later = now + SignedDuration::from_mins(61);
    assert_eq!(store.sweep_once(later).await.unwrap(), 1);
    assert!(!left.exists() && store.size(&kept).await.is_ok());
}

#[test]
fn a_url_that_is_no_place_is_named() {
    for url in [
        "",
        "/blobs",
        "file://blobs",
        "s3://",
        "https://s3.example/bucket",
        "gs://bucket",
    ] {
        let error = BlobStore::open(url, MAX).unwrap_err();
        assert!(matches!(error, OpenError::Url(_)), "{url}: {error}");
    }
    let unusable = BlobStore::folder(Path::new("/dev/null/blobs"), MAX).unwrap_err();
    assert!(unusable.to_string().contains("/dev/null/blobs"), "{unusable}");
}
