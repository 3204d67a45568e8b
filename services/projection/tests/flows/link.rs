//! What a calendar links, by the behaviours that the bundle of events has.

use serde_json::{Value, json};

use crate::domain::{ALICE, BASE, BOB, replica::eventually, said, shipped, single::Single};

const MAIN: &str = "https://blog.example/actors/main";
const EVE: &str = "https://events.example/actors/eve";
const ARTICLE: &str = "https://events.example/objects/gig-night";

/// A domain with the calendar main, in which alice follows bob.
async fn events() -> Single {
    let single = Single::start().await;
    let main = json!({"type": "Group", "preferredUsername": "main"});
    let follow = json!({"type": "Follow", "object": BOB, "to": [BOB]});
    single
        .domain
        .publish("", json!({"type": "Create", "object": main}))
        .await;
    single.domain.publish(ALICE, follow).await;
    for (verb, name) in [
        ("DefineProjection", "events/projections/calendar"),
        ("DefineProjection", "events/projections/links"),
        ("DefineBehaviour", "events/behaviours/link"),
        ("DefineBehaviour", "events/behaviours/unlink"),
    ] {
        let draft = json!({"type": verb, "object": shipped(name)});
        single.domain.publish("", draft).await;
    }
    single
}

fn allocate(actor: &str, serial: &str, target: &str) -> Value {
    let mut said = said(actor, "Allocate", serial, json!(ARTICLE));
    said["target"] = target.into();
    said["to"] = json!(["as:Public"]);
    said
}

/// Once there are so many flows, none of which runs: what the calendar has said.
async fn rests(single: &Single, count: usize) -> Vec<Value> {
    eventually("every flow rests", async || {
        let flows = single.flows().await;
        let rests = |status: &str| status == "completed" || status == "waiting";
        flows.len() == count && flows.iter().all(|flow| rests(&flow.status))
    })
    .await;
    single.domain.stream(&format!("outbox/{MAIN}")).await
}

async fn linked(single: &Single) -> bool {
    let head = single.domain.head().await;
    let key = format!("{MAIN} {ARTICLE}");
    single
        .replica
        .row("calendar", &key, head)
        .await
        .unwrap()
        .is_some()
}

#[tokio::test]
async fn what_is_allocated_is_linked_once_and_removed_when_it_is_deleted() {
    let single = events().await;
    let mut first = allocate(BOB, "1", MAIN);
    first["actor"] = json!({"id": BOB, "name": "Bob"});
    single.domain.receive(&first).await;
    let said = rests(&single, 1).await;
    let add = &said[0];
    assert_eq!(
        (&add["type"], &add["object"], &add["origin"]),
        (&json!("Add"), &json!(ARTICLE), &json!(BOB))
    );
    assert!(linked(&single).await);
    single.domain.receive(&allocate(BOB, "2", MAIN)).await;
    assert_eq!(rests(&single, 2).await.len(), 1, "it is there already");

    // Who has not allocated it does not take it away.
    single.domain.receive(&deleted(EVE, "1")).await;
    assert_eq!(rests(&single, 3).await.len(), 1);
    single.domain.receive(&deleted(BOB, "2")).await;
    let said = rests(&single, 4).await;
    assert_eq!(
        (&said[1]["type"], &said[1]["target"]),
        (&json!("Remove"), &json!(MAIN))
    );
    assert!(!linked(&single).await);
}

fn deleted(actor: &str, serial: &str) -> Value {
    said(actor, "Delete", serial, json!(ARTICLE))
}

#[tokio::test]
async fn a_person_is_asked_about_whom_nobody_follows() {
    let single = events().await;
    single.domain.receive(&allocate(EVE, "1", MAIN)).await;
    let flow = single.flow("waiting").await;
    assert!(rests(&single, 1).await.is_empty());
    single.resume(&flow.id, "false").await.unwrap();
    assert!(rests(&single, 1).await.is_empty());
    single.domain.receive(&allocate(EVE, "2", MAIN)).await;
    rests(&single, 2).await;
    let flows = single.flows().await;
    let waits = flows.iter().find(|flow| flow.status == "waiting").unwrap();
    single.resume(&waits.id, "true").await.unwrap();
    eventually("it is linked", async || linked(&single).await).await;
}

#[tokio::test]
async fn what_is_private_anothers_or_for_no_calendar_is_not_linked() {
    let single = events().await;
    let mut private = allocate(BOB, "private", MAIN);
    private["to"] = json!([MAIN]);
    let mut elsewhere = allocate(BOB, "elsewhere", MAIN);
    elsewhere["object"] = json!("https://other.example/objects/1");
    let mut anothers = allocate(BOB, "anothers", MAIN);
    anothers["object"] = json!({"id": ARTICLE, "type": "Article", "attributedTo": EVE});
    let mut long = allocate(BOB, "long", MAIN);
    long["target"] = format!("{MAIN}?{}", "x".repeat(3000)).into();
    for said in [private, elsewhere, anothers, long] {
        single.domain.receive(&said).await;
    }
    for (serial, target) in [
        ("base", BASE),
        ("person", ALICE),
        ("nobody", "https://blog.example/actors/no"),
    ] {
        single.domain.receive(&allocate(BOB, serial, target)).await;
    }
    assert!(
        rests(&single, 3).await.is_empty(),
        "only what names no calendar began"
    );
    for actor in [ALICE, BASE] {
        let said = single.domain.stream(&format!("outbox/{actor}")).await;
        assert!(said.iter().all(|said| said["type"] != "Add"), "{actor}");
    }
}
