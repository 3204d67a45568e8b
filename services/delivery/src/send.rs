//! Sends what a claimed lane owes: in log order, one at a time, never past the claim.

use std::sync::Arc;

use fedsx_kernel::delivery::{
    outcome::Outcome,
    peer::Standing,
    row::{DeliveryState, Next, Row, next, next_exempt},
};
use fedsx_runtime::code::{Code, Refusal};
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use crate::{
    attempt::Attempts,
    gone::Gone,
    ledger::{Attempt, Claim, Owed, Report},
    metrics::Metrics,
    recorder::{Receipt, Recorder},
    schedule::pulse::Pulse,
    watch::Stopwatch,
};

/// A lane rests so long when something of this domain was missing, such as the log.
const REST: SignedDuration = SignedDuration::from_secs(3);

/// What sending needs.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) attempts: Attempts,
    pub(crate) recorder: Recorder,
    pub(crate) gone: Gone,
    pub(crate) metrics: Metrics,
    pub(crate) stop: CancellationToken,
}

/// What became of a claim.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    /// The lane has something due.
    pub(crate) due: bool,
    /// The last attempt.
    pub(crate) last: Option<Told>,
}

/// What an attempt brought, to be told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    pub(crate) outcome: Outcome,
    /// 0: none.
    pub(crate) status: u16,
    pub(crate) cause: String,
}

/// Why a lane was left.
enum Left {
    /// Everything was sent, or something forbids the next.
    Release,
    /// The claim is somebody else's by now.
    Lost,
    /// Something of ours is missing.
    Rest,
}

/// What a claim has brought so far.
#[derive(Debug, Default)]
struct Brought {
    unreported: Vec<Attempt>,
    last: Option<Told>,
}

impl Sender {
    /// Sends a claim's deliveries and releases it.
    pub(crate) async fn run(&self, claim: Claim, watch: Stopwatch, pulse: &Pulse) -> Ran {
        let mut brought = Brought::default();
        let pause = match self.deliver(&claim, &watch, pulse, &mut brought).await {
            Left::Lost => None,
            Left::Release => Some(SignedDuration::ZERO),
            Left::Rest => Some(REST),
        };
        let mut ran = Ran {
            due: false,
            last: brought.last,
        };
        if let Some(pause) = pause {
            let receipt = self.report(&claim, brought.unreported, true, pause).await;
            let verdict = receipt.verdict().await;
            ran.due = verdict.due;
            if verdict.mine {
                return ran;
            }
        }
        self.metrics.claims_lost.inc();
        ran
    }

    async fn deliver(&self, claim: &Claim, watch: &Stopwatch, pulse: &Pulse, brought: &mut Brought) -> Left {
        let mut failing =
            claim.peer.failing_since.is_some() || matches!(claim.peer.standing, Standing::Parked { .. });
        for (index, owed) in claim.owed.iter().enumerate() {
            if self.stop.is_cancelled() || owed.next_at > watch.now(claim) {
                return Left::Release;
            }
            let ahead = claim.owed.get(index + 1..).unwrap_or_default();
            let attempt = match self.attempts.make(claim, owed, ahead, watch, pulse).await {
                Ok(Some(attempt)) => attempt,
                Ok(None) => return Left::Release,
                Err(fault) => return rest(claim, &fault),
            };
            let (outcome, what) = what_next(claim, owed, &attempt, failing);
            brought.last = Some(Told {
                outcome,
                status: attempt.status,
                cause: attempt.cause.clone(),
            });
            brought.unreported.push(attempt);
            match what {
                // The last is recorded with the release.
                Next::Continue if ahead.is_empty() => {}
                Next::Continue => {
                    // Recorded with other lanes' while this one goes on.
                    self.report_now(claim, brought).await;
                }
                Next::RecordFirst => {
                    let verdict = self.report_now(claim, brought).await.verdict().await;
                    if outcome == Outcome::Gone {
                        self.gone.inbox(&claim.lane).await;
                    }
                    if !verdict.mine {
                        return Left::Lost;
                    }
                    failing = false;
                }
                Next::Stop => return Left::Release,
            }
        }
        Left::Release
    }

