//! What a record asks of a document: its fields, and a refinement for what fields alone cannot say.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{
    field::{Field, FieldType},
    members::Members,
    read::DefinitionError,
};
use crate::predicate::{self, Binding, MAX_BOUND, Program, Scope};

/// Most fields of a record.
const MAX_FIELDS: usize = 64;
/// Most fields of a record that are `unique`: each is a key that an object holds.
const MAX_UNIQUE: usize = 4;
/// Most fields of a record that are derived by an expression.
const MAX_DERIVED: usize = 4;
/// The members of a record that a schema reads.
pub(super) const KNOWN: [&str; 4] = [FIELDS, REFINEMENT, PROFILE, COST];
const FIELDS: &str = "fields";
const REFINEMENT: &str = "refinementSchema";
/// The profile of CEL that the refinement is written in. It follows from the refinement, as its cost does; both are in
/// the record, and so in its CID, so that whoever evaluates it comes to the same verdict at the same cost.
const PROFILE: &str = "refinementProfile";
const COST: &str = "refinementCost";

/// Fields and refinement of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    pub fields: Vec<Field>,
    pub refinement: Option<Refinement>,
    derived: Vec<Derived>,
}

/// A field with an expression for objects that leave it out.
#[derive(Debug, Clone)]
struct Derived {
    field: String,
    source: String,
    program: Program,
}

impl PartialEq for Derived {
    fn eq(&self, other: &Self) -> bool {
        (&self.field, &self.source) == (&other.field, &other.source)
    }
}

/// An expression that must be true of the document.
#[derive(Debug, Clone)]
pub struct Refinement {
    pub source: String,
    /// What an evaluation costs at most, in the profile's units.
    pub cost: u64,
    pub program: Program,
}

impl PartialEq for Refinement {
    fn eq(&self, other: &Self) -> bool {
        (&self.source, self.cost) == (&other.source, other.cost)
    }
}

impl Schema {
    /// Reads a complete schema. `subject` is what the refinement calls the document.
    pub(super) fn read(members: &Members<'_>, subject: &str) -> Result<Self, DefinitionError> {
        let fields = fields(members)?;
        let refinement = refinement(members, subject, &fields)?;
        for (key, expected) in given(refinement.as_ref()) {
            if members.get(key) != expected.as_ref() {
                let problem = match &expected {
                    Some(expected) => format!("is not {expected}, which follows from `{REFINEMENT}`"),
                    None => format!("stands without `{REFINEMENT}`"),
                };
                return Err(members.error(key, problem));
            }
        }
        let derived = derived(members, &fields)?;
        Ok(Self {
            fields,
            refinement,
            derived,
        })
    }

    /// Adds to an object what it leaves out and an expression has a value for. Where it has none, as over another field
    /// that is missing or none of its kind, or `null`, the object stays without.
    pub fn derive(&self, object: &mut Map<String, Value>) {
        for derived in &self.derived {
            if object.contains_key(&derived.field) {
                continue;
            }
            let value = derived
                .program
                .evaluate(&[Binding::Object(object)], MAX_BOUND)
                .value;
            if let Some(value) = value.ok().filter(|value| !value.is_null()) {
                object.insert(derived.field.clone(), value);
            }
        }
    }
}

/// Adds to an author's record what follows from its refinement.
pub(super) fn complete(record: &mut Map<String, Value>, subject: &str) -> Result<(), DefinitionError> {
    let members = Members::any(record);
    let refinement = refinement(&members, subject, &fields(&members)?)?;
    for (key, value) in given(refinement.as_ref()) {
        if let (false, Some(value)) = (record.contains_key(key), value) {
            record.insert(key.to_owned(), value);
        }
    }
    Ok(())
}

/// What follows from a refinement.
fn given(refinement: Option<&Refinement>) -> [(&'static str, Option<Value>); 2] {
    [
        (PROFILE, refinement.map(|_| predicate::PROFILE.into())),
        (COST, refinement.map(|refinement| refinement.cost.into())),
    ]
}

fn fields(members: &Members<'_>) -> Result<Vec<Field>, DefinitionError> {
    let Some(values) = members.list(FIELDS)? else {
        return Ok(Vec::new());
    };
    if values.len() > MAX_FIELDS {
        let problem = format!("has {} fields, at most {MAX_FIELDS} are admitted", values.len());
        return Err(members.error(FIELDS, problem));
    }
    let mut names = BTreeSet::new();
    let mut fields = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        let path = format!("{}[{index}]", members.at(FIELDS));
        let field = Field::read(&path, value)?;
        if !names.insert(field.name.clone()) {
            return Err(DefinitionError::new(
                format!("{path}.name"),
                "is a second field of that name",
            ));
        }
        fields.push(field);
    }
    named(members, &fields)?;
    Ok(fields)
}

/// What fields say of each other.
fn named(members: &Members<'_>, fields: &[Field]) -> Result<(), DefinitionError> {
    let error = |index: usize, key: &str, problem: String| {
        Err(DefinitionError::new(
            format!("{}[{index}].{key}", members.at(FIELDS)),
            problem,
        ))
    };
    for (index, field) in fields.iter().enumerate() {
        let Some(from) = field.slug_of() else { continue };
        let is_text = |other: &Field| other.name == from && other.kind == Some(FieldType::String);
        if from == field.name || !fields.iter().any(is_text) {
            return error(
                index,
                "from",
                format!("is {from:?}, which is no other field of `type: string`"),
            );
        }
    }
    let unique = fields.iter().enumerate().filter(|(_, field)| field.unique);
    match unique.map(|(index, _)| index).nth(MAX_UNIQUE) {
        None => Ok(()),
        Some(index) => error(
            index,
            "unique",
            format!("is said of more than {MAX_UNIQUE} fields"),
        ),
    }
}

/// Of each field that is derived by an expression, what it is. Objects of types alone are: `object` is what they are called.
fn derived(members: &Members<'_>, fields: &[Field]) -> Result<Vec<Derived>, DefinitionError> {
    let mut derived = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        let Some(source) = field.from.as_ref().filter(|_| field.slug_of().is_none()) else {
            continue;
        };
        let error = |problem| DefinitionError::new(format!("{}[{index}].from", members.at(FIELDS)), problem);
        if derived.len() == MAX_DERIVED {
            return Err(error(format!(
                "is an expression of more than {MAX_DERIVED} fields"
            )));
        }
        let program =
            Program::compile(source, &scope(fields)).map_err(|invalid| error(invalid.to_string()))?;
        derived.push(Derived {
            field: field.name.clone(),
            source: source.clone(),
            program,
        });
    }
    Ok(derived)
}

/// What expressions over a document know of its fields.
fn scope(fields: &[Field]) -> Scope {
    let bound = |count: Option<u64>| count.and_then(|count| u32::try_from(count).ok());
    let limits = |field: &Field| predicate::Field {
        max_items: bound(field.max_items),
        max_length: bound(field.max_length),
    };
    Scope::strict(fields.iter().map(|field| (&*field.name, limits(field))))
}

fn refinement(
    members: &Members<'_>,
    subject: &str,
    fields: &[Field],
) -> Result<Option<Refinement>, DefinitionError> {
    let Some(source) = members.text(REFINEMENT)? else {
        return Ok(None);
    };
    let scope = scope(fields).about(subject);
    let invalid = |error: predicate::Invalid| members.error(REFINEMENT, error.told(source));
    let program = Program::compile(source, &scope).map_err(invalid)?;
    let cost = program.bound().unwrap_or_default();
    Ok(Some(Refinement {
        source: source.to_owned(),
        cost,
        program,
    }))
}
