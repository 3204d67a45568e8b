//! Views as snapshots: taken from a store (`take`), and put back into one (`restore`).
//!
//! A snapshot on its way lies in a temporary file ([`Spool`]), so that a store is read and written as fast as it can be,
//! whoever waits at the other end. What is kept is kept by the log ([`Vault`]): [`Snapshots`] takes one whenever a view
//! has come far enough, and a shard that stands before the first entry begins with the farthest that there is
//! ([`Beginning`]). Without any it folds the log from its first entry; so snapshots may be lost, and none is ever waited for.

use fedsx_kernel::snapshot;
use fedsx_runtime::code::{Code, Refusal};

use crate::store::StoreError;

mod beginning;
mod policy;
mod restore;
mod spool;
mod take;
mod vault;

#[cfg(test)]
mod tests;

pub(crate) use beginning::Beginning;
pub use policy::Policy;
pub(crate) use policy::Snapshots;
pub(crate) use restore::restore;
pub(crate) use spool::Spool;
pub(crate) use take::take;
pub use vault::{Vault, VaultError};

/// A snapshot cannot be taken or put back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Content(#[from] snapshot::SnapshotError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("a temporary file: {0}")]
    File(#[from] std::io::Error),
    #[error("it ended by itself: {0}")]
    Ended(#[from] tokio::task::JoinError),
    #[error("there is no view {0:?}")]
    Unknown(String),
    #[error("the snapshot is of {0}, and not of what is restored")]
    Foreign(String),
}

impl SnapshotError {
    /// Whether the domain has no place for blobs.
    fn is_without_a_place(&self) -> bool {
        matches!(self, Self::Vault(VaultError::Refused(refusal)) if refusal.code == Code::NoBlobStore)
    }

    /// Logs what is no answer to a question, and makes the answer of it.
    fn refuse(&self) -> Refusal {
        match self {
            Self::Store(error) => error.refuse(),
            Self::Vault(error) => error.refuse(),
            Self::Unknown(_) => Refusal::new(Code::Malformed, self.to_string()),
            _ => {
                tracing::error!(error = %self, "a snapshot cannot be taken");
                Refusal::new(Code::Internal, self.to_string())
            }
        }
    }
}
