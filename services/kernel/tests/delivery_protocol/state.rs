//! One state of a small domain: two origins, three lanes and a replay lane, two workers, a log of a few entries.

/// Positions of the log that a script may use; a position is a bit of a mask.
pub(crate) const POSITIONS: u8 = 7;
/// Lane 0 leads to the shared inbox of origin 0, lane 1 to a personal inbox there, lane 2 to origin 1. Lane 3 is beside
/// lane 0: what is sent again.
pub(crate) const LANES: u8 = 4;
/// The replay lane, and the lane that it is beside.
pub(crate) const REPLAY: u8 = 3;
pub(crate) const REPLAYED: u8 = 0;
pub(crate) const ORIGINS: u8 = 2;
/// Deliveries that a claim's batch takes at most.
pub(crate) const BATCH: u32 = 2;

pub(crate) fn origin_of(lane: u8) -> u8 {
    u8::from(lane == 2)
}

pub(crate) fn lanes_of(origin: u8) -> impl Iterator<Item = u8> {
    (0..LANES).filter(move |&lane| origin_of(lane) == origin)
}

pub(crate) fn has(mask: u8, bit: u8) -> bool {
    mask >> bit & 1 == 1
}

/// The lane by which an address is owed what goes through this one.
pub(crate) fn owed_by(lane: u8) -> u8 {
    if lane == REPLAY { REPLAYED } else { lane }
}

/// A row of the ledger. The ladder has two rungs here: `Fresh` and `Tried` stand before its last two attempts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) enum Cell {
    #[default]
    None,
    Fresh,
    Tried,
    Delivered,
    Refused,
    Dead,
}

impl Cell {
    pub(crate) fn is_pending(self) -> bool {
        matches!(self, Self::Fresh | Self::Tried)
    }
}

/// A standing without its times: whatever waits for a moment has waited long enough.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) enum Place {
    #[default]
    Live,
    Parked(u8),
    CatchingUp(u8),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Standing {
    pub place: Place,
    pub failing: bool,
    /// Answered since it was parked.
    pub alive: bool,
    /// What happened, whatever the rules made of it: the last recorded attempt was the origin's failure.
    pub failed: bool,
    /// What happened: an answer was recorded since it was parked.
    pub answered: bool,
}

/// How much time of its claim a worker has left. Of a claim whose worker is gone only the end matters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Left {
    /// Enough for a POST.
    Enough,
    /// Less than a POST may take.
    Little,
    Nothing,
}

/// What nature makes of a POST.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Nature {
    Accepts,
    /// The peer has it, but its answer is lost.
    AnswerLost,
    Answers500,
    Answers403,
    Down,
    /// This delivery alone breaks the peer; a GET of the addressee's actor answers.
    Poison,
    /// As `Poison`, but the actor cannot be fetched.
    DarkPoison,
}

/// A worker between claim and record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Batch {
    pub lane: u8,
    /// Positions to send, and what is known of them.
    pub todo: u8,
    pub delivered: u8,
    pub refused: u8,
    /// Passed by although nothing ended; no rule as it stands lets that happen.
    pub passed: u8,
    /// The attempt after which the worker records.
    pub last: Option<(u8, Nature)>,
    /// A POST that started too late and is still under way; no rule as it stands lets that happen.
    pub flying: u8,
    /// How long it may go on by its claim, as every worker should have one; whether it lost it meanwhile, it does not know.
    pub left: Option<Left>,
    /// The origin answered another lane since the last attempt.
    pub sibling_answered: bool,
    /// Claimed before a block or the end of the follows was folded: what it has taken may still be sent.
    pub before_end: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) enum FanOut {
    #[default]
    Idle,
    /// Has read the cursor and, were they not read under the lock, which origins take rows.
    Read { cursor: u8, takes: u8 },
}

