//! How far the log is known to reach, and whether its store answers.

use std::{sync::Arc, time::Duration};

use fedsx_runtime::health::Readiness;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{metrics::Metrics, store::Store};

/// The part of a process's readiness that the log answers for.
const PART: &str = "store";

/// Where the head and the store's health are told. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sign {
    head: watch::Sender<u64>,
    metrics: Metrics,
    readiness: Readiness,
}

impl Sign {
    pub(crate) fn new(position: u64, metrics: Metrics, readiness: Readiness) -> Self {
        let sign = Self {
            head: watch::Sender::new(0),
            metrics,
            readiness,
        };
        sign.reached(position);
        sign
    }

    /// Wakes whoever waits for entries.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    /// The store answers, and the log reaches this far.
    pub(crate) fn reached(&self, position: u64) {
        self.readiness.has(PART);
        self.metrics.head(position);
        self.head.send_if_modified(|head| {
            let moved = position > *head;
            *head = position.max(*head);
            moved
        });
    }

    /// The store does not answer.
    pub(crate) fn failed(&self, reason: &dyn std::fmt::Display) {
        self.readiness.lacks(PART, reason.to_string());
    }
}

/// Looks at the store from time to time: it may come back when nobody writes, and others may write.
pub(crate) async fn look(store: Arc<dyn Store>, sign: Sign, every: Duration, stop: CancellationToken) {
    while stop
        .run_until_cancelled(tokio::time::sleep(every))
        .await
        .is_some()
    {
        match store.head().await {
            Ok(head) => sign.reached(head.position),
            Err(error) => sign.failed(&error),
        }
    }
}
