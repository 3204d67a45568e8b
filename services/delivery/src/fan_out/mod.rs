//! Fan-out: follows the log, one process at a time, and writes who is owed what.
//!
//! * [`entry`]: what an entry says, with what it refers to looked up before any transaction;
//! * [`fold`]: who follows whom after it;
//! * [`turn`]: the one transaction, under the cursor's lock.

pub(crate) mod entry;
mod fold;
pub(crate) mod turn;

use std::{collections::HashSet, sync::Arc, time::Duration};

use fedsx_kernel::{delivery::fan_out::due, origin::Origin};
use fedsx_proto::v1::{Entry, SubscribeResponse};
use fedsx_runtime::{code::Refusal, health::Readiness};
use futures::{FutureExt as _, StreamExt as _};
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

use crate::{
    bodies::Bodies,
    broker::{Broker, Due},
    ledger::{Lease, Ledger, StoreError},
    log::Log,
    metrics::Metrics,
    rebuild::{self, RebuildError},
    wake::Wake,
};
use entry::{NoteError, note};

/// The part of readiness that is fan-out's.
const PART: &str = "fan-out";
/// Entries that are noted together, and bytes of their bodies, unless one message of the log has more.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 4 << 20;
/// How long fan-out waits before it tries again what failed.
const AWAY: Duration = Duration::from_millis(500);

/// Fan-out.
#[derive(Debug)]
pub(crate) struct FanOut {
    pub(crate) origin: Origin,
    pub(crate) owner: String,
    pub(crate) term: SignedDuration,
    pub(crate) tick: Duration,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) log: Log,
    pub(crate) bodies: Bodies,
    pub(crate) wake: Arc<Wake>,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
    pub(crate) stop: CancellationToken,
}

