//! Where views are kept: the trait that a backend implements, and the values that pass through it.
//!
//! A backend keeps four tables: `projection` with what is kept under which name, `shard` with the leases and how far each
//! shard is, `member` with the workers that are alive, and `view_row` with the views. Several processes share a store. Leases expire by its clock, and every write
//! is fenced by the epoch of a lease: [`Store::commit`] changes nothing of a shard that somebody else has taken. Four more
//! keep flows: `behaviour`, `flow`, `flow_wait` and `runner` ([`flows`]).
//!
//! A key is a text of at most [`MAX_KEY`] bytes without NUL, a peer likewise: strangers choose them, and a database has
//! bounds of its own ([`is_key`]). Looking for any other text finds nothing, and is no error.
//!
//! To add a backend, implement [`Store`] and [`flows::FlowStore`] in a folder beside `store/sqlite` and run `conformance` over it.

use std::time::Duration;

use async_trait::async_trait;
use fedsx_kernel::{origin::Origin, snapshot};
use futures::stream::BoxStream;
use jiff::SignedDuration;
use tokio::sync::mpsc;

use crate::{
    roster::settle::{InEffect, Kept},
    shard::{Digest, ShardId, lease::Lease},
};

#[cfg(test)]
pub(crate) mod conformance;
mod decode;
pub mod flows;
mod pages;
pub mod postgres;
mod seats;
mod settlement;
pub mod sqlite;

pub use fedsx_runtime::database::{Result, StoreError};

/// Longest key. Bytes. A PostgreSQL index takes 2,704 with the view's name.
pub const MAX_KEY: usize = snapshot::MAX_KEY;

/// Longest transaction: a whole view is read, or written, in one.
pub const LONGEST: Duration = Duration::from_mins(10);

/// Whether a store takes this text as a key.
#[must_use]
pub fn is_key(text: &str) -> bool {
    text.len() <= MAX_KEY && !text.contains('\0')
}

/// A place where views are kept.
#[async_trait]
pub trait Store: flows::FlowStore {
    /// Makes shards known: those that are new stand at position 0, the others stay as they are.
    async fn declare(&self, shards: &[ShardId]) -> Result<()>;

    /// A worker's turn in its group ([`lease::turns`](crate::shard::lease::turns)): tells that it is alive, renews the
    /// leases that it keeps, takes those that are free up to its share and gives back what is beyond. Answers all that it
    /// holds now, as it is stored.
    async fn hold(&self, group: &Group, owner: &str, term: SignedDuration) -> Result<Vec<Lease>>;

    /// Leaves the group: every lease is given back, and no share is kept for this worker.
    async fn resign(&self, group: &Group, owner: &str) -> Result<()>;

    /// Writes each advance whose lease is still this epoch's and whose shard still stands where the advance begins; all of
    /// them in one transaction. Answers the shards that were lost: nothing of theirs was written. After an error it is
    /// unknown whether anything was.
    async fn commit(&self, advances: &[Advance]) -> Result<Vec<ShardId>>;

    /// The rows with these keys; a key without a row is left out.
    async fn rows(&self, view: &str, keys: &[&str]) -> Result<Vec<Row>>;

    /// Rows of a view that are about a peer and fall into one of these shards, at most so many.
    async fn rows_of_peer(&self, view: &str, peer: &Origin, shards: &[u32], limit: usize)
    -> Result<Vec<Row>>;

    /// A row and how far its shard was when it was read; none where the shard was never declared.
    async fn row(&self, shard: &ShardId, key: &str) -> Result<Option<(Option<Row>, Reach)>>;

    /// Rows by key, and how far the view was when they were read: where the last of its shards stands, of several there one
    /// that stands still; none where the view was never declared.
    async fn page(&self, query: &PageQuery) -> Result<Option<Page>>;

    /// Rows by the entry that changed them last and by key, those after a place; and how far the view was before they were
    /// read. None where the view was never declared. A row that has changed while its view is read page after page comes
    /// again, at its new place; one that was deleted never comes.
    async fn changed(&self, view: &str, after: &Place, limit: u32) -> Result<Option<Changed>>;

