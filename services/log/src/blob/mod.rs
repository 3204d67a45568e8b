//! Where blobs lie: a folder, an S3 bucket, or memory.
//!
//! A blob is any bytes, named by their CID. Entries name blobs, the log holds none. Of a place `<place>`, which
//! [`BlobStore::open`] is told as a URL,
//!
//! * `<place>/<two letters>/<cid>` is a blob, the letters being the ninth and tenth of its CID (the first seven are those of
//!   every blob), so that no folder has too many;
//! * `<place>/uploads/<random>` is a blob on its way, and nobody's to read. What a killed process leaves there is swept an
//!   hour later.
//!
//! Bytes become visible under their CID all at once (`put`), and what is read is hashed before it is shown (`get`): the
//! place is trusted to keep bytes, not to keep them unchanged.

mod get;
mod open;
mod put;
mod staged;
mod sweep;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc, time::Duration};

use fedsx_kernel::blob::BlobCid;
use fedsx_runtime::code::{Code, Refusal};
use moka::future::Cache;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _, path::Path};
use tokio::sync::Semaphore;

pub use open::OpenError;
pub use put::Stored;
pub(crate) use sweep::sweep;

/// The largest blob unless the configuration says otherwise. Bytes.
pub const MAX_BLOB: u64 = 64 << 20;
/// What the limit of a blob can be raised to: S3 copies no more at once. Bytes.
pub const MAX_MAX_BLOB: u64 = 5 << 30;
/// What is read from the store at once. Bytes.
const PIECE: u64 = 4 << 20;
/// Blobs that are put at the same time; each holds up to 12 MiB in memory.
const UPLOADS: usize = 8;
const IDLE: Duration = Duration::from_secs(30);
const WAIT: Duration = Duration::from_secs(10);
/// Blobs that are hashed at the same time before they are shown; each holds 4 MiB.
const VERIFICATIONS: usize = 8;
/// Blobs that are known to be sound…
const SOUND: u64 = 16 << 10;
/// … which is believed for so long, unless they are written again.
const BELIEVED: Duration = Duration::from_secs(3600);
/// The folder of what is on its way.
const ON_THE_WAY: &str = "uploads";

/// A place for blobs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BlobStore(Arc<Place>);

#[derive(Debug)]
struct Place {
    objects: Arc<dyn ObjectStore>,
    /// Where the objects are files of a folder.
    folder: Option<PathBuf>,
    limits: Limits,
    uploads: Semaphore,
    verifications: Semaphore,
    sound: Cache<Version, ()>,
}

/// What one upload may take.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Of one blob. Bytes.
    max_bytes: u64,
    /// The next bytes must come within this time.
    idle: Duration,
    /// How long it waits for others that are put at the same time.
    wait: Duration,
}

/// The object that is stored as a blob, as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Version {
    cid: BlobCid,
    size: u64,
    e_tag: Option<String>,
    /// Milliseconds since the Unix epoch.
    modified: i64,
}

/// The store has failed, or what it keeps is not what was put there.
#[derive(Debug, Clone, thiserror::Error)]
enum BlobError {
    #[error("there is no such blob here")]
    Missing,
    #[error("the stored bytes of the blob {0} do not hash to its name")]
    Damaged(BlobCid),
    #[error("the blob store: {0}")]
    Store(Arc<object_store::Error>),
}

impl BlobStore {
    fn new(objects: Arc<dyn ObjectStore>, folder: Option<PathBuf>, max_bytes: u64) -> Self {
        let sound = Cache::builder()
            .max_capacity(SOUND)
            .time_to_live(BELIEVED)
            .build();
        Self(Arc::new(Place {
            objects,
            folder,
            limits: Limits {
                max_bytes,
                idle: IDLE,
                wait: WAIT,
            },
            uploads: Semaphore::new(UPLOADS),
            verifications: Semaphore::new(VERIFICATIONS),
            sound,
        }))
    }

    /// Whether a blob is here, and how large it is. Bytes.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::Unavailable`].
    pub async fn size(&self, cid: &BlobCid) -> Result<u64, Refusal> {
        Ok(self.0.version(cid).await.map_err(BlobError::refuse)?.size)
    }

    /// Removes a blob; that it is not here is no error.
    ///
    /// # Errors
    /// [`Code::Unavailable`]
    pub async fn drop(&self, cid: &BlobCid) -> Result<(), Refusal> {
        match self.0.objects.delete(&path(cid)).await.map_err(BlobError::from) {
            Err(BlobError::Missing) | Ok(()) => Ok(()),
            Err(error) => Err(error.refuse()),
        }
    }
}

impl Place {
    /// What is stored under a CID now.
    async fn version(&self, cid: &BlobCid) -> Result<Version, BlobError> {
        let options = object_store::GetOptions::new().with_head(true);
        let found = self.objects.get_opts(&path(cid), options).await?;
        Ok(Version::of(cid, &found.meta))
    }
}

impl Version {
    fn of(cid: &BlobCid, meta: &ObjectMeta) -> Self {
        Self {
            cid: cid.clone(),
            size: meta.size,
            e_tag: meta.e_tag.clone(),
            modified: meta.last_modified.timestamp_millis(),
        }
    }
}

/// Where a blob lies.
fn path(cid: &BlobCid) -> Path {
    let folder = cid.as_str().get(8..10).unwrap_or_default();
    Path::from_iter([folder, cid.as_str()])
}

impl From<object_store::Error> for BlobError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::Missing,
            error => Self::Store(Arc::new(error)),
        }
    }
}

impl BlobError {
    /// What the caller is told; what is ours to mend is logged.
    fn refuse(self) -> Refusal {
        let detail = self.to_string();
        match self {
            Self::Missing => Refusal::new(Code::NotFound, detail),
            Self::Damaged(_) => {
                tracing::error!("{detail}: put it again, or take it from a backup");
                Refusal::new(Code::Damaged, detail)
            }
            Self::Store(error) => {
                tracing::warn!(%error, "the blob store has failed");
                Refusal::new(Code::Unavailable, "the blob store does not answer just now")
            }
        }
    }
}
