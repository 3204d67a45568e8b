//! Following the log in a task of its own: while one batch is folded and written, the next is gathered and parsed.

use std::{sync::Arc, time::Duration};

use fedsx_proto::v1::{self, SubscribeResponse};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;
use tonic::Streaming;

use super::{Interest, References, Source, SourceError};
use crate::{backoff::Backoff, entry::Item};

#[cfg(test)]
mod tests;

/// Batches follow each other no faster, unless they are full: under load, what comes meanwhile shares a batch and its
/// commit. After silence, nothing waits.
const PACE: Duration = Duration::from_millis(20);
/// Entries of one batch; one message of the log may have more.
const BATCH: usize = 4000;
/// Bytes of bodies in one batch; one message of the log may have more.
const BATCH_BYTES: usize = 8 << 20;

/// A piece of the log without gaps.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    /// It begins behind this position…
    pub(crate) after: u64,
    /// … and ends at this one.
    pub(crate) last: u64,
    /// What the reader is interested in of it, ascending.
    pub(crate) items: Arc<[Item]>,
    /// How far the log reached.
    pub(crate) head: u64,
}

#[cfg(test)]
impl Batch {
    /// A log that ends with the last of these.
    pub(crate) fn of(items: &[Item]) -> Self {
        let last = items.last().map_or(0, |item| item.position);
        Self {
            after: items.first().map_or(0, |item| item.position - 1),
            last,
            items: items.into(),
            head: last,
        }
    }
}

/// A subscription that takes itself up again. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Reader {
    batches: mpsc::Receiver<Result<Batch, SourceError>>,
    /// The last position that was handed on.
    pub(crate) cursor: u64,
    _task: AbortOnDropHandle<()>,
}

impl Reader {
    /// Reads on after a position, to which the log reaches.
    pub(crate) fn start(source: Source, interest: Interest, references: References, after: u64) -> Self {
        let (sender, batches) = mpsc::channel(1);
        let task = Task {
            source,
            interest,
            references,
            cursor: after,
            sent: Instant::now(),
            sender,
        };
        Self {
            batches,
            cursor: after,
            _task: AbortOnDropHandle::new(tokio::spawn(task.run())),
        }
    }

    /// The next batch, which has entries. Dropped before it answers, it loses nothing.
    ///
    /// # Errors
    /// What taking up the subscription again does not help against; the reader has ended.
    pub(crate) async fn next(&mut self) -> Result<Batch, SourceError> {
        let batch = self.batches.recv().await.ok_or(SourceError::Ended)??;
        self.cursor = batch.last;
        Ok(batch)
    }
}

struct Task {
    source: Source,
    interest: Interest,
    references: References,
    cursor: u64,
    /// When a batch was handed on last.
    sent: Instant,
    sender: mpsc::Sender<Result<Batch, SourceError>>,
}

impl Task {
    /// Until the reader is dropped, or the log is not one that can be read on.
    async fn run(mut self) {
        let (mut backoff, mut away) = (Backoff::default(), false);
        loop {
            let before = self.cursor;
            let Err(error) = self.follow().await else { return };
            if self.cursor > before {
                (backoff, away) = (Backoff::default(), false);
            }
            match &error {
                // It is stopping, with us or to start again.
                SourceError::Ended => tracing::debug!(%error, "subscribing again"),
                error if error.passes() && away => tracing::debug!(%error, "the log is still away"),
                error if error.passes() => tracing::warn!(%error, "the log is away; subscribing again"),
                _ => {
                    let _ = self.sender.send(Err(error)).await;
                    return;
                }
            }
            away = error.passes() && !matches!(error, SourceError::Ended);
            tokio::time::sleep(backoff.wait()).await;
        }
    }

    async fn follow(&mut self) -> Result<(), SourceError> {
        let head = self.source.head(self.cursor).await?;
        let mut stream = self.source.subscribe(self.cursor).await?;
        let mut head = head;
        loop {
            let gathered = self.gather(&mut stream, head).await?;
            head = gathered.head;
            let batch = Batch {
                after: self.cursor,
                last: gathered.last,
                head,
                items: self
                    .source
                    .items(gathered.entries, &self.interest, self.references)
                    .await?,
            };
            let last = batch.last;
            if self.sender.send(Ok(batch)).await.is_err() {
                return Ok(());
            }
            (self.cursor, self.sent) = (last, Instant::now());
        }
    }

    /// Waits for an entry and takes what comes with it: until the pace is kept or, where the log has more already, the batch
    /// is full.
    async fn gather(
        &self,
        stream: &mut Streaming<SubscribeResponse>,
        head: u64,
    ) -> Result<Gathered, SourceError> {
        let mut gathered = Gathered {
            entries: Vec::new(),
            bytes: 0,
            last: self.cursor,
            head,
        };
        while gathered.entries.is_empty() {
            gathered.take(stream.message().await?.ok_or(SourceError::Ended)?)?;
        }
        let (paced, behind) = (self.sent + PACE, Instant::now() + PACE);
        while !gathered.is_full() {
            let until = if gathered.last < gathered.head {
                behind.max(paced)
            } else {
                paced
            };
            match timeout_at(until, stream.message()).await {
                Ok(Ok(Some(message))) => gathered.take(message)?,
                // An end or an error comes again with the next call.
                _ => break,
            }
        }
        Ok(gathered)
    }
}

/// A batch in the making.
struct Gathered {
    entries: Vec<v1::Entry>,
    bytes: usize,
    last: u64,
    head: u64,
}

impl Gathered {
    fn is_full(&self) -> bool {
        self.entries.len() >= BATCH || self.bytes >= BATCH_BYTES
    }

    fn take(&mut self, message: SubscribeResponse) -> Result<(), SourceError> {
        self.head = self.head.max(message.head);
        for entry in message.entries {
            if entry.position <= self.last {
                continue;
            }
            if entry.position != self.last + 1 {
                return Err(SourceError::Gap {
                    after: self.last,
                    sent: entry.position,
                });
            }
            self.last = entry.position;
            self.bytes += entry.body.len();
            self.entries.push(entry);
        }
        self.head = self.head.max(self.last);
        Ok(())
    }
}
