//! The decisions of delivery (the design's section 8) as pure functions: values that the service read from its tables
//! come in, values to be written go out. `tests/delivery_protocol/` explores them exhaustively.
//!
//! A position is an entry's place in the log, from 1; the *cursor* is the last position that fan-out has written.
//!
//! What the functions cannot hold by themselves is the discipline of the transactions that call them:
//!
//! 1. *Fan-out's turn* locks the cursor's row, then reads the peers' standings, then decides. It writes ledger rows,
//!    audience and cursor together, then unparks the peers that [wait](peer::Peer::waits) at the cursor that it leaves,
//!    and runs when [`fan_out::due`] says so, with or without a new entry. An entry is folded before what it owes is asked.
//! 2. *Parking* and *each page of catch-up* lock the cursor's row too, and read the peer again under that lock.
//! 3. Parking touches no row of the ledger. Writing a row that is there already changes nothing.
//! 4. Catch-up makes rows and lanes for whatever the audience at each position owes the origin, not for known lanes alone.
//! 5. *Recording* reads the lane's claim and each row in the transaction that settles them, and releases a claim only
//!    if it is [its own](claim::is_mine).
//!    Where a peer [takes none](row::takes_none), it ends in the same transaction what the lane owes beyond
//!    [`MOST_OWED`](row::MOST_OWED), the oldest first.
//! 6. A probe takes its lane's claim like any other worker.
//! 7. Folding a [block](crate::follow::Event::Block) ends the origin's pending rows refused and makes it
//!    [`Peer::LIVE`](peer::Peer::LIVE); folding the [end of its follows](crate::follow::Event::Gone) ends those up to its
//!    position dead. What a worker had claimed before may still be sent.
//! 8. *Sending again* what was refused or is dead takes its row out of its lane into a second one to the same address,
//!    which has claims of its own and [no order](row::next_exempt). So the lane itself is never found with a row that
//!    is pending before one that has ended, which is what keeps its order, and what was sent again neither holds it up
//!    nor waits for it. The rows that were written for a position stay as many: no page of catch-up comes to it again. It locks
//!    the cursor's row and sends nothing again to a blocked peer, so that a block ends it or is seen.

pub mod audience;
pub mod catch_up;
pub mod claim;
pub mod fan_out;
pub mod ladder;
pub mod outcome;
pub mod parking;
pub mod peer;
pub mod row;

use jiff::{SignedDuration, Timestamp};

/// `at` plus `duration`, at the end of time at the latest.
fn later(at: Timestamp, duration: SignedDuration) -> Timestamp {
    at.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// A duration between `least` and `most`, as `jitter` in [0, 1) has it.
fn between(least: SignedDuration, most: SignedDuration, jitter: f64) -> SignedDuration {
    let span = (most - least).as_secs_f64() * jitter.clamp(0.0, 1.0);
    least + SignedDuration::try_from_secs_f64(span).unwrap_or_default()
}
