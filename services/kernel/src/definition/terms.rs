//! The JSON-LD terms that a record declares: what the names in its documents mean to whoever reads linked data.
//!
//! Only what an inline `@context` can say without fetching anything is admitted, in the forms of JSON-LD 1.1, section 4.1:
//! a term is an IRI, or an object with `@id`, `@type` and `@container`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    members::Members,
    read::DefinitionError,
    vocabulary::{is_name, is_term},
};

/// Where fed-sx' own terms live, under which prefix, and which of them an activity may use.
pub(crate) const NAMESPACE: &str = "https://fed-sx.org/ns#";
pub(crate) const NAMESPACE_PREFIX: &str = "fedsx";
pub(crate) const TERMS: [&str; 4] = ["prev", "causedBy", "causeDepth", "typeCid"];

/// The member of a record that declares them.
pub(super) const KEY: &str = "context";
/// Most terms of a record.
const MAX_TERMS: usize = 64;
/// Most bytes of an IRI.
const MAX_IRI: usize = 256;
/// Prefixes that every sealed activity's `@context` has.
const GIVEN: [(&str, &str); 3] = [
    ("as", "https://www.w3.org/ns/activitystreams#"),
    (NAMESPACE_PREFIX, NAMESPACE),
    ("xsd", "http://www.w3.org/2001/XMLSchema#"),
];
/// What the context of data integrity proofs has, protected: a processor refuses a document that declares them otherwise.
const OF_PROOFS: [&str; 2] = ["DataIntegrityProof", "proof"];
/// What an IRI ends with for which a processor takes it for a prefix (JSON-LD 1.1, section 4.2.2).
const ENDS_A_PREFIX: [char; 7] = [':', '/', '?', '#', '[', ']', '@'];
const ID: &str = "@id";
const TYPE: &str = "@type";
const CONTAINER: &str = "@container";

/// The terms of a record, by their names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Terms(BTreeMap<String, Term>);

/// What a term means.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// As its author wrote it.
    written: Value,
    /// The same with each IRI in full.
    absolute: Value,
    /// The prefixes that it is written with, and what they stand for.
    prefixes: BTreeMap<String, String>,
}

impl Terms {
    pub(super) fn read(members: &Members<'_>) -> Result<Self, DefinitionError> {
        let Some(value) = members.get(KEY) else {
            return Ok(Self::default());
        };
        let declared = value
            .as_object()
            .ok_or_else(|| members.error(KEY, "is no object"))?;
        if declared.len() > MAX_TERMS {
            let problem = format!("has {} terms, at most {MAX_TERMS} are admitted", declared.len());
            return Err(members.error(KEY, problem));
        }
        let mut terms = BTreeMap::new();
        for (name, value) in declared {
            let term = name_problem(name)
                .map_or(Ok(()), |problem| Err(problem.to_owned()))
                .and_then(|()| Term::read(value, declared));
            let shown: String = name.chars().take(64).collect();
            let term = term.map_err(|problem| DefinitionError::new(format!("{KEY}.{shown}"), problem))?;
            terms.insert(name.clone(), term);
        }
        Ok(Self(terms))
    }

    /// The terms in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Term)> {
        self.0.iter().map(|(name, term)| (name.as_str(), term))
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first term that means something else among others.
    #[must_use]
    pub fn conflict<'t>(&'t self, others: &Self) -> Option<&'t str> {
        let is_other = |(name, term): &(&str, &Term)| {
            let other = others.0.get(*name);
            other.is_some_and(|other| other.absolute != term.absolute)
        };
        self.iter().find(is_other).map(|(name, _)| name)
    }
}

impl Term {
    fn read(value: &Value, declared: &Map<String, Value>) -> Result<Self, String> {
        let mut prefixes = BTreeMap::new();
        let mut in_full = |text: &str| -> Result<Value, String> {
            let (iri, prefix) = in_full(text, declared)?;
            prefixes.extend(prefix);
            Ok(iri.into())
        };
        let absolute = match value {
            Value::String(iri) => in_full(iri)?,
            Value::Object(members) => expanded(members, in_full)?,
            _ => return Err("is neither an IRI nor an object with `@id`".to_owned()),
        };
        Ok(Self {
            written: value.clone(),
            absolute,
            prefixes,
        })
    }

