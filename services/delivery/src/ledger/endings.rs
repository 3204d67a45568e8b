//! How deliveries ended that a flow waits for, until the log has it.

use async_trait::async_trait;
use fedsx_kernel::delivery::row::DeliveryState;
use jiff::Timestamp;

use super::{DeliveryKey, Result};

/// A delivery that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub key: DeliveryKey,
    /// Not pending.
    pub state: DeliveryState,
    /// The last attempt's; 0: none.
    pub status: u16,
    pub cause: String,
    /// When it ended.
    pub at: Timestamp,
    /// `traceparent` of the entry's fan-out; empty: none.
    pub trace: String,
}

/// Remembers of each delivery that is [awaited](super::NewDelivery::awaited) whether its end was told: in the row itself, so
/// that whatever ends a delivery need not know of it, and a crash forgets nothing.
#[async_trait]
pub trait Endings: Send + Sync + 'static {
    /// Awaited deliveries that have ended and were not told of, the oldest entries first, at most `limit`. Costs next to
    /// nothing where there are none.
    async fn untold(&self, limit: u32) -> Result<Vec<Ended>>;

    /// These were told of. One that was sent again meanwhile, and may have ended otherwise, is still to be told of.
    async fn told(&self, ended: &[Ended]) -> Result<()>;
}
