//! Reading JSON from strangers: bounded, and only documents that every canonicaliser reads alike.
//!
//! One pass over the bytes: the visitor refuses while serde_json reads, so nothing is built that is then thrown away.

pub(crate) mod number;

use std::{
    cell::{Cell, RefCell},
    fmt,
};

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value, map::Entry};

/// Bodies larger than this are refused before they are parsed. Bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// Deepest nesting of arrays and objects.
pub const MAX_DEPTH: usize = 64;
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

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn refusal(text: &str) -> JsonError {
        parse(text.as_bytes()).expect_err(text)
    }

    #[test]
    fn reads_what_serde_json_reads() {
        let text = r#" {"a":[1,-2,0.5,"x",null,true,{"é":"\ud83d\ude02"}],"b":{}} "#;
        assert_eq!(
            parse(text.as_bytes()).unwrap(),
            json!({"a": [1, -2, 0.5, "x", null, true, {"é": "😂"}], "b": {}})
        );
    }

    #[test]
    fn refuses_duplicate_keys_at_every_level() {
        let twice = JsonError::DuplicateKey("a".to_owned());
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"[{"b":{"a":1,"c":2,"a":3}}]"#,
            r#"{"a":1,"\u0061":2}"#,
        ] {
            assert_eq!(refusal(text), twice, "{text}");
        }
        let long = "k".repeat(1000);
        assert_eq!(
            refusal(&format!(r#"{{"{long}":1,"{long}":1}}"#)),
            JsonError::DuplicateKey("k".repeat(64) + "…")
        );
    }

    #[test]
    fn refuses_what_is_not_json() {
        let broken = [
            "",
            " ",
            "{",
            "[1,]",
            "{\"a\":1} x",
            "1 2",
            "nul",
            "NaN",
            "Infinity",
            "1e400",
            "-1e400",
            "01",
            "+1",
            "'a'",
            r#""\ud800""#,
            r#""\udc00""#,
            r#""\ud800\ud800""#,
            r#"{"\ud800":1}"#,
            "\"\n\"",
            "\u{feff}{}",
            "{1:2}",
        ];
        for text in broken {
            assert!(matches!(refusal(text), JsonError::Syntax(_)), "{text}");
        }
        assert!(matches!(parse(b"\"\xff\""), Err(JsonError::Syntax(_))));
        assert!(matches!(
            parse(b"{\"\xed\xa0\x80\":1}"),
            Err(JsonError::Syntax(_))
        ));
    }

    #[test]
    fn refuses_depth_beyond_64_and_no_less() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(refusal(&nested(MAX_DEPTH + 1)), JsonError::TooDeep);
        let objects = r#"{"a":"#.repeat(MAX_DEPTH + 1) + "1" + &"}".repeat(MAX_DEPTH + 1);
        assert_eq!(refusal(&objects), JsonError::TooDeep);
    }

    #[test]
    fn refuses_a_mebibyte_of_brackets_at_once() {
        let start = Instant::now();
        assert_eq!(refusal(&"[".repeat(MAX_BYTES)), JsonError::TooDeep);
        assert_eq!(refusal(&r#"{"":"#.repeat(MAX_BYTES / 4)), JsonError::TooDeep);
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    }

    #[test]
    fn refuses_more_than_a_mebibyte() {
        let text = format!("\"{}\"", "x".repeat(MAX_BYTES - 2));
        assert!(parse(text.as_bytes()).is_ok());
        assert_eq!(refusal(&(text + " ")), JsonError::TooLarge(MAX_BYTES + 1));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn never_panics_on_what_looks_like_json(text in r#"[\[\]{}:,"\\u0-9a-fEe.+\- ]{0,80}"#) {
            let _ = parse(text.as_bytes());
        }

        #[test]
        fn accepts_no_more_than_serde_json(text in r#"[\[\]{}:,"0-9e. ]{0,24}"#) {
            if parse(text.as_bytes()).is_ok() {
                prop_assert!(serde_json::from_str::<Value>(&text).is_ok());
            }
        }
    }
}
