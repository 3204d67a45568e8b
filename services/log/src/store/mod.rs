//! Where the log is kept: the trait that a backend implements, and the values that pass through it.
//!
//! A backend keeps entries, their streams, the keys of drafts and kv. It decides nothing: the plan of a batch
//! ([`crate::plan`]) is made from the [`Facts`] it reads under the lock of [`Store::begin`], and comes back as [`Rows`].
//! Several processes may share a store; whatever is read outside of a batch may be overtaken by the next.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Debug,
};

use async_trait::async_trait;
use bytes::Bytes;
use fedsx_kernel::cid::Cid;
use fedsx_proto::v1::{Entry, KvItem};
use jiff::Timestamp;
use tokio::sync::watch;

#[cfg(test)]
pub(crate) mod conformance;
pub mod postgres;
pub mod sqlite;

pub use fedsx_runtime::database::{Result, StoreError};

/// A place where the log is kept.
///
/// A committed batch survives the death of the process and of the machine. Every error leaves it open whether the call
/// took effect; only for [`Batch::commit`] does that matter, and its callers ask again by CID or key.
#[async_trait]
pub trait Store: Debug + Send + Sync + 'static {
    /// Begins the one transaction that may number entries: until it ends, no other writer, in this process or another,
    /// gets past this call.
    async fn begin(&self) -> Result<Box<dyn Batch>>;

    /// How far the log reaches.
    async fn head(&self) -> Result<Head>;

    /// The first entry by this name, in whichever stream.
    async fn entry(&self, by: &By) -> Result<Option<Entry>>;

    /// Entries in the order of their positions.
    async fn page(&self, query: &PageQuery) -> Result<Vec<Entry>>;

    /// The entries at these positions, ascending, up to `max_bytes` of bodies (but at least one).
    async fn at(&self, positions: &[u64], max_bytes: u64) -> Result<Vec<Entry>>;

    /// How far a stream reaches; none where it has no entry.
    async fn stream(&self, name: &str) -> Result<Option<StreamRow>>;

    async fn kv_get(&self, space: &str, key: &str) -> Result<Option<KvItem>>;

    /// Items of a space in the order of their keys' bytes.
    async fn kv_list(&self, query: &KvQuery) -> Result<Vec<KvItem>>;

    /// What took effect after a position, in order.
    async fn definitions(&self, after: u64) -> Result<Vec<DefinitionRow>>;

    /// Peers' types by their CIDs, in any order; those that are not here are left out.
    async fn peer_types_of(&self, cids: &[&str]) -> Result<Vec<PeerTypeRow>>;

    /// Peers' types in the order of their CIDs, beyond one; without their bodies.
    async fn peer_types(&self, after: &str, limit: u32) -> Result<Vec<PeerTypeRow>>;

    /// Keeps a peer's type; false where it is here already.
    async fn keep_peer_type(&self, row: &PeerTypeRow) -> Result<bool>;

    /// A peer's type was used; the time never goes back.
    async fn use_peer_type(&self, cid: &str, at: Timestamp) -> Result<()>;

    /// Drops a peer's type; false where it was not here.
    async fn drop_peer_type(&self, cid: &str) -> Result<bool>;

    /// Drops the peers' types that were not used for longest, down to what is admitted; answers how many.
    async fn trim_peer_types(&self, to: &TypeBounds) -> Result<u64>;

    /// How far other processes tell that the log reaches. A hint: it may come late or never, and may lead nowhere; none
    /// where the backend has no way to tell.
    fn hints(&self) -> Option<watch::Receiver<u64>> {
        None
    }
}

/// A transaction that holds the head. Dropped, it rolls back.
#[async_trait]
pub trait Batch: Send {
    /// What the plan needs to know, in a few reads however many requests there are.
    async fn facts(&mut self, need: &Need) -> Result<Facts>;

    /// What took effect after a position, in order, as of this batch.
    async fn definitions(&mut self, after: u64) -> Result<Vec<DefinitionRow>>;

    /// Writes everything and ends the transaction. After an error it is unknown whether it was written.
    async fn commit(self: Box<Self>, rows: &Rows) -> Result<()>;
}

/// How far the log reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// The highest position, 0 while the log is empty.
    pub position: u64,
    /// How many entries address the public.
    pub public: u64,
    /// The number that the last change of kv was given. It counts all changes, deletes included, so that the versions of
    /// a key rise strictly even where the key was deleted in between, and a deleted key leaves nothing behind.
    pub kv_version: u64,
    /// The position of the last definition that took effect, 0 where there is none.
    pub definition: u64,
}

