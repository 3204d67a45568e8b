use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{canonical, predicate::PROFILE};

mod derived;
mod projections;
mod terms;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        other => panic!("{other}"),
    }
}

fn complete(kind: Kind, record: Value) -> Result<Definition, DefinitionError> {
    let record = Definition::complete(kind, object(record))?;
    Definition::read(kind, &record)
}

fn type_record(record: Value) -> TypeRecord {
    match complete(Kind::Type, record).unwrap() {
        Definition::Type(record) => record,
        other => panic!("{other:?}"),
    }
}

fn post() -> Value {
    json!({
        "name": "Post",
        "instanceType": "Article",
        "fields": [
            {"name": "title", "type": "string", "required": true, "minLength": 1, "maxLength": 5},
            {"name": "stars", "type": "integer", "minimum": 0, "maximum": 5},
            {"name": "rate", "type": "number", "maximum": 1.5},
            {"name": "draft", "type": "boolean"},
            {"name": "place", "type": "object"},
            {"name": "tags", "type": "array", "maxItems": 2, "maxLength": 3},
            {"name": "category", "enum": ["urgent", "newsletter", 7]},
            {"name": "begins", "type": "string", "format": "date-time"},
        ],
        "refinementSchema": "object.title != 'no' && (!has(object.tags) || object.tags.all(t, t != ''))",
    })
}

#[test]
fn a_record_is_named_by_its_canonical_form() {
    let record = type_record(post());
    let again = TypeRecord::parse(record.canonical()).unwrap();
    assert_eq!(again, record);
    assert_eq!(Cid::of_canonical(record.canonical()), *record.cid());
    assert_eq!((record.name(), record.parent()), ("Post", None));
    let spaced = [record.canonical(), b" "].concat();
    assert!(TypeRecord::parse(&spaced).is_err());
    for kind in Kind::ALL {
        assert_eq!(
            (Kind::of_verb(kind.verb()), Kind::parse(kind.as_str())),
            (Some(kind), Some(kind))
        );
    }
}

#[test]
fn what_follows_from_a_refinement_is_in_the_record() {
    let completed = Definition::complete(Kind::Type, object(post())).unwrap();
    assert_eq!(completed["refinementProfile"], PROFILE);
    let cost = completed["refinementCost"].as_u64().unwrap();
    for (key, wrong) in [
        ("refinementProfile", json!("cel")),
        ("refinementCost", json!(cost - 1)),
    ] {
        let mut record = completed.clone();
        record.insert(key.to_owned(), wrong.clone());
        assert_eq!(
            Definition::complete(Kind::Type, record.clone()).unwrap_err().key,
            key
        );
        record.remove(key);
        assert_eq!(Definition::read(Kind::Type, &record).unwrap_err().key, key);
        let without = json!({"name": "Post", key: wrong});
        assert_eq!(
            Definition::read(Kind::Type, &object(without)).unwrap_err().key,
            key
        );
    }
    // Of a verb, what is refined is the activity.
    let verb = json!({"name": "Rate", "refinementSchema": "activity.object.stars <= 5"});
    assert_eq!(complete(Kind::Verb, verb).unwrap().name(), Some("Rate"));
}

fn slug_from(source: &str) -> Value {
    let slug = json!({"name": "b", "type": "string", "format": "slug", "from": source});
    json!({"name": "Post", "fields": [{"name": "a"}, slug]})
}

fn several_unique(count: usize) -> Value {
    let fields: Vec<_> = (0..count)
        .map(|number| json!({"name": format!("f{number}"), "type": "string", "maxLength": 9, "unique": true}))
        .collect();
    json!({"name": "Post", "fields": fields})
}

#[test]
fn what_is_derived_and_unique_is_of_types_alone() {
    type_record(several_unique(4));
    let fields = json!([
        {"name": "title", "type": "string"},
        {"name": "slug", "type": "string", "format": "slug", "from": "title", "unique": true},
    ]);
    let record = type_record(json!({"name": "Post", "fields": fields}));
    let [_, slug] = &record.schema().fields[..] else {
        panic!("two fields")
    };
    assert_eq!((slug.from.as_deref(), slug.unique), (Some("title"), true));
    // What a stranger's object says is checked for its format alone.
    let fits = |slug: &str| check(&object(json!({"slug": slug})), "Post", record.schema()).is_ok();
    assert!(fits("gig-night") && !fits("Gig Night"));
    let refused = complete(Kind::Verb, json!({"name": "Do", "fields": fields})).unwrap_err();
    assert_eq!(refused.key, "fields[1].from");
}