    /// As an `@context` declares it in which prefixes stand for what `meaning` says; nothing for one that only contexts
    /// elsewhere declare.
    pub(crate) fn within<'m>(&self, meaning: impl Fn(&str) -> Option<&'m Value>) -> &Value {
        let is_so = |(prefix, iri): (&String, &String)| meaning(prefix).is_none_or(|found| found == iri);
        if self.prefixes.iter().all(is_so) {
            &self.written
        } else {
            &self.absolute
        }
    }

    /// The term with each IRI in full.
    #[must_use]
    pub fn absolute(&self) -> &Value {
        &self.absolute
    }
}

/// Why a term may not have this name.
fn name_problem(name: &str) -> Option<&'static str> {
    if name.starts_with('@') {
        Some("is a keyword of JSON-LD, which no record declares")
    } else if !is_name(name) {
        Some("is no name: 1 to 64 letters, digits, `_` or `-`, a letter first")
    } else if is_term(name) {
        Some("is ActivityStreams' own term")
    } else if OF_PROOFS.contains(&name) || TERMS.contains(&name) || name == NAMESPACE_PREFIX {
        Some("is a term that every activity has already")
    } else {
        None
    }
}

/// An expanded term definition, with each IRI in full.
fn expanded(
    members: &Map<String, Value>,
    mut in_full: impl FnMut(&str) -> Result<Value, String>,
) -> Result<Value, String> {
    let mut absolute = Map::new();
    for (key, value) in members {
        let text = value
            .as_str()
            .ok_or_else(|| match [ID, TYPE, CONTAINER].contains(&&**key) {
                true => format!("has `{key}`, which is no string"),
                false => format!("has a member that is none of {ID}, {TYPE}, {CONTAINER}"),
            })?;
        let value = match (key.as_str(), text) {
            (TYPE, "@id" | "@vocab") | (CONTAINER, "@list" | "@set" | "@language") => text.into(),
            (CONTAINER, _) => {
                return Err("has a `@container` that is none of @list, @set, @language".to_owned());
            }
            (ID | TYPE, _) => in_full(text)?,
            _ => return Err(format!("has a member that is none of {ID}, {TYPE}, {CONTAINER}")),
        };
        absolute.insert(key.clone(), value);
    }
    if !absolute.contains_key(ID) {
        return Err(format!("has no `{ID}`"));
    }
    let is_of_languages = absolute
        .get(CONTAINER)
        .is_some_and(|container| container == "@language");
    if is_of_languages && absolute.contains_key(TYPE) {
        return Err("has texts by their languages, and a `@type`".to_owned());
    }
    Ok(Value::Object(absolute))
}

/// An IRI in full, and the prefix that it was written with.
fn in_full(text: &str, declared: &Map<String, Value>) -> Result<(String, Option<(String, String)>), String> {
    let Some((prefix, rest)) = text.split_once(':') else {
        return Err("is neither an absolute IRI nor a compact one".to_owned());
    };
    if rest.starts_with("//") {
        return sound(text).map(|()| (text.to_owned(), None));
    }
    let Some(base) = meaning_of(prefix, declared) else {
        return Err("is neither an absolute IRI (http, https), nor one over a prefix that stands in the same context, \
                    for an absolute IRI that ends with `#` or `/`"
            .to_owned());
    };
    let iri = format!("{base}{rest}");
    sound(&iri)?;
    Ok((iri, Some((prefix.to_owned(), base.to_owned()))))
}

/// What a prefix stands for.
fn meaning_of<'d>(prefix: &str, declared: &'d Map<String, Value>) -> Option<&'d str> {
    let given = GIVEN.iter().find(|(given, _)| *given == prefix);
    given.map(|(_, iri)| *iri).or_else(|| {
        let iri = declared.get(prefix)?.as_str()?;
        (iri.ends_with(ENDS_A_PREFIX) && sound(iri).is_ok()).then_some(iri)
    })
}

/// Whether an absolute IRI is one of the web's, short, and without what RFC 3987 has in none.
fn sound(iri: &str) -> Result<(), String> {
    if iri.len() > MAX_IRI {
        return Err(format!(
            "is an IRI of {} bytes, at most {MAX_IRI} are admitted",
            iri.len()
        ));
    }
    let rest = iri
        .strip_prefix("https://")
        .or_else(|| iri.strip_prefix("http://"));
    let has_host =
        rest.is_some_and(|rest| rest.starts_with(|first: char| first.is_alphanumeric() || first == '['));
    let is_odd =
        |letter: char| letter.is_control() || letter.is_whitespace() || "<>\"{}|\\^`".contains(letter);
    match has_host && !iri.contains(is_odd) {
        true => Ok(()),
        false => Err("is no absolute IRI (http, https)".to_owned()),
    }
}
