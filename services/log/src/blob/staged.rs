//! Bytes on their way, under a name of their own.

use std::sync::Arc;

use bytes::Bytes;
use fedsx_runtime::shutdown::Shutdown;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt as _, PutPayload, path::Path};

use super::{BlobError, ON_THE_WAY};

/// An upload that is not complete. Dropped, it is given up, and what was stored of it is removed.
pub(super) struct Staged {
    objects: Arc<dyn ObjectStore>,
    path: Path,
    upload: Option<Box<dyn MultipartUpload>>,
    shutdown: Shutdown,
}

impl Staged {
    pub(super) async fn begin(
        objects: &Arc<dyn ObjectStore>,
        shutdown: &Shutdown,
    ) -> Result<Self, BlobError> {
        let name = format!("{:032x}", rand::random::<u128>());
        let path = Path::from_iter([ON_THE_WAY, &name]);
        Ok(Self {
            upload: Some(objects.put_multipart(&path).await?),
            objects: Arc::clone(objects),
            path,
            shutdown: shutdown.clone(),
        })
    }

    pub(super) async fn part(&mut self, bytes: Bytes) -> Result<(), BlobError> {
        if let Some(upload) = &mut self.upload {
            upload.put_part(PutPayload::from_bytes(bytes)).await?;
        }
        Ok(())
    }

    /// Makes the bytes visible at their place, whatever is there. Once it has begun it is carried out, also where its caller
    /// goes away.
    pub(super) async fn publish(mut self, to: Path) -> Result<(), BlobError> {
        let Some(mut upload) = self.upload.take() else {
            return Ok(());
        };
        let (objects, from) = (Arc::clone(&self.objects), self.path.clone());
        let publishing = self.shutdown.spawn(async move {
            if let Err(error) = upload.complete().await {
                give_up(upload, &from).await;
                return Err(error);
            }
            let moved = objects.rename(&from, &to).await;
            if moved.is_err() {
                let _ = objects.delete(&from).await;
            }
            moved
        });
        Ok(publishing.await.map_err(object_store::Error::from)??)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(upload) = self.upload.take() {
            let path = self.path.clone();
            self.shutdown.spawn(async move { give_up(upload, &path).await });
        }
    }
}

async fn give_up(mut upload: Box<dyn MultipartUpload>, path: &Path) {
    if let Err(error) = upload.abort().await {
        tracing::debug!(%error, %path, "what was stored of an upload stays until it is swept");
    }
}
