//! Requests as the plan takes them: parsed, checked and authorised already.

use std::sync::Arc;

use bytes::Bytes;
use fedsx_kernel::{cid::Cid, draft::Draft, key::SigningKey};
use fedsx_proto::v1::{KvChange, Meta};

use crate::{
    registry::{check::Passed, checked::Checked, unique::Asked},
    store::DefinitionRow,
};

/// One request, all or nothing.
#[derive(Debug, Clone)]
pub enum Request {
    Append(Append),
    Publish(Box<Publish>),
    /// No key twice.
    Change(Vec<KvChange>),
}

impl Request {
    /// Whether something takes effect with it.
    #[must_use]
    pub fn defines(&self) -> bool {
        let defines = |checked: &Checked| matches!(&checked.passed, Ok(Passed { defines: Some(_), .. }));
        match self {
            Self::Append(append) => append.entries.iter().any(|entry| defines(&entry.checked)),
            Self::Publish(publish) => defines(&publish.checked),
            Self::Change(_) => false,
        }
    }

    /// How many entries it adds at most.
    pub(super) fn entries(&self) -> usize {
        match self {
            Self::Append(append) => append.entries.len(),
            Self::Publish(_) => 1,
            Self::Change(_) => 0,
        }
    }
}

/// Complete activities for one stream.
#[derive(Debug, Clone)]
pub struct Append {
    pub stream: String,
    pub expected: Expected,
    /// At least one; no CID and no id twice.
    pub entries: Vec<NewEntry>,
    /// No key twice.
    pub kv: Vec<KvChange>,
}

/// Where the caller expects the stream to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    Any,
    /// At this version; 0: empty.
    Version(u64),
}

/// A complete activity with what is known about it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEntry {
    pub activity: Complete,
    pub meta: Meta,
    pub checked: Checked,
}

/// A complete activity, and what the log keeps of it beside its bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Complete {
    pub body: Bytes,
    pub cid: Cid,
    /// Empty where it has none.
    pub activity_id: String,
    /// Whether it addresses the public.
    pub public: bool,
}

impl NewEntry {
    /// What is known about it, with what the stages remark.
    pub(super) fn meta(&self) -> Meta {
        remarked(&self.meta, &self.checked)
    }

    pub(super) fn defines(&self) -> Option<DefinitionRow> {
        defines(&self.checked)
    }
}

/// A draft for a local actor's outbox.
#[derive(Debug, Clone)]
pub struct Publish {
    /// `outbox/<actor>`
    pub stream: String,
    /// The local actor's id.
    pub actor: String,
    pub draft: Arc<Draft>,
    /// The same as it came, before the stages completed it.
    pub given: Arc<Draft>,
    pub checked: Checked,
    pub idempotency_key: Option<String>,
    /// No key twice, and none of the signing keys.
    pub kv: Vec<KvChange>,
    /// What the types of its objects ask beside their schemas; `given` and `kv` do it already.
    pub asked: Vec<Asked>,
    /// Whether they ask something else by now.
    pub is_outdated: bool,
    pub meta: Meta,
    /// Where the draft makes an actor: the key drawn for it.
    pub creates: Option<NewActorKey>,
}

/// The key of an actor that a draft makes.
#[derive(Debug, Clone)]
pub struct NewActorKey {
    /// The new actor's id.
    pub actor: String,
    pub key: Arc<SigningKey>,
    /// The same, sealed with the master key.
    pub sealed: Bytes,
}

impl Publish {
    /// What is known about it, with what the stages remark.
    pub(super) fn meta(&self) -> Meta {
        remarked(&self.meta, &self.checked)
    }

    pub(super) fn defines(&self) -> Option<DefinitionRow> {
        defines(&self.checked)
    }
}

fn remarked(meta: &Meta, checked: &Checked) -> Meta {
    let mut meta = meta.clone();
    if let Ok(passed) = &checked.passed {
        meta.remarks
            .extend(passed.remarks.iter().map(|remark| (*remark).to_owned()));
    }
    meta
}

fn defines(checked: &Checked) -> Option<DefinitionRow> {
    checked
        .passed
        .as_ref()
        .ok()
        .and_then(|passed| passed.defines.clone())
}
