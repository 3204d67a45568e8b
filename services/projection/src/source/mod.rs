//! The log as this service reads it.

use std::time::Duration;

use fedsx_kernel::{origin::Origin, stream::Stream};
use fedsx_proto::v1::{
    self, DescribeRequest, ListDefinitionsRequest, ListDefinitionsResponse, ReadRequest, SubscribeRequest,
    SubscribeResponse,
};
use fedsx_runtime::code::{Code, Refusal};
use tonic::Streaming;

use crate::LogClient;

mod interest;
mod parse;
mod reader;
mod relay;

pub(crate) use interest::Interest;
pub(crate) use reader::{Batch, Reader};
pub(crate) use relay::{Relay, Relayed, relay};

/// So many bytes are read between two awaits; more, on a thread of their own.
const IN_PLACE: usize = 64 << 10;
/// Decisions that are read at once.
const PAGE: u32 = 1000;
/// A call that has not been answered within this time has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

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

impl SourceError {
    /// Whether it is enough to try again.
    fn passes(&self) -> bool {
        match self {
            Self::Silent | Self::Ended => true,
            Self::Refused(refusal) => refusal.code == Code::Unavailable,
            _ => false,
        }
    }
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
    /// For how long it may be away until who reads it gives up.
    pub(crate) patience: Duration,
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

    /// A page of what was decided in the domain after a position.
    pub(crate) async fn decisions(&self, after: u64) -> Result<Vec<v1::Entry>, SourceError> {
        let mut client = self.client.clone();
        let request = ReadRequest {
            stream: Stream::Domain.to_string(),
            from: after,
            limit: PAGE,
            ..ReadRequest::default()
        };
        Ok(within(client.read(request)).await?.into_inner().entries)
    }

    /// What is defined; without the definitions, where the last of them is still at the `known` position.
    pub(crate) async fn definitions(
        &self,
        known: Option<u64>,
    ) -> Result<ListDefinitionsResponse, SourceError> {
        let mut client = self.client.clone();
        let request = ListDefinitionsRequest {
            known_position: known,
        };
        Ok(within(client.list_definitions(request)).await?.into_inner())
    }

    /// The entries after a position.
    async fn subscribe(&self, after: u64) -> Result<Streaming<SubscribeResponse>, SourceError> {
        let mut client = self.client.clone();
        let stream = within(client.subscribe(SubscribeRequest { after })).await?;
        Ok(stream.into_inner())
    }
}

pub(crate) async fn within<T>(
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> Result<tonic::Response<T>, SourceError> {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(SourceError::Silent),
    }
}

/// Bytes of bodies.
fn size(entries: &[v1::Entry]) -> usize {
    entries.iter().map(|entry| entry.body.len()).sum()
}
