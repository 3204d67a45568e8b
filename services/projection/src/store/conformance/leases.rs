//! Who holds what.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::{Fixture, TERM, group, held};
use crate::{
    shard::{SHARDS, ShardId},
    store::Group,
};

pub(crate) async fn a_declared_shard_is_taken_once(fixture: Fixture) {
    let leases = held(&fixture).await;
    assert_eq!(leases.len(), SHARDS as usize);
    assert!(
        leases
            .iter()
            .all(|lease| (lease.epoch, lease.position, lease.count) == (1, 0, 0))
    );
    let again = fixture.store.hold(&group(), "a", TERM).await.unwrap();
    assert_eq!(again, leases, "a renewed lease keeps its epoch");
    fixture.store.declare(&group().shards).await.unwrap();
    let shards = fixture.other.shards().await.unwrap();
    assert!(shards.iter().all(|shard| shard.owner == "a" && shard.epoch == 1));
}

pub(crate) async fn leases_expire_by_the_stores_clock(fixture: Fixture) {
    held(&fixture).await;
    fixture.clock.advance(TERM - SignedDuration::from_micros(1));
    assert_eq!(fixture.other.hold(&group(), "b", TERM).await.unwrap(), []);
    fixture.clock.advance(SignedDuration::from_micros(1));
    let taken = fixture.other.hold(&group(), "b", TERM).await.unwrap();
    assert_eq!(taken.len(), SHARDS as usize);
    assert!(taken.iter().all(|lease| lease.epoch == 2));
}

pub(crate) async fn workers_share_evenly(fixture: Fixture) {
    held(&fixture).await;
    let half = SHARDS as usize / 2;
    assert_eq!(fixture.other.hold(&group(), "b", TERM).await.unwrap(), []);
    let kept = fixture.store.hold(&group(), "a", TERM).await.unwrap();
    let given = fixture.other.hold(&group(), "b", TERM).await.unwrap();
    assert_eq!((kept.len(), given.len()), (half, half));
    assert!(
        kept.iter().all(|lease| lease.epoch == 1),
        "what is kept is not fenced off"
    );
    let shards: BTreeSet<ShardId> = kept.into_iter().chain(given).map(|lease| lease.shard).collect();
    assert_eq!(shards.len(), SHARDS as usize);

    // b dies; once it is known to be dead, a has everything.
    fixture.clock.advance(SignedDuration::from_secs(10));
    fixture.store.hold(&group(), "a", TERM).await.unwrap();
    fixture.clock.advance(SignedDuration::from_secs(10));
    assert_eq!(
        fixture.store.hold(&group(), "a", TERM).await.unwrap().len(),
        SHARDS as usize
    );
}

pub(crate) async fn who_resigns_leaves_everything(fixture: Fixture) {
    let before = held(&fixture).await;
    fixture.store.resign(&group(), "a").await.unwrap();
    let taken = fixture.other.hold(&group(), "b", TERM).await.unwrap();
    assert_eq!(taken.len(), SHARDS as usize, "nobody waits for a term to end");
    assert!(taken[0].epoch > before[0].epoch);
    fixture.store.resign(&group(), "a").await.unwrap();
    assert_eq!(fixture.other.hold(&group(), "b", TERM).await.unwrap(), taken);
}

pub(crate) async fn groups_do_not_share(fixture: Fixture) {
    held(&fixture).await;
    let reaction = Group {
        name: "reaction".to_owned(),
        shards: vec![ShardId::new("reaction", 0)],
    };
    fixture.store.declare(&reaction.shards).await.unwrap();
    assert_eq!(fixture.other.hold(&reaction, "b", TERM).await.unwrap().len(), 1);
    let views = fixture.store.hold(&group(), "a", TERM).await.unwrap();
    assert_eq!(
        views.len(),
        SHARDS as usize,
        "a worker of another group takes no share"
    );
    fixture.other.resign(&reaction, "b").await.unwrap();
    assert_eq!(fixture.store.hold(&group(), "a", TERM).await.unwrap(), views);
}

pub(crate) async fn turns_at_the_same_time_never_give_one_lease_twice(fixture: Fixture) {
    fixture.store.declare(&group().shards).await.unwrap();
    let turn = |number: usize| {
        let store = if number.is_multiple_of(2) {
            fixture.store.clone()
        } else {
            fixture.other.clone()
        };
        async move {
            store
                .hold(&group(), &format!("worker-{number}"), TERM)
                .await
                .unwrap()
        }
    };
    let mut taken = BTreeSet::new();
    for lease in futures::future::join_all((0..12).map(turn))
        .await
        .into_iter()
        .flatten()
    {
        assert!(
            taken.insert(lease.shard.clone()),
            "{} was given twice",
            lease.shard
        );
    }
    assert_eq!(taken.len(), SHARDS as usize);
}
