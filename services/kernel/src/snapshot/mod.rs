//! A view's state at a position, as documents that are named by their CIDs.
//!
//! A snapshot is a [`Manifest`], whose CID is the snapshot's name, and the chunks that it lists. A chunk is a canonical JSON
//! array of rows `[key, position, value]`; all chunks together have a view's rows in the order of their keys' bytes. Where a
//! chunk ends follows from the rows alone, so that the same state has the same name whoever takes it, and so that a row that
//! changes leaves most chunks of a large view as they are.
//!
//! [`Writer`] takes rows and gives chunks, [`Reader`] takes chunks and gives rows; neither keeps more than one chunk.
//! What is read may come from anywhere: it counts only where a writer would have written the same. In a file, a snapshot is
//! its manifest and then its chunks, each a line (canonical JSON has no line feeds): [`Manifest::parse`] reads the
//! first line, a [`Reader`] the others.

mod chunk;
mod known;
mod manifest;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub use chunk::{Chunk, Row};
pub use known::{Kept, Known, MAX_KEPT, SPACE};
pub use manifest::{ChunkName, Manifest, ShardAt, State};
pub use reader::Reader;
pub use writer::Writer;

use crate::{cid::Cid, json::JsonError};

/// Longest key. Bytes.
pub const MAX_KEY: usize = 2048;
/// Largest manifest: a hundred thousand chunks have room in it. Bytes.
pub const MAX_MANIFEST: usize = 16 << 20;
/// A chunk ends behind the row with which it has so much. Bytes.
pub const CHUNK: usize = 1 << 20;
/// Largest chunk: one that is almost full, and one more row. A key may take six times its bytes. Bytes.
pub const MAX_CHUNK: usize = CHUNK + crate::json::MAX_BYTES + 6 * MAX_KEY + 64;
/// Most shards of a view.
pub const MAX_SHARDS: usize = 1024;

/// Rows or documents that make no snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    #[error("the manifest {0}")]
    Manifest(String),
    #[error("what is kept of a view cannot be read or written: {0}")]
    Known(String),
    #[error("a chunk of {0} bytes; none has more than {MAX_CHUNK}")]
    ChunkSize(usize),
    #[error("the chunk {0} {1}")]
    Chunk(Cid, String),
    #[error("there is no chunk after the last of {0}")]
    Beyond(usize),
    #[error("{read} of {listed} chunks were read")]
    Missing { read: usize, listed: usize },
    #[error("the row {0:?} is not behind the one before it")]
    Order(String),
    #[error("a key of {0} bytes; none has more than {MAX_KEY}")]
    Key(usize),
    #[error("the row {0:?} is of position {1}, which its shards have not reached")]
    Position(String, u64),
    #[error("the value of the row {0:?}: {1}")]
    Value(String, #[source] JsonError),
    #[error("the row {0:?} has no canonical form: {1}")]
    Canonical(String, #[source] crate::canonical::CanonicalError),
}
