//! What may not happen, and what has.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use fedsx_kernel::{
    delivery::{claim::POST_TIMEOUT, outcome::Outcome},
    origin::Origin,
};
use jiff::Timestamp;

use super::{HEAD, ORIGINS, owed};
use crate::{
    lane::LaneId,
    ledger::{Claim, ClaimToken},
};

/// A claim that was handed out.
struct Held {
    token: ClaimToken,
    origin: Origin,
    until: Timestamp,
    /// When the call that made it had returned, in calls.
    known: u64,
    /// The origin was failing then.
    trial: bool,
    /// Its end was asked for: from then on it may or may not hold.
    ending: bool,
}

#[derive(Default)]
pub(super) struct Oracle {
    pub(super) down: HashSet<Origin>,
    pub(super) posts_made: u64,
    pub(super) crashes: u64,
    pub(super) parkings: u64,
    pub(super) pages: u64,
    pub(super) lost: u64,
    calls: u64,
    claims: HashMap<LaneId, Held>,
    /// By when the POST of a lane that is under way has ended.
    posts: HashMap<LaneId, Timestamp>,
    received: BTreeMap<String, BTreeSet<u64>>,
    retried: HashMap<(LaneId, u64), u32>,
}

impl Oracle {
    /// A claim is asked for.
    pub(super) fn asks(&mut self) -> u64 {
        self.calls += 1;
        self.calls
    }

    /// It was made, by the call that [asked](Self::asks) then.
    pub(super) fn claimed(&mut self, claim: &Claim, asked: u64) {
        let holds = |held: &Held| !held.ending && held.until > claim.at;
        if let Some(held) = self.claims.get(&claim.lane.id) {
            assert!(
                !holds(held),
                "lane {} is claimed twice: {:?}",
                claim.lane.id,
                claim.at
            );
        }
        let trial = claim.peer.failing_since.is_some();
        let other = self.claims.iter().find(|(lane, held)| {
            **lane != claim.lane.id
                && held.origin == claim.lane.origin
                && holds(held)
                && (held.trial || held.known < asked)
        });
        assert!(
            !trial || other.is_none(),
            "{} fails, and its lanes {} and {:?} are tried together",
            claim.lane.origin,
            claim.lane.id,
            other.map(|(lane, _)| lane)
        );
        self.calls += 1;
        let held = Held {
            token: claim.token.clone(),
            origin: claim.lane.origin.clone(),
            until: claim.until,
            known: self.calls,
            trial,
            ending: false,
        };
        self.claims.insert(claim.lane.id, held);
    }

    pub(super) fn releases(&mut self, claim: &Claim) {
        if let Some(held) = self
            .claims
            .get_mut(&claim.lane.id)
            .filter(|held| held.token == claim.token)
        {
            held.ending = true;
        }
    }

    pub(super) fn forgets(&mut self, owner: &str) {
        let owner = ClaimToken::prefix(owner);
        let mine = self
            .claims
            .values_mut()
            .filter(|held| held.token.0.starts_with(&owner));
        mine.for_each(|held| held.ending = true);
    }

    /// A POST begins.
    pub(super) fn sends(&mut self, lane: LaneId, now: Timestamp) {
        let other = self.posts.insert(lane, now + POST_TIMEOUT);
        assert!(other.is_none(), "lane {lane} has two POSTs under way");
        self.posts_made += 1;
    }

    /// The sender of a POST has died, and what became of it is not known.
    pub(super) fn hangs_up(&mut self, lane: LaneId) {
        self.posts.remove(&lane);
    }

    /// A POST ends.
    pub(super) fn answers(&mut self, claim: &Claim, position: u64) -> Outcome {
        self.posts.remove(&claim.lane.id);
        if self.down.contains(&claim.lane.origin) {
            return Outcome::OriginFailed;
        }
        let retried = self.retried.entry((claim.lane.id, position)).or_default();
        if *retried < 2 && rand::random_range(0..40) == 0 {
            *retried += 1;
            return Outcome::Retry;
        }
        self.receives(&claim.lane.address, position);
        Outcome::Delivered
    }

    fn receives(&mut self, address: &str, position: u64) {
        let received = self.received.entry(address.to_owned()).or_default();
        if received.insert(position) {
            let later = received.range(position + 1..).next();
            assert_eq!(later, None, "{address} gets {position} after that");
        }
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.posts.values().min().copied()
    }

    /// What is owed and has not been received.
    pub(super) fn missing(&self) -> Vec<(String, u64)> {
        let all =
            (1..=HEAD).flat_map(|position| ORIGINS.into_iter().flat_map(move |name| owed(position, name)));
        all.filter(|row| {
            let received = self.received.get(&row.address);
            received.is_none_or(|received| !received.contains(&row.position))
        })
        .map(|row| (row.address, row.position))
        .collect()
    }
}
