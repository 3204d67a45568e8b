//! Blobs over gRPC.

use std::path::Path;

use fedsx_kernel::blob::BlobCid;
use fedsx_proto::v1::{DescribeBlobRequest, GetBlobRequest, PutBlobRequest, PutBlobResponse};
use futures::stream;
use tonic::Status;

use super::*;

/// No role's part.
const ALL: [Role; 6] = Role::ALL;

fn chunks(bytes: &[u8]) -> Vec<PutBlobRequest> {
    let chunk = |data: &[u8]| PutBlobRequest {
        data: data.to_vec().into(),
        last: false,
    };
    bytes.chunks(1 << 20).map(chunk).collect()
}

fn last() -> PutBlobRequest {
    PutBlobRequest {
        last: true,
        ..PutBlobRequest::default()
    }
}

async fn put(client: &mut Client, bytes: &[u8]) -> Result<PutBlobResponse, Refusal> {
    let put = client
        .put_blob(stream::iter([chunks(bytes), vec![last()]].concat()))
        .await;
    Ok(put.map_err(Refusal::from)?.into_inner())
}

async fn get(client: &mut Client, cid: &str, offset: u64, length: u64) -> Result<Vec<u8>, Refusal> {
    let cid = cid.to_owned();
    let mut messages = client
        .get_blob(GetBlobRequest { cid, offset, length })
        .await?
        .into_inner();
    let mut bytes = Vec::new();
    while let Some(message) = messages.message().await? {
        assert!(message.data.len() <= 512 << 10);
        bytes.extend_from_slice(&message.data);
    }
    Ok(bytes)
}

async fn describe(client: &mut Client, cid: &str) -> Result<u64, Refusal> {
    let request = DescribeBlobRequest { cid: cid.to_owned() };
    Ok(client.describe_blob(request).await?.into_inner().size)
}

fn large() -> Vec<u8> {
    (0..11_000_000_u32)
        .flat_map(u32::to_le_bytes)
        .skip(3)
        .take(11_000_000)
        .collect()
}

fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .map(|path| if path.is_dir() { files(&path) } else { 1 })
        .sum()
}

#[tokio::test]
async fn a_blob_is_put_described_and_got() {
    let log = Served::start().await;
    let mut client = log.role(Role::Operator);
    let blob = large();
    let stored = put(&mut client, &blob).await.unwrap();
    assert_eq!(stored.cid, BlobCid::of(&blob).to_string());
    assert_eq!((stored.size, stored.existed), (11_000_000, false));
    assert!(put(&mut client, &blob).await.unwrap().existed);
    assert_eq!(describe(&mut client, &stored.cid).await, Ok(11_000_000));
    assert_eq!(get(&mut client, &stored.cid, 0, 0).await.unwrap(), blob);
    let part = get(&mut client, &stored.cid, 10_999_990, 100).await.unwrap();
    assert_eq!(part, blob[10_999_990..]);
    let beyond = get(&mut client, &stored.cid, 11_000_001, 0).await.unwrap_err();
    assert_eq!(beyond.code, Code::RangeNotSatisfiable);
}

#[tokio::test]
async fn a_name_that_no_blob_has_is_refused() {
    let log = Served::start().await;
    let mut client = log.role(Role::Operator);
    let missing = BlobCid::of(b"missing").to_string();
    // A document's CID is not a blob's.
    let document = fedsx_kernel::cid::Cid::of_canonical(b"{}").to_string();
    for (cid, code) in [
        (missing.as_str(), Code::NotFound),
        (document.as_str(), Code::Malformed),
        ("../log.db", Code::Malformed),
        ("", Code::Malformed),
    ] {
        assert_eq!(describe(&mut client, cid).await.unwrap_err().code, code, "{cid}");
        assert_eq!(get(&mut client, cid, 0, 0).await.unwrap_err().code, code, "{cid}");
    }
}