/// Decided, not yet in the log: the peer, the followers it names (a mask) and the cursor.
pub(crate) type Ending = Option<(u8, u8, u8)>;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct State {
    /// Which log, see `Logs`.
    pub log: u8,
    pub cursor: u8,
    pub fan_out: [FanOut; 2],
    /// Which fan-out has the lease.
    pub lease: u8,
    pub rows: [[Cell; POSITIONS as usize]; LANES as usize],
    /// Lanes that are in the table.
    pub known: u8,
    /// The worker whose token the lane carries.
    pub claims: [Option<u8>; LANES as usize],
    pub workers: [Option<Batch>; 2],
    pub peers: [Standing; ORIGINS as usize],
    /// A page of catch-up that was read: origin, from, to.
    pub page: Option<(u8, u8, u8)>,
    /// Lanes that the broker has a message for.
    pub queue: u8,
    pub ending: Ending,
    /// What the peers have, as masks of positions.
    pub received: [u8; LANES as usize],
}

impl State {
    pub(crate) fn new(log: u8, known: u8) -> Self {
        Self {
            log,
            cursor: 0,
            fan_out: Default::default(),
            lease: 0,
            rows: Default::default(),
            known,
            claims: [None; LANES as usize],
            workers: [None; 2],
            peers: Default::default(),
            page: None,
            queue: 0,
            ending: None,
            received: [0; LANES as usize],
        }
    }

    pub(crate) fn row(&self, lane: u8, position: u8) -> Cell {
        self.rows[usize::from(lane)][usize::from(position) - 1]
    }

    pub(crate) fn row_mut(&mut self, lane: u8, position: u8) -> &mut Cell {
        &mut self.rows[usize::from(lane)][usize::from(position) - 1]
    }

    pub(crate) fn peer(&self, origin: u8) -> &Standing {
        &self.peers[usize::from(origin)]
    }

    pub(crate) fn peer_mut(&mut self, origin: u8) -> &mut Standing {
        &mut self.peers[usize::from(origin)]
    }

    /// Pending `(lane, position)` of an origin.
    pub(crate) fn pending(&self, origin: u8) -> impl Iterator<Item = (u8, u64)> {
        lanes_of(origin).flat_map(move |lane| {
            (1..=POSITIONS)
                .filter(move |&position| self.row(lane, position).is_pending())
                .map(move |position| (lane, u64::from(position)))
        })
    }

    pub(crate) fn has_pending(&self, lane: u8) -> bool {
        self.rows[usize::from(lane)].iter().any(|row| row.is_pending())
    }

    /// What is left of the lane's claim; none: nobody holds it.
    pub(crate) fn claim(&self, lane: u8) -> Option<Left> {
        let token = self.claims[usize::from(lane)]?;
        let batch = self.workers[usize::from(token)].filter(|batch| batch.lane == lane);
        Some(batch.and_then(|batch| batch.left).unwrap_or(Left::Enough))
    }

    /// Whether another lane of the origin has a claim that has not run out.
    pub(crate) fn sibling_is_claimed(&self, lane: u8) -> bool {
        let mut siblings = lanes_of(origin_of(lane)).filter(|&other| other != lane);
        siblings.any(|other| self.claim(other).is_some_and(|left| left != Left::Nothing))
    }

    /// Time passes for a lane's claim.
    pub(crate) fn age(&mut self, lane: u8) {
        let Some(token) = self.claims[usize::from(lane)] else {
            return;
        };
        match &mut self.workers[usize::from(token)] {
            Some(batch) if batch.lane == lane && batch.left.is_some() => {
                batch.left = batch.left.map(|left| {
                    if left == Left::Enough {
                        Left::Little
                    } else {
                        Left::Nothing
                    }
                });
            }
            _ => self.claims[usize::from(lane)] = None,
        }
    }
}

/// What must never happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Violation {
    /// A lane received an entry after a later one.
    Order,
    /// Somebody outside the audience received.
    Audience,
    /// A row was written for a parked origin.
    RowWhileParked,
    /// A row that had ended was overwritten.
    EndedOverwritten,
    /// A blocked origin received.
    Blocked,
    /// Something that was given up with the peer's follows was sent all the same.
    GivenUp,
    /// An origin was parked, or kept parked, although it had answered.
    ParkedThoughAlive,
    /// A parked origin was sent more than probes, or a failing one several attempts at a time.
    Crowded,
    /// A peer that takes nothing is owed more and more.
    Surplus,
    /// From some state on, what is owed can never be received, or an origin never be live again.
    Stuck,
}
