//! The envelope: what every activity has, whatever it is about. Shared by activities and drafts.

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{ActivityError, CONTEXT, MAX_ADDRESSEES, PUBLIC};
use crate::origin::Origin;

type Document = Map<String, Value>;

/// A type's name longer than this is nobody's. Bytes.
const MAX_TYPE: usize = 256;

pub(crate) fn error(field: &'static str, problem: impl Into<String>) -> ActivityError {
    ActivityError::Envelope {
        field,
        problem: problem.into(),
    }
}

/// Every check of a complete activity but the one of its CID. Tells its actor's origin.
pub(crate) fn check(document: &Document) -> Result<Origin, ActivityError> {
    check_context(document)?;
    check_content(document)?;
    let actor = present(document, "actor").ok_or_else(|| error("actor", "is missing"))?;
    let actor = id_of(actor).ok_or_else(|| error("actor", "is neither an id nor an object with one"))?;
    let origin = Origin::of(actor).map_err(|_| error("actor", "is not an http or https URL"))?;
    let id = present(document, "id").ok_or_else(|| error("id", "is missing"))?;
    let id = id.as_str().ok_or_else(|| error("id", "is not a string"))?;
    if !origin.owns(id) {
        let at = Origin::of(id).map_err(|_| error("id", "is not an http or https URL"))?;
        return Err(error("id", format!("lies at {at}, its actor at {origin}")));
    }
    check_published(document)?;
    Ok(origin)
}

/// The checks that hold for a draft as well: `type`, addressees, `object`.
pub(crate) fn check_content(document: &Document) -> Result<(), ActivityError> {
    check_type(document)?;
    for field in ["bto", "bcc"] {
        if document.contains_key(field) {
            return Err(error(
                field,
                "is not admitted: an activity says to everyone whom it addresses",
            ));
        }
    }
    let to = check_addressees(document, "to")?;
    let cc = check_addressees(document, "cc")?;
    if to + cc > MAX_ADDRESSEES {
        return Err(error(
            "to",
            format!(
                "and `cc` have {} addressees, at most {MAX_ADDRESSEES} are",
                to + cc
            ),
        ));
    }
    match present(document, "object") {
        None | Some(Value::String(_) | Value::Object(_) | Value::Array(_)) => Ok(()),
        Some(_) => Err(error("object", "is neither an id nor an object")),
    }
}

fn check_context(document: &Document) -> Result<(), ActivityError> {
    let context = present(document, "@context").ok_or_else(|| error("@context", "is missing"))?;
    let entries = entries(context);
    if entries
        .iter()
        .any(|entry| !matches!(entry, Value::String(_) | Value::Object(_)))
    {
        return Err(error(
            "@context",
            "holds something that is neither a URL nor an object",
        ));
    }
    if !entries.iter().any(|entry| entry == CONTEXT) {
        return Err(error("@context", format!("does not hold {CONTEXT}")));
    }
    Ok(())
}

fn check_type(document: &Document) -> Result<(), ActivityError> {
    let types = present(document, "type").ok_or_else(|| error("type", "is missing"))?;
    let types = entries(types);
    let sound = |entry: &Value| {
        entry
            .as_str()
            .is_some_and(|name| !name.is_empty() && name.len() <= MAX_TYPE)
    };
    if types.is_empty() || !types.iter().all(sound) {
        return Err(error("type", "is neither a name nor an array of names"));
    }
    Ok(())
}

/// Counts the addressees of a field.
fn check_addressees(document: &Document, field: &'static str) -> Result<usize, ActivityError> {
    let Some(value) = present(document, field) else {
        return Ok(0);
    };
    let entries = entries(value);
    let sound = |entry: &Value| id_of(entry).is_some_and(|id| !id.is_empty());
    if !entries.iter().all(sound) {
        return Err(error(
            field,
            "holds something that is neither an id nor an object with one",
        ));
    }
    Ok(entries.len())
}

fn check_published(document: &Document) -> Result<(), ActivityError> {
    let Some(published) = present(document, "published") else {
        return Ok(());
    };
    let time = published.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    time.map(drop)
        .ok_or_else(|| error("published", "is not a time as in RFC 3339"))
}

/// A member that is there and not null, which JSON-LD takes for absent.
pub(crate) fn present<'a>(document: &'a Document, field: &str) -> Option<&'a Value> {
    document.get(field).filter(|value| !value.is_null())
}

/// One value, or each of an array.
pub(crate) fn entries(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) => values,
        value => std::slice::from_ref(value),
    }
}

/// An id: a string, or the `id` of an object.
pub(crate) fn id_of(value: &Value) -> Option<&str> {
    match value {
        Value::String(id) => Some(id),
        Value::Object(object) => object.get("id").and_then(Value::as_str),
        _ => None,
    }
}

/// The first `type`.
pub(crate) fn first_type(document: &Document) -> Option<&str> {
    types_of(document).next()
}

/// The types of an activity or an object, in order.
pub fn types_of(document: &Document) -> impl Iterator<Item = &str> {
    document
        .get("type")
        .map_or(&[][..], entries)
        .iter()
        .filter_map(Value::as_str)
}

