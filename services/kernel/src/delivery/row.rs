//! A delivery's row in the ledger, and how an outcome settles it.

use std::str::FromStr;

use jiff::Timestamp;

use super::{ladder, later, outcome::Outcome};

/// A lane owes so many deliveries at most, where its peer [answers and takes none](takes_none).
pub const MOST_OWED: u32 = 10_000;

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// Owed.
    Pending,
    /// The peer has it.
    Delivered,
    /// The peer will not have it, or is blocked.
    Refused,
    /// Given up.
    Dead,
}

/// No state of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not pending, delivered, refused or dead")]
pub struct DeliveryStateError(pub String);

impl DeliveryState {
    /// Its name in the ledger and in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::Dead => "dead",
        }
    }
}

impl FromStr for DeliveryState {
    type Err = DeliveryStateError;
    fn from_str(name: &str) -> Result<Self, DeliveryStateError> {
        [Self::Pending, Self::Delivered, Self::Refused, Self::Dead]
            .into_iter()
            .find(|state| state.as_str() == name)
            .ok_or_else(|| DeliveryStateError(name.to_owned()))
    }
}

/// What deciding needs of a row of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Row {
    pub state: DeliveryState,
    /// Attempts that counted: those in which the origin failed or was busy do not.
    pub attempts: u32,
}

/// What an outcome writes into its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    pub state: DeliveryState,
    pub attempts: u32,
    /// When the delivery is due again; none where it has ended.
    pub next_at: Option<Timestamp>,
}

/// What a worker does after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Sends the lane's next delivery; the outcome is recorded with the batch.
    Continue,
    /// Records the outcome, and sends the lane's next delivery only when that is durable.
    RecordFirst,
    /// Records the outcome and leaves the lane: its order forbids the next delivery.
    Stop,
}

/// How an outcome settles a row; none where the row is not pending any more (a block, a peer given up or another worker
/// settled it meanwhile): then nothing is written. Ask for it with the row as it stands in the recording transaction,
/// after [`claim::is_mine`](super::claim::is_mine). `jitter` in [0, 1).
#[must_use]
pub fn settle(row: Row, outcome: Outcome, now: Timestamp, jitter: f64) -> Option<Settled> {
    if row.state != DeliveryState::Pending {
        return None;
    }
    let counted = row.attempts.saturating_add(1);
    let ended = |state| Settled {
        state,
        attempts: counted,
        next_at: None,
    };
    Some(match outcome {
        Outcome::Delivered => ended(DeliveryState::Delivered),
        Outcome::Refused | Outcome::Gone => ended(DeliveryState::Refused),
        Outcome::Retry => match ladder::wait(counted, jitter) {
            Some(wait) => {
                let next_at = Some(later(now, wait));
                Settled {
                    state: DeliveryState::Pending,
                    attempts: counted,
                    next_at,
                }
            }
            None => ended(DeliveryState::Dead),
        },
        // The peer's hold decides when; see `claim::claimable`.
        Outcome::Throttled(_) | Outcome::OriginFailed => Settled {
            state: DeliveryState::Pending,
            attempts: row.attempts,
            next_at: Some(now),
        },
    })
}

/// Whether the peer answered, so that it is never parked, and took nothing. Each such outcome of a delivery that is still
/// owed ends the oldest of its lane dead, as many as are owed beyond [`MOST_OWED`]: a peer that goes on like that for ever
/// would make the ledger grow for ever. Not in a lane of what was sent again, to which nothing adds by itself.
#[must_use]
pub fn takes_none(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Retry | Outcome::Throttled(_))
}

/// What the worker does after an attempt that settled its row so. A delivery that the lane passes undelivered is
/// recorded first: a crash would send it again, after its successors. `failing`: the origin was failing before this
/// attempt, so the success that lifts its hold should not wait for the batch.
#[must_use]
pub fn next(settled: Settled, failing: bool) -> Next {
    match settled.state {
        DeliveryState::Pending => Next::Stop,
        DeliveryState::Refused | DeliveryState::Dead => Next::RecordFirst,
        DeliveryState::Delivered if failing => Next::RecordFirst,
        DeliveryState::Delivered => Next::Continue,
    }
}

