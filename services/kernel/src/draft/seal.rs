//! Sealing a draft: first its name, then its proof.

use jiff::Timestamp;

use super::{Draft, DraftError, field};
use crate::{
    activity::envelope, canonical::members::Members, cid::Cid, json, key::SigningKey, origin::Origin,
    proof::Claims,
};

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

/// A draft that has its name, and lacks its proof alone. Nothing can be wrong with it any more.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// The activity's name.
    pub cid: Cid,
    /// `<origin>/activities/<cid>`
    pub id: String,
    /// Whether it addresses the public.
    pub public: bool,
    members: Members,
    claims: Claims,
}

/// A sealed draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The activity's name, which [`Activity::parse`](crate::activity::Activity::parse) finds in the body.
    pub cid: Cid,
    /// `<origin>/activities/<cid>`
    pub id: String,
    /// Whether it addresses the public.
    pub public: bool,
    /// RFC 8785, at most [`json::MAX_BYTES`], `id` and `proof` within.
    pub body: Vec<u8>,
}

impl Draft {
    /// Seals the draft: [names](Self::name) and [signs](Named::sign) it.
    ///
    /// # Errors
    /// As [`Self::name`].
    pub fn seal(&self, seal: &Seal<'_>) -> Result<Sealed, DraftError> {
        Ok(self.name(seal)?.sign(seal.key))
    }

    /// Names the draft: gives it `actor`, `published` in microseconds, `prev`, CID and `id`. It costs a hash; what costs
    /// more, the signature, is left to [`Named::sign`], since an actor's next draft waits for the name alone.
    ///
    /// # Errors
    /// [`DraftError`] where the sealed document is no sound activity (an `actor` that is another's included) or is too
    /// large.
    pub fn name(&self, seal: &Seal<'_>) -> Result<Named, DraftError> {
        self.check_actor(seal)?;
        let mut members = self.members.clone();
        members.set_string("actor", seal.actor);
        members.set_string("published", &format!("{:.6}", seal.published));
        if let Some(prev) = seal.prev.filter(|_| self.public) {
            members.set_string("prev", prev.as_str());
        }
        let cid = Cid::of_canonical(&members.to_vec());
        let id = seal.origin.activity(&cid);
        members.set_string("id", &id);
        let claims = Claims::new(members.get("@context"), seal.key_id, seal.published);
        let len = members.len() + ",\"proof\":".len() + claims.max_len();
        if len > json::MAX_BYTES {
            return Err(DraftError::TooLarge(len));
        }
        Ok(Named {
            cid,
            id,
            public: self.public,
            members,
            claims,
        })
    }

    /// The actor is the one whose draft this is, and lies where the id will.
    fn check_actor(&self, seal: &Seal<'_>) -> Result<(), DraftError> {
        let claimed = envelope::present(&self.document, "actor").and_then(envelope::id_of);
        if claimed.is_some_and(|claimed| claimed != seal.actor) {
            return Err(field(
                "actor",
                format!("is not {}, whose draft this is", seal.actor),
            ));
        }
        if seal.origin.owns(seal.actor) {
            return Ok(());
        }
        Err(field(
            "id",
            format!("would lie at {}, its actor is {}", seal.origin, seal.actor),
        ))
    }
}

