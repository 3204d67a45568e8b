//! Recording: what attempts brought, under the claim that made them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use fedsx_kernel::{
    delivery::{
        claim::is_mine,
        outcome::{Answer, Outcome, attribute},
        peer::{Peer, Standing},
        row::{DeliveryState, Row, Settled, settle as settle_row, takes_none},
    },
    origin::Origin,
};
use jiff::{SignedDuration, Timestamp};

use super::{ClaimToken, Result};
use crate::lane::LaneId;

/// Answers of an origin that is well are set down so often.
const ANSWERS: SignedDuration = SignedDuration::from_secs(1);

/// Deliveries of a lane that one outcome ends at most, besides its own.
pub const SURPLUS: u32 = 1_000;
/// What is said of them.
pub(super) const TAKES_NONE: &str = "the peer takes nothing and is owed too much";

/// What one claim has to say.
#[derive(Debug, Clone)]
pub struct Report {
    pub lane: LaneId,
    pub token: ClaimToken,
    pub attempts: Vec<Attempt>,
    /// The claim ends with this report.
    pub release: bool,
    /// Nothing of the lane is due for so long: what an attempt needed from this domain itself was missing. Counts for
    /// nobody. Zero: as the rows say.
    pub pause: SignedDuration,
}

/// One attempt at one delivery.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub position: u64,
    /// As the answer was classified.
    pub outcome: Outcome,
    /// When it ended, by the ledger's clock.
    pub at: Timestamp,
    /// What a GET of the addressee's actor, or of the origin's base, brought afterwards, where one was made.
    pub actor: Option<Answer>,
    /// HTTP status; 0: none.
    pub status: u16,
    /// One line; empty for a delivery.
    pub cause: String,
    /// In [0, 1).
    pub jitter: f64,
}

impl Attempt {
    /// What the attempt means for its delivery, and how it settles the row. `alive_at`: when the origin last answered any of
    /// its lanes, as far as is known.
    #[must_use]
    pub fn settles(&self, row: Row, alive_at: Option<Timestamp>) -> (Outcome, Option<Settled>) {
        let outcome = attribute(self.outcome, self.at, alive_at, self.actor);
        (outcome, settle_row(row, outcome, self.at, self.jitter))
    }
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the claim was still the reporter's; if not, nothing was written.
    pub mine: bool,
    /// The lane is released and has something due.
    pub due: bool,
}

/// What became of a batch.
#[derive(Debug, Clone, Default)]
pub struct Verdicts {
    /// One a report, in order.
    pub reports: Vec<Verdict>,
    /// Origins that have failed for so long that they are to be parked.
    pub park: Vec<Origin>,
    /// Origins that failed or were parked, and have answered.
    pub answered: Vec<Origin>,
}

/// Records outcomes.
#[async_trait]
pub trait Records: Send + Sync + 'static {
    /// Records a batch in one transaction. Each outcome counts only under its claim and for a pending row.
    async fn record(&self, reports: &[Report]) -> Result<Verdicts>;
}

/// What a backend reads, in the recording transaction, of the lanes in a batch.
#[derive(Debug, Default)]
pub struct Before {
    pub lanes: BTreeMap<LaneId, (Option<ClaimToken>, Origin)>,
    pub rows: BTreeMap<(LaneId, u64), Row>,
    pub peers: BTreeMap<Origin, Peer>,
}

/// What a backend writes.
#[derive(Debug, Default)]
pub struct After<'a> {
    /// With the report that tells of each, under whose claim it was sent.
    pub rows: Vec<(&'a Report, &'a Attempt, Settled)>,
    /// Those that changed.
    pub peers: BTreeMap<Origin, Peer>,
    /// Lanes of peers that [took none](takes_none): those that are no replay lanes end what they owe beyond
    /// [`MOST_OWED`](fedsx_kernel::delivery::row::MOST_OWED), the oldest first and at most [`SURPLUS`] at a time.
    pub unmoved: Vec<LaneId>,
    /// One a report.
    pub mine: Vec<bool>,
    pub park: Vec<Origin>,
    pub answered: Vec<Origin>,
}

/// Settles a batch.
#[must_use]
pub fn settle<'a>(reports: &'a [Report], before: &Before) -> After<'a> {
    let mut after = After::default();
    let mut attempts = Vec::new();
    for report in reports {
        let lane = before.lanes.get(&report.lane);
        let mine = lane.is_some_and(|(token, _)| is_mine(token.as_ref(), &report.token));
        after.mine.push(mine);
        if let Some((_, origin)) = lane.filter(|_| mine) {
            attempts.extend(report.attempts.iter().map(|attempt| (report, origin, attempt)));
        }
    }
    // Lanes of one origin report in any order; what came first must not undo what came later.
    attempts.sort_by_key(|(_, _, attempt)| attempt.at);
    let mut rows = before.rows.clone();
    let mut peers = before.peers.clone();
    let mut alive = BTreeMap::new();
    for (_, origin, attempt) in attempts
        .iter()
        .filter(|(_, _, attempt)| attempt.outcome != Outcome::OriginFailed)
    {
        alive.insert(*origin, attempt.at);
    }
    for (report, origin, attempt) in attempts {
        let Some(row) = rows.get_mut(&(report.lane, attempt.position)) else {
            continue;
        };
        let peer = peers.entry(origin.clone()).or_insert(Peer::LIVE);
        let alive_at = peer.alive_at.max(alive.get(origin).copied());
        let (outcome, settled) = attempt.settles(*row, alive_at);
        *peer = peer.after(outcome, attempt.at, attempt.jitter);
        if let Some(settled) = settled {
            *row = Row {
                state: settled.state,
                attempts: settled.attempts,
            };
            if settled.state == DeliveryState::Pending && takes_none(outcome) {
                after.unmoved.push(report.lane);
            }
            after.rows.push((report, attempt, settled));
        }
    }
    after.judge(before, peers, reports);
    after
}

