//! Subscriptions: first what is there, then what comes.
//!
//! Each has a task that reads batches and hands them on: from the store, and once it is up to date from the
//! [`tail`](crate::tail) of what this process appends, where that reaches back far enough. What is handed on and not yet
//! taken is bounded, so a slow consumer costs the same as a fast one. A task that has sent everything waits for the head to
//! move: the committer tells when it has, and [`head::look`](crate::head::look), which looks at the store for all
//! subscriptions, when another process has.

use std::sync::Arc;

use fedsx_proto::v1::{Entry, SubscribeResponse};
use fedsx_runtime::{code::Refusal, shutdown::Shutdown};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::{
    Tuning,
    head::News,
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
    news: News,
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
        news,
        stop: shutdown.token(),
        sender,
        cursor: after,
        up_to_date: false,
    };
    shutdown.spawn(feed.run());
    Ok(ReceiverStream::new(receiver))
}

struct Feed {
    store: Arc<dyn Store>,
    tuning: Tuning,
    news: News,
    stop: CancellationToken,
    sender: mpsc::Sender<Result<SubscribeResponse, Status>>,
    cursor: u64,
    /// Whether the consumer was told that it has everything there was.
    up_to_date: bool,
}

impl Feed {
    /// Until the consumer has gone, the store fails or the service stops.
    async fn run(mut self) {
        loop {
            // Seen before the read: what is appended during it wakes the next one.
            let known = *self.news.head.borrow_and_update();
            let entries = match self.read().await {
                Ok(entries) => entries,
                Err(error) => {
                    self.send(Err(error.refuse().into())).await;
                    return;
                }
            };
            let (some, is_last) = (!entries.is_empty(), self.is_last(&entries));
            if let Some(last) = entries.last() {
                self.cursor = last.position;
                let head = known.max(self.cursor);
                if !self.send(Ok(SubscribeResponse { entries, head })).await {
                    return;
                }
            }
            if is_last && !self.up_to_date {
                self.up_to_date = true;
                let nothing = SubscribeResponse {
                    entries: Vec::new(),
                    head: self.cursor,
                };
                if !self.send(Ok(nothing)).await {
                    return;
                }
            }
            // What was read from memory may not reach as far as is known.
            let more = !is_last || (some && self.cursor < known);
            if !more && !self.wait().await {
                return;
            }
        }
    }

    /// The next entries: from memory, unless the consumer has not caught up yet. What this process has appended may not be
    /// all there is, so only the store tells that a consumer has.
    async fn read(&self) -> store::Result<Vec<Entry>> {
        let (limit, max_bytes) = (self.tuning.subscribe_entries, self.tuning.subscribe_bytes);
        if self.up_to_date {
            let entries = self.news.tail.after(self.cursor, limit, max_bytes);
            if !entries.is_empty() {
                return Ok(entries);
            }
        }
        let query = PageQuery {
            stream: None,
            public_only: false,
            descending: false,
            from: self.cursor,
            limit,
            max_bytes,
        };
        self.store.page(&query).await
    }

    /// Whether there was no more when these were read: neither bound of a page has cut them.
    fn is_last(&self, entries: &[Entry]) -> bool {
        let bytes: usize = entries.iter().map(|entry| entry.body.len()).sum();
        let fits = |number: usize, bound: u64| u64::try_from(number).is_ok_and(|number| number < bound);
        fits(entries.len(), self.tuning.subscribe_entries.into()) && fits(bytes, self.tuning.subscribe_bytes)
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
            Ok(()) = self.news.head.changed() => true,
            () = self.sender.closed() => false,
            () = self.stop.cancelled() => false,
        }
    }
}
