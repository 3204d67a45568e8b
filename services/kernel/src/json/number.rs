//! Which numbers every canonicaliser writes alike.

use serde_json::Number;

use super::MAX_INTEGER;

/// From here on RFC 8785 writes a number with an exponent, below it an integer as its digits.
pub(super) const EXPONENT_FROM: f64 = 1e21;

/// Whether a number's canonical form is an integer that IEEE 754 may have rounded.
pub(crate) fn is_inexact_integer(number: &Number) -> bool {
    if let Some(integer) = number.as_i64() {
        return integer.unsigned_abs() > MAX_INTEGER;
    }
    number.as_u64().is_some() || number.as_f64().is_none_or(is_inexact_float)
}

pub(super) fn is_inexact_float(number: f64) -> bool {
    const FIRST_INEXACT: f64 = 9_007_199_254_740_992.0;
    number.abs() >= FIRST_INEXACT && number.abs() < EXPONENT_FROM
}

/// Finds an integer literal that does not fit into 64 bits, in bytes that are known to be JSON. Looked for only where
/// a huge number was read, so that an ordinary document is gone over once.
pub(super) fn integer_beyond_u64(json: &[u8]) -> Option<&str> {
    let mut rest = json;
    while let Some((&first, tail)) = rest.split_first() {
        match first {
            b'"' => rest = after_string(tail),
            b'-' | b'0'..=b'9' => {
                let is_in_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                let end = rest
                    .iter()
                    .position(|byte| !is_in_number(byte))
                    .unwrap_or(rest.len());
                let (number, after) = rest.split_at(end);
                let is_integer = !number.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
                let text = std::str::from_utf8(number).ok()?;
                if is_integer && text.parse::<i64>().is_err() && text.parse::<u64>().is_err() {
                    return Some(text);
                }
                rest = after;
            }
            _ => rest = tail,
        }
    }
    None
}

fn after_string(mut rest: &[u8]) -> &[u8] {
    loop {
        match rest {
            [b'\\', _, tail @ ..] => rest = tail,
            [b'"', tail @ ..] => return tail,
            [_, tail @ ..] => rest = tail,
            [] => return rest,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::json::{JsonError, parse};

    fn refusal(text: &str) -> JsonError {
        parse(text.as_bytes()).expect_err(text)
    }

    fn integer(text: &str) -> JsonError {
        JsonError::IntegerRange(text.to_owned())
    }

    #[test]
    fn one_number_has_one_value_however_it_is_written() {
        for text in ["1", "1.0", "1e0", "10E-1"] {
            assert_eq!(parse(text.as_bytes()).unwrap(), json!(1), "{text}");
        }
        for text in ["0", "-0", "-0.0", "0e7", "1e-400"] {
            assert_eq!(parse(text.as_bytes()).unwrap(), json!(0), "{text}");
        }
    }

    #[test]
    fn refuses_integers_that_ieee_754_rounds() {
        assert_eq!(
            parse(b"[9007199254740991,-9007199254740991]").unwrap(),
            json!([MAX_INTEGER, -9007199254740991i64])
        );
        for text in [
            "9007199254740992",
            "-9007199254740992",
            "18446744073709551615",
            "-9223372036854775808",
        ] {
            assert_eq!(refusal(text), integer(text));
        }
        for text in [
            "9007199254740992.0",
            "-9007199254740993.0",
            "1e20",
            "123456789012345678901",
        ] {
            assert!(matches!(refusal(text), JsonError::IntegerRange(_)), "{text}");
        }
    }

    #[test]
    fn refuses_integers_beyond_64_bits_but_not_floats_of_that_size() {
        assert_eq!(parse(b"[1E30, 1.5e300]").unwrap(), json!([1e30, 1.5e300]));
        let huge = "1".repeat(40);
        assert_eq!(
            refusal(&format!(r#"{{"a":1e30,"b":[-{huge}]}}"#)),
            integer(&format!("-{huge}"))
        );
        let quoted = format!(r#"{{"a":1e30,"{huge}\"":"\\","c":"\"{huge}"}}"#);
        assert!(parse(quoted.as_bytes()).is_ok());
    }
}
