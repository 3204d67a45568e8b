//! The worker of a process: holds its share of the shards, reads the log once for all of them, applies it.

use std::{collections::HashSet, sync::Arc, time::Duration};

use fedsx_kernel::definition::Kind;

use jiff::SignedDuration;
use tokio::{
    sync::watch,
    time::{Instant, Interval, MissedTickBehavior},
};
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
    roster::{Board, Part, Roster},
    skips::{Decisions, Skips},
    snapshot::Beginning,
    source::{Batch, Reader, References, Relay, Source, SourceError},
    store::{Group, Store, StoreError},
    views::{self, Projection},
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
    pub(crate) part: Part,
    pub(crate) board: Board,
    pub(crate) source: Source,
    /// Where everything goes that is read, where anybody hears it.
    pub(crate) relay: Option<Relay>,
    /// A name that no other worker has, now or later.
    pub(crate) owner: String,
    /// How long a shard may stand when its worker dies.
    pub(crate) term: SignedDuration,
    pub(crate) progress: Progress,
    pub(crate) measures: Measures,
    /// None: nothing is served yet of what is built, and nobody waits for it.
    pub(crate) standing: Option<Standing>,
    /// What operators have decided about poison.
    pub(crate) decisions: Decisions,
    /// What shards begin with.
    pub(crate) beginning: Beginning,
}

