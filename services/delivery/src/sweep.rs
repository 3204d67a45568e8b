//! Finds what came due by time, and what was never announced or whose announcement was lost.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use crate::{
    broker::{Broker, BrokerError},
    ledger::{Ledger, StoreError},
    metrics::Metrics,
    wake::Wake,
};

/// Lanes that one look finds at most.
const LOOK: u32 = 1_000;
/// Shortest time between two looks, however often the sweeper is told of something.
const BREATH: Duration = Duration::from_millis(5);
/// How often the gauges are read.
const GAUGES: Duration = Duration::from_secs(5);
/// How often is pruned, and how many rows at once.
const PRUNES: Duration = Duration::from_secs(60);
const PRUNED: u32 = 5_000;

/// The sweeper.
#[derive(Debug)]
pub(crate) struct Sweeper {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) wake: Arc<Wake>,
    pub(crate) metrics: Metrics,
    pub(crate) tick: Duration,
    pub(crate) retention: SignedDuration,
    pub(crate) stop: CancellationToken,
}

#[derive(Debug, thiserror::Error)]
enum SweepError {
    #[error(transparent)]
    Ledger(#[from] StoreError),
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl Sweeper {
    /// Sweeps every tick, and whenever told to, until shutdown.
    pub(crate) async fn run(self) {
        let (mut measured, mut pruned) = (None, None);
        while !self.stop.is_cancelled() {
            if let Err(error) = self.sweep().await {
                tracing::warn!(%error, "due lanes are not published");
            }
            if is_time(&mut measured, GAUGES)
                && let Err(error) = self.measure().await
            {
                tracing::debug!(%error, "the gauges are stale");
            }
            if is_time(&mut pruned, PRUNES)
                && let Err(error) = self.prune().await
            {
                tracing::warn!(%error, "the ledger is not pruned");
            }
            tokio::time::sleep(BREATH).await;
            tokio::select! {
                () = tokio::time::sleep(self.tick) => {}
                () = self.wake.sweep.notified() => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    async fn sweep(&self) -> Result<(), SweepError> {
        loop {
            let due = self.ledger.sweep(LOOK).await?;
            if !due.is_empty() {
                self.broker.publish(&due).await?;
            }
            if due.len() < usize::try_from(LOOK).unwrap_or(usize::MAX) || self.stop.is_cancelled() {
                return Ok(());
            }
        }
    }

    async fn prune(&self) -> Result<(), SweepError> {
        while !self.stop.is_cancelled()
            && self.ledger.prune(self.retention, PRUNED).await? >= u64::from(PRUNED)
        {
            // Between two of them whoever waits for the ledger gets it.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn measure(&self) -> Result<(), SweepError> {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.metrics.pending.set(number(self.ledger.pending().await?));
        let position = self.ledger.cursor().await?.position;
        self.metrics.position.set(number(position));
        self.metrics.lanes_due.set(number(self.ledger.lanes_due().await?));
        let unwell = self.ledger.unwell().await?;
        self.metrics.unwell(
            unwell
                .into_iter()
                .map(|(origin, peer)| (peer.standing.as_str(), origin)),
        );
        self.metrics.queue_depth.set(number(self.broker.depth().await?));
        Ok(())
    }
}

/// Whether something that is done every so often is due; if so, it counts as done.
fn is_time(last: &mut Option<Instant>, every: Duration) -> bool {
    let due = last.is_none_or(|last| last.elapsed() >= every);
    if due {
        *last = Some(Instant::now());
    }
    due
}