/// `to` and `cc`, in order, each addressee once.
pub(crate) fn addressees(document: &Document) -> Vec<&str> {
    let mut seen = HashSet::new();
    listed(document)
        .filter(|addressee| seen.insert(*addressee))
        .collect()
}

/// Whether the public is addressed.
pub(crate) fn is_public(document: &Document) -> bool {
    listed(document).any(is_public_collection)
}

/// Whether an addressee is the public: by its URL, `as:Public` or `Public`.
pub(crate) fn is_public_collection(addressee: &str) -> bool {
    matches!(addressee, PUBLIC | "as:Public" | "Public")
}

fn listed(document: &Document) -> impl Iterator<Item = &str> {
    ["to", "cc"]
        .into_iter()
        .filter_map(|field| present(document, field))
        .flat_map(entries)
        .filter_map(id_of)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sound() -> Value {
        json!({
            "@context": CONTEXT,
            "id": "https://blog.example/1",
            "type": "Follow",
            "actor": "https://blog.example/actors/alice",
            "object": "https://events.example/",
        })
    }

    fn with(field: &str, value: Value) -> Document {
        let mut document = sound();
        document[field] = value;
        document.as_object().unwrap().clone()
    }

    fn refused(document: &Document) -> Option<&'static str> {
        match check(document) {
            Ok(_) => None,
            Err(ActivityError::Envelope { field, .. }) => Some(field),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn each_missing_member_is_named() {
        for field in ["@context", "id", "type", "actor"] {
            let mut document = sound().as_object().unwrap().clone();
            document.remove(field);
            assert_eq!(refused(&document), Some(field));
            assert_eq!(refused(&with(field, Value::Null)), Some(field));
        }
    }

    #[test]
    fn each_unsound_member_is_named() {
        let many: Vec<String> = (0..=MAX_ADDRESSEES)
            .map(|n| format!("https://a.example/{n}"))
            .collect();
        let unsound = [
            ("@context", json!("https://schema.org")),
            ("@context", json!({"@vocab": CONTEXT})),
            ("@context", json!([CONTEXT, 1])),
            ("type", json!("")),
            ("type", json!([])),
            ("type", json!(["Create", 1])),
            ("type", json!({"id": "Create"})),
            ("type", json!("x".repeat(MAX_TYPE + 1))),
            ("actor", json!(["https://blog.example/actors/alice"])),
            ("actor", json!({"type": "Person"})),
            ("actor", json!("alice")),
            ("actor", json!("did:key:z6Mk")),
            ("id", json!({"id": "https://blog.example/1"})),
            ("id", json!("urn:uuid:1")),
            ("id", json!("https://other.example/1")),
            ("id", json!("http://blog.example/1")),
            ("id", json!("https://blog.example:8443/1")),
            ("to", json!(1)),
            ("to", json!([["https://a.example/"]])),
            ("to", json!([""])),
            ("to", json!([{"type": "Person"}])),
            ("to", json!(many)),
            ("cc", json!([null])),
            ("bto", json!([])),
            ("bcc", json!("https://a.example/")),
            ("object", json!(1)),
            ("object", json!(true)),
            ("published", json!("yesterday")),
            ("published", json!(1_700_000_000)),
            ("published", json!("2026-11-21T10:00:00")),
        ];
        for (field, value) in unsound {
            assert_eq!(refused(&with(field, value.clone())), Some(field), "{value}");
        }
    }

    #[test]
    fn sound_variations_pass() {
        let variations = [
            (
                "@context",
                json!(["https://w3id.org/security/v1", CONTEXT, {"x": "y:z"}]),
            ),
            ("type", json!(["Create", "Announce"])),
            (
                "actor",
                json!({"id": "https://blog.example/actors/alice", "type": "Person"}),
            ),
            ("id", json!("https://BLOG.example:443/1")),
            ("to", json!(null)),
            ("to", json!([])),
            (
                "to",
                json!([{"id": "https://a.example/", "type": "Service"}, "as:Public"]),
            ),
            ("object", json!(null)),
            ("object", json!([])),
            ("published", json!("2026-11-21T10:00:00+01:00")),
        ];
        for (field, value) in variations {
            assert_eq!(refused(&with(field, value.clone())), None, "{field} {value}");
        }
    }

    #[test]
    fn addressees_are_counted_together() {
        let some: Vec<String> = (0..MAX_ADDRESSEES)
            .map(|n| format!("https://a.example/{n}"))
            .collect();
        let mut document = with("to", json!(some));
        assert_eq!(refused(&document), None);
        document.insert("cc".to_owned(), json!("https://b.example/"));
        assert_eq!(refused(&document), Some("to"));
    }

    #[test]
    fn the_public_has_three_names() {
        for name in [PUBLIC, "as:Public", "Public"] {
            assert!(
                is_public(&with("cc", json!(["https://a.example/", name]))),
                "{name}"
            );
        }
        for name in [
            "public",
            "https://www.w3.org/ns/activitystreams",
            "https://a.example/#Public",
        ] {
            assert!(!is_public(&with("to", json!(name))), "{name}");
        }
    }
}