/// Why fan-out does not go on.
#[derive(Debug, thiserror::Error)]
enum FanOutError {
    #[error("the log: {0}")]
    Log(#[from] Refusal),
    #[error(transparent)]
    Ledger(#[from] StoreError),
    #[error(transparent)]
    Note(#[from] NoteError),
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    #[error("the log ended the subscription")]
    Ended,
}

impl FanOut {
    /// Leads whenever it may, until shutdown.
    pub(crate) async fn run(self) {
        self.readiness.lacks(PART, "it has not begun");
        while !self.stop.is_cancelled() {
            match self.ledger.take_lease(&self.owner, self.term).await {
                Ok(Some(lease)) => self.lead(lease).await,
                // Another process follows the log for all.
                Ok(None) => {
                    self.readiness.has(PART);
                    self.metrics.lag.set(0);
                }
                Err(error) => self.fails(&error.into()),
            }
            tokio::select! {
                () = tokio::time::sleep(AWAY) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    /// Follows the log while the lease is held.
    async fn lead(&self, lease: Lease) {
        self.wake.lead(true);
        if let Err(error) = self.follow(&lease).await {
            self.fails(&error);
        }
        self.wake.lead(false);
        if let Err(error) = self.ledger.yield_lease(lease.epoch).await {
            tracing::debug!(%error, "the lease is left to expire");
        }
    }

    fn fails(&self, error: &FanOutError) {
        let reason = error.to_string();
        // It is tried twice a second, and said once.
        if self.readiness.lacking().get(PART) != Some(&reason) {
            tracing::warn!(%error, "fan-out waits");
            self.readiness.lacks(PART, reason);
        }
    }

    /// Ends without an error where the lease was lost, the database has lost turns, or shutdown began.
    async fn follow(&self, lease: &Lease) -> Result<(), FanOutError> {
        rebuild::decide(&*self.ledger, &self.log).await?;
        let mut way = Way {
            cursor: lease.position,
            seen: lease.position,
            head: lease.position,
        };
        let mut entries = self.log.subscribe(way.cursor).await?;
        self.readiness.has(PART);
        let mut renewal = tokio::time::interval(Duration::try_from(self.term / 3).unwrap_or(AWAY));
        let mut idle = tokio::time::interval(self.tick);
        idle.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let batch = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                _ = renewal.tick() => {
                    let renewed = self.ledger.renew_lease(lease.epoch, self.term).await?;
                    match renewed {
                        // A log that is idle asks for no turn that would notice.
                        Some(lease) if lease.position < way.cursor => {
                            tracing::warn!(
                                reached = way.cursor,
                                left = lease.position,
                                "the database has lost the last turns; they are taken again"
                            );
                            return Ok(());
                        }
                        Some(_) => continue,
                        None => return Ok(()),
                    }
                }
                // An origin that answered must not wait for the log's next entry.
                () = self.wake.fan_out.notified() => Batch::default(),
                _ = idle.tick() => Batch::default(),
                message = entries.next() => gather(message, &mut entries).await?,
            };
            if !self.turns(lease.epoch, &mut way, batch).await? {
                return Ok(());
            }
        }
    }

    /// Takes as many turns as a batch needs: none where it concerns nobody, which the next turn writes down, at the latest
    /// after a tick. False: the lease was lost.
    async fn turns(&self, epoch: u64, way: &mut Way, batch: Batch) -> Result<bool, FanOutError> {
        let noted = note(&self.log, &self.origin, &batch.entries).await?;
        way.head = way.head.max(batch.head);
        if let Some(last) = batch.entries.last() {
            way.seen = last.position;
            if noted.is_empty() {
                self.lags(way.head, way.seen);
                return Ok(true);
            }
        }
        let waiting = way.seen <= way.cursor && self.ledger.waits().await?;
        if !due(way.cursor, way.seen, waiting) {
            return Ok(true);
        }
        let posted: HashSet<_> = noted
            .iter()
            .filter(|entry| entry.webhook.is_some())
            .map(|entry| entry.position)
            .collect();
        let ours = batch
            .entries
            .iter()
            .filter(|entry| entry.stream.starts_with("outbox/") || posted.contains(&entry.position));
        for entry in ours {
            self.bodies.keep(entry).await;
        }
        loop {
            let around = turn::Around {
                domain: &self.origin,
                epoch,
                cursor: way.cursor,
                seen: way.seen,
            };
            let Some(done) = turn::take(&*self.ledger, around, &noted, turn::ROWS).await? else {
                return Ok(false);
            };
            way.cursor = done.position;
            self.lags(way.head, way.cursor);
            self.announce(&done).await;
            if way.cursor >= way.seen {
                return Ok(true);
            }
        }
    }

    fn lags(&self, head: u64, cursor: u64) {
        let behind = head.saturating_sub(cursor);
        self.metrics.lag.set(i64::try_from(behind).unwrap_or(i64::MAX));
    }

    /// Tells of the work that a turn made. What is not told is swept: at once, lest workers wait while lanes are due.
    async fn announce(&self, done: &turn::Done) {
        if !done.due.is_empty() {
            let untold = self.broker.publish(&done.due).await.unwrap_or_else(|error| {
                tracing::debug!(%error, lanes = done.due.len(), "due lanes are left to the sweeper");
                done.due.clone()
            });
            self.leave_to_sweeper(&untold).await;
        }
        if !done.unparked.is_empty() {
            for origin in &done.unparked {
                tracing::info!(%origin, "the peer is back");
            }
            self.wake.catch_up.notify_one();
            self.wake.sweep.notify_one();
        }
    }

    async fn leave_to_sweeper(&self, untold: &[Due]) {
        if untold.is_empty() {
            return;
        }
        let lanes: Vec<_> = untold.iter().map(|due| due.lane).collect();
        if let Err(error) = self.ledger.unqueue(&lanes).await {
            tracing::debug!(%error, lanes = lanes.len(), "the sweeper believes them to be queued for a while");
        }
        self.wake.sweep.notify_one();
    }
}

/// How far the log was followed.
#[derive(Debug)]
struct Way {
    /// Where the ledger is.
    cursor: u64,
    /// The last entry read. Those between concern nobody.
    seen: u64,
    /// How far the log reached.
    head: u64,
}

/// Entries that are noted together.
#[derive(Debug, Default)]
struct Batch {
    entries: Vec<Entry>,
    head: u64,
}

/// A message of the log, and whatever has come after it already.
async fn gather(
    message: Option<Result<SubscribeResponse, tonic::Status>>,
    stream: &mut Streaming<SubscribeResponse>,
) -> Result<Batch, FanOutError> {
    let (mut batch, mut bytes) = (Batch::default(), 0);
    let mut message = message.ok_or(FanOutError::Ended)?.map_err(Refusal::from)?;
    loop {
        batch.head = batch.head.max(message.head);
        bytes += message
            .entries
            .iter()
            .map(|entry| entry.body.len())
            .sum::<usize>();
        batch.entries.append(&mut message.entries);
        if batch.entries.len() >= BATCH || bytes >= BATCH_BYTES {
            return Ok(batch);
        }
        message = match stream.next().now_or_never() {
            Some(next) => next.ok_or(FanOutError::Ended)?.map_err(Refusal::from)?,
            None => return Ok(batch),
        };
    }
}
