//! What the views tell about being ready: caught up once, and none of their shards standing still.

use std::fmt::Display;

use fedsx_runtime::health::Readiness;

use crate::{
    shard::lease::Lease,
    store::{Group, Result, Store},
};

const PART: &str = "views";

/// How the views stand. A process is ready when the views as a whole are, whoever holds their shards.
#[derive(Debug)]
pub(crate) struct Standing {
    readiness: Readiness,
    /// The log's head when this process first saw it; none: not yet.
    target: Option<u64>,
    caught_up: bool,
}

impl Standing {
    pub(crate) fn new(readiness: Readiness) -> Self {
        readiness.lacks(PART, "the log has not been read yet");
        Self {
            readiness,
            target: None,
            caught_up: false,
        }
    }

    /// The log reaches this far; the first time counts.
    pub(crate) fn aim(&mut self, head: u64) {
        self.target.get_or_insert(head);
    }

    /// Work has failed, and will be begun anew. Views that were once caught up go on being served as they are, unless the
    /// error is `grave`: then what they show may be wrong.
    pub(crate) fn failed(&mut self, error: &dyn Display, grave: bool) {
        tracing::warn!(%error, "the views could not be folded on; trying again");
        self.caught_up &= !grave;
        if !self.caught_up {
            self.readiness.lacks(PART, error.to_string());
        }
    }

    pub(crate) async fn tell(&mut self, store: &dyn Store, group: &Group, leases: &[Lease]) -> Result<()> {
        if let Some((shard, why)) = halted(leases) {
            self.readiness.lacks(PART, format!("{shard} stands still: {why}"));
            return Ok(());
        }
        if !self.caught_up && !self.reaches(store, group, leases).await? {
            return Ok(());
        }
        self.readiness.has(PART);
        Ok(())
    }

    async fn reaches(&mut self, store: &dyn Store, group: &Group, leases: &[Lease]) -> Result<bool> {
        let lowest = |position: Option<u64>| position.unwrap_or(u64::MAX);
        let mut reached = lowest(leases.iter().map(|lease| lease.position).min());
        let target = self.target.unwrap_or(0);
        if reached >= target {
            let shards = store.shards().await?;
            let ours = shards.iter().filter(|shard| group.shards.contains(&shard.id));
            reached = lowest(ours.map(|shard| shard.position).min());
        }
        self.caught_up = self.target.is_some_and(|target| reached >= target);
        if self.caught_up {
            tracing::info!(position = reached, "the views have caught up with the log");
        } else {
            self.readiness.lacks(
                PART,
                format!("catching up with the log: at {reached} of {target}"),
            );
        }
        Ok(self.caught_up)
    }
}

fn halted(leases: &[Lease]) -> Option<(&crate::shard::ShardId, &str)> {
    leases
        .iter()
        .find_map(|lease| Some((&lease.shard, lease.halted.as_deref()?)))
}
