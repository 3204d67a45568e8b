//! The terms of records.

use proptest::prelude::*;

use super::*;

fn with_context(context: &Value) -> Value {
    json!({"name": "Post", "context": context})
}

fn refused(context: &Value) -> DefinitionError {
    let of_verb = complete(Kind::Verb, with_context(context)).unwrap_err();
    let of_type = complete(Kind::Type, with_context(context)).unwrap_err();
    assert_eq!(of_verb, of_type);
    of_type
}

fn terms(context: &Value) -> Terms {
    Terms::clone(type_record(with_context(context)).terms())
}

#[test]
fn a_term_is_an_iri_in_full_or_over_a_prefix_or_more_than_that() {
    let context = json!({
        "sc": "https://schema.org/",
        "inLanguage": "sc:inLanguage",
        "Hashtag": "as:Hashtag",
        "slug": "fedsx:slug",
        "genre": "http://purl.org/genre",
        "size": {"@id": "sc:size", "@type": "xsd:integer"},
        "seeAlso": {"@id": "sc:seeAlso", "@type": "@id", "@container": "@set"},
        "status": {"@id": "sc:status", "@type": "@vocab"},
        "titleMap": {"@id": "sc:title", "@container": "@language"},
    });
    let record = type_record(with_context(&context));
    let declared: Vec<_> = record
        .terms()
        .iter()
        .map(|(name, term)| (name, term.absolute().clone()))
        .collect();
    assert_eq!(
        declared,
        [
            ("Hashtag", json!("https://www.w3.org/ns/activitystreams#Hashtag")),
            ("genre", json!("http://purl.org/genre")),
            ("inLanguage", json!("https://schema.org/inLanguage")),
            ("sc", json!("https://schema.org/")),
            (
                "seeAlso",
                json!({"@id": "https://schema.org/seeAlso", "@type": "@id", "@container": "@set"})
            ),
            (
                "size",
                json!({"@id": "https://schema.org/size", "@type": "http://www.w3.org/2001/XMLSchema#integer"})
            ),
            ("slug", json!("https://fed-sx.org/ns#slug")),
            (
                "status",
                json!({"@id": "https://schema.org/status", "@type": "@vocab"})
            ),
            (
                "titleMap",
                json!({"@id": "https://schema.org/title", "@container": "@language"})
            ),
        ]
    );
    // They are the record's, and in its name.
    assert_eq!(TypeRecord::parse(record.canonical()).unwrap(), record);
    assert_ne!(record.cid(), type_record(json!({"name": "Post"})).cid());
}

#[test]
fn a_term_that_means_nothing_or_something_else_is_refused_by_its_name() {
    let long = format!("https://schema.org/{}", "x".repeat(256));
    for (name, value) in [
        ("@vocab", json!("https://schema.org/")),
        ("@context", json!("https://schema.org/")),
        ("", json!("https://schema.org/")),
        ("sc:name", json!("https://schema.org/name")),
        // What every activity says already.
        ("name", json!("https://schema.org/name")),
        ("Article", json!("https://schema.org/Article")),
        ("as", json!("https://schema.org/")),
        ("prev", json!("https://schema.org/prev")),
        ("typeCid", json!("https://schema.org/typeCid")),
        ("fedsx", json!("https://schema.org/")),
        ("proof", json!("https://schema.org/proof")),
        // No meaning.
        ("slug", json!(null)),
        ("slug", json!(1)),
        ("slug", json!(["https://schema.org/slug"])),
        ("slug", json!("@id")),
        ("slug", json!("slug")),
        ("slug", json!("_:slug")),
        ("slug", json!("sc:slug")),
        ("slug", json!("javascript:alert(1)")),
        ("slug", json!("ftp://schema.org/slug")),
        ("slug", json!("https:///slug")),
        ("slug", json!("https://schema.org/a slug")),
        ("slug", json!("https://schema.org/\u{7}")),
        ("slug", json!(long)),
        ("slug", json!({})),
        ("slug", json!({"@type": "@id"})),
        ("slug", json!({"@id": null})),
        ("slug", json!({"@id": "@type"})),
        ("slug", json!({"@id": "fedsx:slug", "@type": "string"})),
        ("slug", json!({"@id": "fedsx:slug", "@type": "@json"})),
        ("slug", json!({"@id": "fedsx:slug", "@container": "@graph"})),
        ("slug", json!({"@id": "fedsx:slug", "@container": ["@list"]})),
        (
            "slug",
            json!({"@id": "fedsx:slug", "@container": "@language", "@type": "@id"}),
        ),
        (
            "slug",
            json!({"@id": "fedsx:slug", "@context": {"name": "https://schema.org/name"}}),
        ),
        ("slug", json!({"@id": "fedsx:slug", "@protected": true})),
        ("slug", json!({"@reverse": "fedsx:slug"})),
    ] {
        let error = refused(&json!({ name: value }));
        assert_eq!(error.key, format!("context.{name}"), "{value}");
    }
    for context in [json!(null), json!("https://schema.org/"), json!([])] {
        assert_eq!(refused(&context).key, "context");
    }
}

