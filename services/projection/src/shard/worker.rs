//! The worker of a process: holds its share of the shards, reads the log once for all of them, applies it.

use std::{collections::HashSet, sync::Arc, time::Duration};

use jiff::SignedDuration;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::{
    ShardId,
    apply::{self, Applied, ApplyError},
    lease::Lease,
};
use crate::{
    backoff::Backoff,
    measure::Measures,
    progress::Progress,
    readiness::{Harm, Standing},
    skips::{Decisions, Skips},
    source::{Batch, Reader, References, Relay, Source, SourceError},
    store::{Group, Store, StoreError},
    views::{self, View},
};

/// A worker does its best to give its leases back within this time when it ends.
const FAREWELL: Duration = Duration::from_secs(3);
/// A worker takes its turn at least so often: what others gave back, or let expire, stands still until then.
const TURN: Duration = Duration::from_secs(1);

/// Why a worker begins anew: it forgets what it held and reads it again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkerError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

impl WorkerError {
    fn harm(&self) -> Harm {
        match self {
            Self::Source(SourceError::Origin { .. } | SourceError::Behind { .. }) => Harm::Wrong,
            Self::Store(_) | Self::Apply(ApplyError::Store(_)) => Harm::Unread,
            Self::Source(_) | Self::Apply(_) => Harm::Late,
        }
    }
}

/// Who works, and on what.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) views: Arc<[Arc<dyn View>]>,
    pub(crate) source: Source,
    /// Where everything goes that is read.
    pub(crate) relay: Relay,
    pub(crate) group: Group,
    /// A name that no other worker has, now or later.
    pub(crate) owner: String,
    /// How long a shard may stand when its worker dies.
    pub(crate) term: SignedDuration,
    pub(crate) progress: Progress,
    pub(crate) measures: Measures,
    pub(crate) standing: Standing,
    /// What operators have decided about poison.
    pub(crate) decisions: Decisions,
}

/// What a worker holds between two failures.
#[derive(Default)]
struct Held {
    leases: Vec<Lease>,
    /// Shards that stand still, under the epoch in which they halted: they are tried again by whoever takes them next,
    /// a worker of a repaired version perhaps, but not by this one for ever.
    halted: HashSet<(ShardId, u64)>,
    reader: Option<Reader>,
    /// How far the log reached when it was last heard of.
    head: u64,
}

impl Worker {
    /// Works until it is told to stop.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        let working = async {
            loop {
                let Err(error) = self.work(&mut backoff).await;
                self.standing.failed(&error, error.harm());
                if matches!(error, WorkerError::Source(_)) {
                    // Others may reach it.
                    resign(&*self.store, &self.group, &self.owner).await;
                    self.measure(&Held::default());
                }
                tokio::time::sleep(backoff.wait()).await;
            }
        };
        tokio::select! {
            // First, so that nothing is said of services that stop together.
            biased;
            () = stop.cancelled() => {}
            () = working => {}
        }
        resign(&*self.store, &self.group, &self.owner).await;
    }

    async fn work(&mut self, backoff: &mut Backoff) -> Result<std::convert::Infallible, WorkerError> {
        // Shards are not taken by who cannot read what is to be folded into them.
        self.source.head(0).await?;
        self.decisions.read(&self.source).await?;
        let mut held = Held::default();
        let mut turns = turns(self.term);
        loop {
            tokio::select! {
                biased;
                _ = turns.tick() => self.hold(&mut held).await?,
                batch = next(&mut held.reader) => {
                    self.apply(&mut held, &batch?).await?;
                    backoff.reset();
                }
            }
            self.tell(&held).await?;
        }
    }

    /// Renews and takes leases, and reads on from the last of them.
    async fn hold(&mut self, held: &mut Held) -> Result<(), WorkerError> {
        held.leases = self
            .store
            .hold(&self.group, &self.owner, lasts(self.term))
            .await?;
        self.progress.moved(&held.leases);
        if held.leases.iter().any(|lease| lease.halted.is_some()) {
            self.decisions.read(&self.source).await?;
            held.go_on(&self.decisions.skips);
        }
        let lowest = held.active().map(|lease| lease.position).min();
        let unread = |lowest: u64| held.reader.as_ref().is_none_or(|reader| lowest < reader.cursor);
        if lowest.is_some_and(unread) || self.standing.is_aimless() {
            let seen = held.leases.iter().map(|lease| lease.position).max();
            held.head = self.source.head(seen.unwrap_or(0)).await?;
            self.standing.aim(held.head);
        }
        held.reader = match lowest {
            None => None,
            Some(lowest) if unread(lowest) => Some(self.read(lowest)),
            Some(_) => held.reader.take(),
        };
        Ok(())
    }

    fn read(&self, after: u64) -> Reader {
        let interest = views::interest(&self.views);
        Reader::start(self.source.clone(), interest, References::LookUp, after)
    }

    async fn apply(&mut self, held: &mut Held, batch: &Batch) -> Result<(), WorkerError> {
        held.head = batch.head;
        self.relay.pass(batch);
        let active: Vec<Lease> = held.active().cloned().collect();
        let applied = apply::apply(&*self.store, &self.views, &active, &self.decisions.skips, batch).await?;
        self.measures.batch(batch);
        for (view, entries) in &applied.counts {
            self.measures.applied(view, *entries);
        }
        held.moved(&applied);
        self.progress.moved(&held.leases);
        Ok(())
    }

    async fn tell(&mut self, held: &Held) -> Result<(), WorkerError> {
        self.measure(held);
        self.standing
            .tell(&*self.store, &self.group, &held.leases)
            .await?;
        Ok(())
    }

    fn measure(&self, held: &Held) {
        for view in self.views.iter() {
            let leases = held.leases.iter().filter(|lease| lease.shard.view == view.name());
            self.measures.stand(view.name(), held.head, leases);
        }
    }
}

