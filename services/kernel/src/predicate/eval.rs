//! Evaluation: every step is paid before it is done, and goes no deeper than the expression does.

mod macros;
mod operator;

use super::{
    Field,
    failure::Failure,
    fuel::{self, Fuel},
    profile::{Function, Node, Search},
    syntax::Chain,
    value::{self, List, Map, Text, Value},
};

/// A timestamp is read in as many steps as four others.
pub(super) const TIMESTAMP: u64 = 4;
/// Searching reads a text more than once.
pub(super) const CONTAINS: u64 = 2;

/// One evaluation.
pub(super) struct Evaluation<'v> {
    variables: &'v [Value<'v>],
    /// The variables of the macros around, the outermost first.
    items: Vec<Value<'v>>,
    pub(super) fuel: Fuel,
    /// The first two members that were not there, as the expression names them.
    pub(super) missing: Vec<&'v str>,
}

impl<'v> Evaluation<'v> {
    pub(super) fn new(variables: &'v [Value<'v>], budget: u64) -> Self {
        Self {
            variables,
            items: Vec::new(),
            fuel: Fuel::new(budget),
            missing: Vec::new(),
        }
    }

    pub(super) fn value(&mut self, node: &'v Node) -> Result<Value<'v>, Failure> {
        self.fuel.pay(1)?;
        match node {
            Node::Literal(literal) => Ok(literal.into()),
            Node::Variable(place) => self.variables.get(*place).cloned().ok_or(Failure::Unbound),
            Node::Item(place) => self.items.get(*place).cloned().ok_or(Failure::Unbound),
            Node::Member(of, name, field) => self.member(of, name, *field),
            Node::Has(of, name) => Ok(Value::Bool(self.value(of)?.member(name)?.is_some())),
            Node::Index(pair) => self.index(&pair.0, &pair.1),
            Node::List(elements) => self.list(elements),
            Node::Map(entries) => self.map(entries),
            Node::Not(of) => Ok(Value::Bool(!self.boolean(of)?)),
            Node::Negate(of) => operator::negate(&self.value(of)?),
            Node::Binary(operator, pair) => {
                let left = self.value(&pair.0)?;
                let right = self.value(&pair.1)?;
                operator::binary(*operator, &left, &right, &mut self.fuel)
            }
            Node::Chain(chain, operands) => self.chain(*chain, operands),
            Node::Choose(three) => {
                let (condition, chosen, otherwise) = &**three;
                match self.boolean(condition)? {
                    true => self.value(chosen),
                    false => self.value(otherwise),
                }
            }
            Node::Function(function, of) => self.function(*function, of),
            Node::Search(search, pair) => self.search(*search, &pair.0, &pair.1),
            Node::Macro(repeated, pair, _) => self.repeat(*repeated, &pair.0, &pair.1),
        }
    }

    pub(super) fn boolean(&mut self, node: &'v Node) -> Result<bool, Failure> {
        self.value(node)?.boolean()
    }

    fn member(&mut self, of: &'v Node, name: &'v str, field: Option<Field>) -> Result<Value<'v>, Failure> {
        let Some(value) = self.value(of)?.member(name)? else {
            // Whether it is one alone is all that is asked.
            if self.missing.len() < 2 && !self.missing.contains(&name) {
                self.missing.push(name);
            }
            return Err(Failure::NoSuchKey);
        };
        match field {
            Some(field) if field != Field::default() && !is_within(&value, field, &mut self.fuel)? => {
                Err(Failure::LimitViolated)
            }
            _ => Ok(value),
        }
    }

    fn index(&mut self, of: &'v Node, index: &'v Node) -> Result<Value<'v>, Failure> {
        let of = self.value(of)?;
        let index = self.value(index)?;
        match (&of, &index) {
            (Value::List(list), Value::Int(index)) => {
                let element = usize::try_from(*index).ok().and_then(|index| list.get(index));
                element.ok_or(Failure::IndexOutOfRange)
            }
            (Value::Map(map), Value::Text(key)) => {
                self.fuel.pay(fuel::text(key.as_str().len()))?;
                map.get(key.as_str()).ok_or(Failure::NoSuchKey)
            }
            _ => Err(value::mismatch(&of, &index)),
        }
    }

    fn list(&mut self, elements: &'v [Node]) -> Result<Value<'v>, Failure> {
        self.fuel.pay(fuel::count(elements.len()))?;
        let elements: Result<Vec<_>, _> = elements.iter().map(|element| self.value(element)).collect();
        Ok(Value::built(elements?))
    }

    fn map(&mut self, entries: &'v [(Node, Node)]) -> Result<Value<'v>, Failure> {
        let mut built: Vec<(Text<'v>, Value<'v>)> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let key = match self.value(key)? {
                Value::Text(key) => key,
                other => return Err(other.mismatch()),
            };
            let value = self.value(value)?;
            self.fuel.pay(fuel::text(key.as_str().len()).saturating_add(1))?;
            match built.binary_search_by(|(known, _)| known.as_str().cmp(key.as_str())) {
                Ok(_) => return Err(Failure::DuplicateKey),
                Err(place) => built.insert(place, (key, value)),
            }
        }
        Ok(Value::Map(Map::Built(built.into())))
    }

    /// The operand that decides hides the failures of the others, wherever they stand (CEL, "Logical Operators").
    fn chain(&mut self, chain: Chain, operands: &'v [Node]) -> Result<Value<'v>, Failure> {
        let mut verdict = Absorbing::new(chain == Chain::Or);
        for operand in operands {
            if verdict.is_decided_by(self.boolean(operand))? {
                break;
            }
        }
        verdict.end()
    }

    fn function(&mut self, function: Function, of: &'v Node) -> Result<Value<'v>, Failure> {
        let of = self.value(of)?;
        match (function, &of) {
            (Function::Size, Value::Text(text)) => {
                self.fuel.pay(fuel::text(text.as_str().len()))?;
                Ok(length(text.as_str().chars().count()))
            }
            (Function::Size, Value::List(list)) => Ok(length(list.len())),
            (Function::Size, Value::Map(map)) => Ok(length(map.len())),
            (Function::Timestamp, Value::Text(text)) => {
                self.fuel.pay(TIMESTAMP)?;
                value::timestamp(text.as_str())
            }
            (Function::Text, Value::Int(number)) => {
                self.fuel.pay(1)?;
                Ok(Value::text(number.to_string()))
            }
            (Function::Int, Value::Text(text)) => {
                self.fuel.pay(fuel::text(text.as_str().len()))?;
                let number = text.as_str().parse().map_err(|_| Failure::InvalidInteger)?;
                Ok(Value::Int(number))
            }
            _ => Err(of.mismatch()),
        }
    }

    fn search(&mut self, search: Search, text: &'v Node, part: &'v Node) -> Result<Value<'v>, Failure> {
        let text = self.value(text)?;
        let part = self.value(part)?;
        let (Value::Text(text), Value::Text(part)) = (&text, &part) else {
            return Err(value::mismatch(&text, &part));
        };
        let (text, part) = (text.as_str(), part.as_str());
        let units = match search {
            Search::StartsWith | Search::EndsWith => fuel::text(part.len().min(text.len())),
            Search::Contains => CONTAINS.saturating_mul(fuel::text(text.len()) + fuel::text(part.len())),
        };
        self.fuel.pay(units)?;
        Ok(Value::Bool(match search {
            Search::StartsWith => text.starts_with(part),
            Search::EndsWith => text.ends_with(part),
            Search::Contains => text.contains(part),
        }))
    }
}

/// The verdict of `&&` and `all`, which false decides, or of `||` and `exists`, which true decides.
struct Absorbing {
    decisive: bool,
    decided: bool,
    failure: Option<Failure>,
}

impl Absorbing {
    fn new(decisive: bool) -> Self {
        Self {
            decisive,
            decided: false,
            failure: None,
        }
    }

    fn is_decided_by(&mut self, operand: Result<bool, Failure>) -> Result<bool, Failure> {
        match operand {
            Ok(value) => self.decided = value == self.decisive,
            Err(Failure::BudgetExceeded) => return Err(Failure::BudgetExceeded),
            Err(failure) => self.failure = self.failure.or(Some(failure)),
        }
        Ok(self.decided)
    }

    /// Undecided, the first failure.
    fn end<'v>(self) -> Result<Value<'v>, Failure> {
        match self.failure {
            Some(failure) if !self.decided => Err(failure),
            _ => Ok(Value::Bool(self.decided == self.decisive)),
        }
    }
}

fn length<'v>(elements: usize) -> Value<'v> {
    Value::Int(i64::try_from(elements).unwrap_or(i64::MAX))
}

/// Whether a field is as small as it is declared, as far as costs go.
fn is_within(value: &Value<'_>, field: Field, fuel: &mut Fuel) -> Result<bool, Failure> {
    let few = |items: usize| {
        field
            .max_items
            .is_some_and(|limit| fuel::count(items) <= limit.into())
    };
    Ok(match value {
        Value::List(list) if field.max_length.is_some() && few(list.len()) => {
            fuel.pay(fuel::count(list.len()))?;
            list.iter().all(|element| is_short(&element, field))
        }
        Value::List(list) if field.max_length.is_none() => few(list.len()),
        Value::Map(map) if field.max_length.is_none() => few(map.len()),
        other => is_short(other, field),
    })
}

/// A text of the declared length; or something that has none.
fn is_short(value: &Value<'_>, field: Field) -> bool {
    let limit = field.max_length.map(|length| u64::from(length) * 4);
    match value {
        Value::Text(text) => limit.is_none_or(|limit| fuel::count(text.as_str().len()) <= limit),
        Value::List(_) | Value::Map(_) => false,
        _ => true,
    }
}

/// What a macro goes over: a list's elements, a map's keys in the order of their bytes.
fn range<'v>(value: Value<'v>, fuel: &mut Fuel) -> Result<List<'v>, Failure> {
    match value {
        Value::List(list) => Ok(list),
        Value::Map(map) => {
            fuel.pay(fuel::count(map.len()))?;
            let keys = map.sorted().into_iter().map(|(key, _)| Value::Text(key));
            Ok(List::Built(keys.collect::<Vec<_>>().into()))
        }
        other => Err(other.mismatch()),
    }
}