/// How far a stream reaches. What the next sealed activity of a local actor follows on stands here, so that a busy
/// actor's chain is never scanned for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamRow {
    pub name: String,
    /// Version of its last entry, hence their number.
    pub version: u64,
    /// How many of its entries address the public.
    pub public: u64,
    /// When its last sealed activity was published.
    pub published: Option<Timestamp>,
    /// Its last sealed activity that addresses the public.
    pub public_cid: Option<Cid>,
}

/// What an entry is known by within its stream; at most one entry has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    pub stream: String,
    pub kind: NameKind,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NameKind {
    Cid,
    ActivityId,
    /// The idempotency key of the draft that it was sealed from.
    DraftKey,
}

/// Where an entry stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    pub position: u64,
    pub version: u64,
    pub cid: String,
    /// Empty where it has none.
    pub activity_id: String,
}

/// What the plan of a batch needs to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Need {
    pub streams: BTreeSet<String>,
    pub names: BTreeSet<Name>,
    /// Versions of these `(space, key)`.
    pub kv: BTreeSet<(String, String)>,
    /// Versions and values of these keys in [`KEY_SPACE`].
    pub signing_keys: BTreeSet<String>,
}

/// The space of kv that holds the sealed private keys of local actors, by the actor's id.
pub const KEY_SPACE: &str = "key";
/// The space of kv that says which texts of unique fields are taken, and by which object.
pub const UNIQUE_SPACE: &str = "unique";

/// What is so while the batch holds the head. A thing that was needed and is not here does not exist.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The store's clock: one for all who share it.
    pub now: Timestamp,
    pub head: Head,
    pub streams: HashMap<String, StreamRow>,
    pub placed: HashMap<Name, Placed>,
    /// Versions of kv.
    pub kv: HashMap<(String, String), u64>,
    pub signing_keys: HashMap<String, StoredKey>,
}

/// A sealed private key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    pub version: u64,
    pub sealed: Bytes,
}

/// What a batch writes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    /// In the order of their positions.
    pub entries: Vec<Entry>,
    /// Each stream once, as it is afterwards.
    pub streams: Vec<StreamRow>,
    pub draft_keys: Vec<DraftKeyRow>,
    /// Each key once, as it is afterwards.
    pub kv: Vec<KvRow>,
    pub definitions: Vec<DefinitionRow>,
    pub head: Head,
}

impl Rows {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.kv.is_empty()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftKeyRow {
    pub stream: String,
    pub key: String,
    pub cid: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvRow {
    pub space: String,
    pub key: String,
    pub version: u64,
    /// None: deleted.
    pub value: Option<Bytes>,
}

/// What an entry defines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinitionRow {
    /// The entry's.
    pub position: u64,
    /// What is defined, in the registry's words.
    pub kind: String,
    /// The name that it binds; empty: none.
    pub name: String,
    /// The record's; empty: none.
    pub cid: String,
    /// The record, in canonical form.
    pub body: Bytes,
}

/// A type that a peer has defined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerTypeRow {
    pub cid: String,
    /// What the record calls itself; it binds nothing.
    pub name: String,
    /// Whose server showed it.
    pub origin: String,
    /// The size of the canonical form. Bytes.
    pub bytes: u64,
    /// The record in canonical form; empty in a list.
    pub body: Bytes,
    pub fetched_at: Timestamp,
    /// To the hour.
    pub used_at: Timestamp,
}

/// How many peers' types may stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeBounds {
    /// Of those that this origin has shown; none: of all.
    pub origin: Option<String>,
    pub number: u64,
    /// Of their bodies together.
    pub bytes: u64,
    /// CIDs of those that stay even so; they count.
    pub spared: Vec<String>,
}

/// One way to name an entry without its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    Position(u64),
    Cid(String),
    ActivityId(String),
}

/// A page of entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageQuery {
    /// None: all streams.
    pub stream: Option<String>,
    pub public_only: bool,
    /// Newest first.
    pub descending: bool,
    /// Exclusive: ascending, positions above it; descending, positions below it.
    pub from: u64,
    /// At most this many entries.
    pub limit: u32,
    /// At most this many bytes of bodies, but at least one entry.
    pub max_bytes: u64,
}

/// A page of kv.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvQuery {
    pub space: String,
    pub prefix: String,
    /// Exclusive; empty: from the first.
    pub after: String,
    pub limit: u32,
    /// At most this many bytes of values, but at least one item.
    pub max_bytes: u64,
}
