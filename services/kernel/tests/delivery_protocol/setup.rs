//! What a run explores: a script, and what may go wrong.

use crate::{entry::Entry, state::Nature};

/// One small world.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    /// Folded before the ledger starts: who follows from the beginning.
    pub prelude: &'static [Entry],
    pub script: &'static [Entry],
    /// The entries come one by one. Otherwise the script is in the log from the start, which shows as much: what lies
    /// beyond fan-out's cursor concerns nobody.
    pub one_by_one: bool,
    pub workers: u8,
    /// What may come of a POST, beside success.
    pub failures: &'static [Nature],
    /// A delivery (position, lane) that always ends so.
    pub poison: Option<(u8, u8, Nature)>,
    /// Two fan-outs, whose lease moves.
    pub two_fan_outs: bool,
    /// A broker that loses and repeats; without it every lane with due work is on offer.
    pub broker: bool,
    /// Positions of a page of catch-up.
    pub page: u8,
    /// Between reading a page of catch-up and committing it anything may happen.
    pub slow_pages: bool,
    pub parking: bool,
    /// Follows of parked origins may end.
    pub endings: bool,
    /// The origins answer other lanes, of actors that are not looked at.
    pub busy_siblings: bool,
    /// The receiver refuses posts in lane 0 unless it follows or has asked to (follower 3).
    pub receiver_checks: bool,
    /// What lane 0 was refused, or what died there, may be sent again.
    pub replays: bool,
    /// A lane owes no more where its peer takes nothing.
    pub most_owed: usize,
}

use Nature::{AnswerLost, Answers403, Answers500, Down};

/// Answers of every kind.
pub(crate) const ALL: &[Nature] = &[AnswerLost, Answers500, Answers403, Down];
/// Failures of the origin alone.
pub(crate) const AWAY: &[Nature] = &[AnswerLost, Down];

/// Follower 0 alone.
pub(crate) const ONE: &[Entry] = &[Entry::Follow(0, 1), Entry::Accept(0, 1)];

impl Setup {
    pub(crate) const fn new(prelude: &'static [Entry], script: &'static [Entry]) -> Self {
        Self {
            prelude,
            script,
            one_by_one: false,
            workers: 2,
            failures: AWAY,
            poison: None,
            two_fan_outs: false,
            broker: false,
            page: 1,
            slow_pages: false,
            parking: true,
            endings: false,
            busy_siblings: false,
            receiver_checks: false,
            replays: false,
            most_owed: usize::MAX,
        }
    }

    pub(crate) const fn workers(self, workers: u8) -> Self {
        Self { workers, ..self }
    }

    pub(crate) const fn failures(self, failures: &'static [Nature]) -> Self {
        Self { failures, ..self }
    }

    pub(crate) const fn poison(self, position: u8, lane: u8, nature: Nature) -> Self {
        Self {
            poison: Some((position, lane, nature)),
            ..self
        }
    }

    pub(crate) const fn one_by_one(self) -> Self {
        Self {
            one_by_one: true,
            ..self
        }
    }

    pub(crate) const fn two_fan_outs(self) -> Self {
        Self {
            two_fan_outs: true,
            ..self
        }
    }

    pub(crate) const fn broker(self) -> Self {
        Self { broker: true, ..self }
    }

    pub(crate) const fn slow_pages(self) -> Self {
        Self {
            slow_pages: true,
            ..self
        }
    }

    pub(crate) const fn pages_of(self, page: u8) -> Self {
        Self { page, ..self }
    }

    pub(crate) const fn without_parking(self) -> Self {
        Self {
            parking: false,
            ..self
        }
    }

    pub(crate) const fn endings(self) -> Self {
        Self {
            endings: true,
            ..self
        }
    }

    pub(crate) const fn busy_siblings(self) -> Self {
        Self {
            busy_siblings: true,
            ..self
        }
    }

    pub(crate) const fn replays(self) -> Self {
        Self {
            replays: true,
            ..self
        }
    }

    pub(crate) const fn most_owed(self, most_owed: usize) -> Self {
        Self { most_owed, ..self }
    }

    pub(crate) const fn receiver_checks(self) -> Self {
        Self {
            receiver_checks: true,
            ..self
        }
    }
}
