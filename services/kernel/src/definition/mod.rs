//! Definitions: the records that say what a domain's types and verbs are, as data.
//!
//! A record is a JSON object, immutable, named by the CID of its canonical form. `DefineType`, `SubtypeOf`,
//! `DefineActivity`, `DefineProjection` and `DefineBehaviour` are the activities that publish one, as their `object`. Records come from strangers too: every part
//! of one is bounded before it is used.
//!
//! Enter by [`Definition::read`] for what an activity defines, by [`TypeRecord::parse`] for bytes that a peer serves, and
//! by [`check`] for whether a document fits its records.

mod behaviour;
mod check;
mod field;
mod format;
mod members;
mod named;
mod objects;
mod projection_record;
mod read;
mod rules;
mod schema;
mod terms;
mod type_record;
mod vocabulary;

use serde_json::{Map, Value};

pub use behaviour::{
    Action, Awaited, BehaviourRecord, Case, Edge, Effect, EffectKind, MAX_ITEMS, MAX_ROWS, OF_FLOWS, Step,
    Suspend, Template, Timer, Trigger, is_hook,
};
pub use check::{Rule, Violation, check};
pub use field::{Field, FieldType};
pub use format::Format;
pub use named::MAX_RECORD;
pub use objects::{MAX_OBJECTS, objects, type_cid, type_cids};
pub use projection_record::{Body, Declared, OF_ENTRIES, OF_ROWS, ProjectionRecord, is_native, native_names};
pub use read::{DEFINES, DefinitionError, Kind};
pub use rules::{Derives, MAX_RULES, RelationRule};
pub use schema::{Refinement, Schema};
pub(crate) use terms::{NAMESPACE, NAMESPACE_PREFIX, TERMS};
pub use terms::{Term, Terms};
pub use type_record::{InstanceType, MAX_CHAIN, SubtypeLink, TYPE_DOC, TypeRecord, VerbRecord};
pub use vocabulary::{is_activitystreams, is_name};

use crate::cid::Cid;

#[cfg(test)]
mod tests;

/// What a defining activity's object says.
#[derive(Debug, Clone, PartialEq)]
pub enum Definition {
    Type(TypeRecord),
    Subtype(SubtypeLink),
    Verb(VerbRecord),
    Projection(ProjectionRecord),
    Behaviour(BehaviourRecord),
}

impl Definition {
    /// Reads a complete record of a kind.
    ///
    /// # Errors
    /// [`DefinitionError`], naming the key.
    pub fn read(kind: Kind, record: &Map<String, Value>) -> Result<Self, DefinitionError> {
        Ok(match kind {
            Kind::Type => Self::Type(TypeRecord::read(record)?),
            Kind::Subtype => Self::Subtype(SubtypeLink::read(record)?),
            Kind::Verb => Self::Verb(VerbRecord::read(record)?),
            Kind::Projection => Self::Projection(ProjectionRecord::read(record)?),
            Kind::Behaviour => Self::Behaviour(BehaviourRecord::read(record)?),
        })
    }

    /// The record as its author wrote it, with what follows from that: the profile and the cost of its refinement.
    ///
    /// # Errors
    /// [`DefinitionError`], naming the key; also where the author's figures are not the ones that follow, and where a behaviour
    /// says what cannot come true. Of a record that is there already, [`Self::read`] takes that.
    pub fn complete(
        kind: Kind,
        mut record: Map<String, Value>,
    ) -> Result<Map<String, Value>, DefinitionError> {
        match kind {
            Kind::Type | Kind::Verb => schema::complete(&mut record, kind.subject())?,
            Kind::Projection => projection_record::complete(&mut record),
            Kind::Behaviour => behaviour::complete(&mut record),
            Kind::Subtype => {}
        }
        if let Self::Behaviour(behaviour) = Self::read(kind, &record)? {
            behaviour::admit(&behaviour, &record)?;
        }
        Ok(record)
    }

    /// What kind of record it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Type(_) => Kind::Type,
            Self::Subtype(_) => Kind::Subtype,
            Self::Verb(_) => Kind::Verb,
            Self::Projection(_) => Kind::Projection,
            Self::Behaviour(_) => Kind::Behaviour,
        }
    }

    /// The name that it binds; a link in the subtype graph binds none.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Type(record) => Some(record.name()),
            Self::Verb(record) => Some(record.name()),
            Self::Projection(record) => Some(record.name()),
            Self::Behaviour(record) => Some(record.name()),
            Self::Subtype(_) => None,
        }
    }

    /// The record's CID.
    #[must_use]
    pub fn cid(&self) -> &Cid {
        match self {
            Self::Type(record) => record.cid(),
            Self::Subtype(link) => link.cid(),
            Self::Verb(record) => record.cid(),
            Self::Projection(record) => record.cid(),
            Self::Behaviour(record) => record.cid(),
        }
    }

    /// The record's canonical bytes, whose SHA-256 is the CID's digest.
    #[must_use]
    pub fn canonical(&self) -> &[u8] {
        match self {
            Self::Type(record) => record.canonical(),
            Self::Subtype(link) => link.canonical(),
            Self::Verb(record) => record.canonical(),
            Self::Projection(record) => record.canonical(),
            Self::Behaviour(record) => record.canonical(),
        }
    }
}
