//! The ledger's time as the holder of a claim reckons it.

use std::{sync::Arc, time::Instant};

use fedsx_kernel::delivery::claim::{POST_TIMEOUT, may_post};
use fedsx_runtime::clock::Clock;
use jiff::{SignedDuration, Timestamp};

use crate::ledger::Claim;

/// Started before a claim is asked for, so that it never runs behind the claim.
#[derive(Debug, Clone)]
pub(crate) struct Stopwatch {
    clock: Arc<dyn Clock>,
    wall: Timestamp,
    monotonic: Instant,
}

impl Stopwatch {
    pub(crate) fn start(clock: &Arc<dyn Clock>) -> Self {
        Self {
            clock: clock.clone(),
            wall: clock.now(),
            monotonic: Instant::now(),
        }
    }

    /// The ledger's time, for the holder of a claim that was asked for when the watch was started.
    pub(crate) fn now(&self, claim: &Claim) -> Timestamp {
        after(claim, self.by_wall())
    }

    /// Whether a POST that starts now ends while the claim is good. Both clocks count, the faster wins: the one may be set
    /// back, the other stands still while the machine sleeps.
    pub(crate) fn may_post(&self, claim: &Claim) -> bool {
        let monotonic = SignedDuration::try_from(self.monotonic.elapsed()).unwrap_or(SignedDuration::MAX);
        may_post(
            claim.until,
            after(claim, self.by_wall().max(monotonic)),
            POST_TIMEOUT,
        )
    }

    fn by_wall(&self) -> SignedDuration {
        self.clock
            .now()
            .duration_since(self.wall)
            .max(SignedDuration::ZERO)
    }
}

fn after(claim: &Claim, elapsed: SignedDuration) -> Timestamp {
    claim.at.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use fedsx_kernel::delivery::{claim::CLAIM, peer::Peer};
    use fedsx_runtime::clock::ManualClock;

    use super::*;
    use crate::{
        lane::{AddressKind, Lane, LaneId},
        ledger::ClaimToken,
    };

    #[test]
    fn no_post_starts_that_could_outlast_its_claim() {
        // The ledger's clock need not be this process's.
        let at = Timestamp::UNIX_EPOCH;
        let origin: fedsx_kernel::origin::Origin = "https://peer.example".parse().unwrap();
        let claim = Claim {
            lane: Lane {
                id: LaneId(1),
                actor: String::new(),
                kind: AddressKind::Inbox,
                address: origin.shared_inbox(),
                origin,
                replay: false,
            },
            token: ClaimToken::new("worker", 1),
            at,
            until: at + CLAIM,
            peer: Peer::LIVE,
            owed: Vec::new(),
        };
        let manual = ManualClock::new("2026-11-21T00:00:00Z".parse().unwrap());
        let clock: Arc<dyn Clock> = Arc::new(manual.clone());
        let watch = Stopwatch::start(&clock);
        assert!(watch.may_post(&claim));
        manual.advance(CLAIM - POST_TIMEOUT - SignedDuration::from_secs(5));
        assert!(watch.may_post(&claim));
        manual.advance(SignedDuration::from_secs(5));
        assert!(!watch.may_post(&claim));
        assert_eq!(watch.now(&claim), at + CLAIM - POST_TIMEOUT);
    }
}
