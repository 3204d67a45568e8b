//! The rows of a view that a batch touches, as each entry leaves them.

use std::collections::HashMap;

use serde_json::Value;

use crate::{
    store::{Change, Row},
    views::{FoldError, View},
};

/// What an entry makes of rows, by key; none: there is no row.
pub(super) type Changes = Vec<(String, Option<Value>)>;

#[derive(Debug, Default)]
pub(super) struct Rows(HashMap<String, Slot>);

#[derive(Debug)]
struct Slot {
    /// None: there is no row. An error: what is stored is no JSON.
    value: Result<Option<Value>, FoldError>,
    /// The entry that changed it last.
    position: u64,
}

impl Rows {
    /// As the store has it.
    pub(super) fn load(&mut self, row: Row) {
        let value = serde_json::from_slice(&row.value).map(Some);
        let slot = Slot {
            value: value.map_err(|error| FoldError::State(error.to_string())),
            position: row.position,
        };
        self.0.insert(row.key, slot);
    }

    /// As the entries before have left it; none: there is no row.
    pub(super) fn state(&self, key: &str) -> Result<Option<&Value>, FoldError> {
        match self.0.get(key).map(|slot| &slot.value) {
            None => Ok(None),
            Some(Ok(value)) => Ok(value.as_ref()),
            Some(Err(error)) => Err(error.clone()),
        }
    }

    /// Keys of the rows that there are.
    pub(super) fn existing(&self) -> impl Iterator<Item = &String> {
        let rows = self.0.iter().filter(|(_, slot)| !matches!(slot.value, Ok(None)));
        rows.map(|(key, _)| key)
    }

    pub(super) fn write(&mut self, key: String, value: Option<Value>, position: u64) {
        let slot = Slot {
            value: Ok(value),
            position,
        };
        self.0.insert(key, slot);
    }

    /// What has become of a row that was written.
    pub(super) fn take(&mut self, key: String, view: &dyn View) -> Option<Change> {
        let slot = self.0.remove(&key)?;
        Some(Change {
            peer: view.peer(&key),
            position: slot.position,
            // A value that came out of a fold can be written.
            value: slot.value.ok()?.map(|value| value.to_string().into_bytes()),
            key,
        })
    }
}
