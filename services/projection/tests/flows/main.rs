//! Behaviours beside a real log, as a domain runs them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so where it fails")]
#![allow(dead_code, reason = "not every test uses all of the harness")]

#[path = "../domain/mod.rs"]
mod domain;
mod link;
mod linked;
mod mail;
mod rsvp;
mod waits;

use std::collections::BTreeMap;

use domain::{ALICE, BOB, replica::eventually, said, single::Single};
use fedsx_kernel::definition::EffectKind;
use fedsx_proto::v1::{CancelFlowRequest, Flow, PublishRequest, StartFlowRequest};
use fedsx_runtime::{
    code::{Code, Refusal},
    token::Role,
};
use serde_json::{Value, json};

fn values(flow: &Flow) -> BTreeMap<&str, Value> {
    let done = flow.steps.iter().filter(|step| step.stand == "done");
    done.map(|step| (step.id.as_str(), serde_json::from_slice(&step.value).unwrap()))
        .collect()
}

fn stands(flow: &Flow) -> Vec<(&str, &str)> {
    let steps = flow.steps.iter();
    steps
        .map(|step| (step.id.as_str(), step.stand.as_str()))
        .collect()
}

fn note(serial: u32) -> Value {
    json!({"type": "Create", "object": {"id": format!("https://blog.example/objects/{serial}"), "type": "Note",
        "content": "Gig night", "category": "newsletter"}})
}

fn notify(id: &str) -> Value {
    json!({"id": id, "effect": "notify", "with": {"to": "alice", "text": "='new: ' + activity.object.content"}})
}

fn hold() -> Value {
    json!({"id": "hold", "suspend": {"person": "Release it"}})
}

fn emit(id: &str) -> Value {
    json!({"id": id, "effect": "emit", "with": {"actor": "alice", "activity": {
        "type": "Announce", "object": "=activity.object.id", "step": id}}})
}

