//! What is read.

use fedsx_kernel::origin::Origin;

use super::{Fixture, held, keys, lease_of, page, put, step};
use crate::{
    shard::{SHARDS, ShardId, lease::Lease},
    store::{Advance, MAX_KEY, PageQuery, Place, Store},
};

/// Puts keys, each with what `change` makes of it, as the entry at position 1.
async fn write(store: &dyn Store, leases: &[Lease], keys: &[&str]) {
    let mut advances: Vec<Advance> = leases.iter().map(|lease| step(lease, 1, &[])).collect();
    for key in keys {
        let shard = &lease_of(leases, key).shard;
        let advance = advances
            .iter_mut()
            .find(|advance| advance.shard == *shard)
            .unwrap();
        advance.changes.push(put(key, 1));
    }
    assert_eq!(store.commit(&advances).await.unwrap(), []);
}

pub(crate) async fn rows_are_found_by_key_and_by_peer(fixture: Fixture) {
    let leases = held(&fixture).await;
    let events: Origin = "https://events.example".parse().unwrap();
    let mut advance = step(lease_of(&leases, "bob"), 1, &["bob"]);
    advance.changes[0].peer = Some(events.clone());
    let other = step(lease_of(&leases, "eve"), 1, &["eve"]);
    fixture.store.commit(&[advance, other]).await.unwrap();
    let shards: Vec<u32> = (0..SHARDS).collect();
    let found = |rows: Vec<crate::store::Row>| rows.into_iter().map(|row| row.key).collect::<Vec<_>>();
    assert_eq!(
        found(fixture.other.rows("v", &["bob", "zoe"]).await.unwrap()),
        ["bob"]
    );
    assert_eq!(found(fixture.other.rows("w", &["bob"]).await.unwrap()), [""; 0]);
    assert_eq!(
        found(
            fixture
                .other
                .rows_of_peer("v", &events, &shards, 9)
                .await
                .unwrap()
        ),
        ["bob"]
    );
    assert_eq!(
        found(
            fixture
                .other
                .rows_of_peer("w", &events, &shards, 9)
                .await
                .unwrap()
        ),
        [""; 0]
    );
}

pub(crate) async fn rows_of_a_peer_are_those_of_the_shards_asked_for_and_no_more_than_asked_for(
    fixture: Fixture,
) {
    let leases = held(&fixture).await;
    let events: Origin = "https://events.example".parse().unwrap();
    let keys: Vec<String> = (0..40).map(|number| format!("bob-{number}")).collect();
    for lease in &leases {
        let keys = keys.iter().filter(|key| ShardId::of("v", key) == lease.shard);
        let keys: Vec<&str> = keys.map(String::as_str).collect();
        let mut advance = step(lease, 1, &keys);
        for change in &mut advance.changes {
            change.peer = Some(events.clone());
        }
        assert_eq!(fixture.store.commit(&[advance]).await.unwrap(), []);
    }
    for asked in [vec![3], vec![0, 3, 5], (0..SHARDS).collect(), vec![]] {
        let wanted = |key: &&String| asked.contains(&ShardId::of("v", key).shard);
        let mut expected: Vec<&str> = keys.iter().filter(wanted).map(String::as_str).collect();
        expected.sort_unstable();
        let rows = fixture.other.rows_of_peer("v", &events, &asked, 40).await;
        let rows = rows.unwrap();
        let mut found: Vec<&str> = rows.iter().map(|row| row.key.as_str()).collect();
        found.sort_unstable();
        assert_eq!(found, expected);
        let few = fixture.other.rows_of_peer("v", &events, &asked, 2).await;
        assert_eq!(few.unwrap().len(), expected.len().min(2));
    }
}

pub(crate) async fn a_page_is_in_the_order_of_bytes(fixture: Fixture) {
    let leases = held(&fixture).await;
    write(
        &*fixture.store,
        &leases,
        &["b", "a", "é", "a/1", "B", "\u{10ffff}", "z"],
    )
    .await;
    let store = &*fixture.other;
    let order = ["B", "a", "a/1", "b", "z", "é", "\u{10ffff}"];
    assert_eq!(keys(store, &page("")).await, order);
    let mut paged = Vec::new();
    let mut query = PageQuery { limit: 2, ..page("") };
    loop {
        let found = keys(store, &query).await;
        let Some(last) = found.last() else { break };
        query.after.clone_from(last);
        paged.extend(found);
    }
    assert_eq!(paged, order);
    let after = PageQuery {
        after: "a".to_owned(),
        ..page("a")
    };
    assert_eq!(keys(store, &after).await, ["a/1"]);
    assert_eq!(
        store.page(&after).await.unwrap().unwrap().total,
        2,
        "the count is the prefix's"
    );
}

pub(crate) async fn a_page_ends_at_its_bytes(fixture: Fixture) {
    let leases = held(&fixture).await;
    write(&*fixture.store, &leases, &["a", "b", "c"]).await;
    for (max_bytes, expected) in [(1, 1), (2, 1), (4, 2), (5, 2), (6, 3)] {
        let query = PageQuery {
            max_bytes,
            ..page("")
        };
        assert_eq!(
            keys(&*fixture.other, &query).await.len(),
            expected,
            "{max_bytes} bytes"
        );
    }
}

pub(crate) async fn a_prefix_is_no_pattern(fixture: Fixture) {
    let leases = held(&fixture).await;
    write(&*fixture.store, &leases, &["a%b", "a_b", "axb", "A%b"]).await;
    assert_eq!(keys(&*fixture.other, &page("a%")).await, ["a%b"]);
    assert_eq!(keys(&*fixture.other, &page("a_")).await, ["a_b"]);
}

