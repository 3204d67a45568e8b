//! The one fold over Follow, Accept, Reject, Undo and blocks that the followers view, the following view and delivery's
//! audience share.
//!
//! A consumer of the log asks [`reference()`] whether an entry names its Follow by a bare id (and then looks that
//! activity up in the log), makes an [`Event`] of it with [`event`], and folds it with [`step`] into each [`Relation`]
//! that [`Event::concerns`] names. The same entries in the same order give the same relations wherever they are folded.

pub(crate) mod decision;
mod event;
mod relation;

use crate::{cid::Cid, origin::Origin};

pub use decision::{block, gone, unblock};
pub use event::{Inboxes, event, reference};
pub use relation::{Follow, Relation, RelationState, step};

/// What an entry of the log says about who follows whom. Its authority has been checked: it says only what its
/// actor may say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// `follower` asks to follow `followed`.
    Follow {
        followed: String,
        follower: String,
        follow: Follow,
    },
    /// `followed` agrees. `id` is the Follow's id; none where it was embedded without one.
    Accept {
        followed: String,
        follower: String,
        id: Option<String>,
    },
    /// `followed` refuses, or removes a follower that it had accepted.
    Reject {
        followed: String,
        follower: String,
        id: Option<String>,
    },
    /// `follower` takes its Follow back.
    Undo {
        followed: String,
        follower: String,
        id: Option<String>,
    },
    /// An operator blocks a peer: whatever stands between it and us ends.
    Block { origin: Origin },
    /// An operator lifts a block. Nothing that the block ended comes back by itself.
    Unblock { origin: Origin },
    /// Delivery gives a peer's follows up: exactly the named ones, by the CIDs of their Follows. Deliveries to the peer up
    /// to the position `through` end dead (0: none does); later ones stay owed.
    Gone {
        origin: Origin,
        follows: Vec<Cid>,
        through: u64,
    },
}

/// Which relations an event concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concern<'a> {
    Relation {
        followed: &'a str,
        follower: &'a str,
    },
    /// Every relation of which one party lives at this origin.
    Peer(&'a Origin),
}

impl Event {
    /// Which relations [`step`] has to be asked about.
    #[must_use]
    pub fn concerns(&self) -> Concern<'_> {
        match self {
            Self::Follow {
                followed, follower, ..
            }
            | Self::Accept {
                followed, follower, ..
            }
            | Self::Reject {
                followed, follower, ..
            }
            | Self::Undo {
                followed, follower, ..
            } => Concern::Relation { followed, follower },
            Self::Block { origin } | Self::Unblock { origin } | Self::Gone { origin, .. } => {
                Concern::Peer(origin)
            }
        }
    }
}
