//! A record's name.

use serde_json::{Map, Value};

use super::read::DefinitionError;
use crate::{canonical, cid::Cid, json};

/// Most bytes of a record's canonical form.
pub const MAX_RECORD: usize = 64 << 10;

/// The canonical bytes of a record, and the name that follows from them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    canonical: Vec<u8>,
    cid: Cid,
}

/// The members of a record in canonical form.
pub(super) fn members(canonical: &[u8]) -> Result<Map<String, Value>, DefinitionError> {
    match json::parse(canonical) {
        Ok(Value::Object(record)) => Ok(record),
        _ => Err(DefinitionError::new("object", "is no record")),
    }
}

impl Named {
    pub(super) fn of(record: &Map<String, Value>) -> Result<Self, DefinitionError> {
        let canonical = canonical::to_vec(&Value::Object(record.clone()))?;
        if canonical.len() > MAX_RECORD {
            let problem = format!("has {} bytes, at most {MAX_RECORD} are admitted", canonical.len());
            return Err(DefinitionError::new("object", problem));
        }
        let cid = Cid::of_canonical(&canonical);
        Ok(Self { canonical, cid })
    }

    pub(super) fn cid(&self) -> &Cid {
        &self.cid
    }

    pub(super) fn canonical(&self) -> &[u8] {
        &self.canonical
    }
}
