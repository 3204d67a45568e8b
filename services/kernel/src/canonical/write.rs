//! The writer: one pass over a value into one buffer.

use std::{cmp::Ordering, io::Write as _};

use serde_json::{Map, Number, Value};

use super::CanonicalError;
use crate::json::{self, JsonError};

/// Writes a value that lies in `depth` arrays and objects.
pub(super) fn value(out: &mut Vec<u8>, value: &Value, depth: usize) -> Result<(), CanonicalError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(value) => number(out, value)?,
        Value::String(text) => string(out, text),
        Value::Array(values) => array(out, values, deeper(depth)?)?,
        Value::Object(members) => object(out, members, deeper(depth)?)?,
    }
    Ok(())
}

fn deeper(depth: usize) -> Result<usize, CanonicalError> {
    if depth == json::MAX_DEPTH {
        return Err(CanonicalError(JsonError::TooDeep.to_string()));
    }
    Ok(depth + 1)
}

fn array(out: &mut Vec<u8>, values: &[Value], depth: usize) -> Result<(), CanonicalError> {
    out.push(b'[');
    for (index, element) in values.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        value(out, element, depth)?;
    }
    out.push(b']');
    Ok(())
}

fn object(out: &mut Vec<u8>, members: &Map<String, Value>, depth: usize) -> Result<(), CanonicalError> {
    out.push(b'{');
    let start = out.len();
    in_order(members, |name, content| {
        if out.len() > start {
            out.push(b',');
        }
        member(out, name, content, depth)
    })?;
    out.push(b'}');
    Ok(())
}

/// Writes one member of an object.
pub(super) fn member(
    out: &mut Vec<u8>,
    name: &str,
    content: &Value,
    depth: usize,
) -> Result<(), CanonicalError> {
    string(out, name);
    out.push(b':');
    value(out, content, depth)
}

/// Visits an object's members in the order of the canonical form. They mostly stand so already: the map's own order is
/// that of UTF-8, which differs only beyond the basic plane.
pub(super) fn in_order<'a>(
    members: &'a Map<String, Value>,
    mut visit: impl FnMut(&'a str, &'a Value) -> Result<(), CanonicalError>,
) -> Result<(), CanonicalError> {
    if members.keys().is_sorted_by(|a, b| order(a, b).is_lt()) {
        return members.iter().try_for_each(|(name, value)| visit(name, value));
    }
    let mut members: Vec<_> = members.iter().collect();
    members.sort_unstable_by(|(a, _), (b, _)| order(a, b));
    members
        .into_iter()
        .try_for_each(|(name, value)| visit(name, value))
}

/// The order of names by their UTF-16 code units (section 3.2.3).
pub(super) fn order(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() {
        return a.cmp(b);
    }
    a.encode_utf16().cmp(b.encode_utf16())
}

/// A number as ECMAScript writes it (section 3.2.2.3). One that may have been rounded is refused.
fn number(out: &mut Vec<u8>, number: &Number) -> Result<(), CanonicalError> {
    let inexact = || CanonicalError(JsonError::IntegerRange(number.to_string()).to_string());
    if json::number::is_inexact_integer(number) {
        return Err(inexact());
    }
    if let Some(integer) = number.as_i64() {
        let _ = write!(out, "{integer}");
        return Ok(());
    }
    let float = number
        .as_f64()
        .filter(|float| float.is_finite())
        .ok_or_else(inexact)?;
    out.extend_from_slice(ryu_js::Buffer::new().format_finite(float).as_bytes());
    Ok(())
}

/// A string with the escapes of section 3.2.2.2 and no others.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    // Without an early end: so the compiler looks at many bytes at a time, and most strings have nothing to escape.
    if text
        .bytes()
        .fold(false, |found, byte| found | must_be_escaped(byte))
    {
        escaped(out, text);
    } else {
        out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
}

const fn must_be_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut written = 0;
    for (at, &byte) in bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| must_be_escaped(**byte))
    {
        out.extend_from_slice(&bytes[written..at]);
        written = at + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            control => {
                let _ = write!(out, "\\u{control:04x}");
            }
        }
    }
    out.extend_from_slice(&bytes[written..]);
}
