//! When an origin is parked, and how its parking ends. All but the questions of time are asked under the lock of the
//! cursor's row.

use jiff::{SignedDuration, Timestamp};

use super::{
    later,
    peer::{PROBE, Peer, Standing},
};

/// Failure for so long, with no answer between, parks an origin.
pub const PARK_AFTER: SignedDuration = SignedDuration::from_mins(2);
/// Parked for so long, an origin's follows end.
pub const GONE_AFTER: SignedDuration = SignedDuration::from_hours(30 * 24);

impl Peer {
    /// Whether it is to be parked: two minutes of failure, no answer between.
    #[must_use]
    pub fn parks(&self, now: Timestamp) -> bool {
        !matches!(self.standing, Standing::Parked { .. })
            && self
                .failing_since
                .is_some_and(|since| now.duration_since(since) >= PARK_AFTER)
    }

    /// Parks it, at fan-out's cursor or where catch-up stands: below that every row is written and stays, with its
    /// attempts. Ask under the lock of the cursor's row.
    #[must_use]
    pub fn parked(self, cursor: u64, now: Timestamp) -> Self {
        let at = self.standing.at().unwrap_or(cursor.saturating_add(1));
        let standing = Standing::Parked {
            at,
            since: now,
            next_probe: later(now, PROBE[0]),
        };
        Self {
            standing,
            failing_since: None,
            alive_at: None,
            hold_until: None,
        }
    }

    /// Whether a probe is due: [one pending row](super::peer::probe) of the origin, under its lane's claim.
    #[must_use]
    pub fn probes(&self, now: Timestamp) -> bool {
        matches!(self.standing, Standing::Parked { next_probe, .. } if next_probe <= now)
            && self.alive_at.is_none()
            && self.hold_until.is_none_or(|until| until <= now)
    }

    /// Whether a parked origin waits for fan-out to end its parking: it has answered since, or no row is left to probe it
    /// with (`pending`: whether it has pending rows).
    #[must_use]
    pub fn waits(&self, pending: bool) -> bool {
        matches!(self.standing, Standing::Parked { .. }) && (self.alive_at.is_some() || !pending)
    }

    /// Ends its parking: it catches up, or is live at once where fan-out has written nothing since. `cursor` as this
    /// transaction leaves it. Ask under the lock of the cursor's row.
    #[must_use]
    pub fn unparked(self, cursor: u64) -> Self {
        match self.standing {
            Standing::Parked { at, .. } if at > cursor => Self {
                standing: Standing::Live,
                ..self
            },
            Standing::Parked { at, .. } => Self {
                standing: Standing::CatchingUp { at },
                ..self
            },
            _ => self,
        }
    }

    /// An operator wants everything tried now: holds are lifted, and a parked origin is probed at once.
    #[must_use]
    pub fn hurried(self, now: Timestamp) -> Self {
        let standing = match self.standing {
            Standing::Parked {
                at,
                since,
                next_probe,
            } => Standing::Parked {
                at,
                since,
                next_probe: next_probe.min(now),
            },
            standing => standing,
        };
        Self {
            standing,
            hold_until: None,
            ..self
        }
    }

    /// Whether fan-out writes rows for it: for live origins only. One that is catching up gets them from its pages.
    #[must_use]
    pub fn takes_rows(&self) -> bool {
        matches!(self.standing, Standing::Live)
    }

    /// Whether it has been parked for so long that its follows end.
    #[must_use]
    pub fn is_gone(&self, now: Timestamp) -> bool {
        matches!(self.standing, Standing::Parked { since, .. } if now.duration_since(since) >= GONE_AFTER)
    }

