//! Values of an evaluation: views of JSON, and what expressions build.

mod compare;
mod json;
mod time;

use std::rc::Rc;

use jiff::civil::DateTime;
use serde_json::Value as Json;

use super::{failure::Failure, fuel::Fuel, syntax::Literal};

pub(super) use compare::{equal, order};

/// A value. A copy copies nothing that grows.
#[derive(Debug, Clone)]
pub(super) enum Value<'v> {
    Null,
    Bool(bool),
    Int(i64),
    Text(Text<'v>),
    /// In UTC. `jiff::Timestamp` ends a day before CEL's year 9999 does.
    Time(DateTime),
    List(List<'v>),
    Map(Map<'v>),
    /// A number that no operator takes.
    Opaque(&'v serde_json::Number),
}

#[derive(Debug, Clone)]
pub(super) enum Text<'v> {
    Borrowed(&'v str),
    Built(Rc<str>),
}

#[derive(Debug, Clone)]
pub(super) enum List<'v> {
    Borrowed(&'v [Json]),
    Built(Rc<Vec<Value<'v>>>),
}

#[derive(Debug, Clone)]
pub(super) enum Map<'v> {
    Borrowed(&'v serde_json::Map<String, Json>),
    /// In the order of the keys' bytes.
    Built(Rc<Vec<(Text<'v>, Value<'v>)>>),
}

impl<'v> From<&'v Json> for Value<'v> {
    fn from(json: &'v Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => number.as_i64().map_or(Self::Opaque(number), Self::Int),
            Json::String(text) => Self::Text(Text::Borrowed(text)),
            Json::Array(elements) => Self::List(List::Borrowed(elements)),
            Json::Object(members) => Self::Map(Map::Borrowed(members)),
        }
    }
}

impl<'v> From<&'v serde_json::Map<String, Json>> for Value<'v> {
    fn from(members: &'v serde_json::Map<String, Json>) -> Self {
        Self::Map(Map::Borrowed(members))
    }
}

impl<'v> From<&'v Literal> for Value<'v> {
    fn from(literal: &'v Literal) -> Self {
        match literal {
            Literal::Null => Self::Null,
            Literal::Bool(value) => Self::Bool(*value),
            Literal::Int(number) => Self::Int(*number),
            Literal::Text(text) => Self::Text(Text::Borrowed(text)),
        }
    }
}

impl<'v> Value<'v> {
    pub(super) fn built(elements: Vec<Value<'v>>) -> Self {
        Self::List(List::Built(Rc::new(elements)))
    }

    pub(super) fn text(text: String) -> Self {
        Self::Text(Text::Built(text.into()))
    }

    /// Why an operator does not take this.
    pub(super) fn mismatch(&self) -> Failure {
        match self {
            Self::Opaque(_) => Failure::UnsupportedValue,
            _ => Failure::TypeMismatch,
        }
    }

    pub(super) fn boolean(&self) -> Result<bool, Failure> {
        match self {
            Self::Bool(value) => Ok(*value),
            other => Err(other.mismatch()),
        }
    }

    pub(super) fn member(&self, name: &str) -> Result<Option<Value<'v>>, Failure> {
        match self {
            Self::Map(map) => Ok(map.get(name)),
            other => Err(other.mismatch()),
        }
    }
}

/// Why two operands do not go together.
pub(super) fn mismatch(left: &Value<'_>, right: &Value<'_>) -> Failure {
    match left.mismatch() {
        Failure::TypeMismatch => right.mismatch(),
        unsupported => unsupported,
    }
}

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Built(text) => text,
        }
    }
}

impl<'v> List<'v> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Borrowed(elements) => elements.len(),
            Self::Built(elements) => elements.len(),
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<Value<'v>> {
        match self {
            Self::Borrowed(elements) => elements.get(index).map(Value::from),
            Self::Built(elements) => elements.get(index).cloned(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Value<'v>> + '_ {
        (0..self.len()).map_while(|index| self.get(index))
    }
}

impl<'v> Map<'v> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Borrowed(members) => members.len(),
            Self::Built(entries) => entries.len(),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<Value<'v>> {
        match self {
            Self::Borrowed(members) => members.get(name).map(Value::from),
            Self::Built(entries) => {
                let place = entries.binary_search_by(|(key, _)| key.as_str().cmp(name)).ok()?;
                entries.get(place).map(|(_, value)| value.clone())
            }
        }
    }

    /// In the order of the keys' bytes, however the members are kept.
    pub(super) fn sorted(&self) -> Vec<(Text<'v>, Value<'v>)> {
        match self {
            Self::Borrowed(members) => {
                let mut members: Vec<_> = members.iter().collect();
                if !members.is_sorted_by_key(|(key, _)| *key) {
                    members.sort_unstable_by_key(|(key, _)| *key);
                }
                let entry = |(key, value): (&'v String, &'v Json)| (Text::Borrowed(key), Value::from(value));
                members.into_iter().map(entry).collect()
            }
            Self::Built(entries) => entries.as_ref().clone(),
        }
    }
}

/// A result as JSON, copied under the budget.
///
/// # Errors
/// [`Failure::Overflow`] for an integer that no canonical form has, [`Failure::TooNested`] for what could not be read back.
pub(super) fn to_json(value: &Value<'_>, fuel: &mut Fuel) -> Result<Json, Failure> {
    json::copy(value, fuel, 0)
}

/// The instant of an RFC 3339 text.
pub(super) fn timestamp(text: &str) -> Result<Value<'static>, Failure> {
    time::parse(text)
        .map(Value::Time)
        .ok_or(Failure::InvalidTimestamp)
}
