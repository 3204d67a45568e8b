//! Drafts: order, chain, actors, proofs.

use std::sync::Arc;

use fedsx_kernel::{activity::Activity, actor::ActorDocument, proof};
use fedsx_proto::v1::{Entry, publish_response::Outcome};
use fedsx_runtime::{code::Code, keyring::MasterKey};
use futures::future::join_all;
use serde_json::json;

use super::{
    Backend,
    harness::{ALICE, BASE, Log, assert_gapless, create_base, create_person, note, settings},
};
use crate::{Settings, StartError};

fn activities(entries: &[Entry], stream: &str) -> Vec<Activity> {
    let of_stream = entries.iter().filter(|entry| entry.stream == stream);
    of_stream
        .map(|entry| Activity::parse(&entry.body).unwrap())
        .collect()
}

/// Each later than the one before, and each public one naming the public one before it.
pub(crate) fn assert_chain(activities: &[Activity]) {
    let (mut published, mut public) = (None, None);
    for activity in activities {
        assert!(activity.published() > published, "{activity:?}");
        published = activity.published();
        if activity.is_public() {
            assert_eq!(activity.prev(), public);
            public = Some(activity.cid().clone());
        } else {
            assert_eq!(activity.prev(), None);
        }
    }
}

pub(super) async fn a_chain_is_strictly_ordered_and_linked(backend: &impl Backend) {
    let log = Log::with_actors(backend.open().await).await;
    for turn in 0..5 {
        log.publish("alice", &note(&turn.to_string(), turn != 2), "")
            .await
            .unwrap();
    }
    log.stop().await;
    let log = Log::start(backend.open().await).await;
    for turn in 5..8 {
        log.publish("alice", &note(&turn.to_string(), turn != 6), "")
            .await
            .unwrap();
    }
    let entries = log.all().await;
    let chain = activities(&entries, &format!("outbox/{ALICE}"));
    assert_eq!(chain.len(), 8);
    assert_chain(&chain);
    for entry in &entries {
        let activity = Activity::parse(&entry.body).unwrap();
        assert_eq!(entry.cid, activity.cid().as_str());
        assert_eq!(
            entry.activity_id,
            format!("https://blog.example/activities/{}", entry.cid)
        );
        assert_eq!(entry.public, activity.is_public());
    }
}

pub(super) async fn many_writers_of_one_actor_never_conflict(backend: &impl Backend) {
    let log = Arc::new(Log::with_actors(backend.open().await).await);
    let writers = (0..16).map(|writer| {
        let log = Arc::clone(&log);
        tokio::spawn(async move {
            for turn in 0..6 {
                let key = format!("{writer}-{turn}");
                let answer = log
                    .publish("alice", &note(&key, writer % 2 == 0), &key)
                    .await
                    .unwrap();
                assert!(matches!(answer, Outcome::Appended(_)), "{answer:?}");
            }
        })
    });
    join_all(writers).await.into_iter().for_each(Result::unwrap);
    let entries = log.all().await;
    assert_gapless(&entries);
    let chain = activities(&entries, &format!("outbox/{ALICE}"));
    assert_eq!(chain.len(), 96);
    assert_chain(&chain);
}

pub(super) async fn actors_come_to_be_by_a_create(backend: &impl Backend) {
    let log = Log::start(backend.open().await).await;
    let refusal = log.publish("", &create_person("alice"), "").await.unwrap_err();
    assert_eq!(refusal.code, Code::NotFound);
    log.create_actors().await;
    let again = log.publish("", &create_base(), "create base").await.unwrap();
    assert!(matches!(again, Outcome::Duplicate(duplicate) if duplicate.position == 1));
    let again = log
        .publish(BASE, &create_person("alice"), "create alice")
        .await
        .unwrap();
    assert!(matches!(again, Outcome::Duplicate(duplicate) if duplicate.position == 2));
    for taken in [create_base(), create_person("alice")] {
        assert_eq!(
            log.publish("", &taken, "").await.unwrap_err().code,
            Code::AlreadyExists
        );
    }
    for unsound in [
        json!({"type": "Create", "object": {"type": "Person"}}),
        json!({"type": "Create", "object": {"type": "Person", "preferredUsername": "../alice"}}),
        json!({"type": "Create", "object": {"type": "Group", "preferredUsername": "g", "id": ALICE}}),
    ] {
        assert_eq!(
            log.publish("", &unsound, "").await.unwrap_err().code,
            Code::Malformed,
            "{unsound}"
        );
    }
    assert_eq!(
        log.publish("bob", &note("hello", true), "")
            .await
            .unwrap_err()
            .code,
        Code::NotFound
    );
    assert_eq!(log.head().await.unwrap(), 2);
}

pub(super) async fn a_sealed_activity_verifies_with_its_actors_key(backend: &impl Backend) {
    let log = Log::with_actors(backend.open().await).await;
    log.publish("alice", &note("hello", true), "").await.unwrap();
    let entries = log.all().await;
    let actor = |entry: &Entry| {
        let create = Activity::parse(&entry.body).unwrap();
        ActorDocument::parse(create.document()["object"].as_object().unwrap()).unwrap()
    };
    let (base, alice) = (actor(&entries[0]), actor(&entries[1]));
    assert_eq!((base.id.as_str(), alice.id.as_str()), (BASE, ALICE));
    assert_ne!(base.keys[0].key, alice.keys[0].key);
    for (entry, signer) in [(&entries[0], &base), (&entries[1], &base), (&entries[2], &alice)] {
        let activity = Activity::parse(&entry.body).unwrap();
        let method = proof::info(activity.document()).unwrap().verification_method;
        proof::verify(activity.document(), signer.key(method).unwrap()).unwrap();
    }
}

pub(super) async fn another_origin_or_master_key_is_told_at_the_start(backend: &impl Backend) {
    Log::with_actors(backend.open().await).await.stop().await;
    let other = Settings {
        origin: "https://shop.example".parse().unwrap(),
        ..settings()
    };
    let error = Log::with(other, backend.open().await).await.err().unwrap();
    assert!(matches!(error, StartError::Origin { .. }), "{error}");
    let master_key = Arc::new(MasterKey::parse(&MasterKey::generate()).unwrap());
    let error = Log::with(
        Settings {
            master_key,
            ..settings()
        },
        backend.open().await,
    )
    .await
    .err()
    .unwrap();
    assert!(matches!(error, StartError::MasterKey { .. }), "{error}");
}
