//! The ledger as operators read it.

use std::{fmt, str::FromStr};

use async_trait::async_trait;
use fedsx_kernel::{
    cid::Cid,
    delivery::{peer::Peer, row::DeliveryState},
    origin::Origin,
};
use jiff::Timestamp;

use super::{DeliveryKey, Result};
use crate::lane::{Lane, LaneId};

/// What refused and dead deliveries are called together.
pub const DEAD_LETTERS: [DeliveryState; 2] = [DeliveryState::Refused, DeliveryState::Dead];

/// Which deliveries.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// In one of these states; empty: in any.
    pub states: Vec<DeliveryState>,
    pub origin: Option<Origin>,
    pub cid: Option<String>,
    /// To this address.
    pub address: Option<String>,
}

impl Filter {
    /// Whether nothing but dead letters can match.
    #[must_use]
    pub fn is_dead_letters(&self) -> bool {
        !self.states.is_empty() && self.states.iter().all(|state| DEAD_LETTERS.contains(state))
    }
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
    /// Who made the last attempt; none: nobody has made one, or an older version has.
    pub replica: Option<String>,
}

impl Recorded {
    /// Names it.
    #[must_use]
    pub fn key(&self) -> DeliveryKey {
        DeliveryKey {
            lane: self.lane.id,
            position: self.position,
        }
    }

    /// A page that ends with it ends here.
    #[must_use]
    pub fn token(&self) -> PageToken {
        PageToken {
            position: self.position,
            lane: self.lane.id,
        }
    }
}

/// An origin as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRow {
    pub origin: Origin,
    pub peer: Peer,
    /// As fan-out has folded it.
    pub blocked: bool,
    pub pending: u64,
    pub refused: u64,
    pub dead: u64,
}

/// Reads the ledger.
#[async_trait]
pub trait Queries: Send + Sync + 'static {
    /// Deliveries, newest first, after the token's.
    async fn list(&self, filter: &Filter, after: Option<PageToken>, limit: u32) -> Result<Vec<Recorded>>;

    /// The origins that have lanes or are blocked, by name in the order of its bytes, after this one.
    async fn list_peers(&self, after: Option<&Origin>, limit: u32) -> Result<Vec<PeerRow>>;

    /// One of them.
    async fn peer(&self, origin: &Origin) -> Result<Option<PeerRow>>;

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
