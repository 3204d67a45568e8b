//! What is read from an actor's document, wherever it comes from.

use serde_json::{Map, Value};

use super::{ActorError, error};
use crate::{activity::envelope, key::VerifyingKey, origin::Origin};

/// Most keys read from one document.
const MAX_KEYS: usize = 8;

/// What this domain needs to know of an actor.
#[derive(Debug, Clone, PartialEq)]
pub struct ActorDocument {
    /// An http or https URL.
    pub id: String,
    /// The first `type`.
    pub kind: String,
    /// Where it takes deliveries.
    pub inbox: String,
    /// `endpoints.sharedInbox`: where its whole domain takes them.
    pub shared_inbox: Option<String>,
    /// Where its public activities are listed.
    pub outbox: Option<String>,
    /// Its collection of followers.
    pub followers: Option<String>,
    /// The left side of its WebFinger address.
    pub preferred_username: Option<String>,
    /// A person answers Follows, so that an Accept may be long in coming.
    pub manual_approval: bool,
    /// Ed25519 keys that the document itself vouches for; at most 8 are read.
    pub keys: Vec<ActorKey>,
}

/// A key under `assertionMethod`, controlled by the actor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActorKey {
    /// At the actor's origin.
    pub id: String,
    /// Ed25519.
    pub key: VerifyingKey,
}

impl ActorDocument {
    /// Reads an actor's document. Its id, inbox, shared inbox and keys must lie at one origin (FEP-fe34), else a
    /// stranger could point us at a victim; keys of other kinds are passed over.
    ///
    /// # Errors
    /// [`ActorError`]
    pub fn parse(document: &Map<String, Value>) -> Result<Self, ActorError> {
        let id = string(document, "id")?.ok_or_else(|| error("id", "is missing"))?;
        let origin = Origin::of(id).map_err(|_| error("id", "is not an http or https URL"))?;
        let owned = |field, url: Option<&str>| match url {
            Some(url) if !origin.owns(url) => Err(error(field, format!("does not lie at {origin}"))),
            url => Ok(url.map(str::to_owned)),
        };
        let shared_inbox = match envelope::present(document, "endpoints") {
            Some(Value::Object(endpoints)) => string(endpoints, "sharedInbox")?,
            _ => None,
        };
        Ok(Self {
            id: id.to_owned(),
            kind: envelope::first_type(document)
                .ok_or_else(|| error("type", "is missing"))?
                .to_owned(),
            inbox: owned("inbox", string(document, "inbox")?)?.ok_or_else(|| error("inbox", "is missing"))?,
            shared_inbox: owned("sharedInbox", shared_inbox)?,
            outbox: owned("outbox", string(document, "outbox")?)?,
            followers: owned("followers", string(document, "followers")?)?,
            preferred_username: string(document, "preferredUsername")?.map(str::to_owned),
            manual_approval: document.get("manuallyApprovesFollowers") == Some(&Value::Bool(true)),
            keys: keys(document, id, &origin)?,
        })
    }

    /// The key with this id.
    #[must_use]
    pub fn key(&self, id: &str) -> Option<&VerifyingKey> {
        self.keys.iter().find(|key| key.id == id).map(|key| &key.key)
    }
}

/// The Ed25519 Multikeys under `assertionMethod` that name the actor as their controller; keys named by id alone, of
/// another kind, or another's are passed over.
fn keys(document: &Map<String, Value>, actor: &str, origin: &Origin) -> Result<Vec<ActorKey>, ActorError> {
    let methods = envelope::present(document, "assertionMethod").map_or(&[][..], envelope::entries);
    let mut keys: Vec<ActorKey> = Vec::new();
    for method in methods.iter().filter_map(Value::as_object) {
        let member = |name: &str| method.get(name).and_then(Value::as_str);
        let (Some("Multikey"), Some(id), Some(text)) =
            (member("type"), member("id"), member("publicKeyMultibase"))
        else {
            continue;
        };
        if !origin.owns(id) {
            return Err(error(
                "assertionMethod",
                format!("holds a key that does not lie at {origin}"),
            ));
        }
        if member("controller") != Some(actor) || keys.iter().any(|key| key.id == id) {
            continue;
        }
        if let Ok(key) = VerifyingKey::from_multibase(text) {
            keys.push(ActorKey {
                id: id.to_owned(),
                key,
            });
        }
        if keys.len() == MAX_KEYS {
            break;
        }
    }
    Ok(keys)
}