/// What the worker does after an attempt at a delivery that was sent again by hand. It is exempt from its lane's order:
/// still owed, it holds up nothing but itself, so the next is sent. Only where the origin failed, or wants to be left alone,
/// the worker stops as it always does.
#[must_use]
pub fn next_exempt(settled: Settled, outcome: Outcome, failing: bool) -> Next {
    match (settled.state, outcome) {
        (DeliveryState::Pending, Outcome::OriginFailed | Outcome::Throttled(_)) => Next::Stop,
        (DeliveryState::Pending, _) if failing => Next::RecordFirst,
        (DeliveryState::Pending, _) => Next::Continue,
        _ => next(settled, failing),
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_700_000_000, 0);
    const HELD: Outcome = Outcome::Throttled(SignedDuration::from_secs(30));

    fn pending(attempts: u32) -> Row {
        Row {
            state: DeliveryState::Pending,
            attempts,
        }
    }

    #[test]
    fn outcomes_settle_a_pending_row() {
        use DeliveryState::{Dead, Delivered, Pending, Refused};
        let table = [
            (0, Outcome::Delivered, Delivered, 1, None),
            (3, Outcome::Delivered, Delivered, 4, None),
            (0, Outcome::Refused, Refused, 1, None),
            (0, Outcome::Gone, Refused, 1, None),
            (0, Outcome::Retry, Pending, 1, Some(5)),
            (1, Outcome::Retry, Pending, 2, Some(30)),
            (6, Outcome::Retry, Pending, 7, Some(43_200)),
            (7, Outcome::Retry, Dead, 8, None),
            (4, Outcome::OriginFailed, Pending, 4, Some(0)),
            (4, HELD, Pending, 4, Some(0)),
        ];
        for (attempts, outcome, state, counted, wait) in table {
            let next_at = wait.map(|wait| NOW + SignedDuration::from_secs(wait));
            let expected = Settled {
                state,
                attempts: counted,
                next_at,
            };
            assert_eq!(
                settle(pending(attempts), outcome, NOW, 0.0),
                Some(expected),
                "{attempts} {outcome:?}"
            );
        }
    }

    #[test]
    fn a_row_that_has_ended_is_left_alone() {
        for state in [
            DeliveryState::Delivered,
            DeliveryState::Refused,
            DeliveryState::Dead,
        ] {
            for outcome in [
                Outcome::Delivered,
                Outcome::Refused,
                Outcome::Retry,
                Outcome::OriginFailed,
            ] {
                assert_eq!(
                    settle(Row { state, attempts: 2 }, outcome, NOW, 0.0),
                    None,
                    "{state:?} {outcome:?}"
                );
            }
        }
    }

    #[test]
    fn only_a_peer_that_answers_takes_none() {
        for (outcome, expected) in [
            (Outcome::Retry, true),
            (HELD, true),
            (Outcome::OriginFailed, false),
            (Outcome::Delivered, false),
            (Outcome::Refused, false),
        ] {
            assert_eq!(takes_none(outcome), expected, "{outcome:?}");
        }
    }

    #[test]
    fn what_the_lane_passes_undelivered_is_recorded_first() {
        let table = [
            (DeliveryState::Delivered, false, Next::Continue),
            (DeliveryState::Delivered, true, Next::RecordFirst),
            (DeliveryState::Refused, false, Next::RecordFirst),
            (DeliveryState::Dead, false, Next::RecordFirst),
            (DeliveryState::Pending, false, Next::Stop),
            (DeliveryState::Pending, true, Next::Stop),
        ];
        for (state, failing, expected) in table {
            let settled = Settled {
                state,
                attempts: 1,
                next_at: None,
            };
            assert_eq!(next(settled, failing), expected, "{state:?} {failing}");
        }
    }

    #[test]
    fn what_is_exempt_from_order_stops_for_its_origin_alone() {
        let table = [
            (Outcome::Retry, false, Next::Continue),
            (Outcome::Retry, true, Next::RecordFirst),
            (Outcome::OriginFailed, false, Next::Stop),
            (HELD, true, Next::Stop),
            (Outcome::Delivered, false, Next::Continue),
            (Outcome::Delivered, true, Next::RecordFirst),
            (Outcome::Refused, false, Next::RecordFirst),
            (Outcome::Gone, false, Next::RecordFirst),
        ];
        for (outcome, failing, expected) in table {
            let settled = settle(pending(0), outcome, NOW, 0.0).unwrap();
            assert_eq!(
                next_exempt(settled, outcome, failing),
                expected,
                "{outcome:?} {failing}"
            );
        }
        let dead = settle(pending(7), Outcome::Retry, NOW, 0.0).unwrap();
        assert_eq!(next_exempt(dead, Outcome::Retry, false), Next::RecordFirst);
    }

    #[test]
    fn states_are_named_both_ways() {
        for name in ["pending", "delivered", "refused", "dead"] {
            assert_eq!(name.parse::<DeliveryState>().map(DeliveryState::as_str), Ok(name));
        }
        assert_eq!(
            "Pending".parse::<DeliveryState>(),
            Err(DeliveryStateError("Pending".to_owned()))
        );
    }
}
