//! The small state.

use std::sync::Arc;

use fedsx_proto::v1::{ListKvRequest, PublishRequest, append_response::Outcome, publish_response};
use fedsx_runtime::{code::Code, token::Role};
use futures::future::join_all;

use super::{
    Backend,
    harness::{ALICE, BASE, BOB, Log, bytes, delete, inbox, note, put, received},
};

pub(super) async fn compare_and_set_counts_every_increment(backend: &impl Backend) {
    let log = Arc::new(Log::start(backend.open().await).await);
    let counters = (0..8).map(|_| {
        let log = Arc::clone(&log);
        tokio::spawn(async move {
            let mut done = 0;
            while done < 5 {
                let item = log.kv("count").await.unwrap_or_default();
                let count: u64 = std::str::from_utf8(&item.value).unwrap().parse().unwrap_or(0);
                let change = put("count", &(count + 1).to_string(), Some(item.version));
                if log.change(vec![change]).await.unwrap().conflict.is_none() {
                    done += 1;
                }
            }
        })
    });
    join_all(counters).await.into_iter().for_each(Result::unwrap);
    assert_eq!(log.kv("count").await.unwrap().value, "40");
}

pub(super) async fn kv_changes_with_its_append_or_not_at_all(backend: &impl Backend) {
    let log = Log::with_actors(backend.open().await).await;
    let append = |id: &str, kv| {
        let mut request = inbox(BOB, &[received(BOB, id, "hello")]);
        request.kv = kv;
        request
            .kv
            .iter_mut()
            .for_each(|change| change.space = "peer".to_owned());
        log.append(request)
    };
    assert!(matches!(
        append("1", vec![put("k", "one", Some(0))]).await.unwrap(),
        Outcome::Appended(_)
    ));
    let lost = append("2", vec![put("k", "two", Some(0))]).await.unwrap();
    let item = log.kv_as(Role::Gateway, "peer", "k").await.unwrap().unwrap();
    let Outcome::KvConflict(conflict) = lost else {
        panic!("{lost:?}")
    };
    assert_eq!((conflict.key.as_str(), conflict.version), ("k", item.version));
    // A duplicate writes nothing, whatever it compares.
    let duplicate = append("1", vec![put("k", "three", Some(item.version))])
        .await
        .unwrap();
    assert!(matches!(duplicate, Outcome::Duplicate(_)), "{duplicate:?}");
    assert_eq!(
        log.kv_as(Role::Gateway, "peer", "k")
            .await
            .unwrap()
            .unwrap()
            .value,
        "one"
    );

    let publish = |key: &str, kv| {
        log.publish_request(PublishRequest {
            actor: "alice".to_owned(),
            draft: bytes(&note("hello", true)),
            idempotency_key: key.to_owned(),
            kv,
            meta: None,
        })
    };
    let answer = publish("1", vec![put("seats", "1", Some(0))]).await.unwrap();
    assert!(
        matches!(answer, publish_response::Outcome::Appended(_)),
        "{answer:?}"
    );
    let answer = publish("2", vec![put("seats", "2", Some(0))]).await.unwrap();
    assert!(
        matches!(answer, publish_response::Outcome::KvConflict(_)),
        "{answer:?}"
    );
    assert_eq!(log.kv("seats").await.unwrap().value, "1");
    assert_eq!(log.head().await.unwrap(), 4);
}

pub(super) async fn versions_rise_over_deletes_and_restarts(backend: &impl Backend) {
    let log = Log::start(backend.open().await).await;
    log.change(vec![put("k", "1", Some(0)), put("other", "1", None)])
        .await
        .unwrap();
    let first = log.kv("k").await.unwrap().version;
    log.change(vec![delete("k", Some(first))]).await.unwrap();
    assert_eq!(log.kv("k").await, None);
    log.stop().await;

    let log = Log::start(backend.open().await).await;
    let stale = log
        .change(vec![put("k", "2", Some(first))])
        .await
        .unwrap()
        .conflict
        .unwrap();
    assert_eq!(stale.version, 0);
    log.change(vec![put("k", "2", Some(0))]).await.unwrap();
    let second = log.kv("k").await.unwrap();
    assert!(second.version > first, "{} after {first}", second.version);
    assert_eq!(second.value, "2");
    // What is put twice in a row is as new as the second.
    log.change(vec![put("k", "2", None)]).await.unwrap();
    assert!(log.kv("k").await.unwrap().version > second.version);
}

pub(super) async fn lists_go_by_prefix_and_page(backend: &impl Backend) {
    let log = Log::start(backend.open().await).await;
    let keys = ["a/1", "a/2", "a/3", "a0", "b", "ä", "a/\u{10ffff}"];
    log.change(keys.iter().map(|key| put(key, "v", None)).collect())
        .await
        .unwrap();
    let list = async |prefix: &str, after: &str, limit| -> Vec<String> {
        let request = ListKvRequest {
            space: "stock".to_owned(),
            prefix: prefix.to_owned(),
            after: after.to_owned(),
            limit,
        };
        let items = log.list_as(Role::Operator, request).await.unwrap();
        items.into_iter().map(|item| item.key).collect()
    };
    assert_eq!(
        list("", "", 0).await,
        ["a/1", "a/2", "a/3", "a/\u{10ffff}", "a0", "b", "ä"]
    );
    assert_eq!(list("a/", "", 2).await, ["a/1", "a/2"]);
    assert_eq!(list("a/", "a/2", 2).await, ["a/3", "a/\u{10ffff}"]);
    assert_eq!(list("a/", "a/\u{10ffff}", 2).await, [""; 0]);
    assert_eq!(list("c", "", 0).await, [""; 0]);
    let beyond = ListKvRequest {
        space: "stock".to_owned(),
        limit: 1001,
        ..ListKvRequest::default()
    };
    assert_eq!(
        log.list_as(Role::Operator, beyond).await.unwrap_err().code,
        Code::Malformed
    );
}

pub(super) async fn signing_keys_are_for_signers(backend: &impl Backend) {
    let log = Log::with_actors(backend.open().await).await;
    for role in [Role::Delivery, Role::Gateway] {
        assert!(log.kv_as(role, "key", ALICE).await.unwrap().is_some());
        let request = ListKvRequest {
            space: "key".to_owned(),
            ..ListKvRequest::default()
        };
        let keys: Vec<_> = log
            .list_as(role, request)
            .await
            .unwrap()
            .into_iter()
            .map(|item| item.key)
            .collect();
        assert_eq!(keys, [BASE, ALICE]);
    }
    for role in [Role::Site, Role::Projection, Role::Operator] {
        assert_eq!(
            log.kv_as(role, "key", ALICE).await.unwrap_err().code,
            Code::Forbidden
        );
        let request = ListKvRequest {
            space: "key".to_owned(),
            ..ListKvRequest::default()
        };
        assert_eq!(
            log.list_as(role, request).await.unwrap_err().code,
            Code::Forbidden
        );
    }
    let mut change = delete(ALICE, None);
    "key".clone_into(&mut change.space);
    assert_eq!(log.change(vec![change]).await.unwrap_err().code, Code::Forbidden);
    let twice = vec![put("k", "1", None), put("k", "2", None)];
    assert_eq!(log.change(twice).await.unwrap_err().code, Code::Malformed);
}
