//! JSON with expressions in it: a text that begins with `=` stands for the value of what follows.

use serde_json::{Map, Value};

use super::super::read::DefinitionError;
use crate::predicate::{Binding, Failure, MAX_BOUND, Program, Scope};

/// Most expressions, most values and deepest nesting of what is said for one effect.
const MAX_EXPRESSIONS: usize = 64;
const MAX_VALUES: usize = 512;
const MAX_DEPTH: usize = 16;
/// What begins an expression. Where a text itself begins so, an expression says it: `='=' + …`.
const MARK: char = '=';

/// A JSON value to be.
#[derive(Debug, Clone)]
pub enum Template {
    Literal(Value),
    Expression(Program),
    List(Vec<Template>),
    Object(Vec<(String, Template)>),
}

/// What may still be said.
#[derive(Debug)]
pub(super) struct Budget {
    expressions: usize,
    values: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            expressions: MAX_EXPRESSIONS,
            values: MAX_VALUES,
        }
    }
}

impl Template {
    pub(super) fn read(
        path: &str,
        value: &Value,
        variables: &[&str],
        budget: &mut Budget,
    ) -> Result<Self, DefinitionError> {
        let scope = Scope::local(variables.iter().copied());
        read(path, value, &scope, budget, MAX_DEPTH)
    }

    /// The text that it is, whatever happens; none: another value, or an expression.
    #[must_use]
    pub fn literal_text(&self) -> Option<&str> {
        match self {
            Self::Literal(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// A member of the object that it is.
    #[must_use]
    pub fn member(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// Its expressions, each with the path that leads there from a path.
    pub(super) fn expressions<'t>(&'t self, path: String, found: &mut Vec<(String, &'t Program)>) {
        match self {
            Self::Literal(_) => {}
            Self::Expression(program) => found.push((path, program)),
            Self::List(items) => {
                for (place, item) in items.iter().enumerate() {
                    item.expressions(format!("{path}[{place}]"), found);
                }
            }
            Self::Object(members) => {
                for (key, value) in members {
                    value.expressions(format!("{path}.{key}"), found);
                }
            }
        }
    }

    /// The value. `bindings` are those of the variables in their order; each expression has a budget of its own. A member or
    /// an element whose value is null stays, as null.
    ///
    /// # Errors
    /// The first [`Failure`] of an expression.
    pub fn evaluate<'v, B: Into<Binding<'v>> + Copy>(&'v self, bindings: &[B]) -> Result<Value, Failure> {
        Ok(match self {
            Self::Literal(value) => value.clone(),
            Self::Expression(program) => program.evaluate(bindings, MAX_BOUND).value?,
            Self::List(items) => {
                let items = items.iter().map(|item| item.evaluate(bindings));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            Self::Object(members) => {
                let members = members.iter();
                let members = members.map(|(key, value)| Ok((key.clone(), value.evaluate(bindings)?)));
                Value::Object(members.collect::<Result<Map<_, _>, Failure>>()?)
            }
        })
    }
}

impl Template {
    /// The key that is not there where [`Self::evaluate`] fails for want of one, if it is one alone.
    pub fn missing_key<'v, B: Into<Binding<'v>> + Copy>(&'v self, bindings: &[B]) -> Option<String> {
        match self {
            Self::Literal(_) => None,
            Self::Expression(program) => program.missing_key(bindings, MAX_BOUND),
            Self::List(items) => items.iter().find_map(|item| item.missing_key(bindings)),
            Self::Object(members) => members.iter().find_map(|(_, value)| value.missing_key(bindings)),
        }
    }
}

fn read(
    path: &str,
    value: &Value,
    scope: &Scope,
    budget: &mut Budget,
    depth: usize,
) -> Result<Template, DefinitionError> {
    let refused = |problem: String| Err(DefinitionError::new(path, problem));
    if budget.values == 0 {
        return refused(format!("is one of more than {MAX_VALUES} values"));
    }
    budget.values -= 1;
    if depth == 0 {
        return refused(format!("is nested deeper than {MAX_DEPTH}"));
    }
    Ok(match value {
        Value::String(text) => match text.strip_prefix(MARK) {
            None => Template::Literal(value.clone()),
            Some(_) if budget.expressions == 0 => {
                return refused(format!("is one of more than {MAX_EXPRESSIONS} expressions"));
            }
            Some(source) => {
                budget.expressions -= 1;
                let program = Program::compile(source, scope);
                Template::Expression(program.map_err(|error| DefinitionError::new(path, error.told(source)))?)
            }
        },
        Value::Array(items) => {
            let items = items.iter().enumerate();
            let items =
                items.map(|(place, item)| read(&format!("{path}[{place}]"), item, scope, budget, depth - 1));
            Template::List(items.collect::<Result<_, _>>()?)
        }
        Value::Object(members) => {
            let members = members.iter().map(|(key, value)| {
                let read = read(&format!("{path}.{key}"), value, scope, budget, depth - 1)?;
                Ok((key.clone(), read))
            });
            Template::Object(members.collect::<Result<_, DefinitionError>>()?)
        }
        _ => Template::Literal(value.clone()),
    })
}
