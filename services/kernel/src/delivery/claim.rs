//! A worker's claim on a lane: a token drawn anew for each claim, good until a moment on the database's clock.

use jiff::{SignedDuration, Timestamp};

use super::peer::{Peer, Standing};

/// Longest time one POST may take, connecting and reading included.
pub const POST_TIMEOUT: SignedDuration = SignedDuration::from_secs(10);
/// How long a claim is good for.
pub const CLAIM: SignedDuration = SignedDuration::from_secs(60);

/// What deciding needs of a lane's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lane {
    /// Until when somebody's claim is good; none: nobody holds it.
    pub claim_until: Option<Timestamp>,
    /// When the lane's first pending delivery is due; none: nothing is pending.
    pub next_due: Option<Timestamp>,
}

/// Whether a lane is anybody's to claim.
#[must_use]
pub fn is_free(claim_until: Option<Timestamp>, now: Timestamp) -> bool {
    claim_until.is_none_or(|until| until <= now)
}

/// Whether a worker may claim a lane now. A parked peer is only [probed](super::peer::Peer::probes); a held one is
/// left alone; a failing one gets one attempt at a time: `siblings` says whether another of its lanes is claimed.
#[must_use]
pub fn claimable(lane: Lane, peer: &Peer, siblings: bool, now: Timestamp) -> bool {
    is_free(lane.claim_until, now)
        && lane.next_due.is_some_and(|due| due <= now)
        && !matches!(peer.standing, Standing::Parked { .. })
        && peer.hold_until.is_none_or(|until| until <= now)
        && !(peer.failing_since.is_some() && siblings)
}

/// Whether a POST may start: it must end, by its time-out at the latest, while the claim is good. So no two workers
/// ever have a POST of one lane under way.
#[must_use]
pub fn may_post(claim_until: Timestamp, now: Timestamp, timeout: SignedDuration) -> bool {
    claim_until.duration_since(now) > timeout
}

/// Whether a lane's claim is the one that sent: only then its outcomes count, and only then it is released.
#[must_use]
pub fn is_mine<T: PartialEq>(lane: Option<&T>, mine: &T) -> bool {
    lane == Some(mine)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_700_000_000, 0);

    fn at(seconds: i64) -> Timestamp {
        NOW + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn a_post_starts_only_if_it_ends_within_the_claim() {
        for (left, may) in [
            (60, true),
            (11, true),
            (10, false),
            (9, false),
            (0, false),
            (-1, false),
        ] {
            assert_eq!(may_post(at(left), NOW, POST_TIMEOUT), may, "{left}");
        }
    }

    #[test]
    fn a_fresh_claim_has_time_for_a_post() {
        assert!(may_post(NOW + CLAIM, NOW, POST_TIMEOUT));
    }

    #[test]
    fn a_lane_is_claimable_when_it_is_due_and_nobody_has_it() {
        let due = Some(at(-1));
        let table = [
            ("due", None, due, true),
            ("due now", None, Some(NOW), true),
            ("due later", None, Some(at(1)), false),
            ("nothing pending", None, None, false),
            ("claimed", Some(at(1)), due, false),
            ("the claim has run out", Some(NOW), due, true),
        ];
        for (what, claim_until, next_due, expected) in table {
            let lane = Lane {
                claim_until,
                next_due,
            };
            assert_eq!(claimable(lane, &Peer::LIVE, false, NOW), expected, "{what}");
            assert_eq!(
                claimable(lane, &Peer::LIVE, true, NOW),
                expected,
                "{what}, beside another"
            );
        }
    }

    #[test]
    fn the_peer_decides_too() {
        let failing = Peer {
            failing_since: Some(at(-20)),
            ..Peer::LIVE
        };
        let parked = Standing::Parked {
            at: 1,
            since: at(-900),
            next_probe: at(-1),
        };
        let table = [
            ("failing", failing, false, true),
            ("failing, another lane claimed", failing, true, false),
            (
                "held",
                Peer {
                    hold_until: Some(at(1)),
                    ..failing
                },
                false,
                false,
            ),
            (
                "held till now",
                Peer {
                    hold_until: Some(NOW),
                    ..failing
                },
                false,
                true,
            ),
            (
                "busy",
                Peer {
                    hold_until: Some(at(1)),
                    ..Peer::LIVE
                },
                false,
                false,
            ),
            (
                "parked",
                Peer {
                    standing: parked,
                    ..Peer::LIVE
                },
                false,
                false,
            ),
            (
                "catching up",
                Peer {
                    standing: Standing::CatchingUp { at: 1 },
                    ..Peer::LIVE
                },
                true,
                true,
            ),
        ];
        let lane = Lane {
            claim_until: None,
            next_due: Some(NOW),
        };
        for (what, peer, siblings, expected) in table {
            assert_eq!(claimable(lane, &peer, siblings, NOW), expected, "{what}");
        }
    }

    #[test]
    fn only_the_token_makes_a_claim_ones_own() {
        assert!(is_mine(Some(&7), &7));
        assert!(!is_mine(Some(&8), &7));
        assert!(!is_mine(None, &7));
    }
}