impl Held {
    /// The leases whose shards move.
    fn active(&self) -> impl Iterator<Item = &Lease> {
        self.leases
            .iter()
            .filter(|lease| !self.halted.contains(&(lease.shard.clone(), lease.epoch)))
    }

    /// Shards that stood before an entry which they are to pass over move again.
    fn go_on(&mut self, skips: &Skips) {
        for lease in &self.leases {
            let ShardId { view, shard } = &lease.shard;
            if skips.has(view, *shard, lease.position + 1) {
                self.halted.remove(&(lease.shard.clone(), lease.epoch));
            }
        }
    }

    fn moved(&mut self, applied: &Applied) {
        for advance in &applied.advances {
            if let Some(why) = &advance.halted {
                tracing::error!(shard = %advance.shard, position = advance.position, why, "a shard stands still");
                self.halted.insert((advance.shard.clone(), advance.epoch));
            }
        }
        for shard in &applied.lost {
            tracing::info!(%shard, "a shard has been taken over by another worker");
        }
        self.leases = apply::after(std::mem::take(&mut self.leases), applied);
    }
}

/// When it is a worker's turn: at once, then every second, or three times in a term where that is shorter.
pub(crate) fn turns(term: SignedDuration) -> Interval {
    let mut turns = tokio::time::interval_at(Instant::now(), period(term));
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    turns
}

/// How long a lease lasts, so that at the end of the term another worker has had its turn and taken it.
pub(crate) fn lasts(term: SignedDuration) -> SignedDuration {
    term.saturating_sub(SignedDuration::try_from(period(term)).unwrap_or_default())
}

fn period(term: SignedDuration) -> Duration {
    let third = Duration::try_from(term).unwrap_or_default() / 3;
    third.clamp(Duration::from_millis(1), TURN)
}

/// What comes next of the log; without a reader, nothing ever.
async fn next(reader: &mut Option<Reader>) -> Result<Batch, SourceError> {
    match reader {
        Some(reader) => reader.next().await,
        None => std::future::pending().await,
    }
}

/// Gives everything back, so that others need not wait for the leases to expire.
pub(crate) async fn resign(store: &dyn Store, group: &Group, owner: &str) {
    match tokio::time::timeout(FAREWELL, store.resign(group, owner)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(group = group.name, %error, "leases could not be given back"),
        Err(_) => tracing::warn!(group = group.name, "leases could not be given back in time"),
    }
}

#[cfg(test)]
mod tests;
