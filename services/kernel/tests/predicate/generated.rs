//! Sources and objects from strangers.

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Map, Value, json};

const NAMES: [&str; 6] = ["a", "b", "tags", "name", "t", "é"];

/// Any JSON that a predicate may be given: names that expressions use, texts of their alphabet, numbers of every kind.
pub(crate) fn object() -> impl Strategy<Value = Value> {
    vec((select(&NAMES[..]), value()), 0..6).prop_map(|members| {
        let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
        Value::Object(members.collect::<Map<_, _>>())
    })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..4).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        Just(json!(1.5)),
        text().prop_map(Value::from),
        Just(json!("2026-11-21T10:00:00Z")),
        Just(json!("x".repeat(100))),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((select(&NAMES[..]), inner), 0..4).prop_map(|members| {
                let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
                Value::Object(members.collect::<Map<_, _>>())
            }),
        ]
    })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[abé😀]{0,3}", "-?[0-9]{1,3}", any::<String>()]
}

fn literal() -> impl Strategy<Value = String> {
    let texts = [
        "''",
        "'a'",
        "\"b\"",
        "'\\u00e9'",
        "'x\\n'",
        "'12'",
        "'2026-11-21T10:00:00Z'",
    ];
    let others = [
        "true",
        "false",
        "null",
        "0",
        "1",
        "-2",
        "0x1f",
        "9223372036854775807",
    ];
    let names = [
        "object",
        "object.a",
        "object.tags",
        "object.name",
        "object['b']",
        "t",
        "u",
    ];
    prop_oneof![
        select(texts.to_vec()).prop_map(str::to_owned),
        select(others.to_vec()).prop_map(str::to_owned),
        select(names.to_vec()).prop_map(str::to_owned),
        select(names.to_vec()).prop_map(str::to_owned),
    ]
}

/// Mostly what the profile's grammar has, and often of the right types.
pub(crate) fn expression() -> impl Strategy<Value = String> {
    literal().prop_recursive(6, 40, 4, |inner| {
        let two = || (inner.clone(), inner.clone());
        let operators = [
            "==", "!=", "<", "<=", ">", ">=", "in", "+", "-", "*", "/", "%", "&&", "||",
        ];
        let functions = ["size", "string", "int", "timestamp", "!", "-", "has"];
        let searches = ["startsWith", "endsWith", "contains"];
        let macros = ["all", "exists", "exists_one", "filter", "map"];
        let items = ["t", "u", "object"];
        prop_oneof![
            (two(), select(operators.to_vec())).prop_map(|((a, b), op)| format!("{a} {op} {b}")),
            (two(), select(operators.to_vec())).prop_map(|((a, b), op)| format!("({a}) {op} ({b})")),
            (inner.clone(), select(functions.to_vec())).prop_map(|(a, f)| format!("{f}({a})")),
            (two(), select(searches.to_vec())).prop_map(|((a, b), f)| format!("({a}).{f}({b})")),
            (two(), select(macros.to_vec()), select(items.to_vec()))
                .prop_map(|((a, b), f, item)| format!("({a}).{f}({item}, {b})")),
            (two(), select(macros.to_vec()))
                .prop_map(|((a, b), f)| format!("object.tags.{f}(t, {a} == {b})")),
            (two(), inner.clone()).prop_map(|((a, b), c)| format!("({a}) ? ({b}) : {c}")),
            two().prop_map(|(a, b)| format!("({a})[{b}]")),
            (inner.clone(), select(&NAMES[..5])).prop_map(|(a, name)| format!("({a}).{name}")),
            (inner.clone(), select(&NAMES[..5])).prop_map(|(a, name)| format!("has(({a}).{name})")),
            vec(inner.clone(), 0..4).prop_map(|all| format!("[{}]", all.join(", "))),
            two().prop_map(|(a, b)| format!("{{'a': {a}, 'b': {b}}}")),
        ]
    })
}

/// Words in no order.
pub(crate) fn soup() -> impl Strategy<Value = String> {
    let words = [
        "object", ".", "a", "tags", "(", ")", "[", "]", "{", "}", ",", ":", "?", "!", "-", "+", "*", "/",
        "%", "==", "<=", "&&", "||", "in", "1", "'x'", "true", "all", "map", "t", "size", "has", " ", "//",
        "\n", "'", "\\", "0x",
    ];
    vec(select(words.to_vec()), 0..300).prop_map(|words| words.concat())
}

pub(crate) fn bytes() -> impl Strategy<Value = String> {
    let raw = vec(any::<u8>(), 0..1200).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    prop_oneof![
        raw,
        any::<String>(),
        "[\\x20-\\x7e]{0,60}",
        "[(\\[{!\\-+.?:&|'\"a1]{0,1100}"
    ]
}
