//! The rows that definitions leave in the store.

use fedsx_kernel::{
    definition::{Definition, DefinitionError, Kind},
    json,
};
use serde_json::Value;

use crate::store::DefinitionRow;

/// The kind of a row that grants or takes back the right to define.
const GRANT: &str = "grant";

/// What a row says.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    Record(Definition),
    /// Whether this actor defines from here on.
    Grant {
        actor: String,
        defines: bool,
    },
}

/// A row that this version cannot read: damage, or the work of a later version.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the definition at {position} cannot be read: {problem}")]
pub struct Unreadable {
    pub position: u64,
    pub problem: String,
}

/// The row of what an entry says; its position is given with the entry's.
#[must_use]
pub fn write(said: &Said) -> DefinitionRow {
    match said {
        Said::Record(definition) => DefinitionRow {
            position: 0,
            kind: definition.kind().as_str().to_owned(),
            name: definition.name().unwrap_or_default().to_owned(),
            cid: definition.cid().to_string(),
            body: definition.canonical().to_vec().into(),
        },
        Said::Grant { actor, defines } => DefinitionRow {
            position: 0,
            kind: GRANT.to_owned(),
            name: actor.clone(),
            cid: String::new(),
            body: defines.to_string().into(),
        },
    }
}

pub(super) fn read(row: &DefinitionRow) -> Result<Said, Unreadable> {
    let unreadable = |problem: String| Unreadable {
        position: row.position,
        problem,
    };
    if row.kind == GRANT {
        return Ok(Said::Grant {
            actor: row.name.clone(),
            defines: row.body.as_ref() == b"true",
        });
    }
    let kind = Kind::parse(&row.kind).ok_or_else(|| unreadable(format!("{:?} is no kind", row.kind)))?;
    let Ok(Value::Object(record)) = json::parse(&row.body) else {
        return Err(unreadable("its body is no object".to_owned()));
    };
    let definition =
        Definition::read(kind, &record).map_err(|error: DefinitionError| unreadable(error.to_string()))?;
    Ok(Said::Record(definition))
}