    /// After fan-out folded a [`Gone`](crate::follow::Event::Gone): nothing is owed up to `through` any more, so catch-up
    /// starts after it. Should it stay parked, the time to the next such decision starts again.
    #[must_use]
    pub fn given_up(self, through: u64, now: Timestamp) -> Self {
        let after = through.saturating_add(1);
        let standing = match self.standing {
            Standing::Parked { at, next_probe, .. } if through > 0 => Standing::Parked {
                at: at.max(after),
                since: now,
                next_probe,
            },
            Standing::CatchingUp { at } => Standing::CatchingUp { at: at.max(after) },
            standing => standing,
        };
        Self { standing, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::outcome::Outcome;

    const NOW: Timestamp = Timestamp::constant(1_700_000_000, 0);

    fn at(seconds: i64) -> Timestamp {
        NOW + SignedDuration::from_secs(seconds)
    }

    fn parked(position: u64) -> Peer {
        Peer::LIVE.parked(position - 1, NOW)
    }

    #[test]
    fn two_minutes_of_failure_park_and_an_answer_between_does_not() {
        let failing =
            Peer::LIVE
                .after(Outcome::OriginFailed, NOW, 0.0)
                .after(Outcome::OriginFailed, at(60), 0.0);
        assert_eq!(failing.failing_since, Some(NOW));
        assert!(!failing.parks(at(119)));
        assert!(failing.parks(at(120)));
        for outcome in [
            Outcome::Delivered,
            Outcome::Refused,
            Outcome::Gone,
            Outcome::Retry,
        ] {
            let answered = failing.after(outcome, at(90), 0.0);
            assert_eq!(
                (answered.failing_since, answered.hold_until, answered.alive_at),
                (None, None, Some(at(90)))
            );
            assert!(!answered.parks(at(1000)), "{outcome:?}");
        }
        assert!(!parked(4).parks(at(10_000)), "it is parked already");
    }

    #[test]
    fn it_parks_at_the_cursor_or_where_catch_up_stands() {
        let failing = Peer::LIVE.after(Outcome::OriginFailed, NOW, 0.0);
        let catching_up = Peer {
            standing: Standing::CatchingUp { at: 4 },
            ..failing
        };
        for (peer, expected) in [(failing, 10), (catching_up, 4)] {
            let peer = peer.parked(9, at(120));
            let standing = Standing::Parked {
                at: expected,
                since: at(120),
                next_probe: at(132),
            };
            assert_eq!(
                peer,
                Peer {
                    standing,
                    ..Peer::LIVE
                }
            );
        }
    }

    #[test]
    fn probes_come_every_twelve_seconds_for_an_hour_and_widen_to_ten_minutes() {
        let (mut peer, mut now, mut pauses) = (parked(4), at(12), vec![]);
        assert!(!peer.probes(at(11)));
        while now < at(3 * 3600) {
            assert!(peer.probes(now));
            peer = peer.after(Outcome::OriginFailed, now, 0.0);
            let Standing::Parked { next_probe, .. } = peer.standing else {
                panic!("still parked")
            };
            pauses.push(next_probe.duration_since(now).as_secs());
            now = next_probe;
        }
        assert!(pauses[..300].iter().all(|pause| *pause == 12), "{pauses:?}");
        assert_eq!(pauses[300..309], [12, 24, 48, 96, 192, 384, 600, 600, 600]);
        assert_eq!(peer.failing_since, None, "parked is parked");
    }

    #[test]
    fn any_answer_but_the_origins_failure_ends_parking() {
        let hold = SignedDuration::from_secs(60);
        let answers = [
            Outcome::Delivered,
            Outcome::Refused,
            Outcome::Gone,
            Outcome::Retry,
            Outcome::Throttled(hold),
        ];
        for outcome in answers {
            let peer = parked(4).after(outcome, at(20), 0.0);
            assert!(peer.waits(true), "{outcome:?}");
            assert!(!peer.probes(at(100)), "one answer is enough: {outcome:?}");
        }
        assert!(!parked(4).after(Outcome::OriginFailed, at(20), 0.0).waits(true));
    }

    #[test]
    fn hurried_it_is_tried_or_probed_at_once() {
        assert!(parked(4).hurried(at(1)).probes(at(1)));
        assert_eq!(parked(4).hurried(at(60)).standing, parked(4).standing);
        let failing = Peer::LIVE.after(Outcome::OriginFailed, NOW, 0.0);
        let hurried = failing.hurried(at(1));
        assert_eq!((hurried.hold_until, hurried.failing_since), (None, Some(NOW)));
    }

    #[test]
    fn no_pending_row_ends_parking_too() {
        assert!(parked(4).waits(false));
        assert!(!parked(4).waits(true));
        assert!(!Peer::LIVE.waits(false));
    }

    #[test]
    fn an_answer_from_before_it_was_parked_does_not_unpark() {
        let alive = Peer {
            alive_at: Some(at(-1)),
            failing_since: Some(at(-200)),
            ..Peer::LIVE
        };
        assert!(!alive.parked(3, NOW).waits(true));
    }

    #[test]
    fn unparking_catches_up_where_fan_out_has_gone_on() {
        assert_eq!(parked(4).unparked(3).standing, Standing::Live);
        assert_eq!(parked(4).unparked(4).standing, Standing::CatchingUp { at: 4 });
        assert_eq!(Peer::LIVE.unparked(9), Peer::LIVE);
    }

    #[test]
    fn rows_are_written_for_live_origins_only() {
        assert!(Peer::LIVE.takes_rows());
        assert!(!parked(4).takes_rows());
        assert!(!parked(4).unparked(4).takes_rows());
    }

    #[test]
    fn thirty_days_parked_is_gone() {
        let days = |days: i64| at(days * 86_400);
        assert!(!parked(4).is_gone(days(29)));
        assert!(parked(4).is_gone(days(30)));
        assert!(!Peer::LIVE.is_gone(days(400)));
        assert!(
            !parked(4).given_up(9, days(30)).is_gone(days(31)),
            "the next decision has its own 30 days"
        );
    }

    #[test]
    fn what_was_given_up_is_not_caught_up() {
        let table = [
            (parked(4).standing, 0, 4),
            (parked(4).standing, 2, 4),
            (parked(4).standing, 8, 9),
            (Standing::CatchingUp { at: 4 }, 8, 9),
            (Standing::CatchingUp { at: 4 }, 0, 4),
        ];
        for (standing, through, expected) in table {
            let peer = Peer {
                standing,
                ..Peer::LIVE
            }
            .given_up(through, at(1));
            assert_eq!(peer.standing.at(), Some(expected), "{standing:?} {through}");
            assert_eq!(peer.standing.as_str(), standing.as_str());
        }
        assert_eq!(Peer::LIVE.given_up(8, NOW), Peer::LIVE);
    }
}
