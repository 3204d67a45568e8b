//! Whole views, out and in.

use fedsx_kernel::origin::Origin;
use fedsx_runtime::database::driver;
use futures::{FutureExt as _, StreamExt as _, stream};
use jiff::SignedDuration;
use tokio::sync::mpsc;

use super::{Fixture, TERM, group, held, keys, page, put, step};
use crate::{
    shard::{Digest, SHARDS, ShardId, lease::Lease},
    store::{Advance, Change, Result, Row, Shard, Store},
};

/// Every row of the view `v`, and its shards.
async fn dump(store: &dyn Store) -> (Vec<Row>, Vec<Shard>) {
    let (sender, mut receiver) = mpsc::channel(1);
    let taking = async {
        let mut rows = Vec::new();
        while let Some(page) = receiver.recv().await {
            rows.extend(page);
        }
        rows
    };
    let (rows, shards) = futures::join!(taking, store.dump("v", sender));
    (rows, shards.unwrap())
}

/// A step of each shard that puts those of the keys that fall into it, and a row of another view.
async fn write(store: &dyn Store, leases: &[Lease], keys: &[&str]) {
    let step = |lease: &Lease| {
        let keys: Vec<&str> = keys.to_vec();
        let own = |key: &&str| ShardId::of("v", key) == lease.shard;
        let keys: Vec<&str> = keys.into_iter().filter(own).collect();
        step(lease, 3, &keys)
    };
    let advances: Vec<Advance> = leases.iter().map(step).collect();
    assert_eq!(store.commit(&advances).await.unwrap(), []);
}

pub(crate) async fn a_dump_has_every_row_in_the_order_of_bytes_and_the_shards_of_its_view(fixture: Fixture) {
    let leases = held(&fixture).await;
    fixture.store.declare(&[ShardId::new("w", 0)]).await.unwrap();
    let numbered: Vec<String> = (0..700).map(|number| format!("n{number}")).collect();
    let mut all = vec!["", "b", "a", "é", "a/1", "B", "\u{10ffff}", "z"];
    all.extend(numbered.iter().map(String::as_str));
    write(&*fixture.store, &leases, &all).await;
    let (rows, shards) = dump(&*fixture.other).await;
    all.sort_unstable();
    let found: Vec<&str> = rows.iter().map(|row| row.key.as_str()).collect();
    assert_eq!(found, all);
    assert!(
        rows.iter()
            .all(|row| (row.position, row.value.as_slice()) == (3, b"{}"))
    );
    let stand: Vec<_> = shards
        .iter()
        .map(|shard| (shard.id.clone(), shard.position))
        .collect();
    let expected: Vec<_> = ShardId::all("v").map(|shard| (shard, 3)).collect();
    assert_eq!(stand, expected);
    let (sender, _receiver) = mpsc::channel(1);
    assert_eq!(fixture.other.dump("x", sender).await.unwrap(), []);
}

/// Every commit puts as many rows as its position says.
pub(crate) async fn a_dump_is_of_one_moment(fixture: Fixture) {
    let mut leases = held(&fixture).await;
    let writer = async {
        for position in 1..=40_u64 {
            let mut advances: Vec<Advance> = leases.iter().map(|lease| step(lease, position, &[])).collect();
            let key = format!("key-{position:03}");
            let shard = usize::try_from(ShardId::of("v", &key).shard).unwrap();
            advances[shard].changes.push(put(&key, position));
            assert_eq!(fixture.store.commit(&advances).await.unwrap(), []);
            leases.iter_mut().for_each(|lease| lease.position = position);
        }
    };
    let reader = async {
        loop {
            let (rows, shards) = dump(&*fixture.other).await;
            let reached = rows.len() as u64;
            assert!(shards.iter().all(|shard| shard.position == reached));
            if reached == 40 {
                break;
            }
        }
    };
    futures::join!(writer, reader);
}

pub(crate) async fn a_dump_that_nobody_takes_ends(fixture: Fixture) {
    let leases = held(&fixture).await;
    write(&*fixture.store, &leases, &["a", "b"]).await;
    let (sender, receiver) = mpsc::channel(1);
    drop(receiver);
    let shards = fixture.other.dump("v", sender).await.unwrap();
    assert_eq!(shards.len(), SHARDS as usize);
    assert_eq!(dump(&*fixture.other).await.0.len(), 2);
}

/// Advances of these leases to a position, as a snapshot knows it.
fn advances(leases: &[Lease]) -> Vec<Advance> {
    let advance = |lease: &Lease| Advance {
        count: u64::from(lease.shard.shard),
        digest: Digest([9; 32]),
        ..step(lease, 5, &[])
    };
    leases.iter().map(advance).collect()
}

fn events() -> Origin {
    "https://events.example".parse().unwrap()
}

