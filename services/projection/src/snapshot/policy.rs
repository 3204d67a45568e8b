//! Taking snapshots of the views as they go on.

use std::{collections::HashMap, sync::Arc, time::Duration};

use fedsx_kernel::{origin::Origin, snapshot::Kept};
use fedsx_runtime::{clock::Clock, code::Refusal};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::{SnapshotError, Vault, take};
use crate::{
    roster::{Board, settle::State},
    shard::ShardId,
    store::Store,
};

/// How often is looked whether a view has come far enough.
const LOOK: Duration = Duration::from_secs(5);

/// What could not be taken is tried again after this part of the way to the next.
const SOONER: u64 = 10;

/// When snapshots are taken, and how many are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// A snapshot is taken whenever the last of a view's shards is so many positions of the log beyond the one before; 0: never.
    pub every: u64,
    /// So many are kept of a view, 1 to 16.
    pub kept: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            every: 100_000,
            kept: 2,
        }
    }
}

/// The snapshots of the views, taken one after the other. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Snapshots {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) vault: Vault,
    pub(crate) origin: Origin,
    pub(crate) board: Board,
    /// Who takes those of the views whose first shard it holds.
    pub(crate) owner: String,
    pub(crate) policy: Policy,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) turn: Arc<Mutex<()>>,
}

impl Snapshots {
    /// Takes snapshots whenever they are due, until it is told to stop or the domain has no place for them.
    pub(crate) async fn run(self, stop: CancellationToken) {
        if self.policy.every == 0 {
            return;
        }
        let keeping = async {
            let mut last = HashMap::new();
            loop {
                if let Err(error) = self.look(&mut last).await {
                    if error.is_without_a_place() {
                        tracing::info!("no snapshots are taken: the domain has no place for blobs");
                        return;
                    }
                    tracing::warn!(%error, "it is not known which snapshots are due; trying again");
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        stop.run_until_cancelled(keeping).await;
    }

    /// Takes what is due. `last` is where each view's farthest snapshot stands, as far as is known here.
    pub(super) async fn look(&self, last: &mut HashMap<String, u64>) -> Result<(), SnapshotError> {
        for (view, position) in self.mine().await? {
            let far = |known: &u64| position >= known.saturating_add(self.policy.every);
            if !last.get(&view).is_none_or(far) {
                continue;
            }
            match self.take_due(&view, far).await {
                Ok(known) => last.insert(view, known),
                Err(error) if error.is_without_a_place() => return Err(error),
                Err(error) => {
                    // No other view has to wait for one that fails, and nobody waits for this one.
                    tracing::warn!(view, %error, "a snapshot could not be taken; trying again when the log has gone on");
                    let sooner = self.policy.every - self.policy.every / SOONER;
                    last.insert(view, position.saturating_sub(sooner))
                }
            };
        }
        Ok(())
    }

    /// Takes a snapshot of a view, unless another process has since. Answers where the farthest stands.
    async fn take_due(&self, view: &str, far: impl Fn(&u64) -> bool) -> Result<u64, SnapshotError> {
        let kept = self.vault.known(view).await?.snapshots;
        let known = kept.first().map_or(0, |kept| kept.position);
        if !far(&known) {
            return Ok(known);
        }
        let taken = self.take(view).await?;
        self.forget().await?;
        Ok(taken.position)
    }

    /// Drops the snapshots of views that are no more.
    pub(super) async fn forget(&self) -> Result<(), SnapshotError> {
        let views = self.views();
        for (view, known) in self.vault.list().await? {
            if views.contains(&view) {
                continue;
            }
            for kept in known.snapshots {
                self.vault.drop(&view, &kept.cid).await?;
                tracing::info!(view, cid = %kept.cid, "a snapshot of a view that is no more is dropped");
            }
        }
        Ok(())
    }

    /// The ids of the views that there are.
    fn views(&self) -> Vec<String> {
        let roster = self.board.now();
        let there = roster.kept().iter().filter(|kept| kept.state != State::Retired);
        there.map(|kept| kept.id.clone()).collect()
    }

    /// The views whose first shard is held here, and where the last of their shards stands.
    pub(super) async fn mine(&self) -> Result<Vec<(String, u64)>, SnapshotError> {
        let shards = self.store.shards().await?;
        let position = |view: &str| {
            let own = shards.iter().filter(|shard| shard.id.view == view);
            own.map(|shard| shard.position).min().unwrap_or(0)
        };
        let first = |view: &str| {
            let first = ShardId::new(view, 0);
            let mut own = shards.iter().filter(|shard| shard.id == first);
            own.any(|shard| shard.owner == self.owner)
        };
        let mine = self.views().into_iter().filter(|view| first(view));
        Ok(mine
            .map(|view| {
                let position = position(&view);
                (view, position)
            })
            .collect())
    }

    /// Takes a snapshot of a view as it is now, and keeps it.
    ///
    /// # Errors
    /// [`SnapshotError`]
    pub(crate) async fn take(&self, view: &str) -> Result<Kept, SnapshotError> {
        let _turn = self.turn.lock().await;
        let spool = Arc::new(take(&*self.store, &self.origin, view).await?);
        let manifest = spool.manifest();
        for (place, chunk) in manifest.chunks.iter().enumerate() {
            let spool = spool.clone();
            let read = tokio::task::spawn_blocking(move || spool.chunk(place));
            if let Some(bytes) = read.await?? {
                self.vault.put(&chunk.cid, bytes).await?;
            }
        }
        self.vault.put(manifest.cid(), manifest.bytes().to_vec()).await?;
        let kept = Kept::new(manifest, self.clock.now());
        self.vault.keep(view, &kept, self.policy.kept).await?;
        tracing::info!(view, position = kept.position, rows = kept.rows, cid = %kept.cid, "a snapshot is kept");
        Ok(kept)
    }

    /// The call `TakeSnapshot`, for a view by name or id.
    pub(crate) async fn asked(&self, view: &str) -> Result<Kept, Refusal> {
        let projection = self.board.find(view)?;
        self.take(&projection.id).await.map_err(|error| error.refuse())
    }
}
