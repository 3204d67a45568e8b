//! What is written under a lease, and what is not.

use jiff::SignedDuration;

use super::{Fixture, TERM, group, held, keys, lease_of, page, put, step};
use crate::{
    shard::{SHARDS, ShardId},
    store::{Advance, Change},
};

pub(crate) async fn an_advance_moves_the_shard_and_writes_its_rows(fixture: Fixture) {
    let leases = held(&fixture).await;
    let mut first = step(lease_of(&leases, "x"), 3, &["x"]);
    assert_eq!(
        fixture.store.commit(std::slice::from_ref(&first)).await.unwrap(),
        []
    );
    let (row, reach) = fixture.other.row(&first.shard, "x").await.unwrap().unwrap();
    let row = row.unwrap();
    assert_eq!(
        (row.value.as_slice(), row.position, reach.position),
        (b"{}".as_slice(), 3, 3)
    );
    let shards = fixture.other.shards().await.unwrap();
    let shard = shards.iter().find(|shard| shard.id == first.shard).unwrap();
    assert_eq!((shard.position, shard.count, shard.digest), (3, 1, first.digest));

    first.from = 3;
    first.position = 4;
    first.changes[0].value = Some(b"[1]".to_vec());
    first.changes[0].position = 4;
    fixture.store.commit(std::slice::from_ref(&first)).await.unwrap();
    let (row, _) = fixture.other.row(&first.shard, "x").await.unwrap().unwrap();
    assert_eq!(row.unwrap().value, b"[1]");

    first.from = 4;
    first.position = 5;
    first.changes[0].value = None;
    fixture.store.commit(std::slice::from_ref(&first)).await.unwrap();
    let (row, reach) = fixture.other.row(&first.shard, "x").await.unwrap().unwrap();
    assert_eq!((row, reach.position), (None, 5));
}

pub(crate) async fn a_stale_epoch_writes_nothing(fixture: Fixture) {
    let stale = held(&fixture).await;
    fixture.clock.advance(TERM + SignedDuration::from_secs(1));
    let fresh = fixture.other.hold(&group(), "b", TERM).await.unwrap();
    let late = step(lease_of(&stale, "x"), 3, &["x"]);
    assert_eq!(
        fixture.store.commit(std::slice::from_ref(&late)).await.unwrap(),
        [late.shard]
    );
    assert_eq!(keys(&*fixture.other, &page("")).await, [""; 0]);
    let due = step(lease_of(&fresh, "x"), 2, &["x"]);
    assert_eq!(
        fixture.other.commit(std::slice::from_ref(&due)).await.unwrap(),
        []
    );
    assert_eq!(
        fixture.other.page(&page("")).await.unwrap().unwrap().rows[0].position,
        2
    );
}

/// A commit whose answer was lost is sent again by a worker that does not know better.
pub(crate) async fn nothing_is_applied_twice(fixture: Fixture) {
    let leases = held(&fixture).await;
    let advance = step(lease_of(&leases, "x"), 3, &["x"]);
    fixture
        .store
        .commit(std::slice::from_ref(&advance))
        .await
        .unwrap();
    let again = fixture
        .store
        .commit(std::slice::from_ref(&advance))
        .await
        .unwrap();
    assert_eq!(again, std::slice::from_ref(&advance.shard));
    let held = fixture.store.hold(&group(), "a", TERM).await.unwrap();
    let lease = lease_of(&held, "x");
    assert_eq!((lease.position, lease.count, lease.epoch), (3, 1, advance.epoch));
}

pub(crate) async fn shards_are_fenced_one_by_one(fixture: Fixture) {
    let leases = held(&fixture).await;
    let mut advances: Vec<Advance> = leases
        .iter()
        .map(|lease| step(lease, 1, &[&format!("key-{}", lease.shard.shard)]))
        .collect();
    advances[2].epoch = 0;
    advances[5].from = 9;
    let lost = fixture.store.commit(&advances).await.unwrap();
    assert_eq!(lost, [ShardId::new("v", 2), ShardId::new("v", 5)]);
    let mut written = keys(&*fixture.other, &page("")).await;
    written.sort();
    assert_eq!(written, ["key-0", "key-1", "key-3", "key-4", "key-6", "key-7"]);
    let positions: Vec<u64> = fixture
        .other
        .shards()
        .await
        .unwrap()
        .iter()
        .map(|shard| shard.position)
        .collect();
    assert_eq!(positions, [1, 1, 0, 1, 1, 0, 1, 1]);
}

