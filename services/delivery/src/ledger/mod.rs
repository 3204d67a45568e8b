//! The ledger: every delivery with its state, and the tables that deciding needs beside it.
//!
//! What is decided stands in the kernel; *which rows are read and written together* stands here, as traits, so that one
//! conformance suite runs over every backend. Several processes use one ledger at the same time: leases and claims
//! expire by its clock, and [`Turn`] holds the one lock that fan-out, parking and catch-up share.
//!
//! To add a backend, implement the traits that [`Ledger`] joins and run `conformance` over it. Deciding functions that
//! backends share, so that each is SQL alone, are [`claim::grant`] and [`record::settle`].

pub mod claim;
pub mod lease;
pub mod query;
pub mod record;
pub mod sqlite;
pub mod sweep;
pub mod turn;

#[cfg(test)]
pub(crate) mod conformance;

use std::fmt::Debug;

pub use claim::{Claim, ClaimToken, Claims, Owed};
pub use lease::{Cursor, Lease, Leases};
pub use query::{Filter, PageToken, PeerRow, Queries, Recorded};
pub use record::{Attempt, Records, Report, Verdict, Verdicts};
pub use sweep::{Hurried, Sweeps};
pub use turn::{Audience, Members, NewDelivery, RelationKey, Turn, Turns, Whom};

/// The whole ledger.
pub trait Ledger: Leases + Turns + Claims + Records + Sweeps + Queries + Debug {}

impl<T: Leases + Turns + Claims + Records + Sweeps + Queries + Debug> Ledger for T {}

/// The ledger does not answer, or not what it must.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The driver's error; trying again may help.
    #[error("the ledger's database: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema cannot be brought up to date.
    #[error("the ledger's migrations: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A stored value that nothing of ours wrote.
    #[error("{table}.{column} of {key} is corrupt: {problem}")]
    Corrupt {
        table: &'static str,
        column: &'static str,
        key: String,
        problem: String,
    },
}

/// What a ledger's call answers.
pub type Result<T> = std::result::Result<T, LedgerError>;
