//! Peers' types: what is kept of them, and what is checked by them.

use fedsx_kernel::{canonical, cid::Cid};
use fedsx_runtime::{code::Code, token::Role};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Backend,
    definitions::{code, create, define, receive},
    harness::{Answer, Log, settings},
};
use crate::{
    Settings,
    peer_types::MAX_FOR_ONE,
    store::{PeerTypeRow, TypeBounds},
};

/// A record's canonical form, and its CID.
fn record(name: &str, instance_type: Option<&str>) -> (Vec<u8>, String) {
    let mut record = json!({
        "name": name,
        "fields": [{"name": name.to_lowercase(), "type": "string", "required": true}],
    });
    if let Some(parent) = instance_type {
        record["instanceType"] = parent.into();
    }
    let body = canonical::to_vec(&record).unwrap();
    let cid = Cid::of_canonical(&body).to_string();
    (body, cid)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn row(name: &str, bytes: usize, used_at: i64) -> PeerTypeRow {
    PeerTypeRow {
        cid: format!("cid of {name}"),
        name: name.to_owned(),
        origin: "https://events.example".to_owned(),
        bytes: u64::try_from(bytes).unwrap(),
        body: vec![b'x'; bytes].into(),
        fetched_at: at(1),
        used_at: at(used_at),
    }
}

pub(super) async fn what_is_kept_is_found_listed_and_dropped(backend: &impl Backend) {
    let store = backend.open().await;
    let (a, b) = (row("a", 3, 1), row("b", 0, 1));
    assert!(store.keep_peer_type(&b).await.unwrap());
    assert!(store.keep_peer_type(&a).await.unwrap());
    let other = PeerTypeRow {
        origin: "https://shop.example".to_owned(),
        ..a.clone()
    };
    assert!(!store.keep_peer_type(&other).await.unwrap());
    let store = backend.open().await;
    let mut found = store
        .peer_types_of(&[&b.cid, "cid of c", "\0", &a.cid])
        .await
        .unwrap();
    found.sort_by(|one, other| one.cid.cmp(&other.cid));
    assert_eq!(found, [a.clone(), b.clone()]);
    assert_eq!(store.peer_types_of(&[]).await.unwrap(), []);
    let listed = |row: &PeerTypeRow| PeerTypeRow {
        body: bytes::Bytes::new(),
        ..row.clone()
    };
    assert_eq!(store.peer_types("", 9).await.unwrap(), [listed(&a), listed(&b)]);
    assert_eq!(store.peer_types("", 1).await.unwrap(), [listed(&a)]);
    assert_eq!(store.peer_types(&a.cid, 9).await.unwrap(), [listed(&b)]);

    store.use_peer_type(&a.cid, at(9)).await.unwrap();
    store.use_peer_type(&a.cid, at(5)).await.unwrap();
    let used = store.peer_types_of(&[&a.cid]).await.unwrap();
    assert_eq!(used.first().unwrap().used_at, at(9));
    assert!(store.drop_peer_type(&a.cid).await.unwrap());
    assert!(!store.drop_peer_type(&a.cid).await.unwrap());
    assert_eq!(store.peer_types("", 9).await.unwrap(), [listed(&b)]);
}

pub(super) async fn the_longest_unused_are_dropped_first(backend: &impl Backend) {
    let store = backend.open().await;
    for (name, used_at) in [("a", 3), ("b", 1), ("c", 4), ("d", 2)] {
        store.keep_peer_type(&row(name, 10, used_at)).await.unwrap();
    }
    for name in ["x", "y"] {
        let other = PeerTypeRow {
            origin: "https://shop.example".to_owned(),
            ..row(name, 10, 9)
        };
        store.keep_peer_type(&other).await.unwrap();
    }
    let trim = async |origin: Option<&str>, number, bytes, spared: &[&str]| {
        let bounds = TypeBounds {
            origin: origin.map(str::to_owned),
            number,
            bytes,
            spared: spared.iter().map(|cid| (*cid).to_owned()).collect(),
        };
        store.trim_peer_types(&bounds).await.unwrap()
    };
    let left = async || {
        let rows = store.peer_types("", 9).await.unwrap();
        rows.into_iter().map(|row| row.name).collect::<String>()
    };
    // One origin's types are not in another's way.
    let events = Some("https://events.example");
    assert_eq!(trim(events, 4, 40, &[]).await, 0);
    assert_eq!(trim(events, 3, 40, &[]).await, 1);
    assert_eq!(left().await, "acdxy");
    assert_eq!(trim(events, 9, 25, &[]).await, 1);
    assert_eq!(left().await, "acxy");
    assert_eq!(trim(None, 4, 40, &[]).await, 0);
    assert_eq!(trim(None, 3, 40, &[]).await, 1);
    assert_eq!(left().await, "cxy");
    assert_eq!(trim(None, 0, 0, &["cid of c", "cid of nothing"]).await, 2);
    assert_eq!(left().await, "c");
}

pub(super) async fn a_peers_type_counts_once_it_is_kept(backend: &impl Backend) {
    let settings = Settings {
        strict_object_schema: true,
        ..settings()
    };
    let log = Log::with(settings, backend.open().await).await.unwrap();
    log.create_actors().await;
    let (post, post_cid) = record("Post", None);
    let (review, review_cid) = record("Review", Some(&post_cid));
    let good = json!({"type": "Review", "typeCid": review_cid, "post": "a", "review": "b"});
    assert_eq!(code(receive(&log, 1, good.clone()).await), Code::TypeUnknown);
    let kept = log.keep_type(Role::Gateway, &review).await.unwrap();
    assert_eq!((kept.cid.as_str(), kept.kept), (review_cid.as_str(), true));
    assert!(!log.keep_type(Role::Gateway, &review).await.unwrap().kept);
    assert_eq!(code(receive(&log, 2, good.clone()).await), Code::TypeUnknown);
    log.keep_type(Role::Gateway, &post).await.unwrap();
    receive(&log, 3, good.clone()).await.unwrap();
    let bad = json!({"type": "Review", "typeCid": review_cid, "review": "b"});
    assert_eq!(code(receive(&log, 4, bad.clone()).await), Code::SchemaRefused);

    // Our own actors speak by it as well, and only by its CID.
    log.publish("alice", &create(&good), "").await.unwrap();
    assert_eq!(
        code(log.publish("alice", &create(&bad), "").await),
        Code::SchemaRefused
    );
    let unnamed = create(&json!({"type": "Review", "post": "a", "review": "b"}));
    assert_eq!(code(log.publish("alice", &unnamed, "").await), Code::TypeUnknown);

    // What is evicted is unknown again.
    log.evict_type(Role::Operator, &post_cid).await.unwrap();
    assert_eq!(code(receive(&log, 5, good).await), Code::TypeUnknown);
    assert_eq!(
        code(log.evict_type(Role::Operator, &post_cid).await),
        Code::NotFound
    );
}

pub(super) async fn a_type_of_ours_stands_on_a_peers(backend: &impl Backend) {
    let log = Log::with_actors(backend.open().await).await;
    let (post, post_cid) = record("Post", None);
    let review = || json!({"name": "Review", "instanceType": post_cid});
    assert_eq!(
        code(define(&log, "DefineType", review()).await),
        Code::TypeUnknown
    );
    log.keep_type(Role::Gateway, &post).await.unwrap();
    define(&log, "DefineType", review()).await.unwrap();
    let of = |object: Value| create(&object);
    log.publish("alice", &of(json!({"type": "Review", "post": "a"})), "")
        .await
        .unwrap();
    let bad = of(json!({"type": "Review"}));
    assert_eq!(code(log.publish("alice", &bad, "").await), Code::SchemaRefused);
    let refusal = log.evict_type(Role::Operator, &post_cid).await.unwrap_err();
    assert_eq!(refusal.code, Code::Forbidden);
    assert!(refusal.detail.contains("`Review`"), "{}", refusal.detail);
}

pub(super) async fn who_keeps_and_evicts_is_told_by_role(backend: &impl Backend) {
    let log = Log::start(backend.open().await).await;
    let (post, cid) = record("Post", None);
    assert_eq!(code(log.keep_type(Role::Site, &post).await), Code::Forbidden);
    log.keep_type(Role::Operator, &post).await.unwrap();
    assert_eq!(code(log.evict_type(Role::Gateway, &cid).await), Code::Forbidden);
    let listed = log.peer_types("", 0).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (listed[0].name.as_str(), listed[0].origin.as_str()),
        ("Post", "https://events.example")
    );
    assert!(log.peer_types(&cid, 0).await.is_empty());
    assert_eq!(log.get_type(&cid).await.unwrap().body, post);
}

