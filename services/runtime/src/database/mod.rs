//! What the stores of all services share: how a database is opened and brought up to date, and what can go wrong in it.
//!
//! A service keeps its state behind a trait of its own; a backend of that trait is SQL alone over the pools that
//! [`sqlite`] and [`postgres`] open.

mod error;
pub mod postgres;
pub mod sqlite;

pub use error::{Result, StoreError, driver};

/// A number of the contract as a database keeps it. Bounds that callers give may lie beyond; nothing stored does.
#[must_use]
pub fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The first text, in the order of UTF-8 bytes, after all that begin with the prefix; none where there is no such.
#[must_use]
pub fn successor(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        // The surrogates are no characters.
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            last => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            text.push(next);
            return Some(text);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_its_successor() {
        let cases = [
            ("", None),
            ("a", Some("b")),
            ("az", Some("a{")),
            ("a\u{d7ff}", Some("a\u{e000}")),
            ("a\u{10ffff}", Some("b")),
            ("\u{10ffff}", None),
        ];
        for (prefix, end) in cases {
            assert_eq!(successor(prefix).as_deref(), end, "{prefix:?}");
        }
    }
}
