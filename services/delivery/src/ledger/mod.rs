//! The ledger: every delivery with its state, and the tables that deciding needs beside it.
//!
//! What is decided stands in the kernel; *which rows are read and written together* stands here, as traits, so that one
//! conformance suite runs over every backend. Several processes use one ledger at the same time: leases and claims
//! expire by its clock, and [`Turn`] holds the one lock that fan-out, parking and catch-up share.
//!
//! To add a backend, implement the traits that [`Ledger`] joins and run `conformance` over it. Deciding functions that
//! backends share, so that each is SQL alone, are [`claim::grant`] and [`record::settle`]; `value` reads what is stored.

pub mod claim;
pub mod dead_letters;
pub mod endings;
pub mod lease;
pub mod postgres;
pub mod query;
pub mod record;
pub mod sqlite;
pub mod sweep;
pub mod turn;
pub(crate) mod value;

#[cfg(test)]
pub(crate) mod conformance;

use std::fmt::Debug;

pub use claim::{Claim, ClaimToken, Claims, Owed, Probe};
pub use dead_letters::{DeadLetters, DeliveryKey, Replayed};
pub use endings::{Ended, Endings};
pub use fedsx_runtime::database::{Result, StoreError};
pub(crate) use fedsx_runtime::database::{driver, integer};
pub use lease::{Cursor, Lease, Leases};
pub use query::{Filter, PageToken, PeerRow, Queries, Recorded};
pub use record::{Attempt, Records, Report, Verdict, Verdicts};
pub use sweep::{Hurried, Sweeps};
pub use turn::{Audience, Members, NewDelivery, RelationKey, Turn, Turns, Whom};

/// The whole ledger.
pub trait Ledger:
    Leases + Turns + Claims + Records + Sweeps + Queries + DeadLetters + Endings + Debug
{
}

impl<T: Leases + Turns + Claims + Records + Sweeps + Queries + DeadLetters + Endings + Debug> Ledger for T {}
