//! From chunks to rows.

use super::{Chunk, Manifest, Row, SnapshotError, Writer};
use crate::cid::Cid;

/// Takes the chunks of a snapshot in their order and gives their rows. What it has given is the snapshot's only once
/// [`Reader::finish`] has said so.
#[derive(Debug)]
pub struct Reader {
    manifest: Manifest,
    /// Writes the same again.
    writer: Writer,
    read: usize,
}

impl Reader {
    #[must_use]
    pub fn new(manifest: Manifest) -> Self {
        Self {
            manifest,
            writer: Writer::default(),
            read: 0,
        }
    }

    /// The CID of the chunk to be read next; none: that was the last.
    #[must_use]
    pub fn expected(&self) -> Option<&Cid> {
        self.manifest.chunks.get(self.read).map(|chunk| &chunk.cid)
    }

    /// The rows of the next chunk.
    ///
    /// # Errors
    /// [`SnapshotError`] where these bytes are not that chunk, or no writer would have written it.
    pub fn chunk(&mut self, bytes: &[u8]) -> Result<Vec<Row>, SnapshotError> {
        let listed = self.manifest.chunks.len();
        let expected = self
            .manifest
            .chunks
            .get(self.read)
            .ok_or(SnapshotError::Beyond(listed))?;
        let wrong = |why: &str| SnapshotError::Chunk(expected.cid.clone(), why.to_owned());
        if Cid::of_canonical(bytes) != expected.cid {
            return Err(wrong("is named where other bytes stand"));
        }
        let rows = Chunk::rows(bytes)?;
        let is_last = self.read + 1 == listed;
        for (place, row) in rows.iter().enumerate() {
            let ended = self.writer.push(row.clone())?;
            let is_end = place + 1 == rows.len();
            if ended.is_some() != is_end && !(is_end && is_last) {
                return Err(wrong("ends where no writer ends one"));
            }
            if ended.is_some_and(|ended| ended.cid != expected.cid) {
                return Err(wrong("is not in canonical form"));
            }
        }
        self.read += 1;
        Ok(rows)
    }

    /// The manifest, once every chunk was read and all of it together is what a writer would have written.
    ///
    /// # Errors
    /// [`SnapshotError`]
    pub fn finish(self) -> Result<Manifest, SnapshotError> {
        let Self {
            manifest,
            writer,
            read,
        } = self;
        let listed = manifest.chunks.len();
        if read < listed {
            return Err(SnapshotError::Missing { read, listed });
        }
        let (_, again) = writer.finish(manifest.state.clone())?;
        if again != manifest {
            return Err(SnapshotError::Manifest("is not that of its rows".to_owned()));
        }
        Ok(manifest)
    }
}
