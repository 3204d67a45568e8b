//! Poison that operators have decided to pass over: what the stream `domain` says about it.

use std::{collections::HashSet, sync::Arc};

use fedsx_kernel::{activity::Activity, skip::Skip};

use crate::{
    shard::ShardId,
    source::{Source, SourceError},
};

/// The entries that shards go on without. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Skips(Arc<HashSet<(ShardId, u64)>>);

impl Skips {
    pub(crate) fn has(&self, view: &str, shard: u32, position: u64) -> bool {
        !self.0.is_empty() && self.0.contains(&(ShardId::new(view, shard), position))
    }
}

impl FromIterator<(ShardId, u64)> for Skips {
    fn from_iter<I: IntoIterator<Item = (ShardId, u64)>>(skipped: I) -> Self {
        Self(Arc::new(skipped.into_iter().collect()))
    }
}

/// What is known of the decisions.
#[derive(Debug, Default)]
pub(crate) struct Decisions {
    pub(crate) skips: Skips,
    /// The last entry of the stream that was read.
    cursor: u64,
}

impl Decisions {
    /// Reads what was decided since.
    ///
    /// # Errors
    /// [`SourceError`]
    pub(crate) async fn read(&mut self, source: &Source) -> Result<(), SourceError> {
        loop {
            let entries = source.decisions(self.cursor).await?;
            let Some(last) = entries.last() else { return Ok(()) };
            self.cursor = last.position;
            let activities = entries
                .iter()
                .filter_map(|entry| Activity::parse(&entry.body).ok());
            let skipped: Vec<_> = activities.filter_map(|activity| Skip::of(&activity)).collect();
            if !skipped.is_empty() {
                let known = self.skips.0.iter().cloned();
                self.skips = known.chain(skipped.iter().flat_map(entries_of)).collect();
            }
        }
    }
}

fn entries_of(skip: &Skip) -> impl Iterator<Item = (ShardId, u64)> {
    let shard = |shard: &u32| (ShardId::new(&skip.view, *shard), skip.position);
    skip.shards.iter().map(shard)
}
