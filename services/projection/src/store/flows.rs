//! Where flows are found again: the trait that a backend implements beside [`Store`](super::Store), and its values.
//!
//! The log says what a flow is. What is kept here follows from it, so that what is to be done is found without reading it all:
//! which behaviours there ever were, how each flow stands, what it waits for, when it is due, and who works on it. Of two who
//! write a flow, the one who knows the higher version is right, whoever comes first.
//!
//! Work is claimed for a term, by the store's clock. A claim keeps two from doing the same at the same time; should it expire
//! while its holder still works, the log's expected version tells the later one.
//!
//! Strangers choose the texts of activities, of any length; a database has bounds of its own. A `verb`, `activity_id`, `actor` or
//! `object` with NUL is kept as an empty one, and looking for such a text finds nothing. Times are kept to the microsecond.

use std::{
    collections::{HashMap, HashSet},
    fmt::Debug,
};

use async_trait::async_trait;
use fedsx_kernel::flow::Status;
use jiff::{SignedDuration, Timestamp};

use super::Result;

pub(super) mod listing;
pub(super) mod written;

/// A place where flows are kept.
#[async_trait]
pub trait FlowStore: Debug + Send + Sync + 'static {
    /// Keeps behaviours. One that is kept with the same position stays as it is.
    async fn keep_behaviours(&self, behaviours: &[KeptBehaviour]) -> Result<()>;

    /// Every behaviour that was ever in effect, by position.
    async fn behaviours(&self) -> Result<Vec<KeptBehaviour>>;

    /// Writes flows, in one transaction, which ought to hold no more than some MiB of states. Each counts where its version is
    /// above the stored one, or nothing is stored; what it waits for is replaced with it. What becomes of its claim, `holder`
    /// says, whether or not the flow counted. Answers the ids of those that were [taken](Holder::Takes).
    async fn put_flows(&self, flows: &[FlowRow], holder: Holder<'_>) -> Result<HashSet<String>>;

    /// The flows with these ids; those that are not kept are left out.
    async fn flows(&self, ids: &[&str]) -> Result<Vec<FlowRow>>;

    /// The versions of those of these flows that are kept.
    async fn versions(&self, ids: &[&str]) -> Result<HashMap<String, u64>>;

    /// Claims flows that are due, nobody's, and need what the claimer can do; the longest due first. What somebody writes
    /// or claims at the same moment is passed over, so that there may be more than are answered.
    async fn claim_flows(&self, claim: &Claim<'_>) -> Result<Vec<FlowRow>>;

    /// Prolongs claims from now on. Answers the ids of those that are still this owner's: one that has expired is, until
    /// somebody else takes it.
    async fn renew_flows(&self, owner: &str, ids: &[&str], term: SignedDuration) -> Result<Vec<String>>;

    /// Gives back those claims that are this owner's. No ids: all of them.
    async fn release_flows(&self, owner: &str, ids: Option<&[&str]>) -> Result<()>;

    /// The flows whose step waits for an activity with this key, each with the keys asked for that it waits for.
    async fn waiting(&self, keys: &[AwaitedKey]) -> Result<Vec<(AwaitedKey, FlowRow)>>;

    /// Flows, those of the latest activities first, and those of one activity by id.
    async fn list_flows(&self, query: &FlowQuery) -> Result<Vec<FlowRow>>;

    /// Tells what a runner can do, for a term from now on. None: it ends.
    async fn advertise(&self, owner: &str, kinds: &[&str], term: Option<SignedDuration>) -> Result<()>;

    /// Runners whose term has not expired, by owner, with what each can do.
    async fn runners(&self) -> Result<Vec<(String, Vec<String>)>>;

    /// Forgets flows that are over and whose last transition was before this time, at most so many and the oldest first.
    /// False: there are none any more.
    async fn prune_flows(&self, before: Timestamp, limit: u32) -> Result<bool>;
}

/// A behaviour as it took effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptBehaviour {
    /// Of the entry that brought it into effect.
    pub position: u64,
    pub cid: String,
    pub name: String,
    /// In canonical form.
    pub record: Vec<u8>,
}

/// A flow as it stands at a version.
#[derive(Debug, Clone, PartialEq)]
pub struct FlowRow {
    pub id: String,
    /// The behaviour's name, and the CID of its record.
    pub name: String,
    pub behaviour: String,
    /// The CID and the id of the activity that started it, its place in the log, its verb, its actor, and the id of its
    /// object; empty: it has none.
    pub activity: String,
    pub activity_id: String,
    pub position: u64,
    pub verb: String,
    pub actor: String,
    pub object: String,
    /// Whether that activity addresses the public.
    pub public: bool,
    pub started_at: Timestamp,
    /// Its last transition: version of the stream, place in the log, time.
    pub version: u64,
    pub last_position: u64,
    pub moved_at: Timestamp,
    pub status: Status,
    /// A [`Flow`](fedsx_kernel::flow::Flow) as UTF-8 JSON.
    pub state: Vec<u8>,
    /// Why it has failed, or is failing; else empty. NUL is kept as U+FFFD.
    pub cause: String,
    /// What its next step takes: the kind of an effect; empty: nothing in particular.
    pub needs: String,
    /// When something is to be done; none: when something else happens.
    pub due: Option<Timestamp>,
    /// What it waits for: steps and the keys of their activities.
    pub waits: Vec<(String, String)>,
}

/// What becomes of a claim when a flow is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder<'a> {
    /// It stays as it is.
    Same,
    /// It is this owner's from now on for a term, where it is nobody's or its already.
    Takes(&'a str, SignedDuration),
    /// It is nobody's, where it was this owner's.
    Leaves(&'a str),
}

/// Who asks for work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim<'a> {
    pub owner: &'a str,
    /// What it can do, besides what needs nothing in particular.
    pub kinds: &'a [&'a str],
    pub term: SignedDuration,
    /// At most so many.
    pub limit: u32,
}

/// A step of a behaviour (its CID) that waits for activities.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct AwaitedStep {
    pub behaviour: String,
    pub step: String,
}

/// An activity that is waited for at a step.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AwaitedKey {
    pub step: AwaitedStep,
    /// A text of any length.
    pub key: String,
}

/// Which flows to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FlowQuery {
    /// Empty: of every status.
    pub statuses: Vec<Status>,
    /// The behaviour's name.
    pub name: Option<String>,
    /// The activity's CID or id.
    pub activity: Option<String>,
    /// The object's id.
    pub object: Option<String>,
    /// Only those of public activities.
    pub public_only: bool,
    /// Only those whose ids begin so: letters and digits.
    pub prefix: Option<String>,
    /// After this activity's position and id of a flow; none: from the latest on.
    pub after: Option<(u64, String)>,
    pub limit: u32,
}
