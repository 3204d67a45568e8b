//! The members of a record, read one by one and accounted for.

use serde_json::{Map, Value};

use super::{read::DefinitionError, vocabulary::is_name};
use crate::cid::Cid;

/// An object's members, with the path that leads to it.
pub(super) struct Members<'a> {
    path: String,
    members: &'a Map<String, Value>,
}

impl<'a> Members<'a> {
    /// Of a record, which may have these and no others: a member that nobody reads would say something and mean nothing.
    pub(super) fn of(
        path: impl Into<String>,
        members: &'a Map<String, Value>,
        known: &[&str],
    ) -> Result<Self, DefinitionError> {
        let read = Self {
            path: path.into(),
            members,
        };
        match members.keys().find(|key| !known.contains(&key.as_str())) {
            Some(unknown) => Err(read.error(
                &unknown.chars().take(64).collect::<String>(),
                format!("is none of {}", known.join(", ")),
            )),
            None => Ok(read),
        }
    }

    /// Of a record whose other members are somebody else's to judge.
    pub(super) fn any(members: &'a Map<String, Value>) -> Self {
        Self {
            path: String::new(),
            members,
        }
    }

    pub(super) fn error(&self, key: &str, problem: impl Into<String>) -> DefinitionError {
        DefinitionError::new(self.at(key), problem)
    }

    /// The path of a member.
    pub(super) fn at(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.members.get(key)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.members.contains_key(key)
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, DefinitionError> {
        self.typed(key, "is no string", Value::as_str)
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, DefinitionError> {
        self.typed(key, "is neither true nor false", Value::as_bool)
    }

    /// A count.
    pub(super) fn count(&self, key: &str) -> Result<Option<u64>, DefinitionError> {
        self.typed(key, "is no count", Value::as_u64)
    }

    pub(super) fn list(&self, key: &str) -> Result<Option<&'a Vec<Value>>, DefinitionError> {
        self.typed(key, "is no list", Value::as_array)
    }

    pub(super) fn cid(&self, key: &str) -> Result<Option<Cid>, DefinitionError> {
        self.text(key)?
            .map(|text| text.parse().map_err(|_| self.error(key, "is no CID of a record")))
            .transpose()
    }

    /// A name: 1 to 64 letters, digits, `_` or `-`, a letter first.
    pub(super) fn name(&self, key: &str) -> Result<&'a str, DefinitionError> {
        let name = self.text(key)?.ok_or_else(|| self.error(key, "is missing"))?;
        match is_name(name) {
            true => Ok(name),
            false => Err(self.error(
                key,
                "is no name: 1 to 64 letters, digits, `_` or `-`, a letter first",
            )),
        }
    }

    /// A list of names.
    pub(super) fn names(&self, key: &str) -> Result<Vec<String>, DefinitionError> {
        let name = |value: &Value| value.as_str().filter(|text| is_name(text)).map(str::to_owned);
        let names = self.list(key)?.into_iter().flatten().map(name);
        names
            .collect::<Option<_>>()
            .ok_or_else(|| self.error(key, "has something that is no name"))
    }

    fn typed<T>(
        &self,
        key: &str,
        problem: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, DefinitionError> {
        self.get(key)
            .map(|value| read(value).ok_or_else(|| self.error(key, problem)))
            .transpose()
    }
}