#[test]
fn a_broken_record_is_refused_by_the_key() {
    let field = |field: Value| json!({"name": "Post", "fields": [{"name": "a"}, field]});
    let table = [
        (json!({}), "name"),
        (json!({"name": 7}), "name"),
        (json!({"name": "a b"}), "name"),
        (json!({"name": "9a"}), "name"),
        (json!({"name": "x".repeat(65)}), "name"),
        (json!({"name": "Post", "more": 1}), "more"),
        (json!({"name": "Post", "fields": {}}), "fields"),
        (
            json!({"name": "Post", "fields": vec![json!({"name": "a"}); 65]}),
            "fields",
        ),
        (json!({"name": "Post", "instanceType": "Nothing"}), "instanceType"),
        (json!({"name": "Post", "instanceType": 1}), "instanceType"),
        (
            json!({"name": "Post", "refinementSchema": "1 +"}),
            "refinementSchema",
        ),
        (
            json!({"name": "Post", "refinementSchema": "object.tags.all(t, true)"}),
            "refinementSchema",
        ),
        (field(json!(7)), "fields[1]"),
        (field(json!({"name": "a"})), "fields[1].name"),
        (field(json!({"name": "b", "size": 1})), "fields[1].size"),
        (field(json!({"name": "b", "type": "date"})), "fields[1].type"),
        (
            field(json!({"name": "b", "required": "yes"})),
            "fields[1].required",
        ),
        (field(json!({"name": "b", "maxLength": 5})), "fields[1].maxLength"),
        (
            field(json!({"name": "b", "type": "string", "maxLength": -1})),
            "fields[1].maxLength",
        ),
        (
            field(json!({"name": "b", "type": "string", "minLength": 2, "maxLength": 1})),
            "fields[1].minLength",
        ),
        (
            field(json!({"name": "b", "type": "string", "minimum": 2})),
            "fields[1].minimum",
        ),
        (
            field(json!({"name": "b", "type": "integer", "minimum": 2, "maximum": 1})),
            "fields[1].minimum",
        ),
        (
            field(json!({"name": "b", "type": "integer", "maximum": "2"})),
            "fields[1].maximum",
        ),
        (
            field(json!({"name": "b", "type": "string", "maxItems": 2})),
            "fields[1].maxItems",
        ),
        (field(json!({"name": "b", "enum": []})), "fields[1].enum"),
        (field(json!({"name": "b", "enum": [[]]})), "fields[1].enum"),
        (
            field(json!({"name": "b", "type": "string", "enum": [1]})),
            "fields[1].enum",
        ),
        (
            field(json!({"name": "b", "type": "string", "format": "zip"})),
            "fields[1].format",
        ),
        (
            field(json!({"name": "b", "type": "string", "from": "a"})),
            "fields[1].from",
        ),
        (slug_from("b"), "fields[1].from"),
        (slug_from("c"), "fields[1].from"),
        // What it is derived from is a text.
        (slug_from("a"), "fields[1].from"),
        (field(json!({"name": "b", "unique": true})), "fields[1].unique"),
        (
            field(json!({"name": "b", "type": "string", "maxLength": 257, "unique": true})),
            "fields[1].unique",
        ),
        (several_unique(5), "fields[4].unique"),
    ];
    for (record, key) in table {
        let refused = complete(Kind::Type, record.clone()).unwrap_err();
        assert_eq!(refused.key, key, "{record} {refused}");
    }
}

#[test]
fn a_link_names_two_records() {
    let [child, parent] = [b"child".as_slice(), b"parent"].map(Cid::of_canonical);
    let link = complete(
        Kind::Subtype,
        json!({"childTypeCid": child, "parentTypeCid": parent}),
    )
    .unwrap();
    let Definition::Subtype(link) = link else { panic!() };
    assert_eq!((link.child(), link.parent()), (&child, &parent));
    for (record, key) in [
        (json!({"childTypeCid": child}), "parentTypeCid"),
        (
            json!({"childTypeCid": 1, "parentTypeCid": parent}),
            "childTypeCid",
        ),
        (
            json!({"childTypeCid": "bafy", "parentTypeCid": parent}),
            "childTypeCid",
        ),
        (
            json!({"childTypeCid": child, "parentTypeCid": child}),
            "parentTypeCid",
        ),
        (
            json!({"childTypeCid": child, "parentTypeCid": parent, "name": "x"}),
            "name",
        ),
    ] {
        assert_eq!(complete(Kind::Subtype, record).unwrap_err().key, key);
    }
}

