//! Records what the workers' attempts brought, many lanes in one transaction.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use fedsx_kernel::origin::Origin;
use fedsx_runtime::shutdown::Shutdown;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    ledger::{Ledger, Report, Verdict, Verdicts},
    parking::Parking,
    wake::Wake,
};

/// Reports of one transaction.
const BATCH: usize = 512;
/// Reports that wait at most; the workers wait with them.
const WAITING: usize = 1024;
/// Peers that wait to be parked at most.
const TO_PARK: usize = 1024;
/// How often a batch is tried. Given up, its claims expire and its deliveries are sent again.
const TRIES: u32 = 8;

type Letter = (Report, oneshot::Sender<Verdict>);

/// The way to the recorder. Cheap to clone; it ends when the last one is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    letters: mpsc::Sender<Letter>,
}

/// A report's answer, once its transaction has ended.
#[derive(Debug)]
pub(crate) struct Receipt(oneshot::Receiver<Verdict>);

impl Receipt {
    /// What became of the report. Where that is unknown, the claim is taken for lost.
    pub(crate) async fn verdict(self) -> Verdict {
        self.0.await.unwrap_or(Verdict {
            mine: false,
            due: false,
        })
    }
}

impl Recorder {
    pub(crate) fn start(
        ledger: Arc<dyn Ledger>,
        parking: Parking,
        wake: Arc<Wake>,
        shutdown: &Shutdown,
    ) -> Self {
        let (letters, received) = mpsc::channel(WAITING);
        let (to_park, failing) = mpsc::channel(TO_PARK);
        shutdown.spawn(run(ledger, to_park, wake, received, shutdown.hard()));
        shutdown.spawn(park(parking, failing, shutdown.token()));
        Self { letters }
    }

    /// Hands a report over. Its outcomes are recorded in the order of handing over.
    pub(crate) async fn report(&self, report: Report) -> Receipt {
        let (answer, receipt) = oneshot::channel();
        // A recorder that has ended drops the letter, which the receipt tells.
        let _ = self.letters.send((report, answer)).await;
        Receipt(receipt)
    }
}

async fn run(
    ledger: Arc<dyn Ledger>,
    to_park: mpsc::Sender<Origin>,
    wake: Arc<Wake>,
    mut received: mpsc::Receiver<Letter>,
    hard: CancellationToken,
) {
    let mut letters = Vec::new();
    while received.recv_many(&mut letters, BATCH).await > 0 {
        let (reports, answers): (Vec<_>, Vec<_>) = letters.drain(..).unzip();
        let recorded = hard.run_until_cancelled(record(&*ledger, &reports)).await;
        let Some(verdicts) = recorded.flatten() else {
            continue;
        };
        for (answer, verdict) in answers.into_iter().zip(&verdicts.reports) {
            let _ = answer.send(*verdict);
        }
        if !verdicts.answered.is_empty() {
            wake.sweep.notify_one();
            wake.fan_out.notify_one();
        }
        for origin in verdicts.park {
            // Those that there is no room for are looked for, too.
            let _ = to_park.try_send(origin);
        }
    }
}

/// Parks peers while others' outcomes are recorded: each waits for the cursor's lock. Those that shutdown leaves over are
/// found again, as after a crash.
async fn park(parking: Parking, mut failing: mpsc::Receiver<Origin>, stop: CancellationToken) {
    let mut together = Vec::new();
    while failing.recv_many(&mut together, TO_PARK).await > 0 {
        // An origin is told of with every outcome until it is parked.
        for origin in together.drain(..).collect::<BTreeSet<_>>() {
            if stop.is_cancelled() {
                return;
            }
            parking.park(&origin).await;
        }
    }
}

async fn record(ledger: &dyn Ledger, reports: &[Report]) -> Option<Verdicts> {
    let mut pause = Duration::from_millis(50);
    for _ in 0..TRIES {
        match ledger.record(reports).await {
            Ok(verdicts) => return Some(verdicts),
            Err(error) => {
                tracing::warn!(%error, reports = reports.len(), "outcomes are not recorded yet");
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
    }
    tracing::error!(
        reports = reports.len(),
        "outcomes were not recorded; their deliveries will be sent again"
    );
    None
}

#[cfg(test)]
mod tests {
    use fedsx_kernel::delivery::outcome::Outcome;
    use fedsx_runtime::clock::ManualClock;
    use jiff::SignedDuration;

    use super::*;
    use crate::ledger::{
        Attempt, Claims as _, Turns as _,
        conformance::{delivery, lanes, token},
        sqlite,
    };

    /// Long for a record, short for a lock that nobody gives back.
    const PATIENCE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn recording_does_not_wait_for_parking() {
        let clock = Arc::new(ManualClock::new("2026-11-21T00:00:00Z".parse().unwrap()));
        let ledger = Arc::new(sqlite::memory(clock.clone()).await.unwrap());
        let other = Arc::new(sqlite::memory(clock.clone()).await.unwrap());
        let held = other.turn().await.unwrap();
        let shutdown = Shutdown::default();
        let recorder = Recorder::start(
            ledger.clone(),
            Parking { ledger: other },
            Arc::default(),
            &shutdown,
        );
        let mut turn = ledger.turn().await.unwrap();
        let due = lanes(&turn.insert(&[delivery("peer", 1)]).await.unwrap());
        turn.commit().await.unwrap();
        // The second failure parks, and the third is recorded all the same.
        for number in 0..3 {
            let claim = ledger.claim(&due, &token(number)).await.unwrap().remove(0);
            let attempt = Attempt {
                position: 1,
                outcome: Outcome::OriginFailed,
                at: claim.at,
                actor: None,
                status: 503,
                cause: String::new(),
                jitter: 0.0,
            };
            let report = Report {
                lane: claim.lane.id,
                token: claim.token,
                attempts: vec![attempt],
                release: true,
                pause: SignedDuration::ZERO,
            };
            let receipt = recorder.report(report).await;
            let verdict = tokio::time::timeout(PATIENCE, receipt.verdict()).await;
            assert!(verdict.expect("recording waits").mine);
            clock.advance(SignedDuration::from_secs(130));
        }
        drop((held, recorder));
        assert!(shutdown.finish(PATIENCE).await);
    }
}
