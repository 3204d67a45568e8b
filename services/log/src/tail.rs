//! The log's end in memory: what this process has appended last, so that those who follow closely read it without the store.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use fedsx_proto::v1::Entry;

/// Bytes of bodies that are kept.
const MAX_BYTES: usize = 8 << 20;
/// Entries that are kept.
const MAX_ENTRIES: usize = 16 << 10;

/// The last entries, one position after the other. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tail(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl Tail {
    /// Adds entries that are committed. Those that do not follow on the last here, since another process has appended
    /// between, take the place of all.
    pub(crate) fn push(&self, entries: Vec<Entry>) {
        let mut tail = self.lock();
        for entry in entries {
            let follows = tail
                .entries
                .back()
                .is_some_and(|last| last.position + 1 == entry.position);
            if !follows {
                *tail = Entries::default();
            }
            tail.bytes += entry.body.len();
            tail.entries.push_back(entry);
        }
        while tail.bytes > MAX_BYTES || tail.entries.len() > MAX_ENTRIES {
            let Some(first) = tail.entries.pop_front() else {
                break;
            };
            tail.bytes -= first.body.len();
        }
    }

    /// Entries after a position, up to a number and to an amount of bytes of bodies, but at least one; none where the first of
    /// them is not here.
    pub(crate) fn after(&self, position: u64, limit: u32, max_bytes: u64) -> Vec<Entry> {
        let tail = self.lock();
        let first = tail.entries.front().map_or(u64::MAX, |first| first.position);
        let skipped = (position + 1)
            .checked_sub(first)
            .and_then(|skipped| usize::try_from(skipped).ok());
        let mut bytes = 0;
        let within = |entry: &&Entry| {
            let before = bytes;
            bytes += u64::try_from(entry.body.len()).unwrap_or(u64::MAX);
            before < max_bytes
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let after = skipped.map(|skipped| tail.entries.iter().skip(skipped).take(limit).take_while(within));
        after.into_iter().flatten().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(positions: std::ops::RangeInclusive<u64>, size: usize) -> Vec<Entry> {
        let entry = |position| Entry {
            position,
            body: vec![b'x'; size].into(),
            ..Entry::default()
        };
        positions.map(entry).collect()
    }

    fn positions(tail: &Tail, after: u64, limit: u32, max_bytes: u64) -> Vec<u64> {
        let entries = tail.after(after, limit, max_bytes);
        entries.iter().map(|entry| entry.position).collect()
    }

    #[test]
    fn what_follows_is_there_as_far_as_it_was_kept() {
        let tail = Tail::default();
        assert!(positions(&tail, 0, 9, 9).is_empty());
        tail.push(entries(4..=6, 2));
        tail.push(entries(7..=9, 2));
        let table = [
            (3, 9, 99, vec![4, 5, 6, 7, 8, 9]),
            (5, 2, 99, vec![6, 7]),
            (5, 9, 4, vec![6, 7]),
            (5, 9, 5, vec![6, 7, 8]),
            (5, 9, 1, vec![6]),
            (8, 9, 99, vec![9]),
            (9, 9, 99, vec![]),
            (u64::MAX - 1, 9, 99, vec![]),
            (2, 9, 99, vec![]),
        ];
        for (after, limit, max_bytes, expected) in table {
            assert_eq!(
                positions(&tail, after, limit, max_bytes),
                expected,
                "after {after}, {limit}, {max_bytes}"
            );
        }
    }

    #[test]
    fn another_process_s_entries_are_a_new_beginning() {
        let tail = Tail::default();
        tail.push(entries(1..=3, 2));
        tail.push(entries(6..=7, 2));
        assert!(positions(&tail, 2, 9, 99).is_empty());
        assert_eq!(positions(&tail, 5, 9, 99), [6, 7]);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let tail = Tail::default();
        tail.push(entries(1..=20, 1 << 20));
        assert_eq!(positions(&tail, 12, 99, u64::MAX), Vec::from_iter(13..=20));
        assert!(positions(&tail, 11, 99, u64::MAX).is_empty());
        tail.push(entries(21..=40_000, 0));
        assert_eq!(tail.lock().entries.len(), MAX_ENTRIES);
    }
}
