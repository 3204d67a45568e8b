//! What a snapshot is of, and what it consists of.

use serde::{Deserialize, Serialize};

use super::{MAX_CHUNK, MAX_MANIFEST, MAX_SHARDS, SnapshotError};
use crate::{canonical, cid::Cid, origin::Origin};

/// What the format is called.
const FORMAT: &str = "fedsx-snapshot-1";

/// What a snapshot is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Whose log was folded.
    pub origin: Origin,
    /// The view's id.
    pub view: String,
    /// Every shard of the view, in order.
    pub shards: Vec<ShardAt>,
}

/// How far a shard is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardAt {
    pub shard: u32,
    /// The last entry that it has seen; 0: none.
    pub position: u64,
    /// Entries that it has applied.
    pub count: u64,
    /// A digest of these, 64 hexadecimal digits.
    pub digest: String,
}

/// A chunk that belongs to a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunkName {
    pub cid: Cid,
    pub rows: u64,
    pub bytes: u64,
}

/// What a snapshot is of, and its chunks in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub state: State,
    pub chunks: Vec<ChunkName>,
    cid: Cid,
    bytes: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: String,
    origin: String,
    view: String,
    shards: Vec<ShardAt>,
    rows: u64,
    chunks: Vec<ChunkName>,
}

impl Manifest {
    /// # Errors
    /// [`SnapshotError::Manifest`]
    pub(super) fn new(state: State, chunks: Vec<ChunkName>) -> Result<Self, SnapshotError> {
        let error = |why: &dyn std::fmt::Display| SnapshotError::Manifest(why.to_string());
        check(&state, &chunks)?;
        let written = Written {
            format: FORMAT.to_owned(),
            origin: state.origin.to_string(),
            view: state.view.clone(),
            shards: state.shards.clone(),
            rows: chunks.iter().map(|chunk| chunk.rows).sum(),
            chunks: chunks.clone(),
        };
        let document = serde_json::to_value(written).map_err(|problem| error(&problem))?;
        let bytes = canonical::to_vec(&document).map_err(|problem| error(&problem))?;
        if bytes.len() > MAX_MANIFEST {
            return Err(error(&format!("would have {} bytes", bytes.len())));
        }
        Ok(Self {
            cid: Cid::of_canonical(&bytes),
            state,
            chunks,
            bytes,
        })
    }

    /// Reads a manifest that may come from anywhere.
    ///
    /// # Errors
    /// [`SnapshotError::Manifest`] where it is none, or is not in canonical form.
    pub fn parse(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let error = |why: String| SnapshotError::Manifest(why);
        if bytes.len() > MAX_MANIFEST {
            return Err(error(format!(
                "has {} bytes, at most {MAX_MANIFEST} are read",
                bytes.len()
            )));
        }
        let written: Written =
            serde_json::from_slice(bytes).map_err(|problem| error(format!("cannot be read: {problem}")))?;
        if written.format != FORMAT {
            return Err(error(format!("is of another format than {FORMAT}")));
        }
        let state = State {
            origin: written
                .origin
                .parse()
                .map_err(|problem| error(format!("names no origin: {problem}")))?,
            view: written.view,
            shards: written.shards,
        };
        let manifest = Self::new(state, written.chunks)?;
        if manifest.bytes != bytes {
            return Err(error("is not in canonical form".to_owned()));
        }
        Ok(manifest)
    }

    /// The snapshot's name.
    #[must_use]
    pub fn cid(&self) -> &Cid {
        &self.cid
    }
    /// Canonical JSON.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.rows).sum()
    }
    /// How far the last of its shards is.
    #[must_use]
    pub fn position(&self) -> u64 {
        let positions = self.state.shards.iter().map(|shard| shard.position);
        positions.min().unwrap_or(0)
    }
}

fn check(state: &State, chunks: &[ChunkName]) -> Result<(), SnapshotError> {
    let error = |why: &str| Err(SnapshotError::Manifest(why.to_owned()));
    if state.view.is_empty() || state.view.len() > super::MAX_KEY || state.view.contains('\0') {
        return error("names no view");
    }
    if state.shards.is_empty() || state.shards.len() > MAX_SHARDS {
        return error("has no shards, or too many");
    }
    if !state.shards.is_sorted_by(|one, next| one.shard < next.shard) {
        return error("has its shards out of order");
    }
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if !state
        .shards
        .iter()
        .all(|shard| shard.digest.len() == 64 && shard.digest.bytes().all(is_hex))
    {
        return error("has a digest that is none");
    }
    let sound = |chunk: &ChunkName| {
        (1..=MAX_CHUNK as u64).contains(&chunk.bytes) && (1..=chunk.bytes).contains(&chunk.rows)
    };
    if !chunks.iter().all(sound) {
        return error("has a chunk without rows, or with too many");
    }
    Ok(())
}
