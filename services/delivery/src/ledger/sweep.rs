//! What nobody was told of, or what came due by time: found by looking.

use async_trait::async_trait;
use fedsx_kernel::{delivery::peer::Peer, origin::Origin};
use jiff::SignedDuration;

use super::Result;
use crate::{broker::Due, lane::LaneId};

/// For so long a lane that was published is believed to be in the queue. A message lost costs this delay.
pub const QUEUED: SignedDuration = SignedDuration::from_secs(5);
/// And so long for each lane that was published before it: those at the end of a long queue are not lost because nobody has
/// come to them yet.
const QUEUED_EACH: SignedDuration = SignedDuration::from_millis(1);

/// For how long the last of so many lanes that are published together is believed to be in the queue.
#[must_use]
pub fn queued(lanes: usize) -> SignedDuration {
    QUEUED + QUEUED_EACH * i32::try_from(lanes).unwrap_or(i32::MAX)
}

/// What [`Sweeps::hurry`] moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hurried {
    /// Pending deliveries that are due now.
    pub deliveries: u64,
    /// Origins they go to.
    pub origins: u64,
}

/// Looks for work.
#[async_trait]
pub trait Sweeps: Send + Sync + 'static {
    /// Lanes that may be claimed now and are not believed to be in the queue, set down as [`queued`]. Of a failing origin
    /// one at most, and none where one is claimed: however many lanes such an origin has, they do not take the others' place
    /// within the limit. Costs next to nothing where nothing is due.
    async fn sweep(&self, limit: u32) -> Result<Vec<Due>>;

    /// Sets lanes down as not queued after all, unless they are claimed by now: a sweep finds them at once.
    async fn unqueue(&self, lanes: &[LaneId]) -> Result<()>;

    /// Whether a parked origin waits for fan-out to end its parking.
    async fn waits(&self) -> Result<bool>;

    /// The origins that are not live: those that are parked, and those that are catching up.
    async fn unwell(&self) -> Result<Vec<(Origin, Peer)>>;

    /// Origins that have failed for so long that they are to be parked: what a crash left undone.
    async fn to_park(&self) -> Result<Vec<Origin>>;

    /// Makes pending deliveries due now and lifts holds, of one origin or all; a parked origin is probed at once.
    async fn hurry(&self, origin: Option<&Origin>) -> Result<Hurried>;

    /// Forgets delivered rows that ended longer ago than `retention`, at most `limit`, but none that a flow is
    /// still to be [told](super::Endings) of, and audience and blocks that every origin is past. Answers how many rows went.
    async fn prune(&self, retention: SignedDuration, limit: u32) -> Result<u64>;
}
