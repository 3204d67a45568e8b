//! Subscriptions: first what is there, then what comes.
//!
//! Each has a task that reads batches from the store and hands them on. What is handed on and not yet taken is bounded,
//! so a slow consumer costs the same as a fast one. A task that has sent everything waits for the head to move: the
//! committer tells when it has, and [`head::look`](crate::head::look), which polls the store for all subscriptions, when
//! another process has.

use std::sync::Arc;

use fedsx_proto::v1::SubscribeResponse;
use fedsx_runtime::{code::Refusal, shutdown::Shutdown};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::{
    Tuning,
    refusal::malformed,
    store::{self, PageQuery, Store},
};

/// Batches that are read ahead of the consumer.
const AHEAD: usize = 1;

/// The entries after a position.
///
/// # Errors
/// [`Code::Malformed`](fedsx_runtime::code::Code::Malformed) where the log does not reach so far: the consumer has read
/// another log, or this one before it was set back. [`Code::Unavailable`](fedsx_runtime::code::Code::Unavailable).
pub(crate) async fn subscribe(
    store: Arc<dyn Store>,
    tuning: Tuning,
    head: watch::Receiver<u64>,
    shutdown: &Shutdown,
    after: u64,
) -> Result<ReceiverStream<Result<SubscribeResponse, Status>>, Refusal> {
    let end = store.head().await.map_err(|error| error.refuse())?.position;
    if after > end {
        return Err(malformed(format!("the log ends at {end}, before {after}")));
    }
    let (sender, receiver) = mpsc::channel(AHEAD);
    let feed = Feed {
        store,
        tuning,
        head,
        stop: shutdown.token(),
        sender,
        cursor: after,
    };
    shutdown.spawn(feed.run());
    Ok(ReceiverStream::new(receiver))
}

struct Feed {
    store: Arc<dyn Store>,
    tuning: Tuning,
    head: watch::Receiver<u64>,
    stop: CancellationToken,
    sender: mpsc::Sender<Result<SubscribeResponse, Status>>,
    cursor: u64,
}

impl Feed {
    /// Until the consumer has gone, the store fails or the service stops.
    async fn run(mut self) {
        let mut told = false;
        loop {
            // Seen before the read: what is appended during it wakes the next one.
            self.head.mark_unchanged();
            let batch = match self.read().await {
                Ok(batch) => batch,
                Err(error) => {
                    self.send(Err(error.refuse().into())).await;
                    return;
                }
            };
            let (head, some) = (batch.head, !batch.entries.is_empty());
            self.cursor = batch.entries.last().map_or(self.cursor, |entry| entry.position);
            if some && !self.send(Ok(batch)).await {
                return;
            }
            if some && self.cursor < head {
                continue;
            }
            let caught_up = SubscribeResponse {
                entries: Vec::new(),
                head,
            };
            if !std::mem::replace(&mut told, true) && !self.send(Ok(caught_up)).await {
                return;
            }
            if !self.wait().await {
                return;
            }
        }
    }

    async fn read(&self) -> store::Result<SubscribeResponse> {
        let head = self.store.head().await?.position;
        let query = PageQuery {
            stream: None,
            public_only: false,
            descending: false,
            from: self.cursor,
            limit: self.tuning.subscribe_entries,
            max_bytes: self.tuning.subscribe_bytes,
        };
        let entries = self.store.page(&query).await?;
        let head = entries.last().map_or(head, |last| head.max(last.position));
        Ok(SubscribeResponse { entries, head })
    }

    /// False where the consumer has gone, or the service stops.
    async fn send(&self, batch: Result<SubscribeResponse, Status>) -> bool {
        tokio::select! {
            sent = self.sender.send(batch) => sent.is_ok(),
            () = self.stop.cancelled() => false,
        }
    }

    /// Waits until there may be news. False where the consumer has gone, or the service stops.
    async fn wait(&mut self) -> bool {
        tokio::select! {
            Ok(()) = self.head.changed() => true,
            () = self.sender.closed() => false,
            () = self.stop.cancelled() => false,
        }
    }
}