impl Named {
    /// Signs it, with the key that the actor's document publishes under the seal's `key_id`.
    #[must_use]
    pub fn sign(mut self, key: &SigningKey) -> Sealed {
        let proof = self.claims.sign(&self.members.to_vec(), key);
        self.members.set_canonical("proof", &proof);
        Sealed {
            body: self.members.to_vec(),
            cid: self.cid,
            id: self.id,
            public: self.public,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        activity::{Activity, PUBLIC},
        canonical,
        proof::{self, ProofError},
    };

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

    fn read(sealed: &Sealed) -> Activity {
        Activity::parse(&sealed.body).unwrap()
    }

    fn refused_field(result: Result<Sealed, DraftError>) -> &'static str {
        match result {
            Err(DraftError::Field { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_sealed_has_no_more_values_than_are_read() {
        let with = |values: usize| {
            let document = public_note_with("tag", json!(vec![0; values]));
            Draft::parse(document.to_string().as_bytes())
        };
        // The most that is taken as a draft.
        let (mut fits, mut beyond) = (1, json::MAX_VALUES);
        while beyond - fits > 1 {
            let middle = fits.midpoint(beyond);
            if with(middle).is_ok() {
                fits = middle;
            } else {
                beyond = middle;
            }
        }
        let refused = DraftError::Json(json::JsonError::TooManyValues);
        assert_eq!(with(beyond).unwrap_err(), refused);
        let previous = Cid::of_canonical(b"{}");
        let body = sealed_at("https://blog.example", with(fits).unwrap(), Some(&previous))
            .unwrap()
            .body;
        let read = Activity::parse(&body).unwrap();
        assert!(json::MAX_VALUES - json::values_in(read.document()) <= 2);
    }

    #[test]
    fn a_sealed_draft_reads_back_to_the_activity_that_it_was_named() {
        let sealed = sealed(draft(&public_note())).unwrap();
        let read = read(&sealed);
        assert_eq!(read.cid(), &sealed.cid);
        assert_eq!(read.id(), sealed.id);
        assert_eq!(
            sealed.id,
            format!("https://blog.example/activities/{}", sealed.cid)
        );
        assert!(sealed.public && read.is_public());
        assert_eq!(read.actor(), ALICE);
        assert_eq!(read.document()["published"], "2026-11-21T10:00:00.123456Z");
        assert_eq!(read.document()["proof"]["created"], "2026-11-21T10:00:00Z");
        proof::verify(read.document(), &key().verifying_key()).unwrap();
    }

    #[test]
    fn the_body_is_canonical() {
        let sealed = sealed(draft(&public_note())).unwrap();
        let document = read(&sealed).document().clone().into();
        assert_eq!(canonical::to_vec(&document).unwrap(), sealed.body);
    }

    #[test]
    fn the_proof_covers_the_id() {
        let mut document = read(&sealed(draft(&public_note())).unwrap()).document().clone();
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
        assert_eq!(read(&public).prev(), Some(prev.clone()));
        let directed = draft(&public_note_with("to", "https://events.example/".into()));
        let directed = sealed_at("https://blog.example", directed, Some(&prev)).unwrap();
        assert!(!directed.public && !read(&directed).document().contains_key("prev"));
    }

    #[test]
    fn an_actor_may_be_said_but_must_be_the_drafts_own() {
        let said = draft(&public_note_with("actor", ALICE.into()));
        assert_eq!(read(&sealed(said).unwrap()).actor(), ALICE);
        let others = draft(&public_note_with(
            "actor",
            "https://blog.example/actors/bob".into(),
        ));
        assert_eq!(refused_field(sealed(others)), "actor");
        let elsewhere = sealed_at("https://events.example", draft(&public_note()), None);
        assert_eq!(refused_field(elsewhere), "id");
    }

    #[test]
    fn a_completed_object_is_sealed() {
        let completed = draft(&public_note())
            .with_object(json!({"type": "Person"}))
            .unwrap();
        let sealed = sealed(completed).unwrap();
        assert_eq!(read(&sealed).document()["object"], json!({"type": "Person"}));
    }

    #[test]
    fn what_could_not_be_delivered_is_refused() {
        let about = |bytes| draft(&public_note()).with_object(json!({"content": "x".repeat(bytes)}));
        let overhead = sealed(about(0).unwrap()).unwrap().body.len();
        let largest = sealed(about(json::MAX_BYTES - overhead - 3).unwrap()).unwrap();
        assert!((json::MAX_BYTES - 6..=json::MAX_BYTES).contains(&largest.body.len()));
        let large = sealed(about(json::MAX_BYTES - overhead + 3).unwrap());
        assert!(matches!(large, Err(DraftError::TooLarge(_))));
    }
}
