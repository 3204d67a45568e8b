//! Putting.

use std::time::Duration;

use futures::future::join_all;

use super::*;
use crate::blob::{Limits, UPLOADS};

/// Broken off, given up or too large: no blob, and no trace of one.
pub(super) async fn nothing_is_left_of_what_breaks_off(store: &BlobStore) {
    let blob = bytes(PART + 4321);
    let before = listed(&store.0.objects).await;
    let shutdown = Shutdown::default();
    let broken = Refusal::new(Code::Unavailable, "the connection is gone");
    let chunks = [Ok(blob.clone()), Err(broken.clone())];
    let answer = store.put(stream::iter(chunks), &shutdown).await;
    assert_eq!(answer, Err(broken));
    // Its caller goes away: the bytes stop, and the call is dropped.
    let (reached, told) = tokio::sync::oneshot::channel();
    let (mut reached, sent) = (Some(reached), blob.clone());
    let stalls = stream::iter([Ok(sent)]).chain(stream::poll_fn(move |_| {
        reached.take().map(|reached| reached.send(()));
        std::task::Poll::Pending
    }));
    tokio::select! {
        answer = store.put(stalls, &shutdown) => panic!("{answer:?}"),
        told = told => told.unwrap(),
    }
    let endless = stream::repeat_with(|| Ok(blob.clone()));
    let limited = BlobStore::new(store.0.objects.clone(), store.0.folder.clone(), MAX);
    assert_eq!(code(limited.put(endless, &shutdown).await), Code::TooLarge);
    assert!(shutdown.finish(Duration::from_secs(60)).await);
    assert_eq!(code(store.size(&BlobCid::of(&blob)).await), Code::NotFound);
    assert_eq!(listed(&store.0.objects).await, before);
}

pub(super) async fn many_put_one_blob_at_the_same_time(store: &BlobStore) {
    let (small, large) = (bytes(1234), bytes(PART + 99));
    let puts = (0..6).map(|number| put(store, if number % 2 == 0 { &small } else { &large }));
    for (number, stored) in join_all(puts).await.into_iter().enumerate() {
        let blob = if number % 2 == 0 { &small } else { &large };
        assert_eq!(stored.unwrap().cid, BlobCid::of(blob));
        assert_eq!(get(store, &BlobCid::of(blob), 0, 0).await.unwrap(), *blob);
    }
}

#[tokio::test]
async fn a_blob_has_exactly_so_many_bytes_at_most() {
    let store = limited(|limits| limits.max_bytes = 10);
    assert!(put(&store, &bytes(10)).await.is_ok());
    assert_eq!(code(put(&store, &bytes(11)).await), Code::TooLarge);
}

/// A place in memory with other limits.
fn limited(adjust: impl FnOnce(&mut Limits)) -> BlobStore {
    let BlobStore(place) = BlobStore::memory();
    let mut place = Arc::into_inner(place).unwrap();
    adjust(&mut place.limits);
    BlobStore(Arc::new(place))
}

#[tokio::test]
async fn who_sends_nothing_is_given_up() {
    let store = limited(|limits| limits.idle = Duration::from_millis(10));
    let silent = stream::iter([Ok(bytes(5))]).chain(stream::pending());
    let answer = store.put(silent, &Shutdown::default()).await;
    assert_eq!(code(answer), Code::RequestTimeout);
}

#[tokio::test]
async fn too_many_at_the_same_time_wait_and_are_refused() {
    let store = limited(|limits| limits.wait = Duration::from_millis(10));
    let all = u32::try_from(UPLOADS).unwrap();
    let others = store.0.uploads.acquire_many(all).await.unwrap();
    assert_eq!(code(put(&store, &bytes(5)).await), Code::RateLimited);
    drop(others);
    assert!(put(&store, &bytes(5)).await.is_ok(), "places are given back");
}
