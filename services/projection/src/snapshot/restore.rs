//! From a file into a store.

use std::{collections::BTreeMap, sync::Arc};

use fedsx_kernel::snapshot::{Reader, Row};
use fedsx_runtime::database::driver;
use futures::{StreamExt as _, stream};
use tokio::sync::mpsc;

use super::{SnapshotError, Spool};
use crate::{
    shard::{Digest, SHARDS, lease::Lease, shard_of},
    store::{self, Advance, Change, Store},
    views::{Projection, View},
};

/// Pages that wait to be written.
const PAGES: usize = 2;

/// What goes from the file to the store; none: that was all.
type Page = store::Result<Option<Vec<Change>>>;

/// Puts the shards of these leases, which stand at 0 and have no rows, where a snapshot of their view has them. Answers the
/// leases as they are then; none where any of them was lost or has moved, and then nothing was written.
///
/// # Errors
/// [`SnapshotError`]: nothing was written, unless the store's answer was lost.
pub(crate) async fn restore(
    store: &dyn Store,
    projection: &Arc<Projection>,
    leases: &[Lease],
    spool: Arc<Spool>,
) -> Result<Option<Vec<Lease>>, SnapshotError> {
    let advances = advances(&projection.id, leases, &spool)?;
    let reached = advances
        .iter()
        .map(|advance| (advance.shard.shard, advance.position));
    let reached: BTreeMap<u32, u64> = reached.collect();
    let (sender, pages) = mpsc::channel(PAGES);
    let peers = projection.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let last = read(&spool, &*peers.view, &reached, &sender);
        // Whoever has gone does not want to know.
        let _ = sender.blocking_send(last.map(|()| None));
    });
    let pages = stream::unfold(pages, |mut pages| async {
        let page = match pages.recv().await {
            Some(page) => page.transpose()?,
            None => Err(driver("read a snapshot")("its reader has ended")),
        };
        Some((page, pages))
    });
    let restored = store.restore(&projection.id, pages.boxed(), &advances).await;
    reading.await?;
    Ok(restored?.is_empty().then(|| moved(leases, advances)))
}

/// The steps of the shards to where the snapshot has them.
fn advances(view: &str, leases: &[Lease], spool: &Spool) -> Result<Vec<Advance>, SnapshotError> {
    let state = &spool.manifest().state;
    let foreign = || SnapshotError::Foreign(format!("{} of {}", state.view, state.origin));
    if state.view != view || !state.shards.iter().map(|at| at.shard).eq(0..SHARDS) {
        return Err(foreign());
    }
    let advance = |lease: &Lease| {
        let at = state.shards.iter().find(|at| at.shard == lease.shard.shard)?;
        Some(Advance {
            shard: lease.shard.clone(),
            epoch: lease.epoch,
            from: 0,
            position: at.position,
            count: at.count,
            digest: Digest::parse(&at.digest)?,
            halted: None,
            changes: Vec::new(),
        })
    };
    leases
        .iter()
        .map(|lease| advance(lease).ok_or_else(foreign))
        .collect()
}

fn read(
    spool: &Spool,
    view: &dyn View,
    reached: &BTreeMap<u32, u64>,
    sender: &mpsc::Sender<Page>,
) -> store::Result<()> {
    let mut reader = Reader::new(spool.manifest().clone());
    for chunk in spool.chunks() {
        let rows = reader.chunk(&chunk.map_err(driver("read a snapshot"))?);
        let mut changes = Vec::new();
        for row in rows.map_err(driver("read a snapshot"))? {
            changes.extend(change(row, view, reached).map_err(driver("read a snapshot"))?);
        }
        if sender.blocking_send(Ok(Some(changes))).is_err() {
            return Ok(());
        }
    }
    reader.finish().map_err(driver("read a snapshot"))?;
    Ok(())
}

/// The row as a store writes it; none where it is of another shard.
fn change(row: Row, view: &dyn View, reached: &BTreeMap<u32, u64>) -> Result<Option<Change>, String> {
    let Some(reached) = reached.get(&shard_of(&row.key)) else {
        return Ok(None);
    };
    if row.position > *reached {
        return Err(format!(
            "the row {:?} is of position {}, its shard of {reached}",
            row.key, row.position
        ));
    }
    let peer = view.peer(&row.key);
    if !store::is_key(&row.key) || peer.as_ref().is_some_and(|peer| !store::is_key(peer.as_str())) {
        return Err(format!("{:?} is no key", row.key));
    }
    Ok(Some(Change {
        peer,
        key: row.key,
        position: row.position,
        value: Some(row.value),
    }))
}

fn moved(leases: &[Lease], advances: Vec<Advance>) -> Vec<Lease> {
    let moved = |(lease, advance): (&Lease, Advance)| Lease {
        position: advance.position,
        count: advance.count,
        digest: advance.digest,
        halted: None,
        ..lease.clone()
    };
    leases.iter().zip(advances).map(moved).collect()
}
