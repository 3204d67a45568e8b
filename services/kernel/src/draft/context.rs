//! The `@context` of what a local actor says.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value, json};

use super::{DraftError, field};
use crate::{
    activity::CONTEXT,
    definition::{NAMESPACE, NAMESPACE_PREFIX, TERMS, Term, Terms},
};

/// The terms of `proof` (FEP-8b32).
const DATA_INTEGRITY: &str = "https://w3id.org/security/data-integrity/v2";
/// The context with all that a sealed activity's terms need: what is missing is appended.
pub(super) fn complete(context: Option<Value>) -> Result<Value, DraftError> {
    let mut entries = match context {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(entries)) => entries,
        Some(entry) => vec![entry],
    };
    if entries
        .iter()
        .any(|entry| !matches!(entry, Value::String(_) | Value::Object(_)))
    {
        return Err(field(
            "@context",
            "holds something that is neither a URL nor an object",
        ));
    }
    for url in [CONTEXT, DATA_INTEGRITY] {
        if !entries.iter().any(|entry| entry == url) {
            entries.push(url.into());
        }
    }
    let missing = |term: &str| !entries.iter().any(|entry| entry.get(term).is_some());
    let mut terms = Map::new();
    if missing(NAMESPACE_PREFIX) {
        terms.insert(NAMESPACE_PREFIX.to_owned(), NAMESPACE.into());
    }
    for term in TERMS.into_iter().filter(|term| missing(term)) {
        terms.insert(term.to_owned(), json!({ "@id": format!("fedsx:{term}") }));
    }
    if !terms.is_empty() {
        entries.push(Value::Object(terms));
    }
    Ok(Value::Array(entries))
}

