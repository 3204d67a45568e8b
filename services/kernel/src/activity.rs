//! An activity: a signed JSON document in ActivityStreams 2.0 shape, immutable, named by its CID.

pub(crate) mod envelope;
mod naming;

use jiff::Timestamp;
use serde_json::{Map, Value};

pub use envelope::types_of;
pub use naming::cid_of;

use crate::{
    cid::Cid,
    json::{self, JsonError},
    origin::Origin,
};

/// The collection that stands for everyone (ActivityPub, section 5.6).
pub const PUBLIC: &str = "https://www.w3.org/ns/activitystreams#Public";
/// The ActivityStreams 2.0 context.
pub const CONTEXT: &str = "https://www.w3.org/ns/activitystreams";
/// Most addressees of one activity, `to` and `cc` together.
pub const MAX_ADDRESSEES: usize = 1000;

/// Why a document is no activity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActivityError {
    #[error(transparent)]
    Json(#[from] JsonError),
    #[error("`{field}` {problem}")]
    Envelope { field: &'static str, problem: String },
    #[error("the id names {claimed}, the document is {actual}")]
    CidMismatch { claimed: Cid, actual: Cid },
}

/// An activity whose envelope holds. Signatures are not its business.
#[derive(Debug, Clone, PartialEq)]
pub struct Activity {
    document: Map<String, Value>,
    origin: Origin,
    cid: Cid,
}

/// What an activity is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Object<'a> {
    /// There is none, or there are several.
    None,
    /// Named by its id alone.
    Id(&'a str),
    /// Contained. Its content is the activity's word, not that of the origin in its `id`.
    Embedded(&'a Map<String, Value>),
}

impl Activity {
    /// Parses and checks a complete activity: strict JSON, `@context` with ActivityStreams, `type`, `actor`, `id` at the
    /// actor's origin (FEP-fe34) and, where CID-shaped, true; addressees; `published`; no `bto` or `bcc`.
    ///
    /// # Errors
    /// [`ActivityError`], naming the field.
    pub fn parse(bytes: &[u8]) -> Result<Self, ActivityError> {
        match json::parse(bytes)? {
            Value::Object(document) => Self::from_document(document),
            _ => Err(envelope::error("document", "is not an object")),
        }
    }

    /// The same checks for a document that is parsed already.
    ///
    /// # Errors
    /// [`ActivityError`]
    pub fn from_document(document: Map<String, Value>) -> Result<Self, ActivityError> {
        let origin = envelope::check(&document)?;
        let cid = naming::cid_at(&document, Some(&origin))?;
        Ok(Self {
            document,
            origin,
            cid,
        })
    }

    /// The whole document, as parsed.
    #[must_use]
    pub fn document(&self) -> &Map<String, Value> {
        &self.document
    }
    /// Its name by the rule of [`cid_of`].
    #[must_use]
    pub fn cid(&self) -> &Cid {
        &self.cid
    }
    /// Its `id`, at its actor's origin.
    #[must_use]
    pub fn id(&self) -> &str {
        self.document
            .get("id")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
    /// The verb: the first `type`.
    #[must_use]
    pub fn verb(&self) -> &str {
        envelope::first_type(&self.document).unwrap_or_default()
    }
    /// The actor's id.
    #[must_use]
    pub fn actor(&self) -> &str {
        self.document
            .get("actor")
            .and_then(envelope::id_of)
            .unwrap_or_default()
    }
    /// Where the actor, and with it the activity, lies.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
    /// The object; an array of one counts as that one, an array of several as none.
    #[must_use]
    pub fn object(&self) -> Object<'_> {
        let object = match self.document.get("object") {
            Some(Value::Array(objects)) if objects.len() == 1 => objects.first(),
            object => object,
        };
        match object {
            Some(Value::String(id)) => Object::Id(id),
            Some(Value::Object(object)) => Object::Embedded(object),
            _ => Object::None,
        }
    }
    /// The object's id, whether embedded or not.
    #[must_use]
    pub fn object_id(&self) -> Option<&str> {
        match self.object() {
            Object::None => None,
            Object::Id(id) => Some(id),
            Object::Embedded(object) => object.get("id").and_then(Value::as_str),
        }
    }
    /// `to` and `cc`, in order, each addressee once.
    #[must_use]
    pub fn addressees(&self) -> Vec<&str> {
        envelope::addressees(&self.document)
    }
    /// Whether it addresses the public, by its URL, `as:Public` or `Public`.
    #[must_use]
    pub fn is_public(&self) -> bool {
        envelope::is_public(&self.document)
    }
    /// When its actor says it was published.
    #[must_use]
    pub fn published(&self) -> Option<Timestamp> {
        self.document
            .get("published")
            .and_then(Value::as_str)
            .and_then(|text| text.parse().ok())
    }
    /// The actor's previous public activity, where this one is part of a public chain.
    #[must_use]
    pub fn prev(&self) -> Option<Cid> {
        let prev = self.document.get("prev").and_then(Value::as_str)?;
        self.is_public().then(|| prev.parse().ok()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn note() -> Value {
        json!({
            "@context": [CONTEXT, {"prev": "https://fed-sx.org/ns#prev"}],
            "id": "https://blog.example/notes/1/activity",
            "type": "Create",
            "actor": "https://blog.example/actors/alice",
            "published": "2026-11-21T10:00:00.123456Z",
            "to": PUBLIC,
            "cc": ["https://blog.example/actors/alice/followers", PUBLIC],
            "object": {"id": "https://blog.example/notes/1", "type": "Note", "content": "Gig Night"},
        })
    }

    fn parse(document: &Value) -> Result<Activity, ActivityError> {
        Activity::parse(document.to_string().as_bytes())
    }

    #[test]
    fn reads_what_an_activity_says() {
        let activity = parse(&note()).unwrap();
        assert_eq!(activity.id(), "https://blog.example/notes/1/activity");
        assert_eq!(
            (activity.verb(), activity.actor()),
            ("Create", "https://blog.example/actors/alice")
        );
        assert_eq!(activity.object_id(), Some("https://blog.example/notes/1"));
        assert!(matches!(activity.object(), Object::Embedded(object) if object["type"] == "Note"));
        assert_eq!(
            activity.addressees(),
            [PUBLIC, "https://blog.example/actors/alice/followers"]
        );
        assert_eq!(activity.published(), "2026-11-21T10:00:00.123456Z".parse().ok());
        assert!(activity.is_public());
        assert_eq!(activity.prev(), None);
    }

    #[test]
    fn reads_an_object_by_id_embedded_or_alone_in_an_array() {
        let one = Some("https://a.example/1");
        for (object, expected) in [
            (json!("https://a.example/1"), one),
            (json!(["https://a.example/1"]), one),
            (json!([{"id": "https://a.example/1"}]), one),
            (json!(["https://a.example/1", "https://a.example/2"]), None),
            (json!({"type": "Note"}), None),
            (json!(null), None),
        ] {
            let mut document = note();
            document["object"] = object;
            assert_eq!(parse(&document).unwrap().object_id(), expected);
        }
    }

    #[test]
    fn prev_belongs_to_public_activities() {
        let cid = Cid::of_canonical(b"{}");
        let mut document = note();
        document["prev"] = cid.as_str().into();
        assert_eq!(parse(&document).unwrap().prev(), Some(cid));
        document["to"] = json!("https://events.example/");
        document["cc"] = json!([]);
        assert_eq!(parse(&document).unwrap().prev(), None);
        let mut page = note();
        page["prev"] = json!("https://blog.example/outbox?page=1");
        assert_eq!(parse(&page).unwrap().prev(), None);
    }

    #[test]
    fn refuses_broken_json_and_what_is_no_object() {
        let twice = Activity::parse(br#"{"a":1,"a":1}"#);
        assert_eq!(twice, Err(JsonError::DuplicateKey("a".to_owned()).into()));
        assert_eq!(
            Activity::parse(b"[]").unwrap_err().to_string(),
            "`document` is not an object"
        );
    }

    #[test]
    fn refuses_a_parsed_document_that_has_no_canonical_form() {
        let mut document = note();
        document["n"] = json!(u64::MAX);
        let refused = Activity::from_document(document.as_object().unwrap().clone());
        assert!(matches!(
            refused,
            Err(ActivityError::Envelope {
                field: "document",
                ..
            })
        ));
    }
}
