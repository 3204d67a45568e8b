//! A peer's actor, as a gateway knows it.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use fedsx_kernel::{
    actor::{ActorDocument, ActorKey},
    key::VerifyingKey,
};
use jiff::{SignedDuration, Timestamp};

/// What a gateway needs to know of a peer's actor.
#[derive(Debug)]
pub(crate) struct PeerActor {
    pub(crate) id: String,
    pub(crate) inbox: String,
    pub(crate) shared_inbox: Option<String>,
    pub(super) keys: Vec<PeerKey>,
    /// When its origin showed this.
    pub(crate) fetched_at: Timestamp,
    /// When its origin was asked last, in vain or not.
    pub(super) asked_at: Timestamp,
    /// The version of the record that this was read from, or that stood there when its origin was asked; 0: none.
    pub(super) version: u64,
    /// When kv was last seen to have that version. Unix seconds.
    pub(super) checked_at: AtomicI64,
    /// The record is written, or an append under way writes it.
    pub(super) saved: AtomicBool,
}

/// One of an actor's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PeerKey {
    pub(crate) id: String,
    pub(crate) key: VerifyingKey,
    /// The key as a Multikey, which each entry that it verified carries.
    pub(crate) multibase: String,
}

impl From<ActorKey> for PeerKey {
    fn from(key: ActorKey) -> Self {
        Self {
            multibase: key.key.to_multibase(),
            id: key.id,
            key: key.key,
        }
    }
}

impl PeerActor {
    pub(super) fn new(document: ActorDocument, fetched_at: Timestamp) -> Self {
        Self {
            id: document.id,
            inbox: document.inbox,
            shared_inbox: document.shared_inbox,
            keys: document.keys.into_iter().map(PeerKey::from).collect(),
            fetched_at,
            asked_at: fetched_at,
            version: 0,
            checked_at: AtomicI64::new(fetched_at.as_second()),
            saved: AtomicBool::new(false),
        }
    }

    /// Fetched while kv had a record of this version.
    pub(super) fn over(self, version: u64) -> Self {
        Self { version, ..self }
    }

    /// The key with this id.
    pub(crate) fn key(&self, id: &str) -> Option<&PeerKey> {
        self.keys.iter().find(|key| key.id == id)
    }

    pub(super) fn asked_at(&self, now: Timestamp) -> Self {
        Self {
            id: self.id.clone(),
            inbox: self.inbox.clone(),
            shared_inbox: self.shared_inbox.clone(),
            keys: self.keys.clone(),
            fetched_at: self.fetched_at,
            asked_at: now,
            version: self.version,
            checked_at: AtomicI64::new(self.checked_at.load(Ordering::Relaxed)),
            saved: AtomicBool::new(self.saved.load(Ordering::Relaxed)),
        }
    }

    /// Whether kv is to be asked again if it still has this version; one of those who ask at the same time is told so.
    pub(super) fn is_due(&self, after: SignedDuration, now: Timestamp) -> bool {
        let (last, now) = (self.checked_at.load(Ordering::Relaxed), now.as_second());
        let is_old = now.saturating_sub(last) >= after.as_secs();
        is_old
            && self
                .checked_at
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use fedsx_kernel::{
        actor::{Kind, NewActor},
        key::SigningKey,
    };

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn one_of_many_is_told_to_ask_again() {
        let actor = NewActor {
            name: None,
            kind: Kind::Service,
            display_name: None,
            summary: None,
            manual_approval: false,
        };
        let origin = "https://blog.example".parse().unwrap();
        let document = actor.document(&origin, &SigningKey::from_seed(&[7; 32]).verifying_key());
        let document = ActorDocument::parse(document.as_object().unwrap()).unwrap();
        let actor = PeerActor::new(document, at(5));
        let after = SignedDuration::from_secs(5);
        assert!(!actor.is_due(after, at(9)));
        assert!(actor.is_due(after, at(10)));
        assert!(!actor.is_due(after, at(10)));
        assert!(actor.is_due(after, at(15)));
    }
}
