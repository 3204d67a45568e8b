//! Fields that are derived by expressions.

use super::*;

const HASHTAGS: &str = "object.tags.map(tag, {'type': 'Hashtag', 'name': '#' + tag})";

fn post_with(from: &str) -> Value {
    json!({"name": "Post", "fields": [
        {"name": "tags", "type": "array", "maxItems": 20, "maxLength": 50},
        {"name": "tag", "from": from},
    ]})
}

fn derived(from: &str, given: Value) -> Map<String, Value> {
    let record = type_record(post_with(from));
    let mut given = object(given);
    record.schema().derive(&mut given);
    given
}

#[test]
fn what_an_object_leaves_out_is_derived_by_an_expression() {
    let tag = |name: &str| json!({"type": "Hashtag", "name": name});
    let jazz = derived(HASHTAGS, json!({"tags": ["jazz", "\u{fc}ber"]}));
    assert_eq!(jazz["tag"], json!([tag("#jazz"), tag("#\u{fc}ber")]));
    assert_eq!(derived(HASHTAGS, json!({"tags": []}))["tag"], json!([]));
    // What it says stays.
    for said in [json!([tag("#blues")]), json!(null)] {
        assert_eq!(
            derived(HASHTAGS, json!({"tags": ["jazz"], "tag": said}))["tag"],
            said
        );
    }
}

#[test]
fn what_has_no_value_is_left_out() {
    for given in [
        json!({}),
        json!({"tags": 7}),
        json!({"tags": [7]}),
        json!({"tags": [[]]}),
        json!({"tags": vec!["x"; 21]}),
    ] {
        assert_eq!(derived(HASHTAGS, given.clone()), object(given));
    }
    let maybe = "has(object.tags) ? object.tags : null";
    assert_eq!(derived(maybe, json!({})), Map::new());
}

#[test]
fn an_expression_is_sound_bounded_and_of_few_fields() {
    let endless = "object.others.map(other, other)";
    for from in ["", "tags", "object.", "activity.tags", endless] {
        let refused = complete(Kind::Type, post_with(from)).unwrap_err();
        assert_eq!(refused.key, "fields[1].from", "{from}");
    }
    let several = |count: usize| {
        let fields: Vec<_> = (0..count)
            .map(|number| json!({"name": format!("f{number}"), "from": "object.name"}))
            .collect();
        complete(Kind::Type, json!({"name": "Post", "fields": fields}))
    };
    assert!(several(4).is_ok());
    assert_eq!(several(5).unwrap_err().key, "fields[4].from");
    let unique = json!({"name": "a", "type": "string", "maxLength": 9, "from": "object.b", "unique": true});
    let refused = complete(Kind::Type, json!({"name": "Post", "fields": [unique]})).unwrap_err();
    assert_eq!(refused.key, "fields[0].unique");
}
