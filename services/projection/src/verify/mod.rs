//! Whether a view is what its log folds to: the view as it is kept and the view folded anew from the log's first entry, up to
//! where each shard stands, must be snapshots of one name.
//!
//! It is folded by the very code of the worker, into a store of its own in a temporary folder. The worker goes on meanwhile:
//! what is compared is the view at the moment when it was read.

use std::sync::Arc;

use fedsx_kernel::{
    cid::Cid,
    origin::Origin,
    snapshot::{self, ShardAt},
};
use fedsx_runtime::code::{Code, Refusal};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    roster::Board,
    shard::apply::ApplyError,
    skips::Decisions,
    snapshot::{SnapshotError, take},
    source::{Source, SourceError},
    store::{Store, StoreError},
};

mod compare;
mod replay;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use stream::Progresses;

/// Verifies one view at a time. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Verifier {
    store: Arc<dyn Store>,
    source: Source,
    board: Board,
    /// Who has this verifies: it takes a disk's room and a processor's time.
    turn: Arc<Semaphore>,
    stop: CancellationToken,
}

/// How far the log is folded, and how far it has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Folded {
    pub(crate) position: u64,
    pub(crate) target: u64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The name of the view as it is kept.
    pub(crate) kept: Cid,
    /// … and of the view as the log folds to it; they agree where nothing differs.
    pub(crate) folded: Cid,
    /// Where the last of the view's shards stands.
    pub(crate) position: u64,
    pub(crate) rows: u64,
    pub(crate) shards: Vec<ShardDiffers>,
    pub(crate) differing: Differing,
}

/// A shard that stands elsewhere, or has applied something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShardDiffers {
    pub(crate) kept: ShardAt,
    pub(crate) folded: ShardAt,
    /// Why the log could not be folded further; empty: it could.
    pub(crate) halted: String,
}

/// Rows that differ.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Differing {
    pub(crate) count: u64,
    /// The first of them by key.
    pub(crate) first: Vec<RowDiffers>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowDiffers {
    pub(crate) key: String,
    /// The entry that changed it last as it is kept; 0: there is no such row.
    pub(crate) kept: u64,
    /// … and as the log folds.
    pub(crate) folded: u64,
}

/// It could not be found out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    #[error("another view is being verified by this process")]
    Busy,
    #[error("the process is stopping")]
    Stopping,
    #[error(transparent)]
    Unknown(#[from] Refusal),
    #[error("the view's shards are not known yet")]
    Undeclared,
    #[error("the store to compare with has lost a lease")]
    Lost,
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Content(#[from] snapshot::SnapshotError),
    #[error("a temporary file: {0}")]
    File(#[from] std::io::Error),
    #[error("it ended by itself: {0}")]
    Ended(#[from] tokio::task::JoinError),
}

impl VerifyError {
    /// Logs what is no answer to a question, and makes the answer of it.
    fn refuse(&self) -> Refusal {
        let code = match self {
            Self::Busy | Self::Stopping | Self::Undeclared => Code::Unavailable,
            Self::Unknown(refusal) => return refusal.clone(),
            Self::Store(error) | Self::Snapshot(SnapshotError::Store(error)) => return error.refuse(),
            Self::Source(_) => {
                tracing::warn!(error = %self, "a view cannot be verified");
                Code::Unavailable
            }
            _ => {
                tracing::error!(error = %self, "a view cannot be verified");
                Code::Internal
            }
        };
        Refusal::new(code, self.to_string())
    }
}

impl Verifier {
    pub(crate) fn new(store: Arc<dyn Store>, source: Source, board: Board, stop: CancellationToken) -> Self {
        Self {
            store,
            source,
            board,
            turn: Arc::new(Semaphore::new(1)),
            stop,
        }
    }

    /// Compares a view with its log, and tells how far it is.
    ///
    /// # Errors
    /// [`VerifyError`] where it could not be found out; a difference is none.
    async fn verify(&self, name: &str, told: impl Fn(Folded) + Send) -> Result<Verdict, VerifyError> {
        let _turn = self.turn.try_acquire().map_err(|_| VerifyError::Busy)?;
        let view = self.board.find(name)?;
        let origin: &Origin = &self.source.origin;
        let kept = match take(&*self.store, origin, &view.id).await {
            Err(SnapshotError::Unknown(_)) => return Err(VerifyError::Undeclared),
            taken => taken?,
        };
        let mut decisions = Decisions::default();
        decisions.read(&self.source).await?;
        let targets = &kept.manifest().state.shards;
        let replayed = replay::replay(&self.source, &view, &decisions.skips, targets, told).await?;
        let folded = take(&replayed.store, origin, &view.id).await?;
        let halted = replayed.halted.clone();
        replayed.store.close().await;
        tokio::task::spawn_blocking(move || compare::verdict(&kept, &folded, &halted)).await?
    }
}
