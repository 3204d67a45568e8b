//! Actor documents: how a local one is made, and what is read from a remote one.

mod document;

use serde_json::{Map, Value, json};

pub use document::{ActorDocument, ActorKey};

use crate::{activity::envelope, key::VerifyingKey, origin::Origin};

/// Longest name of a local actor. Bytes.
const MAX_NAME: usize = 64;
/// Longest display name. Bytes.
const MAX_DISPLAY_NAME: usize = 256;
/// Longest summary. Bytes.
const MAX_SUMMARY: usize = 16 * 1024;
/// What a draft `Create` may say of an actor to be made.
const SAID: [&str; 5] = [
    "type",
    "preferredUsername",
    "name",
    "summary",
    "manuallyApprovesFollowers",
];

/// Kinds of actors that a domain hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Kind {
    /// A human.
    Person,
    /// Software, such as the domain itself.
    Service,
    /// Several who speak as one.
    Group,
}

/// Why an actor cannot be made, or a document is no actor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub struct ActorError {
    /// The member of the document that is at fault.
    pub field: &'static str,
    /// What is wrong with it, as a predicate: "is missing".
    pub problem: String,
}

/// What a local actor is made from.
#[derive(Debug, Clone)]
pub struct NewActor {
    /// 1 to 64 of `a-z 0-9 _ . -`, beginning and ending with a letter or digit; none for the domain's own Service
    /// actor at the base.
    pub name: Option<String>,
    /// Its ActivityStreams type.
    pub kind: Kind,
    /// `name`, at most 256 bytes.
    pub display_name: Option<String>,
    /// At most 16 KiB.
    pub summary: Option<String>,
    /// A person answers Follows (`manuallyApprovesFollowers`).
    pub manual_approval: bool,
}

impl NewActor {
    /// Reads the object of a draft `Create` that makes an actor: `type` Person, Service or Group, `preferredUsername`,
    /// and optionally `name`, `summary`, `manuallyApprovesFollowers`. None where the object is no actor.
    ///
    /// # Errors
    /// [`ActorError`] where it is one, but not sound; anything else that the object claims (an id, keys) is refused.
    pub fn from_object(object: &Map<String, Value>) -> Result<Option<Self>, ActorError> {
        let types = object.get("type").map_or(&[][..], envelope::entries);
        let Some(kind) = types.iter().filter_map(Value::as_str).find_map(Kind::from_type) else {
            return Ok(None);
        };
        if types.len() > 1 {
            return Err(error("type", "has to be one, where it is an actor's"));
        }
        if let Some(other) = object.keys().find(|key| !SAID.contains(&key.as_str())) {
            return Err(error(
                "object",
                format!("claims `{other}`, which is not for a draft to say of an actor"),
            ));
        }
        let name = text(object, "preferredUsername", MAX_NAME)?;
        match &name {
            None if kind != Kind::Service => return Err(error("preferredUsername", "is missing")),
            Some(name) if !is_name(name) => {
                return Err(error(
                    "preferredUsername",
                    "is not of a-z 0-9 _ . -, with a letter or digit at both ends",
                ));
            }
            _ => {}
        }
        Ok(Some(Self {
            name,
            kind,
            display_name: text(object, "name", MAX_DISPLAY_NAME)?,
            summary: text(object, "summary", MAX_SUMMARY)?,
            manual_approval: match envelope::present(object, "manuallyApprovesFollowers") {
                None => false,
                Some(Value::Bool(manual)) => *manual,
                Some(_) => return Err(error("manuallyApprovesFollowers", "is not a boolean")),
            },
        }))
    }

    /// The id it gets.
    #[must_use]
    pub fn id(&self, origin: &Origin) -> String {
        self.name
            .as_ref()
            .map_or_else(|| origin.base(), |name| origin.actor(name))
    }

