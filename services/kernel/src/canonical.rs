//! RFC 8785, the JSON Canonicalization Scheme (JCS).

pub(crate) mod members;
mod write;

pub(crate) use write::string;

use serde_json::{Map, Value};

/// Most activities have less. Bytes.
const TYPICAL: usize = 2048;

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
    let mut out = Vec::with_capacity(TYPICAL);
    write::value(&mut out, value, 0)?;
    Ok(out)
}

/// The canonical bytes of an object without some of its members.
pub(crate) fn without(document: &Map<String, Value>, left_out: &[&str]) -> Result<Vec<u8>, CanonicalError> {
    let mut out = Vec::with_capacity(TYPICAL);
    out.push(b'{');
    write::in_order(document, |name, value| {
        if left_out.contains(&name) {
            return Ok(());
        }
        if out.len() > 1 {
            out.push(b',');
        }
        write::member(&mut out, name, value, 1)
    })?;
    out.push(b'}');
    Ok(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::json::MAX_DEPTH;

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
    fn writes_the_numbers_of_rfc_8785_appendix_b() {
        let table = [
            (0x0000_0000_0000_0000, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0x41b3_de43_5555_5554, "333333333.33333325"),
            (0x41b3_de43_5555_5555, "333333333.3333333"),
            (0x41b3_de43_5555_5556, "333333333.3333334"),
            (0x41b3_de43_5555_5557, "333333333.33333343"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
            (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
        ];
        for (bits, expected) in table {
            assert_eq!(text(&f64::from_bits(bits).into()), expected, "{bits:x}");
        }
        // Of the rest of the appendix IEEE 754 may have lost digits.
        for bits in [
            0x4340_0000_0000_0000,
            0xc340_0000_0000_0000,
            0x4430_0000_0000_0000,
            0x444b_1ae4_d6e2_ef4e,
            0x444b_1ae4_d6e2_ef4f,
        ] {
            assert!(to_vec(&f64::from_bits(bits).into()).is_err(), "{bits:x}");
        }
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
        assert!(to_vec(&nested(MAX_DEPTH)).is_ok());
        assert!(to_vec(&nested(MAX_DEPTH + 1)).is_err());
        assert!(without(json!({"a": nested(MAX_DEPTH)}).as_object().unwrap(), &[]).is_err());
    }

    #[test]
    fn leaves_out_members_of_the_outermost_object_alone() {
        let document = json!({"proof": 1, "b": {"proof": 2}, "a": 3});
        let part = without(document.as_object().unwrap(), &["proof"]).unwrap();
        assert_eq!(String::from_utf8(part).unwrap(), r#"{"a":3,"b":{"proof":2}}"#);
    }
}
