//! Which projections are kept.

use std::collections::BTreeMap;

use super::{Fixture, TERM, put};
use crate::{
    roster::settle::{InEffect, Kept, State},
    shard::{ShardId, lease::Lease},
    store::{Advance, Group, Store},
};

fn defined(id: &str, since: u64) -> InEffect {
    InEffect {
        id: id.to_owned(),
        name: id.trim_end_matches(char::is_numeric).to_owned(),
        record: b"{}".to_vec(),
        since,
    }
}

fn states(kept: &[Kept]) -> Vec<(&str, State)> {
    kept.iter().map(|kept| (kept.id.as_str(), kept.state)).collect()
}

fn group(id: &str) -> Group {
    Group {
        name: format!("views/{id}"),
        shards: ShardId::all(id).collect(),
    }
}

/// Moves every shard of a view, each writing a row under its number.
async fn advance(store: &dyn Store, id: &str, position: u64) -> Vec<ShardId> {
    let leases = store.hold(&group(id), "a", TERM).await.unwrap();
    store.commit(&steps(&leases, position)).await.unwrap()
}

fn steps(leases: &[Lease], position: u64) -> Vec<Advance> {
    let step = |lease: &Lease| Advance {
        shard: lease.shard.clone(),
        epoch: lease.epoch,
        from: lease.position,
        position,
        count: lease.count + 1,
        digest: lease.digest,
        halted: None,
        changes: vec![put(&lease.shard.shard.to_string(), position)],
    };
    leases.iter().map(step).collect()
}

async fn rows(store: &dyn Store, id: &str) -> Option<usize> {
    let mut query = super::page("");
    query.view = id.to_owned();
    let page = store.page(&query).await.unwrap();
    page.map(|page| page.rows.len())
}

use State::{Building, Live, Retired};

pub(crate) async fn the_first_serve_and_a_changed_one_takes_over(fixture: Fixture) {
    let store = &*fixture.store;
    let kept = store.settle(&[defined("a1", 3), defined("b1", 4)]).await.unwrap();
    assert_eq!(states(&kept), [("a1", Live), ("b1", Live)]);
    advance(store, "a1", 9).await;
    advance(store, "b1", 9).await;
    let effective = [defined("a2", 8), defined("b1", 4)];
    let kept = store.settle(&effective).await.unwrap();
    assert_eq!(states(&kept), [("a1", Live), ("a2", Building), ("b1", Live)]);
    assert_eq!((kept[1].cohort, kept[1].since), (8, 8));
    advance(store, "a2", 8).await;
    assert_eq!(
        fixture.other.settle(&effective).await.unwrap(),
        kept,
        "it is behind"
    );
    advance(store, "a2", 9).await;
    let kept = fixture.other.settle(&effective).await.unwrap();
    assert_eq!(states(&kept), [("a1", Retired), ("a2", Live), ("b1", Live)]);
    assert_eq!(
        (rows(store, "a1").await, rows(store, "a2").await),
        (None, Some(8))
    );
    let shards = store.shards().await.unwrap();
    let mut positions: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for shard in shards {
        positions.entry(shard.id.view).or_default().push(shard.position);
    }
    assert_eq!(
        positions,
        BTreeMap::from([("a2".to_owned(), vec![9; 8]), ("b1".to_owned(), vec![9; 8])])
    );
}

pub(crate) async fn who_loses_its_name_writes_nothing_more(fixture: Fixture) {
    let store = &*fixture.store;
    store.settle(&[defined("a1", 1)]).await.unwrap();
    let old = store.hold(&group("a1"), "a", TERM).await.unwrap();
    store.settle(&[defined("a2", 2)]).await.unwrap();
    let built = store.hold(&group("a2"), "b", TERM).await.unwrap();
    assert_eq!(store.commit(&steps(&built, 5)).await.unwrap(), []);
    let kept = store.settle(&[defined("a2", 2)]).await.unwrap();
    assert_eq!(states(&kept), [("a1", Retired), ("a2", Live)]);
    assert_eq!(
        store.commit(&steps(&old, 6)).await.unwrap().len(),
        8,
        "its shards are gone"
    );
    // And who built it has to take it again: others hold what serves.
    let built: Vec<Lease> = built
        .into_iter()
        .map(|lease| Lease { position: 5, ..lease })
        .collect();
    assert_eq!(store.commit(&steps(&built, 6)).await.unwrap().len(), 8);
    let live = Group {
        name: "views".to_owned(),
        ..group("a2")
    };
    assert_eq!(store.hold(&live, "c", TERM).await.unwrap().len(), 8);
}

pub(crate) async fn what_is_retired_is_swept_and_may_come_again(fixture: Fixture) {
    let store = &*fixture.store;
    store.settle(&[defined("a1", 1)]).await.unwrap();
    advance(store, "a1", 5).await;
    store.settle(&[defined("a2", 6)]).await.unwrap();
    advance(store, "a2", 6).await;
    store.settle(&[defined("a2", 6)]).await.unwrap();
    // The first is in effect again, but its old rows are not gone yet.
    let kept = store.settle(&[defined("a1", 7)]).await.unwrap();
    assert_eq!(states(&kept), [("a1", Retired), ("a2", Live)]);
    let mut turns = 0;
    while store.sweep(3).await.unwrap() {
        turns += 1;
    }
    assert_eq!(turns, 4, "three times three rows at most, then itself");
    let kept = store.settle(&[defined("a1", 7)]).await.unwrap();
    assert_eq!(states(&kept), [("a1", Building), ("a2", Live)]);
    assert_eq!(
        (rows(store, "a1").await, rows(store, "a2").await),
        (Some(0), Some(8))
    );
}

pub(crate) async fn replicas_that_settle_at_once_agree(fixture: Fixture) {
    let effective: Vec<InEffect> = (0..9)
        .map(|number| defined(&format!("{}1", "x".repeat(number + 1)), 3))
        .collect();
    let turns = (0..8).map(|turn| {
        let store = if turn % 2 == 0 {
            &fixture.store
        } else {
            &fixture.other
        };
        store.settle(&effective)
    });
    let settled = futures::future::join_all(turns).await;
    let first = settled[0].as_ref().unwrap();
    assert_eq!(first.len(), 9);
    for kept in &settled {
        assert_eq!(kept.as_ref().unwrap(), first);
    }
    assert_eq!(fixture.store.shards().await.unwrap().len(), 9 * 8);
}

pub(crate) async fn a_view_from_before_serves_until_it_is_replaced(fixture: Fixture) {
    let store = &*fixture.store;
    let before = InEffect {
        record: Vec::new(),
        ..defined("a", 0)
    };
    // As the migration leaves it.
    store.settle(&[before]).await.unwrap();
    advance(store, "a", 5).await;
    let kept = store.settle(&[defined("a1", 2)]).await.unwrap();
    assert_eq!(states(&kept), [("a", Live), ("a1", Building)]);
    advance(store, "a1", 5).await;
    let kept = store.settle(&[defined("a1", 2)]).await.unwrap();
    assert_eq!(states(&kept), [("a", Retired), ("a1", Live)]);
    assert!(!store.sweep(10).await.unwrap());
    assert_eq!(
        rows(store, "a").await,
        Some(8),
        "a process of the version before still reads it"
    );
}
