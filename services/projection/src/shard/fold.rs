//! Folding a batch of entries into the shards that are held: values in, values out.
//!
//! An entry counts for a shard where it touches a key of the shard, or a peer (then it counts for every shard of the
//! view). So count and digest follow from the log alone, and not from how it was cut into batches.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt::Display,
    sync::Arc,
};

use fedsx_kernel::origin::Origin;
use fedsx_runtime::telemetry;
use serde_json::Value;

use super::{Digest, lease::Lease, shard_of};
use crate::{
    entry::{Entry, Item},
    store::{Advance, Change, Row},
    views::{FoldError, Touched, View},
};

/// A batch that is being folded.
#[derive(Debug)]
pub(crate) struct Fold {
    views: Vec<ViewFold>,
}

/// The shards of one view, and the rows that the batch touches.
#[derive(Debug)]
struct ViewFold {
    view: Arc<dyn View>,
    shards: BTreeMap<u32, ShardFold>,
    /// By the place of the item in the batch.
    touched: Vec<Touched>,
    rows: HashMap<String, Slot>,
}

/// One shard as the batch goes on.
#[derive(Debug)]
struct ShardFold {
    before: Lease,
    count: u64,
    digest: Digest,
    /// The entry before which it stands still, and why.
    halted: Option<(u64, String)>,
    dirty: HashSet<String>,
}

#[derive(Debug)]
struct Slot {
    /// None: there is no row. An error: what is stored is no JSON.
    value: Result<Option<Value>, FoldError>,
    /// The entry that changed it last.
    position: u64,
}

/// What an entry makes of rows, by key; none: there is no row.
type Changes = Vec<(String, Option<Value>)>;

/// The rows of a view that a batch needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Needed {
    pub(crate) keys: Vec<String>,
    pub(crate) peers: Vec<Origin>,
}

/// What has become of a batch.
#[derive(Debug)]
pub(crate) struct Folded {
    pub(crate) advances: Vec<Advance>,
    /// Entries that each view has applied, counted once a shard.
    pub(crate) applied: Vec<(String, u64)>,
}

impl Fold {
    /// Finds out what the items touch. Halted shards take no part.
    pub(crate) fn new(views: &[Arc<dyn View>], leases: &[Lease], items: &[Item]) -> Self {
        let views = views.iter().filter_map(|view| {
            let shards: BTreeMap<u32, ShardFold> = leases
                .iter()
                .filter(|lease| lease.shard.view == view.name())
                .map(|lease| (lease.shard.shard, ShardFold::new(lease.clone())))
                .collect();
            let lowest = shards.values().map(|shard| shard.before.position).min()?;
            let touches = |item: &Item| match &item.content {
                Ok(entry) if item.position > lowest => view.touches(entry),
                _ => Touched::Nothing,
            };
            Some(ViewFold {
                touched: items.iter().map(touches).collect(),
                view: view.clone(),
                shards,
                rows: HashMap::new(),
            })
        });
        Self {
            views: views.collect(),
        }
    }

    /// The rows to load, by view.
    pub(crate) fn needed(&self) -> Vec<(String, Needed)> {
        self.views
            .iter()
            .map(|view| (view.view.name().to_owned(), view.needed()))
            .collect()
    }

    /// Takes the rows in that a store answered for [`Fold::needed`].
    pub(crate) fn load(&mut self, view: &str, rows: Vec<Row>) {
        for fold in self.views.iter_mut().filter(|fold| fold.view.name() == view) {
            for row in &rows {
                let value = serde_json::from_slice(&row.value).map(Some);
                let slot = Slot {
                    value: value.map_err(|error| FoldError::State(error.to_string())),
                    position: row.position,
                };
                fold.rows.insert(row.key.clone(), slot);
            }
        }
    }

    /// Folds the items in their order.
    pub(crate) fn run(mut self, items: &[Item]) -> Folded {
        for (place, item) in items.iter().enumerate() {
            match &item.content {
                Ok(entry) => self.entry(place, entry),
                Err(problem) => {
                    let shards = self.views.iter_mut().flat_map(|view| view.shards.values_mut());
                    for shard in shards.filter(|shard| shard.awaits(item.position)) {
                        shard.halt(item.position, problem);
                    }
                }
            }
        }
        let last = items.last().map_or(0, |item| item.position);
        let applied = self.views.iter().map(ViewFold::applied).collect();
        let advances = self
            .views
            .into_iter()
            .flat_map(|view| view.finish(last))
            .collect();
        Folded { advances, applied }
    }

    fn entry(&mut self, place: usize, entry: &Entry) {
        let touched = |view: &ViewFold| view.touched[place] != Touched::Nothing;
        if !self.views.iter().any(touched) {
            return;
        }
        let span = tracing::info_span!("fold", position = entry.position, verb = entry.activity.verb());
        telemetry::continue_trace(&span, &entry.traceparent);
        let _entered = span.entered();
        for view in &mut self.views {
            view.entry(place, entry);
        }
    }
}

impl ViewFold {
    fn needed(&self) -> Needed {
        let (mut keys, mut peers) = (HashSet::new(), HashSet::new());
        for touched in &self.touched {
            match touched {
                Touched::Nothing => {}
                Touched::Keys(touched) => keys.extend(touched),
                Touched::Peer(peer) => {
                    peers.insert(peer);
                }
            }
        }
        let held = |key: &&String| self.shards.contains_key(&shard_of(key));
        Needed {
            keys: keys.into_iter().filter(held).cloned().collect(),
            peers: peers.into_iter().cloned().collect(),
        }
    }

