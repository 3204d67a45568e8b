//! Flows that wait for activities miss none.

use fedsx_proto::v1::Flow;
use serde_json::{Value, json};

use crate::{
    domain::{ALICE, BOB, replica::eventually, said, single::Single},
    emit, hold, note,
};

/// Waits for what Bob does to the object.
fn wait(id: &str, verb: &str) -> Value {
    json!({"id": id, "suspend": {"activity": {
        "verbs": [verb], "when": "entry.stream == 'inbox'", "key": "activity.object", "equals": "activity.object.id"}}})
}

fn object(serial: u32) -> Value {
    json!(format!("https://blog.example/objects/{serial}"))
}

async fn receives(single: &Single, verb: &str, serial: u32, of: u32) {
    single.domain.receive(&said(BOB, verb, serial, object(of))).await;
}

fn stand(flow: &Flow, step: &str) -> String {
    let step = flow.steps.iter().find(|of| of.id == step);
    step.unwrap().stand.clone()
}

#[tokio::test]
async fn two_that_are_waited_for_at_once_may_come_together() {
    let single = Single::start().await;
    let (mut like, mut join) = (wait("like", "Like"), wait("join", "Join"));
    (like["after"], join["after"]) = (json!([]), json!([]));
    single.define("both", "Create", json!([like, join])).await;
    single.domain.publish(ALICE, note(1)).await;
    single.flow("waiting").await;
    // One batch: nobody reads them one by one.
    let stopped = single.dies();
    stopped.domain.receive(&said(BOB, "Like", 1, object(1))).await;
    stopped.domain.receive(&said(BOB, "Join", 1, object(1))).await;
    let single = stopped.again("projection.db").await;
    single.flow("completed").await;
}

#[tokio::test]
async fn an_answer_that_comes_before_it_is_waited_for_counts_and_what_was_before_the_question_does_not() {
    let single = Single::start().await;
    receives(&single, "Like", 1, 1).await;
    single
        .define(
            "ask",
            "Create",
            json!([emit("ask"), hold(), wait("answer", "Like")]),
        )
        .await;
    for serial in [1, 2] {
        single.domain.publish(ALICE, note(serial)).await;
    }
    eventually("both wait for a person", async || {
        let flows = single.flows().await;
        flows.iter().filter(|flow| flow.status == "waiting").count() == 2
    })
    .await;
    receives(&single, "Like", 2, 2).await;
    for flow in single.flows().await {
        single.resume(&flow.id, "").await.unwrap();
    }
    let of = async |serial: u32| {
        let flows = single.flows().await;
        let flow = flows
            .iter()
            .find(|flow| json!(flow.object) == object(serial))
            .unwrap();
        single.show(&flow.id).await
    };
    eventually("the second is answered", async || {
        of(2).await.status == "completed"
    })
    .await;
    let first = of(1).await;
    assert_eq!(
        (first.status.as_str(), stand(&first, "answer").as_str()),
        ("waiting", "waiting")
    );
    receives(&single, "Like", 3, 1).await;
    eventually("the first is, too", async || of(1).await.status == "completed").await;
}

#[tokio::test]
async fn a_key_that_has_no_value_finds_no_row() {
    let single = Single::start().await;
    let look = json!({"id": "look", "effect": "query", "with": {"view": "actors", "key": "=activity.object.nothing"}});
    let none = json!({"id": "none", "effect": "query", "with": {"view": "actors", "key": "=null"}});
    single.define("look", "Create", json!([none])).await;
    single.define("miss", "Create", json!([look])).await;
    single.domain.publish(ALICE, note(1)).await;
    eventually("one finds nothing, one has nothing to look for", async || {
        let mut flows = single.flows().await;
        flows.sort_by(|a, b| a.behaviour.cmp(&b.behaviour));
        let statuses: Vec<&str> = flows.iter().map(|flow| flow.status.as_str()).collect();
        statuses == ["completed", "failed"]
    })
    .await;
    let found = single
        .flows()
        .await
        .into_iter()
        .find(|flow| flow.behaviour == "look")
        .unwrap();
    assert_eq!(single.show(&found.id).await.steps[0].value, b"null".to_vec());
}
