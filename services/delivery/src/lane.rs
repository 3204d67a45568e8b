//! A lane: one local actor's way to one address. What is due goes through it in log order.
//!
//! Beside it there may be a *replay lane* to the same address, for what an operator sends again. It is claimed, held and
//! limited like any other, but keeps no order: each of its deliveries is due by its own time, and none waits for another. So
//! what is sent again neither holds up nor reorders what the lane itself owes.

use std::fmt;

use fedsx_kernel::origin::Origin;

/// A lane's id in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneId(pub i64);

impl fmt::Display for LaneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a lane's address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressKind {
    /// A (shared) inbox, as the log told, or where a webhook goes.
    Inbox,
    /// An actor or a base; its inbox is looked up when something is sent.
    Actor,
}

impl AddressKind {
    /// Its name in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbox => "inbox",
            Self::Actor => "actor",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Inbox, Self::Actor]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

/// A lane as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    pub id: LaneId,
    /// The local actor's id.
    pub actor: String,
    pub kind: AddressKind,
    pub address: String,
    pub origin: Origin,
    /// A replay lane.
    pub replay: bool,
}