    /// The whole document: id, inbox, outbox, followers, following, `endpoints.sharedInbox`, and the key as a Multikey
    /// under `assertionMethod`, with the `@context` entries that let others see it (FEP-521a).
    #[must_use]
    pub fn document(&self, origin: &Origin, key: &VerifyingKey) -> Value {
        let id = self.id(origin);
        let mut document = json!({
            "@context": [
                crate::activity::CONTEXT,
                "https://w3id.org/security/data-integrity/v2",
                "https://www.w3.org/ns/did/v1",
                "https://w3id.org/security/multikey/v1",
                { "manuallyApprovesFollowers": "as:manuallyApprovesFollowers" },
            ],
            "id": id,
            "type": self.kind.as_str(),
            "preferredUsername": self.name.as_deref().unwrap_or(origin.authority()),
            "url": id,
            "inbox": below(&id, "inbox"),
            "outbox": below(&id, "outbox"),
            "followers": followers(&id),
            "following": below(&id, "following"),
            "endpoints": { "sharedInbox": origin.shared_inbox() },
            "manuallyApprovesFollowers": self.manual_approval,
            "assertionMethod": [{
                "id": key_id(&id),
                "type": "Multikey",
                "controller": id,
                "publicKeyMultibase": key.to_multibase(),
            }],
        });
        for (member, text) in [("name", &self.display_name), ("summary", &self.summary)] {
            if let Some(text) = text {
                document[member] = text.as_str().into();
            }
        }
        document
    }
}

impl Kind {
    /// The ActivityStreams type.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "Person",
            Self::Service => "Service",
            Self::Group => "Group",
        }
    }

    fn from_type(name: &str) -> Option<Self> {
        [Self::Person, Self::Service, Self::Group]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

/// The followers collection of a local actor, named by its id.
#[must_use]
pub fn followers(actor: &str) -> String {
    below(actor, "followers")
}

/// A URL below an actor's id; the base's id ends in a slash already.
fn below(actor: &str, part: &str) -> String {
    format!("{}/{part}", actor.strip_suffix('/').unwrap_or(actor))
}

fn is_name(name: &str) -> bool {
    let end = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte);
    let bytes = name.as_bytes();
    bytes.len() <= MAX_NAME && end(bytes.first()) && end(bytes.last()) && bytes.iter().copied().all(inner)
}

fn text(object: &Map<String, Value>, field: &'static str, max: usize) -> Result<Option<String>, ActorError> {
    match envelope::present(object, field) {
        None => Ok(None),
        Some(Value::String(text)) if text.len() <= max => Ok(Some(text.clone())),
        Some(Value::String(_)) => Err(error(field, format!("is longer than {max} bytes"))),
        Some(_) => Err(error(field, "is not a string")),
    }
}

fn error(field: &'static str, problem: impl Into<String>) -> ActorError {
    ActorError {
        field,
        problem: problem.into(),
    }
}

