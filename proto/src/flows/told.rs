//! What is told of flows: the messages' words in camelCase, moments in RFC 3339, what is empty left out.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::v1::{
    Behaviour, Flow, FlowMoved, FlowRunner, FlowStep, FlowTransition, GetFlowResponse, ListBehavioursResponse,
};

/// All of a flow.
#[must_use]
pub fn flow(flow: &Flow) -> Value {
    let mut members = known_to_all(flow);
    let more = json!({
        "public": flow.public,
        "cause": flow.cause,
        "version": flow.version,
        "dueAt": moment(flow.due_at_us),
        "lacks": flow.lacks,
        "steps": flow.steps.iter().map(step).collect::<Value>(),
    });
    add(&mut members, more);
    Value::Object(members)
}

/// What everybody may know of a flow whose activity is public: how it goes, and nothing that its steps, their causes and what
/// they wait for may quote.
#[must_use]
pub fn outline(flow: &Flow) -> Value {
    let mut members = known_to_all(flow);
    let step = |step: &FlowStep| json!({ "id": step.id, "kind": step.kind, "stand": step.stand });
    add(
        &mut members,
        json!({ "steps": flow.steps.iter().map(step).collect::<Value>() }),
    );
    Value::Object(members)
}

/// A page of flows, each told by `shown`: `{"flows": […], "next"}`.
#[must_use]
pub fn page(flows: &[Flow], next: &str, shown: impl Fn(&Flow) -> Value) -> Value {
    let mut members = Map::new();
    add(
        &mut members,
        json!({ "flows": flows.iter().map(shown).collect::<Value>(), "next": next }),
    );
    Value::Object(members)
}

/// A flow with its transitions.
#[must_use]
pub fn whole(told: &GetFlowResponse) -> Value {
    let mut value = flow(&told.flow.clone().unwrap_or_default());
    value["transitions"] = told.transitions.iter().map(transition).collect();
    value
}

/// A flow that has been moved.
#[must_use]
pub fn moved(moved: &FlowMoved) -> Value {
    let mut value = flow(&moved.flow.clone().unwrap_or_default());
    if moved.existed {
        value["existed"] = true.into();
    }
    value
}

/// `{"behaviours": […], "runners": […]}`.
#[must_use]
pub fn behaviours(told: &ListBehavioursResponse) -> Value {
    let behaviour = |behaviour: &Behaviour| {
        json!({
            "name": behaviour.name, "cid": behaviour.cid, "position": behaviour.position,
            "verbs": behaviour.verbs, "types": behaviour.types, "steps": behaviour.steps,
        })
    };
    let runner = |runner: &FlowRunner| json!({ "name": runner.name, "kinds": runner.kinds });
    json!({
        "behaviours": told.behaviours.iter().map(behaviour).collect::<Value>(),
        "runners": told.runners.iter().map(runner).collect::<Value>(),
    })
}

fn known_to_all(flow: &Flow) -> Map<String, Value> {
    let mut members = Map::new();
    let known = json!({
        "id": flow.id,
        "behaviour": flow.behaviour,
        "behaviourCid": flow.behaviour_cid,
        "status": flow.status,
        "verb": flow.verb,
        "actor": flow.actor,
        "object": flow.object,
        "activityId": flow.activity_id,
        "activityCid": flow.activity_cid,
        "position": flow.position,
        "startedAt": moment(flow.started_at_us),
        "movedAt": moment(flow.moved_at_us),
    });
    add(&mut members, known);
    members
}

fn step(step: &FlowStep) -> Value {
    let mut members = Map::new();
    let known = json!({
        "id": step.id,
        "kind": step.kind,
        "stand": step.stand,
        "cause": step.cause,
        "person": step.person,
        "key": step.key,
        "until": moment(step.until_us),
    });
    add(&mut members, known);
    if !step.verbs.is_empty() {
        members.insert("verbs".to_owned(), step.verbs.clone().into());
    }
    if step.attempts > 0 {
        members.insert("attempts".to_owned(), step.attempts.into());
    }
    if step.each {
        members.insert("each".to_owned(), true.into());
        // Once all are done, their number is that of the values.
        if step.items > 0 {
            members.insert("itemsDone".to_owned(), step.items_done.into());
            members.insert("items".to_owned(), step.items.into());
        }
    }
    if !step.value.is_empty() {
        members.insert("value".to_owned(), read(&step.value));
    }
    Value::Object(members)
}

fn transition(transition: &FlowTransition) -> Value {
    json!({
        "version": transition.version,
        "position": transition.position,
        "at": moment(transition.at_us),
        "events": read(&transition.events),
    })
}

/// Adds those members that are neither null nor an empty text.
fn add(members: &mut Map<String, Value>, more: Value) {
    let Value::Object(more) = more else { return };
    let empty = |value: &Value| value.is_null() || value.as_str() == Some("");
    members.extend(more.into_iter().filter(|(_, value)| !empty(value)));
}

fn read(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap_or_default()
}

/// A moment in RFC 3339; none where there is none.
#[must_use]
pub fn moment(microseconds: i64) -> Option<String> {
    let moment = Timestamp::from_microsecond(microseconds).ok();
    moment
        .filter(|_| microseconds != 0)
        .map(|moment| moment.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest() -> Flow {
        let step = |id: &str, kind: &str, stand: &str| FlowStep {
            id: id.to_owned(),
            kind: kind.to_owned(),
            stand: stand.to_owned(),
            ..FlowStep::default()
        };
        let check = FlowStep {
            value: r#"{"valid":true}"#.into(),
            ..step("check", "validate", "done")
        };
        let release = FlowStep {
            person: "Release the secret digest".to_owned(),
            key: "secret".to_owned(),
            until_us: 1_763_721_600_000_000,
            ..step("release", "suspend", "waiting")
        };
        let mails = FlowStep {
            each: true,
            cause: "the secret mailbox is full".to_owned(),
            attempts: 2,
            items: 3,
            items_done: 1,
            ..step("mails", "mail", "failing")
        };
        Flow {
            id: "k".repeat(52),
            behaviour: "blog-digest".to_owned(),
            status: "retrying".to_owned(),
            cause: "mails: the secret mailbox is full".to_owned(),
            lacks: "mail".to_owned(),
            started_at_us: 1_763_721_600_500_000,
            steps: vec![check, release, mails, step("sent", "put", "later")],
            public: true,
            ..Flow::default()
        }
    }

    #[test]
    fn everything_is_told_to_who_may_know_and_what_is_empty_left_out() {
        let told = flow(&digest());
        assert_eq!(told["startedAt"], "2025-11-21T10:40:00.5Z");
        assert_eq!(told.get("dueAt"), None);
        assert_eq!(
            told["steps"],
            json!([
                {"id": "check", "kind": "validate", "stand": "done", "value": {"valid": true}},
                {"id": "release", "kind": "suspend", "stand": "waiting", "person": "Release the secret digest", "key": "secret",
                 "until": "2025-11-21T10:40:00Z"},
                {"id": "mails", "kind": "mail", "stand": "failing", "cause": "the secret mailbox is full", "attempts": 2,
                 "each": true, "itemsDone": 1, "items": 3},
                {"id": "sent", "kind": "put", "stand": "later"},
            ])
        );
    }

    #[test]
    fn an_outline_quotes_nothing() {
        let told = outline(&digest());
        assert!(!told.to_string().contains("secret"), "{told}");
        assert_eq!(
            told["steps"][1],
            json!({"id": "release", "kind": "suspend", "stand": "waiting"})
        );
        assert_eq!(page(&[digest()], "", outline), json!({ "flows": [told] }));
    }
}