pub(crate) async fn a_halted_shard_says_why_until_it_moves(fixture: Fixture) {
    let leases = held(&fixture).await;
    let mut advance = step(lease_of(&leases, "x"), 0, &[]);
    advance.halted = Some("poison".to_owned());
    assert_eq!(
        fixture
            .store
            .commit(std::slice::from_ref(&advance))
            .await
            .unwrap(),
        []
    );
    let (_, reach) = fixture.other.row(&advance.shard, "x").await.unwrap().unwrap();
    assert_eq!((reach.position, reach.halted.as_deref()), (0, Some("poison")));
    let reach = fixture.other.page(&page("")).await.unwrap().unwrap().reach;
    assert_eq!(reach.position, 0);
    fixture.store.resign(&group(), "a").await.unwrap();
    let taken = fixture.store.hold(&group(), "b", TERM).await.unwrap();
    let lease = lease_of(&taken, "x");
    assert_eq!(lease.halted.as_deref(), Some("poison"));
    fixture.store.commit(&[step(lease, 1, &["x"])]).await.unwrap();
    let (_, reach) = fixture.other.row(&advance.shard, "x").await.unwrap().unwrap();
    assert_eq!((reach.position, reach.halted), (1, None));
}

pub(crate) async fn large_batches_are_written_whole(fixture: Fixture) {
    let leases = held(&fixture).await;
    let mut advances: Vec<Advance> = leases.iter().map(|lease| step(lease, 1, &[])).collect();
    for number in 0..5000 {
        let key = format!("key-{number:04}");
        let shard = ShardId::of("v", &key).shard;
        advances[shard as usize].changes.push(put(&key, 1));
    }
    assert!(
        advances
            .iter()
            .all(|advance| advance.changes.len() > 5000 / (2 * SHARDS as usize))
    );
    assert_eq!(fixture.store.commit(&advances).await.unwrap(), []);
    assert_eq!(fixture.other.page(&page("")).await.unwrap().unwrap().total, 5000);

    let all: Vec<String> = (0..5000).map(|number| format!("key-{number:04}")).collect();
    let wanted: Vec<&str> = all.iter().map(String::as_str).collect();
    assert_eq!(fixture.other.rows("v", &wanted).await.unwrap().len(), 5000);

    let erase = |change: &Change| Change {
        value: None,
        ..change.clone()
    };
    for advance in &mut advances {
        advance.from = 1;
        advance.position = 2;
        advance.changes = advance.changes.iter().map(erase).collect();
    }
    assert_eq!(fixture.store.commit(&advances).await.unwrap(), []);
    assert_eq!(fixture.other.page(&page("")).await.unwrap().unwrap().total, 0);
}

/// Workers under one epoch, as after an answer that was lost, name their shards in whatever order; each step counts once.
pub(crate) async fn many_commit_and_take_turns_at_once(fixture: Fixture) {
    const WORKERS: u64 = 6;
    const STEPS: u64 = 12;
    let leases = held(&fixture).await;
    let worker = async |number: u64| {
        let store = if number.is_multiple_of(2) {
            &fixture.store
        } else {
            &fixture.other
        };
        let mut counted = 0;
        for from in 0..STEPS {
            let mut advances: Vec<Advance> = leases.iter().map(|lease| step(lease, from + 1, &[])).collect();
            for advance in &mut advances {
                (advance.from, advance.count) = (from, from + 1);
                advance.changes = vec![put(&format!("{}-{from}", advance.shard), from + 1)];
            }
            let turned = usize::try_from(number + from).unwrap() % advances.len();
            advances.rotate_left(turned);
            let lost = store.commit(&advances).await.unwrap();
            counted += advances.len() - lost.len();
            store.hold(&group(), "a", TERM).await.unwrap();
        }
        counted
    };
    let counted = futures::future::join_all((0..WORKERS).map(worker)).await;
    let steps = usize::try_from(STEPS).unwrap() * SHARDS as usize;
    assert_eq!(counted.into_iter().sum::<usize>(), steps);
    let page = fixture.other.page(&page("")).await.unwrap().unwrap();
    assert_eq!((page.total, page.reach.position), (steps as u64, STEPS));
}
