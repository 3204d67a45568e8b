use serde_json::{Value, json};

use super::*;
use crate::definition::{Definition, Kind};

fn read(steps: Value) -> Result<BehaviourRecord, DefinitionError> {
    let mut record = json!({
        "name": "publish",
        "on": {"verbs": ["Create"], "types": ["Article"]},
        "when": "entry.owns",
    });
    record["steps"] = steps;
    of(record)
}

fn of(record: Value) -> Result<BehaviourRecord, DefinitionError> {
    let Value::Object(record) = record else {
        panic!("{record}")
    };
    let complete = Definition::complete(Kind::Behaviour, record)?;
    BehaviourRecord::read(&complete)
}

fn wrong(steps: Value) -> String {
    read(steps).unwrap_err().to_string()
}

fn notify() -> Value {
    json!({"id": "tell", "effect": "notify", "with": {"text": "='a new ' + activity.object.type"}})
}

#[test]
fn a_step_comes_after_the_one_before_or_those_that_it_names() {
    let record = read(json!([
        notify(),
        {"id": "kind", "branch": [{"case": "urgent", "when": "activity.object.category == 'urgent'"}, {"case": "other"}]},
        {"id": "hold", "after": ["kind.other"], "suspend": {"person": "Release it", "timer": "P7D"}},
        {"id": "all", "after": ["hold", "kind.urgent"], "each": "[1, 2]", "effect": "mail",
            "with": {"to": "=item", "subject": "a", "text": "=string(index)"}},
        {"id": "apart", "after": [], "effect": "validate", "with": {"type": "Article"}},
    ]))
    .unwrap();
    let after: Vec<Vec<(usize, Option<&str>)>> = record
        .steps()
        .iter()
        .map(|step| {
            let edges = step.after.iter();
            edges.map(|edge| (edge.step, edge.case.as_deref())).collect()
        })
        .collect();
    let expected = [
        vec![],
        vec![(0, None)],
        vec![(1, Some("other"))],
        vec![(2, None), (1, Some("urgent"))],
        vec![],
    ];
    assert_eq!(after, expected);
    assert!(matches!(record.step("hold").unwrap().action, Action::Suspend(_)));
    assert_eq!(BehaviourRecord::parse(record.canonical()).unwrap(), record);
}

#[test]
fn what_is_wrong_is_named_by_its_key() {
    let tell = notify();
    let cases = [
        (json!([tell, tell]), "`steps[1].id` is the id of a step above"),
        (json!([{"id": "a"}]), "`steps[0]` is none of `effect`"),
        (
            json!([{"id": "a", "effect": "beam"}]),
            "`steps[0].effect` is none of emit, put",
        ),
        (
            json!([{"id": "a", "effect": "notify"}]),
            "`steps[0].with` is no object",
        ),
        (
            json!([{"id": "a", "effect": "notify", "with": {}}]),
            "`steps[0].with.text` is missing",
        ),
        (
            json!([{"id": "a", "effect": "notify", "with": {"text": "x", "who": "y"}}]),
            "`steps[0].with.who` is none of text, to, about",
        ),
        (
            json!([{"id": "a", "effect": "notify", "with": {"text": "=item"}}]),
            "`steps[0].with.text` column 1: unknown_variable: item",
        ),
        (
            json!([{"id": "a", "effect": "emit", "with": {"activity": {"to": ["a", "=1 +"]}}}]),
            "`steps[0].with.activity.to[1]` column",
        ),
        (
            json!([{"id": "a", "effect": "put", "with": {"key": "=current", "value": "=current"}}]),
            "`steps[0].with.key` column 1: unknown_variable: current",
        ),
        (
            json!([{"id": "a", "branch": []}]),
            "`steps[0].branch` has 0 cases",
        ),
        (
            json!([{"id": "a", "branch": [{"case": "x"}, {"case": "y"}]}]),
            "`steps[0].branch[1].case` is never reached",
        ),
        (
            json!([{"id": "a", "suspend": {}}]),
            "`steps[0].suspend` has none of",
        ),
        (
            json!([{"id": "a", "suspend": {"timer": "P1M"}}]),
            "`steps[0].suspend.timer` is no duration",
        ),
        (
            json!([{"id": "a", "suspend": {"activity": {"key": "activity.id", "equals": "activity.id"}}}]),
            "`steps[0].suspend.activity.verbs` is missing",
        ),
        (
            json!([tell, {"id": "b", "after": ["c"], "suspend": {"timer": "PT1S"}}]),
            "`steps[1].after[0]` is no step above",
        ),
        (
            json!([tell, {"id": "b", "after": ["tell.x"], "suspend": {"timer": "PT1S"}}]),
            "`steps[1].after[0]` is no case of that step",
        ),
        (
            json!([{"id": "b", "with": {}, "suspend": {"timer": "PT1S"}}]),
            "`steps[0].with` belongs to an `effect`",
        ),
        (
            json!([{"id": "b", "continueOnError": true, "suspend": {"timer": "PT1S"}}]),
            "`steps[0].continueOnError` belongs to an `effect`",
        ),
        (
            json!([{"id": "b", "continueOnError": "yes", "effect": "notify", "with": {"text": "x"}}]),
            "`steps[0].continueOnError` is neither true nor false",
        ),
    ];
    for (steps, problem) in cases {
        let found = wrong(steps.clone());
        assert!(found.starts_with(problem), "{steps}: {found}");
    }
    let many: Vec<Value> = (0..=MAX_STEPS)
        .map(|n| json!({"id": format!("s{n}"), "suspend": {"timer": "PT1S"}}))
        .collect();
    assert!(wrong(Value::Array(many)).contains("at most 64"));
}