#[test]
fn a_document_fits_or_breaks_a_rule_by_its_shape() {
    let record = type_record(post());
    let verdict = |document: Value| {
        let verdict = check(&object(document), record.name(), record.schema());
        verdict.map_err(|violation| violation.to_string())
    };
    let sound = json!({
        "title": "Gig", "stars": 5, "rate": 1.5, "draft": false, "place": {}, "tags": ["a", "b"],
        "category": 7, "begins": "2026-11-21T20:00:00+01:00", "else": null,
    });
    assert_eq!(verdict(sound.clone()), Ok(()));
    assert_eq!(
        verdict(json!({})),
        Err("the field `title` of `Post` is missing".to_owned())
    );
    for (key, value, problem) in [
        (
            "title",
            json!("a secret"),
            "the field `title` of `Post` has 8 characters, at most 5 are admitted",
        ),
        (
            "title",
            json!(""),
            "the field `title` of `Post` has 0 characters, at least 1 are asked for",
        ),
        (
            "title",
            json!(["x"]),
            "the field `title` of `Post` is a list of 1 items, not of type string",
        ),
        (
            "title",
            json!(null),
            "the field `title` of `Post` is null, not of type string",
        ),
        ("title", json!("no"), "the refinement of `Post` is not true of it"),
        (
            "stars",
            json!(6),
            "the field `stars` of `Post` is a number above `maximum`",
        ),
        (
            "stars",
            json!(-1),
            "the field `stars` of `Post` is a number below `minimum`",
        ),
        (
            "stars",
            json!(1.5),
            "the field `stars` of `Post` is a number, not of type integer",
        ),
        (
            "rate",
            json!(1.6),
            "the field `rate` of `Post` is a number above `maximum`",
        ),
        (
            "rate",
            json!("1"),
            "the field `rate` of `Post` is a string of 1 characters, not of type number",
        ),
        (
            "draft",
            json!(0),
            "the field `draft` of `Post` is an integer, not of type boolean",
        ),
        (
            "place",
            json!(true),
            "the field `place` of `Post` is a boolean, not of type object",
        ),
        (
            "tags",
            json!({}),
            "the field `tags` of `Post` is an object of 0 members, not of type array",
        ),
        (
            "tags",
            json!([1, 2, 3]),
            "the field `tags` of `Post` has 3 items, at most 2 are admitted",
        ),
        (
            "tags",
            json!(["a", "secret"]),
            "the field `tags` of `Post` has a string of 6 characters at 1, at most 3 characters are admitted",
        ),
        (
            "tags",
            json!([[]]),
            "the field `tags` of `Post` has a list of 0 items at 0, at most 3 characters are admitted",
        ),
        ("tags", json!([""]), "the refinement of `Post` is not true of it"),
        (
            "category",
            json!("secret"),
            "the field `category` of `Post` is none of the values of `enum`",
        ),
        (
            "begins",
            json!("tomorrow"),
            "the field `begins` of `Post` is a string that is no date-time",
        ),
    ] {
        let mut document = sound.clone();
        document[key] = value;
        assert_eq!(verdict(document), Err(problem.to_owned()));
    }
    let fails = type_record(json!({"name": "Post", "refinementSchema": "object.title > 3"}));
    let failed = check(&object(sound), "Post", fails.schema()).unwrap_err();
    assert_eq!(
        failed.to_string(),
        "the refinement of `Post` fails: type_mismatch"
    );
}

#[test]
fn formats_are_those_of_their_sources() {
    for (format, sound, broken) in [
        (
            "date-time",
            &["2026-11-21T20:00:00Z", "2026-11-21T20:00:00.5-08:00"][..],
            &["2026-11-21", "", "20:00"][..],
        ),
        (
            "date",
            &["2026-11-21", "2024-02-29"],
            &["2026-02-29", "2026-11-21T00:00:00Z", "20261121"],
        ),
        (
            "uri",
            &["https://a.example/x?y#z", "urn:isbn:1"],
            &["/x", "a b", ""],
        ),
        (
            "email",
            &["a@b", "a.b+c@d.example"],
            &["a", "@b", "a@", "a b@c", "a@b@c"],
        ),
        (
            "language",
            &["de", "de-CH", "zh-Hant-TW"],
            &["d", "de_CH", "-de", "de-"],
        ),
        (
            "slug",
            &["gig-night", "2026"],
            &["Gig", "gig--night", "gig night", ""],
        ),
        (
            "timezone",
            &["Europe/Zurich", "UTC"],
            &["europe/zurich", "CET+1", "Europe/Nowhere", ""],
        ),
        (
            "rrule",
            &["FREQ=WEEKLY;BYDAY=SA", "FREQ=YEARLY;COUNT=3"],
            &["WEEKLY", "FREQ=SECONDLY", "RRULE:FREQ=DAILY", ""],
        ),
    ] {
        let record =
            type_record(json!({"name": "T", "fields": [{"name": "f", "type": "string", "format": format}]}));
        let fits = |text: &&str| check(&object(json!({"f": text})), "T", record.schema()).is_ok();
        assert!(sound.iter().all(fits), "{format}");
        assert!(!broken.iter().any(fits), "{format}");
    }
}

proptest! {
    /// Whatever a stranger writes: it is refused, or survives canonicalisation, parsing and naming.
    #[test]
    fn a_record_survives_the_wire(
        name in "[A-Za-z0-9 _-]{0,8}",
        field in "[a-z]{1,4}",
        kind in prop::sample::select(vec!["string", "integer", "number", "boolean", "object", "array", "any"]),
        bound in any::<i32>(),
        refinement in prop::sample::select(vec!["true", "object.a == 1", "size(object.a) < 3", "object.a.all(x, x)", "("]),
    ) {
        let record = json!({
            "name": name, "fields": [{"name": field, "type": kind, "maxItems": bound}], "refinementSchema": refinement,
        });
        if let Ok(Definition::Type(record)) = complete(Kind::Type, record) {
            let again = TypeRecord::parse(record.canonical()).unwrap();
            prop_assert_eq!(again.cid(), record.cid());
            let value: Value = serde_json::from_slice(record.canonical()).unwrap();
            prop_assert_eq!(canonical::to_vec(&value).unwrap(), record.canonical());
        }
    }
}
