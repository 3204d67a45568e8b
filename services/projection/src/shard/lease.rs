//! How the workers of a group share its shards: who renews, takes and gives back what.
//!
//! A pure function over the rows that a store reads under its lock, so that a backend is SQL alone.

use jiff::Timestamp;

use super::{Digest, ShardId};

/// The right to move a shard's position, and the shard as it stood when it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub shard: ShardId,
    /// The fence: every change of holder raises it, and who holds an older one changes nothing.
    pub epoch: u64,
    /// The last position that the shard has seen; 0: none.
    pub position: u64,
    /// Entries that the shard has applied.
    pub count: u64,
    pub digest: Digest,
    /// Why the shard stood still when it was last written.
    pub halted: Option<String>,
}

/// Who sits on a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    pub shard: ShardId,
    /// Empty: nobody.
    pub owner: String,
    pub until: Timestamp,
}

/// What a worker does with a shard at its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is the worker's and stays so. A lease that has expired but that nobody took is still its holder's.
    Renew,
    /// Nobody's, or of a holder that has let it expire.
    Take,
    /// More than the worker's share: others are there to take it.
    Yield,
    /// Somebody else's.
    Leave,
}

/// A worker's turn at each seat. `workers` are those of the group that are alive, this one included: each holds at most
/// its even share, rounded up, and keeps what it has as long as the share allows.
#[must_use]
pub fn turns(seats: &[Seat], owner: &str, workers: usize, now: Timestamp) -> Vec<Turn> {
    let share = seats.len().div_ceil(workers.max(1));
    let mine = seats.iter().filter(|seat| seat.owner == owner).count();
    let mut kept = 0;
    let mut wanted = share.saturating_sub(mine);
    let mut turn = |seat: &Seat| {
        if seat.owner == owner {
            kept += 1;
            return if kept <= share { Turn::Renew } else { Turn::Yield };
        }
        if wanted > 0 && (seat.owner.is_empty() || seat.until <= now) {
            wanted -= 1;
            return Turn::Take;
        }
        Turn::Leave
    };
    seats.iter().map(&mut turn).collect()
}

#[cfg(test)]
mod tests {
    use Turn::{Leave, Renew, Take, Yield};

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn seats(owners: &[(&str, i64)]) -> Vec<Seat> {
        let seat = |(shard, (owner, until)): (u32, &(&str, i64))| Seat {
            shard: ShardId::new("actors", shard),
            owner: (*owner).to_owned(),
            until: Timestamp::from_second(*until).unwrap(),
        };
        (0..).zip(owners).map(seat).collect()
    }

    #[test]
    fn one_worker_takes_all_that_is_free_or_expired() {
        let seats = seats(&[("", 0), ("b", -1), ("b", 0), ("b", 1), ("a", 5)]);
        assert_eq!(turns(&seats, "a", 1, NOW), [Take, Take, Take, Leave, Renew]);
    }

    #[test]
    fn an_expired_lease_that_nobody_took_is_renewed() {
        assert_eq!(turns(&seats(&[("a", -9)]), "a", 1, NOW), [Renew]);
    }

    #[test]
    fn a_newcomer_gets_its_share_in_two_turns() {
        let mut rows = seats(&[("a", 9), ("a", 9), ("a", 9), ("a", 9), ("a", 9)]);
        assert_eq!(turns(&rows, "b", 2, NOW), [Leave; 5]);
        assert_eq!(turns(&rows, "a", 2, NOW), [Renew, Renew, Renew, Yield, Yield]);
        rows[3].owner.clear();
        rows[4].owner.clear();
        assert_eq!(turns(&rows, "b", 2, NOW), [Leave, Leave, Leave, Take, Take]);
    }

    #[test]
    fn nobody_takes_more_than_its_share_of_what_is_free() {
        let rows = seats(&[("", 0), ("", 0), ("", 0)]);
        assert_eq!(turns(&rows, "a", 2, NOW), [Take, Take, Leave]);
        assert_eq!(turns(&rows, "a", 9, NOW), [Take, Leave, Leave]);
    }
}
