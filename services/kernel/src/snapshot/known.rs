//! The snapshots of a view that are kept.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Manifest, SnapshotError};
use crate::cid::Cid;

/// The space of the log's kv where a domain keeps them, the view's id being the key.
pub const SPACE: &str = "snapshot";
/// Most snapshots of a view that are kept.
pub const MAX_KEPT: usize = 16;

/// A snapshot that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    pub cid: Cid,
    /// How far the last of its shards is.
    pub position: u64,
    pub rows: u64,
    /// Of all its chunks.
    pub bytes: u64,
    /// When it was kept.
    pub at: Timestamp,
}

impl Kept {
    #[must_use]
    pub fn new(manifest: &Manifest, at: Timestamp) -> Self {
        Self {
            cid: manifest.cid().clone(),
            position: manifest.position(),
            rows: manifest.rows(),
            bytes: manifest.chunks.iter().map(|chunk| chunk.bytes).sum(),
            at,
        }
    }
}

/// The snapshots of a view that are kept, the farthest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    pub snapshots: Vec<Kept>,
}

impl Known {
    /// # Errors
    /// [`SnapshotError::Known`]
    pub fn parse(bytes: &[u8]) -> Result<Self, SnapshotError> {
        serde_json::from_slice(bytes).map_err(|error| SnapshotError::Known(error.to_string()))
    }

    /// # Errors
    /// [`SnapshotError::Known`]
    pub fn to_vec(&self) -> Result<Vec<u8>, SnapshotError> {
        serde_json::to_vec(self).map_err(|error| SnapshotError::Known(error.to_string()))
    }

    /// Adds a snapshot, and answers those that are kept no longer: beyond so many, at least one and at most [`MAX_KEPT`].
    pub fn keep(&mut self, snapshot: Kept, most: usize) -> Vec<Kept> {
        self.snapshots.retain(|kept| kept.cid != snapshot.cid);
        self.snapshots.push(snapshot);
        self.snapshots
            .sort_by_key(|kept| std::cmp::Reverse((kept.position, kept.at)));
        self.snapshots
            .split_off(most.clamp(1, MAX_KEPT).min(self.snapshots.len()))
    }

    /// Takes a snapshot out; none: it is not kept.
    pub fn remove(&mut self, cid: &Cid) -> Option<Kept> {
        let place = self.snapshots.iter().position(|kept| kept.cid == *cid)?;
        Some(self.snapshots.remove(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(position: u64) -> Kept {
        Kept {
            cid: Cid::of_canonical(position.to_string().as_bytes()),
            position,
            rows: 3,
            bytes: 99,
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn the_farthest_are_kept() {
        let mut known = Known::default();
        assert_eq!(known.keep(kept(5), 2), []);
        assert_eq!(known.keep(kept(9), 2), []);
        assert_eq!(known.keep(kept(9), 2), [], "it is kept already");
        assert_eq!(known.keep(kept(7), 2), [kept(5)]);
        assert_eq!(known.snapshots, [kept(9), kept(7)]);
        assert_eq!(
            known.keep(kept(10), 0),
            [kept(9), kept(7)],
            "one is kept at least"
        );
        assert_eq!(known.remove(&kept(7).cid), None);
        assert_eq!(known.remove(&kept(10).cid), Some(kept(10)));
    }

    #[test]
    fn what_was_written_is_read_back() {
        let mut known = Known::default();
        known.keep(kept(5), 1);
        assert_eq!(Known::parse(&known.to_vec().unwrap()), Ok(known));
        assert!(Known::parse(b"[]").is_err());
    }
}
