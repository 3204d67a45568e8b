//! The ledger as operators read it.

use std::{fmt, str::FromStr};

use async_trait::async_trait;
use fedsx_kernel::{
    cid::Cid,
    delivery::{peer::Peer, row::DeliveryState},
    origin::Origin,
};
use jiff::Timestamp;

use super::Result;
use crate::lane::{Lane, LaneId};

/// Which deliveries; empty: all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub state: Option<DeliveryState>,
    pub origin: Option<Origin>,
    pub cid: Option<String>,
}

/// The last delivery of a page; the next page begins after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageToken {
    pub position: u64,
    pub lane: LaneId,
}

impl fmt::Display for PageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.position, self.lane)
    }
}

/// No page token of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a page token")]
pub struct PageTokenError(pub String);

impl FromStr for PageToken {
    type Err = PageTokenError;
    fn from_str(text: &str) -> std::result::Result<Self, PageTokenError> {
        let parse = || {
            let (position, lane) = text.split_once('.')?;
            Some(Self {
                position: position.parse().ok()?,
                lane: LaneId(lane.parse().ok()?),
            })
        };
        parse().ok_or_else(|| PageTokenError(text.to_owned()))
    }
}

/// A delivery as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    pub lane: Lane,
    pub position: u64,
    pub cid: String,
    pub state: DeliveryState,
    /// Every one, whether it counted on the ladder or not.
    pub attempts: u32,
    /// 0: none.
    pub status: u16,
    pub cause: String,
    /// None: it has ended.
    pub next_at: Option<Timestamp>,
    pub trace: String,
}

/// An origin as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRow {
    pub origin: Origin,
    pub peer: Peer,
    pub pending: u64,
    pub dead: u64,
}

/// Reads the ledger.
#[async_trait]
pub trait Queries: Send + Sync + 'static {
    /// Deliveries, newest first, after the token's.
    async fn list(&self, filter: &Filter, after: Option<PageToken>, limit: u32) -> Result<Vec<Recorded>>;

    /// The origins that have lanes, by name, with their counts.
    async fn list_peers(&self) -> Result<Vec<PeerRow>>;

    /// Pending deliveries.
    async fn pending(&self) -> Result<u64>;

    /// Lanes that are due and unclaimed, of origins that are neither parked nor held.
    async fn lanes_due(&self) -> Result<u64>;

    /// A follower that takes its deliveries by this lane, whose document shows whether its server is well.
    async fn follower_of(&self, lane: &Lane) -> Result<Option<String>>;

    /// The Follows whose open rows this lane serves.
    async fn follows_of(&self, lane: &Lane) -> Result<Vec<Cid>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_token_survives_being_written() {
        let token = PageToken {
            position: 7,
            lane: LaneId(3),
        };
        assert_eq!(token.to_string().parse(), Ok(token));
        assert!("7".parse::<PageToken>().is_err());
        assert!("-1.2".parse::<PageToken>().is_err());
    }
}
