//! From a store into a file.

use fedsx_kernel::{
    origin::Origin,
    snapshot::{Row, ShardAt, State},
};
use tokio::sync::mpsc;

use super::{SnapshotError, Spool, spool::Spooling};
use crate::store::{self, Shard, Store};

/// Pages that wait to be written.
const PAGES: usize = 2;

/// Takes a snapshot of a view as it is now.
///
/// # Errors
/// [`SnapshotError`]
pub(crate) async fn take(store: &dyn Store, origin: &Origin, view: &str) -> Result<Spool, SnapshotError> {
    let (sender, pages) = mpsc::channel(PAGES);
    let spooling = tokio::task::spawn_blocking(move || spool(pages));
    let shards = store.dump(view, sender).await?;
    let spooled = spooling.await??;
    if shards.is_empty() {
        return Err(SnapshotError::Unknown(view.to_owned()));
    }
    let state = State {
        origin: origin.clone(),
        view: view.to_owned(),
        shards: shards.iter().map(at).collect(),
    };
    // It writes the last chunk.
    tokio::task::spawn_blocking(move || spooled.finish(state)).await?
}

fn spool(mut pages: mpsc::Receiver<Vec<store::Row>>) -> Result<Spooling, SnapshotError> {
    let mut spooling = Spooling::begin()?;
    while let Some(page) = pages.blocking_recv() {
        for row in page {
            spooling.push(Row {
                key: row.key,
                position: row.position,
                value: row.value,
            })?;
        }
    }
    Ok(spooling)
}

fn at(shard: &Shard) -> ShardAt {
    ShardAt {
        shard: shard.id.shard,
        position: shard.position,
        count: shard.count,
        digest: shard.digest.to_string(),
    }
}
