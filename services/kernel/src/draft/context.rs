//! The `@context` of what a local actor says.

use serde_json::{Map, Value, json};

use super::{DraftError, field};
use crate::activity::CONTEXT;

/// The terms of `proof` (FEP-8b32).
const DATA_INTEGRITY: &str = "https://w3id.org/security/data-integrity/v2";
/// Where fed-sx' own terms live, and which of them an activity may use.
const NAMESPACE: &str = "https://fed-sx.org/ns#";
const TERMS: [&str; 4] = ["prev", "causedBy", "causeDepth", "typeCid"];

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
    if missing("fedsx") {
        terms.insert("fedsx".to_owned(), NAMESPACE.into());
    }
    for term in TERMS.into_iter().filter(|term| missing(term)) {
        terms.insert(term.to_owned(), json!({ "@id": format!("fedsx:{term}") }));
    }
    if !terms.is_empty() {
        entries.push(Value::Object(terms));
    }
    Ok(Value::Array(entries))
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
