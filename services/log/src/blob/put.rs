//! Putting a blob: hashed while it comes, visible when all of it is there.

use bytes::{Bytes, BytesMut};
use fedsx_kernel::blob::{BlobCid, Hasher};
use fedsx_runtime::{
    code::{Code, Refusal},
    shutdown::Shutdown,
};
use futures::{Stream, StreamExt as _};
use object_store::{ObjectStoreExt as _, PutPayload};
use tokio::time::timeout;

use super::{BlobError, BlobStore, path, staged::Staged};

/// What goes to the store at once, and what a blob on its way holds in memory. S3 wants at least 5 MiB, and some stores that
/// all parts but the last are of one size. Bytes.
pub(super) const PART: usize = 8 << 20;

/// A blob that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub cid: BlobCid,
    /// Bytes.
    pub size: u64,
    /// It was there before.
    pub existed: bool,
}

impl BlobStore {
    /// Puts the bytes of a stream. Where the stream fails, or the call is given up, nothing of them is visible, and nothing
    /// is left behind as far as the store lets it be removed. Bytes that are there already are written again: should they
    /// have been damaged, they are sound now.
    ///
    /// # Errors
    /// [`Code::TooLarge`]; [`Code::RequestTimeout`] where no bytes come for 30 seconds; [`Code::RateLimited`] where too many
    /// are put at the same time; [`Code::Unavailable`]; what the stream fails with.
    pub async fn put(
        &self,
        bytes: impl Stream<Item = Result<Bytes, Refusal>>,
        shutdown: &Shutdown,
    ) -> Result<Stored, Refusal> {
        let limits = self.0.limits;
        let Ok(Ok(_place)) = timeout(limits.wait, self.0.uploads.acquire()).await else {
            return Err(Refusal::new(
                Code::RateLimited,
                "too many blobs are put at the same time",
            ));
        };
        let mut upload = Upload {
            store: self,
            shutdown,
            staged: None,
            waiting: BytesMut::new(),
            size: 0,
            hasher: Hasher::default(),
        };
        let mut bytes = std::pin::pin!(bytes);
        loop {
            match timeout(limits.idle, bytes.next()).await {
                Ok(Some(next)) => upload.take(&next?).await?,
                Ok(None) => return upload.finish().await.map_err(BlobError::refuse),
                Err(_) => {
                    let detail = format!("no bytes have come for {} seconds", limits.idle.as_secs());
                    return Err(Refusal::new(Code::RequestTimeout, detail));
                }
            }
        }
    }
}

/// A blob on its way.
struct Upload<'a> {
    store: &'a BlobStore,
    shutdown: &'a Shutdown,
    /// Where its first parts are.
    staged: Option<Staged>,
    /// Its last bytes, less than a part.
    waiting: BytesMut,
    size: u64,
    hasher: Hasher,
}

impl Upload<'_> {
    async fn take(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let max = self.store.0.limits.max_bytes;
        self.size = self
            .size
            .saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if self.size > max {
            let detail = format!("the blob has more than {max} bytes");
            return Err(Refusal::new(Code::TooLarge, detail));
        }
        self.hasher.update(bytes);
        self.waiting.extend_from_slice(bytes);
        while self.waiting.len() >= PART {
            let part = self.waiting.split_to(PART).freeze();
            let staged = self.staged().await.map_err(BlobError::refuse)?;
            staged.part(part).await.map_err(BlobError::refuse)?;
        }
        Ok(())
    }

    async fn staged(&mut self) -> Result<&mut Staged, BlobError> {
        let staged = match self.staged.take() {
            Some(staged) => staged,
            None => Staged::begin(&self.store.0.objects, self.shutdown).await?,
        };
        Ok(self.staged.insert(staged))
    }

    async fn finish(mut self) -> Result<Stored, BlobError> {
        let place = &self.store.0;
        let cid = std::mem::take(&mut self.hasher).finish();
        let existed = match place.version(&cid).await {
            Ok(version) => version.size == self.size,
            Err(BlobError::Missing) => false,
            Err(error) => return Err(error),
        };
        let last = std::mem::take(&mut self.waiting).freeze();
        // A file is written beside its place and then moved there: what a killed process leaves of it must lie where it is
        // swept.
        if self.staged.is_none() && place.folder.is_none() {
            place
                .objects
                .put(&path(&cid), PutPayload::from_bytes(last))
                .await?;
        } else {
            let staged = self.staged().await?;
            if !last.is_empty() {
                staged.part(last).await?;
            }
            if let Some(staged) = self.staged.take() {
                staged.publish(path(&cid)).await?;
            }
        }
        Ok(Stored {
            cid,
            size: self.size,
            existed,
        })
    }
}
