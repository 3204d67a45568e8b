//! Following the log in a task of its own: while one batch is folded and written, the next is gathered and parsed.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use fedsx_kernel::json;
use fedsx_proto::v1::{self, SubscribeResponse};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;
use tonic::Streaming;

use super::{Interest, References, Source, SourceError, size};
use crate::{backoff::Backoff, entry::Item};

#[cfg(test)]
mod tests;

/// Batches follow each other no faster, unless they are full: under load, what comes meanwhile shares a batch and its
/// commit. After silence, nothing waits.
const PACE: Duration = Duration::from_millis(20);
/// A subscription that lasted so long was well.
const STEADY: Duration = Duration::from_secs(20);
/// Entries of one batch.
const BATCH: usize = 4000;
/// Memory that a batch's bodies take once they are parsed, which strangers may make a hundred times their size; the last
/// one may go beyond. Bytes.
const BATCH_MEMORY: usize = 32 << 20;

/// A piece of the log without gaps.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    /// It begins behind this position…
    pub(crate) after: u64,
    /// … and ends at this one.
    pub(crate) last: u64,
    /// What the reader is interested in of it, ascending.
    pub(crate) items: Arc<[Item]>,
    /// Bytes of their bodies.
    pub(crate) size: usize,
    /// How far the log reached.
    pub(crate) head: u64,
}

impl Batch {
    /// Nothing, where this one ends.
    pub(super) fn end(&self) -> Self {
        Self {
            after: self.last,
            items: Arc::default(),
            size: 0,
            ..*self
        }
    }
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
            size: 0,
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
    /// What taking up the subscription again does not help against, or has not within the source's patience; the reader has ended.
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
    /// Until the reader is dropped, the log is not one that can be read on, or it stays away.
    async fn run(mut self) {
        let (mut backoff, mut away, mut since) = (Backoff::default(), false, None);
        loop {
            let (before, begun) = (self.cursor, Instant::now());
            let Err(error) = self.follow().await else { return };
            if self.cursor > before || begun.elapsed() > STEADY {
                (backoff, away, since) = (Backoff::default(), false, None);
            }
            let lasts = since.get_or_insert_with(Instant::now).elapsed();
            if !error.passes() || lasts >= self.source.patience {
                let _ = self.sender.send(Err(error)).await;
                return;
            }
            match &error {
                // It is stopping, with us or to start again.
                SourceError::Ended => tracing::debug!(%error, "subscribing again"),
                error if away => tracing::debug!(%error, "the log is still away"),
                error => tracing::warn!(%error, "the log is away; subscribing again"),
            }
            away = !matches!(error, SourceError::Ended);
            tokio::time::sleep(backoff.wait()).await;
        }
    }

    async fn follow(&mut self) -> Result<(), SourceError> {
        let mut head = self.source.head(self.cursor).await?;
        let mut stream = self.source.subscribe(self.cursor).await?;
        let mut came = VecDeque::new();
        loop {
            let gathered = self.gather(&mut stream, &mut came, head).await?;
            head = gathered.head;
            let wanted = self.interest.wanted(gathered.entries).await?;
            let batch = Batch {
                after: self.cursor,
                last: gathered.last,
                size: size(&wanted),
                items: self.source.items(wanted, self.references).await?,
                head,
            };
            if self.sender.send(Ok(batch)).await.is_err() {
                return Ok(());
            }
            (self.cursor, self.sent) = (gathered.last, Instant::now());
        }
    }

    /// Waits for an entry and takes what comes with it: until the pace is kept or, where the log has more already, the batch
    /// is full. What came and finds no room stays for the next batch.
    async fn gather(
        &self,
        stream: &mut Streaming<SubscribeResponse>,
        came: &mut VecDeque<v1::Entry>,
        head: u64,
    ) -> Result<Gathered, SourceError> {
        let mut gathered = Gathered {
            entries: Vec::new(),
            memory: 0,
            last: self.cursor,
            head,
        };
        gathered.take(came)?;
        while gathered.entries.is_empty() {
            gathered.receive(stream.message().await?.ok_or(SourceError::Ended)?, came)?;
        }
        let (paced, behind) = (self.sent + PACE, Instant::now() + PACE);
        while !gathered.is_full() {
            let until = if gathered.last < gathered.head {
                behind.max(paced)
            } else {
                paced
            };
            match timeout_at(until, stream.message()).await {
                Ok(Ok(Some(message))) => gathered.receive(message, came)?,
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
    memory: usize,
    last: u64,
    head: u64,
}

impl Gathered {
    fn is_full(&self) -> bool {
        self.entries.len() >= BATCH || self.memory >= BATCH_MEMORY
    }

    fn receive(
        &mut self,
        message: SubscribeResponse,
        came: &mut VecDeque<v1::Entry>,
    ) -> Result<(), SourceError> {
        self.head = self.head.max(message.head);
        came.extend(message.entries);
        self.take(came)
    }

    /// Takes what there is room for.
    fn take(&mut self, came: &mut VecDeque<v1::Entry>) -> Result<(), SourceError> {
        while !self.is_full()
            && let Some(entry) = came.pop_front()
        {
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
            self.memory += json::footprint(&entry.body);
            self.entries.push(entry);
        }
        self.head = self.head.max(self.last);
        Ok(())
    }
}