impl After<'_> {
    fn judge(&mut self, before: &Before, peers: BTreeMap<Origin, Peer>, reports: &[Report]) {
        let Some(now) = reports
            .iter()
            .flat_map(|report| &report.attempts)
            .map(|attempt| attempt.at)
            .max()
        else {
            return;
        };
        for (origin, peer) in peers {
            let was = before.peers.get(&origin).copied().unwrap_or(Peer::LIVE);
            if was == peer || is_known(was, peer) {
                continue;
            }
            if peer.parks(now) {
                self.park.push(origin.clone());
            }
            let stalled = was.failing_since.is_some() || matches!(was.standing, Standing::Parked { .. });
            if stalled && peer.failing_since.is_none() && peer.alive_at > was.alive_at {
                self.answered.push(origin.clone());
            }
            self.peers.insert(origin, peer);
        }
    }
}

/// Whether nothing is new but that an origin has answered again, and it did just before. Written for each batch, an origin's
/// row would be what all workers wait for. Who would have liked to know, a failure between the two answers, asks the origin
/// itself.
fn is_known(was: Peer, is: Peer) -> bool {
    let since = was.alive_at.zip(is.alive_at);
    let soon = since.is_some_and(|(was, is)| is.duration_since(was) < ANSWERS);
    soon && is
        == Peer {
            alive_at: is.alive_at,
            ..was
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANE: LaneId = LaneId(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_000_000 + seconds)
    }

    fn origin() -> Origin {
        "https://peer.example".parse().unwrap()
    }

    fn token() -> ClaimToken {
        ClaimToken::new("worker", 1)
    }

    fn attempt(position: u64, outcome: Outcome, seconds: i64) -> Attempt {
        Attempt {
            position,
            outcome,
            at: at(seconds),
            actor: None,
            status: 0,
            cause: String::new(),
            jitter: 0.0,
        }
    }

    fn report(attempts: Vec<Attempt>) -> Report {
        Report {
            lane: LANE,
            token: token(),
            attempts,
            release: true,
            pause: SignedDuration::ZERO,
        }
    }

    fn before(peer: Peer) -> Before {
        Before {
            lanes: BTreeMap::from([(LANE, (Some(token()), origin()))]),
            rows: (1..=3)
                .map(|position| {
                    (
                        (LANE, position),
                        Row {
                            state: DeliveryState::Pending,
                            attempts: 0,
                        },
                    )
                })
                .collect(),
            peers: BTreeMap::from([(origin(), peer)]),
        }
    }

    #[test]
    fn an_outcome_under_anothers_claim_counts_for_nothing() {
        let mut before = before(Peer::LIVE);
        before
            .lanes
            .insert(LANE, (Some(ClaimToken::new("other", 1)), origin()));
        let reports = [report(vec![attempt(1, Outcome::Delivered, 0)])];
        let after = settle(&reports, &before);
        assert_eq!(after.mine, [false]);
        assert!(after.rows.is_empty() && after.peers.is_empty());
    }

    #[test]
    fn a_row_that_ended_meanwhile_stays_as_it_is() {
        let mut before = before(Peer::LIVE);
        before.rows.insert(
            (LANE, 1),
            Row {
                state: DeliveryState::Refused,
                attempts: 0,
            },
        );
        let reports = [report(vec![attempt(1, Outcome::Delivered, 0)])];
        assert!(settle(&reports, &before).rows.is_empty());
    }

    #[test]
    fn an_answer_of_another_lane_after_the_failure_makes_it_the_deliverys_own() {
        let alive = Peer {
            alive_at: Some(at(5)),
            ..Peer::LIVE
        };
        let reports = [report(vec![attempt(1, Outcome::OriginFailed, 0)])];
        let binding = before(alive);
        let after = settle(&reports, &binding);
        assert_eq!(after.rows[0].2.attempts, 1);
        let binding = before(Peer::LIVE);
        let after = settle(&reports, &binding);
        assert_eq!(after.rows[0].2.attempts, 0);
        assert_eq!(after.peers[&origin()].failing_since, Some(at(0)));
    }

    #[test]
    fn an_origin_that_goes_on_answering_is_not_written_each_time() {
        let alive = Peer {
            alive_at: Some(at(0)),
            ..Peer::LIVE
        };
        let failing = Peer {
            failing_since: Some(at(-1)),
            ..alive
        };
        for (peer, seconds, written) in [
            (alive, 0, false),
            (alive, 1, true),
            (failing, 0, true),
            (Peer::LIVE, 0, true),
        ] {
            let binding = before(peer);
            let mut delivered = attempt(1, Outcome::Delivered, seconds);
            delivered.at += SignedDuration::from_millis(500);
            let reports = [report(vec![delivered])];
            assert_eq!(
                settle(&reports, &binding).peers.contains_key(&origin()),
                written,
                "{peer:?} {seconds}"
            );
        }
    }

    #[test]
    fn two_minutes_of_failure_ask_for_parking_and_an_answer_is_told() {
        let failing = Peer {
            failing_since: Some(at(0)),
            ..Peer::LIVE
        };
        let binding = before(failing);
        let reports = [report(vec![attempt(1, Outcome::OriginFailed, 120)])];
        assert_eq!(settle(&reports, &binding).park, [origin()]);
        let reports = [report(vec![attempt(1, Outcome::Delivered, 100)])];
        let after = settle(&reports, &binding);
        assert!(after.park.is_empty());
        assert_eq!(after.answered, [origin()]);
    }
}
