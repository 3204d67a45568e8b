//! Drafts, and how the log seals them.

mod context;
mod seal;

use std::sync::Arc;

pub use seal::{Named, Seal, Sealed};
use serde_json::{Map, Value};

use crate::{
    activity::{ActivityError, envelope},
    canonical::{CanonicalError, members::Members},
    definition::Terms,
    json::{self, JsonError},
};

/// What a draft cannot claim, since the log gives it.
const GIVEN_BY_THE_LOG: [&str; 5] = ["id", "published", "prev", "proof", "signature"];

/// Values that sealing adds at most: the document itself, `actor`, `published`, `prev`, `id`, and the proof with all that
/// it says but its `@context`.
const ADDED_VALUES: usize = 12;

/// Why a draft cannot be sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    #[error(transparent)]
    Json(#[from] JsonError),
    #[error("`{field}` {problem}")]
    Field { field: &'static str, problem: String },
    #[error("sealed, it would have {0} bytes; at most {max} are delivered", max = crate::json::MAX_BYTES)]
    TooLarge(usize),
}

/// An activity of a local actor before the log has sealed it.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    document: Map<String, Value>,
    /// The same, so that sealing writes only what it adds.
    members: Members,
    public: bool,
}

impl Draft {
    /// Parses a draft. It must have a `type`; `id`, `published`, `prev`, `proof` and `signature` are the log's to give,
    /// `bto` and `bcc` are refused, `actor` may be left out. A missing `@context` is filled in.
    ///
    /// # Errors
    /// [`DraftError`], naming the field.
    pub fn parse(bytes: &[u8]) -> Result<Self, DraftError> {
        let Value::Object(mut document) = json::parse(bytes)? else {
            return Err(field("document", "is not an object"));
        };
        if let Some(given) = GIVEN_BY_THE_LOG
            .into_iter()
            .find(|name| document.contains_key(*name))
        {
            return Err(field(given, "is the log's to give"));
        }
        envelope::check_content(&document)?;
        // Whom it hides would be shown to everyone who gets the object.
        let hides = |object: &Value| ["bto", "bcc"].iter().any(|name| object.get(*name).is_some());
        if document.get("object").is_some_and(hides) {
            return Err(field("object", "has `bto` or `bcc`, which are not admitted"));
        }
        if envelope::present(&document, "actor").is_some_and(|actor| envelope::id_of(actor).is_none()) {
            return Err(field("actor", "is neither an id nor an object with one"));
        }
        let context = context::complete(document.remove("@context"))?;
        document.insert("@context".to_owned(), context);
        check_values(&document)?;
        Ok(Self {
            members: Members::of(&document)?,
            public: envelope::is_public(&document),
            document,
        })
    }

    /// The document so far, its `@context` complete.
    #[must_use]
    pub fn document(&self) -> &Map<String, Value> {
        &self.document
    }

    /// Bytes of its canonical form.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a draft is never empty")]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// The verb: the first `type`.
    #[must_use]
    pub fn verb(&self) -> &str {
        envelope::first_type(&self.document).unwrap_or_default()
    }

    /// The same draft with its actor, where it leaves that out: a verb's schema may ask for it.
    ///
    /// # Errors
    /// [`DraftError`] where it is no text of a document.
    pub fn by(mut self, actor: &str) -> Result<Self, DraftError> {
        if envelope::present(&self.document, "actor").is_none() {
            let actor = Value::from(actor);
            self.members.set("actor", &actor)?;
            self.document.insert("actor".to_owned(), actor);
        }
        Ok(self)
    }

    /// The same draft about another object: what the log completes (a new actor's document) before it seals.
    ///
    /// # Errors
    /// [`DraftError`] where it is no object of an activity.
    pub fn with_object(mut self, object: Value) -> Result<Self, DraftError> {
        self.members.set("object", &object)?;
        self.document.insert("object".to_owned(), object);
        envelope::check_content(&self.document)?;
        check_values(&self.document)?;
        Ok(self)
    }

