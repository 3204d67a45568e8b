use std::collections::BTreeMap;

use fedsx_runtime::clock::SystemClock;
use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::{
    entry::Item,
    shard::Digest,
    skips::Skips,
    store::{Group, PageQuery, sqlite},
    testing::{Story, sample, views},
};

const TERM: SignedDuration = SignedDuration::from_secs(60);

fn group() -> Group {
    Group {
        name: "views".to_owned(),
        shards: views().iter().flat_map(|view| ShardId::all(&view.id)).collect(),
    }
}

async fn store() -> sqlite::Sqlite {
    let store = sqlite::memory(Arc::new(SystemClock)).await.unwrap();
    store.declare(&group().shards).await.unwrap();
    store
}

fn items(story: &Story) -> Vec<Item> {
    let item = |entry: crate::entry::Entry| Item {
        position: entry.position,
        content: Ok(entry),
    };
    story.entries().into_iter().map(item).collect()
}

/// Everything that a store can tell about views: rows with the entries that changed them, and every shard's position,
/// count and digest.
type Everything = (
    Vec<(String, String, Vec<u8>, u64)>,
    Vec<(ShardId, u64, u64, Digest)>,
);

async fn everything(store: &dyn Store) -> Everything {
    let mut rows = Vec::new();
    for view in views().iter() {
        let query = PageQuery {
            view: view.id.clone(),
            prefix: String::new(),
            after: String::new(),
            limit: 10_000,
            max_bytes: u64::MAX,
            count: false,
        };
        let page = store.page(&query).await.unwrap().unwrap();
        rows.extend(
            page.rows
                .into_iter()
                .map(|row| (query.view.clone(), row.key, row.value, row.position)),
        );
    }
    let shards = store.shards().await.unwrap();
    let shards = shards
        .into_iter()
        .map(|shard| (shard.id, shard.position, shard.count, shard.digest));
    (rows, shards.collect())
}

/// One pass, by one worker that holds everything.
async fn one_pass(items: &[Item]) -> Everything {
    let store = store().await;
    let leases = store.hold(&group(), "a", TERM).await.unwrap();
    apply(&store, &views(), &leases, &Skips::default(), &Batch::of(items))
        .await
        .unwrap();
    everything(&store).await
}

/// In batches as they fall, by workers that come, share, crash in the middle and are fenced off.
async fn many_passes(items: &[Item], steps: &[Step]) -> Everything {
    let store = store().await;
    let mut held: BTreeMap<u8, Vec<Lease>> = BTreeMap::new();
    for step in steps {
        match step {
            Step::Turn(worker) => {
                let leases = store.hold(&group(), &worker.to_string(), TERM).await.unwrap();
                held.insert(*worker, leases);
            }
            // Whoever is not told that it resigned goes on with leases that are no longer its own.
            Step::Lose(worker) => store.resign(&group(), &worker.to_string()).await.unwrap(),
            Step::Apply(worker, size, whole) => {
                let Some(leases) = held.remove(worker) else {
                    continue;
                };
                let leases = batch(&store, leases, items, *size, *whole).await;
                held.insert(*worker, leases);
            }
        }
    }
    for worker in 0..WORKERS {
        store.resign(&group(), &worker.to_string()).await.unwrap();
    }
    let mut leases = store.hold(&group(), "last", TERM).await.unwrap();
    while leases.iter().any(|lease| lease.position < items.len() as u64) {
        leases = batch(&store, leases, items, 5, true).await;
    }
    everything(&store).await
}

/// Reads on from the lowest of the leases; where not `whole`, only every other shard is folded.
async fn batch(
    store: &dyn Store,
    leases: Vec<Lease>,
    items: &[Item],
    size: usize,
    whole: bool,
) -> Vec<Lease> {
    let folded: Vec<Lease> = leases
        .iter()
        .filter(|lease| whole || lease.shard.shard % 2 == 1)
        .cloned()
        .collect();
    let Some(lowest) = folded.iter().map(|lease| lease.position).min() else {
        return leases;
    };
    let from = usize::try_from(lowest).unwrap();
    let batch: Vec<Item> = items.iter().skip(from).take(size).cloned().collect();
    if batch.is_empty() {
        return leases;
    }
    // Peers that have several rows are many here.
    let applied = apply_at_once(1, store, &views(), &folded, &Skips::default(), &Batch::of(&batch)).await;
    let applied = applied.unwrap();
    after(leases, &applied)
}

