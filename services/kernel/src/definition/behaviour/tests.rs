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
    assert!(record.step("hold").unwrap().is_durable());
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
            "`steps[0].with.text` column 1: unknown_variable",
        ),
        (
            json!([{"id": "a", "effect": "emit", "with": {"activity": {"to": ["a", "=1 +"]}}}]),
            "`steps[0].with.activity.to[1]` column",
        ),
        (
            json!([{"id": "a", "effect": "put", "with": {"key": "=current", "value": "=current"}}]),
            "`steps[0].with.key` column 1: unknown_variable",
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
