//! Drafts, and how the log seals them.

mod context;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::{
    activity::{Activity, ActivityError, envelope},
    canonical::{self, CanonicalError},
    cid::Cid,
    json::{self, JsonError},
    key::SigningKey,
    origin::Origin,
    proof::{self, ProofError},
};

/// What a draft cannot claim, since the log gives it.
const GIVEN_BY_THE_LOG: [&str; 5] = ["id", "published", "prev", "proof", "signature"];

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
}

/// What the log gives a draft inside the batch.
#[derive(Debug)]
pub struct Seal<'a> {
    /// The domain's own.
    pub origin: &'a Origin,
    /// The local actor's id.
    pub actor: &'a str,
    /// Strictly later than the actor's last.
    pub published: Timestamp,
    /// CID of the actor's previous public activity; written only where this one is public.
    pub prev: Option<&'a Cid>,
    /// The id under which the actor's document publishes the key.
    pub key_id: &'a str,
    /// The actor's own.
    pub key: &'a SigningKey,
}

/// A sealed draft: the activity and its canonical bytes, `id` and `proof` within.
#[derive(Debug, Clone, PartialEq)]
pub struct Sealed {
    /// With the CID that [`Activity::parse`] finds in the body.
    pub activity: Activity,
    /// RFC 8785, at most [`json::MAX_BYTES`].
    pub body: Vec<u8>,
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
        Ok(Self { document })
    }

    /// The document so far, its `@context` complete.
    #[must_use]
    pub fn document(&self) -> &Map<String, Value> {
        &self.document
    }

    /// The verb: the first `type`.
    #[must_use]
    pub fn verb(&self) -> &str {
        envelope::first_type(&self.document).unwrap_or_default()
    }

    /// The same draft about another object: what the log completes (a new actor's document) before it seals.
    #[must_use]
    pub fn with_object(mut self, object: Value) -> Self {
        self.document.insert("object".to_owned(), object);
        self
    }

    /// Seals the draft: `actor`, `published` in microseconds, `prev`, CID, `id`, proof.
    ///
    /// # Errors
    /// [`DraftError`] where the sealed document is no sound activity (an `actor` that is another's included) or is too
    /// large.
    pub fn seal(self, seal: &Seal<'_>) -> Result<Sealed, DraftError> {
        let mut document = self.document;
        let claimed = envelope::present(&document, "actor").and_then(envelope::id_of);
        if claimed.is_some_and(|claimed| claimed != seal.actor) {
            return Err(field(
                "actor",
                format!("is not {}, whose draft this is", seal.actor),
            ));
        }
        let mut set = |name: &str, value: String| document.insert(name.to_owned(), Value::String(value));
        set("actor", seal.actor.to_owned());
        set("published", format!("{:.6}", seal.published));
        if let Some(prev) = seal.prev
            && envelope::is_public(&document)
        {
            document.insert("prev".to_owned(), Value::String(prev.to_string()));
        }
        let cid = Cid::of_canonical(&canonical::without(&document, &[])?);
        document.insert("id".to_owned(), Value::String(seal.origin.activity(&cid)));
        let proof = proof::sign(&document, seal.key_id, seal.key, seal.published)?;
        document.insert("proof".to_owned(), proof);
        let body = canonical::without(&document, &[])?;
        if body.len() > json::MAX_BYTES {
            return Err(DraftError::TooLarge(body.len()));
        }
        Ok(Sealed {
            activity: Activity::sealed(document, cid)?,
            body,
        })
    }
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
impl From<ProofError> for DraftError {
    fn from(error: ProofError) -> Self {
        field("proof", error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::activity::PUBLIC;

    const ALICE: &str = "https://blog.example/actors/alice";

    fn draft(document: &Value) -> Draft {
        Draft::parse(document.to_string().as_bytes()).unwrap()
    }

    fn public_note() -> Value {
        json!({"type": "Create", "to": PUBLIC, "object": {"type": "Note", "content": "Gig Night"}})
    }

    fn public_note_with(field: &str, value: Value) -> Value {
        let mut document = public_note();
        document[field] = value;
        document
    }

    fn key() -> SigningKey {
        SigningKey::from_seed(&[1; 32])
    }

    fn sealed_at(origin: &str, draft: Draft, prev: Option<&Cid>) -> Result<Sealed, DraftError> {
        draft.seal(&Seal {
            origin: &origin.parse().unwrap(),
            actor: ALICE,
            published: "2026-11-21T10:00:00.1234567Z".parse().unwrap(),
            prev,
            key_id: "https://blog.example/actors/alice#ed25519-key",
            key: &key(),
        })
    }

    fn sealed(draft: Draft) -> Result<Sealed, DraftError> {
        sealed_at("https://blog.example", draft, None)
    }

    fn refused_field<T: std::fmt::Debug>(result: Result<T, DraftError>) -> &'static str {
        match result {
            Err(DraftError::Field { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    }

    fn parse_refused(document: &Value) -> &'static str {
        refused_field(Draft::parse(document.to_string().as_bytes()))
    }

    #[test]
    fn a_sealed_draft_reads_back_to_the_same_activity() {
        let Sealed { activity, body } = sealed(draft(&public_note())).unwrap();
        let read = Activity::parse(&body).unwrap();
        assert_eq!(read, activity);
        assert_eq!(
            read.id(),
            format!("https://blog.example/activities/{}", read.cid())
        );
        assert_eq!(read.actor(), ALICE);
        assert_eq!(read.document()["published"], "2026-11-21T10:00:00.123456Z");
        assert_eq!(read.document()["proof"]["created"], "2026-11-21T10:00:00Z");
        proof::verify(read.document(), &key().verifying_key()).unwrap();
    }

    #[test]
    fn the_body_is_canonical() {
        let Sealed { activity, body } = sealed(draft(&public_note())).unwrap();
        assert_eq!(canonical::without(activity.document(), &[]).unwrap(), body);
    }

    #[test]
    fn the_proof_covers_the_id() {
        let Sealed { activity, .. } = sealed(draft(&public_note())).unwrap();
        let mut document = activity.document().clone();
        document.insert("id".to_owned(), "https://blog.example/another".into());
        assert_eq!(
            proof::verify(&document, &key().verifying_key()),
            Err(ProofError::BadSignature)
        );
    }

    #[test]
    fn prev_is_written_only_where_the_public_is_addressed() {
        let prev = Cid::of_canonical(b"{}");
        let public = sealed_at("https://blog.example", draft(&public_note()), Some(&prev)).unwrap();
        assert_eq!(public.activity.prev(), Some(prev.clone()));
        let directed = draft(&public_note_with("to", "https://events.example/".into()));
        let directed = sealed_at("https://blog.example", directed, Some(&prev)).unwrap();
        assert!(!directed.activity.document().contains_key("prev"));
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
            ("object", json!({"type": "Note", "bcc": [ALICE]})),
            ("actor", json!([ALICE])),
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
    fn an_actor_may_be_said_but_must_be_the_drafts_own() {
        let said = draft(&public_note_with("actor", ALICE.into()));
        assert_eq!(sealed(said).unwrap().activity.actor(), ALICE);
        let others = draft(&public_note_with(
            "actor",
            "https://blog.example/actors/bob".into(),
        ));
        assert_eq!(refused_field(sealed(others)), "actor");
        let elsewhere = sealed_at("https://events.example", draft(&public_note()), None);
        assert_eq!(refused_field(elsewhere), "id");
    }

    #[test]
    fn the_object_can_be_completed() {
        let completed = draft(&public_note()).with_object(json!({"type": "Person"}));
        assert_eq!(completed.document()["object"], json!({"type": "Person"}));
        assert_eq!(completed.verb(), "Create");
        assert_eq!(refused_field(sealed(completed.with_object(json!(1)))), "object");
    }

    #[test]
    fn what_could_not_be_delivered_or_read_back_is_refused() {
        let about = |object: Value| sealed(draft(&public_note()).with_object(object));
        let large = about(json!({"content": "x".repeat(json::MAX_BYTES)}));
        assert!(matches!(large, Err(DraftError::TooLarge(_))));
        let deep = (0..json::MAX_DEPTH).fold(json!({}), |inner, _| json!({ "a": inner }));
        assert_eq!(refused_field(about(deep)), "document");
        assert_eq!(refused_field(about(json!({"n": u64::MAX}))), "document");
    }
}