pub(super) async fn what_is_no_type_is_not_kept(backend: &impl Backend) {
    let log = Log::start(backend.open().await).await;
    let (post, _) = record("Post", None);
    let mut spaced = post.clone();
    spaced.push(b' ');
    let unsound = canonical::to_vec(&json!({"name": "Post", "fields": 7})).unwrap();
    for body in [spaced, unsound, b"[]".to_vec(), Vec::new()] {
        assert_eq!(
            code(log.keep_type(Role::Gateway, &body).await),
            Code::SchemaRefused
        );
    }
    let large = vec![b'x'; 65 << 10];
    assert_eq!(code(log.keep_type(Role::Gateway, &large).await), Code::TooLarge);
    assert!(log.peer_types("", 0).await.is_empty());
    assert_eq!(code(log.get_type("bafy").await), Code::Malformed);
}

pub(super) async fn every_type_that_was_ever_defined_is_found(backend: &impl Backend) {
    let log = Log::with_actors(backend.open().await).await;
    let versions = [record("Post", None), record("Post", Some("Article"))];
    let mut cids = Vec::new();
    for (body, cid) in &versions {
        define(&log, "DefineType", serde_json::from_slice(body).unwrap())
            .await
            .unwrap();
        cids.push(cid.clone());
    }
    for (body, cid) in &versions {
        let known = log.get_type(cid).await.unwrap();
        assert_eq!((&known.body[..], known.origin.as_str()), (&body[..], ""));
        assert!(!log.keep_type(Role::Gateway, body).await.unwrap().kept);
        let evicted: Answer<()> = log.evict_type(Role::Operator, cid).await;
        assert_eq!(code(evicted), Code::Forbidden);
    }
    assert!(log.missing_types(&cids).await.unwrap().is_empty());
    let nobodys = Cid::of_canonical(b"nobody's");
    assert_eq!(code(log.get_type(nobodys.as_str()).await), Code::NotFound);
}

