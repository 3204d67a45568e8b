//! Reading a blob: nothing is shown that does not hash to its name.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use fedsx_kernel::blob::{BlobCid, Hasher};
use fedsx_runtime::code::{Code, Refusal};
use futures::{Stream, stream};
use object_store::{GetOptions, GetRange};

use super::{BlobError, BlobStore, PIECE, Place, Version, path};

impl BlobStore {
    /// The bytes of a blob from `offset` on, at most `length` of them where that is not 0; in pieces of at most 4 MiB. All of
    /// it is hashed first, unless that was done within the last hour and it was not written since.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::Damaged`]; [`Code::RangeNotSatisfiable`] for an `offset` beyond the end;
    /// [`Code::Unavailable`]. The stream fails where the store does, or where the blob is written anew meanwhile.
    pub async fn get(
        &self,
        cid: &BlobCid,
        offset: u64,
        length: u64,
    ) -> Result<impl Stream<Item = Result<Bytes, Refusal>> + Send + use<>, Refusal> {
        let version = self.0.version(cid).await.map_err(BlobError::refuse)?;
        let wanted = wanted(version.size, offset, length)?;
        self.verify(&version).await.map_err(BlobError::refuse)?;
        let place = Arc::clone(&self.0);
        Ok(stream::try_unfold(wanted.start, move |from| {
            let (place, version, end) = (Arc::clone(&place), version.clone(), wanted.end);
            async move {
                let to = end.min(from.saturating_add(PIECE));
                if from >= to {
                    return Ok(None);
                }
                let piece = place.piece(&version, from..to).await;
                piece.map(|piece| Some((piece, to))).map_err(BlobError::refuse)
            }
        }))
    }

    /// Hashes a blob, unless that was done already; once for all who ask at the same time. Once begun it is carried out, also
    /// where the caller goes away: of a large blob that is more than one call has time for.
    async fn verify(&self, version: &Version) -> Result<(), BlobError> {
        if self.0.sound.contains_key(version) {
            return Ok(());
        }
        let (place, version) = (Arc::clone(&self.0), version.clone());
        let verified = tokio::spawn(async move {
            let hashed = place.hash(&version);
            let sound = place.sound.try_get_with_by_ref(&version, hashed).await;
            sound.map_err(|error| BlobError::clone(&error))
        });
        verified.await.map_err(object_store::Error::from)?
    }
}

/// The bytes that are asked for.
fn wanted(size: u64, offset: u64, length: u64) -> Result<Range<u64>, Refusal> {
    if offset > size {
        let detail = format!("the blob has {size} bytes, and none from {offset} on");
        return Err(Refusal::new(Code::RangeNotSatisfiable, detail));
    }
    let end = match length {
        0 => size,
        length => size.min(offset.saturating_add(length)),
    };
    Ok(offset..end)
}

impl Place {
    async fn hash(&self, version: &Version) -> Result<(), BlobError> {
        let _turn = self.verifications.acquire().await;
        let (mut hasher, mut from) = (Hasher::default(), 0);
        while from < version.size {
            let to = version.size.min(from.saturating_add(PIECE));
            hasher.update(&self.piece(version, from..to).await?);
            from = to;
        }
        match hasher.finish() == version.cid {
            true => Ok(()),
            false => Err(BlobError::Damaged(version.cid.clone())),
        }
    }

    /// These bytes of the object that was looked at, not of one that has taken its place since.
    async fn piece(&self, version: &Version, range: Range<u64>) -> Result<Bytes, BlobError> {
        let length = range.end.saturating_sub(range.start);
        let options = GetOptions::new()
            .with_if_match(version.e_tag.clone())
            .with_range(Some(GetRange::Bounded(range)));
        let found = self.objects.get_opts(&path(&version.cid), options).await?;
        // A store that has lost the end of an object may answer what it has.
        if found.range.end.saturating_sub(found.range.start) != length {
            return Err(BlobError::Damaged(version.cid.clone()));
        }
        let piece = found.bytes().await?;
        match u64::try_from(piece.len()) {
            Ok(read) if read == length => Ok(piece),
            _ => Err(BlobError::Damaged(version.cid.clone())),
        }
    }
}