fn rows(numbers: std::ops::Range<u32>) -> Vec<Change> {
    let row = |number: u32| Change {
        peer: number.is_multiple_of(2).then(events),
        value: Some(number.to_string().into_bytes()),
        ..put(&format!("row-{number:04}"), 4)
    };
    numbers.map(row).collect()
}

fn pages() -> Vec<Result<Vec<Change>>> {
    vec![Ok(rows(0..1500)), Ok(Vec::new()), Ok(rows(1500..1501))]
}

pub(crate) async fn what_was_dumped_is_restored_with_peers_and_positions(fixture: Fixture) {
    let leases = held(&fixture).await;
    let restored = restore(&fixture, &leases).await;
    assert_eq!(restored, []);
    let (found, shards) = dump(&*fixture.other).await;
    assert_eq!(found.len(), 1501);
    assert_eq!(
        (
            found[7].key.as_str(),
            found[7].position,
            found[7].value.as_slice()
        ),
        ("row-0007", 4, b"7".as_slice())
    );
    for shard in shards {
        assert_eq!(
            (
                shard.position,
                shard.count,
                shard.digest,
                shard.epoch,
                shard.owner.as_str()
            ),
            (5, u64::from(shard.id.shard), Digest([9; 32]), 1, "a")
        );
    }
    let all: Vec<u32> = (0..SHARDS).collect();
    let of_peer = fixture
        .other
        .rows_of_peer("v", &events(), &all, 9999)
        .await
        .unwrap();
    assert_eq!(of_peer.len(), 751);
    // It goes on from there.
    let held = fixture.store.hold(&group(), "a", TERM).await.unwrap();
    assert_eq!(fixture.store.commit(&[step(&held[0], 6, &[])]).await.unwrap(), []);
}

async fn restore(fixture: &Fixture, leases: &[Lease]) -> Vec<ShardId> {
    let (pages, advances) = (stream::iter(pages()).boxed(), advances(leases));
    fixture.store.restore("v", pages, &advances).await.unwrap()
}

/// Nothing is there, and all of it can be restored.
async fn is_untouched(fixture: &Fixture) {
    assert_eq!(keys(&*fixture.other, &page("")).await, [""; 0]);
    let shards = fixture.other.shards().await.unwrap();
    assert!(shards.iter().all(|shard| shard.position == 0));
    let leases = fixture.store.hold(&group(), "a", TERM).await.unwrap();
    let restored = restore(fixture, &leases).await;
    assert_eq!(restored, []);
}

pub(crate) async fn a_restoration_that_breaks_off_leaves_nothing(fixture: Fixture) {
    let leases = held(&fixture).await;
    let broken = driver("read a chunk")("it is damaged");
    let pages = stream::iter([Ok(rows(0..10)), Err(broken), Ok(rows(10..20))]);
    let error = fixture
        .store
        .restore("v", pages.boxed(), &advances(&leases))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "the store failed to read a chunk");
    // The same row twice is none that was dumped.
    let twice = stream::iter([Ok(rows(0..10)), Ok(rows(9..20))]);
    assert!(
        fixture
            .store
            .restore("v", twice.boxed(), &advances(&leases))
            .await
            .is_err()
    );
    is_untouched(&fixture).await;
}

pub(crate) async fn a_restoration_that_is_dropped_leaves_nothing_and_keeps_nobody_off(fixture: Fixture) {
    let leases = held(&fixture).await;
    let (reached, mut waits) = mpsc::unbounded_channel();
    let endless = stream::iter([Ok(rows(0..10))]).chain(
        async move {
            reached.send(()).unwrap();
            std::future::pending().await
        }
        .into_stream(),
    );
    {
        let advances = advances(&leases);
        let restoring = fixture.store.restore("v", endless.boxed(), &advances);
        tokio::select! {
            ended = restoring => panic!("{ended:?}"),
            _ = waits.recv() => {}
        }
    }
    is_untouched(&fixture).await;
}

pub(crate) async fn a_restoration_under_a_lost_lease_writes_nothing(fixture: Fixture) {
    let leases = held(&fixture).await;
    fixture.clock.advance(TERM + SignedDuration::from_secs(1));
    let taken = fixture.other.hold(&group(), "b", TERM).await.unwrap();
    assert_eq!(taken.len(), leases.len());
    let restored = restore(&fixture, &leases).await;
    assert_eq!(restored, group().shards);
    fixture.other.resign(&group(), "b").await.unwrap();
    is_untouched(&fixture).await;
}

pub(crate) async fn what_has_moved_is_not_restored(fixture: Fixture) {
    let leases = held(&fixture).await;
    fixture.store.commit(&[step(&leases[3], 2, &[])]).await.unwrap();
    let restored = restore(&fixture, &leases).await;
    assert_eq!(restored, std::slice::from_ref(&leases[3].shard));
    assert_eq!(keys(&*fixture.other, &page("")).await, [""; 0]);
    let shards = fixture.other.shards().await.unwrap();
    let moved = shards.iter().filter(|shard| shard.position != 0).count();
    assert_eq!(moved, 1);
}
