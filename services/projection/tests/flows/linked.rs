//! What an author is told of a calendar that links an article, by the behaviour that the bundle of blog has.

use serde_json::{Value, json};

use crate::{
    domain::{ALICE, BOB, replica::eventually, said, shipped, single::Single},
    values,
};

const EVE: &str = "https://events.example/actors/eve";
const GIG: &str = "https://blog.example/objects/gig-night";
const JAM: &str = "https://blog.example/objects/jam";

/// A domain with two articles of alice's, one of which is allocated to bob.
async fn blog() -> Single {
    let single = Single::start().await;
    for (verb, name) in [
        ("DefineProjection", "blog/projections/allocations"),
        ("DefineProjection", "blog/projections/articles"),
        ("DefineBehaviour", "blog/behaviours/linked"),
    ] {
        let draft = json!({"type": verb, "object": shipped(name)});
        single.domain.publish("", draft).await;
    }
    for (id, name) in [(GIG, "Gig Night"), (JAM, "Jam")] {
        let article = json!({"type": "Article", "id": id, "name": name});
        let create = json!({"type": "Create", "object": article});
        single.domain.publish(ALICE, create).await;
    }
    allocate(&single).await;
    single
}

async fn allocate(single: &Single) {
    let allocate = json!({"type": "Allocate", "object": GIG, "target": BOB});
    single.domain.publish(ALICE, allocate).await;
}

fn add(actor: &str, serial: &str, object: &str, target: &str) -> Value {
    let mut said = said(actor, "Add", serial, json!(object));
    said["target"] = target.into();
    said
}

/// Once so many flows are over, and no more: whom they have told what.
async fn told(single: &Single, count: usize) -> Vec<(String, String)> {
    eventually("every flow is over", async || {
        let flows = single.flows().await;
        flows.len() == count && flows.iter().all(|flow| flow.status == "completed")
    })
    .await;
    let mut told = Vec::new();
    for flow in single.flows().await {
        let shown = single.show(&flow.id).await;
        if let Some(tell) = values(&shown).remove("tell") {
            let text = |key: &str| tell[key].as_str().unwrap().to_owned();
            told.push((text("to"), text("text")));
        }
    }
    told
}

#[tokio::test]
async fn the_author_is_told_once_for_each_allocate() {
    let single = blog().await;
    single.domain.receive(&add(BOB, "1", GIG, BOB)).await;
    let listed = (ALICE.to_owned(), format!("listed: Gig Night in {BOB}"));
    assert_eq!(told(&single, 1).await, std::slice::from_ref(&listed));
    for serial in ["2", "3"] {
        single.domain.receive(&add(BOB, serial, GIG, BOB)).await;
    }
    assert_eq!(told(&single, 3).await.len(), 1, "the calendar says it again");
    allocate(&single).await;
    single.domain.receive(&add(BOB, "4", GIG, BOB)).await;
    assert_eq!(told(&single, 4).await, [listed.clone(), listed]);
}

#[tokio::test]
async fn what_nobody_here_has_allocated_to_who_adds_it_tells_nothing() {
    let single = blog().await;
    let mut unnamed = add(BOB, "unnamed", GIG, BOB);
    unnamed["object"] = json!({"type": "Article", "name": "Gig Night"});
    let long = format!("{GIG}?{}", "x".repeat(3000));
    for said in [
        unnamed,
        add(BOB, "long", &long, BOB),
        add(BOB, "elsewhere", GIG, EVE),
        add(EVE, "in-his-name", GIG, BOB),
    ] {
        single.domain.receive(&said).await;
    }
    for said in [
        add(EVE, "stranger", GIG, EVE),
        add(BOB, "another", JAM, BOB),
        add(BOB, "nothing", "https://blog.example/objects/nothing", BOB),
        add(BOB, "theirs", "https://events.example/objects/1", BOB),
    ] {
        single.domain.receive(&said).await;
    }
    assert!(told(&single, 4).await.is_empty());
    let delete = json!({"type": "Delete", "object": GIG});
    single.domain.publish(ALICE, delete).await;
    single.domain.receive(&add(BOB, "late", GIG, BOB)).await;
    assert!(told(&single, 5).await.is_empty(), "it is deleted");
}
