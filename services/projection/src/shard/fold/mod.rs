//! Folding a batch of entries into the shards that are held: values in, values out.
//!
//! An entry counts for a shard where it touches a key of the shard, or a peer (then it counts for every shard of the
//! view). So count and digest follow from the log alone, and not from how it was cut into batches.

use std::sync::Arc;

use fedsx_kernel::origin::Origin;
use fedsx_runtime::telemetry;

use super::lease::Lease;
use crate::{
    entry::{Entry, Item},
    skips::Skips,
    store::{Advance, Row},
    views::Projection,
};

mod rows;
mod step;
#[cfg(test)]
mod tests;
mod view;

use view::ViewFold;

/// A batch that is being folded.
#[derive(Debug)]
pub(crate) struct Fold {
    views: Vec<ViewFold>,
}

/// The rows of a view that a batch needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Needed {
    pub(crate) keys: Vec<String>,
    /// All rows about these…
    pub(crate) peers: Vec<Origin>,
    /// … in these shards.
    pub(crate) shards: Vec<u32>,
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
    pub(crate) fn new(
        projections: &[Arc<Projection>],
        leases: &[Lease],
        skips: &Skips,
        items: &[Item],
    ) -> Self {
        let views = projections
            .iter()
            .filter_map(|projection| ViewFold::new(projection, leases, skips, items));
        Self {
            views: views.collect(),
        }
    }

    /// The rows to load, by view.
    pub(crate) fn needed(&self) -> Vec<(String, Needed)> {
        self.views
            .iter()
            .map(|view| (view.id().to_owned(), view.needed()))
            .collect()
    }

    /// Takes the rows in that a store answered for [`Fold::needed`].
    pub(crate) fn load(&mut self, view: &str, rows: Vec<Row>) {
        if let Some(fold) = self.views.iter_mut().find(|fold| fold.id() == view) {
            fold.load(rows);
        }
    }

    /// Folds the items in their order; between them, and up to `last`, the log holds nothing that concerns a view.
    pub(crate) fn run(mut self, items: &[Item], last: u64) -> Folded {
        for (place, item) in items.iter().enumerate() {
            match &item.content {
                Ok(entry) => self.entry(place, entry),
                Err(problem) => {
                    for view in &mut self.views {
                        view.halt(item.position, problem);
                    }
                }
            }
        }
        let applied = self.views.iter().map(ViewFold::applied).collect();
        let advances = self.views.into_iter().flat_map(|view| view.finish(last));
        Folded {
            advances: advances.collect(),
            applied,
        }
    }

    fn entry(&mut self, place: usize, entry: &Entry) {
        let touched = self.views.iter().filter(|view| view.is_touched(place)).count();
        if touched == 0 {
            return;
        }
        let span = tracing::info_span!(
            "fold",
            "fedsx.position" = entry.position,
            "fedsx.views" = touched,
            "activitypub.activity.type" = entry.activity.verb(),
        );
        telemetry::continue_trace(&span, &entry.traceparent);
        let _entered = span.entered();
        for view in &mut self.views {
            view.entry(place, entry);
        }
    }
}