pub(super) async fn what_is_missing_is_told_with_what_stands_behind(backend: &impl Backend) {
    let log = Log::start(backend.open().await).await;
    let mut chain = vec![record("Type0", None)];
    for number in 1..10 {
        let parent = chain.last().unwrap().1.clone();
        chain.push(record(&format!("Type{number}"), Some(&parent)));
    }
    let (body, last) = chain.pop().unwrap();
    let asked = [last.clone(), last.clone()];
    assert_eq!(log.missing_types(&asked).await.unwrap(), [last]);
    log.keep_type(Role::Gateway, &body).await.unwrap();
    // One after the other, as far as a chain may reach.
    for (body, cid) in chain.iter().rev().take(7) {
        assert_eq!(
            log.missing_types(&asked).await.unwrap(),
            std::slice::from_ref(cid)
        );
        log.keep_type(Role::Gateway, body).await.unwrap();
    }
    assert!(log.missing_types(&asked).await.unwrap().is_empty());
    let many = vec![asked[0].clone(); 65];
    assert_eq!(code(log.missing_types(&many).await), Code::Malformed);
}

pub(super) async fn few_bytes_make_nobody_read_many(backend: &impl Backend) {
    let log = Log::start(backend.open().await).await;
    let mut cids = Vec::new();
    for number in 0..9 {
        let (body, cid) = large(number);
        assert!(body.len() * 9 > MAX_FOR_ONE && body.len() * 8 < MAX_FOR_ONE);
        log.keep_type(Role::Gateway, &body).await.unwrap();
        cids.push(cid);
    }
    let of = |cids: &[String]| -> Value {
        let object = |cid: &String| json!({"type": "Large", "typeCid": cid});
        cids.iter().map(object).collect()
    };
    assert!(log.missing_types(&cids[..8]).await.unwrap().is_empty());
    receive(&log, 1, of(&cids[..8])).await.unwrap();
    assert_eq!(code(log.missing_types(&cids).await), Code::SchemaRefused);
    let refusal = receive(&log, 2, of(&cids)).await.unwrap_err();
    assert_eq!(refusal.code, Code::SchemaRefused);
    assert!(refusal.detail.contains("262144 bytes"), "{}", refusal.detail);
}

/// A record of about 30 KiB.
fn large(number: u32) -> (Vec<u8>, String) {
    let values: Vec<_> = (0..30)
        .map(|value| format!("{number} {value} {}", "x".repeat(1000)))
        .collect();
    let fields = json!([{"name": "kind", "type": "string", "enum": values}]);
    let body = canonical::to_vec(&json!({"name": "Large", "fields": fields})).unwrap();
    let cid = Cid::of_canonical(&body).to_string();
    (body, cid)
}
