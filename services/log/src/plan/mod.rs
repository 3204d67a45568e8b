//! The plan of a batch: what becomes of each request, and what is written.
//!
//! A pure function over values. Its callers read the [`Facts`] that [`need`] asks for under the head's lock, [`plan`] the
//! requests in their order, [`seal`](crate::seal) the drafts that were admitted, and [`Plan::finish`] the rows. Requests
//! of one batch see each other's effects as if each had had its own transaction.

use std::{collections::BTreeMap, sync::Arc};

use fedsx_kernel::draft::Draft;
use fedsx_proto::v1::{KvConflict, Meta};
use fedsx_runtime::code::Refusal;

use crate::store::{DefinitionRow, Facts, KvRow, Placed};

mod append;
mod chain;
mod finish;
mod kv;
mod need;
mod publish;
mod recheck;
mod request;
mod state;
#[cfg(test)]
pub(crate) mod testing;

pub use chain::{Chain, SealedDraft, Signer};
pub use finish::Unsealed;
pub use need::need;
pub use recheck::{publish_again, rechecked};
pub use request::{Append, Complete, Expected, NewActorKey, NewEntry, Publish, Request};
use state::State;

/// What becomes of the requests of a batch.
#[derive(Debug)]
pub struct Plan {
    /// Of each request, in order. Numbers are places in `entries`.
    outcomes: Vec<Outcome>,
    entries: Vec<Planned>,
    kv: BTreeMap<(String, String), KvRow>,
    kv_version: u64,
}

/// What becomes of one request, until the drafts are sealed.
#[derive(Debug, Clone, PartialEq)]
enum Outcome {
    /// Its entries are written; this is the last.
    Appended(usize),
    /// The stream has it from an earlier batch.
    Duplicate(Placed),
    /// The stream has it from an earlier request of this batch.
    DuplicateInBatch(usize),
    Conflict {
        version: u64,
    },
    KvConflict(KvConflict),
    /// Its changes of kv are written.
    Changed,
    Refused(Refusal),
}

/// An entry to be.
#[derive(Debug)]
struct Planned {
    /// The request that it comes from.
    request: usize,
    stream: String,
    version: u64,
    content: Content,
    meta: Meta,
    draft_key: Option<String>,
    defines: Option<DefinitionRow>,
}

#[derive(Debug)]
enum Content {
    Complete(Complete),
    Draft {
        actor: String,
        draft: Arc<Draft>,
        signer: Signer,
    },
}

/// What a request is answered with, once the batch is committed.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The last of its entries.
    Appended(Placed),
    Duplicate(Placed),
    Conflict {
        version: u64,
    },
    KvConflict(KvConflict),
    Changed,
}

/// Plans a batch. `refused` are requests that the schema stages refuse, or that turned out to be unsealable when the batch
/// was planned before: they have no effect. One that the stream has already is its duplicate all the same, whatever has
/// been defined since.
#[must_use]
pub fn plan(requests: &[Request], facts: &Facts, refused: &BTreeMap<usize, Refusal>) -> Plan {
    let mut state = State::new(facts, requests.iter().map(Request::entries).sum());
    let outcomes = requests
        .iter()
        .enumerate()
        .map(|(index, request)| match (refused.get(&index), request) {
            (Some(refusal), request) => {
                let known = known(&state, request);
                known.unwrap_or_else(|| Outcome::Refused(refusal.clone()))
            }
            (None, Request::Append(append)) => append::decide(&mut state, index, append),
            (None, Request::Publish(publish)) => publish::decide(&mut state, index, publish),
            (None, Request::Change(changes)) => kv::decide(&mut state, changes),
        })
        .collect();
    state.into_plan(outcomes)
}

/// The duplicate that a request is.
fn known(state: &State<'_>, request: &Request) -> Option<Outcome> {
    match request {
        Request::Append(append) => append::known(state, append),
        Request::Publish(publish) => publish::known(state, publish),
        Request::Change(_) => None,
    }
}
