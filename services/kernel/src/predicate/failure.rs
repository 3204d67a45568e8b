//! Why an expression is refused, and why an evaluation has no value.

use std::fmt;

/// Why an expression is none of the profile. Closed; [`code`](Self::code) is stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// More than [`MAX_SOURCE`](super::MAX_SOURCE) bytes.
    TooLong,
    /// More than [`MAX_NODES`](super::MAX_NODES) nodes.
    TooManyNodes,
    /// Deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    TooDeep,
    /// Not CEL's grammar.
    Syntax,
    /// CEL, but left out of the profile: doubles, unsigned integers, bytes, raw texts.
    Unsupported,
    /// A text without its end on the same line.
    UnterminatedText,
    /// An escape that CEL does not have, or of no Unicode scalar value.
    BadEscape,
    /// An integer beyond 64 bits with sign.
    IntegerRange,
    /// A variable that the scope does not have.
    UnknownVariable,
    /// A function or macro that the profile does not have.
    UnknownFunction,
    /// A function with other arguments than it takes, a macro whose first is no name, `has` of no member.
    BadArguments,
    /// In strict scope, a macro over something of which no greatest length is known.
    UnboundedMacro,
    /// In strict scope, an evaluation could cost more than [`MAX_BOUND`](super::MAX_BOUND).
    CostLimit,
}

impl Refusal {
    /// The stable name, in snake_case.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::TooManyNodes => "too_many_nodes",
            Self::TooDeep => "too_deep",
            Self::Syntax => "syntax",
            Self::Unsupported => "unsupported",
            Self::UnterminatedText => "unterminated_text",
            Self::BadEscape => "bad_escape",
            Self::IntegerRange => "integer_range",
            Self::UnknownVariable => "unknown_variable",
            Self::UnknownFunction => "unknown_function",
            Self::BadArguments => "bad_arguments",
            Self::UnboundedMacro => "unbounded_macro",
            Self::CostLimit => "cost_limit",
        }
    }
}

/// An expression is none of the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {}", .refusal.code())]
pub struct Invalid {
    pub refusal: Refusal,
    /// Where, in characters from 1: lines are not told apart.
    pub column: u16,
}

impl Invalid {
    /// It in words, with the name in the source that nobody knows.
    #[must_use]
    pub fn told(&self, source: &str) -> String {
        let rest = source.chars().skip(usize::from(self.column).saturating_sub(1));
        let name: String = rest
            .take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_')
            .take(64)
            .collect();
        match self.refusal {
            Refusal::UnknownVariable | Refusal::UnknownFunction if !name.is_empty() => {
                format!("{self}: {name}")
            }
            _ => self.to_string(),
        }
    }
}

/// Why an evaluation has no value. Closed; [`code`](Self::code) is stable. It says nothing of the values that it came
/// from: a verdict may be shown to whom the object is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Failure {
    /// The evaluation would cost more than it may. Nothing absorbs it.
    BudgetExceeded,
    /// An operator or function was given what it does not take, or a predicate is neither true nor false.
    TypeMismatch,
    /// An operator met a number that is no integer of 64 bits with sign.
    UnsupportedValue,
    /// A map has no such key.
    NoSuchKey,
    /// A list has no such index.
    IndexOutOfRange,
    /// An integer beyond 64 bits with sign; in a result, one beyond ±(2^53−1).
    Overflow,
    /// A division, or a remainder, by zero.
    DivisionByZero,
    /// A text is no RFC 3339 date and time in the years 0001 to 9999.
    InvalidTimestamp,
    /// A text is no decimal integer of 64 bits with sign.
    InvalidInteger,
    /// A map literal names a key twice.
    DuplicateKey,
    /// A field is larger than its type declares.
    LimitViolated,
    /// Lists and maps nested deeper than can be compared (96) or returned (64).
    TooNested,
    /// The caller gave fewer values than the scope has variables.
    Unbound,
}

impl Failure {
    /// The stable name, in snake_case.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::BudgetExceeded => "budget_exceeded",
            Self::TypeMismatch => "type_mismatch",
            Self::UnsupportedValue => "unsupported_value",
            Self::NoSuchKey => "no_such_key",
            Self::IndexOutOfRange => "index_out_of_range",
            Self::Overflow => "overflow",
            Self::DivisionByZero => "division_by_zero",
            Self::InvalidTimestamp => "invalid_timestamp",
            Self::InvalidInteger => "invalid_integer",
            Self::DuplicateKey => "duplicate_key",
            Self::LimitViolated => "limit_violated",
            Self::TooNested => "too_nested",
            Self::Unbound => "unbound",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
