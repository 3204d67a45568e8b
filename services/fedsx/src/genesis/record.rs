//! One file of a bundle: a record as its author wrote it, and everything that is wrong with it.

use std::collections::BTreeSet;

use fedsx_kernel::{
    definition::{Definition, DefinitionError, Kind},
    predicate::{Program, Scope},
};
use serde_json::{Map, Value};

use super::{problem::Problems, source::Document};

/// What the author of a type may name by another type's name.
pub(super) const INSTANCE_TYPE: &str = "instanceType";
/// Beside the record: the types that links lead to. It is no part of the record.
const SUBTYPE_OF: &str = "subtypeOf";
const REFINEMENT: &str = "refinementSchema";
/// Problems of one record that are told at once.
const MOST: usize = 32;

/// A record that is not resolved yet.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) kind: Kind,
    pub(super) document: Document,
    pub(super) record: Map<String, Value>,
    /// Names of types.
    pub(super) subtype_of: Vec<String>,
}

impl Written {
    pub(super) fn read(kind: Kind, document: Document, problems: &mut Problems) -> Self {
        let mut record = document.members.clone();
        let mut subtype_of = Vec::new();
        if kind == Kind::Type
            && let Some(parents) = record.remove(SUBTYPE_OF)
        {
            match parents {
                Value::Array(names) => {
                    for (index, name) in names.into_iter().enumerate() {
                        match name {
                            Value::String(name) => subtype_of.push(name),
                            _ => problems.push(document.problem(&key_of_parent(index), "is no type's name")),
                        }
                    }
                }
                _ => problems.push(document.problem(SUBTYPE_OF, "is no list of types' names")),
            }
        }
        Self {
            kind,
            document,
            record,
            subtype_of,
        }
    }

    /// The name that it gives itself, sound or not.
    pub(super) fn name(&self) -> Option<&str> {
        self.record.get("name").and_then(Value::as_str)
    }

    /// The complete record, where nothing is wrong; else all that is.
    pub(super) fn complete(
        &self,
        record: &Map<String, Value>,
        problems: &mut Problems,
    ) -> Option<(Definition, Map<String, Value>)> {
        match complete(self.kind, record) {
            Ok(complete) => Some(complete),
            Err(first) => {
                for mut error in all(self.kind, record, first) {
                    let is_text = || record.get(INSTANCE_TYPE).is_some_and(Value::is_string);
                    if error.key == INSTANCE_TYPE && self.kind == Kind::Type && is_text() {
                        error.problem =
                            "is neither a type of this bundle or of one that it stands on, nor one of \
                                         ActivityStreams, nor a record's CID"
                                .to_owned();
                    }
                    problems.push(self.document.problem(&error.key, error.problem));
                }
                None
            }
        }
    }
}

/// The key of one of the types that links lead to.
pub(super) fn key_of_parent(index: usize) -> String {
    format!("{SUBTYPE_OF}[{index}]")
}

fn complete(
    kind: Kind,
    record: &Map<String, Value>,
) -> Result<(Definition, Map<String, Value>), DefinitionError> {
    let record = Definition::complete(kind, record.clone())?;
    Ok((Definition::read(kind, &record)?, record))
}

/// Everything that is wrong: what is wrong first is taken out of the record, which is then read again. Of a behaviour, whose
/// steps name each other, only what is first.
fn all(kind: Kind, record: &Map<String, Value>, first: DefinitionError) -> Vec<DefinitionError> {
    if kind == Kind::Behaviour {
        return vec![first];
    }
    let mut rest = Value::Object(record.clone());
    let (mut found, mut keys) = (Vec::new(), BTreeSet::new());
    let mut next = Some(first);
    while let Some(error) = next.filter(|error| found.len() < MOST && keys.insert(error.key.clone())) {
        let taken_out = take_out(&mut rest, &error.key);
        if !follows(kind, record, &error, &found) {
            found.push(error);
        }
        let rest = rest.as_object().filter(|_| taken_out);
        next = rest.and_then(|rest| complete(kind, rest).err());
    }
    found
}

/// Whether a refinement is wrong for want of a field's constraint that was taken out, and not by itself.
fn follows(
    kind: Kind,
    record: &Map<String, Value>,
    error: &DefinitionError,
    found: &[DefinitionError],
) -> bool {
    let subject = match kind {
        Kind::Type | Kind::Subtype => "object",
        Kind::Verb | Kind::Projection | Kind::Behaviour => "activity",
    };
    let source = record.get(REFINEMENT).and_then(Value::as_str).unwrap_or_default();
    error.key == REFINEMENT
        && found.iter().any(|error| error.key.starts_with("fields"))
        && Program::compile(source, &Scope::local([subject])).is_ok()
}

/// Takes out the value at a path; a name makes room for one that is sound. False: it is not there.
fn take_out(record: &mut Value, key: &str) -> bool {
    let (around, last) = key.rsplit_once('.').unwrap_or(("", key));
    let Some(Value::Object(members)) = at(record, around) else {
        return false;
    };
    if last == "name" {
        let name = format!(
            "Unnamed{}",
            key.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-")
        );
        members.insert(last.to_owned(), name.into());
        return true;
    }
    match last.strip_suffix(']').and_then(|last| last.split_once('[')) {
        None => members.remove(last).is_some(),
        // The others keep their places.
        Some((list, index)) => {
            let item = members.get_mut(list).and_then(Value::as_array_mut);
            let item = item.and_then(|items| items.get_mut(index.parse::<usize>().ok()?));
            let sound = match list {
                "rules" => serde_json::json!({ "relation": "Unnamed", "is": "symmetric" }),
                _ => serde_json::json!({ "name": format!("Unnamed-{index}") }),
            };
            item.map(|item| *item = sound).is_some()
        }
    }
}

/// The value at a path of names and places in lists.
fn at<'v>(value: &'v mut Value, path: &str) -> Option<&'v mut Value> {
    let mut found = value;
    for part in path.split('.').filter(|part| !part.is_empty()) {
        found = match part.strip_suffix(']').and_then(|part| part.split_once('[')) {
            None => found.get_mut(part)?,
            Some((list, index)) => found.get_mut(list)?.get_mut(index.parse::<usize>().ok()?)?,
        };
    }
    Some(found)
}
