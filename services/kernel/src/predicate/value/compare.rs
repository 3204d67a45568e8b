//! Equality and order, paid for as they go.
//!
//! Equality visits every pair of values that lies at the same place, in lists of one length and maps of one size, even
//! where an earlier pair has decided: so its cost does not depend on the order in which a map keeps its members.

use std::cmp::Ordering;

use super::{List, Map, Value, mismatch};
use crate::predicate::{
    MAX_NESTING,
    failure::Failure,
    fuel::{self, Fuel},
};

/// Whether two values are equal. Values of different kinds are not.
pub(in crate::predicate) fn equal(
    left: &Value<'_>,
    right: &Value<'_>,
    fuel: &mut Fuel,
) -> Result<bool, Failure> {
    let mut pairs = Pairs {
        fuel,
        unsupported: false,
        too_nested: false,
    };
    let equal = pairs.equal(left, right, 0)?;
    match (pairs.too_nested, pairs.unsupported) {
        (true, _) => Err(Failure::TooNested),
        (_, true) => Err(Failure::UnsupportedValue),
        _ => Ok(equal),
    }
}

/// How two values of one ordered kind stand: texts by code points.
pub(in crate::predicate) fn order(
    left: &Value<'_>,
    right: &Value<'_>,
    fuel: &mut Fuel,
) -> Result<Ordering, Failure> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Ok(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Ok(left.cmp(right)),
        (Value::Time(left), Value::Time(right)) => Ok(left.cmp(right)),
        (Value::Text(left), Value::Text(right)) => {
            let (left, right) = (left.as_str(), right.as_str());
            fuel.pay(fuel::text(left.len().min(right.len())))?;
            Ok(left.cmp(right))
        }
        _ => Err(mismatch(left, right)),
    }
}

struct Pairs<'f> {
    fuel: &'f mut Fuel,
    /// Failures are kept to the end: which is met first would depend on the members' order.
    unsupported: bool,
    too_nested: bool,
}

impl Pairs<'_> {
    /// Fails over budget alone.
    fn equal(&mut self, left: &Value<'_>, right: &Value<'_>, depth: usize) -> Result<bool, Failure> {
        match (left, right) {
            (Value::Text(left), Value::Text(right)) => return self.texts(left.as_str(), right.as_str()),
            (Value::List(left), Value::List(right)) => return self.lists(left, right, depth),
            (Value::Map(left), Value::Map(right)) => return self.maps(left, right, depth),
            _ => self.fuel.pay(1)?,
        }
        Ok(match (left, right) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(left), Value::Bool(right)) => left == right,
            (Value::Int(left), Value::Int(right)) => left == right,
            (Value::Time(left), Value::Time(right)) => left == right,
            (Value::Opaque(_), _) | (_, Value::Opaque(_)) => {
                self.unsupported = true;
                false
            }
            _ => false,
        })
    }

    fn texts(&mut self, left: &str, right: &str) -> Result<bool, Failure> {
        self.fuel.pay(fuel::text(left.len().min(right.len())))?;
        Ok(left == right)
    }

    fn goes_deeper(&mut self, depth: usize) -> bool {
        self.too_nested |= depth >= MAX_NESTING;
        depth < MAX_NESTING
    }

    fn lists(&mut self, left: &List<'_>, right: &List<'_>, depth: usize) -> Result<bool, Failure> {
        self.fuel.pay(1)?;
        if left.len() != right.len() || !self.goes_deeper(depth) {
            return Ok(false);
        }
        let mut equal = true;
        for (left, right) in left.iter().zip(right.iter()) {
            equal &= self.equal(&left, &right, depth + 1)?;
        }
        Ok(equal)
    }

    fn maps(&mut self, left: &Map<'_>, right: &Map<'_>, depth: usize) -> Result<bool, Failure> {
        self.fuel.pay(1)?;
        if left.len() != right.len() || !self.goes_deeper(depth) {
            return Ok(false);
        }
        // Sorting is paid for before it is done, and the pairs for themselves.
        self.fuel.pay(fuel::count(left.len()))?;
        let mut equal = true;
        for ((left_key, left), (right_key, right)) in left.sorted().into_iter().zip(right.sorted()) {
            let same = self.texts(left_key.as_str(), right_key.as_str())?;
            equal &= same && self.equal(&left, &right, depth + 1)?;
        }
        Ok(equal)
    }
}
