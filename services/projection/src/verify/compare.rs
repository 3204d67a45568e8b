//! What two snapshots of a view differ in.

use std::{cmp::Ordering, collections::BTreeMap, vec};

use fedsx_kernel::snapshot::{Reader, Row, ShardAt};

use super::{Differing, RowDiffers, ShardDiffers, Verdict, VerifyError};
use crate::snapshot::Spool;

/// Rows that are named.
const NAMED: usize = 20;

pub(super) fn verdict(
    kept: &Spool,
    folded: &Spool,
    halted: &BTreeMap<u32, String>,
) -> Result<Verdict, VerifyError> {
    let (one, other) = (kept.manifest(), folded.manifest());
    Ok(Verdict {
        kept: one.cid().clone(),
        folded: other.cid().clone(),
        position: one.position(),
        rows: one.rows(),
        shards: shards(&one.state.shards, &other.state.shards, halted),
        differing: if one.chunks == other.chunks {
            Differing::default()
        } else {
            rows(kept, folded)?
        },
    })
}

fn shards(kept: &[ShardAt], folded: &[ShardAt], halted: &BTreeMap<u32, String>) -> Vec<ShardDiffers> {
    let differs = |(kept, folded): (&ShardAt, &ShardAt)| {
        (kept != folded).then(|| ShardDiffers {
            kept: kept.clone(),
            folded: folded.clone(),
            halted: halted.get(&kept.shard).cloned().unwrap_or_default(),
        })
    };
    kept.iter().zip(folded).filter_map(differs).collect()
}

/// Goes through both in the order of their keys.
fn rows(kept: &Spool, folded: &Spool) -> Result<Differing, VerifyError> {
    let (mut kept, mut folded) = (Rows::new(kept), Rows::new(folded));
    let (mut one, mut other) = (kept.next()?, folded.next()?);
    let mut differing = Differing::default();
    loop {
        let order = match (&one, &other) {
            (None, None) => return Ok(differing),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(one), Some(other)) => one.key.cmp(&other.key),
        };
        let left = if order.is_le() { one.take() } else { None };
        let right = if order.is_ge() { other.take() } else { None };
        if left != right {
            differing.add(left.as_ref(), right.as_ref());
        }
        if order.is_le() {
            one = kept.next()?;
        }
        if order.is_ge() {
            other = folded.next()?;
        }
    }
}

impl Differing {
    fn add(&mut self, kept: Option<&Row>, folded: Option<&Row>) {
        self.count += 1;
        if self.first.len() < NAMED
            && let Some(row) = kept.or(folded)
        {
            self.first.push(RowDiffers {
                key: row.key.clone(),
                kept: kept.map_or(0, |row| row.position),
                folded: folded.map_or(0, |row| row.position),
            });
        }
    }
}

/// The rows of a snapshot, one chunk in memory.
struct Rows<I> {
    chunks: I,
    reader: Reader,
    rows: vec::IntoIter<Row>,
}

impl<'a> Rows<Box<dyn Iterator<Item = std::io::Result<Vec<u8>>> + 'a>> {
    fn new(spool: &'a Spool) -> Self {
        Self {
            chunks: Box::new(spool.chunks()),
            reader: Reader::new(spool.manifest().clone()),
            rows: Vec::new().into_iter(),
        }
    }

    fn next(&mut self) -> Result<Option<Row>, VerifyError> {
        loop {
            if let Some(row) = self.rows.next() {
                return Ok(Some(row));
            }
            let Some(chunk) = self.chunks.next() else {
                return Ok(None);
            };
            self.rows = self.reader.chunk(&chunk?)?.into_iter();
        }
    }
}