#[test]
fn a_behaviour_names_its_verbs_and_may_be_switched_off() {
    assert!(read(json!([])).unwrap().steps().is_empty());
    let error = of(json!({"name": "a", "on": {}, "steps": []})).unwrap_err();
    assert_eq!(error.to_string(), "`on.verbs` is missing");
}

#[test]
fn a_template_is_bounded() {
    let mut deep = json!("x");
    for _ in 0..17 {
        deep = json!([deep]);
    }
    let many = vec![json!("=1"); 65];
    let wide = vec![json!(0); 600];
    for (activity, problem) in [
        (deep, "nested deeper than 16"),
        (Value::Array(many), "more than 64 expressions"),
        (Value::Array(wide), "more than 512 values"),
    ] {
        let found = wrong(json!([{"id": "a", "effect": "emit", "with": {"activity": activity}}]));
        assert!(found.contains(problem), "{found}");
    }
}

#[test]
fn a_new_behaviour_says_nothing_that_cannot_come_true_and_one_that_is_there_is_read_all_the_same() {
    let effect = |kind: &str, with: Value| json!([{"id": "a", "effect": kind, "with": with}]);
    let suspend = |with: Value| json!([{"id": "a", "suspend": with}]);
    let cases = [
        (
            effect("notify", json!({"text": "=steps.a"})),
            "`steps[0].with.text` names `steps.a`, which is not sure to be done by then",
        ),
        (
            effect(
                "put",
                json!({"key": "k", "value": {"x": ["=has(steps.b) ? 1 : 2"]}}),
            ),
            "`steps[0].with.value.x[0]` names `steps.b`, and there is no such step",
        ),
        (
            json!([notify(), {"id": "b", "after": [], "suspend": {"timer": "=steps.tell"}}]),
            "`steps[1].suspend.timer` names `steps.tell`, which is not sure",
        ),
        (
            json!([{"id": "b", "branch": [{"case": "x", "when": "steps.later"}]}, notify()]),
            "`steps[0].branch[0].when` names `steps.later`, and there is no such step",
        ),
        (
            effect("query", json!({"view": "tags", "limit": 1001})),
            "`steps[0].with.limit` is none of 1 to 1000",
        ),
        (
            effect("query", json!({"view": "tags", "limit": "five"})),
            "`steps[0].with.limit` is none of 1 to 1000",
        ),
        (
            effect("query", json!({"view": "tags", "key": "a", "prefix": "b"})),
            "`steps[0].with.prefix` does not go with `key`",
        ),
        (
            effect("webhook", json!({"url": "127.0.0.1/hook", "body": 1})),
            "`steps[0].with.url` is no URL of a web server",
        ),
        (
            effect("webhook", json!({"url": "ftp://127.0.0.1/hook", "body": 1})),
            "`steps[0].with.url` is no URL of a web server",
        ),
        (
            effect("mail", json!({"to": "bob", "subject": "a", "text": "b"})),
            "`steps[0].with.to` is no mailbox",
        ),
        (
            effect("emit", json!({"activity": {"object": "x"}})),
            "`steps[0].with.activity.type` is missing",
        ),
        (
            effect("emit", json!({"activity": "x"})),
            "`steps[0].with.activity` is no object",
        ),
        (
            suspend(json!({"timer": "3s"})),
            "`steps[0].suspend.timer` is no duration of ISO 8601",
        ),
        (
            suspend(
                json!({"activity": {"verbs": ["Create"], "when": "'x'", "key": "activity.id", "equals": "activity.id"}}),
            ),
            "`steps[0].suspend.activity.when` is neither true nor false",
        ),
        (
            json!([{"id": "b", "branch": [{"case": "x", "when": "size(activity)"}]}]),
            "`steps[0].branch[0].when` is neither true nor false",
        ),
    ];
    for (steps, expected) in cases {
        let problem = wrong(steps.clone());
        assert!(problem.starts_with(expected), "{problem}");
        let mut record = json!({"name": "a", "on": {"verbs": ["Create"]}, "profile": PROFILE});
        record["steps"] = steps;
        let stored = crate::canonical::to_vec(&record).unwrap();
        BehaviourRecord::parse(&stored).unwrap_or_else(|error| panic!("{record}: {error}"));
    }
    let when = json!({"name": "a", "on": {"verbs": ["Create"]}, "when": "'x'", "steps": []});
    let problem = of(when).unwrap_err().to_string();
    assert_eq!(
        problem,
        "`when` is neither true nor false, whatever it is asked of"
    );
    for sound in [
        effect(
            "mail",
            json!({"to": "Bob <bob@example.org>", "subject": "a", "text": "b"}),
        ),
        effect(
            "query",
            json!({"view": "tags", "key": "a", "limit": "=activity.n"}),
        ),
        effect("emit", json!({"activity": "=activity.object"})),
        suspend(json!({"timer": "PT1.5S"})),
    ] {
        read(sound).unwrap();
    }
}