#[tokio::test]
async fn what_waits_for_nothing_runs_at_once_and_is_one_entry() {
    let single = Single::start().await;
    single
        .define(
            "publish",
            "Create",
            json!([
                notify("tell"),
                {"id": "kind", "branch": [{"case": "letter", "when": "activity.object.category == 'newsletter'"}]},
                {"id": "more", "after": ["kind.letter"], "each": "['a', 'b']", "effect": "notify", "with": {"text": "=item"}},
            ]),
        )
        .await;
    let position = single.domain.publish(ALICE, note(1)).await;
    let flow = single.flow("completed").await;
    assert_eq!(
        (flow.position, flow.version, &*flow.verb),
        (position, 1, "Create")
    );
    assert_eq!(flow.object, "https://blog.example/objects/1");
    let told = json!({"to": ALICE, "text": "new: Gig night", "about": flow.object});
    assert_eq!(values(&flow)["tell"], told);
    assert_eq!(values(&flow)["kind"], json!("letter"));
    assert_eq!(values(&flow)["more"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_a_stranger_defines_never_runs_and_what_it_says_may_start_what_we_define() {
    let single = Single::start().await;
    let record = json!({"name": "theirs", "on": {"verbs": ["Create"]}, "steps": [notify("tell")], "profile": "fedsx-cel-1"});
    single
        .domain
        .receive(&said(BOB, "DefineBehaviour", 1, record))
        .await;
    single.domain.publish(ALICE, note(1)).await;
    single.define("ours", "Like", json!([notify("tell")])).await;
    let liked = json!({"id": "https://blog.example/objects/1", "type": "Note", "content": "x"});
    single.domain.receive(&said(BOB, "Like", 2, liked)).await;
    assert_eq!(single.flow("completed").await.behaviour, "ours");
}

#[tokio::test]
async fn an_actor_who_may_define_defines_behaviours_while_the_domain_runs() {
    let single = Single::start().await;
    let record = json!({"name": "tell", "on": {"verbs": ["Create"]}, "steps": [notify("tell")]});
    let draft = json!({"type": "DefineBehaviour", "object": record});
    let request = PublishRequest {
        actor: ALICE.to_owned(),
        draft: draft.to_string().into(),
        ..PublishRequest::default()
    };
    let refused = single.domain.log(Role::Operator).publish(request).await;
    let refused = Refusal::from(refused.unwrap_err());
    assert_eq!(refused.code, Code::Forbidden);
    single.domain.grant(ALICE).await;
    single.domain.publish(ALICE, draft).await;
    single.domain.publish(ALICE, note(1)).await;
    assert_eq!(single.flow("completed").await.behaviour, "tell");
}

#[tokio::test]
async fn what_was_said_before_starts_nothing_and_a_person_may_start_it() {
    let single = Single::start().await;
    single.domain.publish(ALICE, note(1)).await;
    single.define("publish", "Create", json!([notify("tell")])).await;
    single.domain.publish(ALICE, note(2)).await;
    let flow = single.flow("completed").await;
    let outbox = single.domain.outbox().await;
    let start = StartFlowRequest {
        behaviour: "publish".to_owned(),
        activity: outbox[0]["id"].as_str().unwrap().to_owned(),
    };
    for existed in [false, true] {
        let moved = single
            .replica
            .flows
            .clone()
            .start_flow(start.clone())
            .await
            .unwrap()
            .into_inner();
        assert_eq!(moved.existed, existed);
        let started = moved.flow.unwrap();
        assert!(started.id != flow.id && started.activity_id == start.activity);
    }
    eventually("both", async || single.flows().await.len() == 2).await;
}

#[tokio::test]
async fn a_flow_waits_for_a_person_and_goes_on_with_what_they_say() {
    let single = Single::start().await;
    single
        .define(
            "digest",
            "Create",
            json!([hold(), {"id": "end", "effect": "put", "with": {
            "key": "=activity.object.id", "value": "=steps.hold.value.ok"}}]),
        )
        .await;
    single.domain.publish(ALICE, note(1)).await;
    let flow = single.flow("waiting").await;
    assert_eq!(flow.steps[0].person, "Release it");
    // Whoever is killed meanwhile: it waits in the log.
    let single = single.again("projection.db").await;
    single.resume(&flow.id, r#"{"ok": 7}"#).await.unwrap();
    let flow = single.flow("completed").await;
    assert_eq!(values(&flow)["end"], json!(7));
    assert_eq!(single.state(&flow.object).await, Some(json!(7)));
    let again = single.resume(&flow.id, "").await.unwrap_err();
    assert_eq!(again.code, Code::FlowState);
}

#[tokio::test]
async fn a_flow_waits_for_an_activity_or_a_time() {
    let single = Single::start().await;
    let hold = json!({"id": "hold", "suspend": {"timer": "P7D", "activity": {
        "verbs": ["Like"], "when": "entry.stream == 'inbox'", "key": "activity.object", "equals": "activity.object.id"}}});
    single.define("digest", "Create", json!([hold])).await;
    let soon = json!([{"id": "pause", "suspend": {"timer": "PT0.3S"}}, emit("say")]);
    single.define("later", "Create", soon).await;
    single.domain.publish(ALICE, note(1)).await;
    single.domain.publish(ALICE, note(2)).await;
    let waiting = async |count: usize| {
        eventually("they wait", async || {
            let flows = single.flows().await;
            let waits = |flow: &&Flow| flow.behaviour == "digest" && flow.status == "waiting";
            flows.iter().filter(waits).count() == count
        })
        .await;
    };
    waiting(2).await;
    single
        .domain
        .receive(&said(BOB, "Like", 1, json!("https://blog.example/objects/other")))
        .await;
    single
        .domain
        .receive(&said(BOB, "Like", 2, json!("https://blog.example/objects/2")))
        .await;
    waiting(1).await;
    eventually("all else is over", async || {
        let flows = single.flows().await;
        flows.iter().filter(|flow| flow.status == "completed").count() == 3
    })
    .await;
    let flows = single.flows().await;
    let resumed = flows
        .iter()
        .find(|flow| flow.behaviour == "digest" && flow.status == "completed");
    let resumed = single.show(&resumed.unwrap().id).await;
    assert_eq!(resumed.object, "https://blog.example/objects/2");
    assert_eq!(values(&resumed)["hold"]["actor"], json!(BOB));
}

#[tokio::test]
async fn an_activity_that_is_published_names_its_cause_and_a_chain_ends() {
    let single = Single::start().await;
    // Whatever is announced is announced again.
    let mut echo = emit("say");
    echo["with"]["activity"]["object"] = json!("=activity.object");
    single.define("echo", "Announce", json!([echo])).await;
    single.define("begin", "Create", json!([emit("say")])).await;
    single.domain.publish(ALICE, note(1)).await;
    eventually("it ends visibly", async || {
        let flows = single.flows().await;
        flows
            .iter()
            .any(|flow| flow.status == "failed" && flow.cause.contains("chain_too_long"))
    })
    .await;
    let outbox = single.domain.outbox().await;
    let announces = &outbox[1..];
    assert_eq!(announces.len(), 8);
    for (before, announce) in outbox.iter().zip(announces) {
        assert_eq!(announce["causedBy"], before["id"]);
    }
    assert_eq!(announces[7]["causeDepth"], json!(8));
}

#[tokio::test]
async fn a_lost_store_is_read_from_the_log_and_nothing_is_done_again() {
    let single = Single::start().await;
    single
        .define("publish", "Create", json!([notify("tell"), emit("say")]))
        .await;
    single
        .define("digest", "Create", json!([hold(), emit("late")]))
        .await;
    for serial in 0..5 {
        single.domain.publish(ALICE, note(serial)).await;
    }
    let settled = async |single: &Single| {
        eventually("settled", async || {
            let flows = single.flows().await;
            let count = |status: &str| flows.iter().filter(|flow| flow.status == status).count();
            (count("completed"), count("waiting")) == (5, 5)
        })
        .await;
    };
    settled(&single).await;
    let (head, before) = (single.domain.head().await, single.flows().await);
    let single = single.again("another.db").await;
    settled(&single).await;
    assert_eq!(single.flows().await, before);
    assert_eq!(single.domain.head().await, head, "nothing was said again");
    let waits = before.iter().find(|flow| flow.status == "waiting").unwrap();
    single.resume(&waits.id, "").await.unwrap();
    eventually("goes on", async || {
        single.show(&waits.id).await.status == "completed"
    })
    .await;
}

#[tokio::test]
async fn a_flow_keeps_to_the_steps_that_it_began_with() {
    let single = Single::start().await;
    single
        .define("digest", "Create", json!([hold(), emit("old")]))
        .await;
    single.domain.publish(ALICE, note(1)).await;
    let old = single.flow("waiting").await;
    single
        .define("digest", "Create", json!([hold(), emit("new")]))
        .await;
    single.domain.publish(ALICE, note(2)).await;
    eventually("two", async || single.flows().await.len() == 2).await;
    // Also when everything has to be read again.
    let single = single.again("another.db").await;
    eventually("two", async || single.flows().await.len() == 2).await;
    for flow in single.flows().await {
        single.resume(&flow.id, "").await.unwrap();
    }
    eventually("both are over", async || {
        single.flows().await.iter().all(|flow| flow.status == "completed")
    })
    .await;
    let steps: Vec<_> = single
        .domain
        .outbox()
        .await
        .iter()
        .skip(2)
        .map(|said| said["step"].clone())
        .collect();
    assert!(steps.contains(&json!("old")) && steps.contains(&json!("new")) && steps.len() == 2);
    assert_eq!(
        stands(&single.show(&old.id).await),
        [("hold", "done"), ("old", "done")]
    );
}

#[tokio::test]
async fn a_behaviour_without_steps_is_off() {
    let single = Single::start().await;
    single.define("publish", "Create", json!([notify("tell")])).await;
    single.define("publish", "Create", json!([])).await;
    single.domain.publish(ALICE, note(1)).await;
    single.define("other", "Create", json!([notify("tell")])).await;
    single.domain.publish(ALICE, note(2)).await;
    assert_eq!(single.flow("completed").await.behaviour, "other");
}

#[tokio::test]
async fn what_fails_for_good_stands_until_somebody_says_so() {
    let single = Single::start().await;
    // A verb that is declared makes all others unknown.
    for verb in ["Create", "DefineBehaviour", "DefineActivity"] {
        let record = json!({"name": verb, "fields": []});
        single
            .domain
            .publish("", json!({"type": "DefineActivity", "object": record}))
            .await;
    }
    single.define("publish", "Create", json!([emit("say")])).await;
    single.domain.publish(ALICE, note(1)).await;
    let flow = single.flow("failed").await;
    assert!(flow.cause.starts_with("say: type_unknown"), "{}", flow.cause);
    single.retry(&flow.id).await.unwrap();
    eventually("it fails again", async || {
        let shown = single.show(&flow.id).await;
        shown.status == "failed" && shown.version > flow.version + 1
    })
    .await;
    let record = json!({"name": "Announce", "fields": []});
    single
        .domain
        .publish("", json!({"type": "DefineActivity", "object": record}))
        .await;
    single.retry(&flow.id).await.unwrap();
    single.flow("completed").await;
    let over = single.retry(&flow.id).await.unwrap_err();
    assert_eq!(over.code, Code::FlowState);
    let cancel = CancelFlowRequest {
        id: flow.id,
        reason: String::new(),
    };
    let over = single
        .replica
        .flows
        .clone()
        .cancel_flow(cancel)
        .await
        .unwrap_err();
    assert_eq!(Refusal::from(over).code, Code::FlowState);
}

#[tokio::test]
async fn nobody_elsewhere_is_notified_and_what_is_too_long_is_cut() {
    let single = Single::start().await;
    let tell = |to: &str| json!([{"id": "tell", "effect": "notify", "with": {"to": to, "text": "=activity.object.content"}}]);
    single.define("ours", "Create", tell("alice")).await;
    single.define("theirs", "Create", tell(BOB)).await;
    let mut long = note(1);
    long["object"]["content"] = "ä".repeat(5000).into();
    single.domain.publish(ALICE, long).await;
    eventually("both are over", async || {
        let flows = single.flows().await;
        flows.len() == 2 && flows.iter().all(|flow| flow.status != "running")
    })
    .await;
    for flow in single.flows().await {
        let shown = single.show(&flow.id).await;
        match &*flow.behaviour {
            "ours" => assert_eq!(values(&shown)["tell"]["text"], json!("ä".repeat(4000))),
            _ => assert_eq!(
                shown.cause,
                format!("tell: `to` is no actor of this domain: {BOB}")
            ),
        }
    }
}

#[tokio::test]
async fn a_flow_goes_to_who_can_do_it() {
    let single = Single::start_with(|settings| settings.effects = vec![EffectKind::Notify]).await;
    single
        .define("publish", "Create", json!([notify("tell"), emit("say")]))
        .await;
    single.domain.publish(ALICE, note(1)).await;
    eventually("nobody can", async || {
        let flows = single.flows().await;
        flows
            .iter()
            .any(|flow| flow.lacks == "emit" && flow.status == "running")
    })
    .await;
    let _other = single
        .beside("two", |settings| settings.effects = vec![EffectKind::Emit])
        .await;
    single.flow("completed").await;
    assert_eq!(single.domain.outbox().await.len(), 2);
}

/// Wherever the process is killed, what the flow has done in the end is what one does that nobody disturbs.
#[tokio::test]
async fn killed_again_and_again_a_flow_does_everything_once() {
    let mut single = Single::start().await;
    let steps = (0..10).map(|place| match place % 3 {
        0 => emit(&format!("s{place}")),
        1 => json!({"id": format!("s{place}"), "effect": "put", "with": {"key": format!("k{place}"),
            "value": "=current == null ? 1 : current + 1"}}),
        _ => notify(&format!("s{place}")),
    });
    single
        .define("ten", "Create", Value::Array(steps.collect()))
        .await;
    for serial in 0..20 {
        single.domain.publish(ALICE, note(serial)).await;
        // Somewhere on the way.
        for _ in 0..serial {
            tokio::task::yield_now().await;
        }
        single = single.again("projection.db").await;
    }
    eventually("all are over", async || {
        let flows = single.flows().await;
        flows.len() == 20 && flows.iter().all(|flow| flow.status == "completed")
    })
    .await;
    for place in [1, 4, 7] {
        assert_eq!(single.state(&format!("k{place}")).await, Some(json!(20)));
    }
    let outbox = single.domain.outbox().await;
    let mut said: BTreeMap<(String, String), u32> = BTreeMap::new();
    for announce in outbox.iter().filter(|said| said["type"] == "Announce") {
        let key = (announce["object"].to_string(), announce["step"].to_string());
        *said.entry(key).or_default() += 1;
    }
    assert_eq!(said.len(), 20 * 4);
    assert!(said.values().all(|times| *times == 1), "{said:?}");
}

#[tokio::test]
async fn what_an_each_comes_to_is_bounded_as_a_whole() {
    let single = Single::start().await;
    let object =
        json!({"id": "https://blog.example/objects/1", "type": "Note", "content": "x".repeat(60 << 10)});
    let each = json!({"id": "keep", "each": "['a', 'b', 'c', 'd', 'e', 'f', 'g']", "effect": "put",
        "with": {"key": "=item", "value": "=activity.object.content"}});
    single.define("keep", "Create", json!([each])).await;
    single
        .domain
        .publish(ALICE, json!({"type": "Create", "object": object}))
        .await;
    let flow = single.flow("failed").await;
    assert!(flow.cause.contains("more than 262144 bytes"), "{}", flow.cause);
    assert_eq!(flow.steps[0].items_done, 5);
}

/// Rows of a view are all there are, as many as were asked for, or an error.
#[tokio::test]
async fn a_query_leaves_no_row_out_without_a_word() {
    let single = Single::start().await;
    let view = json!({"name": "said", "profile": "fedsx-cel-1", "on": {"verbs": ["Create"]},
        "when": "has(activity.object.content)", "key": "activity.object.id",
        "fold": "{'text': activity.object.content}"});
    single
        .domain
        .publish("", json!({"type": "DefineProjection", "object": view}))
        .await;
    let query = |limit: Value| {
        let mut with = json!({"view": "said"});
        if !limit.is_null() {
            with["limit"] = limit;
        }
        json!([{"id": "look", "effect": "query", "with": with}])
    };
    single.define("all", "Announce", query(Value::Null)).await;
    single.define("two", "Announce", query(json!(2))).await;
    let say = async |serial: u32, size: usize| {
        let object = json!({"id": format!("https://blog.example/objects/{serial}"), "type": "Note",
            "content": "x".repeat(size)});
        single
            .domain
            .publish(ALICE, json!({"type": "Create", "object": object}))
            .await;
    };
    let announce = json!({"type": "Announce", "object": "https://blog.example/objects/1"});
    let come_to = async |flows: usize| {
        eventually("both have looked", async || {
            let all = single.flows().await;
            all.len() == flows
                && all
                    .iter()
                    .all(|flow| flow.status == "completed" || flow.status == "failed")
        })
        .await;
        let mut found = BTreeMap::new();
        let (mut latest, flows) = (0, single.flows().await);
        for flow in &flows {
            latest = latest.max(flow.position);
        }
        for flow in flows.into_iter().filter(|flow| flow.position == latest) {
            let shown = single.show(&flow.id).await;
            let rows = values(&shown).remove("look");
            let rows = rows.and_then(|rows| rows.as_array().map(Vec::len));
            found.insert(flow.behaviour, rows.ok_or(flow.cause));
        }
        found
    };
    for serial in 0..5 {
        say(serial, 1).await;
    }
    single.domain.publish(ALICE, announce.clone()).await;
    assert_eq!(
        come_to(2).await,
        BTreeMap::from([("all".to_owned(), Ok(5)), ("two".to_owned(), Ok(2))])
    );
    say(5, 40 << 10).await;
    say(6, 40 << 10).await;
    single.domain.publish(ALICE, announce).await;
    let found = come_to(4).await;
    assert_eq!(found["two"], Ok(2));
    let cause = found["all"].clone().unwrap_err();
    assert!(cause.contains("the 7 rows have more than 65536 bytes"), "{cause}");
}