pub(crate) async fn a_view_is_as_far_as_its_last_shard(fixture: Fixture) {
    let leases = held(&fixture).await;
    let ahead: Vec<Advance> = leases[1..].iter().map(|lease| step(lease, 9, &[])).collect();
    fixture.store.commit(&ahead).await.unwrap();
    let reach = async || fixture.other.page(&page("")).await.unwrap().unwrap().reach;
    assert_eq!(reach().await.position, 0);
    fixture.store.commit(&[step(&leases[0], 4, &[])]).await.unwrap();
    assert_eq!(reach().await.position, 4);

    let mut others = ahead;
    for advance in &mut others {
        advance.from = 9;
    }
    let mut first = step(&leases[0], 9, &[]);
    first.from = 4;
    others[4].halted = Some("poison".to_owned());
    fixture.store.commit(&others).await.unwrap();
    assert_eq!(reach().await.halted, None);
    fixture.store.commit(&[first]).await.unwrap();
    assert_eq!(reach().await.halted.as_deref(), Some("poison"));
}

pub(crate) async fn what_was_never_declared_is_told_apart(fixture: Fixture) {
    held(&fixture).await;
    assert_eq!(fixture.other.row(&ShardId::new("w", 0), "a").await.unwrap(), None);
    let query = PageQuery {
        view: "w".to_owned(),
        ..page("")
    };
    assert_eq!(fixture.other.page(&query).await.unwrap(), None);
    let (row, reach) = fixture
        .other
        .row(&ShardId::new("v", 0), "a")
        .await
        .unwrap()
        .unwrap();
    assert_eq!((row, reach.position), (None, 0));
}

/// Every commit puts as many rows as its position says; a reader that saw rows of one commit and the position of another
/// would notice.
pub(crate) async fn rows_and_position_are_of_one_moment(fixture: Fixture) {
    let mut leases = held(&fixture).await;
    let writer = async {
        for position in 1..=60_u64 {
            let mut advances: Vec<Advance> = leases.iter().map(|lease| step(lease, position, &[])).collect();
            let key = format!("key-{position:03}");
            let shard = &lease_of(&leases, &key).shard;
            let advance = advances
                .iter_mut()
                .find(|advance| advance.shard == *shard)
                .unwrap();
            advance.changes.push(put(&key, position));
            assert_eq!(fixture.store.commit(&advances).await.unwrap(), []);
            leases.iter_mut().for_each(|lease| lease.position = position);
        }
    };
    let reader = async {
        loop {
            let page = fixture.other.page(&page("")).await.unwrap().unwrap();
            assert_eq!(page.total, page.reach.position);
            assert_eq!(page.rows.len() as u64, page.reach.position);
            if page.total == 60 {
                break;
            }
        }
    };
    futures::join!(writer, reader);
}

/// Strangers choose what is looked for.
pub(crate) async fn what_is_no_key_finds_nothing(fixture: Fixture) {
    let leases = held(&fixture).await;
    write(&*fixture.store, &leases, &["a", "ab", "b"]).await;
    let (store, long) = (&*fixture.other, "a".repeat(MAX_KEY + 1));
    for text in ["a\0", "\0", "a\0b", &long] {
        assert_eq!(store.rows("v", &[text, "b"]).await.unwrap().len(), 1, "{text:?}");
        let (row, reach) = store.row(&ShardId::of("v", "a"), text).await.unwrap().unwrap();
        assert_eq!((row, reach.position), (None, 1), "{text:?}");
        let found = store.page(&page(text)).await.unwrap().unwrap();
        assert_eq!(
            (found.rows.len(), found.total, found.reach.position),
            (0, 0, 1),
            "{text:?}"
        );
    }
    for (after, expected) in [
        ("a\0", ["ab", "b"].as_slice()),
        ("aa\0", &["ab", "b"]),
        ("\0", &["a", "ab", "b"]),
        (&long, &["ab", "b"]),
    ] {
        let query = PageQuery {
            after: after.to_owned(),
            ..page("")
        };
        assert_eq!(keys(store, &query).await, expected, "{after:?}");
    }
}

pub(crate) async fn changed_rows_are_read_page_by_page(fixture: Fixture) {
    let beginning = Place {
        position: 0,
        key: None,
    };
    assert_eq!(fixture.store.changed("v", &beginning, 9).await.unwrap(), None);
    let leases = held(&fixture).await;
    let names = ["a", "b", "c", "d", "e"];
    write(&*fixture.store, &leases, &names).await;
    // `b` once more, by an entry that the other shards have not seen.
    let lease = lease_of(&leases, "b");
    let moved = Lease {
        position: 1,
        ..lease.clone()
    };
    assert_eq!(
        fixture.store.commit(&[step(&moved, 7, &["b"])]).await.unwrap(),
        []
    );

    let mut seen = Vec::new();
    let mut after = beginning;
    loop {
        let changed = fixture.other.changed("v", &after, 2).await.unwrap().unwrap();
        assert_eq!(changed.reach.position, 1);
        let Some(last) = changed.rows.last() else { break };
        after = Place {
            position: last.position,
            key: Some(last.key.clone()),
        };
        seen.extend(changed.rows.into_iter().map(|row| (row.position, row.key)));
    }
    let expected = [(1, "a"), (1, "c"), (1, "d"), (1, "e"), (7, "b")];
    assert_eq!(seen, expected.map(|(position, key)| (position, key.to_owned())));
    let since = Place {
        position: 1,
        key: None,
    };
    let rows = fixture.other.changed("v", &since, 9).await.unwrap().unwrap().rows;
    assert_eq!(rows.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(fixture.other.changed("w", &since, 9).await.unwrap(), None);
}