const WORKERS: u8 = 3;

#[derive(Debug, Clone)]
enum Step {
    Turn(u8),
    Lose(u8),
    Apply(u8, usize, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (0..WORKERS).prop_map(Step::Turn),
        1 => (0..WORKERS).prop_map(Step::Lose),
        6 => (0..WORKERS, 1..20_usize, any::<bool>()).prop_map(|(worker, size, whole)| Step::Apply(worker, size, whole)),
    ];
    prop::collection::vec(step, 0..30)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Rows, positions, counts and digests do not depend on how the log was cut into batches, on who folded which shard
    /// in which order, nor on who crashed or was fenced off meanwhile.
    #[test]
    fn however_it_is_folded_it_is_the_same(story in sample::story(60), steps in steps()) {
        let items = items(&story);
        let (expected, found) = block_on(async { (one_pass(&items).await, many_passes(&items, &steps).await) });
        prop_assert_eq!(found, expected);
    }

    /// What the store holds is what the plainest fold gives.
    #[test]
    fn a_store_holds_what_a_map_would(story in sample::story(60)) {
        let (rows, _) = block_on(one_pass(&items(&story)));
        let mut expected = Vec::new();
        for view in views().iter() {
            let rows = story.rows(&*view.view).into_iter();
            expected.extend(rows.map(|(key, value)| (view.id.clone(), key, value)));
        }
        let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
        let found: Vec<_> = rows.iter().map(|(view, key, value, _)| (view.clone(), key.clone(), read(value))).collect();
        prop_assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn a_batch_under_a_lost_lease_says_so_and_leaves_the_others() {
    let store = store().await;
    let mut story = Story::default();
    let alice = "https://blog.example/actors/alice";
    story.published(
        alice,
        serde_json::json!({"type": "Follow", "object": "https://events.example/"}),
    );
    let stale = store.hold(&group(), "a", TERM).await.unwrap();
    store.resign(&group(), "a").await.unwrap();
    let fresh = store.hold(&group(), "b", TERM).await.unwrap();
    let batch = Batch::of(&items(&story));
    let applied = apply(&store, &views(), &stale, &Skips::default(), &batch)
        .await
        .unwrap();
    assert_eq!((applied.advances.len(), applied.lost.len()), (0, stale.len()));
    assert_eq!(after(stale, &applied), []);
    let applied = apply(&store, &views(), &fresh, &Skips::default(), &batch)
        .await
        .unwrap();
    assert_eq!(applied.lost, []);
    let counts: BTreeMap<_, _> = applied.counts.into_iter().collect();
    assert_eq!(
        (counts["following"], counts["following_by"], counts["followers"]),
        (1, 1, 0)
    );
}

#[tokio::test]
async fn a_peer_of_many_rows_is_folded_one_shard_after_the_other() {
    let mut story = Story::default();
    for number in 0..100 {
        let bob = format!("https://events.example/actors/bob-{number}");
        let follow = serde_json::json!({"type": "Follow", "object": "https://blog.example/actors/alice"});
        story.received(&bob, follow);
    }
    let followed = items(&story);
    story.decided(serde_json::json!({"type": "Block", "object": "https://events.example/"}));
    let items = items(&story);

    let store = store().await;
    let leases = store.hold(&group(), "a", TERM).await.unwrap();
    let applied = apply(
        &store,
        &views(),
        &leases,
        &Skips::default(),
        &Batch::of(&followed),
    )
    .await;
    let leases = after(leases, &applied.unwrap());
    let block = Batch::of(&items[followed.len()..]);
    let too_many = loaded(99, &store, &views(), &leases, &Skips::default(), &block)
        .await
        .unwrap();
    assert!(too_many.is_none());
    let applied = apply_at_once(99, &store, &views(), &leases, &Skips::default(), &block).await;
    let shards: Vec<ShardId> = applied
        .unwrap()
        .advances
        .into_iter()
        .map(|advance| advance.shard)
        .collect();
    assert_eq!(shards, group().shards);
    assert_eq!(everything(&store).await, one_pass(&items).await);
}
