//! The cursor of fan-out, and the fenced lease by which one process at a time moves it.

use async_trait::async_trait;
use jiff::SignedDuration;

use super::Result;

/// How far fan-out is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The last position whose deliveries are written; 0: none.
    pub position: u64,
    /// The fence: who holds an older one changes nothing.
    pub epoch: u64,
    /// Up to here entries only shape the audience and nothing is sent: they were sent from a ledger that is lost. None:
    /// not decided yet.
    pub silent_until: Option<u64>,
    /// This ledger's own random name, by which a lost one is told from a new one.
    pub ledger: String,
}

/// The right to move the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub epoch: u64,
    /// Where the cursor stands.
    pub position: u64,
}

/// The lease over the cursor. It expires by the ledger's clock.
#[async_trait]
pub trait Leases: Send + Sync + 'static {
    /// The cursor as it stands.
    async fn cursor(&self) -> Result<Cursor>;

    /// Decides, once, up to where entries only shape the audience. Where it is decided already, nothing changes.
    async fn decide_silence(&self, until: u64) -> Result<()>;

    /// Takes the lease where it is free, has expired, or is this owner's from an earlier life; each taking is a new epoch.
    /// None: somebody else holds it.
    async fn take_lease(&self, owner: &str, term: SignedDuration) -> Result<Option<Lease>>;

    /// Holds the lease longer, and answers where the cursor stands: not where its holder left it, if the database has
    /// crashed and lost the last turns. Up to there they are kept for good. None: the lease is no longer this epoch's.
    async fn renew_lease(&self, epoch: u64, term: SignedDuration) -> Result<Option<Lease>>;

    /// Gives the lease back.
    async fn yield_lease(&self, epoch: u64) -> Result<()>;
}
