//! One batch through a fold and into the store.

use std::{collections::HashMap, sync::Arc};

use super::{
    ShardId,
    fold::{Fold, Folded},
    lease::Lease,
};
use crate::{
    skips::Skips,
    source::Batch,
    store::{self, Advance, Store},
    views::Projection,
};

/// Rows of peers that are folded and written at once. A peer may have more followers here than fit into memory, or into the
/// time that the database gives one statement; then one shard follows another.
const AT_ONCE: usize = 20_000;

/// What has become of a batch.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// The steps that counted.
    pub(crate) advances: Vec<Advance>,
    /// Shards that somebody else has taken; nothing of theirs was written.
    pub(crate) lost: Vec<ShardId>,
    /// Entries that views have applied, counted once a shard; a view may come several times.
    pub(crate) counts: Vec<(String, u64)>,
}

impl Applied {
    fn add(&mut self, other: Self) {
        self.advances.extend(other.advances);
        self.lost.extend(other.lost);
        self.counts.extend(other.counts);
    }
}

/// A batch could not be applied; what of it was written is unknown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    #[error(transparent)]
    Store(#[from] store::StoreError),
    #[error("a fold ended by itself: {0}")]
    Fold(#[from] tokio::task::JoinError),
}

/// Folds a batch into the shards of these leases that are not past it, and none of which is before it.
///
/// # Errors
/// [`ApplyError`]: the leases have to be read again before anything else is applied under them.
pub(crate) async fn apply(
    store: &dyn Store,
    projections: &[Arc<Projection>],
    leases: &[Lease],
    skips: &Skips,
    batch: &Batch,
) -> Result<Applied, ApplyError> {
    apply_at_once(AT_ONCE, store, projections, leases, skips, batch).await
}

async fn apply_at_once(
    at_once: usize,
    store: &dyn Store,
    projections: &[Arc<Projection>],
    leases: &[Lease],
    skips: &Skips,
    batch: &Batch,
) -> Result<Applied, ApplyError> {
    if let Some(fold) = loaded(at_once, store, projections, leases, skips, batch).await? {
        return commit(store, fold, batch).await;
    }
    let mut applied = Applied::default();
    for lease in leases {
        let lease = std::slice::from_ref(lease);
        if let Some(fold) = loaded(usize::MAX, store, projections, lease, skips, batch).await? {
            applied.add(commit(store, fold, batch).await?);
        }
    }
    Ok(applied)
}

/// The fold with the rows that it needs; none where more rows than so many are about its peers.
async fn loaded(
    at_once: usize,
    store: &dyn Store,
    projections: &[Arc<Projection>],
    leases: &[Lease],
    skips: &Skips,
    batch: &Batch,
) -> Result<Option<Fold>, ApplyError> {
    let mut fold = Fold::new(projections, leases, skips, &batch.items);
    let mut room = at_once;
    for (view, needed) in fold.needed() {
        let keys: Vec<&str> = needed.keys.iter().map(String::as_str).collect();
        if !keys.is_empty() {
            let rows = store.rows(&view, &keys).await?;
            fold.load(&view, rows);
        }
        for peer in &needed.peers {
            let rows = store
                .rows_of_peer(&view, peer, &needed.shards, room.saturating_add(1))
                .await?;
            let Some(left) = room.checked_sub(rows.len()) else {
                return Ok(None);
            };
            room = left;
            fold.load(&view, rows);
        }
    }
    Ok(Some(fold))
}

async fn commit(store: &dyn Store, fold: Fold, batch: &Batch) -> Result<Applied, ApplyError> {
    let Folded { advances, applied } = run(fold, batch).await?;
    let lost = if advances.is_empty() {
        Vec::new()
    } else {
        store.commit(&advances).await?
    };
    Ok(Applied {
        advances: advances
            .into_iter()
            .filter(|advance| !lost.contains(&advance.shard))
            .collect(),
        lost,
        counts: applied,
    })
}

async fn run(fold: Fold, batch: &Batch) -> Result<Folded, ApplyError> {
    if batch.items.is_empty() {
        return Ok(fold.run(&[], batch.last));
    }
    let (items, last, trace) = (batch.items.clone(), batch.last, tracing::Span::current());
    // Bodies may be large, and other tasks share this thread.
    let folded = tokio::task::spawn_blocking(move || trace.in_scope(|| fold.run(&items, last)));
    Ok(folded.await?)
}

/// The leases as they are after a batch: moved where it moved them, without those that were lost.
pub(crate) fn after(leases: Vec<Lease>, applied: &Applied) -> Vec<Lease> {
    let moved: HashMap<&ShardId, &Advance> = applied
        .advances
        .iter()
        .map(|advance| (&advance.shard, advance))
        .collect();
    let lease = |lease: Lease| match moved.get(&lease.shard) {
        Some(advance) => Lease {
            position: advance.position,
            count: advance.count,
            digest: advance.digest,
            halted: advance.halted.clone(),
            ..lease
        },
        None => lease,
    };
    leases
        .into_iter()
        .filter(|lease| !applied.lost.contains(&lease.shard))
        .map(lease)
        .collect()
}

#[cfg(test)]
mod tests;
