//! Projections as records.

use super::*;

#[test]
fn a_projection_is_a_keyed_fold_in_the_profile() {
    let endorsements = json!({
        "name": "endorsements",
        "on": {"verbs": ["Endorse"]},
        "when": "has(activity.object)",
        "key": "activity.object",
        "seed": {"count": 0},
        "fold": "{'count': state.count + 1}",
    });
    let Definition::Projection(record) = complete(Kind::Projection, endorsements.clone()).unwrap() else {
        panic!()
    };
    let Body::Declared(declared) = record.body() else {
        panic!()
    };
    assert_eq!(
        (record.name(), &declared.verbs[..], &declared.types[..]),
        ("endorsements", &["Endorse".to_owned()][..], &[][..])
    );
    assert_eq!(declared.seed, json!({"count": 0}));
    assert_eq!(ProjectionRecord::parse(record.canonical()).unwrap(), record);
    let activity = json!({"object": "https://a.example/1"});
    let bindings = [
        &activity,
        &Value::Null,
        &json!({"count": 1}),
        &json!("https://a.example/1"),
    ];
    assert_eq!(
        declared.fold.evaluate(&bindings, 1000).value,
        Ok(json!({"count": 2}))
    );
    assert_eq!(
        declared.key.evaluate(&bindings, 1000).value,
        Ok(activity["object"].clone())
    );
    for (key, value, refused) in [
        ("on", json!(["Endorse"]), "on"),
        ("on", json!({"verb": "Endorse"}), "on.verb"),
        ("on", json!({"verbs": []}), "on.verbs"),
        ("on", json!({"types": [1]}), "on.types"),
        ("when", json!("state.count > 1"), "when"),
        ("key", json!("key"), "key"),
        ("key", json!("object.id"), "key"),
        ("key", json!(null), "key"),
        ("fold", json!(1), "fold"),
        ("seed", json!(vec![0; 300]), "seed"),
        ("profile", json!("cel"), "profile"),
        ("rules", json!([{"relation": "tag"}]), "rules[0]"),
    ] {
        let mut broken = endorsements.clone();
        broken[key] = value;
        assert_eq!(complete(Kind::Projection, broken).unwrap_err().key, refused);
    }
}

#[test]
fn what_the_domain_goes_by_is_folded_by_code_alone() {
    let native = json!({"name": "followers", "fold": {"native": 1}});
    let Definition::Projection(record) = complete(Kind::Projection, native).unwrap() else {
        panic!()
    };
    assert!(matches!(record.body(), Body::Native(1)));
    for (broken, key) in [
        (json!({"name": "followers", "fold": {"native": 2}}), "fold.native"),
        (json!({"name": "followers", "fold": {}}), "fold.native"),
        (
            json!({"name": "endorsements", "fold": {"native": 1}}),
            "fold.native",
        ),
        (
            json!({"name": "followers", "key": "'a'", "fold": {"native": 1}}),
            "key",
        ),
        (
            json!({"name": "followers", "on": {}, "key": "'a'", "fold": "state"}),
            "fold",
        ),
    ] {
        assert_eq!(complete(Kind::Projection, broken).unwrap_err().key, key);
    }
}
