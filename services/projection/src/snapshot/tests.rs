use std::sync::Arc;

use fedsx_kernel::{cid::Cid, snapshot::Manifest};
use fedsx_runtime::clock::SystemClock;
use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    entry::Item,
    shard::{ShardId, apply, lease::Lease},
    skips::Skips,
    source::Batch,
    store::{Group, Store, sqlite},
    testing::{ALICE, BASE, Story, origin, person, projection, sample, views},
    views::Projection,
};

mod kept;

const TERM: SignedDuration = SignedDuration::from_secs(60);

fn group(view: &Projection) -> Group {
    Group {
        name: "views".to_owned(),
        shards: ShardId::all(&view.id).collect(),
    }
}

fn items(story: &Story) -> Vec<Item> {
    let item = |entry: crate::entry::Entry| Item {
        position: entry.position,
        content: Ok(entry),
    };
    story.entries().into_iter().map(item).collect()
}

/// A store of one view, all of whose shards are held.
struct Kept {
    store: sqlite::Sqlite,
    view: Arc<Projection>,
    leases: Vec<Lease>,
}

impl Kept {
    async fn empty(view: &Arc<Projection>) -> Self {
        let store = sqlite::memory(Arc::new(SystemClock)).await.unwrap();
        let group = group(view);
        store.declare(&group.shards).await.unwrap();
        Self {
            leases: store.hold(&group, "a", TERM).await.unwrap(),
            view: view.clone(),
            store,
        }
    }

    /// Folds the shards that are not past it up to a position, in batches as large as that.
    async fn fold(&mut self, items: &[Item], to: u64, batch: usize, which: fn(&Lease) -> bool) {
        let views = [self.view.clone()];
        for items in items.chunks(batch) {
            let items: Vec<Item> = items.iter().filter(|item| item.position <= to).cloned().collect();
            let Some(last) = items.last() else { break };
            let due = |lease: &&Lease| lease.position < last.position && which(lease);
            let due: Vec<Lease> = self.leases.iter().filter(due).cloned().collect();
            let (batch, skips) = (Batch::of(&items), Skips::default());
            let applied = apply::apply(&self.store, &views, &due, &skips, &batch);
            let applied = applied.await.unwrap();
            assert_eq!(applied.lost, []);
            self.leases = apply::after(std::mem::take(&mut self.leases), &applied);
        }
    }

    async fn snapshot(&self) -> Spool {
        take(&self.store, &origin(), self.view.id.as_str()).await.unwrap()
    }

    async fn name(&self) -> Cid {
        self.snapshot().await.manifest().cid().clone()
    }

    /// Another store that begins with this snapshot.
    async fn from(view: &Arc<Projection>, snapshot: Spool) -> Self {
        let mut kept = Self::empty(view).await;
        let restored = restore(&kept.store, view, &kept.leases, Arc::new(snapshot)).await;
        kept.leases = restored.unwrap().unwrap();
        kept
    }
}

/// A view that is data, and means nothing: rows come and go, and depend on all that was before.
fn fold() -> impl Strategy<Value = Arc<Projection>> {
    let key = prop::sample::select(vec![
        "activity.actor",
        "activity.type",
        "[activity.type, activity.actor + ' ' + activity.type]",
        "entry.position % 3 == 0 ? 'third' : activity.actor",
    ]);
    let when = prop::sample::select(vec!["true", "entry.position % 5 != 0", "has(activity.object.id)"]);
    let ends = prop::sample::select(vec!["false", "state.sum % 4 == 1", "activity.type == 'Delete'"]);
    (key, when, ends, 1..50_u32, 2..1000_u32).prop_map(|(key, when, ends, factor, modulus)| {
        let next = format!("(state.sum * {factor} + entry.position) % {modulus}");
        let record = projection(json!({
            "name": "random",
            "on": {},
            "when": when,
            "key": key,
            "seed": {"sum": 1, "last": ""},
            "fold": format!("{ends} ? null : {{'sum': {next}, 'last': activity.type}}"),
        }));
        Arc::new(Projection::of(&record, &origin()).unwrap())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// At every cut, shards together and apart: folded on from a snapshot, a view is what it would have become without.
    #[test]
    fn a_snapshot_and_the_tail_are_a_full_replay(
        story in sample::story(40), cuts in prop::collection::vec(0..40_u64, 1..4), batch in 1..9_usize,
        folds in prop::collection::vec(fold(), 3),
    ) {
        let items = items(&story);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for view in views().iter().chain(&folds) {
                let mut full = Kept::empty(view).await;
                full.fold(&items, u64::MAX, 1000, |_| true).await;
                let expected = full.name().await;
                let mut went = Kept::empty(view).await;
                let mut cuts = cuts.clone();
                cuts.sort_unstable();
                for cut in cuts {
                    // Some shards are ahead of the others.
                    went.fold(&items, cut + 3, batch, |lease| lease.shard.shard % 3 == 0).await;
                    went.fold(&items, cut, batch, |lease| lease.shard.shard % 3 != 0).await;
                    let snapshot = went.snapshot().await;
                    let named = snapshot.manifest().cid().clone();
                    let mut restored = Kept::from(view, snapshot).await;
                    assert_eq!(restored.name().await, named, "what was put back is what was taken");
                    restored.fold(&items, u64::MAX, batch, |_| true).await;
                    assert_eq!(restored.name().await, expected);
                    // It goes on from what was restored, too.
                    went = Kept::from(view, went.snapshot().await).await;
                }
                went.fold(&items, u64::MAX, batch, |_| true).await;
                assert_eq!(went.name().await, expected);
            }
        });
    }
}

