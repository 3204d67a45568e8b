//! Dead letters: what peers refused and what was given up. They stay until an operator sends them again or drops them.

use async_trait::async_trait;

use super::Result;
use crate::lane::LaneId;

/// Names one delivery. Sent again, it goes to another lane and has another name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryKey {
    pub lane: LaneId,
    pub position: u64,
}

/// What [`DeadLetters::replay`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Replayed {
    /// Deliveries that are owed again.
    pub replayed: u64,
    /// Deliveries that stay dead letters: their peer is blocked.
    pub blocked: u64,
}

/// Decides over dead letters.
#[async_trait]
pub trait DeadLetters: Send + Sync + 'static {
    /// Owes refused and dead deliveries again, due now, from the first rung of the ladder. They move to the replay lane
    /// of their actor and address, which is made where there is none, and there each goes by its own time. What is neither
    /// refused nor dead any more stays as it is. Where a flow waits for a delivery, it is told of its next end, too.
    ///
    /// Under the lock of the cursor's row, which the folding of a block holds too: a block either is seen here, or ends what
    /// was sent again. Whoever releases the replay lane's claim afterwards sees what moved there.
    async fn replay(&self, deliveries: &[DeliveryKey]) -> Result<Replayed>;

    /// Forgets refused and dead deliveries, answering how many. Those that a flow is still to be [told](super::Endings) of
    /// stay until it is.
    async fn forget(&self, deliveries: &[DeliveryKey]) -> Result<u64>;
}