#[test]
fn a_prefix_is_an_iri_of_the_same_context_that_ends_as_one() {
    for prefix in [
        json!("https://schema.org/name"),
        json!("as:more#"),
        json!({"@id": "https://schema.org/"}),
    ] {
        let error = refused(&json!({"sc": prefix, "slug": "sc:slug"}));
        assert_eq!(error.key, "context.slug");
    }
}

#[test]
fn a_context_is_bounded() {
    let many = |count: usize| {
        let term = |number| (format!("t{number}"), json!("fedsx:t"));
        Value::Object((0..count).map(term).collect())
    };
    assert_eq!(terms(&many(64)).iter().count(), 64);
    assert_eq!(refused(&many(65)).key, "context");
    let long = "x".repeat(100_000);
    assert!(refused(&json!({ long: "fedsx:x" })).key.len() < 100);
}

#[test]
fn terms_agree_that_mean_the_same_however_they_are_written() {
    let one = terms(&json!({"sc": "https://schema.org/", "x": "sc:x", "y": "sc:y"}));
    let same = terms(&json!({"s": "https://schema.org/", "x": "s:x", "z": "s:y"}));
    let other = terms(&json!({"x": {"@id": "https://schema.org/x", "@type": "@id"}}));
    assert_eq!((one.conflict(&same), same.conflict(&one)), (None, None));
    assert_eq!(
        (one.conflict(&other), other.conflict(&one)),
        (Some("x"), Some("x"))
    );
}

/// Names are for ever: a record without `context` has the one that it had before there was any.
#[test]
fn a_record_without_terms_is_named_as_ever() {
    let named = |kind, record| complete(kind, record).unwrap().cid().to_string();
    assert_eq!(
        [
            named(Kind::Type, json!({"name": "Post", "instanceType": "Note"})),
            named(Kind::Verb, json!({"name": "Endorse"})),
        ],
        [
            "baga6yaqsedsqfu3k2y3lb25woegvcxzktiqpmhj673gfk6wqk6g63dl2hloas",
            "baga6yaqsebdjjtlbhn5x7kjllg2wlcccxj47omtaseau7rm5xbzydpvuuyuho"
        ]
    );
}

proptest! {
    /// Whatever a stranger declares, reading it ends, and what is read has nothing but IRIs of the web and keywords.
    #[test]
    fn what_is_read_can_be_said(text in "(https?|sc|as|fedsx|_|@id)?:?/{0,2}\\PC{0,12}", name in "[@a-zA-Z:]{0,6}") {
        let context = json!({"sc": "https://schema.org/", name.clone(): {"@id": text}});
        if let Ok(Definition::Type(record)) = complete(Kind::Type, with_context(&context)) {
            let terms = record.terms();
            let (_, term) = terms.iter().find(|(found, _)| *found == name).unwrap();
            let iri = term.absolute()["@id"].as_str().or(term.absolute().as_str()).unwrap();
            prop_assert!(iri.starts_with("https://") || iri.starts_with("http://"));
        }
    }
}
