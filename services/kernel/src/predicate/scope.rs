//! What an expression may name.

use std::collections::BTreeMap;

/// What a type declares of a field of its objects: limits that a cost bound is computed from.
///
/// Reading the field checks them, so that the bound holds whether or not somebody has checked the object before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Field {
    /// Most elements of a list, or members of a map.
    pub max_items: Option<u32>,
    /// Most characters of a text, at most four bytes each. With `max_items`, of each text in the list; with or without,
    /// what is no text must then be no list or map either.
    pub max_length: Option<u32>,
}

/// The variables of an expression, and what macros may go over.
#[derive(Debug, Clone)]
pub struct Scope {
    pub(super) names: Vec<String>,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Strict(BTreeMap<String, Field>),
    Local,
}

impl Scope {
    /// For what strangers write, a type's refinement: the one variable is `object`, macros go over what has a known
    /// greatest length, and an evaluation's cost is bounded before it runs. `fields` are the members of `object` that
    /// the type declares limits of.
    pub fn strict<N: Into<String>>(fields: impl IntoIterator<Item = (N, Field)>) -> Self {
        let fields = fields.into_iter().map(|(name, field)| (name.into(), field));
        Self {
            names: vec!["object".to_owned()],
            kind: Kind::Strict(fields.collect()),
        }
    }

    /// The same, with another name for the one variable.
    #[must_use]
    pub fn about(self, name: impl Into<String>) -> Self {
        Self {
            names: vec![name.into()],
            ..self
        }
    }

    /// For a domain's own definitions: `when`, `key`, `fold` and the conditions of flows. Values are bound to the names
    /// in their order; macros go over anything, and the budget alone bounds an evaluation.
    pub fn local<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self {
            names: names.into_iter().map(Into::into).collect(),
            kind: Kind::Local,
        }
    }

    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }
}
