//! What the shipped projection `notifications` makes of a flow's transition.

use fedsx_kernel::{
    definition::{Body, Definition},
    predicate::{Binding, MAX_BOUND},
};
use serde_json::{Value, json};

use super::super::Bundle;

/// The rows of an entry with these events, by their keys.
fn rows(events: &Value) -> Vec<(String, Value)> {
    let bundle = Bundle::open("core").unwrap();
    let record = bundle
        .records
        .iter()
        .find(|record| record.name == "notifications")
        .unwrap();
    let Ok(Definition::Projection(record)) = Definition::read(record.kind, &record.document) else {
        panic!("a projection");
    };
    let Body::Declared(view) = record.body() else {
        panic!("one that is data");
    };
    let activity = json!({"type": "Transition", "flow": "k4x2", "name": "publish", "events": events});
    let entry = json!({"stream": "flow", "position": 32, "at": "2026-11-21T10:40:00Z"});
    let about: [Binding<'_>; 2] = [(&activity).into(), (&entry).into()];
    let keys = view.key.evaluate(&about, MAX_BOUND).value.unwrap();
    let keys = keys.as_array().unwrap().iter().map(|key| {
        let about: [Binding<'_>; 4] = [
            (&activity).into(),
            (&entry).into(),
            (&view.seed).into(),
            key.into(),
        ];
        let row = view.fold.evaluate(&about, MAX_BOUND).value.unwrap();
        (key.as_str().unwrap().to_owned(), row)
    });
    keys.collect()
}

fn notified(step: &str, text: &str) -> Value {
    let value = json!({"to": "https://blog.example/actors/ann", "text": text, "about": null});
    json!({"event": "done", "step": step, "effect": "notify", "value": value})
}

#[test]
fn each_notification_of_a_transition_is_a_row_of_who_is_told() {
    let mut item = notified("each", "third");
    item["item"] = 11.into();
    let events = json!([
        {"event": "done", "step": "kind", "value": "urgent"},
        {"event": "done", "step": "check", "effect": "validate", "value": {"valid": true}},
        notified("tell", "published: Gig Night"),
        item,
        {"event": "suspended", "step": "hold"},
    ]);
    let rows = rows(&events);
    let keys: Vec<_> = rows.iter().map(|(key, _)| key.as_str()).collect();
    let ann = "https://blog.example/actors/ann";
    assert_eq!(
        keys,
        [
            format!("{ann} 9999999999967/tell"),
            format!("{ann} 9999999999967/each/11")
        ]
    );
    assert_eq!(
        rows[0].1,
        json!({
            "to": ann, "text": "published: Gig Night", "about": null, "flow": "k4x2", "step": "tell",
            "behaviour": "publish", "at": "2026-11-21T10:40:00Z",
        })
    );
    assert_eq!(rows[1].1["text"], "third");
}

#[test]
fn as_many_as_a_transition_has_fit_and_none_is_too_long_for_a_row() {
    let long = "\u{1}".repeat(3_900);
    let events: Vec<_> = (0..64).map(|step| notified(&format!("s{step}"), &long)).collect();
    let all = rows(&json!(events));
    assert_eq!(all.len(), 64);
    assert!(all.iter().all(|(_, row)| row.to_string().len() < 64 << 10));
    let mut longer = notified("tell", &"x".repeat(60_000));
    longer["value"]["about"] = "y".repeat(60_000).into();
    let (_, row) = rows(&json!([longer])).remove(0);
    assert_eq!(
        (&row["text"], &row["about"]),
        (&json!("too long, see the flow"), &Value::Null)
    );
}
