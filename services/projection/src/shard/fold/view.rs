//! The shards of one view as a batch goes on.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt::Display,
    sync::Arc,
};

use super::{
    Needed,
    rows::{Changes, Rows},
    step::Step,
};
use crate::{
    entry::{Entry, Item},
    shard::{lease::Lease, shard_of},
    skips::Skips,
    store::{self, Advance, Row},
    views::{FoldError, Projection, Touched, View},
};

/// One view, the steps of its shards that are held, and the rows that the batch touches.
#[derive(Debug)]
pub(super) struct ViewFold {
    projection: Arc<Projection>,
    steps: BTreeMap<u32, Step>,
    skips: Skips,
    /// By the place of the item in the batch.
    touched: Vec<Touched>,
    rows: Rows,
}

impl ViewFold {
    /// None where no shard of the view is held.
    pub(super) fn new(
        projection: &Arc<Projection>,
        leases: &[Lease],
        skips: &Skips,
        items: &[Item],
    ) -> Option<Self> {
        let steps: BTreeMap<u32, Step> = leases
            .iter()
            .filter(|lease| lease.shard.view == projection.id)
            .map(|lease| (lease.shard.shard, Step::new(lease.clone())))
            .collect();
        let lowest = steps.values().map(Step::from).min()?;
        let view = &*projection.view;
        let touches = |item: &Item| match &item.content {
            Ok(entry) if item.position > lowest => storable(view, view.touches(entry)),
            _ => Touched::Nothing,
        };
        Some(Self {
            touched: items.iter().map(touches).collect(),
            projection: projection.clone(),
            steps,
            skips: skips.clone(),
            rows: Rows::default(),
        })
    }

    pub(super) fn id(&self) -> &str {
        &self.projection.id
    }

    fn view(&self) -> &dyn View {
        &*self.projection.view
    }

    pub(super) fn is_touched(&self, place: usize) -> bool {
        self.touched[place] != Touched::Nothing
    }

    pub(super) fn needed(&self) -> Needed {
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
        let held = |key: &&String| self.steps.contains_key(&shard_of(key));
        Needed {
            keys: keys.into_iter().filter(held).cloned().collect(),
            peers: peers.into_iter().cloned().collect(),
            shards: self.steps.keys().copied().collect(),
        }
    }

    pub(super) fn load(&mut self, rows: Vec<Row>) {
        rows.into_iter().for_each(|row| self.rows.load(row));
    }

    pub(super) fn entry(&mut self, place: usize, entry: &Entry) {
        for (shard, keys) in self.by_shard(place) {
            if self.skips.has(&self.projection.id, shard, entry.position) {
                continue;
            }
            if let Some(step) = self
                .steps
                .get_mut(&shard)
                .filter(|step| step.awaits(entry.position))
            {
                match folded(&*self.projection.view, &self.rows, keys, entry) {
                    Ok(changes) => step.apply(entry, changes, &mut self.rows),
                    Err((key, error)) => step.halt(entry.position, format_args!("the row {key:?}: {error}")),
                }
            }
        }
    }

    /// The shards that an item counts for, each with its keys that are touched.
    fn by_shard(&self, place: usize) -> BTreeMap<u32, BTreeSet<String>> {
        let mut by_shard: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
        let mut touch = |key: &String| {
            by_shard.entry(shard_of(key)).or_default().insert(key.clone());
        };
        match &self.touched[place] {
            Touched::Nothing => {}
            Touched::Keys(keys) => keys.iter().for_each(touch),
            Touched::Peer(peer) => {
                let about = |key: &&String| self.view().peer(key).as_ref() == Some(peer);
                self.rows.existing().filter(about).for_each(&mut touch);
                for shard in self.steps.keys() {
                    by_shard.entry(*shard).or_default();
                }
            }
        }
        by_shard
    }

    /// No shard that has still to see the entry at this position can.
    pub(super) fn halt(&mut self, position: u64, problem: impl Display) {
        for (shard, step) in &mut self.steps {
            if step.awaits(position) && !self.skips.has(&self.projection.id, *shard, position) {
                step.halt(position, &problem);
            }
        }
    }

    pub(super) fn applied(&self) -> (String, u64) {
        let applied = self.steps.values().map(Step::applied).sum();
        (self.projection.name.clone(), applied)
    }

    pub(super) fn finish(self, last: u64) -> Vec<Advance> {
        let Self {
            projection,
            steps,
            mut rows,
            ..
        } = self;
        let advance = |step: Step| step.finish(last, &*projection.view, &mut rows);
        steps.into_values().filter_map(advance).collect()
    }
}

/// What is touched of rows that a store can have. There are no others: a stranger who makes a key that is too long, or that
/// no database takes, has said nothing.
fn storable(view: &dyn View, touched: Touched) -> Touched {
    let fits =
        |key: &String| store::is_key(key) && view.peer(key).is_none_or(|peer| store::is_key(peer.as_str()));
    match touched {
        Touched::Keys(mut keys) => {
            keys.retain(fits);
            if keys.is_empty() {
                Touched::Nothing
            } else {
                Touched::Keys(keys)
            }
        }
        touched => touched,
    }
}

/// What becomes of an entry's rows within one shard: all of them or, where one fold fails, none.
fn folded(
    view: &dyn View,
    rows: &Rows,
    keys: BTreeSet<String>,
    entry: &Entry,
) -> Result<Changes, (String, FoldError)> {
    let mut changes = Vec::new();
    for key in keys {
        let before = match rows.state(&key) {
            Ok(before) => before,
            Err(error) => return Err((key, error)),
        };
        match view.fold(&key, before, entry) {
            Ok(after) if after.as_ref() == before => {}
            Ok(after) => changes.push((key, after)),
            Err(error) => return Err((key, error)),
        }
    }
    Ok(changes)
}
