//! What every ledger does, whichever its database.

mod audience;
mod claim;
mod dead_letters;
mod endings;
mod lease;
mod probe;
mod query;
mod record;
mod rows;
mod sweep;

use std::{collections::BTreeMap, sync::Arc};

use fedsx_kernel::{
    delivery::{outcome::Outcome, peer::Peer},
    origin::Origin,
};
use fedsx_runtime::clock::{Clock as _, ManualClock};
use jiff::{SignedDuration, Timestamp};

use super::{Attempt, Claim, ClaimToken, Filter, Ledger, NewDelivery, Recorded, Report, Verdicts};
use crate::{
    broker::Due,
    lane::{AddressKind, LaneId},
};

pub(crate) const ALICE: &str = "https://blog.example/actors/alice";

/// A ledger and the clock that it goes by.
pub(crate) struct World {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) clock: ManualClock,
}

/// Runs the suite; `fresh` makes an empty ledger that goes by the clock.
pub(crate) async fn run<F, L>(fresh: F)
where
    F: Fn(ManualClock) -> L,
    L: Future<Output = Arc<dyn Ledger>>,
{
    let world = async || {
        let clock = ManualClock::new("2026-11-21T00:00:00Z".parse().unwrap());
        World {
            ledger: fresh(clock.clone()).await,
            clock,
        }
    };
    lease::run(&world).await;
    audience::run(&world).await;
    rows::run(&world).await;
    claim::run(&world).await;
    probe::run(&world).await;
    record::run(&world).await;
    sweep::run(&world).await;
    query::run(&world).await;
    dead_letters::run(&world).await;
    endings::run(&world).await;
}

pub(crate) fn origin(name: &str) -> Origin {
    format!("https://{name}.example").parse().unwrap()
}

/// Alice's row for the shared inbox of a peer, or for an inbox `name/path` of it.
pub(crate) fn delivery(peer: &str, position: u64) -> NewDelivery {
    let (name, path) = peer.split_once('/').unwrap_or((peer, "inbox"));
    NewDelivery {
        actor: ALICE.to_owned(),
        kind: AddressKind::Inbox,
        address: format!("{}/{path}", origin(name)),
        origin: origin(name),
        position,
        cid: format!("cid-{position}"),
        trace: "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01".to_owned(),
        awaited: false,
    }
}

pub(crate) fn token(number: u128) -> ClaimToken {
    ClaimToken::new("worker", number)
}

impl World {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }

    /// Writes rows, answering the lanes to be told of.
    pub(crate) async fn insert(&self, rows: &[NewDelivery]) -> Vec<Due> {
        let mut turn = self.ledger.turn().await.unwrap();
        let due = turn.insert(rows).await.unwrap();
        turn.commit().await.unwrap();
        due
    }

    /// Writes one row for each position to a peer, answering its lane.
    pub(crate) async fn owe(&self, peer: &str, positions: &[u64]) -> LaneId {
        let rows: Vec<_> = positions
            .iter()
            .map(|position| delivery(peer, *position))
            .collect();
        self.insert(&rows).await;
        let row = delivery(peer, 0);
        let all = self.all().await;
        all.into_iter()
            .find(|recorded| recorded.lane.address == row.address)
            .unwrap()
            .lane
            .id
    }

    pub(crate) async fn put_peer(&self, name: &str, peer: Peer) {
        let mut turn = self.ledger.turn().await.unwrap();
        turn.put_peers(&BTreeMap::from([(origin(name), peer)]))
            .await
            .unwrap();
        turn.commit().await.unwrap();
    }

    pub(crate) async fn peer(&self, name: &str) -> Peer {
        let mut turn = self.ledger.turn().await.unwrap();
        let mut peers = turn.peers(&[origin(name)]).await.unwrap();
        peers.remove(&origin(name)).unwrap_or(Peer::LIVE)
    }

    pub(crate) async fn claim(&self, lanes: &[LaneId], number: u128) -> Vec<Claim> {
        self.ledger.claim(lanes, &token(number)).await.unwrap()
    }

    /// Records one outcome under a claim.
    pub(crate) async fn record(
        &self,
        claim: &Claim,
        position: u64,
        outcome: Outcome,
        release: bool,
    ) -> Verdicts {
        let attempt = Attempt {
            position,
            outcome,
            at: self.now(),
            actor: None,
            status: 599,
            cause: "a cause".to_owned(),
            jitter: 0.0,
        };
        self.report(claim, vec![attempt], release).await
    }

    pub(crate) async fn report(&self, claim: &Claim, attempts: Vec<Attempt>, release: bool) -> Verdicts {
        let (lane, token) = (claim.lane.id, claim.token.clone());
        let report = Report {
            lane,
            token,
            attempts,
            release,
            pause: SignedDuration::ZERO,
        };
        self.ledger.record(&[report]).await.unwrap()
    }

    /// Every delivery, newest first.
    pub(crate) async fn all(&self) -> Vec<Recorded> {
        self.ledger.list(&Filter::default(), None, 100_000).await.unwrap()
    }

    /// Position, state and attempts of a lane's deliveries, oldest first.
    pub(crate) async fn states(&self, lane: LaneId) -> Vec<(u64, &'static str, u32)> {
        let mut all = self.all().await;
        all.reverse();
        all.into_iter()
            .filter(|row| row.lane.id == lane)
            .map(|row| (row.position, row.state.as_str(), row.attempts))
            .collect()
    }
}

pub(crate) fn positions(claim: &Claim) -> Vec<u64> {
    claim.owed.iter().map(|owed| owed.position).collect()
}

pub(crate) fn ids(claims: &[Claim]) -> Vec<LaneId> {
    let mut ids: Vec<_> = claims.iter().map(|claim| claim.lane.id).collect();
    ids.sort_unstable();
    ids
}

pub(crate) fn lanes(due: &[Due]) -> Vec<LaneId> {
    let mut lanes: Vec<_> = due.iter().map(|due| due.lane).collect();
    lanes.sort_unstable();
    lanes
}