    /// Looks after the projections ([`settle`](crate::roster::settle::settle)): what is new gets its shards, what takes over a
    /// name and what is done with loses its leases, and the latter its shards; all in one transaction. Answers those that are
    /// kept then, by id.
    async fn settle(&self, in_effect: &[InEffect]) -> Result<Vec<Kept>>;

    /// Deletes at most so many rows of retired projections, then those themselves. False: there are none any more.
    async fn sweep(&self, limit: u32) -> Result<bool>;

    /// Every shard there is, by view and number.
    async fn shards(&self) -> Result<Vec<Shard>>;

    /// Sends every row of a view in the order of their keys' bytes, in pages of about a MiB, and answers the view's shards: all
    /// of one moment, for as long as that takes. Nobody who writes waits for it. A database may keep old rows and logs until
    /// the last page is sent, which is to be taken as fast as it comes, by who does not ask the store meanwhile. Ends where
    /// nobody takes them any more; fails after [`LONGEST`].
    async fn dump(&self, view: &str, pages: mpsc::Sender<Vec<Row>>) -> Result<Vec<Shard>>;

    /// Writes the rows of a view's shards that have none, and then makes the advances, all in one transaction: whoever reads
    /// sees the shards as they were before, or with all of this. Answers the shards that were lost ([`Store::commit`]); then,
    /// and where a page is an error or the call is dropped, nothing of it was written. In SQLite nobody else writes meanwhile.
    /// Fails after [`LONGEST`].
    async fn restore(
        &self,
        view: &str,
        pages: BoxStream<'_, Result<Vec<Change>>>,
        advances: &[Advance],
    ) -> Result<Vec<ShardId>>;
}

/// The workers that share some shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    pub shards: Vec<ShardId>,
}

/// One step of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
    pub shard: ShardId,
    pub epoch: u64,
    /// Where the shard stood before.
    pub from: u64,
    /// Where it stands now.
    pub position: u64,
    pub count: u64,
    pub digest: Digest,
    /// Why it stands still before the next entry; none: it is well.
    pub halted: Option<String>,
    /// Each key at most once.
    pub changes: Vec<Change>,
}

/// A change of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub key: String,
    /// The peer that the row is about.
    pub peer: Option<Origin>,
    /// The entry that changed it last.
    pub position: u64,
    /// UTF-8 JSON; none: the row is deleted.
    pub value: Option<Vec<u8>>,
}

/// A row of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub key: String,
    /// UTF-8 JSON.
    pub value: Vec<u8>,
    /// The entry that changed it last.
    pub position: u64,
}

/// How far something is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    pub position: u64,
    /// Why it does not get further, where it stands still.
    pub halted: Option<String>,
}

/// A page of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageQuery {
    pub view: String,
    pub prefix: String,
    /// Exclusive; empty: from the first.
    pub after: String,
    /// At most this many rows.
    pub limit: u32,
    /// At most this many bytes of values, but at least one row.
    pub max_bytes: u64,
    /// Also count the rows of the prefix.
    pub count: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub rows: Vec<Row>,
    pub reach: Reach,
    /// Rows of the prefix, 0 where they were not counted.
    pub total: u64,
}

/// A place among the rows of a view by position and key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub position: u64,
    /// None: after every row of this position.
    pub key: Option<String>,
}

/// Rows that have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    pub rows: Vec<Row>,
    pub reach: Reach,
}

/// A shard as anybody may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    pub id: ShardId,
    /// Empty: nobody.
    pub owner: String,
    pub epoch: u64,
    pub position: u64,
    pub count: u64,
    pub digest: Digest,
    pub halted: Option<String>,
}

impl From<Shard> for Lease {
    fn from(shard: Shard) -> Self {
        Self {
            shard: shard.id,
            epoch: shard.epoch,
            position: shard.position,
            count: shard.count,
            digest: shard.digest,
            halted: shard.halted,
        }
    }
}
