//! Texts and their escapes.

use super::{Invalid, Reader, Refusal, Word};

impl<'s> Reader<'s> {
    pub(super) fn text(&mut self) -> Result<Word<'s>, Invalid> {
        let start = self.column;
        let quote = self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                None | Some('\n' | '\r') => {
                    return Err(Invalid {
                        refusal: Refusal::UnterminatedText,
                        column: start,
                    });
                }
                end if end == quote => return Ok(Word::Text(text.into())),
                Some('\\') => text.push(self.escape()?),
                Some(other) => text.push(other),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Invalid> {
        let escaped = match self.next() {
            Some('a') => '\u{7}',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('v') => '\u{b}',
            Some(plain @ ('\\' | '?' | '"' | '\'' | '`')) => plain,
            Some('x' | 'X') => return self.code_point(0, 2, 16),
            Some('u') => return self.code_point(0, 4, 16),
            Some('U') => return self.code_point(0, 8, 16),
            Some(first @ '0'..='3') => return self.code_point(first.to_digit(8).unwrap_or_default(), 2, 8),
            _ => return self.refuse(Refusal::BadEscape),
        };
        Ok(escaped)
    }

    fn code_point(&mut self, first: u32, digits: u32, radix: u32) -> Result<char, Invalid> {
        let mut code = first;
        for _ in 0..digits {
            let digit = self.next().and_then(|c| c.to_digit(radix));
            let Some(digit) = digit else {
                return self.refuse(Refusal::BadEscape);
            };
            code = code.wrapping_mul(radix).wrapping_add(digit);
        }
        match char::from_u32(code) {
            Some(scalar) => Ok(scalar),
            None => self.refuse(Refusal::BadEscape),
        }
    }
}
