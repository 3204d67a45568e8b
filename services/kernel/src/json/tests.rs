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
fn refuses_more_than_20000_values_and_no_less() {
    for element in ["0", "[]", "{}", "\"\""] {
        let many = |values: usize| format!("[{}]", vec![element; values - 1].join(","));
        let most = parse(many(MAX_VALUES).as_bytes()).unwrap();
        assert_eq!(values(&most), MAX_VALUES, "{element}");
        assert_eq!(
            refusal(&many(MAX_VALUES + 1)),
            JsonError::TooManyValues,
            "{element}"
        );
    }
    let nested = r#"{"":"#.repeat(63) + "0" + &"}".repeat(63);
    let mebibyte = format!("[{}]", vec![nested.as_str(); MAX_BYTES / 330].join(","));
    assert_eq!(refusal(&mebibyte), JsonError::TooManyValues);
}

#[test]
fn refuses_a_mebibyte_of_brackets_at_once() {
    let start = Instant::now();
    assert_eq!(refusal(&"[".repeat(MAX_BYTES)), JsonError::TooDeep);
    assert_eq!(refusal(&r#"{"":"#.repeat(MAX_BYTES / 4)), JsonError::TooDeep);
    // What grows with the square of its length takes hours.
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
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
