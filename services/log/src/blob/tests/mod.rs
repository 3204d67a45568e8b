//! Every kind of place keeps the same promises.

mod folder;
mod get;
mod put;
mod s3;

use std::sync::Arc;

use bytes::Bytes;
use fedsx_kernel::blob::BlobCid;
use fedsx_runtime::{
    code::{Code, Refusal},
    shutdown::Shutdown,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::{ObjectStore, PutPayload};

use super::{BlobStore, Stored, put::PART};

/// Largest blob of the places that tests make. Bytes.
const MAX: u64 = 20 << 20;

/// Bytes that repeat nowhere soon.
fn bytes(length: usize) -> Bytes {
    let letters = (0_u64..).flat_map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    letters.take(length).collect()
}

/// Puts bytes in chunks of a size that no part is a multiple of.
async fn put(store: &BlobStore, bytes: &Bytes) -> Result<Stored, Refusal> {
    let chunks: Vec<_> = bytes
        .chunks(700_001)
        .map(|chunk| Ok(bytes.slice_ref(chunk)))
        .collect();
    store.put(stream::iter(chunks), &Shutdown::default()).await
}

async fn get(store: &BlobStore, cid: &BlobCid, offset: u64, length: u64) -> Result<Vec<u8>, Refusal> {
    let pieces: Vec<Bytes> = store.get(cid, offset, length).await?.try_collect().await?;
    Ok(pieces.concat())
}

fn code<T: std::fmt::Debug>(answer: Result<T, Refusal>) -> Code {
    answer.unwrap_err().code
}

/// All objects that there are, on their way or not, by name.
async fn listed(objects: &Arc<dyn ObjectStore>) -> Vec<String> {
    let mut names: Vec<_> = objects
        .list(None)
        .map(|object| object.unwrap().location.to_string())
        .collect()
        .await;
    names.sort();
    names
}

/// Writes other bytes in a blob's place.
async fn damage(store: &BlobStore, cid: &BlobCid, bytes: &[u8]) {
    let payload = PutPayload::from(bytes.to_vec());
    let options = object_store::PutOptions::default();
    let objects = &store.0.objects;
    objects
        .put_opts(&super::path(cid), payload, options)
        .await
        .unwrap();
}

/// What every kind of place must do.
async fn keeps_its_promises(store: &BlobStore) {
    for length in [0, 1, 4 << 20, PART, PART + 1, 2 * PART + 12_345] {
        let blob = bytes(length);
        let cid = BlobCid::of(&blob);
        let size = u64::try_from(length).unwrap();
        assert_eq!(code(store.size(&cid).await), Code::NotFound);
        assert_eq!(code(get(store, &cid, 0, 0).await), Code::NotFound);
        let stored = |existed| Stored {
            cid: cid.clone(),
            size,
            existed,
        };
        assert_eq!(put(store, &blob).await, Ok(stored(false)), "{length}");
        assert_eq!(put(store, &blob).await, Ok(stored(true)), "{length}");
        assert_eq!(store.size(&cid).await, Ok(size));
        assert_eq!(get(store, &cid, 0, 0).await.unwrap(), blob);
        for _ in 0..2 {
            store.drop(&cid).await.unwrap();
            assert_eq!(code(get(store, &cid, 0, 0).await), Code::NotFound);
        }
        assert_eq!(put(store, &blob).await, Ok(stored(false)), "{length}");
        assert_eq!(get(store, &cid, 0, 0).await.unwrap(), blob);
    }
    put::nothing_is_left_of_what_breaks_off(store).await;
    put::many_put_one_blob_at_the_same_time(store).await;
    get::damage_is_refused_and_mended(store).await;
    get::parts_are_those_of_the_whole(store).await;
    let objects = &store.0.objects;
    let left = listed(objects).await;
    assert!(!left.iter().any(|name| name.starts_with("uploads")), "{left:?}");
}

#[tokio::test]
async fn memory_keeps_its_promises() {
    keeps_its_promises(&BlobStore::memory()).await;
}