    fn entry(&mut self, place: usize, entry: &Entry) {
        let mut by_shard: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
        match &self.touched[place] {
            Touched::Nothing => return,
            Touched::Keys(keys) => {
                for key in keys {
                    by_shard.entry(shard_of(key)).or_default().insert(key.clone());
                }
            }
            Touched::Peer(peer) => {
                by_shard.extend(self.shards.keys().map(|shard| (*shard, BTreeSet::new())));
                let view = &self.view;
                let about = self
                    .rows
                    .iter()
                    .filter(|(_, slot)| !matches!(slot.value, Ok(None)));
                for (key, _) in about.filter(|(key, _)| view.peer(key).as_ref() == Some(peer)) {
                    by_shard.entry(shard_of(key)).or_default().insert(key.clone());
                }
            }
        }
        for (shard, keys) in by_shard {
            if let Some(shard) = self
                .shards
                .get_mut(&shard)
                .filter(|shard| shard.awaits(entry.position))
            {
                match folded(&*self.view, &self.rows, keys, entry) {
                    Ok(changes) => shard.apply(entry, changes, &mut self.rows),
                    Err((key, error)) => shard.halt(entry.position, format_args!("the row {key:?}: {error}")),
                }
            }
        }
    }

    fn applied(&self) -> (String, u64) {
        let applied = self.shards.values().map(|shard| shard.count - shard.before.count);
        (self.view.name().to_owned(), applied.sum())
    }

    fn finish(self, last: u64) -> Vec<Advance> {
        let Self {
            view,
            shards,
            mut rows,
            ..
        } = self;
        let advance = |shard: ShardFold| shard.finish(last, &*view, &mut rows);
        shards.into_values().filter_map(advance).collect()
    }
}

impl ShardFold {
    fn new(lease: Lease) -> Self {
        Self {
            count: lease.count,
            digest: lease.digest,
            before: lease,
            halted: None,
            dirty: HashSet::new(),
        }
    }

    /// Whether it has still to see the entry at this position.
    fn awaits(&self, position: u64) -> bool {
        self.halted.is_none() && self.before.position < position
    }

    fn halt(&mut self, position: u64, problem: impl Display) {
        self.halted = Some((
            position,
            format!("the entry at {position} cannot be folded: {problem}"),
        ));
    }

    fn apply(&mut self, entry: &Entry, changes: Changes, rows: &mut HashMap<String, Slot>) {
        self.count += 1;
        self.digest = self.digest.with(entry.position, entry.activity.cid());
        for (key, value) in changes {
            let slot = Slot {
                value: Ok(value),
                position: entry.position,
            };
            rows.insert(key.clone(), slot);
            self.dirty.insert(key);
        }
    }

    /// The step that the shard has made; none where it has not moved.
    fn finish(self, last: u64, view: &dyn View, rows: &mut HashMap<String, Slot>) -> Option<Advance> {
        let (position, halted) = match self.halted {
            Some((position, why)) => (position - 1, Some(why)),
            None => (last.max(self.before.position), None),
        };
        let before = self.before;
        if position == before.position && halted.is_none() {
            return None;
        }
        let change = |key: String| {
            let slot = rows.remove(&key)?;
            Some(Change {
                peer: view.peer(&key),
                position: slot.position,
                // A value that came out of a fold can be written.
                value: slot.value.ok()?.map(|value| value.to_string().into_bytes()),
                key,
            })
        };
        Some(Advance {
            changes: self.dirty.into_iter().filter_map(change).collect(),
            shard: before.shard,
            epoch: before.epoch,
            from: before.position,
            position,
            count: self.count,
            digest: self.digest,
            halted,
        })
    }
}

/// What becomes of an entry's rows within one shard: all of them or, where one fold fails, none.
fn folded(
    view: &dyn View,
    rows: &HashMap<String, Slot>,
    keys: BTreeSet<String>,
    entry: &Entry,
) -> Result<Changes, (String, FoldError)> {
    let mut changes = Vec::new();
    for key in keys {
        let before = match rows.get(&key).map(|slot| &slot.value) {
            None => None,
            Some(Ok(value)) => value.as_ref(),
            Some(Err(error)) => return Err((key, error.clone())),
        };
        match view.fold(&key, before, entry) {
            Ok(after) if after.as_ref() == before => {}
            Ok(after) => changes.push((key, after)),
            Err(error) => return Err((key, error)),
        }
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        entry::Unreadable,
        shard::ShardId,
        testing::{BOB, Counts, Story},
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
        let views: [Arc<dyn View>; 1] = [Arc::new(Counts { poison })];
        let mut fold = Fold::new(&views, leases, items);
        let row = |(key, value): &(&str, &str)| Row {
            key: (*key).to_owned(),
            value: value.as_bytes().to_vec(),
            position: 0,
        };
        fold.load("counts", stored.iter().map(row).collect());
        fold.run(items).advances
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
        let views: [Arc<dyn View>; 1] = [Arc::new(Counts { poison: "" })];
        let held: Vec<Lease> = leases()
            .into_iter()
            .filter(|lease| lease.shard.shard == shard_of("a"))
            .collect();
        let items = items(&["a", "b"]);
        let fold = Fold::new(&views, &held, &items);
        assert_eq!(fold.needed()[0].1.keys, ["a"]);
        assert_eq!(fold.run(&items).advances.len(), 1);
    }
}
