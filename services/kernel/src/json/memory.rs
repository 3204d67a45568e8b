//! What parsing a document costs.

use serde_json::{Map, Value};

use super::MAX_VALUES;

/// An object's first member: the map's first node, which has room for eleven, and what is allocated for key and value.
const OBJECT: usize = 704;
/// An array's first element, which makes room for four, or what one more value adds to an array or an object.
const VALUE: usize = 192;
/// Of each byte of the document: as received, in a buffer that grew, and as text in the parsed values.
const TEXT: usize = 3;

/// Most memory that a document takes together with what [`parse`](super::parse) makes of it; found without parsing, so
/// that a budget can be asked first. A common activity takes ten to twenty times its bytes, many small objects more than a
/// hundred times theirs. Bytes.
///
/// Commas and brackets within texts count like others: it is an upper bound.
#[must_use]
pub fn footprint(document: &[u8]) -> usize {
    let count = |wanted: u8| document.iter().filter(|byte| **byte == wanted).count();
    let parsed = OBJECT * count(b'{') + VALUE * (count(b'[') + count(b','));
    TEXT * document.len() + parsed.min(OBJECT * MAX_VALUES)
}

/// The values that an object holds, itself not included; as [`parse`](super::parse) counts them.
pub(crate) fn values_in(members: &Map<String, Value>) -> usize {
    members.values().map(values).sum()
}

/// A value and those within it.
pub(crate) fn values(value: &Value) -> usize {
    1 + match value {
        Value::Array(values) => values.iter().map(self::values).sum(),
        Value::Object(members) => values_in(members),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    /// What the parsed value holds, as the standard library lays it out today, without what allocators add.
    fn held(value: &Value) -> usize {
        /// A map's node: eleven keys and values, its parent and two counts.
        const NODE: usize = 11 * (size_of::<String>() + size_of::<Value>()) + 16;
        /// Members of a node that was split.
        const LEAST: usize = 5;
        match value {
            Value::String(text) => text.capacity(),
            Value::Array(values) => {
                values.capacity() * size_of::<Value>() + values.iter().map(held).sum::<usize>()
            }
            Value::Object(members) => {
                let nodes = (members.len() / LEAST).max(usize::from(!members.is_empty()));
                let within = |(key, value): (&String, &Value)| key.capacity() + held(value);
                nodes * NODE + members.iter().map(within).sum::<usize>()
            }
            _ => 0,
        }
    }

    #[test]
    fn no_document_takes_more_than_its_footprint() {
        let many = |element: &str| format!("[{}]", vec![element; 3_000].join(","));
        let nested = |depth: usize| r#"{"":"#.repeat(depth) + "0" + &"}".repeat(depth);
        let members: Vec<_> = (0..15_000).map(|key| format!("\"{key}\":\"\"")).collect();
        let documents = [
            "0".to_owned(),
            nested(1),
            nested(64),
            many("0"),
            many("[0]"),
            many("[[0]]"),
            many("{}"),
            many(r#"{"":""}"#),
            many(r#"{"a":"b","c":[{"d":{}}]}"#),
            format!("{{{}}}", members.join(",")),
            format!("[{}]", vec![nested(63); 300].join(",")),
            format!("\"{}\"", "x".repeat(1 << 16)),
            format!("\"{}\"", ",".repeat(1 << 20 >> 1)),
        ];
        for document in documents {
            let value = parse(document.as_bytes()).unwrap();
            let (held, footprint) = (held(&value) + document.len(), footprint(document.as_bytes()));
            assert!(held <= footprint, "{held} > {footprint}: {document:.40}");
        }
    }

    #[test]
    fn a_footprint_is_bounded() {
        let worst = "{".repeat(1 << 20);
        assert_eq!(footprint(worst.as_bytes()), 3 * (1 << 20) + OBJECT * MAX_VALUES);
    }
}