    /// Reports what is unreported; the claim goes on.
    async fn report_now(&self, claim: &Claim, brought: &mut Brought) -> Receipt {
        let attempts = std::mem::take(&mut brought.unreported);
        self.report(claim, attempts, false, SignedDuration::ZERO).await
    }

    async fn report(
        &self,
        claim: &Claim,
        attempts: Vec<Attempt>,
        release: bool,
        pause: SignedDuration,
    ) -> Receipt {
        let report = Report {
            lane: claim.lane.id,
            token: claim.token.clone(),
            attempts,
            release,
            pause,
        };
        self.recorder.report(report).await
    }
}

/// What an attempt means and what the lane does after it, as far as can be told before it is recorded: of the row that it
/// was pending, of the origin's other lanes nothing. Their answers may make the recording settle it otherwise, but only
/// between outcomes after which the lane does the same.
fn what_next(claim: &Claim, owed: &Owed, attempt: &Attempt, failing: bool) -> (Outcome, Next) {
    let row = Row {
        state: DeliveryState::Pending,
        attempts: owed.attempts,
    };
    let (outcome, settled) = attempt.settles(row, None);
    let next = match settled {
        Some(settled) if claim.lane.replay => next_exempt(settled, outcome, failing),
        Some(settled) => next(settled, failing),
        None => Next::Stop,
    };
    (outcome, next)
}

fn rest(claim: &Claim, fault: &Arc<Refusal>) -> Left {
    match fault.code {
        // Fan-out says that the log is away, once for all lanes.
        Code::Unavailable => tracing::debug!(error = %fault, "a lane rests"),
        code => tracing::error!(actor = claim.lane.actor, %code, error = %fault, "a lane cannot be sent"),
    }
    Left::Rest
}

#[cfg(test)]
mod tests {
    use fedsx_kernel::{delivery::peer::Peer, origin::Origin};
    use jiff::Timestamp;

    use super::*;
    use crate::{
        lane::{AddressKind, Lane, LaneId},
        ledger::ClaimToken,
    };

    fn claim(replay: bool) -> Claim {
        let origin: Origin = "https://peer.example".parse().unwrap();
        Claim {
            lane: Lane {
                id: LaneId(1),
                actor: String::new(),
                kind: AddressKind::Inbox,
                address: origin.shared_inbox(),
                origin,
                replay,
            },
            token: ClaimToken::new("worker", 1),
            at: Timestamp::UNIX_EPOCH,
            until: Timestamp::UNIX_EPOCH,
            peer: Peer::LIVE,
            owed: Vec::new(),
        }
    }

    fn after(outcome: Outcome, attempts: u32, failing: bool, replay: bool) -> Next {
        let owed = Owed {
            position: 1,
            cid: String::new(),
            attempts,
            tries: attempts,
            next_at: Timestamp::UNIX_EPOCH,
            trace: String::new(),
        };
        let attempt = Attempt {
            position: 1,
            outcome,
            at: Timestamp::UNIX_EPOCH,
            actor: None,
            status: 0,
            cause: String::new(),
            jitter: 0.0,
        };
        what_next(&claim(replay), &owed, &attempt, failing).1
    }

    #[test]
    fn a_lane_goes_on_after_an_end_and_stops_where_the_delivery_is_still_owed() {
        let table = [
            (Outcome::Delivered, 0, false, Next::Continue),
            (Outcome::Delivered, 0, true, Next::RecordFirst),
            (Outcome::Refused, 0, false, Next::RecordFirst),
            (Outcome::Gone, 0, false, Next::RecordFirst),
            (Outcome::Retry, 0, false, Next::Stop),
            (Outcome::Retry, 7, false, Next::RecordFirst),
            (Outcome::OriginFailed, 0, false, Next::Stop),
            (Outcome::Throttled(SignedDuration::ZERO), 0, false, Next::Stop),
        ];
        for (outcome, attempts, failing, expected) in table {
            assert_eq!(
                after(outcome, attempts, failing, false),
                expected,
                "{outcome:?} {attempts}"
            );
        }
    }

    #[test]
    fn a_replay_lane_goes_on_past_what_is_still_owed() {
        assert_eq!(after(Outcome::Retry, 0, false, true), Next::Continue);
        assert_eq!(after(Outcome::OriginFailed, 0, false, true), Next::Stop);
    }
}
