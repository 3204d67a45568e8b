//! Appends: order, conflicts, duplicates, refusals.

use std::sync::Arc;

use fedsx_proto::v1::{append_response::Outcome, get_request::By, publish_response};
use fedsx_runtime::{code::Code, token::Role};
use futures::future::join_all;

use super::{
    Backend,
    harness::{
        ALICE, BASE, BOB, Log, assert_gapless, at_version, bytes, create_person, inbox, note, received,
    },
};

pub(super) async fn concurrent_appends_are_gapless_and_versioned(backend: &impl Backend) {
    let log = Arc::new(Log::with_actors(backend.open().await).await);
    let writers = (0..24).map(|writer| {
        let log = Arc::clone(&log);
        tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for turn in 0..10 {
                let id = format!("{writer}-{turn}");
                if writer % 3 == 0 {
                    let answer = log
                        .publish("alice", &note(&id, turn % 2 == 0), &id)
                        .await
                        .unwrap();
                    let publish_response::Outcome::Appended(appended) = answer else {
                        panic!("{answer:?}")
                    };
                    acknowledged.push((appended.position, appended.cid));
                } else {
                    let actor = format!("{BOB}{}", writer % 5);
                    let answer = log
                        .append(inbox(&actor, &[received(&actor, &id, "hello")]))
                        .await
                        .unwrap();
                    let Outcome::Appended(appended) = answer else {
                        panic!("{answer:?}")
                    };
                    acknowledged.push((appended.position, appended.cid));
                }
            }
            acknowledged
        })
    });
    let acknowledged: Vec<_> = join_all(writers)
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .collect();

    let entries = log.all().await;
    assert_gapless(&entries);
    assert_eq!(entries.len(), 242);
    let mut found: Vec<_> = entries[2..]
        .iter()
        .map(|entry| (entry.position, entry.cid.clone()))
        .collect();
    let mut acknowledged = acknowledged;
    acknowledged.sort();
    found.sort();
    assert_eq!(acknowledged, found);
    assert_eq!(log.head().await.unwrap(), 242);
}

pub(super) async fn one_of_many_that_expect_the_same_version_wins(backend: &impl Backend) {
    let log = Log::start(backend.open().await).await;
    for version in 0..4 {
        let racers = (0..8).map(|racer| {
            let mut request = inbox(BOB, &[received(BOB, &format!("{version}-{racer}"), "mine")]);
            request.expected = at_version(version);
            log.append(request)
        });
        let answers: Vec<_> = join_all(racers).await.into_iter().map(Result::unwrap).collect();
        let won = answers
            .iter()
            .filter(|answer| matches!(answer, Outcome::Appended(_)))
            .count();
        let lost = |answer: &&Outcome| matches!(answer, Outcome::Conflict(conflict) if conflict.version == version + 1);
        assert_eq!((won, answers.iter().filter(lost).count()), (1, 7), "{answers:?}");
    }
    assert_gapless(&log.all().await);
}

pub(super) async fn duplicates_are_told_by_cid_by_id_and_by_draft_key(backend: &impl Backend) {
    let log = Log::with_actors(backend.open().await).await;
    log.append(inbox(BOB, &[received(BOB, "1", "hello")]))
        .await
        .unwrap();
    log.publish("alice", &note("hello", true), "form").await.unwrap();
    log.stop().await;

    let log = Log::start(backend.open().await).await;
    let known = log.all().await;
    let mut again = inbox(BOB, &[received(BOB, "1", "hello")]);
    again.expected = at_version(0);
    let other_words = inbox(BOB, &[received(BOB, "1", "other words")]);
    for request in [again, other_words] {
        let answer = log.append(request).await.unwrap();
        let Outcome::Duplicate(duplicate) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!((duplicate.position, duplicate.version), (3, 1));
        assert_eq!(
            (duplicate.cid, duplicate.activity_id),
            (known[2].cid.clone(), known[2].activity_id.clone())
        );
    }
    let answer = log
        .publish(ALICE, &note("other words", true), "form")
        .await
        .unwrap();
    let publish_response::Outcome::Duplicate(duplicate) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!((duplicate.position, duplicate.cid), (4, known[3].cid.clone()));
    // Another actor may say the same, and another's keys are its own.
    let eve = format!("{BOB}-eve");
    let answer = log
        .append(inbox(&eve, &[received(&eve, "1", "hello")]))
        .await
        .unwrap();
    assert!(matches!(answer, Outcome::Appended(_)), "{answer:?}");
    let answer = log.publish("", &note("hello", true), "form").await.unwrap();
    assert!(
        matches!(answer, publish_response::Outcome::Appended(_)),
        "{answer:?}"
    );
    assert_eq!(log.all().await.len(), 6);
}

