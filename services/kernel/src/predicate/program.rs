//! An expression, compiled once and evaluated often.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Map, Value as Json};

use super::{
    MAX_BOUND, Scope, cost,
    eval::Evaluation,
    failure::{Failure, Invalid, Refusal},
    parser,
    profile::{self, Node},
    scope::Kind,
    uses,
    value::{self, Value},
};

/// A compiled expression. A clone shares it.
#[derive(Debug, Clone)]
pub struct Program {
    root: Arc<Node>,
    bound: Option<u64>,
}

/// What a variable stands for.
#[derive(Debug, Clone, Copy)]
pub enum Binding<'v> {
    Json(&'v Json),
    /// The members of an object.
    Object(&'v Map<String, Json>),
}

impl<'v> From<&'v Json> for Binding<'v> {
    fn from(json: &'v Json) -> Self {
        Self::Json(json)
    }
}

/// What a predicate says of its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    True,
    False,
    Failed(Failure),
}

/// A verdict and its price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decided {
    pub verdict: Verdict,
    /// Units, never more than the budget; over budget, the budget.
    pub cost: u64,
}

/// A value, or why there is none, and its price.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    pub value: Result<Json, Failure>,
    /// Units, never more than the budget; over budget, the budget.
    pub cost: u64,
}

impl Program {
    /// Reads an expression of the profile.
    ///
    /// # Errors
    /// [`Invalid`]: not in the profile, too large, or, in strict scope, without a bound or with one above
    /// [`MAX_BOUND`].
    pub fn compile(source: &str, scope: &Scope) -> Result<Self, Invalid> {
        let tree = parser::parse(source)?;
        let root = profile::resolve(&tree, scope)?;
        let bound = match scope.kind {
            Kind::Local => None,
            Kind::Strict(_) => Some(cost::bound(&root)?),
        };
        if bound.is_some_and(|bound| bound > MAX_BOUND) {
            return Err(Invalid {
                refusal: Refusal::CostLimit,
                column: tree.column,
            });
        }
        let root = Arc::new(root);
        Ok(Self { root, bound })
    }

    /// In strict scope, the most that [`decide`](Self::decide) costs of any object that [`crate::json::parse`] reads. Units.
    #[must_use]
    pub fn bound(&self) -> Option<u64> {
        self.bound
    }

    /// The names of the members of a variable, by its place in the scope, that it reads or asks for with `has`, as far as it says
    /// them itself.
    #[must_use]
    pub fn members_of(&self, variable: usize) -> BTreeSet<&str> {
        uses::members(&self.root, variable)
    }

    /// Whether it could be true or false, by its form: `'x'` and `1 + a` could not.
    #[must_use]
    pub fn may_be_boolean(&self) -> bool {
        uses::may_be_boolean(&self.root)
    }

    /// Asks the predicate. `bindings` are the values of the scope's variables in their order; `budget` is in units.
    #[must_use]
    pub fn decide<'v, B: Into<Binding<'v>> + Copy>(&'v self, bindings: &[B], budget: u64) -> Decided {
        self.decided(&values(bindings), budget)
    }

    /// Asks a predicate with the one variable, of an object's members.
    #[must_use]
    pub fn decide_object(&self, object: &Map<String, Json>, budget: u64) -> Decided {
        self.decided(&[Value::from(object)], budget)
    }

    fn decided<'v>(&'v self, values: &'v [Value<'v>], budget: u64) -> Decided {
        let mut evaluation = Evaluation::new(values, budget);
        let verdict = match evaluation.boolean(&self.root) {
            Ok(true) => Verdict::True,
            Ok(false) => Verdict::False,
            Err(failure) => Verdict::Failed(failure),
        };
        let cost = evaluation.fuel.spent();
        Decided { verdict, cost }
    }

    /// Evaluates to JSON; timestamps become RFC 3339 texts in UTC. Besides what [`decide`](Self::decide) costs, the
    /// result costs what it weighs.
    #[must_use]
    pub fn evaluate<'v, B: Into<Binding<'v>> + Copy>(&'v self, bindings: &[B], budget: u64) -> Evaluated {
        let values = values(bindings);
        let mut evaluation = Evaluation::new(&values, budget);
        let value = evaluation
            .value(&self.root)
            .and_then(|value| value::to_json(&value, &mut evaluation.fuel));
        let cost = evaluation.fuel.spent();
        Evaluated { value, cost }
    }

    /// The member that is not there where [`evaluate`](Self::evaluate) fails for want of one; none where it does not, or where
    /// several were looked for. It is a name of the expression's own, and tells nothing of the values.
    #[must_use]
    pub fn missing_key<'v, B: Into<Binding<'v>> + Copy>(
        &'v self,
        bindings: &[B],
        budget: u64,
    ) -> Option<String> {
        let values = values(bindings);
        let mut evaluation = Evaluation::new(&values, budget);
        let failed = matches!(evaluation.value(&self.root), Err(Failure::NoSuchKey));
        match evaluation.missing.as_slice() {
            [one] if failed => Some((*one).to_owned()),
            _ => None,
        }
    }
}

fn values<'v, B: Into<Binding<'v>> + Copy>(bindings: &[B]) -> Vec<Value<'v>> {
    let value = |binding: &B| match (*binding).into() {
        Binding::Json(json) => Value::from(json),
        Binding::Object(members) => Value::from(members),
    };
    bindings.iter().map(value).collect()
}
