//! Type records, verb records, and links between types.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    members::Members,
    named::Named,
    read::{DefinitionError, Kind},
    schema::{self, Schema},
    terms::{self, Terms},
    vocabulary::is_activitystreams,
};
use crate::{
    cid::Cid,
    json::{self, JsonError},
};

/// Records on a chain of `instanceType`, the first included.
pub const MAX_CHAIN: usize = 8;
/// The media type of a type record's canonical bytes.
pub const TYPE_DOC: &str = "application/vnd.fed-sx.type-doc";

/// What an object of a type is besides: its rules hold too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstanceType {
    /// A type of ActivityStreams.
    ActivityStreams(String),
    Record(Cid),
}

/// A type: `name`, `fields`, `refinementSchema`, `instanceType`, `context`.
#[derive(Debug, Clone, PartialEq)]
pub struct TypeRecord {
    name: String,
    schema: Schema,
    terms: Arc<Terms>,
    instance_type: Option<InstanceType>,
    named: Named,
}

impl TypeRecord {
    /// Reads canonical bytes, as `GET /types/<cid>` answers them.
    ///
    /// # Errors
    /// [`DefinitionError`], naming the key; also where the bytes are not the record's canonical form.
    pub fn parse(bytes: &[u8]) -> Result<Self, DefinitionError> {
        let record = match json::parse(bytes) {
            Ok(Value::Object(record)) => Self::read(&record)?,
            Ok(_) => return Err(DefinitionError::new("object", "is no object")),
            Err(error) => return Err(unreadable(&error)),
        };
        match record.canonical() == bytes {
            true => Ok(record),
            false => Err(DefinitionError::new(
                "object",
                "is not in canonical form (RFC 8785)",
            )),
        }
    }

    pub(super) fn read(record: &Map<String, Value>) -> Result<Self, DefinitionError> {
        let mut known = vec!["name", "instanceType", terms::KEY];
        known.extend(schema::KNOWN);
        let members = Members::of("", record, &known)?;
        Ok(Self {
            name: members.name("name")?.to_owned(),
            schema: Schema::read(&members, Kind::Type.subject())?,
            terms: Arc::new(Terms::read(&members)?),
            instance_type: instance_type(&members)?,
            named: Named::of(record)?,
        })
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }
    /// What the names in its objects mean in JSON-LD.
    #[must_use]
    pub fn terms(&self) -> &Arc<Terms> {
        &self.terms
    }
    #[must_use]
    pub fn instance_type(&self) -> Option<&InstanceType> {
        self.instance_type.as_ref()
    }
    /// The record whose rules hold too.
    #[must_use]
    pub fn parent(&self) -> Option<&Cid> {
        match &self.instance_type {
            Some(InstanceType::Record(cid)) => Some(cid),
            _ => None,
        }
    }
    #[must_use]
    pub fn cid(&self) -> &Cid {
        self.named.cid()
    }
    #[must_use]
    pub fn canonical(&self) -> &[u8] {
        self.named.canonical()
    }
}

fn unreadable(error: &JsonError) -> DefinitionError {
    DefinitionError::new("object", error.to_string())
}

fn instance_type(members: &Members<'_>) -> Result<Option<InstanceType>, DefinitionError> {
    const KEY: &str = "instanceType";
    let Some(text) = members.text(KEY)? else {
        return Ok(None);
    };
    if is_activitystreams(text) {
        return Ok(Some(InstanceType::ActivityStreams(text.to_owned())));
    }
    match text.parse() {
        Ok(cid) => Ok(Some(InstanceType::Record(cid))),
        Err(_) => Err(members.error(KEY, "is neither a type of ActivityStreams nor a record's CID")),
    }
}

/// A verb: `name`, and `fields`, `refinementSchema` and `context` of its activities.
#[derive(Debug, Clone, PartialEq)]
pub struct VerbRecord {
    name: String,
    schema: Schema,
    terms: Arc<Terms>,
    named: Named,
}

impl VerbRecord {
    pub(super) fn read(record: &Map<String, Value>) -> Result<Self, DefinitionError> {
        let mut known = vec!["name", terms::KEY];
        known.extend(schema::KNOWN);
        let members = Members::of("", record, &known)?;
        let schema = Schema::read(&members, Kind::Verb.subject())?;
        of_types_alone(&schema)?;
        Ok(Self {
            name: members.name("name")?.to_owned(),
            schema,
            terms: Arc::new(Terms::read(&members)?),
            named: Named::of(record)?,
        })
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }
    /// What the names in its activities mean in JSON-LD.
    #[must_use]
    pub fn terms(&self) -> &Arc<Terms> {
        &self.terms
    }
    #[must_use]
    pub fn cid(&self) -> &Cid {
        self.named.cid()
    }
    #[must_use]
    pub fn canonical(&self) -> &[u8] {
        self.named.canonical()
    }
}

/// Activities are immutable: what is derived or unique is so among objects.
fn of_types_alone(schema: &Schema) -> Result<(), DefinitionError> {
    for (index, field) in schema.fields.iter().enumerate() {
        let key = match (&field.from, field.unique) {
            (Some(_), _) => "from",
            (None, true) => "unique",
            (None, false) => continue,
        };
        return Err(DefinitionError::new(
            format!("fields[{index}].{key}"),
            "is for the fields of types alone",
        ));
    }
    Ok(())
}

/// An edge of the subtype graph, for people and queries: it changes no check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubtypeLink {
    child: Cid,
    parent: Cid,
    named: Named,
}

impl SubtypeLink {
    pub(super) fn read(record: &Map<String, Value>) -> Result<Self, DefinitionError> {
        let members = Members::of("", record, &["childTypeCid", "parentTypeCid"])?;
        let end = |key: &str| members.cid(key)?.ok_or_else(|| members.error(key, "is missing"));
        let (child, parent) = (end("childTypeCid")?, end("parentTypeCid")?);
        if child == parent {
            return Err(members.error("parentTypeCid", "is the child itself"));
        }
        Ok(Self {
            child,
            parent,
            named: Named::of(record)?,
        })
    }

    #[must_use]
    pub fn child(&self) -> &Cid {
        &self.child
    }
    #[must_use]
    pub fn parent(&self) -> &Cid {
        &self.parent
    }
    #[must_use]
    pub fn cid(&self) -> &Cid {
        self.named.cid()
    }
    #[must_use]
    pub fn canonical(&self) -> &[u8] {
        self.named.canonical()
    }
}