fn string<'a>(object: &'a Map<String, Value>, field: &'static str) -> Result<Option<&'a str>, ActorError> {
    match envelope::present(object, field) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(error(field, "is not a string")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::key::SigningKey;

    const ALICE: &str = "https://a.example/alice";
    const RSA: &str = "z4MXj1wBzi9jUstyPMS4jQqB6KdJaiatPkAtVtGc6bQEQEEsKTic4G7Rou3iBf9vPmT5dbkm9qsZsuVNjq8HCuW1w24nhBFGkRE4cd2Uf2tfrB3N7h4mnyPp1BF3ZttHTYv3DLUPi1zMdkULiow3M1GfXkoC6DoxDUm1jmN6GBj22SjVsr6dxezRVQc7aj9TxE7JLbMH1wh5X3kA58H3DFW8rnYMakFGbca5CB2Jf6CnGQZmL7o5uJAdTwXfy2iiiyPxXEGerMhHwhjTA1mKYobyk2CpeEcmvynADfNZ5MBvcCS7m3XkFCMNUYBS9NQ3fze6vMSUPsNa6GVYmKx2x6JrdEjCk3qRMMmyjnjCMfR4pXbRMZa3i";

    fn multikey(id: &str, seed: u8) -> Value {
        let key = SigningKey::from_seed(&[seed; 32]).verifying_key();
        json!({"id": id, "type": "Multikey", "controller": ALICE, "publicKeyMultibase": key.to_multibase()})
    }

    fn alice() -> Value {
        json!({
            "id": ALICE,
            "type": ["Person", "Thing"],
            "inbox": "https://a.example/alice/inbox",
            "endpoints": {"sharedInbox": "https://a.example/inbox"},
            "assertionMethod": multikey("https://a.example/alice#key", 1),
        })
    }

    fn parse(document: &Value) -> Result<ActorDocument, ActorError> {
        ActorDocument::parse(document.as_object().unwrap())
    }

    fn key_ids(methods: Value) -> Vec<String> {
        let mut document = alice();
        document["assertionMethod"] = methods;
        parse(&document)
            .unwrap()
            .keys
            .into_iter()
            .map(|key| key.id)
            .collect()
    }

    #[test]
    fn reads_an_actor() {
        let actor = parse(&alice()).unwrap();
        assert_eq!((actor.id.as_str(), actor.kind.as_str()), (ALICE, "Person"));
        assert_eq!(actor.shared_inbox.as_deref(), Some("https://a.example/inbox"));
        assert_eq!(
            (actor.outbox, actor.followers, actor.preferred_username),
            (None, None, None)
        );
        assert_eq!(actor.keys.len(), 1);
    }

    #[test]
    fn what_lies_elsewhere_is_refused() {
        for field in ["inbox", "outbox", "followers"] {
            let mut document = alice();
            document[field] = "https://victim.example/inbox".into();
            assert_eq!(parse(&document).unwrap_err().field, field);
        }
        let mut document = alice();
        document["endpoints"]["sharedInbox"] = "https://a.example:8443/inbox".into();
        assert_eq!(parse(&document).unwrap_err().field, "sharedInbox");
        let mut document = alice();
        document["assertionMethod"] = multikey("https://victim.example/#key", 1);
        assert_eq!(parse(&document).unwrap_err().field, "assertionMethod");
    }

    #[test]
    fn an_unsound_document_is_refused_by_the_members_name() {
        for (field, value) in [
            ("id", json!(null)),
            ("id", json!("acct:alice@a.example")),
            ("id", json!({"id": ALICE})),
            ("type", json!(null)),
            ("type", json!([])),
            ("inbox", json!(null)),
            ("inbox", json!({"id": "https://a.example/inbox"})),
            ("inbox", json!("/inbox")),
            ("preferredUsername", json!(1)),
        ] {
            let mut document = alice();
            document[field] = value.clone();
            assert_eq!(parse(&document).unwrap_err().field, field, "{value}");
        }
    }

    #[test]
    fn keys_that_are_not_the_actors_or_not_ed25519_are_passed_over() {
        let with = |member: &str, value: &str| {
            let mut key = multikey("https://a.example/alice#other", 2);
            key[member] = value.into();
            key
        };
        let methods = json!([
            "https://a.example/alice#by-id",
            with("publicKeyMultibase", RSA),
            with("publicKeyMultibase", "z6Mkbroken"),
            with("controller", "https://a.example/bob"),
            with("type", "JsonWebKey"),
            {"type": "Multikey"},
            multikey("https://a.example/alice#key", 1),
            multikey("https://a.example/alice#key", 2),
        ]);
        assert_eq!(key_ids(methods.clone()), ["https://a.example/alice#key"]);
        let mut document = alice();
        document["assertionMethod"] = methods;
        let first = SigningKey::from_seed(&[1; 32]).verifying_key();
        assert_eq!(
            parse(&document).unwrap().key("https://a.example/alice#key"),
            Some(&first)
        );
        assert_eq!(key_ids(json!(null)), [""; 0]);
        assert_eq!(key_ids(json!(1)), [""; 0]);
    }

    #[test]
    fn at_most_eight_keys_are_read() {
        let many: Vec<Value> = (0..20)
            .map(|n| multikey(&format!("https://a.example/alice#{n}"), n))
            .collect();
        assert_eq!(key_ids(json!(many)).len(), MAX_KEYS);
    }
}
