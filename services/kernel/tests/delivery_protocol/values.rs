//! Between the explorer's small values and the kernel's.
//!
//! Time is not counted. Whatever the kernel lets happen after a while may happen now: a hold is over, a probe is due, a
//! failure is two minutes old, a parked origin 30 days. The explorer decides when.

use fedsx_kernel::delivery::{
    claim::{self, Lane},
    ladder::LADDER,
    outcome::Answer,
    peer::{self, Peer},
    row::{DeliveryState, Row, Settled},
};
use jiff::{SignedDuration, Timestamp};

use crate::state::{Cell, Left, Nature, Place, Standing};

pub(crate) const NOW: Timestamp = Timestamp::constant(2_000_000_000, 0);
pub(crate) const JITTER: f64 = 0.5;
const LONG_AGO: Timestamp = Timestamp::constant(1_990_000_000, 0);
const JUST_AGO: Timestamp = Timestamp::constant(1_999_999_999, 0);
const SOON: Timestamp = Timestamp::constant(2_000_000_001, 0);

/// The kernel counts in `u64`; the explorer's positions are few.
pub(crate) fn small(position: u64) -> u8 {
    u8::try_from(position).unwrap_or(u8::MAX)
}

pub(crate) fn peer(standing: &Standing) -> Peer {
    let place = match standing.place {
        Place::Live => peer::Standing::Live,
        Place::Parked(at) => peer::Standing::Parked {
            at: at.into(),
            since: LONG_AGO,
            next_probe: JUST_AGO,
        },
        Place::CatchingUp(at) => peer::Standing::CatchingUp { at: at.into() },
    };
    Peer {
        standing: place,
        failing_since: standing.failing.then_some(LONG_AGO),
        alive_at: standing.alive.then_some(JUST_AGO),
        hold_until: None,
    }
}

/// `peer` without its times; what happened stays as `before` had it.
pub(crate) fn standing(peer: Peer, before: Standing) -> Standing {
    let (place, parked) = match peer.standing {
        peer::Standing::Live => (Place::Live, false),
        peer::Standing::Parked { at, .. } => (Place::Parked(small(at)), true),
        peer::Standing::CatchingUp { at } => (Place::CatchingUp(small(at)), false),
    };
    Standing {
        place,
        failing: peer.failing_since.is_some(),
        // Of a peer that is not parked, only the answers since an attempt matter, and a batch keeps those itself.
        alive: parked && peer.alive_at.is_some(),
        ..before
    }
}

/// When the origin last answered, for an attempt that failed `NOW`.
pub(crate) fn alive_at(sibling_answered: bool) -> Option<Timestamp> {
    Some(if sibling_answered { SOON } else { JUST_AGO })
}

pub(crate) fn row(cell: Cell) -> Row {
    let rungs = u32::try_from(LADDER.len()).unwrap_or(u32::MAX);
    let (state, attempts) = match cell {
        Cell::None | Cell::Fresh => (DeliveryState::Pending, rungs - 1),
        Cell::Tried => (DeliveryState::Pending, rungs),
        Cell::Delivered => (DeliveryState::Delivered, 1),
        Cell::Refused => (DeliveryState::Refused, 1),
        Cell::Dead => (DeliveryState::Dead, rungs + 1),
    };
    Row { state, attempts }
}

pub(crate) fn cell(settled: Settled) -> Cell {
    match settled.state {
        DeliveryState::Pending if settled.attempts >= row(Cell::Tried).attempts => Cell::Tried,
        DeliveryState::Pending => Cell::Fresh,
        DeliveryState::Delivered => Cell::Delivered,
        DeliveryState::Refused => Cell::Refused,
        DeliveryState::Dead => Cell::Dead,
    }
}

pub(crate) fn claim_until(left: Left) -> Timestamp {
    let left = match left {
        Left::Enough => claim::CLAIM,
        Left::Little => claim::POST_TIMEOUT / 2,
        Left::Nothing => SignedDuration::from_secs(-1),
    };
    NOW + left
}

pub(crate) fn lane(claim: Option<Left>, pending: bool) -> Lane {
    Lane {
        claim_until: claim.map(claim_until),
        next_due: pending.then_some(JUST_AGO),
    }
}

/// Since when a row is due, of the lane whose turn it is to be probed or of another.
pub(crate) fn due(turn: bool) -> Timestamp {
    if turn { JUST_AGO } else { NOW }
}

/// What the worker sees of what nature did.
pub(crate) fn answer(nature: Nature) -> Answer {
    let status = |status| Answer::Status {
        status,
        retry_after: None,
    };
    match nature {
        Nature::Accepts => status(202),
        Nature::Answers500 => status(500),
        Nature::Answers403 => status(403),
        Nature::Down => status(503),
        Nature::AnswerLost | Nature::Poison | Nature::DarkPoison => Answer::Nothing,
    }
}

/// What a GET of the addressee's actor brings after such an attempt.
pub(crate) fn actor(nature: Nature) -> Answer {
    match nature {
        Nature::Poison => Answer::Status {
            status: 200,
            retry_after: None,
        },
        _ => Answer::Nothing,
    }
}
