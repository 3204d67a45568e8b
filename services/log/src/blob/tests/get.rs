//! Reading.

use proptest::prelude::*;

use super::*;

/// Other bytes, fewer and more: none is shown; putting the blob again mends it.
pub(super) async fn damage_is_refused_and_mended(store: &BlobStore) {
    let blob = bytes(5 << 20);
    let cid = put(store, &blob).await.unwrap().cid;
    assert_eq!(get(store, &cid, 0, 0).await.unwrap(), blob);
    let mut other = blob.to_vec();
    other[4_500_000] ^= 1;
    for damaged in [
        &other[..],
        &blob[..blob.len() - 1],
        &[],
        &[&blob[..], b"x"].concat(),
    ] {
        damage(store, &cid, damaged).await;
        for (offset, length) in [(0, 0), (0, 10)] {
            assert_eq!(code(get(store, &cid, offset, length).await), Code::Damaged);
        }
        put(store, &blob).await.unwrap();
        assert_eq!(get(store, &cid, 0, 0).await.unwrap(), blob);
    }
}

pub(super) async fn parts_are_those_of_the_whole(store: &BlobStore) {
    let blob = bytes(9 << 20);
    let cid = put(store, &blob).await.unwrap().cid;
    let size = u64::try_from(blob.len()).unwrap();
    for (offset, length, part) in [
        (0, 1, 0..1),
        (size, 0, blob.len()..blob.len()),
        (size - 1, 0, blob.len() - 1..blob.len()),
        (size - 1, u64::MAX, blob.len() - 1..blob.len()),
        (4 << 20, 4 << 20, 4 << 20..8 << 20),
        ((4 << 20) - 1, (4 << 20) + 2, (4 << 20) - 1..(8 << 20) + 1),
    ] {
        assert_eq!(
            get(store, &cid, offset, length).await.unwrap(),
            blob[part],
            "{offset} {length}"
        );
    }
    assert_eq!(
        code(get(store, &cid, size + 1, 0).await),
        Code::RangeNotSatisfiable
    );
    assert_eq!(
        code(get(store, &cid, u64::MAX, 0).await),
        Code::RangeNotSatisfiable
    );
}

proptest! {
    #[test]
    fn any_part_is_that_of_the_whole(size in 0..5000_usize, offset in 0..6000_u64, length in 0..6000_u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (store, blob) = (BlobStore::memory(), bytes(size));
            let cid = put(&store, &blob).await.unwrap().cid;
            let got = get(&store, &cid, offset, length).await;
            let from = usize::try_from(offset).unwrap();
            if from > size {
                assert_eq!(code(got), Code::RangeNotSatisfiable);
            } else {
                let rest = &blob[from..];
                let wanted = if length == 0 { rest.len() } else { rest.len().min(usize::try_from(length).unwrap()) };
                assert_eq!(got.unwrap(), rest[..wanted]);
            }
        });
    }
}
