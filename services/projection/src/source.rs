//! The log as this service reads it.

use std::{sync::Arc, time::Duration};

use fedsx_kernel::{activity::Activity, origin::Origin};
use fedsx_proto::v1::{
    self, DescribeRequest, GetRequest, SubscribeRequest, SubscribeResponse, get_request::By,
};
use fedsx_runtime::code::{Code, Refusal};
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use tonic::Streaming;

use crate::{
    LogClient,
    entry::{Entry, Item, Parsed, Unreadable},
};

/// A call that has not been answered within this time has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);
/// Activities that are looked up at once.
const LOOKUPS: usize = 16;
/// Entries of one batch; one message of the log may have more.
const BATCH: usize = 1000;
/// Bytes of bodies in one batch; one message of the log may have more.
const BATCH_BYTES: usize = 8 << 20;

/// The log cannot be followed just now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    #[error("the log: {0}")]
    Refused(Refusal),
    #[error("the log has not answered within {} s", DEADLINE.as_secs())]
    Silent,
    #[error("the log ended the subscription")]
    Ended,
    #[error("the log belongs to {theirs}, these views to {ours}")]
    Origin { ours: Origin, theirs: String },
    #[error(
        "the views have seen {seen} entries, the log has {head}: it is another log, or one that was set back"
    )]
    Behind { seen: u64, head: u64 },
    #[error("after the entry at {after} the log sent the one at {sent}")]
    Gap { after: u64, sent: u64 },
    #[error("an entry could not be parsed: {0}")]
    Parse(#[from] tokio::task::JoinError),
}

impl From<tonic::Status> for SourceError {
    fn from(status: tonic::Status) -> Self {
        Self::Refused(status.into())
    }
}

/// What becomes of references to other activities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum References {
    LookUp,
    /// They are not asked for: entries that need one say less, Follows say all they have to say.
    Leave,
}

/// A client of the log. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) client: LogClient,
    pub(crate) origin: Origin,
}

impl Source {
    /// The log's head, which is not before what was `seen` of it.
    pub(crate) async fn head(&self, seen: u64) -> Result<u64, SourceError> {
        let mut client = self.client.clone();
        let described = within(client.describe(DescribeRequest {})).await?.into_inner();
        if described.origin != self.origin.as_str() {
            return Err(SourceError::Origin {
                ours: self.origin.clone(),
                theirs: described.origin,
            });
        }
        if described.head < seen {
            return Err(SourceError::Behind {
                seen,
                head: described.head,
            });
        }
        Ok(described.head)
    }

    /// The entries after a position; `head` is how far the log reached a moment ago.
    pub(crate) async fn subscribe(&self, after: u64, head: u64) -> Result<Feed, SourceError> {
        let mut client = self.client.clone();
        let stream = within(client.subscribe(SubscribeRequest { after }))
            .await?
            .into_inner();
        Ok(Feed {
            stream,
            cursor: after,
            head,
        })
    }

    /// Parses entries and looks up what they refer to.
    pub(crate) async fn items(
        &self,
        entries: Vec<v1::Entry>,
        references: References,
    ) -> Result<Arc<[Item]>, SourceError> {
        let parsed = tokio::task::spawn_blocking(|| entries.into_iter().map(parse).collect::<Vec<_>>());
        stream::iter(parsed.await?)
            .map(|(position, parsed)| async move {
                let content = match parsed {
                    Ok(parsed) => Ok(self.resolve(parsed, references).await?),
                    Err(unreadable) => Err(unreadable),
                };
                Ok(Item { position, content })
            })
            .buffered(LOOKUPS)
            .try_collect::<Vec<_>>()
            .await
            .map(Into::into)
    }

    async fn resolve(&self, parsed: Parsed, references: References) -> Result<Entry, SourceError> {
        let wanted = parsed.reference().filter(|_| references == References::LookUp);
        let referred = match wanted {
            Some(id) => self.activity(id, parsed.position()).await?,
            None => None,
        };
        Ok(parsed.resolve(referred.as_ref()))
    }

    /// The activity with this id, where the log has it before a position. What it has after it must not count: the same
    /// entry, folded again later, would then say something else.
    async fn activity(&self, id: &str, before: u64) -> Result<Option<Activity>, SourceError> {
        if id.is_empty() {
            return Ok(None);
        }
        let by = Some(By::ActivityId(id.to_owned()));
        let mut client = self.client.clone();
        match within(client.get(GetRequest { by })).await {
            Ok(found) => {
                let found = found.into_inner();
                // An unreadable one halts the shards at its own position.
                Ok((found.position < before)
                    .then(|| Activity::parse(&found.body).ok())
                    .flatten())
            }
            Err(SourceError::Refused(refusal)) if refusal.code == Code::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn parse(entry: v1::Entry) -> (u64, Result<Parsed, Unreadable>) {
    (entry.position, Parsed::parse(entry))
}

pub(crate) async fn within<T>(
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> Result<tonic::Response<T>, SourceError> {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(SourceError::Silent),
    }
}

/// A subscription.
#[derive(Debug)]
pub(crate) struct Feed {
    stream: Streaming<SubscribeResponse>,
    /// The last position that was read.
    pub(crate) cursor: u64,
    /// The log's head, as far as the log has told.
    pub(crate) head: u64,
}

impl Feed {
    /// What comes next, with all that is there already up to a batch. Empty: the log told only that there is nothing
    /// more. Dropped before it answers, it loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Vec<v1::Entry>, SourceError> {
        let first = self.stream.message().await?.ok_or(SourceError::Ended)?;
        let (mut entries, mut bytes) = (Vec::new(), 0);
        let mut next = Some(first);
        while let Some(message) = next.take() {
            self.head = self.head.max(message.head);
            for entry in message.entries {
                bytes += entry.body.len();
                self.accept(entry, &mut entries)?;
            }
            if entries.len() < BATCH && bytes < BATCH_BYTES {
                // An end or an error comes again with the next call.
                next = self
                    .stream
                    .message()
                    .now_or_never()
                    .and_then(Result::ok)
                    .flatten();
            }
        }
        Ok(entries)
    }

    fn accept(&mut self, entry: v1::Entry, entries: &mut Vec<v1::Entry>) -> Result<(), SourceError> {
        if entry.position <= self.cursor {
            return Ok(());
        }
        if entry.position != self.cursor + 1 {
            return Err(SourceError::Gap {
                after: self.cursor,
                sent: entry.position,
            });
        }
        self.cursor = entry.position;
        self.head = self.head.max(entry.position);
        entries.push(entry);
        Ok(())
    }
}
