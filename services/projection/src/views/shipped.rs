//! The views that are shipped as data, over what strangers may send.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use fedsx_kernel::definition::Body;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Projection, Touched};
use crate::{
    entry::Entry,
    testing::{ALICE, BOB, Story, origin, projection},
};

/// The folders of `genesis/` and below that have projections.
fn folders() -> Vec<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../genesis")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.file_name().and_then(|name| name.to_str()) {
                Some("projections") => found.push(path),
                _ if path.is_dir() => folders.push(path),
                _ => {}
            }
        }
    }
    found
}

/// Every view that is data, with the verbs that it is about.
static SHIPPED: LazyLock<Vec<(Projection, Vec<String>)>> = LazyLock::new(|| {
    let files = folders()
        .into_iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let records = files.map(|file| {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        projection(serde_saphyr::from_str(&text).unwrap())
    });
    let views = records.filter_map(|record| {
        let Body::Declared(declared) = record.body() else {
            return None;
        };
        let verbs = declared.verbs.clone();
        Some((Projection::of(&record, &origin()).unwrap(), verbs))
    });
    views.collect()
});

fn shipped(name: &str) -> &'static Projection {
    let found = SHIPPED.iter().find(|(view, _)| view.name == name);
    &found.unwrap().0
}

/// A verb that one of them is about.
fn verb() -> impl Strategy<Value = String> {
    let verbs = SHIPPED.iter().flat_map(|(_, verbs)| verbs.clone());
    prop::sample::select(
        verbs
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>(),
    )
}

/// What a view makes of what is said; an error would halt it.
fn halts(projection: &Projection, entries: &[Entry]) -> Option<String> {
    let mut rows: BTreeMap<String, Value> = BTreeMap::new();
    for entry in entries {
        let Touched::Keys(keys) = projection.view.touches(entry) else {
            continue;
        };
        for key in keys {
            match projection.view.fold(&key, rows.get(&key), entry) {
                Ok(Some(row)) => rows.insert(key, row),
                Ok(None) => rows.remove(&key),
                Err(error) => return Some(format!("{}: {error}", projection.name)),
            };
        }
    }
    None
}

fn deep(levels: usize) -> Value {
    (0..levels).fold(json!("x"), |inner, _| json!({ "a": [inner] }))
}

/// A value where another kind of it is expected.
fn odd() -> impl Strategy<Value = Value> {
    let texts = prop_oneof![
        Just("\u{1}".repeat(100)),
        Just("\u{1}".repeat(101)),
        Just("\u{1}".repeat(2_000)),
        Just("\u{0}\"\\".to_owned()),
        Just("\u{1f3b8}".repeat(3_000)),
        Just("https://events.example/objects/1".to_owned()),
        Just("https://blog.example/objects/1".to_owned()),
        Just("Hashtag".to_owned()),
        Just("Event".to_owned()),
        Just("Join".to_owned()),
        Just(String::new()),
    ];
    let leaf = prop_oneof![
        8 => texts.prop_map(Value::from),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => prop_oneof![Just(json!(1.5)), Just(json!(-7)), Just(json!(9_007_199_254_740_991_i64))],
        1 => (1..28usize).prop_map(deep),
    ];
    let member = prop::sample::select(vec!["id", "type", "name", "url", "href", "object", "actor"]);
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            // As many as are taken, and one more.
            (inner.clone(), prop::sample::select(vec![64usize, 65, 100, 101])).prop_map(|(value, count)| {
                Value::Array(vec![json!({"type": "Hashtag", "name": value}); count])
            }),
            prop::collection::vec((member.clone(), inner), 0..4).prop_map(|members| {
                let members = members.into_iter().map(|(key, value)| (key.to_owned(), value));
                Value::Object(members.collect::<Map<_, _>>())
            }),
        ]
    })
}

/// An object with some of the members that views look at.
fn object() -> impl Strategy<Value = Value> {
    let member = prop::sample::select(vec![
        "id",
        "type",
        "name",
        "tag",
        "attachment",
        "inReplyTo",
        "context",
        "typeCid",
        "object",
        "actor",
        "childTypeCid",
        "parentTypeCid",
        "cid",
        "joinMode",
        "status",
        "maximumAttendeeCapacity",
    ]);
    let members = prop::collection::vec((member, odd()), 0..6);
    (members, any::<bool>()).prop_map(|(members, sound)| {
        let mut object = json!({});
        if sound {
            object["id"] = json!("https://events.example/objects/1");
            object["type"] = json!("Event");
        }
        for (key, value) in members {
            object[key] = value;
        }
        object
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn nothing_that_strangers_send_halts_a_view(
        said in prop::collection::vec((verb(), prop_oneof![4 => object(), 1 => odd()], any::<bool>()), 1..5),
        others in prop::collection::vec((prop::sample::select(vec!["target", "origin", "events", "flow", "to"]), odd()), 0..3),
        odd in odd(),
    ) {
        let mut story = Story::default();
        for (verb, object, plain) in said {
            let actor = if plain { json!(BOB) } else { json!({"id": BOB, "name": odd}) };
            let mut said = json!({"type": verb, "actor": actor, "object": object, "to": ["as:Public"]});
            for (key, value) in &others {
                said[*key] = value.clone();
            }
            story.tries(BOB, said);
        }
        let entries = story.entries();
        for (view, _) in SHIPPED.iter() {
            prop_assert_eq!(halts(view, &entries), None);
        }
    }
}

#[test]
fn as_many_tags_as_are_kept_fit_a_row_and_longer_names_are_left_out() {
    let tags = |length: usize, count: usize| {
        let tag = json!({"type": "Hashtag", "name": "\u{1}".repeat(length)});
        let object = json!({"id": "https://events.example/objects/1", "tag": vec![tag; count]});
        let said = json!({"type": "Create", "actor": {"id": BOB, "x": "y".repeat(70_000)}, "object": object});
        let mut story = Story::default();
        story.tries(BOB, said);
        assert_eq!(story.entries.len(), 1);
        story.rows(&*shipped("tags").view).into_values().next()
    };
    let row = tags(100, 64).unwrap();
    assert_eq!(
        (row["tags"].as_array().unwrap().len(), &row["actor"]),
        (64, &json!(BOB))
    );
    assert_eq!(tags(101, 64), None);
    assert_eq!(tags(1, 65), None);
}

#[test]
fn an_event_is_changed_by_who_made_it() {
    const EVE: &str = "https://blog.example/actors/eve";
    let event = |capacity: u32| json!({"id": "https://blog.example/objects/gig", "type": "Event", "maximumAttendeeCapacity": capacity});
    let events = shipped("events");
    let mut story = Story::default();
    story.published(ALICE, json!({"type": "Create", "object": event(7)}));
    for verb in ["Update", "Delete"] {
        story.published(EVE, json!({"type": verb, "object": event(9)}));
    }
    let row = story.rows(&*events.view).into_values().next().unwrap();
    assert_eq!((&row["by"], &row["capacity"]), (&json!(ALICE), &json!(7)));
    story.published(ALICE, json!({"type": "Update", "object": event(8)}));
    let row = story.rows(&*events.view).into_values().next().unwrap();
    assert_eq!(row["capacity"], json!(8));
}
