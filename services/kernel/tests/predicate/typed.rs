//! Sources that mostly have a value over [`object`]: so the bound and the other implementation are asked something.

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

type Source = BoxedStrategy<String>;

/// `count`, `name` and `tags` are what expressions take them for.
pub(crate) fn object() -> impl Strategy<Value = Value> {
    let text = || prop_oneof!["[abé😀]{0,4}", "[0-9]{1,3}", "[ab]{30,70}"];
    let object = (-5_i64..6, text(), vec(text(), 0..5), any::<bool>());
    object.prop_map(|(count, name, tags, ok)| {
        let parts = json!({"name": name, "tags": tags, "count": count});
        json!({"count": count, "name": name, "tags": tags, "ok": ok, "parts": [parts, parts], "ratio": 0.5})
    })
}

fn one(sources: &'static [&'static str]) -> Source {
    select(sources).prop_map(str::to_owned).boxed()
}

fn both(left: Source, operators: &'static [&'static str], right: Source) -> Source {
    (left, select(operators), right)
        .prop_map(|(left, operator, right)| format!("({left} {operator} {right})"))
        .boxed()
}

pub(crate) fn boolean(depth: u32) -> Source {
    let leaf = one(&[
        "true",
        "false",
        "object.ok",
        "has(object.name)",
        "has(object.none)",
        "object.none",
        "1 / 0 == 1",
    ]);
    let Some(less) = depth.checked_sub(1) else {
        return leaf;
    };
    let equality: &[&str] = &["==", "!="];
    let quantified = (
        list(less),
        select(&["all", "exists", "exists_one"][..]),
        boolean(less),
    );
    prop_oneof![
        leaf,
        both(boolean(less), &["&&", "||", "=="], boolean(less)),
        both(integer(less), &["==", "!=", "<", "<=", ">", ">="], integer(less)),
        both(text(less), &["==", "!=", "<", "<=", ">", ">="], text(less)),
        both(list(less), equality, list(less)),
        both(text(less), &["in"], list(less)),
        boolean(less).prop_map(|of| format!("!{of}")),
        (
            text(less),
            select(&["startsWith", "endsWith", "contains"][..]),
            text(less)
        )
            .prop_map(|(text, search, part)| format!("{text}.{search}({part})")),
        quantified.prop_map(|(list, of, body)| format!("{list}.{of}(t, {body})")),
        (list(less), text(less)).prop_map(|(list, text)| format!("{list}.exists(t, t == {text})")),
        (list(less), integer(less)).prop_map(|(list, most)| format!("{list}.all(t, size(t) <= {most})")),
        either(boolean(less), less),
        both(mapping(less), equality, mapping(less)),
    ]
    .boxed()
}

fn either(of: Source, less: u32) -> Source {
    (boolean(less), of.clone(), of)
        .prop_map(|(condition, chosen, otherwise)| format!("({condition} ? {chosen} : {otherwise})"))
        .boxed()
}

pub(crate) fn integer(depth: u32) -> Source {
    let leaf = one(&[
        "0",
        "1",
        "-3",
        "7",
        "object.count",
        "object.parts[1].count",
        "9223372036854775807",
        "object.ratio",
    ]);
    let Some(less) = depth.checked_sub(1) else {
        return leaf;
    };
    prop_oneof![
        leaf,
        both(integer(less), &["+", "-", "*", "/", "%"], integer(less)),
        integer(less).prop_map(|of| format!("-({of})")),
        text(less).prop_map(|of| format!("size({of})")),
        list(less).prop_map(|of| format!("{of}.size()")),
        text(less).prop_map(|of| format!("int({of})")),
        either(integer(less), less),
    ]
    .boxed()
}

pub(crate) fn text(depth: u32) -> Source {
    let leaf = one(&[
        "''",
        "'a'",
        "'é'",
        "'12'",
        "object.name",
        "object.parts[0].name",
        "object.tags[0]",
    ]);
    let Some(less) = depth.checked_sub(1) else {
        return leaf;
    };
    prop_oneof![
        leaf,
        both(text(less), &["+"], text(less)),
        integer(less).prop_map(|of| format!("string({of})")),
        (list(less), integer(less)).prop_map(|(list, at)| format!("{list}[{at}]")),
        either(text(less), less),
        mapping(less).prop_map(|of| format!("{of}.a")),
    ]
    .boxed()
}

/// Of texts.
pub(crate) fn list(depth: u32) -> Source {
    let leaf = one(&[
        "[]",
        "['a']",
        "['b', '12']",
        "object.tags",
        "object.tags",
        "[object.name]",
        "object.parts[0].tags",
    ]);
    let Some(less) = depth.checked_sub(1) else {
        return leaf;
    };
    prop_oneof![
        leaf,
        vec(text(less), 0..4).prop_map(|all| format!("[{}]", all.join(", "))),
        both(list(less), &["+"], list(less)),
        (list(less), text(less)).prop_map(|(list, text)| format!("{list}.map(t, t + {text})")),
        (list(less), text(less)).prop_map(|(list, text)| format!("{list}.filter(t, t < {text})")),
        (list(less), boolean(less)).prop_map(|(list, keep)| format!("{list}.filter(u, {keep})")),
        list(less).prop_map(|list| format!("{list}.map(t, size(t)).map(n, string(n))")),
        either(list(less), less),
    ]
    .boxed()
}

fn mapping(less: u32) -> Source {
    (text(less), list(less))
        .prop_map(|(text, list)| format!("{{'a': {text}, 'b': {list}}}"))
        .boxed()
}
