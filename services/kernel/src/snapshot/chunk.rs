//! Rows as a chunk holds them.

use serde::de::IgnoredAny;
use sha2::{Digest as _, Sha256};

use super::{MAX_CHUNK, MAX_KEY, SnapshotError};
use crate::{
    canonical,
    cid::Cid,
    json::{self, MAX_INTEGER},
};

/// One in so many keys ends its chunk.
const ONE_IN: u32 = 1024;

/// A row of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// At most [`MAX_KEY`] bytes.
    pub key: String,
    /// The entry that changed it last.
    pub position: u64,
    /// UTF-8 JSON within the limits of [`json::parse`].
    pub value: Vec<u8>,
}

/// Some rows in their canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    pub cid: Cid,
    pub rows: u64,
    /// Canonical JSON, at most [`MAX_CHUNK`].
    pub bytes: Vec<u8>,
}

impl Chunk {
    /// # Errors
    /// [`SnapshotError`] where the bytes are no chunk, whatever they are called.
    pub(super) fn rows(bytes: &[u8]) -> Result<Vec<Row>, SnapshotError> {
        if bytes.len() > MAX_CHUNK {
            return Err(SnapshotError::ChunkSize(bytes.len()));
        }
        let malformed = |why: &str| SnapshotError::Chunk(Cid::of_canonical(bytes), why.to_owned());
        let mut rest = bytes.strip_prefix(b"[").ok_or_else(|| malformed("is no array"))?;
        let mut rows = Vec::new();
        loop {
            let mut values =
                serde_json::Deserializer::from_slice(rest).into_iter::<(String, u64, IgnoredAny)>();
            let Some(Ok((key, position, _))) = values.next() else {
                return Err(malformed("holds what is no row"));
            };
            let (own, after) = rest.split_at(values.byte_offset().min(rest.len()));
            rows.push(row(own, key, position)?.ok_or_else(|| malformed("is not in canonical form"))?);
            match after {
                b"]" => return Ok(rows),
                [b',', after @ ..] => rest = after,
                _ => return Err(malformed("does not go on after a row")),
            }
        }
    }
}

/// The row with this text; none where it is not written as a writer would.
fn row(text: &[u8], key: String, position: u64) -> Result<Option<Row>, SnapshotError> {
    let mut begins = Vec::new();
    begin(&mut begins, &key, position)?;
    let value = text
        .strip_prefix(begins.as_slice())
        .and_then(|text| text.strip_suffix(b"]"));
    Ok(value.map(|value| Row {
        key,
        position,
        value: value.to_vec(),
    }))
}

/// Appends a row in its canonical form.
///
/// # Errors
/// [`SnapshotError`] where it has none.
pub(super) fn write(out: &mut Vec<u8>, row: &Row) -> Result<(), SnapshotError> {
    let value = json::parse(&row.value).map_err(|error| SnapshotError::Value(row.key.clone(), error))?;
    let value =
        canonical::to_vec(&value).map_err(|error| SnapshotError::Canonical(row.key.clone(), error))?;
    begin(out, &row.key, row.position)?;
    out.extend_from_slice(&value);
    out.push(b']');
    Ok(())
}

fn begin(out: &mut Vec<u8>, key: &str, position: u64) -> Result<(), SnapshotError> {
    if key.len() > MAX_KEY {
        return Err(SnapshotError::Key(key.len()));
    }
    if position == 0 || position > MAX_INTEGER {
        return Err(SnapshotError::Position(key.to_owned(), position));
    }
    out.push(b'[');
    canonical::string(out, key);
    out.extend_from_slice(format!(",{position},").as_bytes());
    Ok(())
}

/// Whether a chunk ends behind the row with this key however little it holds: by the key alone, so that a change elsewhere
/// moves no other chunk's end for long.
pub(super) fn ends_chunk(key: &str) -> bool {
    let [.., a, b, c, d]: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    u32::from_be_bytes([a, b, c, d]).is_multiple_of(ONE_IN)
}
