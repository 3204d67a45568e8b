//! Requests and facts for the tables of the plan's tests. Activities and keys are named by short texts.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use fedsx_kernel::{cid::Cid, draft::Draft, key::SigningKey};
use fedsx_proto::v1::{KvChange, Meta};

use super::{Append, Complete, Expected, NewActorKey, NewEntry, Outcome, Publish, Request, plan};
use crate::registry::checked::Checked;
use crate::store::{Facts, Name, NameKind, Placed, StoredKey, StreamRow};

pub(crate) const INBOX: &str = "inbox/https://events.example/actors/bob";
pub(crate) const ALICE: &str = "https://blog.example/actors/alice";
pub(crate) const BASE: &str = "https://blog.example/";

pub(crate) fn cid(text: &str) -> Cid {
    Cid::of_canonical(text.as_bytes())
}

pub(crate) fn complete(text: &str) -> Complete {
    Complete {
        body: Bytes::from(text.to_owned()),
        cid: cid(text),
        activity_id: format!("https://events.example/{text}"),
        public: text.starts_with("public"),
    }
}

pub(crate) fn append(expected: Expected, texts: &[&str], kv: &[KvChange]) -> Request {
    let entries = texts.iter().map(|text| NewEntry {
        activity: complete(text),
        meta: Meta::default(),
        checked: Checked::default(),
    });
    Request::Append(Append {
        stream: INBOX.to_owned(),
        expected,
        entries: entries.collect(),
        kv: kv.to_vec(),
    })
}

pub(crate) fn publish(actor: &str, key: &str, creates: Option<&str>, kv: &[KvChange]) -> Request {
    let draft = Arc::new(Draft::parse(br#"{"type":"Create","object":{"type":"Note"}}"#).unwrap());
    Request::Publish(Box::new(Publish {
        stream: format!("outbox/{actor}"),
        actor: actor.to_owned(),
        given: Arc::clone(&draft),
        draft,
        checked: Checked::default(),
        idempotency_key: Some(key.to_owned()).filter(|key| !key.is_empty()),
        kv: kv.to_vec(),
        asked: Vec::new(),
        is_outdated: false,
        meta: Meta::default(),
        creates: creates.map(|actor| NewActorKey {
            actor: actor.to_owned(),
            key: Arc::new(SigningKey::from_seed(&[7; 32])),
            sealed: Bytes::from_static(b"sealed"),
        }),
    }))
}

/// Puts the value; `expected` as in the contract.
pub(crate) fn put(key: &str, expected: Option<u64>) -> KvChange {
    KvChange {
        space: "stock".to_owned(),
        key: key.to_owned(),
        value: Some(Bytes::from_static(b"1")),
        expected_version: expected,
    }
}

pub(crate) fn delete(key: &str, expected: Option<u64>) -> KvChange {
    KvChange {
        value: None,
        ..put(key, expected)
    }
}

/// A log that alice's key and the base's are in.
pub(crate) fn with_actors() -> Facts {
    let mut facts = Facts::default();
    facts.head.kv_version = 2;
    for (version, actor) in [(1, BASE), (2, ALICE)] {
        let sealed = Bytes::from_static(b"sealed");
        facts
            .signing_keys
            .insert(actor.to_owned(), StoredKey { version, sealed });
    }
    facts
}

/// Adds an entry as an earlier batch has left it.
pub(crate) fn stored(facts: &mut Facts, stream: &str, text: &str, draft_key: &str) -> Placed {
    facts.head.position += 1;
    let row = facts.streams.entry(stream.to_owned()).or_default();
    stream.clone_into(&mut row.name);
    row.version += 1;
    let activity = complete(text);
    let placed = Placed {
        position: facts.head.position,
        version: row.version,
        cid: activity.cid.to_string(),
        activity_id: activity.activity_id,
    };
    let names = [
        (NameKind::Cid, placed.cid.as_str()),
        (NameKind::ActivityId, placed.activity_id.as_str()),
        (NameKind::DraftKey, draft_key),
    ];
    for (kind, text) in names {
        let name = Name {
            stream: stream.to_owned(),
            kind,
            text: text.to_owned(),
        };
        facts.placed.insert(name, placed.clone());
    }
    placed
}

/// A stream's row at this version.
pub(crate) fn at_version(facts: &mut Facts, stream: &str, version: u64) {
    let row = StreamRow {
        name: stream.to_owned(),
        version,
        ..StreamRow::default()
    };
    facts.streams.insert(stream.to_owned(), row);
}

pub(super) fn outcomes(requests: &[Request], facts: &Facts) -> Vec<Outcome> {
    plan(requests, facts, &BTreeMap::new()).outcomes
}
