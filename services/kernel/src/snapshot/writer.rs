//! From rows to chunks.

use super::{CHUNK, Chunk, ChunkName, Manifest, Row, SnapshotError, State, chunk};
use crate::cid::Cid;

/// Takes a view's rows in the order of their keys and cuts them into chunks; keeps one chunk, and the names of the others.
#[derive(Debug, Default)]
pub struct Writer {
    /// The chunk in the making, without its closing bracket.
    bytes: Vec<u8>,
    rows: u64,
    chunks: Vec<ChunkName>,
    last: Option<String>,
    /// The highest of the rows' positions, and whose it is.
    highest: (u64, String),
}

impl Writer {
    /// Takes the next row. Answers the chunk that ends with it, if any.
    ///
    /// # Errors
    /// [`SnapshotError`]: nothing more can be written.
    pub fn push(&mut self, row: Row) -> Result<Option<Chunk>, SnapshotError> {
        if self.last.as_ref().is_some_and(|last| *last >= row.key) {
            return Err(SnapshotError::Order(row.key));
        }
        self.bytes.push(if self.rows == 0 { b'[' } else { b',' });
        chunk::write(&mut self.bytes, &row)?;
        self.rows += 1;
        if row.position > self.highest.0 {
            self.highest = (row.position, row.key.clone());
        }
        let ended = self.bytes.len() >= CHUNK || chunk::ends_chunk(&row.key);
        self.last = Some(row.key);
        Ok(if ended { self.cut() } else { None })
    }

    fn cut(&mut self) -> Option<Chunk> {
        if self.rows == 0 {
            return None;
        }
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.push(b']');
        let chunk = Chunk {
            cid: Cid::of_canonical(&bytes),
            rows: std::mem::take(&mut self.rows),
            bytes,
        };
        self.chunks.push(ChunkName {
            cid: chunk.cid.clone(),
            rows: chunk.rows,
            bytes: chunk.bytes.len() as u64,
        });
        Some(chunk)
    }

    /// The last chunk, where rows are left, and the manifest of all.
    ///
    /// # Errors
    /// [`SnapshotError`] where the state cannot be that of these rows, or there are too many chunks.
    pub fn finish(mut self, state: State) -> Result<(Option<Chunk>, Manifest), SnapshotError> {
        let reached = state.shards.iter().map(|shard| shard.position).max();
        if self.highest.0 > reached.unwrap_or(0) {
            return Err(SnapshotError::Position(self.highest.1, self.highest.0));
        }
        let last = self.cut();
        Ok((last, Manifest::new(state, self.chunks)?))
    }
}
