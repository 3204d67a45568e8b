//! A snapshot in a temporary file.

use std::{fs::File, io::Write as _, os::unix::fs::FileExt as _};

use fedsx_kernel::{
    cid::Cid,
    snapshot::{Chunk, MAX_CHUNK, Manifest, Row, State, Writer},
};
use tokio::io::AsyncWriteExt as _;

use super::{SnapshotError, vault::Vault};

/// A snapshot in a temporary file, which goes with the value. Chunks lie in it one after the other.
#[derive(Debug)]
pub(crate) struct Spool {
    file: File,
    manifest: Manifest,
    /// Where each chunk begins.
    begins: Vec<u64>,
}

/// A snapshot in the making.
#[derive(Debug)]
pub(super) struct Spooling {
    file: File,
    writer: Writer,
}

impl Spooling {
    /// In the folder for temporary files (`TMPDIR`).
    pub(super) fn begin() -> Result<Self, SnapshotError> {
        Ok(Self {
            file: tempfile::tempfile()?,
            writer: Writer::default(),
        })
    }

    pub(super) fn push(&mut self, row: Row) -> Result<(), SnapshotError> {
        let chunk = self.writer.push(row)?;
        self.keep(chunk)
    }

    fn keep(&mut self, chunk: Option<Chunk>) -> Result<(), SnapshotError> {
        if let Some(chunk) = chunk {
            self.file.write_all(&chunk.bytes)?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self, state: State) -> Result<Spool, SnapshotError> {
        let writer = std::mem::take(&mut self.writer);
        let (last, manifest) = writer.finish(state)?;
        self.keep(last)?;
        Ok(Spool::of(self.file, manifest))
    }
}

impl Spool {
    pub(super) fn of(file: File, manifest: Manifest) -> Self {
        let mut end = 0;
        let begin = |bytes: u64| {
            let begin = end;
            end += bytes;
            begin
        };
        Self {
            begins: manifest
                .chunks
                .iter()
                .map(|chunk| chunk.bytes)
                .map(begin)
                .collect(),
            file,
            manifest,
        }
    }

    #[cfg(test)]
    pub(super) fn into_parts(self) -> (File, Manifest) {
        (self.file, self.manifest)
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The bytes of a chunk by its place; none: there are no more.
    pub(crate) fn chunk(&self, place: usize) -> std::io::Result<Option<Vec<u8>>> {
        let (Some(chunk), Some(begin)) = (self.manifest.chunks.get(place), self.begins.get(place)) else {
            return Ok(None);
        };
        let mut bytes = vec![0; usize::try_from(chunk.bytes).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut bytes, *begin)?;
        Ok(Some(bytes))
    }

    /// The bytes of each chunk, in order.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = std::io::Result<Vec<u8>>> {
        (0..).map_while(|place| self.chunk(place).transpose())
    }

    /// A snapshot that is kept, as it is now on disk.
    pub(super) async fn fetch(vault: &Vault, snapshot: &Cid) -> Result<Self, SnapshotError> {
        let manifest = vault.manifest(snapshot).await?;
        let mut file = tokio::fs::File::from_std(tempfile::tempfile()?);
        for chunk in &manifest.chunks {
            file.write_all(&vault.get(&chunk.cid, MAX_CHUNK).await?).await?;
        }
        file.flush().await?;
        Ok(Self::of(file.into_std().await, manifest))
    }
}
