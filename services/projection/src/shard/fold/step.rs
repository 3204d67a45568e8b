//! The step that one shard makes in a batch.

use std::{collections::HashSet, fmt::Display};

use super::rows::{Changes, Rows};
use crate::{
    entry::Entry,
    shard::{Digest, lease::Lease},
    store::Advance,
    views::View,
};

#[derive(Debug)]
pub(super) struct Step {
    before: Lease,
    count: u64,
    digest: Digest,
    /// The entry before which it stands still, and why.
    halted: Option<(u64, String)>,
    /// Rows that it writes.
    dirty: HashSet<String>,
}

impl Step {
    pub(super) fn new(lease: Lease) -> Self {
        Self {
            count: lease.count,
            digest: lease.digest,
            before: lease,
            halted: None,
            dirty: HashSet::new(),
        }
    }

    /// Where the shard stood before.
    pub(super) fn from(&self) -> u64 {
        self.before.position
    }

    /// Entries that it has applied.
    pub(super) fn applied(&self) -> u64 {
        self.count - self.before.count
    }

    /// Whether it has still to see the entry at this position.
    pub(super) fn awaits(&self, position: u64) -> bool {
        self.halted.is_none() && self.before.position < position
    }

    pub(super) fn halt(&mut self, position: u64, problem: impl Display) {
        self.halted = Some((
            position,
            format!("the entry at {position} cannot be folded: {problem}"),
        ));
    }

    pub(super) fn apply(&mut self, entry: &Entry, changes: Changes, rows: &mut Rows) {
        self.count += 1;
        self.digest = self.digest.with(entry.position, entry.activity.cid());
        for (key, value) in changes {
            rows.write(key.clone(), value, entry.position);
            self.dirty.insert(key);
        }
    }

    /// None where it has not moved.
    pub(super) fn finish(self, last: u64, view: &dyn View, rows: &mut Rows) -> Option<Advance> {
        let (position, halted) = match self.halted {
            Some((position, why)) => (position - 1, Some(why)),
            None => (last.max(self.before.position), None),
        };
        let before = self.before;
        if position == before.position && halted.is_none() {
            return None;
        }
        let change = |key| rows.take(key, view);
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
