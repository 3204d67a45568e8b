//! Reactions: what entries set in motion.
//!
//! There is one, and it is built in: [`follow`] decides how a Follow is answered, [`answers`] reads what the decision needs
//! and publishes, [`runner`] gives it the log in order, as it comes by [`hearing`]. A [`cursor`] in the store, under a lease like a shard's, moves past an
//! entry only after what the entry set in motion is logged; a crash in between repeats it. What a reaction does must
//! therefore be harmless when it is done again, also after a replay from the first entry.

use fedsx_runtime::code::{Code, Refusal};

use crate::{
    entry::Unreadable,
    shard::ShardId,
    source::SourceError,
    store::{Group, StoreError},
};

pub(crate) mod answers;
mod cursor;
mod follow;
pub(crate) mod hearing;
pub(crate) mod runner;

/// The name under which the cursor stands beside the shards of the views.
pub(crate) const NAME: &str = "reaction/follow";

/// The one shard that the runners of all processes contend for.
pub(crate) fn group() -> Group {
    Group {
        name: NAME.to_owned(),
        shards: vec![ShardId::new(NAME, 0)],
    }
}

/// Why the reaction stands.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReactError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// They are not as far as they have to be.
    #[error("the views: {0}")]
    Views(Refusal),
    #[error("the row {key:?} of {view} cannot be read: {problem}")]
    Row {
        view: &'static str,
        key: String,
        problem: String,
    },
    #[error("the entry at {position} cannot be read: {problem}")]
    Entry { position: u64, problem: Unreadable },
    #[error("the answer to the Follow at {position} is refused: {refusal}")]
    Refused { position: u64, refusal: Refusal },
}

impl ReactError {
    /// Whether the log could not be read, or could not take an answer just now.
    fn is_of_the_log(&self) -> bool {
        match self {
            Self::Source(_) => true,
            Self::Refused { refusal, .. } => refusal.code == Code::Unavailable,
            _ => false,
        }
    }

    /// Whether somebody has to do something before it can go on.
    fn stands_still(&self) -> bool {
        match self {
            Self::Source(_) | Self::Store(_) | Self::Views(_) => false,
            Self::Row { .. } | Self::Entry { .. } => true,
            Self::Refused { refusal, .. } => refusal.code != Code::Unavailable,
        }
    }
}
