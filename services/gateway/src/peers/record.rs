//! The record of a peer's actor in the log's kv (space `peer-actor`), which all gateways of the domain share.
//!
//! A record is written with the first accepted activity of its actor, in the append's own transaction: a stranger
//! whose activities are refused leaves nothing. It is written only where kv still has what the document was looked up
//! under, so that no gateway overwrites what another has learned since. An actor that tells us it changed leaves a mark in
//! its record's place.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use bytes::Bytes;
use fedsx_kernel::key::{KeyError, VerifyingKey};
use fedsx_proto::v1::{KvChange, KvItem};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::actor::{PeerActor, PeerKey};

pub(super) const SPACE: &str = "peer-actor";

/// A record that is to be written with an append; another append may write it where this one is dropped unwritten.
#[derive(Debug)]
pub(crate) struct Saving {
    actor: Arc<PeerActor>,
    written: bool,
}

impl Saving {
    /// The record of an actor that has none yet; none where it is written, or another append writes it.
    pub(super) fn of(actor: &Arc<PeerActor>) -> Option<(Self, KvChange)> {
        if actor.saved.swap(true, Ordering::Relaxed) {
            return None;
        }
        let saving = Self {
            actor: actor.clone(),
            written: false,
        };
        let value = serde_json::to_vec(&Record::of(actor)).ok()?;
        let change = KvChange {
            space: SPACE.to_owned(),
            key: actor.id.clone(),
            value: Some(Bytes::from(value)),
            expected_version: Some(actor.version),
        };
        Some((saving, change))
    }

    pub(crate) fn written(mut self) {
        self.written = true;
    }
}

impl Drop for Saving {
    fn drop(&mut self) {
        if !self.written {
            self.actor.saved.store(false, Ordering::Relaxed);
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

impl Record {
    fn of(actor: &PeerActor) -> Self {
        let keys = actor
            .keys
            .iter()
            .map(|key| (key.id.clone(), key.multibase.clone()));
        Self {
            inbox: actor.inbox.clone(),
            shared_inbox: actor.shared_inbox.clone(),
            keys: keys.collect(),
            fetched_at: actor.fetched_at,
        }
    }
}

/// What stands in the place of a record whose actor told us that it changed: its origin is to be asked.
#[derive(Serialize, Deserialize)]
struct Mark {
    changed_at: Timestamp,
}

/// Marks an actor as changed, whatever stands there.
pub(super) fn mark(id: &str, now: Timestamp) -> KvChange {
    KvChange {
        space: SPACE.to_owned(),
        key: id.to_owned(),
        value: serde_json::to_vec(&Mark { changed_at: now })
            .ok()
            .map(Bytes::from),
        expected_version: None,
    }
}

/// Reads a record, seen at `now`. A mark is none, and so is what cannot be read: the actor's origin has the truth.
pub(super) fn decode(item: &KvItem, now: Timestamp) -> Option<PeerActor> {
    let read = || -> Result<PeerActor, Box<dyn std::error::Error>> {
        let record: Record = serde_json::from_slice(&item.value)?;
        let keys = record.keys.into_iter().map(|(id, multibase)| {
            let key = VerifyingKey::from_multibase(&multibase)?;
            Ok(PeerKey { id, key, multibase })
        });
        Ok(PeerActor {
            id: item.key.clone(),
            inbox: record.inbox,
            shared_inbox: record.shared_inbox,
            keys: keys.collect::<Result<_, KeyError>>()?,
            fetched_at: record.fetched_at,
            asked_at: record.fetched_at,
            version: item.version,
            checked_at: AtomicI64::new(now.as_second()),
            saved: AtomicBool::new(true),
        })
    };
    if serde_json::from_slice::<Mark>(&item.value).is_ok() {
        return None;
    }
    read()
        .inspect_err(
            |error| tracing::warn!(space = SPACE, key = item.key, %error, "a kv record cannot be read"),
        )
        .ok()
}

#[cfg(test)]
mod tests {
    use fedsx_kernel::{actor::ActorKey, key::SigningKey};

    use super::*;

    const ID: &str = "https://blog.example/actors/alice";
    const KEY: &str = "https://blog.example/actors/alice#ed25519-key";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn alice() -> Arc<PeerActor> {
        let key = ActorKey {
            id: KEY.to_owned(),
            key: SigningKey::from_seed(&[7; 32]).verifying_key(),
        };
        Arc::new(PeerActor {
            id: ID.to_owned(),
            inbox: format!("{ID}/inbox"),
            shared_inbox: None,
            keys: vec![key.into()],
            fetched_at: at(5),
            asked_at: at(9),
            version: 3,
            checked_at: AtomicI64::new(5),
            saved: AtomicBool::new(false),
        })
    }

    fn stored(value: impl Into<Bytes>) -> KvItem {
        KvItem {
            space: SPACE.to_owned(),
            key: ID.to_owned(),
            version: 7,
            value: value.into(),
        }
    }

    #[test]
    fn a_record_survives_kv() {
        let actor = alice();
        let (_, change) = Saving::of(&actor).unwrap();
        assert_eq!(
            (
                change.space.as_str(),
                change.key.as_str(),
                change.expected_version
            ),
            (SPACE, ID, Some(3))
        );
        let read = decode(&stored(change.value.unwrap()), at(20)).unwrap();
        assert_eq!(
            (&read.inbox, read.fetched_at, read.asked_at, read.version),
            (&actor.inbox, at(5), at(5), 7)
        );
        assert_eq!(read.key(KEY), actor.key(KEY));
        assert!(
            Saving::of(&Arc::new(read)).is_none(),
            "what came from kv is not written again"
        );
    }

    #[test]
    fn one_append_at_a_time_writes_a_record_until_it_is_written() {
        let actor = alice();
        let (first, _) = Saving::of(&actor).unwrap();
        assert!(Saving::of(&actor).is_none());
        drop(first);
        let (second, _) = Saving::of(&actor).unwrap();
        second.written();
        assert!(Saving::of(&actor).is_none());
    }

    #[test]
    fn an_unreadable_record_and_a_mark_are_none() {
        let nonsense = r#"{"inbox":"x","shared_inbox":null,"keys":[["k","nonsense"]],"fetched_at":"2026-01-01T00:00:00Z"}"#;
        for value in ["{", nonsense] {
            assert!(decode(&stored(value), at(9)).is_none());
        }
        let mark = mark(ID, at(9));
        assert_eq!(mark.expected_version, None);
        assert!(decode(&stored(mark.value.unwrap()), at(9)).is_none());
    }
}
