//! One batch after the other, by one writer or two.

use std::sync::Arc;

use bytes::Bytes;

use super::{ALICE, fill, name, need, rows};
use crate::{
    plan::testing,
    store::{
        By, DraftKeyRow, Head, KvRow, NameKind, Need, PageQuery, Rows, Store, StreamRow, conformance::Backend,
    },
};

pub(in super::super) async fn facts_are_what_was_committed(backend: &impl Backend) {
    let store = backend.open().await;
    fill(&*store).await;
    let mut batch = store.begin().await.unwrap();
    let facts = batch.facts(&need()).await.unwrap();
    assert_eq!(facts.head, rows().head);
    assert_eq!(facts.streams.into_values().collect::<Vec<_>>(), rows().streams);
    let mut found: Vec<_> = facts.placed.into_iter().collect();
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert_eq!(found.len(), 2);
    assert!(
        found
            .iter()
            .all(|(_, placed)| placed.position == 1 && placed.activity_id == "id")
    );
    assert_eq!(facts.kv.into_values().collect::<Vec<_>>(), [1]);
    assert!(facts.signing_keys.is_empty());
    drop(batch);
    assert_eq!(
        store.entry(&By::Position(1)).await.unwrap().as_ref(),
        rows().entries.first()
    );
    assert_eq!(
        store.stream(ALICE).await.unwrap().as_ref(),
        rows().streams.first()
    );
    assert_eq!(store.stream("outbox/bob").await.unwrap(), None);
}

/// A stream's last entry that addresses the public is not always its last.
pub(in super::super) async fn a_stream_is_told_as_its_last_batch_left_it(backend: &impl Backend) {
    let store = backend.open().await;
    let mut expected = rows().streams.remove(0);
    let (mut position, mut public) = (0, 0);
    for kinds in ["p", "..", "pp.", "p", "."] {
        let mut batch = Rows::default();
        for kind in kinds.chars() {
            let mut entry = rows().entries.remove(0);
            position += 1;
            (entry.position, entry.version) = (position, position);
            entry.activity_id = position.to_string();
            let cid = testing::cid(&entry.activity_id);
            entry.cid = cid.to_string();
            entry.public = kind == 'p';
            public += u64::from(entry.public);
            expected.public_cid = Some(cid).filter(|_| entry.public).or(expected.public_cid);
            batch.entries.push(entry);
        }
        (expected.version, expected.public) = (position, public);
        expected.published = jiff::Timestamp::from_microsecond(i64::try_from(position).unwrap()).ok();
        batch.streams = vec![expected.clone()];
        (batch.head.position, batch.head.public) = (position, public);
        let mut begun = store.begin().await.unwrap();
        begun.facts(&need()).await.unwrap();
        begun.commit(&batch).await.unwrap();
        assert_eq!(store.stream(ALICE).await.unwrap(), Some(expected.clone()));
        assert_eq!(store.head().await.unwrap(), batch.head);
    }
}

pub(in super::super) async fn an_abandoned_batch_leaves_nothing_and_holds_nobody_up(backend: &impl Backend) {
    let (store, other) = (backend.open().await, backend.open().await);
    let mut batch = store.begin().await.unwrap();
    batch.facts(&need()).await.unwrap();
    drop(batch);
    fill(&*other).await;
    assert_eq!(store.head().await.unwrap(), rows().head);
    drop(store.begin().await.unwrap());
    assert!(store.begin().await.unwrap().facts(&need()).await.is_ok());
}

pub(in super::super) async fn a_second_writer_waits_until_the_first_has_committed(backend: &impl Backend) {
    let (store, other) = (backend.open().await, backend.open().await);
    let batch = store.begin().await.unwrap();
    let waiting = tokio::spawn(async move {
        let mut batch = other.begin().await.unwrap();
        batch.facts(&Need::default()).await.unwrap().head
    });
    batch.commit(&rows()).await.unwrap();
    assert_eq!(waiting.await.unwrap(), rows().head);
}

pub(in super::super) async fn a_failed_write_is_a_drivers_error_and_nothing_of_the_batch_stays(
    backend: &impl Backend,
) {
    let store = backend.open().await;
    fill(&*store).await;
    let mut again = rows();
    again.kv[0].value = Some(Bytes::from_static(b"changed"));
    let error = store.begin().await.unwrap().commit(&again).await.unwrap_err();
    assert!(!error.is_corrupt(), "{error}");
    assert_eq!(store.kv_get("stock", "k").await.unwrap().unwrap().value, "v");
    assert_eq!(store.head().await.unwrap(), rows().head);
}

/// 2,500 entries, each in a stream of its own, with a draft key and a change of kv.
fn many() -> (Rows, Need) {
    let (mut many, mut need) = (Rows::default(), Need::default());
    for number in 1..=2500u64 {
        let stream = format!("outbox/{number}");
        let cid = testing::cid(&number.to_string()).to_string();
        let mut entry = rows().entries.remove(0);
        entry.stream.clone_from(&stream);
        entry.position = number;
        entry.activity_id = number.to_string();
        entry.cid.clone_from(&cid);
        many.entries.push(entry);
        many.streams.push(StreamRow {
            name: stream.clone(),
            ..rows().streams.remove(0)
        });
        need.names
            .insert(name(&stream, NameKind::DraftKey, &number.to_string()));
        need.streams.insert(stream.clone());
        many.draft_keys.push(DraftKeyRow {
            stream,
            key: number.to_string(),
            cid,
        });
        many.kv.push(KvRow {
            key: number.to_string(),
            version: number,
            ..rows().kv.remove(0)
        });
        need.kv.insert(("stock".to_owned(), number.to_string()));
    }
    many.head = Head {
        position: 2500,
        public: 2500,
        kv_version: 2500,
        definition: 1,
    };
    (many, need)
}

pub(in super::super) async fn pages_and_facts_go_beyond_one_statements_rows(backend: &impl Backend) {
    let store: Arc<dyn Store> = backend.open().await;
    let (mut many, need) = many();
    store.begin().await.unwrap().commit(&many).await.unwrap();
    let facts = store.begin().await.unwrap().facts(&need).await.unwrap();
    assert_eq!(
        (facts.placed.len(), facts.streams.len(), facts.kv.len()),
        (2500, 2500, 2500)
    );
    many.kv.iter_mut().for_each(|row| row.value = None);
    many.head.kv_version = 5000;
    let deletes = Rows {
        kv: many.kv,
        head: many.head,
        ..Rows::default()
    };
    store.begin().await.unwrap().commit(&deletes).await.unwrap();
    assert_eq!(store.kv_get("stock", "1").await.unwrap(), None);
    let query = PageQuery {
        stream: None,
        public_only: true,
        descending: true,
        from: 2400,
        limit: 1000,
        max_bytes: 100,
    };
    assert_eq!(store.page(&query).await.unwrap().len(), 50);
}
