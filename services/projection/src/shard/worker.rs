//! The worker of a process: holds its share of the shards, reads the log once for all of them, applies it.

use std::{collections::HashSet, sync::Arc, time::Duration};

use fedsx_proto::v1;
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
    readiness::Standing,
    source::{Feed, References, Source, SourceError},
    store::{Group, Store, StoreError},
    views::View,
};

/// A worker does its best to give its leases back within this time when it ends.
const FAREWELL: Duration = Duration::from_secs(3);

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
    /// Whether the views are not those of the log.
    fn is_grave(&self) -> bool {
        matches!(
            self,
            Self::Source(SourceError::Origin { .. } | SourceError::Behind { .. })
        )
    }
}

/// Who works, and on what.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) views: Arc<[Arc<dyn View>]>,
    pub(crate) source: Source,
    pub(crate) group: Group,
    /// A name that no other worker has, now or later.
    pub(crate) owner: String,
    /// How long a lease lasts without being renewed.
    pub(crate) term: SignedDuration,
    pub(crate) progress: Progress,
    pub(crate) measures: Measures,
    pub(crate) standing: Standing,
}

/// What a worker holds between two failures.
struct Held {
    leases: Vec<Lease>,
    /// Shards that stand still, under the epoch in which they halted: they are tried again by whoever takes them next,
    /// a worker of a repaired version perhaps, but not by this one for ever.
    halted: HashSet<(ShardId, u64)>,
    feed: Option<Feed>,
}

impl Worker {
    /// Works until it is told to stop.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        let working = async {
            loop {
                let Err(error) = self.work(&mut backoff).await;
                self.standing.failed(&error, error.is_grave());
                tokio::time::sleep(backoff.wait()).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = working => {}
        }
        resign(&*self.store, &self.group, &self.owner).await;
    }

    async fn work(&mut self, backoff: &mut Backoff) -> Result<std::convert::Infallible, WorkerError> {
        let mut held = Held {
            leases: Vec::new(),
            halted: HashSet::new(),
            feed: None,
        };
        let mut turns = turns(self.term);
        loop {
            tokio::select! {
                biased;
                _ = turns.tick() => self.hold(&mut held).await?,
                entries = next(&mut held.feed) => {
                    self.apply(&mut held, entries?).await?;
                    backoff.reset();
                }
            }
            self.tell(&held).await?;
        }
    }

    /// Renews and takes leases, and reads on from the last of them.
    async fn hold(&mut self, held: &mut Held) -> Result<(), WorkerError> {
        held.leases = self.store.hold(&self.group, &self.owner, self.term).await?;
        let Some(lowest) = held.active().map(|lease| lease.position).min() else {
            held.feed = None;
            return Ok(());
        };
        if held.feed.as_ref().is_none_or(|feed| lowest < feed.cursor) {
            let seen = held.leases.iter().map(|lease| lease.position).max();
            let head = self.source.head(seen.unwrap_or(0)).await?;
            self.standing.aim(head);
            held.feed = Some(self.source.subscribe(lowest, head).await?);
        }
        Ok(())
    }

    async fn apply(&mut self, held: &mut Held, entries: Vec<v1::Entry>) -> Result<(), WorkerError> {
        if entries.is_empty() {
            return Ok(());
        }
        let items = self.source.items(entries, References::LookUp).await?;
        let active: Vec<Lease> = held.active().cloned().collect();
        let applied = apply::apply(&*self.store, &self.views, &active, items).await?;
        self.progress.moved();
        for (view, entries) in &applied.counts {
            self.measures.applied(view, *entries);
        }
        held.moved(&applied);
        Ok(())
    }

    async fn tell(&mut self, held: &Held) -> Result<(), WorkerError> {
        let head = held.feed.as_ref().map_or(0, |feed| feed.head);
        for view in self.views.iter() {
            let leases = held.leases.iter().filter(|lease| lease.shard.view == view.name());
            self.measures.stand(view.name(), head, leases);
        }
        self.standing
            .tell(&*self.store, &self.group, &held.leases)
            .await?;
        Ok(())
    }
}

impl Held {
    /// The leases whose shards move.
    fn active(&self) -> impl Iterator<Item = &Lease> {
        self.leases
            .iter()
            .filter(|lease| !self.halted.contains(&(lease.shard.clone(), lease.epoch)))
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

/// When it is a worker's turn to renew: at once, and three times in a term.
pub(crate) fn turns(term: SignedDuration) -> Interval {
    let period = Duration::try_from(term).unwrap_or_default() / 3;
    let mut turns = tokio::time::interval_at(Instant::now(), period.max(Duration::from_millis(1)));
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    turns
}

/// What comes next in a subscription; without one, nothing ever.
pub(crate) async fn next(feed: &mut Option<Feed>) -> Result<Vec<v1::Entry>, SourceError> {
    match feed {
        Some(feed) => feed.next().await,
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