pub(super) async fn what_does_not_belong_is_refused(backend: &impl Backend) {
    let log = Log::start(backend.open().await).await;
    let good = received(BOB, "1", "hello");
    let on = |stream: &str| {
        let mut request = inbox(BOB, std::slice::from_ref(&good));
        stream.clone_into(&mut request.stream);
        request
    };
    let mut local = received(ALICE, "1", "hello");
    local["id"] = "https://blog.example/notes/1".into();
    let mut empty = inbox(BOB, &[]);
    let mut broken = inbox(BOB, std::slice::from_ref(&good));
    broken.entries[0].body = "{".into();
    let mut large = inbox(BOB, &[received(BOB, "1", &"x".repeat(1 << 20))]);
    let table = [
        (
            Role::Gateway,
            on("outbox/https://blog.example/actors/alice"),
            Code::Forbidden,
        ),
        (Role::Gateway, on("flow/1"), Code::Forbidden),
        (Role::Gateway, on("domain"), Code::Forbidden),
        (
            Role::Operator,
            on("inbox/https://events.example/actors/bob"),
            Code::Forbidden,
        ),
        (
            Role::Gateway,
            on("inbox/https://events.example/actors/eve"),
            Code::Malformed,
        ),
        (Role::Gateway, inbox(ALICE, &[local]), Code::Malformed),
        (Role::Operator, on("domain"), Code::Malformed),
        (Role::Delivery, on("flow/1"), Code::Malformed),
        (Role::Gateway, on("nowhere"), Code::Malformed),
        (Role::Gateway, on("inbox/a\u{0}b"), Code::Malformed),
        (Role::Gateway, std::mem::take(&mut empty), Code::Malformed),
        (
            Role::Gateway,
            inbox(BOB, &[good.clone(), good.clone()]),
            Code::Malformed,
        ),
        (Role::Gateway, std::mem::take(&mut broken), Code::Malformed),
        (Role::Gateway, std::mem::take(&mut large), Code::TooLarge),
    ];
    for (role, request, code) in table {
        let stream = request.stream.clone();
        let refusal = log.append_as(role, request).await.unwrap_err();
        assert_eq!(refusal.code, code, "{role:?} {stream:?}: {refusal}");
    }
    assert_eq!(log.head().await.unwrap(), 0);
    assert_eq!(log.get(By::Position(1)).await.unwrap_err().code, Code::NotFound);
}

pub(super) async fn a_request_that_is_refused_harms_no_neighbour(backend: &impl Backend) {
    let log = Log::with_actors(backend.open().await).await;
    let mut anothers = note("not mine to say", true);
    anothers["actor"] = BASE.into();
    let large = bytes(&note(&"x".repeat((1 << 20) - 300), true));
    let small = note("hello", true);
    let (a, b, c, d, e) = tokio::join!(
        log.publish("alice", &small, ""),
        log.publish("alice", &anothers, ""),
        log.publish_request(fedsx_proto::v1::PublishRequest {
            actor: "alice".to_owned(),
            draft: large,
            ..Default::default()
        }),
        log.publish("nobody", &small, ""),
        log.publish("alice", &small, ""),
    );
    assert!(a.is_ok() && e.is_ok());
    assert_eq!(b.unwrap_err().code, Code::Malformed);
    assert_eq!(c.unwrap_err().code, Code::TooLarge);
    assert_eq!(d.unwrap_err().code, Code::NotFound);
    let taken = log
        .publish("", &create_person("alice"), "another form")
        .await
        .unwrap_err();
    assert_eq!(taken.code, Code::AlreadyExists);
    assert_gapless(&log.all().await);
    assert_eq!(log.head().await.unwrap(), 4);
}
