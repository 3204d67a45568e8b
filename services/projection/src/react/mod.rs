//! Reactions: what entries set in motion.
//!
//! A [`Reaction`] gets the log in order from its [`runner`], as it comes by [`hearing`]. A [`cursor`] in the store, under a lease like a shard's, moves past an
//! entry only after what the entry set in motion is logged; a crash in between repeats it. What a reaction does must
//! therefore be harmless when it is done again, also after a replay from the first entry.
//!
//! There are two. That Follows are answered is built in: [`follow`] decides how, [`answers`] reads what the decision needs and
//! publishes. What else happens, behaviours say: [`flows`](crate::flows).

use async_trait::async_trait;
use fedsx_runtime::code::{Code, Refusal};

use crate::{
    entry::{Entry, Unreadable},
    shard::ShardId,
    source::SourceError,
    store::{Group, StoreError},
};

pub(crate) mod answers;
mod cursor;
mod follow;
pub(crate) mod hearing;
pub(crate) mod runner;

/// What the entries of the log set in motion, one process at a time.
#[async_trait]
pub(crate) trait Reaction: Send + Sync + 'static {
    /// The name under which the cursor stands beside the shards of the views.
    fn name(&self) -> &'static str;

    /// The lease has been taken; what comes next are the entries after this position.
    async fn begin(&mut self, after: u64) -> Result<(), ReactError>;

    /// Does what these entries, which follow each other, ask for. `floor` is the log's head when the lease was taken: who
    /// judges by views does so by views that have seen as much.
    async fn react(&mut self, entries: &[&Entry], floor: u64) -> Result<Reacted, ReactError>;
}

/// What came of some entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Reacted {
    /// Whether they asked for anything.
    pub(crate) acted: bool,
    /// The last one that was heard, where what comes after it has to be read anew: the reaction listens to more from there.
    pub(crate) anew: Option<u64>,
}

/// The one shard that the runners of a reaction in all processes contend for.
pub(crate) fn group(name: &str) -> Group {
    Group {
        name: name.to_owned(),
        shards: vec![ShardId::new(name, 0)],
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
    #[error("what the entry at {position} sets in motion is refused: {refusal}")]
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