    /// The same draft with terms of records in its `@context`: the first of a name, where the draft does not say itself
    /// what that means.
    ///
    /// # Errors
    /// [`DraftError`] where there are then more values than are read.
    pub fn with_terms(mut self, terms: &[Arc<Terms>]) -> Result<Self, DraftError> {
        let context = self.document.remove("@context").unwrap_or_default();
        let context = context::with_terms(context, terms);
        self.members.set("@context", &context)?;
        self.document.insert("@context".to_owned(), context);
        check_values(&self.document)?;
        Ok(self)
    }
}

/// Sealed, it must still be a document that is read: the proof repeats the `@context`.
fn check_values(document: &Map<String, Value>) -> Result<(), DraftError> {
    let repeated = document.get("@context").map_or(0, json::values);
    if json::values_in(document) + repeated + ADDED_VALUES > json::MAX_VALUES {
        return Err(JsonError::TooManyValues.into());
    }
    Ok(())
}

fn field(field: &'static str, problem: impl Into<String>) -> DraftError {
    DraftError::Field {
        field,
        problem: problem.into(),
    }
}

impl From<ActivityError> for DraftError {
    fn from(error: ActivityError) -> Self {
        match error {
            ActivityError::Json(error) => Self::Json(error),
            ActivityError::Envelope { field, problem } => Self::Field { field, problem },
            mismatch @ ActivityError::CidMismatch { .. } => field("id", mismatch.to_string()),
        }
    }
}
impl From<CanonicalError> for DraftError {
    fn from(error: CanonicalError) -> Self {
        field("document", error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::activity::PUBLIC;

    fn parse(document: &Value) -> Result<Draft, DraftError> {
        Draft::parse(document.to_string().as_bytes())
    }

    fn public_note_with(field: &str, value: Value) -> Value {
        let mut document =
            json!({"type": "Create", "to": PUBLIC, "object": {"type": "Note", "content": "Gig Night"}});
        document[field] = value;
        document
    }

    fn refused_field(result: Result<Draft, DraftError>) -> &'static str {
        match result {
            Err(DraftError::Field { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    }

    fn parse_refused(document: &Value) -> &'static str {
        refused_field(parse(document))
    }

    #[test]
    fn what_is_the_logs_to_give_is_refused() {
        for field in ["id", "published", "prev", "proof", "signature", "bto", "bcc"] {
            for value in [Value::Null, "x".into()] {
                assert_eq!(parse_refused(&public_note_with(field, value)), field);
            }
        }
    }

    #[test]
    fn an_unsound_draft_is_refused_by_the_members_name() {
        for (field, value) in [
            ("type", json!([])),
            ("to", json!([1])),
            ("cc", json!(1)),
            ("object", json!(1)),
            ("object", json!({"type": "Note", "bcc": [PUBLIC]})),
            ("actor", json!([PUBLIC])),
            ("@context", json!([1])),
        ] {
            assert_eq!(parse_refused(&public_note_with(field, value)), field);
        }
        assert_eq!(parse_refused(&json!({"object": "https://a.example/"})), "type");
        assert_eq!(parse_refused(&json!([])), "document");
        assert!(matches!(
            Draft::parse(b"{"),
            Err(DraftError::Json(JsonError::Syntax(_)))
        ));
    }

    #[test]
    fn a_draft_without_an_actor_gets_one() {
        let by = |actor| {
            parse(&public_note_with("actor", actor))
                .unwrap()
                .by("https://a.example/")
        };
        assert_eq!(by(Value::Null).unwrap().document()["actor"], "https://a.example/");
        let given = json!("https://b.example/");
        assert_eq!(by(given.clone()).unwrap().document()["actor"], given);
    }

    #[test]
    fn the_object_can_be_completed_with_what_may_be_one() {
        let draft = parse(&public_note_with("actor", Value::Null)).unwrap();
        let completed = draft.with_object(json!({"type": "Person"})).unwrap();
        assert_eq!(completed.document()["object"], json!({"type": "Person"}));
        assert_eq!(completed.verb(), "Create");
        let deep = (0..json::MAX_DEPTH).fold(json!({}), |inner, _| json!({ "a": inner }));
        for (object, field) in [
            (json!(1), "object"),
            (deep, "document"),
            (json!({"n": u64::MAX}), "document"),
        ] {
            assert_eq!(refused_field(completed.clone().with_object(object)), field);
        }
    }
}
