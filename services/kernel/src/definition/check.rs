//! Whether a document fits its records. A verdict names the rule and the value's shape, and nothing of its content.

use std::fmt;

use serde_json::{Map, Value};

use super::schema::{Refinement, Schema};
use crate::predicate::{MAX_BOUND, Verdict};

/// The rule that a document breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// The field of that name.
    Field(String),
    /// The refinement.
    Refinement,
}

/// A document breaks a rule of a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule} of `{record}` {problem}")]
pub struct Violation {
    /// The record's name.
    pub record: String,
    pub rule: Rule,
    /// `has 300 characters, at most 200 are admitted`
    pub problem: String,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, "the field `{name}`"),
            Self::Refinement => f.write_str("the refinement"),
        }
    }
}

/// Checks a document against a record's schema: its fields in their order, then its refinement.
///
/// # Errors
/// The first [`Violation`].
pub fn check(document: &Map<String, Value>, record: &str, schema: &Schema) -> Result<(), Violation> {
    let violation = |rule, problem| Violation {
        record: record.to_owned(),
        rule,
        problem,
    };
    for field in &schema.fields {
        let problem = match document.get(&field.name) {
            None if field.required => Some("is missing".to_owned()),
            None => None,
            Some(value) => field.problem(value),
        };
        if let Some(problem) = problem {
            return Err(violation(Rule::Field(field.name.clone()), problem));
        }
    }
    let problem = schema
        .refinement
        .as_ref()
        .and_then(|refinement| unmet(refinement, document));
    match problem {
        Some(problem) => Err(violation(Rule::Refinement, problem)),
        None => Ok(()),
    }
}

fn unmet(refinement: &Refinement, document: &Map<String, Value>) -> Option<String> {
    match refinement.program.decide_object(document, MAX_BOUND).verdict {
        Verdict::True => None,
        Verdict::False => Some("is not true of it".to_owned()),
        Verdict::Failed(failure) => Some(format!("fails: {failure}")),
    }
}
