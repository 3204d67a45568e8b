//! Shares out due work: a queue of lanes, not of bodies.
//!
//! The ledger is the truth; the broker only says where to look. So it may lose, repeat and reorder messages, restart,
//! or come back empty: the sweeper publishes again what is due. To add a broker, implement [`Broker`] and [`Consumer`]
//! and run `conformance` over it.

pub mod embedded;
pub mod rabbitmq;

#[cfg(test)]
pub(crate) mod conformance;

use std::fmt::Debug;

use async_trait::async_trait;
use fedsx_kernel::origin::Origin;

use crate::lane::LaneId;

/// A lane that has work. The origin rides along so that a worker can share itself out fairly before it asks the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Due {
    pub lane: LaneId,
    pub origin: Origin,
}

/// A message that one consumer holds until it acks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub due: Due,
    pub tag: Tag,
}

/// Names a message to the consumer that got it, and to no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(pub u64);

/// The broker is away; what is due stays in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the broker: {0}")]
pub struct BrokerError(pub String);

/// A queue of lanes.
#[async_trait]
pub trait Broker: Send + Sync + Debug + 'static {
    /// Publishes lanes in bulk, in this order. Never waits for room: what does not fit is lost, and swept again later.
    /// Answers those that there was no time for, though the queue may have room.
    ///
    /// # Errors
    /// [`BrokerError`] where nothing is known of what was published.
    async fn publish(&self, due: &[Due]) -> Result<Vec<Due>, BrokerError>;

    /// Begins to consume, holding at most `prefetch` messages that are not acked.
    ///
    /// # Errors
    /// [`BrokerError`]
    async fn consume(&self, prefetch: u16) -> Result<Box<dyn Consumer>, BrokerError>;

    /// Messages that no consumer holds.
    ///
    /// # Errors
    /// [`BrokerError`]
    async fn depth(&self) -> Result<u64, BrokerError>;
}

/// One consumer's share of the queue. Dropped, its messages go back.
#[async_trait]
pub trait Consumer: Send + Debug {
    /// Waits for at least one message, then takes every one that is ready, within the prefetch. Waits for an ack where
    /// the prefetch is used up. Cancelled, it has taken nothing.
    ///
    /// # Errors
    /// [`BrokerError`]; the consumer is then of no further use.
    async fn next(&mut self) -> Result<Vec<Message>, BrokerError>;

    /// Forgets messages.
    ///
    /// # Errors
    /// [`BrokerError`]; the messages come again.
    async fn ack(&mut self, tags: &[Tag]) -> Result<(), BrokerError>;
}
