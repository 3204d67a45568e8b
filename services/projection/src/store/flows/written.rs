//! What of a flow is written, the same in every backend.

use std::collections::{HashMap, HashSet};

use fedsx_runtime::database::driver;
use jiff::SignedDuration;
use sha2::{Digest as _, Sha256};

use super::{AwaitedKey, FlowRow, Holder};
use crate::store::Result;

/// A statement ends with the row with which it has so much, and has at most so many rows.
const BYTES: usize = 8 << 20;
const ROWS: usize = 1000;

/// A flow with the texts that a database takes.
#[derive(Debug, Clone)]
pub(in crate::store) struct Written<'a> {
    pub(in crate::store) row: &'a FlowRow,
    pub(in crate::store) verb: &'a str,
    pub(in crate::store) activity_id: &'a str,
    pub(in crate::store) actor: &'a str,
    pub(in crate::store) object: &'a str,
    pub(in crate::store) cause: String,
    pub(in crate::store) waits: Vec<u8>,
}

impl<'a> Written<'a> {
    fn new(row: &'a FlowRow) -> Result<Self> {
        Ok(Self {
            verb: kept(&row.verb),
            activity_id: kept(&row.activity_id),
            actor: kept(&row.actor),
            object: kept(&row.object),
            cause: row.cause.replace('\0', "\u{fffd}"),
            waits: serde_json::to_vec(&row.waits).map_err(driver("write what a flow waits for"))?,
            row,
        })
    }

    fn bytes(&self) -> usize {
        let texts = self.activity_id.len() + self.actor.len() + self.object.len() + self.cause.len();
        texts + self.waits.len() + self.row.state.len()
    }

    /// What this flow is found by while it waits: steps and hashes of keys, each once.
    pub(in crate::store) fn awaits(&self) -> Vec<(&'a str, Vec<u8>)> {
        let waits = self.row.waits.iter();
        let mut awaits: Vec<_> = waits.map(|(step, key)| (step.as_str(), digest(key))).collect();
        awaits.sort_unstable();
        awaits.dedup();
        awaits
    }
}

/// The flows in the order in which everybody locks them: by id, each once with its highest version; as many together as
/// one statement takes.
pub(in crate::store) fn statements(flows: &[FlowRow]) -> Result<Vec<Vec<Written<'_>>>> {
    let mut rows: Vec<&FlowRow> = flows.iter().collect();
    rows.sort_by(|a, b| a.id.cmp(&b.id).then(b.version.cmp(&a.version)));
    rows.dedup_by(|later, kept| later.id == kept.id);
    let (mut statements, mut statement, mut bytes) = (Vec::new(), Vec::new(), 0);
    for row in rows {
        let written = Written::new(row)?;
        bytes += written.bytes();
        statement.push(written);
        if bytes >= BYTES || statement.len() == ROWS {
            statements.push(std::mem::take(&mut statement));
            bytes = 0;
        }
    }
    if !statement.is_empty() {
        statements.push(statement);
    }
    Ok(statements)
}

/// A text that a database keeps; empty where it has NUL.
fn kept(text: &str) -> &str {
    if text.contains('\0') { "" } else { text }
}

/// What a text of any length is found by.
pub(in crate::store) fn digest(text: &str) -> Vec<u8> {
    Sha256::digest(text).to_vec()
}

/// What a text is found by that may be missing.
pub(in crate::store) fn digest_of(text: &str) -> Option<Vec<u8>> {
    (!text.is_empty()).then(|| digest(text))
}

/// Whether a flow waits for this. One that was found by the hash alone may have moved on since.
pub(in crate::store) fn waits_for(row: &FlowRow, key: &AwaitedKey) -> bool {
    let mut waits = row.waits.iter();
    row.behaviour == key.step.behaviour && waits.any(|(step, of)| *step == key.step.step && *of == key.key)
}

/// What becomes of a claim: where it is `holder`'s, and where it is taken also where it is nobody's, it becomes
/// `owner`'s for the term.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Handover<'a> {
    /// None: of no claim.
    pub(in crate::store) holder: Option<&'a str>,
    pub(in crate::store) owner: &'a str,
    /// None: it is not taken.
    pub(in crate::store) term: Option<SignedDuration>,
}

impl Handover<'_> {
    /// Of flows and their owners now, those that were taken.
    pub(in crate::store) fn taken(self, owners: HashMap<String, String>) -> HashSet<String> {
        let owners = owners.into_iter();
        let taken = owners.filter(|(_, owner)| self.term.is_some() && owner == self.owner);
        taken.map(|(id, _)| id).collect()
    }
}

impl<'a> From<Holder<'a>> for Handover<'a> {
    fn from(holder: Holder<'a>) -> Self {
        let (holder, owner, term) = match holder {
            Holder::Same => (None, "", None),
            Holder::Takes(owner, term) => (Some(owner), owner, Some(term)),
            Holder::Leaves(owner) => (Some(owner), "", None),
        };
        Self { holder, owner, term }
    }
}