/// The id of a local actor's signing key: `<actor>#ed25519-key`.
#[must_use]
pub fn key_id(actor: &str) -> String {
    format!("{actor}#ed25519-key")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SigningKey;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn read(value: Value) -> Result<Option<NewActor>, ActorError> {
        NewActor::from_object(&object(value))
    }

    fn origin() -> Origin {
        "https://blog.example".parse().unwrap()
    }

    fn key() -> VerifyingKey {
        SigningKey::from_seed(&[5; 32]).verifying_key()
    }

    #[test]
    fn a_draft_says_a_kind_a_name_and_little_more() {
        let alice = read(json!({
            "type": "Person", "preferredUsername": "alice", "name": "Alice", "summary": "writes",
            "manuallyApprovesFollowers": true,
        }));
        let alice = alice.unwrap().unwrap();
        assert_eq!((alice.kind, alice.name.as_deref()), (Kind::Person, Some("alice")));
        assert_eq!(
            (alice.display_name.as_deref(), alice.summary.as_deref()),
            (Some("Alice"), Some("writes"))
        );
        assert!(alice.manual_approval);
        assert_eq!(alice.id(&origin()), "https://blog.example/actors/alice");
        let base = read(json!({"type": ["Service"]})).unwrap().unwrap();
        assert_eq!(base.id(&origin()), "https://blog.example/");
    }

    #[test]
    fn other_objects_are_no_actors() {
        for object in [
            json!({"type": "Note"}),
            json!({}),
            json!({"type": 1}),
            json!({"name": "Person"}),
        ] {
            assert!(read(object).unwrap().is_none());
        }
    }

    #[test]
    fn an_unsound_actor_is_refused_by_the_members_name() {
        let long = "a".repeat(MAX_NAME + 1);
        for (member, value) in [
            ("preferredUsername", json!(null)),
            ("preferredUsername", json!("")),
            ("preferredUsername", json!("Alice")),
            ("preferredUsername", json!("-alice")),
            ("preferredUsername", json!("alice.")),
            ("preferredUsername", json!("a/b")),
            ("preferredUsername", json!("älice")),
            ("preferredUsername", json!(long)),
            ("preferredUsername", json!(1)),
            ("name", json!(["Alice"])),
            ("name", json!("x".repeat(MAX_DISPLAY_NAME + 1))),
            ("summary", json!("x".repeat(MAX_SUMMARY + 1))),
            ("manuallyApprovesFollowers", json!("yes")),
            ("type", json!(["Person", "Service"])),
        ] {
            let mut object = json!({"type": "Person", "preferredUsername": "alice"});
            object[member] = value.clone();
            assert_eq!(read(object).unwrap_err().field, member, "{value}");
        }
        for claim in ["id", "inbox", "publicKey", "assertionMethod", "@context"] {
            let mut object = json!({"type": "Person", "preferredUsername": "alice"});
            object[claim] = "x".into();
            assert_eq!(read(object).unwrap_err().field, "object", "{claim}");
        }
    }

    #[test]
    fn names_of_every_admitted_shape_pass() {
        for name in ["a", "0", "a-b_c.d", &"a".repeat(MAX_NAME)] {
            assert!(is_name(name), "{name}");
        }
    }

    #[test]
    fn a_document_reads_back_as_the_actor_it_was_made_for() {
        let alice = read(json!({"type": "Group", "preferredUsername": "alice", "name": "Alice"}))
            .unwrap()
            .unwrap();
        let document = alice.document(&origin(), &key());
        let read = ActorDocument::parse(document.as_object().unwrap()).unwrap();
        assert_eq!(read.id, "https://blog.example/actors/alice");
        assert_eq!(read.kind, "Group");
        assert_eq!(read.inbox, "https://blog.example/actors/alice/inbox");
        assert_eq!(read.shared_inbox.as_deref(), Some("https://blog.example/inbox"));
        assert_eq!(
            read.outbox.as_deref(),
            Some("https://blog.example/actors/alice/outbox")
        );
        assert_eq!(
            read.followers.as_deref(),
            Some("https://blog.example/actors/alice/followers")
        );
        assert_eq!(read.preferred_username.as_deref(), Some("alice"));
        assert!(!read.manual_approval);
        assert_eq!(read.key(&key_id(&read.id)), Some(&key()));
        assert_eq!(document["name"], "Alice");
        assert!(document.get("summary").is_none());
    }

    #[test]
    fn the_base_lives_at_the_origin_itself() {
        let base = read(json!({"type": "Service"})).unwrap().unwrap();
        let document = base.document(&origin(), &key());
        assert_eq!(document["id"], "https://blog.example/");
        assert_eq!(document["inbox"], "https://blog.example/inbox");
        assert_eq!(document["outbox"], "https://blog.example/outbox");
        assert_eq!(document["followers"], "https://blog.example/followers");
        assert_eq!(document["following"], "https://blog.example/following");
        assert_eq!(document["preferredUsername"], "blog.example");
        assert_eq!(
            document["assertionMethod"][0]["id"],
            "https://blog.example/#ed25519-key"
        );
    }
}
