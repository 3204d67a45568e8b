//! Laws that hold for every document.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use fedsx_kernel::{
    activity::{Activity, CONTEXT},
    canonical,
    cid::Cid,
    draft::{Draft, Seal, Sealed},
    json,
    key::SigningKey,
    proof,
};
use proptest::prelude::*;
use serde_json::{Map, Value};

const ACTOR: &str = "https://blog.example/actors/alice";

/// A number as some writer spells it.
fn number() -> impl Strategy<Value = String> {
    let exact = -9_007_199_254_740_991_i64..=9_007_199_254_740_991;
    prop_oneof![
        any::<i32>().prop_map(|n| n.to_string()),
        exact.prop_map(|n| n.to_string()),
        any::<i32>().prop_map(|n| format!("{n}.0")),
        (-99_i32..99, -40..40).prop_map(|(n, e)| format!("{n}E{e}")),
        any::<f64>()
            .prop_filter("finite", |n| n.is_finite())
            .prop_map(|n| format!("{n:e}")),
    ]
    .prop_filter("within range", |text| json::parse(text.as_bytes()).is_ok())
}

/// A text with what must be escaped, and what sorts otherwise in UTF-16 than in UTF-8.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[\\x00-\\x7f]{0,40}",
        "[a\"\\\\/\u{7f}\u{e000}-\u{ffff}\u{10000}-\u{10ffff}]{0,4}"
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number().prop_map(|text| json::parse(text.as_bytes()).unwrap()),
        text().prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::btree_map(text(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The same document in another spelling: members in another order, white space and escapes where JSON has room.
fn respelled(value: &Value, seed: u64) -> String {
    let space = [" ", "\n", "\t", ""][usize::try_from(seed % 4).unwrap()];
    let escaped = |text: &str| -> String {
        text.encode_utf16()
            .map(|unit| format!("\\u{unit:04X}"))
            .collect::<Vec<_>>()
            .concat()
    };
    match value {
        Value::Object(members) => {
            let mut members: Vec<String> = members
                .iter()
                .map(|(key, value)| {
                    format!(
                        "{space}\"{}\":{space}{}",
                        escaped(key),
                        respelled(value, seed / 4)
                    )
                })
                .collect();
            if seed.is_multiple_of(2) {
                members.reverse();
            }
            let turn = usize::try_from(seed % 5).unwrap().min(members.len());
            members.rotate_left(turn);
            format!("{{{}{space}}}", members.join(","))
        }
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(|value| respelled(value, seed / 3)).collect();
            format!("[{space}{}{space}]", values.join(&format!(",{space}")))
        }
        Value::String(text) => format!("\"{}\"", escaped(text)),
        Value::Number(number) if seed.is_multiple_of(2) && number.is_i64() => format!("{number}.0e0"),
        other => other.to_string(),
    }
}

fn sealed(object: Map<String, Value>) -> Sealed {
    let draft = serde_json::json!({"type": "Create", "to": "as:Public", "object": object});
    let seal = Seal {
        origin: &"https://blog.example".parse().unwrap(),
        actor: ACTOR,
        published: "2026-11-21T10:00:00.5Z".parse().unwrap(),
        prev: Some(&Cid::of_canonical(b"{}")),
        key_id: "https://blog.example/actors/alice#ed25519-key",
        key: &key(),
    };
    Draft::parse(draft.to_string().as_bytes())
        .unwrap()
        .seal(&seal)
        .unwrap()
}

fn key() -> SigningKey {
    SigningKey::from_seed(&[11; 32])
}

fn object() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map(text(), value(), 0..6).prop_map(|members| members.into_iter().collect())
}

proptest! {
    #[test]
    fn the_canonical_form_is_the_one_that_others_write(value in value()) {
        let expected = serde_json_canonicalizer::to_vec(&value).unwrap();
        prop_assert_eq!(canonical::to_vec(&value).unwrap(), expected);
    }

    #[test]
    fn numbers_are_written_as_others_write_them(bits in any::<u64>()) {
        let number = Value::from(f64::from_bits(bits));
        if let Ok(canonical) = canonical::to_vec(&number) {
            prop_assert_eq!(canonical, serde_json_canonicalizer::to_vec(&number).unwrap());
        }
    }

    #[test]
    fn the_canonical_form_reads_back_to_the_same_value(value in value()) {
        let canonical = canonical::to_vec(&value).unwrap();
        let read = json::parse(&canonical).unwrap();
        prop_assert_eq!(&read, &value);
        prop_assert_eq!(canonical::to_vec(&read).unwrap(), canonical);
    }

    #[test]
    fn spelling_never_changes_the_canonical_form(value in value(), seed in any::<u64>()) {
        let respelled = json::parse(respelled(&value, seed).as_bytes()).unwrap();
        prop_assert_eq!(canonical::to_vec(&respelled).unwrap(), canonical::to_vec(&value).unwrap());
    }

    #[test]
    fn spelling_never_changes_a_cid(mut object in object(), id in "[a-z]{1,8}", seed in any::<u64>()) {
        for (name, value) in [("@context", CONTEXT), ("type", "Create"), ("actor", ACTOR)] {
            object.insert(name.to_owned(), value.into());
        }
        object.insert("id".to_owned(), format!("https://blog.example/{id}").into());
        let plain = Activity::from_document(object.clone());
        let respelled = Activity::parse(respelled(&Value::Object(object), seed).as_bytes());
        prop_assert_eq!(respelled, plain);
    }

    #[test]
    fn a_sealed_draft_reads_back_to_the_activity_that_it_was_named(object in object()) {
        let sealed = sealed(object);
        let read = Activity::parse(&sealed.body).unwrap();
        prop_assert_eq!((read.cid(), read.id()), (&sealed.cid, sealed.id.as_str()));
        prop_assert_eq!(canonical::to_vec(&read.document().clone().into()).unwrap(), sealed.body);
        prop_assert!(proof::verify(read.document(), &key().verifying_key()).is_ok());
    }

    #[test]
    fn a_flipped_bit_breaks_the_proof(object in object(), at in any::<prop::sample::Index>(), bit in 0..8) {
        let Sealed { mut body, .. } = sealed(object);
        let activity = Activity::parse(&body).unwrap();
        let at = at.index(body.len());
        body[at] ^= 1_u8 << bit;
        // A bit may turn a spelling alone, as in `\u001f` and `\u001F`: then it is the same activity.
        if let Ok(read) = Activity::parse(&body) && read != activity {
            let verified = proof::verify(read.document(), &key().verifying_key());
            prop_assert!(verified.is_err(), "{}", String::from_utf8_lossy(&body));
        }
    }

    #[test]
    fn no_bytes_make_activities_or_drafts_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Activity::parse(&bytes);
        let _ = Draft::parse(&bytes);
    }
}
