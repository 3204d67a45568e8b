//! A peer's actor, and its record in the log's kv (space `peer-actor`).
//!
//! A record is written with the first accepted activity of its actor, in the append's own transaction: a stranger
//! whose activities are refused leaves nothing.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use fedsx_kernel::{
    actor::{ActorDocument, ActorKey},
    key::VerifyingKey,
};
use fedsx_proto::v1::KvChange;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub(super) const SPACE: &str = "peer-actor";

/// What a gateway needs to know of a peer's actor.
#[derive(Debug)]
pub(crate) struct PeerActor {
    pub(crate) id: String,
    pub(crate) inbox: String,
    pub(crate) shared_inbox: Option<String>,
    keys: Vec<ActorKey>,
    /// When its origin showed this.
    pub(crate) fetched_at: Timestamp,
    /// When its origin was asked last, in vain or not.
    pub(super) asked_at: Timestamp,
    saved: AtomicBool,
}

impl PeerActor {
    pub(super) fn new(document: ActorDocument, fetched_at: Timestamp) -> Self {
        Self {
            id: document.id,
            inbox: document.inbox,
            shared_inbox: document.shared_inbox,
            keys: document.keys,
            fetched_at,
            asked_at: fetched_at,
            saved: AtomicBool::new(false),
        }
    }

    /// The key with this id.
    pub(crate) fn key(&self, id: &str) -> Option<&VerifyingKey> {
        self.keys.iter().find(|key| key.id == id).map(|key| &key.key)
    }

    /// Its record is in the log's kv.
    pub(crate) fn saved(&self) {
        self.saved.store(true, Ordering::Relaxed);
    }

    pub(super) fn asked_at(&self, now: Timestamp) -> Self {
        Self {
            id: self.id.clone(),
            inbox: self.inbox.clone(),
            shared_inbox: self.shared_inbox.clone(),
            keys: self.keys.clone(),
            fetched_at: self.fetched_at,
            asked_at: now,
            saved: AtomicBool::new(self.saved.load(Ordering::Relaxed)),
        }
    }
}

/// A record as JSON.
#[derive(Serialize, Deserialize)]
struct Record {
    inbox: String,
    shared_inbox: Option<String>,
    /// Key ids with their Multikeys.
    keys: Vec<(String, String)>,
    fetched_at: Timestamp,
}

pub(super) fn unsaved(actor: &PeerActor) -> Option<KvChange> {
    if actor.saved.load(Ordering::Relaxed) {
        return None;
    }
    let keys = actor
        .keys
        .iter()
        .map(|key| (key.id.clone(), key.key.to_multibase()));
    let record = Record {
        inbox: actor.inbox.clone(),
        shared_inbox: actor.shared_inbox.clone(),
        keys: keys.collect(),
        fetched_at: actor.fetched_at,
    };
    let value = serde_json::to_vec(&record).ok()?;
    Some(KvChange {
        value: Some(Bytes::from(value)),
        ..removal(&actor.id)
    })
}

pub(super) fn removal(id: &str) -> KvChange {
    KvChange {
        space: SPACE.to_owned(),
        key: id.to_owned(),
        value: None,
        expected_version: None,
    }
}

/// Reads a record; one that cannot be read counts as none, for its origin has the truth.
pub(super) fn decode(id: &str, record: &[u8]) -> Option<PeerActor> {
    let read = || -> Result<PeerActor, Box<dyn std::error::Error>> {
        let record: Record = serde_json::from_slice(record)?;
        let keys = record.keys.into_iter().map(|(id, text)| {
            let key = VerifyingKey::from_multibase(&text)?;
            Ok(ActorKey { id, key })
        });
        Ok(PeerActor {
            id: id.to_owned(),
            inbox: record.inbox,
            shared_inbox: record.shared_inbox,
            keys: keys.collect::<Result<_, fedsx_kernel::key::KeyError>>()?,
            fetched_at: record.fetched_at,
            asked_at: record.fetched_at,
            saved: AtomicBool::new(true),
        })
    };
    read()
        .inspect_err(|error| tracing::warn!(space = SPACE, key = id, %error, "a kv record cannot be read"))
        .ok()
}

#[cfg(test)]
mod tests {
    use fedsx_kernel::key::SigningKey;

    use super::*;

    const ID: &str = "https://blog.example/actors/alice";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn alice() -> PeerActor {
        PeerActor {
            id: ID.to_owned(),
            inbox: format!("{ID}/inbox"),
            shared_inbox: None,
            keys: vec![ActorKey {
                id: format!("{ID}#ed25519-key"),
                key: SigningKey::from_seed(&[7; 32]).verifying_key(),
            }],
            fetched_at: at(5),
            asked_at: at(9),
            saved: AtomicBool::new(false),
        }
    }

    #[test]
    fn a_record_survives_kv() {
        let actor = alice();
        let change = unsaved(&actor).unwrap();
        assert_eq!((change.space.as_str(), change.key.as_str()), (SPACE, ID));
        let read = decode(ID, &change.value.unwrap()).unwrap();
        assert_eq!(
            (&read.inbox, read.fetched_at, read.asked_at),
            (&actor.inbox, at(5), at(5))
        );
        assert_eq!(
            read.key(&format!("{ID}#ed25519-key")),
            actor.key(&format!("{ID}#ed25519-key"))
        );
        assert!(unsaved(&read).is_none(), "what came from kv is not written again");
    }

    #[test]
    fn a_saved_actor_is_not_written_again() {
        let actor = alice();
        actor.saved();
        assert!(unsaved(&actor).is_none());
    }

    #[test]
    fn an_unreadable_record_is_none() {
        assert!(decode(ID, b"{").is_none());
        let record = br#"{"inbox":"x","shared_inbox":null,"keys":[["k","nonsense"]],"fetched_at":"2026-01-01T00:00:00Z"}"#;
        assert!(decode(ID, record).is_none());
    }
}
