//! RFC 8785, the JSON Canonicalization Scheme (JCS).

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

use crate::json;

/// A value has no canonical form: an integer beyond ±(2^53−1), or nesting that could not be read back.
/// [`crate::json::parse`] lets none through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no canonical form: {0}")]
pub struct CanonicalError(pub String);

/// The canonical UTF-8 bytes of a value.
///
/// # Errors
/// [`CanonicalError`] where a number cannot be represented.
pub fn to_vec(value: &Value) -> Result<Vec<u8>, CanonicalError> {
    check(value, 0)?;
    write(value)
}

/// The canonical bytes of an object without some of its members.
pub(crate) fn without(document: &Map<String, Value>, left_out: &[&str]) -> Result<Vec<u8>, CanonicalError> {
    let part = Part { document, left_out };
    part.members().try_for_each(|(_, value)| check(value, 1))?;
    write(&part)
}

fn write<T: Serialize>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    serde_json_canonicalizer::to_vec(value).map_err(|error| CanonicalError(error.to_string()))
}

/// An object as if some of its members were not there; saves a copy of the rest.
struct Part<'a> {
    document: &'a Map<String, Value>,
    left_out: &'a [&'a str],
}

impl<'a> Part<'a> {
    fn members(&self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        let left_out = self.left_out;
        self.document
            .iter()
            .filter(move |(key, _)| !left_out.contains(&key.as_str()))
    }
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.members() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// The canonicaliser rounds integers beyond 2^53 silently and recurses: both are looked at before.
fn check(value: &Value, depth: usize) -> Result<(), CanonicalError> {
    match value {
        Value::Number(number) if json::number::is_inexact_integer(number) => Err(CanonicalError(
            json::JsonError::IntegerRange(number.to_string()).to_string(),
        )),
        Value::Array(_) | Value::Object(_) if depth == json::MAX_DEPTH => {
            Err(CanonicalError(json::JsonError::TooDeep.to_string()))
        }
        Value::Array(values) => values.iter().try_for_each(|value| check(value, depth + 1)),
        Value::Object(members) => members.values().try_for_each(|value| check(value, depth + 1)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(value: &Value) -> String {
        String::from_utf8(to_vec(value).unwrap()).unwrap()
    }

    #[test]
    fn sorts_keys_by_utf16_and_writes_no_white_space() {
        let value =
            json!({"\u{fb33}": 1, "\u{1f602}": 2, "b": [1, {"z": null, "a": true}], "a": "\u{7f}\u{1}\n/\""});
        assert_eq!(
            text(&value),
            "{\"a\":\"\u{7f}\\u0001\\n/\\\"\",\"b\":[1,{\"a\":true,\"z\":null}],\"\u{1f602}\":2,\"\u{fb33}\":1}"
        );
    }

    #[test]
    fn writes_numbers_as_ecmascript_does() {
        let numbers = json!([
            1.0,
            -0.0,
            0.1,
            1e-7,
            1e21,
            5e-324,
            333_333_333.333_333_3,
            9007199254740991u64
        ]);
        assert_eq!(
            text(&numbers),
            "[1,0,0.1,1e-7,1e+21,5e-324,333333333.3333333,9007199254740991]"
        );
    }

    #[test]
    fn refuses_numbers_that_would_be_rounded() {
        for number in [
            json!(9007199254740992u64),
            json!(-9007199254740992i64),
            json!(u64::MAX),
            json!(1e20),
        ] {
            assert!(to_vec(&number).is_err(), "{number}");
            let within = json!({"a": [{"b": number}]});
            assert!(to_vec(&within).is_err() && without(within.as_object().unwrap(), &[]).is_err());
            assert!(without(within.as_object().unwrap(), &["a"]).is_ok());
        }
    }

    #[test]
    fn refuses_what_could_not_be_read_back() {
        let nested = |depth| (0..depth).fold(json!(1), |inner, _| json!([inner]));
        assert!(to_vec(&nested(json::MAX_DEPTH)).is_ok());
        assert!(to_vec(&nested(json::MAX_DEPTH + 1)).is_err());
        assert!(without(json!({"a": nested(json::MAX_DEPTH)}).as_object().unwrap(), &[]).is_err());
    }

    #[test]
    fn leaves_out_members_of_the_outermost_object_alone() {
        let document = json!({"proof": 1, "b": {"proof": 2}, "a": 3});
        let part = without(document.as_object().unwrap(), &["proof"]).unwrap();
        assert_eq!(String::from_utf8(part).unwrap(), r#"{"a":3,"b":{"proof":2}}"#);
    }
}
