//! One batch through a fold and into the store.

use std::{collections::HashMap, sync::Arc};

use super::{
    ShardId,
    fold::{Fold, Folded},
    lease::Lease,
};
use crate::{
    source::Batch,
    store::{self, Advance, Store},
    views::View,
};

/// What has become of a batch.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// The steps that counted.
    pub(crate) advances: Vec<Advance>,
    /// Shards that somebody else has taken; nothing of theirs was written.
    pub(crate) lost: Vec<ShardId>,
    /// Entries that each view has applied, counted once a shard.
    pub(crate) counts: Vec<(String, u64)>,
}

/// A batch could not be applied; what of it was written is unknown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    #[error(transparent)]
    Store(#[from] store::StoreError),
    #[error("a fold ended by itself: {0}")]
    Fold(#[from] tokio::task::JoinError),
}

/// Folds a batch into the shards of these leases that are not past it, and none of which is before it.
///
/// # Errors
/// [`ApplyError`]: the leases have to be read again before anything else is applied under them.
pub(crate) async fn apply(
    store: &dyn Store,
    views: &[Arc<dyn View>],
    leases: &[Lease],
    batch: &Batch,
) -> Result<Applied, ApplyError> {
    let mut fold = Fold::new(views, leases, &batch.items);
    for (view, needed) in fold.needed() {
        let keys: Vec<&str> = needed.keys.iter().map(String::as_str).collect();
        if !keys.is_empty() {
            let rows = store.rows(&view, &keys).await?;
            fold.load(&view, rows);
        }
        for peer in &needed.peers {
            let rows = store.rows_of_peer(&view, peer).await?;
            fold.load(&view, rows);
        }
    }
    let Folded { advances, applied } = run(fold, batch).await?;
    let lost = if advances.is_empty() {
        Vec::new()
    } else {
        store.commit(&advances).await?
    };
    Ok(Applied {
        advances: advances
            .into_iter()
            .filter(|advance| !lost.contains(&advance.shard))
            .collect(),
        lost,
        counts: applied,
    })
}

async fn run(fold: Fold, batch: &Batch) -> Result<Folded, ApplyError> {
    if batch.items.is_empty() {
        return Ok(fold.run(&[], batch.last));
    }
    let (items, last, trace) = (batch.items.clone(), batch.last, tracing::Span::current());
    // Bodies may be large, and other tasks share this thread.
    let folded = tokio::task::spawn_blocking(move || trace.in_scope(|| fold.run(&items, last)));
    Ok(folded.await?)
}

/// The leases as they are after a batch: moved where it moved them, without those that were lost.
pub(crate) fn after(leases: Vec<Lease>, applied: &Applied) -> Vec<Lease> {
    let moved: HashMap<&ShardId, &Advance> = applied
        .advances
        .iter()
        .map(|advance| (&advance.shard, advance))
        .collect();
    let lease = |lease: Lease| match moved.get(&lease.shard) {
        Some(advance) => Lease {
            position: advance.position,
            count: advance.count,
            digest: advance.digest,
            halted: advance.halted.clone(),
            ..lease
        },
        None => lease,
    };
    leases
        .into_iter()
        .filter(|lease| !applied.lost.contains(&lease.shard))
        .map(lease)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use fedsx_runtime::clock::SystemClock;
    use jiff::SignedDuration;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::{
        entry::Item,
        shard::Digest,
        store::{Group, PageQuery, sqlite},
        testing::{Story, sample, views},
    };

    const TERM: SignedDuration = SignedDuration::from_secs(60);

    fn group() -> Group {
        Group {
            name: "views".to_owned(),
            shards: views()
                .iter()
                .flat_map(|view| ShardId::all(view.name()))
                .collect(),
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
                view: view.name().to_owned(),
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
        apply(&store, &views(), &leases, &Batch::of(items)).await.unwrap();
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
        let applied = apply(store, &views(), &folded, &Batch::of(&batch)).await.unwrap();
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
                let rows = story.rows(&**view).into_iter();
                expected.extend(rows.map(|(key, value)| (view.name().to_owned(), key, value)));
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
        let applied = apply(&store, &views(), &stale, &batch).await.unwrap();
        assert_eq!((applied.advances.len(), applied.lost.len()), (0, stale.len()));
        assert_eq!(after(stale, &applied), []);
        let applied = apply(&store, &views(), &fresh, &batch).await.unwrap();
        assert_eq!(applied.lost, []);
        let counts: BTreeMap<_, _> = applied.counts.into_iter().collect();
        assert_eq!(
            (counts["following"], counts["following_by"], counts["followers"]),
            (1, 1, 0)
        );
    }
}
