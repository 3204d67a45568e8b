//! Reading JSON from strangers: bounded, and only documents that every canonicaliser reads alike.
//!
//! One pass over the bytes: the visitor refuses while serde_json reads, so nothing is built that is then thrown away.

mod memory;
pub(crate) mod number;
#[cfg(test)]
mod tests;

use std::{
    cell::{Cell, RefCell},
    fmt,
};

pub use memory::footprint;
pub(crate) use memory::{values, values_in};
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value, map::Entry};

/// Bodies larger than this are refused before they are parsed. Bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// Deepest nesting of arrays and objects.
pub const MAX_DEPTH: usize = 64;
/// Most values in one document: texts, numbers, booleans, nulls, arrays and objects, itself included. An object in memory
/// takes up to a hundred times the bytes that it is written with.
pub const MAX_VALUES: usize = 20_000;
/// Largest integer magnitude that survives IEEE 754: 2^53 − 1 (RFC 7493, section 2.2).
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Of a refused key, so much is shown. Characters.
const SHOWN: usize = 64;

/// Why a document was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    #[error("the document has {0} bytes, at most {MAX_BYTES} are read")]
    TooLarge(usize),
    #[error("nested deeper than {MAX_DEPTH}")]
    TooDeep,
    #[error("the document has more than {MAX_VALUES} values")]
    TooManyValues,
    #[error("the key {0:?} stands twice in one object")]
    DuplicateKey(String),
    #[error("the integer {0} is beyond ±(2^53−1)")]
    IntegerRange(String),
    #[error("not JSON: {0}")]
    Syntax(String),
}

/// Parses one JSON document, refusing what RFC 8785 canonicalisers would map to one: duplicate keys, integers beyond
/// ±(2^53−1), lone surrogates, non-finite numbers.
///
/// Documents with one canonical form are one value: `1.0` and `1e0` are read as the integer 1, `-0` as 0.
///
/// # Errors
/// [`JsonError`], naming what was found first.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    if bytes.len() > MAX_BYTES {
        return Err(JsonError::TooLarge(bytes.len()));
    }
    let findings = Findings::default();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict {
        depth: 0,
        findings: &findings,
    }
    .deserialize(&mut deserializer)
    .and_then(|value| deserializer.end().map(|()| value))
    .map_err(|error| {
        findings
            .refusal
            .take()
            .unwrap_or_else(|| JsonError::Syntax(error.to_string()))
    })?;
    if findings.huge.get()
        && let Some(digits) = number::integer_beyond_u64(bytes)
    {
        return Err(JsonError::IntegerRange(shown(digits)));
    }
    Ok(value)
}

/// What the visitor cannot say through serde_json's own error.
#[derive(Default)]
struct Findings {
    refusal: RefCell<Option<JsonError>>,
    /// Values so far.
    values: Cell<usize>,
    /// A float of 1e21 or more was read: fine where it was written so, but serde_json reads integers beyond `u64` as
    /// floats too.
    huge: Cell<bool>,
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: usize,
    findings: &'a Findings,
}

impl Strict<'_> {
    fn refuse<T, E: de::Error>(self, refusal: JsonError) -> Result<T, E> {
        self.findings.refusal.replace(Some(refusal));
        Err(E::custom("refused"))
    }

    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return self.refuse(JsonError::TooDeep);
        }
        Ok(Self {
            depth: self.depth + 1,
            ..self
        })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;
    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let values = self.findings.values.get() + 1;
        if values > MAX_VALUES {
            return self.refuse(JsonError::TooManyValues);
        }
        self.findings.values.set(values);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        if value > MAX_INTEGER {
            return self.refuse(JsonError::IntegerRange(value.to_string()));
        }
        Ok(value.into())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        if value.unsigned_abs() > MAX_INTEGER {
            return self.refuse(JsonError::IntegerRange(value.to_string()));
        }
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        if number::is_inexact_float(value) {
            return self.refuse(JsonError::IntegerRange(value.to_string()));
        }
        if value.abs() >= number::EXPONENT_FROM {
            self.findings.huge.set(true);
        } else if value.fract() == 0.0 {
            #[expect(clippy::cast_possible_truncation, reason = "an integer within ±(2^53−1)")]
            return Ok((value as i64).into());
        }
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number that is not finite"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = access.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut members = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            match members.entry(key) {
                Entry::Vacant(place) => drop(place.insert(access.next_value_seed(inner)?)),
                Entry::Occupied(twice) => return self.refuse(JsonError::DuplicateKey(shown(twice.key()))),
            }
        }
        Ok(Value::Object(members))
    }
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
