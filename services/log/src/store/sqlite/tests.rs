//! What is SQLite's own: durability settings, broken rows, abandoned batches.

use std::sync::Arc;

use bytes::Bytes;
use fedsx_proto::v1::{Entry, Meta};
use sqlx::{AssertSqlSafe, Row as _, SqlitePool};

use super::{Sqlite, memory, open};
use crate::store::{
    By, DraftKeyRow, Head, KvRow, Name, NameKind, Need, PageQuery, Rows, Store, StoreError, StreamRow,
};

fn rows() -> Rows {
    let cid = crate::plan::testing::cid("a");
    Rows {
        entries: vec![Entry {
            position: 1,
            stream: "outbox/alice".to_owned(),
            version: 1,
            cid: cid.to_string(),
            body: Bytes::from_static(b"{}"),
            meta: Some(Meta {
                key_id: "k".to_owned(),
                ..Meta::default()
            }),
            appended_at_us: 5,
            activity_id: "id".to_owned(),
            public: true,
        }],
        streams: vec![StreamRow {
            name: "outbox/alice".to_owned(),
            version: 1,
            public: 1,
            published: jiff::Timestamp::from_microsecond(7).ok(),
            public_cid: Some(cid.clone()),
        }],
        draft_keys: vec![DraftKeyRow {
            stream: "outbox/alice".to_owned(),
            key: "form".to_owned(),
            cid: cid.to_string(),
        }],
        kv: vec![KvRow {
            space: "stock".to_owned(),
            key: "k".to_owned(),
            version: 1,
            value: Some(Bytes::from_static(b"v")),
        }],
        head: Head {
            position: 1,
            public: 1,
            kv_version: 1,
        },
    }
}

async fn filled() -> Sqlite {
    let store = memory().await.unwrap();
    store.begin().await.unwrap().commit(&rows()).await.unwrap();
    store
}

fn need() -> Need {
    let name = |kind, text: &str| Name {
        stream: "outbox/alice".to_owned(),
        kind,
        text: text.to_owned(),
    };
    Need {
        streams: ["outbox/alice", "outbox/bob"].map(str::to_owned).into(),
        names: [
            name(NameKind::ActivityId, "id"),
            name(NameKind::DraftKey, "form"),
            name(NameKind::Cid, "none"),
        ]
        .into(),
        kv: [
            ("stock".to_owned(), "k".to_owned()),
            ("stock".to_owned(), "none".to_owned()),
        ]
        .into(),
        signing_keys: ["alice".to_owned()].into(),
    }
}

#[tokio::test]
async fn facts_are_what_was_committed() {
    let store = filled().await;
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
}

#[tokio::test]
async fn every_connection_syncs_each_commit_to_a_write_ahead_log() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path().join("log.db")).await.unwrap();
    for (pool, query_only) in [(&store.writer, 0), (&store.reader, 1)] {
        assert_eq!(pragma::<String>(pool, "journal_mode").await, "wal");
        assert_eq!(pragma::<i64>(pool, "synchronous").await, 2);
        assert_eq!(pragma::<i64>(pool, "query_only").await, query_only);
    }
    store.close().await;
}

async fn pragma<T>(pool: &SqlitePool, name: &str) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    let row = sqlx::query(AssertSqlSafe(format!("PRAGMA {name}")))
        .fetch_one(pool)
        .await
        .unwrap();
    row.get(0)
}

#[tokio::test]
async fn an_abandoned_batch_leaves_nothing_and_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path().join("log.db")).await.unwrap();
    let other = open(folder.path().join("log.db")).await.unwrap();
    let mut batch = store.begin().await.unwrap();
    batch.facts(&need()).await.unwrap();
    drop(batch);
    other.begin().await.unwrap().commit(&rows()).await.unwrap();
    assert_eq!(store.head().await.unwrap(), rows().head);
}

#[tokio::test]
async fn a_second_writer_waits_until_the_first_has_committed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path().join("log.db")).await.unwrap();
    let other = open(folder.path().join("log.db")).await.unwrap();
    let batch = store.begin().await.unwrap();
    let waiting = tokio::spawn(async move {
        let mut batch = other.begin().await.unwrap();
        batch.facts(&Need::default()).await.unwrap().head
    });
    batch.commit(&rows()).await.unwrap();
    assert_eq!(waiting.await.unwrap(), rows().head);
}

#[tokio::test]
async fn a_failed_write_is_a_drivers_error_and_nothing_of_the_batch_stays() {
    let store = filled().await;
    let mut again = rows();
    again.kv[0].value = Some(Bytes::from_static(b"changed"));
    let error = store.begin().await.unwrap().commit(&again).await.unwrap_err();
    assert!(!error.is_corrupt(), "{error}");
    assert_eq!(store.kv_get("stock", "k").await.unwrap().unwrap().value, "v");
    assert_eq!(store.head().await.unwrap(), rows().head);
}

