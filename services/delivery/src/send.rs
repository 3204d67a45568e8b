//! Sends what a claimed lane owes: in log order, one at a time, never past the claim.

use std::sync::Arc;

use fedsx_kernel::delivery::{
    outcome::{Outcome, attribute},
    peer::Standing,
    row::{DeliveryState, Next, Row, next, settle},
};
use fedsx_runtime::code::{Code, Refusal};
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use crate::{
    attempt::Attempts,
    gone::Gone,
    ledger::{Attempt, Claim, Owed, Report, Verdict},
    recorder::{Receipt, Recorder},
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
    pub(crate) stop: CancellationToken,
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

impl Sender {
    /// Sends a claim's deliveries and releases it. True: the lane has something due.
    pub(crate) async fn run(&self, claim: Claim, watch: Stopwatch) -> bool {
        let mut unreported = Vec::new();
        let left = self.deliver(&claim, &watch, &mut unreported).await;
        let pause = match left {
            Left::Lost => return false,
            Left::Release => SignedDuration::ZERO,
            Left::Rest => REST,
        };
        let receipt = self.report(&claim, unreported, true, pause).await;
        receipt.verdict().await.due
    }

    async fn deliver(&self, claim: &Claim, watch: &Stopwatch, unreported: &mut Vec<Attempt>) -> Left {
        let mut failing =
            claim.peer.failing_since.is_some() || matches!(claim.peer.standing, Standing::Parked { .. });
        for (index, owed) in claim.owed.iter().enumerate() {
            if self.stop.is_cancelled() || owed.next_at > watch.now(claim) {
                return Left::Release;
            }
            let ahead = claim.owed.get(index + 1..).unwrap_or_default();
            let attempt = match self.attempts.make(claim, owed, ahead, watch).await {
                Ok(Some(attempt)) => attempt,
                Ok(None) => return Left::Release,
                Err(fault) => return rest(claim, &fault),
            };
            let is_gone = attempt.outcome == Outcome::Gone;
            let what = what_next(owed, &attempt, failing);
            unreported.push(attempt);
            match what {
                Next::Continue => {
                    // Recorded with other lanes' while this one goes on.
                    self.report(claim, std::mem::take(unreported), false, SignedDuration::ZERO)
                        .await;
                }
                Next::RecordFirst => {
                    let receipt = self
                        .report(claim, std::mem::take(unreported), false, SignedDuration::ZERO)
                        .await;
                    let Verdict { mine, .. } = receipt.verdict().await;
                    if is_gone {
                        self.gone.inbox(&claim.lane).await;
                    }
                    if !mine {
                        return Left::Lost;
                    }
                    failing = false;
                }
                Next::Stop => return Left::Release,
            }
        }
        Left::Release
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

/// What the lane does after an attempt, as far as can be told before it is recorded. An answer of another lane may make
/// the recording decide otherwise, but only between outcomes after which the lane stops.
fn what_next(owed: &Owed, attempt: &Attempt, failing: bool) -> Next {
    let row = Row {
        state: DeliveryState::Pending,
        attempts: owed.attempts,
    };
    let outcome = attribute(attempt.outcome, attempt.at, None, attempt.actor);
    settle(row, outcome, attempt.at, attempt.jitter).map_or(Next::Stop, |settled| next(settled, failing))
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
    use jiff::Timestamp;

    use super::*;

    fn owed(attempts: u32) -> Owed {
        Owed {
            position: 1,
            cid: String::new(),
            attempts,
            next_at: Timestamp::UNIX_EPOCH,
            trace: String::new(),
        }
    }

    fn attempt(outcome: Outcome) -> Attempt {
        Attempt {
            position: 1,
            outcome,
            at: Timestamp::UNIX_EPOCH,
            actor: None,
            status: 0,
            cause: String::new(),
            jitter: 0.0,
        }
    }

    #[test]
    fn a_lane_goes_on_after_an_end_and_stops_where_the_delivery_is_still_owed() {
        assert_eq!(
            what_next(&owed(0), &attempt(Outcome::Delivered), false),
            Next::Continue
        );
        assert_eq!(
            what_next(&owed(0), &attempt(Outcome::Delivered), true),
            Next::RecordFirst
        );
        assert_eq!(
            what_next(&owed(0), &attempt(Outcome::Refused), false),
            Next::RecordFirst
        );
        assert_eq!(what_next(&owed(0), &attempt(Outcome::Retry), false), Next::Stop);
        assert_eq!(
            what_next(&owed(7), &attempt(Outcome::Retry), false),
            Next::RecordFirst
        );
        assert_eq!(
            what_next(&owed(0), &attempt(Outcome::OriginFailed), false),
            Next::Stop
        );
    }
}
