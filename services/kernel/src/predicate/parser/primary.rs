//! What operators stand between: literals, names, parentheses, members, indices and calls.

use super::{Invalid, Literal, Parser, Refusal, Shape, Syntax, Word, deeper, lexer};

impl Parser<'_> {
    pub(super) fn member(&mut self) -> Result<Syntax, Invalid> {
        let primary = self.primary()?;
        self.members(primary)
    }

    /// What stands on `of` by dots and brackets.
    pub(super) fn members(&mut self, mut of: Syntax) -> Result<Syntax, Invalid> {
        loop {
            if self.takes(".") {
                let column = self.column;
                let name = self.selector()?;
                of = match self.takes("(") {
                    true => self.call(Some(of), &name, column)?,
                    false => {
                        let below = of.depth;
                        self.node(Shape::Member(Box::new(of), name), column, below)?
                    }
                };
            } else if self.takes("[") {
                let column = self.column;
                let index = self.within(Self::expression)?;
                self.expect("]")?;
                let below = of.depth.max(index.depth);
                of = self.node(Shape::Index(Box::new((of, index))), column, below)?;
            } else {
                return Ok(of);
            }
        }
    }

    /// A reserved name may stand after a dot, a keyword may not.
    fn selector(&mut self) -> Result<Box<str>, Invalid> {
        match self.next() {
            Word::Name(name) if !lexer::is_keyword(name) => Ok(name.into()),
            _ => self.refuse(Refusal::Syntax),
        }
    }

    fn call(&mut self, on: Option<Syntax>, name: &str, column: u16) -> Result<Syntax, Invalid> {
        let mut below = on.as_ref().map_or(0, |on| on.depth);
        let mut arguments = Vec::new();
        if !self.takes(")") {
            loop {
                let argument = self.within(Self::expression)?;
                below = below.max(argument.depth);
                arguments.push(argument);
                if !self.takes(",") {
                    break;
                }
            }
            self.expect(")")?;
        }
        let on = on.map(Box::new);
        let name = name.into();
        self.node(Shape::Call { on, name, arguments }, column, below)
    }

    fn primary(&mut self) -> Result<Syntax, Invalid> {
        let word = self.next();
        let column = self.column;
        let literal = match word {
            Word::Name("true") => Literal::Bool(true),
            Word::Name("false") => Literal::Bool(false),
            Word::Name("null") => Literal::Null,
            Word::Int(magnitude) => match i64::try_from(magnitude) {
                Ok(number) => Literal::Int(number),
                Err(_) => return self.refuse(Refusal::IntegerRange),
            },
            Word::Text(text) => Literal::Text(text),
            Word::Name(name) => return self.name(name, column),
            Word::Symbol("(") => return self.parentheses(column),
            Word::Symbol("[") => return self.list(column),
            Word::Symbol("{") => return self.map(column),
            Word::Symbol(_) | Word::End => return self.refuse(Refusal::Syntax),
        };
        self.node(Shape::Literal(literal), column, 0)
    }

    fn name(&mut self, name: &str, column: u16) -> Result<Syntax, Invalid> {
        if lexer::is_keyword(name) || lexer::is_reserved(name) {
            return self.refuse(Refusal::Syntax);
        }
        if self.takes("(") {
            return self.call(None, name, column);
        }
        self.node(Shape::Name(name.into()), column, 0)
    }

    fn parentheses(&mut self, column: u16) -> Result<Syntax, Invalid> {
        let mut inner = self.within(Self::expression)?;
        self.expect(")")?;
        inner.depth = deeper(inner.depth, column)?;
        Ok(inner)
    }

    fn list(&mut self, column: u16) -> Result<Syntax, Invalid> {
        let mut below = 0;
        let mut elements = Vec::new();
        while !self.takes("]") {
            let element = self.within(Self::expression)?;
            below = below.max(element.depth);
            elements.push(element);
            if !self.takes(",") {
                self.expect("]")?;
                break;
            }
        }
        self.node(Shape::List(elements), column, below)
    }

    fn map(&mut self, column: u16) -> Result<Syntax, Invalid> {
        let mut below = 0;
        let mut entries = Vec::new();
        while !self.takes("}") {
            let key = self.within(Self::expression)?;
            self.expect(":")?;
            let value = self.within(Self::expression)?;
            below = below.max(key.depth).max(value.depth);
            entries.push((key, value));
            if !self.takes(",") {
                self.expect("}")?;
                break;
            }
        }
        self.node(Shape::Map(entries), column, below)
    }
}