#[tokio::test]
async fn a_broken_row_names_its_table_column_and_key() {
    let table = [
        ("UPDATE entry SET meta = '{'", "entry", "meta", "1"),
        ("UPDATE entry SET version = -1", "entry", "version", "1"),
        (
            "UPDATE stream SET public_cid = 'nothing'",
            "stream",
            "public_cid",
            "outbox/alice",
        ),
        (
            "UPDATE stream SET version = -1",
            "stream",
            "version",
            "outbox/alice",
        ),
        (
            "UPDATE stream SET published = 9223372036854775807",
            "stream",
            "published",
            "outbox/alice",
        ),
        ("UPDATE kv SET version = -1", "kv", "version", "stock k"),
        ("UPDATE head SET position = -1", "head", "position", "1"),
    ];
    for (damage, table, column, key) in table {
        let store = filled().await;
        sqlx::query(damage).execute(&store.writer).await.unwrap();
        let mut batch = store.begin().await.unwrap();
        let facts = batch.facts(&need()).await.err();
        drop(batch);
        let errors = [
            facts,
            store.head().await.err(),
            store.entry(&By::Position(1)).await.err(),
            store.stream("outbox/alice").await.err(),
            store.kv_get("stock", "k").await.err(),
        ];
        let error = errors.into_iter().flatten().next().unwrap();
        let StoreError::Corrupt {
            table: in_table,
            column: in_column,
            key: of_key,
            ..
        } = &error
        else {
            panic!("{damage}: {error}");
        };
        assert_eq!(
            (*in_table, *in_column, of_key.as_str()),
            (table, column, key),
            "{damage}"
        );
    }
}

#[tokio::test]
async fn pages_and_facts_go_beyond_one_statements_rows() {
    let store: Arc<dyn Store> = Arc::new(memory().await.unwrap());
    let mut many = Rows::default();
    for number in 1..=2500u64 {
        let cid = crate::plan::testing::cid(&number.to_string()).to_string();
        let mut entry = rows().entries.remove(0);
        (entry.position, entry.version) = (number, number);
        entry.activity_id = number.to_string();
        entry.cid.clone_from(&cid);
        many.entries.push(entry);
        many.draft_keys.push(DraftKeyRow {
            stream: "outbox/alice".to_owned(),
            key: number.to_string(),
            cid,
        });
        many.streams.push(StreamRow {
            name: number.to_string(),
            ..StreamRow::default()
        });
        many.kv.push(KvRow {
            key: number.to_string(),
            version: number,
            ..rows().kv.remove(0)
        });
    }
    many.head.position = 2500;
    store.begin().await.unwrap().commit(&many).await.unwrap();
    let mut need = Need::default();
    for number in 1..=2500 {
        let stream = "outbox/alice".to_owned();
        need.names.insert(Name {
            stream,
            kind: NameKind::DraftKey,
            text: number.to_string(),
        });
        need.streams.insert(number.to_string());
        need.kv.insert(("stock".to_owned(), number.to_string()));
    }
    let facts = store.begin().await.unwrap().facts(&need).await.unwrap();
    assert_eq!(
        (facts.placed.len(), facts.streams.len(), facts.kv.len()),
        (2500, 2500, 2500)
    );
    many.kv.iter_mut().for_each(|row| row.value = None);
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

#[tokio::test]
async fn one_requests_broken_row_harms_no_neighbour() {
    use fedsx_runtime::code::Code;

    use crate::plan::{Answer, Expected, testing};

    let store = filled().await;
    sqlx::query("UPDATE stream SET version = -1")
        .execute(&store.writer)
        .await
        .unwrap();
    let settings = crate::store::conformance::harness::settings();
    let keys = Arc::new(crate::keys::Keys::new(settings.master_key));
    let writer = crate::commit::Writer {
        origin: settings.origin,
        store: Arc::new(store),
        keys,
    };
    let metrics = crate::metrics::Metrics::register(&fedsx_runtime::metrics::Metrics::default()).unwrap();
    let sign = crate::head::Sign::new(0, metrics.clone(), fedsx_runtime::health::Readiness::default());
    let stop = tokio_util::sync::CancellationToken::new();
    stop.cancel();
    let (committer, task) =
        crate::commit::Committer::new(writer, &crate::Tuning::default(), sign, metrics, stop);
    let mut broken = testing::append(Expected::Any, &["b"], &[]);
    if let crate::plan::Request::Append(append) = &mut broken {
        "outbox/alice".clone_into(&mut append.stream);
    }
    let (broken, sound, ()) = tokio::join!(
        committer.submit(broken, 1),
        committer.submit(testing::append(Expected::Any, &["a"], &[]), 1),
        task
    );
    let refusal = broken.unwrap_err();
    assert_eq!(refusal.code, Code::Internal);
    assert!(
        refusal
            .detail
            .contains("table `stream`, column `version`, key \"outbox/alice\""),
        "{refusal}"
    );
    assert!(matches!(sound, Ok(Answer::Appended(placed)) if placed.position == 2));
}

#[tokio::test]
async fn the_facts_are_dated_by_the_given_clock() {
    let now = jiff::Timestamp::from_microsecond(42).unwrap();
    let clock = Arc::new(fedsx_runtime::clock::ManualClock::new(now));
    let store = memory().await.unwrap().with_clock(clock);
    assert_eq!(
        store
            .begin()
            .await
            .unwrap()
            .facts(&Need::default())
            .await
            .unwrap()
            .now,
        now
    );
}
