//! Folding the log again, up to where a view stands.

use std::{collections::BTreeMap, sync::Arc};

use fedsx_kernel::snapshot::ShardAt;
use fedsx_runtime::clock::SystemClock;
use jiff::SignedDuration;
use tempfile::TempDir;

use super::{Folded, VerifyError};
use crate::{
    shard::{ShardId, apply, lease::Lease},
    skips::Skips,
    source::{Batch, Reader, References, Source},
    store::{
        Group, Store as _,
        sqlite::{self, Sqlite},
    },
    views::{self, Projection},
};

const OWNER: &str = "verify";
/// Nobody else is there to take the shards.
const TERM: SignedDuration = SignedDuration::from_hours(24 * 365);

/// The view as the log folds to it, in a folder that goes with the value.
#[derive(Debug)]
pub(super) struct Replayed {
    pub(super) store: Sqlite,
    /// Why shards could not be folded to where they have to be.
    pub(super) halted: BTreeMap<u32, String>,
    _folder: TempDir,
}

/// The shards on their way.
struct Shards {
    leases: Vec<Lease>,
    /// Where each has to be.
    targets: BTreeMap<u32, u64>,
}

impl Shards {
    fn target(&self, lease: &Lease) -> u64 {
        self.targets.get(&lease.shard.shard).copied().unwrap_or(0)
    }

    /// Those that are not there yet and can go on.
    fn due(&self) -> Vec<Lease> {
        let due = |lease: &&Lease| lease.halted.is_none() && lease.position < self.target(lease);
        self.leases.iter().filter(due).cloned().collect()
    }

    /// How far the farthest has to be.
    fn last(&self) -> u64 {
        self.targets.values().copied().max().unwrap_or(0)
    }

    /// Where a batch has to be cut, so that no shard is folded further than it has to be.
    fn ends(&self, batch: &Batch) -> Vec<u64> {
        let within = |target: &u64| batch.after < *target && *target < batch.last;
        let mut ends: Vec<u64> = self.targets.values().copied().filter(within).collect();
        ends.push(batch.last);
        ends.sort_unstable();
        ends.dedup();
        ends
    }
}

/// Folds a view from the log's first entry, each shard up to its target.
///
/// # Errors
/// [`VerifyError`]
pub(super) async fn replay(
    source: &Source,
    view: &Arc<Projection>,
    skips: &Skips,
    targets: &[ShardAt],
    told: impl Fn(Folded) + Send,
) -> Result<Replayed, VerifyError> {
    let folder = tempfile::tempdir()?;
    let store = sqlite::open(folder.path().join("folded.db"), Arc::new(SystemClock)).await?;
    let group = Group {
        name: OWNER.to_owned(),
        shards: ShardId::all(&view.id).collect(),
    };
    store.declare(&group.shards).await?;
    let mut shards = Shards {
        leases: store.hold(&group, OWNER, TERM).await?,
        targets: targets.iter().map(|at| (at.shard, at.position)).collect(),
    };
    let views: Arc<[Arc<Projection>]> = Arc::from([view.clone()]);
    let target = shards.last();
    source.head(target).await?;
    let interest = views::interest(&views, false);
    let mut reader = Reader::start(source.clone(), interest, References::LookUp, 0);
    while !shards.due().is_empty() {
        let batch = reader.next().await?;
        for piece in pieces(&batch, &shards.ends(&batch)) {
            let due = shards.due();
            if due.is_empty() {
                break;
            }
            let applied = apply::apply(&store, &views, &due, skips, &piece).await?;
            if !applied.lost.is_empty() {
                return Err(VerifyError::Lost);
            }
            shards.leases = apply::after(shards.leases, &applied);
        }
        let position = batch.last.min(target);
        told(Folded { position, target });
    }
    let why = |lease: &Lease| Some((lease.shard.shard, lease.halted.clone()?));
    Ok(Replayed {
        halted: shards.leases.iter().filter_map(why).collect(),
        store,
        _folder: folder,
    })
}

/// A batch in pieces that end here.
fn pieces(batch: &Batch, ends: &[u64]) -> Vec<Batch> {
    let mut after = batch.after;
    let piece = |last: &u64| {
        let within = |position: u64| after < position && position <= *last;
        let items = batch.items.iter().filter(|item| within(item.position));
        let piece = Batch {
            after,
            last: *last,
            items: items.cloned().collect(),
            ..*batch
        };
        after = *last;
        piece
    };
    match ends {
        [_] => vec![batch.clone()],
        ends => ends.iter().map(piece).collect(),
    }
}
