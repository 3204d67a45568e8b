//! Manifests and chunks, as blobs of the same digest.

use bytes::Bytes;
use fedsx_kernel::{
    blob::BlobCid,
    cid::Cid,
    snapshot::{MAX_MANIFEST, Manifest},
};
use fedsx_proto::v1::{DescribeBlobRequest, DropBlobRequest, GetBlobRequest, PutBlobRequest};
use fedsx_runtime::{code::Code, transport::Streamed};
use tokio::time::timeout;

use super::{DEADLINE, Vault, VaultError, within};

/// Bytes of one message.
const MESSAGE: usize = 512 << 10;

impl Vault {
    /// Puts a manifest's or a chunk's canonical bytes, unless they are there.
    ///
    /// # Errors
    /// [`VaultError`]
    pub async fn put(&self, cid: &Cid, bytes: Vec<u8>) -> Result<(), VaultError> {
        let mut log = self.log.clone();
        let blob = BlobCid::of_document(cid).to_string();
        let described = DescribeBlobRequest { cid: blob.clone() };
        match within(log.describe_blob(described)).await {
            Ok(_) => return Ok(()),
            Err(VaultError::Refused(refusal)) if refusal.code == Code::NotFound => {}
            Err(error) => return Err(error),
        }
        let mut bytes = Bytes::from(bytes);
        let messages = std::iter::from_fn(move || {
            let data = bytes.split_to(bytes.len().min(MESSAGE));
            let last = bytes.is_empty();
            (!data.is_empty()).then_some(PutBlobRequest { data, last })
        });
        let mut request = tonic::Request::new(futures::stream::iter(messages));
        request.extensions_mut().insert(Streamed);
        let put = within(log.put_blob(request)).await?.into_inner();
        if put.cid != blob {
            return Err(VaultError::Damaged(cid.clone()));
        }
        Ok(())
    }

    /// Gets a manifest or a chunk of at most so many bytes.
    ///
    /// # Errors
    /// [`VaultError`]
    pub async fn get(&self, cid: &Cid, most: usize) -> Result<Vec<u8>, VaultError> {
        let mut log = self.log.clone();
        let request = GetBlobRequest {
            cid: BlobCid::of_document(cid).to_string(),
            ..GetBlobRequest::default()
        };
        let mut pieces = within(log.get_blob(request)).await?.into_inner();
        let mut bytes = Vec::new();
        while let Some(piece) = timeout(DEADLINE, pieces.message())
            .await
            .map_err(|_| VaultError::Silent)??
        {
            if bytes.len() + piece.data.len() > most {
                return Err(VaultError::TooLarge(cid.clone()));
            }
            bytes.extend_from_slice(&piece.data);
        }
        if Cid::of_canonical(&bytes) != *cid {
            return Err(VaultError::Damaged(cid.clone()));
        }
        Ok(bytes)
    }

    /// # Errors
    /// [`VaultError`]
    pub async fn manifest(&self, cid: &Cid) -> Result<Manifest, VaultError> {
        Ok(Manifest::parse(&self.get(cid, MAX_MANIFEST).await?)?)
    }

    /// The manifest and the chunks of a snapshot; none where the manifest is gone or damaged: nobody can say what belonged to
    /// it, and nobody can use it.
    pub(super) async fn blobs(&self, snapshot: &Cid) -> Result<Option<Vec<Cid>>, VaultError> {
        let manifest = match self.manifest(snapshot).await {
            Ok(manifest) => manifest,
            Err(error)
                if matches!(
                    error.refuse().code,
                    Code::NotFound | Code::Damaged | Code::Malformed
                ) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let chunks = manifest.chunks.into_iter().map(|chunk| chunk.cid);
        Ok(Some([snapshot.clone()].into_iter().chain(chunks).collect()))
    }

    /// Removes a blob; that it is not there is no error.
    pub(super) async fn discard(&self, cid: &Cid) -> Result<(), VaultError> {
        let mut log = self.log.clone();
        let cid = BlobCid::of_document(cid).to_string();
        within(log.drop_blob(DropBlobRequest { cid })).await?;
        Ok(())
    }
}
