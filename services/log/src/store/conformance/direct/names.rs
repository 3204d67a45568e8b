//! What entries, streams and keys are found by.

use super::{ALICE, fill, name, rows};
use crate::{
    plan::testing,
    store::{By, KvQuery, NameKind, Need, PageQuery, Rows, conformance::Backend},
};

/// The ids of fed-sx end with the CID, those of others with anything, and some have none.
pub(in super::super) async fn an_entry_is_found_by_whatever_id_it_has(backend: &impl Backend) {
    let store = backend.open().await;
    let cid = |number: usize| testing::cid(&number.to_string()).to_string();
    let ids = [
        format!("https://events.example/activities/{}", cid(0)),
        // Another's CID, and its own after something else than a slash.
        format!("https://events.example/activities/{}", cid(7)),
        format!("https://events.example/#{}", cid(2)),
        "https://events.example/notes/4".to_owned(),
        String::new(),
        cid(5),
    ];
    let mut all = Rows::default();
    for (index, id) in ids.iter().enumerate() {
        let mut entry = rows().entries.remove(0);
        entry.position = u64::try_from(index).unwrap() + 1;
        entry.version = entry.position;
        entry.activity_id.clone_from(id);
        entry.cid = cid(index);
        all.entries.push(entry);
    }
    all.streams = rows().streams;
    all.streams[0].version = 6;
    all.streams[0].public = 6;
    all.streams[0].public_cid = cid(5).parse().ok();
    all.head.position = 6;
    all.head.public = 6;
    store.begin().await.unwrap().commit(&all).await.unwrap();

    let mut need = Need::default();
    need.streams.insert(ALICE.to_owned());
    for entry in &all.entries {
        need.names
            .insert(name(ALICE, NameKind::ActivityId, &entry.activity_id));
        need.names
            .insert(name("outbox/bob", NameKind::ActivityId, &entry.activity_id));
    }
    need.names.insert(name(ALICE, NameKind::Cid, &cid(0)));
    need.names.insert(name(ALICE, NameKind::Cid, &cid(4)));
    let facts = store.begin().await.unwrap().facts(&need).await.unwrap();
    assert_eq!(facts.streams[ALICE], all.streams[0]);
    assert_eq!(facts.head, all.head);
    assert_eq!(facts.placed.len(), 7);
    for entry in &all.entries {
        assert_eq!(
            store.entry(&By::Cid(entry.cid.clone())).await.unwrap().as_ref(),
            Some(entry)
        );
        if entry.activity_id.is_empty() {
            continue;
        }
        let by = By::ActivityId(entry.activity_id.clone());
        assert_eq!(store.entry(&by).await.unwrap().as_ref(), Some(entry));
        let placed = &facts.placed[&name(ALICE, NameKind::ActivityId, &entry.activity_id)];
        assert_eq!((placed.position, &placed.cid), (entry.position, &entry.cid));
    }
    assert_eq!(facts.placed[&name(ALICE, NameKind::Cid, &cid(4))].activity_id, "");
}

/// What no entry and no key is named by is not there, whether the database could keep it or not.
pub(in super::super) async fn a_name_that_cannot_be_kept_is_not_there(backend: &impl Backend) {
    let store = backend.open().await;
    fill(&*store).await;
    for text in [
        "\u{0}",
        "id\u{0}",
        "k\u{0}",
        "outbox/alice\u{0}",
        "\u{1}",
        "",
        "\u{ffff}",
    ] {
        for by in [By::Cid(text.to_owned()), By::ActivityId(text.to_owned())] {
            assert_eq!(store.entry(&by).await.unwrap(), None, "{by:?}");
        }
        assert_eq!(store.stream(text).await.unwrap(), None, "{text:?}");
        assert_eq!(store.kv_get(text, "k").await.unwrap(), None, "{text:?}");
        assert_eq!(store.kv_get("stock", text).await.unwrap(), None, "{text:?}");
        let query = PageQuery {
            stream: Some(text.to_owned()),
            public_only: false,
            descending: false,
            from: 0,
            limit: 9,
            max_bytes: 99,
        };
        assert_eq!(store.page(&query).await.unwrap(), []);
        let need = Need {
            streams: [text.to_owned()].into(),
            names: [NameKind::Cid, NameKind::ActivityId, NameKind::DraftKey]
                .into_iter()
                .flat_map(|kind| [name(ALICE, kind, text), name(text, kind, "id")])
                .collect(),
            kv: [
                (text.to_owned(), "k".to_owned()),
                ("stock".to_owned(), text.to_owned()),
            ]
            .into(),
            signing_keys: [text.to_owned()].into(),
        };
        let facts = store.begin().await.unwrap().facts(&need).await.unwrap();
        assert!(facts.streams.is_empty() && facts.placed.is_empty(), "{text:?}");
        assert!(facts.kv.is_empty() && facts.signing_keys.is_empty(), "{text:?}");
    }
    let list = async |space: &str, prefix: &str, after: &str| {
        let query = KvQuery {
            space: space.to_owned(),
            prefix: prefix.to_owned(),
            after: after.to_owned(),
            limit: 9,
            max_bytes: 99,
        };
        store.kv_list(&query).await.unwrap().len()
    };
    assert_eq!(list("stock", "", "").await, 1);
    assert_eq!(list("stock\u{0}", "", "").await, 0);
    assert_eq!(list("stock", "k\u{0}", "").await, 0);
    assert_eq!(list("stock", "", "j\u{0}").await, 1);
    assert_eq!(list("stock", "", "k\u{0}").await, 0);
}
