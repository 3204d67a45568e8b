//! The `cel` crate's opinion. It is asked only what the profile has bounded, on a thread with room for its recursion.

use std::{cell::Cell, collections::HashMap, sync::Arc, thread};

use cel::{Context, Value, objects::Key};
use fedsx_kernel::predicate::{Program, Scope};
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Map, Value as Json, json};

use crate::{generated, laws, typed, vectors};

/// What `cel` is asked costs no more here. Units.
const BUDGET: u64 = 20_000;
const STACK: usize = 512 << 20;

/// Where the two part, and why.
///
/// * `cel` 0.15 reads `timestamp` by chrono, which takes what RFC 3339 does not have, such as a leap second.
/// * CEL leaves the order of a map's keys open, and what hangs on it `cel` answers now so and now so; the profile sorts them.
fn is_known(source: &str, variables: &[(&str, &Json)]) -> bool {
    let answer = || theirs(source, variables).ok().as_ref().and_then(json);
    let first = answer();
    source.contains("timestamp(") || (0..100).any(|_| answer() != first)
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(number),
            None => Value::Float(number.as_f64().unwrap()),
        },
        Json::String(text) => Value::String(Arc::new(text.clone())),
        Json::Array(elements) => Value::List(Arc::new(elements.iter().map(value).collect())),
        Json::Object(members) => {
            let member = |(name, json): (&String, &Json)| (Key::from(name.clone()), value(json));
            Value::Map(members.iter().map(member).collect::<HashMap<_, _>>().into())
        }
    }
}

/// `None` where the other implementation has something else or ends in a failure.
fn json(value: &Value) -> Option<Json> {
    Some(match value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Int(number) => json!(number),
        Value::String(text) => json!(**text),
        Value::List(elements) => Json::Array(elements.iter().map(json).collect::<Option<_>>()?),
        Value::Map(map) => {
            let member = |(key, value): (&Key, &Value)| match key {
                Key::String(name) => Some(((**name).clone(), json(value)?)),
                _ => None,
            };
            Json::Object(map.map.iter().map(member).collect::<Option<Map<_, _>>>()?)
        }
        _ => return None,
    })
}

fn theirs(source: &str, variables: &[(&str, &Json)]) -> Result<Value, String> {
    let program = cel::Program::compile(source).map_err(|error| format!("{error:?}"))?;
    let mut context = Context::default();
    for (name, json) in variables {
        context.add_variable_from_value(*name, value(json));
    }
    program.execute(&context).map_err(|error| error.to_string())
}

/// Both answers, where there are two.
fn answers(source: &str, variables: &[(&str, &Json)]) -> Option<(Json, Json)> {
    let names = variables.iter().map(|(name, _)| *name);
    let program = Program::compile(source, &Scope::local(names)).ok()?;
    let bindings: Vec<&Json> = variables.iter().map(|(_, json)| *json).collect();
    let ours = program.evaluate(&bindings, BUDGET).value.ok()?;
    let theirs = json(&theirs(source, variables).ok()?)?;
    Some((ours, theirs))
}

fn with_room(test: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().stack_size(STACK).spawn(test).unwrap();
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn both_answer_the_vectors_alike() {
    with_room(|| {
        let mut answered = 0;
        for row in vectors::read() {
            let source = row["expression"].as_str().unwrap();
            let empty = json!({});
            let variables: Vec<(&str, &Json)> = match row.get("variables").and_then(Json::as_object) {
                Some(variables) => variables
                    .iter()
                    .map(|(name, json)| (name.as_str(), json))
                    .collect(),
                None => vec![("object", row.get("object").unwrap_or(&empty))],
            };
            if let Some((ours, theirs)) = answers(source, &variables) {
                answered += 1;
                assert!(
                    ours == theirs || is_known(source, &variables),
                    "{source}: {ours}, they have {theirs}"
                );
            }
        }
        assert!(answered > 100, "{answered}");
    });
}

/// How many of the cases both answered.
fn agree(cases: u32, case: impl Strategy<Value = (String, Json)>) -> u32 {
    let answered = Cell::new(0);
    let tried = TestRunner::new(laws::cases(cases)).run(&case, |(source, object)| {
        if let Some((ours, theirs)) = answers(&source, &[("object", &object)]) {
            answered.set(answered.get() + 1);
            let agreed = ours == theirs || is_known(&source, &[("object", &object)]);
            prop_assert!(agreed, "{source}: {ours}, they have {theirs}");
        }
        Ok(())
    });
    tried.unwrap();
    answered.get()
}

#[test]
fn both_answer_what_is_generated_alike() {
    with_room(|| {
        agree(512, (generated::expression(), generated::object()));
    });
}

#[test]
fn both_answer_what_has_types_alike() {
    with_room(|| {
        let any = prop_oneof![
            typed::boolean(3),
            typed::integer(3),
            typed::text(3),
            typed::list(3)
        ];
        let answered = agree(512, (any, typed::object()));
        assert!(answered > 100, "{answered}");
    });
}
