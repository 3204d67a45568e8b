//! Transactions under the lock of the cursor's row: fan-out's turn, parking, and each page of catch-up.

use std::collections::BTreeMap;

use async_trait::async_trait;
use fedsx_kernel::{
    cid::Cid,
    delivery::{audience::Change, peer::Peer, row::DeliveryState},
    follow::Relation,
    origin::Origin,
};
use jiff::Timestamp;

use super::{Cursor, Result};
use crate::{broker::Due, lane::AddressKind};

/// Begins turns.
#[async_trait]
pub trait Turns: Send + Sync + 'static {
    /// Begins a transaction that holds the lock of the cursor's row until it ends. Dropped, it leaves no trace.
    async fn turn(&self) -> Result<Box<dyn Turn>>;
}

/// Follower and local actor.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelationKey {
    /// The followed local actor's id.
    pub actor: String,
    /// The follower's id.
    pub follower: String,
    /// The follower's origin.
    pub origin: Origin,
}

/// Which of an actor's audience a caller needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom<'a> {
    /// One member an address, and each of these by itself: grouped by shared inbox.
    All(&'a [String]),
    /// Only these followers.
    Named(&'a [String]),
}

/// An actor's audience at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Members<'a> {
    pub actor: &'a str,
    pub position: u64,
    pub whom: Whom<'a>,
    /// Only of this origin: catch-up's.
    pub origin: Option<&'a Origin>,
}

/// One follower whose row holds at the position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audience {
    pub follower: String,
    /// None: the log does not tell.
    pub inbox: Option<String>,
    pub origin: Origin,
}

/// A row to be written: one entry in one lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    pub actor: String,
    pub kind: AddressKind,
    pub address: String,
    pub origin: Origin,
    pub position: u64,
    pub cid: String,
    /// `traceparent` of the entry's fan-out; empty: none.
    pub trace: String,
    /// Whether a flow waits for what comes of it; see [`Endings`](super::Endings).
    pub awaited: bool,
}

/// A transaction that holds the lock of the cursor's row, and sees whatever was committed before it began.
#[async_trait]
pub trait Turn: Send {
    /// The cursor as it stands under the lock.
    fn cursor(&self) -> &Cursor;

    /// The ledger's time.
    fn now(&self) -> Timestamp;

    /// The relations of these actors and followers that there are.
    async fn relations(&mut self, keys: &[RelationKey]) -> Result<BTreeMap<RelationKey, Relation>>;

    /// Every relation with a follower at one of these origins.
    async fn relations_with(&mut self, origins: &[Origin]) -> Result<BTreeMap<RelationKey, Relation>>;

    /// Writes relations; none deletes.
    async fn put_relations(&mut self, relations: &[(RelationKey, Option<Relation>)]) -> Result<()>;

    /// Opens and closes rows of the audience: first all openings, then all closings.
    async fn change_audience(&mut self, changes: &[(RelationKey, Change)]) -> Result<()>;

    /// The audience at a position.
    async fn members(&mut self, members: Members<'_>) -> Result<Vec<Audience>>;

    /// The Follows of an origin whose rows are open.
    async fn open_follows(&mut self, origin: &Origin) -> Result<Vec<Cid>>;

    /// Blocks an origin from a position on; blocked already, nothing changes.
    async fn block(&mut self, origin: &Origin, position: u64) -> Result<()>;

    /// Ends an origin's block at a position.
    async fn unblock(&mut self, origin: &Origin, position: u64) -> Result<()>;

    /// For each of these origins that ever was blocked, from which position to which.
    async fn blocks(&mut self, origins: &[Origin]) -> Result<BTreeMap<Origin, Vec<(u64, Option<u64>)>>>;

    /// These origins' standings; one that is missing is [`Peer::LIVE`].
    async fn peers(&mut self, origins: &[Origin]) -> Result<BTreeMap<Origin, Peer>>;

    /// One origin's standing, which nobody changes until this transaction ends: for a decision by what workers record. Those
    /// that [`Self::peers`] reads keep their [standing](Peer::standing) alone for as long.
    async fn lock_peer(&mut self, origin: &Origin) -> Result<Peer>;

    /// Writes standings. What workers recorded since they were read stays, unless it is meant to change.
    async fn put_peers(&mut self, peers: &BTreeMap<Origin, Peer>) -> Result<()>;

    /// The parked origins, and whether each has a pending row. One that is being written just now may be missing, if it
    /// [waits](Peer::waits): the next turn has it.
    async fn parked(&mut self) -> Result<Vec<(Origin, Peer, bool)>>;

    /// Pending rows of an origin in lanes that are due, counted up to a limit: a lane that waits for its next attempt says
    /// nothing about the others, and for what is sent again nothing waits.
    async fn backlog(&mut self, origin: &Origin, limit: u32) -> Result<u32>;

    /// Writes rows that are due now, and the lanes that they need; a row that is there already stays as it is. Answers the
    /// lanes with work that a worker may claim now, set down as [`queued`](super::sweep::queued).
    async fn insert(&mut self, rows: &[NewDelivery]) -> Result<Vec<Due>>;

    /// Ends an origin's pending rows at positions up to `through`.
    async fn end_pending(
        &mut self,
        origin: &Origin,
        through: u64,
        state: DeliveryState,
        cause: &str,
    ) -> Result<()>;

    /// Moves the cursor.
    async fn advance(&mut self, position: u64) -> Result<()>;

    /// Makes it so.
    async fn commit(self: Box<Self>) -> Result<()>;
}
