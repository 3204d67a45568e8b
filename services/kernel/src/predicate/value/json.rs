//! Results as JSON.

use serde_json::{Number, Value as Json};

use super::Value;
use crate::{
    json::{MAX_DEPTH, MAX_INTEGER},
    predicate::{
        failure::Failure,
        fuel::{self, Fuel},
    },
};

/// Pays the weight of `value`, part by part before each is copied.
pub(super) fn copy(value: &Value<'_>, fuel: &mut Fuel, depth: usize) -> Result<Json, Failure> {
    if let Value::Text(text) = value {
        return copy_text(text.as_str(), fuel).map(Json::String);
    }
    fuel.pay(1)?;
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(number) if number.unsigned_abs() > MAX_INTEGER => return Err(Failure::Overflow),
        Value::Int(number) => Json::Number(Number::from(*number)),
        Value::Opaque(number) => Json::Number((*number).clone()),
        Value::Text(text) => Json::String(text.as_str().to_owned()),
        Value::Time(time) => Json::String(format!("{time}Z")),
        Value::List(_) | Value::Map(_) if depth >= MAX_DEPTH => return Err(Failure::TooNested),
        Value::List(list) => {
            let elements = list.iter().map(|element| copy(&element, fuel, depth + 1));
            Json::Array(elements.collect::<Result<_, _>>()?)
        }
        Value::Map(map) => {
            let mut members = serde_json::Map::new();
            fuel.pay(fuel::count(map.len()))?;
            for (key, value) in map.sorted() {
                let key = copy_text(key.as_str(), fuel)?;
                members.insert(key, copy(&value, fuel, depth + 1)?);
            }
            Json::Object(members)
        }
    })
}

fn copy_text(text: &str, fuel: &mut Fuel) -> Result<String, Failure> {
    fuel.pay(fuel::text(text.len()))?;
    Ok(text.to_owned())
}