/// A complete context with terms of records. Of those of one name the first counts, before all that which the context has
/// already: a draft that says itself what a term means is taken at its word.
pub(super) fn with_terms(context: Value, all: &[Arc<Terms>]) -> Value {
    let mut entries = match context {
        Value::Array(entries) => entries,
        entry => vec![entry],
    };
    let said = |name: &str| entries.iter().rev().find_map(|entry| entry.get(name));
    let mut new: BTreeMap<&str, &Term> = BTreeMap::new();
    for (name, term) in all.iter().flat_map(|terms| terms.iter()) {
        if said(name).is_none() {
            new.entry(name).or_insert(term);
        }
    }
    let meaning = |prefix: &str| match new.get(prefix) {
        Some(term) => Some(term.absolute()),
        None => said(prefix),
    };
    let written = |(name, term): (&&str, &&Term)| ((*name).to_owned(), term.within(meaning).clone());
    let terms: Map<String, Value> = new.iter().map(written).collect();
    // What has keywords (`@vocab`, `@protected`) says something of all of its terms.
    let is_plain = |last: &Map<String, Value>| !last.keys().any(|key| key.starts_with('@'));
    match entries.last_mut() {
        _ if terms.is_empty() => {}
        Some(Value::Object(last)) if is_plain(last) => last.extend(terms),
        _ => entries.push(Value::Object(terms)),
    }
    Value::Array(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_context_is_filled_in() {
        let terms = json!({
            "fedsx": "https://fed-sx.org/ns#",
            "prev": {"@id": "fedsx:prev"},
            "causedBy": {"@id": "fedsx:causedBy"},
            "causeDepth": {"@id": "fedsx:causeDepth"},
            "typeCid": {"@id": "fedsx:typeCid"},
        });
        let filled = json!([CONTEXT, DATA_INTEGRITY, terms]);
        for context in [
            None,
            Some(Value::Null),
            Some(json!([])),
            Some(json!(CONTEXT)),
            Some(json!([CONTEXT])),
        ] {
            assert_eq!(complete(context).as_ref(), Ok(&filled));
        }
    }

    #[test]
    fn a_given_context_gets_what_is_missing_and_no_more() {
        let given = json!({"fedsx": NAMESPACE, "prev": "fedsx:prev", "causedBy": "fedsx:causedBy"});
        let completed = complete(Some(given.clone())).unwrap();
        let missing = json!({
            "causeDepth": {"@id": "fedsx:causeDepth"},
            "typeCid": {"@id": "fedsx:typeCid"},
        });
        assert_eq!(completed, json!([given, CONTEXT, DATA_INTEGRITY, missing]));
        assert_eq!(complete(Some(completed.clone())), Ok(completed));
    }

    /// The terms of a type that declares them.
    fn declared(terms: Value) -> Arc<Terms> {
        let record = json!({ "name": "Post", "context": terms });
        let Ok(crate::definition::Definition::Type(record)) =
            crate::definition::Definition::read(crate::definition::Kind::Type, record.as_object().unwrap())
        else {
            panic!("{record}")
        };
        Arc::clone(record.terms())
    }

    #[test]
    fn terms_stand_beside_our_own_and_the_first_of_a_name_counts() {
        let one = declared(json!({"sc": "https://schema.org/", "slug": "sc:slug"}));
        let other = declared(json!({"slug": "fedsx:slug", "Hashtag": "as:Hashtag"}));
        let context = complete(None).unwrap();
        let with = with_terms(context.clone(), &[Arc::clone(&one), other]);
        let mut expected = context.clone();
        for (name, iri) in [
            ("sc", "https://schema.org/"),
            ("slug", "sc:slug"),
            ("Hashtag", "as:Hashtag"),
        ] {
            expected[2][name] = iri.into();
        }
        assert_eq!(with, expected);
        assert_eq!(with_terms(with.clone(), &[one]), with);
        assert_eq!(with_terms(context.clone(), &[]), context);
    }

    #[test]
    fn a_term_keeps_its_meaning_where_its_prefix_is_somebody_elses() {
        let one = declared(json!({"sc": "https://schema.org/", "slug": "sc:slug"}));
        let other = declared(json!({
            "sc": "http://schema.org/", "genre": {"@id": "sc:genre", "@type": "xsd:string"}, "mood": "fedsx:mood",
        }));
        let with = with_terms(complete(None).unwrap(), &[one, Arc::clone(&other)]);
        assert_eq!(
            (&with[2]["sc"], &with[2]["slug"]),
            (&json!("https://schema.org/"), &json!("sc:slug"))
        );
        let genre =
            json!({"@id": "http://schema.org/genre", "@type": "http://www.w3.org/2001/XMLSchema#string"});
        assert_eq!(
            (&with[2]["genre"], &with[2]["mood"]),
            (&genre, &json!("fedsx:mood"))
        );
        // So where the draft itself has another under that name.
        let drafts = complete(Some(
            json!([CONTEXT, {"sc": "https://sc.example/", "fedsx": "https://x.example/"}]),
        ));
        let with = with_terms(drafts.unwrap(), &[other]);
        assert_eq!(
            with[1],
            json!({"sc": "https://sc.example/", "fedsx": "https://x.example/"})
        );
        assert_eq!((&with[3]["genre"], &with[3]["sc"]), (&genre, &Value::Null));
        assert_eq!(with[3]["mood"], "https://fed-sx.org/ns#mood");
    }

    #[test]
    fn what_a_draft_says_of_its_terms_stays() {
        let terms = declared(json!({"slug": "fedsx:slug", "mood": "fedsx:mood"}));
        let said = complete(Some(json!({"slug": "https://x.example/slug"}))).unwrap();
        let with = with_terms(said, &[Arc::clone(&terms)]);
        let last = with.as_array().unwrap().last().unwrap();
        assert_eq!(
            (&with[0]["slug"], last.get("slug")),
            (&json!("https://x.example/slug"), None)
        );
        assert_eq!(last["mood"], "fedsx:mood");
        // Keywords are of their own entry's terms.
        let all: Map<String, Value> = TERMS
            .iter()
            .map(|term| ((*term).to_owned(), json!("https://x.example/")))
            .collect();
        let mut all = json!(all);
        (all["fedsx"], all["@protected"]) = (NAMESPACE.into(), true.into());
        let said = complete(Some(json!([CONTEXT, DATA_INTEGRITY, all]))).unwrap();
        let with = with_terms(said.clone(), &[terms]);
        let said = said.as_array().unwrap();
        assert_eq!(with.as_array().unwrap()[..3], said[..]);
        assert_eq!(with[3], json!({"slug": "fedsx:slug", "mood": "fedsx:mood"}));
    }

    #[test]
    fn a_context_is_of_urls_and_objects() {
        for context in [json!(1), json!([CONTEXT, null]), json!([[CONTEXT]])] {
            assert!(matches!(
                complete(Some(context)),
                Err(DraftError::Field {
                    field: "@context",
                    ..
                })
            ));
        }
    }
}