fn story() -> Story {
    let mut story = Story::default();
    for name in ["alice", "carol"] {
        story.published(BASE, json!({"type": "Create", "object": person(name, true)}));
    }
    for number in 0..30 {
        let id = format!("https://blog.example/objects/{number}");
        story.published(
            ALICE,
            json!({"type": "Create", "object": {"id": id, "type": "Note"}}),
        );
    }
    let bob = "https://events.example/actors/bob";
    story.received(bob, json!({"type": "Follow", "object": ALICE}));
    story
}

async fn kept(view: &str) -> Kept {
    let views = views();
    let view = views.iter().find(|known| known.id == view).unwrap();
    let mut kept = Kept::empty(view).await;
    kept.fold(&items(&story()), u64::MAX, 7, |_| true).await;
    kept
}

#[tokio::test]
async fn a_snapshot_says_what_it_is_of() {
    let kept = kept("objects").await;
    let spool = kept.snapshot().await;
    let manifest: &Manifest = spool.manifest();
    assert_eq!((manifest.rows(), manifest.position()), (30, 33));
    assert_eq!(
        (manifest.state.view.as_str(), &manifest.state.origin),
        ("objects", &origin())
    );
    let counts: u64 = manifest.state.shards.iter().map(|shard| shard.count).sum();
    assert_eq!(counts, 30);
    let unknown = take(&kept.store, &origin(), "nothing").await.unwrap_err();
    assert_eq!(unknown.to_string(), r#"there is no view "nothing""#);
}

#[tokio::test]
async fn the_rows_of_a_peer_are_found_in_what_was_restored() {
    let kept = kept("followers").await;
    let restored = Kept::from(&kept.view, kept.snapshot().await).await;
    let (events, all): (_, Vec<u32>) = ("https://events.example".parse().unwrap(), (0..8).collect());
    let rows = restored.store.rows_of_peer("followers", &events, &all, 9).await;
    assert_eq!(rows.unwrap().len(), 1);
}

#[tokio::test]
async fn shards_that_are_held_apart_are_restored_apart() {
    let kept = kept("objects").await;
    let spool = Arc::new(kept.snapshot().await);
    let restored = Kept::empty(&kept.view).await;
    for half in restored.leases.chunks(4) {
        let moved = restore(&restored.store, &kept.view, half, spool.clone()).await;
        assert_eq!(moved.unwrap().unwrap().len(), 4);
    }
    assert_eq!(restored.name().await, kept.name().await);
}

#[tokio::test]
async fn what_has_moved_or_is_another_view_is_not_restored() {
    let kept = kept("objects").await;
    let spool = Arc::new(kept.snapshot().await);
    let again = restore(&kept.store, &kept.view, &kept.leases, spool.clone()).await;
    assert!(again.is_err(), "its rows are there already");
    let moved = Kept::empty(&kept.view).await;
    let before = moved.leases.clone();
    moved.store.resign(&group(&kept.view), "a").await.unwrap();
    let lost = restore(&moved.store, &kept.view, &before, spool.clone()).await;
    assert_eq!(lost.unwrap(), None);
    let views = views();
    let actors = views.iter().find(|view| view.id == "actors").unwrap();
    let error = restore(&moved.store, actors, &before, spool).await.unwrap_err();
    assert!(error.to_string().contains("is of objects"), "{error}");
}

#[tokio::test]
async fn a_damaged_file_restores_nothing() {
    let kept = kept("objects").await;
    let (file, manifest) = kept.snapshot().await.into_parts();
    file.set_len(file.metadata().unwrap().len() - 1).unwrap();
    let spool = Arc::new(Spool::of(file, manifest));
    let target = Kept::empty(&kept.view).await;
    let error = restore(&target.store, &kept.view, &target.leases, spool).await;
    assert!(error.is_err());
    assert_eq!(target.snapshot().await.manifest().rows(), 0);
}
