//! What a worker's turn writes, the same in every backend.

use jiff::Timestamp;

use super::Shard;
use crate::shard::lease::{self, Seat, Turn};

/// The shards that a turn renews, takes and gives back, as they are to be written. `shards` are those of the group, each
/// with the end of its lease, as they were read under their lock; `workers` are those of the group that are alive.
pub(super) fn seated(
    shards: Vec<(Shard, Timestamp)>,
    owner: &str,
    workers: usize,
    now: Timestamp,
) -> Vec<Shard> {
    let seat = |(shard, until): &(Shard, Timestamp)| Seat {
        shard: shard.id.clone(),
        owner: shard.owner.clone(),
        until: *until,
    };
    let seats: Vec<Seat> = shards.iter().map(seat).collect();
    let turns = lease::turns(&seats, owner, workers, now);
    let turn = |((shard, _), turn): ((Shard, Timestamp), Turn)| match turn {
        Turn::Leave => None,
        Turn::Renew => Some(shard),
        Turn::Take => Some(handed(shard, owner)),
        Turn::Yield => Some(handed(shard, "")),
    };
    shards.into_iter().zip(turns).filter_map(turn).collect()
}

/// Fences off whoever held it.
fn handed(shard: Shard, owner: &str) -> Shard {
    Shard {
        owner: owner.to_owned(),
        epoch: shard.epoch + 1,
        ..shard
    }
}
