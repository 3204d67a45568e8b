//! The store itself, without a log on it.

use std::sync::Arc;

use bytes::Bytes;
use fedsx_proto::v1::{Entry, Meta};
use fedsx_runtime::{code::Code, health::Readiness};
use tokio_util::sync::CancellationToken;

use crate::{
    Tuning,
    commit::{Committer, Writer},
    head::Sign,
    keys::Keys,
    metrics::Metrics,
    plan::{Answer, Expected, Request, testing},
    registry::Current,
    store::{DefinitionRow, DraftKeyRow, Head, KvRow, Name, NameKind, Need, Rows, Store, StreamRow},
};

mod batches;
mod names;

pub(super) use batches::*;
pub(super) use names::*;

pub(crate) const ALICE: &str = "outbox/alice";

/// One entry, with everything that can come with one.
pub(crate) fn rows() -> Rows {
    let cid = testing::cid("a");
    Rows {
        entries: vec![Entry {
            position: 1,
            stream: ALICE.to_owned(),
            version: 1,
            cid: cid.to_string(),
            body: Bytes::from_static(b"{}"),
            meta: Some(Meta {
                key_id: "k\u{0}".to_owned(),
                ..Meta::default()
            }),
            appended_at_us: 5,
            activity_id: "id".to_owned(),
            public: true,
        }],
        streams: vec![StreamRow {
            name: ALICE.to_owned(),
            version: 1,
            public: 1,
            published: jiff::Timestamp::from_microsecond(7).ok(),
            public_cid: Some(cid.clone()),
        }],
        draft_keys: vec![DraftKeyRow {
            stream: ALICE.to_owned(),
            key: "form".to_owned(),
            cid: cid.to_string(),
        }],
        kv: vec![KvRow {
            space: "stock".to_owned(),
            key: "k".to_owned(),
            version: 1,
            value: Some(Bytes::from_static(b"v")),
        }],
        definitions: vec![DefinitionRow {
            position: 1,
            kind: "grant".to_owned(),
            name: "alice".to_owned(),
            cid: String::new(),
            body: Bytes::from_static(b"true"),
        }],
        head: Head {
            position: 1,
            public: 1,
            kv_version: 1,
            definition: 1,
        },
    }
}

/// A store with [`rows`] in it.
pub(crate) async fn fill(store: &dyn Store) {
    store.begin().await.unwrap().commit(&rows()).await.unwrap();
}

pub(super) fn name(stream: &str, kind: NameKind, text: &str) -> Name {
    Name {
        stream: stream.to_owned(),
        kind,
        text: text.to_owned(),
    }
}

/// What is in [`rows`], and as much that is not.
pub(crate) fn need() -> Need {
    Need {
        streams: [ALICE, "outbox/bob"].map(str::to_owned).into(),
        names: [
            name(ALICE, NameKind::ActivityId, "id"),
            name(ALICE, NameKind::DraftKey, "form"),
            name(ALICE, NameKind::Cid, "none"),
            name("outbox/bob", NameKind::ActivityId, "id"),
            name("outbox/bob", NameKind::DraftKey, "form"),
        ]
        .into(),
        kv: [("stock", "k"), ("stock", "none"), ("none", "k")]
            .map(|(space, key)| (space.to_owned(), key.to_owned()))
            .into(),
        signing_keys: ["alice".to_owned()].into(),
    }
}

/// Of two requests of one batch, the one for the stream of [`rows`], a row of which is broken, is told so; the other is written.
pub(crate) async fn assert_harms_no_neighbour(store: Arc<dyn Store>, broken: &str) {
    let settings = super::harness::settings();
    let writer = Writer {
        origin: settings.origin,
        store,
        keys: Arc::new(Keys::new(settings.master_key)),
        registry: Current::default(),
    };
    let metrics = Metrics::register(&fedsx_runtime::metrics::Metrics::default()).unwrap();
    let sign = Sign::new(0, metrics.clone(), Readiness::default());
    let stop = CancellationToken::new();
    stop.cancel();
    let (committer, task) = Committer::new(writer, &Tuning::default(), sign, metrics, stop);
    let mut to_alice = testing::append(Expected::Any, &["b"], &[]);
    if let Request::Append(append) = &mut to_alice {
        ALICE.clone_into(&mut append.stream);
    }
    let (refused, sound, ()) = tokio::join!(
        committer.submit(to_alice, 1),
        committer.submit(testing::append(Expected::Any, &["a"], &[]), 1),
        task
    );
    let refusal = refused.unwrap_err();
    assert_eq!(refusal.code, Code::Internal);
    assert!(refusal.detail.contains(broken), "{refusal}");
    assert!(matches!(sound, Ok(Answer::Appended(placed)) if placed.position == 2));
}
