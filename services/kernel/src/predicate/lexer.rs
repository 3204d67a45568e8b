//! The words of an expression (CEL's language definition, "Syntax").

mod text;

use super::failure::{Invalid, Refusal};

/// Names that CEL keeps for the languages that it may live in.
const RESERVED: [&str; 16] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
];
/// The longer before its beginnings.
const SYMBOLS: [&str; 25] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", "(", ")", "[", "]",
    "{", "}", ".", ",", "=",
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word<'s> {
    /// A magnitude: the sign is a symbol.
    Int(u64),
    Text(Box<str>),
    Name(&'s str),
    Symbol(&'static str),
    End,
}

#[derive(Debug)]
pub(super) struct Token<'s> {
    pub(super) word: Word<'s>,
    pub(super) column: u16,
}

/// A name that may not stand for a variable.
pub(super) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || name == "while"
}

/// A name that may not even stand after a dot.
pub(super) fn is_keyword(name: &str) -> bool {
    matches!(name, "true" | "false" | "null" | "in")
}

/// The words of a source, closed by [`Word::End`]. The caller has bounded the source: there are no more words than bytes.
pub(super) fn tokens(source: &str) -> Result<Vec<Token<'_>>, Invalid> {
    let mut reader = Reader {
        rest: source,
        column: 1,
    };
    let mut tokens = Vec::new();
    loop {
        reader.skip_blanks();
        let column = reader.column;
        let word = reader.word()?;
        let ended = word == Word::End;
        tokens.push(Token { word, column });
        if ended {
            return Ok(tokens);
        }
    }
}

struct Reader<'s> {
    rest: &'s str,
    column: u16,
}

impl<'s> Reader<'s> {
    fn refuse<T>(&self, refusal: Refusal) -> Result<T, Invalid> {
        Err(Invalid {
            refusal,
            column: self.column,
        })
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next()?;
        self.rest = chars.as_str();
        self.column = self.column.saturating_add(1);
        Some(next)
    }

    /// What goes on while `belongs` says so.
    fn run(&mut self, belongs: impl Fn(char) -> bool) -> &'s str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (run, rest) = self.rest.split_at(end);
        self.rest = rest;
        let characters = u16::try_from(run.chars().count()).unwrap_or(u16::MAX);
        self.column = self.column.saturating_add(characters);
        run
    }

    fn skip_blanks(&mut self) {
        loop {
            self.run(|c| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}'));
            if !self.rest.starts_with("//") {
                return;
            }
            self.run(|c| c != '\n');
        }
    }

    fn word(&mut self) -> Result<Word<'s>, Invalid> {
        match self.peek() {
            None => Ok(Word::End),
            Some('0'..='9') => self.number(),
            Some('_' | 'a'..='z' | 'A'..='Z') => self.name(),
            Some('\'' | '"') => self.text(),
            Some(_) => self.symbol(),
        }
    }

    fn name(&mut self) -> Result<Word<'s>, Invalid> {
        let name = self.run(|c| c == '_' || c.is_ascii_alphanumeric());
        // `r''` and `b''`: CEL, but no texts of the profile.
        if matches!(self.peek(), Some('\'' | '"')) {
            return self.refuse(Refusal::Unsupported);
        }
        Ok(Word::Name(name))
    }

    fn symbol(&mut self) -> Result<Word<'s>, Invalid> {
        let Some(symbol) = SYMBOLS.into_iter().find(|symbol| self.rest.starts_with(symbol)) else {
            return self.refuse(Refusal::Syntax);
        };
        self.rest = self.rest.get(symbol.len()..).unwrap_or_default();
        if symbol == "." && matches!(self.peek(), Some('0'..='9')) {
            return self.refuse(Refusal::Unsupported);
        }
        self.column = self
            .column
            .saturating_add(u16::try_from(symbol.len()).unwrap_or(u16::MAX));
        Ok(Word::Symbol(symbol))
    }

    fn number(&mut self) -> Result<Word<'s>, Invalid> {
        let start = self.column;
        let hexadecimal = self.rest.starts_with("0x") || self.rest.starts_with("0X");
        let (digits, radix) = if hexadecimal {
            self.next();
            self.next();
            (self.run(|c| c.is_ascii_hexdigit()), 16)
        } else {
            (self.run(|c| c.is_ascii_digit()), 10)
        };
        let mut ahead = self.rest.chars();
        match (ahead.next(), ahead.next()) {
            (Some('.'), Some('0'..='9')) | (Some('_' | 'a'..='z' | 'A'..='Z'), _) => {
                return self.refuse(Refusal::Unsupported);
            }
            _ if digits.is_empty() => return self.refuse(Refusal::Syntax),
            _ => {}
        }
        let Ok(magnitude) = u64::from_str_radix(digits, radix) else {
            return Err(Invalid {
                refusal: Refusal::IntegerRange,
                column: start,
            });
        };
        Ok(Word::Int(magnitude))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> Vec<Word<'_>> {
        let tokens = tokens(source).unwrap();
        tokens.into_iter().map(|token| token.word).collect()
    }

    fn refused(source: &str) -> (&'static str, u16) {
        let invalid = tokens(source).unwrap_err();
        (invalid.refusal.code(), invalid.column)
    }

    #[test]
    fn reads_the_longest_symbol_and_skips_comments() {
        let expected = [
            Word::Name("a"),
            Word::Symbol("<="),
            Word::Int(16),
            Word::Symbol("!"),
            Word::Symbol("!="),
            Word::End,
        ];
        assert_eq!(words("a<=0x10 // b\n ! !="), expected);
    }

    #[test]
    fn reads_every_escape_of_cel() {
        let source = r#"'\a\b\f\n\r\t\v\\\?\"\'\`\x41\101\u00e9\U0001F600'"#;
        let expected = "\u{7}\u{8}\u{c}\n\r\t\u{b}\\?\"'`AA\u{e9}\u{1f600}";
        assert_eq!(words(source), [Word::Text(expected.into()), Word::End]);
    }

    #[test]
    fn refuses_what_the_profile_leaves_out() {
        for source in ["1.5", ".5", "1e3", "1u", "r'a'", "b\"a\""] {
            assert_eq!(refused(source).0, "unsupported", "{source}");
        }
    }

    #[test]
    fn refuses_broken_words_with_their_column() {
        assert_eq!(refused("é"), ("syntax", 1));
        assert_eq!(refused("'é' #"), ("syntax", 5));
        assert_eq!(refused("a 'b"), ("unterminated_text", 3));
        assert_eq!(refused("'a\n'"), ("unterminated_text", 1));
        assert_eq!(refused(r"'\q'").0, "bad_escape");
        assert_eq!(refused(r"'\ud800'").0, "bad_escape");
        assert_eq!(refused(r"'\400'").0, "bad_escape");
        assert_eq!(refused(r"'\U00110000'").0, "bad_escape");
        assert_eq!(refused("18446744073709551616"), ("integer_range", 1));
        assert_eq!(refused("0x"), ("syntax", 3));
    }
}
