//! Records what the workers' attempts brought, many lanes in one transaction.

use std::{sync::Arc, time::Duration};

use fedsx_runtime::shutdown::Shutdown;
use tokio::sync::{mpsc, oneshot};

use crate::{
    ledger::{Ledger, Report, Verdict, Verdicts},
    parking::Parking,
    wake::Wake,
};

/// Reports of one transaction.
const BATCH: usize = 512;
/// Reports that wait at most; the workers wait with them.
const WAITING: usize = 1024;
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
        shutdown.spawn(run(ledger, parking, wake, received));
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
    parking: Parking,
    wake: Arc<Wake>,
    mut received: mpsc::Receiver<Letter>,
) {
    let mut letters = Vec::new();
    while received.recv_many(&mut letters, BATCH).await > 0 {
        let (reports, answers): (Vec<_>, Vec<_>) = letters.drain(..).unzip();
        let Some(verdicts) = record(&*ledger, &reports).await else {
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
