//! Claims: a worker's right to send what a lane owes, until a moment on the ledger's clock.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use fedsx_kernel::{
    delivery::{
        claim::{self, claimable},
        peer::Peer,
    },
    origin::Origin,
};
use jiff::Timestamp;

use super::Result;
use crate::lane::{Lane, LaneId};

/// Deliveries that one claim hands out at most.
pub const PAGE: u32 = 100;

/// Drawn anew for each claim: `<owner>/<random>`. The owner is a replica's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClaimToken(pub String);

impl ClaimToken {
    /// A token of this owner; `random` sets it apart from any other.
    #[must_use]
    pub fn new(owner: &str, random: u128) -> Self {
        Self(format!("{}{random:032x}", Self::prefix(owner)))
    }

    /// What every token of this owner begins with.
    #[must_use]
    pub fn prefix(owner: &str) -> String {
        format!("{owner}/")
    }

    /// Whose it is; none where it is no token of ours.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(owner, _)| owner)
    }
}

/// A lane that is this worker's for a while.
#[derive(Debug, Clone)]
pub struct Claim {
    pub lane: Lane,
    pub token: ClaimToken,
    /// The ledger's time when the claim was made.
    pub at: Timestamp,
    /// When it expires.
    pub until: Timestamp,
    /// The origin's standing at that time.
    pub peer: Peer,
    /// The first pending deliveries, in log order; of a replay lane those that are due. Never empty.
    pub owed: Vec<Owed>,
}

impl Claim {
    /// The claim as a probe: its delivery is sent now, whatever rung of its ladder it waits on, or a peer whose first
    /// delivery waits for hours would be away for as long.
    #[must_use]
    pub fn as_probe(mut self) -> Self {
        for owed in &mut self.owed {
            owed.next_at = owed.next_at.min(self.at);
        }
        self
    }
}

/// A delivery to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    pub position: u64,
    pub cid: String,
    /// Attempts that counted.
    pub attempts: u32,
    /// All attempts, those that were its origin's failure included.
    pub tries: u32,
    pub next_at: Timestamp,
    /// `traceparent` of its fan-out; empty: none.
    pub trace: String,
}

/// Why an origin is probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// It is parked, and its time has come.
    Due,
    /// Somebody asks: whatever its standing, and whatever it is held for.
    Asked,
}

/// Claims lanes.
#[async_trait]
pub trait Claims: Send + Sync + 'static {
    /// Claims those of the lanes that may be claimed now ([`claimable`]), with at most [`PAGE`] deliveries each. Whoever is
    /// not in the answer is parked, held, claimed, not due, drained, or waits for another lane of its failing origin.
    async fn claim(&self, lanes: &[LaneId], token: &ClaimToken) -> Result<Vec<Claim>>;

    /// Claims the lane of an origin's probe, [whose turn it is](fedsx_kernel::delivery::peer::probe), with one delivery, and
    /// sets the probe down as [begun](Peer::probing). None: no probe is due, nothing is pending, the lane is claimed, or the
    /// origin is failing and another of its lanes is.
    async fn claim_probe(&self, origin: &Origin, why: Probe, token: &ClaimToken) -> Result<Option<Claim>>;

    /// Ends every claim of an owner who has started anew, and lets what it had queued be swept at once. Owners that live
    /// at the same time have different names.
    async fn forget_claims(&self, owner: &str) -> Result<()>;
}

/// A lane that might be claimed, as a backend read it.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub lane: LaneId,
    pub origin: Origin,
    pub replay: bool,
    pub claim: claim::Lane,
}

/// The candidates that may be claimed now, together: of a failing origin one at most. `claimed` names the failing
/// origins of which a lane is claimed by anybody.
#[must_use]
pub fn grant(
    candidates: &[Candidate],
    peers: &BTreeMap<Origin, Peer>,
    claimed: &BTreeSet<Origin>,
    now: Timestamp,
) -> Vec<LaneId> {
    let mut claimed = claimed.clone();
    let mut granted = Vec::new();
    for candidate in candidates {
        let peer = peers.get(&candidate.origin).unwrap_or(&Peer::LIVE);
        if claimable(candidate.claim, peer, claimed.contains(&candidate.origin), now) {
            granted.push(candidate.lane);
            claimed.insert(candidate.origin.clone());
        }
    }
    granted
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn candidate(lane: i64, origin: &str, due: Timestamp) -> Candidate {
        Candidate {
            lane: LaneId(lane),
            origin: origin.parse().unwrap(),
            replay: false,
            claim: claim::Lane {
                claim_until: None,
                next_due: Some(due),
            },
        }
    }

    #[test]
    fn a_token_tells_whose_it_is() {
        for owner in ["delivery", "blog-delivery-7c9f-x2x", "a/b", ""] {
            let token = ClaimToken::new(owner, 7);
            assert_eq!(token.owner(), Some(owner));
            assert!(token.0.starts_with(&ClaimToken::prefix(owner)));
        }
        assert_eq!(ClaimToken("nobody's".to_owned()).owner(), None);
    }

    #[test]
    fn a_failing_origin_gets_one_lane_and_a_healthy_one_gets_all() {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1);
        let failing: Origin = "https://failing.example".parse().unwrap();
        let peers = BTreeMap::from([(
            failing.clone(),
            Peer {
                failing_since: Some(now),
                ..Peer::LIVE
            },
        )]);
        let candidates = [
            candidate(1, failing.as_str(), now),
            candidate(2, failing.as_str(), now),
            candidate(3, "https://well.example", now),
            candidate(4, "https://well.example", now),
        ];
        let none = BTreeSet::new();
        assert_eq!(
            grant(&candidates, &peers, &none, now),
            [LaneId(1), LaneId(3), LaneId(4)]
        );
        let claimed = BTreeSet::from([failing]);
        assert_eq!(grant(&candidates, &peers, &claimed, now), [LaneId(3), LaneId(4)]);
    }
}
