use serde_json::json;

use super::*;
use crate::{
    entry::Unreadable,
    shard::{Digest, ShardId, shard_of},
    store,
    testing::{BOB, Counts, Story, under},
};

fn leases() -> Vec<Lease> {
    let lease = |shard| Lease {
        shard,
        epoch: 1,
        position: 0,
        count: 0,
        digest: Digest::default(),
        halted: None,
    };
    ShardId::all("counts").map(lease).collect()
}

/// Entries that speak of these objects, one after the other.
fn items(objects: &[&str]) -> Vec<Item> {
    let mut story = Story::default();
    for (serial, object) in objects.iter().enumerate() {
        story.received(BOB, json!({"type": "Like", "object": object, "serial": serial}));
    }
    let item = |entry: Entry| Item {
        position: entry.position,
        content: Ok(entry),
    };
    story.entries().into_iter().map(item).collect()
}

fn fold(poison: &'static str, leases: &[Lease], items: &[Item], stored: &[(&str, &str)]) -> Vec<Advance> {
    let views = [under("counts", Box::new(Counts { poison }))];
    let mut fold = Fold::new(&views, leases, &Skips::default(), items);
    let row = |(key, value): &(&str, &str)| Row {
        key: (*key).to_owned(),
        value: value.as_bytes().to_vec(),
        position: 0,
    };
    fold.load("counts", stored.iter().map(row).collect());
    fold.run(items, items.last().map_or(0, |item| item.position))
        .advances
}

fn of<'a>(advances: &'a [Advance], key: &str) -> &'a Advance {
    advances
        .iter()
        .find(|advance| advance.shard.shard == shard_of(key))
        .unwrap()
}

#[test]
fn every_shard_moves_and_counts_what_touched_it() {
    let advances = fold("", &leases(), &items(&["a", "b", "a"]), &[("b", "41")]);
    assert_eq!(advances.len(), leases().len());
    assert!(advances.iter().all(|advance| advance.position == 3));
    assert_ne!(shard_of("a"), shard_of("b"));
    assert_eq!((of(&advances, "a").count, of(&advances, "b").count), (2, 1));
    let change = &of(&advances, "a").changes[0];
    assert_eq!(
        (change.value.as_deref(), change.position),
        (Some(b"2".as_slice()), 3)
    );
    let change = &of(&advances, "b").changes[0];
    assert_eq!(
        (change.value.as_deref(), change.position),
        (Some(b"42".as_slice()), 2)
    );
}

#[test]
fn a_shard_does_not_see_again_what_it_has_seen() {
    let mut leases = leases();
    let ahead = leases
        .iter_mut()
        .find(|lease| lease.shard.shard == shard_of("a"))
        .unwrap();
    ahead.position = 2;
    let advances = fold("", &leases, &items(&["a", "a", "a", "b"]), &[("a", "2")]);
    assert_eq!(
        of(&advances, "a").changes[0].value.as_deref(),
        Some(b"3".as_slice())
    );
    assert_eq!((of(&advances, "a").from, of(&advances, "b").from), (2, 0));
    leases.iter_mut().for_each(|lease| lease.position = 4);
    assert_eq!(fold("", &leases, &items(&["a", "a", "a", "b"]), &[]), []);
}

#[test]
fn poison_halts_its_shard_before_it_and_no_other() {
    let advances = fold("a", &leases(), &items(&["b", "a", "b", "a"]), &[]);
    let halted = of(&advances, "a");
    assert_eq!((halted.position, halted.count, halted.changes.len()), (1, 0, 0));
    let why = halted.halted.as_deref().unwrap();
    assert!(
        why.starts_with(r#"the entry at 2 cannot be folded: the row "a":"#),
        "{why}"
    );
    let others = advances.iter().filter(|advance| advance.shard != halted.shard);
    for advance in others {
        assert_eq!((advance.position, &advance.halted), (4, &None));
    }
    assert_eq!(
        of(&advances, "b").changes[0].value.as_deref(),
        Some(b"2".as_slice())
    );
}

#[test]
fn what_came_before_the_poison_is_kept() {
    let neighbour = (0..).map(|number| format!("n{number}"));
    let neighbour = neighbour
        .into_iter()
        .find(|key| shard_of(key) == shard_of("a"))
        .unwrap();
    let advances = fold("a", &leases(), &items(&[&neighbour, "a", &neighbour]), &[]);
    let halted = of(&advances, "a");
    assert_eq!((halted.position, halted.count), (1, 1));
    assert_eq!(halted.changes[0].value.as_deref(), Some(b"1".as_slice()));
}

#[test]
fn an_unreadable_entry_halts_every_shard() {
    let mut items = items(&["a", "b", "a"]);
    items[1].content = Err(Unreadable::Stream("attic".to_owned()));
    let advances = fold("", &leases(), &items, &[]);
    assert_eq!(advances.len(), leases().len());
    assert!(
        advances
            .iter()
            .all(|advance| advance.position == 1 && advance.halted.is_some())
    );
    assert_eq!(of(&advances, "a").count, 1);
}

#[test]
fn a_stored_row_that_is_no_json_halts_its_shard() {
    let advances = fold("", &leases(), &items(&["a", "b"]), &[("a", "{")]);
    assert!(
        of(&advances, "a")
            .halted
            .as_deref()
            .unwrap()
            .contains("cannot be read")
    );
    assert_eq!(of(&advances, "b").halted, None);
}

#[test]
fn rows_are_needed_only_of_shards_that_are_held() {
    let views = [under("counts", Box::new(Counts { poison: "" }))];
    let held: Vec<Lease> = leases()
        .into_iter()
        .filter(|lease| lease.shard.shard == shard_of("a"))
        .collect();
    let items = items(&["a", "b"]);
    let fold = Fold::new(&views, &held, &Skips::default(), &items);
    assert_eq!(fold.needed()[0].1.keys, ["a"]);
    assert_eq!(fold.run(&items, 2).advances.len(), 1);
}

#[test]
fn shards_move_past_what_concerns_nobody() {
    let views = [under("counts", Box::new(Counts { poison: "" }))];
    let items = items(&["a", "b"]);
    let later = Fold::new(&views, &leases(), &Skips::default(), &items)
        .run(&items, 9)
        .advances;
    assert!(later.iter().all(|advance| advance.position == 9));
    assert_eq!(
        (of(&later, "a").count, of(&later, "a").changes[0].position),
        (1, 1)
    );
    let nothing = Fold::new(&views, &leases(), &Skips::default(), &[])
        .run(&[], 9)
        .advances;
    assert_eq!(nothing.len(), leases().len());
    assert!(
        nothing
            .iter()
            .all(|advance| (advance.position, advance.count) == (9, 0) && advance.changes.is_empty())
    );
}

#[test]
fn what_no_store_takes_as_a_key_is_not_said() {
    let long = "l".repeat(store::MAX_KEY + 1);
    let longest = "l".repeat(store::MAX_KEY);
    let items = items(&["a\0", &long, &longest]);
    let advances = fold("", &leases(), &items, &[]);
    assert!(
        advances
            .iter()
            .all(|advance| advance.position == 3 && advance.halted.is_none())
    );
    let written: Vec<&str> = advances
        .iter()
        .flat_map(|advance| &advance.changes)
        .map(|change| change.key.as_str())
        .collect();
    assert_eq!(written, [longest]);
    assert_eq!(advances.iter().map(|advance| advance.count).sum::<u64>(), 1);
}
