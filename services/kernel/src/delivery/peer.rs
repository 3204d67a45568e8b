//! How a peer's origin stands with us as a receiver: live, parked or catching up. Inbound traffic never changes it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{between, later, outcome::Outcome};

/// Shortest and longest hold of an origin that failed. With the time that an attempt to connect takes, a peer that is
/// back gets its backlog within 15 seconds.
pub const HOLD: [SignedDuration; 2] = [SignedDuration::from_secs(5), SignedDuration::from_secs(12)];
/// First and longest interval between probes of a parked origin.
pub const PROBE: [SignedDuration; 2] = [SignedDuration::from_secs(12), SignedDuration::from_mins(10)];
/// Parked for no longer than this, an origin is probed at the first interval; then the intervals widen.
pub const PROBED_OFTEN: SignedDuration = SignedDuration::from_hours(1);

/// Where an origin stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Fan-out writes its rows.
    Live,
    /// No rows are written; one of those that are there is sent as a probe now and then.
    Parked {
        /// The first position whose rows are not written.
        at: u64,
        since: Timestamp,
        next_probe: Timestamp,
    },
    /// Rows are written page by page from the log, and sent.
    CatchingUp {
        /// The first position whose rows are not written.
        at: u64,
    },
}

impl Standing {
    /// Its name in the table and in the API.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Parked { .. } => "parked",
            Self::CatchingUp { .. } => "catching_up",
        }
    }

    /// The first position whose rows are not written; none for a live origin, where fan-out's cursor says it.
    #[must_use]
    pub fn at(&self) -> Option<u64> {
        match self {
            Self::Live => None,
            Self::Parked { at, .. } | Self::CatchingUp { at } => Some(*at),
        }
    }

    /// When a parked origin is probed next.
    #[must_use]
    pub fn next_probe(&self) -> Option<Timestamp> {
        match self {
            Self::Parked { next_probe, .. } => Some(*next_probe),
            _ => None,
        }
    }
}

/// An origin's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Peer {
    pub standing: Standing,
    /// The first failure since the last answer.
    pub failing_since: Option<Timestamp>,
    /// The last answer, of whatever lane; none since it was parked.
    pub alive_at: Option<Timestamp>,
    /// Nothing is sent before.
    pub hold_until: Option<Timestamp>,
}

impl Peer {
    /// An origin that nothing is known of.
    pub const LIVE: Self = Self {
        standing: Standing::Live,
        failing_since: None,
        alive_at: None,
        hold_until: None,
    };

    /// After an attempt whose outcome was [attributed](super::outcome::attribute). Any answer that is not the origin's own
    /// failure proves it alive, and lifts a hold that a failure caused. `at`: when the attempt ended, which may be a batch
    /// before it is recorded; an answer from before a failure does not undo it. `jitter` in [0, 1).
    #[must_use]
    pub fn after(self, outcome: Outcome, at: Timestamp, jitter: f64) -> Self {
        match outcome {
            Outcome::OriginFailed => self.failed(at, jitter),
            Outcome::Throttled(hold) => self.answered(at).held(later(at, hold)),
            _ => self.answered(at),
        }
    }

    /// After a probe of it has begun: the next begins an interval later at the earliest, whatever becomes of this one, and
    /// whoever looks meanwhile passes on to other origins.
    #[must_use]
    pub fn probing(self, now: Timestamp) -> Self {
        match self.standing {
            Standing::Parked {
                at,
                since,
                next_probe,
            } => Self {
                standing: Standing::Parked {
                    at,
                    since,
                    next_probe: next_probe.max(later(now, PROBE[0])),
                },
                ..self
            },
            _ => self,
        }
    }

    fn failed(self, now: Timestamp, jitter: f64) -> Self {
        match self.standing {
            Standing::Parked { at, since, .. } => {
                let parked = now.duration_since(since).saturating_sub(PROBED_OFTEN);
                let pause = parked.clamp(PROBE[0], PROBE[1]);
                let next_probe = later(now, pause);
                Self {
                    standing: Standing::Parked {
                        at,
                        since,
                        next_probe,
                    },
                    ..self
                }
            }
            _ => {
                let failing_since = self.failing_since.or(Some(now));
                Self {
                    failing_since,
                    ..self
                }
                .held(later(now, between(HOLD[0], HOLD[1], jitter)))
            }
        }
    }

