//! Predicates: a small, bounded profile of [CEL](https://github.com/google/cel-spec) over JSON.
//!
//! They come from strangers, so nothing here costs anything before it is bounded: the parser counts bytes, nodes and
//! depth, a refinement's greatest cost is computed when it is compiled, and an evaluation pays for every step before it is
//! done. One expression over one object has one verdict at one cost, on every machine.
//! `tests/vectors/predicate/README.md` specifies the profile and its costs for another implementation.
//!
//! Enter by [`Scope`] and [`Program::compile`]. A word goes `lexer` → `parser` (`syntax`) → `profile` → `cost` and `eval`
//! (`value`, `fuel`): a new function is a name in `profile/call.rs`, a rule in `cost/rules.rs`, an arm in `eval.rs`, and
//! rows in the vectors.

mod cost;
mod eval;
mod failure;
mod fuel;
mod lexer;
mod parser;
mod profile;
mod program;
mod scope;
mod syntax;
mod uses;
mod value;

pub use failure::{Failure, Invalid, Refusal};
pub use program::{Binding, Decided, Evaluated, Program, Verdict};
pub use scope::{Field, Scope};

/// The profile's name. Another grammar, another meaning or another cost is another name.
pub const PROFILE: &str = "fedsx-cel-1";
/// Longest source. Bytes of UTF-8.
pub const MAX_SOURCE: usize = 1024;
/// Most nodes: literals, names, operators, calls, lists and maps. Each in parentheses is one, a chain of `&&` is one.
pub const MAX_NODES: usize = 256;
/// Deepest nesting, by parentheses, operators, members, indices, calls, lists and maps.
pub const MAX_DEPTH: usize = 32;
/// Most that an evaluation of an expression in strict scope may cost at worst. Units.
pub const MAX_BOUND: u64 = 250_000;
/// Lists and maps nested deeper are not compared: what JSON has and what an expression builds around it.
const MAX_NESTING: usize = crate::json::MAX_DEPTH + MAX_DEPTH;
