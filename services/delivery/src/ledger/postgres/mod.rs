//! The ledger in the schema `delivery` of the domain's PostgreSQL database. Any number of processes share it.
//!
//! # Locks
//!
//! Transactions run at READ COMMITTED: each statement sees what was committed before it began, and a row that is locked is
//! seen as its lock's previous holder left it. So whoever decides by rows locks them in one statement, and reads what
//! depends on them in the next. There are four kinds of locks, taken in this order, and of each kind in the order of keys:
//!
//! 1. `cursor`: held by every [`Turn`](super::Turn), and by replays of dead letters, until the end. What only they write
//!    needs no other lock among them: relations, audience, blocks, new lanes, the *kind* of an origin's standing and its
//!    position, and `lane_state.parked`.
//! 2. `origin`, by name: when an origin failed, answered or is held, which recording writes.
//! 3. `lane_state`, by lane: claims, and when the lane is due. Whoever writes pending deliveries of a lane, or adds one,
//!    holds it when it commits, and sets `next_due` by what is pending then. So `next_due` is null exactly where nothing is
//!    pending.
//! 4. `delivery`, by key.
//!
//! | transaction | locks, in order |
//! | --- | --- |
//! | a turn | cursor; to park, the origin; to end deliveries, the origin and its lanes; to add deliveries, when they are written: those of their origins that are not live, then the lanes; to write standings: the origins, to end their parking those that nobody holds, and where parking begins or ends their lanes |
//! | claim | lanes that nobody holds; failing origins that nobody holds. It waits for nobody |
//! | claim of a probe | the origin; its lane, if nobody holds it |
//! | record | the origins whose standings change; the lanes of the batch |
//! | sweep, unqueue | lanes that nobody holds. It waits for nobody |
//! | hurry | origins; lanes |
//! | replay | cursor; the letters; their replay lanes |
//! | forget, told | the deliveries |
//! | prune | delivered rows that nobody holds; closed audience and blocks, which nobody changes any more |
//!
//! A turn that folds a block between two batches of deliveries takes the second batch's locks after the first's, and may
//! meet a deadlock by that. Whoever loses one, rolled back, runs again: a turn by fan-out, all others by `retry`.
//!
//! # A database that is away
//!
//! No answer is waited for without end: see [`connection`].
//!
//! # What a crash of the database may forget
//!
//! Everything is durable when a call answers, but for some writes: see [`Durability`].

mod before;
mod candidates;
mod claim;
mod connection;
mod dead_letters;
mod endings;
mod hurry;
mod lanes;
mod lease;
mod members;
mod owed;
mod peers;
mod probe;
mod prune;
mod query;
mod record;
mod relations;
mod row;
mod rows;
mod sweep;
#[cfg(test)]
mod tests;
mod turn;

use std::sync::Arc;

use fedsx_runtime::{clock::Clock, database};

use super::{Result, driver, value};
use connection::{Pool, Transaction};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("src/ledger/postgres/migrations");

/// Connections of one process: its worker, its recorder, fan-out, the sweeper, catch-up, probes and operators' queries.
const CONNECTIONS: u32 = 10;

/// How the server plans for these connections. Every statement has its index, and a plan that was made while a table was
/// small must not outlive that: the server keeps plans for as long as a connection lives.
const PLANS: [(&str, &str); 4] = [
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
];

/// The ledger in PostgreSQL. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Postgres {
    pool: Pool,
    clock: Option<Arc<dyn Clock>>,
}

/// Opens the schema, creating it where there is none, and brings it up to date. Claims and leases expire by the database's
/// clock.
///
/// # Errors
/// [`StoreError::Driver`](super::StoreError) where the database refuses, or has not answered within a minute.
pub async fn open(url: &str) -> Result<Postgres> {
    let url = planned(url)?;
    let pool = database::postgres::open(&url, "delivery", &MIGRATIONS, CONNECTIONS).await?;
    let pool = Pool::new(pool);
    lease::found(&pool).await?;
    Ok(Postgres { pool, clock: None })
}

/// The URL with [`PLANS`].
fn planned(url: &str) -> Result<String> {
    let mut url: url::Url = url.parse().map_err(driver("read the database's URL"))?;
    for (key, value) in PLANS {
        url.query_pairs_mut()
            .append_pair(&format!("options[{key}]"), value);
    }
    Ok(url.into())
}

/// Whether a commit waits until it is on disk. What is written without that is lost only where the database itself
/// crashes, and only the last moments of it; never a part of a transaction, and never anything before what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durability {
    /// It waits.
    Durable,
    /// It does not, since the protocol forgives the loss:
    ///
    /// * a turn of fan-out, of catch-up or of parking: it is taken again, from where the ledger is then, which fan-out
    ///   learns when it next renews its lease. Nothing was sent because of it, for a claim of what it wrote is durable, and
    ///   with it what was written before;
    /// * that a lane was queued: it is swept once more;
    /// * that old rows were pruned: they are pruned again;
    /// * that deliveries were *delivered*, in a batch without any other outcome: they are owed again and sent again, to
    ///   peers that have them and say so (200), as after a crash of the worker before it recorded them. What they had
    ///   released is claimed again until the claim expires. An outcome by which the lane went on without a delivery, or
    ///   that an origin waits by, is not forgiven.
    ///
    /// Claims are durable. A claim that is lost while its holder goes on sending would let another POST run beside its.
    Forgiven,
}

impl Postgres {
    /// Time is what this clock says instead, which a test moves.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self {
            clock: Some(clock),
            ..self
        }
    }

    /// Closes the connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// The time, where a test sets it.
    fn set(&self) -> Option<i64> {
        self.clock.as_ref().map(|clock| value::micros(clock.now()))
    }

    async fn begin(&self, durability: Durability) -> Result<Transaction> {
        let begin = match durability {
            Durability::Durable => "BEGIN",
            Durability::Forgiven => "BEGIN; SET LOCAL synchronous_commit = off",
        };
        self.pool
            .begin(begin)
            .await
            .map_err(driver("begin a transaction"))
    }
}