    fn answered(self, at: Timestamp) -> Self {
        let alive_at = self.alive_at.max(Some(at));
        match self.failing_since {
            Some(since) if since > at => Self { alive_at, ..self },
            Some(_) => Self {
                alive_at,
                failing_since: None,
                hold_until: None,
                ..self
            },
            None => Self { alive_at, ..self },
        }
    }

    fn held(self, until: Timestamp) -> Self {
        Self {
            hold_until: self.hold_until.max(Some(until)),
            ..self
        }
    }
}

/// The row to probe a parked origin with, of its pending `(lane, position, due)`: the first of the lane in which that has
/// been due for longest. Its failure makes it due anew, so that the lanes take turns: one that nobody ever answers does
/// not speak for its origin.
#[must_use]
pub fn probe<L: Copy + Ord>(pending: impl IntoIterator<Item = (L, u64, Timestamp)>) -> Option<(L, u64)> {
    let mut firsts = BTreeMap::new();
    for (lane, position, due) in pending {
        let first = firsts.entry(lane).or_insert((position, due));
        *first = (*first).min((position, due));
    }
    let turn = firsts
        .into_iter()
        .min_by_key(|&(lane, (position, due))| (due, position, lane));
    turn.map(|(lane, (position, _))| (lane, position))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_700_000_000, 0);

    fn at(seconds: i64) -> Timestamp {
        NOW + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn a_failure_holds_for_five_to_twelve_seconds() {
        for (jitter, milliseconds) in [(0.0, 5_000), (0.5, 8_500), (1.0, 12_000)] {
            let peer = Peer::LIVE.after(Outcome::OriginFailed, NOW, jitter);
            assert_eq!(
                (peer.failing_since, peer.hold_until),
                (Some(NOW), Some(NOW + SignedDuration::from_millis(milliseconds))),
                "{jitter}"
            );
        }
    }

    #[test]
    fn an_answer_from_before_the_failure_that_is_recorded_after_it_changes_nothing() {
        let peer = Peer::LIVE
            .after(Outcome::OriginFailed, NOW, 0.0)
            .after(Outcome::Delivered, at(-1), 0.0);
        assert_eq!((peer.failing_since, peer.hold_until), (Some(NOW), Some(at(5))));
    }

    #[test]
    fn a_throttled_origin_is_held_and_alive_and_a_success_elsewhere_does_not_lift_that() {
        let hold = SignedDuration::from_mins(30);
        let peer =
            Peer::LIVE
                .after(Outcome::OriginFailed, NOW, 0.0)
                .after(Outcome::Throttled(hold), at(6), 0.0);
        assert_eq!((peer.failing_since, peer.hold_until), (None, Some(at(1806))));
        assert_eq!(
            peer.after(Outcome::Delivered, at(7), 0.0).hold_until,
            Some(at(1806))
        );
        assert_eq!(
            peer.after(Outcome::OriginFailed, at(7), 0.0).hold_until,
            Some(at(1806))
        );
    }

    #[test]
    fn while_an_origin_is_probed_no_other_probe_is_due() {
        let parked = Peer::LIVE.parked(4, NOW);
        let probing = parked.probing(at(60));
        assert!(parked.probes(at(60)) && !probing.probes(at(71)) && probing.probes(at(72)));
        let later = probing.after(Outcome::OriginFailed, at(65), 0.0);
        assert_eq!(later.standing.next_probe(), Some(at(77)));
        assert_eq!(later.probing(at(60)), later);
        assert_eq!(Peer::LIVE.probing(NOW), Peer::LIVE);
    }

    #[test]
    fn a_probe_is_the_first_row_of_the_lane_whose_turn_it_is() {
        let rows = |due: [i64; 3]| {
            let [one, two, three] = due.map(at);
            [(3, 9, three), (1, 7, one), (2, 7, two), (1, 8, at(-100))]
        };
        for (due, expected) in [
            ([0, 0, 0], (1, 7)),
            ([1, 0, 0], (2, 7)),
            ([1, 2, 0], (3, 9)),
            ([1, 2, 3], (1, 7)),
        ] {
            assert_eq!(probe(rows(due)), Some(expected), "{due:?}");
        }
        assert_eq!(probe::<u8>([]), None);
    }
}
