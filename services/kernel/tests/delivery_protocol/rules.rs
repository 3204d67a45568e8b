//! Every decision that the explorer takes, as the kernel takes it; a test may replace one.

use fedsx_kernel::{
    audience::Recipients,
    delivery::{
        audience::{self, Change},
        catch_up::{self, Page},
        claim::{self, Lane},
        fan_out::{self, Address, Member},
        outcome::{self, Answer, Outcome},
        peer::{self, Peer},
        row::{self, Next, Row, Settled},
    },
    follow::{self, Event, Relation},
    origin::Origin,
};
use jiff::{SignedDuration, Timestamp};

pub(crate) type ChangeOf = fn(&Event, u64, Option<&Relation>, Option<&Relation>) -> Change;
/// Lane and position of a pending row, and since when it is due.
type Pending = (u8, u64, Timestamp);
type Blocked<'a> = &'a dyn Fn(&Origin) -> bool;

/// The kernel's functions, and the discipline of the transactions that call them (the list in `delivery`'s page).
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    pub step: fn(Option<Relation>, &Event) -> Option<Relation>,
    pub admits: fn(&Relation) -> bool,
    pub change: ChangeOf,
    pub holds: fn(u64, Option<u64>, u64) -> bool,
    pub owed: fn(&Recipients, Vec<Member<'_>>, Blocked<'_>) -> Vec<Address>,
    pub due: fn(u64, u64, bool) -> bool,
    pub takes_rows: fn(&Peer) -> bool,
    pub classify: fn(Answer) -> Outcome,
    pub attribute: fn(Outcome, Timestamp, Option<Timestamp>, Option<Answer>) -> Outcome,
    pub settle: fn(Row, Outcome, Timestamp, f64) -> Option<Settled>,
    pub takes_none: fn(Outcome) -> bool,
    pub next: fn(Settled, bool) -> Next,
    pub next_exempt: fn(Settled, Outcome, bool) -> Next,
    pub claimable: fn(Lane, &Peer, bool, Timestamp) -> bool,
    pub is_free: fn(Option<Timestamp>, Timestamp) -> bool,
    pub may_post: fn(Timestamp, Timestamp, SignedDuration) -> bool,
    pub is_mine: fn(Option<&u8>, &u8) -> bool,
    pub after: fn(Peer, Outcome, Timestamp, f64) -> Peer,
    pub parks: fn(&Peer, Timestamp) -> bool,
    pub parked: fn(Peer, u64, Timestamp) -> Peer,
    pub probes: fn(&Peer, Timestamp) -> bool,
    pub probe: fn(Vec<Pending>) -> Option<(u8, u64)>,
    pub waits: fn(&Peer, bool) -> bool,
    pub unparked: fn(Peer, u64) -> Peer,
    pub is_gone: fn(&Peer, Timestamp) -> bool,
    pub given_up: fn(Peer, u64, Timestamp) -> Peer,
    pub page: fn(&Peer, u64, u64) -> Option<Page>,
    pub commits: fn(&Peer, &Peer) -> bool,
    pub advanced: fn(Peer, Page, u64) -> Peer,
    /// Fan-out reads the peers' standings under the lock of the cursor's row.
    pub standings_under_lock: bool,
    /// Parking touches no row of the ledger.
    pub parking_keeps_rows: bool,
    /// Catch-up makes the lanes that the audience needs.
    pub catch_up_makes_lanes: bool,
    /// A probe takes its lane's claim.
    pub probe_takes_claim: bool,
    /// Folding a block ends the origin's pending deliveries.
    pub block_ends_pending: bool,
    /// Folding a block makes the origin live: it catches up with nothing from before.
    pub block_forgets_peer: bool,
    /// Folding the end of the follows ends the deliveries up to its position.
    pub ending_ends_pending: bool,
    /// Fan-out unparks at the cursor that its transaction leaves, not at the one that it found.
    pub unparks_at_new_cursor: bool,
    /// Sent again, a row leaves its lane.
    pub replay_leaves_the_lane: bool,
    /// Nothing is sent again to a blocked peer.
    pub replay_spares_the_blocked: bool,
}

impl Rules {
    pub(crate) const KERNEL: Self = Self {
        step: follow::step,
        admits: Relation::admits,
        change: audience::change,
        holds: audience::holds,
        owed: |recipients, audience, blocked| fan_out::owed(recipients, audience, blocked),
        due: fan_out::due,
        takes_rows: Peer::takes_rows,
        classify: outcome::classify,
        attribute: outcome::attribute,
        settle: row::settle,
        takes_none: row::takes_none,
        next: row::next,
        next_exempt: row::next_exempt,
        claimable: claim::claimable,
        is_free: claim::is_free,
        may_post: claim::may_post,
        is_mine: claim::is_mine::<u8>,
        after: Peer::after,
        parks: Peer::parks,
        parked: Peer::parked,
        probes: Peer::probes,
        probe: |pending| peer::probe(pending),
        waits: Peer::waits,
        unparked: Peer::unparked,
        is_gone: Peer::is_gone,
        given_up: Peer::given_up,
        page: catch_up::page,
        commits: catch_up::commits,
        advanced: catch_up::advanced,
        standings_under_lock: true,
        parking_keeps_rows: true,
        catch_up_makes_lanes: true,
        probe_takes_claim: true,
        block_ends_pending: true,
        block_forgets_peer: true,
        ending_ends_pending: true,
        unparks_at_new_cursor: true,
        replay_leaves_the_lane: true,
        replay_spares_the_blocked: true,
    };
}
