//! The operators of two values.

use std::cmp::Ordering;

use super::{Failure, Fuel, List, Value, fuel, value};
use crate::predicate::syntax::Operator;

pub(super) fn negate<'v>(value: &Value<'v>) -> Result<Value<'v>, Failure> {
    match value {
        Value::Int(number) => number.checked_neg().map(Value::Int).ok_or(Failure::Overflow),
        other => Err(other.mismatch()),
    }
}

pub(super) fn binary<'v>(
    operator: Operator,
    left: &Value<'v>,
    right: &Value<'v>,
    fuel: &mut Fuel,
) -> Result<Value<'v>, Failure> {
    let mut ordered =
        |is: fn(Ordering) -> bool| value::order(left, right, fuel).map(|order| Value::Bool(is(order)));
    match operator {
        Operator::Less => ordered(Ordering::is_lt),
        Operator::LessOrEqual => ordered(Ordering::is_le),
        Operator::Greater => ordered(Ordering::is_gt),
        Operator::GreaterOrEqual => ordered(Ordering::is_ge),
        Operator::Equal => Ok(Value::Bool(value::equal(left, right, fuel)?)),
        Operator::NotEqual => Ok(Value::Bool(!value::equal(left, right, fuel)?)),
        Operator::In => Ok(Value::Bool(is_in(left, right, fuel)?)),
        Operator::Add => add(left, right, fuel),
        Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Remainder => {
            integers(operator, left, right)
        }
    }
}

/// An element, up to the first that is equal; or a key of a map, which only a text can be.
fn is_in(value: &Value<'_>, within: &Value<'_>, fuel: &mut Fuel) -> Result<bool, Failure> {
    match (value, within) {
        (Value::Opaque(_), _) => Err(Failure::UnsupportedValue),
        (value, Value::List(list)) => {
            for element in list.iter() {
                if value::equal(value, &element, fuel)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (Value::Text(key), Value::Map(map)) => {
            fuel.pay(fuel::text(key.as_str().len()))?;
            Ok(map.get(key.as_str()).is_some())
        }
        (_, Value::Map(_)) => Ok(false),
        (_, other) => Err(other.mismatch()),
    }
}

fn add<'v>(left: &Value<'v>, right: &Value<'v>, fuel: &mut Fuel) -> Result<Value<'v>, Failure> {
    match (left, right) {
        (Value::Text(left), Value::Text(right)) => {
            let (left, right) = (left.as_str(), right.as_str());
            fuel.pay(fuel::text(left.len()).saturating_add(fuel::text(right.len())))?;
            Ok(Value::text([left, right].concat()))
        }
        (Value::List(left), Value::List(right)) => {
            fuel.pay(fuel::count(left.len()).saturating_add(fuel::count(right.len())))?;
            Ok(concatenated(left, right))
        }
        _ => integers(Operator::Add, left, right),
    }
}

fn concatenated<'v>(left: &List<'v>, right: &List<'v>) -> Value<'v> {
    Value::built(left.iter().chain(right.iter()).collect())
}

fn integers<'v>(operator: Operator, left: &Value<'v>, right: &Value<'v>) -> Result<Value<'v>, Failure> {
    let (Value::Int(left), Value::Int(right)) = (left, right) else {
        return Err(value::mismatch(left, right));
    };
    let result = match operator {
        Operator::Divide | Operator::Remainder if *right == 0 => return Err(Failure::DivisionByZero),
        Operator::Divide => left.checked_div(*right),
        Operator::Remainder => left.checked_rem(*right),
        Operator::Subtract => left.checked_sub(*right),
        Operator::Multiply => left.checked_mul(*right),
        _ => left.checked_add(*right),
    };
    result.map(Value::Int).ok_or(Failure::Overflow)
}
