//! The tree that the parser builds. Names mean nothing yet: see [`profile`](super::profile).

/// One node, and how deep what it stands on is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Syntax {
    pub(super) shape: Shape,
    /// Characters from 1.
    pub(super) column: u16,
    /// A literal and a name have 1; everything else, a pair of parentheses too, has one more than its deepest operand.
    pub(super) depth: u8,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    Literal(Literal),
    Name(Box<str>),
    Member(Box<Syntax>, Box<str>),
    Index(Box<(Syntax, Syntax)>),
    Call {
        on: Option<Box<Syntax>>,
        name: Box<str>,
        arguments: Vec<Syntax>,
    },
    List(Vec<Syntax>),
    Map(Vec<(Syntax, Syntax)>),
    Not(Box<Syntax>),
    Negate(Box<Syntax>),
    Binary(Operator, Box<(Syntax, Syntax)>),
    /// `a && b && c` is one node of three operands, and no deeper than one of two.
    Chain(Chain, Vec<Syntax>),
    Choose(Box<(Syntax, Syntax, Syntax)>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Text(Box<str>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chain {
    And,
    Or,
}