#[tokio::test]
async fn each_role_does_with_blobs_what_it_may() {
    let log = Served::start().await;
    let cid = put(&mut log.role(Role::Operator), b"x").await.unwrap().cid;
    for role in ALL {
        let mut client = log.role(role);
        let put = put(&mut client, b"x").await.map_err(|refusal| refusal.code);
        let may_put = matches!(role, Role::Projection | Role::Site | Role::Operator);
        assert_eq!(put.err(), (!may_put).then_some(Code::Forbidden), "{role:?}");
        let may_get = may_put || role == Role::Gateway;
        let got = get(&mut client, &cid, 0, 0).await.map_err(|refusal| refusal.code);
        assert_eq!(got.err(), (!may_get).then_some(Code::Forbidden), "{role:?}");
        let described = describe(&mut client, &cid).await.map_err(|refusal| refusal.code);
        assert_eq!(described.err(), (!may_get).then_some(Code::Forbidden), "{role:?}");
    }
    let mut stranger = log.client(Credentials::new("guessed"));
    assert_eq!(
        put(&mut stranger, b"x").await.unwrap_err().code,
        Code::Unauthenticated
    );
}

#[tokio::test]
async fn a_domain_without_a_place_for_blobs_says_so() {
    let log = Served::with(None).await;
    let mut client = log.role(Role::Operator);
    let cid = BlobCid::of(b"x").to_string();
    assert_eq!(put(&mut client, b"x").await.unwrap_err().code, Code::NoBlobStore);
    assert_eq!(
        get(&mut client, &cid, 0, 0).await.unwrap_err().code,
        Code::NoBlobStore
    );
    assert_eq!(
        describe(&mut client, &cid).await.unwrap_err().code,
        Code::NoBlobStore
    );
}

#[tokio::test]
async fn what_is_too_large_or_broken_off_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = BlobStore::folder(folder.path(), 10_000_000).unwrap();
    let log = Served::with(Some(store)).await;
    let mut client = log.role(Role::Operator);
    let refused = put(&mut client, &large()).await.unwrap_err();
    assert_eq!(refused.code, Code::TooLarge, "{refused}");
    let whole = PutBlobRequest {
        data: large()[..5 << 20].to_vec().into(),
        last: true,
    };
    let refused = client.put_blob(stream::iter([whole])).await.unwrap_err();
    assert_eq!(Refusal::from(refused).code, Code::Malformed);
    let half = chunks(&large()[..9_000_000]);
    let broken = client.put_blob(stream::iter(half.clone())).await.unwrap_err();
    assert_eq!(Refusal::from(broken).code, Code::Malformed);
    // The caller goes away once half of it was taken.
    let (told, mut taken) = tokio::sync::mpsc::unbounded_channel();
    let (mut half, told) = (half.into_iter(), told);
    let stalls = stream::poll_fn(move |_| match half.next() {
        Some(chunk) => std::task::Poll::Ready(Some(chunk)),
        None => {
            let _ = told.send(());
            std::task::Poll::Pending
        }
    });
    tokio::select! {
        answer = client.put_blob(stalls) => panic!("{answer:?}"),
        told = taken.recv() => told.unwrap(),
    }
    drop(client);
    settled(folder.path()).await;
}

/// Waits until nothing is left in a folder: a call that was given up ends when its server hears of it.
async fn settled(folder: &Path) {
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    while files(folder) > 0 {
        assert!(tokio::time::Instant::now() < until, "files are left");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn what_was_changed_on_the_disk_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let store = BlobStore::folder(folder.path(), 1 << 20).unwrap();
    let log = Served::with(Some(store)).await;
    let mut client = log.role(Role::Operator);
    let cid = put(&mut client, b"doors at eight").await.unwrap().cid;
    assert_eq!(get(&mut client, &cid, 0, 0).await.unwrap(), b"doors at eight");
    std::fs::write(folder.path().join(&cid[8..10]).join(&cid), b"doors at nine!").unwrap();
    let status: Status = client
        .get_blob(GetBlobRequest {
            cid,
            offset: 0,
            length: 1,
        })
        .await
        .unwrap_err();
    assert_eq!(status.code(), tonic::Code::DataLoss);
    assert_eq!(Refusal::from(status).code, Code::Damaged);
}
