//! Removing what processes that were killed have left of uploads.

use std::{io, path::Path as FilePath, sync::Arc, time::Duration};

use fedsx_runtime::clock::Clock;
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use object_store::{ObjectStore, ObjectStoreExt as _, path::Path};
use tokio_util::sync::CancellationToken;

use super::{BlobStore, ON_THE_WAY};

/// How often is looked.
const EVERY: Duration = Duration::from_secs(3600);
/// What was not written for so long is nobody's any more: an upload fails that is silent for 30 seconds.
const ABANDONED: SignedDuration = SignedDuration::from_hours(1);

/// Removes what is abandoned, now and every hour until it is told to stop. S3 keeps parts of an upload that was never
/// completed where they cannot be listed: a rule of the bucket's lifecycle removes those.
pub(crate) async fn sweep(store: BlobStore, clock: Arc<dyn Clock>, stop: CancellationToken) {
    let sweeping = async {
        loop {
            match store.sweep_once(clock.now()).await {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "what was left of uploads is removed"),
                Err(error) => tracing::warn!(%error, "what is left of uploads cannot be removed"),
            }
            tokio::time::sleep(EVERY).await;
        }
    };
    stop.run_until_cancelled(sweeping).await;
}

impl BlobStore {
    /// Removes what is abandoned at this time, and tells how many.
    pub(super) async fn sweep_once(&self, now: Timestamp) -> io::Result<usize> {
        let before = now.saturating_sub(ABANDONED).unwrap_or(Timestamp::MIN);
        match &self.0.folder {
            // The files of an upload that was not completed are no objects yet.
            Some(folder) => files(&folder.join(ON_THE_WAY), before).await,
            None => objects(&*self.0.objects, before).await,
        }
    }
}

async fn files(folder: &FilePath, before: Timestamp) -> io::Result<usize> {
    let (mut entries, mut removed) = (tokio::fs::read_dir(folder).await?, 0);
    while let Some(entry) = entries.next_entry().await? {
        // Another process may have removed it meanwhile.
        let Ok(modified) = entry.metadata().await.and_then(|found| found.modified()) else {
            continue;
        };
        let is_abandoned = Timestamp::try_from(modified).is_ok_and(|modified| modified < before);
        if is_abandoned && tokio::fs::remove_file(entry.path()).await.is_ok() {
            removed += 1;
        }
    }
    Ok(removed)
}

async fn objects(objects: &dyn ObjectStore, before: Timestamp) -> io::Result<usize> {
    let prefix = Path::from(ON_THE_WAY);
    let (mut found, mut removed) = (objects.list(Some(&prefix)), 0);
    while let Some(object) = found.next().await {
        let object = object.map_err(io::Error::other)?;
        if object.last_modified.timestamp() < before.as_second() {
            objects.delete(&object.location).await.map_err(io::Error::other)?;
            removed += 1;
        }
    }
    Ok(removed)
}
