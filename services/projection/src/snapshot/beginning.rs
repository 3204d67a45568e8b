//! Beginning with a snapshot what would else begin with the log's first entry: a database that was lost, or is new.

use std::{collections::HashSet, sync::Arc};

use fedsx_kernel::snapshot::Kept;
use fedsx_runtime::code::Code;

use super::{SnapshotError, Spool, Vault, VaultError, restore};
use crate::{
    shard::{ShardId, lease::Lease},
    source::{Source, SourceError},
    store::Store,
    views::Projection,
};

/// Looks for snapshots of what is taken at position 0.
#[derive(Debug)]
pub(crate) struct Beginning {
    vault: Vault,
    /// Shards that were looked after, under the epoch in which they were taken.
    seen: HashSet<(ShardId, u64)>,
}

impl Beginning {
    pub(crate) fn new(vault: Vault) -> Self {
        Self {
            vault,
            seen: HashSet::new(),
        }
    }

    /// Those of the leases that stand at 0 and were not looked after yet; they are now.
    pub(crate) fn due(&mut self, leases: &[Lease]) -> Vec<Lease> {
        let mut is_due =
            |lease: &&Lease| lease.position == 0 && self.seen.insert((lease.shard.clone(), lease.epoch));
        leases.iter().filter(&mut is_due).cloned().collect()
    }

    /// They were not looked after, after all.
    pub(crate) fn forget(&mut self, leases: &[Lease]) {
        for lease in leases {
            self.seen.remove(&(lease.shard.clone(), lease.epoch));
        }
    }

    /// Puts shards where the farthest snapshot of their view has them that can be had. Whatever cannot be had is told, and
    /// begins with the first entry.
    ///
    /// # Errors
    /// [`SourceError`] where the log is away, which has to be asked.
    pub(crate) async fn begin(
        &self,
        store: &dyn Store,
        source: &Source,
        views: &[Arc<Projection>],
        leases: &[Lease],
    ) -> Result<(), SourceError> {
        for view in views {
            let own = leases.iter().filter(|lease| lease.shard.view == view.id);
            let own: Vec<Lease> = own.cloned().collect();
            if own.is_empty() {
                continue;
            }
            for kept in self.known(&view.id).await? {
                match self.begin_with(store, source, view, &own, &kept).await {
                    Ok(()) => break,
                    Err(error) => {
                        tracing::warn!(view = view.name, cid = %kept.cid, %error, "a snapshot cannot be used");
                    }
                }
            }
        }
        Ok(())
    }

    async fn known(&self, view: &str) -> Result<Vec<Kept>, SourceError> {
        match self.vault.known(view).await {
            Ok(known) => Ok(known.snapshots),
            Err(VaultError::Silent) => Err(SourceError::Silent),
            Err(VaultError::Refused(refusal)) if refusal.code == Code::Unavailable => {
                Err(SourceError::Refused(refusal))
            }
            Err(error) => {
                tracing::warn!(view, %error, "it is not known which snapshots there are");
                Ok(Vec::new())
            }
        }
    }

    async fn begin_with(
        &self,
        store: &dyn Store,
        source: &Source,
        view: &Arc<Projection>,
        leases: &[Lease],
        kept: &Kept,
    ) -> Result<(), BeginError> {
        let spool = Spool::fetch(&self.vault, &kept.cid).await?;
        let state = &spool.manifest().state;
        if state.origin != source.origin {
            return Err(SnapshotError::Foreign(state.origin.to_string()).into());
        }
        let farthest = state.shards.iter().map(|shard| shard.position).max();
        source.head(farthest.unwrap_or(0)).await?;
        match restore(store, view, leases, Arc::new(spool)).await? {
            Some(_) => {
                let Kept {
                    cid, position, rows, ..
                } = kept;
                tracing::info!(view = view.name, %cid, position, rows, "a view begins with a snapshot");
            }
            None => tracing::info!(view = view.name, "shards have been taken over by another worker"),
        }
        Ok(())
    }
}

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
enum BeginError {
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error(transparent)]
    Source(#[from] SourceError),
}
