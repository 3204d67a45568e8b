//! The most that an evaluation in strict scope can cost, from the expression and the declared limits alone.
//!
//! What the elements of one list weigh together is no more than the list weighs. So the cost of a macro's body is kept as
//! a sum over the macros around, each with what one unit of its item's weight costs, and going over a list puts the list's
//! weight in the item's place. `tests/vectors/predicate/README.md` has the rules.

mod form;
mod rules;

use super::{
    Field,
    failure::{Invalid, Refusal},
    fuel,
    profile::Node,
};
use form::Form;

/// The most that a document read by [`crate::json::parse`] weighs: its values, two for each key, and a unit for each 32
/// bytes of its text.
pub(super) const OBJECT: u64 = 3 * crate::json::MAX_VALUES as u64 + TEXT - 1;
/// The most that one text of it weighs.
const TEXT: u64 = (crate::json::MAX_BYTES / fuel::BYTES) as u64 + 1;

/// The bound of a resolved expression.
///
/// # Errors
/// [`Refusal::UnboundedMacro`] at the macro.
pub(super) fn bound(node: &Node) -> Result<u64, Invalid> {
    let mut rules = Rules { items: Vec::new() };
    Ok(rules.of(node)?.cost.fixed())
}

/// What is known of an expression's value before there is one.
struct Known {
    /// Most that its evaluation costs.
    cost: Form,
    /// Most that the value weighs.
    weight: Form,
    /// Most elements of a list, or members of a map.
    items: Option<u64>,
    /// Every text in it is one of the object's or of the source's.
    plain: bool,
}

/// A macro around, as its body sees it.
#[derive(Clone, Copy)]
struct Item {
    /// What an item weighs where all weigh alike.
    share: u64,
    plain: bool,
}

struct Rules {
    items: Vec<Item>,
}

impl Known {
    fn scalar(cost: Form) -> Self {
        let weight = Form::fixed_at(1);
        Self {
            cost,
            weight,
            items: None,
            plain: true,
        }
    }
}

/// What a declaration says of a field: checking it costs something, and what passes is no heavier and no longer.
#[derive(Default)]
struct Declared {
    check: u64,
    weight: Option<u64>,
    items: Option<u64>,
}

impl From<Field> for Declared {
    fn from(field: Field) -> Self {
        let items = field
            .max_items
            .map(|items| u64::from(items).min(crate::json::MAX_VALUES as u64));
        let text = |length| (u64::from(length) * 4 / fuel::BYTES as u64 + 1).min(TEXT);
        match (items, field.max_length.map(text)) {
            (Some(count), Some(text)) => Self {
                check: count,
                weight: Some((count * text + 1).clamp(text, OBJECT)),
                items,
            },
            (_, weight) => Self {
                check: 0,
                weight,
                items,
            },
        }
    }
}

fn unbounded<T>(column: u16) -> Result<T, Invalid> {
    let refusal = Refusal::UnboundedMacro;
    Err(Invalid { refusal, column })
}