/// What a worker holds between two failures.
struct Held {
    /// As it was last heard of.
    roster: watch::Receiver<Arc<Roster>>,
    projections: Arc<[Arc<Projection>]>,
    group: Group,
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
        let mut held = Held::new(&self.board, self.part);
        let working = async {
            loop {
                let Err(error) = self.work(&mut held, &mut backoff).await;
                match &mut self.standing {
                    Some(standing) => standing.failed(&error, error.harm()),
                    None => tracing::warn!(%error, "a view could not be built on; trying again"),
                }
                held.leave(&self.measures, self.part);
                if matches!(error, WorkerError::Source(_)) {
                    // Others may reach it.
                    resign(&*self.store, &held.group, &self.owner).await;
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
        held.leave(&self.measures, self.part);
        resign(&*self.store, &held.group, &self.owner).await;
    }

    async fn work(
        &mut self,
        held: &mut Held,
        backoff: &mut Backoff,
    ) -> Result<std::convert::Infallible, WorkerError> {
        // Shards are not taken by who cannot read what is to be folded into them.
        self.source.head(0).await?;
        self.decisions.read(&self.source).await?;
        let mut turns = turns(self.term);
        loop {
            tokio::select! {
                biased;
                _ = turns.tick() => self.hold(held).await?,
                Ok(()) = held.roster.changed() => {
                    if held.regroup(&self.measures, self.part) {
                        self.hold(held).await?;
                    }
                }
                batch = next(&mut held.reader) => {
                    self.apply(held, &batch?).await?;
                    backoff.reset();
                }
            }
            self.tell(held).await?;
        }
    }

    /// Renews and takes leases, and reads on from the last of them.
    async fn hold(&mut self, held: &mut Held) -> Result<(), WorkerError> {
        held.leases = self
            .store
            .hold(&held.group, &self.owner, lasts(self.term))
            .await?;
        self.begin(held).await?;
        self.progress.moved(&held.leases);
        if held.leases.iter().any(|lease| lease.halted.is_some()) {
            self.decisions.read(&self.source).await?;
            held.go_on(&self.decisions.skips);
        }
        let lowest = held.active().map(|lease| lease.position).min();
        let unread = |lowest: u64| held.reader.as_ref().is_none_or(|reader| lowest < reader.cursor);
        let aimless = self.standing.as_ref().is_some_and(Standing::is_aimless);
        if lowest.is_some_and(unread) || aimless {
            let seen = held.leases.iter().map(|lease| lease.position).max();
            held.head = self.source.head(seen.unwrap_or(0)).await?;
            if let Some(standing) = &mut self.standing {
                standing.aim(held.head);
            }
        }
        held.reader = match lowest {
            None => None,
            Some(lowest) if unread(lowest) => Some(self.read(&held.projections, lowest)),
            Some(_) => held.reader.take(),
        };
        Ok(())
    }

    /// Lets shards that stand before the first entry begin with a snapshot, where there is one.
    async fn begin(&mut self, held: &mut Held) -> Result<(), WorkerError> {
        let due = self.beginning.due(&held.leases);
        if due.is_empty() {
            return Ok(());
        }
        let hold = || self.store.hold(&held.group, &self.owner, lasts(self.term));
        let renewing = async {
            let mut turns = turns(self.term);
            loop {
                turns.tick().await;
                // SQLite has one writer at a time: while it restores, nobody takes a lease either.
                if let Err(error) = hold().await {
                    tracing::debug!(%error, "leases are not renewed");
                }
            }
        };
        let beginning = self
            .beginning
            .begin(&*self.store, &self.source, &held.projections, &due);
        let begun = tokio::select! {
            begun = beginning => begun,
            () = renewing => Ok(()),
        };
        if let Err(error) = begun {
            self.beginning.forget(&due);
            return Err(error.into());
        }
        held.leases = hold().await?;
        Ok(())
    }

    fn read(&self, projections: &Arc<[Arc<Projection>]>, after: u64) -> Reader {
        // Who hears what is read here passes over what is not in it.
        let heard = self.relay.is_some();
        let interest = views::interest(projections, heard);
        Reader::start(self.source.clone(), interest, References::LookUp, after)
    }

    async fn apply(&mut self, held: &mut Held, batch: &Batch) -> Result<(), WorkerError> {
        held.head = batch.head;
        if let Some(relay) = &self.relay {
            relay.pass(batch);
        }
        let active: Vec<Lease> = held.active().cloned().collect();
        let skips = &self.decisions.skips;
        let applied = apply::apply(&*self.store, &held.projections, &active, skips, batch).await?;
        self.measures.batch(batch);
        for (view, entries) in &applied.counts {
            self.measures.applied(&self.part.label(view), *entries);
        }
        held.moved(&applied);
        self.progress.moved(&held.leases);
        // What is built may have caught up, and what is defined wants to be built.
        if self.part != Part::Live && batch.last == batch.head || defines(batch) {
            self.board.poke();
        }
        Ok(())
    }

    async fn tell(&mut self, held: &Held) -> Result<(), WorkerError> {
        held.measure(&self.measures, self.part);
        if let Some(standing) = &mut self.standing {
            let roster = self.board.now();
            standing.tell(&*self.store, &roster, &held.leases).await?;
        }
        Ok(())
    }
}

fn defines(batch: &Batch) -> bool {
    let entries = batch.items.iter().filter_map(|item| item.content.as_ref().ok());
    let mut verbs = entries.map(|entry| entry.activity.verb());
    verbs.any(|verb| verb == Kind::Projection.verb())
}

impl Held {
    fn new(board: &Board, part: Part) -> Self {
        let mut roster = board.subscribe();
        let known = roster.borrow_and_update().clone();
        Self {
            projections: known.part(part),
            group: known.group(part),
            roster,
            leases: Vec::new(),
            halted: HashSet::new(),
            reader: None,
            head: 0,
        }
    }

    /// Goes by the roster as it is now. False: nothing has changed for this worker.
    fn regroup(&mut self, measures: &Measures, part: Part) -> bool {
        let known = self.roster.borrow_and_update().clone();
        let group = known.group(part);
        if group == self.group {
            return false;
        }
        self.leave(measures, part);
        (self.projections, self.group) = (known.part(part), group);
        true
    }

    /// Forgets what it holds.
    fn leave(&mut self, measures: &Measures, part: Part) {
        (self.leases, self.reader) = (Vec::new(), None);
        self.halted.clear();
        self.measure(measures, part);
    }

    fn measure(&self, measures: &Measures, part: Part) {
        for projection in self.projections.iter() {
            let leases = self
                .leases
                .iter()
                .filter(|lease| lease.shard.view == projection.id);
            measures.stand(&part.label(&projection.name), self.head, leases);
        }
    }

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
                let shard = self.roster.borrow().title(&advance.shard);
                tracing::error!(shard, position = advance.position, why, "a shard stands still");
                self.halted.insert((advance.shard.clone(), advance.epoch));
            }
        }
        for shard in &applied.lost {
            let shard = self.roster.borrow().title(shard);
            tracing::info!(shard, "a shard has been taken over by another worker");
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
