//! From the tree to what is evaluated: names become places, calls become the profile's functions and macros.

mod call;

use super::{
    Field, Scope,
    failure::{Invalid, Refusal},
    scope::Kind,
    syntax::{Chain, Literal, Operator, Shape, Syntax},
};

/// What is evaluated. As deep as the syntax at most.
#[derive(Debug)]
pub(super) enum Node {
    Literal(Literal),
    /// A variable of the scope.
    Variable(usize),
    /// The variable of a macro around: 0 is the outermost's.
    Item(usize),
    Member(Box<Node>, Box<str>, Option<Field>),
    Has(Box<Node>, Box<str>),
    Index(Box<(Node, Node)>),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Not(Box<Node>),
    Negate(Box<Node>),
    Binary(Operator, Box<(Node, Node)>),
    Chain(Chain, Vec<Node>),
    Choose(Box<(Node, Node, Node)>),
    Function(Function, Box<Node>),
    Search(Search, Box<(Node, Node)>),
    /// With its column, for who refuses it by its cost.
    Macro(Macro, Box<(Node, Node)>, u16),
}

/// A function of one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    Timestamp,
    Text,
    Int,
}

/// A function of two texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Search {
    StartsWith,
    EndsWith,
    Contains,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Macro {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

/// Resolves the names of a tree in a scope.
pub(super) fn resolve(tree: &Syntax, scope: &Scope) -> Result<Node, Invalid> {
    let items = Vec::new();
    Resolver { scope, items }.node(tree)
}

struct Resolver<'s> {
    scope: &'s Scope,
    /// The names of the macros around, the outermost first.
    items: Vec<&'s str>,
}

impl<'s> Resolver<'s> {
    fn boxed(&mut self, tree: &'s Syntax) -> Result<Box<Node>, Invalid> {
        Ok(Box::new(self.node(tree)?))
    }

    fn pair(&mut self, (first, second): &'s (Syntax, Syntax)) -> Result<Box<(Node, Node)>, Invalid> {
        Ok(Box::new((self.node(first)?, self.node(second)?)))
    }

    fn all(&mut self, trees: &'s [Syntax]) -> Result<Vec<Node>, Invalid> {
        trees.iter().map(|tree| self.node(tree)).collect()
    }

    fn node(&mut self, tree: &'s Syntax) -> Result<Node, Invalid> {
        Ok(match &tree.shape {
            Shape::Literal(literal) => Node::Literal(literal.clone()),
            Shape::Name(name) => self.name(name, tree)?,
            Shape::Member(of, name) => self.member(of, name)?,
            Shape::Index(pair) => Node::Index(self.pair(pair)?),
            Shape::Call { on, name, arguments } => self.call(tree, on.as_deref(), name, arguments)?,
            Shape::List(elements) => Node::List(self.all(elements)?),
            Shape::Map(entries) => {
                let entries = entries
                    .iter()
                    .map(|(key, value)| Ok((self.node(key)?, self.node(value)?)));
                Node::Map(entries.collect::<Result<_, _>>()?)
            }
            Shape::Not(of) => Node::Not(self.boxed(of)?),
            Shape::Negate(of) => Node::Negate(self.boxed(of)?),
            Shape::Binary(operator, pair) => Node::Binary(*operator, self.pair(pair)?),
            Shape::Chain(chain, operands) => Node::Chain(*chain, self.all(operands)?),
            Shape::Choose(three) => {
                let (condition, chosen, otherwise) = &**three;
                let condition = self.node(condition)?;
                Node::Choose(Box::new((condition, self.node(chosen)?, self.node(otherwise)?)))
            }
        })
    }

    fn name(&self, name: &str, tree: &Syntax) -> Result<Node, Invalid> {
        if let Some(place) = self.items.iter().rposition(|item| *item == name) {
            return Ok(Node::Item(place));
        }
        match self.scope.place(name) {
            Some(place) => Ok(Node::Variable(place)),
            None => refuse(Refusal::UnknownVariable, tree),
        }
    }

    fn member(&mut self, of: &'s Syntax, name: &str) -> Result<Node, Invalid> {
        let of = self.boxed(of)?;
        let field = match (&*of, &self.scope.kind) {
            (Node::Variable(_), Kind::Strict(fields)) => fields.get(name).copied(),
            _ => None,
        };
        Ok(Node::Member(of, name.into(), field))
    }
}

fn refuse<T>(refusal: Refusal, tree: &Syntax) -> Result<T, Invalid> {
    let column = tree.column;
    Err(Invalid { refusal, column })
}
