//! How far the log is known to reach, and whether its store answers.

use std::{future, sync::Arc, time::Duration};

use fedsx_proto::v1::Entry;
use fedsx_runtime::health::Readiness;
use tokio::{sync::watch, time};
use tokio_util::sync::CancellationToken;

use crate::{metrics::Metrics, registry::Current, store::Store, tail::Tail};

/// The part of a process's readiness that the log answers for.
const PART: &str = "store";

/// Where the head and the store's health are told. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sign {
    head: watch::Sender<u64>,
    tail: Tail,
    metrics: Metrics,
    readiness: Readiness,
}

impl Sign {
    pub(crate) fn new(position: u64, metrics: Metrics, readiness: Readiness) -> Self {
        let sign = Self {
            head: watch::Sender::new(0),
            tail: Tail::default(),
            metrics,
            readiness,
        };
        sign.reached(position);
        sign
    }

    /// What wakes those who wait for entries, and where they find the last of them.
    pub(crate) fn news(&self) -> News {
        News {
            head: self.head.subscribe(),
            tail: self.tail.clone(),
        }
    }

    /// This process has appended entries, the last at the head.
    pub(crate) fn appended(&self, entries: Vec<Entry>, head: u64) {
        self.tail.push(entries);
        self.reached(head);
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

/// What those who follow the log are told by. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct News {
    pub(crate) head: watch::Receiver<u64>,
    pub(crate) tail: Tail,
}

/// Looks at the store from time to time, and when another process tells that it has appended: the store may come back when
/// nobody writes, and a hint may be lost.
pub(crate) async fn look(
    store: Arc<dyn Store>,
    sign: Sign,
    registry: Current,
    every: Duration,
    stop: CancellationToken,
) {
    let mut hints = store.hints();
    loop {
        let waited = stop.run_until_cancelled(async {
            tokio::select! {
                () = time::sleep(every) => {}
                () = hint(hints.as_mut(), &sign) => {}
            }
        });
        if waited.await.is_none() {
            return;
        }
        match store.head().await {
            Ok(head) => {
                sign.reached(head.position);
                if let Err(error) = registry.follow(&*store, head.definition).await {
                    sign.failed(&error);
                }
            }
            Err(error) => sign.failed(&error),
        }
    }
}

/// Waits until another process tells that the log reaches further than is known here.
async fn hint(hints: Option<&mut watch::Receiver<u64>>, sign: &Sign) {
    if let Some(hints) = hints {
        while hints.changed().await.is_ok() {
            if *hints.borrow_and_update() > *sign.head.borrow() {
                return;
            }
        }
    }
    future::pending().await
}
