//! What the views tell about being ready: caught up once, and none of federation's own standing still. One that a domain has
//! defined for itself may stand still by what a stranger sent: that is told by metrics and `ListViews`, and stops nobody else.

use std::error::Error;

use fedsx_runtime::health::Readiness;

use crate::{
    roster::{Part, Roster},
    shard::{ShardId, lease::Lease},
    store::{Result, Store},
};

const PART: &str = "views";
/// What the views are kept in.
const STORE: &str = "store";

/// What a failure means for those who read the views.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Harm {
    /// Once they were caught up, they go on being served as they are.
    Late,
    /// They cannot be read either.
    Unread,
    /// What they show may be wrong.
    Wrong,
}

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

    /// Whether it is not known yet how far the log reaches.
    pub(crate) fn is_aimless(&self) -> bool {
        self.target.is_none()
    }

    /// The log reaches this far; the first time counts.
    pub(crate) fn aim(&mut self, head: u64) {
        self.target.get_or_insert(head);
    }

    /// Work has failed, and will be begun anew.
    pub(crate) fn failed(&mut self, error: &dyn Error, harm: Harm) {
        let reason = reason(error);
        tracing::warn!(error = reason, "the views could not be folded on; trying again");
        self.caught_up &= harm != Harm::Wrong;
        if harm == Harm::Unread {
            self.readiness.lacks(STORE, reason.clone());
        }
        // Also where the store is away: others in this process may know theirs to be well, and say so of the same part.
        if !self.caught_up || harm == Harm::Unread {
            self.readiness.lacks(PART, reason);
        }
    }

    /// Work goes on: the store has answered.
    pub(crate) async fn tell(&mut self, store: &dyn Store, roster: &Roster, leases: &[Lease]) -> Result<()> {
        self.readiness.has(STORE);
        if let Some((shard, why)) = halted(roster, leases) {
            let shard = roster.title(shard);
            self.readiness.lacks(PART, format!("{shard} stands still: {why}"));
            return Ok(());
        }
        if !self.caught_up && !self.reaches(store, roster, leases).await? {
            return Ok(());
        }
        self.readiness.has(PART);
        Ok(())
    }

    async fn reaches(&mut self, store: &dyn Store, roster: &Roster, leases: &[Lease]) -> Result<bool> {
        let mut needed = roster.group(Part::Live).shards;
        needed.retain(|shard| roster.is_native(&shard.view));
        if needed.is_empty() {
            self.readiness.lacks(PART, "no view is declared yet");
            return Ok(false);
        }
        let lowest = |position: Option<u64>| position.unwrap_or(u64::MAX);
        let here = leases.iter().filter(|lease| needed.contains(&lease.shard));
        let mut reached = lowest(here.map(|lease| lease.position).min());
        let target = self.target.unwrap_or(0);
        if reached >= target {
            let shards = store.shards().await?;
            let ours = shards.iter().filter(|shard| needed.contains(&shard.id));
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

fn halted<'l>(roster: &Roster, leases: &'l [Lease]) -> Option<(&'l ShardId, &'l str)> {
    leases
        .iter()
        .filter(|lease| roster.is_native(&lease.shard.view))
        .find_map(|lease| Some((&lease.shard, lease.halted.as_deref()?)))
}

/// The error with all that caused it: a driver's own words say what an operator has to look at.
fn reason(error: &dyn Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
