//! Recursive descent over CEL's grammar. Every way down counts one of [`MAX_DEPTH`], and so does every way up a chain of
//! operators, members or calls: neither parsing nor dropping the tree needs more of the stack than that.

mod primary;

use super::{
    MAX_DEPTH, MAX_NODES, MAX_SOURCE,
    failure::{Invalid, Refusal},
    lexer::{self, Token, Word},
    syntax::{Chain, Literal, Operator, Shape, Syntax},
};

/// The operators that read from left to right, the loosest first.
const LEVELS: [&[(&str, Operator)]; 3] = [
    &[
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("<", Operator::Less),
        ("<=", Operator::LessOrEqual),
        (">", Operator::Greater),
        (">=", Operator::GreaterOrEqual),
        ("in", Operator::In),
    ],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[
        ("*", Operator::Multiply),
        ("/", Operator::Divide),
        ("%", Operator::Remainder),
    ],
];

/// The tree of a source.
pub(super) fn parse(source: &str) -> Result<Syntax, Invalid> {
    if source.len() > MAX_SOURCE {
        return Err(Invalid {
            refusal: Refusal::TooLong,
            column: 1,
        });
    }
    let mut parser = Parser {
        tokens: lexer::tokens(source)?.into_iter().peekable(),
        column: 1,
        open: 0,
        nodes: 0,
    };
    let tree = parser.expression()?;
    match parser.peek() {
        Word::End => Ok(tree),
        _ => parser.refuse(Refusal::Syntax),
    }
}

struct Parser<'s> {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token<'s>>>,
    /// Of the last word asked for.
    column: u16,
    /// How many expressions are being read within one another.
    open: u8,
    nodes: usize,
}

impl<'s> Parser<'s> {
    fn refuse<T>(&self, refusal: Refusal) -> Result<T, Invalid> {
        let column = self.column;
        Err(Invalid { refusal, column })
    }

    fn peek(&mut self) -> &Word<'s> {
        match self.tokens.peek() {
            Some(token) => {
                self.column = token.column;
                &token.word
            }
            None => &Word::End,
        }
    }

    fn next(&mut self) -> Word<'s> {
        match self.tokens.next() {
            Some(token) => {
                self.column = token.column;
                token.word
            }
            None => Word::End,
        }
    }

    fn sees(&mut self, symbol: &str) -> bool {
        matches!(self.peek(), Word::Symbol(seen) if *seen == symbol)
    }

    fn takes(&mut self, symbol: &str) -> bool {
        let sees = self.sees(symbol);
        if sees {
            self.next();
        }
        sees
    }

    fn expect(&mut self, symbol: &str) -> Result<(), Invalid> {
        if self.takes(symbol) {
            return Ok(());
        }
        self.refuse(Refusal::Syntax)
    }

    /// A node over operands of which the deepest has `below`.
    fn node(&mut self, shape: Shape, column: u16, below: u8) -> Result<Syntax, Invalid> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Invalid {
                refusal: Refusal::TooManyNodes,
                column,
            });
        }
        let depth = deeper(below, column)?;
        Ok(Syntax { shape, column, depth })
    }

    /// Reads what lies within something: it will be one deeper, which is all that is known of it yet.
    fn within<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Invalid>) -> Result<T, Invalid> {
        if usize::from(self.open) + 1 >= MAX_DEPTH {
            return self.refuse(Refusal::TooDeep);
        }
        self.open += 1;
        let inner = read(self);
        self.open -= 1;
        inner
    }

    fn expression(&mut self) -> Result<Syntax, Invalid> {
        let condition = self.chain(Chain::Or)?;
        if !self.takes("?") {
            return Ok(condition);
        }
        let column = self.column;
        let chosen = self.within(|parser| parser.chain(Chain::Or))?;
        self.expect(":")?;
        let otherwise = self.within(Self::expression)?;
        let below = condition.depth.max(chosen.depth).max(otherwise.depth);
        self.node(
            Shape::Choose(Box::new((condition, chosen, otherwise))),
            column,
            below,
        )
    }

    fn chain(&mut self, chain: Chain) -> Result<Syntax, Invalid> {
        let symbol = match chain {
            Chain::Or => "||",
            Chain::And => "&&",
        };
        let first = self.chained(chain)?;
        if !self.sees(symbol) {
            return Ok(first);
        }
        let column = self.column;
        let mut below = first.depth;
        let mut operands = vec![first];
        while self.takes(symbol) {
            let operand = self.chained(chain)?;
            below = below.max(operand.depth);
            operands.push(operand);
        }
        self.node(Shape::Chain(chain, operands), column, below)
    }

    fn chained(&mut self, chain: Chain) -> Result<Syntax, Invalid> {
        match chain {
            Chain::Or => self.chain(Chain::And),
            Chain::And => self.binary(&LEVELS),
        }
    }

    fn binary(&mut self, levels: &[&[(&str, Operator)]]) -> Result<Syntax, Invalid> {
        let Some((level, tighter)) = levels.split_first() else {
            return self.unary();
        };
        let mut left = self.binary(tighter)?;
        while let Some(operator) = self.operator(level) {
            let column = self.column;
            let right = self.binary(tighter)?;
            let below = left.depth.max(right.depth);
            left = self.node(Shape::Binary(operator, Box::new((left, right))), column, below)?;
        }
        Ok(left)
    }

    fn operator(&mut self, level: &[(&str, Operator)]) -> Option<Operator> {
        let (Word::Symbol(seen) | Word::Name(seen)) = *self.peek() else {
            return None;
        };
        let (_, operator) = level.iter().find(|(symbol, _)| *symbol == seen)?;
        self.next();
        Some(*operator)
    }

    /// `!` and `-` are repeated, never mixed: so CEL's grammar has it.
    fn unary(&mut self) -> Result<Syntax, Invalid> {
        if self.takes("!") {
            let column = self.column;
            let operand = self.within(|parser| match parser.sees("!") {
                true => parser.unary(),
                false => parser.member(),
            })?;
            let below = operand.depth;
            return self.node(Shape::Not(Box::new(operand)), column, below);
        }
        self.negated()
    }

    /// A minus before digits belongs to the literal, or the least integer could not be written.
    fn negated(&mut self) -> Result<Syntax, Invalid> {
        if !self.takes("-") {
            return self.member();
        }
        let column = self.column;
        if let Word::Int(magnitude) = *self.peek() {
            self.next();
            return self.negative(magnitude, column);
        }
        let operand = self.within(Self::negated)?;
        let below = operand.depth;
        self.node(Shape::Negate(Box::new(operand)), column, below)
    }

    fn negative(&mut self, magnitude: u64, column: u16) -> Result<Syntax, Invalid> {
        let Some(number) = 0_i64.checked_sub_unsigned(magnitude) else {
            return self.refuse(Refusal::IntegerRange);
        };
        let literal = self.node(Shape::Literal(Literal::Int(number)), column, 0)?;
        self.members(literal)
    }
}

/// One more than `below`.
fn deeper(below: u8, column: u16) -> Result<u8, Invalid> {
    if usize::from(below) >= MAX_DEPTH {
        return Err(Invalid {
            refusal: Refusal::TooDeep,
            column,
        });
    }
    Ok(below + 1)
}
